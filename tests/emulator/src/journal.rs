//! What the emulator has seen.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::http::Request;

/// Requests kept for `requests()`.
const KEPT_REQUESTS: usize = 2000;

/// A request as it came, so that a test can look where the secrets were.
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
    /// Requests to the push server.
    pub polls: u64,
    /// Polls answered with messages.
    pub polls_served: u64,
    /// Subscriptions open at this moment.
    pub subscriptions_open: u64,
    pub messages_published: u64,
    pub events_made: u64,
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
        if self.requests.len() == KEPT_REQUESTS {
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
