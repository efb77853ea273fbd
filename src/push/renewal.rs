//! When to renew a subscription: in good time before its channels end, by the server's clock.

use std::time::{Duration, Instant};

use super::backoff::Backoff;

/// New channels are asked for at most once in this time.
const SHORTEST: Duration = Duration::from_secs(1);
/// A portal that answers with the same channels gives out others only when those end: asked at most once in this time.
const STUBBORN: Duration = Duration::from_secs(60);

/// The life of the present channels.
#[derive(Debug)]
pub struct Lifetime {
    margin: Duration,
    /// The server's clock, in seconds since 1970, at a moment of ours.
    clock: Option<(u64, Instant)>,
    ends: Option<u64>,
    due: Option<Instant>,
    backoff: Backoff,
}

impl Lifetime {
    /// Renewal is due so long before the end.
    pub fn new(margin: Duration) -> Lifetime {
        Lifetime { margin, clock: None, ends: None, due: None, backoff: Backoff::default() }
    }

    /// When to renew; `None` when the server will say so.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Channels came that end at `ends`; the server's clock shows `server_now`. Host and server may differ by hours, so
    /// the difference of the server's own times is what counts.
    pub fn configured(&mut self, ends: Option<u64>, server_now: Option<u64>, now: Instant, random: u64) {
        self.clock = server_now.map(|unix| (unix, now));
        self.backoff.succeeded();
        self.ending(ends, now, random);
    }

    /// One of the channels was replaced.
    pub fn ending(&mut self, ends: Option<u64>, now: Instant, random: u64) {
        let same = ends == self.ends;
        self.ends = ends;
        self.due = self.left(now).filter(|left| !same || !left.is_zero()).map(|left| {
            let jitter = Duration::from_secs(random % (self.margin.as_secs() / 10 + 1));
            let margin = self.margin + jitter;
            let wait = if left > margin * 2 { left - margin } else { left / 2 };
            now + wait.max(if same { STUBBORN } else { SHORTEST })
        });
    }

    /// The renewal failed: how long to wait before the next attempt.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let pause = self.backoff.failed();
        self.due = Some(now + pause);
        pause
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        let (unix, at) = self.clock?;
        let server_now = unix.saturating_add(now.saturating_duration_since(at).as_secs());
        Some(Duration::from_secs(self.ends?.saturating_sub(server_now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn secs(lifetime: &Lifetime, now: Instant) -> Option<u64> {
        lifetime.due().map(|due| (due - now).as_secs())
    }

    #[test]
    fn due_before_the_end_by_the_servers_clock() {
        let now = Instant::now();
        let mut lifetime = Lifetime::new(Duration::from_secs(300));
        // The server's clock may show anything.
        lifetime.configured(Some(1_000 + 12 * HOUR), Some(1_000), now, 0);
        assert_eq!(secs(&lifetime, now), Some(12 * HOUR - 300));
        lifetime.configured(Some(1_000 + 24 * HOUR), Some(1_000 + 12 * HOUR), now, 29);
        assert_eq!(secs(&lifetime, now), Some(12 * HOUR - 329));
        // Channels shorter than the margin.
        lifetime.configured(Some(1_010), Some(1_000), now, 0);
        assert_eq!(secs(&lifetime, now), Some(5));
    }

    #[test]
    fn the_same_channels_again_are_not_asked_for_in_a_circle() {
        let mut now = Instant::now();
        let mut unix = 1_000;
        let mut lifetime = Lifetime::new(Duration::from_secs(300));
        lifetime.configured(Some(unix + 600), Some(unix), now, 0);
        let ends = unix + 600;
        let mut waits = Vec::new();
        while let Some(wait) = secs(&lifetime, now) {
            waits.push(wait);
            now += Duration::from_secs(wait);
            unix += wait;
            lifetime.configured(Some(ends), Some(unix), now, 0);
        }
        assert_eq!(waits, [300, 150, 75, 60, 60]);
    }

    #[test]
    fn failures_follow_the_vendors_table_and_unknown_ends_are_left_to_the_server() {
        let now = Instant::now();
        let mut lifetime = Lifetime::new(Duration::from_secs(300));
        lifetime.configured(None, Some(5), now, 0);
        assert_eq!(lifetime.due(), None);
        lifetime.configured(Some(5), None, now, 0);
        assert_eq!(lifetime.due(), None);
        assert_eq!(lifetime.failed(now), Duration::from_millis(100));
        assert_eq!(lifetime.failed(now), Duration::from_secs(15));
        assert_eq!(secs(&lifetime, now), Some(15));
    }
}
