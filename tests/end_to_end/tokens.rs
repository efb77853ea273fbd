//! Who renews the tokens, and who shares them.

use std::path::PathBuf;

use super::setting::*;
use b24_emulator::{ADMINISTRATOR, Options};
use b24events::error::Status;
use serde_json::json;

/// A file that is removed when dropped, with what stands beside it.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> File {
        File(std::env::temp_dir().join(format!("b24events-{name}-{}/tokens.json", std::process::id())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn clients_of_one_process_share_a_chain_of_tokens() {
    let setting = Setting::new();
    let config = setting.config();
    let clients: Vec<_> = (0..4).map(|_| setting.client_of(&config)).collect();
    for round in 1..=3 {
        setting.control(json!("expire_tokens"));
        std::thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| client.call("profile", "").unwrap());
            }
        });
        assert_eq!(setting.emulator.counters().renewals, round);
    }
    assert_eq!(setting.tokens.lock().unwrap().len(), 12, "every client tells its host");
    drop(clients);
    assert_eq!(
        setting.client_of(&config).call("profile", "").unwrap_err().status(),
        Status::Auth,
        "the chain is forgotten"
    );
}

#[test]
fn tokens_that_expire_all_the_time_fail_no_call() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("rate.per_second", "0").unwrap();
    let client = setting.client_of(&config);
    std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..200).for_each(|_| drop(client.call("profile", "").unwrap())))).collect();
        while !callers.iter().all(|caller| caller.is_finished()) {
            setting.control(json!("expire_tokens"));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    let told = setting.tokens.lock().unwrap().len() as u64;
    assert_eq!(setting.emulator.counters().renewals, told);
}

#[test]
fn processes_share_tokens_through_a_file() {
    let setting = Setting::new();
    let file = File::new("shared-tokens");
    let mut config = setting.config();
    config.set("auth.tokens_file", file.0.to_str().unwrap()).unwrap();
    let first = setting.client_of(&config);
    setting.control(json!("expire_tokens"));
    first.call("profile", "").unwrap();
    // As in another process: nothing of the first one's chain is left here.
    drop(first);
    let second = setting.client_of(&config);
    second.call("profile", "").unwrap();
    assert_eq!(setting.emulator.counters().renewals, 1, "the second one reads what the first one bought");
    setting.control(json!("expire_tokens"));
    second.call("profile", "").unwrap();
    assert_eq!(setting.emulator.counters().renewals, 2);
}

#[test]
fn a_host_that_renews_itself_is_told_and_puts_the_pair_in() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("auth.renew", "host").unwrap();
    let client = setting.client_of(&config);
    setting.control(json!("expire_tokens"));
    let error = client.call("profile", "").unwrap_err();
    assert_eq!((error.status(), error.code()), (Status::Auth, "expired_token"));
    assert!(error.to_string().contains("set the new pair"), "{error}");
    let fresh = setting.emulator.issue_tokens(ADMINISTRATOR);
    client.set_tokens(&fresh.access_token, "", 0).unwrap();
    client.call("profile", "").unwrap();
    assert_eq!(setting.emulator.counters().renewals, 0);
    assert!(client.set_tokens("", "", 0).is_err());
}

#[test]
fn a_code_buys_the_first_pair() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("auth.access_token", "").unwrap();
    config.set("auth.refresh_token", "").unwrap();
    let client = setting.client_of(&config);
    assert_eq!(client.call("profile", "").unwrap_err().status(), Status::Config);
    assert_eq!(client.authorize("wrong").unwrap_err().status(), Status::Auth);
    client.authorize(&setting.emulator.authorization_code(ADMINISTRATOR)).unwrap();
    client.call("profile", "").unwrap();
    assert_eq!(setting.tokens.lock().unwrap().len(), 1);
    setting.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
}

#[test]
fn the_own_limit_keeps_the_portals_from_being_reached() {
    // Two clients that each kept to the limit alone would be twice over it. Requests arrive later than they were let go, on a
    // busy machine together with those behind them: half of the portal's burst is left for that.
    let limits = b24_emulator::Limits { burst: 10, per_second: 20.0 };
    let setting = Setting::with(Options { limits: Some(limits), ..Options::default() });
    let mut config = setting.config();
    config.set("rate.burst", "5").unwrap();
    config.set("rate.per_second", "19").unwrap();
    let clients = [setting.client_of(&config), setting.client_of(&config)];
    std::thread::scope(|scope| {
        for client in &clients {
            scope.spawn(move || (0..20).for_each(|_| drop(client.call("profile", "").unwrap())));
        }
    });
    assert_eq!(setting.emulator.counters().limit_refusals, 0);
}

#[test]
fn several_calls_go_in_one_request() {
    let setting = Setting::new();
    let client = setting.client();
    client.call("crm.deal.add", r#"{"fields":{"TITLE":"№ \"1\" & 2"}}"#).unwrap();
    let calls = json!({
        "list": {"method": "crm.deal.list", "params": {"filter": {">=ID": 1}, "select": ["ID"]}},
        "deal": {"method": "crm.deal.get", "params": {"id": "$result[list][0][ID]"}},
        "none": {"method": "no.such.method"},
    });
    let before = setting.emulator.counters().requests;
    let answer: serde_json::Value =
        serde_json::from_str(&client.call_batch(&calls.to_string(), false).unwrap()).unwrap();
    assert_eq!(setting.emulator.counters().requests, before + 1);
    assert_eq!(answer["results"]["list"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["errors"]["none"]["error"], "ERROR_METHOD_NOT_FOUND", "{answer}");
    for bad in ["{}", "[]", "x", r#"{"a":{"method":"a/b"}}"#] {
        assert_eq!(client.call_batch(bad, false).unwrap_err().status(), Status::InvalidArgument, "{bad}");
    }
}

#[test]
fn a_long_queue_is_drained_with_one_request_a_batch() {
    let setting = Setting::new();
    let mut config = setting.config();
    config.set("recover.orphans", "exclusive").unwrap();
    config.set("fetch.limit", "10").unwrap();
    let client = setting.client_of(&config);
    client.subscribe("ONCRMDEALADD").unwrap();
    setting.deals(1..=100);
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
    assert_eq!(setting.queued(), 0);
    let calls = setting.emulator.counters().calls;
    assert_eq!(calls.get("event.offline.clear"), None, "{calls:?}");
    assert!(calls["batch"] <= 11 && calls["event.offline.get"] <= 2, "{calls:?}");
}

#[test]
fn closing_in_the_middle_of_a_renewal_loses_no_tokens() {
    let setting = Setting::new();
    let client = setting.client();
    setting.control(json!("expire_tokens"));
    setting.control(json!({"delay_next": {"method": "oauth", "ms": 500}}));
    let before = setting.emulator.counters().requests;
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.call("profile", "").map(drop));
        until("the renewal", || setting.emulator.counters().requests >= before + 2);
        client.close();
        assert_eq!(call.join().unwrap(), Err(b24events::error::Error::Closed));
    });
    let told = setting.tokens.lock().unwrap().clone();
    assert_eq!((setting.emulator.counters().renewals, told.len()), (1, 1));
    let next = setting.client_of(&setting.config());
    next.restore(&client.state()).unwrap();
    drop(client);
    let mut config = setting.config();
    config.set("auth.access_token", &told[0]).unwrap();
    setting.client_of(&config).call("profile", "").unwrap();
}

#[test]
fn a_refresh_token_that_comes_later_is_used() {
    let setting = Setting::new();
    let tokens = setting.emulator.issue_tokens(ADMINISTRATOR);
    let mut config = setting.config();
    config.set("auth.access_token", &tokens.access_token).unwrap();
    config.set("auth.refresh_token", "").unwrap();
    let client = setting.client_of(&config);
    client.set_tokens(&tokens.access_token, &tokens.refresh_token, 0).unwrap();
    setting.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
}

#[test]
fn tokens_that_one_client_sets_are_used_by_all_that_share_its_family() {
    let setting = Setting::new();
    let config = setting.config();
    let (sets, shares) = (setting.client_of(&config), setting.client_of(&config));
    let fresh = setting.emulator.issue_tokens(ADMINISTRATOR);
    for _ in 0..3 {
        sets.set_tokens(&fresh.access_token, &fresh.refresh_token, 0).unwrap();
    }
    let reported = || setting.tokens.lock().unwrap().clone();
    assert_eq!(reported(), [fresh.access_token], "once, to the host of the other client only");
    setting.control(json!("expire_tokens"));
    shares.call("profile", "").unwrap();
    sets.call("profile", "").unwrap();
    assert_eq!((setting.emulator.counters().renewals, reported().len()), (1, 3), "both hosts learn of the renewal");
}

#[test]
fn processes_that_started_from_different_tokens_share_the_file() {
    let setting = Setting::new();
    let file = File::new("different-roots");
    let mut config = setting.config();
    config.set("auth.tokens_file", file.0.to_str().unwrap()).unwrap();
    let first = setting.client_of(&config);
    setting.control(json!("expire_tokens"));
    first.call("profile", "").unwrap();
    // As a process that was started later with the pair that the first one had stored then.
    let stored = setting.tokens.lock().unwrap()[0].clone();
    drop(first);
    let mut later = config.clone();
    later.set("auth.access_token", &stored).unwrap();
    let second = setting.client_of(&later);
    setting.control(json!("expire_tokens"));
    second.call("profile", "").unwrap();
    drop(second);
    let again = setting.client_of(&config);
    setting.control(json!("expire_tokens"));
    again.call("profile", "").unwrap();
    assert_eq!(setting.emulator.counters().renewals, 3);
    drop(again);
    config.set("auth.client_id", "another.application").unwrap();
    let error = b24events::client::Client::new(&config, Default::default()).err().unwrap();
    assert!(error.to_string().contains("another application"), "{error}");
}

#[test]
fn tokens_that_live_short_are_not_renewed_for_every_call() {
    let setting = Setting::with(Options { token_ttl: std::time::Duration::from_secs(20), ..Options::default() });
    let client = setting.client();
    setting.control(json!("expire_tokens"));
    (0..5).for_each(|_| drop(client.call("profile", "").unwrap()));
    assert_eq!(setting.emulator.counters().renewals, 1);
}

#[test]
fn each_expiry_is_renewed_once_whoever_calls() {
    let life = std::time::Duration::from_secs(2);
    let setting = Setting::with(Options { token_ttl: life, ..Options::default() });
    let mut config = setting.config();
    config.set("rate.per_second", "0").unwrap();
    let client = setting.client_of(&config);
    let start = std::time::Instant::now();
    let calls = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while start.elapsed() < life * 4 {
                    client.call("profile", "").unwrap();
                    calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let renewals = setting.emulator.counters().renewals;
    let lives = start.elapsed().as_millis() / life.as_millis();
    println!("{} calls by 8 threads in {lives} lives of a token: {renewals} renewals", calls.into_inner());
    // Times are told in whole seconds, so a life may be found to be over a second early.
    assert!((2..=lives as u64 * 2).contains(&renewals), "{renewals} in {lives} lives");
    assert_eq!(setting.tokens.lock().unwrap().len() as u64, renewals, "none was bought in vain");
}
