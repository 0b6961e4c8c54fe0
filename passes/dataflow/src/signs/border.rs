//! What a border of zeros changes in a count of signs.
//!
//! Words outside are 0, so there the count is that of the constant's bits. A table holds, for each first and last tap inside,
//! what `n - 2*count` must start from: the number of products inside, and twice the constant's bits outside.

use super::{Operand, stays_inside};
use nim_dataflow::{MapView, as_iv, iv_symbol};
use nim_ir::{Body, Builder, Context, Expr, ValueId};
use nim_tensor::Tensor;

/// Taps along one dimension of the bordered operand.
struct Taps {
    /// The reduction's dimension; none for a single tap.
    dim: Option<usize>,
    /// Where the taps inside begin and end, as expressions of the result's place.
    range: [Expr; 2],
    /// The smallest end, and how many values begin and end may have.
    first_end: i64,
    sizes: [i64; 2],
}

/// The table, made when compiling, and where a result finds its entry.
pub struct Border {
    table: Tensor,
    /// Indices of the entry, over the parallel dimensions.
    pub indices: Vec<Expr>,
}

/// The outer `None` says that it cannot be done, the inner one that nothing lies outside.
pub type Found = Option<Option<Border>>;

impl Border {
    /// Looks at the operands of a contraction whose words run along `word`.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(ctx: &Context, body: &Body, view: &MapView, operands: &[Operand], word: usize) -> Found {
        let mut all = vec![];
        let mut constant = None;
        for (i, operand) in operands.iter().enumerate() {
            let subset = operand.memlet.subset.as_ref()?;
            let dims = ctx.dim_exprs(body.ty(operand.memlet.value))?;
            for (axis, (&index, &size)) in subset.iter().zip(&dims).enumerate() {
                let inside = operand.memlet.border.is_none() || axis == operand.axis;
                if inside || stays_inside(ctx, view, index, size) {
                    continue;
                }
                // A border of the other value is a bit like any other.
                let value = operand.memlet.border.and_then(|b| super::values::number(ctx, b))?;
                if value == 0.0 {
                    all.push(Taps::new(ctx, view, index, size)?);
                    constant = Some(&operands[1 - i]);
                }
            }
        }
        let Some(constant) = constant else { return Some(None) };
        // One operand has the border, the other is a constant that each tap is an index of.
        let bordered = operands.iter().filter(|o| o.memlet.border.is_some()).count();
        let tensor = constant.constant.as_ref().filter(|_| bordered == 1)?;
        let axes: Vec<Option<usize>> = constant.memlet.subset.as_ref()?.iter().map(|&e| as_iv(ctx, e)).collect();
        let parallel = view.is_parallel(ctx);
        let fits = |axis: usize| match axes[axis] {
            Some(k) => ctx.exprs.as_const(view.domain[k]) == Some(tensor.dims()[axis] as i64),
            None => tensor.dims()[axis] == 1,
        };
        let unit = |k: usize| view.domain[k] == Expr::ONE;
        let reached = |k: usize| parallel[k] || k == word || unit(k) || axes.contains(&Some(k));
        if !(0..axes.len()).all(fits) || !(0..view.rank()).all(reached) {
            return None;
        }
        Some(Some(Border::of(ctx, tensor, constant.value, &axes, &parallel, &all)?))
    }

    fn of(
        ctx: &Context,
        tensor: &Tensor,
        value: f64,
        axes: &[Option<usize>],
        parallel: &[bool],
        all: &[Taps],
    ) -> Option<Border> {
        let own: Vec<usize> = (0..axes.len()).filter(|&a| axes[a].is_some_and(|k| parallel[k])).collect();
        let mut shape: Vec<usize> = own.iter().map(|&a| tensor.dims()[a]).collect();
        let mut indices: Vec<Expr> = own.iter().filter_map(|&a| Some(nim_dataflow::iv(ctx, axes[a]?))).collect();
        for taps in all {
            shape.extend(taps.sizes.map(|n| n as usize));
            let end = ctx.exprs.sub(taps.range[1], ctx.exprs.constant(taps.first_end));
            indices.extend([taps.range[0], end]);
        }
        let entries = all.iter().map(|t| (t.sizes[0] * t.sizes[1]) as usize).product::<usize>();
        let mut out = vec![0i32; shape.iter().product()];
        // More would take longer than the contraction.
        if entries > 1 << 10 || out.len() > 1 << 24 {
            return None;
        }
        for (at, v) in tensor.to_f64s()?.into_iter().enumerate() {
            let mut place = vec![0; axes.len()];
            let mut rest = at;
            for (p, &n) in place.iter_mut().zip(tensor.dims()).rev() {
                (*p, rest) = (rest % n, rest / n);
            }
            let row = own.iter().fold(0, |row, &a| row * tensor.dims()[a] + place[a]);
            for entry in 0..entries {
                let mut rest = entry as i64;
                let mut inside = true;
                for taps in all.iter().rev() {
                    let end = rest % taps.sizes[1] + taps.first_end;
                    let begin = rest / taps.sizes[1] % taps.sizes[0];
                    rest /= taps.sizes[0] * taps.sizes[1];
                    let tap = axes.iter().position(|&k| k.is_some() && k == taps.dim).map_or(0, |a| place[a] as i64);
                    inside &= (begin..end).contains(&tap);
                }
                out[row * entries + entry] += if inside { 1 } else { 2 * i32::from(v == value) };
            }
        }
        Some(Border { table: Tensor::new(&shape, out), indices })
    }

    /// The table as a constant.
    pub fn table(&self, b: &mut Builder<'_>) -> ValueId {
        let (value, ty) = (b.ctx.tensor_attr(&self.table, "border"), b.ctx.type_of_tensor(&self.table));
        b.value("graph.constant", &[], ty, &[("value", value)])
    }
}

impl Taps {
    /// Of an index `stride*row + dilation*tap + offset` into a dimension of this size.
    fn new(ctx: &Context, view: &MapView, index: Expr, size: Expr) -> Option<Taps> {
        let pool = &ctx.exprs;
        let parallel = view.is_parallel(ctx);
        let mentioned = nim_dataflow::mentioned_ivs(ctx, index);
        let taps: Vec<usize> = mentioned.iter().copied().filter(|&k| !parallel[k]).collect();
        let dim = taps.first().copied();
        let (step, rest, count) = match taps.as_slice() {
            [] => (1, index, 1),
            &[dim] => {
                let (step, rest) = pool.linear_in(index, iv_symbol(ctx, dim))?;
                (pool.as_const(step).filter(|&s| s > 0)?, rest, pool.as_const(view.domain[dim])?)
            }
            _ => return None,
        };
        let [by, most] = [step, count].map(|n| pool.constant(n));
        let within = |e: Expr| pool.min(pool.max(e, Expr::ZERO), most);
        let begin = within(pool.ceildiv(pool.neg(rest), by));
        let end = within(pool.ceildiv(pool.sub(size, rest), by));
        // Their extremes lie at the ends of the rows.
        let at = |e: Expr, last: bool| -> Option<i64> {
            let value = pool.substitute(e, &mut |s| {
                let k = nim_dataflow::iv_index(ctx, s)?;
                let extent = *view.domain.get(k)?;
                Some(if last { pool.sub(extent, Expr::ONE) } else { Expr::ZERO })
            });
            pool.as_const(value)
        };
        let rising = mentioned.iter().filter(|&&k| Some(k) != dim).all(|&k| {
            pool.linear_in(rest, iv_symbol(ctx, k)).and_then(|(s, _)| pool.as_const(s)).is_some_and(|s| s > 0)
        });
        let last_begin = if rising { at(begin, false) } else { None }.unwrap_or(count);
        let first_end = if rising { at(end, true) } else { None }.unwrap_or(0);
        Some(Taps { dim, range: [begin, end], first_end, sizes: [last_begin + 1, count - first_end + 1] })
    }
}
