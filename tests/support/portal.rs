//! A portal with an application, and clients of it: in this process or in another one.

use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use b24_emulator::{ADMINISTRATOR, Control, EMPLOYEE, Emulator, Options};
use b24events::client::{Client, Hooks};
use b24events::config::Config;
use serde_json::{Value, json};

use super::TestClock;
use super::waiting::{LONG, expect_check};

/// Hosts answer within milliseconds; a host that needs longer hangs.
const HOST_TIMEOUT: Duration = Duration::from_secs(30);
/// The connector of the clients that [`Portal::client`] makes.
const CONNECTOR: &str = "OneC";

pub struct Portal {
    pub emulator: Emulator,
    /// The clock of the clients that [`Portal::client_of`] makes.
    pub clock: Arc<TestClock>,
    /// Access tokens that these clients reported.
    pub tokens: Arc<Mutex<Vec<String>>>,
    log: Arc<Mutex<Vec<String>>>,
    /// A line for each request that the emulator has answered.
    answered: Mutex<Receiver<String>>,
}

impl Portal {
    pub fn start() -> Portal {
        Portal::with(options())
    }

    /// In the cloud or on-premise, as the environment says. Plans are the cloud's.
    pub fn with(options: Options) -> Portal {
        let is_of_a_plan = !options.offline_extended || !options.auth_connector_allowed;
        let on_premise = options.on_premise || (on_premise() && !is_of_a_plan);
        Portal::exactly(Options { on_premise, ..options })
    }

    /// As these options say, whatever the environment says. Who needs that says why.
    pub fn exactly(options: Options) -> Portal {
        let (sender, answered) = mpsc::channel();
        let sender = Mutex::new(sender);
        let note = move |line: &str| {
            // The test may be over while a poll is still answered.
            let _ = sender.lock().unwrap().send(line.to_owned());
        };
        let options = Options { access_log: Some(Box::new(note)), ..options };
        Portal {
            emulator: Emulator::start(options).expect("loopback has a free port"),
            clock: Arc::default(),
            tokens: Arc::default(),
            log: Arc::default(),
            answered: Mutex::new(answered),
        }
    }

    /// Passes the portal's address and the application's keys to a host in its environment.
    pub fn describe_to(&self, host: &mut Command) {
        let url = self.emulator.portal_url();
        let application = self.emulator.application();
        let tokens = self.emulator.issue_tokens(ADMINISTRATOR);
        host.envs([
            ("B24_PORTAL_URL", url),
            ("B24_AUTH_SERVER", self.emulator.auth_server_url()),
            ("B24_CLIENT_ID", application.client_id),
            ("B24_CLIENT_SECRET", application.client_secret),
            ("B24_MEMBER_ID", application.member_id),
            ("B24_APPLICATION_TOKEN", application.application_token),
            ("B24_ACCESS_TOKEN", tokens.access_token),
            ("B24_REFRESH_TOKEN", tokens.refresh_token),
            ("B24_AUTHORIZATION_CODE", self.emulator.authorization_code(ADMINISTRATOR)),
            ("B24_EMPLOYEE_TOKEN", self.emulator.issue_tokens(EMPLOYEE).access_token),
        ]);
    }

    /// Blocks until the portal has answered a request to this method. Counts from the last one that was waited for.
    pub fn wait_for(&self, method: &str) {
        let deadline = Instant::now() + HOST_TIMEOUT;
        let answered = self.answered.lock().unwrap();
        let mut seen = Vec::new();
        while let Ok(line) = answered.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(method) {
                return;
            }
            seen.push(line);
        }
        panic!("no {method} within {HOST_TIMEOUT:?}, but:\n{}", seen.join("\n"));
    }

    /// Keys and values of an administrator's client for a connector, with tokens of its own.
    pub fn keys(&self, connector: &str) -> Vec<(&'static str, String)> {
        let tokens = self.emulator.issue_tokens(ADMINISTRATOR);
        let application = self.emulator.application();
        vec![
            ("portal.url", self.emulator.portal_url()),
            ("auth.access_token", tokens.access_token),
            ("auth.refresh_token", tokens.refresh_token),
            ("auth.client_id", application.client_id),
            ("auth.client_secret", application.client_secret),
            ("auth.server", self.emulator.auth_server_url()),
            ("connector.id", connector.into()),
            ("log.level", "debug".into()),
        ]
    }

    /// The same for a client that does not limit its requests and logs little.
    pub fn unlimited_keys(&self, connector: &str) -> Vec<(&'static str, String)> {
        let mut keys = self.keys(connector);
        keys.retain(|(key, _)| *key != "log.level");
        keys.push(("rate.per_second", "0".into()));
        keys
    }

    /// The configuration of an administrator's client for `OneC`.
    pub fn config(&self) -> Config {
        config_of(&self.keys(CONNECTOR))
    }

    /// A client whose log lines and tokens this portal collects.
    pub fn client_of(&self, config: &Config) -> Client {
        let log = self.log.clone();
        let tokens = self.tokens.clone();
        let hooks = Hooks {
            log: Some(Arc::new(move |level, text| log.lock().unwrap().push(format!("{level:?} {text}")))),
            tokens: Some(Arc::new(move |pair| tokens.lock().unwrap().push(pair.access.expose().to_owned()))),
        };
        Client::with_clock(config, hooks, self.clock.clone()).unwrap()
    }

    /// A client with new deals bound, not connected yet.
    pub fn client(&self) -> Client {
        self.client_with(&[])
    }

    /// The same with further keys.
    pub fn client_with(&self, keys: &[(&str, &str)]) -> Client {
        let mut config = self.config();
        keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        let client = self.client_of(&config);
        client.bind_event("ONCRMDEALADD").unwrap();
        client
    }

    /// A connected client that has received the notification with which every connection begins.
    pub fn connected(&self) -> Client {
        self.connected_with(&[])
    }

    /// The same with further keys.
    pub fn connected_with(&self, keys: &[(&str, &str)]) -> Client {
        let client = self.client_with(keys);
        client.connect(LONG).unwrap();
        expect_check(&client);
        client
    }

    /// Somebody adds deals with these numbers in the portal.
    pub fn add_deals(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            self.emulator.make_event("ONCRMDEALADD", deal(number), "");
        }
    }

    /// Publishes what the portal publishes when records enter the queue of `OneC`.
    pub fn signal(&self, count: u32) {
        self.emulator.publish("rest", "event_offline", json!([{"connector_id": CONNECTOR, "count": count}]));
    }

    /// Makes one thing happen: an item of `POST /control`.
    pub fn control(&self, item: Value) {
        self.emulator.control(serde_json::from_value::<Control>(item).unwrap());
    }

    /// How many records the queue of `OneC` has, reserved ones included.
    pub fn queued(&self) -> usize {
        self.emulator.queue(CONNECTOR).len()
    }

    /// What the clients have logged, a line each.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

/// A portal in the cloud or on-premise, as the environment says.
pub fn options() -> Options {
    Options { on_premise: on_premise(), ..Options::default() }
}

/// Whether the tests are to run against an installation of the portal's owner: `B24_ON_PREMISE=1`.
pub fn on_premise() -> bool {
    is_set("B24_ON_PREMISE")
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

pub fn config_of(keys: &[(&str, String)]) -> Config {
    let mut config = Config::new();
    keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

/// The data of a deal's event.
pub fn deal(number: u32) -> Value {
    json!({"FIELDS": {"ID": number.to_string()}})
}
