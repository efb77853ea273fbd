//! From the queue to the host.

use super::setting::*;
use b24_emulator::Options;
use b24events::error::{Error, Status};
use b24events::portal::offline_events::read_records;
use serde_json::json;

#[test]
fn an_event_becomes_a_record_and_leaves_the_queue_when_acknowledged() {
    let setting = Setting::new();
    let client = setting.connected();
    setting.deals([7]);
    let notification = client.wait(LONG).unwrap().unwrap();
    assert_eq!((notification.count, notification.signalled), (1, true));
    let mut batch = client.fetch(0).unwrap();
    assert_eq!(setting.queued(), 1, "reserved, not gone");
    let json = batch.detach_json();
    let records = read_records(&json).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].event_name, "ONCRMDEALADD");
    assert_eq!(records[0].event_data.get(), r#"{"FIELDS":{"ID":"7"}}"#);
    assert_eq!(records[0].message_id.len(), 32);
    assert!(!batch.process_id().is_empty());
    batch.acknowledge().unwrap();
    assert_eq!(setting.queued(), 0);
    let calls = setting.emulator.counters();
    batch.acknowledge().unwrap();
    assert_eq!(setting.emulator.counters().requests, calls.requests, "acknowledging again asks nobody");
}

#[test]
fn next_waits_fetches_and_goes_on_without_waiting_while_there_is_more() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("fetch.limit", "4").unwrap();
    let client = setting.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    setting.deals(1..=10);
    client.connect(LONG).unwrap();
    let mut seen = Vec::new();
    for expected in [4, 4, 2] {
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!(batch.len(), expected);
        seen.extend(numbers(&mut batch));
        batch.acknowledge().unwrap();
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    assert!(client.next(AT_ONCE).unwrap().is_none());
    assert_eq!(setting.queued(), 0);
}

#[test]
fn records_are_acknowledged_and_marked_one_by_one() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals(1..=4);
    let mut batch = client.fetch(0).unwrap();
    let json = batch.detach_json();
    let ids: Vec<String> = read_records(&json).unwrap().into_iter().map(|record| record.message_id).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    batch.acknowledge_records(&[ids[1], ids[1]]).unwrap();
    batch.acknowledge_records(&[ids[1]]).unwrap();
    assert_eq!(setting.queued(), 3);
    batch.fail_records(&[ids[2]]).unwrap();
    batch.fail_records(&[ids[2]]).unwrap();
    for (ids, what) in [(["no such"], "unknown"), ([ids[1]], "acknowledged before")] {
        assert!(matches!(batch.fail_records(&ids), Err(Error::InvalidArgument(_))), "{what}");
    }
    assert!(matches!(batch.acknowledge_records(&[ids[0], "no such"]), Err(Error::InvalidArgument(_))));
    assert_eq!(setting.queued(), 3, "nothing is done by halves");
    batch.acknowledge().unwrap();
    let left = setting.emulator.queue("OneC");
    assert_eq!(left.len(), 1, "the failed one stays");
    assert_eq!((left[0].message_id.as_str(), left[0].error), (ids[2], true));
    assert!(client.fetch(0).unwrap().is_empty(), "and does not come again by itself");
    let stats = serde_json::from_str::<serde_json::Value>(&client.stats()).unwrap();
    assert_eq!((&stats["fetched"], &stats["acknowledged"], &stats["failed"]), (&json!(4), &json!(3), &json!(1)));
}

#[test]
fn a_plan_without_reservations_still_delivers() {
    let setting = Setting::with(Options { offline_extended: false, ..Options::default() });
    let client = setting.client();
    setting.deals([1, 2]);
    let mut batch = client.fetch(0).unwrap();
    assert_eq!((batch.len(), batch.process_id(), setting.queued()), (2, "", 0));
    assert!(setting.log().contains("does not allow to reserve"), "{}", setting.log());
    let json = batch.detach_json();
    let id = read_records(&json).unwrap()[0].message_id.clone();
    assert!(matches!(batch.fail_records(&[&id]), Err(Error::State(_))));
    batch.acknowledge().unwrap();

    let mut config = setting.config();
    config.set("fetch.reserve", "yes").unwrap();
    let strict = setting.client_of(&config);
    setting.deals([3]);
    assert_eq!(strict.fetch(0).err().unwrap().status(), Status::License);
    assert_eq!(setting.queued(), 1, "and nothing is taken");
}

#[test]
fn a_plan_that_shrinks_while_the_client_runs() {
    let setting = Setting::new();
    let client = setting.client();
    assert!(client.fetch(0).unwrap().is_empty());
    setting.control(json!({"plan": {"offline_extended": false, "auth_connector": true}}));
    setting.deals([1]);
    assert_eq!(client.fetch(0).unwrap().len(), 1);
}

#[test]
fn a_batch_that_is_dropped_stays_reserved() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1]);
    let process_id = client.fetch(0).unwrap().process_id().to_owned();
    let left = setting.emulator.queue("OneC");
    assert_eq!(left[0].process_id, process_id);
}

#[test]
fn the_limit_of_a_fetch_is_checked() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals(1..=5);
    assert_eq!(client.fetch(3).unwrap().len(), 3);
    assert!(matches!(client.fetch(1001), Err(Error::InvalidArgument(_))));
    assert_eq!(client.fetch(1000).unwrap().len(), 2);
}

#[test]
fn what_is_bound_can_be_unbound_and_both_can_be_repeated() {
    let setting = Setting::new();
    let client = setting.client();
    client.bind_event("ONCRMDEALADD").unwrap();
    client.unbind_event("ONCRMDEALADD").unwrap();
    client.unbind_event("ONCRMDEALADD").unwrap();
    setting.deals([1]);
    assert_eq!(setting.queued(), 0);
    let error = client.bind_event("ONNOSUCHTHING").unwrap_err();
    assert_eq!((error.status(), error.code()), (Status::Portal, "ERROR_EVENT_NOT_FOUND"));
    assert!(matches!(client.bind_event("no event"), Err(Error::InvalidArgument(_))));
}

#[test]
fn own_changes_do_not_come_back_but_others_do() {
    let setting = Setting::new();
    let client = setting.connected();
    client.call("crm.deal.add", r#"{"fields":{"TITLE":"made by us"}}"#).unwrap();
    assert_eq!(setting.queued(), 0);
    let mut config = setting.config();
    config.set("connector.id", "").unwrap();
    let other = setting.client_of(&config);
    other.call("crm.deal.add", r#"{"fields":{"TITLE":"made by another"}}"#).unwrap();
    assert_eq!(client.next(LONG).unwrap().unwrap().len(), 1);
}
