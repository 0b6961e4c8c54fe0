//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0551", "local buffer without constant size",
        "Local buffers live in registers or on the stack; their sizes are numbers.";
    "N0552", "no memref",
        "`loops.load` reads from a memref.";
    "N0553", "wrong number of indices",
        "An access has one index for each dimension of the buffer.";
    "N0554", "unknown index operand",
        "`$v0`, `$v1`, ... stand for the index operands of the access.";
    "N0555", "stored value of another type",
        "The value has the buffer's element type; integers are signless.";
    "N0560", "incomplete loop",
        "A loop has `iv`, `lower`, `upper`, `step` and `kind`.";
    "N0561", "malformed iteration variable",
        "Iteration variables begin with `$`, are not called `$v`, differ from those of the loops around, and do not \
         appear in their own bounds.";
    "N0562", "step is not positive",
        "Loops go upwards.";
    "N0563", "yielded values do not fit",
        "Both regions of a `loops.if` with results yield values of their types.";
    "N0564", "tile registers do not fit",
        "There are 8 tile registers of 1 to 16 rows of up to 64 bytes. A `loops.for` with `tiles` gives them their shapes; ops on \
         tiles stand in it, and the shapes of a product agree.";
    "N0565", "turned loop is not parallel",
        "Only the iterations of a parallel loop may come in any order.";
    "N0570", "incomplete kernel",
        "A kernel has a body, and `outputs` of its last arguments are written.";
    "N0571", "symbol is not given",
        "Every symbol of an argument's type is listed in `symbols`.";
    "N0572", "unknown symbol",
        "Expressions use symbols that the kernel is given, and variables of the loops around.";
    "N0573", "input is written",
        "Only the outputs, which are the last arguments, and local buffers are written.";
}
