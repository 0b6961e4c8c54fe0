//! `--report`: what a user wants to know of a model before trying it.
//!
//! Everything is read off what the tools do themselves: operators off the importer's rules, work and movement off the maps that
//! the model becomes, memory off the plan of its buffers.

use nim_builtin::func::Func;
use nim_dyn::Alloc;
use nim_graph_passes::fold::FoldOptions;
use nim_ir::{Body, Builder, Context, Diagnostic, Expr, Module};
use nim_onnx::{
    ImportOptions, LoadedModel,
    import::inventory::{self, OperatorUse},
};
use nim_tensor::Value;
use nim_tools::{Failure, source::Source};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// The report of a model.
///
/// # Errors
/// A text that cannot be read. An ONNX model that cannot be imported is reported as such.
pub fn report(ctx: &Context, source: &Source, options: &ImportOptions) -> Result<String, Failure> {
    let mut out = String::new();
    let (mut module, operators) = match source.onnx() {
        None => (source.module(ctx, options)?, vec![]),
        Some(model) => {
            head(&mut out, model);
            let operators = inventory::operators(model);
            match nim_onnx::import(ctx, model, options) {
                Ok(module) => (module, operators),
                Err(found) => {
                    support(&mut out, ctx, &operators, &found, &[]);
                    let _ = writeln!(out, "\nThe model cannot be imported; its work and memory are not known.");
                    // What no rule is there for stands in the table already.
                    for d in found.iter().filter(|d| d.code != nim_onnx::NOT_SUPPORTED) {
                        let node = d.labels.iter().find_map(|l| ctx.loc_name(l.loc));
                        let node = node.map_or(String::new(), |n| format!(" (node {n:?})"));
                        let _ = writeln!(out, "{}: {}{node}", d.code, d.message);
                    }
                    return Ok(out);
                }
            }
        }
    };
    let interface = interface(ctx, &module);
    let lowered = lower(ctx, &mut module);
    if !operators.is_empty() {
        support(&mut out, ctx, &operators, &[], &lowered.found);
    }
    out.push_str(&interface);
    work(&mut out, ctx, &lowered);
    Ok(out)
}

/// Opsets and parameters.
fn head(out: &mut String, model: &LoadedModel) {
    let shown = |(domain, version): (&String, &i64)| match domain.as_str() {
        "" => format!("ai.onnx {version}"),
        domain => format!("{domain} {version}"),
    };
    let sets = inventory::opsets(model);
    let _ = writeln!(out, "opset: {}", sets.iter().map(shown).collect::<Vec<_>>().join(", "));
    let parameters = inventory::parameters(model);
    let _ = writeln!(
        out,
        "parameters: {} in {} tensors, {}",
        parameters.elements,
        parameters.tensors,
        bytes(parameters.bytes)
    );
}

/// A number of bytes, readable.
fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = n as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} bytes") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

/// A table: operator, nodes, and what each back end does with it.
fn support(out: &mut String, ctx: &Context, operators: &[OperatorUse], import: &[Diagnostic], lowering: &[Diagnostic]) {
    let nodes: usize = operators.iter().map(|o| o.nodes.len()).sum();
    let _ = writeln!(out, "operators: {} kinds, {nodes} nodes\n", operators.len());
    // The first thing that was found at a node.
    let at_nodes = |found: &[Diagnostic]| -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for d in found.iter().filter(|d| d.is_error()) {
            if let Some(node) = d.labels.iter().find_map(|l| ctx.loc_name(l.loc)) {
                map.entry(node.to_string()).or_insert_with(|| d.message.clone());
            }
        }
        map
    };
    let (import, lowering) = (at_nodes(import), at_nodes(lowering));
    let why = |o: &OperatorUse, found: &BTreeMap<String, String>| o.nodes.iter().find_map(|n| found.get(n).cloned());
    let mut rows = vec![["operator", "nodes", "interp", "cpu"].map(String::from)];
    for operator in operators {
        let refused = why(operator, &import).or((!operator.is_imported).then(|| "not supported".to_string()));
        let state = |refused: Option<String>| refused.map_or("yes".to_string(), |why| format!("no: {why}"));
        let cpu = if refused.is_some() { "no".to_string() } else { state(why(operator, &lowering)) };
        rows.push([operator.to_string(), operator.nodes.len().to_string(), state(refused), cpu]);
    }
    table(out, &rows);
}

/// Columns padded to their widest entry.
fn table<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |k: usize| rows.iter().map(|r| r[k].chars().count()).max().unwrap_or(0);
    for row in rows {
        let cells: Vec<String> = row.iter().enumerate().map(|(k, cell)| format!("{cell:0$}", width(k))).collect();
        let _ = writeln!(out, "  {}", cells.join("  ").trim_end());
    }
}

/// Inputs, outputs, and where the symbols in the inputs' types come from.
fn interface(ctx: &Context, module: &Module) -> String {
    let mut out = String::new();
    for op in module.ops() {
        let (Some(body), true) = (module.body.nested(op), Func::is(ctx, &module.body, op)) else { continue };
        let names = |attr: &str| -> Vec<String> {
            let list = module.body.attr_named(ctx, op, attr).and_then(|a| ctx.as_array(a)).unwrap_or(&[]);
            list.iter().filter_map(|&a| ctx.as_string(a)).map(String::from).collect()
        };
        let Some(entry) = body.entry() else { continue };
        let results = body.last_op(entry).map(|last| body.operands(last).to_vec()).unwrap_or_default();
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        for (title, values, given) in [
            ("inputs", body.block_args(entry).to_vec(), names("nim.input_names")),
            ("outputs", results, names("nim.output_names")),
        ] {
            let _ = writeln!(out, "\n{title}:");
            for (i, &v) in values.iter().enumerate() {
                let name = given.get(i).cloned().unwrap_or_else(|| i.to_string());
                let _ = writeln!(out, "  {name}: {}", ctx.display_type(body.ty(v)));
                let dims = ctx.dims(body.ty(v)).unwrap_or(&[]);
                for (axis, symbol) in
                    dims.iter().enumerate().filter_map(|(k, d)| Some((k, ctx.exprs.as_symbol(d.expr()?)?)))
                {
                    let place =
                        if title == "inputs" { format!("axis {axis} of {name}") } else { "known at run time".into() };
                    first.entry(ctx.exprs.display(ctx.exprs.var(symbol)).to_string()).or_insert(place);
                }
            }
        }
        if !first.is_empty() {
            let list: Vec<String> = first.into_iter().map(|(symbol, place)| format!("{symbol} ({place})")).collect();
            let _ = writeln!(out, "symbols: {}", list.join(", "));
        }
    }
    out
}

/// A module on the way to compiled code.
struct Lowered {
    multiply_adds: Expr,
    operations: Expr,
    moved: Expr,
    memory: Memory,
    found: Vec<Diagnostic>,
}

/// Memory beside parameters and inputs.
struct Memory {
    /// How many buffers there are, and how many of them have their places in arenas.
    buffers: (usize, usize),
    /// Bytes if each buffer had memory of its own until the end.
    unplanned: Expr,
    /// The most bytes that live at the same time.
    planned: Expr,
}

/// The passes of the compiler, up to where buffers have their places.
fn lower(ctx: &Context, module: &mut Module) -> Lowered {
    let pool = &ctx.exprs;
    let fold =
        |ctx: &Context, body: &Body, op, operands: &[Value]| nim_interp::exec::fold_op(ctx, body, op, operands).ok();
    each_function(ctx, module, |body| {
        nim_graph_passes::fold::fold_body(ctx, body, &fold, FoldOptions::default());
        nim_graph_passes::simplify::simplify_body(ctx, body, Default::default());
        nim_transforms::cse::merge_equal_ops(ctx, body);
        nim_transforms::dce::remove_dead_ops(ctx, body);
    });
    let mut found = nim_graph_passes::graph_to_dataflow(ctx, module);
    nim_dataflow_passes::fuse::fuse(ctx, module, Default::default());
    each_function(ctx, module, |body| {
        nim_transforms::dce::remove_dead_ops(ctx, body);
    });
    let reports = nim_dataflow_passes::report::report(ctx, module);
    nim_dataflow_passes::simplify_numbers(ctx, module);
    nim_dataflow_passes::split_residues(ctx, module);
    nim_dataflow_passes::choose_layouts(ctx, module);
    nim_dataflow_passes::fuse_blocks(ctx, module, Default::default());
    nim_dataflow_passes::outline(ctx, module);
    found.extend(schedule_kernels(ctx, module));
    found.extend(nim_dyn_passes::graph_to_dyn(ctx, module).1);
    let storage = |module: &Module| -> Vec<Expr> {
        let bodies = module.ops().filter(|&op| Func::is(ctx, &module.body, op)).filter_map(|op| module.body.nested(op));
        let size = |body: &Body, op| {
            Alloc::size(ctx, body, op).filter(|_| Alloc::is(ctx, body, op)).and_then(|a| ctx.as_expr(a))
        };
        bodies.flat_map(|body| body.walk().into_iter().filter_map(|op| size(body, op)).collect::<Vec<_>>()).collect()
    };
    let before = storage(module);
    let planned = nim_dyn_passes::plan_memory(ctx, module);
    // What stays on its own is counted as if it lived from beginning to end.
    let unplanned = pool.sum(before.iter().copied());
    let shared = pool.sum(planned.iter().map(|(_, p)| p.bytes));
    let peak = pool.sum(planned.iter().map(|(_, p)| p.peak(pool)));
    let memory = Memory {
        buffers: (before.len(), planned.iter().map(|(_, p)| p.buffers).sum()),
        unplanned,
        planned: pool.add(peak, pool.sub(unplanned, shared)),
    };
    Lowered {
        multiply_adds: pool.sum(reports.iter().map(|r| r.multiply_adds(pool))),
        operations: pool.sum(reports.iter().map(|r| r.operations(pool))),
        moved: pool.sum(reports.iter().map(|r| r.bytes(pool))),
        memory,
        found,
    }
}

/// Gives kernels their loops, whose copies of operands are memory of the host's. They depend on the machine: here it is x86-64-v3.
fn schedule_kernels(ctx: &Context, module: &mut Module) -> Vec<Diagnostic> {
    let mut found = vec![];
    for kernel in module.ops().filter(|&op| module.body.is(ctx, op, "dataflow.kernel")).collect::<Vec<_>>() {
        match nim_loops_passes::lower_kernel_to_loops(ctx, &module.body, kernel, &Default::default()) {
            Ok(lowered) => {
                let state = lowered.into_state(ctx);
                Builder::before(ctx, &mut module.body, kernel).insert(state);
                module.body.erase(kernel);
            }
            Err(diagnostic) => found.push(diagnostic),
        }
    }
    found
}

fn each_function(ctx: &Context, module: &mut Module, mut f: impl FnMut(&mut Body)) {
    for op in module.ops().collect::<Vec<_>>() {
        if Func::is(ctx, &module.body, op)
            && let Some(body) = module.body.nested_mut(op)
        {
            f(body);
        }
    }
}

/// Formulas.
fn work(out: &mut String, ctx: &Context, lowered: &Lowered) {
    let show = |e: Expr| ctx.exprs.display(e).to_string();
    let Memory { buffers: (buffers, placed), unplanned, planned } = lowered.memory;
    let all = [lowered.multiply_adds, lowered.operations, lowered.moved, unplanned, planned];
    let _ = writeln!(out, "\nmultiply-adds: {}", show(all[0]));
    let _ = writeln!(out, "scalar operations: {}", show(all[1]));
    let _ = writeln!(out, "bytes moved: {}", show(all[2]));
    let _ = writeln!(out, "memory beside parameters and inputs: {buffers} buffers, {placed} of them share");
    let _ = writeln!(out, "  bytes if each had its own: {}", show(unplanned));
    let _ = writeln!(out, "  bytes that live at the same time (at most): {}", show(planned));
    let symbols: BTreeSet<String> = all
        .iter()
        .flat_map(|&e| ctx.exprs.symbols(e))
        .map(|s| ctx.exprs.display(ctx.exprs.var(s)).to_string())
        .collect();
    if !symbols.is_empty() {
        let _ = writeln!(out, "in: {}", symbols.into_iter().collect::<Vec<_>>().join(", "));
    }
}
