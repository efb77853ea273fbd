//! The portal calls the client.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::setting::*;
use b24_emulator::{EMPLOYEE, Options};
use b24events::client::Client;
use b24events::clock::Timeout;
use b24events::config::Config;
use b24events::error::{Error, Status};
use b24events::push::doorbell::Notification;
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
        client.subscribe("ONCRMDEALADD").unwrap();
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
fn an_installation_brings_the_first_tokens() {
    for source in BOTH_SOURCES {
        let setting = Setting::new();
        let client = setting.client_of(&setting.uninstalled_config(source));
        client.connect(LONG).unwrap();
        assert_eq!(client.wait(Timeout::from_millis(50)).unwrap(), None, "there is nothing to look with");
        setting.install(&client);
        look(&client);
        client.subscribe("ONCRMDEALADD").unwrap();
        until("the connection", || client.is_connected());
        client.bind_handler(&url(&client), 0).unwrap();
        setting.deals([1]);
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!(numbers(&mut batch), [1], "{source}");
        batch.acknowledge().unwrap();
        assert_eq!(setting.tokens.lock().unwrap().len(), 1, "the host has been told");

        // The next client, on whatever machine, knows what proves the portal, and goes on with the tokens.
        let state = client.state();
        drop(client);
        let client = setting.client_of(&setting.uninstalled_config("handler"));
        client.restore(&state).unwrap();
        client.connect(LONG).unwrap();
        look(&client);
        setting.control(json!("expire_tokens"));
        client.call("profile", "").unwrap();
        assert_eq!(post(&client, &setting.call("ONOFFLINEEVENT").to_string()), 200);
        assert_eq!(client.wait(LONG).unwrap(), CALLED);
    }
}

#[test]
fn an_installation_that_does_not_prove_itself_changes_nothing() {
    let setting = Setting::new();
    let config = setting.uninstalled_config("handler");
    let with = |key: &str, value: &str| {
        let mut config = config.clone();
        config.set(key, value).unwrap();
        let client = setting.client_of(&config);
        client.connect(LONG).unwrap();
        client
    };
    let mut install = setting.call("ONAPPINSTALL");
    install["auth"]["access_token"] = setting.emulator.issue_tokens(EMPLOYEE).access_token.into();
    let refused = |client: &Client, call: &Value| {
        let before = client.state();
        assert_eq!(post(client, &call.to_string()), 403, "{call}");
        assert_eq!(client.state(), before);
        assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    };
    let change = |name: &str, value: Value| {
        let mut call = install.clone();
        call["auth"][name] = value;
        call
    };
    for call in [
        change("access_token", json!("made up")),
        change("access_token", json!("")),
        change("application_token", json!("")),
        change("domain", json!("evil.example")),
    ] {
        refused(&with("auth.server", &setting.emulator.portal_url()), &call);
    }
    refused(&with("auth.client_id", "local.another"), &install);
    refused(&with("auth.client_id", ""), &install);
    refused(&with("handler.member_id", "another"), &install);
    refused(&with("handler.application_token", "another"), &install);

    // After one that proved nothing the next one waits for its turn; it is not believed in between.
    let client = with("auth.server", &setting.emulator.portal_url());
    refused(&client, &change("access_token", json!("made up")));
    let requests = setting.emulator.counters().requests;
    refused(&client, &install);
    assert_eq!(setting.emulator.counters().requests, requests, "the portal is not asked");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(post(&client, &install.to_string()), 200);
    look(&client);
    // Played again, it changes nothing; with another token it is not the portal's.
    let before = client.state();
    assert_eq!(post(&client, &install.to_string()), 200);
    assert_eq!((client.state(), client.wait(AT_ONCE).unwrap()), (before, None));
    refused(&client, &change("application_token", json!("another")));
}

#[test]
fn the_end_of_the_application_is_told_to_everyone() {
    for source in BOTH_SOURCES {
        let setting = Setting::new();
        let client = setting.client_of(&setting.uninstalled_config(source));
        client.connect(LONG).unwrap();
        setting.install(&client);
        look(&client);
        until("the connection", || client.is_connected());
        let at = address(&client);
        std::thread::scope(|scope| {
            let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| client.wait(Timeout::Never).map(drop))).collect();
            setting.control(json!({"uninstall": {"handler": url(&client)}}));
            for wait in waits {
                let mut ended = wait.join().unwrap();
                while ended.is_ok() {
                    ended = client.wait(LONG).map(drop);
                }
                let error = ended.unwrap_err();
                assert_eq!((error.status(), error.code()), (Status::Auth, "APPLICATION_UNINSTALLED"));
                assert!(error.to_string().contains("install it again"), "{error}");
            }
        });
        for error in [
            client.fetch(0).err().unwrap(),
            client.connect(LONG).unwrap_err(),
            client.call("profile", "").unwrap_err(),
            client.accept_handler_call(b"", "").unwrap_err(),
        ] {
            assert_eq!(error.code(), "APPLICATION_UNINSTALLED", "{source}");
        }
        client.join();
        TcpListener::bind(&at).expect("the port is free");
        until("the answer", || setting.emulator.counters().handler_calls == 2);
        assert_eq!(setting.emulator.counters().handler_calls_failed, 0, "the portal got its answer");
        assert!(!client.state().contains(&setting.emulator.application().application_token));

        // Installed again, with what the old client left.
        let next = setting.client_of(&setting.uninstalled_config(source));
        next.restore(&client.state()).unwrap();
        next.connect(LONG).unwrap();
        assert_eq!(next.wait(Timeout::from_millis(20)).unwrap(), None, "dead tokens are not used");
        setting.install(&next);
        look(&next);
        next.call("profile", "").unwrap();
    }
}

#[test]
fn tokens_of_a_call_stand_in_for_those_that_cannot_be_renewed() {
    let setting = Setting::new();
    let mut config = setting.handler_config("handler");
    config.set("auth.refresh_token", "").unwrap();
    let client = setting.client_of(&config);
    client.subscribe("ONCRMDEALADD").unwrap();
    client.connect(LONG).unwrap();
    look(&client);
    client.bind_handler(&url(&client), 0).unwrap();
    setting.control(json!("expire_tokens"));
    assert_eq!(client.call("profile", "").unwrap_err().status(), Status::Auth);
    // Somebody else's change: the call carries the token of the administrator who has bound the handler.
    setting.emulator.make_event("ONCRMDEALADD", deal(1), &EMPLOYEE.to_string());
    setting.deals([2]);
    assert_eq!(client.wait(LONG).unwrap(), CALLED);
    let mut found = Vec::new();
    until("both deals", || {
        let mut batch = client.fetch(0).unwrap();
        found.extend(numbers(&mut batch));
        found.len() == 2
    });
    assert_eq!(setting.tokens.lock().unwrap().len(), 1, "the host has been told");

    // A call without tokens rings all the same.
    setting.control(json!({"handler_tokens": false}));
    setting.deals([3]);
    while client.wait(LONG).unwrap() != CALLED {}
    client.call("profile", "").unwrap();
}

#[test]
fn tokens_of_a_call_leave_a_pair_alone_that_works() {
    let setting = Setting::new();
    let client = setting.called("handler");
    let before: Value = serde_json::from_str(&client.state()).unwrap();
    setting.control(json!({"handler_refresh_token": true}));
    setting.deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    let after: Value = serde_json::from_str(&client.state()).unwrap();
    assert_eq!(after["tokens"], before["tokens"]);
    setting.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
    assert_eq!(stat(&client, "renewals"), 1);
}

#[test]
fn only_the_portal_is_heard() {
    let setting = Setting::new();
    let client = setting.called("handler");
    let good = setting.call("ONOFFLINEEVENT");
    let change = |name: &str, value: Value| {
        let mut call = good.clone();
        match name {
            "event" | "ts" => call[name] = value,
            _ => call["auth"][name] = value,
        }
        call.to_string()
    };
    let before = client.state();
    let token = setting.emulator.issue_tokens(EMPLOYEE).access_token;
    for (status, body) in [
        (403, change("application_token", json!("0123456789abcdef0123456789abcdef"))),
        (403, change("application_token", Value::Null)),
        (403, change("application_token", json!({"x": 1})).replace("{\"x\":1}", "\"\"")),
        (403, change("domain", json!("evil.example"))),
        (403, change("member_id", json!("another"))),
        (403, change("ts", json!(unix() - 3600))),
        (403, change("ts", json!(1466439714))),
        (403, change("event", json!("ONCRMDEALADD"))),
        (403, change("event", json!("ONAPPUNINSTALL")).replace(&setting.emulator.application().application_token, "x")),
        (403, change("access_token", json!(token)).replace(&setting.emulator.application().member_id, "x")),
        (400, change("application_token", json!({"nested": "x"}))),
        (400, change("event", json!(""))),
        (400, "nonsense".into()),
        (400, "{".into()),
        (400, "a&".repeat(30_000)),
        (400, format!("event=ONOFFLINEEVENT&auth{}=1", "[a]".repeat(100))),
        (400, format!("{{\"event\":\"X\",\"a\":{}", "[".repeat(60_000))),
        (413, "k=1&".repeat(100_000)),
    ] {
        assert_eq!(post(&client, &body), status, "{body:.200}");
    }
    assert_eq!(client.wait(AT_ONCE).unwrap(), None, "nobody was heard");
    assert_eq!(client.state(), before);
    assert_eq!((stat(&client, "handler_calls"), stat(&client, "handler_refused")), (json!(0), json!(18)));

    let form = good.as_object().unwrap();
    let auth = form["auth"].as_object().unwrap().iter();
    let auth: String = auth.map(|(name, value)| format!("&auth%5B{name}%5D={}", value.as_str().unwrap())).collect();
    let form = format!("event=ONOFFLINEEVENT&data=&ts={}{auth}", unix());
    for body in [form, good.to_string()] {
        assert_eq!(post(&client, &body), 200, "{body}");
        assert_eq!(client.wait(LONG).unwrap(), CALLED);
    }
    assert_eq!(client.accept_handler_call(good.to_string().as_bytes(), ""), Ok(200), "from a server of the host's");
    assert_eq!(client.wait(LONG).unwrap(), CALLED);
}

#[test]
fn requests_that_lie_are_answered() {
    let setting = Setting::new();
    let client = setting.called("handler");
    let body = setting.call("ONOFFLINEEVENT").to_string();
    let with = |fields: &str, body: &str| format!("POST /b24 HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}");
    let length = body.len();
    for (status, request) in [
        (400, with(&format!("Content-Length: {}", length - 1), &body)),
        (400, with("Content-Length: x", &body)),
        (400, with(&format!("Content-Length: {length}\r\nContent-Length: 1"), &body)),
        (400, with(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"), &body)),
        (400, with("Transfer-Encoding: chunked", "5\r\nabc\r\nx\r\n")),
        (404, with("Content-Length: 1", "x").replace("/b24", "/")),
        (405, "GET /b24 HTTP/1.1\r\nHost: x\r\n\r\n".into()),
        (413, with("Content-Length: 10485760", &"x".repeat(10 << 20))),
        (413, with("Transfer-Encoding: chunked", &format!("{:x}\r\n{}", 10 << 20, "x".repeat(10 << 20)))),
        (431, with(&format!("Cookie: {}", "x".repeat(100_000)), "")),
        (200, with("Transfer-Encoding: chunked", &format!("{length:x}\r\n{body}\r\n0\r\n\r\n"))),
        (200, with(&format!("Content-Length: {length}"), &format!("{body}and more"))),
    ] {
        assert_eq!(answer_to(&client, request.as_bytes()), status, "{request:.150}");
    }
    // It promises more than it says, and ends.
    let mut short = TcpStream::connect(address(&client)).unwrap();
    short.write_all(with(&format!("Content-Length: {}", length + 1), &body).as_bytes()).unwrap();
    short.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(status_of(short), 400);
    // It promises more, and does not end; the portal is heard meanwhile.
    let start = Instant::now();
    let mut slow = TcpStream::connect(address(&client)).unwrap();
    slow.write_all(with(&format!("Content-Length: {}", length + 1), &body).as_bytes()).unwrap();
    assert_eq!(post(&client, &body), 200);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(status_of(slow), 408);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let setting = Setting::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    for source in BOTH_SOURCES {
        let mut config = setting.handler_config(source);
        config.set("handler.listen", &at).unwrap();
        let client = setting.client_of(&config);
        let error = client.connect(LONG).unwrap_err();
        assert!(
            matches!(&error, Error::Config(text) if text.contains(&at) && text.contains("handler.listen")),
            "{error}"
        );
        assert!(matches!(client.wait(AT_ONCE), Err(Error::State(_))));
    }
    let mut config = setting.handler_config("handler");
    config.set("handler.listen", &at).unwrap();
    let client = setting.client_of(&config);
    client.connect(LONG).unwrap_err();
    drop(taken);
    client.connect(LONG).unwrap();
    client.connect(LONG).unwrap();
    look(&client);
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
    client.subscribe("ONCRMDEALADD").unwrap();
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

#[test]
fn no_secret_in_what_people_read() {
    let setting = Setting::with(Options { hold: Duration::from_millis(200), ..Options::default() });
    let client = setting.client_of(&setting.uninstalled_config("both"));
    client.connect(LONG).unwrap();
    let application = setting.emulator.application();
    let mut secrets = vec![application.application_token.clone(), application.client_secret];
    let guess = "a-guess-that-somebody-makes";
    let mut call = setting.call("ONAPPINSTALL");
    call["auth"]["access_token"] = guess.into();
    assert_eq!(post(&client, &call.to_string()), 403);
    std::thread::sleep(Duration::from_millis(1100));
    setting.install(&client);
    look(&client);
    client.bind_handler(&url(&client), 0).unwrap();
    client.subscribe("ONCRMDEALADD").unwrap();
    setting.control(json!({"handler_refresh_token": true}));
    setting.deals([1]);
    client.next(LONG).unwrap().unwrap().acknowledge().unwrap();
    for wrong in [guess, "{\"event\":\"X\",\"auth\":\"a-guess-that-somebody-makes\"}"] {
        post(&client, wrong);
        std::thread::sleep(Duration::from_millis(1100));
    }
    let state: Value = serde_json::from_str(&client.state()).unwrap();
    for name in ["access_token", "refresh_token"] {
        secrets.push(state["tokens"][name].as_str().unwrap().to_owned());
    }
    setting.control(json!({"uninstall": {"handler": url(&client)}}));
    let error = loop {
        if let Err(error) = client.wait(LONG) {
            break error;
        }
    };
    secrets.push(guess.into());
    let mut config = setting.handler_config("handler");
    config.set("handler.listen", "192.0.2.1:80").unwrap();
    let cannot_listen = setting.client_of(&config).connect(LONG).unwrap_err().to_string();
    let shown = config.get("handler.application_token").unwrap();
    for text in [setting.log(), client.stats(), error.to_string(), cannot_listen, shown] {
        assert!(!text.is_empty());
        for secret in &secrets {
            assert!(secret.len() >= 16 && !text.contains(secret.as_str()), "{}", text.replace(secret, "<<HERE>>"));
        }
    }
    assert!(setting.log().contains("answered with HTTP 403") && setting.log().contains("was installed"));
}
