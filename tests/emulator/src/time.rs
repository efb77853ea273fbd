//! Times as the servers write them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};

/// The portal lives in Moscow, as most do.
const PORTAL_OFFSET_HOURS: i8 = 3;
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Time since the Unix epoch.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub fn unix_now() -> i64 {
    seconds(now())
}

/// When something ends that begins now.
pub fn end_of(lifetime: Duration) -> Instant {
    Instant::now() + lifetime.min(FOR_EVER)
}

pub fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn timestamp(unix: i64) -> Timestamp {
    Timestamp::from_second(unix).unwrap_or(Timestamp::MAX)
}

/// `2024-07-18T12:32:31+03:00`
pub fn iso(unix: i64) -> String {
    let zone = TimeZone::fixed(Offset::constant(PORTAL_OFFSET_HOURS));
    timestamp(unix).to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Any ISO 8601 time with an offset; without one it is the portal's time.
pub fn parse_iso(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    Offset::constant(PORTAL_OFFSET_HOURS).to_timestamp(civil).ok().map(|time| time.as_second())
}

/// `Tue, 24 Nov 2026 01:59:59 GMT`
pub fn http_date(unix: i64) -> String {
    strtime::format(HTTP_DATE, &timestamp(unix).to_zoned(TimeZone::UTC)).unwrap_or_default()
}

pub fn parse_http_date(text: &str) -> Option<i64> {
    let civil = strtime::parse(HTTP_DATE, text).ok()?.to_datetime().ok()?;
    Offset::UTC.to_timestamp(civil).ok().map(|time| time.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(iso(1_795_485_144), "2026-11-24T04:52:24+03:00");
        assert_eq!(parse_iso("2026-11-24T04:52:24+03:00"), Some(1_795_485_144));
        assert_eq!(parse_iso("2026-11-24T04:52:24"), Some(1_795_485_144));
        assert_eq!(parse_iso("yesterday"), None);
        assert_eq!(http_date(1_795_485_599), "Tue, 24 Nov 2026 01:59:59 GMT");
        assert_eq!(parse_http_date("Tue, 24 Nov 2026 01:59:59 GMT"), Some(1_795_485_599));
        assert_eq!(parse_http_date("Tue,+24+Nov+2026+01:59:59+GMT"), None);
    }
}
