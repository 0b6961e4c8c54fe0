//! From `dyn` to bytecode: the host program.
//!
//! Each function of a module becomes a function of the program, each value a register, each symbol a symbol register.
//! Sizes that appear in types get their values where the rule of the `dyn` level says: at the first value, in the order of
//! definition, whose type has the bare symbol as a dimension.

mod control;
mod facts;
mod function;
mod runtime;
mod sizes;

use crate::KernelInfo;
use crate::emit::facts::KernelFacts;
use function::Emitter;
use nim_builtin::func;
use nim_ir::{Attr, Context, Diagnostic, Loc, Module, Name, OpId, Type};
use nim_vm::bytecode::{ConstId, DeviceId, FunctionId};
use nim_vm::code_image::CodeImage;
use nim_vm::{AdtType, ProgramBuilder, Signature, SignatureValue, ValueType};
use rustc_hash::FxHashMap;

/// What the functions of a program share while they are written.
struct Shared<'a> {
    ctx: &'a Context,
    builder: ProgramBuilder,
    functions: FxHashMap<Name, FunctionId>,
    kernels: FxHashMap<Name, KernelFacts>,
    constants: FxHashMap<(Attr, DeviceId), ConstId>,
    /// Names of the constructors of each data type, in order.
    constructors: FxHashMap<Name, Vec<String>>,
}

/// Writes the function called `entry` of a module at the `dyn` level, and all that it may call, as a program. `code` has
/// its kernels; what is said of them in `kernels` goes into the program for profiles.
///
/// # Errors
/// All that the bytecode has no form for.
pub fn emit_program(
    ctx: &Context,
    module: &Module,
    entry: &str,
    code: Option<CodeImage>,
    kernels: &[KernelInfo],
) -> Result<ProgramBuilder, Vec<Diagnostic>> {
    // A declaration has no bytecode: whatever calls it says so.
    let has_body = |op: OpId| module.body.nested(op).is_some_and(|body| body.entry().is_some());
    let functions: Vec<OpId> =
        module.ops().filter(|&op| func::Func::is(ctx, &module.body, op) && has_body(op)).collect();
    let Some(main) = functions.iter().copied().find(|&op| module.symbol_name(ctx, op) == Some(entry)) else {
        let message = format!("the module has no function `{entry}`");
        return Err(vec![Diagnostic::error("N0740", Loc::UNKNOWN, message)]);
    };
    let types = data_types(ctx, module);
    let producer = concat!("nim ", env!("CARGO_PKG_VERSION"));
    let mut shared = Shared {
        ctx,
        builder: ProgramBuilder::new(producer),
        functions: FxHashMap::default(),
        kernels: facts::of_module(ctx, module),
        constants: FxHashMap::default(),
        constructors: types
            .iter()
            .map(|ty| (ctx.name(&ty.name), ty.constructors.iter().map(|c| c.0.clone()).collect()))
            .collect(),
    };
    // The first function is the program.
    let order: Vec<OpId> = std::iter::once(main).chain(functions.into_iter().filter(|&op| op != main)).collect();
    for &op in &order {
        let name = module.symbol_name(ctx, op).unwrap_or_default();
        let id = shared.builder.declare(name);
        shared.functions.insert(ctx.name(name), id);
    }
    let mut found = vec![];
    for &op in &order {
        let Some(body) = module.body.nested(op) else { continue };
        let name = module.symbol_name(ctx, op).unwrap_or_default();
        let id = shared.functions[&ctx.name(name)];
        let results = func::signature(ctx, &module.body, op).map_or(0, |(_, r)| r.len());
        match Emitter::new(&mut shared, body).function(name, results) {
            Ok(function) => shared.builder.define(id, function),
            Err(more) => found.extend(more),
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    let mut builder = shared.builder;
    let signature = signature(ctx, module, main, types);
    let values = signature.inputs.iter().chain(&signature.outputs).map(|value| &value.ty);
    let fields = signature.types.iter().flat_map(|ty| &ty.constructors).flat_map(|(_, fields)| fields);
    if let Some(ValueType::Other(text)) =
        values.chain(fields).find(|ty| matches!(ty, ValueType::Other(text) if text.starts_with('(')))
    {
        let message = format!("a program cannot take or give a function: {text}");
        return Err(vec![Diagnostic::error("N0755", module.body.loc(main), message)]);
    }
    builder.signature(signature);
    kernels.iter().for_each(|kernel| cost(ctx, &mut builder, kernel));
    if let Some(code) = code {
        builder.code(code);
    }
    Ok(builder)
}

/// What a kernel costs, for profiles, with its symbols as registers in the order of its ABI.
fn cost(ctx: &Context, builder: &mut ProgramBuilder, kernel: &KernelInfo) {
    let Some(cost) = &kernel.cost else { return };
    let pool = &ctx.exprs;
    let mut register = |s| kernel.symbols.iter().position(|n| *n == pool.symbol_name(s)).map(|i| i as u32);
    let mut size = |expr| builder.size(pool, expr, &mut register).ok();
    // A formula that the kernel's own symbols do not determine is left out: nothing depends on it.
    if let (Some(operations), Some(bytes)) = (size(cost.operations), size(cost.bytes)) {
        let id = builder.kernel(&kernel.name);
        let (nodes, choices, products) = (cost.nodes.clone(), kernel.choices.clone(), kernel.products);
        builder.cost(id, nim_vm::KernelCost { operations, bytes, products, nodes, choices });
    }
}

/// Inputs and results with the names that the model gives them.
fn signature(ctx: &Context, module: &Module, main: OpId, types: Vec<AdtType>) -> Signature {
    let (inputs, results) = func::signature(ctx, &module.body, main).unwrap_or_default();
    let names = |attr: &str| -> Vec<String> {
        let list = module.body.attr_named(ctx, main, attr).and_then(|a| ctx.as_array(a)).unwrap_or_default();
        list.iter().filter_map(|&a| ctx.as_string(a)).map(str::to_owned).collect()
    };
    let body = module.body.nested(main);
    let arguments: Vec<Option<String>> = body
        .and_then(|b| Some((b, b.entry()?)))
        .map(|(b, entry)| b.block_args(entry).iter().map(|&a| b.value_name(a).map(|n| ctx.str(n).to_owned())).collect())
        .unwrap_or_default();
    // What looks at sizes only, or ends a life, is no node that the user knows.
    let readers = body.map_or(vec![], |b| {
        func::first_readers(b, &|op| nim_dyn::Check::is(ctx, b, op) || nim_dyn::Kill::is(ctx, b, op))
    });
    let reader = |i: usize| {
        let op = readers.get(i).copied().flatten()?;
        ctx.loc_name(body?.loc(op)).map(str::to_owned)
    };
    let value = |names: &[String], fallback: String, i: usize, ty: Type, node| SignatureValue {
        name: names.get(i).cloned().unwrap_or(fallback),
        ty: value_type(ctx, ty),
        node,
    };
    let (input_names, output_names) = (names("nim.input_names"), names("nim.output_names"));
    // as the interpreter's tools call them
    let argument = |i: usize| arguments.get(i).cloned().flatten().unwrap_or_else(|| format!("input_{i}"));
    let result = |i: usize| format!("output_{i}");
    Signature {
        inputs: inputs.iter().enumerate().map(|(i, &ty)| value(&input_names, argument(i), i, ty, reader(i))).collect(),
        outputs: results.iter().enumerate().map(|(i, &ty)| value(&output_names, result(i), i, ty, None)).collect(),
        types: reachable(types, inputs.iter().chain(results).map(|&ty| value_type(ctx, ty))),
    }
}

/// All data types of a module.
fn data_types(ctx: &Context, module: &Module) -> Vec<AdtType> {
    let definitions = module.ops().filter(|&op| module.body.is(ctx, op, nim_builtin::adt::NAME));
    let one = |op: OpId| {
        let made = nim_builtin::adt::constructors(ctx, &module.body, op);
        let fields = |types: &[Type]| types.iter().map(|&ty| value_type(ctx, ty)).collect();
        let constructors = made.iter().map(|c| (c.name.to_owned(), fields(&c.fields))).collect();
        AdtType { name: module.symbol_name(ctx, op).unwrap_or_default().to_owned(), constructors }
    };
    definitions.map(one).collect()
}

/// Those data types that values of some types may hold.
fn reachable(types: Vec<AdtType>, values: impl Iterator<Item = ValueType>) -> Vec<AdtType> {
    let (mut open, mut names): (Vec<ValueType>, Vec<String>) = (values.collect(), vec![]);
    while let Some(ty) = open.pop() {
        if let ValueType::Adt(name) = ty
            && !names.contains(&name)
        {
            let adt = types.iter().find(|ty| ty.name == name);
            open.extend(adt.into_iter().flat_map(|ty| &ty.constructors).flat_map(|(_, fields)| fields.clone()));
            names.push(name);
        }
    }
    types.into_iter().filter(|ty| names.contains(&ty.name)).collect()
}

fn value_type(ctx: &Context, ty: Type) -> ValueType {
    if let Some(name) = nim_builtin::adt::adt_name(ctx, ty) {
        return ValueType::Adt(ctx.str(name).to_owned());
    }
    match (ctx.dtype_of(ty), ctx.dims(ty)) {
        (Some(dtype), Some(dims)) => {
            let dims = dims.iter().map(|d| d.expr().map_or("?".into(), |e| ctx.exprs.display(e).to_string())).collect();
            ValueType::Tensor { dtype, dims }
        }
        _ => ValueType::Other(ctx.display_type(ty)),
    }
}
