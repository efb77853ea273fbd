//! The host: a main loop on a thread of its own, which reports what happens.

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::library::{CLOSED, Client, Failure, Notification, Record};

/// How many records are fetched at a time.
const LIMIT: u32 = 50;
const CONNECT_MS: i32 = 10_000;
/// Everything happens on this computer, within milliseconds.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that the host has received or done.
pub struct Report {
    pub at: Instant,
    pub what: Action,
}

pub enum Action {
    Connected,
    /// Whether the portal sent a signal, and how many records it announced.
    Notified {
        signalled: bool,
        count: u64,
    },
    Record(Box<Record>),
    /// How many records.
    Acknowledged(usize),
}

pub struct Host {
    client: Arc<Client>,
    reports: Receiver<Result<Report, Failure>>,
    thread: JoinHandle<u64>,
}

impl Host {
    /// `handler`: the portal is to call the client.
    pub fn start(client: Client, handler: bool) -> Host {
        let client = Arc::new(client);
        let (sender, reports) = mpsc::channel();
        let thread = thread::spawn({
            let client = client.clone();
            move || run(&client, handler, &sender)
        });
        Host { client, reports, thread }
    }

    /// The next report. An error if the host has failed or reports nothing in time.
    pub fn next(&self) -> Result<Report, Box<dyn Error + Send + Sync>> {
        let report = self
            .reports
            .recv_timeout(REPORT_TIMEOUT)
            .map_err(|_| format!("the host has reported nothing for {REPORT_TIMEOUT:?}"))?;
        Ok(report?)
    }

    /// Closes the client, which ends the main loop. Returns how many records were acknowledged.
    pub fn stop(self) -> u64 {
        self.client.close();
        self.thread.join().expect("the host does not panic")
    }
}

fn run(client: &Client, handler: bool, reports: &Sender<Result<Report, Failure>>) -> u64 {
    let mut acknowledged = 0;
    // Sending fails when the demo is over.
    let report = |what| drop(reports.send(Ok(Report { at: Instant::now(), what })));
    match listen(client, handler, &mut acknowledged, &report) {
        Err(failure) if failure.status != CLOSED => drop(reports.send(Err(failure))),
        _ => {}
    }
    acknowledged
}

/// The main loop. `b24_client_next` does in one call what is two here, so that the notification can be shown.
fn listen(client: &Client, handler: bool, acknowledged: &mut u64, report: &dyn Fn(Action)) -> Result<(), Failure> {
    client.connect(CONNECT_MS)?;
    if handler {
        client.bind_handler()?;
    }
    report(Action::Connected);
    loop {
        let Notification { signalled, count, .. } = client.wait()?;
        report(Action::Notified { signalled: signalled != 0, count });
        while fetch(client, acknowledged, report)? == LIMIT as usize {}
    }
}

/// Fetches and acknowledges records. Returns how many.
fn fetch(client: &Client, acknowledged: &mut u64, report: &dyn Fn(Action)) -> Result<usize, Failure> {
    let batch = client.fetch(LIMIT)?;
    let records = batch.records()?;
    let count = records.len();
    if count > 0 {
        records.into_iter().for_each(|record| report(Action::Record(Box::new(record))));
        batch.acknowledge()?;
        *acknowledged += count as u64;
        report(Action::Acknowledged(count));
    }
    Ok(count)
}
