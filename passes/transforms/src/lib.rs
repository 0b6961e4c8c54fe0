//! Passes that suit every dialect. They rely on the ops' tables only: traits, constants, functions and calls.

pub mod canonicalize;
mod constants;
pub mod cse;
pub mod dce;
pub mod effects;
pub mod fold;
pub mod inline;
pub mod strip_debuginfo;
pub mod substitute;

use nim_pass::Registry;

/// Adds the passes of this crate.
pub fn register(registry: &mut Registry) {
    registry.body_pass(|_| Ok(cse::Cse));
    registry.body_pass(|_| Ok(dce::Dce));
    registry.body_pass(|o| Ok(canonicalize::Canonicalize { max_iterations: o.parsed("max-iterations", 10)? }));
    registry.module_pass(|o| Ok(inline::Inline { max_ops: o.parsed("max-ops", 0)? }));
    registry.module_pass(|_| Ok(strip_debuginfo::StripDebugInfo));
}
