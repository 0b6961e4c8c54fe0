//! Checks of `graph` ops beyond their tables and shape functions.

use nim_ir::{
    Body, Context, Diagnostic, Dim, OpId, RegionId, Type,
    verifier::{compatible, operand_field},
};

fn yielded(body: &Body, region: RegionId) -> Option<(OpId, Vec<Type>)> {
    let last = body.last_op(body.entry_block(region)?)?;
    Some((last, body.operands(last).iter().map(|&v| body.ty(v)).collect()))
}

fn check_types(ctx: &Context, body: &Body, at: OpId, found: &[Type], wanted: &[Type], out: &mut Vec<Diagnostic>) {
    if found.len() != wanted.len() {
        let message = format!("yields {} values where {} are expected", found.len(), wanted.len());
        out.push(Diagnostic::error("N0410", body.loc(at), message));
        return;
    }
    for (i, (&f, &w)) in found.iter().zip(wanted).enumerate() {
        if !compatible(ctx, f, w) {
            let (f, w) = (ctx.display_type(f), ctx.display_type(w));
            out.push(Diagnostic::error("N0411", body.loc(at), format!("value {i} is {f} where {w} is expected")));
        }
    }
}

/// `graph.bind`: rank 0 or 1, one symbol an element.
pub fn bind(ctx: &Context, body: &Body, op: OpId, out: &mut Vec<Diagnostic>) {
    let names = body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_array(a)).map_or(0, <[_]>::len);
    let dims = ctx.static_dims(body.ty(body.operand(op, 0)));
    let fits = matches!(dims.as_deref(), Some([]) if names == 1)
        || matches!(dims.as_deref(), Some(&[n]) if usize::try_from(n) == Ok(names));
    if !fits {
        let ty = ctx.display_type(body.ty(body.operand(op, 0)));
        out.push(Diagnostic::error(
            "N0412",
            body.loc(op),
            format!("{names} symbols cannot be bound to the elements of {ty}"),
        ));
    }
}

/// `graph.if`: both regions yield the result types.
pub fn if_op(ctx: &Context, body: &Body, op: OpId, out: &mut Vec<Diagnostic>) {
    let wanted: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).collect();
    for &region in body.regions(op) {
        if let Some((at, found)) = yielded(body, region) {
            check_types(ctx, body, at, &found, &wanted, out);
        }
    }
}

/// The type of a carried value for the next iteration: dimensions that the region's argument binds anew may be any.
fn anew(ctx: &Context, arg: Type, init: Type, next: Type) -> Type {
    let (Some(a), Some(i), Some(n)) = (ctx.dims(arg), ctx.dims(init), ctx.dims(next)) else { return arg };
    let Some(element) = ctx.element_type(arg).filter(|_| a.len() == i.len() && a.len() == n.len()) else { return arg };
    let binds = |d: Dim, before: Dim| d != before && d.expr().is_some_and(|e| ctx.exprs.as_symbol(e).is_some());
    let dims: Vec<Dim> = (0..a.len()).map(|k| if binds(a[k], i[k]) { n[k] } else { a[k] }).collect();
    ctx.tensor_type(&dims, element)
}

/// `graph.loop`: region arguments, yields and results agree.
pub fn loop_op(ctx: &Context, body: &Body, op: OpId, out: &mut Vec<Diagnostic>) {
    let Some(carried) = operand_field(ctx, body, op, "carried") else { return };
    let Some(&region) = body.regions(op).first() else { return };
    let Some(block) = body.entry_block(region) else { return };
    let args = body.block_args(block);
    if args.len() != carried.len() + 1 {
        let message =
            format!("the region takes {} values, {} are carried beside the iteration", args.len(), carried.len());
        out.push(Diagnostic::error("N0413", body.loc(op), message));
        return;
    }
    for (i, (&arg, &init)) in args[1..].iter().zip(&carried).enumerate() {
        if !compatible(ctx, body.ty(init), body.ty(arg)) {
            let (a, b) = (ctx.display_type(body.ty(arg)), ctx.display_type(body.ty(init)));
            out.push(Diagnostic::error(
                "N0411",
                body.loc(op),
                format!("carried value {i} starts as {b}, the region takes {a}"),
            ));
        }
    }
    if let Some((at, found)) = yielded(body, region) {
        let condition = body.attr_named(ctx, op, "has_condition").and_then(|a| ctx.as_bool(a)).unwrap_or(false);
        let results = body.results(op).len();
        if found.len() != results + condition as usize || results < carried.len() {
            let message = format!("yields {} values for {results} results", found.len());
            out.push(Diagnostic::error("N0410", body.loc(at), message));
            return;
        }
        let next: Vec<Type> = found[condition as usize..][..carried.len()].to_vec();
        let wanted: Vec<Type> = args[1..]
            .iter()
            .zip(&carried)
            .zip(&next)
            .map(|((&arg, &init), &next)| anew(ctx, body.ty(arg), body.ty(init), next))
            .collect();
        check_types(ctx, body, at, &next, &wanted, out);
    }
}
