//! Checks of the IR: structure, dominance, op tables, types, symbols. All findings of a body in one run.

use crate::{
    Arity, AttrData, AttrKind, BlockId, Body, Context, Diagnostic, Dim, Module, Name, OpDef, OpId, OperandDef,
    Presence, RegionId, Trait, Type, TypeData, ValueId, builder::infer_types, diagnostics::did_you_mean,
};
use rustc_hash::FxHashMap;

mod dominance;

/// The code of a value whose type the op does not allow.
pub const WRONG_TYPE: &str = "N0308";
/// The code of types that must be equal and are not.
pub const UNEQUAL_TYPES: &str = "N0309";

/// The code of wrong numbers of operands, results or regions.
const WRONG_COUNT: &str = "N0304";

/// Verifies a module and everything nested in it. Bodies are checked one by one; nothing found means valid.
pub fn verify_module(ctx: &Context, module: &Module) -> Vec<Diagnostic> {
    let mut found = vec![];
    verify_body(ctx, &module.body, false, &mut found);
    found
}

/// Verifies a body and the bodies nested in it. `terminated`: its root blocks must end with a terminator; without, it is
/// a module, in which values may be used before they are defined.
pub fn verify_body(ctx: &Context, body: &Body, terminated: bool, found: &mut Vec<Diagnostic>) {
    verify_in(ctx, body, terminated, None, found);
}

/// `around`: the symbols of the module that the body is in.
fn verify_in(
    ctx: &Context,
    body: &Body,
    terminated: bool,
    around: Option<&SymbolTable<'_>>,
    found: &mut Vec<Diagnostic>,
) {
    dominance::check(ctx, body, !terminated, found);
    let own = (!terminated).then(|| SymbolTable::new(ctx, body));
    let mut verifier = Verifier { ctx, body, symbols: own.as_ref().or(around), found };
    for &region in body.root_regions() {
        verifier.region(region, terminated);
    }
    verifier.symbols();
}

/// The symbols of a module.
pub struct SymbolTable<'a> {
    /// The module's body, which the ops are in.
    pub body: &'a Body,
    ops: FxHashMap<Name, OpId>,
}

impl<'a> SymbolTable<'a> {
    /// The symbols of a module's body. Where a name is used twice the first one counts.
    pub fn new(ctx: &Context, body: &'a Body) -> SymbolTable<'a> {
        let sym_name = ctx.name("sym_name");
        let mut ops = FxHashMap::default();
        for op in body.root_regions().iter().flat_map(|&r| body.blocks(r)).flat_map(|&b| body.block_ops(b)) {
            if let Some(AttrData::String(name)) = body.attr(op, sym_name).map(|a| ctx.attr_data(a)) {
                ops.entry(*name).or_insert(op);
            }
        }
        SymbolTable { body, ops }
    }
    /// The op of a name.
    pub fn get(&self, name: Name) -> Option<OpId> {
        self.ops.get(&name).copied()
    }
    /// All names, sorted.
    pub fn names<'c>(&self, ctx: &'c Context) -> Vec<&'c str> {
        let mut names: Vec<&str> = self.ops.keys().map(|&n| ctx.str(n)).collect();
        names.sort_unstable();
        names
    }
}

struct Verifier<'a> {
    ctx: &'a Context,
    body: &'a Body,
    /// Those that ops may name; `None` when nothing is known about the module.
    symbols: Option<&'a SymbolTable<'a>>,
    found: &'a mut Vec<Diagnostic>,
}

impl Verifier<'_> {
    fn error(&mut self, code: &'static str, op: OpId, message: String) {
        self.found.push(Diagnostic::error(code, self.body.loc(op), message));
    }

    fn region(&mut self, region: RegionId, terminated: bool) {
        // An explicit stack: nesting may be deep.
        let mut stack = vec![(region, terminated)];
        while let Some((region, terminated)) = stack.pop() {
            for &block in self.body.blocks(region) {
                self.block(block, terminated, &mut stack);
            }
        }
    }

    fn block(&mut self, block: BlockId, terminated: bool, stack: &mut Vec<(RegionId, bool)>) {
        let last = self.body.last_op(block);
        for op in self.body.block_ops(block) {
            let def = self.ctx.op_def(self.body.op_name(op));
            if let Some(def) = def {
                let before = self.found.len();
                self.against_table(op, def);
                // An op's own checks count on the operands that its table gives it.
                let misshapen = self.found.len() > before
                    && (self.found[before..].iter().any(|d| d.code == WRONG_COUNT)
                        || operand_groups(self.ctx, self.body, op).is_none());
                if def.has(Trait::Terminator) && Some(op) != last {
                    let name = def.name;
                    self.error("N0301", op, format!("`{name}` ends a block but does not stand at its end"));
                }
                if def.has(Trait::SymbolUser) {
                    self.callee(op);
                }
                if let Some(verify) = def.verify.filter(|_| !misshapen) {
                    verify(self.ctx, self.body, op, self.found);
                }
                if let (Some(verify), Some(symbols)) = (def.verify_use.filter(|_| !misshapen), self.symbols) {
                    verify(self.ctx, symbols, self.body, op, self.found);
                }
            }
            let inner_terminated = def.is_some_and(|d| !d.has(Trait::NoTerminator));
            stack.extend(self.body.regions(op).iter().map(|&r| (r, inner_terminated)));
            if let Some(nested) = self.body.nested(op) {
                verify_in(self.ctx, nested, inner_terminated, self.symbols, self.found);
            }
        }
        if terminated {
            match last {
                Some(op) => {
                    let known = self.ctx.op_def(self.body.op_name(op));
                    if known.is_some_and(|d| !d.has(Trait::Terminator)) {
                        let name = self.ctx.op_str(self.body.op_name(op)).to_string();
                        self.error("N0302", op, format!("the block must end with a terminator, found `{name}`"));
                    }
                }
                None => {
                    let parent = self.body.block_region(block).and_then(|r| self.body.region_parent(r));
                    if let Some(op) = parent {
                        self.error("N0302", op, "a block of this op is empty; it must end with a terminator".into());
                    }
                }
            }
        }
    }

    /// What is called must be there.
    fn callee(&mut self, op: OpId) {
        let callee = self.body.attr_named(self.ctx, op, "callee").and_then(|a| self.ctx.as_symbol_ref(a));
        let (Some(name), Some(symbols)) = (callee, self.symbols) else { return };
        if symbols.get(name).is_some() {
            return;
        }
        let (text, user) = (self.ctx.str(name), self.ctx.op_str(self.body.op_name(op)));
        let message = format!("`{user}` calls `@{text}`, but the module has no such symbol");
        let mut diagnostic = Diagnostic::error("N0312", self.body.loc(op), message);
        if let Some(near) = did_you_mean(text, symbols.names(self.ctx)) {
            diagnostic = diagnostic.help(format!("did you mean `@{near}`?"));
        }
        self.found.push(diagnostic);
    }

    fn against_table(&mut self, op: OpId, def: &'static OpDef) {
        let before = self.found.len();
        self.counts(op, def);
        self.attributes(op, def);
        if self.found.len() == before {
            self.types(op, def);
        }
    }

    fn counts(&mut self, op: OpId, def: &OpDef) {
        let operands = self.body.operand_count(op);
        let results = self.body.results(op).len();
        let regions = self.body.regions(op).len() + self.body.nested(op).map_or(0, |b| b.root_regions().len());
        self.count(op, def, "operands", operands, def.operands.iter().map(|o| o.arity));
        self.count(op, def, "results", results, def.results.iter().map(|o| o.arity));
        self.count(op, def, "regions", regions, def.regions.iter().map(|o| o.arity));
        if let Some(n) = def.successors
            && self.body.successors(op).len() != n
        {
            let message = format!("`{}` takes {n} successors, found {}", def.name, self.body.successors(op).len());
            self.error("N0304", op, message);
        }
    }

    fn count(&mut self, op: OpId, def: &OpDef, what: &str, found: usize, arities: impl Iterator<Item = Arity>) {
        let (mut least, mut most) = (0, Some(0));
        for arity in arities {
            least += (arity == Arity::One) as usize;
            most = match arity {
                Arity::Variadic => None,
                _ => most.map(|m| m + 1),
            };
        }
        if found < least || most.is_some_and(|m| found > m) {
            let wanted = match most {
                Some(m) if m == least => format!("{least}"),
                Some(m) => format!("{least} to {m}"),
                None => format!("at least {least}"),
            };
            self.error("N0304", op, format!("`{}` takes {wanted} {what}, found {found}", def.name));
        }
    }

    fn attributes(&mut self, op: OpId, def: &OpDef) {
        let op_name = self.body.op_name(op);
        for (name, attr) in self.ctx.attr_defs(op_name) {
            match self.body.attr(op, name) {
                None if attr.presence == Presence::Required => {
                    let message = format!("`{}` needs the attribute `{}` ({})", def.name, attr.name, attr.doc);
                    self.error("N0305", op, message);
                }
                Some(value) if !attr_is(self.ctx, value, attr.kind) => {
                    let message =
                        format!("the attribute `{}` of `{}` must be {}", attr.name, def.name, describe(attr.kind));
                    self.error("N0306", op, message);
                }
                _ => {}
            }
        }
        // An undotted attribute that the table does not know is most likely a slip.
        for (name, _) in self.body.attrs(op).iter() {
            if self.ctx.attr_def(op_name, name).is_some() {
                continue;
            }
            let text = self.ctx.str(name);
            if !text.contains('.') && !KNOWN_EVERYWHERE.contains(&text) && !is_upstream(def) {
                let mut diagnostic =
                    Diagnostic::error("N0307", self.body.loc(op), format!("`{}` has no attribute `{text}`", def.name));
                if let Some(near) = did_you_mean(text, def.attrs.iter().map(|a| a.name)) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                self.found.push(diagnostic);
            }
        }
    }

    fn types(&mut self, op: OpId, def: &'static OpDef) {
        let body = self.body;
        let plain = body.operand_count(op) == def.operands.len() && def.operands.iter().all(|o| o.arity == Arity::One);
        if plain {
            for (field, value) in def.operands.iter().zip(body.operands_iter(op)) {
                self.operand_type(op, def, field, value);
            }
        } else if let Some(groups) = operand_groups(self.ctx, body, op) {
            for (field, range) in def.operands.iter().zip(groups) {
                range.for_each(|i| self.operand_type(op, def, field, body.operand(op, i)));
            }
        } else {
            let message = format!("`operandSegmentSizes` of `{}` does not fit its operands", def.name);
            self.error("N0304", op, message);
            return;
        }
        let result_types = || body.results(op).iter().map(|&v| body.ty(v));
        let fixed = def.results.iter().all(|r| r.arity == Arity::One);
        for (i, ty) in result_types().enumerate() {
            let field = if fixed { def.results.get(i) } else { def.results.last() };
            if let Some(field) = field
                && !(field.constraint.check)(self.ctx, ty)
            {
                let message =
                    format!("result `{}` of `{}` must be {}", field.name, def.name, field.constraint.description);
                let found = self.ctx.display_type(ty);
                self.found
                    .push(Diagnostic::error(WRONG_TYPE, self.body.loc(op), message).note(format!("found {found}")));
            }
        }
        let operand_types = || body.operands_iter(op).map(|v| body.ty(v));
        let all_same = def.has(Trait::SameOperandsAndResultType);
        if all_same || def.has(Trait::SameTypeOperands) {
            let results = result_types().take(if all_same { usize::MAX } else { 0 });
            let types = operand_types().chain(results);
            if let Some((before, other)) = types.clone().zip(types.skip(1)).find(|(a, b)| a != b) {
                let (a, b) = (self.ctx.display_type(before), self.ctx.display_type(other));
                self.error(UNEQUAL_TYPES, op, format!("`{}` needs equal types, found {a} and {b}", def.name));
            }
        }
        if def.infer.is_some() {
            let operands: Vec<Type> = operand_types().collect();
            let results: Vec<Type> = result_types().collect();
            self.inferred(op, def, &operands, &results);
        }
    }

    fn operand_type(&mut self, op: OpId, def: &OpDef, field: &OperandDef, value: ValueId) {
        let ty = self.body.ty(value);
        if (field.constraint.check)(self.ctx, ty) {
            return;
        }
        let message = format!("operand `{}` of `{}` must be {}", field.name, def.name, field.constraint.description);
        let found = self.ctx.display_type(ty);
        self.found.push(Diagnostic::error(WRONG_TYPE, self.body.loc(op), message).note(format!("found {found}")));
    }

    fn inferred(&mut self, op: OpId, def: &OpDef, operands: &[Type], results: &[Type]) {
        match infer_types(self.ctx, self.body.op_name(op), operands, self.body.attrs(op), self.body.loc(op)) {
            Err(diagnostic) => self.found.push(diagnostic),
            Ok(inferred) => {
                for (&inferred, &written) in inferred.iter().zip(results) {
                    if !compatible(self.ctx, inferred, written) {
                        let (a, b) = (self.ctx.display_type(inferred), self.ctx.display_type(written));
                        self.found.push(
                            Diagnostic::error(
                                "N0310",
                                self.body.loc(op),
                                format!("the result of `{}` is {a}, but {b} is written", def.name),
                            )
                            .note("the first follows from the operands and attributes"),
                        );
                    }
                }
            }
        }
    }

    fn symbols(&mut self) {
        let sym_name = self.ctx.name("sym_name");
        for &region in self.body.root_regions() {
            for &block in self.body.blocks(region) {
                let mut seen: FxHashMap<&str, OpId> = FxHashMap::default();
                for op in self.body.block_ops(block) {
                    let Some(name) = self.body.attr(op, sym_name).and_then(|a| self.ctx.as_string(a)) else { continue };
                    if let Some(first) = seen.insert(name, op) {
                        self.found.push(
                            Diagnostic::error(
                                "N0311",
                                self.body.loc(op),
                                format!("the symbol `@{name}` is defined twice"),
                            )
                            .label(self.body.loc(first), "first defined here"),
                        );
                    }
                }
            }
        }
    }
}

const KNOWN_EVERYWHERE: [&str; 4] = ["operandSegmentSizes", "resultSegmentSizes", "sym_visibility", "fastmath"];

fn is_upstream(def: &OpDef) -> bool {
    !["graph.", "dyn.", "dataflow.", "loops."].iter().any(|d| def.name.starts_with(d))
}

/// Operand index ranges of each operand field, by arity or `operandSegmentSizes`; `None` when they do not fit.
pub fn operand_groups(ctx: &Context, body: &Body, op: OpId) -> Option<Vec<std::ops::Range<usize>>> {
    let def = ctx.op_def(body.op_name(op))?;
    let total = body.operand_count(op);
    let sizes: Vec<usize> = if def.has_operand_segments() {
        let attr = body.attr_named(ctx, op, "operandSegmentSizes")?;
        ctx.as_ints(attr)?.into_iter().map(|n| usize::try_from(n).ok()).collect::<Option<_>>()?
    } else {
        let fixed = def.operands.iter().filter(|o| o.arity == Arity::One).count();
        let rest = total.checked_sub(fixed)?;
        def.operands.iter().map(|o| if o.arity == Arity::One { 1 } else { rest }).collect()
    };
    if sizes.len() != def.operands.len() || sizes.iter().sum::<usize>() != total {
        return None;
    }
    let mut start = 0;
    Some(
        sizes
            .into_iter()
            .map(|n| {
                start += n;
                start - n..start
            })
            .collect(),
    )
}

/// The operands of a named field.
pub fn operand_field(ctx: &Context, body: &Body, op: OpId, field: &str) -> Option<Vec<ValueId>> {
    let def = ctx.op_def(body.op_name(op))?;
    let i = def.operands.iter().position(|o| o.name == field)?;
    let range = operand_groups(ctx, body, op)?.get(i)?.clone();
    Some(body.operands(op)[range].to_vec())
}

/// True when a value of inferred type may be written as another type: equal, or one of them says less. Dimensions
/// that are different expressions are refused only when they can be proved to differ.
pub fn compatible(ctx: &Context, a: Type, b: Type) -> bool {
    if a == b {
        return true;
    }
    let dims_fit = |x: &[Dim], y: &[Dim]| {
        x.len() == y.len()
            && x.iter().zip(y).all(|(x, y)| match (x.expr(), y.expr()) {
                (Some(x), Some(y)) => !ctx.exprs.prove_ne(x, y, &nim_expr::Facts::default()),
                _ => true,
            })
    };
    match (ctx.type_data(a), ctx.type_data(b)) {
        (TypeData::Tensor { dims: x, element: e, .. }, TypeData::Tensor { dims: y, element: f, .. }) => {
            e == f && dims_fit(x, y)
        }
        (
            TypeData::MemRef { dims: x, element: e, space: s, .. },
            TypeData::MemRef { dims: y, element: f, space: t, .. },
        ) => e == f && s == t && dims_fit(x, y),
        (TypeData::UnrankedMemRef { element: e, .. }, TypeData::MemRef { element: f, .. })
        | (TypeData::MemRef { element: e, .. }, TypeData::UnrankedMemRef { element: f, .. })
        | (TypeData::UnrankedTensor(e), TypeData::Tensor { element: f, .. })
        | (TypeData::Tensor { element: e, .. }, TypeData::UnrankedTensor(f)) => e == f,
        _ => false,
    }
}

fn attr_is(ctx: &Context, attr: crate::Attr, kind: AttrKind) -> bool {
    let data = ctx.attr_data(attr);
    match kind {
        AttrKind::Any => true,
        AttrKind::Unit => matches!(data, AttrData::Unit),
        AttrKind::Bool => ctx.as_bool(attr).is_some(),
        AttrKind::Int => matches!(data, AttrData::Int { .. }),
        AttrKind::Float => matches!(data, AttrData::Float { .. }),
        AttrKind::String | AttrKind::SymbolName => matches!(data, AttrData::String(_)),
        AttrKind::Enum(names) => ctx.as_string(attr).is_some_and(|s| names.contains(&s)),
        AttrKind::Type => matches!(data, AttrData::Type(_)),
        AttrKind::SymbolRef => matches!(data, AttrData::SymbolRef(_)),
        AttrKind::Array => matches!(data, AttrData::Array(_)),
        AttrKind::Ints => ctx.as_ints(attr).is_some(),
        AttrKind::Expr => ctx.as_expr(attr).is_some(),
        AttrKind::Exprs => ctx.as_exprs(attr).is_some(),
        AttrKind::Elements => {
            matches!(data, AttrData::Dense { .. } | AttrData::DenseStrings { .. } | AttrData::DenseResource { .. })
        }
        AttrKind::Dict => matches!(data, AttrData::Dict(_)),
    }
}

fn describe(kind: AttrKind) -> String {
    match kind {
        AttrKind::Any => "an attribute".into(),
        AttrKind::Unit => "`unit`".into(),
        AttrKind::Bool => "`true` or `false`".into(),
        AttrKind::Int => "an integer".into(),
        AttrKind::Float => "a float".into(),
        AttrKind::String | AttrKind::SymbolName => "a string".into(),
        AttrKind::Enum(names) => {
            format!("one of {}", names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", "))
        }
        AttrKind::Type => "a type".into(),
        AttrKind::SymbolRef => "a symbol reference".into(),
        AttrKind::Array => "an array".into(),
        AttrKind::Ints => "an array of integers".into(),
        AttrKind::Expr => "a symbolic expression".into(),
        AttrKind::Exprs => "an array of symbolic expressions".into(),
        AttrKind::Elements => "a constant's elements".into(),
        AttrKind::Dict => "a dictionary".into(),
    }
}
