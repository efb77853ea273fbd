//! The host is killed at every step and at random moments; the portal's connections break at random.

use std::collections::BTreeSet;
use std::time::Duration;

use b24events::client::{Client, Hooks};
use b24events::clock::{Clock, SystemClock};
use serde_json::json;

use super::host::Host;
use super::support::*;

/// What the hosts of a run have printed, checked line by line.
#[derive(Default)]
struct Report {
    got: BTreeSet<u32>,
    done: BTreeSet<u32>,
    again: usize,
}

impl Report {
    fn add(&mut self, (word, number): (String, u32)) {
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
    portal: Portal,
    keys: Vec<(&'static str, String)>,
    made: u32,
    report: Report,
    _folder: Folder,
}

impl Run {
    fn new() -> Run {
        let portal = Portal::start();
        let folder = Folder::new();
        let mut keys = portal.unlimited_keys("OneC");
        Client::new(&config_of(&keys), Hooks::default()).unwrap().bind_event("ONCRMDEALADD").unwrap();
        keys.push(("state.dir", folder.as_str().into()));
        keys.push(("recover.orphans", "exclusive".into()));
        keys.push(("fetch.limit", "7".into()));
        Run { portal, keys, made: 0, report: Report::default(), _folder: folder }
    }

    fn make(&mut self, count: u32) {
        self.portal.add_deals(self.made + 1..=self.made + count);
        self.made += count;
    }

    fn kill(&mut self, host: Host) {
        host.kill().into_iter().for_each(|line| self.report.add(line));
    }

    fn faults_applied(&self) -> u64 {
        self.portal.emulator.counters().faults_applied
    }

    /// A last host gets all the time it needs.
    fn finish(mut self, what: &str) {
        let host = Host::start(&self.keys);
        until_within(Duration::from_secs(60), "an empty queue", || self.portal.queued() == 0);
        self.kill(host);
        println!(
            "{what}: {} made, {} delivered, {} more than once, {} reported as acknowledged, 0 left",
            self.made,
            self.report.got.len(),
            self.report.again,
            self.report.done.len(),
        );
        assert_eq!(self.report.got.len(), self.made as usize);
    }
}

#[test]
fn no_record_is_lost_when_the_host_is_killed_at_every_step() {
    let mut run = Run::new();
    // The answer never arrives, whether or not the portal has done what was asked.
    let steps = [
        ("event.offline.get", "before_handling"),
        ("event.offline.get", "after_handling"),
        ("batch", "before_handling"),
        ("batch", "after_handling"),
    ];
    for (method, when) in steps.into_iter().cycle().take(16) {
        run.make(20);
        run.portal.control(json!({"drop_next": {"method": method, "times": 3, "when": when}}));
        let before = run.faults_applied();
        let host = Host::start(&run.keys);
        until(&format!("{method} {when}"), || run.faults_applied() > before);
        run.kill(host);
        run.portal.control(json!("clear_faults"));
    }
    run.finish("killed at every step");
}

#[test]
fn no_record_is_lost_when_the_host_is_killed_at_random_moments() {
    let mut run = Run::new();
    let turns: u64 = std::env::var("B24_KILLS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(40);
    for _ in 0..turns {
        run.make(20);
        let host = Host::start(&run.keys);
        // One line when it has connected, then two for each record.
        for _ in 0..=SystemClock.random() % 40 {
            run.report.add(host.lines.recv_timeout(MAX_WAIT).expect("the host works on"));
        }
        std::thread::sleep(Duration::from_micros(SystemClock.random() % 3000));
        run.kill(host);
    }
    assert!(run.report.got.len() > run.report.done.len(), "at least one host was killed before an acknowledgement");
    run.finish(&format!("killed {turns} times at random"));
}

#[test]
fn no_record_is_lost_when_connections_break_at_random() {
    let mut run = Run::new();
    let host = Host::start(&run.keys);
    for turn in 0..30 {
        let method = ["event.offline.get", "batch"][turn % 2];
        let when = match SystemClock.random() % 3 {
            0 => json!("before_handling"),
            1 => json!("after_handling"),
            _ => json!({"mid_answer": {"after_bytes": SystemClock.random() % 60}}),
        };
        let before = run.faults_applied();
        run.portal.control(json!({"drop_next": {"method": method, "when": when}}));
        run.make(10);
        until(&format!("{method} {when}"), || run.faults_applied() > before);
    }
    run.kill(host);
    run.finish("connections broken at random");
}
