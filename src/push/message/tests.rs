use super::*;

fn event(text: &str) -> PushEvent {
    let body = format!(r##"#!NGINXNMS!#{{"id":1,"mid":"5","text":{text}}}#!NGINXNME!#"##);
    decode(body.as_bytes(), "OneC", &mut RecentMessages::default()).events.pop().unwrap()
}

#[test]
fn only_entries_of_our_connector_count() {
    let text = r#"{"module_id":"REST","command":"event_offline","params":[
        {"connector_id":"","count":9},{"connector_id":"OneC","count":"2"},{"connector_id":"OneC","count":3}]}"#;
    assert_eq!(event(text), PushEvent::EventOffline { count: 5 });
    assert_eq!(event(&text.replace("OneC", "other")), PushEvent::Unrelated);
}

#[test]
fn a_signal_with_unreadable_params_is_still_a_signal() {
    for params in ["{}", "7", "null", r#"["x"]"#] {
        let text = format!(r#"{{"module_id":"rest","command":"event_offline","params":{params}}}"#);
        assert_eq!(event(&text), PushEvent::EventOffline { count: 0 }, "{params}");
    }
    assert_eq!(event(r#"{"module_id":"rest","command":"event_offline","params":[]}"#), PushEvent::Unrelated);
}

#[test]
fn other_modules_and_unexpected_shapes_are_unrelated() {
    for text in [
        r#"{"module_id":"main","command":"event_offline","params":[]}"#,
        r#"{"module_id":"rest","command":"other"}"#,
        r#"{"module_id":7,"command":null,"params":{"a":[1]}}"#,
        "{}",
        "null",
    ] {
        assert_eq!(event(text), PushEvent::Unrelated, "{text}");
    }
}

#[test]
fn control_messages_replace_the_channel_or_the_configuration() {
    let expire =
        |params: &str| event(&format!(r#"{{"module_id":"pull","command":"channel_expire","params":{params}}}"#));
    let replaced = expire(
        r#"{"action":"reconnect","channel":{"id":"a.b","type":"shared"},
        "new_channel":{"id":"c.d","start":1795485144,"end":"2026-11-24T21:57:48+02:00"}}"#,
    );
    match replaced {
        PushEvent::ChannelReplaced(channel) => {
            assert_eq!((channel.id.expose(), channel.kind), ("c.d", ChannelKind::Shared));
        }
        other => panic!("{other:?}"),
    }
    for params in [r#"{"action":"get_config"}"#, "[]", "null", r#"{"action":"reconnect"}"#, r#"{"action":"new"}"#] {
        assert_eq!(expire(params), PushEvent::ConfigNeeded, "{params}");
    }
    for command in ["config_expire", "server_restart"] {
        assert_eq!(event(&format!(r#"{{"module_id":"pull","command":"{command}"}}"#)), PushEvent::ConfigExpired);
    }
}

fn decoded(body: &str) -> Decoded {
    decode(body.as_bytes(), "OneC", &mut RecentMessages::default())
}

const SIGNAL: &str = r#"{"module_id":"rest","command":"event_offline","params":[{"connector_id":"OneC","count":1}]}"#;

#[test]
fn a_json_array_contains_the_same_messages_as_envelopes() {
    let item = |mid: &str| format!(r#"{{"id":1,"mid":"{mid}","text":{SIGNAL}}}"#);
    let read = decoded(&format!("[{},{},7,{}]", item("1"), item("2"), item("1")));
    assert_eq!(read.events, [PushEvent::EventOffline { count: 1 }, PushEvent::EventOffline { count: 1 }]);
    assert_eq!((read.repeated, read.malformed, read.to_acknowledge.len()), (1, 1, 0));
    assert_eq!(decoded("[{").malformed, 1);
    assert!(decoded("[]").events.is_empty());
}

#[test]
fn messages_by_json_rpc_are_read_and_acknowledged() {
    let call = |mid: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"incoming.message","params":{{"mid":"{mid}","body":{SIGNAL},
            "sender":{{}},"user_params":{{}},"dictionary":{{}}}},"id":1}}"#
        )
    };
    let one = decoded(&call("5"));
    assert_eq!((one.events, one.mid.as_deref()), (vec![PushEvent::EventOffline { count: 1 }], Some("5")));
    let read = decoded(&format!("[{},{},{}]", call("5"), call("5"), call("6")));
    assert_eq!((read.events.len(), read.repeated), (2, 1));
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
fn user_params_and_dictionary_are_merged_into_params() {
    let read = decoded(
        r#"{"method":"incoming.message","params":{"mid":"1",
        "body":{"module_id":"pull","command":"channel_expire","params":{"channel":{"type":"shared"}}},
        "user_params":{"action":"reconnect"},"dictionary":{"new_channel":{"id":"c.d"}}}}"#,
    );
    assert!(
        matches!(&read.events[..], [PushEvent::ChannelReplaced(channel)] if channel.id.expose() == "c.d"),
        "{read:?}"
    );
}
