//! Contracts: what passes need and give, checked for a whole pipeline before its first pass runs.

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
    for step in &pipeline.steps {
        for &need in step.pass.needs() {
            if given.contains(need) || holds(ctx, module, need) == Some(true) {
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
