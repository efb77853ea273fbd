//! What survives a lost answer, a dropped batch and the end of the process.

use std::path::PathBuf;

use super::setting::*;
use b24_emulator::Options;
use b24events::config::Config;
use b24events::error::{Error, Status};
use serde_json::json;

/// A folder for state that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        Folder(std::env::temp_dir().join(format!("b24events-{name}-{}", std::process::id())))
    }

    fn of(&self, setting: &Setting) -> Config {
        let mut config = setting.config();
        config.set("state.dir", self.0.to_str().unwrap()).unwrap();
        config
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn exclusive(setting: &Setting) -> Config {
    let mut config = setting.config();
    config.set("recover.orphans", "exclusive").unwrap();
    config
}

#[test]
fn a_dropped_batch_comes_again_after_recovery() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1, 2]);
    drop(client.fetch(0).unwrap());
    setting.deals([3]);
    assert_eq!(numbers(&mut client.fetch(0).unwrap()), [3]);
    assert_eq!(client.recover().unwrap(), 2, "both were dropped");
    let mut again = client.fetch(0).unwrap();
    assert_eq!(numbers(&mut again), [1, 2]);
    again.acknowledge().unwrap();
    client.fetch(0).unwrap().acknowledge().unwrap();
    assert_eq!((setting.queued(), client.recover().unwrap()), (0, 0));
}

#[test]
fn a_batch_in_the_hands_of_the_host_does_not_come_again() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1]);
    let held = client.fetch(0).unwrap();
    assert_eq!(client.recover().unwrap(), 0);
    assert!(client.fetch(0).unwrap().is_empty());
    held.acknowledge().unwrap();
}

#[test]
fn the_state_goes_on_in_another_client() {
    let setting = Setting::new();
    let first = setting.client();
    setting.deals(1..=4);
    let mut batch = first.fetch(0).unwrap();
    let json = batch.detach_json();
    let ids = b24events::portal::offline_events::read_records(&json).unwrap();
    batch.acknowledge_records(&[&ids[0].message_id]).unwrap();
    setting.control(json!("expire_tokens"));
    first.call("profile", "").unwrap();
    first.close();
    let state = first.state();
    drop((first, batch));

    // Elsewhere: only the address is known, everything else is in the state.
    let application = setting.emulator.application();
    let mut config = Config::new();
    for (key, value) in [
        ("portal.url", setting.emulator.portal_url()),
        ("connector.id", "OneC".into()),
        ("auth.client_id", application.client_id),
        ("auth.client_secret", application.client_secret),
        ("auth.server", setting.emulator.portal_url()),
    ] {
        config.set(key, &value).unwrap();
    }
    let second = setting.client_of(&config);
    assert_eq!(second.fetch(0).err().unwrap().status(), Status::Config, "no token yet");
    second.restore(&state).unwrap();
    setting.deals([5]);
    let mut rest = second.fetch(0).unwrap();
    assert_eq!(numbers(&mut rest), [2, 3, 4], "what was open comes first");
    rest.acknowledge().unwrap();
    assert_eq!(numbers(&mut second.fetch(0).unwrap()), [5]);
    setting.control(json!("expire_tokens"));
    second.call("profile", "").unwrap();
}

#[test]
fn the_state_in_a_folder_goes_on_after_the_process() {
    for offline_extended in [true, false] {
        let setting = Setting::with(Options { offline_extended, ..Options::default() });
        let folder = Folder::new(&format!("process-{offline_extended}"));
        let config = folder.of(&setting);
        let first = setting.client_of(&config);
        first.bind_event("ONCRMDEALADD").unwrap();
        setting.deals([1, 2]);
        let mut batch = first.fetch(0).unwrap();
        let json = batch.detach_json();
        let ids = b24events::portal::offline_events::read_records(&json).unwrap();
        batch.acknowledge_records(&[&ids[1].message_id]).unwrap();
        setting.control(json!("expire_tokens"));
        first.call("profile", "").unwrap();
        assert!(matches!(b24events::client::Client::new(&config, Default::default()), Err(Error::State(_))), "locked");
        drop((first, batch));

        let second = setting.client_of(&config);
        let mut rest = second.fetch(0).unwrap();
        assert_eq!(numbers(&mut rest), [1], "{offline_extended}");
        rest.acknowledge().unwrap();
        drop((second, rest));
        let third = setting.client_of(&config);
        assert!(third.fetch(0).unwrap().is_empty());
        assert_eq!(setting.queued(), 0);
    }
}

#[test]
fn a_folder_that_cannot_be_written_stops_before_anything_is_taken() {
    let setting = Setting::new();
    let folder = Folder::new("unwritable");
    let client = setting.client_of(&folder.of(&setting));
    client.bind_event("ONCRMDEALADD").unwrap();
    setting.deals([1]);
    // Root writes where it may not, so the folder itself is taken away.
    std::fs::remove_dir_all(&folder.0).unwrap();
    assert_eq!(client.fetch(0).err().unwrap().status(), Status::State);
    assert_eq!(setting.emulator.queue("OneC")[0].process_id, "", "still free");
}

#[test]
fn a_lost_answer_is_found_again_by_the_only_consumer() {
    let setting = Setting::new();
    let client = setting.client_of(&exclusive(&setting));
    client.bind_event("ONCRMDEALADD").unwrap();
    setting.deals([1]);
    setting.control(json!({"drop_next": {"method": "event.offline.get", "times": 1, "when": "after_handling"}}));
    let mut seen = Vec::new();
    while seen.is_empty() {
        let mut batch = client.fetch(0).unwrap();
        seen = numbers(&mut batch);
        batch.acknowledge().unwrap();
        if seen.is_empty() {
            client.recover().unwrap();
        }
    }
    assert_eq!((seen, setting.queued()), (vec![1], 0));
}

#[test]
fn reservations_of_others_are_left_alone_while_they_are_young() {
    let setting = Setting::new();
    let other = setting.client();
    setting.deals([1]);
    let held = other.fetch(0).unwrap();
    let mut config = setting.config();
    let client = setting.client_of(&config);
    assert!(client.fetch(0).unwrap().is_empty());
    assert_eq!(client.recover().unwrap(), 0);
    config.set("recover.orphan_age_s", "0").unwrap();
    let impatient = setting.client_of(&config);
    assert_eq!(numbers(&mut impatient.fetch(0).unwrap()), [1]);
    drop(held);
}

#[test]
fn failed_records_can_be_tried_again() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1, 2]);
    let mut batch = client.fetch(0).unwrap();
    let json = batch.detach_json();
    let records = b24events::portal::offline_events::read_records(&json).unwrap();
    batch.fail_records(&[&records[0].message_id]).unwrap();
    batch.acknowledge().unwrap();
    assert_eq!(setting.client_of(&exclusive(&setting)).recover().unwrap(), 0, "failed ones are no orphans");
    let mut failed = client.fetch_failed(0).unwrap();
    assert_eq!(numbers(&mut failed), [1]);
    failed.acknowledge().unwrap();
    assert_eq!(setting.queued(), 0);
}

#[test]
fn failed_records_are_there_until_they_are_acknowledged() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1]);
    let fail = |mut batch: b24events::delivery::Batch| {
        let json = batch.detach_json();
        let records = b24events::portal::offline_events::read_records(&json).unwrap();
        assert_eq!(records.len(), 1);
        batch.fail_records(&[&records[0].message_id]).unwrap();
    };
    fail(client.fetch(0).unwrap());
    fail(client.fetch_failed(0).unwrap());
    fail(client.fetch_failed(0).unwrap());
    drop(client.fetch_failed(0).unwrap());
    assert!(client.fetch(0).unwrap().is_empty(), "they do not come by themselves");
    let state = client.state();
    let next = setting.client_of(&setting.config());
    next.restore(&state).unwrap();
    let mut again = next.fetch_failed(0).unwrap();
    assert_eq!(numbers(&mut again), [1]);
    again.acknowledge().unwrap();
    assert_eq!(setting.queued(), 0);
}

#[test]
fn a_lost_answer_with_failed_records_is_found_too() {
    let setting = Setting::new();
    let client = setting.client_of(&exclusive(&setting));
    client.bind_event("ONCRMDEALADD").unwrap();
    setting.deals([1]);
    let mut batch = client.fetch(0).unwrap();
    let json = batch.detach_json();
    let records = b24events::portal::offline_events::read_records(&json).unwrap();
    batch.fail_records(&[&records[0].message_id]).unwrap();
    setting.control(json!({"drop_next": {"method": "event.offline.get", "when": "after_handling"}}));
    assert_eq!(client.fetch_failed(0).err().unwrap().status(), Status::Network);
    client.recover().unwrap();
    let failed = client.fetch_failed(0).unwrap();
    assert_eq!(failed.len(), 1);
    failed.acknowledge().unwrap();
    assert_eq!(setting.queued(), 0);
}

#[test]
fn a_reservation_that_is_larger_than_a_batch_comes_in_parts() {
    let setting = Setting::new();
    let other = setting.client();
    setting.deals(1..=120);
    let process_id = other.fetch(120).unwrap().process_id().to_owned();
    let client = setting.client_of(&exclusive(&setting));
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
    assert_eq!(setting.queued(), 0);
}

#[test]
fn what_cannot_be_read_again_does_not_stop_what_is_new() {
    let setting = Setting::new();
    let folder = Folder::new("refused");
    let config = folder.of(&setting);
    let first = setting.client_of(&config);
    first.bind_event("ONCRMDEALADD").unwrap();
    setting.deals([1]);
    drop(first.fetch(0).unwrap());
    drop(first);
    setting.control(json!({"plan": {"offline_extended": false, "auth_connector": true}}));
    setting.deals([2]);
    let second = setting.client_of(&config);
    assert_eq!(numbers(&mut second.fetch(0).unwrap()), [2]);
    drop(second);
    setting.control(json!({"plan": {"offline_extended": true, "auth_connector": true}}));
    let third = setting.client_of(&config);
    let mut seen = [numbers(&mut third.fetch(0).unwrap()), numbers(&mut third.fetch(0).unwrap())].concat();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2], "neither was acknowledged");
}

#[test]
fn a_batch_that_outlives_its_client_does_not_hold_the_folder() {
    let setting = Setting::new();
    let folder = Folder::new("outlives");
    let config = folder.of(&setting);
    let first = setting.client_of(&config);
    first.bind_event("ONCRMDEALADD").unwrap();
    setting.deals([1]);
    let batch = first.fetch(0).unwrap();
    drop(first);
    let second = setting.client_of(&config);
    assert_eq!(batch.acknowledge(), Err(Error::Closed));
    assert_eq!(second.fetch(0).unwrap().len(), 1);
}

#[test]
fn a_call_that_removes_is_not_repeated() {
    let setting = Setting::with(Options { offline_extended: false, ..Options::default() });
    let mut config = setting.config();
    config.set("http.max_answer_bytes", "2048").unwrap();
    let client = setting.client_of(&config);
    client.bind_event("ONCRMDEALADD").unwrap();
    setting.deals(1..=100);
    let error = client.fetch(20).err().unwrap();
    assert!(error.to_string().contains("http.max_answer_bytes"), "{error}");
    assert_eq!(setting.queued(), 80);
}

#[test]
fn a_batch_that_did_not_reach_the_host_comes_first_again() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals([1]);
    client.fetch(0).unwrap().redeliver();
    setting.deals([2]);
    let mut again = client.fetch(0).unwrap();
    assert_eq!((numbers(&mut again), again.attempt()), (vec![1], 1));
    again.acknowledge().unwrap();
    assert_eq!(numbers(&mut client.fetch(0).unwrap()), [2]);
}

#[test]
fn attempts_are_counted_until_the_records_are_acknowledged() {
    let setting = Setting::new();
    let client = setting.client();
    setting.deals(1..=120);
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

#[test]
fn a_state_that_was_read_tells_the_tokens_that_were_kept_last() {
    let setting = Setting::new();
    let client = setting.client();
    let old = client.state();
    setting.control(json!("expire_tokens"));
    client.call("profile", "").unwrap();
    let token = setting.tokens.lock().unwrap()[0].clone();
    assert!(client.state().contains(&token) && !old.contains(&token));
    assert!(client.has_outgrown(&old) && client.has_outgrown(&client.state()));
    assert!(!client.has_outgrown("{}") && !client.has_outgrown(&setting.client().state()));
}
