//! Products of quantised numbers as products of bytes.
//!
//! A quantised number is `(q - z) * s`: a byte, its zero point, a scale. With one scale for all of the left factor and one a channel
//! of the right one, `sum((a - az)*sa * (b - bz)*sb) = sa*sb * sum((a - az)*(b - bz))`, a sum of integers, which is exact. Zero points
//! then leave the sum: `sum((a - az)*(b - bz)) = sum(a*b) - bz*sum(a) - az*sum(b - bz)`, and the last sum is a constant where `b`
//! is. What is left is a sum of products of bytes. Its factors are made unsigned (left) and signed (right), which is what machines
//! multiply: `a` signed is `(a + 128) - 128`. All of this is exact modulo 2^32.

use crate::fold::constant;
use nim_ir::{Body, Builder, Context, Expr, OpId, OpState, ValueId};
use nim_pass::{Miss, Site};
use nim_tensor::{DType, Tensor};

/// Products of two differences of bytes, at most 255 * 255 each, whose sum fits 32 bits.
const MOST_PRODUCTS: i64 = i32::MAX as i64 / (255 * 255);
const HOST: Miss = Miss("a type has no host form");

/// A byte and its zero point (`i32`): what an `i32` value is the difference of.
pub(crate) struct Centred {
    pub(crate) byte: ValueId,
    pub(crate) zero: Option<ValueId>,
}

fn made_by(ctx: &Context, body: &Body, v: ValueId, name: &str) -> Option<OpId> {
    body.defining_op(v).filter(|&op| body.is(ctx, op, name))
}

fn dtype(ctx: &Context, body: &Body, v: ValueId) -> Option<DType> {
    ctx.dtype_of(body.ty(v))
}

pub(crate) fn dims(ctx: &Context, body: &Body, v: ValueId) -> Option<Vec<Expr>> {
    ctx.dim_exprs(body.ty(v))
}

pub(crate) fn centred(ctx: &Context, body: &Body, v: ValueId) -> Option<Centred> {
    let widened = |v: ValueId| {
        let byte = body.operand(made_by(ctx, body, v, "graph.cast")?, 0);
        matches!(dtype(ctx, body, byte)?, DType::I8 | DType::U8).then_some(byte)
    };
    if dtype(ctx, body, v)? != DType::I32 {
        return None;
    }
    if let Some(byte) = widened(v) {
        return Some(Centred { byte, zero: None });
    }
    let sub = made_by(ctx, body, v, "graph.sub")?;
    let (byte, zero) = (widened(body.operand(sub, 0))?, body.operand(sub, 1));
    // A zero point that makes the value larger would not be one.
    (dims(ctx, body, byte)? == dims(ctx, body, v)?).then_some(Centred { byte, zero: Some(zero) })
}

/// An integer and its scale: what an `f32` value is the product of.
pub(crate) fn scaled(ctx: &Context, body: &Body, v: ValueId) -> Option<(ValueId, ValueId)> {
    let mul = made_by(ctx, body, v, "graph.mul").filter(|_| dtype(ctx, body, v) == Some(DType::F32))?;
    let one = |integer: ValueId, scale: ValueId| {
        let integer = body.operand(made_by(ctx, body, integer, "graph.cast")?, 0);
        let whole = dims(ctx, body, integer)? == dims(ctx, body, v)?;
        (whole && centred(ctx, body, integer).is_some()).then_some((integer, scale))
    };
    let (a, b) = (body.operand(mul, 0), body.operand(mul, 1));
    one(a, b).or_else(|| one(b, a))
}

pub(crate) fn is_single(ctx: &Context, body: &Body, v: ValueId) -> bool {
    dims(ctx, body, v).is_some_and(|d| d.iter().all(|&d| d == Expr::ONE))
}

/// For a contraction with weights: the axis of the weights that makes the channels of the result, and the dimensions that a value
/// per channel has beside the result.
fn channels(ctx: &Context, body: &Body, op: OpId) -> Option<(usize, Vec<Expr>)> {
    let (x, w) = (dims(ctx, body, body.operand(op, 0))?, dims(ctx, body, body.operand(op, 1))?);
    if body.is(ctx, op, "graph.conv") {
        let spatial = x.len().checked_sub(2)?;
        return Some((0, std::iter::once(*w.first()?).chain((0..spatial).map(|_| Expr::ONE)).collect()));
    }
    (x.len() >= 2 && w.len() == 2).then(|| (1, vec![w[1]]))
}

/// Number of products that a contraction sums up.
fn depth(ctx: &Context, body: &Body, op: OpId) -> Option<i64> {
    let (axis, _) = channels(ctx, body, op)?;
    let all = dims(ctx, body, body.operand(op, 1))?;
    let inner = all.iter().enumerate().filter(|(i, _)| *i != axis);
    inner.map(|(_, &d)| ctx.exprs.as_const(d)).try_fold(1i64, |n, d| n.checked_mul(d?))
}

/// Whether a value is a sum of products of bytes, with or without their zero points, that is at most so large in magnitude.
pub(crate) fn is_sum_of_bytes(ctx: &Context, body: &Body, v: ValueId, most: i64) -> bool {
    let product = |op: &OpId| ["graph.conv", "graph.matmul"].iter().any(|name| body.is(ctx, *op, name));
    let Some(op) = body.defining_op(v).filter(product) else { return false };
    let byte = |v: ValueId| {
        centred(ctx, body, v).is_some_and(|c| c.zero.is_none_or(|z| fits(ctx, body, z, dtype(ctx, body, c.byte))))
    };
    // Differences of bytes are up to 255.
    let small = depth(ctx, body, op).is_some_and(|n| n <= most / (255 * 255));
    small && body.operands(op).iter().all(|&v| byte(v))
}

/// Known to be a byte of this type, in a wider one.
fn fits(ctx: &Context, body: &Body, v: ValueId, byte: Option<DType>) -> bool {
    let cast = made_by(ctx, body, v, "graph.cast").and_then(|op| dtype(ctx, body, body.operand(op, 0)));
    let range = if byte == Some(DType::U8) { 0..=255 } else { -128..=127 };
    let known = constant(ctx, body, v).and_then(|t| t.to_i64s());
    (byte.is_some() && cast == byte) || known.is_some_and(|z| z.iter().all(|z| range.contains(z)))
}

/// Dimensions of a value that is one number, or one a channel of the weights; as it stands beside the result.
fn beside(ctx: &Context, body: &Body, op: OpId, v: ValueId) -> Option<Vec<Expr>> {
    let (axis, channel) = channels(ctx, body, op)?;
    if is_single(ctx, body, v) {
        return Some(vec![]);
    }
    let (own, rank) = (dims(ctx, body, v)?, dims(ctx, body, body.operand(op, 1))?.len());
    let skip = rank.checked_sub(own.len())?;
    let along = |(i, &d): (usize, &Expr)| if i + skip == axis { d == channel[0] } else { d == Expr::ONE };
    own.iter().enumerate().all(along).then_some(channel)
}

fn reshaped(b: &mut Builder<'_>, v: ValueId, shape: &[Expr]) -> Result<ValueId, Miss> {
    if dims(b.ctx, b.body, v).as_deref() == Some(shape) {
        return Ok(v);
    }
    let shape = b.ctx.exprs_attr(shape);
    made(b, "graph.reshape", &[v], &[("shape", shape)])
}

pub(crate) fn made(
    b: &mut Builder<'_>,
    name: &str,
    operands: &[ValueId],
    attrs: &[(&str, nim_ir::Attr)],
) -> Result<ValueId, Miss> {
    b.infer_value(name, operands, attrs).map_err(|_| Miss("types do not fit"))
}

pub(crate) fn cast(b: &mut Builder<'_>, v: ValueId, to: DType) -> Result<ValueId, Miss> {
    let to = b.ctx.type_attr(b.ctx.type_of_dtype(to));
    made(b, "graph.cast", &[v], &[("to", to)])
}

fn make_constant(b: &mut Builder<'_>, tensor: &Tensor) -> ValueId {
    let (value, ty) = (b.ctx.tensor_attr(tensor, "quantised"), b.ctx.type_of_tensor(tensor));
    b.value("graph.constant", &[], ty, &[("value", value)])
}

/// The contraction with other operands, in `i32`.
fn contracted(
    b: &mut Builder<'_>,
    op: OpId,
    operands: &[ValueId],
    pads: Option<nim_ir::Attr>,
) -> Result<ValueId, Miss> {
    let ctx = b.ctx;
    let shape = dims(ctx, b.body, b.body.result(op)).ok_or(HOST)?;
    let ty = ctx.tensor_of(&shape, ctx.type_of_dtype(DType::I32));
    let mut state = OpState::of(b.body.op_name(op), b.loc).operands(operands).results(&[ty]);
    state.attrs = b.body.attrs(op).clone();
    if let Some(pads) = pads {
        state.attrs.set(ctx, ctx.name("pads"), pads);
    }
    let new = b.insert(state);
    Ok(b.body.result(new))
}

/// A constant that casts widen, then perhaps with zero points and scales.
fn is_widened(ctx: &Context, body: &Body, mut v: ValueId) -> bool {
    while let Some(op) = body.defining_op(v) {
        let first = body.operands_iter(op).next();
        match (ctx.op_str(body.op_name(op)), first) {
            ("graph.cast", Some(x)) if constant(ctx, body, x).is_some() => return true,
            ("graph.cast" | "graph.sub" | "graph.mul", Some(x)) => v = x,
            _ => return false,
        }
    }
    false
}

/// `transpose(cast(constant))` is `cast(transpose(constant))`, and so on through scales and zero points.
pub fn narrow(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let source = site.body.operand(op, 0);
    let inner = site.body.defining_op(source).ok_or(Miss("the operand is an argument"))?;
    let perm = site.body.attr_named(ctx, op, "perm").ok_or(Miss("it has no `perm`"))?;
    if !is_widened(ctx, site.body, source) {
        return Err(Miss("the operand is no widened constant"));
    }
    let mut operands = site.body.operands(inner).to_vec();
    let rank = |v: ValueId| dims(ctx, site.body, v).map(|d| d.len());
    let transposed: Vec<bool> = operands.iter().map(|&v| !is_single(ctx, site.body, v)).collect();
    let fits = |(&v, &t): (&ValueId, &bool)| !t || rank(v) == rank(source);
    if !operands.iter().zip(&transposed).all(fits) || !transposed[0] {
        return Err(Miss("a scale or zero point has another rank"));
    }
    site.fire()?;
    let ty = site.body.ty(site.body.result(op));
    let attrs = site.body.attrs(inner).clone();
    let op_name = site.body.op_name(inner);
    let mut b = site.builder();
    for (v, _) in operands.iter_mut().zip(transposed).filter(|(_, t)| *t) {
        *v = made(&mut b, "graph.transpose", &[*v], &[("perm", perm)])?;
    }
    let mut state = OpState::of(op_name, b.loc).operands(&operands).results(&[ty]);
    state.attrs = attrs;
    let new = b.insert(state);
    let value = b.body.result(new);
    site.replace(value);
    Ok(())
}

/// Rows of a widened constant are gathered as they are stored, with what scales they have of their own, and widened then.
pub fn gather(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let (source, indices) = (site.body.operand(op, 0), site.body.operand(op, 1));
    let inner = site.body.defining_op(source).ok_or(Miss("the operand is an argument"))?;
    let axis = site.body.attr_named(ctx, op, "axis").ok_or(Miss("it has no `axis`"))?;
    let along = ctx.as_int(axis).and_then(|a| usize::try_from(a).ok()).ok_or(Miss("`axis` counts from the end"))?;
    if !is_widened(ctx, site.body, source) {
        return Err(Miss("the operand is no widened constant"));
    }
    let shape = dims(ctx, site.body, source).ok_or(HOST)?;
    let mut operands = site.body.operands(inner).to_vec();
    // One number for all rows, or a value for each row.
    let rows = |&v: &ValueId| match dims(ctx, site.body, v) {
        Some(own) if own.is_empty() => Some(false),
        Some(own) if own.len() == shape.len() && own.get(along) == shape.get(along) => Some(true),
        _ => None,
    };
    let gathered: Option<Vec<bool>> = operands.iter().map(rows).collect();
    let gathered = gathered.ok_or(Miss("a scale or zero point is neither one number nor one a row"))?;
    site.fire()?;
    let ty = site.body.ty(site.body.result(op));
    let (name, attrs) = (site.body.op_name(inner), site.body.attrs(inner).clone());
    let mut b = site.builder();
    for (v, _) in operands.iter_mut().zip(gathered).filter(|(_, g)| *g) {
        *v = made(&mut b, "graph.gather", &[*v, indices], &[("axis", axis)])?;
    }
    let mut state = OpState::of(name, b.loc).operands(&operands).results(&[ty]);
    state.attrs = attrs;
    let new = b.insert(state);
    let value = b.body.result(new);
    site.replace(value);
    Ok(())
}

/// A product of scaled bytes is a product of integers, scaled.
pub fn product(site: &mut Site<'_>) -> Result<(), Miss> {
    const SCALED: Miss = Miss("an operand is no scaled byte");
    let (ctx, op) = (site.ctx, site.op);
    let &[x, w] = site.body.operands(op).as_slice() else { return Err(SCALED) };
    let (x, x_scale) = scaled(ctx, site.body, x).ok_or(SCALED)?;
    let (w, w_scale) = scaled(ctx, site.body, w).ok_or(SCALED)?;
    let shape = beside(ctx, site.body, op, w_scale).ok_or(Miss("the right scale is none of channels"))?;
    if !is_single(ctx, site.body, x_scale) {
        return Err(Miss("the left scale is more than one number"));
    }
    if depth(ctx, site.body, op).is_none_or(|n| n > MOST_PRODUCTS) {
        return Err(Miss("a sum of so many products may not fit 32 bits"));
    }
    site.fire()?;
    let ty = site.body.ty(site.body.result(op));
    let mut b = site.builder();
    let sum = contracted(&mut b, op, &[x, w], None)?;
    let sum = cast(&mut b, sum, DType::F32)?;
    let (x_scale, w_scale) = (reshaped(&mut b, x_scale, &[])?, reshaped(&mut b, w_scale, &shape)?);
    let scale = made(&mut b, "graph.mul", &[x_scale, w_scale], &[])?;
    let value = b.value("graph.mul", &[sum, scale], ty, &[]);
    site.replace(value);
    Ok(())
}

/// A scale of constant weights that are stored as bytes goes behind the product: sums are over the bytes then.
pub fn scale(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let &[x, w] = site.body.operands(op).as_slice() else { return Err(Miss("it has no two operands")) };
    let body = &*site.body;
    let float = dtype(ctx, body, body.result(op)) == Some(DType::F32);
    let mul = made_by(ctx, body, w, "graph.mul").filter(|_| float && is_widened(ctx, body, w));
    let mul = mul.ok_or(Miss("the right factor is no widened constant with a scale"))?;
    let &[weights, scale] = body.operands(mul).as_slice() else { return Err(Miss("the scale is missing")) };
    let shape = beside(ctx, body, op, scale).ok_or(Miss("the scale is none of channels"))?;
    if dims(ctx, body, weights) != dims(ctx, body, w) || constant(ctx, body, scale).is_none() {
        return Err(Miss("the scale is no constant"));
    }
    site.fire()?;
    let ty = site.body.ty(site.body.result(op));
    let mut state = OpState::of(site.body.op_name(op), site.loc()).operands(&[x, weights]).results(&[ty]);
    state.attrs = site.body.attrs(op).clone();
    let mut b = site.builder();
    let new = b.insert(state);
    let sum = b.body.result(new);
    let scale = reshaped(&mut b, scale, &shape)?;
    let value = b.value("graph.mul", &[sum, scale], ty, &[]);
    site.replace(value);
    Ok(())
}

/// The right factor, a constant, as signed bytes; what its zero points are then; and the sums of what is centred, per channel.
struct Weights {
    bytes: Tensor,
    zeros: Vec<i32>,
    sums: Tensor,
}

fn weights(ctx: &Context, body: &Body, op: OpId, w: &Centred) -> Result<Weights, Miss> {
    let tensor = constant(ctx, body, w.byte).ok_or(Miss("the right factor is no constant"))?;
    let (axis, shape) = channels(ctx, body, op).ok_or(Miss("the right factor has another rank"))?;
    let flip = if tensor.dtype() == DType::U8 { 128 } else { 0 };
    let count = tensor.dims()[axis];
    let zeros = match w.zero {
        None => vec![0],
        Some(z) => {
            beside(ctx, body, op, z).ok_or(Miss("a zero point of the right factor is none of channels"))?;
            let z = constant(ctx, body, z).and_then(|z| z.to_i64s()).ok_or(Miss("a zero point is no constant"))?;
            z.into_iter().map(|z| z as i32).collect()
        }
    };
    let zeros: Vec<i32> = (0..count).map(|o| zeros[o % zeros.len()] - flip).collect();
    let bytes: Vec<u8> = tensor.bytes().iter().map(|&b| if flip == 0 { b } else { b ^ 0x80 }).collect();
    let inner: usize = tensor.dims()[axis + 1..].iter().product();
    let mut sums = vec![0i32; count];
    for (i, &b) in bytes.iter().enumerate() {
        let o = i / inner.max(1) % count;
        sums[o] = sums[o].wrapping_add(i32::from(b as i8) - zeros[o]);
    }
    let shape: Option<Vec<usize>> =
        shape.iter().map(|&d| ctx.exprs.as_const(d).and_then(|d| usize::try_from(d).ok())).collect();
    let sums = Tensor::new(&shape.ok_or(HOST)?, sums);
    Ok(Weights { bytes: Tensor::from_bytes(DType::I8, tensor.dims(), bytes), zeros, sums })
}

/// Zero points go behind a product of bytes, and signs become those that machines multiply.
pub fn zero_points(site: &mut Site<'_>) -> Result<(), Miss> {
    const BYTES: Miss = Miss("an operand is no centred byte");
    let (ctx, op) = (site.ctx, site.op);
    let body = &*site.body;
    let &[x, w] = body.operands(op).as_slice() else { return Err(BYTES) };
    let (x, w) = (centred(ctx, body, x).ok_or(BYTES)?, centred(ctx, body, w).ok_or(BYTES)?);
    let signs = (dtype(ctx, body, x.byte), dtype(ctx, body, w.byte));
    if x.zero.is_none() && w.zero.is_none() && signs == (Some(DType::U8), Some(DType::I8)) {
        return Err(Miss("there are no zero points"));
    }
    let right = weights(ctx, body, op, &w)?;
    let conv = body.is(ctx, op, "graph.conv");
    let right_zeros = right.zeros.iter().any(|&z| z != 0);
    if conv && right_zeros {
        return Err(Miss("weights of a convolution have zero points"));
    }
    // Of a matrix, rows may have zero points of their own.
    let rank = dims(ctx, body, x.byte).ok_or(HOST)?.len();
    let rows =
        |z: ValueId| !conv && dims(ctx, body, z).is_some_and(|d| d.last() == Some(&Expr::ONE) && d.len() <= rank);
    if x.zero.is_some_and(|z| !is_single(ctx, body, z) && !rows(z)) {
        return Err(Miss("the left zero points are neither one number nor one a row"));
    }
    let pads = match conv {
        true => body.attr_named(ctx, op, "pads").and_then(|a| ctx.as_ints(a)).unwrap_or_default(),
        false => vec![],
    };
    let padded = pads.iter().any(|&p| p != 0);
    if padded && x.zero.is_some_and(|z| !fits(ctx, body, z, signs.0)) {
        return Err(Miss("the zero point of what is padded may be no byte"));
    }
    let flipped = signs.0 == Some(DType::I8);
    let ty = body.ty(body.result(op));
    site.fire()?;
    let mut b = site.builder();
    let (mut left, mut zero) = (x.byte, x.zero);
    if flipped {
        let unsigned = ctx.type_attr(ctx.type_of_dtype(DType::U8));
        left = made(&mut b, "graph.bitcast", &[left], &[("to", unsigned)])?;
        let sign = make_constant(&mut b, &Tensor::new(&[], vec![128u8]));
        left = made(&mut b, "graph.bitwise_xor", &[left, sign], &[])?;
        let offset = make_constant(&mut b, &Tensor::new(&[], vec![128i32]));
        zero = Some(match zero {
            Some(z) => made(&mut b, "graph.add", &[z, offset], &[])?,
            None => offset,
        });
    }
    if let Some(z) = zero
        && is_single(ctx, b.body, z)
    {
        zero = Some(reshaped(&mut b, z, &[])?);
    }
    // What lies outside is the zero point, and then it is like everything else.
    let mut no_pads = None;
    if let Some(z) = zero
        && padded
    {
        let value = cast(&mut b, z, DType::U8)?;
        let side = |ctx: &Context, half: &[i64]| {
            let sizes: Vec<Expr> = [0, 0].iter().chain(half).map(|&p| ctx.exprs.constant(p)).collect();
            ctx.exprs_attr(&sizes)
        };
        let (low, high) = pads.split_at(pads.len() / 2);
        let attrs = [("low", side(ctx, low)), ("high", side(ctx, high)), ("mode", ctx.string_attr("constant"))];
        left = made(&mut b, "graph.pad", &[left, value], &attrs)?;
        no_pads = Some(ctx.i64_array(&vec![0; pads.len()]));
    }
    let weights = make_constant(&mut b, &right.bytes);
    let (wide, weights) = (cast(&mut b, left, DType::I32)?, cast(&mut b, weights, DType::I32)?);
    let mut value = contracted(&mut b, op, &[wide, weights], no_pads)?;
    if right_zeros {
        let axes = ctx.i64_array(&[rank as i64 - 1]);
        let attrs = [("kind", ctx.string_attr("sum")), ("axes", axes), ("keepdims", ctx.bool_attr(true))];
        let sums = made(&mut b, "graph.reduce", &[wide], &attrs)?;
        let zeros = make_constant(&mut b, &Tensor::new(&[right.zeros.len()], right.zeros));
        let term = made(&mut b, "graph.mul", &[sums, zeros], &[])?;
        value = b.value("graph.sub", &[value, term], ty, &[]);
    }
    if let Some(z) = zero {
        let sums = make_constant(&mut b, &right.sums);
        let term = made(&mut b, "graph.mul", &[z, sums], &[])?;
        value = b.value("graph.sub", &[value, term], ty, &[]);
    }
    site.replace(value);
    Ok(())
}
