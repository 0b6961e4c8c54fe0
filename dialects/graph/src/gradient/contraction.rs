//! Derivatives of products, convolutions and pooling.

use super::{
    Forward, Rule,
    movement::{padded, spread},
};
use crate::build::{Built, GraphBuilder};
use nim_ir::{Attr, Expr, ValueId};

pub(super) const RULES: &[(&str, Rule)] = &[
    ("graph.conv", conv),
    ("graph.conv_transpose", conv_transpose),
    ("graph.einsum", einsum),
    ("graph.matmul", matmul),
    ("graph.pool", pool),
];

/// Windows with more elements are not taken apart.
const MAX_TAPS: i64 = 4096;

fn turned(g: &mut GraphBuilder<'_>, x: ValueId) -> Built {
    let rank = g.rank(x)?;
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 1, rank - 2);
    g.transpose(x, &perm)
}

/// `a @ y'` and `x' @ a`, vectors as rows and columns.
fn matmul(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let (mut x, mut y, mut a) = (f.x[0], f.x[1], a);
    let (row, column) = (g.rank(x)? == 1, g.rank(y)? == 1);
    if column {
        y = g.unsqueeze(y, &[1])?;
        a = g.unsqueeze(a, &[-1])?;
    }
    if row {
        x = g.unsqueeze(x, &[0])?;
        a = g.unsqueeze(a, &[-2])?;
    }
    let (yt, xt) = (turned(g, y)?, turned(g, x)?);
    let (dx, dy) = (g.matmul(a, yt)?, g.matmul(xt, a)?);
    let (dx, dy) = (g.unbroadcast_like(dx, x)?, g.unbroadcast_like(dy, y)?);
    let (x_shape, y_shape) = (g.dims(f.x[0])?, g.dims(f.x[1])?);
    Ok(vec![Some(g.reshape(dx, &x_shape)?), Some(g.reshape(dy, &y_shape)?)])
}

/// For each factor the sum of products of the result and all other factors.
fn einsum(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let equation = f.word(g, "equation").to_string();
    let Some((inputs, output)) = equation.split_once("->") else { return f.refused(g, "its equation has no result") };
    let terms: Vec<&str> = inputs.split(',').collect();
    let mut parts = vec![];
    for (k, (&own, &x)) in terms.iter().zip(&f.x).enumerate() {
        let letters: Vec<char> = own.chars().collect();
        if letters.iter().enumerate().any(|(i, l)| letters[..i].contains(l)) {
            return f.refused(g, "a letter stands twice in one factor");
        }
        let (mut others, mut values) = (vec![output], vec![a]);
        for (j, &term) in terms.iter().enumerate().filter(|(j, _)| *j != k) {
            others.push(term);
            values.push(f.x[j]);
        }
        // Letters that only this factor has were summed: each element counts alike.
        let shape = g.dims(x)?;
        let known: String = letters.iter().filter(|l| others.iter().any(|t| t.contains(**l))).collect();
        let equation = g.ctx().string_attr(&format!("{}->{known}", others.join(",")));
        let mut part = g.value("graph.einsum", &values, &[("equation", equation)])?;
        let missing: Vec<i64> =
            letters.iter().enumerate().filter(|(_, l)| !known.contains(**l)).map(|(i, _)| i as i64).collect();
        if !missing.is_empty() {
            part = g.unsqueeze(part, &missing)?;
            part = g.broadcast_to(part, &shape)?;
        }
        parts.push(Some(g.unbroadcast(part, &shape)?));
    }
    Ok(parts)
}

/// Strides, pads and dilations of a window.
struct Window {
    strides: Vec<i64>,
    pads: Vec<i64>,
    dilations: Vec<i64>,
}

impl Window {
    fn of(g: &GraphBuilder<'_>, f: &Forward, spatial: usize) -> Window {
        let list = |name: &str, default: i64, n: usize| f.ints(g, name).unwrap_or_else(|| vec![default; n]);
        Window {
            strides: list("strides", 1, spatial),
            pads: list("pads", 0, 2 * spatial),
            dilations: list("dilations", 1, spatial),
        }
    }
    fn attrs(&self, g: &GraphBuilder<'_>, groups: i64) -> Vec<(&'static str, Attr)> {
        let ctx = g.ctx();
        vec![
            ("strides", ctx.i64_array(&self.strides)),
            ("pads", ctx.i64_array(&self.pads)),
            ("dilations", ctx.i64_array(&self.dilations)),
            ("groups", ctx.i64_attr(groups)),
        ]
    }
}

/// The derivative by the weights of `y[n, o, p] = sum of w[o, c, k] * x[n, c, p*stride + k*dilation - pad]`: a convolution
/// over the batch, in which strides and dilations change places.
fn by_weights(g: &mut GraphBuilder<'_>, x: ValueId, a: ValueId, w: ValueId, win: &Window, groups: i64) -> Built {
    let (x_dims, a_dims, shape) = (g.dims(x)?, g.dims(a)?, g.dims(w)?);
    let p = &g.ctx().exprs;
    let count = p.constant(groups);
    let each = p.floordiv(x_dims[1], count);
    // [N, groups*C, ...] as [C, groups*N, ...]
    let mut apart = vec![x_dims[0], count, each];
    apart.extend(&x_dims[2..]);
    let mut together = vec![each, p.mul(count, x_dims[0])];
    together.extend(&x_dims[2..]);
    let x = g.reshape(x, &apart)?;
    let perm: Vec<usize> = [2, 1, 0].into_iter().chain(3..apart.len()).collect();
    let x = g.transpose(x, &perm)?;
    let x = g.reshape(x, &together)?;
    let swap: Vec<usize> = [1, 0].into_iter().chain(2..a_dims.len()).collect();
    let a = g.transpose(a, &swap)?;
    let over = Window { strides: win.dilations.clone(), pads: win.pads.clone(), dilations: win.strides.clone() };
    let attrs = over.attrs(g, groups);
    let y = g.value("graph.conv", &[x, a], &attrs)?;
    let mut y = g.transpose(y, &swap)?;
    // Elements behind the last window are not those of a tap.
    for (axis, &size) in shape.iter().enumerate().skip(2) {
        let zero = g.num(0);
        y = g.slice_axis(y, axis, zero, size)?;
    }
    g.reshape(y, &shape)
}

fn conv(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let (x, w) = (f.x[0], f.x[1]);
    let shape = g.dims(x)?;
    let (win, groups) = (Window::of(g, f, shape.len() - 2), f.int(g, "groups", 1));
    let attrs = win.attrs(g, groups);
    let dx = g.value("graph.conv_transpose", &[a, w], &attrs)?;
    // What no window reaches has no part in the result.
    let dx = g.pad_to(dx, &shape)?;
    Ok(vec![Some(dx), Some(by_weights(g, x, a, w, &win, groups)?)])
}

fn conv_transpose(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let (x, w) = (f.x[0], f.x[1]);
    let shape = g.dims(x)?;
    let (win, groups) = (Window::of(g, f, shape.len() - 2), f.int(g, "groups", 1));
    let attrs = win.attrs(g, groups);
    let dx = g.value("graph.conv", &[a, w], &attrs)?;
    let dx = g.pad_to(dx, &shape)?;
    Ok(vec![Some(dx), Some(by_weights(g, a, x, w, &win, groups)?)])
}

/// Each tap of the windows by itself: a strided slice of the padded input.
fn pool(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let x = f.x[0];
    let (shape, out) = (g.dims(x)?, g.dims(f.y)?);
    let spatial = shape.len() - 2;
    let kernel = f.ints(g, "kernel").unwrap_or_default();
    let win = Window::of(g, f, spatial);
    let taps = kernel.iter().try_fold(1i64, |n, &k| n.checked_mul(k)).filter(|&n| n <= MAX_TAPS);
    let Some(taps) = taps else { return f.refused(g, "its window is too large") };
    let p = &g.ctx().exprs;
    let zero = p.constant(0);
    let (mut low, mut high) = (vec![zero; shape.len()], vec![zero; shape.len()]);
    let mut steps = vec![p.constant(1); shape.len()];
    for i in 0..spatial {
        // As far as the last window reaches.
        let reach = p.constant(win.dilations[i] * (kernel[i] - 1) + 1);
        let end = p.add(p.mul(p.constant(win.strides[i]), p.sub(out[i + 2], p.constant(1))), reach);
        low[i + 2] = p.constant(win.pads[i]);
        high[i + 2] = p.max(zero, p.sub(end, p.add(shape[i + 2], low[i + 2])));
        steps[i + 2] = p.constant(win.strides[i]);
    }
    let is_max = f.word(g, "kind") == "max";
    let outside = g.like(x, if is_max { f64::NEG_INFINITY } else { 0.0 })?;
    let ctx = g.ctx();
    let attrs = [("low", ctx.exprs_attr(&low)), ("high", ctx.exprs_attr(&high)), ("mode", ctx.string_attr("constant"))];
    let wide = g.value("graph.pad", &[x, outside], &attrs)?;
    let nothing = g.like(a, 0.0)?;
    let (mut total, mut open): (Option<ValueId>, Option<ValueId>) = (None, None);
    for tap in 0..taps {
        let (mut starts, mut rest) = (vec![zero; shape.len()], tap);
        for i in (0..spatial).rev() {
            starts[i + 2] = g.num(rest % kernel[i] * win.dilations[i]);
            rest /= kernel[i];
        }
        let mut share = a;
        if is_max {
            // The first of equals has it.
            let part = g.slice(wide, &starts, &steps, &out)?;
            let mut hit = g.compare("eq", part, f.y)?;
            if let Some(open) = open {
                hit = g.binary("and", hit, open)?;
            }
            let missed = g.unary("not", hit)?;
            open = Some(match open {
                Some(open) => g.binary("and", open, missed)?,
                None => missed,
            });
            share = g.select(hit, a, nothing)?;
        }
        let share = spread(g, share, wide, &starts, &steps)?;
        total = Some(match total {
            Some(total) => g.binary("add", total, share)?,
            None => share,
        });
    }
    let minus = |list: &[Expr]| -> Vec<Expr> { list.iter().map(|&e| ctx.exprs.neg(e)).collect() };
    let inner = padded(g, total.unwrap_or(wide), &minus(&low), &minus(&high))?;
    Ok(vec![Some(g.reshape(inner, &shape)?)])
}
