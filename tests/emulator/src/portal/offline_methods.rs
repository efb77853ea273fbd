//! `event.offline.*`

use std::collections::HashSet;
use std::time::Duration;

use crate::php::value::{Value, json};

use super::call::{Caller, Outcome, Params, Success};
use super::error::RestError;
use super::filter::{Filter, Order};
use super::hit::Hit;
use super::offline::{QueueRecord, Selection};
use super::{PAGE, Portal};
use crate::{php, random};

fn check(caller: &Caller) -> Result<(), RestError> {
    caller.require_application()?;
    caller.require_admin("")
}

/// Returns records and deletes them, or reserves them with `clear=0`.
pub fn get(hit: &mut Hit, caller: &Caller, params: &Params) -> Outcome {
    check(caller)?;
    let clear = params.int("clear").unwrap_or(1) != 0;
    if !clear && !hit.plan.offline_extended {
        return Err(RestError::wrong_license("extended offline events handling"));
    }
    let limit = params.int("limit").unwrap_or(PAGE as i64);
    let limit = usize::try_from(limit)
        .ok()
        .filter(|limit| *limit > 0)
        .ok_or_else(|| RestError::wrong_value("LIMIT", "Value must be positive integer"))?;
    let selection = Selection {
        connector: &caller.connector,
        filter: &Filter::parse(params.get("filter"), &QueueRecord::kind)?,
        order: &Order::parse(params.get("order"), "TIMESTAMP_X", &QueueRecord::kind)?,
        limit,
        error: params.int("error") == Some(1),
    };
    let given = params.get("process_id").map(|_| params.text("process_id").trim().to_owned());
    let shown = given.is_some() || !clear;
    let process_id = match given {
        Some(process_id) => process_id,
        None => reserve(hit, &selection)?,
    };
    let events: Vec<Value> = hit.queue.select(&selection, &process_id).map(QueueRecord::json).collect();
    if clear && !events.is_empty() {
        // All records of the process are deleted, even those that the limit or the filter left out.
        hit.queue.remove(&process_id, &caller.connector, |_| true);
    }
    Ok(json!({"process_id": shown.then_some(process_id), "events": events}).into())
}

/// Selects free records, then writes a new process id into them. Nothing guards the time in between: another hit may
/// select the same records, and then the process id that is written last stays.
fn reserve(hit: &mut Hit, selection: &Selection) -> Result<String, RestError> {
    selection.filter.check_reserving()?;
    let process_id = random::hex(32);
    let ids: HashSet<u64> = hit.queue.select(selection, "").map(|record| record.id).collect();
    let window = hit.timing.reservation_race;
    hit.let_others_in(window);
    hit.queue.mark(&ids, &process_id);
    hit.let_others_in(Duration::ZERO);
    Ok(process_id)
}

pub fn list(portal: &Portal, caller: &Caller, params: &Params, start: i64) -> Outcome {
    check(caller)?;
    let filter = Filter::parse(params.get("filter"), &QueueRecord::kind_in_list)?;
    let order = Order::parse(params.get("order"), "ID", &QueueRecord::kind_in_list)?;
    let mut found: Vec<&QueueRecord> = portal
        .queue
        .records()
        .iter()
        .filter(|record| record.connector_id == caller.connector)
        .filter(|record| filter.accepts(&|field| record.field(field)))
        .collect();
    found.sort_by(|a, b| order.compare(&|field| a.field(field), &|field| b.field(field)));
    let offset = usize::try_from(start).unwrap_or(0);
    let page: Vec<Value> = found.iter().skip(offset).take(PAGE).map(|record| record.json_in_list()).collect();
    let seen = offset + page.len();
    Ok(Success {
        next: (seen < found.len()).then_some(seen as u64),
        total: Some(found.len() as u64),
        result: Value::Array(page),
    })
}

/// Deletes records of a process: those that are named, or all.
pub fn clear(portal: &mut Portal, caller: &Caller, params: &Params) -> Outcome {
    check(caller)?;
    let process_id = required_process_id(params)?;
    if let Some(list) = params.get("message_id") {
        let wrong = |argument| RestError::wrong_value(argument, "Value must be array of MESSAGE_ID values");
        let message_ids = texts(list).ok_or_else(|| wrong("message_id"))?;
        if message_ids.iter().any(|id| id.chars().count() != 32) {
            // The vendor's spelling.
            return Err(wrong("messsage_id"));
        }
        portal.queue.remove(&process_id, &caller.connector, |record| {
            message_ids.is_empty() || message_ids.contains(&record.message_id)
        });
    } else if let Some(list) = params.get("id") {
        let wrong = || RestError::wrong_value("id", "Value must be array of integers");
        let ids: Vec<u64> = texts(list)
            .ok_or_else(wrong)?
            .into_iter()
            .map(|id| u64::try_from(php::int(&Value::String(id))).ok().filter(|id| *id > 0).ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        portal.queue.remove(&process_id, &caller.connector, |record| ids.is_empty() || ids.contains(&record.id));
    } else {
        portal.queue.remove(&process_id, &caller.connector, |_| true);
    }
    Ok(json!(true).into())
}

pub fn error(portal: &mut Portal, caller: &Caller, params: &Params) -> Outcome {
    check(caller)?;
    let process_id = required_process_id(params)?;
    let message_ids = params
        .get("message_id")
        .and_then(texts)
        .ok_or_else(|| RestError::wrong_value("message_id", "Value must be array of MESSAGE_ID values"))?;
    portal.queue.mark_error(&process_id, &caller.connector, &message_ids);
    Ok(json!(true).into())
}

fn required_process_id(params: &Params) -> Result<String, RestError> {
    params
        .get("process_id")
        .map(|_| params.text("process_id").trim().to_owned())
        .ok_or_else(|| RestError::missing_argument("PROCESS_ID"))
}

/// The texts of an array; `None` for a scalar.
fn texts(list: &Value) -> Option<Vec<String>> {
    if !list.is_array() {
        return None;
    }
    let text = |(_, value): (String, &Value)| php::text(value).unwrap_or_default().trim().to_owned();
    Some(php::entries(list).into_iter().map(text).collect())
}
