//! Configurations: lines of a key, `=` and a value.
#![no_main]

use b24events::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut config = Config::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if config.set(key, value).is_ok() {
            config.get(key).expect("a key that can be set can be read");
        }
    }
    // Reads files: those that a value names, if the fuzzer ever finds one.
    let _ = config.settings();
});
