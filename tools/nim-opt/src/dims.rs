//! Where a dimension comes from: the chain of ops from a value back to the place where its size is written.
//!
//! No op says which of its operands' dimensions make which of its result's. Its shape function is asked instead: a dimension
//! of an operand gets another name, and those of the results that follow it are made of it. So this holds for every op
//! that has a shape function, of any dialect.

use nim_ir::{
    Body, Context, Diagnostic, Dim, Expr, InferInput, Label, Loc, Module, OpId, Severity, Trait, Type, TypeData,
    ValueDef, ValueId,
};
use nim_text::{
    index::{Entity, Index},
    print_attr,
};
use std::collections::HashSet;

/// A chain is cut behind so many steps.
const MOST_STEPS: usize = 64;

/// One step of the way back.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where.
    pub loc: Loc,
    /// What is said there.
    pub text: String,
}

/// The bodies of a module, each with the op that owns it; the module's own first.
pub fn bodies(module: &Module) -> Vec<(Option<(&Body, OpId)>, &Body)> {
    let mut all = vec![(None, &module.body)];
    let mut next = 0;
    while let Some(&(_, body)) = all.get(next) {
        next += 1;
        all.extend(body.walk().into_iter().filter_map(|op| Some((Some((body, op)), body.nested(op)?))));
    }
    all
}

/// The body and the value that a definition of an index stands for; `result` counts values of one name.
pub fn find(module: &Module, entity: Entity, result: u32) -> Option<(&Body, ValueId)> {
    let Entity::Values { owner, first, count } = entity else { return None };
    if result >= count {
        return None;
    }
    let owned = bodies(module);
    let (_, body) = owned.iter().find(|(by, _)| match by {
        Some((outer, op)) => outer.loc(*op) == owner,
        None => owner == Loc::UNKNOWN || owner == module.loc,
    })?;
    let index = Body::index_of(first) + result as usize;
    (index < body.value_capacity()).then(|| (*body, Body::value_at(index)))
}

/// Explains `%v#1` (or `%v#0#1` of several results): one diagnostic for each value of that name.
///
/// # Errors
/// There is no such value, or it has no such dimension.
pub fn explain(
    ctx: &Context,
    module: &Module,
    index: &Index,
    text: &str,
    asked: &str,
) -> Result<Vec<Diagnostic>, String> {
    let usage =
        || format!("`{asked}` is no dimension of a value: write `%name#0`, or `%name#0#1` for one of several results");
    let mut parts = asked.split('#');
    let name = parts.next().filter(|n| n.starts_with('%') && n.len() > 1).ok_or_else(usage)?;
    let numbers = parts.map(str::parse).collect::<Result<Vec<u32>, _>>().map_err(|_| usage())?;
    let (result, dim) = match *numbers.as_slice() {
        [dim] => (0, dim as usize),
        [result, dim] => (result, dim as usize),
        _ => return Err(usage()),
    };
    let mut found = vec![];
    let mut problem = None;
    for definition in index.definitions.iter().filter(|d| &text[d.range.clone()] == name) {
        let Some(chain) = chain(ctx, module, (index, text), definition.entity, result, dim) else { continue };
        match chain {
            Ok((message, steps)) => {
                let numbered =
                    |(i, step): (usize, Step)| Label { loc: step.loc, message: format!("({}) {}", i + 1, step.text) };
                let labels = steps.into_iter().enumerate().map(numbered).collect();
                let mut diagnostic = Diagnostic::error("N0002", Loc::UNKNOWN, message);
                (diagnostic.severity, diagnostic.labels) = (Severity::Note, labels);
                found.push(diagnostic);
            }
            Err(why) => problem = Some(why),
        }
    }
    match (found.is_empty(), problem) {
        (false, _) => Ok(found),
        (true, Some(why)) => Err(why),
        (true, None) => {
            let names = index.definitions.iter().map(|d| &text[d.range.clone()]);
            let near = nim_ir::diagnostics::did_you_mean(name, names);
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Err(format!("there is no value `{name}`{hint}"))
        }
    }
}

/// What a dimension of the values of a definition is, and the way back from it; `None` where the definition has no such value.
///
/// # Errors
/// The value has no such dimension.
pub fn chain(
    ctx: &Context,
    module: &Module,
    (index, text): (&Index, &str),
    entity: Entity,
    result: u32,
    dim: usize,
) -> Option<Result<(String, Vec<Step>), String>> {
    let (body, value) = find(module, entity, result)?;
    let Entity::Values { owner, .. } = entity else { return None };
    let mut chain = Chain { ctx, module, index, text, owner, body, steps: vec![], seen: HashSet::new() };
    let Some(size) = chain.size(value, dim) else {
        return Some(Err(format!("{} has no dimension {dim}", ctx.display_type(body.ty(value)))));
    };
    chain.follow(value, dim);
    Some(Ok((format!("dimension {dim} of {} is `{size}`", chain.name(value)), chain.steps)))
}

struct Chain<'a> {
    ctx: &'a Context,
    module: &'a Module,
    index: &'a Index,
    text: &'a str,
    /// Of the op that owns the body.
    owner: Loc,
    body: &'a Body,
    steps: Vec<Step>,
    seen: HashSet<(ValueId, usize)>,
}

impl Chain<'_> {
    fn name(&self, value: ValueId) -> String {
        let at = Body::index_of(value);
        for definition in &self.index.definitions {
            let Entity::Values { owner, first, count } = definition.entity else { continue };
            let first = Body::index_of(first);
            if owner == self.owner && (first..first + count as usize).contains(&at) {
                let name = &self.text[definition.range.clone()];
                return if count == 1 { name.into() } else { format!("{name}#{}", at - first) };
            }
        }
        "a value".into()
    }
    fn dim(&self, value: ValueId, dim: usize) -> Option<Dim> {
        self.ctx.dims(self.body.ty(value))?.get(dim).copied()
    }
    fn size(&self, value: ValueId, dim: usize) -> Option<String> {
        Some(match self.dim(value, dim)? {
            Dim::Unknown => "?".into(),
            Dim::Expr(e) => self.ctx.exprs.display(e).to_string(),
        })
    }
    fn step(&mut self, loc: Loc, text: String) {
        self.steps.push(Step { loc, text });
    }

    fn follow(&mut self, value: ValueId, dim: usize) {
        if self.steps.len() >= MOST_STEPS || !self.seen.insert((value, dim)) {
            return;
        }
        let Some(size) = self.size(value, dim) else { return };
        let what = format!("`{size}`, dimension {dim} of {}", self.name(value));
        match self.body.def(value) {
            ValueDef::Argument(block, index) => self.argument(block, index as usize, dim, &what),
            ValueDef::Result(op, index) => self.result(op, index as usize, dim, &what),
        }
    }

    fn argument(&mut self, block: nim_ir::BlockId, index: usize, dim: usize, what: &str) {
        let loc = self.body.arg_loc(block, index);
        let parent = self.body.block_region(block).and_then(|region| self.body.region_parent(region));
        let Some(parent) = parent else {
            return self.step(loc, format!("{what}: it is an argument, so this is where the size is said"));
        };
        let op = self.ctx.op_str(self.body.op_name(parent));
        let size = self.dim(self.body.block_args(block)[index], dim);
        let operands = self.body.operands(parent);
        let from = operands.iter().copied().find(|&v| size.is_some() && self.dim(v, dim) == size);
        self.step(loc, format!("{what}: `{op}` gives it to its region"));
        if let Some(from) = from {
            self.follow(from, dim);
        }
    }

    fn result(&mut self, op: OpId, index: usize, dim: usize, what: &str) {
        let (loc, name) = (self.body.loc(op), self.ctx.op_str(self.body.op_name(op)).to_string());
        let sources = self.sources(op, index, dim);
        if let Some(&(first, of)) = sources.first() {
            let others = sources[1..].iter().map(|&(v, k)| format!(" and {k} of {}", self.name(v))).collect::<String>();
            self.step(loc, format!("{what}: `{name}` makes it of dimension {of} of {}{others}", self.name(first)));
            // Equal sizes have equal reasons: one of them is followed.
            let mut followed: Vec<Option<Dim>> = vec![];
            for (value, k) in sources {
                let size = self.dim(value, k);
                if !followed.contains(&size) {
                    followed.push(size);
                    self.follow(value, k);
                }
            }
            return;
        }
        let yielded = self.yielded(op, index, dim);
        if !yielded.is_empty() {
            self.step(loc, format!("{what}: the regions of `{name}` yield it"));
            return yielded.into_iter().for_each(|value| self.follow(value, dim));
        }
        let expr = self.dim(self.body.results(op)[index], dim).and_then(Dim::expr);
        if let Some((attr, text)) = expr.and_then(|e| self.attribute(op, e)) {
            self.step(loc, format!("{what}: the attribute `{attr} = {text}` of `{name}` says so"));
            return expr.into_iter().for_each(|e| self.symbols(op, e));
        }
        if let Some(callee) = self.body.attr_named(self.ctx, op, "callee").and_then(|a| self.ctx.as_symbol_ref(a)) {
            self.step(loc, format!("{what}: `{name}` has it from the type of @{}", self.ctx.str(callee)));
            if let Some(target) = self.module.lookup(self.ctx, callee) {
                let text = format!("the type of @{} is written here", self.ctx.str(callee));
                self.step(self.module.body.loc(target), text);
            }
            return;
        }
        let constant = self.ctx.op_def(self.body.op_name(op)).is_some_and(|d| d.has(Trait::ConstantLike));
        let why =
            if constant { "the constant has this size" } else { "the op itself says so, or the data that it sees" };
        self.step(loc, format!("{what}: `{name}`; {why}"));
    }

    /// The symbols of an attribute's expression: where they get their values.
    fn symbols(&mut self, before: OpId, expr: Expr) {
        for symbol in self.ctx.exprs.symbols(expr) {
            let name = self.ctx.exprs.symbol_name(symbol);
            let bare = Dim::Expr(self.ctx.exprs.var(symbol));
            let at = |value: ValueId| self.ctx.dims(self.body.ty(value))?.iter().position(|d| *d == bare);
            let args = self.body.entry().map(|block| self.body.block_args(block).to_vec()).unwrap_or_default();
            if let Some((value, dim)) = args.into_iter().find_map(|v| Some((v, at(v)?))) {
                self.follow(value, dim);
                continue;
            }
            for op in self.body.walk().into_iter().take_while(|op| *op != before) {
                if let Some((value, dim)) = self.body.results(op).iter().find_map(|&v| Some((v, at(v)?))) {
                    self.follow(value, dim);
                    break;
                }
                let names = self.body.attr_named(self.ctx, op, "symbols").and_then(|a| self.ctx.as_array(a));
                if names.is_some_and(|names| names.iter().any(|&n| self.ctx.as_string(n) == Some(name))) {
                    let kind = self.ctx.op_str(self.body.op_name(op));
                    self.step(self.body.loc(op), format!("`{name}` is read from a tensor here, by `{kind}`"));
                    break;
                }
            }
        }
    }

    /// The first attribute that holds an expression, and its text.
    fn attribute(&self, op: OpId, expr: Expr) -> Option<(String, String)> {
        self.body.attrs(op).iter().find_map(|(name, attr)| {
            let inside = self.ctx.as_exprs(attr).unwrap_or_default();
            let holds = inside.contains(&expr) || self.ctx.as_expr(attr) == Some(expr);
            let text = inside.iter().map(|&e| self.ctx.exprs.display(e).to_string()).collect::<Vec<_>>().join(", ");
            let text = if inside.is_empty() { print_attr(self.ctx, attr) } else { format!("[{text}]") };
            holds.then(|| (self.ctx.str(name).to_string(), text))
        })
    }

    /// What the regions of a structured op yield for a result: the operand of each terminator that has its size.
    fn yielded(&self, op: OpId, index: usize, dim: usize) -> Vec<ValueId> {
        let def = self.ctx.op_def(self.body.op_name(op));
        if !def.is_some_and(|d| d.has(Trait::StructuredControlFlow)) {
            return vec![];
        }
        let wanted = self.dim(self.body.results(op)[index], dim);
        let ends = self.body.regions(op).iter().filter_map(|&r| self.body.last_op(*self.body.blocks(r).last()?));
        ends.filter_map(|end| {
            let operands = self.body.operands(end);
            // A condition may stand before the values.
            let skipped = operands.len().saturating_sub(self.body.results(op).len());
            let value = *operands.get(index + skipped)?;
            (self.dim(value, dim) == wanted).then_some(value)
        })
        .collect()
    }

    /// Dimensions of operands that a dimension of a result is made of.
    fn sources(&self, op: OpId, index: usize, dim: usize) -> Vec<(ValueId, usize)> {
        let operands = self.body.operands(op);
        let def = self.ctx.op_def(self.body.op_name(op));
        let Some(infer) = def.and_then(|d| d.infer) else {
            let same = def.is_some_and(|d| d.has(Trait::SameOperandsAndResultType));
            return operands.first().filter(|_| same).map(|&v| (v, dim)).into_iter().collect();
        };
        let types: Vec<Type> = operands.iter().map(|&v| self.body.ty(v)).collect();
        let probe = self.ctx.exprs.symbol("another size");
        let other = Dim::Expr(self.ctx.exprs.var(probe));
        let follows = |types: &[Type]| {
            let input = InferInput { ctx: self.ctx, operands: types, attrs: self.body.attrs(op), loc: Loc::UNKNOWN };
            let result = infer(&input).ok()?.get(index).copied()?;
            let size = self.ctx.dims(result)?.get(dim)?.expr()?;
            Some(self.ctx.exprs.mentions(size, probe))
        };
        let mut found = vec![];
        for (j, &ty) in types.iter().enumerate() {
            for k in 0..self.ctx.dims(ty).map_or(0, <[Dim]>::len) {
                let alone: Vec<Type> = types
                    .iter()
                    .enumerate()
                    .map(|(i, &t)| if i == j { self.with_dim(t, other, |at, _| at == k) } else { t })
                    .collect();
                let size = self.ctx.dims(ty).map(|dims| dims[k]);
                // Where operands must agree, all of one size change together.
                let together =
                    || types.iter().map(|&t| self.with_dim(t, other, |_, d| Some(d) == size)).collect::<Vec<_>>();
                let mine = self.dim(self.body.results(op)[index], dim) == size;
                if follows(&alone) == Some(true)
                    || (mine && follows(&alone) != Some(true) && follows(&together()) == Some(true))
                {
                    found.push((operands[j], k));
                }
            }
        }
        // Those of the same size say more than those that only might have changed it.
        let wanted = self.dim(self.body.results(op)[index], dim);
        let equal: Vec<_> = found.iter().copied().filter(|&(v, k)| self.dim(v, k) == wanted).collect();
        if equal.is_empty() { found } else { equal }
    }

    /// A type with some of its dimensions replaced.
    fn with_dim(&self, ty: Type, other: Dim, replaced: impl Fn(usize, Dim) -> bool) -> Type {
        let mut data = self.ctx.type_data(ty).clone();
        if let TypeData::Tensor { dims, .. } | TypeData::MemRef { dims, .. } = &mut data {
            for (k, dim) in dims.iter_mut().enumerate() {
                if replaced(k, *dim) {
                    *dim = other;
                }
            }
        }
        self.ctx.ty(data)
    }
}
