//! `#[pass(...)]`: a struct whose fields are options becomes a pass.

use crate::model::doc_of;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Expr, Field, Fields, Ident, ItemStruct, LitStr, Path, Result, Token, Type,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

/// `name = "...", run = path, needs("..."), gives("..."), on("func.func"), rules = RULES`
pub struct PassArgs {
    name: Expr,
    /// `None`: the rules, until none fits.
    run: Option<Path>,
    needs: Vec<LitStr>,
    gives: Vec<LitStr>,
    anchors: Vec<LitStr>,
    rules: Option<Path>,
    module: bool,
}

impl Parse for PassArgs {
    fn parse(input: ParseStream<'_>) -> Result<PassArgs> {
        let start = input.span();
        let (mut name, mut run, mut rules, mut module) = (None, None, None, false);
        let (mut needs, mut gives, mut anchors) = (vec![], vec![], vec![]);
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            let list = |input: ParseStream<'_>| {
                let inner;
                syn::parenthesized!(inner in input);
                Ok::<_, syn::Error>(Punctuated::<LitStr, Token![,]>::parse_terminated(&inner)?.into_iter().collect())
            };
            match key.to_string().as_str() {
                "needs" => needs = list(input)?,
                "gives" => gives = list(input)?,
                "on" => anchors = list(input)?,
                "module" => module = true,
                word @ ("name" | "run" | "rules") => {
                    input.parse::<Token![=]>()?;
                    match word {
                        "name" => name = Some(input.parse()?),
                        "run" => run = Some(input.parse()?),
                        _ => rules = Some(input.parse()?),
                    }
                }
                _ => {
                    let message = format!(
                        "`#[pass]` has no argument `{key}`; it takes `name`, `run`, `rules`, `needs(..)`, `gives(..)`, \
                         `on(..)`, `module`"
                    );
                    return Err(syn::Error::new(key.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if module && !anchors.is_empty() {
            return Err(syn::Error::new(start, "a pass over modules works `on` nothing else"));
        }
        if run.is_none() && (rules.is_none() || module) {
            return Err(syn::Error::new(
                start,
                "`#[pass]` needs `run = function`, or `rules = RULES` to apply to bodies",
            ));
        }
        let missing = |what: &str| syn::Error::new(start, format!("`#[pass]` needs {what}"));
        Ok(PassArgs {
            name: name.ok_or_else(|| missing("`name = \"dialect-verb\"`"))?,
            run,
            needs,
            gives,
            anchors,
            rules,
            module,
        })
    }
}

/// An option: a field with its default.
struct PassOption {
    field: Ident,
    ty: Type,
    name: String,
    doc: TokenStream,
    default: Expr,
}

fn option(field: &Field) -> Result<PassOption> {
    let ident = field.ident.clone().ok_or_else(|| syn::Error::new(field.span(), "an option needs a name"))?;
    let attribute = field.attrs.iter().find(|a| a.path().is_ident("option"));
    let attribute = attribute
        .ok_or_else(|| syn::Error::new(ident.span(), "an option says what it is by default: `#[option(false)]`"))?;
    let doc = doc_of(&field.attrs);
    if doc.text.trim().is_empty() {
        return Err(syn::Error::new(ident.span(), "an option needs a doc comment, for `--list-passes`"));
    }
    Ok(PassOption {
        name: ident.unraw().to_string().replace('_', "-"),
        field: ident,
        ty: field.ty.clone(),
        doc: doc.description(),
        default: attribute.parse_args()?,
    })
}

/// The struct, how it is made of a pipeline's text, and the pass.
pub fn expand(args: &PassArgs, item: &ItemStruct) -> Result<TokenStream> {
    let options = match &item.fields {
        Fields::Named(fields) => fields.named.iter().map(option).collect::<Result<Vec<_>>>()?,
        Fields::Unit => vec![],
        Fields::Unnamed(fields) => return Err(syn::Error::new(fields.span(), "the fields of a pass have names")),
    };
    let description = doc_of(&item.attrs);
    if description.text.trim().is_empty() {
        return Err(syn::Error::new(item.ident.span(), "a pass needs a doc comment, for `--list-passes`"));
    }
    // Descriptions stand in tables, without a full stop.
    let description = description.first_sentence();
    let description = description.trim_end_matches('.');
    let PassArgs { name, run, needs, gives, anchors, rules, module } = args;
    let (ident, vis, attrs) = (&item.ident, &item.vis, &item.attrs);
    let declared = options.iter().map(|o| {
        let (field, ty, doc) = (&o.field, &o.ty, &o.doc);
        quote!(#[doc = #doc] pub #field: #ty)
    });
    let read = options.iter().map(|o| {
        let (field, name, default) = (&o.field, &o.name, &o.default);
        // The name alone means true.
        match quote::ToTokens::to_token_stream(&o.ty).to_string().as_str() {
            "bool" => quote!(#field: options.bool(#name, #default)?),
            "String" => quote!(#field: options.string(#name, #default)),
            _ => quote!(#field: options.parsed(#name, #default)?),
        }
    });
    let told = options.iter().map(|o| {
        let (field, name, doc) = (&o.field, &o.name, &o.doc);
        quote!(::nim_pass::PassOption::new(#name, #doc, &self.#field))
    });
    let rules: Vec<&Path> = rules.iter().collect();
    let common = quote! {
        fn name(&self) -> &'static str { #name }
        fn description(&self) -> &'static str { #description }
        fn options(&self) -> ::std::vec::Vec<::nim_pass::PassOption> { ::std::vec![#(#told),*] }
        #(fn rules(&self) -> ::std::vec::Vec<::nim_pass::RuleInfo> {
            #rules.iter().map(|rule| rule.info).collect()
        })*
        fn needs(&self) -> &'static [&'static str] { &[#(#needs),*] }
        fn gives(&self) -> &'static [&'static str] { &[#(#gives),*] }
    };
    let answer = quote! {
        ::core::result::Result<::nim_pass::PassReport, ::std::vec::Vec<::nim_ir::Diagnostic>>
    };
    let (implemented, register) = match run {
        Some(run) if *module => {
            let run = quote! {
                impl ::nim_pass::Pass for #ident {
                    #common
                    fn run(&self, pass: &::nim_pass::PassContext<'_>, module: &mut ::nim_ir::Module) -> #answer {
                        #run(self, pass, module)
                    }
                }
            };
            (run, quote!(module_pass))
        }
        run => {
            let work = match run {
                Some(run) => quote!(#run(self, pass, body)),
                None => quote!(::nim_pass::greedy(pass, _owner, #(#rules)*, body)),
            };
            let run = quote! {
                impl ::nim_pass::BodyPass for #ident {
                    #common
                    fn anchors(&self) -> &'static [&'static str] { &[#(#anchors),*] }
                    fn run(
                        &self,
                        pass: &::nim_pass::PassContext<'_>,
                        _owner: &::nim_pass::Owner,
                        body: &mut ::nim_ir::Body,
                    ) -> #answer {
                        #work
                    }
                }
            };
            (run, quote!(body_pass))
        }
    };
    Ok(quote! {
        #(#attrs)*
        #vis struct #ident {
            #(#declared),*
        }

        impl #ident {
            /// Adds the pass to those that pipelines may name.
            pub fn register(registry: &mut ::nim_pass::Registry) {
                registry.#register(|options| {
                    // Of a pass without options.
                    let _ = &options;
                    ::core::result::Result::Ok(#ident { #(#read),* })
                });
            }
        }

        #implemented
    })
}
