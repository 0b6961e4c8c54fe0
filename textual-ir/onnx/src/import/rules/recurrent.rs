//! LSTM, GRU and RNN as loops over time.
//!
//! The product of the inputs with their weights does not depend on the state: it is one matrix product over the whole
//! sequence before the loop. The loop carries the state and multiplies it with the recurrent weights. Equations and
//! names of gates are those of the ONNX standard.

use super::{Family, Importer, Node, Out, elementwise};
use nim_graph::{Built, GraphBuilder};
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("GRU", |im, n| recurrent(im, n, Cell::Gru)),
    ("LSTM", |im, n| recurrent(im, n, Cell::Lstm)),
    ("RNN", |im, n| recurrent(im, n, Cell::Rnn)),
];

/// Which network.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Gates i, o, f, c.
    Lstm,
    /// Gates z, r, h.
    Gru,
    /// One gate.
    Rnn,
}

impl Cell {
    fn gates(self) -> i64 {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Rnn => 1,
        }
    }
    fn default_activations(self) -> &'static [&'static str] {
        match self {
            Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Cell::Gru => &["Sigmoid", "Tanh"],
            Cell::Rnn => &["Tanh"],
        }
    }
}

/// An activation with its parameters.
#[derive(Clone)]
struct Activation {
    name: String,
    alpha: f64,
    beta: f64,
}

/// Defaults of alpha and beta; `None` where an activation has no such parameter.
fn parameters(name: &str) -> Option<(Option<f64>, Option<f64>)> {
    Some(match name {
        "relu" | "tanh" | "sigmoid" | "softsign" | "softplus" => (None, None),
        "affine" => (Some(1.0), Some(0.0)),
        "leakyrelu" => (Some(0.01), None),
        "thresholdedrelu" | "elu" => (Some(1.0), None),
        "scaledtanh" => (Some(1.0), Some(1.0)),
        "hardsigmoid" => (Some(0.2), Some(0.5)),
        _ => return None,
    })
}

impl Activation {
    fn apply(&self, g: &mut GraphBuilder<'_>, x: ValueId) -> Built {
        let (a, b) = (self.alpha, self.beta);
        match self.name.as_str() {
            "relu" | "tanh" | "sigmoid" => g.unary(&self.name, x),
            "softsign" => {
                let abs = g.unary("abs", x)?;
                let below = g.with_scalar("add", abs, 1.0)?;
                g.binary("div", x, below)
            }
            "softplus" => elementwise::softplus(g, x),
            "affine" => {
                let x = g.with_scalar("mul", x, a)?;
                g.with_scalar("add", x, b)
            }
            "scaledtanh" => {
                let x = g.with_scalar("mul", x, b)?;
                let x = g.unary("tanh", x)?;
                g.with_scalar("mul", x, a)
            }
            "hardsigmoid" => {
                let x = g.with_scalar("mul", x, a)?;
                let x = g.with_scalar("add", x, b)?;
                clamp(g, x, 0.0, 1.0)
            }
            "leakyrelu" => {
                let y = g.with_scalar("mul", x, a)?;
                choose_positive(g, x, x, y)
            }
            "thresholdedrelu" => {
                let (limit, zero) = (g.like(x, a)?, g.like(x, 0.0)?);
                let above = g.compare("gt", x, limit)?;
                g.select(above, x, zero)
            }
            _ => {
                let e = g.unary("exp", x)?;
                let e = g.with_scalar("sub", e, 1.0)?;
                let e = g.with_scalar("mul", e, a)?;
                choose_positive(g, x, x, e)
            }
        }
    }
}

fn choose_positive(g: &mut GraphBuilder<'_>, x: ValueId, yes: ValueId, no: ValueId) -> Built {
    let zero = g.like(x, 0.0)?;
    let positive = g.compare("ge", x, zero)?;
    g.select(positive, yes, no)
}

fn clamp(g: &mut GraphBuilder<'_>, x: ValueId, low: f64, high: f64) -> Built {
    let x = g.with_scalar("max", x, low)?;
    g.with_scalar("min", x, high)
}

/// How the products with the weights are computed.
pub(super) trait Products {
    /// `x[T, B, I]` times the input weights of a direction: `[T, B, gates*hidden]`.
    fn input(&self, im: &mut Importer<'_>, x: ValueId, direction: usize) -> Built;
    /// What the recurrent weights of a direction become before the loop.
    fn recurrent_weights(&self, im: &mut Importer<'_>, direction: usize) -> Built<Vec<ValueId>>;
    /// `h[B, hidden]` times the recurrent weights: `[B, gates*hidden]`, or of some of the gates.
    fn recurrent(&self, g: &mut GraphBuilder<'_>, h: ValueId, weights: &[ValueId]) -> Built;
}

/// Weights `[directions, gates*hidden, size]` in floating point.
struct Plain {
    w: ValueId,
    r: ValueId,
}

impl Products for Plain {
    fn input(&self, im: &mut Importer<'_>, x: ValueId, direction: usize) -> Built {
        let w = direction_of(im, self.w, direction)?;
        let w = im.transpose(w, &[1, 0])?;
        im.matmul(x, w)
    }
    fn recurrent_weights(&self, im: &mut Importer<'_>, direction: usize) -> Built<Vec<ValueId>> {
        let r = direction_of(im, self.r, direction)?;
        Ok(vec![im.transpose(r, &[1, 0])?])
    }
    fn recurrent(&self, g: &mut GraphBuilder<'_>, h: ValueId, weights: &[ValueId]) -> Built {
        g.matmul(h, weights[0])
    }
}

/// Slice `direction` of the first axis.
pub(super) fn direction_of(im: &mut Importer<'_>, v: ValueId, direction: usize) -> Built {
    let at = im.num(direction as i64);
    im.at(v, 0, at)
}

/// A network with everything but its weights.
pub(super) struct Network {
    cell: Cell,
    hidden: Expr,
    directions: usize,
    reverse_first: bool,
    activations: Vec<Activation>,
    clip: Option<f64>,
    input_forget: bool,
    linear_before_reset: bool,
    layout: bool,
    /// `[T, B, I]`
    x: ValueId,
    bias: Option<ValueId>,
    lengths: Option<ValueId>,
    h: Option<ValueId>,
    c: Option<ValueId>,
    peepholes: Option<ValueId>,
}

fn recurrent(im: &mut Importer<'_>, n: &Node<'_>, cell: Cell) -> Out {
    let (w, r) = (n.input(im, 1)?, n.input(im, 2)?);
    let hidden = im.dims(r)?.last().copied().ok_or_else(|| im.error("N0634", "recurrent weights have no axes"))?;
    let (c, peepholes) = if cell == Cell::Lstm { (n.opt(6), n.opt(7)) } else { (None, None) };
    let network = Network::read(im, n, cell, hidden, c, peepholes)?;
    network.build(im, &Plain { w, r })
}

impl Network {
    pub(super) fn read(
        im: &mut Importer<'_>,
        n: &Node<'_>,
        cell: Cell,
        hidden: Expr,
        c: Option<ValueId>,
        peepholes: Option<ValueId>,
    ) -> Built<Network> {
        let direction = n.string("direction", "forward");
        let (directions, reverse_first) = match direction.as_str() {
            "forward" => (1, false),
            "reverse" => (1, true),
            "bidirectional" => (2, false),
            other => return Err(im.error("N0634", format!("no direction is named {other:?}"))),
        };
        let layout = n.flag("layout", false);
        let mut x = n.input(im, 0)?;
        if im.rank(x)? != 3 {
            let found = im.ctx().display_type(im.ty(x));
            return Err(im.error("N0634", format!("the sequence must have rank 3, found {found}")));
        }
        if layout {
            x = im.transpose(x, &[1, 0, 2])?;
        }
        let state = |im: &mut Importer<'_>, v: Option<ValueId>| -> Built<Option<ValueId>> {
            match v {
                Some(v) if layout => Ok(Some(im.transpose(v, &[1, 0, 2])?)),
                v => Ok(v),
            }
        };
        let (h, c) = (state(im, n.opt(5))?, state(im, c)?);
        Ok(Network {
            cell,
            hidden,
            directions,
            reverse_first,
            activations: activations(im, n, cell, directions)?,
            clip: n.has("clip").then(|| n.float("clip", 0.0) as f64),
            input_forget: n.flag("input_forget", false),
            linear_before_reset: n.flag("linear_before_reset", false),
            layout,
            x,
            bias: n.opt(3),
            lengths: n.opt(4),
            h,
            c,
            peepholes,
        })
    }

    /// All directions, and the outputs of the operator: Y, Y_h, and Y_c of an LSTM.
    pub(super) fn build(&self, im: &mut Importer<'_>, products: &dyn Products) -> Out {
        let mut all: Vec<Vec<ValueId>> = vec![];
        for d in 0..self.directions {
            let backwards = d == 1 || self.reverse_first;
            all.push(self.direction(im, products, d, backwards)?);
        }
        let states = if self.cell == Cell::Lstm { 2 } else { 1 };
        let mut out = vec![];
        // Y: [T, B, H] of each direction to [T, D, B, H].
        let mut ys = vec![];
        for results in &all {
            ys.push(im.unsqueeze(results[states], &[1])?);
        }
        let y = im.concat(&ys, 1)?;
        out.push(if self.layout { im.transpose(y, &[2, 0, 1, 3])? } else { y });
        for s in 0..states {
            let mut last = vec![];
            for results in &all {
                last.push(im.unsqueeze(results[s], &[0])?);
            }
            let last = im.concat(&last, 0)?;
            out.push(if self.layout { im.transpose(last, &[1, 0, 2])? } else { last });
        }
        Ok(out)
    }

    /// Last states, then the outputs `[T, B, H]` of one direction.
    fn direction(&self, im: &mut Importer<'_>, products: &dyn Products, d: usize, backwards: bool) -> Out {
        let dims = im.dims(self.x)?;
        let (steps, batch) = (dims[0], dims[1]);
        let gates = self.cell.gates();
        let p = &im.ctx().exprs;
        let (hidden, width) = (self.hidden, p.mul(p.constant(gates), self.hidden));
        let mut projected = products.input(im, self.x, d)?;
        // Biases: those of the input, then those of the state; all that can be added before the loop are.
        let mut late_bias = None;
        if let Some(b) = self.bias {
            let b = direction_of(im, b, d)?;
            let zero = im.num(0);
            let wb = im.slice_axis(b, 0, zero, width)?;
            let mut rb = im.slice_axis(b, 0, width, width)?;
            if self.cell == Cell::Gru && self.linear_before_reset {
                let two = im.ctx().exprs.mul(im.num(2), hidden);
                late_bias = Some(im.slice_axis(rb, 0, two, hidden)?);
                let early = im.slice_axis(rb, 0, zero, two)?;
                let none = im.like(rb, 0.0)?;
                let none = im.broadcast_to(none, &[hidden])?;
                rb = im.concat(&[early, none], 0)?;
            }
            let sum = im.binary("add", wb, rb)?;
            projected = im.binary("add", projected, sum)?;
        }
        let mut weights = products.recurrent_weights(im, d)?;
        if self.cell == Cell::Gru && !self.linear_before_reset {
            // Two products: the gates first, then the hidden part with the state that was reset.
            let w = weights[0];
            let (zero, two) = (im.num(0), im.ctx().exprs.mul(im.num(2), hidden));
            weights = vec![im.slice_axis(w, 1, zero, two)?, im.slice_axis(w, 1, two, hidden)?];
        }
        let mut initial = vec![];
        let count = if self.cell == Cell::Lstm { 2 } else { 1 };
        for given in [self.h, self.c].into_iter().take(count) {
            initial.push(match given {
                Some(v) => direction_of(im, v, d)?,
                None => {
                    let zero = im.like(self.x, 0.0)?;
                    im.broadcast_to(zero, &[batch, hidden])?
                }
            });
        }
        let peepholes = match self.peepholes {
            Some(v) => {
                let v = direction_of(im, v, d)?;
                let mut parts = vec![];
                for k in 0..3 {
                    let start = im.ctx().exprs.mul(im.num(k), hidden);
                    parts.push(im.slice_axis(v, 0, start, hidden)?);
                }
                Some(parts)
            }
            None => None,
        };
        let lengths = match self.lengths {
            Some(v) => {
                let v = im.cast_to(v, DType::I64)?;
                Some(im.unsqueeze(v, &[1])?)
            }
            None => None,
        };
        let per_direction = self.activations.len() / self.directions;
        let activations = &self.activations[d * per_direction..][..per_direction];
        let step = Step { network: self, activations, late_bias, peepholes };
        let mut results = im.repeat(steps, &initial, |g, it| {
            let p = &g.ctx().exprs;
            let last = p.sub(steps, p.constant(1));
            let time = if backwards { p.sub(last, it.number) } else { it.number };
            let x = g.at(projected, 0, time)?;
            let mut next = step.run(g, products, &weights, x, &it.carried)?;
            let mut y = next[0];
            if let Some(lengths) = lengths {
                let now = g.index(&[time], true)?;
                let inside = g.compare("lt", now, lengths)?;
                for (new, &old) in next.iter_mut().zip(&it.carried) {
                    *new = g.select(inside, *new, old)?;
                }
                let zero = g.like(y, 0.0)?;
                y = g.select(inside, y, zero)?;
            }
            Ok((next, vec![y]))
        })?;
        if backwards && let Some(y) = results.last_mut() {
            *y = im.reverse(*y, 0)?;
        }
        Ok(results)
    }
}

/// One step of time.
struct Step<'n> {
    network: &'n Network,
    activations: &'n [Activation],
    /// Bias of the hidden gate of a GRU that stands behind the product with the state.
    late_bias: Option<ValueId>,
    peepholes: Option<Vec<ValueId>>,
}

impl Step<'_> {
    fn gate(&self, g: &mut GraphBuilder<'_>, all: ValueId, k: i64) -> Built {
        let start = g.ctx().exprs.mul(g.num(k), self.network.hidden);
        g.slice_axis(all, 1, start, self.network.hidden)
    }

    fn activate(&self, g: &mut GraphBuilder<'_>, which: usize, x: ValueId) -> Built {
        let x = match self.network.clip {
            Some(limit) => clamp(g, x, -limit, limit)?,
            None => x,
        };
        self.activations[which].apply(g, x)
    }

    /// A gate with a peephole to the cell state.
    fn peep(&self, g: &mut GraphBuilder<'_>, x: ValueId, c: ValueId, k: usize) -> Built {
        match &self.peepholes {
            Some(p) => {
                let seen = g.binary("mul", c, p[k])?;
                g.binary("add", x, seen)
            }
            None => Ok(x),
        }
    }

    fn run(
        &self,
        g: &mut GraphBuilder<'_>,
        products: &dyn Products,
        weights: &[ValueId],
        x: ValueId,
        state: &[ValueId],
    ) -> Built<Vec<ValueId>> {
        let h = state[0];
        match self.network.cell {
            Cell::Rnn => {
                let product = products.recurrent(g, h, weights)?;
                let sum = g.binary("add", x, product)?;
                Ok(vec![self.activate(g, 0, sum)?])
            }
            Cell::Lstm => {
                let product = products.recurrent(g, h, weights)?;
                let all = g.binary("add", x, product)?;
                let c = state[1];
                let (i, o, f, cell) =
                    (self.gate(g, all, 0)?, self.gate(g, all, 1)?, self.gate(g, all, 2)?, self.gate(g, all, 3)?);
                let i = self.peep(g, i, c, 0)?;
                let i = self.activate(g, 0, i)?;
                let f = if self.network.input_forget {
                    let one = g.like(i, 1.0)?;
                    g.binary("sub", one, i)?
                } else {
                    let f = self.peep(g, f, c, 2)?;
                    self.activate(g, 0, f)?
                };
                let cell = self.activate(g, 1, cell)?;
                let (kept, new) = (g.binary("mul", f, c)?, g.binary("mul", i, cell)?);
                let c = g.binary("add", kept, new)?;
                let o = self.peep(g, o, c, 1)?;
                let o = self.activate(g, 0, o)?;
                // The clip is for inputs of the gates only.
                let seen = self.activations[2].apply(g, c)?;
                Ok(vec![g.binary("mul", o, seen)?, c])
            }
            Cell::Gru => self.gru(g, products, weights, x, h),
        }
    }

    fn gru(
        &self,
        g: &mut GraphBuilder<'_>,
        products: &dyn Products,
        weights: &[ValueId],
        x: ValueId,
        h: ValueId,
    ) -> Built<Vec<ValueId>> {
        let (xz, xr, xh) = (self.gate(g, x, 0)?, self.gate(g, x, 1)?, self.gate(g, x, 2)?);
        let (z, r, candidate);
        if self.network.linear_before_reset {
            let product = products.recurrent(g, h, weights)?;
            let (hz, hr, hh) = (self.gate(g, product, 0)?, self.gate(g, product, 1)?, self.gate(g, product, 2)?);
            let (sz, sr) = (g.binary("add", xz, hz)?, g.binary("add", xr, hr)?);
            (z, r) = (self.activate(g, 0, sz)?, self.activate(g, 0, sr)?);
            let hh = match self.late_bias {
                Some(b) => g.binary("add", hh, b)?,
                None => hh,
            };
            let reset = g.binary("mul", r, hh)?;
            candidate = g.binary("add", xh, reset)?;
        } else {
            let product = products.recurrent(g, h, &weights[..1])?;
            let (hz, hr) = (self.gate(g, product, 0)?, self.gate(g, product, 1)?);
            let (sz, sr) = (g.binary("add", xz, hz)?, g.binary("add", xr, hr)?);
            (z, r) = (self.activate(g, 0, sz)?, self.activate(g, 0, sr)?);
            let reset = g.binary("mul", r, h)?;
            let product = products.recurrent(g, reset, &weights[1..])?;
            candidate = g.binary("add", xh, product)?;
        }
        let candidate = self.activate(g, 1, candidate)?;
        let one = g.like(z, 1.0)?;
        let rest = g.binary("sub", one, z)?;
        let (new, kept) = (g.binary("mul", rest, candidate)?, g.binary("mul", z, h)?);
        Ok(vec![g.binary("add", new, kept)?])
    }
}

/// Activations of all directions; parameters are handed out in order to those that take them.
fn activations(im: &Importer<'_>, n: &Node<'_>, cell: Cell, directions: usize) -> Built<Vec<Activation>> {
    let defaults = cell.default_activations();
    let names: Vec<String> = match n.strings("activations").filter(|v| !v.is_empty()) {
        Some(names) => names,
        None => defaults.repeat(directions).into_iter().map(str::to_string).collect(),
    };
    if names.len() != defaults.len() * directions {
        let wanted = defaults.len() * directions;
        return Err(im.error("N0634", format!("{wanted} activations are needed, {} are given", names.len())));
    }
    let mut alphas = n.floats("activation_alpha").unwrap_or_default().into_iter();
    let mut betas = n.floats("activation_beta").unwrap_or_default().into_iter();
    names
        .into_iter()
        .map(|name| {
            let lower = name.to_ascii_lowercase();
            let (alpha, beta) =
                parameters(&lower).ok_or_else(|| im.error("N0634", format!("no activation is named {name:?}")))?;
            let take = |list: &mut std::vec::IntoIter<f32>, default: Option<f64>| match default {
                Some(d) => list.next().map_or(d, f64::from),
                None => 0.0,
            };
            Ok(Activation { name: lower, alpha: take(&mut alphas, alpha), beta: take(&mut betas, beta) })
        })
        .collect()
}
