//! The portal calls the client.

mod bad_input;
mod binding;
mod installation;
mod proof;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::support::*;
use b24events::client::Client;
use b24events::clock::Timeout;
use b24events::config::Config;
use b24events::error::{Error, Status};
use b24events::notify::Notification;
use serde_json::{Value, json};

/// A signal of the portal that does not say how many records there are.
const CALLED: Option<Notification> = Some(Notification { count: 0, signalled: true });
const BOTH_SOURCES: [&str; 2] = ["handler", "both"];

impl Portal {
    /// A configuration whose handler takes any free port and knows what proves the portal.
    fn handler_config(&self, source: &str) -> Config {
        let mut config = self.config();
        let application = self.emulator.application();
        for (key, value) in [
            ("source", source),
            ("handler.listen", "127.0.0.1:0"),
            ("handler.application_token", &application.application_token),
            ("handler.member_id", &application.member_id),
        ] {
            config.set(key, value).unwrap();
        }
        config
    }

    /// A connected client that the portal calls at every change.
    fn called(&self, source: &str) -> Client {
        let client = self.client_of(&self.handler_config(source));
        client.bind_event("ONCRMDEALADD").unwrap();
        client.connect(LONG).unwrap();
        expect_check(&client);
        client.bind_handler(&url(&client), 0).unwrap();
        client
    }

    /// The portal calls at once, whenever it has called before.
    fn end_pause(&self, client: &Client) {
        client.unbind_handler(None).unwrap();
        client.bind_handler(&url(client), 0).unwrap();
    }

    /// An application that is not installed yet: it knows its keys and no token.
    fn uninstalled_config(&self, source: &str) -> Config {
        let mut config = self.handler_config(source);
        for key in ["auth.access_token", "auth.refresh_token", "handler.application_token", "handler.member_id"] {
            config.set(key, "").unwrap();
        }
        config
    }

    fn install(&self, client: &Client) {
        self.control(json!({"install": {"handler": url(client)}}));
    }

    /// The body of a call as the portal makes it.
    fn call(&self, event: &str) -> Value {
        let application = self.emulator.application();
        let domain = self.emulator.portal_url().replace("http://", "");
        json!({"event": event, "data": "", "ts": unix().to_string(), "auth": {
            "domain": domain, "member_id": application.member_id, "application_token": application.application_token}})
    }

    /// The addresses that the portal calls when the queue has grown.
    fn bound(&self, client: &Client) -> Vec<String> {
        let answer: Value = serde_json::from_str(&client.call("event.get", "").unwrap()).unwrap();
        let bindings = answer["result"].as_array().unwrap().iter();
        let handlers = bindings.filter(|binding| binding["event"] == "ONOFFLINEEVENT");
        handlers.filter_map(|binding| binding["handler"].as_str()).map(str::to_owned).collect()
    }
}

/// Waits for a signal. A check that follows an earlier call may come before it.
fn expect_call(client: &Client) {
    until("a call", || client.wait(AT_ONCE).unwrap() == CALLED);
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn stat(client: &Client, name: &str) -> Value {
    stats(client)[name].clone()
}

/// Host and port.
fn address(client: &Client) -> String {
    stat(client, "handler_address").as_str().expect("the port is open").to_owned()
}

fn url(client: &Client) -> String {
    format!("http://{}/b24", address(client))
}

/// Sends bytes to the handler and returns the HTTP status of the answer.
fn answer_to(client: &Client, request: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address(client)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // An early answer may close the connection while the request is still being sent.
    let _ = stream.write_all(request);
    status_of(stream)
}

fn status_of(mut stream: TcpStream) -> u16 {
    let mut answer = String::new();
    // The answer is whole even if the end of the connection is not clean.
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

fn post(client: &Client, body: &str) -> u16 {
    let request = format!("POST /b24 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    answer_to(client, request.as_bytes())
}

#[test]
fn a_call_of_the_portal_rings() {
    let portal = Portal::start();
    let client = portal.called("handler");
    portal.add_deals([1]);
    expect_call(&client);
    let mut batch = client.fetch(0).unwrap();
    assert_eq!(numbers(&mut batch), [1]);
    batch.acknowledge().unwrap();
    assert_eq!((stat(&client, "handler_calls"), stat(&client, "handler_refused")), (json!(1), json!(0)));
    assert_eq!(portal.emulator.counters().subscriptions_open, 0, "nobody listens to the push server");
    assert_eq!(portal.queued(), 0);
}

#[test]
fn a_call_under_any_name_of_the_portal_rings() {
    let portal = Portal::start();
    let client = portal.called("handler");
    let address = portal.emulator.address().to_string();
    let names =
        ["crm.another.example", "CRM.Another.Example:443", "", &address.replace("127.0.0.1", "LOCALHOST"), &address];
    for (number, name) in (1..).zip(names) {
        portal.control(json!({"handler_domain": {"domain": name}}));
        portal.end_pause(&client);
        portal.add_deals([number]);
        expect_call(&client);
        let mut batch = client.fetch(0).unwrap();
        assert_eq!(numbers(&mut batch), [number], "{name:?}");
        batch.acknowledge().unwrap();
    }
    assert_eq!((stat(&client, "handler_calls"), stat(&client, "handler_refused")), (json!(5), json!(0)));
    assert_eq!(portal.log().matches("a handler call names the portal").count(), 3, "{}", portal.log());
}

#[test]
fn records_signalled_both_ways_are_delivered_once() {
    let portal = Portal::start();
    let client = portal.called("both");
    until("the subscription", || portal.emulator.counters().subscriptions_open == 1);
    let mut seen = Vec::new();
    for number in 1..=30 {
        portal.add_deals([number]);
        if number % 3 == 0 {
            continue;
        }
        let mut batch = client.next(LONG).unwrap().unwrap();
        seen.extend(numbers(&mut batch));
        batch.acknowledge().unwrap();
    }
    while seen.len() < 30 {
        let mut batch = client.next(LONG).unwrap().unwrap();
        seen.extend(numbers(&mut batch));
        batch.acknowledge().unwrap();
    }
    seen.sort();
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
    let all_calls = || stat(&client, "handler_calls") == portal.emulator.counters().handler_calls;
    until("all calls", all_calls);
    assert_eq!(client.next(Timeout::from_millis(300)).unwrap().map(|batch| batch.len()), None);
    assert_eq!(portal.queued(), 0);
}

#[test]
fn a_change_during_the_portals_pause_is_found_after_it() {
    let portal = Portal::start();
    let client = portal.called("handler");
    client.unbind_handler(None).unwrap();
    client.bind_handler(&url(&client), 1).unwrap();
    portal.add_deals([1]);
    expect_call(&client);
    client.fetch(0).unwrap().acknowledge().unwrap();
    let start = Instant::now();
    portal.add_deals([2]);
    assert_eq!(portal.emulator.counters().handler_calls_skipped, 1, "the portal does not call");
    assert_eq!(numbers(&mut client.next(LONG).unwrap().unwrap()), [2]);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn calls_that_come_bunched_are_followed_by_one_check() {
    let portal = Portal::start();
    let client = portal.called("handler");
    let call = portal.call("ONOFFLINEEVENT").to_string();
    for _ in 0..5 {
        assert_eq!(post(&client, &call), 200);
    }
    let start = Instant::now();
    expect_call(&client);
    expect_check(&client);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(client.wait(Timeout::from_millis(1500)).unwrap(), None);
}

#[test]
fn a_longer_pause_is_followed_by_a_check_of_its_own() {
    let portal = Portal::start();
    let client = portal.called("handler");
    client.unbind_handler(None).unwrap();
    client.bind_handler(&url(&client), 6).unwrap();
    let start = Instant::now();
    assert_eq!(post(&client, &portal.call("ONOFFLINEEVENT").to_string()), 200);
    expect_call(&client);
    expect_check(&client);
    assert!(start.elapsed() < Duration::from_secs(6), "soon after the call: {:?}", start.elapsed());
    expect_check(&client);
    assert!(start.elapsed() > Duration::from_secs(6), "after the pause: {:?}", start.elapsed());
}

#[test]
fn the_queue_is_checked_at_the_interval_too() {
    let portal = Portal::start();
    let mut config = portal.handler_config("handler");
    config.set("push.poll_interval_ms", "1000").unwrap();
    let client = portal.client_of(&config);
    client.connect(LONG).unwrap();
    expect_check(&client);
    expect_check(&client);
    let start = Instant::now();
    (0..2).for_each(|_| expect_check(&client));
    assert!(start.elapsed() >= Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn closing_frees_the_port_at_once() {
    for source in BOTH_SOURCES {
        let portal = Portal::start();
        for _ in 0..10 {
            let client = portal.client_of(&portal.handler_config(source));
            client.connect(LONG).unwrap();
            let at = address(&client);
            let mut open = TcpStream::connect(&at).unwrap();
            open.write_all(b"POST /b24 HTTP/1.1\r\n").unwrap();
            let start = Instant::now();
            client.close();
            TcpListener::bind(&at).expect("the port is free");
            client.join();
            assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
            assert_eq!(open.read(&mut [0]).unwrap_or(0), 0, "the connection is closed");
            assert_eq!(client.connect(LONG), Err(Error::Closed));
            assert_eq!(client.wait(AT_ONCE), Err(Error::Closed));
        }
    }
}

#[test]
fn a_host_with_its_own_server_needs_no_port() {
    let portal = Portal::start();
    let mut config = portal.handler_config("handler");
    config.set("handler.listen", "").unwrap();
    let client = portal.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    expect_check(&client);
    assert_eq!(stat(&client, "handler_address"), Value::Null);
    let call = portal.call("ONOFFLINEEVENT").to_string();
    assert_eq!(client.accept_handler_call(call.as_bytes(), "application/json"), Ok(200));
    assert_eq!(client.wait(AT_ONCE).unwrap(), CALLED);
    expect_check(&client);
    assert_eq!(client.accept_handler_call(b"x", ""), Ok(400));
    client.close();
    assert_eq!(client.accept_handler_call(b"x", ""), Err(Error::Closed));
}
