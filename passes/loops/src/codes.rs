//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0701", "map is malformed",
        "`dataflow-to-loops` got a map that the verifier refuses. Verify before, or mend the pass that made the map.",
        "`--verify-each=false` in front of `dataflow-to-loops`";
    "N0702", "tensor of unknown origin in a kernel",
        "A kernel reads its arguments and what earlier maps of it gave; nothing else has memory. Outline kernels with \
         `dataflow-outline`, which passes everything as arguments.";
    "N0703", "kernel cannot be written as upstream ops",
        "The kernel computes with a type that machine code has no form for, or is malformed. Keep such values on the \
         host.",
        "a kernel over `tensor<4x!graph.string>`";
    "N0704", "size is not known as an expression",
        "Loops need bounds: each dimension of a kernel's tensors is a number or an expression of its symbols, not \
         `?`.";
    "N0705", "dataflow report",
        "No mistake: `loops-explore-dataflow{report}` ranks the ways to hold a contraction's operands in registers.";
    "N0706", "schedule is malformed",
        "The attribute `loops.schedule` of a kernel has a string for each of its maps: `auto`; register tiles, as in \
         `tiles:rows6=$0:columns2=$1:block4`, or `words:...` of bytes and bf16, `tile-registers` for these; `winograd4` and `winograd6`, with `:shared` behind them; \
         `rows` and `vectors`, with 1, 2, 4 or 8 behind them, `plain`; or a dataflow, as in `output:rows4:columns2:window1:depth1` or, in tile registers, \
         `weight:rows2:columns2:depth1:tiles`. \
         A kernel that is walked in blocks has none but `auto`.",
        "`loops.schedule = [\"tiles:rowsfour\"]`";
    "N0707", "schedule does not fit the map",
        "What `loops.schedule` asks for is none of the schedules that are searched for this map: its dimensions are others, its tile \
         needs more registers than there are, or its error is larger than the tolerance. Such a choice of a tuning log is passed over.",
        "`tiles:rows4=$0:columns9=$1`, which needs 46 registers";
    "N0708", "nothing can be measured",
        "`loops-explore-dataflow{measure=N}` compiles and runs kernels: it needs a program that is built with the compiler, and a \
         machine with vectors of this size.";
    "N0752", "constant cannot be packed",
        "The layout that a kernel asks for cannot be made of this constant: its elements are missing or of another \
         shape.",
        "a packed weight that was elided";
}
