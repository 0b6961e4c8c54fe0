//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0711", "movement report",
        "No mistake: `dataflow-report` tells what each container moves, as formulas of the symbols.";
}
