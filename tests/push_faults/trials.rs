//! A client of an emulator behind the harmful proxy.

use b24_emulator::Options;
use b24events::client::Client;
use serde_json::{Value, json};

use super::proxy::Proxy;
use super::setting::*;

pub const TRANSPORTS: [&str; 2] = ["websocket", "long_polling"];

pub struct Trial {
    pub setting: Setting,
    pub proxy: Proxy,
    pub client: Client,
}

impl Trial {
    /// Not connected yet.
    pub fn new(transport: &str, options: Options) -> Trial {
        let setting = Setting::with(options);
        let proxy = Proxy::start();
        let mut config = setting.config();
        for (key, value) in [
            ("http.proxy", proxy.url().as_str()),
            ("http.connect_timeout_ms", "500"),
            ("push.idle_timeout_ms", "1000"),
            ("push.transport", transport),
            ("rate.per_second", "0"),
            ("fetch.limit", "1000"),
            // The only consumer: what a lost answer has reserved is its own.
            ("recover.orphans", "exclusive"),
        ] {
            config.set(key, value).unwrap();
        }
        let client = setting.client_of(&config);
        client.bind_event("ONCRMDEALADD").unwrap();
        Trial { setting, proxy, client }
    }

    pub fn signal(&self) {
        self.setting.emulator.publish("rest", "event_offline", json!([{"connector_id": "OneC", "count": 1}]));
    }

    /// Waits until so many records were announced by signals.
    pub fn hear(&self, records: u64) {
        let mut heard = 0;
        while heard < records {
            let notification = self.client.wait(LONG).unwrap();
            heard += notification.unwrap_or_else(|| panic!("{heard} of {records}: {}", self.setting.log())).count;
        }
        assert_eq!(heard, records, "{}", self.setting.log());
    }

    pub fn stats(&self) -> Value {
        serde_json::from_str(&self.client.stats()).unwrap()
    }
}
