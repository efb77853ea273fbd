//! REST calls: tokens, repeats, errors.

use std::time::Duration;

use super::setting::*;
use b24_emulator::{ADMINISTRATOR, EMPLOYEE};
use b24events::config::Config;
use b24events::error::{Error, Status};
use serde_json::{Value, json};

fn call(client: &b24events::client::Client, method: &str, params: Value) -> Value {
    serde_json::from_str(&client.call(method, &params.to_string()).unwrap()).unwrap()
}

#[test]
fn a_call_gives_the_whole_answer() {
    let setting = Setting::new();
    let client = setting.client();
    let added = call(&client, "crm.deal.add", json!({"fields": {"TITLE": "№ \"1\""}}));
    let deal = call(&client, "crm.deal.get", json!({"id": added["result"]}));
    assert_eq!(deal["result"]["TITLE"], "№ \"1\"");
    let list = call(&client, "crm.deal.list", json!({}));
    assert_eq!((&list["total"], list["time"].is_object()), (&json!(1), true));
}

#[test]
fn an_expired_token_is_renewed_and_the_call_repeated() {
    let setting = Setting::new();
    let client = setting.client();
    for _ in 0..3 {
        setting.control(json!("expire_tokens"));
        call(&client, "profile", json!({}));
    }
    assert_eq!(setting.tokens.lock().unwrap().len(), 3, "each pair was told to the host");
    assert_eq!(setting.emulator.counters().renewals, 3);
}

#[test]
fn many_threads_renew_once() {
    let setting = Setting::new();
    let client = setting.client();
    setting.control(json!("expire_tokens"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| call(&client, "profile", json!({})));
        }
    });
    assert_eq!(setting.emulator.counters().renewals, 1);
}

#[test]
fn a_token_that_cannot_be_renewed_says_so() {
    let setting = Setting::new();
    let tokens = setting.emulator.issue_tokens(ADMINISTRATOR);
    let mut config = Config::new();
    config.set("portal.url", &setting.emulator.portal_url()).unwrap();
    config.set("auth.access_token", &tokens.access_token).unwrap();
    let client = setting.client_of(&config);
    setting.control(json!("expire_tokens"));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.code(), error.http_status()), (Status::Auth, "expired_token", 401));
    assert!(error.to_string().contains("auth.refresh_token"), "{error}");

    let client = setting.client();
    setting.control(json!("revoke_tokens"));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!(error.status(), Status::Auth, "{error}");
}

#[test]
fn errors_become_statuses() {
    let setting = Setting::new();
    let employee = setting.emulator.issue_tokens(EMPLOYEE);
    let mut config = setting.config();
    config.set("auth.access_token", &employee.access_token).unwrap();
    let error = setting.client_of(&config).fetch(0).err().unwrap();
    assert_eq!((error.status(), error.http_status()), (Status::AccessDenied, 403));
    assert!(error.to_string().contains("not an administrator"), "{error}");

    let client = setting.client();
    let error = client.call("no.such.method", "").unwrap_err();
    assert_eq!((error.status(), error.code(), error.http_status()), (Status::Portal, "ERROR_METHOD_NOT_FOUND", 404));
    for (status, code, expected) in [
        (403, "WRONG_AUTH_TYPE", Status::WrongAuthType),
        (403, "insufficient_scope", Status::AccessDenied),
        (503, "OVERLOAD_LIMIT", Status::RateLimit),
        (400, "SOMETHING", Status::Portal),
    ] {
        setting
            .control(json!({"fail_next": {"method": "profile", "status": status, "error": code, "description": "d"}}));
        assert_eq!(client.call("profile", "").unwrap_err().status(), expected, "{code}");
    }
}

#[test]
fn limits_are_waited_for() {
    let setting = Setting::new();
    let client = setting.client();
    setting.control(
        json!({"fail_next": {"method": "crm.deal.add", "times": 2, "status": 503, "error": "QUERY_LIMIT_EXCEEDED"}}),
    );
    call(&client, "crm.deal.add", json!({"fields": {}}));
    setting.control(json!({"operating_limit": {"method": "profile", "seconds": 1}}));
    call(&client, "profile", json!({}));
}

#[test]
fn a_limit_that_lasts_longer_than_the_call_may_is_told() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("http.timeout_ms", "1500").unwrap();
    let client = setting.client_of(&config);
    setting.control(json!({"operating_limit": {"method": "profile", "seconds": 600}}));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.code()), (Status::RateLimit, "OPERATION_TIME_LIMIT"));
}

#[test]
fn trouble_is_repeated_only_where_that_is_safe() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1]);
    setting.control(json!({"fail_next": {"method": "event.offline.get", "times": 2, "status": 502, "body": "<html>"}}));
    assert_eq!(client.fetch(0).unwrap().len(), 1);
    setting.control(json!({"drop_next": {"method": "crm.deal.add", "when": "after_handling"}}));
    assert_eq!(client.call("crm.deal.add", r#"{"fields":{}}"#).unwrap_err().status(), Status::Network);
    assert_eq!(call(&client, "crm.deal.list", json!({}))["total"], 1, "made once");
}

#[test]
fn the_portal_that_was_renamed_is_followed() {
    // The authorization server names the emulator's own address, so what shows is that it is used at all.
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("auth.expires", "1").unwrap();
    let client = setting.client_of(&config);
    call(&client, "profile", json!({}));
    assert_eq!(setting.emulator.counters().renewals, 1, "a pair that is about to expire is renewed first");
    call(&client, "profile", json!({}));
    assert_eq!(setting.emulator.counters().renewals, 1);
}

#[test]
fn a_portal_that_is_not_there() {
    let setting = Setting::new();
    let config = setting.config();
    drop(setting.emulator);
    let client = b24events::client::Client::new(&config, Default::default()).unwrap();
    let error = client.call("profile", "").unwrap_err();
    assert!(matches!(error, Error::Network(_)), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[test]
fn the_call_ends_in_its_time() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("http.timeout_ms", "300").unwrap();
    let client = setting.client_of(&config);
    setting.control(json!({"delay_next": {"method": "profile", "ms": 20000}}));
    let start = std::time::Instant::now();
    assert_eq!(client.call("profile", "").unwrap_err().status(), Status::Network);
    assert!(start.elapsed() < Duration::from_secs(10));
}
