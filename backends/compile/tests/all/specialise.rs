//! Shapes that are run often are compiled for themselves while the program runs.

use crate::threads::TEXT;
use nim_compiler::{DIALECTS, Options, Recompile, compile};
use nim_ir::{Context, Module};
use nim_tensor::{Tensor, Value};
use nim_text::{ParseOptions, parse_module, render_all};
use nim_vm::{Program, Session, SpecialiseOptions, SpecialisedState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The program of [`crate::threads`] with a layer of weights in front of it.
fn text() -> String {
    let mut weights = String::new();
    for row in 0..8 {
        let element = |col: usize| format!("{:?}", ((row * 13 + col * 7) % 19) as f32 / 9.0 - 1.0);
        let elements: Vec<String> = (0..8).map(element).collect();
        weights += &format!("{}[{}]", if row > 0 { ", " } else { "" }, elements.join(", "));
    }
    let layer = format!(
        "{{\n  graph.assume S {{max = 512}}\n  %w = graph.constant {{value = dense<[{weights}]> : tensor<8x8xf32>}} : () -> tensor<8x8xf32>\n  \
         %q = graph.matmul %x, %w : (tensor<[S]x8xf32>, tensor<8x8xf32>) -> tensor<[S]x8xf32>\n"
    );
    TEXT.replacen("{\n", &layer, 1).replace("graph.matmul %x, %t", "graph.matmul %q, %t")
}

fn module(text: &str) -> Result<(Context, Module), String> {
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("test.nir", text.to_owned());
    let (module, found) = parse_module(&ctx, source, &ParseOptions::default());
    match found.is_empty() {
        true => Ok((ctx, module)),
        false => Err(render_all(&ctx, &found, &Default::default())),
    }
}

fn options() -> Options {
    Options { threads: 1, ..Options::default() }
}

fn program(text: &str) -> Program {
    let (ctx, mut module) = module(text).unwrap();
    let compiled = compile(&ctx, &mut module, &options());
    let compiled = compiled.unwrap_or_else(|found| panic!("{}", render_all(&ctx, &found, &Default::default())));
    compiled.program.into_program().unwrap()
}

fn input(length: usize, seed: usize) -> Vec<Value> {
    let element = |i: usize| ((i * 2_654_435_761 + seed * 97) % 2001) as f32 / 1000.0 - 1.0;
    vec![Tensor::new(&[length, 8], (0..8 * length).map(element).collect::<Vec<_>>()).into()]
}

fn session(program: &Program) -> Session {
    Session::new(program, nim_vm::Options { threads: 1, ..nim_vm::Options::default() })
}

fn wait(program: &Program) {
    while program.is_specialising() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// What runs for a shape in the end gives bit for bit what the program gives that is compiled for this shape alone.
#[test]
fn results_are_those_of_the_program_for_one_shape() {
    let text = text();
    let base = program(&text);
    let maker = Recompile::new(
        {
            let text = text.clone();
            move || module(&text)
        },
        options(),
    );
    let hot = base.specialised_by(Arc::new(maker), SpecialiseOptions { after: 2, ..SpecialiseOptions::default() });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Others run meanwhile, and are near the program for all shapes at any time.
        for thread in 0..2 {
            let (hot, base, done) = (&hot, &base, &done);
            scope.spawn(move || {
                let (mut ours, mut theirs) = (session(hot), session(base));
                for i in 0.. {
                    if done.load(Ordering::Relaxed) && i > 100 {
                        break;
                    }
                    let input = input([3, 9, 16, 20][(i + thread) % 4], i);
                    let (a, b) = (ours.run(&input).unwrap(), theirs.run(&input).unwrap());
                    let near = |a: &Value, b: &Value| {
                        let (a, b) = (a.as_tensor().unwrap(), b.as_tensor().unwrap());
                        let (a, b) = (a.elements::<f32>(), b.elements::<f32>());
                        a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() < 1e-4)
                    };
                    assert!(near(&a[0], &b[0]) && near(&a[1], &b[1]));
                }
            });
        }
        let mut ours = session(&hot);
        for length in [9, 16] {
            for _ in 0..2 {
                ours.run(&input(length, 0)).unwrap();
            }
            wait(&hot);
            let fixed = program(
                &text
                    .replace("  graph.assume S {max = 512}\n", "")
                    .replace("[S]", &length.to_string())
                    .replace("\"S\"", &format!("\"{length}\"")),
            );
            let mut fixed = session(&fixed);
            for seed in 0..20 {
                let input = input(length, seed);
                assert_eq!(ours.run(&input).unwrap(), fixed.run(&input).unwrap());
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let report = hot.specialised();
    for shape in ["x=9x8", "x=16x8"] {
        let found = report.iter().find(|s| s.shape == shape).unwrap();
        let SpecialisedState::Ready { runs, constants, .. } = found.state else { panic!("{found}") };
        // The weights are not there twice.
        assert!(runs >= 20 && constants < 8 * 8 * 4, "{found}");
    }
}

/// Shapes that the model excludes are not compiled, and a model that cannot be read again is no harm.
#[test]
fn a_compile_error_is_harmless() {
    let text = text();
    let base = program(&text);
    let other = "func.func @main(%x: tensor<[S]x9xf32>) -> tensor<[S]x9xf32> { return %x : tensor<[S]x9xf32> }";
    for found in [None, Some(other), Some("func.func @other() { return }")] {
        let again = move || found.map_or(Err("the file is gone".to_owned()), module);
        let maker = Arc::new(Recompile::new(again, options()));
        let hot = base.specialised_by(maker, SpecialiseOptions { after: 1, ..SpecialiseOptions::default() });
        let (mut ours, mut theirs) = (session(&hot), session(&base));
        for seed in 0..3 {
            assert_eq!(ours.run(&input(7, seed)).unwrap(), theirs.run(&input(7, seed)).unwrap());
            wait(&hot);
        }
        assert!(matches!(hot.specialised()[0].state, SpecialisedState::Refused(_)), "{:?}", hot.specialised());
    }
}
