//! What a message of the push server says (docs/protocol.md §3.2, §3.3).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::config::{Channel, ChannelKind};
use super::envelope::{Envelope, envelopes};
use super::recent::{Novelty, RecentMessages};
use crate::portal::php;

/// The parts of a message that this library uses, or a JSON-RPC call that carries a message.
#[derive(Debug, Deserialize)]
struct Message<'a> {
    /// The position to resume from, on servers of version 3 and later.
    #[serde(default, deserialize_with = "php::text")]
    mid: String,
    #[serde(default, deserialize_with = "php::text")]
    channel: String,
    /// The position to resume from together with `time`, on servers of version 1 and 2.
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

/// The `params` of the JSON-RPC call `incoming.message`.
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

/// What a message means to this client.
#[derive(Debug, PartialEq, Eq)]
pub enum PushEvent {
    /// The queue of this client's connector has new records.
    EventOffline {
        /// How many, according to the portal.
        count: u64,
    },
    /// A channel was replaced: reconnect with the new one.
    ChannelReplaced(Channel),
    /// The configuration is no longer valid: get a new one at once.
    ConfigNeeded,
    /// The configuration has expired or the server is restarting: get a new configuration after a random pause.
    ConfigExpired,
    /// A message for another module or connector, or an unknown command.
    Unrelated,
}

/// The contents of an answer or a frame of the push server.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The messages in their order, without those received before.
    pub events: Vec<PushEvent>,
    /// How many messages were received before.
    pub repeated: u64,
    /// Whether a message is certain not to have been received before.
    pub is_news: bool,
    /// The `mid`s of messages that arrived by JSON-RPC and have to be acknowledged.
    pub to_acknowledge: Vec<String>,
    /// The `mid` of the last message.
    pub mid: Option<String>,
    /// The `tag` and `time` of the last message.
    pub tag_time: Option<(String, String)>,
    /// How many envelopes could not be read.
    pub malformed: u64,
    /// Whether this is JSON, which may contain something other than messages.
    pub is_json: bool,
}

/// Reads an answer or a frame: envelopes, a JSON array, or JSON-RPC.
pub fn decode(body: &[u8], connector_id: &str, recent: &mut RecentMessages) -> Decoded {
    let start = body.trim_ascii_start().first();
    let mut decoded = Decoded { is_json: matches!(start, Some(b'[' | b'{')), ..Decoded::default() };
    let mut add = |envelope: Envelope<Message>| match envelope {
        Envelope::Message(message) => decoded.add_message(message, connector_id, recent),
        Envelope::Malformed => decoded.malformed += 1,
    };
    match start {
        Some(b'[') => match serde_json::from_slice::<Vec<&RawValue>>(body) {
            Ok(items) => items.iter().for_each(|item| add(parse(item.get().as_bytes()))),
            Err(_) => add(Envelope::Malformed),
        },
        Some(b'{') => add(parse(body)),
        _ => envelopes::<Message>(body).for_each(add),
    }
    decoded
}

fn parse(json: &[u8]) -> Envelope<Message<'_>> {
    serde_json::from_slice(json).map_or(Envelope::Malformed, Envelope::Message)
}

impl Decoded {
    fn add_message(&mut self, message: Message, connector_id: &str, recent: &mut RecentMessages) {
        if self.is_json && message.is_other_json() {
            return;
        }
        if message.method.is_empty() {
            let event = message.text.as_ref().map_or(PushEvent::Unrelated, |text| text.event(connector_id));
            let identity = message.identity();
            self.add_event(&identity, message.mid, event, recent);
            if !message.time.is_empty() {
                self.tag_time = Some((message.tag, message.time));
            }
        } else if message.method == "incoming.message" {
            match message.params.map(|params| serde_json::from_str::<Incoming>(params.get())) {
                Some(Ok(incoming)) => {
                    if !incoming.mid.is_empty() {
                        self.to_acknowledge.push(incoming.mid.clone());
                    }
                    let event = incoming.event(connector_id);
                    self.add_event(&incoming.mid.clone(), incoming.mid, event, recent);
                }
                _ => self.malformed += 1,
            }
        }
    }

    fn add_event(&mut self, identity: &str, mid: String, event: PushEvent, recent: &mut RecentMessages) {
        let novelty = recent.insert(identity);
        self.is_news |= novelty == Novelty::New;
        match novelty {
            Novelty::New | Novelty::Unknown => self.events.push(event),
            Novelty::Repeated => self.repeated += 1,
        }
        if !mid.is_empty() {
            self.mid = Some(mid);
        }
    }
}

impl Message<'_> {
    /// Tells it from every other message: `mid`, or the position in its channel on servers of version 1 and 2. Empty if
    /// the server has sent neither.
    fn identity(&self) -> String {
        if !self.mid.is_empty() || self.tag.is_empty() || self.time.is_empty() {
            return self.mid.clone();
        }
        format!("{} {} {}", self.channel, self.tag, self.time)
    }

    /// Whether this is neither a message nor a call, but the answer to a call, for instance.
    fn is_other_json(&self) -> bool {
        self.method.is_empty() && self.text.is_none() && self.mid.is_empty()
    }
}

impl Incoming<'_> {
    fn event(&self, connector_id: &str) -> PushEvent {
        let Some(body) = &self.body else {
            return PushEvent::Unrelated;
        };
        // `user_params` are for this user only; `dictionary` holds what many messages share.
        let merged = body.params.and_then(|params| {
            let mut all: Map<String, Value> = serde_json::from_str(params.get()).ok()?;
            for addition in [self.user_params, self.dictionary].into_iter().flatten() {
                all.extend(serde_json::from_str::<Map<String, Value>>(addition.get()).unwrap_or_default());
            }
            RawValue::from_string(Value::Object(all).to_string()).ok()
        });
        let params = merged.as_deref().or(body.params);
        Text { module_id: body.module_id.clone(), command: body.command.clone(), params }.event(connector_id)
    }
}

impl Text<'_> {
    /// What it means to a client of this connector.
    fn event(&self, connector_id: &str) -> PushEvent {
        let params = self.params.map_or("null", RawValue::get);
        if self.module_id.eq_ignore_ascii_case("rest") && self.command == "event_offline" {
            return event_offline(params, connector_id);
        }
        if !self.module_id.eq_ignore_ascii_case("pull") {
            return PushEvent::Unrelated;
        }
        match self.command.as_str() {
            "channel_expire" => channel_expire(params),
            "config_expire" | "server_restart" => PushEvent::ConfigExpired,
            _ => PushEvent::Unrelated,
        }
    }
}

fn event_offline(params: &str, connector_id: &str) -> PushEvent {
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
                Some(_) => {
                    PushEvent::EventOffline { count: ours.fold(0, |sum, entry| sum.saturating_add(entry.count)) }
                }
                None => PushEvent::Unrelated,
            }
        }
        // Some queue has grown, but it cannot be read which one. An unnecessary check costs little.
        Err(_) => PushEvent::EventOffline { count: 0 },
    }
}

fn channel_expire(params: &str) -> PushEvent {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Expire {
        #[serde(deserialize_with = "php::text")]
        action: String,
        #[serde(deserialize_with = "php::map")]
        channel: OldChannel,
        #[serde(deserialize_with = "php::map")]
        new_channel: Channel,
    }
    #[derive(Deserialize, Default)]
    struct OldChannel {
        #[serde(default, rename = "type", deserialize_with = "php::text")]
        kind: String,
    }
    match serde_json::from_str::<Expire>(params) {
        Ok(Expire { action, channel, mut new_channel }) if action == "reconnect" && !new_channel.id.is_empty() => {
            if new_channel.kind == ChannelKind::Unknown {
                new_channel.kind = ChannelKind::from_type(&channel.kind);
            }
            PushEvent::ChannelReplaced(new_channel)
        }
        _ => PushEvent::ConfigNeeded,
    }
}

#[cfg(test)]
mod tests;
