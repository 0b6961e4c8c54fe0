//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0401", "result type cannot be inferred",
        "The operands and attributes of the op do not fit together, so it has no result: shapes that cannot be \
         multiplied, an axis that is not there, a pad that crops more than there is. The message says which two facts \
         clash; both come from the op's own text. A dimension counts as different from another only where that is \
         proved.";
    "N0402", "tensor of another shape or rank is needed",
        "While a graph was built, by the ONNX importer or by a program, an op got a value that it cannot work on. \
         Give it a tensor of known rank, or of shapes that broadcast.",
        "`Add` of `float[2, 3]` and `float[4]`";
    "N0403", "size list of unknown length",
        "A list of sizes, such as the shape of a reshape, must be a vector whose length is known when the model is \
         compiled: it is the rank of the result. Its contents may be computed at run time.",
        "`Reshape` by a shape that is a `NonZero` of something";
    "N0404", "constant does not fit its type",
        "A constant cannot be written in the element type asked for. Take a type with room for it.",
        "text as the start of an `int64` tensor";
    "N0405", "there is no such axis",
        "An axis is counted from 0, or from the end when negative, and must lie in the tensor's rank.",
        "`Softmax` along axis 2 of `float[2, 3]`";
    "N0406", "carried values differ in number",
        "Each value that a loop carries goes on at the end of its body: as many go on as are carried.",
        "a loop over `h` and `c` whose body gives only `h`";
    "N0407", "result of negative size",
        "A dimension would be negative, for every value of the symbols: a slice or crop takes more than there is, or \
         a window does not fit.",
        "a `Conv` of a window of 5 over 3 elements without pads";
    "N0408", "attribute that does not fit",
        "An attribute has another kind than the op's table says, or is not one of the words that it allows. The op's \
         page in the reference lists them.",
        "`graph.reduce` with the kind `average`";
    "N0410", "yielded values differ in number",
        "A region yields one value for each result of its op: `graph.if` the results, `graph.loop` the condition if \
         it has one, what is carried, and one value a stacked result.";
    "N0411", "yielded or carried value of another type",
        "What a region yields has the type that its op's result, or the region's argument, has. Symbols count: `[N]` \
         and `[M]` differ unless one of them is proved to be the other.";
    "N0412", "symbols cannot be bound",
        "`graph.bind` reads one integer for each symbol: its operand is a scalar for one symbol, or a vector of just \
         as many elements.";
    "N0413", "region of a loop takes other values",
        "The region of `graph.loop` takes the iteration's number first, then each carried value.";
    "N0414", "no derivative",
        "On the way from a tensor to what is derived by it stands an op without a derivative, such as a sort or a \
         loop, or a size of which it is not known whether it was broadcast. Derive by what stands behind that op, or \
         give the sizes.",
        "`Gradient` of the values of a `TopK`";
}
