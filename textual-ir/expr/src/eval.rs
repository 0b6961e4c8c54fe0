//! Evaluation.

use std::fmt;

use crate::node::{Data, Expr, InvalidKind, Symbol};
use crate::pool::ExprPool;

/// Why an expression has no value for an assignment.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum EvalError {
    /// The assignment has no value for this symbol.
    Unbound(Symbol),
    /// The value does not fit in 64 bits.
    Overflow,
    /// A divisor is zero.
    DivisionByZero,
    /// The expression outgrew the limits of the pool when it was built.
    TooComplex,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Unbound(_) => f.write_str("a symbol has no value"),
            EvalError::Overflow => f.write_str("the value does not fit in 64 bits"),
            EvalError::DivisionByZero => f.write_str("division by zero"),
            EvalError::TooComplex => f.write_str("the expression is too large"),
        }
    }
}

impl std::error::Error for EvalError {}

impl EvalError {
    /// The message with the name of the symbol, which `Display` cannot know.
    pub fn describe(self, pool: &ExprPool) -> String {
        match self {
            EvalError::Unbound(s) => format!("the symbol {} has no value", pool.display_symbol(s)),
            other => other.to_string(),
        }
    }
}

impl From<InvalidKind> for EvalError {
    fn from(kind: InvalidKind) -> Self {
        match kind {
            InvalidKind::Overflow => EvalError::Overflow,
            InvalidKind::DivisionByZero => EvalError::DivisionByZero,
            InvalidKind::TooComplex => EvalError::TooComplex,
        }
    }
}

impl ExprPool {
    /// The value for an assignment. Intermediate results are wide: only the final value has to fit in 64 bits.
    ///
    /// # Errors
    /// A symbol without value, a value that does not fit, or a division by zero.
    pub fn eval(&self, e: Expr, f: &dyn Fn(Symbol) -> Option<i64>) -> Result<i64, EvalError> {
        let wide = self.eval_wide(e, f)?;
        i64::try_from(wide).map_err(|_| EvalError::Overflow)
    }

    fn eval_wide(&self, e: Expr, f: &dyn Fn(Symbol) -> Option<i64>) -> Result<i128, EvalError> {
        let overflow = EvalError::Overflow;
        match self.data(e) {
            Data::Const(v) => Ok(i128::from(*v)),
            Data::Symbol(s) => f(*s).map(i128::from).ok_or(EvalError::Unbound(*s)),
            Data::Sum(terms) => {
                terms.iter().try_fold(0i128, |acc, &t| acc.checked_add(self.eval_wide(t, f)?).ok_or(overflow))
            }
            Data::Product { factors, .. } => {
                factors.iter().try_fold(1i128, |acc, &t| acc.checked_mul(self.eval_wide(t, f)?).ok_or(overflow))
            }
            Data::FloorDiv(a, b) => floor_div(self.eval_wide(*a, f)?, self.eval_wide(*b, f)?),
            Data::CeilDiv(a, b) => {
                let negated = self.eval_wide(*a, f)?.checked_neg().ok_or(overflow)?;
                floor_div(negated, self.eval_wide(*b, f)?)?.checked_neg().ok_or(overflow)
            }
            Data::Mod(a, b) => {
                let (a, b) = (self.eval_wide(*a, f)?, self.eval_wide(*b, f)?);
                let product = floor_div(a, b)?.checked_mul(b).ok_or(overflow)?;
                a.checked_sub(product).ok_or(overflow)
            }
            Data::Min(list) => self.fold(list, f, i128::min),
            Data::Max(list) => self.fold(list, f, i128::max),
            Data::Invalid(kind) => Err((*kind).into()),
        }
    }

    fn fold(
        &self,
        list: &[Expr],
        f: &dyn Fn(Symbol) -> Option<i64>,
        pick: fn(i128, i128) -> i128,
    ) -> Result<i128, EvalError> {
        let mut best = None;
        for &e in list {
            let v = self.eval_wide(e, f)?;
            best = Some(best.map_or(v, |b| pick(b, v)));
        }
        // The list of a node is never empty.
        best.ok_or(EvalError::TooComplex)
    }
}

/// `a / b` rounded towards negative infinity.
pub(crate) fn floor_div(a: i128, b: i128) -> Result<i128, EvalError> {
    if b == 0 {
        return Err(EvalError::DivisionByZero);
    }
    let q = a.checked_div(b).ok_or(EvalError::Overflow)?;
    // `checked_div` rounds towards zero.
    Ok(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}
