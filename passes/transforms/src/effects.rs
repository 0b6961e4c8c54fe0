//! What may be removed, merged or moved, as the ops' tables say.

use nim_ir::{Body, Context, OpId, Trait};

/// True when the op has no effect but its results, and neither has anything in it: it may be merged with an equal one.
pub fn is_pure(ctx: &Context, body: &Body, op: OpId) -> bool {
    has_only(ctx, body, op, &[Trait::Pure])
}

/// True when the op writes nothing and ends nothing: it may be removed when its results are not used.
pub fn is_removable(ctx: &Context, body: &Body, op: OpId) -> bool {
    let terminator = ctx.op_def(body.op_name(op)).is_none_or(|d| d.has(Trait::Terminator));
    !terminator && has_only(ctx, body, op, &[Trait::Pure, Trait::ReadOnly])
}

fn has_only(ctx: &Context, body: &Body, op: OpId, allowed: &[Trait]) -> bool {
    // An explicit stack: nesting may be deep.
    let mut stack = vec![op];
    while let Some(op) = stack.pop() {
        let Some(def) = ctx.op_def(body.op_name(op)) else { return false };
        if def.has(Trait::Symbol) || body.nested(op).is_some() {
            return false;
        }
        let regions = body.regions(op);
        // Structured control flow has the effects of what is in it.
        let structured = def.has(Trait::StructuredControlFlow) && !regions.is_empty();
        if !structured && !allowed.iter().any(|&t| def.has(t)) {
            return false;
        }
        for &region in regions {
            for &block in body.blocks(region) {
                stack.extend(body.block_ops(block));
            }
        }
    }
    true
}
