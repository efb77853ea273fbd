//! The objects that records are about.

use super::support::*;
use b24events::client::Client;
use serde_json::{Value, json};

const EVENTS: [&str; 4] = ["ONCRMDEALADD", "ONCRMDEALUPDATE", "ONCRMDEALDELETE", "ONCRMCOMPANYADD"];

fn client(portal: &Portal) -> Client {
    let client = portal.client_with(&[("fetch.limit", "1000")]);
    EVENTS.iter().for_each(|event| client.bind_event(event).unwrap());
    client
}

/// Somebody else, whose changes reach the client's queue.
fn somebody(portal: &Portal) -> Client {
    portal.client_with(&[("connector.id", "")])
}

fn call(client: &Client, method: &str, params: Value) {
    client.call(method, &params.to_string()).unwrap();
}

/// What the batch says of each record: event, and the outcome for it.
fn objects(client: &Client) -> Vec<(String, Value)> {
    let mut batch = client.fetch(0).unwrap();
    let records = batch.detach_json();
    let objects: Value = serde_json::from_str(&batch.objects(&records).unwrap()).unwrap();
    let records: Value = serde_json::from_str(&records).unwrap();
    let records = records["events"].as_array().unwrap();
    assert_eq!(objects.as_object().unwrap().len(), records.len(), "{objects}");
    let outcome = |record: &Value| {
        let id = record["MESSAGE_ID"].as_str().unwrap();
        (record["EVENT_NAME"].as_str().unwrap().to_owned(), objects[id].clone())
    };
    records.iter().map(outcome).collect()
}

fn outcome_of<'a>(found: &'a [(String, Value)], event: &str) -> &'a Value {
    &found.iter().find(|(name, _)| name == event).expect(event).1
}

#[test]
fn each_record_comes_with_its_object() {
    let portal = Portal::start();
    let (client, somebody) = (client(&portal), somebody(&portal));
    let titled = |title: &str| json!({"fields": {"TITLE": title}});
    call(&somebody, "crm.deal.add", titled("kept"));
    call(&somebody, "crm.deal.update", json!({"id": 1, "fields": {"TITLE": "changed"}}));
    call(&somebody, "crm.deal.add", titled("deleted"));
    call(&somebody, "crm.deal.delete", json!({"id": 2}));
    call(&somebody, "crm.company.add", json!({"fields": {"TITLE": "№ \"1\""}}));
    let mut found = objects(&client);
    found.retain(|(_, outcome)| outcome["status"] != "deleted");
    for event in ["ONCRMDEALADD", "ONCRMDEALUPDATE"] {
        let outcome = outcome_of(&found, event);
        assert_eq!(
            (&outcome["status"], &outcome["method"], &outcome["object"]["ID"], &outcome["object"]["TITLE"]),
            (&json!("object"), &json!("crm.deal.get"), &json!("1"), &json!("changed"))
        );
    }
    assert_eq!(outcome_of(&found, "ONCRMCOMPANYADD")["object"]["TITLE"], "№ \"1\"");
    assert_eq!(found.len(), 3, "the deleted deal has two records: {found:?}");
}

#[test]
fn a_refusal_of_one_object_leaves_the_others() {
    let portal = Portal::start();
    let (client, somebody) = (client(&portal), somebody(&portal));
    call(&somebody, "crm.company.add", json!({"fields": {"TITLE": "here"}}));
    portal.emulator.make_event("ONCRMDEALADD", deal(999), "");
    let found = objects(&client);
    let refused = outcome_of(&found, "ONCRMDEALADD");
    assert_eq!((&refused["status"], &refused["transient"]), (&json!("error"), &json!(false)), "{refused}");
    assert!(refused["error_description"].as_str().unwrap().contains("Not found"), "{refused}");
    assert_eq!(outcome_of(&found, "ONCRMCOMPANYADD")["status"], "object", "{found:?}");
}

#[test]
fn a_blocked_method_is_not_called_and_the_others_are() {
    let portal = Portal::start();
    let (client, somebody) = (client(&portal), somebody(&portal));
    call(&somebody, "crm.deal.add", json!({"fields": {"TITLE": "blocked"}}));
    call(&somebody, "crm.company.add", json!({"fields": {"TITLE": "here"}}));
    portal.control(json!({"operating_limit": {"method": "crm.deal.get", "seconds": 600}}));
    for round in 1..=2 {
        let mut batch = client.fetch(0).unwrap();
        let records = batch.detach_json();
        let objects: Value = serde_json::from_str(&batch.objects(&records).unwrap()).unwrap();
        let of_status =
            |status: &str| objects.as_object().unwrap().values().find(|outcome| outcome["status"] == status);
        assert_eq!(of_status("object").unwrap()["object"]["TITLE"], "here");
        let blocked = of_status("error").unwrap();
        assert_eq!((&blocked["error"], &blocked["transient"]), (&json!("OPERATION_TIME_LIMIT"), &json!(true)));
        assert_eq!(portal.emulator.counters().operating_refusals, 1, "round {round}");
        drop(batch);
        client.recover().unwrap();
    }
}

#[test]
fn many_objects_take_a_request_for_fifty() {
    let portal = Portal::start();
    let (client, somebody) = (client(&portal), somebody(&portal));
    for from in [0, 40, 80] {
        let add = |number: u32| {
            let params = json!({"fields": {"TITLE": from + number}});
            (format!("deal{number}"), json!({"method": "crm.deal.add", "params": params}))
        };
        let calls: serde_json::Map<_, _> = (0..40).map(add).collect();
        somebody.call_batch(&Value::Object(calls).to_string(), true).unwrap();
    }
    let mut batch = client.fetch(0).unwrap();
    let records = batch.detach_json();
    let requests = portal.emulator.counters().requests;
    let objects: Value = serde_json::from_str(&batch.objects(&records).unwrap()).unwrap();
    assert_eq!(portal.emulator.counters().requests - requests, 3);
    let titles: std::collections::BTreeSet<_> =
        objects.as_object().unwrap().values().map(|outcome| outcome["object"]["TITLE"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), 120);
}

#[test]
fn the_host_names_other_methods() {
    let portal = Portal::start();
    let somebody = somebody(&portal);
    let client = portal.client_with(&[("objects.methods", "ONCRMDEAL=crm.company.get?id={FIELDS.ID}")]);
    client.bind_event("ONCRMDEALADD").unwrap();
    call(&somebody, "crm.company.add", json!({"fields": {"TITLE": "a company"}}));
    call(&somebody, "crm.deal.add", json!({"fields": {"TITLE": "a deal"}}));
    let found = objects(&client);
    let outcome = outcome_of(&found, "ONCRMDEALADD");
    assert_eq!((&outcome["method"], &outcome["object"]["TITLE"]), (&json!("crm.company.get"), &json!("a company")));
}
