//! Finds the envelopes in what a push server sends (docs/protocol.md §3.2).
//!
//! An envelope is `#!NGINXNMS!#{json}#!NGINXNME!#`; the vendor's documentation writes the start mark as `#!NGINXNMS#`.
//! Strings in the JSON may contain the marks, so an envelope ends where its JSON ends, not at the next mark.

use std::marker::PhantomData;

use memchr::memmem;
use serde::Deserialize;

const START_MARK: &[u8] = b"#!NGINXNMS";
const END_MARK: &[u8] = b"#!NGINXNME!#";

/// An envelope found in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Envelope<T> {
    /// Its JSON could be read.
    Message(T),
    /// It could not be read: it is truncated, or not JSON, or not UTF-8.
    Malformed,
}

/// Iterates over the envelopes in `bytes` and ignores everything outside of them.
pub fn envelopes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Envelopes<'a, T> {
    Envelopes { rest: bytes, message: PhantomData }
}

/// See [`envelopes`].
pub struct Envelopes<'a, T> {
    rest: &'a [u8],
    message: PhantomData<T>,
}

impl<'a, T: Deserialize<'a>> Iterator for Envelopes<'a, T> {
    type Item = Envelope<T>;

    fn next(&mut self) -> Option<Envelope<T>> {
        let json = after_start_mark(self.rest)?;
        let mut values = serde_json::Deserializer::from_slice(json).into_iter::<T>();
        match values.next() {
            Some(Ok(message)) => {
                let after = json.get(values.byte_offset()..).unwrap_or_default();
                let after = after.trim_ascii_start();
                self.rest = after.strip_prefix(END_MARK).unwrap_or(after);
                Some(Envelope::Message(message))
            }
            // An intact envelope may follow: search for the next start mark, even inside this envelope.
            _ => {
                self.rest = json;
                Some(Envelope::Malformed)
            }
        }
    }
}

/// The bytes after the next start mark, in either spelling.
fn after_start_mark(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        rest = rest.get(memmem::find(rest, START_MARK)? + START_MARK.len()..)?;
        if let Some(json) = rest.strip_prefix(b"!#").or_else(|| rest.strip_prefix(b"#")) {
            return Some(json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn found(bytes: impl AsRef<[u8]>) -> Vec<Envelope<Value>> {
        envelopes(bytes.as_ref()).collect()
    }

    #[test]
    fn zero_one_and_many_envelopes_are_found() {
        assert_eq!(found(""), []);
        assert_eq!(found("no envelope"), []);
        assert_eq!(found(r##"#!NGINXNMS!#{"id":1}#!NGINXNME!#"##), [Envelope::Message(json!({"id":1}))]);
        let both = r##"#!NGINXNMS!#{"id":1}#!NGINXNME!##!NGINXNMS#{"id":2}#!NGINXNME!#"##;
        assert_eq!(found(both), [Envelope::Message(json!({"id":1})), Envelope::Message(json!({"id":2}))]);
    }

    #[test]
    fn marks_inside_strings_belong_to_the_strings() {
        let text =
            r##"#!NGINXNMS!#{"a":"#!NGINXNME!##!NGINXNMS!#{\"x\":1}"}#!NGINXNME!##!NGINXNMS!#{"b":2}#!NGINXNME!#"##;
        let inner = json!({"a": "#!NGINXNME!##!NGINXNMS!#{\"x\":1}"});
        assert_eq!(found(text), [Envelope::Message(inner), Envelope::Message(json!({"b":2}))]);
    }

    #[test]
    fn a_malformed_envelope_does_not_hide_the_next_one() {
        let text = r##"#!NGINXNMS!#{"id":1,#!NGINXNMS!#{"id":2}#!NGINXNME!#"##;
        assert_eq!(found(text), [Envelope::Malformed, Envelope::Message(json!({"id":2}))]);
        assert_eq!(
            found(b"#!NGINXNMS!#{\"a\":\"\xff\"}#!NGINXNME!##!NGINXNMS!#{}#!NGINXNME!#"),
            [Envelope::Malformed, Envelope::Message(json!({}))]
        );
        assert_eq!(found(r##"#!NGINXNMS!#{"id":"##), [Envelope::Malformed]);
        assert_eq!(found("#!NGINXNMS!#"), [Envelope::Malformed]);
        assert_eq!(found("#!NGINXNMSx#!NGINXNMS"), []);
    }

    #[test]
    fn a_missing_end_mark_does_not_matter_if_the_json_is_complete() {
        assert_eq!(found(r##"#!NGINXNMS!#{"id":1}"##), [Envelope::Message(json!({"id":1}))]);
    }
}
