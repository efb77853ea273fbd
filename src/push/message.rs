//! What a message says (protocol.md §3.2, §3.3).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::config::{Channel, ChannelKind};
use super::envelope::{Found, envelopes};
use super::recent::Recent;
use crate::portal::php;

/// A message of the push server as far as this library looks at it, or a call in JSON-RPC that carries one.
#[derive(Debug, Deserialize)]
struct Message<'a> {
    /// Position to resume from, on servers of version 3 and later.
    #[serde(default, deserialize_with = "php::text")]
    mid: String,
    /// With `time` the position to resume from, on servers of version 1 and 2.
    #[serde(default, deserialize_with = "php::text")]
    tag: String,
    #[serde(default, deserialize_with = "php::text")]
    time: String,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(default, deserialize_with = "php::text")]
    method: String,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// `params` of a call `incoming.message`.
#[derive(Debug, Deserialize)]
struct Incoming<'a> {
    #[serde(default, deserialize_with = "php::text")]
    mid: String,
    #[serde(borrow, default)]
    body: Option<Text<'a>>,
    #[serde(borrow, default)]
    user_params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dictionary: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Text<'a> {
    #[serde(default, deserialize_with = "php::text")]
    module_id: String,
    #[serde(default, deserialize_with = "php::text")]
    command: String,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// What a message means for this client.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Records came into the queue of this client's connector.
    EventOffline {
        /// How many, as the portal says.
        count: u64,
    },
    /// A channel has been replaced: reconnect with the new one.
    ChannelReplaced(Channel),
    /// The configuration is not valid any more: read it anew at once.
    ConfigNeeded,
    /// The configuration or the server goes away: read the configuration anew after a random pause.
    ConfigExpired,
    /// Of no concern: another module, another command, another connector.
    Foreign,
}

/// What an answer or a frame of a push server holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// What the messages mean, in their order; without those that came before.
    pub meanings: Vec<Meaning>,
    /// How many had come before.
    pub repeated: u64,
    /// `mid`s of what came by JSON-RPC, which is to be acknowledged.
    pub to_acknowledge: Vec<String>,
    /// Position of the last message: `mid`, and `tag` with `time`.
    pub mid: Option<String>,
    /// See `mid`.
    pub tag_time: Option<(String, String)>,
    /// How many envelopes could not be read.
    pub malformed: u64,
    /// Whether it is JSON: then it may hold something else than messages.
    pub is_json: bool,
}

/// Reads an answer or a frame: envelopes, a JSON array, or JSON-RPC.
pub fn decode(body: &[u8], connector_id: &str, recent: &mut Recent) -> Decoded {
    let start = body.trim_ascii_start().first();
    let mut decoded = Decoded { is_json: matches!(start, Some(b'[' | b'{')), ..Decoded::default() };
    let mut take = |found: Found<Message>| match found {
        Found::Message(message) => decoded.take(message, connector_id, recent),
        Found::Malformed => decoded.malformed += 1,
    };
    match start {
        Some(b'[') => match serde_json::from_slice::<Vec<&RawValue>>(body) {
            Ok(items) => items.iter().for_each(|item| take(parsed(item.get().as_bytes()))),
            Err(_) => take(Found::Malformed),
        },
        Some(b'{') => take(parsed(body)),
        _ => envelopes::<Message>(body).for_each(take),
    }
    decoded
}

fn parsed(json: &[u8]) -> Found<Message<'_>> {
    serde_json::from_slice(json).map_or(Found::Malformed, Found::Message)
}

impl Decoded {
    fn take(&mut self, message: Message, connector_id: &str, recent: &mut Recent) {
        if self.is_json && message.says_nothing() {
            return;
        }
        if message.method.is_empty() {
            let meaning = message.text.as_ref().map_or(Meaning::Foreign, |text| text.meaning(connector_id));
            self.add(message.mid, meaning, recent);
            if !message.time.is_empty() {
                self.tag_time = Some((message.tag, message.time));
            }
        } else if message.method == "incoming.message" {
            match message.params.map(|params| serde_json::from_str::<Incoming>(params.get())) {
                Some(Ok(incoming)) => {
                    if !incoming.mid.is_empty() {
                        self.to_acknowledge.push(incoming.mid.clone());
                    }
                    let meaning = incoming.meaning(connector_id);
                    self.add(incoming.mid, meaning, recent);
                }
                _ => self.malformed += 1,
            }
        }
    }

    fn add(&mut self, mid: String, meaning: Meaning, recent: &mut Recent) {
        if recent.is_new(&mid) {
            self.meanings.push(meaning);
        } else {
            self.repeated += 1;
        }
        if !mid.is_empty() {
            self.mid = Some(mid);
        }
    }
}

impl Message<'_> {
    /// Neither a message nor a call: the answer to a call, for instance.
    fn says_nothing(&self) -> bool {
        self.method.is_empty() && self.text.is_none() && self.mid.is_empty()
    }
}

impl Incoming<'_> {
    fn meaning(&self, connector_id: &str) -> Meaning {
        let Some(body) = &self.body else {
            return Meaning::Foreign;
        };
        // What is said to this user alone, and what the server had put aside because many messages share it.
        let merged = body.params.and_then(|params| {
            let mut all: Map<String, Value> = serde_json::from_str(params.get()).ok()?;
            for more in [self.user_params, self.dictionary].into_iter().flatten() {
                all.extend(serde_json::from_str::<Map<String, Value>>(more.get()).unwrap_or_default());
            }
            RawValue::from_string(Value::Object(all).to_string()).ok()
        });
        let params = merged.as_deref().or(body.params);
        Text { module_id: body.module_id.clone(), command: body.command.clone(), params }.meaning(connector_id)
    }
}

impl Text<'_> {
    /// What it means to a client of this connector.
    fn meaning(&self, connector_id: &str) -> Meaning {
        let params = self.params.map_or("null", RawValue::get);
        if self.module_id.eq_ignore_ascii_case("rest") && self.command == "event_offline" {
            return event_offline(params, connector_id);
        }
        if !self.module_id.eq_ignore_ascii_case("pull") {
            return Meaning::Foreign;
        }
        match self.command.as_str() {
            "channel_expire" => channel_expire(params),
            "config_expire" | "server_restart" => Meaning::ConfigExpired,
            _ => Meaning::Foreign,
        }
    }
}

fn event_offline(params: &str, connector_id: &str) -> Meaning {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default, deserialize_with = "php::text")]
        connector_id: String,
        #[serde(default, deserialize_with = "php::number")]
        count: u64,
    }
    match serde_json::from_str::<Vec<Entry>>(params) {
        Ok(entries) => {
            let mut ours = entries.iter().filter(|entry| entry.connector_id == connector_id).peekable();
            match ours.peek() {
                Some(_) => Meaning::EventOffline { count: ours.fold(0, |sum, entry| sum.saturating_add(entry.count)) },
                None => Meaning::Foreign,
            }
        }
        // It says that a queue grew, and it cannot be read whose. A look too many costs little.
        Err(_) => Meaning::EventOffline { count: 0 },
    }
}

fn channel_expire(params: &str) -> Meaning {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Expire {
        #[serde(deserialize_with = "php::text")]
        action: String,
        #[serde(deserialize_with = "php::map")]
        channel: Old,
        #[serde(deserialize_with = "php::map")]
        new_channel: Channel,
    }
    #[derive(Deserialize, Default)]
    struct Old {
        #[serde(default, rename = "type", deserialize_with = "php::text")]
        kind: String,
    }
    match serde_json::from_str::<Expire>(params) {
        Ok(Expire { action, channel, mut new_channel }) if action == "reconnect" && !new_channel.id.is_empty() => {
            if new_channel.kind == ChannelKind::Unknown {
                new_channel.kind = ChannelKind::of(&channel.kind);
            }
            Meaning::ChannelReplaced(new_channel)
        }
        _ => Meaning::ConfigNeeded,
    }
}

#[cfg(test)]
mod tests;
