//! The messages received last, so that a message that arrives twice counts once.

use std::collections::VecDeque;

/// Two subscriptions overlap by a few messages at most; the vendor's clients remember ten.
const CAPACITY: usize = 32;

/// Remembers the `mid`s of the last messages.
#[derive(Debug, Default)]
pub struct RecentMessages(VecDeque<String>);

impl RecentMessages {
    /// Remembers a `mid`. Returns whether it is new; a message without one always is.
    pub fn insert(&mut self, mid: &str) -> bool {
        if mid.is_empty() {
            return true;
        }
        if self.0.iter().any(|known| known == mid) {
            return false;
        }
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(mid.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_are_known_and_older_ones_are_new_again() {
        let mut recent = RecentMessages::default();
        assert!(recent.insert("") && recent.insert(""));
        for number in 0..100 {
            assert!(recent.insert(&number.to_string()));
        }
        assert!((68..100).all(|number| !recent.insert(&number.to_string())));
        assert!(recent.insert("67"));
    }
}
