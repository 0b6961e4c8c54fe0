//! Upstream's `memref`: buffers.

use crate::syntax::{DYNAMIC, parse_index_list, print_attrs, print_index_list, set, set_segments};
use nim_ir::{
    Diagnostic, InferInput, OpId, OpState, Type, TypeData, ValueId,
    syntax::{AsmParser, AsmPrinter, Parse},
    verifier::operand_groups,
};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `memref` dialect of upstream MLIR.
    pub static MEMREF_DIALECT: "memref", "Upstream: buffers, and loads and stores of their elements.",
    ops[Alloc, Alloca, Dealloc, Load, Store, Dim, Cast, Copy, ReinterpretCast, SubView]
}

/// Memory on the heap.
#[op(name = "memref.alloc", format = "`(` $dynamicSizes `)` (`[` $symbolOperands^ `]`)? attr-dict `:` type($memref)")]
pub struct Alloc {
    /// one size a `?` of the type
    #[operand(INDEX)]
    dynamicSizes: Variadic,
    /// symbols of the layout
    #[operand(INDEX)]
    symbolOperands: Variadic,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
    /// the buffer
    #[result(MEMREF)]
    memref: One,
}

/// Memory on the stack, until the function returns.
#[op(name = "memref.alloca", format = "`(` $dynamicSizes `)` (`[` $symbolOperands^ `]`)? attr-dict `:` type($memref)")]
pub struct Alloca {
    /// one size a `?` of the type
    #[operand(INDEX)]
    dynamicSizes: Variadic,
    /// symbols of the layout
    #[operand(INDEX)]
    symbolOperands: Variadic,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
    /// the buffer
    #[result(MEMREF)]
    memref: One,
}

/// Gives memory of the heap back.
#[op(name = "memref.dealloc", format = "$memref attr-dict `:` type($memref)")]
pub struct Dealloc {
    /// the buffer
    #[operand(ANY)]
    memref: One,
}

/// Reads an element.
#[op(name = "memref.load", traits(ReadOnly), infer = infer_element,
     format = "$memref `[` $indices `]` attr-dict `:` type($memref)")]
pub struct Load {
    /// the buffer
    #[operand(MEMREF)]
    memref: One,
    /// one index a dimension
    #[operand(INDEX)]
    indices: Variadic,
    /// will not be read again soon
    #[attr(Bool, default = "false")]
    nontemporal: Default,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
    /// the element
    #[result(ANY)]
    result: One,
}

fn infer_element(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    match input.operands.first().map(|&ty| input.ctx.type_data(ty)) {
        Some(TypeData::MemRef { element, .. }) => Ok(vec![*element]),
        _ => Err(Diagnostic::error("N0354", input.loc, "elements are read from a memref")),
    }
}

/// Writes an element.
#[op(name = "memref.store", format = "$value `,` $memref `[` $indices `]` attr-dict `:` type($memref)")]
pub struct Store {
    /// the element
    #[operand(ANY)]
    value: One,
    /// the buffer
    #[operand(MEMREF)]
    memref: One,
    /// one index a dimension
    #[operand(INDEX)]
    indices: Variadic,
    /// will not be read again soon
    #[attr(Bool, default = "false")]
    nontemporal: Default,
    /// bytes
    #[attr(Int)]
    alignment: Optional,
}

/// The size of a dimension.
#[op(name = "memref.dim", traits(Pure), infer = infer_index, format = "attr-dict $source `,` $index `:` type($source)")]
pub struct Dim {
    /// the buffer
    #[operand(ANY)]
    source: One,
    /// which
    #[operand(INDEX)]
    index: One,
    /// its size
    #[result(INDEX)]
    result: One,
}

fn infer_index(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(vec![input.ctx.index_type()])
}

/// The same buffer under a type that says more or less.
#[op(name = "memref.cast", traits(Pure), format = "$source attr-dict `:` type($source) `to` type($dest)")]
pub struct Cast {
    /// the buffer
    #[operand(ANY)]
    source: One,
    /// the same
    #[result(ANY)]
    dest: One,
}

/// Copies all elements.
#[op(name = "memref.copy", format = "$source `,` $target attr-dict `:` type($source) `to` type($target)")]
pub struct Copy {
    /// where they are
    #[operand(ANY)]
    source: One,
    /// where they go
    #[operand(ANY)]
    target: One,
}

macro_rules! strided {
    ($($struct:ident $name:literal $doc:literal $parse:ident $print:ident;)*) => { $(
        #[doc = $doc]
        #[op(name = $name, traits(Pure), parse = $parse, print = $print)]
        pub struct $struct {
            /// the buffer
            #[operand(ANY)] source: One,
            /// values of dynamic offsets
            #[operand(INDEX)] offsets: Variadic,
            /// values of dynamic sizes
            #[operand(INDEX)] sizes: Variadic,
            /// values of dynamic strides
            #[operand(INDEX)] strides: Variadic,
            /// offsets; `i64::MIN` where dynamic
            #[attr(Ints)] static_offsets: Required,
            /// sizes; `i64::MIN` where dynamic
            #[attr(Ints)] static_sizes: Required,
            /// strides; `i64::MIN` where dynamic
            #[attr(Ints)] static_strides: Required,
            /// the view
            #[result(MEMREF)] result: One,
        }
    )* };
}
strided! {
    ReinterpretCast "memref.reinterpret_cast" "The same memory under another offset, sizes and strides."
        parse_reinterpret print_reinterpret;
    SubView "memref.subview" "A part of a buffer." parse_subview print_subview;
}

const LISTS: [&str; 3] = ["static_offsets", "static_sizes", "static_strides"];

/// Attributes, segments and types, behind the lists.
fn finish(
    p: &mut dyn AsmParser,
    state: &mut OpState,
    source: nim_ir::syntax::OperandName,
    lists: [(Vec<ValueId>, Vec<i64>); 3],
) -> Parse<()> {
    let mut sizes = vec![1];
    for (name, (values, numbers)) in LISTS.iter().zip(&lists) {
        let attr = p.ctx().i64_array(numbers);
        set(p, state, name, attr);
        sizes.push(values.len());
    }
    set_segments(p, &mut state.attrs, &sizes);
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let from = p.ty()?;
    p.expect("to")?;
    let to = p.ty()?;
    state.operands = vec![p.resolve(source, from)?];
    state.operands.extend(lists.into_iter().flat_map(|(values, _)| values));
    state.results = vec![to];
    Ok(())
}

/// Values and numbers of the three lists.
fn lists(p: &dyn AsmPrinter, op: OpId) -> [(Vec<ValueId>, Vec<i64>); 3] {
    let groups = operand_groups(p.ctx(), p.body(), op).unwrap_or_default();
    let operands = p.body().operands(op);
    [0, 1, 2].map(|i| {
        let values = groups.get(i + 1).map(|g| operands[g.clone()].to_vec()).unwrap_or_default();
        let numbers = crate::syntax::attr(p, op, LISTS[i]).and_then(|a| p.ctx().as_ints(a)).unwrap_or_default();
        debug_assert_eq!(values.len(), numbers.iter().filter(|&&n| n == DYNAMIC).count());
        (values, numbers)
    })
}

fn print_rest(p: &mut dyn AsmPrinter, op: OpId) {
    print_attrs(p, op, &[&LISTS[..], &["operandSegmentSizes"]].concat());
    let (source, result) = (p.body().operand(op, 0), p.body().result(op));
    let (from, to) = (p.body().ty(source), p.body().ty(result));
    p.text(" : ");
    p.ty(from);
    p.text(" to ");
    p.ty(to);
}

/// `%x to offset: [..], sizes: [..], strides: [..] : T to U`
fn parse_reinterpret(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let source = p.operand()?;
    p.expect("to")?;
    let mut lists = vec![];
    for (i, word) in ["offset", "sizes", "strides"].into_iter().enumerate() {
        if i > 0 {
            p.expect(",")?;
        }
        p.expect(word)?;
        p.expect(":")?;
        lists.push(parse_index_list(p)?);
    }
    let [a, b, c] = <[_; 3]>::try_from(lists).unwrap_or_default();
    finish(p, state, source, [a, b, c])
}

fn print_reinterpret(p: &mut dyn AsmPrinter, op: OpId) {
    let source = p.body().operand(op, 0);
    p.text(" ");
    p.value(source);
    p.text(" to ");
    for (i, ((values, numbers), word)) in lists(p, op).into_iter().zip(["offset", "sizes", "strides"]).enumerate() {
        p.text(if i > 0 { ", " } else { "" });
        p.text(word);
        p.text(": ");
        print_index_list(p, &values, &numbers);
    }
    print_rest(p, op);
}

/// `%x[..] [..] [..] : T to U`
fn parse_subview(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let source = p.operand()?;
    let lists = [parse_index_list(p)?, parse_index_list(p)?, parse_index_list(p)?];
    finish(p, state, source, lists)
}

fn print_subview(p: &mut dyn AsmPrinter, op: OpId) {
    let source = p.body().operand(op, 0);
    p.text(" ");
    p.value(source);
    for (i, (values, numbers)) in lists(p, op).into_iter().enumerate() {
        p.text(if i > 0 { " " } else { "" });
        print_index_list(p, &values, &numbers);
    }
    print_rest(p, op);
}
