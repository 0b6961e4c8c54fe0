//! Random programs with branches, loops and views of the same memory give the same numbers after `dyn-plan-memory`. The
//! interpreter has real bytes behind every view and fills fresh memory with ones, so a buffer that is placed where another
//! one still lives is seen.

use nim_dyn_passes::place::{Placed, Rule};
use nim_dyn_passes::{graph_to_dyn, insert_kills, place_devices, plan_memory};
use nim_ir::{Context, Module, verifier::verify_module};
use nim_tensor::{Tensor, Value};
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module, render_all};
use std::fmt::Write;

/// `z = 3 x + y + 1`, and kernels that double and halve the number of elements.
const KERNELS: &str = r#"
loops.kernel @mix(%x: memref<[K]xi64>, %y: memref<[K]xi64>, %z: memref<[K]xi64>) attributes {outputs = 1, symbols = ["K"]} {
  loops.for $0 = 0 to K parallel {
    %a = loops.load %x[$0] : memref<[K]xi64>
    %b = loops.load %y[$0] : memref<[K]xi64>
    %three = arith.constant 3 : i64
    %one = arith.constant 1 : i64
    %c = arith.muli %a, %three : i64
    %d = arith.addi %c, %b : i64
    %e = arith.addi %d, %one : i64
    loops.store %e, %z[$0] : memref<[K]xi64>
    loops.yield
  }
  loops.yield
}
loops.kernel @twice(%x: memref<[K]xi64>, %y: memref<[2*K]xi64>) attributes {outputs = 1, symbols = ["K"]} {
  loops.for $0 = 0 to K parallel {
    %a = loops.load %x[$0] : memref<[K]xi64>
    loops.store %a, %y[2*$0] : memref<[2*K]xi64>
    loops.store %a, %y[2*$0 + 1] : memref<[2*K]xi64>
    loops.yield
  }
  loops.yield
}
loops.kernel @half(%x: memref<[K]xi64>, %y: memref<[floordiv(K, 2)]xi64>) attributes {outputs = 1, symbols = ["K"]} {
  loops.for $0 = 0 to floordiv(K, 2) parallel {
    %a = loops.load %x[2*$0] : memref<[K]xi64>
    %b = loops.load %x[2*$0 + 1] : memref<[K]xi64>
    %c = arith.subi %a, %b : i64
    loops.store %c, %y[$0] : memref<[floordiv(K, 2)]xi64>
    loops.yield
  }
  loops.yield
}
"#;

/// Sizes, each twice the one before in its column.
const SIZES: [&str; 6] = ["N", "2*N", "4*N", "M", "5", "10"];
/// The size with twice as many elements.
const DOUBLE: [Option<usize>; 6] = [Some(1), Some(2), None, None, Some(5), None];

fn ty(size: usize) -> String {
    match SIZES[size].parse::<i64>() {
        Ok(n) => format!("tensor<{n}xi64>"),
        Err(_) => format!("tensor<[{}]xi64>", SIZES[size]),
    }
}

/// Writes a random program.
struct Writer {
    text: String,
    state: u64,
    count: usize,
    /// Values in scope with their sizes.
    values: Vec<(String, usize)>,
}

impl Writer {
    fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.state >> 33) as usize) % n
    }
    fn name(&mut self) -> String {
        self.count += 1;
        format!("%v{}", self.count)
    }
    fn any(&mut self) -> (String, usize) {
        // Rather a late value: chains are what planning is about.
        let (n, a, b) = (self.values.len(), self.below(1 << 20), self.below(1 << 20));
        self.values[(a % n).max(b % n)].clone()
    }
    fn of_size(&mut self, size: usize) -> String {
        let fitting: Vec<String> = self.values.iter().filter(|v| v.1 == size).map(|v| v.0.clone()).collect();
        let at = self.below(fitting.len());
        fitting[at].clone()
    }
    fn call(&mut self, kernel: &str, args: &[&str], from: usize, to: usize) {
        let (name, types) = (self.name(), vec![ty(from); args.len()].join(", "));
        let _ =
            writeln!(self.text, "{name} = dataflow.invoke @{kernel}({}) : ({types}) -> {}", args.join(", "), ty(to));
        self.values.push((name, to));
    }

    fn ops(&mut self, count: usize, depth: usize) {
        for _ in 0..count {
            let (v, size) = self.any();
            match self.below(if depth < 2 { 10 } else { 7 }) {
                0..4 => {
                    let other = self.of_size(size);
                    self.call("mix", &[&v, &other], size, size);
                }
                4 => {
                    if let Some(double) = DOUBLE[size] {
                        self.call("twice", &[&v], size, double);
                    }
                }
                5 => {
                    if let Some(single) = DOUBLE.iter().position(|&d| d == Some(size)) {
                        self.call("half", &[&v], size, single);
                    }
                }
                6 => self.views(&v, size),
                7..9 => self.branch(size, depth),
                _ => self.repeat(size, depth),
            }
        }
    }
    /// The same elements under another shape, and back.
    fn views(&mut self, v: &str, size: usize) {
        let (a, b, flat) = (self.name(), self.name(), ty(size));
        let column = flat.replace("xi64", "x1xi64");
        let expr = match SIZES[size].parse::<i64>() {
            Ok(n) => format!("{n} : i64"),
            Err(_) => format!("#sym.expr<\"{}\">", SIZES[size]),
        };
        let _ = writeln!(self.text, "{a} = graph.reshape {v} {{shape = [{expr}, 1 : i64]}} : ({flat}) -> {column}");
        let _ = writeln!(self.text, "{b} = graph.reshape {a} {{shape = [{expr}]}} : ({column}) -> {flat}");
        self.values.push((b, size));
    }
    /// Ops of a region, then what it yields.
    fn region(&mut self, size: usize, depth: usize) {
        let outer = self.values.len();
        let count = 1 + self.below(4);
        self.ops(count, depth + 1);
        let result = self.of_size(size);
        let _ = writeln!(self.text, "\"graph.yield\"({result}) : ({}) -> ()", ty(size));
        self.values.truncate(outer);
    }
    fn branch(&mut self, size: usize, depth: usize) {
        let name = self.name();
        let _ = writeln!(self.text, "{name} = \"graph.if\"(%p) ({{");
        self.region(size, depth);
        self.text.push_str("}, {\n");
        self.region(size, depth);
        let _ = writeln!(self.text, "}}) : (tensor<i1>) -> {}", ty(size));
        self.values.push((name, size));
    }
    fn repeat(&mut self, size: usize, depth: usize) {
        let (name, i, state, start, ty) = (self.name(), self.name(), self.name(), self.of_size(size), ty(size));
        let _ = writeln!(self.text, "{name} = \"graph.loop\"(%n, {start}) ({{\n^bb({i}: tensor<i64>, {state}: {ty}):");
        self.values.push((state, size));
        self.region(size, depth);
        self.values.pop();
        let segments = "{operandSegmentSizes = array<i32: 1, 0, 1>}";
        let _ = writeln!(self.text, "}}) {segments} : (tensor<i64>, {ty}) -> {ty}");
        self.values.push((name, size));
    }
}

/// A program, and the sizes of its inputs.
fn program(seed: u64) -> String {
    let arguments = [("%a", 0), ("%b", 3), ("%c", 4), ("%d", 0)];
    let values = arguments.map(|(n, s)| (n.to_string(), s)).to_vec();
    let mut w = Writer { text: String::new(), state: seed, count: 0, values };
    w.ops(12, 0);
    let (x, y) = (w.any(), w.any());
    let types = format!("{}, {}", ty(x.1), ty(y.1));
    let inputs = arguments.map(|(n, s)| format!("{n}: {}", ty(s))).join(", ");
    format!(
        "{KERNELS}\nfunc.func @main(%p: tensor<i1>, %n: tensor<i64>, {inputs}) -> ({types}) {{\n{}return {}, {} : {types}\n}}",
        w.text, x.0, y.0
    )
}

/// How a program is made ready.
#[derive(Copy, Clone, Default)]
struct Way<'a> {
    plan: bool,
    /// Rules for kernels.
    place: &'a [&'a str],
}

fn prepared(text: &str, way: Way<'_>) -> (Context, Module, usize, Placed) {
    let ctx = Context::new(&[
        &nim_builtin::func::FUNC,
        &nim_builtin::arith::ARITH,
        &nim_graph::GRAPH,
        &nim_dataflow::DATAFLOW,
        &nim_loops::LOOPS,
        &nim_dyn::DYN,
    ]);
    let source = ctx.add_source("test.nir", text);
    let (mut module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}\n{text}", render_all(&ctx, &found, &Default::default()));
    let (_, found) = graph_to_dyn(&ctx, &mut module);
    assert!(found.is_empty(), "{}\n{text}", render_all(&ctx, &found, &Default::default()));
    let rules: Vec<Rule> = way.place.iter().map(|rule| rule.parse().unwrap()).collect();
    let devices = place_devices(&ctx, &mut module, &rules).unwrap_or_else(|found| panic!("{found:?}\n{text}"));
    let planned = if way.plan { plan_memory(&ctx, &mut module).iter().map(|(_, p)| p.buffers).sum() } else { 0 };
    let main = module.lookup(&ctx, ctx.name("main")).unwrap();
    insert_kills(&ctx, module.body.nested_mut(main).unwrap());
    let found = verify_module(&ctx, &module);
    assert!(found.is_empty(), "{}", render_all(&ctx, &found, &Default::default()));
    (ctx, module, planned, devices)
}

/// Runs random programs made ready in two ways on the same inputs.
fn compare(seeds: std::ops::Range<u64>, way: Way<'_>, mut count: impl FnMut(usize, Placed)) {
    for seed in seeds {
        let text = program(seed);
        let (plain_ctx, plain, ..) = prepared(&text, Way::default());
        let (ctx, module, planned, placed) = prepared(&text, way);
        count(planned, placed);
        for (flag, trips, n, m) in [(false, 0, 3, 1), (true, 1, 1, 7), (true, 3, 2, 2), (false, 2, 9, 0)] {
            let ramp =
                |count: usize, from: i64| Tensor::new(&[count], (0..count as i64).map(|i| 7 * i + from).collect());
            let inputs: Vec<Value> = vec![
                Tensor::bools(&[], vec![flag]).into(),
                Tensor::scalar(trips as i64).into(),
                ramp(n, 1).into(),
                ramp(m, 100).into(),
                ramp(5, 1000).into(),
                ramp(n, 5).into(),
            ];
            let expected = nim_interp::exec::run(&plain_ctx, &plain, "main", &inputs).map_err(|d| d.message);
            let found = nim_interp::exec::run(&ctx, &module, "main", &inputs).map_err(|d| d.message);
            let shown = || print_module(&ctx, &module, &PrintOptions::default());
            assert!(expected.is_ok(), "seed {seed}: {expected:?}\n{text}");
            assert_eq!(found, expected, "seed {seed}: if {flag}, {trips} trips, N = {n}, M = {m}\n{}", shown());
        }
    }
}

#[test]
fn planned_programs_give_the_same_numbers() {
    let mut sum = 0;
    compare(0..150, Way { plan: true, place: &[] }, |planned, _| sum += planned);
    assert!(sum > 1000, "only {sum} buffers were placed");
}

/// Buffers of a device are out of reach of all others, and of the host.
#[test]
fn programs_on_several_devices_give_the_same_numbers() {
    let (mut copies, mut hoisted, mut shared) = (0, 0, 0);
    let ways: [&[&str]; 3] = [&["mix:npu"], &["*:npu"], &["twice:npu", "mix:gpu"]];
    for (i, place) in ways.into_iter().enumerate() {
        for plan in [false, true] {
            let first = 200 * (2 * i as u64 + u64::from(plan));
            compare(first..first + 40, Way { plan, place }, |_, placed| {
                copies += placed.copies;
                hoisted += placed.hoisted;
                shared += placed.shared;
            });
        }
    }
    assert!(copies > 1000 && hoisted > 50 && shared > 100, "{copies} copies, {hoisted} hoisted, {shared} shared");
}
