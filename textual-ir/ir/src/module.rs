//! The outermost op, `builtin.module`, and how bodies are reached from it by symbol.

use crate::{AttrList, Body, Context, Loc, Name, OpId};

/// A module: a body with one region of one block, attributes and a place.
#[derive(Debug)]
pub struct Module {
    /// Ops of the module: functions, kernels, nested modules.
    pub body: Body,
    /// Attributes of the module, `sym_name` among them.
    pub attrs: AttrList,
    /// Where it stands.
    pub loc: Loc,
}

impl Default for Module {
    fn default() -> Self {
        Self::new()
    }
}

impl Module {
    /// An empty module.
    pub fn new() -> Module {
        let mut body = Body::new();
        let region = body.add_root_region();
        body.add_block(region, &[], &[]);
        Module { body, attrs: AttrList::new(), loc: Loc::UNKNOWN }
    }
    /// Ops of the module in order.
    pub fn ops(&self) -> impl Iterator<Item = OpId> + '_ {
        self.body.block_ops(self.body.entry_block(self.body.root_regions()[0]).expect("a module has its block"))
    }
    /// The op with this symbol name.
    pub fn lookup(&self, ctx: &Context, symbol: Name) -> Option<OpId> {
        let sym_name = ctx.name("sym_name");
        self.ops().find(|&op| self.body.attr(op, sym_name).and_then(|a| ctx.as_string(a)) == Some(ctx.str(symbol)))
    }
    /// The symbol name of an op.
    pub fn symbol_name<'c>(&self, ctx: &'c Context, op: OpId) -> Option<&'c str> {
        self.body.attr(op, ctx.name("sym_name")).and_then(|a| ctx.as_string(a))
    }
    /// A name that no symbol of the module has yet: `base`, `base_0`, `base_1`, ...
    pub fn unique_symbol(&self, ctx: &Context, base: &str) -> Name {
        let taken: std::collections::HashSet<_> = self.ops().filter_map(|op| self.symbol_name(ctx, op)).collect();
        let mut name = base.to_string();
        let mut n = 0;
        while taken.contains(name.as_str()) {
            name = format!("{base}_{n}");
            n += 1;
        }
        ctx.name(&name)
    }
}
