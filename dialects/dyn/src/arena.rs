//! `dyn.arena`: its text, and what follows from which buffers live together.

use nim_builtin::syntax::{error_at, print_attrs, set};
use nim_ir::{
    Attr, Body, Context, Diagnostic, Expr, ExprPool, Facts, OpId, OpState, Symbol,
    syntax::{AsmParser, AsmPrinter, Parse},
};

/// The places of an arena.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Bytes of each buffer.
    pub sizes: Vec<Expr>,
    /// For each buffer, those before it that it must not overlap.
    pub apart: Vec<Vec<u32>>,
    /// For each buffer, the symbol that is its offset.
    pub symbols: Vec<Symbol>,
}

impl Places {
    /// Those of an op; `None` when its attributes are malformed.
    pub fn of(ctx: &Context, body: &Body, op: OpId) -> Option<Places> {
        let get = |name| body.attr_named(ctx, op, name);
        let sizes = ctx.as_exprs(get("sizes")?)?;
        let list = |a: Attr| -> Option<Vec<u32>> {
            ctx.as_array(a)?.iter().map(|&n| u32::try_from(ctx.as_int(n)?).ok()).collect()
        };
        let apart: Vec<Vec<u32>> = ctx.as_array(get("apart")?)?.iter().map(|&a| list(a)).collect::<Option<_>>()?;
        let symbols = ctx.as_array(get("symbols")?)?.iter().map(|&a| Some(ctx.exprs.symbol(ctx.as_string(a)?)));
        let symbols: Vec<Symbol> = symbols.collect::<Option<_>>()?;
        let earlier = apart.iter().enumerate().all(|(i, list)| list.iter().all(|&j| (j as usize) < i));
        (sizes.len() == apart.len() && sizes.len() == symbols.len() && earlier).then_some(Places {
            sizes,
            apart,
            symbols,
        })
    }

    /// The attributes of an op with these places.
    pub fn attrs(&self, ctx: &Context) -> [(&'static str, Attr); 3] {
        let list = |l: &Vec<u32>| ctx.array_attr(l.iter().map(|&n| ctx.i64_attr(n.into())).collect::<Vec<_>>());
        let names = self.symbols.iter().map(|&s| ctx.string_attr(ctx.exprs.symbol_name(s)));
        [
            ("sizes", ctx.exprs_attr(&self.sizes)),
            ("apart", ctx.array_attr(self.apart.iter().map(list).collect::<Vec<_>>())),
            ("symbols", ctx.array_attr(names.collect::<Vec<_>>())),
        ]
    }

    /// The most bytes that live at the same time: the maximum over all buffers of what lives when they begin to. No
    /// placement needs less.
    pub fn peak(&self, pool: &ExprPool, facts: &Facts) -> Expr {
        let mut peaks: Vec<Expr> = vec![];
        let mut sorted = self.clone();
        sorted.apart.iter_mut().for_each(|list| list.sort_unstable());
        for (i, list) in sorted.apart.iter().enumerate() {
            let sum = pool.add(self.sizes[i], sorted.live(pool, list.clone()));
            let le = |a: Expr, b: Expr| a == b || pool.prove_le(a, b, facts);
            if !peaks.iter().any(|&other| le(sum, other)) {
                peaks.retain(|&other| !le(other, sum));
                peaks.push(sum);
            }
        }
        pool.max_of(peaks).unwrap_or(Expr::ZERO)
    }

    /// Bytes of buffers that all live beside one more. Those of different ways of a branch never live together although
    /// both lie beside what is made later, so it is sums and maxima in turn: sets that are all apart from each other add
    /// up, of sets that have nothing apart the largest counts.
    ///
    /// Lists are sorted.
    fn live(&self, pool: &ExprPool, set: Vec<u32>) -> Expr {
        if let [one] = *set {
            return self.sizes[one as usize];
        }
        let apart = |a: u32, b: u32| self.apart[a.max(b) as usize].binary_search(&a.min(b)).is_ok();
        let all = components(&set, &|a, b| !apart(a, b));
        if all.len() > 1 {
            return pool.sum(all.into_iter().map(|part| self.live(pool, part)));
        }
        let ways = components(&set, &apart);
        if ways.len() > 1 {
            return pool.max_of(ways.into_iter().map(|part| self.live(pool, part))).unwrap_or(Expr::ZERO);
        }
        // Nothing that branches can make: all of them is no less than what lives.
        pool.sum(set.iter().map(|&i| self.sizes[i as usize]))
    }
}

/// The connected components of a set.
fn components(set: &[u32], linked: &dyn Fn(u32, u32) -> bool) -> Vec<Vec<u32>> {
    let (mut rest, mut found) = (set.to_vec(), vec![]);
    while let Some(first) = rest.pop() {
        let (mut part, mut at) = (vec![first], 0);
        while at < part.len() {
            let (near, far): (Vec<u32>, Vec<u32>) = rest.iter().partition(|&&other| linked(part[at], other));
            part.extend(near);
            rest = far;
            at += 1;
        }
        part.sort_unstable();
        found.push(part);
    }
    found
}

/// `[at0 = 4*N, at1 = 8*N apart 0, at2 = 4*M apart 0 1]`
pub(crate) fn parse_arena(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    p.expect("[")?;
    let mut places = Places::default();
    if !p.accept("]") {
        loop {
            let loc = p.loc();
            let name = p.expr()?;
            let Some(symbol) = p.ctx().exprs.as_symbol(name) else {
                return error_at(p, loc, "the place of a buffer has the name of a symbol");
            };
            p.expect("=")?;
            places.symbols.push(symbol);
            places.sizes.push(p.expr()?);
            let mut apart = vec![];
            if p.accept("apart") {
                while p.peek_integer() {
                    let (loc, number) = (p.loc(), p.integer()?);
                    let Some(number) = u32::try_from(number).ok().filter(|&n| (n as usize) < places.apart.len()) else {
                        return error_at(p, loc, "a buffer is apart from buffers before it");
                    };
                    apart.push(number);
                }
            }
            places.apart.push(apart);
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    crate::data::parse_device(p, state)?;
    for (name, attr) in places.attrs(p.ctx()) {
        set(p, state, name, attr);
    }
    p.attr_dict(&mut state.attrs)?;
    state.results = vec![crate::storage_type(p.ctx())];
    Ok(())
}

pub(crate) fn print_arena(p: &mut dyn AsmPrinter, op: OpId) {
    let Some(places) = Places::of(p.ctx(), p.body(), op) else {
        p.text(" []");
        return print_attrs(p, op, &[]);
    };
    p.text(" [");
    for (i, (&symbol, &size)) in places.symbols.iter().zip(&places.sizes).enumerate() {
        if i > 0 {
            p.text(", ");
        }
        let name = p.ctx().exprs.var(symbol);
        p.expr(name);
        p.text(" = ");
        p.expr(size);
        if !places.apart[i].is_empty() {
            p.text(" apart");
        }
        for other in &places.apart[i] {
            p.text(&format!(" {other}"));
        }
    }
    p.text("]");
    crate::data::print_device(p, op);
    print_attrs(p, op, &["sizes", "apart", "symbols", "device"]);
}

pub(crate) fn verify_arena(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let Some(places) = Places::of(ctx, body, op) else {
        let message = "sizes, symbols and lists of what is apart are as many; a buffer is apart from buffers before it";
        return found.push(Diagnostic::error("N0587", body.loc(op), message));
    };
    let mut names = places.symbols.clone();
    names.sort_unstable();
    names.dedup();
    let loops = |s: &Symbol| ctx.exprs.symbol_name(*s).starts_with('$');
    if names.len() != places.symbols.len() || names.iter().any(loops) {
        let message = "each buffer of an arena has a symbol of its own, whose name does not begin with `$`";
        found.push(Diagnostic::error("N0587", body.loc(op), message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(pool: &ExprPool, list: &[(&str, &[u32])]) -> Places {
        Places {
            sizes: list.iter().map(|(size, _)| pool.parse(size).unwrap()).collect(),
            apart: list.iter().map(|(_, apart)| apart.to_vec()).collect(),
            symbols: (0..list.len()).map(|i| pool.symbol(&format!("at{i}"))).collect(),
        }
    }

    #[test]
    fn the_peak_is_a_formula() {
        let pool = ExprPool::new();
        let peak =
            |list: &[(&str, &[u32])]| pool.display(places(&pool, list).peak(&pool, &Facts::default())).to_string();
        assert_eq!(peak(&[]), "0");
        assert_eq!(peak(&[("4*N", &[]), ("8*N", &[0]), ("4*N", &[1])]), "12*N");
        assert_eq!(peak(&[("N", &[]), ("M", &[0]), ("N*M", &[1])]), "max(M*N + M, M + N)");
        // The first two stand in different ways of a branch.
        assert_eq!(peak(&[("N", &[]), ("M", &[]), ("4", &[0, 1])]), "max(M, N) + 4");
        // Within one way two live together.
        assert_eq!(peak(&[("N", &[]), ("N", &[0]), ("M", &[]), ("4", &[0, 1, 2])]), "max(M, 2*N) + 4");
    }
}
