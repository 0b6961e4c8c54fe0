//! How the points of a map are walked.

pub mod elementwise;
pub mod naive;

use crate::lower::Options;
use crate::nest::Nest;
use crate::point::Points;
use nim_ir::Diagnostic;

/// Emits a map under the schedule that suits it.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &Points<'_>, nest: &mut Nest<'_>, _options: &Options) -> Result<(), Diagnostic> {
    naive::emit(points, nest, &vec![None; points.map.view.rank()])
}
