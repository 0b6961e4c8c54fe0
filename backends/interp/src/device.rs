//! The interpreter as a device of compiled programs: kernels are run by their IR, not by machine code.
//!
//! It shares nothing with the host, neither code nor memory: its addresses are numbers that count bytes and belong to no machine, each
//! is given once, and every access of a kernel is checked. So a program that is placed on it shows by its results that nothing but
//! copies crosses between devices, and a kernel that oversteps its buffers says so where machine code would not.
#![allow(unsafe_code)]

use crate::exec;
use nim_dataflow::DATAFLOW;
use nim_ir::{Context, Module, OpId, verifier::verify_module};
use nim_loops::LOOPS;
use nim_tensor::{DType, Tensor, tensor::element_count};
use nim_text::{ParseOptions, parse_module};
use nim_vm::device::{Address, Device, KernelCall};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The device.
#[derive(Default)]
pub struct InterpreterDevice {
    memory: Mutex<Memory>,
    /// Kernels by their text.
    kernels: Mutex<HashMap<String, Arc<Kernel>>>,
}

/// Its blocks, by where they begin.
#[derive(Default)]
struct Memory {
    blocks: BTreeMap<Address, Box<[u8]>>,
    given: Address,
}

/// No processor has anything there.
const FIRST: Address = 0x1a1a << 48;
/// Alignment of addresses.
const ALIGN: Address = 64;

impl Memory {
    /// The bytes at an address; nothing where they are not all in one block.
    fn bytes(&mut self, at: Address, count: usize) -> Option<&mut [u8]> {
        let (begin, block) = self.blocks.range_mut(..=at).next_back()?;
        let from = usize::try_from(at - begin).ok()?;
        block.get_mut(from..from.checked_add(count)?)
    }
}

struct Kernel {
    ctx: Context,
    module: Module,
    op: OpId,
}

impl Kernel {
    fn parse(text: &str) -> Result<Kernel, String> {
        let mut dialects = nim_builtin::DIALECTS.to_vec();
        dialects.extend([&LOOPS, &DATAFLOW]);
        let ctx = Context::new(&dialects);
        let source = ctx.add_source("kernel", text);
        let (module, mut found) = parse_module(&ctx, source, &ParseOptions::default());
        found.extend(verify_module(&ctx, &module));
        if let Some(error) = found.iter().find(|d| d.is_error()) {
            return Err(format!("its IR cannot be read: {}: {}", error.code, error.message));
        }
        let op = module.ops().find(|&op| module.body.is(&ctx, op, "loops.kernel"));
        let op = op.ok_or("the program has no IR of it")?;
        Ok(Kernel { ctx, module, op })
    }
}

impl InterpreterDevice {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kernel(&self, text: &str) -> Result<Arc<Kernel>, String> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kernels.get(text) {
            return Ok(known.clone());
        }
        let kernel = Arc::new(Kernel::parse(text)?);
        kernels.insert(text.to_owned(), kernel.clone());
        Ok(kernel)
    }

    fn read(&self, at: Address, dtype: DType, dims: &[usize]) -> Result<Tensor, String> {
        let count = element_count(dims).and_then(|n| n.checked_mul(dtype.size())).ok_or("its size overflows")?;
        let outside = || format!("{count} bytes at {at:#x} are not the device's");
        let bytes = match count {
            0 => vec![],
            _ => self.memory().bytes(at, count).ok_or_else(outside)?.to_vec(),
        };
        Ok(Tensor::from_bytes(dtype, dims, bytes))
    }

    fn write(&self, at: Address, tensor: &Tensor) -> Result<(), String> {
        let from = tensor.bytes();
        if from.is_empty() {
            return Ok(());
        }
        let mut memory = self.memory();
        let outside = || format!("{} bytes at {at:#x} are not the device's", from.len());
        memory.bytes(at, from.len()).ok_or_else(outside)?.copy_from_slice(from);
        Ok(())
    }

    fn run(&self, call: &KernelCall<'_>) -> Result<(), String> {
        let kernel = self.kernel(call.source)?;
        let Kernel { ctx, module, op } = &*kernel;
        let mut taken = 0;
        let mut buffer = |number: usize, dtype, dims: &[usize]| {
            let at = call.buffers.get(number).ok_or("there is no such buffer")?;
            taken = number + 1;
            self.read(*at, dtype, dims)
        };
        let results = exec::run_kernel(ctx, module, *op, call.symbols, &mut buffer);
        let results = results.map_err(|error| format!("{}: {}", error.code, error.message))?;
        if taken != call.buffers.len() {
            return Err(format!("it takes {taken} buffers, {} are given", call.buffers.len()));
        }
        call.buffers[taken - results.len()..].iter().zip(&results).try_for_each(|(&at, tensor)| self.write(at, tensor))
    }
}

impl fmt::Debug for InterpreterDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterpreterDevice").field("blocks", &self.memory().blocks.len()).finish_non_exhaustive()
    }
}

impl Device for InterpreterDevice {
    fn allocate(&self, bytes: usize) -> Option<Address> {
        let mut block = vec![];
        block.try_reserve_exact(bytes).ok()?;
        block.resize(bytes, 0u8);
        let mut memory = self.memory();
        let at = FIRST.checked_add(memory.given)?;
        // One more than it has: what is behind a block is in none.
        memory.given = memory.given.checked_add(bytes as Address + 1)?.checked_next_multiple_of(ALIGN)?;
        memory.blocks.insert(at, block.into());
        Some(at)
    }
    unsafe fn free(&self, at: Address, _: usize) {
        self.memory().blocks.remove(&at);
    }
    unsafe fn copy_in(&self, from: *const u8, to: Address, bytes: usize) {
        if let Some(target) = self.memory().bytes(to, bytes) {
            // SAFETY: as the caller says; the memories are apart.
            unsafe { std::ptr::copy_nonoverlapping(from, target.as_mut_ptr(), bytes) };
        }
    }
    unsafe fn copy_out(&self, from: Address, to: *mut u8, bytes: usize) {
        if let Some(source) = self.memory().bytes(from, bytes) {
            // SAFETY: as the caller says; the memories are apart.
            unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), to, bytes) };
        }
    }
    unsafe fn copy(&self, from: Address, to: Address, bytes: usize) {
        let mut memory = self.memory();
        let source = memory.bytes(from, bytes).map(|source| source.to_vec());
        if let Some((source, target)) = source.zip(memory.bytes(to, bytes)) {
            target.copy_from_slice(&source);
        }
    }
    unsafe fn launch(&self, call: &KernelCall<'_>) -> Result<(), String> {
        // Iterations are not looked at: without any the loops of the kernel have none either.
        self.run(call)
    }
    fn wait(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBLE: &str = r#"
loops.kernel @double(%x: memref<[K]xf32>, %y: memref<[K]xf32>) attributes {outputs = 1, symbols = ["K"]} {
  loops.for $0 = 0 to K vector {
    %v = loops.load %x[$0] : memref<[K]xf32>
    %w = arith.addf %v, %v : f32
    loops.store %w, %y[$0] : memref<[K]xf32>
    loops.yield
  }
  loops.yield
}"#;

    unsafe extern "C" fn no_code(_: *const *mut std::ffi::c_void, _: *const i64, _: i64, _: i64) {
        panic!("the interpreter calls no machine code");
    }

    fn call<'a>(source: &'a str, buffers: &'a [Address], symbols: &'a [i64]) -> KernelCall<'a> {
        KernelCall { name: "double", code: no_code, source, buffers, symbols, iterations: 3 }
    }

    #[test]
    fn kernels_run_by_their_text_in_memory_of_their_own() {
        let device = InterpreterDevice::default();
        let (x, y) = (device.allocate(12).unwrap(), device.allocate(12).unwrap());
        let (from, mut to) = ([1f32, 2.0, 3.5], [0f32; 3]);
        // SAFETY: both sides have 12 bytes.
        unsafe { device.copy_in(from.as_ptr().cast(), x, 12) };
        assert_eq!(device.run(&call(DOUBLE, &[x, y], &[3])), Ok(()));
        // SAFETY: as above.
        unsafe { device.copy_out(y, to.as_mut_ptr().cast(), 12) };
        assert_eq!(to, [2.0, 4.0, 7.0]);

        let refused = |call: KernelCall<'_>, expected: &str| {
            let why = device.run(&call).unwrap_err();
            assert!(why.contains(expected), "{why}");
        };
        refused(call(DOUBLE, &[x, y], &[4]), "16 bytes at 0x1a1a000000000000 are not the device's");
        refused(call(DOUBLE, &[x, y], &[-1]), "has no size here");
        refused(call(DOUBLE, &[x, y], &[]), "takes 1 symbols, 0 are given");
        refused(call(DOUBLE, &[x], &[3]), "there is no such buffer");
        refused(call(DOUBLE, &[x, y, y], &[3]), "it takes 2 buffers, 3 are given");
        refused(call("", &[x, y], &[3]), "the program has no IR of it");
        refused(call("loops.kernel @k(", &[x, y], &[3]), "its IR cannot be read: N0");
        // SAFETY: it was got with so many bytes.
        unsafe { device.free(x, 12) };
        refused(call(DOUBLE, &[x, y], &[3]), "are not the device's");
        assert_ne!(device.allocate(12), Some(x));
    }
}
