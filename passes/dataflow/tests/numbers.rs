//! `dataflow-simplify-numbers` changes no bit of a result, whatever the inputs: ties, bounds, zeros of both signs, infinities, NaN.

use nim_ir::{Context, Module, verifier::verify_module};
use nim_tensor::{Tensor, Value};
use std::fmt::Write;

fn context() -> Context {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_graph::GRAPH, &nim_dataflow::DATAFLOW]);
    Context::new(&dialects)
}

/// A quantised number and what is made of it again, of one kind of byte.
struct Chain {
    signed: bool,
    scale: f32,
    zero: i32,
}

impl Chain {
    fn bounds(&self) -> (i32, i32) {
        if self.signed { (-128, 127) } else { (0, 255) }
    }
    /// `%to`: `%from` as a byte.
    fn quantise(&self, text: &mut String, from: &str, to: &str) {
        let ((low, high), convert) = (self.bounds(), if self.signed { "fptosi" } else { "fptoui" });
        let (scale, zero) = (self.scale, self.zero);
        write!(
            text,
            "%{to}s = arith.constant {scale:?} : f32\n%{to}z = arith.constant {zero}.0 : f32\n\
             %{to}l = arith.constant {low}.0 : f32\n%{to}h = arith.constant {high}.0 : f32\n\
             %{to}d = arith.divf %{from}, %{to}s : f32\n%{to}r = math.roundeven %{to}d : f32\n\
             %{to}t = arith.addf %{to}r, %{to}z : f32\n\
             %{to}g = arith.cmpf ogt, %{to}t, %{to}l : f32\n%{to}m = arith.select %{to}g, %{to}t, %{to}l : f32\n\
             %{to}k = arith.cmpf olt, %{to}m, %{to}h : f32\n%{to}n = arith.select %{to}k, %{to}m, %{to}h : f32\n\
             %{to} = arith.{convert} %{to}n : f32 to i8\n"
        )
        .unwrap();
    }
    /// `%to`: the byte `%from` scaled back.
    fn dequantise(&self, text: &mut String, from: &str, to: &str) {
        let (zero, scale, widen) = (self.zero, self.scale, if self.signed { "extsi" } else { "extui" });
        write!(
            text,
            "%{to}w = arith.{widen} %{from} : i8 to i32\n%{to}z = arith.constant {zero} : i32\n\
             %{to}c = arith.subi %{to}w, %{to}z : i32\n%{to}f = arith.sitofp %{to}c : i32 to f32\n\
             %{to}s = arith.constant {scale:?} : f32\n%{to} = arith.mulf %{to}f, %{to}s : f32\n"
        )
        .unwrap();
    }
}

fn bits(ctx: &Context, module: &Module, x: &Tensor) -> Vec<Vec<u8>> {
    let found = nim_interp::exec::run(ctx, module, "main", &[Value::Tensor(x.clone())]).unwrap();
    found.iter().map(|v| v.as_tensor().unwrap().bytes().to_vec()).collect()
}

/// Quantises an input, scales it back, quantises that in another way, and answers all four numbers.
fn check(first: &Chain, second: &Chain) {
    let mut body = String::new();
    first.quantise(&mut body, "p", "a");
    first.dequantise(&mut body, "a", "b");
    second.quantise(&mut body, "b", "c");
    second.dequantise(&mut body, "c", "d");
    let kind = |chain: &Chain| if chain.signed { "i8" } else { "ui8" };
    let (a, c) = (kind(first), kind(second));
    let text = format!(
        "func.func @main(%x: tensor<[N]xf32>) -> (tensor<[N]x{a}>, tensor<[N]xf32>, tensor<[N]x{c}>, tensor<[N]xf32>) {{\n\
         %y, %z, %v, %w = dataflow.map [$0 < N] reads(%p = %x[$0]) writes([$0], [$0], [$0], [$0]) {{\n{body}\
         dataflow.yield %a, %b, %c, %d : i8, f32, i8, f32\n\
         }} : tensor<[N]x{a}>, tensor<[N]xf32>, tensor<[N]x{c}>, tensor<[N]xf32>\n\
         return %y, %z, %v, %w : tensor<[N]x{a}>, tensor<[N]xf32>, tensor<[N]x{c}>, tensor<[N]xf32>\n}}\n"
    );
    let ctx = context();
    let source = ctx.add_source("numbers.nir", &text);
    let (mut module, found) = nim_text::parse_module(&ctx, source, &nim_text::ParseOptions::default());
    assert_eq!(found, [], "{text}");
    // Integers, ties and their neighbours, and what is none of these.
    let mut inputs = vec![0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-42, -1e-42];
    for half in -600..=600 {
        let x = half as f32 * 0.5 * first.scale;
        inputs.extend([x.next_down(), x, x.next_up()]);
    }
    let x = Tensor::new(&[inputs.len()], inputs);
    let expected = bits(&ctx, &module, &x);
    let rewrites = nim_dataflow_passes::simplify_numbers(&ctx, &mut module);
    let after = nim_text::print_module(&ctx, &module, &nim_text::PrintOptions::default());
    assert!(rewrites > 0, "{after}");
    assert_eq!(verify_module(&ctx, &module), [], "{after}");
    let found = bits(&ctx, &module, &x);
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let at = found.iter().zip(expected).position(|(f, e)| f != e);
        assert_eq!(at, None, "result {i}, scale {} zero {}\n{text}\n{after}", first.scale, first.zero);
    }
}

#[test]
fn no_bit_changes() {
    let scales = [1.0, 0.5, 0.1, 0.0127, 3.7e-5, 1234.5, 1.0 / 255.0];
    let zeros = [0, 1, -1, 7, 127, -128, 128, 255];
    for signed in [false, true] {
        let fits = |z: &&i32| if signed { (-128..=127).contains(*z) } else { (0..=255).contains(*z) };
        for &scale in &scales {
            for &zero in zeros.iter().filter(fits) {
                let first = Chain { signed, scale, zero };
                check(&first, &Chain { signed, scale, zero });
                check(&first, &Chain { signed: !signed, scale: scale * 0.7, zero: 3 });
            }
        }
    }
}
