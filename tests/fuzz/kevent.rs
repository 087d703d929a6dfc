//! The fuzz target: tests/fuzz/world says what an input means.
#![no_main]

mod world;

libfuzzer_sys::fuzz_target!(|input: &[u8]| world::run(input));
