//! The portal's limits, kept on our side: a leaky bucket as the portal counts it (protocol.md §2).
//!
//! The portal counts per portal and source address, so all clients of the process that talk to one portal share one.

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

/// How slow the pace may become after refusals, as a part of the configured one.
const SLOWEST_PACE: f64 = 0.125;

/// The bucket of one portal.
pub struct Limiter {
    bucket: Mutex<Bucket>,
}

impl Limiter {
    /// The limiter of a portal. Clients with different settings share the more careful ones.
    pub fn of(portal: &str, burst: f64, per_second: f64, now: Instant) -> Arc<Limiter> {
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

    /// Waits for the turn of one request. Ends with an error when that would be after `deadline`, or on closing.
    pub fn turn(&self, deadline: Deadline, clock: &dyn Clock, cancel: &Cancellation) -> Result<()> {
        let wait = {
            let now = clock.now();
            let mut bucket = lock(&self.bucket);
            let wait = bucket.enter(now);
            if wait > deadline.left(now) {
                bucket.leave();
                return Err(refusal::refused(0, "QUERY_LIMIT_EXCEEDED", "held back by rate.burst and rate.per_second"));
            }
            wait
        };
        if wait.is_zero() {
            return Ok(());
        }
        cancel.sleep(wait).inspect_err(|_: &Error| lock(&self.bucket).leave())
    }

    /// The portal answered `QUERY_LIMIT_EXCEEDED`: somebody else uses its limit too, or it is smaller than configured.
    pub fn refused(&self, now: Instant) {
        lock(&self.bucket).refused(now);
    }

    /// The portal took a request.
    pub fn passed(&self) {
        lock(&self.bucket).passed();
    }
}

/// What is in the bucket: each request adds one, `per_second` drain away.
#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Instant,
    burst: f64,
    per_second: f64,
    pace: f64,
}

impl Bucket {
    fn new(burst: f64, per_second: f64, now: Instant) -> Bucket {
        Bucket { level: 0.0, at: now, burst, per_second, pace: 1.0 }
    }

    fn restrict(&mut self, burst: f64, per_second: f64) {
        self.burst = self.burst.min(burst);
        self.per_second = self.per_second.min(per_second);
    }

    fn drain(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level - seconds * self.per_second * self.pace).max(0.0);
        self.at = now;
    }

    /// Adds a request. Returns how long it has to wait.
    fn enter(&mut self, now: Instant) -> Duration {
        self.drain(now);
        self.level += 1.0;
        Duration::try_from_secs_f64((self.level - self.burst) / (self.per_second * self.pace)).unwrap_or_default()
    }

    /// Takes a request out that is not sent.
    fn leave(&mut self) {
        self.level = (self.level - 1.0).max(0.0);
    }

    fn refused(&mut self, now: Instant) {
        self.drain(now);
        self.level = self.level.max(self.burst);
        self.pace = (self.pace / 2.0).max(SLOWEST_PACE);
    }

    fn passed(&mut self) {
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
        fn takes(&mut self, now: Instant) -> bool {
            let fits = self.0.enter(now).is_zero();
            if !fits {
                self.0.leave();
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
            now += bucket.enter(now);
            assert!(portal.takes(now + Duration::from_nanos(10)), "request {request}");
        }
        assert_eq!((now - start).as_secs(), 475, "50 at once, 950 at two a second");
    }

    #[test]
    fn refusals_slow_it_down_and_it_recovers() {
        let start = Instant::now();
        let mut bucket = Bucket::new(50.0, 2.0, start);
        bucket.refused(start);
        let slow = bucket.enter(start);
        assert_eq!(slow, Duration::from_secs(1), "half the pace");
        for _ in 0..100 {
            bucket.passed();
        }
        let later = start + Duration::from_secs(600);
        assert_eq!(bucket.enter(later), Duration::ZERO);
        assert_eq!(bucket.pace, 1.0);
        (0..10).for_each(|_| bucket.refused(later));
        assert_eq!(bucket.pace, SLOWEST_PACE);
    }

    #[test]
    fn a_turn_that_comes_too_late_is_told_and_takes_no_place() {
        let clock = SystemClock;
        let limiter = Limiter::of("https://late.example", 1.0, 0.001, clock.now());
        let cancel = Cancellation::default();
        let soon = Deadline::after(Duration::from_secs(5), clock.now());
        limiter.turn(soon, &clock, &cancel).unwrap();
        for _ in 0..3 {
            let error = limiter.turn(soon, &clock, &cancel).unwrap_err();
            assert_eq!(error.code(), "QUERY_LIMIT_EXCEEDED");
        }
        assert!(lock(&limiter.bucket).level < 1.5);
    }

    #[test]
    fn clients_of_one_portal_share_it() {
        let now = Instant::now();
        let first = Limiter::of("https://shared.example", 50.0, 2.0, now);
        let second = Limiter::of("https://shared.example", 10.0, 5.0, now);
        assert!(Arc::ptr_eq(&first, &second));
        let bucket = lock(&first.bucket);
        assert_eq!((bucket.burst, bucket.per_second), (10.0, 2.0));
    }
}
