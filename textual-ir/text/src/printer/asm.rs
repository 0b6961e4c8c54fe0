//! What dialects' own syntax sees of the printer.

use super::Printer;
use crate::strings;
use nim_ir::{Attr, AttrList, BlockId, Body, Context, Expr, Name, OpId, RegionId, Type, ValueId, syntax::AsmPrinter};

impl AsmPrinter for Printer<'_> {
    fn ctx(&self) -> &Context {
        self.ctx
    }
    fn body(&self) -> &Body {
        self.frame().body
    }
    fn text(&mut self, text: &str) {
        self.push(text);
    }
    fn value(&mut self, value: ValueId) {
        self.value_name(value);
    }
    fn value_text(&self, value: ValueId) -> String {
        let mut text = String::new();
        self.frame().names.write_value(self.ctx, value, &mut text);
        text
    }
    fn successor(&mut self, block: BlockId) {
        self.block_name(block);
    }
    fn string(&mut self, text: &str) {
        self.push(&strings::quote(text));
    }
    fn ty(&mut self, ty: Type) {
        Printer::ty(self, ty);
    }
    fn attr(&mut self, attr: Attr) {
        Printer::attr(self, attr);
    }
    fn expr(&mut self, expr: Expr) {
        self.expr_text(expr);
    }
    fn symbol(&mut self, name: Name) {
        let text = strings::symbol(self.ctx.str(name));
        self.push(&text);
    }
    fn attr_dict(&mut self, attrs: &AttrList, elided: &[&str]) {
        self.dict(attrs, elided, " ");
    }
    fn region(&mut self, region: RegionId, entry_args: bool, terminator: bool) {
        let body = Printer::body(self);
        let parent = body.region_parent(region).map_or("", |op| self.ctx.op_str(body.op_name(op)));
        self.region_text(parent, region, entry_args, terminator, false);
    }
    fn nested_region(&mut self, op: OpId, index: usize, entry_args: bool, terminator: bool) {
        self.nested_region_text(op, index, entry_args, terminator, false);
    }
    fn nested_args(&mut self, op: OpId, index: usize) {
        self.nested_arg_list(op, index);
    }
    fn newline(&mut self) {
        self.new_line(1);
    }
    fn indent(&mut self) {
        self.indent += 1;
    }
    fn unindent(&mut self) {
        self.indent -= 1;
    }
    fn line(&mut self) {
        self.new_line(0);
    }
}
