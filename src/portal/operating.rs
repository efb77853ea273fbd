//! The run time of methods, which the portal limits (docs/protocol.md §2). Successful answers tell how much a method has
//! used up and when that falls; a refusal tells nothing, so what the last success said is remembered.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{php, refusal};
use crate::error::Error;
use crate::lock;

/// A block lasts no longer than this.
const MAX_BLOCK: Duration = Duration::from_secs(600);
/// A method whose run time is not known is tried once in this time: the portal counts by the minute.
const UNKNOWN_BLOCK: Duration = Duration::from_secs(60);

/// `time` of a successful answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunTime {
    /// Seconds that count towards the limit.
    #[serde(deserialize_with = "php::float")]
    operating: f64,
    /// When the oldest minute no longer counts, in seconds since 1970; 0: not told.
    #[serde(deserialize_with = "php::number")]
    operating_reset_at: u64,
    /// When the call ended, by the portal's clock.
    #[serde(deserialize_with = "php::number")]
    finish: u64,
}

/// What is known of each method of one application, by its name in lower case.
#[derive(Default)]
pub(super) struct Operating(Mutex<HashMap<String, Method>>);

#[derive(Default)]
struct Method {
    last: RunTime,
    /// `operating_reset_at` by our own clock.
    reset_at: Option<Instant>,
    blocked_until: Option<Instant>,
}

impl Operating {
    /// The method has run. `unix`: our clock, in seconds since 1970.
    pub(super) fn succeeded(&self, method: &str, time: RunTime, now: Instant, unix: u64) {
        if time.operating_reset_at == 0 {
            return;
        }
        // Both by the portal's clock, because ours may differ by hours.
        let told_at = if time.finish == 0 { unix } else { time.finish };
        let left = Duration::from_secs(time.operating_reset_at.saturating_sub(told_at)).min(MAX_BLOCK);
        let mut methods = lock(&self.0);
        methods.retain(|_, method| method.is_current(now));
        let known = Method { last: time, reset_at: Some(now + left), blocked_until: None };
        methods.insert(method.to_ascii_lowercase(), known);
    }

    /// The portal has answered `OPERATION_TIME_LIMIT`.
    pub(super) fn refused(&self, method: &str, now: Instant) {
        let mut methods = lock(&self.0);
        let method = methods.entry(method.to_ascii_lowercase()).or_default();
        let until = method.reset_at.filter(|at| *at > now).unwrap_or(now + UNKNOWN_BLOCK);
        method.blocked_until = Some(until);
    }

    /// How long the method must not be called.
    pub(super) fn blocked_for(&self, method: &str, now: Instant) -> Duration {
        let methods = lock(&self.0);
        let blocked_until = methods.get(&method.to_ascii_lowercase()).and_then(|method| method.blocked_until);
        blocked_until.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// For the statistics.
    pub(super) fn to_json(&self, now: Instant) -> serde_json::Value {
        let methods = lock(&self.0);
        let current = methods.iter().filter(|(_, method)| method.is_current(now));
        let json = |method: &Method| {
            serde_json::json!({
                "operating": method.last.operating,
                "operating_reset_at": method.last.operating_reset_at,
                "blocked": method.blocked_until.is_some_and(|at| at > now),
            })
        };
        current.map(|(name, method)| (name.clone(), json(method))).collect::<serde_json::Map<_, _>>().into()
    }
}

impl Method {
    /// Whether any of this still counts.
    fn is_current(&self, now: Instant) -> bool {
        self.reset_at.max(self.blocked_until).is_some_and(|at| at > now)
    }
}

/// The error of a call that is not sent, because its method stays blocked for longer than the call may wait.
pub(super) fn too_late(method: &str, blocked_for: Duration) -> Error {
    let text = format!("{method} was not called, because the portal blocks it for {} s more", blocked_for.as_secs());
    refusal::foreseen("OPERATION_TIME_LIMIT", &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn time(json: &str) -> RunTime {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_blocked_method_waits_for_the_reset_that_the_last_success_told() {
        let (now, operating) = (Instant::now(), Operating::default());
        let told = time(r#"{"operating":"481.5","operating_reset_at":1000300,"finish":1000000.25}"#);
        // Our own clock is an hour behind.
        operating.succeeded("CRM.deal.list", told, now, 996_400);
        assert_eq!(operating.blocked_for("crm.deal.list", now), Duration::ZERO, "used up, but not refused");
        operating.refused("crm.deal.list", now + seconds(100));
        assert_eq!(operating.blocked_for("crm.Deal.list", now + seconds(100)), seconds(200));
        assert_eq!(operating.blocked_for("crm.deal.get", now), Duration::ZERO, "only this method");
        let json = operating.to_json(now + seconds(100));
        let expected = serde_json::json!({"operating": 481.5, "operating_reset_at": 1_000_300, "blocked": true});
        assert_eq!(json["crm.deal.list"], expected);
        assert_eq!(operating.blocked_for("crm.deal.list", now + seconds(300)), Duration::ZERO);
        assert_eq!(operating.to_json(now + seconds(300)), serde_json::json!({}));
    }

    #[test]
    fn a_success_ends_the_block() {
        let (now, operating) = (Instant::now(), Operating::default());
        operating.refused("m", now);
        operating.succeeded("m", time(r#"{"operating":1,"operating_reset_at":100,"finish":40}"#), now, 0);
        assert_eq!(operating.blocked_for("m", now), Duration::ZERO);
    }

    #[test]
    fn a_block_of_unknown_length_is_tried_once_a_minute_and_none_outlasts_ten_minutes() {
        let (now, operating) = (Instant::now(), Operating::default());
        operating.refused("m", now);
        assert_eq!(operating.blocked_for("m", now), seconds(60));
        operating.refused("m", now + seconds(60));
        assert_eq!(operating.blocked_for("m", now + seconds(60)), seconds(60));
        operating.succeeded("m", time(r#"{"operating_reset_at":99999,"operating":1}"#), now, 5);
        operating.refused("m", now);
        assert_eq!(operating.blocked_for("m", now), seconds(600));
        operating.succeeded("silent", time(r#"{"start":1.5}"#), now, 5);
        assert!(operating.to_json(now).get("silent").is_none());
    }
}
