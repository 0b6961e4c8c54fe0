//! Sequences and optional values. Values are shared, not copied.

use super::{Call, access::scalar_int, access::take};
use nim_tensor::{Tensor, Value, tensor::element_count};

/// Splits into more parts than this are taken for a mistake.
const MAX_PARTS: usize = 1 << 24;

fn list<'v>(call: &Call<'v>, i: usize) -> Result<&'v [Value], String> {
    match call.ins.get(i) {
        Some(Value::Sequence(values)) => Ok(values),
        Some(Value::Optional(Some(value))) => match value.as_ref() {
            Value::Sequence(values) => Ok(values),
            _ => Err(format!("operand {i} is no sequence")),
        },
        Some(Value::Optional(None)) => Err(format!("operand {i} is an optional sequence that is not there")),
        _ => Err(format!("operand {i} is no sequence")),
    }
}

/// A position that may count from the back; with `end` the place behind the last value too.
fn position(call: &Call<'_>, i: usize, length: usize, end: bool) -> Result<usize, String> {
    let at = scalar_int(call.tensor(i)?)?;
    let from_front = if at < 0 { at.checked_add_unsigned(length as u64) } else { Some(at) };
    let inside = from_front.and_then(|a| usize::try_from(a).ok()).filter(|&a| a < length + usize::from(end));
    inside.ok_or_else(|| format!("position {at} lies outside a sequence of {length} values"))
}

/// The program was compiled for tensors of one type and rank (ints from `at`; rank -1 for any).
fn checked(call: &Call<'_>, value: &Value, at: usize) -> Result<Value, String> {
    let (dtype, rank) = (call.dtype(at)?, call.int(at + 1)?);
    match value.as_tensor() {
        Some(t) if t.dtype() == dtype && (rank < 0 || t.rank() as i64 == rank) => Ok(value.clone()),
        Some(t) => Err(format!("a tensor of type {dtype} and rank {rank} is wanted, there is {t:?}")),
        None => Err(format!("a tensor of type {dtype} and rank {rank} is wanted, there is none")),
    }
}

/// `sequence.construct(x, ...) -> s`.
pub(super) fn construct(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![Value::Sequence(call.ins.to_vec())])
}

/// `sequence.at(s, position) -> x`. ints: element type and rank.
pub(super) fn at(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let values = list(call, 0)?;
    let at = position(call, 1, values.len(), false)?;
    Ok(vec![checked(call, &values[at], 0)?])
}

/// `sequence.insert(s, x, position) -> s`; at the end without a position.
pub(super) fn insert(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let mut values = list(call, 0)?.to_vec();
    let value = call.ins.get(1).ok_or("operand 1 is missing")?;
    let dtype = |v: &Value| v.as_tensor().map(Tensor::dtype);
    if let (Some(first), Some(new)) = (values.first().and_then(dtype), dtype(value))
        && first != new
    {
        return Err(format!("a sequence of {first} cannot take a tensor of {new}"));
    }
    let at = if call.ins.len() > 2 { position(call, 2, values.len(), true)? } else { values.len() };
    values.insert(at, value.clone());
    Ok(vec![Value::Sequence(values)])
}

/// `sequence.erase(s, position) -> s`; the last value without a position.
pub(super) fn erase(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let mut values = list(call, 0)?.to_vec();
    let at = match call.ins.len() {
        0 | 1 => values.len().checked_sub(1).ok_or("nothing can be taken from an empty sequence")?,
        _ => position(call, 1, values.len(), false)?,
    };
    values.remove(at);
    Ok(vec![Value::Sequence(values)])
}

/// `sequence.length(s) -> n`: an `i64` scalar.
pub(super) fn length(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![Tensor::scalar(list(call, 0)?.len() as i64).into()])
}

/// `sequence.concat(s) -> x`: all values joined along an axis, or stacked along a new one. ints: axis, whether it is new,
/// element type and rank of the values.
pub(super) fn concat(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let values = list(call, 0)?;
    let new = call.int(1)? != 0;
    let mut tensors = vec![];
    for value in values {
        let Value::Tensor(tensor) = checked(call, value, 2)? else { continue };
        tensors.push(tensor);
    }
    let first = tensors.first().ok_or("an empty sequence cannot be concatenated")?;
    let axis = super::axis(call.int(0)?, first.rank() + usize::from(new))?;
    let mut dims = first.dims().to_vec();
    if new {
        dims.insert(axis, 1);
    }
    let shapes: Vec<Vec<usize>> = tensors
        .iter()
        .map(|t| {
            let mut dims = t.dims().to_vec();
            if new {
                dims.insert(axis, 1);
            }
            dims
        })
        .collect();
    let fits = |d: &Vec<usize>| d.iter().zip(&dims).enumerate().all(|(i, (a, b))| i == axis || a == b);
    if let Some(other) = shapes.iter().find(|d| d.len() != dims.len() || !fits(d)) {
        return Err(format!("values of shapes {dims:?} and {other:?} cannot be joined along axis {axis}"));
    }
    dims[axis] = shapes.iter().fold(0usize, |sum, d| sum.saturating_add(d[axis]));
    call.env.admit(first.dtype(), &dims)?;
    let before: usize = element_count(&dims[..axis]).unwrap_or(0);
    let widths: Vec<usize> = shapes.iter().map(|d| d[axis..].iter().product()).collect();
    if first.as_strings().is_some() {
        let part = |r: usize| {
            tensors
                .iter()
                .zip(&widths)
                .flat_map(move |(t, &w)| t.as_strings().unwrap_or(&[])[r * w..(r + 1) * w].iter())
        };
        let all = (0..before).flat_map(part).cloned().collect();
        return Ok(vec![Tensor::strings(&dims, all).into()]);
    }
    let size = first.dtype().size();
    let mut bytes = vec![];
    for r in 0..before {
        for (t, &w) in tensors.iter().zip(&widths) {
            bytes.extend_from_slice(&t.bytes()[r * w * size..(r + 1) * w * size]);
        }
    }
    Ok(vec![Tensor::from_bytes(first.dtype(), &dims, bytes).into()])
}

/// `sequence.split(x, sizes) -> s`: parts along an axis: of one size when `sizes` is a scalar, of these sizes when it is a
/// list, of size 1 without it. ints: axis, whether parts of size 1 keep the axis.
pub(super) fn split(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.tensor(0)?;
    let axis = super::axis(call.int(0)?, x.rank())?;
    let (whole, keep) = (x.dims()[axis], call.int(1)? != 0 || call.ins.len() > 1);
    let equal = |each: usize| -> Result<Vec<usize>, String> {
        if each == 0 || whole.div_ceil(each) > MAX_PARTS {
            return Err(format!("an axis of size {whole} cannot be cut into parts of {each}"));
        }
        let mut sizes = vec![each; whole / each];
        sizes.extend(Some(whole % each).filter(|&rest| rest > 0));
        Ok(sizes)
    };
    let sizes = match call.ins.len() {
        0 | 1 => equal(1)?,
        _ if call.tensor(1)?.rank() == 0 => equal(super::count(scalar_int(call.tensor(1)?)?)?)?,
        _ => {
            let list = call.tensor(1)?.to_i64s().ok_or("sizes are integers")?;
            list.into_iter().map(super::count).collect::<Result<Vec<_>, _>>()?
        }
    };
    if sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s)) != Some(whole) {
        return Err(format!("parts of {sizes:?} do not make up an axis of size {whole}"));
    }
    let after: usize = x.dims()[axis + 1..].iter().product();
    let before: usize = element_count(&x.dims()[..axis]).unwrap_or(0);
    let mut start = 0;
    let mut parts = vec![];
    for size in sizes {
        let mut dims = x.dims().to_vec();
        dims[axis] = size;
        let positions = (0..before).flat_map(|b| {
            let from = (b * whole + start) * after;
            from..from + size * after
        });
        if !keep {
            dims.remove(axis);
        }
        parts.push(Value::Tensor(take(x, &dims, positions)));
        start += size;
    }
    Ok(vec![Value::Sequence(parts)])
}

/// `value.same(x) -> x`: under a type that says less.
pub(super) fn same(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    Ok(call.ins.to_vec())
}

/// `optional.some(x) -> o`.
pub(super) fn some(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let value = call.ins.first().ok_or("operand 0 is missing")?;
    Ok(vec![Value::Optional(Some(Box::new(value.clone())))])
}

/// `optional.none() -> o`.
pub(super) fn none(_: &mut Call<'_>) -> Result<Vec<Value>, String> {
    Ok(vec![Value::Optional(None)])
}

/// `optional.has(o) -> c`: a truth value. What is no optional is there.
pub(super) fn has(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let has = !matches!(call.ins.first(), None | Some(Value::Optional(None)));
    Ok(vec![Tensor::bools(&[], vec![has]).into()])
}

/// `optional.get(o) -> x`: the value, which must be there. ints: element type and rank of a tensor; none for other values.
pub(super) fn get(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let value = match call.ins.first() {
        Some(Value::Optional(Some(value))) => value.as_ref(),
        Some(Value::Optional(None)) | None => return Err("the value of an optional is taken, but there is none".into()),
        Some(other) => other,
    };
    Ok(vec![if call.ints.is_empty() { value.clone() } else { checked(call, value, 0)? }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Env, Function, random::Draws};

    fn run(function: Function, ints: &[i64], ins: &[Value]) -> Result<Value, String> {
        let env = &mut Env { limit: 1 << 20, seeds: Draws { seed: 1 }, drawn: 0 };
        Ok(function(&mut Call { ints, sizes: &[], ins, env })?.remove(0))
    }
    fn vector(values: &[i64]) -> Value {
        Tensor::new(&[values.len()], values.to_vec()).into()
    }
    fn number(value: i64) -> Value {
        Tensor::scalar(value).into()
    }

    #[test]
    fn values_come_and_go_at_positions() {
        let two = Value::Sequence(vec![vector(&[1]), vector(&[2, 3])]);
        let inserted = run(insert, &[], &[two.clone(), vector(&[9]), number(-1)]).unwrap();
        assert_eq!(inserted, Value::Sequence(vec![vector(&[1]), vector(&[9]), vector(&[2, 3])]));
        assert_eq!(run(erase, &[], &[inserted.clone(), number(1)]).unwrap(), two);
        assert_eq!(run(length, &[], &[inserted]).unwrap(), number(3));
        assert!(run(insert, &[], &[two.clone(), Tensor::scalar(1f32).into()]).is_err());
        let code = |dtype| crate::bytecode::field::dtype_code(dtype).into();
        let ints = [code(nim_tensor::DType::I64), 1];
        assert_eq!(run(at, &ints, &[two.clone(), number(-1)]).unwrap(), vector(&[2, 3]));
        assert!(run(at, &ints, &[two.clone(), number(2)]).is_err());
        assert!(run(at, &[ints[0], 2], &[two, number(0)]).is_err());
    }

    #[test]
    fn splitting_and_joining_undo_each_other() {
        let x: Value = Tensor::new(&[2, 5], (0..10i64).collect()).into();
        let parts = run(split, &[-1, 1], &[x.clone(), number(2)]).unwrap();
        let Value::Sequence(list) = &parts else { panic!("a sequence") };
        let shapes: Vec<&[usize]> = list.iter().map(|v| v.as_tensor().unwrap().dims()).collect();
        assert_eq!(shapes, [[2, 2], [2, 2], [2, 1]]);
        let code = crate::bytecode::field::dtype_code(nim_tensor::DType::I64).into();
        assert_eq!(run(concat, &[1, 0, code, 2], &[parts]).unwrap(), x);
        assert!(run(split, &[1, 1], &[x.clone(), vector(&[2, 2])]).is_err());
        assert!(run(split, &[1, 1], &[x.clone(), number(0)]).is_err());
        let rows = run(split, &[0, 0], std::slice::from_ref(&x)).unwrap();
        assert_eq!(run(concat, &[0, 1, code, 1], &[rows]).unwrap(), x);
    }

    #[test]
    fn optionals_are_there_or_not() {
        let some = run(some, &[], &[vector(&[1])]).unwrap();
        let none = run(none, &[], &[]).unwrap();
        assert_eq!(run(has, &[], std::slice::from_ref(&none)).unwrap(), Tensor::bools(&[], vec![false]).into());
        assert_eq!(run(get, &[], &[some]).unwrap(), vector(&[1]));
        assert!(run(get, &[], &[none]).is_err());
    }
}
