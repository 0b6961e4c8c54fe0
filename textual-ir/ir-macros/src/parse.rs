//! The arguments of `#[op(...)]`.

use syn::{
    Expr, Ident, Lit, Path, Result, Token,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

const ARGUMENTS: &str = "`name`, `traits`, `infer`, `verify`, `verify_use`, `parse`, `print`, `format`, `successors`";

/// Number of successor blocks.
pub enum Successors {
    /// Any number.
    Any,
    /// Just as many.
    Count(usize),
}

/// `name = "...", traits(...), ...`
pub struct OpArgs {
    /// Constant expression of the op's full name.
    pub name: Expr,
    /// Variants of `Trait`.
    pub traits: Vec<Ident>,
    /// Shape function.
    pub infer: Option<Path>,
    /// Verifier.
    pub verify: Option<Path>,
    pub verify_use: Option<Path>,
    /// Hand-written parser.
    pub parse: Option<Path>,
    /// Hand-written printer.
    pub print: Option<Path>,
    /// Declarative format.
    pub format: Option<Expr>,
    /// Successors.
    pub successors: Successors,
}

impl Parse for OpArgs {
    fn parse(input: ParseStream<'_>) -> Result<OpArgs> {
        let start = input.span();
        let mut name = None;
        let mut args = OpArgs {
            name: syn::parse_quote!(""),
            traits: vec![],
            infer: None,
            verify: None,
            verify_use: None,
            parse: None,
            print: None,
            format: None,
            successors: Successors::Count(0),
        };
        let mut seen: Vec<Ident> = vec![];
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            if seen.contains(&key) {
                return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
            }
            if key == "traits" {
                let inner;
                syn::parenthesized!(inner in input);
                args.traits = Punctuated::<Ident, Token![,]>::parse_terminated(&inner)?.into_iter().collect();
            } else {
                input.parse::<Token![=]>()?;
                match key.to_string().as_str() {
                    "name" => name = Some(input.parse()?),
                    "infer" => args.infer = Some(input.parse()?),
                    "verify" => args.verify = Some(input.parse()?),
                    "verify_use" => args.verify_use = Some(input.parse()?),
                    "parse" => args.parse = Some(input.parse()?),
                    "print" => args.print = Some(input.parse()?),
                    "format" => args.format = Some(input.parse()?),
                    "successors" => args.successors = successors(input)?,
                    _ => {
                        let message = format!("`#[op]` has no argument `{key}`; it takes {ARGUMENTS}");
                        return Err(syn::Error::new(key.span(), message));
                    }
                }
            }
            seen.push(key);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        args.name = name.ok_or_else(|| syn::Error::new(start, "`#[op]` needs `name = \"dialect.op\"`"))?;
        if let Some(text) = literal_string(&args.name)
            && text.split('.').any(str::is_empty)
        {
            return Err(syn::Error::new(args.name.span(), "the name of an op is `dialect.op`"));
        }
        if args.parse.is_some() != args.print.is_some() {
            return Err(syn::Error::new(args.name.span(), "`parse` and `print` must be given together"));
        }
        if args.format.is_some() && args.parse.is_some() {
            return Err(syn::Error::new(args.name.span(), "an op has either `format` or `parse` and `print`"));
        }
        Ok(args)
    }
}

fn successors(input: ParseStream<'_>) -> Result<Successors> {
    let value: Expr = input.parse()?;
    match ungroup(&value) {
        Expr::Path(path) if path.path.is_ident("any") => Ok(Successors::Any),
        Expr::Lit(lit) if let Lit::Int(n) = &lit.lit => Ok(Successors::Count(n.base10_parse()?)),
        other => Err(syn::Error::new(other.span(), "`successors` is `any` or a number")),
    }
}

/// An expression without the invisible groups that `macro_rules!` puts around fragments.
pub fn ungroup(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => ungroup(&group.expr),
        Expr::Paren(paren) => ungroup(&paren.expr),
        other => other,
    }
}

/// The text of a string literal.
pub fn literal_string(expr: &Expr) -> Option<String> {
    match ungroup(expr) {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(s) => Some(s.value()),
            _ => None,
        },
        _ => None,
    }
}
