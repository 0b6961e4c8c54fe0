//! `dataflow-choose-layouts`: the order in which containers between maps lie in memory.
//!
//! A container that only maps touch has no order of dimensions that anybody could see: permuting its type and every memlet into it
//! changes no number. This pass moves the dimension that contractions want to run vectors along to the innermost place.
//!
//! Dimensions of containers that one iteration variable walks together are one *axis*, throughout the function: the channels of an
//! image, of the convolution that makes it and of the pooling that reads it. A contraction with a constant votes, with its number of
//! products, for the axis that the constant and the result share (its vectors are then packed weights, and results are stored
//! side by side), and with a quarter of that for the axis that it sums over (its operand is then read side by side). A container
//! whose dimensions have no votes stays as it is, and so does everything that ops other than maps look at.

use nim_dataflow::{Combine, Index, Load, Map, MapView, as_iv};
use nim_ir::{Body, Context, Expr, Module, OpId, ValueId};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// The name of the pass.
pub const NAME: &str = "dataflow-choose-layouts";

/// Size that a symbolic dimension is taken to have when votes are counted.
const ASSUMED: i64 = 64;
/// Shorter axes fill no vectors, and have no vote.
const SHORTEST: i64 = 8;
/// The axis that is summed over counts less than that of the results.
const READ_SHARE: f64 = 0.25;

/// Chooses layouts in all functions of a module; answers how many containers have another one.
pub fn choose_layouts(ctx: &Context, module: &mut Module) -> usize {
    module.body.nested_bodies_mut().map(|(_, body)| choose_in(ctx, body)).sum()
}

/// Chooses layouts in one function; answers how many containers have another one.
pub fn choose_in(ctx: &Context, body: &mut Body) -> usize {
    let maps: Vec<MapView> = body.walk().into_iter().filter_map(|op| MapView::new(ctx, body, op)).collect();
    let mut axes = Axes::default();
    for map in &maps {
        axes.join(ctx, body, map);
    }
    for map in &maps {
        axes.vote(ctx, body, map);
    }
    let orders = orders(ctx, body, &maps, &mut axes);
    for map in &maps {
        rewrite(ctx, body, map, &orders);
    }
    for (&value, order) in &orders {
        let ty = permuted(ctx, body, value, order);
        body.set_ty(value, ty);
    }
    maps.iter().for_each(|map| drop_copy(ctx, body, map.op));
    orders.len()
}

/// A transposition between two layouts of which one was chosen may copy element for element now: its result is its operand.
fn drop_copy(ctx: &Context, body: &mut Body, op: OpId) {
    let Some(map) = MapView::new(ctx, body, op) else { return };
    let ([read], [write], None) = (map.reads.as_slice(), map.writes.as_slice(), map.epilogue) else { return };
    let yielded = map.yields(ctx, body).map(|y| y[0].0);
    let same = body.ty(read.value) == write.ty
        && read.subset == write.subset
        && write.combine == Combine::None
        && write.covers(ctx, &map.domain)
        && yielded == map.body_args(body).first().copied();
    // An argument that is returned is the caller's, and stays what it is: only containers between maps are looked at.
    if same && body.defining_op(read.value).is_some_and(|by| Map::is(ctx, body, by)) {
        let result = body.result(op);
        body.replace_all_uses(result, read.value);
        body.erase(op);
    }
}

/// Axes: classes of dimensions of containers, with their votes.
#[derive(Default)]
struct Axes {
    number: FxHashMap<(ValueId, usize), usize>,
    parent: Vec<usize>,
    votes: Vec<f64>,
}

impl Axes {
    fn of(&mut self, value: ValueId, dim: usize) -> usize {
        let next = self.parent.len();
        let mut axis = *self.number.entry((value, dim)).or_insert(next);
        if axis == next {
            self.parent.push(next);
            self.votes.push(0.0);
        }
        while self.parent[axis] != axis {
            self.parent[axis] = self.parent[self.parent[axis]];
            axis = self.parent[axis];
        }
        axis
    }

    fn unite(&mut self, a: (ValueId, usize), b: (ValueId, usize)) {
        let (a, b) = (self.of(a.0, a.1), self.of(b.0, b.1));
        self.parent[b] = a;
    }

    /// Dimensions that one variable walks, step by step, are one axis; so are those of a result and what it starts from.
    fn join(&mut self, ctx: &Context, body: &Body, map: &MapView) {
        let mut walked: FxHashMap<usize, (ValueId, usize)> = FxHashMap::default();
        for (value, subset) in accesses(ctx, body, map) {
            for (dim, &index) in subset.iter().enumerate() {
                if let Some(k) = walked_by(ctx, map, index) {
                    match walked.get(&k) {
                        Some(&first) => self.unite(first, (value, dim)),
                        None => drop(walked.insert(k, (value, dim))),
                    }
                }
            }
        }
        for (write, &result) in map.writes.iter().zip(body.results(map.op)) {
            if let Some(start) = write.init_value {
                (0..ctx.dims(write.ty).map_or(0, <[_]>::len)).for_each(|dim| self.unite((result, dim), (start, dim)));
            }
        }
    }

    fn vote(&mut self, ctx: &Context, body: &Body, map: &MapView) {
        let parallel = map.is_parallel(ctx);
        let sums = map.writes.iter().all(|w| w.combine == Combine::Add) && parallel.contains(&false);
        if !sums || map.has_scatter() {
            return;
        }
        let is_constant = |v: ValueId| body.defining_op(v).is_some_and(|op| body.is(ctx, op, "graph.constant"));
        let size = |k: usize| ctx.exprs.eval(map.domain[k], &|_| Some(ASSUMED)).unwrap_or(ASSUMED).max(1) as f64;
        let products: f64 = (0..map.rank()).map(size).product();
        for constant in map.reads.iter().filter(|r| is_constant(r.value)) {
            for k in constant.subset.iter().flatten().filter_map(|&index| as_iv(ctx, index)) {
                if ctx.exprs.as_const(map.domain[k]).is_none_or(|n| n < SHORTEST) {
                    continue;
                }
                let share = if parallel[k] { 1.0 } else { READ_SHARE };
                for (value, subset) in accesses(ctx, body, map).filter(|(value, _)| !is_constant(*value)) {
                    // Results where it is parallel, operands where it is summed over.
                    let wanted = parallel[k] == body.results(map.op).contains(&value);
                    for dim in (0..subset.len()).filter(|&d| wanted && as_iv(ctx, subset[d]) == Some(k)) {
                        let axis = self.of(value, dim);
                        self.votes[axis] += products * share;
                    }
                }
            }
        }
    }
}

/// Containers that a map reads or writes at indices, with these; where a load in the body computes one, with 0.
fn accesses<'m>(
    ctx: &'m Context,
    body: &'m Body,
    map: &'m MapView,
) -> impl Iterator<Item = (ValueId, Cow<'m, [Expr]>)> {
    let reads = map.reads.iter().chain(&map.epilogue_reads).map(|r| (r.value, r.subset.as_deref()));
    let writes = body.results(map.op).iter().zip(&map.writes).map(|(&v, w)| (v, w.subset.as_deref()));
    let given = reads.chain(writes).filter_map(|(value, subset)| Some((value, Cow::Borrowed(subset?))));
    let wholes = map.reads.iter().zip(map.body_args(body)).filter(|(read, _)| read.subset.is_none());
    let loads = wholes.flat_map(move |(read, &whole)| {
        let loads = body.uses(whole).map(|u| u.op).filter(|&op| Load::is(ctx, body, op));
        let index = move |v: ValueId| {
            let op = body.defining_op(v).filter(|&op| Index::is(ctx, body, op));
            op.and_then(|op| ctx.as_expr(Index::expr(ctx, body, op)?)).unwrap_or(Expr::ZERO)
        };
        loads.map(move |op| (read.value, body.operands_iter(op).skip(1).map(index).collect()))
    });
    given.chain(loads)
}

/// The variable that moves an index one element a step, if it is the only one that does.
fn walked_by(ctx: &Context, map: &MapView, index: Expr) -> Option<usize> {
    let moves = nim_dataflow::mentioned_ivs(ctx, index);
    let mut by_one = moves.into_iter().filter(|&k| {
        let symbol = nim_dataflow::iv_symbol(ctx, k);
        map.domain.get(k).is_some_and(|&n| n != Expr::ONE)
            && ctx.exprs.linear_in(index, symbol).is_some_and(|(step, _)| step == Expr::ONE)
    });
    let first = by_one.next()?;
    // `$2 + $5 - 1`: the window's variable is not the axis, the parallel one, which stands in front, is.
    Some(by_one.fold(first, usize::min))
}

/// For each container that gets another layout: where each of its new dimensions was.
fn orders(ctx: &Context, body: &Body, maps: &[MapView], axes: &mut Axes) -> FxHashMap<ValueId, Vec<usize>> {
    let mut orders = FxHashMap::default();
    for value in maps.iter().flat_map(|map| body.results(map.op)).copied() {
        let rank = ctx.dims(body.ty(value)).map_or(0, <[_]>::len);
        let only_maps = body.uses(value).all(|u| Map::is(ctx, body, u.op));
        // The last of equals: what is innermost already stays.
        let votes = |dim: usize, axes: &mut Axes| {
            let axis = axes.of(value, dim);
            axes.votes[axis]
        };
        let best = (0..rank).rev().max_by(|&a, &b| votes(a, axes).total_cmp(&votes(b, axes)).then(a.cmp(&b)));
        if let Some(best) = best.filter(|&dim| only_maps && dim + 1 < rank && votes(dim, axes) > 0.0) {
            let others = (0..rank).filter(|&dim| dim != best);
            orders.insert(value, others.chain([best]).collect());
        }
    }
    // A result and what it starts from have one type.
    loop {
        let before = orders.len();
        for map in maps {
            for (write, result) in map.writes.iter().zip(body.results(map.op)) {
                if let Some(start) = write.init_value
                    && orders.get(&start) != orders.get(result)
                {
                    orders.remove(&start);
                    orders.remove(result);
                }
            }
        }
        if orders.len() == before {
            return orders;
        }
    }
}

fn permuted(ctx: &Context, body: &Body, value: ValueId, order: &[usize]) -> nim_ir::Type {
    let ty = body.ty(value);
    match (ctx.dims(ty), ctx.element_type(ty)) {
        (Some(dims), Some(element)) => ctx.tensor_type(&reorder(dims, order), element),
        _ => ty,
    }
}

fn reorder<T: Clone>(items: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&dim| items[dim].clone()).collect()
}

/// Brings the memlets of a map in line with the containers' orders.
fn rewrite(ctx: &Context, body: &mut Body, map: &MapView, orders: &FxHashMap<ValueId, Vec<usize>>) {
    let op = map.op;
    let subset = |value: ValueId, subset: Option<&Vec<Expr>>| match (subset, orders.get(&value)) {
        (None, _) => ctx.unit_attr(),
        (Some(s), None) => ctx.exprs_attr(s),
        (Some(s), Some(order)) => ctx.exprs_attr(&reorder(s, order)),
    };
    let results = body.results(op).to_vec();
    let set = |body: &mut Body, name: &str, subsets: Vec<nim_ir::Attr>| {
        body.set_attr(ctx, op, name, ctx.array_attr(subsets));
    };
    set(body, "reads", map.reads.iter().map(|r| subset(r.value, r.subset.as_ref())).collect());
    let writes = map.writes.iter().zip(&results).map(|(w, &v)| subset(v, w.subset.as_ref())).collect();
    set(body, "writes", writes);
    if !map.epilogue_reads.is_empty() {
        set(body, "epilogue_reads", map.epilogue_reads.iter().map(|r| subset(r.value, r.subset.as_ref())).collect());
    }
    // Whole containers: the body's argument has the container's type, and loads take indices in its order.
    for (i, read) in map.reads.iter().enumerate().filter(|(_, r)| r.subset.is_none()) {
        let Some(order) = orders.get(&read.value) else { continue };
        let argument = body.block_args(map.body)[i];
        let ty = permuted(ctx, body, read.value, order);
        body.set_ty(argument, ty);
        for load in body.uses(argument).map(|u| u.op).collect::<Vec<_>>() {
            reorder_operands(ctx, body, load, 1, order);
        }
    }
    scattered(ctx, body, map, &results, orders);
}

fn reorder_operands(ctx: &Context, body: &mut Body, load: OpId, first: usize, order: &[usize]) {
    if Load::is(ctx, body, load) {
        let operands = body.operands(load);
        let indices = reorder(&operands[first..], order);
        body.set_operands(load, &[&operands[..first], &indices].concat());
    }
}

/// The indices that a body yields for scattered writes.
fn scattered(
    ctx: &Context,
    body: &mut Body,
    map: &MapView,
    results: &[ValueId],
    orders: &FxHashMap<ValueId, Vec<usize>>,
) {
    let (Some(yields), Some(end)) = (map.yields(ctx, body), map.body_yield(body)) else { return };
    let mut operands = vec![];
    for ((value, indices), result) in yields.into_iter().zip(results) {
        operands.push(value);
        match orders.get(result) {
            Some(order) if !indices.is_empty() => operands.extend(reorder(&indices, order)),
            _ => operands.extend(indices),
        }
    }
    body.set_operands(end, &operands);
}
