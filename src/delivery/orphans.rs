//! The search for reservations that nobody delivers: answers that named them were lost, or processes died.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Delivery;
use crate::config::{OrphanAges, Reserve, Settings};
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::state::store::Moment;

/// Orphans are searched for at the first fetch, after a lost answer, when one is old enough, and otherwise no more often
/// than this.
const MIN_INTERVAL: Duration = Duration::from_secs(300);
/// At most this many calls in one search.
const MAX_PAGES: u32 = 20;
/// A search that this has ended goes on after this time.
const PAUSE_WITHIN: Duration = Duration::from_secs(60);
/// One that has failed is not repeated sooner.
const MIN_RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Two that are old enough shortly after each other are worth one search only.
const MIN_PAUSE: Duration = Duration::from_millis(500);

/// When to search, and where to go on.
pub(super) struct OrphanSearch {
    /// `None`: never.
    ages: Option<OrphanAges>,
    /// How long the portal may go on with a call whose answer was lost.
    call_timeout: Duration,
    schedule: Mutex<Schedule>,
}

struct Schedule {
    next: Instant,
    /// Whether the doorbell rings for it, because records are known to be missing.
    rings: bool,
    /// Until then the call of a lost answer may reserve records.
    unsure_until: Instant,
    /// The last search ended after the record with this `ID`.
    after: u64,
}

impl OrphanSearch {
    pub(super) fn new(settings: &Settings, now: Instant) -> OrphanSearch {
        OrphanSearch {
            ages: settings.orphans.filter(|_| settings.reserve != Reserve::No),
            call_timeout: settings.call_timeout,
            schedule: Mutex::new(Schedule { next: now, rings: false, unsure_until: now, after: 0 }),
        }
    }

    /// The answer to a reserving call was lost. It is searched for now, and again when the portal must be done with it.
    pub(super) fn answer_lost(&self, now: Instant) {
        let mut schedule = lock(&self.schedule);
        schedule.next = now;
        schedule.unsure_until = now + self.call_timeout;
    }

    fn is_time(&self, now: Instant) -> bool {
        self.ages.is_some() && lock(&self.schedule).next <= now
    }

    /// A search begins. Returns where.
    fn begin(&self, ages: OrphanAges, now: Instant) -> u64 {
        let mut schedule = lock(&self.schedule);
        schedule.next = now + (ages.in_company / 2).max(MIN_INTERVAL);
        schedule.rings = false;
        schedule.after
    }

    /// A search has ended with the record with the `ID` `last`, or with the queue. The next orphan is old enough after
    /// `next`.
    fn end(&self, last: Option<u64>, next: Option<Duration>, now: Instant) {
        let mut schedule = lock(&self.schedule);
        schedule.after = last.unwrap_or(0);
        let unsure = schedule.unsure_until.saturating_duration_since(now);
        let pauses = [next, Some(unsure).filter(|unsure| !unsure.is_zero()), last.map(|_| PAUSE_WITHIN)];
        if let Some(pause) = pauses.into_iter().flatten().min() {
            // An answer may have been lost meanwhile.
            schedule.next = schedule.next.min(now + pause.max(MIN_PAUSE));
            schedule.rings = true;
        }
    }

    /// When the doorbell has to ring for the next search.
    fn next_ring(&self) -> Option<Instant> {
        let schedule = lock(&self.schedule);
        Some(schedule.next).filter(|_| schedule.rings)
    }

    /// A search has failed.
    fn failed(&self, error: &Error, now: Instant) {
        let pause = match error.is_transient() {
            true => self.call_timeout.clamp(MIN_RETRY_PAUSE, PAUSE_WITHIN),
            false => MIN_INTERVAL,
        };
        let mut schedule = lock(&self.schedule);
        schedule.next = now + pause;
        schedule.rings = true;
    }
}

impl Delivery {
    /// Searches for orphans if it is time to. A search that fails does not block new records; it is repeated later.
    pub(super) fn run_scheduled_search(&self) {
        if !self.orphan_search.is_time(self.ctx.clock.now()) {
            return;
        }
        if let Err(error) = self.search_for_orphans() {
            self.orphan_search.failed(&error, self.ctx.clock.now());
            self.ctx.log.write(Level::Warning, || {
                format!("the search for orphaned reservations failed, fetching continues: {error}")
            });
        }
    }

    /// Has the doorbell ring when it is time for the next search.
    pub(super) fn ring_for_next_search(&self) {
        if let Some(at) = self.orphan_search.next_ring() {
            self.doorbell.check_within(at.saturating_duration_since(self.ctx.clock.now()));
        }
    }

    /// Makes orphaned reservations due for redelivery. Returns how many.
    pub(super) fn search_for_orphans(&self) -> Result<usize> {
        let Some(ages) = self.orphan_search.ages else { return Ok(0) };
        let clock = &self.ctx.clock;
        let after = self.orphan_search.begin(ages, clock.now());
        self.store.begin_search();
        let list = self.portal.reservations(after, MAX_PAGES)?;
        let last = list.last;
        // Reservations that were on their way while the portal answered are in the store once the gate is ours.
        let gate = self.fetch_gate.write().unwrap_or_else(PoisonError::into_inner);
        let moment = Moment { now: clock.now(), unix: clock.unix() };
        let (adopted, next) = self.store.adopt_orphans(list, ages, moment, || clock.random())?;
        drop(gate);
        self.orphan_search.end(last, next, moment.now);
        self.ring_for_next_search();
        if adopted > 0 {
            self.ctx.log.write(Level::Warning, || {
                format!("{adopted} orphaned reservations were found; their records are delivered next")
            });
        }
        Ok(adopted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SECOND: Duration = Duration::from_secs(1);

    fn search(now: Instant) -> (OrphanSearch, OrphanAges) {
        let mut config = Config::new();
        for (key, value) in [("portal.url", "https://my.bitrix24.ru"), ("http.timeout_ms", "20000")] {
            config.set(key, value).unwrap();
        }
        let search = OrphanSearch::new(&config.settings().unwrap(), now);
        let ages = search.ages.unwrap();
        assert_eq!((ages.alone, ages.in_company), (40 * SECOND, 3600 * SECOND));
        (search, ages)
    }

    #[test]
    fn a_search_goes_on_where_the_last_one_has_ended() {
        let now = Instant::now();
        let (search, ages) = search(now);
        assert_eq!(search.begin(ages, now), 0);
        search.end(Some(1000), None, now);
        assert_eq!(search.next_ring(), Some(now + PAUSE_WITHIN));
        assert!(!search.is_time(now + 59 * SECOND) && search.is_time(now + PAUSE_WITHIN));
        assert_eq!(search.begin(ages, now), 1000);
        search.end(None, None, now);
        assert_eq!(search.next_ring(), None);
        assert!(!search.is_time(now + 1799 * SECOND) && search.is_time(now + 1800 * SECOND));
        assert_eq!(search.begin(ages, now), 0);
        search.end(None, Some(40 * SECOND), now);
        assert_eq!(search.next_ring(), Some(now + 40 * SECOND));
        assert!(search.is_time(now + 40 * SECOND));
    }

    #[test]
    fn what_an_answer_has_lost_is_searched_for_again_when_the_portal_is_done_with_the_call() {
        let now = Instant::now();
        let (search, ages) = search(now);
        search.begin(ages, now);
        search.end(None, None, now);
        search.answer_lost(now);
        assert!(search.is_time(now));
        search.begin(ages, now);
        search.end(None, None, now + SECOND);
        assert_eq!(search.next_ring(), Some(now + 20 * SECOND));
        search.begin(ages, now);
        search.answer_lost(now);
        search.end(None, None, now);
        assert!(search.is_time(now), "lost while the search ran");
    }

    #[test]
    fn a_search_whose_error_passes_by_itself_is_repeated_soon() {
        let now = Instant::now();
        let (search, ages) = search(now);
        search.begin(ages, now);
        search.failed(&Error::Network("x".into()), now);
        assert_eq!(search.next_ring(), Some(now + 20 * SECOND));
        search.failed(&Error::Config("x".into()), now);
        assert_eq!(search.next_ring(), Some(now + MIN_INTERVAL));
    }
}
