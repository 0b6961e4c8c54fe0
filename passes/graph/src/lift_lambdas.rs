//! `graph-lift-lambdas`: a function that is written where it is used becomes a function of the module.
//!
//! Values from around that it uses become its first arguments, and a `graph.closure` gives them. Symbols from around get
//! their values from the types of these arguments; those that stand in none of them go as a vector of integers, which
//! is bound where the function begins. Where an argument of the lambda itself has such a symbol in its type, a guard says that
//! the two are equal. Lambdas in lambdas are lifted first.

use nim_builtin::lambda::captured;
use nim_graph::ops::control::{Bind, Guard, Index, Loop};
use nim_graph::ops::data::{Closure, Lambda};
use nim_ir::clone::Mapping;
use nim_ir::{Body, Builder, Context, Module, Name, OpId, OpState, Symbol, Type, TypeData, ValueId};

/// The name of the pass.
pub const NAME: &str = "graph-lift-lambdas";

/// Lifts all lambdas of a module; returns how many there were.
pub fn lift_lambdas(ctx: &Context, module: &mut Module) -> usize {
    let mut done = 0;
    for func in module.ops().collect::<Vec<_>>() {
        let Some(mut body) = module.body.take_nested(func) else { continue };
        let base = format!("{}_lambda", module.symbol_name(ctx, func).unwrap_or("function"));
        // The last one has no other in it.
        while let Some(op) = body.walk().into_iter().rfind(|&op| Lambda::is(ctx, &body, op)) {
            let name = module.unique_symbol(ctx, &base);
            let lifted = lift(ctx, &mut body, op, name);
            Builder::before(ctx, &mut module.body, func).insert(lifted);
            done += 1;
        }
        module.body.set_nested(func, body);
    }
    done
}

/// Replaces a lambda by a closure of the function that is returned.
fn lift(ctx: &Context, body: &mut Body, op: OpId, name: Name) -> OpState {
    let pool = &ctx.exprs;
    let mut captures = captured(body, op);
    let params: Vec<ValueId> =
        body.regions(op).first().and_then(|&r| body.entry_block(r)).map_or(vec![], |b| body.block_args(b).to_vec());
    let mentioned = |values: &[ValueId]| -> Vec<Symbol> {
        let dims = values.iter().flat_map(|&v| ctx.dim_exprs(body.ty(v)).unwrap_or_default());
        dims.flat_map(|d| pool.symbols(d)).collect()
    };
    let given: Vec<Symbol> = captures.iter().flat_map(|&v| bare(ctx, body.ty(v))).collect();
    let (around, asked) = (visible(ctx, body, op), mentioned(&params));
    let open: Vec<Symbol> =
        used(ctx, body, op).into_iter().filter(|s| around.contains(s) && !given.contains(s)).collect();
    // What the arguments give too goes under another name, and must be the same.
    let taken = |name: &str| around.iter().any(|&s| pool.symbol_name(s) == name);
    let inner = |s: &Symbol| {
        let name = pool.symbol_name(*s);
        let other = (0..).map(|n| format!("{name}_around{n}")).find(|other| !taken(other));
        if asked.contains(s) { pool.symbol(&other.unwrap_or_default()) } else { *s }
    };
    let names: Vec<Symbol> = open.iter().map(inner).collect();

    let mut builder = Builder::before(ctx, body, op);
    builder.loc = ctx.derived_loc(NAME, builder.loc);
    let loc = builder.loc;
    let i64s = ctx.type_of_dtype(nim_tensor::DType::I64);
    if !open.is_empty() {
        let ty = ctx.tensor_of(&[pool.constant(open.len() as i64)], i64s);
        let exprs: Vec<_> = open.iter().map(|&s| pool.var(s)).collect();
        let attrs = [("exprs", ctx.exprs_attr(&exprs)), ("scalar", ctx.bool_attr(false))];
        captures.insert(0, builder.value(Index::NAME, &[], ty, &attrs));
    }
    let function = body.ty(body.result(op));
    let mut target = Body::new();
    let region = target.add_root_region();
    let all: Vec<ValueId> = captures.iter().chain(&params).copied().collect();
    let types: Vec<Type> = all.iter().map(|&v| body.ty(v)).collect();
    let value_names: Vec<Option<Name>> = all.iter().map(|&v| body.value_name(v)).collect();
    let block = target.add_block(region, &types, &value_names);
    let args = target.block_args(block).to_vec();
    let mut mapping = Mapping::default();
    all.iter().zip(&args).for_each(|(&from, &to)| mapping.map(from, to));
    let mut builder = Builder::at_end(ctx, &mut target, block);
    builder.loc = loc;
    if !open.is_empty() {
        let symbols = names.iter().map(|&s| ctx.string_attr(pool.symbol_name(s)));
        let symbols = ctx.array_attr(symbols.collect::<Vec<_>>());
        builder.op(Bind::NAME, &[args[0]], &[], &[("symbols", symbols)]);
        for (&outer, &inner) in open.iter().zip(&names).filter(|(outer, inner)| outer != inner) {
            let message = format!("`{}` is the same in a lambda as around it", pool.symbol_name(outer));
            let attrs = [
                ("kind", ctx.string_attr("eq")),
                ("lhs", ctx.expr_attr(pool.var(outer))),
                ("rhs", ctx.expr_attr(pool.var(inner))),
                ("message", ctx.string_attr(&message)),
            ];
            builder.op(Guard::NAME, &[], &[], &attrs);
        }
    }
    let source = body.regions(op).first().and_then(|&r| body.entry_block(r));
    let ops: Vec<OpId> = source.map_or(vec![], |b| body.block_ops(b).collect());
    let mut results = vec![];
    for (i, &inner) in ops.iter().enumerate() {
        if i + 1 == ops.len() && body.is(ctx, inner, "graph.yield") {
            results = body.operands(inner).iter().map(|&v| mapping.get(v)).collect();
        } else {
            let copy = target.clone_op_from(body, inner, &mut mapping);
            target.append(block, copy);
        }
    }
    let given = match ctx.type_data(function) {
        TypeData::Function { results, .. } => results.clone(),
        _ => vec![],
    };
    let mut builder = Builder::at_end(ctx, &mut target, block);
    builder.loc = loc;
    builder.op(nim_builtin::func::Return::NAME, &results, &[], &[]);

    let mut builder = Builder::before(ctx, body, op);
    builder.loc = loc;
    let callee = ctx.symbol_ref(ctx.str(name));
    let closure = builder.value(Closure::NAME, &captures, function, &[("callee", callee)]);
    if let Some(known) = body.value_name(body.result(op)) {
        body.set_value_name(closure, Some(known));
    }
    body.replace_all_uses(body.result(op), closure);
    body.erase(op);
    OpState::new(ctx, nim_builtin::func::Func::NAME, loc)
        .attr(ctx, "sym_name", ctx.string_attr(ctx.str(name)))
        .attr(ctx, "sym_visibility", ctx.string_attr("private"))
        .attr(ctx, "function_type", ctx.type_attr(ctx.function_type(&types, &given)))
        .nested(target)
}

/// Symbols that are dimensions of a type by themselves.
fn bare(ctx: &Context, ty: Type) -> Vec<Symbol> {
    let dims = ctx.dims(ty).unwrap_or_default();
    dims.iter().filter_map(|d| ctx.exprs.as_symbol(d.expr()?)).collect()
}

/// Symbols that an op gives values to, beside those in the types of its results.
fn bound(ctx: &Context, body: &Body, op: OpId) -> Vec<Symbol> {
    let names = match ctx.op_str(body.op_name(op)) {
        Bind::NAME => Bind::symbols(ctx, body, op).and_then(|a| ctx.as_array(a)).unwrap_or_default().to_vec(),
        Loop::NAME => Loop::iv(ctx, body, op).into_iter().collect(),
        _ => vec![],
    };
    names.into_iter().filter_map(|a| ctx.as_string(a)).map(|name| ctx.exprs.symbol(name)).collect()
}

/// Symbols that have a value where an op stands.
fn visible(ctx: &Context, body: &Body, op: OpId) -> Vec<Symbol> {
    let mut found = vec![];
    let mut inner = op;
    while let Some(block) = body.block(inner) {
        for &arg in body.block_args(block) {
            found
                .extend(ctx.dim_exprs(body.ty(arg)).unwrap_or_default().into_iter().flat_map(|d| ctx.exprs.symbols(d)));
        }
        for before in body.block_ops(block).take_while(|&before| before != inner) {
            found.extend(body.results(before).iter().flat_map(|&v| bare(ctx, body.ty(v))));
            if !Loop::is(ctx, body, before) {
                found.extend(bound(ctx, body, before));
            }
        }
        let Some(outer) = body.parent_op(inner) else { break };
        if Loop::is(ctx, body, outer) {
            found.extend(bound(ctx, body, outer));
        }
        inner = outer;
    }
    found
}

/// Symbols that stand in types and attributes within an op, each once, in the order of the text.
fn used(ctx: &Context, body: &Body, op: OpId) -> Vec<Symbol> {
    let mut found: Vec<Symbol> = vec![];
    for inner in body.walk_op(op) {
        let args = body.regions(inner).iter().flat_map(|&r| body.blocks(r)).flat_map(|&b| body.block_args(b));
        let results: &[ValueId] = if inner == op { &[] } else { body.results(inner) };
        let dims = args.chain(results).flat_map(|&v| ctx.dim_exprs(body.ty(v)).unwrap_or_default());
        let attrs = body.attrs(inner).iter().flat_map(|(_, a)| {
            ctx.as_expr(a).into_iter().chain(ctx.as_exprs(a).unwrap_or_default()).collect::<Vec<_>>()
        });
        for symbol in dims.chain(attrs.collect::<Vec<_>>()).flat_map(|e| ctx.exprs.symbols(e)).collect::<Vec<_>>() {
            if !found.contains(&symbol) {
                found.push(symbol);
            }
        }
    }
    found
}
