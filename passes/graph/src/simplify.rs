//! `graph-simplify`: ops that say nothing go, ops that undo each other too, and constant factors and terms behind a
//! convolution or matrix product with constant weights (batch normalisation) go into the weights and a bias.

use crate::{affine, affine_integer, fold::remove_unused, integer, integer_pool, invariant};
use nim_graph::ops::{contraction::*, elementwise::*, layout::*, reduction::*};
use nim_ir::{Body, Context, Expr, Module};
use nim_pass::{Restless, RuleSet, Rules};
use nim_rewrite::rules;

/// The name of the pass.
pub const NAME: &str = "graph-simplify";

/// Rounds before giving up waiting for a fixed point. A loop loses one value that it carries unchanged in each.
const MAX_ROUNDS: usize = 1000;

/// What to simplify.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SimplifyOptions {
    /// Scale weights by constants that stand behind; rounds at other places than the original.
    pub fold_weights: bool,
}

impl Default for SimplifyOptions {
    fn default() -> Self {
        SimplifyOptions { fold_weights: true }
    }
}

/// Simplifies all functions; tells how many rewrites there were.
pub fn simplify(ctx: &Context, module: &mut Module, options: SimplifyOptions) -> usize {
    module.body.nested_bodies_mut().map(|(_, body)| simplify_body(ctx, body, options)).sum()
}

/// Simplifies one function; tells how many rewrites there were.
pub fn simplify_body(ctx: &Context, body: &mut Body, options: SimplifyOptions) -> usize {
    let mut total = 0;
    // Rules that do not come to rest leave a body that is right all the same.
    let _ = simplify_under(ctx, body, options, Rules::new(NAME, None), &mut |_| total += 1);
    total
}

/// Simplifies one function; `fired` hears of each rule that was applied.
pub(crate) fn simplify_under(
    ctx: &Context,
    body: &mut Body,
    options: SimplifyOptions,
    rules: Rules<'_>,
    fired: &mut dyn FnMut(&'static str),
) -> Result<(), Restless> {
    let wanted = RULES.iter().filter(|rule| {
        options.fold_weights
            || ![FOLD_WEIGHTS, FOLD_INTEGERS, DIVIDE_TERMS, INTEGER_PRODUCT, SCALE_BEHIND].contains(&rule.info.name)
    });
    let settled = RuleSet::new(rules, wanted).greedy(ctx, body, MAX_ROUNDS, fired);
    remove_unused(ctx, body);
    settled
}

const FOLD_WEIGHTS: &str = "fold-weights";
const FOLD_INTEGERS: &str = "fold-integer-scales";
const DIVIDE_TERMS: &str = "divide-terms";
const INTEGER_PRODUCT: &str = "integer-product";
const SCALE_BEHIND: &str = "scale-behind";

rules! {
    /// The rules, in the order in which an op is tried.
    pub(crate) const RULES;

    "drop-identity", "`graph.identity` of `x` is `x`": Identity { x } => x;
    "same-type", "a cast, reshape or broadcast to the same type":
        Cast { x } | Reshape { x } | BroadcastTo { x } => x;
    "same-order", "a transpose that leaves all axes in place":
        Transpose { x, perm } if perm.iter().zip(0..).all(|(&p, i)| p == i), "`perm` moves an axis" => x;
    "join-transposes", "a transpose of a transpose is one":
        Transpose { x: Transpose { x, perm: first }, perm }
            if let Some(perm) = joined(&first, &perm), "`perm` names an axis that is not there"
        => Transpose { x, perm, ..op };
    "join-reshapes", "a reshape of a reshape is one": Reshape { x: Reshape { x } } => Reshape { x, ..op };
    "whole-slice", "a slice that takes everything":
        Slice { x, starts, steps }
            if all(&starts, Expr::ZERO) && all(&steps, Expr::ONE), "it starts behind 0 or has steps other than 1"
        => x;
    "empty-pad", "padding by nothing":
        Pad { x, low, high }
            if all(&low, Expr::ZERO) && all(&high, Expr::ZERO), "it adds or removes elements"
        => x;
    "single-concat", "the concatenation of one tensor":
        Concat { xs } if let &[x] = xs.as_slice(), "it has several operands" => x;
    "reduce-nothing", "a reduction over no axis":
        Reduce { x, axes } if axes.is_empty(), "it reduces an axis" => x;
    // Exact for all numbers; adding zero is not, for it loses the sign of -0.
    "neutral-number", "`x * 1`, `x / 1`, `x ^ 1`, `x - 0` are `x`":
        Mul { x, y, z } | Mul { x: y, y: x, z } | Div { x, y, z } | Pow { x, y, z } | Sub { x, y, z }
            if affine::splat(ctx, body, y) == Some(if Sub::is(ctx, body, op) { 0.0 } else { 1.0 }),
                "the other operand is not the neutral number"
            if body.ty(x) == body.ty(z), "it broadcasts what would be left"
        => x;
    "loop-invariant", "what a loop carries unchanged stays outside": ["graph.loop"] => invariant::drop_invariant;
    "narrow-transpose", "a widened constant is transposed as it is stored": [Transpose::NAME] => integer::narrow;
    "narrow-gather", "rows of a widened constant are gathered as they are stored": ["graph.gather"] => integer::gather;
    INTEGER_PRODUCT, "a product of scaled bytes is one of integers, scaled":
        [Conv::NAME, MatMul::NAME] => integer::product;
    SCALE_BEHIND, "the scale of weights of bytes goes behind their product": [Conv::NAME, MatMul::NAME] => integer::scale;
    "zero-points-behind", "zero points go behind a product of bytes": [Conv::NAME, MatMul::NAME] => integer::zero_points;
    "maximum-of-bytes", "the maximum of scaled bytes is one of bytes": [Pool::NAME] => integer_pool::pool;
    FOLD_WEIGHTS, "factors and terms behind a product go into its weights":
        [Conv::NAME, ConvTranspose::NAME, MatMul::NAME] => affine::fold_behind;
    FOLD_INTEGERS, "factors and terms behind an integer are one integer and one factor":
        [Cast::NAME] => affine_integer::fold_behind;
    DIVIDE_TERMS, "the quotient of a sum of scaled numbers has scales of its own": [Div::NAME] => affine_integer::divide_terms;
}

/// One permutation for two, one after the other.
fn joined(first: &[i64], second: &[i64]) -> Option<Vec<i64>> {
    second.iter().map(|&p| first.get(usize::try_from(p).ok()?).copied()).collect()
}

fn all(exprs: &[Expr], wanted: Expr) -> bool {
    exprs.iter().all(|&e| e == wanted)
}
