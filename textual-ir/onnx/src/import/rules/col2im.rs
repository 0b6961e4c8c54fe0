//! Col2Im: blocks laid over each other and summed.

use super::{
    Importer, Node, Out,
    window::{MAX_STEP, Window, taps_of},
};
use nim_graph::shape::window_extent;
use nim_ir::{Expr, ValueId};
use nim_tensor::{DType, Tensor};

/// Sums of blocks laid over each other: a transposed convolution whose weights put each element of a block at its place.
pub(super) fn col2im(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, image, block) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let image = im.exprs_or_bind(image, "size")?;
    let Some(block) = im.ints(block) else { return at_run_time(im, n, x, &image, block) };
    let dims = im.dims(x)?;
    let spatial = block.len();
    if image.len() != spatial || dims.len() != 3 || block.iter().any(|&b| b < 1) {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("blocks of {spatial} axes and {} image axes on {found}", image.len())));
    }
    let list = |name: &str, default: i64, count: usize| n.ints(name).unwrap_or_else(|| vec![default; count]);
    let win = Window {
        strides: list("strides", 1, spatial),
        pads: list("pads", 0, 2 * spatial),
        dilations: list("dilations", 1, spatial),
        kernel: block,
    };
    let small = |v: &i64| v.unsigned_abs() <= MAX_STEP;
    let fits = win.strides.len() == spatial && win.pads.len() == 2 * spatial && win.dilations.len() == spatial;
    let positive = win.strides.iter().chain(&win.dilations).all(|&v| v > 0 && small(&v));
    if !fits || !positive || !win.pads.iter().chain(&win.kernel).all(small) {
        return Err(
            im.error("N0615", format!("strides, dilations (positive) and pads must be given for {spatial} axes"))
        );
    }
    let p = &im.ctx().exprs;
    let taps = taps_of(im, &win.kernel)?;
    let Some(channels) =
        p.as_const(dims[1]).filter(|c| c % taps == 0 && c.saturating_mul(taps) <= 1 << 24).map(|c| c / taps)
    else {
        return Err(im.error("N0616", "the number of channels must be known, and a multiple of the block's size"));
    };
    let mut shape = vec![dims[0], dims[1]];
    for (i, &size) in image.iter().enumerate().take(spatial) {
        let k = p.constant(win.kernel[i]);
        let pads = win.pads[i] + win.pads[i + spatial];
        shape.push(window_extent(p, size, k, win.strides[i], pads, win.dilations[i]));
    }
    let blocks = im.reshape(x, &shape)?;
    let side = taps as usize;
    let eye: Vec<f32> =
        (0..channels as usize * side * side).map(|i| ((i / side) % side == i % side) as u8 as f32).collect();
    let mut weights = vec![channels as usize * side, 1];
    weights.extend(win.kernel.iter().map(|&k| k as usize));
    let eye = im.constant(&Tensor::new(&weights, eye), "blocks")?;
    let element = im.element(x)?;
    let eye = im.cast(eye, element)?;
    let mut attrs = win.attrs(im);
    attrs.push(("groups", im.ctx().i64_attr(channels)));
    let y = im.value("graph.conv_transpose", &[blocks, eye], &attrs)?;
    let mut wanted = vec![dims[0], p.constant(channels)];
    wanted.extend(image);
    Ok(vec![im.pad_to(y, &wanted)?])
}

/// Blocks whose size only run time knows: each of their elements is added at its place of the image.
fn at_run_time(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId, image: &[Expr], block: ValueId) -> Out {
    let block = im.exprs_or_bind(block, "block")?;
    let (dims, spatial) = (im.dims(x)?, block.len());
    if image.len() != spatial || dims.len() != 3 {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("blocks of {spatial} axes and {} image axes on {found}", image.len())));
    }
    let list = |name: &str, default: i64, count: usize| n.ints(name).unwrap_or_else(|| vec![default; count]);
    let (strides, dilations) = (list("strides", 1, spatial), list("dilations", 1, spatial));
    let pads = list("pads", 0, 2 * spatial);
    let positive = strides.iter().chain(&dilations).all(|&v| v > 0);
    if strides.len() != spatial || dilations.len() != spatial || pads.len() != 2 * spatial || !positive {
        let message = format!("strides, dilations (positive) and pads must be given for {spatial} axes");
        return Err(im.error("N0615", message));
    }
    let p = &im.ctx().exprs;
    // The image with its padding, which is cut off at the end: every element of a block has a place in it.
    let padded: Vec<Expr> = (0..spatial).map(|i| p.add(image[i], p.constant(pads[i] + pads[i + spatial]))).collect();
    let steps: Vec<Expr> = (0..spatial)
        .map(|i| window_extent(p, image[i], block[i], strides[i], pads[i] + pads[i + spatial], dilations[i]))
        .collect();
    let taps = p.product(block.iter().copied());
    let channels = p.floordiv(dims[1], taps);
    let grid: Vec<Expr> = block.iter().chain(&steps).copied().collect();
    let mut place: Option<ValueId> = None;
    for i in 0..spatial {
        let (tap, step) = (im.iota(&grid, i, DType::I64)?, im.iota(&grid, spatial + i, DType::I64)?);
        let tap = im.with_scalar("mul", tap, dilations[i] as f64)?;
        let step = im.with_scalar("mul", step, strides[i] as f64)?;
        let at = im.binary("add", tap, step)?;
        place = Some(match place {
            None => at,
            Some(before) => {
                let before = im.scaled_by(before, padded[i])?;
                im.binary("add", before, at)?
            }
        });
    }
    let Some(place) = place else { return Err(im.error("N0615", "an image has at least one axis")) };
    let (one, rows) = (im.num(1), p.mul(dims[0], channels));
    let count = p.product(grid.iter().copied());
    let place = im.reshape(place, &[count, one])?;
    let values = im.reshape(x, &[rows, count])?;
    let values = im.transpose(values, &[1, 0])?;
    let zero = im.like(x, 0.0)?;
    let zeros = im.broadcast_to(zero, &[p.product(padded.iter().copied()), rows])?;
    let attrs = [("reduction", im.ctx().string_attr("add"))];
    let sums = im.value("graph.scatter_nd", &[zeros, place, values], &attrs)?;
    let sums = im.transpose(sums, &[1, 0])?;
    let shape: Vec<Expr> = [dims[0], channels].into_iter().chain(padded.iter().copied()).collect();
    let sums = im.reshape(sums, &shape)?;
    let starts: Vec<Expr> = (0..spatial + 2).map(|k| p.constant(if k < 2 { 0 } else { pads[k - 2] })).collect();
    let ones = vec![one; spatial + 2];
    let sizes: Vec<Expr> = [dims[0], channels].into_iter().chain(image.iter().copied()).collect();
    Ok(vec![im.slice(sums, &starts, &ones, &sizes)?])
}
