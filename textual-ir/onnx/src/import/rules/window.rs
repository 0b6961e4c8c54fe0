//! Convolutions and pooling.

use super::{Family, Importer, Node};
use nim_graph::{Built, shape::window_extent};
use nim_ir::{Attr, Expr, ValueId};

type Out = Built<Vec<ValueId>>;

pub(super) const RULES: Family = &[
    ("AveragePool", average_pool),
    ("Conv", conv),
    ("GlobalAveragePool", |im, n| global(im, n, "mean")),
    ("GlobalMaxPool", |im, n| global(im, n, "max")),
    ("MaxPool", max_pool),
];

/// Window parameters with automatic padding resolved.
pub(super) struct Window {
    pub kernel: Vec<i64>,
    pub strides: Vec<i64>,
    pub pads: Vec<i64>,
    pub dilations: Vec<i64>,
}

impl Window {
    pub(super) fn attrs(&self, im: &Importer<'_>) -> Vec<(&'static str, Attr)> {
        let ctx = im.ctx();
        vec![
            ("strides", ctx.i64_array(&self.strides)),
            ("pads", ctx.i64_array(&self.pads)),
            ("dilations", ctx.i64_array(&self.dilations)),
        ]
    }
}

/// Reads strides, dilations and pads; `auto_pad` needs spatial sizes that are numbers, unless the stride is 1.
pub(super) fn window(im: &Importer<'_>, n: &Node<'_>, x: ValueId, kernel: Vec<i64>) -> Built<Window> {
    let spatial = kernel.len();
    let dims = im.dims(x)?;
    if dims.len() != spatial + 2 {
        return Err(
            im.error("N0615", format!("a window of {spatial} axes does not fit an input of rank {}", dims.len()))
        );
    }
    let list = |name: &str, default: i64, count: usize| -> Built<Vec<i64>> {
        let found = n.ints(name).filter(|v| !v.is_empty()).unwrap_or_else(|| vec![default; count]);
        if found.len() != count {
            return Err(im.error("N0615", format!("`{name}` must have {count} numbers, found {}", found.len())));
        }
        Ok(found)
    };
    let (strides, dilations) = (list("strides", 1, spatial)?, list("dilations", 1, spatial)?);
    if strides.iter().chain(&dilations).any(|&v| v < 1) {
        return Err(im.error("N0615", "strides and dilations must be at least 1"));
    }
    let mut pads = list("pads", 0, 2 * spatial)?;
    let auto = n.string("auto_pad", "NOTSET");
    if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
        for i in 0..spatial {
            let reach = dilations[i] * (kernel[i] - 1) + 1;
            // The output has ceil(size / stride) elements.
            let total = match im.ctx().exprs.as_const(dims[i + 2]) {
                Some(size) => ((size + strides[i] - 1) / strides[i] - 1) * strides[i] + reach - size,
                None if strides[i] == 1 => reach - 1,
                None => {
                    let message =
                        "`auto_pad` with a stride needs an input size that is known when the model is compiled";
                    return Err(im.error("N0616", message));
                }
            }
            .max(0);
            let (small, large) = (total / 2, total - total / 2);
            (pads[i], pads[i + spatial]) = if auto == "SAME_UPPER" { (small, large) } else { (large, small) };
        }
    } else if auto == "VALID" {
        pads.fill(0);
    }
    Ok(Window { kernel, strides, pads, dilations })
}

pub(super) fn kernel_of(im: &Importer<'_>, n: &Node<'_>, w: ValueId) -> Built<Vec<i64>> {
    if let Some(kernel) = n.ints("kernel_shape").filter(|k| !k.is_empty()) {
        return Ok(kernel);
    }
    let dims = im.dims(w)?;
    dims.iter()
        .skip(2)
        .map(|&d| im.ctx().exprs.as_const(d))
        .collect::<Option<_>>()
        .ok_or_else(|| im.error("N0616", "the size of the window must be known when the model is compiled"))
}

/// Adds a vector along axis 1.
pub(super) fn add_channel_bias(im: &mut Importer<'_>, y: ValueId, bias: ValueId) -> Built {
    let axes: Vec<i64> = (1..im.rank(y)? as i64 - 1).collect();
    let bias = im.unsqueeze(bias, &axes)?;
    im.binary("add", y, bias)
}

fn conv(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, w) = (n.input(im, 0)?, n.input(im, 1)?);
    let kernel = kernel_of(im, n, w)?;
    let win = window(im, n, x, kernel)?;
    let mut attrs = win.attrs(im);
    attrs.push(("groups", im.ctx().i64_attr(n.int("group", 1))));
    let mut y = im.value("graph.conv", &[x, w], &attrs)?;
    if let Some(bias) = n.opt(2) {
        y = add_channel_bias(im, y, bias)?;
    }
    Ok(vec![y])
}

/// Pooling by `kind`, with the output sizes of `ceil_mode`.
pub(super) fn pool(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId, kind: &str, win: &Window) -> Built {
    let mut attrs = win.attrs(im);
    attrs.push(("kind", im.ctx().string_attr(kind)));
    attrs.push(("kernel", im.ctx().i64_array(&win.kernel)));
    if n.flag("ceil_mode", false) {
        let output = ceil_sizes(im, x, win)?;
        attrs.push(("output", im.ctx().exprs_attr(&output)));
    }
    im.value("graph.pool", &[x], &attrs)
}

/// Output sizes rounded up; a last window that would begin in the padding behind is left out.
fn ceil_sizes(im: &Importer<'_>, x: ValueId, win: &Window) -> Built<Vec<Expr>> {
    let dims = im.dims(x)?;
    let p = &im.ctx().exprs;
    let spatial = win.kernel.len();
    Ok((0..spatial)
        .map(|i| {
            let (low, high) = (win.pads[i], win.pads[i + spatial]);
            let stride = win.strides[i];
            let k = p.constant(win.kernel[i]);
            let up =
                window_extent(p, p.add(dims[i + 2], p.constant(stride - 1)), k, stride, low + high, win.dilations[i]);
            // Starts (o - 1)*stride must lie before size + low.
            let limit = p.ceildiv(p.add(dims[i + 2], p.constant(low)), p.constant(stride));
            p.min(up, limit)
        })
        .collect())
}

fn max_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let Some(kernel) = n.ints("kernel_shape") else { return Err(im.error("N0610", "`kernel_shape` is missing")) };
    let win = window(im, n, x, kernel)?;
    if n.wants(1) {
        return Err(im.error("N0617", "positions of maxima (the second output) are not supported"));
    }
    Ok(vec![pool(im, n, x, "max", &win)?])
}

fn average_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let Some(kernel) = n.ints("kernel_shape") else { return Err(im.error("N0610", "`kernel_shape` is missing")) };
    let win = window(im, n, x, kernel)?;
    let sum = pool(im, n, x, "sum", &win)?;
    let ceil = n.flag("ceil_mode", false);
    let include = n.flag("count_include_pad", false);
    if win.pads.iter().all(|&p| p == 0) && !ceil {
        return Ok(vec![im.with_scalar("div", sum, win.kernel.iter().product::<i64>() as f64)?]);
    }
    // Elsewhere the number of elements under a window varies: the same pooling of ones.
    let mut dims = im.dims(x)?;
    (dims[0], dims[1]) = (im.num(1), im.num(1));
    let one = im.like(x, 1.0)?;
    let mut ones = im.broadcast_to(one, &dims)?;
    let mut window_of_ones = Window { pads: win.pads.clone(), ..win };
    if include {
        // Padding counts, but not what ceil mode reaches beyond it.
        let spatial = window_of_ones.kernel.len();
        let p = &im.ctx().exprs;
        for i in 0..spatial {
            dims[i + 2] = p.add(dims[i + 2], p.constant(window_of_ones.pads[i] + window_of_ones.pads[i + spatial]));
        }
        ones = im.broadcast_to(one, &dims)?;
        window_of_ones.pads.fill(0);
        let mut attrs = window_of_ones.attrs(im);
        attrs.push(("kind", im.ctx().string_attr("sum")));
        attrs.push(("kernel", im.ctx().i64_array(&window_of_ones.kernel)));
        let sizes = im.dims(sum)?[2..].to_vec();
        attrs.push(("output", im.ctx().exprs_attr(&sizes)));
        let count = im.value("graph.pool", &[ones], &attrs)?;
        return Ok(vec![im.binary("div", sum, count)?]);
    }
    let count = pool(im, n, ones, "sum", &window_of_ones)?;
    Ok(vec![im.binary("div", sum, count)?])
}

fn global(im: &mut Importer<'_>, n: &Node<'_>, kind: &str) -> Out {
    let x = n.input(im, 0)?;
    let axes: Vec<usize> = (2..im.rank(x)?).collect();
    Ok(vec![match kind {
        "mean" => im.mean(x, &axes, true)?,
        _ => im.reduce(kind, x, &axes, true)?,
    }])
}
