//! Values of size expressions. Most are a symbol times a number and a number more, which is computed at once; what takes
//! longer is kept as long as the symbols that it reads stay the same.

use crate::bytecode::Size;
use crate::bytecode::size::{Op, SizeError, SizeExpr};
use crate::program::Inner;

/// An expression as it is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `factor * symbol + offset`
    Linear { symbol: u32, factor: i64, offset: i64 },
    /// It reads these symbols; the same one twice if it is one.
    Kept([u32; 2]),
    /// Constants, and what reads more symbols.
    Other,
}

impl Form {
    pub(crate) fn of(expr: &SizeExpr) -> Form {
        let linear = |symbol, factor, offset| Form::Linear { symbol, factor, offset };
        let ops: &[Op] = match expr {
            SizeExpr::Constant(_) => return Form::Other,
            SizeExpr::Symbol(symbol) => return linear(*symbol, 1, 0),
            SizeExpr::Program(ops) => ops,
        };
        match *ops {
            [Op::Sum(2), Op::Symbol(s), Op::Constant(b)] | [Op::Sum(2), Op::Constant(b), Op::Symbol(s)] => {
                linear(s, 1, b)
            }
            [Op::Product(2), Op::Symbol(s), Op::Constant(a)] | [Op::Product(2), Op::Constant(a), Op::Symbol(s)] => {
                linear(s, a, 0)
            }
            [Op::Sum(2), Op::Product(2), Op::Symbol(s), Op::Constant(a), Op::Constant(b)]
            | [Op::Sum(2), Op::Product(2), Op::Constant(a), Op::Symbol(s), Op::Constant(b)]
            | [Op::Sum(2), Op::Constant(b), Op::Product(2), Op::Symbol(s), Op::Constant(a)]
            | [Op::Sum(2), Op::Constant(b), Op::Product(2), Op::Constant(a), Op::Symbol(s)] => linear(s, a, b),
            _ => two_symbols(ops).map_or(Form::Other, Form::Kept),
        }
    }
}

/// The symbol registers that a program reads, if they are one or two.
fn two_symbols(ops: &[Op]) -> Option<[u32; 2]> {
    let mut found: Option<[u32; 2]> = None;
    for op in ops {
        let Op::Symbol(r) = *op else { continue };
        found = match found {
            None => Some([r, r]),
            Some([a, b]) if a == r || b == r => found,
            Some([a, b]) if a == b => Some([a, r]),
            Some(_) => return None,
        };
    }
    found
}

#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    symbols: [i64; 2],
    value: i64,
    known: bool,
}

/// The last value of each expression of a program. What an expression is worth depends on nothing but the values of its
/// symbols, so it does not matter which function asks.
#[derive(Debug)]
pub(super) struct Sizes {
    kept: Vec<Kept>,
}

impl Sizes {
    pub(super) fn new(inner: &Inner) -> Sizes {
        Sizes { kept: vec![Kept::default(); inner.contents.sizes.len()] }
    }

    /// The value of an expression.
    #[inline(always)]
    pub(super) fn get(&mut self, inner: &Inner, symbols: &[i64], size: Size) -> Result<i64, SizeError> {
        if let Some(value) = size.as_immediate() {
            return Ok(value);
        }
        match inner.size_forms[size.index()] {
            // As in the general case only the value itself has to fit.
            Form::Linear { symbol, factor, offset } => {
                let value = i128::from(symbols[symbol as usize]) * i128::from(factor) + i128::from(offset);
                i64::try_from(value).map_err(|_| SizeError::Overflow)
            }
            Form::Kept(reads) => self.kept(inner, symbols, size, reads),
            Form::Other => inner.contents.sizes[size.index()].eval(symbols),
        }
    }

    fn kept(&mut self, inner: &Inner, symbols: &[i64], size: Size, [a, b]: [u32; 2]) -> Result<i64, SizeError> {
        let key = [symbols[a as usize], symbols[b as usize]];
        let kept = &mut self.kept[size.index()];
        if kept.known && kept.symbols == key {
            return Ok(kept.value);
        }
        let value = inner.contents.sizes[size.index()].eval(symbols)?;
        *kept = Kept { symbols: key, value, known: true };
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let of = |ops: &[Op]| Form::of(&SizeExpr::Program(ops.into()));
        let (n, c) = (Op::Symbol(4), Op::Constant);
        let linear = |factor, offset| Form::Linear { symbol: 4, factor, offset };
        assert_eq!(Form::of(&SizeExpr::Symbol(4)), linear(1, 0));
        assert_eq!(of(&[Op::Sum(2), n, c(7)]), linear(1, 7));
        assert_eq!(of(&[Op::Product(2), c(3), n]), linear(3, 0));
        assert_eq!(of(&[Op::Sum(2), Op::Product(2), c(3), n, c(7)]), linear(3, 7));
        assert_eq!(of(&[Op::Sum(2), c(7), Op::Product(2), n, c(3)]), linear(3, 7));
        assert_eq!(of(&[Op::Sum(3), n, n, c(1)]), Form::Kept([4, 4]));
        assert_eq!(of(&[Op::Sum(3), n, Op::Symbol(2), n]), Form::Kept([4, 2]));
        assert_eq!(of(&[Op::Sum(3), n, Op::Symbol(2), Op::Symbol(1)]), Form::Other);
        assert_eq!(Form::of(&SizeExpr::Constant(1)), Form::Other);
    }
}
