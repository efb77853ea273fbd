//! The methods of offline events, with types (docs/protocol.md §2.1).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::unexpected_result;
use super::batch_call::command;
use super::call::{Portal, Repeat};
use super::php;
use super::reserving::Turn;
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::state::store::Reservation;

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
    fn parse(json: String) -> Result<Fetched> {
        #[derive(Deserialize)]
        struct Ids {
            #[serde(default, deserialize_with = "php::text")]
            process_id: String,
            #[serde(default)]
            events: Vec<MessageId>,
        }
        #[derive(Deserialize)]
        struct MessageId {
            #[serde(rename = "MESSAGE_ID", default, deserialize_with = "php::text")]
            message_id: String,
        }
        let ids: Ids = parse("event.offline.get", &json)?;
        Ok(Fetched {
            process_id: Some(ids.process_id).filter(|id| !id.is_empty()),
            message_ids: ids.events.into_iter().map(|record| record.message_id).collect(),
            json,
        })
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
            #[serde(default)]
            events: Vec<Box<RawValue>>,
        }
        let raw: RawRecords = parse("event.offline.get", &self.json)?;
        Ok(self.message_ids.iter().cloned().zip(raw.events).collect())
    }
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

/// What `event.offline.get` does with the records that it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchMode {
    /// `clear=0`: keeps them in the queue, reserved.
    Reserve,
    /// `clear=1`: deletes them.
    Remove,
}

/// The maximum number of records in one fetch.
pub const MAX_RECORDS: u32 = 1000;

/// One binding of `event.get`.
#[derive(Debug, Clone, Deserialize)]
pub struct Binding {
    /// The event's name.
    #[serde(default, deserialize_with = "php::text")]
    pub event: String,
    /// The handler's address; empty for offline bindings.
    #[serde(default, deserialize_with = "php::text")]
    pub handler: String,
    /// The connector id of the queue; empty for handlers and for the queue without one.
    #[serde(default, deserialize_with = "php::text")]
    pub connector_id: String,
    /// 1 for an offline binding.
    #[serde(default, deserialize_with = "php::number")]
    pub offline: u64,
}

/// A page of `event.offline.list`.
#[derive(Debug)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Where the next page starts, if there is one.
    pub next: Option<u64>,
}

impl Portal {
    /// `event.bind` with `event_type=offline`: from now on the portal queues these changes for the client. Binding an
    /// event again is not an error.
    pub fn bind_offline(&self, event: &str) -> Result<()> {
        match self.call("event.bind", &json!({"event": event, "event_type": "offline"}), Repeat::Yes) {
            Err(Error::Refused(refusal)) if is_already_bound(&refusal.code, &refusal.text) => Ok(()),
            other => other.map(drop),
        }
    }

    /// `event.unbind`: returns how many bindings were removed.
    pub fn unbind_offline(&self, event: &str) -> Result<u64> {
        #[derive(Deserialize)]
        struct Unbound {
            #[serde(default, deserialize_with = "php::number")]
            count: u64,
        }
        let answer = self.call("event.unbind", &json!({"event": event, "event_type": "offline"}), Repeat::Yes)?;
        Ok(parse::<Unbound>("event.unbind", answer.result())?.count)
    }

    /// `event.get`: all bindings of the application.
    pub fn bindings(&self) -> Result<Vec<Binding>> {
        let answer = self.call("event.get", &json!({}), Repeat::Yes)?;
        parse("event.get", answer.result())
    }

    /// Waits until no other thread of this client reserves records; `None` if that takes until the deadline.
    pub fn reserving_turn(&self, deadline: Deadline) -> Result<Option<Turn>> {
        self.reserving.turn(deadline, &*self.ctx.clock, &self.ctx.cancel)
    }

    /// `event.offline.get`: up to `limit` records; with `failed`, of those marked as failed.
    pub fn fetch_records(&self, _turn: &Turn, limit: u32, mode: FetchMode, failed: bool) -> Result<Fetched> {
        // Not repeated: if the answer was lost, the call has reserved or deleted records, and a repetition would
        // fetch others.
        let params = json!({"limit": limit, "clear": u8::from(mode == FetchMode::Remove), "error": u8::from(failed)});
        let answer = self.call("event.offline.get", &params, Repeat::No)?;
        Fetched::parse(answer.into_result())
    }

    /// `event.offline.get` of a reservation: up to `limit` of the records that are still in it; with `failed`, of those
    /// marked as failed.
    pub fn fetch_reservation(&self, process_id: &str, limit: u32, failed: bool) -> Result<Fetched> {
        let params = json!({"clear": 0, "process_id": process_id, "limit": limit, "error": u8::from(failed)});
        let answer = self.call("event.offline.get", &params, Repeat::Yes)?;
        Fetched::parse(answer.into_result())
    }

    /// The same by `event.offline.list`, which works on every plan.
    pub fn list_reservation(&self, process_id: &str, limit: u32, failed: bool) -> Result<Fetched> {
        #[derive(Deserialize)]
        struct RawPage {
            #[serde(default)]
            result: Vec<Box<RawValue>>,
            next: Option<u64>,
        }
        let limit = limit as usize;
        let filter = json!({"PROCESS_ID": process_id, "ERROR": u8::from(failed)});
        let mut records = Vec::new();
        let mut start = Some(0);
        while let Some(from) = start.filter(|_| records.len() < limit) {
            let page: RawPage = parse("event.offline.list", &self.list_page(&filter, from)?)?;
            records.extend(page.result);
            start = page.next.filter(|next| *next > from);
        }
        records.truncate(limit);
        Fetched::parse(to_json(Some(process_id), records.iter().map(Box::as_ref)))
    }

    /// `event.offline.list`: all reservations in this queue.
    pub fn reservations(&self) -> Result<BTreeSet<Reservation>> {
        let mut found = BTreeSet::new();
        let mut after = 0;
        loop {
            // Not by `start`: while others acknowledge, records move to earlier pages, and would be skipped.
            let page = self.list_queue(&json!({">PROCESS_ID": "", ">ID": after}), 0)?;
            let last = page.records.iter().filter_map(|record| record.id.parse::<u64>().ok()).max();
            let reserved = page.records.into_iter().filter(|record| !record.process_id.is_empty());
            found.extend(
                reserved.map(|record| Reservation { process_id: record.process_id, failed: record.error != 0 }),
            );
            // A portal that names the same page again must not keep us here for ever.
            match last.filter(|last| page.next.is_some() && *last > after) {
                Some(last) => after = last,
                None => break,
            }
        }
        Ok(found)
    }

    /// `event.offline.list`: a page of the queue, including reserved and failed records. Changes nothing.
    pub fn list_queue(&self, filter: &serde_json::Value, start: u64) -> Result<Page> {
        #[derive(Deserialize)]
        struct QueuePage {
            #[serde(default)]
            result: Vec<Record>,
            next: Option<u64>,
        }
        let page: QueuePage = parse("event.offline.list", &self.list_page(filter, start)?)?;
        Ok(Page { records: page.result, next: page.next })
    }

    fn list_page(&self, filter: &serde_json::Value, start: u64) -> Result<String> {
        let answer = self.call("event.offline.list", &json!({"filter": filter, "start": start}), Repeat::Yes)?;
        Ok(answer.into_text())
    }

    /// `event.offline.clear`: acknowledges records of a reservation, or all of it if `message_ids` is `None`.
    pub fn clear(&self, process_id: &str, message_ids: Option<&[&str]>) -> Result<()> {
        let params = match message_ids {
            Some(message_ids) => json!({"process_id": process_id, "message_id": message_ids}),
            None => json!({"process_id": process_id}),
        };
        self.call("event.offline.clear", &params, Repeat::Yes).map(drop)
    }

    /// Acknowledges all records of a reservation and reserves up to `limit` new ones, in one request. Returns `None` if
    /// only the second part has failed, or another thread of this client reserves at this moment: the records are
    /// acknowledged then, and nothing is reserved.
    pub fn clear_and_fetch(&self, process_id: &str, limit: u32) -> Result<Option<Fetched>> {
        let Some(_turn) = self.reserving.try_turn() else { return self.clear(process_id, None).map(|()| None) };
        // Commands run in the order of their names. With `halt`, nothing is fetched unless the first one succeeds.
        let commands = json!({
            "a": command("event.offline.clear", &json!({"process_id": process_id})),
            "b": command("event.offline.get", &json!({"limit": limit, "clear": 0})),
        });
        let results = self.run_batch(&commands, true, Repeat::No)?;
        if let Some(error) = results.error("a") {
            return Err(error);
        }
        results.result.get("b").map(|json| Fetched::parse(json.get().to_owned())).transpose()
    }

    /// `event.offline.error`: marks records of a reservation as failed.
    pub fn mark_failed(&self, process_id: &str, message_ids: &[&str]) -> Result<()> {
        let params = json!({"process_id": process_id, "message_id": message_ids});
        self.call("event.offline.error", &params, Repeat::Yes).map(drop)
    }
}

pub(crate) fn is_already_bound(code: &str, text: &str) -> bool {
    code == "ERROR_EVENT_BINDING_EXISTS" || text.contains("already binded") || text.contains("already bound")
}

/// The records in an answer to `event.offline.get`.
pub fn read_records(json: &str) -> Result<Vec<Record>> {
    #[derive(Deserialize)]
    struct Records {
        #[serde(default)]
        events: Vec<Record>,
    }
    parse::<Records>("event.offline.get", json).map(|parsed| parsed.events)
}

/// Parses a `result`. serde's text may be shown: the results of these methods hold no secrets.
fn parse<T: serde::de::DeserializeOwned>(method: &str, json: &str) -> Result<T> {
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
}
