//! From the queue to the host.

use super::support::*;
use b24_emulator::Options;
use b24events::clock::Timeout;
use b24events::error::{Error, Status};
use b24events::portal::offline_events::read_records;
use serde_json::json;
use std::thread;
use std::time::Duration;

#[test]
fn an_event_becomes_a_record_and_leaves_the_queue_when_acknowledged() {
    let portal = Portal::start();
    let client = portal.connected();
    portal.add_deals([7]);
    let notification = client.wait(LONG).unwrap().unwrap();
    assert_eq!((notification.count, notification.signalled), (1, true));
    let mut batch = client.fetch(0).unwrap();
    assert_eq!(portal.queued(), 1, "reserved, not gone");
    let json = batch.detach_json();
    let records = read_records(&json).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].event_name, "ONCRMDEALADD");
    assert_eq!(records[0].event_data.get(), r#"{"FIELDS":{"ID":"7"}}"#);
    assert_eq!(records[0].message_id.len(), 32);
    assert!(!batch.process_id().is_empty());
    batch.acknowledge().unwrap();
    assert_eq!(portal.queued(), 0);
    let calls = portal.emulator.counters();
    batch.acknowledge().unwrap();
    assert_eq!(portal.emulator.counters().requests, calls.requests, "acknowledging again makes no request");
}

#[test]
fn next_does_not_wait_while_the_queue_has_more() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("fetch.limit", "4").unwrap();
    let client = portal.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals(1..=10);
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
    assert_eq!(portal.queued(), 0);
}

#[test]
fn records_are_acknowledged_and_marked_one_by_one() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals(1..=4);
    let mut batch = client.fetch(0).unwrap();
    let ids = message_ids(&mut batch);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    batch.acknowledge_records(&[ids[1], ids[1]]).unwrap();
    batch.acknowledge_records(&[ids[1]]).unwrap();
    assert_eq!(portal.queued(), 3);
    batch.fail_records(&[ids[2]]).unwrap();
    batch.fail_records(&[ids[2]]).unwrap();
    for (ids, what) in [(["no such"], "unknown"), ([ids[1]], "acknowledged before")] {
        assert!(matches!(batch.fail_records(&ids), Err(Error::InvalidArgument(_))), "{what}");
    }
    assert!(matches!(batch.acknowledge_records(&[ids[0], "no such"]), Err(Error::InvalidArgument(_))));
    assert_eq!(portal.queued(), 3, "a call with one wrong record changes none");
    batch.acknowledge().unwrap();
    let left = portal.emulator.queue("OneC");
    assert_eq!(left.len(), 1, "the failed one stays");
    assert_eq!((left[0].message_id.as_str(), left[0].error), (ids[2], true));
    assert!(client.fetch(0).unwrap().is_empty(), "and an ordinary fetch leaves it out");
    let stats = stats(&client);
    assert_eq!((&stats["fetched"], &stats["acknowledged"], &stats["failed"]), (&json!(4), &json!(3), &json!(1)));
}

#[test]
fn a_plan_without_reservations_still_delivers() {
    let portal = Portal::with(Options { offline_extended: false, ..Options::default() });
    let client = portal.client();
    portal.add_deals([1, 2]);
    let mut batch = client.fetch(0).unwrap();
    assert_eq!((batch.len(), batch.process_id(), portal.queued()), (2, "", 0));
    assert!(portal.log().contains("does not allow to reserve"), "{}", portal.log());
    let ids = message_ids(&mut batch);
    assert!(matches!(batch.fail_records(&[&ids[0]]), Err(Error::State(_))));
    batch.acknowledge().unwrap();

    let mut config = portal.config();
    config.set("fetch.reserve", "yes").unwrap();
    let strict = portal.client_of(&config);
    portal.add_deals([3]);
    assert_eq!(strict.fetch(0).err().unwrap().status(), Status::License);
    assert_eq!(portal.queued(), 1, "and nothing was fetched");
}

#[test]
fn a_plan_that_loses_reservations_still_delivers() {
    let portal = Portal::start();
    let client = portal.client();
    assert!(client.fetch(0).unwrap().is_empty());
    portal.control(json!({"plan": {"offline_extended": false, "auth_connector": true}}));
    portal.add_deals([1]);
    assert_eq!(client.fetch(0).unwrap().len(), 1);
}

#[test]
fn whether_the_plan_has_reservations_is_tried_and_not_asked_for() {
    let portal = Portal::start();
    let client = portal.client();
    let calls = |method: &str| portal.emulator.counters().calls.get(method).copied().unwrap_or_default();
    let fetched = || {
        let before = calls("event.offline.get");
        client.fetch(0).unwrap().acknowledge().unwrap();
        calls("event.offline.get") - before
    };
    assert_eq!(fetched(), 1);
    portal.control(json!({"plan": {"offline_extended": false, "auth_connector": true}}));
    assert_eq!(fetched(), 2, "refused, then with clear=1");
    assert_eq!((fetched(), fetched()), (1, 1), "it is not refused again and again");
    portal.clock.advance(Duration::from_secs(10 * 60));
    assert_eq!((fetched(), fetched()), (2, 1), "the portal may be paid for by now");
    portal.control(json!({"plan": {"offline_extended": true, "auth_connector": true}}));
    portal.clock.advance(Duration::from_secs(10 * 60));
    portal.add_deals([1]);
    assert!(!client.fetch(0).unwrap().process_id().is_empty(), "it is, so records are reserved again");
    assert_eq!(calls("feature.get"), 0);
}

#[test]
fn a_plan_without_connectors_is_not_taken_for_one_without_reservations() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    portal.control(json!({"plan": {"offline_extended": true, "auth_connector": false}}));
    let error = client.fetch(0).err().unwrap();
    assert_eq!((error.status(), error.code()), (Status::License, "WRONG_LICENSE"));
    assert!(error.to_string().contains("connector.id") && !error.to_string().contains("fetch.reserve"), "{error}");
    portal.control(json!({"plan": {"offline_extended": true, "auth_connector": true}}));
    assert!(!client.fetch(0).unwrap().process_id().is_empty(), "it is still reserved");
}

#[test]
fn a_batch_without_acknowledgement_stays_reserved() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    let process_id = client.fetch(0).unwrap().process_id().to_owned();
    let left = portal.emulator.queue("OneC");
    assert_eq!(left[0].process_id, process_id);
}

#[test]
fn a_fetch_keeps_to_its_limit_of_at_most_1000() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals(1..=5);
    assert_eq!(client.fetch(3).unwrap().len(), 3);
    assert!(matches!(client.fetch(1001), Err(Error::InvalidArgument(_))));
    assert_eq!(client.fetch(1000).unwrap().len(), 2);
}

#[test]
fn binding_and_unbinding_can_be_repeated() {
    let portal = Portal::start();
    let client = portal.client();
    client.bind_event("ONCRMDEALADD").unwrap();
    client.unbind_event("ONCRMDEALADD").unwrap();
    client.unbind_event("ONCRMDEALADD").unwrap();
    portal.add_deals([1]);
    assert_eq!(portal.queued(), 0);
    let error = client.bind_event("ONNOSUCHTHING").unwrap_err();
    assert_eq!((error.status(), error.code()), (Status::Portal, "ERROR_EVENT_NOT_FOUND"));
    assert!(matches!(client.bind_event("no event"), Err(Error::InvalidArgument(_))));
}

#[test]
fn an_event_that_another_call_binds_at_this_moment_is_bound_after_a_pause() {
    let portal = Portal::start();
    let client = portal.client_of(&portal.config());
    let busy = |times: u32| {
        portal.control(json!({"fail_next": {
            "method": "event.bind", "times": times, "status": 400, "error": "ERROR_CORE",
            "description": "Unable to set event handler: Process of binding the handler has already started"
        }}));
    };
    busy(2);
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals([1]);
    assert_eq!(portal.queued(), 1);
    busy(100);
    let error = client.bind_event("ONCRMDEALUPDATE").unwrap_err();
    assert_eq!((error.status(), error.is_transient()), (Status::Portal, true));
    assert!(error.to_string().contains("short pause"), "{error}");
}

#[test]
fn changes_through_the_own_connector_do_not_come_back() {
    let portal = Portal::start();
    let client = portal.connected();
    client.call("crm.deal.add", r#"{"fields":{"TITLE":"made by us"}}"#).unwrap();
    assert_eq!(portal.queued(), 0);
    let mut config = portal.config();
    config.set("connector.id", "").unwrap();
    let other = portal.client_of(&config);
    other.call("crm.deal.add", r#"{"fields":{"TITLE":"made by another"}}"#).unwrap();
    assert_eq!(client.next(LONG).unwrap().unwrap().len(), 1);
}

/// While one thread fetches, another one waits for its turn: no longer than it was told to, and not once the client is
/// closed.
#[test]
fn a_thread_that_waits_for_another_ones_fetch_keeps_its_time() {
    let portal = Portal::start();
    let client = portal.connected();
    portal.control(json!({"delay_next": {"method": "event.offline.get", "ms": 600_000}}));
    thread::scope(|scope| {
        let slow = scope.spawn(|| client.fetch(0).map(drop));
        until("the slow fetch", || portal.emulator.counters().faults_applied == 1);
        portal.add_deals([1]);
        // The notification is for the queue, not for whoever waits: this one gets it and cannot use it.
        assert!(client.next(Timeout::from_millis(50)).unwrap().is_none());
        assert!(!slow.is_finished(), "its answer takes ten minutes");
        assert!(client.wait(LONG).unwrap().is_some(), "what it could not use is given back");
        let pending = [scope.spawn(|| client.fetch(0).map(drop)), scope.spawn(|| client.next(LONG).map(drop))];
        client.close();
        for thread in pending.into_iter().chain([slow]) {
            assert_eq!(thread.join().unwrap().unwrap_err(), Error::Closed);
        }
    });
}
