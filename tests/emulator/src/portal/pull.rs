//! `pull.application.*`: where the application listens, and messages that it sends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::php::value::{Map, Value, json};
use serde::{Deserialize, Serialize};

use super::Portal;
use super::call::{Caller, Outcome, Params};
use super::error::RestError;
use crate::push::PushServer;
use crate::{php, random, time};

/// The spelling of the configuration where real servers and the vendor's documentation differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigSpelling {
    /// `long_pooling_secure`, `clientId` at the top.
    #[default]
    Server,
    /// `long_polling_secure`, `clientId` inside `server`.
    Document,
}

#[derive(Clone, Debug)]
pub struct Channel {
    pub id: String,
    public_id: String,
    start: i64,
    end: i64,
    expires: Instant,
}

/// Seconds between the moment when new channels exist and the end that subscribers see, which leaves time to move:
/// 43,205 s for channels of 12 hours (docs/protocol.md §3.1).
const STATED_LATER: i64 = 5;

/// The application's channels.
pub struct Channels {
    push: Arc<PushServer>,
    ttl: Duration,
    pub shared: Channel,
    private: Channel,
}

impl Channels {
    pub fn new(push: Arc<PushServer>, ttl: Duration) -> Self {
        let shared = Channel::open(&push, ttl);
        let private = Channel::open(&push, ttl);
        Self { push, ttl, shared, private }
    }

    /// When the next of the channels ends.
    pub fn next_end(&self) -> Instant {
        self.shared.expires.min(self.private.expires)
    }

    /// Replaces channels that have expired, and announces it in the old ones.
    pub fn renew_expired(&mut self) {
        let now = Instant::now();
        if self.shared.expires <= now {
            self.renew_shared(Some(ExpireAction::Reconnect));
        }
        if self.private.expires <= now {
            let old = std::mem::replace(&mut self.private, Channel::open(&self.push, self.ttl));
            self.push.close_channel(&old.id, true);
        }
    }

    /// A new shared channel; the old one is refused from now on.
    pub fn renew_shared(&mut self, command: Option<ExpireAction>) {
        let old = std::mem::replace(&mut self.shared, Channel::open(&self.push, self.ttl));
        if let Some(action) = command {
            let params = match action {
                ExpireAction::Reconnect => json!({
                    "action": "reconnect",
                    "channel": {"id": self.push.signed(&old.id), "type": "shared"},
                    "new_channel": self.json(&self.shared, "shared"),
                }),
                ExpireAction::GetConfig => json!({"action": "get_config", "channel": {"type": "shared"}}),
            };
            self.push.publish(&old.id, "pull", "channel_expire", &params);
        }
        self.push.close_channel(&old.id, command.is_some());
    }

    /// When the first of the channels ends, in unix seconds.
    fn end(&self) -> i64 {
        self.shared.end.min(self.private.end)
    }

    fn token(&self, user: u32) -> String {
        self.push.token(&[&self.shared.id, &self.private.id], user, self.end())
    }

    fn json(&self, channel: &Channel, kind: &str) -> Value {
        let mut json = Map::new();
        if kind == "private" {
            json.insert("id".to_owned(), json!(self.push.signed_private(&channel.id, &channel.public_id)));
            if self.push.settings.version >= 4 {
                json.insert("public_id".to_owned(), json!(self.push.signed_public(&channel.public_id)));
            }
        } else {
            json.insert("id".to_owned(), json!(self.push.signed(&channel.id)));
        }
        json.insert("start".to_owned(), json!(time::iso(channel.start)));
        json.insert("end".to_owned(), json!(time::iso(channel.end)));
        json.insert("type".to_owned(), json!(kind));
        Value::Object(json)
    }
}

impl Channel {
    fn open(push: &PushServer, ttl: Duration) -> Self {
        let start = time::unix_now();
        Self {
            id: push.open_channel(),
            public_id: random::hex(32),
            start,
            end: start.saturating_add(time::seconds(ttl)).saturating_add(STATED_LATER),
            expires: time::end_of(ttl),
        }
    }
}

/// What `channel_expire` asks the subscribers to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpireAction {
    /// Continue with the new channel, which the message carries.
    Reconnect,
    GetConfig,
}

/// CACHE and REOPEN change nothing here: the emulator caches nothing and always replaces expired channels.
pub fn config_get(portal: &mut Portal, caller: &Caller) -> Outcome {
    caller.require_application()?;
    portal.channels.renew_expired();
    let mut config = Map::new();
    config.insert("server".to_owned(), server(portal));
    config.insert("api".to_owned(), json!({"revision_web": 19, "revision_mobile": 3}));
    let channels = &portal.channels;
    config.insert(
        "channels".to_owned(),
        json!({
            "shared": channels.json(&channels.shared, "shared"),
            "private": channels.json(&channels.private, "private"),
        }),
    );
    let settings = &channels.push.settings;
    if let (Some(id), ConfigSpelling::Server) = (&settings.client_id, portal.spelling) {
        config.insert("clientId".to_owned(), json!(id));
    }
    if settings.version >= 5 {
        config.insert("jwt".to_owned(), json!(channels.token(caller.user)));
    }
    if settings.version >= 4 {
        config.insert("exp".to_owned(), json!(channels.end()));
    }
    config.insert("publicChannels".to_owned(), json!([]));
    Ok(Value::Object(config).into())
}

fn server(portal: &Portal) -> Value {
    let settings = &portal.channels.push.settings;
    let address = &portal.address;
    let secure = match portal.spelling {
        ConfigSpelling::Server => "long_pooling_secure",
        ConfigSpelling::Document => "long_polling_secure",
    };
    let mut server = Map::new();
    let mut put = |name: &str, value: Value| server.insert(name.to_owned(), value);
    put("version", json!(settings.version));
    put("server_enabled", json!(true));
    put("mode", json!(if settings.client_id.is_some() { "shared" } else { "personal" }));
    put("hostname", json!(address));
    // The emulator has no TLS. The secure addresses are the plain ones, so that a client may prefer either.
    put("long_polling", json!(format!("http://{address}/sub/")));
    put(secure, json!(format!("http://{address}/sub/")));
    put("websocket_enabled", json!(settings.websocket));
    put("websocket", json!(format!("ws://{address}/subws/")));
    put("websocket_secure", json!(format!("ws://{address}/subws/")));
    put("publish_enabled", json!(false));
    put("publish", json!(format!("http://{address}/pub/")));
    put("publish_secure", json!(format!("http://{address}/pub/")));
    put("config_timestamp", json!(0));
    if let (Some(id), ConfigSpelling::Document) = (&settings.client_id, portal.spelling) {
        put("clientId", json!(id));
    }
    Value::Object(server)
}

pub fn event_add(portal: &mut Portal, caller: &Caller, params: &Params) -> Outcome {
    caller.require_application()?;
    let to_user = params.get("user_id").map(php::int).unwrap_or_default();
    if params.get("user_id").is_some() && !caller.is_admin && to_user != i64::from(caller.user) {
        return Err(RestError::bad_request(
            "USER_ID_ACCESS_ERROR",
            "Only admin can send notifications to other channels",
        ));
    }
    let module_id = params.get("module_id").map_or("application".to_owned(), |_| params.text("module_id"));
    let is_module = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
    if !module_id.chars().all(is_module) {
        return Err(RestError::bad_request("MODULE_ID_ERROR", "Module ID format error"));
    }
    let command = params.text("command");
    let is_command = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '|' | '.' | '-');
    if command.is_empty() || !command.chars().all(is_command) {
        return Err(RestError::bad_request("COMMAND_ERROR", "Command format error"));
    }
    let nothing = json!([]);
    let message = params.get("params").unwrap_or(&nothing);
    if !message.is_array() {
        return Err(RestError::bad_request("PARAMS_ERROR", "Params format error"));
    }
    let channels = &portal.channels;
    let channel = if to_user > 0 { &channels.private } else { &channels.shared };
    channels.push.publish(&channel.id, &module_id, &command, message);
    Ok(json!(true).into())
}
