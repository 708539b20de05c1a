//! The instant that a `timestamptz` stands for, whatever the time zone that it is written in.

const DAY: i64 = 86_400_000_000;
/// 1 January 2000, from which on the server counts: all that it can write fits.
const EPOCH_DAYS: i64 = 730_485;

/// Microseconds from 1 January 2000 to the instant of a text as the server writes it with
/// `DateStyle = ISO`: `2024-03-10 23:00:00.5+09`, `0044-03-15 12:00:00+00:49:56 BC`. `None` of anything else.
pub(super) fn microseconds(text: &str) -> Option<i64> {
    let (text, before) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, rest) = text.split_once(' ')?;
    let mut parts = date.split('-').map(|part| number(part, 1));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    let zone = rest.rfind(['+', '-'])?;
    let (time, zone) = rest.split_at(zone);
    let east = if zone.starts_with('+') { 1 } else { -1 };
    // There is no year 0: 1 BC comes before 1.
    let days = days(if before { 1 - year } else { year }, month, day);
    let from_epoch = (days - EPOCH_DAYS).checked_mul(DAY)?;
    from_epoch.checked_add(clock(time)? - east * clock(&zone[1..])?)
}

/// Days from 1 January of the year 0 of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day + 59
}

/// `HH`, `HH:MM`, `HH:MM:SS` or `HH:MM:SS.ffffff`, in microseconds.
fn clock(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut units = [3_600, 60, 1].into_iter();
    let mut seconds = 0;
    for part in whole.split(':') {
        seconds += number(part, 1)? * units.next()?;
    }
    let scale = 10_i64.pow(6_u32.checked_sub(fraction.len() as u32)?);
    Some(seconds * 1_000_000 + number(fraction, 0)? * scale)
}

/// A number of at least so many digits and nothing else.
fn number(text: &str, least: usize) -> Option<i64> {
    let fits = (least..=7).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.bytes()
        .filter(|_| fits)
        .try_fold(0, |sum, b| Some(sum * 10 + i64::from(b - b'0')))
        .filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_same_in_any_time_zone() {
        for (a, b) in [
            ("2024-02-26 07:00:00+00", "2024-02-26 16:00:00+09"),
            ("2024-03-01 00:30:00.25+00", "2024-02-29 21:00:00.250000-03:30"),
            ("1883-01-01 00:00:00+00", "1882-12-31 19:03:58-04:56:02"),
            ("0001-01-01 00:00:00+00", "0001-12-31 23:00:00-01 BC"),
            ("294276-12-31 23:59:59.999999+00", "294277-01-01 08:59:59.999999+09"),
        ] {
            assert_eq!(microseconds(a).unwrap(), microseconds(b).unwrap(), "{a} and {b}");
        }
        let second = microseconds("2024-03-01 00:00:00+00").unwrap()
            - microseconds("2024-02-28 23:59:59+00").unwrap();
        assert_eq!(second, DAY + 1_000_000);
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        for text in [
            "infinity",
            "",
            "2024-02-26",
            "2024-02-26 07:00:00",
            "02/26/2024 07:00:00 UTC",
            "7+1 0+0",
        ] {
            assert_eq!(microseconds(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(days(0, 1, 1), 0);
        assert_eq!(days(2000, 1, 1), EPOCH_DAYS);
        assert_eq!(days(1970, 1, 1), 719_528);
        assert_eq!(days(2000, 3, 1) - days(2000, 2, 28), 2);
        assert_eq!(days(1900, 3, 1) - days(1900, 2, 28), 1);
    }
}
