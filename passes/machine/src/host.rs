//! What the system says of the machine that we run on.

use std::fs::read_to_string;

/// Data caches of the first core in KiB: the first, second and third level; 0 where nothing is known (beside Linux).
pub fn caches_kib() -> [u64; 3] {
    let mut out = [0; 3];
    for index in 0..8 {
        let read = |what: &str| read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{what}")).ok();
        let level = read("level").and_then(|level| level.trim().parse::<usize>().ok());
        let size = read("size").and_then(|size| size.trim().strip_suffix('K')?.parse::<u64>().ok());
        let holds_data = read("type").is_some_and(|kind| kind.trim() != "Instruction");
        if let (Some(level @ 1..=3), Some(size), true) = (level, size, holds_data) {
            out[level - 1] = size;
        }
    }
    out
}
