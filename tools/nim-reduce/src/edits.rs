//! What can be made smaller in a module. Each kind of edit counts its places and edits some of them; whether the module is still
//! of use is the caller's question.

use nim_ir::{
    Attr, AttrData, Body, Builder, Context, Dim, Expr, Module, OpId, Presence, Trait, Type, TypeData, ValueId,
    attrs::Elements,
};
use nim_tensor::Blob;
use nim_transforms::substitute::{in_op, in_type};
use std::{collections::BTreeSet, ops::Range};

/// Kinds of edits, in the order in which they are tried.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ops, with all that is in them; who used their results uses something else of the type.
    Ops,
    /// Ops with regions, in whose place the ops of their first region stand.
    Regions,
    /// Results of functions.
    Results,
    /// Arguments of functions.
    Arguments,
    /// Attributes that ops need not have.
    Attributes,
    /// Symbols, which become the number 2.
    Symbols,
    /// Sizes, which become 1.
    Sizes,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] =
        [Kind::Ops, Kind::Regions, Kind::Results, Kind::Arguments, Kind::Attributes, Kind::Symbols, Kind::Sizes];
}

/// A body by the ops around it, from the module's on.
type Path = Vec<OpId>;

/// An op of a module: its body, and the op there.
type Place = (Path, OpId);

fn places(body: &Body, path: &Path, out: &mut Vec<Place>) {
    for op in body.walk() {
        out.push((path.clone(), op));
        if let Some(nested) = body.nested(op) {
            let mut inner = path.clone();
            inner.push(op);
            places(nested, &inner, out);
        }
    }
}

fn body_at<'m>(module: &'m mut Module, path: &Path) -> Option<&'m mut Body> {
    path.iter().try_fold(&mut module.body, |body, &op| body.nested_mut(op))
}

/// How many places a kind of edit has.
pub fn count(ctx: &Context, module: &Module, kind: Kind) -> usize {
    let mut all = vec![];
    places(&module.body, &vec![], &mut all);
    match kind {
        Kind::Ops | Kind::Regions => all.len(),
        Kind::Results => functions(ctx, module).map(|(_, results)| results).sum(),
        Kind::Arguments => functions(ctx, module).map(|(arguments, _)| arguments).sum(),
        Kind::Attributes => attributes(ctx, module, &all).len(),
        Kind::Symbols => symbols(ctx, module).len(),
        Kind::Sizes => sizes(ctx, module).len(),
    }
}

/// Edits some places of a kind; answers whether anything is changed.
pub fn edit(ctx: &Context, module: &mut Module, kind: Kind, range: Range<usize>) -> bool {
    let mut all = vec![];
    places(&module.body, &vec![], &mut all);
    match kind {
        Kind::Ops => {
            let mut changed = false;
            // Users stand behind what they use.
            for (path, op) in all.get(range).unwrap_or_default().iter().rev() {
                let Some(body) = body_at(module, path) else { continue };
                changed |= !body.is_erased(*op) && remove(ctx, body, *op);
            }
            changed
        }
        Kind::Regions => {
            let mut changed = false;
            for (path, op) in all.get(range).unwrap_or_default() {
                let Some(body) = body_at(module, path) else { continue };
                changed |= !body.is_erased(*op) && flatten(ctx, body, *op);
            }
            changed
        }
        Kind::Attributes => {
            let chosen = attributes(ctx, module, &all);
            let chosen = chosen.get(range).unwrap_or_default();
            for ((path, op), name) in chosen {
                if let Some(body) = body_at(module, path) {
                    body.attrs_mut(*op).remove(*name);
                }
            }
            !chosen.is_empty()
        }
        Kind::Results | Kind::Arguments => signature(ctx, module, kind, range),
        Kind::Symbols => {
            let names: BTreeSet<String> =
                symbols(ctx, module).into_iter().skip(range.start).take(range.len()).collect();
            let two = ctx.exprs.constant(2);
            let mut change = |s| names.contains(ctx.exprs.symbol_name(s)).then_some(two);
            everywhere(&mut module.body, &mut |body, op| {
                in_op(ctx, body, op, &mut change);
                if let Some(nested) = body.nested_mut(op) {
                    outer_arguments(nested, &mut |ty| in_type(ctx, ty, &mut change));
                }
                if let AttrData::Array(items) =
                    body.attr_named(ctx, op, "symbols").map_or(&AttrData::Unit, |a| ctx.attr_data(a))
                {
                    let kept = items.iter().copied().filter(|&a| ctx.as_string(a).is_none_or(|s| !names.contains(s)));
                    let kept = ctx.array_attr(kept);
                    body.set_attr(ctx, op, "symbols", kept);
                }
            });
            !names.is_empty()
        }
        Kind::Sizes => {
            let chosen: BTreeSet<i64> = sizes(ctx, module).into_iter().skip(range.start).take(range.len()).collect();
            everywhere(&mut module.body, &mut |body, op| resize(ctx, body, op, &chosen));
            !chosen.is_empty()
        }
    }
}

/// All ops of a body and of those in it.
fn everywhere(body: &mut Body, f: &mut dyn FnMut(&mut Body, OpId)) {
    for op in body.walk() {
        f(body, op);
    }
    for (_, nested) in body.nested_bodies_mut() {
        everywhere(nested, f);
    }
}

/// Another value of a type for the users of an op: an operand, something that is there before, or a constant.
fn stand_in(ctx: &Context, body: &mut Body, op: OpId, ty: Type) -> Option<ValueId> {
    let fits = |body: &Body, v: &ValueId| body.ty(*v) == ty;
    if let Some(value) = body.operands(op).iter().copied().find(|v| fits(body, v)) {
        return Some(value);
    }
    let block = body.block(op)?;
    let mut before = body.prev(op);
    while let Some(other) = before {
        if let Some(&value) = body.results(other).iter().find(|v| fits(body, v)) {
            return Some(value);
        }
        before = body.prev(other);
    }
    if let Some(&value) = body.block_args(block).iter().find(|v| fits(body, v)) {
        return Some(value);
    }
    constant(ctx, body, op, ty)
}

/// Zeros before an op.
fn constant(ctx: &Context, body: &mut Body, op: OpId, ty: Type) -> Option<ValueId> {
    let (name, value) = match ctx.type_data(ty) {
        TypeData::Integer { width: 1, .. } => ("arith.constant", ctx.bool_attr(false)),
        TypeData::Integer { .. } | TypeData::Index => ("arith.constant", ctx.int_attr(0, ty)),
        TypeData::Float(_) => ("arith.constant", ctx.float_attr(0.0, ty)),
        TypeData::Tensor { .. } => ("graph.constant", zeros(ctx, ty)?),
        _ => return None,
    };
    let mut builder = Builder::before(ctx, body, op);
    Some(builder.value(name, &[], ty, &[("value", value)]))
}

fn zeros(ctx: &Context, ty: Type) -> Option<Attr> {
    ctx.static_dims(ty)?;
    let bytes = vec![0; ctx.dtype_of(ty).filter(|d| d.size() > 0)?.size()];
    Some(ctx.attr(AttrData::Dense { ty, elements: Elements { bytes: Blob::new(bytes), splat: true } }))
}

fn remove(ctx: &Context, body: &mut Body, op: OpId) -> bool {
    if ctx.op_def(body.op_name(op)).is_some_and(|d| d.has(Trait::Terminator)) {
        return false;
    }
    for result in body.results(op).to_vec() {
        if !body.has_uses(result) {
            continue;
        }
        let ty = body.ty(result);
        let Some(value) = stand_in(ctx, body, op, ty).filter(|&v| v != result) else { return false };
        body.replace_all_uses(result, value);
    }
    body.erase(op);
    true
}

/// The ops of the first region of one block in place of the op.
fn flatten(ctx: &Context, body: &mut Body, op: OpId) -> bool {
    let Some(&region) = body.regions(op).first() else { return false };
    let &[block] = body.blocks(region) else { return false };
    let Some(end) = body.last_op(block) else { return false };
    let yielded = body.operands(end).to_vec();
    // What a loop would hand to its body is what stands before it.
    for arg in body.block_args(block).to_vec() {
        if body.has_uses(arg) {
            let ty = body.ty(arg);
            let Some(value) = stand_in(ctx, body, op, ty) else { return false };
            body.replace_all_uses(arg, value);
        }
    }
    let results = body.results(op).to_vec();
    let inner: Vec<OpId> = body.block_ops(block).filter(|&o| o != end).collect();
    for o in inner {
        body.detach(o);
        body.insert_before(op, o);
    }
    for (i, result) in results.into_iter().enumerate() {
        if body.has_uses(result) {
            let ty = body.ty(result);
            let same = yielded.get(i).copied().filter(|&v| body.ty(v) == ty);
            let Some(value) = same.or_else(|| stand_in(ctx, body, op, ty)).filter(|&v| v != result) else {
                return true;
            };
            body.replace_all_uses(result, value);
        }
    }
    body.erase(op);
    true
}

/// Attributes that ops need not have, each by its op.
fn attributes(ctx: &Context, module: &Module, all: &[Place]) -> Vec<(Place, nim_ir::Name)> {
    let mut found = vec![];
    for (path, op) in all {
        let body = path.iter().try_fold(&module.body, |body, &op| body.nested(op));
        let Some(body) = body else { continue };
        let def = ctx.op_def(body.op_name(*op));
        let needed = |name: nim_ir::Name| {
            let attr = def.and_then(|d| d.attr(ctx.str(name)));
            attr.is_some_and(|a| a.presence == Presence::Required)
        };
        let names = body.attrs(*op).iter().map(|(name, _)| name).filter(|&name| !needed(name));
        found.extend(names.map(|name| ((path.clone(), *op), name)));
    }
    found
}

/// Numbers of arguments and results of the functions with a body.
fn functions<'a>(ctx: &'a Context, module: &'a Module) -> impl Iterator<Item = (usize, usize)> + 'a {
    module.ops().filter_map(|op| {
        let ty = module.body.attr_named(ctx, op, "function_type").and_then(|a| ctx.as_type(a))?;
        module.body.nested(op)?.entry()?;
        match ctx.type_data(ty) {
            TypeData::Function { inputs, results } => Some((inputs.len(), results.len())),
            _ => None,
        }
    })
}

/// Removes arguments or results of functions, numbered through the module.
fn signature(ctx: &Context, module: &mut Module, kind: Kind, range: Range<usize>) -> bool {
    let (mut number, mut changed) = (0, false);
    for op in module.ops().collect::<Vec<_>>() {
        let Some(ty) = module.body.attr_named(ctx, op, "function_type").and_then(|a| ctx.as_type(a)) else { continue };
        let TypeData::Function { inputs, results } = ctx.type_data(ty).clone() else { continue };
        let Some(body) = module.body.nested_mut(op) else { continue };
        let Some(entry) = body.entry() else { continue };
        let count = if kind == Kind::Results { results.len() } else { inputs.len() };
        let dropped: BTreeSet<usize> = (0..count).filter(|i| range.contains(&(number + i))).collect();
        number += count;
        let (mut inputs, mut results) = (inputs, results);
        if kind == Kind::Results {
            for end in
                body.walk().into_iter().filter(|&o| ctx.op_str(body.op_name(o)) == "func.return").collect::<Vec<_>>()
            {
                let kept: Vec<ValueId> = without(&body.operands(end), &dropped);
                body.set_operands(end, &kept);
            }
            results = without(&results, &dropped);
        } else {
            let unused = |i: &usize| body.block_args(entry).get(*i).is_some_and(|&a| !body.has_uses(a));
            let dropped: BTreeSet<usize> = dropped.iter().copied().filter(unused).collect();
            for &i in dropped.iter().rev() {
                body.remove_block_arg(entry, i);
            }
            inputs = without(&inputs, &dropped);
        }
        let new = ctx.type_attr(ctx.function_type(&inputs, &results));
        changed |= module.body.attr_named(ctx, op, "function_type") != Some(new);
        module.body.set_attr(ctx, op, "function_type", new);
    }
    changed
}

fn without<T: Copy>(items: &[T], dropped: &BTreeSet<usize>) -> Vec<T> {
    items.iter().enumerate().filter(|(i, _)| !dropped.contains(i)).map(|(_, &item)| item).collect()
}

fn symbols(ctx: &Context, module: &Module) -> BTreeSet<String> {
    fn of(ctx: &Context, body: &Body, out: &mut BTreeSet<String>) {
        let found = nim_transforms::substitute::symbols_of(ctx, body);
        out.extend(found.into_iter().map(|s| ctx.exprs.symbol_name(s).to_string()));
        body.walk().into_iter().filter_map(|op| body.nested(op)).for_each(|b| of(ctx, b, out));
    }
    let mut out = BTreeSet::new();
    of(ctx, &module.body, &mut out);
    out
}

/// Sizes larger than 1 in types of values.
fn sizes(ctx: &Context, module: &Module) -> BTreeSet<i64> {
    fn of(ctx: &Context, body: &Body, out: &mut BTreeSet<i64>) {
        for value in (0..body.value_capacity()).map(Body::value_at) {
            let dims = ctx.dims(body.ty(value)).unwrap_or_default();
            out.extend(dims.iter().filter_map(|&d| ctx.dim_const(d)).filter(|&n| n > 1));
        }
        body.walk().into_iter().filter_map(|op| body.nested(op)).for_each(|b| of(ctx, b, out));
    }
    let mut out = BTreeSet::new();
    of(ctx, &module.body, &mut out);
    out
}

/// Changes the types of the arguments of a body's outermost blocks.
fn outer_arguments(body: &mut Body, change: &mut dyn FnMut(Type) -> Type) {
    for region in body.root_regions().to_vec() {
        for block in body.blocks(region).to_vec() {
            for value in body.block_args(block).to_vec() {
                let ty = change(body.ty(value));
                body.set_ty(value, ty);
            }
        }
    }
}

/// Sizes that are chosen become 1, in the types of an op and in its attributes; constants of such types become zeros.
fn resize(ctx: &Context, body: &mut Body, op: OpId, chosen: &BTreeSet<i64>) {
    for &value in body.results(op).to_vec().iter() {
        let ty = smaller(ctx, body.ty(value), chosen);
        body.set_ty(value, ty);
    }
    let regions = body.regions(op).to_vec();
    let own = regions.into_iter().flat_map(|r| body.blocks(r).to_vec()).collect::<Vec<_>>();
    for value in own.into_iter().flat_map(|b| body.block_args(b).to_vec()).collect::<Vec<_>>() {
        let ty = smaller(ctx, body.ty(value), chosen);
        body.set_ty(value, ty);
    }
    if let Some(nested) = body.nested_mut(op) {
        outer_arguments(nested, &mut |ty| smaller(ctx, ty, chosen));
    }
    for (name, attr) in body.attrs(op).iter().collect::<Vec<_>>() {
        let new = smaller_attr(ctx, attr, chosen);
        body.attrs_mut(op).set(ctx, name, new);
    }
}

fn smaller(ctx: &Context, ty: Type, chosen: &BTreeSet<i64>) -> Type {
    let dims_of = |dims: &[Dim]| -> Vec<Dim> {
        dims.iter()
            .map(|&d| if ctx.dim_const(d).is_some_and(|n| chosen.contains(&n)) { ctx.dim(1) } else { d })
            .collect()
    };
    match ctx.type_data(ty).clone() {
        TypeData::Tensor { dims, element, encoding } => {
            ctx.ty(TypeData::Tensor { dims: dims_of(&dims), element, encoding })
        }
        TypeData::MemRef { dims, element, layout, space } => {
            ctx.ty(TypeData::MemRef { dims: dims_of(&dims), element, layout, space })
        }
        TypeData::Function { inputs, results } => {
            let all = |types: &[Type]| types.iter().map(|&t| smaller(ctx, t, chosen)).collect::<Vec<_>>();
            ctx.function_type(&all(&inputs), &all(&results))
        }
        _ => ty,
    }
}

fn smaller_attr(ctx: &Context, attr: Attr, chosen: &BTreeSet<i64>) -> Attr {
    match ctx.attr_data(attr).clone() {
        AttrData::Type(ty) => ctx.type_attr(smaller(ctx, ty, chosen)),
        AttrData::Dense { ty, .. } | AttrData::DenseResource { ty, .. } => {
            let new = smaller(ctx, ty, chosen);
            if new == ty { attr } else { zeros(ctx, new).unwrap_or(attr) }
        }
        // Shapes and domains are lists of expressions.
        AttrData::Expr(e) if ctx.exprs.as_const(e).is_some_and(|n| chosen.contains(&n)) => ctx.expr_attr(Expr::ONE),
        AttrData::Array(items) => ctx.array_attr(items.iter().map(|&a| smaller_attr(ctx, a, chosen))),
        _ => attr,
    }
}
