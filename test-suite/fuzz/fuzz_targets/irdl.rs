//! See `nim_test_suite::fuzz::irdl`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nim_test_suite::fuzz::irdl(data));
