//! An installation brings tokens and an `application_token` that nobody knows yet: it has to prove itself, and forged
//! ones must be cheap.

use super::*;
use b24_emulator::{ADMINISTRATOR, EMPLOYEE};

/// How long after a failed proof no other one starts.
const PAUSE: Duration = Duration::from_secs(61);

impl Portal {
    /// A connected client of an application that is not installed yet.
    fn waiting_for_installation(&self, keys: &[(&str, &str)]) -> Client {
        let mut config = self.uninstalled_config("handler");
        keys.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        let client = self.client_of(&config);
        client.connect(LONG).unwrap();
        client
    }

    /// The call of an installation with an access token of this user.
    fn installation_by(&self, user: u32) -> Value {
        let tokens = self.emulator.issue_tokens(user);
        let mut call = self.installation_with(&tokens.access_token);
        call["auth"]["refresh_token"] = tokens.refresh_token.into();
        call
    }

    fn installation_with(&self, access_token: &str) -> Value {
        let mut call = self.call("ONAPPINSTALL");
        call["auth"]["access_token"] = access_token.into();
        call
    }
}

/// Has the handler's thread look at the clock, which a test has set ahead.
fn wake(client: &Client) {
    assert_eq!(post(client, "x"), 400);
}

#[test]
fn an_installation_that_follows_a_forged_one_is_proved_later() {
    let portal = Portal::start();
    let client = portal.waiting_for_installation(&[]);
    assert_eq!(post(&client, &portal.installation_with("made up").to_string()), 403);
    let before = (client.state(), portal.emulator.counters().requests);
    assert_eq!(post(&client, &portal.installation_by(ADMINISTRATOR).to_string()), 202);
    assert_eq!(post(&client, &portal.installation_with("made up, too").to_string()), 202);
    wake(&client);
    assert_eq!((client.state(), portal.emulator.counters().requests), before, "nothing is asked and nothing is used");
    // The newest one first, which is the second forged one.
    portal.clock.advance(PAUSE);
    wake(&client);
    until("the proof of the newest", || stat(&client, "handler_refused") == 4);
    portal.clock.advance(PAUSE);
    wake(&client);
    expect_check(&client);
    until("the outcome", || stat(&client, "handler_calls") == 1);
    client.call("profile", "").unwrap();
    assert!(portal.log().contains("was installed") && portal.log().contains("is verified later"), "{}", portal.log());
}

#[test]
fn a_proved_installation_decides_what_else_waits() {
    let portal = Portal::start();
    let client = portal.waiting_for_installation(&[]);
    assert_eq!(post(&client, &portal.installation_with("made up").to_string()), 403);
    let mut other = portal.installation_by(ADMINISTRATOR);
    other["auth"]["application_token"] = "made up".into();
    for call in [other, portal.installation_by(ADMINISTRATOR)] {
        assert_eq!(post(&client, &call.to_string()), 202);
    }
    portal.clock.advance(PAUSE);
    wake(&client);
    expect_check(&client);
    until("the decision on the other one", || portal.log().contains("another installation has been verified since"));
    assert_eq!(portal.emulator.counters().requests, 2, "it takes no request");
    assert_eq!(post(&client, &portal.call("ONOFFLINEEVENT").to_string()), 200);
}

#[test]
fn forged_installations_cost_one_rest_call_a_minute() {
    let portal = Portal::start();
    let client = portal.waiting_for_installation(&[]);
    const MINUTES: u64 = 10;
    for minute in 0..MINUTES {
        for number in 0..20 {
            let mut forged = portal.installation_with(&format!("made up {minute} {number}"));
            forged["ts"] = (unix() + minute * 60).into();
            let status = post(&client, &forged.to_string());
            assert!([202, 403].contains(&status), "{status}");
        }
        wake(&client);
        assert!(portal.emulator.counters().requests <= minute + 1);
        portal.clock.advance(Duration::from_secs(60));
    }
    wake(&client);
    until("the proofs of those that wait", || portal.emulator.counters().requests > MINUTES);
    assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    // Those that wait for their turn do not wait for ever.
    portal.clock.advance(Duration::from_secs(3600));
    for _ in 0..20 {
        wake(&client);
    }
    assert_eq!(portal.emulator.counters().requests, MINUTES + 1);
}

/// A thousand forged installations a second come before the real one, and as many after it. It is proved in the next
/// minute, because something that the portal says of itself tells it from the forged ones.
#[test]
fn a_flood_of_forged_installations_does_not_push_the_real_one_out() {
    const FLOOD: usize = 1000;
    type Forge = fn(&mut Value, usize);
    let floods: [(&str, Forge); 2] = [
        ("of one portal", |auth, _| auth["member_id"] = "made up".into()),
        ("of many portals at other addresses", |auth, number| {
            auth["member_id"] = format!("made up {number}").into();
            auth["domain"] = format!("portal-{number}.example").into();
        }),
    ];
    for (what, forge) in floods {
        let portal = Portal::start();
        let client = portal.waiting_for_installation(&[]);
        let accept =
            |call: &Value| client.accept_handler_call(call.to_string().as_bytes(), "application/json").unwrap();
        let flood = |from: usize| {
            for number in from..from + FLOOD {
                let mut forged = portal.installation_with(&format!("made up {number}"));
                forged["auth"]["application_token"] = "made up".into();
                forge(&mut forged["auth"], number);
                let status = accept(&forged);
                assert!([202, 403].contains(&status), "{what}: {status}");
            }
        };
        flood(0);
        assert_eq!(accept(&portal.installation_by(ADMINISTRATOR)), 202);
        flood(FLOOD);
        assert_eq!(portal.emulator.counters().requests, 1, "{what}: one proof a minute");
        portal.clock.advance(PAUSE);
        wake(&client);
        until(what, || stat(&client, "handler_calls") == 1);
        assert_eq!(portal.emulator.counters().requests, 2, "{what}: the real one is the next");
        assert_eq!(portal.log().matches("were dropped unverified").count(), 1, "{what}: {}", portal.log());
        client.call("profile", "").unwrap();
    }
}

/// Whoever knows the portal's `member_id` before the installation need not even wait for a minute.
#[test]
fn a_flood_of_another_portal_costs_nothing_if_the_member_id_is_known() {
    let portal = Portal::start();
    let client = portal.waiting_for_installation(&[("handler.member_id", &portal.emulator.application().member_id)]);
    for number in 0..1000 {
        let mut forged = portal.installation_with(&format!("made up {number}"));
        forged["auth"]["member_id"] = "made up".into();
        assert_eq!(client.accept_handler_call(forged.to_string().as_bytes(), "application/json"), Ok(403));
    }
    assert_eq!(portal.emulator.counters().requests, 0);
    assert_eq!(post(&client, &portal.installation_by(ADMINISTRATOR).to_string()), 200);
}

/// What waits takes memory.
#[test]
fn an_installation_with_endless_tokens_is_refused() {
    let portal = Portal::start();
    let client = portal.waiting_for_installation(&[]);
    assert_eq!(post(&client, &portal.installation_with("made up").to_string()), 403);
    assert_eq!(post(&client, &portal.installation_with(&"x".repeat(5000)).to_string()), 403);
    assert_eq!(post(&client, &portal.installation_with(&"x".repeat(1000)).to_string()), 202);
    assert_eq!(portal.emulator.counters().requests, 1);
}

#[test]
fn only_an_administrator_installs() {
    let portal = Portal::start();
    let client = portal.waiting_for_installation(&[]);
    let before = client.state();
    assert_eq!(post(&client, &portal.installation_by(EMPLOYEE).to_string()), 403);
    assert_eq!(client.state(), before);
    assert!(portal.log().contains("not an administrator"), "{}", portal.log());
}

#[test]
fn an_installation_is_proved_when_the_portal_answers_again() {
    let portal = Portal::start();
    let client = portal.waiting_for_installation(&[]);
    portal.control(json!({"fail_next": {"method": "batch", "status": 502, "times": 2}}));
    assert_eq!(post(&client, &portal.installation_by(ADMINISTRATOR).to_string()), 202);
    assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    portal.clock.advance(PAUSE);
    wake(&client);
    until("the second attempt", || portal.log().matches("tried again in a minute").count() == 2);
    assert_eq!(client.wait(AT_ONCE).unwrap(), None);
    portal.clock.advance(PAUSE);
    wake(&client);
    expect_check(&client);
    client.call("profile", "").unwrap();
}

/// An authorization server that gives one answer, whoever asks for what. Returns its address.
fn authorization_server(answer: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"auth=") && !String::from_utf8_lossy(&request).contains("\r\n\r\nauth=") {
                let mut piece = [0; 4096];
                match stream.read(&mut piece).unwrap_or(0) {
                    0 => break,
                    count => request.extend_from_slice(&piece[..count]),
                }
            }
            assert!(request.starts_with(b"POST /rest/app.info HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&request));
            let body = answer.to_string();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                .unwrap();
        }
    });
    url
}

#[test]
fn a_marketplace_application_is_proved_by_the_authorization_server() {
    let portal = Portal::start();
    portal.control(json!({"marketplace": {"code": "vendor.application"}}));
    let application = portal.emulator.application();
    let known_as = |client_id: &str, member_id: &str| {
        authorization_server(json!({"result": {
            "client_id": client_id, "scope": "crm,pull", "expires": "2026-11-24T20:00:00+00:00", "user_id": 1,
            "install": {"installed": true, "version": "1", "status": "F", "member_id": member_id}}}))
    };
    for (status, server) in [
        (403, known_as("app.another", &application.member_id)),
        (403, known_as(&application.client_id, "another")),
        (403, authorization_server(json!({"error": "expired_token", "error_description": "x"}))),
        (403, authorization_server(json!({"result": []}))),
        (200, known_as(&application.client_id, &application.member_id)),
    ] {
        let client = portal.waiting_for_installation(&[("auth.server", &server)]);
        let before = client.state();
        assert_eq!(post(&client, &portal.installation_by(ADMINISTRATOR).to_string()), status);
        if status == 200 {
            expect_check(&client);
            client.call("profile", "").unwrap();
        } else {
            assert_eq!((client.state(), client.wait(AT_ONCE).unwrap()), (before, None));
        }
    }
}
