//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0140", "damaged bytecode",
        "The bytes begin as a module in bytecode does, but are cut off, changed, or were never written by this tool. Every \
         number in them is checked before it is used.",
        "a file that was cut off";
    "N0141", "bytecode of another version",
        "Bytecode is read by tools of the version that it names. Text is what lasts: print the module with the tool that \
         wrote it.",
        "a file that a later version wrote";
    "N0142", "unknown op in bytecode",
        "No registered dialect has the op. `--allow-unregistered-dialect` keeps such ops, as it does in text.";
}
