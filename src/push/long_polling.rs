//! What the answer to a long poll means (protocol.md §3.2). Pure: HTTP in, meaning out.

use ureq::http::HeaderMap;

use super::config::Position;
use super::message::{Meaning, decode};
use super::recent::Recent;
use crate::net::http::HttpResponse;

/// `Expires` of an answer whose `Last-Message-Id` is the position to go on from.
const EXPIRES_WITH_POSITION: &str = "Thu, 01 Jan 1973 11:11:01 GMT";

/// What came of a poll that was answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Polled {
    /// Messages.
    Messages {
        /// What they mean, in their order.
        meanings: Vec<Meaning>,
        /// The position after the last of them; what is `None` stays as it was.
        position: Position,
        /// Envelopes between them that could not be read.
        malformed: u64,
    },
    /// The server has lost our position.
    PositionLost,
    /// Nothing happened while the server held the request.
    Nothing {
        /// The position to go on from, if the server told one.
        mid: Option<String>,
    },
    /// The server does not accept the channel.
    ChannelRefused,
    /// Not the answer of a push server.
    Unusable {
        /// What is wrong, without any text of the answer.
        text: String,
        /// Envelopes that could not be read.
        malformed: u64,
    },
}

/// Reads an answer on behalf of a connector.
pub fn read(answer: &HttpResponse, connector_id: &str, recent: &mut Recent) -> Polled {
    match answer.status {
        200 if answer.body.is_empty() => Polled::PositionLost,
        200 => messages(answer, connector_id, recent),
        // Push servers on nginx end a hold with 408.
        304 | 408 => Polled::Nothing { mid: told_position(&answer.headers) },
        400 | 403 => Polled::ChannelRefused,
        status => Polled::Unusable { text: format!("HTTP {status}"), malformed: 0 },
    }
}

fn messages(answer: &HttpResponse, connector_id: &str, recent: &mut Recent) -> Polled {
    let decoded = decode(&answer.body, connector_id, recent);
    if decoded.meanings.is_empty() && decoded.repeated == 0 {
        let text = format!("{} bytes without a readable message", answer.body.len());
        return Polled::Unusable { text, malformed: decoded.malformed };
    }
    Polled::Messages {
        meanings: decoded.meanings,
        position: Position { mid: decoded.mid, tag_time: decoded.tag_time },
        malformed: decoded.malformed,
    }
}

fn told_position(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mid = header("last-message-id").filter(|mid| !mid.is_empty())?;
    (header("expires") == Some(EXPIRES_WITH_POSITION)).then(|| mid.to_owned())
}

#[cfg(test)]
mod tests;
