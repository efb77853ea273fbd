//! From the queue to the host: reserve, hand over as a batch, acknowledge; and what survives in between.

mod batch;
pub mod ledger;

pub use batch::Batch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
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
    plan: AtomicU8,
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

/// What is known of the portal's plan.
const PLAN_UNKNOWN: u8 = 0;
const PLAN_RESERVES: u8 = 1;
const PLAN_REMOVES: u8 = 2;

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
            plan: AtomicU8::new(PLAN_UNKNOWN),
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
            let Some(pause) = pauses.next() else { return Err(error) };
            self.around.log.line(Level::Warning, || format!("fetching again in {} ms: {error}", pause.as_millis()));
            self.around.closing.pause(pause)?;
        }
    }

    fn fetch_once(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        self.search_if_due();
        match self.due()? {
            Some(batch) => Ok(batch),
            None => self.take(limit, false),
        }
    }

    /// Takes up to `limit` records (0: `fetch.limit`) that were marked as failed.
    pub fn fetch_failed(self: &Arc<Self>, limit: u32) -> Result<Batch> {
        self.take(self.checked(limit)?, true)
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
                self.remember(PLAN_REMOVES);
                self.enter(self.portal.take(limit, Take::Remove, failed)?, Take::Remove, limit)
            }
            Err(error) => {
                if take == Take::Reserve && error.is_transient() {
                    // The answer may have been lost on its way, and with it the name of a reservation.
                    *lock(&self.next_search) = Some(self.around.clock.now());
                }
                Err(error)
            }
            Ok(taken) => self.enter(taken, take, limit),
        }
    }

    /// Enters what was taken into the ledger and makes a batch of it.
    fn enter(self: &Arc<Self>, taken: Taken, take: Take, limit: u32) -> Result<Batch> {
        let full = taken.message_ids.len() as u64 >= u64::from(limit);
        self.around.stats.fetched.add(taken.message_ids.len() as u64);
        if taken.message_ids.is_empty() {
            return Ok(Batch::new(taken, full, None, self.clone()));
        }
        let taking = match (take, &taken.process_id) {
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
        Ok(Batch::new(taken, full, Some(key), self.clone()))
    }

    /// The next taking that is due again and still holds records.
    fn due(self: &Arc<Self>) -> Result<Option<Batch>> {
        while let Some((key, taking)) = self.ledger.next_due() {
            let ahead = lock(&self.ahead).remove(&key);
            let taken = match (ahead, taking) {
                (Some(taken), _) => taken,
                (None, Taking::Removed(records)) => Taken::from_records(&records),
                (None, Taking::Reserved(process_id)) => match self.portal.take_again(&process_id) {
                    // The answer names the reservation, except where it holds nothing any more.
                    Ok(taken) => Taken { process_id: Some(process_id), ..taken },
                    Err(error) => {
                        self.ledger.still_due(key);
                        return Err(error);
                    }
                },
            };
            if taken.message_ids.is_empty() {
                self.ledger.settle(key, &[], true)?;
                continue;
            }
            self.around.stats.fetched.add(taken.message_ids.len() as u64);
            // Whether there is something new after it was not looked at.
            return Ok(Some(Batch::new(taken, true, Some(key), self.clone())));
        }
        Ok(None)
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
        if self.way()? == Take::Remove {
            *lock(&self.next_search) = None;
            return Ok(0);
        }
        let _alone = self.taking.write().unwrap_or_else(PoisonError::into_inner);
        let reservations = self.portal.reservations()?;
        let adopted = self.ledger.adopt(reservations, self.around.clock.unix(), age.as_secs())?;
        *lock(&self.next_search) = Some(self.around.clock.now() + (age / 2).max(SHORTEST_SEARCH_INTERVAL));
        if adopted > 0 {
            self.around.log.line(Level::Warning, || format!("{adopted} reservations that nobody knew are taken over"));
        }
        Ok(adopted)
    }

    fn way(&self) -> Result<Take> {
        match (self.reserve, self.plan.load(Ordering::Relaxed)) {
            (Reserve::Yes, _) | (Reserve::Auto, PLAN_RESERVES) => Ok(Take::Reserve),
            (Reserve::No, _) | (Reserve::Auto, PLAN_REMOVES) => Ok(Take::Remove),
            (Reserve::Auto, _) => match self.portal.has_feature("rest_offline_extended") {
                Ok(true) => Ok(self.remember(PLAN_RESERVES)),
                Ok(false) => Ok(self.remember(PLAN_REMOVES)),
                // A portal that does not know the question gets to refuse the call itself.
                Err(Error::Refused(refusal)) if refusal.status == Status::Portal && refusal.http_status < 500 => {
                    Ok(self.remember(PLAN_RESERVES))
                }
                Err(error) => Err(error),
            },
        }
    }

    fn remember(&self, plan: u8) -> Take {
        let (take, level, text) = match plan {
            PLAN_RESERVES => {
                (Take::Reserve, Level::Info, "records stay reserved in the portal until they are acknowledged")
            }
            _ => (
                Take::Remove,
                Level::Warning,
                "the portal's plan does not allow to reserve records: the portal deletes them when it hands them out",
            ),
        };
        if self.plan.swap(plan, Ordering::Relaxed) != plan {
            self.around.log.line(level, || text.into());
        }
        take
    }
}
