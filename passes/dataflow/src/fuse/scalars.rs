//! Known numbers move into bodies: a read of a constant that is one number everywhere becomes that number, a read of a size
//! that the host computes becomes the size's expression.

use super::{
    KNOWN_READS,
    edit::{copy_block, reduced_types, replace},
};
use nim_dataflow::{MapBuilder, MapView, index_value};
use nim_ir::{Attr, AttrData, Body, Builder, Context, Expr, OpId, Type, ValueId, clone::Mapping};
use nim_pass::Rules;
use nim_tensor::{DType, Tensor};

/// What a read is known to give.
enum Known {
    /// A number of the type that the body sees.
    Number(Attr, Type),
    /// An `i64` size.
    Size(Expr),
}

/// Puts known numbers into a map's body. Answers the new map if there were any.
pub fn fold_known_reads(ctx: &Context, body: &mut Body, op: OpId, rules: Rules<'_>) -> Option<OpId> {
    let view = MapView::new(ctx, body, op)?;
    let known: Vec<Option<Known>> = view
        .reads
        .iter()
        .map(|m| match (&m.subset, m.border) {
            (Some(subset), None) => known(ctx, body, m.value, subset),
            _ => None,
        })
        .collect();
    if known.iter().all(Option::is_none) {
        rules.missed(KNOWN_READS.name, ctx, body, op, "no read gives a number or size that is known");
        return None;
    }
    if !rules.may(KNOWN_READS.name, ctx, body, op) {
        return None;
    }
    let mut parts = MapBuilder::from_view(&view);
    let mut flags = known.iter().map(Option::is_none);
    parts.reads.retain(|_| flags.next().unwrap_or(true));
    let reduced = view.epilogue.map(|_| reduced_types(ctx, body, &view));
    let loc = body.loc(op);
    Some(replace(
        ctx,
        body,
        op,
        loc,
        &parts,
        reduced.as_deref(),
        |b, args| {
            let old = b.body.block_args(view.body).to_vec();
            let mut mapping = Mapping::default();
            let mut rest = args.iter().copied();
            for (arg, known) in old.into_iter().zip(known) {
                let value = match known {
                    None => rest.next(),
                    Some(known) => Some(emit(b, &known)),
                };
                if let Some(value) = value {
                    mapping.map(arg, value);
                }
            }
            copy_block(b, view.body, &mut mapping, None)
        },
        |b, args| {
            let Some(epilogue) = view.epilogue else { return args.to_vec() };
            let mut mapping = Mapping::default();
            super::edit::bind(b.body, epilogue, args, &mut mapping);
            copy_block(b, epilogue, &mut mapping, None)
        },
    ))
}

fn emit(b: &mut Builder<'_>, known: &Known) -> ValueId {
    match *known {
        Known::Number(attr, ty) => b.value("arith.constant", &[], ty, &[("value", attr)]),
        Known::Size(expr) => {
            let index = index_value(b, expr);
            let ty = b.ctx.int_type(64);
            b.value("arith.index_cast", &[index], ty, &[])
        }
    }
}

fn known(ctx: &Context, body: &Body, value: ValueId, subset: &[Expr]) -> Option<Known> {
    let op = body.defining_op(value)?;
    match ctx.op_str(body.op_name(op)) {
        "graph.constant" => {
            let tensor = single(ctx, body.attr_named(ctx, op, "value")?)?;
            let ty = nim_dataflow::scalar_type(ctx, ctx.element_type(body.ty(value))?);
            let attr = match tensor.dtype() {
                DType::Bool => ctx.bool_attr(*tensor.to_i64s()?.first()? != 0),
                d if d.is_float() => ctx.float_attr(*tensor.to_f64s()?.first()?, ty),
                d if d.is_integer() => ctx.int_attr((*tensor.to_i64s()?.first()?).into(), ty),
                _ => return None,
            };
            Some(Known::Number(attr, ty))
        }
        "graph.index" => {
            let exprs = ctx.as_exprs(body.attr_named(ctx, op, "exprs")?)?;
            let at = match subset {
                [] => 0,
                [e] => usize::try_from(ctx.exprs.as_const(*e)?).ok()?,
                _ => return None,
            };
            exprs.get(at).map(|&e| Known::Size(e))
        }
        // Another shape of one number is that number.
        "graph.reshape" => known_constant_behind(ctx, body, op),
        _ => None,
    }
}

fn known_constant_behind(ctx: &Context, body: &Body, reshape: OpId) -> Option<Known> {
    let source = body.operand(reshape, 0);
    let by = body.defining_op(source)?;
    let constant = ctx.op_str(body.op_name(by)) == "graph.constant";
    constant.then(|| known(ctx, body, source, &[])).flatten()
}

/// The element of a constant that has only one, or the same everywhere.
fn single(ctx: &Context, value: Attr) -> Option<Tensor> {
    match ctx.attr_data(value) {
        AttrData::Dense { ty, elements } => {
            let dtype = ctx.dtype_of(*ty)?;
            let one = elements.splat || elements.bytes.len() == dtype.size();
            one.then(|| Tensor::from_blob(dtype, &[], elements.bytes.clone()).ok()).flatten()
        }
        _ => None,
    }
}
