//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0820", "no canonical form",
        "The rules that are named fired in each of the last rounds. They undo each other, or the limit is too low: \
         `canonicalize{max-iterations=100}`. `--trace-rewrites` shows them at work, `--disable-rewrite` leaves one out.";
}
