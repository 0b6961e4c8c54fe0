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
use super::tile::Plan;
use super::word_copies::{Packed, PackedRun, Regrouped, pack, regroup};
use super::{Env, WORDS, naive, shares};
use crate::nest::Nest;
use crate::point::{Dot, Points, Window};
use nim_dataflow::{Combine, as_iv};
use nim_ir::{Diagnostic, Expr, Facts, FloatKind, OpId, TypeData, ValueId};
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
    let lies = if dot.window.is_some() { lies(points, spread, dot) } else { in_words(points, spread, dot, multiple) };
    let copied = !lies || copies::may_be_outside(points, spread);
    if copied && !points.may_copy(spread) {
        return Ok(Err(Miss("numbers that the block makes do not lie in words")));
    }
    env.taken = Some(best.in_words());
    naive::fill_starts(points, nest)?;
    if copied {
        let sides = sides(points, spread, dot).unwrap_or_default();
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
            shares::explain(ctx, shown, &best.plan.rows, &env.assumed)
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
    let in_tiles = has_tiles(points, env, width);
    let mut best: Option<(Words, Candidate)> = None;
    let mut least = f64::INFINITY;
    for (packed, spread) in [(factors[1].0, factors[0].0), (factors[0].0, factors[1].0)] {
        let plain = dot_of_any(points, packed, spread).map(|dot| Words { dot, packed, spread, in_tiles });
        if plain.is_some_and(|words| !in_tiles && !words.in_vectors()) {
            return Err(NONE);
        }
        let along = windows(points, packed, spread).into_iter();
        let along = along.map(|dot| Words { dot, packed, spread, in_tiles: false }).filter(Words::in_vectors);
        for words in plain.into_iter().chain(along) {
            if let Ok(found) = contraction::search(points, env, Some(words)) {
                // Tile registers that were asked for cost nothing.
                let asked = env.options.tiles && found.plan.registers.is_some();
                let copied = if asked { 0.0 } else { copy_cost(points, env, words) };
                let cost = found.cost * short_loop(points, words.dot) + copied;
                if cost < least {
                    (least, best) = (cost, Some((words, found)));
                }
            }
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

/// Whether numbers of which so many are a word are multiplied in tile registers.
fn has_tiles(points: &Points<'_>, env: &Env<'_>, width: i64) -> bool {
    let target = &env.options.target;
    // What a block makes has room for whole words, not for whole rows of tiles.
    points.block.is_none() && if width == 2 { target.bf16_tiles } else { target.byte_tiles }
}

/// As [`dot`], in tile registers, where the machine has them for these numbers.
pub fn in_tile_registers(points: &Points<'_>, env: &Env<'_>, packed: usize, spread: usize) -> Option<Words> {
    let dot = dot_of_any(points, packed, spread)?;
    has_tiles(points, env, dot.width).then_some(Words { dot, packed, spread, in_tiles: true })
}

/// As [`dot`], whatever bytes have a sign.
fn dot_of_any(points: &Points<'_>, packed: usize, spread: usize) -> Option<Dot> {
    let (found, width) = factors(points)?;
    let is_reduction = points.map.reductions(points.ctx);
    let reductions: Vec<usize> = (0..is_reduction.len()).filter(|&k| is_reduction[k]).collect();
    let dim = summed_along(points, &reductions, packed, spread)?;
    let (factors, signed) = (found.map(|f| f.0), found.map(|f| f.1));
    (packed != spread).then_some(Dot { dim, window: None, factors, signed, width })
}

/// The ways to fill words along a [window](Dot::window): with a reduction that lies side by side in the spread factor, or does in a copy,
/// where it is no dimension of its own there or another reduction follows it.
fn windows(points: &Points<'_>, packed: usize, spread: usize) -> Vec<Dot> {
    let Some((found, width)) = factors(points).filter(|_| points.block.is_none()) else { return vec![] };
    let pool = &points.ctx.exprs;
    let domain = &points.map.view.domain;
    let (factors, signed) = (found.map(|f| f.0), found.map(|f| f.1));
    let (is_reduction, packed) =
        (points.map.reductions(points.ctx), access::read(points, &points.map.view.reads[packed]));
    let few = |&k: &usize| is_reduction[k] && packed.uses[k] && pool.as_const(domain[k]).is_some_and(|n| n > 1);
    let reductions: Vec<usize> = (0..domain.len()).filter(few).collect();
    let mut out = vec![];
    for &dim in &reductions {
        let window = Window { spread, joined: None, short: false };
        let mut dot = Dot { dim, window: Some(window), factors, signed, width };
        let Some(strides) = strides(points, spread, dot).filter(|strides| strides[dim] == Some(Expr::ONE)) else {
            continue;
        };
        let joined = reductions.iter().copied().find(|&k| k != dim && strides[k] == Some(domain[dim]));
        if joined.is_none() && own_axis(points, spread, dim).is_some() {
            continue;
        }
        dot.window = Some(Window { joined, ..window });
        let whole = pool.as_const(points.numbers(dot)).is_some_and(|n| n % width == 0);
        // Bytes that belong to others do no harm, since they meet zeros, if there are any; of floats they might be infinite.
        let short = !whole && (width == 2 || lies(points, spread, dot));
        dot.window = Some(Window { joined, short, ..window });
        out.push(dot);
    }
    out
}

/// Whether the words of a window are read where the numbers lie.
fn lies(points: &Points<'_>, spread: usize, dot: Dot) -> bool {
    let strides = access::read(points, &points.map.view.reads[spread]).strides;
    let joined = dot.window.and_then(|window| window.joined);
    let follows = joined.is_none_or(|k| strides[k] == Some(points.map.view.domain[dot.dim]));
    follows && strides[dot.dim] == Some(Expr::ONE) && !copies::may_be_outside(points, spread)
}

/// How the spread factor of a window moves where it is read.
fn strides(points: &Points<'_>, spread: usize, dot: Dot) -> Option<Vec<Option<Expr>>> {
    let direct = access::read(points, &points.map.view.reads[spread]).strides;
    if direct[dot.dim] == Some(Expr::ONE) && !copies::may_be_outside(points, spread) {
        return Some(direct);
    }
    axis(points, spread, dot.dim)?;
    let copy = Regrouped::new(points, spread, dot, dot.width, &overhang(points, spread)?);
    Some(access::of(points, &copy.indices, &copy.sizes).strides)
}

/// By how much a copy of the spread factor is larger than it on each side: its border, and room for the last word of a window of bytes.
fn sides(points: &Points<'_>, spread: usize, dot: Dot) -> Option<Vec<(Expr, Expr)>> {
    let pool = &points.ctx.exprs;
    let mut sides = overhang(points, spread)?;
    if let Some(Window { joined, short: false, .. }) = dot.window {
        let numbers = pool.as_const(points.numbers(dot)).unwrap_or(1);
        let behind = (numbers + dot.width - 1) / dot.width * dot.width - numbers;
        let (along, each) = match joined {
            Some(k) => (k, pool.as_const(points.map.view.domain[dot.dim]).unwrap_or(1).max(1)),
            None => (dot.dim, 1),
        };
        let high = &mut sides[axis(points, spread, along)?].1;
        *high = pool.add(*high, pool.constant((behind + each - 1) / each));
    }
    Some(sides)
}

/// How much more a step costs in a loop over few words: LLVM stores sums around it (`vdpbf16ps` at 45 % of the roof, `vpdpbusd` at 52 %).
fn short_loop(points: &Points<'_>, dot: Dot) -> f64 {
    const STORED: f64 = 1.3;
    let words = points.ctx.exprs.as_const(points.numbers(dot)).map(|n| (n + dot.width - 1) / dot.width);
    if words.is_some_and(|n| (2..4).contains(&n)) { STORED } else { 1.0 }
}

/// Cycles for a copy of the spread factor: a vector at a time where neighbours stay neighbours, else one number.
fn copy_cost(points: &Points<'_>, env: &Env<'_>, words: Words) -> f64 {
    let Words { dot, spread, .. } = words;
    let stays = if dot.window.is_some() { lies(points, spread, dot) } else { in_words(points, spread, dot, dot.width) };
    if stays && !copies::may_be_outside(points, spread) {
        return 0.0;
    }
    let ty = points.source.ty(points.map.view.reads[spread].value);
    let dims = points.ctx.dim_exprs(ty).unwrap_or_default();
    let numbers: f64 = dims.iter().map(|&d| env.estimate(d, ASSUMED)).product();
    let together = axis(points, spread, dot.dim).is_some_and(|axis| axis + 1 == dims.len());
    numbers / if together { 16.0 } else { 1.0 }
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

/// The dimension of a read's container whose index moves by one with an iteration variable, if no other index mentions it.
pub fn axis(points: &Points<'_>, read: usize, k: usize) -> Option<usize> {
    let pool = &points.ctx.exprs;
    let subset = points.map.view.reads[read].subset.as_ref()?;
    let mentions = |e: &&Expr| pool.mentions(**e, points.map.ivs[k]);
    let axis = subset.iter().position(|e| mentions(&e))?;
    let step = pool.linear_in(subset[axis], points.map.ivs[k])?.0;
    (step == Expr::ONE && subset.iter().filter(mentions).count() == 1).then_some(axis)
}

/// The dimension of a read's container whose index is the iteration variable itself, if no other index mentions it.
pub fn own_axis(points: &Points<'_>, read: usize, k: usize) -> Option<usize> {
    let subset = points.map.view.reads[read].subset.as_ref()?;
    let mentions = |e: &&Expr| points.ctx.exprs.mentions(**e, points.map.ivs[k]);
    let axis = subset.iter().position(|&e| as_iv(points.ctx, e) == Some(k))?;
    (subset.iter().filter(mentions).count() == 1).then_some(axis)
}
