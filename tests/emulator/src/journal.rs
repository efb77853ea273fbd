//! What the emulator has received.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::http::Request;

/// How many requests `requests()` returns at most.
const MAX_REQUESTS: usize = 2000;

/// A request as it was received, so that a test can look for secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordedRequest {
    /// Of HTTP.
    pub method: String,
    /// Path and query, not decoded.
    pub target: String,
    pub body: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    pub connections: u64,
    pub requests: u64,
    /// Calls of REST methods that reached the portal, by method in lower case. Those inside a batch are not counted.
    pub calls: BTreeMap<String, u64>,
    /// Token pairs given out by the authorization server.
    pub renewals: u64,
    /// Authorizations that died because a pair of tokens was used twice.
    pub dead_authorizations: u64,
    /// Requests to the push server by long polling.
    pub polls: u64,
    /// Polls answered with messages.
    pub polls_served: u64,
    /// Subscriptions open at this moment: held polls and WebSockets.
    pub subscriptions_open: u64,
    /// WebSockets open at this moment, muted ones left out.
    pub websockets_open: u64,
    /// Connections upgraded so far, those closed at once for their channel included.
    pub websockets_accepted: u64,
    /// WebSocket frames with messages.
    pub frames: u64,
    /// Messages confirmed with `mack:` on a WebSocket.
    pub macks: u64,
    /// Pings answered by clients on a WebSocket.
    pub pongs: u64,
    /// Pings of clients on a WebSocket.
    pub pings: u64,
    pub messages_published: u64,
    pub events_made: u64,
    /// Calls of handlers that have ended, successful or not.
    pub handler_calls: u64,
    /// Those not answered with a status 2xx within 5 seconds.
    pub handler_calls_failed: u64,
    /// Calls not made because of `minTimeout`.
    pub handler_calls_skipped: u64,
    /// `QUERY_LIMIT_EXCEEDED` answers.
    pub limit_refusals: u64,
    /// `OPERATION_TIME_LIMIT` answers.
    pub operating_refusals: u64,
    pub faults_applied: u64,
}

#[derive(Default)]
pub struct Journal {
    requests: VecDeque<RecordedRequest>,
    pub seen: u64,
    pub connections: u64,
    pub polls: u64,
    pub polls_served: u64,
}

impl Journal {
    pub fn record(&mut self, request: &Request) {
        self.seen += 1;
        if self.requests.len() == MAX_REQUESTS {
            self.requests.pop_front();
        }
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        self.requests.push_back(RecordedRequest {
            method: request.method.to_string(),
            target: format!("{}{query}", request.path),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        });
    }

    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.iter().cloned().collect()
    }
}
