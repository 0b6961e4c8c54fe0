//! The same work by each instruction that multiplies, as fast as the processor can: sums that do not wait for each other.

use super::Products;
use crate::code_image::{amx, cpu};
use std::arch::asm;
use std::arch::x86_64::*;
use std::hint::black_box;

/// Enough independent sums to hide the latency of an instruction.
const SUMS: usize = 12;

/// A function that runs steps of so many independent sums in vectors; the operations of a step.
macro_rules! sums {
    ($name:ident, $features:literal, $factors:expr, $operations:literal, |$sum:ident, $a:ident, $b:ident| $step:expr) => {
        #[target_feature(enable = $features)]
        fn $name(steps: usize) -> f64 {
            let (mut sums, $a, $b) = $factors;
            for _ in 0..steps {
                for $sum in &mut sums {
                    *$sum = $step;
                }
            }
            black_box(sums);
            (SUMS * $operations) as f64
        }
    };
}

/// Sums and two factors that nobody knows.
macro_rules! same {
    ($set:ident, $value:expr) => {
        ([$set(black_box($value)); SUMS], $set(black_box($value)), $set(black_box($value)))
    };
}

sums!(single_512, "avx512f", same!(_mm512_set1_ps, 0.5), 32, |sum, a, b| _mm512_fmadd_ps(*sum, a, b));
sums!(single_256, "avx2,fma", same!(_mm256_set1_ps, 0.5), 16, |sum, a, b| _mm256_fmadd_ps(*sum, a, b));
sums!(bytes_512, "avx512f,avx512vnni", same!(_mm512_set1_epi32, 1), 128, |sum, a, b| _mm512_dpbusd_epi32(*sum, a, b));
sums!(bytes_256, "avx2,avxvnni", same!(_mm256_set1_epi32, 1), 64, |sum, a, b| _mm256_dpbusd_avx_epi32(*sum, a, b));
sums!(pairs_512, "avx512f,avx512bw", same!(_mm512_set1_epi32, 1), 64, |sum, a, b| _mm512_add_epi32(
    a,
    _mm512_madd_epi16(*sum, b)
));
sums!(pairs_256, "avx2", same!(_mm256_set1_epi32, 1), 32, |sum, a, b| _mm256_add_epi32(a, _mm256_madd_epi16(*sum, b)));

/// Pairs of `bf16`, all zero: the time does not depend on what they are.
#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16_512(steps: usize) -> f64 {
    let factor = _mm512_cvtne2ps_pbh(_mm512_set1_ps(black_box(0.0)), _mm512_set1_ps(black_box(0.0)));
    let mut sums = [_mm512_set1_ps(0.0); SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    (SUMS * 64) as f64
}

/// Shapes of tile registers: palette 1, eight of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes([u8; 64]);

impl Shapes {
    fn full() -> Shapes {
        let mut all = [0; 64];
        all[0] = 1;
        for tile in 0..8 {
            (all[16 + 2 * tile], all[48 + tile]) = (64, 16);
        }
        Shapes(all)
    }
}

/// Cycles of one product of tiles: so many fewer are done.
const CYCLES: usize = 16;

/// Four sums of products of two tiles by two, by an instruction on tiles.
macro_rules! tiles {
    ($name:ident, $dot:literal, $operations:literal) => {
        /// # Safety
        /// Processor and system have tile registers and this instruction, and the process may use them.
        unsafe fn $name(steps: usize) -> f64 {
            let shapes = Shapes::full();
            // SAFETY: as the caller says; the registers belong to nobody else, and nothing is left in them.
            unsafe {
                asm!("ldtilecfg [{0}]", in(reg) &raw const shapes, options(nostack, readonly));
                asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
                asm!("tilezero tmm4", "tilezero tmm5", "tilezero tmm6", "tilezero tmm7", options(nostack, nomem));
                for _ in 0..steps / CYCLES {
                    asm!(
                        concat!($dot, " tmm0, tmm4, tmm6"),
                        concat!($dot, " tmm1, tmm4, tmm7"),
                        concat!($dot, " tmm2, tmm5, tmm6"),
                        concat!($dot, " tmm3, tmm5, tmm7"),
                        options(nostack, nomem)
                    );
                }
                asm!("tilerelease", options(nostack, nomem));
            }
            (4 * $operations) as f64 / CYCLES as f64
        }
    };
}

tiles!(byte_tiles, "tdpbusd", 32768);
tiles!(bf16_tiles, "tdpbf16ps", 16384);

/// Runs steps on factors of a kind; the operations of one step, or nothing where there is no instruction for it.
pub(super) fn multiply_adds(of: Products, steps: usize) -> Option<f64> {
    let has = |names: &[&str]| names.iter().all(|name| cpu::host_has(name) == Some(true));
    let tiles = |name: &str| has(&["amx-tile", name]) && amx::permitted(&[name.to_owned()]);
    // SAFETY: in each case the machine has what the function is compiled for.
    unsafe {
        Some(match of {
            Products::Single if has(&["avx512f"]) => single_512(steps),
            Products::Single if has(&["avx2", "fma"]) => single_256(steps),
            Products::Bf16 if has(&["avx512f", "avx512bf16"]) => bf16_512(steps),
            Products::Bytes if has(&["avx512f", "avx512vnni"]) => bytes_512(steps),
            Products::Bytes if has(&["avx2", "avxvnni"]) => bytes_256(steps),
            Products::Bytes if has(&["avx512f", "avx512bw"]) => pairs_512(steps),
            Products::Bytes if has(&["avx2"]) => pairs_256(steps),
            Products::Bf16Tiles if tiles("amx-bf16") => bf16_tiles(steps),
            Products::ByteTiles if tiles("amx-int8") => byte_tiles(steps),
            _ => return None,
        })
    }
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
