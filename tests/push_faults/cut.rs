//! An answer with three messages that is cut after every number of bytes.

use std::time::Duration;

use b24_emulator::Options;

use super::proxied::{Proxied, TRANSPORTS};
use super::support::*;

/// Clients that share the work; each waits most of the time.
const WORKERS: usize = 16;

#[test]
fn an_answer_cut_anywhere_is_read_again() {
    for transport in TRANSPORTS {
        let cuts: u64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|worker| scope.spawn(move || cut(transport, worker))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        println!("{transport}: cut at {cuts} places");
        assert!(cuts > 500);
    }
}

/// Cuts after 1 + worker bytes, then after WORKERS more, until the whole answer comes through. Returns how often.
fn cut(transport: &str, worker: usize) -> u64 {
    let proxied = Proxied::new(transport, Options { gather: Duration::from_millis(5), ..Options::default() });
    proxied.client.connect(LONG).unwrap();
    expect_check(&proxied.client);
    proxied.portal.signal(1);
    proxied.expect_signals(1);
    for round in 0.. {
        proxied.proxy.cut_after(1 + worker + round * WORKERS);
        (0..3).for_each(|_| proxied.portal.signal(1));
        proxied.expect_signals(3);
        if proxied.proxy.is_armed() {
            proxied.proxy.disarm();
            let stats = proxied.stats();
            assert_eq!(stats["signals"], 4 + round * 3, "none twice");
            return round as u64;
        }
        until("the new subscription", || {
            proxied.client.is_connected() && proxied.portal.emulator.counters().subscriptions_open == 1
        });
    }
    unreachable!("an answer has an end")
}
