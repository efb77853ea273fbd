//! What a message says (protocol.md §3.2, §3.3).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::channel::{Channel, ChannelKind};
use super::envelope::{Found, envelopes};
use crate::portal::php;

/// A message of the push server as far as this library looks at it.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// Position to resume from, on servers of version 3 and later.
    #[serde(default, deserialize_with = "php::text")]
    pub mid: String,
    /// With `time` the position to resume from, on servers of version 1 and 2.
    #[serde(default, deserialize_with = "php::text")]
    pub tag: String,
    /// See `tag`.
    #[serde(default, deserialize_with = "php::text")]
    pub time: String,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
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

/// What an answer of a push server holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// What the messages mean, in their order.
    pub meanings: Vec<Meaning>,
    /// Position of the last message: `mid`, and `tag` with `time`.
    pub mid: Option<String>,
    /// See `mid`.
    pub tag_time: Option<(String, String)>,
    /// How many envelopes could not be read.
    pub malformed: u64,
}

/// Reads the body of a long poll.
pub fn decode(body: &[u8], connector_id: &str) -> Decoded {
    let mut decoded = Decoded::default();
    for found in envelopes::<Message>(body) {
        match found {
            Found::Message(message) => {
                decoded.meanings.push(message.meaning(connector_id));
                if !message.mid.is_empty() {
                    decoded.mid = Some(message.mid);
                }
                if !message.time.is_empty() {
                    decoded.tag_time = Some((message.tag, message.time));
                }
            }
            Found::Malformed => decoded.malformed += 1,
        }
    }
    decoded
}

impl Message<'_> {
    /// What the message means to a client of this connector.
    pub fn meaning(&self, connector_id: &str) -> Meaning {
        let Some(text) = &self.text else {
            return Meaning::Foreign;
        };
        let params = text.params.map_or("null", RawValue::get);
        if text.module_id.eq_ignore_ascii_case("rest") && text.command == "event_offline" {
            return event_offline(params, connector_id);
        }
        if !text.module_id.eq_ignore_ascii_case("pull") {
            return Meaning::Foreign;
        }
        match text.command.as_str() {
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
mod tests {
    use super::*;

    fn meaning(text: &str) -> Meaning {
        let body = format!(r##"#!NGINXNMS!#{{"id":1,"mid":"5","text":{text}}}#!NGINXNME!#"##);
        decode(body.as_bytes(), "OneC").meanings.pop().unwrap()
    }

    #[test]
    fn only_our_connector_counts() {
        let text = r#"{"module_id":"REST","command":"event_offline","params":[{"connector_id":"","count":9},{"connector_id":"OneC","count":"2"},{"connector_id":"OneC","count":3}]}"#;
        assert_eq!(meaning(text), Meaning::EventOffline { count: 5 });
        assert_eq!(meaning(&text.replace("OneC", "other")), Meaning::Foreign);
    }

    #[test]
    fn unreadable_params_of_the_signal_ring_all_the_same() {
        for params in ["{}", "7", "null", r#"["x"]"#] {
            let text = format!(r#"{{"module_id":"rest","command":"event_offline","params":{params}}}"#);
            assert_eq!(meaning(&text), Meaning::EventOffline { count: 0 }, "{params}");
        }
        assert_eq!(meaning(r#"{"module_id":"rest","command":"event_offline","params":[]}"#), Meaning::Foreign);
    }

    #[test]
    fn other_modules_and_odd_shapes_are_foreign() {
        for text in [
            r#"{"module_id":"main","command":"event_offline","params":[]}"#,
            r#"{"module_id":"rest","command":"other"}"#,
            r#"{"module_id":7,"command":null,"params":{"a":[1]}}"#,
            "{}",
            "null",
        ] {
            assert_eq!(meaning(text), Meaning::Foreign, "{text}");
        }
    }

    #[test]
    fn control_messages() {
        let expire =
            |params: &str| meaning(&format!(r#"{{"module_id":"pull","command":"channel_expire","params":{params}}}"#));
        let replaced = expire(
            r#"{"action":"reconnect","channel":{"id":"a.b","type":"shared"},"new_channel":{"id":"c.d","start":1795485144,"end":"2026-11-24T21:57:48+02:00"}}"#,
        );
        match replaced {
            Meaning::ChannelReplaced(channel) => {
                assert_eq!((channel.id.expose(), channel.kind), ("c.d", ChannelKind::Shared));
            }
            other => panic!("{other:?}"),
        }
        for params in [r#"{"action":"get_config"}"#, "[]", "null", r#"{"action":"reconnect"}"#, r#"{"action":"new"}"#] {
            assert_eq!(expire(params), Meaning::ConfigNeeded, "{params}");
        }
        for command in ["config_expire", "server_restart"] {
            assert_eq!(meaning(&format!(r#"{{"module_id":"pull","command":"{command}"}}"#)), Meaning::ConfigExpired);
        }
    }
}
