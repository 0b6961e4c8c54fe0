//! Tile registers (AMX): kernels that use them wherever there is a way, in machine code and at the level of loops, against the maps'
//! own meaning. Bytes come out exactly, `bf16` but for the order of sums. Where this machine has no tile registers, they are
//! [emulated](crate::emulator).

use crate::{emulator, parse, random::rng::Rng};
use nim_compiler::{Level, Options, Precision, compile, lower, lower_precision_of};
use nim_ir::{Context, Module};
use nim_llvm::Target;
use nim_tensor::{DType, Tensor, Value};
use nim_text::render_all;
use nim_vm::{Products, Session};

/// What two factors may be.
pub const KINDS: [(DType, DType); 5] = [
    (DType::U8, DType::I8),
    (DType::I8, DType::U8),
    (DType::I8, DType::I8),
    (DType::U8, DType::U8),
    (DType::BF16, DType::BF16),
];

pub fn name(dtype: DType) -> &'static str {
    match dtype {
        DType::U8 => "ui8",
        DType::I8 => "i8",
        _ => "bf16",
    }
}

/// Numbers of both signs; bytes are often the extreme ones.
pub fn numbers(rng: &mut Rng, dims: &[usize], dtype: DType) -> Tensor {
    let count = dims.iter().product::<usize>();
    if dtype == DType::BF16 {
        // The upper half of an f32 between 1/4 and 4.
        let mut bits = |_| [(0x3e80 + rng.below(0x200)) as u16 | (rng.below(2) << 15) as u16];
        let bytes = (0..count).map(&mut bits).flat_map(|[b]| b.to_le_bytes()).collect();
        return Tensor::from_bytes(dtype, dims, bytes);
    }
    let byte = |_| if rng.below(3) == 0 { [0, 127, 128, 255][rng.below(4)] } else { rng.below(256) as u8 };
    Tensor::from_bytes(dtype, dims, (0..count).map(byte).collect())
}

fn shape(dims: &[usize], dtype: DType) -> String {
    format!("tensor<{}{}>", dims.iter().map(|d| format!("{d}x")).collect::<String>(), name(dtype))
}

/// `%name = graph.constant` of a tensor.
fn constant(name: &str, t: &Tensor) -> String {
    let values = t.to_f64s().or_else(|| Some(t.to_i64s()?.into_iter().map(|v| v as f64).collect())).unwrap();
    let float = t.dtype().is_float();
    let mut items: Vec<String> =
        values.iter().map(|v| if float { format!("{v:?}") } else { format!("{}", *v as i64) }).collect();
    for &d in t.dims().iter().rev() {
        items = items.chunks(d.max(1)).map(|c| format!("[{}]", c.join(", "))).collect();
    }
    let ty = shape(t.dims(), t.dtype());
    format!("  %{name} = graph.constant {{value = dense<{}> : {ty}}} : () -> {ty}\n", items.concat())
}

/// The body that multiplies two factors of such types, and the type and first value of the sum.
pub fn product(a: DType, b: DType) -> (String, &'static str, &'static str) {
    let widen = |v: &str, w: &str, dtype: DType| match dtype {
        DType::U8 => format!("    {w} = arith.extui {v} : i8 to i32\n"),
        DType::I8 => format!("    {w} = arith.extsi {v} : i8 to i32\n"),
        _ => format!("    {w} = arith.extf {v} : bf16 to f32\n"),
    };
    let float = a == DType::BF16;
    let (ty, multiply) = if float { ("f32", "mulf") } else { ("i32", "muli") };
    let body = format!(
        "{}{}    %m = arith.{multiply} %r, %s : {ty}\n    dataflow.yield %m : {ty}\n",
        widen("%p", "%r", a),
        widen("%q", "%s", b)
    );
    (body, ty, if float { "0.0" } else { "0" })
}

/// Runs a program at the level of loops and as machine code; `terms` is how many products one sum has.
fn check(text: &str, inputs: &[Value], terms: usize, precision: Precision, tolerance: f64) {
    let Some(target) = emulator::target() else { return };
    let all = |values: &[Value]| {
        let numbers = |t: &Tensor| t.to_f64s().or_else(|| Some(t.to_i64s()?.into_iter().map(|v| v as f64).collect()));
        values.iter().flat_map(|v| v.as_tensor().and_then(numbers).expect("numbers")).collect::<Vec<f64>>()
    };
    let run = |ctx: &Context, module: &Module| {
        let done = nim_interp::exec::run(ctx, module, "main", inputs);
        all(&done.unwrap_or_else(|found| panic!("{}\n{text}", render_all(ctx, &[found], &Default::default()))))
    };
    let (ctx, mut module) = parse(text);
    lower_precision_of(&ctx, &mut module, precision);
    let expected = run(&ctx, &module);
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let error = if text.contains("bf16") || precision == Precision::Bf16 {
        (4.0 * terms as f64 / f64::from(1 << 24) + tolerance) * largest
    } else {
        0.0
    };
    let same = |found: &[f64], who: &str| {
        assert_eq!(found.len(), expected.len(), "{who}\n{text}");
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            assert!((f - e).abs() <= error, "{who}: {f} where {e} is expected, at {i}\n{text}");
        }
    };
    let options = Options { threads: 1, verify: true, target, tiles: true, precision, ..Options::default() };
    let (ctx, mut module) = parse(text);
    lower(&ctx, &mut module, &options, Level::Loops).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
    let loops = nim_text::print_module(&ctx, &module, &Default::default());
    assert!(loops.contains("loops.tile_dot"), "no tiles:\n{text}\n{loops}");
    let (again, found) = {
        let ctx = Context::new(nim_compiler::DIALECTS);
        let source = ctx.add_source("loops.nir", &loops);
        let (module, found) = nim_text::parse_module(&ctx, source, &Default::default());
        (nim_text::print_module(&ctx, &module, &Default::default()), found)
    };
    assert!(found.is_empty() && again == loops, "the loops do not come back:\n{loops}");
    same(&run(&ctx, &module), "loops");
    let (ctx, mut module) = parse(text);
    let compiled = compile(&ctx, &mut module, &options).expect("compiles");
    let program = compiled.program.into_program().unwrap_or_else(|e| panic!("{e}\n{text}"));
    // With several threads too: each configures registers of its own.
    for threads in [1, 2] {
        let mut session = Session::new(&program, nim_vm::Options { threads, ..nim_vm::Options::default() });
        let before = emulator::products();
        same(&all(&session.run(inputs).unwrap()), &format!("{}, {threads} threads", options.target));
        assert!(!emulator::is_in_use() || emulator::products() > before, "nothing was multiplied in tiles\n{text}");
        assert!(emulator::is_released(), "tile registers stay in use");
    }
}

/// Sizes around those of registers, and others.
fn size(rng: &mut Rng, most: usize) -> usize {
    let near = [1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65][rng.below(12)];
    if rng.below(2) == 0 && near <= most { near } else { 1 + rng.below(most) }
}

/// A program, what it is run on, and how many products one sum has.
pub struct Program {
    pub text: String,
    pub inputs: Vec<Value>,
    pub terms: usize,
}

impl Program {
    /// Rows, columns and reductions of all sizes, known and not, in batches, of all kinds of numbers; one factor constant or none.
    pub fn matrices(seed: u64) -> Program {
        let mut rng = Rng::new(seed);
        let (a, b) = KINDS[seed as usize % KINDS.len()];
        let (m, k, n) = (size(&mut rng, 70), 2 + size(&mut rng, 150), 1 + size(&mut rng, 70));
        let (batch, fixed, known) = (1 + rng.below(3), rng.below(2) == 0, rng.below(3) == 0);
        let (body, sum, zero) = product(a, b);
        let (x, w) = (numbers(&mut rng, &[batch, m, k], a), numbers(&mut rng, &[batch, k, n], b));
        let (bs, ms) = if known { (batch.to_string(), m.to_string()) } else { ("[B]".into(), "[M]".into()) };
        let (bd, md) = if known { (batch.to_string(), m.to_string()) } else { ("B".into(), "M".into()) };
        // A constant has the size that it has; then the batch is one of the left factor alone.
        let w = if fixed { numbers(&mut rng, &[k, n], b) } else { w };
        let (wt, wi) = if fixed {
            (shape(&[k, n], b), "$3, $2")
        } else {
            (format!("tensor<{bs}x{k}x{n}x{}>", name(b)), "$0, $3, $2")
        };
        let (arg, definition) =
            if fixed { (String::new(), constant("w", &w)) } else { (format!(", %w: {wt}"), String::new()) };
        let text = format!(
            "func.func @main(%x: tensor<{bs}x{ms}x{k}x{}>{arg}) -> tensor<{bs}x{ms}x{n}x{sum}> {{\n{definition}  \
               %y = dataflow.map [$0 < {bd}, $1 < {md}, $2 < {n}, $3 < {k}] reads(%p = %x[$0, $1, $3], %q = %w[{wi}]) \
                 writes([$0, $1, $2] add init {zero} : {sum}) {{\n{body}  }} : tensor<{bs}x{ms}x{n}x{sum}>\n  \
               return %y : tensor<{bs}x{ms}x{n}x{sum}>\n}}\n",
            name(a)
        );
        let mut inputs: Vec<Value> = vec![x.into()];
        inputs.extend((!fixed).then(|| w.into()));
        Program { text, inputs, terms: k }
    }

    /// Convolutions with strides, dilations, groups and borders, images and weights in different orders, an epilogue.
    pub fn convolution(seed: u64) -> Program {
        let mut rng = Rng::new(1000 + seed);
        let (a, b) = KINDS[seed as usize % KINDS.len()];
        let groups = [1, 1, 2][rng.below(3)];
        let (c, o) = (1 + size(&mut rng, 40), 1 + size(&mut rng, 40));
        let (r, s) = ([1, 3, 7][rng.below(3)], [1, 3, 5][rng.below(3)]);
        let (stride, dilation, pad) = (1 + rng.below(2), 1 + rng.below(2), rng.below(3));
        let least = |taps: usize| (dilation * (taps - 1) + 1).saturating_sub(2 * pad).max(1);
        let (h, w) = (least(r) + rng.below(12), least(s) + rng.below(40));
        let out = |size: usize, taps: usize| (size + 2 * pad - dilation * (taps - 1) - 1) / stride + 1;
        let (oh, ow) = (out(h, r), out(w, s));
        let (body, sum, zero) = product(a, b);
        let last = rng.below(2) == 0;
        let at = |taps: &str, tap: &str| format!("{stride}*{taps} + {dilation}*{tap} - {pad}");
        let (y, x) = (at("$3", "$6"), at("$4", "$7"));
        let (dims, index) = match last {
            true => (vec![h, w, groups, c], format!("$0, {y}, {x}, $1, $5")),
            false => (vec![groups, c, h, w], format!("$0, $1, $5, {y}, {x}")),
        };
        let image = numbers(&mut rng, &[&[2][..], &dims].concat(), a);
        let weights = numbers(&mut rng, &[groups, o, c, r, s], b);
        let ty = format!("tensor<[N]x{}{}>", dims.iter().map(|d| format!("{d}x")).collect::<String>(), name(a));
        let border = if a == DType::BF16 { "0.0 : bf16" } else { "0 : i8" };
        let border = if a == DType::U8 { "0 : ui8" } else { border };
        let result = format!("tensor<[N]x{groups}x{o}x{oh}x{ow}x{sum}>");
        let (least, maximum) = if sum == "f32" { ("0.0", "maximumf") } else { ("0", "maxsi") };
        let text = format!(
            "func.func @main(%x: {ty}) -> {result} {{\n{}  \
               %y = dataflow.map [$0 < N, $1 < {groups}, $2 < {o}, $3 < {oh}, $4 < {ow}, $5 < {c}, $6 < {r}, $7 < {s}] \
                 reads(%p = %x[{index}] else {border}, %q = %w[$1, $2, $5, $6, $7]) \
                 writes([$0, $1, $2, $3, $4] add init {zero} : {sum}) {{\n{body}  }} epilogue(%v) {{\n    \
                   %c = arith.constant {least} : {sum}\n    %d = arith.{maximum} %v, %c : {sum}\n    \
                   dataflow.yield %d : {sum}\n  }} : {result}\n  \
               return %y : {result}\n}}\n",
            constant("w", &weights)
        );
        Program { text, inputs: vec![image.into()], terms: c * r * s }
    }
}

#[test]
fn matrices() {
    for Program { text, inputs, terms } in (0..15).map(Program::matrices) {
        check(&text, &inputs, terms, Precision::F32, 0.0);
    }
}

#[test]
fn convolutions() {
    for Program { text, inputs, terms } in (0..15).map(Program::convolution) {
        check(&text, &inputs, terms, Precision::F32, 0.0);
    }
}

/// A sum that begins with a number of its own.
#[test]
fn a_first_summand() {
    let (body, sum, _) = product(DType::U8, DType::I8);
    let mut rng = Rng::new(7);
    let text = format!(
        "func.func @main(%x: tensor<[M]x64xui8>, %w: tensor<64x20xi8>) -> tensor<[M]x20xi32> {{\n  \
           %y = dataflow.map [$0 < M, $1 < 20, $2 < 64] reads(%p = %x[$0, $2], %q = %w[$2, $1]) \
             writes([$0, $1] add init -77 : {sum}) {{\n{body}  }} : tensor<[M]x20xi32>\n  return %y : tensor<[M]x20xi32>\n}}\n"
    );
    let inputs = [numbers(&mut rng, &[19, 64], DType::U8), numbers(&mut rng, &[64, 20], DType::I8)];
    check(&text, &inputs.map(Value::from), 64, Precision::F32, 0.0);
}

/// Convolutions, a residual, a mean over the image and a product, rounded to `bf16` where they read.
#[test]
fn a_small_net() {
    let mut rng = Rng::new(3);
    let f32s = |rng: &mut Rng, name: &str, dims: &[usize]| {
        let t = numbers(rng, dims, DType::BF16);
        let scale = 0.5 / dims[1..].iter().product::<usize>() as f64;
        let values = t.to_f64s().unwrap().into_iter().map(|v| (v.abs() * scale) as f32).collect::<Vec<_>>();
        constant(name, &Tensor::new(dims, values)).replace("bf16", "f32")
    };
    let image = "tensor<[N]x24x14x14xf32>";
    let text = format!(
        "func.func @main(%x: tensor<[N]x3x28x28xf32>) -> tensor<[N]x10xf32> {{\n{}{}{}  \
           %p = graph.conv %x, %a {{pads = [3, 3, 3, 3], strides = [2, 2]}} : (tensor<[N]x3x28x28xf32>, tensor<24x3x7x7xf32>) -> {image}\n  \
           %q = graph.relu %p : ({image}) -> {image}\n  \
           %r = graph.conv %q, %b {{pads = [1, 1, 1, 1]}} : ({image}, tensor<24x24x3x3xf32>) -> {image}\n  \
           %s = graph.add %r, %q : ({image}, {image}) -> {image}\n  \
           %t = graph.reduce %s {{kind = \"max\", axes = [2, 3], keepdims = false}} : ({image}) -> tensor<[N]x24xf32>\n  \
           %z = graph.matmul %t, %c : (tensor<[N]x24xf32>, tensor<24x10xf32>) -> tensor<[N]x10xf32>\n  \
           return %z : tensor<[N]x10xf32>\n}}\n",
        f32s(&mut rng, "a", &[24, 3, 7, 7]),
        f32s(&mut rng, "b", &[24, 24, 3, 3]),
        f32s(&mut rng, "c", &[24, 10]),
    );
    let x = numbers(&mut rng, &[2, 3, 28, 28], DType::BF16).to_f64s().unwrap();
    let x = Tensor::new(&[2, 3, 28, 28], x.into_iter().map(|v| v.abs() as f32).collect::<Vec<_>>());
    // A result may fall to the other side of a tie before it is read again.
    check(&text, &[x.into()], 24 * 9, Precision::Bf16, 2.0 / 256.0);
}

/// Bytes between two convolutions and a product, in floats as quantised models are written. Scales are powers of two and sums small, so
/// floats say exactly what integers do.
#[test]
fn a_small_quantised_net() {
    let mut rng = Rng::new(4);
    let number = |name: &str, value: &str, ty: &str| {
        format!("  %{name} = graph.constant {{value = dense<{value}> : tensor<{ty}>}} : () -> tensor<{ty}>\n")
    };
    // `clip(round(x / s) + z)` as a byte, and `(q - z) * s`.
    let quantised = |to: &str, x: &str, dims: &str, scale: &str| {
        let (t, b) = (format!("tensor<{dims}xf32>"), format!("tensor<{dims}xi1>"));
        format!(
            "  %{to}_d = graph.div %{x}, %{scale} : ({t}, tensor<f32>) -> {t}\n  %{to}_r = graph.round %{to}_d : ({t}) -> {t}\n  \
               %{to}_z = graph.add %{to}_r, %zero : ({t}, tensor<f32>) -> {t}\n  \
               %{to}_g = graph.compare %{to}_z, %low {{predicate = \"gt\"}} : ({t}, tensor<f32>) -> {b}\n  \
               %{to}_m = graph.select %{to}_g, %{to}_z, %low : ({b}, {t}, tensor<f32>) -> {t}\n  \
               %{to}_l = graph.compare %{to}_m, %high {{predicate = \"lt\"}} : ({t}, tensor<f32>) -> {b}\n  \
               %{to}_n = graph.select %{to}_l, %{to}_m, %high : ({b}, {t}, tensor<f32>) -> {t}\n  \
               %{to}_q = graph.cast %{to}_n {{to = ui8}} : ({t}) -> tensor<{dims}xui8>\n  \
               %{to}_i = graph.cast %{to}_q {{to = i32}} : (tensor<{dims}xui8>) -> tensor<{dims}xi32>\n  \
               %{to}_c = graph.sub %{to}_i, %izero : (tensor<{dims}xi32>, tensor<i32>) -> tensor<{dims}xi32>\n  \
               %{to}_f = graph.cast %{to}_c {{to = f32}} : (tensor<{dims}xi32>) -> {t}\n  \
               %{to} = graph.mul %{to}_f, %{scale} : ({t}, tensor<f32>) -> {t}\n"
        )
    };
    let mut weights = |name: &str, dims: &[usize]| {
        let t = numbers(&mut rng, dims, DType::I8);
        let small = Tensor::from_bytes(DType::I8, dims, t.bytes().iter().map(|&b| (b as i8 / 16) as u8).collect());
        let d: String = dims.iter().map(|d| format!("{d}x")).collect();
        format!(
            "{}  %{name}_i = graph.cast %{name}_q {{to = i32}} : (tensor<{d}i8>) -> tensor<{d}i32>\n  \
               %{name}_f = graph.cast %{name}_i {{to = f32}} : (tensor<{d}i32>) -> tensor<{d}f32>\n  \
               %{name} = graph.mul %{name}_f, %ws : (tensor<{d}f32>, tensor<f32>) -> tensor<{d}f32>\n",
            constant(&format!("{name}_q"), &small)
        )
    };
    let image = "tensor<[N]x24x10x10xf32>";
    let text = format!(
        "func.func @main(%x: tensor<[N]x8x10x10xf32>) -> tensor<[N]x12xf32> {{\n{}{}{}{}{}{}{}{}{}{}{}{}  \
           %p = graph.conv %xq, %a {{pads = [1, 1, 1, 1]}} : (tensor<[N]x8x10x10xf32>, tensor<24x8x3x3xf32>) -> {image}\n{}  \
           %r = graph.conv %pq, %b : ({image}, tensor<24x24x1x1xf32>) -> {image}\n  \
           %s = graph.add %r, %pq : ({image}, {image}) -> {image}\n  %t = graph.relu %s : ({image}) -> {image}\n  \
           %u = graph.reduce %t {{kind = \"max\", axes = [2, 3], keepdims = false}} : ({image}) -> tensor<[N]x24xf32>\n{}  \
           %z = graph.matmul %uq, %c : (tensor<[N]x24xf32>, tensor<24x12xf32>) -> tensor<[N]x12xf32>\n  \
           return %z : tensor<[N]x12xf32>\n}}\n",
        number("zero", "113.0", "f32"),
        number("izero", "113", "i32"),
        number("low", "0.0", "f32"),
        number("high", "255.0", "f32"),
        number("ws", "0.0625", "f32"),
        number("s0", "0.03125", "f32"),
        number("s1", "0.125", "f32"),
        number("s2", "0.25", "f32"),
        quantised("xq", "x", "[N]x8x10x10", "s0"),
        weights("a", &[24, 8, 3, 3]),
        weights("b", &[24, 24, 1, 1]),
        weights("c", &[24, 12]),
        quantised("pq", "p", "[N]x24x10x10", "s1"),
        quantised("uq", "u", "[N]x24", "s2"),
    );
    let x = numbers(&mut Rng::new(5), &[3, 8, 10, 10], DType::BF16).to_f64s().unwrap();
    let x = Tensor::new(&[3, 8, 10, 10], x.into_iter().map(|v| v as f32).collect::<Vec<_>>());
    check(&text, &[x.into()], 1, Precision::F32, 0.0);
}

/// What profiles are held against is measured with the instructions that kernels have, and leaves the registers as they were.
#[test]
fn the_peak_of_tile_registers_is_measured_in_them() {
    if emulator::target().is_none() {
        return;
    }
    let before = emulator::products();
    // Four products of tiles in 16 steps, of 16 by 16 sums each.
    for (of, factors) in [(Products::Bf16Tiles, 32), (Products::ByteTiles, 64)] {
        assert_eq!(16.0 * nim_vm::multiply(of, 160), f64::from(4 * 16 * 16 * factors * 2));
    }
    if emulator::is_in_use() {
        assert!(emulator::products() >= before + 80 && emulator::is_released());
    }
}

/// A program says what multiplies in its kernels, whatever machine it is for.
#[test]
fn kernels_say_what_multiplies_in_them() {
    let text = |kind: &str, sum: &str| {
        let left = if kind == "i8" { "ui8" } else { kind };
        format!(
            "func.func @main(%x: tensor<64x64x{left}>, %w: tensor<64x64x{kind}>) -> tensor<64x64x{sum}> {{
  %a = graph.cast %x {{to = {sum}}} : (tensor<64x64x{left}>) -> tensor<64x64x{sum}>
  %b = graph.cast %w {{to = {sum}}} : (tensor<64x64x{kind}>) -> tensor<64x64x{sum}>
  %y = graph.matmul %a, %b : (tensor<64x64x{sum}>, tensor<64x64x{sum}>) -> tensor<64x64x{sum}>
  return %y : tensor<64x64x{sum}>
}}"
        )
    };
    for (kind, sum, target, expected) in [
        ("f32", "f32", emulator::TARGETS[0], Products::Single),
        ("bf16", "f32", "x86-64-v4+avx512bf16", Products::Bf16),
        ("i8", "i32", "x86-64-v4+avx512vnni", Products::Bytes),
        ("bf16", "f32", emulator::TARGETS[0], Products::Bf16Tiles),
        ("i8", "i32", emulator::TARGETS[0], Products::ByteTiles),
    ] {
        let (ctx, mut module) = parse(&text(kind, sum));
        let target = Target::parse(target).expect("a target");
        let tiles = target.has("amx-tile");
        let options = Options { threads: 1, target, tiles, ..Options::default() };
        let compiled = compile(&ctx, &mut module, &options);
        let compiled = compiled.unwrap_or_else(|found| panic!("{}", render_all(&ctx, &found, &Default::default())));
        let found = compiled.kernels.iter().map(|kernel| kernel.products).max();
        assert_eq!(found, Some(expected), "{kind} on {}", options.target);
    }
}
