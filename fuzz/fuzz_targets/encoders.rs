#![no_main]

#[allow(dead_code, reason = "a target is one of the bodies")]
#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::encoders::encoders(data));
