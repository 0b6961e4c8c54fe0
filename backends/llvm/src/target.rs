//! Which machine code is made for.

use crate::error::CompileError;
use inkwell::targets::TargetMachine;
use nim_vm::code_image::cpu;
use std::fmt;

const LEVEL_1: &[&str] = &["sse", "sse2"];
const LEVEL_2: &[&str] = &["cx16", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"];
const LEVEL_3: &[&str] = &["avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"];
const LEVEL_4: &[&str] = &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"];

/// An x86-64 machine: one of the architecture levels of the x86-64 psABI, with extra features if wanted, or the
/// machine that we run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    name: String,
    /// LLVM's `target-cpu`.
    cpu: String,
    /// LLVM's `target-features`: what `cpu` does not say already.
    llvm_features: String,
    /// What code for this target may use, of the features the loader can check.
    features: Vec<String>,
    /// Second-level cache of a core, in KiB.
    l2_kib: u32,
}

impl Target {
    /// Reads `host`, or a level (`x86-64`, `x86-64-v2`, `x86-64-v3`, `x86-64-v4`), or a level with features in LLVM's
    /// spelling added: `x86-64-v3+avxvnni`.
    ///
    /// # Errors
    /// Unknown level or feature; the message lists those there are.
    pub fn parse(name: &str) -> Result<Self, CompileError> {
        if name == "host" || name == "native" {
            return Ok(Self::host());
        }
        let mut parts = name.split('+');
        let level = parts.next().unwrap_or_default();
        let groups: &[&[&str]] = match level {
            "x86-64" | "x86-64-v1" => &[LEVEL_1],
            "x86-64-v2" => &[LEVEL_1, LEVEL_2],
            "x86-64-v3" => &[LEVEL_1, LEVEL_2, LEVEL_3],
            "x86-64-v4" => &[LEVEL_1, LEVEL_2, LEVEL_3, LEVEL_4],
            _ => {
                return Err(CompileError::Target(format!(
                    "unknown target `{name}`: expected host, x86-64, x86-64-v2, x86-64-v3 or x86-64-v4, \
                     with features added as in x86-64-v3+avxvnni"
                )));
            }
        };
        let mut features: Vec<String> = groups.iter().flat_map(|g| g.iter().map(|f| (*f).to_owned())).collect();
        let mut extra = Vec::new();
        for feature in parts {
            if !cpu::FEATURES.contains(&feature) {
                return Err(CompileError::Target(format!(
                    "target `{name}`: unknown CPU feature `{feature}`; known are {}",
                    cpu::FEATURES.join(", ")
                )));
            }
            extra.push(format!("+{feature}"));
            if !features.iter().any(|f| f == feature) {
                features.push(feature.to_owned());
            }
        }
        let cpu = if level == "x86-64-v1" { "x86-64" } else { level };
        Ok(Self {
            name: name.to_owned(),
            cpu: cpu.to_owned(),
            llvm_features: extra.join(","),
            features,
            l2_kib: L2_KIB,
        })
    }

    /// The machine that we run on, with exactly the features its CPUID and operating system offer.
    pub fn host() -> Self {
        let cpu = TargetMachine::get_host_cpu_name().to_string();
        let llvm_features = TargetMachine::get_host_cpu_features().to_string();
        let on = llvm_features.split(',').filter_map(|f| f.strip_prefix('+'));
        let features = on.filter(|f| cpu::host_has(f) == Some(true)).map(str::to_owned).collect();
        Self { name: format!("host ({cpu})"), cpu, llvm_features, features, l2_kib: host_l2_kib() }
    }

    /// The name, as parsed, or `host` with the CPU's model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// CPU features that code may use, in LLVM's spelling.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// Says whether code may use this feature, e.g. `fma`. Without `fma`, do not emit `vector.fma` or `math.fma`:
    /// each lane becomes a call.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    /// Bits in the widest vector register: 128, 256 or 512.
    pub fn vector_bits(&self) -> u32 {
        if self.has("avx512f") {
            512
        } else if self.has("avx") {
            256
        } else {
            128
        }
    }

    /// Number of vector registers of that width. With masks (`avx512f`) there are 32, else 16.
    pub fn vector_registers(&self) -> u32 {
        if self.has("avx512f") { 32 } else { 16 }
    }

    /// Operations on the widest vectors that a core begins in a cycle. AMD's fourth Zen does those of 512 bits in two halves (Software
    /// Optimization Guide for the AMD Zen4 Microarchitecture, 2.11).
    pub fn vector_rate(&self) -> u32 {
        if self.cpu == "znver4" && self.vector_bits() == 512 { 1 } else { 2 }
    }

    /// Second-level cache of a core, in KiB: what is known of the host, and the least that such machines have of others.
    pub fn l2_kib(&self) -> u32 {
        self.l2_kib
    }

    /// Says whether this machine can run code made for the target.
    pub fn supported_on_host(&self) -> bool {
        cfg!(target_arch = "x86_64") && self.features.iter().all(|f| cpu::host_has(f) == Some(true))
    }

    /// Architecture, as Rust names it.
    pub fn arch(&self) -> &'static str {
        "x86_64"
    }

    pub(crate) fn cpu(&self) -> &str {
        &self.cpu
    }

    pub(crate) fn llvm_features(&self) -> &str {
        &self.llvm_features
    }
}

/// What is assumed of machines that are not at hand.
const L2_KIB: u32 = 512;

/// What Linux says of the second-level cache of the first core.
fn host_l2_kib() -> u32 {
    let caches = (0..8).map(|n| format!("/sys/devices/system/cpu/cpu0/cache/index{n}"));
    let read = |folder: &str, what: &str| std::fs::read_to_string(format!("{folder}/{what}")).ok();
    caches
        .filter(|at| read(at, "level").is_some_and(|level| level.trim() == "2"))
        .find_map(|at| read(&at, "size")?.trim().strip_suffix('K')?.parse().ok())
        .filter(|kib| (64..=1 << 16).contains(kib))
        .unwrap_or(L2_KIB)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_added_features() {
        let v3 = Target::parse("x86-64-v3+avxvnni").expect("target");
        assert_eq!((v3.vector_bits(), v3.vector_registers()), (256, 16));
        assert!(v3.has("fma") && v3.has("avxvnni") && !v3.has("avx512f"));
        assert_eq!(Target::parse("x86-64").expect("target").vector_bits(), 128);
        assert_eq!(Target::parse("x86-64-v4").expect("target").vector_bits(), 512);
        for wrong in ["", "arm", "x86-64-v9", "x86-64-v3+", "x86-64-v3+warp"] {
            assert!(matches!(Target::parse(wrong), Err(CompileError::Target(_))), "{wrong}");
        }
    }

    #[test]
    fn host_runs_its_own_code() {
        let host = Target::host();
        assert!(host.supported_on_host());
        assert!(host.vector_bits() >= 128);
    }
}
