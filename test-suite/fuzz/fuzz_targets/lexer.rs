//! See `nim_test_suite::fuzz::lexer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nim_test_suite::fuzz::lexer(data));
