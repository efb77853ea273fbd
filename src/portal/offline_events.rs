//! The methods of offline events, with types (docs/protocol.md §2.1).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::batch_call::command;
use super::call::{Portal, Repeat};
use super::php;
use super::records::parse;
pub use super::records::{Fetched, Record, read_records};
use super::reserving::Turn;
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::state::store::{Reservation, ReservationList};

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
        let answer = self.call("event.offline.get", &params, Repeat::No)?.into_result();
        match mode {
            FetchMode::Reserve => Fetched::parse(answer),
            // Nobody else has them any more.
            FetchMode::Remove => Ok(Fetched::of_any_shape(answer)),
        }
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
        Ok(Fetched::from_list(Some(process_id), records.iter().map(Box::as_ref)))
    }

    /// `event.offline.list`: the reservations in this queue after the record with the `ID` `after`, in at most `max_pages`
    /// calls.
    pub fn reservations(&self, after: u64, max_pages: u32) -> Result<ReservationList> {
        let mut found: BTreeMap<String, Reservation> = BTreeMap::new();
        let mut last = Some(after);
        for _ in 0..max_pages {
            let Some(from) = last else { break };
            // Not by `start`: while others acknowledge, records move to earlier pages, and would be skipped.
            let page = self.list_queue(&json!({">PROCESS_ID": "", ">ID": from}), 0)?;
            let mut max = from;
            for record in page.records {
                let first_id = record.id.parse().unwrap_or(0);
                max = max.max(first_id);
                if !record.process_id.is_empty() {
                    let new =
                        Reservation { process_id: record.process_id.clone(), failed: record.error != 0, first_id };
                    let known = found.entry(record.process_id).or_insert(new);
                    known.first_id = known.first_id.min(first_id);
                }
            }
            // A portal that names the same page again must not keep us here for ever.
            last = Some(max).filter(|max| page.next.is_some() && *max > from);
        }
        Ok(ReservationList { reservations: found.into_values().collect(), after, last })
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
