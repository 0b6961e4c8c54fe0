//! Random expressions against a naive interpreter, and soundness of everything that is proved.

use nim_expr::{EvalError, Expr, ExprNode, ExprPool, Facts, Symbol};

/// A linear congruential generator (Knuth's MMIX constants): the tests need repeatable, not good, randomness.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    fn range(&mut self, lo: i64, hi: i64) -> i64 {
        lo + self.below((hi - lo + 1) as u64) as i64
    }
}

/// An expression as written, without any canonical form.
#[derive(Clone, Debug)]
enum Tree {
    Const(i64),
    Var(usize),
    Neg(Box<Tree>),
    Binary(Op, Box<Tree>, Box<Tree>),
}

#[derive(Copy, Clone, Debug)]
enum Op {
    Add,
    Sub,
    Mul,
    FloorDiv,
    CeilDiv,
    Mod,
    Min,
    Max,
}

const OPS: [Op; 11] =
    [Op::Add, Op::Add, Op::Sub, Op::Mul, Op::Mul, Op::FloorDiv, Op::CeilDiv, Op::Mod, Op::Min, Op::Max, Op::Add];
const NAMES: [&str; 5] = ["N", "M", "$0", "$1", "odd name"];

fn random_tree(r: &mut Random, depth: u32) -> Tree {
    if depth == 0 || r.below(6) == 0 {
        return match r.below(3) {
            0 => Tree::Const(match r.below(8) {
                0 => 0,
                1 => r.range(-100, 100),
                _ => r.range(-8, 16),
            }),
            _ => Tree::Var(r.below(NAMES.len() as u64) as usize),
        };
    }
    if r.below(10) == 0 {
        return Tree::Neg(Box::new(random_tree(r, depth - 1)));
    }
    let op = OPS[r.below(OPS.len() as u64) as usize];
    let left = random_tree(r, depth - 1);
    // Divisors are mostly positive constants, as in practice, but zero and symbols must work too.
    let right = match op {
        Op::FloorDiv | Op::CeilDiv | Op::Mod if r.below(3) > 0 => Tree::Const(r.range(1, 12)),
        _ => random_tree(r, depth - 1),
    };
    Tree::Binary(op, Box::new(left), Box::new(right))
}

fn floor(a: i128, b: i128) -> Option<i128> {
    if b == 0 {
        return None;
    }
    let q = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}

/// The value as written; none for a division by zero or beyond 128 bits.
fn naive(t: &Tree, values: &[i64]) -> Option<i128> {
    Some(match t {
        Tree::Const(v) => (*v).into(),
        Tree::Var(i) => values[*i].into(),
        Tree::Neg(a) => naive(a, values)?.checked_neg()?,
        Tree::Binary(op, a, b) => {
            let (a, b) = (naive(a, values)?, naive(b, values)?);
            match op {
                Op::Add => a.checked_add(b)?,
                Op::Sub => a.checked_sub(b)?,
                Op::Mul => a.checked_mul(b)?,
                Op::FloorDiv => floor(a, b)?,
                Op::CeilDiv => -floor(-a, b)?,
                Op::Mod => a - b.checked_mul(floor(a, b)?)?,
                Op::Min => a.min(b),
                Op::Max => a.max(b),
            }
        }
    })
}

fn build(pool: &ExprPool, t: &Tree) -> Expr {
    match t {
        Tree::Const(v) => pool.constant(*v),
        Tree::Var(i) => pool.named(NAMES[*i]),
        Tree::Neg(a) => pool.neg(build(pool, a)),
        Tree::Binary(op, a, b) => {
            let (a, b) = (build(pool, a), build(pool, b));
            match op {
                Op::Add => pool.add(a, b),
                Op::Sub => pool.sub(a, b),
                Op::Mul => pool.mul(a, b),
                Op::FloorDiv => pool.floordiv(a, b),
                Op::CeilDiv => pool.ceildiv(a, b),
                Op::Mod => pool.modulo(a, b),
                Op::Min => pool.min(a, b),
                Op::Max => pool.max(a, b),
            }
        }
    }
}

fn symbols(pool: &ExprPool) -> Vec<Symbol> {
    NAMES.iter().map(|n| pool.symbol(n)).collect()
}

fn eval(pool: &ExprPool, e: Expr, values: &[i64]) -> Result<i64, EvalError> {
    let symbols = symbols(pool);
    pool.eval(e, &|s| symbols.iter().position(|&x| x == s).map(|i| values[i]))
}

/// Wherever the original has a value, so has the expression, and the same one; beyond 64 bits it may overflow.
fn check_value(pool: &ExprPool, what: &str, tree: &Tree, e: Expr, values: &[i64]) {
    let Some(expected) = naive(tree, values) else { return };
    match eval(pool, e, values) {
        Ok(found) => assert_eq!(i128::from(found), expected, "{what} {tree:?} = {} at {values:?}", pool.display(e)),
        Err(EvalError::Overflow | EvalError::TooComplex) => {
            // Only legitimate when large numbers are really involved.
            assert!(pool.as_invalid(e).is_some() || i64::try_from(expected).is_err(), "{what} {tree:?} overflows");
        }
        Err(error) => panic!("{what} {tree:?} = {}: {error}", pool.display(e)),
    }
}

#[test]
fn canonical_form_keeps_the_value_and_text_round_trips() {
    let pool = ExprPool::new();
    let mut r = Random(1);
    for round in 0..6000 {
        let tree = random_tree(&mut r, 1 + round % 5);
        let e = build(&pool, &tree);
        let text = pool.display(e).to_string();
        let parsed = pool.parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed, e, "{text} reads as {}", pool.display(parsed));
        for _ in 0..6 {
            let values: Vec<i64> = NAMES.iter().map(|_| r.range(-12, 40)).collect();
            check_value(&pool, "canonical", &tree, e, &values);
        }
    }
}

#[test]
fn the_order_of_creation_does_not_show() {
    let mut r = Random(2);
    for _ in 0..1500 {
        let tree = random_tree(&mut r, 4);
        let (one, other) = (ExprPool::new(), ExprPool::new());
        for name in NAMES.iter().rev() {
            other.named(name);
        }
        let noise = random_tree(&mut r, 4);
        build(&other, &noise);
        let (a, b) = (build(&one, &tree), build(&other, &tree));
        assert_eq!(one.display(a).to_string(), other.display(b).to_string());
    }
}

#[test]
fn substitution_is_evaluation_later() {
    let pool = ExprPool::new();
    let mut r = Random(3);
    let n = pool.symbol("N");
    for _ in 0..3000 {
        let (tree, inner) = (random_tree(&mut r, 4), random_tree(&mut r, 2));
        let (e, by) = (build(&pool, &tree), build(&pool, &inner));
        let substituted = pool.substitute(e, &mut |s| (s == n).then_some(by));
        for _ in 0..4 {
            let mut values: Vec<i64> = NAMES.iter().map(|_| r.range(-6, 20)).collect();
            let outer = values.clone();
            let Some(v) = naive(&inner, &values).and_then(|v| i64::try_from(v).ok()) else { continue };
            values[0] = v;
            let Some(expected) = naive(&tree, &values) else { continue };
            if let Ok(found) = eval(&pool, substituted, &outer) {
                assert_eq!(i128::from(found), expected, "{} with N = {}", pool.display(e), pool.display(by));
            }
        }
    }
}

#[test]
fn linear_decomposition_is_exact() {
    let pool = ExprPool::new();
    let mut r = Random(4);
    let mut linear = 0;
    for _ in 0..3000 {
        let tree = random_tree(&mut r, 3);
        let e = build(&pool, &tree);
        for s in symbols(&pool) {
            if let Some((k, rest)) = pool.linear_in(e, s) {
                linear += 1;
                assert!(!pool.mentions(k, s) && !pool.mentions(rest, s));
                assert_eq!(pool.add(pool.mul(k, pool.var(s)), rest), e);
            }
        }
    }
    assert!(linear > 1000);
}

/// Random facts with assignments that satisfy them.
struct World {
    facts: Facts,
    assignments: Vec<Vec<i64>>,
}

fn random_world(pool: &ExprPool, r: &mut Random) -> World {
    let s = symbols(pool);
    let mut facts = Facts::new();
    let divisor = [1, 1, 4, 8][r.below(4) as usize];
    let low = r.range(0, 3);
    let high = r.range(20, 64);
    facts.set_divisor(s[0], divisor);
    facts.set_min(s[0], Some(low)).set_max(s[0], Some(high));
    let bounded = r.below(2) == 0;
    if bounded {
        facts.set_max(s[1], Some(16));
    }
    // $0 < N, $1 <= M - $0 + 8 where that is not negative; the last one is anything in -9..=9.
    facts.add_below(pool, s[2], pool.var(s[0]));
    facts.assume_le(pool, pool.var(s[3]), pool.add(pool.var(s[1]), pool.constant(8)));
    facts.set_range(s[4], -9, 9);
    let mut assignments = Vec::new();
    while assignments.len() < 24 {
        let n = r.range(low, high) / divisor * divisor;
        let m = r.range(0, if bounded { 16 } else { 50 });
        if n < low.max(1) {
            continue;
        }
        assignments.push(vec![n, m, r.range(0, n - 1), r.range(0, m + 8), r.range(-9, 9)]);
    }
    World { facts, assignments }
}

#[test]
fn facts_are_used_soundly() {
    let pool = ExprPool::new();
    let mut r = Random(5);
    let (mut bounded, mut ordered, mut simplified) = (0, 0, 0);
    for round in 0..2500 {
        let world = random_world(&pool, &mut r);
        let (ta, tb) = (random_tree(&mut r, 1 + round % 4), random_tree(&mut r, 1 + round % 3));
        let (a, b) = (build(&pool, &ta), build(&pool, &tb));
        let bounds = pool.bounds(a, &world.facts);
        let divisor = pool.divisor(a, &world.facts);
        let simple = pool.simplify(a, &world.facts);
        let (eq, eq_given) = (pool.prove_eq(a, b), pool.prove_eq_given(a, b, &world.facts));
        let ne = pool.prove_ne(a, b, &world.facts);
        let (le, lt) = (pool.prove_le(a, b, &world.facts), pool.prove_lt(a, b, &world.facts));
        bounded += u32::from(bounds.min.is_some()) + u32::from(bounds.max.is_some());
        ordered += u32::from(le) + u32::from(ne);
        simplified += u32::from(simple != a);
        for values in &world.assignments {
            check_value(&pool, "simplified", &ta, simple, values);
            let Some(va) = naive(&ta, values) else { continue };
            let shown = || format!("{} = {va} at {values:?} with {:?}", pool.display(a), world.facts);
            assert!(bounds.min.is_none_or(|m| i128::from(m) <= va), "{bounds:?} {}", shown());
            assert!(bounds.max.is_none_or(|m| i128::from(m) >= va), "{bounds:?} {}", shown());
            let divides = if divisor == 0 { va == 0 } else { va % i128::from(divisor) == 0 };
            assert!(divides, "divisor {divisor} {}", shown());
            let Some(vb) = naive(&tb, values) else { continue };
            let shown = || format!("{} and {} at {values:?} with {:?}", pool.display(a), pool.display(b), world.facts);
            assert!(!(eq || eq_given) || va == vb, "equal: {}", shown());
            assert!(!ne || va != vb, "not equal: {}", shown());
            assert!(!le || va <= vb, "at most: {}", shown());
            assert!(!lt || va < vb, "below: {}", shown());
        }
    }
    assert!(bounded > 1000 && ordered > 300 && simplified > 300, "{bounded} {ordered} {simplified}");
}

#[test]
fn polynomials_have_one_form() {
    let pool = ExprPool::new();
    let mut r = Random(6);
    let atom = |r: &mut Random| match r.below(4) {
        0 => pool.constant(r.range(-5, 5)),
        _ => pool.named(NAMES[r.below(4) as usize]),
    };
    for _ in 0..500 {
        let [a, b, c, d] = [(); 4].map(|()| pool.add(atom(&mut r), pool.mul(atom(&mut r), atom(&mut r))));
        assert_eq!(pool.mul(pool.mul(a, b), pool.mul(c, d)), pool.mul(d, pool.mul(pool.mul(c, a), b)));
        assert_eq!(pool.mul(a, pool.add(b, c)), pool.add(pool.mul(c, a), pool.mul(b, a)));
        assert_eq!(pool.sub(pool.add(a, b), b), a);
        if b != Expr::ZERO {
            assert_eq!(pool.exact_div(pool.mul(a, b), b), Some(a));
            assert_eq!(pool.floordiv(pool.mul(a, b), b), a);
            assert_eq!(pool.modulo(pool.mul(a, b), b), Expr::ZERO);
        }
    }
}

#[test]
fn many_threads_agree() {
    let mut r = Random(7);
    let trees: Vec<Tree> = (0..400).map(|_| random_tree(&mut r, 4)).collect();
    let pool = ExprPool::new();
    let all: Vec<Vec<Expr>> = std::thread::scope(|scope| {
        let run = || trees.iter().map(|t| build(&pool, t)).collect();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    assert!(all.windows(2).all(|w| w[0] == w[1]));
    let alone = ExprPool::new();
    for (t, &e) in trees.iter().zip(&all[0]) {
        assert_eq!(alone.display(build(&alone, t)).to_string(), pool.display(e).to_string());
    }
}

#[test]
fn nodes_are_well_formed() {
    let pool = ExprPool::new();
    let mut r = Random(8);
    for _ in 0..2000 {
        let e = build(&pool, &random_tree(&mut r, 4));
        match pool.node(e) {
            ExprNode::Sum(terms) => {
                assert!(terms.len() >= 2);
                assert!(terms[..terms.len() - 1].iter().all(|&t| pool.as_const(t).is_none()));
                assert!(terms.iter().all(|&t| !matches!(pool.node(t), ExprNode::Sum(_))));
            }
            ExprNode::Product(factors) => {
                assert!(factors.len() >= 2);
                assert!(factors[1..].iter().all(|&t| pool.as_const(t).is_none()));
            }
            ExprNode::FloorDiv(_, b) => assert!(pool.as_const(b).is_none_or(|c| c > 1)),
            ExprNode::CeilDiv(_, b) => assert!(pool.as_const(b).is_none()),
            ExprNode::Mod(_, b) => assert!(pool.as_const(b).is_none_or(|c| c > 1)),
            _ => {}
        }
    }
}

#[test]
fn products_that_are_not_multiplied_out_behave() {
    let pool = ExprPool::new();
    let mut r = Random(9);
    let names: Vec<Symbol> = (0..24).map(|i| pool.symbol(&format!("v{i}"))).collect();
    let mut kept = Vec::new();
    for _ in 0..300 {
        let sum = |r: &mut Random| {
            let count = r.range(8, 20);
            let common = pool.var(names[r.below(3) as usize]);
            let content = if r.below(3) == 0 { pool.scale(r.range(-3, 3), common) } else { Expr::ONE };
            let terms = (0..count).map(|i| pool.scale(r.range(-4, 4), pool.var(names[i as usize])));
            pool.mul(content, pool.sum(terms))
        };
        let mut factors = vec![sum(&mut r), sum(&mut r), pool.add(Expr::ONE, pool.var(names[0]))];
        if r.below(2) == 0 && !kept.is_empty() {
            factors.push(kept[r.below(kept.len() as u64) as usize]);
        }
        let product = pool.product(factors.iter().copied());
        if pool.as_invalid(product).is_some() {
            continue;
        }
        let combined = match kept.last() {
            Some(&other) if r.below(2) == 0 => pool.linear_combination([(3, product), (-2, other), (1, Expr::ONE)]),
            _ => product,
        };
        if matches!(pool.node(product), ExprNode::Product(_)) && kept.len() < 40 {
            kept.push(product);
        }
        for e in [product, combined, pool.mul(combined, factors[1]), pool.floordiv(combined, factors[0])] {
            let text = pool.display(e).to_string();
            assert_eq!(pool.parse(&text), Ok(e), "{text}");
        }
        assert_eq!(pool.sub(combined, combined), Expr::ZERO);
        assert_eq!(pool.neg(pool.neg(combined)), combined);
        factors.reverse();
        assert_eq!(pool.product(factors.iter().copied()), product);
        let values: Vec<i64> = names.iter().map(|_| r.range(-3, 3)).collect();
        let eval = |e| pool.eval(e, &|s| names.iter().position(|&n| n == s).map(|i| values[i]));
        let expected = factors.iter().try_fold(1i64, |acc, &f| acc.checked_mul(eval(f).ok()?));
        if let Some(expected) = expected {
            assert_eq!(eval(product), Ok(expected));
        }
    }
    assert!(kept.len() > 10);
}
