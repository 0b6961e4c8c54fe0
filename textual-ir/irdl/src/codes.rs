//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0150", "IRDL that cannot be read",
        "The file of `--irdl-file` holds ops of upstream's `irdl` dialect, in their own syntax or in generic form.";
    "N0151", "constraint that cannot be checked",
        "`irdl.c_pred` holds C++, which is compiled with a dialect. Say it with `irdl.is`, `irdl.base`, `irdl.any_of`.";
    "N0152", "not part of the IRDL dialect",
        "The dialect that the IRDL file defines has no op, type or attribute of this name.";
    "N0153", "number that the IRDL definition does not allow",
        "Operands, results, regions, blocks, arguments and parameters are as many as the definition says. With several lists of \
         unknown length, `operand_segment_sizes` and `result_segment_sizes` say where each ends.";
    "N0154", "constraint of the IRDL definition does not hold",
        "A constraint value stands for one type or attribute in an op: what is named twice must be equal both times.";
    "N0155", "op of no dialect",
        "Neither a registered dialect nor the file of `--irdl-file` has the op. `--allow-unregistered-dialect` keeps it.";
}
