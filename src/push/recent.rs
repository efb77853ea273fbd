//! The messages seen last, so that one that comes twice counts once.

use std::collections::VecDeque;

/// Two subscriptions overlap by a few messages at most; the vendor's clients remember ten.
const REMEMBERED: usize = 32;

/// A ring of `mid`s.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<String>);

impl Recent {
    /// Remembers a `mid`; false when it was seen before. A message without one is always new.
    pub fn is_new(&mut self, mid: &str) -> bool {
        if mid.is_empty() {
            return true;
        }
        if self.0.iter().any(|seen| seen == mid) {
            return false;
        }
        if self.0.len() == REMEMBERED {
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
    fn the_last_ones_are_known() {
        let mut recent = Recent::default();
        assert!(recent.is_new("") && recent.is_new(""));
        for number in 0..100 {
            assert!(recent.is_new(&number.to_string()));
        }
        assert!((68..100).all(|number| !recent.is_new(&number.to_string())));
        assert!(recent.is_new("67"));
    }
}
