//! Slice and Pad.

use super::{Family, Importer, Node, Out, wrap_axes};
use nim_graph::Built;
use nim_ir::{Expr, Facts, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("Pad", pad), ("Slice", slice)];

/// A list of integers: from an attribute, or an input of some length.
enum List {
    Given(Vec<Expr>),
    Input(ValueId, usize),
}

impl List {
    fn read(im: &Importer<'_>, n: &Node<'_>, name: &str, input: usize) -> Built<Option<List>> {
        if let Some(v) = n.ints(name) {
            return Ok(Some(List::Given(v.into_iter().map(|v| im.num(v)).collect())));
        }
        let Some(v) = n.opt(input) else { return Ok(None) };
        match im.dims(v)?.as_slice() {
            // No rank is larger than this: what says so is damaged.
            [d] if im.ctx().exprs.as_const(*d).is_some_and(|d| (0..=1024).contains(&d)) => {
                let count = im.ctx().exprs.as_const(*d).unwrap_or(0);
                Ok(Some(List::Input(v, count as usize)))
            }
            _ => {
                let found = im.ctx().display_type(im.ty(v));
                Err(im.error("N0628", format!("`{name}` must be a vector of known length, found {found}")))
            }
        }
    }
    fn len(&self) -> usize {
        match self {
            List::Given(v) => v.len(),
            List::Input(_, count) => *count,
        }
    }
    /// Element `i`, if it is known.
    fn known(&self, im: &Importer<'_>, i: usize) -> Option<Expr> {
        match self {
            List::Given(v) => Some(v[i]),
            List::Input(v, _) => match im.ints(*v) {
                Some(numbers) => Some(im.num(*numbers.get(i)?)),
                None => im.contents(*v)?.get(i)?.as_ref()?.as_int(),
            },
        }
    }
    /// Element `i` as an `i64` scalar.
    fn scalar(&self, im: &mut Importer<'_>, i: usize) -> Built {
        match self {
            List::Given(v) => im.index(&[v[i]], true),
            List::Input(v, _) => {
                let at = im.num(i as i64);
                let v = im.at(*v, 0, at)?;
                im.cast_to(v, DType::I64)
            }
        }
    }
    /// All elements as an `i64` vector.
    fn vector(&self, im: &mut Importer<'_>) -> Built {
        match self {
            List::Given(v) => im.index(v, false),
            List::Input(v, _) => im.cast_to(*v, DType::I64),
        }
    }
    /// The elements put at their axes in a vector with one an axis, which starts as something else.
    fn spread(&self, im: &mut Importer<'_>, axes: ValueId, start: &[Expr]) -> Built<List> {
        let start_vector = im.index(start, false)?;
        let updates = self.vector(im)?;
        let ctx = im.ctx();
        let attrs = [("axis", ctx.i64_attr(0)), ("reduction", ctx.string_attr("none"))];
        let spread = im.value("graph.scatter_elements", &[start_vector, axes, updates], &attrs)?;
        Ok(List::Input(spread, start.len()))
    }
}

/// Axes as numbers, or as a vector of non-negative `i64`.
enum Axes {
    Known(Vec<usize>),
    Unknown(ValueId),
}

fn read_axes(im: &mut Importer<'_>, n: &Node<'_>, input: usize, rank: usize, count: usize) -> Built<Axes> {
    let Some(list) = List::read(im, n, "axes", input)? else { return Ok(Axes::Known((0..count).collect())) };
    if list.len() != count {
        return Err(im.error("N0621", format!("{} axes are listed where {count} are sliced or padded", list.len())));
    }
    let numbers: Option<Vec<i64>> = (0..count).map(|i| im.ctx().exprs.as_const(list.known(im, i)?)).collect();
    if let Some(numbers) = numbers {
        return Ok(Axes::Known(wrap_axes(im, &numbers, rank)?));
    }
    let axes = list.vector(im)?;
    let zero = im.like(axes, 0.0)?;
    let negative = im.compare("lt", axes, zero)?;
    let wrapped = im.with_scalar("add", axes, rank as f64)?;
    Ok(Axes::Unknown(im.select(negative, wrapped, axes)?))
}

/// Elements from `start` (inclusive) to `end` (exclusive) by `step`, bounds clamped as the standard says.
fn slice(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let (Some(mut starts), Some(mut ends)) = (List::read(im, n, "starts", 1)?, List::read(im, n, "ends", 2)?) else {
        return Err(im.error("N0610", "`starts` and `ends` are needed"));
    };
    let one = im.num(1);
    let zero = im.num(0);
    let count = starts.len();
    let mut steps = match List::read(im, n, "steps", 4)? {
        Some(steps) => steps,
        None => List::Given(vec![one; count]),
    };
    if ends.len() != count || steps.len() != count || count > dims.len() {
        let message = format!(
            "{count} starts, {} ends and {} steps for an input of rank {}",
            ends.len(),
            steps.len(),
            dims.len()
        );
        return Err(im.error("N0621", message));
    }
    let axes = match read_axes(im, n, 3, dims.len(), count)? {
        Axes::Known(axes) => axes,
        Axes::Unknown(axes) => {
            // What is not sliced goes from its start to its end.
            starts = starts.spread(im, axes, &vec![zero; dims.len()])?;
            ends = ends.spread(im, axes, &dims)?;
            steps = steps.spread(im, axes, &vec![one; dims.len()])?;
            (0..dims.len()).collect()
        }
    };
    let (mut s, mut t, mut z) = (vec![zero; dims.len()], vec![one; dims.len()], dims.clone());
    for (i, &axis) in axes.iter().enumerate() {
        let step = steps.known(im, i).and_then(|e| im.ctx().exprs.as_const(e));
        if step == Some(0) {
            return Err(im.error("N0621", "a step must not be 0"));
        }
        (s[axis], t[axis], z[axis]) = match (starts.known(im, i), ends.known(im, i), step) {
            (Some(start), Some(end), Some(step)) => {
                let (start, size) = slice_range(im, dims[axis], start, end, step);
                (start, im.num(step), size)
            }
            _ => range_at_run_time(im, dims[axis], [&starts, &ends, &steps], i)?,
        };
    }
    Ok(vec![im.slice(x, &s, &t, &z)?])
}

/// Start, step and number of elements, computed at run time and bound.
fn range_at_run_time(im: &mut Importer<'_>, dim: Expr, lists: [&List; 3], i: usize) -> Built<(Expr, Expr, Expr)> {
    let [starts, ends, steps] = lists;
    let (start, end, step) = (starts.scalar(im, i)?, ends.scalar(im, i)?, steps.scalar(im, i)?);
    let (zero, one) = (im.like(start, 0.0)?, im.like(start, 1.0)?);
    let size = im.index(&[dim], true)?;
    let last = im.binary("sub", size, one)?;
    let forward = im.compare("gt", step, zero)?;
    let most = im.select(forward, size, last)?;
    let minus = im.like(start, -1.0)?;
    let least = im.select(forward, zero, minus)?;
    let clamped = |im: &mut Importer<'_>, v: ValueId, least: ValueId| -> Built {
        let negative = im.compare("lt", v, zero)?;
        let wrapped = im.binary("add", v, size)?;
        let v = im.select(negative, wrapped, v)?;
        let v = im.binary("max", v, least)?;
        im.binary("min", v, most)
    };
    let start = clamped(im, start, zero)?;
    let end = clamped(im, end, least)?;
    // ceil(distance / step), of a distance in the direction of the step.
    let distance = im.binary("sub", end, start)?;
    let sign = im.unary("sign", step)?;
    let up = im.binary("sub", step, sign)?;
    let up = im.binary("add", distance, up)?;
    let count = im.binary("div", up, step)?;
    let count = im.binary("max", count, zero)?;
    let step = match steps.known(im, i) {
        Some(step) => step,
        None => im.exprs_or_bind(step, "step")?[0],
    };
    let (start, count) = (im.exprs_or_bind(start, "start")?[0], im.exprs_or_bind(count, "size")?[0]);
    Ok((start, step, count))
}

/// First element and number of elements.
fn slice_range(im: &Importer<'_>, dim: Expr, start: Expr, end: Expr, step: i64) -> (Expr, Expr) {
    let p = &im.ctx().exprs;
    let facts = Facts::default();
    let zero = p.constant(0);
    let (least, most_start, most_end) = match step > 0 {
        true => (zero, dim, dim),
        false => (p.constant(-1), p.sub(dim, p.constant(1)), p.sub(dim, p.constant(1))),
    };
    // `clamp(v < 0 ? v + dim : v, least, most)`, decided where the sign is known.
    let bound = |v: Expr, most: Expr| {
        if p.as_const(v) == Some(i64::MAX) || p.as_const(v).is_some_and(|v| v >= i32::MAX as i64) {
            return most;
        }
        if p.as_const(v).is_some_and(|v| v <= i32::MIN as i64) {
            return least;
        }
        let wrapped = if p.prove_le(zero, v, &facts) {
            v
        } else if p.prove_lt(v, zero, &facts) {
            p.add(v, dim)
        } else {
            // v + dim * [v < 0], with [v < 0] = min(1, max(0, -v)).
            let negative = p.min(p.constant(1), p.max(zero, p.neg(v)));
            p.add(v, p.mul(dim, negative))
        };
        p.simplify(p.max(least, p.min(wrapped, most)), &facts)
    };
    let start = bound(start, most_start);
    // Backwards from the end of nothing: there is no element 0, so the last one comes after the first, which leaves -1.
    let start = if step > 0 { p.max(zero, start) } else { p.min(p.max(zero, start), most_start) };
    let start = p.simplify(start, &facts);
    let end = bound(end, most_end);
    // No tensor is so long that a longer step makes a difference.
    let step = step.clamp(-(1 << 62), 1 << 62);
    let (distance, step) = if step > 0 { (p.sub(end, start), step) } else { (p.sub(start, end), -step) };
    let size = p.max(zero, p.ceildiv(distance, p.constant(step)));
    (start, p.simplify(size, &facts))
}

/// Amounts to put around each axis; negative ones cut.
fn pad(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let list = match n.ints("paddings") {
        Some(v) => Some(List::Given(v.into_iter().map(|v| im.num(v)).collect())),
        None => List::read(im, n, "pads", 1)?,
    };
    let Some(list) = list else { return Err(im.error("N0610", "`pads` is missing")) };
    if list.len() % 2 != 0 || list.len() > 2 * rank {
        return Err(im.error("N0623", format!("{} pads for an input of rank {rank}", list.len())));
    }
    let count = list.len() / 2;
    let amounts = |im: &mut Importer<'_>, list: &List| -> Built<Vec<Expr>> {
        let mut out = vec![];
        for i in 0..list.len() {
            out.push(match list.known(im, i) {
                Some(e) => e,
                None => {
                    // Symbols are no sizes below 0: what is put around and what is cut are two numbers.
                    let v = list.scalar(im, i)?;
                    let more = im.with_scalar("max", v, 0.0)?;
                    let less = im.unary("neg", v)?;
                    let less = im.with_scalar("max", less, 0.0)?;
                    let (more, less) = (im.exprs_or_bind(more, "pad")?[0], im.exprs_or_bind(less, "cut")?[0]);
                    im.ctx().exprs.sub(more, less)
                }
            });
        }
        Ok(out)
    };
    let zero = im.num(0);
    let (mut low, mut high) = (vec![zero; rank], vec![zero; rank]);
    match read_axes(im, n, 3, rank, count)? {
        Axes::Known(axes) => {
            let pads = amounts(im, &list)?;
            for (i, &axis) in axes.iter().enumerate() {
                (low[axis], high[axis]) = (pads[i], pads[i + count]);
            }
        }
        Axes::Unknown(axes) => {
            let all = list.vector(im)?;
            let none = vec![zero; rank];
            for (side, start) in [(&mut low, 0), (&mut high, count)] {
                let (start, count) = (im.num(start as i64), im.num(count as i64));
                let part = im.slice_axis(all, 0, start, count)?;
                let spread = List::Input(part, 0).spread(im, axes, &none)?;
                *side = amounts(im, &spread)?;
            }
        }
    }
    let mode = n.string("mode", "constant");
    let ctx = im.ctx();
    let attrs = [("low", ctx.exprs_attr(&low)), ("high", ctx.exprs_attr(&high)), ("mode", ctx.string_attr(&mode))];
    let mut operands = vec![x];
    if mode == "constant" {
        operands.push(match n.opt(2) {
            Some(v) => im.reshape(v, &[])?,
            None => im.like(x, n.float("value", 0.0) as f64)?,
        });
    }
    Ok(vec![im.value("graph.pad", &operands, &attrs)?])
}
