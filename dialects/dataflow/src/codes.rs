//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0501", "no container",
        "`dataflow.load` reads from a ranked tensor that the map reads whole: `%t = %table[*]`.";
    "N0502", "wrong number of indices",
        "A load has one index for each dimension of the container.";
    "N0503", "effects in a kernel",
        "A kernel is a sequence of maps without effects; everything else is the host program's.";
    "N0504", "symbols of a kernel",
        "A kernel sees no symbol but those listed in `symbols`, each once; every symbol of an argument's type is \
         listed.";
    "N0505", "maps cannot be walked in blocks",
        "A kernel with `block` runs all of its maps on one block of their shared dimensions before the next block. Each map says \
         in `shared` which of its parallel dimensions these are, writes its results completely, and reads of earlier results only \
         what the same points made.";
    "N0510", "attributes do not fit the operands",
        "`reads` and `borders` have one entry a read, `epilogue_reads` one an epilogue read, `writes`, `combine`, \
         `inits` and `init_operands` one a result.";
    "N0511", "malformed domain",
        "Extents are expressions of the function's symbols, not of iteration variables, and not negative.";
    "N0512", "unknown iteration variable",
        "The domain has the variables `$0`, `$1`, ... up to its rank.";
    "N0513", "wrong number of indices",
        "A memlet has one index for each dimension of its container.";
    "N0514", "index outside of the container",
        "For some point of the domain the index is provably outside. A read may have a border value: `%a = %x[$0 - 1] \
         else 0.0 : f32`.";
    "N0515", "border of a whole container",
        "Indices of `dataflow.load` are clamped into the container; there is no border.";
    "N0516", "reduced variable in the epilogue",
        "The epilogue runs when the reduction is complete: only parallel variables have a value.";
    "N0517", "scalar of the wrong type",
        "Borders have the element type of what is read, starts that of what is reduced.";
    "N0518", "scattered write with an epilogue",
        "A scattered write has no place that could be complete before the end. Put the epilogue into a map of its \
         own.";
    "N0519", "no such combiner for the type",
        "Floats have add, mul, max and min; integers also have and, or.";
    "N0520", "writes of different parallel dimensions",
        "Each write mentions all parallel variables, else points would not be independent.";
    "N0521", "reduction without a combiner",
        "A variable that no write mentions is a reduction: say how values are combined, as in `[$0] add init 0.0 : \
         f32`.";
    "N0522", "two starts",
        "A write starts from an attribute (`init`) or from an operand (`into`), not from both.";
    "N0523", "start is missing",
        "A write that combines, is scattered, or does not reach all of its result needs contents to begin with.";
    "N0524", "start of another type",
        "The operand that a write starts from has the result's type; with an epilogue its shape.";
    "N0525", "block arguments do not fit",
        "A body has one argument a read; an epilogue has one a reduced value, then one a read. Integers are signless \
         inside.";
    "N0526", "body without `dataflow.yield`",
        "Bodies and epilogues end with `dataflow.yield`.";
    "N0527", "yielded values do not fit",
        "Per write one value, and for a scattered write one index a dimension behind it.";
    "N0528", "epilogue reads without an epilogue",
        "Reads of the epilogue need one.";
}
