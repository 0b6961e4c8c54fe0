//! Branches and loops as jumps. Values pass as references; a loop's new state and its old one are two buffers, since each
//! iteration asks the pool anew and gives the old one back.

use super::function::Emitter;
use nim_dyn as d;
use nim_ir::{BlockId, Expr, OpId, Symbol, Type, ValueDef, ValueId, verifier::operand_groups};
use nim_tensor::DType;
use nim_vm::bytecode::{DeviceId, Instr, Label, Maker, Reg, Size};

/// A stacked result under construction.
enum Stack {
    /// The number of iterations and the size of an item are known before: items are copied to their places.
    Placed { out: Reg, bytes: Expr },
    /// Items are appended.
    Grown { out: Reg },
}

impl Emitter<'_, '_> {
    /// What a region's block yields.
    fn yielded(&self, block: BlockId) -> Vec<ValueId> {
        let end = self.body.last_op(block).filter(|&op| d::Yield::is(self.shared.ctx, self.body, op));
        end.map(|op| self.body.operands(op).to_vec()).unwrap_or_default()
    }

    /// True when a value is defined in the block itself, and so ends with it.
    fn is_local(&self, value: ValueId, block: BlockId) -> bool {
        self.body.value_block(value) == Some(block)
    }

    /// A branch; true when the function returns what it gives.
    pub(super) fn branch(&mut self, op: OpId) -> bool {
        let body = self.body;
        let condition = self.reg(body.operand(op, 0));
        let blocks: Vec<BlockId> = body.regions(op).iter().filter_map(|&r| body.entry_block(r)).collect();
        let &[then, other] = blocks.as_slice() else {
            self.error(Some(op), "N0750", "`dyn.if` needs two regions");
            return false;
        };
        let to_other = self.push(Instr::JumpUnless { condition, target: Label(0) });
        let first = self.arm(op, then);
        let to_end = first.then(|| self.push(Instr::Jump { target: Label(0) }));
        self.land(to_other);
        let second = self.arm(op, other);
        to_end.into_iter().for_each(|jump| self.land(jump));
        self.join(op, first || second)
    }

    /// A match: one jump to the case of the constructor, which gets the fields.
    pub(super) fn choose(&mut self, op: OpId) -> bool {
        let (ctx, body) = (self.shared.ctx, self.body);
        let value = self.reg(body.operand(op, 0));
        let names = nim_builtin::adt::cases(ctx, body, op);
        let ty = nim_builtin::adt::adt_name(ctx, body.ty(body.operand(op, 0)));
        let Some(constructors) = ty.and_then(|name| self.shared.constructors.get(&name)).cloned() else {
            self.error(Some(op), "N0754", "the data type that is matched is not defined");
            return false;
        };
        // The case of each constructor of the type.
        let case = |name: &str| names.iter().position(|&n| n == name);
        let ways = constructors.iter().map(|name| case(name).or_else(|| case(nim_builtin::adt::OTHERWISE)));
        let Some(ways) = ways.collect::<Option<Vec<usize>>>() else {
            self.error(Some(op), "N0754", "a constructor has no case");
            return false;
        };
        let blocks: Vec<BlockId> = body.regions(op).iter().filter_map(|&r| body.entry_block(r)).collect();
        let fields = ways.iter().map(|&way| self.reg_list(body.block_args(blocks[way]))).collect();
        let targets = ways.iter().map(|_| Label(0)).collect();
        let at = self.push(Instr::Match { value, targets, fields });
        let (mut starts, mut exits, mut falls) = (vec![], vec![], false);
        for (i, &block) in blocks.iter().enumerate() {
            starts.push(self.here());
            let bound = self.bound.clone();
            for &arg in body.block_args(block) {
                let reg = self.reg(arg);
                self.define(arg, reg);
            }
            let falls_here = self.arm(op, block);
            self.bound = bound;
            falls |= falls_here;
            if falls_here && i + 1 < blocks.len() {
                exits.push(self.push(Instr::Jump { target: Label(0) }));
            }
        }
        if let Some(Instr::Match { targets, .. }) = self.code.get_mut(at) {
            *targets = ways.iter().map(|&way| starts[way]).collect();
        }
        exits.into_iter().for_each(|jump| self.land(jump));
        self.join(op, falls)
    }

    /// Behind all ways of a choice; `falls`: whether one of them goes on here.
    fn join(&mut self, op: OpId, falls: bool) -> bool {
        if falls {
            self.define_results(op);
        }
        !falls
    }

    /// One way of a choice; true when it goes on behind the choice, false when it returns from the function.
    fn arm(&mut self, op: OpId, block: BlockId) -> bool {
        let bound = self.bound.clone();
        let returned = self.block(block);
        let values = self.yielded(block);
        if !returned && self.is_last(op) {
            let values = self.reg_list(&values);
            self.push(Instr::Return { values });
        } else if !returned {
            let results = self.reg_list(self.body.results(op));
            for (&value, &out) in values.iter().zip(&results) {
                let from = self.reg(value);
                self.push(Instr::Move { out, from });
            }
            let local: Vec<ValueId> = values.into_iter().filter(|&v| self.is_local(v, block)).collect();
            self.kill(&local);
        }
        self.bound = bound;
        !returned && !self.is_last(op)
    }

    pub(super) fn construct(&mut self, op: OpId) {
        let (ctx, body) = (self.shared.ctx, self.body);
        let name = body.attr_named(ctx, op, "constructor").and_then(|a| ctx.as_string(a)).unwrap_or_default();
        let ty = nim_builtin::adt::adt_name(ctx, body.ty(body.result(op)));
        let constructors = ty.and_then(|name| self.shared.constructors.get(&name));
        let Some(number) = constructors.and_then(|all| all.iter().position(|n| n == name)) else {
            return self.error(Some(op), "N0754", format!("there is no constructor `{name}`"));
        };
        let (out, fields) = (self.reg(body.result(op)), self.reg_list(&body.operands(op)));
        self.push(Instr::Make { out, maker: Maker::Constructor(number as u32), fields });
    }

    pub(super) fn closure(&mut self, op: OpId) {
        let Some(function) = self.function_of(op) else { return };
        let (out, fields) = (self.reg(self.body.result(op)), self.reg_list(&self.body.operands(op)));
        self.push(Instr::Make { out, maker: Maker::Function(function), fields });
    }

    pub(super) fn repeat(&mut self, op: OpId) {
        let (ctx, body) = (self.shared.ctx, self.body);
        let pool = &ctx.exprs;
        let block = body.regions(op).first().and_then(|&r| body.entry_block(r));
        let (Some(groups), Some(block)) = (operand_groups(ctx, body, op), block) else {
            return self.error(Some(op), "N0750", "`dyn.loop` is malformed");
        };
        let operands = body.operands(op);
        let group = |i: usize| groups.get(i).map(|g| operands[g.clone()].to_vec()).unwrap_or_default();
        let (trip, start, carried) = (group(0), group(1), group(2));
        let args = body.block_args(block).to_vec();
        let results = body.results(op).to_vec();
        if args.len() != carried.len() + 1 || results.len() < carried.len() {
            return self.error(Some(op), "N0750", "`dyn.loop` is malformed");
        }
        let attr = |name: &str| body.attr_named(ctx, op, name);
        let has_condition = attr("has_condition").is_some();
        let trip_count = attr("trip_count").and_then(|a| ctx.as_expr(a));

        // Before the loop: the trip count, the state, the condition, the counter.
        let limit = trip.first().map(|&value| {
            let symbol = self.temporary("trip");
            let (from, to) = (self.reg(value), self.symbol(symbol));
            self.push(Instr::Bind { from, symbols: [to].into() });
            pool.var(symbol)
        });
        for (&arg, &value) in args[1..].iter().zip(&carried) {
            let (out, from) = (self.reg(arg), self.reg(value));
            self.push(Instr::Move { out, from });
        }
        let condition = (has_condition || !start.is_empty()).then(|| self.fresh_reg());
        if let Some(out) = condition {
            match start.first() {
                Some(&value) => {
                    let from = self.reg(value);
                    self.push(Instr::Move { out, from });
                }
                None => {
                    self.push(Instr::New { out, device: DeviceId::HOST, dtype: DType::Bool, dims: [].into() });
                    let one = self.shared.builder.constant_size(1);
                    self.push(Instr::Index { to: out, values: [one].into() });
                }
            }
        }
        let iv = match attr("iv").and_then(|a| ctx.as_string(a)) {
            Some(name) => pool.symbol(name),
            None => self.temporary("iteration"),
        };
        self.bound.insert(iv);
        let known = trip_count.filter(|_| condition.is_none()).map(|n| pool.max(n, Expr::ZERO));
        let stacks: Vec<Stack> = results[carried.len()..].iter().map(|&r| self.stack(op, r, known)).collect();
        let counter = self.symbol(iv);
        let zero = self.shared.builder.constant_size(0);
        self.push(Instr::Eval { symbol: counter, value: zero });

        // Each iteration.
        let head = self.here();
        let mut exits = vec![];
        if let Some(limit) = limit.or(trip_count) {
            let (lhs, rhs) = (self.size(Some(op), pool.var(iv)), self.size(Some(op), limit));
            exits.push(self.push(Instr::JumpUnlessLess { lhs, rhs, target: Label(0) }));
        }
        if let Some(condition) = condition {
            exits.push(self.push(Instr::JumpUnless { condition, target: Label(0) }));
        }
        let bound = self.bound.clone();
        self.iteration_number(args[0], iv);
        for &arg in &args[1..] {
            let reg = self.reg(arg);
            self.define(arg, reg);
        }
        self.block(block);
        let yielded = self.yielded(block);
        let skip = usize::from(has_condition);
        if yielded.len() != skip + results.len() {
            return self.error(Some(op), "N0750", "the region of `dyn.loop` yields another number of values");
        }
        for (stack, &item) in stacks.iter().zip(&yielded[skip + carried.len()..]) {
            self.item(op, stack, item, iv);
        }
        self.next_state(&args[1..], &yielded[skip..skip + carried.len()]);
        if let (Some(out), Some(&value)) = (condition.filter(|_| has_condition), yielded.first()) {
            let from = self.reg(value);
            self.push(Instr::Move { out, from });
        }
        // Carried arguments hold the next state already; all else that was made here ends.
        let ended: Vec<ValueId> =
            yielded.iter().copied().filter(|v| self.is_local(*v, block) && !args[1..].contains(v)).collect();
        self.kill(&ended);
        let value = self.size(Some(op), pool.add(pool.var(iv), Expr::ONE));
        self.push(Instr::Eval { symbol: counter, value });
        self.push(Instr::Jump { target: head });

        // Behind the loop.
        exits.into_iter().for_each(|jump| self.land(jump));
        self.bound = bound;
        for (&result, &arg) in results.iter().zip(&args[1..]) {
            let (out, from) = (self.reg(result), self.reg(arg));
            self.push(Instr::Move { out, from });
        }
        let mut regs: Vec<Reg> = args[1..].iter().map(|&a| self.reg(a)).collect();
        regs.extend(condition);
        if !regs.is_empty() {
            self.push(Instr::Kill { regs: regs.into() });
        }
        self.define_results(op);
    }

    /// The iteration's number as a tensor, where something reads it.
    fn iteration_number(&mut self, arg: ValueId, iv: Symbol) {
        let (ctx, body) = (self.shared.ctx, self.body);
        if body.uses(arg).all(|u| d::Kill::is(ctx, body, u.op)) {
            return;
        }
        let out = self.reg(arg);
        let (device, dims) = (self.device_of(body.ty(arg)), self.dims(None, body.ty(arg)));
        self.push(Instr::New { out, device, dtype: DType::I64, dims });
        let value = self.size(None, ctx.exprs.var(iv));
        self.push(Instr::Index { to: out, values: [value].into() });
    }

    /// The arguments take over what was yielded, all at once.
    fn next_state(&mut self, args: &[ValueId], values: &[ValueId]) {
        let overwritten = |i: usize, v: ValueId| args[..i].contains(&v);
        let at_once = values.iter().enumerate().any(|(i, &v)| overwritten(i, v));
        let mut temporaries = vec![];
        for (&arg, &value) in args.iter().zip(values) {
            let (out, from) = (self.reg(arg), self.reg(value));
            if at_once {
                let between = self.fresh_reg();
                self.push(Instr::Move { out: between, from });
                temporaries.push((out, between));
            } else if out != from {
                self.push(Instr::Move { out, from });
            }
        }
        let between: Box<[Reg]> = temporaries.iter().map(|t| t.1).collect();
        for (out, from) in temporaries {
            self.push(Instr::Move { out, from });
        }
        if !between.is_empty() {
            self.push(Instr::Kill { regs: between });
        }
    }

    /// Prepares a stacked result.
    fn stack(&mut self, op: OpId, result: ValueId, count: Option<Expr>) -> Stack {
        let ctx = self.shared.ctx;
        let ty = self.body.ty(result);
        let out = self.reg(result);
        let (dtype, item, device) = (self.dtype(op, ty), self.item_dims(ty), self.device_of(ty));
        let known = item.iter().all(|&d| ctx.exprs.symbols(d).iter().all(|s| self.bound.contains(s)));
        let count = count.filter(|&n| ctx.exprs.symbols(n).iter().all(|s| self.bound.contains(s)));
        match count {
            Some(count) if known => {
                let dims: Vec<Expr> = std::iter::once(count).chain(item.iter().copied()).collect();
                let dims = self.size_list(Some(op), &dims);
                self.push(Instr::New { out, device, dtype, dims });
                let size = ctx.exprs.constant(dtype.size() as i64);
                Stack::Placed { out, bytes: ctx.exprs.product(item.into_iter().chain([size])) }
            }
            _ => {
                // Without any iteration nothing tells the sizes that are not known here.
                let open = |e: &mut Self, dim: Expr| -> Size {
                    let known = ctx.exprs.symbols(dim).iter().all(|s| e.bound.contains(s));
                    e.size(Some(op), if known { dim } else { Expr::ZERO })
                };
                let mut dims = vec![self.shared.builder.constant_size(0)];
                dims.extend(item.into_iter().map(|d| open(self, d)).collect::<Vec<_>>());
                self.push(Instr::New { out, device, dtype, dims: dims.into() });
                Stack::Grown { out }
            }
        }
    }

    fn item_dims(&self, ty: Type) -> Vec<Expr> {
        self.shared.ctx.dim_exprs(ty).map(|d| d.get(1..).unwrap_or_default().to_vec()).unwrap_or_default()
    }

    fn item(&mut self, op: OpId, stack: &Stack, item: ValueId, iv: Symbol) {
        debug_assert!(matches!(self.body.def(item), ValueDef::Result(..) | ValueDef::Argument(..)));
        let from = self.reg(item);
        match *stack {
            Stack::Placed { out, bytes } => {
                let pool = &self.shared.ctx.exprs;
                let offset = self.size(Some(op), pool.mul(pool.var(iv), bytes));
                self.push(Instr::Copy { from, to: out, offset });
            }
            Stack::Grown { out } => {
                self.push(Instr::Push { to: out, from });
            }
        }
    }
}
