//! Operands and values: who uses what, and where it comes from.

use super::{ARGUMENT, BlockId, Body, NO_SLOT, OpData, OpId, Operand, Slot, Use, ValueData, ValueDef, ValueId};
use crate::{Name, Type, entity::EntityId};
use smallvec::SmallVec;

impl Body {
    /// Number of operands.
    #[inline]
    pub fn operand_count(&self, op: OpId) -> usize {
        self.ops[op].operand_count as usize
    }
    /// One operand.
    #[inline]
    pub fn operand(&self, op: OpId, index: usize) -> ValueId {
        self.operand_slots(op)[index].value
    }
    /// All operands.
    #[inline]
    pub fn operands(&self, op: OpId) -> SmallVec<[ValueId; 4]> {
        self.operands_iter(op).collect()
    }
    /// All operands, one after the other.
    #[inline]
    pub fn operands_iter(&self, op: OpId) -> impl ExactSizeIterator<Item = ValueId> + Clone + '_ {
        self.operand_slots(op).iter().map(|o| o.value)
    }
    #[inline]
    fn operand_slots(&self, op: OpId) -> &[Operand] {
        let OpData { first_operand, operand_count, .. } = self.ops[op];
        &self.operands[first_operand as usize..(first_operand + operand_count) as usize]
    }
    /// The operands of an op behind all others.
    pub(super) fn add_operands(&mut self, op: OpId, operands: &[ValueId]) {
        for &value in operands {
            let slot = self.operands.len() as Slot;
            let next = std::mem::replace(&mut self.values[value].first_use, slot);
            if let Some(next) = self.operands.get_mut(next as usize) {
                next.prev = slot;
            }
            self.operands.push(Operand { value, op, prev: NO_SLOT, next });
        }
    }
    /// Replaces all operands.
    pub fn set_operands(&mut self, op: OpId, operands: &[ValueId]) {
        let OpData { first_operand, operand_count, .. } = self.ops[op];
        for slot in first_operand..first_operand + operand_count {
            self.unlink(slot);
        }
        // The place of the old ones is used where it is enough.
        let first = match operands.len() <= operand_count as usize {
            true => first_operand,
            false => self.operands.len() as Slot,
        };
        for (i, &value) in operands.iter().enumerate() {
            let operand = Operand { value, op, prev: NO_SLOT, next: NO_SLOT };
            match self.operands.get_mut(first as usize + i) {
                Some(place) => *place = operand,
                None => self.operands.push(operand),
            }
            self.link(first + i as Slot);
        }
        let data = &mut self.ops[op];
        (data.first_operand, data.operand_count) = (first, operands.len() as u32);
    }
    /// Replaces one operand.
    pub fn set_operand(&mut self, op: OpId, index: usize, value: ValueId) {
        debug_assert!(index < self.operand_count(op));
        self.set_slot(self.ops[op].first_operand + index as Slot, value);
    }
    fn set_slot(&mut self, slot: Slot, value: ValueId) {
        self.unlink(slot);
        self.operands[slot as usize].value = value;
        self.link(slot);
    }
    fn link(&mut self, slot: Slot) {
        let value = self.operands[slot as usize].value;
        let next = std::mem::replace(&mut self.values[value].first_use, slot);
        let operand = &mut self.operands[slot as usize];
        (operand.prev, operand.next) = (NO_SLOT, next);
        if let Some(next) = self.operands.get_mut(next as usize) {
            next.prev = slot;
        }
    }
    fn unlink(&mut self, slot: Slot) {
        let Operand { value, prev, next, .. } = self.operands[slot as usize];
        match self.operands.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => self.values[value].first_use = next,
        }
        if let Some(next) = self.operands.get_mut(next as usize) {
            next.prev = prev;
        }
    }
    /// Uses of a value, latest first.
    pub fn uses(&self, value: ValueId) -> impl Iterator<Item = Use> + '_ {
        let slot = |slot: Slot| (slot != NO_SLOT).then_some(slot);
        std::iter::successors(slot(self.values[value].first_use), move |&s| slot(self.operands[s as usize].next)).map(
            |s| {
                let op = self.operands[s as usize].op;
                Use { op, index: s - self.ops[op].first_operand }
            },
        )
    }
    /// True when a value is used.
    #[inline]
    pub fn has_uses(&self, value: ValueId) -> bool {
        self.values[value].first_use != NO_SLOT
    }
    /// The only use of a value, if there is just one.
    pub fn only_use(&self, value: ValueId) -> Option<Use> {
        let mut uses = self.uses(value);
        let first = uses.next()?;
        uses.next().is_none().then_some(first)
    }
    /// Makes every user of `from` use `to`.
    pub fn replace_all_uses(&mut self, from: ValueId, to: ValueId) {
        if from == to {
            return;
        }
        while self.has_uses(from) {
            self.set_slot(self.values[from].first_use, to);
        }
        if self.values[to].name.is_none() {
            self.values[to].name = self.values[from].name;
        }
    }

    /// Its type.
    #[inline]
    pub fn ty(&self, value: ValueId) -> Type {
        self.values[value].ty
    }
    /// Changes its type.
    pub fn set_ty(&mut self, value: ValueId, ty: Type) {
        self.values[value].ty = ty;
    }
    /// Where it comes from.
    pub fn def(&self, value: ValueId) -> ValueDef {
        let ValueData { def, index, .. } = self.values[value];
        match index & ARGUMENT {
            0 => ValueDef::Result(OpId::from_index(def as usize), index),
            _ => ValueDef::Argument(BlockId::from_index(def as usize), index & !ARGUMENT),
        }
    }
    /// The op it is a result of.
    #[inline]
    pub fn defining_op(&self, value: ValueId) -> Option<OpId> {
        match self.def(value) {
            ValueDef::Result(op, _) => Some(op),
            ValueDef::Argument(..) => None,
        }
    }
    /// The name it had in the source.
    #[inline]
    pub fn value_name(&self, value: ValueId) -> Option<Name> {
        self.values[value].name
    }
    /// Names it; printed where it is unique, with a number behind it where not.
    pub fn set_value_name(&mut self, value: ValueId, name: Option<Name>) {
        self.values[value].name = name;
    }
    /// The block in which it is defined.
    pub fn value_block(&self, value: ValueId) -> Option<BlockId> {
        match self.def(value) {
            ValueDef::Result(op, _) => self.layout[op].block,
            ValueDef::Argument(block, _) => Some(block),
        }
    }
}
