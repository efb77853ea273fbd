//! `next` keeps its time, and a fetch that fails loses no ring.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use b24_emulator::ADMINISTRATOR;
use b24events::client::Client;
use b24events::clock::Timeout;
use b24events::error::{Error, Status};
use b24events::notify::Notification;
use serde_json::json;

use super::support::*;

const SHORT: Duration = Duration::from_millis(300);
/// Far more than a request needs on a busy machine, and less than the disturbance of a test lasts.
const REQUEST: Duration = Duration::from_secs(3);
const DISTURBANCE: Duration = Duration::from_secs(5);

/// Runs `disturb` again and again while `test` runs, for as long as a disturbance lasts.
fn disturbed(disturb: impl Fn() + Sync, test: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) && start.elapsed() < DISTURBANCE {
                disturb();
                thread::sleep(Duration::from_millis(1));
            }
        });
        test();
        stop.store(true, Ordering::SeqCst);
    });
}

/// Calls `next` and checks that it keeps its time.
fn next_in_time(client: &Client) -> Result<Vec<u32>, Error> {
    let start = Instant::now();
    let outcome = client.next(Timeout::After(SHORT));
    assert!(start.elapsed() < SHORT + REQUEST, "{:?}", start.elapsed());
    Ok(outcome?.map(|mut batch| numbers(&mut batch)).unwrap_or_default())
}

fn requests(client: &Client) -> u64 {
    stats(client)["requests"].as_u64().unwrap()
}

#[test]
fn next_keeps_its_time_while_the_bell_rings_all_the_time() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("rate.per_second", "0")]);
    // The bell rings in the time that a fetch takes.
    portal.control(json!({"delay_next": {"method": "event.offline.get", "ms": 100, "times": 1000}}));
    let ring = || client.give_back(Notification { count: 1, signalled: true });
    disturbed(ring, || {
        assert_eq!(next_in_time(&client), Ok(vec![]));
        ring();
        assert!(client.next(AT_ONCE).unwrap().is_none());
    });
}

#[test]
fn next_keeps_its_time_while_another_worker_takes_the_records() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("rate.per_second", "0")]);
    let worker = portal.client_with(&[("rate.per_second", "0")]);
    portal.control(json!({"delay_next": {"method": "event.offline.get", "ms": 100, "times": 1000}}));
    let make_and_take = || {
        portal.add_deals([1]);
        worker.fetch(0).unwrap().acknowledge().unwrap();
    };
    disturbed(make_and_take, || {
        for _ in 0..4 {
            next_in_time(&client).unwrap();
        }
    });
}

#[test]
fn an_error_that_somebody_has_to_fix_does_not_use_up_the_ring() {
    let portal = Portal::start();
    let client = portal.connected();
    client.fetch(0).unwrap();
    portal.control(json!({"fail_next": {"method": "event.offline.get", "status": 403, "error": "ACCESS_DENIED"}}));
    portal.add_deals([1]);
    assert_eq!(client.next(LONG).map(drop).unwrap_err().status(), Status::AccessDenied);
    // Somebody has made the user an administrator.
    assert_eq!(numbers(&mut client.next(LONG).unwrap().expect("the record")), [1]);
}

#[test]
fn a_host_that_renews_by_itself_gets_the_record_after_it_has_set_the_tokens() {
    let portal = Portal::start();
    let client = portal.connected_with(&[("auth.renew", "host")]);
    client.fetch(0).unwrap();
    portal.control(json!("expire_tokens"));
    portal.add_deals([1]);
    // The host is slow: the pauses have grown meanwhile.
    for _ in 0..4 {
        assert_eq!(client.next(LONG).map(drop).unwrap_err(), Error::HostMustRenew);
    }
    let tokens = portal.emulator.issue_tokens(ADMINISTRATOR);
    client.set_tokens(&tokens.access_token, "", 0).unwrap();
    let start = Instant::now();
    assert_eq!(numbers(&mut client.next(LONG).unwrap().expect("the record")), [1]);
    assert!(start.elapsed() < REQUEST, "{:?}", start.elapsed());
}

#[test]
fn after_an_error_that_passes_the_next_call_pauses_before_it_fetches() {
    let portal = Portal::start();
    let client = portal.connected();
    client.fetch(0).unwrap();
    let fail = |times: u32| {
        portal.control(json!({"fail_next": {"method": "event.offline.get", "status": 502, "times": times}}));
    };
    let before = requests(&client);
    fail(2);
    portal.add_deals([1]);
    until("the signal", || stats(&client)["signals"] == 1);
    // No time for repeats within the call.
    let error = client.next(AT_ONCE).map(drop).unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(requests(&client) - before, 1);
    // The pause of a second is longer than this.
    assert_eq!(next_in_time(&client), Err(error));
    assert_eq!(requests(&client) - before, 1);
    // It is over within this time, and the call repeats what fails: twice it searches and fetches.
    assert_eq!(numbers(&mut client.next(LONG).unwrap().expect("the record")), [1]);
    assert_eq!(requests(&client) - before, 5);
}

#[test]
fn closing_ends_the_pause_after_a_failure() {
    let portal = Portal::start();
    let client = portal.client_with(&[("rate.per_second", "0")]);
    portal.control(json!({"fail_next": {"method": "event.offline.get", "status": 502, "times": 1000}}));
    for _ in 0..2 {
        client.fetch(0).map(drop).unwrap_err();
    }
    // The next pause lasts two seconds.
    thread::scope(|scope| {
        let fetch = scope.spawn(|| client.fetch(0).map(drop));
        thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        client.close();
        assert_eq!(fetch.join().unwrap(), Err(Error::Closed));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    });
}
