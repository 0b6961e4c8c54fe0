//! Names of values and blocks: what is visible, what was used before its definition, what never got one.

use super::Parser;
use crate::codes;
use nim_ir::{
    AttrList, BlockId, Diagnostic, Loc, Name, OpId, RegionId, Type, ValueId, diagnostics::did_you_mean,
    syntax::OperandName,
};
use rustc_hash::FxHashMap;

/// Largest `#n`; a bound only so that a typing error does not allocate gigabytes.
const MAX_RESULTS: u32 = 1 << 16;

#[derive(Copy, Clone)]
enum Slot {
    Empty,
    Defined(ValueId),
    /// Used before its definition: the result of an op that stands nowhere takes its place until then.
    Forward {
        op: OpId,
        value: ValueId,
        loc: Loc,
    },
}

#[derive(Default)]
struct Entry {
    /// Where it was defined, once it is.
    defined: Option<Loc>,
    /// Its definition could not be parsed; uses are not to blame.
    poisoned: bool,
    slots: Vec<Slot>,
}

struct BlockEntry {
    block: BlockId,
    /// Where it was defined, once it is.
    defined: Option<Loc>,
    used: Loc,
    /// The region that holds the block until its definition.
    holder: Option<RegionId>,
}

struct RegionScope {
    region: RegionId,
    names: Vec<Name>,
    blocks: FxHashMap<Name, BlockEntry>,
}

/// Names within one isolated-from-above op.
#[derive(Default)]
pub(super) struct Scope {
    names: FxHashMap<Name, Entry>,
    regions: Vec<RegionScope>,
    /// Names that were visible in regions that have ended.
    ended: FxHashMap<Name, Loc>,
    /// What surrounds it could not be read, so undefined names mean nothing.
    orphan: bool,
}

impl Parser<'_> {
    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("ops are parsed within a scope")
    }

    /// Enters an isolated-from-above op.
    pub(super) fn push_scope(&mut self) {
        self.scopes.push(Scope::default());
    }
    /// Enters a region whose surroundings could not be read.
    pub(super) fn push_orphan_scope(&mut self) {
        self.scopes.push(Scope { orphan: true, ..Scope::default() });
    }
    /// Leaves it; what has no definition by now is reported.
    pub(super) fn pop_scope(&mut self) {
        let Some(scope) = self.scopes.pop().filter(|s| !s.orphan) else { return };
        let mut known: Vec<&str> = scope.ended.keys().map(|&n| self.ctx.str(n)).collect();
        known.extend(scope.names.iter().filter(|(_, e)| e.defined.is_some()).map(|(&n, _)| self.ctx.str(n)));
        known.sort_unstable();
        let undefined = scope.names.iter().filter(|(_, e)| e.defined.is_none() && !e.poisoned);
        let mut found = vec![];
        for (&name, entry) in undefined {
            let uses =
                entry.slots.iter().filter_map(|s| if let Slot::Forward { loc, .. } = s { Some(*loc) } else { None });
            for loc in uses {
                let text = self.ctx.str(name);
                let mut diagnostic =
                    Diagnostic::error(codes::UNDEFINED_VALUE, loc, format!("the value `%{text}` is not defined"));
                if let Some(&there) = scope.ended.get(&name) {
                    diagnostic = diagnostic.label(there, "defined here, in a region that does not contain the use");
                } else if text.len() > 2
                    // One letter is like any other.
                    && let Some(near) = did_you_mean(text, known.iter().copied())
                {
                    diagnostic = diagnostic.help(format!("did you mean `%{near}`?"));
                }
                found.push(diagnostic);
            }
        }
        self.diagnostics.extend(found);
    }
    /// Enters a region.
    pub(super) fn push_region_scope(&mut self, region: RegionId) {
        self.scope().regions.push(RegionScope { region, names: vec![], blocks: FxHashMap::default() });
    }
    /// Leaves it: its values are not visible any more, blocks without definition are reported.
    pub(super) fn pop_region_scope(&mut self) {
        let scope = self.scope();
        let Some(region) = scope.regions.pop() else { return };
        for name in region.names {
            if let Some(loc) = scope.names.remove(&name).and_then(|e| e.defined) {
                scope.ended.insert(name, loc);
            }
        }
        let known: Vec<Name> = region.blocks.iter().filter(|(_, b)| b.defined.is_some()).map(|(&n, _)| n).collect();
        for (&name, block) in region.blocks.iter().filter(|(_, b)| b.defined.is_none()) {
            let text = self.ctx.str(name);
            let mut diagnostic =
                Diagnostic::error(codes::UNDEFINED_BLOCK, block.used, format!("the block `^{text}` is not defined"));
            let mut known: Vec<&str> = known.iter().map(|&n| self.ctx.str(n)).collect();
            known.sort_unstable();
            if let Some(near) = did_you_mean(text, known) {
                diagnostic = diagnostic.help(format!("did you mean `^{near}`?"));
            }
            self.diagnostics.push(diagnostic);
        }
    }

    /// A result of an op that stands nowhere.
    fn stand_in(&mut self, ty: Type, loc: Loc) -> (OpId, ValueId) {
        let name = self.ctx.op_name("nim.forward_reference");
        let body = self.body_now();
        let op = body.create_op(name, loc, &[], &[ty], AttrList::new(), &[], &[], None);
        (op, body.result(op))
    }
    /// A value for an operand that was reported as wrong.
    fn poison_value(&mut self, ty: Option<Type>, loc: Loc) -> ValueId {
        let ty = ty.unwrap_or(self.error_type());
        self.stand_in(ty, loc).1
    }

    /// Says that a name stands for values. A name of digits is not kept, the printer numbers such values.
    pub(super) fn define_values(&mut self, name: Name, values: &[ValueId], loc: Loc) {
        let text = self.ctx.str(name);
        if let Some(&first) = values.first()
            && !text.starts_with(|c: char| c.is_ascii_digit())
        {
            self.body_now().set_value_name(first, Some(name));
        }
        let entry = self.scope().names.entry(name).or_default();
        if let Some(there) = entry.defined {
            self.emit(
                Diagnostic::error(codes::REDEFINED_VALUE, loc, format!("the value `%{text}` is defined twice"))
                    .label(there, "first defined here"),
            );
            return;
        }
        entry.defined = Some(loc);
        entry.poisoned = false;
        let slots = values.iter().map(|&v| Slot::Defined(v)).collect();
        let forward = std::mem::replace(&mut entry.slots, slots);
        if let Some(region) = self.scope().regions.last_mut() {
            region.names.push(name);
        }
        for (i, slot) in forward.into_iter().enumerate() {
            let Slot::Forward { op, value, loc: used } = slot else { continue };
            let Some(&real) = values.get(i) else {
                self.no_such_result(name, i as u32, values.len(), used, loc);
                continue;
            };
            let (expected, found) = (self.body_now().ty(value), self.body_now().ty(real));
            self.check_type(name, expected, found, used, loc);
            let body = self.body_now();
            body.replace_all_uses(value, real);
            body.erase(op);
        }
    }
    /// Says that the definition of a name could not be parsed.
    pub(super) fn poison(&mut self, name: Name, loc: Loc) {
        let scope = self.scope();
        let entry = scope.names.entry(name).or_default();
        if entry.defined.is_none() {
            entry.defined = Some(loc);
            entry.poisoned = true;
            if let Some(region) = scope.regions.last_mut() {
                region.names.push(name);
            }
        }
    }

    /// The value of an operand. Without a type it must be defined already.
    pub(super) fn lookup(&mut self, operand: OperandName, ty: Option<Type>) -> ValueId {
        let OperandName { name, index, loc } = operand;
        let text = self.ctx.str(name);
        let entry = self.scope().names.entry(name).or_default();
        let (defined, count) = (entry.defined, entry.slots.len());
        if entry.poisoned {
            return self.poison_value(ty, loc);
        }
        match entry.slots.get(index as usize).copied().unwrap_or(Slot::Empty) {
            Slot::Defined(value) => {
                if let (Some(ty), Some(there)) = (ty, defined) {
                    let found = self.body_now().ty(value);
                    self.check_type(name, ty, found, loc, there);
                }
                value
            }
            Slot::Forward { value, loc: there, .. } => {
                if let Some(ty) = ty {
                    let found = self.body_now().ty(value);
                    self.check_type(name, ty, found, loc, there);
                }
                value
            }
            Slot::Empty => match (defined, ty) {
                (Some(there), _) => {
                    self.no_such_result(name, index, count, loc, there);
                    self.poison_value(ty, loc)
                }
                (None, _) if index >= MAX_RESULTS => {
                    self.emit(Diagnostic::error(
                        codes::NO_SUCH_RESULT,
                        loc,
                        format!("`%{text}` has no result {index}"),
                    ));
                    self.poison_value(ty, loc)
                }
                // Without a type nothing can stand in for it properly; it is reported unless it turns up, and then the
                // type differs.
                (None, ty) => {
                    let written = ty;
                    let ty = ty.unwrap_or(self.error_type());
                    let (op, value) = self.stand_in(ty, loc);
                    if written.is_none() && self.scope().orphan {
                        return value;
                    }
                    if written.is_none() {
                        self.emit(
                            Diagnostic::error(
                                codes::UNDEFINED_VALUE,
                                loc,
                                format!("the value `%{text}` is not defined before this use"),
                            )
                            .note("the type of the value is not written here, so it must be known already"),
                        );
                        return value;
                    }
                    let slots = &mut self.scope().names.entry(name).or_default().slots;
                    if slots.len() <= index as usize {
                        slots.resize(index as usize + 1, Slot::Empty);
                    }
                    slots[index as usize] = Slot::Forward { op, value, loc };
                    value
                }
            },
        }
    }

    fn check_type(&mut self, name: Name, written: Type, found: Type, at: Loc, defined: Loc) {
        if written == found || self.is_error_type(written) || self.is_error_type(found) {
            return;
        }
        let text = self.ctx.str(name);
        let (written, found) = (self.ctx.display_type(written), self.ctx.display_type(found));
        self.emit(
            Diagnostic::error(codes::TYPE_MISMATCH, at, format!("`%{text}` is used as {written}, but it is {found}"))
                .here(format!("expected {written}"))
                .label(defined, format!("this is {found}")),
        );
    }
    fn no_such_result(&mut self, name: Name, index: u32, count: usize, at: Loc, defined: Loc) {
        let text = self.ctx.str(name);
        let s = if count == 1 { "" } else { "s" };
        self.emit(
            Diagnostic::error(codes::NO_SUCH_RESULT, at, format!("`%{text}` has no result {index}"))
                .label(defined, format!("stands for {count} value{s}, counted from 0")),
        );
    }

    /// The block of a label as a successor; it may be defined later.
    pub(super) fn block_reference(&mut self, name: Name, loc: Loc) -> Option<BlockId> {
        if let Some(entry) = self.scope().regions.last()?.blocks.get(&name) {
            return Some(entry.block);
        }
        let body = self.body_now();
        let holder = body.add_detached_region();
        let block = body.add_block(holder, &[], &[]);
        let entry = BlockEntry { block, defined: None, used: loc, holder: Some(holder) };
        self.scope().regions.last_mut()?.blocks.insert(name, entry);
        Some(block)
    }
    /// The block that a label begins, at the end of its region.
    pub(super) fn block_definition(&mut self, name: Name, loc: Loc) -> Option<BlockId> {
        let scope = self.scope().regions.last_mut()?;
        let region = scope.region;
        match scope.blocks.get_mut(&name) {
            Some(entry) if entry.defined.is_some() => {
                let there = entry.defined?;
                let text = self.ctx.str(name);
                self.emit(
                    Diagnostic::error(codes::REDEFINED_BLOCK, loc, format!("the block `^{text}` is defined twice"))
                        .label(there, "first defined here"),
                );
                Some(self.body_now().add_block(region, &[], &[]))
            }
            Some(entry) => {
                entry.defined = Some(loc);
                let (block, holder) = (entry.block, entry.holder.take());
                if let Some(holder) = holder {
                    self.body_now().move_blocks(holder, region);
                }
                Some(block)
            }
            None => {
                let block = self.body_now().add_block(region, &[], &[]);
                let entry = BlockEntry { block, defined: Some(loc), used: loc, holder: None };
                self.scope().regions.last_mut()?.blocks.insert(name, entry);
                Some(block)
            }
        }
    }
}
