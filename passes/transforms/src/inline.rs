//! `inline`: puts the bodies of functions in place of their calls.
//!
//! A call is inlined when the callee has a body of one block, is not marked `no_inline`, and does not reach itself. Symbols are
//! those of one function: a symbol that is a dimension of a parameter is replaced by the dimension of the argument, all others get
//! names that the caller does not have. A call whose argument says less than the parameter asks for (`?` for `N`) stays, and so does
//! one whose result has another type than what the body gives.

use crate::substitute::{in_op, in_type, symbols_of};
use nim_builtin::func::{Call, Func, Return};
use nim_ir::{
    Body, Context, Diagnostic, Dim, Expr, LocData, Module, Name, OpId, Symbol, Type, TypeData, clone::Mapping,
};
use nim_pass::{Pass, PassContext, PassOption, PassReport, RuleInfo};
use rustc_hash::{FxHashMap, FxHashSet};

const INLINE: RuleInfo = RuleInfo { name: "inline-call", description: "the callee's ops stand in place of the call" };

/// The pass.
pub struct Inline {
    /// Functions with more ops than this are left alone; 0 for no limit.
    pub max_ops: usize,
}

impl Pass for Inline {
    fn name(&self) -> &'static str {
        "inline"
    }
    fn description(&self) -> &'static str {
        "Put the bodies of functions in place of their calls; remove private functions without calls"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![PassOption::new("max-ops", "functions with more ops are left alone; 0 for no limit", self.max_ops)]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![INLINE]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let (ctx, mut report) = (pass.ctx, PassReport::new());
        let functions: Vec<(Name, OpId)> = module
            .ops()
            .filter(|&op| Func::is(ctx, &module.body, op))
            .filter_map(|op| Some((ctx.name(module.symbol_name(ctx, op)?), op)))
            .collect();
        let by_name: FxHashMap<Name, OpId> = functions.iter().copied().collect();
        // Callees first, so that each body is final when it is copied.
        for op in callees_first(ctx, module, &functions, &by_name) {
            let Some(mut body) = module.body.take_nested(op) else { continue };
            let calls: Vec<OpId> = body.walk().into_iter().filter(|&c| Call::is(ctx, &body, c)).collect();
            for call in calls {
                let callee = Call::callee(ctx, &body, call).and_then(|a| ctx.as_symbol_ref(a));
                let Some(&target) = callee.and_then(|name| by_name.get(&name)) else { continue };
                let missed = match () {
                    () if target == op => Some("the function calls itself"),
                    () => self.keeps(ctx, module, target),
                };
                let done = match (missed, module.body.nested(target)) {
                    (Some(why), _) => Err(why),
                    (None, None) => Err("the callee has no body"),
                    (None, Some(source)) => inline(pass, &mut body, call, source),
                };
                match done {
                    Ok(()) => report.count("calls inlined", 1),
                    Err(why) => pass.rules.missed(INLINE.name, ctx, &body, call, why),
                }
            }
            module.body.set_nested(op, body);
        }
        report.count("functions removed", remove_unused(ctx, module, &functions));
        Ok(report)
    }
}

impl Inline {
    /// Why calls of a function stay.
    fn keeps(&self, ctx: &Context, module: &Module, target: OpId) -> Option<&'static str> {
        let size = module.body.nested(target).map_or(0, |b| b.walk().len());
        match () {
            () if Func::no_inline(ctx, &module.body, target).is_some() => Some("the callee is marked `no_inline`"),
            () if self.max_ops != 0 && size > self.max_ops => Some("the callee has more ops than `max-ops`"),
            () if reaches_itself(ctx, module, target) => Some("the callee reaches itself"),
            () => None,
        }
    }
}

fn callees(ctx: &Context, body: &Body) -> Vec<Name> {
    let calls = body.walk().into_iter().filter(|&c| Call::is(ctx, body, c));
    calls.filter_map(|c| ctx.as_symbol_ref(Call::callee(ctx, body, c)?)).collect()
}

fn callees_first(
    ctx: &Context,
    module: &Module,
    functions: &[(Name, OpId)],
    by_name: &FxHashMap<Name, OpId>,
) -> Vec<OpId> {
    let (mut order, mut seen) = (vec![], FxHashSet::default());
    let mut stack: Vec<(OpId, bool)> = functions.iter().rev().map(|&(_, op)| (op, false)).collect();
    while let Some((op, done)) = stack.pop() {
        if done {
            order.push(op);
        } else if seen.insert(op) {
            stack.push((op, true));
            let names = module.body.nested(op).map(|b| callees(ctx, b)).unwrap_or_default();
            stack.extend(names.iter().filter_map(|n| by_name.get(n)).map(|&op| (op, false)));
        }
    }
    order
}

fn reaches_itself(ctx: &Context, module: &Module, target: OpId) -> bool {
    let (mut seen, mut work) = (FxHashSet::default(), vec![target]);
    while let Some(op) = work.pop() {
        for name in module.body.nested(op).map(|b| callees(ctx, b)).unwrap_or_default() {
            let Some(callee) = module.lookup(ctx, name) else { continue };
            if callee == target {
                return true;
            }
            if seen.insert(callee) {
                work.push(callee);
            }
        }
    }
    false
}

/// What stands in place of the callee's symbols: dimensions of the arguments, or fresh names. `None` when an argument's type
/// does not say what a symbol is.
fn substitution(
    ctx: &Context,
    caller: &Body,
    source: &Body,
    pairs: &[(Type, Type)],
    results: &[(Type, Type)],
) -> Option<FxHashMap<Symbol, Expr>> {
    let mut map: FxHashMap<Symbol, Expr> = FxHashMap::default();
    for &(parameter, argument) in pairs {
        if let (Some(wanted), Some(given)) = (ctx.dims(parameter), ctx.dims(argument)) {
            for (wanted, given) in wanted.iter().zip(given) {
                let Some(symbol) = wanted.expr().and_then(|e| ctx.exprs.as_symbol(e)) else { continue };
                let Dim::Expr(given) = given else { return None };
                map.entry(symbol).or_insert(*given);
            }
        } else if parameter != argument && !matches!(ctx.type_data(parameter), TypeData::UnrankedTensor(_)) {
            return None;
        }
    }
    // A symbol that the callee defines and the call's result names otherwise: the caller goes on with its own name.
    for &(returned, wanted) in results {
        for (returned, wanted) in
            ctx.dims(returned).unwrap_or_default().iter().zip(ctx.dims(wanted).unwrap_or_default())
        {
            let symbol = returned.expr().and_then(|e| ctx.exprs.as_symbol(e));
            let name = wanted.expr().filter(|&e| ctx.exprs.as_symbol(e).is_some());
            if let (Some(symbol), Some(name)) = (symbol, name) {
                map.entry(symbol).or_insert(name);
            }
        }
    }
    let mut taken: FxHashSet<String> =
        symbols_of(ctx, caller).into_iter().map(|s| ctx.exprs.symbol_name(s).to_string()).collect();
    for symbol in symbols_of(ctx, source) {
        if map.contains_key(&symbol) {
            continue;
        }
        let base = ctx.exprs.symbol_name(symbol).to_string();
        let mut name = base.clone();
        let mut n = 0;
        while !taken.insert(name.clone()) {
            name = format!("{base}_{n}");
            n += 1;
        }
        map.insert(symbol, ctx.exprs.named(&name));
    }
    Some(map)
}

fn inline(pass: &PassContext<'_>, body: &mut Body, call: OpId, source: &Body) -> Result<(), &'static str> {
    let ctx = pass.ctx;
    let &region = source.root_regions().first().ok_or("the callee is only declared")?;
    let &[block] = source.blocks(region) else { return Err("the callee is only declared, or has several blocks") };
    let end = source.last_op(block).filter(|&op| Return::is(ctx, source, op));
    let end = end.ok_or("the callee does not end in `func.return`")?;
    let (params, args) = (source.block_args(block).to_vec(), body.operands(call));
    if params.len() != args.len() || source.operand_count(end) != body.results(call).len() {
        return Err("call and callee have different numbers of values");
    }
    let pairs: Vec<(Type, Type)> = params.iter().zip(&args).map(|(&p, &a)| (source.ty(p), body.ty(a))).collect();
    let returned: Vec<(Type, Type)> = source
        .operands(end)
        .iter()
        .zip(body.results(call))
        .map(|(&value, &result)| (source.ty(value), body.ty(result)))
        .collect();
    let map = substitution(ctx, body, source, &pairs, &returned);
    let map = map.ok_or("an argument says less of its dimensions than the parameter asks for")?;
    let mut substitute = |s: Symbol| map.get(&s).copied();
    // Parameters that say more than the symbols they bind (a plain number, `2*N`) must be met.
    let met = pairs.iter().chain(&returned).all(|&(p, a)| in_type(ctx, p, &mut substitute) == a);
    if !met {
        return Err("an argument or result has another type than the callee gives it");
    }
    if !pass.rules.may(INLINE.name, ctx, body, call) {
        return Ok(());
    }
    let mut mapping = Mapping::default();
    for (&param, &arg) in params.iter().zip(&args) {
        mapping.map(param, arg);
    }
    let caller_loc = body.loc(call);
    for op in source.block_ops(block).filter(|&op| op != end) {
        let copy = body.clone_op_from(source, op, &mut mapping);
        body.insert_before(call, copy);
        in_op(ctx, body, copy, &mut substitute);
        for inner in body.walk_op(copy) {
            let loc = ctx.loc(LocData::CallSite(body.loc(inner), caller_loc));
            body.set_loc(inner, loc);
        }
    }
    let (results, values) = (body.results(call).to_vec(), source.operands(end));
    for (result, value) in results.into_iter().zip(values) {
        body.replace_all_uses(result, mapping.get(value));
    }
    body.erase(call);
    Ok(())
}

/// Removes private functions that nothing refers to.
fn remove_unused(ctx: &Context, module: &mut Module, functions: &[(Name, OpId)]) -> u64 {
    let mut removed = 0;
    loop {
        let mut used: FxHashSet<Name> = FxHashSet::default();
        references(ctx, &module.body, &mut used);
        let dead: Vec<OpId> = functions
            .iter()
            .filter(|(name, op)| {
                let private = !module.body.is_erased(*op)
                    && Func::sym_visibility(ctx, &module.body, *op).and_then(|a| ctx.as_string(a)) == Some("private");
                private && !used.contains(name)
            })
            .map(|&(_, op)| op)
            .collect();
        if dead.is_empty() {
            return removed;
        }
        removed += dead.len() as u64;
        dead.into_iter().for_each(|op| module.body.erase(op));
    }
}

fn references(ctx: &Context, body: &Body, used: &mut FxHashSet<Name>) {
    fn attr(ctx: &Context, a: nim_ir::Attr, used: &mut FxHashSet<Name>) {
        match ctx.attr_data(a) {
            nim_ir::AttrData::SymbolRef(path) => used.extend(path),
            nim_ir::AttrData::Array(items) => items.iter().for_each(|&a| attr(ctx, a, used)),
            nim_ir::AttrData::Dict(items) => items.iter().for_each(|&(_, a)| attr(ctx, a, used)),
            _ => {}
        }
    }
    for op in body.walk() {
        body.attrs(op).iter().for_each(|(_, a)| attr(ctx, a, used));
        body.properties(op).iter().flat_map(|p| p.iter()).for_each(|(_, a)| attr(ctx, a, used));
        if let Some(nested) = body.nested(op) {
            references(ctx, nested, used);
        }
    }
}
