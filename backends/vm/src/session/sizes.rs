//! Values of size expressions, kept as long as the symbols that they read stay the same.

use crate::bytecode::Size;
use crate::bytecode::size::{Op, SizeError, SizeExpr};
use crate::program::Inner;

/// The symbol registers that an expression reads, if they are one or two.
pub(crate) fn reads(expr: &SizeExpr) -> Option<[u32; 2]> {
    let SizeExpr::Program(ops) = expr else { return None };
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
        match size.as_immediate() {
            Some(value) => Ok(value),
            None => self.computed(inner, symbols, size),
        }
    }

    fn computed(&mut self, inner: &Inner, symbols: &[i64], size: Size) -> Result<i64, SizeError> {
        match &inner.contents.sizes[size.index()] {
            SizeExpr::Constant(v) => Ok(*v),
            SizeExpr::Symbol(r) => Ok(symbols[*r as usize]),
            expr => match inner.size_reads[size.index()] {
                Some([a, b]) => {
                    let key = [symbols[a as usize], symbols[b as usize]];
                    let kept = &mut self.kept[size.index()];
                    if kept.known && kept.symbols == key {
                        return Ok(kept.value);
                    }
                    let value = expr.eval(symbols)?;
                    *kept = Kept { symbols: key, value, known: true };
                    Ok(value)
                }
                None => expr.eval(symbols),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_symbols_at_most_are_kept() {
        let of = |ops: &[Op]| reads(&SizeExpr::Program(ops.into()));
        assert_eq!(of(&[Op::Sum(3), Op::Symbol(4), Op::Symbol(4), Op::Constant(1)]), Some([4, 4]));
        assert_eq!(of(&[Op::Sum(3), Op::Symbol(4), Op::Symbol(2), Op::Symbol(4)]), Some([4, 2]));
        assert_eq!(of(&[Op::Sum(3), Op::Symbol(4), Op::Symbol(2), Op::Symbol(1)]), None);
        assert_eq!(of(&[Op::Constant(1)]), None);
    }
}
