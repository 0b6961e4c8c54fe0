//! The functions outside itself that compiled code may call, and their addresses in this process.
//!
//! LLVM calls the C library where an instruction set has no instruction: block copies (and other loops that it knows as
//! functions of the C library), scalar transcendental functions, rounding without SSE4.1, fused multiply-add without FMA, and half-precision conversions without F16C.
//! The list is closed on purpose: an image cannot reach anything else of the process.

use std::ffi::{c_double as d, c_float as f, c_int, c_void};

macro_rules! table {
    (
        libm { $($m:ident: fn($($t:ty),*) -> $r:ty;)* }
        ours { $($o:ident => $target:expr;)* }
    ) => {
        mod c {
            use super::*;
            unsafe extern "C" {
                $(pub(super) fn $m($(_: $t),*) -> $r;)*
            }
        }

        /// Every function that compiled code may call.
        pub const NAMES: &[&str] = &[$(stringify!($m),)* $(stringify!($o),)*];

        /// Address of the function called `name` for compiled code; `None` when it is not on the list.
        pub fn address(name: &str) -> Option<u64> {
            let pointer: *const c_void = match name {
                $(stringify!($m) => c::$m as *const c_void,)*
                $(stringify!($o) => $target as *const c_void,)*
                _ => return None,
            };
            Some(pointer as u64)
        }
    };
}

table! {
    libm {
        memcpy: fn(*mut c_void, *const c_void, usize) -> *mut c_void;
        memmove: fn(*mut c_void, *const c_void, usize) -> *mut c_void;
        memset: fn(*mut c_void, c_int, usize) -> *mut c_void;
        memcmp: fn(*const c_void, *const c_void, usize) -> c_int;
        bcmp: fn(*const c_void, *const c_void, usize) -> c_int;
        strlen: fn(*const c_void) -> usize;

        acosf: fn(f) -> f; acos: fn(d) -> d;
        acoshf: fn(f) -> f; acosh: fn(d) -> d;
        asinf: fn(f) -> f; asin: fn(d) -> d;
        asinhf: fn(f) -> f; asinh: fn(d) -> d;
        atanf: fn(f) -> f; atan: fn(d) -> d;
        atan2f: fn(f, f) -> f; atan2: fn(d, d) -> d;
        atanhf: fn(f) -> f; atanh: fn(d) -> d;
        cbrtf: fn(f) -> f; cbrt: fn(d) -> d;
        ceilf: fn(f) -> f; ceil: fn(d) -> d;
        copysignf: fn(f, f) -> f; copysign: fn(d, d) -> d;
        cosf: fn(f) -> f; cos: fn(d) -> d;
        coshf: fn(f) -> f; cosh: fn(d) -> d;
        erff: fn(f) -> f; erf: fn(d) -> d;
        erfcf: fn(f) -> f; erfc: fn(d) -> d;
        expf: fn(f) -> f; exp: fn(d) -> d;
        exp2f: fn(f) -> f; exp2: fn(d) -> d;
        exp10f: fn(f) -> f; exp10: fn(d) -> d;
        expm1f: fn(f) -> f; expm1: fn(d) -> d;
        fabsf: fn(f) -> f; fabs: fn(d) -> d;
        floorf: fn(f) -> f; floor: fn(d) -> d;
        fmaf: fn(f, f, f) -> f; fma: fn(d, d, d) -> d;
        fmaxf: fn(f, f) -> f; fmax: fn(d, d) -> d;
        fminf: fn(f, f) -> f; fmin: fn(d, d) -> d;
        fmodf: fn(f, f) -> f; fmod: fn(d, d) -> d;
        hypotf: fn(f, f) -> f; hypot: fn(d, d) -> d;
        ldexpf: fn(f, c_int) -> f; ldexp: fn(d, c_int) -> d;
        lgammaf: fn(f) -> f; lgamma: fn(d) -> d;
        logf: fn(f) -> f; log: fn(d) -> d;
        log10f: fn(f) -> f; log10: fn(d) -> d;
        log1pf: fn(f) -> f; log1p: fn(d) -> d;
        log2f: fn(f) -> f; log2: fn(d) -> d;
        nearbyintf: fn(f) -> f; nearbyint: fn(d) -> d;
        powf: fn(f, f) -> f; pow: fn(d, d) -> d;
        remainderf: fn(f, f) -> f; remainder: fn(d, d) -> d;
        rintf: fn(f) -> f; rint: fn(d) -> d;
        roundf: fn(f) -> f; round: fn(d) -> d;
        roundevenf: fn(f) -> f; roundeven: fn(d) -> d;
        sincosf: fn(f, *mut f, *mut f) -> (); sincos: fn(d, *mut d, *mut d) -> ();
        sinf: fn(f) -> f; sin: fn(d) -> d;
        sinhf: fn(f) -> f; sinh: fn(d) -> d;
        sqrtf: fn(f) -> f; sqrt: fn(d) -> d;
        tanf: fn(f) -> f; tan: fn(d) -> d;
        tanhf: fn(f) -> f; tanh: fn(d) -> d;
        tgammaf: fn(f) -> f; tgamma: fn(d) -> d;
        truncf: fn(f) -> f; trunc: fn(d) -> d;
    }
    ours {
        __powisf2 => powi_f32;
        __powidf2 => powi_f64;
        __extendhfsf2 => extend_f16;
        __truncsfhf2 => truncate_f32_to_f16;
        __truncdfhf2 => truncate_f64_to_f16;
        __truncsfbf2 => truncate_f32_to_bf16;
        __truncdfbf2 => truncate_f64_to_bf16;
    }
}

// The compiler's own helper functions, as its run-time library defines them. Rust exports none of them under a name we
// could take, so they are written here.

extern "C" fn powi_f32(x: f32, n: i32) -> f32 {
    x.powi(n)
}

extern "C" fn powi_f64(x: f64, n: i32) -> f64 {
    x.powi(n)
}

// A half or bfloat travels in the low 16 bits of an SSE register, where the x86-64 ABI puts a `float` too. So an `f32`
// parameter, read as bits, is that register, and no half type is needed in Rust.

extern "C" fn extend_f16(register: f32) -> f32 {
    half::f16::from_bits(register.to_bits() as u16).to_f32()
}

extern "C" fn truncate_f32_to_f16(x: f32) -> f32 {
    f32::from_bits(u32::from(half::f16::from_f32(x).to_bits()))
}

extern "C" fn truncate_f64_to_f16(x: f64) -> f32 {
    f32::from_bits(u32::from(half::f16::from_f64(x).to_bits()))
}

/// An `f32` rounded to the nearest `bf16`, as the compiler's own `__truncsfbf2`.
pub extern "C" fn truncate_f32_to_bf16(x: f32) -> f32 {
    f32::from_bits(u32::from(half::bf16::from_f32(x).to_bits()))
}

/// An `f64` rounded to the nearest `bf16`, as the compiler's own `__truncdfbf2`.
pub extern "C" fn truncate_f64_to_bf16(x: f64) -> f32 {
    f32::from_bits(u32::from(half::bf16::from_f64(x).to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_address_and_nothing_else_has() {
        for name in NAMES {
            assert!(address(name).is_some_and(|a| a != 0), "{name}");
        }
        assert_eq!(address("system"), None);
    }

    #[test]
    fn half_conversions_round_to_nearest_even() {
        assert_eq!(extend_f16(f32::from_bits(0x3c00)), 1.0);
        assert_eq!(truncate_f32_to_f16(1.0).to_bits(), 0x3c00);
        assert_eq!(truncate_f32_to_bf16(f32::from_bits(0x3f80_8000)).to_bits(), 0x3f80);
        assert_eq!(truncate_f64_to_bf16(3.0).to_bits(), 0x4040);
    }
}
