//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0720", "op cannot stand in a host program",
        "`graph-to-dyn` takes what is left when tensors are computed by kernels. Lower first what it names: \
         `graph-to-dataflow`, then `dataflow-outline`.";
    "N0721", "size of a buffer is not known",
        "Memory is allocated by formula: each dimension is a number or an expression of symbols. Bind a symbol to the \
         size, `graph.bind`, where it comes from data.";
    "N0722", "host op is malformed",
        "A constant without elements, or an `if` or `loop` without its regions, got through with the verifier \
         switched off.";
    "N0724", "buffer would have to be on two devices",
        "Kernels of two devices write to the same memory, or one writes to what the caller or a value holds on the host. Give \
         each a buffer of its own and copy.";
    "N0725", "copy of unknown size",
        "A buffer is wanted on another device, but its type does not say how large it is.";
    "N0726", "no kernel to place",
        "The rule `PATTERN:DEVICE` is about kernels whose names match the pattern; none does. `*` stands for anything.";
    "N0727", "placement",
        "Where kernels and buffers of a function are and why, and what is copied: `dyn-place-devices{explain}`, \
         `nim-compile --explain-placement`.";
    "N0723", "kernel cannot be invoked",
        "The kernel that `dataflow.invoke` names is not in the module, or takes or gives another number of values.";
}
