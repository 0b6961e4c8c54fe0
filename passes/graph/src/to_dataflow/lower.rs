//! What a lowering sees of its op, and the shapes of maps that most lowerings need.

use super::scalars::{Kind, Scalars};
use nim_dataflow::{Combine, MapBuilder, iv, ivs};
use nim_ir::{Attr, Builder, Context, Diagnostic, Expr, ExprPool, Facts, OpId, Type, ValueId};
use nim_tensor::Tensor;

/// A step of a lowering, or why there is none.
pub type Lowered<T = ValueId> = Result<T, Diagnostic>;

/// An op about to be lowered. New ops go before it.
pub struct Lower<'a, 'b> {
    /// Stands before the op.
    pub b: &'a mut Builder<'b>,
    /// The op.
    pub op: OpId,
}

impl<'b> Lower<'_, 'b> {
    /// The context.
    pub fn ctx(&self) -> &'b Context {
        self.b.ctx
    }
    /// The expressions.
    pub fn pool(&self) -> &'b ExprPool {
        &self.b.ctx.exprs
    }
    /// An error about the op. `N0601`: no map can say this.
    pub fn error<T>(&self, message: impl Into<String>) -> Lowered<T> {
        Err(Diagnostic::error("N0710", self.b.body.loc(self.op), message))
    }

    // ---- operands and results

    /// One operand.
    pub fn operand(&self, i: usize) -> ValueId {
        self.b.body.operand(self.op, i)
    }
    /// All operands.
    pub fn operands(&self) -> Vec<ValueId> {
        self.b.body.operands(self.op).to_vec()
    }
    /// Type of the only result.
    pub fn result_type(&self) -> Type {
        self.b.body.ty(self.b.body.result(self.op))
    }
    /// Shape of a value.
    pub fn dims(&self, v: ValueId) -> Lowered<Vec<Expr>> {
        self.dims_of(self.b.body.ty(v))
    }
    /// Shape of a type.
    pub fn dims_of(&self, ty: Type) -> Lowered<Vec<Expr>> {
        match self.ctx().dim_exprs(ty) {
            Some(dims) => Ok(dims),
            None => self.error(format!("a dimension of {} is not known", self.ctx().display_type(ty))),
        }
    }
    /// What kind of number the elements of a value are.
    pub fn kind(&self, v: ValueId) -> Lowered<Kind> {
        self.kind_of(self.b.body.ty(v))
    }
    /// What kind of number the elements of a tensor type are.
    pub fn kind_of(&self, tensor: Type) -> Lowered<Kind> {
        match self.ctx().element_type(tensor) {
            Some(element) => match Kind::of(self.ctx(), element) {
                Some(kind) => Ok(kind),
                None => self
                    .error(format!("maps do not compute with elements of type {}", self.ctx().display_type(element))),
            },
            None => self.error(format!("a tensor is needed, found {}", self.ctx().display_type(tensor))),
        }
    }
    /// A tensor type with the element type of another one.
    pub fn tensor_like(&self, dims: &[Expr], like: Type) -> Type {
        let element = self.ctx().element_type(like).unwrap_or(like);
        self.ctx().tensor_of(dims, element)
    }
    /// The host tensor of a value that is a constant.
    pub fn constant_of(&self, v: ValueId) -> Option<Tensor> {
        let op = self.b.body.defining_op(v)?;
        match self.ctx().op_str(self.b.body.op_name(op)) {
            "graph.constant" => self.ctx().attr_tensor(self.b.body.attr_named(self.ctx(), op, "value")?),
            "graph.identity" | "graph.reshape" => self.constant_of(self.b.body.operand(op, 0)),
            _ => None,
        }
    }

    // ---- attributes

    fn attr(&self, name: &str) -> Option<Attr> {
        self.b.body.attr_named(self.ctx(), self.op, name)
    }
    /// A boolean attribute, or what its absence means.
    pub fn bool_attr(&self, name: &str, default: bool) -> bool {
        self.attr(name).and_then(|a| self.ctx().as_bool(a)).unwrap_or(default)
    }
    /// An integer attribute, or what its absence means.
    pub fn int_attr(&self, name: &str, default: i64) -> i64 {
        self.attr(name).and_then(|a| self.ctx().as_int(a)).unwrap_or(default)
    }
    /// A float attribute, or what its absence means.
    pub fn float_attr(&self, name: &str, default: f64) -> f64 {
        self.attr(name).and_then(|a| self.ctx().as_float(a)).unwrap_or(default)
    }
    /// The floats of an array attribute; integers count.
    pub fn floats_attr(&self, name: &str) -> Option<Vec<f64>> {
        let ctx = self.ctx();
        let number = |&a: &Attr| ctx.as_float(a).or_else(|| ctx.as_int(a).map(|i| i as f64));
        ctx.as_array(self.attr(name)?)?.iter().map(number).collect()
    }
    /// A string attribute.
    pub fn str_attr(&self, name: &str) -> Lowered<&'b str> {
        match self.attr(name).and_then(|a| self.ctx().as_string(a)) {
            Some(s) => Ok(s),
            None => self.error(format!("needs the string attribute `{name}`")),
        }
    }
    /// A string attribute that may be absent.
    pub fn str_opt(&self, name: &str) -> Option<&'b str> {
        self.attr(name).and_then(|a| self.ctx().as_string(a))
    }
    /// Integers, or `default` as often as needed.
    pub fn ints_attr(&self, name: &str, default: i64, count: usize) -> Lowered<Vec<i64>> {
        let values = match self.attr(name) {
            None => vec![default; count],
            Some(a) => self.ctx().as_ints(a).unwrap_or_default(),
        };
        if values.len() != count {
            return self.error(format!("`{name}` must have {count} integers, found {}", values.len()));
        }
        Ok(values)
    }
    /// Integers of an attribute that may be absent.
    pub fn ints_opt(&self, name: &str) -> Option<Vec<i64>> {
        self.ctx().as_ints(self.attr(name)?)
    }
    /// Expressions.
    pub fn exprs_attr(&self, name: &str) -> Lowered<Vec<Expr>> {
        match self.attr(name).and_then(|a| self.ctx().as_exprs(a)) {
            Some(e) => Ok(e),
            None => self.error(format!("needs the expressions `{name}`")),
        }
    }
    /// True when the attribute is there.
    pub fn has_attr(&self, name: &str) -> bool {
        self.attr(name).is_some()
    }
    /// An axis attribute, counted from the end when negative.
    pub fn axis(&self, name: &str, default: i64, rank: usize) -> Lowered<usize> {
        let axis = self.int_attr(name, default);
        let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(wrapped) {
            Ok(a) if a < rank => Ok(a),
            _ => self.error(format!("axis {axis} lies outside a tensor of rank {rank}")),
        }
    }

    // ---- memlets and maps

    /// The iteration variables of a rank.
    pub fn ivs(&self, rank: usize) -> Vec<Expr> {
        ivs(self.ctx(), rank)
    }
    /// Iteration variable `k`.
    pub fn iv(&self, k: usize) -> Expr {
        iv(self.ctx(), k)
    }
    /// A number as an expression.
    pub fn num(&self, n: i64) -> Expr {
        self.pool().constant(n)
    }
    /// Where a dimension of size `size` is read that is broadcast to `result`, at index `at`.
    pub fn broadcast_index(&self, size: Expr, result: Expr, at: Expr) -> Expr {
        let p = self.pool();
        if p.as_const(size) == Some(1) {
            return Expr::ZERO;
        }
        if size == result || p.prove_eq(size, result) || p.prove_le(result, size, &Facts::default()) {
            return at;
        }
        p.min(at, p.sub(size, Expr::ONE))
    }
    /// The subset of a value that is broadcast (aligned at the end) to a shape, at these indices.
    pub fn broadcast(&self, v: ValueId, shape: &[Expr], at: &[Expr]) -> Lowered<Vec<Expr>> {
        let dims = self.dims(v)?;
        let skip = shape.len().saturating_sub(dims.len());
        Ok(dims
            .iter()
            .zip(shape.iter().zip(at).skip(skip))
            .map(|(&d, (&s, &i))| self.broadcast_index(d, s, i))
            .collect())
    }
    /// Of two sizes that must be equal, the one that says more: a number rather than a symbol.
    pub fn known_size(&self, a: Expr, b: Expr) -> Expr {
        if self.pool().as_const(a).is_none() && self.pool().as_const(b).is_some() { b } else { a }
    }
    /// A map that makes each element of a result once: domain and write are the result's shape.
    pub fn pointwise(
        &mut self,
        ty: Type,
        reads: impl FnOnce(&mut Self, &mut MapBuilder) -> Lowered<()>,
        body: impl FnOnce(&mut Scalars<'_, '_>, &[ValueId]) -> ValueId,
    ) -> Lowered {
        let dims = self.dims_of(ty)?;
        let mut map = MapBuilder::new(&dims);
        reads(self, &mut map)?;
        let at = self.ivs(dims.len());
        map.write(ty, &at);
        let op = map.build(self.b, |b, args| vec![body(&mut Scalars::new(b), args)]);
        Ok(self.b.body.result(op))
    }
    /// A map that only moves: each element of the result is read at one place.
    pub fn movement(&mut self, ty: Type, from: ValueId, subset: &[Expr]) -> Lowered {
        let subset = subset.to_vec();
        self.pointwise(
            ty,
            |_, map| {
                map.read(from, &subset);
                Ok(())
            },
            |_, args| args[0],
        )
    }
    /// Finishes a map that reduces by `combine` into a result of type `ty` at `subset`.
    ///
    /// `body` computes values of the accumulator kind of the result's elements (sums and products of short floats are kept in
    /// `f32`, and rounded once at the end). Without reduction dimensions nothing is combined.
    pub fn reduction(
        &mut self,
        mut map: MapBuilder,
        ty: Type,
        subset: &[Expr],
        combine: Combine,
        body: impl FnOnce(&mut Scalars<'_, '_>, &[ValueId]) -> ValueId,
    ) -> Lowered {
        let ctx = self.ctx();
        let kind = self.kind_of(ty)?;
        let wide = accumulator(kind, combine);
        let used = |k: usize| subset.iter().any(|&e| self.pool().mentions(e, nim_dataflow::iv_symbol(ctx, k)));
        if (0..map.domain.len()).all(used) {
            map.write(ty, subset);
            let op = map.build(self.b, |b, args| {
                let mut s = Scalars::new(b);
                let value = body(&mut s, args);
                vec![s.cast(value, wide, kind)]
            });
            return Ok(self.b.body.result(op));
        }
        // The kind of element decides what an unsigned number's least value is; widening keeps floats floats.
        let element = if wide == kind { ctx.element_type(ty).unwrap_or(ty) } else { wide.ty(ctx) };
        let Some(init) = combine.identity(ctx, element) else {
            return self.error(format!("`{}` has no neutral element for {}", combine.name(), ctx.display_type(ty)));
        };
        map.reduce(ty, subset, combine, init);
        let run = |b: &mut Builder<'_>, args: &[ValueId]| vec![body(&mut Scalars::new(b), args)];
        let op = if wide == kind {
            map.build(self.b, run)
        } else {
            map.build_with_epilogue(self.b, &[wide.ty(ctx)], run, |b, args| {
                vec![Scalars::new(b).cast(args[0], wide, kind)]
            })
        };
        Ok(self.b.body.result(op))
    }
}

/// The kind in which values of a kind are combined.
pub fn accumulator(kind: Kind, combine: Combine) -> Kind {
    match combine {
        Combine::Add | Combine::Mul => kind.accumulator(),
        // Choosing one of the values rounds nothing.
        _ => kind,
    }
}
