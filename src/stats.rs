//! What a client counts about itself. Numbers only: nothing here can hold a secret.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The number now.
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
    /// REST requests sent, repeats included.
    requests,
    /// Token renewals.
    renewals,
    /// Configurations of the push server read (`pull.application.config.get`).
    configurations,
    /// Long polls answered.
    polls,
    /// WebSockets opened.
    websockets,
    /// Times the push connection broke or was refused.
    failures,
    /// Messages of the push server, of whatever module.
    messages,
    /// Messages that announced records for this client's connector.
    signals,
    /// Calls of the portal that the handler has accepted.
    handler_calls,
    /// Calls of the handler that were refused, for whatever reason.
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
