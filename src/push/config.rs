//! The configuration of the push server: the answer of `pull.application.config.get` (docs/protocol.md §3.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::config::{Address, PlainHttp};
use crate::error::{Error, Result};
use crate::portal::php;
use crate::portal::{Portal, Repeat};
use crate::secret::Secret;

/// The kind of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChannelKind {
    /// The channel of the user.
    Private,
    /// The channel of the application, which carries `event_offline`.
    Shared,
    /// Not stated.
    #[default]
    Unknown,
}

impl ChannelKind {
    /// Reads the `type` of a channel.
    pub fn from_type(text: &str) -> ChannelKind {
        match text {
            "private" => ChannelKind::Private,
            "shared" => ChannelKind::Shared,
            _ => ChannelKind::Unknown,
        }
    }
}

/// A channel. Anyone who knows its id can listen to it, so the id is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Channel {
    /// `id.signature`, from version 4 also `id:public_id.signature`.
    #[serde(default = "no_id")]
    pub id: Secret,
    /// The kind.
    #[serde(default, rename = "type", deserialize_with = "kind")]
    pub kind: ChannelKind,
    /// When it expires, in seconds since 1970 by the server's clock; 0 if not stated.
    #[serde(default, rename = "end", deserialize_with = "php::time")]
    pub expires: u64,
}

impl Default for Channel {
    fn default() -> Channel {
        Channel { id: no_id(), kind: ChannelKind::Unknown, expires: 0 }
    }
}

fn no_id() -> Secret {
    Secret::new("")
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ChannelKind, D::Error> {
    php::text(deserializer).map(|text| ChannelKind::from_type(&text))
}

/// Where and how to subscribe.
#[derive(Clone, Debug)]
pub struct PushConfig {
    version: u64,
    long_polling: Address,
    /// The address, or why there is none.
    websocket: Result<Address, String>,
    client_id: Secret,
    /// Takes the place of the channels on servers of version 5 and later.
    token: Secret,
    /// When the whole configuration expires; 0 if not stated.
    expires: u64,
    private: Option<Channel>,
    shared: Option<Channel>,
    server_time: Option<u64>,
}

/// Where to resume a subscription. Servers of version 3 and later resume by `mid`, older ones by `tag` and `time`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The `mid` of the last message.
    pub mid: Option<String>,
    /// The `tag` and `time` of the last message.
    pub tag_time: Option<(String, String)>,
}

impl Position {
    /// A server sends some thirty bytes. A position that does not fit into the head of a request would make every
    /// later subscription fail.
    const MAX_BYTES: usize = 256;

    /// Moves to where `next` is; a part of it that is `None` stays as it was. Without a usable position the
    /// subscription has to start anew.
    pub fn advance(&mut self, next: Position) {
        let tag_time = next.tag_time.iter().flat_map(|(tag, time)| [tag, time]);
        if next.mid.iter().chain(tag_time).any(|part| part.len() > Position::MAX_BYTES) {
            *self = Position::default();
            return;
        }
        self.mid = next.mid.or(self.mid.take());
        self.tag_time = next.tag_time.or(self.tag_time.take());
    }
}

impl PushConfig {
    /// Gets the configuration from the portal. `reopen` asks for new channels in place of those the portal remembers.
    pub fn get(portal: &Portal, reopen: bool, plain_http: PlainHttp) -> Result<PushConfig> {
        let flag = |on: bool| if on { "Y" } else { "N" };
        let params = serde_json::json!({"CACHE": flag(!reopen), "REOPEN": flag(reopen)});
        // The listener has its own rule for retries and reports each failure to the callers that wait in `connect`.
        let answer = portal.call("pull.application.config.get", &params, Repeat::No)?;
        let config = PushConfig::parse(answer.result(), plain_http)?;
        Ok(config.with_server_time(server_time(&answer.into_text())))
    }

    /// The same configuration, answered at this time of the server's clock.
    pub fn with_server_time(self, server_time: Option<u64>) -> PushConfig {
        PushConfig { server_time, ..self }
    }

    /// Parses the `result` of `pull.application.config.get`, in either spelling.
    pub fn parse(json: &str, plain_http: PlainHttp) -> Result<PushConfig> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Answer {
            #[serde(deserialize_with = "php::map")]
            server: Server,
            #[serde(deserialize_with = "php::map")]
            channels: Channels,
            #[serde(rename = "clientId", deserialize_with = "php::text")]
            client_id: String,
            #[serde(deserialize_with = "php::text")]
            jwt: String,
            #[serde(deserialize_with = "php::time")]
            exp: u64,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Server {
            #[serde(deserialize_with = "php::number")]
            version: u64,
            #[serde(deserialize_with = "php::text")]
            long_polling: String,
            // The first spelling is what servers send, the second is what the vendor documents.
            #[serde(deserialize_with = "php::text")]
            long_pooling_secure: String,
            #[serde(deserialize_with = "php::text")]
            long_polling_secure: String,
            #[serde(deserialize_with = "php::text")]
            websocket_enabled: String,
            #[serde(deserialize_with = "php::text")]
            websocket: String,
            #[serde(deserialize_with = "php::text")]
            websocket_secure: String,
            #[serde(rename = "clientId", deserialize_with = "php::text")]
            client_id: String,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Channels {
            #[serde(deserialize_with = "php::map")]
            private: Channel,
            #[serde(deserialize_with = "php::map")]
            shared: Channel,
        }
        // The error text of serde could quote a channel id.
        let answer: Answer = serde_json::from_str(json).map_err(|_| invalid("cannot be read"))?;
        let server = answer.server;
        let address = [server.long_pooling_secure, server.long_polling_secure, server.long_polling]
            .into_iter()
            .find(|address| !address.is_empty())
            .ok_or_else(|| {
                invalid(
                    "has no address for long polling; check that the push server is switched on in the portal's \
                     settings",
                )
            })?;
        let long_polling = Address::parse(&address, plain_http)
            .map_err(|text| invalid(&format!("has an unusable address: {text}")))?;
        let websocket = match [server.websocket_secure, server.websocket].into_iter().find(|url| !url.is_empty()) {
            Some(url) if is_on(&server.websocket_enabled) => parse_websocket_address(&url, plain_http),
            _ => Err("does not offer WebSocket".into()),
        };
        let token = if server.version >= 5 { answer.jwt } else { String::new() };
        let present = |channel: Channel| Some(channel).filter(|channel| !channel.id.is_empty());
        let config = PushConfig {
            version: server.version,
            long_polling,
            websocket,
            token: Secret::new(token),
            expires: answer.exp,
            server_time: None,
            client_id: Secret::new(
                [answer.client_id, server.client_id].into_iter().find(|id| !id.is_empty()).unwrap_or_default(),
            ),
            private: present(answer.channels.private),
            shared: present(answer.channels.shared),
        };
        if config.shared.is_none() && config.private.is_none() {
            return Err(invalid("has no channel; check that the application has the scope pull"));
        }
        Ok(config)
    }

    /// Replaces the channel of the same kind. Returns false if that is not possible: the kind is unknown, or a token
    /// takes the place of the channels.
    pub fn replace_channel(&mut self, channel: Channel) -> bool {
        if !self.token.is_empty() {
            return false;
        }
        match channel.kind {
            ChannelKind::Private => self.private = Some(channel),
            ChannelKind::Shared => self.shared = Some(channel),
            ChannelKind::Unknown => return false,
        }
        true
    }

    /// When the first part of it expires, in seconds since 1970 by the server's clock.
    pub fn expires(&self) -> Option<u64> {
        let channels = self.channels().map(|channel| channel.expires);
        channels.chain([self.expires]).filter(|time| *time > 0).min()
    }

    /// The server's clock when it sent this configuration.
    pub fn server_time(&self) -> Option<u64> {
        self.server_time
    }

    /// Fails if the server offers no WebSocket; the error says why.
    pub fn require_websocket(&self) -> Result<()> {
        let unavailable = |text: &String| {
            Error::Config(format!(
                "push.transport=websocket is not possible: the push server's configuration {text}; \
                 set push.transport=auto"
            ))
        };
        self.websocket.as_ref().map(drop).map_err(unavailable)
    }

    /// Identifies the subscription. A configuration with the same identity as the previous one needs no new
    /// subscription.
    pub fn identity(&self) -> Secret {
        // Each answer has another token; tokens that expire at the same time permit the same.
        let exp = if self.token.is_empty() { 0 } else { self.expires };
        let websocket = self.websocket.as_ref().map_or("", |address| address.origin());
        let (origin, client) = (self.long_polling.origin(), self.client_id.expose());
        Secret::new(format!("{websocket} {origin} {client} {exp} {}", self.channel_ids()))
    }

    fn channels(&self) -> impl Iterator<Item = &Channel> {
        [&self.private, &self.shared].into_iter().flatten()
    }

    fn channel_ids(&self) -> String {
        self.channels().map(|channel| channel.id.expose()).collect::<Vec<_>>().join("/")
    }

    /// The origin of the push server, for texts.
    pub fn origin(&self) -> &str {
        self.long_polling.origin()
    }

    /// The version of the push server.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a server of this version can resume from `position`.
    pub fn resumes_from(&self, position: &Position) -> bool {
        if self.resumes_by_tag() { position.tag_time.is_some() } else { position.mid.is_some() }
    }

    fn resumes_by_tag(&self) -> bool {
        matches!(self.version, 1 | 2)
    }

    /// The address to poll. It contains the channel ids, so it is a secret.
    pub fn long_polling_url(&self, position: &Position) -> Secret {
        self.subscription_url(&self.long_polling, position)
    }

    /// The address of the WebSocket, with `http` in place of `ws`; `None` if the server has none.
    pub fn websocket_url(&self, position: &Position) -> Option<Secret> {
        self.websocket.as_ref().ok().map(|address| self.subscription_url(address, position))
    }

    fn subscription_url(&self, address: &Address, position: &Position) -> Secret {
        let mut url = format!("{}{}?", address.origin(), address.path());
        if self.token.is_empty() {
            url.push_str(&format!("CHANNEL_ID={}", escape(&self.channel_ids())));
        } else {
            url.push_str(&format!("token={}", escape(self.token.expose())));
        }
        let mut add = |name: &str, value: &str| {
            url.push_str(&format!("&{name}={}", escape(value)));
        };
        if !self.client_id.is_empty() {
            add("clientId", self.client_id.expose());
        }
        if self.version >= 5 {
            add("jsonRpc", "true");
        }
        if self.resumes_by_tag() {
            if let Some((tag, time)) = &position.tag_time {
                add("tag", tag);
                add("time", time);
            }
        } else if let Some(mid) = &position.mid {
            add("mid", mid);
        }
        Secret::new(url)
    }
}

fn is_on(flag: &str) -> bool {
    !matches!(flag, "" | "0" | "N" | "n" | "false")
}

/// Parses a WebSocket address, which is an HTTP address with `ws` in place of `http`.
fn parse_websocket_address(url: &str, plain_http: PlainHttp) -> Result<Address, String> {
    let http = url.strip_prefix("ws").map_or_else(|| url.to_owned(), |rest| format!("http{rest}"));
    Address::parse(&http, plain_http).map_err(|text| format!("has an unusable WebSocket address: {text}"))
}

/// When the portal answered, by its own clock.
fn server_time(answer: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct WithTime {
        #[serde(default, deserialize_with = "php::map")]
        time: Time,
    }
    #[derive(Deserialize, Default)]
    struct Time {
        #[serde(default, deserialize_with = "php::number")]
        finish: u64,
    }
    let answer: WithTime = serde_json::from_str(answer).ok()?;
    Some(answer.time.finish).filter(|unix| *unix > 0)
}

fn invalid(text: &str) -> Error {
    Error::protocol(format!("the push server's configuration (pull.application.config.get) {text}"))
}

/// The characters to encode in the query. Spaces become `%20`, because push servers do not read `+` as a space. The `/`
/// between two channel ids stays, as the vendor's clients send it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

fn escape(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

#[cfg(test)]
mod tests;
