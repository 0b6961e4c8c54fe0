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
    "N0363", "call does not fit its function",
        "A call gives as many values as the function takes, of types that its own types can be: element types and ranks \
         are equal, and a symbol of the function is the same size wherever it stands. What may fit is looked at when the \
         program runs.",
        "a call of `@f(tensor<[N]xf32>, tensor<[N]xf32>)` with vectors of 4 and of 5";
    "N0364", "call of a value does not fit it",
        "`func.call_indirect` calls a value of a function type, with what that type takes.";
    "N0420", "data type without meaning",
        "`graph.adt` needs at least one constructor, and each of its constructors has a name of its own.",
        "`graph.adt @Tree { leaf(tensor<f32>), leaf() }`";
    "N0421", "no such data type",
        "Values of algebraic data types are of types that the module defines with `graph.adt`.";
    "N0422", "no such constructor",
        "The constructors of a type are those of its definition. The message lists them.";
    "N0423", "fields do not fit the constructor",
        "A constructor takes as many values as it has fields, and a case takes all of them. Symbols in a definition are \
         each value's own, but mean one size within a value.",
        "`leaf(tensor<[N]xf32>, tensor<[N]xf32>)` made of vectors of 4 and of 5";
    "N0424", "cases do not cover the type",
        "`graph.match` has one case for each constructor, or an `otherwise` behind those that it has.";
    "N0425", "case yields something else",
        "Each case yields one value for each result of the match, of its type.";
    "N0426", "closure does not fit its function",
        "A closure gives a function its first arguments: what it has captured, then what its type takes, is what the \
         function takes.";
    "N0427", "lambda does not fit its function",
        "The value of a lambda is a function of what its region takes; what it gives is what the region yields.";
    "N0428", "assumption that cannot hold",
        "`graph.assume` says of a symbol that it is at least, at most, or a multiple of something, or what it is most of \
         the time. All of it must be possible together.";
}
