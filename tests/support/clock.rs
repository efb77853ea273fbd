//! A clock that can be set ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use b24events::clock::{Clock, SystemClock};

/// The system's clock, ahead of it by as much as a test has advanced it. What waits already does not notice.
#[derive(Default)]
pub struct TestClock {
    ahead_ms: AtomicU64,
}

impl TestClock {
    pub fn advance(&self, duration: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
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
        SystemClock.unix() + self.ahead().as_secs()
    }

    fn random(&self) -> u64 {
        SystemClock.random()
    }
}
