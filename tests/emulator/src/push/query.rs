//! The parameters of a subscription, for long polling and WebSocket alike.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::message::Position;
use crate::time;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pub channel_id: Option<String>,
    pub client_id: Option<String>,
    /// Version 5: replaces the channels.
    pub token: Option<String>,
    pub mid: Option<String>,
    tag: Option<String>,
    time: Option<String>,
    pub format: Option<String>,
    pub json_rpc: Option<String>,
    pub binary_mode: Option<String>,
}

impl Parameters {
    /// `+` stays a plus: neither server reads it as a space.
    pub fn parse(query: &str) -> Self {
        let mut parameters = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "CHANNEL_ID" => &mut parameters.channel_id,
                "clientId" => &mut parameters.client_id,
                "token" => &mut parameters.token,
                "mid" => &mut parameters.mid,
                "tag" => &mut parameters.tag,
                "time" => &mut parameters.time,
                "format" => &mut parameters.format,
                "jsonRpc" => &mut parameters.json_rpc,
                "binaryMode" => &mut parameters.binary_mode,
                _ => continue,
            };
            *slot = Some(percent_decode_str(value).decode_utf8_lossy())
                .filter(|value| !value.is_empty())
                .map(Cow::into_owned);
        }
        parameters
    }

    /// Where to continue; `None` starts with what is published next.
    pub fn position(&self, version: u32) -> Option<Position> {
        if version >= 3 {
            return self.mid.clone().map(Position::Mid);
        }
        // An invalid time counts as none: missed messages are not sent again.
        let time = time::parse_http_date(self.time.as_deref()?)?;
        let tag = self.tag.as_deref().and_then(|tag| tag.parse().ok()).unwrap_or(0);
        Some(Position::Tag { time, tag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_the_versions() {
        let parameters =
            Parameters::parse("mid=7&tag=3&time=Tue,%2024%20Nov%202026%2001:59:59%20GMT&CHANNEL_ID=a%2Fb&x");
        assert_eq!(parameters.channel_id.as_deref(), Some("a/b"));
        assert_eq!(parameters.position(3), Some(Position::Mid("7".to_owned())));
        assert_eq!(parameters.position(1), Some(Position::Tag { time: 1_795_485_599, tag: 3 }));
        assert_eq!(Parameters::parse("tag=3&time=Tue,+24+Nov+2026+01:59:59+GMT").position(1), None);
        assert_eq!(Parameters::parse("mid=").position(3), None);
    }
}
