//! What may be removed, merged or moved, as the ops' tables say.

use nim_ir::{Body, Context, OpId, Trait, entity::EntityId};

/// Effects of all ops of a body, with those of what is nested in them; looked at once, however deep ops are nested.
///
/// Valid while ops are erased or moved within their region; not for ops that are made later.
pub struct Effects {
    levels: Vec<Level>,
}

/// From nothing to anything.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Pure,
    Reads,
    Any,
}

impl Effects {
    /// The effects of a body's ops.
    pub fn new(ctx: &Context, body: &Body) -> Effects {
        let mut levels = vec![Level::Pure; body.op_capacity()];
        // Ops come behind those they are nested in.
        for op in body.walk().into_iter().rev() {
            let level = levels[op.index()].max(own(ctx, body, op));
            levels[op.index()] = level;
            if let Some(parent) = body.parent_op(op) {
                levels[parent.index()] = levels[parent.index()].max(level);
            }
        }
        Effects { levels }
    }
    /// True when the op has no effect but its results, and neither has anything in it: it may be merged with an equal one.
    pub fn is_pure(&self, op: OpId) -> bool {
        self.level(op) == Level::Pure
    }
    /// True when the op writes nothing and ends nothing: it may be removed when its results are not used.
    pub fn is_removable(&self, ctx: &Context, body: &Body, op: OpId) -> bool {
        let terminator = ctx.op_def(body.op_name(op)).is_none_or(|d| d.has(Trait::Terminator));
        !terminator && self.level(op) != Level::Any
    }
    fn level(&self, op: OpId) -> Level {
        self.levels.get(op.index()).copied().unwrap_or(Level::Any)
    }
}

/// Without what is in its regions.
fn own(ctx: &Context, body: &Body, op: OpId) -> Level {
    match ctx.op_def(body.op_name(op)) {
        None => Level::Any,
        Some(def) if def.has(Trait::Symbol) || body.nested(op).is_some() => Level::Any,
        // Structured control flow has the effects of what is in it.
        Some(def) if def.has(Trait::StructuredControlFlow) && !body.regions(op).is_empty() => Level::Pure,
        Some(def) if def.has(Trait::Pure) => Level::Pure,
        Some(def) if def.has(Trait::ReadOnly) => Level::Reads,
        Some(_) => Level::Any,
    }
}
