//! Records as `event.offline.get` and `event.offline.list` return them.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::unexpected_result;
use super::php;
use crate::error::Result;

const METHOD: &str = "event.offline.get";

/// One record of an offline queue, named as the portal names it.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    /// `ID`: the record's number in the queue.
    #[serde(rename = "ID", default, deserialize_with = "php::text")]
    pub id: String,
    /// `TIMESTAMP_X`: when the object changed last, as the portal spells it.
    #[serde(rename = "TIMESTAMP_X", default, deserialize_with = "php::text")]
    pub timestamp: String,
    /// `EVENT_NAME`, such as `ONCRMDEALUPDATE`.
    #[serde(rename = "EVENT_NAME", default, deserialize_with = "php::text")]
    pub event_name: String,
    /// `EVENT_DATA`: an object, `[]` or `false`.
    #[serde(rename = "EVENT_DATA", default = "null")]
    pub event_data: Box<RawValue>,
    /// `EVENT_ADDITIONAL`: an object, `[]` or `false`.
    #[serde(rename = "EVENT_ADDITIONAL", default = "null")]
    pub event_additional: Box<RawValue>,
    /// `MESSAGE_ID`: 32 characters that name the change. Records are acknowledged by it.
    #[serde(rename = "MESSAGE_ID", default, deserialize_with = "php::text")]
    pub message_id: String,
    /// `PROCESS_ID` of the reservation that the record belongs to; only `event.offline.list` returns it.
    #[serde(rename = "PROCESS_ID", default, deserialize_with = "php::text")]
    pub process_id: String,
    /// `ERROR`: whether the record is marked as failed; only `event.offline.list` returns it.
    #[serde(rename = "ERROR", default, deserialize_with = "php::number")]
    pub error: u64,
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// The records in [`Fetched::json`].
pub fn read_records(json: &str) -> Result<Vec<Record>> {
    #[derive(Deserialize)]
    struct Records {
        #[serde(default)]
        events: Vec<Record>,
    }
    parse::<Records>(METHOD, json).map(|parsed| parsed.events)
}

/// The answer to `event.offline.get`: the JSON as it came, and what delivery needs of it.
#[derive(Debug)]
pub struct Fetched {
    /// `{"process_id":…,"events":[…]}`.
    pub json: String,
    /// The reservation, if there is one.
    pub process_id: Option<String>,
    /// `MESSAGE_ID` of each record.
    pub message_ids: Vec<String>,
}

impl Fetched {
    /// Reads an answer. `events` may be a map. What is among the records and is none becomes the data of one, so that the
    /// host gets it.
    pub(super) fn parse(json: String) -> Result<Fetched> {
        if is_nothing(&json) {
            return Ok(Fetched::none());
        }
        let outline: BTreeMap<String, &RawValue> = parse(METHOD, &json)?;
        let process_id = match outline.get("process_id") {
            Some(json) => php::text(&mut serde_json::Deserializer::from_str(json.get()))
                .map_err(|error| unexpected_result(METHOD, &error))?,
            None => String::new(),
        };
        let process_id = Some(process_id).filter(|id| !id.is_empty());
        let Some(events) = outline.get("events") else {
            // The answer to an empty reservation.
            return match process_id {
                Some(_) => Ok(Fetched { process_id, ..Fetched::none() }),
                None => Err(unexpected_result(METHOD, &serde_json::Error::custom("it has no events"))),
            };
        };
        let List(records) = parse(METHOD, events.get())?;
        let message_ids: Option<Vec<String>> =
            records.iter().map(|json| read_record(json).map(|record| record.message_id)).collect();
        match message_ids.filter(|_| events.get().starts_with('[')) {
            Some(message_ids) => Ok(Fetched { process_id, message_ids, json }),
            None => Ok(Fetched::from_list(process_id.as_deref(), records.into_iter())),
        }
    }

    /// Reads the answer to a call that has deleted its records in the portal. Whatever it is, the host gets it.
    pub(super) fn of_any_shape(json: String) -> Fetched {
        let Ok(raw) = RawValue::from_string(json.clone()) else { return Fetched::none() };
        Fetched::parse(json).unwrap_or_else(|_| Fetched::from_records(&[foreign(&raw)]))
    }

    /// From the records of a list.
    pub(super) fn from_list<'a>(process_id: Option<&str>, records: impl Iterator<Item = &'a RawValue>) -> Fetched {
        let records: Vec<_> = records.map(to_record).collect();
        let json = to_json(process_id, records.iter().map(|(_, json)| json.as_ref()));
        let message_ids = records.into_iter().map(|(message_id, _)| message_id).collect();
        Fetched { json, process_id: process_id.map(str::to_owned), message_ids }
    }

    /// Nothing.
    pub fn none() -> Fetched {
        Fetched { json: to_json(None, std::iter::empty()), process_id: None, message_ids: Vec::new() }
    }

    /// From stored records, without a reservation.
    pub fn from_records(records: &[(String, Box<RawValue>)]) -> Fetched {
        let json = to_json(None, records.iter().map(|(_, json)| json.as_ref()));
        Fetched { json, process_id: None, message_ids: records.iter().map(|(id, _)| id.clone()).collect() }
    }

    /// Each record's `MESSAGE_ID` and JSON.
    pub fn to_records(&self) -> Result<Vec<(String, Box<RawValue>)>> {
        #[derive(Deserialize)]
        struct RawRecords {
            events: Vec<Box<RawValue>>,
        }
        let raw: RawRecords = parse(METHOD, &self.json)?;
        Ok(self.message_ids.iter().cloned().zip(raw.events).collect())
    }
}

/// The values of a list or of a map.
#[derive(Deserialize)]
struct List<'a>(#[serde(borrow, deserialize_with = "php::values")] Vec<&'a RawValue>);

/// PHP's spellings of nothing.
fn is_nothing(json: &str) -> bool {
    matches!(json.trim(), "[]" | "{}" | "null" | "false" | "\"\"")
}

/// A record names its event or its change.
fn read_record(json: &RawValue) -> Option<Record> {
    let record = serde_json::from_str::<Record>(json.get());
    record.ok().filter(|record| !record.message_id.is_empty() || !record.event_name.is_empty())
}

/// A record with its `MESSAGE_ID`, as it came.
fn to_record(json: &RawValue) -> (String, Box<RawValue>) {
    match read_record(json) {
        Some(record) => (record.message_id, json.to_owned()),
        None => foreign(json),
    }
}

/// A record with something for its data that is none.
fn foreign(json: &RawValue) -> (String, Box<RawValue>) {
    #[derive(Serialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Foreign<'a> {
        message_id: &'static str,
        event_data: &'a RawValue,
    }
    // It was parsed from JSON, so writing it as JSON cannot fail.
    let wrapped = serde_json::value::to_raw_value(&Foreign { message_id: "", event_data: json });
    (String::new(), wrapped.unwrap_or_else(|_| json.to_owned()))
}

/// Records as `event.offline.get` returns them.
fn to_json<'a>(process_id: Option<&str>, records: impl Iterator<Item = &'a RawValue>) -> String {
    #[derive(Serialize)]
    struct Records<'a> {
        process_id: Option<&'a str>,
        events: Vec<&'a RawValue>,
    }
    // These were parsed from JSON, so writing them as JSON cannot fail.
    serde_json::to_string(&Records { process_id, events: records.collect() }).unwrap_or_default()
}

/// Parses a `result`. serde's text may be shown: the results of these methods hold no secrets.
pub(super) fn parse<'a, T: Deserialize<'a>>(method: &str, json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| unexpected_result(method, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_parsed_as_php_writes_them() {
        let record: Record = serde_json::from_str(
            r#"{"ID":"2","TIMESTAMP_X":"2026-11-24T10:00:00+03:00","EVENT_NAME":"ONCRMDEALADD",
               "EVENT_DATA":{"FIELDS":{"ID":7}},"EVENT_ADDITIONAL":[],
               "MESSAGE_ID":"d41d8cd98f00b204e9800998ecf8427e","PROCESS_ID":null,"ERROR":"1"}"#,
        )
        .unwrap();
        assert_eq!((record.id.as_str(), record.error, record.process_id.as_str()), ("2", 1, ""));
        assert_eq!(record.event_data.get(), r#"{"FIELDS":{"ID":7}}"#);
        let minimal: Record = serde_json::from_str(r#"{"ID":3,"EVENT_DATA":false}"#).unwrap();
        assert_eq!(
            (minimal.id.as_str(), minimal.event_data.get(), minimal.event_additional.get()),
            ("3", "false", "null")
        );
    }

    #[test]
    fn an_empty_queue_has_no_reservation() {
        let fetched = Fetched::parse(r#"{"process_id":null,"events":[]}"#.into()).unwrap();
        assert!(fetched.process_id.is_none() && fetched.message_ids.is_empty());
    }

    #[test]
    fn an_ordinary_answer_stays_the_text_that_it_is() {
        let json = r#" {"process_id":"p", "events":[{"ID": "1","MESSAGE_ID":"m"}]}"#;
        let fetched = Fetched::parse(json.into()).unwrap();
        assert_eq!((fetched.json.as_str(), fetched.process_id.as_deref()), (json, Some("p")));
        assert_eq!(fetched.message_ids, ["m"]);
    }

    #[test]
    fn records_in_a_map_come_in_its_order_and_can_be_stored() {
        let fetched = Fetched::parse(r#"{"events":{"10":{"MESSAGE_ID":"a"},"9":7,"8":[1]}}"#.into()).unwrap();
        assert_eq!(
            fetched.json,
            r#"{"process_id":null,"events":[{"MESSAGE_ID":"a"},{"MESSAGE_ID":"","EVENT_DATA":7},{"MESSAGE_ID":"","EVENT_DATA":[1]}]}"#
        );
        assert_eq!(Fetched::from_records(&fetched.to_records().unwrap()).json, fetched.json);
        assert_eq!(read_records(&fetched.json).unwrap().len(), 3);
    }
}
