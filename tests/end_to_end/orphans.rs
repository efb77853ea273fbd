//! Reservations that no client knows: who takes them over, and when.

use std::time::{Duration, Instant};

use super::support::*;
use b24events::client::Client;
use serde_json::json;

const HOUR: Duration = Duration::from_secs(3600);
/// `http.timeout_ms` of these clients.
const TIMEOUT: Duration = Duration::from_secs(20);

fn client(portal: &Portal, keys: &[(&str, &str)]) -> Client {
    portal.client_with(&[&[("http.timeout_ms", "20000")], keys].concat())
}

/// Somebody who dies reserves a deal.
fn orphan(portal: &Portal, number: u32) {
    let other = portal.client();
    portal.add_deals([number]);
    assert_eq!(numbers(&mut other.fetch(0).unwrap()), [number]);
}

/// Fetches, and acknowledges what has come.
fn fetched(client: &Client) -> Vec<u32> {
    let mut batch = client.fetch(0).unwrap();
    batch.acknowledge().unwrap();
    numbers(&mut batch)
}

/// Lets the client see that somebody else is at work.
fn meet_somebody(portal: &Portal, client: &Client) {
    let other = portal.client();
    portal.add_deals([1000]);
    let batch = other.fetch(0).unwrap();
    client.recover().unwrap();
    batch.acknowledge().unwrap();
    client.recover().unwrap();
}

#[test]
fn a_client_that_is_alone_takes_unknown_reservations_over_after_twice_the_timeout() {
    let portal = Portal::start();
    portal.clock.set_random(0);
    orphan(&portal, 1);
    let client = client(&portal, &[]);
    assert!(fetched(&client).is_empty(), "seen for the first time");
    portal.clock.advance(2 * TIMEOUT - Duration::from_secs(5));
    assert!(fetched(&client).is_empty(), "too early");
    portal.clock.advance(Duration::from_secs(6));
    assert_eq!(fetched(&client), [1]);
    assert_eq!(portal.queued(), 0);
}

#[test]
fn records_of_a_lost_answer_come_by_themselves_to_a_client_that_is_alone() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("http.timeout_ms", "1000")]);
    portal.add_deals([1]);
    portal.control(json!({"drop_next": {"method": "event.offline.get", "times": 4, "when": "after_handling"}}));
    let start = Instant::now();
    let mut seen = Vec::new();
    while seen.is_empty() {
        // The calls that fail are those whose answers get lost.
        if let Ok(Some(mut batch)) = client.next(LONG) {
            seen = numbers(&mut batch);
            batch.acknowledge().unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{}", portal.log());
    }
    assert_eq!((seen, portal.queued()), (vec![1], 0));
    assert!(start.elapsed() >= Duration::from_secs(2), "after twice the timeout");
}

#[test]
fn a_client_that_has_company_waits_and_remembers_it() {
    let portal = Portal::start();
    portal.clock.set_random(0);
    let folder = Folder::new();
    let keys = [("state.dir", folder.as_str())];
    let first = client(&portal, &keys);
    meet_somebody(&portal, &first);
    orphan(&portal, 1);
    assert_eq!(first.recover().unwrap(), 0);
    portal.clock.advance(HOUR / 2);
    assert!(fetched(&first).is_empty(), "somebody may be at work on it");
    drop(first);
    let second = client(&portal, &keys);
    assert!(fetched(&second).is_empty());
    portal.clock.advance(HOUR / 3);
    assert_eq!(second.recover().unwrap(), 0, "it still knows of the company");
    portal.clock.advance(HOUR / 3);
    assert_eq!(second.recover().unwrap(), 1, "seen for an hour");
    assert_eq!(fetched(&second), [1]);
}

#[test]
fn company_that_was_not_seen_for_a_day_is_gone() {
    let portal = Portal::start();
    portal.clock.set_random(0);
    let client = client(&portal, &[]);
    meet_somebody(&portal, &client);
    portal.clock.advance(24 * HOUR);
    orphan(&portal, 1);
    assert!(fetched(&client).is_empty());
    portal.clock.advance(2 * TIMEOUT);
    assert_eq!(fetched(&client), [1]);
}

#[test]
fn part_of_a_reservation_that_somebody_acknowledges_is_company() {
    let portal = Portal::start();
    portal.clock.set_random(0);
    let (other, client) = (portal.client(), client(&portal, &[]));
    portal.add_deals([1, 2]);
    let mut batch = other.fetch(0).unwrap();
    let ids = message_ids(&mut batch);
    assert_eq!(client.recover().unwrap(), 0);
    batch.acknowledge_records(&[&ids[0]]).unwrap();
    for _ in 0..2 {
        portal.clock.advance(2 * TIMEOUT);
        assert_eq!(client.recover().unwrap(), 0);
    }
    batch.acknowledge().unwrap();
}

#[test]
fn clients_that_see_orphans_at_the_same_moment_hand_each_out_once() {
    let portal = Portal::start();
    let keys = [("recover.orphans", "aged"), ("recover.orphan_age_s", "100")];
    (1..=10).for_each(|number| orphan(&portal, number));
    let clients = [0, 500, 1000].map(|random| {
        portal.clock.set_random(random);
        let client = client(&portal, &keys);
        assert_eq!(client.recover().unwrap(), 0);
        client
    });
    let mut seen = Vec::new();
    for _ in 0..5 {
        portal.clock.advance(Duration::from_secs(41));
        // All of them look before anybody acknowledges.
        for client in &clients {
            client.recover().unwrap();
        }
        let fetch = |client: &Client| (0..10).map(|_| client.fetch(0).unwrap()).collect::<Vec<_>>();
        let mut batches: Vec<_> = clients.iter().flat_map(fetch).collect();
        for batch in &mut batches {
            batch.acknowledge().unwrap();
            seen.extend(numbers(batch));
        }
    }
    seen.sort_unstable();
    assert_eq!((seen, portal.queued()), ((1..=10).collect(), 0));
}

#[test]
fn a_wall_clock_that_jumps_does_not_make_reservations_old() {
    let portal = Portal::start();
    portal.clock.set_random(0);
    let folder = Folder::new();
    let other = portal.client();
    portal.add_deals([1]);
    let batch = other.fetch(0).unwrap();
    for mode in ["aged", "auto"] {
        let path = folder.path().join(mode);
        let keys = [("recover.orphans", mode), ("state.dir", path.to_str().unwrap())];
        let first = client(&portal, &keys);
        assert!(fetched(&first).is_empty());
        portal.clock.jump_wall(7 * 86_400);
        assert_eq!(first.recover().unwrap(), 0, "{mode}");
        drop(first);
        portal.clock.jump_wall(7 * 86_400);
        assert!(fetched(&client(&portal, &keys)).is_empty(), "{mode}: nor between two processes");
    }
    batch.acknowledge().unwrap();
}

#[test]
fn a_search_for_orphans_has_a_budget_and_goes_on_later() {
    let portal = Portal::start();
    let other = portal.client();
    portal.add_deals(1..=1200);
    let batches: Vec<_> = (0..12).map(|_| other.fetch(100).unwrap()).collect();
    let client = client(&portal, &[("recover.orphans", "exclusive"), ("rate.per_second", "0")]);
    let calls = || portal.emulator.counters().calls.get("event.offline.list").copied().unwrap_or(0);
    let before = calls();
    let found = client.recover().unwrap();
    assert!((1..12).contains(&found) && calls() - before <= 20, "{found} found by {} calls", calls() - before);
    assert_eq!(found + client.recover().unwrap(), 12);
    drop(batches);
}
