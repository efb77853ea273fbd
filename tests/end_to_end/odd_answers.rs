//! Answers of an odd shape to `event.offline.get`. The portal may have deleted the records in them, so nobody else has
//! them any more.

use super::support::*;
use b24events::config::Config;
use b24events::error::Status;
use b24events::portal::offline_events::read_records;
use serde_json::{Value, json};

const RECORD: &str = r#"{"ID":"7","EVENT_NAME":"ONCRMDEALADD","EVENT_DATA":{"FIELDS":{"ID":"7"}},"EVENT_ADDITIONAL":[],"MESSAGE_ID":"m7"}"#;

fn config(portal: &Portal, folder: &Folder, reserve: &str) -> Config {
    let mut config = portal.config();
    config.set("state.dir", folder.as_str()).unwrap();
    config.set("fetch.reserve", reserve).unwrap();
    config
}

fn answer_next_fetch(portal: &Portal, result: &str) {
    let body = format!(r#"{{"result":{result}}}"#);
    portal.control(json!({"fail_next": {"method": "event.offline.get", "status": 200, "body": body}}));
}

/// `EVENT_DATA` of each record.
fn data(json: &str) -> Vec<Value> {
    let records = read_records(json).unwrap();
    records.iter().map(|record| serde_json::from_str(record.event_data.get()).unwrap()).collect()
}

/// Fetches what the portal answers with, frees it, and fetches it again with the next client; then it is acknowledged.
fn is_not_lost(portal: &Portal, reserve: &str, result: &str, expected: &[Value]) {
    let folder = Folder::new();
    let config = config(portal, &folder, reserve);
    let client = portal.client_of(&config);
    answer_next_fetch(portal, result);
    let batch = client.fetch(0).unwrap();
    assert_eq!((data(batch.json()), batch.len()), (expected.to_vec(), expected.len()), "{result}");
    drop((batch, client));
    let next = portal.client_of(&config);
    let batch = next.fetch(0).unwrap();
    assert_eq!(data(batch.json()), expected, "{result}");
    batch.acknowledge().unwrap();
    assert!(next.fetch(0).unwrap().is_empty());
}

fn number(number: u32) -> Value {
    json!({"FIELDS": {"ID": number.to_string()}})
}

#[test]
fn records_that_the_portal_deleted_are_handed_out_whatever_their_shape() {
    let portal = Portal::start();
    for (result, expected) in [
        (format!(r#"{{"process_id":null,"events":[{RECORD}]}}"#), vec![number(7)]),
        (
            format!(r#"{{"process_id":null,"events":{{"3":{RECORD},"5":{}}}}}"#, RECORD.replace('7', "9")),
            vec![number(7), number(9)],
        ),
        (format!(r#"{{"events":{{"0":{RECORD}}}}}"#), vec![number(7)]),
        // What is no record is handed out as it came, in place of the data.
        (
            format!(r#"{{"events":[{RECORD},"x",{{"MESSAGE_ID":{{"y":1}}}}]}}"#),
            vec![number(7), json!("x"), json!({"MESSAGE_ID": {"y": 1}})],
        ),
        (r#"{"events":"text"}"#.into(), vec![json!({"events": "text"})]),
        (r#"[1,2]"#.into(), vec![json!([1, 2])]),
        (r#"{"items":[1]}"#.into(), vec![json!({"items": [1]})]),
        (r#""text""#.into(), vec![json!("text")]),
    ] {
        is_not_lost(&portal, "no", &result, &expected);
    }
}

#[test]
fn an_answer_without_records_is_empty_in_every_spelling() {
    let portal = Portal::start();
    for result in [
        "{\"process_id\":null,\"events\":[]}",
        "{\"process_id\":\"\",\"events\":{}}",
        "{\"events\":null}",
        "{\"events\":false}",
        "[]",
        "{}",
        "false",
    ] {
        for reserve in ["no", "auto"] {
            let folder = Folder::new();
            let client = portal.client_of(&config(&portal, &folder, reserve));
            answer_next_fetch(&portal, result);
            assert!(client.fetch(0).unwrap().is_empty(), "{result}");
        }
    }
}

#[test]
fn records_without_a_reservation_are_kept_although_one_was_asked_for() {
    let portal = Portal::start();
    let result = format!(r#"{{"process_id":null,"events":[{RECORD}]}}"#);
    is_not_lost(&portal, "auto", &result, &[number(7)]);
    is_not_lost(&portal, "yes", &result, &[number(7)]);
}

#[test]
fn a_reservation_whose_records_are_a_map_is_acknowledged_like_any_other() {
    let portal = Portal::start();
    let client = portal.client();
    answer_next_fetch(&portal, &format!(r#"{{"process_id":"p","events":{{"1":{RECORD}}}}}"#));
    let mut batch = client.fetch(0).unwrap();
    assert_eq!(batch.process_id(), "p");
    assert_eq!(message_ids(&mut batch), ["m7"]);
}

#[test]
fn records_that_come_with_an_acknowledgement_are_kept_without_a_reservation_too() {
    let portal = Portal::start();
    let folder = Folder::new();
    let client = portal.client_of(&config(&portal, &folder, "auto"));
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals([1]);
    let batch = client.fetch(1).unwrap();
    let fetched = format!(r#"{{"process_id":null,"events":{{"1":{RECORD}}}}}"#);
    let body = format!(r#"{{"result":{{"result":{{"a":true,"b":{fetched}}},"result_error":[]}}}}"#);
    portal.control(json!({"fail_next": {"method": "batch", "status": 200, "body": body}}));
    batch.acknowledge().unwrap();
    assert_eq!(numbers(&mut client.fetch(0).unwrap()), [7]);
}

#[test]
fn an_answer_to_a_reserving_call_that_holds_no_records_is_an_error() {
    let portal = Portal::start();
    let client = portal.client();
    for result in ["[1,2]", "\"text\"", r#"{"items":[1]}"#] {
        answer_next_fetch(&portal, result);
        assert_eq!(client.fetch(0).err().map(|error| error.status()), Some(Status::Protocol), "{result}");
    }
}
