//! The canonical form, by example: text on the left, canonical text on the right.

use nim_expr::{EvalError, Expr, ExprNode, ExprPool, InvalidKind};

#[track_caller]
fn check(input: &str, expected: &str) {
    let pool = ExprPool::new();
    let e = pool.parse(input).unwrap_or_else(|error| panic!("{input}: {error}"));
    let shown = pool.display(e).to_string();
    assert_eq!(shown, expected, "for {input}");
    assert_eq!(pool.parse(&shown), Ok(e), "{shown} does not round-trip");
}

#[test]
fn sums_and_products() {
    check("4 + 3072*N", "3072*N + 4");
    check("N + M + N", "M + 2*N");
    check("(N + 1)*(N - 1)", "N*N - 1");
    check("N*N - 1 - (N+1)*(N-1)", "0");
    check("2*(a + b) - b - b", "2*a");
    check("-N + 4", "-N + 4");
    check("4 - N*M", "-M*N + 4");
    check("$10 + $2 + $1*$2", "$1*$2 + $2 + $10");
    check("0*N", "0");
    check("-(-N)", "N");
    check("3 - 5", "-2");
    check("N*-3", "-3*N");
    check("x - 2 - 3*y", "x - 3*y - 2");
}

#[test]
fn division() {
    check("2*(a + b) floordiv 2", "a + b");
    check("floordiv(N + 1, 2)", "floordiv(N + 1, 2)");
    check("floordiv(N - 1, 2) + 1", "floordiv(N + 1, 2)");
    check("floordiv(x*c, c)", "x");
    check("floordiv(4*N + 2, 4)", "N");
    check("floordiv(6*N + 3, 4)", "N + floordiv(N + 1, 2)");
    check("floordiv(5*N + M, 4)", "N + floordiv(M + N, 4)");
    check("floordiv(N - M, 4)", "floordiv(-M + N, 4)");
    check("floordiv(floordiv(N, 2), 3)", "floordiv(N, 6)");
    check("floordiv(floordiv(N - 3, 2) - 2, 2) + 1", "floordiv(N + 1, 4) - 1");
    check("floordiv(N*M, 2*N)", "floordiv(M, 2)");
    check("floordiv(N*i + j, N)", "i + floordiv(j, N)");
    check("floordiv((N+1)*(M+2), M+2)", "N + 1");
    check("floordiv(a, -2)", "floordiv(-a, 2)");
    check("ceildiv(N, 4)", "ceildiv(N, 4)");
    check("floordiv(N + 3, 4)", "ceildiv(N, 4)");
    check("ceildiv(N + 5, 4)", "floordiv(N, 4) + 2");
    check("ceildiv(a, b)", "ceildiv(a, b)");
    check("-floordiv(-a, b)", "ceildiv(a, b)");
    check("ceildiv(a*b + 1, b)", "a + ceildiv(1, b)");
    check("floordiv(7, 2) + ceildiv(7, 2) + mod(-7, 4)", "8");
    check("floordiv(-7, 2)", "-4");
}

#[test]
fn remainder() {
    check("mod(c*x, c)", "0");
    check("mod(8*N + r, 8)", "mod(r, 8)");
    check("mod(N - 1, 4)", "mod(N + 3, 4)");
    check("mod(-N, 64)", "mod(-N, 64)");
    check("mod(63*N, 64)", "mod(-N, 64)");
    check("mod(2*N + 1, 4)", "2*mod(N, 2) + 1");
    check("mod(mod(x, 8), 4)", "mod(x, 4)");
    check("mod(mod(x, 4), 8)", "mod(x, 4)");
    check("mod(mod(x, 4) + mod(y, 8), 4)", "mod(x + y, 4)");
    check("mod(N*i + j, N)", "mod(j, N)");
    check("mod(a*c, b*c)", "c*mod(a, b)");
    check("floordiv(mod(x, 32), 8)", "mod(floordiv(x, 8), 4)");
    check("floordiv(mod(x, 4), 8)", "0");
    check("mod(a, b)", "mod(a, b)");
    check("mod(N, 1)", "0");
}

#[test]
fn minima_and_maxima() {
    check("min(b, a, b)", "min(a, b)");
    check("min(min(c, a), b)", "min(a, b, c)");
    check("min(3, a, 5)", "min(a, 3)");
    check("min(N, N + 1)", "N");
    check("max(N, N + 1, N - 4)", "N + 1");
    check("min(a, max(a, b))", "a");
    check("max(4, 7)", "7");
    check("min(a)", "a");
}

#[test]
fn values_that_do_not_exist() {
    check("floordiv(N, 0)", "invalid(division_by_zero)");
    check("1 + 2*mod(N, 3 - 3)", "invalid(division_by_zero)");
    check("9223372036854775807 + 1", "invalid(overflow)");
    check("N*4611686018427387904*4", "invalid(overflow)");
    check("min(N, invalid(too_complex))", "invalid(too_complex)");
    check("invalid(overflow) + invalid(division_by_zero)", "invalid(division_by_zero)");
    check("-9223372036854775808", "-9223372036854775808");
    check("M + -9223372036854775808*N", "M + -9223372036854775808*N");
    let pool = ExprPool::new();
    let none = |_| None;
    let overflow = pool.add(pool.constant(i64::MAX), pool.constant(1));
    assert_eq!(pool.node(overflow), ExprNode::Invalid(InvalidKind::Overflow));
    assert_eq!(pool.eval(overflow, &none), Err(EvalError::Overflow));
    assert_eq!(pool.neg(pool.constant(i64::MIN)), overflow);
    assert_eq!(pool.floordiv(pool.constant(i64::MIN), pool.constant(-1)), overflow);
    let zero = pool.ceildiv(Expr::ONE, Expr::ZERO);
    assert_eq!(pool.eval(zero, &none), Err(EvalError::DivisionByZero));
    let n = pool.symbol("N");
    assert_eq!(pool.eval(pool.var(n), &none), Err(EvalError::Unbound(n)));
    assert_eq!(EvalError::Unbound(n).describe(&pool), "the symbol N has no value");
    let late = pool.floordiv(Expr::ONE, pool.var(n));
    assert_eq!(pool.eval(late, &|_| Some(0)), Err(EvalError::DivisionByZero));
    let square = pool.mul(pool.var(n), pool.var(n));
    assert_eq!(pool.eval(square, &|_| Some(1 << 40)), Err(EvalError::Overflow));
}

#[test]
fn extreme_constants_never_panic() {
    let pool = ExprPool::new();
    let extremes = [i64::MIN, i64::MIN + 1, -2, -1, 0, 1, 2, i64::MAX - 1, i64::MAX];
    let (n, m) = (pool.named("N"), pool.named("M"));
    for a in extremes {
        for b in extremes {
            for c in extremes {
                let (ka, kb, kc) = (pool.constant(a), pool.constant(b), pool.constant(c));
                let x = pool.linear_combination([(a, n), (b, m), (1, kc)]);
                let y = pool.linear_combination([(c, n), (a, Expr::ONE)]);
                let z = pool.add(pool.modulo(n, ka), pool.floordiv(m, kb));
                let operations: [fn(&ExprPool, Expr, Expr) -> Expr; 8] = [
                    ExprPool::add,
                    ExprPool::sub,
                    ExprPool::mul,
                    ExprPool::floordiv,
                    ExprPool::ceildiv,
                    ExprPool::modulo,
                    ExprPool::min,
                    ExprPool::max,
                ];
                for f in operations {
                    for (l, r) in [(x, y), (y, x), (x, ka), (x, kb), (z, x), (z, kc), (ka, kb), (kc, z), (ka, y)] {
                        let e = f(&pool, l, r);
                        let text = pool.display(e).to_string();
                        assert_eq!(pool.parse(&text), Ok(e), "{text}");
                        let facts = nim_expr::Facts::default();
                        pool.bounds(e, &facts);
                        pool.divisor(e, &facts);
                        pool.simplify(e, &facts);
                        pool.prove_eq(e, l);
                        pool.prove_ne(e, l, &facts);
                    }
                }
            }
        }
    }
}

#[test]
fn big_products_stay_products() {
    let pool = ExprPool::new();
    let sum = |prefix: &str, n: usize| pool.sum((0..n).map(|i| pool.named(&format!("{prefix}{i}"))));
    let (a, b, c) = (sum("a", 20), sum("b", 20), sum("c", 20));
    let x = pool.named("x");
    let abc = pool.product([a, b, c]);
    assert!(matches!(pool.node(abc), ExprNode::Product(factors) if factors.len() == 3));
    assert_eq!(pool.mul(pool.mul(c, a), b), abc);
    assert_eq!(pool.sub(abc, pool.mul(pool.mul(b, c), a)), Expr::ZERO);
    // Content moves out of the sums, whichever way it came in.
    let scaled = pool.product([pool.scale(-6, a), b, pool.mul(x, c)]);
    assert_eq!(scaled, pool.product([x, pool.constant(-6), abc]));
    let mixed = pool.linear_combination([(2, abc), (1, x), (3, pool.mul(a, b)), (-7, Expr::ONE)]);
    for e in [abc, scaled, mixed, pool.mul(mixed, mixed), pool.mul(mixed, abc), pool.floordiv(mixed, x)] {
        let text = pool.display(e).to_string();
        assert_eq!(pool.parse(&text), Ok(e), "{text}");
    }
    assert_eq!(pool.floordiv(scaled, pool.mul(x, abc)), pool.constant(-6));
    // What is left of a product of sums is multiplied out when it is small enough.
    let (d, y) = (sum("d", 10), pool.named("y"));
    let (abd, abx) = (pool.product([a, b, d]), pool.product([a, b, x]));
    let quotient = pool.floordiv(pool.add(pool.mul(abd, y), abx), pool.mul(a, b));
    assert_eq!(quotient, pool.add(pool.mul(d, y), x));
    // A power that fits stays a polynomial; one that does not, does not explode.
    let mut power = Expr::ONE;
    for _ in 0..40 {
        power = pool.mul(power, pool.add(a, b));
    }
    assert!(pool.display(power).to_string().len() < 40_000);
    let values = |_| Some(0);
    assert_eq!(pool.eval(power, &values), Ok(0));
}

#[test]
fn nesting_and_size_are_limited() {
    let pool = ExprPool::new();
    let (n, two) = (pool.named("N"), pool.constant(2));
    let mut e = n;
    for i in 0..10_000 {
        e = pool.max(pool.floordiv(e, pool.named("M")), pool.named(&format!("x{}", i % 7)));
    }
    assert_eq!(pool.as_invalid(e), Some(InvalidKind::TooComplex));
    assert_eq!(pool.eval(e, &|_| Some(1)), Err(EvalError::TooComplex));
    // Sharing makes a small graph of a huge tree.
    let mut shared = n;
    for _ in 0..200 {
        shared = pool.min(pool.floordiv(shared, n), pool.modulo(shared, pool.named("M")));
    }
    assert_eq!(pool.as_invalid(shared), Some(InvalidKind::TooComplex));
    // Divisions by constants collapse, so any number of pooling layers is fine.
    let mut deep = n;
    for _ in 0..30 {
        deep = pool.add(pool.floordiv(pool.sub(deep, two), two), Expr::ONE);
    }
    assert_eq!(pool.display(deep).to_string(), "floordiv(N, 1073741824)");
    // The deepest expression that the pool keeps can be traversed by everything.
    let mut deepest = n;
    loop {
        let next = pool.floordiv(pool.add(deepest, Expr::ONE), pool.named("M"));
        if pool.as_invalid(next).is_some() {
            break;
        }
        deepest = next;
    }
    let facts = nim_expr::Facts::default();
    let text = pool.display(deepest).to_string();
    assert_eq!(pool.parse(&text), Ok(deepest));
    assert_eq!(pool.simplify(deepest, &facts), deepest);
    assert_eq!(pool.bounds(deepest, &facts).max, None);
    let ones = pool.substitute(deepest, &mut |_| Some(Expr::ONE));
    assert_eq!(pool.as_const(ones), pool.eval(deepest, &|_| Some(1)).ok());
}

#[test]
fn views_and_queries() {
    let pool = ExprPool::new();
    let e = pool.parse("3*N*M + floordiv($0, 2)*$1 + 5").expect("valid");
    let names: Vec<&str> = pool.symbols(e).into_iter().map(|s| pool.symbol_name(s)).collect();
    assert_eq!(names, ["$0", "$1", "M", "N"]);
    let ExprNode::Sum(terms) = pool.node(e) else { panic!("a sum") };
    assert_eq!(terms.len(), 3);
    assert_eq!(pool.as_const(terms[2]), Some(5));
    let one = pool.symbol("$1");
    let (k, rest) = pool.linear_in(e, one).expect("linear in $1");
    assert_eq!(pool.display(k).to_string(), "floordiv($0, 2)");
    assert_eq!(pool.display(rest).to_string(), "3*M*N + 5");
    assert_eq!(pool.linear_in(e, pool.symbol("$0")), None);
    assert_eq!(pool.linear_in(e, pool.symbol("K")), Some((Expr::ZERO, e)));
    assert_eq!(pool.linear_in(pool.parse("N*N").expect("valid"), pool.symbol("N")), None);
    assert_eq!(pool.split_constant(e).1, 5);
    // Substitution happens at once: swapping works.
    let (n, m) = (pool.symbol("N"), pool.symbol("M"));
    let swapped =
        pool.substitute(pool.parse("2*N - M").expect("valid"), &mut |s| Some(pool.var(if s == n { m } else { n })));
    assert_eq!(pool.display(swapped).to_string(), "2*M - N");
}

/// An index taken apart into those of dimensions and put together again is the index.
#[test]
fn remainders_cancel() {
    let pool = ExprPool::new();
    let cancelled = |text: &str| pool.display(pool.cancel_remainders(pool.parse(text).unwrap())).to_string();
    assert_eq!(cancelled("w*floordiv(i, w) + mod(i, w)"), "i");
    assert_eq!(cancelled("64*w*floordiv(floordiv(i, 64), w) + 64*mod(floordiv(i, 64), w) + mod(i, 64) + 3"), "i + 3");
    assert_eq!(cancelled("c*h*w*floordiv(i, w) + c*h*mod(i, w) + k"), "c*h*i + k");
    // Quotients that stood in the index itself count as little as they cost: they stay in any case.
    let row = "(9*i + 2556*floordiv(j, 2))";
    let line = format!("floordiv({row}, 112)");
    let position = format!("200704*floordiv({line}, 112) + 1792*mod({line}, 112) + 16*mod({row}, 112)");
    assert_eq!(cancelled(&position), "144*i + 40896*floordiv(j, 2)");
    // Nothing to gain.
    assert_eq!(
        cancelled("(w + 2)*floordiv(i, w) + mod(i, w)"),
        cancelled("w*floordiv(i, w) + 2*floordiv(i, w) + mod(i, w)")
    );
    assert_eq!(cancelled("mod(i, w)"), "mod(i, w)");
}
