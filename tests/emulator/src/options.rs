//! How the portal behaves.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::portal::conditions::Conditions;

/// Called with one line per answered request.
pub type AccessLog = Box<dyn Fn(&str) + Send + Sync>;

/// Start from `Options::default()` and change what the test is about.
pub struct Options {
    /// A loopback address; port 0 means any free port.
    pub listen: SocketAddr,
    /// An installation of the portal's owner, not the cloud: no plans, no limits of load, a push server of its own at
    /// other addresses, and tokens only from the authorization server.
    pub on_premise: bool,
    pub conditions: Conditions,
    pub timing: Timing,
    /// `options[minTimeout]` of a handler is obeyed, as documented. PHP stores it and does not read it back.
    pub obey_min_timeout: bool,
    /// `server.version` of the push server: 1 to 5.
    pub push_version: u32,
    /// Whether many portals share the push server (as in the cloud): then subscriptions must carry `clientId`. Never
    /// on-premise.
    pub push_shared: bool,
    /// How long a poll waits for a message.
    pub hold: Duration,
    /// Whether the push server offers WebSockets; if not, the configuration says so and `/subws/` does not exist.
    pub websocket: bool,
    /// Between two pings of a WebSocket; zero for none.
    pub ping_interval: Duration,
    /// How long messages gather before they leave together in one frame; the recorded server takes 250 to 400 ms.
    pub gather: Duration,
    /// How long a WebSocket stays open after its channel has expired with a message: the client has this time to
    /// move.
    pub expire_grace: Duration,
    /// Whether the plan has `clear=0` (feature `rest_offline_extended`). On-premise it always is there.
    pub offline_extended: bool,
    /// Whether the plan has `auth_connector` (feature `rest_auth_connector`). On-premise it always is there.
    pub auth_connector_allowed: bool,
    /// Scopes of the application, separated by commas.
    pub scope: String,
    /// Lifetime of an access token.
    pub token_ttl: Duration,
    /// Lifetime of a channel. Then the portal creates a new one and announces it in the old one.
    pub channel_ttl: Duration,
    /// Whether handlers are called with an access token.
    pub handler_tokens: bool,
    /// How long every REST answer waits.
    pub delay: Duration,
    /// The leaky bucket; none by default.
    pub limits: Option<Limits>,
    /// Receives a line for every answered request.
    pub access_log: Option<AccessLog>,
}

/// How long things last that tests cannot wait for, or that are usually over at once.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Records are deleted this long after their last change.
    pub record_ttl: Duration,
    /// Between the moment when `event.offline.get` selects free records and the moment when it reserves them.
    pub reservation_race: Duration,
    /// How long `event.bind` holds its lock.
    pub binding: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { record_ttl: Duration::from_secs(2_952_000), reservation_race: Duration::ZERO, binding: Duration::ZERO }
    }
}

/// A leaky bucket: how many calls it holds and how many drain in a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub burst: u32,
    pub per_second: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            on_premise: false,
            conditions: Conditions::default(),
            timing: Timing::default(),
            obey_min_timeout: false,
            push_version: 4,
            push_shared: true,
            hold: Duration::from_secs(40),
            websocket: true,
            ping_interval: Duration::from_secs(40),
            gather: Duration::from_millis(20),
            expire_grace: Duration::from_secs(10),
            offline_extended: true,
            auth_connector_allowed: true,
            scope: "crm,pull,user_brief".to_owned(),
            token_ttl: Duration::from_secs(3600),
            channel_ttl: Duration::from_secs(43_200),
            handler_tokens: true,
            delay: Duration::ZERO,
            limits: None,
            access_log: None,
        }
    }
}
