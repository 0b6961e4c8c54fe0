//! Completion: what may stand at a place, with what the definitions say about it.

use crate::{
    document::{Document, Part},
    hover::op_of_word,
    names::{scope_of, symbol_definitions},
};
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, MarkupContent, MarkupKind, TextEdit,
};
use nim_ir::{AttrKind, OpDef};
use nim_pass::Registry;
use nim_text::{
    grammar,
    index::Entity,
    lexer::{Kind, Tokens},
};
use std::collections::BTreeSet;

/// Words of types that stand alone or open a list.
const TYPE_WORDS: [&str; 16] = [
    "tensor", "memref", "vector", "tuple", "complex", "index", "none", "f16", "bf16", "f32", "f64", "i1", "i8", "i32",
    "i64", "ui8",
];

/// One thing to offer.
struct Offer {
    label: String,
    kind: CompletionItemKind,
    detail: String,
    text: String,
}

impl Offer {
    fn new(label: impl Into<String>, kind: CompletionItemKind, detail: impl Into<String>) -> Offer {
        Offer { label: label.into(), kind, detail: detail.into(), text: String::new() }
    }
}

/// What may stand at a byte of the document.
pub fn complete(document: &Document, registry: &Registry, byte: usize) -> Vec<CompletionItem> {
    let Some((part, at)) = document.part_at(byte) else { return vec![] };
    let text = part.text();
    let line = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let before = &text[line..at];
    let comment = before.contains("//");
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$') || (comment && c == '-');
    let mut start =
        before.rfind(|c| !in_word(c)).map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
    // The dashes of an option are no part of the pass's name.
    start += before[start..].len() - before[start..].trim_start_matches('-').len();
    // The sign in front belongs to a name.
    let sign = before[..start].chars().next_back().filter(|c| "%^@!#".contains(*c));
    start -= usize::from(sign.is_some());
    let offers = if comment {
        passes(registry)
    } else {
        match sign {
            Some('%') => values(part, at),
            Some('^') => blocks(part, at),
            Some('@') => symbols(part),
            Some('!') => types(part, true),
            Some('#') => aliases(part, "#"),
            _ => words(part, at, &before[..start]),
        }
    };
    let range = document.range(part, line + start..at);
    let item = |offer: Offer| CompletionItem {
        kind: Some(offer.kind),
        detail: Some(offer.detail),
        documentation: (!offer.text.is_empty())
            .then_some(Documentation::MarkupContent(MarkupContent { kind: MarkupKind::Markdown, value: offer.text })),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit::new(range, offer.label.clone()))),
        filter_text: Some(offer.label.clone()),
        label: offer.label,
        ..CompletionItem::default()
    };
    offers.into_iter().map(item).collect()
}

fn passes(registry: &Registry) -> Vec<Offer> {
    let passes = registry.passes().flat_map(|pass| {
        let own = Offer::new(pass.name, CompletionItemKind::FUNCTION, pass.description);
        let options = pass.options.iter().map(move |option| {
            let detail = format!("{} of {}, {} by default", option.description, pass.name, option.value);
            Offer::new(format!("{}=", option.name), CompletionItemKind::PROPERTY, detail)
        });
        std::iter::once(own).chain(options)
    });
    let pipelines = registry.pipelines().map(|(name, what, _)| Offer::new(name, CompletionItemKind::MODULE, what));
    passes.chain(pipelines).collect()
}

/// Values that are defined before, in the same isolated op.
fn values(part: &Part, at: usize) -> Vec<Offer> {
    let scope = scope_of(part, at);
    let visible =
        part.index.definitions.iter().filter(|d| d.range.start < at && scope_of(part, d.range.start) == scope);
    let mut seen = BTreeSet::new();
    visible
        .filter_map(|definition| {
            let (body, value) = nim_opt::dims::find(&part.module, definition.entity, 0)?;
            let name = &part.text()[definition.range.clone()];
            seen.insert(name)
                .then(|| Offer::new(name, CompletionItemKind::VARIABLE, part.ctx.display_type(body.ty(value))))
        })
        .collect()
}

fn blocks(part: &Part, at: usize) -> Vec<Offer> {
    let scope = scope_of(part, at);
    let blocks = part.index.definitions.iter().filter(|d| d.entity == Entity::Block);
    let mine = blocks.filter(|d| scope_of(part, d.range.start) == scope);
    mine.map(|d| Offer::new(&part.text()[d.range.clone()], CompletionItemKind::REFERENCE, "block")).collect()
}

fn symbols(part: &Part) -> Vec<Offer> {
    let text = part.text();
    let all = symbol_definitions(part).into_iter();
    all.map(|(name, scope)| {
        let head = text[scope].lines().next().unwrap_or_default();
        Offer::new(&text[name], CompletionItemKind::FUNCTION, head.trim_end_matches('{').trim())
    })
    .collect()
}

fn aliases(part: &Part, sign: &str) -> Vec<Offer> {
    let text = part.text();
    let defined = text.lines().filter(|line| line.starts_with(sign)).filter_map(|line| line.split_once('='));
    defined.map(|(name, what)| Offer::new(name.trim(), CompletionItemKind::CONSTANT, what.trim())).collect()
}

fn types(part: &Part, only_marked: bool) -> Vec<Offer> {
    let of_dialects = part.ctx.dialects().iter().flat_map(|d| d.types);
    let mut all: Vec<Offer> = of_dialects
        .map(|ty| Offer::new(format!("!{}", ty.name), CompletionItemKind::CLASS, ty.description))
        .chain(aliases(part, "!"))
        .collect();
    if !only_marked {
        all.extend(TYPE_WORDS.iter().map(|word| {
            let form = grammar::TYPES.iter().find(|form| form.examples.iter().any(|e| e.starts_with(word)));
            Offer::new(*word, CompletionItemKind::CLASS, form.map_or("a number", |form| form.description))
        }));
    }
    all
}

/// A word without a sign: an op, a type, an attribute or its value, as what stands before says.
fn words(part: &Part, at: usize, before: &str) -> Vec<Offer> {
    let text = part.text();
    let last = before.trim_end();
    if let Some((def, name)) = attribute_place(
        part,
        at - (text[..at].len() - text[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len()),
    ) {
        return match name {
            Some(name) => def.attr(&name).map_or(vec![], |attr| attribute_values(attr.kind)),
            None => def
                .attrs
                .iter()
                .map(|attr| {
                    let detail = format!("{}: {}", nim_doc::ops::attr_kind(attr.kind), attr.doc);
                    Offer::new(attr.name, CompletionItemKind::PROPERTY, detail)
                })
                .collect(),
        };
    }
    let starts_op =
        last.is_empty() || (last.ends_with('=') && last.trim_start().starts_with('%')) || last.ends_with('{');
    if starts_op {
        return part
            .ctx
            .all_ops()
            .map(|def| {
                let mut offer = Offer::new(def.name, CompletionItemKind::METHOD, def.summary);
                offer.text = nim_doc::ops::op(def);
                offer
            })
            .collect();
    }
    if last.ends_with([':', '<', '(', ',', 'x']) || last.ends_with("->") {
        return types(part, false);
    }
    vec![]
}

fn attribute_values(kind: AttrKind) -> Vec<Offer> {
    let values: Vec<String> = match kind {
        AttrKind::Enum(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
        AttrKind::Bool => vec!["true".into(), "false".into()],
        AttrKind::Unit => vec!["unit".into()],
        AttrKind::Elements => vec!["dense".into(), "dense_resource".into()],
        AttrKind::Ints => vec!["array".into()],
        _ => vec![],
    };
    values
        .into_iter()
        .map(|value| Offer::new(value, CompletionItemKind::ENUM_MEMBER, nim_doc::ops::attr_kind(kind)))
        .collect()
}

/// The op whose attributes are being written at a byte, and the name in front of `=`, if that is there.
fn attribute_place(part: &Part, at: usize) -> Option<(&'static OpDef, Option<String>)> {
    let text = part.text();
    // The op that was named last, and the braces that are open behind it.
    let (mut op, mut open, mut name, mut assigned): (Option<&'static OpDef>, Vec<&str>, _, _) =
        (None, vec![], None, false);
    for token in Tokens::new(text).take_while(|t| (t.end as usize) <= at) {
        let word = &text[token.range()];
        match (token.kind, word) {
            (Kind::BareId | Kind::String, _)
                if open.is_empty() && op_of_word(&part.ctx, word.trim_matches('"')).is_some() =>
            {
                op = op_of_word(&part.ctx, word.trim_matches('"'));
            }
            (Kind::Punctuation, "{" | "[" | "(" | "<") => {
                // A region begins: its ops are looked at one by one.
                let region = word == "{" && region_begins(text, token.end as usize);
                if region {
                    open.clear()
                } else {
                    open.push(word)
                }
                (name, assigned) = (None, false);
            }
            (Kind::Punctuation, "}" | "]" | ")" | ">") => drop(open.pop()),
            (Kind::Punctuation, ",") => (name, assigned) = (None, false),
            (Kind::Punctuation, "=") => assigned = open.last() == Some(&"{"),
            (Kind::BareId, _) if open.last() == Some(&"{") && !assigned => name = Some(word.to_string()),
            _ => {}
        }
    }
    let def = op.filter(|_| open.last() == Some(&"{"))?;
    Some((def, name.filter(|_| assigned)))
}

/// True when a brace has nothing more on its line.
fn region_begins(text: &str, behind: usize) -> bool {
    let rest = text[behind..].split('\n').next().unwrap_or_default().trim();
    rest.is_empty() || rest.starts_with("//")
}
