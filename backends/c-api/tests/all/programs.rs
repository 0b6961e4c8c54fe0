//! Programs in C.

use crate::support::{Link, build, model, model_for, root, run, scratch};
use std::path::Path;
use std::process::Command;

#[test]
fn the_example_of_the_docs_runs() {
    let folder = scratch("example");
    let text = std::fs::read_to_string(root().join("docs/examples/recurrent.nir")).expect("the model");
    let model = model(&folder, &text);
    for link in [Link::Shared, Link::Static] {
        let program = build(&root().join("docs/examples/c/recurrent.c"), &folder, link);
        let found = run(Command::new(program).arg(&model));
        let expected = "\
input x: tensor<[N]x2xf32>, dimensions N (-1) 2 (2)
input h: tensor<[N]x3xf32>, dimensions N (-1) 3 (3)
output h_next: tensor<[N]x3xf32>, dimensions N (-1) 3 (3)
step 0: 1 0 0 0.5 2 0.25
step 1: 2.5 0 0 0.75 3 2.375
step 2: 4.25 0 0 0.875 3.5 4.4375
refused: dimension 0 of input `h` is 2, it must be N = 1, where N = 1 is dimension 0 of input `x`; the shape is [2, 3] (node `matmul`)
step 3: 2x3, first row 6.125 0 0
";
        assert_eq!(found, expected, "{link:?}");
    }
}

fn own(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

#[test]
fn nonsense_is_answered_with_errors() {
    let folder = scratch("nonsense");
    let text = r#"
graph.adt @List { nil(), cons(tensor<[K]xf32>, !graph.adt<@List>) }
func.func @main(%x: tensor<[N]xf32>, %l: !graph.adt<@List>, %s: tensor<[M]x!graph.string>)
    -> (!graph.adt<@List>, tensor<[N]xf32>, tensor<[M]x!graph.string>) {
  %n = graph.neg %x : (tensor<[N]xf32>) -> tensor<[N]xf32>
  %y = graph.construct cons(%n, %l) : (tensor<[N]xf32>, !graph.adt<@List>) -> !graph.adt<@List>
  return %y, %x, %s : !graph.adt<@List>, tensor<[N]xf32>, tensor<[M]x!graph.string>
}"#;
    let model = model(&folder, text);
    let program = build(&own("nonsense.c"), &folder, Link::Shared);
    assert_eq!(run(Command::new(program).arg(&model)), "fine\n");
}

#[test]
fn eight_threads_share_one_program() {
    let folder = scratch("threads");
    let text = r#"
func.func @main(%x: tensor<[N]x[D]xf32>) -> (tensor<[N]x[D]xf32>, tensor<[D]xf32>) {
  %e = graph.tanh %x : (tensor<[N]x[D]xf32>) -> tensor<[N]x[D]xf32>
  %s = graph.reduce %e {axes = array<i64: 0>, kind = "sum"} : (tensor<[N]x[D]xf32>) -> tensor<[D]xf32>
  %t = graph.transpose %e {perm = array<i64: 1, 0>} : (tensor<[N]x[D]xf32>) -> tensor<[D]x[N]xf32>
  %g = graph.matmul %e, %t : (tensor<[N]x[D]xf32>, tensor<[D]x[N]xf32>) -> tensor<[N]x[N]xf32>
  %y = graph.matmul %g, %e : (tensor<[N]x[N]xf32>, tensor<[N]x[D]xf32>) -> tensor<[N]x[D]xf32>
  return %y, %s : tensor<[N]x[D]xf32>, tensor<[D]xf32>
}"#;
    let model = model(&folder, text);
    let program = build(&own("threads.c"), &folder, Link::Shared);
    assert_eq!(run(Command::new(program).arg(&model)), "80000 calls equal the serial ones\n");
}

/// The maker in C has a program for one of the two shapes that are hot, and none for the other.
#[test]
fn hot_shapes_get_programs_of_their_own() {
    let folder = scratch("specialise");
    let text = r#"
func.func @main(%x: tensor<[N]x4xf32>, %w: tensor<4x[M]xf32>) -> tensor<[N]x[M]xf32> {
  %y = graph.matmul %x, %w : (tensor<[N]x4xf32>, tensor<4x[M]xf32>) -> tensor<[N]x[M]xf32>
  return %y : tensor<[N]x[M]xf32>
}"#;
    let model = model(&folder, text);
    model_for(&folder, text, Some(&[&[8, 4], &[4, 3]]));
    let program = build(&own("specialise.c"), &folder, Link::Shared);
    let found = run(Command::new(program).arg(&model));
    assert_eq!(
        found,
        "asked for 8x4,4x3\nasked for 5x4,4x3\n2 shapes, 1 ready, 1 refused, 4 runs of it\nreleased 2 times\n"
    );
}
