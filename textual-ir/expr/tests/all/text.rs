//! The text form: what is accepted, and what is said about what is not.

use nim_expr::ExprPool;

#[track_caller]
fn fails(input: &str, offset: usize, message: &str) {
    let error = ExprPool::new().parse(input).expect_err(input);
    assert_eq!((error.offset, error.message.as_str()), (offset, message), "for {input}");
}

#[track_caller]
fn same(a: &str, b: &str) {
    let pool = ExprPool::new();
    let (x, y) = (pool.parse(a).expect(a), pool.parse(b).expect(b));
    assert_eq!(x, y, "{a} is {}, {b} is {}", pool.display(x), pool.display(y));
}

#[test]
fn infix_operators_bind_like_multiplication() {
    same("a + b floordiv c * d", "a + floordiv(b, c)*d");
    same("a - b mod 4", "a - mod(b, 4)");
    same("a * b ceildiv c", "ceildiv(a*b, c)");
    same("-a floordiv 2", "floordiv(-a, 2)");
    same("a - 8 floordiv b", "a - floordiv(8, b)");
    same("a floordiv -2", "floordiv(-a, 2)");
    same("  ( a )\t+\n1", "a + 1");
    same("2 - -3", "5");
    same("--a", "a");
    same("floordiv (a, 2)", "a floordiv 2");
}

#[test]
fn names() {
    let pool = ExprPool::new();
    let names = [
        "N",
        "seq_len",
        "a.b.0",
        "_x9",
        "$0",
        "$12",
        "",
        "weird name",
        "min",
        "invalid",
        "$x",
        "$",
        "\"",
        "\\",
        "a\nb\tc",
    ];
    for name in names.into_iter().chain(["ü", "日本", "\u{1}\u{7f}", "a-b", "9a", "floordiv", "modx"]) {
        let e = pool.add(pool.scale(3, pool.named(name)), pool.constant(1));
        let text = pool.display(e).to_string();
        assert_eq!(pool.parse(&text), Ok(e), "{text}");
    }
    assert_eq!(pool.display(pool.named("weird name")).to_string(), "\"weird name\"");
    assert_eq!(pool.display(pool.named("mod")).to_string(), "\"mod\"");
    assert_eq!(pool.display(pool.named("modx")).to_string(), "modx");
    assert_eq!(pool.display(pool.named("a\"b\n")).to_string(), "\"a\\\"b\\n\"");
}

#[test]
fn prefixes() {
    let pool = ExprPool::new();
    let (e, used) = pool.parse_prefix("2*N + 1 ]x300").expect("valid");
    assert_eq!((pool.display(e).to_string().as_str(), used), ("2*N + 1", 7));
    let (_, used) = pool.parse_prefix("N, M").expect("valid");
    assert_eq!(used, 1);
}

#[test]
fn errors() {
    fails("", 0, "expected an expression, found the end");
    fails("N +", 3, "expected an expression, found the end");
    fails("N M", 2, "expected an operator or the end of the expression");
    fails("(N", 2, "expected `)`");
    fails("N * ]", 4, "expected an integer, a name or `(`");
    fails("floordiv(N)", 0, "`floordiv` takes 2 arguments, found 1");
    fails("mod(N, 2, 3)", 0, "`mod` takes 2 arguments, found 3");
    fails("1 + min", 4, "`min` is a function and needs arguments; a symbol of this name is written \"min\"");
    fails("9223372036854775808", 0, "this integer does not fit in 64 bits");
    fails("1 + 99999999999999999999999999999999999999999999", 4, "this integer does not fit in 64 bits");
    fails("$x", 0, "expected digits after `$`; any other name with `$` is written in quotes");
    fails("\"abc", 0, "this string has no closing quote");
    fails("\"a\\q\"", 2, "unknown escape; use \\\" \\\\ \\n \\t or \\u{..}");
    fails("\"\\u{110000}\"", 1, "expected a character code such as `\\u{1f}`");
    fails("invalid(what)", 8, "expected `overflow`, `division_by_zero` or `too_complex`");
    fails("ü", 0, "expected an integer, a name or `(`");
}

#[test]
fn deep_nesting_is_an_error_and_long_chains_are_fast() {
    let pool = ExprPool::new();
    for text in ["(".repeat(100_000), "-".repeat(100_000), "- (".repeat(50_000), "min(".repeat(50_000)] {
        let error = pool.parse(&text).expect_err("too deep");
        assert_eq!(error.message, "nested more than 256 levels deep");
    }
    let chain = "N + ".repeat(20_000) + "1";
    assert_eq!(pool.display(pool.parse(&chain).expect("valid")).to_string(), "20000*N + 1");
    let product = "2*".repeat(62) + "N";
    assert_eq!(pool.display(pool.parse(&product).expect("valid")).to_string(), "4611686018427387904*N");
    let divisions = "N".to_string() + &" floordiv 1".repeat(20_000);
    assert_eq!(pool.parse(&divisions), Ok(pool.named("N")));
}

#[test]
fn arbitrary_bytes_never_panic() {
    let pool = ExprPool::new();
    let pieces = ["N", "$0", "3", "(", ")", "+", "-", "*", " mod ", "min(", ",", "\"", "\\", "floordiv", "é", " ", "$"];
    let mut state = 99u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        match pool.parse(&text) {
            Ok(e) => assert_eq!(pool.parse(&pool.display(e).to_string()), Ok(e), "{text}"),
            Err(error) => assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{text}"),
        }
    }
}
