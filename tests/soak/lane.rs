//! A portal with one queue, its host, and what the host has written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use b24_emulator::{ADMINISTRATOR, Options};
use b24events::client::{Client, Hooks};
use b24events::clock::{Clock, SystemClock};
use serde_json::json;

use super::faults::{Faults, TOO_SLOW_MS};
use super::host::Host;
use super::record::{Counts, Line, Record};
use super::support::*;

/// The longest pause after a failure ends within this time, and so does the block of a method.
const MAX_DRAIN: Duration = Duration::from_secs(180);
/// Within this time a host that lives writes something, or there is nothing to write.
const TICK: Duration = Duration::from_millis(20);

pub struct Lane {
    pub portal: Portal,
    keys: Vec<(&'static str, String)>,
    pub record: Record,
    pub faults: Faults,
    /// Calls that failed, by the status.
    failures: BTreeMap<String, u64>,
    /// How often somebody had to authorize the application again.
    authorizations: u64,
    _folder: Folder,
}

/// What became of a lane.
pub struct Outcome {
    pub counts: Counts,
    pub faults: Vec<(&'static str, u64)>,
    pub failures: BTreeMap<String, u64>,
    pub authorizations: u64,
    pub renewals: u64,
    pub kills: u32,
}

impl Lane {
    pub fn new(number: u32) -> Lane {
        let portal = Portal::with(Options {
            token_ttl: Duration::from_secs(2),
            channel_ttl: Duration::from_secs(60),
            hold: Duration::from_secs(2),
            ping_interval: Duration::from_secs(2),
            ..Options::default()
        });
        let folder = Folder::new();
        let mut keys = portal.unlimited_keys("OneC");
        Client::new(&config_of(&keys), Hooks::default()).unwrap().bind_event("ONCRMDEALADD").unwrap();
        for (key, value) in [
            ("state.dir", folder.as_str()),
            // Nobody else has this queue.
            ("recover.orphans", "exclusive"),
            // A batch that is freed again and again would otherwise come back after minutes.
            ("redeliver.pauses_ms", "100 200 500 1000"),
            ("http.timeout_ms", &(TOO_SLOW_MS - 1000).to_string()),
            ("push.idle_timeout_ms", "5000"),
            ("push.renew_before_s", "20"),
            ("push.poll_interval_ms", "1000"),
            ("push.unsubscribed_poll_interval_ms", "1000"),
        ] {
            keys.push((key, value.into()));
        }
        Lane {
            portal,
            keys,
            record: Record::default(),
            faults: Faults::starting_with(number as usize * 7),
            failures: BTreeMap::new(),
            authorizations: 0,
            _folder: folder,
        }
    }

    pub fn make(&mut self, count: u32) {
        if count > 0 {
            let numbers = self.record.make(count);
            self.portal.add_deals(numbers);
        }
    }

    /// A host that fetches and listens in one of the ways there are.
    pub fn start_host(&self) -> Host {
        let pick = |from: [&str; 3]| from[SystemClock.random() as usize % 3].to_owned();
        let mut keys = self.keys.clone();
        keys.push(("fetch.limit", pick(["7", "50", "200"])));
        keys.push(("push.transport", pick(["auto", "websocket", "long_polling"])));
        Host::start(&keys)
    }

    pub fn add(&mut self, line: &Line, host: Option<&mut Host>) {
        self.record.add(line);
        match (line, host) {
            (Line::NeedsTokens, Some(host)) => {
                self.authorizations += 1;
                host.give(&self.portal.emulator.issue_tokens(ADMINISTRATOR));
            }
            (Line::Failed(status), _) => *self.failures.entry(status.clone()).or_default() += 1,
            _ => {}
        }
    }

    /// Reads the next line of a host, if it comes soon.
    pub fn read(&mut self, host: &mut Host) -> bool {
        let line = host.lines.recv_timeout(TICK);
        line.iter().for_each(|line| self.add(line, Some(host)));
        line.is_ok()
    }

    pub fn kill(&mut self, host: Host) {
        host.kill().iter().for_each(|line| self.add(line, None));
    }

    /// Waits until the queue is empty.
    pub fn drain(&mut self, host: &mut Host) {
        let start = Instant::now();
        loop {
            while self.read(host) {}
            if self.portal.queued() == 0 {
                return;
            }
            assert!(
                start.elapsed() < MAX_DRAIN,
                "{} left, {:?}, {:?}",
                self.portal.queued(),
                self.record.counts,
                self.failures
            );
        }
    }

    /// A last host gets all the time it needs.
    pub fn finish(mut self, host: Option<Host>, kills: u32) -> Outcome {
        let mut host = host.unwrap_or_else(|| self.start_host());
        self.portal.control(json!("clear_faults"));
        Faults::pass(&self.portal, &host);
        self.drain(&mut host);
        self.kill(host);
        Outcome {
            counts: self.record.close(),
            faults: self.faults.counts,
            failures: self.failures,
            authorizations: self.authorizations,
            renewals: self.portal.emulator.counters().renewals,
            kills,
        }
    }
}
