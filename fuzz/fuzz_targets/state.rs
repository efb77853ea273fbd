//! States: what is accepted is written so that it is read again as the same.
#![no_main]

use b24events::state::store::{Identity, Store};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let store = || Store::new(None, Identity::default()).unwrap();
    let (first, second) = (store(), store());
    let Ok(family) = first.restore(text) else { return };
    let written = first.to_json(&family);
    let read = second.restore(&written).expect("what was written is read");
    assert_eq!(second.to_json(&read), written);
    assert_eq!(read, family);
});
