//! `rules! { ... }`: patterns and replacements become functions that rewrite drivers call.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Expr, Ident, Lit, LitStr, Pat, Path, Result, Token, Visibility, braced, bracketed,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
    token::{Brace, Bracket},
};

/// All rules of one constant.
pub struct RuleList {
    attrs: Vec<Attribute>,
    vis: Visibility,
    name: Ident,
    rules: Vec<Rule>,
}

struct Rule {
    name: Expr,
    description: LitStr,
    body: RuleBody,
}

#[expect(clippy::large_enum_variant, reason = "a few of them, while a macro runs")]
enum RuleBody {
    /// Names of ops, and a function.
    Function {
        roots: Punctuated<Expr, Token![,]>,
        apply: Path,
    },
    Rewrite {
        patterns: Vec<Pattern>,
        conditions: Vec<Condition>,
        replacement: Replacement,
    },
}

/// `Op { x, perm: first, y: Op { .. } }`
struct Pattern {
    op: Path,
    fields: Vec<(Ident, FieldPattern)>,
}

enum FieldPattern {
    Bind(Ident),
    Literal(Expr),
    Op(Pattern),
}

/// `if test, "why not"`
struct Condition {
    bound: Option<Pat>,
    test: Expr,
    why: Expr,
}

#[expect(clippy::large_enum_variant, reason = "a few of them, while a macro runs")]
enum Replacement {
    Value(Expr),
    Op(Made),
}

/// `Op { x, perm: value, ..op }: type`
struct Made {
    op: Path,
    fields: Vec<(Ident, Replacement)>,
    rest: Option<Expr>,
    ty: Option<Expr>,
}

impl Parse for RuleList {
    fn parse(input: ParseStream<'_>) -> Result<RuleList> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        input.parse::<Token![const]>()?;
        let name = input.parse()?;
        input.parse::<Token![;]>()?;
        let mut rules = vec![];
        while !input.is_empty() {
            rules.push(input.parse()?);
        }
        Ok(RuleList { attrs, vis, name, rules })
    }
}

impl Parse for Rule {
    fn parse(input: ParseStream<'_>) -> Result<Rule> {
        let name = input.parse()?;
        input.parse::<Token![,]>()?;
        let description = input.parse()?;
        input.parse::<Token![:]>()?;
        let body = if input.peek(Bracket) {
            let list;
            bracketed!(list in input);
            let roots = Punctuated::parse_terminated(&list)?;
            input.parse::<Token![=>]>()?;
            RuleBody::Function { roots, apply: input.parse()? }
        } else {
            let mut patterns = vec![input.parse()?];
            while input.parse::<Option<Token![|]>>()?.is_some() {
                patterns.push(input.parse()?);
            }
            let mut conditions = vec![];
            while input.peek(Token![if]) {
                conditions.push(input.parse()?);
            }
            input.parse::<Token![=>]>()?;
            RuleBody::Rewrite { patterns, conditions, replacement: input.parse()? }
        };
        input.parse::<Token![;]>()?;
        Ok(Rule { name, description, body })
    }
}

/// True before `Path {`.
fn at_op(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Path>().is_ok() && ahead.peek(Brace)
}

impl Parse for Pattern {
    fn parse(input: ParseStream<'_>) -> Result<Pattern> {
        let op = input.parse()?;
        let inner;
        braced!(inner in input);
        let mut fields = vec![];
        while !inner.is_empty() {
            let name: Ident = inner.call(Ident::parse_any)?;
            let field = match inner.parse::<Option<Token![:]>>()?.is_some() {
                false => FieldPattern::Bind(name.clone()),
                true if at_op(&inner) => FieldPattern::Op(inner.parse()?),
                true if inner.peek(Lit) || inner.peek(Token![-]) => FieldPattern::Literal(inner.parse()?),
                true => FieldPattern::Bind(inner.parse()?),
            };
            fields.push((name, field));
            if !inner.is_empty() {
                inner.parse::<Token![,]>()?;
            }
        }
        Ok(Pattern { op, fields })
    }
}

impl Parse for Condition {
    fn parse(input: ParseStream<'_>) -> Result<Condition> {
        input.parse::<Token![if]>()?;
        let bound = match input.parse::<Option<Token![let]>>()?.is_some() {
            true => {
                let bound = Pat::parse_multi_with_leading_vert(input)?;
                input.parse::<Token![=]>()?;
                Some(bound)
            }
            false => None,
        };
        let test = input.parse()?;
        if !input.peek(Token![,]) {
            return Err(input.error("say behind a comma why the rule does not fire: `if x == y, \"they differ\"`"));
        }
        input.parse::<Token![,]>()?;
        Ok(Condition { bound, test, why: input.parse()? })
    }
}

impl Parse for Replacement {
    fn parse(input: ParseStream<'_>) -> Result<Replacement> {
        match at_op(input) {
            true => input.parse().map(Replacement::Op),
            false => input.parse().map(Replacement::Value),
        }
    }
}

impl Parse for Made {
    fn parse(input: ParseStream<'_>) -> Result<Made> {
        let op = input.parse()?;
        let inner;
        braced!(inner in input);
        let (mut fields, mut rest) = (vec![], None);
        while !inner.is_empty() {
            if inner.parse::<Option<Token![..]>>()?.is_some() {
                rest = Some(inner.parse()?);
                break;
            }
            let name: Ident = inner.call(Ident::parse_any)?;
            let value = match inner.parse::<Option<Token![:]>>()?.is_some() {
                true => inner.parse()?,
                false => Replacement::Value(Expr::Path(syn::ExprPath {
                    attrs: vec![],
                    qself: None,
                    path: name.clone().into(),
                })),
            };
            fields.push((name, value));
            if !inner.is_empty() {
                inner.parse::<Token![,]>()?;
            }
        }
        let ty = match input.parse::<Option<Token![:]>>()?.is_some() {
            true => Some(input.parse()?),
            false => None,
        };
        Ok(Made { op, fields, rest, ty })
    }
}

/// The last word of a path.
fn word(path: &Path) -> String {
    path.segments.last().map_or_else(String::new, |s| s.ident.to_string())
}

fn matcher(op: &Path, field: &Ident) -> TokenStream {
    let name = format_ident!("match_{}", field.unraw(), span = field.span());
    quote!(#op::#name)
}

impl Pattern {
    /// Statements that match an op, leaving `'alternative` where it does not; `bound` are the names so far.
    fn statements(&self, op: &Ident, bound: &mut Vec<Ident>, out: &mut TokenStream) {
        for (field, pattern) in &self.fields {
            let (read, text) = (matcher(&self.op, field), field.unraw().to_string());
            let absent = format!("`{text}` is absent");
            // What a name hides is not needed any more.
            let value = Ident::new("value", Span::mixed_site());
            out.extend(quote_spanned! {field.span()=>
                let ::core::option::Option::Some(#value) = #read(ctx, body, #op) else {
                    break 'alternative ::nim_rewrite::Miss(#absent);
                };
            });
            match pattern {
                FieldPattern::Bind(name) if bound.contains(name) => {
                    let differs = format!("`{text}` is another value than the first `{name}`");
                    out.extend(quote! { if #name != #value { break 'alternative ::nim_rewrite::Miss(#differs); } });
                }
                FieldPattern::Bind(name) => {
                    out.extend(quote! { let #name = #value; });
                    bound.push(name.clone());
                }
                FieldPattern::Literal(literal) => {
                    let shown = literal.to_token_stream().to_string();
                    let differs = format!("`{text}` is not {}", shown.replace(' ', ""));
                    out.extend(quote! { if #value != #literal { break 'alternative ::nim_rewrite::Miss(#differs); } });
                }
                FieldPattern::Op(inner) => {
                    let path = &inner.op;
                    let other = format!("`{text}` is not made by a `{}`", word(path));
                    let made = format_ident!("{op}_{field}", field = field.unraw(), span = Span::mixed_site());
                    out.extend(quote! {
                        let ::core::option::Option::Some(#made) =
                            body.defining_op(#value).filter(|&by| #path::is(ctx, body, by))
                        else {
                            break 'alternative ::nim_rewrite::Miss(#other);
                        };
                    });
                    inner.statements(&made, bound, out);
                }
            }
        }
    }
}

impl Made {
    fn expand(&self) -> TokenStream {
        let op = &self.op;
        let mut out = quote!(::nim_rewrite::Make::new(&#op::DEF));
        if let Some(rest) = &self.rest {
            out.extend(quote!(.like(ctx, body, #rest)));
        }
        for (field, value) in &self.fields {
            let (read, name) = (matcher(op, field), field.unraw().to_string());
            let value = match value {
                Replacement::Value(value) => {
                    quote_spanned!(value.span()=> ::nim_rewrite::typed_as(#read, #value))
                }
                Replacement::Op(made) => {
                    let made = made.expand();
                    quote!(::nim_rewrite::operand_of(#read, #made))
                }
            };
            out.extend(quote!(.field(ctx, #name, #value)));
        }
        if let Some(ty) = &self.ty {
            out.extend(quote!(.ty(#ty)));
        }
        out
    }
}

/// The function of a rule that is patterns, conditions and a replacement. Alternatives are tried one after the other, with the
/// conditions; the last one says why the rule does not fire.
fn rewrite(patterns: &[Pattern], conditions: &[Condition], replacement: &Replacement) -> TokenStream {
    let conditions: TokenStream = conditions.iter().map(Condition::expand).collect();
    let replacement = match replacement {
        Replacement::Value(value) => value.to_token_stream(),
        Replacement::Op(made) => made.expand(),
    };
    let alternatives = patterns.iter().map(|pattern| {
        let (path, mut statements) = (&pattern.op, TokenStream::new());
        pattern.statements(&Ident::new("op", Span::call_site()), &mut vec![], &mut statements);
        quote! {
            if #path::is(ctx, body, op) {
                why = 'alternative: {
                    #statements
                    #conditions
                    break 'found #replacement;
                };
            }
        }
    });
    quote! {
        |site: &mut ::nim_rewrite::Site<'_>| {
            let mut replacement = {
                #[allow(unused_variables)]
                let (ctx, body, op) = (site.ctx, &*site.body, site.op);
                'found: {
                    let mut why = ::nim_rewrite::Miss("it is another op");
                    #(#alternatives)*
                    return ::core::result::Result::Err(why);
                }
            };
            ::nim_rewrite::Replacement::check(&mut replacement, site.ctx, site.body, site.op)?;
            site.fire()?;
            ::nim_rewrite::Replacement::put(replacement, site);
            ::core::result::Result::Ok(())
        }
    }
}

impl Condition {
    fn expand(&self) -> TokenStream {
        let Condition { bound, test, why } = self;
        let leave = quote!(break 'alternative ::nim_rewrite::Miss(#why););
        match bound {
            Some(bound) => quote!(let #bound = #test else { #leave };),
            None => quote!(if !(#test) { #leave }),
        }
    }
}

impl Rule {
    fn expand(&self) -> TokenStream {
        let Rule { name, description, body } = self;
        let (roots, apply) = match body {
            RuleBody::Function { roots, apply } => {
                let roots = roots.iter();
                (quote!(&[#(#roots),*]), apply.to_token_stream())
            }
            RuleBody::Rewrite { patterns, conditions, replacement } => {
                let roots = patterns.iter().map(|p| &p.op);
                (quote!(&[#(#roots::NAME),*]), rewrite(patterns, conditions, replacement))
            }
        };
        quote!(::nim_rewrite::Rule::new(#name, #description, #roots, #apply))
    }
}

impl RuleList {
    /// The constant with all rules.
    pub fn expand(&self) -> TokenStream {
        let RuleList { attrs, vis, name, rules } = self;
        let rules = rules.iter().map(Rule::expand);
        quote! {
            #(#attrs)*
            #vis const #name: &[::nim_rewrite::Rule] = &[#(#rules),*];
        }
    }
}
