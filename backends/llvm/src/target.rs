//! Which machine code is made for.

use crate::error::CompileError;
use inkwell::targets::TargetMachine;
use nim_machine::Machine;
use nim_vm::code_image::cpu;
use std::fmt;

/// An x86-64 machine: one of the architecture levels of the x86-64 psABI or a CPU, with extra features if wanted, or the
/// machine that we run on.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    facts: nim_machine::Target,
    /// LLVM's `target-features`: what its `target-cpu` does not say already.
    llvm_features: String,
}

impl Target {
    /// Reads `host`, or a level (`x86-64`, `x86-64-v2`, `x86-64-v3`, `x86-64-v4`), or a CPU's name in LLVM's spelling
    /// (`sapphirerapids`), or one of these with features in LLVM's spelling added: `x86-64-v3+avxvnni`.
    ///
    /// # Errors
    /// Unknown name or feature; the message lists those there are.
    pub fn parse(name: &str) -> Result<Self, CompileError> {
        if name == "host" || name == "native" {
            return Ok(Self::host());
        }
        let facts = nim_machine::Target::parse(name).map_err(|unknown| CompileError::Target(unknown.to_string()))?;
        let added: Vec<String> = facts.added.iter().map(|feature| format!("+{feature}")).collect();
        Ok(Self { facts, llvm_features: added.join(",") })
    }

    /// The machine that we run on, with exactly the features its CPUID and operating system offer.
    pub fn host() -> Self {
        let cpu = TargetMachine::get_host_cpu_name().to_string();
        let llvm_features = TargetMachine::get_host_cpu_features().to_string();
        let on = llvm_features.split(',').filter_map(|f| f.strip_prefix('+'));
        let features = on.filter(|f| cpu::host_has(f) == Some(true)).map(str::to_owned).collect();
        Self { facts: nim_machine::Target::host(cpu, features), llvm_features }
    }

    /// What schedules and estimates look at: features and figures.
    pub fn facts(&self) -> &nim_machine::Target {
        &self.facts
    }

    /// How fast it is.
    pub fn machine(&self) -> &Machine {
        &self.facts.machine
    }

    /// The name, as parsed, or `host` with the CPU's model.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// CPU features that code may use, in LLVM's spelling.
    pub fn features(&self) -> &[String] {
        &self.facts.features
    }

    /// Says whether code may use this feature, e.g. `fma`. Without `fma`, do not emit `vector.fma` or `math.fma`:
    /// each lane becomes a call.
    pub fn has(&self, feature: &str) -> bool {
        self.facts.has(feature)
    }

    /// Bits in the widest vector register: 128, 256 or 512.
    pub fn vector_bits(&self) -> u32 {
        self.facts.vector_bits()
    }

    /// Number of vector registers of that width. With masks (`avx512f`) there are 32, else 16.
    pub fn vector_registers(&self) -> u32 {
        self.facts.vector_registers()
    }

    /// Says whether this machine can run code made for the target.
    pub fn supported_on_host(&self) -> bool {
        cfg!(target_arch = "x86_64") && self.features().iter().all(|f| cpu::host_has(f) == Some(true))
    }

    /// Architecture, as Rust names it.
    pub fn arch(&self) -> &'static str {
        "x86_64"
    }

    pub(crate) fn cpu(&self) -> &str {
        &self.facts.cpu
    }

    pub(crate) fn llvm_features(&self) -> &str {
        &self.llvm_features
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
        let intel = Target::parse("sapphirerapids").expect("target");
        assert_eq!((intel.cpu(), intel.llvm_features(), intel.vector_bits()), ("sapphirerapids", "", 512));
        for wrong in ["", "arm", "x86-64-v9", "x86-64-v3+", "x86-64-v3+warp"] {
            assert!(matches!(Target::parse(wrong), Err(CompileError::Target(_))), "{wrong}");
        }
    }

    /// What CPUs have can be asked of the machine that loads the code, and nothing can be asked that none has.
    #[test]
    fn the_loader_knows_all_features() {
        let mut known: Vec<&str> = cpu::FEATURES.to_vec();
        let mut used = nim_machine::cpus::features();
        known.sort_unstable();
        used.sort_unstable();
        assert_eq!(used, known);
    }

    #[test]
    fn host_runs_its_own_code() {
        let host = Target::host();
        assert!(host.supported_on_host());
        assert!(host.vector_bits() >= 128);
    }
}
