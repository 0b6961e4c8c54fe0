//! Functions as polynomials.

use super::core::{Emitter, Val};

/// The expansion of a `math` op; `None` when it is left to upstream.
pub(super) fn expand(_emitter: &mut Emitter<'_>, _name: &str, _args: &[&Val]) -> Option<Val> {
    None
}
