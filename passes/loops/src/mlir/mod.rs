//! `loops-to-mlir`: one `loops.kernel` as a module of upstream MLIR (`func`, `scf`, `arith`, `math`, `vector`, and
//! `llvm` for memory), as text.
//!
//! `unroll` loops are written out, `vector` loops become vectors, expressions become `i64` arithmetic in the outermost
//! loop that knows their symbols, locals become stack slots in the entry block that LLVM turns into registers.
//!
//! The text has two functions: `@k_body`, whose pointer arguments are `llvm.noalias`, and `@k` with the ABI of kernels,
//! `void k(void* const* buffers, const int64_t* symbols, int64_t begin, int64_t end)`.
//!
//! Each op at the top of a kernel is a *phase*: a parallel loop has as many iterations as it has steps, anything else
//! one. `begin..end` counts through the phases in order; whoever runs parts of it at the same time must wait between
//! phases ([`phases`]).

mod core;
mod exprs;
mod math_expand;
mod memory;
mod mini;
mod quotient;
mod scalars;
mod target;
mod tiles;
mod walk;
mod words;

pub use target::TargetInfo;

use crate::mlir::core::{Binding, Emitter, Reg, Val};
use memory::Buffer;
use nim_ir::{Body, Context, Diagnostic, Expr, OpId};
use std::fmt::Write;

/// Iterations of each phase of a kernel, over its symbols. The sum is what `end` may be.
pub fn phases(ctx: &Context, kernel: &Body) -> Vec<Expr> {
    phase_ops(ctx, kernel).iter().map(|&op| iterations(ctx, kernel, op)).collect()
}

fn phase_ops(ctx: &Context, kernel: &Body) -> Vec<OpId> {
    let Some(block) = kernel.entry() else { return vec![] };
    kernel.block_ops(block).filter(|&op| is_phase(ctx, kernel, op)).collect()
}

fn is_phase(ctx: &Context, kernel: &Body, op: OpId) -> bool {
    matches!(ctx.op_str(kernel.op_name(op)), "loops.for" | "loops.if" | "loops.store")
}

fn is_parallel(ctx: &Context, kernel: &Body, op: OpId) -> bool {
    kernel.is(ctx, op, "loops.for")
        && kernel.attr_named(ctx, op, "kind").and_then(|a| ctx.as_string(a)) == Some("parallel")
}

fn iterations(ctx: &Context, kernel: &Body, op: OpId) -> Expr {
    let pool = &ctx.exprs;
    let expr = |name: &str| kernel.attr_named(ctx, op, name).and_then(|a| ctx.as_expr(a));
    match (is_parallel(ctx, kernel, op), expr("lower"), expr("upper")) {
        (true, Some(lower), Some(upper)) => {
            let step = kernel.attr_named(ctx, op, "step").and_then(|a| ctx.as_int(a)).unwrap_or(1).max(1);
            pool.max(pool.ceildiv(pool.sub(upper, lower), pool.constant(step)), Expr::ZERO)
        }
        _ => Expr::ONE,
    }
}

/// Prints a `loops.kernel` (an op of `module`) as upstream MLIR.
///
/// # Errors
/// `N0703` when the kernel computes with types that machine code has no form for, or is malformed.
pub fn loops_to_mlir_text(
    ctx: &Context,
    module: &Body,
    kernel: OpId,
    target: &TargetInfo,
) -> Result<String, Diagnostic> {
    let loc = module.loc(kernel);
    let broken = |what: &str| Diagnostic::error("N0703", loc, format!("`loops.kernel` {what}"));
    let body = module.nested(kernel).ok_or_else(|| broken("has no body"))?;
    let block = body.entry().ok_or_else(|| broken("has no block"))?;
    let name = module.attr_named(ctx, kernel, "sym_name").and_then(|a| ctx.as_string(a));
    let name = name.ok_or_else(|| broken("has no name"))?;
    let symbols: Vec<&str> = match module.attr_named(ctx, kernel, "symbols") {
        Some(list) => {
            let items = ctx.as_array(list).ok_or_else(|| broken("needs an array of names as `symbols`"))?;
            items
                .iter()
                .map(|&a| ctx.as_string(a))
                .collect::<Option<_>>()
                .ok_or_else(|| broken("has a symbol without name"))?
        }
        None => vec![],
    };
    let outputs = module.attr_named(ctx, kernel, "outputs").and_then(|a| ctx.as_int(a)).unwrap_or(1);
    let args = body.block_args(block);
    let inputs = args.len().saturating_sub(usize::try_from(outputs).unwrap_or(0));

    let mut emitter = Emitter::new(ctx, body, target, loc);
    let pointer = |name: String| Val { name: name.into(), reg: Reg::Int(64), lanes: None, depth: 0 };
    for (i, &arg) in args.iter().enumerate() {
        let ty = body.ty(arg);
        let element = ctx.element_type(ty).ok_or_else(|| broken("has an argument that is no memref"))?;
        let element = emitter.element(element)?;
        let dims = ctx.dim_exprs(ty).ok_or_else(|| broken("has an argument with an unknown dimension"))?;
        let constant = i < inputs;
        let pointer = pointer(format!("%b{i}"));
        emitter.buffers.insert(arg, Buffer { pointer, element, dims, private: None, constant, local: false });
    }
    for (i, symbol) in symbols.iter().enumerate() {
        let value = Val { name: format!("%s{i}").into(), reg: Reg::Int(64), lanes: None, depth: 0 };
        emitter.symbols.insert(ctx.exprs.symbol(symbol), Binding::Value(value));
    }
    let begin = Val { name: "%begin".into(), reg: Reg::Int(64), lanes: None, depth: 0 };
    let end = Val { name: "%end".into(), reg: Reg::Int(64), lanes: None, depth: 0 };
    emitter.kernel(block, &begin, &end)?;
    let text = emitter.close();
    let shared: Vec<usize> = nim_loops::in_place(ctx, module, kernel).into_iter().flat_map(|(i, o)| [i, o]).collect();
    Ok(module_text(name, &text, args.len(), inputs, symbols.len(), &shared))
}

impl Emitter<'_> {
    /// All phases, each over its part of `begin..end`.
    fn kernel(&mut self, block: nim_ir::BlockId, begin: &Val, end: &Val) -> Result<(), Diagnostic> {
        let phases = phase_ops(self.ctx, self.body);
        let mut before = Expr::ZERO;
        for op in self.body.block_ops(block) {
            if !phases.contains(&op) {
                self.op_of_nest(op)?;
                continue;
            }
            let count = iterations(self.ctx, self.body, op);
            let first = before;
            before = self.ctx.exprs.add(before, count);
            if phases.len() == 1 && is_parallel(self.ctx, self.body, op) {
                self.part_of_loop(op, begin, end)?;
                continue;
            }
            let (offset, count) = (self.uniform(first)?, self.uniform(count)?);
            let zero = self.i64(0);
            let from = self.op("arith.subi", "", &[begin, &offset]);
            let from = self.op("arith.maxsi", "", &[&from, &zero]);
            let to = self.op("arith.subi", "", &[end, &offset]);
            let to = self.op("arith.minsi", "", &[&to, &count]);
            if is_parallel(self.ctx, self.body, op) {
                self.part_of_loop(op, &from, &to)?;
            } else {
                let runs = self.compare("slt", &from, &to);
                self.open();
                let done = self.op_of_nest(op);
                let text = self.close();
                done?;
                self.line(&format!("scf.if {} {{", runs.name));
                self.append(&text);
                self.line("}");
            }
        }
        Ok(())
    }
}

/// The function that a kernel becomes. The prefix keeps kernels apart from the functions of the C library that machine
/// code calls and whose meaning LLVM knows: a kernel may be called `exp`.
pub fn function_name(kernel: &str) -> String {
    format!("nim_{kernel}")
}

fn module_text(name: &str, body: &str, buffers: usize, inputs: usize, symbols: usize, shared: &[usize]) -> String {
    let name = function_name(name);
    let quoted = |suffix: &str| format!("@\"{name}{suffix}\"");
    let mut out = String::from("module {\n");
    let mut params: Vec<String> = (0..buffers)
        .map(|i| {
            let alone = (!shared.contains(&i)).then_some("llvm.noalias");
            let access: Vec<&str> = alone.into_iter().chain((i < inputs).then_some("llvm.readonly")).collect();
            format!("%b{i}: !llvm.ptr {{{}}}", access.join(", "))
        })
        .collect();
    params.extend((0..symbols).map(|i| format!("%s{i}: i64")));
    params.extend(["%begin: i64".to_owned(), "%end: i64".to_owned()]);
    let _ = writeln!(out, "  func.func private {}({}) {{", quoted("_body"), params.join(", "));
    out.push_str(body);
    out.push_str("    return\n  }\n");
    let _ = writeln!(out, "  func.func {}(%bufs: !llvm.ptr, %syms: !llvm.ptr, %begin: i64, %end: i64) {{", quoted(""));
    let (mut names, mut types) = (vec![], vec![]);
    for i in 0..buffers {
        let _ = writeln!(out, "    %pb{i} = llvm.getelementptr %bufs[{i}] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr");
        let _ = writeln!(out, "    %b{i} = llvm.load %pb{i} : !llvm.ptr -> !llvm.ptr");
        names.push(format!("%b{i}"));
        types.push("!llvm.ptr");
    }
    for i in 0..symbols {
        let _ = writeln!(out, "    %ps{i} = llvm.getelementptr %syms[{i}] : (!llvm.ptr) -> !llvm.ptr, i64");
        let _ = writeln!(out, "    %s{i} = llvm.load %ps{i} : !llvm.ptr -> i64");
        names.push(format!("%s{i}"));
        types.push("i64");
    }
    names.extend(["%begin".to_owned(), "%end".to_owned()]);
    types.extend(["i64", "i64"]);
    let _ = writeln!(out, "    func.call {}({}) : ({}) -> ()", quoted("_body"), names.join(", "), types.join(", "));
    out.push_str("    return\n  }\n}\n");
    out
}
