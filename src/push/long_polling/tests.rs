//! Reads recorded answers of real push servers.

use super::*;
use crate::push::config::ChannelKind;

fn read(answer: &HttpResponse, connector_id: &str) -> PollOutcome {
    super::read(answer, connector_id, &mut RecentMessages::default())
}

/// A recorded answer: status line, headers, and a body that may be chunked.
fn recorded(name: &str) -> HttpResponse {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let text = String::from_utf8(bytes).unwrap();
    // The older server's recordings were saved with bare line feeds.
    let text = if text.contains("\r\n\r\n") { text } else { text.replacen("\n\n", "\r\n\r\n", 1) };
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.trim_end().split_once(": ").unwrap();
        headers.insert(
            ureq::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            ureq::http::HeaderValue::from_str(value).unwrap(),
        );
    }
    // A chunked body: sizes are on lines of their own, and envelopes contain no line breaks.
    let chunk_size = |line: &&str| usize::from_str_radix(line.trim(), 16).is_ok();
    let body: String = body.lines().filter(|line| !chunk_size(line)).collect();
    HttpResponse { status, headers, body: body.into_bytes() }
}

fn mid(text: &str) -> Option<String> {
    Some(text.into())
}

fn signal(count: u64) -> PushEvent {
    PushEvent::EventOffline { count }
}

#[test]
fn version_3_sends_one_message() {
    let PollOutcome::Messages { events, position, malformed, .. } = read(&recorded("v3_lp_200_one.http"), "OneC")
    else {
        panic!("no messages");
    };
    assert_eq!((events, malformed), (vec![signal(1)], 0));
    assert!(position.mid.is_some());
}

#[test]
fn version_3_sends_messages_for_several_connectors_in_one_answer() {
    let answer = recorded("v3_lp_200_replay_many.http");
    let counts = |connector: &str| match read(&answer, connector) {
        PollOutcome::Messages { events, position, malformed: 0, .. } => {
            assert_eq!(position.mid, mid("17954851440000000000000007"));
            events
        }
        other => panic!("{other:?}"),
    };
    let replaced =
        |event: &PushEvent| matches!(event, PushEvent::ChannelReplaced(channel) if channel.kind == ChannelKind::Shared);
    let onec = counts("OneC");
    assert_eq!(onec.len(), 5);
    assert_eq!(onec[..4], [signal(2), PushEvent::Unrelated, PushEvent::Unrelated, PushEvent::Unrelated]);
    assert!(replaced(&onec[4]), "{onec:?}");
    assert_eq!(counts("")[1], signal(3));
    assert_eq!(counts("Склад \"№1\"")[2], signal(4));
}

#[test]
fn version_3_names_a_position_when_nothing_is_new() {
    let with = read(&recorded("v3_lp_304_hold_with_mid.http"), "OneC");
    assert_eq!(with, PollOutcome::Nothing { mid: mid("99999999999999999999999999") });
    let without = read(&recorded("v3_lp_304_hold_without_mid.http"), "OneC");
    assert_eq!(without, PollOutcome::Nothing { mid: mid("17954851440000000000000007") });
}

#[test]
fn version_3_refuses_a_wrong_channel() {
    for name in ["v3_lp_400_no_channel.http", "v3_lp_400_bad_signature.http", "v3_ws_400_bad_channel.http"] {
        assert_eq!(read(&recorded(name), "OneC"), PollOutcome::ChannelRefused, "{name}");
    }
}

#[test]
fn version_1_sends_messages_and_ends_a_hold_without_a_position() {
    let position = |name: &str| match read(&recorded(name), "OneC") {
        PollOutcome::Messages { events, position, malformed: 0, .. } => {
            let time = "Tue, 24 Nov 2026 02:01:51 GMT".to_owned();
            (events, position.tag_time.map(|(tag, at)| (tag, at == time)))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(position("v1_lp_200_replay.http"), (vec![signal(2), signal(3)], Some(("2".into(), true))));
    assert_eq!(position("v1_lp_200_one.http").0, [signal(1)]);
    // Its `Expires` is another one, so nothing is read as a position.
    assert_eq!(read(&recorded("v1_lp_timeout.http"), "OneC"), PollOutcome::Nothing { mid: None });
}

#[test]
fn websocket_frames_contain_the_same_envelopes() {
    let bytes =
        std::fs::read(format!("{}/tests/vectors/v3_ws_101_then_frames.bin", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let decoded = decode(&bytes, "OneC", &mut RecentMessages::default());
    assert_eq!((decoded.events.len(), decoded.malformed), (5, 0));
    assert_eq!(decoded.events[..2], [signal(1), signal(2)]);
}

#[test]
fn an_answer_of_something_else_is_unusable() {
    let answer = |status, body: &str| HttpResponse { status, headers: HeaderMap::new(), body: body.into() };
    for (status, body, count) in
        [(200, "<html>planted</html>", 0), (200, "#!NGINXNMS!#{\"x\":planted", 1), (502, "planted", 0)]
    {
        match read(&answer(status, body), "") {
            PollOutcome::Unusable { text, malformed } => {
                assert_eq!(malformed, count);
                assert!(!text.contains("planted"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read(&answer(200, ""), ""), PollOutcome::PositionLost);
}
