//! What a struct under `#[op]` says.

use crate::parse::{OpArgs, literal_string, ungroup};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Expr, Field, Fields, Ident, ItemStruct, Meta, Path, Result, Token, Type, Visibility,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

/// What a field stands for.
#[expect(clippy::large_enum_variant, reason = "a few of them, while a macro runs")]
pub enum Kind {
    /// Operand, with the path of its constraint.
    Operand(Path),
    /// Result, with the path of its constraint.
    Result(Path),
    /// Region; true with a single block.
    Region(bool),
    /// Attribute: tokens of its `AttrKind` and of its `Presence`, and how rules read it.
    Attr { kind: TokenStream, presence: TokenStream, read: Reading },
}

/// How rules read an attribute.
pub struct Reading {
    /// The word of the kind: `Int`, `Enum`.
    pub word: String,
    /// What absence means.
    pub default: Option<Expr>,
}

/// How many values or regions.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Arity {
    One,
    Optional,
    Variadic,
}

/// A field.
pub struct Member {
    pub ident: Ident,
    /// The name in the table, without `r#`.
    pub name: String,
    pub doc: Doc,
    pub kind: Kind,
    /// `One` for attributes.
    pub arity: Arity,
}

/// The documentation: a literal where it is one, else an expression.
#[derive(Default)]
pub struct Doc {
    pub text: String,
    pub parts: Vec<Expr>,
}

/// An op.
pub struct Op {
    pub args: OpArgs,
    pub vis: Visibility,
    pub ident: Ident,
    pub attrs: Vec<Attribute>,
    pub doc: Doc,
    pub members: Vec<Member>,
}

impl Op {
    /// Reads the struct; errors name the field.
    pub fn new(args: OpArgs, item: ItemStruct) -> Result<Op> {
        if !item.generics.params.is_empty() {
            return Err(syn::Error::new(item.generics.span(), "an op's struct has no type parameters"));
        }
        let mut errors: Option<syn::Error> = None;
        let mut members: Vec<Member> = vec![];
        let fields = match item.fields {
            Fields::Named(fields) => fields.named,
            Fields::Unit => Punctuated::new(),
            Fields::Unnamed(fields) => {
                return Err(syn::Error::new(fields.span(), "an op's fields have names: write `struct Op { ... }`"));
            }
        };
        for field in fields {
            let member = Member::new(&field).and_then(|m| match members.iter().any(|n| n.name == m.name) {
                true => Err(syn::Error::new(m.ident.span(), format!("the op has two fields called `{}`", m.name))),
                false => Ok(m),
            });
            match member {
                Ok(member) => members.push(member),
                Err(error) => match &mut errors {
                    Some(all) => all.combine(error),
                    None => errors = Some(error),
                },
            }
        }
        if let Some(error) = errors {
            return Err(error);
        }
        let doc = doc_of(&item.attrs);
        if doc.text.trim().is_empty() && doc.parts.is_empty() {
            return Err(syn::Error::new(
                item.ident.span(),
                "an op needs a doc comment; its first sentence is the summary",
            ));
        }
        Ok(Op { args, vis: item.vis, ident: item.ident, attrs: item.attrs, doc, members })
    }
}

impl Member {
    fn new(field: &Field) -> Result<Member> {
        let ident = field.ident.clone().ok_or_else(|| syn::Error::new(field.span(), "a field needs a name"))?;
        let name = ident.unraw().to_string();
        let mut found = None;
        for attribute in &field.attrs {
            let path = attribute.path();
            let kind = if path.is_ident("operand") {
                Kind::Operand(constraint(attribute)?)
            } else if path.is_ident("result") {
                Kind::Result(constraint(attribute)?)
            } else if path.is_ident("region") {
                Kind::Region(region(attribute)?)
            } else if path.is_ident("attr") {
                attr(attribute, &field.ty)?
            } else if path.is_ident("doc") {
                continue;
            } else {
                let message = "a field takes `#[operand(..)]`, `#[result(..)]`, `#[region]` or `#[attr(..)]`";
                return Err(syn::Error::new(attribute.span(), message));
            };
            if found.replace(kind).is_some() {
                return Err(syn::Error::new(attribute.span(), "a field is one of operand, result, region and attr"));
            }
        }
        let (kind, arity) = match (found, typed(&field.ty)) {
            (Some(kind @ Kind::Attr { .. }), _) => (kind, Arity::One),
            (Some(kind), _) => (kind, arity(&field.ty)?),
            (None, Some(typed)) => typed,
            (None, None) => {
                let message = format!(
                    "say what `{name}` is: `#[operand(..)]`, `#[result(..)]`, `#[region]` or `#[attr(..)]`, or by its \
                     type: `Operand<TENSOR>`, `Result<TENSOR>`, either in `Option` or `Vec`"
                );
                return Err(syn::Error::new(ident.span(), message));
            }
        };
        Ok(Member { ident, name, doc: doc_of(&field.attrs), kind, arity })
    }
}

fn type_word(ty: &Type) -> Option<String> {
    match ty {
        Type::Group(group) => type_word(&group.elem),
        Type::Path(path) => path.path.get_ident().map(Ident::to_string),
        _ => None,
    }
}

/// `Operand<TENSOR>`, `Option<Operand<TENSOR>>`, `Vec<Result<TENSOR>>`: a field that its type says all about.
fn typed(ty: &Type) -> Option<(Kind, Arity)> {
    let (word, inner) = generic(ty)?;
    let (arity, word, inner) = match word.as_str() {
        "Option" | "Vec" => {
            let (field, constraint) = generic(inner)?;
            (if word == "Vec" { Arity::Variadic } else { Arity::Optional }, field, constraint)
        }
        _ => (Arity::One, word, inner),
    };
    let Type::Path(constraint) = inner else { return None };
    let kind = match word.as_str() {
        "Operand" => Kind::Operand(constraint.path.clone()),
        "Result" => Kind::Result(constraint.path.clone()),
        _ => return None,
    };
    Some((kind, arity))
}

/// The two parts of `Word<Inner>`.
fn generic(ty: &Type) -> Option<(String, &Type)> {
    match ty {
        Type::Group(group) => generic(&group.elem),
        Type::Path(path) => {
            let last = path.path.segments.last().filter(|_| path.path.segments.len() == 1)?;
            let syn::PathArguments::AngleBracketed(list) = &last.arguments else { return None };
            match list.args.first() {
                Some(syn::GenericArgument::Type(inner)) if list.args.len() == 1 => {
                    Some((last.ident.to_string(), inner))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn arity(ty: &Type) -> Result<Arity> {
    match type_word(ty).as_deref() {
        Some("One") => Ok(Arity::One),
        Some("Optional") => Ok(Arity::Optional),
        Some("Variadic") => Ok(Arity::Variadic),
        _ => Err(syn::Error::new(ty.span(), "expected `One`, `Optional` or `Variadic`")),
    }
}

fn constraint(attribute: &Attribute) -> Result<Path> {
    match &attribute.meta {
        Meta::List(list) => list.parse_args(),
        other => Err(syn::Error::new(other.span(), "expected a type constraint: `(TENSOR)`, `(ANY)`, ...")),
    }
}

fn region(attribute: &Attribute) -> Result<bool> {
    match &attribute.meta {
        Meta::Path(_) => Ok(false),
        Meta::List(list) => {
            let word: Ident = list.parse_args()?;
            match word == "single_block" {
                true => Ok(true),
                false => Err(syn::Error::new(word.span(), "expected `single_block`")),
            }
        }
        other => Err(syn::Error::new(other.span(), "expected `#[region]` or `#[region(single_block)]`")),
    }
}

/// `Int`, `Enum("a", "b")`, then `, default = "..."`.
struct AttrArgs {
    word: String,
    kind: TokenStream,
    default: Option<Expr>,
}

const KINDS: [&str; 15] = [
    "Any",
    "Unit",
    "Bool",
    "Int",
    "Float",
    "String",
    "Type",
    "SymbolRef",
    "SymbolName",
    "Array",
    "Ints",
    "Expr",
    "Exprs",
    "Elements",
    "Dict",
];

impl Parse for AttrArgs {
    fn parse(input: ParseStream<'_>) -> Result<AttrArgs> {
        let word: Ident = input.call(Ident::parse_any)?;
        let kind = if word == "Enum" {
            let inner;
            syn::parenthesized!(inner in input);
            let items = Punctuated::<Expr, Token![,]>::parse_terminated(&inner)?;
            match items.first().map(ungroup) {
                None => return Err(syn::Error::new(word.span(), "`Enum` needs its values: `Enum(\"a\", \"b\")`")),
                Some(Expr::Path(path)) if items.len() == 1 => quote!(::nim_ir::AttrKind::Enum(#path)),
                Some(_) => quote!(::nim_ir::AttrKind::Enum(&[#items])),
            }
        } else if KINDS.contains(&word.to_string().as_str()) {
            quote!(::nim_ir::AttrKind::#word)
        } else {
            let message = format!("no such kind of attribute; there are {}, Enum(...)", KINDS.join(", "));
            return Err(syn::Error::new(word.span(), message));
        };
        let mut default = None;
        if input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let key: Ident = input.parse()?;
            if key != "default" {
                return Err(syn::Error::new(key.span(), "expected `default = \"...\"`"));
            }
            input.parse::<Token![=]>()?;
            default = Some(input.parse()?);
            input.parse::<Option<Token![,]>>()?;
        }
        match input.is_empty() {
            true => Ok(AttrArgs { word: word.to_string(), kind, default }),
            false => Err(input.error("unexpected argument")),
        }
    }
}

fn attr(attribute: &Attribute, ty: &Type) -> Result<Kind> {
    let Meta::List(list) = &attribute.meta else {
        return Err(syn::Error::new(attribute.span(), "expected a kind: `#[attr(Int)]`"));
    };
    let AttrArgs { word, kind, default } = list.parse_args()?;
    let read = Reading { word, default: default.clone() };
    let presence = match (type_word(ty).as_deref(), default) {
        (Some("Required"), None) => quote!(::nim_ir::Presence::Required),
        (Some("Optional"), None) => quote!(::nim_ir::Presence::Optional),
        (Some("Default"), Some(text)) => quote!(::nim_ir::Presence::Default(#text)),
        (Some("Default"), None) => {
            let message = "`Default` needs its text: `#[attr(Int, default = \"1 : i64\")]`";
            return Err(syn::Error::new(ty.span(), message));
        }
        (Some("Required" | "Optional"), Some(text)) => {
            return Err(syn::Error::new(text.span(), "an attribute with a default is a `Default` field"));
        }
        _ => return Err(syn::Error::new(ty.span(), "expected `Required`, `Optional` or `Default`")),
    };
    Ok(Kind::Attr { kind, presence, read })
}

/// Doc comments as one text; where one of them is no literal (`#[doc = concat!(...)]`), as parts to concatenate.
pub fn doc_of(attrs: &[Attribute]) -> Doc {
    let exprs: Vec<&Expr> = attrs
        .iter()
        .filter(|a| a.path().is_ident("doc"))
        .filter_map(|a| match &a.meta {
            Meta::NameValue(pair) => Some(&pair.value),
            _ => None,
        })
        .collect();
    let lines: Option<Vec<String>> = exprs.iter().map(|e| literal_string(e)).collect();
    match lines {
        Some(lines) => {
            let lines: Vec<&str> = lines.iter().map(|l| l.strip_prefix(' ').unwrap_or(l)).collect();
            Doc { text: lines.join("\n").trim().to_string(), parts: vec![] }
        }
        None => Doc { text: String::new(), parts: exprs.into_iter().cloned().collect() },
    }
}

impl Doc {
    /// The whole text, as a constant expression.
    pub fn description(&self) -> TokenStream {
        match self.parts.as_slice() {
            [] => self.text.to_token_stream(),
            [one] => one.to_token_stream(),
            parts => quote!(::core::concat!(#(#parts, "\n"),*)),
        }
    }

    /// The first sentence, as a constant expression.
    pub fn summary(&self) -> TokenStream {
        match self.parts.first() {
            Some(first) => first.to_token_stream(),
            None => self.first_sentence().to_token_stream(),
        }
    }

    /// The first sentence of a text that is a literal.
    pub fn first_sentence(&self) -> String {
        let paragraph = self.text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let end = paragraph
            .match_indices(". ")
            .map(|(i, _)| i)
            // "e.g. " and the like end no sentence.
            .find(|&i| paragraph[i + 2..].starts_with(|c: char| c.is_uppercase() || c == '`'))
            .map_or(paragraph.len(), |i| i + 1);
        paragraph[..end].trim().to_string()
    }
}
