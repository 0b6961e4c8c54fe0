//! Contracts: what passes need and give, checked for a whole pipeline before its first pass runs.
//!
//! A need that can be looked up must hold for the module or be given by a step before. Of a free word nobody knows whether it
//! holds for the module, which may come out of another pipeline: it is taken to hold unless a later step is the one that gives it.

use crate::{AnyPass, Pipeline, Registry, Step};
use nim_ir::{Body, Context, Diagnostic, Loc, Module};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a statement holds for a module: `no_dialect(graph)` (no op of the dialect), `no_dialect(graph except graph.adt)` and
/// `no_op(graph.lstm)` are looked up; `None` for other words, which only passes can give.
pub fn holds(ctx: &Context, module: &Module, statement: &str) -> Option<bool> {
    let absent = Absent::of(statement)?;
    Some(!any_op(ctx, &module.body, &|op| absent.is(op)))
}

/// Ops that a statement says are not there.
struct Absent<'s> {
    whole_dialect: bool,
    name: &'s str,
    except: Option<&'s str>,
}

impl<'s> Absent<'s> {
    fn of(statement: &'s str) -> Option<Absent<'s>> {
        let (kind, inside) = statement.strip_suffix(')')?.split_once('(')?;
        let (name, except) = match inside.split_once(" except ") {
            Some((name, except)) => (name, Some(except)),
            None => (inside, None),
        };
        let whole_dialect = match kind {
            "no_dialect" => true,
            "no_op" => false,
            _ => return None,
        };
        Some(Absent { whole_dialect, name, except })
    }
    fn is(&self, op: &str) -> bool {
        let named = if self.whole_dialect { op.split_once('.').map_or("", |(dialect, _)| dialect) } else { op };
        named == self.name && Some(op) != self.except
    }
}

fn any_op(ctx: &Context, body: &Body, wanted: &dyn Fn(&str) -> bool) -> bool {
    body.walk()
        .into_iter()
        .any(|op| wanted(ctx.op_str(body.op_name(op))) || body.nested(op).is_some_and(|b| any_op(ctx, b, wanted)))
}

/// What a step works on, where the module has none of it, in words.
pub(crate) fn missing(ctx: &Context, step: &Step, module: &Module) -> Option<String> {
    let quoted = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ");
    // The module's own body is there for passes that say nothing.
    let anchors: Vec<&str> = match (&step.anchor, &step.pass) {
        (Some(anchor), _) => vec![anchor],
        (None, AnyPass::Body(pass)) => pass.anchors().to_vec(),
        (None, AnyPass::Module(_)) => vec![],
    };
    let there = |wanted: &[&str]| any_op(ctx, &module.body, &|op| wanted.contains(&op));
    if !anchors.is_empty() && !anchors.contains(&"builtin.module") && !there(&anchors) {
        return Some(quoted(&anchors));
    }
    let works_on: Vec<Absent<'_>> = match step.pass.works_on() {
        [] => step.pass.gives().iter().filter_map(|give| Absent::of(give)).collect(),
        names => names.iter().map(|&name| Absent { whole_dialect: !name.contains('.'), name, except: None }).collect(),
    };
    if works_on.is_empty() {
        return module.ops().next().is_none().then(|| "op".to_string());
    }
    if any_op(ctx, &module.body, &|op| works_on.iter().any(|wanted| wanted.is(op))) {
        return None;
    }
    let words = works_on.iter().map(|wanted| match wanted.whole_dialect {
        true => format!("op of `{}`", wanted.name),
        false => format!("`{}`", wanted.name),
    });
    Some(words.collect::<Vec<_>>().join(" or "))
}

impl Pipeline {
    /// Checks the contracts of the steps against each other. Of the module that it will be run on nothing is known: what a step
    /// needs is taken to hold for it, unless a later step is the one that gives it.
    pub fn check(&self, ctx: &Context, registry: Option<&Registry>) -> Vec<Diagnostic> {
        check(ctx, registry, self, None)
    }
}

/// What a step left that it promised to remove, as a table: op, how many, the first of them, and who else removes it.
pub(crate) fn leftovers(
    ctx: &Context,
    registry: Option<&Registry>,
    step: &Step,
    module: &Module,
) -> Option<Diagnostic> {
    let broken = step.pass.gives().iter().copied().filter(|give| holds(ctx, module, give) == Some(false));
    let mut diagnostic: Option<Diagnostic> = None;
    for give in broken {
        let mut left: BTreeMap<&str, (usize, Loc)> = BTreeMap::new();
        if let Some(absent) = Absent::of(give) {
            collect(ctx, &module.body, &absent, &mut left);
        }
        let name = step.pass.name();
        let first = left.values().next().map_or(Loc::UNKNOWN, |(_, loc)| *loc);
        let message = format!("`{name}` promises `{give}`, but left ops that it should have removed");
        let mut found = diagnostic.take().unwrap_or_else(|| Diagnostic::warning("N0807", first, message));
        for (op, (count, loc)) in left {
            found = found.note(format!("{op}: {count}"));
            if loc != first {
                found = found.label(loc, format!("the first `{op}`"));
            }
        }
        let others: Vec<&str> = registry
            .into_iter()
            .flat_map(Registry::passes)
            .filter(|info| info.gives.contains(&give) && info.name != name)
            .map(|info| info.name)
            .collect();
        if !others.is_empty() {
            found = found.help(format!("`{}` gives `{give}` too", others.join("` and `")));
        }
        diagnostic = Some(found);
    }
    diagnostic
}

/// Counts ops that a statement says are not there.
fn collect<'c>(ctx: &'c Context, body: &Body, absent: &Absent<'_>, out: &mut BTreeMap<&'c str, (usize, Loc)>) {
    for op in body.walk() {
        let text = ctx.op_str(body.op_name(op));
        if absent.is(text) {
            out.entry(text).or_insert((0, body.loc(op))).0 += 1;
        }
        if let Some(nested) = body.nested(op) {
            collect(ctx, nested, absent, out);
        }
    }
}

/// Complains about each step whose needs neither the module meets nor a step before it gives.
pub(crate) fn check(
    ctx: &Context,
    registry: Option<&Registry>,
    pipeline: &Pipeline,
    module: Option<&Module>,
) -> Vec<Diagnostic> {
    let mut given: BTreeSet<&str> = BTreeSet::new();
    let mut found = vec![];
    for (i, step) in pipeline.steps.iter().enumerate() {
        for &need in step.pass.needs() {
            let given_later = || pipeline.steps[i + 1..].iter().any(|s| s.pass.gives().contains(&need));
            if given.contains(need) || module.and_then(|m| holds(ctx, m, need)).unwrap_or_else(|| !given_later()) {
                continue;
            }
            let name = step.pass.name();
            let mut diagnostic = Diagnostic::error(
                "N0803",
                step.loc.unwrap_or(Loc::UNKNOWN),
                format!("`{name}` needs `{need}`, which does not hold when it runs"),
            );
            let givers: Vec<&str> = registry
                .into_iter()
                .flat_map(Registry::passes)
                .filter(|info| info.gives.contains(&need))
                .map(|info| info.name)
                .collect();
            if !givers.is_empty() {
                diagnostic = diagnostic.help(format!("put `{}` before it", givers.join("` or `")));
            }
            found.push(diagnostic);
        }
        given.extend(step.pass.gives());
    }
    found
}
