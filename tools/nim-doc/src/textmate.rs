//! A TextMate grammar of the text, made of the definitions: what editors colour before anybody has read the text.
//!
//! Every rule is one regular expression without looking around, so that it means the same to every engine. What no rule
//! knows is `invalid`: on the whole test-suite nothing is.

use nim_ir::{DialectDef, FloatKind};
use nim_text::format::{Element, Format};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Types that are one word.
fn type_words() -> String {
    let floats: Vec<&str> = FloatKind::NAMES.iter().map(|(_, name)| *name).collect();
    format!("(?:(?:i|si|ui)[0-9]+|{}|index|none)", floats.join("|"))
}

/// The grammar, as JSON.
pub fn grammar(dialects: &[&'static DialectDef]) -> String {
    let types = type_words();
    let mut rules: Vec<Value> = vec![];
    let mut rule = |name: &str, regex: String, captures: &[(usize, &str)]| {
        let mut one = json!({ "name": format!("{name}.nir"), "match": regex });
        if !captures.is_empty() {
            let named = captures.iter().map(|(n, scope)| (n.to_string(), json!({ "name": format!("{scope}.nir") })));
            one["captures"] = Value::Object(named.collect());
        }
        rules.push(one);
    };
    // Comments of tests say what is run and what must come out.
    let directive = r"(//+\s*)([A-Z][A-Z0-9_-]*(?:\([A-Z0-9_-]+\))?:)(.*)$".to_string();
    rule("comment.line.double-slash", directive, &[(2, "keyword.other.directive")]);
    let expected = r"(//.*)(expected-(?:error|warning|note))(.*)$".to_string();
    rule("comment.line.double-slash", expected, &[(2, "keyword.other.directive")]);
    rule("comment.line.double-slash", "//.*$".into(), &[]);
    rule("string.quoted.double", r#""(?:[^"\\]|\\.)*""#.into(), &[]);
    rule("entity.name.function.symbol", r#"@(?:[A-Za-z_][A-Za-z0-9_$.]*|"(?:[^"\\]|\\.)*")"#.into(), &[]);
    rule("variable.other.value", r"%(?:[0-9]+|[A-Za-z$._-][A-Za-z0-9$._-]*)(?:#[0-9]+|:[0-9]+)?".into(), &[]);
    rule("entity.name.label", r"\^(?:[0-9]+|[A-Za-z$._-][A-Za-z0-9$._-]*)".into(), &[]);
    rule("constant.numeric", r"\b0x[0-9A-Fa-f]+".into(), &[]);
    let shape = format!(r"((?:(?:[0-9]+|\?|\*)x)+(?:[0-9]+\b)?)({types}\b)?");
    rule("constant.numeric.shape", shape, &[(2, "storage.type")]);
    let behind_name = format!(r"(\])(x(?:(?:[0-9]+|\?)x)*)({types}\b)?");
    rule("constant.numeric.shape", behind_name, &[(1, "punctuation"), (3, "storage.type")]);
    rule("storage.type", r"!(?:[0-9]+|[A-Za-z$._][A-Za-z0-9$._-]*)".into(), &[]);
    // The words alone begin names of ops too.
    rule("storage.type", r"\b(?:tensor|memref|vector|tuple|complex)<".into(), &[]);
    rule("constant.numeric", r"\b(?:[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|[0-9]+)".into(), &[]);
    for dialect in dialects {
        let names: BTreeSet<&str> =
            dialect.ops.iter().filter_map(|op| op.name.split_once('.')).map(|(_, n)| n).collect();
        let names: Vec<String> = names.into_iter().map(escaped).collect();
        rule("keyword.operator.op", format!(r"\b{}\.(?:{})\b", escaped(dialect.name), names.join("|")), &[]);
    }
    rule("keyword.operator.op", r"\b(?:module|return|call)\b".into(), &[]);
    rule("keyword.operator.op", r"\bindex\.[a-z_.]+\b".into(), &[]);
    rule("storage.type", format!(r"\b{types}\b"), &[]);
    rule("entity.name.function.op", r"\b[a-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_$.]*".into(), &[]);
    let words: Vec<String> = keywords(dialects).iter().map(|word| escaped(word)).collect();
    rule("keyword.other", format!(r"\b(?:{})\b", words.join("|")), &[]);
    rule(
        "constant.language",
        r"\b(?:true|false|unit|dense|dense_resource|array|affine_map|affine_set|strided|loc)\b".into(),
        &[],
    );
    rule("support.function.expression", r"\b(?:floordiv|ceildiv|mod|min|max)\b".into(), &[]);
    let attribute = r"([A-Za-z_][A-Za-z0-9_$.]*)(\s*)(=)".to_string();
    rule("meta.attribute", attribute, &[(1, "entity.other.attribute-name"), (3, "punctuation")]);
    rule("variable.parameter", r"[A-Za-z_][A-Za-z0-9_$.]*".into(), &[]);
    rule("punctuation.section.resources", r"\{-#|#-\}".into(), &[]);
    rule("constant.other.attribute", r"#(?:[0-9]+|[A-Za-z$._][A-Za-z0-9$._-]*)".into(), &[]);
    rule("punctuation", r"->|::|\.\.\.|[()\[\]{}<>,:=?*+\-/|$;]".into(), &[]);
    rule("invalid.illegal", r"\S".into(), &[]);
    let grammar = json!({
        "$comment": "Made by `nim-doc --textmate` of the definitions; do not edit.",
        "name": "nir",
        "scopeName": "source.nir",
        "fileTypes": ["nir", "mlir"],
        "patterns": rules,
    });
    format!("{grammar:#}\n")
}

/// Words that the formats of ops put between their parts.
fn keywords(dialects: &[&'static DialectDef]) -> BTreeSet<String> {
    let formats = dialects.iter().flat_map(|d| d.ops).filter_map(|op| Format::parse(op.format?).ok());
    let mut words: BTreeSet<String> = ["attributes", "private", "public", "else"].map(String::from).into();
    for format in formats {
        words.extend(format.all().into_iter().filter_map(|element| match element {
            Element::Literal(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => Some(word.clone()),
            _ => None,
        }));
    }
    words
}

fn escaped(word: &str) -> String {
    word.chars().flat_map(|c| (!c.is_ascii_alphanumeric() && c != '_').then_some('\\').into_iter().chain([c])).collect()
}
