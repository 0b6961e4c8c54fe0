//! Copies of factors in words: packed, so that a vector holds a word of each column, and with the reduction innermost, so that words can
//! be read one at a time.

use super::Env;
use super::access::{self};
use super::copies::{self};
use super::elementwise::{Rest, between};
use super::tile::{Group, collapsed};
use super::tile_registers::Run;
use super::words::{axis, in_words};
use crate::nest::{Kind, Nest};
use crate::point::{Dot, Points, Replaced};
use nim_ir::{Context, Diagnostic, Expr, ValueId};

/// How a factor is packed: `[outer..., tiles, inner..., words of the run, columns, width]`.
pub struct Packed {
    /// Dimensions of the domain that come first.
    pub outer: Vec<usize>,
    /// The dimension that vectors run along.
    pub columns: Group,
    /// Reductions but those of the run.
    pub inner: Vec<usize>,
    /// The others, as one index that counts words.
    pub run: PackedRun,
}

/// Reductions that are walked as one index of words: that of [`Dot::dim`], and some in front of it.
pub struct PackedRun {
    /// The dimensions, that of the words last.
    pub dims: Vec<usize>,
    /// Words; behind those that there are, zeros.
    pub words: Expr,
}

impl PackedRun {
    /// The words of one dimension, and of what is joined to it.
    pub fn of(points: &Points<'_>, dot: Dot) -> PackedRun {
        let pool = &points.ctx.exprs;
        let words = pool.ceildiv(points.numbers(dot), pool.constant(dot.width));
        let joined = dot.window.and_then(|window| window.joined);
        PackedRun { dims: joined.into_iter().chain([dot.dim]).collect(), words }
    }
    /// What tile registers take in one row.
    pub fn of_registers(ctx: &Context, run: &Run) -> PackedRun {
        PackedRun { dims: run.dims.clone(), words: run.words(ctx) }
    }
}

/// A copy with the summed dimension innermost, with its border, filled with zeros to a multiple where it has no [window](Dot::window).
pub struct Regrouped {
    /// Which dimension of the container each one is.
    order: Vec<usize>,
    /// Its dimensions.
    pub sizes: Vec<Expr>,
    /// Where a read finds its elements there.
    pub indices: Vec<Expr>,
}

impl Regrouped {
    /// That of a read that exceeds its container by so much on each side.
    pub fn new(points: &Points<'_>, read: usize, dot: Dot, multiple: i64, sides: &[(Expr, Expr)]) -> Regrouped {
        let ctx = points.ctx;
        let pool = &ctx.exprs;
        let memlet = &points.map.view.reads[read];
        let dims = ctx.dim_exprs(points.source.ty(memlet.value)).unwrap_or_default();
        let subset = memlet.subset.clone().unwrap_or_default();
        let axis = axis(points, read, dot.dim).unwrap_or_default();
        let order: Vec<usize> = (0..dims.len()).filter(|&d| d != axis).chain([axis]).collect();
        let mut sizes: Vec<Expr> = order.iter().map(|&d| pool.sum([dims[d], sides[d].0, sides[d].1])).collect();
        if let Some(last) = sizes.last_mut().filter(|_| dot.window.is_none()) {
            let (count, multiple) = (points.map.view.domain[dot.dim], pool.constant(multiple));
            *last = pool.mul(pool.ceildiv(count, multiple), multiple);
        }
        let indices = order.iter().map(|&d| pool.add(subset[d], sides[d].0)).collect();
        Regrouped { order, sizes, indices }
    }
}

/// Zeros behind the numbers of a factor that the block made, up to whole words.
///
/// # Errors
/// What [`Points`] reports.
pub fn fill_words(points: &Points<'_>, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
    let Some(dot) = points.dot else { return Ok(()) };
    let (ctx, view) = (points.ctx, &points.map.view);
    let pool = &ctx.exprs;
    let end = pool.scale(dot.width, points.steps(dot.dim));
    for &read in dot.factors.iter().filter(|read| dot.window.is_none() && !points.replaced.contains_key(read)) {
        let memlet = &view.reads[read];
        let start = view.domain[dot.dim];
        if pool.prove_le(end, start, nest.facts) || points.source.defining_op(memlet.value).is_none() {
            continue;
        }
        let buffer = points.buffer(memlet.value)?;
        let subset = memlet.subset.as_deref().unwrap_or_default();
        let fixed = points.fixed();
        let uses = access::read(points, memlet).uses;
        let others: Vec<usize> = (0..view.rank()).filter(|&k| k != dot.dim && uses[k] && fixed[k].is_none()).collect();
        let counts: Vec<Expr> = others.iter().map(|&k| view.domain[k]).collect();
        let scalar = points.source.ty(points.source.block_args(view.body)[read]);
        nest.ranges(&counts, Kind::Seq, &mut |nest, at| {
            let mut point: Vec<Expr> = fixed.iter().map(|f| f.unwrap_or(Expr::ZERO)).collect();
            for (&k, &iv) in others.iter().zip(at) {
                point[k] = iv;
            }
            nest.for_loop(start, end, 1, Kind::Seq, |nest, iv| {
                point[dot.dim] = iv;
                let zero = nest.constant(points.zero(scalar), scalar);
                nest.store(zero, buffer, &points.map.all_at(ctx, subset, &point), &[]);
            });
        });
    }
    Ok(())
}

/// Has the spread factor served by a copy ([`Regrouped`]).
///
/// # Errors
/// What [`Points`] reports.
pub fn regroup(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    spread: usize,
    dot: Dot,
    multiple: i64,
    sides: &[(Expr, Expr)],
) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let memlet = points.map.view.reads[spread].clone();
    let ty = points.source.ty(memlet.value);
    let dims = ctx.dim_exprs(ty).unwrap_or_default();
    let axis = axis(points, spread, dot.dim).unwrap_or_default();
    let element = ctx.element_type(ty).unwrap_or_else(|| ctx.none_type());
    let Regrouped { order, sizes, indices } = Regrouped::new(points, spread, dot, multiple, sides);
    let count = if dot.window.is_some() { sizes[sizes.len() - 1] } else { points.map.view.domain[dot.dim] };
    let buffer = env.temporary(nest, ctx.memref_of(&sizes, element));
    let from = points.buffer(memlet.value)?;
    let scalar = nim_dataflow::scalar_type(ctx, element);
    let zero = points.zero(scalar);
    let border = memlet.border.map_or(zero, |b| points.scalar(b, scalar));
    let lanes = env.lanes(element);
    let (last, outer) = (sizes[sizes.len() - 1], sizes[..sizes.len() - 1].to_vec());
    // An element of the copy; of a dimension that is named it is known to be inside.
    let element = |nest: &mut Nest<'_>, place: &[Expr], known: Option<usize>| {
        let mut index = vec![Expr::ZERO; dims.len()];
        let mut inside = vec![];
        for (&d, &p) in order.iter().zip(place) {
            let (low, high) = sides[d];
            index[d] = pool.sub(p, low);
            if low != Expr::ZERO && known != Some(d) {
                inside.push(index[d]);
            }
            if high != Expr::ZERO && known != Some(d) {
                inside.push(pool.sub(pool.sub(dims[d], Expr::ONE), index[d]));
            }
        }
        let all = dot.window.is_some() || pool.prove_le(Expr::ONE, pool.sub(count, place[place.len() - 1]), nest.facts);
        let exists = match all {
            true => vec![],
            false => vec![pool.sub(pool.sub(count, Expr::ONE), place[place.len() - 1])],
        };
        let read = |nest: &mut Nest<'_>| match inside.is_empty() {
            true => nest.load(from, &index, &[]),
            false => {
                nest.choose(&inside, scalar, |nest| nest.load(from, &index, &[]), |nest| nest.constant(border, scalar))
            }
        };
        let value = match exists.is_empty() {
            true => read(nest),
            false => nest.choose(&exists, scalar, read, |nest| nest.constant(zero, scalar)),
        };
        nest.store(value, buffer, place, &[]);
    };
    let fill = |nest: &mut Nest<'_>, place: &[Expr], value: nim_ir::Attr| {
        let value = nest.constant(value, scalar);
        nest.store(value, buffer, place, &[]);
    };
    let (numbers, few) = (pool.as_const(count), pool.as_const(last).filter(|&n| n < lanes));
    if let (Some(numbers), Some(few), Some((&along, outer))) =
        (numbers, few, outer.split_last().filter(|_| axis + 1 < dims.len()))
    {
        // Too few for a vector, as the colours of an image: vectors along what lies side by side where it is read.
        let d = order[order.len() - 2];
        let (low, end) = (sides[d].0, pool.add(sides[d].0, dims[d]));
        collapsed(nest, outer, Kind::Parallel, &mut |nest, at| {
            for number in 0..few {
                let place = |x: Expr| at.iter().copied().chain([x, pool.constant(number)]).collect::<Vec<_>>();
                if number >= numbers {
                    between(nest, Expr::ZERO, along, lanes, 1, Rest::Single, &mut |nest, x| {
                        fill(nest, &place(x), zero)
                    });
                    continue;
                }
                between(nest, Expr::ZERO, low, 1, 1, Rest::Single, &mut |nest, x| fill(nest, &place(x), border));
                between(nest, low, end, lanes, 1, Rest::Single, &mut |nest, x| element(nest, &place(x), Some(d)));
                between(nest, end, along, 1, 1, Rest::Single, &mut |nest, x| fill(nest, &place(x), border));
            }
        });
    } else {
        collapsed(nest, &outer, Kind::Parallel, &mut |nest, at| {
            between(nest, Expr::ZERO, last, lanes, 1, Rest::Single, &mut |nest, x| {
                element(nest, &at.iter().copied().chain([x]).collect::<Vec<_>>(), None);
            });
        });
    }
    points.replaced.insert(spread, Replaced { buffer, indices });
    Ok(())
}

/// Has the packed factor served by a copy ([`Packed`]), made at compile time if it is constant.
///
/// # Errors
/// What [`Points`] reports.
pub fn pack(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    read: usize,
    dot: Dot,
    packed: &Packed,
) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let (width, domain) = (pool.constant(dot.width), points.map.view.domain.clone());
    let (Packed { outer, columns, inner, run }, dim) = (packed, dot.dim);
    let words = |k: usize| if k == dim { pool.ceildiv(domain[k], width) } else { domain[k] };
    let sizes: Vec<Expr> = outer
        .iter()
        .map(|&k| domain[k])
        .chain([columns.tiles(ctx)])
        .chain(inner.iter().map(|&k| domain[k]))
        .chain([run.words, pool.constant(columns.tile), width])
        .collect();
    let iv = |k: usize| pool.var(points.map.ivs[k]);
    let tile = pool.constant(columns.tile);
    let column = iv(columns.dims[0]);
    // The number along a window that its words count on through.
    let joined = dot.window.and_then(|window| window.joined);
    let word = match joined {
        Some(k) => pool.floordiv(pool.add(pool.mul(iv(k), domain[dim]), iv(dim)), width),
        None => run.dims.iter().fold(Expr::ZERO, |word, &k| {
            let digit = if k == dim { pool.floordiv(iv(k), width) } else { iv(k) };
            pool.add(pool.mul(word, words(k)), digit)
        }),
    };
    let indices: Vec<Expr> = outer
        .iter()
        .map(|&k| iv(k))
        .chain([pool.floordiv(column, tile)])
        .chain(inner.iter().map(|&k| iv(k)))
        .chain([word, pool.modulo(column, tile), Expr::ZERO])
        .collect();
    // The point that a packed number belongs to.
    let point = |at: &[Expr]| {
        let mut point = vec![Expr::ZERO; domain.len()];
        for (&k, &i) in outer.iter().zip(at) {
            point[k] = i;
        }
        let rest = &at[outer.len()..];
        let [mut word, last_column, last] = [rest[rest.len() - 3], rest[rest.len() - 2], rest[rest.len() - 1]];
        for (&k, &i) in inner.iter().zip(&rest[1..]) {
            point[k] = i;
        }
        if joined.is_some() {
            point[dim] = pool.add(pool.scale(dot.width, word), last);
            point = dot.along_window(ctx, &domain, &point);
        }
        for (i, &k) in run.dims.iter().enumerate().rev().filter(|_| joined.is_none()) {
            let digit = if i == 0 { word } else { pool.modulo(word, words(k)) };
            word = pool.floordiv(word, words(k));
            point[k] = if k == dim { pool.add(pool.scale(dot.width, digit), last) } else { digit };
        }
        point[columns.dims[0]] = pool.add(pool.scale(columns.tile, rest[0]), last_column);
        point
    };
    let memlet = points.map.view.reads[read].clone();
    let element = ctx.element_type(points.source.ty(memlet.value)).unwrap_or_else(|| ctx.none_type());
    if copies::pack_constant(points, nest, env, read, &sizes, &indices, &|_, at| point(at)) {
        return Ok(());
    }
    let buffer = env.temporary(nest, ctx.memref_of(&sizes, element));
    let (first, rest) = sizes.split_at(outer.len() + 1);
    let rows = &rest[..rest.len() - 2];
    let lanes = env.lanes(ctx.int_type(32)).min(columns.tile);
    // Neighbours are words already where they are read, if none are filled up; where columns lie side by side, vectors of them are
    // better.
    let filled = run.words != run.dims.iter().fold(Expr::ONE, |all, &k| pool.mul(all, words(k)));
    let beside = access::read(points, &memlet).contiguous(columns.dims[0]);
    let lies = dot.window.is_none() && !filled && !beside && in_words(points, read, dot, dot.width);
    let mut failed = None;
    collapsed(nest, first, Kind::Parallel, &mut |nest, at| {
        nest.ranges(rows, Kind::Seq, &mut |nest, within| {
            nest.for_loop(Expr::ZERO, pool.constant(columns.tile), lanes, Kind::Unroll, |nest, b| {
                nest.for_loop(Expr::ZERO, pool.constant(lanes), 1, Kind::Vector, |nest, lane| {
                    let place = |k: i64| -> Vec<Expr> {
                        at.iter().chain(within).copied().chain([pool.add(b, lane), pool.constant(k)]).collect()
                    };
                    let word = match lies {
                        true => word_as_it_lies(points, nest, read, columns, point(&place(0))),
                        false => {
                            let number =
                                |nest: &mut Nest<'_>, k| number_of(points, nest, read, dot, columns, &point(&place(k)));
                            word_of_numbers(points, nest, dot, dot.width, number)
                        }
                    };
                    match word {
                        Ok(word) => nest.store_word(word, buffer, &place(0)),
                        Err(e) => failed = Some(e),
                    }
                });
            });
        });
    });
    points.replaced.insert(read, Replaced { buffer, indices });
    failed.map_or(Ok(()), Err)
}

/// The word at a point; behind the last column, where nobody asks for it, that of the last one.
fn word_as_it_lies(
    points: &Points<'_>,
    nest: &mut Nest<'_>,
    read: usize,
    columns: &Group,
    mut point: Vec<Expr>,
) -> Result<ValueId, Diagnostic> {
    let pool = &points.ctx.exprs;
    let k = columns.dims[0];
    let last = pool.sub(points.map.view.domain[k], Expr::ONE);
    if !pool.prove_le(point[k], last, nest.facts) {
        point[k] = pool.min(point[k], last);
    }
    let (buffer, indices) = points.read_from(read)?;
    let indices = points.map.all_at(points.ctx, indices, &point);
    Ok(nest.load_word(buffer, &indices))
}

/// The number at a point, zero behind the last one.
fn number_of(
    points: &Points<'_>,
    nest: &mut Nest<'_>,
    read: usize,
    dot: Dot,
    columns: &Group,
    point: &[Expr],
) -> Result<ValueId, Diagnostic> {
    let (ctx, domain) = (points.ctx, &points.map.view.domain);
    let pool = &ctx.exprs;
    let element = ctx.element_type(points.source.ty(points.map.view.reads[read].value));
    let scalar = nim_dataflow::scalar_type(ctx, element.unwrap_or_else(|| ctx.none_type()));
    let zero = points.zero(scalar);
    let exists: Vec<Expr> = [dot.dim, columns.dims[0]]
        .into_iter()
        .chain(dot.window.and_then(|window| window.joined))
        .map(|k| pool.sub(pool.sub(domain[k], Expr::ONE), point[k]))
        .filter(|&e| !pool.prove_le(Expr::ZERO, e, nest.facts))
        .collect();
    if exists.is_empty() {
        return points.read_number(nest, read, point);
    }
    let mut failed = None;
    let value = nest.choose(
        &exists,
        scalar,
        |nest| {
            points.read_number(nest, read, point).unwrap_or_else(|e| {
                failed = Some(e);
                nest.constant(zero, scalar)
            })
        },
        |nest| nest.constant(zero, scalar),
    );
    failed.map_or(Ok(value), Err)
}

impl Points<'_> {
    /// The word of a read that has only those numbers that are left at a point.
    pub fn short_word(
        &self,
        nest: &mut Nest<'_>,
        read: usize,
        dot: Dot,
        point: &[Expr],
    ) -> Result<ValueId, Diagnostic> {
        let pool = &self.ctx.exprs;
        let left = pool.as_const(pool.sub(self.numbers(dot), point[dot.dim])).unwrap_or(dot.width);
        let (buffer, indices) = self.read_from(read)?;
        word_of_numbers(self, nest, dot, left, |nest, k| {
            let mut point = point.to_vec();
            point[dot.dim] = pool.add(point[dot.dim], pool.constant(k));
            let point = dot.along_window(self.ctx, &self.map.view.domain, &point);
            Ok(nest.load(buffer, &self.map.all_at(self.ctx, indices, &point), &[]))
        })
    }
}

/// So many numbers as one word, the first one lowest; zeros behind them.
fn word_of_numbers(
    points: &Points<'_>,
    nest: &mut Nest<'_>,
    dot: Dot,
    count: i64,
    mut number: impl FnMut(&mut Nest<'_>, i64) -> Result<ValueId, Diagnostic>,
) -> Result<ValueId, Diagnostic> {
    let ctx = points.ctx;
    let (i32_type, bits) = (ctx.int_type(32), 32 / dot.width);
    let mut word = None;
    for k in 0..count.min(dot.width) {
        let mut part = number(nest, k)?;
        let op =
            |nest: &mut Nest<'_>, name: &str, operands: &[ValueId]| nest.builder().value(name, operands, i32_type, &[]);
        let constant = |nest: &mut Nest<'_>, value: i64| nest.constant(ctx.int_attr(value.into(), i32_type), i32_type);
        if dot.width == 2 {
            // A `bf16` is the upper half of an `f32`.
            part = nest.builder().value("arith.extf", &[part], ctx.f32_type(), &[]);
            part = op(nest, "arith.bitcast", &[part]);
            let by = constant(nest, bits);
            part = op(nest, "arith.shrui", &[part, by]);
        } else {
            part = op(nest, "arith.extui", &[part]);
        }
        if k > 0 {
            let by = constant(nest, bits * k);
            part = op(nest, "arith.shli", &[part, by]);
        }
        word = Some(match word {
            None => part,
            Some(word) => op(nest, "arith.ori", &[word, part]),
        });
    }
    word.ok_or_else(|| Diagnostic::error("N0701", points.map.loc, "a word of no numbers"))
}
