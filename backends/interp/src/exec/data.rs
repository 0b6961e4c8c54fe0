//! Algebraic data types and functions as values, at the levels of `graph` and of `dyn` alike.

use super::{Frame, Run};
use super::{STACK_LEFT, STACK_PIECE};
use nim_builtin::lambda::captured;
use nim_ir::{OpId, entity::EntityId};
use nim_tensor::{Made, Tensor, Value};
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
    if let Some(results) = run_lambda(frame, op, made, rest) {
        return results;
    }
    let target = interpreter.module.lookup(ctx, ctx.name(&made.name));
    let target = target.ok_or_else(|| frame.error(op, format!("there is no function `@{}`", made.name)))?;
    interpreter.call(target, &[made.fields.as_slice(), rest].concat(), &FxHashMap::default())
}

/// What stands before the numbers of a function's op and of a lambda in it: no function of a module has such a name.
const LAMBDA: &str = "#lambda";

/// A lambda holds the values that it takes from around, then names and values of all symbols.
pub(super) fn lambda(frame: &Frame<'_>, op: OpId) -> Run<Vec<Value>> {
    let owner = frame.owner.ok_or_else(|| frame.error(op, "a lambda is no constant"))?;
    let fetch = |v| frame.fetch(v).ok_or_else(|| frame.error(op, "what a lambda takes from around has no value"));
    let mut fields = captured(frame.body, op).into_iter().map(fetch).collect::<Run<Vec<Value>>>()?;
    let symbols: Vec<(String, i64)> =
        frame.symbols.iter().map(|(&s, &v)| (frame.ctx().exprs.symbol_name(s).to_owned(), v)).collect();
    let (names, values): (Vec<String>, Vec<i64>) = symbols.into_iter().unzip();
    fields.push(Tensor::strings(&[names.len()], names).into());
    fields.push(Tensor::new(&[values.len()], values).into());
    let name = format!("{LAMBDA} {} {}", owner.index(), op.index());
    Ok(vec![Value::Function(Arc::new(Made { name: name.into(), fields }))])
}

/// Calls a lambda; `None` when the function is none.
fn run_lambda(caller: &Frame<'_>, call: OpId, made: &Made, args: &[Value]) -> Option<Run<Vec<Value>>> {
    let mut numbers = made.name.strip_prefix(LAMBDA)?.split_whitespace().filter_map(|n| n.parse().ok());
    let (owner, op) = (OpId::from_index(numbers.next()?), OpId::from_index(numbers.next()?));
    let [captures @ .., Value::Tensor(names), Value::Tensor(values)] = made.fields.as_slice() else { return None };
    let exprs = &caller.ctx().exprs;
    let symbols = names
        .as_strings()
        .unwrap_or_default()
        .iter()
        .map(|n| exprs.symbol(n))
        .zip(values.elements::<i64>().iter().copied())
        .collect();
    let run = || {
        let inner = caller.interpreter.deeper(owner)?;
        let mut frame = inner.frame(owner, symbols)?;
        for (v, value) in captured(frame.body, op).into_iter().zip(captures) {
            frame.set(v, value.clone()).map_err(|m| caller.error(call, m))?;
        }
        let region = frame.body.regions(op).first().copied();
        let region = region.ok_or_else(|| caller.error(call, "a lambda without a region is called"))?;
        stacker::maybe_grow(STACK_LEFT, STACK_PIECE, || frame.region(op, region, args))
    };
    Some(run())
}
