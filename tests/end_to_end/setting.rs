//! A portal with an application, and clients of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use b24_emulator::{ADMINISTRATOR, Control, Emulator, Options};
use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;
use b24events::config::Config;
use b24events::delivery::Batch;
use b24events::notify::Notification;
use serde_json::{Value, json};

/// Long enough for anything that happens at all, even on a busy machine.
pub const LONG: Timeout = Timeout::After(Duration::from_secs(30));
pub const AT_ONCE: Timeout = Timeout::After(Duration::ZERO);

/// A portal in which the connector `OneC` is told of new deals.
pub struct Setting {
    pub emulator: Emulator,
    pub log: Arc<Mutex<Vec<String>>>,
    pub tokens: Arc<Mutex<Vec<String>>>,
}

impl Setting {
    pub fn new() -> Setting {
        Setting::with(Options::default())
    }

    pub fn with(options: Options) -> Setting {
        let emulator = Emulator::start(options).expect("a free port on loopback");
        Setting { emulator, log: Arc::default(), tokens: Arc::default() }
    }

    /// The configuration of an administrator's client for `OneC`.
    pub fn config(&self) -> Config {
        let tokens = self.emulator.issue_tokens(ADMINISTRATOR);
        let application = self.emulator.application();
        let mut config = Config::new();
        for (key, value) in [
            ("portal.url", self.emulator.portal_url()),
            ("auth.access_token", tokens.access_token),
            ("auth.refresh_token", tokens.refresh_token),
            ("auth.client_id", application.client_id),
            ("auth.client_secret", application.client_secret),
            ("auth.server", self.emulator.portal_url()),
            ("connector.id", "OneC".into()),
            ("log.level", "debug".into()),
        ] {
            config.set(key, &value).unwrap();
        }
        config
    }

    pub fn client_of(&self, config: &Config) -> Client {
        let log = self.log.clone();
        let tokens = self.tokens.clone();
        let hooks = Hooks {
            log: Some(Arc::new(move |level, text| log.lock().unwrap().push(format!("{level:?} {text}")))),
            tokens: Some(Arc::new(move |pair| tokens.lock().unwrap().push(pair.access.expose().to_owned()))),
        };
        Client::new(config, hooks).unwrap()
    }

    /// A client that is told of new deals and not connected yet.
    pub fn client(&self) -> Client {
        let client = self.client_of(&self.config());
        client.bind_event("ONCRMDEALADD").unwrap();
        client
    }

    /// A client that is connected and has taken the notification with which every connection begins.
    pub fn connected(&self) -> Client {
        let client = self.client();
        client.connect(LONG).unwrap();
        look(&client);
        client
    }

    /// Somebody makes deals with these numbers in the portal.
    pub fn deals(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.emulator.make_event("ONCRMDEALADD", deal(number), "");
        }
    }

    pub fn control(&self, items: Value) {
        let items: Vec<Control> = serde_json::from_value(json!([items])).unwrap();
        items.into_iter().for_each(|item| self.emulator.control(item));
    }

    /// The records in OneC's queue: none, reserved or not.
    pub fn queued(&self) -> usize {
        self.emulator.queue("OneC").len()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

pub fn deal(number: u32) -> Value {
    json!({"FIELDS": {"ID": number.to_string()}})
}

/// The next notification must be one that the library made by itself.
pub fn look(client: &Client) {
    let own = Notification { count: 0, signalled: false };
    assert_eq!(client.wait(LONG).unwrap(), Some(own));
}

/// The numbers of the deals in a batch.
pub fn numbers(batch: &mut Batch) -> Vec<u32> {
    let json: Value = serde_json::from_str(&batch.detach_json()).unwrap();
    let records = json["events"].as_array().unwrap();
    records.iter().map(|record| record["EVENT_DATA"]["FIELDS"]["ID"].as_str().unwrap().parse().unwrap()).collect()
}

/// Waits for something that another thread brings about.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}
