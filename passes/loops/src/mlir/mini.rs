//! 8-bit and narrower floats: one byte each in memory, `f32` in registers.
//!
//! Reading is exact. Writing rounds once, half to even; what is too large becomes infinity, or NaN where the format has no
//! infinity, or the largest value where it has neither. Who wants saturation clamps before. The formats are those of "FP8 Formats for Deep Learning" (arXiv 2209.05433), "8-bit Numerical Formats For Deep
//! Neural Networks" (arXiv 2206.02915) and the OCP microscaling specification.

use super::core::{Emit, Emitter, Reg, Val};
use nim_ir::FloatKind;

/// What a format does with the codes that IEEE reserves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Specials {
    /// Infinities and NaNs under the all-ones exponent.
    Ieee,
    /// No infinity; NaN is all ones but the sign.
    Fn,
    /// No infinity, no negative zero, whose code is the only NaN.
    Fnuz,
    /// Neither infinity nor NaN.
    Finite,
}

#[derive(Clone, Copy)]
struct Format {
    exponent: u32,
    mantissa: u32,
    bias: i32,
    specials: Specials,
}

impl Format {
    fn of(kind: FloatKind) -> Option<Format> {
        use Specials::{Finite, Fn, Fnuz, Ieee};
        let (exponent, mantissa, bias, specials) = match kind {
            FloatKind::F8E5M2 => (5, 2, 15, Ieee),
            FloatKind::F8E4M3 => (4, 3, 7, Ieee),
            FloatKind::F8E3M4 => (3, 4, 3, Ieee),
            FloatKind::F8E4M3FN => (4, 3, 7, Fn),
            FloatKind::F8E4M3FNUZ => (4, 3, 8, Fnuz),
            FloatKind::F8E5M2FNUZ => (5, 2, 16, Fnuz),
            FloatKind::F8E4M3B11FNUZ => (4, 3, 11, Fnuz),
            FloatKind::F6E2M3FN => (2, 3, 1, Finite),
            FloatKind::F6E3M2FN => (3, 2, 3, Finite),
            FloatKind::F4E2M1FN => (2, 1, 1, Finite),
            _ => return None,
        };
        Some(Format { exponent, mantissa, bias, specials })
    }
    fn sign(self) -> i64 {
        1 << (self.exponent + self.mantissa)
    }
    /// Code of the first that is not finite, without sign.
    fn infinity(self) -> i64 {
        ((1 << self.exponent) - 1) << self.mantissa
    }
    fn largest(self) -> i64 {
        match self.specials {
            Specials::Ieee => self.infinity() - 1,
            Specials::Fn => self.sign() - 2,
            Specials::Fnuz | Specials::Finite => self.sign() - 1,
        }
    }
    /// What a value too large becomes.
    fn overflow(self) -> i64 {
        match self.specials {
            Specials::Ieee => self.infinity(),
            Specials::Fn => self.sign() - 1,
            Specials::Fnuz => self.sign(),
            Specials::Finite => self.largest(),
        }
    }
}

impl Emitter<'_> {
    fn i32(&mut self, value: i64, lanes: Option<u32>) -> Val {
        self.int(value.into(), 32, lanes)
    }
    fn i(&mut self, op: &str, a: &Val, b: i64) -> Val {
        let b = self.i32(b, a.lanes);
        self.op(op, "", &[a, &b])
    }

    /// The `f32` that a byte stands for.
    pub fn decode_mini(&mut self, kind: FloatKind, raw: &Val) -> Emit<Val> {
        let code = self.cast("arith.extui", raw, Reg::Int(32));
        let lanes = raw.lanes;
        if kind == FloatKind::F8E8M0FNU {
            // A power of two; the smallest is denormal in f32, the last code is NaN.
            let bits = self.i("arith.shli", &code, 23);
            let (zero, last) = (self.i32(0, lanes), self.i32(255, lanes));
            let (smallest, nan) = (self.i32(0x0040_0000, lanes), self.i32(0x7FC0_0000, lanes));
            let is_zero = self.compare("eq", &code, &zero);
            let bits = self.select(&is_zero, &smallest, &bits);
            let is_nan = self.compare("eq", &code, &last);
            let bits = self.select(&is_nan, &nan, &bits);
            return Ok(self.cast("arith.bitcast", &bits, Reg::F32));
        }
        let Some(f) = Format::of(kind) else {
            return Err(self.error(format!("kernels cannot read {}", kind.name())));
        };
        let magnitude = self.i("arith.andi", &code, f.sign() - 1);
        let shifted = self.i("arith.shli", &magnitude, i64::from(23 - f.mantissa));
        // The exponent's field is in place; the biases differ by a factor, which is right for denormals too.
        let small = self.cast("arith.bitcast", &shifted, Reg::F32);
        let factor = self.float(2f64.powi(127 - f.bias), Reg::F32, lanes);
        let value = self.op("arith.mulf", "", &[&small, &factor]);
        let mut bits = self.cast("arith.bitcast", &value, Reg::Int(32));
        let nan = self.i32(0x7FC0_0000, lanes);
        match f.specials {
            Specials::Ieee => {
                let limit = self.i32(f.infinity(), lanes);
                let special = self.compare("uge", &magnitude, &limit);
                let kept = self.i("arith.ori", &shifted, 0x7F80_0000);
                bits = self.select(&special, &kept, &bits);
            }
            Specials::Fn => {
                let last = self.i32(f.sign() - 1, lanes);
                let special = self.compare("eq", &magnitude, &last);
                bits = self.select(&special, &nan, &bits);
            }
            Specials::Fnuz => {
                let only = self.i32(f.sign(), lanes);
                let special = self.compare("eq", &code, &only);
                bits = self.select(&special, &nan, &bits);
            }
            Specials::Finite => {}
        }
        let sign = self.i("arith.andi", &code, f.sign());
        let sign = self.i("arith.shli", &sign, i64::from(31 - f.exponent - f.mantissa));
        let bits = self.op("arith.ori", "", &[&bits, &sign]);
        Ok(self.cast("arith.bitcast", &bits, Reg::F32))
    }

    /// The byte nearest to an `f32`.
    pub fn encode_mini(&mut self, kind: FloatKind, value: &Val) -> Emit<Val> {
        let lanes = value.lanes;
        let value = match value.reg {
            Reg::F64 => self.cast("arith.truncf", value, Reg::F32),
            _ => value.clone(),
        };
        let bits = self.cast("arith.bitcast", &value, Reg::Int(32));
        let magnitude = self.i("arith.andi", &bits, 0x7FFF_FFFF);
        let is_nan = self.compare("uno", &value, &value);
        if kind == FloatKind::F8E8M0FNU {
            // Rounded up to a power of two; the smallest one is denormal in f32.
            let up = self.i("arith.addi", &magnitude, 0x007F_FFFF);
            let code = self.i("arith.shrui", &up, 23);
            let (zero, smallest) = (self.i32(0, lanes), self.i32(0x0040_0000, lanes));
            let is_small = self.compare("ule", &magnitude, &smallest);
            let code = self.select(&is_small, &zero, &code);
            let code = self.i("arith.minui", &code, 254);
            let nan = self.i32(255, lanes);
            let code = self.select(&is_nan, &nan, &code);
            return Ok(self.cast("arith.trunci", &code, Reg::Int(8)));
        }
        let Some(f) = Format::of(kind) else {
            return Err(self.error(format!("kernels cannot write {}", kind.name())));
        };
        // Normal numbers: half of the last kept bit is added (less one where that bit is even), the rest falls off.
        let drop = i64::from(23 - f.mantissa);
        let odd = self.i("arith.shrui", &magnitude, drop);
        let odd = self.i("arith.andi", &odd, 1);
        let half = self.i("arith.addi", &odd, (1 << (drop - 1)) - 1);
        let rounded = self.op("arith.addi", "", &[&magnitude, &half]);
        let normal = self.i("arith.shrui", &rounded, drop);
        let normal = self.i("arith.subi", &normal, i64::from(127 - f.bias) << f.mantissa);
        // Below the smallest normal number the last bit always weighs the same: adding a large number rounds to it.
        let quantum = 2f64.powi(1 - f.bias - f.mantissa as i32);
        let shift = quantum * 12_582_912.0;
        let large = self.float(shift, Reg::F32, lanes);
        let absolute = self.cast("arith.bitcast", &magnitude, Reg::F32);
        let sum = self.op("arith.addf", "", &[&absolute, &large]);
        let sum = self.cast("arith.bitcast", &sum, Reg::Int(32));
        let denormal = self.i("arith.subi", &sum, i64::from((shift as f32).to_bits()));
        let smallest = self.float(2f64.powi(1 - f.bias), Reg::F32, lanes);
        let is_small = self.compare("olt", &absolute, &smallest);
        let code = self.select(&is_small, &denormal, &normal);
        let (most, over) = (self.i32(f.largest(), lanes), self.i32(f.overflow(), lanes));
        let too_large = self.compare("sgt", &code, &most);
        let code = self.select(&too_large, &over, &code);
        let sign = self.i("arith.shrui", &bits, i64::from(31 - f.exponent - f.mantissa));
        let sign = self.i("arith.andi", &sign, f.sign());
        let mut out = self.op("arith.ori", "", &[&code, &sign]);
        if f.specials == Specials::Fnuz {
            // Neither zero nor NaN has a sign.
            let zero = self.i32(0, lanes);
            let is_zero = self.compare("eq", &code, &zero);
            out = self.select(&is_zero, &zero, &out);
            out = self.select(&too_large, &over, &out);
        }
        let quiet = match f.specials {
            Specials::Ieee => f.infinity() | 1 << (f.mantissa - 1),
            Specials::Fn => f.sign() - 1,
            Specials::Fnuz => f.sign(),
            Specials::Finite => 0,
        };
        let nan = self.i32(quiet, lanes);
        let out = self.select(&is_nan, &nan, &out);
        Ok(self.cast("arith.trunci", &out, Reg::Int(8)))
    }
}
