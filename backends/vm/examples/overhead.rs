//! What the runtime itself costs: a program of kernels that do nothing, and loops of single instructions, each of the set.
//! `cargo run --release -p nim-vm --example overhead` prints the medians of many rounds, which are short enough not to be
//! interrupted; `-- ROUNDS` does so many.

use nim_expr::ExprPool;
use nim_tensor::{DType, Tensor, Value};
use nim_vm::bytecode::{Callee, DeviceId, Function, FunctionId, Instr, Label, Maker, Reg, Relation, Size, Sym};
use nim_vm::code_image::{CodeImage, ImageInfo, Layout, PAGE};
use nim_vm::{Options, Program, ProgramBuilder, Session, Signature, SignatureValue, ValueType};
use std::collections::BTreeMap;
use std::time::Instant;

const KERNELS: usize = 60;
const ROUNDS: usize = 1001;

/// A kernel that returns at once.
fn nothing() -> CodeImage {
    let layout = Layout { code: PAGE, ..Layout::default() };
    let mut body = vec![0xcc; PAGE as usize];
    body[0] = 0xc3;
    let symbols = BTreeMap::from([("nim_nothing".to_owned(), 0)]);
    let info = ImageInfo { arch: "x86_64".into(), target: "x86-64".into(), layout, symbols, ..ImageInfo::default() };
    CodeImage { info, body }
}

/// Sizes of the program: the number of channels is fixed, the batch is a symbol or a number.
struct Build {
    builder: ProgramBuilder,
    pool: ExprPool,
    code: Vec<Instr>,
}

impl Build {
    fn size(&mut self, text: &str) -> Size {
        let expr = self.pool.parse(text).expect("an expression");
        let pool = &self.pool;
        let mut register = |s| ["batch", "i"].iter().position(|n| *n == pool.symbol_name(s)).map(|i| i as u32);
        self.builder.size(pool, expr, &mut register).expect("known symbols")
    }
    fn sizes(&mut self, texts: &[&str]) -> Box<[Size]> {
        texts.iter().map(|t| self.size(t)).collect()
    }
    fn finish(mut self, regs: u32, batch: &str) -> Program {
        let value = |name: &str| SignatureValue {
            name: name.into(),
            ty: ValueType::Tensor { dtype: DType::F32, dims: vec![batch.into(), "64".into()] },
            node: None,
        };
        self.builder.signature(Signature { inputs: vec![value("x")], outputs: vec![value("y")], types: vec![] });
        let back = vec![Instr::Return { values: [Reg(0)].into() }];
        for (id, name, regs, code) in [(0, "main", regs, self.code), (1, "back", 1, back)] {
            let nodes = vec![None; code.len()];
            let symbols = vec!["batch".into(), "i".into()];
            let function = Function { name: name.into(), regs, symbols, inputs: 1, outputs: 1, code, nodes };
            self.builder.define(FunctionId(id), function);
        }
        self.builder.code(nothing());
        Program::from_bytes(self.builder.to_bytes()).expect("the program loads")
    }
}

fn start() -> Build {
    let mut builder = ProgramBuilder::new("overhead");
    builder.declare("main");
    builder.declare("back");
    Build { builder, pool: ExprPool::new(), code: vec![] }
}

/// What the compiler makes of a chain of layers: for each two constants, a place in the arena, a call, and the ends of lives.
fn chain(batch: &str) -> Program {
    let mut b = start();
    let (n, what) = (b.size(batch), b.builder.text("input \"x\""));
    let channels = b.size("64");
    b.code.push(Instr::Dim { symbol: Sym(0), from: Reg(0), axis: 0 });
    b.code.push(Instr::Check { from: Reg(0), dims: [n, channels].into(), what });
    let bytes = b.size(&format!("512*({batch})"));
    b.code.push(Instr::Alloc {
        device: DeviceId::HOST,
        out: Reg(1),
        sizes: [bytes].into(),
        apart: [].into(),
        offsets: [].into(),
    });
    let weight = b.builder.constant(&Tensor::new(&[64, 64], vec![0f32; 4096]));
    let bias = b.builder.constant(&Tensor::new(&[64], vec![0f32; 64]));
    let kernel = b.builder.kernel("nothing");
    let (mut last, mut next) = (Reg(0), 2);
    for layer in 0..KERNELS {
        let [w, c, out] = [next, next + 1, next + 2].map(Reg);
        next += 3;
        b.code.push(Instr::Const { out: w, constant: weight });
        b.code.push(Instr::Const { out: c, constant: bias });
        let dims = b.sizes(&[batch, "64"]);
        if layer + 1 < KERNELS {
            let offset = b.size(&format!("{}*({batch})", 256 * (layer % 2)));
            b.code.push(Instr::View { out, storage: Reg(1), offset, dtype: DType::F32, dims });
        } else {
            b.code.push(Instr::New { device: DeviceId::HOST, out, dtype: DType::F32, dims });
        }
        let symbols = if batch == "batch" { b.sizes(&[batch]) } else { [].into() };
        let (phases, work) = (b.sizes(&[&format!("ceildiv({batch}, 14)")]), b.size(&format!("4096*({batch})")));
        let (ins, outs) = ([last, w, c].into(), [out].into());
        b.code.push(Instr::Invoke { kernel, ins, outs, symbols, phases, work });
        b.code.push(Instr::Kill { regs: [last, w, c].into() });
        last = out;
    }
    b.code.push(Instr::Return { values: [last].into() });
    b.finish(next, batch)
}

/// What loops find in registers: storage, a tensor, a number, another tensor, a value of a data type; and where they put what they make.
const STORAGE: Reg = Reg(1);
const TENSOR: Reg = Reg(2);
const NUMBER: Reg = Reg(3);
const OTHER: Reg = Reg(4);
const VALUE: Reg = Reg(5);
const OUT: Reg = Reg(6);

/// A loop of so many steps around instructions.
fn around(steps: usize, make: impl Fn(&mut Build) -> Vec<Instr>) -> Program {
    let mut b = start();
    let (zero, most, i, next) = (b.size("0"), b.size(&steps.to_string()), b.size("i"), b.size("i + 1"));
    let (bytes, dims) = (b.size("1024"), b.sizes(&["4", "4"]));
    let fresh = |out, dtype, dims: &[Size]| Instr::New { device: DeviceId::HOST, out, dtype, dims: dims.into() };
    let (sizes, none) = ([bytes].into(), [].into());
    b.code.push(Instr::Alloc { device: DeviceId::HOST, out: STORAGE, sizes, apart: [].into(), offsets: none });
    b.code.push(fresh(TENSOR, DType::F32, &dims));
    b.code.push(fresh(NUMBER, DType::I64, &[]));
    b.code.push(fresh(OTHER, DType::F32, &dims));
    b.code.push(Instr::Make { out: VALUE, maker: Maker::Constructor(0), fields: [TENSOR].into() });
    b.code.push(Instr::Eval { symbol: Sym(1), value: zero });
    let head = b.code.len() as u32;
    b.code.push(Instr::JumpUnlessLess { lhs: i, rhs: most, target: Label(0) });
    let body = make(&mut b);
    b.code.extend(body);
    b.code.push(Instr::Eval { symbol: Sym(1), value: next });
    b.code.push(Instr::Jump { target: Label(head) });
    b.code[head as usize] = Instr::JumpUnlessLess { lhs: i, rhs: most, target: Label(b.code.len() as u32) };
    b.code.push(Instr::Return { values: [Reg(0)].into() });
    b.finish(7, "batch")
}

/// Median nanoseconds of a run.
fn nanoseconds(program: &Program, batch: usize) -> f64 {
    let mut session = Session::new(program, Options { threads: 1, ..Options::default() });
    let inputs = [Value::Tensor(Tensor::new(&[batch, 64], vec![0f32; batch * 64]))];
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            const CALLS: u32 = 4;
            let start = Instant::now();
            for _ in 0..CALLS {
                session.run(&inputs).expect("it runs");
            }
            start.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

fn main() {
    for (name, batch) in [("static", "8"), ("symbolic", "batch")] {
        let time = nanoseconds(&chain(batch), 8);
        println!(
            "{KERNELS} kernels, {name} shapes: {:.2} us a call, {:.1} ns a kernel",
            time / 1e3,
            time / KERNELS as f64
        );
    }
    const STEPS: usize = 200;
    let a_step = |make: &dyn Fn(&mut Build) -> Vec<Instr>| nanoseconds(&around(STEPS, make), 1) / STEPS as f64;
    let empty = a_step(&|_| vec![]);
    println!("a step of a loop (3 instructions): {empty:.1} ns");
    // Some need others around them, whose time is not theirs.
    let each = |name: &str, others: &dyn Fn(&mut Build) -> Vec<Instr>, make: &dyn Fn(&mut Build) -> Vec<Instr>| {
        let together = a_step(&|b| [others(b), make(b)].concat());
        println!("{name}: {:.1} ns", together - a_step(others));
    };
    let nothing: &dyn Fn(&mut Build) -> Vec<Instr> = &|_| vec![];
    let moved: &dyn Fn(&mut Build) -> Vec<Instr> = &|_| vec![Instr::Move { out: OUT, from: TENSOR }];
    let next = |b: &Build, before: usize| Label((b.code.len() + before + 1) as u32);
    each("const", moved, &|b| {
        let constant = b.builder.constant(&Tensor::new(&[4], vec![0f32; 4]));
        vec![Instr::Const { out: OUT, constant }]
    });
    each("alloc of a changing size", nothing, &|b| {
        let sizes = b.sizes(&["16*i + 16"]);
        vec![Instr::Alloc { device: DeviceId::HOST, out: OUT, sizes, apart: [].into(), offsets: [].into() }]
    });
    each("view at a changing offset", nothing, &|b| {
        let (offset, dims) = (b.size("64*mod(i, 2)"), b.sizes(&["4", "4"]));
        vec![Instr::View { out: OUT, storage: STORAGE, offset, dtype: DType::F32, dims }]
    });
    each("new of a changing size", nothing, &|b| {
        vec![Instr::New { device: DeviceId::HOST, out: OUT, dtype: DType::F32, dims: b.sizes(&["4", "i + 1"]) }]
    });
    each("reshape", nothing, &|b| vec![Instr::Reshape { out: OUT, from: TENSOR, dims: b.sizes(&["2", "8"]) }]);
    each("move", nothing, moved);
    each("kill", moved, &|_| vec![Instr::Kill { regs: [OUT].into() }]);
    each("copy of 64 bytes", nothing, &|b| vec![Instr::Copy { from: TENSOR, to: OTHER, offset: b.size("0") }]);
    each("invoke", nothing, &|b| {
        let (kernel, symbols, phases) = (b.builder.kernel("nothing"), b.sizes(&["i"]), b.sizes(&["1"]));
        let (ins, outs, work) = ([Reg(0), TENSOR].into(), [OTHER].into(), b.size("64*i"));
        vec![Instr::Invoke { kernel, ins, outs, symbols, phases, work }]
    });
    // The instruction, not what functions do.
    each("runtime (optional.none)", nothing, &|b| {
        let function = b.builder.text("optional.none");
        vec![Instr::Runtime { function, ints: [].into(), sizes: [].into(), ins: [].into(), outs: [OUT].into() }]
    });
    each("bind", nothing, &|_| vec![Instr::Bind { from: NUMBER, symbols: [Sym(0)].into() }]);
    each("dim", nothing, &|_| vec![Instr::Dim { symbol: Sym(0), from: TENSOR, axis: 1 }]);
    each("eval of min(3*i + 7, floordiv(i, 2))", nothing, &|b| {
        vec![Instr::Eval { symbol: Sym(0), value: b.size("min(3*i + 7, floordiv(i, 2))") }]
    });
    each("index", nothing, &|b| vec![Instr::Index { to: NUMBER, values: b.sizes(&["i"]) }]);
    each("guard", nothing, &|b| {
        let (lhs, rhs, message) = (b.size("i"), b.size("1000"), b.builder.text("too many"));
        vec![Instr::Guard { kind: Relation::LessOrEqual, lhs, rhs, message }]
    });
    each("check", nothing, &|b| {
        vec![Instr::Check { from: TENSOR, dims: b.sizes(&["4", "4"]), what: b.builder.text("it") }]
    });
    each("jump", nothing, &|b| vec![Instr::Jump { target: next(b, 0) }]);
    each("jump_unless", nothing, &|b| vec![Instr::JumpUnless { condition: NUMBER, target: next(b, 0) }]);
    each("jump_unless_less", nothing, &|b| {
        vec![Instr::JumpUnlessLess { lhs: b.size("i"), rhs: b.size("0"), target: next(b, 0) }]
    });
    each("push of 64 bytes", nothing, &|_| vec![Instr::Push { to: OUT, from: TENSOR }]);
    each("call and return (2 instructions)", nothing, &|_| {
        vec![Instr::Call { callee: Callee::Function(FunctionId(1)), ins: [TENSOR].into(), outs: [OUT].into() }]
    });
    each("make", nothing, &|_| vec![Instr::Make { out: OUT, maker: Maker::Constructor(0), fields: [TENSOR].into() }]);
    each("match", nothing, &|b| {
        vec![Instr::Match { value: VALUE, targets: [next(b, 0)].into(), fields: [[OUT].into()].into() }]
    });
}
