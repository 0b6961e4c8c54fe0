//! See `nim_test_suite::fuzz::pipeline`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nim_test_suite::fuzz::pipeline(data));
