//! Handles, the public view of a node, and how a node is stored.

use std::fmt;

/// A canonical expression of one [`ExprPool`](crate::ExprPool).
///
/// Two handles of the same pool are equal exactly when the canonical forms are equal. `Ord` is the order of creation:
/// good for maps inside one pass, not for output (see [`ExprPool::compare`](crate::ExprPool::compare)).
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Expr(pub(crate) u32);

impl Expr {
    /// The constant 0 in every pool.
    pub const ZERO: Expr = Expr(0);
    /// The constant 1 in every pool.
    pub const ONE: Expr = Expr(1);

    pub(crate) const fn invalid(kind: InvalidKind) -> Expr {
        match kind {
            InvalidKind::Overflow => Expr(2),
            InvalidKind::DivisionByZero => Expr(3),
            InvalidKind::TooComplex => Expr(4),
        }
    }

    /// The position in its pool, for tables that attach data to expressions.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An interned name of one [`ExprPool`](crate::ExprPool). `Ord` is the order of creation.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Symbol(pub(crate) u32);

impl Symbol {
    /// The position among the symbols of its pool, for tables that attach data to symbols.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why an expression has no value for any assignment.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum InvalidKind {
    /// A constant does not fit in 64 bits.
    Overflow,
    /// A division by the constant zero.
    DivisionByZero,
    /// Nested deeper or larger than the pool allows, which keeps every traversal within the stack and linear time.
    TooComplex,
}

impl InvalidKind {
    /// The name inside `invalid(...)` in the text form.
    pub fn name(self) -> &'static str {
        match self {
            InvalidKind::Overflow => "overflow",
            InvalidKind::DivisionByZero => "division_by_zero",
            InvalidKind::TooComplex => "too_complex",
        }
    }

    pub(crate) const ALL: [InvalidKind; 3] =
        [InvalidKind::Overflow, InvalidKind::DivisionByZero, InvalidKind::TooComplex];
}

impl fmt::Display for InvalidKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidKind::Overflow => "a constant of the expression does not fit in 64 bits",
            InvalidKind::DivisionByZero => "division by zero",
            InvalidKind::TooComplex => "the expression is too large",
        })
    }
}

/// A node as seen from outside, for pattern matching.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ExprNode<'a> {
    /// An integer.
    Const(i64),
    /// A named unknown.
    Symbol(Symbol),
    /// At least two terms; a constant term is last.
    Sum(&'a [Expr]),
    /// At least two factors; a constant factor is first. A power is a repeated factor.
    Product(&'a [Expr]),
    /// Quotient rounded towards negative infinity.
    FloorDiv(Expr, Expr),
    /// Quotient rounded towards positive infinity; only with a divisor that is not constant.
    CeilDiv(Expr, Expr),
    /// `a - b*floordiv(a, b)`.
    Mod(Expr, Expr),
    /// The smallest of at least two expressions.
    Min(&'a [Expr]),
    /// The largest of at least two expressions.
    Max(&'a [Expr]),
    /// No value; see [`InvalidKind`].
    Invalid(InvalidKind),
}

/// What is stored and compared for hash-consing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Data {
    Const(i64),
    Symbol(Symbol),
    Sum(Box<[Expr]>),
    /// `factors` includes the constant when it is not 1; `monomial` is the product without it (unused when it is 1).
    Product {
        coefficient: i64,
        monomial: Expr,
        factors: Box<[Expr]>,
    },
    FloorDiv(Expr, Expr),
    CeilDiv(Expr, Expr),
    Mod(Expr, Expr),
    Min(Box<[Expr]>),
    Max(Box<[Expr]>),
    Invalid(InvalidKind),
}

impl Data {
    /// The direct operands.
    pub(crate) fn children(&self) -> ([Expr; 2], usize, &[Expr]) {
        const NONE: [Expr; 2] = [Expr::ZERO; 2];
        match self {
            Data::Const(_) | Data::Symbol(_) | Data::Invalid(_) => (NONE, 0, &[]),
            Data::Sum(list) | Data::Product { factors: list, .. } | Data::Min(list) | Data::Max(list) => {
                (NONE, 0, list)
            }
            Data::FloorDiv(a, b) | Data::CeilDiv(a, b) | Data::Mod(a, b) => ([*a, *b], 2, &[]),
        }
    }

    /// Calls `f` with each direct operand, in order.
    pub(crate) fn for_each_child(&self, mut f: impl FnMut(Expr)) {
        let (pair, count, list) = self.children();
        pair[..count].iter().chain(list).for_each(|&e| f(e));
    }
}
