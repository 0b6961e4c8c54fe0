//! Kernels that are walked in blocks: the maps of a kernel share some parallel dimensions, and are run one after the other on one
//! block of these before the next block begins. What they hand to each other then needs memory for one block only.
//!
//! The attribute `block` of a `dataflow.kernel` gives how many points of each shared dimension are a block; the attribute `shared` of
//! each of its maps says which of the map's dimensions these are. The meaning of the kernel is that of its maps in sequence: a
//! block may read of an earlier map's result only what the same block made, so that the order does not matter.

use crate::{Map, MapView, Memlet, Return, Write, as_iv};
use nim_ir::{Body, Context, Diagnostic, Expr, OpId, ValueId};

/// The attribute of a kernel: points of each shared dimension in a block.
pub const BLOCK: &str = "block";
/// The attribute of a map: its dimensions that are shared, in the order of [`BLOCK`].
pub const SHARED: &str = "shared";

/// What the attributes of a kernel say that is walked in blocks.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Points of each shared dimension in a block.
    pub sizes: Vec<Expr>,
    /// Extents of the shared dimensions.
    pub extents: Vec<Expr>,
    /// The maps in order, each with its shared dimensions.
    pub maps: Vec<(MapView, Vec<usize>)>,
    /// Results that only maps of the kernel read.
    pub inner: Vec<ValueId>,
}

impl Blocks {
    /// What the body of a kernel says, given its attribute `block`.
    ///
    /// # Errors
    /// `N0505`: the maps do not share these dimensions, or a block would read what another one makes.
    pub fn new(ctx: &Context, body: &Body, sizes: Vec<Expr>) -> Result<Blocks, Diagnostic> {
        let (mut maps, mut returned) = (vec![], vec![]);
        for op in body.entry().into_iter().flat_map(|entry| body.block_ops(entry)) {
            if Return::is(ctx, body, op) {
                returned = body.operands(op).to_vec();
            } else if let Some(view) = MapView::new(ctx, body, op) {
                let shared = shared_of(ctx, body, op)
                    .ok_or_else(|| refuse(body, op, "this map does not say which dimensions it shares".into()))?;
                maps.push((view, shared));
            }
        }
        let Some((first, shared)) = maps.first() else {
            return Ok(Blocks { sizes, extents: vec![], maps, inner: vec![] });
        };
        let extents: Vec<Expr> = shared.iter().filter_map(|&k| first.domain.get(k).copied()).collect();
        check(ctx, body, &maps, &extents, sizes.len()).map_err(|(op, why)| refuse(body, op, why))?;
        let made = maps.iter().flat_map(|(view, _)| body.results(view.op)).copied();
        let inner = made.filter(|r| !returned.contains(r)).collect();
        Ok(Blocks { sizes, extents, maps, inner })
    }
}

fn refuse(body: &Body, op: OpId, why: String) -> Diagnostic {
    Diagnostic::error("N0505", body.loc(op), why)
}

/// The shared dimensions that a map names.
pub fn shared_of(ctx: &Context, body: &Body, op: OpId) -> Option<Vec<usize>> {
    let list = ctx.as_ints(Map::shared(ctx, body, op)?)?;
    list.into_iter().map(|k| usize::try_from(k).ok()).collect()
}

/// Whether maps, in sequence, may be walked in blocks of these dimensions, of these extents; else the map that stands against it, and why.
///
/// # Errors
/// The map and the reason.
pub fn check(
    ctx: &Context,
    body: &Body,
    maps: &[(MapView, Vec<usize>)],
    extents: &[Expr],
    count: usize,
) -> Result<(), (OpId, String)> {
    for (i, (view, shared)) in maps.iter().enumerate() {
        let against = |why: String| Err((view.op, why));
        if shared.len() != count || extents.len() != count {
            return against(format!("this map shares {} dimensions, a block has {count}", shared.len()));
        }
        let parallel = view.is_parallel(ctx);
        for (s, &k) in shared.iter().enumerate() {
            if !parallel.get(k).is_some_and(|&p| p) || shared[..s].contains(&k) {
                return against(format!("`${k}` cannot be shared: it is no parallel dimension, or named twice"));
            }
            if view.domain[k] != extents[s] {
                let (here, there) = (ctx.exprs.display(view.domain[k]), ctx.exprs.display(extents[s]));
                return against(format!(
                    "shared dimension {s} is `${k}` here, of {here} points, and of {there} before"
                ));
            }
        }
        if view.writes.iter().any(|w| w.init_value.is_some() || !w.covers(ctx, &view.domain)) {
            return against("a result starts from another tensor, or is not written everywhere".into());
        }
        for read in view.reads.iter().chain(&view.epilogue_reads) {
            let maker = maps[..i].iter().find_map(|(maker, dims)| {
                let w = body.results(maker.op).iter().position(|&r| r == read.value)?;
                Some((&maker.writes[w], dims))
            });
            let Some((write, dims)) = maker else { continue };
            if let Some(s) = (0..count).find(|&s| !same_block(ctx, write, dims[s], read, shared[s])) {
                return against(format!(
                    "it reads of an earlier result what other points of shared dimension {s} (`${}`) made",
                    shared[s]
                ));
            }
        }
    }
    Ok(())
}

/// Whether a read takes, along a dimension, only what the same point of it wrote: both have their variable at the same place.
pub fn same_block(ctx: &Context, write: &Write, made: usize, read: &Memlet, wanted: usize) -> bool {
    let (Some(there), Some(here)) = (&write.subset, &read.subset) else { return false };
    let place = there.iter().position(|&e| as_iv(ctx, e) == Some(made));
    read.border.is_none() && place.is_some_and(|p| here.get(p).is_some_and(|&e| as_iv(ctx, e) == Some(wanted)))
}
