//! Gathers, scatters, sorting, selections, and patterns of indices.

use super::{Family, Importer, Node, Out, first_axis_to, known_axis, wrap_axes, wrap_axis};
use crate::dtype_of;
use nim_graph::Built;
use nim_ir::{Expr, Facts, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("CenterCropPad", center_crop_pad),
    ("Compress", compress),
    ("CumProd", cum_prod),
    ("DepthToSpace", depth_to_space),
    ("EyeLike", eye_like),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("NonMaxSuppression", nms),
    ("NonZero", nonzero),
    ("OneHot", one_hot),
    ("ReverseSequence", reverse_sequence),
    ("Scatter", scatter_elements),
    ("ScatterElements", scatter_elements),
    ("ScatterND", scatter_nd),
    ("SpaceToDepth", space_to_depth),
    ("TensorScatter", tensor_scatter),
    ("TopK", topk),
    ("Trilu", trilu),
    ("Unique", unique),
];

fn gather_elements(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, indices) = (n.input(im, 0)?, n.input(im, 1)?);
    let axis = wrap_axis(im, n.int("axis", 0), im.rank(x)?)?;
    let axis = im.ctx().i64_attr(axis as i64);
    Ok(vec![im.value("graph.gather_elements", &[x, indices], &[("axis", axis)])?])
}

fn gather_nd(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, indices) = (n.input(im, 0)?, n.input(im, 1)?);
    let batch = usize::try_from(n.int("batch_dims", 0)).map_err(|_| im.error("N0614", "`batch_dims` is negative"))?;
    Ok(vec![im.gather_nd(x, indices, batch)?])
}

fn reduction(im: &Importer<'_>, n: &Node<'_>) -> Built<nim_ir::Attr> {
    match n.string("reduction", "none").as_str() {
        name @ ("none" | "add" | "mul" | "max" | "min") => Ok(im.ctx().string_attr(name)),
        other => Err(im.error("N0614", format!("no reduction is named {other:?}"))),
    }
}

fn scatter_elements(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, indices, updates) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let axis = wrap_axis(im, n.int("axis", 0), im.rank(x)?)?;
    let attrs = [("axis", im.ctx().i64_attr(axis as i64)), ("reduction", reduction(im, n)?)];
    Ok(vec![im.value("graph.scatter_elements", &[x, indices, updates], &attrs)?])
}

fn scatter_nd(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, indices, updates) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let attrs = [("reduction", reduction(im, n)?)];
    Ok(vec![im.value("graph.scatter_nd", &[x, indices, updates], &attrs)?])
}

/// Slice `u` of the update goes to position `write_indices[batch] + u` of the cache, around its end with `circular`.
/// Read from the cache: each of its positions takes the update that falls on it, if any.
fn tensor_scatter(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (cache, update) = (n.input(im, 0)?, n.input(im, 1)?);
    let rank = im.rank(cache)?;
    let axis = wrap_axis(im, n.int("axis", -2), rank)?;
    if axis == 0 || im.rank(update)? != rank {
        let (a, b) = (im.ctx().display_type(im.ty(cache)), im.ctx().display_type(im.ty(update)));
        return Err(im.error("N0613", format!("{b} cannot be written to {a} along axis {axis}")));
    }
    // The axis moves to place 1, behind the batch.
    let mut perm: Vec<usize> = (0..rank).filter(|&a| a != axis).collect();
    perm.insert(1, axis);
    let (old, new) = (im.transpose(cache, &perm)?, im.transpose(update, &perm)?);
    let dims = im.dims(old)?;
    let (batch, size, length) = (dims[0], dims[1], im.dims(new)?[1]);
    let mut at = im.iota(&[batch, size], 1, DType::I64)?;
    if let Some(start) = n.opt(2) {
        let start = im.cast_to(start, DType::I64)?;
        let start = im.unsqueeze(start, &[1])?;
        at = im.binary("sub", at, start)?;
    }
    let (length, size) = (im.index(&[length], true)?, im.index(&[size], true)?);
    let zero = im.like(at, 0.0)?;
    if n.string("mode", "linear") == "circular" {
        at = im.binary("mod", at, size)?;
    }
    let (from, below) = (im.compare("ge", at, zero)?, im.compare("lt", at, length)?);
    let inside = im.binary("and", from, below)?;
    let safe = im.select(inside, at, zero)?;
    let safe = im.unsqueeze(safe, &[2])?;
    let taken = im.gather_nd(new, safe, 1)?;
    let trailing: Vec<i64> = (2..rank as i64).collect();
    let inside = im.unsqueeze(inside, &trailing)?;
    let y = im.select(inside, taken, old)?;
    let mut back = vec![0; rank];
    for (i, &p) in perm.iter().enumerate() {
        back[p] = i;
    }
    Ok(vec![im.transpose(y, &back)?])
}

fn topk(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let axis = wrap_axis(im, n.int("axis", -1), im.rank(x)?)?;
    let k = match n.opt(1) {
        Some(v) => match im.exprs_or_bind(v, "k")?.as_slice() {
            [k] => *k,
            list => return Err(im.error("N0610", format!("`k` must be one number, found {}", list.len()))),
        },
        None => im.num(n.int("k", 1)),
    };
    let size = im.dims(x)?[axis];
    let p = &im.ctx().exprs;
    if p.prove_lt(size, k, &Facts::default()) {
        let (k, found) = (p.display(k).to_string(), im.ctx().display_type(im.ty(x)));
        return Err(im.error("N0625", format!("{k} elements along axis {axis} of {found} are asked for")));
    }
    im.guard("le", k, size, "elements that TopK takes");
    let ctx = im.ctx();
    let attrs = [
        ("axis", ctx.i64_attr(axis as i64)),
        ("k", ctx.expr_attr(k)),
        ("largest", ctx.bool_attr(n.flag("largest", true))),
        ("sorted", ctx.bool_attr(n.flag("sorted", true))),
    ];
    let op = im.op("graph.topk", &[x], &attrs)?;
    Ok(im.b.body.results(op).to_vec())
}

/// Indices of what is not zero: `[rank, fresh]`. Of a constant they are a constant; a tensor of one repeated value, not
/// zero, has them all.
fn nonzero(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    if let Some(op) = im.b.body.defining_op(x)
        && im.ctx().op_str(im.b.body.op_name(op)) == "graph.broadcast_to"
        && let [size] = dims.as_slice()
        && im.floats(im.b.body.operand(op, 0)).is_some_and(|v| matches!(v.as_slice(), [c] if *c != 0.0))
    {
        let one = im.num(1);
        return Ok(vec![im.iota(&[one, *size], 1, DType::I64)?]);
    }
    if let Some(values) = im.constant_of(x).and_then(|t| t.to_f64s()) {
        let Some(sizes) = im.ctx().static_dims(im.ty(x)) else {
            return Err(im.error("N0616", "the shape must be known when the model is compiled"));
        };
        let hits: Vec<usize> = (0..values.len()).filter(|&i| values[i] != 0.0).collect();
        let mut table = vec![];
        for axis in 0..sizes.len() {
            let stride: i64 = sizes[axis + 1..].iter().product();
            table.extend(hits.iter().map(|&i| i as i64 / stride.max(1) % sizes[axis].max(1)));
        }
        return Ok(vec![im.constant(&nim_tensor::Tensor::new(&[sizes.len(), hits.len()], table), "nonzero")?]);
    }
    let count = im.fresh_symbol("nonzero");
    let count = im.ctx().exprs_attr(&[count]);
    Ok(vec![im.value("graph.nonzero", &[x], &[("size", count)])?])
}

fn unique(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let count = im.fresh_symbol("unique");
    let ctx = im.ctx();
    let mut attrs = vec![("sorted", ctx.bool_attr(n.flag("sorted", true))), ("size", ctx.exprs_attr(&[count]))];
    if let Some(axis) = n.int_opt("axis") {
        attrs.push(("axis", ctx.i64_attr(wrap_axis(im, axis, im.rank(x)?)? as i64)));
    }
    let op = im.op("graph.unique", &[x], &attrs)?;
    Ok(im.b.body.results(op).to_vec())
}

fn nms(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (boxes, scores) = (n.input(im, 0)?, n.input(im, 1)?);
    let mut operands = vec![boxes, scores];
    let mut given = vec![];
    for (i, dtype) in [(2, DType::I64), (3, DType::F32), (4, DType::F32)] {
        given.push(n.opt(i).is_some() as i64);
        if let Some(v) = n.opt(i) {
            let v = im.reshape(v, &[])?;
            operands.push(im.cast_to(v, dtype)?);
        }
    }
    let count = im.fresh_symbol("selected");
    let ctx = im.ctx();
    let attrs = [
        ("given", ctx.i64_array(&given)),
        ("center", ctx.bool_attr(n.flag("center_point_box", false))),
        ("size", ctx.exprs_attr(&[count])),
    ];
    Ok(vec![im.value("graph.nms", &operands, &attrs)?])
}

/// Slices whose condition holds; a condition that is too short ends with false.
fn compress(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (mut x, condition) = (n.input(im, 0)?, n.input(im, 1)?);
    let axis = match n.int_opt("axis") {
        Some(axis) => wrap_axis(im, axis, im.rank(x)?)?,
        None => {
            let count = im.ctx().exprs.product(im.dims(x)?);
            x = im.reshape(x, &[count])?;
            0
        }
    };
    let count = im.fresh_symbol("kept");
    let size = im.ctx().exprs_attr(&[count]);
    let found = im.value("graph.nonzero", &[condition], &[("size", size)])?;
    let at = im.reshape(found, &[count])?;
    Ok(vec![im.gather(x, at, axis)?])
}

/// `values = [off, on]`: on where the position along the new axis is the index; negative indices count from the end.
fn one_hot(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (indices, depth, values) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let rank = im.rank(indices)?;
    let axis = wrap_axis(im, n.int("axis", -1), rank + 1)?;
    let depth = if im.dtype(depth)?.is_integer() { depth } else { im.cast_to(depth, DType::I64)? };
    let &[depth] = im.exprs_or_bind(depth, "depth")?.as_slice() else {
        return Err(im.error("N0610", "`depth` must be one number"));
    };
    let indices = im.cast_to(indices, DType::I64)?;
    let zero = im.like(indices, 0.0)?;
    let size = im.index(&[depth], true)?;
    let (negative, wrapped) = (im.compare("lt", indices, zero)?, im.binary("add", indices, size)?);
    let indices = im.select(negative, wrapped, indices)?;
    let indices = im.unsqueeze(indices, &[axis as i64])?;
    let position = im.iota(&[depth], 0, DType::I64)?;
    let trailing: Vec<i64> = (1..(rank - axis) as i64 + 1).collect();
    let position = im.unsqueeze(position, &trailing)?;
    let hit = im.compare("eq", indices, position)?;
    let (zero, one) = (im.num(0), im.num(1));
    let (off, on) = (im.at(values, 0, zero)?, im.at(values, 0, one)?);
    Ok(vec![im.select(hit, on, off)?])
}

/// Column minus row, for the last two axes.
fn diagonal_index(im: &mut Importer<'_>, rows: Expr, cols: Expr) -> Built {
    let row = im.iota(&[rows, cols], 0, DType::I64)?;
    let col = im.iota(&[rows, cols], 1, DType::I64)?;
    im.binary("sub", col, row)
}

fn trilu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let &[.., rows, cols] = dims.as_slice() else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("matrices are needed, found {found}")));
    };
    let k = match n.opt(1) {
        Some(v) => im.reshape(v, &[])?,
        None => im.scalar(DType::I64, 0.0)?,
    };
    let index = diagonal_index(im, rows, cols)?;
    let stays = im.compare(if n.flag("upper", true) { "ge" } else { "le" }, index, k)?;
    let zero = im.like(x, 0.0)?;
    Ok(vec![im.select(stays, x, zero)?])
}

fn eye_like(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let &[rows, cols] = im.dims(x)?.as_slice() else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("a matrix is needed, found {found}")));
    };
    let dtype = match n.int_opt("dtype") {
        Some(t) => dtype_of(t as i32).map_err(|e| im.error("N0614", e.to_string()))?,
        None => im.dtype(x)?,
    };
    let index = diagonal_index(im, rows, cols)?;
    let k = im.scalar(DType::I64, n.int("k", 0) as f64)?;
    let hit = im.compare("eq", index, k)?;
    Ok(vec![im.cast_to(hit, dtype)?])
}

/// Batch, channels, height, width, and the size of blocks.
fn blocks(im: &Importer<'_>, n: &Node<'_>, x: ValueId) -> Built<([Expr; 4], i64)> {
    let size = n.int("blocksize", 0);
    match im.dims(x)?.as_slice() {
        &[b, c, h, w] if size > 0 => Ok(([b, c, h, w], size)),
        _ => {
            let found = im.ctx().display_type(im.ty(x));
            Err(im.error("N0615", format!("blocks of {size} of [batch, channels, height, width], found {found}")))
        }
    }
}

fn depth_to_space(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let ([b, c, h, w], size) = blocks(im, n, x)?;
    let p = &im.ctx().exprs;
    let s = p.constant(size);
    let rest = p.floordiv(c, p.mul(s, s));
    let (shape, perm) = match n.string("mode", "DCR").as_str() {
        "CRD" => ([b, rest, s, s, h, w], [0, 1, 4, 2, 5, 3]),
        _ => ([b, s, s, rest, h, w], [0, 3, 4, 1, 5, 2]),
    };
    let y = im.reshape(x, &shape)?;
    let y = im.transpose(y, &perm)?;
    Ok(vec![im.reshape(y, &[b, rest, p.mul(h, s), p.mul(w, s)])?])
}

fn space_to_depth(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let ([b, c, h, w], size) = blocks(im, n, x)?;
    let p = &im.ctx().exprs;
    let s = p.constant(size);
    let (rows, cols) = (p.floordiv(h, s), p.floordiv(w, s));
    let y = im.reshape(x, &[b, c, rows, s, cols, s])?;
    // DCR: the position in the block is the slow part of the new channel; CRD (opset 27): the fast one.
    let perm = if n.string("mode", "DCR") == "CRD" { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
    let y = im.transpose(y, &perm)?;
    Ok(vec![im.reshape(y, &[b, p.product([c, s, s]), rows, cols])?])
}

/// The first `sequence_lens[b]` elements of each sequence in reverse order.
fn reverse_sequence(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, lengths) = (n.input(im, 0)?, n.input(im, 1)?);
    let rank = im.rank(x)?;
    let batch = wrap_axis(im, n.int("batch_axis", 1), rank)?;
    let time = wrap_axis(im, n.int("time_axis", 0), rank)?;
    if batch == time {
        return Err(im.error("N0613", "batch and time must be two axes"));
    }
    let mut perm = vec![batch, time];
    perm.extend((0..rank).filter(|&a| a != batch && a != time));
    let moved = im.transpose(x, &perm)?;
    let dims = im.dims(moved)?;
    let lengths = im.cast_to(lengths, DType::I64)?;
    let lengths = im.unsqueeze(lengths, &[1])?;
    let at = im.iota(&[dims[0], dims[1]], 1, DType::I64)?;
    let inside = im.compare("lt", at, lengths)?;
    let last = im.with_scalar("sub", lengths, 1.0)?;
    let back = im.binary("sub", last, at)?;
    let from = im.select(inside, back, at)?;
    let from = im.unsqueeze(from, &[2])?;
    let y = im.gather_nd(moved, from, 1)?;
    let mut inverse = vec![0; rank];
    for (i, &p) in perm.iter().enumerate() {
        inverse[p] = i;
    }
    Ok(vec![im.transpose(y, &inverse)?])
}

/// Cut or filled with zeros around the middle; of an odd difference the smaller half stands before.
fn center_crop_pad(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, shape) = (n.input(im, 0)?, n.input(im, 1)?);
    let dims = im.dims(x)?;
    let axes = match n.ints("axes") {
        Some(axes) => wrap_axes(im, &axes, dims.len())?,
        None => (0..dims.len()).collect(),
    };
    let wanted = im.exprs_or_bind(shape, "size")?;
    if wanted.len() != axes.len() {
        return Err(im.error("N0615", format!("{} sizes for {} axes", wanted.len(), axes.len())));
    }
    let p = &im.ctx().exprs;
    let (zero, two) = (p.constant(0), p.constant(2));
    let (mut low, mut high) = (vec![zero; dims.len()], vec![zero; dims.len()]);
    for (&axis, &size) in axes.iter().zip(&wanted) {
        let more = p.sub(size, dims[axis]);
        let grown = p.floordiv(p.max(zero, more), two);
        let cut = p.floordiv(p.max(zero, p.neg(more)), two);
        low[axis] = p.simplify(p.sub(grown, cut), &Facts::default());
        high[axis] = p.sub(more, low[axis]);
    }
    let ctx = im.ctx();
    let value = im.like(x, 0.0)?;
    let attrs = [("low", ctx.exprs_attr(&low)), ("high", ctx.exprs_attr(&high)), ("mode", ctx.string_attr("constant"))];
    Ok(vec![im.value("graph.pad", &[x, value], &attrs)?])
}

/// Running products: a loop along the axis.
fn cum_prod(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, axis) = (n.input(im, 0)?, n.input(im, 1)?);
    let rank = im.rank(x)?;
    let axis = known_axis(im, axis, rank)?;
    let (exclusive, reverse) = (n.flag("exclusive", false), n.flag("reverse", false));
    let dims = im.dims(x)?;
    if im.ctx().exprs.as_const(dims[axis]) == Some(0) {
        return Ok(vec![x]);
    }
    let rest: Vec<Expr> = dims.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, &d)| d).collect();
    let one = im.like(x, 1.0)?;
    let start = im.broadcast_to(one, &rest)?;
    let out = im.repeat(dims[axis], &[start], |g, it| {
        let p = &g.ctx().exprs;
        let last = p.sub(dims[axis], p.constant(1));
        let at = if reverse { p.sub(last, it.number) } else { it.number };
        let element = g.at(x, axis, at)?;
        let product = g.binary("mul", it.carried[0], element)?;
        Ok((vec![product], vec![if exclusive { it.carried[0] } else { product }]))
    })?;
    let mut y = out[1];
    if reverse {
        y = im.reverse(y, 0)?;
    }
    Ok(vec![first_axis_to(im, y, axis)?])
}
