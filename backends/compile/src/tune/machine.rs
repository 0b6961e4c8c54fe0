//! The machine that something was measured on, as far as times depend on it.

use nim_llvm::Target;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::read_to_string;

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The CPU's model, as the system calls it.
    pub cpu: String,
    /// The features that code may use, sorted.
    pub features: Vec<String>,
    /// Data caches in KiB: the first, second and third level; 0 where nothing is known.
    pub caches_kib: [u64; 3],
    /// How many threads run at a time. Kernels are measured on one.
    pub threads: usize,
}

impl Machine {
    /// The one that we run on.
    pub fn host() -> Machine {
        let mut features: Vec<String> = Target::host().features().to_vec();
        features.sort_unstable();
        Machine {
            cpu: model().unwrap_or_else(|| std::env::consts::ARCH.to_string()),
            features,
            caches_kib: nim_machine::host::caches_kib(),
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        }
    }

    /// Whether what is fast there is fast here: threads do not matter, since kernels are measured on one.
    pub fn is_like(&self, other: &Machine) -> bool {
        (&self.cpu, &self.features, self.caches_kib) == (&other.cpu, &other.features, other.caches_kib)
    }

    #[cfg(test)]
    pub(super) fn named(cpu: &str) -> Machine {
        Machine { cpu: cpu.into(), features: vec!["avx2".into()], caches_kib: [32, 1024, 0], threads: 2 }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [l1, l2, l3] = self.caches_kib;
        let wide = ["avx512f", "avx2", "avx"].into_iter().find(|w| self.features.iter().any(|f| f == w));
        write!(f, "{}, {} features ({}), ", self.cpu, self.features.len(), wide.unwrap_or("no AVX"))?;
        write!(f, "caches of {l1}, {l2} and {l3} KiB, {} threads", self.threads)
    }
}

/// What Linux calls the first CPU.
fn model() -> Option<String> {
    let info = read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
