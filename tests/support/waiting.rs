//! Waiting for what is to happen, and for what it brings.

use std::time::{Duration, Instant};

use b24events::client::Client;
use b24events::clock::Timeout;
use b24events::delivery::Batch;
use b24events::notify::Notification;
use b24events::portal::offline_events::read_records;
use serde_json::Value;

/// Long enough for anything that happens at all, even on a busy machine.
pub const MAX_WAIT: Duration = Duration::from_secs(30);
/// The same as a timeout of the library.
pub const LONG: Timeout = Timeout::After(MAX_WAIT);
pub const AT_ONCE: Timeout = Timeout::After(Duration::ZERO);

/// Waits until a condition holds that other threads or programs bring about. Panics when it takes too long.
pub fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(MAX_WAIT, what, holds);
}

pub fn until_within(max_wait: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < max_wait, "{what}: not within {max_wait:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Expects the next notification to be one without a signal: the library checks the queue.
pub fn expect_check(client: &Client) {
    let check = Notification { count: 0, signalled: false };
    assert_eq!(client.wait(LONG).unwrap(), Some(check));
}

/// Waits until signals have announced this many records, and no more. Checks of the queue may come between them.
pub fn expect_signals(client: &Client, records: u64) {
    let mut announced = 0;
    while announced < records {
        let notification = client.wait(LONG).unwrap();
        announced += notification.unwrap_or_else(|| panic!("{announced} of {records} were announced")).count;
    }
    assert_eq!(announced, records);
}

/// The client's statistics.
pub fn stats(client: &Client) -> Value {
    serde_json::from_str(&client.stats()).unwrap()
}

/// The deals in a batch: number and `MESSAGE_ID`.
pub fn deals(json: &str) -> Vec<(u32, String)> {
    let number = |data: &str| {
        let data: Value = serde_json::from_str(data).unwrap();
        data["FIELDS"]["ID"].as_str().unwrap().parse().unwrap()
    };
    let records = read_records(json).unwrap();
    records.into_iter().map(|record| (number(record.event_data.get()), record.message_id)).collect()
}

/// The numbers of the deals in a batch.
pub fn numbers(batch: &mut Batch) -> Vec<u32> {
    deals(&batch.detach_json()).into_iter().map(|(number, _)| number).collect()
}

/// The `MESSAGE_ID`s of the records in a batch.
pub fn message_ids(batch: &mut Batch) -> Vec<String> {
    deals(&batch.detach_json()).into_iter().map(|(_, id)| id).collect()
}
