//! Upstream's verifier, for modules with ops that only upstream knows.

use crate::{
    codes,
    parser::Parser,
    printer::{PrintOptions, print_module},
    upstream::{Complaint, FILE},
};
use nim_ir::{Body, Context, Diagnostic, Dim, Loc, LocData, Module, OpId, Severity, Type, verifier::verify_module};

/// Constants of more bytes are not shown to the verifier.
const ELIDED: usize = 1 << 16;
/// What calls are named that upstream would refuse.
const HIDDEN: &str = "nim.call";

impl Parser<'_> {
    /// Lets upstream verify the module when it holds ops that only upstream knows, and nothing is wrong with it so far.
    pub(in crate::parser) fn verify_upstream(&mut self, module: &Module) {
        let Some(upstream) = self.opts.upstream.clone().filter(|_| self.has_upstream_ops) else { return };
        if self.diagnostics.iter().any(Diagnostic::is_error)
            || verify_module(self.ctx, module).iter().any(Diagnostic::is_error)
        {
            return;
        }
        let mut copy = Module { body: module.body.deep_clone(), attrs: module.attrs.clone(), loc: Loc::UNKNOWN };
        let mut places = vec![];
        number(self.ctx, &mut copy.body, &mut places);
        let options = PrintOptions {
            generic: true,
            debug_info: true,
            elide_elements: Some(ELIDED),
            elide_resources: Some(ELIDED),
        };
        let text = print_module(self.ctx, &copy, &options);
        let place = |complaint: &Complaint| {
            let (line, _) = complaint.position?;
            places.get((line as usize).checked_sub(1)?).copied()
        };
        for complaint in upstream.verify(&text) {
            let loc = place(&complaint).unwrap_or(Loc::UNKNOWN);
            let mut diagnostic = Diagnostic::error(codes::UPSTREAM_VERIFIER, loc, complaint.message.trim_end());
            diagnostic.severity = complaint.severity;
            for note in &complaint.notes {
                // The op as a whole: the source shows it.
                if note.message.starts_with("see current operation") {
                    continue;
                }
                diagnostic = match place(note) {
                    Some(loc) => diagnostic.label(loc, note.message.clone()),
                    None => diagnostic.note(note.message.clone()),
                };
            }
            if complaint.severity == Severity::Error {
                diagnostic = diagnostic.help("what the op wants is described at https://mlir.llvm.org/docs/Dialects/");
            }
            self.emit(diagnostic);
        }
    }
}

/// Gives every op a location that is its number in `places`. Calls between functions that name dimensions differently are right
/// here and wrong upstream: they get another name.
fn number(ctx: &Context, body: &mut Body, places: &mut Vec<Loc>) {
    let file = ctx.name(FILE);
    for op in body.walk() {
        places.push(body.loc(op));
        body.set_loc(op, ctx.loc(LocData::File { file, line: places.len() as u32, column: 1 }));
        if (body.is(ctx, op, "func.call") || body.is(ctx, op, "func.call_indirect")) && names_dims(ctx, body, op) {
            body.set_op_name(op, ctx.op_name(HIDDEN));
        }
    }
    for (_, nested) in body.nested_bodies_mut() {
        number(ctx, nested, places);
    }
}

fn names_dims(ctx: &Context, body: &Body, op: OpId) -> bool {
    let named = |ty: Type| {
        ctx.dims(ty).is_some_and(|dims| dims.iter().any(|&d| d != Dim::Unknown && ctx.dim_const(d).is_none()))
    };
    body.operands_iter(op).any(|v| named(body.ty(v))) || body.results(op).iter().any(|&v| named(body.ty(v)))
}
