//! From the queue to the host: reserve, hand over as a batch, acknowledge; and what survives in between.

mod batch;
pub mod ledger;

pub use batch::Batch;
use batch::Nature;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ledger::{Ledger, Taking};

use crate::config::{Level, Reserve, Settings};
use crate::error::{Error, Result, Status};
use crate::lock;
use crate::portal::offline_events::{MOST_RECORDS, Take, Taken};
use crate::portal::{Portal, Surroundings};

/// Takes records for one client.
pub struct Delivery {
    portal: Arc<Portal>,
    ledger: Arc<Ledger>,
    reserve: Reserve,
    limit: u32,
    /// What the portal's plan was found to allow, and when.
    plan: Mutex<Option<(Take, Instant)>>,
    /// Read-locked while records are taken and entered into the ledger, write-locked while orphans are looked for: what
    /// is on its way into the ledger is no orphan.
    taking: RwLock<()>,
    orphans: Option<Duration>,
    next_search: Mutex<Option<Instant>>,
    /// Records that were reserved together with an acknowledgement; the ledger has them as due.
    ahead: Mutex<HashMap<ledger::Key, Taken>>,
    /// Whether reservations of this client are found again at once when it ends: only then it may reserve ahead.
    keeps: bool,
    around: Surroundings,
}

/// A plan without reservations is asked for again after this time: it may have been a lapse in payment.
const PLAN_LIFETIME: Duration = Duration::from_secs(600);

/// Pauses between the attempts of one fetch.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// Orphans are looked for at the first fetch, after a lost answer, and then no more often than this.
const SHORTEST_SEARCH_INTERVAL: Duration = Duration::from_secs(300);

impl Delivery {
    /// Nothing is asked yet.
    pub fn new(settings: &Settings, portal: Arc<Portal>, ledger: Arc<Ledger>, around: Surroundings) -> Delivery {
        Delivery {
            portal,
            ledger,
            reserve: settings.reserve,
            limit: settings.fetch_limit,
            plan: Mutex::new(None),
            taking: RwLock::new(()),
            orphans: settings.orphans,
            next_search: Mutex::new(Some(around.clock.now())),
            ahead: Mutex::default(),
            keeps: settings.state_dir.is_some() || settings.orphans == Some(Duration::ZERO),
            around,
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
            if self.known_way() == Some(Take::Remove) {
                return Err(error);
            }
            let Some(pause) = pauses.next() else { return Err(error) };
            self.around.log.line(Level::Warning, || format!("fetching again in {} ms: {error}", pause.as_millis()));
            self.around.closing.pause(pause)?;
        }
    }

    fn fetch_once(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        self.search_if_due();
        match self.due(false)? {
            Some(batch) => Ok(batch),
            None => self.take(limit, false),
        }
    }

    /// Takes up to `limit` records (0: `fetch.limit`) that were marked as failed.
    pub fn fetch_failed(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        let limit = self.checked(limit)?;
        match self.due(true)? {
            Some(batch) => Ok(batch),
            None => self.take(limit, true),
        }
    }

    /// Makes due what the host has dropped without acknowledging, and looks for orphans. Returns how many takings are
    /// due now because of it.
    pub fn recover(&self) -> Result<usize> {
        let dropped = self.ledger.recover();
        Ok(dropped + self.search()?)
    }

    fn checked(&self, limit: u32) -> Result<u32> {
        match limit {
            0 => Ok(self.limit),
            1..=MOST_RECORDS => Ok(limit),
            _ => Err(Error::InvalidArgument(format!(
                "limit cannot be {limit}; allowed: 0 (fetch.limit) to {MOST_RECORDS}"
            ))),
        }
    }

    fn take(self: &Arc<Self>, limit: u32, failed: bool) -> Result<Batch> {
        let take = self.way()?;
        // Before anything is taken: what cannot be kept is left where it is.
        self.ledger.make_room(limit)?;
        let _taking = self.taking.read().unwrap_or_else(PoisonError::into_inner);
        match self.portal.take(limit, take, failed) {
            // The plan was changed since it was asked for.
            Err(error)
                if error.status() == Status::License && take == Take::Reserve && self.reserve == Reserve::Auto =>
            {
                self.remember(Take::Remove);
                self.enter(self.portal.take(limit, Take::Remove, failed)?, Take::Remove, limit, failed)
            }
            Err(error) => {
                if take == Take::Reserve && error.is_transient() {
                    // The answer may have been lost on its way, and with it the name of a reservation.
                    *lock(&self.next_search) = Some(self.around.clock.now());
                }
                Err(error)
            }
            Ok(taken) => self.enter(taken, take, limit, failed),
        }
    }

    /// Enters what was taken into the ledger and makes a batch of it.
    fn enter(self: &Arc<Self>, taken: Taken, take: Take, limit: u32, failed: bool) -> Result<Batch> {
        let full = taken.message_ids.len() as u64 >= u64::from(limit);
        self.around.stats.fetched.add(taken.message_ids.len() as u64);
        if taken.message_ids.is_empty() {
            return Ok(Batch::new(taken, Nature { full, ..Nature::default() }, None, self.clone()));
        }
        let taking = match (take, &taken.process_id) {
            (Take::Reserve, Some(process_id)) if failed => Taking::ReservedFailed(process_id.clone()),
            (Take::Reserve, Some(process_id)) => Taking::Reserved(process_id.clone()),
            (Take::Reserve, None) => {
                return Err(Error::protocol(
                    "the portal handed out reserved records without their process_id; report this to Bitrix24's support",
                ));
            }
            // Records whose shape is unknown cannot be kept, but they can be handed on.
            (Take::Remove, _) => Taking::Removed(taken.to_records().unwrap_or_default()),
        };
        let (key, written) = self.ledger.enter(taking);
        if let Err(error) = written {
            // They are out of the queue or reserved already: the host gets them, and the next fetch is refused.
            self.around.log.line(Level::Error, || format!("what was taken could not be kept: {error}"));
        }
        let failed = failed && take == Take::Reserve;
        Ok(Batch::new(taken, Nature { full, failed, partial: false }, Some(key), self.clone()))
    }

    /// The next taking that is due again and still holds records.
    fn due(self: &Arc<Self>, failed: bool) -> Result<Option<Batch>> {
        let mut last = None;
        while let Some((key, taking)) = self.ledger.next_due(last, failed) {
            last = Some(key);
            let (taken, partial) = match self.taken_again(key, taking) {
                Ok(again) => again,
                Err(error) => {
                    self.ledger.still_due(key);
                    // What stays refused must not keep new records from the host.
                    if error.is_transient() || error == self.around.closing.end() {
                        return Err(error);
                    }
                    self.around
                        .log
                        .line(Level::Error, || format!("what was taken before cannot be read again: {error}"));
                    continue;
                }
            };
            if taken.message_ids.is_empty() {
                self.ledger.settle(key, &[], true)?;
                continue;
            }
            self.around.stats.fetched.add(taken.message_ids.len() as u64);
            // Whether there is something new after it was not looked at.
            return Ok(Some(Batch::new(taken, Nature { full: true, failed, partial }, Some(key), self.clone())));
        }
        Ok(None)
    }

    /// The records of a taking, and whether it may hold more.
    fn taken_again(&self, key: ledger::Key, taking: Taking) -> Result<(Taken, bool)> {
        if let Some(taken) = lock(&self.ahead).remove(&key) {
            return Ok((taken, false));
        }
        let (process_id, failed) = match taking {
            Taking::Removed(records) => return Ok((Taken::from_records(&records), false)),
            Taking::Reserved(process_id) => (process_id, false),
            Taking::ReservedFailed(process_id) => (process_id, true),
        };
        let taken = self.portal.take_again(&process_id, self.limit, failed)?;
        let partial = taken.message_ids.len() as u64 >= u64::from(self.limit);
        // The answer names the reservation, except where it holds nothing any more.
        Ok((Taken { process_id: Some(process_id), ..taken }, partial))
    }

    /// Confirms a whole reservation. `more`: the queue is long, so what comes next is reserved with the same request.
    fn confirm(&self, process_id: &str, more: bool) -> Result<()> {
        if !more || !self.keeps || self.ledger.make_room(self.limit).is_err() {
            return self.portal.clear(process_id, None);
        }
        let _taking = self.taking.read().unwrap_or_else(PoisonError::into_inner);
        let taken = match self.portal.clear_and_take(process_id, self.limit) {
            Ok(Some(taken)) => taken,
            Ok(None) => return Ok(()),
            Err(error) if error.is_transient() => {
                // Whether it has confirmed is not known; whether it has reserved is looked for before the next fetch.
                *lock(&self.next_search) = Some(self.around.clock.now());
                return self.portal.clear(process_id, None);
            }
            Err(error) => return Err(error),
        };
        if let Some(process_id) = taken.process_id.clone().filter(|_| !taken.message_ids.is_empty()) {
            // Under the lock, so that a fetch does not find the one without the other.
            let mut ahead = lock(&self.ahead);
            let (key, written) = self.ledger.enter_due(Taking::Reserved(process_id));
            ahead.insert(key, taken);
            written?;
        }
        Ok(())
    }

    /// A search that fails must not keep new records from the host; it is tried again later.
    fn search_if_due(&self) {
        let now = self.around.clock.now();
        if lock(&self.next_search).is_some_and(|at| at <= now) {
            if let Err(error) = self.search() {
                *lock(&self.next_search) = Some(now + SHORTEST_SEARCH_INTERVAL);
                self.around.log.line(Level::Warning, || format!("the search for lost reservations failed: {error}"));
            }
        }
    }

    /// Looks for reservations that nobody knows.
    fn search(&self) -> Result<usize> {
        let Some(age) = self.orphans.filter(|_| self.reserve != Reserve::No) else {
            *lock(&self.next_search) = None;
            return Ok(0);
        };
        let interval = (age / 2).max(SHORTEST_SEARCH_INTERVAL);
        *lock(&self.next_search) = Some(self.around.clock.now() + interval);
        if self.way()? == Take::Remove {
            return Ok(0);
        }
        let reservations = self.portal.reservations()?;
        // What was on its way while they were read is in the ledger when the lock is ours.
        let _alone = self.taking.write().unwrap_or_else(PoisonError::into_inner);
        let adopted = self.ledger.adopt(reservations, self.around.clock.unix(), age.as_secs())?;
        if adopted > 0 {
            self.around.log.line(Level::Warning, || format!("{adopted} reservations that nobody knew are taken over"));
        }
        Ok(adopted)
    }

    /// How records are taken, as far as it is known without asking.
    fn known_way(&self) -> Option<Take> {
        match self.reserve {
            Reserve::Yes => Some(Take::Reserve),
            Reserve::No => Some(Take::Remove),
            Reserve::Auto => {
                let now = self.around.clock.now();
                let known = *lock(&self.plan);
                known.filter(|(take, at)| *take == Take::Reserve || now < *at + PLAN_LIFETIME).map(|(take, _)| take)
            }
        }
    }

    fn way(&self) -> Result<Take> {
        if let Some(take) = self.known_way() {
            return Ok(take);
        }
        match self.portal.has_feature("rest_offline_extended") {
            Ok(true) => Ok(self.remember(Take::Reserve)),
            Ok(false) => Ok(self.remember(Take::Remove)),
            // A portal that does not know the question gets to refuse the call itself.
            Err(Error::Refused(refusal)) if refusal.status == Status::Portal && refusal.http_status < 500 => {
                Ok(self.remember(Take::Reserve))
            }
            Err(error) => Err(error),
        }
    }

    fn remember(&self, take: Take) -> Take {
        let (level, text) = match take {
            Take::Reserve => (Level::Info, "records stay reserved in the portal until they are acknowledged"),
            Take::Remove => (
                Level::Warning,
                "the portal's plan does not allow to reserve records: the portal deletes them when it hands them out",
            ),
        };
        let before = lock(&self.plan).replace((take, self.around.clock.now()));
        if before.is_none_or(|(before, _)| before != take) {
            self.around.log.line(level, || text.into());
        }
        take
    }
}
