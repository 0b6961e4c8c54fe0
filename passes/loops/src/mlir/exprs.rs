//! Symbolic expressions as `i64` arithmetic.

use super::core::{Binding, Emit, Emitter, Reg, Val};
use nim_expr::ExprNode;
use nim_ir::{Expr, Symbol};

/// How an expression depends on the lane.
pub(super) enum LaneForm {
    /// It does not.
    Uniform(Expr),
    /// `step * lane + rest`.
    Linear {
        /// The constant step.
        step: i64,
        /// What does not depend on the lane.
        rest: Expr,
    },
    /// In any other way.
    Other(Expr),
}

impl Emitter<'_> {
    /// The expression with the variables of unrolled and vector loops replaced. What depends on the lane is simplified, so
    /// that it becomes linear where it is; parts that do not are hidden behind a symbol before, since simplification
    /// costs more the longer an expression is.
    pub fn resolve(&mut self, e: Expr) -> Emit<Expr> {
        let current = self.replace_aliases(e);
        if !self.varies(current) {
            return Ok(current);
        }
        if let Some(&done) = self.resolved.get(&current) {
            return Ok(done);
        }
        let mut done = current;
        if self.has_varying_division(current) {
            let short = self.hide_uniform(current)?;
            done = self.ctx.exprs.simplify(short, &self.facts);
            self.resolved.insert(current, done);
        }
        Ok(done)
    }

    fn replace_aliases(&self, e: Expr) -> Expr {
        let pool = &self.ctx.exprs;
        let mut current = e;
        // Bounds of an inner unrolled loop may mention the variable of an outer one.
        loop {
            let next = pool.substitute(current, &mut |s| match self.symbols.get(&s) {
                Some(Binding::Alias(to)) => Some(*to),
                _ => None,
            });
            if next == current {
                return current;
            }
            current = next;
        }
    }

    /// As [`Emitter::resolve`], simplified in any case: for the bounds of loops.
    pub fn resolve_bound(&self, e: Expr) -> Expr {
        let current = self.replace_aliases(e);
        let pool = &self.ctx.exprs;
        if pool.as_const(current).is_some() { current } else { pool.simplify(current, &self.facts) }
    }

    /// Whether `e >= 0` is known.
    pub fn never_negative(&mut self, e: Expr) -> bool {
        let pool = &self.ctx.exprs;
        if let Some(v) = pool.as_const(e) {
            return v >= 0;
        }
        match self.proved.get(&e) {
            Some(&known) => known,
            None => {
                let known = pool.prove_le(Expr::ZERO, e, &self.facts);
                self.proved.insert(e, known);
                known
            }
        }
    }

    fn has_varying_division(&self, e: Expr) -> bool {
        let pool = &self.ctx.exprs;
        let mut list = vec![e];
        while let Some(e) = list.pop() {
            match pool.node(e) {
                ExprNode::Sum(parts) | ExprNode::Product(parts) => list.extend_from_slice(parts),
                ExprNode::Const(_) | ExprNode::Symbol(_) => {}
                _ if self.varies(e) => return true,
                _ => {}
            }
        }
        false
    }

    /// Divisions, minima and maxima that are the same in all lanes, replaced by symbols of their values.
    fn hide_uniform(&mut self, e: Expr) -> Emit<Expr> {
        let pool = &self.ctx.exprs;
        let mut sum = Expr::ZERO;
        for (k, monomial) in pool.terms(e) {
            let factors: Vec<Expr> = match pool.node(monomial) {
                ExprNode::Product(factors) => factors.to_vec(),
                _ => vec![monomial],
            };
            let mut product = pool.constant(k);
            for factor in factors {
                let hidden = match pool.node(factor) {
                    ExprNode::Const(_) | ExprNode::Symbol(_) => factor,
                    _ if self.varies(factor) => factor,
                    _ => {
                        let value = self.uniform(factor)?;
                        self.value_symbol(value)
                    }
                };
                product = pool.mul(product, hidden);
            }
            sum = pool.add(sum, product);
        }
        Ok(sum)
    }

    fn varies(&self, e: Expr) -> bool {
        let pool = &self.ctx.exprs;
        self.lane_loop.is_some_and(|l| {
            pool.symbols(e).iter().any(|s| *s == l.symbol || matches!(self.symbols.get(s), Some(Binding::Lanes(_))))
        })
    }

    /// How a resolved expression depends on the lane.
    pub fn lane_form(&self, e: Expr) -> LaneForm {
        let pool = &self.ctx.exprs;
        let Some(lane) = self.lane_loop.filter(|_| self.varies(e)) else { return LaneForm::Uniform(e) };
        match pool.linear_in(e, lane.symbol) {
            Some((step, rest)) if !self.varies(rest) => match pool.as_const(step) {
                Some(step) => LaneForm::Linear { step, rest },
                None => LaneForm::Other(e),
            },
            _ => LaneForm::Other(e),
        }
    }

    /// A resolved expression as the first lane sees it, if it depends on nothing else that differs.
    pub fn in_first_lane(&self, e: Expr) -> Option<Expr> {
        let lane = self.lane_loop?.symbol;
        let first = self.ctx.exprs.substitute(e, &mut |s| (s == lane).then_some(Expr::ZERO));
        (!self.varies(first)).then_some(first)
    }

    /// A resolved expression as one lane sees it.
    pub fn in_lane(&mut self, e: Expr, lane: u32) -> Emit<Expr> {
        let pool = &self.ctx.exprs;
        let Some(lanes) = self.lane_loop else { return Ok(e) };
        let vectors: Vec<(Symbol, Val)> = pool
            .symbols(e)
            .iter()
            .filter_map(|s| match self.symbols.get(s) {
                Some(Binding::Lanes(v)) => Some((*s, v.clone())),
                _ => None,
            })
            .collect();
        let mut scalars = vec![];
        for (symbol, vector) in vectors {
            let value = self.lane(&vector, lane);
            scalars.push((symbol, self.value_symbol(value)));
        }
        let number = pool.constant(lane.into());
        let e = pool.substitute(e, &mut |s| {
            if s == lanes.symbol {
                return Some(number);
            }
            scalars.iter().find(|(from, _)| *from == s).map(|(_, to)| *to)
        });
        self.resolve(e)
    }

    /// A value as a symbol of expressions; named after the value, so that it is the same again.
    pub fn value_symbol(&mut self, value: Val) -> Expr {
        let symbol = self.ctx.exprs.symbol(&format!("value {}", value.name));
        // An index operand may be anything, a negative number too.
        self.facts.set_min(symbol, None);
        let binding = if value.lanes.is_some() { Binding::Lanes(value) } else { Binding::Value(value) };
        self.symbols.insert(symbol, binding);
        self.ctx.exprs.var(symbol)
    }

    /// The depth at which all symbols of a resolved, uniform expression are known.
    pub fn expr_depth(&self, e: Expr) -> usize {
        self.ctx
            .exprs
            .symbols(e)
            .iter()
            .map(|s| match self.symbols.get(s) {
                Some(Binding::Value(v) | Binding::Lanes(v)) => v.depth,
                _ => 0,
            })
            .max()
            .unwrap_or(0)
    }

    /// A resolved expression that is the same in all lanes.
    pub fn uniform(&mut self, e: Expr) -> Emit<Val> {
        let pool = &self.ctx.exprs;
        match pool.node(e) {
            ExprNode::Const(v) => Ok(self.i64(v)),
            ExprNode::Symbol(s) => match self.symbols.get(&s) {
                Some(Binding::Value(v)) => Ok(v.clone()),
                _ => Err(self.error(format!("the symbol `{}` is not known in this kernel", pool.symbol_name(s)))),
            },
            ExprNode::Sum(terms) => self.chain("arith.addi", terms),
            ExprNode::Product(factors) => self.chain("arith.muli", factors),
            ExprNode::FloorDiv(a, b) => self.divide(a, b, Division::Floor),
            ExprNode::CeilDiv(a, b) => self.divide(a, b, Division::Ceil),
            ExprNode::Mod(a, b) => self.divide(a, b, Division::Mod),
            ExprNode::Min(list) => self.extremum("arith.minsi", list),
            ExprNode::Max(list) => self.extremum("arith.maxsi", list),
            ExprNode::Invalid(kind) => Err(self.error(format!("an index of the kernel has no value: {kind}"))),
        }
    }

    /// Sums and products, the outermost operands first, so that as much as possible leaves the loops.
    fn chain(&mut self, op: &str, operands: &[Expr]) -> Emit<Val> {
        let mut sorted: Vec<(usize, Expr)> = operands.iter().map(|&e| (self.expr_depth(e), e)).collect();
        sorted.sort_by_key(|&(depth, _)| depth);
        let mut acc: Option<Val> = None;
        for (_, e) in sorted {
            let value = self.uniform(e)?;
            acc = Some(match acc {
                None => value,
                Some(a) => self.op(op, " overflow<nsw>", &[&a, &value]),
            });
        }
        acc.ok_or_else(|| self.error("an empty expression"))
    }

    fn extremum(&mut self, op: &str, operands: &[Expr]) -> Emit<Val> {
        let mut sorted: Vec<(usize, Expr)> = operands.iter().map(|&e| (self.expr_depth(e), e)).collect();
        sorted.sort_by_key(|&(depth, _)| depth);
        let mut acc: Option<Val> = None;
        for (_, e) in sorted {
            let value = self.uniform(e)?;
            acc = Some(match acc {
                None => value,
                Some(a) => self.op(op, "", &[&a, &value]),
            });
        }
        acc.ok_or_else(|| self.error("an empty expression"))
    }

    fn divide(&mut self, a: Expr, b: Expr, what: Division) -> Emit<Val> {
        let pool = &self.ctx.exprs;
        let (x, y) = (self.uniform(a)?, self.uniform(b)?);
        let positive = self.never_negative(pool.sub(b, Expr::ONE));
        // A dimension may be 0 where nothing divides by it in truth; hoisted division must not trap.
        let y = match pool.as_const(b) {
            Some(_) => y,
            None => {
                let one = self.i64(1);
                let zero = self.i64(0);
                let is_zero = self.compare("eq", &y, &zero);
                self.select(&is_zero, &one, &y)
            }
        };
        if positive && self.never_negative(a) {
            return Ok(match what {
                Division::Floor => self.op("arith.divui", "", &[&x, &y]),
                Division::Mod => self.op("arith.remui", "", &[&x, &y]),
                Division::Ceil => {
                    let one = self.i64(1);
                    let less = self.op("arith.subi", "", &[&y, &one]);
                    let sum = self.op("arith.addi", "", &[&x, &less]);
                    self.op("arith.divui", "", &[&sum, &y])
                }
            });
        }
        if matches!(what, Division::Ceil) {
            // ceil(x / y) = -floor(-x / y)
            let zero = self.i64(0);
            let minus = self.op("arith.subi", "", &[&zero, &x]);
            let floor = self.floor(&minus, &y, Division::Floor);
            return Ok(self.op("arith.subi", "", &[&zero, &floor]));
        }
        Ok(self.floor(&x, &y, what))
    }

    /// Floor division and remainder of any signs from the truncating ones.
    fn floor(&mut self, x: &Val, y: &Val, what: Division) -> Val {
        let zero = self.i64(0);
        let rest = self.op("arith.remsi", "", &[x, y]);
        let uneven = self.compare("ne", &rest, &zero);
        let signs = self.op("arith.xori", "", &[&rest, y]);
        let differ = self.compare("slt", &signs, &zero);
        let adjust = self.op("arith.andi", "", &[&uneven, &differ]);
        match what {
            Division::Mod => {
                let moved = self.op("arith.addi", "", &[&rest, y]);
                self.select(&adjust, &moved, &rest)
            }
            _ => {
                let quotient = self.op("arith.divsi", "", &[x, y]);
                let one = self.i64(1);
                let lower = self.op("arith.subi", "", &[&quotient, &one]);
                self.select(&adjust, &lower, &quotient)
            }
        }
    }

    /// An expression as a value, a vector where it depends on the lane.
    pub fn value_of(&mut self, e: Expr) -> Emit<Val> {
        let e = self.resolve(e)?;
        match self.lane_form(e) {
            LaneForm::Uniform(e) => self.uniform(e),
            LaneForm::Linear { step, rest } => {
                let lanes = self.lane_loop.map_or(1, |l| l.count);
                let (rest, steps) = (self.uniform(rest)?, self.steps(step, lanes));
                Ok(self.op("arith.addi", "", &[&rest, &steps]))
            }
            LaneForm::Other(e) => {
                let lanes = self.lane_loop.map_or(1, |l| l.count);
                let mut scalars = vec![];
                for lane in 0..lanes {
                    let scalar = self.in_lane(e, lane)?;
                    scalars.push(self.uniform(scalar)?);
                }
                Ok(self.join_lanes(&scalars))
            }
        }
    }

    /// `e >= 0` for all of these; `None` when that is known to hold.
    pub fn condition(&mut self, exprs: &[Expr]) -> Emit<Option<Val>> {
        let zero = self.i64(0);
        let mut acc: Option<Val> = None;
        for &e in exprs {
            let e = self.resolve(e)?;
            if self.never_negative(e) {
                continue;
            }
            let value = self.value_of(e)?;
            debug_assert_eq!(value.reg, Reg::Int(64));
            let holds = self.compare("sge", &value, &zero);
            acc = Some(match acc {
                None => holds,
                Some(a) => self.op("arith.andi", "", &[&a, &holds]),
            });
        }
        Ok(acc)
    }
}

#[derive(Clone, Copy)]
enum Division {
    Floor,
    Ceil,
    Mod,
}
