//! A long queue is drained with as few requests as possible, within the portal's limits.

use std::time::{Duration, Instant};

use b24_emulator::{Emulator, Limits, Options};
use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;
use serde_json::json;

use super::support::*;

/// How many records a call returns at most.
const LIMIT: u32 = 1000;

fn records() -> u32 {
    std::env::var("B24_DRAIN").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

/// A bound queue with records in it.
fn filled(options: Options, records: u32) -> (Portal, Vec<(&'static str, String)>) {
    let portal = Portal::with(options);
    let keys = portal.unlimited_keys("OneC");
    Client::new(&config_of(&keys), Hooks::default()).unwrap().bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals(1..=records);
    (portal, keys)
}

fn drain(keys: &[(&'static str, String)], limits: Option<(&str, &str)>) -> (u32, Duration) {
    let folder = Folder::new();
    let mut keys = keys.to_vec();
    keys.push(("state.dir", folder.as_str().into()));
    keys.push(("fetch.limit", LIMIT.to_string()));
    if let Some((burst, per_second)) = limits {
        keys.push(("rate.burst", burst.into()));
        keys.push(("rate.per_second", per_second.into()));
    }
    let client = Client::new(&config_of(&keys), Hooks::default()).unwrap();
    let start = Instant::now();
    client.connect(Timeout::Never).unwrap();
    let mut seen = 0;
    while let Some(batch) = client.next(Timeout::from_millis(300)).unwrap() {
        seen += batch.len() as u32;
        batch.acknowledge().unwrap();
    }
    (seen, start.elapsed())
}

#[test]
fn within_the_limits_and_with_the_fewest_requests() {
    let records = records();
    let limits = Some(Limits { burst: 50, per_second: 2.0 });
    let (portal, keys) = filled(Options { limits, delay: Duration::from_millis(50), ..Options::default() }, records);
    let before = portal.emulator.counters();
    let (seen, took) = drain(&keys, Some(("50", "2")));
    let counters = portal.emulator.counters();
    let calls: u64 = counters.calls.values().sum::<u64>() - before.calls.values().sum::<u64>();
    // The first request reserves, each further one acknowledges and reserves, the last one finds nothing.
    let min_calls = u64::from(records.div_ceil(LIMIT)) + 1;
    println!(
        "{records} records within 50 and 2 a second, 50 ms a call: {calls} requests (at least {min_calls}), \
         {} refused, {took:.1?}",
        counters.limit_refusals
    );
    assert_eq!((seen, counters.limit_refusals, portal.queued()), (records, 0, 0));
    // Besides: the configuration of the push server, the plan, the search for orphans.
    assert!(calls <= min_calls + min_calls / 10 + 3, "{:?}", counters.calls);
}

#[test]
fn without_limits_beside_a_bare_loop() {
    let records = records();
    let (portal, keys) = filled(Options::default(), records);
    let (seen, took) = drain(&keys, None);
    assert_eq!((seen, portal.queued()), (records, 0));
    let (portal, keys) = filled(Options::default(), records);
    let bare = bare(&portal.emulator, &keys);
    let rate = |took: Duration| f64::from(records) / took.as_secs_f64();
    println!(
        "{records} records without limits: {:.0} records a second with state on disk; a bare loop of requests: {:.0}",
        rate(took),
        rate(bare)
    );
}

/// Fetches and acknowledges with bare requests, without state and without checks.
fn bare(emulator: &Emulator, keys: &[(&'static str, String)]) -> Duration {
    let token = &keys.iter().find(|(key, _)| *key == "auth.access_token").unwrap().1;
    let agent = ureq::Agent::new_with_defaults();
    let call = |method: &str, mut params: serde_json::Value| -> serde_json::Value {
        params["auth"] = token.as_str().into();
        params["auth_connector"] = "OneC".into();
        let url = format!("{}/rest/{method}", emulator.portal_url());
        let mut answer = agent.post(&url).content_type("application/json").send(params.to_string()).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    };
    let start = Instant::now();
    loop {
        let answer = call("event.offline.get", json!({"limit": LIMIT, "clear": 0}));
        if answer["result"]["events"].as_array().unwrap().is_empty() {
            return start.elapsed();
        }
        call("event.offline.clear", json!({"process_id": answer["result"]["process_id"]}));
    }
}
