//! Contracts: what passes need and give, checked for a whole pipeline before its first pass runs.
//!
//! A need that can be looked up must hold for the module or be given by a step before. Of a free word nobody knows whether it
//! holds for the module, which may come out of another pipeline: it is taken to hold unless a later step is the one that gives it.

use crate::{Pipeline, Registry};
use nim_ir::{Body, Context, Diagnostic, Loc, Module};
use std::collections::BTreeSet;

/// Whether a statement holds for a module: `no_dialect(graph)` (no op of the dialect) and `no_op(graph.lstm)` are looked up;
/// `None` for other words, which only passes can give.
pub fn holds(ctx: &Context, module: &Module, statement: &str) -> Option<bool> {
    let (kind, name) = statement.strip_suffix(')')?.split_once('(')?;
    match kind {
        "no_dialect" => Some(!any_op(ctx, &module.body, &|op| op.split_once('.').map(|(d, _)| d) == Some(name))),
        "no_op" => Some(!any_op(ctx, &module.body, &|op| op == name)),
        _ => None,
    }
}

fn any_op(ctx: &Context, body: &Body, wanted: &dyn Fn(&str) -> bool) -> bool {
    body.walk()
        .into_iter()
        .any(|op| wanted(ctx.op_str(body.op_name(op))) || body.nested(op).is_some_and(|b| any_op(ctx, b, wanted)))
}

/// Complains about each step whose needs neither the module meets nor a step before it gives.
pub(crate) fn check(
    ctx: &Context,
    registry: Option<&Registry>,
    pipeline: &Pipeline,
    module: &Module,
) -> Vec<Diagnostic> {
    let mut given: BTreeSet<&str> = BTreeSet::new();
    let mut found = vec![];
    for (i, step) in pipeline.steps.iter().enumerate() {
        for &need in step.pass.needs() {
            let given_later = || pipeline.steps[i + 1..].iter().any(|s| s.pass.gives().contains(&need));
            if given.contains(need) || holds(ctx, module, need).unwrap_or_else(|| !given_later()) {
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
