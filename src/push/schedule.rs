//! The pauses after consecutive failures (docs/protocol.md §3.4). A client that ignores the vendor's gets blocked.

use std::time::Duration;

use crate::retry::{Backoff, Schedule, jittered};

/// The vendor's pauses; the last one repeats.
pub const VENDOR_SCHEDULE: Schedule = Schedule::Steps(&[
    Duration::from_millis(100),
    Duration::from_secs(15),
    Duration::from_secs(45),
    Duration::from_secs(45),
    Duration::from_secs(45),
    TEN_MINUTES,
    TEN_MINUTES,
    TEN_MINUTES,
    TEN_MINUTES,
    TEN_MINUTES,
    Duration::from_secs(60 * 60),
]);
const TEN_MINUTES: Duration = Duration::from_secs(10 * 60);

/// What never reached the server is no load for it, and a restart takes seconds: such attempts are repeated 0.1, 1, 2,
/// 4 and 8 s after the first failure.
const UNREACHED_PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(900),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Whether a failed attempt was a load for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The server, or something in front of it, received something.
    Reached,
    /// Nothing got there: refused, unreachable, or a name that cannot be resolved.
    Unreached,
}

/// Counts consecutive failures and returns the pause after each.
#[derive(Debug)]
pub struct FailurePauses {
    vendor: Backoff,
    unreached: Backoff,
}

impl Default for FailurePauses {
    /// No failure yet.
    fn default() -> FailurePauses {
        FailurePauses {
            vendor: Backoff::new(VENDOR_SCHEDULE),
            unreached: Backoff::new(Schedule::Steps(&UNREACHED_PAUSES)),
        }
    }
}

impl FailurePauses {
    /// Whether an attempt that does not reach the server is repeated soon.
    pub fn repeats_unreached_soon(&self) -> bool {
        (self.unreached.failures() as usize) < UNREACHED_PAUSES.len()
    }

    /// Counts a failure and returns the pause before the next attempt. `random` spreads the attempts of many clients
    /// of a server that has restarted.
    pub fn failed(&mut self, load: Load, random: u64) -> Duration {
        if load == Load::Reached || !self.repeats_unreached_soon() {
            return self.vendor.failed();
        }
        // The first pause of the vendor's table is also the first of these, whichever failure came first.
        match (self.vendor.failures(), self.unreached.failures()) {
            (0, _) => drop(self.vendor.failed()),
            (_, 0) => drop(self.unreached.failed()),
            _ => {}
        }
        jittered(self.unreached.failed(), random)
    }

    /// Whether the addresses may be wrong: the vendor's table has counted a second failure.
    pub fn doubts_addresses(&self) -> bool {
        self.vendor.failures() > 1
    }

    /// Resets the counts after a success.
    pub fn succeeded(&mut self) {
        self.vendor.succeeded();
        self.unreached.succeeded();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without jitter, in seconds.
    fn pause(pauses: &mut FailurePauses, load: Load) -> f64 {
        const NO_JITTER: u64 = 0;
        pauses.failed(load, NO_JITTER).as_secs_f64()
    }

    #[test]
    fn the_pauses_are_those_of_the_vendors_table() {
        let mut pauses = FailurePauses::default();
        let seconds: Vec<f64> = (0..12).map(|_| pause(&mut pauses, Load::Reached)).collect();
        assert_eq!(seconds, [0.1, 15.0, 45.0, 45.0, 45.0, 600.0, 600.0, 600.0, 600.0, 600.0, 3600.0, 3600.0]);
        pauses.succeeded();
        assert_eq!(pause(&mut pauses, Load::Reached), 0.1);
    }

    #[test]
    fn what_does_not_reach_the_server_is_repeated_soon_before_the_table_goes_on() {
        let mut pauses = FailurePauses::default();
        let seconds: Vec<f64> = (0..8).map(|_| pause(&mut pauses, Load::Unreached)).collect();
        assert_eq!(seconds, [0.1, 0.9, 1.0, 2.0, 4.0, 15.0, 45.0, 45.0]);
        pauses.succeeded();
        let loads = [Load::Reached, Load::Unreached, Load::Reached, Load::Unreached, Load::Unreached];
        let seconds: Vec<f64> = loads.into_iter().map(|load| pause(&mut pauses, load)).collect();
        assert_eq!(seconds, [0.1, 0.9, 15.0, 1.0, 2.0]);
    }

    #[test]
    fn attempts_that_reach_nothing_do_not_cast_doubt_on_the_addresses_until_the_table_goes_on() {
        let mut pauses = FailurePauses::default();
        for _ in 0..UNREACHED_PAUSES.len() {
            pauses.failed(Load::Unreached, 0);
            assert!(!pauses.doubts_addresses());
        }
        pauses.failed(Load::Unreached, 0);
        assert!(pauses.doubts_addresses());
    }
}
