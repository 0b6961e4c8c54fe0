//! Calls of the runtime library: attributes of ops in the order in which its functions want them.

use super::function::Emitter;
use nim_ir::{Attr, AttrData, Expr, OpId, Type};
use nim_vm::bytecode::{Instr, Size, field::dtype_code};

/// The attributes of a call.
struct Config<'a> {
    items: &'a [(nim_ir::Name, Attr)],
    ctx: &'a nim_ir::Context,
}

impl<'a> Config<'a> {
    fn get(&self, name: &str) -> Option<Attr> {
        self.items.iter().find(|(n, _)| self.ctx.str(*n) == name).map(|(_, a)| *a)
    }
    fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).and_then(|a| self.ctx.as_int(a)).unwrap_or(default)
    }
    fn flag(&self, name: &str, default: bool) -> i64 {
        self.get(name).and_then(|a| self.ctx.as_bool(a)).unwrap_or(default).into()
    }
    /// A float as its bits.
    fn float(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|a| self.ctx.as_float(a)).map(|x| x.to_bits() as i64)
    }
    fn exprs(&self, name: &str) -> Vec<Expr> {
        self.get(name).and_then(|a| self.ctx.as_exprs(a)).unwrap_or_default()
    }
    fn dtype(&self, name: &str) -> Option<i64> {
        let ty: Type = self.get(name).and_then(|a| self.ctx.as_type(a))?;
        self.ctx.dtype_of_type(ty).map(|d| dtype_code(d).into())
    }
}

impl Emitter<'_, '_> {
    pub(super) fn runtime(&mut self, op: OpId) {
        let (ctx, body) = (self.shared.ctx, self.body);
        let items = match body.attr_named(ctx, op, "config").map(|a| ctx.attr_data(a)) {
            Some(AttrData::Dict(items)) => items.as_slice(),
            _ => &[],
        };
        let config = Config { items, ctx };
        let name = body.attr_named(ctx, op, "name").and_then(|a| ctx.as_string(a)).unwrap_or_default();
        let mut sizes = vec![];
        let mut ints = vec![];
        let mut name = name.to_owned();
        let mut missing = false;
        match name.as_str() {
            "topk" => {
                ints = vec![config.int("axis", -1), config.flag("largest", true), config.flag("sorted", true)];
                sizes.extend(config.get("k").and_then(|a| ctx.as_expr(a)));
            }
            "nonzero" => {}
            "unique" => {
                ints = vec![config.flag("sorted", true)];
                ints.extend(config.get("axis").and_then(|a| ctx.as_int(a)));
            }
            "nms" => {
                ints = vec![config.flag("center", false)];
                let given = config.get("given").and_then(|a| ctx.as_ints(a)).unwrap_or_default();
                ints.extend(given);
            }
            "random" => {
                let kind = config.get("kind").and_then(|a| ctx.as_string(a)).unwrap_or("uniform");
                name = format!("random.{kind}");
                missing = config.dtype("type").is_none();
                ints.extend(config.dtype("type"));
                ints.extend([config.float("a").unwrap_or_default(), config.float("b").unwrap_or_default()]);
                ints.extend(config.float("seed"));
                sizes = config.exprs("shape");
            }
            "bernoulli" => {
                name = "random.bernoulli".into();
                missing = config.dtype("to").is_none();
                ints.extend(config.dtype("to"));
                ints.extend(config.float("seed"));
            }
            _ => ints = config.get("ints").and_then(|a| ctx.as_ints(a)).unwrap_or_default(),
        }
        if missing || nim_vm::runtime::find(&name).is_none() {
            let message = format!("the runtime library has no function `{name}` for these types");
            return self.error(Some(op), "N0751", message);
        }
        let sizes: Box<[Size]> = self.size_list(Some(op), &sizes);
        let function = self.shared.builder.text(&name);
        let (ins, outs) = (self.reg_list(&body.operands(op)), self.reg_list(body.results(op)));
        self.push(Instr::Runtime { function, ints: ints.into(), sizes, ins, outs });
        self.define_results(op);
    }
}
