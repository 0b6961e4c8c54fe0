//! Symbolic integer expressions, hash-consed in one canonical form.
//!
//! Tensor dimensions (`N`, `2*seq_len + 1`), iteration variables of maps and loops (`$0`), memlet subsets and sizes in
//! bytes are all expressions of one [`ExprPool`]. The pool interns every expression after bringing it to a canonical
//! form, so two expressions that are the same polynomial over the same divisions, minima and maxima are the same
//! [`Expr`], and comparing them is comparing two integers.
//!
//! # Meaning
//! An expression is a *partial* function from assignments of integers to its symbols, to the (unbounded) integers:
//! division by zero has no value. Canonicalisation, [`ExprPool::simplify`] and the `prove_*` functions keep the value
//! wherever the original has one; where the original has none, the result may have one (`floordiv(x*c, c)` is `x`, also
//! for `c = 0`). `floordiv` rounds towards negative infinity, `ceildiv` towards positive infinity, and
//! `mod(a, b) = a - b*floordiv(a, b)`, which for a positive `b` is in `0..b`.
//!
//! # Canonical form
//! * A sum has at least two terms with distinct monomials, by descending degree, then by name; a constant comes last.
//! * A product has an optional constant factor first, then atoms (symbols, divisions, minima, ...); sums are multiplied
//!   out. A product of sums that would have too many terms stays a product of primitive sums.
//! * Division and `mod` by a constant or a monomial split off what divides exactly, cancel common factors, and make
//!   nested divisions one. `ceildiv` by a positive constant is a `floordiv`.
//! * `min` and `max` are flat, sorted, and have no duplicates and at most one constant.
//! * The order of terms depends on names and structure only, never on the order of creation, so output does not depend
//!   on the number of threads.
//!
//! # Example
//! ```
//! use nim_expr::{ExprPool, Facts};
//!
//! let pool = ExprPool::new();
//! let e = pool.parse("floordiv(768*N + $0, 768)").unwrap();
//! assert_eq!(pool.display(e).to_string(), "N + floordiv($0, 768)");
//!
//! let mut facts = Facts::new();
//! facts.set_range(pool.symbol("$0"), 0, 767);
//! assert_eq!(pool.simplify(e, &facts), pool.named("N"));
//!
//! let padded = pool.align_up(pool.named("N"), pool.constant(14));
//! assert!(pool.prove_le(pool.named("N"), padded, &facts));
//! assert_eq!(pool.eval(padded, &|_| Some(30)), Ok(42));
//! ```
//!
//! # What it deliberately does not do
//! There are no rationals, no booleans and no global state; nothing here knows about types or operations of the IR.
#![forbid(unsafe_code)]

mod bounds;
mod divide;
mod eval;
mod extremum;
mod facts;
mod interval;
mod node;
mod order;
mod parse;
mod poly;
mod pool;
mod print;
mod prove;
mod query;
mod remainders;
mod simplify;

pub use bounds::Bounds;
pub use eval::EvalError;
pub use facts::{Facts, SymbolFacts};
pub use node::{Expr, ExprNode, InvalidKind, Symbol};
pub use parse::ParseError;
pub use pool::ExprPool;
