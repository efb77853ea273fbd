//! The vendor's rule for repeated failures (protocol.md §3.4). A client that ignores it gets blocked.

use std::time::Duration;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// One more failure: how long to wait before the next attempt.
    pub fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        match self.failures {
            1 => Duration::from_millis(100),
            2 => Duration::from_secs(15),
            3..=5 => Duration::from_secs(45),
            6..=10 => Duration::from_secs(10 * 60),
            _ => Duration::from_secs(60 * 60),
        }
    }

    /// Any success starts over.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_vendors_table() {
        let mut backoff = Backoff::default();
        let seconds: Vec<f64> = (0..12).map(|_| backoff.failed().as_secs_f64()).collect();
        assert_eq!(seconds, [0.1, 15.0, 45.0, 45.0, 45.0, 600.0, 600.0, 600.0, 600.0, 600.0, 3600.0, 3600.0]);
        backoff.succeeded();
        assert_eq!(backoff.failed(), Duration::from_millis(100));
    }
}
