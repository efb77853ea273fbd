//! Learning that the queue grew, by WebSocket.

use std::time::{Duration, Instant};

use super::setting::*;
use b24_emulator::{Control, Options};
use b24events::client::Client;
use b24events::error::Status;
use serde_json::{Value, json};

/// A client with these keys that is connected and has taken its first notification.
fn connected_with(setting: &Setting, keys: &[(&str, &str)]) -> Client {
    let mut config = setting.config();
    keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    let client = setting.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    look(&client);
    client
}

fn stats(client: &Client) -> Value {
    serde_json::from_str(&client.stats()).unwrap()
}

fn opened(setting: &Setting) -> u64 {
    setting.emulator.counters().websockets_accepted
}

/// Waits for signals until so many records were announced; the library's own looks may come between them.
fn hear(client: &Client, records: u64) {
    let mut heard = 0;
    while heard < records {
        heard += client.wait(LONG).unwrap().expect("a signal").count;
    }
    assert_eq!(heard, records);
}

/// A signal without a record: the WebSocket has worked then.
fn prove(setting: &Setting, client: &Client) {
    setting.emulator.publish("rest", "event_offline", json!([{"connector_id": "OneC", "count": 1}]));
    hear(client, 1);
}

#[test]
fn every_version_of_the_server_rings_and_resumes() {
    for push_version in 1..=5 {
        let setting = Setting::with(Options { push_version, ..Options::default() });
        let client = setting.connected();
        for number in 1..=3 {
            setting.deals([number]);
            hear(&client, 1);
        }
        // These share a frame.
        setting.deals(10..20);
        hear(&client, 10);
        let acknowledged = |number| {
            let macks = if push_version == 5 { number } else { 0 };
            until("the acknowledgements", || setting.emulator.counters().macks == macks);
        };
        acknowledged(13);
        setting.control(json!("drop_websockets"));
        setting.deals(20..23);
        hear(&client, 3);
        until("the new WebSocket", || setting.emulator.counters().websockets_open == 1);
        let counters = setting.emulator.counters();
        assert_eq!((counters.websockets_accepted, counters.polls), (2, 0), "version {push_version}");
        acknowledged(16);
        assert_eq!(stats(&client)["messages"], 16, "version {push_version}: none twice");
        if push_version > 2 {
            let last = setting.emulator.requests().pop().unwrap().target;
            assert!(last.contains("mid="), "the resume position");
        }
    }
}

#[test]
fn pings_of_either_kind_are_answered() {
    for push_version in [4, 5] {
        let setting =
            Setting::with(Options { push_version, ping_interval: Duration::from_millis(20), ..Options::default() });
        let client = setting.connected();
        until("three pongs", || setting.emulator.counters().pongs >= 3);
        assert_eq!(stats(&client)["failures"], 0);
    }
}

#[test]
fn long_polling_when_websocket_is_not_let_through() {
    for fault in [
        json!({"refuse_upgrades": {"status": 503}}),
        json!({"drop_next": {"method": "subws", "times": 9, "when": "before_handling"}}),
        json!({"fail_next": {"method": "subws", "times": 9, "status": 200, "body": "<html>proxy</html>"}}),
    ] {
        let setting = Setting::new();
        setting.control(fault.clone());
        let start = Instant::now();
        let client = setting.connected();
        assert!(start.elapsed() < Duration::from_secs(5), "{fault}: `connect` does not starve");
        setting.deals([1]);
        hear(&client, 1);
        let counters = setting.emulator.counters();
        assert!(counters.polls > 0 && counters.websockets_accepted == 0, "{fault}");
        assert!(client.is_connected());
    }
}

#[test]
fn long_polling_only_when_wanted() {
    let setting = Setting::new();
    let client = connected_with(&setting, &[("push.transport", "long_polling")]);
    setting.deals([1]);
    hear(&client, 1);
    assert_eq!(opened(&setting), 0);
}

#[test]
fn websocket_only_when_wanted() {
    let setting = Setting::with(Options { websocket: false, ..Options::default() });
    let mut config = setting.config();
    config.set("push.transport", "websocket").unwrap();
    let error = setting.client_of(&config).connect(LONG).unwrap_err();
    assert_eq!(error.status(), Status::Config);
    assert!(error.to_string().contains("push.transport=auto"), "{error}");

    let setting = Setting::new();
    setting.control(json!({"refuse_upgrades": {"status": 503}}));
    let mut config = setting.config();
    config.set("push.transport", "websocket").unwrap();
    let client = setting.client_of(&config);
    let error = client.connect(b24events::clock::Timeout::from_millis(500)).unwrap_err();
    assert_eq!((error.status(), error.http_status()), (Status::Protocol, 503), "{error}");
    assert_eq!(setting.emulator.counters().polls, 0);
}

#[test]
fn channels_that_end_are_replaced_with_nothing_missed() {
    for push_version in [3, 4, 5] {
        for control in [
            json!({"expire_channel": {"command": true, "action": "reconnect"}}),
            json!({"expire_channel": {"command": true, "action": "get_config"}}),
        ] {
            let setting = Setting::with(Options { push_version, ..Options::default() });
            let client = setting.connected();
            prove(&setting, &client);
            setting.control(control.clone());
            until("the new WebSocket", || opened(&setting) == 2 && setting.emulator.counters().websockets_open == 1);
            setting.deals(1..=3);
            hear(&client, 3);
            assert_eq!(stats(&client)["failures"], 0, "{push_version} {control}: the old one was kept until then");
        }
        // Without a word beforehand it is closed with 3001.
        let setting = Setting::with(Options { push_version, ..Options::default() });
        let client = setting.connected();
        prove(&setting, &client);
        setting.control(json!({"expire_channel": {"command": false}}));
        until("the new WebSocket", || opened(&setting) == 2);
        setting.deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!(numbers(&mut batch), [1]);
        assert!(setting.log().contains("3001"));
    }
}

#[test]
fn renewals_lose_nothing() {
    for push_version in [3, 5] {
        let options = Options { push_version, channel_ttl: Duration::from_secs(2), ..Options::default() };
        let setting = Setting::with(options);
        let client = setting.connected();
        let start = Instant::now();
        let mut made = 0;
        while start.elapsed() < Duration::from_secs(7) {
            made += 1;
            setting.deals([made]);
            hear(&client, 1);
            std::thread::sleep(Duration::from_millis(20));
        }
        let counters = setting.emulator.counters();
        let now = stats(&client);
        println!("version {push_version}: {made} signals, {} WebSockets, {now}", counters.websockets_accepted);
        assert!(counters.websockets_accepted >= 3);
        assert_eq!(now["failures"], 0, "{}", setting.log());
        assert_eq!(now["signals"], u64::from(made));
    }
}

#[test]
fn configurations_that_expire_are_left_at_once_and_read_later() {
    for control in ["config_expire", "server_restart"] {
        let setting = Setting::new();
        let client = setting.connected();
        setting.control(json!(control));
        until("the end of the WebSocket", || setting.emulator.counters().websockets_open == 0);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(stats(&client)["configurations"], 1, "not before 10 s have passed");
    }
}

#[test]
fn a_refused_channel_waits_before_the_next_configuration() {
    let setting = Setting::new();
    let client = setting.connected();
    setting.emulator.control(Control::CloseWebsockets { code: 4010, reason: "wrong channel id".into() });
    until("the refusal", || setting.log().contains("4010"));
    assert!(!client.is_connected());
    let log = setting.log();
    let pause = log
        .lines()
        .find_map(|line| line.split_once("next attempt in ")?.1.split_once(" ms: the push server does not accept"));
    let pause: u64 = pause.unwrap().0.parse().unwrap();
    assert!((5_000..35_000).contains(&pause), "{pause}");
}

#[test]
fn closed_websockets_are_opened_again() {
    for code in [1000, 1001, 1005, 1006, 1008, 1011] {
        let setting = Setting::new();
        let client = setting.connected();
        prove(&setting, &client);
        setting.emulator.control(Control::CloseWebsockets { code, reason: "x".into() });
        look(&client);
        setting.deals([1]);
        hear(&client, 1);
        assert_eq!((opened(&setting), setting.emulator.counters().polls), (2, 0), "{code}");
        assert!(setting.log().contains("next attempt in 100 ms"), "{}", setting.log());
    }
}

#[test]
fn half_open_connections_are_found() {
    let setting = Setting::new();
    let client = connected_with(&setting, &[("push.idle_timeout_ms", "1000")]);
    prove(&setting, &client);
    let start = Instant::now();
    setting.control(json!("mute_websockets"));
    look(&client);
    assert!(start.elapsed() >= Duration::from_millis(500) && start.elapsed() < Duration::from_secs(3));
    assert!(setting.log().contains("push.idle_timeout_ms"));
    setting.deals([1]);
    hear(&client, 1);
}

#[test]
fn a_quiet_server_is_asked_and_not_given_up() {
    let setting = Setting::with(Options { ping_interval: Duration::ZERO, ..Options::default() });
    let client = connected_with(&setting, &[("push.idle_timeout_ms", "1000")]);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!((opened(&setting), &stats(&client)["failures"]), (1, &json!(0)));
}

#[test]
fn frames_that_cannot_be_used_are_no_end() {
    for (control, text) in [
        (Some(Control::SendBinary { bytes: vec![1, 2, 3] }), "binary"),
        (Some(Control::SendText { text: "<html>rubbish</html>".into() }), ""),
        (Some(Control::SendText { text: "#!NGINXNMS!#{\"half\":".into() }), ""),
        (Some(Control::SendText { text: "[{\"half\":".into() }), ""),
        (None, "UTF-8"),
        (Some(Control::SendText { text: "x".repeat(5000) }), "http.max_answer_bytes"),
    ] {
        let setting = Setting::new();
        let client = connected_with(&setting, &[("http.max_answer_bytes", "4096")]);
        prove(&setting, &client);
        match control {
            Some(control) => setting.emulator.control(control),
            None => setting.emulator.publish_raw([0xff, 0xfe]),
        }
        look(&client);
        setting.deals([1]);
        hear(&client, 1);
        assert!(setting.log().contains(text), "{text} {}", setting.log());
        assert_eq!(setting.emulator.counters().polls, 0);
    }
}

#[test]
fn calls_of_json_rpc_that_are_not_for_us_are_passed_over() {
    let setting = Setting::with(Options { push_version: 5, ..Options::default() });
    let client = setting.connected();
    for text in
        [r#"{"jsonrpc":"2.0","result":{},"id":1}"#, r#"{"jsonrpc":"2.0","method":"other","params":{}}"#, "[]", "pong"]
    {
        setting.emulator.control(Control::SendText { text: text.into() });
    }
    setting.deals([1]);
    hear(&client, 1);
    until("all frames but the pong", || setting.log().matches("frame received").count() == 4);
    let now = stats(&client);
    assert_eq!((&now["malformed"], &now["failures"], &now["messages"]), (&json!(0), &json!(0), &json!(1)), "{now}");
}
