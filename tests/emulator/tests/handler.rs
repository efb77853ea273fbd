//! Calls the portal makes: handlers of an application.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use b24_emulator::{ADMINISTRATOR, Control, EMPLOYEE, Emulator, Options};
use common::{Client, SendJson, quick, wait_until};
use serde_json::{Value, json};

const SHORT_WAIT: Duration = Duration::from_millis(300);

/// A web server that takes calls.
struct Site {
    address: String,
    calls: Receiver<Call>,
}

#[derive(Debug)]
struct Call {
    /// First line and headers.
    head: Vec<String>,
    fields: Vec<(String, String)>,
}

impl Site {
    fn new(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/b24?from=portal", listener.local_addr().unwrap());
        let (sender, calls) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if sender.send(take(stream.unwrap(), status)).is_err() {
                    return;
                }
            }
        });
        Self { address, calls }
    }

    fn next(&self) -> BTreeMap<String, String> {
        self.calls.recv_timeout(Duration::from_secs(20)).unwrap().fields.into_iter().collect()
    }

    fn has_nothing(&self) -> bool {
        self.calls.recv_timeout(SHORT_WAIT).err() == Some(RecvTimeoutError::Timeout)
    }

    fn bind(&self, client: &Client, options: &Value) {
        let params = json!({"event": "OnOfflineEvent", "handler": self.address, "options": options});
        assert_eq!(client.call("event.bind", params), json!(true));
    }
}

fn take(stream: TcpStream, status: &str) -> Call {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let length =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    write!(reader.into_inner(), "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
    let fields = String::from_utf8(body).unwrap();
    let fields = fields.split('&').map(|field| field.split_once('=').unwrap());
    Call { head, fields: fields.map(|(name, value)| (decode(name), decode(value))).collect() }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned()
}

/// Handlers are called as often as their minTimeout allows.
fn often() -> Options {
    Options { obey_min_timeout: true, ..quick() }
}

fn bound(options: Options) -> Client {
    let client = Client::new(options);
    client.bind("ONCRMDEALADD", "");
    client
}

#[test]
fn a_call_has_the_vendors_shape() {
    let client = bound(quick());
    let site = Site::new("200 OK");
    site.bind(&client, &json!({}));
    client.add_deal("x");
    let call = site.calls.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(call.head[0], "POST /b24?from=portal HTTP/1.1");
    let has = |line: &str| call.head.iter().any(|known| known.eq_ignore_ascii_case(line));
    assert!(has("Content-Type: application/x-www-form-urlencoded"));
    assert!(has(&format!("Host: {}", site.address.split('/').nth(2).unwrap())));

    let names: Vec<&str> = call.fields.iter().map(|(name, _)| name.as_str()).collect();
    let of_the_vendor = [
        "event",
        "event_handler_id",
        "data",
        "ts",
        "auth[access_token]",
        "auth[expires_in]",
        "auth[domain]",
        "auth[server_endpoint]",
        "auth[client_endpoint]",
        "auth[member_id]",
        "auth[application_token]",
    ];
    assert_eq!(names, of_the_vendor);
    let fields: BTreeMap<String, String> = call.fields.into_iter().collect();
    let application = client.emulator.application();
    assert_eq!((fields["event"].as_str(), fields["data"].as_str()), ("ONOFFLINEEVENT", ""));
    assert_eq!(fields["event_handler_id"], "2", "the second binding");
    assert_eq!(fields["auth[server_endpoint]"], format!("{}/rest/", client.emulator.auth_server_url()));
    assert_eq!(fields["auth[application_token]"], application.application_token);
    assert_eq!(fields["auth[member_id]"], application.member_id);
    assert_eq!(fields["auth[client_endpoint]"], client.url("/rest/"));
    assert_eq!(client.rest_as(&fields["auth[access_token]"], "profile", json!({})).1["result"]["ID"], "1");
    wait_until(|| client.emulator.counters().handler_calls == 1);
    assert_eq!(client.emulator.counters().handler_calls_failed, 0);
}

#[test]
fn tokens_may_be_missing() {
    let client = bound(Options { handler_tokens: false, ..often() });
    let site = Site::new("200 OK");
    site.bind(&client, &json!({"minTimeout": 0}));
    client.add_deal("x");
    let bare: Vec<String> = site.next().into_keys().filter(|name| name.starts_with("auth")).collect();
    assert_eq!(bare, ["auth[application_token]", "auth[domain]", "auth[member_id]"]);
    client.emulator.control(Control::HandlerTokens(true));
    client.emulator.control(Control::HandlerRefreshToken(true));
    client.add_deal("x");
    assert!(site.next().contains_key("auth[refresh_token]"));
    let data = json!({"FIELDS": {"ID": "9"}});
    let by_nobody = Control::MakeEvent {
        event: "ONCRMDEALADD".to_owned(),
        data: data.into(),
        by_connector: String::new(),
        additional: json!([]).into(),
    };
    client.emulator.control(by_nobody);
    assert!(!site.next().contains_key("auth[access_token]"), "nobody's token");
}

#[test]
fn the_token_is_of_the_bound_user_or_of_the_one_who_did_it() {
    let client = bound(quick());
    let (his, theirs) = (Site::new("200 OK"), Site::new("200 OK"));
    let employee = client.emulator.issue_tokens(EMPLOYEE).access_token;
    let bind = json!({"event": "ONOFFLINEEVENT", "handler": his.address, "auth_type": EMPLOYEE});
    assert_eq!(client.rest_as(&employee, "event.bind", bind).0, 200);
    theirs.bind(&client, &json!({}));
    client.add_deal("x");
    let whose = |site: &Site| {
        let token = site.next().remove("auth[access_token]").unwrap();
        client.rest_as(&token, "profile", json!({})).1["result"]["ID"].as_str().unwrap().to_owned()
    };
    assert_eq!([whose(&his), whose(&theirs)], [EMPLOYEE.to_string(), ADMINISTRATOR.to_string()]);
}

#[test]
fn a_call_for_every_hit_without_a_pause() {
    let client = bound(often());
    let (first, second) = (Site::new("200 OK"), Site::new("200 OK"));
    first.bind(&client, &json!({"minTimeout": "0"}));
    second.bind(&client, &json!({"minTimeout": 0}));
    client.by_webhook("batch", json!({"cmd": ["crm.deal.add", "crm.deal.add", "crm.deal.add"]}));
    client.add_deal("x");
    first.next();
    first.next();
    assert!(first.has_nothing());
    assert!(second.has_nothing(), "the vendor calls one of those without a pause");
    client.call("crm.lead.add", json!({"fields": {}}));
    assert!(first.has_nothing(), "no queue grew");
}

#[test]
fn calls_in_the_pause_are_not_made() {
    let client = bound(often());
    let site = Site::new("200 OK");
    site.bind(&client, &json!({"minTimeout": 2}));
    let clock = Instant::now();
    (0..5).for_each(|_| drop(client.add_deal("x")));
    site.next();
    assert!(site.has_nothing());
    assert_eq!(client.emulator.counters().handler_calls_skipped, 4);
    std::thread::sleep(Duration::from_secs(2).saturating_sub(clock.elapsed()));
    assert!(site.has_nothing(), "nor after it");
    client.add_deal("x");
    site.next();
}

#[test]
fn a_failed_call_is_not_repeated() {
    let client = bound(quick());
    let site = Site::new("503 Service Unavailable");
    site.bind(&client, &json!({"minTimeout": 0}));
    client.add_deal("x");
    site.next();
    wait_until(|| client.emulator.counters().handler_calls_failed == 1);
    assert!(site.has_nothing());

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = bound(quick());
    client.call("event.bind", json!({"event": "ONOFFLINEEVENT", "handler": format!("http://{nobody}/")}));
    client.add_deal("x");
    wait_until(|| client.emulator.counters().handler_calls_failed == 1);
    assert_eq!(client.emulator.queue("").len(), 1, "the queue is the truth");
}

#[test]
fn a_handler_that_does_not_answer_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = bound(quick());
    let handler = format!("http://{}/", silent.local_addr().unwrap());
    client.call("event.bind", json!({"event": "ONOFFLINEEVENT", "handler": handler}));
    let clock = Instant::now();
    client.add_deal("x");
    assert!(clock.elapsed() < Duration::from_secs(2), "the portal does not wait");
    wait_until(|| client.emulator.counters().handler_calls_failed == 1);
    assert!(clock.elapsed() >= Duration::from_secs(5));
}

#[test]
fn unbound_handlers_are_not_called() {
    let client = bound(quick());
    let site = Site::new("200 OK");
    site.bind(&client, &json!({}));
    client.call("event.unbind", json!({"event": "ONOFFLINEEVENT", "handler": site.address}));
    client.add_deal("x");
    assert!(site.has_nothing());
}

#[test]
fn only_loopback() {
    let client = Client::new(quick());
    for handler in ["https://127.0.0.1/", "http://example.com/", "http://10.0.0.1/"] {
        let (status, body) = client.rest("event.bind", json!({"event": "ONOFFLINEEVENT", "handler": handler}));
        assert_eq!((status, &body["error"], &body["argument"]), (400, &json!("ERROR_ARGUMENT"), &json!("HANDLER")));
        assert!(body["error_description"].as_str().unwrap().contains(handler), "{body}");
        let control = json!({"install": {"handler": handler}});
        assert_eq!(client.agent.post(client.url("/control")).send_json(control).unwrap().status(), 400);
    }
}

#[test]
fn addresses_that_the_vendor_refuses() {
    let client = Client::new(quick());
    let refused = |handler: &str| {
        let (status, body) = client.rest("event.bind", json!({"event": "ONOFFLINEEVENT", "handler": handler}));
        assert_eq!(status, 400, "{handler}: {body}");
        (body["error"].as_str().unwrap().to_owned(), body["error_description"].as_str().unwrap().to_owned())
    };
    let wrong = ("ERROR_WRONG_HANDLER_URL".to_owned(), "Wrong handler URL".to_owned());
    for handler in ["http://localhost:8080/b24", "http://server1c/b24", "http://[::1]/b24", "nonsense"] {
        assert_eq!(refused(handler), wrong, "{handler}");
    }
    let protocol = ("ERROR_UNSUPPORTED_PROTOCOL".to_owned(), "Unsupported handler protocol".to_owned());
    assert_eq!(refused("ftp://127.0.0.1/"), protocol);
    let site = Site::new("200 OK");
    site.bind(&client, &json!({}));
    let again = ("ERROR_CORE".to_owned(), "Unable to set event handler: Handler already binded".to_owned());
    assert_eq!(refused(&site.address), again, "other options change nothing");
}

#[test]
fn min_timeout_is_not_read_back() {
    for min_timeout in [0, 3600] {
        let client = bound(quick());
        let site = Site::new("200 OK");
        site.bind(&client, &json!({"minTimeout": min_timeout}));
        let clock = Instant::now();
        client.add_deal("x");
        site.next();
        client.add_deal("x");
        assert!(site.has_nothing(), "what falls into the second is not announced");
        std::thread::sleep(Duration::from_millis(1050).saturating_sub(clock.elapsed()));
        assert!(site.has_nothing(), "nor when it is over");
        client.add_deal("x");
        site.next();
        assert_eq!(client.emulator.counters().handler_calls_skipped, 1);
    }
}

#[test]
fn installed_and_removed() {
    let emulator = Emulator::start(quick()).unwrap();
    let site = Site::new("200 OK");
    emulator.control(Control::Install { handler: site.address.clone(), user: ADMINISTRATOR });
    let install = site.next();
    let application = emulator.application();
    assert_eq!(install["event"], "ONAPPINSTALL");
    assert_eq!((install["data[VERSION]"].as_str(), install["data[INSTALLED]"].as_str()), ("1", "Y"));
    assert_eq!(install["auth[client_id]"], application.client_id);
    assert_eq!(install["auth[application_token]"], application.application_token);
    let agent = common::agent();
    let profile = |token: &str| {
        let request = agent.post(format!("{}/rest/profile", emulator.portal_url()));
        request.send_json(json!({"auth": token})).unwrap().status().as_u16()
    };
    assert_eq!(profile(&install["auth[access_token]"]), 200);
    let renewal = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        application.client_id, application.client_secret, install["auth[refresh_token]"]
    );
    let renew = || {
        let request = agent.post(format!("{}/oauth/token/", emulator.portal_url()));
        request.content_type("application/x-www-form-urlencoded").send(&renewal).unwrap().status().as_u16()
    };
    emulator.control(Control::Uninstall { handler: site.address.clone() });
    let uninstall = site.next();
    assert_eq!((uninstall["event"].as_str(), uninstall["data[CLEAN]"].as_str()), ("ONAPPUNINSTALL", "1"));
    assert_eq!(uninstall["auth[application_token]"], application.application_token);
    assert!(!uninstall.contains_key("auth[access_token]"));
    assert_eq!((profile(&install["auth[access_token]"]), renew()), (401, 400));
}
