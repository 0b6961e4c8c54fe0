//! What each code of this crate's diagnostics means: N01xx for text, N02xx for names and values.

use nim_ir::diagnostics::Code;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $explanation:literal $(, $example:literal)?;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*
        /// All codes in ascending order.
        pub const CODES: &[Code] = &[$(Code {
            code: $code,
            title: $title,
            explanation: $explanation,
            example: [$(Some($example),)? None][0],
        }),*];
    };
}

codes! {
    BAD_CHARACTER = "N0101", "characters that are no token",
        "The text holds characters that MLIR's grammar does not know outside of strings and comments. They are skipped. \
         Names that are no identifiers are written in quotes: `@\"my symbol\"`.";
    OPEN_STRING = "N0102", "string without end",
        "A string must end on the line on which it begins. A line break within it is written `\\n`.";
    BAD_STRING = "N0103", "malformed string",
        "Within a string `\\\\`, `\\\"`, `\\n`, `\\t` and `\\` with two hexadecimal digits stand for one byte each; the \
         bytes must be UTF-8.";
    UNEXPECTED = "N0104", "unexpected token",
        "Something else was expected here. The rest of the op is skipped; parsing goes on at the next op, so that all \
         errors of a file are found at once.";
    TOO_DEEP = "N0105", "nested too deeply",
        "Regions, types, attributes and locations may be nested 400,000 levels deep, all together, and 160 on an ordinary \
         thread of a program that embeds the parser. Deeper nesting is most likely made by a broken generator.",
        "`tuple<tuple<tuple<...>>>`, 200,000 deep";
    UNKNOWN_OP = "N0106", "unknown op",
        "No registered dialect has an op of this name. Ops of dialects that are not registered are written in generic \
         form, `\"dialect.op\"(%a) : (f32) -> f32`, and need --allow-unregistered-dialect.";
    UNREGISTERED = "N0107", "op of a dialect that is not registered",
        "The op's dialect is not registered, or has no such op. --allow-unregistered-dialect keeps such ops as they are.";
    UNKNOWN_TYPE = "N0108", "unknown type",
        "There is no builtin type of this name, or the dialect has no such type. Builtin types are written as MLIR \
         writes them: `f32`, `i8`, `index`, `tensor<[N]x4xf32>`, `memref<4xf32>`, `vector<4xf32>`, `tuple<...>`, \
         `complex<f32>`, `none`, `(f32) -> f32`; those of dialects begin with `!`.";
    BAD_TYPE = "N0109", "malformed type",
        "The parts of a type do not fit together: a dimension is negative or too large, an integer too wide, an element \
         type is not allowed there, or `#sym.dims` does not match the shape.";
    BAD_EXPRESSION = "N0110", "malformed expression",
        "A symbolic expression consists of integers, names, `+`, `-`, `*`, `floordiv`, `ceildiv`, `mod`, `min(...)`, \
         `max(...)` and parentheses.";
    BAD_NUMBER = "N0111", "number does not fit",
        "The number cannot be a value of its type: it is out of range, or a decimal integer where a float is needed \
         (write `1.0`), or a float where an integer is needed.";
    BAD_ATTRIBUTE = "N0112", "malformed attribute",
        "This is no attribute of MLIR's grammar, or one that the op does not take here.",
        "`dense<1>` without a type behind it";
    UNKNOWN_ALIAS = "N0113", "unknown alias",
        "`#name` and `!name` without a dot stand for an attribute, location or type that is defined at top level by \
         `#name = ...` or `!name = ...`.";
    BAD_ALIAS = "N0114", "alias defined twice, by itself, or without end",
        "Each alias is defined once, its definition must not lead back to itself, and what it stands for must not be far \
         longer than the text.";
    BAD_ELEMENTS = "N0115", "elements do not fit the type",
        "The nested lists of `dense<...>` must have the shape of the type behind it, or be one element that stands for \
         all; each element must be a value of the element type.";
    BAD_RESOURCE = "N0116", "malformed or missing resource",
        "A resource is `key: \"0x...\"` with four bytes of alignment before the data, or `key: \"@file:offset:length\"`, \
         bytes of a file beside the text. The file must exist, be readable and be long enough.";
    BAD_LOCATION = "N0117", "malformed location",
        "A location is `loc(unknown)`, `loc(\"file\":1:2)`, `loc(\"name\"(...))`, `loc(callsite(... at ...))`, \
         `loc(fused[...])`, or an alias of one.";
    UNKNOWN_RESULT_TYPE = "N0118", "types are neither written nor inferable",
        "The text of this op does not say the types of its operands or results, and they do not follow from what it says. \
         Write the op in generic form, or define its operands first.";
    UNCLOSED = "N0119", "region or section without end",
        "The file ended, or an enclosing region was closed, before this one was.";
    TOO_LARGE = "N0120", "text too large",
        "A text may be up to 4 GiB long. Large constants belong into resources in a file of their own.",
        "a text of 5 GiB";
    DUPLICATE_ATTRIBUTE = "N0121", "attribute given twice",
        "Each attribute of an op or dictionary is given once; the first one is kept.";
    BAD_FORMAT = "N0122", "assembly format of an op is wrong",
        "The op's definition has an assembly format that cannot be read. This is a fault of the dialect, not of the text; \
         the generic form of the op can be used.",
        "`#[op(name = \"demo.op\", format = \"$no_such_field\")]`";
    UNDEFINED_VALUE = "N0201", "undefined value",
        "No op or block argument of this name is visible here. A value is visible in its own region and in regions nested \
         in it, but not across an op that is isolated from above, such as a function.";
    REDEFINED_VALUE = "N0202", "value defined twice",
        "Each value is defined once; a nested region cannot reuse a name that is visible in it.";
    TYPE_MISMATCH = "N0203", "value used with another type",
        "The type written at this use is not the type of the value. Named dimensions count: `tensor<[N]xf32>` and \
         `tensor<[M]xf32>` are different types.";
    NO_SUCH_RESULT = "N0204", "no such result",
        "`%name#n` is result number n, counted from 0, of an op defined as `%name:count = ...`.";
    RESULT_COUNT = "N0205", "names and results differ in number",
        "The names before `=` must stand for as many values as the op has results: `%a, %b = ...` or `%r:2 = ...` for two.";
    UNDEFINED_BLOCK = "N0206", "undefined block",
        "A successor must be a block of the same region.";
    REDEFINED_BLOCK = "N0207", "block defined twice",
        "Each block of a region has its own label.";
    OPERAND_COUNT = "N0208", "operands and types differ in number",
        "The list of types must have one type for each operand.";
}

/// What a code means.
pub fn explain(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|c| c.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_ascend() {
        assert!(super::CODES.windows(2).all(|w| w[0].code < w[1].code));
        assert_eq!(super::explain("n0201").map(|c| c.title), Some("undefined value"));
    }
}
