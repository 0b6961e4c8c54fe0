//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0002", "where a dimension comes from",
        "No mistake: `--explain-dim` tells step by step, from the value back to where the size is written, which op makes the \
         dimension of which others. Which ones an op uses is found by asking its shape function about other sizes.";
}
