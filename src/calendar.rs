//! Dates of the Gregorian calendar as seconds since 1970.

/// Seconds in a day.
pub const DAY: i64 = 86_400;

/// Days from 1970-01-01 to a date. `month` starts at 1. Days beyond the end of the month run into the next one. `None`
/// if the year is too far away, or the month or the day cannot be meant.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const YEARS: std::ops::RangeInclusive<i64> = -100_000..=100_000;
    if !YEARS.contains(&year) || !(1..=12).contains(&month) || day.unsigned_abs() > 1_000_000 {
        return None;
    }
    // March counts as the first month, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// An ISO 8601 time with a zone, such as `2026-11-24T21:57:48+02:00`, in seconds since 1970. Fractions of a second are
/// ignored; a time without a zone is UTC. `None` if the text is not such a time, or one before 1970.
pub fn parse_iso8601(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>, max: i64| {
        let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<i64>().ok().filter(|number| *number <= max)
    };
    let days = days(number(0..4, 9999)?, number(5..7, 12)?, number(8..10, 31)?)?;
    // 60 is a leap second.
    let seconds = number(11..13, 24)? * 3600 + number(14..16, 59)? * 60 + number(17..19, 60)?;
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    u64::try_from(days * DAY + seconds - zone_seconds(zone)?).ok()
}

/// The time of an HTTP header, such as `Tue, 24 Nov 2026 01:59:59 GMT`, in seconds since 1970. `None` for the obsolete
/// forms, which no server of today sends.
pub fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_once(", ")?.1.strip_suffix(" GMT")?.split(' ');
    let day = parts.next()?.parse::<u8>().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().zip(1..).find_map(|(month, number)| (*month == name).then_some(number))?;
    let year = parts.next()?.parse::<u16>().ok()?;
    let mut time = parts.next()?.split(':').map(|part| part.parse::<u8>().ok().map(i64::from));
    let seconds = time.next()?? * 3600 + time.next()?? * 60 + time.next()??;
    let is_all = parts.next().is_none() && time.next().is_none();
    u64::try_from(days(year.into(), month, day.into())? * DAY + seconds).ok().filter(|_| is_all)
}

/// `Z`, `+02:00`, `+0200`, `+02` or nothing.
fn zone_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first() {
        None | Some(b'Z') => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let number = |digits: &str, max: i64| digits.parse::<u8>().ok().map(i64::from).filter(|number| *number <= max);
    let hours = number(zone.get(1..3)?, 23)?;
    let minutes = match zone.get(3..)?.trim_start_matches(':') {
        "" => 0,
        digits => number(digits, 59)?,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_1970() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(1969, 12, 31), Some(-1));
        assert_eq!(days(2024, 2, 29), Some(19_782));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(1900, 2, 29), days(1900, 3, 1), "1900 was not a leap year");
        for (year, month, day) in [(i64::MAX, 1, 1), (2024, 0, 1), (2024, 13, 1), (2024, 1, i64::MIN)] {
            assert_eq!(days(year, month, day), None);
        }
    }

    #[test]
    fn the_zone_may_be_written_in_several_ways() {
        for text in [
            "2026-11-24T21:57:48+02:00",
            "2026-11-24T19:57:48Z",
            "2026-11-24T19:57:48",
            "2026-11-24T19:57:48.123+0000",
            "2026-11-24T14:27:48-05:30",
            "2026-11-24T21:57:48+02",
        ] {
            assert_eq!(parse_iso8601(text), Some(1_795_550_268), "{text}");
        }
        assert_eq!(parse_iso8601("2024-02-29T00:00:00Z"), Some(1_709_164_800));
    }

    #[test]
    fn a_text_of_any_length_that_is_not_a_time_gives_none() {
        let digits = "2".repeat(100);
        for text in [
            "",
            "tomorrow",
            "2026-11-24",
            "1969-01-01T00:00:00Z",
            "2026-13-24T19:57:48Z",
            "2026-11-24T19:99:48Z",
            "-026-11-24T19:57:48Z",
            "+026-11-24T19:57:48Z",
            "2026-11-24T19:57:48*02:00",
            "2026-11-24T19:57:48+99:00",
            &format!("2026-11-24T19:57:48+02:{digits}"),
            &format!("2026-11-24T19:57:48M{digits}"),
            &format!("{digits}M"),
            "2026-11-24T19:57:4я",
        ] {
            assert_eq!(parse_iso8601(text), None, "{text}");
        }
    }

    #[test]
    fn dates_of_http_headers_are_read() {
        assert_eq!(parse_http_date("Tue, 24 Nov 2026 01:59:59 GMT"), Some(1_795_485_599));
        for other in
            ["", "Tuesday, 24-Nov-26 01:59:59 GMT", "Tue, 24 Xyz 2026 01:59:59 GMT", "Tue, 24 Nov 2026 01:59 GMT"]
        {
            assert_eq!(parse_http_date(other), None, "{other}");
        }
    }
}
