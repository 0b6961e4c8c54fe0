//! What is known at compile time about the elements of small tensors: shapes travel through models as integer tensors,
//! and every one of them that can be traced to dimensions of the inputs is an expression here.

use nim_ir::{Attr, AttrData, Body, Context, Expr, Facts, OpId, Type, ValueId};
use nim_tensor::DType;

/// A rational multiple: `numerator / denominator`, exact. Integers and booleans have denominator 1; fractions arise where
/// models scale sizes by floats.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ratio {
    /// Numerator, an expression over the symbols of the function.
    pub num: Expr,
    /// Denominator, at least 1.
    pub den: i64,
}

/// One entry an element, row-major; `None` where nothing is known.
pub type Contents = Vec<Option<Ratio>>;

/// Tensors with more elements are not looked into.
pub const MAX_ELEMENTS: usize = 1024;

impl Ratio {
    /// An integer expression.
    pub fn int(num: Expr) -> Ratio {
        Ratio { num, den: 1 }
    }
    /// The expression, if it is an integer one.
    pub fn as_int(self) -> Option<Expr> {
        (self.den == 1).then_some(self.num)
    }
}

/// A float as an exact fraction with a denominator up to 2^20.
fn ratio_of_f64(ctx: &Context, x: f64) -> Option<Ratio> {
    let mut den = 1i64;
    let mut x = x;
    while x.fract() != 0.0 {
        x *= 2.0;
        den *= 2;
        if den > 1 << 20 {
            return None;
        }
    }
    (x.abs() < 1e15).then(|| Ratio { num: ctx.exprs.constant(x as i64), den })
}

/// Contents of a constant.
pub fn contents_of_elements(ctx: &Context, value: Attr) -> Option<Contents> {
    let ty = match ctx.attr_data(value) {
        AttrData::Dense { ty, .. } | AttrData::DenseResource { ty, .. } => *ty,
        _ => return None,
    };
    let count = ctx.static_dims(ty)?.iter().try_fold(1i64, |n, &d| n.checked_mul(d))?;
    if count as usize > MAX_ELEMENTS {
        return None;
    }
    let tensor = ctx.attr_tensor(value)?;
    Some(match tensor.dtype() {
        DType::F32 => tensor.elements::<f32>().iter().map(|&x| ratio_of_f64(ctx, x as f64)).collect(),
        DType::F64 => tensor.elements::<f64>().iter().map(|&x| ratio_of_f64(ctx, x)).collect(),
        _ => tensor.to_i64s()?.into_iter().map(|x| Some(Ratio::int(ctx.exprs.constant(x)))).collect(),
    })
}

/// Computes the contents of an op's results from those of its operands.
pub struct Analysis<'a> {
    /// The context.
    pub ctx: &'a Context,
    /// The body.
    pub body: &'a Body,
    /// What is known of values so far.
    pub known: &'a dyn Fn(ValueId) -> Option<Contents>,
}

impl Analysis<'_> {
    /// Contents of the only result of an op, if anything can be said.
    pub fn result(&self, op: OpId) -> Option<Contents> {
        let ctx = self.ctx;
        let name = ctx.op_str(self.body.op_name(op)).strip_prefix("graph.")?;
        let result = *self.body.results(op).first()?;
        let count = self.count(self.body.ty(result))?;
        if count > MAX_ELEMENTS {
            return None;
        }
        let out = match name {
            "constant" => contents_of_elements(ctx, self.attr(op, "value")?)?,
            "index" => ctx.as_exprs(self.attr(op, "exprs")?)?.into_iter().map(|e| Some(Ratio::int(e))).collect(),
            "shape_of" => {
                let dims = ctx.dims(self.body.ty(self.body.operand(op, 0)))?;
                dims.iter().map(|d| d.expr().map(Ratio::int)).collect()
            }
            "identity" | "reshape" => self.operand(op, 0)?,
            "broadcast_to" => self.broadcast(op, 0)?,
            "concat" => self.concat(op)?,
            "slice" => self.slice(op)?,
            "transpose" => self.transpose(op)?,
            "gather" => self.gather(op)?,
            "iota" if self.rank(result) == 1 => {
                (0..count as i64).map(|i| Some(Ratio::int(ctx.exprs.constant(i)))).collect()
            }
            "range" => {
                let (start, step) = (self.operand(op, 0)?[0]?.as_int()?, self.operand(op, 1)?[0]?.as_int()?);
                let p = &ctx.exprs;
                (0..count as i64).map(|i| Some(Ratio::int(p.add(start, p.mul(p.constant(i), step))))).collect()
            }
            "reduce" => self.reduce(op)?,
            "select" => {
                let (c, a, b) = (self.broadcast(op, 0)?, self.broadcast(op, 1)?, self.broadcast(op, 2)?);
                (0..count)
                    .map(|i| match ctx.exprs.as_const(c[i]?.as_int()?)? {
                        0 => b[i],
                        _ => a[i],
                    })
                    .collect()
            }
            "compare" => {
                let predicate = ctx.as_string(self.attr(op, "predicate")?)?;
                let (a, b) = (self.broadcast(op, 0)?, self.broadcast(op, 1)?);
                (0..count).map(|i| self.compare(predicate, a[i]?, b[i]?)).collect()
            }
            "cast" => {
                let integer = ctx.dtype_of(self.body.ty(result)).is_some_and(|d| !d.is_float());
                let to_bool = ctx.dtype_of(self.body.ty(result)) == Some(DType::Bool);
                let x = self.operand(op, 0)?;
                x.into_iter().map(|r| self.cast(r?, integer, to_bool)).collect()
            }
            "neg" | "floor" | "ceil" | "not" | "round" => {
                let x = self.operand(op, 0)?;
                x.into_iter().map(|r| self.unary(name, r?)).collect()
            }
            "add" | "sub" | "mul" | "div" | "mod" | "max" | "min" | "and" | "or" => {
                let integer = ctx.dtype_of(self.body.ty(result)).is_some_and(|d| !d.is_float());
                let (a, b) = (self.broadcast(op, 0)?, self.broadcast(op, 1)?);
                (0..count).map(|i| self.binary(name, a[i]?, b[i]?, integer)).collect()
            }
            _ => return None,
        };
        (out.len() == count && out.iter().any(Option::is_some)).then_some(out)
    }

    fn attr(&self, op: OpId, name: &str) -> Option<Attr> {
        self.body.attr_named(self.ctx, op, name)
    }
    fn operand(&self, op: OpId, i: usize) -> Option<Contents> {
        (self.known)(self.body.operand(op, i))
    }
    fn rank(&self, value: ValueId) -> usize {
        self.ctx.dims(self.body.ty(value)).map_or(usize::MAX, <[_]>::len)
    }
    fn count(&self, ty: Type) -> Option<usize> {
        let count = self.ctx.static_dims(ty)?.iter().try_fold(1i64, |n, &d| n.checked_mul(d))?;
        usize::try_from(count).ok()
    }
    fn shape(&self, value: ValueId) -> Option<Vec<usize>> {
        self.ctx.static_dims(self.body.ty(value))?.into_iter().map(|d| usize::try_from(d).ok()).collect()
    }

    /// Operand `i` laid out as the result.
    fn broadcast(&self, op: OpId, i: usize) -> Option<Contents> {
        let contents = self.operand(op, i)?;
        let (from, to) = (self.shape(self.body.operand(op, i))?, self.shape(self.body.result(op))?);
        let count: usize = to.iter().product();
        let mut out = Vec::with_capacity(count);
        for flat in 0..count {
            let (mut rest, mut index, mut stride) = (flat, 0, 1);
            for k in (0..to.len()).rev() {
                let at = rest % to[k];
                rest /= to[k];
                if k + from.len() >= to.len() {
                    let size = from[k + from.len() - to.len()];
                    index += if size == 1 { 0 } else { at * stride };
                    stride *= size;
                }
            }
            out.push(*contents.get(index)?);
        }
        Some(out)
    }

    /// The elements that a function from positions of the result to flat positions of operand 0 picks.
    fn picked(&self, op: OpId, source: impl Fn(&[usize]) -> Option<usize>) -> Option<Contents> {
        let x = self.operand(op, 0)?;
        let shape = self.shape(self.body.result(op))?;
        let count: usize = shape.iter().product();
        (count <= MAX_ELEMENTS).then(|| {
            positions(&shape).map(|at| source(&at).and_then(|i| x.get(i).copied().flatten())).collect::<Contents>()
        })
    }

    fn concat(&self, op: OpId) -> Option<Contents> {
        let shape = self.shape(self.body.result(op))?;
        let axis = wrapped(self.ctx.as_int(self.attr(op, "axis")?)?, shape.len())?;
        let mut parts = vec![];
        for &v in &self.body.operands(op) {
            parts.push((self.shape(v)?, (self.known)(v)));
        }
        let count: usize = shape.iter().product();
        if count > MAX_ELEMENTS {
            return None;
        }
        let find = |mut at: Vec<usize>| -> Option<Ratio> {
            for (part, contents) in &parts {
                if at[axis] < part[axis] {
                    return contents.as_ref()?.get(flat(&at, part))?.to_owned();
                }
                at[axis] -= part[axis];
            }
            None
        };
        Some(positions(&shape).map(find).collect())
    }

    fn slice(&self, op: OpId) -> Option<Contents> {
        let from = self.shape(self.body.operand(op, 0))?;
        let list = |name| -> Option<Vec<i64>> {
            self.ctx.as_exprs(self.attr(op, name)?)?.into_iter().map(|e| self.ctx.exprs.as_const(e)).collect()
        };
        let (starts, steps) = (list("starts")?, list("steps")?);
        self.picked(op, |at| {
            let place = at.iter().zip(starts.iter().zip(&steps)).zip(&from).map(|((&i, (&start, &step)), &size)| {
                let i = (i as i64).checked_mul(step)?.checked_add(start)?;
                usize::try_from(i).ok().filter(|&i| i < size)
            });
            Some(flat(&place.collect::<Option<Vec<_>>>()?, &from))
        })
    }

    fn transpose(&self, op: OpId) -> Option<Contents> {
        let from = self.shape(self.body.operand(op, 0))?;
        let perm = self.ctx.as_ints(self.attr(op, "perm")?)?;
        self.picked(op, |at| {
            let mut place = vec![0; from.len()];
            for (&i, &axis) in at.iter().zip(&perm) {
                *place.get_mut(usize::try_from(axis).ok()?)? = i;
            }
            Some(flat(&place, &from))
        })
    }

    fn gather(&self, op: OpId) -> Option<Contents> {
        let from = self.shape(self.body.operand(op, 0))?;
        let (indices, rank) = (self.operand(op, 1)?, self.rank(self.body.operand(op, 1)));
        let inner = self.shape(self.body.operand(op, 1))?;
        let axis = wrapped(self.attr(op, "axis").and_then(|a| self.ctx.as_int(a)).unwrap_or(0), from.len())?;
        self.picked(op, |at| {
            let index = indices.get(flat(&at[axis..axis + rank], &inner))?.as_ref()?.as_int()?;
            let index = self.ctx.exprs.as_const(index)?;
            let index = if index < 0 { index + from[axis] as i64 } else { index };
            let mut place: Vec<usize> = at[..axis].to_vec();
            place.push(usize::try_from(index).ok().filter(|&i| i < from[axis])?);
            place.extend(&at[axis + rank..]);
            Some(flat(&place, &from))
        })
    }

    fn reduce(&self, op: OpId) -> Option<Contents> {
        let x = self.operand(op, 0)?;
        let axes = self.ctx.as_ints(self.attr(op, "axes")?)?;
        // Only whole reductions of vectors: products and sums of shapes.
        if self.rank(self.body.operand(op, 0)) != 1 || axes.len() != 1 {
            return None;
        }
        let items: Vec<Expr> = x.into_iter().map(|r| r?.as_int()).collect::<Option<_>>()?;
        let p = &self.ctx.exprs;
        let out = match self.ctx.as_string(self.attr(op, "kind")?)? {
            "sum" => p.sum(items),
            "prod" => p.product(items),
            "max" => items.into_iter().reduce(|a, b| p.max(a, b))?,
            "min" => items.into_iter().reduce(|a, b| p.min(a, b))?,
            _ => return None,
        };
        Some(vec![Some(Ratio::int(out))])
    }

    fn compare(&self, predicate: &str, a: Ratio, b: Ratio) -> Option<Ratio> {
        let p = &self.ctx.exprs;
        let facts = Facts::default();
        // a/x ? b/y with x, y > 0 is a*y ? b*x.
        let (l, r) = (p.mul(a.num, p.constant(b.den)), p.mul(b.num, p.constant(a.den)));
        let eq = if p.prove_eq(l, r) {
            Some(true)
        } else if p.prove_ne(l, r, &facts) {
            Some(false)
        } else {
            None
        };
        let le = |l, r| {
            if p.prove_le(l, r, &facts) {
                Some(true)
            } else if p.prove_lt(r, l, &facts) {
                Some(false)
            } else {
                None
            }
        };
        let truth = match predicate {
            "eq" => eq?,
            "ne" => !eq?,
            "le" => le(l, r)?,
            "ge" => le(r, l)?,
            "lt" => !le(r, l)?,
            "gt" => !le(l, r)?,
            _ => return None,
        };
        Some(Ratio::int(p.constant(truth as i64)))
    }

    fn cast(&self, r: Ratio, integer: bool, to_bool: bool) -> Option<Ratio> {
        let p = &self.ctx.exprs;
        if to_bool {
            return self.compare("ne", r, Ratio::int(p.constant(0)));
        }
        if !integer || r.den == 1 {
            return Some(r);
        }
        // Casts truncate; for what is not negative that is the floor.
        p.prove_le(p.constant(0), r.num, &Facts::default()).then(|| Ratio::int(p.floordiv(r.num, p.constant(r.den))))
    }

    fn unary(&self, name: &str, r: Ratio) -> Option<Ratio> {
        let p = &self.ctx.exprs;
        Some(match name {
            "neg" => Ratio { num: p.neg(r.num), ..r },
            "floor" => Ratio::int(p.floordiv(r.num, p.constant(r.den))),
            "ceil" => Ratio::int(p.ceildiv(r.num, p.constant(r.den))),
            "round" if r.den == 1 => r,
            "not" => Ratio::int(p.sub(p.constant(1), r.num)),
            _ => return None,
        })
    }

    fn binary(&self, name: &str, a: Ratio, b: Ratio, integer: bool) -> Option<Ratio> {
        let p = &self.ctx.exprs;
        let facts = Facts::default();
        let common = |f: &dyn Fn(Expr, Expr) -> Expr| {
            let den = a.den.checked_mul(b.den)?;
            let num = f(p.mul(a.num, p.constant(b.den)), p.mul(b.num, p.constant(a.den)));
            Some(if a.den == b.den { Ratio { num: f(a.num, b.num), den: a.den } } else { Ratio { num, den } })
        };
        match name {
            "add" => common(&|x, y| p.add(x, y)),
            "sub" => common(&|x, y| p.sub(x, y)),
            "max" => common(&|x, y| p.max(x, y)),
            "min" => common(&|x, y| p.min(x, y)),
            "mul" => Some(reduce(self.ctx, Ratio { num: p.mul(a.num, b.num), den: a.den.checked_mul(b.den)? })),
            "div" if integer => {
                // C's division truncates; it is the floor where both are known not to be negative.
                let (x, y) = (a.as_int()?, b.as_int()?);
                let zero = p.constant(0);
                (p.prove_le(zero, x, &facts) && p.prove_le(p.constant(1), y, &facts)
                    || p.as_const(y).is_some_and(|y| y > 0) && p.prove_le(zero, x, &facts))
                .then(|| Ratio::int(p.floordiv(x, y)))
            }
            "div" => {
                let divisor = p.as_const(b.num).filter(|&n| n > 0)?;
                let num = p.mul(a.num, p.constant(b.den));
                Some(reduce(self.ctx, Ratio { num, den: a.den.checked_mul(divisor)? }))
            }
            "mod" => {
                let (x, y) = (a.as_int()?, b.as_int()?);
                p.as_const(y).is_some_and(|y| y > 0).then(|| Ratio::int(p.modulo(x, y)))
            }
            "and" => Some(Ratio::int(p.mul(a.as_int()?, b.as_int()?))),
            "or" => Some(Ratio::int(p.max(a.as_int()?, b.as_int()?))),
            _ => None,
        }
    }
}

/// An axis counted from the end when negative.
fn wrapped(axis: i64, rank: usize) -> Option<usize> {
    usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok().filter(|&a| a < rank)
}

/// Row-major position of an element.
fn flat(at: &[usize], shape: &[usize]) -> usize {
    at.iter().zip(shape).fold(0, |flat, (&i, &size)| flat * size + i)
}

/// All positions of a shape in row-major order.
fn positions(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut rest| {
        let mut at = vec![0; shape.len()];
        for (i, &size) in shape.iter().enumerate().rev() {
            at[i] = rest % size;
            rest /= size;
        }
        at
    })
}

/// Cancels a denominator that divides every multiple of the numerator.
fn reduce(ctx: &Context, r: Ratio) -> Ratio {
    let p = &ctx.exprs;
    let common = gcd(p.divisor(r.num, &Facts::default()), r.den);
    match common > 1 {
        true => Ratio { num: p.floordiv(r.num, p.constant(common)), den: r.den / common },
        false => r,
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i64::try_from(a).unwrap_or(1)
}
