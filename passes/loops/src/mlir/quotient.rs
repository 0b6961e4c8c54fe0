//! What quantisation does last: a quotient without a division, a conversion that rounds.
//!
//! With `r` the nearest number to `1/s`, `q = x*r`, `e = x - q*s` in one rounding and `q + e*r` in one rounding is the nearest
//! number to `x/s`: P. Markstein, *Computation of elementary functions on the IBM RISC System/6000 processor* (1990), theorem on
//! division; N. Brisebarre, J.-M. Muller and S. K. Raina, *Accelerating correctly rounded floating-point division when the divisor
//! is known in advance* (2004). That takes three operations of a cycle each where a division of 16 lanes takes 10 to 16.
//! The quotient is NaN for infinite `x`, without the sign of a zero and, below the normal numbers, a bit; so it is used only where `x` is bounded and
//! the quotient is rounded to an integer that is added to or converted.

use super::core::{Emitter, Reg, Val, type_text};
use nim_builtin::arith::bounded;
use nim_ir::{OpId, ValueId};

/// Divisors with which no step overflows or is below the normal numbers but where the quotient rounds to 0.
const PLAIN: std::ops::Range<f64> = 1e-15..1e15;

impl Emitter<'_> {
    /// The quotient `arith.divf`, if three multiplications give the same.
    pub(super) fn quotient(&mut self, op: OpId, x: &Val) -> Option<Val> {
        if !self.target.fma || x.reg != Reg::F32 {
            return None;
        }
        let [dividend, divisor] = self.body.operands(op).as_slice().try_into().ok()?;
        let scale = self.number(divisor).filter(|s| PLAIN.contains(s))?;
        if !self.is_bounded(dividend) || !self.only_rounded(self.body.result(op)) {
            return None;
        }
        let reciprocal = self.float(f64::from(1.0 / scale as f32), Reg::F32, None);
        let minus_scale = self.float(-scale, Reg::F32, None);
        let estimate = self.op("arith.mulf", "", &[x, &reciprocal]);
        let rest = self.op("math.fma", "", &[&estimate, &minus_scale, x]);
        Some(self.op("math.fma", "", &[&rest, &reciprocal, &estimate]))
    }

    /// The conversion of a rounded number to `i32`, if the machine rounds to nearest when it converts.
    pub(super) fn converted(&mut self, op: OpId, to: Reg) -> Option<Val> {
        let rounded = self.made_by(self.body.operand(op, 0), "math.roundeven")?;
        let x = self.values.get(&self.body.operand(rounded, 0)).filter(|x| x.reg == Reg::F32)?.clone();
        if to.bits() > 32 || to.bits() == 1 || to.bits() == 32 && self.body.is(self.ctx, op, "arith.fptoui") {
            return None;
        }
        let wide = type_text(Reg::Int(32), x.lanes);
        let rhs = format!("llvm.intr.lrint({}) : ({}) -> {wide}", x.name, x.ty());
        let wide = self.pure(Reg::Int(32), x.lanes, &[&x], rhs);
        Some(if to.bits() < 32 { self.cast("arith.trunci", &wide, to) } else { wide })
    }

    fn made_by(&self, v: ValueId, name: &str) -> Option<OpId> {
        self.body.defining_op(v).filter(|&op| self.body.is(self.ctx, op, name))
    }

    fn number(&self, v: ValueId) -> Option<f64> {
        let op = self.made_by(v, "arith.constant")?;
        self.ctx.as_float(self.body.attr_named(self.ctx, op, "value")?)
    }

    /// `select(y < high, y, high)` of `y = select(x > low, x, low)`, with bounds that no quotient by a plain divisor makes infinite.
    fn is_bounded(&self, v: ValueId) -> bool {
        let bounded = |v: ValueId, predicate: &str| {
            let (x, bound) = bounded(self.ctx, self.body, v, predicate)?;
            (self.number(bound)?.abs() < 1e20).then_some(x)
        };
        bounded(v, "olt").and_then(|v| bounded(v, "ogt")).is_some()
    }

    /// Whether all that is done with a value is to round it and then add to it, other than -0, or convert it.
    fn only_rounded(&self, v: ValueId) -> bool {
        let blind_to_zeros = |v: ValueId| {
            self.body.uses(v).into_iter().all(|one| {
                let operands = self.body.operands(one.op);
                match self.ctx.op_str(self.body.op_name(one.op)) {
                    "arith.fptosi" | "arith.fptoui" => true,
                    "arith.addf" => {
                        operands.iter().any(|&k| self.number(k).is_some_and(|k| k != 0.0 || k.is_sign_positive()))
                    }
                    _ => false,
                }
            })
        };
        self.body
            .uses(v)
            .into_iter()
            .all(|one| self.body.is(self.ctx, one.op, "math.roundeven") && blind_to_zeros(self.body.result(one.op)))
    }
}

#[cfg(test)]
mod tests {
    /// All mantissas of dividends, a few of divisors.
    #[test]
    fn three_multiplications_divide() {
        for scale in [1.0 / 255.0, 0.012_709_772, 0.023_528_5, 1.999_999_9, 1.000_000_1, 3.0e-7_f32] {
            let reciprocal = 1.0 / scale;
            for mantissa in (0..1 << 23).step_by(3) {
                let x = f32::from_bits(0x3F80_0000 | mantissa);
                let estimate = x * reciprocal;
                let rest = estimate.mul_add(-scale, x);
                assert_eq!(rest.mul_add(reciprocal, estimate), x / scale, "{x:e} / {scale:e}");
            }
        }
    }
}
