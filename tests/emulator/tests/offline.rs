//! Offline events from the change to the confirmation.

mod common;

use b24_emulator::{Control, EMPLOYEE, Options, Plan};
use common::{Client, messages, quick, text_of};
use serde_json::{Value, json};

fn ids(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["ID"].as_str().unwrap()).collect()
}

#[test]
fn a_change_becomes_a_record_of_the_vendors_shape() {
    let client = Client::new(quick());
    client.bind("OnCrmDealAdd", "");
    let id = client.add_deal("Сделка");
    let answer = client.call("event.offline.get", json!({}));
    assert_eq!(answer["process_id"], Value::Null);
    let event = &answer["events"][0];
    assert_eq!(event["ID"], "1");
    assert_eq!(event["EVENT_NAME"], "ONCRMDEALADD");
    assert_eq!(event["EVENT_DATA"], json!({"FIELDS": {"ID": id.to_string()}}));
    assert_eq!(event["EVENT_ADDITIONAL"], json!({"user_id": "1"}));
    assert_eq!(event["MESSAGE_ID"].as_str().unwrap().len(), 32);
    assert!(event["TIMESTAMP_X"].as_str().unwrap().ends_with("+03:00"));
    assert_eq!(client.call("event.offline.get", json!({}))["events"], json!([]));
}

#[test]
fn one_hit_is_one_message_that_counts_per_queue() {
    let client = Client::new(Options { hold: std::time::Duration::from_secs(30), ..quick() });
    client.bind("ONCRMDEALADD", "");
    client.bind("ONCRMDEALADD", "OneC");
    client.bind("ONCRMLEADADD", "OneC");
    let poll = client.poll_held(&client.subscription());
    client.by_webhook("batch", json!({"cmd": {"a": "crm.deal.add", "b": "crm.lead.add", "c": "crm.deal.add"}}));
    let announced = messages(&text_of(poll.join().unwrap().unwrap()));
    assert_eq!(announced.len(), 1);
    assert_eq!(
        announced[0]["text"]["params"],
        json!([{"connector_id": "", "count": 2}, {"connector_id": "OneC", "count": 3}])
    );
}

#[test]
fn queues_of_connectors_are_apart_and_own_changes_are_left_out() {
    let client = Client::new(quick());
    for connector in ["", "OneC", "Other"] {
        client.bind("ONCRMDEALADD", connector);
    }
    client.call("crm.deal.add", json!({"fields": {}, "auth_connector": "OneC"}));
    let counts = ["", "OneC", "Other"].map(|connector| client.emulator.queue(connector).len());
    assert_eq!(counts, [1, 0, 1]);
    assert_eq!(client.call("event.offline.get", json!({}))["events"].as_array().unwrap().len(), 1);
    let other = client.call("event.offline.get", json!({"auth_connector": "Other"}));
    assert_eq!(other["events"].as_array().unwrap().len(), 1);
}

#[test]
fn reserve_read_again_confirm() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    (0..3).for_each(|_| drop(client.add_deal("x")));
    let fetched = client.call("event.offline.get", json!({"clear": 0, "limit": 2}));
    let process_id = fetched["process_id"].as_str().unwrap();
    assert_eq!(ids(&fetched["events"]), ["1", "2"]);
    let rest = client.call("event.offline.get", json!({"clear": 0}));
    assert_eq!(ids(&rest["events"]), ["3"]);
    assert_ne!(rest["process_id"], process_id);
    let none = client.call("event.offline.get", json!({"clear": 0}));
    assert_eq!((none["events"].clone(), none["process_id"].is_string()), (json!([]), true));

    let reserved = client.call("event.offline.list", json!({"filter": {">PROCESS_ID": ""}}));
    assert_eq!(ids(&reserved), ["1", "2", "3"]);
    assert_eq!(reserved[0]["PROCESS_ID"], process_id);

    let again = client.call("event.offline.get", json!({"clear": 0, "process_id": process_id}));
    assert_eq!(again, fetched);
    let message = fetched["events"][0]["MESSAGE_ID"].clone();
    client.call("event.offline.clear", json!({"process_id": process_id, "message_id": [message]}));
    let left = client.call("event.offline.get", json!({"clear": 0, "process_id": process_id}));
    assert_eq!(ids(&left["events"]), ["2"]);
    client.call("event.offline.clear", json!({"process_id": process_id, "id": ["2"]}));
    let left = client.call("event.offline.get", json!({"clear": 0, "process_id": process_id}));
    assert_eq!(left, json!({"process_id": process_id, "events": []}));
    client.call("event.offline.clear", json!({"process_id": rest["process_id"]}));
    assert_eq!(client.emulator.queue(""), []);
}

#[test]
fn reading_a_process_again_without_clear_0_deletes_all_of_it() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    (0..3).for_each(|_| drop(client.add_deal("x")));
    let fetched = client.call("event.offline.get", json!({"clear": 0}));
    let again = client.call("event.offline.get", json!({"process_id": fetched["process_id"], "limit": 1}));
    assert_eq!(ids(&again["events"]), ["1"]);
    assert_eq!(client.emulator.queue(""), []);
}

#[test]
fn failed_records_come_with_error_1() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    client.add_deal("x");
    let fetched = client.call("event.offline.get", json!({"clear": 0}));
    let params = json!({"process_id": fetched["process_id"], "message_id": [fetched["events"][0]["MESSAGE_ID"]]});
    assert_eq!(client.call("event.offline.error", params), json!(true));
    assert_eq!(client.call("event.offline.get", json!({"clear": 0}))["events"], json!([]));
    assert_eq!(client.call("event.offline.list", json!({"filter": {"ERROR": 1}}))[0]["ERROR"], "1");
    let failed = client.call("event.offline.get", json!({"clear": 0, "error": 1}));
    assert_eq!(ids(&failed["events"]), ["1"]);
}

#[test]
fn pages_filters_and_orders_with_brackets() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    let commands: Vec<&str> = (0..50).map(|_| "crm.deal.add").collect();
    client.by_webhook("batch", json!({"cmd": commands}));
    (0..3).for_each(|_| drop(client.add_deal("x")));
    let token = &client.tokens.access_token;
    let (_, page) = client.form("/rest/event.offline.list", &format!("auth={token}"));
    assert_eq!((&page["total"], &page["next"]), (&json!(53), &json!(50)));
    let (_, page) = client.form("/rest/event.offline.list.json", &format!("auth={token}&start=50"));
    assert_eq!((&page["total"], &page["next"], ids(&page["result"]).len()), (&json!(53), &Value::Null, 3));
    let (_, page) = client.form(
        "/rest/event.offline.list",
        &format!("auth={token}&filter[%3E%3DID]=10&filter%5B%3CID%5D=12&order[ID]=DESC"),
    );
    assert_eq!(ids(&page["result"]), ["11", "10"]);
    let first = client.call("event.offline.get", json!({}));
    assert_eq!(first["events"].as_array().unwrap().len(), 50, "the default limit");
}

#[test]
fn refusals() {
    let client = Client::new(quick());
    let list = |value| json!({"process_id": "p", "message_id": value});
    let cases = [
        ("event.offline.clear", json!({}), 400, "ERROR_ARGUMENT"),
        ("event.offline.clear", list(json!(["short"])), 400, "ERROR_ARGUMENT"),
        ("event.offline.clear", list(json!("text")), 400, "ERROR_ARGUMENT"),
        ("event.offline.clear", json!({"process_id": "p", "id": ["x"]}), 400, "ERROR_ARGUMENT"),
        ("event.offline.error", json!({"process_id": "p"}), 400, "ERROR_ARGUMENT"),
        ("event.offline.get", json!({"limit": 0}), 400, "ERROR_ARGUMENT"),
        ("event.offline.get", json!({"filter": {"PROCESS_ID": ""}}), 400, "ERROR_ARGUMENT"),
        ("event.offline.list", json!({"filter": {"!ID": 1}}), 400, "ERROR_ARGUMENT"),
        ("event.bind", json!({"event": "ONNOTHING", "event_type": "offline"}), 400, "ERROR_EVENT_NOT_FOUND"),
        ("event.bind", json!({"event": "ONOFFLINEEVENT", "event_type": "offline"}), 400, "ERROR_ARGUMENT"),
        ("event.bind", json!({"event": "ONCRMDEALADD"}), 400, "ERROR_ARGUMENT"),
    ];
    for (method, params, status, code) in cases {
        assert_eq!(client.refusal(method, params.clone()), (status, code.to_owned()), "{method} {params}");
    }
    let employee = client.emulator.issue_tokens(EMPLOYEE).access_token;
    for method in ["get", "list", "clear", "error"] {
        let (status, body) = client.rest_as(&employee, &format!("event.offline.{method}"), json!({}));
        assert_eq!((status, &body["error"]), (403, &json!("ACCESS_DENIED")));
    }
    let offline = json!({"event": "ONCRMDEALADD", "event_type": "offline"});
    assert_eq!(client.rest_as(&employee, "event.bind", offline).0, 403);
}

#[test]
fn plans() {
    let client = Client::new(Options { offline_extended: false, auth_connector_allowed: false, ..quick() });
    let feature = |code: &str| client.call("feature.get", json!({"CODE": code}))["value"].clone();
    assert_eq!([feature("rest_offline_extended"), feature("rest_auth_connector")], ["N", "N"]);
    let licence = (403, "WRONG_LICENSE".to_owned());
    assert_eq!(client.refusal("event.offline.get", json!({"clear": 0})), licence);
    assert_eq!(client.refusal("profile", json!({"auth_connector": "OneC"})), licence);
    client.emulator.control(Control::Plan(Plan { offline_extended: true, auth_connector: true }));
    client.call("event.offline.get", json!({"clear": 0, "auth_connector": "OneC"}));
    assert_eq!(client.refusal("feature.get", json!({})), (400, "CODE_EMPTY".to_owned()));
}

#[test]
fn bindings() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    client.bind("ONCRMDEALADD", "OneC");
    let online = json!({"event": "ONAPPINSTALL", "handler": "http://127.0.0.1:1/a", "auth_type": 1});
    client.call("event.bind", online.clone());
    let twice = client.refusal("event.bind", online.clone());
    assert_eq!(twice, (400, "ERROR_CORE".to_owned()));
    assert_eq!(
        client.call("event.get", json!({})),
        json!([
            {"event": "ONCRMDEALADD", "connector_id": "", "offline": 1},
            {"event": "ONCRMDEALADD", "connector_id": "OneC", "offline": 1},
            {"event": "ONAPPINSTALL", "handler": "http://127.0.0.1:1/a", "auth_type": "1", "offline": 0},
        ])
    );
    let offline = json!({"event": "ONCRMDEALADD", "event_type": "offline", "auth_connector": "OneC"});
    assert_eq!(client.call("event.unbind", offline.clone()), json!({"count": 1}));
    assert_eq!(client.call("event.unbind", offline), json!({"count": 0}));
    assert_eq!(client.call("event.unbind", online), json!({"count": 1}));
    assert!(client.call("events", json!({})).as_array().unwrap().contains(&json!("ONCRMCOMPANYDELETE")));
}

#[test]
fn workers_share_a_queue_and_lose_nothing() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    for id in 0..40 {
        client.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": id}}), "");
    }
    assert_eq!(fetched_by_workers(&client).0, 40);
    assert_eq!(client.emulator.queue(""), []);
}

#[test]
fn reservations_at_the_same_moment_take_the_same_records() {
    let client = Client::new(quick());
    client.emulator.control(Control::ReservationRace { ms: 50 });
    client.bind("ONCRMDEALADD", "");
    for id in 0..40 {
        client.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": id}}), "");
    }
    let (distinct, all) = fetched_by_workers(&client);
    assert_eq!(distinct, 40);
    assert!(all > 40, "the window is wide open");
    assert_eq!(client.emulator.queue(""), []);
}

/// Fetches and confirms with four workers until nothing comes. Returns how many records came, and how many times.
fn fetched_by_workers(client: &Client) -> (usize, usize) {
    let fetch = || {
        let batch = client.call("event.offline.get", json!({"clear": 0, "limit": 5}));
        client.call("event.offline.clear", json!({"process_id": batch["process_id"]}));
        let events = batch["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["ID"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // A worker whose records were taken over by another one gets none: the queue says when all is done.
    let work = || {
        let mut got = Vec::new();
        while !client.emulator.queue("").is_empty() {
            got.extend(fetch());
        }
        got
    };
    let got: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    (got.iter().collect::<std::collections::HashSet<_>>().len(), got.len())
}
