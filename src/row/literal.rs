//! Values that are written as text, in binary.

use super::ColumnType;
use super::day::{parse_day, parse_time};
use super::numeric::{self, MAX_SCALE, units_of};

/// The value of a type that a text stands for, as COPY BINARY has it, without its length; `None` if it
/// stands for none, or the type's values are not written so.
pub(super) fn encode(sql_type: ColumnType, text: &str) -> Option<Vec<u8>> {
    use ColumnType as T;
    if !sql_type.is_written() {
        return None;
    }
    Some(match sql_type {
        T::SmallInt => text.parse::<i16>().ok()?.to_be_bytes().to_vec(),
        T::Integer => text.parse::<i32>().ok()?.to_be_bytes().to_vec(),
        T::BigInt => text.parse::<i64>().ok()?.to_be_bytes().to_vec(),
        T::Real => {
            let value = text.parse::<f32>().ok().filter(|value| value.is_finite())?;
            value.to_bits().to_be_bytes().to_vec()
        }
        T::Double => {
            let value = text.parse::<f64>().ok().filter(|value| value.is_finite())?;
            value.to_bits().to_be_bytes().to_vec()
        }
        T::Numeric { precision, scale } => {
            let units = units_of(text, scale)?;
            let limit = numeric::pow10(precision.min(MAX_SCALE));
            let mut field = [0; numeric::WIDE_BYTES];
            let end = numeric::write(units.into(), scale, &mut field);
            (u128::from(units.unsigned_abs()) < limit).then(|| field[4..end].to_vec())?
        }
        T::Boolean => vec![u8::from(text.parse::<bool>().ok()?)],
        T::Date => parse_day(text)?.to_be_bytes().to_vec(),
        T::Time => parse_time(text)?.to_be_bytes().to_vec(),
        T::Uuid => {
            let digits: String = text.split('-').collect();
            let is_uuid = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let value = u128::from_str_radix(&digits, 16).ok().filter(|_| is_uuid)?;
            value.to_be_bytes().to_vec()
        }
        _ => text.as_bytes().to_vec(),
    })
}

impl ColumnType {
    /// Whether values of the type are written as text.
    pub(crate) fn is_written(self) -> bool {
        use ColumnType as T;
        !matches!(self, T::Json | T::Jsonb | T::Bytea | T::Inet | T::Timestamp | T::TimestampTz)
    }
}
