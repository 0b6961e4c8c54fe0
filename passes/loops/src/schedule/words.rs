//! Sums of products of narrow numbers, as many at a time as fill a word of 32 bits: four of bytes widened to `i32`, or two of `bf16`
//! widened to `f32`. In vectors, of bytes one side is unsigned and the other signed; in [tile registers](super::tile_registers), where
//! the machine has them, either may be either.
//!
//! One factor (a constant one if there is) is packed as `[tiles, reductions/width, columns, width]`, so that a vector holds a word of
//! each column; the other is read a word at a time, where its numbers lie side by side, or from a copy with the reduction innermost,
//! filled with zeros to a multiple of the width. Which dimensions are rows and
//! columns is searched for as for any contraction ([`super::contraction`]), and everything else is a tile like any other ([`super::tile`]).

use super::access::{self, estimate};
use super::contraction::{self, Candidate};
use super::copies::{self, overhang};
use super::elementwise::{Rest, between};
use super::tile::{Group, Plan, collapsed};
use super::tile_registers::Run;
use super::{Env, WORDS, naive, shares};
use crate::nest::{Kind, Nest};
use crate::point::{Dot, Points, Replaced};
use nim_dataflow::{Combine, as_iv};
use nim_ir::{Context, Diagnostic, Expr, Facts, FloatKind, OpId, TypeData, ValueId};
use nim_loops::TileKind;
use nim_pass::Miss;

/// Size that a symbolic dimension is taken to have in estimates.
const ASSUMED: i64 = 64;

/// Chooses a way and makes its copies, if the map sums up products of bytes or `bf16`.
///
/// # Errors
/// What [`Points`] reports.
pub fn prepare(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
) -> Result<Result<Plan, Miss>, Diagnostic> {
    let best = search(points, env).and_then(|best| env.may(points, WORDS).map(|()| best));
    let (Words { dot, packed, spread, .. }, best) = match best {
        Ok(best) => best,
        Err(why) => return Ok(Err(why)),
    };
    let ctx = points.ctx;
    let registers = best.plan.registers.as_ref();
    let multiple = registers.map_or(dot.width, |r| r.run.multiple(dot.width));
    let copied = !in_words(points, spread, dot, multiple) || copies::may_be_outside(points, spread);
    if copied && !points.may_copy(spread) {
        return Ok(Err(Miss("numbers that the block makes do not lie in words")));
    }
    env.taken = Some(best.in_words());
    naive::fill_starts(points, nest)?;
    if copied {
        let sides = overhang(points, spread).unwrap_or_default();
        regroup(points, nest, env, spread, dot, multiple, &sides)?;
    }
    let run = registers.map_or_else(|| PackedRun::of(points, dot), |r| PackedRun::of_registers(ctx, &r.run));
    let inner: Vec<usize> = best.plan.reductions.iter().map(|r| r.0).filter(|k| !run.dims.contains(k)).collect();
    let (outer, inner) =
        (contraction::outer_dims(points, &best.plan, packed), contraction::used(points, packed, inner));
    let layout = Packed { outer, columns: best.plan.columns.clone(), inner, run };
    pack(points, nest, env, packed, dot, &layout)?;
    points.dot = Some(dot);
    env.repeats |= best.repeats();
    env.chosen(match &best.plan.registers {
        Some(registers) => registers.explain(ctx, &best.plan.columns),
        None => {
            let shown = points.shown(best.plan.rows.size);
            shares::explain(ctx, shown, &best.plan.rows, &best.plan.columns, &env.assumed)
        }
    });
    Ok(Ok(best.plan))
}

/// Which factor is packed, so that a vector holds a word of each column, and which one gives a word for all lanes.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// How words are summed up.
    pub dot: Dot,
    /// The read that is packed.
    pub packed: usize,
    /// The other one.
    pub spread: usize,
    /// Whether the machine multiplies them in tile registers.
    pub in_tiles: bool,
}

impl Words {
    /// Whether they can be multiplied in vectors: bytes have a sign on one side.
    pub fn in_vectors(&self) -> bool {
        self.dot.width == 2 || self.dot.signed == [false, true]
    }
    /// What the factors are in tile registers, the spread one left.
    pub fn tile_kind(&self) -> TileKind {
        let signed = |read: usize| self.dot.signed[usize::from(self.dot.factors[1] == read)];
        match self.dot.width {
            2 => TileKind::Bf16,
            _ => TileKind::bytes(signed(self.spread), signed(self.packed)),
        }
    }
}

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
    /// The words of one dimension.
    pub fn of(points: &Points<'_>, dot: Dot) -> PackedRun {
        let pool = &points.ctx.exprs;
        let words = pool.ceildiv(points.map.view.domain[dot.dim], pool.constant(dot.width));
        PackedRun { dims: vec![dot.dim], words }
    }
    fn of_registers(ctx: &Context, run: &Run) -> PackedRun {
        PackedRun { dims: run.dims.clone(), words: run.words(ctx) }
    }
}

/// A copy with the summed dimension innermost, with its border, filled with zeros to a multiple.
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
        let axis = own_axis(points, read, dot.dim).unwrap_or_default();
        let order: Vec<usize> = (0..dims.len()).filter(|&d| d != axis).chain([axis]).collect();
        let mut sizes: Vec<Expr> = order.iter().map(|&d| pool.sum([dims[d], sides[d].0, sides[d].1])).collect();
        if let Some(last) = sizes.last_mut() {
            let (count, multiple) = (points.map.view.domain[dot.dim], pool.constant(multiple));
            *last = pool.mul(pool.ceildiv(count, multiple), multiple);
        }
        let indices = order.iter().map(|&d| pool.add(subset[d], sides[d].0)).collect();
        Regrouped { order, sizes, indices }
    }
}

/// The factors of a body that multiplies two widened numbers and does nothing else, which of them have a sign, and how many of them
/// are a word. Of bytes an unsigned one comes first.
fn factors(points: &Points<'_>) -> Option<([(usize, bool); 2], i64)> {
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
    let mut found = vec![];
    for &v in source.operands(product).iter() {
        let widened = made_by(v, widen).filter(|&op| source.ty(source.result(op)) == sum)?;
        let read = args.iter().position(|&a| a == source.operand(widened, 0))?;
        let narrow = match ctx.type_data(source.ty(args[read])) {
            TypeData::Integer { width: 8, .. } => !floats,
            TypeData::Float(FloatKind::BF16) => floats,
            _ => false,
        };
        if !narrow || view.reads[read].subset.is_none() {
            return None;
        }
        found.push((read, source.is(ctx, widened, "arith.extsi")));
    }
    found.sort_by_key(|&(_, signed)| signed);
    let [left, right] = found[..] else { return None };
    (left.0 != right.0).then_some(([left, right], if floats { 2 } else { 4 }))
}

/// One of the two ways to take the factors: the cheaper one, where nothing has to be packed when running if there is a choice.
fn search(points: &Points<'_>, env: &Env<'_>) -> Result<(Words, Candidate), Miss> {
    const NONE: Miss = Miss("it sums up no products of an unsigned and a signed byte or of bf16 along a dimension");
    let (factors, width) = factors(points).ok_or(NONE)?;
    if width == 2 && !env.reorders(points) {
        return Err(Miss("its sums may not be taken in another order"));
    }
    let target = &env.options.target;
    // What a block makes has room for whole words, not for whole rows of tiles.
    let in_tiles = points.block.is_none() && if width == 2 { target.bf16_tiles } else { target.byte_tiles };
    let mut best: Option<(Words, Candidate)> = None;
    for (packed, spread) in [(factors[1].0, factors[0].0), (factors[0].0, factors[1].0)] {
        let Some(dot) = dot_of_any(points, packed, spread) else { continue };
        let words = Words { dot, packed, spread, in_tiles };
        if !in_tiles && !words.in_vectors() {
            return Err(NONE);
        }
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

/// How a map that sums up narrow products does so in vectors of words, with this factor packed and the other spread.
pub fn dot(points: &Points<'_>, packed: usize, spread: usize) -> Option<Dot> {
    dot_of_any(points, packed, spread).filter(|&dot| Words { dot, packed, spread, in_tiles: false }.in_vectors())
}

/// As [`dot`], whatever bytes have a sign.
fn dot_of_any(points: &Points<'_>, packed: usize, spread: usize) -> Option<Dot> {
    let (found, width) = factors(points)?;
    let is_reduction = points.map.reductions(points.ctx);
    let reductions: Vec<usize> = (0..is_reduction.len()).filter(|&k| is_reduction[k]).collect();
    let dim = summed_along(points, &reductions, packed, spread)?;
    let (factors, signed) = (found.map(|f| f.0), found.map(|f| f.1));
    (packed != spread).then_some(Dot { dim, factors, signed, width })
}

/// Whether the numbers of a read lie in words as they are, as many as are a multiple of something.
pub fn in_words(points: &Points<'_>, read: usize, dot: Dot, multiple: i64) -> bool {
    let view = &points.map.view;
    let pool = &points.ctx.exprs;
    let whole = |size: Expr| pool.divisor(size, &Facts::default()) % multiple == 0;
    // What a block makes has room behind its rows, which `fill_words` fills.
    let dims = points.ctx.dim_exprs(points.source.ty(view.reads[read].value)).unwrap_or_default();
    let made = points.block.is_some() && points.source.defining_op(view.reads[read].value).is_some();
    let room = made && dims.last().is_some_and(|&last| whole(last));
    (whole(view.domain[dot.dim]) || room) && access::read(points, &view.reads[read]).contiguous(dot.dim)
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
    for &read in dot.factors.iter().filter(|read| !points.replaced.contains_key(read)) {
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

/// The dimension of a read's container whose index is the iteration variable itself, if no other index mentions it.
fn own_axis(points: &Points<'_>, read: usize, k: usize) -> Option<usize> {
    let subset = points.map.view.reads[read].subset.as_ref()?;
    let mentions = |e: &&Expr| points.ctx.exprs.mentions(**e, points.map.ivs[k]);
    let axis = subset.iter().position(|&e| as_iv(points.ctx, e) == Some(k))?;
    (subset.iter().filter(mentions).count() == 1).then_some(axis)
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
    let axis = own_axis(points, spread, dot.dim).unwrap_or_default();
    let element = ctx.element_type(ty).unwrap_or_else(|| ctx.none_type());
    let count = points.map.view.domain[dot.dim];
    let Regrouped { order, sizes, indices } = Regrouped::new(points, spread, dot, multiple, sides);
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
    let word = run.dims.iter().fold(Expr::ZERO, |word, &k| {
        let digit = if k == dim { pool.floordiv(iv(k), width) } else { iv(k) };
        pool.add(pool.mul(word, words(k)), digit)
    });
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
        for (i, &k) in run.dims.iter().enumerate().rev() {
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
    let lies = !filled && !beside && in_words(points, read, dot, dot.width);
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
                            word_of_numbers(points, nest, dot, number)
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

/// Numbers as one word, the first one lowest.
fn word_of_numbers(
    points: &Points<'_>,
    nest: &mut Nest<'_>,
    dot: Dot,
    mut number: impl FnMut(&mut Nest<'_>, i64) -> Result<ValueId, Diagnostic>,
) -> Result<ValueId, Diagnostic> {
    let ctx = points.ctx;
    let (i32_type, bits) = (ctx.int_type(32), 32 / dot.width);
    let mut word = None;
    for k in 0..dot.width {
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
