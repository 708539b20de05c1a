//! The settings of generators as they are written, read.

use crate::profile::Whole;
use crate::row::ColumnFault;
use crate::row::day::{parse_day, parse_moment, parse_time};
use crate::row::numeric::units_of;

/// Most characters of a `varchar` column.
pub(super) const VARCHAR_MAX: u32 = 10_485_760;

/// Why values cannot be resolved.
pub(super) enum ValuesFault {
    Bad {
        what: String,
        fix: String,
    },
    /// A setting is missing, or the column's type cannot be read.
    Reported,
}

pub(super) fn bad(what: impl Into<String>, fix: impl Into<String>) -> ValuesFault {
    ValuesFault::Bad { what: what.into(), fix: fix.into() }
}

/// Takes a setting that a generator cannot do without.
pub(super) fn need<T: Clone>(setting: Option<&T>) -> Result<T, ValuesFault> {
    setting.cloned().ok_or(ValuesFault::Reported)
}

/// A fault that `row` finds as it reads a setting.
pub(super) fn of_column(fault: &ColumnFault) -> ValuesFault {
    ValuesFault::Bad { what: fault.fact(), fix: fault.fix() }
}

pub(super) fn time_of_day(text: &str) -> Result<i64, ValuesFault> {
    parse_time(text).ok_or_else(|| {
        bad(format!("`{text}` is not a time of day"), "write hours and minutes: \"08:30\"")
    })
}

pub(super) fn moment(text: &str, zoned: bool) -> Result<i64, ValuesFault> {
    let fix = match zoned {
        true => "write day and time: \"2026-01-31 08:30:00+00\"",
        false => "write day and time: \"2026-01-31 08:30:00\"",
    };
    parse_moment(text, zoned).ok_or_else(|| bad(format!("`{text}` is not a moment"), fix))
}

pub(super) fn from_1(key: &str, value: Whole) -> Result<u64, ValuesFault> {
    let value = value.0;
    u64::try_from(value)
        .ok()
        .filter(|value| *value > 0)
        .ok_or_else(|| bad(format!("`{key}` is {value}"), "write a whole number from 1 on"))
}

pub(super) fn bytes_of(key: &str, value: Whole) -> Result<u32, ValuesFault> {
    u32::try_from(value.0)
        .map_err(|_| bad(format!("`{key}` is {}", value.0), "write a number of bytes from 0 on"))
}

pub(super) fn natural(key: &str, value: Whole) -> Result<u64, ValuesFault> {
    u64::try_from(value.0)
        .map_err(|_| bad(format!("`{key}` is {}", value.0), "a label's number is 0 or more"))
}

pub(super) fn chars(key: &str, value: Whole) -> Result<u32, ValuesFault> {
    u32::try_from(value.0).ok().filter(|chars| *chars <= VARCHAR_MAX).ok_or_else(|| {
        bad(format!("`{key}` is {}", value.0), format!("write 0 to {VARCHAR_MAX} characters"))
    })
}

pub(super) fn whole_day(text: &str) -> Result<i32, ValuesFault> {
    parse_day(text).ok_or_else(|| {
        bad(format!("`{text}` is not a day"), "write year, month and day: \"2023-12-31\"")
    })
}

/// A decimal number in units of its last digit: `12.3` in a scale of 2 is 1230.
pub(super) fn units(text: &str, scale: u16) -> Result<i64, ValuesFault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || digits.ends_with('.') {
        return Err(bad(
            format!("`{text}` is not a decimal number"),
            "write digits and a point: \"10.00\"",
        ));
    }
    if fraction.len() > usize::from(scale) {
        return Err(bad(
            format!("`{text}` has {} digits after the point, and the type {scale}", fraction.len()),
            "write fewer digits, or enlarge the type's scale",
        ));
    }
    units_of(text, scale).ok_or_else(|| {
        bad(
            format!("`{text}` with {scale} digits after the point is beyond 64 bits"),
            "choose a smaller number, or a smaller scale",
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::row::numeric::units_text;

    proptest! {
        #[test]
        fn decimals_read_back(value in -i64::MAX..=i64::MAX, scale in 0_u16..30) {
            let text = units_text(value.into(), scale);
            prop_assert_eq!(units(&text, scale).ok(), Some(value), "{}", text);
        }
    }
}
