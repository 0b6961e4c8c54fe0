//! The builtin ops, and the ops of upstream MLIR that bodies of our dialects use or that we emit, under upstream's names,
//! with upstream's attributes and upstream's syntax.
//!
//! Only what the toolkit needs stands here. Other upstream ops still parse and print in generic form. Fields have upstream's
//! names, since attributes go by them.

pub mod adt;
pub mod arith;
pub mod assume;
mod call;
#[allow(non_snake_case)]
pub mod cf;
pub mod codes;
pub mod func;
pub mod lambda;
pub mod math;
#[allow(non_snake_case)]
pub mod memref;
pub mod module;
#[allow(non_snake_case)]
pub mod scf;
pub mod syntax;
#[allow(non_snake_case)]
pub mod vector;
mod vector_syntax;

use nim_ir::DialectDef;

/// All dialects of this crate.
pub const DIALECTS: &[&DialectDef] = &[
    &module::BUILTIN,
    &func::FUNC,
    &arith::ARITH,
    &math::MATH,
    &scf::SCF,
    &cf::CF,
    &memref::MEMREF_DIALECT,
    &vector::VECTOR_DIALECT,
];
