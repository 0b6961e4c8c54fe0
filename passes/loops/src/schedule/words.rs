//! Sums of products of narrow numbers, as many at a time as fill a word of 32 bits: four of bytes, an unsigned and a signed one
//! widened to `i32`, or two of `bf16` widened to `f32`.
//!
//! One factor (a constant one if there is) is packed as `[tiles, reductions/width, columns, width]`, so that a vector holds a word of
//! each column; the other is read a word at a time, where its numbers lie side by side, or from a copy with the reduction innermost,
//! filled with zeros to a multiple of the width. Which dimensions are rows and
//! columns is searched for as for any contraction ([`super::contraction`]), and everything else is a tile like any other ([`super::tile`]).

use super::access::{self, estimate};
use super::choice::Choice;
use super::contraction::{self, Candidate};
use super::copies::{self, overhang};
use super::elementwise::{Rest, between};
use super::tile::{self, Group, collapsed};
use super::{Env, Tried, WORDS, naive, shares};
use crate::nest::{Kind, Nest};
use crate::point::{Dot, Points, Replaced};
use nim_dataflow::{Combine, as_iv};
use nim_ir::{Diagnostic, Expr, Facts, FloatKind, OpId, TypeData, ValueId};
use nim_pass::Miss;

/// Size that a symbolic dimension is taken to have in estimates.
const ASSUMED: i64 = 64;

/// Emits the map if it sums up products of bytes or `bf16`.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>) -> Tried {
    let best = search(points, env).and_then(|best| env.may(points, WORDS).map(|()| best));
    let (Words { dot, packed, spread }, best) = match best {
        Ok(best) => best,
        Err(why) => return Ok(Err(why)),
    };
    env.taken = Some(Choice::Words(best.tiling()));
    naive::fill_starts(points, nest)?;
    if !in_words(points, spread, dot) || copies::may_be_outside(points, spread) {
        let sides = overhang(points, spread).unwrap_or_default();
        regroup(points, nest, env, spread, dot, &sides)?;
    }
    let dims = |list: &[usize]| {
        let access = access::read(points, &points.map.view.reads[packed]);
        list.iter().copied().filter(|&k| access.uses[k]).collect::<Vec<_>>()
    };
    let inner: Vec<usize> = best.plan.reductions.iter().map(|r| r.0).collect();
    let (outer, inner) = (dims(&[&best.plan.batch[..], &best.plan.rows.dims].concat()), dims(&inner));
    let layout = Packed { outer, columns: best.plan.columns.clone(), inner };
    pack(points, nest, env, packed, dot, &layout)?;
    points.dot = Some(dot);
    env.repeats |= best.repeats();
    env.chosen(shares::explain(points.ctx, &best.plan.rows, &best.plan.columns, &env.assumed));
    let fixed = vec![None; points.map.view.rank()];
    tile::emit(points, nest, &best.plan, &fixed)?;
    Ok(Ok(()))
}

/// Which factor is packed, so that a vector holds a word of each column, and which one gives a word for all lanes.
#[derive(Clone, Copy)]
pub struct Words {
    /// How words are summed up.
    pub dot: Dot,
    /// The read that is packed.
    pub packed: usize,
    /// The other one.
    pub spread: usize,
}

/// How a factor is packed: `[outer..., tiles, inner..., columns, width]`.
pub struct Packed {
    /// Dimensions of the domain that come first.
    pub outer: Vec<usize>,
    /// The dimension that vectors run along.
    pub columns: Group,
    /// Reductions.
    pub inner: Vec<usize>,
}

/// The factors of a body that multiplies two widened numbers and does nothing else, and how many of them are a word. Of bytes the
/// unsigned one comes first.
fn factors(points: &Points<'_>) -> Option<([usize; 2], i64)> {
    let (ctx, source, view) = (points.ctx, points.source, &points.map.view);
    let [write] = view.writes.as_slice() else { return None };
    if write.combine != Combine::Add || write.init_value.is_some() || write.subset.is_none() {
        return None;
    }
    let sum = points.accumulator_type(0);
    let floats = match ctx.type_data(sum) {
        TypeData::Integer { width: 32, .. } => false,
        TypeData::Float(FloatKind::F32) => true,
        _ => return None,
    };
    let made_by = |v: ValueId, names: &[&str]| -> Option<OpId> {
        source.defining_op(v).filter(|&op| names.contains(&ctx.op_str(source.op_name(op))))
    };
    let (multiply, widen): (_, &[&str]) =
        if floats { ("arith.mulf", &["arith.extf"]) } else { ("arith.muli", &["arith.extui", "arith.extsi"]) };
    let product = made_by(source.operand(view.body_yield(source)?, 0), &[multiply])?;
    let args = view.body_args(source);
    let mut found = [None; 2];
    for (place, v) in source.operands(product).iter().enumerate() {
        let widened = made_by(*v, widen).filter(|&op| source.ty(source.result(op)) == sum)?;
        let read = args.iter().position(|&a| a == source.operand(widened, 0))?;
        let narrow = match ctx.type_data(source.ty(args[read])) {
            TypeData::Integer { width: 8, .. } => !floats,
            TypeData::Float(FloatKind::BF16) => floats,
            _ => false,
        };
        let place = if floats { place } else { usize::from(source.is(ctx, widened, "arith.extsi")) };
        if !narrow || view.reads[read].subset.is_none() || found[place].replace(read).is_some() {
            return None;
        }
    }
    let [Some(left), Some(right)] = found else { return None };
    (left != right).then_some(([left, right], if floats { 2 } else { 4 }))
}

/// One of the two ways to take the factors: the cheaper one, where nothing has to be packed when running if there is a choice.
fn search(points: &Points<'_>, env: &Env<'_>) -> Result<(Words, Candidate), Miss> {
    const NONE: Miss = Miss("it sums up no products of an unsigned and a signed byte or of bf16 along a dimension");
    let (factors, width) = factors(points).ok_or(NONE)?;
    if width == 2 && !env.reorders(points) {
        return Err(Miss("its sums may not be taken in another order"));
    }
    let mut best: Option<(Words, Candidate)> = None;
    for (packed, spread) in [(factors[1], factors[0]), (factors[0], factors[1])] {
        let Some(dot) = dot(points, packed, spread) else { continue };
        let words = Words { dot, packed, spread };
        if let Ok(found) = contraction::search(points, env, Some(words))
            && best.as_ref().is_none_or(|(_, b)| found.cost < b.cost)
        {
            best = Some((words, found));
        }
        if best.is_some() && env.constant_arg(points, packed).is_some() {
            break;
        }
    }
    best.ok_or(NONE)
}

/// So many of the cheapest ways of each of the two, the cheapest first; none where [`search`] finds none.
pub fn candidates(points: &Points<'_>, env: &Env<'_>, most: usize) -> Vec<Candidate> {
    let Ok((words, best)) = search(points, env) else { return vec![] };
    contraction::candidates(points, env, Some(words), most).unwrap_or(vec![best])
}

/// The longest reduction that walks one dimension of both containers, and nothing else of the spread one.
fn summed_along(points: &Points<'_>, reductions: &[usize], packed: usize, spread: usize) -> Option<usize> {
    let view = &points.map.view;
    let vectors = access::read(points, &view.reads[packed]);
    let extent = |k: usize| estimate(points.ctx, view.domain[k], ASSUMED);
    let (dim, axis) = reductions
        .iter()
        .filter_map(|&k| Some((k, own_axis(points, spread, k)?)))
        .filter(|&(k, _)| vectors.uses[k])
        .max_by(|a, b| extent(a.0).total_cmp(&extent(b.0)))?;
    // Where the copy cannot know what lies outside, nothing is copied.
    overhang(points, spread).filter(|sides| sides[axis] == (Expr::ZERO, Expr::ZERO))?;
    Some(dim)
}

/// How a map that sums up narrow products does so in words, with this factor packed and the other spread.
pub fn dot(points: &Points<'_>, packed: usize, spread: usize) -> Option<Dot> {
    let (factors, width) = factors(points)?;
    let is_reduction = points.map.reductions(points.ctx);
    let reductions: Vec<usize> = (0..is_reduction.len()).filter(|&k| is_reduction[k]).collect();
    let dim = summed_along(points, &reductions, packed, spread)?;
    (packed != spread).then_some(Dot { dim, factors, width })
}

/// Whether the numbers of a read lie in words as they are.
pub fn in_words(points: &Points<'_>, read: usize, dot: Dot) -> bool {
    let view = &points.map.view;
    let whole = points.ctx.exprs.divisor(view.domain[dot.dim], &Facts::default()) % dot.width == 0;
    whole && access::read(points, &view.reads[read]).contiguous(dot.dim)
}

/// The dimension of a read's container whose index is the iteration variable itself, if no other index mentions it.
fn own_axis(points: &Points<'_>, read: usize, k: usize) -> Option<usize> {
    let subset = points.map.view.reads[read].subset.as_ref()?;
    let mentions = |e: &&Expr| points.ctx.exprs.mentions(**e, points.map.ivs[k]);
    let axis = subset.iter().position(|&e| as_iv(points.ctx, e) == Some(k))?;
    (subset.iter().filter(mentions).count() == 1).then_some(axis)
}

/// A copy of the spread factor with the summed dimension innermost, filled with zeros to whole words, and with its border.
///
/// # Errors
/// What [`Points`] reports.
pub fn regroup(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    spread: usize,
    dot: Dot,
    sides: &[(Expr, Expr)],
) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let memlet = points.map.view.reads[spread].clone();
    let ty = points.source.ty(memlet.value);
    let dims = ctx.dim_exprs(ty).unwrap_or_default();
    let axis = own_axis(points, spread, dot.dim).unwrap_or_default();
    let element = ctx.element_type(ty).unwrap_or_else(|| ctx.none_type());
    let subset = memlet.subset.clone().unwrap_or_default();
    let width = pool.constant(dot.width);
    // Where each dimension of the copy comes from.
    let order: Vec<usize> = (0..dims.len()).filter(|&d| d != axis).chain([axis]).collect();
    let count = points.map.view.domain[dot.dim];
    let mut sizes: Vec<Expr> = order.iter().map(|&d| pool.sum([dims[d], sides[d].0, sides[d].1])).collect();
    if let Some(last) = sizes.last_mut() {
        *last = pool.mul(pool.ceildiv(count, width), width);
    }
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
        let exists = match pool.prove_le(Expr::ONE, pool.sub(count, place[place.len() - 1]), nest.facts) {
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
    let indices = order.iter().map(|&d| pool.add(subset[d], sides[d].0)).collect();
    points.replaced.insert(spread, Replaced { buffer, indices });
    Ok(())
}

/// Has the packed factor served by a copy `[outer..., tiles, reductions..., columns, width]`, made at compile time if it is constant.
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
    let (Packed { outer, columns, inner }, dim) = (packed, dot.dim);
    let words = |k: usize| if k == dim { pool.ceildiv(domain[k], width) } else { domain[k] };
    let sizes: Vec<Expr> = outer
        .iter()
        .map(|&k| domain[k])
        .chain([columns.tiles(ctx)])
        .chain(inner.iter().map(|&k| words(k)))
        .chain([pool.constant(columns.tile), width])
        .collect();
    let iv = |k: usize| pool.var(points.map.ivs[k]);
    let tile = pool.constant(columns.tile);
    let column = iv(columns.dims[0]);
    let indices: Vec<Expr> = outer
        .iter()
        .map(|&k| iv(k))
        .chain([pool.floordiv(column, tile)])
        .chain(inner.iter().map(|&k| if k == dim { pool.floordiv(iv(k), width) } else { iv(k) }))
        .chain([pool.modulo(column, tile), Expr::ZERO])
        .collect();
    // The point that a packed number belongs to.
    let point = |at: &[Expr]| {
        let mut point = vec![Expr::ZERO; domain.len()];
        for (&k, &i) in outer.iter().zip(at) {
            point[k] = i;
        }
        let rest = &at[outer.len()..];
        let [last_column, last] = [rest[rest.len() - 2], rest[rest.len() - 1]];
        for (&k, &i) in inner.iter().zip(&rest[1..]) {
            point[k] = if k == dim { pool.add(pool.scale(dot.width, i), last) } else { i };
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
    let scalar = nim_dataflow::scalar_type(ctx, element);
    let zero = points.zero(scalar);
    let (first, rest) = sizes.split_at(outer.len() + 1);
    let mut failed = None;
    collapsed(nest, first, Kind::Parallel, &mut |nest, at| {
        nest.ranges(rest, Kind::Seq, &mut |nest, within| {
            let place: Vec<Expr> = at.iter().chain(within).copied().collect();
            let point = point(&place);
            let exists: Vec<Expr> = [dim, columns.dims[0]]
                .into_iter()
                .map(|k| pool.sub(pool.sub(domain[k], Expr::ONE), point[k]))
                .filter(|&e| !pool.prove_le(Expr::ZERO, e, nest.facts))
                .collect();
            let mut inner = None;
            let value = match exists.is_empty() {
                true => points.read_number(nest, read, &point),
                false => Ok(nest.choose(
                    &exists,
                    scalar,
                    |nest| {
                        points.read_number(nest, read, &point).unwrap_or_else(|e| {
                            inner = Some(e);
                            nest.constant(zero, scalar)
                        })
                    },
                    |nest| nest.constant(zero, scalar),
                )),
            };
            match inner.map_or(value, Err) {
                Ok(value) => nest.store(value, buffer, &place, &[]),
                Err(e) => failed = Some(e),
            }
        });
    });
    points.replaced.insert(read, Replaced { buffer, indices });
    failed.map_or(Ok(()), Err)
}
