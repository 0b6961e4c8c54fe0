//! The `loops` dialect: how the machine walks.
//!
//! One kernel, destination passing, scalar semantics with a visible schedule. Annotations never change the meaning: run in order,
//! every kind of loop gives the same numbers, up to the order of summation.
//!
//! * [`ForView`], [`AccessView`], [`KernelView`]: what ops say, typed.
//! * [`LoopBuilder`]: makes loop nests.
//!
//! The exact meaning of the ops stands in `docs/ARCHITECTURE.md`.

mod access;
mod build;
pub mod codes;
mod control;
mod kernel;
mod ops;
mod tiles;
mod view;

pub use access::{value_symbol, value_symbol_index, word_elements};
pub use build::{LocalSpace, LoopBuilder, build_kernel};
pub use ops::{
    Dot, For, If, Index, Kernel, LOOPS, Load, LoadWord, Local, Prefetch, Store, StoreWord, TileDot, TileLoad,
    TileStore, TileZero, Yield,
};
pub use tiles::{
    TILE_BYTES, TILE_REGISTERS, TILE_ROWS, TileKind, TileShape, TileView, tile_elements, tile_shapes, tile_shapes_at,
};
pub use view::{ANY_ZERO, AccessView, ForView, IN_PLACE, KernelView, LoopKind, in_place};

use nim_ir::{Context, Type, TypeData};

/// The type that a scalar has inside bodies: integers lose their sign (`ui8` reads as `i8`), since `arith` knows none.
pub fn scalar_type(ctx: &Context, element: Type) -> Type {
    match ctx.type_data(element) {
        TypeData::Integer { width, .. } => ctx.int_type(*width),
        _ => element,
    }
}
