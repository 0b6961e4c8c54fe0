//! Scalar code in the bodies of maps: `arith` and `math` ops chosen by element type.
//!
//! Inside bodies integers have no sign, so the variant of an op (signed, unsigned, float) is decided here from the element
//! type of the tensor. Integer division by zero gives 0 and shifts by the width or more give 0 (or all sign bits): that
//! is what our levels below mean by these ops, so nothing guards them here.

use nim_builtin::arith::{CMPF_PREDICATES, CMPI_PREDICATES};
use nim_dataflow::index_value;
use nim_ir::{Attr, Builder, Context, Expr, FloatKind, Signedness, Type, TypeData, ValueId};

/// What kind of number an element is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `i1`: a truth value.
    Bool,
    /// An integer of some width; `true` when signed.
    Int(u32, bool),
    /// A real number.
    Float(FloatKind),
}

impl Kind {
    /// The kind of an element type; `None` for those that maps do not compute with (text, complex numbers).
    pub fn of(ctx: &Context, element: Type) -> Option<Kind> {
        match ctx.type_data(element) {
            TypeData::Integer { width: 1, .. } => Some(Kind::Bool),
            TypeData::Integer { width, sign } if *width <= 64 => Some(Kind::Int(*width, *sign != Signedness::Unsigned)),
            TypeData::Float(kind) if kind.bits() <= 64 && *kind != FloatKind::TF32 => Some(Kind::Float(*kind)),
            _ => None,
        }
    }
    /// The type of its scalars in a body.
    pub fn ty(self, ctx: &Context) -> Type {
        match self {
            Kind::Bool => ctx.int_type(1),
            Kind::Int(width, _) => ctx.int_type(width),
            Kind::Float(kind) => ctx.float_type(kind),
        }
    }
    /// The kind in which many values are added or multiplied up: short floats in `f32`, all others in their own.
    pub fn accumulator(self) -> Kind {
        match self {
            Kind::Float(kind) if kind.bits() < 32 => Kind::Float(FloatKind::F32),
            other => other,
        }
    }
    /// A number as an attribute of this kind, rounded towards zero for integers.
    pub fn attr(self, ctx: &Context, value: f64) -> Attr {
        match self {
            Kind::Bool => ctx.bool_attr(value != 0.0),
            Kind::Int(..) => ctx.int_attr(value as i128, self.ty(ctx)),
            Kind::Float(_) => ctx.float_attr(value, self.ty(ctx)),
        }
    }
}

/// A comparison.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Compare {
    /// The comparison of a `predicate` attribute.
    pub fn from_name(name: &str) -> Option<Compare> {
        use Compare::*;
        [("eq", Eq), ("ne", Ne), ("lt", Lt), ("le", Le), ("gt", Gt), ("ge", Ge)]
            .into_iter()
            .find(|(n, _)| *n == name)
            .map(|(_, c)| c)
    }
    fn name(self, kind: Kind) -> &'static str {
        use Compare::*;
        let by_sign = |signed: &'static str, unsigned: &'static str| match kind {
            Kind::Int(_, true) => signed,
            _ => unsigned,
        };
        match (self, kind) {
            (Eq, Kind::Float(_)) => "oeq",
            // Everything is unequal to NaN.
            (Ne, Kind::Float(_)) => "une",
            (Lt, Kind::Float(_)) => "olt",
            (Le, Kind::Float(_)) => "ole",
            (Gt, Kind::Float(_)) => "ogt",
            (Ge, Kind::Float(_)) => "oge",
            (Eq, _) => "eq",
            (Ne, _) => "ne",
            (Lt, _) => by_sign("slt", "ult"),
            (Le, _) => by_sign("sle", "ule"),
            (Gt, _) => by_sign("sgt", "ugt"),
            (Ge, _) => by_sign("sge", "uge"),
        }
    }
}

/// Emits scalar ops at the place of a builder.
pub struct Scalars<'x, 'b> {
    /// The builder, inside of a body.
    pub b: &'x mut Builder<'b>,
}

impl<'x, 'b> Scalars<'x, 'b> {
    /// Emits where the builder stands.
    pub fn new(b: &'x mut Builder<'b>) -> Self {
        Scalars { b }
    }
    /// The context.
    pub fn ctx(&self) -> &'b Context {
        self.b.ctx
    }
    /// An op whose result has the type of its first operand.
    pub fn op(&mut self, name: &str, args: &[ValueId]) -> ValueId {
        let ty = self.b.body.ty(args[0]);
        self.b.value(name, args, ty, &[])
    }
    /// A constant from a typed attribute.
    pub fn constant_attr(&mut self, attr: Attr, ty: Type) -> ValueId {
        self.b.value("arith.constant", &[], ty, &[("value", attr)])
    }
    /// A number of a kind.
    pub fn constant(&mut self, kind: Kind, value: f64) -> ValueId {
        let ctx = self.ctx();
        self.constant_attr(kind.attr(ctx, value), kind.ty(ctx))
    }
    /// An integer of a kind, exact where an `f64` would not be.
    pub fn integer(&mut self, kind: Kind, value: i128) -> ValueId {
        let ctx = self.ctx();
        let ty = kind.ty(ctx);
        let attr = if kind == Kind::Bool { ctx.bool_attr(value != 0) } else { ctx.int_attr(value, ty) };
        self.constant_attr(attr, ty)
    }
    /// `arith.cmpi`.
    pub fn cmpi(&mut self, predicate: &str, a: ValueId, b: ValueId) -> ValueId {
        self.compare_op("arith.cmpi", &CMPI_PREDICATES, predicate, a, b)
    }
    /// `arith.cmpf`.
    pub fn cmpf(&mut self, predicate: &str, a: ValueId, b: ValueId) -> ValueId {
        self.compare_op("arith.cmpf", &CMPF_PREDICATES, predicate, a, b)
    }
    fn compare_op(&mut self, name: &str, known: &[&str], predicate: &str, a: ValueId, b: ValueId) -> ValueId {
        let ctx = self.ctx();
        let number = known.iter().position(|p| *p == predicate).unwrap_or(0);
        self.b.value(name, &[a, b], ctx.int_type(1), &[("predicate", ctx.i64_attr(number as i64))])
    }
    /// A comparison of two values of a kind; of `index` values as signed integers.
    pub fn compare(&mut self, kind: Kind, compare: Compare, a: ValueId, b: ValueId) -> ValueId {
        match kind {
            Kind::Float(_) => self.cmpf(compare.name(kind), a, b),
            _ => self.cmpi(compare.name(kind), a, b),
        }
    }
    /// One of two values.
    pub fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> ValueId {
        let ty = self.b.body.ty(a);
        self.b.value("arith.select", &[condition, a, b], ty, &[])
    }
    /// The value of an expression, of type `index`.
    pub fn index(&mut self, expr: Expr) -> ValueId {
        index_value(self.b, expr)
    }
    /// Whether `a < b` (`slt`), `a <= b` (`sle`), ... of two expressions.
    pub fn compare_exprs(&mut self, predicate: &str, a: Expr, b: Expr) -> ValueId {
        let (a, b) = (self.index(a), self.index(b));
        self.cmpi(predicate, a, b)
    }
    /// An integer as `index`.
    pub fn to_index(&mut self, value: ValueId, kind: Kind) -> ValueId {
        let ty = self.ctx().index_type();
        let name = if matches!(kind, Kind::Int(_, true)) { "arith.index_cast" } else { "arith.index_castui" };
        self.b.value(name, &[value], ty, &[])
    }
    /// An `index` as a number of a kind.
    pub fn from_index(&mut self, value: ValueId, kind: Kind) -> ValueId {
        let i64_kind = Kind::Int(64, true);
        let ty = i64_kind.ty(self.ctx());
        let wide = self.b.value("arith.index_cast", &[value], ty, &[]);
        self.cast(wide, i64_kind, kind)
    }

    /// Conversion as the ONNX standard's Cast: to floats rounds once, to integers truncates, wraps between integers, and
    /// everything but zero is true.
    pub fn cast(&mut self, v: ValueId, from: Kind, to: Kind) -> ValueId {
        let ty = to.ty(self.ctx());
        let convert = |s: &mut Self, name: &str| s.b.value(name, &[v], ty, &[]);
        match (from, to) {
            _ if from == to => v,
            (Kind::Float(a), Kind::Float(b)) => match a.bits().cmp(&b.bits()) {
                std::cmp::Ordering::Less => convert(self, "arith.extf"),
                std::cmp::Ordering::Greater => convert(self, "arith.truncf"),
                // f16 and bf16, or two 8-bit formats: neither holds the other, f32 holds both.
                std::cmp::Ordering::Equal => {
                    let middle = Kind::Float(FloatKind::F32);
                    let wide = self.cast(v, from, middle);
                    self.cast(wide, middle, to)
                }
            },
            (Kind::Float(_), Kind::Bool) => {
                let zero = self.constant(from, 0.0);
                self.cmpf("une", v, zero)
            }
            (Kind::Float(_), Kind::Int(_, signed)) => {
                convert(self, if signed { "arith.fptosi" } else { "arith.fptoui" })
            }
            (Kind::Int(_, true), Kind::Float(_)) => convert(self, "arith.sitofp"),
            (_, Kind::Float(_)) => convert(self, "arith.uitofp"),
            (_, Kind::Bool) => {
                let zero = self.integer(from, 0);
                self.cmpi("ne", v, zero)
            }
            (Kind::Bool, Kind::Int(..)) => convert(self, "arith.extui"),
            (Kind::Int(a, signed), Kind::Int(b, _)) => match a.cmp(&b) {
                std::cmp::Ordering::Less => convert(self, if signed { "arith.extsi" } else { "arith.extui" }),
                std::cmp::Ordering::Greater => convert(self, "arith.trunci"),
                std::cmp::Ordering::Equal => v,
            },
        }
    }
    /// Product of two values of a kind; of truth values, whether both hold.
    pub fn mul(&mut self, kind: Kind, a: ValueId, b: ValueId) -> ValueId {
        self.op(
            match kind {
                Kind::Float(_) => "arith.mulf",
                Kind::Bool => "arith.andi",
                Kind::Int(..) => "arith.muli",
            },
            &[a, b],
        )
    }
    /// Sum of two values of a kind; of truth values, whether one holds.
    pub fn add(&mut self, kind: Kind, a: ValueId, b: ValueId) -> ValueId {
        self.op(
            match kind {
                Kind::Float(_) => "arith.addf",
                Kind::Bool => "arith.ori",
                Kind::Int(..) => "arith.addi",
            },
            &[a, b],
        )
    }
}
