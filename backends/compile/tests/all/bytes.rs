//! Sums of products of bytes on every kind of machine: exact, whatever signs, zero points, sizes and borders.

use crate::{emulator, parse, random::rng::Rng};
use nim_compiler::{Level, Options, compile, lower};
use nim_ir::{Context, Module};
use nim_llvm::Target;
use nim_tensor::{DType, Tensor, Value};
use nim_text::render_all;
use nim_vm::Session;

/// Machines with VNNI (if this one has it), with pairs of 16-bit integers of three widths, and with none of these; tile registers
/// besides.
const TARGETS: [&str; 5] = ["host", "x86-64-v3", "x86-64-v4", "x86-64-v2", "x86-64"];

/// Random bytes, often the extreme ones.
fn bytes(rng: &mut Rng, dims: &[usize], dtype: DType) -> Tensor {
    let byte = |_| if rng.below(3) == 0 { [0, 127, 128, 255][rng.below(4)] } else { rng.below(256) as u8 };
    Tensor::from_bytes(dtype, dims, (0..dims.iter().product::<usize>()).map(byte).collect())
}

fn name(dtype: DType) -> &'static str {
    if dtype == DType::U8 { "ui8" } else { "i8" }
}

/// `dense<...>` of a tensor of bytes.
fn dense(t: &Tensor) -> String {
    let values: Vec<String> = t.to_i64s().unwrap().iter().map(i64::to_string).collect();
    let mut items = values;
    for &d in t.dims().iter().rev() {
        items = items.chunks(d.max(1)).map(|c| format!("[{}]", c.join(", "))).collect();
    }
    items.concat()
}

/// Runs a program that returns integers on each machine, and at the level of loops, and compares with the graph.
fn check(text: &str, inputs: &[Value], expects: Option<&str>) {
    let (ctx, module) = parse(text);
    let run = |ctx: &Context, module: &Module| {
        nim_interp::exec::run(ctx, module, "main", inputs)
            .unwrap_or_else(|found| panic!("{}\n{text}", render_all(ctx, &[found], &Default::default())))
    };
    let expected = run(&ctx, &module);
    let targets = TARGETS.iter().map(|t| Target::parse(t).unwrap()).filter(Target::supported_on_host);
    for target in targets.chain(emulator::target()) {
        let tiles = target.has("amx-tile");
        let options = Options { threads: 1, verify: true, target, tiles, ..Options::default() };
        let (ctx, mut module) = parse(text);
        lower(&ctx, &mut module, &options, Level::Loops).expect("lowers");
        let loops = nim_text::print_module(&ctx, &module, &Default::default());
        if let Some(expects) = expects {
            let expects = if tiles { "loops.tile_dot" } else { expects };
            assert!(loops.contains(expects), "no {expects}:\n{text}\n{loops}");
        }
        assert_eq!(run(&ctx, &module), expected, "loops: {text}");
        let (ctx, mut module) = parse(text);
        let compiled = compile(&ctx, &mut module, &options).expect("compiles");
        let program = compiled.program.into_program().unwrap();
        let mut session = Session::new(&program, nim_vm::Options::default());
        let found = session.run(inputs).unwrap();
        assert_eq!(found, expected, "{}: {text}", options.target);
    }
}

#[test]
fn matrices() {
    for seed in 0..10 {
        let mut rng = Rng::new(seed);
        let (m, k, n) = (1 + rng.below(40), 1 + rng.below(70), 1 + rng.below(70));
        let (a, b) = ([DType::U8, DType::I8][rng.below(2)], [DType::U8, DType::I8][rng.below(2)]);
        let x = bytes(&mut rng, &[m, k], a);
        let w = bytes(&mut rng, &[k, n], b);
        let az = bytes(&mut rng, &[], a);
        let per_column: &[usize] = &[n];
        let shape = if rng.below(2) == 0 { &[] } else { per_column };
        let bz = bytes(&mut rng, shape, b);
        let (at, bt) = (name(a), name(b));
        let bz_type = if bz.dims().is_empty() { "tensor<".to_string() } else { format!("tensor<{n}x") };
        // Zero points are often 0, and those of the left factor an input.
        let (with_az, with_bz) = (rng.below(3) > 0, rng.below(3) > 0);
        let centred = |v: &str, with: bool, ty: &str, z: &str| match with {
            true => format!("  %{v}c = graph.sub %{v}i, %{v}z : (tensor<{ty}xi32>, {z}i32>) -> tensor<{ty}xi32>\n"),
            false => format!("  %{v}c = graph.identity %{v}i : (tensor<{ty}xi32>) -> tensor<{ty}xi32>\n"),
        };
        let text = format!(
            "func.func @main(%a: tensor<[N]x{k}x{at}>, %z: tensor<{at}>) -> tensor<[N]x{n}xi32> {{\n  \
               %b = graph.constant {{value = dense<{}> : tensor<{k}x{n}x{bt}>}} : () -> tensor<{k}x{n}x{bt}>\n  \
               %y = graph.constant {{value = dense<{}> : {bz_type}{bt}>}} : () -> {bz_type}{bt}>\n  \
               %ai = graph.cast %a {{to = i32}} : (tensor<[N]x{k}x{at}>) -> tensor<[N]x{k}xi32>\n  \
               %bi = graph.cast %b {{to = i32}} : (tensor<{k}x{n}x{bt}>) -> tensor<{k}x{n}xi32>\n  \
               %az = graph.cast %z {{to = i32}} : (tensor<{at}>) -> tensor<i32>\n  \
               %bz = graph.cast %y {{to = i32}} : ({bz_type}{bt}>) -> {bz_type}i32>\n\
             {}{}  \
               %p = graph.matmul %ac, %bc : (tensor<[N]x{k}xi32>, tensor<{k}x{n}xi32>) -> tensor<[N]x{n}xi32>\n  \
               return %p : tensor<[N]x{n}xi32>\n}}\n",
            dense(&w),
            dense(&bz),
            centred("a", with_az, &format!("[N]x{k}"), "tensor<"),
            centred("b", with_bz, &format!("{k}x{n}"), &bz_type),
        );
        check(&text, &[x.into(), az.into()], (k > 1 && n > 1).then_some("loops.dot"));
    }
}

/// Quotients are rounded to bytes as if divided, ties, infinities and numbers that are none among them.
#[test]
fn quantised() {
    for seed in 0..6 {
        let mut rng = Rng::new(2000 + seed);
        let scale = f32::from_bits(rng.below(1 << 23) as u32 | (100 + rng.below(40) as u32) << 23);
        let odd = [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, 0.0, -0.0];
        let mut number = |i: usize| {
            let near = (rng.below(1024) as f32 - 512.0) * 0.5 * scale;
            match i {
                _ if i < odd.len() => odd[i],
                // Next to ties, on both sides.
                _ if near == 0.0 => 0.5 * scale,
                _ => f32::from_bits(near.to_bits() + rng.below(5) as u32 - 2),
            }
        };
        let x = Tensor::new(&[20_000], (0..20_000).map(&mut number).collect::<Vec<f32>>());
        let text = format!(
            "func.func @main(%x: tensor<[N]xf32>) -> tensor<[N]xui8> {{\n  \
               %y = dataflow.map [$0 < N] reads(%a = %x[$0]) writes([$0]) {{\n    \
                 %s = arith.constant {scale:.9e} : f32\n    %q = arith.divf %a, %s : f32\n    %r = math.roundeven %q : f32\n    \
                 %z = arith.constant 128.0 : f32\n    %m = arith.addf %r, %z : f32\n    %l = arith.constant 0.0 : f32\n    \
                 %h = arith.constant 255.0 : f32\n    %o = arith.maximumf %m, %l : f32\n    %p = arith.minimumf %o, %h : f32\n    \
                 %b = arith.fptoui %p : f32 to i8\n    dataflow.yield %b : i8\n  }} : tensor<[N]xui8>\n  return %y : tensor<[N]xui8>\n}}\n"
        );
        check(&text, &[x.into()], None);
    }
}

#[test]
fn convolutions() {
    for seed in 0..8 {
        let mut rng = Rng::new(1000 + seed);
        let (c, o, h, w) = (1 + rng.below(9), 1 + rng.below(40), 3 + rng.below(9), 3 + rng.below(9));
        let (r, stride, pad) = ([1, 3][rng.below(2)], 1 + rng.below(2), rng.below(2));
        let (a, b) = ([DType::U8, DType::I8][rng.below(2)], [DType::U8, DType::I8][rng.below(2)]);
        let (at, bt) = (name(a), name(b));
        let x = bytes(&mut rng, &[2, c, h, w], a);
        let weights = bytes(&mut rng, &[o, c, r, r], b);
        let zero = bytes(&mut rng, &[], a);
        let (oh, ow) = ((h + 2 * pad - r) / stride + 1, (w + 2 * pad - r) / stride + 1);
        let text = format!(
            "func.func @main(%a: tensor<[N]x{c}x{h}x{w}x{at}>, %z: tensor<{at}>) -> tensor<[N]x{o}x{oh}x{ow}xi32> {{\n  \
               %b = graph.constant {{value = dense<{}> : tensor<{o}x{c}x{r}x{r}x{bt}>}} : () -> tensor<{o}x{c}x{r}x{r}x{bt}>\n  \
               %ai = graph.cast %a {{to = i32}} : (tensor<[N]x{c}x{h}x{w}x{at}>) -> tensor<[N]x{c}x{h}x{w}xi32>\n  \
               %bi = graph.cast %b {{to = i32}} : (tensor<{o}x{c}x{r}x{r}x{bt}>) -> tensor<{o}x{c}x{r}x{r}xi32>\n  \
               %az = graph.cast %z {{to = i32}} : (tensor<{at}>) -> tensor<i32>\n  \
               %ac = graph.sub %ai, %az : (tensor<[N]x{c}x{h}x{w}xi32>, tensor<i32>) -> tensor<[N]x{c}x{h}x{w}xi32>\n  \
               %p = graph.conv %ac, %bi {{pads = [{pad}, {pad}, {pad}, {pad}], strides = [{stride}, {stride}]}} : \
                 (tensor<[N]x{c}x{h}x{w}xi32>, tensor<{o}x{c}x{r}x{r}xi32>) -> tensor<[N]x{o}x{oh}x{ow}xi32>\n  \
               return %p : tensor<[N]x{o}x{oh}x{ow}xi32>\n}}\n",
            dense(&weights),
        );
        check(&text, &[x.into(), zero.into()], (b == DType::I8 && c > 1 && o > 1).then_some("loops.dot"));
    }
}
