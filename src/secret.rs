//! Text that must never be printed: tokens, client secrets, channel ids.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A secret text. `Debug` and `Display` print `***`; only [`Secret::expose`] returns the text. Clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<Arc<str>>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the code that sends it to the peer it belongs to.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `guess` is this secret. The duration of the comparison depends on the lengths only. An empty secret
    /// matches nothing.
    pub fn matches(&self, guess: &Secret) -> bool {
        !self.is_empty() && bool::from(self.0.as_bytes().ct_eq(guess.0.as_bytes()))
    }

    /// Whether the text is empty, which means that there is no secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("planted");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "planted");
    }

    #[test]
    fn a_secret_matches_itself_only_and_an_empty_one_matches_nothing() {
        let secret = Secret::new("planted");
        assert!(secret.matches(&Secret::new("planted")));
        for guess in ["", "plante", "planted ", "plantee"] {
            assert!(!secret.matches(&Secret::new(guess)), "{guess}");
        }
        assert!(!Secret::new("").matches(&Secret::new("")));
    }
}
