//! Shapes of convolutions and pooling: windows that slide.

use super::{Inferred, Shapes};
use nim_ir::{Expr, ExprPool, InferInput, Type};

/// Number of positions of a window: `floor((size + pads - dilation*(kernel - 1) - 1) / stride) + 1`.
pub fn window_extent(pool: &ExprPool, size: Expr, kernel: Expr, stride: i64, pads: i64, dilation: i64) -> Expr {
    let reach = pool.mul(pool.constant(dilation), pool.sub(kernel, pool.constant(1)));
    let room = pool.sub(pool.add(size, pool.constant(pads - 1)), reach);
    pool.add(pool.floordiv(room, pool.constant(stride)), pool.constant(1))
}

/// Larger strides, dilations and pads are taken for mistakes.
const MAX_STEP: u64 = 1 << 31;

/// Per spatial axis: strides, pads at the begin and the end, dilations.
struct Window {
    strides: Vec<i64>,
    low: Vec<i64>,
    high: Vec<i64>,
    dilations: Vec<i64>,
}

fn window(s: &Shapes<'_>, spatial: usize) -> Inferred<Window> {
    let list = |name: &str, default: i64, n: usize| -> Inferred<Vec<i64>> {
        let v = s.ints_opt(name)?.unwrap_or_else(|| vec![default; n]);
        if v.len() != n {
            return s.error(format!("`{name}` must have {n} numbers, found {}", v.len()));
        }
        Ok(v)
    };
    let (strides, dilations) = (list("strides", 1, spatial)?, list("dilations", 1, spatial)?);
    if strides.iter().chain(&dilations).any(|&v| v < 1) {
        return s.error("strides and dilations must be at least 1");
    }
    let pads = list("pads", 0, 2 * spatial)?;
    if let Some(v) = strides.iter().chain(&dilations).chain(&pads).find(|v| v.unsigned_abs() > MAX_STEP) {
        return s.error(format!("{v} is too large for a stride, dilation or pad"));
    }
    Ok(Window { strides, low: pads[..spatial].to_vec(), high: pads[spatial..].to_vec(), dilations })
}

fn nonempty(s: &Shapes<'_>, dims: &[Expr]) -> Inferred<()> {
    match dims.iter().find(|&&d| s.pool().as_const(d).is_some_and(|n| n < 0)) {
        Some(_) => s.error("the window is larger than the padded input"),
        None => Ok(()),
    }
}

/// `x[N, C, spatial...]`, `w[O, C/groups, kernel...]` to `[N, O, ...]`.
pub fn conv(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (x, w) = (s.dims(0)?, s.dims(1)?);
    s.one_element_type()?;
    if x.len() < 3 || w.len() != x.len() {
        let (a, b) = (s.show(s.ty(0)?), s.show(s.ty(1)?));
        return s.error(format!("a convolution takes [N, C, ...] and [O, C/groups, ...], found {a} and {b}"));
    }
    let groups = s.int_attr("groups", 1)?;
    if groups < 1 {
        return s.error("`groups` must be at least 1");
    }
    s.same(x[1], s.pool().mul(w[1], s.num(groups)), "channels of the input and of the weights (times groups)")?;
    if s.pool().as_const(w[0]).is_some_and(|o| o % groups != 0) {
        return s.error(format!("{} output channels do not divide into {groups} groups", s.show_dim(w[0])));
    }
    let win = window(&s, x.len() - 2)?;
    let mut dims = vec![x[0], w[0]];
    for i in 0..x.len() - 2 {
        let pads = win.low[i] + win.high[i];
        dims.push(window_extent(s.pool(), x[i + 2], w[i + 2], win.strides[i], pads, win.dilations[i]));
    }
    nonempty(&s, &dims)?;
    s.one(&dims, s.element(0)?)
}

/// `x[N, C, spatial...]`, `w[C, O/groups, kernel...]` to `[N, O, ...]`: the gradient of a convolution by its input.
/// Size: `stride*(size - 1) + output_padding + dilation*(kernel - 1) + 1 - pads`.
pub fn conv_transpose(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (x, w) = (s.dims(0)?, s.dims(1)?);
    s.one_element_type()?;
    if x.len() < 3 || w.len() != x.len() {
        let (a, b) = (s.show(s.ty(0)?), s.show(s.ty(1)?));
        return s
            .error(format!("a transposed convolution takes [N, C, ...] and [C, O/groups, ...], found {a} and {b}"));
    }
    s.same(x[1], w[0], "channels of the input and of the weights")?;
    let groups = s.int_attr("groups", 1)?;
    if groups < 1 {
        return s.error("`groups` must be at least 1");
    }
    let win = window(&s, x.len() - 2)?;
    let extra = s.ints_opt("output_padding")?.unwrap_or_else(|| vec![0; x.len() - 2]);
    if extra.len() != x.len() - 2 || extra.iter().any(|v| v.unsigned_abs() > MAX_STEP) {
        return s.error(format!("`output_padding` must have {} numbers", x.len() - 2));
    }
    let p = s.pool();
    let mut dims = vec![x[0], p.mul(w[1], s.num(groups))];
    for i in 0..x.len() - 2 {
        let walk = p.mul(s.num(win.strides[i]), p.sub(x[i + 2], s.num(1)));
        let reach = p.mul(s.num(win.dilations[i]), p.sub(w[i + 2], s.num(1)));
        dims.push(p.sum([walk, reach, s.num(extra[i] + 1 - win.low[i] - win.high[i])]));
    }
    nonempty(&s, &dims)?;
    s.one(&dims, s.element(0)?)
}

/// A window of fixed size over the spatial axes of `[N, C, ...]`; `output` overrides the sizes (ceil mode).
pub fn pool(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let x = s.dims(0)?;
    if x.len() < 3 {
        let found = s.show(s.ty(0)?);
        return s.error(format!("pooling takes [N, C, ...], found {found}"));
    }
    let spatial = x.len() - 2;
    let Some(kernel) = s.ints_opt("kernel")?.filter(|k| k.len() == spatial && k.iter().all(|&v| v > 0)) else {
        return s.error(format!("`kernel` must have {spatial} positive numbers"));
    };
    let win = window(&s, spatial)?;
    let mut dims = vec![x[0], x[1]];
    match s.exprs_opt("output")? {
        Some(output) if output.len() == spatial => dims.extend(output),
        Some(_) => return s.error(format!("`output` must have {spatial} sizes")),
        None => {
            for i in 0..spatial {
                let pads = win.low[i] + win.high[i];
                let k = s.num(kernel[i]);
                dims.push(window_extent(s.pool(), x[i + 2], k, win.strides[i], pads, win.dilations[i]));
            }
        }
    }
    nonempty(&s, &dims)?;
    s.one(&dims, s.element(0)?)
}
