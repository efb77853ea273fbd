//! The answer to a REST call: a success, a refusal, or something that no portal would answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::operating::RunTime;
use super::{php, refusal};
use crate::error::{Error, Result};

/// A successful answer: the complete JSON text, and the position of `result` in it.
#[derive(Debug)]
pub struct Answer {
    text: String,
    result: std::ops::Range<usize>,
    pub(super) time: RunTime,
}

#[derive(Deserialize)]
struct AnswerBody<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "php::text")]
    error: String,
    #[serde(default, deserialize_with = "php::text")]
    error_description: String,
    #[serde(default, deserialize_with = "php::map")]
    time: RunTime,
}

const CHECK_URL: &str = "check that portal.url is the address of a Bitrix24 portal";

/// The error for an answer whose `result` is not what the method returns. serde's text may quote a value, so this is
/// not for results with secrets.
pub(super) fn unexpected_result(method: &str, error: &serde_json::Error) -> Error {
    Error::protocol(format!(
        "the answer to {method} does not have the expected form: {error}; please report this text if it persists"
    ))
}

impl Answer {
    /// Reads the answer to a call of `method`. `redact` removes our secrets from the portal's texts.
    pub(super) fn read(
        method: &str,
        http_status: u16,
        body: Vec<u8>,
        redact: impl Fn(&str) -> String,
    ) -> Result<Answer> {
        let malformed = |text: String| Error::Protocol { text, http_status };
        if (300..=399).contains(&http_status) {
            return Err(malformed(format!(
                "the portal answered {method} with a redirect (HTTP {http_status}), which is not followed because the \
                 token would be sent to the new address; set portal.url to the portal's present address"
            )));
        }
        let text = String::from_utf8(body).map_err(|_| {
            malformed(format!(
                "the answer to {method} (HTTP {http_status}) is not UTF-8; if this persists, {CHECK_URL}"
            ))
        })?;
        let Ok(parsed) = serde_json::from_str::<AnswerBody>(&text) else {
            let found = if text.trim_start().starts_with('<') { "HTML" } else { "incomplete or invalid JSON" };
            return Err(malformed(format!(
                "the portal answered {method} with {found} (HTTP {http_status}, {} bytes); if this persists, \
                 {CHECK_URL}",
                text.len()
            )));
        };
        // A method that refuses what it was asked may leave the code empty.
        if !parsed.error.is_empty() || (parsed.result.is_none() && !parsed.error_description.is_empty()) {
            return Err(refusal::to_error(http_status, &redact(&parsed.error), &redact(&parsed.error_description)));
        }
        let time = parsed.time;
        // `result` is a slice of `text`, so the difference of their addresses is its position.
        let range = parsed.result.filter(|_| http_status < 400).map(|result| {
            let start = result.get().as_ptr() as usize - text.as_ptr() as usize;
            start..start + result.get().len()
        });
        match range {
            Some(result) => Ok(Answer { text, result, time }),
            None => Err(malformed(format!(
                "the answer to {method} (HTTP {http_status}) contains neither result nor error; if this persists, \
                 {CHECK_URL}"
            ))),
        }
    }

    /// The value of `result` as JSON.
    pub fn result(&self) -> &str {
        self.text.get(self.result.clone()).unwrap_or("null")
    }

    /// The complete answer: `{"result":…,"total":…,"next":…,"time":…}`.
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
    fn a_refusal_without_a_code_keeps_the_text_of_the_portal() {
        let body = r#"{"error":"","error_description":"Not found"}"#;
        let error = Answer::read("crm.deal.get", 400, body.into(), str::to_owned).unwrap_err();
        assert_eq!((error.status(), error.code(), error.is_transient()), (crate::error::Status::Portal, "", false));
        assert!(error.to_string().contains("Not found"), "{error}");
    }

    #[test]
    fn the_result_is_extracted_as_it_is_spelled() {
        let body = r#"{"result": {"a":[1]} ,"time":{}}"#;
        let read = || Answer::read("m", 200, body.into(), str::to_owned).unwrap();
        assert_eq!(read().result(), r#"{"a":[1]}"#);
        assert_eq!(read().into_result(), r#"{"a":[1]}"#);
        assert_eq!(read().into_text(), body);
    }
}
