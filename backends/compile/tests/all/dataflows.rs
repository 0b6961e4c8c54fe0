//! Every point of the space of dataflows gives what the interpreter gives: integers exactly, floats within a tolerance.
//!
//! Each point runs at the level of loops; a few of each case as machine code. `NIM_RANDOM=100` tries so many cases of each
//! kind, `NIM_RANDOM_FIRST=7` begins at another one.

use crate::{parse, random::rng::Rng};
use nim_compiler::{Level, Options, compile, lower, target_info};
use nim_ir::{Context, Module};
use nim_llvm::Target;
use nim_loops_passes::{Dataflow, explore_pass::explore_kernel};
use nim_tensor::{DType, Tensor, Tolerance, Value, compare};
use nim_text::render_all;
use nim_vm::Session;

/// Points of a case that become machine code.
const COMPILED: usize = 6;

/// What operands hold, and how they are multiplied.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Float,
    Bytes,
    SignedBytes,
    Bits,
}
const KINDS: [Kind; 4] = [Kind::Float, Kind::Bytes, Kind::SignedBytes, Kind::Bits];

impl Kind {
    /// Element types of input, weight and result, and the body over `%a` and `%b`.
    fn text(self) -> ([&'static str; 3], &'static str) {
        let widened =
            "%p = arith.extui %a : i8 to i32\n %q = arith.extsi %b : i8 to i32\n %m = arith.muli %p, %q : i32";
        let signed = "%p = arith.extsi %a : i8 to i32\n %q = arith.extsi %b : i8 to i32\n %m = arith.muli %p, %q : i32";
        match self {
            Kind::Float => (["f32", "f32", "f32"], "%m = arith.mulf %a, %b : f32"),
            Kind::Bytes => (["ui8", "i8", "i32"], widened),
            Kind::SignedBytes => (["i8", "i8", "i32"], signed),
            Kind::Bits => (["i32", "i32", "i32"], "%p = arith.xori %a, %b : i32\n %m = math.ctpop %p : i32"),
        }
    }
}

/// A map over two operands: domain, indices of both and of the result, dimensions of both and of the result.
struct Case {
    domain: Vec<usize>,
    reads: [String; 2],
    write: String,
    dims: [Vec<usize>; 3],
    bordered: bool,
    kind: Kind,
}

fn shape(dims: &[usize], element: &str) -> String {
    let dims: Vec<String> = dims.iter().map(|d| format!("{d}x")).collect();
    format!("tensor<{}{element}>", dims.concat())
}

impl Case {
    fn text(&self, weight: Option<&Tensor>) -> String {
        let ([a, b, c], body) = self.kind.text();
        let zero = if c == "f32" { "0.0 : f32" } else { "0 : i32" };
        let border = match (self.bordered, a) {
            (false, _) => String::new(),
            (true, "f32") => " else 0.0 : f32".into(),
            // A zero point: what lies outside is no zero.
            (true, "ui8" | "i8") => format!(" else 3 : {a}"),
            (true, _) => format!(" else 0 : {a}"),
        };
        let domain: Vec<String> = self.domain.iter().enumerate().map(|(k, n)| format!("${k} < {n}")).collect();
        let [x, w, y] = [shape(&self.dims[0], a), shape(&self.dims[1], b), shape(&self.dims[2], c)];
        let (argument, constant) = match weight {
            None => (format!(", %w: {w}"), String::new()),
            Some(t) => {
                (String::new(), format!("%w = \"graph.constant\"() {{value = {} : {w}}} : () -> {w}\n", dense(t)))
            }
        };
        format!(
            "func.func @main(%x: {x}{argument}) -> {y} {{\n{constant}\
             %y = dataflow.map [{}] reads(%a = %x[{}]{border}, %b = %w[{}]) writes([{}] add init {zero}) {{\n\
             {body}\n dataflow.yield %m : {c}\n}} : {y}\nreturn %y : {y}\n}}\n",
            domain.join(", "),
            self.reads[0],
            self.reads[1],
            self.write,
        )
    }

    /// A convolution: of groups, depthwise, dilated, strided, with borders, in two dimensions or one.
    fn convolution(rng: &mut Rng, kind: Kind) -> Case {
        let two = rng.below(4) > 0;
        let (stride, dilation) = (1 + rng.below(2), 1 + rng.below(3) / 2);
        let (height, width) = (if two { 1 + rng.below(3) } else { 1 }, 1 + rng.below(3));
        let (rows, columns) = (if two { 1 + rng.below(5) } else { 1 }, 1 + rng.below(9));
        let pad = rng.below(2);
        let size =
            |n: usize, taps: usize| (stride * (n - 1) + dilation * (taps - 1) + 1).saturating_sub(2 * pad).max(1);
        let (high, wide) = (size(rows, height), size(columns, width));
        let (n, inputs, outputs) = (1 + rng.below(2), 1 + rng.below(6), 1 + rng.below(20));
        let groups = [1, 1, 2][rng.below(3)];
        let index = |row: &str, tap: &str| format!("{stride}*{row} + {dilation}*{tap} - {pad}");
        let (y, x) = (index("$3", "$6"), index("$4", "$7"));
        let bordered = pad > 0
            || high < stride * (rows - 1) + dilation * (height - 1) + 1
            || wide < stride * (columns - 1) + dilation * (width - 1) + 1;
        Case {
            domain: vec![n, groups, outputs, rows, columns, inputs, height, width],
            reads: [format!("$0, {inputs}*$1 + $5, {y}, {x}"), "$1, $2, $5, $6, $7".into()],
            write: "$0, $1, $2, $3, $4".into(),
            dims: [
                vec![n, groups * inputs, high, wide],
                vec![groups, outputs, inputs, height, width],
                vec![n, groups, outputs, rows, columns],
            ],
            bordered,
            kind,
        }
    }

    fn depthwise(rng: &mut Rng, kind: Kind) -> Case {
        let (stride, taps, rows) = (1 + rng.below(2), 2 + rng.below(3), 1 + rng.below(7));
        let (channels, size) = (1 + rng.below(20), stride * (rows - 1) + taps);
        Case {
            domain: vec![rows, rows, channels, taps, taps],
            reads: [format!("{stride}*$0 + $3, {stride}*$1 + $4, $2"), "$3, $4, $2".into()],
            write: "$0, $1, $2".into(),
            dims: [vec![size, size, channels], vec![taps, taps, channels], vec![rows, rows, channels]],
            bordered: false,
            kind,
        }
    }

    fn product(rng: &mut Rng, kind: Kind) -> Case {
        let (b, m, n, k) = (1 + rng.below(3), 1 + rng.below(9), 1 + rng.below(24), 1 + rng.below(13));
        Case {
            domain: vec![b, m, n, k],
            reads: ["$0, $1, $3".into(), ["$3, $2", "$2, $3"][rng.below(2)].into()],
            write: "$0, $1, $2".into(),
            dims: [vec![b, m, k], vec![], vec![b, m, n]],
            bordered: false,
            kind,
        }
        .with_weight(k, n)
    }

    fn with_weight(mut self, k: usize, n: usize) -> Case {
        self.dims[1] = if self.reads[1] == "$3, $2" { vec![k, n] } else { vec![n, k] };
        self
    }
}

fn dense(t: &Tensor) -> String {
    let mut items: Vec<String> = match t.dtype() {
        DType::F32 => t.to_f64s().unwrap_or_default().iter().map(|v| format!("{v:?}")).collect(),
        _ => t.to_i64s().unwrap_or_default().iter().map(i64::to_string).collect(),
    };
    for &d in t.dims().iter().rev() {
        items = items.chunks(d.max(1)).map(|c| format!("[{}]", c.join(", "))).collect();
    }
    format!("dense<{}>", items.concat())
}

fn tensor(rng: &mut Rng, dims: &[usize], element: &str) -> Tensor {
    let count = dims.iter().product::<usize>();
    match element {
        "f32" => Tensor::new(dims, (0..count).map(|_| rng.below(2001) as f32 / 500.0 - 2.0).collect()),
        "i32" => Tensor::new(
            dims,
            (0..count).map(|_| (rng.below(1 << 16) << 16 | rng.below(1 << 16)) as u32 as i32).collect(),
        ),
        _ => {
            let byte = |_| if rng.below(3) == 0 { [0, 127, 128, 255][rng.below(4)] } else { rng.below(256) as u8 };
            let dtype = if element == "ui8" { DType::U8 } else { DType::I8 };
            Tensor::from_bytes(dtype, dims, (0..count).map(byte).collect())
        }
    }
}

fn run(ctx: &Context, module: &Module, inputs: &[Value]) -> Vec<Value> {
    nim_interp::exec::run(ctx, module, "main", inputs)
        .unwrap_or_else(|found| panic!("{}", render_all(ctx, &[found], &Default::default())))
}

/// The points of the space of the module's only contraction.
pub fn space(text: &str, options: &Options) -> Vec<Dataflow> {
    let (ctx, mut module) = parse(text);
    lower(&ctx, &mut module, options, Level::Dataflow).expect("lowers");
    let settings = nim_loops_passes::Options { target: target_info(options), ..Default::default() };
    let kernels: Vec<_> = module.ops().filter(|&op| module.body.is(&ctx, op, "dataflow.kernel")).collect();
    let mut all = vec![];
    for kernel in kernels {
        for (_, found) in explore_kernel(&ctx, &module, kernel, &settings).expect("explores") {
            all.extend(found.unwrap_or_default().into_iter().map(|counts| counts.dataflow));
        }
    }
    all
}

fn same(found: &[Value], expected: &[Value], place: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let float = expected.as_tensor().is_some_and(|t| t.dtype() == DType::F32);
        if !float {
            assert_eq!(found, expected, "{place}");
        }
        let result = compare(found, expected, &Tolerance { rtol: 1e-5, atol: 1e-5, scaled_atol: 0.0 });
        assert!(result.passed(), "{place}: {:?}", result.first);
    }
}

/// Checks all points of a case; how many there were.
fn check(case: &Case, rng: &mut Rng, target: &str) -> usize {
    let ([a, b, _], _) = case.kind.text();
    let (x, w) = (tensor(rng, &case.dims[0], a), tensor(rng, &case.dims[1], b));
    let constant = rng.below(2) == 0;
    let text = case.text(constant.then_some(&w));
    let inputs: Vec<Value> = if constant { vec![x.into()] } else { vec![x.into(), w.into()] };
    let target = Target::parse(target).ok().filter(Target::supported_on_host).unwrap_or_else(Target::host);
    let options = Options { threads: 1, verify: true, fold: false, target, ..Options::default() };
    let (ctx, module) = parse(&text);
    let expected = run(&ctx, &module, &inputs);
    let points = space(&text, &options);
    for &point in &points {
        let options = Options { dataflow: Some(point), ..options.clone() };
        let (ctx, mut module) = parse(&text);
        lower(&ctx, &mut module, &options, Level::Loops).expect("lowers");
        same(&run(&ctx, &module, &inputs), &expected, &format!("{point} at the level of loops\n{text}"));
    }
    for _ in 0..COMPILED.min(points.len()) {
        let point = points[rng.below(points.len())];
        let options = Options { dataflow: Some(point), ..options.clone() };
        let (ctx, mut module) = parse(&text);
        let compiled = compile(&ctx, &mut module, &options).expect("compiles");
        let program = compiled.program.into_program().expect("a program");
        let settings = nim_vm::Options { threads: 2, parallel_work: 0, ..nim_vm::Options::default() };
        let found = Session::new(&program, settings).run(&inputs).expect("runs");
        same(&found, &expected, &format!("{point} as machine code\n{text}"));
    }
    points.len()
}

fn all(make: fn(&mut Rng, Kind) -> Case) {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|t| t.parse().ok()).unwrap_or(default);
    let (first, count) = (number("NIM_RANDOM_FIRST", 0), number("NIM_RANDOM", 2));
    for kind in KINDS {
        let mut points = 0;
        for seed in first..first + count {
            let mut rng = Rng::new(seed * 4 + kind as u64);
            let case = make(&mut rng, kind);
            let target = ["x86-64-v3", "host", "x86-64-v2"][(seed % 3) as usize];
            points += check(&case, &mut rng, target);
        }
        assert!(points > 0, "{kind:?} has no dataflows");
    }
}

#[test]
fn convolutions() {
    all(Case::convolution);
}

#[test]
fn depthwise_convolutions() {
    all(Case::depthwise);
}

#[test]
fn products() {
    all(Case::product);
}
