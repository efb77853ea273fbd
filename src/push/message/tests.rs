use super::*;

fn meaning(text: &str) -> Meaning {
    let body = format!(r##"#!NGINXNMS!#{{"id":1,"mid":"5","text":{text}}}#!NGINXNME!#"##);
    decode(body.as_bytes(), "OneC", &mut Recent::default()).meanings.pop().unwrap()
}

#[test]
fn only_our_connector_counts() {
    let text = r#"{"module_id":"REST","command":"event_offline","params":[{"connector_id":"","count":9},{"connector_id":"OneC","count":"2"},{"connector_id":"OneC","count":3}]}"#;
    assert_eq!(meaning(text), Meaning::EventOffline { count: 5 });
    assert_eq!(meaning(&text.replace("OneC", "other")), Meaning::Foreign);
}

#[test]
fn unreadable_params_of_the_signal_ring_all_the_same() {
    for params in ["{}", "7", "null", r#"["x"]"#] {
        let text = format!(r#"{{"module_id":"rest","command":"event_offline","params":{params}}}"#);
        assert_eq!(meaning(&text), Meaning::EventOffline { count: 0 }, "{params}");
    }
    assert_eq!(meaning(r#"{"module_id":"rest","command":"event_offline","params":[]}"#), Meaning::Foreign);
}

#[test]
fn other_modules_and_odd_shapes_are_foreign() {
    for text in [
        r#"{"module_id":"main","command":"event_offline","params":[]}"#,
        r#"{"module_id":"rest","command":"other"}"#,
        r#"{"module_id":7,"command":null,"params":{"a":[1]}}"#,
        "{}",
        "null",
    ] {
        assert_eq!(meaning(text), Meaning::Foreign, "{text}");
    }
}

#[test]
fn control_messages() {
    let expire =
        |params: &str| meaning(&format!(r#"{{"module_id":"pull","command":"channel_expire","params":{params}}}"#));
    let replaced = expire(
        r#"{"action":"reconnect","channel":{"id":"a.b","type":"shared"},"new_channel":{"id":"c.d","start":1795485144,"end":"2026-11-24T21:57:48+02:00"}}"#,
    );
    match replaced {
        Meaning::ChannelReplaced(channel) => {
            assert_eq!((channel.id.expose(), channel.kind), ("c.d", ChannelKind::Shared));
        }
        other => panic!("{other:?}"),
    }
    for params in [r#"{"action":"get_config"}"#, "[]", "null", r#"{"action":"reconnect"}"#, r#"{"action":"new"}"#] {
        assert_eq!(expire(params), Meaning::ConfigNeeded, "{params}");
    }
    for command in ["config_expire", "server_restart"] {
        assert_eq!(meaning(&format!(r#"{{"module_id":"pull","command":"{command}"}}"#)), Meaning::ConfigExpired);
    }
}

fn decoded(body: &str) -> Decoded {
    decode(body.as_bytes(), "OneC", &mut Recent::default())
}

const SIGNAL: &str = r#"{"module_id":"rest","command":"event_offline","params":[{"connector_id":"OneC","count":1}]}"#;

#[test]
fn arrays_hold_the_same_objects() {
    let item = |mid: &str| format!(r#"{{"id":1,"mid":"{mid}","text":{SIGNAL}}}"#);
    let read = decoded(&format!("[{},{},7,{}]", item("1"), item("2"), item("1")));
    assert_eq!(read.meanings, [Meaning::EventOffline { count: 1 }, Meaning::EventOffline { count: 1 }]);
    assert_eq!((read.repeated, read.malformed, read.to_acknowledge.len()), (1, 1, 0));
    assert_eq!(decoded("[{").malformed, 1);
    assert!(decoded("[]").meanings.is_empty());
}

#[test]
fn calls_of_json_rpc() {
    let call = |mid: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"incoming.message","params":{{"mid":"{mid}","body":{SIGNAL},"sender":{{}},"user_params":{{}},"dictionary":{{}}}},"id":1}}"#
        )
    };
    let one = decoded(&call("5"));
    assert_eq!((one.meanings, one.mid.as_deref()), (vec![Meaning::EventOffline { count: 1 }], Some("5")));
    let read = decoded(&format!("[{},{},{}]", call("5"), call("5"), call("6")));
    assert_eq!((read.meanings.len(), read.repeated), (2, 1));
    assert_eq!(
        read.to_acknowledge,
        ["5", "5", "6"],
        "a repeated one too: the first acknowledgement may have been lost"
    );
    for other in [r#"{"jsonrpc":"2.0","result":"pong","id":1}"#, r#"{"jsonrpc":"2.0","method":"other","params":[]}"#] {
        assert_eq!(decoded(other).to_acknowledge.len(), 0, "{other}");
    }
    assert_eq!(decoded(r#"{"method":"incoming.message","params":7}"#).malformed, 1);
}

#[test]
fn what_was_put_aside_is_merged() {
    let read = decoded(
        r#"{"method":"incoming.message","params":{"mid":"1","body":{"module_id":"pull","command":"channel_expire","params":{"channel":{"type":"shared"}}},
        "user_params":{"action":"reconnect"},"dictionary":{"new_channel":{"id":"c.d"}}}}"#,
    );
    assert!(
        matches!(&read.meanings[..], [Meaning::ChannelReplaced(channel)] if channel.id.expose() == "c.d"),
        "{read:?}"
    );
}
