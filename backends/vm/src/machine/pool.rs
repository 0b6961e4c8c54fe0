//! Memory for tensors: blocks aligned to 64 bytes, given back when their last reference goes, and used again.
//!
//! A block that is given back waits for the next request of about its size, so that a program in steady state asks the
//! system for nothing. What waits and what is handed out are together at most twice what was ever handed out at a time (a few
//! hundred kilobytes may always wait): with sizes that change from run to run, blocks that have waited longest go back to the
//! system. All of it counts against one limit.

use crate::bytecode::DeviceId;
use crate::device::Device;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Alignment of every block: a cache line, and the widest vector register.
pub const ALIGN: usize = 64;
/// From here on blocks are mapped pages: zeroed by the system when they are first touched, and given back whole.
const MAPPED: usize = 1 << 20;

/// Bytes that may always wait: giving so little back would cost more than it saves.
const KEPT: usize = 256 << 10;
/// Blocks that are looked through before those of all sizes.
const RECENT: usize = 16;

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
    /// Blocks that came back last, the newest at the end: most requests are for the size of one of them.
    recent: Vec<Memory>,
    /// Blocks that have waited longer, by size, each with the number of the return that it came with.
    free: BTreeMap<usize, Vec<(u64, Memory)>>,
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
        // Coarser steps for larger blocks, so that sizes that differ by little share them.
        let step = if bytes >= MAPPED { 1 << 16 } else { ALIGN };
        let Some(capacity) = bytes.checked_next_multiple_of(step).filter(|&c| c <= isize::MAX as usize) else {
            return Err(refuse(&state, Some(self.limit)));
        };
        state.stats.requests += 1;
        let memory = match state.take(capacity) {
            Some(memory) if state.stats.in_use.saturating_add(memory.capacity) <= self.limit => memory,
            found => {
                if let Some(memory) = found {
                    state.give(memory);
                }
                if state.stats.in_use.saturating_add(capacity) > self.limit {
                    return Err(refuse(&state, Some(self.limit)));
                }
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

impl State {
    /// A waiting block that fits without wasting more than half of itself.
    #[inline]
    fn take(&mut self, capacity: usize) -> Option<Memory> {
        let most = capacity.saturating_add(capacity / 2).saturating_add(1024);
        let mut best: Option<(usize, usize)> = None;
        for (at, found) in self.recent.iter().map(|m| m.capacity).enumerate().rev() {
            if (capacity..=most).contains(&found) && best.is_none_or(|(_, best)| found < best) {
                best = Some((at, found));
                if found == capacity {
                    break;
                }
            }
        }
        match best {
            Some((at, found)) => {
                self.stats.cached -= found;
                Some(self.recent.remove(at))
            }
            None => self.take_shelved(capacity, most),
        }
    }
    fn take_shelved(&mut self, capacity: usize, most: usize) -> Option<Memory> {
        let (&size, list) = self.free.range_mut(capacity..=most).next()?;
        let (_, memory) = list.pop()?;
        if list.is_empty() {
            self.free.remove(&size);
        }
        self.stats.cached -= size;
        Some(memory)
    }
    #[inline]
    fn give(&mut self, memory: Memory) {
        self.stats.cached += memory.capacity;
        if self.recent.len() >= RECENT {
            self.shelve();
        }
        self.recent.push(memory);
    }
    /// Puts the block that came back first of the recent ones to the others.
    fn shelve(&mut self) {
        let memory = self.recent.remove(0);
        self.returns += 1;
        self.free.entry(memory.capacity).or_default().push((self.returns, memory));
    }
    /// Gives the block that has waited longest back to the system; false when none waits.
    fn drop_oldest(&mut self) -> bool {
        // Blocks of one size are taken from the end, so the first has waited longest.
        let age = |list: &Vec<(u64, Memory)>| list.first().map(|(returned, _)| *returned);
        if self.free.is_empty() && !self.recent.is_empty() {
            self.shelve();
        }
        let Some(size) = self.free.iter().min_by_key(|(_, list)| age(list)).map(|(&size, _)| size) else {
            return false;
        };
        if let Some(list) = self.free.get_mut(&size) {
            let (_, memory) = list.remove(0);
            if list.is_empty() {
                self.free.remove(&size);
            }
            self.stats.cached -= size;
            self.give_back(memory);
        }
        true
    }
    fn trim(&mut self) {
        let shelved = std::mem::take(&mut self.free).into_values().flatten().map(|(_, memory)| memory);
        let all: Vec<Memory> = self.recent.drain(..).chain(shelved).collect();
        all.into_iter().for_each(|memory| self.give_back(memory));
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
