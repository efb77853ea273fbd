//! An answer with three messages that is cut after every number of bytes.

use std::time::Duration;

use b24_emulator::Options;

use super::setting::*;
use super::trials::{TRANSPORTS, Trial};

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
    let trial = Trial::new(transport, Options { gather: Duration::from_millis(5), ..Options::default() });
    trial.client.connect(LONG).unwrap();
    look(&trial.client);
    trial.signal();
    trial.hear(1);
    for round in 0.. {
        trial.proxy.cut_after(1 + worker + round * WORKERS);
        (0..3).for_each(|_| trial.signal());
        trial.hear(3);
        if trial.proxy.is_armed() {
            trial.proxy.disarm();
            let stats = trial.stats();
            assert_eq!(stats["signals"], 4 + round * 3, "none twice");
            return round as u64;
        }
        until("the new subscription", || {
            trial.client.is_connected() && trial.setting.emulator.counters().subscriptions_open == 1
        });
    }
    unreachable!("an answer has an end")
}
