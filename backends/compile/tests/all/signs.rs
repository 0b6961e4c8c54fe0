//! Binary layers: two-valued activations and weights give exactly what the graph says, and are counts of bits.

use crate::{parse, random::rng::Rng};
use nim_compiler::{Level, Options, compile, lower};
use nim_ir::{Context, Module};
use nim_llvm::Target;
use nim_tensor::{Tensor, Value};
use nim_text::render_all;
use nim_vm::Session;

fn dense(values: &[f32], dims: &[usize]) -> String {
    let mut items: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
    for &d in dims.iter().rev() {
        items = items.chunks(d).map(|c| format!("[{}]", c.join(", "))).collect();
    }
    format!("dense<{}>", items.concat())
}

fn shape(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(|d| format!("{d}x")).collect();
    format!("tensor<{}f32>", dims.concat())
}

fn floats(rng: &mut Rng, dims: &[usize]) -> Tensor {
    let special = [f32::NAN, 0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY];
    let one = |_| if rng.below(8) == 0 { special[rng.below(5)] } else { rng.below(2001) as f32 - 1000.0 };
    Tensor::new(dims, (0..dims.iter().product()).map(one).collect())
}

/// Two-valued activations from `%x`, in one of the ways that models have.
fn activations(rng: &mut Rng, ty: &str) -> String {
    let bits = ty.replace("f32", "i1");
    let scalar = |name: &str, v: f32| {
        format!("%{name} = \"graph.constant\"() {{value = dense<{v:?}> : tensor<f32>}} : () -> tensor<f32>\n")
    };
    let predicate = ["ge", "gt", "lt"][rng.below(3)];
    let (high, scale) = ([1.0, 0.5, 3.0][rng.below(3)], 2.0);
    let compare =
        format!("%c = graph.compare %x, %zero {{predicate = \"{predicate}\"}} : ({ty}, tensor<f32>) -> {bits}\n");
    let rest = match rng.below(2) {
        0 => format!("%s = graph.select %c, %high, %low : ({bits}, tensor<f32>, tensor<f32>) -> {ty}\n"),
        _ => format!(
            "%f = graph.cast %c {{to = f32}} : ({bits}) -> {ty}\n\
             %d = graph.mul %f, %scale : ({ty}, tensor<f32>) -> {ty}\n\
             %s = graph.sub %d, %one : ({ty}, tensor<f32>) -> {ty}\n"
        ),
    };
    [scalar("zero", 0.0), scalar("high", high), scalar("low", -high), scalar("scale", scale), scalar("one", 1.0)]
        .concat()
        + &compare
        + &rest
}

fn check(text: &str, x: Tensor, packs: bool) {
    let inputs: Vec<Value> = vec![x.into()];
    let run = |ctx: &Context, module: &Module| {
        nim_interp::exec::run(ctx, module, "main", &inputs)
            .unwrap_or_else(|found| panic!("{}\n{text}", render_all(ctx, &[found], &Default::default())))
    };
    let (ctx, module) = parse(text);
    let expected = run(&ctx, &module);
    for target in ["host", "x86-64-v3", "x86-64"] {
        let target = Target::parse(target).unwrap();
        let options = Options { threads: 1, verify: true, target, ..Options::default() };
        let (ctx, mut module) = parse(text);
        lower(&ctx, &mut module, &options, Level::Loops).expect("lowers");
        let loops = nim_text::print_module(&ctx, &module, &Default::default());
        assert_eq!(loops.contains("math.ctpop"), packs, "{text}\n{loops}");
        assert_eq!(run(&ctx, &module), expected, "at the level of loops: {text}");
        let (ctx, mut module) = parse(text);
        let program = compile(&ctx, &mut module, &options).expect("compiles").program.into_program().unwrap();
        let found = Session::new(&program, nim_vm::Options::default()).run(&inputs).unwrap();
        assert_eq!(found, expected, "{}: {text}", options.target);
    }
}

#[test]
fn convolutions() {
    for seed in 0..12 {
        let mut rng = Rng::new(seed);
        let (channels, outputs) = (8 + rng.below(60), 1 + rng.below(20));
        let (stride, pad, dilation) = (1 + rng.below(2), rng.below(3), 1 + rng.below(2));
        let taps = [1 + rng.below(3), 1 + rng.below(4)];
        let size = taps.map(|t| dilation * (t - 1) + 1 + rng.below(7));
        let [height, width] = [0, 1].map(|k| (size[k] + 2 * pad - dilation * (taps[k] - 1) - 1) / stride + 1);
        let (x, w) = (vec![1, channels, size[0], size[1]], vec![outputs, channels, taps[0], taps[1]]);
        let scale = [1.0, 0.25, 3.0][rng.below(3)];
        let weights: Vec<f32> =
            (0..w.iter().product()).map(|_| if rng.below(2) == 0 { scale } else { -scale }).collect();
        let (tx, tw, ty) = (shape(&x), shape(&w), shape(&[1, outputs, height, width]));
        let text = format!(
            "func.func @main(%x: {tx}) -> {ty} {{\n{}\
             %w = \"graph.constant\"() {{value = {} : {tw}}} : () -> {tw}\n\
             %y = graph.conv %s, %w {{strides = [{stride}, {stride}], pads = [{pad}, {pad}, {pad}, {pad}], \
             dilations = [{dilation}, {dilation}], groups = 1}} : ({tx}, {tw}) -> {ty}\nreturn %y : {ty}\n}}\n",
            activations(&mut rng, &tx),
            dense(&weights, &w),
        );
        check(&text, floats(&mut rng, &x), true);
    }
}

#[test]
fn products() {
    for seed in 0..6 {
        let mut rng = Rng::new(seed);
        let (m, k, n) = (1 + rng.below(9), 8 + rng.below(90), 1 + rng.below(40));
        let weights: Vec<f32> = (0..k * n).map(|_| if rng.below(2) == 0 { 1.0 } else { -1.0 }).collect();
        let (tx, tw, ty) = (shape(&[m, k]), shape(&[k, n]), shape(&[m, n]));
        let text = format!(
            "func.func @main(%x: {tx}) -> {ty} {{\n{}\
             %w = \"graph.constant\"() {{value = {} : {tw}}} : () -> {tw}\n\
             %y = graph.matmul %s, %w : ({tx}, {tw}) -> {ty}\nreturn %y : {ty}\n}}\n",
            activations(&mut rng, &tx),
            dense(&weights, &[k, n]),
        );
        check(&text, floats(&mut rng, &[m, k]), true);
    }
}

/// What is not exact is left alone: three values, signs of what may be NaN, sums that a float cannot hold.
#[test]
fn left_alone() {
    let layer = |activation: &str, weight: &str| {
        format!(
            "func.func @main(%x: tensor<2x16xf32>) -> tensor<2x3xf32> {{\n\
             %zero = \"graph.constant\"() {{value = dense<0.0> : tensor<f32>}} : () -> tensor<f32>\n\
             %one = \"graph.constant\"() {{value = dense<1.0> : tensor<f32>}} : () -> tensor<f32>\n\
             %odd = \"graph.constant\"() {{value = dense<0.1> : tensor<f32>}} : () -> tensor<f32>\n\
             %minus = \"graph.constant\"() {{value = dense<-0.1> : tensor<f32>}} : () -> tensor<f32>\n\
             %c = graph.compare %x, %zero {{predicate = \"ge\"}} : (tensor<2x16xf32>, tensor<f32>) -> tensor<2x16xi1>\n\
             {activation}\
             %w = \"graph.constant\"() {{value = dense<{weight}> : tensor<16x3xf32>}} : () -> tensor<16x3xf32>\n\
             %y = graph.matmul %s, %w : (tensor<2x16xf32>, tensor<16x3xf32>) -> tensor<2x3xf32>\n\
             return %y : tensor<2x3xf32>\n}}\n"
        )
    };
    let select = |high: &str, low: &str| {
        format!(
            "%s = graph.select %c, {high}, {low} : (tensor<2x16xi1>, tensor<f32>, tensor<f32>) -> tensor<2x16xf32>\n"
        )
    };
    let sign = "%s = graph.sign %x : (tensor<2x16xf32>) -> tensor<2x16xf32>\n";
    let x = || Tensor::new(&[2, 16], (0..32).map(|i| i as f32 - 16.0).collect());
    check(&layer(sign, "1.0"), x(), false);
    check(&layer(&select("%one", "%zero"), "1.0"), x(), false);
    check(&layer(&select("%one", "%minus"), "1.0"), x(), false);
    // 0.1 times a count is not what sums of 0.1 are.
    let tenths = format!("%other = graph.neg %odd : (tensor<f32>) -> tensor<f32>\n{}", select("%odd", "%other"));
    check(&layer(&tenths, "1.0"), x(), false);
}
