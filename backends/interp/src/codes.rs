//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0761", "no such function",
        "The interpreter starts at a function of the module: `--entry` names another than `main`.",
        "a module with only `func.func @f`";
    "N0762", "function cannot be run",
        "The op that is to be run has no body, or is none that can be entered.",
        "`--entry=f` of a declaration";
    "N0763", "input does not fit",
        "An input has another type, rank or size than the argument. Equal names mean equal sizes: two inputs of `[N]` \
         have the same length.",
        "`--input x=2xf32` and `--input y=3xf32` for `%x: tensor<[N]xf32>, %y: tensor<[N]xf32>`";
    "N0764", "op failed while it ran",
        "A guard did not hold, an index lay outside, or the op has no meaning for these values. The message says what \
         was found.",
        "`graph.guard` that says that `N` is 4, with an input of 5 rows";
    "N0765", "kernel failed while it ran",
        "Inside of a `loops.kernel` an index lay outside of its buffer, or an op is unknown there.",
        "`loops.load %x[8]` of `memref<8xf32>`";
}
