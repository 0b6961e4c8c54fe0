//! An order of loops around a box of points, and where each operand is held.

use super::contraction::{Contraction, INPUT, OUTPUT, WEIGHT};
use super::slots::Slots;
use super::{Anchor, Dataflow};

/// Most points of a box: what is written out must stay readable for LLVM.
const MOST_POINTS: i64 = 400;

/// One loop; its iterations take `tile` steps along the dimension, all of them in the box.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loop {
    /// The dimension.
    pub dim: usize,
    /// Steps in the box; along the columns these are vectors.
    pub tile: i64,
}

/// How the points of a contraction are walked.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Outermost first.
    pub loops: Vec<Loop>,
    /// Dimensions that lie in the box as a whole: taps of the window.
    pub whole: Vec<usize>,
    /// For each operand the number of loops outside of its registers.
    pub held: [usize; 3],
    /// Whether rows of the window are walked by input.
    pub skewed: bool,
    /// Whether elements are kept from one step of a loop to the next.
    pub slide: bool,
    /// What it was made of.
    pub dataflow: Dataflow,
}

impl Walk {
    /// The walk of a dataflow; `None` where it has no meaning of its own, or its box is too large.
    pub fn new(c: &Contraction, point: Dataflow) -> Option<Walk> {
        let Dataflow { anchor, rows, columns, window, depth, slide, tiles } = point;
        let least = if anchor == Anchor::Input { c.windows.len() } else { 0 };
        if tiles
            || window < least
            || window > c.windows.len()
            || (rows > 1 && c.rows.is_empty())
            || (depth > 1 && c.depth.is_empty())
        {
            return None;
        }
        let tile = |dim: usize, tile: i64| Loop { dim, tile };
        let one = |dims: &[usize]| -> Vec<Loop> { dims.iter().map(|&k| tile(k, 1)).collect() };
        let tiled = |dims: &[usize], last: i64| -> Vec<Loop> {
            let mut loops = one(dims);
            if let Some(l) = loops.last_mut() {
                l.tile = last;
            }
            loops
        };
        let vectors = vec![tile(c.columns, columns)];
        let outside = &c.windows[..c.windows.len() - window];
        let taps: Vec<usize> = outside.iter().map(|w| w.tap).collect();
        let whole: Vec<usize> = c.windows[c.windows.len() - window..].iter().map(|w| w.tap).collect();
        let (all_rows, deep) = (tiled(&c.rows, rows), tiled(&c.depth, depth));
        let in_window = |k: &usize| c.windows.iter().any(|w| w.row == *k);
        let (own, others): (Vec<usize>, Vec<usize>) = c.rows.iter().copied().partition(in_window);
        let sequence = |parts: &[&[Loop]]| parts.concat();
        let batch = one(&c.batch);
        let (first, second) = match (anchor, slide) {
            (Anchor::Output, false) => (sequence(&[&batch, &all_rows, &vectors]), sequence(&[&deep, &one(&taps)])),
            (Anchor::Output, true) => return None,
            (Anchor::Weight, _) => (sequence(&[&batch, &vectors, &deep, &one(&taps)]), all_rows),
            (Anchor::Input, false) if c.windows.is_empty() => (sequence(&[&batch, &all_rows, &deep]), vectors),
            (Anchor::Input, false) => (sequence(&[&one(&others), &batch, &deep, &tiled(&own, rows)]), vectors),
            (Anchor::Input, true) if c.windows.is_empty() => return None,
            (Anchor::Input, true) => (sequence(&[&one(&others), &batch, &vectors, &deep]), tiled(&own, rows)),
        };
        let (middle, all) = (first.len(), first.len() + second.len());
        let held = match (anchor, slide) {
            (Anchor::Output, _) => [all, all, middle],
            (Anchor::Weight, _) | (Anchor::Input, true) => [all, middle, all],
            (Anchor::Input, false) => [middle, all, all],
        };
        let skewed = anchor == Anchor::Input && !c.windows.is_empty();
        let walk = Walk { loops: sequence(&[&first, &second]), whole, held, skewed, slide, dataflow: point };
        let points: i64 = walk.counts(c).iter().product();
        let slides = (0..3).any(|operand| walk.slide_of(c, operand).is_some());
        let larger = walk.loops.iter().any(|l| l.tile > 1 && c.known[l.dim].is_some_and(|n| l.tile > n));
        // What is held must stay: no loop inside moves it.
        let stays = (0..3).all(|o| walk.loops[walk.held[o]..].iter().all(|l| !c.moves(o, l.dim)));
        (points <= MOST_POINTS && stays && (!slide || slides) && !larger).then_some(walk)
    }

    /// Steps of the box along each dimension.
    pub fn counts(&self, c: &Contraction) -> Vec<i64> {
        let mut counts = vec![1; c.domain.len()];
        for l in &self.loops {
            counts[l.dim] = l.tile;
        }
        for w in c.windows.iter().filter(|w| self.whole.contains(&w.tap)) {
            counts[w.tap] = w.taps;
        }
        counts
    }

    /// The points of a box of so many steps along each dimension, rows innermost but for the columns.
    pub fn points(&self, c: &Contraction, counts: &[i64]) -> Vec<Vec<i64>> {
        let mut order: Vec<usize> = c.reductions().into_iter().rev().collect();
        order.retain(|k| counts[*k] > 1);
        // Taps outermost, so that sums under way follow each other at a distance.
        let mut dims: Vec<usize> = order.into_iter().rev().collect();
        let rest = (0..counts.len()).filter(|&k| counts[k] > 1 && k != c.columns);
        dims.extend(rest.filter(|k| !c.reductions().contains(k)).collect::<Vec<_>>());
        dims.push(c.columns);
        let mut out = vec![vec![0; counts.len()]];
        for k in dims {
            let step = if k == c.columns { c.lanes } else { c.stride[k] };
            let along = |at: &Vec<i64>| -> Vec<Vec<i64>> {
                let mut next = vec![];
                for i in 0..counts[k] {
                    let mut at = at.clone();
                    at[k] = i * step;
                    next.push(at);
                }
                next
            };
            out = out.iter().flat_map(along).collect();
        }
        if self.skewed {
            for at in &mut out {
                for w in &c.windows {
                    at[w.row] -= w.dilation * at[w.tap] / w.stride;
                }
            }
        }
        out
    }

    /// How far one step of the loop just outside of an operand's registers moves its elements, where some stay.
    pub fn slide_of(&self, c: &Contraction, operand: usize) -> Option<Vec<i64>> {
        let outside = self.held[operand].checked_sub(1)?;
        let l = self.loops.get(outside)?;
        // Only where it is the innermost loop does the next step follow at once.
        if !self.slide || self.held[operand] != self.loops.len() || l.dim == c.columns {
            return None;
        }
        let shift: Vec<i64> = c.steps[operand].iter().map(|s| s[l.dim] * l.tile * c.stride[l.dim]).collect();
        let slots = Slots::new(c, operand, &self.points(c, &self.counts(c)));
        let one = shift.iter().filter(|&&s| s != 0).count() == 1;
        let stays = one && slots.offsets().any(|o| slots.contains(&plus(o, &shift)));
        (stays && slots.sliding(&shift).period().is_some()).then_some(shift)
    }

    /// By how many rows results reach over the ends of their dimension when rows are walked by input.
    pub fn margin(&self, c: &Contraction, k: usize) -> i64 {
        match c.windows.iter().find(|w| w.row == k) {
            Some(w) if self.skewed => w.dilation * (w.taps - 1) / w.stride,
            _ => 0,
        }
    }

    /// Elements of each operand in the box, and how often they are used.
    pub fn slots(&self, c: &Contraction, operand: usize) -> (i64, i64) {
        let points = self.points(c, &self.counts(c));
        (Slots::new(c, operand, &points).len(), points.len() as i64)
    }

    /// Vector registers that an operand takes: one in passing where nothing is used twice.
    pub fn registers_of(&self, c: &Contraction, operand: usize) -> i64 {
        let (slots, uses) = self.slots(c, operand);
        let passing = self.held[operand] == self.loops.len() && uses == slots && self.slide_of(c, operand).is_none();
        if passing { 1 } else { slots }
    }

    /// Vector registers of all operands.
    pub fn registers(&self, c: &Contraction) -> i64 {
        [INPUT, WEIGHT, OUTPUT].iter().map(|&operand| self.registers_of(c, operand)).sum()
    }

    /// The operands beside the anchor that are held, and the registers they take: the paper's auxiliary stationarities.
    pub fn auxiliaries(&self, c: &Contraction) -> Vec<(&'static str, i64)> {
        let names = ["input", "weight", "output"];
        let operands = (0..3).filter(|&o| names[o] != self.dataflow.anchor.name());
        let held = operands.filter(|&o| {
            let (slots, uses) = self.slots(c, o);
            uses > slots || self.held[o] < self.loops.len() || self.slide_of(c, o).is_some()
        });
        held.map(|o| (names[o], self.slots(c, o).0)).collect()
    }
}

/// The sum of two offsets.
pub fn plus(a: &[i64], b: &[i64]) -> Vec<i64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
