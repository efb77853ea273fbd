//! JSON as 1C gets it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::notify::Notification;

/// `{"connector_id":"","count":1,"signalled":true}`.
pub(super) fn notification(connector_id: &str, notification: Notification) -> String {
    let Notification { count, signalled } = notification;
    serde_json::json!({"connector_id": connector_id, "count": count, "signalled": signalled}).to_string()
}

/// `{"code":"","text":""}`.
pub(super) fn error(code: &str, text: &str) -> String {
    serde_json::json!({"code": code, "text": text}).to_string()
}

/// A batch: its id, and what the portal sent. Only the outline is read; the records stay the text that they are.
#[derive(Serialize, Deserialize)]
struct BatchText<'a> {
    #[serde(skip_deserializing)]
    batch_id: &'a str,
    #[serde(borrow, default)]
    process_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    events: Option<&'a RawValue>,
}

/// `{"batch_id":"","process_id":"","events":[]}` from `{"process_id":"","events":[]}`.
pub(super) fn batch(batch_id: &str, records: &str) -> Result<String> {
    let outline = serde_json::from_str::<BatchText<'_>>(records);
    let outline = outline.map_err(|_| {
        Error::protocol("event.offline.get returned records that are not JSON; report this to Bitrix24's support")
    })?;
    let text = serde_json::to_string(&BatchText { batch_id, ..outline });
    text.map_err(|_| Error::protocol("the records of a batch cannot be written as JSON"))
}

/// A batch without records and without an id.
pub(super) fn empty_batch() -> String {
    r#"{"batch_id":"","process_id":null,"events":[]}"#.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_id_comes_first_and_the_records_stay_as_they_were() {
        let records = r#" { "process_id":"p\"","events":[{"ID": "1"}]}"#;
        assert_eq!(batch("p\"", records).unwrap(), r#"{"batch_id":"p\"","process_id":"p\"","events":[{"ID": "1"}]}"#);
        let removed = r#"{"process_id":null,"events":[{"ID":"1"}]}"#;
        assert_eq!(batch("1", removed).unwrap(), r#"{"batch_id":"1","process_id":null,"events":[{"ID":"1"}]}"#);
        for damaged in ["", "1", "{\"events\":[", "{\"events\":[1,]}"] {
            assert!(batch("1", damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn an_empty_batch_has_the_same_keys() {
        let text = batch("", r#"{"process_id":null,"events":[]}"#).unwrap();
        assert_eq!(empty_batch(), text);
    }

    #[test]
    fn a_notification_is_escaped() {
        assert_eq!(
            notification("1С \"x\"", Notification { count: 5, signalled: true }),
            r#"{"connector_id":"1С \"x\"","count":5,"signalled":true}"#
        );
    }
}
