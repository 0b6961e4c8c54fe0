//! The builtin ops, and the ops of upstream MLIR that bodies of our dialects use or that we emit, under upstream's names,
//! with upstream's attributes and upstream's syntax.
//!
//! Only what the toolkit needs stands here. Other upstream ops still parse and print in generic form.

pub mod arith;
pub mod func;
pub mod math;
pub mod module;
pub mod syntax;

use nim_ir::DialectDef;

/// All dialects of this crate.
pub const DIALECTS: &[&DialectDef] = &[&module::BUILTIN, &func::FUNC, &arith::ARITH, &math::MATH];
