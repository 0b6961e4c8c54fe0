//! `dataflow-outline`: each map becomes a `dataflow.kernel` that the host function invokes.
//!
//! Maps that only continue each other's result (a chain of `init` operands, as concatenation makes) go into one kernel, which
//! writes all parts into one buffer, and so do maps that `dataflow-fuse-blocks` has marked as a group. Kernels of the same structure are one kernel. Arguments that are constants at every call
//! are listed in `dataflow.constant_args`, so that they may be packed ahead of time.

use crate::blocks::GROUP;
use crate::names::kernel_name;
use nim_builtin::assume::{self, Assumption};
use nim_dataflow::{Invoke, Kernel, Map, MapView, Return, blocks::BLOCK};
use nim_ir::{
    Attr, Body, Builder, Context, Name, OpId, OpName, OpState, Symbol, Type, ValueDef, ValueId, clone::Mapping,
};
use nim_ir::{Loc, Module};
use nim_pass::{RuleInfo, Rules};
use rustc_hash::{FxHashMap, FxHashSet};

/// The name of the pass.
pub const NAME: &str = "dataflow-outline";

/// What outlining did.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Outlined {
    /// Kernels made.
    pub kernels: usize,
    /// Invocations, one or more a kernel.
    pub invokes: usize,
}

/// The rule: held back, the map has a kernel of its own.
pub(crate) const SHARE: RuleInfo =
    RuleInfo { name: "share-kernel", description: "maps of the same structure are calls of one kernel" };

/// Outlines the maps of all functions.
pub fn outline(ctx: &Context, module: &mut Module) -> Outlined {
    outline_under(ctx, module, Rules::default())
}

pub(crate) fn outline_under(ctx: &Context, module: &mut Module, rules: Rules<'_>) -> Outlined {
    let mut kernels = Kernels::new(ctx, module, rules);
    let mut done = Outlined::default();
    for func in module.ops().collect::<Vec<_>>() {
        // The bodies of kernels are outlined already.
        if Kernel::is(ctx, &module.body, func) {
            continue;
        }
        let Some(mut body) = module.body.take_nested(func) else { continue };
        let assumed = assume::of_arguments(ctx, &body);
        for group in groups(ctx, &body) {
            let results = results(&body, &group);
            let (callee, arguments) = kernels.kernel_of(ctx, &body, &group, &results, &assumed, &mut module.body, func);
            invoke(ctx, &mut body, &group, callee, &arguments, &results);
            done.invokes += 1;
        }
        module.body.set_nested(func, body);
    }
    done.kernels = kernels.made;
    mark_constants(ctx, module);
    done
}

/// Maps of a body that go into one kernel, in order. Maps within maps do not exist.
fn groups(ctx: &Context, body: &Body) -> Vec<Vec<OpId>> {
    let mut groups: Vec<Vec<OpId>> = vec![];
    let mut group_of: FxHashMap<OpId, usize> = FxHashMap::default();
    let mut groups_marked = FxHashMap::default();
    for op in body.walk() {
        if !Map::is(ctx, body, op) {
            continue;
        }
        let marked = body.attr_named(ctx, op, GROUP).map(|number| (number, body.block(op)));
        let before = match marked {
            Some(_) => groups_marked.get(&marked).copied(),
            None => continues(ctx, body, op).and_then(|before| group_of.get(&before).copied()),
        };
        match before {
            Some(group) => {
                groups[group].push(op);
                group_of.insert(op, group);
            }
            None => {
                group_of.insert(op, groups.len());
                if marked.is_some() {
                    groups_marked.insert(marked, groups.len());
                }
                groups.push(vec![op]);
            }
        }
    }
    groups
}

/// The map whose only result this one takes over and completes.
fn continues(ctx: &Context, body: &Body, op: OpId) -> Option<OpId> {
    let view = MapView::new(ctx, body, op)?;
    let [write] = view.writes.as_slice() else { return None };
    let before = body.defining_op(write.init_value?)?;
    let marked = body.attr_named(ctx, before, GROUP).is_some();
    let alone = !marked && body.results(before).len() == 1 && body.only_use(body.result(before)).is_some();
    (alone && body.block(before) == body.block(op) && Map::is(ctx, body, before)).then_some(before)
}

/// Values from outside of the group that it uses, each once, in the order of use.
fn inputs(body: &Body, group: &[OpId]) -> Vec<ValueId> {
    let mut found = vec![];
    for &op in group {
        for v in body.operands(op) {
            let inner = matches!(body.def(v), ValueDef::Result(by, _) if group.contains(&by));
            if !inner && !found.contains(&v) {
                found.push(v);
            }
        }
    }
    found
}

/// Results that others than the group read, or that nobody reads.
fn results(body: &Body, group: &[OpId]) -> Vec<ValueId> {
    let inner = |&v: &ValueId| body.has_uses(v) && body.uses(v).all(|u| group.contains(&u.op));
    group.iter().flat_map(|&op| body.results(op)).copied().filter(|v| !inner(v)).collect()
}

fn invoke(ctx: &Context, body: &mut Body, group: &[OpId], callee: Name, arguments: &[ValueId], results: &[ValueId]) {
    let Some(&last) = group.last() else { return };
    let types: Vec<Type> = results.iter().map(|&v| body.ty(v)).collect();
    let mut builder = Builder::before(ctx, body, last);
    let state = builder.state(Invoke::NAME).operands(arguments).results(&types).attr(
        ctx,
        "callee",
        ctx.symbol_ref(ctx.str(callee)),
    );
    let call = builder.insert(state);
    for (i, &old) in results.iter().enumerate() {
        let new = body.results(call)[i];
        body.replace_all_uses(old, new);
    }
    for &op in group.iter().rev() {
        body.erase(op);
    }
}

/// Kernels of a module by structure.
struct Kernels<'a> {
    rules: Rules<'a>,
    by_structure: FxHashMap<Vec<Token>, Name>,
    taken: FxHashSet<Name>,
    made: usize,
}

impl<'a> Kernels<'a> {
    fn new(ctx: &Context, module: &Module, rules: Rules<'a>) -> Kernels<'a> {
        let taken = module.ops().filter_map(|op| module.symbol_name(ctx, op)).map(|n| ctx.name(n)).collect();
        Kernels { rules, by_structure: FxHashMap::default(), taken, made: 0 }
    }

    fn fresh(&mut self, ctx: &Context, base: &str) -> Name {
        let mut name = ctx.name(base);
        let mut n = 0;
        while !self.taken.insert(name) {
            n += 1;
            name = ctx.name(&format!("{base}_{n}"));
        }
        name
    }

    /// The kernel of a group with these results, made before `func` unless there is one already, and its arguments at this place.
    #[expect(clippy::too_many_arguments, reason = "the group, its place, and where kernels stand")]
    fn kernel_of(
        &mut self,
        ctx: &Context,
        source: &Body,
        group: &[OpId],
        results: &[ValueId],
        assumed: &[Assumption],
        module: &mut Body,
        func: OpId,
    ) -> (Name, Vec<ValueId>) {
        let arguments = inputs(source, group);
        let types: Vec<Type> = arguments.iter().map(|&v| source.ty(v)).collect();
        let mut body = Body::new();
        let region = body.add_root_region();
        let names: Vec<Option<Name>> = arguments.iter().map(|&v| source.value_name(v)).collect();
        let block = body.add_block(region, &types, &names);
        let mut mapping = Mapping::default();
        for (&outer, &inner) in arguments.iter().zip(body.block_args(block).to_vec().iter()) {
            mapping.map(outer, inner);
        }
        for &op in group {
            let copy = body.clone_op_from(source, op, &mut mapping);
            body.append(block, copy);
            for mark in [GROUP, BLOCK] {
                body.attrs_mut(copy).remove(ctx.name(mark));
            }
        }
        let results: Vec<ValueId> = results.iter().map(|&v| mapping.get(v)).collect();
        let sizes = source.attr_named(ctx, group[0], BLOCK);
        let locs: Vec<Loc> = group.iter().map(|&op| source.loc(op)).collect();
        let mut end = Builder::at_end(ctx, &mut body, block);
        end.loc = locs[locs.len() - 1];
        end.op(Return::NAME, &results, &[], &[]);
        let result_types: Vec<Type> = results.iter().map(|&r| body.ty(r)).collect();
        let symbols = symbols(ctx, &body);
        // Kernels of the same structure that may take different things for granted are two.
        let known = assumed.iter().filter(|a| symbols.contains(&a.symbol));
        let known: Vec<Attr> = known.map(|a| a.to_attr(ctx)).collect();
        let mut structure = structure(ctx, &body);
        structure.extend(sizes.map(|sizes| Token::Attr(ctx.name(BLOCK), sizes)));
        structure.extend(known.iter().map(|&a| Token::Attr(ctx.name(assume::KERNEL_ATTR), a)));
        if let Some(&known) = self.by_structure.get(&structure)
            && self.rules.may(SHARE.name, ctx, source, group[0])
        {
            return (known, arguments);
        }
        let name = self.fresh(ctx, &kernel_name(ctx, &locs));
        let symbols = symbols.into_iter().map(|s| ctx.string_attr(ctx.exprs.symbol_name(s)));
        let loc = ctx.derived_loc(NAME, locs[locs.len() - 1]);
        let assumed = (!known.is_empty()).then(|| ctx.array_attr(known));
        let state = OpState::new(ctx, Kernel::NAME, loc)
            .attr_opt(ctx, assume::KERNEL_ATTR, assumed)
            .attr_opt(ctx, BLOCK, sizes)
            .attr(ctx, "sym_name", ctx.string_attr(ctx.str(name)))
            .attr(ctx, "function_type", ctx.type_attr(ctx.function_type(&types, &result_types)))
            .attr(ctx, "symbols", ctx.array_attr(symbols))
            .nested(body);
        Builder::before(ctx, module, func).insert(state);
        self.by_structure.insert(structure, name);
        self.made += 1;
        (name, arguments)
    }
}

/// The symbols that a kernel's types and memlets mention, by name. Iteration variables are none.
fn symbols(ctx: &Context, body: &Body) -> Vec<Symbol> {
    let mut found: Vec<Symbol> = vec![];
    let mut add = |e| {
        for s in ctx.exprs.symbols(e) {
            if !ctx.exprs.symbol_name(s).starts_with('$') && !found.contains(&s) {
                found.push(s);
            }
        }
    };
    let of_type = |ty: Type| ctx.dim_exprs(ty).unwrap_or_default();
    if let Some(entry) = body.entry() {
        body.block_args(entry).iter().flat_map(|&a| of_type(body.ty(a))).for_each(&mut add);
    }
    for op in body.walk() {
        body.results(op).iter().flat_map(|&r| of_type(body.ty(r))).for_each(&mut add);
        let mut attrs: Vec<Attr> = body.attrs(op).iter().map(|(_, a)| a).collect();
        while let Some(attr) = attrs.pop() {
            match ctx.attr_data(attr) {
                nim_ir::AttrData::Array(items) => attrs.extend(items),
                nim_ir::AttrData::Expr(e) => add(*e),
                _ => {}
            }
        }
    }
    found.sort_by(|&a, &b| ctx.exprs.compare_symbols(a, b));
    found
}

/// One step of a walk over a body: two bodies of the same tokens differ in names and places only.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Token {
    Op(OpName),
    Operand(usize),
    Type(Type),
    Attr(Name, Attr),
    Region,
    Block,
    End,
}

fn structure(ctx: &Context, body: &Body) -> Vec<Token> {
    let mut walk = Structure { ctx, body, numbers: FxHashMap::default(), out: vec![] };
    for &region in body.root_regions() {
        walk.region(region);
    }
    walk.out
}

struct Structure<'a> {
    ctx: &'a Context,
    body: &'a Body,
    numbers: FxHashMap<ValueId, usize>,
    out: Vec<Token>,
}

impl Structure<'_> {
    fn define(&mut self, values: &[ValueId]) {
        for &v in values {
            self.numbers.insert(v, self.numbers.len());
            self.out.push(Token::Type(self.body.ty(v)));
        }
    }
    fn region(&mut self, region: nim_ir::RegionId) {
        self.out.push(Token::Region);
        for &block in self.body.blocks(region) {
            self.out.push(Token::Block);
            self.define(self.body.block_args(block));
            for op in self.body.block_ops(block) {
                self.op(op);
            }
        }
        self.out.push(Token::End);
    }
    fn op(&mut self, op: OpId) {
        self.out.push(Token::Op(self.body.op_name(op)));
        for v in self.body.operands(op) {
            self.out.push(Token::Operand(self.numbers.get(&v).copied().unwrap_or(usize::MAX)));
        }
        self.out.extend(self.body.attrs(op).iter().map(|(name, attr)| Token::Attr(name, attr)));
        for &region in self.body.regions(op) {
            self.region(region);
        }
        self.define(self.body.results(op));
        debug_assert!(self.body.nested(op).is_none(), "{} in a kernel", self.ctx.op_str(self.body.op_name(op)));
    }
}

/// Lists the arguments of each kernel that are constants wherever it is invoked.
fn mark_constants(ctx: &Context, module: &mut Module) {
    let mut constant: FxHashMap<Name, Vec<bool>> = FxHashMap::default();
    for func in module.ops() {
        let Some(body) = module.body.nested(func) else { continue };
        for op in body.walk() {
            if !Invoke::is(ctx, body, op) {
                continue;
            }
            let Some(callee) = body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a)) else { continue };
            let here: Vec<bool> = body.operands(op).iter().map(|&v| is_constant(ctx, body, v)).collect();
            match constant.entry(callee) {
                std::collections::hash_map::Entry::Vacant(e) => {
                    e.insert(here);
                }
                std::collections::hash_map::Entry::Occupied(mut e) => {
                    for (all, here) in e.get_mut().iter_mut().zip(here) {
                        *all &= here;
                    }
                }
            }
        }
    }
    for op in module.ops().collect::<Vec<_>>() {
        let Some(flags) = module.symbol_name(ctx, op).and_then(|n| constant.get(&ctx.name(n))) else { continue };
        let numbers: Vec<i64> = (0..flags.len()).filter(|&i| flags[i]).map(|i| i as i64).collect();
        if !numbers.is_empty() {
            module.body.set_attr(ctx, op, "dataflow.constant_args", ctx.i64_array(&numbers));
        }
    }
}

/// A constant, or another view of one.
fn is_constant(ctx: &Context, body: &Body, v: ValueId) -> bool {
    let Some(op) = body.defining_op(v) else { return false };
    match ctx.op_str(body.op_name(op)) {
        "graph.constant" => true,
        "graph.reshape" => is_constant(ctx, body, body.operand(op, 0)),
        _ => false,
    }
}
