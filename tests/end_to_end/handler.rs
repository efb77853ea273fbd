//! The portal calls the client.

mod bad_input;
mod installation;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::setting::*;
use b24events::client::Client;
use b24events::clock::Timeout;
use b24events::config::Config;
use b24events::error::{Error, Status};
use b24events::notify::Notification;
use serde_json::{Value, json};

/// Told by the portal, which does not say of how many.
const CALLED: Option<Notification> = Some(Notification { count: 0, signalled: true });
const BOTH_SOURCES: [&str; 2] = ["handler", "both"];

impl Setting {
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
        look(&client);
        client.bind_handler(&url(&client), 0).unwrap();
        client
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

    /// The addresses that the portal calls.
    fn bound(&self, client: &Client) -> Vec<String> {
        let answer: Value = serde_json::from_str(&client.call("event.get", "").unwrap()).unwrap();
        let handlers = answer["result"].as_array().unwrap().iter().filter_map(|binding| binding["handler"].as_str());
        handlers.map(str::to_owned).collect()
    }
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn stat(client: &Client, name: &str) -> Value {
    serde_json::from_str::<Value>(&client.stats()).unwrap()[name].clone()
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
    // Who was answered early may be cut off while still sending.
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
    let setting = Setting::new();
    let client = setting.called("handler");
    for number in 1..=3 {
        setting.deals([number]);
        assert_eq!(client.wait(LONG).unwrap(), CALLED);
        let mut batch = client.fetch(0).unwrap();
        assert_eq!(numbers(&mut batch), [number]);
        batch.acknowledge().unwrap();
    }
    assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    assert_eq!((stat(&client, "handler_calls"), stat(&client, "handler_refused")), (json!(3), json!(0)));
    assert_eq!(setting.emulator.counters().subscriptions_open, 0, "nobody listens to the push server");
    assert_eq!(setting.queued(), 0);
}

#[test]
fn what_comes_both_ways_is_delivered_once() {
    let setting = Setting::new();
    let client = setting.called("both");
    until("the subscription", || setting.emulator.counters().subscriptions_open == 1);
    let mut seen = Vec::new();
    for number in 1..=30 {
        setting.deals([number]);
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
    until("all calls", || stat(&client, "handler_calls") == json!(30));
    assert_eq!(client.next(Timeout::from_millis(300)).unwrap().map(|batch| batch.len()), None);
    assert_eq!(setting.queued(), 0);
}

#[test]
fn what_falls_into_the_portals_pause_is_found_after_it() {
    let setting = Setting::new();
    let client = setting.called("handler");
    client.unbind_handler(None).unwrap();
    client.bind_handler(&url(&client), 1).unwrap();
    setting.deals([1]);
    assert_eq!(client.wait(LONG).unwrap(), CALLED);
    client.fetch(0).unwrap().acknowledge().unwrap();
    let start = Instant::now();
    setting.deals([2]);
    assert_eq!(setting.emulator.counters().handler_calls_skipped, 1, "the portal does not tell");
    assert_eq!(numbers(&mut client.next(LONG).unwrap().unwrap()), [2]);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn it_looks_by_itself_too() {
    let setting = Setting::new();
    let mut config = setting.handler_config("handler");
    config.set("push.poll_interval_ms", "1000").unwrap();
    let client = setting.client_of(&config);
    client.connect(LONG).unwrap();
    for _ in 0..3 {
        look(&client);
    }
}

#[test]
fn binding_is_idempotent_and_follows_the_address() {
    let setting = Setting::new();
    let client = setting.client();
    let [old, new] = ["http://127.0.0.1:1/old", "http://127.0.0.1:1/new"];
    for url in [old, old, new, new] {
        client.bind_handler(url, 1).unwrap();
        assert_eq!(setting.bound(&client), [url]);
    }
    setting.client().bind_handler(old, 5).unwrap();
    assert_eq!(setting.bound(&client), [old], "a client that knows nothing of the address before repairs it too");
    client.unbind_handler(Some(new)).unwrap();
    assert_eq!(setting.bound(&client), [old]);
    client.unbind_handler(Some(old)).unwrap();
    client.bind_handler(new, 1).unwrap();
    client.unbind_handler(None).unwrap();
    client.unbind_handler(None).unwrap();
    assert_eq!(setting.bound(&client), [""; 0]);
    for bad in ["", "my-server", "ftp://x/"] {
        assert_eq!(client.bind_handler(bad, 1).unwrap_err().status(), Status::InvalidArgument);
    }
}

#[test]
fn closing_frees_the_port_at_once_and_leaves_no_thread() {
    for source in BOTH_SOURCES {
        let setting = Setting::new();
        for _ in 0..10 {
            let client = setting.client_of(&setting.handler_config(source));
            client.connect(LONG).unwrap();
            let at = address(&client);
            let mut open = TcpStream::connect(&at).unwrap();
            open.write_all(b"POST /b24 HTTP/1.1\r\n").unwrap();
            let start = Instant::now();
            client.close();
            TcpListener::bind(&at).expect("the port is free");
            client.join();
            assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
            assert_eq!(open.read(&mut [0]).unwrap_or(0), 0, "nobody is at the other end");
            assert_eq!(client.connect(LONG), Err(Error::Closed));
            assert_eq!(client.wait(AT_ONCE), Err(Error::Closed));
        }
    }
}

#[test]
fn a_host_with_its_own_server_needs_no_port() {
    let setting = Setting::new();
    let mut config = setting.handler_config("handler");
    config.set("handler.listen", "").unwrap();
    let client = setting.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    look(&client);
    assert_eq!(stat(&client, "handler_address"), Value::Null);
    let call = setting.call("ONOFFLINEEVENT").to_string();
    assert_eq!(client.accept_handler_call(call.as_bytes(), "application/json"), Ok(200));
    assert_eq!(client.wait(AT_ONCE).unwrap(), CALLED);
    look(&client);
    assert_eq!(client.accept_handler_call(b"x", ""), Ok(400));
    client.close();
    assert_eq!(client.accept_handler_call(b"x", ""), Err(Error::Closed));
}
