//! The one seam through which time and chance come in, so that tests can drive both.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where time and chance come from.
pub trait Clock: Send + Sync {
    /// Time that only runs forward, for waits.
    fn now(&self) -> Instant;
    /// Wall clock in seconds since 1970, for the expiry of tokens and channels.
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

/// How long a blocking call may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// At most this long; zero means: look once, do not wait.
    After(Duration),
    /// Until something comes or the client is closed.
    Never,
}

impl Timeout {
    /// From milliseconds as the doors take them: negative means no limit.
    pub fn from_millis(millis: i32) -> Timeout {
        match u64::try_from(millis) {
            Ok(millis) => Timeout::After(Duration::from_millis(millis)),
            Err(_) => Timeout::Never,
        }
    }

    /// The moment when the time is over; `None` when it never is.
    pub fn deadline(self, now: Instant) -> Option<Instant> {
        match self {
            Timeout::After(duration) => now.checked_add(duration),
            Timeout::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_milliseconds_mean_for_ever() {
        let now = SystemClock.now();
        assert_eq!(Timeout::from_millis(-1).deadline(now), None);
        assert_eq!(Timeout::from_millis(i32::MIN).deadline(now), None);
        assert_eq!(Timeout::from_millis(0).deadline(now), Some(now));
        assert_eq!(Timeout::from_millis(1500).deadline(now), Some(now + Duration::from_millis(1500)));
    }

    #[test]
    fn chance_is_not_constant() {
        let first = SystemClock.random();
        assert!((0..8).any(|_| SystemClock.random() != first));
    }
}
