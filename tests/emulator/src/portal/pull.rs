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
    /// `client_id` of the application: the type of its channels.
    kind: String,
    pub shared: Channel,
    private: Channel,
    /// The public id of the user's own channel, which is none of the application's.
    user_public_id: String,
}

impl Channels {
    pub fn new(push: Arc<PushServer>, ttl: Duration, client_id: String) -> Self {
        let shared = Channel::open(&push, ttl);
        let private = Channel::open(&push, ttl);
        Self { push, ttl, kind: client_id, shared, private, user_public_id: random::hex(32) }
    }

    /// When the next of the channels ends.
    pub fn next_end(&self) -> Instant {
        self.shared.expires.min(self.private.expires)
    }

    /// Replaces channels that have expired, and announces it in the old ones.
    pub fn renew_expired(&mut self) {
        let now = Instant::now();
        if self.shared.expires <= now {
            self.renew_shared(Some(ExpireAction::GetConfig));
        }
        if self.private.expires <= now {
            let old = std::mem::replace(&mut self.private, Channel::open(&self.push, self.ttl));
            let channel = json!({"id": self.push.signed(&old.id), "type": self.kind});
            let params = json!({"action": "get_config", "channel": channel});
            self.push.publish(&old.id, "pull", "channel_expire", &params);
            self.push.close_channel(&old.id, true);
        }
    }

    /// A new shared channel; the old one is refused from now on.
    pub fn renew_shared(&mut self, command: Option<ExpireAction>) {
        let old = std::mem::replace(&mut self.shared, Channel::open(&self.push, self.ttl));
        if let Some(action) = command {
            let (action, kind) = match action {
                ExpireAction::GetConfig => ("get_config", self.kind.as_str()),
                ExpireAction::Reconnect => ("reconnect", "shared"),
            };
            let params = json!({
                "action": action,
                "channel": {"id": self.push.signed(&old.id), "type": kind},
                "new_channel": self.json(&self.shared, kind),
            });
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
            let with_public_id = self.push.settings.version >= 4;
            let public_id = if with_public_id { self.push.signed_public(&channel.public_id) } else { String::new() };
            json.insert("id".to_owned(), json!(self.push.signed_private(&channel.id, &channel.public_id)));
            json.insert("public_id".to_owned(), json!(public_id));
        } else {
            json.insert("id".to_owned(), json!(self.push.signed(&channel.id)));
        }
        json.insert("start".to_owned(), json!(time::iso(channel.start)));
        json.insert("end".to_owned(), json!(time::iso(channel.end)));
        json.insert("type".to_owned(), json!(kind));
        Value::Object(json)
    }

    /// The user's own public channel; older push servers have none, and PHP says `false`.
    fn public_channels(&self, user: u32) -> Value {
        if self.push.settings.version < 4 {
            return json!(false);
        }
        let signed = self.push.signed_public(&self.user_public_id);
        let own = json!({
            "user_id": user,
            "public_id": self.user_public_id,
            "signature": signed.rsplit_once('.').map_or("", |(_, signature)| signature),
            "start": time::iso(self.private.start),
            "end": time::iso(self.private.end),
        });
        [(user.to_string(), own)].into_iter().collect()
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
    /// What an application's channel says: get a new configuration.
    GetConfig,
    /// What the portal's own shared channel says: continue with the new channel, which the message carries.
    Reconnect,
}

/// Any values of CACHE and REOPEN are accepted, and change nothing: PHP has no use for them any more.
pub fn config_get(portal: &mut Portal, caller: &Caller) -> Outcome {
    require_application(caller)?;
    if !portal.conditions.push_server {
        return Err(RestError::push_server_not_configured());
    }
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
    // On-premise the configuration itself does not end (`config_ttl` is 0); the token of version 5 does.
    if settings.version >= if portal.on_premise { 5 } else { 4 } {
        config.insert("exp".to_owned(), json!(channels.end()));
    }
    config.insert("publicChannels".to_owned(), channels.public_channels(caller.user));
    Ok(Value::Object(config).into())
}

fn server(portal: &Portal) -> Value {
    let settings = &portal.channels.push.settings;
    let address = &portal.address;
    let secure = match portal.spelling {
        ConfigSpelling::Server => "long_pooling_secure",
        ConfigSpelling::Document => "long_polling_secure",
    };
    let path = if portal.on_premise { "/bitrix" } else { "" };
    let publish = if portal.on_premise { "pubweb" } else { "pub" };
    let mut server = Map::new();
    let mut put = |name: &str, value: Value| server.insert(name.to_owned(), value);
    put("version", json!(settings.version));
    put("server_enabled", json!(true));
    put("mode", json!(if settings.client_id.is_some() { "shared" } else { "personal" }));
    put("hostname", json!(address));
    // The emulator has no TLS. The secure addresses are the plain ones, so that a client may prefer either.
    put("long_polling", json!(format!("http://{address}{path}/sub/")));
    put(secure, json!(format!("http://{address}{path}/sub/")));
    put("websocket_enabled", json!(settings.websocket));
    put("websocket", json!(format!("ws://{address}{path}/subws/")));
    put("websocket_secure", json!(format!("ws://{address}{path}/subws/")));
    put("publish_enabled", json!(false));
    put("publish", json!(format!("http://{address}{path}/{publish}/")));
    put("publish_secure", json!(format!("http://{address}{path}/{publish}/")));
    put("config_timestamp", json!(0));
    if let (Some(id), ConfigSpelling::Document) = (&settings.client_id, portal.spelling) {
        put("clientId", json!(id));
    }
    Value::Object(server)
}

fn require_application(caller: &Caller) -> Result<(), RestError> {
    caller.require_application().map_err(|_| RestError::application_authorization_only())
}

pub fn event_add(portal: &mut Portal, caller: &Caller, params: &Params) -> Outcome {
    require_application(caller)?;
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
    if to_user > 0 && portal.conditions.push_server {
        portal.channels.push.publish(&portal.channels.private.id, &module_id, &command, message);
    } else {
        portal.publish(&module_id, &command, message);
    }
    Ok(json!(true).into())
}
