//! What the codes of this crate's diagnostics mean, for the reference pages and `--explain`.

crate::codes! {
    "N0001", "types cannot be inferred",
        "The op's table has no shape function, so its result types must be written.",
        "a builder that asks for the result types of `scf.if`";
    "N0301", "terminator in the middle",
        "A terminator ends its block; nothing may stand behind it.";
    "N0302", "block without terminator",
        "Blocks of this op end with a terminator, such as `func.return` or a `yield`.";
    "N0303", "value does not dominate its use",
        "A value is used before the op that defines it, or outside of the region that it is visible in. Ops with \
         isolated bodies see nothing from outside.";
    "N0304", "wrong number of operands, results or regions",
        "The op's table says how many there are; with several lists `operandSegmentSizes` says where each ends.";
    "N0305", "attribute is missing",
        "The attribute is required. `--list-dialects` names the ops, their documentation the attributes.";
    "N0306", "attribute of the wrong kind",
        "An attribute is there but holds something else than the op's table asks for.";
    "N0307", "unknown attribute",
        "The op has no such attribute. Attributes of your own have a dot in their names: `my.note`.";
    "N0308", "value of the wrong type",
        "An operand or result has a type that the op's table does not allow.";
    "N0309", "types must be equal",
        "Operands (or operands and results) of the op have one type.";
    "N0310", "result type does not follow",
        "The written result type contradicts the one that operands and attributes give. Dimensions count as different \
         only where that is proved.";
    "N0311", "symbol defined twice",
        "Names of functions and kernels are unique within their module.";
    "N0312", "call of what is not there",
        "A call names a function or kernel of the module that it stands in. Functions of other places are declared: \
         `func.func private @f(i32)`.";
}
