//! Values that are written as text, in binary.

use std::net::IpAddr;

use super::ColumnType;
use super::day::{format_clock, format_day, format_moment, parse_day, parse_moment, parse_time};
use super::numeric::{self, MAX_SCALE, units_of};
use super::uuid;

/// The value of a type that a text stands for, as COPY BINARY has it, without its length; `None` if it
/// stands for none, or the type's values are not written so.
pub(super) fn encode(sql_type: ColumnType, text: &str) -> Option<Vec<u8>> {
    use ColumnType as T;
    Some(match sql_type {
        T::SmallInt => (whole(sql_type, text)? as i16).to_be_bytes().to_vec(),
        T::Integer | T::Date => (whole(sql_type, text)? as i32).to_be_bytes().to_vec(),
        T::BigInt | T::Time | T::Timestamp | T::TimestampTz => {
            whole(sql_type, text)?.to_be_bytes().to_vec()
        }
        T::Real => (float(sql_type, text)? as f32).to_bits().to_be_bytes().to_vec(),
        T::Double => float(sql_type, text)?.to_bits().to_be_bytes().to_vec(),
        T::Numeric { scale, .. } => {
            let mut field = [0; numeric::WIDE_BYTES];
            let end = numeric::write(whole(sql_type, text)?.into(), scale, &mut field);
            field[4..end].to_vec()
        }
        T::Boolean => vec![u8::from(boolean(text)?)],
        T::Uuid => uuid::parse(text)?.to_be_bytes().to_vec(),
        T::Inet => inet(text)?,
        T::Text | T::Varchar(_) | T::Char(_) => text.as_bytes().to_vec(),
        T::Json | T::Jsonb | T::Bytea | T::Array(_) => return None,
    })
}

/// The whole number that a value is: of a numeric in units of its scale, of what is of time in days or
/// microseconds, from 2000 on or of the day. `None` if the text stands for no value, or the type's values are
/// no whole numbers.
pub(super) fn whole(sql_type: ColumnType, text: &str) -> Option<i64> {
    use ColumnType as T;
    match sql_type {
        T::SmallInt => text.parse::<i16>().ok().map(i64::from),
        T::Integer => text.parse::<i32>().ok().map(i64::from),
        T::BigInt => text.parse().ok(),
        T::Numeric { precision, scale } => {
            let limit = numeric::pow10(precision.min(MAX_SCALE));
            units_of(text, scale).filter(|units| u128::from(units.unsigned_abs()) < limit)
        }
        T::Date => parse_day(text).map(i64::from),
        T::Time => parse_time(text),
        T::Timestamp => parse_moment(text, false),
        T::TimestampTz => parse_moment(text, true),
        _ => None,
    }
}

/// The same of a floating-point type, whose values are finite.
pub(super) fn float(sql_type: ColumnType, text: &str) -> Option<f64> {
    match sql_type {
        ColumnType::Real => {
            text.parse::<f32>().ok().map(f64::from).filter(|value| value.is_finite())
        }
        ColumnType::Double => text.parse().ok().filter(|value: &f64| value.is_finite()),
        _ => None,
    }
}

/// PostgreSQL's numbers of the two families of addresses, which are the same on all systems.
pub(super) const INET_V4: u8 = 2;
pub(super) const INET_V6: u8 = 3;

/// An address, with the bits of its network behind a slash unless it stands for itself.
fn inet(text: &str) -> Option<Vec<u8>> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let (family, address) = match address.parse().ok()? {
        IpAddr::V4(address) => (INET_V4, address.octets().to_vec()),
        IpAddr::V6(address) => (INET_V6, address.octets().to_vec()),
    };
    let bits = 8 * address.len() as u8;
    let prefix = prefix.unwrap_or(bits);
    (prefix <= bits).then(|| [&[family, prefix, 0, address.len() as u8], &address[..]].concat())
}

/// As PostgreSQL reads one, but for its shortened words: it writes `t` and `f` itself.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

impl ColumnType {
    /// Whether values of the type are written as text.
    pub(crate) fn is_written(self) -> bool {
        !matches!(self, Self::Json | Self::Jsonb | Self::Bytea | Self::Array(_))
    }
}

/// Whether values of the type are numbers or moments, that have a measure.
pub(crate) fn is_measured(sql_type: ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        sql_type,
        T::SmallInt | T::Integer | T::BigInt | T::Numeric { .. } | T::Real | T::Double
    ) || matches!(sql_type, T::Date | T::Time | T::Timestamp | T::TimestampTz)
}

/// A number or a moment as a measure: in units of a numeric's scale, in days or microseconds from 2000 on or of
/// the day. `None` if the text stands for none, or is infinite.
pub(crate) fn measure(sql_type: ColumnType, text: &str) -> Option<f64> {
    whole(sql_type, text).map(|whole| whole as f64).or_else(|| float(sql_type, text))
}

fn is_long(number: f64) -> bool {
    number != 0.0 && !(1e-6..1e16).contains(&number.abs())
}

/// The text of the value of a type that is nearest to a measure.
pub(crate) fn text_of_measure(sql_type: ColumnType, measure: f64) -> String {
    use ColumnType as T;
    let whole = measure.round() as i64;
    match sql_type {
        // Of one that has hundreds of digits none is lost so.
        T::Real if is_long(measure) => format!("{:e}", measure as f32),
        T::Double if is_long(measure) => format!("{measure:e}"),
        T::Real => format!("{}", measure as f32),
        T::Double => format!("{measure}"),
        T::Numeric { scale, .. } => numeric::units_text(whole.into(), scale),
        T::Date => format_day(whole as i32),
        T::Time => format_clock(whole),
        T::Timestamp => format_moment(whole),
        T::TimestampTz => format_moment(whole) + "+00",
        T::SmallInt => whole.clamp(i16::MIN.into(), i16::MAX.into()).to_string(),
        T::Integer => whole.clamp(i32::MIN.into(), i32::MAX.into()).to_string(),
        _ => whole.to_string(),
    }
}
