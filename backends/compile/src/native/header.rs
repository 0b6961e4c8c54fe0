//! The header of a native program.

use nim_vm::native::identifier;
use nim_vm::{Signature, SignatureValue};
use std::fmt::Write;

/// The header: how to open the program, and names for the numbers of its inputs and outputs.
pub(super) fn text(signature: &Signature, name: &str) -> String {
    let upper = identifier(name).to_uppercase();
    let mut out = format!(
        "/* A program that nim-compile made. Link it, and libnim. */\n\
         #ifndef {upper}_H\n#define {upper}_H\n\n#include <nim.h>\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n\
         /* What the program is made of, for nim_program_from_native. */\nextern const nim_native {name};\n\n\
         /* Makes the program ready to run. */\n\
         static inline nim_error *{name}_load(nim_program **program) {{\n  \
         return nim_program_from_native(&{name}, program);\n}}\n\n"
    );
    for (what, list) in [("input", &signature.inputs), ("output", &signature.outputs)] {
        let _ = writeln!(out, "/* Numbers of its {what}s. */\nenum {{");
        let mut used = vec![];
        for (number, value) in list.iter().enumerate() {
            let label = label(value, number, &mut used);
            let ty = value.ty.to_string().replace("*/", "* /");
            let _ = writeln!(out, "  {upper}_{}_{label} = {number}, /* {ty} */", what.to_uppercase());
        }
        // A list of nothing is no list in C.
        let _ = writeln!(out, "  {upper}_{}_COUNT = {}\n}};\n", what.to_uppercase(), list.len());
    }
    out.push_str("#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    out
}

/// A label of C for a value that no other one has.
fn label(value: &SignatureValue, number: usize, used: &mut Vec<String>) -> String {
    let mut label = identifier(&value.name).to_uppercase();
    if label == "COUNT" || used.contains(&label) {
        label = format!("{label}_{number}");
    }
    used.push(label.clone());
    label
}
