//! `dataflow-fuse-blocks`: maps that hand each other rows run on one block of rows after the other.
//!
//! Maps in sequence share the parallel dimensions along which each point reads, of what the others made, only what the same point
//! made: the rows of a softmax (maximum, sum, quotient), of a normalisation (mean, variance, scale), of an attention (scores,
//! softmax, times the values). Walked in blocks of these dimensions ([`nim_dataflow::blocks`]) the results between them are as large
//! as a block, and never leave the cache.
//!
//! Maps are taken in order; each joins the maps that it reads from where memlets allow that and an estimate speaks for it ([`size`]).
//! Work that two maps of a block repeat, since its result was too dear to move through memory, is done once ([`share`]), and so is the
//! division by what is one number a row ([`quotients`]; not in strict mode).
//! The pass marks maps with the attributes `group`, `block` and `shared`; `dataflow-outline` makes a kernel of each
//! group.

mod quotients;
mod share;
mod size;

use nim_dataflow::blocks::{BLOCK, SHARED, same_block};
use nim_dataflow::{MapView, Memlet, as_iv};
use nim_ir::{Body, Context, Expr, Module, OpId, ValueId};
use nim_pass::{RuleInfo, Rules};

/// The name of the pass.
pub const NAME: &str = "dataflow-fuse-blocks";
/// Marks the maps of one group, with its number.
pub const GROUP: &str = "group";

/// The rule: held back, a map does not run on blocks with those that it reads from.
pub(crate) const JOIN: RuleInfo = RuleInfo {
    name: "join-block",
    description: "a map runs on each block of rows right behind the maps that it reads from",
};

/// What blocks are made for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct BlockOptions {
    /// Second-level cache of a core, in KiB.
    pub l2_kib: u32,
    /// Whether a quotient may be a product with the reciprocal.
    pub reciprocals: bool,
}

impl Default for BlockOptions {
    fn default() -> Self {
        BlockOptions { l2_kib: 512, reciprocals: true }
    }
}

/// What was done.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Joined {
    /// Groups of maps.
    pub groups: usize,
    /// Maps in them.
    pub maps: usize,
}

/// Fuses the maps of all functions of a module over blocks.
pub fn fuse_blocks(ctx: &Context, module: &mut Module, options: BlockOptions) -> Joined {
    let mut done = Joined::default();
    for (_, body) in module.body.nested_bodies_mut() {
        let one = fuse_blocks_in(ctx, body, options, Rules::default());
        (done.groups, done.maps) = (done.groups + one.groups, done.maps + one.maps);
    }
    done
}

pub(crate) fn fuse_blocks_in(ctx: &Context, body: &mut Body, options: BlockOptions, rules: Rules<'_>) -> Joined {
    let mut groups: Vec<Group> = vec![];
    for (at, op) in body.walk().into_iter().enumerate() {
        let Some(view) = MapView::new(ctx, body, op) else { continue };
        let alone = Group::of(ctx, view, at);
        match best_join(ctx, body, &groups, &alone, options, rules) {
            Some((i, joined)) => groups[i] = joined,
            None => groups.push(alone),
        }
    }
    groups.retain(|group| group.maps.len() > 1 && group.hands_on_sums(ctx, body));
    let mut done = Joined::default();
    for (number, group) in groups.into_iter().enumerate() {
        // What another group read of may be made by other maps since.
        let now = |(view, shared): (MapView, _)| Some((MapView::new(ctx, body, view.op)?, shared));
        let Some(maps) = group.maps.into_iter().map(now).collect() else { continue };
        let maps = share::share(ctx, body, maps, options);
        let extents: Vec<Expr> = maps[0].1.iter().map(|&k| maps[0].0.domain[k]).collect();
        let Ok(sizes) = size::choose(ctx, body, &maps, &extents, options) else { continue };
        if options.reciprocals {
            quotients::multiply_instead(ctx, body, &maps);
        }
        done.groups += 1;
        for (view, shared) in &maps {
            done.maps += 1;
            let shared: Vec<i64> = shared.iter().map(|&k| k as i64).collect();
            body.set_attr(ctx, view.op, SHARED, ctx.i64_array(&shared));
            body.set_attr(ctx, view.op, BLOCK, ctx.exprs_attr(&sizes));
            body.set_attr(ctx, view.op, GROUP, ctx.i64_attr(number as i64));
        }
    }
    done
}

/// The latest group that a map reads from and may join, joined.
fn best_join(
    ctx: &Context,
    body: &Body,
    groups: &[Group],
    alone: &Group,
    options: BlockOptions,
    rules: Rules<'_>,
) -> Option<(usize, Group)> {
    let view = &alone.maps[0].0;
    let reads = view.inputs();
    let mut candidates: Vec<usize> =
        (0..groups.len()).filter(|&i| reads.iter().any(|&v| groups[i].maker(body, v).is_some())).collect();
    candidates.sort_by_key(|&i| std::cmp::Reverse(groups[i].last));
    for i in candidates {
        match groups[i].join(ctx, body, alone, options) {
            Ok(joined) if rules.may(JOIN.name, ctx, body, view.op) => return Some((i, joined)),
            Ok(_) => {}
            Err(why) => rules.missed(JOIN.name, ctx, body, view.op, why),
        }
    }
    None
}

/// Maps that run on the same blocks.
#[derive(Clone)]
struct Group {
    /// In order, each with its shared dimensions.
    maps: Vec<(MapView, Vec<usize>)>,
    /// Where the last of them stands in a walk over the function.
    last: usize,
    /// Why the first map joins nobody, and nobody joins it.
    unfit: Option<&'static str>,
}

impl Group {
    /// A map alone: all of its parallel dimensions may be shared that vectors do not run along.
    fn of(ctx: &Context, view: MapView, at: usize) -> Group {
        let partial = |w: &nim_dataflow::Write| w.init_value.is_some() || !w.covers(ctx, &view.domain);
        let unfit = match () {
            () if view.has_scatter() => Some("its results are scattered"),
            () if view.writes.iter().any(partial) => {
                Some("a result starts from another tensor, or is not written everywhere")
            }
            () => None,
        };
        let parallel = view.is_parallel(ctx);
        let vectors = size::vector_dims(ctx, &view);
        let shared =
            (0..view.rank()).filter(|&k| parallel[k] && view.domain[k] != Expr::ONE && !vectors.contains(&k)).collect();
        Group { maps: vec![(view, shared)], last: at, unfit }
    }

    /// The write that makes a value, and the shared dimensions of its map.
    fn maker(&self, body: &Body, value: ValueId) -> Option<(&nim_dataflow::Write, &[usize])> {
        self.maps.iter().find_map(|(view, shared)| {
            let w = body.results(view.op).iter().position(|&r| r == value)?;
            Some((&view.writes[w], shared.as_slice()))
        })
    }

    /// The group with a map behind it.
    fn join(&self, ctx: &Context, body: &Body, alone: &Group, options: BlockOptions) -> Result<Group, &'static str> {
        let (view, own) = &alone.maps[0];
        if let Some(why) = self.unfit.or(alone.unfit) {
            return Err(why);
        }
        let block = body.block(view.op);
        if block != body.block(self.maps[0].0.op) {
            return Err("it stands in another block than what it reads from");
        }
        // The kernel will run where its last map is.
        let late = |user: OpId| {
            let at = block.and_then(|block| body.ancestor_in(user, block));
            user == view.op
                || self.maps.iter().any(|(m, _)| m.op == user)
                || at.is_some_and(|at| body.is_before(view.op, at))
        };
        let results = self.maps.iter().flat_map(|(m, _)| body.results(m.op));
        if !results.into_iter().all(|&r| body.uses(r).all(|u| late(u.op))) {
            return Err("somebody between them needs a result of those that it reads from");
        }
        // What each shared dimension is here: all reads agree.
        let reads: Vec<&Memlet> = view.reads.iter().chain(&view.epilogue_reads).collect();
        let mut kept: Vec<(usize, usize)> = vec![];
        for s in 0..self.maps[0].1.len() {
            let mut partners = vec![];
            for read in &reads {
                let Some((write, shared)) = self.maker(body, read.value) else { continue };
                let place = write.subset.iter().flatten().position(|&e| as_iv(ctx, e) == Some(shared[s]));
                let here = place.and_then(|p| read.subset.as_ref()?.get(p).copied()).and_then(|e| as_iv(ctx, e));
                let fits = here.filter(|&k| own.contains(&k) && same_block(ctx, write, shared[s], read, k));
                partners.push(fits);
            }
            let Some(&Some(k)) = partners.first() else { continue };
            let extent = self.maps[0].0.domain[self.maps[0].1[s]];
            let taken = kept.iter().any(|&(_, other)| other == k);
            if partners.iter().all(|&p| p == Some(k)) && view.domain[k] == extent && !taken {
                kept.push((s, k));
            }
        }
        if kept.is_empty() {
            return Err("along no dimension it reads only what the same point made");
        }
        // Dimensions that are left inside make what a block hands on larger.
        if kept.len() < own.len() {
            let inside =
                |v: ValueId| body.uses(v).all(|u| u.op == view.op || self.maps.iter().any(|(m, _)| m.op == u.op));
            let reads = view.inputs();
            let mut handed = reads.iter().filter(|&&v| self.maker(body, v).is_some());
            if size::is_contraction(ctx, view, own) {
                return Err("it multiplies along more dimensions than those that it reads from share");
            }
            if !handed.any(|&v| inside(v)) {
                return Err("what it reads is needed elsewhere too, and it has more dimensions");
            }
        }
        let mut joined = Group { last: alone.last, ..self.clone() };
        for (_, shared) in &mut joined.maps {
            *shared = kept.iter().map(|&(s, _)| shared[s]).collect();
        }
        joined.maps.push((view.clone(), kept.iter().map(|&(_, k)| k).collect()));
        let extents: Vec<Expr> = kept.iter().map(|&(_, k)| view.domain[k]).collect();
        size::choose(ctx, body, &joined.maps, &extents, options)?;
        Ok(joined)
    }

    /// Whether a map of the group reads what another one summed up: else fusing pointwise maps is a matter of `dataflow-fuse`.
    fn hands_on_sums(&self, ctx: &Context, body: &Body) -> bool {
        let reduces = |view: &MapView| view.reduction_dims(ctx).iter().any(|&k| view.domain[k] != Expr::ONE);
        self.maps.iter().filter(|(view, _)| reduces(view)).any(|(view, _)| {
            let made = body.results(view.op);
            self.maps.iter().any(|(reader, _)| reader.inputs().iter().any(|v| made.contains(v)))
        })
    }
}
