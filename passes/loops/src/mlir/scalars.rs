//! Ops of upstream's `arith` and `math` on scalars or vectors.
//!
//! Short floats compute in `f32` and are rounded where the IR says so (`arith.truncf` and integer conversions), not
//! after every operation. Integer division never traps: by zero it gives 0, and the smallest number by -1 wraps.

use super::core::{Emit, Emitter, Reg, Val};
use super::math_expand;
use nim_builtin::arith::{CMPF_PREDICATES, CMPI_PREDICATES};
use nim_ir::{AttrData, OpId, Type, TypeData};

impl Emitter<'_> {
    /// One op with one result.
    pub fn scalar_op(&mut self, op: OpId) -> Emit<()> {
        let name = self.ctx.op_str(self.body.op_name(op)).to_owned();
        let &[result] = self.body.results(op) else {
            return Err(self.error(format!("`{name}` cannot be part of a kernel")));
        };
        let ty = self.body.ty(result);
        let mut operands = vec![];
        for value in self.body.operands(op) {
            match self.values.get(&value) {
                Some(v) => operands.push(v.clone()),
                None => return Err(self.error(format!("`{name}` uses a value that no op before it makes"))),
            }
        }
        let args: Vec<&Val> = operands.iter().collect();
        let value = self.compute(op, &name, ty, &args)?;
        self.values.insert(result, value);
        Ok(())
    }

    fn compute(&mut self, op: OpId, name: &str, ty: Type, args: &[&Val]) -> Emit<Val> {
        let to = self.reg(ty)?;
        let source = self.body.operands(op).first().map(|&v| self.body.ty(v));
        Ok(match (name, args) {
            ("arith.constant", []) => self.constant(op, ty, to)?,
            ("arith.divf", [x, _]) => match self.quotient(op, x) {
                Some(quotient) => quotient,
                None => self.fop(name, args),
            },
            ("arith.addf" | "arith.subf" | "arith.mulf", [_, _]) | ("arith.negf", [_]) => self.fop(name, args),
            ("arith.remf", [_, _]) => self.op(name, "", args),
            ("arith.maximumf" | "arith.minimumf", [a, b]) => self.float_extremum(op, name, a, b),
            ("arith.maxnumf" | "arith.minnumf", [_, _]) => self.op(name, "", args),
            (
                "arith.addi" | "arith.subi" | "arith.muli" | "arith.andi" | "arith.ori" | "arith.xori" | "arith.maxsi"
                | "arith.minsi" | "arith.maxui" | "arith.minui",
                [_, _],
            ) => self.op(name, "", args),
            ("arith.shli" | "arith.shrsi" | "arith.shrui", [a, b]) => self.shift(name, a, b),
            (
                "arith.divsi" | "arith.divui" | "arith.remsi" | "arith.remui" | "arith.floordivsi" | "arith.ceildivsi"
                | "arith.ceildivui",
                [a, b],
            ) => self.safe_division(name, a, b),
            ("arith.cmpi", [a, b]) => {
                let predicate = self.predicate(op, &CMPI_PREDICATES)?;
                self.compare(predicate, a, b)
            }
            ("arith.cmpf", [a, b]) => {
                let predicate = self.predicate(op, &CMPF_PREDICATES)?;
                self.compare(predicate, a, b)
            }
            ("arith.select", [c, a, b]) => self.select(c, a, b),
            ("arith.extsi" | "arith.extui" | "arith.trunci", [a]) => self.cast(name, a, to),
            ("arith.index_cast" | "arith.index_castui", [a]) => self.resize(a, to, name == "arith.index_cast"),
            ("arith.sitofp" | "arith.uitofp", [a]) => {
                let wide = self.cast(name, a, to);
                self.round_short(ty, &wide)?
            }
            ("arith.fptosi" | "arith.fptoui", [a]) => match self.converted(op, to) {
                Some(rounded) => rounded,
                None => self.float_to_int(name == "arith.fptosi", a, to),
            },
            ("arith.extf", [a]) => self.cast(name, a, to),
            ("arith.truncf", [a]) => {
                let value = self.cast(name, a, to);
                self.round_short(ty, &value)?
            }
            ("arith.bitcast", [a]) => self.bitcast(source, ty, to, a)?,
            ("math.isnan", [a]) => self.compare("uno", a, a),
            ("math.isinf", [a]) => {
                let magnitude = self.op("math.absf", "", &[a]);
                let infinity = self.float(f64::INFINITY, a.reg, None);
                self.compare("oeq", &magnitude, &infinity)
            }
            ("math.isfinite", [a]) => {
                let magnitude = self.op("math.absf", "", &[a]);
                let infinity = self.float(f64::INFINITY, a.reg, None);
                self.compare("olt", &magnitude, &infinity)
            }
            ("math.rsqrt", [a]) => {
                let (one, root) = (self.float(1.0, a.reg, None), self.op("math.sqrt", "", &[a]));
                self.fop("arith.divf", &[&one, &root])
            }
            ("math.clampf", [x, low, high]) => {
                let x = self.op("arith.maximumf", "", &[x, low]);
                self.op("arith.minimumf", "", &[&x, high])
            }
            (_, [_, ..]) if name.starts_with("math.") => match math_expand::expand(self, name, args) {
                Some(value) => value,
                None if to == args[0].reg => self.op(name, "", args),
                None => return Err(self.error(format!("`{name}` cannot be part of a kernel"))),
            },
            _ => return Err(self.error(format!("`{name}` cannot be part of a kernel"))),
        })
    }

    /// `maximumf`: NaN if one is NaN, and +0 above -0. x86's own `max` gives its second operand for NaN and for equal ones, so without a
    /// constant at hand both have to be looked at; LLVM knows how. Where zeros may be either only the first is looked at: the newer one
    /// of a reduction, which does not wait for those before.
    fn float_extremum(&mut self, op: OpId, name: &str, a: &Val, b: &Val) -> Val {
        match self.body.attr_named(self.ctx, op, nim_loops::ANY_ZERO) {
            Some(_) => self.op(name, " fastmath<nsz>", &[b, a]),
            None => self.op(name, "", &[a, b]),
        }
    }

    fn predicate(&self, op: OpId, names: &[&'static str]) -> Emit<&'static str> {
        let attr = self.body.attr_named(self.ctx, op, "predicate");
        let by_number = attr.and_then(|a| self.ctx.as_int(a)).and_then(|p| names.get(usize::try_from(p).ok()?));
        let by_name = attr.and_then(|a| self.ctx.as_string(a)).and_then(|n| names.iter().find(|x| **x == n));
        by_number.or(by_name).copied().ok_or_else(|| self.error("a comparison without a predicate"))
    }

    fn constant(&mut self, op: OpId, ty: Type, to: Reg) -> Emit<Val> {
        let attr = self.body.attr_named(self.ctx, op, "value").map(|a| self.ctx.attr_data(a));
        Ok(match (attr, to) {
            (Some(AttrData::Int { value, .. }), Reg::Int(width)) => self.int(*value, width, None),
            (Some(AttrData::Bool(b)), Reg::Int(width)) => self.int(i128::from(*b), width, None),
            (Some(AttrData::Float { bits, .. }), Reg::F32 | Reg::F64) => self.float(f64::from_bits(*bits), to, None),
            (Some(AttrData::Int { value, .. }), Reg::F32 | Reg::F64) => self.float(*value as f64, to, None),
            _ => {
                let name = self.ctx.display_type(ty);
                return Err(self.error(format!("a constant of type {name} cannot be part of a kernel")));
            }
        })
    }

    fn round_short(&mut self, ty: Type, value: &Val) -> Emit<Val> {
        match self.ctx.type_data(ty) {
            TypeData::Float(kind) if kind.bits() < 32 => self.round_to(*kind, value),
            _ => Ok(value.clone()),
        }
    }

    fn resize(&mut self, a: &Val, to: Reg, signed: bool) -> Val {
        match a.reg.bits().cmp(&to.bits()) {
            std::cmp::Ordering::Equal => a.clone(),
            std::cmp::Ordering::Greater => self.cast("arith.trunci", a, to),
            _ => self.cast(if signed { "arith.extsi" } else { "arith.extui" }, a, to),
        }
    }

    /// Narrow integers go through `i32`, as C does it: what is out of range keeps its low bits.
    fn float_to_int(&mut self, signed: bool, a: &Val, to: Reg) -> Val {
        match to.bits() {
            1 => {
                let zero = self.float(0.0, a.reg, None);
                self.compare("une", a, &zero)
            }
            bits if bits < 32 => {
                let wide = self.cast("arith.fptosi", a, Reg::Int(32));
                self.cast("arith.trunci", &wide, to)
            }
            32 if !signed => {
                let wide = self.cast("arith.fptosi", a, Reg::Int(64));
                self.cast("arith.trunci", &wide, to)
            }
            64 if !signed => {
                // In two halves, as C does it: below zero the low bits stay, where `fptoui` has no meaning.
                let limit = self.float(9_223_372_036_854_775_808.0, a.reg, None);
                let large = self.compare("oge", a, &limit);
                let less = self.op("arith.subf", "", &[a, &limit]);
                let x = self.select(&large, &less, a);
                let low = self.cast("arith.fptosi", &x, to);
                let top = self.int(i64::MIN.into(), 64, None);
                let high = self.op("arith.xori", "", &[&low, &top]);
                self.select(&large, &high, &low)
            }
            _ => self.cast("arith.fptosi", a, to),
        }
    }

    /// Short floats are reinterpreted by way of what memory holds of them.
    fn bitcast(&mut self, source: Option<Type>, ty: Type, to: Reg, a: &Val) -> Emit<Val> {
        let short = |ty: Option<Type>| match ty.map(|t| self.ctx.type_data(t)) {
            Some(TypeData::Float(kind)) if kind.bits() < 32 => Some(*kind),
            _ => None,
        };
        Ok(match (short(source), short(Some(ty))) {
            (None, None) => self.cast("arith.bitcast", a, to),
            (from, into) => {
                let bits = match from {
                    Some(kind) => self.short_bits(kind, a)?,
                    None => a.clone(),
                };
                match into {
                    Some(kind) => self.short_of_bits(kind, &bits)?,
                    None => self.resize(&bits, to, false),
                }
            }
        })
    }

    /// A shift by the width or more gives 0 (or all sign bits) rather than nothing defined.
    fn shift(&mut self, name: &str, a: &Val, b: &Val) -> Val {
        let width = a.reg.bits();
        let (limit, last) = (self.int(width.into(), width, None), self.int(i128::from(width) - 1, width, None));
        let inside = self.compare("ult", b, &limit);
        let by = self.select(&inside, b, &last);
        let shifted = self.op(name, "", &[a, &by]);
        if name == "arith.shrsi" {
            return shifted;
        }
        let zero = self.int(0, width, None);
        self.select(&inside, &shifted, &zero)
    }

    fn safe_division(&mut self, name: &str, a: &Val, b: &Val) -> Val {
        let Reg::Int(width) = b.reg else { return self.op(name, "", &[a, b]) };
        let (zero, one, minus) = (self.int(0, width, None), self.int(1, width, None), self.int(-1, width, None));
        let signed = name.ends_with("si");
        let by_zero = self.compare("eq", b, &zero);
        let mut safe = self.select(&by_zero, &one, b);
        let by_minus = signed.then(|| self.compare("eq", b, &minus));
        if let Some(by_minus) = &by_minus {
            safe = self.select(by_minus, &one, &safe);
        }
        let remainder = matches!(name, "arith.remsi" | "arith.remui");
        let mut result = match name {
            "arith.floordivsi" | "arith.ceildivsi" | "arith.ceildivui" => self.rounded_division(name, a, &safe),
            _ => self.op(name, "", &[a, &safe]),
        };
        if let Some(by_minus) = by_minus {
            let exact = if remainder { zero.clone() } else { self.op("arith.subi", "", &[&zero, a]) };
            result = self.select(&by_minus, &exact, &result);
        }
        self.select(&by_zero, &zero, &result)
    }

    fn rounded_division(&mut self, name: &str, a: &Val, b: &Val) -> Val {
        let Reg::Int(width) = b.reg else { return a.clone() };
        let (zero, one) = (self.int(0, width, None), self.int(1, width, None));
        let (div, rem) =
            if name.ends_with("ui") { ("arith.divui", "arith.remui") } else { ("arith.divsi", "arith.remsi") };
        let (quotient, rest) = (self.op(div, "", &[a, b]), self.op(rem, "", &[a, b]));
        let uneven = self.compare("ne", &rest, &zero);
        let adjust = if name == "arith.ceildivui" {
            uneven
        } else {
            let signs = self.op("arith.xori", "", &[&rest, b]);
            let predicate = if name == "arith.floordivsi" { "slt" } else { "sge" };
            let side = self.compare(predicate, &signs, &zero);
            self.op("arith.andi", "", &[&uneven, &side])
        };
        let op = if name == "arith.floordivsi" { "arith.subi" } else { "arith.addi" };
        let moved = self.op(op, "", &[&quotient, &one]);
        self.select(&adjust, &moved, &quotient)
    }
}
