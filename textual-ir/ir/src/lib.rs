//! The core of the IR: what every other crate of the toolkit is written against.
//!
//! * [`Context`]: append-only, `Sync` store of interned [`Type`]s, [`Attr`]ibutes, [`Name`]s, [`Loc`]ations and
//!   symbolic expressions; handles are `u32` and need no lifetime.
//! * [`Body`]: the arena of one isolated-from-above op: ops, values, blocks, regions under typed `u32` ids, what an op
//!   is kept apart from where it stands, operands on use lists. No id crosses a body.
//! * [`OpDef`]: the data table of an op, from which parser, printer, verifier and documentation are derived.
//! * [`Diagnostic`]: errors as data, with codes.
//!
//! This crate knows no syntax, no dialect beyond the tables it is given, no file and no LLVM.

pub mod attrs;
pub mod body;
pub mod builder;
pub mod clone;
pub mod codes;
pub mod context;
pub mod diagnostics;
pub mod entity;
pub mod interner;
pub mod location;
pub mod module;
pub mod opdef;
pub mod syntax;
pub mod tensors;
pub mod types;
pub mod verifier;

pub use attrs::{Attr, AttrData, AttrList};
pub use body::{BlockId, Body, OpId, RegionId, Sizes, Use, ValueDef, ValueId};
pub use builder::{Builder, InsertPoint, OpState};
pub use context::{Context, Name, OpName};
pub use diagnostics::{Diagnostic, Label, Severity};
pub use location::{Loc, LocData, SourceId};
pub use module::Module;
pub use nim_expr::{Expr, ExprNode, ExprPool, Facts, Symbol};
pub use opdef::{
    Arity, AttrDef, AttrKind, DialectDef, InferInput, OpDef, OperandDef, Presence, RegionDef, ResultDef, Trait,
    TypeConstraint,
};
pub use types::{Dim, FloatKind, Signedness, Type, TypeData};
