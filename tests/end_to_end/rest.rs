//! REST calls: tokens, repeats, errors.

use std::time::{Duration, Instant};

use super::support::*;
use b24_emulator::{ADMINISTRATOR, EMPLOYEE, Options};
use b24events::config::Config;
use b24events::error::{Error, Status};
use serde_json::{Value, json};

fn call(client: &b24events::client::Client, method: &str, params: Value) -> Value {
    serde_json::from_str(&client.call(method, &params.to_string()).unwrap()).unwrap()
}

#[test]
fn a_call_returns_the_whole_answer() {
    let portal = Portal::start();
    let client = portal.client();
    let added = call(&client, "crm.deal.add", json!({"fields": {"TITLE": "№ \"1\""}}));
    let deal = call(&client, "crm.deal.get", json!({"id": added["result"]}));
    assert_eq!(deal["result"]["TITLE"], "№ \"1\"");
    let list = call(&client, "crm.deal.list", json!({}));
    assert_eq!((&list["total"], list["time"].is_object()), (&json!(1), true));
}

#[test]
fn an_expired_token_is_renewed_and_the_call_repeated() {
    let portal = Portal::start();
    let client = portal.client();
    for _ in 0..3 {
        portal.control(json!("expire_tokens"));
        call(&client, "profile", json!({}));
    }
    assert_eq!(portal.tokens.lock().unwrap().len(), 3, "each pair was reported to the host");
    assert_eq!(portal.emulator.counters().renewals, 3);
}

#[test]
fn many_threads_renew_once() {
    let portal = Portal::start();
    let client = portal.client();
    portal.control(json!("expire_tokens"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| call(&client, "profile", json!({})));
        }
    });
    assert_eq!(portal.emulator.counters().renewals, 1);
}

#[test]
fn a_token_that_cannot_be_renewed_says_so() {
    let portal = Portal::start();
    let tokens = portal.emulator.issue_tokens(ADMINISTRATOR);
    let mut config = Config::new();
    config.set("portal.url", &portal.emulator.portal_url()).unwrap();
    config.set("auth.access_token", &tokens.access_token).unwrap();
    let client = portal.client_of(&config);
    portal.control(json!("expire_tokens"));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.code(), error.http_status()), (Status::Auth, "expired_token", 401));
    assert!(error.to_string().contains("auth.refresh_token"), "{error}");

    let client = portal.client();
    portal.control(json!("revoke_tokens"));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!(error.status(), Status::Auth, "{error}");
}

#[test]
fn errors_become_statuses() {
    let portal = Portal::start();
    let employee = portal.emulator.issue_tokens(EMPLOYEE);
    let mut config = portal.config();
    config.set("auth.access_token", &employee.access_token).unwrap();
    let error = portal.client_of(&config).fetch(0).err().unwrap();
    assert_eq!((error.status(), error.http_status()), (Status::AccessDenied, 403));
    assert!(error.to_string().contains("not an administrator"), "{error}");

    let client = portal.client();
    let error = client.call("no.such.method", "").unwrap_err();
    assert_eq!((error.status(), error.code(), error.http_status()), (Status::Portal, "ERROR_METHOD_NOT_FOUND", 404));
    for (status, code, expected) in [
        (403, "WRONG_AUTH_TYPE", Status::WrongAuthType),
        (403, "insufficient_scope", Status::AccessDenied),
        (503, "OVERLOAD_LIMIT", Status::RateLimit),
        (400, "SOMETHING", Status::Portal),
    ] {
        portal
            .control(json!({"fail_next": {"method": "profile", "status": status, "error": code, "description": "d"}}));
        assert_eq!(client.call("profile", "").unwrap_err().status(), expected, "{code}");
    }
}

#[test]
fn the_request_limit_is_waited_for_with_growing_pauses() {
    let portal = Portal::start();
    let client = portal.client_with(&[("rate.per_second", "0")]);
    portal.control(
        json!({"fail_next": {"method": "crm.deal.add", "times": 2, "status": 503, "error": "QUERY_LIMIT_EXCEEDED"}}),
    );
    let before = portal.emulator.counters().requests;
    let start = Instant::now();
    call(&client, "crm.deal.add", json!({"fields": {}}));
    assert!(start.elapsed() >= Duration::from_millis(1500), "half a second, then a second: {:?}", start.elapsed());
    assert_eq!(portal.emulator.counters().requests - before, 3);
    assert_eq!(call(&client, "crm.deal.list", json!({}))["total"], 1);
}

/// The next call of `profile` succeeds, with 480 s of run time that fall after `seconds`; the one after that is refused.
fn use_up_profile(portal: &Portal, seconds: u64) {
    let time = json!({"operating": 480.0, "operating_reset_at": 1_000_000 + seconds, "finish": 1_000_000.5});
    let success = json!({"result": {"ID": "1"}, "time": time}).to_string();
    portal.control(json!({"fail_next": {"method": "profile", "status": 200, "body": success}}));
    portal.control(json!({"fail_next": {"method": "profile", "status": 429, "error": "OPERATION_TIME_LIMIT"}}));
}

#[test]
fn the_operating_limit_is_waited_for_until_the_time_that_the_last_success_told() {
    let portal = Portal::start();
    let client = portal.client();
    use_up_profile(&portal, 3);
    call(&client, "profile", json!({}));
    let known = stats(&client)["operating"]["profile"].clone();
    assert_eq!(known, json!({"operating": 480.0, "operating_reset_at": 1_000_003, "blocked": false}));
    let start = Instant::now();
    call(&client, "profile", json!({}));
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(portal.emulator.counters().faults_applied, 2);
    assert_eq!(portal.emulator.counters().calls["profile"], 1, "it is not asked in between");
}

#[test]
fn a_blocked_method_is_not_called_again_before_its_reset() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("http.timeout_ms", "30000").unwrap();
    let client = portal.client_of(&config);
    use_up_profile(&portal, 300);
    call(&client, "profile", json!({}));
    let refused = || client.call("profile", "").unwrap_err();
    assert_eq!((refused().code().to_owned(), refused().is_transient()), ("OPERATION_TIME_LIMIT".into(), true));
    let requests = || portal.emulator.counters().requests;
    let before = requests();
    let error = refused();
    assert_eq!((error.status(), error.code()), (Status::RateLimit, "OPERATION_TIME_LIMIT"));
    assert!(error.to_string().contains("blocks it for"), "{error}");
    assert_eq!(requests(), before, "nothing was sent");
    assert_eq!(stats(&client)["operating"]["profile"]["blocked"], true);
    client.call("user.current", "").unwrap();
    portal.clock.advance(Duration::from_secs(300));
    client.call("profile", "").unwrap();
}

#[test]
fn the_run_time_of_calls_in_a_batch_counts_too() {
    // There is no such limit on-premise.
    let portal = Portal::exactly(Options::default());
    let client = portal.client();
    client.call_batch(r#"{"me":{"method":"user.current"}}"#, false).unwrap();
    assert!(stats(&client)["operating"]["user.current"]["operating_reset_at"].as_u64().unwrap() > 0);
}

#[test]
fn closing_ends_the_wait_for_a_blocked_method() {
    let portal = Portal::start();
    let client = portal.client();
    use_up_profile(&portal, 50);
    call(&client, "profile", json!({}));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.call("profile", ""));
        until("the method is blocked", || stats(&client)["operating"]["profile"]["blocked"] == true);
        client.close();
        assert_eq!(waiting.join().unwrap(), Err(Error::Closed));
    });
}

#[test]
fn a_limit_that_outlasts_the_call_is_an_error() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("http.timeout_ms", "1500").unwrap();
    let client = portal.client_of(&config);
    portal.control(json!({"operating_limit": {"method": "profile", "seconds": 600}}));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.code()), (Status::RateLimit, "OPERATION_TIME_LIMIT"));
}

#[test]
fn what_a_method_refuses_without_a_code_reaches_the_host() {
    let portal = Portal::start();
    let error = portal.client().call("crm.deal.get", r#"{"id":404}"#).unwrap_err();
    assert_eq!((error.status(), error.code(), error.is_transient()), (Status::Portal, "", false));
    assert_eq!(error.http_status(), 400);
    assert!(error.to_string().contains("Not found"), "{error}");
}

#[test]
fn a_closed_portal_is_not_asked_again_and_again() {
    let portal = Portal::start();
    let client = portal.connected();
    portal.control(json!({"fail_next": {
        "method": "event.offline.get", "times": 1, "status": 403, "error": "PORTAL_DELETED"
    }}));
    portal.add_deals([1]);
    let error = client.next(LONG).err().unwrap();
    assert_eq!((error.status(), error.is_transient()), (Status::Portal, true));
    portal.clock.advance(Duration::from_secs(179));
    let fetches = || portal.emulator.counters().calls.get("event.offline.get").copied();
    let before = fetches();
    assert_eq!(client.next(AT_ONCE).map(drop), Err(error), "it would be asked again too soon");
    assert_eq!(fetches(), before);
    portal.clock.advance(Duration::from_secs(1));
    assert_eq!(client.next(LONG).unwrap().unwrap().len(), 1, "it is open again");
}

#[test]
fn calls_are_repeated_only_where_that_is_safe() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    portal.control(json!({"fail_next": {"method": "event.offline.get", "times": 2, "status": 502, "body": "<html>"}}));
    assert_eq!(client.fetch(0).unwrap().len(), 1);
    portal.control(json!({"drop_next": {"method": "crm.deal.add", "when": "after_handling"}}));
    assert_eq!(client.call("crm.deal.add", r#"{"fields":{}}"#).unwrap_err().status(), Status::Network);
    assert_eq!(call(&client, "crm.deal.list", json!({}))["total"], 1, "made once");
}

#[test]
fn a_pair_that_is_about_to_expire_is_renewed_before_the_call() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("auth.expires", "1").unwrap();
    let client = portal.client_of(&config);
    call(&client, "profile", json!({}));
    assert_eq!(portal.emulator.counters().renewals, 1);
    call(&client, "profile", json!({}));
    assert_eq!(portal.emulator.counters().renewals, 1, "the new pair lives long enough");
}

#[test]
fn errors_of_calls_in_a_batch_show_no_token() {
    let portal = Portal::start();
    let client = portal.client();
    call(&client, "profile", json!({}));
    let token = portal.tokens.lock().unwrap().last().cloned().unwrap_or_else(|| {
        let state: Value = serde_json::from_str(&client.state()).unwrap();
        state["tokens"]["access_token"].as_str().unwrap().to_owned()
    });
    let refusal = json!({"error": "X", "error_description": format!("{token} is \"not\" valid")});
    let body = json!({"result": {"result": [], "result_error": {"who": refusal}}});
    portal.control(json!({"fail_next": {"method": "batch", "status": 200, "body": body.to_string()}}));
    let answer = client.call_batch(r#"{"who":{"method":"profile"}}"#, false).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["errors"]["who"]["error_description"], "*** is \"not\" valid");
}

#[test]
fn a_renamed_portal_is_followed() {
    // The authorization server states the new address; the old one still answers.
    let [old, new] = [Portal::start(), Portal::start()];
    let config = old.config();
    let client = old.client_of(&config);
    let profiles = |portal: &Portal| portal.emulator.counters().calls.get("profile").copied().unwrap_or(0);
    call(&client, "profile", json!({}));
    assert_eq!([profiles(&old), profiles(&new)], [1, 0]);
    let sharing = old.client_of(&config);

    let pair = new.emulator.issue_tokens(ADMINISTRATOR);
    let renewed = json!({
        "access_token": pair.access_token, "refresh_token": pair.refresh_token, "expires": pair.expires,
        "member_id": old.emulator.application().member_id,
        "client_endpoint": format!("{}/rest/", new.emulator.portal_url()),
    });
    old.control(json!("expire_tokens"));
    old.control(json!({"fail_next": {"method": "oauth", "status": 200, "body": renewed.to_string()}}));
    (0..2).for_each(|_| drop(call(&client, "profile", json!({}))));
    assert_eq!([profiles(&old), profiles(&new)], [2, 2], "the old one refuses the expired token");
    call(&sharing, "profile", json!({}));
    assert_eq!([profiles(&old), profiles(&new)], [2, 3], "it has not renewed anything itself");
    drop(sharing);

    // The state remembers the new address.
    let state = client.state();
    drop(client);
    let next = old.client_of(&config);
    next.restore(&state).unwrap();
    call(&next, "profile", json!({}));
    assert_eq!([profiles(&old), profiles(&new)], [2, 4]);
}

#[test]
fn a_portal_that_is_down_is_a_network_error() {
    let portal = Portal::start();
    let config = portal.config();
    drop(portal.emulator);
    let client = b24events::client::Client::new(&config, Default::default()).unwrap();
    let error = client.call("profile", "").unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[test]
fn a_call_ends_at_its_timeout() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("http.timeout_ms", "300").unwrap();
    let client = portal.client_of(&config);
    portal.control(json!({"delay_next": {"method": "profile", "ms": 20000}}));
    let start = Instant::now();
    assert_eq!(client.call("profile", "").unwrap_err().status(), Status::Network);
    assert!(start.elapsed() < Duration::from_secs(10));
}
