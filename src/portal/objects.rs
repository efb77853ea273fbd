//! The objects that records are about: 50 distinct ones per request, each once.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::batch_call::MAX_CALLS;
use super::call::{Portal, Repeat};
use super::object_methods::{Change, Lookup, ObjectMethods};
use super::offline_events::{Record, read_records};
use super::{operating, php};
use crate::error::{Error, Result};

/// What the host gets for a record.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Outcome<'a> {
    /// The object as the portal's method returned it.
    Object { method: &'a str, object: &'a RawValue },
    /// The object is gone, so it was not asked for.
    Deleted,
    /// The portal refused the call.
    Error { method: &'a str, error: String, error_description: String, transient: bool },
    /// No method is known for the event, or the record names no object.
    Unknown,
}

/// What a record needs.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// The result of the call with this index.
    Call(usize),
    Deleted,
    Unknown,
}

/// The calls for some records: each object once.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    calls: Vec<Lookup>,
    needs: BTreeMap<String, Need>,
}

impl Plan {
    fn new(records: &[Record], methods: &ObjectMethods) -> Plan {
        let changes: Vec<Option<Change>> =
            records.iter().map(|record| methods.find(&record.event_name, &record.event_data)).collect();
        // The portal counts its records up: what was changed before it was deleted is gone, but a currency, whose id is a
        // code, may have been added again since.
        let number = |record: &Record| record.id.parse::<u64>().unwrap_or(0);
        let mut deleted: HashMap<&Lookup, u64> = HashMap::new();
        for (record, change) in records.iter().zip(&changes) {
            if let Some(Change { lookup, deletes: true }) = change {
                let last = deleted.entry(lookup).or_default();
                *last = number(record).max(*last);
            }
        }
        let mut plan = Plan::default();
        let mut indexes: HashMap<&Lookup, usize> = HashMap::new();
        for (record, change) in records.iter().zip(&changes) {
            let need = match change {
                None => Need::Unknown,
                Some(Change { deletes: true, .. }) => Need::Deleted,
                Some(change) if deleted.get(&change.lookup).is_some_and(|last| *last > number(record)) => Need::Deleted,
                Some(Change { lookup, .. }) => Need::Call(*indexes.entry(lookup).or_insert_with(|| {
                    plan.calls.push(lookup.clone());
                    plan.calls.len() - 1
                })),
            };
            plan.needs.insert(record.message_id.clone(), need);
        }
        plan
    }
}

/// How a call ended.
enum CallOutcome {
    Object(Box<RawValue>),
    Refused { error: String, error_description: String, transient: bool },
}

impl CallOutcome {
    fn failed(error: &Error) -> CallOutcome {
        CallOutcome::Refused {
            error: error.code().to_owned(),
            error_description: error.to_string(),
            transient: error.is_transient(),
        }
    }

    /// `json`: the portal's error, `{"error":…,"error_description":…}`.
    fn refused(error: &Error, json: &RawValue) -> CallOutcome {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Refusal {
            #[serde(deserialize_with = "php::text")]
            error: String,
            #[serde(deserialize_with = "php::text")]
            error_description: String,
        }
        let Refusal { error: code, error_description } = serde_json::from_str(json.get()).unwrap_or_default();
        CallOutcome::Refused { error: code, error_description, transient: error.is_transient() }
    }
}

impl Portal {
    /// The objects that records are about, as they are now. `records` is what `event.offline.get` returned. Blocks for
    /// one request for every 50 distinct objects, each for at most `http.timeout_ms`. Returns JSON:
    /// `{MESSAGE_ID:{"status":"object","method":…,"object":…},…}`; the other statuses are `deleted`, `error` and
    /// `unknown`.
    pub fn changed_objects(&self, records: &str) -> Result<String> {
        // Read anew each time: that takes microseconds, and kept it would take 20 KiB of every client.
        let methods = ObjectMethods::new(&self.object_methods);
        let plan = Plan::new(&read_records(records)?, &methods);
        let mut outcomes = Vec::with_capacity(plan.calls.len());
        for calls in plan.calls.chunks(MAX_CALLS) {
            outcomes.extend(self.look_up(calls)?);
        }
        let outcome = |need: &Need| match need {
            Need::Deleted => Outcome::Deleted,
            Need::Unknown => Outcome::Unknown,
            Need::Call(index) => match (plan.calls.get(*index), outcomes.get(*index)) {
                (Some(Lookup { method, .. }), Some(CallOutcome::Object(object))) => Outcome::Object { method, object },
                (Some(Lookup { method, .. }), Some(CallOutcome::Refused { error, error_description, transient })) => {
                    let (error, error_description) = (error.clone(), error_description.clone());
                    Outcome::Error { method, error, error_description, transient: *transient }
                }
                _ => Outcome::Unknown,
            },
        };
        let by_message_id: BTreeMap<_, _> = plan.needs.iter().map(|(id, need)| (id, outcome(need))).collect();
        // All of it was parsed from JSON, so writing it as JSON cannot fail.
        Ok(serde_json::to_string(&by_message_id).unwrap_or_default())
    }

    /// Makes up to 50 calls in one request. The outcomes are in the order of the calls.
    fn look_up(&self, calls: &[Lookup]) -> Result<Vec<CallOutcome>> {
        let now = self.ctx.clock.now();
        let blocked_for = |call: &Lookup| self.operating.blocked_for(&call.method, now);
        let allowed = calls.iter().enumerate().filter(|(_, call)| blocked_for(call).is_zero());
        let commands: Map<String, Value> = allowed.map(|(index, call)| (name(index), call.command().into())).collect();
        let mut results = match commands.is_empty() {
            true => Default::default(),
            false => self.run_batch(&Value::Object(commands), false, Repeat::Yes)?,
        };
        let outcome = |(index, call): (usize, &Lookup)| {
            let name = name(index);
            if let Some(object) = results.result.remove(&name) {
                return CallOutcome::Object(object);
            }
            match (results.error(&name), results.result_error.get(&name)) {
                (Some(error), Some(json)) => CallOutcome::refused(&error, json),
                _ if !blocked_for(call).is_zero() => {
                    CallOutcome::failed(&operating::too_late(&call.method, blocked_for(call)))
                }
                _ => CallOutcome::failed(&Error::protocol(format!(
                    "the portal did not answer a call of {} in a batch; call again",
                    call.method
                ))),
            }
        };
        Ok(calls.iter().enumerate().map(outcome).collect())
    }
}

/// The name of a call in a batch. Not a number alone: PHP would return the results as a list without names.
fn name(index: usize) -> String {
    format!("call{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its number in the queue is that of its letter.
    fn record(message_id: &str, event: &str, data: &str) -> Record {
        let number = message_id.as_bytes()[0];
        let json =
            format!(r#"{{"ID":"{number}","MESSAGE_ID":"{message_id}","EVENT_NAME":"{event}","EVENT_DATA":{data}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    fn plan(records: &[Record]) -> Plan {
        Plan::new(records, &ObjectMethods::new(&[]))
    }

    #[test]
    fn each_object_is_asked_for_once() {
        let records = [
            record("a", "ONCRMDEALADD", r#"{"FIELDS":{"ID":"7"}}"#),
            record("b", "ONCRMDEALUPDATE", r#"{"FIELDS":{"ID":7}}"#),
            record("c", "ONCRMLEADUPDATE", r#"{"FIELDS":{"ID":7}}"#),
        ];
        let plan = plan(&records);
        let commands: Vec<_> = plan.calls.iter().map(Lookup::command).collect();
        assert_eq!(commands, ["crm.deal.get?id=7", "crm.lead.get?id=7"]);
        assert_eq!(
            (&plan.needs["a"], &plan.needs["b"], &plan.needs["c"]),
            (&Need::Call(0), &Need::Call(0), &Need::Call(1))
        );
    }

    #[test]
    fn deleted_objects_are_not_asked_for_whatever_the_order() {
        let records = [
            record("b", "ONCRMDEALDELETE", r#"{"FIELDS":{"ID":7}}"#),
            record("a", "ONCRMDEALUPDATE", r#"{"FIELDS":{"ID":7}}"#),
            record("c", "ONTASKUPDATE", r#"{"FIELDS_BEFORE":{"ID":3},"FIELDS_AFTER":{"ID":3}}"#),
            record("d", "ONTASKDELETE", r#"{"FIELDS_BEFORE":{"ID":3},"FIELDS_AFTER":"undefined"}"#),
        ];
        let plan = plan(&records);
        assert!(plan.calls.is_empty() && plan.needs.values().all(|need| *need == Need::Deleted), "{plan:?}");
    }

    #[test]
    fn what_was_added_again_is_asked_for() {
        let records = [
            record("a", "ONCRMCURRENCYUPDATE", r#"{"FIELDS":{"ID":"USD"}}"#),
            record("b", "ONCRMCURRENCYDELETE", r#"{"FIELDS":{"ID":"USD"}}"#),
            record("c", "ONCRMCURRENCYADD", r#"{"FIELDS":{"ID":"USD"}}"#),
        ];
        let plan = plan(&records);
        let needs: Vec<_> = plan.needs.values().collect();
        assert_eq!(needs, [&Need::Deleted, &Need::Deleted, &Need::Call(0)]);
    }

    #[test]
    fn what_names_no_object_is_unknown() {
        let records = [
            record("a", "ONCRMDEALUPDATE", "[]"),
            record("b", "ONCRMDEALUPDATE", r#"{"FIELDS":{"ID":[1]}}"#),
            record("c", "ONCRMDEALUSERFIELDADD", r#"{"FIELDS":{"ID":1}}"#),
            record("d", "", "false"),
        ];
        let plan = plan(&records);
        assert!(plan.calls.is_empty() && plan.needs.values().all(|need| *need == Need::Unknown), "{plan:?}");
    }
}
