//! Upstream's `vector`: the ops that loops become, and those that intrinsics need.

use crate::vector_syntax as own;
use nim_ir::{Diagnostic, InferInput, Type, TypeData};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `vector` dialect of upstream MLIR.
    pub static VECTOR_DIALECT: "vector", "Upstream: vectors of any rank.",
    ops[Load, Store, MaskedLoad, MaskedStore, Gather, Scatter, Broadcast, Fma, Reduction, MultiReduction, Extract, Insert,
        ExtractStridedSlice, InsertStridedSlice, Transpose, Shuffle, CreateMask, ConstantMask, ShapeCast, BitCast, Contract,
        OuterProduct, Step, TransferRead, TransferWrite, FromElements]
}

fn infer_first(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(input.operands.iter().take(1).copied().collect())
}

/// Without a written type there is no result.
fn infer_none(_: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(vec![])
}

fn infer_second(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(input.operands.iter().skip(1).take(1).copied().collect())
}

/// Reads neighbouring elements.
#[op(
    name = "vector.load",
    traits(ReadOnly),
    format = "$base `[` $indices `]` attr-dict `:` type($base) `,` type($result)"
)]
pub struct Load {
    /// the buffer
    #[operand(MEMREF)]
    base: One,
    /// where the first element is
    #[operand(INDEX)]
    indices: Variadic,
    /// will not be read again soon
    #[attr(Bool, default = "false")]
    nontemporal: Default,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
    /// the elements
    #[result(VECTOR)]
    result: One,
}

/// Writes neighbouring elements.
#[op(
    name = "vector.store",
    format = "$valueToStore `,` $base `[` $indices `]` attr-dict `:` type($base) `,` type($valueToStore)"
)]
pub struct Store {
    /// the elements
    #[operand(VECTOR)]
    valueToStore: One,
    /// the buffer
    #[operand(MEMREF)]
    base: One,
    /// where the first element goes
    #[operand(INDEX)]
    indices: Variadic,
    /// will not be read again soon
    #[attr(Bool, default = "false")]
    nontemporal: Default,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
}

/// Reads neighbouring elements where the mask is true.
#[op(
    name = "vector.maskedload",
    traits(ReadOnly),
    format = "$base `[` $indices `]` `,` $mask `,` $pass_thru attr-dict `:` type($base) `,` type($mask) `,` type($pass_thru) `into` type($result)"
)]
pub struct MaskedLoad {
    /// the buffer
    #[operand(MEMREF)]
    base: One,
    /// where the first element is
    #[operand(INDEX)]
    indices: Variadic,
    /// which elements
    #[operand(VECTOR)]
    mask: One,
    /// what stands for the others
    #[operand(VECTOR)]
    pass_thru: One,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
    /// the elements
    #[result(VECTOR)]
    result: One,
}

/// Writes neighbouring elements where the mask is true.
#[op(
    name = "vector.maskedstore",
    format = "$base `[` $indices `]` `,` $mask `,` $valueToStore attr-dict `:` type($base) `,` type($mask) `,` type($valueToStore)"
)]
pub struct MaskedStore {
    /// the buffer
    #[operand(MEMREF)]
    base: One,
    /// where the first element goes
    #[operand(INDEX)]
    indices: Variadic,
    /// which elements
    #[operand(VECTOR)]
    mask: One,
    /// the elements
    #[operand(VECTOR)]
    valueToStore: One,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
}

/// Reads elements at distances that a vector says, where the mask is true.
#[op(
    name = "vector.gather",
    traits(ReadOnly),
    format = "$base `[` $offsets `]` `[` $indices `]` `,` $mask `,` $pass_thru attr-dict `:` type($base) `,` type($indices) `,` type($mask) `,` type($pass_thru) `into` type($result)"
)]
pub struct Gather {
    /// the buffer
    #[operand(SHAPED)]
    base: One,
    /// where distances count from
    #[operand(INDEX)]
    offsets: Variadic,
    /// distances
    #[operand(VECTOR)]
    indices: One,
    /// which elements
    #[operand(VECTOR)]
    mask: One,
    /// what stands for the others
    #[operand(VECTOR)]
    pass_thru: One,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
    /// the elements
    #[result(VECTOR)]
    result: One,
}

/// Writes elements at distances that a vector says, where the mask is true.
#[op(
    name = "vector.scatter",
    infer = infer_none,
    format = "$base `[` $offsets `]` `[` $indices `]` `,` $mask `,` $valueToStore attr-dict `:` type($base) `,` type($indices) `,` type($mask) `,` type($valueToStore) (`->` type($result)^)?"
)]
pub struct Scatter {
    /// the buffer
    #[operand(SHAPED)]
    base: One,
    /// where distances count from
    #[operand(INDEX)]
    offsets: Variadic,
    /// distances
    #[operand(VECTOR)]
    indices: One,
    /// which elements
    #[operand(VECTOR)]
    mask: One,
    /// the elements
    #[operand(VECTOR)]
    valueToStore: One,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
    /// the tensor, if the base is one
    #[result(TENSOR)]
    result: Optional,
}

/// Copies of a scalar, or of a smaller vector along leading dimensions and dimensions of size 1.
#[op(name = "vector.broadcast", traits(Pure), format = "$source attr-dict `:` type($source) `to` type($vector)")]
pub struct Broadcast {
    /// what is copied
    #[operand(ANY)]
    source: One,
    /// the copies
    #[result(VECTOR)]
    vector: One,
}

/// `lhs * rhs + acc`, rounded once.
#[op(name = "vector.fma", traits(Pure, SameOperandsAndResultType), infer = infer_first,
     format = "$lhs `,` $rhs `,` $acc attr-dict `:` type($lhs)")]
pub struct Fma {
    /// first factor
    #[operand(VECTOR)]
    lhs: One,
    /// second factor
    #[operand(VECTOR)]
    rhs: One,
    /// summand
    #[operand(VECTOR)]
    acc: One,
    /// result
    #[result(VECTOR)]
    result: One,
}

/// The elements of a vector of rank 1 combined into one.
#[op(name = "vector.reduction", traits(Pure), parse = own::parse_reduction, print = own::print_reduction)]
pub struct Reduction {
    /// `#vector.kind<add>` and the like
    #[attr(Any)]
    kind: Required,
    /// the elements
    #[operand(VECTOR)]
    vector: One,
    /// what they are combined with
    #[operand(ANY)]
    acc: Optional,
    /// `#arith.fastmath<...>`: what may be assumed
    #[attr(Any, default = "#arith.fastmath<none>")]
    fastmath: Default,
    /// result
    #[result(ANY)]
    dest: One,
}

/// Some dimensions of a vector combined.
#[op(name = "vector.multi_reduction", traits(Pure), parse = own::parse_multi_reduction, print = own::print_multi_reduction)]
pub struct MultiReduction {
    /// `#vector.kind<add>` and the like
    #[attr(Any)]
    kind: Required,
    /// the vector
    #[operand(VECTOR)]
    source: One,
    /// what it is combined with
    #[operand(ANY)]
    acc: One,
    /// which dimensions
    #[attr(Ints)]
    reduction_dims: Required,
    /// result
    #[result(ANY)]
    dest: One,
}

/// An element or a part of leading dimensions.
#[op(name = "vector.extract", traits(Pure), parse = own::parse_extract, print = own::print_extract)]
pub struct Extract {
    /// the vector
    #[operand(VECTOR)]
    source: One,
    /// values of dynamic positions
    #[operand(INDEX)]
    dynamic_position: Variadic,
    /// positions; `i64::MIN` where dynamic
    #[attr(Ints)]
    static_position: Required,
    /// the part
    #[result(ANY)]
    result: One,
}

/// A vector with another element or part of leading dimensions.
#[op(name = "vector.insert", traits(Pure), parse = own::parse_insert, print = own::print_insert)]
pub struct Insert {
    /// the part
    #[operand(ANY)]
    valueToStore: One,
    /// the vector
    #[operand(VECTOR)]
    dest: One,
    /// values of dynamic positions
    #[operand(INDEX)]
    dynamic_position: Variadic,
    /// positions; `i64::MIN` where dynamic
    #[attr(Ints)]
    static_position: Required,
    /// the vector with the part
    #[result(VECTOR)]
    result: One,
}

/// A box out of a vector.
#[op(
    name = "vector.extract_strided_slice",
    traits(Pure),
    format = "$source attr-dict `:` type($source) `to` type($result)"
)]
pub struct ExtractStridedSlice {
    /// the vector
    #[operand(VECTOR)]
    source: One,
    /// where the box begins
    #[attr(Array)]
    offsets: Required,
    /// how large it is
    #[attr(Array)]
    sizes: Required,
    /// steps
    #[attr(Array)]
    strides: Required,
    /// the box
    #[result(VECTOR)]
    result: One,
}

/// A vector with a box replaced.
#[op(name = "vector.insert_strided_slice", traits(Pure), infer = infer_second,
     format = "$valueToStore `,` $dest attr-dict `:` type($valueToStore) `into` type($dest)")]
pub struct InsertStridedSlice {
    /// the box
    #[operand(VECTOR)]
    valueToStore: One,
    /// the vector
    #[operand(VECTOR)]
    dest: One,
    /// where the box begins
    #[attr(Array)]
    offsets: Required,
    /// steps
    #[attr(Array)]
    strides: Required,
    /// the vector with the box
    #[result(VECTOR)]
    result: One,
}

/// Dimensions in another order.
#[op(
    name = "vector.transpose",
    traits(Pure),
    format = "$vector `,` $permutation attr-dict `:` type($vector) `to` type($result)"
)]
pub struct Transpose {
    /// the vector
    #[operand(VECTOR)]
    vector: One,
    /// dimension of the operand for each of the result
    #[attr(Ints)]
    permutation: Required,
    /// result
    #[result(VECTOR)]
    result: One,
}

/// Elements of two vectors, picked by number; -1 picks none.
#[op(name = "vector.shuffle", traits(Pure), infer = infer_shuffle, format = "operands $mask attr-dict `:` type(operands)")]
pub struct Shuffle {
    /// first vector
    #[operand(VECTOR)]
    v1: One,
    /// second vector
    #[operand(VECTOR)]
    v2: One,
    /// numbers
    #[attr(Ints)]
    mask: Required,
    /// what was picked
    #[result(VECTOR)]
    vector: One,
}

fn infer_shuffle(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    let mask = input.attrs.get(input.ctx.name("mask")).and_then(|a| input.ctx.as_ints(a));
    match (mask, input.operands.first().map(|&t| input.ctx.type_data(t))) {
        (Some(mask), Some(TypeData::Vector { dims, element })) => {
            let mut dims = dims.clone();
            // A vector of rank 0 counts as one of a single element.
            let count = (mask.len() as i64, false);
            match dims.first_mut() {
                Some(first) => *first = count,
                None => dims.push(count),
            }
            Ok(vec![input.ctx.ty(TypeData::Vector { dims, element: *element })])
        }
        _ => Err(Diagnostic::error("N0356", input.loc, "`vector.shuffle` picks from vectors")),
    }
}

/// True in a corner of these sizes.
#[op(name = "vector.create_mask", traits(Pure), format = "$operands attr-dict `:` type($result)")]
pub struct CreateMask {
    /// sizes
    #[operand(INDEX)]
    operands: Variadic,
    /// the mask
    #[result(VECTOR)]
    result: One,
}

/// True in a corner of constant sizes.
#[op(name = "vector.constant_mask", traits(Pure), format = "$mask_dim_sizes attr-dict `:` type($result)")]
pub struct ConstantMask {
    /// sizes
    #[attr(Ints)]
    mask_dim_sizes: Required,
    /// the mask
    #[result(VECTOR)]
    result: One,
}

/// The same elements in the same order under another shape.
#[op(name = "vector.shape_cast", traits(Pure), format = "$source attr-dict `:` type($source) `to` type($result)")]
pub struct ShapeCast {
    /// the vector
    #[operand(VECTOR)]
    source: One,
    /// result
    #[result(VECTOR)]
    result: One,
}

/// The same bits as elements of another width.
#[op(name = "vector.bitcast", traits(Pure), format = "$source attr-dict `:` type($source) `to` type($result)")]
pub struct BitCast {
    /// the vector
    #[operand(VECTOR)]
    source: One,
    /// result
    #[result(VECTOR)]
    result: One,
}

/// A contraction, as affine maps and iterator types say.
#[op(name = "vector.contract", traits(Pure), parse = own::parse_contract, print = own::print_contract)]
pub struct Contract {
    /// first factor
    #[operand(VECTOR)]
    lhs: One,
    /// second factor
    #[operand(VECTOR)]
    rhs: One,
    /// summand
    #[operand(ANY)]
    acc: One,
    /// one map an operand
    #[attr(Array)]
    indexing_maps: Required,
    /// `#vector.iterator_type<parallel>` and the like
    #[attr(Array)]
    iterator_types: Required,
    /// `#vector.kind<add>` and the like
    #[attr(Any, default = "#vector.kind<add>")]
    kind: Default,
    /// result
    #[result(ANY)]
    result: One,
}

/// Products of all elements with all elements, or with a scalar, plus a summand.
#[op(name = "vector.outerproduct", traits(Pure), parse = own::parse_outerproduct, print = own::print_outerproduct)]
pub struct OuterProduct {
    /// column
    #[operand(VECTOR)]
    lhs: One,
    /// row, or a scalar
    #[operand(ANY)]
    rhs: One,
    /// summand
    #[operand(VECTOR)]
    acc: Optional,
    /// `#vector.kind<add>` and the like
    #[attr(Any, default = "#vector.kind<add>")]
    kind: Default,
    /// result
    #[result(VECTOR)]
    result: One,
}

/// 0, 1, 2, ...
#[op(name = "vector.step", traits(Pure), format = "attr-dict `:` type($result)")]
pub struct Step {
    /// a vector of `index`
    #[result(VECTOR)]
    result: One,
}

/// A vector of given elements.
#[op(name = "vector.from_elements", traits(Pure), parse = own::parse_from_elements, print = own::print_from_elements)]
pub struct FromElements {
    /// in row-major order
    #[operand(ANY)]
    elements: Variadic,
    /// the vector
    #[result(VECTOR)]
    dest: One,
}

/// Reads a box of a buffer or tensor; outside it reads the padding.
#[op(name = "vector.transfer_read", traits(ReadOnly), parse = own::parse_transfer_read, print = own::print_transfer_read)]
pub struct TransferRead {
    /// the buffer or tensor
    #[operand(SHAPED)]
    base: One,
    /// where the box begins
    #[operand(INDEX)]
    indices: Variadic,
    /// what stands for elements outside
    #[operand(ANY)]
    padding: One,
    /// which elements
    #[operand(VECTOR)]
    mask: Optional,
    /// dimension of the base for each of the vector
    #[attr(Any)]
    permutation_map: Required,
    /// one a dimension of the vector: never outside
    #[attr(Array)]
    in_bounds: Required,
    /// the box
    #[result(VECTOR)]
    vector: One,
}

/// Writes a box of a buffer or tensor; what lies outside is dropped.
#[op(name = "vector.transfer_write", parse = own::parse_transfer_write, print = own::print_transfer_write)]
pub struct TransferWrite {
    /// the box
    #[operand(VECTOR)]
    valueToStore: One,
    /// the buffer or tensor
    #[operand(SHAPED)]
    base: One,
    /// where the box begins
    #[operand(INDEX)]
    indices: Variadic,
    /// which elements
    #[operand(VECTOR)]
    mask: Optional,
    /// dimension of the base for each of the vector
    #[attr(Any)]
    permutation_map: Required,
    /// one a dimension of the vector: never outside
    #[attr(Array)]
    in_bounds: Required,
    /// the tensor, if the base is one
    #[result(TENSOR)]
    result: Optional,
}
