//! 10,000 events while the push server is restarted 50 times and the network is cut 50 times.
//!
//! `B24_EVENTS` sets another number.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use b24_emulator::Options;
use b24events::error::Error;
use serde_json::json;

use super::setting::*;
use super::trials::Trial;

const TROUBLES: u32 = 100;

#[test]
fn every_record_arrives_by_websocket() {
    let events = std::env::var("B24_EVENTS").ok().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    storm("websocket", events);
}

#[test]
fn every_record_arrives_by_long_polling() {
    storm("long_polling", 2_000);
}

fn storm(transport: &str, events: u32) {
    let start = Instant::now();
    let trial = Trial::new(transport, Options { hold: Duration::from_millis(400), ..Options::default() });
    trial.client.connect(LONG).unwrap();
    let mut consumer = Consumer::default();
    std::thread::scope(|scope| {
        let trial = &trial;
        scope.spawn(move || make(trial, events));
        while consumer.acknowledged.len() < events as usize {
            consumer.take(trial);
        }
    });
    let Consumer { acknowledged, repeated, broken } = consumer;
    let emulator = trial.setting.emulator.counters();
    println!(
        "{transport}: {events} events, {} acknowledged, {repeated} came again unacknowledged, {broken} calls broke, \
         {} subscriptions, {:?}; {}",
        acknowledged.len(),
        emulator.websockets_accepted + emulator.polls,
        start.elapsed(),
        trial.stats()
    );
    assert_eq!(acknowledged, (0..events).collect());
    assert_eq!(trial.setting.queued(), 0);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

/// Makes the events in portions, a trouble after each. The vendor's pauses start over with every success, so the next
/// trouble waits for one.
fn make(trial: &Trial, events: u32) {
    let portion = events / TROUBLES;
    for trouble in 0..TROUBLES {
        trial.setting.deals(trouble * portion..(trouble + 1) * portion);
        let before = trial.stats();
        if trouble % 2 == 0 {
            trial.setting.control(json!("restart_push"));
        } else {
            trial.proxy.cut_all();
        }
        // Between two polls the trouble may have found nothing to harm.
        let harmed = || ["failures", "polls"].iter().any(|counter| trial.stats()[counter] != before[counter]);
        until("the trouble", harmed);
        until("the next subscription", || trial.client.is_connected());
        // A message is what makes it a success.
        let messages = trial.stats()["messages"].clone();
        until("a message", || {
            trial.signal();
            std::thread::sleep(Duration::from_millis(5));
            trial.stats()["messages"] != messages
        });
    }
    trial.setting.deals(TROUBLES * portion..events);
}

#[derive(Default)]
struct Consumer {
    acknowledged: BTreeSet<u32>,
    /// Records that came again because it was not known whether the portal had heard of them.
    repeated: u32,
    broken: u32,
}

impl Consumer {
    fn take(&mut self, trial: &Trial) {
        let mut batch = match trial.client.next(LONG) {
            Ok(Some(batch)) => batch,
            Ok(None) => panic!(
                "{} acknowledged, {} came again, {} calls broke, {} queued; {}",
                self.acknowledged.len(),
                self.repeated,
                self.broken,
                trial.setting.queued(),
                trial.setting.log()
            ),
            Err(error) => return self.note(&error),
        };
        let numbers = numbers(&mut batch);
        for number in &numbers {
            assert!(!self.acknowledged.contains(number), "{number} came again after it was acknowledged");
        }
        match batch.acknowledge() {
            Ok(()) => self.acknowledged.extend(numbers),
            Err(error) => {
                self.repeated += numbers.len() as u32;
                self.note(&error);
            }
        }
    }

    fn note(&mut self, error: &Error) {
        assert!(error.is_transient(), "{error}");
        self.broken += 1;
    }
}
