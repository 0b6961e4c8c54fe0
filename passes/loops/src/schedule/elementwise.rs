//! Maps without reductions: one loop where dimensions collapse, vectors along the contiguous dimension.

use crate::nest::{Kind, Nest};
use nim_ir::Expr;

/// Visits all indices of a buffer.
pub fn fill(nest: &mut Nest<'_>, dims: &[Expr], f: &mut dyn FnMut(&mut Nest<'_>, &[Expr])) {
    nest.ranges(dims, Kind::Seq, f);
}
