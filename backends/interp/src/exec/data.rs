//! Algebraic data types and functions as values, at the levels of `graph` and of `dyn` alike.

use super::{Frame, Run};
use nim_ir::OpId;
use nim_tensor::{Made, Value};
use rustc_hash::FxHashMap;
use std::sync::Arc;

pub(super) fn construct(frame: &Frame<'_>, op: OpId, fields: Vec<Value>) -> Run<Vec<Value>> {
    let name = frame.body.attr_named(frame.ctx(), op, "constructor").and_then(|a| frame.ctx().as_string(a));
    Ok(vec![Made::adt(name.unwrap_or_default(), fields)])
}

/// Runs the case of the constructor that a value was made by.
pub(super) fn choose(frame: &mut Frame<'_>, op: OpId, operands: &[Value]) -> Run<Vec<Value>> {
    let Some(Value::Adt(made)) = operands.first() else {
        return Err(frame.error(op, "what is matched is no value of a data type"));
    };
    let names = nim_builtin::adt::cases(frame.ctx(), frame.body, op);
    let case = |name: &str| names.iter().position(|&n| n == name);
    let at = case(&made.name).or_else(|| case(nim_builtin::adt::OTHERWISE));
    let region = at.and_then(|at| frame.body.regions(op).get(at).copied());
    let region = region.ok_or_else(|| frame.error(op, format!("no case takes `{}`", made.name)))?;
    frame.region(op, region, &made.fields)
}

pub(super) fn closure(frame: &Frame<'_>, op: OpId, captured: Vec<Value>) -> Run<Vec<Value>> {
    let callee = frame.body.attr_named(frame.ctx(), op, "callee").and_then(|a| frame.ctx().as_symbol_ref(a));
    let name = callee.map(|name| frame.ctx().str(name)).unwrap_or_default();
    Ok(vec![Value::Function(Arc::new(Made { name: name.into(), fields: captured }))])
}

pub(super) fn call_indirect(frame: &Frame<'_>, op: OpId, operands: Vec<Value>) -> Run<Vec<Value>> {
    let (ctx, interpreter) = (frame.ctx(), frame.interpreter);
    let Some((Value::Function(made), rest)) = operands.split_first() else {
        return Err(frame.error(op, "what is called is no function"));
    };
    let target = interpreter.module.lookup(ctx, ctx.name(&made.name));
    let target = target.ok_or_else(|| frame.error(op, format!("there is no function `@{}`", made.name)))?;
    interpreter.call(target, &[made.fields.as_slice(), rest].concat(), &FxHashMap::default())
}
