//! Work that two maps of a block repeat is done once: a map of its own makes the numbers, which stay in the cache.
//!
//! `dataflow-fuse` computes the exponentials of a softmax twice, in their sum and in the quotient, since storing them moved more than
//! that costs. In a block nothing moves far.

use super::{BlockOptions, size};
use crate::fuse::{body_cost, edit, tidy};
use nim_dataflow::{Combine, MapBuilder, MapView, Memlet, Write, ivs};
use nim_ir::{Body, Builder, Context, Expr, InsertPoint, OpId, ValueDef, ValueId, clone::Mapping};

type Maps = Vec<(MapView, Vec<usize>)>;

/// Operations that are worth storing their result in a block: one function, or a few divisions.
const WORTH: u64 = 10;

/// The maps of a group with repeated bodies made once, where a block has room for what they give.
pub fn share(ctx: &Context, body: &mut Body, mut maps: Maps, options: BlockOptions) -> Maps {
    let mut i = 0;
    while i < maps.len() {
        if size::has_room(ctx, body, &maps, i, options)
            && let Some(found) = repetition(ctx, body, &maps, i)
        {
            i += apply(ctx, body, &mut maps, i, found);
        }
        i += 1;
    }
    maps
}

/// A map that sums up what later maps compute too.
struct Repetition {
    /// The later maps, each with the value of its body that is the same.
    again: Vec<(usize, ValueId)>,
}

fn repetition(ctx: &Context, body: &Body, maps: &Maps, i: usize) -> Option<Repetition> {
    let (view, _) = &maps[i];
    let [write] = view.writes.as_slice() else { return None };
    let value = view.yields(ctx, body)?.first()?.0;
    let plain = write.combine != Combine::None && view.reads.iter().all(|r| r.subset.is_some());
    if !plain || body_cost(ctx, body, view.body) < WORTH || view.reads.iter().any(|r| r.border.is_some()) {
        return None;
    }
    let same = |later: usize| {
        let other = &maps[later].0;
        if other.domain != view.domain {
            return None;
        }
        let ops = other.body_ops(body);
        let found =
            ops.into_iter().flat_map(|op| body.results(op)).copied().find(|&v| equal(body, view, value, other, v));
        found.map(|v| (later, v))
    };
    let again: Vec<(usize, ValueId)> = (i + 1..maps.len()).filter_map(same).collect();
    (!again.is_empty()).then_some(Repetition { again })
}

/// Whether two values of bodies over the same domain are the same number at each point.
fn equal(body: &Body, a: &MapView, x: ValueId, b: &MapView, y: ValueId) -> bool {
    let read = |view: &MapView, v: ValueId| -> Option<Memlet> {
        view.body_args(body).iter().position(|&arg| arg == v).map(|i| view.reads[i].clone())
    };
    match (body.def(x), body.def(y)) {
        (ValueDef::Result(p, i), ValueDef::Result(q, j)) => {
            let (left, right) = (body.operands(p), body.operands(q));
            i == j
                && body.op_name(p) == body.op_name(q)
                && body.ty(x) == body.ty(y)
                && body.regions(p).is_empty()
                && body.attrs(p).iter().eq(body.attrs(q).iter())
                && left.len() == right.len()
                && left.iter().zip(&right).all(|(&l, &r)| equal(body, a, l, b, r))
        }
        _ => read(a, x).is_some() && read(a, x) == read(b, y),
    }
}

/// Makes the repeated body a map in front of map `i`; answers how many maps were inserted there.
fn apply(ctx: &Context, body: &mut Body, maps: &mut Maps, i: usize, found: Repetition) -> usize {
    let (view, shared) = maps[i].clone();
    let Some((value, _)) = view.yields(ctx, body).and_then(|y| y.into_iter().next()) else { return 0 };
    let point: Vec<Expr> = ivs(ctx, view.rank());
    let ty = ctx.tensor_of(&view.domain, body.ty(value));
    let parts = MapBuilder {
        domain: view.domain.clone(),
        reads: view.reads.clone(),
        epilogue_reads: vec![],
        writes: vec![Write { subset: Some(point.clone()), combine: Combine::None, init: None, init_value: None, ty }],
    };
    let loc = body.loc(view.op);
    let mut b = Builder { ctx, body, point: InsertPoint::Before(view.op), loc };
    let made = parts.build(&mut b, |b, args| {
        let mut mapping = Mapping::default();
        edit::bind(b.body, view.body, args, &mut mapping);
        edit::copy_block(b, view.body, &mut mapping, None)
    });
    let result = body.result(made);
    let read = Memlet { value: result, subset: Some(point), border: None };
    let mut later = vec![(i, value)];
    later.extend(found.again);
    for (at, value) in later {
        let new = reading(ctx, body, &maps[at].0, value, &read);
        // Others read the new map's results now.
        for (i, (view, _)) in maps.iter_mut().enumerate() {
            let op = if i == at { new } else { view.op };
            if let Some(now) = MapView::new(ctx, body, op) {
                *view = now;
            }
        }
    }
    match MapView::new(ctx, body, made) {
        Some(made) => {
            maps.insert(i, (made, shared));
            1
        }
        None => 0,
    }
}

/// The map with another read in place of a value of its body.
fn reading(ctx: &Context, body: &mut Body, view: &MapView, value: ValueId, read: &Memlet) -> OpId {
    let mut parts = MapBuilder::from_view(view);
    parts.reads.push(read.clone());
    let reduced = view.epilogue.map(|_| edit::reduced_types(ctx, body, view));
    let loc = body.loc(view.op);
    let new = edit::replace(
        ctx,
        body,
        view.op,
        loc,
        &parts,
        reduced.as_deref(),
        |b, args| {
            let Some((&last, args)) = args.split_last() else { return vec![] };
            b.body.replace_all_uses(value, last);
            let mut mapping = Mapping::default();
            edit::bind(b.body, view.body, args, &mut mapping);
            edit::copy_block(b, view.body, &mut mapping, None)
        },
        |b, args| {
            let mut mapping = Mapping::default();
            let Some(epilogue) = view.epilogue else { return args.to_vec() };
            edit::bind(b.body, epilogue, args, &mut mapping);
            edit::copy_block(b, epilogue, &mut mapping, None)
        },
    );
    tidy::tidy(ctx, body, new)
}
