//! Which register holds which element of an operand.

use super::contraction::Contraction;
use super::walk::plus;
use std::collections::{BTreeMap, BTreeSet};

/// The elements that a box touches, by their place relative to the box. Elements that stay in a register while the box slides
/// keep it: the registers of a row are used in rotation.
#[derive(Clone, Debug)]
pub struct Slots {
    offsets: BTreeSet<Vec<i64>>,
    /// The number of each row along the index that slides.
    rows: BTreeMap<Vec<i64>, i64>,
    /// The sliding index, by how much it slides, its first offset, and the registers of a row.
    slide: Option<(usize, i64, i64, i64)>,
}

/// Most registers in rotation per one that is needed; so many copies of the loop's body there may be.
const MOST_PERIOD: i64 = 8;

/// Where a point of the box lies in an operand.
pub fn offset(c: &Contraction, operand: usize, at: &[i64]) -> Vec<i64> {
    c.steps[operand].iter().map(|steps| steps.iter().zip(at).map(|(s, a)| s * a).sum()).collect()
}

fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

impl Slots {
    /// The elements of an operand at these points.
    pub fn new(c: &Contraction, operand: usize, points: &[Vec<i64>]) -> Slots {
        let offsets: BTreeSet<Vec<i64>> = points.iter().map(|at| offset(c, operand, at)).collect();
        let rows = offsets.iter().enumerate().map(|(i, o)| (o.clone(), i as i64)).collect();
        Slots { offsets, rows, slide: None }
    }

    /// The same in rotation: each step moves them by `shift`.
    pub fn sliding(mut self, shift: &[i64]) -> Slots {
        let Some(axis) = shift.iter().position(|&s| s != 0) else { return self };
        let along = || self.offsets.iter().map(|o| o[axis]);
        let first = along().min().unwrap_or(0);
        let least = along().max().unwrap_or(0) - first + 1;
        let by = shift[axis].abs();
        let period = |size: i64| size / divisor(size, by);
        let best = (least..=2 * least).min_by_key(|&size| (period(size).max(3), size)).unwrap_or(least);
        let keys: BTreeSet<Vec<i64>> = self.offsets.iter().map(|o| without(o, axis)).collect();
        self.rows = keys.into_iter().zip(0..).collect();
        self.slide = (period(best) <= MOST_PERIOD).then_some((axis, shift[axis], first, best));
        if self.slide.is_none() {
            self.rows = self.offsets.iter().cloned().zip(0..).collect();
        }
        self
    }

    /// Steps until registers are in the same place again; `None` when they do not move.
    pub fn period(&self) -> Option<i64> {
        self.slide.map(|(_, by, _, size)| size / divisor(size, by.abs()))
    }

    /// Number of elements.
    pub fn len(&self) -> i64 {
        self.offsets.len() as i64
    }

    /// Number of registers, those included that stay empty for the sake of a short period.
    pub fn registers(&self) -> i64 {
        self.rows.len() as i64 * self.slide.map_or(1, |s| s.3)
    }

    /// All elements.
    pub fn offsets(&self) -> impl Iterator<Item = &Vec<i64>> {
        self.offsets.iter()
    }

    /// Whether an element is among them.
    pub fn contains(&self, offset: &[i64]) -> bool {
        self.offsets.contains(offset)
    }

    /// Elements that were there before a step of so much.
    pub fn carried(&self, shift: &[i64]) -> Vec<Vec<i64>> {
        self.offsets.iter().filter(|o| self.contains(&plus(o, shift))).cloned().collect()
    }

    /// The register of an element after so many steps.
    pub fn register(&self, offset: &[i64], steps: i64) -> i64 {
        match self.slide {
            None => self.rows.get(offset).copied().unwrap_or(0),
            Some((axis, by, first, size)) => {
                let row = self.rows.get(&without(offset, axis)).copied().unwrap_or(0);
                row * size + (offset[axis] - first + steps * by).rem_euclid(size)
            }
        }
    }
}

fn without(offset: &[i64], axis: usize) -> Vec<i64> {
    let mut out = offset.to_vec();
    out.remove(axis);
    out
}
