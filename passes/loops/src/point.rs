//! One point of a map as straight-line code: reads with their borders, the body, the combiner, the epilogue, writes.
//!
//! Schedules decide in which order points are visited and where partial results live; what happens at a point is the
//! same for all of them and stands here.

use crate::map::Map;
use crate::nest::Nest;
use nim_dataflow::{Combine, Memlet, scalar_type};
use nim_ir::clone::Mapping;
use nim_ir::{Attr, BlockId, Body, Context, Diagnostic, Expr, Symbol, Type, TypeData, ValueId};
use rustc_hash::FxHashMap;

/// What is at hand to emit points of a map.
pub struct Points<'m> {
    /// The context.
    pub ctx: &'m Context,
    /// The body that the map is in.
    pub source: &'m Body,
    /// The map.
    pub map: &'m Map,
    /// Buffers by the tensors of the source body that they hold.
    pub buffers: &'m FxHashMap<ValueId, ValueId>,
    /// Reads, by their number, that another buffer serves: a packed or padded copy.
    pub replaced: FxHashMap<usize, Replaced>,
    /// Set where the body is the product of two narrow numbers, and what fills a word of 32 bits is summed up at a time.
    pub dot: Option<Dot>,
    /// Set where the map is one of several that run on one block after the other.
    pub block: Option<Block>,
    /// Whether the largest of zeros of both signs may be either, as one of them comes first: where results may be combined in any order.
    pub any_zero: bool,
}

/// How a map is part of a kernel that is walked in blocks.
#[derive(Clone, Debug)]
pub struct Block {
    /// Dimensions of which a block has one point, with its place; it is known inside of the block only.
    pub fixed: Vec<Option<Expr>>,
    /// Reads that are the same for other blocks: only these may be served by a copy, which is made before the first one.
    pub outside: Vec<bool>,
    /// How many blocks such a copy serves, roughly.
    pub serves: f64,
    /// Symbols that stand for the rows of a block, and how many these are mostly.
    pub rows: Vec<(Symbol, Expr)>,
}

/// Products of bytes or `bf16`, summed up along a dimension, a word of neighbours at a time.
#[derive(Copy, Clone, Debug)]
pub struct Dot {
    /// The dimension; its neighbours lie side by side in both buffers.
    pub dim: usize,
    /// Set where words run through whatever lies side by side in the factor that is not packed, as along a window of few channels.
    pub window: Option<Window>,
    /// The reads of the factors: of bytes the unsigned one first, where one has a sign.
    pub factors: [usize; 2],
    /// Whether bytes of them have a sign.
    pub signed: [bool; 2],
    /// Numbers in a word: four bytes or two `bf16`.
    pub width: i64,
}

/// Words along a window: what lies behind the last number belongs to others, and nothing is filled up with zeros but the packed factor.
#[derive(Copy, Clone, Debug)]
pub struct Window {
    /// The read of the factor that is not packed.
    pub spread: usize,
    /// A reduction whose next point follows the last number of [`Dot::dim`]: the two are walked as one, on which that counts on beyond its
    /// extent.
    pub joined: Option<usize>,
    /// Whether the last word is put together from those numbers that there are, since it may not be read as a whole.
    pub short: bool,
}

impl Dot {
    /// A point whose index along [`Dot::dim`] counts on through what is joined to it, as one of the domain.
    pub fn along_window(self, ctx: &Context, domain: &[Expr], point: &[Expr]) -> Vec<Expr> {
        let mut out = point.to_vec();
        if let Some(k) = self.window.and_then(|window| window.joined) {
            let (number, extent) = (point[self.dim], domain[self.dim]);
            (out[k], out[self.dim]) = (ctx.exprs.floordiv(number, extent), ctx.exprs.modulo(number, extent));
        }
        out
    }
}

/// A buffer that serves a read, whatever its border.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The memref in the kernel.
    pub buffer: ValueId,
    /// Indices over the map's iteration variables.
    pub indices: Vec<Expr>,
}

/// What the body yields for one write.
#[derive(Clone, Debug)]
pub struct Yielded {
    /// The value.
    pub value: ValueId,
    /// Indices of a scatter, as `index` values.
    pub indices: Vec<ValueId>,
}

impl<'m> Points<'m> {
    /// For a map whose containers are in place.
    pub fn new(
        ctx: &'m Context,
        source: &'m Body,
        map: &'m Map,
        buffers: &'m FxHashMap<ValueId, ValueId>,
    ) -> Points<'m> {
        Points { ctx, source, map, buffers, replaced: FxHashMap::default(), dot: None, block: None, any_zero: false }
    }

    /// Dimensions that loops around the map have fixed.
    pub fn fixed(&self) -> Vec<Option<Expr>> {
        self.block.as_ref().map_or_else(|| vec![None; self.map.view.rank()], |block| block.fixed.clone())
    }

    /// A size as it is told: in symbols of the kernel.
    pub fn shown(&self, size: Expr) -> Expr {
        let rows = self.block.as_ref().map_or(&[][..], |block| &block.rows);
        let known = |s| rows.iter().find(|(symbol, _)| *symbol == s).map(|(_, value)| *value);
        self.ctx.exprs.substitute(size, &mut |s| known(s))
    }

    /// Whether a read may be served by a copy that is made before everything else.
    pub fn may_copy(&self, read: usize) -> bool {
        self.block.as_ref().is_none_or(|block| block.outside[read])
    }

    /// The buffer that holds a tensor.
    ///
    /// # Errors
    /// `N0702`: the tensor is no argument of the kernel and no result of an earlier map.
    pub fn buffer(&self, tensor: ValueId) -> Result<ValueId, Diagnostic> {
        self.buffers.get(&tensor).copied().ok_or_else(|| {
            Diagnostic::error("N0702", self.map.loc, "a map of a kernel uses a tensor that no map before it makes")
        })
    }

    /// Runs the body at a point; one entry a write.
    ///
    /// # Errors
    /// An unknown tensor, or a body that does not end in `dataflow.yield`.
    pub fn body(&self, nest: &mut Nest<'_>, point: &[Expr]) -> Result<Vec<Yielded>, Diagnostic> {
        self.body_given(nest, point, &[])
    }

    /// As [`Points::body`]; some reads, by their number, have a value already.
    ///
    /// # Errors
    /// As [`Points::body`].
    pub fn body_given(
        &self,
        nest: &mut Nest<'_>,
        point: &[Expr],
        given: &[(usize, ValueId)],
    ) -> Result<Vec<Yielded>, Diagnostic> {
        let mut mapping = Mapping::default();
        let args = self.source.block_args(self.map.view.body).to_vec();
        for (i, (read, arg)) in self.map.view.reads.iter().zip(&args).enumerate() {
            if read.subset.is_some() && self.source.has_uses(*arg) {
                let value = match given.iter().find(|(r, _)| *r == i) {
                    Some(&(_, value)) => value,
                    None => self.read_number(nest, i, point)?,
                };
                mapping.map(*arg, value);
            }
        }
        let whole: FxHashMap<ValueId, ValueId> = self
            .map
            .view
            .reads
            .iter()
            .zip(&args)
            .filter(|(r, _)| r.subset.is_none())
            .map(|(r, &a)| (a, r.value))
            .collect();
        let yielded = self.block(nest, self.map.view.body, &mut mapping, &whole, point)?;
        let mut values = yielded.into_iter();
        let mut out = vec![];
        for write in &self.map.view.writes {
            let rank = match &write.subset {
                Some(_) => 0,
                None => self.ctx.dims(write.ty).map_or(0, <[_]>::len),
            };
            let value = values.next().ok_or_else(|| self.short_yield())?;
            let indices: Vec<ValueId> = values.by_ref().take(rank).collect();
            if indices.len() < rank {
                return Err(self.short_yield());
            }
            out.push(Yielded { value, indices });
        }
        Ok(out)
    }

    /// Numbers that words hold: those along [`Dot::dim`] and what is joined to it.
    pub fn numbers(&self, dot: Dot) -> Expr {
        let domain = &self.map.view.domain;
        let joined = dot.window.and_then(|window| window.joined).map_or(Expr::ONE, |k| domain[k]);
        self.ctx.exprs.mul(joined, domain[dot.dim])
    }

    /// Steps along a dimension, and where on it step `i` is: a word of points a step along that of [`Points::dot`]. A word that is
    /// [short](Window::short) is not one of them.
    pub fn steps(&self, k: usize) -> Expr {
        let (pool, extent) = (&self.ctx.exprs, self.map.view.domain[k]);
        let Some(dot) = self.dot.filter(|d| d.dim == k) else { return extent };
        let (numbers, width) = (self.numbers(dot), pool.constant(dot.width));
        match dot.window {
            Some(Window { short: true, .. }) => pool.floordiv(numbers, width),
            _ => pool.ceildiv(numbers, width),
        }
    }

    /// Where along a dimension the word is that is [short](Window::short), if it has one.
    pub fn short_step(&self, k: usize) -> Option<Expr> {
        let dot = self.dot.filter(|dot| dot.dim == k && dot.window.is_some_and(|window| window.short))?;
        Some(self.ctx.exprs.scale(dot.width, self.steps(k)))
    }

    /// See [`Points::steps`].
    pub fn step(&self, k: usize, i: Expr) -> Expr {
        self.dot.filter(|d| d.dim == k).map_or(i, |d| self.ctx.exprs.scale(d.width, i))
    }

    /// What a read contributes to one step: its element, or a word where [`Points::dot`] is set.
    ///
    /// # Errors
    /// An unknown tensor.
    pub fn operand(&self, nest: &mut Nest<'_>, read: usize, point: &[Expr]) -> Result<ValueId, Diagnostic> {
        let Some(dot) = self.dot else { return self.read_number(nest, read, point) };
        let spread = dot.window.is_some_and(|window| window.spread == read);
        if spread && self.short_step(dot.dim) == Some(point[dot.dim]) {
            return self.short_word(nest, read, dot, point);
        }
        let (buffer, indices) = self.read_from(read)?;
        let point = if spread { &dot.along_window(self.ctx, &self.map.view.domain, point) } else { point };
        Ok(nest.load_word(buffer, &self.map.all_at(self.ctx, indices, point)))
    }

    /// The buffer that serves a read, and its indices over the map's iteration variables; no border is looked at.
    ///
    /// # Errors
    /// An unknown tensor.
    pub fn read_from(&self, read: usize) -> Result<(ValueId, &[Expr]), Diagnostic> {
        let memlet = &self.map.view.reads[read];
        Ok(match self.replaced.get(&read) {
            Some(r) => (r.buffer, r.indices.as_slice()),
            None => (self.buffer(memlet.value)?, memlet.subset.as_deref().unwrap_or_default()),
        })
    }

    /// A sum of the only write and one step from a point on; reads may have their value already.
    ///
    /// # Errors
    /// As [`Points::body`].
    pub fn sum(
        &self,
        nest: &mut Nest<'_>,
        sum: ValueId,
        point: &[Expr],
        given: &[(usize, ValueId)],
    ) -> Result<ValueId, Diagnostic> {
        if let Some(dot) = self.dot {
            let value = |nest: &mut Nest<'_>, read| match given.iter().find(|(r, _)| *r == read) {
                Some(&(_, value)) => Ok(value),
                None => self.operand(nest, read, point),
            };
            let operands = [sum, value(nest, dot.factors[0])?, value(nest, dot.factors[1])?];
            let ty = nest.body.ty(sum);
            return Ok(nest.builder().value("loops.dot", &operands, ty, &[]));
        }
        let yielded = self.body_given(nest, point, given)?.into_iter().next().ok_or_else(|| self.short_yield())?;
        let value = self.convert(nest, yielded.value, self.accumulator_type(0));
        Ok(self.combine(nest, 0, sum, value))
    }

    /// Roughly how many operations the epilogue is; functions count as what they are expanded to.
    pub fn epilogue_ops(&self) -> i64 {
        self.map.view.epilogue.map_or(0, |block| self.ops(block))
    }

    /// As [`Points::epilogue_ops`], of the body.
    pub fn body_ops(&self) -> i64 {
        self.ops(self.map.view.body)
    }

    fn ops(&self, block: BlockId) -> i64 {
        const FUNCTION: i64 = 24;
        let ops = self.source.block_ops(block);
        ops.map(|op| if self.ctx.op_str(self.source.op_name(op)).starts_with("math.") { FUNCTION } else { 1 }).sum()
    }

    /// Runs the epilogue, if there is one, over the reduced values.
    ///
    /// # Errors
    /// As [`Points::body`].
    pub fn epilogue(
        &self,
        nest: &mut Nest<'_>,
        point: &[Expr],
        reduced: &[ValueId],
    ) -> Result<Vec<ValueId>, Diagnostic> {
        let Some(block) = self.map.view.epilogue else { return Ok(reduced.to_vec()) };
        let mut mapping = Mapping::default();
        let args = self.source.block_args(block).to_vec();
        if args.len() != reduced.len() + self.map.view.epilogue_reads.len() {
            return Err(Diagnostic::error("N0701", self.map.loc, "the epilogue's arguments do not fit the map"));
        }
        for (&arg, &value) in args.iter().zip(reduced) {
            mapping.map(arg, value);
        }
        for (read, &arg) in self.map.view.epilogue_reads.iter().zip(&args[reduced.len()..]) {
            let value = self.read(nest, read, self.buffer(read.value)?, point)?;
            mapping.map(arg, value);
        }
        self.block(nest, block, &mut mapping, &FxHashMap::default(), point)
    }

    fn short_yield(&self) -> Diagnostic {
        Diagnostic::error("N0701", self.map.loc, "the map's `dataflow.yield` does not fit its writes")
    }

    /// Copies a block's ops; answers what it yields.
    fn block(
        &self,
        nest: &mut Nest<'_>,
        block: BlockId,
        mapping: &mut Mapping,
        whole: &FxHashMap<ValueId, ValueId>,
        point: &[Expr],
    ) -> Result<Vec<ValueId>, Diagnostic> {
        for op in self.source.block_ops(block) {
            match self.ctx.op_str(self.source.op_name(op)) {
                "dataflow.yield" => return Ok(self.source.operands(op).iter().map(|&v| mapping.get(v)).collect()),
                "dataflow.index" => {
                    let expr = self.source.attr_named(self.ctx, op, "expr").and_then(|a| self.ctx.as_expr(a));
                    let Some(expr) = expr else {
                        return Err(Diagnostic::error("N0701", self.source.loc(op), "`dataflow.index` without `expr`"));
                    };
                    let value = nest.index(self.map.at(self.ctx, expr, point));
                    mapping.map(self.source.result(op), value);
                }
                "dataflow.load" => {
                    let operands = self.source.operands(op);
                    let Some(&tensor) = operands.first().and_then(|t| whole.get(t)) else {
                        let message = "`dataflow.load` reads a tensor that is not a whole read of its map";
                        return Err(Diagnostic::error("N0702", self.source.loc(op), message));
                    };
                    let indices: Vec<ValueId> = operands[1..].iter().map(|&v| mapping.get(v)).collect();
                    let value = self.dynamic_read(nest, self.buffer(tensor)?, &indices);
                    mapping.map(self.source.result(op), value);
                }
                _ => {
                    let copy = nest.body.clone_op_from(self.source, op, mapping);
                    nest.body.append(nest.block, copy);
                }
            }
        }
        Err(self.short_yield())
    }

    /// The element of a point memlet, or its border.
    fn read(&self, nest: &mut Nest<'_>, read: &Memlet, buffer: ValueId, point: &[Expr]) -> Result<ValueId, Diagnostic> {
        let pool = &self.ctx.exprs;
        let indices = self.map.all_at(self.ctx, read.subset.as_deref().unwrap_or_default(), point);
        let mut outside = vec![];
        if read.border.is_some() {
            let dims = self.ctx.dim_exprs(self.source.ty(read.value)).unwrap_or_default();
            for (&index, &dim) in indices.iter().zip(&dims) {
                let last = pool.sub(dim, Expr::ONE);
                if !pool.prove_le(Expr::ZERO, index, nest.facts) {
                    outside.push(index);
                }
                if !pool.prove_le(index, last, nest.facts) {
                    outside.push(pool.sub(last, index));
                }
            }
        }
        let Some(border) = read.border.filter(|_| !outside.is_empty()) else {
            return Ok(nest.load(buffer, &indices, &[]));
        };
        let element = self.ctx.element_type(nest.body.ty(buffer));
        let element = scalar_type(self.ctx, element.unwrap_or_else(|| self.ctx.none_type()));
        let border = self.scalar(border, element);
        Ok(nest.choose(
            &outside,
            element,
            |nest| nest.load(buffer, &indices, &[]),
            |nest| nest.constant(border, element),
        ))
    }

    /// An element at indices that are values; they are clamped into the container.
    fn dynamic_read(&self, nest: &mut Nest<'_>, buffer: ValueId, indices: &[ValueId]) -> ValueId {
        let pool = &self.ctx.exprs;
        let dims = self.ctx.dim_exprs(nest.body.ty(buffer)).unwrap_or_default();
        let at: Vec<Expr> = (0..indices.len())
            .map(|k| {
                let v = pool.named(&format!("$v{k}"));
                match dims.get(k) {
                    Some(&dim) => pool.max(pool.min(v, pool.sub(dim, Expr::ONE)), Expr::ZERO),
                    None => v,
                }
            })
            .collect();
        nest.load(buffer, &at, indices)
    }

    /// A typed scalar attribute with the type that scalars of it have in a body.
    pub fn scalar(&self, attr: Attr, ty: Type) -> Attr {
        match *self.ctx.attr_data(attr) {
            nim_ir::AttrData::Int { value, .. } => self.ctx.int_attr(value, ty),
            nim_ir::AttrData::Bool(b) => self.ctx.int_attr(b as i128, ty),
            nim_ir::AttrData::Float { bits, .. } => self.ctx.float_attr(f64::from_bits(bits), ty),
            _ => attr,
        }
    }

    /// The type in which write `w` is reduced: that of the epilogue's argument, or the result's.
    pub fn reduced_type(&self, w: usize) -> Type {
        match self.map.view.epilogue {
            Some(block) => {
                self.source.block_args(block).get(w).map_or_else(|| self.result_type(w), |&a| self.source.ty(a))
            }
            None => self.result_type(w),
        }
    }

    /// The scalar type of elements of write `w`'s result.
    pub fn result_type(&self, w: usize) -> Type {
        let element = self.ctx.element_type(self.map.view.writes[w].ty).unwrap_or_else(|| self.ctx.none_type());
        scalar_type(self.ctx, element)
    }

    /// The type of partial results of write `w`: short floats are summed up in `f32`.
    pub fn accumulator_type(&self, w: usize) -> Type {
        let ty = self.reduced_type(w);
        match self.ctx.type_data(ty) {
            TypeData::Float(kind) if kind.bits() < 32 => self.ctx.f32_type(),
            _ => ty,
        }
    }

    /// Width of the accumulator's type.
    pub fn accumulator_bits(&self, w: usize) -> u32 {
        match self.ctx.type_data(self.accumulator_type(w)) {
            TypeData::Float(kind) => kind.bits(),
            TypeData::Integer { width, .. } => *width,
            _ => 64,
        }
    }

    /// Read number `r` of the body at a point.
    ///
    /// # Errors
    /// As [`Points::body`].
    pub fn read_number(&self, nest: &mut Nest<'_>, r: usize, point: &[Expr]) -> Result<ValueId, Diagnostic> {
        let read = &self.map.view.reads[r];
        match self.replaced.get(&r) {
            Some(r) => Ok(nest.load(r.buffer, &self.map.all_at(self.ctx, &r.indices, point), &[])),
            None => self.read(nest, read, self.buffer(read.value)?, point),
        }
    }

    /// Zero of a scalar type.
    pub fn zero(&self, ty: Type) -> Attr {
        match self.ctx.type_data(ty) {
            TypeData::Float(_) => self.ctx.float_attr(0.0, ty),
            _ => self.ctx.int_attr(0, ty),
        }
    }

    /// A value brought from the reduced to the accumulator's type or back.
    pub fn convert(&self, nest: &mut Nest<'_>, value: ValueId, to: Type) -> ValueId {
        let from = nest.body.ty(value);
        let bits = |ty: Type| match self.ctx.type_data(ty) {
            TypeData::Float(kind) => kind.bits(),
            _ => 0,
        };
        match bits(from).cmp(&bits(to)) {
            _ if from == to => value,
            std::cmp::Ordering::Less => nest.builder().value("arith.extf", &[value], to, &[]),
            _ => nest.builder().value("arith.truncf", &[value], to, &[]),
        }
    }

    /// What write `w` starts from at a point, in the accumulator's type.
    ///
    /// # Errors
    /// An unknown tensor.
    pub fn start(&self, nest: &mut Nest<'_>, w: usize, point: &[Expr]) -> Result<ValueId, Diagnostic> {
        let ty = self.accumulator_type(w);
        let write = &self.map.view.writes[w];
        if let Some(tensor) = write.init_value {
            let buffer = self.buffer(tensor)?;
            let indices = self.map.all_at(self.ctx, write.subset.as_deref().unwrap_or_default(), point);
            let value = nest.load(buffer, &indices, &[]);
            return Ok(self.convert(nest, value, ty));
        }
        Ok(self.initial(nest, w))
    }

    /// The scalar that write `w` starts from, or its combiner's neutral element; in the accumulator's type.
    pub fn initial(&self, nest: &mut Nest<'_>, w: usize) -> ValueId {
        let ty = self.accumulator_type(w);
        match self.map.view.writes[w].init {
            Some(attr) => nest.constant(self.scalar(attr, ty), ty),
            None => self.neutral(nest, w),
        }
    }

    /// A value of a point without reductions, combined with the start if it is to be combined.
    ///
    /// # Errors
    /// An unknown tensor.
    pub fn combined(
        &self,
        nest: &mut Nest<'_>,
        w: usize,
        value: ValueId,
        point: &[Expr],
    ) -> Result<ValueId, Diagnostic> {
        let write = &self.map.view.writes[w];
        if write.combine == Combine::None || !write.has_init() {
            return Ok(value);
        }
        let value = self.convert(nest, value, self.accumulator_type(w));
        let start = self.start(nest, w, point)?;
        Ok(self.combine(nest, w, start, value))
    }

    /// What lies in memory combined with a new value, as it is stored again.
    pub fn combine_stored(&self, nest: &mut Nest<'_>, w: usize, old: ValueId, value: ValueId) -> ValueId {
        let ty = self.accumulator_type(w);
        let (old, value) = (self.convert(nest, old, ty), self.convert(nest, value, ty));
        let new = self.combine(nest, w, old, value);
        self.convert(nest, new, self.result_type(w))
    }

    /// The neutral element of write `w`'s combiner, in the accumulator's type; 0 where there is none.
    pub fn neutral(&self, nest: &mut Nest<'_>, w: usize) -> ValueId {
        let ty = self.accumulator_type(w);
        let combine = self.map.view.writes[w].combine;
        let attr = combine.identity(self.ctx, self.signed_type(w)).map(|a| self.scalar(a, ty));
        nest.constant(attr.unwrap_or_else(|| self.zero(ty)), ty)
    }

    /// The accumulator's type, with the sign of the result's: it decides how maxima compare.
    fn signed_type(&self, w: usize) -> Type {
        let accumulator = self.accumulator_type(w);
        let element = self.ctx.element_type(self.map.view.writes[w].ty).unwrap_or(accumulator);
        if scalar_type(self.ctx, element) == accumulator { element } else { accumulator }
    }

    /// `a` combined with `b`; with combiner `none`, `b` alone.
    pub fn combine(&self, nest: &mut Nest<'_>, w: usize, a: ValueId, b: ValueId) -> ValueId {
        let ty = nest.body.ty(a);
        match self.map.view.writes[w].combine.scalar_op(self.ctx, self.signed_type(w)) {
            Some(op @ ("arith.maximumf" | "arith.minimumf")) if self.any_zero => {
                nest.builder().value(op, &[a, b], ty, &[(nim_loops::ANY_ZERO, self.ctx.unit_attr())])
            }
            Some(op) => nest.builder().value(op, &[a, b], ty, &[]),
            None => b,
        }
    }

    /// True when partial results of every write may be combined in another order.
    pub fn may_reorder(&self) -> bool {
        self.map.view.writes.iter().all(|w| w.combine != Combine::None)
    }

    /// Runs the epilogue over the accumulated values and writes the results.
    ///
    /// # Errors
    /// As [`Points::body`].
    pub fn finish(&self, nest: &mut Nest<'_>, point: &[Expr], accumulated: &[ValueId]) -> Result<(), Diagnostic> {
        self.written(nest, point, accumulated).map(|_| ())
    }

    /// As [`Points::finish`]; gives what is written.
    ///
    /// # Errors
    /// As [`Points::body`].
    pub fn written(
        &self,
        nest: &mut Nest<'_>,
        point: &[Expr],
        accumulated: &[ValueId],
    ) -> Result<Vec<ValueId>, Diagnostic> {
        let reduced: Vec<ValueId> = accumulated
            .iter()
            .enumerate()
            .map(|(w, &v)| {
                let ty = self.reduced_type(w);
                self.convert(nest, v, ty)
            })
            .collect();
        let values = self.epilogue(nest, point, &reduced)?;
        for ((write, &result), value) in self.map.view.writes.iter().zip(&self.map.results).zip(&values) {
            let buffer = self.buffer(result)?;
            let indices = self.map.all_at(self.ctx, write.subset.as_deref().unwrap_or_default(), point);
            nest.store(*value, buffer, &indices, &[]);
        }
        Ok(values)
    }
}
