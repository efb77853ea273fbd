//! Finding the envelopes in what a push server sends (protocol.md §3.2).
//!
//! An envelope is `#!NGINXNMS!#{json}#!NGINXNME!#`; the vendor's document writes the opening mark as `#!NGINXNMS#`.
//! The JSON may hold the marks inside its strings, so the end of an envelope is where its JSON ends, not where the
//! next mark is.

use memchr::memmem;
use serde::Deserialize;

const OPENING: &[u8] = b"#!NGINXNMS";
const CLOSING: &[u8] = b"#!NGINXNME!#";

/// One thing found in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// An envelope whose JSON could be read.
    Message(T),
    /// An envelope that could not be read: cut, no JSON, no UTF-8.
    Malformed,
}

/// Walks over the envelopes in `bytes`. What is outside of envelopes is passed over.
pub fn envelopes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Envelopes<'a, T> {
    Envelopes { rest: bytes, kind: std::marker::PhantomData }
}

/// See [`envelopes`].
pub struct Envelopes<'a, T> {
    rest: &'a [u8],
    kind: std::marker::PhantomData<T>,
}

impl<'a, T: Deserialize<'a>> Iterator for Envelopes<'a, T> {
    type Item = Found<T>;

    fn next(&mut self) -> Option<Found<T>> {
        let json = after_opening_mark(self.rest)?;
        let mut values = serde_json::Deserializer::from_slice(json).into_iter::<T>();
        match values.next() {
            Some(Ok(message)) => {
                let after = json.get(values.byte_offset()..).unwrap_or_default();
                let after = after.trim_ascii_start();
                self.rest = after.strip_prefix(CLOSING).unwrap_or(after);
                Some(Found::Message(message))
            }
            // What follows may be whole again: look for the next opening mark, from inside this envelope on.
            _ => {
                self.rest = json;
                Some(Found::Malformed)
            }
        }
    }
}

/// What follows the next opening mark, in either spelling.
fn after_opening_mark(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        rest = rest.get(memmem::find(rest, OPENING)? + OPENING.len()..)?;
        if let Some(json) = rest.strip_prefix(b"!#").or_else(|| rest.strip_prefix(b"#")) {
            return Some(json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(bytes: impl AsRef<[u8]>) -> Vec<Found<Value>> {
        envelopes(bytes.as_ref()).collect()
    }

    #[test]
    fn one_many_and_none() {
        assert_eq!(found(""), []);
        assert_eq!(found("no envelope"), []);
        assert_eq!(found(r##"#!NGINXNMS!#{"id":1}#!NGINXNME!#"##), [Found::Message(json!({"id":1}))]);
        let both = r##"#!NGINXNMS!#{"id":1}#!NGINXNME!##!NGINXNMS#{"id":2}#!NGINXNME!#"##;
        assert_eq!(found(both), [Found::Message(json!({"id":1})), Found::Message(json!({"id":2}))]);
    }

    #[test]
    fn marks_inside_strings_belong_to_the_string() {
        let text =
            r##"#!NGINXNMS!#{"a":"#!NGINXNME!##!NGINXNMS!#{\"x\":1}"}#!NGINXNME!##!NGINXNMS!#{"b":2}#!NGINXNME!#"##;
        let inner = json!({"a": "#!NGINXNME!##!NGINXNMS!#{\"x\":1}"});
        assert_eq!(found(text), [Found::Message(inner), Found::Message(json!({"b":2}))]);
    }

    #[test]
    fn a_broken_one_does_not_hide_the_next() {
        let text = r##"#!NGINXNMS!#{"id":1,#!NGINXNMS!#{"id":2}#!NGINXNME!#"##;
        assert_eq!(found(text), [Found::Malformed, Found::Message(json!({"id":2}))]);
        assert_eq!(
            found(b"#!NGINXNMS!#{\"a\":\"\xff\"}#!NGINXNME!##!NGINXNMS!#{}#!NGINXNME!#"),
            [Found::Malformed, Found::Message(json!({}))]
        );
        assert_eq!(found(r##"#!NGINXNMS!#{"id":"##), [Found::Malformed]);
        assert_eq!(found("#!NGINXNMS!#"), [Found::Malformed]);
        assert_eq!(found("#!NGINXNMSx#!NGINXNMS"), []);
    }

    #[test]
    fn a_missing_closing_mark_does_not_matter_when_the_json_is_whole() {
        assert_eq!(found(r##"#!NGINXNMS!#{"id":1}"##), [Found::Message(json!({"id":1}))]);
    }
}
