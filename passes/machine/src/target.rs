//! A target by its name.

use crate::cpus::{self, CPUS, Cpu};
use crate::{Machine, host};
use nim_ir::diagnostics::did_you_mean;
use std::fmt;

/// An x86-64 machine: a level of the x86-64 psABI or a CPU, with further features if wanted, or the machine that we run on.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// As it was written, or `host` with the CPU's name.
    pub name: String,
    /// LLVM's name of the CPU or level.
    pub cpu: String,
    /// What code may use, in LLVM's spelling.
    pub features: Vec<String>,
    /// Those of them that were added to what the CPU has.
    pub added: Vec<String>,
    /// How fast it is.
    pub machine: Machine,
}

/// A name that is none of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTarget(String);

impl fmt::Display for UnknownTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownTarget {}

impl Target {
    /// Reads a level (`x86-64-v3`) or a CPU's name (`sapphirerapids`), with features added in LLVM's spelling: `x86-64-v3+avxvnni`.
    ///
    /// # Errors
    /// Unknown name or feature; the message lists those there are, and which was meant.
    pub fn parse(name: &str) -> Result<Target, UnknownTarget> {
        let mut parts = name.split('+');
        let first = parts.next().unwrap_or_default();
        let first = if first == "x86-64-v1" { "x86-64" } else { first };
        let Some(cpu) = cpus::find(first) else {
            let names = || CPUS.iter().map(|cpu| cpu.name).chain(["host"]);
            let near = did_you_mean(first, names()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let all: Vec<&str> = CPUS.iter().map(|cpu| cpu.name).filter(|name| !name.starts_with("x86-64")).collect();
            return Err(UnknownTarget(format!(
                "unknown target `{name}`: expected host, x86-64, x86-64-v2, x86-64-v3, x86-64-v4, or a CPU as LLVM calls it ({}), \
                 with features added as in x86-64-v3+avxvnni{near}",
                all.join(", ")
            )));
        };
        let mut target = Target { name: name.to_owned(), ..Target::from(cpu) };
        for feature in parts {
            if !cpus::is_feature(feature) {
                let all = cpus::features();
                let near = did_you_mean(feature, all.iter().copied());
                let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                return Err(UnknownTarget(format!(
                    "target `{name}`: unknown CPU feature `{feature}`; known are {}{near}",
                    all.join(", ")
                )));
            }
            target.added.push(feature.to_owned());
            if !target.has(feature) {
                target.features.push(feature.to_owned());
            }
        }
        Ok(target)
    }

    /// The machine that we run on: its CPU as LLVM calls it, and the features that it and the system offer. Figures are those of its CPU,
    /// or of a level that it reaches if that is not known, with the sizes of caches that the system tells.
    pub fn host(cpu: String, features: Vec<String>) -> Target {
        let reached = |name: &str| {
            let level = cpus::find(name).into_iter().flat_map(|level| level.all_features());
            level.into_iter().all(|feature| features.iter().any(|f| f == feature))
        };
        let level =
            ["x86-64-v4", "x86-64-v3", "x86-64-v2"].into_iter().find(|level| reached(level)).unwrap_or("x86-64");
        let known = cpus::find(&cpu).or_else(|| cpus::find(level));
        let mut machine = known.unwrap_or(&cpus::GENERIC).machine;
        let plausible = [8..=1 << 10, 64..=1 << 16, 512..=1 << 22];
        for ((cache, kib), plausible) in machine.caches.iter_mut().zip(host::caches_kib()).zip(plausible) {
            if plausible.contains(&kib) {
                cache.bytes = kib as f64 * 1024.0;
            }
        }
        Target { name: format!("host ({cpu})"), cpu, features, added: vec![], machine }
    }

    /// Says whether code may use this feature, e.g. `fma`.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }

    /// Bits in the widest vector register: 128, 256 or 512.
    pub fn vector_bits(&self) -> u32 {
        match () {
            () if self.has("avx512f") => 512,
            () if self.has("avx") => 256,
            () => 128,
        }
    }

    /// Number of vector registers of that width. With masks (`avx512f`) there are 32, else 16.
    pub fn vector_registers(&self) -> u32 {
        if self.has("avx512f") { 32 } else { 16 }
    }

    /// Says what estimates take it for: one line.
    pub fn describe(&self) -> String {
        format!("{}: {}", self.name, self.machine.describe(self.vector_bits()))
    }
}

impl From<&Cpu> for Target {
    fn from(cpu: &Cpu) -> Target {
        let mut features: Vec<String> = vec![];
        for feature in cpu.all_features() {
            if !features.iter().any(|f| f == feature) {
                features.push(feature.to_owned());
            }
        }
        Target { name: cpu.name.to_owned(), cpu: cpu.name.to_owned(), features, added: vec![], machine: cpu.machine }
    }
}

impl Default for Target {
    /// [`cpus::GENERIC`].
    fn default() -> Target {
        Target::from(&cpus::GENERIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_stand_on_levels() {
        for cpu in CPUS {
            let [l1, l2, l3] = cpu.machine.caches;
            assert!(l1.bytes < l2.bytes && l2.bytes < l3.bytes, "{}", cpu.name);
            assert!(l1.rate >= l2.rate && l2.rate >= l3.rate && l3.rate > cpu.machine.memory, "{}", cpu.name);
            let has = |name: &str| cpu.all_features().any(|f| f == name);
            // What one says of a machine's vectors agrees with how many of them it has done in a cycle.
            let target = Target::parse(cpu.name).expect("a name of the table");
            assert!(cpu.machine.multiplied >= target.vector_bits(), "{}", cpu.name);
            assert!(has("sse2") && (!has("avx512vl") || has("avx2")), "{}", cpu.name);
        }
    }

    #[test]
    fn reference_machines() {
        let of = |name: &str| Target::parse(name).expect("target");
        let (intel, amd) = (of("sapphirerapids"), of("znver4"));
        assert!(intel.has("amx-bf16") && amd.has("avx512bf16") && !amd.has("amx-tile"));
        assert_eq!((intel.machine.vector_rate(512), amd.machine.vector_rate(512)), (2.0, 1.0));
        assert_eq!(amd.machine.vector_rate(256), 2.0);
        let rates = |bytes: f64| (intel.machine.rate_of(bytes), amd.machine.rate_of(bytes));
        assert_eq!(rates(0.5e6), (51.0, 31.0));
        assert_eq!(rates(1e6), (51.0, 26.0));
        assert_eq!(rates(9.4e6), (7.5, 26.0));
        assert_eq!(rates(37.7e6), (7.5, 5.0));
        assert_eq!(rates(102e6), (3.6, 5.0));
        assert_eq!(
            intel.describe(),
            "sapphirerapids: 2 x 512 bits a cycle; 48 KiB, 2 MiB at 51, 105 MiB at 7.5 and memory at 3.6 bytes a cycle"
        );
    }

    #[test]
    fn names() {
        let v3 = Target::parse("x86-64-v3+avxvnni").expect("target");
        assert_eq!((v3.vector_bits(), v3.vector_registers(), v3.added), (256, 16, vec!["avxvnni".to_owned()]));
        assert_eq!(Target::parse("x86-64-v1").expect("target").cpu, "x86-64");
        let wrong = |name: &str| Target::parse(name).expect_err("no target").to_string();
        assert!(wrong("saphirerapids").ends_with("did you mean `sapphirerapids`?"), "{}", wrong("saphirerapids"));
        assert!(wrong("znver4+avx512vni").ends_with("did you mean `avx512vnni`?"), "{}", wrong("znver4+avx512vni"));
        assert!(wrong("").contains("expected host, x86-64,"));
    }

    #[test]
    fn unknown_hosts_are_levels() {
        let host = |cpu: &str, level: &str| {
            let features = Target::parse(level).expect("target").features;
            Target::host(cpu.into(), features).machine
        };
        assert_eq!(host("somelake", "x86-64-v4").multiplied, 1024);
        assert_eq!(host("somelake", "x86-64-v3").multiplied, 512);
        assert_eq!(host("znver4", "x86-64-v4").multiplied, 512);
    }
}
