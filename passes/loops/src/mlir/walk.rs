//! Loops, conditions and blocks.

use super::core::{Binding, Emit, Emitter, LaneLoop, Reg, Val, type_text};
use super::exprs::LaneForm;
use nim_ir::{BlockId, Expr, OpId, Symbol, ValueId};
use nim_loops::{ForView, LoopKind, tile_shapes};
use std::rc::Rc;

/// Most iterations that are written out, whatever the annotation says.
const UNROLL_LIMIT: i64 = 4096;
/// Widest vector that is made of a loop.
const LANE_LIMIT: i64 = 64;

impl Emitter<'_> {
    /// All ops of a block but its terminator.
    pub fn block(&mut self, block: BlockId) -> Emit<()> {
        for op in self.body.block_ops(block) {
            self.op_of_nest(op)?;
        }
        Ok(())
    }

    pub fn op_of_nest(&mut self, op: OpId) -> Emit<()> {
        self.loc = self.body.loc(op);
        match self.ctx.op_str(self.body.op_name(op)) {
            "loops.yield" => Ok(()),
            "loops.for" => self.with_tiles(op, |emitter| emitter.for_op(op)),
            "loops.if" => self.if_op(op),
            "loops.local" => self.local(self.body.result(op)),
            "loops.load" => {
                let indices = self.indices(op, 1)?;
                let buffer = self.buffer(self.body.operand(op, 0))?;
                let value = self.load(&buffer, &indices)?;
                self.values.insert(self.body.result(op), value);
                Ok(())
            }
            "loops.load_word" => {
                let indices = self.indices(op, 1)?;
                let buffer = self.buffer(self.body.operand(op, 0))?;
                let value = self.load_word(&buffer, &indices)?;
                self.values.insert(self.body.result(op), value);
                Ok(())
            }
            "loops.prefetch" => {
                let indices = self.indices(op, 1)?;
                let buffer = self.buffer(self.body.operand(op, 0))?;
                self.prefetch(&buffer, &indices)
            }
            "loops.dot" => {
                let mut args = vec![];
                for operand in self.body.operands(op) {
                    args.push(self.value(operand)?);
                }
                let [acc, a, b] = args.as_slice() else { return Err(self.error("`loops.dot` takes three numbers")) };
                let value = self.dot(acc, a, b);
                self.values.insert(self.body.result(op), value);
                Ok(())
            }
            "loops.store" => {
                let indices = self.indices(op, 2)?;
                let buffer = self.buffer(self.body.operand(op, 1))?;
                let value = self.value(self.body.operand(op, 0))?;
                self.store(&value, &buffer, &indices)
            }
            "loops.store_word" => {
                let indices = self.indices(op, 2)?;
                let buffer = self.buffer(self.body.operand(op, 1))?;
                let value = self.value(self.body.operand(op, 0))?;
                self.store_word(&value, &buffer, &indices)
            }
            "loops.index" => {
                let expr = self.body.attr_named(self.ctx, op, "expr").and_then(|a| self.ctx.as_expr(a));
                let expr = expr.ok_or_else(|| self.error("`loops.index` without `expr`"))?;
                let value = self.value_of(expr)?;
                self.values.insert(self.body.result(op), value);
                Ok(())
            }
            "loops.tile_zero" | "loops.tile_load" | "loops.tile_dot" | "loops.tile_store" => self.tile_op(op),
            _ => self.scalar_op(op),
        }
    }

    fn value(&self, value: ValueId) -> Emit<Val> {
        self.values.get(&value).cloned().ok_or_else(|| self.error("a value is used before it is made"))
    }

    pub fn buffer(&self, value: ValueId) -> Emit<super::memory::Buffer> {
        self.buffers.get(&value).cloned().ok_or_else(|| self.error("a buffer that is no argument and no local"))
    }

    /// The expressions of an attribute with `$v0, $v1, ...` standing for the operands from `first` on.
    fn exprs_with_operands(&mut self, op: OpId, attr: &str, first: usize) -> Emit<Vec<Expr>> {
        let exprs = self.body.attr_named(self.ctx, op, attr).and_then(|a| self.ctx.as_exprs(a));
        let exprs = exprs.ok_or_else(|| self.error(format!("an op of the nest needs the attribute `{attr}`")))?;
        let operands = self.body.operands(op);
        if operands.len() <= first {
            return Ok(exprs);
        }
        let mut replacements = vec![];
        for (k, &operand) in operands[first..].iter().enumerate() {
            let value = self.value(operand)?;
            let wide = self.widen_index(&value);
            replacements.push((self.ctx.exprs.symbol(&format!("$v{k}")), self.value_symbol(wide)));
        }
        let pool = &self.ctx.exprs;
        let replace = |s: Symbol| replacements.iter().find(|(from, _)| *from == s).map(|(_, to)| *to);
        Ok(exprs.into_iter().map(|e| pool.substitute(e, &mut |s| replace(s))).collect())
    }

    fn widen_index(&mut self, value: &Val) -> Val {
        match value.reg {
            Reg::Int(width) if width < 64 => self.cast("arith.extsi", value, Reg::Int(64)),
            _ => value.clone(),
        }
    }

    fn indices(&mut self, op: OpId, first: usize) -> Emit<Vec<Expr>> {
        self.exprs_with_operands(op, "indices", first)
    }

    fn read_for(&self, op: OpId) -> Emit<ForView> {
        ForView::new(self.ctx, self.body, op).ok_or_else(|| self.error("`loops.for` lacks an attribute"))
    }

    fn for_op(&mut self, op: OpId) -> Emit<()> {
        let f = self.read_for(op)?;
        if f.step <= 0 {
            return Err(self.error("the step of a loop must be positive"));
        }
        let pool = &self.ctx.exprs;
        let (lower, upper) = (self.resolve_bound(f.lower), self.resolve_bound(f.upper));
        let span = self.resolve_bound(pool.sub(upper, lower));
        let trips = pool.as_const(span).map(|n| if n <= 0 { 0 } else { (n - 1) / f.step + 1 });
        match (f.kind, trips) {
            (_, Some(0)) => Ok(()),
            (_, Some(1)) => {
                self.symbols.insert(f.iv, Binding::Alias(lower));
                self.block(f.body)
            }
            (LoopKind::Vector, Some(n)) if self.lane_loop.is_none() && n <= LANE_LIMIT && self.can_be_lanes(&f, op) => {
                let lane = pool.symbol(&format!("lane {}", pool.symbol_name(f.iv)));
                self.facts.set_range(lane, 0, n - 1);
                let at = pool.add(lower, pool.scale(f.step, pool.var(lane)));
                self.symbols.insert(f.iv, Binding::Alias(at));
                self.lane_loop = Some(LaneLoop { count: n as u32, symbol: lane });
                let done = self.block(f.body);
                self.lane_loop = None;
                done
            }
            (LoopKind::Unroll | LoopKind::Vector, Some(n)) if n <= UNROLL_LIMIT => {
                for i in 0..n {
                    let at = pool.add(lower, pool.constant(i * f.step));
                    self.symbols.insert(f.iv, Binding::Alias(at));
                    self.block(f.body)?;
                }
                Ok(())
            }
            _ => {
                let (start, mut end) = (self.uniform(lower)?, self.uniform(upper)?);
                if trips.is_some() && self.waits(op) {
                    end = self.opaque(&end);
                }
                self.loop_over(&f, [&start, &end], [lower, upper], None)
            }
        }
    }

    /// Whether a loop goes over results that wait on the stack, so that registers are free for a long epilogue.
    fn waits(&self, op: OpId) -> bool {
        let loads = self.body.walk_op(op).into_iter().filter(|&o| self.body.is(self.ctx, o, "loops.load"));
        let slots = loads.filter_map(|load| self.body.defining_op(self.body.operand(load, 0)));
        slots
            .filter_map(|slot| self.body.attr_named(self.ctx, slot, "space"))
            .any(|a| self.ctx.as_string(a) == Some("stack"))
    }

    /// A number of which LLVM knows nothing any more. A loop with such an end may run not even once, so LLVM does not move the
    /// constants of its body in front of the loops around it, where they would take the registers of the tile.
    fn opaque(&mut self, value: &Val) -> Val {
        let rhs =
            format!("llvm.inline_asm has_side_effects asm_dialect = att \"\", \"=r,0\" {} : (i64) -> i64", value.name);
        self.fixed(Reg::Int(64), None, &rhs)
    }

    /// A loop from `start` to below `end`. Where it is turned, its iterations come in the other order:
    /// `turned` says whether, and is the sum of the first and the last.
    fn loop_over(
        &mut self,
        f: &ForView,
        [start, end]: [&Val; 2],
        [lower, upper]: [Expr; 2],
        turned: Option<[&Val; 2]>,
    ) -> Emit<()> {
        let step = self.i64(f.step);
        let name = self.fresh();
        self.facts.set_iteration(&self.ctx.exprs, f.iv, lower, upper);
        if self.ctx.exprs.as_const(lower) == Some(0) {
            self.facts.set_divisor(f.iv, f.step);
        }
        self.open();
        let mut iv = Val { name: name.clone(), reg: Reg::Int(64), lanes: None, depth: self.depth() };
        if let Some([turned, sum]) = turned {
            let other = self.op("arith.subi", " overflow<nsw>", &[sum, &iv]);
            iv = self.select(turned, &other, &iv);
        }
        self.symbols.insert(f.iv, Binding::Value(iv));
        let done = self.block(f.body);
        let text = self.close();
        done?;
        self.line(&format!("scf.for {name} = {} to {} step {} : i64 {{", start.name, end.name, step.name));
        self.append(&text);
        self.line("}");
        Ok(())
    }

    /// Iterations `begin..end` of a parallel loop, counted in steps.
    pub fn part_of_loop(&mut self, op: OpId, begin: &Val, end: &Val) -> Emit<()> {
        let f = self.read_for(op)?;
        let (lower, upper) = (self.resolve_bound(f.lower), self.resolve_bound(f.upper));
        let (low, high, step) = (self.uniform(lower)?, self.uniform(upper)?, self.i64(f.step));
        let offset = self.op("arith.muli", " overflow<nsw>", &[begin, &step]);
        let first = self.op("arith.addi", " overflow<nsw>", &[&low, &offset]);
        let last = self.op("arith.muli", " overflow<nsw>", &[end, &step]);
        let behind = self.op("arith.addi", " overflow<nsw>", &[&low, &last]);
        let last = self.op("arith.minsi", "", &[&behind, &high]);
        let (part, bounds) = ([&first, &last], [lower, upper]);
        let turned = match f.turned {
            Some(number) => {
                let (one, zero) = (self.i64(1), self.i64(0));
                let number = self.resolve_bound(number);
                let number = self.uniform(number)?;
                let number = self.op("arith.andi", "", &[&number, &one]);
                let sum = self.op("arith.addi", " overflow<nsw>", &[&first, &behind]);
                Some([self.compare("ne", &number, &zero), self.op("arith.subi", " overflow<nsw>", &[&sum, &step])])
            }
            None => None,
        };
        let turned = turned.as_ref().map(|[turned, sum]| [turned, sum]);
        if tile_shapes(self.ctx, self.body, op).is_none() {
            return self.loop_over(&f, part, bounds, turned);
        }
        // Tile registers are configured by those threads only that have a part.
        let runs = self.compare("slt", &first, &last);
        self.open();
        let done = self.with_tiles(op, |emitter| emitter.loop_over(&f, part, bounds, turned));
        let text = self.close();
        done?;
        self.line(&format!("scf.if {} {{", runs.name));
        self.append(&text);
        self.line("}");
        Ok(())
    }

    fn if_op(&mut self, op: OpId) -> Emit<()> {
        let conditions = self.body.attr_named(self.ctx, op, "conditions").and_then(|a| self.ctx.as_exprs(a));
        let conditions = conditions.ok_or_else(|| self.error("`loops.if` without `conditions`"))?;
        let regions = self.body.regions(op);
        let blocks: Vec<BlockId> = regions.iter().filter_map(|&r| self.body.entry_block(r)).collect();
        let (&then, other) = blocks.split_first().ok_or_else(|| self.error("`loops.if` has no block"))?;
        let other = other.first().copied();
        let (mut uniform, mut varying) = (vec![], vec![]);
        for e in conditions {
            let e = self.resolve(e)?;
            match self.lane_form(e) {
                LaneForm::Uniform(e) => uniform.push(e),
                _ => varying.push(e),
            }
        }
        let never = uniform.iter().any(|&e| self.ctx.exprs.as_const(e).is_some_and(|v| v < 0));
        if never {
            let Some(other) = other else { return Ok(()) };
            self.block(other)?;
            return self.take_yielded(op, other);
        }
        let scalar = self.condition(&uniform)?;
        let vector = self.condition(&varying)?;
        match (scalar, vector) {
            (None, None) => {
                self.block(then)?;
                self.take_yielded(op, then)
            }
            (Some(on), None) => self.branch(op, &on, then, other),
            (scalar, Some(mut on)) => {
                let mut first = (self.mask.is_none() || self.first_on) && scalar.is_none();
                for e in varying {
                    let e = self.resolve(e)?;
                    first = first && self.in_first_lane(e).is_some_and(|e| self.never_negative(e));
                }
                if let Some(scalar) = scalar {
                    on = self.op("arith.andi", "", &[&on, &scalar]);
                }
                self.masked(op, &on, first, then, other)
            }
        }
    }

    fn yielded(&self, block: BlockId) -> Emit<Vec<Val>> {
        let Some(last) = self.body.last_op(block) else { return Ok(vec![]) };
        self.body.operands(last).iter().map(|&v| self.value(v)).collect()
    }

    /// The results of an op are what this block yields.
    fn take_yielded(&mut self, op: OpId, block: BlockId) -> Emit<()> {
        let values = self.yielded(block)?;
        for (&result, value) in self.body.results(op).iter().zip(values) {
            self.values.insert(result, value);
        }
        Ok(())
    }

    /// A condition that is the same for all lanes.
    fn branch(&mut self, op: OpId, on: &Val, then: BlockId, other: Option<BlockId>) -> Emit<()> {
        let mut texts = vec![];
        let mut values: Vec<Vec<Val>> = vec![];
        for block in [Some(then), other].into_iter().flatten() {
            self.open();
            let done = self.block(block);
            let values_here = done.and_then(|()| self.yielded(block));
            texts.push(self.close());
            values.push(values_here?);
        }
        // Both sides agree on lanes; a value that one of them spreads was made inside, so it is spread there.
        let results = self.body.results(op).to_vec();
        let (mut types, mut lanes) = (vec![], vec![]);
        for i in 0..results.len() {
            let n = values.iter().find_map(|side| side.get(i).and_then(|v| v.lanes));
            lanes.push(n);
            types.push(type_text(values[0][i].reg, n));
        }
        let mut header = String::new();
        let names: Vec<Rc<str>> = results.iter().map(|_| self.fresh()).collect();
        if !results.is_empty() {
            header = format!("{} = ", names.join(", "));
        }
        let arrow = if results.is_empty() { String::new() } else { format!(" -> ({})", types.join(", ")) };
        self.line(&format!("{header}scf.if {} {arrow} {{", on.name));
        for (side, (text, values)) in texts.iter().zip(&values).enumerate() {
            if side == 1 {
                self.line("} else {");
            }
            self.append(text);
            if results.is_empty() {
                continue;
            }
            let mut out = vec![];
            for (value, &lanes) in values.iter().zip(&lanes) {
                out.push(match (value.lanes, lanes) {
                    (None, Some(_)) => {
                        let (ty, name) = (type_text(value.reg, lanes), self.fresh());
                        self.line(&format!("  {name} = vector.broadcast {} : {} to {ty}", value.name, value.ty()));
                        name
                    }
                    _ => value.name.clone(),
                });
            }
            self.line(&format!("  scf.yield {} : {}", out.join(", "), types.join(", ")));
        }
        self.line("}");
        let depth = self.depth();
        for (i, &result) in results.iter().enumerate() {
            let value = Val { name: names[i].clone(), reg: values[0][i].reg, lanes: lanes[i], depth };
            self.values.insert(result, value);
        }
        Ok(())
    }

    /// A condition that differs from lane to lane: both sides run, each for its lanes.
    fn masked(&mut self, op: OpId, on: &Val, first: bool, then: BlockId, other: Option<BlockId>) -> Emit<()> {
        let (outer, outer_first) = (self.mask.clone(), self.first_on);
        let within = |emitter: &mut Self, mask: &Val| match &outer {
            None => mask.clone(),
            Some(outer) => emitter.op("arith.andi", "", &[outer, mask]),
        };
        self.mask = Some(within(self, on));
        self.first_on = first;
        let done = self.block(then);
        self.mask = outer.clone();
        self.first_on = false;
        if done.is_err() || other.is_none() {
            self.first_on = outer_first;
        }
        done?;
        let Some(other) = other else { return Ok(()) };
        let yes = self.yielded(then)?;
        let truth = self.int(1, 1, on.lanes);
        let off = self.op("arith.xori", "", &[on, &truth]);
        self.mask = Some(within(self, &off));
        let done = self.block(other);
        self.mask = outer;
        self.first_on = outer_first;
        done?;
        let no = self.yielded(other)?;
        for ((&result, yes), no) in self.body.results(op).to_vec().iter().zip(&yes).zip(&no) {
            let value = self.select(on, yes, no);
            self.values.insert(result, value);
        }
        Ok(())
    }

    /// Whether iterations may run as lanes: every store goes to another place in each of them (or to a local of the
    /// iteration), and bounds of inner loops are the same for all.
    fn can_be_lanes(&self, f: &ForView, op: OpId) -> bool {
        let (ctx, pool) = (self.ctx, &self.ctx.exprs);
        let mut varying = vec![f.iv];
        for inner in self.body.walk_op(op).into_iter().skip(1) {
            match ctx.op_str(self.body.op_name(inner)) {
                "loops.for" => {
                    let Ok(g) = self.read_for(inner) else { return false };
                    let span = pool.sub(g.upper, g.lower);
                    if varying.iter().any(|&v| pool.mentions(span, v)) {
                        return false;
                    }
                    if varying.iter().any(|&v| pool.mentions(g.lower, v)) {
                        if matches!(g.kind, LoopKind::Seq | LoopKind::Parallel) {
                            return false;
                        }
                        varying.push(g.iv);
                    }
                }
                "loops.store" | "loops.store_word" => {
                    let buffer = self.body.operand(inner, 1);
                    let own = self.body.defining_op(buffer).is_some_and(|d| self.body.is_inside(d, op));
                    let indices = self.body.attr_named(ctx, inner, "indices").and_then(|a| ctx.as_exprs(a));
                    let differs = self.body.operand_count(inner) > 2
                        || indices
                            .is_some_and(|list| list.iter().any(|&e| varying.iter().any(|&v| pool.mentions(e, v))));
                    if !own && !differs {
                        return false;
                    }
                }
                _ => {}
            }
        }
        true
    }
}
