//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0740", "no function to start with",
        "A program starts at `main`, or at the function that `--entry` names.",
        "a module with only `func.func @f`";
    "N0741", "symbol has no value yet",
        "A size uses a symbol that nothing has given a value when it is needed: no argument has it as a dimension of \
         its own, and no `graph.bind` stands before.",
        "an argument of `[2*N]` and a result of `[N]`";
    "N0742", "size cannot be computed",
        "The expression of a size divides by zero or overflows for every value.",
        "`floordiv(N, 0)`";
    "N0743", "type that memory cannot hold",
        "A buffer has a dimension that is not known or elements without a size in bytes.",
        "`memref<?xf32>` as an argument";
    "N0744", "function without an end",
        "A function of a program ends with `func.return`.",
        "a function whose last op is another one";
    "N0745", "op without bytecode",
        "An op is left that the runtime does not know. Lower it: `graph-to-dyn` and what its page asks for.",
        "`graph.relu` left by a hand-written pipeline";
    "N0746", "constant without elements",
        "The elements of a constant are elided, or its file is missing.",
        "a module that was printed with `--mlir-elide-resource-strings-if-larger`";
    "N0747", "kernel is missing",
        "The kernel that is invoked does not exist, is not lowered to `loops`, or takes another number of buffers.",
        "`dyn.invoke @k` without `loops.kernel @k`";
    "N0748", "guard is not complete",
        "A guard has a kind, two sides and a message.",
        "`dyn.guard` without `rhs`";
    "N0749", "function that is called is missing",
        "A function that is called stands in the module and has a body.",
        "`func.call @f` of a declaration";
    "N0750", "control flow is malformed",
        "`dyn.if` has two regions, `dyn.loop` one that yields what goes on.",
        "`--verify-each=false` in front of the compiler";
    "N0751", "runtime library has no such function",
        "`dyn.runtime` names a function that the runtime does not have for these types.",
        "`dyn.runtime` with the name `sort.bubble`";
    "N0753", "machine code cannot be made",
        "LLVM refused the module. This is a fault of the toolkit; the message is LLVM's own.",
        "a target that this LLVM does not have";
    "N0754", "data type is not there any more",
        "The host program makes or matches values of a type that the module does not define. A pass dropped the \
         definition, or the check of the module was switched off.",
        "`--verify-each=false` in front of the compiler";
    "N0755", "functions stay inside of a program",
        "A program's inputs and results are tensors and what holds tensors; a function as a value has no meaning outside \
         of the program. Give the function's captured values in or out instead.",
        "`func.func @main(%f: (tensor<f32>) -> tensor<f32>)`";
    "N0756", "native programs run on the host",
        "Kernels were placed on a device, `--place` or the attribute `device`, and the program shall be native. Programs of \
         bytecode run on several devices: `--emit=nimx`, and `nim-run --device NAME=KIND` says what a name is.",
        "`nim-compile model.nir --place '*:npu' --emit=so`";
    "N0757", "tuning log of another machine",
        "What is fast on one machine need not be fast on another, so schedules that were measured elsewhere are not used. The message \
         names both machines. `--tune-log-any-machine` uses them nevertheless: the results are the same, only the time differs.",
        "`nim-compile model.onnx --tune-log=model.tune` with a log that somebody else sent";
    "N0758", "tuning log is damaged",
        "A line of the log is no record: it was cut off, edited, or written by another version. The kernel that it is about is compiled \
         as if the log did not know it.",
        "a log whose last line was cut off";
    "N0759", "schedules give different results",
        "While tuning, two schedules of one kernel gave results that differ by more than the order of sums explains. This is an error of \
         the compiler: please report it with the kernel, which `--emit=dataflow` shows.",
        "a schedule that leaves out the last row of a tile";
    "N0760", "kernel cannot be measured",
        "A kernel can be run by itself when values of its symbols are known at which its maps stay inside of their buffers, and its \
         inputs are numbers.",
        "a kernel that reads `x[N - M]` of `[N]` elements";
}
