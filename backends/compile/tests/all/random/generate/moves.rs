//! Steps that move elements without computing.

use super::steps::Step;
use super::{Fill, Maker};
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

impl Maker<'_> {
    pub fn transpose(&mut self) -> Step {
        let Some(x) = self.choose(|m, v| m.g.rank(v).is_ok_and(|r| r > 1)) else { return Ok(None) };
        let mut perm: Vec<usize> = (0..self.g.rank(x)?).collect();
        for i in (1..perm.len()).rev() {
            let j = self.rng.below(i + 1);
            perm.swap(i, j);
        }
        let y = self.g.transpose(x, &perm)?;
        self.moved(y, x)
    }

    /// The same elements elsewhere.
    fn moved(&mut self, y: ValueId, x: ValueId) -> Step {
        let (known, dims) = (self.known(x), self.dims(y)?);
        if !self.tame(self.count(&dims), 0.0) || self.values.contains(&y) {
            return Ok(None);
        }
        self.set(y, known.exact, known.bound, &[x]);
        Ok(Some(y))
    }

    pub fn reshape(&mut self) -> Step {
        let Some(x) = self.choose(|_, _| true) else { return Ok(None) };
        let mut dims = self.dims(x)?;
        match self.rng.below(4) {
            0 if dims.len() > 1 => {
                let k = self.rng.below(dims.len() - 1);
                dims[k] = self.g.ctx().exprs.mul(dims[k], dims[k + 1]);
                dims.remove(k + 1);
            }
            1 => dims = vec![self.g.ctx().exprs.product(dims)],
            2 => {
                let k = self.rng.below(dims.len() + 1);
                dims.insert(k, Expr::ONE);
            }
            _ => {
                let Some((k, size)) = self.axis(&dims) else { return Ok(None) };
                let Some(n) = self.fixed(size).filter(|n| n % 2 == 0) else { return Ok(None) };
                dims[k] = self.g.num(n / 2);
                dims.insert(k, self.g.num(2));
            }
        }
        let y = self.g.reshape(x, &dims)?;
        self.moved(y, x)
    }

    pub fn slice(&mut self) -> Step {
        let Some(x) = self.choose(|_, _| true) else { return Ok(None) };
        let dims = self.dims(x)?;
        let Some((axis, size)) = self.axis(&dims) else { return Ok(None) };
        let one_less = self.g.ctx().exprs.sub(size, Expr::ONE);
        let y = match (self.rng.below(3), self.fixed(size)) {
            (0, _) if self.at_least(size, 1) => self.g.slice_axis(x, axis, Expr::ONE, one_less)?,
            (1, Some(n)) if n > 2 => {
                let (start, step) = (self.rng.range(0, n - 1), *self.rng.pick(&[1, 2, 3, -1, -2]));
                let most = if step > 0 { (n - 1 - start) / step + 1 } else { start / -step + 1 };
                let count = self.rng.range(0, most);
                let mut starts = vec![self.g.num(0); dims.len()];
                let mut steps = vec![self.g.num(1); dims.len()];
                let mut sizes = dims.clone();
                (starts[axis], steps[axis], sizes[axis]) = (self.g.num(start), self.g.num(step), self.g.num(count));
                self.g.slice(x, &starts, &steps, &sizes)?
            }
            _ => self.g.reverse(x, axis)?,
        };
        self.moved(y, x)
    }

    pub fn concat(&mut self) -> Step {
        let Some(x) = self.choose(|_, _| true) else { return Ok(None) };
        let (mut dims, dtype) = (self.dims(x)?, self.g.dtype(x)?);
        let Some((axis, _)) = self.axis(&dims) else { return Ok(None) };
        let other = if self.rng.once_in(3) {
            x
        } else {
            dims[axis] = if self.rng.once_in(3) { self.symbol("M") } else { self.g.num(3) };
            self.weights(&dims, dtype)
        };
        let y = self.g.concat(&[x, other, x][..2 + self.rng.below(2)], axis)?;
        let (a, b) = (self.known(x), self.known(other));
        let dims = self.dims(y)?;
        if !self.tame(self.count(&dims), 0.0) {
            return Ok(None);
        }
        self.set(y, a.exact && b.exact, a.bound.max(b.bound), &[x, other]);
        Ok(Some(y))
    }

    pub fn pad(&mut self) -> Step {
        let Some(x) = self.choose(|m, v| m.g.rank(v).is_ok_and(|r| r > 0)) else { return Ok(None) };
        let dims = self.dims(x)?;
        let mode = *self.rng.pick(&["constant", "edge", "reflect", "wrap"]);
        if mode != "constant" && !dims.iter().all(|&d| self.at_least(d, 3)) {
            return Ok(None);
        }
        let ctx = self.g.ctx();
        let mut amounts = || (0..dims.len()).map(|_| ctx.exprs.constant(self.rng.range(0, 2))).collect::<Vec<_>>();
        let (low, high) = (amounts(), amounts());
        let attrs = [("low", ctx.exprs_attr(&low)), ("high", ctx.exprs_attr(&high)), ("mode", ctx.string_attr(mode))];
        let y = self.g.value("graph.pad", &[x], &attrs)?;
        self.moved(y, x)
    }

    pub fn gather(&mut self) -> Step {
        let Some(x) = self.choose(|m, v| m.g.rank(v).is_ok_and(|r| r > 0)) else { return Ok(None) };
        let dims = self.dims(x)?;
        let Some((axis, size)) = self.axis(&dims) else { return Ok(None) };
        if !self.at_least(size, 1) {
            return Ok(None);
        }
        let y = if self.rng.once_in(2) {
            let shape = self.some_dims();
            let indices = self.input(&shape[..shape.len().min(2)], DType::I64, Fill::Indices(size));
            self.g.gather(x, indices, axis)?
        } else {
            let mut shape = dims;
            shape[axis] = self.g.num(4);
            let indices = self.input(&shape, DType::I64, Fill::Indices(size));
            let attrs = [("axis", self.g.ctx().i64_attr(axis as i64))];
            self.g.value("graph.gather_elements", &[x, indices], &attrs)?
        };
        self.moved(y, x)
    }

    pub fn broadcast(&mut self) -> Step {
        let Some(x) = self.choose(|_, _| true) else { return Ok(None) };
        let mut dims = self.dims(x)?;
        for d in &mut dims {
            if *d == Expr::ONE && self.rng.once_in(2) {
                *d = if self.rng.once_in(2) { self.symbol("N") } else { self.g.num(4) };
            }
        }
        if self.rng.once_in(2) {
            dims.insert(0, self.symbol("M"));
        }
        let y = self.g.broadcast_to(x, &dims)?;
        self.moved(y, x)
    }

    pub fn scatter(&mut self) -> Step {
        let Some(x) = self.choose(|m, v| m.is_float(v) && m.g.rank(v).is_ok_and(|r| r > 0)) else { return Ok(None) };
        let (mut dims, dtype) = (self.dims(x)?, self.g.dtype(x)?);
        let Some((axis, size)) = self.axis(&dims) else { return Ok(None) };
        if !self.at_least(size, 1) {
            return Ok(None);
        }
        dims[axis] = self.g.num(3);
        let indices = self.input(&dims, DType::I64, Fill::Indices(size));
        let updates = self.weights(&dims, dtype);
        let reduction = *self.rng.pick(&["none", "add", "max", "min"]);
        let ctx = self.g.ctx();
        let attrs = [("axis", ctx.i64_attr(axis as i64)), ("reduction", ctx.string_attr(reduction))];
        let y = self.g.value("graph.scatter_elements", &[x, indices, updates], &attrs)?;
        let (a, b) = (self.known(x), self.known(updates));
        let exact = a.exact && b.exact && reduction != "add";
        self.set(y, exact, a.bound + 3.0 * b.bound, &[x]);
        Ok(Some(y))
    }
}
