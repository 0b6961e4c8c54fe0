//! Tile registers (AMX): whether this machine has them, and leave to use them.
//!
//! Their 8 KiB are state that Linux saves only for processes that asked for it (`arch_prctl(ARCH_REQ_XCOMP_PERM)`); until then
//! the first such instruction ends the process. One question serves all threads, those of later on too.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Number of the tiles' data among the states that XSAVE knows; that before it is their configuration.
const TILE_DATA: u64 = 18;
/// Bits of both.
const TILE_STATE: u64 = 0b11 << (TILE_DATA - 1);

static EMULATED: AtomicBool = AtomicBool::new(false);

/// Declares that this process performs instructions on tiles itself, in a handler of illegal instructions. For tests.
#[doc(hidden)]
pub fn emulated() {
    EMULATED.store(true, Ordering::Relaxed);
}

/// Whether processor and system have the feature of this name, `amx-tile`, `amx-int8` or `amx-bf16`.
#[cfg(target_arch = "x86_64")]
pub(super) fn host_has(name: &str) -> bool {
    // CPUID leaf 7, EDX.
    let bit = match name {
        "amx-bf16" => 22,
        "amx-tile" => 24,
        "amx-int8" => 25,
        _ => return false,
    };
    EMULATED.load(Ordering::Relaxed) || cpuid_7_edx() >> bit & 1 == 1 && system_saves_tiles()
}

#[cfg(target_arch = "x86_64")]
fn cpuid_7_edx() -> u32 {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    // SAFETY: every x86-64 processor has CPUID, and leaf 7 is asked for where there is one.
    #[allow(unused_unsafe)]
    unsafe {
        if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).edx }
    }
}

#[cfg(target_arch = "x86_64")]
fn system_saves_tiles() -> bool {
    use std::arch::x86_64::{__cpuid, _xgetbv};
    #[target_feature(enable = "xsave")]
    fn states() -> u64 {
        // SAFETY: the caller knows that XGETBV is there.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: as in `cpuid_7_edx`.
    #[allow(unused_unsafe)]
    let enabled = unsafe { __cpuid(1).ecx >> 27 & 1 == 1 };
    // SAFETY: OSXSAVE says that XGETBV may be executed.
    enabled && unsafe { states() } & TILE_STATE == TILE_STATE && supported() & TILE_STATE == TILE_STATE
}

/// States that the system would let processes use.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn supported() -> u64 {
    const ARCH_GET_XCOMP_SUPP: libc::c_long = 0x1021;
    let mut states = 0u64;
    // SAFETY: the call writes one number, to a place of ours.
    let failed = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &raw mut states) };
    if failed == 0 { states } else { 0 }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn supported() -> u64 {
    0
}

/// Whether a feature is one of them.
pub(super) fn is_needed(name: &str) -> bool {
    name.starts_with("amx-")
}

/// Asks the system, once a process, for leave to use tiles, if code with these features does; whether it may.
pub(crate) fn permitted(features: &[String]) -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    let needed = features.iter().any(|name| is_needed(name));
    !needed || EMULATED.load(Ordering::Relaxed) || *PERMITTED.get_or_init(ask)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn ask() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    // SAFETY: the call takes a number and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn ask() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_image::cpu;

    #[test]
    fn leave_is_given_where_the_system_has_tiles_and_not_asked_elsewhere() {
        let features = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        assert!(permitted(&features(&["avx2", "avx512bf16"])));
        assert_eq!(cpu::host_has("amx-no"), None);
        if cpu::host_has("amx-tile") == Some(true) {
            assert!(permitted(&features(&["avx2", "amx-tile"])));
        }
    }
}
