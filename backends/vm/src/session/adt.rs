//! Values of algebraic data types on their way in and out. They may be nested as deep as a list is long, so nothing here
//! recurses.

use crate::machine::slot::{Made, Slot};
use crate::program::{Signature, ValueType, describe};
use nim_tensor::Value;
use std::sync::Arc;

/// A value, or a field in it, that is not of its type.
pub(super) struct Unfit {
    pub(super) expected: String,
    pub(super) found: String,
}

/// A step of a walk from fields to the values that they are in.
enum Work<'a, T> {
    /// Convert this one, of this type.
    Visit(&'a ValueType, T),
    /// Put a value together of the last so many.
    Build(T, u32, usize),
}

/// A register's content for a value from outside.
pub(super) fn from_value(signature: &Signature, ty: &ValueType, value: &Value) -> Result<Slot, Unfit> {
    if !matches!(ty, ValueType::Adt(_)) {
        return leaf(ty, value);
    }
    let (mut work, mut done): (Vec<Work<'_, &Value>>, Vec<Slot>) = (vec![Work::Visit(ty, value)], vec![]);
    while let Some(step) = work.pop() {
        match step {
            Work::Visit(ValueType::Adt(name), value) => {
                let unfit = |why: &str| Unfit { expected: format!("a value of @{name}"), found: why.to_owned() };
                let Value::Adt(made) = value else { return Err(unfit(&describe(value))) };
                let constructors = signature.adt(name).map(|ty| ty.constructors.as_slice()).unwrap_or_default();
                let number = constructors.iter().position(|(name, _)| **name == *made.name);
                let Some(number) = number else {
                    let known: Vec<&str> = constructors.iter().map(|(name, _)| name.as_str()).collect();
                    let found = format!("`{}`, the type has {}", made.name, known.join(", "));
                    return Err(unfit(&found));
                };
                let fields = &constructors[number].1;
                if fields.len() != made.fields.len() {
                    let (name, wanted) = (&made.name, fields.len());
                    return Err(unfit(&format!("`{name}` of {} fields, it has {wanted}", made.fields.len())));
                }
                work.push(Work::Build(value, number as u32, fields.len()));
                // The last one first, so that they are done in order.
                work.extend(fields.iter().zip(&made.fields).rev().map(|(ty, field)| Work::Visit(ty, field)));
            }
            Work::Visit(ty, value) => done.push(leaf(ty, value)?),
            Work::Build(_, number, count) => {
                let fields = done.split_off(done.len() - count);
                done.push(Slot::Adt(Arc::new(Made { number, fields })));
            }
        }
    }
    Ok(done.pop().unwrap_or_default())
}

/// What is of no data type.
fn leaf(ty: &ValueType, value: &Value) -> Result<Slot, Unfit> {
    let fits = match (ty, value) {
        (ValueType::Tensor { dtype, dims }, Value::Tensor(t)) => t.dtype() == *dtype && t.rank() == dims.len(),
        (ValueType::Tensor { .. }, _) | (_, Value::Tensor(_) | Value::Adt(_) | Value::Function(_)) => false,
        _ => true,
    };
    if fits { Ok(Slot::from_value(value)) } else { Err(Unfit { expected: ty.to_string(), found: describe(value) }) }
}

/// A register's content for the world outside; `None` when it holds nothing that can be given out.
pub(super) fn to_value(signature: &Signature, ty: &ValueType, slot: &Slot) -> Option<Value> {
    if !matches!(ty, ValueType::Adt(_)) {
        return slot.to_value();
    }
    let (mut work, mut done): (Vec<Work<'_, &Slot>>, Vec<Value>) = (vec![Work::Visit(ty, slot)], vec![]);
    while let Some(step) = work.pop() {
        match step {
            Work::Visit(ValueType::Adt(name), slot) => {
                let Slot::Adt(made) = slot else { return None };
                let (_, fields) = signature.adt(name)?.constructors.get(made.number as usize)?;
                if fields.len() != made.fields.len() {
                    return None;
                }
                let name = signature.types.iter().position(|ty| ty.name == *name)?;
                work.push(Work::Build(slot, name as u32, fields.len()));
                work.extend(fields.iter().zip(&made.fields).rev().map(|(ty, field)| Work::Visit(ty, field)));
            }
            Work::Visit(_, slot) => done.push(slot.to_value()?),
            Work::Build(slot, ty, count) => {
                let Slot::Adt(made) = slot else { return None };
                let (name, _) = signature.types.get(ty as usize)?.constructors.get(made.number as usize)?;
                let fields = done.split_off(done.len() - count);
                done.push(nim_tensor::Made::adt(name.as_str(), fields));
            }
        }
    }
    done.pop()
}
