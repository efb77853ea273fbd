//! Signals by WebSocket.

use std::time::{Duration, Instant};

use super::support::*;
use b24_emulator::{Control, Options};
use b24events::client::Client;
use b24events::error::Status;
use serde_json::json;

fn opened(portal: &Portal) -> u64 {
    portal.emulator.counters().websockets_accepted
}

/// A signal without a record, so that the WebSocket has worked.
fn expect_one_signal(portal: &Portal, client: &Client) {
    portal.signal(1);
    expect_signals(client, 1);
}

#[test]
fn every_version_of_the_server_rings_and_resumes() {
    for push_version in 1..=5 {
        let portal = Portal::with(Options { push_version, ..Options::default() });
        let client = portal.connected();
        for number in 1..=3 {
            portal.add_deals([number]);
            expect_signals(&client, 1);
        }
        // These share a frame.
        portal.add_deals(10..20);
        expect_signals(&client, 10);
        let acknowledged = |number| {
            let macks = if push_version == 5 { number } else { 0 };
            until("the acknowledgements", || portal.emulator.counters().macks == macks);
        };
        acknowledged(13);
        portal.control(json!("drop_websockets"));
        portal.add_deals(20..23);
        expect_signals(&client, 3);
        until("the new WebSocket", || portal.emulator.counters().websockets_open == 1);
        let counters = portal.emulator.counters();
        assert_eq!((counters.websockets_accepted, counters.polls), (2, 0), "version {push_version}");
        acknowledged(16);
        assert_eq!(stats(&client)["messages"], 16, "version {push_version}: none twice");
        if push_version > 2 {
            let last = portal.emulator.requests().pop().unwrap().target;
            assert!(last.contains("mid="), "the resume position");
        }
    }
}

#[test]
fn pings_of_either_kind_are_answered() {
    for push_version in [4, 5] {
        let portal =
            Portal::with(Options { push_version, ping_interval: Duration::from_millis(20), ..Options::default() });
        let client = portal.connected();
        until("three pongs", || portal.emulator.counters().pongs >= 3);
        assert_eq!(stats(&client)["failures"], 0);
    }
}

#[test]
fn long_polling_takes_over_where_no_websocket_gets_through() {
    for fault in [
        json!({"refuse_upgrades": {"status": 503}}),
        json!({"drop_next": {"method": "subws", "times": 9, "when": "before_handling"}}),
        json!({"fail_next": {"method": "subws", "times": 9, "status": 200, "body": "<html>proxy</html>"}}),
    ] {
        let portal = Portal::start();
        portal.control(fault.clone());
        let start = Instant::now();
        let client = portal.connected();
        assert!(start.elapsed() < Duration::from_secs(5), "{fault}: `connect` does not take long");
        portal.add_deals([1]);
        expect_signals(&client, 1);
        let counters = portal.emulator.counters();
        assert!(counters.polls > 0 && counters.websockets_accepted == 0, "{fault}");
        assert!(client.is_connected());
    }
}

#[test]
fn push_transport_long_polling_opens_no_websocket() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("push.transport", "long_polling")]);
    portal.add_deals([1]);
    expect_signals(&client, 1);
    assert_eq!(opened(&portal), 0);
}

#[test]
fn push_transport_websocket_never_polls() {
    let portal = Portal::with(Options { websocket: false, ..Options::default() });
    let mut config = portal.config();
    config.set("push.transport", "websocket").unwrap();
    let error = portal.client_of(&config).connect(LONG).unwrap_err();
    assert_eq!(error.status(), Status::Config);
    assert!(error.to_string().contains("push.transport=auto"), "{error}");

    let portal = Portal::start();
    portal.control(json!({"refuse_upgrades": {"status": 503}}));
    let mut config = portal.config();
    config.set("push.transport", "websocket").unwrap();
    let client = portal.client_of(&config);
    let error = client.connect(b24events::clock::Timeout::from_millis(500)).unwrap_err();
    assert_eq!((error.status(), error.http_status()), (Status::Protocol, 503), "{error}");
    assert_eq!(portal.emulator.counters().polls, 0);
}

#[test]
fn ended_channels_are_replaced_without_missing_a_signal() {
    for push_version in [3, 4, 5] {
        for control in [
            json!({"expire_channel": {"command": true, "action": "reconnect"}}),
            json!({"expire_channel": {"command": true, "action": "get_config"}}),
        ] {
            let portal = Portal::with(Options { push_version, ..Options::default() });
            let client = portal.connected();
            expect_one_signal(&portal, &client);
            portal.control(control.clone());
            until("the new WebSocket", || opened(&portal) == 2 && portal.emulator.counters().websockets_open == 1);
            portal.add_deals(1..=3);
            expect_signals(&client, 3);
            assert_eq!(stats(&client)["failures"], 0, "{push_version} {control}: the old one stayed open until then");
        }
        // Without a message beforehand it is closed with 3001.
        let portal = Portal::with(Options { push_version, ..Options::default() });
        let client = portal.connected();
        expect_one_signal(&portal, &client);
        portal.control(json!({"expire_channel": {"command": false}}));
        until("the new WebSocket", || opened(&portal) == 2);
        portal.add_deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!(numbers(&mut batch), [1]);
        assert!(portal.log().contains("3001"));
    }
}

#[test]
fn renewals_lose_nothing() {
    for push_version in [3, 5] {
        let options = Options { push_version, channel_ttl: Duration::from_secs(2), ..Options::default() };
        let portal = Portal::with(options);
        let client = portal.connected();
        let start = Instant::now();
        let mut made = 0;
        while start.elapsed() < Duration::from_secs(7) {
            made += 1;
            portal.add_deals([made]);
            expect_signals(&client, 1);
            std::thread::sleep(Duration::from_millis(20));
        }
        let counters = portal.emulator.counters();
        let now = stats(&client);
        println!("version {push_version}: {made} signals, {} WebSockets, {now}", counters.websockets_accepted);
        assert!(counters.websockets_accepted >= 3);
        assert_eq!(now["failures"], 0, "{}", portal.log());
        assert_eq!(now["signals"], u64::from(made));
    }
}

/// The pause that the client has logged together with this reason, in milliseconds.
fn logged_pause(portal: &Portal, reason: &str) -> Option<u64> {
    let log = portal.log();
    let pauses = log.lines().filter_map(|line| line.split_once("next attempt in ")?.1.split_once(" ms: "));
    let (pause, _) = pauses.into_iter().find(|(_, error)| error.contains(reason))?;
    Some(pause.parse().unwrap())
}

#[test]
fn an_expired_configuration_is_left_at_once_and_read_again_after_10_s() {
    for control in ["config_expire", "server_restart"] {
        let portal = Portal::start();
        // Between two checks of the queue the client does not look at its clock.
        let client = portal.connected_with(&[("push.poll_interval_ms", "1000")]);
        portal.control(json!(control));
        until("the end of the WebSocket", || portal.emulator.counters().websockets_open == 0);
        expect_check(&client);
        portal.clock.advance(Duration::from_secs(7));
        (0..2).for_each(|_| expect_check(&client));
        assert_eq!(stats(&client)["configurations"], 1, "{control}: not before 10 s have passed");
        portal.clock.advance(Duration::from_secs(120));
        until("the new WebSocket", || portal.emulator.counters().websockets_open == 1);
        assert_eq!(stats(&client)["configurations"], 2, "{control}");
    }
}

#[test]
fn after_a_refused_channel_the_client_pauses_before_it_reads_the_configuration() {
    let portal = Portal::start();
    let client = portal.connected();
    portal.emulator.control(Control::CloseWebsockets { code: 4010, reason: "wrong channel id".into() });
    until("the refusal", || portal.log().contains("4010"));
    assert!(!client.is_connected());
    let pause = logged_pause(&portal, "4010").unwrap();
    assert!((5_000..35_000).contains(&pause), "{pause}");
    assert_eq!(stats(&client)["configurations"], 1);
}

#[test]
fn closed_websockets_are_opened_again() {
    for code in [1000, 1001, 1005, 1006, 1008, 1011] {
        let portal = Portal::start();
        let client = portal.connected();
        expect_one_signal(&portal, &client);
        portal.emulator.control(Control::CloseWebsockets { code, reason: "x".into() });
        expect_check(&client);
        portal.add_deals([1]);
        expect_signals(&client, 1);
        assert_eq!((opened(&portal), portal.emulator.counters().polls), (2, 0), "{code}");
        assert!(portal.log().contains("next attempt in 100 ms"), "{}", portal.log());
    }
}

#[test]
fn half_open_connections_are_found() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("push.idle_timeout_ms", "1000")]);
    expect_one_signal(&portal, &client);
    let start = Instant::now();
    portal.control(json!("mute_websockets"));
    expect_check(&client);
    assert!(start.elapsed() >= Duration::from_millis(500) && start.elapsed() < Duration::from_secs(3));
    assert!(portal.log().contains("push.idle_timeout_ms"));
    portal.add_deals([1]);
    expect_signals(&client, 1);
}

#[test]
fn a_quiet_server_is_asked_and_not_given_up() {
    let portal = Portal::with(Options { ping_interval: Duration::ZERO, ..Options::default() });
    let client = portal.connected_with(&[("push.idle_timeout_ms", "1000")]);
    until("three pings of the client", || portal.emulator.counters().pings >= 3);
    assert_eq!((opened(&portal), &stats(&client)["failures"]), (1, &json!(0)));
}

#[test]
fn the_client_recovers_from_unusable_frames() {
    for (control, text) in [
        (Some(Control::SendBinary { bytes: vec![1, 2, 3] }), "binary"),
        (Some(Control::SendText { text: "<html>rubbish</html>".into() }), ""),
        (Some(Control::SendText { text: "#!NGINXNMS!#{\"half\":".into() }), ""),
        (Some(Control::SendText { text: "[{\"half\":".into() }), ""),
        (None, "UTF-8"),
        (Some(Control::SendText { text: "x".repeat(5000) }), "http.max_answer_bytes"),
    ] {
        let portal = Portal::start();
        let client = portal.connected_with(&[("http.max_answer_bytes", "4096")]);
        expect_one_signal(&portal, &client);
        match control {
            Some(control) => portal.emulator.control(control),
            None => portal.emulator.publish_raw([0xff, 0xfe]),
        }
        expect_check(&client);
        portal.add_deals([1]);
        expect_signals(&client, 1);
        assert!(portal.log().contains(text), "{text} {}", portal.log());
        assert_eq!(portal.emulator.counters().polls, 0);
    }
}

#[test]
fn json_rpc_calls_for_others_are_ignored() {
    let portal = Portal::with(Options { push_version: 5, ..Options::default() });
    let client = portal.connected();
    for text in
        [r#"{"jsonrpc":"2.0","result":{},"id":1}"#, r#"{"jsonrpc":"2.0","method":"other","params":{}}"#, "[]", "pong"]
    {
        portal.emulator.control(Control::SendText { text: text.into() });
    }
    portal.add_deals([1]);
    expect_signals(&client, 1);
    until("all frames but the pong", || portal.log().matches("frame received").count() == 4);
    let now = stats(&client);
    assert_eq!((&now["malformed"], &now["failures"], &now["messages"]), (&json!(0), &json!(0), &json!(1)), "{now}");
}
