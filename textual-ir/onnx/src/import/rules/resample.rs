//! Resize and Upsample.

use super::{
    Family, Importer, Node, Out,
    resample_run_time::{self, How},
    wrap_axes,
};
use nim_graph::Built;
use nim_ir::{Attr, Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("Resize", resize), ("Upsample", upsample)];

/// Sizes of a result and the scales they come from, one an axis.
struct Target {
    sizes: Vec<Expr>,
    /// As the model gives them; 0 where only a size is given.
    scales: Vec<f64>,
    /// All scales as a vector, where only run time knows them.
    at_run_time: Option<ValueId>,
    /// The axes that this vector and regions of interest are of; none for all.
    listed: Vec<usize>,
}

impl Target {
    fn known(sizes: Vec<Expr>, scales: Vec<f64>) -> Target {
        Target { sizes, scales, at_run_time: None, listed: vec![] }
    }
}

/// Regions of interest, two fractions an axis of the result.
enum Region {
    /// Starts of all axes, then ends.
    Known(Vec<f64>),
    /// Starts of some axes, then ends, as a vector.
    AtRunTime(ValueId),
}

/// `floor(size * scale)`: exact for sizes that are symbols, since a float is a fraction.
fn scaled_size(im: &Importer<'_>, size: Expr, scale: f64) -> Option<Expr> {
    let p = &im.ctx().exprs;
    if let Some(n) = p.as_const(size) {
        return Some(p.constant((n as f64 * scale).floor() as i64));
    }
    let (mut num, mut den) = (scale, 1i64);
    while num.fract() != 0.0 {
        num *= 2.0;
        den = den.checked_mul(2).filter(|&d| d <= 1 << 32)?;
    }
    (num.abs() < 1e15).then(|| p.floordiv(p.mul(size, p.constant(num as i64)), p.constant(den)))
}

/// What scales make of the shape, also where they are known at run time only.
fn by_scales(im: &mut Importer<'_>, dims: &[Expr], scales: ValueId) -> Built<Target> {
    if let Some(scales) = im.floats(scales) {
        let sizes: Option<Vec<Expr>> = dims.iter().zip(&scales).map(|(&d, &s)| scaled_size(im, d, s)).collect();
        return match sizes {
            Some(sizes) if scales.len() == dims.len() => Ok(Target::known(sizes, scales)),
            _ => Err(im.error("N0626", format!("scales {scales:?} do not fit {} axes", dims.len()))),
        };
    }
    // Scales that were computed from sizes.
    let p = &im.ctx().exprs;
    if let Some(contents) = im.contents(scales)
        && contents.len() == dims.len()
        && contents.iter().all(Option::is_some)
    {
        let sizes =
            contents.iter().flatten().zip(dims).map(|(r, &d)| p.floordiv(p.mul(d, r.num), p.constant(r.den))).collect();
        return Ok(Target::known(sizes, vec![0.0; dims.len()]));
    }
    let shape = im.index(dims, false)?;
    let shape = im.cast_to(shape, DType::F32)?;
    let scaled = im.binary("mul", shape, scales)?;
    let whole = im.unary("floor", scaled)?;
    let whole = im.cast_to(whole, DType::I64)?;
    let sizes = im.exprs_or_bind(whole, "resized")?;
    Ok(Target { at_run_time: Some(scales), ..Target::known(sizes, vec![0.0; dims.len()]) })
}

fn resize(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    if n.version < 11 {
        let scales = n.input(im, 1)?;
        let target = by_scales(im, &dims, scales)?;
        return finish(im, n, x, target, "asymmetric", "floor", None);
    }
    let axes = match n.ints("axes") {
        Some(axes) => wrap_axes(im, &axes, dims.len())?,
        None => (0..dims.len()).collect(),
    };
    let picked: Vec<Expr> = axes.iter().map(|&a| dims[a]).collect();
    let present = |v: Option<ValueId>| {
        v.filter(|&v| im.dims(v).is_ok_and(|d| d.first().is_none_or(|&d| im.ctx().exprs.as_const(d) != Some(0))))
    };
    let (scales, sizes) = (present(n.opt(2)), present(n.opt(3)));
    let part = match (scales, sizes) {
        (Some(scales), _) => by_scales(im, &picked, scales)?,
        (None, Some(sizes)) => {
            let list = match im.exprs(sizes) {
                None if n.string("keep_aspect_ratio_policy", "stretch") != "stretch" => {
                    aspect_at_run_time(im, n, &picked, sizes)?
                }
                _ => im.exprs_or_bind(sizes, "resized")?,
            };
            if list.len() != axes.len() {
                return Err(im.error("N0626", format!("{} sizes for {} axes", list.len(), axes.len())));
            }
            match im.exprs(sizes) {
                None => {
                    let zeros = vec![0.0; list.len()];
                    Target::known(list, zeros)
                }
                Some(_) => kept_aspect(im, n, &picked, list)?,
            }
        }
        (None, None) => return Err(im.error("N0610", "neither scales nor sizes are given")),
    };
    let mut target = Target::known(dims.clone(), vec![1.0; dims.len()]);
    (target.at_run_time, target.listed) = (part.at_run_time, axes.clone());
    for (i, &axis) in axes.iter().enumerate() {
        (target.sizes[axis], target.scales[axis]) = (part.sizes[i], part.scales[i]);
    }
    let coordinates = n.string("coordinate_transformation_mode", "half_pixel");
    let nearest = n.string("nearest_mode", "round_prefer_floor");
    let roi = match n.opt(1).filter(|_| coordinates == "tf_crop_and_resize") {
        None => None,
        Some(v) => match im.floats(v) {
            Some(values) if values.len() == 2 * axes.len() => {
                let mut roi = vec![0.0; dims.len()];
                roi.extend(vec![1.0; dims.len()]);
                for (i, &axis) in axes.iter().enumerate() {
                    (roi[axis], roi[axis + dims.len()]) = (values[i], values[i + axes.len()]);
                }
                Some(Region::Known(roi))
            }
            Some(values) => {
                let message = format!("a region of {} numbers for {} axes", values.len(), axes.len());
                return Err(im.error("N0626", message));
            }
            None => Some(Region::AtRunTime(v)),
        },
    };
    finish(im, n, x, target, &coordinates, &nearest, roi)
}

/// Sizes that keep the ratio of the sides: as large as the smallest (or largest) of the scales asked for allows.
fn kept_aspect(im: &Importer<'_>, n: &Node<'_>, dims: &[Expr], sizes: Vec<Expr>) -> Built<Target> {
    let policy = n.string("keep_aspect_ratio_policy", "stretch");
    let zeros = vec![0.0; sizes.len()];
    let larger = match policy.as_str() {
        "stretch" => return Ok(Target::known(sizes, zeros)),
        "not_larger" => false,
        "not_smaller" => true,
        other => return Err(im.error("N0614", format!("no policy is named {other:?}"))),
    };
    let p = &im.ctx().exprs;
    let numbers = |list: &[Expr]| list.iter().map(|&e| p.as_const(e).map(|n| n as f64)).collect::<Option<Vec<f64>>>();
    let (Some(from), Some(to)) = (numbers(dims), numbers(&sizes)) else {
        return Err(im.error("N0616", "keeping the aspect ratio needs sizes known when the model is compiled"));
    };
    let ratios = from.iter().zip(&to).map(|(f, t)| t / f);
    let scale = if larger { ratios.fold(f64::MIN, f64::max) } else { ratios.fold(f64::MAX, f64::min) };
    let sizes = from.iter().map(|f| p.constant((f * scale + 0.5).floor() as i64)).collect();
    Ok(Target::known(sizes, vec![scale; dims.len()]))
}

/// As [`kept_aspect`] for sizes that only run time knows.
fn aspect_at_run_time(im: &mut Importer<'_>, n: &Node<'_>, dims: &[Expr], sizes: ValueId) -> Built<Vec<Expr>> {
    let from = im.index(dims, false)?;
    let (from, to) = (im.cast_to(from, DType::F64)?, im.cast_to(sizes, DType::F64)?);
    let ratios = im.binary("div", to, from)?;
    let kind = if n.string("keep_aspect_ratio_policy", "stretch") == "not_smaller" { "max" } else { "min" };
    let scale = im.reduce(kind, ratios, &[0], false)?;
    let sizes = im.binary("mul", from, scale)?;
    let sizes = im.with_scalar("add", sizes, 0.5)?;
    let sizes = im.unary("floor", sizes)?;
    let sizes = im.cast_to(sizes, DType::I64)?;
    im.exprs_or_bind(sizes, "resized")
}

fn upsample(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    // The first version scales height and width.
    let pair = (n.version < 7 && dims.len() == 4).then(|| (n.float("height_scale", 0.0), n.float("width_scale", 0.0)));
    let given = n.floats("scales").or(pair.map(|(h, w)| vec![1.0, 1.0, h, w]));
    let target = match (given, n.opt(1)) {
        (Some(scales), _) => {
            let scales: Vec<f64> = scales.into_iter().map(f64::from).collect();
            let sizes: Option<Vec<Expr>> = dims.iter().zip(&scales).map(|(&d, &s)| scaled_size(im, d, s)).collect();
            match sizes {
                Some(sizes) if scales.len() == dims.len() => Target::known(sizes, scales),
                _ => return Err(im.error("N0626", format!("scales {scales:?} do not fit {} axes", dims.len()))),
            }
        }
        (None, Some(v)) => by_scales(im, &dims, v)?,
        (None, None) => return Err(im.error("N0610", "`scales` is missing")),
    };
    finish(im, n, x, target, "asymmetric", "floor", None)
}

fn finish(
    im: &mut Importer<'_>,
    n: &Node<'_>,
    x: ValueId,
    target: Target,
    coordinates: &str,
    nearest: &str,
    roi: Option<Region>,
) -> Out {
    let ctx = im.ctx();
    let float = |x: f64| ctx.float_attr(x, ctx.float_type(nim_ir::FloatKind::F64));
    let floats = |v: &[f64]| ctx.array_attr(v.iter().map(|&x| float(x)).collect::<Vec<Attr>>());
    let mode = match n.string("mode", "nearest").as_str() {
        "nearest" => "nearest",
        "linear" | "bilinear" => "linear",
        "cubic" => "cubic",
        other => return Err(im.error("N0614", format!("no interpolation is named {other:?}"))),
    };
    let how = How {
        mode,
        coordinates,
        nearest,
        cubic_coeff_a: n.float("cubic_coeff_a", -0.75).into(),
        exclude_outside: n.flag("exclude_outside", false),
        antialias: n.flag("antialias", false),
        extrapolation: n.float("extrapolation_value", 0.0).into(),
    };
    if let Some(y) = at_run_time(im, x, &target, &how, roi.as_ref())? {
        return Ok(vec![y]);
    }
    let mut attrs = vec![
        ("sizes", ctx.exprs_attr(&target.sizes)),
        ("scales", floats(&target.scales)),
        ("mode", ctx.string_attr(mode)),
        ("coordinates", ctx.string_attr(coordinates)),
        ("nearest_mode", ctx.string_attr(nearest)),
        ("cubic_coeff_a", float(how.cubic_coeff_a)),
        ("exclude_outside", ctx.bool_attr(how.exclude_outside)),
        ("extrapolation", float(how.extrapolation)),
        ("antialias", ctx.bool_attr(how.antialias)),
    ];
    if let Some(Region::Known(roi)) = roi {
        attrs.push(("roi", floats(&roi)));
    }
    Ok(vec![im.value("graph.resize", &[x], &attrs)?])
}

/// The result where `graph.resize` cannot say what happens: scales or regions come at run time, or the reach of an
/// antialiasing kernel does.
fn at_run_time(
    im: &mut Importer<'_>,
    x: ValueId,
    target: &Target,
    how: &How<'_>,
    roi: Option<&Region>,
) -> nim_graph::Built<Option<ValueId>> {
    let dims = im.dims(x)?;
    let p = &im.ctx().exprs;
    let known = |e: Expr| p.as_const(e).is_some();
    let unknown_reach =
        |i: usize| target.scales[i] == 0.0 && dims[i] != target.sizes[i] && !(known(dims[i]) && known(target.sizes[i]));
    let needed = target.at_run_time.is_some()
        || matches!(roi, Some(Region::AtRunTime(_)))
        || how.antialias && how.mode != "nearest" && (0..dims.len()).any(unknown_reach);
    if !needed {
        return Ok(None);
    }
    let all: Vec<usize> = (0..dims.len()).collect();
    let listed = if target.listed.is_empty() { &all } else { &target.listed };
    let element = |im: &mut Importer<'_>, list: ValueId, i: usize| -> nim_graph::Built {
        let position = im.num(i as i64);
        let v = im.at(list, 0, position)?;
        im.cast_to(v, DType::F64)
    };
    let mut axes = vec![];
    for (i, &axis) in listed.iter().enumerate() {
        let (from, size) = (dims[axis], target.sizes[axis]);
        let scale = match (target.at_run_time, target.scales[axis]) {
            (Some(list), _) => element(im, list, i)?,
            (None, 0.0) if from == size && roi.is_none() => continue,
            (None, 0.0) => {
                let (from, size) = (resample_run_time::number(im, from)?, resample_run_time::number(im, size)?);
                im.binary("div", size, from)?
            }
            (None, 1.0) if from == size && roi.is_none() => continue,
            (None, scale) => im.scalar(DType::F64, scale)?,
        };
        let region = match roi {
            None => None,
            Some(Region::Known(roi)) => {
                Some((im.scalar(DType::F64, roi[axis])?, im.scalar(DType::F64, roi[axis + dims.len()])?))
            }
            Some(Region::AtRunTime(v)) => Some((element(im, *v, i)?, element(im, *v, i + listed.len())?)),
        };
        axes.push(resample_run_time::Axis { axis, size, scale, region });
    }
    resample_run_time::resample(im, x, &axes, how).map(Some)
}
