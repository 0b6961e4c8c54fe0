//! Convolutions and pooling.

use super::{Family, Importer, Node, Out};
use nim_graph::{Built, shape::window_extent};
use nim_ir::{Attr, Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("AveragePool", average_pool),
    ("CausalConvWithState", causal_conv),
    ("Col2Im", super::col2im::col2im),
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("GlobalAveragePool", |im, n| global(im, n, "mean")),
    ("GlobalLpPool", global_lp_pool),
    ("GlobalMaxPool", |im, n| global(im, n, "max")),
    ("LpPool", lp_pool),
    ("MaxPool", max_pool),
    ("MaxUnpool", max_unpool),
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

/// Larger windows, strides, dilations and pads are taken for mistakes.
pub(super) const MAX_STEP: u64 = 1 << 24;
/// Windows whose elements are laid side by side may have so many.
const MAX_TAPS: i64 = 4096;

/// Number of elements of a window that is taken apart.
pub(super) fn taps_of(im: &Importer<'_>, kernel: &[i64]) -> Built<i64> {
    let taps = kernel.iter().try_fold(1i64, |n, &k| n.checked_mul(k)).filter(|&t| t <= MAX_TAPS);
    taps.ok_or_else(|| im.error("N0615", format!("the window {kernel:?} is too large to be taken apart")))
}

/// Strides, dilations and pads as they are given.
fn plain_window(im: &Importer<'_>, n: &Node<'_>, x: ValueId, kernel: Vec<i64>) -> Built<Window> {
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
    let pads = list("pads", 0, 2 * spatial)?;
    if kernel.iter().any(|&k| k < 1) {
        return Err(im.error("N0615", format!("the window {kernel:?} is empty")));
    }
    let all = kernel.iter().chain(&strides).chain(&dilations).chain(&pads);
    if let Some(v) = all.copied().find(|v| v.unsigned_abs() > MAX_STEP) {
        return Err(im.error("N0615", format!("{v} is too large for a window, stride, dilation or pad")));
    }
    Ok(Window { kernel, strides, pads, dilations })
}

/// Reads strides, dilations and pads; `auto_pad` needs spatial sizes that are numbers, unless the stride is 1.
pub(super) fn window(im: &Importer<'_>, n: &Node<'_>, x: ValueId, kernel: Vec<i64>) -> Built<Window> {
    let Window { kernel, strides, mut pads, dilations } = plain_window(im, n, x, kernel)?;
    let spatial = kernel.len();
    let dims = im.dims(x)?;
    let auto = n.string("auto_pad", "NOTSET");
    if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
        for i in 0..spatial {
            let reach = dilations[i] * (kernel[i] - 1) + 1;
            // The output has ceil(size / stride) elements.
            let total = match im.ctx().exprs.as_const(dims[i + 2]) {
                // What the last, cut window lacks: reach - (size mod stride, or a whole stride).
                Some(size) => match size % strides[i] {
                    0 => reach - strides[i],
                    rest => reach - rest,
                },
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

pub(super) fn conv(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
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
    let y = pool(im, n, x, "max", &win)?;
    if !n.wants(1) {
        return Ok(vec![y]);
    }
    let positions = positions_of_maxima(im, x, y, &win, n.flag("storage_order", false))?;
    Ok(vec![y, positions])
}

/// The least value of an element type.
fn lowest(im: &mut Importer<'_>, x: ValueId) -> Built {
    let dtype = im.dtype(x)?;
    let value = match dtype {
        d if d.is_float() => f64::NEG_INFINITY,
        d if d.is_signed_integer() => -(2f64.powi(d.bits() as i32 - 1)),
        _ => 0.0,
    };
    im.scalar(dtype, value)
}

/// Where in the whole input the maximum of each window stands: the windows' elements side by side, the position of the
/// largest, and from that the index. `column_major` orders the spatial axes backwards.
fn positions_of_maxima(im: &mut Importer<'_>, x: ValueId, y: ValueId, win: &Window, column_major: bool) -> Built {
    let (dims, out) = (im.dims(x)?, im.dims(y)?);
    let spatial = win.kernel.len();
    let p = &im.ctx().exprs;
    let (zero, one) = (p.constant(0), p.constant(1));
    let (mut low, mut high) = (vec![zero; spatial + 2], vec![zero; spatial + 2]);
    for i in 0..spatial {
        let reach = win.dilations[i] * (win.kernel[i] - 1) + 1;
        let last = p.add(p.mul(p.constant(win.strides[i]), p.sub(out[i + 2], one)), p.constant(reach));
        low[i + 2] = p.constant(win.pads[i]);
        high[i + 2] = p.max(zero, p.sub(last, p.add(dims[i + 2], p.constant(win.pads[i]))));
    }
    let outside = lowest(im, x)?;
    let ctx = im.ctx();
    let attrs = [("low", ctx.exprs_attr(&low)), ("high", ctx.exprs_attr(&high)), ("mode", ctx.string_attr("constant"))];
    let padded = im.value("graph.pad", &[x, outside], &attrs)?;
    let mut steps = vec![one; spatial + 2];
    for i in 0..spatial {
        steps[i + 2] = p.constant(win.strides[i]);
    }
    let taps = taps_of(im, &win.kernel)?;
    let mut side_by_side = vec![];
    let mut tap_of = vec![vec![]; spatial];
    for tap in 0..taps {
        let mut starts = vec![zero; spatial + 2];
        let mut rest = tap;
        for i in (0..spatial).rev() {
            let at = rest % win.kernel[i] * win.dilations[i];
            rest /= win.kernel[i];
            starts[i + 2] = p.constant(at);
            tap_of[i].push(at - win.pads[i]);
        }
        let part = im.slice(padded, &starts, &steps, &out)?;
        side_by_side.push(im.unsqueeze(part, &[0])?);
    }
    let all = im.concat(&side_by_side, 0)?;
    let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(0))];
    let tap = im.value("graph.arg_reduce", &[all], &attrs)?;
    // (n*C + c)*size + the position among the spatial axes.
    let batch = im.iota(&out, 0, DType::I64)?;
    let batch = im.scaled_by(batch, dims[1])?;
    let channel = im.iota(&out, 1, DType::I64)?;
    let mut index = im.binary("add", batch, channel)?;
    index = im.scaled_by(index, p.product(dims[2..].iter().copied()))?;
    let mut stride = one;
    let order: Vec<usize> = if column_major { (0..spatial).collect() } else { (0..spatial).rev().collect() };
    for i in order {
        let table = im.i64s(&tap_of[i])?;
        let offset = im.gather(table, tap, 0)?;
        let start = im.iota(&out, i + 2, DType::I64)?;
        let start = im.with_scalar("mul", start, win.strides[i] as f64)?;
        let at = im.binary("add", start, offset)?;
        let at = im.scaled_by(at, stride)?;
        index = im.binary("add", index, at)?;
        stride = p.mul(stride, dims[i + 2]);
    }
    Ok(index)
}

/// Values put back where their maxima stood, zeros elsewhere. Indices count in the shape that the window parameters
/// give; a larger `output_shape` adds zeros behind.
fn max_unpool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, indices) = (n.input(im, 0)?, n.input(im, 1)?);
    let Some(kernel) = n.ints("kernel_shape") else { return Err(im.error("N0610", "`kernel_shape` is missing")) };
    let win = window(im, n, x, kernel)?;
    let dims = im.dims(x)?;
    let p = &im.ctx().exprs;
    let spatial = win.kernel.len();
    let mut shape = dims[..2].to_vec();
    for i in 0..spatial {
        let walk = p.mul(p.constant(win.strides[i]), p.sub(dims[i + 2], p.constant(1)));
        shape.push(p.add(walk, p.constant(win.kernel[i] - win.pads[i] - win.pads[i + spatial])));
    }
    let count = p.product(dims.iter().copied());
    let total = p.product(shape.iter().copied());
    let zero = im.like(x, 0.0)?;
    let empty = im.broadcast_to(zero, &[total])?;
    let (flat, indices) = (im.reshape(x, &[count])?, im.reshape(indices, &[count])?);
    let ctx = im.ctx();
    let attrs = [("axis", ctx.i64_attr(0)), ("reduction", ctx.string_attr("none"))];
    let y = im.value("graph.scatter_elements", &[empty, indices, flat], &attrs)?;
    let mut y = im.reshape(y, &shape)?;
    if let Some(given) = n.opt(2) {
        let given = im.exprs_or_bind(given, "size")?;
        if given.len() != shape.len() {
            return Err(im.error("N0615", format!("`output_shape` has {} sizes for {} axes", given.len(), shape.len())));
        }
        y = im.pad_to(y, &given)?;
    }
    Ok(vec![y])
}

/// Transposed convolution. Where an output shape is asked for, pads follow from it.
fn conv_transpose(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, w) = (n.input(im, 0)?, n.input(im, 1)?);
    let kernel = kernel_of(im, n, w)?;
    let spatial = kernel.len();
    let auto = n.string("auto_pad", "NOTSET");
    let dims = im.dims(x)?;
    let mut win = match auto.as_str() {
        // The rule for automatic pads is another one here.
        "SAME_UPPER" | "SAME_LOWER" => plain_window(im, n, x, kernel)?,
        _ => window(im, n, x, kernel)?,
    };
    let mut extra = n.ints("output_padding").filter(|v| !v.is_empty()).unwrap_or_else(|| vec![0; spatial]);
    let wanted = n.ints("output_shape").filter(|v| !v.is_empty());
    if extra.iter().any(|v| v.unsigned_abs() > MAX_STEP) {
        return Err(im.error("N0615", format!("output paddings {extra:?} are too large")));
    }
    if extra.len() != spatial || wanted.as_ref().is_some_and(|w| w.len() != spatial && w.len() != spatial + 2) {
        return Err(im.error("N0615", format!("output paddings and shapes must be given for {spatial} axes")));
    }
    for i in 0..spatial {
        let reach = win.dilations[i] * (win.kernel[i] - 1) + 1;
        // stride*(size - 1) + output_padding + reach - output size
        let mut total = match (&wanted, auto.as_str()) {
            (Some(wanted), _) => {
                let Some(size) = im.ctx().exprs.as_const(dims[i + 2]) else {
                    return Err(im.error("N0616", "`output_shape` needs input sizes known when the model is compiled"));
                };
                let total = i128::from(win.strides[i]) * i128::from(size - 1) + i128::from(extra[i] + reach)
                    - i128::from(wanted[wanted.len() - spatial + i]);
                match i64::try_from(total) {
                    Ok(total) if total.unsigned_abs() <= MAX_STEP => total,
                    _ => return Err(im.error("N0615", format!("`output_shape` {wanted:?} does not fit the input"))),
                }
            }
            (None, "SAME_UPPER" | "SAME_LOWER") => extra[i] + reach - win.strides[i],
            _ => continue,
        };
        if total < 0 {
            extra[i] -= total;
            total = 0;
        }
        let (small, large) = (total / 2, total - total / 2);
        (win.pads[i], win.pads[i + spatial]) = if auto == "SAME_UPPER" { (small, large) } else { (large, small) };
    }
    let mut attrs = win.attrs(im);
    attrs.push(("output_padding", im.ctx().i64_array(&extra)));
    attrs.push(("groups", im.ctx().i64_attr(n.int("group", 1))));
    let mut y = im.value("graph.conv_transpose", &[x, w], &attrs)?;
    if let Some(bias) = n.opt(2) {
        y = add_channel_bias(im, y, bias)?;
    }
    Ok(vec![y])
}

/// `sum(|x|^p)^(1/p)` over windows.
fn lp_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let Some(kernel) = n.ints("kernel_shape") else { return Err(im.error("N0610", "`kernel_shape` is missing")) };
    let win = window(im, n, x, kernel)?;
    let power = power_of(im, x, lp_order(n))?;
    let sum = pool(im, n, power, "sum", &win)?;
    Ok(vec![root_of(im, sum, lp_order(n))?])
}

/// The order p; a float in opset 1.
fn lp_order(n: &Node<'_>) -> f64 {
    if n.version < 2 { n.float("p", 2.0) as f64 } else { n.int("p", 2) as f64 }
}

/// `|x|^p`
pub(super) fn power_of(im: &mut Importer<'_>, x: ValueId, p: f64) -> Built {
    if p == 2.0 {
        return im.binary("mul", x, x);
    }
    let abs = im.unary("abs", x)?;
    if p == 1.0 { Ok(abs) } else { im.with_scalar("pow", abs, p) }
}

/// `x^(1/p)`
pub(super) fn root_of(im: &mut Importer<'_>, x: ValueId, p: f64) -> Built {
    match p {
        1.0 => Ok(x),
        2.0 => im.unary("sqrt", x),
        _ => im.with_scalar("pow", x, 1.0 / p),
    }
}

fn global_lp_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let axes: Vec<usize> = (2..im.rank(x)?).collect();
    let power = power_of(im, x, lp_order(n))?;
    let sum = im.reduce("sum", power, &axes, true)?;
    Ok(vec![root_of(im, sum, lp_order(n))?])
}

/// A depthwise convolution that sees only the past: the state is the end of the sequence before.
fn causal_conv(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, w) = (n.input(im, 0)?, n.input(im, 1)?);
    let (dims, taps) = (im.dims(x)?, kernel_of(im, n, w)?);
    let (&[batch, channels, _], &[taps]) = (dims.as_slice(), taps.as_slice()) else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("a sequence [batch, channels, length] is needed, found {found}")));
    };
    let Some(groups) = im.ctx().exprs.as_const(channels) else {
        return Err(im.error("N0616", "the number of channels must be known when the model is compiled"));
    };
    let kept = im.num(taps - 1);
    let past = match n.opt(3) {
        Some(v) => v,
        None => {
            let zero = im.like(x, 0.0)?;
            im.broadcast_to(zero, &[batch, channels, kept])?
        }
    };
    let whole = im.concat(&[past, x], 2)?;
    let groups = im.ctx().i64_attr(groups);
    let mut y = im.value("graph.conv", &[whole, w], &[("groups", groups)])?;
    if let Some(bias) = n.opt(2) {
        y = add_channel_bias(im, y, bias)?;
    }
    match n.string("activation", "none").as_str() {
        "none" => {}
        "silu" | "swish" => {
            let gate = im.unary("sigmoid", y)?;
            y = im.binary("mul", y, gate)?;
        }
        other => return Err(im.error("N0614", format!("no activation is named {other:?}"))),
    }
    let start = im.ctx().exprs.sub(im.dims(whole)?[2], kept);
    let present = im.slice_axis(whole, 2, start, kept)?;
    Ok(vec![y, present])
}

fn average_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    Ok(vec![average(im, n, x)?])
}

/// The mean of the elements under each window that the node describes.
pub(super) fn average(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId) -> Built {
    let Some(kernel) = n.ints("kernel_shape") else { return Err(im.error("N0610", "`kernel_shape` is missing")) };
    let win = window(im, n, x, kernel)?;
    let sum = pool(im, n, x, "sum", &win)?;
    let ceil = n.flag("ceil_mode", false);
    let include = n.flag("count_include_pad", false);
    if win.pads.iter().all(|&p| p == 0) && !ceil {
        return im.with_scalar("div", sum, win.kernel.iter().product::<i64>() as f64);
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
        return im.binary("div", sum, count);
    }
    let count = pool(im, n, ones, "sum", &window_of_ones)?;
    im.binary("div", sum, count)
}

fn global(im: &mut Importer<'_>, n: &Node<'_>, kind: &str) -> Out {
    let x = n.input(im, 0)?;
    let axes: Vec<usize> = (2..im.rank(x)?).collect();
    Ok(vec![match kind {
        "mean" => im.mean(x, &axes, true)?,
        _ => im.reduce(kind, x, &axes, true)?,
    }])
}
