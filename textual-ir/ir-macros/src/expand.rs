//! The code that `#[op]` generates.

use crate::{
    model::{Arity, Kind, Member, Op, Reading},
    parse::{Successors, literal_string},
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Path, ext::IdentExt};

/// The unit struct, its table and its accessors.
pub fn op(op: &Op) -> TokenStream {
    let Op { args, vis, ident, attrs, doc, members } = op;
    let attrs: Vec<&Attribute> = attrs.iter().collect();
    let name = &args.name;
    let (summary, description) = (doc.summary(), doc.description());
    let table = Table::new(members);
    let Table { operands, results, attributes, regions } = &table;
    let traits = &args.traits;
    let successors = match args.successors {
        Successors::Any => quote!(::core::option::Option::None),
        Successors::Count(n) => quote!(::core::option::Option::Some(#n)),
    };
    let format = option(args.format.as_ref().map(|f| quote!(#f)));
    let parse = option(args.parse.as_ref().map(|f| quote!(#f)));
    let print = option(args.print.as_ref().map(|f| quote!(#f)));
    let infer = option(args.infer.as_ref().map(|f| quote!(#f)));
    let verify = option(args.verify.as_ref().map(|f| quote!(#f)));
    let verify_use = option(args.verify_use.as_ref().map(|f| quote!(#f)));
    let accessors = accessors(op);
    let matchers = matchers(op);
    quote! {
        #(#attrs)*
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #vis struct #ident;

        impl #ident {
            /// Full name of the op.
            pub const NAME: &'static str = #name;
            /// Definition table of the op.
            pub const DEF: ::nim_ir::OpDef = ::nim_ir::OpDef {
                name: Self::NAME,
                summary: #summary,
                description: #description,
                operands: &[#(#operands),*],
                results: &[#(#results),*],
                attrs: &[#(#attributes),*],
                regions: &[#(#regions),*],
                successors: #successors,
                traits: &[#(::nim_ir::Trait::#traits),*],
                format: #format,
                parse: #parse,
                print: #print,
                infer: #infer,
                verify: #verify,
                verify_use: #verify_use,
            };
            /// True when the op is one of this kind.
            pub fn is(ctx: &::nim_ir::Context, body: &::nim_ir::Body, op: ::nim_ir::OpId) -> bool {
                body.is(ctx, op, Self::NAME)
            }
            #(#accessors)*
            #(#matchers)*
        }
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// A bare name is looked for among the common constraints first, then where the op stands.
fn constraint(path: &Path) -> TokenStream {
    match path.get_ident() {
        Some(ident) => quote!({
            #[allow(unused_imports)]
            use ::nim_ir::opdef::constraints::*;
            #ident
        }),
        None => quote!(#path),
    }
}

fn arity(arity: Arity) -> TokenStream {
    match arity {
        Arity::One => quote!(::nim_ir::Arity::One),
        Arity::Optional => quote!(::nim_ir::Arity::Optional),
        Arity::Variadic => quote!(::nim_ir::Arity::Variadic),
    }
}

#[derive(Default)]
struct Table {
    operands: Vec<TokenStream>,
    results: Vec<TokenStream>,
    attributes: Vec<TokenStream>,
    regions: Vec<TokenStream>,
}

impl Table {
    fn new(members: &[Member]) -> Table {
        let mut table = Table::default();
        for member in members {
            let (name, doc, arity) = (&member.name, member.doc.description(), arity(member.arity));
            match &member.kind {
                Kind::Operand(path) => {
                    let constraint = constraint(path);
                    table.operands.push(quote!(::nim_ir::OperandDef {
                        name: #name, doc: #doc, constraint: #constraint, arity: #arity,
                    }));
                }
                Kind::Result(path) => {
                    let constraint = constraint(path);
                    table.results.push(quote!(::nim_ir::ResultDef {
                        name: #name, doc: #doc, constraint: #constraint, arity: #arity,
                    }));
                }
                Kind::Region(single_block) => table.regions.push(quote!(::nim_ir::RegionDef {
                    name: #name, doc: #doc, arity: #arity, single_block: #single_block,
                })),
                Kind::Attr { kind, presence, .. } => table.attributes.push(quote!(::nim_ir::AttrDef {
                    name: #name, doc: #doc, kind: #kind, presence: #presence,
                })),
            }
        }
        table
    }
}

fn accessors(op: &Op) -> Vec<TokenStream> {
    let isolated = op.args.traits.iter().any(|t| t == "IsolatedFromAbove");
    let result_fields: Vec<&Member> = op.members.iter().filter(|m| matches!(m.kind, Kind::Result(_))).collect();
    let mut regions = 0usize;
    let mut out = vec![];
    for member in &op.members {
        let (ident, name) = (&member.ident, &member.name);
        let doc = match member.doc.text.is_empty() && member.doc.parts.is_empty() {
            true => quote!(#name),
            false => member.doc.description(),
        };
        let signature = quote! {
            #[doc = #doc]
            #[allow(unused_variables)]
            pub fn #ident(ctx: &::nim_ir::Context, body: &::nim_ir::Body, op: ::nim_ir::OpId)
        };
        let expected = format!("the op has the operands that its table says, `{name}` among them");
        let field = quote!(::nim_ir::verifier::operand_field(ctx, body, op, #name).expect(#expected));
        out.push(match (&member.kind, member.arity) {
            (Kind::Operand(_), Arity::One) => quote!(#signature -> ::nim_ir::ValueId { #field[0] }),
            (Kind::Operand(_), Arity::Optional) => {
                quote!(#signature -> ::core::option::Option<::nim_ir::ValueId> { #field.first().copied() })
            }
            (Kind::Operand(_), Arity::Variadic) => quote!(#signature -> ::std::vec::Vec<::nim_ir::ValueId> { #field }),
            (Kind::Result(_), arity) => {
                let at = result_fields.iter().position(|m| m.name == *name).unwrap_or(0);
                let behind = result_fields.len() - at - 1;
                // At most one field is not `One`: those behind it are counted from the end.
                let after_group = result_fields[..at].iter().any(|m| m.arity != Arity::One);
                match arity {
                    Arity::One if after_group => quote!(#signature -> ::nim_ir::ValueId {
                        let all = body.results(op);
                        all[all.len() - 1 - #behind]
                    }),
                    Arity::One => quote!(#signature -> ::nim_ir::ValueId { body.results(op)[#at] }),
                    Arity::Optional => quote!(#signature -> ::core::option::Option<::nim_ir::ValueId> {
                        let all = body.results(op);
                        all[#at..all.len() - #behind].first().copied()
                    }),
                    Arity::Variadic => quote!(#signature -> ::std::vec::Vec<::nim_ir::ValueId> {
                        let all = body.results(op);
                        all[#at..all.len() - #behind].to_vec()
                    }),
                }
            }
            (Kind::Region(_), arity) => {
                let at = regions;
                regions += 1;
                if isolated {
                    // The regions are in the op's nested body; ids of it mean nothing here.
                    continue;
                }
                match arity {
                    Arity::One => quote!(#signature -> ::nim_ir::RegionId { body.regions(op)[#at] }),
                    Arity::Optional => quote!(#signature -> ::core::option::Option<::nim_ir::RegionId> {
                        body.regions(op).get(#at).copied()
                    }),
                    Arity::Variadic => quote!(#signature -> ::std::vec::Vec<::nim_ir::RegionId> {
                        body.regions(op)[#at..].to_vec()
                    }),
                }
            }
            (Kind::Attr { .. }, _) => quote!(#signature -> ::core::option::Option<::nim_ir::Attr> {
                body.attr_named(ctx, op, #name)
            }),
        });
    }
    out
}

/// What `rules!` reads fields by: as [`accessors`], but typed by the kinds of attributes, and without a panic for ops that do
/// not have the shape of their table.
fn matchers(op: &Op) -> Vec<TokenStream> {
    let operands: Vec<&Member> = op.members.iter().filter(|m| matches!(m.kind, Kind::Operand(_))).collect();
    let results: Vec<&Member> = op.members.iter().filter(|m| matches!(m.kind, Kind::Result(_))).collect();
    let plain = operands.iter().all(|m| m.arity == Arity::One);
    let mut out = vec![];
    for member in &op.members {
        let (name, doc) = (&member.name, format!("What `rules!` reads as `{}`.", member.name));
        let ident = format_ident!("match_{}", member.ident.unraw());
        let field = quote!(::nim_ir::verifier::operand_field(ctx, body, op, #name)?);
        let value = quote!(::nim_ir::ValueId);
        let (ty, read) = match (&member.kind, member.arity) {
            (Kind::Operand(_), Arity::One) if plain => {
                let at = operands.iter().position(|m| m.name == *name).unwrap_or(0);
                (value, quote!(body.operands_iter(op).nth(#at)))
            }
            (Kind::Operand(_), Arity::One) => (value, quote!(#field.first().copied())),
            (Kind::Operand(_), Arity::Optional) => {
                (quote!(::core::option::Option<#value>), quote!(::core::option::Option::Some(#field.first().copied())))
            }
            (Kind::Operand(_), Arity::Variadic) => {
                (quote!(::std::vec::Vec<#value>), quote!(::nim_ir::verifier::operand_field(ctx, body, op, #name)))
            }
            (Kind::Result(_), Arity::One) if results.iter().all(|m| m.arity == Arity::One) => {
                let at = results.iter().position(|m| m.name == *name).unwrap_or(0);
                (value, quote!(body.results(op).get(#at).copied()))
            }
            // Ops with groups of results and with regions are for functions.
            (Kind::Result(_) | Kind::Region(_), _) => continue,
            (Kind::Attr { read, .. }, _) => attribute(name, read),
        };
        out.push(quote! {
            #[doc = #doc]
            #[allow(unused_variables)]
            #[inline]
            pub fn #ident<'c>(
                ctx: &'c ::nim_ir::Context,
                body: &::nim_ir::Body,
                op: ::nim_ir::OpId,
            ) -> ::core::option::Option<#ty> {
                #read
            }
        });
    }
    out
}

/// The Rust type of an attribute, and how it is read. A default that is a number, a truth value or a text is what absence
/// means; of other defaults rules hear that the attribute is absent.
fn attribute(name: &str, Reading { word, default }: &Reading) -> (TokenStream, TokenStream) {
    let text = default.as_ref().and_then(literal_string);
    let plain = text.as_deref().map(|t| t.split(" : ").next().unwrap_or(t).trim());
    let (ty, read, absent) = match word.as_str() {
        "Bool" => {
            (quote!(bool), quote!(ctx.as_bool(a)), plain.and_then(|t| t.parse::<bool>().ok()).map(|v| quote!(#v)))
        }
        "Int" => (quote!(i64), quote!(ctx.as_int(a)), plain.and_then(|t| t.parse::<i64>().ok()).map(|v| quote!(#v))),
        "Float" => {
            // As the attribute would hold it.
            let double = text.as_deref().is_some_and(|t| t.ends_with(": f64"));
            let number =
                plain.and_then(|t| t.parse::<f64>().ok()).map(|v| if double { v } else { f64::from(v as f32) });
            (quote!(f64), quote!(ctx.as_float(a)), number.map(|v| quote!(#v)))
        }
        "String" | "Enum" => {
            let inner = plain.and_then(|t| t.strip_prefix('"')?.strip_suffix('"')).filter(|t| !t.contains('\\'));
            (quote!(&'c str), quote!(ctx.as_string(a)), inner.map(|v| quote!(#v)))
        }
        "Type" => (quote!(::nim_ir::Type), quote!(ctx.as_type(a)), None),
        "Ints" => (quote!(::std::vec::Vec<i64>), quote!(ctx.as_ints(a)), None),
        "Expr" => (quote!(::nim_ir::Expr), quote!(ctx.as_expr(a)), None),
        "Exprs" => (quote!(::std::vec::Vec<::nim_ir::Expr>), quote!(ctx.as_exprs(a)), None),
        _ => (quote!(::nim_ir::Attr), quote!(::core::option::Option::Some(a)), None),
    };
    let absent = option(absent);
    let read = quote! {
        match body.attr_named(ctx, op, #name) {
            ::core::option::Option::Some(a) => #read,
            ::core::option::Option::None => #absent,
        }
    };
    (ty, read)
}
