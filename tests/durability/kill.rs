//! The host is killed at every step and at random moments; the portal's connections break at random.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use b24_emulator::Emulator;
use b24events::clock::{Clock, SystemClock};
use serde_json::json;

use super::host::Host;
use super::place::*;

/// What a run of hosts has told, checked line by line.
#[derive(Default)]
struct Told {
    got: BTreeSet<u32>,
    done: BTreeSet<u32>,
    again: usize,
}

impl Told {
    fn take(&mut self, (word, number): (String, u32)) {
        match word.as_str() {
            "got" => {
                assert!(!self.done.contains(&number), "record {number} came again after its acknowledgement");
                if !self.got.insert(number) {
                    self.again += 1;
                }
            }
            "done" => drop(self.done.insert(number)),
            _ => {}
        }
    }
}

struct Run {
    emulator: Emulator,
    keys: Vec<(&'static str, String)>,
    made: u32,
    told: Told,
    _folder: Folder,
}

impl Run {
    fn new() -> Run {
        let emulator = portal();
        let folder = Folder::new();
        let mut keys = keys(&emulator, "OneC");
        keys.push(("state.dir", folder.path().into()));
        keys.push(("recover.orphans", "exclusive".into()));
        keys.push(("fetch.limit", "7".into()));
        let client = b24events::client::Client::new(&config(&keys[..4]), Default::default()).unwrap();
        client.bind_event("ONCRMDEALADD").unwrap();
        Run { emulator, keys, made: 0, told: Told::default(), _folder: folder }
    }

    fn make(&mut self, count: u32) {
        for _ in 0..count {
            self.made += 1;
            make(&self.emulator, self.made);
        }
    }

    /// A last host gets all the time it needs.
    fn finish(mut self, what: &str) {
        let host = Host::start(&self.keys);
        let start = Instant::now();
        while !self.emulator.queue("OneC").is_empty() {
            assert!(start.elapsed() < Duration::from_secs(60), "{} left", self.emulator.queue("OneC").len());
            std::thread::sleep(Duration::from_millis(10));
        }
        host.kill().into_iter().for_each(|line| self.told.take(line));
        println!(
            "{what}: {} made, {} delivered, {} more than once, {} told as confirmed, 0 left",
            self.made,
            self.told.got.len(),
            self.told.again,
            self.told.done.len(),
        );
        assert_eq!(self.told.got.len(), self.made as usize);
    }
}

#[test]
fn killed_at_every_step() {
    let mut run = Run::new();
    // Held at the portal before or after it has done its part, or cut off in the middle of the answer.
    let steps = [
        ("event.offline.get", "before_handling"),
        ("event.offline.get", "after_handling"),
        ("batch", "before_handling"),
        ("batch", "after_handling"),
        ("event.offline.clear", "before_handling"),
        ("event.offline.clear", "after_handling"),
    ];
    for (method, when) in steps.into_iter().cycle().take(18) {
        run.make(10);
        control(&run.emulator, json!({"drop_next": {"method": method, "times": 3, "when": when}}));
        let before = run.emulator.counters().faults_applied;
        let host = Host::start(&run.keys);
        let start = Instant::now();
        while run.emulator.counters().faults_applied == before && start.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(1));
        }
        host.kill().into_iter().for_each(|line| run.told.take(line));
        control(&run.emulator, json!("clear_faults"));
    }
    run.finish("killed at every step");
}

#[test]
fn killed_at_random_moments() {
    let mut run = Run::new();
    let turns: u64 = std::env::var("B24_KILLS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(40);
    for _ in 0..turns {
        run.make(20);
        let host = Host::start(&run.keys);
        // From before the first request to the middle of the work.
        let wait = SystemClock.random() % 60;
        let first = host.lines.recv_timeout(Duration::from_secs(60)).expect("the host connects");
        run.told.take(first);
        std::thread::sleep(Duration::from_millis(wait / 4));
        host.kill().into_iter().for_each(|line| run.told.take(line));
    }
    run.finish(&format!("killed {turns} times at random"));
}

#[test]
fn the_portals_connections_break_at_random() {
    let mut run = Run::new();
    let host = Host::start(&run.keys);
    for turn in 0..30 {
        run.make(10);
        let method = ["event.offline.get", "event.offline.clear", "batch"][turn % 3];
        let when = match SystemClock.random() % 3 {
            0 => json!("before_handling"),
            1 => json!("after_handling"),
            _ => json!({"mid_answer": {"after_bytes": SystemClock.random() % 60}}),
        };
        control(&run.emulator, json!({"drop_next": {"method": method, "when": when}}));
        std::thread::sleep(Duration::from_millis(20));
    }
    // What still waits to be broken would hit the end of the test.
    control(&run.emulator, json!("clear_faults"));
    host.kill().into_iter().for_each(|line| run.told.take(line));
    run.finish("connections broken at random");
}
