//! A client of an emulator behind the harmful proxy.

use b24_emulator::Options;
use b24events::client::Client;
use serde_json::Value;

use super::proxy::Proxy;
use super::support::*;

pub const TRANSPORTS: [&str; 2] = ["websocket", "long_polling"];

pub struct Proxied {
    pub portal: Portal,
    pub proxy: Proxy,
    pub client: Client,
}

impl Proxied {
    /// Not connected yet.
    pub fn new(transport: &str, options: Options) -> Proxied {
        let portal = Portal::with(options);
        let proxy = Proxy::start();
        let mut config = portal.config();
        for (key, value) in [
            ("http.proxy", proxy.url().as_str()),
            ("http.connect_timeout_ms", "500"),
            ("push.idle_timeout_ms", "1000"),
            ("push.transport", transport),
            ("rate.per_second", "0"),
            ("fetch.limit", "1000"),
            // The only consumer: every reservation is its own.
            ("recover.orphans", "exclusive"),
        ] {
            config.set(key, value).unwrap();
        }
        let client = portal.client_of(&config);
        client.bind_event("ONCRMDEALADD").unwrap();
        Proxied { portal, proxy, client }
    }

    /// Waits until signals have announced this many records.
    pub fn expect_signals(&self, records: u64) {
        expect_signals(&self.client, records);
    }

    pub fn stats(&self) -> Value {
        stats(&self.client)
    }
}
