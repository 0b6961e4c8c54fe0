//! See `nim_test_suite::fuzz::round_trip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nim_test_suite::fuzz::round_trip(data));
