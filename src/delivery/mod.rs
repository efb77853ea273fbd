//! From the queue to the host: reserve, hand over as a batch, acknowledge; and what survives in between.

mod batch;

pub use batch::Batch;
use batch::BatchKind;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::config::{Reserve, Settings};
use crate::context::Context;
use crate::error::{Error, Result, Status};
use crate::lock;
use crate::log::Level;
use crate::portal::Portal;
use crate::portal::offline_events::{FetchMode, Fetched, MAX_RECORDS};
use crate::state::store::{self, PendingBatch, Store};

/// Takes records for one client.
pub struct Delivery {
    portal: Arc<Portal>,
    store: Arc<Store>,
    reserve: Reserve,
    limit: u32,
    /// What the portal's plan was found to allow, and when.
    plan: Mutex<Option<(FetchMode, Instant)>>,
    /// Read-locked while records are taken and entered into the ledger, write-locked while orphans are looked for: what
    /// is on its way into the ledger is no orphan.
    fetching: RwLock<()>,
    orphans: Option<Duration>,
    next_search: Mutex<Option<Instant>>,
    /// Records that were reserved together with an acknowledgement; the ledger has them as due.
    prefetched: Mutex<HashMap<store::Key, Fetched>>,
    /// How often each pending batch was handed out by this client.
    attempts: Mutex<HashMap<store::Key, u32>>,
    /// Whether reservations of this client are found again at once when it ends: only then it may reserve ahead.
    survives_restart: bool,
    ctx: Context,
}

/// A plan without reservations is asked for again after this time: it may have been a lapse in payment.
const PLAN_LIFETIME: Duration = Duration::from_secs(600);

/// Pauses between the attempts of one fetch.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// Orphans are looked for at the first fetch, after a lost answer, and then no more often than this.
const MIN_SEARCH_INTERVAL: Duration = Duration::from_secs(300);

impl Delivery {
    /// Nothing is asked yet.
    pub fn new(settings: &Settings, portal: Arc<Portal>, store: Arc<Store>, ctx: Context) -> Delivery {
        Delivery {
            portal,
            store,
            reserve: settings.reserve,
            limit: settings.fetch_limit,
            plan: Mutex::new(None),
            fetching: RwLock::new(()),
            orphans: settings.orphans,
            next_search: Mutex::new(Some(ctx.clock.now())),
            prefetched: Mutex::default(),
            attempts: Mutex::default(),
            survives_restart: settings.state_dir.is_some() || settings.orphans == Some(Duration::ZERO),
            ctx,
        }
    }

    /// Takes up to `limit` records (0: `fetch.limit`). What was taken before and is due again comes first, with as many
    /// records as it holds. The batch may be empty.
    ///
    /// After a trouble that may pass by itself it tries again a few times, each time looking first for what the lost
    /// answer may have reserved.
    pub fn fetch(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        let limit = self.checked(limit)?;
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.fetch_once(limit) {
                Err(error) if error.is_transient() && error.status() != Status::RateLimit => error,
                other => return other,
            };
            // A call that removes may have run, and each repetition would remove more.
            if self.known_mode() == Some(FetchMode::Remove) {
                return Err(error);
            }
            let Some(pause) = pauses.next() else { return Err(error) };
            self.ctx.log.write(Level::Warning, || format!("fetching again in {} ms: {error}", pause.as_millis()));
            self.ctx.cancel.sleep(pause)?;
        }
    }

    fn fetch_once(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        self.search_if_due();
        match self.redeliver_next(false)? {
            Some(batch) => Ok(batch),
            None => self.fetch_new(limit, false),
        }
    }

    /// Takes up to `limit` records (0: `fetch.limit`) that were marked as failed.
    pub fn fetch_failed(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        let limit = self.checked(limit)?;
        match self.redeliver_next(true)? {
            Some(batch) => Ok(batch),
            None => self.fetch_new(limit, true),
        }
    }

    /// Makes due what the host has dropped without acknowledging, and looks for orphans. Returns how many takings are
    /// due now because of it.
    pub fn recover(&self) -> Result<usize> {
        let dropped = self.store.redeliver_abandoned();
        Ok(dropped + self.search()?)
    }

    fn checked(&self, limit: u32) -> Result<u32> {
        match limit {
            0 => Ok(self.limit),
            1..=MAX_RECORDS => Ok(limit),
            _ => Err(Error::InvalidArgument(format!(
                "limit cannot be {limit}; allowed: 0 (fetch.limit) to {MAX_RECORDS}"
            ))),
        }
    }

    fn fetch_new(self: &Arc<Self>, limit: u32, failed: bool) -> Result<Batch> {
        let mode = self.fetch_mode()?;
        // Before anything is taken: what cannot be kept is left where it is.
        self.store.reserve_space(limit)?;
        let _fetching = self.fetching.read().unwrap_or_else(PoisonError::into_inner);
        match self.portal.fetch_records(limit, mode, failed) {
            // The plan was changed since it was asked for.
            Err(error)
                if error.status() == Status::License && mode == FetchMode::Reserve && self.reserve == Reserve::Auto =>
            {
                self.remember_mode(FetchMode::Remove);
                self.into_batch(
                    self.portal.fetch_records(limit, FetchMode::Remove, failed)?,
                    FetchMode::Remove,
                    limit,
                    failed,
                )
            }
            Err(error) => {
                if mode == FetchMode::Reserve && error.is_transient() {
                    // The answer may have been lost on its way, and with it the name of a reservation.
                    *lock(&self.next_search) = Some(self.ctx.clock.now());
                }
                Err(error)
            }
            Ok(fetched) => self.into_batch(fetched, mode, limit, failed),
        }
    }

    /// Enters what was taken into the ledger and makes a batch of it.
    fn into_batch(self: &Arc<Self>, fetched: Fetched, mode: FetchMode, limit: u32, failed: bool) -> Result<Batch> {
        let full = fetched.message_ids.len() as u64 >= u64::from(limit);
        self.ctx.stats.fetched.add(fetched.message_ids.len() as u64);
        if fetched.message_ids.is_empty() {
            return Ok(Batch::new(fetched, BatchKind { full, ..BatchKind::default() }, None, self.clone()));
        }
        let fetching = match (mode, &fetched.process_id) {
            (FetchMode::Reserve, Some(process_id)) if failed => PendingBatch::ReservedFailed(process_id.clone()),
            (FetchMode::Reserve, Some(process_id)) => PendingBatch::Reserved(process_id.clone()),
            (FetchMode::Reserve, None) => {
                return Err(Error::protocol(
                    "the portal handed out reserved records without their process_id; report this to Bitrix24's support",
                ));
            }
            // Records whose shape is unknown cannot be kept, but they can be handed on.
            (FetchMode::Remove, _) => PendingBatch::Removed(fetched.to_records().unwrap_or_default()),
        };
        let (key, written) = self.store.add_in_flight(fetching);
        if let Err(error) = written {
            // They are out of the queue or reserved already: the host gets them, and the next fetch is refused.
            self.ctx.log.write(Level::Error, || format!("what was taken could not be kept: {error}"));
        }
        let failed = failed && mode == FetchMode::Reserve;
        let kind = BatchKind { full, failed, partial: false, attempt: self.count_attempt(key) };
        Ok(Batch::new(fetched, kind, Some(key), self.clone()))
    }

    /// Counts that a batch is handed out; returns how many times it was.
    fn count_attempt(&self, key: store::Key) -> u32 {
        let mut attempts = lock(&self.attempts);
        let attempt = attempts.entry(key).or_default();
        *attempt = attempt.saturating_add(1);
        *attempt
    }

    /// Corrects how often a batch was handed out. 0 forgets it.
    fn set_attempts(&self, key: store::Key, attempts: u32) {
        let mut counts = lock(&self.attempts);
        match attempts {
            0 => counts.remove(&key),
            _ => counts.insert(key, attempts),
        };
    }

    /// The next taking that is due again and still holds records.
    fn redeliver_next(self: &Arc<Self>, failed: bool) -> Result<Option<Batch>> {
        let mut last = None;
        while let Some((key, fetching)) = self.store.next_for_redelivery(last, failed) {
            last = Some(key);
            let (fetched, partial) = match self.refetch(key, fetching) {
                Ok(again) => again,
                Err(error) => {
                    self.store.redeliver(key);
                    // What stays refused must not keep new records from the host.
                    if error.is_transient() || error == self.ctx.cancel.reason() {
                        return Err(error);
                    }
                    self.ctx.log.write(Level::Error, || format!("what was taken before cannot be read again: {error}"));
                    continue;
                }
            };
            if fetched.message_ids.is_empty() {
                self.set_attempts(key, 0);
                self.store.complete(key, &[], true)?;
                continue;
            }
            self.ctx.stats.fetched.add(fetched.message_ids.len() as u64);
            // Whether there is something new after it was not looked at.
            let kind = BatchKind { full: true, failed, partial, attempt: self.count_attempt(key) };
            return Ok(Some(Batch::new(fetched, kind, Some(key), self.clone())));
        }
        Ok(None)
    }

    /// The records of a taking, and whether it may hold more.
    fn refetch(&self, key: store::Key, fetching: PendingBatch) -> Result<(Fetched, bool)> {
        if let Some(fetched) = lock(&self.prefetched).remove(&key) {
            return Ok((fetched, false));
        }
        let (process_id, failed) = match fetching {
            PendingBatch::Removed(records) => return Ok((Fetched::from_records(&records), false)),
            PendingBatch::Reserved(process_id) => (process_id, false),
            PendingBatch::ReservedFailed(process_id) => (process_id, true),
        };
        let fetched = self.portal.fetch_reservation(&process_id, self.limit, failed)?;
        let partial = fetched.message_ids.len() as u64 >= u64::from(self.limit);
        // The answer names the reservation, except where it holds nothing any more.
        Ok((Fetched { process_id: Some(process_id), ..fetched }, partial))
    }

    /// Confirms a whole reservation. `more`: the queue is long, so what comes next is reserved with the same request.
    fn confirm(&self, process_id: &str, more: bool) -> Result<()> {
        if !more || !self.survives_restart || self.store.reserve_space(self.limit).is_err() {
            return self.portal.clear(process_id, None);
        }
        let _fetching = self.fetching.read().unwrap_or_else(PoisonError::into_inner);
        let fetched = match self.portal.clear_and_fetch(process_id, self.limit) {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return Ok(()),
            Err(error) if error.is_transient() => {
                // Whether it has confirmed is not known; whether it has reserved is looked for before the next fetch.
                *lock(&self.next_search) = Some(self.ctx.clock.now());
                return self.portal.clear(process_id, None);
            }
            Err(error) => return Err(error),
        };
        if let Some(process_id) = fetched.process_id.clone().filter(|_| !fetched.message_ids.is_empty()) {
            // Under the lock, so that a fetch does not find the one without the other.
            let mut prefetched = lock(&self.prefetched);
            let (key, written) = self.store.add_for_redelivery(PendingBatch::Reserved(process_id));
            prefetched.insert(key, fetched);
            written?;
        }
        Ok(())
    }

    /// A search that fails must not keep new records from the host; it is tried again later.
    fn search_if_due(&self) {
        let now = self.ctx.clock.now();
        if lock(&self.next_search).is_some_and(|at| at <= now) {
            if let Err(error) = self.search() {
                *lock(&self.next_search) = Some(now + MIN_SEARCH_INTERVAL);
                self.ctx.log.write(Level::Warning, || format!("the search for lost reservations failed: {error}"));
            }
        }
    }

    /// Looks for reservations that nobody knows.
    fn search(&self) -> Result<usize> {
        let Some(age) = self.orphans.filter(|_| self.reserve != Reserve::No) else {
            *lock(&self.next_search) = None;
            return Ok(0);
        };
        let interval = (age / 2).max(MIN_SEARCH_INTERVAL);
        *lock(&self.next_search) = Some(self.ctx.clock.now() + interval);
        if self.fetch_mode()? == FetchMode::Remove {
            return Ok(0);
        }
        let reservations = self.portal.reservations()?;
        // What was on its way while they were read is in the ledger when the lock is ours.
        let _alone = self.fetching.write().unwrap_or_else(PoisonError::into_inner);
        let adopted = self.store.adopt_orphans(reservations, self.ctx.clock.unix(), age.as_secs())?;
        if adopted > 0 {
            self.ctx.log.write(Level::Warning, || format!("{adopted} reservations that nobody knew are taken over"));
        }
        Ok(adopted)
    }

    /// How records are taken, as far as it is known without asking.
    fn known_mode(&self) -> Option<FetchMode> {
        match self.reserve {
            Reserve::Yes => Some(FetchMode::Reserve),
            Reserve::No => Some(FetchMode::Remove),
            Reserve::Auto => {
                let now = self.ctx.clock.now();
                let known = *lock(&self.plan);
                known
                    .filter(|(mode, at)| *mode == FetchMode::Reserve || now < *at + PLAN_LIFETIME)
                    .map(|(mode, _)| mode)
            }
        }
    }

    fn fetch_mode(&self) -> Result<FetchMode> {
        if let Some(mode) = self.known_mode() {
            return Ok(mode);
        }
        match self.portal.has_feature("rest_offline_extended") {
            Ok(true) => Ok(self.remember_mode(FetchMode::Reserve)),
            Ok(false) => Ok(self.remember_mode(FetchMode::Remove)),
            // A portal that does not know the question gets to refuse the call itself.
            Err(Error::Refused(refusal)) if refusal.status == Status::Portal && refusal.http_status < 500 => {
                Ok(self.remember_mode(FetchMode::Reserve))
            }
            Err(error) => Err(error),
        }
    }

    fn remember_mode(&self, mode: FetchMode) -> FetchMode {
        let (level, text) = match mode {
            FetchMode::Reserve => (Level::Info, "records stay reserved in the portal until they are acknowledged"),
            FetchMode::Remove => (
                Level::Warning,
                "the portal's plan does not allow to reserve records: the portal deletes them when it hands them out",
            ),
        };
        let before = lock(&self.plan).replace((mode, self.ctx.clock.now()));
        if before.is_none_or(|(before, _)| before != mode) {
            self.ctx.log.write(level, || text.into());
        }
        mode
    }
}
