//! The push server over HTTP.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use b24_emulator::{Control, ExpireAction, Options};
use common::{Client, messages, quick, text_of, wait_until};
use serde_json::json;

fn long_hold() -> Options {
    Options { hold: Duration::from_secs(30), ..Options::default() }
}

/// One request over a bare socket: the answer as bytes.
fn raw(client: &Client, target: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(client.emulator.address()).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A dropped connection may end in a reset.
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Names and values of a head, without those that differ from one answer to the next or depend on `Connection`.
/// `Content-Length: 0` of a 304, which nginx sends, is left out too: hyper does not let it through.
fn head(answer: &str) -> Vec<&str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or("");
    let fixed = |line: &&str| {
        !["Date:", "Last-Message-Id:", "Last-Modified:", "Connection:", "Content-Length:"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    head.split("\r\n").filter(fixed).collect()
}

fn sorted(mut lines: Vec<&str>) -> Vec<&str> {
    lines.sort_unstable();
    lines
}

#[test]
fn a_held_poll_gets_what_is_published() {
    let client = Client::new(long_hold());
    let poll = client.poll_held(&client.subscription());
    client.emulator.publish("rest", "event_offline", json!([{"connector_id": "OneC", "count": 1}]));
    let messages = messages(&text_of(poll.join().unwrap().unwrap()));
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["text"]["params"], json!([{"connector_id": "OneC", "count": 1}]));
    assert_eq!(messages[0]["mid"].as_str().unwrap().len(), 26);
    assert_eq!(client.emulator.counters().polls_served, 1);
}

#[test]
fn missed_messages_come_with_mid_and_only_with_it() {
    let client = Client::new(quick());
    let subscription = client.subscription();
    let response = client.poll(&subscription).unwrap();
    assert_eq!(response.status(), 304);
    assert_eq!(response.headers()["Expires"], "Thu, 01 Jan 1973 11:11:01 GMT");
    assert_eq!(response.headers()["Last-Message-Id"], "");

    for n in 0..3 {
        client.emulator.publish("rest", "event_offline", json!([{"connector_id": "", "count": n}]));
    }
    let response = client.poll(&subscription).unwrap();
    assert_eq!(response.status(), 304, "without a mid they are missed");
    let mid = response.headers()["Last-Message-Id"].to_str().unwrap().to_owned();
    let all = messages(&text_of(client.poll(&format!("{subscription}&mid=0")).unwrap()));
    assert_eq!(all.len(), 3);
    assert_eq!(all[2]["mid"], json!(mid));
    let first = all[0]["mid"].as_str().unwrap();
    assert_eq!(messages(&text_of(client.poll(&format!("{subscription}&mid={first}")).unwrap())), all[1..]);

    let nines = "9".repeat(26);
    let response = client.poll(&format!("{subscription}&mid={nines}")).unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["Last-Message-Id"].to_str().unwrap()), (304, &*nines));
}

#[test]
fn a_channel_keeps_the_last_1000() {
    let client = Client::new(quick());
    for n in 0..1005 {
        client.emulator.publish("rest", "event_offline", json!([n]));
    }
    let stored = messages(&text_of(client.poll(&format!("{}&mid=0", client.subscription())).unwrap()));
    assert_eq!((stored.len(), &stored[0]["text"]["params"]), (1000, &json!([5])));
}

#[test]
fn an_array_with_format_json() {
    let client = Client::new(quick());
    let subscription = client.subscription();
    client.emulator.publish("rest", "event_offline", json!([]));
    client.emulator.publish("main", "user_online", json!({"text": "#!NGINXNME!#"}));
    let text = text_of(client.poll(&format!("{subscription}&mid=0&format=json")).unwrap());
    let array: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(array.len(), 2);
    assert_eq!(array[1]["text"]["module_id"], "main");
}

#[test]
fn refusals_are_the_recorded_ones() {
    for version in [3, 4] {
        let client = Client::new(Options { push_version: version, push_shared: false, ..quick() });
        let cases = [
            ("/sub/", include_str!("../../vectors/v3_lp_400_no_channel.http")),
            ("/sub/?CHANNEL_ID=abc.00", include_str!("../../vectors/v3_lp_400_bad_signature.http")),
        ];
        for (target, recorded) in cases {
            let answer = String::from_utf8(raw(&client, target)).unwrap();
            assert_eq!(head(&answer), head(recorded));
            let body = |text: &str| text.split_once("\r\n\r\n").unwrap().1.to_lowercase();
            assert_eq!(body(&answer), body(recorded));
        }
    }
}

#[test]
fn heads_are_the_recorded_ones() {
    let client = Client::new(Options { push_version: 3, push_shared: false, ..quick() });
    let target = format!("/sub/?{}", client.subscription());
    let recorded = include_str!("../../vectors/v3_lp_304_hold_without_mid.http");
    assert_eq!(head(&String::from_utf8(raw(&client, &target)).unwrap()), head(recorded));
    let recorded = include_str!("../../vectors/v3_lp_304_hold_with_mid.http");
    assert_eq!(
        head(&String::from_utf8(raw(&client, &format!("{target}&mid={}", "9".repeat(26)))).unwrap()),
        head(recorded)
    );
    client.emulator.publish("rest", "event_offline", json!([]));
    let recorded = include_str!("../../vectors/v3_lp_200_one.http");
    assert_eq!(head(&String::from_utf8(raw(&client, &format!("{target}&mid=0"))).unwrap()), head(recorded));
}

#[test]
fn heads_of_version_1_are_the_recorded_ones() {
    let client = Client::new(Options { push_version: 1, push_shared: false, ..quick() });
    let target = format!("/sub/?{}", client.subscription());
    let recorded = include_str!("../../vectors/v1_lp_timeout.http");
    let answer = String::from_utf8(raw(&client, &target)).unwrap();
    assert_eq!(sorted(head(&answer)), sorted(head(recorded)));

    client.emulator.publish("rest", "event_offline", json!([1]));
    let time = "Thu,%2001%20Jan%201970%2000:00:01%20GMT";
    let answer = String::from_utf8(raw(&client, &format!("{target}&tag=0&time={time}"))).unwrap();
    let recorded = include_str!("../../vectors/v1_lp_200_one.http");
    assert_eq!(sorted(head(&answer)), sorted(head(recorded)));
}

#[test]
fn version_1_goes_on_by_tag_and_time() {
    let client = Client::new(Options { push_version: 1, push_shared: false, hold: Duration::from_secs(2), ..quick() });
    let subscription = client.subscription();
    let poll = client.poll_held(&subscription);
    client.emulator.publish("rest", "event_offline", json!([{"connector_id": "", "count": 1}]));
    let response = poll.join().unwrap().unwrap();
    let etag = response.headers()["Etag"].to_str().unwrap().to_owned();
    let modified = response.headers()["Last-Modified"].to_str().unwrap().to_owned();
    let first = &messages(&text_of(response))[0];
    assert_eq!(etag, format!("W/{}", first["tag"].as_str().unwrap()));
    assert_eq!(modified, first["time"].as_str().unwrap());

    for n in 2..4 {
        client.emulator.publish("rest", "event_offline", json!([{"connector_id": "", "count": n}]));
    }
    let resume = |space| format!("{subscription}&tag={}&time={}", &etag[2..], modified.replace(' ', space));
    let missed = messages(&text_of(client.poll(&resume("%20")).unwrap()));
    assert_eq!(missed.len(), 2);
    assert_eq!(missed[0]["text"]["params"][0]["count"], 2);
    assert_eq!(client.poll(&resume("+")).unwrap().status(), 304, "a plus is not read");
}

#[test]
fn channels_of_every_version() {
    for version in 1..=5 {
        let client = Client::new(Options { push_version: version, ..quick() });
        let channels = client.call("pull.application.config.get", json!({}))["channels"].clone();
        let private = channels["private"]["id"].as_str().unwrap();
        assert_eq!(private.contains(':'), version >= 4);
        assert_eq!(private.contains('.'), version >= 3);
        let subscription = client.subscription();
        assert_eq!(client.poll(&subscription).unwrap().status(), 304);
        assert_eq!(client.poll(&subscription.replace(':', "%3A").replace('/', "%2F")).unwrap().status(), 304);
    }
}

#[test]
fn a_shared_server_needs_the_client_id() {
    let client = Client::new(quick());
    let subscription = client.subscription();
    let (channels, _) = subscription.split_once('&').unwrap();
    assert_eq!(client.poll(channels).unwrap().status(), 400);
    assert_eq!(client.poll(&format!("{channels}&clientId=1")).unwrap().status(), 400);
}

#[test]
fn an_expired_channel_is_refused_and_says_so_first() {
    let client = Client::new(long_hold());
    let subscription = client.subscription();
    let poll = client.poll_held(&subscription);
    client.emulator.control(Control::ExpireChannel { command: true, action: ExpireAction::Reconnect });
    let message = &messages(&text_of(poll.join().unwrap().unwrap()))[0]["text"];
    assert_eq!((&message["module_id"], &message["command"]), (&json!("pull"), &json!("channel_expire")));
    let new = message["params"]["new_channel"]["id"].as_str().unwrap();
    assert_eq!(client.poll(&subscription).unwrap().status(), 400);
    assert!(client.subscription().contains(new));
}

#[test]
fn channels_end_by_themselves() {
    let client = Client::new(Options { channel_ttl: Duration::from_secs(3), ..long_hold() });
    let subscription = client.subscription();
    let poll = client.poll_held(&subscription);
    let response = poll.join().unwrap().unwrap();
    assert_eq!(messages(&text_of(response))[0]["text"]["command"], "channel_expire");
    wait_until(|| client.poll(&subscription).unwrap().status() == 400);
}

#[test]
fn raw_bytes_are_sent_as_they_are() {
    let client = Client::new(long_hold());
    let target = format!("/sub/?{}", client.subscription());
    for bytes in [&b"#!NGINXNMS!#{\"id\":"[..], b"\xff\xfe", b""] {
        client.emulator.publish_raw(bytes);
        let answer = raw(&client, &target);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        let chunk = if bytes.is_empty() {
            b"0\r\n\r\n".to_vec()
        } else {
            [format!("{:X}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n0\r\n\r\n"].concat()
        };
        assert!(answer.ends_with(&chunk), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn connections_can_be_dropped_and_the_server_stopped() {
    let client = Client::new(long_hold());
    let subscription = client.subscription();
    let poll = client.poll_held(&subscription);
    client.emulator.control(Control::DropConnections);
    assert!(poll.join().unwrap().is_err());

    let poll = client.poll_held(&subscription);
    client.emulator.control(Control::StopPush);
    assert!(poll.join().unwrap().is_err());
    assert!(client.poll(&subscription).is_err());
    client.emulator.publish("rest", "event_offline", json!(["lost"]));
    client.emulator.control(Control::StartPush);

    client.emulator.publish("rest", "event_offline", json!(["stored"]));
    let stored = messages(&text_of(client.poll(&format!("{subscription}&mid=0")).unwrap()));
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0]["text"]["params"], json!(["stored"]));
    client.emulator.control(Control::RestartPush);
    let poll = client.poll_held(&format!("{subscription}&mid=0"));
    client.emulator.publish("rest", "event_offline", json!(["new"]));
    assert_eq!(messages(&text_of(poll.join().unwrap().unwrap()))[0]["text"]["params"], json!(["new"]));
}

#[test]
fn a_client_that_goes_away_is_no_subscriber() {
    let client = Client::new(long_hold());
    let mut stream = TcpStream::connect(client.emulator.address()).unwrap();
    write!(stream, "GET /sub/?{} HTTP/1.1\r\nHost: x\r\n\r\n", client.subscription()).unwrap();
    wait_until(|| client.emulator.counters().subscriptions_open == 1);
    drop(stream);
    wait_until(|| client.emulator.counters().subscriptions_open == 0);
}

#[test]
fn dropping_the_emulator_ends_polls_and_frees_the_port() {
    let client = Client::new(long_hold());
    let address = client.emulator.address();
    let poll = client.poll_held(&client.subscription());
    let clock = Instant::now();
    drop(client);
    assert!(poll.join().unwrap().is_err());
    assert!(clock.elapsed() < Duration::from_secs(2));
    let again = Client::new(Options { listen: address, ..quick() });
    assert_eq!(again.emulator.address(), address);
}
