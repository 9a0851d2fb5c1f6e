//! See `harness::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness::fuzzing::run("secrets", data));
