//! How a value is read that a flag or a variable gives of a profile.

use std::time::Duration;

use super::{Recreate, TableNameError};
use crate::profile::document::Value;
use crate::quantity::{
    Cadence, Rate, RunLength, format_duration, parse_cadence, parse_count, parse_duration,
    parse_factor, parse_rate, parse_run_length,
};

/// A value that was given beside the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    pub(crate) value: Value,
    /// The value for people.
    pub(crate) shown: String,
}

impl Given {
    pub(crate) fn text(text: &str) -> Self {
        Self { value: Value::Text(text.to_owned()), shown: text.to_owned() }
    }

    /// A number in the unit of the key.
    fn number(number: f64, shown: String) -> Self {
        let whole = number as i128;
        let is_whole = number.fract() == 0.0 && number.abs() < (1_u64 << 53) as f64;
        Self { value: if is_whole { Value::Whole(whole) } else { Value::Float(number) }, shown }
    }
}

pub(super) fn rate(text: &str) -> Result<Given, String> {
    Ok(match parse_rate(text).map_err(|error| error.to_string())? {
        Rate::Max => Given::text("max"),
        Rate::PerSecond(rate) => Given::number(rate, rate.to_string()),
    })
}

pub(super) fn count(text: &str) -> Result<Given, String> {
    let count = parse_count(text).map_err(|error| error.to_string())?;
    Ok(Given { value: Value::Whole(count.into()), shown: count.to_string() })
}

/// As many digits as there are: a seed is no quantity.
pub(super) fn seed(text: &str) -> Result<Given, String> {
    let seed: u64 = text
        .trim()
        .parse()
        .map_err(|_| format!("`{text}` is not a seed; write a whole number such as 42"))?;
    Ok(Given { value: Value::Whole(seed.into()), shown: seed.to_string() })
}

pub(super) fn factor(text: &str) -> Result<Given, String> {
    let factor = parse_factor(text).map_err(|error| error.to_string())?;
    Ok(Given::number(factor, factor.to_string()))
}

/// A share, as `5%` or `0.05`.
pub(super) fn share(text: &str) -> Result<Given, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    let number: f64 =
        number.parse().map_err(|_| format!("`{text}` is not a share; write 5% or 0.05"))?;
    let share = number / scale;
    Ok(Given::number(share, share.to_string()))
}

fn in_seconds(time: Duration) -> Given {
    Given::number(time.as_secs_f64(), format_duration(time))
}

pub(super) fn seconds(text: &str) -> Result<Given, String> {
    parse_duration(text).map(in_seconds).map_err(|error| error.to_string())
}

pub(super) fn seconds_or_forever(text: &str) -> Result<Given, String> {
    Ok(match parse_run_length(text).map_err(|error| error.to_string())? {
        RunLength::Forever => Given::text("forever"),
        RunLength::For(time) => in_seconds(time),
    })
}

/// From whole nanoseconds: seconds times 1000 would not be exact.
fn in_milliseconds(time: Duration) -> Given {
    Given::number(time.as_nanos() as f64 / 1e6, format_duration(time))
}

pub(super) fn milliseconds(text: &str) -> Result<Given, String> {
    parse_duration(text).map(in_milliseconds).map_err(|error| error.to_string())
}

pub(super) fn milliseconds_or_off(text: &str) -> Result<Given, String> {
    Ok(match parse_cadence(text).map_err(|error| error.to_string())? {
        Cadence::Off => Given::text("off"),
        Cadence::Each(time) => in_milliseconds(time),
    })
}

pub(super) fn switch(text: &str) -> Result<Given, String> {
    match text {
        "true" => Ok(Given { value: Value::Boolean(true), shown: text.to_owned() }),
        "false" => Ok(Given { value: Value::Boolean(false), shown: text.to_owned() }),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

pub(super) fn recreate(text: &str) -> Result<Given, String> {
    let recreate: Recreate = text.parse().map_err(|error: TableNameError| error.to_string())?;
    Ok(match recreate {
        Recreate::Named(_) => Given::text(text),
        Recreate::Ours | Recreate::No => switch(text)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_percent_or_not() {
        let read = |text| share(text).map(|given| given.value);
        assert_eq!(read("5%"), Ok(Value::Float(0.05)));
        assert_eq!(read("0.05"), Ok(Value::Float(0.05)));
        assert!(read("five").is_err());
    }
}
