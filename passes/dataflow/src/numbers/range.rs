//! What is known of a number in a body: between which bounds it lies, whether it is an integer, whether it can be NaN.

use crate::signs::number;
use nim_builtin::arith::bounded;
use nim_ir::{Body, Context, FloatKind, OpId, TypeData, ValueId};

/// Ops behind each other that are looked through.
const DEEP: usize = 24;
/// Integers up to this are `f32` exactly, and so are sums of two of them below it.
const EXACT: f64 = 16_777_216.0;

/// What is known of a number. Of integers the bounds are those of the number as a signed one.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Range {
    /// Not less than this, unless it is NaN.
    pub low: f64,
    /// Not more than this, unless it is NaN.
    pub high: f64,
    /// No fraction; infinities have none.
    pub whole: bool,
    /// May be NaN.
    pub nan: bool,
}

impl Range {
    const ANY: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY, whole: false, nan: true };

    /// An integer between two bounds.
    pub fn integer(low: f64, high: f64) -> Range {
        Range { low, high, whole: true, nan: false }
    }
    /// True for integers of which none is larger than `most` in magnitude.
    pub fn is_whole_up_to(&self, most: f64) -> bool {
        self.whole && !self.nan && self.low >= -most && self.high <= most
    }
    /// True where every value lies between two bounds.
    pub fn is_within(&self, low: f64, high: f64) -> bool {
        !self.nan && self.low >= low && self.high <= high
    }
    /// As `f32` holds it: bounds that are not exact are moved outwards.
    fn rounded(self) -> Range {
        if self.is_whole_up_to(EXACT) {
            return self;
        }
        // A rounding moves a number by less than the distance to its neighbour.
        let out = |v: f64, up: bool| {
            let single = v as f32;
            f64::from(if up { single.next_up() } else { single.next_down() })
        };
        Range { low: out(self.low, false), high: out(self.high, true), ..self }
    }
}

/// The values of a body, and who makes them.
#[derive(Copy, Clone)]
pub struct Values<'a> {
    /// Types and attributes.
    pub ctx: &'a Context,
    /// Where they are.
    pub body: &'a Body,
}

impl Values<'_> {
    /// The op of this name that makes a value.
    pub fn made_by(&self, v: ValueId, name: &str) -> Option<OpId> {
        self.body.defining_op(v).filter(|&op| self.body.is(self.ctx, op, name))
    }
    /// The operand of an op of one of these names.
    pub fn operand_of(&self, v: ValueId, names: &[&str]) -> Option<ValueId> {
        let op = self.body.defining_op(v)?;
        names.contains(&self.ctx.op_str(self.body.op_name(op))).then(|| self.body.operand(op, 0))
    }
    /// The number that a constant is.
    pub fn constant(&self, v: ValueId) -> Option<f64> {
        let op = self.made_by(v, "arith.constant")?;
        number(self.ctx, self.body.attr_named(self.ctx, op, "value")?)
    }
    /// True for `f32`.
    pub fn is_f32(&self, v: ValueId) -> bool {
        matches!(self.ctx.type_data(self.body.ty(v)), TypeData::Float(FloatKind::F32))
    }
    /// Bits of an integer.
    pub fn width(&self, v: ValueId) -> Option<u32> {
        match self.ctx.type_data(self.body.ty(v)) {
            TypeData::Integer { width, .. } => Some(*width),
            _ => None,
        }
    }
    /// `x` and `k` of `x + k` or `x - (-k)`, in integers or in floating point.
    pub fn sum_with_constant(&self, v: ValueId) -> Option<(ValueId, f64)> {
        let op = self.body.defining_op(v)?;
        let (x, k) = (self.body.operands(op).first().copied()?, self.body.operands(op).get(1).copied()?);
        match self.ctx.op_str(self.body.op_name(op)) {
            "arith.addi" | "arith.addf" => Some((x, self.constant(k)?)).or_else(|| Some((k, self.constant(x)?))),
            "arith.subi" | "arith.subf" => Some((x, -self.constant(k)?)),
            _ => None,
        }
    }
    /// `x` and the bound of `select(x > bound, x, bound)` (`ogt`) or `select(x < bound, x, bound)` (`olt`): the bound also where
    /// `x` is NaN.
    pub fn bounded(&self, v: ValueId, predicate: &str) -> Option<(ValueId, f64)> {
        let (x, bound) = bounded(self.ctx, self.body, v, predicate)?;
        Some((x, self.constant(bound)?))
    }
    /// True where a value is not -0: a sum is only if both terms are.
    pub fn never_minus_zero(&self, v: ValueId) -> bool {
        let positive = |k: f64| k != 0.0 || k.is_sign_positive();
        self.operand_of(v, &["arith.sitofp", "arith.uitofp"]).is_some()
            || self.made_by(v, "arith.addf").is_some() && self.sum_with_constant(v).is_some_and(|(_, k)| positive(k))
    }

    /// What is known of a value.
    pub fn range(&self, v: ValueId) -> Range {
        self.of(v, DEEP)
    }

    fn of(&self, v: ValueId, deep: usize) -> Range {
        let by_type = match self.width(v) {
            Some(1) => Range::integer(-1.0, 1.0),
            Some(width) => {
                let half = f64::from(width - 1).exp2();
                Range::integer(-half, half - 1.0)
            }
            None => Range::ANY,
        };
        let (Some(op), Some(deep)) = (self.body.defining_op(v), deep.checked_sub(1)) else { return by_type };
        let found = self.of_op(v, op, deep);
        match (self.width(v), found) {
            (_, None) => by_type,
            // What may have wrapped may be anything.
            (Some(_), Some(r)) if r.is_within(by_type.low, by_type.high) => r,
            (Some(_), Some(_)) => by_type,
            (None, Some(r)) => r,
        }
    }

    fn of_op(&self, v: ValueId, op: OpId, deep: usize) -> Option<Range> {
        let name = self.ctx.op_str(self.body.op_name(op));
        let at = |k: usize| self.body.operand(op, k);
        let of = |k: usize| self.of(at(k), deep);
        if let Some(k) = self.constant(v) {
            return Some(Range { low: k, high: k, whole: k.fract() == 0.0, nan: k.is_nan() }).filter(|r| !r.nan);
        }
        if self.width(v).is_none() && !self.is_f32(v) {
            return None;
        }
        for (predicate, is_low) in [("ogt", true), ("olt", false)] {
            let Some((x, bound)) = self.bounded(v, predicate) else { continue };
            let x = self.of(x, deep);
            let (low, high) = if is_low {
                (x.low.max(bound), x.high.max(bound))
            } else {
                // NaN is the bound, which may be below all others.
                (x.low.min(bound), x.high.min(bound))
            };
            return Some(Range { low, high, whole: x.whole && bound.fract() == 0.0, nan: false });
        }
        let exact = |low: f64, high: f64, whole: bool, nan: bool| Range { low, high, whole, nan };
        Some(match name {
            "arith.extsi" if self.width(at(0))? > 1 => of(0),
            "arith.extui" => {
                let (x, width) = (of(0), self.width(at(0))?);
                if x.low >= 0.0 && width > 1 { x } else { Range::integer(0.0, f64::from(width).exp2() - 1.0) }
            }
            "arith.sitofp" if self.width(at(0))? > 1 => of(0).rounded(),
            "arith.uitofp" if of(0).low >= 0.0 && self.width(at(0))? > 1 => of(0).rounded(),
            // What does not fit keeps its low bits.
            "arith.fptosi" | "arith.fptoui" => {
                let x = of(0);
                (!x.nan).then(|| Range::integer(x.low.trunc(), x.high.trunc()))?
            }
            "arith.addi" | "arith.addf" | "arith.subi" | "arith.subf" => {
                let (a, mut b) = (of(0), of(1));
                if name.starts_with("arith.sub") {
                    (b.low, b.high) = (-b.high, -b.low);
                }
                let (low, high) = (a.low + b.low, a.high + b.high);
                let finite = low.is_finite() && high.is_finite();
                let sum = exact(low, high, a.whole && b.whole, a.nan || b.nan || !finite);
                if self.is_f32(v) { sum.rounded() } else { sum }
            }
            "arith.muli" | "arith.mulf" | "arith.divf" => {
                let (a, mut b) = (of(0), of(1));
                let mut whole = a.whole && b.whole;
                if name == "arith.divf" {
                    // By a constant only.
                    let by = self.constant(at(1)).filter(|k| *k != 0.0)?;
                    (b.low, b.high, whole) = (1.0 / by, 1.0 / by, false);
                }
                let ends = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
                if a.nan || b.nan || !ends.iter().all(|e| e.is_finite()) {
                    return None;
                }
                let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
                let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let product = exact(low, high, whole, false);
                if self.is_f32(v) { product.rounded() } else { product }
            }
            "math.roundeven" | "math.floor" | "math.ceil" | "math.trunc" => {
                let x = of(0);
                let round = match name {
                    "math.floor" => f64::floor,
                    "math.ceil" => f64::ceil,
                    "math.trunc" => f64::trunc,
                    _ => f64::round_ties_even,
                };
                exact(round(x.low), round(x.high), true, x.nan)
            }
            _ => return None,
        })
    }
}
