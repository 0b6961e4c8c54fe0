//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0710", "op cannot become a map",
        "The op has no movement that can be written as index expressions, or not for these types: the message says \
         why. Ops that search, sort or handle text stay in the host program and are lowered by `graph-to-dyn`.";
}
