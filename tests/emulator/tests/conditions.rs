//! Rare states of a portal: each refuses with the vendor's answer, to the field.

mod common;

use std::time::Duration;

use b24_emulator::{ADMINISTRATOR, AuthServer, Conditions, Control, Options, Timing};
use common::{Client, SendJson, json_of, quick, wait_until};
use serde_json::{Value, json};

fn set(client: &Client, conditions: Conditions) {
    client.emulator.control(Control::Conditions(conditions));
}

fn refusal(code: &str, description: &str) -> Value {
    json!({"error": code, "error_description": description})
}

fn by_webhook(client: &Client, method: &str) -> (u16, Value) {
    json_of(client.agent.post(format!("{}{method}", client.emulator.webhook_url())).send_json(json!({})).unwrap())
}

#[test]
fn a_closed_public_part_refuses_every_call() {
    let client = Client::new(quick());
    set(&client, Conditions { closed: true, ..Conditions::default() });
    let deleted = (403, refusal("PORTAL_DELETED", "Portal was deleted"));
    assert_eq!(client.rest("profile", json!({})), deleted);
    assert_eq!(client.rest_as("nonsense", "no.such.method", json!({})), deleted);
    assert_eq!(by_webhook(&client, "profile"), deleted);
    client.agent.post(client.url("/control")).send_json(json!({"conditions": {}})).unwrap();
    client.call("profile", json!({}));
}

#[test]
fn without_the_authorization_server_only_known_tokens_are_good() {
    let client = Client::new(quick());
    let unknown = client.emulator.issue_tokens(ADMINISTRATOR).access_token;
    client.call("profile", json!({}));
    set(&client, Conditions { auth_server: AuthServer::Unreachable, ..Conditions::default() });
    client.call("profile", json!({}));
    let error = (401, refusal("CONNECTION_ERROR", "Error connecting to authorization server"));
    assert_eq!(client.rest_as(&unknown, "profile", json!({})), error);
    assert_eq!(client.rest_as("nonsense", "profile", json!({})), error);
    assert_eq!(by_webhook(&client, "profile").0, 200);
    set(&client, Conditions { auth_server: AuthServer::UnreachableAndForgotten, ..Conditions::default() });
    assert_eq!(client.rest("profile", json!({})), error);
    set(&client, Conditions::default());
    assert_eq!(client.rest_as(&unknown, "profile", json!({})).0, 200);
}

#[test]
fn without_the_authorization_server_no_handler_is_called() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    client.call("event.bind", json!({"event": "ONOFFLINEEVENT", "handler": format!("http://{nobody}/")}));
    set(&client, Conditions { auth_server: AuthServer::Unreachable, ..Conditions::default() });
    client.add_deal("x");
    assert_eq!(client.emulator.queue("").len(), 1);
    assert_eq!(client.emulator.counters().handler_calls_skipped, 1);
}

#[test]
fn nothing_is_queued_before_the_installation_is_finished() {
    let client =
        Client::new(Options { conditions: Conditions { installed: false, ..Conditions::default() }, ..quick() });
    client.bind("ONCRMDEALADD", "");
    client.add_deal("x");
    assert_eq!(client.emulator.queue(""), []);
    assert_eq!(client.call("app.info", json!({}))["INSTALLED"], false);
    client.emulator.control(Control::Install { handler: "http://127.0.0.1:1/".to_owned(), user: ADMINISTRATOR });
    assert_eq!(client.call("app.info", json!({}))["INSTALLED"], true);
    client.add_deal("x");
    assert_eq!(client.emulator.queue("").len(), 1);
}

#[test]
fn nothing_is_queued_for_an_application_that_is_not_paid_for() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    assert_eq!(client.call("app.info", json!({}))["PAYMENT_EXPIRED"], "N");
    set(&client, Conditions { payment_expired: true, ..Conditions::default() });
    client.add_deal("x");
    assert_eq!(client.emulator.queue(""), []);
    assert_eq!(client.call("app.info", json!({}))["PAYMENT_EXPIRED"], "Y");
}

#[test]
fn a_portal_that_is_not_paid_for_refuses_every_caller() {
    let client = Client::new(quick());
    set(&client, Conditions { license_expired: true, ..Conditions::default() });
    let plans = "REST is available only on commercial plans.";
    assert_eq!(client.rest("profile", json!({})), (401, refusal("ACCESS_DENIED", plans)));
    assert_eq!(client.rest_as("nonsense", "profile", json!({})).1["error"], "invalid_token");
    let subscription = "REST is available only by subscription.";
    assert_eq!(by_webhook(&client, "profile"), (401, refusal("ACCESS_DENIED", subscription)));
}

#[test]
fn a_push_server_that_is_switched_off() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    set(&client, Conditions { push_server: false, ..Conditions::default() });
    let off = (500, refusal("SERVER_ERROR", "Push & Pull server is not configured"));
    assert_eq!(client.rest("pull.application.config.get", json!({})), off);
    client.add_deal("x");
    assert_eq!(client.call("pull.application.event.add", json!({"COMMAND": "x"})), true);
    assert_eq!((client.emulator.queue("").len(), client.emulator.counters().messages_published), (1, 0));
    set(&client, Conditions::default());
    client.call("pull.application.config.get", json!({}));
    let webhook = by_webhook(&client, "pull.application.config.get");
    let text = "Get access to application config available only for application authorization.";
    assert_eq!(webhook, (403, refusal("WRONG_AUTH_TYPE", text)));
}

#[test]
fn records_expire_after_their_last_change() {
    let client = Client::new(quick());
    client.bind("ONCRMDEALADD", "");
    client.emulator.control(Control::RecordTtl { seconds: 2 });
    let add = |id: u32| client.emulator.make_event("ONCRMDEALADD", json!({"FIELDS": {"ID": id}}), "");
    (1..=2).for_each(add);
    let fetched = client.call("event.offline.get", json!({"clear": 0, "limit": 1}));
    std::thread::sleep(Duration::from_millis(1100));
    add(2);
    let left = || client.emulator.queue("").iter().map(|record| record.id).collect::<Vec<_>>();
    wait_until(|| left() == [2]);
    let again = json!({"clear": 0, "process_id": fetched["process_id"]});
    assert_eq!(client.call("event.offline.get", again), json!({"process_id": fetched["process_id"], "events": []}));
    wait_until(|| left().is_empty());
}

#[test]
fn one_binding_at_a_time() {
    let timing = Timing { binding: Duration::from_millis(300), ..Timing::default() };
    let client = Client::new(Options { timing, ..quick() });
    let bind = |event: &str| client.rest("event.bind", json!({"event": event, "event_type": "offline"}));
    let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
        let binding = ["ONCRMDEALADD", "ONCRMDEALADD", "ONCRMLEADADD"].map(|event| scope.spawn(move || bind(event)));
        binding.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    let refused: Vec<&Value> = answers.iter().filter(|(status, _)| *status == 400).map(|(_, body)| body).collect();
    let text = "Unable to set event handler: Process of binding the handler has already started";
    assert_eq!(refused, [&refusal("ERROR_CORE", text)]);
    assert_eq!(client.call("event.get", json!({})).as_array().unwrap().len(), 2);
    assert_eq!(bind("ONCRMDEALADD").1["error_description"], "Unable to set event handler: Handler already binded");
}
