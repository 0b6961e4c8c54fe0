//! The table of CPUs, by LLVM's names.
//!
//! What they can do is what LLVM's `X86.td` says of them, as far as a program's loader can check it. How fast they are:
//!
//! | family | figures |
//! | --- | --- |
//! | Zen 4 | measured: the machine of `docs/benchmarks`, 3.7 GHz: 118 GFLOP/s, L2 115, L3 98, memory 17 to 22 GB/s |
//! | Sapphire Rapids | measured: the reference machine, 3.86 GHz: 247 GFLOP/s, L2 195, L3 29, memory 14 GB/s |
//! | Haswell, Broadwell | L2 and L3: a Xeon E5-2680 v3 at 2.5 GHz reads and writes 54 and 32 GiB/s (Intel's community, thread 1118044) |
//! | Zen 5 | L2: six cores of a Ryzen 5 9600X read 1875 GB/s where those of a 7600X read 1029 (AIDA64, published 2024-06-10); the rest as Zen 4, with a full data path of 512 bits |
//! | Zen 1 to 3 | L2 and L3 as Zen 4, its successor: 32 bytes a cycle of both |
//! | Skylake server to Ice Lake server, Emerald and Granite Rapids | as Sapphire Rapids, the nearest server |
//! | Skylake to Arrow Lake | L2 as Sapphire Rapids where a core is as wide, else between it and Haswell; L3 as Haswell: a ring too |
//! | levels | the least that such machines have: 512 KiB, and the rates that Winograd's estimates had for all machines |
//!
//! Sizes are the vendors' (of shared caches, those of a large model; Sapphire Rapids: 56 cores). Memory is a core's share of the nearest
//! measured machine: 3.6 bytes a cycle on servers with a mesh, 5 elsewhere.

use crate::{Machine, caches};

/// A CPU, or a level of the x86-64 psABI.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// LLVM's name.
    pub name: &'static str,
    /// What code for it may use, in LLVM's spelling, in groups.
    pub features: &'static [&'static [&'static str]],
    /// How fast it is.
    pub machine: Machine,
}

impl Cpu {
    /// What code for it may use.
    pub fn all_features(&self) -> impl Iterator<Item = &'static str> {
        self.features.iter().flat_map(|group| group.iter().copied())
    }
}

type Features = &'static [&'static str];
const LEVEL_1: Features = &["sse", "sse2"];
const LEVEL_2: Features = &["cx16", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"];
const AVX: Features = &["avx"];
const LEVEL_3: Features = &["avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"];
const LEVEL_4: Features = &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];
const PCLMUL: Features = &["pclmul"];
const BROADWELL: Features = &["pclmul", "adx"];
const SKYLAKE: Features = &["pclmul", "adx", "aes"];
const VNNI: Features = &["avx512vnni"];
const BF16: Features = &["avx512bf16"];
const ICE_LAKE: Features =
    &["avx512vnni", "avx512vbmi", "avx512vbmi2", "avx512ifma", "avx512bitalg", "avx512vpopcntdq", "sha"];
const WIDE_CRYPTOGRAPHY: Features = &["gfni", "vaes", "vpclmulqdq"];
const SAPPHIRE_RAPIDS: Features = &["avx512bf16", "avx512fp16", "avxvnni", "amx-tile", "amx-int8", "amx-bf16"];
const ALDER_LAKE: Features = &["sha", "avxvnni"];
const ARROW_LAKE: Features = &["avxvnniint8", "avxifma", "avxneconvert"];
const LUNAR_LAKE: Features = &["avxvnniint16"];
const ZEN: Features = &["pclmul", "adx", "aes", "sha", "sse4a"];
const ZEN_3: Features = &["vaes", "vpclmulqdq"];
const ZEN_4: Features =
    &["avx512vnni", "avx512vbmi", "avx512vbmi2", "avx512ifma", "avx512bitalg", "avx512vpopcntdq", "avx512bf16", "gfni"];
const ZEN_5: Features = &["avxvnni"];

/// What several CPUs have alike.
const ICE_LAKES: &[Features] = &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4, SKYLAKE, ICE_LAKE, WIDE_CRYPTOGRAPHY];
const RAPIDS: &[Features] =
    &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4, SKYLAKE, ICE_LAKE, WIDE_CRYPTOGRAPHY, SAPPHIRE_RAPIDS];
const ALDER_LAKES: &[Features] = &[LEVEL_1, LEVEL_2, LEVEL_3, SKYLAKE, WIDE_CRYPTOGRAPHY, ALDER_LAKE];
const LUNAR_LAKES: &[Features] =
    &[LEVEL_1, LEVEL_2, LEVEL_3, SKYLAKE, WIDE_CRYPTOGRAPHY, ALDER_LAKE, ARROW_LAKE, LUNAR_LAKE];

/// Rates of the first three levels, bytes a cycle.
const HASWELL_RATES: [f64; 3] = [64.0, 23.0, 14.0];
const CLIENT_RATES: [f64; 3] = [64.0, 37.0, 14.0];
const GOLDEN_COVE_RATES: [f64; 3] = [96.0, 51.0, 14.0];
const MESH_RATES: [f64; 3] = [128.0, 51.0, 7.5];
const ZEN_RATES: [f64; 3] = [64.0, 31.0, 26.0];
const MESH_MEMORY: f64 = 3.6;
const MEMORY: f64 = 5.0;

const fn machine(multiplied: u32, kib: [u32; 3], rates: [f64; 3], memory: f64) -> Machine {
    Machine { multiplied, caches: caches(kib, rates), memory }
}

/// A level of the psABI: what its weaker machines have.
const fn level(multiplied: u32, first: f64) -> Machine {
    machine(multiplied, [32, 512, 4096], [first, 32.0, 8.0], MEMORY)
}
const fn haswell(second: u32) -> Machine {
    machine(512, [32, second, 8192], HASWELL_RATES, MEMORY)
}
const fn client(multiplied: u32, kib: [u32; 3]) -> Machine {
    machine(multiplied, kib, CLIENT_RATES, MEMORY)
}
const fn golden_cove(kib: [u32; 3]) -> Machine {
    machine(512, kib, GOLDEN_COVE_RATES, MEMORY)
}
const fn mesh(kib: [u32; 3]) -> Machine {
    machine(1024, kib, MESH_RATES, MESH_MEMORY)
}
const fn zen(multiplied: u32, second: u32, third: u32) -> Machine {
    machine(multiplied, [32, second, third], ZEN_RATES, MEMORY)
}

const fn cpu(name: &'static str, features: &'static [Features], machine: Machine) -> Cpu {
    Cpu { name, features, machine }
}

/// What is taken where nothing is known: the third level.
pub const GENERIC: Cpu = cpu("x86-64-v3", &[LEVEL_1, LEVEL_2, LEVEL_3], level(512, 64.0));

/// All levels and CPUs, levels first.
pub const CPUS: &[Cpu] = &[
    cpu("x86-64", &[LEVEL_1], level(256, 32.0)),
    cpu("x86-64-v2", &[LEVEL_1, LEVEL_2], level(256, 32.0)),
    GENERIC,
    cpu("x86-64-v4", &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4], level(1024, 128.0)),
    cpu("nehalem", &[LEVEL_1, LEVEL_2], machine(256, [32, 256, 8192], HASWELL_RATES, MEMORY)),
    cpu("westmere", &[LEVEL_1, LEVEL_2, PCLMUL], machine(256, [32, 256, 12288], HASWELL_RATES, MEMORY)),
    cpu("sandybridge", &[LEVEL_1, LEVEL_2, PCLMUL, AVX], haswell(256)),
    cpu("ivybridge", &[LEVEL_1, LEVEL_2, PCLMUL, AVX, &["f16c"]], haswell(256)),
    cpu("haswell", &[LEVEL_1, LEVEL_2, LEVEL_3, PCLMUL], haswell(256)),
    cpu("broadwell", &[LEVEL_1, LEVEL_2, LEVEL_3, BROADWELL], haswell(256)),
    cpu("skylake", &[LEVEL_1, LEVEL_2, LEVEL_3, SKYLAKE], client(512, [32, 256, 8192])),
    cpu("skylake-avx512", &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4, SKYLAKE], mesh([32, 1024, 39424])),
    cpu("cascadelake", &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4, SKYLAKE, VNNI], mesh([32, 1024, 39424])),
    cpu("cooperlake", &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4, SKYLAKE, VNNI, BF16], mesh([32, 1024, 39424])),
    cpu("icelake-client", ICE_LAKES, client(512, [48, 512, 8192])),
    cpu("rocketlake", ICE_LAKES, client(512, [48, 512, 16384])),
    cpu("tigerlake", ICE_LAKES, client(512, [48, 1280, 12288])),
    cpu("icelake-server", ICE_LAKES, mesh([48, 1280, 61440])),
    cpu("sapphirerapids", RAPIDS, mesh([48, 2048, 107_520])),
    cpu("emeraldrapids", RAPIDS, mesh([48, 2048, 266_240])),
    cpu("graniterapids", RAPIDS, mesh([48, 2048, 344_064])),
    cpu("alderlake", ALDER_LAKES, golden_cove([48, 1280, 30720])),
    cpu("raptorlake", ALDER_LAKES, golden_cove([48, 2048, 36864])),
    cpu("meteorlake", ALDER_LAKES, golden_cove([48, 2048, 24576])),
    cpu(
        "arrowlake",
        &[LEVEL_1, LEVEL_2, LEVEL_3, SKYLAKE, WIDE_CRYPTOGRAPHY, ALDER_LAKE, ARROW_LAKE],
        golden_cove([48, 3072, 36864]),
    ),
    cpu("arrowlake-s", LUNAR_LAKES, golden_cove([48, 3072, 36864])),
    cpu("lunarlake", LUNAR_LAKES, golden_cove([48, 2560, 12288])),
    cpu("znver1", &[LEVEL_1, LEVEL_2, LEVEL_3, ZEN], zen(256, 512, 8192)),
    cpu("znver2", &[LEVEL_1, LEVEL_2, LEVEL_3, ZEN], zen(512, 512, 16384)),
    cpu("znver3", &[LEVEL_1, LEVEL_2, LEVEL_3, ZEN, ZEN_3], zen(512, 512, 32768)),
    // Operations on 512 bits are done in two halves (Software Optimization Guide for the AMD Zen4 Microarchitecture, 2.11).
    cpu("znver4", &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4, ZEN, ZEN_3, ZEN_4], zen(512, 1024, 32768)),
    cpu(
        "znver5",
        &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4, ZEN, ZEN_3, ZEN_4, ZEN_5],
        machine(1024, [48, 1024, 32768], [128.0, 57.0, 26.0], MEMORY),
    ),
];

/// The CPU of this name.
pub fn find(name: &str) -> Option<&'static Cpu> {
    CPUS.iter().find(|cpu| cpu.name == name)
}

/// Whether some CPU has a feature of this name.
pub fn is_feature(name: &str) -> bool {
    CPUS.iter().any(|cpu| cpu.all_features().any(|feature| feature == name))
}

/// Every feature that some CPU has, each once, as levels and then CPUs introduce them.
pub fn features() -> Vec<&'static str> {
    let mut all = vec![];
    for feature in CPUS.iter().flat_map(Cpu::all_features) {
        if !all.contains(&feature) {
            all.push(feature);
        }
    }
    all
}
