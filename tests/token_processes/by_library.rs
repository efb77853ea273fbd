//! `auth.tokens_file`: the library renews, one process at a time.

use std::time::Duration;

use b24events::clock::{Clock, SystemClock};

use super::worker::{Folder, Worker, authorized_anew, keys, portal};

const WORKERS: usize = 3;

#[test]
fn processes_that_share_a_file_never_use_a_pair_twice() {
    let emulator = portal();
    let folder = Folder::new("shared-tokens");
    let mut keys = keys(&emulator);
    keys.push(("auth.tokens_file".into(), folder.file("tokens.json")));
    let start = |keys: &[(String, String)]| -> Vec<Worker> { (0..WORKERS).map(|_| Worker::start(keys)).collect() };
    let mut workers = start(&keys);
    let (mut calls, mut lost) = (0, 0);
    let kills = super::kills();
    for _ in 0..kills {
        let index = SystemClock.random() as usize % WORKERS;
        // From before the first call to the middle of the work.
        let mut said = None;
        if SystemClock.random() % 4 > 0 {
            said = Some(workers[index].listen());
            std::thread::sleep(Duration::from_millis(SystemClock.random() % 40));
        }
        let started = Worker::start(&keys);
        let killed = std::mem::replace(&mut workers[index], started).kill();
        let trouble = killed.or(said.filter(|said| said != "called"));
        calls += u32::from(trouble.is_none());
        if let Some(trouble) = trouble {
            assert!(trouble.starts_with("lost"), "{trouble}");
            lost += 1;
            keys = authorized_anew(&keys, &emulator);
            workers = start(&keys);
        }
    }
    let counters = emulator.counters();
    println!(
        "{WORKERS} processes killed {kills} times: {} renewals, {lost} answers lost and told, {} dead pairs",
        counters.renewals,
        counters.dead_authorizations - lost
    );
    assert_eq!(counters.dead_authorizations, lost, "only those whose answer was lost");
    assert!(counters.renewals > u64::from(kills) / 40 && calls > 0);
    assert!(lost <= u64::from(kills) / 5, "killing hits the moment after an answer far too often");
}
