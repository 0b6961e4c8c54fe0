//! What this machine can do at most, measured in a few milliseconds: what times of kernels are held against.
//!
//! The model is the roofline (Williams, Waterman and Patterson, 2009): a kernel of so many operations and bytes takes at
//! least the time that either takes alone.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// What multiplies the factors of a kernel. Processors do it at different rates, the later ones mostly faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Products {
    /// Single numbers in `f32`, or whatever has no instruction of its own.
    #[default]
    Single,
    /// Words of two `bf16`.
    Bf16,
    /// Words of four bytes.
    Bytes,
    /// Tile registers of `bf16`.
    Bf16Tiles,
    /// Tile registers of bytes.
    ByteTiles,
}

impl Products {
    /// All, in the order of their numbers.
    pub const ALL: [Products; 5] =
        [Products::Single, Products::Bf16, Products::Bytes, Products::Bf16Tiles, Products::ByteTiles];

    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Products::Single => "single numbers",
            Products::Bf16 => "bf16",
            Products::Bytes => "bytes",
            Products::Bf16Tiles => "bf16 in tile registers",
            Products::ByteTiles => "bytes in tile registers",
        }
    }
}

/// Rates of some threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Operations a second on factors of each kind, by its number; a product and its sum are two.
    pub operations: [f64; Products::ALL.len()],
    /// Bytes a second read from memory that no cache holds.
    pub memory: f64,
    /// Bytes a second read from what fits into a second-level cache.
    pub cache: f64,
}

/// Buffers up to this size are taken to be in the cache: half of what second-level caches commonly have.
pub const CACHE_BYTES: f64 = (1 << 19) as f64;
const MEMORY_BYTES: usize = 96 << 20;
const ROUNDS: usize = 5;

impl Roof {
    /// Measures with so many threads at a time.
    pub fn measure(threads: usize) -> Roof {
        let threads = threads.max(1);
        let memory: Vec<u64> = vec![1; MEMORY_BYTES / 8];
        let operations = Products::ALL.map(|of| {
            together(threads, &|_| {
                const STEPS: usize = 100_000;
                (STEPS as f64) * multiply_adds(of, black_box(STEPS))
            })
        });
        let part = memory.len() / threads;
        let memory_rate = together(threads, &|i| read(&memory[i * part..(i + 1) * part]));
        let cache = together(threads, &|i| {
            let at = i * part.min(1 << 16);
            let block = &memory[at..at + (1 << 15)];
            (0..64).map(|_| read(block)).sum()
        });
        Roof { operations, memory: memory_rate, cache }
    }

    /// Operations a second on factors of this kind.
    pub fn rate(&self, of: Products) -> f64 {
        self.operations[of as usize]
    }

    /// The least time for these operations on factors of a kind and bytes, where buffers of `buffer_bytes` in sum say what holds them.
    pub fn least_time(&self, (operations, of): (f64, Products), bytes: f64, buffer_bytes: f64) -> Duration {
        let bandwidth = if buffer_bytes <= CACHE_BYTES { self.cache } else { self.memory };
        let seconds = (operations / self.rate(of)).max(bytes / bandwidth);
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

/// The best rate of a piece of work that says how much it did, on all threads at the same time.
fn together(threads: usize, work: &(dyn Fn(usize) -> f64 + Sync)) -> f64 {
    let barrier = Barrier::new(threads);
    let one = |index: usize| {
        let mut best = 0f64;
        for _ in 0..ROUNDS {
            barrier.wait();
            let start = Instant::now();
            let amount = work(index);
            best = best.max(amount / start.elapsed().as_secs_f64().max(1e-9));
        }
        best
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|index| scope.spawn(move || one(index))).collect();
        let own = one(0);
        own + others.into_iter().filter_map(|thread| thread.join().ok()).sum::<f64>()
    })
}

/// For tests: as much of what is measured as they want.
#[doc(hidden)]
pub fn multiply(of: Products, steps: usize) -> f64 {
    multiply_adds(of, steps)
}

/// Runs `steps` steps of independent sums of products; the operations of one step. What the processor has no instruction for, it does with
/// those of the other kinds.
fn multiply_adds(of: Products, steps: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(operations) = x86::multiply_adds(of, steps) {
        return operations;
    }
    if of != Products::Single {
        return multiply_adds(Products::Single, steps);
    }
    let mut sums = [1f32; 32];
    let (a, b) = (black_box(0.999f32), black_box(0.001f32));
    for _ in 0..steps {
        sums.iter_mut().for_each(|s| *s = *s * a + b);
    }
    black_box(sums);
    64.0
}

/// Reads all of a block; the bytes read.
fn read(block: &[u64]) -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has what the function is compiled for.
        black_box(unsafe { x86::sum_256(block) });
        return size_of_val(block) as f64;
    }
    black_box(block.iter().fold(0u64, |sum, &x| sum ^ x));
    size_of_val(block) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_possible_and_bound_times() {
        let roof = Roof::measure(1);
        for rate in roof.operations.into_iter().chain([roof.memory, roof.cache]) {
            assert!(rate.is_finite() && rate > 1e7, "{roof:?}");
        }
        // An instruction that multiplies more at a time is there to be faster.
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vnni") {
            assert!(roof.rate(Products::Bytes) > 1.5 * roof.rate(Products::Single), "{roof:?}");
        }
        let roof = Roof { operations: [1e9, 2e9, 4e9, 1e9, 1e9], memory: 1e9, cache: 1e10 };
        let single = |n| (n, Products::Single);
        assert_eq!(roof.least_time(single(2e9), 1e9, 1e9), Duration::from_secs(2));
        assert_eq!(roof.least_time((8e9, Products::Bytes), 1e9, 1e9), Duration::from_secs(2));
        assert_eq!(roof.least_time(single(0.0), 3e9, 1e9), Duration::from_secs(3));
        assert_eq!(roof.least_time(single(0.0), 1e10, 1e3), Duration::from_secs(1));
    }
}
