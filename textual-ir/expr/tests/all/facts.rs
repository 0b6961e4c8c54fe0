//! What is proved and simplified from facts, by example.

use nim_expr::{Bounds, Expr, ExprPool, Facts};

/// `$0 < N`, `$1 < M`, `4 <= $2 < 16`, `0 <= r < 8`, N at least 1, M a multiple of 8.
fn setup() -> (ExprPool, Facts) {
    let pool = ExprPool::new();
    let mut facts = Facts::new();
    facts.set_iteration(&pool, pool.symbol("$0"), Expr::ZERO, pool.named("N"));
    facts.set_iteration(&pool, pool.symbol("$1"), Expr::ZERO, pool.named("M"));
    facts.set_range(pool.symbol("$2"), 4, 15).set_range(pool.symbol("r"), 0, 7);
    facts.set_min(pool.symbol("N"), Some(1)).set_divisor(pool.symbol("M"), 8);
    (pool, facts)
}

#[track_caller]
fn simplifies(input: &str, expected: &str) {
    let (pool, facts) = setup();
    let e = pool.simplify(pool.parse(input).expect(input), &facts);
    assert_eq!(pool.display(e).to_string(), expected, "for {input}");
}

#[track_caller]
fn relation(a: &str, b: &str) -> (bool, bool, bool) {
    let (pool, facts) = setup();
    let (a, b) = (pool.parse(a).expect(a), pool.parse(b).expect(b));
    (pool.prove_lt(a, b, &facts), pool.prove_le(a, b, &facts), pool.prove_ne(a, b, &facts))
}

#[track_caller]
fn lt(a: &str, b: &str) {
    assert_eq!(relation(a, b), (true, true, true), "{a} < {b}");
}

#[track_caller]
fn le(a: &str, b: &str) {
    let (less, le, _) = relation(a, b);
    assert!(le && !less, "{a} <= {b}");
}

#[track_caller]
fn bounds(input: &str, min: Option<i64>, max: Option<i64>) {
    let (pool, facts) = setup();
    assert_eq!(pool.bounds(pool.parse(input).expect(input), &facts), Bounds { min, max }, "for {input}");
}

#[test]
fn ranges() {
    bounds("N", Some(1), None);
    bounds("$0", Some(0), None);
    bounds("$2*2 - 1", Some(7), Some(29));
    bounds("$2*$2 - $2", Some(1), Some(221));
    bounds("mod(N, 5)", Some(0), Some(4));
    bounds("min(N, 7)", Some(1), Some(7));
    bounds("max(N, 7)", Some(7), None);
    bounds("$0 - N", None, Some(-1));
    bounds("floordiv($2, 3)", Some(1), Some(5));
    bounds("3*$2 floordiv 4", Some(3), Some(11));
    bounds("-N*$0", None, Some(0));
    bounds("mod(-$2, 4) + $2", Some(4), Some(18));
}

#[test]
fn order() {
    lt("$0", "N");
    le("$0 + 1", "N");
    le("0", "M");
    lt("$0*M + $1", "N*M");
    le("0", "$0*M + $1");
    le("4*floordiv(N, 4)", "N");
    lt("N", "4*floordiv(N, 4) + 4");
    le("N", "4*ceildiv(N, 4)");
    lt("4*ceildiv(N, 4)", "N + 4");
    le("N", "M*ceildiv(N, M)");
    le("M*floordiv(N, M)", "N");
    lt("mod(N, M)", "M");
    le("mod(N, M)", "N");
    le("min(N, M)", "N");
    le("min(N, M + 3)", "max(N, K)");
    le("min($2 + 4, 32) - $2", "4");
    lt("floordiv($0, 8)", "ceildiv(N, 8)");
    lt("mod(-$0, 4)", "4");
    lt("floordiv(N, 2)", "N");
    le("floordiv(N + 1, 2)", "N");
    le("8*$0 + r", "8*N - 1");
    assert_eq!(relation("N", "M"), (false, false, false));
    assert_eq!(relation("M", "5"), (false, false, true));
    assert!(relation("2*N", "2*K + 1").2);
    // A multiple of 8 that is more than 0 is at least 8.
    let (pool, mut facts) = setup();
    facts.set_min(pool.symbol("M"), Some(1));
    assert!(pool.prove_le(pool.constant(8), pool.named("M"), &facts));
}

#[test]
fn equality() {
    let pool = ExprPool::new();
    let eq = |a: &str, b: &str| pool.prove_eq(pool.parse(a).expect(a), pool.parse(b).expect(b));
    assert!(eq("(N+1)*(N-1)", "N*N - 1"));
    assert!(eq("4*floordiv(N, 4) + mod(N, 4)", "N"));
    assert!(eq("M*floordiv(N, M) + mod(N, M)", "N"));
    assert!(eq("floordiv(3*N, 4) - N", "floordiv(-N, 4)"));
    assert!(eq("2*mod(N, 6) + 12*floordiv(N, 6)", "2*N"));
    assert!(!eq("N", "M"));
    assert!(!eq("invalid(overflow)", "invalid(overflow)"));
    let (pool, facts) = setup();
    let eq = |a: &str, b: &str| pool.prove_eq_given(pool.parse(a).expect(a), pool.parse(b).expect(b), &facts);
    assert!(eq("8*floordiv(M, 8)", "M"));
    assert!(eq("ceildiv(M, 8)", "floordiv(M, 8)"));
    assert!(eq("floordiv(8*$0 + r, 8)", "$0"));
    assert!(!eq("floordiv(N, 8)*8", "N"));
}

#[test]
fn simplification() {
    simplifies("min($0, N - 1)", "$0");
    simplifies("max($0, 0)", "$0");
    simplifies("min($0 + 1, N, K)", "min($0 + 1, K)");
    simplifies("mod(8*$0 + r, 8)", "r");
    simplifies("floordiv(8*$0 + r, 8)", "$0");
    simplifies("floordiv(8*$0 + r, 32)", "floordiv($0, 4)");
    simplifies("mod(8*$0 + r, 32)", "r + 8*mod($0, 4)");
    simplifies("floordiv($0*M + $1, M)", "$0");
    simplifies("mod($0*M + $1, M)", "$1");
    simplifies("mod($0, N)", "$0");
    simplifies("mod(M, 8)", "0");
    simplifies("8*floordiv(M, 8)", "M");
    simplifies("8*ceildiv(M, 8)", "M");
    simplifies("floordiv(M + r, 8)", "floordiv(M, 8)");
    simplifies("8*floordiv(N, 8) + mod(N, 8)", "N");
    simplifies("N - 8*floordiv(N, 8)", "mod(N, 8)");
    simplifies("K*floordiv(N, K) + mod(N, K)", "N");
    simplifies("floordiv($2, 16)", "0");
    simplifies("mod($2 - 16, 16)", "$2");
    simplifies("floordiv(floordiv(N, K), M)", "floordiv(N, K*M)");
    simplifies("max(min($0, N - 1), 0)", "$0");
    simplifies("ceildiv($0 + 1, N)", "1");
    simplifies("N", "N");
    let (pool, mut facts) = setup();
    facts.set_range(pool.symbol("B"), 4, 4);
    let e = pool.parse("B*N + floordiv(B, 3)").expect("valid");
    assert_eq!(pool.display(pool.simplify(e, &facts)).to_string(), "4*N + 1");
    assert_eq!(pool.likely_value(e, &facts), None);
    facts.set_likely(pool.symbol("N"), Some(10));
    assert_eq!(pool.likely_value(e, &facts), Some(41));
}

#[test]
fn divisibility() {
    let (pool, facts) = setup();
    let divisor = |text: &str| pool.divisor(pool.parse(text).expect(text), &facts);
    assert_eq!(divisor("M"), 8);
    assert_eq!(divisor("3*M*M + 128"), 64);
    assert_eq!(divisor("floordiv(M, 4)"), 2);
    assert_eq!(divisor("mod(M, 12)"), 4);
    assert_eq!(divisor("min(M, 12)"), 4);
    assert_eq!(divisor("N"), 1);
    assert_eq!(divisor("0"), 0);
    assert_eq!(divisor("-6"), 6);
}

#[test]
fn contradictions_and_cycles_terminate() {
    let pool = ExprPool::new();
    let (a, b) = (pool.symbol("a"), pool.symbol("b"));
    let mut facts = Facts::new();
    facts.add_below(&pool, a, pool.var(b)).add_below(&pool, b, pool.var(a));
    facts.add_lower(a, pool.parse("2*b + floordiv(a, b)").expect("valid"));
    facts.assume_nonnegative(pool.parse("a*b - 3*a").expect("valid"));
    for text in ["a - b", "a*b - b*b", "floordiv(a, b) - mod(b, a)", "min(a, b)*max(a, 3) - b"] {
        let e = pool.parse(text).expect(text);
        pool.bounds(e, &facts);
        pool.simplify(e, &facts);
        pool.prove_le(e, Expr::ZERO, &facts);
    }
}
