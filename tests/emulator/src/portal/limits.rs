//! The two limits of the cloud: the number of calls, and the running time of each method.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::options::Limits;
use crate::time;

/// Running time is counted over ten minutes.
const OPERATING_WINDOW: Duration = Duration::from_secs(600);
/// A method that has run so many seconds is blocked.
const OPERATING_LIMIT: f64 = 420.0;

/// A leaky bucket.
pub struct Bucket {
    limits: Limits,
    level: f64,
    since: Instant,
}

impl Bucket {
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, level: 0.0, since: now }
    }

    /// Whether one more call fits in. A refused call does not fill the bucket.
    pub fn admit(&mut self, now: Instant) -> bool {
        let drained = now.saturating_duration_since(self.since).as_secs_f64() * self.limits.per_second;
        self.level = (self.level - drained).max(0.0);
        self.since = now;
        let fits = self.level + 1.0 <= f64::from(self.limits.burst);
        if fits {
            self.level += 1.0;
        }
        fits
    }
}

/// Running time of methods, and the methods that are blocked because they used too much.
#[derive(Default)]
pub struct Operating {
    used: HashMap<String, Used>,
    /// Until when, in unix seconds.
    blocked: HashMap<String, i64>,
    /// The next success says when the running time is forgotten, and then the method is blocked until then.
    exhausted: HashMap<String, i64>,
}

struct Used {
    seconds: f64,
    reset_at: i64,
}

impl Operating {
    pub fn block(&mut self, method: &str, until: i64) {
        self.blocked.insert(method.to_lowercase(), until);
    }

    /// Blocks the method after its next success, which tells until when.
    pub fn exhaust(&mut self, method: &str, until: i64) {
        self.exhausted.insert(method.to_lowercase(), until);
    }

    pub fn unblock_all(&mut self) {
        self.blocked.clear();
        self.exhausted.clear();
    }

    pub fn is_blocked(&mut self, method: &str) -> bool {
        let now = time::unix_now();
        self.blocked.retain(|_, until| now < *until);
        self.blocked.contains_key(method)
    }

    /// Adds a call; the answer is `operating` and `operating_reset_at`.
    pub fn add(&mut self, method: &str, ran: Duration) -> (f64, i64) {
        let now = time::unix_now();
        if let Some(until) = self.exhausted.remove(method) {
            self.block(method, until);
            return (OPERATING_LIMIT, until);
        }
        let reset_at = now + time::seconds(OPERATING_WINDOW);
        let used = self.used.entry(method.to_owned()).or_insert(Used { seconds: 0.0, reset_at });
        if used.reset_at <= now {
            *used = Used { seconds: 0.0, reset_at };
        }
        used.seconds += ran.as_secs_f64();
        (used.seconds, used.reset_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_overflows_and_drains() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Limits { burst: 3, per_second: 2.0 }, start);
        let admitted = (0..5).filter(|_| bucket.admit(start)).count();
        assert_eq!(admitted, 3);
        assert!(bucket.admit(start + Duration::from_millis(500)));
        assert!(!bucket.admit(start + Duration::from_millis(500)));
    }
}
