//! How long to wait before trying again.

use std::time::Duration;

/// How the pauses between attempts grow.
#[derive(Clone, Copy, Debug)]
pub enum Schedule {
    /// Each pause is twice as long as the one before, up to `max`.
    Doubling {
        /// The first pause.
        first: Duration,
        /// The maximum pause.
        max: Duration,
    },
    /// These pauses, one after the other; then the last one again and again.
    Steps(&'static [Duration]),
}

/// Counts consecutive failures and returns the pause after each.
#[derive(Clone, Debug)]
pub struct Backoff {
    schedule: Schedule,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub const fn new(schedule: Schedule) -> Backoff {
        Backoff { schedule, failures: 0 }
    }

    /// How many failures there were since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure and returns the pause before the next attempt.
    pub fn failed(&mut self) -> Duration {
        let pause = match self.schedule {
            Schedule::Doubling { first, max } => first.saturating_mul(2u32.saturating_pow(self.failures)).min(max),
            Schedule::Steps(steps) => {
                steps.get(self.failures as usize).or(steps.last()).copied().unwrap_or(Duration::ZERO)
            }
        };
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Resets the count after a success.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Changes a pause by up to a quarter, so that many clients do not try again at the same moment.
pub fn with_jitter(pause: Duration, random: u64) -> Duration {
    const WHOLE: u32 = 1024;
    let span = u64::from(WHOLE / 2 + 1);
    let spread = u32::try_from(random % span).unwrap_or_default();
    pause.saturating_mul(WHOLE * 3 / 4 + spread) / WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pauses(schedule: Schedule, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::new(schedule);
        (0..count).map(|_| backoff.failed().as_millis()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let schedule = Schedule::Doubling { first: millis(100), max: millis(500) };
        assert_eq!(pauses(schedule, 5), [100, 200, 400, 500, 500]);
        let mut backoff = Backoff { failures: u32::MAX, ..Backoff::new(schedule) };
        assert_eq!(backoff.failed(), millis(500));
        assert_eq!(backoff.failures(), u32::MAX);
    }

    #[test]
    fn jitter_changes_a_pause_by_up_to_a_quarter() {
        let pause = |random| with_jitter(millis(1024), random).as_millis();
        assert_eq!([pause(0), pause(256), pause(512), pause(513)], [768, 1024, 1280, 768]);
        assert!((768..=1280).contains(&pause(u64::MAX)));
        assert!(with_jitter(Duration::MAX, 512) < Duration::MAX);
    }

    #[test]
    fn the_last_step_repeats_until_a_success_resets_the_count() {
        const STEPS: [Duration; 2] = [millis(1), millis(7)];
        assert_eq!(pauses(Schedule::Steps(&STEPS), 4), [1, 7, 7, 7]);
        assert_eq!(pauses(Schedule::Steps(&[]), 2), [0, 0]);
        let mut backoff = Backoff::new(Schedule::Steps(&STEPS));
        backoff.failed();
        assert_eq!(backoff.failures(), 1);
        backoff.succeeded();
        assert_eq!((backoff.failures(), backoff.failed()), (0, millis(1)));
    }
}
