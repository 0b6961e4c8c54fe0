//! The op tables of the dialect.

use crate::{access, control, kernel, tiles};
use nim_builtin::syntax::{parse_values, print_values};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `loops` dialect.
    pub static LOOPS: "loops",
    "How the machine walks: loop nests over buffers with a visible schedule, scalar bodies, small local buffers.",
    ops[Kernel, For, If, Local, Load, LoadWord, Prefetch, Dot, Store, StoreWord, Index, TileZero, TileLoad, TileDot, TileStore, Yield]
}

/// A kernel in destination-passing style: the last `outputs` arguments are written, the others read.
///
/// ```text
/// loops.kernel @k(%x: memref<[N]xf32>, %y: memref<[N]xf32>) attributes {outputs = 1, symbols = ["N"]} {
///   loops.for $0 = 0 to N parallel {
///     %v = loops.load %x[$0] : memref<[N]xf32>
///     loops.store %v, %y[$0] : memref<[N]xf32>
///   }
///   loops.yield
/// }
/// ```
#[op(name = "loops.kernel", traits(IsolatedFromAbove, Symbol), parse = kernel::parse, print = kernel::print,
     verify = kernel::verify)]
pub struct Kernel {
    /// name
    #[attr(SymbolName)]
    sym_name: Required,
    /// `(memrefs) -> ()`
    #[attr(Type)]
    function_type: Required,
    /// how many of the last arguments are written
    #[attr(Int)]
    outputs: Required,
    /// names of the symbols it is given
    #[attr(Array)]
    symbols: Optional,
    /// where it runs; on the host when absent
    #[attr(String)]
    device: Optional,
    /// the loops
    #[region(single_block)]
    body: One,
}

/// Runs its body for `iv = lower, lower + step, ...` below `upper`.
///
/// The kind says how the machine walks, never what comes out: `parallel` (threads), `unroll`, `vector` (lanes), `seq`.
///
/// With `tiles [16 by 64, N by 64]` tile registers 0, 1, ... have these shapes, rows by bytes of a row, while it runs. Their contents
/// are zero at first, and lost behind it.
///
/// With `turned n` each part of a parallel loop is walked from its last iteration to its first where `n` is odd: what the kernel
/// has read last when it ran before, with another `n`, is still in the caches and is read first.
#[op(name = "loops.for", traits(StructuredControlFlow), parse = control::parse_for, print = control::print_for,
     verify = control::verify_for)]
pub struct For {
    /// name of the iteration variable; begins with `$`
    #[attr(String)]
    iv: Required,
    /// first value
    #[attr(Expr)]
    lower: Required,
    /// end, exclusive
    #[attr(Expr)]
    upper: Required,
    /// step, positive
    #[attr(Int)]
    step: Required,
    /// seq, parallel, unroll or vector
    #[attr(Enum("seq", "parallel", "unroll", "vector"))]
    kind: Required,
    /// rows of tile registers, 1 to 16 each
    #[attr(Exprs)]
    tile_rows: Optional,
    /// bytes of their rows, multiples of 4 up to 64
    #[attr(Ints)]
    tile_bytes: Optional,
    /// walked backwards where this is odd; parallel loops only
    #[attr(Expr)]
    turned: Optional,
    /// what is run
    #[region(single_block)]
    body: One,
}

/// Runs its first region if all conditions are at least 0, else its second, if there is one: guards of borders and tails.
///
/// With results both regions are there and yield them.
#[op(name = "loops.if", traits(StructuredControlFlow), parse = control::parse_if, print = control::print_if,
     verify = control::verify_if)]
pub struct If {
    /// expressions, all of which must be at least 0
    #[attr(Exprs)]
    conditions: Required,
    /// if they are
    #[region(single_block)]
    then_region: One,
    /// if one is not
    #[region(single_block)]
    else_region: Optional,
    /// what the regions yield
    #[result(SCALAR)]
    results: Variadic,
}

/// A small buffer of constant size whose contents are undefined at first.
#[op(name = "loops.local", parse = access::parse_local, print = access::print_local, verify = access::verify_local)]
pub struct Local {
    /// register or stack
    #[attr(Enum("register", "stack"))]
    space: Required,
    /// the buffer
    #[result(MEMREF)]
    result: One,
}

/// Reads an element. Indices are expressions over iteration variables, symbols, and values of type `index`.
#[op(name = "loops.load", traits(ReadOnly), infer = access::infer_load, parse = access::parse_load,
     print = access::print_load, verify = access::verify_load)]
pub struct Load {
    /// the buffer
    #[operand(MEMREF)]
    buffer: One,
    /// values that the indices use as `$v0`, `$v1`, ...
    #[operand(INDEX)]
    values: Variadic,
    /// one index a dimension
    #[attr(Exprs)]
    indices: Required,
    /// the element, signless
    #[result(SCALAR)]
    result: One,
}

/// Says that an element will be read soon: its line may be brought into the second-level cache meanwhile. Nothing else happens; an element
/// outside of the buffer is as good as any.
#[op(name = "loops.prefetch", parse = access::parse_prefetch, print = access::print_load, verify = access::verify_prefetch)]
pub struct Prefetch {
    /// the buffer
    #[operand(MEMREF)]
    buffer: One,
    /// one index a dimension
    #[attr(Exprs)]
    indices: Required,
}

/// Reads neighbours of the last dimension that fill 32 bits, four bytes or two `bf16`, as one number, the first one lowest.
#[op(name = "loops.load_word", traits(ReadOnly), infer = access::infer_load_word, parse = access::parse_load,
     print = access::print_load, verify = access::verify_load)]
pub struct LoadWord {
    /// a buffer of bytes or `bf16`
    #[operand(MEMREF)]
    buffer: One,
    /// values that the indices use as `$v0`, `$v1`, ...
    #[operand(INDEX)]
    values: Variadic,
    /// one index a dimension: the place of the first neighbour
    #[attr(Exprs)]
    indices: Required,
    /// their bits as `i32`
    #[result(SCALAR)]
    result: One,
}

/// A sum and the products of what two words hold. Of `i32`, `acc + a0*b0 + a1*b1 + a2*b2 + a3*b3` modulo 2^32: the bytes of `a` are
/// unsigned, those of `b` signed. Of `f32`, `acc + a0*b0 + a1*b1` of `bf16`: products are exact, sums are rounded to nearest in
/// either order, or once for both; what is below the normal numbers may count as zero.
#[op(name = "loops.dot", traits(Pure), infer = access::infer_dot, parse = access::parse_dot, print = access::print_dot,
     verify = access::verify_dot)]
pub struct Dot {
    /// summand, `i32` or `f32`
    #[operand(SCALAR)]
    acc: One,
    /// the left factors, `i32`
    #[operand(SCALAR)]
    a: One,
    /// the right factors, `i32`
    #[operand(SCALAR)]
    b: One,
    /// the sum
    #[result(SCALAR)]
    result: One,
}

/// Writes an element.
#[op(name = "loops.store", parse = access::parse_store, print = access::print_store, verify = access::verify_store)]
pub struct Store {
    /// the element, signless
    #[operand(SCALAR)]
    value: One,
    /// the buffer
    #[operand(MEMREF)]
    buffer: One,
    /// values that the indices use as `$v0`, `$v1`, ...
    #[operand(INDEX)]
    values: Variadic,
    /// one index a dimension
    #[attr(Exprs)]
    indices: Required,
}

/// Writes 32 bits as neighbours of the last dimension, four bytes or two `bf16`, the lowest bits first.
#[op(name = "loops.store_word", parse = access::parse_store_word, print = access::print_store,
     verify = access::verify_store_word)]
pub struct StoreWord {
    /// their bits, `i32`
    #[operand(SCALAR)]
    value: One,
    /// a buffer of bytes or `bf16`
    #[operand(MEMREF)]
    buffer: One,
    /// values that the indices use as `$v0`, `$v1`, ...
    #[operand(INDEX)]
    values: Variadic,
    /// one index a dimension: the place of the first neighbour
    #[attr(Exprs)]
    indices: Required,
}

/// The value of an expression of iteration variables and symbols.
#[op(name = "loops.index", traits(Pure), infer = access::infer_index, parse = access::parse_index,
     print = access::print_index)]
pub struct Index {
    /// the expression
    #[attr(Expr)]
    expr: Required,
    /// its value
    #[result(INDEX)]
    result: One,
}

/// Fills a tile register with zeros.
#[op(name = "loops.tile_zero", parse = tiles::parse_zero, print = tiles::print_zero, verify = tiles::verify_zero)]
pub struct TileZero {
    /// the register
    #[attr(Int)]
    tile: Required,
}

/// Fills a tile register from a buffer. Its first row begins at the indices, each further one `stride` elements behind the one
/// before; the bytes of a row follow each other in memory, whatever dimensions the buffer has.
///
/// ```text
/// loops.for $0 = 0 to 4 tiles [16 by 64, 16 by 64, 16 by 64] {
///   loops.tile_zero 0
///   loops.tile_load 1, %x[$0, 0, 0] stride 64 : memref<4x16x64xui8>
///   loops.tile_load 2, %w[0, 0, 0] stride 64 : memref<16x16x4xi8>
///   loops.tile_dot u8s8 0, 1, 2
///   loops.tile_store 0, %y[$0, 0, 0] stride 16 : memref<4x16x16xi32>
/// }
/// ```
#[op(name = "loops.tile_load", parse = tiles::parse_moved, print = tiles::print_moved, verify = tiles::verify_moved)]
pub struct TileLoad {
    /// a buffer of bytes, `bf16`, `i32` or `f32`
    #[operand(MEMREF)]
    buffer: One,
    /// the register
    #[attr(Int)]
    tile: Required,
    /// one index a dimension: where the first row begins
    #[attr(Exprs)]
    indices: Required,
    /// elements from the begin of a row to that of the next
    #[attr(Expr)]
    stride: Required,
}

/// Adds products of two tiles to a third: `sum[m][n] += left[m][k] * right[k][n]`, where elements of factors are words of 32 bits
/// whose products are those of `loops.dot`, of bytes with or without signs on either side. Integers are exact modulo 2^32. Of
/// `bf16`, products are exact, sums are in `f32`, to nearest, in any order; what is below the normal numbers may count as zero.
#[op(name = "loops.tile_dot", parse = tiles::parse_dot, print = tiles::print_dot, verify = tiles::verify_dot)]
pub struct TileDot {
    /// what the factors are
    #[attr(Enum("bf16", "u8u8", "u8s8", "s8u8", "s8s8"))]
    kind: Required,
    /// the register of the sums: words of 32 bits, a row for each of `left`
    #[attr(Int)]
    sum: Required,
    /// the register of the left factor
    #[attr(Int)]
    left: Required,
    /// the register of the right factor: a row for each word in a row of `left`
    #[attr(Int)]
    right: Required,
}

/// Writes a tile register to a buffer, row by row as `loops.tile_load` reads them.
#[op(name = "loops.tile_store", parse = tiles::parse_moved, print = tiles::print_moved, verify = tiles::verify_moved)]
pub struct TileStore {
    /// a buffer of `i32` or `f32`
    #[operand(MEMREF)]
    buffer: One,
    /// the register
    #[attr(Int)]
    tile: Required,
    /// one index a dimension: where the first row begins
    #[attr(Exprs)]
    indices: Required,
    /// elements from the begin of a row to that of the next
    #[attr(Expr)]
    stride: Required,
}

/// Ends a region.
#[op(name = "loops.yield", traits(Pure, Terminator), parse = parse_values, print = print_values)]
pub struct Yield {
    /// results of a `loops.if`
    #[operand(SCALAR)]
    values: Variadic,
}
