//! Regions of images brought to one size: RoiAlign samples them, MaxRoiPool takes the largest element of each bin.

use super::{
    Family, Importer, Node, Out,
    sampling::{channels_last, size_like},
};
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("MaxRoiPool", max_roi_pool), ("RoiAlign", roi_align)];

/// One axis of the samples of regions: positions, low and high neighbours, weights, and which samples count.
struct RegionAxis {
    low: ValueId,
    high: ValueId,
    /// Weights of the two neighbours; zero for a sample that does not count.
    weights: [ValueId; 2],
    /// Samples a bin, one a region.
    count: ValueId,
    /// Which samples there are: a region has as many a bin as its own size asks for.
    counted: ValueId,
}

/// Samples along one axis: shape `[regions, bins, samples]`.
fn region_axis(
    im: &mut Importer<'_>,
    n: &Node<'_>,
    bounds: [ValueId; 2],
    size: Expr,
    bins: i64,
    half_pixel: bool,
) -> Built<RegionAxis> {
    let [start, end] = bounds;
    let mut extent = im.binary("sub", end, start)?;
    if !half_pixel {
        extent = im.with_scalar("max", extent, 1.0)?;
    }
    let bin = im.with_scalar("div", extent, bins as f64)?;
    let ratio = n.int("sampling_ratio", 0);
    let (samples, count) = if ratio > 0 {
        let count = im.like(bin, ratio as f64)?;
        let regions = im.dims(bin)?;
        (im.num(ratio), im.broadcast_to(count, &regions)?)
    } else {
        // As many as the bin has elements; the largest bin of all decides the shape.
        let count = im.unary("ceil", bin)?;
        let most = im.reduce("max", count, &[0], false)?;
        let most = im.with_scalar("max", most, 1.0)?;
        let most = im.cast_to(most, DType::I64)?;
        (im.exprs_or_bind(most, "samples")?[0], count)
    };
    let regions = im.dims(bin)?[0];
    let dtype = im.dtype(bin)?;
    let shape = [regions, im.num(bins), samples];
    let (b, s) = (im.iota(&shape, 1, dtype)?, im.iota(&shape, 2, dtype)?);
    let (start, bin) = (im.unsqueeze(start, &[1, 2])?, im.unsqueeze(bin, &[1, 2])?);
    let per_bin = im.unsqueeze(count, &[1, 2])?;
    let counted = im.compare("lt", s, per_bin)?;
    // start + b*bin + (s + 0.5)*bin/count
    let middle = im.with_scalar("add", s, 0.5)?;
    let middle = im.binary("mul", middle, bin)?;
    let divisor = im.with_scalar("max", per_bin, 1.0)?;
    let middle = im.binary("div", middle, divisor)?;
    let offset = im.binary("mul", b, bin)?;
    let at = im.binary("add", start, offset)?;
    let at = im.binary("add", at, middle)?;
    // Up to one element outside counts as the border.
    let minus = im.like(at, -1.0)?;
    let whole = size_like(im, at, size)?;
    let (from, to) = (im.compare("ge", at, minus)?, im.compare("le", at, whole)?);
    let inside = im.binary("and", from, to)?;
    let inside = im.binary("and", inside, counted)?;
    let last = im.with_scalar("sub", whole, 1.0)?;
    let at = im.with_scalar("max", at, 0.0)?;
    let at = im.binary("min", at, last)?;
    let low = im.unary("floor", at)?;
    let high = im.with_scalar("add", low, 1.0)?;
    let high = im.binary("min", high, last)?;
    let t = im.binary("sub", at, low)?;
    let one = im.like(t, 1.0)?;
    let rest = im.binary("sub", one, t)?;
    let zero = im.like(t, 0.0)?;
    let (w0, w1) = (im.select(inside, rest, zero)?, im.select(inside, t, zero)?);
    Ok(RegionAxis { low, high, weights: [w0, w1], count, counted })
}

fn roi_align(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, rois, batches) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let &[_, _, height, width] = im.dims(x)?.as_slice() else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("regions are taken of [batch, channels, height, width], found {found}")));
    };
    let default = if n.version < 16 { "output_half_pixel" } else { "half_pixel" };
    let half_pixel = n.string("coordinate_transformation_mode", default) == "half_pixel";
    let max = match n.string("mode", "avg").as_str() {
        "avg" => false,
        "max" => true,
        other => return Err(im.error("N0614", format!("no mode is named {other:?}"))),
    };
    let (bins_y, bins_x) = (n.int("output_height", 1).max(1), n.int("output_width", 1).max(1));
    let mut corners = vec![];
    for k in 0..4 {
        let place = im.num(k);
        let v = im.at(rois, 1, place)?;
        let v = im.with_scalar("mul", v, n.float("spatial_scale", 1.0) as f64)?;
        corners.push(if half_pixel { im.with_scalar("sub", v, 0.5)? } else { v });
    }
    let ys = region_axis(im, n, [corners[1], corners[3]], height, bins_y, half_pixel)?;
    let xs = region_axis(im, n, [corners[0], corners[2]], width, bins_x, half_pixel)?;
    // Gathered at [region, bin_y, sample_y, bin_x, sample_x] of one long batch.
    let last = channels_last(im, x, false)?;
    let (of_y, of_x) = (im.dims(ys.low)?, im.dims(xs.low)?);
    let shape = [of_y[0], of_y[1], of_y[2], of_x[1], of_x[2]];
    let batches = im.cast_to(batches, DType::I64)?;
    let batches = im.unsqueeze(batches, &[1, 2, 3, 4])?;
    let mut total: Option<ValueId> = None;
    for (yi, y) in [ys.low, ys.high].into_iter().enumerate() {
        for (xi, x) in [xs.low, xs.high].into_iter().enumerate() {
            let (y, x) = (im.unsqueeze(y, &[3, 4])?, im.unsqueeze(x, &[1, 2])?);
            let mut tuple = vec![];
            for v in [batches, y, x] {
                let v = im.cast_to(v, DType::I64)?;
                let v = im.broadcast_to(v, &shape)?;
                tuple.push(im.unsqueeze(v, &[-1])?);
            }
            let tuple = im.concat(&tuple, 5)?;
            let value = im.gather_nd(last, tuple, 0)?;
            let (wy, wx) = (im.unsqueeze(ys.weights[yi], &[3, 4])?, im.unsqueeze(xs.weights[xi], &[1, 2])?);
            let weight = im.binary("mul", wy, wx)?;
            let weight = im.unsqueeze(weight, &[-1])?;
            let element = im.element(value)?;
            let weight = im.cast(weight, element)?;
            let value = im.binary("mul", value, weight)?;
            total = Some(match total {
                Some(t) => im.binary(if max { "max" } else { "add" }, t, value)?,
                None => value,
            });
        }
    }
    let total = total.unwrap_or(last);
    let mut y = if max {
        let (cy, cx) = (im.unsqueeze(ys.counted, &[3, 4])?, im.unsqueeze(xs.counted, &[1, 2])?);
        let counted = im.binary("and", cy, cx)?;
        let counted = im.unsqueeze(counted, &[-1])?;
        let lowest = im.like(total, f64::NEG_INFINITY)?;
        let total = im.select(counted, total, lowest)?;
        im.reduce("max", total, &[2, 4], false)?
    } else {
        let sum = im.reduce("sum", total, &[2, 4], false)?;
        let count = im.binary("mul", ys.count, xs.count)?;
        let count = im.with_scalar("max", count, 1.0)?;
        let count = im.unsqueeze(count, &[1, 2, 3])?;
        let element = im.element(sum)?;
        let count = im.cast(count, element)?;
        im.binary("div", sum, count)?
    };
    y = im.transpose(y, &[0, 3, 1, 2])?;
    Ok(vec![y])
}

/// Which elements of an axis of an image lie in which bin of which region: `[regions, bins, size]`. Bins overlap where they
/// begin and end inside of an element, and are cut at the image's border.
fn bin_members(im: &mut Importer<'_>, ends: [ValueId; 2], size: Expr, bins: i64) -> Built {
    let [low, high] = ends;
    let extent = im.binary("sub", high, low)?;
    let extent = im.with_scalar("add", extent, 1.0)?;
    let extent = im.with_scalar("max", extent, 1.0)?;
    let bin = im.with_scalar("div", extent, bins as f64)?;
    let (bin, low) = (im.unsqueeze(bin, &[1])?, im.unsqueeze(low, &[1])?);
    let dtype = im.dtype(low)?;
    let count = im.num(bins);
    let number = im.iota(&[count], 0, dtype)?;
    let next = im.with_scalar("add", number, 1.0)?;
    let edge = |im: &mut Importer<'_>, number: ValueId, round: &str| -> Built {
        let v = im.binary("mul", number, bin)?;
        let v = im.unary(round, v)?;
        let v = im.binary("add", v, low)?;
        im.unsqueeze(v, &[2])
    };
    let (begin, end) = (edge(im, number, "floor")?, edge(im, next, "ceil")?);
    let at = im.iota(&[size], 0, dtype)?;
    let (after, before) = (im.compare("ge", at, begin)?, im.compare("lt", at, end)?);
    im.binary("and", after, before)
}

/// The largest element of each bin of each region; 0 for a bin outside of the image.
fn max_roi_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, rois) = (n.input(im, 0)?, n.input(im, 1)?);
    let &[_, _, height, width] = im.dims(x)?.as_slice() else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("regions are taken of [batch, channels, height, width], found {found}")));
    };
    let bins = match n.ints("pooled_shape").as_deref() {
        Some(&[rows, columns]) if rows > 0 && columns > 0 => [rows, columns],
        other => return Err(im.error("N0615", format!("`pooled_shape` must be two positive sizes, found {other:?}"))),
    };
    if im.rank(rois)? != 2 {
        let found = im.ctx().display_type(im.ty(rois));
        return Err(im.error("N0615", format!("regions must be rows of five numbers, found {found}")));
    }
    let mut columns = vec![];
    for k in 0..5 {
        let place = im.num(k);
        columns.push(im.at(rois, 1, place)?);
    }
    let batches = im.cast_to(columns[0], DType::I64)?;
    for corner in &mut columns[1..] {
        let scaled = im.with_scalar("mul", *corner, n.float("spatial_scale", 1.0) as f64)?;
        // Halves are rounded away from zero.
        let moved = im.with_scalar("add", scaled, 0.5)?;
        *corner = im.unary("floor", moved)?;
    }
    let rows = bin_members(im, [columns[2], columns[4]], height, bins[0])?;
    let cols = bin_members(im, [columns[1], columns[3]], width, bins[1])?;
    let images = im.gather(x, batches, 0)?;
    let nothing = im.like(x, f64::NEG_INFINITY)?;
    // [regions, channels, height, columns, width], then [regions, channels, rows, height, columns].
    let wide = im.unsqueeze(images, &[3])?;
    let inside = im.unsqueeze(cols, &[1, 2])?;
    let wide = im.select(inside, wide, nothing)?;
    let y = im.reduce("max", wide, &[4], false)?;
    let tall = im.unsqueeze(y, &[2])?;
    let inside = im.unsqueeze(rows, &[1, 4])?;
    let tall = im.select(inside, tall, nothing)?;
    let y = im.reduce("max", tall, &[3], false)?;
    let (row_count, col_count) = (im.reduce("or", rows, &[2], false)?, im.reduce("or", cols, &[2], false)?);
    let (row_any, col_any) = (im.unsqueeze(row_count, &[1, 3])?, im.unsqueeze(col_count, &[1, 2])?);
    let any = im.binary("and", row_any, col_any)?;
    let zero = im.like(y, 0.0)?;
    Ok(vec![im.select(any, y, zero)?])
}
