//! Fresh memory for the program's values.

use super::Session;
use super::explain::Site;
use super::run::{Frame, Step, invalid};
use crate::bytecode::{DeviceId, Reg, Size, Sym};
use crate::error::RunErrorKind;
use crate::machine::pool::{Block, OutOfMemory};
use crate::machine::slot::{Dims, Slot, TensorRef, byte_size};
use nim_tensor::DType;
use nim_tensor::packing::Packing;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// Arenas that were planned, each by the values of the symbols in its sizes.
#[derive(Debug, Default)]
pub(super) struct Plans {
    /// By the numbers of the function and the instruction.
    arenas: HashMap<(usize, usize), Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// The symbol registers that its sizes read.
    symbols: Vec<u32>,
    known: HashMap<SmallVec<[i64; 4]>, Packing>,
}

/// Values of symbols that are remembered for one arena; then it begins anew.
const REMEMBERED: usize = 64;

impl Session {
    /// Storage with places for several buffers; the symbols become their offsets. Sizes that are negative or have no value
    /// count as 0: what is made of them fails by itself, if it is made at all.
    pub(super) fn arena(
        &mut self,
        site: Site<'_>,
        frame: &mut Frame,
        out: Reg,
        device: DeviceId,
        (sizes, offsets): (&[Size], &[Sym]),
        place: impl FnOnce(&[i64]) -> Packing,
    ) -> Step {
        let table = &site.program.inner.contents.sizes;
        let plan = self.known.plans.arenas.entry((site.function, site.at)).or_insert_with(|| {
            let known = sizes.iter().filter(|s| s.as_immediate().is_none());
            let mut symbols: Vec<u32> = known.flat_map(|s| table[s.index()].symbols()).collect();
            symbols.sort_unstable();
            symbols.dedup();
            Plan { symbols, known: HashMap::new() }
        });
        let values: SmallVec<[i64; 4]> = plan.symbols.iter().map(|&s| frame.symbols[s as usize]).collect();
        if !plan.known.contains_key(&values) {
            if plan.known.len() >= REMEMBERED {
                plan.known.clear();
            }
            let value = |s: &Size| match s.as_immediate() {
                Some(value) => value,
                None => table[s.index()].eval(&frame.symbols).unwrap_or(0),
            };
            let bytes: Vec<i64> = sizes.iter().map(value).collect();
            plan.known.insert(values.clone(), place(&bytes));
        }
        let packing = &plan.known[&values];
        for (symbol, &offset) in offsets.iter().zip(&packing.offsets) {
            frame.symbols[symbol.index()] = offset;
        }
        let size = usize::try_from(packing.size).unwrap_or(usize::MAX);
        let storage = self.allocate(size, device).map_err(|fault| fault.because(site, frame, sizes))?;
        frame.regs[out.index()] = Slot::Storage(storage);
        Ok(())
    }

    pub(super) fn allocate(&self, bytes: usize, device: DeviceId) -> Step<Arc<Block>> {
        let pool = match device.index().checked_sub(1) {
            None => &self.pool,
            Some(at) => self.pools.get(at).ok_or_else(|| invalid("memory is wanted on a device that is not there"))?,
        };
        pool.allocate(bytes).map_err(|OutOfMemory { requested, in_use, limit }| {
            RunErrorKind::Memory { requested, in_use, limit, because: vec![] }.into()
        })
    }

    pub(super) fn new_tensor(&self, device: DeviceId, dtype: DType, dims: &[i64]) -> Step<TensorRef> {
        let Some(bytes) = byte_size(dtype, dims) else {
            let problem = "does not fit in memory".to_owned();
            return Err(RunErrorKind::Size { expression: format!("of a tensor of shape {dims:?}"), problem }.into());
        };
        let block = self.allocate(bytes, device)?;
        TensorRef::in_block(block, 0, dtype, dims).ok_or_else(|| invalid("a fresh tensor does not fit its storage"))
    }

    /// Appends a tensor behind those that a register holds already.
    pub(super) fn push(&self, site: Site<'_>, frame: &mut Frame, to: Reg, from: Reg) -> Step {
        let item = frame.tensor(site, from)?.clone();
        let device = match &frame.regs[to.index()] {
            Slot::Tensor(old) => old.device(),
            _ => item.device(),
        };
        let old = match std::mem::take(&mut frame.regs[to.index()]) {
            Slot::Tensor(old) if !old.is_empty() || old.dims().get(1..) == Some(item.dims()) => Some(old),
            // Nothing yet, or a tensor without elements whose other dimensions were not known.
            Slot::Tensor(_) | Slot::Empty => None,
            _ => return Err(invalid("a tensor is appended to what is none")),
        };
        let rows = old.as_ref().map_or(Some(0), |t| t.dims().first().copied());
        let rows = rows.ok_or_else(|| invalid("a tensor is appended to a scalar"))?;
        if let Some(old) = &old
            && (old.dtype() != item.dtype() || old.dims()[1..] != *item.dims())
        {
            let message = format!("the shapes {:?} and {:?} of two iterations differ", &old.dims()[1..], item.dims());
            return Err(RunErrorKind::Runtime { function: "stack".into(), message }.into());
        }
        let mut dims = Dims::from_slice(&[rows + 1]);
        dims.extend_from_slice(item.dims());
        let used = old.as_ref().map_or(0, TensorRef::byte_len);
        let needed = used.checked_add(item.byte_len()).ok_or_else(|| invalid("a stack overflows"))?;

        // In place when nobody else sees the block and there is room behind the elements.
        let block = old.as_ref().and_then(TensorRef::block).cloned();
        // Two references: the old tensor's and the one just made.
        let room = block.filter(|b| {
            Arc::strong_count(b) == 2
                && b.capacity() >= needed
                && old.as_ref().is_some_and(|t| t.read_ptr() == b.as_ptr().cast_const())
        });
        let block = match room {
            Some(block) => block,
            None => {
                let block = self.allocate(needed.checked_mul(2).unwrap_or(needed), device)?;
                if let Some(old) = &old {
                    // SAFETY: a fresh block that is large enough for both.
                    unsafe { site.program.inner.transfer((device, old.read_ptr()), (device, block.as_ptr()), used)? };
                }
                block
            }
        };
        // SAFETY: the block has `needed` bytes; the item is another tensor's memory or that of a block that more than
        // one reference holds, which is not appended to in place.
        unsafe {
            let (from, to) = ((item.device(), item.read_ptr()), (device, block.as_ptr().wrapping_add(used)));
            site.program.inner.transfer(from, to, item.byte_len())?;
        }
        let tensor = TensorRef::in_block(block, 0, item.dtype(), &dims);
        frame.regs[to.index()] = Slot::Tensor(tensor.ok_or_else(|| invalid("a stack does not fit its storage"))?);
        Ok(())
    }
}
