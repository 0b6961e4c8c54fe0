//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0820", "no canonical form",
        "Rules undo each other, or the limit is too low: `canonicalize{max-iterations=100}`.";
}
