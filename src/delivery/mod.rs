//! From the portal's queue to the host: fetches records, hands them over as a batch, acknowledges them
//! (docs/protocol.md §2.2).
//!
//! Every batch is in the store from the moment it is fetched until it is acknowledged. What was not acknowledged is
//! redelivered before anything new is fetched.

mod batch;
mod orphans;
mod plan;

pub use batch::Batch;
use batch::BatchKind;
use orphans::OrphanSearch;
use plan::Plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::{Deadline, Timeout};
use crate::config::Settings;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;
use crate::portal::Portal;
use crate::portal::offline_events::{FetchMode, Fetched, MAX_RECORDS};
use crate::portal::refusal;
use crate::retry::{Backoff, Schedule};
use crate::state::store::{self, PendingBatch, Store};

/// Fetches records for one client.
pub struct Delivery {
    portal: Arc<Portal>,
    store: Arc<Store>,
    /// Rings when an abandoned batch comes again, and for records that were reserved ahead.
    doorbell: Arc<Doorbell>,
    /// After how long that is, by attempt; the last one repeats.
    redeliver_pauses: Vec<Duration>,
    plan: Plan,
    limit: u32,
    /// Read-locked from the fetching request until the batch is in the store; write-locked while the portal's
    /// reservations are compared with the store. So a reservation on its way into the store never counts as an orphan.
    fetch_gate: RwLock<()>,
    orphan_search: OrphanSearch,
    /// Records that were reserved in the same request as an acknowledgement; in the store they are due for redelivery.
    reserved_ahead: Mutex<HashMap<store::Key, Fetched>>,
    /// How often this client has handed out each pending batch.
    attempts: Mutex<HashMap<store::Key, u32>>,
    /// Whether the next client finds the reservations of this one at once. Only then may this one reserve ahead.
    may_reserve_ahead: bool,
    ctx: Context,
}

/// Pauses between the attempts of one fetch; after the last one the fetch fails.
const RETRY_PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

impl Delivery {
    /// Makes the delivery of one client. Sends no request.
    pub fn new(
        settings: &Settings,
        portal: Arc<Portal>,
        store: Arc<Store>,
        doorbell: Arc<Doorbell>,
        ctx: Context,
    ) -> Delivery {
        Delivery {
            portal,
            store,
            doorbell,
            redeliver_pauses: settings.redeliver_pauses.clone(),
            plan: Plan::new(settings.reserve),
            limit: settings.fetch_limit,
            fetch_gate: RwLock::new(()),
            orphan_search: OrphanSearch::new(settings, ctx.clock.now()),
            reserved_ahead: Mutex::default(),
            attempts: Mutex::default(),
            may_reserve_ahead: settings.state_dir.is_some()
                || settings.orphans.is_some_and(|ages| ages.in_company.is_zero()),
            ctx,
        }
    }

    /// Fetches up to `limit` records (0: `fetch.limit`). Batches that are due for redelivery come first, whatever their
    /// size. The batch may be empty.
    ///
    /// Repeats a few times after a transient error, but not after the deadline. Before each repetition it searches for
    /// records that a lost answer may have reserved.
    pub fn fetch(self: &Arc<Self>, limit: u32, deadline: Deadline) -> Result<Batch> {
        let limit = self.checked_limit(limit)?;
        let outcome = self.fetch_repeatedly(limit, deadline);
        // The ring that led here may have been that of a batch or of a search, and others wait for theirs.
        self.ring_for_next_redelivery();
        self.ring_for_next_search();
        outcome
    }

    fn fetch_repeatedly(self: &Arc<Self>, limit: u32, deadline: Deadline) -> Result<Batch> {
        let mut backoff = Backoff::new(Schedule::Steps(&RETRY_PAUSES));
        loop {
            let error = match self.fetch_once(limit, deadline) {
                Err(error) if is_repeated(&error) => error,
                other => return other,
            };
            let is_last = backoff.failures() as usize >= RETRY_PAUSES.len();
            // A call that removes records may have run, and each repetition would remove more.
            if is_last || self.mode() == FetchMode::Remove {
                return Err(error);
            }
            let pause = backoff.failed();
            if pause >= deadline.left(self.ctx.clock.now()) {
                return Err(error);
            }
            self.ctx.log.write(Level::Warning, || {
                format!("a fetch failed, the next attempt follows in {} ms: {error}", pause.as_millis())
            });
            self.ctx.cancel.sleep(pause)?;
        }
    }

    fn fetch_once(self: &Arc<Self>, limit: u32, deadline: Deadline) -> Result<Batch> {
        self.run_scheduled_search();
        match self.redeliver_next(false)? {
            Some(batch) => Ok(batch),
            None => self.fetch_from_queue(limit, false, deadline),
        }
    }

    /// Fetches up to `limit` records (0: `fetch.limit`) that were marked as failed.
    pub fn fetch_failed(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        let limit = self.checked_limit(limit)?;
        match self.redeliver_next(true)? {
            Some(batch) => Ok(batch),
            None => self.fetch_from_queue(limit, true, Timeout::Never.deadline(self.ctx.clock.now())),
        }
    }

    /// Makes abandoned batches due for redelivery at once and searches for orphans. Returns how many batches are due because of
    /// this call.
    pub fn recover(&self) -> Result<usize> {
        let abandoned = self.store.redeliver_abandoned();
        Ok(abandoned + self.search_for_orphans()?)
    }

    fn checked_limit(&self, limit: u32) -> Result<u32> {
        match limit {
            0 => Ok(self.limit),
            1..=MAX_RECORDS => Ok(limit),
            _ => Err(Error::InvalidArgument(format!(
                "the limit {limit} is out of range; pass a number from 0 (use fetch.limit) to {MAX_RECORDS}"
            ))),
        }
    }

    fn fetch_from_queue(self: &Arc<Self>, limit: u32, failed: bool, deadline: Deadline) -> Result<Batch> {
        let Some(turn) = self.portal.reserving_turn(deadline)? else {
            // Other threads have fetched until the deadline. Full: whether the queue holds more is not known.
            let kind = BatchKind { full: true, ..BatchKind::default() };
            return Ok(Batch::new(Fetched::none(), kind, None, self.clone()));
        };
        // Records that cannot be stored stay in the queue. Whoever had the turn before has used its own space up.
        self.store.reserve_space(limit)?;
        let _gate = self.fetch_gate.read().unwrap_or_else(PoisonError::into_inner);
        if self.mode() == FetchMode::Reserve {
            match self.reserve(|| self.portal.fetch_records(&turn, limit, FetchMode::Reserve, failed)) {
                Err(error) if self.plan.may_remove() && refusal::is_without_reservations(&error) => {}
                Err(error) => {
                    if error.is_transient() {
                        // A lost answer may have named a reservation.
                        self.orphan_search.answer_lost(self.ctx.clock.now());
                    }
                    return Err(error);
                }
                Ok(fetched) => return self.new_batch(fetched, FetchMode::Reserve, limit, failed),
            }
        }
        let fetched = self.portal.fetch_records(&turn, limit, FetchMode::Remove, failed)?;
        self.new_batch(fetched, FetchMode::Remove, limit, failed)
    }

    /// Makes a call with `clear=0`, and remembers what it tells about the plan. Refused for its sake, it has done nothing.
    fn reserve(&self, call: impl FnOnce() -> Result<Fetched>) -> Result<Fetched> {
        let outcome = call();
        let is_refused = outcome.as_ref().is_err_and(refusal::is_without_reservations);
        if is_refused || outcome.is_ok() {
            let refused_at = is_refused.then(|| self.ctx.clock.now());
            if let Some(mode) = self.plan.learned(refused_at) {
                let (level, text) = mode_text(mode);
                self.ctx.log.write(level, || text.into());
            }
        }
        outcome
    }

    fn mode(&self) -> FetchMode {
        self.plan.mode(self.ctx.clock.now())
    }

    /// Adds what was fetched to the store and makes a batch of it.
    fn new_batch(self: &Arc<Self>, fetched: Fetched, mode: FetchMode, limit: u32, failed: bool) -> Result<Batch> {
        let full = fetched.message_ids.len() as u64 >= u64::from(limit);
        self.ctx.stats.fetched.add(fetched.message_ids.len() as u64);
        if fetched.message_ids.is_empty() {
            return Ok(Batch::new(fetched, BatchKind { full, ..BatchKind::default() }, None, self.clone()));
        }
        let reserved = fetched.process_id.clone().filter(|_| mode == FetchMode::Reserve);
        let is_reserved = reserved.is_some();
        let pending = match reserved {
            Some(process_id) if failed => PendingBatch::ReservedFailed(process_id),
            Some(process_id) => PendingBatch::Reserved(process_id),
            None => self.removed(&fetched)?,
        };
        let (key, written) = self.store.add_in_flight(pending);
        if let Err(error) = written {
            // The portal has reserved or deleted them already, so the host gets them. If space is still missing, the
            // next fetch fails before its request.
            self.ctx.log.write(Level::Error, || {
                format!(
                    "the fetched batch could not be stored, so a crash before it is acknowledged may delay or lose its \
                     records: {error}"
                )
            });
        }
        let kind = BatchKind { full, failed: failed && is_reserved, partial: false, attempt: self.count_attempt(key) };
        Ok(Batch::new(fetched, kind, Some(key), self.clone()))
    }

    /// Records that the portal has deleted. If they were to be reserved and no reservation is named, it may have.
    fn removed(&self, fetched: &Fetched) -> Result<PendingBatch> {
        if self.mode() == FetchMode::Reserve {
            self.ctx.log.write(Level::Error, || {
                "the portal returned records and no process_id, so they are treated as deleted in the portal; please \
                 report this to Bitrix24's support"
                    .into()
            });
        }
        fetched.to_records().map(PendingBatch::Removed)
    }

    /// Counts that a batch is handed out; returns how many times it was.
    fn count_attempt(&self, key: store::Key) -> u32 {
        let mut attempts = lock(&self.attempts);
        let attempt = attempts.entry(key).or_default();
        *attempt = attempt.saturating_add(1);
        *attempt
    }

    /// The host has freed a batch, or could not get it. It comes again after a pause that grows with
    /// each attempt.
    fn abandon(&self, key: store::Key, attempt: u32) {
        let at = self.ctx.clock.now() + redeliver_pause(&self.redeliver_pauses, attempt);
        self.store.abandon(key, at);
        self.ring_for_next_redelivery();
    }

    /// Has the doorbell ring when the first of the abandoned batches comes again.
    fn ring_for_next_redelivery(&self) {
        if let Some(at) = self.store.next_redelivery() {
            self.doorbell.check_within(at.saturating_duration_since(self.ctx.clock.now()));
        }
    }

    /// Corrects how often a batch was handed out. 0 forgets it.
    fn set_attempts(&self, key: store::Key, attempts: u32) {
        let mut counts = lock(&self.attempts);
        match attempts {
            0 => counts.remove(&key),
            _ => counts.insert(key, attempts),
        };
    }

    /// The next batch that is due for redelivery and still holds records.
    fn redeliver_next(self: &Arc<Self>, failed: bool) -> Result<Option<Batch>> {
        let mut last = None;
        while let Some((key, pending)) = self.store.next_for_redelivery(last, failed, self.ctx.clock.now()) {
            last = Some(key);
            let (fetched, partial) = match self.read_pending(key, pending) {
                Ok(read) => read,
                Err(error) => {
                    if error.is_transient() || error == self.ctx.cancel.reason() {
                        self.store.redeliver(key);
                        return Err(error);
                    }
                    // A batch that the portal keeps refusing must neither block new records nor cost a call in every
                    // fetch.
                    self.abandon(key, u32::MAX);
                    self.ctx.log.write(Level::Error, || {
                        format!("a batch that is due for redelivery could not be read: {error}")
                    });
                    continue;
                }
            };
            if fetched.message_ids.is_empty() {
                self.set_attempts(key, 0);
                self.store.complete(key, &[], true)?;
                continue;
            }
            self.ctx.stats.fetched.add(fetched.message_ids.len() as u64);
            // Full: whether the queue holds more is not known.
            let kind = BatchKind { full: true, failed, partial, attempt: self.count_attempt(key) };
            return Ok(Some(Batch::new(fetched, kind, Some(key), self.clone())));
        }
        Ok(None)
    }

    /// Reads the records of a pending batch. The flag tells whether the reservation may hold more.
    fn read_pending(&self, key: store::Key, pending: PendingBatch) -> Result<(Fetched, bool)> {
        if let Some(fetched) = lock(&self.reserved_ahead).remove(&key) {
            return Ok((fetched, false));
        }
        let (process_id, failed) = match pending {
            PendingBatch::Removed(records) => return Ok((Fetched::from_records(&records), false)),
            PendingBatch::Reserved(process_id) => (process_id, false),
            PendingBatch::ReservedFailed(process_id) => (process_id, true),
        };
        let reserved = match self.mode() {
            FetchMode::Reserve => Some(self.reserve(|| self.portal.fetch_reservation(&process_id, self.limit, failed)))
                .filter(|outcome| !outcome.as_ref().is_err_and(refusal::is_without_reservations)),
            FetchMode::Remove => None,
        };
        // Without the plan, `event.offline.get` would delete the whole reservation before anybody has its records. The
        // list shows them on every plan and changes nothing.
        let fetched = reserved.unwrap_or_else(|| self.portal.list_reservation(&process_id, self.limit, failed))?;
        let partial = fetched.message_ids.len() as u64 >= u64::from(self.limit);
        // The answer to an empty reservation may lack its name.
        Ok((Fetched { process_id: Some(process_id), ..fetched }, partial))
    }

    /// Acknowledges a whole reservation. With `fetch_more`, the same request reserves the next records.
    fn acknowledge_reservation(&self, process_id: &str, fetch_more: bool) -> Result<()> {
        if !fetch_more
            || !self.may_reserve_ahead
            || self.mode() == FetchMode::Remove
            || self.store.reserve_space(self.limit).is_err()
        {
            return self.portal.clear(process_id, None);
        }
        let _gate = self.fetch_gate.read().unwrap_or_else(PoisonError::into_inner);
        let fetched = match self.portal.clear_and_fetch(process_id, self.limit) {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return Ok(()),
            Err(error) if error.is_transient() => {
                // The request may have run. Acknowledging twice is harmless, and the next fetch searches for a new
                // reservation first.
                self.orphan_search.answer_lost(self.ctx.clock.now());
                return self.portal.clear(process_id, None);
            }
            Err(error) => return Err(error),
        };
        if !fetched.message_ids.is_empty() {
            let pending = match fetched.process_id.clone() {
                Some(process_id) => PendingBatch::Reserved(process_id),
                None => self.removed(&fetched)?,
            };
            // Both under one lock, so that no fetch finds the pending batch without its records.
            let mut reserved_ahead = lock(&self.reserved_ahead);
            let (key, written) = self.store.add_for_redelivery(pending);
            reserved_ahead.insert(key, fetched);
            // Another thread may have used up the ring of the batch that is acknowledged.
            self.doorbell.ring_unsignalled();
            written?;
        }
        Ok(())
    }
}

/// The pause after a batch was handed out for the `attempt`-th time.
fn redeliver_pause(pauses: &[Duration], attempt: u32) -> Duration {
    let index = (attempt as usize).saturating_sub(1);
    pauses.get(index).or(pauses.last()).copied().unwrap_or_default()
}

/// Whether a fetch that failed is tried again at once. What the portal's limits refuse has been repeated already.
fn is_repeated(error: &Error) -> bool {
    error.is_transient() && !refusal::is_limit(error) && error.min_pause().is_zero()
}

fn mode_text(mode: FetchMode) -> (Level, &'static str) {
    match mode {
        FetchMode::Reserve => (Level::Info, "fetched records stay reserved in the portal until they are acknowledged"),
        FetchMode::Remove => (
            Level::Warning,
            "the portal's plan does not allow to reserve records: the portal deletes them when they are fetched",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_attempts_and_the_last_one_repeats() {
        let pauses = [1, 5, 30, 300].map(Duration::from_secs);
        let after = |attempt| redeliver_pause(&pauses, attempt).as_secs();
        assert_eq!([1, 2, 3, 4, 5, u32::MAX].map(after), [1, 5, 30, 300, 300, 300]);
    }
}
