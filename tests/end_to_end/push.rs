//! Learning that the queue grew, by long polling.

use std::time::Duration;

use super::setting::*;
use b24_emulator::Options;
use b24events::error::{Error, Status};
use b24events::notify::Notification;
use serde_json::{Value, json};

/// A portal whose push server has no WebSocket.
fn polled() -> Setting {
    Setting::with(Options { websocket: false, ..Options::default() })
}

fn signalled(count: u64) -> Option<Notification> {
    Some(Notification { count, signalled: true })
}

#[test]
fn every_version_of_the_server_rings() {
    for push_version in [1, 2, 3, 4, 5] {
        let setting = Setting::with(Options { push_version, websocket: false, ..Options::default() });
        let client = setting.connected();
        for number in 1..=3 {
            setting.deals([number]);
            assert_eq!(client.wait(LONG).unwrap(), signalled(1), "version {push_version}");
        }
        assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    }
}

#[test]
fn both_spellings_of_the_configuration_work() {
    for spelling in ["server", "document"] {
        let setting = polled();
        setting.control(json!({"config_spelling": spelling}));
        let client = setting.connected();
        setting.deals([1]);
        assert_eq!(client.wait(LONG).unwrap(), signalled(1), "{spelling}");
    }
}

#[test]
fn a_subscription_needs_connect_first() {
    let setting = polled();
    assert_eq!(setting.client().wait(AT_ONCE), Err(Error::NotConnected));
}

#[test]
fn only_the_own_connector_rings() {
    let setting = polled();
    let client = setting.connected();
    let signal = |connector: &str| json!([{"connector_id": connector, "count": 1}]);
    setting.emulator.publish("rest", "event_offline", signal(""));
    setting.emulator.publish("rest", "event_offline", signal("Other"));
    setting.emulator.publish("main", "user_online", json!({"user": 1}));
    setting.emulator.publish("rest", "event_offline", json!([{"connector_id": "OneC", "count": "4"}]));
    assert_eq!(client.wait(LONG).unwrap(), signalled(4));
    let stats: Value = serde_json::from_str(&client.stats()).unwrap();
    assert_eq!((&stats["messages"], &stats["signals"]), (&json!(4), &json!(1)));
}

#[test]
fn signals_between_two_polls_are_not_lost() {
    let setting = polled();
    let client = setting.connected();
    let mut heard = 0;
    for round in 0..50 {
        setting.deals([round]);
        setting.deals([round + 1000]);
        heard += client.wait(LONG).unwrap().unwrap().count;
    }
    while heard < 100 {
        heard += client.wait(LONG).unwrap().expect("all signals").count;
    }
    assert_eq!(heard, 100);
    assert_eq!(client.wait(AT_ONCE).unwrap(), None);
}

#[test]
fn a_cut_connection_is_mended_and_looked_after() {
    let setting = polled();
    let client = setting.connected();
    setting.control(json!("drop_connections"));
    look(&client);
    setting.deals([1]);
    assert_eq!(client.wait(LONG).unwrap(), signalled(1));
    assert!(setting.log().contains("no subscription, next attempt in 100 ms"), "{}", setting.log());
}

#[test]
fn what_happens_while_the_push_server_is_down_is_found_afterwards() {
    let setting = polled();
    let client = setting.connected();
    setting.control(json!("restart_push"));
    setting.deals([1]);
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
        let setting = polled();
        let client = setting.connected();
        setting.deals([0]);
        client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
        setting.control(control.clone());
        setting.control(json!("drop_connections"));
        setting.deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap_or_else(|| panic!("{control}"));
        assert_eq!(numbers(&mut batch), [1], "{control}");
        batch.acknowledge().unwrap();
        until("the new subscription", || client.is_connected());
        setting.deals([2]);
        assert_eq!(client.next(LONG).unwrap().unwrap().len(), 1, "{control}");
    }
}

#[test]
fn the_doorbell_rings_by_itself_at_the_interval() {
    let setting = polled();
    let mut config = setting.config();
    config.set("push.poll_interval_ms", "1000").unwrap();
    let client = setting.client_of(&config);
    client.connect(LONG).unwrap();
    for _ in 0..3 {
        look(&client);
    }
    assert_eq!(setting.emulator.counters().subscriptions_open, 1, "without giving up the poll");
}

#[test]
fn a_hold_that_ends_without_messages_goes_on_without_failure() {
    let setting = Setting::with(Options { hold: Duration::from_millis(100), websocket: false, ..Options::default() });
    let client = setting.client();
    setting.deals([1]);
    client.connect(LONG).unwrap();
    look(&client);
    until("three polls", || setting.emulator.counters().polls >= 4);
    setting.deals([2]);
    while client.wait(LONG).unwrap() != signalled(1) {}
    let stats: Value = serde_json::from_str(&client.stats()).unwrap();
    assert_eq!(stats["failures"], 0, "{stats}");
}

#[test]
fn what_a_person_has_to_mend_ends_connect() {
    let setting = polled();
    let mut config = setting.config();
    config.set("auth.access_token", "wrong").unwrap();
    let client = setting.client_of(&config);
    assert_eq!(client.connect(LONG).unwrap_err().status(), Status::Auth);
    assert_eq!(client.wait(AT_ONCE).unwrap_err().status(), Status::Auth, "and waiting says the same");

    setting.control(json!({"scope": {"scope": "crm"}}));
    let client = setting.client();
    let error = client.connect(LONG).unwrap_err();
    assert_eq!(error.status(), Status::AccessDenied);
    assert!(error.to_string().contains("scope"), "{error}");
    setting.control(json!({"scope": {"scope": "crm,pull"}}));
    client.connect(LONG).unwrap();
    look(&client);
}

#[test]
fn rights_lost_while_running_are_told_to_who_waits() {
    let setting = polled();
    let client = setting.connected();
    setting.control(json!("revoke_tokens"));
    setting.control(json!({"expire_channel": {"command": true, "action": "get_config"}}));
    let error = client.wait(LONG).unwrap_err();
    assert_eq!(error.status(), Status::Auth);
}

#[test]
fn connect_says_why_it_takes_long() {
    let setting = polled();
    let fault =
        json!({"method": "pull.application.config.get", "times": 2, "status": 502, "body": "<h1>Bad Gateway</h1>"});
    setting.control(json!({"fail_next": fault}));
    let error = setting.client().connect(b24events::clock::Timeout::from_millis(1500)).unwrap_err();
    assert_eq!((error.status(), error.http_status()), (Status::Protocol, 502), "{error}");
}

#[test]
fn connect_goes_on_by_itself_after_a_trouble() {
    let setting = polled();
    setting.control(json!({"fail_next": {"method": "pull.application.config.get", "status": 502}}));
    let client = setting.client();
    client.connect(LONG).unwrap();
    look(&client);
}
