//! Several processes share one queue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::host::Host;
use super::place::*;

#[test]
fn five_processes_drain_one_queue_without_overlap() {
    let records: u32 = std::env::var("B24_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(5_000);
    let emulator = portal();
    let keys = keys(&emulator, "OneC");
    let client = b24events::client::Client::new(&config(&keys), Default::default()).unwrap();
    client.bind_event("ONCRMDEALADD").unwrap();
    (1..=records).for_each(|number| make(&emulator, number));
    let folders: Vec<Folder> = (0..5).map(|_| Folder::new()).collect();
    let start = Instant::now();
    let hosts: Vec<Host> = folders
        .iter()
        .map(|folder| {
            let mut keys = keys.clone();
            keys.push(("state.dir", folder.path().into()));
            keys.push(("fetch.limit", "100".into()));
            Host::start(&keys)
        })
        .collect();
    while !emulator.queue("OneC").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(120), "{} left", emulator.queue("OneC").len());
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = start.elapsed();
    let mut times: BTreeMap<u32, u32> = BTreeMap::new();
    let mut shares = Vec::new();
    for host in hosts {
        let got: Vec<u32> =
            host.kill().into_iter().filter(|(word, _)| word == "got").map(|(_, number)| number).collect();
        shares.push(got.len());
        got.into_iter().for_each(|number| *times.entry(number).or_default() += 1);
    }
    let twice = times.values().filter(|times| **times > 1).count();
    println!(
        "{records} records, 5 processes: {} distinct, {twice} twice, 0 left, shares {shares:?}, {took:.1?}",
        times.len()
    );
    assert_eq!((times.len(), twice), (records as usize, 0));
}
