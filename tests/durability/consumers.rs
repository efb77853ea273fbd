//! Several processes share one queue. The portal's reservations are not atomic: nothing is lost, and a record may go to
//! two of them. The threads of one client take turns, so that no record goes to two of those.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use b24_emulator::{Options, Timing};
use b24events::client::{Client, Hooks};
use b24events::clock::Timeout;

use super::host::Host;
use super::support::*;

const PROCESSES: usize = 5;
const THREADS: usize = 4;

#[test]
fn processes_that_share_a_queue_lose_nothing() {
    share_a_queue(Options::default());
}

/// Every reservation takes so long that others select the same records.
#[test]
fn processes_that_reserve_at_the_same_moment_lose_nothing() {
    let timing = Timing { reservation_race: Duration::from_millis(20), ..Timing::default() };
    let twice = share_a_queue(Options { timing, ..Options::default() });
    assert!(twice > 0, "the window is open");
}

/// Returns how many records were delivered more than once.
fn share_a_queue(options: Options) -> usize {
    let records: u32 = std::env::var("B24_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(5_000);
    let race = options.timing.reservation_race;
    let portal = Portal::with(options);
    let keys = portal.unlimited_keys("OneC");
    Client::new(&config_of(&keys), Hooks::default()).unwrap().bind_event("ONCRMDEALADD").unwrap();
    let folders: Vec<Folder> = (0..PROCESSES).map(|_| Folder::new()).collect();
    let hosts: Vec<Host> = folders
        .iter()
        .map(|folder| {
            let mut keys = keys.clone();
            keys.push(("state.dir", folder.as_str().into()));
            keys.push(("fetch.limit", "100".into()));
            Host::start(&keys)
        })
        .collect();
    // Before there are records, so that nobody has emptied the queue when the last one comes.
    for host in &hosts {
        assert_eq!(host.lines.recv_timeout(MAX_WAIT).unwrap().0, "connected");
    }
    let start = Instant::now();
    portal.add_deals(1..=records);
    until_within(Duration::from_secs(120), "an empty queue", || portal.queued() == 0);
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
        "{records} records, {PROCESSES} processes, {race:.0?} between selecting and reserving: {} distinct, \
         {} lost, {twice} more than once, shares {shares:?}, {took:.1?}",
        times.len(),
        records as usize - times.len(),
    );
    assert_eq!(times.len(), records as usize);
    assert!(shares.iter().filter(|share| **share > 0).count() >= 2, "one process alone has no queue to share");
    twice
}

/// With a folder for its state a client also reserves the next records when it acknowledges.
#[test]
fn threads_of_one_client_get_every_record_once() {
    const RECORDS: u32 = 2_000;
    for with_state in [false, true] {
        let timing = Timing { reservation_race: Duration::from_millis(20), ..Timing::default() };
        let portal = Portal::with(Options { timing, ..Options::default() });
        let folder = Folder::new();
        let mut keys = portal.unlimited_keys("OneC");
        keys.push(("fetch.limit", "50".into()));
        if with_state {
            keys.push(("state.dir", folder.as_str().into()));
        }
        let client = Client::new(&config_of(&keys), Hooks::default()).unwrap();
        client.bind_event("ONCRMDEALADD").unwrap();
        client.connect(LONG).unwrap();
        portal.add_deals(1..=RECORDS);
        let start = Instant::now();
        let work = || {
            let mut got = Vec::new();
            while portal.queued() > 0 {
                assert!(start.elapsed() < Duration::from_secs(120), "the queue is not emptied");
                if let Some(mut batch) = client.next(Timeout::from_millis(100)).unwrap() {
                    got.extend(numbers(&mut batch));
                    batch.acknowledge().unwrap();
                }
            }
            got
        };
        let shares: Vec<Vec<u32>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut got = shares.concat();
        let count = got.len();
        got.sort_unstable();
        got.dedup();
        let sizes: Vec<usize> = shares.iter().map(Vec::len).collect();
        println!("{RECORDS} records, state {with_state}: {} more than once, shares {sizes:?}", count - got.len());
        assert_eq!((got.len(), count), (RECORDS as usize, RECORDS as usize));
    }
}
