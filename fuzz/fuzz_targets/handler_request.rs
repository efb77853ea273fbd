#![no_main]

use b24events_fuzz::checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::handler_request(bytes));
