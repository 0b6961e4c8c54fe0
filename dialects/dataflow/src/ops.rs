//! The op tables of the dialect.

use crate::{kernel, map_syntax, map_verify, small};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `dataflow` dialect.
    pub static DATAFLOW: "dataflow",
    "What moves: maps over index spaces whose reads and writes are spelled out as memlets, with scalar bodies.",
    ops[Map, Load, Index, Yield, Kernel, Return, Invoke]
}

/// For all points of an index space: read, run a scalar body, combine into the results.
///
/// Value semantics on tensors. The iteration variables `$0, $1, ...` run from 0 to the extents of `domain`. Points are taken in
/// lexicographic order; points of parallel dimensions are independent unless a write is scattered. Dimensions that no write
/// mentions are reductions. With an epilogue, the reduced values go through it before they are written.
///
/// ```text
/// %h = dataflow.map [$0 < N, $1 < 3072, $2 < 768] reads(%a = %x[$0, $2], %c = %w[$2, $1])
///      writes([$0, $1] add init 0.0 : f32) {
///   %m = arith.mulf %a, %c : f32
///   dataflow.yield %m : f32
/// } : tensor<[N]x3072xf32>
/// ```
///
/// Reads: `%a = %x[i, j]` is a point memlet, `%a = %x[i, j] else 0.0 : f32` has a border value, `%t = %x[*]` is the whole
/// container. Writes: `[i, j]` or `[*]` (scattered: the body yields the indices), a combiner, `init ATTRIBUTE` or `into %operand`.
/// Epilogue: `epilogue(%v, %w, %b = %bias[$1]) { ... }`: reduced values, then reads.
#[op(name = "dataflow.map", traits(Pure, StructuredControlFlow), parse = map_syntax::parse, print = map_syntax::print,
     verify = map_verify::verify)]
pub struct Map {
    /// what the body reads
    #[operand(TENSOR)]
    read_values: Variadic,
    /// what the epilogue reads
    #[operand(TENSOR)]
    epilogue_values: Variadic,
    /// what results start from
    #[operand(TENSOR)]
    init_values: Variadic,
    /// extents, one an iteration variable
    #[attr(Exprs)]
    domain: Required,
    /// memlets, one a read: an array of expressions, or `unit` for the whole container
    #[attr(Array)]
    reads: Required,
    /// one a read: `unit`, or the scalar read where the index lies outside; absent means that all lie inside
    #[attr(Array)]
    borders: Optional,
    /// memlets of the epilogue's reads; absent without any
    #[attr(Array)]
    epilogue_reads: Optional,
    /// memlets, one a result: an array of expressions, or `unit` for a scattered write
    #[attr(Array)]
    writes: Required,
    /// one a result: none, add, mul, max, min, and, or
    #[attr(Array)]
    combine: Required,
    /// one a result: `unit`, or the scalar that the result starts from
    #[attr(Array)]
    inits: Required,
    /// one a result: true when it starts from its operand among `init_values`; absent means none does
    #[attr(Array)]
    init_operands: Optional,
    /// in a kernel with `block`: which dimensions are shared with its other maps, in order
    #[attr(Ints)]
    shared: Optional,
    /// before there is a kernel: the number of the maps that will be one
    #[attr(Int)]
    group: Optional,
    /// before there is a kernel: its `block`
    #[attr(Exprs)]
    block: Optional,
    /// the body
    #[region(single_block)]
    body: One,
    /// what happens to reduced values before they are written
    #[region(single_block)]
    epilogue: Optional,
    /// what was written
    #[result(TENSOR)]
    results: Variadic,
}

/// Reads an element of a whole container. Indices are clamped into it.
#[op(name = "dataflow.load", traits(Pure), infer = small::infer_load, parse = small::parse_load, print = small::print_load)]
pub struct Load {
    /// the container
    #[operand(TENSOR)]
    container: One,
    /// one index a dimension
    #[operand(INDEX)]
    indices: Variadic,
    /// the element, signless
    #[result(SCALAR)]
    result: One,
}

/// The value of an expression of iteration variables and symbols.
#[op(name = "dataflow.index", traits(Pure), infer = small::infer_index, parse = small::parse_index,
     print = small::print_index)]
pub struct Index {
    /// the expression
    #[attr(Expr)]
    expr: Required,
    /// its value
    #[result(INDEX)]
    result: One,
}

/// Ends a body or an epilogue: per write the value, followed by its indices if the write is scattered.
#[op(name = "dataflow.yield", traits(Pure, Terminator), parse = small::parse_values, print = small::print_values)]
pub struct Yield {
    /// values and indices
    #[operand(SCALAR)]
    values: Variadic,
}

/// A kernel: a few maps in sequence, called from the host program.
#[op(name = "dataflow.kernel", traits(IsolatedFromAbove, Symbol), parse = kernel::parse, print = kernel::print,
     verify = kernel::verify)]
pub struct Kernel {
    /// name
    #[attr(SymbolName)]
    sym_name: Required,
    /// `(tensors) -> tensors`
    #[attr(Type)]
    function_type: Required,
    /// names of the symbols it is given
    #[attr(Array)]
    symbols: Optional,
    /// where it runs; on the host when absent
    #[attr(String)]
    device: Optional,
    /// points of each dimension that the maps share which are one block: all maps run on it before the next one begins
    #[attr(Exprs)]
    block: Optional,
    /// the maps
    #[region(single_block)]
    body: One,
}

/// Ends a kernel.
#[op(name = "dataflow.return", traits(Pure, Terminator), parse = small::parse_values, print = small::print_values)]
pub struct Return {
    /// the kernel's results
    #[operand(TENSOR)]
    values: Variadic,
}

/// Calls a kernel from the host program.
#[op(name = "dataflow.invoke", traits(Pure, SymbolUser), parse = kernel::parse_invoke, print = kernel::print_invoke)]
pub struct Invoke {
    /// the kernel
    #[attr(SymbolRef)]
    callee: Required,
    /// arguments
    #[operand(TENSOR)]
    operands: Variadic,
    /// results
    #[result(TENSOR)]
    results: Variadic,
}
