//! Reservations in the portal that this client does not know. Each is an orphan, because an answer was lost or a process
//! ended, or belongs to another consumer at work. Time tells which. Pure: no clock, no portal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::OrphanAges;

/// A reservation that `event.offline.list` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its `process_id`.
    pub process_id: String,
    /// Whether its records had been marked as failed before they were reserved.
    pub failed: bool,
    /// The smallest `ID` of its records.
    pub first_id: u64,
}

/// The reservations in a part of the queue.
#[derive(Debug, Default)]
pub struct ReservationList {
    /// Each once.
    pub reservations: Vec<Reservation>,
    /// The part begins after this `ID`.
    pub after: u64,
    /// It ends with this `ID`; `None`: with the queue.
    pub last: Option<u64>,
}

impl ReservationList {
    fn covers(&self, id: u64) -> bool {
        id > self.after && self.last.is_none_or(|last| id <= last)
    }
}

/// The moment of a look at the portal's reservations.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Measures ages within the process, because the wall clock may be set.
    pub now: Instant,
    /// Bridges the time between two processes. Seconds since 1970.
    pub unix: u64,
}

/// What a look at the portal's reservations has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// These are ours from now on.
    pub(super) orphans: Vec<Reservation>,
    /// When the next one is old enough.
    pub(super) next: Option<Duration>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    known: BTreeMap<String, Stranger>,
    /// How long ago another consumer was seen at work; `None`: not within [`COMPANY_AGE`].
    company: Option<Duration>,
    /// The last look, with which the ages go. `None`: a former process had it.
    looked: Option<Instant>,
    looked_unix: u64,
}

#[derive(Debug)]
struct Stranger {
    age: Duration,
    first_id: u64,
    /// Clients that have seen it at the same moment have to take it over at different ones. [`PARTS`] double the age;
    /// `None`: not chosen yet.
    extra: Option<u32>,
}

impl Stranger {
    fn missing(&self, age: Duration) -> Duration {
        (age + age / PARTS * self.extra.unwrap_or(0)).saturating_sub(self.age)
    }
}

const PARTS: u32 = 1024;
/// Who was not seen at work for so long is gone.
const COMPANY_AGE: Duration = Duration::from_secs(86_400);

/// The stored form of [`Strangers`]. Ages are those of the last look.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StoredStrangers {
    known: BTreeMap<String, StoredStranger>,
    #[serde(skip_serializing_if = "Option::is_none")]
    company_s: Option<u64>,
    looked: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct StoredStranger {
    age_s: u64,
    first_id: u64,
}

impl StoredStrangers {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.company_s.is_none()
    }
}

impl Strangers {
    /// Takes in what `list` shows without what `is_ours`. `random` spreads when they are taken over.
    pub(super) fn look(
        &mut self,
        list: ReservationList,
        is_ours: impl Fn(&str) -> bool,
        ages: OrphanAges,
        moment: Moment,
        mut random: impl FnMut() -> u64,
    ) -> Found {
        self.grow_older(ages, moment);
        let shown: BTreeMap<&str, &Reservation> =
            list.reservations.iter().map(|reservation| (reservation.process_id.as_str(), reservation)).collect();
        let known = self.known.len();
        // Records that were there are gone only if somebody has acknowledged them.
        self.known.retain(|id, stranger| {
            !list.covers(stranger.first_id)
                || shown.get(id.as_str()).is_some_and(|shown| shown.first_id <= stranger.first_id)
        });
        if self.known.len() < known {
            self.company = Some(Duration::ZERO);
        }
        let age = self.age(ages);
        let mut found = Found::default();
        for reservation in &list.reservations {
            if is_ours(&reservation.process_id) {
                continue;
            }
            let new = Stranger { age: Duration::ZERO, first_id: reservation.first_id, extra: None };
            let stranger = self.known.entry(reservation.process_id.clone()).or_insert(new);
            stranger.extra.get_or_insert_with(|| u32::try_from(random() % u64::from(PARTS)).unwrap_or(0));
            if stranger.missing(age).is_zero() {
                found.orphans.push(reservation.clone());
            }
        }
        found.orphans.iter().for_each(|orphan| self.forget(&orphan.process_id));
        found.next = self.known.values().map(|stranger| stranger.missing(age)).min();
        found
    }

    /// A reservation is ours now.
    pub(super) fn forget(&mut self, process_id: &str) {
        self.known.remove(process_id);
    }

    fn age(&self, ages: OrphanAges) -> Duration {
        if self.company.is_some() { ages.in_company } else { ages.alone }
    }

    fn grow_older(&mut self, ages: OrphanAges, moment: Moment) {
        let between_processes = match self.looked_unix {
            0 => Duration::ZERO,
            looked => Duration::from_secs(moment.unix.saturating_sub(looked)),
        };
        let here = self.looked.replace(moment.now).map(|looked| moment.now.saturating_duration_since(looked));
        // The wall clock may have been set between two processes, so it makes nothing older by more than a part.
        let passed = |age: Duration| here.unwrap_or_else(|| between_processes.min(age / 4));
        let (for_strangers, for_company) = (passed(self.age(ages)), passed(COMPANY_AGE));
        self.looked_unix = moment.unix;
        self.known.values_mut().for_each(|stranger| stranger.age = stranger.age.saturating_add(for_strangers));
        let company = self.company.map(|age| age.saturating_add(for_company));
        self.company = company.filter(|age| *age < COMPANY_AGE);
    }

    /// Takes over what a former process has seen, without what `is_ours`.
    pub(super) fn restore(&mut self, stored: StoredStrangers, is_ours: impl Fn(&str) -> bool) {
        for (id, StoredStranger { age_s, first_id }) in stored.known {
            if !is_ours(&id) {
                let age = Duration::from_secs(age_s);
                let known = self.known.entry(id).or_insert(Stranger { age, first_id, extra: None });
                known.age = known.age.max(age);
            }
        }
        let company = stored.company_s.map(Duration::from_secs);
        self.company = self.company.into_iter().chain(company).min();
        self.looked_unix = self.looked_unix.max(stored.looked);
    }

    pub(super) fn stored(&self) -> StoredStrangers {
        let store = |(id, stranger): (&String, &Stranger)| {
            (id.clone(), StoredStranger { age_s: stranger.age.as_secs(), first_id: stranger.first_id })
        };
        StoredStrangers {
            known: self.known.iter().map(store).collect(),
            company_s: self.company.map(|age| age.as_secs()),
            looked: self.looked_unix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const AGES: OrphanAges = OrphanAges { alone: MINUTE, in_company: Duration::from_secs(3600) };

    struct Run {
        strangers: Strangers,
        start: Instant,
        ours: Vec<&'static str>,
        random: u64,
    }

    impl Run {
        fn new() -> Run {
            Run { strangers: Strangers::default(), start: Instant::now(), ours: Vec::new(), random: 0 }
        }

        /// Looks at the queue this long after the start; the wall clock shows `unix`. Returns what is taken over.
        fn look_at(&mut self, list: ReservationList, seconds: u64, unix: u64) -> (Vec<String>, Option<Duration>) {
            let moment = Moment { now: self.start + Duration::from_secs(seconds), unix };
            let found = self.strangers.look(list, |id| self.ours.contains(&id), AGES, moment, || self.random);
            (found.orphans.into_iter().map(|orphan| orphan.process_id).collect(), found.next)
        }

        fn look(&mut self, shown: &[(&str, u64)], seconds: u64) -> Vec<String> {
            self.look_at(whole(shown), seconds, 1_000_000 + seconds).0
        }

        /// The next process.
        fn restart(&self) -> Run {
            let mut next = Run::new();
            let json = serde_json::to_string(&self.strangers.stored()).unwrap();
            next.strangers.restore(serde_json::from_str(&json).unwrap(), |_| false);
            next
        }
    }

    fn whole(shown: &[(&str, u64)]) -> ReservationList {
        let reservation = |(id, first_id): &(&str, u64)| Reservation {
            process_id: (*id).to_owned(),
            failed: false,
            first_id: *first_id,
        };
        ReservationList { reservations: shown.iter().map(reservation).collect(), after: 0, last: None }
    }

    #[test]
    fn what_stays_unknown_is_taken_over_once_it_is_old_enough() {
        let mut run = Run::new();
        run.ours = vec!["ours"];
        let shown = [("ours", 1), ("lost", 2)];
        assert_eq!(run.look_at(whole(&shown), 0, 1), (vec![], Some(MINUTE)));
        assert_eq!(run.look_at(whole(&shown), 59, 60), (vec![], Some(Duration::from_secs(1))));
        assert_eq!(run.look_at(whole(&shown), 60, 61), (vec!["lost".to_owned()], None));
    }

    #[test]
    fn the_extra_age_is_random_and_doubles_the_age_at_most() {
        for (random, seconds) in [(0, 60), (512, 90), (1023, 120), (1024, 60), (u64::MAX, 120)] {
            let mut run = Run { random, ..Run::new() };
            assert!(run.look(&[("lost", 1)], 0).is_empty());
            assert!(run.look(&[("lost", 1)], seconds - 1).is_empty(), "{random}");
            assert_eq!(run.look(&[("lost", 1)], seconds), ["lost"], "{random}");
        }
    }

    #[test]
    fn whoever_acknowledges_is_company_for_a_day() {
        let before = [("a", 1), ("lost", 5)];
        // All of a reservation, or a part of it.
        for after in [&[("lost", 5)][..], &[("a", 2), ("lost", 5)]] {
            let mut run = Run::new();
            run.look(&before, 0);
            run.look(after, 10);
            assert!(run.look(after, 3599).is_empty());
            assert!(run.look(after, 3600).contains(&"lost".to_owned()));
            run.strangers.forget("a");
            let day = 10 + 86_400;
            assert!(run.look(&[("b", 9)], day - 61).is_empty());
            assert!(run.look(&[("b", 9)], day - 1).is_empty(), "still in company");
            assert_eq!(run.look(&[("b", 9)], day), ["b"]);
        }
    }

    #[test]
    fn what_was_not_shown_because_the_list_ends_before_it_is_not_gone() {
        let mut run = Run::new();
        run.look(&[("a", 10), ("b", 60)], 0);
        let part = |after, last, shown: &[(&str, u64)]| ReservationList { after, last, ..whole(shown) };
        assert!(run.look_at(part(0, Some(50), &[("a", 10)]), 30, 30).0.is_empty());
        assert!(run.look_at(part(50, None, &[("a", 51), ("b", 60)]), 40, 40).0.is_empty());
        assert!(run.strangers.company.is_none());
        assert_eq!(run.look_at(part(50, None, &[("a", 51), ("b", 60)]), 60, 60).0, ["a", "b"]);
    }

    #[test]
    fn the_wall_clock_makes_nothing_old() {
        let mut run = Run::new();
        run.look(&[("a", 1)], 0);
        assert!(run.look_at(whole(&[("a", 1)]), 2, u64::MAX).0.is_empty());
        let mut run = Run::new();
        run.look(&[("a", 1)], 0);
        assert!(run.restart().look_at(whole(&[("a", 1)]), 0, u64::MAX).0.is_empty(), "alone");
        run.look(&[("a", 1), ("gone", 2)], 0);
        run.look(&[("a", 1)], 0);
        for _ in 0..3 {
            run = run.restart();
            assert!(run.look_at(whole(&[("a", 1)]), 0, u64::MAX / 2).0.is_empty());
            run.strangers.looked_unix = 1;
        }
    }

    #[test]
    fn the_next_process_goes_on_with_the_ages() {
        let mut run = Run::new();
        run.look(&[("a", 1)], 0);
        run.look(&[("a", 1)], 40);
        let mut next = run.restart();
        assert_eq!(next.look_at(whole(&[("a", 1)]), 0, 1_000_045).1, Some(Duration::from_secs(15)));
        assert_eq!(next.look(&[("a", 1)], 15), ["a"]);
        let mut lost = run.restart();
        lost.look_at(whole(&[]), 0, 1_000_050);
        assert!(lost.restart().strangers.company.is_some(), "what is gone was somebody else's");
    }
}
