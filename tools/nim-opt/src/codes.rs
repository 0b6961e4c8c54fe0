//! What the codes of verifier, dialects and pass manager mean, for `--explain`. Those of the text are in `nim_text::codes`.

/// Code, title, explanation.
type Entry = (&'static str, &'static str, &'static str);

const CODES: &[Entry] = &[
    ("N0001", "types cannot be inferred", "The op's table has no shape function, so its result types must be written."),
    ("N0301", "terminator in the middle", "A terminator ends its block; nothing may stand behind it."),
    (
        "N0302",
        "block without terminator",
        "Blocks of this op end with a terminator, such as `func.return` or a `yield`.",
    ),
    (
        "N0303",
        "value does not dominate its use",
        "A value is used before the op that defines it, or outside of the region that it is visible in. Ops with isolated bodies see nothing from outside.",
    ),
    (
        "N0304",
        "wrong number of operands, results or regions",
        "The op's table says how many there are; with several lists `operandSegmentSizes` says where each ends.",
    ),
    (
        "N0305",
        "attribute is missing",
        "The attribute is required. `--list-dialects` names the ops, their documentation the attributes.",
    ),
    (
        "N0306",
        "attribute of the wrong kind",
        "An attribute is there but holds something else than the op's table asks for.",
    ),
    (
        "N0307",
        "unknown attribute",
        "The op has no such attribute. Attributes of your own have a dot in their names: `my.note`.",
    ),
    ("N0308", "value of the wrong type", "An operand or result has a type that the op's table does not allow."),
    ("N0309", "types must be equal", "Operands (or operands and results) of the op have one type."),
    (
        "N0310",
        "result type does not follow",
        "The written result type contradicts the one that operands and attributes give. Dimensions count as different only where that is proved.",
    ),
    ("N0311", "symbol defined twice", "Names of functions and kernels are unique within their module."),
    (
        "N0312",
        "call of what is not there",
        "A call names a function or kernel of the module that it stands in. Functions of other places are declared: `func.func private @f(i32)`.",
    ),
    ("N0350", "malformed op", "The op's own syntax was not followed; its documentation shows it."),
    (
        "N0351",
        "malformed constant",
        "`arith.constant` holds an integer, a float, or elements together with their type.",
    ),
    (
        "N0352",
        "unknown predicate",
        "`arith.cmpi` has the predicates eq, ne, slt, sle, sgt, sge, ult, ule, ugt, uge; `arith.cmpf` has those of upstream.",
    ),
    (
        "N0353",
        "impossible conversion",
        "Extensions widen, truncations narrow, bit casts keep the width, `index_cast` has `index` on one side; the shape stays.",
    ),
    ("N0354", "no memref", "Elements are read from a memref."),
    (
        "N0355",
        "carried types do not fit",
        "What a loop or a choice yields has the types of its results, in the same order.",
    ),
    ("N0356", "no vectors to pick from", "`vector.shuffle` picks elements of two vectors."),
    ("N0360", "no function type", "`function_type` holds a type `(inputs) -> results`."),
    (
        "N0361",
        "arguments do not fit the function type",
        "The entry block of a function has one argument for each input of its type.",
    ),
    (
        "N0362",
        "returned values do not fit the function type",
        "A return gives one value for each result of the function's type.",
    ),
    ("N0501", "no container", "`dataflow.load` reads from a ranked tensor that the map reads whole: `%t = %table[*]`."),
    ("N0502", "wrong number of indices", "A load has one index for each dimension of the container."),
    (
        "N0503",
        "effects in a kernel",
        "A kernel is a sequence of maps without effects; everything else is the host program's.",
    ),
    (
        "N0504",
        "symbols of a kernel",
        "A kernel sees no symbol but those listed in `symbols`, each once; every symbol of an argument's type is listed.",
    ),
    (
        "N0510",
        "attributes do not fit the operands",
        "`reads` and `borders` have one entry a read, `epilogue_reads` one an epilogue read, `writes`, `combine`, `inits` and `init_operands` one a result.",
    ),
    (
        "N0511",
        "malformed domain",
        "Extents are expressions of the function's symbols, not of iteration variables, and not negative.",
    ),
    ("N0512", "unknown iteration variable", "The domain has the variables `$0`, `$1`, ... up to its rank."),
    ("N0513", "wrong number of indices", "A memlet has one index for each dimension of its container."),
    (
        "N0514",
        "index outside of the container",
        "For some point of the domain the index is provably outside. A read may have a border value: `%a = %x[$0 - 1] else 0.0 : f32`.",
    ),
    (
        "N0515",
        "border of a whole container",
        "Indices of `dataflow.load` are clamped into the container; there is no border.",
    ),
    (
        "N0516",
        "reduced variable in the epilogue",
        "The epilogue runs when the reduction is complete: only parallel variables have a value.",
    ),
    (
        "N0517",
        "scalar of the wrong type",
        "Borders have the element type of what is read, starts that of what is reduced.",
    ),
    (
        "N0518",
        "scattered write with an epilogue",
        "A scattered write has no place that could be complete before the end. Put the epilogue into a map of its own.",
    ),
    ("N0519", "no such combiner for the type", "Floats have add, mul, max and min; integers also have and, or."),
    (
        "N0520",
        "writes of different parallel dimensions",
        "Each write mentions all parallel variables, else points would not be independent.",
    ),
    (
        "N0521",
        "reduction without a combiner",
        "A variable that no write mentions is a reduction: say how values are combined, as in `[$0] add init 0.0 : f32`.",
    ),
    ("N0522", "two starts", "A write starts from an attribute (`init`) or from an operand (`into`), not from both."),
    (
        "N0523",
        "start is missing",
        "A write that combines, is scattered, or does not reach all of its result needs contents to begin with.",
    ),
    (
        "N0524",
        "start of another type",
        "The operand that a write starts from has the result's type; with an epilogue its shape.",
    ),
    (
        "N0525",
        "block arguments do not fit",
        "A body has one argument a read; an epilogue has one a reduced value, then one a read. Integers are signless inside.",
    ),
    ("N0526", "body without `dataflow.yield`", "Bodies and epilogues end with `dataflow.yield`."),
    (
        "N0527",
        "yielded values do not fit",
        "Per write one value, and for a scattered write one index a dimension behind it.",
    ),
    ("N0528", "epilogue reads without an epilogue", "Reads of the epilogue need one."),
    (
        "N0551",
        "local buffer without constant size",
        "Local buffers live in registers or on the stack; their sizes are numbers.",
    ),
    ("N0552", "no memref", "`loops.load` reads from a memref."),
    ("N0553", "wrong number of indices", "An access has one index for each dimension of the buffer."),
    ("N0554", "unknown index operand", "`$v0`, `$v1`, ... stand for the index operands of the access."),
    ("N0555", "stored value of another type", "The value has the buffer's element type; integers are signless."),
    ("N0560", "incomplete loop", "A loop has `iv`, `lower`, `upper`, `step` and `kind`."),
    (
        "N0561",
        "malformed iteration variable",
        "Iteration variables begin with `$`, are not called `$v`, differ from those of the loops around, and do not appear in their own bounds.",
    ),
    ("N0562", "step is not positive", "Loops go upwards."),
    ("N0563", "yielded values do not fit", "Both regions of a `loops.if` with results yield values of their types."),
    ("N0570", "incomplete kernel", "A kernel has a body, and `outputs` of its last arguments are written."),
    ("N0571", "symbol is not given", "Every symbol of an argument's type is listed in `symbols`."),
    ("N0572", "unknown symbol", "Expressions use symbols that the kernel is given, and variables of the loops around."),
    ("N0573", "input is written", "Only the outputs, which are the last arguments, and local buffers are written."),
    ("N0581", "memory of negative size", "Sizes are bytes, at least 0."),
    ("N0582", "malformed constant", "A constant buffer holds elements of a ranked tensor type."),
    (
        "N0583",
        "reshape changes the number of elements",
        "A reshape copies nothing: element type and number of elements stay.",
    ),
    ("N0584", "copy between different shapes", "Both buffers of a copy have one shape and element type."),
    (
        "N0585",
        "no vector of integers",
        "Symbols are read from, and indices written to, a buffer of rank 0 or 1 with one integer each.",
    ),
    ("N0586", "malformed symbol name", "Symbols are names that do not begin with `$`."),
    ("N0590", "no single element", "Conditions are buffers with one `i1`, trip counts with one `i64`."),
    ("N0591", "yielded values do not fit", "Both regions of `dyn.if` yield values of the results' types."),
    (
        "N0592",
        "carried values do not fit",
        "The region takes the iteration's number and what is carried; the results begin with what is carried.",
    ),
    (
        "N0593",
        "yielded values do not fit",
        "The region of a loop yields the condition if there is one, what is carried, and one buffer a stacked result.",
    ),
    (
        "N0800",
        "malformed pipeline",
        "A pipeline is passes separated by commas; options stand in braces, nested passes in parentheses behind the name of an op.",
    ),
    (
        "N0801",
        "pass in the wrong place",
        "The pass does not work on what it is nested in, or is no op name with passes inside.",
    ),
    ("N0802", "unknown pass", "`--list-passes` lists them."),
    (
        "N0803",
        "contract is not met",
        "A pass needs what neither the module nor a pass before it gives. Passes say what they need and give in `--list-passes`.",
    ),
    ("N0804", "a pass failed", "This is a fault of the pass. `--print-ir-after-all` shows what it was given."),
    ("N0805", "a pass ran on nothing", "No op of the name that it is nested in, or works on, is there."),
    (
        "N0806",
        "option that cannot be used",
        "The pass has no such option, or not with this value. `--list-passes` lists options with their defaults.",
    ),
    (
        "N0807",
        "a pass left what it promised to remove",
        "The table says which ops are left, how many, and where the first of them is. A later pass that needs them gone will refuse to run.",
    ),
    (
        "N0820",
        "no canonical form",
        "Rules undo each other, or the limit is too low: `canonicalize{max-iterations=100}`.",
    ),
];

/// Title and explanation of a code, in upper or lower case.
pub fn explain(code: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let own = CODES.iter().find(|(c, ..)| c.eq_ignore_ascii_case(code)).copied();
    own.or_else(|| nim_text::codes::explain(code).map(|c| (c.code, c.title, c.explanation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    fn codes_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                codes_in(&entry, found);
            } else if let Ok(text) = fs::read_to_string(&entry) {
                let codes = text.match_indices("\"N").filter_map(|(i, _)| text.get(i + 1..i + 7));
                let codes = codes.filter(|c| c.ends_with('"') && c[1..5].bytes().all(|b| b.is_ascii_digit()));
                found.extend(codes.map(|c| c[..5].to_string()));
            }
        }
    }

    #[test]
    fn all_codes_are_explained_and_ascend() {
        assert!(CODES.windows(2).all(|w| w[0].0 < w[1].0));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut found = BTreeSet::new();
        for folder in [
            "textual-ir/ir",
            "dialects/builtin",
            "dialects/dataflow",
            "dialects/loops",
            "dialects/dyn",
            "passes/driver",
            "passes/transforms",
        ] {
            codes_in(&root.join(folder).join("src"), &mut found);
        }
        let missing: Vec<_> = found.iter().filter(|c| explain(c).is_none()).collect();
        assert_eq!(missing, Vec::<&String>::new());
    }
}
