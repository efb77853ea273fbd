//! What survives a lost answer, a batch without acknowledgement and the end of the process.

use super::support::*;
use b24_emulator::Options;
use b24events::config::Config;
use b24events::error::{Error, Status};
use serde_json::json;

fn in_folder(portal: &Portal, folder: &Folder) -> Config {
    let mut config = portal.config();
    config.set("state.dir", folder.path().join("state").to_str().unwrap()).unwrap();
    config
}

fn exclusive(portal: &Portal) -> Config {
    let mut config = portal.config();
    config.set("recover.orphans", "exclusive").unwrap();
    config
}

#[test]
fn a_batch_that_was_not_acknowledged_comes_again_after_recovery() {
    let portal = Portal::start();
    let client = portal.client_with(&[("redeliver.pauses_ms", "600000")]);
    portal.add_deals([1, 2]);
    drop(client.fetch(0).unwrap());
    portal.add_deals([3]);
    assert_eq!(numbers(&mut client.fetch(0).unwrap()), [3]);
    assert_eq!(client.recover().unwrap(), 2, "neither was acknowledged");
    let mut again = client.fetch(0).unwrap();
    assert_eq!(numbers(&mut again), [1, 2]);
    again.acknowledge().unwrap();
    client.fetch(0).unwrap().acknowledge().unwrap();
    assert_eq!((portal.queued(), client.recover().unwrap()), (0, 0));
}

#[test]
fn a_batch_that_was_freed_comes_again_by_itself_after_growing_pauses() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("redeliver.pauses_ms", "300 600")]);
    portal.add_deals([1]);
    let mut freed = std::time::Instant::now();
    for (attempt, pause) in [(1, 0), (2, 300), (3, 600), (4, 600)] {
        let mut batch = client.next(LONG).unwrap().unwrap();
        assert_eq!((numbers(&mut batch), batch.attempt()), (vec![1], attempt));
        assert!(freed.elapsed() >= std::time::Duration::from_millis(pause), "attempt {attempt} came early");
        freed = std::time::Instant::now();
        if attempt == 4 {
            batch.acknowledge().unwrap();
        }
    }
    assert_eq!(portal.queued(), 0);
}

#[test]
fn what_was_not_acknowledged_of_a_batch_comes_again() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1, 2]);
    let mut batch = client.fetch(0).unwrap();
    let ids = message_ids(&mut batch);
    batch.acknowledge_records(&[&ids[0]]).unwrap();
    drop(batch);
    portal.clock.advance(std::time::Duration::from_secs(1));
    let mut rest = client.fetch(0).unwrap();
    assert_eq!((numbers(&mut rest), rest.attempt()), (vec![2], 2));
    rest.acknowledge().unwrap();
}

#[test]
fn a_reservation_that_stays_refused_does_not_cost_a_call_in_every_fetch() {
    let portal = Portal::start();
    let client = portal.client_with(&[("redeliver.pauses_ms", "600000")]);
    portal.add_deals([1]);
    client.fetch(0).unwrap().redeliver();
    let calls = || portal.emulator.counters().calls["event.offline.get"];
    portal.control(
        json!({"fail_next": {"method": "event.offline.get", "error": "SOMETHING", "status": 400, "times": 1}}),
    );
    client.fetch(0).unwrap();
    let before = calls();
    for _ in 0..3 {
        client.fetch(0).unwrap();
    }
    assert_eq!(calls() - before, 3, "one for each fetch of new records");
}

#[test]
fn a_batch_that_the_host_holds_does_not_come_again() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    let batch = client.fetch(0).unwrap();
    assert_eq!(client.recover().unwrap(), 0);
    assert!(client.fetch(0).unwrap().is_empty());
    batch.acknowledge().unwrap();
}

#[test]
fn another_client_continues_from_the_state() {
    let portal = Portal::start();
    let first = portal.client();
    portal.add_deals(1..=4);
    let mut batch = first.fetch(0).unwrap();
    let ids = message_ids(&mut batch);
    batch.acknowledge_records(&[&ids[0]]).unwrap();
    portal.control(json!("expire_tokens"));
    first.call("profile", "").unwrap();
    first.close();
    let state = first.state();
    drop((first, batch));

    // Elsewhere: only the address is known, everything else is in the state.
    let application = portal.emulator.application();
    let mut config = Config::new();
    for (key, value) in [
        ("portal.url", portal.emulator.portal_url()),
        ("connector.id", "OneC".into()),
        ("auth.client_id", application.client_id),
        ("auth.client_secret", application.client_secret),
        ("auth.server", portal.emulator.auth_server_url()),
    ] {
        config.set(key, &value).unwrap();
    }
    let second = portal.client_of(&config);
    assert_eq!(second.fetch(0).err().unwrap().status(), Status::Config, "no token yet");
    second.restore(&state).unwrap();
    portal.add_deals([5]);
    let mut rest = second.fetch(0).unwrap();
    assert_eq!(numbers(&mut rest), [2, 3, 4], "what was open comes first");
    rest.acknowledge().unwrap();
    assert_eq!(numbers(&mut second.fetch(0).unwrap()), [5]);
    portal.control(json!("expire_tokens"));
    second.call("profile", "").unwrap();
}

#[test]
fn the_next_process_continues_from_the_folder() {
    for offline_extended in [true, false] {
        let portal = Portal::with(Options { offline_extended, ..Options::default() });
        let folder = Folder::new();
        let config = in_folder(&portal, &folder);
        let first = portal.client_of(&config);
        first.bind_event("ONCRMDEALADD").unwrap();
        portal.add_deals([1, 2]);
        let mut batch = first.fetch(0).unwrap();
        let ids = message_ids(&mut batch);
        batch.acknowledge_records(&[&ids[1]]).unwrap();
        portal.control(json!("expire_tokens"));
        first.call("profile", "").unwrap();
        assert!(matches!(b24events::client::Client::new(&config, Default::default()), Err(Error::State(_))), "locked");
        drop((first, batch));

        let second = portal.client_of(&config);
        let mut rest = second.fetch(0).unwrap();
        assert_eq!(numbers(&mut rest), [1], "{offline_extended}");
        rest.acknowledge().unwrap();
        drop((second, rest));
        let third = portal.client_of(&config);
        assert!(third.fetch(0).unwrap().is_empty());
        assert_eq!(portal.queued(), 0);
    }
}

#[test]
fn a_folder_that_cannot_be_written_stops_a_fetch_before_it_reserves() {
    let portal = Portal::start();
    let folder = Folder::new();
    let client = portal.client_of(&in_folder(&portal, &folder));
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals([1]);
    // Root writes where it may not, so the folder itself is taken away.
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(client.fetch(0).err().unwrap().status(), Status::State);
    assert_eq!(portal.emulator.queue("OneC")[0].process_id, "", "still free");
}

#[test]
fn a_lost_answer_is_found_again_by_the_only_consumer() {
    let portal = Portal::start();
    let client = portal.client_of(&exclusive(&portal));
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals([1]);
    portal.control(json!({"drop_next": {"method": "event.offline.get", "times": 1, "when": "after_handling"}}));
    let mut seen = Vec::new();
    while seen.is_empty() {
        let mut batch = client.fetch(0).unwrap();
        seen = numbers(&mut batch);
        batch.acknowledge().unwrap();
        if seen.is_empty() {
            client.recover().unwrap();
        }
    }
    assert_eq!((seen, portal.queued()), (vec![1], 0));
}

#[test]
fn reservations_of_others_are_left_alone_while_they_are_young() {
    let portal = Portal::start();
    let other = portal.client();
    portal.add_deals([1]);
    let batch = other.fetch(0).unwrap();
    let mut config = portal.config();
    let client = portal.client_of(&config);
    assert!(client.fetch(0).unwrap().is_empty());
    assert_eq!(client.recover().unwrap(), 0);
    config.set("recover.orphan_age_s", "0").unwrap();
    let immediate = portal.client_of(&config);
    assert_eq!(numbers(&mut immediate.fetch(0).unwrap()), [1]);
    drop(batch);
}

#[test]
fn failed_records_can_be_tried_again() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1, 2]);
    let mut batch = client.fetch(0).unwrap();
    let ids = message_ids(&mut batch);
    batch.fail_records(&[&ids[0]]).unwrap();
    batch.acknowledge().unwrap();
    assert_eq!(portal.client_of(&exclusive(&portal)).recover().unwrap(), 0, "failed ones are no orphans");
    let mut failed = client.fetch_failed(0).unwrap();
    assert_eq!(numbers(&mut failed), [1]);
    failed.acknowledge().unwrap();
    assert_eq!(portal.queued(), 0);
}

#[test]
fn failed_records_stay_until_they_are_acknowledged() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    let fail = |mut batch: b24events::delivery::Batch| {
        let ids = message_ids(&mut batch);
        assert_eq!(ids.len(), 1);
        batch.fail_records(&[&ids[0]]).unwrap();
    };
    fail(client.fetch(0).unwrap());
    fail(client.fetch_failed(0).unwrap());
    fail(client.fetch_failed(0).unwrap());
    drop(client.fetch_failed(0).unwrap());
    assert!(client.fetch(0).unwrap().is_empty(), "an ordinary fetch leaves them out");
    let state = client.state();
    let next = portal.client_of(&portal.config());
    next.restore(&state).unwrap();
    let mut again = next.fetch_failed(0).unwrap();
    assert_eq!(numbers(&mut again), [1]);
    again.acknowledge().unwrap();
    assert_eq!(portal.queued(), 0);
}

#[test]
fn a_lost_answer_with_failed_records_is_found_too() {
    let portal = Portal::start();
    let client = portal.client_of(&exclusive(&portal));
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals([1]);
    let mut batch = client.fetch(0).unwrap();
    let ids = message_ids(&mut batch);
    batch.fail_records(&[&ids[0]]).unwrap();
    portal.control(json!({"drop_next": {"method": "event.offline.get", "when": "after_handling"}}));
    assert_eq!(client.fetch_failed(0).err().unwrap().status(), Status::Network);
    client.recover().unwrap();
    let failed = client.fetch_failed(0).unwrap();
    assert_eq!(failed.len(), 1);
    failed.acknowledge().unwrap();
    assert_eq!(portal.queued(), 0);
}

#[test]
fn a_reservation_that_is_larger_than_a_batch_comes_in_parts() {
    let portal = Portal::start();
    let other = portal.client();
    portal.add_deals(1..=120);
    let process_id = other.fetch(120).unwrap().process_id().to_owned();
    let client = portal.client_of(&exclusive(&portal));
    let mut seen = Vec::new();
    for expected in [50, 50, 20] {
        let mut batch = client.fetch(0).unwrap();
        assert_eq!((batch.len(), batch.process_id()), (expected, process_id.as_str()));
        assert_eq!(batch.attempt(), 1, "each record is handed out once");
        seen.extend(numbers(&mut batch));
        batch.acknowledge().unwrap();
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=120).collect::<Vec<_>>());
    assert!(client.fetch(0).unwrap().is_empty());
    assert_eq!(portal.queued(), 0);
}

/// From now on the portal's plan has reservations, or not.
fn set_reservations(portal: &Portal, available: bool) {
    portal.control(json!({"plan": {"offline_extended": available, "auth_connector": true}}));
}

#[test]
fn reservations_that_a_lost_plan_has_stranded_are_delivered_and_stay_until_acknowledged() {
    let portal = Portal::start();
    let folder = Folder::new();
    let config = |limit: &str| {
        let mut config = in_folder(&portal, &folder);
        config.set("fetch.limit", limit).unwrap();
        config
    };
    let first = portal.client_of(&config("200"));
    first.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals(1..=120);
    drop(first.fetch(0).unwrap());
    drop(first);
    set_reservations(&portal, false);
    portal.add_deals([121]);

    // The reservation exceeds the limit, and the limit is no whole number of pages of `event.offline.list`.
    let second = portal.client_of(&config("70"));
    let calls = || portal.emulator.counters().calls["event.offline.get"];
    let before = calls();
    let mut seen = Vec::new();
    for (expected, left) in [(70, 51), (50, 1)] {
        let mut batch = second.fetch(0).unwrap();
        assert_eq!((batch.len(), batch.process_id().is_empty()), (expected, false));
        assert_eq!(portal.queued(), left + expected, "nothing is deleted before it is acknowledged");
        seen.extend(numbers(&mut batch));
        batch.acknowledge().unwrap();
        assert_eq!(portal.queued(), left);
    }
    assert_eq!(calls() - before, 1, "one refusal is enough to know");
    seen.sort_unstable();
    assert_eq!(seen, (1..=120).collect::<Vec<_>>());
    assert_eq!(numbers(&mut second.fetch(0).unwrap()), [121]);
    assert_eq!(portal.queued(), 0, "what is new is deleted when it is fetched");
}

#[test]
fn orphans_that_a_lost_plan_has_stranded_are_found() {
    let portal = Portal::start();
    let other = portal.client();
    portal.add_deals([1, 2]);
    drop(other.fetch(1).unwrap());
    let mut failing = other.fetch(1).unwrap();
    let ids = message_ids(&mut failing);
    failing.fail_records(&[&ids[0]]).unwrap();
    drop(other.fetch_failed(1).unwrap());
    set_reservations(&portal, false);
    let client = portal.client_of(&exclusive(&portal));
    let mut orphan = client.fetch(0).unwrap();
    assert_eq!(numbers(&mut orphan), [1]);
    orphan.acknowledge().unwrap();
    let mut failed = client.fetch_failed(0).unwrap();
    assert_eq!((numbers(&mut failed), portal.queued()), (vec![2], 1));
    failed.acknowledge().unwrap();
    assert_eq!(portal.queued(), 0);
}

#[test]
fn stranded_records_can_still_be_marked_as_failed() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    client.fetch(0).unwrap().redeliver();
    set_reservations(&portal, false);
    let mut batch = client.fetch(0).unwrap();
    let ids = message_ids(&mut batch);
    batch.fail_records(&[&ids[0]]).unwrap();
    assert!(portal.emulator.queue("OneC")[0].error);
}

#[test]
fn records_that_cannot_be_read_again_do_not_stop_new_ones() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    client.fetch(0).unwrap().redeliver();
    portal.add_deals([2]);
    portal.control(
        json!({"fail_next": {"method": "event.offline.get", "error": "SOMETHING", "status": 400, "times": 1}}),
    );
    let mut new = client.fetch(0).unwrap();
    assert_eq!(numbers(&mut new), [2]);
    portal.clock.advance(std::time::Duration::from_secs(300));
    let mut again = client.fetch(0).unwrap();
    assert_eq!((numbers(&mut again), again.attempt()), (vec![1], 1), "they are tried again, and count once");
}

#[test]
fn a_batch_that_outlives_its_client_does_not_lock_the_folder() {
    let portal = Portal::start();
    let folder = Folder::new();
    let config = in_folder(&portal, &folder);
    let first = portal.client_of(&config);
    first.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals([1]);
    let batch = first.fetch(0).unwrap();
    drop(first);
    let second = portal.client_of(&config);
    assert_eq!(batch.acknowledge(), Err(Error::Closed));
    assert_eq!(second.fetch(0).unwrap().len(), 1);
}

#[test]
fn a_call_that_removes_is_not_repeated() {
    let portal = Portal::with(Options { offline_extended: false, ..Options::default() });
    let mut config = portal.config();
    config.set("http.max_answer_bytes", "2048").unwrap();
    let client = portal.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    portal.add_deals(1..=100);
    let error = client.fetch(20).err().unwrap();
    assert!(error.to_string().contains("http.max_answer_bytes"), "{error}");
    assert_eq!(portal.queued(), 80);
}

#[test]
fn a_batch_that_did_not_reach_the_host_comes_first_again() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals([1]);
    client.fetch(0).unwrap().redeliver();
    portal.add_deals([2]);
    let mut again = client.fetch(0).unwrap();
    assert_eq!((numbers(&mut again), again.attempt()), (vec![1], 1));
    again.acknowledge().unwrap();
    assert_eq!(numbers(&mut client.fetch(0).unwrap()), [2]);
}

#[test]
fn a_state_holds_the_latest_tokens_and_outgrows_older_states() {
    let portal = Portal::start();
    let client = portal.client();
    let old = client.state();
    portal.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
    let token = portal.tokens.lock().unwrap()[0].clone();
    assert!(client.state().contains(&token) && !old.contains(&token));
    assert!(client.has_outgrown(&old) && client.has_outgrown(&client.state()));
    assert!(!client.has_outgrown("{}") && !client.has_outgrown(&portal.client().state()));
}

#[test]
fn attempts_are_counted_until_the_records_are_acknowledged() {
    let portal = Portal::start();
    let client = portal.client();
    portal.add_deals(1..=120);
    assert_eq!(client.fetch(120).unwrap().attempt(), 1);
    assert_eq!(client.recover().unwrap(), 1);
    // The reservation is read again in parts of 50.
    let part = client.fetch(0).unwrap();
    assert_eq!((part.len(), part.attempt()), (50, 2));
    part.acknowledge().unwrap();
    drop(part);
    let part = client.fetch(0).unwrap();
    assert_eq!((part.len(), part.attempt()), (50, 2), "the rest was handed out once, too");
    drop(part);
    assert_eq!(client.recover().unwrap(), 1);
    let part = client.fetch(0).unwrap();
    assert_eq!((part.len(), part.attempt()), (50, 3));
    part.acknowledge().unwrap();
}
