//! Elementwise operators, activations, casts, choices.

use super::{Family, Importer, Node, Out, in_floats};
use crate::{dtype_of, proto::tensor_proto::DataType};
use nim_graph::{Built, GraphBuilder};
use nim_ir::ValueId;
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("Abs", |im, n| unary(im, n, "abs")),
    ("Acos", |im, n| unary(im, n, "acos")),
    ("Acosh", |im, n| unary(im, n, "acosh")),
    ("Asin", |im, n| unary(im, n, "asin")),
    ("Asinh", |im, n| unary(im, n, "asinh")),
    ("Atan", |im, n| unary(im, n, "atan")),
    ("Atanh", |im, n| unary(im, n, "atanh")),
    ("BitwiseNot", |im, n| unary(im, n, "bitwise_not")),
    ("Ceil", |im, n| unary(im, n, "ceil")),
    ("Cos", |im, n| unary(im, n, "cos")),
    ("Cosh", |im, n| unary(im, n, "cosh")),
    ("Erf", |im, n| float_unary(im, n, |im, x| im.unary("erf", x))),
    ("Exp", |im, n| unary(im, n, "exp")),
    ("Floor", |im, n| unary(im, n, "floor")),
    ("IsNaN", |im, n| unary(im, n, "isnan")),
    ("Log", |im, n| unary(im, n, "log")),
    ("Neg", |im, n| unary(im, n, "neg")),
    ("Not", |im, n| unary(im, n, "not")),
    ("Reciprocal", |im, n| unary(im, n, "reciprocal")),
    ("Relu", |im, n| unary(im, n, "relu")),
    ("Round", |im, n| unary(im, n, "round")),
    ("Sigmoid", |im, n| unary(im, n, "sigmoid")),
    ("Sign", |im, n| unary(im, n, "sign")),
    ("Sin", |im, n| unary(im, n, "sin")),
    ("Sinh", |im, n| unary(im, n, "sinh")),
    ("Sqrt", |im, n| unary(im, n, "sqrt")),
    ("Tan", |im, n| unary(im, n, "tan")),
    ("Tanh", |im, n| unary(im, n, "tanh")),
    ("Add", |im, n| binary(im, n, "add")),
    ("And", |im, n| binary(im, n, "and")),
    ("BitwiseAnd", |im, n| binary(im, n, "bitwise_and")),
    ("BitwiseOr", |im, n| binary(im, n, "bitwise_or")),
    ("BitwiseXor", |im, n| binary(im, n, "bitwise_xor")),
    ("Div", |im, n| binary(im, n, "div")),
    ("Mul", |im, n| binary(im, n, "mul")),
    ("Or", |im, n| binary(im, n, "or")),
    ("Pow", |im, n| binary(im, n, "pow")),
    ("Sub", |im, n| binary(im, n, "sub")),
    ("Xor", |im, n| binary(im, n, "xor")),
    ("Equal", |im, n| compare(im, n, "eq")),
    ("Greater", |im, n| compare(im, n, "gt")),
    ("GreaterOrEqual", |im, n| compare(im, n, "ge")),
    ("Less", |im, n| compare(im, n, "lt")),
    ("LessOrEqual", |im, n| compare(im, n, "le")),
    ("BitCast", bit_cast),
    ("BitShift", bit_shift),
    ("Cast", cast),
    ("CastLike", cast_like),
    ("Clip", clip),
    ("IsInf", is_inf),
    ("Max", |im, n| variadic(im, n, "max")),
    ("Mean", mean),
    ("Min", |im, n| variadic(im, n, "min")),
    ("Mod", modulo),
    ("Sum", |im, n| variadic(im, n, "add")),
    ("Where", where_op),
    ("Celu", celu),
    ("Elu", elu),
    ("Gelu", gelu),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", hard_swish),
    ("LeakyRelu", leaky_relu),
    ("Mish", mish),
    ("PRelu", prelu),
    ("Selu", selu),
    ("Shrink", shrink),
    ("Softplus", |im, n| float_unary(im, n, |im, x| softplus(im, x))),
    ("Softsign", softsign),
    ("Swish", swish),
    ("ThresholdedRelu", thresholded_relu),
];

fn unary(im: &mut Importer<'_>, n: &Node<'_>, name: &str) -> Out {
    let x = n.input(im, 0)?;
    Ok(vec![im.unary(name, x)?])
}

/// A function of one operand that is rounded once.
fn float_unary<'a>(im: &mut Importer<'a>, n: &Node<'_>, f: impl FnOnce(&mut Importer<'a>, ValueId) -> Built) -> Out {
    let x = n.input(im, 0)?;
    Ok(vec![in_floats(im, x, f)?])
}

/// Operands of a binary operator; before opset 7 the second one aligns at `axis` when `broadcast` is set.
fn operands(im: &mut Importer<'_>, n: &Node<'_>) -> Built<(ValueId, ValueId)> {
    let (x, mut y) = (n.input(im, 0)?, n.input(im, 1)?);
    if n.version < 7 && n.flag("broadcast", false) {
        let (rank, own) = (im.rank(x)?, im.rank(y)?);
        let axis = n.int("axis", rank as i64 - own as i64);
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        let trailing = rank as i64 - axis - own as i64;
        if trailing > 0 {
            let axes: Vec<i64> = (own as i64..own as i64 + trailing).collect();
            y = im.unsqueeze(y, &axes)?;
        }
    }
    Ok((x, y))
}

fn binary(im: &mut Importer<'_>, n: &Node<'_>, name: &str) -> Out {
    let (x, y) = operands(im, n)?;
    Ok(vec![im.binary(name, x, y)?])
}

fn compare(im: &mut Importer<'_>, n: &Node<'_>, predicate: &str) -> Out {
    let (x, y) = operands(im, n)?;
    Ok(vec![im.compare(predicate, x, y)?])
}

fn variadic(im: &mut Importer<'_>, n: &Node<'_>, name: &str) -> Out {
    let inputs = n.all(im)?;
    let mut inputs = inputs.into_iter();
    let Some(mut result) = inputs.next() else { return Err(im.error("N0610", "needs at least one input")) };
    for x in inputs {
        result = im.binary(name, result, x)?;
    }
    Ok(vec![result])
}

fn mean(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let sum = variadic(im, n, "add")?[0];
    Ok(vec![im.with_scalar("div", sum, n.inputs.len() as f64)?])
}

/// The same bits as another type of as many.
fn bit_cast(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dtype = dtype_of(n.int("to", 0) as i32).map_err(|e| im.error("N0614", e.to_string()))?;
    let own = im.dtype(x)?;
    if own == dtype {
        return Ok(vec![x]);
    }
    if own == DType::Bool && dtype.size() == 1 && dtype.bits() == 8 {
        // A truth value fills a byte with 0 or 1.
        return Ok(vec![im.cast_to(x, dtype)?]);
    }
    if own.bits() != dtype.bits() || own == DType::String || dtype == DType::String {
        return Err(im.error("N0614", format!("{own} and {dtype} do not have equally many bits")));
    }
    let to = im.ctx().type_attr(im.ctx().type_of_dtype(dtype));
    Ok(vec![im.value("graph.bitcast", &[x], &[("to", to)])?])
}

fn bit_shift(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let name = match n.string("direction", "").as_str() {
        "LEFT" => "shl",
        "RIGHT" => "shr",
        other => return Err(im.error("N0614", format!("`direction` must be LEFT or RIGHT, found {other:?}"))),
    };
    binary(im, n, name)
}

fn cast(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    // Before opset 6 the type is a name.
    let number = match DataType::from_str_name(&n.string("to", "")) {
        Some(named) if n.version < 6 => named as i32,
        _ => i32::try_from(n.int("to", 0)).unwrap_or(0),
    };
    let dtype = dtype_of(number).map_err(|e| im.error("N0614", e.to_string()))?;
    cast_value(im, n, x, dtype)
}

fn cast_like(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, like) = (n.input(im, 0)?, n.input(im, 1)?);
    let dtype = im.dtype(like)?;
    cast_value(im, n, x, dtype)
}

fn cast_value(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId, dtype: DType) -> Out {
    if n.flag("saturate", true) || im.dtype(x)? == dtype {
        return Ok(vec![im.cast_to(x, dtype)?]);
    }
    let ctx = im.ctx();
    let attrs = [("to", ctx.type_attr(ctx.type_of_dtype(dtype))), ("saturate", ctx.bool_attr(false))];
    Ok(vec![im.value("graph.cast", &[x], &attrs)?])
}

fn clip(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let mut x = n.input(im, 0)?;
    let bound = |im: &mut Importer<'_>, name: &str, i: usize| -> Built<Option<ValueId>> {
        match n.opt(i) {
            Some(v) => Ok(Some(v)),
            // From opset 6 to 10 the ends of f32 are the defaults.
            None if n.has(name) || (6..11).contains(&n.version) => {
                let end = if i == 1 { f32::MIN } else { f32::MAX };
                Ok(Some(im.like(x, n.float(name, end) as f64)?))
            }
            None => Ok(None),
        }
    };
    let (low, high) = (bound(im, "min", 1)?, bound(im, "max", 2)?);
    // The upper bound wins where the two cross.
    if let Some(low) = low {
        x = im.binary("max", x, low)?;
    }
    if let Some(high) = high {
        x = im.binary("min", x, high)?;
    }
    Ok(vec![x])
}

fn is_inf(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let ctx = im.ctx();
    let attrs = [
        ("negative", ctx.bool_attr(n.flag("detect_negative", true))),
        ("positive", ctx.bool_attr(n.flag("detect_positive", true))),
    ];
    Ok(vec![im.value("graph.isinf", &[x], &attrs)?])
}

fn modulo(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    binary(im, n, if n.flag("fmod", false) { "fmod" } else { "mod" })
}

fn where_op(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (c, x, y) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    Ok(vec![im.select(c, x, y)?])
}

/// `x` where `x > 0`, else `y`.
fn positive_or(im: &mut Importer<'_>, x: ValueId, y: ValueId) -> Built {
    let zero = im.like(x, 0.0)?;
    let positive = im.compare("gt", x, zero)?;
    im.select(positive, x, y)
}

/// `exp(x) - 1` of what is not positive.
fn exp_minus_one(im: &mut Importer<'_>, x: ValueId) -> Built {
    let e = im.unary("exp", x)?;
    im.with_scalar("sub", e, 1.0)
}

/// `max(0, x) + min(0, alpha*(exp(x/alpha) - 1))`
fn celu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let alpha = n.float("alpha", 1.0) as f64;
    float_unary(im, n, |im, x| {
        let scaled = im.with_scalar("div", x, alpha)?;
        let e = exp_minus_one(im, scaled)?;
        let e = im.with_scalar("mul", e, alpha)?;
        positive_or(im, x, e)
    })
}

fn elu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let alpha = n.float("alpha", 1.0) as f64;
    float_unary(im, n, |im, x| {
        let e = exp_minus_one(im, x)?;
        let e = im.with_scalar("mul", e, alpha)?;
        positive_or(im, x, e)
    })
}

fn selu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    // Defaults of opset 1 were given with fewer digits.
    let (alpha, gamma) = if n.version < 6 { (1.6732, 1.0507) } else { (1.673_263_2, 1.050_701) };
    let (alpha, gamma) = (n.float("alpha", alpha) as f64, n.float("gamma", gamma) as f64);
    float_unary(im, n, |im, x| {
        let e = exp_minus_one(im, x)?;
        let e = im.with_scalar("mul", e, alpha)?;
        let y = positive_or(im, x, e)?;
        im.with_scalar("mul", y, gamma)
    })
}

/// `0.5*x*(1 + erf(x/sqrt(2)))`, or its approximation by tanh.
pub(super) fn gelu_value(im: &mut Importer<'_>, x: ValueId, tanh: bool) -> Built {
    let inner = if tanh {
        let square = im.binary("mul", x, x)?;
        let cubic = im.binary("mul", square, x)?;
        let cubic = im.with_scalar("mul", cubic, 0.044715)?;
        let sum = im.binary("add", x, cubic)?;
        let sum = im.with_scalar("mul", sum, std::f64::consts::FRAC_2_PI.sqrt())?;
        im.unary("tanh", sum)?
    } else {
        let scaled = im.with_scalar("mul", x, std::f64::consts::FRAC_1_SQRT_2)?;
        im.unary("erf", scaled)?
    };
    let one_plus = im.with_scalar("add", inner, 1.0)?;
    let half = im.with_scalar("mul", x, 0.5)?;
    im.binary("mul", half, one_plus)
}

fn gelu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let tanh = n.string("approximate", "none") == "tanh";
    float_unary(im, n, |im, x| gelu_value(im, x, tanh))
}

fn hard_sigmoid_value(im: &mut Importer<'_>, x: ValueId, alpha: f64, beta: f64) -> Built {
    let y = im.with_scalar("mul", x, alpha)?;
    let y = im.with_scalar("add", y, beta)?;
    let y = im.with_scalar("max", y, 0.0)?;
    im.with_scalar("min", y, 1.0)
}

fn hard_sigmoid(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (alpha, beta) = (n.float("alpha", 0.2) as f64, n.float("beta", 0.5) as f64);
    float_unary(im, n, |im, x| hard_sigmoid_value(im, x, alpha, beta))
}

fn hard_swish(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    float_unary(im, n, |im, x| {
        let s = hard_sigmoid_value(im, x, 1.0 / 6.0, 0.5)?;
        im.binary("mul", x, s)
    })
}

fn leaky_relu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let y = im.with_scalar("mul", x, n.float("alpha", 0.01) as f64)?;
    Ok(vec![positive_or(im, x, y)?])
}

fn prelu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, mut slope) = (n.input(im, 0)?, n.input(im, 1)?);
    // Before opset 7 a vector of slopes goes along the channels.
    if n.version < 7 && im.rank(slope)? == 1 && im.rank(x)? > 2 {
        let axes: Vec<i64> = (1..im.rank(x)? as i64 - 1).collect();
        slope = im.unsqueeze(slope, &axes)?;
    }
    let y = im.binary("mul", x, slope)?;
    let zero = im.like(x, 0.0)?;
    let negative = im.compare("lt", x, zero)?;
    Ok(vec![im.select(negative, y, x)?])
}

/// `log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))`, which does not overflow.
pub(super) fn softplus(im: &mut GraphBuilder<'_>, x: ValueId) -> Built {
    let abs = im.unary("abs", x)?;
    let minus = im.unary("neg", abs)?;
    let e = im.unary("exp", minus)?;
    let e = im.with_scalar("add", e, 1.0)?;
    let log = im.unary("log", e)?;
    let relu = im.unary("relu", x)?;
    im.binary("add", relu, log)
}

fn mish(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    float_unary(im, n, |im, x| {
        let s = softplus(im, x)?;
        let t = im.unary("tanh", s)?;
        im.binary("mul", x, t)
    })
}

fn shrink(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (bias, lambda) = (n.float("bias", 0.0) as f64, n.float("lambd", 0.5) as f64);
    float_unary(im, n, |im, x| {
        let (low, high) = (im.like(x, -lambda)?, im.like(x, lambda)?);
        let (below, above) = (im.compare("lt", x, low)?, im.compare("gt", x, high)?);
        let (plus, minus) = (im.with_scalar("add", x, bias)?, im.with_scalar("sub", x, bias)?);
        let zero = im.like(x, 0.0)?;
        let inner = im.select(above, minus, zero)?;
        im.select(below, plus, inner)
    })
}

fn softsign(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    float_unary(im, n, |im, x| {
        let abs = im.unary("abs", x)?;
        let one_plus = im.with_scalar("add", abs, 1.0)?;
        im.binary("div", x, one_plus)
    })
}

fn swish(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let alpha = n.float("alpha", 1.0);
    float_unary(im, n, |im, x| {
        let scaled = if alpha == 1.0 { x } else { im.with_scalar("mul", x, alpha as f64)? };
        let s = im.unary("sigmoid", scaled)?;
        im.binary("mul", x, s)
    })
}

fn thresholded_relu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let alpha = im.like(x, n.float("alpha", 1.0) as f64)?;
    let zero = im.like(x, 0.0)?;
    let above = im.compare("gt", x, alpha)?;
    Ok(vec![im.select(above, x, zero)?])
}
