//! The vendor's pauses after consecutive failures (docs/protocol.md §3.4). A client that ignores them gets blocked.

use std::time::Duration;

use crate::retry::Schedule;

/// The pauses; the last one repeats.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::Backoff;

    #[test]
    fn the_pauses_are_those_of_the_vendors_table() {
        let mut backoff = Backoff::new(VENDOR_SCHEDULE);
        let seconds: Vec<f64> = (0..12).map(|_| backoff.failed().as_secs_f64()).collect();
        assert_eq!(seconds, [0.1, 15.0, 45.0, 45.0, 45.0, 600.0, 600.0, 600.0, 600.0, 600.0, 3600.0, 3600.0]);
        backoff.succeeded();
        assert_eq!(backoff.failed(), Duration::from_millis(100));
    }
}
