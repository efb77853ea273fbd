//! Waiting for records and fetching them.

use std::time::Duration;

use super::Client;
use crate::clock::{Deadline, Timeout};
use crate::delivery::Batch;
use crate::error::{Error, Result};
use crate::lock;

/// The longest pause before a fetch that the host asks for. Only [`Client::next`], which has a time to wait, pauses longer.
const MAX_FETCH_PAUSE: Duration = Duration::from_secs(30);

impl Client {
    /// Fetches up to `limit` records (0: `fetch.limit`) that are in the queue now. Blocks for a REST call, and for those
    /// of other threads that fetch. After a fetch that failed, it pauses first, for up to 30 s if fetches go on failing.
    pub fn fetch(&self, limit: u32) -> Result<Batch> {
        let pause = lock(&self.fetch_pace).pause(self.ctx.clock.now());
        self.ctx.cancel.sleep(pause.min(MAX_FETCH_PAUSE))?;
        self.fetch_before(Timeout::Never.deadline(self.ctx.clock.now()), limit)
    }

    /// Fetches without a pause. A fetch that fails is not repeated after the deadline.
    fn fetch_before(&self, deadline: Deadline, limit: u32) -> Result<Batch> {
        let batch = self.delivery.fetch(limit, deadline).inspect_err(|error| {
            if !matches!(error, Error::InvalidArgument(_)) {
                lock(&self.fetch_pace).failed(error, self.ctx.clock.now());
                // The failed fetch may have used up a notification.
                self.doorbell.ring_unsignalled();
            }
        })?;
        lock(&self.fetch_pace).reset();
        if batch.is_full() {
            // The queue probably holds more.
            self.doorbell.ring_unsignalled();
        }
        Ok(batch)
    }

    /// Fetches up to `limit` records (0: `fetch.limit`) that were marked as failed. Blocks for a REST call.
    pub fn fetch_failed(&self, limit: u32) -> Result<Batch> {
        self.delivery.fetch_failed(limit)
    }

    /// Has the next fetches redeliver abandoned batches, and orphans as far as `recover.orphans` allows. Returns how
    /// many batches that is. Blocks for REST calls.
    pub fn recover(&self) -> Result<usize> {
        let recovered = self.delivery.recover()?;
        if recovered > 0 {
            self.doorbell.ring_unsignalled();
        }
        Ok(recovered)
    }

    /// Waits for a notification and fetches, until there is a batch that is not empty. Returns `None` when the time
    /// is over, however often the doorbell has rung meanwhile. A fetch that has begun is not interrupted, as that could
    /// lose its records, so this can take as long as a request beyond the time. After a fetch that failed, the next one
    /// follows after a pause, which counts as waiting.
    pub fn next(&self, timeout: Timeout) -> Result<Option<Batch>> {
        let deadline = timeout.deadline(self.ctx.clock.now());
        loop {
            if !self.wait_to_fetch(deadline)? {
                return Ok(None);
            }
            let batch = self.fetch_before(deadline, 0)?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
            if deadline.has_passed(self.ctx.clock.now()) {
                return Ok(None);
            }
        }
    }

    /// Waits until there may be something to fetch. Returns false when the time is over, and the error of the last fetch
    /// when the pause after it is not: a host that was told of a timeout would call again at once.
    fn wait_to_fetch(&self, deadline: Deadline) -> Result<bool> {
        let now = self.ctx.clock.now();
        // Before the notification is used up, so that it is still there if the time is over first.
        let (pause, error) = {
            let pace = lock(&self.fetch_pace);
            (pace.pause(now), pace.error())
        };
        let left = deadline.left(now);
        self.ctx.cancel.sleep(pause.min(left))?;
        match error.filter(|_| pause > left) {
            Some(error) => Err(error),
            None => Ok(self.wait(deadline.timeout(self.ctx.clock.now()))?.is_some()),
        }
    }
}
