//! Building `graph` ops by hand: one method an op, trivial ones simplified away, broadcasts guarded, symbolic contents
//! followed. Importers and decompositions are written with this.

use crate::{
    contents::{Analysis, Contents, Ratio},
    shape::{broadcast_dims, broadcast_shapes},
};
use nim_ir::{Attr, AttrKind, BlockId, Builder, Context, Diagnostic, Expr, InsertPoint, OpId, Symbol, Type, ValueId};
use nim_tensor::{DType, Tensor, convert};
use rustc_hash::{FxHashMap, FxHashSet};

/// Builds `graph` ops at the end of a block and knows what is known of their values.
pub struct GraphBuilder<'a> {
    /// The plain builder.
    pub b: Builder<'a>,
    pub(crate) contents: FxHashMap<ValueId, Option<Contents>>,
    /// Fresh symbols in the order they were made.
    pub(crate) made: Vec<Symbol>,
    pub(crate) taken: FxHashSet<Symbol>,
    /// Guards that stand before the place where ops go.
    pub(crate) guarded: Vec<(Attr, Expr, Expr)>,
}

/// Elements of constant vectors that are widened at once.
const SMALL: usize = 1024;

/// Lists of sizes with more entries are refused.
const MAX_RANK: i64 = 1024;

/// A value or the diagnostic that says why not.
pub type Built<T = ValueId> = Result<T, Diagnostic>;

impl<'a> GraphBuilder<'a> {
    /// Wraps a builder.
    pub fn new(b: Builder<'a>) -> Self {
        GraphBuilder { b, contents: FxHashMap::default(), made: vec![], taken: FxHashSet::default(), guarded: vec![] }
    }
    /// The context.
    pub fn ctx(&self) -> &'a Context {
        self.b.ctx
    }
    /// An error at the builder's place.
    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.b.loc, message)
    }

    // ---- what is known of a value

    /// Its type.
    pub fn ty(&self, v: ValueId) -> Type {
        self.b.body.ty(v)
    }
    /// Its shape; an error when its rank or a dimension is not known.
    pub fn dims(&self, v: ValueId) -> Built<Vec<Expr>> {
        self.ctx().dim_exprs(self.ty(v)).ok_or_else(|| {
            let found = self.ctx().display_type(self.ty(v));
            self.error("N0402", format!("a tensor of known rank is needed here, found {found}"))
        })
    }
    /// Its rank.
    pub fn rank(&self, v: ValueId) -> Built<usize> {
        Ok(self.dims(v)?.len())
    }
    /// Its element type.
    pub fn element(&self, v: ValueId) -> Built<Type> {
        self.ctx().element_type(self.ty(v)).ok_or_else(|| {
            let found = self.ctx().display_type(self.ty(v));
            self.error("N0402", format!("a tensor is needed here, found {found}"))
        })
    }
    /// Its element type as host tensors have it.
    pub fn dtype(&self, v: ValueId) -> Built<DType> {
        self.ctx().dtype_of(self.ty(v)).ok_or_else(|| {
            let found = self.ctx().display_type(self.ty(v));
            self.error("N0402", format!("a tensor is needed here, found {found}"))
        })
    }
    /// What is known of its elements.
    pub fn contents(&self, v: ValueId) -> Option<&Contents> {
        self.contents.get(&v)?.as_ref()
    }
    /// Says what a value's elements are, when the caller knows better.
    pub fn set_contents(&mut self, v: ValueId, contents: Contents) {
        self.contents.insert(v, Some(contents));
    }
    /// Says that nothing is known of a value's elements.
    pub fn forget(&mut self, v: ValueId) {
        self.contents.insert(v, None);
    }
    /// Its elements as integer expressions, if all are known.
    pub fn exprs(&self, v: ValueId) -> Option<Vec<Expr>> {
        if self.ctx().static_dims(self.ty(v)).is_some_and(|d| d.contains(&0)) {
            return Some(vec![]);
        }
        self.contents(v)?.iter().map(|r| (*r)?.as_int()).collect()
    }
    /// Its elements as numbers, if all are known.
    pub fn ints(&self, v: ValueId) -> Option<Vec<i64>> {
        if let Some(t) = self.constant_of(v) {
            return t.to_i64s();
        }
        self.exprs(v)?.into_iter().map(|e| self.ctx().exprs.as_const(e)).collect()
    }
    /// The host tensor of a value that is a constant, looked for behind reshapes.
    pub fn constant_of(&self, v: ValueId) -> Option<Tensor> {
        let op = self.b.body.defining_op(v)?;
        match self.ctx().op_str(self.b.body.op_name(op)) {
            "graph.constant" => self.ctx().attr_tensor(self.b.body.attr_named(self.ctx(), op, "value")?),
            "graph.identity" => self.constant_of(self.b.body.operand(op, 0)),
            "graph.reshape" => {
                let dims = self.ctx().static_dims(self.ty(v))?;
                let dims: Vec<usize> = dims.into_iter().map(|d| d as usize).collect();
                self.constant_of(self.b.body.operand(op, 0))?.reshaped(&dims)
            }
            _ => None,
        }
    }
    /// Its elements as floats, if all are known numbers.
    pub fn floats(&self, v: ValueId) -> Option<Vec<f64>> {
        if let Some(t) = self.constant_of(v) {
            return t.to_f64s();
        }
        let p = &self.ctx().exprs;
        self.contents(v)?.iter().map(|r| r.and_then(|r| Some(p.as_const(r.num)? as f64 / r.den as f64))).collect()
    }
    /// Its elements as expressions: known ones as they are, others bound to fresh symbols at run time.
    pub fn exprs_or_bind(&mut self, v: ValueId, base: &str) -> Built<Vec<Expr>> {
        if let Some(exprs) = self.exprs(v) {
            return Ok(exprs);
        }
        let dims = self.dims(v)?;
        let count = match dims.as_slice() {
            [] => Some(1),
            [n] => self.ctx().exprs.as_const(*n),
            _ => None,
        };
        // No rank is larger than this.
        let Some(count) = count.filter(|c| (0..=MAX_RANK).contains(c)) else {
            let found = self.ctx().display_type(self.ty(v));
            return Err(self.error("N0403", format!("a size list must be a vector of known length, found {found}")));
        };
        let symbols: Vec<Expr> = (0..count).map(|_| self.fresh_symbol(base)).collect();
        let names = symbols.iter().map(|&e| self.ctx().string_attr(&self.ctx().exprs.display(e).to_string()));
        let names = self.ctx().array_attr(names.collect::<Vec<_>>());
        let v = if self.dtype(v)? == DType::I64 { v } else { self.cast(v, self.ctx().int_type(64))? };
        self.b.op("graph.bind", &[v], &[], &[("symbols", names)]);
        // Elements that were known stay what they are.
        let known = self.contents(v).cloned();
        Ok(symbols
            .into_iter()
            .enumerate()
            .map(|(i, s)| known.as_ref().and_then(|k| k[i]).and_then(Ratio::as_int).unwrap_or(s))
            .collect())
    }
    /// A constant expression.
    pub fn num(&self, n: i64) -> Expr {
        self.ctx().exprs.constant(n)
    }

    // ---- ops in general

    /// Makes an op with inferred result types.
    pub fn op(&mut self, name: &str, operands: &[ValueId], attrs: &[(&str, Attr)]) -> Built<OpId> {
        self.check_operands(name, operands, attrs)?;
        let op = self.b.infer(name, operands, attrs)?;
        for &v in self.b.body.results(op) {
            let dims = self.ctx().dims(self.ty(v)).unwrap_or(&[]);
            if dims.iter().any(|&d| self.ctx().dim_const(d).is_some_and(|d| d < 0)) {
                let ty = self.ctx().display_type(self.ty(v));
                return Err(self.error("N0407", format!("the result would be {ty}, which has a negative dimension")));
            }
        }
        self.follow(op);
        Ok(op)
    }
    /// What the op's table asks of operands, and of attributes that are one of a few words.
    fn check_operands(&self, name: &str, operands: &[ValueId], attrs: &[(&str, Attr)]) -> Built<()> {
        let ctx = self.ctx();
        let Some(def) = ctx.op_def(ctx.op_name(name)) else { return Ok(()) };
        for (at, &v) in operands.iter().enumerate() {
            // Fields are single ones, of which the last may stand for many.
            let Some(field) = def.operands.get(at).or(def.operands.last()) else { continue };
            if !(field.constraint.check)(ctx, self.ty(v)) {
                let found = ctx.display_type(self.ty(v));
                let (wanted, field) = (field.constraint.description, field.name);
                return Err(self.error("N0408", format!("`{field}` of {name} must be {wanted}, found {found}")));
            }
        }
        for (key, value) in attrs {
            if let Some(AttrKind::Enum(words)) = def.attr(key).map(|a| a.kind)
                && let Some(word) = ctx.as_string(*value)
                && !words.contains(&word)
            {
                let list = words.join(", ");
                return Err(self.error("N0408", format!("`{key}` of {name} is one of {list}, found {word:?}")));
            }
        }
        Ok(())
    }
    /// Makes an op with one result of inferred type.
    pub fn value(&mut self, name: &str, operands: &[ValueId], attrs: &[(&str, Attr)]) -> Built {
        let op = self.op(name, operands, attrs)?;
        Ok(self.b.body.result(op))
    }
    /// Notes what is known of an op's result.
    fn follow(&mut self, op: OpId) {
        if let [result] = self.b.body.results(op) {
            let known = |v: ValueId| self.contents.get(&v).cloned().flatten();
            let found = Analysis { ctx: self.b.ctx, body: self.b.body, known: &known }.result(op);
            self.contents.insert(*result, found);
        }
    }
    /// Puts ops into a block of this body, with everything known kept.
    pub fn within<R>(&mut self, block: BlockId, f: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.enter(block);
        let result = f(self);
        self.leave(outer);
        result
    }
    /// Moves to the end of a block; [`GraphBuilder::leave`] goes back with what this returns.
    pub fn enter(&mut self, block: BlockId) -> (InsertPoint, usize) {
        (std::mem::replace(&mut self.b.point, InsertPoint::End(block)), self.guarded.len())
    }
    /// Goes back to where ops went before [`GraphBuilder::enter`].
    pub fn leave(&mut self, (point, guards): (InsertPoint, usize)) {
        self.b.point = point;
        self.guarded.truncate(guards);
    }

    // ---- constants

    /// A constant.
    pub fn constant(&mut self, tensor: &Tensor, key: &str) -> Built {
        let value = self.ctx().tensor_attr(tensor, key);
        self.value("graph.constant", &[], &[("value", value)])
    }
    /// A scalar constant of an element type, rounded to it.
    pub fn scalar(&mut self, dtype: DType, x: f64) -> Built {
        let tensor = match dtype {
            // Text has one element that is like zero: what tensors are filled with.
            DType::String if x == 0.0 => Ok(Tensor::strings(&[], vec![String::new()])),
            d if d.is_integer() => Tensor::from_i64s(d, &[], &[x as i64]),
            d => Tensor::from_f64s(d, &[], &[x]),
        };
        match tensor {
            Ok(tensor) => self.constant(&tensor, "scalar"),
            Err(error) => Err(self.error("N0404", error.to_string())),
        }
    }
    /// A scalar constant of the element type of a value.
    pub fn like(&mut self, v: ValueId, x: f64) -> Built {
        let dtype = self.dtype(v)?;
        self.scalar(dtype, x)
    }
    /// An `i64` vector.
    pub fn i64s(&mut self, values: &[i64]) -> Built {
        self.constant(&Tensor::new(&[values.len()], values.to_vec()), "ints")
    }
    /// Expressions as an `i64` vector, or as a scalar.
    pub fn index(&mut self, exprs: &[Expr], scalar: bool) -> Built {
        let numbers: Option<Vec<i64>> = exprs.iter().map(|&e| self.ctx().exprs.as_const(e)).collect();
        if let Some(numbers) = numbers {
            let dims: &[usize] = if scalar { &[] } else { &[numbers.len()] };
            return self.constant(&Tensor::new(dims, numbers), "index");
        }
        let attrs = [("exprs", self.ctx().exprs_attr(exprs)), ("scalar", self.ctx().bool_attr(scalar))];
        self.value("graph.index", &[], &attrs)
    }

    // ---- elementwise

    /// One operand: `neg`, `exp`, ...
    pub fn unary(&mut self, name: &str, x: ValueId) -> Built {
        self.value(&format!("graph.{name}"), &[x], &[])
    }
    /// Two operands, broadcast: `add`, `mul`, ...
    pub fn binary(&mut self, name: &str, x: ValueId, y: ValueId) -> Built {
        self.guard_broadcast(&[x, y])?;
        self.value(&format!("graph.{name}"), &[x, y], &[])
    }
    /// A value and a number.
    pub fn with_scalar(&mut self, name: &str, x: ValueId, y: f64) -> Built {
        let y = self.like(x, y)?;
        self.binary(name, x, y)
    }
    /// Comparison: eq ne lt le gt ge.
    pub fn compare(&mut self, predicate: &str, x: ValueId, y: ValueId) -> Built {
        self.guard_broadcast(&[x, y])?;
        let predicate = self.ctx().string_attr(predicate);
        self.value("graph.compare", &[x, y], &[("predicate", predicate)])
    }
    /// Where the condition holds the first, elsewhere the second.
    pub fn select(&mut self, condition: ValueId, x: ValueId, y: ValueId) -> Built {
        self.guard_broadcast(&[condition, x, y])?;
        self.value("graph.select", &[condition, x, y], &[])
    }
    /// Conversion to an element type.
    pub fn cast(&mut self, x: ValueId, to: Type) -> Built {
        if self.element(x)? == to {
            return Ok(x);
        }
        // Matrices and large vectors stay as narrow as they are: what reads them widens what it reads.
        let kept = |t: &Tensor, to: DType| {
            let is_vector = t.dims().iter().filter(|&&n| n > 1).count() < 2;
            to.size() <= t.dtype().size() || is_vector && t.len() <= SMALL
        };
        if let Some(tensor) = self.constant_of(x)
            && let Some(dtype) = self.ctx().dtype_of_type(to)
            && kept(&tensor, dtype)
            && let Ok(tensor) = convert::cast(&tensor, dtype, true)
        {
            return self.constant(&tensor, "cast");
        }
        self.value("graph.cast", &[x], &[("to", self.ctx().type_attr(to))])
    }
    /// Conversion to a host element type.
    pub fn cast_to(&mut self, x: ValueId, dtype: DType) -> Built {
        let to = self.ctx().type_of_dtype(dtype);
        self.cast(x, to)
    }
    /// Puts a guard for every pair of dimensions that meet in a broadcast and are not known to fit.
    fn guard_broadcast(&mut self, operands: &[ValueId]) -> Built<()> {
        let shapes = operands.iter().map(|&v| self.dims(v)).collect::<Built<Vec<_>>>()?;
        let rank = shapes.iter().map(Vec::len).max().unwrap_or(0);
        for axis in 0..rank {
            let mut seen: Option<Expr> = None;
            for shape in &shapes {
                let Some(&dim) = (axis + shape.len()).checked_sub(rank).and_then(|i| shape.get(i)) else { continue };
                if self.ctx().exprs.as_const(dim) == Some(1) {
                    continue;
                }
                match seen {
                    Some(other) if other != dim => {
                        self.guard("broadcast", other, dim, "dimensions that meet in a broadcast");
                        seen = broadcast_dims(&self.ctx().exprs, other, dim);
                    }
                    _ => seen = Some(dim),
                }
            }
        }
        Ok(())
    }
    /// The shape that values have when they are broadcast to each other; what is not known to fit is guarded.
    pub fn common_shape(&mut self, operands: &[ValueId]) -> Built<Vec<Expr>> {
        self.guard_broadcast(operands)?;
        let mut common = vec![];
        for &v in operands {
            let dims = self.dims(v)?;
            common = broadcast_shapes(&self.ctx().exprs, &common, &dims).ok_or_else(|| {
                let types: Vec<String> = operands.iter().map(|&v| self.ctx().display_type(self.ty(v))).collect();
                self.error("N0402", format!("the shapes of {} do not broadcast", types.join(" and ")))
            })?;
        }
        Ok(common)
    }
    /// A condition on sizes that run time must check, unless it is proved.
    pub fn guard(&mut self, kind: &str, lhs: Expr, rhs: Expr, message: &str) {
        let (ctx, p) = (self.ctx(), &self.ctx().exprs);
        if lhs == rhs || kind == "le" && p.prove_le(lhs, rhs, &nim_ir::Facts::default()) {
            return;
        }
        // One check is enough for everything behind it, in inner scopes too.
        let known = (ctx.string_attr(kind), lhs, rhs);
        if self.guarded.contains(&known) {
            return;
        }
        self.guarded.push(known);
        let attrs = [
            ("kind", ctx.string_attr(kind)),
            ("lhs", ctx.expr_attr(lhs)),
            ("rhs", ctx.expr_attr(rhs)),
            ("message", ctx.string_attr(message)),
        ];
        self.b.op("graph.guard", &[], &[], &attrs);
    }

    // ---- layout

    /// Another shape of as many elements.
    pub fn reshape(&mut self, x: ValueId, shape: &[Expr]) -> Built {
        let from = self.dims(x)?;
        if from == shape {
            return Ok(x);
        }
        let p = &self.ctx().exprs;
        let (a, b) = (p.product(from.iter().copied()), p.product(shape.iter().copied()));
        if !p.prove_eq(a, b) && !p.prove_ne(a, b, &nim_ir::Facts::default()) {
            self.guard("eq", a, b, "element counts of a reshape");
        }
        self.value("graph.reshape", &[x], &[("shape", self.ctx().exprs_attr(shape))])
    }
    /// Inserts axes of size 1 at these positions of the result.
    pub fn unsqueeze(&mut self, x: ValueId, axes: &[i64]) -> Built {
        let dims = self.dims(x)?;
        let rank = dims.len() + axes.len();
        let mut at = vec![false; rank];
        for &a in axes {
            let wrapped = if a < 0 { a + rank as i64 } else { a };
            match usize::try_from(wrapped).ok().filter(|&a| a < rank && !at[a]) {
                Some(a) => at[a] = true,
                None => return Err(self.error("N0405", format!("axis {a} does not fit a result of rank {rank}"))),
            }
        }
        let mut rest = dims.into_iter();
        let one = self.num(1);
        let shape: Vec<Expr> = at.iter().map(|&new| if new { one } else { rest.next().unwrap_or(one) }).collect();
        self.reshape(x, &shape)
    }
    /// Removes axes, which must have size 1.
    pub fn squeeze(&mut self, x: ValueId, axes: &[usize]) -> Built {
        let dims = self.dims(x)?;
        let shape: Vec<Expr> = dims.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect();
        self.reshape(x, &shape)
    }
    /// Permuted axes.
    pub fn transpose(&mut self, x: ValueId, perm: &[usize]) -> Built {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(x);
        }
        let perm: Vec<i64> = perm.iter().map(|&p| p as i64).collect();
        self.value("graph.transpose", &[x], &[("perm", self.ctx().i64_array(&perm))])
    }
    /// Repeated along axes of size 1 to a shape.
    pub fn broadcast_to(&mut self, x: ValueId, shape: &[Expr]) -> Built {
        if self.dims(x)? == shape {
            return Ok(x);
        }
        self.value("graph.broadcast_to", &[x], &[("shape", self.ctx().exprs_attr(shape))])
    }
    /// Joined along an axis.
    pub fn concat(&mut self, xs: &[ValueId], axis: usize) -> Built {
        if let [x] = xs {
            return Ok(*x);
        }
        self.value("graph.concat", xs, &[("axis", self.ctx().i64_attr(axis as i64))])
    }
    /// Slices of an axis picked by indices.
    pub fn gather(&mut self, x: ValueId, indices: ValueId, axis: usize) -> Built {
        let axis = self.ctx().i64_attr(axis as i64);
        self.value("graph.gather", &[x, indices], &[("axis", axis)])
    }
    /// Slices picked by tuples of indices in the last axis; `batch` leading axes are shared.
    pub fn gather_nd(&mut self, x: ValueId, indices: ValueId, batch: usize) -> Built {
        let batch = self.ctx().i64_attr(batch as i64);
        self.value("graph.gather_nd", &[x, indices], &[("batch_dims", batch)])
    }
    /// `sizes` elements from `starts`, each `steps` apart.
    pub fn slice(&mut self, x: ValueId, starts: &[Expr], steps: &[Expr], sizes: &[Expr]) -> Built {
        let p = &self.ctx().exprs;
        let whole = starts.iter().all(|&s| p.as_const(s) == Some(0)) && steps.iter().all(|&s| p.as_const(s) == Some(1));
        if whole && self.dims(x)? == sizes {
            return Ok(x);
        }
        let ctx = self.ctx();
        let attrs =
            [("starts", ctx.exprs_attr(starts)), ("steps", ctx.exprs_attr(steps)), ("sizes", ctx.exprs_attr(sizes))];
        self.value("graph.slice", &[x], &attrs)
    }
    /// An error unless a value has an axis.
    fn check_axis(&self, x: ValueId, axis: usize) -> Built<()> {
        if axis < self.rank(x)? {
            return Ok(());
        }
        let found = self.ctx().display_type(self.ty(x));
        Err(self.error("N0405", format!("there is no axis {axis} in {found}")))
    }
    /// `size` elements of one axis from `start`.
    pub fn slice_axis(&mut self, x: ValueId, axis: usize, start: Expr, size: Expr) -> Built {
        self.check_axis(x, axis)?;
        let mut sizes = self.dims(x)?;
        let mut starts = vec![self.num(0); sizes.len()];
        let steps = vec![self.num(1); sizes.len()];
        starts[axis] = start;
        sizes[axis] = size;
        self.slice(x, &starts, &steps, &sizes)
    }
    /// The element at a position of one axis, which goes.
    pub fn at(&mut self, x: ValueId, axis: usize, position: Expr) -> Built {
        let one = self.num(1);
        let x = self.slice_axis(x, axis, position, one)?;
        self.squeeze(x, &[axis])
    }
    /// Reverses the order along one axis.
    pub fn reverse(&mut self, x: ValueId, axis: usize) -> Built {
        self.check_axis(x, axis)?;
        let sizes = self.dims(x)?;
        let mut starts = vec![self.num(0); sizes.len()];
        let mut steps = vec![self.num(1); sizes.len()];
        starts[axis] = self.ctx().exprs.sub(sizes[axis], self.num(1));
        steps[axis] = self.num(-1);
        self.slice(x, &starts, &steps, &sizes)
    }
    /// Zeros put behind each axis, or elements cut there, up to a shape of the same rank.
    pub fn pad_to(&mut self, x: ValueId, shape: &[Expr]) -> Built {
        let dims = self.dims(x)?;
        if dims == shape {
            return Ok(x);
        }
        let ctx = self.ctx();
        let low = vec![self.num(0); dims.len()];
        let high: Vec<Expr> = dims.iter().zip(shape).map(|(&d, &s)| ctx.exprs.sub(s, d)).collect();
        let zero = self.like(x, 0.0)?;
        let mode = ctx.string_attr("constant");
        let attrs = [("low", ctx.exprs_attr(&low)), ("high", ctx.exprs_attr(&high)), ("mode", mode)];
        self.value("graph.pad", &[x, zero], &attrs)
    }
    /// Integers or floats times a size.
    pub fn scaled_by(&mut self, x: ValueId, size: Expr) -> Built {
        if self.ctx().exprs.as_const(size) == Some(1) {
            return Ok(x);
        }
        let size = self.index(&[size], true)?;
        let size = self.cast(size, self.element(x)?)?;
        self.binary("mul", x, size)
    }
    /// 0, 1, 2, ... along an axis of a shape.
    pub fn iota(&mut self, shape: &[Expr], axis: usize, dtype: DType) -> Built {
        let ctx = self.ctx();
        let attrs = [
            ("shape", ctx.exprs_attr(shape)),
            ("axis", ctx.i64_attr(axis as i64)),
            ("type", ctx.type_attr(ctx.type_of_dtype(dtype))),
        ];
        self.value("graph.iota", &[], &attrs)
    }

    // ---- contractions and reductions

    /// NumPy's matrix product.
    pub fn matmul(&mut self, x: ValueId, y: ValueId) -> Built {
        self.value("graph.matmul", &[x, y], &[])
    }
    /// Reduction of kind sum prod max min and or.
    pub fn reduce(&mut self, kind: &str, x: ValueId, axes: &[usize], keepdims: bool) -> Built {
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
        let ctx = self.ctx();
        let attrs =
            [("kind", ctx.string_attr(kind)), ("axes", ctx.i64_array(&axes)), ("keepdims", ctx.bool_attr(keepdims))];
        self.value("graph.reduce", &[x], &attrs)
    }
    /// Mean: the sum divided by the number of elements summed.
    pub fn mean(&mut self, x: ValueId, axes: &[usize], keepdims: bool) -> Built {
        axes.iter().try_for_each(|&a| self.check_axis(x, a))?;
        let dims = self.dims(x)?;
        let count = self.ctx().exprs.product(axes.iter().map(|&a| dims[a]));
        let sum = self.reduce("sum", x, axes, keepdims)?;
        let count = self.index(&[count], true)?;
        let count = self.cast(count, self.element(x)?)?;
        self.binary("div", sum, count)
    }
    /// Softmax over axes: `exp(x - max) / sum`, so that nothing overflows.
    pub fn softmax(&mut self, x: ValueId, axes: &[usize], log: bool) -> Built {
        let max = self.reduce("max", x, axes, true)?;
        let shifted = self.binary("sub", x, max)?;
        let exp = self.unary("exp", shifted)?;
        let sum = self.reduce("sum", exp, axes, true)?;
        if log {
            let log = self.unary("log", sum)?;
            return self.binary("sub", shifted, log);
        }
        self.binary("div", exp, sum)
    }
}
