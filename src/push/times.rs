//! Points in time as portals write them.

use serde::Deserializer;

use crate::portal::php;

/// Seconds since 1970 from a number or ISO 8601; 0 when there is none.
pub fn unix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = php::text(deserializer)?;
    let number = text.split('.').next().and_then(|whole| whole.parse().ok());
    Ok(number.or_else(|| iso(&text)).unwrap_or(0))
}

/// `2026-11-24T21:57:48+02:00`.
fn iso(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let days = days(number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    // A fraction may stand before the zone.
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let shift = match zone.as_bytes().first() {
        None | Some(b'Z') => 0,
        Some(sign) => {
            let hours: i64 = zone.get(1..3)?.parse().ok()?;
            let minutes: i64 = zone.get(3..)?.trim_start_matches(':').parse().unwrap_or(0);
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
    };
    u64::try_from(days * 86_400 + seconds - shift).ok()
}

/// Days from 1970 to a date of the Gregorian calendar. March counts as the first month, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_iso_8601() {
        let read = |json: &str| unix(&mut serde_json::Deserializer::from_str(json)).unwrap();
        for json in [
            "1795550268",
            "\"1795550268\"",
            "1795550268.25",
            "\"2026-11-24T21:57:48+02:00\"",
            "\"2026-11-24T19:57:48Z\"",
            "\"2026-11-24T19:57:48.123+0000\"",
            "\"2026-11-24T14:27:48-05:30\"",
        ] {
            assert_eq!(read(json), 1_795_550_268, "{json}");
        }
        for json in ["null", "\"\"", "\"tomorrow\"", "\"2026-11-24\"", "\"1969-01-01T00:00:00Z\"", "false"] {
            assert_eq!(read(json), 0, "{json}");
        }
        assert_eq!(read("\"2024-02-29T00:00:00Z\""), 1_709_164_800);
        assert_eq!(read("\"2000-03-01T00:00:00Z\""), 951_868_800);
    }
}
