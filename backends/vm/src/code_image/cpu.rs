//! CPU features by the names LLVM gives them, asked of the machine that we run on.

/// Says whether this machine has the CPU feature called `name` (LLVM's spelling, e.g. `avx2`, `sse4.1`, `bmi`).
///
/// `None` when the name is not one that this crate can ask for. The answer covers the operating system too: AVX
/// registers that the kernel does not save count as absent.
pub fn host_has(name: &str) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        x86_64_has(name)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // Known features of another architecture: this machine has none of them.
        FEATURES.contains(&name).then_some(false)
    }
}

macro_rules! x86_features {
    ($($llvm:literal => $rust:tt),* ; $($tiles:literal),* $(,)?) => {
        /// Every feature that [`host_has`] can answer for, sorted as the x86-64 levels introduce them.
        pub const FEATURES: &[&str] = &[$($llvm,)* $($tiles),*];

        #[cfg(target_arch = "x86_64")]
        fn x86_64_has(name: &str) -> Option<bool> {
            match name {
                $($llvm => Some(std::arch::is_x86_feature_detected!($rust)),)*
                $($tiles)|* => Some(super::amx::host_has(name)),
                _ => None,
            }
        }
    };
}

x86_features! {
    "sse" => "sse", "sse2" => "sse2",
    "cx16" => "cmpxchg16b", "popcnt" => "popcnt", "sse3" => "sse3", "ssse3" => "ssse3",
    "sse4.1" => "sse4.1", "sse4.2" => "sse4.2",
    "avx" => "avx", "avx2" => "avx2", "bmi" => "bmi1", "bmi2" => "bmi2", "f16c" => "f16c", "fma" => "fma",
    "lzcnt" => "lzcnt", "movbe" => "movbe",
    "avx512f" => "avx512f", "avx512bw" => "avx512bw", "avx512cd" => "avx512cd", "avx512dq" => "avx512dq",
    "avx512vl" => "avx512vl",
    "avx512vnni" => "avx512vnni", "avx512bf16" => "avx512bf16", "avx512fp16" => "avx512fp16",
    "avx512vbmi" => "avx512vbmi", "avx512vbmi2" => "avx512vbmi2", "avx512bitalg" => "avx512bitalg",
    "avx512vpopcntdq" => "avx512vpopcntdq", "avx512ifma" => "avx512ifma",
    "avxvnni" => "avxvnni", "avxifma" => "avxifma", "avxvnniint8" => "avxvnniint8",
    "avxneconvert" => "avxneconvert", "avxvnniint16" => "avxvnniint16",
    "gfni" => "gfni", "vaes" => "vaes", "vpclmulqdq" => "vpclmulqdq",
    "aes" => "aes", "pclmul" => "pclmulqdq", "sha" => "sha", "adx" => "adx", "sse4a" => "sse4a";
    "amx-tile", "amx-int8", "amx-bf16",
}
