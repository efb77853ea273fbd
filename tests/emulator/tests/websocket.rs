//! The push server over WebSocket.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use b24_emulator::{Control, DelayNext, DropNext, DropWhen, ExpireAction, FailNext, Options};
use common::{Client, Received, Socket, messages, quick, text_of, wait_until};
use serde_json::{Value, json};

/// Long enough for anything to come, short enough to wait for nothing.
const SHORT_WAIT: Duration = Duration::from_millis(200);

fn version(version: u32) -> Client {
    Client::new(Options { push_version: version, push_shared: false, ..gathering() })
}

/// What is published in a loop shares a frame, also on a slow machine.
fn gathering() -> Options {
    Options { gather: SHORT_WAIT, ..quick() }
}

fn publish(client: &Client, n: u32) {
    client.emulator.publish("rest", "event_offline", json!([{"connector_id": "OneC", "count": n}]));
}

fn counts(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["text"]["params"][0]["count"].as_u64().unwrap()).collect()
}

/// The subscription of version 5.
fn by_token(client: &Client) -> String {
    let config = client.call("pull.application.config.get", json!({}));
    format!("token={}&jsonRpc=true&clientId={}", config["jwt"].as_str().unwrap(), config["clientId"].as_str().unwrap())
}

/// Sends a request over a bare socket and returns the head of the answer and the socket.
fn handshake(client: &Client, query: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(client.emulator.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "GET /subws/?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (String::from_utf8(head).unwrap(), stream)
}

/// Lines of a head in lower case, without those that differ from one answer to the next.
fn lines(head: &str) -> Vec<String> {
    let lower = head.to_lowercase();
    let fixed = |line: &&str| !["date:", "sec-websocket-accept:"].iter().any(|name| line.starts_with(name));
    lower.trim().split("\r\n").filter(fixed).map(str::to_owned).collect()
}

/// First byte and payload of a frame of the server.
fn frame(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut length = usize::from(head[1]);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).unwrap();
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).unwrap();
    (head[0], payload)
}

#[test]
fn head_and_frames_are_like_the_recorded_ones() {
    let recorded = include_bytes!("../../vectors/v3_ws_101_then_frames.bin");
    let head_ends = recorded.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (recorded_head, mut recorded_frames) = recorded.split_at(head_ends);

    let client = version(3);
    let (head, mut stream) = handshake(&client, &client.subscription());
    assert_eq!(lines(&head), lines(std::str::from_utf8(recorded_head).unwrap()));
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the answer to the key of RFC 6455: {head}");
    let opcodes_and_sizes = |frames: &mut dyn Read| {
        [(); 2].map(|()| {
            let (first, payload) = frame(&mut &mut *frames);
            (first, messages(std::str::from_utf8(&payload).unwrap()).len())
        })
    };
    let expected = opcodes_and_sizes(&mut recorded_frames);
    publish(&client, 1);
    wait_until(|| client.emulator.counters().frames == 1);
    (2..6).for_each(|n| publish(&client, n));
    assert_eq!(opcodes_and_sizes(&mut stream), expected);
}

#[test]
fn wrong_channels() {
    for (number, refusal) in [(1, 403), (2, 403), (3, 400)] {
        let client = version(number);
        assert_eq!(client.open("CHANNEL_ID=abc.00").err(), Some(refusal));
        assert_eq!(client.open("").err(), Some(refusal));
        client.connect(&client.subscription());
    }
    for number in [4, 5] {
        let client = Client::new(Options { push_version: number, ..quick() });
        let subscription = client.subscription();
        let (channels, _) = subscription.split_once('&').unwrap();
        for query in ["", "CHANNEL_ID=abc.00", "token=a.b.c", channels] {
            assert_eq!(client.connect(query).next(), Received::Closed(4010), "{query}");
        }
        assert_eq!(client.emulator.counters().websockets_open, 0);
    }
    let client = version(3);
    let (head, mut stream) = handshake(&client, "CHANNEL_ID=abc.00");
    let mut body = String::new();
    stream.read_to_string(&mut body).unwrap();
    let (recorded_head, recorded_body) =
        include_str!("../../vectors/v3_ws_400_bad_channel.http").split_once("\r\n\r\n").unwrap();
    let sorted = |head| {
        let mut lines = lines(head);
        lines.sort();
        lines
    };
    assert_eq!((sorted(&head), body.as_str()), (sorted(recorded_head), recorded_body));
    let plain = client.agent.get(client.url(&format!("/subws/?{}", client.subscription()))).call().unwrap();
    assert_eq!(plain.status(), 400);
}

#[test]
fn messages_that_come_together_share_a_frame() {
    for number in 1..=5 {
        let client = Client::new(Options { push_version: number, ..gathering() });
        let mut socket = client.connect(&client.subscription());
        (1..4).for_each(|n| publish(&client, n));
        assert_eq!(counts(&socket.messages()), [1, 2, 3]);
        publish(&client, 4);
        assert_eq!(counts(&socket.messages()), [4]);
        let counters = client.emulator.counters();
        assert_eq!((counters.frames, counters.websockets_open, counters.subscriptions_open), (2, 1, 1));
        drop(socket);
        wait_until(|| client.emulator.counters().websockets_open == 0);
    }
}

#[test]
fn missed_messages_come_on_connect() {
    let client = version(3);
    let subscription = client.subscription();
    (1..4).for_each(|n| publish(&client, n));
    let all = client.connect(&format!("{subscription}&mid=0")).messages();
    assert_eq!(counts(&all), [1, 2, 3]);
    let mid = all[1]["mid"].as_str().unwrap();
    assert_eq!(counts(&client.connect(&format!("{subscription}&mid={mid}")).messages()), [3]);
    assert_eq!(client.connect(&subscription).next_within(SHORT_WAIT), Received::Nothing);

    let client = version(1);
    let subscription = client.subscription();
    (1..4).for_each(|n| publish(&client, n));
    let all = client.connect(&format!("{subscription}&tag=0&time=Thu,%2001%20Jan%201970%2000:00:01%20GMT")).messages();
    let (tag, time) = (all[0]["tag"].as_str().unwrap(), all[0]["time"].as_str().unwrap().replace(' ', "%20"));
    assert_eq!(counts(&client.connect(&format!("{subscription}&tag={tag}&time={time}")).messages()), [2, 3]);
}

#[test]
fn an_array_or_protobuf_in_version_4() {
    let client = version(4);
    let subscription = client.subscription();
    publish(&client, 1);
    let text = client.connect(&format!("{subscription}&mid=0&format=json")).text();
    assert_eq!(counts(&serde_json::from_str::<Vec<Value>>(&text).unwrap()), [1]);
    let Received::Binary(bytes) = client.connect(&format!("{subscription}&mid=0&binaryMode=true")).next() else {
        panic!()
    };
    assert_eq!(bytes[0], 0x0a);
    assert!(String::from_utf8_lossy(&bytes).contains(r#"{"module_id":"rest","command":"event_offline""#));
}

/// The next text that is no ping.
fn speech(socket: &mut Socket) -> String {
    loop {
        let text = socket.text();
        if text != "ping" {
            return text;
        }
    }
}

#[test]
fn json_rpc_of_version_5() {
    let client = Client::new(Options { push_version: 5, ping_interval: SHORT_WAIT, ..gathering() });
    let mut socket = client.connect(&by_token(&client));
    publish(&client, 1);
    let alone: Value = serde_json::from_str(&speech(&mut socket)).unwrap();
    assert_eq!((&alone["jsonrpc"], &alone["method"]), (&json!("2.0"), &json!("incoming.message")));
    let params = &alone["params"];
    assert_eq!(params["body"]["params"], json!([{"connector_id": "OneC", "count": 1}]));
    assert!(params["body"]["extra"].is_object() && params["sender"].is_object());
    socket.say(&format!("mack:{}", params["mid"].as_str().unwrap()));
    wait_until(|| client.emulator.counters().macks == 1);
    (2..4).for_each(|n| publish(&client, n));
    assert_eq!(serde_json::from_str::<Vec<Value>>(&speech(&mut socket)).unwrap().len(), 2);

    while socket.text() != "ping" {}
    socket.say("pong");
    wait_until(|| client.emulator.counters().pongs == 1);
    socket.say("ping");
    assert_eq!(speech(&mut socket), "pong");
    for method in ["ping", "listChannels"] {
        socket.say(&json!({"jsonrpc": "2.0", "method": method, "params": {}, "id": 1}).to_string());
        let answer: Value = serde_json::from_str(&speech(&mut socket)).unwrap();
        assert!(!answer["result"].is_null() && answer["id"] == 1, "{answer}");
    }

    let missed = by_token(&client) + "&mid=0";
    assert_eq!(serde_json::from_str::<Vec<Value>>(&client.connect(&missed).text()).unwrap().len(), 3);
    let poll = text_of(client.poll(&missed).unwrap());
    assert_eq!(serde_json::from_str::<Vec<Value>>(&poll).unwrap()[0]["method"], "incoming.message");
    let poll = text_of(client.poll(&missed.replace("jsonRpc=true&", "")).unwrap());
    assert_eq!(counts(&messages(&poll)), [1, 2, 3]);
}

#[test]
fn pings_are_frames_before_version_5() {
    let client = Client::new(Options { ping_interval: Duration::from_millis(50), ..quick() });
    let mut socket = client.connect(&client.subscription());
    for _ in 0..2 {
        assert_eq!(socket.next(), Received::Ping);
        socket.flush();
    }
    wait_until(|| client.emulator.counters().pongs >= 2);
}

#[test]
fn a_server_that_goes_away_says_so() {
    let client = Client::new(quick());
    let subscription = client.subscription();
    let mut socket = client.connect(&subscription);
    client.emulator.control(Control::StopPush);
    assert_eq!(socket.next(), Received::Closed(1001));
    assert_eq!(client.open(&subscription).err(), Some(0));
    client.emulator.control(Control::StartPush);
    let mut socket = client.connect(&subscription);
    client.emulator.control(Control::RestartPush);
    assert_eq!(socket.next(), Received::Closed(1001));
    client.connect(&subscription);
}

#[test]
fn channels_and_tokens_expire() {
    let client = Client::new(Options { expire_grace: SHORT_WAIT, ..quick() });
    let subscription = client.subscription();
    let expire = |command| client.emulator.control(Control::ExpireChannel { command, action: ExpireAction::Reconnect });
    let mut socket = client.connect(&subscription);
    publish(&client, 1);
    expire(false);
    assert_eq!(counts(&socket.messages()), [1], "what was published before is not lost");
    assert_eq!(socket.next(), Received::Closed(3001));
    assert_eq!(client.connect(&subscription).next(), Received::Closed(4010));

    let mut socket = client.connect(&client.subscription());
    let clock = Instant::now();
    expire(true);
    assert_eq!(socket.messages()[0]["text"]["command"], "channel_expire");
    assert_eq!(socket.next(), Received::Closed(3001));
    assert!(clock.elapsed() >= SHORT_WAIT);

    let client = Client::new(Options { push_version: 5, channel_ttl: Duration::from_secs(2), ..quick() });
    let token = by_token(&client);
    let mut socket = client.connect(&token);
    assert!(socket.text().contains("channel_expire"));
    assert_eq!(socket.next(), Received::Closed(3003));
    assert_eq!(client.connect(&token).next(), Received::Closed(4010));
}

#[test]
fn close_codes_on_demand() {
    let client = Client::new(quick());
    let subscription = client.subscription();
    for code in [1000, 3000, 3001, 3003, 4010, 1005] {
        let mut sockets = [client.connect(&subscription), client.connect(&subscription)];
        publish(&client, 1);
        client.emulator.control(Control::CloseWebsockets { code, reason: "test".to_owned() });
        for socket in &mut sockets {
            assert_eq!(counts(&socket.messages()), [1]);
            assert_eq!(socket.next(), Received::Closed(code));
        }
    }
    let broken = [
        Control::CloseWebsockets { code: 1006, reason: String::new() },
        Control::DropWebsockets,
        Control::DropConnections,
    ];
    for control in broken {
        let mut socket = client.connect(&subscription);
        client.emulator.control(control);
        assert_eq!(socket.next(), Received::Broken);
    }
    let poll = client.poll_held(&subscription);
    client.emulator.control(Control::DropWebsockets);
    assert_eq!(poll.join().unwrap().unwrap().status(), 304);
}

#[test]
fn a_muted_connection_is_half_open() {
    let client = Client::new(Options { ping_interval: Duration::from_millis(50), ..quick() });
    let subscription = client.subscription();
    let mut socket = client.connect(&subscription);
    assert_eq!(socket.next(), Received::Ping);
    client.emulator.control(Control::MuteWebsockets);
    wait_until(|| client.emulator.counters().websockets_open == 0);
    while socket.next_within(SHORT_WAIT) == Received::Ping {}
    socket.ping();
    publish(&client, 1);
    assert_eq!(socket.next_within(SHORT_WAIT), Received::Nothing);
    let mut new = client.connect(&format!("{subscription}&mid=0"));
    assert_eq!(counts(&new.messages()), [1]);
    client.emulator.control(Control::StopPush);
    assert_eq!(socket.next(), Received::Broken);
}

#[test]
fn frames_of_any_kind() {
    let client = Client::new(quick());
    let mut socket = client.connect(&client.subscription());
    client.emulator.control(Control::SendText { text: "#!NGINXNMS!#{".to_owned() });
    assert_eq!(socket.next(), Received::Text("#!NGINXNMS!#{".to_owned()));
    client.emulator.control(Control::SendBinary { bytes: vec![0, 255] });
    assert_eq!(socket.next(), Received::Binary(vec![0, 255]));
    publish(&client, 1);
    client.emulator.publish_raw("half");
    assert_eq!(counts(&socket.messages()), [1]);
    assert_eq!(socket.text(), "half");
    client.emulator.publish_raw(*b"\xff");
    assert_eq!(socket.next(), Received::Broken, "a text that is no UTF-8");
}

#[test]
fn messages_of_the_server_about_itself() {
    let client = Client::new(quick());
    let mut socket = client.connect(&client.subscription());
    for (control, command) in [(Control::ConfigExpire, "config_expire"), (Control::ServerRestart, "server_restart")] {
        client.emulator.control(control);
        let message = &socket.messages()[0]["text"];
        assert_eq!((&message["module_id"], &message["command"]), (&json!("pull"), &json!(command)));
    }
}

#[test]
fn upgrades_can_be_refused() {
    let client = Client::new(quick());
    let subscription = client.subscription();
    client.emulator.control(Control::RefuseUpgrades { status: 502 });
    assert_eq!(client.open(&subscription).err(), Some(502));
    client.emulator.control(Control::AcceptUpgrades);
    client.connect(&subscription);

    let method = Some("subws".to_owned());
    client.emulator.control(Control::FailNext(FailNext { method: method.clone(), status: 503, ..FailNext::default() }));
    assert_eq!(client.open(&subscription).err(), Some(503));
    for when in [DropWhen::BeforeHandling, DropWhen::AfterHandling, DropWhen::MidAnswer { after_bytes: 1 }] {
        client.emulator.control(Control::DropNext(DropNext { method: method.clone(), times: 1, when }));
        assert_eq!(client.open(&subscription).err(), Some(0));
    }
    wait_until(|| client.emulator.counters().websockets_open == 0);
    client.emulator.control(Control::DelayNext(DelayNext { method, times: 1, ms: 200 }));
    let clock = Instant::now();
    client.connect(&subscription);
    assert!(clock.elapsed() >= Duration::from_millis(200));

    let client = Client::new(Options { websocket: false, ..quick() });
    let config = client.call("pull.application.config.get", json!({}));
    assert_eq!(config["server"]["websocket_enabled"], false);
    assert_eq!(client.open(&client.subscription()).err(), Some(404));
}

#[test]
fn the_configuration_tells_where() {
    let client = Client::new(quick());
    let config = client.call("pull.application.config.get", json!({}));
    let address = json!(format!("ws://{}/subws/", client.emulator.address()));
    assert_eq!((&config["server"]["websocket"], &config["server"]["websocket_secure"]), (&address, &address));
    assert_eq!((&config["server"]["websocket_enabled"], &config["jwt"]), (&json!(true), &Value::Null));
    let client = version(5);
    let config = client.call("pull.application.config.get", json!({}));
    assert_eq!(config["jwt"].as_str().unwrap().split('.').count(), 3);
    assert!(config["exp"].is_i64());
}

#[test]
fn many_at_once_and_the_end_of_all() {
    let client = Client::new(quick());
    let subscription = client.subscription();
    let mut sockets: Vec<Socket> = (0..200).map(|_| client.open(&subscription).unwrap()).collect();
    wait_until(|| client.emulator.counters().websockets_open == 200);
    publish(&client, 1);
    for socket in &mut sockets {
        assert_eq!(counts(&socket.messages()), [1]);
    }
    let clock = Instant::now();
    drop(client);
    assert_eq!(sockets[0].next(), Received::Broken);
    assert!(clock.elapsed() < Duration::from_secs(2));
}
