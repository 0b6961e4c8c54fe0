//! Memory of compiled programs over many calls with changing shapes: it is what the formula says, it is used again, and
//! nothing is kept.

use nim_compiler::{DIALECTS, Level, Options, compile, lower};
use nim_dyn::{Arena, Places};
use nim_ir::{Context, Expr, Facts, Module};
use nim_tensor::{Tensor, Value};
use nim_text::{ParseOptions, parse_module, render_all};
use nim_vm::{RunErrorKind, Session};

/// A block with sizes that cannot be compared: attention over S positions, and something over M others.
const TEXT: &str = r#"
func.func @main(%x: tensor<[B]x[S]x8xf32>, %m: tensor<[M]x8xf32>) -> tensor<[B]x[S]x8xf32> {
  %t = graph.transpose %x {perm = [0, 2, 1]} : (tensor<[B]x[S]x8xf32>) -> tensor<[B]x8x[S]xf32>
  %s = graph.matmul %x, %t : (tensor<[B]x[S]x8xf32>, tensor<[B]x8x[S]xf32>) -> tensor<[B]x[S]x[S]xf32>
  %max = graph.reduce %s {axes = [2], keepdims = true, kind = "max"} : (tensor<[B]x[S]x[S]xf32>) -> tensor<[B]x[S]x1xf32>
  %less = graph.sub %s, %max : (tensor<[B]x[S]x[S]xf32>, tensor<[B]x[S]x1xf32>) -> tensor<[B]x[S]x[S]xf32>
  %e = graph.exp %less : (tensor<[B]x[S]x[S]xf32>) -> tensor<[B]x[S]x[S]xf32>
  %sum = graph.reduce %e {axes = [2], keepdims = true, kind = "sum"} : (tensor<[B]x[S]x[S]xf32>) -> tensor<[B]x[S]x1xf32>
  %p = graph.div %e, %sum : (tensor<[B]x[S]x[S]xf32>, tensor<[B]x[S]x1xf32>) -> tensor<[B]x[S]x[S]xf32>
  %o = graph.matmul %p, %x : (tensor<[B]x[S]x[S]xf32>, tensor<[B]x[S]x8xf32>) -> tensor<[B]x[S]x8xf32>
  %mt = graph.transpose %m {perm = [1, 0]} : (tensor<[M]x8xf32>) -> tensor<8x[M]xf32>
  %g = graph.matmul %mt, %m : (tensor<8x[M]xf32>, tensor<[M]x8xf32>) -> tensor<8x8xf32>
  %w = graph.tanh %g : (tensor<8x8xf32>) -> tensor<8x8xf32>
  %q = graph.matmul %o, %w : (tensor<[B]x[S]x8xf32>, tensor<8x8xf32>) -> tensor<[B]x[S]x8xf32>
  %r = graph.add %q, %x : (tensor<[B]x[S]x8xf32>, tensor<[B]x[S]x8xf32>) -> tensor<[B]x[S]x8xf32>
  return %r : tensor<[B]x[S]x8xf32>
}
"#;

fn parse(ctx: &Context) -> Module {
    let source = ctx.add_source("test.nir", TEXT);
    let (module, found) = parse_module(ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}", render_all(ctx, &found, &Default::default()));
    module
}

/// The formula of what lives together in the arenas of `main`, and how many places there are.
fn formula(ctx: &Context) -> (Expr, i64) {
    let mut module = parse(ctx);
    assert!(lower(ctx, &mut module, &Options::default(), Level::Dyn).is_ok());
    let main = module.lookup(ctx, ctx.name("main")).unwrap();
    let body = module.body.nested(main).unwrap();
    let arenas = body.walk().into_iter().filter(|&op| Arena::is(ctx, body, op));
    let places: Vec<Places> = arenas.map(|op| Places::of(ctx, body, op).unwrap()).collect();
    assert!(!places.is_empty(), "there is no arena with symbols");
    let peak = ctx.exprs.sum(places.iter().map(|p| p.peak(&ctx.exprs, &Facts::default())));
    (peak, places.iter().map(|p| p.sizes.len() as i64).sum())
}

fn inputs(b: usize, s: usize, m: usize) -> Vec<Value> {
    let ones = |dims: &[usize]| Tensor::new(dims, vec![0.01f32; dims.iter().product()]).into();
    vec![ones(&[b, s, 8]), ones(&[m, 8])]
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    4096 * pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
}

#[test]
fn ten_thousand_calls_with_random_shapes() {
    let ctx = Context::new(DIALECTS);
    let (peak, places) = formula(&ctx);
    let mut module = parse(&ctx);
    let compiled = compile(&ctx, &mut module, &Options::default()).unwrap();
    let program = compiled.program.into_program().unwrap();
    let mut session = Session::new(&program, nim_vm::Options { threads: 1, ..nim_vm::Options::default() });
    let mut state = 7u64;
    let mut next = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (1 + (state >> 33) % most) as usize
    };
    let (mut settled, mut highest) = (0, 0);
    for call in 0..10_000 {
        let (b, s, m) = (next(3), next(40), next(200));
        // From time to time nothing waits to be used again: then the memory is just what is planned.
        let is_fresh = call % 8 == 0;
        if is_fresh {
            session.trim();
        }
        session.reset_stats();
        let results = session.run(&inputs(b, s, m)).unwrap();
        let used = session.stats().memory;
        let value = |name: &str| {
            Some(match name {
                "B" => b,
                "S" => s,
                _ => m,
            } as i64)
        };
        let bound = ctx.exprs.eval(peak, &|symbol| value(ctx.exprs.symbol_name(symbol))).unwrap();
        // Every place begins at a multiple of 64, and the result has memory of its own.
        let planned = bound + bound / 10 + 64 * (places + 1) + (b * s * 8 * 4) as i64;
        // Blocks that wait serve requests for less: each of the two may be half as large again and 1024 bytes more.
        let most = if is_fresh { planned } else { planned + planned / 2 + 2 * 1024 };
        assert!(used.peak as i64 <= most, "B = {b}, S = {s}, M = {m}: {} bytes, at most {most}", used.peak);
        drop(results);
        let kept = session.stats().memory;
        assert_eq!(kept.in_use, 0);
        highest = highest.max(used.peak);
        // A few hundred kilobytes may always wait.
        assert!(kept.cached <= (2 * highest).max(256 << 10), "{kept:?}");
        if call == 2000 {
            settled = resident();
        }
    }
    let grown = resident().saturating_sub(settled);
    assert!(grown < 4 << 20, "{grown} bytes more after 8000 calls");
}

#[test]
fn shapes_that_come_again_allocate_nothing() {
    let ctx = Context::new(DIALECTS);
    let mut module = parse(&ctx);
    let program = compile(&ctx, &mut module, &Options::default()).unwrap().program.into_program().unwrap();
    let mut session = Session::new(&program, nim_vm::Options { threads: 1, ..nim_vm::Options::default() });
    let shapes = [(1, 30, 5), (2, 7, 100), (3, 40, 1)];
    let mut round = || {
        for (b, s, m) in shapes {
            session.run(&inputs(b, s, m)).unwrap();
        }
        session.stats().memory.allocations
    };
    round();
    let before = round();
    assert_eq!((0..20).map(|_| round()).last(), Some(before));
}

#[test]
fn the_limit_names_the_sizes_and_the_session_goes_on() {
    let ctx = Context::new(DIALECTS);
    let mut module = parse(&ctx);
    let program = compile(&ctx, &mut module, &Options::default()).unwrap().program.into_program().unwrap();
    let limit = nim_vm::Options { threads: 1, memory_limit: 1 << 20, ..nim_vm::Options::default() };
    let mut session = Session::new(&program, limit);
    let error = session.run(&inputs(1, 2000, 3)).unwrap_err();
    assert!(matches!(*error.kind, RunErrorKind::Memory { limit: Some(1048576), .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("S = 2000 is dimension 1 of input `x`"), "{text}");
    assert!(session.run(&inputs(1, 20, 3)).is_ok());
    assert_eq!(session.stats().memory.in_use, 0);
}
