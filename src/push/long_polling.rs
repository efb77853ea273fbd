//! What the answer to a long poll means (docs/protocol.md §3.2). Does no I/O.

use ureq::http::HeaderMap;

use super::config::Position;
use super::message::{PushEvent, decode};
use super::recent::RecentMessages;
use crate::net::http::HttpResponse;

/// The `Expires` of an answer whose `Last-Message-Id` is the position to continue from.
const EXPIRES_WITH_POSITION: &str = "Thu, 01 Jan 1973 11:11:01 GMT";

/// The outcome of a poll that was answered.
#[derive(Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// The server sent messages.
    Messages {
        /// What they mean, in their order.
        events: Vec<PushEvent>,
        /// Whether one of them is certain not to have been received before.
        is_news: bool,
        /// The position after the last message; a part that is `None` stays as it was.
        position: Position,
        /// How many envelopes could not be read.
        malformed: u64,
    },
    /// The server no longer knows our position.
    PositionLost,
    /// Nothing happened while the server held the request.
    Nothing {
        /// The position to continue from, if the server named one.
        mid: Option<String>,
    },
    /// The server does not accept the channel.
    ChannelRefused,
    /// This is not the answer of a push server.
    Unusable {
        /// What is wrong, without any text of the answer.
        text: String,
        /// How many envelopes could not be read.
        malformed: u64,
    },
}

/// Reads an answer for this connector.
pub fn read(answer: &HttpResponse, connector_id: &str, recent: &mut RecentMessages) -> PollOutcome {
    match answer.status {
        200 if answer.body.is_empty() => PollOutcome::PositionLost,
        200 => messages(answer, connector_id, recent),
        // Push servers on nginx may end a hold with 408.
        304 | 408 => PollOutcome::Nothing { mid: position_in_headers(&answer.headers) },
        400 | 403 => PollOutcome::ChannelRefused,
        status => PollOutcome::Unusable { text: format!("HTTP {status}"), malformed: 0 },
    }
}

fn messages(answer: &HttpResponse, connector_id: &str, recent: &mut RecentMessages) -> PollOutcome {
    let decoded = decode(&answer.body, connector_id, recent);
    if decoded.events.is_empty() && decoded.repeated == 0 {
        let text = format!("{} bytes without a readable message", answer.body.len());
        return PollOutcome::Unusable { text, malformed: decoded.malformed };
    }
    PollOutcome::Messages {
        events: decoded.events,
        is_news: decoded.is_news,
        position: Position { mid: decoded.mid, tag_time: decoded.tag_time },
        malformed: decoded.malformed,
    }
}

fn position_in_headers(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mid = header("last-message-id").filter(|mid| !mid.is_empty())?;
    (header("expires") == Some(EXPIRES_WITH_POSITION)).then(|| mid.to_owned())
}

#[cfg(test)]
mod tests;
