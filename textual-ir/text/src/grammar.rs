//! The types and attributes that MLIR's grammar itself has, as data: for the reference pages and for completion.
//! Those of dialects stand in the dialects' tables.

/// A form of type or attribute.
#[derive(Copy, Clone, Debug)]
pub struct Form {
    /// What it is called: `tensor`.
    pub name: &'static str,
    /// What it means (Markdown).
    pub description: &'static str,
    /// Texts of it, each in the form in which it is printed.
    pub examples: &'static [&'static str],
}

macro_rules! forms {
    ($($name:literal, $description:literal, [$($example:literal),+];)*) => {
        &[$(Form { name: $name, description: $description, examples: &[$($example),+] }),*]
    };
}

/// Forms of types.
pub const TYPES: &[Form] = forms! {
    "integer", "An integer of so many bits, without a sign of its own (`i`), signed (`si`) or unsigned (`ui`). `i1` is a \
        truth value.", ["i1", "i64", "si32", "ui8"];
    "float", "A floating-point number: IEEE 754 `f16`, `f32`, `f64`, `f80` and `f128`, `bf16`, `tf32`, and the short formats \
        of the Open Compute Project.", ["f32", "bf16", "f8E4M3FN", "f4E2M1FN"];
    "index", "An integer as wide as an address: sizes, places, loop variables.", ["index"];
    "none", "The type with one value that says nothing.", ["none"];
    "complex", "A complex number of two floats or integers.", ["complex<f32>"];
    "tuple", "Several values in one.", ["tuple<i32, f32>"];
    "function", "What a function takes and gives.", ["(i32, f32) -> f32", "() -> (i32, i32)"];
    "tensor", "A value of many elements. Dimensions are numbers, unknown (`?`), or named: equal names in one function mean \
        equal sizes, and `[2*N + 1]` is computed from them. A layout may stand behind the element type.",
        ["tensor<[N]x300xf32>", "tensor<?x[2*N + 1]xf32>", "tensor<f32>", "tensor<4xf32, \"columns\">"];
    "unranked tensor", "A tensor whose number of dimensions is not known.", ["tensor<*xf32>"];
    "memref", "A buffer in memory: as a tensor, with a layout (strides) and a memory space.",
        ["memref<[N]x8xf32>", "memref<4x4xf32, strided<[8, 1]>, 3>"];
    "unranked memref", "A buffer whose number of dimensions is not known.", ["memref<*xf32>"];
    "vector", "What a vector register holds. A size in brackets is a multiple that the machine decides.",
        ["vector<4x8xf32>", "vector<[4]xf32>"];
    "dialect type", "A type of a dialect: its name behind `!`, parameters in angle brackets. Of a dialect that is not \
        registered it is kept as it is written.", ["!llvm.ptr<3>", "!other.anything<\"at all\">"];
};

/// Forms of attributes.
pub const ATTRIBUTES: &[Form] = forms! {
    "unit", "The attribute that says something by being there. In a dictionary its name is enough.", ["unit"];
    "bool", "A truth value.", ["true", "false"];
    "integer", "An integer with its type; `i64` is understood.", ["5 : i32", "-1 : index"];
    "float", "A number with a point, or its bits, with its type; `f64` is understood.", ["1.500000e+00 : f32", "0x7F800000 : f32"];
    "string", "Text.", ["\"a \\22quoted\\22 word\""];
    "array", "A list of attributes.", ["[1, \"two\", [3.000000e+00 : f32]]"];
    "dense array", "A list of numbers of one type.", ["array<i64: 1, 2, 3>", "array<i1: true, false>"];
    "dictionary", "Names with attributes, in the order of the names.", ["{axis = 1 : i64, keepdims}"];
    "type", "A type as an attribute.", ["tensor<[N]xf32>", "i32"];
    "symbol reference", "A function, kernel or other symbol, perhaps inside of another.", ["@main", "@outer::@inner"];
    "dense", "The elements of a tensor or vector: nested lists, one element for all, or their bytes.",
        ["dense<[[1, 2], [3, 4]]> : tensor<2x2xi32>", "dense<0.000000e+00> : tensor<8xf32>"];
    "dense strings", "The elements of a tensor of text.", ["dense<[\"a\", \"b\"]> : tensor<2x!graph.string>"];
    "dense resource", "Elements that stand elsewhere: in `{-# dialect_resources #-}` at the end of the text, or in a file \
        beside it.", ["dense_resource<weights> : tensor<4xf32>"];
    "expression", "A symbolic integer expression. Where an op's table asks for one it is written without decoration: \
        `{shape = [N, 2*N + 1]}`.", ["#sym.expr<\"2*N + 1\">", "#sym.expr<\"min(N, floordiv(M, 2))\">"];
    "location", "Where something comes from.", ["loc(\"model.onnx\":3:4)", "loc(unknown)"];
    "affine map, integer set, layout", "Kept as they are written.",
        ["affine_map<(d0, d1)[s0] -> (d0 + s0, d1)>", "strided<[8, 1], offset: 4>"];
    "dialect attribute", "An attribute of a dialect, kept as it is written.", ["#other.anything<at: all>"];
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse_attr, parse_type, print_attr, print_type};
    use nim_ir::{AttrData, Context, TypeData};
    use std::collections::BTreeSet;

    /// What a type is called above. A new kind of type does not compile here until it has a line there.
    fn type_name(data: &TypeData) -> &'static str {
        match data {
            TypeData::None => "none",
            TypeData::Index => "index",
            TypeData::Integer { .. } => "integer",
            TypeData::Float(_) => "float",
            TypeData::Complex(_) => "complex",
            TypeData::Tuple(_) => "tuple",
            TypeData::Function { .. } => "function",
            TypeData::Tensor { .. } => "tensor",
            TypeData::UnrankedTensor(_) => "unranked tensor",
            TypeData::MemRef { .. } => "memref",
            TypeData::UnrankedMemRef { .. } => "unranked memref",
            TypeData::Vector { .. } => "vector",
            TypeData::Dialect { .. } | TypeData::Opaque(_) => "dialect type",
        }
    }

    fn attr_name(data: &AttrData, text: &str) -> &'static str {
        match data {
            AttrData::Unit => "unit",
            AttrData::Bool(_) => "bool",
            AttrData::Int { .. } => "integer",
            AttrData::Float { .. } => "float",
            AttrData::String(_) => "string",
            AttrData::Array(_) => "array",
            AttrData::Dict(_) => "dictionary",
            AttrData::Type(_) => "type",
            AttrData::SymbolRef(_) => "symbol reference",
            AttrData::Dense { .. } => "dense",
            AttrData::DenseStrings { .. } => "dense strings",
            AttrData::DenseResource { .. } => "dense resource",
            AttrData::DenseArray { .. } => "dense array",
            AttrData::Expr(_) => "expression",
            AttrData::Loc(_) => "location",
            AttrData::Opaque(_) | AttrData::Verbatim { .. } if text.starts_with('#') => "dialect attribute",
            AttrData::Opaque(_) | AttrData::Verbatim { .. } => "affine map, integer set, layout",
        }
    }

    #[test]
    fn examples_are_what_they_say_and_come_back() {
        let ctx = Context::new(&[]);
        let mut wrong = vec![];
        for form in TYPES {
            for text in form.examples {
                match parse_type(&ctx, text) {
                    Ok(ty) if print_type(&ctx, ty) == *text && type_name(ctx.type_data(ty)) == form.name => {}
                    other => wrong.push(format!("{}: {text}: {:?}", form.name, other.map(|t| print_type(&ctx, t)))),
                }
            }
        }
        for form in ATTRIBUTES {
            for text in form.examples {
                match parse_attr(&ctx, text) {
                    Ok(a) if print_attr(&ctx, a) == *text && attr_name(ctx.attr_data(a), text) == form.name => {}
                    other => wrong.push(format!("{}: {text}: {:?}", form.name, other.map(|a| print_attr(&ctx, a)))),
                }
            }
        }
        let names = |forms: &'static [Form]| forms.iter().map(|f| f.name).collect::<BTreeSet<_>>();
        assert!(
            names(TYPES).len() == TYPES.len() && names(ATTRIBUTES).len() == ATTRIBUTES.len(),
            "a name stands twice"
        );
        assert_eq!(wrong, Vec::<String>::new());
    }
}
