//! `loops-to-mlir` as a step of a pipeline: kernels as functions of upstream's dialects. Here because reading what it emits takes
//! upstream's parser.

use nim_ir::{Body, Context, Diagnostic, Loc, Module, OpId};
use nim_loops_passes::{TargetInfo, loops_to_mlir_text};
use nim_pass::{Pass, PassContext, PassReport};
use nim_text::{ParseOptions, parse_module};

/// The pass.
pub struct LoopsToMlir;

impl Pass for LoopsToMlir {
    fn name(&self) -> &'static str {
        "loops-to-mlir"
    }
    fn description(&self) -> &'static str {
        "Kernels as functions of upstream's dialects; a kernel stays beside its functions while the program refers to it"
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["loops.kernel"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let ctx = pass.ctx;
        let (mut report, mut failed) = (PassReport::new(), vec![]);
        let kernels: Vec<OpId> = module.ops().filter(|&op| module.body.is(ctx, op, "loops.kernel")).collect();
        for kernel in kernels {
            let functions = loops_to_mlir_text(ctx, &module.body, kernel, &TargetInfo::default());
            match functions.and_then(|text| read(ctx, text)) {
                Ok(functions) => {
                    put_behind(pass, module, kernel, &functions);
                    report.count("kernels", 1);
                }
                Err(found) => failed.push(found),
            }
        }
        if failed.is_empty() { Ok(report) } else { Err(failed) }
    }
}

fn read(ctx: &Context, text: String) -> Result<Module, Diagnostic> {
    let source = ctx.add_source("<loops-to-mlir>", text);
    let options = ParseOptions { upstream: crate::upstream(), ..ParseOptions::default() };
    let (functions, found) = parse_module(ctx, source, &options);
    found.into_iter().find(Diagnostic::is_error).map_or(Ok(functions), Err)
}

/// Puts the functions of a kernel behind it; the kernel goes when nobody refers to it.
fn put_behind(pass: &PassContext<'_>, module: &mut Module, kernel: OpId, functions: &Module) {
    let ctx = pass.ctx;
    let loc = pass.derived(module.body.loc(kernel));
    let mut mapping = nim_ir::clone::Mapping::default();
    let mut behind = kernel;
    for op in functions.ops() {
        let copy = module.body.clone_op_from(&functions.body, op, &mut mapping);
        settle(&mut module.body, copy, loc);
        module.body.insert_after(behind, copy);
        behind = copy;
    }
    let name = module.symbol_name(ctx, kernel).map(|name| ctx.attr(nim_ir::AttrData::SymbolRef(vec![ctx.name(name)])));
    if !module.ops().any(|op| op != kernel && refers(&module.body, op, name)) {
        module.body.erase(kernel);
    }
}

fn settle(body: &mut Body, op: OpId, loc: Loc) {
    for op in body.walk_op(op) {
        body.set_loc(op, loc);
        if let Some(mut nested) = body.take_nested(op) {
            let blocks: Vec<_> = nested.root_regions().iter().flat_map(|&r| nested.blocks(r).to_vec()).collect();
            let ops: Vec<OpId> = blocks.iter().flat_map(|&b| nested.block_ops(b)).collect();
            ops.into_iter().for_each(|op| settle(&mut nested, op, loc));
            body.set_nested(op, nested);
        }
    }
}

fn refers(body: &Body, op: OpId, symbol: Option<nim_ir::Attr>) -> bool {
    body.walk_op(op).into_iter().any(|op| {
        let inside = |nested: &Body| nested.walk().into_iter().any(|op| refers(nested, op, symbol));
        body.attrs(op).iter().any(|(_, attr)| Some(attr) == symbol) || body.nested(op).is_some_and(inside)
    })
}
