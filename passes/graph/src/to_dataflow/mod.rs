//! `graph-to-dataflow`: every numeric op of the `graph` dialect becomes one or more `dataflow.map`.
//!
//! What only steers the host program stays: constants, sizes, guards, control flow (whose regions are converted), reshapes
//! (a view of the same elements), and the ops whose result depends on data as a whole (sorting, non-zeros, random numbers).
//! Text is left to the runtime library; where it is only moved, maps find out which element goes where. What an op takes for
//! granted about sizes becomes guards ([`claims`]). Any other op without a rule is an error; all of them are listed at once.

mod claims;
mod contraction;
mod elementwise;
mod indexing;
mod layout;
mod lower;
mod reduction;
mod resize;
pub mod scalars;
mod texts;
mod window;

use claims::Known;
use lower::{Lower, Lowered};
use nim_ir::{Body, Builder, Context, Diagnostic, Loc, LocData, Module, OpId, TypeData};
use std::collections::BTreeMap;

/// The name of the pass.
pub const NAME: &str = "graph-to-dataflow";

type Rule = fn(&mut Lower<'_, '_>) -> Lowered;

/// Ops with rules of their own; those of the elementwise table come on top.
const RULES: &[(&str, Rule)] = &[
    ("identity", elementwise::identity),
    ("isinf", elementwise::is_inf),
    ("compare", elementwise::compare),
    ("select", elementwise::select),
    ("cast", elementwise::cast),
    ("bitcast", elementwise::bitcast),
    ("pow", elementwise::pow),
    ("matmul", contraction::matmul),
    ("einsum", contraction::einsum),
    ("conv", window::conv),
    ("conv_transpose", window::conv_transpose),
    ("pool", window::pool),
    ("reduce", reduction::reduce),
    ("arg_reduce", reduction::arg_reduce),
    ("cumsum", reduction::cumsum),
    ("broadcast_to", layout::broadcast_to),
    ("transpose", layout::transpose),
    ("concat", layout::concat),
    ("slice", layout::slice),
    ("pad", layout::pad),
    ("iota", layout::iota),
    ("range", layout::range),
    ("resize", resize::resize),
    ("gather", indexing::gather),
    ("gather_elements", indexing::gather_elements),
    ("gather_nd", indexing::gather_nd),
    ("scatter_elements", indexing::scatter_elements),
    ("scatter_nd", indexing::scatter_nd),
];

/// Ops of `graph` that the host level runs itself.
pub const HOST_OPS: &[&str] = &[
    "constant",
    "index",
    "shape_of",
    "reshape",
    "bind",
    "guard",
    "assume",
    "match_cast",
    "if",
    "loop",
    "yield",
    "adt",
    "construct",
    "match",
    "closure",
    "topk",
    "nonzero",
    "unique",
    "nms",
    "random",
    "bernoulli",
    "runtime",
];

fn rule(name: &str) -> Option<Rule> {
    let own = RULES.iter().find(|(n, _)| *n == name).map(|(_, rule)| *rule);
    own.or_else(|| elementwise::names().any(|n| n == name).then_some(elementwise::table as Rule))
}

/// True when `graph-to-dataflow` makes maps of an op with this full name.
pub fn has_rule(name: &str) -> bool {
    name.strip_prefix("graph.").is_some_and(|n| rule(n).is_some())
}

/// Lowers all functions of a module. Ops without a rule stay as they are and are listed in what is returned.
pub fn graph_to_dataflow(ctx: &Context, module: &mut Module) -> Vec<Diagnostic> {
    let mut failures = Failures::default();
    crate::lift_lambdas(ctx, module);
    crate::infer_shapes(ctx, module);
    lower_body(ctx, &mut module.body, &mut failures);
    failures.report()
}

/// As [`graph_to_dataflow`], of one function's body.
pub fn body_to_dataflow(ctx: &Context, body: &mut Body) -> Vec<Diagnostic> {
    let mut failures = Failures::default();
    lower_body(ctx, body, &mut failures);
    failures.report()
}

fn lower_body(ctx: &Context, body: &mut Body, failures: &mut Failures) {
    texts::lower_texts(ctx, body);
    let mut known = Known::new(ctx, body);
    for op in body.walk() {
        if body.is_erased(op) {
            continue;
        }
        if let Some(mut nested) = body.take_nested(op) {
            lower_body(ctx, &mut nested, failures);
            body.set_nested(op, nested);
        }
        let full = ctx.op_str(body.op_name(op));
        let Some(name) = full.strip_prefix("graph.") else { continue };
        if name == "guard" {
            known.note(ctx, body, op);
        }
        if HOST_OPS.contains(&name) || on_host(ctx, body, op) {
            continue;
        }
        let loc = located(ctx, body.loc(op), name);
        let mut builder = Builder::before(ctx, body, op);
        builder.loc = loc;
        let result = match rule(name) {
            Some(rule) => {
                let lower = &mut Lower { b: &mut builder, op };
                claims::guard(lower, name, &mut known).and_then(|()| rule(lower))
            }
            None => Err(Diagnostic::error("N0710", body.loc(op), "no map is known for it")),
        };
        match result {
            Ok(value) => {
                let old = body.result(op);
                // Claims of equal sizes may be spelled in two ways; users keep the type they were built with.
                debug_assert_eq!(ctx.element_type(body.ty(value)), ctx.element_type(body.ty(old)));
                body.replace_all_uses(old, value);
                body.erase(op);
            }
            Err(diagnostic) => failures.add(full, diagnostic),
        }
    }
}

/// Ops on text, sequences and the like have no scalars; the host runs them.
fn on_host(ctx: &Context, body: &Body, op: OpId) -> bool {
    let no_number = |ty| match ctx.type_data(ty) {
        TypeData::Dialect { .. } | TypeData::Opaque(_) => true,
        _ => ctx.element_type(ty).is_some_and(|e| matches!(ctx.type_data(e), TypeData::Dialect { .. })),
    };
    body.operands(op).iter().chain(body.results(op)).any(|&v| no_number(body.ty(v)))
}

/// The place of what is made of an op; the op's name stands for one that has none, so that kernels can be called after it.
fn located(ctx: &Context, loc: Loc, name: &str) -> Loc {
    let loc = match ctx.loc_name(loc) {
        Some(_) => loc,
        None => ctx.loc(LocData::Name(ctx.name(name), loc)),
    };
    ctx.derived_loc(NAME, loc)
}

/// Ops that could not be lowered, by name and reason.
#[derive(Default)]
struct Failures(BTreeMap<(String, String), (usize, Loc)>);

impl Failures {
    fn add(&mut self, op: &str, diagnostic: Diagnostic) {
        let loc = diagnostic.labels.first().map_or(Loc::UNKNOWN, |l| l.loc);
        self.0.entry((op.to_string(), diagnostic.message)).or_insert((0, loc)).0 += 1;
    }
    fn report(self) -> Vec<Diagnostic> {
        let one = |((op, reason), (count, loc)): ((String, String), (usize, Loc))| {
            let times = if count == 1 { String::new() } else { format!(" ({count} ops, the first one here)") };
            Diagnostic::error("N0710", loc, format!("`{op}` cannot become a map{times}: {reason}"))
        };
        self.0.into_iter().map(one).collect()
    }
}
