//! When to check the queue after a call: the portal announces at most one change a second, or one in `minTimeout`, and
//! never announces what fell into that pause. No clock of its own, no I/O.

use std::time::{Duration, Instant};

/// The portal's pause whatever `minTimeout` it was asked to keep, and a margin, so that it has finished what it was
/// doing.
const AFTER_CALL: Duration = Duration::from_secs(2);
/// How long after the end of `minTimeout` the queue is checked.
const MARGIN: Duration = Duration::from_secs(1);

/// The checks that follow the last call. One call stands for all that came before: what those left in the queue is
/// found because it rings itself.
#[derive(Default)]
pub struct QueueChecks {
    after_call: Option<Instant>,
    after_pause: Option<Instant>,
}

impl QueueChecks {
    /// A call arrived at `now`.
    pub fn call_arrived(&mut self, now: Instant, min_timeout_s: u32) {
        let pause = Duration::from_secs(min_timeout_s.into()) + MARGIN;
        self.after_call = Some(now + AFTER_CALL);
        self.after_pause = now.checked_add(pause).filter(|_| pause > AFTER_CALL);
    }

    /// When the next check follows.
    pub fn next(&self) -> Option<Instant> {
        self.after_call.into_iter().chain(self.after_pause).min()
    }

    /// Whether it is time for a check, which then counts as made.
    pub fn is_time(&mut self, now: Instant) -> bool {
        let after_call = self.after_call.take_if(|at| *at <= now).is_some();
        self.after_pause.take_if(|at| *at <= now).is_some() || after_call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds after `start` at which checks are made, if they are asked for every half second.
    fn made(checks: &mut QueueChecks, start: Instant) -> Vec<f32> {
        let times = (0..400_u16).map(|half| f32::from(half) / 2.0);
        times.filter(|seconds| checks.is_time(start + Duration::from_secs_f32(*seconds))).collect()
    }

    #[test]
    fn each_pause_is_followed_by_one_check() {
        let start = Instant::now();
        for (min_timeout, times) in
            [(0, vec![2.0]), (1, vec![2.0]), (2, vec![2.0, 3.0]), (60, vec![2.0, 61.0]), (u32::MAX, vec![2.0])]
        {
            let mut checks = QueueChecks::default();
            assert_eq!(checks.next(), None);
            checks.call_arrived(start, min_timeout);
            assert_eq!(checks.next(), Some(start + AFTER_CALL));
            assert_eq!(made(&mut checks, start), times, "{min_timeout}");
        }
    }

    #[test]
    fn bunched_calls_are_followed_by_one_check() {
        let start = Instant::now();
        let mut checks = QueueChecks::default();
        for tenth in 0..=10 {
            checks.call_arrived(start + Duration::from_millis(tenth * 100), 5);
        }
        assert_eq!(made(&mut checks, start), [3.0, 7.0]);
        assert_eq!(checks.next(), None);
    }

    #[test]
    fn both_checks_are_one_if_nobody_asked_in_between() {
        let start = Instant::now();
        let mut checks = QueueChecks::default();
        checks.call_arrived(start, 5);
        assert!(checks.is_time(start + Duration::from_secs(100)));
        assert!(!checks.is_time(start + Duration::from_secs(200)));
    }
}
