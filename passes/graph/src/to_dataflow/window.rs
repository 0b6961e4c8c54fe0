//! Convolutions and pooling: reads at `y*stride + tap*dilation - pad`, with a border where that lies outside.

use super::{
    contraction::summed,
    lower::{Lower, Lowered, accumulator},
};
use nim_dataflow::{Combine, MapBuilder};
use nim_ir::{Attr, Expr, ValueId};

/// The numbers of a window, one a spatial axis.
struct Window {
    strides: Vec<i64>,
    dilations: Vec<i64>,
    low: Vec<i64>,
    /// Some of the window may lie outside.
    padded: bool,
}

impl Window {
    fn of(l: &Lower<'_, '_>, spatial: usize) -> Lowered<Window> {
        let pads = l.ints_attr("pads", 0, 2 * spatial)?;
        Ok(Window {
            strides: l.ints_attr("strides", 1, spatial)?,
            dilations: l.ints_attr("dilations", 1, spatial)?,
            low: pads[..spatial].to_vec(),
            padded: pads.iter().any(|&p| p != 0),
        })
    }
    /// Where tap `tap` of the window at `at` reads along axis `i`.
    fn index(&self, l: &Lower<'_, '_>, i: usize, at: Expr, tap: Expr) -> Expr {
        let p = l.pool();
        p.sum([p.scale(self.strides[i], at), p.scale(self.dilations[i], tap), l.num(-self.low[i])])
    }
}

fn read(map: &mut MapBuilder, x: ValueId, subset: &[Expr], border: Option<Attr>) {
    match border {
        Some(border) => map.read_or(x, subset, border),
        None => map.read(x, subset),
    };
}

/// Channels of a grouped convolution: which one of the grouped side belongs to `channel` of the result.
struct Groups {
    groups: i64,
    /// Channels of one group of the result.
    outputs: Expr,
    /// Channels of one group of the input.
    inputs: Expr,
}

impl Groups {
    /// Channel of the input for one of the result and the number within the group.
    fn input(&self, l: &Lower<'_, '_>, channel: Expr, inner: Expr) -> Expr {
        let p = l.pool();
        if self.groups == 1 {
            return inner;
        }
        p.add(p.mul(p.floordiv(channel, self.outputs), self.inputs), inner)
    }
}

/// `graph.conv`: `[n, o, y..., c, r...]`.
pub fn conv(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, w, ty) = (l.operand(0), l.operand(1), l.result_type());
    let (weights, out) = (l.dims(w)?, l.dims_of(ty)?);
    let spatial = out.len() - 2;
    let win = Window::of(l, spatial)?;
    let groups = Groups {
        groups: l.int_attr("groups", 1),
        outputs: l.pool().floordiv(weights[0], l.num(l.int_attr("groups", 1))),
        inputs: weights[1],
    };
    let at = l.ivs(out.len());
    let mut map = MapBuilder::new(&out);
    let c = summed(l, &mut map, weights[1]);
    let taps: Vec<Expr> = (0..spatial).map(|i| summed(l, &mut map, weights[2 + i])).collect();
    let mut from = vec![at[0], groups.input(l, at[1], c)];
    from.extend((0..spatial).map(|i| win.index(l, i, at[2 + i], taps[i])));
    let kind = l.kind(x)?;
    read(&mut map, x, &from, win.padded.then(|| kind.attr(l.ctx(), 0.0)));
    let mut weight = vec![at[1], c];
    weight.extend(&taps);
    map.read(w, &weight);
    let wide = accumulator(l.kind_of(ty)?, Combine::Add);
    let weight_kind = l.kind(w)?;
    l.reduction(map, ty, &at, Combine::Add, |s, args| {
        let (x, w) = (s.cast(args[0], kind, wide), s.cast(args[1], weight_kind, wide));
        s.mul(wide, x, w)
    })
}

/// `graph.conv_transpose`, gathered: each element of the result sums the taps that reach it.
///
/// Tap `r` at input `i` reaches `i*stride + r*dilation - pad`. Without dilation only every `stride`-th tap reaches a given
/// element, `r = t*stride + (y + pad) mod stride`, so that no point of the domain is wasted; with both a stride and a dilation
/// all taps are looked at, and those that fall between the inputs count nothing.
pub fn conv_transpose(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, w, ty) = (l.operand(0), l.operand(1), l.result_type());
    let (input, weights, out) = (l.dims(x)?, l.dims(w)?, l.dims_of(ty)?);
    let p = l.pool();
    let spatial = out.len() - 2;
    let win = Window::of(l, spatial)?;
    let number = l.int_attr("groups", 1);
    let groups = Groups { groups: number, outputs: weights[1], inputs: p.floordiv(input[1], l.num(number)) };
    let at = l.ivs(out.len());
    let mut map = MapBuilder::new(&out);
    let c = summed(l, &mut map, groups.inputs);
    let channel = groups.input(l, at[1], c);
    let (mut from, mut weight) = (vec![at[0], channel], vec![channel, p.modulo(at[1], weights[1])]);
    if number == 1 {
        weight[1] = at[1];
    }
    // Expressions that must be zero, and pairs (a, b) that must be in order a < b, for a tap to count.
    let (mut zero, mut below) = (vec![], vec![]);
    for i in 0..spatial {
        let (stride, dilation, kernel) = (win.strides[i], win.dilations[i], weights[2 + i]);
        let place = p.add(at[2 + i], l.num(win.low[i]));
        let step = l.num(stride);
        if stride > 1 && dilation == 1 {
            let t = summed(l, &mut map, p.ceildiv(kernel, step));
            let tap = p.add(p.scale(stride, t), p.modulo(place, step));
            from.push(p.sub(p.floordiv(place, step), t));
            if p.exact_div(kernel, step).is_none() {
                below.push((tap, kernel));
                // Such a tap counts nothing; it only must not read outside.
                weight.push(p.min(tap, p.sub(kernel, Expr::ONE)));
            } else {
                weight.push(tap);
            }
        } else {
            let tap = summed(l, &mut map, kernel);
            let source = p.sub(place, p.scale(dilation, tap));
            from.push(p.floordiv(source, step));
            if stride > 1 {
                zero.push(p.modulo(source, step));
            }
            weight.push(tap);
        }
    }
    let (kind, weight_kind) = (l.kind(x)?, l.kind(w)?);
    map.read_or(x, &from, kind.attr(l.ctx(), 0.0));
    map.read(w, &weight);
    let wide = accumulator(l.kind_of(ty)?, Combine::Add);
    l.reduction(map, ty, &at, Combine::Add, |s, args| {
        let (x, w) = (s.cast(args[0], kind, wide), s.cast(args[1], weight_kind, wide));
        let product = s.mul(wide, x, w);
        let mut conditions = vec![];
        for e in zero {
            conditions.push(s.compare_exprs("eq", e, Expr::ZERO));
        }
        for (a, b) in below {
            conditions.push(s.compare_exprs("slt", a, b));
        }
        let Some(all) = conditions.into_iter().reduce(|a, b| s.op("arith.andi", &[a, b])) else { return product };
        let nothing = s.constant(wide, 0.0);
        s.select(all, product, nothing)
    })
}

/// `graph.pool`: `[n, c, y..., r...]`.
pub fn pool(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let out = l.dims_of(ty)?;
    let spatial = out.len() - 2;
    let mut win = Window::of(l, spatial)?;
    // Sizes that the model gives may reach beyond the last full window.
    win.padded |= l.has_attr("output");
    let kernel = l.ints_attr("kernel", 1, spatial)?;
    let combine = match l.str_attr("kind")? {
        "max" => Combine::Max,
        "sum" => Combine::Add,
        other => return l.error(format!("no pooling is called `{other}`")),
    };
    let at = l.ivs(out.len());
    let mut map = MapBuilder::new(&out);
    let mut from = at[..2].to_vec();
    for i in 0..spatial {
        let tap = summed(l, &mut map, l.num(kernel[i]));
        from.push(win.index(l, i, at[2 + i], tap));
    }
    let kind = l.kind(x)?;
    let element = l.ctx().element_type(ty).unwrap_or(ty);
    let border = combine.identity(l.ctx(), element);
    read(&mut map, x, &from, border.filter(|_| win.padded));
    let wide = accumulator(kind, combine);
    l.reduction(map, ty, &at, combine, |s, args| s.cast(args[0], kind, wide))
}
