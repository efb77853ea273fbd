//! What a push server sends: envelopes, arrays, JSON-RPC.
#![no_main]

use b24events::push::message::decode;
use b24events::push::recent::RecentMessages;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut recent = RecentMessages::default();
    let first = decode(bytes, "OneC", &mut recent);
    let again = decode(bytes, "OneC", &mut recent);
    // The same bytes bring nothing new, unless more messages came than are remembered, or they have no number.
    assert!(again.repeated <= (first.events.len() as u64) + first.repeated);
});
