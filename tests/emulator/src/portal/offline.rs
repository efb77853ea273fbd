//! The queue of offline events: one record per message, connector and process.

use std::collections::HashSet;

use crate::php::value::{Map, Value, json};
use md5::{Digest, Md5};
use serde::Serialize;

use super::filter::{Filter, Kind, Order};
use crate::random::hex_of;
use crate::{php, time};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueRecord {
    pub id: u64,
    /// Unix seconds.
    pub timestamp: i64,
    pub message_id: String,
    pub event_name: String,
    pub event_data: Value,
    pub event_additional: Value,
    /// Empty while the record is free.
    pub process_id: String,
    pub connector_id: String,
    pub error: bool,
}

#[derive(Default)]
pub struct OfflineQueue {
    records: Vec<QueueRecord>,
    last_id: u64,
}

/// A query of `event.offline.get`.
pub struct Selection<'a> {
    pub connector: &'a str,
    pub filter: &'a Filter,
    pub order: &'a Order,
    pub limit: usize,
    pub error: bool,
}

impl OfflineQueue {
    pub fn records(&self) -> &[QueueRecord] {
        &self.records
    }

    pub fn clear(&mut self) {
        self.records.clear();
    }

    /// Adds an event. A record of the same object is refreshed and keeps its id and its error mark, unless it is
    /// reserved: then a new record is added.
    pub fn add(&mut self, now: i64, event_name: &str, data: &Value, additional: &Value, connector: &str) {
        let message_id = message_id(event_name, data);
        let same = self.records.iter_mut().find(|record| {
            record.message_id == message_id && record.connector_id == connector && record.process_id.is_empty()
        });
        if let Some(record) = same {
            record.timestamp = now;
            record.event_data = data.clone();
            record.event_additional = additional.clone();
            return;
        }
        self.last_id += 1;
        self.records.push(QueueRecord {
            id: self.last_id,
            timestamp: now,
            message_id,
            event_name: event_name.to_owned(),
            event_data: data.clone(),
            event_additional: additional.clone(),
            process_id: String::new(),
            connector_id: connector.to_owned(),
            error: false,
        });
    }

    /// Reserves records for a process, whoever has reserved them before.
    pub fn mark(&mut self, ids: &HashSet<u64>, process_id: &str) {
        for record in self.records.iter_mut().filter(|record| ids.contains(&record.id)) {
            process_id.clone_into(&mut record.process_id);
        }
    }

    /// Deletes the records whose last change was before this time, reserved and failed ones too.
    pub fn expire(&mut self, before: i64) {
        self.records.retain(|record| record.timestamp >= before);
    }

    /// Matching records of a process; an empty process id means free records.
    pub fn select<'a>(
        &'a self,
        selection: &Selection,
        process_id: &str,
    ) -> impl Iterator<Item = &'a QueueRecord> + use<'a> {
        let mut found: Vec<&QueueRecord> = self
            .records
            .iter()
            .filter(|record| {
                record.connector_id == selection.connector
                    && record.process_id == process_id
                    && record.error == selection.error
                    && selection.filter.accepts(&|field| record.field(field))
            })
            .collect();
        found.sort_by(|a, b| selection.order.compare(&|field| a.field(field), &|field| b.field(field)));
        found.into_iter().take(selection.limit)
    }

    /// Deletes records of a process; all of them when `which` accepts all.
    pub fn remove(&mut self, process_id: &str, connector: &str, which: impl Fn(&QueueRecord) -> bool) {
        self.records
            .retain(|record| !(record.process_id == process_id && record.connector_id == connector && which(record)));
    }

    /// Marks messages as failed. All records of such a message become one, free again, as the vendor's three
    /// statements do it: other processes' records of the message go, the process's own loses its reservation.
    pub fn mark_error(&mut self, process_id: &str, connector: &str, message_ids: &[String]) {
        self.records.retain_mut(|record| {
            let concerned =
                !record.error && record.connector_id == connector && message_ids.contains(&record.message_id);
            if !concerned {
                return true;
            }
            if record.process_id != process_id {
                return false;
            }
            record.error = true;
            record.process_id.clear();
            true
        });
    }
}

impl QueueRecord {
    /// Kind of a field of `event.offline.get`.
    pub fn kind(field: &str) -> Option<Kind> {
        match field {
            "ID" => Some(Kind::Number),
            "TIMESTAMP_X" => Some(Kind::Time),
            "EVENT_NAME" | "MESSAGE_ID" => Some(Kind::Text),
            _ => None,
        }
    }

    /// Kind of a field of `event.offline.list`.
    pub fn kind_in_list(field: &str) -> Option<Kind> {
        match field {
            "PROCESS_ID" => Some(Kind::Text),
            "ERROR" => Some(Kind::Number),
            other => Self::kind(other),
        }
    }

    pub fn field(&self, field: &str) -> String {
        match field {
            "ID" => self.id.to_string(),
            "TIMESTAMP_X" => time::iso(self.timestamp),
            "EVENT_NAME" => self.event_name.clone(),
            "MESSAGE_ID" => self.message_id.clone(),
            "PROCESS_ID" => self.process_id.clone(),
            "ERROR" => u8::from(self.error).to_string(),
            _ => String::new(),
        }
    }

    /// The record in an answer of `event.offline.get`.
    pub fn json(&self) -> Value {
        Value::Object(self.fields())
    }

    fn fields(&self) -> Map {
        let field = |name: &str| (name.to_owned(), json!(self.field(name)));
        Map::from([
            field("ID"),
            field("TIMESTAMP_X"),
            field("EVENT_NAME"),
            ("EVENT_DATA".to_owned(), self.event_data.clone()),
            ("EVENT_ADDITIONAL".to_owned(), self.event_additional.clone()),
            field("MESSAGE_ID"),
        ])
    }

    /// The record in an answer of `event.offline.list`.
    pub fn json_in_list(&self) -> Value {
        let mut record = self.fields();
        record.insert("PROCESS_ID".to_owned(), json!(self.process_id));
        record.insert("ERROR".to_owned(), json!(self.field("ERROR")));
        Value::Object(record)
    }
}

fn message_id(event_name: &str, data: &Value) -> String {
    hex_of(&Md5::digest(format!("{event_name}|{}", php::json::encode(data))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(filter: &Value) -> Filter {
        Filter::parse(Some(filter), &QueueRecord::kind).unwrap()
    }

    fn reserve(queue: &mut OfflineQueue, limit: usize, error: bool) -> (String, Vec<u64>) {
        let filter = filter(&json!([]));
        let order = Order::parse(None, "TIMESTAMP_X", &QueueRecord::kind).unwrap();
        let selection = Selection { connector: "", filter: &filter, order: &order, limit, error };
        let process_id = crate::random::hex(32);
        let free = queue.select(&selection, "").map(|record| record.id).collect();
        queue.mark(&free, &process_id);
        let ids = queue.select(&selection, &process_id).map(|record| record.id).collect();
        (process_id, ids)
    }

    fn deal(id: u32) -> Value {
        json!({"FIELDS": {"ID": id.to_string()}})
    }

    fn with(ids: impl IntoIterator<Item = u32>) -> OfflineQueue {
        let mut queue = OfflineQueue::default();
        for id in ids {
            queue.add(i64::from(id), "ONCRMDEALADD", &deal(id), &json!([]), "");
        }
        queue
    }

    #[test]
    fn message_id_is_md5_of_name_and_data() {
        let known = hex_of(&Md5::digest(br#"ONCRMDEALADD|{"FIELDS":{"ID":"1"}}"#));
        assert_eq!(message_id("ONCRMDEALADD", &deal(1)), known);
    }

    #[test]
    fn a_repeated_change_refreshes_the_record() {
        let mut queue = with([1]);
        queue.add(9, "ONCRMDEALADD", &deal(1), &json!([]), "");
        queue.add(9, "ONCRMDEALADD", &deal(1), &json!([]), "OneC");
        assert_eq!(queue.records().len(), 2);
        assert_eq!((queue.records()[0].id, queue.records()[0].timestamp), (1, 9));
    }

    #[test]
    fn reserved_records_are_hidden_and_a_change_makes_a_new_one() {
        let mut queue = with([1, 2, 3]);
        let (first, ids) = reserve(&mut queue, 2, false);
        assert_eq!(ids, [1, 2]);
        let (second, ids) = reserve(&mut queue, 50, false);
        assert_eq!(ids, [3]);
        assert_ne!(first, second);
        queue.add(9, "ONCRMDEALADD", &deal(1), &json!([]), "");
        assert_eq!(queue.records().len(), 4);
        queue.remove(&first, "", |_| true);
        assert_eq!(reserve(&mut queue, 50, false).1, [4]);
    }

    #[test]
    fn failed_records_come_only_when_asked_for_and_stay_failed() {
        let mut queue = with([1, 2]);
        let (process_id, _) = reserve(&mut queue, 50, false);
        queue.add(9, "ONCRMDEALADD", &deal(1), &json!([]), "");
        let message = queue.records()[0].message_id.clone();
        queue.mark_error(&process_id, "", &[message]);
        assert_eq!(queue.records().len(), 2, "the newer record of the message is merged into the failed one");
        assert_eq!(reserve(&mut queue, 50, false).1, Vec::<u64>::new());
        queue.add(10, "ONCRMDEALADD", &deal(1), &json!([]), "");
        assert_eq!(reserve(&mut queue, 50, true).1, [1]);
    }

    #[test]
    fn the_later_mark_stays() {
        let mut queue = with([1, 2]);
        queue.mark(&HashSet::from([1, 2]), "first");
        queue.mark(&HashSet::from([2, 3]), "second");
        let marks: Vec<&str> = queue.records().iter().map(|record| record.process_id.as_str()).collect();
        assert_eq!(marks, ["first", "second"]);
    }

    #[test]
    fn old_records_are_deleted_by_their_last_change() {
        let mut queue = with([1, 2, 3]);
        queue.add(9, "ONCRMDEALADD", &deal(1), &json!([]), "");
        queue.mark(&HashSet::from([3]), "reserved");
        queue.expire(9);
        assert_eq!(queue.records().iter().map(|record| record.id).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn mark_error_of_a_foreign_process_deletes_as_the_vendor_does() {
        let mut queue = with([1]);
        let message = queue.records()[0].message_id.clone();
        queue.mark_error("nobody", "", &[message]);
        assert!(queue.records().is_empty());
    }
}
