//! What schedules and code generation look at.

use nim_machine::{Machine, Target};

/// What code generation needs to know of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetInfo {
    /// Width of a vector register in bits.
    pub vector_bits: u32,
    /// Number of vector registers.
    pub vector_registers: u32,
    /// How fast it is: what estimates go by.
    pub machine: Machine,
    /// Whether there is fused multiply-add.
    pub fma: bool,
    /// Widest vectors whose bytes are multiplied and added up in fours by one instruction (VNNI), in bits; 0 if there is none.
    pub byte_products: u32,
    /// Widest vectors of `bf16` whose products are added up in pairs by one instruction, in bits; 0 if there is none.
    pub bf16_products: u32,
    /// Whether there are tile registers whose bytes are multiplied and added up in fours (AMX).
    pub byte_tiles: bool,
    /// Whether there are tile registers whose `bf16` are multiplied and added up in pairs.
    pub bf16_tiles: bool,
    /// Whether one instruction rounds to `bf16`, and may: it takes what is below the normal numbers for zero.
    pub bf16_rounding: bool,
    /// Whether one instruction multiplies a vector of 16 floats with powers of two (AVX-512).
    pub scales: bool,
    /// Widest vectors of 16-bit integers that are multiplied and added up in pairs by one instruction, in bits.
    pub pair_products: u32,
    /// Whether `a*b + c` may be rounded once. Off in strict mode.
    pub contract: bool,
    /// Whether sums of floats may be taken in another order. Off in strict mode.
    pub reassociate: bool,
}

impl TargetInfo {
    /// What there is to know of a target. `strict`: sums and products are rounded as written; `rounds`: numbers are rounded to `bf16`
    /// for speed.
    pub fn of(target: &Target, strict: bool, rounds: bool) -> TargetInfo {
        TargetInfo {
            vector_bits: target.vector_bits(),
            vector_registers: target.vector_registers(),
            machine: target.machine,
            fma: target.has("fma"),
            byte_products: match () {
                () if target.has("avx512vnni") && target.has("avx512vl") => 512,
                () if target.has("avxvnni") => 256,
                () => 0,
            },
            // Rounds as it likes: not in strict mode.
            bf16_products: match () {
                () if strict => 0,
                () if target.has("avx512bf16") && target.has("avx512vl") => 512,
                () => 0,
            },
            byte_tiles: target.has("amx-tile") && target.has("amx-int8"),
            bf16_tiles: target.has("amx-tile") && target.has("amx-bf16") && !strict,
            bf16_rounding: rounds && !strict && target.has("avx512bf16"),
            scales: target.has("avx512f"),
            pair_products: match () {
                () if target.has("avx512bw") => 512,
                () if target.has("avx2") => 256,
                () => 128,
            },
            contract: !strict,
            reassociate: !strict,
        }
    }

    /// Operations on whole vectors that a core begins in a cycle: 2, or 1 where it has them done in two halves.
    pub fn vector_rate(&self) -> f64 {
        self.machine.vector_rate(self.vector_bits)
    }

    /// Whether vectors of elements of so many bits are loaded and stored under a mask by one instruction.
    pub fn masks(&self, bits: u32) -> bool {
        self.vector_bits >= 512 || self.vector_bits >= 256 && bits >= 32
    }
}

impl Default for TargetInfo {
    /// x86-64-v3.
    fn default() -> Self {
        TargetInfo::of(&Target::default(), false, false)
    }
}
