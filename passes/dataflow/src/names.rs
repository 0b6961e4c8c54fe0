//! Names of kernels: what the ops that they are made of were called, so that profiles are readable.

use nim_ir::{Context, Loc, LocData, Name};

/// Longest name.
const LONGEST: usize = 64;

/// A name for what was made of ops at these places: `conv1_relu`.
pub fn kernel_name(ctx: &Context, locs: &[Loc]) -> String {
    let mut names: Vec<Name> = vec![];
    for &loc in locs {
        collect(ctx, loc, &mut names);
    }
    let mut parts: Vec<String> = vec![];
    for name in names {
        let part = clean(ctx.str(name));
        if !part.is_empty() && !parts.contains(&part) {
            parts.push(part);
        }
    }
    // Names of one scope share a prefix: it is said once.
    let short: Vec<String> =
        parts.iter().enumerate().map(|(i, p)| if i == 0 { p.clone() } else { after_common(&parts[0], p) }).collect();
    let mut name = short.join("_");
    if name.len() > LONGEST && short.len() > 1 {
        name = format!("{}_{}", short[0], short[short.len() - 1]);
    }
    if name.len() > LONGEST {
        // The end says more than the scopes at the beginning. All characters are ASCII.
        name = name[name.len() - LONGEST..].trim_start_matches('_').to_string();
    }
    match name.chars().next() {
        None => "kernel".into(),
        Some(c) if c.is_ascii_digit() => format!("k{name}"),
        Some(_) => name,
    }
}

/// The names in these places, each once, in their order: the nodes of a model that something was made of.
pub fn node_names(ctx: &Context, locs: &[Loc]) -> Vec<String> {
    let mut names: Vec<Name> = vec![];
    locs.iter().for_each(|&loc| collect(ctx, loc, &mut names));
    let mut texts: Vec<String> = vec![];
    for name in names {
        if !texts.iter().any(|t| t == ctx.str(name)) {
            texts.push(ctx.str(name).to_owned());
        }
    }
    texts
}

/// Names in a location, in order.
fn collect(ctx: &Context, loc: Loc, out: &mut Vec<Name>) {
    match ctx.loc_data(loc) {
        LocData::Name(name, _) => out.push(*name),
        LocData::Derived { from, .. } => collect(ctx, *from, out),
        LocData::Fused(locs, _) => locs.iter().for_each(|&l| collect(ctx, l, out)),
        LocData::CallSite(callee, caller) => {
            collect(ctx, *callee, out);
            collect(ctx, *caller, out);
        }
        _ => {}
    }
}

/// Letters, digits and single underscores.
fn clean(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if out.is_empty() || out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    out.trim_end_matches('_').to_string()
}

/// `name` without the words that it begins with as `first` does; all of it when nothing would be left.
fn after_common(first: &str, name: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (first.split('_').collect(), name.split('_').collect());
    let common = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    if common < b.len() { b[common..].join("_") } else { name.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_say_what() {
        let ctx = Context::new(&[]);
        let name = |texts: &[&str]| {
            let locs: Vec<Loc> = texts.iter().map(|t| ctx.named_loc(t)).collect();
            kernel_name(&ctx, &[ctx.loc(LocData::Fused(locs, None))])
        };
        assert_eq!(
            name(&["/layer1/layer1.0/conv1/Conv", "/layer1/layer1.0/relu/Relu"]),
            "layer1_layer1_0_conv1_Conv_relu_Relu"
        );
        assert_eq!(name(&["conv1", "conv1", "7"]), "conv1_7");
        assert_eq!(name(&["7"]), "k7");
        assert_eq!(name(&["//"]), "kernel");
        assert!(name(&["a".repeat(80).as_str(), "b"]).len() <= LONGEST);
    }
}
