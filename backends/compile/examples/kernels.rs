//! Lowers an ONNX model to machine code of its kernels and prints how long each step takes:
//! `cargo run -p nim-compiler --example kernels -- MODEL.onnx`

use nim_ir::{Context, Diagnostic};
use std::time::Instant;

fn show(ctx: &Context, diagnostics: &[Diagnostic]) {
    for d in diagnostics.iter().take(20) {
        let at = d.labels.first().and_then(|l| ctx.loc_name(l.loc)).unwrap_or("?");
        eprintln!("{} at {at}: {} {:?}", d.code, d.message, d.notes);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("a model is needed")?;
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_graph::GRAPH, &nim_dataflow::DATAFLOW, &nim_loops::LOOPS]);
    let ctx = Context::new(&dialects);
    let mut last = Instant::now();
    let mut step = |name: &str| {
        eprintln!("{name}: {:.1} ms", last.elapsed().as_secs_f64() * 1e3);
        last = Instant::now();
    };
    let model = nim_onnx::load_model(&path)?;
    let mut module = match nim_onnx::import(&ctx, &model, &nim_onnx::ImportOptions::default()) {
        Ok(module) => module,
        Err(found) => {
            show(&ctx, &found);
            return Err("import failed".into());
        }
    };
    step("import");
    show(&ctx, &nim_ir::verifier::verify_module(&ctx, &module));
    step("verify");
    show(&ctx, &nim_graph_passes::graph_to_dataflow(&ctx, &mut module));
    step("graph-to-dataflow");
    show(&ctx, &nim_ir::verifier::verify_module(&ctx, &module));
    step("verify");
    nim_dataflow_passes::outline(&ctx, &mut module);
    step("outline");
    show(&ctx, &nim_ir::verifier::verify_module(&ctx, &module));
    step("verify");
    let settings = nim_compiler::Options::default();
    let options = nim_loops_passes::Options { target: nim_compiler::target_info(&settings), ..Default::default() };
    match nim_compiler::kernels_to_loops(&ctx, &mut module, &options) {
        Ok(kernels) => eprintln!("{} kernels", kernels.len()),
        Err(found) => show(&ctx, &found),
    }
    step("dataflow-to-loops");
    show(&ctx, &nim_ir::verifier::verify_module(&ctx, &module));
    step("verify");
    match nim_compiler::compile_kernels(&ctx, &module, &settings) {
        Ok(image) => eprintln!("{} bytes of code", image.body.len()),
        Err(found) => show(&ctx, &found),
    }
    step("machine code");
    Ok(())
}
