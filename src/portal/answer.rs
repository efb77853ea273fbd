//! The answer to a REST call: success, refusal, or no answer of a portal at all.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{php, refusal};
use crate::error::{Error, Result};

/// A successful answer: the whole JSON text, and where its `result` is.
#[derive(Debug)]
pub struct Answer {
    text: String,
    result: std::ops::Range<usize>,
}

/// Why one attempt failed.
pub(super) struct Failure {
    /// What the caller gets to see if the call is not repeated.
    pub(super) error: Error,
    /// When the portal lets the method run again, seconds since 1970; 0 when it did not say.
    pub(super) blocked_until: u64,
}

impl Failure {
    pub(super) fn plain(error: Error) -> Failure {
        Failure { error, blocked_until: 0 }
    }
}

#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "php::text")]
    error: String,
    #[serde(default, deserialize_with = "php::text")]
    error_description: String,
    #[serde(default, deserialize_with = "php::map")]
    time: Time,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Time {
    #[serde(deserialize_with = "php::number")]
    operating_reset_at: u64,
}

impl Answer {
    /// Reads the answer to a call of `method`. `redact` takes our secrets out of the portal's texts.
    pub(super) fn read(
        method: &str,
        http_status: u16,
        body: Vec<u8>,
        redact: impl Fn(&str) -> String,
    ) -> Result<Answer, Failure> {
        let protocol = |text: String| Failure::plain(Error::Protocol { text, http_status });
        if (300..=399).contains(&http_status) {
            return Err(protocol(format!(
                "the portal answered {method} with a redirect (HTTP {http_status}), which is not followed because the token would go with it; set portal.url to the portal's present address"
            )));
        }
        let text = String::from_utf8(body)
            .map_err(|_| protocol(format!("the answer to {method} (HTTP {http_status}) is not UTF-8")))?;
        let Ok(outline) = serde_json::from_str::<Outline>(&text) else {
            let kind = if text.trim_start().starts_with('<') { "HTML" } else { "no complete JSON" };
            return Err(protocol(format!(
                "the portal answered {method} with {kind} (HTTP {http_status}, {} bytes); if that stays, check that portal.url is a Bitrix24 portal",
                text.len()
            )));
        };
        if !outline.error.is_empty() {
            let error = refusal::refused(http_status, &redact(&outline.error), &redact(&outline.error_description));
            return Err(Failure { error, blocked_until: outline.time.operating_reset_at });
        }
        // Both are slices of one text, so the difference of their addresses is the place of `result` in it.
        let place = outline.result.filter(|_| http_status < 400).map(|result| {
            let start = result.get().as_ptr() as usize - text.as_ptr() as usize;
            start..start + result.get().len()
        });
        match place {
            Some(result) => Ok(Answer { text, result }),
            None => {
                Err(protocol(format!("the answer to {method} (HTTP {http_status}) holds neither result nor error")))
            }
        }
    }

    /// The value of `result` as JSON.
    pub fn result(&self) -> &str {
        self.text.get(self.result.clone()).unwrap_or("null")
    }

    /// The whole answer: `{"result":…,"total":…,"next":…,"time":…}`.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The value of `result` alone, without copying it.
    pub fn into_result(mut self) -> String {
        self.text.truncate(self.result.end);
        self.text.drain(..self.result.start);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_cut_out_without_its_surroundings() {
        let body = r#"{"result": {"a":[1]} ,"time":{}}"#;
        let read = || Answer::read("m", 200, body.into(), str::to_owned).ok().unwrap();
        assert_eq!(read().result(), r#"{"a":[1]}"#);
        assert_eq!(read().into_result(), r#"{"a":[1]}"#);
        assert_eq!(read().into_text(), body);
    }
}
