//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0800", "malformed pipeline",
        "A pipeline is passes separated by commas; options stand in braces, nested passes in parentheses behind the \
         name of an op.";
    "N0801", "pass in the wrong place",
        "The pass does not work on what it is nested in, or is no op name with passes inside.";
    "N0802", "unknown pass",
        "`--list-passes` lists them.";
    "N0803", "contract is not met",
        "A pass needs what neither the module nor a pass before it gives. Passes say what they need and give in \
         `--list-passes`.",
        "`--pass-pipeline=graph-to-dyn` of a module with `graph.matmul`";
    "N0804", "a pass failed",
        "This is a fault of the pass. `--print-ir-after-all` shows what it was given.",
        "a pass that panics, or leaves a value without definition";
    "N0805", "a pass ran on nothing",
        "No op is there that it is nested in, or works on: the pass was meant for another module, or stands too early or too \
         late in the pipeline.";
    "N0806", "option that cannot be used",
        "The pass has no such option, or not with this value. `--list-passes` lists options with their defaults.";
    "N0807", "a pass left what it promised to remove",
        "The table says which ops are left, how many, and where the first of them is. A later pass that needs them \
         gone will refuse to run.",
        "a conversion that gives `no_dialect(graph)` and leaves a `graph.runtime`";
    "N0815", "pass that this build does not have",
        "`mlir(...)` runs passes of upstream MLIR, which only programs built with LLVM have: \
         `cargo build -p nim-opt --features mlir`.";
    "N0816", "text in parentheses that a pass cannot use",
        "What stands in `mlir(...)` is a pipeline of upstream's passes, as `mlir-opt --pass-pipeline` takes it. The module \
         around it may be left out: `mlir(canonicalize,func.func(convert-scf-to-cf))`.";
    "N0817", "part of the module that upstream does not accept",
        "`mlir(...)` hands those ops of the module to upstream that hold nothing but ops that upstream knows. Upstream's \
         verifier found something wrong with them.",
        "a module that is not verified before";
    "N0818", "a pass of upstream failed",
        "The message is upstream's. The op that it is about is the one that was there before the segment.";
}
