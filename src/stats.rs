//! The counters of a client. They are numbers only, so they cannot contain a secret.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The current number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$text:meta])* $name:ident),* $(,)?) => {
        /// The counters of one client.
        #[derive(Default)]
        pub struct Stats { $($(#[$text])* pub $name: Counter,)* }

        impl Stats {
            /// All counters as a JSON object.
            pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
                [$((stringify!($name).to_owned(), self.$name.get().into()),)*].into_iter().collect()
            }
        }
    };
}

counters! {
    /// REST requests sent, including repeats.
    requests,
    /// Token renewals.
    renewals,
    /// Configurations of the push server received (`pull.application.config.get`).
    configurations,
    /// Long polls that were answered.
    polls,
    /// WebSockets opened.
    websockets,
    /// How often the push connection broke or was refused.
    failures,
    /// Messages from the push server, for any module.
    messages,
    /// Messages that announced records for this client's connector.
    signals,
    /// Handler calls that were accepted.
    handler_calls,
    /// Handler calls that were refused for any reason.
    handler_refused,
    /// Envelopes that could not be read.
    malformed,
    /// Records handed to the host.
    fetched,
    /// Records the host has acknowledged.
    acknowledged,
    /// Records the host has marked as failed.
    failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_appear_under_their_names() {
        let stats = Stats::default();
        stats.fetched.add(3);
        let json = stats.to_json();
        assert_eq!(json["fetched"], 3);
        assert_eq!(json["malformed"], 0);
    }
}
