//! One case at every level, compared with the interpreter at the level of `graph`.

use super::generate::Case;
use nim_compiler::{DIALECTS, Level, Options, compile, lower};
use nim_dyn_passes::place::Rule;
use nim_interp::device::InterpreterDevice;
use nim_ir::{Context, Diagnostic, Module, verifier::verify_module};
use nim_llvm::Target;
use nim_tensor::{Tensor, Tolerance, Value, compare};
use nim_text::{ParseOptions, parse_module, render_all};
use nim_vm::Session;
use nim_vm::device::{CpuDevice, Devices};
use std::sync::Arc;

/// Sizes of `N` and `M` that each case runs with, unless it needs larger ones.
const SIZES: [[i64; 2]; 4] = [[3, 5], [1, 1], [0, 2], [17, 9]];

/// Machines that code is made for, in turn.
const TARGETS: [&str; 4] = ["host", "x86-64-v3", "x86-64-v4", "x86-64-v2"];

fn parse(text: &str) -> Result<(Context, Module), String> {
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("random.nir", text);
    let (module, mut found) = parse_module(&ctx, source, &ParseOptions::default());
    found.extend(verify_module(&ctx, &module));
    if found.is_empty() { Ok((ctx, module)) } else { Err(format!("graph: {}", show(&ctx, &found))) }
}

fn show(ctx: &Context, found: &[Diagnostic]) -> String {
    render_all(ctx, found, &Default::default())
}

/// The level that differs first, and how.
pub fn check(case: &Case) -> Result<(), String> {
    let sizes: Vec<[i64; 2]> = SIZES.into_iter().filter(|s| case.fits(s)).collect();
    let inputs: Vec<Vec<Value>> = sizes.iter().map(|s| case.inputs(s)).collect();
    let (ctx, module) = parse(&case.text)?;
    let run = |ctx: &Context, module: &Module, inputs: &[Value]| {
        nim_interp::exec::run(ctx, module, "main", inputs).map_err(|found| show(ctx, &[found]))
    };
    let expected: Vec<Vec<Value>> = inputs
        .iter()
        .map(|i| run(&ctx, &module, i))
        .collect::<Result<_, _>>()
        .map_err(|why| format!("graph: {why}"))?;

    // other machines have other vectors; those that this one is not do not run here
    let target = TARGETS[(case.seed % TARGETS.len() as u64) as usize];
    let target = Target::parse(target).ok().filter(Target::supported_on_host).unwrap_or_else(Target::host);
    let one_thread = Options { threads: 1, verify: true, target, ..Options::default() };
    let plain = Options { fuse: false, naive: true, plan: false, fold: false, strict: true, ..one_thread.clone() };
    let ways = [
        ("dataflow", Level::Dataflow, &plain),
        ("dataflow, fused", Level::Dataflow, &one_thread),
        ("loops, naive", Level::Loops, &plain),
        ("loops", Level::Loops, &one_thread),
        ("dyn", Level::Dyn, &one_thread),
    ];
    for (name, level, options) in ways {
        let (ctx, mut module) = parse(&case.text)?;
        lower(&ctx, &mut module, options, level).map_err(|found| format!("{name}: {}", show(&ctx, &found)))?;
        for (k, inputs) in inputs.iter().enumerate() {
            let place = format!("{name}, [N, M] = {:?}", sizes[k]);
            let found = run(&ctx, &module, inputs).map_err(|why| format!("{place}: {why}"))?;
            same(case, &found, &expected[k]).map_err(|why| format!("{place}: {why}"))?;
        }
    }
    let mut devices = Devices::default();
    // What has no machine code runs by the IR that the program has of its kernels.
    devices.insert("dsp", Arc::new(InterpreterDevice::default()));
    match case.seed % 4 {
        1 => devices.insert("npu", Arc::new(InterpreterDevice::default())),
        _ => devices.insert("npu", Arc::new(CpuDevice)),
    }
    let placed = Options { place: placed(case, &one_thread)?, ..one_thread.clone() };
    for (name, options) in [("machine code", &one_thread), ("machine code, naive", &plain), ("on devices", &placed)] {
        let (ctx, mut module) = parse(&case.text)?;
        let compiled =
            compile(&ctx, &mut module, options).map_err(|found| format!("{name}: {}", show(&ctx, &found)))?;
        let program = compiled.program.into_program_on(&devices).map_err(|why| format!("{name}: {why}"))?;
        let settings = nim_vm::Options { threads: 2, parallel_work: 0, ..nim_vm::Options::default() };
        let mut session = Session::new(&program, settings);
        // Shapes that come again are replayed from what the second run writes down.
        for (k, inputs) in inputs.iter().enumerate().chain(inputs.iter().enumerate()).chain(inputs.iter().enumerate()) {
            let place = format!("{name}, [N, M] = {:?}", sizes[k]);
            let found = session.run(inputs).map_err(|why| format!("{place}: {why}"))?;
            same(case, &found, &expected[k]).map_err(|why| format!("{place}: {why}"))?;
        }
    }
    Ok(())
}

/// Kernels by turns on two devices and the host, or on one.
fn placed(case: &Case, options: &Options) -> Result<Vec<Rule>, String> {
    let (ctx, mut module) = parse(&case.text)?;
    lower(&ctx, &mut module, options, Level::Dataflow).map_err(|found| show(&ctx, &found))?;
    let kernels = module.ops().filter(|&op| module.body.is(&ctx, op, "dataflow.kernel"));
    let names = kernels.filter_map(|op| module.symbol_name(&ctx, op).map(str::to_owned));
    let device = |i: usize| ["npu", "host", "dsp"][if case.seed.is_multiple_of(2) { i % 3 } else { 0 }];
    let rules = names.enumerate().map(|(i, pattern)| Rule { pattern, device: device(i).into() });
    Ok(rules.filter(|rule| rule.device != "host").collect())
}

fn same(case: &Case, found: &[Value], expected: &[Value]) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} results instead of {}", found.len(), expected.len()));
    }
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let atol = case.slack[i];
        let result = compare(found, expected, &Tolerance { rtol: 1e-4, atol, scaled_atol: 0.0 });
        if let Some(first) = &result.first {
            let (f, e) = (found.as_tensor().map(elements), expected.as_tensor().map(elements));
            return Err(format!("result {i} differs at {first:?} (atol {atol:e})\nfound    {f:?}\nexpected {e:?}"));
        }
    }
    Ok(())
}

fn elements(tensor: &Tensor) -> (Vec<usize>, Vec<f64>) {
    let size = tensor.dtype().size();
    let values = tensor.bytes().chunks_exact(size).take(24).map(|b| nim_tensor::f64_of(tensor.dtype(), b));
    (tensor.dims().to_vec(), values.collect())
}
