//! The schedules that a map may be walked under, with estimates: what tuning measures.

use super::choice::{AT_A_TIME, Choice, Tiling};
use super::contraction::{self, Candidate};
use super::{Env, access, elementwise, explore, naive, rows, winograd, words};
use crate::lower::{Options, constant_args};
use crate::map::Map;
use crate::point::Points;
use nim_dataflow::blocks::BLOCK;
use nim_ir::{Body, Context, Diagnostic, Expr, Loc, OpId, ValueId};
use nim_pass::Rules;
use rustc_hash::FxHashMap;

/// An estimate that is larger than the least by more than this is not only inexact.
const HOPELESS: f64 = 1.6;

/// A schedule of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Which.
    pub choice: Choice,
    /// The estimate that its search goes by, in cycles; `None` where there is none. Estimates of tiles and words are comparable with each
    /// other, and so are those of dataflows; those of Winograd's algorithms are made comparable with tiles.
    pub estimate: Option<f64>,
}

/// A map of a kernel, and the schedules it has.
#[derive(Clone, Debug)]
pub struct Candidates {
    /// Its place.
    pub loc: Loc,
    /// The one that is taken when nobody says anything first, then those that are most likely to beat it.
    pub all: Vec<Scored>,
}

/// The schedules of each map of a `dataflow.kernel`, of each kind at most so many.
///
/// # Errors
/// A map that is not well formed (`N0701`).
pub fn of_kernel(
    ctx: &Context,
    module: &Body,
    kernel: OpId,
    options: &Options,
    most: usize,
) -> Result<Vec<Candidates>, Diagnostic> {
    let mut out = vec![];
    each_map(ctx, module, kernel, options, &mut |points, env| {
        out.push(Candidates { loc: points.map.loc, all: of_map(points, env, most) });
    })?;
    Ok(out)
}

/// Looks at the maps of a kernel as schedules see them, without walking them. Those of a kernel that is walked in blocks are not
/// looked at: schedules see parts of them there, which are known only when the kernel is lowered.
///
/// # Errors
/// A map that is not well formed (`N0701`).
pub fn each_map(
    ctx: &Context,
    module: &Body,
    kernel: OpId,
    options: &Options,
    f: &mut dyn FnMut(&Points<'_>, &mut Env<'_>),
) -> Result<(), Diagnostic> {
    let Some(source) = module.nested(kernel) else { return Ok(()) };
    let Some(entry) = source.entry() else { return Ok(()) };
    if module.attr_named(ctx, kernel, BLOCK).is_some() {
        return Ok(());
    }
    let tensors: Vec<ValueId> = source.block_args(entry).to_vec();
    let constants = constant_args(ctx, module, kernel, &tensors);
    let mut env = Env {
        options,
        ctx,
        constants: &constants,
        tensors: &tensors,
        args: &tensors,
        assumed: nim_builtin::assume::facts_of_kernel(ctx, module, kernel),
        temporaries: vec![],
        packing: vec![],
        repeats: false,
        choices: vec![],
        wanted: None,
        taken: None,
        rules: Rules::default(),
    };
    let buffers = FxHashMap::default();
    for op in source.block_ops(entry).filter(|&op| source.is(ctx, op, "dataflow.map")) {
        let map = Map::new(ctx, source, op)?;
        f(&Points::new(ctx, source, &map, &buffers), &mut env);
    }
    Ok(())
}

/// The schedules of a map.
pub fn of_map(points: &Points<'_>, env: &mut Env<'_>, most: usize) -> Vec<Scored> {
    let view = &points.map.view;
    let only = |choice| vec![Scored { choice, estimate: None }];
    if view.domain.contains(&Expr::ZERO) || env.options.naive {
        return only(Choice::Plain);
    }
    if naive::in_memory(points) {
        return only(Choice::Plain);
    }
    let numbers = if most > 1 { &AT_A_TIME[..] } else { &[] };
    let each = |choice: fn(Option<i64>) -> Choice, own: i64| -> Vec<Scored> {
        let others = numbers.iter().filter(|&&n| n != own).map(|&n| Some(n));
        [None].into_iter().chain(others).map(|n| Scored { choice: choice(n), estimate: None }).collect()
    };
    if elementwise::suits(points) {
        return each(Choice::Vectors, elementwise::UNROLLED);
    }
    let scored = |choice, candidate: &Candidate| Scored { choice, estimate: Some(candidate.cost) };
    let in_words: Vec<Scored> = words::candidates(points, env, most).iter().map(|c| scored(c.in_words(), c)).collect();
    let tiles: Vec<Scored> = contraction::candidates(points, env, None, most)
        .unwrap_or_default()
        .iter()
        .map(|c| scored(Choice::Tiles(c.tiling()), c))
        .collect();
    let plain = tiles.first().and_then(|t| t.estimate);
    let short: Vec<Scored> = winograd::candidates(points, env)
        .into_iter()
        .map(|(choice, part)| Scored { choice, estimate: plain.map(|plain| plain * part) })
        .collect();
    let in_rows = rows::direction(points, env, &vec![None; view.rank()]).is_ok();
    let mut first = vec![];
    if in_words.is_empty() {
        first.extend(winograd::chosen(points, env));
    }
    let tiled = if in_words.is_empty() { &tiles } else { &in_words };
    let mut all: Vec<Scored> = first.into_iter().map(|choice| Scored { choice, estimate: None }).collect();
    if in_words.is_empty() && in_rows {
        all.extend(each(Choice::Rows, rows::PARTIAL));
    }
    let (best, rest) = tiled.split_at(tiled.len().min(3));
    all.extend(best.iter().cloned());
    if let Some(best) = best.first().filter(|_| most > 1) {
        all.extend(variants(points, env, best));
    }
    all.extend(short.iter().cloned());
    all.extend(rest.iter().cloned());
    if most > 1 {
        all.extend(dataflows(points, env, most.min(3)));
    }
    if all.is_empty() {
        return only(Choice::Plain);
    }
    // Without those that no error of an estimate brings to the front. Counts of dataflows are on another scale.
    let comparable = |one: &&Scored| !matches!(one.choice, Choice::Dataflow(_));
    let least = all.iter().filter(comparable).filter_map(|one| one.estimate).min_by(f64::total_cmp);
    let near =
        |one: &Scored| !comparable(&one) || one.estimate.zip(least).is_none_or(|(e, least)| e <= HOPELESS * least);
    let first = all[0].choice.clone();
    all.retain(|one| one.choice == first || near(one));
    // Each once, with the estimate that some list has of it.
    let mut out: Vec<Scored> = vec![];
    for one in all {
        match out.iter_mut().find(|other| other.choice == one.choice) {
            Some(other) => other.estimate = other.estimate.or(one.estimate),
            None => out.push(one),
        }
    }
    out
}

/// The same tile in other orders, and with other reads packed.
fn variants(points: &Points<'_>, env: &mut Env<'_>, best: &Scored) -> Vec<Scored> {
    let Some(tiling) = best.choice.tiling() else { return vec![] };
    let mut all = vec![Tiling { outside: !tiling.outside, ..tiling.clone() }];
    for block in [tiling.block / 2, tiling.block * 2, 0, 1] {
        all.push(Tiling { block, ..tiling.clone() });
    }
    let mut wanted = |tiling: Tiling| {
        let words = matches!(best.choice, Choice::Words(_));
        let choice = if words { Choice::Words(tiling) } else { Choice::Tiles(tiling) };
        env.wanted = Some(choice.clone());
        let cost = match words {
            true => words::candidates(points, env, 1).first().map(|c| c.cost),
            false => contraction::candidates(points, env, None, 1).ok().and_then(|c| Some(c.first()?.cost)),
        };
        env.wanted = None;
        cost.map(|cost| Scored { choice, estimate: Some(cost) })
    };
    let mut out: Vec<Scored> = all.into_iter().filter_map(&mut wanted).collect();
    let accesses = access::reads(points);
    for (r, access) in accesses.iter().enumerate() {
        if tiling.column_dims.iter().any(|&k| access.uses[k]) {
            let mut packs = tiling.packs.clone();
            match packs.iter().position(|&p| p == r) {
                Some(at) => drop(packs.remove(at)),
                None => packs.push(r),
            }
            packs.sort_unstable();
            out.extend(wanted(Tiling { packs, ..tiling.clone() }));
        }
    }
    out.retain(|one| one.choice != best.choice);
    out
}

/// The points of the exploration space that its counts put first, of each anchor, in vector and in tile registers.
fn dataflows(points: &Points<'_>, env: &Env<'_>, most: usize) -> Vec<Scored> {
    let Ok(ranked) = explore::ranked(points, env) else { return vec![] };
    let mut out: Vec<Scored> = vec![];
    for (anchor, tiles) in explore::Anchor::ALL.into_iter().flat_map(|anchor| [(anchor, false), (anchor, true)]) {
        let own = ranked.iter().filter(|c| c.dataflow.anchor == anchor && c.dataflow.tiles == tiles);
        let best = own.take(most.div_ceil(3));
        out.extend(best.map(|c| Scored { choice: Choice::Dataflow(c.dataflow), estimate: Some(c.cycles) }));
    }
    out.sort_by(|a, b| a.estimate.unwrap_or(f64::MAX).total_cmp(&b.estimate.unwrap_or(f64::MAX)));
    out
}
