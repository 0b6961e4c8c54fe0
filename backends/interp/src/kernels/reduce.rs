//! Reductions over axes, and positions of extrema.

use super::access::{Elements, load, store, store_ints};
use super::error::{KernelError, Result, ensure};
use super::index::{axis, axis_set, flat, for_each_index, strides};
use crate::scalar::{BinaryOp, IntType, bool_binary, float_binary, int_binary};
use nim_tensor::{DType, Tensor};
use std::cmp::Ordering;

/// What a reduction computes. Over no element it gives the neutral element: for `max` and `min` the lowest and
/// highest value of the type, infinities where it has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ReduceOp {
    Sum,
    Prod,
    /// NaN if one element is NaN.
    Max,
    /// NaN if one element is NaN.
    Min,
    /// Of truth values.
    And,
    /// Of truth values.
    Or,
}

impl ReduceOp {
    /// The name as the `graph` dialect and error messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "reduce_sum",
            ReduceOp::Prod => "reduce_prod",
            ReduceOp::Max => "reduce_max",
            ReduceOp::Min => "reduce_min",
            ReduceOp::And => "reduce_and",
            ReduceOp::Or => "reduce_or",
        }
    }

    fn combiner(self) -> BinaryOp {
        match self {
            ReduceOp::Sum => BinaryOp::Add,
            ReduceOp::Prod => BinaryOp::Mul,
            ReduceOp::Max => BinaryOp::Max,
            ReduceOp::Min => BinaryOp::Min,
            ReduceOp::And => BinaryOp::And,
            ReduceOp::Or => BinaryOp::Or,
        }
    }

    fn neutral_float(self) -> f64 {
        match self {
            ReduceOp::Prod => 1.0,
            ReduceOp::Max => f64::NEG_INFINITY,
            ReduceOp::Min => f64::INFINITY,
            _ => 0.0,
        }
    }

    fn neutral_int(self, ty: IntType) -> i128 {
        match self {
            ReduceOp::Prod => 1,
            ReduceOp::Max => ty.min(),
            ReduceOp::Min => ty.max(),
            _ => 0,
        }
    }
}

/// Combines all elements along the axes, which become 1 or disappear; no axis means no reduction.
///
/// Floating-point sums and products are accumulated in `f64`, in row-major order, and rounded once.
pub fn reduce(op: ReduceOp, x: &Tensor, axes: &[i64], keepdims: bool) -> Result<Tensor> {
    let name = op.name();
    let reduced = axis_set(name, axes, x.rank())?;
    let kept: Vec<_> = (0..x.rank()).map(|d| if reduced[d] { 1 } else { x.dims()[d] }).collect();
    let count = super::index::checked_count(name, &kept)?;
    // Along reduced axes every element goes to the same place.
    let steps: Vec<_> = strides(&kept).into_iter().zip(&reduced).map(|(s, &r)| if r { 0 } else { s }).collect();
    let mut targets = Vec::with_capacity(x.len());
    for_each_index(x.dims(), |index| targets.push(flat(index, &steps)));

    fn run<T: Copy>(values: &[T], targets: &[usize], count: usize, neutral: T, f: impl Fn(T, T) -> T) -> Vec<T> {
        let mut result = vec![neutral; count];
        for (&value, &target) in values.iter().zip(targets) {
            result[target] = f(result[target], value);
        }
        result
    }
    let undefined = || KernelError::element_type(name, x.dtype(), "a type it is defined on");
    let combine = op.combiner();
    let elements = match load(name, x)? {
        Elements::Float(values) => {
            let function = float_binary(combine).ok_or_else(undefined)?;
            Elements::Float(run(&values, &targets, count, op.neutral_float(), function))
        }
        Elements::Int(values) => {
            let ty = IntType::of(x.dtype()).ok_or_else(undefined)?;
            let function = int_binary(combine).ok_or_else(undefined)?;
            // Products of many elements leave i128, so each step wraps.
            Elements::Int(run(&values, &targets, count, op.neutral_int(ty), |a, b| ty.wrap(function(a, b, ty))))
        }
        Elements::Bool(values) => {
            let function = bool_binary(combine).ok_or_else(undefined)?;
            let neutral = matches!(op, ReduceOp::And | ReduceOp::Min);
            Elements::Bool(run(&values, &targets, count, neutral, function))
        }
    };
    let dims: Vec<_> =
        if keepdims { kept } else { (0..x.rank()).filter(|&d| !reduced[d]).map(|d| x.dims()[d]).collect() };
    store(name, x.dtype(), &dims, elements)
}

/// Which extremum [`arg_extremum`] looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Extremum {
    Max,
    Min,
}

/// The `i64` index of the extremum along an axis: the first, or the last of equal ones. A NaN is the extremum.
///
/// # Errors
/// The axis has size 0 while the result would have elements.
pub fn arg_extremum(
    which: Extremum,
    x: &Tensor,
    along: i64,
    keepdims: bool,
    select_last_index: bool,
) -> Result<Tensor> {
    let op = match which {
        Extremum::Max => "arg_max",
        Extremum::Min => "arg_min",
    };
    let along = axis(op, along, x.rank())?;
    let size = x.dims()[along];
    let mut kept = x.dims().to_vec();
    kept[along] = 1;
    let count = super::index::checked_count(op, &kept)?;
    ensure!(size > 0 || count == 0, op, "axis {along} has no element");
    let step = strides(x.dims())[along];
    let mut result = Vec::with_capacity(count);
    let beats = |order: Ordering| match order {
        Ordering::Equal => select_last_index,
        order => (order == Ordering::Greater) == (which == Extremum::Max),
    };
    let mut search = |order: &dyn Fn(usize, usize) -> Ordering| {
        let steps = strides(x.dims());
        for_each_index(&kept, |index| {
            let start = flat(index, &steps);
            let mut best = 0;
            for i in 1..size {
                if beats(order(start + i * step, start + best * step)) {
                    best = i;
                }
            }
            result.push(best as i128);
        });
    };
    match load(op, x)? {
        Elements::Float(v) => search(&|i, j| match (v[i].is_nan(), v[j].is_nan()) {
            (true, true) => Ordering::Equal,
            // NaN beats every number, in whichever direction we look.
            (true, false) if which == Extremum::Max => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) if which == Extremum::Max => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => v[i].partial_cmp(&v[j]).unwrap_or(Ordering::Equal),
        }),
        Elements::Int(v) => search(&|i, j| v[i].cmp(&v[j])),
        Elements::Bool(v) => search(&|i, j| v[i].cmp(&v[j])),
    }
    if !keepdims {
        kept.remove(along);
    }
    store_ints(op, DType::I64, &kept, &result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduces_over_axes() {
        let x = Tensor::new(&[2, 3], vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(reduce(ReduceOp::Sum, &x, &[0], false).unwrap(), Tensor::new(&[3], vec![5f32, 7.0, 9.0]));
        assert_eq!(reduce(ReduceOp::Prod, &x, &[-1], true).unwrap(), Tensor::new(&[2, 1], vec![6f32, 120.0]));
        assert_eq!(reduce(ReduceOp::Max, &x, &[0, 1], false).unwrap(), Tensor::scalar(6f32));
        assert_eq!(reduce(ReduceOp::Min, &x, &[], false).unwrap(), x);
        assert!(reduce(ReduceOp::And, &x, &[0], false).is_err());
        assert!(reduce(ReduceOp::Sum, &x, &[0, 0], false).is_err());
    }

    #[test]
    fn empty_reductions_give_the_neutral_element() {
        let x = Tensor::new::<f32>(&[2, 0], vec![]);
        let of = |op| reduce(op, &x, &[1], false).unwrap().elements::<f32>()[0];
        assert_eq!((of(ReduceOp::Sum), of(ReduceOp::Prod)), (0.0, 1.0));
        assert_eq!((of(ReduceOp::Max), of(ReduceOp::Min)), (f32::NEG_INFINITY, f32::INFINITY));
        let x = Tensor::new::<u8>(&[0], vec![]);
        assert_eq!(reduce(ReduceOp::Min, &x, &[0], false).unwrap(), Tensor::scalar(255u8));
        let x = Tensor::bools(&[0], vec![]);
        assert_eq!(reduce(ReduceOp::And, &x, &[0], false).unwrap(), Tensor::bools(&[], vec![true]));
    }

    #[test]
    fn sums_are_rounded_once() {
        // 1 + 2^-24 + 2^-24: adding in f32 would lose both small terms.
        let tiny = 2f32.powi(-24);
        let x = Tensor::new(&[3], vec![1.0, tiny, tiny]);
        assert_eq!(reduce(ReduceOp::Sum, &x, &[0], false).unwrap(), Tensor::scalar(1.0 + 2f32.powi(-23)));
        let x = Tensor::new(&[2], vec![100i8, 100]);
        assert_eq!(reduce(ReduceOp::Sum, &x, &[0], false).unwrap(), Tensor::scalar(-56i8));
    }

    #[test]
    fn positions_of_extrema() {
        let x = Tensor::new(&[2, 3], vec![1f32, 3.0, 3.0, 2.0, f32::NAN, 9.0]);
        let arg = |which, last| arg_extremum(which, &x, 1, false, last).unwrap().elements::<i64>().into_owned();
        assert_eq!(arg(Extremum::Max, false), [1, 1]);
        assert_eq!(arg(Extremum::Max, true), [2, 1]);
        assert_eq!(arg(Extremum::Min, false), [0, 1]);
        assert_eq!(arg_extremum(Extremum::Max, &x, 0, true, false).unwrap().dims(), [1, 3]);
        assert!(arg_extremum(Extremum::Max, &Tensor::new::<i8>(&[0], vec![]), 0, false, false).is_err());
        assert!(arg_extremum(Extremum::Max, &Tensor::scalar(1i8), 0, false, false).is_err());
    }
}
