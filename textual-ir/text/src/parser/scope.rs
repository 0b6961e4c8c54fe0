//! Names of values and blocks: what is visible, what was used before its definition, what never got one.

use super::Parser;
use crate::{codes, index::Entity};
use nim_ir::{
    AttrList, BlockId, Body, Diagnostic, Loc, Name, OpId, RegionId, Type, ValueId, diagnostics::did_you_mean,
    syntax::OperandName,
};
use rustc_hash::FxHashMap;

/// Largest `#n`; a bound only so that a typing error does not allocate gigabytes.
pub(super) const MAX_RESULTS: u32 = 1 << 24;

/// What a name stands for: values side by side.
#[derive(Copy, Clone)]
struct Entry {
    /// The scope that it was defined in; 0 when it means nothing.
    scope: u32,
    /// Where it was defined.
    loc: Loc,
    first: u32,
    /// How many values; 0 when the definition could not be read: uses are not to blame then.
    count: u32,
}

/// Meanings of names, by the number of the name, for all scopes at once: what a scope defines replaces what is around it
/// and is put back at its end.
#[derive(Default)]
pub(super) struct Table {
    names: Vec<Entry>,
    /// Of names that are numbers. Those that nobody would come to by counting would only take room: they are in `far`.
    numbers: Vec<Entry>,
    far: FxHashMap<Name, Entry>,
    scopes: u32,
}

const NOTHING: Entry = Entry { scope: 0, loc: Loc::UNKNOWN, first: 0, count: 0 };

impl Table {
    fn get(&self, name: Name) -> Option<Entry> {
        let near = match name.number() {
            Some(_) => self.numbers.get(name.index()),
            None => self.names.get(name.index()),
        };
        near.filter(|e| e.scope != 0).or_else(|| self.far.get(&name)).copied()
    }
    fn slot(&mut self, name: Name) -> &mut Entry {
        let entries = match name.number() {
            Some(number) if number as usize > 2 * self.numbers.len() + 64 => {
                return self.far.entry(name).or_insert(NOTHING);
            }
            // Once it is there, it stays there.
            Some(_) if self.far.contains_key(&name) => return self.far.entry(name).or_insert(NOTHING),
            Some(_) => &mut self.numbers,
            None => &mut self.names,
        };
        if entries.len() <= name.index() {
            entries.resize(name.index() + 1, NOTHING);
        }
        &mut entries[name.index()]
    }
}

/// A use before the definition: the result of an op that stands nowhere takes its place until then.
struct Forward {
    index: u32,
    op: OpId,
    value: ValueId,
    loc: Loc,
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
    id: u32,
    /// What names meant around it.
    shadowed: Vec<(Name, Entry)>,
    /// Names that are used but not defined yet.
    forward: FxHashMap<Name, Vec<Forward>>,
    regions: Vec<RegionScope>,
    /// Names that were visible in regions that have ended.
    ended: Vec<(Name, Loc)>,
    /// What surrounds it could not be read, so undefined names mean nothing.
    orphan: bool,
}

impl Parser<'_> {
    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("ops are parsed within a scope")
    }
    /// What a name means in the scope.
    fn meaning(&self, name: Name) -> Option<Entry> {
        let scope = self.scopes.last()?.id;
        self.table.get(name).filter(|e| e.scope == scope)
    }
    fn set_meaning(&mut self, name: Name, loc: Loc, first: u32, count: u32) {
        let scope = self.scopes.last_mut().expect("ops are parsed within a scope");
        let before = std::mem::replace(self.table.slot(name), Entry { scope: scope.id, loc, first, count });
        if before.scope != 0 && before.scope != scope.id {
            scope.shadowed.push((name, before));
        }
        if let Some(region) = scope.regions.last_mut() {
            region.names.push(name);
        }
    }

    /// Names that dialects' syntax made from text may be numbers too.
    fn as_number(&self, name: Name) -> Name {
        match name.number() {
            Some(_) => name,
            None => super::number_name(self.ctx.str(name)).unwrap_or(name),
        }
    }

    /// Enters an isolated-from-above op.
    pub(super) fn push_scope(&mut self) {
        self.table.scopes += 1;
        self.scopes.push(Scope { id: self.table.scopes, ..Scope::default() });
    }
    /// Enters a region whose surroundings could not be read.
    pub(super) fn push_orphan_scope(&mut self) {
        self.push_scope();
        self.scope().orphan = true;
    }
    /// Leaves it; what has no definition by now is reported.
    pub(super) fn pop_scope(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        for &(name, entry) in &scope.shadowed {
            *self.table.slot(name) = entry;
        }
        if scope.orphan || scope.forward.is_empty() {
            return;
        }
        let mut known: Vec<&str> = scope.ended.iter().map(|(n, _)| self.ctx.str(*n)).collect();
        known.sort_unstable();
        let ended: FxHashMap<Name, Loc> = scope.ended.iter().copied().collect();
        let mut found = vec![];
        for (&name, uses) in &scope.forward {
            for &Forward { loc, .. } in uses {
                let text = self.ctx.str(name);
                let mut diagnostic =
                    Diagnostic::error(codes::UNDEFINED_VALUE, loc, format!("the value `%{text}` is not defined"));
                if let Some(&there) = ended.get(&name) {
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
        // What is left of them is for messages only.
        let tell = !(scope.regions.is_empty() && scope.forward.is_empty());
        let id = scope.id;
        for name in region.names {
            let entry = self.table.slot(name);
            if entry.scope == id {
                entry.scope = 0;
                if tell && entry.count > 0 {
                    let loc = entry.loc;
                    self.scope().ended.push((name, loc));
                }
            }
        }
        if region.blocks.is_empty() {
            return;
        }
        let defined = region.blocks.iter().filter(|(_, b)| b.defined.is_some());
        let mut known: Vec<&str> = defined.map(|(&n, _)| self.ctx.str(n)).collect();
        known.sort_unstable();
        for (&name, block) in region.blocks.iter().filter(|(_, b)| b.defined.is_none()) {
            let text = self.ctx.str(name);
            let mut diagnostic =
                Diagnostic::error(codes::UNDEFINED_BLOCK, block.used, format!("the block `^{text}` is not defined"));
            if let Some(near) = did_you_mean(text, known.iter().copied()) {
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
        let name = self.as_number(name);
        if let Some(&first) = values.first()
            && name.number().is_none()
            && !self.ctx.str(name).starts_with(|c: char| c.is_ascii_digit())
        {
            self.body_now().set_value_name(first, Some(name));
        }
        if let Some(Entry { loc: there, .. }) = self.meaning(name) {
            let text = self.ctx.str(name);
            self.emit(
                Diagnostic::error(codes::REDEFINED_VALUE, loc, format!("the value `%{text}` is defined twice"))
                    .label(there, "first defined here"),
            );
            return;
        }
        self.record_definition(loc, values.first().copied(), values.len());
        let first = values.first().map_or(0, |&v| Body::index_of(v) as u32);
        debug_assert!(values.iter().enumerate().all(|(i, &v)| Body::index_of(v) == first as usize + i));
        self.set_meaning(name, loc, first, values.len() as u32);
        if self.scope().forward.is_empty() {
            return;
        }
        for Forward { index, op, value, loc: used } in self.scope().forward.remove(&name).unwrap_or_default() {
            self.record_use(used, loc);
            let Some(&real) = values.get(index as usize) else {
                self.no_such_result(name, index, values.len(), used, loc);
                continue;
            };
            let (expected, found) = (self.body_now().ty(value), self.body_now().ty(real));
            self.check_type(name, expected, found, used, loc);
            let body = self.body_now();
            if !body.is_erased(op) {
                body.replace_all_uses(value, real);
                body.erase(op);
            }
        }
    }
    /// Says that the definition of a name could not be parsed.
    pub(super) fn poison(&mut self, name: Name, loc: Loc) {
        let name = self.as_number(name);
        if self.meaning(name).is_none() {
            self.record_definition(loc, None, 0);
            self.set_meaning(name, loc, 0, 0);
            for Forward { loc: used, .. } in self.scope().forward.remove(&name).unwrap_or_default() {
                self.record_use(used, loc);
            }
        }
    }

    /// The value of an operand. Without a type it must be defined already.
    pub(super) fn lookup(&mut self, operand: OperandName, ty: Option<Type>) -> ValueId {
        let OperandName { name, index, loc } = operand;
        let name = self.as_number(name);
        if let Some(Entry { loc: there, first, count, .. }) = self.meaning(name) {
            self.record_use(loc, there);
            if count == 0 {
                return self.poison_value(ty, loc);
            }
            if index >= count {
                self.no_such_result(name, index, count as usize, loc, there);
                return self.poison_value(ty, loc);
            }
            let value = Body::value_at((first + index) as usize);
            if let Some(ty) = ty {
                let found = self.body_now().ty(value);
                self.check_type(name, ty, found, loc, there);
            }
            return value;
        }
        let known = self.scope().forward.get(&name).and_then(|f| f.iter().find(|f| f.index == index));
        if let Some(&Forward { value, loc: there, op, .. }) = known {
            if self.recorder.is_some() {
                // One more use to be told where the definition is; the value is the same.
                self.scope().forward.entry(name).or_default().push(Forward { index, op, value, loc });
            }
            if let Some(ty) = ty {
                let found = self.body_now().ty(value);
                self.check_type(name, ty, found, loc, there);
            }
            return value;
        }
        if index >= MAX_RESULTS {
            let text = self.ctx.str(name);
            self.emit(Diagnostic::error(codes::NO_SUCH_RESULT, loc, format!("`%{text}` has no result {index}")));
            return self.poison_value(ty, loc);
        }
        // Without a type nothing can stand in for it properly; it is reported unless it turns up, and then the type
        // differs.
        let Some(ty) = ty else {
            let value = self.poison_value(None, loc);
            if !self.scope().orphan {
                let text = self.ctx.str(name);
                self.emit(
                    Diagnostic::error(
                        codes::UNDEFINED_VALUE,
                        loc,
                        format!("the value `%{text}` is not defined before this use"),
                    )
                    .note("the type of the value is not written here, so it must be known already"),
                );
            }
            return value;
        };
        let (op, value) = self.stand_in(ty, loc);
        self.scope().forward.entry(name).or_default().push(Forward { index, op, value, loc });
        value
    }

    fn record_definition(&mut self, loc: Loc, first: Option<ValueId>, count: usize) {
        if let Some(recorder) = &mut self.recorder {
            let owner = recorder.owners.last().copied().unwrap_or(Loc::UNKNOWN);
            let first = first.unwrap_or_else(|| Body::value_at(0));
            recorder.definitions.push((loc, Entity::Values { owner, first, count: count as u32 }));
        }
    }
    fn record_use(&mut self, used: Loc, defined: Loc) {
        if let Some(recorder) = &mut self.recorder {
            recorder.uses.push((used, defined));
        }
    }

    fn record_block(&mut self, name: Name, loc: Loc, defined: bool) {
        if let (Some(recorder), Some(scope)) = (&mut self.recorder, self.scopes.last())
            && let Some(region) = scope.regions.last()
        {
            recorder.blocks.push(((scope.id, region.region, name), loc, defined));
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
        self.record_block(name, loc, false);
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
        self.record_block(name, loc, true);
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
