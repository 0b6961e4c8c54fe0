//! The kinds of steps.

use super::{Fill, Maker};
use nim_ir::{Diagnostic, Expr, ValueId};
use nim_tensor::DType;

/// A value, or nothing where no value fits the step.
pub type Step = Result<Option<ValueId>, Diagnostic>;

impl Maker<'_> {
    /// One op, or a few.
    pub fn step(&mut self) -> Step {
        match self.rng.below(24) {
            0 | 1 => self.unary(),
            2..=4 => self.binary(),
            5 => self.integers(),
            6 => self.select(),
            7 => self.cast(),
            8 | 9 => self.matmul(),
            10 => self.window(),
            11 => self.reduce(),
            12 => self.normalise(),
            13 => self.transpose(),
            14 => self.reshape(),
            15 => self.slice(),
            16 => self.concat(),
            17 => self.pad(),
            18 => self.gather(),
            19 => self.arg_reduce(),
            20 => self.cumsum(),
            21 => self.broadcast(),
            22 => self.scatter(),
            _ => self.choose_or_count(),
        }
    }

    fn float(&mut self) -> Option<ValueId> {
        self.choose(|m, v| m.is_float(v))
    }

    pub fn dims(&self, v: ValueId) -> Result<Vec<Expr>, Diagnostic> {
        self.g.dims(v)
    }

    /// An axis, and its size.
    pub fn axis(&mut self, dims: &[Expr]) -> Option<(usize, Expr)> {
        if dims.is_empty() {
            return None;
        }
        let axis = self.rng.below(dims.len());
        Some((axis, dims[axis]))
    }

    pub fn fixed(&self, e: Expr) -> Option<i64> {
        self.g.ctx().exprs.as_const(e)
    }

    /// Where a dimension must not be smaller: known now, or a condition on the symbols.
    pub fn at_least(&mut self, e: Expr, least: i64) -> bool {
        match self.fixed(e) {
            Some(n) => n >= least,
            None => {
                self.needs.push((e, least));
                true
            }
        }
    }

    fn unary(&mut self) -> Step {
        let Some(x) = self.float() else { return Ok(None) };
        let k = self.known(x);
        let all = [
            "neg", "abs", "relu", "tanh", "sigmoid", "erf", "sin", "cos", "atan", "exp", "log", "sqrt", "floor",
            "round",
        ];
        let name = *self.rng.pick(&all);
        let (exact, bound, x) = match name {
            "neg" | "abs" | "relu" => (k.exact, k.bound, x),
            "exp" if k.bound <= 6.0 => (false, k.bound.exp(), x),
            // away from where small errors become large ones
            "log" | "sqrt" => {
                let positive = self.g.unary("abs", x)?;
                (false, k.bound + 1.0, self.g.with_scalar("add", positive, 0.5)?)
            }
            "floor" | "round" if k.exact => (true, k.bound + 1.0, x),
            "tanh" | "sigmoid" | "erf" | "sin" | "cos" => (false, 1.0, x),
            "atan" => (false, 1.6, x),
            _ => return Ok(None),
        };
        let y = self.g.unary(name, x)?;
        self.set(y, exact, bound, &[x]);
        self.set_short(y, k.short);
        Ok(Some(y))
    }

    fn set_short(&mut self, v: ValueId, short: bool) {
        let known = self.known(v);
        self.known.insert(v, super::Known { short: known.short || short, ..known });
    }

    /// Some value or a fresh one that broadcasts with `x`.
    fn partner(&mut self, x: ValueId) -> Result<ValueId, Diagnostic> {
        let (dims, dtype) = (self.dims(x)?, self.g.dtype(x)?);
        if self.rng.once_in(2) {
            let same =
                self.choose(|m, v| m.g.dims(v).is_ok_and(|d| d == dims) && m.g.dtype(v).is_ok_and(|d| d == dtype));
            if let Some(same) = same {
                return Ok(same);
            }
        }
        let skip = if self.rng.once_in(2) { self.rng.below(dims.len() + 1) } else { 0 };
        let kept = dims[skip..].iter().map(|&d| if self.rng.once_in(4) { Expr::ONE } else { d }).collect::<Vec<_>>();
        Ok(self.weights(&kept, dtype))
    }

    fn binary(&mut self) -> Step {
        let Some(x) = self.float() else { return Ok(None) };
        let y = self.partner(x)?;
        let (x, y) = if self.rng.once_in(3) { (y, x) } else { (x, y) };
        let (a, b) = (self.known(x), self.known(y));
        let name = *self.rng.pick(&["add", "sub", "mul", "max", "min", "div", "pow"]);
        let (z, exact, bound) = match name {
            "add" | "sub" => (self.g.binary(name, x, y)?, false, a.bound + b.bound),
            "mul" => (self.g.binary(name, x, y)?, false, a.bound * b.bound),
            "max" | "min" => (self.g.binary(name, x, y)?, a.exact && b.exact, a.bound.max(b.bound)),
            "div" => {
                let positive = self.g.unary("abs", y)?;
                let divisor = self.g.with_scalar("add", positive, 0.5)?;
                (self.g.binary("div", x, divisor)?, false, a.bound * 2.0)
            }
            _ => (self.g.with_scalar("pow", x, 2.0)?, false, a.bound * a.bound),
        };
        let dims = self.dims(z)?;
        if !self.tame(self.count(&dims), bound) {
            return Ok(None);
        }
        self.set(z, exact, bound, &[x, y]);
        Ok(Some(z))
    }

    /// Integers are exact everywhere, also where they wrap or are divided by zero.
    fn integers(&mut self) -> Step {
        let x = match self.choose(|m, v| m.g.dtype(v).is_ok_and(|d| d.is_integer() && d != DType::Bool)) {
            Some(x) => x,
            None => {
                let dims = self.some_dims();
                let dtype = *self.rng.pick(&[DType::I32, DType::I64, DType::U8, DType::I8]);
                self.input(&dims, dtype, Fill::Small)
            }
        };
        let y = self.partner(x)?;
        let name =
            *self.rng.pick(&["add", "sub", "mul", "max", "min", "div", "mod", "fmod", "bitwise_and", "bitwise_xor"]);
        let z = self.g.binary(name, x, y)?;
        let dims = self.dims(z)?;
        let bound = self.known(x).bound * self.known(y).bound + 300.0;
        if !self.tame(self.count(&dims), 0.0) {
            return Ok(None);
        }
        self.set(z, true, bound, &[]);
        Ok(Some(z))
    }

    /// Dimensions out of a few kinds: symbols, ones, zeros now and then, sizes around those of vectors.
    pub fn some_dims(&mut self) -> Vec<Expr> {
        let rank = self.rng.below(4);
        (0..rank)
            .map(|_| match self.rng.below(12) {
                0..=3 => self.symbol("N"),
                4 | 5 => self.symbol("M"),
                6 | 7 => Expr::ONE,
                8 if self.rng.once_in(3) => self.g.num(0),
                _ => {
                    let n = *self.rng.pick(&[2, 3, 4, 7, 8, 16, 19]);
                    self.g.num(n)
                }
            })
            .collect()
    }

    fn select(&mut self) -> Step {
        let Some(x) = self.choose(|m, v| m.known(v).exact && m.is_float(v)) else { return Ok(None) };
        let (other, then) = (self.partner(x)?, self.partner(x)?);
        if !self.known(other).exact {
            return Ok(None);
        }
        let predicate = *self.rng.pick(&["lt", "le", "gt", "ge", "eq", "ne"]);
        let condition = self.g.compare(predicate, x, other)?;
        let z = self.g.select(condition, then, x)?;
        let dims = self.dims(z)?;
        let (a, b) = (self.known(then), self.known(x));
        if !self.tame(self.count(&dims), 0.0) {
            return Ok(None);
        }
        self.set(z, a.exact && b.exact, a.bound.max(b.bound), &[x, then]);
        Ok(Some(z))
    }

    fn cast(&mut self) -> Step {
        let Some(x) = self.choose(|_, _| true) else { return Ok(None) };
        let (from, known) = (self.g.dtype(x)?, self.known(x));
        let to = *self.rng.pick(&[
            DType::F32,
            DType::F32,
            DType::F64,
            DType::F16,
            DType::BF16,
            DType::I32,
            DType::I8,
            DType::U8,
            DType::Bool,
        ]);
        // what is cut off must be the same everywhere, and fit
        let cuts = from.is_float() && !to.is_float();
        let low = if to == DType::U8 { 0.0 } else { known.bound };
        if cuts && (!known.exact || known.short || known.bound > 100.0 || low == 0.0) || from == to {
            return Ok(None);
        }
        let y = self.g.cast_to(x, to)?;
        let exact = known.exact && (to.size() >= 4 || !to.is_float()) && !known.short;
        self.set(y, exact, known.bound.min(70_000.0), &[x]);
        Ok(Some(y))
    }

    fn matmul(&mut self) -> Step {
        let Some(x) = self.choose(|m, v| m.is_float(v) && m.g.rank(v).is_ok_and(|r| r > 0)) else { return Ok(None) };
        let (dims, dtype) = (self.dims(x)?, self.g.dtype(x)?);
        let inner = dims[dims.len() - 1];
        let columns = match self.rng.below(4) {
            0 => self.symbol("M"),
            _ => {
                let n = *self.rng.pick(&[1, 5, 8, 16, 17, 33, 48, 96]);
                self.g.num(n)
            }
        };
        let w = match self.rng.below(6) {
            // with itself, as attention does
            0 if dims.len() >= 2 => {
                let mut perm: Vec<usize> = (0..dims.len()).collect();
                perm.swap(dims.len() - 1, dims.len() - 2);
                self.g.transpose(x, &perm)?
            }
            1 => self.weights(&[inner], dtype),
            2 if dims.len() >= 3 => {
                let batch = dims[dims.len() - 3];
                self.weights(&[batch, inner, columns], dtype)
            }
            _ => self.weights(&[inner, columns], dtype),
        };
        let bound = self.known(x).bound * self.known(x).bound.max(2.0) * self.estimate(inner) as f64;
        let y = self.g.matmul(x, w)?;
        let result = self.dims(y)?;
        if !self.tame(self.count(&result) * self.estimate(inner).max(1), bound) {
            return Ok(None);
        }
        self.set(y, false, bound, &[x]);
        Ok(Some(y))
    }

    /// Convolution, its transpose, pooling.
    fn window(&mut self) -> Step {
        let spatial = 1 + self.rng.below(2);
        let rank = spatial + 2;
        let there = self.choose(|m, v| {
            let channels = m.g.dims(v).ok().filter(|d| d.len() == rank).and_then(|d| m.fixed(d[1]));
            m.is_float(v) && channels.is_some_and(|c| (1..=8).contains(&c))
        });
        let x = match there {
            Some(x) => x,
            None => {
                let channels = *self.rng.pick(&[1, 2, 3, 4, 8]);
                let batch = if self.rng.once_in(2) { self.symbol("N") } else { Expr::ONE };
                let mut dims = vec![batch, self.g.num(channels)];
                for _ in 0..spatial {
                    let size = *self.rng.pick(&[3, 5, 8, 11]);
                    dims.push(if self.rng.once_in(4) { self.symbol("M") } else { self.g.num(size) });
                }
                self.input(&dims, DType::F32, Fill::Small)
            }
        };
        let (dims, dtype) = (self.dims(x)?, self.g.dtype(x)?);
        let Some(channels) = self.fixed(dims[1]) else { return Ok(None) };
        let mut list = |low, high| (0..spatial).map(|_| self.rng.range(low, high)).collect::<Vec<i64>>();
        let (kernel, strides, dilations, before, behind) = (list(1, 3), list(1, 2), list(1, 2), list(0, 1), list(0, 1));
        for k in 0..spatial {
            let (low, high) = (before[k].min(kernel[k] - 1), behind[k].min(kernel[k] - 1));
            let reach = (kernel[k] - 1) * dilations[k] + 1 - low - high;
            if !self.at_least(dims[k + 2], reach.max(1)) {
                return Ok(None);
            }
        }
        let pads: Vec<i64> =
            before.iter().chain(&behind).zip(kernel.iter().cycle()).map(|(&p, &k)| p.min(k - 1)).collect();
        let ctx = self.g.ctx();
        let ints = |values: &[i64]| ctx.i64_array(values);
        let taps: i64 = kernel.iter().product();
        let common = [("strides", ints(&strides)), ("pads", ints(&pads)), ("dilations", ints(&dilations))];
        let bound = self.known(x).bound * 2.0 * (taps * channels) as f64;
        let (y, exact, bound) = match self.rng.below(5) {
            0 | 1 => {
                let kind = if self.rng.once_in(2) { "max" } else { "sum" };
                let attrs = [&common[..], &[("kernel", ints(&kernel)), ("kind", ctx.string_attr(kind))]].concat();
                let max = kind == "max";
                // padding alone is -inf
                if max && pads.iter().any(|&p| p > 0) && dilations.iter().any(|&d| d > 1) {
                    return Ok(None);
                }
                (self.g.value("graph.pool", &[x], &attrs)?, max && self.known(x).exact, bound)
            }
            2 => {
                let groups = if channels % 2 == 0 && self.rng.once_in(2) { 2 } else { 1 };
                let mut shape = vec![dims[1], self.g.num(3)];
                shape.extend(kernel.iter().map(|&k| self.g.num(k)));
                let w = self.weights(&shape, dtype);
                let attrs = [&common[..], &[("groups", ctx.i64_attr(groups))]].concat();
                (self.g.value("graph.conv_transpose", &[x, w], &attrs)?, false, bound)
            }
            _ => {
                let groups = *self.rng.pick(&[1, channels, if channels % 2 == 0 { 2 } else { 1 }]);
                let out = groups * self.rng.range(1, 3);
                let mut shape = vec![self.g.num(out), self.g.num(channels / groups)];
                shape.extend(kernel.iter().map(|&k| self.g.num(k)));
                let w = self.weights(&shape, dtype);
                let attrs = [&common[..], &[("groups", ctx.i64_attr(groups))]].concat();
                (self.g.value("graph.conv", &[x, w], &attrs)?, false, bound)
            }
        };
        let result = self.dims(y)?;
        if result.iter().any(|&d| self.fixed(d).is_some_and(|n| n < 1))
            || !self.tame(self.count(&result) * taps * channels, bound)
        {
            return Ok(None);
        }
        for &d in &result {
            self.at_least(d, 0);
        }
        self.set(y, exact, bound, &[x]);
        Ok(Some(y))
    }

    fn reduce(&mut self) -> Step {
        let Some(x) = self.float() else { return Ok(None) };
        let dims = self.dims(x)?;
        let axes: Vec<usize> = (0..dims.len()).filter(|_| self.rng.once_in(2)).collect();
        let kind = *self.rng.pick(&["sum", "max", "min", "mean"]);
        let (known, keep) = (self.known(x), self.rng.once_in(2));
        let count: i64 = axes.iter().map(|&a| self.estimate(dims[a]).max(1)).product();
        if kind != "sum" && !axes.iter().all(|&a| self.at_least(dims[a], 1)) {
            return Ok(None);
        }
        let (y, exact, bound) = match kind {
            "mean" => (self.g.mean(x, &axes, keep)?, false, known.bound),
            "sum" => (self.g.reduce(kind, x, &axes, keep)?, false, known.bound * count as f64),
            _ => (self.g.reduce(kind, x, &axes, keep)?, known.exact, known.bound),
        };
        if !self.tame(0, bound) {
            return Ok(None);
        }
        self.set(y, exact, bound, &[x]);
        Ok(Some(y))
    }

    /// Softmax, or the normalisation of a layer.
    fn normalise(&mut self) -> Step {
        let Some(x) = self.float() else { return Ok(None) };
        let dims = self.dims(x)?;
        let Some((axis, size)) = self.axis(&dims) else { return Ok(None) };
        if !self.at_least(size, 1) {
            return Ok(None);
        }
        let y = if self.rng.once_in(2) {
            self.g.softmax(x, &[axis], false)?
        } else {
            let mean = self.g.mean(x, &[axis], true)?;
            let centred = self.g.binary("sub", x, mean)?;
            let square = self.g.binary("mul", centred, centred)?;
            let variance = self.g.mean(square, &[axis], true)?;
            let shifted = self.g.with_scalar("add", variance, 0.25)?;
            let deviation = self.g.unary("sqrt", shifted)?;
            self.g.binary("div", centred, deviation)?
        };
        // the division amplifies what the sums before it lost
        let bound = (self.known(x).bound * 2.0).max(5.0);
        self.set(y, false, bound, &[x]);
        Ok(Some(y))
    }

    fn arg_reduce(&mut self) -> Step {
        let Some(x) = self.choose(|m, v| m.known(v).exact && !m.known(v).short && m.is_float(v)) else {
            return Ok(None);
        };
        let dims = self.dims(x)?;
        let Some((axis, size)) = self.axis(&dims) else { return Ok(None) };
        if !self.at_least(size, 1) {
            return Ok(None);
        }
        let ctx = self.g.ctx();
        let kind = if self.rng.once_in(2) { "max" } else { "min" };
        let attrs = [
            ("kind", ctx.string_attr(kind)),
            ("axis", ctx.i64_attr(axis as i64)),
            ("last", ctx.bool_attr(self.rng.once_in(2))),
            ("keepdims", ctx.bool_attr(self.rng.once_in(2))),
        ];
        let y = self.g.value("graph.arg_reduce", &[x], &attrs)?;
        self.set(y, true, 64.0, &[]);
        Ok(Some(y))
    }

    fn cumsum(&mut self) -> Step {
        let Some(x) = self.float() else { return Ok(None) };
        let dims = self.dims(x)?;
        let Some((axis, size)) = self.axis(&dims) else { return Ok(None) };
        let ctx = self.g.ctx();
        let attrs = [
            ("axis", ctx.i64_attr(axis as i64)),
            ("exclusive", ctx.bool_attr(self.rng.once_in(2))),
            ("reverse", ctx.bool_attr(self.rng.once_in(2))),
        ];
        let y = self.g.value("graph.cumsum", &[x], &attrs)?;
        let bound = self.known(x).bound * self.estimate(size).max(1) as f64;
        if !self.tame(0, bound) {
            return Ok(None);
        }
        self.set(y, false, bound, &[x]);
        Ok(Some(y))
    }

    /// The largest few, or numbers that count.
    fn choose_or_count(&mut self) -> Step {
        if self.rng.once_in(2) {
            let dims = self.some_dims();
            let Some((axis, _)) = self.axis(&dims) else { return Ok(None) };
            let dtype = *self.rng.pick(&[DType::F32, DType::I64, DType::I32]);
            let y = self.g.iota(&dims, axis, dtype)?;
            self.set(y, true, 40.0, &[]);
            return if self.tame(self.count(&dims), 0.0) { Ok(Some(y)) } else { Ok(None) };
        }
        let Some(x) = self.choose(|m, v| m.known(v).exact && !m.known(v).short && m.is_float(v)) else {
            return Ok(None);
        };
        let dims = self.dims(x)?;
        let Some((axis, size)) = self.axis(&dims) else { return Ok(None) };
        let Some(n) = self.fixed(size).filter(|&n| n > 0) else { return Ok(None) };
        let ctx = self.g.ctx();
        let k = self.rng.range(1, n);
        let attrs = [
            ("axis", ctx.i64_attr(axis as i64)),
            ("k", ctx.expr_attr(ctx.exprs.constant(k))),
            ("largest", ctx.bool_attr(self.rng.once_in(2))),
        ];
        let op = self.g.op("graph.topk", &[x], &attrs)?;
        let (values, indices) = (self.g.b.body.results(op)[0], self.g.b.body.results(op)[1]);
        let known = self.known(x);
        self.set(values, true, known.bound, &[x]);
        self.set(indices, true, 64.0, &[]);
        Ok(Some(if self.rng.once_in(2) { values } else { indices }))
    }
}
