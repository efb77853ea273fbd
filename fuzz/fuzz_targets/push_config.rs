//! Configurations of the push server, and the addresses that are made of them.
#![no_main]

use b24events::config::PlainHttp;
use b24events::push::config::PushConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = PushConfig::parse(text, PlainHttp::Always) {
        let position = Default::default();
        let _ = (config.expires(), config.server_time(), config.identity(), config.require_websocket());
        for url in [Some(config.long_polling_url(&position)), config.websocket_url(&position)].into_iter().flatten() {
            assert!(url.expose().bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", url.expose());
        }
    }
});
