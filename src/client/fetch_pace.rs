//! How soon to fetch again after a fetch has failed.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::retry::{Backoff, Schedule};

/// The pauses between calls. A call itself repeats a few times after shorter ones.
const PAUSES: Schedule = Schedule::Doubling { first: Duration::from_secs(1), max: Duration::from_secs(30) };

/// Counts calls that have failed. Each gives its ring back, so without a pause the next one would follow at once.
#[derive(Debug)]
pub(super) struct FetchPace {
    backoff: Backoff,
    /// When the next fetch may be made, and why not earlier.
    retry: Option<(Instant, Error)>,
    /// The last failure was one that somebody has to fix, and was not paused for.
    awaits_fix: bool,
}

impl Default for FetchPace {
    /// No failure yet.
    fn default() -> FetchPace {
        FetchPace { backoff: Backoff::new(PAUSES), retry: None, awaits_fix: false }
    }
}

impl FetchPace {
    /// How long to wait before the next fetch.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.retry.as_ref().map_or(Duration::ZERO, |(at, _)| at.saturating_duration_since(now))
    }

    /// The failure that is paused for.
    pub(super) fn error(&self) -> Option<Error> {
        self.retry.as_ref().map(|(_, error)| error.clone())
    }

    /// A fetch failed. The first failure that somebody has to fix costs no pause: it may be fixed before the next call.
    pub(super) fn failed(&mut self, error: &Error, now: Instant) {
        if !error.is_transient() && self.backoff.failures() == 0 && !self.awaits_fix {
            self.awaits_fix = true;
        } else {
            self.retry = Some((now + self.backoff.failed().max(error.min_pause()), error.clone()));
        }
    }

    /// A fetch succeeded, or what made it fail may be fixed.
    pub(super) fn reset(&mut self) {
        *self = FetchPace::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(error: &Error, count: usize) -> Vec<u64> {
        let mut now = Instant::now();
        let mut pace = FetchPace::default();
        (0..count)
            .map(|_| {
                pace.failed(error, now);
                let pause = pace.pause(now);
                now += pause;
                assert!(pace.pause(now).is_zero());
                assert_eq!(pace.error().as_ref(), Some(error).filter(|_| !pause.is_zero()));
                pause.as_secs()
            })
            .collect()
    }

    #[test]
    fn pauses_grow_and_the_first_chance_to_fix_something_comes_without_one() {
        assert_eq!(pauses(&Error::Network("x".into()), 7), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pauses(&Error::HostMustRenew, 4), [0, 1, 2, 4]);
    }

    #[test]
    fn a_reset_starts_over() {
        let now = Instant::now();
        let mut pace = FetchPace::default();
        pace.failed(&Error::Network("x".into()), now);
        pace.failed(&Error::Network("x".into()), now);
        assert_eq!(pace.pause(now), Duration::from_secs(2));
        pace.reset();
        assert!(pace.pause(now).is_zero());
        pace.failed(&Error::Network("x".into()), now);
        assert_eq!(pace.pause(now), Duration::from_secs(1));
    }
}
