//! Functions of `f32` as polynomials, in vectors.
//!
//! Reduction and polynomials are those of the Cephes library (S. L. Moshier, *Methods and Programs for Mathematical
//! Functions*, 1989; single precision files `expf.c`, `logf.c`, `tanhf.c`, `ndtrf.c`), in the branch-free form in which
//! vectors need them. Errors are at most 2 units in the last place; infinities and NaN are as C's library gives them;
//! denormal arguments and results are kept.
//!
//! Everything else, and all of `f64`, becomes a call of the C library a lane.

use super::core::{Emitter, Reg, Val};

/// The expansion of a `math` op; `None` when it is left to upstream.
pub(super) fn expand(emitter: &mut Emitter<'_>, name: &str, args: &[&Val]) -> Option<Val> {
    let &[x] = args else { return None };
    if x.reg != Reg::F32 {
        return None;
    }
    let mut m = Math { e: emitter, lanes: x.lanes };
    Some(match name {
        "math.exp" => m.exp(x),
        "math.exp2" => {
            // 2^x = e^(x ln 2) would lose digits; the reduction is exact here.
            m.exp2(x)
        }
        "math.log" => m.log(x),
        "math.tanh" => m.tanh(x),
        "math.erf" => m.erf(x),
        _ => return None,
    })
}

struct Math<'e, 'c> {
    e: &'e mut Emitter<'c>,
    lanes: Option<u32>,
}

impl Math<'_, '_> {
    fn c(&mut self, value: f64) -> Val {
        self.e.float(value, Reg::F32, self.lanes)
    }
    fn i(&mut self, value: i64) -> Val {
        self.e.int(value.into(), 32, self.lanes)
    }
    fn add(&mut self, a: &Val, b: &Val) -> Val {
        self.e.fop("arith.addf", &[a, b])
    }
    fn sub(&mut self, a: &Val, b: &Val) -> Val {
        self.e.fop("arith.subf", &[a, b])
    }
    fn mul(&mut self, a: &Val, b: &Val) -> Val {
        self.e.fop("arith.mulf", &[a, b])
    }
    fn div(&mut self, a: &Val, b: &Val) -> Val {
        self.e.fop("arith.divf", &[a, b])
    }
    fn exact(&mut self, op: &str, a: &Val, b: &Val) -> Val {
        self.e.op(op, "", &[a, b])
    }
    /// `a*b + c`: one rounding where the machine has it.
    fn fma(&mut self, a: &Val, b: &Val, c: &Val) -> Val {
        if self.e.target.fma {
            return self.e.op("math.fma", "", &[a, b, c]);
        }
        let product = self.mul(a, b);
        self.add(&product, c)
    }
    /// A polynomial, the highest coefficient first.
    fn poly(&mut self, x: &Val, coefficients: &[f64]) -> Val {
        let mut acc = self.c(coefficients[0]);
        for &k in &coefficients[1..] {
            let k = self.c(k);
            acc = self.fma(&acc, x, &k);
        }
        acc
    }
    fn select(&mut self, c: &Val, a: &Val, b: &Val) -> Val {
        self.e.select(c, a, b)
    }
    fn test(&mut self, predicate: &str, a: &Val, b: &Val) -> Val {
        self.e.compare(predicate, a, b)
    }
    fn bits(&mut self, x: &Val) -> Val {
        self.e.cast("arith.bitcast", x, Reg::Int(32))
    }
    fn float_of(&mut self, x: &Val) -> Val {
        self.e.cast("arith.bitcast", x, Reg::F32)
    }
    fn abs(&mut self, x: &Val) -> Val {
        self.e.op("math.absf", "", &[x])
    }
    /// The sign of `sign` on a value that is not negative.
    fn with_sign(&mut self, magnitude: &Val, sign: &Val) -> Val {
        self.e.op("math.copysign", "", &[magnitude, sign])
    }

    /// `x` moved into `low..high`; NaN stays.
    fn clamp(&mut self, x: &Val, low: f64, high: f64) -> Val {
        let (low, high) = (self.c(low), self.c(high));
        let above = self.test("ogt", x, &high);
        let x = self.select(&above, &high, x);
        let below = self.test("olt", &x, &low);
        self.select(&below, &low, &x)
    }

    /// `p * 2^n`, where `t` is `1.5 * 2^23 + n`, whose low bits are `n`: in two steps, so that the result may overflow to
    /// infinity and become denormal.
    fn scale(&mut self, p: &Val, t: &Val) -> Val {
        if self.lanes == Some(16) && self.e.target.scales {
            let magic = self.c(12_582_912.0);
            let n = self.exact("arith.subf", t, &magic);
            return self.e.scaled(p, &n);
        }
        let (magic, bias) = (self.i(0x4B40_0000), self.i(127));
        let (one, shift) = (self.i(1), self.i(23));
        let t = self.bits(t);
        let n = self.exact("arith.subi", &t, &magic);
        let first = self.exact("arith.shrsi", &n, &one);
        let second = self.exact("arith.subi", &n, &first);
        let mut p = p.clone();
        for part in [first, second] {
            let biased = self.exact("arith.addi", &part, &bias);
            let bits = self.exact("arith.shli", &biased, &shift);
            let power = self.float_of(&bits);
            p = self.exact("arith.mulf", &p, &power);
        }
        p
    }

    /// `e^r` for `r` in `-ln2/2 .. ln2/2`: `1 + r + r^2 q(r)`, with `q` the polynomial of degree 4 whose relative error is least there (3.1e-9,
    /// a twentieth of what rounding does).
    fn exp_near_zero(&mut self, r: &Val) -> Val {
        self.poly(r, &[1.381_458_4e-3, 8.368_724e-3, 4.166_839e-2, 1.666_652_1e-1, 4.999_999_4e-1, 1.0, 1.0])
    }

    /// `x` divided into `n ln 2 + r`: `(1.5 * 2^23 + n, r)`. ln 2 is subtracted in two parts (Cody and Waite).
    fn split_ln2(&mut self, x: &Val) -> (Val, Val) {
        let (log2e, magic) = (self.c(std::f64::consts::LOG2_E), self.c(12_582_912.0));
        // The additions round, which is what they are for: nothing may be reassociated here.
        let t = if self.e.target.fma {
            self.fma(x, &log2e, &magic)
        } else {
            let scaled = self.exact("arith.mulf", x, &log2e);
            self.exact("arith.addf", &scaled, &magic)
        };
        let n = self.exact("arith.subf", &t, &magic);
        let (high, low) = (self.c(-0.693_359_375), self.c(2.121_944_4e-4));
        let r = self.fma(&n, &high, x);
        let r = self.fma(&n, &low, &r);
        (t, r)
    }

    fn exp(&mut self, x: &Val) -> Val {
        let inside = self.clamp(x, -104.0, 89.0);
        let (t, r) = self.split_ln2(&inside);
        let p = self.exp_near_zero(&r);
        self.scale(&p, &t)
    }

    fn exp2(&mut self, x: &Val) -> Val {
        let inside = self.clamp(x, -151.0, 129.0);
        let magic = self.c(12_582_912.0);
        let t = self.exact("arith.addf", &inside, &magic);
        let n = self.exact("arith.subf", &t, &magic);
        let fraction = self.exact("arith.subf", &inside, &n);
        let ln2 = self.c(std::f64::consts::LN_2);
        let r = self.exact("arith.mulf", &fraction, &ln2);
        let p = self.exp_near_zero(&r);
        self.scale(&p, &t)
    }

    fn log(&mut self, x: &Val) -> Val {
        // Denormals are made normal first.
        let (smallest, two23) = (self.c(f64::from(f32::MIN_POSITIVE)), self.c(8_388_608.0));
        let tiny = self.test("olt", x, &smallest);
        let raised = self.exact("arith.mulf", x, &two23);
        let v = self.select(&tiny, &raised, x);
        // v = 2^e * m with m in sqrt(1/2) .. sqrt(2): exponents are counted from the bits of sqrt(1/2).
        let bits = self.bits(&v);
        let (base, shift, mask) = (self.i(0x3F35_04F3), self.i(23), self.i(0x007F_FFFF));
        let over = self.exact("arith.subi", &bits, &base);
        let e = self.exact("arith.shrsi", &over, &shift);
        let kept = self.exact("arith.andi", &over, &mask);
        let m = self.exact("arith.addi", &kept, &base);
        let m = self.float_of(&m);
        let e = self.e.cast("arith.sitofp", &e, Reg::F32);
        let (less, zero) = (self.c(23.0), self.c(0.0));
        let lowered = self.select(&tiny, &less, &zero);
        let e = self.exact("arith.subf", &e, &lowered);
        let one = self.c(1.0);
        let f = self.exact("arith.subf", &m, &one);
        let square = self.exact("arith.mulf", &f, &f);
        let q = self.poly(
            &f,
            &[
                7.037_683_629_2e-2,
                -1.151_461_031_0e-1,
                1.167_699_874_0e-1,
                -1.242_014_084_6e-1,
                1.424_932_278_7e-1,
                -1.666_805_766_5e-1,
                2.000_071_476_5e-1,
                -2.499_999_399_3e-1,
                3.333_333_117_4e-1,
            ],
        );
        let q = self.exact("arith.mulf", &q, &f);
        let q = self.exact("arith.mulf", &q, &square);
        let (low, half, high) = (self.c(-2.121_944_4e-4), self.c(-0.5), self.c(0.693_359_375));
        let y = self.fma(&e, &low, &q);
        let y = self.fma(&half, &square, &y);
        let y = self.exact("arith.addf", &f, &y);
        let y = self.fma(&e, &high, &y);
        // log(0) = -inf, log(inf) = inf, NaN for what is below 0.
        let (infinity, minus, nan) = (self.c(f64::INFINITY), self.c(f64::NEG_INFINITY), self.c(f64::NAN));
        let is_zero = self.test("oeq", x, &zero);
        let y = self.select(&is_zero, &minus, &y);
        let finite = self.test("olt", x, &infinity);
        let y = self.select(&finite, &y, x);
        let negative = self.test("olt", x, &zero);
        self.select(&negative, &nan, &y)
    }

    fn tanh(&mut self, x: &Val) -> Val {
        let z = self.abs(x);
        let square = self.exact("arith.mulf", x, x);
        let small = self.poly(
            &square,
            &[
                -5.704_988_727_45e-3,
                2.063_908_879_54e-2,
                -5.373_971_555_31e-2,
                1.333_144_220_36e-1,
                -3.333_328_194_22e-1,
            ],
        );
        let small = self.exact("arith.mulf", &small, &square);
        let small = self.fma(&small, x, x);
        // 1 - 2 / (e^2z + 1); beyond 10 that is 1.
        let (one, two, ten) = (self.c(1.0), self.c(2.0), self.c(10.0));
        let far = self.test("ogt", &z, &ten);
        let near = self.select(&far, &ten, &z);
        let double = self.exact("arith.addf", &near, &near);
        let (t, r) = self.split_ln2(&double);
        let p = self.exp_near_zero(&r);
        let power = self.scale(&p, &t);
        let denominator = self.add(&power, &one);
        let quotient = self.div(&two, &denominator);
        let large = self.sub(&one, &quotient);
        let large = self.with_sign(&large, x);
        let limit = self.c(0.625);
        let is_large = self.test("oge", &z, &limit);
        self.select(&is_large, &large, &small)
    }

    fn erf(&mut self, x: &Val) -> Val {
        let z = self.abs(x);
        let square = self.exact("arith.mulf", x, x);
        let small = self.poly(
            &square,
            &[
                7.853_861_353_153_693e-5,
                -8.010_193_625_184_903e-4,
                5.188_327_685_732_524e-3,
                -2.685_381_193_529_856e-2,
                1.128_358_514_861_418e-1,
                -3.761_262_582_423_3e-1,
                1.283_791_657_267_1e-1,
            ],
        );
        // The leading 1 of 2/sqrt(pi) is added last, where its rounding is the only one that counts.
        let small = self.fma(&small, x, x);
        // 1 - erfc(z), with erfc(z) = e^(-z^2) P(1/z^2) / z; beyond 4 that is 1.
        let (one, four) = (self.c(1.0), self.c(4.0));
        let far = self.test("ogt", &z, &four);
        let z4 = self.select(&far, &four, &z);
        let below = self.test("olt", &z4, &one);
        let z4 = self.select(&below, &one, &z4);
        let q = self.div(&one, &z4);
        let y = self.exact("arith.mulf", &q, &q);
        let middle = self.poly(
            &y,
            &[
                2.326_819_970_068_386e-2,
                -1.387_039_388_740_657e-1,
                3.687_424_674_597_105e-1,
                -5.824_733_027_278_666e-1,
                6.210_004_621_745_983e-1,
                -4.944_515_323_274_145e-1,
                3.404_879_937_665_872e-1,
                -2.741_127_028_184_656e-1,
                5.638_259_427_386_472e-1,
            ],
        );
        let outer = self.poly(
            &y,
            &[
                -1.047_766_399_936_249e1,
                1.297_719_955_372_516e1,
                -7.495_518_717_768_503,
                2.921_019_019_210_786,
                -1.015_265_279_202_7,
                4.218_463_358_204_948e-1,
                -2.820_767_439_740_514e-1,
                5.641_895_067_754_075e-1,
            ],
        );
        let two = self.c(2.0);
        let is_middle = self.test("olt", &z4, &two);
        let p = self.select(&is_middle, &middle, &outer);
        let minus = self.c(-1.0);
        let negative = self.exact("arith.mulf", &z4, &minus);
        let exponent = self.exact("arith.mulf", &negative, &z4);
        let power = self.exp(&exponent);
        let tail = self.exact("arith.mulf", &power, &q);
        let tail = self.exact("arith.mulf", &tail, &p);
        let large = self.exact("arith.subf", &one, &tail);
        let large = self.with_sign(&large, x);
        let is_large = self.test("oge", &z, &one);
        self.select(&is_large, &large, &small)
    }
}
