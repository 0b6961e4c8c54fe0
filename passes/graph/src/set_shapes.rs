//! A model for just one shape of its inputs: numbers in place of the symbols that their dimensions are.

use nim_builtin::func;
use nim_graph::ops::control::Assume;
use nim_ir::{Attr, AttrData, Body, Context, Expr, Module, OpId, Symbol, TypeData};
use nim_transforms::substitute::{in_op, in_type};
use rustc_hash::FxHashMap;

/// Gives arguments of a function these dimensions; `None` leaves one as it is. Its symbols get their values everywhere in it.
///
/// # Errors
/// In words: the function is not there or is called from elsewhere, an argument has another number of dimensions or other ones,
/// what is assumed about a symbol does not hold, or an op gives a symbol its value anew.
pub fn set_shapes(
    ctx: &Context,
    module: &mut Module,
    function: &str,
    shapes: &[Option<Vec<i64>>],
) -> Result<(), String> {
    let name = ctx.name(function);
    let op = module.lookup(ctx, name).filter(|&op| func::Func::is(ctx, &module.body, op));
    let op = op.ok_or_else(|| format!("the module has no function `@{function}`"))?;
    let all = module.ops().filter_map(|op| module.body.nested(op));
    let called =
        |body: &Body| body.walk().into_iter().any(|op| body.attrs(op).iter().any(|(_, a)| names(ctx, a, name)));
    if all.into_iter().any(called) {
        return Err(format!("`@{function}` is called in the module: its symbols have more than one value"));
    }
    let (inputs, results) =
        func::signature(ctx, &module.body, op).map(|(i, r)| (i.to_vec(), r.to_vec())).unwrap_or_default();
    let mut values: FxHashMap<Symbol, i64> = FxHashMap::default();
    for (at, (&ty, shape)) in inputs.iter().zip(shapes).enumerate() {
        let Some(shape) = shape else { continue };
        let dims = ctx.dims(ty).filter(|dims| dims.len() == shape.len());
        let dims = dims
            .ok_or_else(|| format!("argument {at} is {}: not of {} dimensions", ctx.display_type(ty), shape.len()))?;
        for (dim, &size) in dims.iter().zip(shape) {
            let Some(symbol) = dim.expr().and_then(|e| ctx.exprs.as_symbol(e)) else { continue };
            if *values.entry(symbol).or_insert(size) != size {
                return Err(format!("`{}` would be {} and {size}", ctx.exprs.symbol_name(symbol), values[&symbol]));
            }
        }
    }
    let mut number = |s: Symbol| -> Option<Expr> { values.get(&s).map(|&value| ctx.exprs.constant(value)) };
    // What is no symbol must be what is asked for.
    for (at, (&ty, shape)) in inputs.iter().zip(shapes).enumerate() {
        let new = ctx.dim_exprs(in_type(ctx, ty, &mut number));
        let (Some(shape), Some(new)) = (shape, new) else { continue };
        if let Some((wanted, &size)) = new.iter().zip(shape).find(|&(&e, &size)| e != ctx.exprs.constant(size)) {
            return Err(format!(
                "argument {at} is {}: {} is not {size}",
                ctx.display_type(ty),
                ctx.exprs.display(*wanted)
            ));
        }
    }
    let Some(mut body) = module.body.take_nested(op) else { return Ok(()) };
    let done = in_body(ctx, &mut body, &values, &mut number);
    module.body.set_nested(op, body);
    done?;
    let mut types = |list: &[_]| list.iter().map(|&ty| in_type(ctx, ty, &mut number)).collect::<Vec<_>>();
    let ty = ctx.ty(TypeData::Function { inputs: types(&inputs), results: types(&results) });
    module.body.set_attr(ctx, op, "function_type", ctx.type_attr(ty));
    Ok(())
}

fn in_body(
    ctx: &Context,
    body: &mut Body,
    values: &FxHashMap<Symbol, i64>,
    number: &mut dyn FnMut(Symbol) -> Option<Expr>,
) -> Result<(), String> {
    let known = |name: &str| values.get(&ctx.exprs.symbol(name)).copied();
    for op in body.walk() {
        if Assume::is(ctx, body, op) {
            assumed(ctx, body, op, &known)?;
            continue;
        }
        // Names of symbols in strings are those that an op binds: then there is something to check that would be lost.
        let bound = body.attrs(op).iter().find_map(|(_, attr)| text(ctx, attr, &|name| known(name).is_some()));
        if let Some(name) = bound {
            return Err(format!("`{}` gives `{name}` a value too", ctx.op_str(body.op_name(op))));
        }
    }
    for block in body.root_regions().to_vec().into_iter().flat_map(|r| body.blocks(r).to_vec()).collect::<Vec<_>>() {
        for value in body.block_args(block).to_vec() {
            let ty = in_type(ctx, body.ty(value), number);
            body.set_ty(value, ty);
        }
        for op in body.block_ops(block).collect::<Vec<_>>() {
            in_op(ctx, body, op, number);
        }
    }
    Ok(())
}

/// An assumption about a symbol that has a value now: it holds, and goes.
fn assumed(ctx: &Context, body: &mut Body, op: OpId, known: &dyn Fn(&str) -> Option<i64>) -> Result<(), String> {
    let Some(name) = body.attr_named(ctx, op, "symbol").and_then(|a| ctx.as_string(a)) else { return Ok(()) };
    let Some(value) = known(name) else { return Ok(()) };
    let bound = |attr: &str| body.attr_named(ctx, op, attr).and_then(|a| ctx.as_int(a));
    let holds = bound("min").is_none_or(|least| value >= least)
        && bound("max").is_none_or(|most| value <= most)
        && bound("divisor").is_none_or(|divisor| divisor > 0 && value % divisor == 0);
    if !holds {
        return Err(format!("`{name}` is not {value} by what is assumed about it"));
    }
    body.erase(op);
    Ok(())
}

/// Whether an attribute refers to a function.
fn names(ctx: &Context, attr: Attr, name: nim_ir::Name) -> bool {
    match ctx.attr_data(attr) {
        AttrData::SymbolRef(path) => path.contains(&name),
        AttrData::Array(items) => items.iter().any(|&a| names(ctx, a, name)),
        AttrData::Dict(items) => items.iter().any(|&(_, a)| names(ctx, a, name)),
        _ => false,
    }
}

/// The first string in an attribute that is what is looked for.
fn text<'c>(ctx: &'c Context, attr: Attr, wanted: &dyn Fn(&str) -> bool) -> Option<&'c str> {
    match ctx.attr_data(attr) {
        AttrData::String(name) => Some(ctx.str(*name)).filter(|name| wanted(name)),
        AttrData::Array(items) => items.iter().find_map(|&a| text(ctx, a, wanted)),
        AttrData::Dict(items) => items.iter().find_map(|&(_, a)| text(ctx, a, wanted)),
        _ => None,
    }
}
