use super::*;

const SERVER: &str = r#"{
    "server":{"version":"4","long_polling":"http://rt.example/sub/","long_pooling_secure":"https://rt.example/sub/"},
    "channels":{"shared":{"id":"abc.def","type":"shared"},
        "private":{"id":"ab:cd.ef","public_id":"cd","type":"private"}},
    "clientId":43253464643}"#;
const DOCUMENT: &str = r#"{
    "server":{"version":4,"long_polling":"http://rt.example/sub/","long_polling_secure":"https://rt.example/sub/",
        "clientId":"43253464643"},
    "channels":{"shared":{"id":"abc.def","start":"2017-06-28T12:04:00+02:00"},"private":[]}}"#;

fn url(json: &str, position: &Position) -> String {
    PushConfig::parse(json, PlainHttp::Never).unwrap().long_polling_url(position).expose().to_owned()
}

#[test]
fn both_spellings_are_understood() {
    let start = Position::default();
    assert_eq!(url(SERVER, &start), "https://rt.example/sub/?CHANNEL_ID=ab%3Acd.ef/abc.def&clientId=43253464643");
    assert_eq!(url(DOCUMENT, &start), "https://rt.example/sub/?CHANNEL_ID=abc.def&clientId=43253464643");
}

#[test]
fn the_position_is_sent_as_the_servers_version_expects() {
    let position = Position {
        mid: Some("17954851440000000000000003".into()),
        tag_time: Some(("1".into(), "Tue, 24 Nov 2026 02:01:50 GMT".into())),
    };
    assert!(url(SERVER, &position).ends_with("&mid=17954851440000000000000003"));
    let old = SERVER.replace("\"4\"", "1");
    assert!(url(&old, &position).ends_with("&tag=1&time=Tue%2C%2024%20Nov%202026%2002%3A01%3A50%20GMT"));
}

#[test]
fn a_new_channel_replaces_the_one_of_its_kind() {
    let mut config = PushConfig::parse(SERVER, PlainHttp::Never).unwrap();
    assert!(config.replace_channel(Channel { id: Secret::new("new.sig"), kind: ChannelKind::Shared, expires: 0 }));
    assert!(!config.replace_channel(Channel { id: Secret::new("x"), kind: ChannelKind::Unknown, expires: 0 }));
    assert!(config.long_polling_url(&Position::default()).expose().contains("=ab%3Acd.ef/new.sig&"));
}

#[test]
fn errors_name_what_is_missing_and_show_no_channel_id() {
    for (json, says) in [
        ("[]", "long polling"),
        (r#"{"server":{"version":4}}"#, "long polling"),
        (r#"{"server":{"long_polling":"http://rt.example/sub/"}}"#, "allow_plain"),
        (r#"{"server":{"long_polling":"https://rt.example/sub/"},"channels":[]}"#, "no channel"),
        (r#"{"channels":{"shared":{"id":{"planted":1}}}}"#, "cannot be read"),
    ] {
        let text = PushConfig::parse(json, PlainHttp::Never).unwrap_err().to_string();
        assert!(text.contains(says) && !text.contains("planted"), "{text}");
    }
    let config = PushConfig::parse(SERVER, PlainHttp::Never).unwrap();
    assert!(!format!("{config:?}").contains("abc"), "{config:?}");
}

#[test]
fn websocket_addresses_carry_channels_or_the_token() {
    let start = Position { mid: Some("7".into()), tag_time: None };
    let websocket = |json: &str| PushConfig::parse(json, PlainHttp::Never).unwrap().websocket_url(&start);
    assert!(websocket(SERVER).is_none());
    let with = SERVER.replace(
        "\"version\":\"4\"",
        r#""version":4,"websocket_enabled":true,"websocket":"ws://rt.example/subws/",
        "websocket_secure":"wss://rt.example/subws/""#,
    );
    let url = "https://rt.example/subws/?CHANNEL_ID=ab%3Acd.ef/abc.def&clientId=43253464643&mid=7";
    assert_eq!(websocket(&with).unwrap().expose(), url);
    assert!(websocket(&with.replace("enabled\":true", "enabled\":false")).is_none());
    let plain = with.replace("wss://rt.example/subws/", "");
    assert!(websocket(&plain).is_none());
    let text = PushConfig::parse(&plain, PlainHttp::Never).unwrap().require_websocket().unwrap_err().to_string();
    assert!(text.contains("plain http") && text.contains("push.transport"), "{text}");
    let rpc = with.replace("\"version\":4", "\"version\":5").replace("\"clientId\"", "\"jwt\":\"a.b-c\",\"clientId\"");
    let url = "https://rt.example/subws/?token=a.b-c&clientId=43253464643&jsonRpc=true&mid=7";
    assert_eq!(websocket(&rpc).unwrap().expose(), url);
}

#[test]
fn the_first_expiry_counts_and_a_new_token_alone_needs_no_new_subscription() {
    let config = |jwt: &str, exp: u64| {
        let json = format!(
            r#"{{"server":{{"version":5,"long_polling":"https://rt.example/sub/"}},"jwt":"{jwt}","exp":{exp},
            "channels":{{"shared":{{"id":"a.b","type":"shared","end":"2026-11-24T21:57:48+02:00"}},
            "private":{{"id":"c.d","type":"private","end":1795550269}}}}}}"#
        );
        PushConfig::parse(&json, PlainHttp::Never).unwrap()
    };
    assert_eq!(config("x", 0).expires(), Some(1_795_550_268));
    assert_eq!(config("x", 5).expires(), Some(5));
    assert_eq!(config("x", 5).identity(), config("y", 5).identity());
    assert_ne!(config("x", 5).identity(), config("x", 6).identity());
    assert!(!config("x", 5).replace_channel(Channel { id: Secret::new("n.s"), kind: ChannelKind::Shared, expires: 0 }));
    assert_eq!(
        server_time(r#"{"result":{},"time":{"start":1795550267.5,"finish":1795550268.25}}"#),
        Some(1_795_550_268)
    );
    assert_eq!(server_time(r#"{"result":{}}"#), None);
}
