//! Keeps to the portal's request limits: a leaky bucket, counted like the portal does (docs/protocol.md §2).
//!
//! The portal counts the requests of each source address, so all clients of the process share one bucket per portal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use once_cell::sync::Lazy;

use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline};
use crate::error::{Error, Result};
use crate::lock;
use crate::portal::refusal;

static LIMITERS: Lazy<Mutex<HashMap<String, Weak<Limiter>>>> = Lazy::new(Mutex::default);

/// The minimum pace after refusals, as a fraction of the configured one.
const MIN_PACE: f64 = 0.125;

/// The bucket of one portal.
pub struct Limiter {
    bucket: Mutex<Bucket>,
}

impl Limiter {
    /// The limiter of a portal. If clients have different settings, the lower limits apply.
    pub fn shared(portal: &str, burst: f64, per_second: f64, now: Instant) -> Arc<Limiter> {
        let mut limiters = lock(&LIMITERS);
        limiters.retain(|_, limiter| limiter.strong_count() > 0);
        if let Some(limiter) = limiters.get(portal).and_then(Weak::upgrade) {
            lock(&limiter.bucket).restrict(burst, per_second);
            return limiter;
        }
        let limiter = Arc::new(Limiter { bucket: Mutex::new(Bucket::new(burst, per_second, now)) });
        limiters.insert(portal.to_owned(), Arc::downgrade(&limiter));
        limiter
    }

    /// Waits until a request may be sent. Fails if that would be after `deadline`, or if the client is closed.
    pub fn acquire(&self, deadline: Deadline, clock: &dyn Clock, cancel: &Cancellation) -> Result<()> {
        let wait = {
            let now = clock.now();
            let mut bucket = lock(&self.bucket);
            let wait = bucket.add(now);
            if wait > deadline.left(now) {
                bucket.remove();
                return Err(refusal::to_error(
                    0,
                    "QUERY_LIMIT_EXCEEDED",
                    "held back by rate.burst and rate.per_second",
                ));
            }
            wait
        };
        if wait.is_zero() {
            return Ok(());
        }
        cancel.sleep(wait).inspect_err(|_: &Error| lock(&self.bucket).remove())
    }

    /// To be called after `QUERY_LIMIT_EXCEEDED`: another program uses the same limits, or they are lower than configured.
    pub fn slow_down(&self, now: Instant) {
        lock(&self.bucket).slow_down(now);
    }

    /// To be called after the portal has accepted a request.
    pub fn speed_up(&self) {
        lock(&self.bucket).speed_up();
    }
}

/// Each request adds one to the level; `per_second` drain away.
#[derive(Debug)]
struct Bucket {
    level: f64,
    drained_at: Instant,
    burst: f64,
    per_second: f64,
    pace: f64,
}

impl Bucket {
    fn new(burst: f64, per_second: f64, now: Instant) -> Bucket {
        Bucket { level: 0.0, drained_at: now, burst, per_second, pace: 1.0 }
    }

    fn restrict(&mut self, burst: f64, per_second: f64) {
        self.burst = self.burst.min(burst);
        self.per_second = self.per_second.min(per_second);
    }

    fn drain(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.drained_at).as_secs_f64();
        self.level = (self.level - seconds * self.per_second * self.pace).max(0.0);
        self.drained_at = now;
    }

    /// Adds a request. Returns how long it has to wait.
    fn add(&mut self, now: Instant) -> Duration {
        self.drain(now);
        self.level += 1.0;
        Duration::try_from_secs_f64((self.level - self.burst) / (self.per_second * self.pace)).unwrap_or_default()
    }

    /// Removes a request that is not going to be sent.
    fn remove(&mut self) {
        self.level = (self.level - 1.0).max(0.0);
    }

    fn slow_down(&mut self, now: Instant) {
        self.drain(now);
        self.level = self.level.max(self.burst);
        self.pace = (self.pace / 2.0).max(MIN_PACE);
    }

    fn speed_up(&mut self) {
        self.pace = (self.pace * 1.05).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    /// The portal's own bucket.
    struct Portal(Bucket);

    impl Portal {
        fn accepts(&mut self, now: Instant) -> bool {
            let fits = self.0.add(now).is_zero();
            if !fits {
                self.0.remove();
            }
            fits
        }
    }

    #[test]
    fn a_client_that_keeps_to_it_is_never_refused_and_loses_no_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(50.0, 2.0, start);
        let mut portal = Portal(Bucket::new(50.0, 2.0, start));
        let mut now = start;
        for request in 0..1000 {
            now += bucket.add(now);
            assert!(portal.accepts(now + Duration::from_nanos(10)), "request {request}");
        }
        assert_eq!((now - start).as_secs(), 475, "50 at once, 950 at two a second");
    }

    #[test]
    fn refusals_slow_requests_down_until_they_succeed_again() {
        let start = Instant::now();
        let mut bucket = Bucket::new(50.0, 2.0, start);
        bucket.slow_down(start);
        let slow = bucket.add(start);
        assert_eq!(slow, Duration::from_secs(1), "half the pace");
        for _ in 0..100 {
            bucket.speed_up();
        }
        let later = start + Duration::from_secs(600);
        assert_eq!(bucket.add(later), Duration::ZERO);
        assert_eq!(bucket.pace, 1.0);
        (0..10).for_each(|_| bucket.slow_down(later));
        assert_eq!(bucket.pace, MIN_PACE);
    }

    #[test]
    fn a_request_that_would_be_late_is_refused_and_not_counted() {
        let clock = SystemClock;
        let limiter = Limiter::shared("https://late.example", 1.0, 0.001, clock.now());
        let cancel = Cancellation::default();
        let soon = Deadline::after(Duration::from_secs(5), clock.now());
        limiter.acquire(soon, &clock, &cancel).unwrap();
        for _ in 0..3 {
            let error = limiter.acquire(soon, &clock, &cancel).unwrap_err();
            assert_eq!(error.code(), "QUERY_LIMIT_EXCEEDED");
        }
        assert!(lock(&limiter.bucket).level < 1.5);
    }

    #[test]
    fn clients_of_one_portal_share_its_limiter() {
        let now = Instant::now();
        let first = Limiter::shared("https://shared.example", 50.0, 2.0, now);
        let second = Limiter::shared("https://shared.example", 10.0, 5.0, now);
        assert!(Arc::ptr_eq(&first, &second));
        let bucket = lock(&first.bucket);
        assert_eq!((bucket.burst, bucket.per_second), (10.0, 2.0));
    }
}
