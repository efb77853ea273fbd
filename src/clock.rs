//! The only source of time and randomness, so that tests can control both; timeouts and deadlines.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where time and randomness come from.
pub trait Clock: Send + Sync {
    /// Monotonic time, for waits.
    fn now(&self) -> Instant;
    /// The wall clock in seconds since 1970, for times that the portal states.
    fn unix(&self) -> u64;
    /// A random number, for jitter. Not for secrets.
    fn random(&self) -> u64;
}

/// The operating system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    fn random(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// A whole number of seconds within `bounds`, chosen by the random number `random`.
pub fn random_seconds(bounds: Range<u64>, random: u64) -> Duration {
    let span = bounds.end.saturating_sub(bounds.start);
    Duration::from_secs(bounds.start + random.checked_rem(span).unwrap_or(0))
}

/// How long a blocking call may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// At most this long. Zero means to look once without waiting.
    After(Duration),
    /// Until there is a result or the client is closed.
    Never,
}

impl Timeout {
    /// Converts milliseconds as the doors receive them: a negative number means no limit.
    pub fn from_millis(millis: i32) -> Timeout {
        match u64::try_from(millis) {
            Ok(millis) => Timeout::After(Duration::from_millis(millis)),
            Err(_) => Timeout::Never,
        }
    }

    /// The moment at which the timeout expires, counted from `now`.
    pub fn deadline(self, now: Instant) -> Deadline {
        match self {
            Timeout::After(duration) => Deadline::after(duration, now),
            Timeout::Never => Deadline(None),
        }
    }
}

/// The moment by which something has to be done, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// `duration` after `now`; no deadline if that is later than an [`Instant`] can represent.
    pub fn after(duration: Duration, now: Instant) -> Deadline {
        Deadline(now.checked_add(duration))
    }

    /// How much time is left; [`Duration::MAX`] if there is no deadline.
    pub fn left(self, now: Instant) -> Duration {
        self.0.map_or(Duration::MAX, |at| at.saturating_duration_since(now))
    }

    /// The time left, as the timeout of a wait.
    pub fn timeout(self, now: Instant) -> Timeout {
        self.0.map_or(Timeout::Never, |_| Timeout::After(self.left(now)))
    }

    /// Whether no time is left.
    pub fn has_passed(self, now: Instant) -> bool {
        self.left(now).is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_milliseconds_mean_no_deadline() {
        let now = SystemClock.now();
        for millis in [-1, i32::MIN] {
            let deadline = Timeout::from_millis(millis).deadline(now);
            assert_eq!((deadline.left(now), deadline.timeout(now)), (Duration::MAX, Timeout::Never));
            assert!(!deadline.has_passed(now));
        }
        assert!(Timeout::from_millis(0).deadline(now).has_passed(now));
        let deadline = Timeout::from_millis(1500).deadline(now);
        assert_eq!(deadline.timeout(now + Duration::from_millis(500)), Timeout::After(Duration::from_secs(1)));
        assert!(deadline.has_passed(now + Duration::from_millis(1500)));
        assert!(!Deadline::after(Duration::MAX, now).has_passed(now));
    }

    #[test]
    fn random_numbers_differ() {
        let first = SystemClock.random();
        assert!((0..8).any(|_| SystemClock.random() != first));
    }
}
