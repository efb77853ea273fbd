//! Keeps to the portal's request limits: a leaky bucket, counted like the portal does (docs/protocol.md §2).
//!
//! The portal counts the requests of each source address, so all clients of the process share one bucket per portal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::refusal;
use crate::cancel::Cancellation;
use crate::clock::{Clock, Deadline};
use crate::error::{Error, Result};
use crate::lock;
use crate::process::PerProcess;

static LIMITERS: PerProcess<Mutex<HashMap<String, Weak<Limiter>>>> = PerProcess::new();

/// The bucket is not filled completely; what drains in this many seconds stays free. One second, because the portal
/// drains its bucket once a second instead of continuously. Another one, because requests that were sent over a second
/// can be delayed and arrive together.
const MARGIN_SECONDS: f64 = 2.0;

/// The minimum pace after refusals, as a fraction of the configured one.
const MIN_PACE: f64 = 0.125;

/// The bucket of one portal.
pub struct Limiter {
    bucket: Mutex<Bucket>,
}

impl Limiter {
    /// The limiter of a portal. If clients have different settings, the lower limits apply.
    pub fn shared(portal: &str, burst: f64, per_second: f64, now: Instant) -> Arc<Limiter> {
        let mut limiters = lock(LIMITERS.get());
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
                return Err(too_late());
            }
            wait
        };
        if wait.is_zero() {
            return Ok(());
        }
        cancel.sleep(wait).inspect_err(|_: &Error| lock(&self.bucket).remove())
    }

    /// To be called after `QUERY_LIMIT_EXCEEDED`: another program shares the limits, or they are lower than configured.
    pub fn slow_down(&self, now: Instant) {
        lock(&self.bucket).slow_down(now);
    }

    /// To be called after the portal has accepted a request.
    pub fn speed_up(&self) {
        lock(&self.bucket).speed_up();
    }
}

fn too_late() -> Error {
    let text =
        "the request was not sent, because rate.burst and rate.per_second do not allow it within http.timeout_ms";
    refusal::foreseen("QUERY_LIMIT_EXCEEDED", text)
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

    /// How many requests may be sent at once; at least half of the configured burst, and one.
    fn capacity(&self) -> f64 {
        (self.burst - MARGIN_SECONDS * self.per_second).max(self.burst / 2.0).max(1.0)
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
        Duration::try_from_secs_f64((self.level - self.capacity()) / (self.per_second * self.pace)).unwrap_or_default()
    }

    /// Removes a request that is not going to be sent.
    fn remove(&mut self) {
        self.level = (self.level - 1.0).max(0.0);
    }

    fn slow_down(&mut self, now: Instant) {
        self.drain(now);
        self.level = self.level.max(self.capacity());
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

    /// The bucket of a portal, which is drained once a second.
    struct Portal {
        level: f64,
        burst: f64,
        per_second: f64,
        next_drain: Instant,
    }

    impl Portal {
        fn accepts(&mut self, now: Instant) -> bool {
            while self.next_drain <= now {
                self.level = (self.level - self.per_second).max(0.0);
                self.next_drain += Duration::from_secs(1);
            }
            let fits = self.level + 1.0 <= self.burst;
            if fits {
                self.level += 1.0;
            }
            fits
        }
    }

    /// When a bucket lets requests go if there are always more waiting.
    fn departures(mut bucket: Bucket, start: Instant, count: usize) -> Vec<Instant> {
        let mut now = start;
        let mut next = || {
            now += bucket.add(now);
            now
        };
        (0..count).map(|_| next()).collect()
    }

    /// How many requests a portal refuses. It drains its bucket `phase` after the first departure and then every second.
    /// Requests that depart in the second before one of the `stalls` arrive together, at that moment.
    fn refusals(departures: &[Instant], burst: f64, per_second: f64, phase: Duration, stalls: &[Duration]) -> usize {
        let start = departures[0];
        let mut portal = Portal { level: 0.0, burst, per_second, next_drain: start + phase };
        let arrival = |departure: Instant| {
            let stall = stalls.iter().map(|end| start + *end).find(|end| *end >= departure);
            stall.filter(|end| *end - departure <= Duration::from_secs(1)).unwrap_or(departure)
        };
        departures.iter().filter(|departure| !portal.accepts(arrival(**departure))).count()
    }

    #[test]
    fn no_request_is_refused_even_if_requests_arrive_late_and_together() {
        let start = Instant::now();
        let millis = Duration::from_millis;
        for (burst, per_second) in [(50.0, 2.0), (250.0, 5.0)] {
            let with_margin = departures(Bucket::new(burst, per_second, start), start, 600);
            let full_bucket = Bucket::new(burst + MARGIN_SECONDS * per_second, per_second, start);
            let without_margin = departures(full_bucket, start, 600);
            let mut refused_without_margin = 0;
            for phase in (0..1000).step_by(50).map(millis) {
                for stall in (0..1000).step_by(50).map(millis) {
                    let stalls: Vec<_> = (1..100).step_by(3).map(|second| millis(second * 1000) + stall).collect();
                    let refused = |departures| refusals(departures, burst, per_second, phase, &stalls);
                    assert_eq!(refused(&with_margin), 0, "{burst}/{per_second}: {phase:?} {stall:?}");
                    refused_without_margin += refused(&without_margin);
                }
            }
            assert!(refused_without_margin > 0, "the portal of this test refuses nothing");
        }
    }

    #[test]
    fn the_margin_costs_the_burst_a_few_requests_and_the_rate_none() {
        let start = Instant::now();
        let departures = departures(Bucket::new(50.0, 2.0, start), start, 1000);
        let at_once = departures.iter().filter(|departure| **departure == start).count();
        assert_eq!((at_once, (departures[999] - start).as_secs()), (46, 477), "46 at once, 954 at two a second");
        for (burst, per_second, capacity) in [(250.0, 5.0, 240.0), (5.0, 19.0, 2.5), (1.0, 2.0, 1.0)] {
            assert_eq!(Bucket::new(burst, per_second, start).capacity(), capacity, "{burst}/{per_second}");
        }
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
