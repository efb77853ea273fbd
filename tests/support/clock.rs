//! A clock that can be set ahead.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use b24events::clock::{Clock, SystemClock};

/// The system's clock, ahead of it by as much as a test has advanced it. What waits already does not notice.
#[derive(Default)]
pub struct TestClock {
    ahead_ms: AtomicU64,
    /// By how much the wall clock alone is ahead.
    wall_ahead_s: AtomicU64,
    /// Every random number, if it is set.
    random: Mutex<Option<u64>>,
}

impl TestClock {
    pub fn advance(&self, duration: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Somebody sets the wall clock ahead.
    pub fn jump_wall(&self, seconds: u64) {
        self.wall_ahead_s.fetch_add(seconds, Ordering::SeqCst);
    }

    /// From now on every random number is this one.
    pub fn set_random(&self, number: u64) {
        *self.random.lock().unwrap() = Some(number);
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::now() + self.ahead()
    }

    fn unix(&self) -> u64 {
        SystemClock.unix() + self.ahead().as_secs() + self.wall_ahead_s.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        self.random.lock().unwrap().unwrap_or_else(|| SystemClock.random())
    }
}
