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

/// Replaces secrets in a text that came from outside, as they are and as JSON and URLs write them, and every word that
/// `is_secret`.
pub fn redact(text: &str, secrets: &[&Secret], is_secret: impl Fn(&Secret) -> bool) -> String {
    let mut forms: Vec<String> =
        secrets.iter().filter(|secret| !secret.is_empty()).flat_map(|secret| forms(secret)).collect();
    // A form may be part of another one.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    let text = forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), "***"));
    let mut redacted = String::with_capacity(text.len());
    for part in text.split_inclusive(|letter: char| !is_word(letter)) {
        let word = part.trim_end_matches(|letter: char| !is_word(letter));
        let rest = part.get(word.len()..).unwrap_or_default();
        redacted.push_str(if !word.is_empty() && is_secret(&Secret::new(word)) { "***" } else { word });
        redacted.push_str(rest);
    }
    redacted
}

/// What a token of the portal may consist of.
fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

fn forms(secret: &Secret) -> Vec<String> {
    let plain = secret.expose();
    let json = serde_json::Value::from(plain).to_string();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
    let percent: String = plain.bytes().map(|byte| percent_encoded(byte, false)).collect();
    let lower: String = plain.bytes().map(|byte| percent_encoded(byte, true)).collect();
    let form = percent.replace("%20", "+");
    // PHP escapes slashes in JSON.
    let php = json.replace('/', "\\/");
    vec![plain.to_owned(), json, php, percent, lower, form]
}

fn percent_encoded(byte: u8, lower: bool) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ if lower => format!("%{byte:02x}"),
        _ => format!("%{byte:02X}"),
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
    fn a_text_shows_no_secret_in_any_spelling() {
        let secret = Secret::new("a/b \"c+\u{e9}");
        let spellings = [
            "a/b \"c+\u{e9}",
            r#"a/b \"c+é"#,
            r#"a\/b \"c+é"#,
            "a%2Fb%20%22c%2B%C3%A9",
            "a%2fb%20%22c%2b%c3%a9",
            "a%2Fb+%22c%2B%C3%A9",
        ];
        for spelling in spellings {
            assert_eq!(redact(&format!("<{spelling}>"), &[&secret], |_| false), "<***>", "{spelling}");
        }
        let (short, long) = (Secret::new("abc"), Secret::new("abcdef"));
        assert_eq!(redact("abcdef abc", &[&short, &long], |_| false), "*** ***");
        let old = |word: &Secret| word.expose() == "old-1";
        assert_eq!(redact("auth=old-1&x old-12 (old-1)", &[], old), "auth=***&x old-12 (***)");
        assert_eq!(redact("nothing; here, at all", &[&Secret::new("")], |_| false), "nothing; here, at all");
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
