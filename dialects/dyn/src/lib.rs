//! The `dyn` dialect: when and where.
//!
//! The host side of a program: memory, buffers in it, calls of kernels and of the runtime, symbols, guards and control flow. Values
//! are buffers (`memref` types with named dimensions); sizes and offsets are expressions in attributes.
//!
//! The exact meaning of the ops stands in `docs/ARCHITECTURE.md`.

mod arena;
pub mod codes;
mod control;
mod data;
mod device;
mod kernels;
mod ops;

pub use arena::Places;
pub use device::{Device, HOST, device_attr};
pub use ops::{
    Alloc, Arena, Bind, Check, Closure, Constant, Construct, Copy, DYN, Guard, If, Index, Invoke, Kill, Loop, Match,
    MatchCast, Reshape, Runtime, View, Yield,
};

use nim_ir::{Context, Type, TypeConstraint, TypeData};

/// The type of memory: `!dyn.storage`.
pub fn storage_type(ctx: &Context) -> Type {
    ctx.ty(TypeData::Dialect { name: ctx.name("dyn.storage"), params: vec![] })
}

/// `!dyn.storage`.
pub const STORAGE: TypeConstraint =
    TypeConstraint { description: "!dyn.storage", check: |ctx, ty| ty == storage_type(ctx) };
