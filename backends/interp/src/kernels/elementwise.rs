//! Elementwise operations, with NumPy broadcasting.

use super::access::{Elements, load, same_dtype, store, store_bools, strings, take_from};
use super::error::{KernelError, Result, ensure};
use super::index::{broadcast_dims, broadcast_positions, broadcast_strides, flat, for_each_index};
use crate::scalar::{
    BinaryOp, CompareOp, IntType, UnaryOp, bool_binary, float_binary, float_predicate, float_unary, int_binary,
    int_unary, pow_int_float,
};
use nim_tensor::Tensor;

/// Applies a unary operation to every element; predicates such as `isnan` give an `i1` tensor.
///
/// # Errors
/// The operation is not defined on the element type.
pub fn unary(op: UnaryOp, x: &Tensor) -> Result<Tensor> {
    let undefined = || KernelError::element_type(op.name(), x.dtype(), op.domain());
    let elements = match load(op.name(), x)? {
        Elements::Float(mut values) => {
            if let Some(predicate) = float_predicate(op) {
                Elements::Bool(values.into_iter().map(predicate).collect())
            } else {
                let function = float_unary(op).ok_or_else(undefined)?;
                values.iter_mut().for_each(|v| *v = function(*v));
                Elements::Float(values)
            }
        }
        Elements::Int(mut values) => {
            let ty = IntType::of(x.dtype()).ok_or_else(undefined)?;
            let function = int_unary(op).ok_or_else(undefined)?;
            values.iter_mut().for_each(|v| *v = function(*v, ty));
            Elements::Int(values)
        }
        Elements::Bool(values) if matches!(op, UnaryOp::Not | UnaryOp::BitwiseNot) => {
            Elements::Bool(values.into_iter().map(|v| !v).collect())
        }
        Elements::Bool(_) => return Err(undefined()),
    };
    store(op.name(), x.dtype(), x.dims(), elements)
}

/// Whether elements are infinite, of the signs asked for.
pub fn is_inf(x: &Tensor, detect_negative: bool, detect_positive: bool) -> Result<Tensor> {
    match (detect_negative, detect_positive) {
        (true, true) => unary(UnaryOp::IsInf, x),
        (true, false) => unary(UnaryOp::IsNegInf, x),
        (false, true) => unary(UnaryOp::IsPosInf, x),
        (false, false) => {
            ensure!(x.dtype().is_float(), "isinf", "element type {} has no infinities", x.dtype());
            store_bools("isinf", x.dims(), vec![false; x.len()])
        }
    }
}

/// Applies a binary operation to the broadcast operands. They have one element type; `pow` also takes an exponent of
/// any other numeric type and gives the type of its base.
///
/// # Errors
/// The shapes do not broadcast, the types differ, or the operation is not defined on them.
pub fn binary(op: BinaryOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let name = op.name();
    if op != BinaryOp::Pow {
        same_dtype(name, &[a, b])?;
    }
    let dims = broadcast_dims(name, &[a.dims(), b.dims()])?;
    let pa = broadcast_positions(a.dims(), &dims);
    let pb = broadcast_positions(b.dims(), &dims);
    let pairs = || pa.iter().copied().zip(pb.iter().copied());
    let undefined =
        || KernelError::invalid(name, format!("not defined on operands of types {} and {}", a.dtype(), b.dtype()));
    let elements = match (load(name, a)?, load(name, b)?) {
        (Elements::Float(x), Elements::Float(y)) => {
            let function = float_binary(op).ok_or_else(undefined)?;
            Elements::Float(pairs().map(|(i, j)| function(x[i], y[j])).collect())
        }
        (Elements::Int(x), Elements::Int(y)) => {
            let function = int_binary(op).ok_or_else(undefined)?;
            let ty = IntType::of(a.dtype()).ok_or_else(undefined)?;
            Elements::Int(pairs().map(|(i, j)| function(x[i], y[j], ty)).collect())
        }
        (Elements::Bool(x), Elements::Bool(y)) => {
            let function = bool_binary(op).ok_or_else(undefined)?;
            Elements::Bool(pairs().map(|(i, j)| function(x[i], y[j])).collect())
        }
        // Only `pow` comes this far with two types.
        (Elements::Float(x), Elements::Int(y)) => {
            Elements::Float(pairs().map(|(i, j)| x[i].powf(y[j] as f64)).collect())
        }
        (Elements::Int(x), Elements::Float(y)) => {
            let ty = IntType::of(a.dtype()).ok_or_else(undefined)?;
            Elements::Int(pairs().map(|(i, j)| pow_int_float(x[i], y[j], ty)).collect())
        }
        _ => return Err(undefined()),
    };
    store(name, a.dtype(), &dims, elements)
}

/// Compares the broadcast operands, which have one element type; strings compare by their code points.
pub fn compare(op: CompareOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let name = op.name();
    same_dtype(name, &[a, b])?;
    let dims = broadcast_dims(name, &[a.dims(), b.dims()])?;
    let pa = broadcast_positions(a.dims(), &dims);
    let pb = broadcast_positions(b.dims(), &dims);
    fn run<T: PartialOrd>(op: CompareOp, x: &[T], y: &[T], pa: &[usize], pb: &[usize]) -> Vec<bool> {
        pa.iter().zip(pb).map(|(&i, &j)| op.holds(x[i].partial_cmp(&y[j]))).collect()
    }
    let holds = if a.as_strings().is_some() {
        run(op, strings(name, a)?, strings(name, b)?, &pa, &pb)
    } else {
        match (load(name, a)?, load(name, b)?) {
            (Elements::Float(x), Elements::Float(y)) => run(op, &x, &y, &pa, &pb),
            (Elements::Int(x), Elements::Int(y)) => run(op, &x, &y, &pa, &pb),
            (Elements::Bool(x), Elements::Bool(y)) => run(op, &x, &y, &pa, &pb),
            _ => return Err(KernelError::element_type(name, a.dtype(), "numbers, i1 or strings")),
        }
    };
    store_bools(name, &dims, holds)
}

/// `condition ? a : b` elementwise over the broadcast operands; `a` and `b` have one element type, any.
pub fn select(condition: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "select";
    let chosen = super::access::bools(OP, condition)?;
    let dims = broadcast_dims(OP, &[condition.dims(), a.dims(), b.dims()])?;
    let [sc, sa, sb] = [condition, a, b].map(|t| broadcast_strides(t.dims(), &dims));
    let mut picks = Vec::new();
    for_each_index(&dims, |index| {
        let pick = if chosen[flat(index, &sc)] { (0, flat(index, &sa)) } else { (1, flat(index, &sb)) };
        picks.push(pick);
    });
    take_from(OP, &[a, b], &dims, &picks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nim_tensor::DType;

    #[test]
    fn binary_broadcasts() {
        let a = Tensor::new(&[2, 1], vec![1i32, 2]);
        let b = Tensor::new(&[3], vec![10i32, 20, 30]);
        let sum = binary(BinaryOp::Add, &a, &b).unwrap();
        assert_eq!(sum, Tensor::new(&[2, 3], vec![11i32, 21, 31, 12, 22, 32]));
        assert!(binary(BinaryOp::Add, &a, &Tensor::scalar(1i64)).is_err());
        let empty = Tensor::new::<i32>(&[0, 3], vec![]);
        assert_eq!(binary(BinaryOp::Mul, &empty, &b).unwrap().dims(), [0, 3]);
    }

    #[test]
    fn pow_takes_mixed_types() {
        let base = Tensor::new(&[2], vec![2i32, 3]);
        let power = binary(BinaryOp::Pow, &base, &Tensor::scalar(2.0f32)).unwrap();
        assert_eq!(power, Tensor::new(&[2], vec![4i32, 9]));
        let power = binary(BinaryOp::Pow, &Tensor::scalar(0.5f32), &base).unwrap();
        assert_eq!(power, Tensor::new(&[2], vec![0.25f32, 0.125]));
    }

    #[test]
    fn unary_keeps_the_type_and_predicates_do_not() {
        let x = Tensor::new(&[4], vec![f32::NAN, f32::NEG_INFINITY, 2.5, -0.5]);
        assert_eq!(unary(UnaryOp::IsNan, &x).unwrap(), Tensor::bools(&[4], vec![true, false, false, false]));
        assert_eq!(is_inf(&x, false, true).unwrap(), Tensor::bools(&[4], vec![false; 4]));
        assert_eq!(unary(UnaryOp::Round, &x).unwrap().elements::<f32>()[2..], [2.0, -0.0]);
        assert!(unary(UnaryOp::Exp, &Tensor::scalar(1i32)).is_err());
        assert_eq!(unary(UnaryOp::Neg, &Tensor::scalar(-128i8)).unwrap(), Tensor::scalar(-128i8));
    }

    #[test]
    fn compare_and_select_take_strings() {
        let s = Tensor::strings(&[2], vec!["a".into(), "b".into()]);
        let t = Tensor::strings(&[], vec!["b".into()]);
        let eq = compare(CompareOp::Eq, &s, &t).unwrap();
        assert_eq!(eq, Tensor::bools(&[2], vec![false, true]));
        let chosen = select(&eq, &s, &Tensor::strings(&[1], vec!["z".into()])).unwrap();
        assert_eq!(chosen.as_strings().unwrap(), ["z", "b"]);
        let big = Tensor::new(&[2], vec![u64::MAX, 1]);
        assert_eq!(
            compare(CompareOp::Gt, &big, &Tensor::scalar(2u64)).unwrap(),
            Tensor::bools(&[2], vec![true, false])
        );
        assert_eq!(select(&eq, &big, &big).unwrap().dtype(), DType::U64);
    }
}
