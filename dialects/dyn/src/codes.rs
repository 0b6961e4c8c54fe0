//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

nim_ir::codes! {
    "N0581", "memory of negative size",
        "Sizes are bytes, at least 0.";
    "N0582", "malformed constant",
        "A constant buffer holds elements of a ranked tensor type.";
    "N0583", "reshape changes the number of elements",
        "A reshape copies nothing: element type, number of elements and device stay.";
    "N0584", "copy between different shapes",
        "Both buffers of a copy have one shape and element type.";
    "N0585", "no vector of integers",
        "Symbols are read from, and indices written to, a buffer of rank 0 or 1 with one integer each.";
    "N0586", "malformed symbol name",
        "Symbols are names that do not begin with `$`.";
    "N0587", "malformed arena",
        "Each buffer of an arena has a size, a symbol of its own that becomes its offset, and the numbers of those buffers \
         before it that it must not overlap.";
    "N0588", "view of memory on another device",
        "The type of a buffer says on which device it is (`memref<4xf32, \"npu\">`; on the host where it says nothing): the \
         device of the memory that it is a view of.";
    "N0589", "kernel on another device than its buffers",
        "A kernel reads and writes buffers of its own device only. `dyn-place-devices` inserts copies.";
    "N0590", "no single element",
        "Conditions are buffers with one `i1`, trip counts with one `i64`.";
    "N0591", "yielded values do not fit",
        "Both regions of `dyn.if` yield values of the results' types.";
    "N0592", "carried values do not fit",
        "The region takes the iteration's number and what is carried; the results begin with what is carried.";
    "N0593", "yielded values do not fit",
        "The region of a loop yields the condition if there is one, what is carried, and one buffer a stacked result.";
}
