//! Anybody can reach a handler.

use super::*;
use b24_emulator::EMPLOYEE;

#[test]
fn only_calls_of_the_portal_signal() {
    let portal = Portal::start();
    let client = portal.called("handler");
    let good = portal.call("ONOFFLINEEVENT");
    let change = |name: &str, value: Value| {
        let mut call = good.clone();
        match name {
            "event" | "ts" => call[name] = value,
            _ => call["auth"][name] = value,
        }
        call.to_string()
    };
    let before = client.state();
    let token = portal.emulator.issue_tokens(EMPLOYEE).access_token;
    for (status, body) in [
        (403, change("application_token", json!("0123456789abcdef0123456789abcdef"))),
        (403, change("application_token", Value::Null)),
        (403, change("application_token", json!({"x": 1})).replace("{\"x\":1}", "\"\"")),
        (403, change("member_id", json!("another"))),
        (403, change("ts", json!(unix() - 3600))),
        (403, change("ts", json!(1466439714))),
        (403, change("event", json!("ONCRMDEALADD"))),
        (403, change("event", json!("ONAPPUNINSTALL")).replace(&portal.emulator.application().application_token, "x")),
        (403, change("access_token", json!(token)).replace(&portal.emulator.application().member_id, "x")),
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
    assert_eq!(client.wait(AT_ONCE).unwrap(), None, "none of them signals");
    assert_eq!(client.state(), before);
    assert_eq!((stat(&client, "handler_calls"), stat(&client, "handler_refused")), (json!(0), json!(17)));

    let form = good.as_object().unwrap();
    let auth = form["auth"].as_object().unwrap().iter();
    let auth: String = auth.map(|(name, value)| format!("&auth%5B{name}%5D={}", value.as_str().unwrap())).collect();
    let form = format!("event=ONOFFLINEEVENT&data=&ts={}{auth}", unix());
    let names = [json!(""), json!("another.name.example")].map(|name| change("domain", name));
    for body in [form, good.to_string()].into_iter().chain(names) {
        assert_eq!(post(&client, &body), 200, "{body}");
        expect_call(&client);
    }
    assert_eq!(
        client.accept_handler_call(good.to_string().as_bytes(), ""),
        Ok(200),
        "received by the host's own server"
    );
    expect_call(&client);
}

#[test]
fn wrong_framing_gets_the_right_status() {
    let portal = Portal::start();
    let client = portal.called("handler");
    let body = portal.call("ONOFFLINEEVENT").to_string();
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
    // It announces more than it sends, and closes.
    let mut short = TcpStream::connect(address(&client)).unwrap();
    short.write_all(with(&format!("Content-Length: {}", length + 1), &body).as_bytes()).unwrap();
    short.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(status_of(short), 400);
    // It announces more and stays open. The portal is answered meanwhile.
    let start = Instant::now();
    let mut slow = TcpStream::connect(address(&client)).unwrap();
    slow.write_all(with(&format!("Content-Length: {}", length + 1), &body).as_bytes()).unwrap();
    assert_eq!(post(&client, &body), 200);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(status_of(slow), 408);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn a_port_in_use_is_named_in_the_error() {
    let portal = Portal::start();
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = occupied.local_addr().unwrap().to_string();
    for source in BOTH_SOURCES {
        let mut config = portal.handler_config(source);
        config.set("handler.listen", &at).unwrap();
        let client = portal.client_of(&config);
        let error = client.connect(LONG).unwrap_err();
        assert!(
            matches!(&error, Error::Config(text) if text.contains(&at) && text.contains("handler.listen")),
            "{error}"
        );
        assert_eq!(client.wait(AT_ONCE), Err(Error::NotConnected));
    }
    let mut config = portal.handler_config("handler");
    config.set("handler.listen", &at).unwrap();
    let client = portal.client_of(&config);
    client.connect(LONG).unwrap_err();
    drop(occupied);
    client.connect(LONG).unwrap();
    client.connect(LONG).unwrap();
    expect_check(&client);
}
