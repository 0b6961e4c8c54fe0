//! What a program assumes about symbols: bounds, a divisor, a likely value. `graph.assume` says it, run time checks it where
//! the symbol gets its value, and whoever proves or estimates something about sizes may use it.

use crate::syntax::{error_at, print_attrs, set};
use nim_ir::{
    Attr, AttrData, Body, Context, Diagnostic, Facts, OpId, OpState, Symbol,
    syntax::{AsmParser, AsmPrinter, Parse},
};

/// The op's name.
pub const NAME: &str = "graph.assume";

/// What is assumed about one symbol.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Assumption {
    /// The symbol.
    pub symbol: Symbol,
    /// It is at least this.
    pub min: Option<i64>,
    /// It is at most this.
    pub max: Option<i64>,
    /// It is a multiple of this.
    pub divisor: Option<i64>,
    /// What it is most of the time: for estimates, nothing is proved from it.
    pub likely: Option<i64>,
}

impl Assumption {
    fn read<'c>(ctx: &'c Context, get: &dyn Fn(&str) -> Option<Attr>) -> Option<Assumption> {
        let int = |name: &str| get(name).and_then(|a| ctx.as_int(a));
        Some(Assumption {
            symbol: ctx.exprs.symbol(ctx.as_string(get("symbol")?)?),
            min: int("min"),
            max: int("max"),
            divisor: int("divisor").filter(|&n| n > 0),
            likely: int("likely"),
        })
    }

    /// What an op says, if it is one that assumes something.
    pub fn of(ctx: &Context, body: &Body, op: OpId) -> Option<Assumption> {
        body.is(ctx, op, NAME).then(|| Assumption::read(ctx, &|name| body.attr_named(ctx, op, name)))?
    }

    /// As an attribute, for kernels.
    pub fn to_attr(self, ctx: &Context) -> Attr {
        let int = |name: &str, value: Option<i64>| Some((ctx.name(name), ctx.i64_attr(value?)));
        let symbol = (ctx.name("symbol"), ctx.string_attr(ctx.exprs.symbol_name(self.symbol)));
        let ints = [("min", self.min), ("max", self.max), ("divisor", self.divisor), ("likely", self.likely)];
        ctx.dict_attr(std::iter::once(symbol).chain(ints.into_iter().filter_map(|(name, value)| int(name, value))))
    }

    /// Reads what [`Assumption::to_attr`] wrote.
    pub fn from_attr(ctx: &Context, attr: Attr) -> Option<Assumption> {
        let AttrData::Dict(items) = ctx.attr_data(attr) else { return None };
        Assumption::read(ctx, &|name| items.iter().find(|(n, _)| ctx.str(*n) == name).map(|(_, a)| *a))
    }
}

/// What a function assumes about symbols of its arguments. It is checked where the function begins, so it holds everywhere
/// in it.
pub fn of_arguments(ctx: &Context, body: &Body) -> Vec<Assumption> {
    let Some(entry) = body.entry() else { return vec![] };
    let dims = body.block_args(entry).iter().flat_map(|&arg| ctx.dim_exprs(body.ty(arg)).unwrap_or_default());
    let known: Vec<Symbol> = dims.flat_map(|dim| ctx.exprs.symbols(dim)).collect();
    let all = body.block_ops(entry).filter_map(|op| Assumption::of(ctx, body, op));
    all.filter(|a| known.contains(&a.symbol)).collect()
}

/// Assumptions for those who prove and estimate.
pub fn facts(list: impl IntoIterator<Item = Assumption>) -> Facts {
    let mut facts = Facts::default();
    for a in list {
        let known = facts.entry(a.symbol);
        known.min = known.min.max(a.min);
        known.max = [known.max, a.max].into_iter().flatten().min();
        known.likely = a.likely.or(known.likely);
        // Of two divisors the larger one: knowing less is safe.
        let divisor = known.divisor.max(a.divisor.unwrap_or(1));
        facts.set_divisor(a.symbol, divisor);
    }
    facts
}

/// The name of the attribute by which a kernel knows them.
pub const KERNEL_ATTR: &str = "sym.assumptions";

/// What a kernel may take for granted.
pub fn facts_of_kernel(ctx: &Context, body: &Body, kernel: OpId) -> Facts {
    let list = body.attr_named(ctx, kernel, KERNEL_ATTR).and_then(|a| ctx.as_array(a)).unwrap_or_default();
    facts(list.iter().filter_map(|&a| Assumption::from_attr(ctx, a)))
}

/// `N {divisor = 8, max = 512}`.
pub fn parse(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let loc = p.loc();
    let name = p.expr()?;
    let Some(symbol) = p.ctx().exprs.as_symbol(name) else {
        return error_at(p, loc, "something is assumed about a symbol by itself");
    };
    let symbol = p.ctx().string_attr(p.ctx().exprs.symbol_name(symbol));
    set(p, state, "symbol", symbol);
    p.attr_dict(&mut state.attrs)
}

/// See [`parse`].
pub fn print(p: &mut dyn AsmPrinter, op: OpId) {
    let name = p.body().attr_named(p.ctx(), op, "symbol").and_then(|a| p.ctx().as_string(a)).unwrap_or_default();
    let symbol = p.ctx().exprs.named(name);
    p.text(" ");
    p.expr(symbol);
    print_attrs(p, op, &["symbol"]);
}

/// What is assumed can be.
pub fn verify(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let mut report = |message: String| found.push(Diagnostic::error("N0428", body.loc(op), message));
    let Some(a) = Assumption::of(ctx, body, op) else { return report("the symbol has no name".into()) };
    let name = ctx.exprs.symbol_name(a.symbol);
    if body.attr_named(ctx, op, "divisor").and_then(|d| ctx.as_int(d)).is_some_and(|d| d < 1) {
        report(format!("{name} cannot be a multiple of less than 1"));
    }
    if let (Some(min), Some(max)) = (a.min, a.max)
        && min > max
    {
        report(format!("{name} is at least {min}, and at most {max}"));
    }
    if let Some(likely) = a.likely {
        let outside = a.min.is_some_and(|min| likely < min) || a.max.is_some_and(|max| likely > max);
        if outside || a.divisor.is_some_and(|d| likely % d != 0) {
            report(format!("{name} cannot be {likely}, which is said to be likely"));
        }
    }
}
