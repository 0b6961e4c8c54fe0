//! How a write combines with what is there.

use nim_ir::{Attr, Context, FloatKind, Signedness, Type, TypeData};

/// How a value is combined into its place.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Combine {
    /// Replaces what was there.
    None,
    /// Sum.
    Add,
    /// Product.
    Mul,
    /// Maximum; NaN wins.
    Max,
    /// Minimum; NaN wins.
    Min,
    /// Bitwise and (of `i1`: all).
    And,
    /// Bitwise or (of `i1`: any).
    Or,
}

impl Combine {
    /// All, with the names that attributes hold.
    pub const NAMES: [(Combine, &'static str); 7] = [
        (Combine::None, "none"),
        (Combine::Add, "add"),
        (Combine::Mul, "mul"),
        (Combine::Max, "max"),
        (Combine::Min, "min"),
        (Combine::And, "and"),
        (Combine::Or, "or"),
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(c, _)| *c == self).map_or("none", |(_, n)| n)
    }
    /// The combiner of a name.
    pub fn from_name(name: &str) -> Option<Combine> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(c, _)| *c)
    }

    /// The op that combines two scalars, by the element type of the result: an unsigned one compares unsigned. `None` when
    /// there is no such op ([`Combine::None`], or bits of floats).
    pub fn scalar_op(self, ctx: &Context, element: Type) -> Option<&'static str> {
        let unsigned = match ctx.type_data(element) {
            TypeData::Float(_) => {
                return match self {
                    Combine::Add => Some("arith.addf"),
                    Combine::Mul => Some("arith.mulf"),
                    Combine::Max => Some("arith.maximumf"),
                    Combine::Min => Some("arith.minimumf"),
                    Combine::None | Combine::And | Combine::Or => None,
                };
            }
            // A truth value is 0 or 1.
            TypeData::Integer { width: 1, .. } => true,
            TypeData::Integer { sign, .. } => *sign == Signedness::Unsigned,
            TypeData::Index => false,
            _ => return None,
        };
        match self {
            Combine::None => None,
            Combine::Add => Some("arith.addi"),
            Combine::Mul => Some("arith.muli"),
            Combine::Max => Some(if unsigned { "arith.maxui" } else { "arith.maxsi" }),
            Combine::Min => Some(if unsigned { "arith.minui" } else { "arith.minsi" }),
            Combine::And => Some("arith.andi"),
            Combine::Or => Some("arith.ori"),
        }
    }

    /// The value that changes nothing, of the scalar type of `element` (see [`crate::scalar_type`]); the natural start of a
    /// reduction. `None` where there is none.
    pub fn identity(self, ctx: &Context, element: Type) -> Option<Attr> {
        let ty = crate::scalar_type(ctx, element);
        match ctx.type_data(element) {
            TypeData::Float(kind) => {
                // 8-bit formats without infinities have their largest finite value instead.
                let infinity = if has_infinity(*kind) { f64::INFINITY } else { largest_finite(*kind)? };
                let value = match self {
                    Combine::Add => 0.0,
                    Combine::Mul => 1.0,
                    Combine::Max => -infinity,
                    Combine::Min => infinity,
                    Combine::None | Combine::And | Combine::Or => return None,
                };
                Some(ctx.float_attr(value, ty))
            }
            TypeData::Integer { width: 1, .. } => match self {
                Combine::Mul | Combine::Min | Combine::And => Some(ctx.bool_attr(true)),
                Combine::Add | Combine::Max | Combine::Or => Some(ctx.bool_attr(false)),
                Combine::None => None,
            },
            TypeData::Integer { width, sign } => self.integer_identity(ctx, ty, *width, *sign == Signedness::Unsigned),
            TypeData::Index => self.integer_identity(ctx, ty, 64, false),
            _ => None,
        }
    }

    fn integer_identity(self, ctx: &Context, ty: Type, width: u32, unsigned: bool) -> Option<Attr> {
        if width == 0 || width > 64 {
            return None;
        }
        // Bits of unsigned values are written as the signed number with the same bits: the scalar is signless.
        let value: i128 = match (self, unsigned) {
            (Combine::Add | Combine::Or, _) | (Combine::Max, true) => 0,
            (Combine::Mul, _) => 1,
            (Combine::And, _) | (Combine::Min, true) => -1,
            (Combine::Max, false) => -(1 << (width - 1)),
            (Combine::Min, false) => (1 << (width - 1)) - 1,
            (Combine::None, _) => return None,
        };
        Some(ctx.int_attr(value, ty))
    }
}

fn has_infinity(kind: FloatKind) -> bool {
    use FloatKind::*;
    matches!(kind, F16 | BF16 | F32 | F64 | TF32 | F80 | F128 | F8E5M2 | F8E4M3 | F8E3M4)
}

/// Largest finite values of the formats without infinities (OCP 8-bit and MX specifications; the FNUZ formats of
/// "8-bit numerical formats for deep neural networks", Noune et al. 2022).
fn largest_finite(kind: FloatKind) -> Option<f64> {
    use FloatKind::*;
    Some(match kind {
        F8E4M3FN => 448.0,
        F8E5M2FNUZ => 57344.0,
        F8E4M3FNUZ => 240.0,
        F8E4M3B11FNUZ => 30.0,
        F6E2M3FN => 7.5,
        F6E3M2FN => 28.0,
        F4E2M1FN => 6.0,
        _ => return None,
    })
}
