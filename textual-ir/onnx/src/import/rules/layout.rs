//! Constants, shapes, and operators that move elements.

use super::{Family, Importer, Node, Out, axes, known_axis, wrap_axes, wrap_axis};
use nim_graph::Built;
use nim_ir::{Expr, Facts, ValueId};
use nim_tensor::{DType, Tensor};

pub(super) const RULES: Family = &[
    ("Concat", concat),
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Expand", expand),
    ("Flatten", flatten),
    ("Gather", gather),
    ("Range", range),
    ("Reshape", reshape),
    ("Shape", shape),
    ("Size", size),
    ("Split", split),
    ("Squeeze", squeeze),
    ("Tile", tile),
    ("Transpose", transpose),
    ("Unsqueeze", unsqueeze),
];

fn constant(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    if let Some(proto) = n.tensor("value") {
        return Ok(vec![im.tensor_constant(proto, "")?]);
    }
    let tensor = if let Some(v) = n.floats("value_floats") {
        Tensor::new(&[v.len()], v)
    } else if let Some(v) = n.ints("value_ints") {
        Tensor::new(&[v.len()], v)
    } else if let Some(v) = n.strings("value_strings") {
        Tensor::strings(&[v.len()], v)
    } else if n.has("value_float") {
        Tensor::scalar(n.float("value_float", 0.0))
    } else if n.has("value_int") {
        Tensor::scalar(n.int("value_int", 0))
    } else if n.has("value_string") {
        Tensor::strings(&[], vec![n.string("value_string", "")])
    } else if let Some(sparse) = n.sparse_tensor("sparse_value") {
        im.model.sparse_tensor(sparse).map_err(|e| im.error("N0604", e.to_string()))?
    } else {
        return Err(im.error("N0610", "a constant needs a value"));
    };
    Ok(vec![im.constant(&tensor, "constant")?])
}

fn constant_of_shape(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let shape = n.input(im, 0)?;
    let shape = im.exprs_or_bind(shape, "size")?;
    let value = match n.tensor("value") {
        Some(proto) => im.tensor_constant(proto, "")?,
        None => im.constant(&Tensor::scalar(0f32), "zero")?,
    };
    let value = im.reshape(value, &[])?;
    Ok(vec![im.broadcast_to(value, &shape)?])
}

fn shape(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let clamp = |v: i64| (if v < 0 { v + dims.len() as i64 } else { v }).clamp(0, dims.len() as i64) as usize;
    let (start, end) = (clamp(n.int("start", 0)), clamp(n.int("end", dims.len() as i64)));
    Ok(vec![im.index(dims.get(start..end).unwrap_or(&[]), false)?])
}

fn size(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let count = im.ctx().exprs.product(im.dims(x)?);
    Ok(vec![im.index(&[count], true)?])
}

/// A new shape with 0 for "as it was" (unless `allowzero`) and one -1 for "the rest".
fn reshape(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let from = im.dims(x)?;
    let wanted = match n.ints("shape").filter(|_| n.opt(1).is_none()) {
        Some(list) => list.into_iter().map(|v| im.num(v)).collect(),
        None => {
            let v = n.input(im, 1)?;
            if im.exprs(v).is_none() {
                let shape = shape_at_run_time(im, x, v, n.flag("allowzero", false))?;
                return Ok(vec![im.reshape(x, &shape)?]);
            }
            im.exprs_or_bind(v, "dim")?
        }
    };
    let shape = resolve_reshape(im, &from, &wanted, n.flag("allowzero", false))?;
    Ok(vec![im.reshape(x, &shape)?])
}

/// A shape of which something is known at run time only: 0 and -1 are replaced there, and what results is bound.
fn shape_at_run_time(im: &mut Importer<'_>, x: ValueId, wanted: ValueId, allow_zero: bool) -> Built<Vec<Expr>> {
    let from = im.dims(x)?;
    let known = im.contents(wanted).cloned().unwrap_or_default();
    let &[count] = im.dims(wanted)?.as_slice() else {
        return Err(im.error("N0628", "a shape must be a vector"));
    };
    // No rank is larger: what says so is damaged.
    const MAX_RANK: i64 = 1024;
    let count = im.ctx().exprs.as_const(count).filter(|c| (0..=MAX_RANK).contains(c));
    let Some(count) = count.and_then(|c| usize::try_from(c).ok()) else {
        return Err(im.error("N0628", "a shape must be a vector of known length"));
    };
    let wanted = im.cast_to(wanted, DType::I64)?;
    let (zero, one, minus) = (im.like(wanted, 0.0)?, im.like(wanted, 1.0)?, im.like(wanted, -1.0)?);
    let mut shape = wanted;
    if !allow_zero {
        let one = im.num(1);
        let own: Vec<Expr> = (0..count).map(|i| from.get(i).copied().unwrap_or(one)).collect();
        let own = im.index(&own, false)?;
        let copied = im.compare("eq", wanted, zero)?;
        shape = im.select(copied, own, shape)?;
    }
    let rest = im.compare("eq", shape, minus)?;
    let others = im.select(rest, one, shape)?;
    let others = im.reduce("prod", others, &[0], false)?;
    let others = im.binary("max", others, one)?;
    let total = im.ctx().exprs.product(from);
    let total = im.index(&[total], true)?;
    let remaining = im.binary("div", total, others)?;
    let shape = im.select(rest, remaining, shape)?;
    let bound = im.exprs_or_bind(shape, "dim")?;
    // What was known and is an ordinary size stays what it is.
    let p = &im.ctx().exprs;
    let size = |i: usize| {
        let e = known.get(i).copied().flatten()?.as_int()?;
        p.prove_le(p.constant(1), e, &Facts::default()).then_some(e)
    };
    Ok(bound.into_iter().enumerate().map(|(i, e)| size(i).unwrap_or(e)).collect())
}

fn resolve_reshape(im: &mut Importer<'_>, from: &[Expr], wanted: &[Expr], allow_zero: bool) -> Built<Vec<Expr>> {
    let p = &im.ctx().exprs;
    let mut shape = vec![];
    let mut rest = None;
    for (i, &w) in wanted.iter().enumerate() {
        match p.as_const(w) {
            Some(-1) if rest.is_none() => {
                rest = Some(i);
                shape.push(p.constant(1));
            }
            Some(0) if !allow_zero => match from.get(i) {
                Some(&d) => shape.push(d),
                None => {
                    return Err(
                        im.error("N0618", format!("dimension {i} is copied from an input of rank {}", from.len()))
                    );
                }
            },
            Some(v) if v < 0 => return Err(im.error("N0618", format!("{v} is no dimension"))),
            _ => shape.push(w),
        }
    }
    if let Some(i) = rest {
        let known = p.product(shape.iter().enumerate().filter(|(k, _)| *k != i).map(|(_, &d)| d));
        let total = p.product(from.iter().copied());
        if p.as_const(known) == Some(0) {
            return Err(im.error("N0618", "-1 cannot be found beside a dimension of 0"));
        }
        shape[i] = quotient(im, total, known, from, &shape, i);
    }
    Ok(shape)
}

/// `total / known`, with common factors cancelled so that the result stays simple.
fn quotient(im: &Importer<'_>, total: Expr, known: Expr, from: &[Expr], shape: &[Expr], hole: usize) -> Expr {
    let p = &im.ctx().exprs;
    let mut above: Vec<Expr> = from.to_vec();
    let mut below: Vec<Expr> = vec![];
    for (k, &d) in shape.iter().enumerate() {
        if k == hole {
            continue;
        }
        match above.iter().position(|&a| a == d) {
            Some(at) => {
                above.remove(at);
            }
            None => below.push(d),
        }
    }
    if below.len() + 1 == shape.len() && above.len() == from.len() {
        return p.floordiv(total, known);
    }
    p.floordiv(p.product(above), p.product(below))
}

fn flatten(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let axis = n.int("axis", 1);
    // The default is behind the only place a scalar has; both of its parts are 1 then.
    let axis = if axis < 0 {
        axis + dims.len() as i64
    } else if dims.is_empty() && !n.has("axis") {
        0
    } else {
        axis
    };
    let Some(axis) = usize::try_from(axis).ok().filter(|&a| a <= dims.len()) else {
        return Err(im.error("N0613", format!("axis {axis} lies outside a tensor of rank {}", dims.len())));
    };
    let p = &im.ctx().exprs;
    let shape = [p.product(dims[..axis].iter().copied()), p.product(dims[axis..].iter().copied())];
    Ok(vec![im.reshape(x, &shape)?])
}

/// The axes that are removed when none are named: those of size 1, which sizes of the run do not tell. There the rank that the file
/// gives the result decides; where it says none, what is kept is checked not to be 1.
fn unnamed_axes(im: &mut Importer<'_>, n: &Node<'_>, dims: &[Expr]) -> Built<Vec<usize>> {
    let pool = &im.ctx().exprs;
    let ones: Vec<usize> = (0..dims.len()).filter(|&i| dims[i] == Expr::ONE).collect();
    let may_be = |&i: &usize| !pool.prove_ne(dims[i], Expr::ONE, &Facts::default());
    let possible: Vec<usize> = (0..dims.len()).filter(may_be).collect();
    let removed = n.declared_rank(im, 0).and_then(|rank| dims.len().checked_sub(rank));
    if removed == Some(possible.len()) {
        return Ok(possible);
    }
    if removed.is_some_and(|removed| removed > ones.len() && removed < possible.len()) {
        let message = "which axes are of size 1 depends on the sizes of a run";
        return Err(im.error("N0603", message).help("name them in `axes`"));
    }
    let unsaid = removed != Some(ones.len());
    for i in possible.into_iter().filter(|i| unsaid && !ones.contains(i)) {
        let two = im.num(2);
        im.guard("le", two, dims[i], "an axis that is not removed");
    }
    Ok(ones)
}

fn squeeze(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let axes = match axes(im, n, 1, dims.len())? {
        Some(axes) => wrap_axes(im, &axes, dims.len())?,
        None => unnamed_axes(im, n, &dims)?,
    };
    for &a in &axes {
        if im.ctx().exprs.prove_ne(dims[a], im.num(1), &Facts::default()) {
            let found = im.ctx().display_type(im.ty(x));
            return Err(im.error("N0619", format!("axis {a} of {found} is removed but its size is not 1")));
        }
        let one = im.num(1);
        im.guard("eq", dims[a], one, "an axis that is removed");
    }
    Ok(vec![im.squeeze(x, &axes)?])
}

fn unsqueeze(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let added = n.opt(1).and_then(|v| im.dims(v).ok()).map(|d| im.ctx().exprs.product(d));
    let added = added.and_then(|e| im.ctx().exprs.as_const(e)).map_or(0, |n| n.clamp(0, 1024) as usize);
    let Some(axes) = axes(im, n, 1, rank + added)? else { return Err(im.error("N0610", "`axes` is missing")) };
    Ok(vec![im.unsqueeze(x, &axes)?])
}

fn transpose(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let perm = match n.ints("perm") {
        Some(perm) => wrap_axes(im, &perm, rank)?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![im.transpose(x, &perm)?])
}

fn concat(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let xs = n.all(im)?;
    let Some(&first) = xs.first() else { return Err(im.error("N0610", "needs at least one input")) };
    let default = if n.version < 4 { 1 } else { 0 };
    let axis = wrap_axis(im, n.int("axis", default), im.rank(first)?)?;
    Ok(vec![im.concat(&xs, axis)?])
}

fn expand(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, shape) = (n.input(im, 0)?, n.input(im, 1)?);
    let shape = im.exprs_or_bind(shape, "dim")?;
    let dims = im.dims(x)?;
    let p = &im.ctx().exprs;
    let mut target = match nim_graph::shape::broadcast_shapes(p, &dims, &shape) {
        Some(target) => target,
        None => {
            let found = im.ctx().display_type(im.ty(x));
            return Err(im.error("N0620", format!("{found} cannot be expanded to the shape given")));
        }
    };
    // -1 is taken for "as it is" by some exporters, although the standard says 1.
    let lead = target.len() - dims.len().min(target.len());
    for (i, t) in target.iter_mut().enumerate() {
        if p.as_const(*t) == Some(-1) && i >= lead {
            *t = dims[i - lead];
        }
    }
    Ok(vec![im.broadcast_to(x, &target)?])
}

fn gather(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, indices) = (n.input(im, 0)?, n.input(im, 1)?);
    let axis = wrap_axis(im, n.int("axis", 0), im.rank(x)?)?;
    Ok(vec![im.gather(x, indices, axis)?])
}

/// Splits into more parts are taken for a mistake.
const MAX_PARTS: i64 = 1 << 16;

fn split(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let axis = wrap_axis(im, n.int("axis", 0), dims.len())?;
    let sizes = match (n.ints("split"), n.opt(1)) {
        (Some(v), _) => v.into_iter().map(|v| im.num(v)).collect(),
        (None, Some(v)) => im.exprs_or_bind(v, "split")?,
        (None, None) => {
            let count = n.int("num_outputs", n.outputs() as i64).max(1);
            if count > MAX_PARTS {
                return Err(im.error("N0621", format!("a split into {count} parts")));
            }
            let p = &im.ctx().exprs;
            let each = p.ceildiv(dims[axis], p.constant(count));
            let mut sizes = vec![each; count as usize];
            sizes[count as usize - 1] = p.sub(dims[axis], p.mul(each, p.constant(count - 1)));
            sizes
        }
    };
    let mut start = im.num(0);
    let mut out = vec![];
    for size in sizes {
        out.push(im.slice_axis(x, axis, start, size)?);
        start = im.ctx().exprs.add(start, size);
    }
    Ok(out)
}

fn tile(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, repeats) = (n.input(im, 0)?, n.input(im, 1)?);
    let dims = im.dims(x)?;
    let mut repeats = im.exprs_or_bind(repeats, "repeat")?;
    if n.version < 6 {
        // One axis, which is given beside the number.
        let axis = n.input(im, 2)?;
        let axis = known_axis(im, axis, dims.len())?;
        let &[times] = repeats.as_slice() else {
            return Err(im.error("N0622", format!("{} repeats for one axis", repeats.len())));
        };
        repeats = (0..dims.len()).map(|a| if a == axis { times } else { Expr::ONE }).collect();
    }
    if repeats.len() != dims.len() {
        return Err(im.error("N0622", format!("{} repeats for {} axes", repeats.len(), dims.len())));
    }
    // [a, b] -> [1, a, 1, b] -> [r, a, s, b] -> [r*a, s*b]
    let p = &im.ctx().exprs;
    let one = p.constant(1);
    let apart: Vec<Expr> = dims.iter().flat_map(|&d| [one, d]).collect();
    let repeated: Vec<Expr> = dims.iter().zip(&repeats).flat_map(|(&d, &r)| [r, d]).collect();
    let together: Vec<Expr> = dims.iter().zip(&repeats).map(|(&d, &r)| p.mul(d, r)).collect();
    let x = im.reshape(x, &apart)?;
    let x = im.broadcast_to(x, &repeated)?;
    Ok(vec![im.reshape(x, &together)?])
}

fn range(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (start, limit, step) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let (start, limit, step) = (im.reshape(start, &[])?, im.reshape(limit, &[])?, im.reshape(step, &[])?);
    let p = &im.ctx().exprs;
    let size = match (im.exprs(start), im.exprs(limit), im.exprs(step)) {
        (Some(a), Some(b), Some(s)) if p.as_const(s[0]).is_some_and(|s| s != 0) => {
            let step = p.as_const(s[0]).unwrap_or(1).max(-i64::MAX);
            let distance = if step > 0 { p.sub(b[0], a[0]) } else { p.sub(a[0], b[0]) };
            let size = p.max(p.constant(0), p.ceildiv(distance, p.constant(step.abs())));
            p.simplify(size, &Facts::default())
        }
        // Otherwise max(ceil((limit - start) / step), 0), computed at run time.
        _ => {
            // Integers may be further apart than their type can say.
            let element = im.b.body.ty(start);
            let whole = im.ctx().dtype_of(element).is_some_and(DType::is_integer);
            let wide = |im: &mut Importer<'_>, v| if whole { im.cast_to(v, DType::F64) } else { Ok(v) };
            let (first, last) = (wide(im, start)?, wide(im, limit)?);
            let distance = im.binary("sub", last, first)?;
            let (distance, by) = (im.cast_to(distance, DType::F64)?, im.cast_to(step, DType::F64)?);
            let count = im.binary("div", distance, by)?;
            let count = im.unary("ceil", count)?;
            let count = im.with_scalar("max", count, 0.0)?;
            let count = im.cast_to(count, DType::I64)?;
            im.exprs_or_bind(count, "range")?[0]
        }
    };
    let size = im.ctx().expr_attr(size);
    Ok(vec![im.value("graph.range", &[start, step], &[("size", size)])?])
}
