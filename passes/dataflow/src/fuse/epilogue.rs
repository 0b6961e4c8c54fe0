//! Consumers that run on a result while it is at hand: a pointwise map becomes the epilogue of the reduction whose result it
//! reads, when nobody else wants that result.

use super::{
    EPILOGUE,
    cost::only_moves,
    edit::{bind, copy_block, fuse_locs, reduced_types, replace},
};
use nim_dataflow::{Combine, Map, MapBuilder, MapView, Memlet, Write, as_iv, iv, substitute_ivs};
use nim_ir::{Body, Context, Expr, Facts, OpId, Signedness, TypeData, Use, ValueId, clone::Mapping};
use nim_pass::Rules;

/// Most reads of an epilogue.
const MAX_READS: usize = 24;
/// Most operations of an epilogue.
const MAX_OPS: usize = 256;

/// Makes a pointwise map the epilogue of a reduction that it reads. Answers the fused map.
pub fn fuse_epilogue(ctx: &Context, body: &mut Body, consumer: OpId, rules: Rules<'_>) -> Option<OpId> {
    let view = MapView::new(ctx, body, consumer)?;
    match find(ctx, body, &view) {
        Err(why) => {
            rules.missed(EPILOGUE.name, ctx, body, consumer, why);
            None
        }
        Ok((producer, plan)) => {
            let may = rules.may(EPILOGUE.name, ctx, body, consumer);
            may.then(|| apply(ctx, body, &producer, &view, plan))
        }
    }
}

/// The reduction that a map may be the epilogue of.
fn find(ctx: &Context, body: &Body, view: &MapView) -> Result<(MapView, Plan), &'static str> {
    let [write] = view.writes.as_slice() else { return Err("it has several results") };
    if !view.is_pointwise(ctx) || write.has_init() {
        return Err("it is not pointwise");
    }
    let mut candidates: Vec<OpId> = view.reads.iter().filter_map(|m| body.defining_op(m.value)).collect();
    candidates.retain(|&op| Map::is(ctx, body, op) && body.block(op) == body.block(view.op));
    candidates.dedup();
    // The latest one: of two branches that meet it is the one whose result is still warm.
    candidates
        .sort_by(|&a, &b| if body.is_before(a, b) { std::cmp::Ordering::Greater } else { std::cmp::Ordering::Less });
    let found = candidates.into_iter().find_map(|producer| {
        let producer = MapView::new(ctx, body, producer)?;
        let plan = plan(ctx, body, &producer, view)?;
        Some((producer, plan))
    });
    found.ok_or("it reads no reduction point by point whose result nobody else wants")
}

/// How the consumer sits on the producer.
struct Plan {
    /// What stands for each iteration variable of the consumer: one of the producer's, or 0.
    ivs: Vec<Expr>,
    /// For each read of the consumer: the reduced value, or a read of the epilogue.
    reads: Vec<Option<Memlet>>,
}

fn plan(ctx: &Context, body: &Body, producer: &MapView, consumer: &MapView) -> Option<Plan> {
    let [made] = producer.writes.as_slice() else { return None };
    let reduces = producer.epilogue.is_some() || !producer.reduction_dims(ctx).is_empty();
    if !reduces || made.init_value.is_some() || !made.covers(ctx, &producer.domain) {
        return None;
    }
    // The result's type says how integers compare: one of another kind would change what the largest is.
    let unsigned = |write: &Write| {
        let element = ctx.element_type(write.ty).map(|ty| ctx.type_data(ty));
        matches!(
            element,
            Some(TypeData::Integer { width: 1, .. } | TypeData::Integer { sign: Signedness::Unsigned, .. })
        )
    };
    let compares = matches!(made.combine, Combine::Max | Combine::Min);
    if compares && consumer.writes.iter().any(|write| unsigned(write) != unsigned(made)) {
        return None;
    }
    let result = body.result(producer.op);
    if body.uses(result).any(|Use { op, .. }| op != consumer.op) {
        return None;
    }
    let place = made.subset.as_ref()?;
    let ivs = correspondence(ctx, producer, consumer, result, place)?;
    // A permutation that moves the innermost dimension is better left to those who read what is written.
    if only_moves(body, consumer) && !keeps_innermost(ctx, place, &ivs, consumer.rank()) {
        return None;
    }
    let facts = producer.facts(ctx, &Facts::default());
    let own = unit_as_zero(ctx, producer);
    let same_place = |at: &[Expr]| {
        let plain = |e: &Expr| substitute_ivs(ctx, *e, &own);
        at.len() == place.len() && at.iter().map(plain).eq(place.iter().map(plain))
    };
    let mut reads = vec![];
    for read in &consumer.reads {
        let subset = read.subset.as_ref()?;
        if read.border.is_some() {
            return None;
        }
        let at: Vec<Expr> = subset.iter().map(|&e| ctx.exprs.simplify(substitute_ivs(ctx, e, &ivs), &facts)).collect();
        if read.value != result {
            reads.push(Some(Memlet { value: read.value, subset: Some(at), border: None }));
        } else if same_place(&at) {
            reads.push(None);
        } else {
            return None;
        }
    }
    let old_ops = producer.epilogue.map_or(0, |e| body.block_ops(e).count());
    let size = old_ops + consumer.body_ops(body).len();
    let fits = producer.epilogue_reads.len() + reads.len() <= MAX_READS && size <= MAX_OPS;
    fits.then_some(Plan { ivs, reads })
}

/// For each iteration variable of the consumer the producer's that it is, from a read of the result: one to one, of equal
/// extents; variables of one value need no partner.
fn correspondence(
    ctx: &Context,
    producer: &MapView,
    consumer: &MapView,
    result: ValueId,
    place: &[Expr],
) -> Option<Vec<Expr>> {
    let read = consumer.reads.iter().find(|m| m.value == result)?;
    let subset = read.subset.as_ref()?;
    let unit = |extent: Expr| ctx.exprs.as_const(extent) == Some(1);
    let mut ivs: Vec<Option<Expr>> = vec![None; consumer.rank()];
    let mut matched = vec![false; producer.rank()];
    // Dimensions of the producer of one value that the consumer reads at 0.
    let mut spare = vec![];
    for (&here, &there) in subset.iter().zip(place) {
        match (as_iv(ctx, here), as_iv(ctx, there)) {
            (Some(c), Some(p)) => {
                let equal = consumer.domain[c] == producer.domain[p];
                if !equal || ivs[c].is_some_and(|e| e != there) || std::mem::replace(&mut matched[p], true) {
                    return None;
                }
                ivs[c] = Some(there);
            }
            (Some(c), None) if unit(consumer.domain[c]) => {}
            (None, Some(p)) if unit(producer.domain[p]) => {
                matched[p] = true;
                spare.push(there);
            }
            (None, None) => {}
            _ => return None,
        }
    }
    // All results are taken up, and all points of the consumer have a result.
    let parallel = producer.is_parallel(ctx);
    let all = (0..producer.rank()).all(|p| !parallel[p] || matched[p]);
    let mut spare = spare.into_iter();
    let ivs = ivs.into_iter().enumerate().map(|(c, e)| match e {
        Some(e) => Some(e),
        None => unit(consumer.domain[c]).then(|| spare.next().unwrap_or(Expr::ZERO)),
    });
    let ivs: Option<Vec<Expr>> = ivs.collect();
    ivs.filter(|_| all)
}

/// The iteration variables of a map, with 0 for those of one value.
fn unit_as_zero(ctx: &Context, view: &MapView) -> Vec<Expr> {
    let one = |k: usize| ctx.exprs.as_const(view.domain[k]) == Some(1);
    (0..view.rank()).map(|k| if one(k) { Expr::ZERO } else { iv(ctx, k) }).collect()
}

fn keeps_innermost(ctx: &Context, place: &[Expr], ivs: &[Expr], rank: usize) -> bool {
    let last = |indices: &[Expr]| indices.iter().rev().find_map(|&e| as_iv(ctx, e));
    // The consumer writes at its iteration variables in order.
    last(place) == last(&ivs[..rank])
}

fn apply(ctx: &Context, body: &mut Body, producer: &MapView, consumer: &MapView, plan: Plan) -> OpId {
    let facts = producer.facts(ctx, &Facts::default());
    let old = &producer.writes[0];
    let to = &consumer.writes[0];
    let mut parts = MapBuilder::from_view(producer);
    // The new write may leave out dimensions of one element, which then do not count as parallel any more.
    let own = unit_as_zero(ctx, producer);
    for index in parts.epilogue_reads.iter_mut().filter_map(|m| m.subset.as_mut()).flatten() {
        *index = substitute_ivs(ctx, *index, &own);
    }
    let subset = to.subset.iter().flatten().map(|&e| substitute_ivs(ctx, e, &plan.ivs)).collect();
    parts.writes = vec![Write { subset: Some(subset), ty: to.ty, ..old.clone() }];
    let first_new = 1 + parts.epilogue_reads.len();
    parts.epilogue_reads.extend(plan.reads.iter().flatten().cloned());
    let loc = fuse_locs(ctx, body.loc(producer.op), body.loc(consumer.op));
    // A consumer that only permutes needs no epilogue, just another place to write to.
    let plain = producer.epilogue.is_none() && only_moves(body, consumer);
    let reduced = (!plain).then(|| reduced_types(ctx, body, producer));
    let fused = replace(
        ctx,
        body,
        consumer.op,
        loc,
        &parts,
        reduced.as_deref(),
        |b, args| {
            let mut mapping = Mapping::default();
            bind(b.body, producer.body, args, &mut mapping);
            copy_block(b, producer.body, &mut mapping, None)
        },
        |b, args| {
            let value = match producer.epilogue {
                Some(epilogue) => {
                    let mut mapping = Mapping::default();
                    bind(b.body, epilogue, &args[..first_new], &mut mapping);
                    copy_block(b, epilogue, &mut mapping, Some((&own, &facts)))[0]
                }
                None => args[0],
            };
            let mut rest = args[first_new..].iter();
            let values: Vec<ValueId> =
                plan.reads.iter().map(|r| r.as_ref().and_then(|_| rest.next().copied()).unwrap_or(value)).collect();
            let mut mapping = Mapping::default();
            bind(b.body, consumer.body, &values, &mut mapping);
            copy_block(b, consumer.body, &mut mapping, Some((&plan.ivs, &facts)))
        },
    );
    body.erase(producer.op);
    fused
}
