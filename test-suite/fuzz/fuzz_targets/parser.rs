//! See `nim_test_suite::fuzz::parser`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nim_test_suite::fuzz::parser(data));
