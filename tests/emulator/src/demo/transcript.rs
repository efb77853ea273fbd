//! What the demo prints.

use std::error::Error;
use std::time::{Duration, Instant};

use super::host::{Action, Host, Report};
use super::script::Step;
use super::user::User;

type AnyError = Box<dyn Error + Send + Sync>;

pub struct Transcript<'a> {
    user: &'a User,
    number: usize,
    /// When the last change was made.
    changed: Instant,
    events: u64,
    expected: u64,
    received: u64,
    /// From a change to its record, if the portal sent a signal.
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

impl<'a> Transcript<'a> {
    pub fn new(user: &'a User) -> Transcript<'a> {
        Transcript { user, number: 0, changed: Instant::now(), events: 0, expected: 0, received: 0, delays: Vec::new() }
    }

    /// The user makes the changes of a step.
    pub fn make_changes(&mut self, step: &Step) -> Result<(), AnyError> {
        self.number += 1;
        println!("\n{}. {}\n", self.number, step.title);
        self.changed = Instant::now();
        for call in &step.calls {
            self.print(self.changed, "user", &call.shown);
            self.user.call(call.method, &call.params)?;
        }
        self.events += u64::from(step.events);
        self.expected += u64::from(step.records);
        Ok(())
    }

    /// Prints what the host does until it has acknowledged the records of these changes.
    pub fn follow_host(&mut self, step: &Step, host: &Host) -> Result<(), AnyError> {
        let mut open = step.records as usize;
        let mut signalled = false;
        while open > 0 {
            let Report { at, what } = host.next()?;
            match what {
                Action::Connected => self.print(at, "connected", ""),
                Action::Notified { signalled: by_portal, count } => {
                    signalled = by_portal;
                    let by = match by_portal {
                        // A call of the handler does not say how many.
                        true if count == 0 => "by the portal".to_owned(),
                        true => format!("by the portal, which announces {count}"),
                        false => "by the library, which checks the queue".to_owned(),
                    };
                    self.print(at, "notified", &by);
                }
                Action::Record(record) => {
                    self.received += 1;
                    if signalled {
                        self.delays.push(at.saturating_duration_since(self.changed));
                    }
                    let lines = record.fields.iter().map(|(name, value)| format!("{name:<16}  {value}"));
                    self.print(at, "record", &lines.collect::<Vec<_>>().join(CONTINUED));
                }
                Action::Acknowledged(count) => {
                    open = open.checked_sub(count).ok_or("more records than changes")?;
                    self.print(at, "acknowledged", &count.to_string());
                }
            }
        }
        Ok(())
    }

    /// Prints a line: what happened how long after the change.
    fn print(&self, at: Instant, who: &str, what: &str) {
        let line = format!("{:>10}  {who:<12}  {what}", milliseconds(at.saturating_duration_since(self.changed)));
        println!("{}", line.trim_end());
    }

    /// Prints the summary. An error if a number is not the expected one.
    pub fn summarize(mut self, counted: &Counted) -> Result<(), AnyError> {
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
        if let (Some(median), Some(max)) = (self.delays.get(self.delays.len() / 2), self.delays.last()) {
            let (median, max) = (milliseconds(*median), milliseconds(*max));
            println!("  {:<22}{median:>8}  median, {max} at most", "change to record");
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
                println!(
                    "\nEvery change has arrived. Several changes of one object share a record until it is fetched."
                );
                Ok(())
            }
        }
    }
}

/// Separates lines that belong together.
const CONTINUED: &str = "\n                          ";

fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
