//! Relocations: what they point at, and the arithmetic of the x86-64 psABI (S symbol, A addend, P place, G slot).

use super::{Linker, Part};
use crate::error::CompileError;
use object::elf;
use object::{Object, ObjectSection, ObjectSymbol, Relocation, RelocationFlags, RelocationTarget, SymbolIndex};
use object::{SymbolSection, read::Error};

/// What a slot of the global offset table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// The address of an imported function.
    Import(usize),
    /// The address of a symbol of one of our objects: object, symbol.
    Own(usize, usize),
}

fn elf_type(relocation: &Relocation) -> u32 {
    match relocation.flags() {
        RelocationFlags::Elf { r_type } => r_type,
        _ => elf::R_X86_64_NONE,
    }
}

/// Says whether the relocation wants the place of a slot rather than of the symbol.
pub(super) fn is_got_load(relocation: &Relocation) -> bool {
    matches!(elf_type(relocation), elf::R_X86_64_GOTPCREL | elf::R_X86_64_GOTPCRELX | elf::R_X86_64_REX_GOTPCRELX)
}

impl Linker<'_, '_> {
    /// Follows an undefined symbol of one object to where it is defined.
    fn resolve(&self, object: usize, symbol: SymbolIndex) -> Result<Slot, CompileError> {
        let fail = |e: Error| self.objects[object].error(e.to_string());
        let found = self.files[object].symbol_by_index(symbol).map_err(fail)?;
        if !found.is_undefined() {
            return Ok(Slot::Own(object, symbol.0));
        }
        let name = found.name().map_err(fail)?;
        if let Some((at, symbol)) = self.globals.get(name) {
            return Ok(Slot::Own(*at, symbol.0));
        }
        self.imports.binary_search_by(|i| i.as_str().cmp(name)).map(Slot::Import).map_err(|_| {
            CompileError::UndefinedSymbol { symbol: name.to_owned(), kernel: self.objects[object].kernel.clone() }
        })
    }

    /// What the slot for this relocation holds.
    pub(super) fn slot_key(&self, object: usize, relocation: &Relocation) -> Result<Slot, CompileError> {
        match relocation.target() {
            RelocationTarget::Symbol(symbol) => self.resolve(object, symbol),
            other => Err(self.objects[object].error(format!("a table load of {other:?}"))),
        }
    }

    /// Offset in the image of a defined symbol.
    pub(super) fn address(&self, object: usize, symbol: SymbolIndex) -> Result<u64, CompileError> {
        let fail = |what: String| self.objects[object].error(what);
        let found = self.files[object].symbol_by_index(symbol).map_err(|e| fail(e.to_string()))?;
        let name = found.name().unwrap_or_default();
        let SymbolSection::Section(section) = found.section() else {
            return Err(fail(format!("symbol `{name}` lies in no section")));
        };
        let place = self.places[object].get(&section).ok_or_else(|| fail(format!("symbol `{name}` was dropped")))?;
        Ok(self.part_start(place.part) + place.offset + found.address())
    }

    fn slot_offset(&self, slot: Slot) -> Option<u64> {
        let index = match slot {
            Slot::Import(i) => i as u64,
            own @ Slot::Own(..) => *self.own_slots.get(&own)?,
        };
        Some(self.layout.relro_range().start + 8 * index)
    }

    /// Where a call or a plain reference to the symbol goes: the symbol, or the stub of an import.
    fn destination(&self, object: usize, target: RelocationTarget) -> Result<u64, CompileError> {
        let RelocationTarget::Symbol(symbol) = target else {
            return Err(self.objects[object].error(format!("a reference to {target:?}")));
        };
        match self.resolve(object, symbol)? {
            Slot::Import(i) => Ok(self.stubs + 8 * i as u64),
            Slot::Own(object, symbol) => self.address(object, SymbolIndex(symbol)),
        }
    }

    /// Fills stubs, own slots, and every relocated place.
    pub(super) fn relocate(&mut self) -> Result<(), CompileError> {
        let slots = self.layout.relro_range().start;
        for i in 0..self.imports.len() as u64 {
            let at = (self.stubs + 8 * i) as usize;
            // The displacement counts from the end of the 6-byte jump. Offsets are below 2^30, see `MAX_IMAGE`.
            let displacement = (slots + 8 * i) as i32 - (at as i32 + 6);
            self.body[at + 2..at + 6].copy_from_slice(&displacement.to_le_bytes());
        }
        for (slot, index) in self.own_slots.clone() {
            if let Slot::Own(object, symbol) = slot {
                let address = self.address(object, SymbolIndex(symbol))?;
                self.put_address(slots + 8 * index, address);
            }
        }
        for object in 0..self.files.len() {
            for section in self.files[object].sections() {
                let Some(place) = self.places[object].get(&section.index()).copied() else { continue };
                let start = self.part_start(place.part) + place.offset;
                for (offset, relocation) in section.relocations() {
                    if offset.saturating_add(8) > section.size() && offset.saturating_add(4) > section.size() {
                        return Err(self.objects[object].error("a relocation lies outside of its section"));
                    }
                    self.apply(object, place.part, start + offset, &relocation)?;
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, object: usize, part: Part, at: u64, relocation: &Relocation) -> Result<(), CompileError> {
        let fail = |what: String| self.objects[object].error(what);
        let addend = relocation.addend();
        let kind = elf_type(relocation);
        let relative = |to: u64| (to as i64).wrapping_add(addend).wrapping_sub(at as i64);
        match kind {
            elf::R_X86_64_NONE => {}
            elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => {
                let value = relative(self.destination(object, relocation.target())?);
                self.put_i32(at, value).ok_or_else(|| fail("a relative reference is out of reach".to_owned()))?;
            }
            elf::R_X86_64_PC64 => {
                let value = relative(self.destination(object, relocation.target())?);
                self.put_u64(at, value as u64).ok_or_else(|| fail("a relocation lies outside".to_owned()))?;
            }
            _ if is_got_load(relocation) => {
                let slot = self.slot_key(object, relocation)?;
                let slot = self.slot_offset(slot).ok_or_else(|| fail("a table slot was not reserved".to_owned()))?;
                self.put_i32(at, relative(slot)).ok_or_else(|| fail("a table slot is out of reach".to_owned()))?;
            }
            elf::R_X86_64_64 if matches!(part, Part::Relro | Part::Data) && at.is_multiple_of(8) => {
                let address = self.destination(object, relocation.target())?.wrapping_add_signed(addend);
                if address > self.layout.total() {
                    return Err(fail("an address constant points outside of the image".to_owned()));
                }
                self.put_address(at, address);
            }
            _ => {
                return Err(fail(format!("relocation type {kind} in a {part:?} section is not supported")));
            }
        }
        Ok(())
    }

    /// Writes a word that the loader will rebase.
    fn put_address(&mut self, at: u64, address: u64) {
        if self.put_u64(at, address).is_some() {
            self.relative.insert(at);
        }
    }

    fn put_i32(&mut self, at: u64, value: i64) -> Option<()> {
        let value = i32::try_from(value).ok()?;
        self.body.get_mut(at as usize..at as usize + 4)?.copy_from_slice(&value.to_le_bytes());
        Some(())
    }

    fn put_u64(&mut self, at: u64, value: u64) -> Option<()> {
        self.body.get_mut(at as usize..at as usize + 8)?.copy_from_slice(&value.to_le_bytes());
        Some(())
    }
}
