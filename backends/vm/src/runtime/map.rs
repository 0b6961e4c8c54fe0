//! Maps from keys (integers or text) to single elements, as `ai.onnx.ml` has them.

use super::{Call, count};
use nim_tensor::{DType, Tensor, Value, cast as cast_tensor};
use std::collections::BTreeMap;

/// A key. Integers and text never meet in one map.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Int(i64),
    Text(String),
}

fn keys(tensor: &Tensor) -> Result<Vec<Key>, String> {
    if let Some(texts) = tensor.as_strings() {
        return Ok(texts.iter().cloned().map(Key::Text).collect());
    }
    let ints = tensor.to_i64s().ok_or_else(|| format!("keys are integers or text, found {tensor:?}"))?;
    Ok(ints.into_iter().map(Key::Int).collect())
}

/// The entries of operand `i` in the order of their keys; every value is one element.
fn entries(call: &Call<'_>, i: usize) -> Result<BTreeMap<Key, Tensor>, String> {
    let Some(Value::Map(names, values)) = call.ins.get(i) else { return Err(format!("operand {i} is no map")) };
    let Value::Sequence(values) = values.as_ref() else { return Err("the values of a map are a sequence".into()) };
    let names = keys(names)?;
    if names.len() != values.len() {
        return Err(format!("a map of {} keys has {} values", names.len(), values.len()));
    }
    let single = |v: &Value| match v.as_tensor().filter(|t| t.len() == 1).and_then(|t| t.reshaped(&[])) {
        Some(one) => Ok(one),
        None => Err("a value of the map is not one element".to_string()),
    };
    names.into_iter().zip(values).map(|(key, v)| Ok((key, single(v)?))).collect()
}

/// Elements of one type in a row, `[1, n]`.
fn row(dtype: DType, elements: &[Tensor]) -> Result<Tensor, String> {
    let dims = [1, elements.len()];
    if dtype == DType::String {
        let texts = elements.iter().filter_map(Tensor::as_strings).flatten().cloned().collect::<Vec<_>>();
        return if texts.len() == elements.len() { Ok(Tensor::strings(&dims, texts)) } else { Err(unlike(dtype)) };
    }
    if elements.iter().any(|t| t.dtype() != dtype) {
        return Err(unlike(dtype));
    }
    let bytes = elements.iter().flat_map(|t| t.bytes().iter().copied()).collect();
    Ok(Tensor::from_bytes(dtype, &dims, bytes))
}

fn unlike(dtype: DType) -> String {
    format!("the values of the map are not all of type {dtype}")
}

/// What stands where a map has no value.
fn nothing(dtype: DType) -> Result<Tensor, String> {
    match dtype {
        DType::String => Ok(Tensor::strings(&[], vec![String::new()])),
        _ => cast_tensor(&Tensor::scalar(0f32), dtype, true).map_err(|e| e.to_string()),
    }
}

/// `map.zip(keys, x) -> s`: one map a row of `x` (`[rows, columns]` or `[columns]`), from the keys to the row's elements.
pub(super) fn zip(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (names, x) = (call.tensor(0)?, call.tensor(1)?);
    let sorted: BTreeMap<Key, usize> = keys(names)?.into_iter().zip(0..).collect();
    let columns = x.dims().last().copied().filter(|_| (1..=2).contains(&x.rank()));
    if columns != Some(names.len()) || sorted.len() != names.len() {
        return Err(format!("{} different keys cannot name the columns of {x:?}", sorted.len()));
    }
    let rows = if x.rank() == 2 { x.dims()[0] } else { 1 };
    let order: Vec<usize> = sorted.into_values().collect();
    let names = super::access::take(names, &[order.len()], order.iter().copied());
    let map = |row: usize| {
        let one =
            |&column: &usize| Value::Tensor(super::access::take(x, &[], [row * order.len() + column].into_iter()));
        Value::Map(names.clone(), Box::new(Value::Sequence(order.iter().map(one).collect())))
    };
    Ok(vec![Value::Sequence((0..rows).map(map).collect())])
}

/// `map.vector(m, keys) -> x`: the values at these keys in a row, `[1, n]`; zero or empty text where there is none. ints: element type.
pub(super) fn vector(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (map, dtype) = (entries(call, 0)?, call.dtype(0)?);
    let zero = nothing(dtype)?;
    let wanted = keys(call.tensor(1)?)?;
    let row = row(dtype, &wanted.iter().map(|key| map.get(key).unwrap_or(&zero).clone()).collect::<Vec<_>>())?;
    Ok(vec![row.into()])
}

/// `map.cast(m) -> x`: the values by ascending key in a row, `[1, n]`, as another type. ints: element type; the length of a row in
/// which each value stands at its key, or -1 for a row of the values only.
pub(super) fn cast(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (map, dtype, length) = (entries(call, 0)?, call.dtype(0)?, call.int(1)?);
    let converted = |t: &Tensor| -> Result<Tensor, String> {
        match (t.as_strings(), dtype) {
            (Some(_), DType::String) => Ok(t.clone()),
            (Some(text), _) => {
                let text = text.first().map_or("", |t| t.trim());
                let whole = text.parse::<i64>().map(Tensor::scalar);
                let number = whole.or_else(|_| text.parse::<f64>().map(Tensor::scalar));
                let number = number.map_err(|_| format!("{text:?} is no number"))?;
                cast_tensor(&number, dtype, true).map_err(|e| e.to_string())
            }
            // With six places, as C's `std::to_string` writes numbers.
            (None, DType::String) => Ok(Tensor::strings(&[], vec![format!("{:.6}", super::access::scalar_float(t)?)])),
            (None, _) => cast_tensor(t, dtype, true).map_err(|e| e.to_string()),
        }
    };
    if length < 0 {
        let all = map.values().map(converted).collect::<Result<Vec<_>, _>>()?;
        return Ok(vec![row(dtype, &all)?.into()]);
    }
    let length = count(length)?;
    call.env.admit(dtype, &[1, length])?;
    let mut all = vec![nothing(dtype)?; length];
    for (key, value) in &map {
        let Key::Int(at) = key else { return Err("keys that say where a value stands are integers".into()) };
        match usize::try_from(*at).ok() {
            Some(at) if at < length => all[at] = converted(value)?,
            Some(_) => {}
            None => return Err(format!("the key {at} is negative")),
        }
    }
    Ok(vec![row(dtype, &all)?.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Env, Function, random::Draws};

    fn run(function: Function, ints: &[i64], ins: &[Value]) -> Result<Value, String> {
        let env = &mut Env { limit: 1 << 20, seeds: Draws { seed: 1 }, drawn: 0 };
        Ok(function(&mut Call { ints, sizes: &[], ins, env })?.remove(0))
    }
    fn code(dtype: DType) -> i64 {
        crate::bytecode::field::dtype_code(dtype).into()
    }
    fn map(keys: Vec<i64>, values: Vec<Tensor>) -> Value {
        let values = values.into_iter().map(Value::Tensor).collect();
        Value::Map(Tensor::new(&[keys.len()], keys), Box::new(Value::Sequence(values)))
    }

    #[test]
    fn rows_become_maps_by_ascending_key() {
        let keys: Value = Tensor::new(&[2], vec![7i64, 3]).into();
        let maps = run(zip, &[], &[keys.clone(), Tensor::new(&[1, 2], vec![0.5f32, 2.0]).into()]).unwrap();
        assert_eq!(maps, Value::Sequence(vec![map(vec![3, 7], vec![Tensor::scalar(2f32), Tensor::scalar(0.5f32)])]));
        assert!(run(zip, &[], &[keys, Tensor::new(&[3], vec![0f32; 3]).into()]).is_err());
    }

    #[test]
    fn values_stand_at_their_keys() {
        let m = map(vec![4, 1], vec![Tensor::scalar(2f32), Tensor::scalar(-1.5f32)]);
        let f = code(DType::F32);
        let dense = run(cast, &[f, -1], std::slice::from_ref(&m)).unwrap();
        assert_eq!(dense, Tensor::new(&[1, 2], vec![-1.5f32, 2.0]).into());
        let sparse = run(cast, &[code(DType::I64), 3], std::slice::from_ref(&m)).unwrap();
        assert_eq!(sparse, Tensor::new(&[1, 3], vec![0i64, -1, 0]).into());
        let text = run(cast, &[code(DType::String), -1], std::slice::from_ref(&m)).unwrap();
        assert_eq!(text, Tensor::strings(&[1, 2], vec!["-1.500000".into(), "2.000000".into()]).into());
        let keys = Tensor::new(&[3], vec![1i64, 9, 4]).into();
        assert_eq!(run(vector, &[f], &[m, keys]).unwrap(), Tensor::new(&[1, 3], vec![-1.5f32, 0.0, 2.0]).into());
    }

    #[test]
    fn malformed_maps_are_refused() {
        let torn = Value::Map(Tensor::new(&[2], vec![1i64, 2]), Box::new(Value::Sequence(vec![])));
        assert!(run(cast, &[code(DType::F32), -1], &[torn]).is_err());
        let negative = map(vec![-1], vec![Tensor::scalar(2f32)]);
        assert!(run(cast, &[code(DType::F32), 3], &[negative]).is_err());
    }
}
