//! Kernels that are measured by themselves: each schedule gives the same results and a time; what cannot be measured says why.

use nim_compiler::tune::measure_kernel;
use nim_compiler::{DIALECTS, Options};
use nim_ir::{Context, Diagnostic, Module, OpId};
use nim_text::{ParseOptions, parse_module};
use std::time::Duration;

fn parsed(text: &str) -> (Context, Module, OpId) {
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("kernel.nir", text.to_string());
    let (module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(!found.iter().any(Diagnostic::is_error), "{found:?}");
    let kernel = module.ops().find(|&op| module.body.is(&ctx, op, "dataflow.kernel")).expect("a kernel");
    (ctx, module, kernel)
}

fn measured(text: &str, schedules: &[&[&str]]) -> Result<Vec<Option<Duration>>, Vec<Diagnostic>> {
    let (ctx, mut module, kernel) = parsed(text);
    let options = Options { threads: 1, ..Options::default() };
    let schedules: Vec<Vec<String>> =
        schedules.iter().map(|maps| maps.iter().map(ToString::to_string).collect()).collect();
    measure_kernel(&ctx, &mut module, kernel, &options, &schedules, Duration::from_millis(5))
}

/// A product with a symbol for its rows, whose second argument is a constant, and what is done with it.
const PRODUCT: &str = "dataflow.kernel @k(%x: tensor<[N]x32xf32>, %w: tensor<32x64xf32>) -> tensor<[N]x64xf32> \
     attributes {constant_args = [1], symbols = [\"N\"]} {
  %y = dataflow.map [$0 < N, $1 < 64, $2 < 32] reads(%a = %x[$0, $2], %b = %w[$2, $1]) writes([$0, $1] add init 0.0 : f32) {
    %m = arith.mulf %a, %b : f32
    dataflow.yield %m : f32
  } : tensor<[N]x64xf32>
  %z = dataflow.map [$0 < N, $1 < 64] reads(%a = %y[$0, $1]) writes([$0, $1]) {
    %m = arith.addf %a, %a : f32
    dataflow.yield %m : f32
  } : tensor<[N]x64xf32>
  dataflow.return %z : tensor<[N]x64xf32>
}
";

#[test]
fn schedules_that_fit_are_measured_and_agree() {
    let all = measured(
        PRODUCT,
        &[
            &["auto", "auto"],
            &["tiles:rows3=$0:columns1=$1", "auto"],
            &["output:rows2:columns1:window0:depth1", "plain"],
            &["weight:rows1:columns1:window0:depth1", "auto"],
            &["tiles:rows3=$0:columns1=$1", "vectors"],
            &["winograd6", "auto"],
            &["no schedule", "auto"],
            &["auto"],
        ],
    );
    let all = all.expect("they agree");
    let measured: Vec<bool> = all.iter().map(Option::is_some).collect();
    // The fifth is the code of the second.
    assert_eq!(measured, [true, true, true, true, false, false, false, false]);
    assert!(all.iter().flatten().all(|time| *time < Duration::from_secs(1)));
}

#[test]
fn integers_agree_bit_for_bit() {
    let text = "dataflow.kernel @k(%x: tensor<9x40xui8>, %w: tensor<40x33xi8>) -> tensor<9x33xi32> attributes {constant_args = [1], symbols = []} {
  %y = dataflow.map [$0 < 9, $1 < 33, $2 < 40] reads(%a = %x[$0, $2], %b = %w[$2, $1]) writes([$0, $1] add init 0 : i32) {
    %p = arith.extui %a : i8 to i32
    %q = arith.extsi %b : i8 to i32
    %m = arith.muli %p, %q : i32
    dataflow.yield %m : i32
  } : tensor<9x33xi32>
  dataflow.return %y : tensor<9x33xi32>
}
";
    let all = measured(text, &[&["auto"], &["plain"], &["words:rows3=$0:columns2=$1:packs1"]]).expect("they agree");
    assert!(all.iter().all(Option::is_some), "{all:?}");
}

#[test]
fn what_would_reach_beyond_its_buffers_is_not_run() {
    // What is read lies inside only if M is at most N - 1, which the kernel does not say.
    let text = "dataflow.kernel @k(%x: tensor<[N]xf32>, %y: tensor<[M]xf32>) -> tensor<[M]xf32> attributes {symbols = [\"N\", \"M\"]} {
  %z = dataflow.map [$0 < M] reads(%a = %x[$0 + 1], %b = %y[$0]) writes([$0]) {
    %m = arith.mulf %a, %b : f32
    dataflow.yield %m : f32
  } : tensor<[M]xf32>
  dataflow.return %z : tensor<[M]xf32>
}
";
    let found = measured(text, &[&["auto"], &["plain"]]).expect_err("it may not be run");
    assert_eq!(found[0].code, "N0760");
    assert!(found[0].message.contains("its sizes depend on each other"), "{}", found[0].message);
}
