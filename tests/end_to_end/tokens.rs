//! Who renews the tokens, and who shares them.

use super::support::*;
use b24_emulator::{ADMINISTRATOR, Options};
use b24events::error::Status;
use serde_json::json;

#[test]
fn clients_of_one_process_share_a_token_family() {
    let portal = Portal::start();
    let config = portal.config();
    let clients: Vec<_> = (0..4).map(|_| portal.client_of(&config)).collect();
    for round in 1..=3 {
        portal.control(json!("expire_tokens"));
        std::thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| client.call("profile", "").unwrap());
            }
        });
        assert_eq!(portal.emulator.counters().renewals, round);
    }
    assert_eq!(portal.tokens.lock().unwrap().len(), 12, "every client reports to its host");
    drop(clients);
    assert_eq!(
        portal.client_of(&config).call("profile", "").unwrap_err().status(),
        Status::Auth,
        "the family is forgotten"
    );
}

#[test]
fn no_call_fails_while_tokens_expire_all_the_time() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("rate.per_second", "0").unwrap();
    let client = portal.client_of(&config);
    std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..200).for_each(|_| drop(client.call("profile", "").unwrap())))).collect();
        while !callers.iter().all(|caller| caller.is_finished()) {
            portal.control(json!("expire_tokens"));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    let reported = portal.tokens.lock().unwrap().len() as u64;
    assert!(reported > 0, "a token expired during the calls");
    assert_eq!(portal.emulator.counters().renewals, reported);
}

#[test]
fn processes_share_tokens_through_a_file() {
    let portal = Portal::start();
    let folder = Folder::new();
    let mut config = portal.config();
    config.set("auth.tokens_file", folder.path().join("tokens.json").to_str().unwrap()).unwrap();
    let first = portal.client_of(&config);
    portal.control(json!("expire_tokens"));
    first.call("profile", "").unwrap();
    // As in another process: nothing of the first one's family is left here.
    drop(first);
    let second = portal.client_of(&config);
    second.call("profile", "").unwrap();
    assert_eq!(portal.emulator.counters().renewals, 1, "the second one reads the pair of the first one");
    portal.control(json!("expire_tokens"));
    second.call("profile", "").unwrap();
    assert_eq!(portal.emulator.counters().renewals, 2);
}

#[test]
fn a_host_that_renews_by_itself_gets_the_error_and_sets_the_pair() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("auth.renew", "host").unwrap();
    let client = portal.client_of(&config);
    portal.control(json!("expire_tokens"));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.code()), (Status::Auth, "expired_token"));
    assert!(error.to_string().contains("set the new pair"), "{error}");
    let fresh = portal.emulator.issue_tokens(ADMINISTRATOR);
    client.set_tokens(&fresh.access_token, "", 0).unwrap();
    client.call("profile", "").unwrap();
    assert_eq!(portal.emulator.counters().renewals, 0);
    assert!(client.set_tokens("", "", 0).is_err());
}

/// It does not have to wait for the next signal, which may be minutes away.
#[test]
fn a_host_that_sets_the_pair_fetches_what_is_queued() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("auth.renew", "host"), ("fetch.reserve", "yes")]);
    portal.control(json!("expire_tokens"));
    portal.add_deals([7]);
    assert_eq!(client.next(LONG).map(drop).unwrap_err().code(), "expired_token");
    let fresh = portal.emulator.issue_tokens(ADMINISTRATOR);
    client.set_tokens(&fresh.access_token, "", 0).unwrap();
    assert_eq!(numbers(&mut client.next(LONG).unwrap().unwrap()), [7]);
}

#[test]
fn a_code_is_exchanged_for_the_first_pair() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("auth.access_token", "").unwrap();
    config.set("auth.refresh_token", "").unwrap();
    let client = portal.client_of(&config);
    assert_eq!(client.call("profile", "").unwrap_err().status(), Status::Config);
    assert_eq!(client.authorize("wrong").unwrap_err().status(), Status::Auth);
    client.authorize(&portal.emulator.authorization_code(ADMINISTRATOR)).unwrap();
    client.call("profile", "").unwrap();
    assert_eq!(portal.tokens.lock().unwrap().len(), 1);
    portal.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
}

#[test]
fn clients_that_share_a_limit_stay_below_the_portals() {
    // Two clients that kept to the limit separately would exceed it twofold. On a busy machine requests arrive late and
    // bunched: half of the portal's burst is left for that.
    let limits = b24_emulator::Limits { burst: 10, per_second: 20.0 };
    let portal = Portal::with(Options { limits: Some(limits), ..Options::default() });
    let mut config = portal.config();
    config.set("rate.burst", "5").unwrap();
    config.set("rate.per_second", "19").unwrap();
    let clients = [portal.client_of(&config), portal.client_of(&config)];
    std::thread::scope(|scope| {
        for client in &clients {
            scope.spawn(move || (0..20).for_each(|_| drop(client.call("profile", "").unwrap())));
        }
    });
    assert_eq!(portal.emulator.counters().limit_refusals, 0);
}

#[test]
fn several_calls_go_in_one_request() {
    let portal = Portal::start();
    let client = portal.client();
    client.call("crm.deal.add", r#"{"fields":{"TITLE":"№ \"1\" & 2"}}"#).unwrap();
    let calls = json!({
        "list": {"method": "crm.deal.list", "params": {"filter": {">=ID": 1}, "select": ["ID"]}},
        "deal": {"method": "crm.deal.get", "params": {"id": "$result[list][0][ID]"}},
        "none": {"method": "no.such.method"},
    });
    let before = portal.emulator.counters().requests;
    let answer: serde_json::Value =
        serde_json::from_str(&client.call_batch(&calls.to_string(), false).unwrap()).unwrap();
    assert_eq!(portal.emulator.counters().requests, before + 1);
    assert_eq!(answer["results"]["list"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["errors"]["none"]["error"], "ERROR_METHOD_NOT_FOUND", "{answer}");
    for bad in ["{}", "[]", "x", r#"{"a":{"method":"a/b"}}"#] {
        assert_eq!(client.call_batch(bad, false).unwrap_err().status(), Status::InvalidArgument, "{bad}");
    }
}

#[test]
fn a_long_queue_is_drained_with_one_request_a_batch() {
    let portal = Portal::start();
    let mut config = portal.config();
    config.set("recover.orphans", "exclusive").unwrap();
    config.set("fetch.limit", "10").unwrap();
    let client = portal.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals(1..=100);
    client.connect(LONG).unwrap();
    let mut seen = Vec::new();
    while let Some(mut batch) = client.next(AT_ONCE).unwrap() {
        seen.extend(numbers(&mut batch));
        batch.acknowledge().unwrap();
    }
    while seen.len() < 100 {
        let mut batch = client.next(LONG).unwrap().unwrap();
        seen.extend(numbers(&mut batch));
        batch.acknowledge().unwrap();
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    assert_eq!(portal.queued(), 0);
    let calls = portal.emulator.counters().calls;
    assert_eq!(calls.get("event.offline.clear"), None, "{calls:?}");
    assert!(calls["batch"] <= 11 && calls["event.offline.get"] <= 2, "{calls:?}");
}

#[test]
fn closing_in_the_middle_of_a_renewal_loses_no_tokens() {
    let portal = Portal::start();
    let client = portal.client();
    portal.control(json!("expire_tokens"));
    portal.control(json!({"delay_next": {"method": "oauth", "ms": 500}}));
    let before = portal.emulator.counters().requests;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.call("profile", "").map(drop));
        until("the renewal", || portal.emulator.counters().requests >= before + 2);
        client.close();
        assert_eq!(call.join().unwrap(), Err(b24events::error::Error::Closed));
    });
    let reported = portal.tokens.lock().unwrap().clone();
    assert_eq!((portal.emulator.counters().renewals, reported.len()), (1, 1));
    let next = portal.client_of(&portal.config());
    next.restore(&client.state()).unwrap();
    drop(client);
    let mut config = portal.config();
    config.set("auth.access_token", &reported[0]).unwrap();
    portal.client_of(&config).call("profile", "").unwrap();
}

#[test]
fn a_refresh_token_that_comes_later_is_used() {
    let portal = Portal::start();
    let tokens = portal.emulator.issue_tokens(ADMINISTRATOR);
    let mut config = portal.config();
    config.set("auth.access_token", &tokens.access_token).unwrap();
    config.set("auth.refresh_token", "").unwrap();
    let client = portal.client_of(&config);
    client.set_tokens(&tokens.access_token, &tokens.refresh_token, 0).unwrap();
    portal.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
}

#[test]
fn tokens_that_one_client_sets_are_used_by_all_that_share_its_family() {
    let portal = Portal::start();
    let config = portal.config();
    let (sets, shares) = (portal.client_of(&config), portal.client_of(&config));
    let fresh = portal.emulator.issue_tokens(ADMINISTRATOR);
    for _ in 0..3 {
        sets.set_tokens(&fresh.access_token, &fresh.refresh_token, 0).unwrap();
    }
    let reported = || portal.tokens.lock().unwrap().clone();
    assert_eq!(reported(), [fresh.access_token], "once, to the host of the other client only");
    portal.control(json!("expire_tokens"));
    shares.call("profile", "").unwrap();
    sets.call("profile", "").unwrap();
    assert_eq!((portal.emulator.counters().renewals, reported().len()), (1, 3), "both hosts learn of the renewal");
}

#[test]
fn processes_that_started_from_different_tokens_share_the_file() {
    let portal = Portal::start();
    let folder = Folder::new();
    let mut config = portal.config();
    config.set("auth.tokens_file", folder.path().join("tokens.json").to_str().unwrap()).unwrap();
    let first = portal.client_of(&config);
    portal.control(json!("expire_tokens"));
    first.call("profile", "").unwrap();
    // As a process that was started later with the pair that the first one had stored then.
    let stored = portal.tokens.lock().unwrap()[0].clone();
    drop(first);
    let mut later = config.clone();
    later.set("auth.access_token", &stored).unwrap();
    let second = portal.client_of(&later);
    portal.control(json!("expire_tokens"));
    second.call("profile", "").unwrap();
    drop(second);
    let again = portal.client_of(&config);
    portal.control(json!("expire_tokens"));
    again.call("profile", "").unwrap();
    assert_eq!(portal.emulator.counters().renewals, 3);
    drop(again);
    config.set("auth.client_id", "another.application").unwrap();
    let error = b24events::client::Client::new(&config, Default::default()).err().unwrap();
    assert!(error.to_string().contains("another application"), "{error}");
}

#[test]
fn short_lived_tokens_are_not_renewed_for_every_call() {
    let portal = Portal::with(Options { token_ttl: std::time::Duration::from_secs(20), ..Options::default() });
    let client = portal.client();
    portal.control(json!("expire_tokens"));
    (0..5).for_each(|_| drop(client.call("profile", "").unwrap()));
    assert_eq!(portal.emulator.counters().renewals, 1);
}

#[test]
fn each_expiry_is_renewed_once_whoever_calls() {
    let ttl = std::time::Duration::from_secs(2);
    let portal = Portal::with(Options { token_ttl: ttl, ..Options::default() });
    let mut config = portal.config();
    config.set("rate.per_second", "0").unwrap();
    let client = portal.client_of(&config);
    let start = std::time::Instant::now();
    let calls = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while start.elapsed() < ttl * 4 {
                    client.call("profile", "").unwrap();
                    calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let renewals = portal.emulator.counters().renewals;
    let lifetimes = start.elapsed().as_millis() / ttl.as_millis();
    println!("{} calls by 8 threads in {lifetimes} lifetimes of a token: {renewals} renewals", calls.into_inner());
    // Times are whole seconds, so a token may count as expired a second early.
    assert!((2..=lifetimes as u64 * 2).contains(&renewals), "{renewals} in {lifetimes} lifetimes");
    assert_eq!(portal.tokens.lock().unwrap().len() as u64, renewals, "each renewal brought a pair");
}
