//! One function: registers, and ops without regions.

use super::Shared;
use nim_builtin::func;
use nim_dyn as d;
use nim_ir::{BlockId, Body, Diagnostic, Expr, Loc, OpId, Symbol, Type, ValueId, verifier::operand_groups};
use nim_tensor::DType;
use nim_vm::bytecode::{Callee, DeviceId, Function, FunctionId, Instr, Label, Reg, Relation, Size, Text};
use rustc_hash::{FxHashMap, FxHashSet};

/// A function on its way to bytecode.
pub(super) struct Emitter<'s, 'a> {
    pub(super) shared: &'s mut Shared<'a>,
    pub(super) body: &'a Body,
    regs: FxHashMap<ValueId, Reg>,
    next_reg: u32,
    pub(super) symbols: Vec<Symbol>,
    /// Symbols that have a value at this point.
    pub(super) bound: FxHashSet<Symbol>,
    /// Storage that only one tensor lies in: both are made by one instruction.
    merged: FxHashSet<ValueId>,
    pub(super) code: Vec<Instr>,
    nodes: Vec<Option<Text>>,
    node: Option<Text>,
    found: Vec<Diagnostic>,
}

impl<'s, 'a> Emitter<'s, 'a> {
    pub(super) fn new(shared: &'s mut Shared<'a>, body: &'a Body) -> Self {
        Emitter {
            shared,
            body,
            regs: FxHashMap::default(),
            next_reg: 0,
            symbols: vec![],
            bound: FxHashSet::default(),
            merged: FxHashSet::default(),
            code: vec![],
            nodes: vec![],
            node: None,
            found: vec![],
        }
    }

    pub(super) fn function(mut self, name: &str, results: usize) -> Result<Function, Vec<Diagnostic>> {
        let entry = self.body.entry();
        let args = entry.map(|b| self.body.block_args(b).to_vec()).unwrap_or_default();
        let regs: Vec<Reg> = args.iter().map(|&arg| self.reg(arg)).collect();
        for (&arg, &reg) in args.iter().zip(&regs) {
            self.define(arg, reg);
        }
        for (&arg, &reg) in args.iter().zip(&regs) {
            self.solve(arg, reg);
        }
        let returned = entry.is_some_and(|entry| self.block(entry));
        if !returned {
            self.error(None, "N0744", format!("the function `{name}` does not end in a return"));
        }
        if !self.found.is_empty() {
            return Err(self.found);
        }
        let pool = &self.shared.ctx.exprs;
        Ok(Function {
            name: name.to_owned(),
            regs: self.next_reg,
            symbols: self.symbols.iter().map(|&s| pool.symbol_name(s).to_owned()).collect(),
            inputs: args.len() as u32,
            outputs: results as u32,
            code: self.code,
            nodes: self.nodes,
        })
    }

    // ---- registers and instructions

    /// The register of a value.
    pub(super) fn reg(&mut self, value: ValueId) -> Reg {
        if let Some(&reg) = self.regs.get(&value) {
            return reg;
        }
        let reg = self.fresh_reg();
        self.regs.insert(value, reg);
        reg
    }
    /// A register that stands for no value.
    pub(super) fn fresh_reg(&mut self) -> Reg {
        self.next_reg += 1;
        Reg(self.next_reg - 1)
    }
    pub(super) fn reg_list(&mut self, values: &[ValueId]) -> Box<[Reg]> {
        values.iter().map(|&v| self.reg(v)).collect()
    }
    /// Appends an instruction; returns its number.
    pub(super) fn push(&mut self, instr: Instr) -> usize {
        self.code.push(instr);
        self.nodes.push(self.node);
        self.code.len() - 1
    }
    /// Where the next instruction will stand.
    pub(super) fn here(&self) -> Label {
        Label(self.code.len() as u32)
    }
    /// Makes a jump that was written before its target was known lead here.
    pub(super) fn land(&mut self, jump: usize) {
        let here = self.here();
        match self.code.get_mut(jump) {
            Some(Instr::Jump { target } | Instr::JumpUnless { target, .. } | Instr::JumpUnlessLess { target, .. }) => {
                *target = here
            }
            _ => debug_assert!(false, "only jumps land"),
        }
    }
    pub(super) fn error(&mut self, op: Option<OpId>, code: &'static str, message: impl Into<String>) {
        let loc = op.map_or(Loc::UNKNOWN, |op| self.body.loc(op));
        self.found.push(Diagnostic::error(code, loc, message));
    }
    pub(super) fn dtype(&mut self, op: OpId, ty: Type) -> DType {
        self.shared.ctx.dtype_of(ty).unwrap_or_else(|| {
            let message = format!("{} has elements that memory cannot hold", self.shared.ctx.display_type(ty));
            self.error(Some(op), "N0743", message);
            DType::U8
        })
    }

    // ---- ops

    /// All ops of a block; true when the function has returned at its end.
    pub(super) fn block(&mut self, block: BlockId) -> bool {
        self.body.block_ops(block).any(|op| self.op(op))
    }

    /// True when what an op gives is what the function returns, with nothing in between but ends of lives.
    pub(super) fn is_last(&self, op: OpId) -> bool {
        let (ctx, body) = (self.shared.ctx, self.body);
        let mut next = body.next(op);
        while let Some(kill) = next.filter(|&op| d::Kill::is(ctx, body, op)) {
            next = body.next(kill);
        }
        let Some(end) = next.filter(|&end| *body.operands(end) == *body.results(op)) else { return false };
        let choice = |op: OpId| d::If::is(ctx, body, op) || d::Match::is(ctx, body, op);
        func::Return::is(ctx, body, end)
            || (d::Yield::is(ctx, body, end) && body.parent_op(op).is_some_and(|op| choice(op) && self.is_last(op)))
    }

    /// One op; true when the function has returned behind it.
    fn op(&mut self, op: OpId) -> bool {
        let (ctx, body) = (self.shared.ctx, self.body);
        self.node = ctx.loc_name(body.loc(op)).map(|n| self.shared.builder.text(n));
        match ctx.op_str(body.op_name(op)) {
            d::Alloc::NAME => self.alloc(op),
            d::Arena::NAME => self.arena(op),
            d::View::NAME => self.view(op),
            d::Kill::NAME => self.kill(&body.operands(op)),
            d::Constant::NAME => self.constant(op),
            d::Reshape::NAME => {
                let (from, out) = (self.reg(body.operand(op, 0)), self.reg(body.result(op)));
                let dims = self.dims(Some(op), body.ty(body.result(op)));
                self.push(Instr::Reshape { out, from, dims });
            }
            d::MatchCast::NAME => {
                let (from, out) = (self.reg(body.operand(op, 0)), self.reg(body.result(op)));
                self.push(Instr::Move { out, from });
                self.define_results(op);
            }
            d::Copy::NAME => {
                let (from, to) = (self.reg(body.operand(op, 0)), self.reg(body.operand(op, 1)));
                let offset = self.shared.builder.constant_size(0);
                self.push(Instr::Copy { from, to, offset });
            }
            d::Invoke::NAME => self.invoke(op),
            d::Runtime::NAME => self.runtime(op),
            d::Bind::NAME => self.bind(op),
            d::Index::NAME => {
                let exprs = body.attr_named(ctx, op, "exprs").and_then(|a| ctx.as_exprs(a)).unwrap_or_default();
                let values = self.size_list(Some(op), &exprs);
                let to = self.reg(body.operand(op, 0));
                self.push(Instr::Index { to, values });
            }
            d::Guard::NAME => self.guard(op),
            d::Check::NAME => {
                let value = body.operand(op, 0);
                let from = self.reg(value);
                let dims = self.dims(Some(op), body.ty(value));
                let what = self.text_attr(op, "what");
                self.push(Instr::Check { from, dims, what });
            }
            d::If::NAME => return self.branch(op),
            d::Match::NAME => return self.choose(op),
            d::Construct::NAME => self.construct(op),
            d::Closure::NAME => self.closure(op),
            d::Loop::NAME => self.repeat(op),
            // Whoever makes a region looks at its end.
            d::Yield::NAME => {}
            func::Call::NAME | func::CallIndirect::NAME => return self.call(op),
            func::Return::NAME => {
                let values = self.reg_list(&body.operands(op));
                self.push(Instr::Return { values });
                return true;
            }
            other => self.error(Some(op), "N0745", format!("bytecode has no form for `{other}`")),
        }
        false
    }

    /// Where the memory is that an op makes.
    fn device(&mut self, op: OpId) -> DeviceId {
        let ctx = self.shared.ctx;
        let device = d::device_attr(ctx, self.body, op).unwrap_or_default();
        self.named(device)
    }
    /// Where a buffer of a type is.
    pub(super) fn device_of(&mut self, ty: Type) -> DeviceId {
        let device = d::Device::of_type(self.shared.ctx, ty);
        self.named(device)
    }
    fn named(&mut self, device: d::Device) -> DeviceId {
        match device == d::Device::HOST {
            true => DeviceId::HOST,
            false => self.shared.builder.device(device.name(self.shared.ctx)),
        }
    }

    fn text_attr(&mut self, op: OpId, name: &str) -> Text {
        let ctx = self.shared.ctx;
        let text = self.body.attr_named(ctx, op, name).and_then(|a| ctx.as_string(a)).unwrap_or_default();
        self.shared.builder.text(text)
    }

    fn alloc(&mut self, op: OpId) {
        let (ctx, body) = (self.shared.ctx, self.body);
        let storage = body.result(op);
        let mut views = body.uses(storage).filter(|u| !d::Kill::is(ctx, body, u.op));
        let first = views.next().filter(|u| d::View::is(ctx, body, u.op) && body.block(u.op) == body.block(op));
        let alone = views.next().is_none();
        let at_start =
            |u: &nim_ir::Use| body.attr_named(ctx, u.op, "offset").and_then(|a| ctx.as_expr(a)) == Some(Expr::ZERO);
        if alone && first.is_some_and(|u| at_start(&u)) {
            self.merged.insert(storage);
            return;
        }
        let size = body.attr_named(ctx, op, "size").and_then(|a| ctx.as_expr(a)).unwrap_or(Expr::ZERO);
        let (out, bytes) = (self.reg(storage), self.size(Some(op), size));
        let device = self.device(op);
        self.push(Instr::Alloc { out, device, sizes: [bytes].into(), apart: [].into(), offsets: [].into() });
    }

    fn arena(&mut self, op: OpId) {
        let Some(places) = d::Places::of(self.shared.ctx, self.body, op) else {
            return self.error(Some(op), "N0748", "an arena is not complete");
        };
        let (out, sizes) = (self.reg(self.body.result(op)), self.size_list(Some(op), &places.sizes));
        let apart = places.apart.into_iter().map(Vec::into_boxed_slice).collect();
        let offsets = places.symbols.iter().map(|&s| self.symbol(s)).collect();
        self.bound.extend(places.symbols);
        let device = self.device(op);
        self.push(Instr::Alloc { out, device, sizes, apart, offsets });
    }

    fn view(&mut self, op: OpId) {
        let (ctx, body) = (self.shared.ctx, self.body);
        let (storage, result) = (body.operand(op, 0), body.result(op));
        let ty = body.ty(result);
        let (dtype, dims) = (self.dtype(op, ty), self.dims(Some(op), ty));
        let out = self.reg(result);
        if self.merged.contains(&storage) {
            let device = self.device_of(ty);
            self.push(Instr::New { out, device, dtype, dims });
            return;
        }
        let offset = body.attr_named(ctx, op, "offset").and_then(|a| ctx.as_expr(a)).unwrap_or(Expr::ZERO);
        let (storage, offset) = (self.reg(storage), self.size(Some(op), offset));
        self.push(Instr::View { out, storage, offset, dtype, dims });
    }

    /// Empties registers. Values that never got one need nothing.
    pub(super) fn kill(&mut self, values: &[ValueId]) {
        let regs: Box<[Reg]> = values.iter().filter_map(|v| self.regs.get(v).copied()).collect();
        if !regs.is_empty() {
            self.push(Instr::Kill { regs });
        }
    }

    fn constant(&mut self, op: OpId) {
        let ctx = self.shared.ctx;
        let Some(attr) = self.body.attr_named(ctx, op, "value") else {
            return self.error(Some(op), "N0746", "a constant has no elements");
        };
        let device = self.device(op);
        let constant = match self.shared.constants.get(&(attr, device)) {
            Some(&known) => known,
            None => {
                let Some(tensor) = ctx.attr_tensor(attr) else {
                    return self.error(Some(op), "N0746", "the elements of a constant are missing");
                };
                let id = self.shared.builder.constant_on(&tensor, device);
                self.shared.constants.insert((attr, device), id);
                id
            }
        };
        let out = self.reg(self.body.result(op));
        self.push(Instr::Const { out, constant });
    }

    fn invoke(&mut self, op: OpId) {
        let (ctx, body) = (self.shared.ctx, self.body);
        let callee = body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
        let Some((name, facts)) = callee.and_then(|n| Some((n, self.shared.kernels.get(&n)?))) else {
            return self.error(
                Some(op),
                "N0747",
                "the kernel that is invoked does not exist, or is not lowered to loops",
            );
        };
        let operands = body.operands(op);
        if operands.len() != facts.arguments.len() {
            let message = format!("the kernel takes {} buffers, {} are given", facts.arguments.len(), operands.len());
            return self.error(Some(op), "N0747", message);
        }
        let given = body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_exprs(a));
        let given = given.unwrap_or_else(|| facts.symbols.iter().map(|&s| ctx.exprs.var(s)).collect());
        let here: FxHashMap<Symbol, Expr> = facts.symbols.iter().copied().zip(given.iter().copied()).collect();
        let at = |e: Expr| ctx.exprs.substitute(e, &mut |s| here.get(&s).copied());
        let phases: Vec<Expr> = facts.phases.iter().map(|&e| at(e)).collect();
        let (work, runs_on) = (at(facts.work), facts.device);
        let ins = operand_groups(ctx, body, op).and_then(|g| Some(g.first()?.len())).unwrap_or(operands.len());
        let symbols = self.size_list(Some(op), &given);
        let (phases, work) = (self.size_list(Some(op), &phases), self.size(Some(op), work));
        let (ins, outs) = (self.reg_list(&operands[..ins]), self.reg_list(&operands[ins..]));
        let kernel = self.shared.builder.kernel(ctx.str(name));
        if runs_on != d::Device::HOST {
            let device = self.named(runs_on);
            self.shared.builder.run_on(kernel, device, &self.shared.kernels[&name].source);
        }
        self.push(Instr::Invoke { kernel, ins, outs, symbols, phases, work });
    }

    fn bind(&mut self, op: OpId) {
        let ctx = self.shared.ctx;
        let names = self.body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_array(a)).unwrap_or_default();
        let symbols: Vec<Symbol> =
            names.iter().filter_map(|&n| ctx.as_string(n)).map(|n| ctx.exprs.symbol(n)).collect();
        let from = self.reg(self.body.operand(op, 0));
        let registers = symbols.iter().map(|&s| self.symbol(s)).collect();
        self.bound.extend(symbols);
        self.push(Instr::Bind { from, symbols: registers });
    }

    fn guard(&mut self, op: OpId) {
        let (ctx, body) = (self.shared.ctx, self.body);
        let kind = body.attr_named(ctx, op, "kind").and_then(|a| ctx.as_string(a)).and_then(Relation::from_name);
        let side = |name: &str| body.attr_named(ctx, op, name).and_then(|a| ctx.as_expr(a));
        let (Some(kind), Some(lhs), Some(rhs)) = (kind, side("lhs"), side("rhs")) else {
            return self.error(Some(op), "N0748", "a guard is not complete");
        };
        let message = self.text_attr(op, "message");
        let (lhs, rhs): (Size, Size) = (self.size(Some(op), lhs), self.size(Some(op), rhs));
        self.push(Instr::Guard { kind, lhs, rhs, message });
    }

    /// The function that an op names.
    pub(super) fn function_of(&mut self, op: OpId) -> Option<FunctionId> {
        let (ctx, body) = (self.shared.ctx, self.body);
        let callee = body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
        let function = callee.and_then(|n| self.shared.functions.get(&n)).copied();
        if function.is_none() {
            self.error(Some(op), "N0749", "the function that is called does not exist, or has no body");
        }
        function
    }

    /// A call; true when the function returns what it gives, which the machine does without keeping this one.
    fn call(&mut self, op: OpId) -> bool {
        let body = self.body;
        let mut operands = body.operands(op).to_vec();
        let callee = if func::CallIndirect::is(self.shared.ctx, body, op) {
            Callee::Value(self.reg(operands.remove(0)))
        } else {
            let Some(function) = self.function_of(op) else { return false };
            Callee::Function(function)
        };
        let (ins, outs) = (self.reg_list(&operands), self.reg_list(body.results(op)));
        self.push(Instr::Call { callee, ins, outs: outs.clone() });
        if self.is_last(op) {
            self.push(Instr::Return { values: outs });
            return true;
        }
        self.define_results(op);
        false
    }

    /// Gives the symbols in the types of an op's results their values.
    pub(super) fn define_results(&mut self, op: OpId) {
        for &result in self.body.results(op) {
            let reg = self.reg(result);
            self.define(result, reg);
        }
    }
}
