//! The messages received last, so that a message that arrives twice counts once.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// Two subscriptions overlap by a few messages at most; the vendor's clients remember ten.
const CAPACITY: usize = 32;

/// Remembers what identifies the last messages, as hashes: an identity may be long, or hold a channel id.
#[derive(Debug, Default)]
pub struct RecentMessages {
    hashes: VecDeque<u64>,
    hasher: RandomState,
}

/// Whether a message was received before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// It was not.
    New,
    /// It was.
    Repeated,
    /// The message has no identity.
    Unknown,
}

impl RecentMessages {
    /// Remembers a message by its identity, which is empty if it has none.
    pub fn insert(&mut self, identity: &str) -> Novelty {
        if identity.is_empty() {
            return Novelty::Unknown;
        }
        let hash = self.hasher.hash_one(identity);
        if self.hashes.contains(&hash) {
            return Novelty::Repeated;
        }
        if self.hashes.len() == CAPACITY {
            self.hashes.pop_front();
        }
        self.hashes.push_back(hash);
        Novelty::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_are_known_and_older_ones_are_new_again() {
        let mut recent = RecentMessages::default();
        assert_eq!([recent.insert(""), recent.insert("")], [Novelty::Unknown; 2]);
        for number in 0..100 {
            assert_eq!(recent.insert(&number.to_string()), Novelty::New);
        }
        assert!((68..100).all(|number| recent.insert(&number.to_string()) == Novelty::Repeated));
        assert_eq!(recent.insert("67"), Novelty::New);
    }
}
