//! The demo as it is told on the terminal.

use std::error::Error;
use std::time::{Duration, Instant};

use super::host::{Host, News, What};
use super::script::Scene;
use super::user::User;

type Anything = Box<dyn Error + Send + Sync>;

pub struct Story<'a> {
    user: &'a User,
    number: usize,
    /// When the change was made that the host has to hear of.
    changed: Instant,
    events: u64,
    expected: u64,
    received: u64,
    /// From a change to its record, where the portal told of it.
    delays: Vec<Duration>,
}

/// What others have counted.
pub struct Counted {
    pub events_made: u64,
    pub acknowledged: u64,
    pub left: u64,
    /// Kibibytes.
    pub memory: Option<u64>,
}

impl<'a> Story<'a> {
    pub fn new(user: &'a User) -> Story<'a> {
        Story { user, number: 0, changed: Instant::now(), events: 0, expected: 0, received: 0, delays: Vec::new() }
    }

    /// The user makes the changes of a scene.
    pub fn change(&mut self, scene: &Scene) -> Result<(), Anything> {
        self.number += 1;
        println!("\n{}. {}\n", self.number, scene.title);
        self.changed = Instant::now();
        for call in &scene.calls {
            self.told(self.changed, "user", &call.shown);
            self.user.call(call.method, &call.params)?;
        }
        self.events += u64::from(scene.events);
        self.expected += u64::from(scene.records);
        Ok(())
    }

    /// The host hears of the changes, until everything that they left in the queue is acknowledged.
    pub fn hear(&mut self, scene: &Scene, host: &Host) -> Result<(), Anything> {
        let mut open = scene.records as usize;
        let mut signalled = false;
        while open > 0 {
            let News { at, what } = host.next()?;
            match what {
                What::Connected => self.told(at, "connected", ""),
                What::Notified { signalled: by_portal, count } => {
                    signalled = by_portal;
                    let by = match by_portal {
                        // A call of the handler tells nothing more.
                        true if count == 0 => "by the portal".to_owned(),
                        true => format!("by the portal, which announces {count}"),
                        false => "by the library, which looks into the queue".to_owned(),
                    };
                    self.told(at, "notified", &by);
                }
                What::Record(record) => {
                    self.received += 1;
                    if signalled {
                        self.delays.push(at.saturating_duration_since(self.changed));
                    }
                    let lines = record.fields.iter().map(|(name, value)| format!("{name:<16}  {value}"));
                    self.told(at, "record", &lines.collect::<Vec<_>>().join(CONTINUED));
                }
                What::Acknowledged(count) => {
                    open = open.checked_sub(count).ok_or("more records than changes")?;
                    self.told(at, "acknowledged", &count.to_string());
                }
            }
        }
        Ok(())
    }

    /// A line that tells what happened how long after the change.
    fn told(&self, at: Instant, who: &str, what: &str) {
        let line = format!("{:>10}  {who:<12}  {what}", milliseconds(at.saturating_duration_since(self.changed)));
        println!("{}", line.trim_end());
    }

    /// The summary; an error when not everything fits.
    pub fn end(mut self, counted: &Counted) -> Result<(), Anything> {
        println!("\nsummary\n");
        let numbers = [
            ("events made", counted.events_made, self.events),
            ("records received", self.received, self.expected),
            ("records acknowledged", counted.acknowledged, self.expected),
            ("left in the queue", counted.left, 0),
        ];
        for (name, number, _) in numbers {
            println!("  {name:<22}{number:>8}");
        }
        self.delays.sort();
        if let (Some(median), Some(most)) = (self.delays.get(self.delays.len() / 2), self.delays.last()) {
            let (median, most) = (milliseconds(*median), milliseconds(*most));
            println!("  {:<22}{median:>8}  median, {most} at most", "change to record");
        }
        if let Some(memory) = counted.memory {
            let mebibytes = format!("{:.1} MiB", memory as f64 / 1024.0);
            // Cargo builds both alike.
            let library = if cfg!(debug_assertions) { "the library, built for debugging," } else { "the library" };
            println!("  {:<22}{mebibytes:>8}  for {library} and its idle client", "resident memory");
        }
        match numbers.into_iter().find(|(_, number, expected)| number != expected) {
            Some((name, number, expected)) => Err(format!("{name}: {number}, expected {expected}").into()),
            None => {
                println!("\nEvery change has arrived; changes of one object that wait together share a record.");
                Ok(())
            }
        }
    }
}

/// Between the lines of one thing.
const CONTINUED: &str = "\n                          ";

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
