//! `dialect! { pub static GRAPH: "graph", "...", ops[...], types[...] }`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Expr, Ident, Path, Result, Token, Visibility,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

/// One item of `ops[...]`.
enum Item {
    /// A struct made by `#[op]`.
    Op(Path),
    /// `..PATH`: a constant list of tables.
    Splice(Path),
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> Result<Item> {
        match input.parse::<Option<Token![..]>>()? {
            Some(_) => Ok(Item::Splice(input.parse()?)),
            None => Ok(Item::Op(input.parse()?)),
        }
    }
}

/// `"graph.string": "A string."`
struct TypeItem {
    name: Expr,
    description: Expr,
}

impl Parse for TypeItem {
    fn parse(input: ParseStream<'_>) -> Result<TypeItem> {
        let name = input.parse()?;
        input.parse::<Token![:]>()?;
        Ok(TypeItem { name, description: input.parse()? })
    }
}

/// The whole declaration.
pub struct Dialect {
    attrs: Vec<Attribute>,
    vis: Visibility,
    ident: Ident,
    name: Expr,
    description: Expr,
    ops: Vec<Item>,
    types: Vec<TypeItem>,
}

impl Parse for Dialect {
    fn parse(input: ParseStream<'_>) -> Result<Dialect> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        input.parse::<Token![static]>()?;
        let ident = input.parse()?;
        input.parse::<Token![:]>()?;
        let name = input.parse()?;
        input.parse::<Token![,]>()?;
        let description = input.parse()?;
        let (mut ops, mut types) = (vec![], vec![]);
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let word: Ident = input.parse()?;
            let list;
            syn::bracketed!(list in input);
            match word.to_string().as_str() {
                "ops" => ops.extend(Punctuated::<Item, Token![,]>::parse_terminated(&list)?),
                "types" => types.extend(Punctuated::<TypeItem, Token![,]>::parse_terminated(&list)?),
                _ => return Err(syn::Error::new(word.span(), "expected `ops[...]` or `types[...]`")),
            }
        }
        Ok(Dialect { attrs, vis, ident, name, description, ops, types })
    }
}

/// The static.
pub fn expand(dialect: &Dialect) -> TokenStream {
    let Dialect { attrs, vis, ident, name, description, ops, types } = dialect;
    let parts = ops.iter().map(|item| match item {
        Item::Op(path) => quote!(&[&#path::DEF]),
        Item::Splice(path) => quote!(#path),
    });
    let types = types.iter().map(|t| {
        let (name, description) = (&t.name, &t.description);
        quote!(::nim_ir::opdef::TypeDef { name: #name, description: #description })
    });
    quote! {
        #(#attrs)*
        #vis static #ident: ::nim_ir::DialectDef = {
            const PARTS: &[&[&'static ::nim_ir::OpDef]] = &[#(#parts),*];
            const COUNT: usize = {
                let (mut count, mut i) = (0, 0);
                while i < PARTS.len() {
                    count += PARTS[i].len();
                    i += 1;
                }
                count
            };
            static OPS: [&'static ::nim_ir::OpDef; COUNT] = {
                const NONE: ::nim_ir::OpDef = ::nim_ir::OpDef::new("");
                let mut all: [&'static ::nim_ir::OpDef; COUNT] = [&NONE; COUNT];
                let (mut n, mut i) = (0, 0);
                while i < PARTS.len() {
                    let mut j = 0;
                    while j < PARTS[i].len() {
                        all[n] = PARTS[i][j];
                        n += 1;
                        j += 1;
                    }
                    i += 1;
                }
                all
            };
            ::nim_ir::DialectDef { name: #name, description: #description, ops: &OPS, types: &[#(#types),*] }
        };
    }
}
