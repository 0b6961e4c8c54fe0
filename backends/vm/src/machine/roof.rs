//! What this machine can do at most, measured in a few milliseconds: what times of kernels are held against.
//!
//! The model is the roofline (Williams, Waterman and Patterson, 2009): a kernel of so many operations and bytes takes at
//! least the time that either takes alone.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Rates of some threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Floating-point operations in f32 a second; a fused multiply-add is two.
    pub operations: f64,
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
        let operations = together(threads, &|_| {
            const STEPS: usize = 100_000;
            (STEPS as f64) * multiply_adds(black_box(STEPS))
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

    /// The least time for these operations and bytes, where buffers of `buffer_bytes` in sum say what holds them.
    pub fn least_time(&self, operations: f64, bytes: f64, buffer_bytes: f64) -> Duration {
        let bandwidth = if buffer_bytes <= CACHE_BYTES { self.cache } else { self.memory };
        let seconds = (operations / self.operations).max(bytes / bandwidth);
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

/// Runs `steps` steps of independent multiply-adds; the operations of one step.
fn multiply_adds(steps: usize) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has what the function is compiled for.
            return unsafe { x86::multiply_adds_512(steps) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { x86::multiply_adds_256(steps) };
        }
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Enough independent sums to hide the latency of an instruction.
    const SUMS: usize = 12;

    #[target_feature(enable = "avx512f")]
    pub(super) fn multiply_adds_512(steps: usize) -> f64 {
        let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
        let mut sums = [b; SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (SUMS * 16 * 2) as f64
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn multiply_adds_256(steps: usize) -> f64 {
        let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
        let mut sums = [b; SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
        (SUMS * 8 * 2) as f64
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn sum_256(block: &[u64]) -> i64 {
        let mut sums = [_mm256_setzero_si256(); 4];
        for chunk in block.chunks_exact(16) {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the chunk has 16 words, of which four from 4 i on are read.
                let words = unsafe { _mm256_loadu_si256(chunk.as_ptr().add(4 * i).cast()) };
                *sum = _mm256_add_epi64(*sum, words);
            }
        }
        let sum = sums.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_add_epi64(a, b));
        _mm256_extract_epi64::<0>(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_possible_and_bound_times() {
        let roof = Roof::measure(1);
        for rate in [roof.operations, roof.memory, roof.cache] {
            assert!(rate.is_finite() && rate > 1e7, "{roof:?}");
        }
        let roof = Roof { operations: 1e9, memory: 1e9, cache: 1e10 };
        assert_eq!(roof.least_time(2e9, 1e9, 1e9), Duration::from_secs(2));
        assert_eq!(roof.least_time(0.0, 3e9, 1e9), Duration::from_secs(3));
        assert_eq!(roof.least_time(0.0, 1e10, 1e3), Duration::from_secs(1));
    }
}
