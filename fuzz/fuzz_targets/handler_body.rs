//! Bodies of the portal's calls: forms with PHP's brackets, and JSON.
#![no_main]

use b24events::handler::body::decode;
use b24events::handler::call::Call;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &[u8])| {
    let (is_json, body) = input;
    let content_type = if is_json { "application/json" } else { "application/x-www-form-urlencoded" };
    if let Some(call) = decode(body, content_type).ok().and_then(Call::parse) {
        let _ = (call.event(), call.auth.application_token(), call.auth.tokens(0, |_| true));
    }
});
