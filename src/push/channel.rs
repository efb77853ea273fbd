//! Where to listen: the answer of `pull.application.config.get` (protocol.md §3.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::config::Address;
use crate::error::{Error, Result};
use crate::portal::php;
use crate::portal::{Portal, Repeat};
use crate::secret::Secret;

/// Which of the two channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChannelKind {
    /// The user's own.
    Private,
    /// The application's; `event_offline` comes here.
    Shared,
    /// Not said.
    #[default]
    Unknown,
}

impl ChannelKind {
    /// From the `type` of a channel.
    pub fn of(text: &str) -> ChannelKind {
        match text {
            "private" => ChannelKind::Private,
            "shared" => ChannelKind::Shared,
            _ => ChannelKind::Unknown,
        }
    }
}

/// A channel. Whoever knows its id can listen to it, so the id is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Channel {
    /// `id.signature`, from version 4 also `id:public_id.signature`.
    #[serde(default = "no_id")]
    pub id: Secret,
    /// Its kind.
    #[serde(default, rename = "type", deserialize_with = "kind")]
    pub kind: ChannelKind,
}

impl Default for Channel {
    fn default() -> Channel {
        Channel { id: no_id(), kind: ChannelKind::Unknown }
    }
}

fn no_id() -> Secret {
    Secret::new("")
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ChannelKind, D::Error> {
    php::text(deserializer).map(|text| ChannelKind::of(&text))
}

/// Where and how to subscribe.
#[derive(Clone, Debug)]
pub struct PushConfig {
    version: u64,
    long_polling: Address,
    client_id: Secret,
    private: Option<Channel>,
    shared: Option<Channel>,
}

/// Where a subscription goes on. A server of version 3 and later resumes by `mid`, an older one by `tag` and `time`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// `mid` of the last message.
    pub mid: Option<String>,
    /// `tag` and `time` of the last message.
    pub tag_time: Option<(String, String)>,
}

impl PushConfig {
    /// Asks the portal. `reopen` asks for new channels instead of the ones the portal remembers.
    pub fn get(portal: &Portal, reopen: bool, allow_plain: bool) -> Result<PushConfig> {
        let flag = |on: bool| if on { "Y" } else { "N" };
        let params = serde_json::json!({"CACHE": flag(!reopen), "REOPEN": flag(reopen)});
        // The listener repeats by its own rule, and tells who waits in `connect` of each failure.
        let answer = portal.call("pull.application.config.get", &params, Repeat::No)?;
        PushConfig::parse(answer.result(), allow_plain)
    }

    /// Reads the `result` of `pull.application.config.get`, in either spelling.
    pub fn parse(json: &str, allow_plain: bool) -> Result<PushConfig> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Answer {
            #[serde(deserialize_with = "php::map")]
            server: Server,
            #[serde(deserialize_with = "php::map")]
            channels: Channels,
            #[serde(rename = "clientId", deserialize_with = "php::text")]
            client_id: String,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Server {
            #[serde(deserialize_with = "php::number")]
            version: u64,
            #[serde(deserialize_with = "php::text")]
            long_polling: String,
            // What servers send, and what the vendor's document says.
            #[serde(deserialize_with = "php::text")]
            long_pooling_secure: String,
            #[serde(deserialize_with = "php::text")]
            long_polling_secure: String,
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
        // serde's text could quote a channel id, so it is not passed on.
        let answer: Answer = serde_json::from_str(json).map_err(|_| shape("cannot be read"))?;
        let server = answer.server;
        let address = [server.long_pooling_secure, server.long_polling_secure, server.long_polling]
            .into_iter()
            .find(|address| !address.is_empty())
            .ok_or_else(|| {
                shape("names no address for long polling; is the push server switched on in the portal's settings?")
            })?;
        let long_polling = Address::parse(&address, allow_plain)
            .map_err(|text| shape(&format!("names an address that cannot be used: {text}")))?;
        let present = |channel: Channel| Some(channel).filter(|channel| !channel.id.is_empty());
        let config = PushConfig {
            version: server.version,
            long_polling,
            client_id: Secret::new(
                [answer.client_id, server.client_id].into_iter().find(|id| !id.is_empty()).unwrap_or_default(),
            ),
            private: present(answer.channels.private),
            shared: present(answer.channels.shared),
        };
        if config.shared.is_none() && config.private.is_none() {
            return Err(shape("holds no channel; is the application's scope pull granted?"));
        }
        Ok(config)
    }

    /// Puts a new channel in place of the old one of its kind; false when it cannot be told which that is.
    pub fn replace(&mut self, channel: Channel) -> bool {
        match channel.kind {
            ChannelKind::Private => self.private = Some(channel),
            ChannelKind::Shared => self.shared = Some(channel),
            ChannelKind::Unknown => return false,
        }
        true
    }

    /// Host of the push server, for texts.
    pub fn host(&self) -> &str {
        self.long_polling.origin()
    }

    /// Version of the push server.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the server of this version can go on from `position`.
    pub fn resumes_from(&self, position: &Position) -> bool {
        if self.resumes_by_tag() { position.tag_time.is_some() } else { position.mid.is_some() }
    }

    fn resumes_by_tag(&self) -> bool {
        matches!(self.version, 1 | 2)
    }

    /// The whole subscription address. It holds the channel ids, so it is a secret.
    pub fn subscription(&self, position: &Position) -> Secret {
        let ids: Vec<&str> =
            [&self.private, &self.shared].into_iter().flatten().map(|channel| channel.id.expose()).collect();
        let mut url =
            format!("{}{}?CHANNEL_ID={}", self.long_polling.origin(), self.long_polling.path(), escape(&ids.join("/")));
        let mut add = |name: &str, value: &str| {
            url.push_str(&format!("&{name}={}", escape(value)));
        };
        if !self.client_id.is_empty() {
            add("clientId", self.client_id.expose());
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

fn shape(text: &str) -> Error {
    Error::protocol(format!("the push server's configuration (pull.application.config.get) {text}"))
}

/// What is encoded in the query. Spaces become `%20`: push servers do not read a `+` as a space. The `/` between two
/// channel ids stays, as the vendor's clients send it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

fn escape(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = r#"{"server":{"version":"4","long_polling":"http://rt.example/sub/","long_pooling_secure":"https://rt.example/sub/"},
        "channels":{"shared":{"id":"abc.def","type":"shared"},"private":{"id":"ab:cd.ef","public_id":"cd","type":"private"}},"clientId":43253464643}"#;
    const DOCUMENT: &str = r#"{"server":{"version":4,"long_polling":"http://rt.example/sub/","long_polling_secure":"https://rt.example/sub/","clientId":"43253464643"},
        "channels":{"shared":{"id":"abc.def","start":"2017-06-28T12:04:00+02:00"},"private":[]}}"#;

    fn url(json: &str, position: &Position) -> String {
        PushConfig::parse(json, false).unwrap().subscription(position).expose().to_owned()
    }

    #[test]
    fn both_spellings_work() {
        let start = Position::default();
        assert_eq!(url(SERVER, &start), "https://rt.example/sub/?CHANNEL_ID=ab%3Acd.ef/abc.def&clientId=43253464643");
        assert_eq!(url(DOCUMENT, &start), "https://rt.example/sub/?CHANNEL_ID=abc.def&clientId=43253464643");
    }

    #[test]
    fn the_position_is_spelled_as_the_version_wants() {
        let position = Position {
            mid: Some("17954851440000000000000003".into()),
            tag_time: Some(("1".into(), "Tue, 24 Nov 2026 02:01:50 GMT".into())),
        };
        assert!(url(SERVER, &position).ends_with("&mid=17954851440000000000000003"));
        let old = SERVER.replace("\"4\"", "1");
        assert!(url(&old, &position).ends_with("&tag=1&time=Tue%2C%2024%20Nov%202026%2002%3A01%3A50%20GMT"));
    }

    #[test]
    fn a_channel_is_replaced_by_its_kind() {
        let mut config = PushConfig::parse(SERVER, false).unwrap();
        assert!(config.replace(Channel { id: Secret::new("new.sig"), kind: ChannelKind::Shared }));
        assert!(!config.replace(Channel { id: Secret::new("x"), kind: ChannelKind::Unknown }));
        assert!(config.subscription(&Position::default()).expose().contains("=ab%3Acd.ef/new.sig&"));
    }

    #[test]
    fn what_is_missing_is_said_and_no_id_is_shown() {
        for (json, says) in [
            ("[]", "long polling"),
            (r#"{"server":{"version":4}}"#, "long polling"),
            (r#"{"server":{"long_polling":"http://rt.example/sub/"}}"#, "allow_plain"),
            (r#"{"server":{"long_polling":"https://rt.example/sub/"},"channels":[]}"#, "no channel"),
            (r#"{"channels":{"shared":{"id":{"planted":1}}}}"#, "cannot be read"),
        ] {
            let text = PushConfig::parse(json, false).unwrap_err().to_string();
            assert!(text.contains(says) && !text.contains("planted"), "{text}");
        }
        let config = PushConfig::parse(SERVER, false).unwrap();
        assert!(!format!("{config:?}").contains("abc"), "{config:?}");
    }
}
