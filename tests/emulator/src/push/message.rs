//! A message as it is stored and as it is sent.

use crate::php::value::{Value, json};

use crate::time;

#[derive(Clone, Debug)]
pub struct Message {
    pub id: u64,
    pub mid: String,
    pub channel: String,
    /// Unix seconds.
    pub time: i64,
    /// Number of the message within its second.
    pub tag: u64,
    /// JSON.
    pub text: String,
}

/// Up to where a subscriber has received messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    Id(u64),
    Mid(String),
    /// Versions 1 and 2: unix seconds and the number within the second.
    Tag {
        time: i64,
        tag: u64,
    },
}

impl Position {
    pub fn is_before(&self, message: &Message) -> bool {
        match self {
            Self::Id(id) => *id < message.id,
            Self::Mid(mid) => mid.as_str() < message.mid.as_str(),
            Self::Tag { time, tag } => (*time, *tag) < (message.time, message.tag),
        }
    }
}

impl Message {
    pub fn new(id: u64, tag: u64, time: i64, channel: &str, text: String) -> Self {
        Self { id, mid: format!("{time:010}{id:016}"), channel: channel.to_owned(), time, tag, text }
    }

    /// The envelope's JSON in the version's spelling.
    pub fn json(&self, version: u32) -> String {
        let Self { id, mid, channel, tag, text, .. } = self;
        let time = time::http_date(self.time);
        if version < 3 {
            format!(r#"{{"id":{id},"channel":"{channel}","tag":"{tag}","time":"{time}","eventid":"","text":{text}}}"#)
        } else {
            format!(r#"{{"id":{id},"mid":"{mid}","channel":"{channel}","tag":"{tag}","time":"{time}","text":{text}}}"#)
        }
    }
}

/// Envelopes back to back.
pub fn envelopes(messages: &[Message], version: u32) -> String {
    messages.iter().map(|message| format!("#!NGINXNMS!#{}#!NGINXNME!#", message.json(version))).collect()
}

/// `format=json`: the same objects in an array.
pub fn array(messages: &[Message], version: u32) -> String {
    let objects: Vec<String> = messages.iter().map(|message| message.json(version)).collect();
    format!("[{}]", objects.join(","))
}

/// `event_offline` for the queues that grew: one entry each, with the number of new events.
pub fn event_offline_params(queued_events: impl IntoIterator<Item = (String, u64)>) -> Value {
    queued_events
        .into_iter()
        .map(|(connector_id, count)| json!({"connector_id": connector_id, "count": count}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: &str = "0d875ab13a17a97fc2f5aabbccddeeff";

    fn body(recorded: &str) -> &str {
        recorded.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The text of the n-th recorded envelope, untouched.
    fn text(recorded: &str, n: usize) -> String {
        let envelope = recorded.split("#!NGINXNMS!#").nth(n + 1).unwrap_or_default();
        let json = envelope.split("#!NGINXNME!#").next().unwrap_or_default();
        let from = json.find(r#""text":"#).map_or(0, |at| at + 7);
        json[from..json.len() - 1].to_owned()
    }

    #[test]
    fn envelopes_of_version_1_are_the_recorded_bytes() {
        let recorded = include_str!("../../../vectors/v1_lp_200_replay.http");
        let second = 1_795_485_711;
        let messages = [
            Message::new(2, 1, second, CHANNEL, text(recorded, 0)),
            Message::new(3, 2, second, CHANNEL, text(recorded, 1)),
        ];
        assert_eq!(envelopes(&messages, 1), body(recorded));
    }

    #[test]
    fn envelopes_of_version_3_are_the_recorded_bytes() {
        let recorded = include_str!("../../../vectors/v3_lp_200_replay_many.http");
        let messages: Vec<Message> = [171, 173, 175, 177, 177]
            .into_iter()
            .enumerate()
            .map(|(n, tag)| {
                let mut message = Message::new(n as u64 + 3, tag, 1_795_485_599, CHANNEL, text(recorded, n));
                message.mid = format!("1795485144{:016}", n + 3);
                message
            })
            .collect();
        let body = body(recorded);
        let (size, chunk) = body.split_once("\r\n").unwrap_or_default();
        let ours = envelopes(&messages, 3);
        assert_eq!(format!("{:x}", ours.len()), size);
        assert_eq!(chunk, format!("{ours}\r\n0\r\n\r\n"));
    }

    #[test]
    fn positions() {
        let message = Message::new(7, 2, 1_795_485_144, CHANNEL, String::new());
        assert_eq!(message.mid, "17954851440000000000000007");
        assert!(Position::Id(6).is_before(&message));
        assert!(!Position::Id(7).is_before(&message));
        assert!(Position::Mid("17954851440000000000000006".into()).is_before(&message));
        assert!(!Position::Mid("99999999999999999999999999".into()).is_before(&message));
        assert!(Position::Tag { time: 1_795_485_144, tag: 1 }.is_before(&message));
        assert!(!Position::Tag { time: 1_795_485_144, tag: 2 }.is_before(&message));
    }
}
