//! Signals by long polling.

use std::time::{Duration, Instant};

use super::support::*;
use b24_emulator::{EMPLOYEE, Options};
use b24events::error::{Error, Status};
use b24events::notify::Notification;
use serde_json::json;

/// A portal whose push server has no WebSocket.
fn without_websocket() -> Portal {
    Portal::with(Options { websocket: false, ..Options::default() })
}

fn signalled(count: u64) -> Option<Notification> {
    Some(Notification { count, signalled: true })
}

#[test]
fn every_version_of_the_server_rings() {
    for push_version in [1, 2, 3, 4, 5] {
        let portal = Portal::with(Options { push_version, websocket: false, ..Options::default() });
        let client = portal.connected();
        for number in 1..=3 {
            portal.add_deals([number]);
            assert_eq!(client.wait(LONG).unwrap(), signalled(1), "version {push_version}");
        }
        assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    }
}

#[test]
fn both_spellings_of_the_configuration_work() {
    for spelling in ["server", "document"] {
        let portal = without_websocket();
        portal.control(json!({"config_spelling": spelling}));
        let client = portal.connected();
        portal.add_deals([1]);
        assert_eq!(client.wait(LONG).unwrap(), signalled(1), "{spelling}");
    }
}

#[test]
fn a_subscription_needs_connect_first() {
    let portal = without_websocket();
    assert_eq!(portal.client().wait(AT_ONCE), Err(Error::NotConnected));
}

#[test]
fn only_the_own_connector_rings() {
    let portal = without_websocket();
    let client = portal.connected();
    let signal = |connector: &str| json!([{"connector_id": connector, "count": 1}]);
    portal.emulator.publish("rest", "event_offline", signal(""));
    portal.emulator.publish("rest", "event_offline", signal("Other"));
    portal.emulator.publish("main", "user_online", json!({"user": 1}));
    portal.emulator.publish("rest", "event_offline", json!([{"connector_id": "OneC", "count": "4"}]));
    assert_eq!(client.wait(LONG).unwrap(), signalled(4));
    let stats = stats(&client);
    assert_eq!((&stats["messages"], &stats["signals"]), (&json!(4), &json!(1)));
}

#[test]
fn signals_between_two_polls_are_not_lost() {
    let portal = without_websocket();
    let client = portal.connected();
    let mut announced = 0;
    for round in 0..50 {
        portal.add_deals([round]);
        portal.add_deals([round + 1000]);
        announced += client.wait(LONG).unwrap().unwrap().count;
    }
    while announced < 100 {
        announced += client.wait(LONG).unwrap().expect("all signals").count;
    }
    assert_eq!(announced, 100);
    assert_eq!(client.wait(AT_ONCE).unwrap(), None);
}

#[test]
fn a_broken_connection_is_replaced_and_the_queue_checked() {
    let portal = without_websocket();
    let client = portal.connected();
    portal.control(json!("drop_connections"));
    expect_check(&client);
    portal.add_deals([1]);
    assert_eq!(client.wait(LONG).unwrap(), signalled(1));
    assert!(portal.log().contains("no subscription, next attempt in 100 ms"), "{}", portal.log());
}

#[test]
fn what_happens_while_the_push_server_is_down_is_found_afterwards() {
    let portal = without_websocket();
    let client = portal.connected();
    portal.control(json!("restart_push"));
    portal.add_deals([1]);
    let mut batch = client.next(LONG).unwrap().unwrap();
    assert_eq!(numbers(&mut batch), [1]);
}

#[test]
fn an_expired_channel_is_replaced_with_and_without_warning() {
    for control in [
        json!({"expire_channel": {"command": true, "action": "reconnect"}}),
        json!({"expire_channel": {"command": true, "action": "get_config"}}),
        json!({"expire_channel": {"command": false}}),
    ] {
        let portal = without_websocket();
        let client = portal.connected();
        portal.add_deals([0]);
        client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
        portal.control(control.clone());
        portal.control(json!("drop_connections"));
        portal.add_deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap_or_else(|| panic!("{control}"));
        assert_eq!(numbers(&mut batch), [1], "{control}");
        batch.acknowledge().unwrap();
        until("the new subscription", || client.is_connected());
        portal.add_deals([2]);
        assert_eq!(client.next(LONG).unwrap().unwrap().len(), 1, "{control}");
    }
}

#[test]
fn the_queue_is_checked_at_the_interval() {
    let portal = without_websocket();
    let client = portal.connected_with(&[("push.poll_interval_ms", "1000")]);
    expect_check(&client);
    let start = Instant::now();
    for _ in 0..2 {
        expect_check(&client);
    }
    assert!(start.elapsed() >= Duration::from_millis(1500), "{:?}", start.elapsed());
    assert_eq!(portal.emulator.counters().subscriptions_open, 1, "the poll stays open");
    assert_eq!(stats(&client)["failures"], 0);
}

#[test]
fn a_poll_without_messages_is_no_failure() {
    let portal = Portal::with(Options { hold: Duration::from_millis(100), websocket: false, ..Options::default() });
    let client = portal.client();
    portal.add_deals([1]);
    client.connect(LONG).unwrap();
    expect_check(&client);
    until("three polls", || portal.emulator.counters().polls >= 4);
    portal.add_deals([2]);
    while client.wait(LONG).unwrap() != signalled(1) {}
    let stats = stats(&client);
    assert_eq!(stats["failures"], 0, "{stats}");
}

#[test]
fn connect_fails_with_what_only_a_person_can_fix() {
    let portal = without_websocket();
    let mut config = portal.config();
    config.set("auth.access_token", "wrong").unwrap();
    let client = portal.client_of(&config);
    assert_eq!(client.connect(LONG).unwrap_err().status(), Status::Auth);
    assert_eq!(client.wait(AT_ONCE).unwrap_err().status(), Status::Auth, "and waiting says the same");

    portal.control(json!({"scope": {"scope": "crm"}}));
    let client = portal.client();
    let error = client.connect(LONG).unwrap_err();
    assert_eq!(error.status(), Status::AccessDenied);
    assert!(error.to_string().contains("scope"), "{error}");
    portal.control(json!({"scope": {"scope": "crm,pull"}}));
    client.connect(LONG).unwrap();
    expect_check(&client);
}

/// The portal's answer to the next check with which `connect` begins.
fn answer_check(portal: &Portal, application: &str, profile: &str, scope: &str) {
    let results = format!(r#"{{"application":{application},"profile":{profile},"scope":{scope}}}"#);
    let body = format!(r#"{{"result":{{"result":{results},"result_error":[]}}}}"#);
    portal.control(json!({"fail_next": {"method": "batch", "status": 200, "body": body}}));
}

#[test]
fn connect_tells_what_would_keep_events_from_coming() {
    const FINE: &str = r#"{"INSTALLED":true,"PAYMENT_EXPIRED":"N"}"#;
    const ADMIN: &str = r#"{"ADMIN":true}"#;
    let portal = without_websocket();
    let client = portal.client();
    let refused = |application: &str, profile: &str, scope: &str| {
        answer_check(&portal, application, profile, scope);
        let error = client.connect(LONG).unwrap_err();
        assert!(!error.is_transient() && !client.is_connected());
        (error.status(), error.to_string())
    };
    for (application, profile, scope, status, advice) in [
        (r#"{"INSTALLED":false}"#, ADMIN, "[]", Status::Auth, "finish its installation"),
        (r#"{"INSTALLED":true,"PAYMENT_EXPIRED":"Y"}"#, ADMIN, "[]", Status::License, "renew it"),
        (FINE, r#"{"ADMIN":false}"#, "[]", Status::AccessDenied, "administrator's token"),
        (FINE, ADMIN, r#"["crm"]"#, Status::AccessDenied, "scope pull"),
    ] {
        let (found, text) = refused(application, profile, scope);
        assert_eq!(found, status);
        assert!(text.contains(advice), "{text}");
    }
    assert_eq!(client.wait(AT_ONCE), Err(Error::NotConnected), "nothing was started");
    client.connect(LONG).unwrap();
    let calls = || portal.emulator.counters().calls.get("batch").copied();
    assert_eq!(calls(), Some(1));
    client.connect(LONG).unwrap();
    assert_eq!(calls(), Some(1), "what is connected is not checked again");
    let impatient = portal.client();
    assert_eq!(impatient.connect(AT_ONCE).unwrap_err().status(), Status::Timeout);
    assert_eq!(calls(), Some(1), "there is no time for a check");
}

#[test]
fn an_employee_learns_at_once_that_events_need_an_administrator() {
    let portal = without_websocket();
    let mut config = portal.config();
    config.set("auth.access_token", &portal.emulator.issue_tokens(EMPLOYEE).access_token).unwrap();
    let error = portal.client_of(&config).connect(LONG).unwrap_err();
    assert_eq!((error.status(), error.code()), (Status::AccessDenied, "ACCESS_DENIED"));
}

#[test]
fn a_check_that_fails_does_not_keep_connect_from_succeeding() {
    let portal = without_websocket();
    for fault in [
        json!({"fail_next": {"method": "batch", "status": 502, "body": "<html>"}}),
        json!({"fail_next": {"method": "batch", "status": 400, "error": "ERROR_BATCH_METHOD_NOT_ALLOWED"}}),
        json!({"drop_next": {"method": "batch", "when": "after_handling"}}),
    ] {
        portal.control(fault);
        portal.client().connect(LONG).unwrap();
    }
}

#[test]
fn a_push_server_that_is_switched_off_is_told_at_once() {
    let portal = without_websocket();
    let switched_off = |times: u32| {
        portal.control(json!({"fail_next": {
            "method": "pull.application.config.get", "times": times, "status": 500,
            "error": "SERVER_ERROR", "description": "Push & Pull server is not configured"
        }}));
    };
    switched_off(1);
    let error = portal.client().connect(LONG).unwrap_err();
    assert_eq!((error.status(), error.is_transient()), (Status::Portal, false));
    assert!(error.to_string().contains("switched off"), "{error}");

    let client = portal.connected();
    switched_off(1000);
    portal.control(json!({"expire_channel": {"command": true, "action": "get_config"}}));
    let error = loop {
        match client.next(LONG) {
            Ok(batch) => assert!(batch.is_some(), "waited in vain"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("switched off"), "{error}");
    let is_told = |line: &str| line.starts_with("Error ") && line.contains("switched off");
    assert!(portal.log().lines().any(is_told), "{}", portal.log());
}

#[test]
fn connect_goes_on_while_the_portal_does_not_reach_the_authorization_server() {
    let portal = without_websocket();
    portal.control(json!({"fail_next": {
        "method": "pull.application.config.get", "times": 2, "status": 401, "error": "CONNECTION_ERROR"
    }}));
    let client = portal.client();
    client.connect(LONG).unwrap();
    expect_check(&client);
    assert_eq!(portal.emulator.counters().faults_applied, 2);
    assert!(portal.tokens.lock().unwrap().is_empty(), "the tokens are fine");
}

#[test]
fn lost_rights_end_a_wait_with_an_error() {
    let portal = without_websocket();
    let client = portal.connected();
    portal.control(json!("revoke_tokens"));
    portal.control(json!({"expire_channel": {"command": true, "action": "get_config"}}));
    let error = client.wait(LONG).unwrap_err();
    assert_eq!(error.status(), Status::Auth);
}

#[test]
fn connect_says_why_it_takes_long() {
    let portal = without_websocket();
    let fault =
        json!({"method": "pull.application.config.get", "times": 2, "status": 502, "body": "<h1>Bad Gateway</h1>"});
    portal.control(json!({"fail_next": fault}));
    let error = portal.client().connect(b24events::clock::Timeout::from_millis(1500)).unwrap_err();
    assert_eq!((error.status(), error.http_status()), (Status::Protocol, 502), "{error}");
}

#[test]
fn connect_repeats_after_a_passing_failure() {
    let portal = without_websocket();
    portal.control(json!({"fail_next": {"method": "pull.application.config.get", "status": 502}}));
    let client = portal.client();
    client.connect(LONG).unwrap();
    expect_check(&client);
    assert_eq!(portal.emulator.counters().faults_applied, 1, "one attempt has failed");
}
