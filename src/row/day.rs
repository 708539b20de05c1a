//! Days of the Gregorian calendar, as PostgreSQL's `date` counts them: from 2000-01-01.

/// Days from 0000-03-01 to 2000-01-01; years that open in March end with the leap day.
const EPOCH: i32 = 730_425;

/// Days from 2000-01-01 to the day written `2023-12-31`; years 1 to 9999.
pub(crate) fn parse_day(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let part = |range: std::ops::Range<usize>| {
        text.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse::<i32>().ok()
    };
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || !(1..=days_in_month).contains(&day) {
        return None;
    }
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let before_year = 365 * year + year / 4 - year / 100 + year / 400;
    Some(before_year + (153 * month + 2) / 5 + day - 1 - EPOCH)
}

/// The day `days` after 2000-01-01, as `2023-12-31`.
pub(crate) fn format_day(days: i32) -> String {
    let from_march = i64::from(days) + i64::from(EPOCH);
    let era = from_march.div_euclid(146_097);
    let day = from_march.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + era * 400 + i64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{year:04}-{month:02}-{day:02}")
}

/// Microseconds of the day's greatest time, midnight at its end.
pub(crate) const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = DAY_US / 24;

/// 2000-01-01, where PostgreSQL's time begins, in Unix time.
pub(crate) const EPOCH_UNIX_US: i64 = 946_684_800_000_000;
/// The same in days.
pub(crate) const EPOCH_UNIX_DAYS: i64 = EPOCH_UNIX_US / DAY_US;
/// First moment of PostgreSQL's timestamps, in 4713 BC, in its own time.
pub(crate) const TIMESTAMP_MIN_US: i64 = -211_813_488_000_000_000;
/// Last moment of PostgreSQL's timestamps, in the year 294276, in its own time.
pub(crate) const TIMESTAMP_MAX_US: i64 = 9_223_371_331_199_999_999;

/// Microseconds since midnight of the time written `08:30`, `08:30:15` or `08:30:15.25`.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let mut two = || digits(parts.next()?, 2..=2);
    let (hours, minutes) = (two()?, two()?);
    let seconds = match parts.next() {
        Some(seconds) => digits(seconds, 2..=2)?,
        None if fraction.is_none() => 0,
        None => return None,
    };
    let fraction = fraction.unwrap_or_default();
    let fraction = digits(fraction, 0..=6)? * 10_i64.pow(6 - fraction.len() as u32);
    if parts.next().is_some() {
        return None;
    }
    let time = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction;
    (minutes < 60 && seconds < 60 && time <= DAY_US).then_some(time)
}

/// A number of so many digits; of none it is 0.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = || text.bytes().fold(0, |number, byte| number * 10 + i64::from(byte - b'0'));
    (is_number && count.contains(&text.len())).then(number)
}

/// The inverse of [`parse_time`]: `08:30:15`, or `08:30:15.250000`.
pub(crate) fn format_time(us: i64) -> String {
    let (seconds, fraction) = (us / 1_000_000, us % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { clock } else { format!("{clock}.{fraction:06}") }
}

/// Microseconds since 2000-01-01 UTC of the moment written `2026-01-31`, `2026-01-31 08:30` or
/// `2026-01-31 08:30:15.25`; with `zoned` an offset such as `+00` or `-05:30`, or `Z`, may follow, and without
/// one it is UTC.
pub(crate) fn parse_moment(text: &str, zoned: bool) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = i64::from(parse_day(day)?) * DAY_US;
    if rest.is_empty() {
        return Some(day);
    }
    let clock = rest.strip_prefix([' ', 'T'])?;
    let (clock, offset) = match clock.find(['+', '-', 'Z']).filter(|_| zoned) {
        Some(at) => clock.split_at(at),
        None => (clock, ""),
    };
    let offset_us = match offset.split_at_checked(1) {
        None | Some(("Z", "")) => 0,
        Some(("Z", _)) => return None,
        Some((sign, offset)) => {
            let offset = match offset.contains(':') {
                true => parse_time(offset)?,
                false => digits(offset, 2..=2).filter(|hours| *hours <= 24)? * HOUR_US,
            };
            if sign == "-" { -offset } else { offset }
        }
    };
    Some(day + parse_time(clock)? - offset_us)
}

/// The inverse of [`parse_moment`], in UTC: `2026-01-31 08:30:15.25`.
pub(crate) fn format_moment(us: i64) -> String {
    let day = i32::try_from(us.div_euclid(DAY_US)).map_or_else(|_| "?".to_owned(), format_day);
    format!("{day} {}", format_clock(us.rem_euclid(DAY_US)))
}

/// A time of day as PostgreSQL shows it: `08:30:15.25`.
pub(crate) fn format_clock(us: i64) -> String {
    let time = format_time(us);
    if time.contains('.') { time.trim_end_matches('0').to_owned() } else { time }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_count_from_2000() {
        for (text, days) in [
            ("2000-01-01", 0),
            ("1999-12-31", -1),
            ("2000-02-29", 59),
            ("2000-03-01", 60),
            ("1970-01-01", -10_957),
            ("2023-12-31", 8_765),
            ("0001-01-01", -730_119),
            ("9999-12-31", 2_921_939),
        ] {
            assert_eq!(parse_day(text), Some(days), "{text}");
            assert_eq!(format_day(days), text);
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2023",
            "2023-13-01",
            "2023-00-01",
            "2023-02-29",
            "1900-02-29",
            "2023-1-1",
            "+023-01-01",
            "0000-01-01",
            "2023-01-3é",
        ] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_reads_back(days in -730_119..=2_921_939) {
            prop_assert_eq!(parse_day(&format_day(days)), Some(days));
        }
    }

    proptest! {
        #[test]
        fn every_moment_reads_back(us in -63_000_000_000_000_000..=250_000_000_000_000_000_i64) {
            let text = format_moment(us);
            prop_assert_eq!(parse_moment(&text, false), Some(us), "{}", text);
            prop_assert_eq!(parse_moment(&(text.clone() + "+00"), true), Some(us), "{}", text);
            prop_assert_eq!(parse_moment(&(text + "+00"), false), None);
        }
    }

    #[test]
    fn moments_are_read_with_their_offset() {
        let hour = 3_600_000_000;
        for (text, us) in [
            ("2000-01-01", 0),
            ("2000-01-01 01:00", hour),
            ("2000-01-01 01:00+01", 0),
            ("2000-01-01 01:00:00-05:30", hour * 13 / 2),
            ("2000-01-01T01:00:00.000Z", hour),
        ] {
            assert_eq!(parse_moment(text, true), Some(us), "{text}");
        }
        for text in [
            "",
            "2000-01-0",
            "2000-01-01 ",
            "2000-01-01 25:00",
            "2000-01-01 01:00Z+01",
            "2000-01-01 01:00+01Z",
            "2000-01-01é1",
            "2000-01-01 01:00+x",
        ] {
            assert_eq!(parse_moment(text, true), None, "{text}");
        }
    }

    #[test]
    fn times_of_day_are_read() {
        let second = 1_000_000;
        for (text, us) in [
            ("00:00", 0),
            ("08:30", 30_600 * second),
            ("23:59:59.999999", DAY_US - 1),
            ("24:00:00", DAY_US),
            ("08:30:15.25", 30_615 * second + 250_000),
        ] {
            assert_eq!(parse_time(text), Some(us), "{text}");
            assert_eq!(parse_time(&format_time(us)), Some(us));
        }
        for text in ["", "8:30", "08", "24:00:01", "12:60", "12:00:60", "-1:00", "12:00.5", "aa:bb"]
        {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
