//! Rewrite rules and who applies them.
//!
//! * [`rules!`] writes rules as pattern and replacement, typed by the tables of ops; what says more is a typed function.
//! * [`Rule`]s have names, by which a run can watch them, leave them out or count them ([`RuleControl`]).
//! * [`RuleSet::greedy`] applies them until none fits and names those that never come to rest; [`RuleSet::once`] converts
//!   each op once.
//!
//! Nothing here knows passes or pipelines.

pub mod codes;
mod control;
mod driver;
mod replacement;
mod rule;

pub use control::{Outcome, RuleControl, RuleEvent, RuleInfo, RuleSettings, Rules, Window};
pub use driver::Restless;
pub use nim_ir_macros::rules;
pub use replacement::{Field, Make, Part, Replacement, operand_of, typed_as};
pub use rule::{Miss, Rule, RuleSet, Site};
