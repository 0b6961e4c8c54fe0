//! Ops, regions and blocks as text.

use super::{Names, Printer, names::group_len};
use crate::parser::SEGMENTS;
use nim_ir::{
    Arity, Attr, AttrList, BlockId, Body, Module, Name, OpDef, OpId, Presence, RegionId, Trait, ValueDef, ValueId,
};
use std::rc::Rc;

impl<'a> Printer<'a> {
    /// An op, from its results to its location.
    pub(super) fn op(&mut self, op: OpId) {
        if self.holding == 0 && self.out.len() >= super::FLUSH_BYTES {
            self.flush();
        }
        let (ctx, body) = (self.ctx, self.body());
        self.result_names(op);
        let name = ctx.op_str(body.op_name(op));
        let def = ctx.op_def(body.op_name(op));
        let around = self.op.take();
        if self.opts.generic || !self.pretty(op, name, def) {
            self.op = None;
            self.generic(op, name, def);
        }
        self.op = around;
        if self.opts.debug_info {
            self.push(" ");
            self.location(body.loc(op));
        }
    }

    fn result_names(&mut self, op: OpId) {
        let body = self.body();
        let results = body.results(op);
        let mut at = 0;
        while at < results.len() {
            let len = group_len(body, &results[at..]);
            if at > 0 {
                self.push(", ");
            }
            self.result_group(results[at], len);
            at += len;
        }
        if !results.is_empty() {
            self.push(" = ");
        }
    }

    /// The op's own syntax or the default pretty form; false when it has none that says everything.
    fn pretty(&mut self, op: OpId, name: &'a str, def: Option<&'static OpDef>) -> bool {
        if name == "builtin.module" && self.body().results(op).is_empty() && self.body().operand_count(op) == 0 {
            self.nested_module(op);
            return true;
        }
        let Some(def) = def else { return false };
        if !self.fits_table(op, def) {
            return false;
        }
        let start = self.out.len();
        self.op = Some(def);
        self.push(self.short_name(name));
        if let Some(print) = def.print {
            print(self, op);
            return true;
        }
        if def.format.is_some() {
            self.holding += 1;
            let done = self.formatted(op, def);
            self.holding -= 1;
            if !done {
                self.out.truncate(start);
            }
            return done;
        }
        self.default_form(op, def);
        true
    }

    /// `return` instead of `func.return` directly in a function.
    fn short_name(&self, name: &'a str) -> &'a str {
        match name.strip_prefix("func.") {
            Some(short) if self.parents.last() == Some(&"func.func") && !short.contains('.') && short != "func" => {
                short
            }
            _ => name,
        }
    }

    /// True when counts are as the op's table says; printers of dialects may rely on it.
    fn fits_table(&self, op: OpId, def: &OpDef) -> bool {
        let body = self.body();
        let fits = |found: usize, arities: &mut dyn Iterator<Item = Arity>| {
            let (mut least, mut most) = (0, Some(0usize));
            for arity in arities {
                least += usize::from(arity == Arity::One);
                most = if arity == Arity::Variadic { None } else { most.map(|m| m + 1) };
            }
            found >= least && most.is_none_or(|m| found <= m)
        };
        let nested = body.nested(op).map_or(0, |b| b.root_regions().len());
        // The body of a declaration has no region.
        let declaration = body.nested(op).is_some() && nested == 0;
        fits(body.operand_count(op), &mut def.operands.iter().map(|o| o.arity))
            && fits(body.results(op).len(), &mut def.results.iter().map(|r| r.arity))
            && (declaration || fits(body.regions(op).len() + nested, &mut def.regions.iter().map(|r| r.arity)))
            && def.successors.is_none_or(|n| n == body.successors(op).len())
            && def
                .attrs
                .iter()
                .all(|a| a.presence != Presence::Required || body.attr_named(self.ctx, op, a.name).is_some())
            && body.properties(op).is_none()
    }

    // ---- generic and default forms

    fn generic(&mut self, op: OpId, name: &str, def: Option<&'static OpDef>) {
        let (ctx, body) = (self.ctx, self.body());
        self.push("\"");
        self.push(name);
        self.push("\"(");
        self.operand_list(op);
        self.push(")");
        self.successor_list(op);
        let inherent = |n: Name| match def {
            Some(_) => ctx.attr_def(body.op_name(op), n).is_some() || SEGMENTS.contains(&ctx.str(n)),
            None => name == "builtin.module" && ["sym_name", "sym_visibility"].contains(&ctx.str(n)),
        };
        // Lists are in the order of their names already.
        let attrs = body.attrs(op);
        match body.properties(op) {
            None => self.dictionary(" <{", attrs.iter().filter(|(n, _)| inherent(*n)), "}>"),
            // Braces that hold nothing say that an op nobody knows has properties.
            Some(list) if list.is_empty() && !attrs.iter().any(|(n, _)| inherent(n)) => self.push(" <{}>"),
            Some(list) => {
                let mut all: Vec<(Name, Attr)> = attrs.iter().filter(|(n, _)| inherent(*n)).collect();
                all.extend(list.iter());
                all.sort_by(|a, b| ctx.str(a.0).cmp(ctx.str(b.0)));
                self.dictionary(" <{", all, "}>");
            }
        }
        let least = def.map_or(0, |d| d.regions.iter().filter(|r| r.arity == Arity::One).count());
        self.region_list(op, name, least);
        self.dictionary(" {", attrs.iter().filter(|(n, _)| !inherent(*n)), "}");
        self.push(" : ");
        self.types(op);
    }
    /// Attributes between braces, where there are some.
    fn dictionary(&mut self, open: &str, list: impl IntoIterator<Item = (Name, Attr)>, close: &str) {
        let mut before = open;
        for (name, attr) in list {
            self.push(before);
            self.named_attr(name, attr, None);
            before = ", ";
        }
        if before != open {
            self.push(close);
        }
    }

    /// `%a, %b [^bb1] ({...}) {attributes} : (types) -> types`
    fn default_form(&mut self, op: OpId, def: &'static OpDef) {
        let body = self.body();
        if body.operand_count(op) > 0 {
            self.push(" ");
            self.operand_list(op);
        }
        self.successor_list(op);
        self.region_list(op, def.name, 0);
        self.op = Some(def);
        self.dict(body.attrs(op), &[], " ");
        if body.operand_count(op) > 0 || !def.results.is_empty() {
            self.push(" : ");
            self.types(op);
        }
    }
    /// `(types) -> types` of operands and results.
    fn types(&mut self, op: OpId) {
        let body = self.body();
        let types = |values: &'a [ValueId]| values.iter().map(|&v| body.ty(v));
        self.signature(body.operands_iter(op).map(|v| body.ty(v)), types(body.results(op)));
    }

    pub(super) fn operand_list(&mut self, op: OpId) {
        let body = self.body();
        self.commas(body.operands_iter(op), |p, v| p.value_name(v));
    }
    fn successor_list(&mut self, op: OpId) {
        let successors = self.body().successors(op);
        if !successors.is_empty() {
            self.push(" [");
            self.commas(successors, |p, &b| p.block_name(b));
            self.push("]");
        }
    }
    /// ` ({...}, {...})` of all regions, at least `least`.
    fn region_list(&mut self, op: OpId, name: &str, least: usize) {
        let body = self.body();
        let own = body.regions(op).len();
        let nested = body.nested(op).map_or(0, |b| b.root_regions().len());
        let missing = if body.nested(op).is_some() { least.saturating_sub(own + nested) } else { 0 };
        if own + nested + missing == 0 {
            return;
        }
        self.push(" (");
        let parent = self.ctx.op_str(body.op_name(op));
        debug_assert_eq!(parent, name);
        self.commas(body.regions(op), |p, &region| p.region_text(parent, region, true, true, true));
        for i in 0..nested {
            if own + i > 0 {
                self.push(", ");
            }
            self.nested_region_text(op, i, true, true, true);
        }
        for i in 0..missing {
            self.push(if own + nested + i > 0 { ", {" } else { "{" });
            self.new_line(0);
            self.push("}");
        }
        self.push(")");
    }

    // ---- regions

    /// Names within the body of an isolated op.
    pub(super) fn nested_names(&mut self, op: OpId) -> Option<(&'a Body, Rc<Names>)> {
        let ctx = self.ctx;
        let frame = self.frames.last_mut()?;
        let nested = frame.body.nested(op)?;
        let around = &frame.names;
        let names = frame.nested.entry(op).or_insert_with(|| Rc::new(Names::new(ctx, nested, Some(around))));
        Some((nested, names.clone()))
    }

    /// Region `index` of the body of an isolated op.
    pub(super) fn nested_region_text(&mut self, op: OpId, index: usize, args: bool, terminator: bool, label: bool) {
        let Some((body, names)) = self.nested_names(op) else { return };
        let Some(&region) = body.root_regions().get(index) else { return };
        let parent = self.ctx.op_str(self.body().op_name(op));
        self.push_frame(body, names);
        self.region_text(parent, region, args, terminator, label);
        self.frames.pop();
    }

    /// `{ ... }`. `args`: a label with the entry block's arguments, if it has some; `terminator`: the last op even if it
    /// says nothing; `label`: a label for an empty entry block, which braces alone do not show.
    pub(super) fn region_text(&mut self, parent: &'a str, region: RegionId, args: bool, terminator: bool, label: bool) {
        let body = self.body();
        let blocks = body.blocks(region);
        let around = self.op.take();
        self.parents.push(parent);
        self.push("{");
        for (i, &block) in blocks.iter().enumerate() {
            let first = body.first_op(block);
            let needed = i > 0
                || (args && !body.block_args(block).is_empty())
                || (first.is_none() && (label || blocks.len() > 1) && body.block_args(block).is_empty())
                || self.is_target(blocks, block);
            if needed {
                self.new_line(0);
                self.block_header(block);
            }
            self.indent += 1;
            for op in body.block_ops(block) {
                if !terminator && blocks.len() == 1 && body.next(op).is_none() && self.says_nothing(op) {
                    break;
                }
                self.new_line(0);
                self.op(op);
            }
            self.indent -= 1;
        }
        self.new_line(0);
        self.push("}");
        self.parents.pop();
        self.op = around;
    }

    fn is_target(&self, blocks: &[BlockId], block: BlockId) -> bool {
        let body = self.body();
        blocks.len() > 1
            && blocks.iter().filter_map(|&b| body.last_op(b)).any(|op| body.successors(op).contains(&block))
    }
    /// A terminator that reading puts back.
    fn says_nothing(&self, op: OpId) -> bool {
        let body = self.body();
        self.ctx.op_def(body.op_name(op)).is_some_and(|d| d.has(Trait::Terminator))
            && body.operand_count(op) == 0
            && body.results(op).is_empty()
            && body.attrs(op).is_empty()
            && body.successors(op).is_empty()
            && body.regions(op).is_empty()
    }

    fn block_header(&mut self, block: BlockId) {
        let body = self.body();
        self.block_name(block);
        let args = body.block_args(block);
        if !args.is_empty() {
            self.push("(");
            self.commas(args, |p, &arg| p.value_and_type(arg));
            self.push(")");
        }
        self.push(":");
    }
    fn value_and_type(&mut self, value: nim_ir::ValueId) {
        self.value_name(value);
        self.push(": ");
        let ty = self.body().ty(value);
        self.ty(ty);
        self.arg_location(value);
    }
    /// ` loc(...)` of a block argument, where locations are asked for.
    pub(super) fn arg_location(&mut self, value: nim_ir::ValueId) {
        if let (true, ValueDef::Argument(block, index)) = (self.opts.debug_info, self.body().def(value)) {
            self.push(" ");
            self.location(self.body().arg_loc(block, index as usize));
        }
    }
    /// `%x: f32, %y: i1` of a region's entry block in the body of an isolated op.
    pub(super) fn nested_arg_list(&mut self, op: OpId, index: usize) {
        let Some((body, names)) = self.nested_names(op) else { return };
        let Some(entry) = body.root_regions().get(index).and_then(|&r| body.entry_block(r)) else { return };
        self.push_frame(body, names);
        self.commas(body.block_args(entry), |p, &arg| p.value_and_type(arg));
        self.frames.pop();
    }

    // ---- modules

    /// The outermost module; its body is the current one.
    pub(super) fn module_op(&mut self, module: &'a Module) {
        let region = module.body.root_regions().first().copied();
        if self.opts.generic {
            self.push("\"builtin.module\"()");
            let ctx = self.ctx;
            let (properties, others): (Vec<_>, Vec<_>) =
                module.attrs.iter().partition(|(n, _)| ["sym_name", "sym_visibility"].contains(&ctx.str(*n)));
            self.dictionary(" <{", properties, "}>");
            self.push(" (");
            if let Some(region) = region {
                self.region_text("builtin.module", region, true, true, true);
            }
            self.push(")");
            self.dictionary(" {", others, "}");
            self.push(" : () -> ()");
        } else {
            self.module_header(&module.attrs);
            if let Some(region) = region {
                self.region_text("builtin.module", region, false, true, false);
            }
        }
        if self.opts.debug_info {
            self.push(" ");
            self.location(module.loc);
        }
    }

    fn nested_module(&mut self, op: OpId) {
        let body = self.body();
        self.module_header(body.attrs(op));
        if body.nested(op).is_some_and(|b| !b.root_regions().is_empty()) {
            self.nested_region_text(op, 0, false, true, false);
        } else {
            self.push("{");
            self.new_line(0);
            self.push("}");
        }
    }

    /// `module @name attributes {...} `
    fn module_header(&mut self, attrs: &AttrList) {
        self.push("module ");
        let mut elided: &[&str] = &[];
        if let Some(name) = attrs.get(self.ctx.name("sym_name")).and_then(|a| self.ctx.as_string(a)) {
            self.push(&crate::strings::symbol(name));
            self.push(" ");
            elided = &["sym_name"];
        }
        let before = self.out.len();
        self.dict(attrs, elided, "attributes ");
        if self.out.len() > before {
            self.push(" ");
        }
    }
}
