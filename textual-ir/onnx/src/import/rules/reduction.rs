//! Reductions.

use super::{Family, Importer, Node, Out, axes, in_floats, known_axis, wrap_axes, wrap_axis};
use nim_graph::Built;
use nim_ir::ValueId;
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("ArgMax", |im, n| arg(im, n, "max")),
    ("ArgMin", |im, n| arg(im, n, "min")),
    ("CumSum", cum_sum),
    ("ReduceL1", |im, n| reduce(im, n, Kind::L1)),
    ("ReduceL2", |im, n| reduce(im, n, Kind::L2)),
    ("ReduceLogSum", |im, n| reduce(im, n, Kind::LogSum)),
    ("ReduceLogSumExp", |im, n| reduce(im, n, Kind::LogSumExp)),
    ("ReduceMax", |im, n| reduce(im, n, Kind::Plain("max"))),
    ("ReduceMean", |im, n| reduce(im, n, Kind::Mean)),
    ("ReduceMin", |im, n| reduce(im, n, Kind::Plain("min"))),
    ("ReduceProd", |im, n| reduce(im, n, Kind::Plain("prod"))),
    ("ReduceSum", |im, n| reduce(im, n, Kind::Plain("sum"))),
    ("ReduceSumSquare", |im, n| reduce(im, n, Kind::SumSquare)),
];

enum Kind {
    Plain(&'static str),
    Mean,
    L1,
    L2,
    LogSum,
    LogSumExp,
    SumSquare,
}

fn reduce(im: &mut Importer<'_>, n: &Node<'_>, kind: Kind) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let given = axes(im, n, 1, rank)?.filter(|a| !a.is_empty());
    let axes = match given {
        Some(axes) => wrap_axes(im, &axes, rank)?,
        None if n.flag("noop_with_empty_axes", false) => vec![],
        None => (0..rank).collect(),
    };
    let keep = n.flag("keepdims", true);
    Ok(vec![match kind {
        Kind::Plain(kind) => {
            // Truth values order as false < true.
            let kind = match (kind, im.dtype(x)? == DType::Bool) {
                ("max", true) => "or",
                ("min", true) => "and",
                (kind, _) => kind,
            };
            im.reduce(kind, x, &axes, keep)?
        }
        Kind::Mean => im.mean(x, &axes, keep)?,
        Kind::L1 => {
            let x = im.unary("abs", x)?;
            im.reduce("sum", x, &axes, keep)?
        }
        Kind::SumSquare => {
            let square = im.binary("mul", x, x)?;
            im.reduce("sum", square, &axes, keep)?
        }
        Kind::L2 => in_floats(im, x, |im, x| {
            let square = im.binary("mul", x, x)?;
            let sum = im.reduce("sum", square, &axes, keep)?;
            im.unary("sqrt", sum)
        })?,
        Kind::LogSum => in_floats(im, x, |im, x| {
            let sum = im.reduce("sum", x, &axes, keep)?;
            im.unary("log", sum)
        })?,
        Kind::LogSumExp => in_floats(im, x, |im, x| log_sum_exp(im, x, &axes, keep))?,
    }])
}

/// `max + log(sum(exp(x - max)))`; where the maximum is infinite it is taken as it is.
fn log_sum_exp(im: &mut Importer<'_>, x: ValueId, axes: &[usize], keep: bool) -> Built {
    let max = im.reduce("max", x, axes, true)?;
    let infinite = im.value("graph.isinf", &[max], &[])?;
    let zero = im.like(max, 0.0)?;
    let base = im.select(infinite, zero, max)?;
    let shifted = im.binary("sub", x, base)?;
    let e = im.unary("exp", shifted)?;
    let sum = im.reduce("sum", e, axes, true)?;
    let log = im.unary("log", sum)?;
    let y = im.binary("add", log, base)?;
    if keep { Ok(y) } else { im.squeeze(y, axes) }
}

fn arg(im: &mut Importer<'_>, n: &Node<'_>, kind: &str) -> Out {
    let x = n.input(im, 0)?;
    let axis = wrap_axis(im, n.int("axis", 0), im.rank(x)?)?;
    let ctx = im.ctx();
    let attrs = [
        ("kind", ctx.string_attr(kind)),
        ("axis", ctx.i64_attr(axis as i64)),
        ("keepdims", ctx.bool_attr(n.flag("keepdims", true))),
        ("last", ctx.bool_attr(n.flag("select_last_index", false))),
    ];
    Ok(vec![im.value("graph.arg_reduce", &[x], &attrs)?])
}

fn cum_sum(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, axis) = (n.input(im, 0)?, n.input(im, 1)?);
    let rank = im.rank(x)?;
    let axis = known_axis(im, axis, rank)?;
    let ctx = im.ctx();
    let attrs = [
        ("axis", ctx.i64_attr(axis as i64)),
        ("exclusive", ctx.bool_attr(n.flag("exclusive", false))),
        ("reverse", ctx.bool_attr(n.flag("reverse", false))),
    ];
    Ok(vec![im.value("graph.cumsum", &[x], &attrs)?])
}
