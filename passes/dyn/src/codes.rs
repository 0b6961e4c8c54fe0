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
    "N0723", "kernel cannot be invoked",
        "The kernel that `dataflow.invoke` names is not in the module, or takes or gives another number of values.";
}
