//! Whether two modules compute the same: a function is run by the interpreter on given inputs, or on made-up ones.

use nim_ir::{Body, Context, Expr, Module, Type};
use nim_tensor::{
    DType, Tensor, Value,
    compare::{Difference, Tolerance, compare},
};
use std::{collections::BTreeMap, str::FromStr};

/// The value of an input: `NAME=2x3xf32=1,2,3,4,5,6`; one number stands for all elements.
#[derive(Clone, Debug)]
pub struct Input {
    /// The name of the function's argument.
    pub name: String,
    /// Its value.
    pub value: Tensor,
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Input, String> {
        let form = || format!("`{text}` is no input; write NAME=2x3xf32=1,2,3,4,5,6 or NAME=2x3xf32=0.5");
        let (rest, numbers) = text.rsplit_once('=').ok_or_else(form)?;
        let (name, ty) = rest.rsplit_once('=').ok_or_else(form)?;
        let (dims, element) = ty.rsplit_once('x').unwrap_or(("", ty));
        let dtype = DType::ALL.into_iter().find(|d| d.name() == element).ok_or_else(form)?;
        let dims: Option<Vec<usize>> = match dims {
            "" => Some(vec![]),
            dims => dims.split('x').map(|d| d.parse().ok()).collect(),
        };
        let dims = dims.ok_or_else(form)?;
        let numbers: Option<Vec<f64>> = numbers.split(',').map(|n| n.trim().parse().ok()).collect();
        let mut numbers = numbers.ok_or_else(form)?;
        let count = nim_tensor::tensor::element_count(&dims).filter(|&n| n < 1 << 28).ok_or_else(form)?;
        if let [one] = numbers[..] {
            numbers = vec![one; count];
        }
        let value = Tensor::from_f64s(dtype, &dims, &numbers).map_err(|e| format!("`{text}`: {e}"))?;
        Ok(Input { name: name.into(), value })
    }
}

/// What is run, on what, and how far results may be off.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// The function.
    pub function: String,
    /// Inputs that are given; the others are made up.
    pub inputs: Vec<Input>,
    /// Relative tolerance of floats; 0 asks for equal numbers.
    pub tolerance: f64,
}

/// Sizes that symbols have where inputs are made up.
const SIZES: [i64; 4] = [3, 2, 5, 4];

impl Oracle {
    /// The inputs of the function: those given, and numbers of its own for the others.
    ///
    /// # Errors
    /// There is no such function or argument, or an argument has a type that no numbers can be made up for.
    pub fn arguments(&self, ctx: &Context, module: &Module) -> Result<Vec<Value>, String> {
        let op = module.lookup(ctx, ctx.name(&self.function));
        let op = op.ok_or_else(|| format!("there is no function `@{}`", self.function))?;
        let none = || format!("`@{}` has no body", self.function);
        let body = module.body.nested(op).ok_or_else(none)?;
        let entry = body.entry().ok_or_else(none)?;
        let mut left: Vec<&str> = self.inputs.iter().map(|i| i.name.as_str()).collect();
        let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
        let mut values = vec![];
        for (i, &arg) in body.block_args(entry).iter().enumerate() {
            let name = body.value_name(arg).map(|n| ctx.str(n));
            match self.inputs.iter().find(|input| Some(input.name.as_str()) == name) {
                Some(input) => {
                    left.retain(|n| Some(*n) != name);
                    note_sizes(ctx, body.ty(arg), &input.value, &mut sizes);
                    values.push(Some(input.value.clone()));
                }
                None => values.push(None),
            }
            debug_assert_eq!(values.len(), i + 1);
        }
        if let Some(name) = left.first() {
            return Err(format!("`@{}` has no argument `%{name}`", self.function));
        }
        let made = |(i, value): (usize, Option<Tensor>)| match value {
            Some(value) => Ok(Value::Tensor(value)),
            None => self.make(ctx, body, entry, i, &mut sizes).map(Value::Tensor),
        };
        values.into_iter().enumerate().map(made).collect()
    }

    fn make(
        &self,
        ctx: &Context,
        body: &Body,
        entry: nim_ir::BlockId,
        i: usize,
        sizes: &mut BTreeMap<String, i64>,
    ) -> Result<Tensor, String> {
        let ty = body.ty(body.block_args(entry)[i]);
        let cannot = || format!("argument {i} of `@{}` needs a value: {}", self.function, ctx.display_type(ty));
        let dtype = ctx.dtype_of(ty).ok_or_else(cannot)?;
        let dims = ctx.dims(ty).ok_or_else(cannot)?;
        let dims: Option<Vec<usize>> =
            dims.iter().map(|d| usize::try_from(size(ctx, d.expr()?, sizes)?).ok()).collect();
        let dims = dims.ok_or_else(cannot)?;
        let count = nim_tensor::tensor::element_count(&dims).filter(|&n| n < 1 << 28).ok_or_else(cannot)?;
        // Small numbers of both signs, none of them a sum of few others.
        let number = |k: usize| match dtype.is_float() {
            true => ((k * 37 + i * 11 + 5) % 23) as f64 / 8.0 - 1.3,
            false => ((k + i) % 2) as f64,
        };
        let numbers: Vec<f64> = (0..count).map(number).collect();
        Tensor::from_f64s(dtype, &dims, &numbers).map_err(|_| cannot())
    }

    /// Runs the function.
    ///
    /// # Errors
    /// What the interpreter says.
    pub fn run(&self, ctx: &Context, module: &Module, inputs: &[Value]) -> Result<Vec<Value>, String> {
        let found = nim_interp::exec::run(ctx, module, &self.function, inputs);
        found.map_err(|d| format!("{}: {}", d.code, d.message))
    }

    /// How results differ from what is expected; `None` when they agree.
    pub fn difference(&self, found: &[Value], expected: &[Value]) -> Option<String> {
        if found.len() != expected.len() {
            return Some(format!("there are {} results, {} are expected", found.len(), expected.len()));
        }
        let (rtol, small) = (self.tolerance, self.tolerance / 100.0);
        let tolerance = Tolerance { rtol, atol: small, scaled_atol: small };
        found.iter().zip(expected).enumerate().find_map(|(i, (found, expected))| {
            let first = compare(found, expected, &tolerance).first?;
            Some(format!("result {i}{}: {}", first.path, describe(&first.difference)))
        })
    }
}

fn describe(difference: &Difference) -> String {
    match difference {
        Difference::Kind { found, expected } => format!("{found} instead of {expected}"),
        Difference::DType { found, expected } => format!("elements of {found} instead of {expected}"),
        Difference::Dims { found, expected } => format!("shape {found:?} instead of {expected:?}"),
        Difference::Length { found, expected } => format!("{found} values instead of {expected}"),
        Difference::Element { index, found, expected } => format!("element {index:?} is {found} instead of {expected}"),
    }
}

fn note_sizes(ctx: &Context, ty: Type, value: &Tensor, sizes: &mut BTreeMap<String, i64>) {
    for (dim, &size) in ctx.dims(ty).unwrap_or_default().iter().zip(value.dims()) {
        if let Some(symbol) = dim.expr().and_then(|e| ctx.exprs.as_symbol(e)) {
            sizes.insert(ctx.exprs.symbol_name(symbol).to_string(), size as i64);
        }
    }
}

/// An expression with numbers in place of its symbols, which get one where they have none.
fn size(ctx: &Context, e: Expr, sizes: &mut BTreeMap<String, i64>) -> Option<i64> {
    let mut number = |symbol| {
        let next = SIZES[sizes.len() % SIZES.len()];
        let size = *sizes.entry(ctx.exprs.symbol_name(symbol).to_string()).or_insert(next);
        Some(ctx.exprs.constant(size))
    };
    ctx.exprs.as_const(ctx.exprs.substitute(e, &mut number))
}
