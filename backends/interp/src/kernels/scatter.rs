//! Writing at computed indices, in index order; negative indices count from the back.

use super::access::indices;
use super::access::{Elements, load, same_dtype, store, take_from};
use super::error::{KernelError, Result, ensure};
use super::gather::{coordinates, expect_inside};
use super::index::{axis, flat, position, product, strides, try_for_each_index};
use crate::scalar::{BinaryOp, IntType, bool_binary, float_binary, int_binary};
use nim_tensor::Tensor;

/// How a written value meets the one already there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduction {
    /// The later value replaces the earlier.
    None,
    /// Sum; for floating-point types accumulated in `f64`.
    Add,
    /// Product; for floating-point types accumulated in `f64`.
    Mul,
    /// The greater; NaN wins.
    Max,
    /// The lesser; NaN wins.
    Min,
}

impl Reduction {
    fn op(self) -> Option<BinaryOp> {
        match self {
            Reduction::None => None,
            Reduction::Add => Some(BinaryOp::Add),
            Reduction::Mul => Some(BinaryOp::Mul),
            Reduction::Max => Some(BinaryOp::Max),
            Reduction::Min => Some(BinaryOp::Min),
        }
    }
}

/// A copy of `x` in which `x[i..]`, with the index along the axis replaced by `index[i..]`, is updated by `updates[i..]`.
pub fn scatter_elements(
    x: &Tensor,
    index: &Tensor,
    updates: &Tensor,
    along: i64,
    reduction: Reduction,
) -> Result<Tensor> {
    const OP: &str = "scatter_elements";
    let along = axis(OP, along, x.rank())?;
    let wanted = indices(OP, index)?;
    expect_inside(OP, index.dims(), x.dims(), along)?;
    ensure!(
        index.dims() == updates.dims(),
        OP,
        "index shape {:?} and update shape {:?} differ",
        index.dims(),
        updates.dims()
    );
    let steps = strides(x.dims());
    let mut targets = Vec::with_capacity(wanted.len());
    try_for_each_index(index.dims(), |at| {
        let row = position(OP, wanted[targets.len()], x.dims()[along])?;
        targets.push(flat(at, &steps) - at[along] * steps[along] + row * steps[along]);
        Ok::<_, KernelError>(())
    })?;
    write(OP, x, updates, &targets, reduction)
}

/// A copy of `x` in which the blocks `x[index[i.., :]]` are updated by the blocks `updates[i..]`; the last dimension
/// of the index tensor holds coordinates.
pub fn scatter_nd(x: &Tensor, index: &Tensor, updates: &Tensor, reduction: Reduction) -> Result<Tensor> {
    const OP: &str = "scatter_nd";
    let table = coordinates(OP, x.dims(), index, 0)?;
    let rest = &x.dims()[table.depth..];
    let expected = [&index.dims()[..index.rank() - 1], rest].concat();
    ensure!(updates.dims() == expected, OP, "updates have shape {:?} instead of {expected:?}", updates.dims());
    let inner = if updates.is_empty() { 0 } else { product(rest) };
    let targets: Vec<_> = table.starts.iter().flat_map(|&start| (0..inner).map(move |i| start + i)).collect();
    write(OP, x, updates, &targets, reduction)
}

/// Writes update `i` to flat position `targets[i]`, one after the other.
fn write(op: &'static str, x: &Tensor, updates: &Tensor, targets: &[usize], reduction: Reduction) -> Result<Tensor> {
    same_dtype(op, &[x, updates])?;
    let Some(combine) = reduction.op() else {
        let mut picks: Vec<_> = (0..x.len()).map(|p| (0, p)).collect();
        for (update, &target) in targets.iter().enumerate() {
            picks[target] = (1, update);
        }
        return take_from(op, &[x, updates], x.dims(), &picks);
    };
    fn run<T: Copy>(into: &mut [T], from: &[T], targets: &[usize], combine: impl Fn(T, T) -> T) {
        for (&value, &target) in from.iter().zip(targets) {
            into[target] = combine(into[target], value);
        }
    }
    let undefined =
        || KernelError::invalid(op, format!("reduction {} is not defined on {}", combine.name(), x.dtype()));
    let mut elements = load(op, x)?;
    match (&mut elements, load(op, updates)?) {
        (Elements::Float(a), Elements::Float(b)) => {
            run(a, &b, targets, float_binary(combine).ok_or_else(undefined)?);
        }
        (Elements::Int(a), Elements::Int(b)) => {
            let ty = IntType::of(x.dtype()).ok_or_else(undefined)?;
            let function = int_binary(combine).ok_or_else(undefined)?;
            run(a, &b, targets, |p, q| ty.wrap(function(p, q, ty)));
        }
        (Elements::Bool(a), Elements::Bool(b)) => {
            run(a, &b, targets, bool_binary(combine).ok_or_else(undefined)?);
        }
        _ => return Err(undefined()),
    }
    store(op, x.dtype(), x.dims(), elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scatter_elements_in_order() {
        let x = Tensor::new(&[1, 4], vec![1f32, 2.0, 3.0, 4.0]);
        let index = Tensor::new(&[1, 3], vec![1i64, -1, 1]);
        let updates = Tensor::new(&[1, 3], vec![10f32, 20.0, 30.0]);
        let run =
            |reduction| scatter_elements(&x, &index, &updates, 1, reduction).unwrap().elements::<f32>().into_owned();
        assert_eq!(run(Reduction::None), [1.0, 30.0, 3.0, 20.0]);
        assert_eq!(run(Reduction::Add), [1.0, 42.0, 3.0, 24.0]);
        assert_eq!(run(Reduction::Mul), [1.0, 600.0, 3.0, 80.0]);
        assert_eq!(run(Reduction::Max), [1.0, 30.0, 3.0, 20.0]);
        assert_eq!(run(Reduction::Min), [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn scatter_nd_writes_blocks() {
        let x = Tensor::new(&[3, 2], vec![0i8; 6]);
        let index = Tensor::new(&[2, 1], vec![2i64, 0]);
        let updates = Tensor::new(&[2, 2], vec![1i8, 2, 3, 4]);
        let y = scatter_nd(&x, &index, &updates, Reduction::None).unwrap();
        assert_eq!(y, Tensor::new(&[3, 2], vec![3i8, 4, 0, 0, 1, 2]));
        assert!(scatter_nd(&x, &index, &x, Reduction::None).is_err());
        let strings = Tensor::strings(&[1], vec!["a".into()]);
        let index = Tensor::new(&[1, 1], vec![0i64]);
        let y = scatter_nd(&strings, &index, &Tensor::strings(&[1], vec!["b".into()]), Reduction::None).unwrap();
        assert_eq!(y.as_strings().unwrap(), ["b"]);
        assert!(scatter_nd(&strings, &index, &strings, Reduction::Add).is_err());
    }
}
