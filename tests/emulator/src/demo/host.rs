//! The host: a main loop on a thread of its own, which tells what it hears.

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::library::{CLOSED, Client, Failure, Notification, Record};

/// Records taken at a time.
const LIMIT: u32 = 50;
const CONNECT_MS: i32 = 10_000;
/// Everything happens on this computer, within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that the host has heard or done.
pub struct News {
    pub at: Instant,
    pub what: What,
}

pub enum What {
    Connected,
    /// Whether the portal told, and how many records it announced.
    Notified {
        signalled: bool,
        count: u64,
    },
    Record(Box<Record>),
    /// So many records.
    Acknowledged(usize),
}

pub struct Host {
    client: Arc<Client>,
    news: Receiver<Result<News, Failure>>,
    thread: JoinHandle<u64>,
}

impl Host {
    /// `handler`: the portal is to call the client.
    pub fn start(client: Client, handler: bool) -> Host {
        let client = Arc::new(client);
        let (sender, news) = mpsc::channel();
        let thread = thread::spawn({
            let client = client.clone();
            move || run(&client, handler, &sender)
        });
        Host { client, news, thread }
    }

    /// The next news; an error when the host has failed or hears nothing for long.
    pub fn next(&self) -> Result<News, Box<dyn Error + Send + Sync>> {
        let news = self.news.recv_timeout(PATIENCE).map_err(|_| format!("the host hears nothing for {PATIENCE:?}"))?;
        Ok(news?)
    }

    /// Closes the client, which ends the main loop. Returns how many records were acknowledged.
    pub fn end(self) -> u64 {
        self.client.close();
        self.thread.join().expect("the host does not panic")
    }
}

fn run(client: &Client, handler: bool, news: &Sender<Result<News, Failure>>) -> u64 {
    let mut acknowledged = 0;
    // Sending fails when the story is over and nobody listens any more.
    let tell = |what| drop(news.send(Ok(News { at: Instant::now(), what })));
    match listen(client, handler, &mut acknowledged, &tell) {
        Err(failure) if failure.status != CLOSED => drop(news.send(Err(failure))),
        _ => {}
    }
    acknowledged
}

/// The main loop. `b24_client_next` does in one call what is two here, so that the notification can be shown.
fn listen(client: &Client, handler: bool, acknowledged: &mut u64, tell: &dyn Fn(What)) -> Result<(), Failure> {
    client.connect(CONNECT_MS)?;
    if handler {
        client.bind_handler()?;
    }
    tell(What::Connected);
    loop {
        let Notification { signalled, count, .. } = client.wait()?;
        tell(What::Notified { signalled: signalled != 0, count });
        while take(client, acknowledged, tell)? == LIMIT as usize {}
    }
}

/// Takes and acknowledges records; returns how many.
fn take(client: &Client, acknowledged: &mut u64, tell: &dyn Fn(What)) -> Result<usize, Failure> {
    let batch = client.fetch(LIMIT)?;
    let records = batch.records()?;
    let count = records.len();
    if count > 0 {
        records.into_iter().for_each(|record| tell(What::Record(Box::new(record))));
        batch.acknowledge()?;
        *acknowledged += count as u64;
        tell(What::Acknowledged(count));
    }
    Ok(count)
}
