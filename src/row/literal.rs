//! Values that are written as text, in binary.

use std::net::IpAddr;

use super::ColumnType;
use super::day::{format_clock, format_day, format_moment, parse_day, parse_moment, parse_time};
use super::numeric::{self, MAX_SCALE, units_of};
use super::uuid;

/// The value of a type that a text stands for, as COPY BINARY has it, without its length; `None` if it
/// stands for none, or the type's values are not written so.
pub(super) fn encode(sql_type: ColumnType, text: &str) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    encode_into(sql_type, text, &mut value)?;
    Some(value)
}

/// The same behind what `out` holds; of a text that stands for no value it is left as it was.
pub(super) fn encode_into(sql_type: ColumnType, text: &str, out: &mut Vec<u8>) -> Option<()> {
    use ColumnType as T;
    match sql_type {
        T::SmallInt => out.extend((whole(sql_type, text)? as i16).to_be_bytes()),
        T::Integer | T::Date => out.extend((whole(sql_type, text)? as i32).to_be_bytes()),
        T::BigInt | T::Time | T::Timestamp | T::TimestampTz => {
            out.extend(whole(sql_type, text)?.to_be_bytes());
        }
        T::Real => out.extend((float(sql_type, text)? as f32).to_bits().to_be_bytes()),
        T::Double => out.extend(float(sql_type, text)?.to_bits().to_be_bytes()),
        T::Numeric { precision, scale } => {
            encode_units(numeric::wide_units_of(text, scale)?, precision, scale, out)?;
        }
        T::Boolean => out.push(boolean(text)?.into()),
        T::Uuid => out.extend(uuid::parse(text)?.to_be_bytes()),
        T::Inet => encode_inet(text, out)?,
        T::Text | T::Varchar(_) | T::Char(_) => out.extend(text.as_bytes()),
        T::Bytea => encode_hex(text, out)?,
        T::Json | T::Jsonb | T::Array(_) => return None,
    }
    Some(())
}

/// A number in units of a numeric's scale; `None` if it has more digits than the type.
pub(super) fn encode_units(
    units: i128,
    precision: u16,
    scale: u16,
    out: &mut Vec<u8>,
) -> Option<()> {
    if units.unsigned_abs() >= numeric::pow10(precision.min(MAX_SCALE)) {
        return None;
    }
    let mut field = [0; numeric::WIDE_BYTES];
    let end = numeric::write(units, scale, &mut field);
    out.extend(&field[4..end]);
    Some(())
}

/// Bytes as PostgreSQL writes them: `\x` and two digits each.
fn encode_hex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, []) = digits.as_chunks() else { return None };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    out.extend(bytes.flatten());
    Some(())
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
fn encode_inet(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let mut write = |family, address: &[u8]| {
        let bits = 8 * address.len() as u8;
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then(|| {
            out.extend([family, prefix, 0, address.len() as u8]);
            out.extend(address);
        })
    };
    match address.parse().ok()? {
        IpAddr::V4(address) => write(INET_V4, &address.octets()),
        IpAddr::V6(address) => write(INET_V6, &address.octets()),
    }
}

/// As PostgreSQL reads one, but for its shortened words: it writes `t` and `f` itself.
fn boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 6]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match (
        is_one_of(["true", "t", "yes", "y", "on", "1"]),
        is_one_of(["false", "f", "no", "n", "off", "0"]),
    ) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

impl ColumnType {
    /// Whether values of the type are written as text.
    pub(crate) fn is_written(self) -> bool {
        !matches!(self, Self::Json | Self::Jsonb | Self::Bytea | Self::Array(_))
    }

    /// Whether values of the type can be taken from a file.
    pub(crate) fn is_in_files(self) -> bool {
        self.is_written() || self == Self::Bytea
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
