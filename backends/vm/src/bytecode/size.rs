//! Size expressions in a form that is evaluated at run time: constants, symbols, and small programs for a stack.
//!
//! A program is a list of words in prefix order: an operation, then its operands. Intermediate results are 128 bits
//! wide, as in [`nim_expr::ExprPool::eval`]; only the final value has to fit in 64.

use nim_expr::{EvalError, Expr, ExprNode, ExprPool, Symbol};

/// A size expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SizeExpr {
    /// A number.
    Constant(i64),
    /// A symbol register.
    Symbol(u32),
    /// Anything else.
    Program(Box<[Op]>),
}

/// A step of a program, in prefix order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Pushes a number.
    Constant(i64),
    /// Pushes a symbol register.
    Symbol(u32),
    /// The sum of so many operands.
    Sum(u32),
    /// The product of so many operands.
    Product(u32),
    /// The least of so many operands.
    Min(u32),
    /// The greatest of so many operands.
    Max(u32),
    /// Quotient rounded down.
    FloorDiv,
    /// Quotient rounded up.
    CeilDiv,
    /// Remainder of the quotient rounded down.
    Mod,
}

/// Most nesting of operands; programs come from expressions, whose depth the pool limits to less.
const MAX_DEPTH: u32 = 256;

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// The value does not fit in 64 bits.
    Overflow,
    /// A divisor is zero.
    DivisionByZero,
}

impl std::fmt::Display for SizeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SizeError::Overflow => "does not fit in 64 bits",
            SizeError::DivisionByZero => "divides by zero",
        })
    }
}

impl SizeExpr {
    /// Translates an expression; `register` says which register a symbol has.
    ///
    /// # Errors
    /// The first symbol without register, or what is wrong with the expression itself.
    pub fn new(
        pool: &ExprPool,
        expr: Expr,
        register: &mut dyn FnMut(Symbol) -> Option<u32>,
    ) -> Result<SizeExpr, EvalError> {
        let mut ops = Vec::new();
        compile(pool, expr, register, &mut ops)?;
        Ok(match *ops {
            [Op::Constant(v)] => SizeExpr::Constant(v),
            [Op::Symbol(r)] => SizeExpr::Symbol(r),
            _ => SizeExpr::Program(ops.into()),
        })
    }

    /// The registers it reads, some of them more than once.
    pub fn symbols(&self) -> impl Iterator<Item = u32> {
        let (one, ops): (Option<u32>, &[Op]) = match self {
            SizeExpr::Constant(_) => (None, &[]),
            SizeExpr::Symbol(r) => (Some(*r), &[]),
            SizeExpr::Program(ops) => (None, ops),
        };
        one.into_iter().chain(ops.iter().filter_map(|op| if let Op::Symbol(r) = op { Some(*r) } else { None }))
    }

    /// One past the highest register it reads.
    pub fn registers(&self) -> u32 {
        self.symbols().map(|r| r.saturating_add(1)).max().unwrap_or(0)
    }

    /// Fails when a program has too few or too many operands, or is nested too deeply.
    pub fn is_well_formed(&self) -> bool {
        match self {
            SizeExpr::Program(ops) => {
                let mut at = 0;
                well_formed(ops, &mut at, 0) && at == ops.len()
            }
            _ => true,
        }
    }

    /// The value for the values of the registers.
    ///
    /// # Errors
    /// See [`SizeError`]. A register or operand that is not there, which the verifier excludes, counts as overflow.
    pub fn eval(&self, registers: &[i64]) -> Result<i64, SizeError> {
        match self {
            SizeExpr::Constant(v) => Ok(*v),
            SizeExpr::Symbol(r) => registers.get(*r as usize).copied().ok_or(SizeError::Overflow),
            SizeExpr::Program(ops) => {
                let mut at = 0;
                let wide = eval(ops, &mut at, registers)?;
                i64::try_from(wide).map_err(|_| SizeError::Overflow)
            }
        }
    }

    /// Appends it to a file's words.
    pub(crate) fn encode(&self, out: &mut Vec<u32>) {
        let one;
        let ops: &[Op] = match self {
            SizeExpr::Constant(v) => {
                one = [Op::Constant(*v)];
                &one
            }
            SizeExpr::Symbol(r) => {
                one = [Op::Symbol(*r)];
                &one
            }
            SizeExpr::Program(ops) => ops,
        };
        out.push(ops.len() as u32);
        for op in ops {
            match *op {
                Op::Constant(v) => out.extend([0, v as u32, (v >> 32) as u32]),
                Op::Symbol(r) => out.extend([1, r]),
                Op::Sum(n) => out.extend([2, n]),
                Op::Product(n) => out.extend([3, n]),
                Op::Min(n) => out.extend([4, n]),
                Op::Max(n) => out.extend([5, n]),
                Op::FloorDiv => out.push(6),
                Op::CeilDiv => out.push(7),
                Op::Mod => out.push(8),
            }
        }
    }

    /// Reads it back; `None` when the words are no expression.
    pub(crate) fn decode(words: &mut &[u32]) -> Option<SizeExpr> {
        let mut word = || -> Option<u32> {
            let (&first, rest) = words.split_first()?;
            *words = rest;
            Some(first)
        };
        let count = word()?;
        let mut ops = Vec::new();
        for _ in 0..count {
            ops.push(match word()? {
                0 => Op::Constant((u64::from(word()?) | u64::from(word()?) << 32) as i64),
                1 => Op::Symbol(word()?),
                2 => Op::Sum(word()?),
                3 => Op::Product(word()?),
                4 => Op::Min(word()?),
                5 => Op::Max(word()?),
                6 => Op::FloorDiv,
                7 => Op::CeilDiv,
                8 => Op::Mod,
                _ => return None,
            });
        }
        let size = match *ops {
            [Op::Constant(v)] => SizeExpr::Constant(v),
            [Op::Symbol(r)] => SizeExpr::Symbol(r),
            _ => SizeExpr::Program(ops.into()),
        };
        size.is_well_formed().then_some(size)
    }
}

fn compile(
    pool: &ExprPool,
    expr: Expr,
    register: &mut dyn FnMut(Symbol) -> Option<u32>,
    out: &mut Vec<Op>,
) -> Result<(), EvalError> {
    let mut list = |op: fn(u32) -> Op, items: &[Expr], out: &mut Vec<Op>| {
        out.push(op(items.len() as u32));
        items.iter().try_for_each(|&item| compile(pool, item, register, out))
    };
    match pool.node(expr) {
        ExprNode::Const(v) => out.push(Op::Constant(v)),
        ExprNode::Symbol(s) => out.push(Op::Symbol(register(s).ok_or(EvalError::Unbound(s))?)),
        ExprNode::Sum(items) => list(Op::Sum, items, out)?,
        ExprNode::Product(items) => list(Op::Product, items, out)?,
        ExprNode::Min(items) => list(Op::Min, items, out)?,
        ExprNode::Max(items) => list(Op::Max, items, out)?,
        ExprNode::FloorDiv(a, b) => list(|_| Op::FloorDiv, &[a, b], out)?,
        ExprNode::CeilDiv(a, b) => list(|_| Op::CeilDiv, &[a, b], out)?,
        ExprNode::Mod(a, b) => list(|_| Op::Mod, &[a, b], out)?,
        ExprNode::Invalid(kind) => return Err(kind.into()),
    }
    Ok(())
}

fn well_formed(ops: &[Op], at: &mut usize, depth: u32) -> bool {
    let Some(op) = ops.get(*at) else { return false };
    *at += 1;
    let operands = match *op {
        Op::Constant(_) | Op::Symbol(_) => 0,
        Op::Sum(n) | Op::Product(n) | Op::Min(n) | Op::Max(n) if n > 0 => n,
        Op::FloorDiv | Op::CeilDiv | Op::Mod => 2,
        _ => return false,
    };
    depth < MAX_DEPTH && (0..operands).all(|_| well_formed(ops, at, depth + 1))
}

fn eval(ops: &[Op], at: &mut usize, registers: &[i64]) -> Result<i128, SizeError> {
    let op = *ops.get(*at).ok_or(SizeError::Overflow)?;
    *at += 1;
    let mut fold = |n: u32, f: fn(i128, i128) -> Option<i128>| {
        let mut acc = eval(ops, at, registers)?;
        for _ in 1..n {
            acc = f(acc, eval(ops, at, registers)?).ok_or(SizeError::Overflow)?;
        }
        Ok(acc)
    };
    match op {
        Op::Constant(v) => Ok(v.into()),
        Op::Symbol(r) => registers.get(r as usize).map(|&v| v.into()).ok_or(SizeError::Overflow),
        Op::Sum(n) => fold(n, i128::checked_add),
        Op::Product(n) => fold(n, i128::checked_mul),
        Op::Min(n) => fold(n, |a, b| Some(a.min(b))),
        Op::Max(n) => fold(n, |a, b| Some(a.max(b))),
        Op::FloorDiv | Op::CeilDiv | Op::Mod => {
            let (a, b) = (eval(ops, at, registers)?, eval(ops, at, registers)?);
            let overflow = SizeError::Overflow;
            match op {
                Op::FloorDiv => floor_div(a, b),
                Op::CeilDiv => floor_div(a.checked_neg().ok_or(overflow)?, b)?.checked_neg().ok_or(overflow),
                _ => a.checked_sub(floor_div(a, b)?.checked_mul(b).ok_or(overflow)?).ok_or(overflow),
            }
        }
    }
}

fn floor_div(a: i128, b: i128) -> Result<i128, SizeError> {
    if b == 0 {
        return Err(SizeError::DivisionByZero);
    }
    let q = a.checked_div(b).ok_or(SizeError::Overflow)?;
    Ok(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, n: i64, m: i64) {
        let pool = ExprPool::new();
        let expr = pool.parse(text).unwrap();
        let size = SizeExpr::new(&pool, expr, &mut |s| {
            ["N", "M"].iter().position(|n| *n == pool.symbol_name(s)).map(|i| i as u32)
        });
        let size = size.unwrap();
        let mut words = vec![];
        size.encode(&mut words);
        assert_eq!(SizeExpr::decode(&mut &words[..]), Some(size.clone()));
        let value = |s| Some(if pool.symbol_name(s) == "N" { n } else { m });
        assert_eq!(size.eval(&[n, m]).ok(), pool.eval(expr, &value).ok(), "{text} at {n}, {m}");
    }

    #[test]
    fn agrees_with_the_expression_pool() {
        for text in [
            "7",
            "N",
            "2*N*M + 3*N - 1",
            "floordiv(N, M)",
            "ceildiv(N + 1, M)",
            "mod(N, M)",
            "min(N, M, 4)",
            "max(N - M, 0)",
        ] {
            for (n, m) in [(0, 1), (7, 3), (-7, 3), (7, -3), (5, 0), (i64::MAX, i64::MAX)] {
                check(text, n, m);
            }
        }
    }

    #[test]
    fn damaged_programs_are_refused() {
        for words in [&[1u32, 2, 3][..], &[2, 2, 2, 0, 1, 0], &[1, 9], &[2, 1, 0], &[1, 2, 0], &[]] {
            assert_eq!(SizeExpr::decode(&mut &words[..]), None, "{words:?}");
        }
        let deep: Vec<u32> = std::iter::once(1001).chain((0..1000).flat_map(|_| [2, 1])).chain([1, 0]).collect();
        assert_eq!(SizeExpr::decode(&mut &deep[..]), None);
        assert_eq!(
            SizeExpr::Program([Op::Product(2), Op::Symbol(0), Op::Symbol(0)].into()).eval(&[i64::MAX]),
            Err(SizeError::Overflow)
        );
    }
}
