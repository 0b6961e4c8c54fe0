//! The machine that schedules are estimated for: the only place that estimates take such numbers from.
//!
//! A [`Target`] says what code may use (features) and how fast it will be (a [`Machine`]); both come from the table of [`cpus`], by the
//! name that LLVM gives the CPU. Nothing is measured when compiling, so a target means the same everywhere; of the host, only the sizes
//! of its caches are asked.

pub mod cpus;
pub mod host;
mod target;

pub use target::{Target, UnknownTarget};

/// A cache, as one core sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cache {
    /// Its size in bytes: of a cache that cores share, all of it.
    pub bytes: f64,
    /// Bytes a cycle that a core reads from it.
    pub rate: f64,
}

/// How fast one core computes and reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Bits of vectors whose elements are multiplied and added up in a cycle: 1024 where two operations on 512 bits begin.
    pub multiplied: u32,
    /// The first, second and third level.
    pub caches: [Cache; 3],
    /// Bytes a cycle that a core reads from memory.
    pub memory: f64,
}

/// Caches of bytes and rates.
pub(crate) const fn caches(kib: [u32; 3], rates: [f64; 3]) -> [Cache; 3] {
    const fn cache(kib: u32, rate: f64) -> Cache {
        Cache { bytes: kib as f64 * 1024.0, rate }
    }
    [cache(kib[0], rates[0]), cache(kib[1], rates[1]), cache(kib[2], rates[2])]
}

impl Machine {
    /// Operations on vectors of so many bits that a core begins in a cycle: 2, or 1 where it has them done in halves or has one unit.
    pub fn vector_rate(&self, vector_bits: u32) -> f64 {
        f64::from((self.multiplied / vector_bits.max(1)).clamp(1, 2))
    }

    /// The first-level cache.
    pub fn first(&self) -> Cache {
        self.caches[0]
    }

    /// The second-level cache.
    pub fn second(&self) -> Cache {
        self.caches[1]
    }

    /// Bytes a cycle from where so many bytes lie that are read from one end to the other, again and again: the second level, the third
    /// or memory. They may count on half of a cache: what else is read, and what other cores read, goes through it too.
    pub fn rate_of(&self, bytes: f64) -> f64 {
        self.caches[1..].iter().find(|cache| bytes <= cache.bytes / 2.0).map_or(self.memory, |cache| cache.rate)
    }

    /// In words: `2 x 512 bits a cycle; 48 KiB, 2 MiB at 51, 105 MiB at 7.5 and memory at 3.6 bytes a cycle`.
    pub fn describe(&self, vector_bits: u32) -> String {
        let size = |cache: &Cache| match cache.bytes / 1024.0 {
            kib if kib < 1024.0 => format!("{kib} KiB"),
            kib => format!("{} MiB", kib / 1024.0),
        };
        let [first, second, third] = &self.caches;
        format!(
            "{} x {vector_bits} bits a cycle; {}, {} at {}, {} at {} and memory at {} bytes a cycle",
            self.vector_rate(vector_bits),
            size(first),
            size(second),
            second.rate,
            size(third),
            third.rate,
            self.memory
        )
    }
}

/// Time of work and of what streams through it at the same time: neither hides the other wholly.
pub fn overlapped(work: f64, stream: f64) -> f64 {
    work.max(stream) + 0.25 * work.min(stream)
}

/// Times of tile registers (AMX), in cycles. A product takes a cycle for each row of the left factor, 16 at most.
///
/// These are assumptions, remembered from Intel's Optimization Reference Manual (chapter 20) and neither looked up nor measured: a product's
/// sum is there after 52 cycles, a load takes 8 (two rows a cycle), a store 16, LDTILECFG 204, TILERELEASE 13.
pub mod tiles {
    /// From a product to the next one that adds to the same registers, beside the time that it takes itself.
    pub const LATENCY: f64 = 36.0;
    /// A register that is stored.
    pub const STORE: f64 = 16.0;
    /// Configuration and release.
    pub const CONFIGURED: f64 = 220.0;
}
