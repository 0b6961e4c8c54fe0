//! What the scheduler knows of each access: how far one step along a dimension moves in memory.

use crate::point::Points;
use nim_dataflow::Memlet;
use nim_ir::{Context, Expr, Type};

/// How an access moves with each dimension of the domain.
#[derive(Clone, Debug)]
pub struct Access {
    /// Elements per step along each dimension; `None` when the position is not linear in it.
    pub strides: Vec<Option<Expr>>,
    /// Which dimensions it depends on.
    pub uses: Vec<bool>,
    /// The whole container or a scatter: nothing is known.
    pub whole: bool,
}

impl Access {
    /// True when neighbours along a dimension lie side by side.
    pub fn contiguous(&self, k: usize) -> bool {
        !self.whole && self.strides[k] == Some(Expr::ONE)
    }
}

fn access(points: &Points<'_>, subset: Option<&[Expr]>, ty: Type) -> Access {
    let rank = points.map.view.rank();
    match (subset, points.ctx.dim_exprs(ty)) {
        (Some(subset), Some(dims)) => of(points, subset, &dims),
        _ => Access { strides: vec![None; rank], uses: vec![true; rank], whole: true },
    }
}

/// The access at these indices of a container with these dimensions.
pub fn of(points: &Points<'_>, subset: &[Expr], dims: &[Expr]) -> Access {
    let pool = &points.ctx.exprs;
    let mut position = Expr::ZERO;
    for (&index, &dim) in subset.iter().zip(dims) {
        position = pool.add(pool.mul(position, dim), index);
    }
    let ivs = &points.map.ivs;
    let uses = ivs.iter().map(|&iv| subset.iter().any(|&e| pool.mentions(e, iv))).collect();
    let strides = ivs.iter().map(|&iv| pool.linear_in(position, iv).map(|(c, _)| c)).collect();
    Access { strides, uses, whole: false }
}

/// Accesses of the body's reads.
pub fn reads(points: &Points<'_>) -> Vec<Access> {
    points.map.view.reads.iter().map(|r| read(points, r)).collect()
}

/// The access of one read.
pub fn read(points: &Points<'_>, memlet: &Memlet) -> Access {
    access(points, memlet.subset.as_deref(), points.source.ty(memlet.value))
}

/// Accesses of the writes.
pub fn writes(points: &Points<'_>) -> Vec<Access> {
    points.map.view.writes.iter().map(|w| access(points, w.subset.as_deref(), w.ty)).collect()
}

/// Accesses of the epilogue's reads.
pub fn epilogue_reads(points: &Points<'_>) -> Vec<Access> {
    points.map.view.epilogue_reads.iter().map(|r| read(points, r)).collect()
}

/// A size as a number for estimates: symbolic ones count as `assumed`.
pub fn estimate(ctx: &Context, size: Expr, assumed: i64) -> f64 {
    let pool = &ctx.exprs;
    let value = pool.eval(size, &|_| Some(assumed)).unwrap_or(assumed);
    value.max(1) as f64
}

/// The narrowest and widest element that a map moves or computes with, in bits.
pub fn element_bits(points: &Points<'_>) -> u32 {
    let ctx = points.ctx;
    let view = &points.map.view;
    let types = view.reads.iter().map(|r| points.source.ty(r.value)).chain(view.writes.iter().map(|w| w.ty));
    let widest = types.filter_map(|ty| ctx.dtype_of(ty)).map(|d| d.bits() as u32).max().unwrap_or(32);
    widest.clamp(8, 64)
}
