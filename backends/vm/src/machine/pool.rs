//! Memory for tensors: blocks aligned to 64 bytes, given back when their last reference goes, and used again.
//!
//! A block that is given back waits for the next request of about its size, so that a program in steady state asks the
//! system for nothing. What waits and what is handed out are together at most twice what was ever handed out at a time (a few
//! hundred kilobytes may always wait): with sizes that change from run to run, blocks that have waited longest go back to the
//! system. All of it counts against one limit.
//!
//! Sizes are rounded up to classes: multiples of 64 bytes up to 4 KiB, then 32 to each power of two, so that at most a 32nd is
//! wasted. Blocks wait by class, and a bit for each class says whether one does: what a request costs does not depend on how many wait.

use crate::bytecode::DeviceId;
use crate::device::Device;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Alignment of every block: a cache line, and the widest vector register.
pub const ALIGN: usize = 64;
/// From here on blocks are mapped pages: zeroed by the system when they are first touched, and given back whole.
const MAPPED: usize = 1 << 20;

/// Bytes that may always wait: giving so little back would cost more than it saves.
const KEPT: usize = 256 << 10;
/// Classes of sizes to a power of two, as a power of two.
const STEPS: u32 = 5;

/// What the pool has done so far, in bytes and calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Handed out now.
    pub in_use: usize,
    /// Waiting to be used again.
    pub cached: usize,
    /// Most that was ever handed out at a time.
    pub peak: usize,
    /// Requests.
    pub requests: u64,
    /// Requests that had to ask the system.
    pub allocations: u64,
}

/// A request that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub requested: usize,
    /// Bytes handed out at that time.
    pub in_use: usize,
    /// The limit, if it was the limit that refused.
    pub limit: Option<usize>,
}

#[derive(Default)]
struct State {
    /// Blocks that wait, by the largest class that they can serve, each with the number of the return that it came with.
    waiting: Vec<Vec<(u64, Memory)>>,
    /// A bit for each class of which a block waits.
    some: Vec<u64>,
    returns: u64,
    /// Whose memory it is; the host's when absent.
    device: Option<Arc<dyn Device>>,
    /// Most that was handed out at a time since the pool was made.
    most: usize,
    stats: PoolStats,
}

/// A pool of blocks. Shared by reference counting, since blocks outlive the run that made them.
pub struct Pool {
    state: Mutex<State>,
    limit: usize,
    device: DeviceId,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("limit", &self.limit).field("stats", &self.stats()).finish()
    }
}

/// Storage of a pool. Returns there when dropped.
#[derive(Debug)]
pub struct Block {
    memory: Option<Memory>,
    pool: Arc<Pool>,
}

impl Pool {
    /// A pool that hands out at most `limit` bytes at a time.
    pub fn new(limit: usize) -> Arc<Pool> {
        Arc::new(Pool { state: Mutex::default(), limit, device: DeviceId::HOST })
    }

    /// The same of a device's memory.
    pub fn on(limit: usize, id: DeviceId, device: Arc<dyn Device>) -> Arc<Pool> {
        let mut state = State::default();
        state.device = Some(device);
        Arc::new(Pool { state: Mutex::new(state), limit, device: id })
    }

    fn block(self: &Arc<Self>, memory: Option<Memory>) -> Arc<Block> {
        Arc::new(Block { memory, pool: self.clone() })
    }

    /// Storage of at least `bytes` bytes.
    ///
    /// # Errors
    /// The limit would be passed, or the system has no more.
    pub fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Arc<Block>, OutOfMemory> {
        if bytes == 0 {
            return Ok(self.block(None));
        }
        let mut state = self.lock();
        let refuse = |state: &State, limit| OutOfMemory { requested: bytes, in_use: state.stats.in_use, limit };
        let Some((class, rounded)) = class_of(bytes) else { return Err(refuse(&state, Some(self.limit))) };
        state.stats.requests += 1;
        let memory = match state.take(class) {
            Some(memory) if state.stats.in_use.saturating_add(memory.capacity) <= self.limit => memory,
            found => {
                if let Some(memory) = found {
                    state.give(memory);
                }
                let fits = |&capacity: &usize| state.stats.in_use.saturating_add(capacity) <= self.limit;
                // Rounding is no reason to refuse.
                let Some(capacity) = [rounded, bytes.next_multiple_of(ALIGN)].into_iter().find(fits) else {
                    return Err(refuse(&state, Some(self.limit)));
                };
                if state.stats.in_use + state.stats.cached + capacity > self.limit {
                    state.trim();
                }
                let most = state.most.max(state.stats.in_use + capacity).saturating_mul(2).max(KEPT);
                while state.stats.in_use + state.stats.cached + capacity > most && state.drop_oldest() {}
                state.stats.allocations += 1;
                match state.fresh(capacity) {
                    Some(memory) => memory,
                    None => {
                        state.trim();
                        state.fresh(capacity).ok_or_else(|| refuse(&state, None))?
                    }
                }
            }
        };
        state.stats.in_use += memory.capacity;
        state.stats.peak = state.stats.peak.max(state.stats.in_use);
        state.most = state.most.max(state.stats.in_use);
        drop(state);
        Ok(self.block(Some(memory)))
    }

    /// What was done so far.
    pub fn stats(&self) -> PoolStats {
        self.lock().stats
    }

    /// Starts measuring the peak anew.
    pub fn reset_peak(&self) {
        let mut state = self.lock();
        state.stats.peak = state.stats.in_use;
    }

    /// Gives all waiting blocks back to the system.
    pub fn trim(&self) {
        self.lock().trim();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The smallest class whose blocks have so many bytes, and how many these have. `None` when no block can.
#[inline]
fn class_of(bytes: usize) -> Option<(usize, usize)> {
    let size = bytes.checked_next_multiple_of(ALIGN)?;
    // What is left of the size behind the first bits is rounded up.
    let dropped = (size / ALIGN).ilog2().saturating_sub(STEPS);
    let step = ALIGN << dropped;
    let size = size.checked_next_multiple_of(step).filter(|&size| size <= isize::MAX as usize)?;
    Some((class_within(size), size))
}

/// The largest class whose blocks have at most so many bytes; these are not fewer than [`ALIGN`].
#[inline]
fn class_within(capacity: usize) -> usize {
    let units = capacity / ALIGN;
    let dropped = units.ilog2().saturating_sub(STEPS);
    ((dropped as usize) << STEPS) + (units >> dropped)
}

impl State {
    /// A waiting block of this class, or of a larger one that wastes no more than half of itself.
    #[inline]
    fn take(&mut self, class: usize) -> Option<Memory> {
        // Half as many bytes again are half of the classes to a power of two further; small blocks may waste more.
        let last = class + (1 << (STEPS - 1));
        let found = self.first_waiting(class).filter(|&at| at <= last)?;
        let (_, memory) = self.waiting[found].pop()?;
        self.emptied(found);
        self.stats.cached -= memory.capacity;
        Some(memory)
    }
    /// The first class from this one on of which a block waits.
    #[inline]
    fn first_waiting(&self, class: usize) -> Option<usize> {
        let (mut word, mut from) = (class / 64, class % 64);
        loop {
            let bits = self.some.get(word)? >> from;
            if bits != 0 {
                return Some(word * 64 + from + bits.trailing_zeros() as usize);
            }
            (word, from) = (word + 1, 0);
        }
    }
    /// Sets a class's bit anew after a block has left it.
    #[inline]
    fn emptied(&mut self, class: usize) {
        if self.waiting[class].is_empty() {
            self.some[class / 64] &= !(1 << (class % 64));
        }
    }
    #[inline]
    fn give(&mut self, memory: Memory) {
        self.stats.cached += memory.capacity;
        self.returns += 1;
        let class = class_within(memory.capacity);
        if class >= self.waiting.len() {
            self.waiting.resize_with(class + 1, Vec::new);
            self.some.resize(class / 64 + 1, 0);
        }
        self.waiting[class].push((self.returns, memory));
        self.some[class / 64] |= 1 << (class % 64);
    }
    /// Gives the block that has waited longest back to the system; false when none waits.
    fn drop_oldest(&mut self) -> bool {
        // Blocks of one class are taken from the end, so the first has waited longest.
        let ages = self.waiting.iter().enumerate().filter_map(|(class, list)| Some((list.first()?.0, class)));
        let Some((_, class)) = ages.min() else { return false };
        let (_, memory) = self.waiting[class].remove(0);
        self.emptied(class);
        self.stats.cached -= memory.capacity;
        self.give_back(memory);
        true
    }
    fn trim(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.some.clear();
        waiting.into_iter().flatten().for_each(|(_, memory)| self.give_back(memory));
        self.stats.cached = 0;
    }

    /// Memory of the system or the device; `capacity` is not 0 and a multiple of [`ALIGN`].
    fn fresh(&self, capacity: usize) -> Option<Memory> {
        match &self.device {
            None => Memory::of_host(capacity),
            Some(device) => {
                let at = usize::try_from(device.allocate(capacity)?).ok()?;
                Some(Memory { ptr: NonNull::new(std::ptr::without_provenance_mut(at))?, capacity })
            }
        }
    }
    fn give_back(&self, memory: Memory) {
        match &self.device {
            None => memory.give_back_to_host(),
            // SAFETY: the device gave it for as many bytes, to this pool.
            Some(device) => unsafe { device.free(memory.ptr.as_ptr() as u64, memory.capacity) },
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.trim();
    }
}

impl Block {
    /// Whose memory it is.
    #[inline]
    pub fn device(&self) -> DeviceId {
        self.pool.device
    }
    /// First byte; dangling but aligned when the block is empty. Where it is another device's, an address that only that understands.
    pub fn as_ptr(&self) -> *mut u8 {
        self.memory.as_ref().map_or(std::ptr::without_provenance_mut(ALIGN), |m| m.ptr.as_ptr())
    }
    /// Bytes it has, at least as many as were asked for.
    pub fn capacity(&self) -> usize {
        self.memory.as_ref().map_or(0, |m| m.capacity)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            let mut state = self.pool.lock();
            state.stats.in_use -= memory.capacity;
            state.give(memory);
        }
    }
}

/// Memory, zeroed when it was got. Whose it is, its pool knows, which also gives it back.
#[derive(Debug)]
struct Memory {
    ptr: NonNull<u8>,
    capacity: usize,
}

// SAFETY: plain memory with one owner; no thread has a special claim on it.
unsafe impl Send for Memory {}
// SAFETY: through `&Memory` only the address can be read.
unsafe impl Sync for Memory {}

impl Memory {
    fn of_host(capacity: usize) -> Option<Memory> {
        if capacity >= MAPPED {
            // SAFETY: a fresh anonymous mapping at an address that the system chooses touches no existing memory.
            let at = unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                libc::mmap(std::ptr::null_mut(), capacity, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
            };
            if at == libc::MAP_FAILED {
                return None;
            }
            #[cfg(target_os = "linux")]
            // SAFETY: a hint about pages that were just mapped; large pages save address translation.
            unsafe {
                libc::madvise(at, capacity, libc::MADV_HUGEPAGE);
            }
            return Some(Memory { ptr: NonNull::new(at.cast())?, capacity });
        }
        let layout = Layout::from_size_align(capacity, ALIGN).ok()?;
        // SAFETY: the layout has a size that is not 0.
        let ptr = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Memory { ptr, capacity })
    }

    fn give_back_to_host(self) {
        if self.capacity >= MAPPED {
            // SAFETY: exactly the mapping that `of_host` made.
            unsafe { libc::munmap(self.ptr.as_ptr().cast(), self.capacity) };
        } else if let Ok(layout) = Layout::from_size_align(self.capacity, ALIGN) {
            // SAFETY: got from `alloc_zeroed` with this layout.
            unsafe { dealloc(self.ptr.as_ptr(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_used_again() {
        let pool = Pool::new(10 << 20);
        let first = pool.allocate(1000).unwrap();
        let at = first.as_ptr();
        assert_eq!(at.align_offset(ALIGN), 0);
        drop(first);
        let second = pool.allocate(900).unwrap();
        assert_eq!(second.as_ptr(), at);
        let large = pool.allocate(3 << 20).unwrap();
        drop((second, large));
        let _again = pool.allocate(3 << 20).unwrap();
        assert_eq!(pool.stats().allocations, 2);
        assert_eq!(pool.stats().requests, 4);
    }

    /// Each size has the smallest class that serves it, classes are numbered without gaps, and a 32nd is wasted at most.
    #[test]
    fn classes() {
        let (mut last, mut end) = (0, 0);
        for bytes in 1..100_000 {
            let (class, size) = class_of(bytes).unwrap();
            if bytes > end {
                assert_eq!(class, last + 1, "{bytes}");
                (last, end) = (class, size);
            }
            assert_eq!((class, size), (last, end));
            assert!(size - bytes < ALIGN.max(bytes / 32 + 1));
            assert_eq!(class_within(size), class);
            assert_eq!(class_within(size + ALIGN - 1), class);
        }
        assert!(class_of(isize::MAX as usize).is_none() && class_of(usize::MAX).is_none());
        let (class, size) = class_of(3 << 60).unwrap();
        assert_eq!((class_within(size), size), (class, 3 << 60));
    }

    #[test]
    fn rounding_is_no_reason_to_refuse() {
        let pool = Pool::new(10_048);
        let block = pool.allocate(10_048).unwrap();
        assert_eq!(block.capacity(), 10_048);
        drop(block);
        // It serves what it can, which is a class less.
        assert_eq!(pool.allocate(9_900).unwrap().capacity(), 10_048);
        assert_eq!(pool.allocate(10_048).unwrap().capacity(), 10_048);
    }

    #[test]
    fn what_waits_is_bounded() {
        let pool = Pool::new(usize::MAX);
        for n in 1..1000 {
            drop(pool.allocate(n * 4096).unwrap());
            let stats = pool.stats();
            assert!(stats.in_use + stats.cached <= KEPT.max(2 * stats.peak), "{stats:?}");
        }
        assert!(pool.stats().cached > 0);
    }

    #[test]
    fn the_limit_holds() {
        let pool = Pool::new(1 << 20);
        let half = pool.allocate(600 << 10).unwrap();
        let refused = pool.allocate(600 << 10).unwrap_err();
        assert_eq!(refused.limit, Some(1 << 20));
        drop(half);
        // What waits is given up for a block of another size.
        assert!(pool.allocate(100 << 10).is_ok());
        assert!(pool.allocate(900 << 10).is_ok());
        assert!(pool.allocate(usize::MAX).is_err());
        assert_eq!(pool.allocate(0).unwrap().capacity(), 0);
        assert_eq!(pool.stats().in_use, 0);
    }
}
