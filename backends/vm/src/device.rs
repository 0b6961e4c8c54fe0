//! Devices: other memories than the host's, and what runs kernels on them.
//!
//! A program names the devices that its kernels, buffers and constants are on; when it is loaded, each name gets an implementation
//! ([`Devices`]). The host is device 0 and needs none: its memory is the process's, its kernels are called. What the host does itself
//! (sizes, conditions, runtime functions, results) it does with its own memory only; elements go from one memory to another by the
//! instruction `copy`, and constants once, when the program is loaded. Each session has a pool of memory on each device.

use crate::program::KernelFn;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

/// Where something is in a device's memory: a number that only the device understands. Bytes behind it are found by adding.
pub type Address = u64;

/// A device. What it is asked for happens in that order, as far as anybody can see.
pub trait Device: Send + Sync + fmt::Debug {
    /// Memory for so many bytes, all 0, at a multiple of 64. Nothing where there is no more.
    fn allocate(&self, bytes: usize) -> Option<Address>;

    /// Gives memory back.
    ///
    /// # Safety
    /// [`Device::allocate`] gave it for as many bytes, and nobody uses it any more.
    unsafe fn free(&self, at: Address, bytes: usize);

    /// Copies bytes of the host into its memory; they may change when this returns.
    ///
    /// # Safety
    /// Both have so many bytes.
    unsafe fn copy_in(&self, from: *const u8, to: Address, bytes: usize);

    /// Copies bytes of its memory to the host; they are there when this returns.
    ///
    /// # Safety
    /// Both have so many bytes.
    unsafe fn copy_out(&self, from: Address, to: *mut u8, bytes: usize);

    /// Copies bytes within its memory; the two may overlap.
    ///
    /// # Safety
    /// Both have so many bytes.
    unsafe fn copy(&self, from: Address, to: Address, bytes: usize);

    /// Runs a kernel, or begins to.
    ///
    /// # Errors
    /// Why it cannot run here. What it writes has no meaning then.
    ///
    /// # Safety
    /// The compiler made the kernel for these buffers and symbols; the buffers are this device's.
    unsafe fn launch(&self, call: &KernelCall<'_>) -> Result<(), String>;

    /// Waits until all is done that it was asked for.
    fn wait(&self);
}

/// A kernel and what it is given.
#[derive(Debug)]
pub struct KernelCall<'a> {
    /// Its name in the program.
    pub name: &'a str,
    /// Its machine code for the host's processor: buffers, symbols, and the part of the iterations to run.
    pub code: KernelFn,
    /// Its IR: a `loops.kernel` as text, which takes the same buffers and symbols. What a device is, nobody knows when compiling: one
    /// that is no processor of the host's kind makes its own of this.
    pub source: &'a str,
    /// Where its buffers are.
    pub buffers: &'a [Address],
    /// Its symbols.
    pub symbols: &'a [i64],
    /// Iterations of all its phases together, which run one after the other.
    pub iterations: i64,
}

/// What stands behind the names of devices.
#[derive(Clone, Debug, Default)]
pub struct Devices(BTreeMap<String, Arc<dyn Device>>);

impl Devices {
    /// Gives a name its device.
    pub fn insert(&mut self, name: &str, device: Arc<dyn Device>) {
        self.0.insert(name.to_owned(), device);
    }
    /// The device of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Device>> {
        self.0.get(name)
    }
    /// Whether none has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Devices {
    fn eq(&self, other: &Self) -> bool {
        let same = |(name, device): (&String, &Arc<dyn Device>)| {
            other.0.get(name).is_some_and(|theirs| Arc::ptr_eq(device, theirs))
        };
        self.0.len() == other.0.len() && self.0.iter().all(same)
    }
}

impl Eq for Devices {}

/// The host's processor once more, with memory of its own: what the host finds at one of its addresses is not there.
#[derive(Debug, Default)]
pub struct CpuDevice;

/// Its addresses are those of the host with these bits the other way round, so that none of them can be used by mistake.
const APART: Address = 0x5a5a << 48;
/// Alignment of its memory.
const ALIGN: usize = 64;

fn pointer(at: Address) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut((at ^ APART) as usize)
}

impl Device for CpuDevice {
    fn allocate(&self, bytes: usize) -> Option<Address> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGN).ok()?;
        // SAFETY: the size is not 0.
        let at = unsafe { alloc_zeroed(layout) };
        (!at.is_null()).then(|| at.expose_provenance() as Address ^ APART)
    }
    unsafe fn free(&self, at: Address, bytes: usize) {
        if let Ok(layout) = Layout::from_size_align(bytes.max(1), ALIGN) {
            // SAFETY: as the caller says, with the layout that it was got with.
            unsafe { dealloc(pointer(at), layout) };
        }
    }
    unsafe fn copy_in(&self, from: *const u8, to: Address, bytes: usize) {
        // SAFETY: as the caller says; the memories are apart.
        unsafe { std::ptr::copy_nonoverlapping(from, pointer(to), bytes) };
    }
    unsafe fn copy_out(&self, from: Address, to: *mut u8, bytes: usize) {
        // SAFETY: as the caller says; the memories are apart.
        unsafe { std::ptr::copy_nonoverlapping(pointer(from), to, bytes) };
    }
    unsafe fn copy(&self, from: Address, to: Address, bytes: usize) {
        // SAFETY: as the caller says.
        unsafe { std::ptr::copy(pointer(from), pointer(to), bytes) };
    }
    unsafe fn launch(&self, call: &KernelCall<'_>) -> Result<(), String> {
        let buffers: Vec<*mut c_void> = call.buffers.iter().map(|&at| pointer(at).cast()).collect();
        if call.iterations > 0 {
            // SAFETY: as the caller says.
            unsafe { (call.code)(buffers.as_ptr(), call.symbols.as_ptr(), 0, call.iterations) };
        }
        Ok(())
    }
    fn wait(&self) {}
}
