//! 10,000 events while the push server is restarted 50 times and the network is cut 50 times.
//!
//! `B24_EVENTS` sets another number.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use b24_emulator::Options;
use b24events::error::Error;
use serde_json::json;

use super::proxied::Proxied;
use super::support::*;

const OUTAGES: u32 = 100;

#[test]
fn every_record_arrives_by_websocket() {
    let events = std::env::var("B24_EVENTS").ok().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    drain_through_outages("websocket", events);
}

#[test]
fn every_record_arrives_by_long_polling() {
    drain_through_outages("long_polling", 2_000);
}

fn drain_through_outages(transport: &str, events: u32) {
    let start = Instant::now();
    let proxied = Proxied::new(transport, Options { hold: Duration::from_millis(400), ..Options::default() });
    proxied.client.connect(LONG).unwrap();
    let mut consumer = Consumer::default();
    std::thread::scope(|scope| {
        let proxied = &proxied;
        scope.spawn(move || make(proxied, events));
        while consumer.acknowledged.len() < events as usize {
            consumer.consume(proxied);
        }
    });
    let Consumer { acknowledged, repeated, broken } = consumer;
    let emulator = proxied.portal.emulator.counters();
    println!(
        "{transport}: {events} events, {} acknowledged, {repeated} came again unacknowledged, {broken} calls broke, \
         {} subscriptions, {:?}; {}",
        acknowledged.len(),
        emulator.websockets_accepted + emulator.polls,
        start.elapsed(),
        proxied.stats()
    );
    assert_eq!(acknowledged, (0..events).collect());
    assert_eq!(proxied.portal.queued(), 0);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

/// Makes the events in portions, each followed by an outage. The pauses start over with every success, so the next
/// outage waits for one.
fn make(proxied: &Proxied, events: u32) {
    let portion = events / OUTAGES;
    for outage in 0..OUTAGES {
        proxied.portal.add_deals(outage * portion..(outage + 1) * portion);
        let before = proxied.stats();
        if outage % 2 == 0 {
            proxied.portal.control(json!("restart_push"));
        } else {
            proxied.proxy.cut_all();
        }
        // Between two polls there may have been no connection to break.
        let noticed = || ["failures", "polls"].iter().any(|counter| proxied.stats()[counter] != before[counter]);
        until("the outage", noticed);
        until("the next subscription", || proxied.client.is_connected());
        // Only a message makes it a success.
        let messages = proxied.stats()["messages"].clone();
        until("a message", || {
            proxied.portal.signal(1);
            proxied.stats()["messages"] != messages
        });
    }
    proxied.portal.add_deals(OUTAGES * portion..events);
}

#[derive(Default)]
struct Consumer {
    acknowledged: BTreeSet<u32>,
    /// Records that came again because it was not known whether the portal had received the acknowledgement.
    repeated: u32,
    broken: u32,
}

impl Consumer {
    fn consume(&mut self, proxied: &Proxied) {
        let mut batch = match proxied.client.next(LONG) {
            Ok(Some(batch)) => batch,
            Ok(None) => panic!(
                "{} acknowledged, {} came again, {} calls broke, {} queued; {}",
                self.acknowledged.len(),
                self.repeated,
                self.broken,
                proxied.portal.queued(),
                proxied.portal.log()
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
