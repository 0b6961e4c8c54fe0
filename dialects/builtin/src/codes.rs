//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0350", "malformed op",
        "The op's own syntax was not followed; its documentation shows it.";
    "N0351", "malformed constant",
        "`arith.constant` holds an integer, a float, or elements together with their type.";
    "N0352", "unknown predicate",
        "`arith.cmpi` has the predicates eq, ne, slt, sle, sgt, sge, ult, ule, ugt, uge; `arith.cmpf` has those of \
         upstream.";
    "N0353", "impossible conversion",
        "Extensions widen, truncations narrow, bit casts keep the width, `index_cast` has `index` on one side; the \
         shape stays.";
    "N0354", "no memref",
        "Elements are read from a memref.";
    "N0355", "carried types do not fit",
        "What a loop or a choice yields has the types of its results, in the same order.";
    "N0356", "no vectors to pick from",
        "`vector.shuffle` picks elements of two vectors.";
    "N0360", "no function type",
        "`function_type` holds a type `(inputs) -> results`.";
    "N0361", "arguments do not fit the function type",
        "The entry block of a function has one argument for each input of its type.";
    "N0362", "returned values do not fit the function type",
        "A return gives one value for each result of the function's type.";
}
