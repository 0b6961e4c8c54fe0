//! `dataflow-fuse`: fewer elements moved, the same numbers computed.
//!
//! * Constants of one number and sizes move into bodies ([`scalars`]).
//! * Maps read through reshapes where that is simple ([`reshape`]).
//! * A pointwise map becomes the epilogue of the reduction that it reads ([`epilogue`]).
//! * A pointwise map is computed where it is read, when that moves less than it computes more ([`inline`], [`cost`]).
//!
//! What may be fused is decided by memlets alone, never by what an op was called; floating-point operations are neither
//! reordered nor left out.

mod cost;
pub(crate) mod edit;
mod epilogue;
mod inline;
mod reshape;
mod scalars;
pub(crate) mod tidy;

pub(crate) use cost::body_cost;
pub use cost::{body_cost_of, is_free};
pub(crate) use tidy::tidy;

use nim_dataflow::{Map, MapView};
use nim_ir::{Body, Context, Module, OpId};
use nim_pass::{RuleInfo, Rules};

/// The name of the pass.
pub const NAME: &str = "dataflow-fuse";

/// Rounds before fusion gives up waiting for a fixed point, which it reaches in two or three.
const MAX_ROUNDS: usize = 32;

/// What to fuse.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FuseOptions {
    /// Producers into their readers.
    pub inline: bool,
    /// Consumers onto reductions.
    pub epilogue: bool,
}

impl Default for FuseOptions {
    fn default() -> Self {
        FuseOptions { inline: true, epilogue: true }
    }
}

/// What fusion did.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Fused {
    /// Producers that went into their readers.
    pub inlined: usize,
    /// Consumers that became epilogues.
    pub epilogues: usize,
}

/// Fuses the maps of all functions of a module.
pub fn fuse(ctx: &Context, module: &mut Module, options: FuseOptions) -> Fused {
    let mut done = Fused::default();
    for (_, body) in module.body.nested_bodies_mut() {
        let one = fuse_body(ctx, body, options);
        done.inlined += one.inlined;
        done.epilogues += one.epilogues;
    }
    done
}

/// Fuses the maps of one function.
pub fn fuse_body(ctx: &Context, body: &mut Body, options: FuseOptions) -> Fused {
    fuse_under(ctx, body, options, Rules::default())
}

const fn rule(name: &'static str, description: &'static str) -> RuleInfo {
    RuleInfo { name, description }
}
const READ_THROUGH: RuleInfo = rule("read-through-reshape", "a map reads what a reshape shows");
const KNOWN_READS: RuleInfo = rule("known-reads", "numbers and sizes that are known move into bodies");
const EPILOGUE: RuleInfo =
    rule("fuse-epilogue", "a pointwise map runs on the result of a reduction while it is at hand");
const INLINE: RuleInfo = rule("fuse-producer", "a pointwise map is computed where it is read");
/// The rules, for lists.
pub(crate) const RULES: [RuleInfo; 4] = [READ_THROUGH, KNOWN_READS, EPILOGUE, INLINE];

pub(crate) fn fuse_under(ctx: &Context, body: &mut Body, options: FuseOptions, rules: Rules<'_>) -> Fused {
    let mut done = Fused::default();
    for op in maps(ctx, body) {
        reshape::read_through_reshapes(ctx, body, op, rules);
        if let Some(new) = scalars::fold_known_reads(ctx, body, op, rules) {
            tidy(ctx, body, new);
        } else {
            tidy(ctx, body, op);
        }
    }
    // What is made of indices alone first: a mask by position is part of who adds it before that becomes an epilogue.
    for _ in 0..MAX_ROUNDS {
        let before = done;
        for op in maps(ctx, body) {
            let generates = !body.is_erased(op) && MapView::new(ctx, body, op).is_some_and(|v| v.reads.is_empty());
            if options.inline
                && generates
                && let Some(merged) = inline::inline_producer(ctx, body, op, rules)
            {
                done.inlined += 1;
                for new in merged {
                    tidy(ctx, body, new);
                }
            }
        }
        if done == before {
            break;
        }
    }
    // Maps that make narrow numbers go into their readers last: they may become epilogues first, and who widens them goes further.
    let mut last = false;
    for _ in 0..MAX_ROUNDS {
        let before = done;
        for op in maps(ctx, body) {
            if body.is_erased(op) {
                continue;
            }
            // What widens numbers is best done by their readers: the narrow ones are moved then.
            if options.inline
                && MapView::new(ctx, body, op).is_some_and(|view| cost::stores_wider(ctx, body, &view))
                && let Some(merged) = inline::inline_producer(ctx, body, op, rules)
            {
                done.inlined += 1;
                for new in merged {
                    tidy(ctx, body, new);
                }
            } else if options.epilogue
                && let Some(new) = epilogue::fuse_epilogue(ctx, body, op, rules)
            {
                done.epilogues += 1;
                tidy(ctx, body, new);
            } else if options.inline
                && (last || !MapView::new(ctx, body, op).is_some_and(|view| cost::makes_narrow(ctx, &view)))
                && let Some(merged) = inline::inline_producer(ctx, body, op, rules)
            {
                done.inlined += 1;
                for new in merged {
                    tidy(ctx, body, new);
                }
            }
        }
        if done == before && last {
            break;
        }
        last = done == before;
    }
    remove_unused(ctx, body);
    done
}

pub(crate) fn maps(ctx: &Context, body: &Body) -> Vec<OpId> {
    body.walk().into_iter().filter(|&op| Map::is(ctx, body, op)).collect()
}

/// Removes maps, views and constants that nobody reads any more.
fn remove_unused(ctx: &Context, body: &mut Body) {
    let pure = ["dataflow.map", "graph.reshape", "graph.constant", "graph.index", "graph.shape_of"];
    for op in body.walk().into_iter().rev() {
        let unused = !body.is_erased(op) && body.results(op).iter().all(|&r| !body.has_uses(r));
        if unused && pure.contains(&ctx.op_str(body.op_name(op))) {
            body.erase(op);
        }
    }
}
