//! One `dataflow.map` as the scheduler sees it: the dialect's view and what is derived from it again and again.

use nim_dataflow::MapView;
use nim_ir::{Body, Context, Diagnostic, Expr, Loc, OpId, Symbol, ValueId};

/// A `dataflow.map` taken apart.
#[derive(Clone, Debug)]
pub struct Map {
    /// What the op says.
    pub view: MapView,
    /// Its place.
    pub loc: Loc,
    /// Iteration variables `$0, $1, ...` of the memlets.
    pub ivs: Vec<Symbol>,
    /// Results, one a write.
    pub results: Vec<ValueId>,
}

impl Map {
    /// Reads the op's attributes.
    ///
    /// # Errors
    /// `N0701` when they do not fit together, which the verifier of `dataflow.map` refuses.
    pub fn new(ctx: &Context, body: &Body, op: OpId) -> Result<Map, Diagnostic> {
        let loc = body.loc(op);
        let view = MapView::new(ctx, body, op)
            .ok_or_else(|| Diagnostic::error("N0701", loc, "the attributes of this map do not fit together"))?;
        let ivs = (0..view.domain.len()).map(|k| ctx.exprs.symbol(&format!("${k}"))).collect();
        Ok(Map { view, loc, ivs, results: body.results(op).to_vec() })
    }

    /// Which dimensions no write mentions. A scatter mentions all: nothing is reduced before it is written.
    pub fn reductions(&self, ctx: &Context) -> Vec<bool> {
        if self.view.has_scatter() {
            return vec![false; self.view.rank()];
        }
        self.view.is_parallel(ctx).iter().map(|p| !p).collect()
    }

    /// An expression over the map's iteration variables at a point.
    pub fn at(&self, ctx: &Context, expr: Expr, point: &[Expr]) -> Expr {
        ctx.exprs.substitute(expr, &mut |s| self.ivs.iter().position(|&iv| iv == s).map(|k| point[k]))
    }

    /// Indices over the map's iteration variables at a point.
    pub fn all_at(&self, ctx: &Context, exprs: &[Expr], point: &[Expr]) -> Vec<Expr> {
        exprs.iter().map(|&e| self.at(ctx, e, point)).collect()
    }
}
