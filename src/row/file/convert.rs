//! Values of Arrow as fields of COPY BINARY: each is exactly the same value, or it is refused.

use std::fmt::{self, Display, Write as _};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::i256;
use arrow_schema::{DataType, TimeUnit};

use crate::row::ColumnType;
use crate::row::check::{DAY_MAX, DAY_MIN};
use crate::row::day::{
    DAY_US, EPOCH_UNIX_DAYS, EPOCH_UNIX_US, TIMESTAMP_MAX_US, TIMESTAMP_MIN_US, format_day,
};
use crate::row::fields::{SampleBuilder, SampleFault};
use crate::row::literal::{encode_into, encode_units};
use crate::row::numeric::{MAX_SCALE, pow10, units_text};

/// Days of the years 1 to 9999, which are written with four digits.
const WRITTEN_DAYS: std::ops::RangeInclusive<i32> = -730_119..=2_921_939;
/// What numbers without a fraction become.
const OF_WHOLE: &str = "smallint, integer, bigint, numeric(p,s), real, double precision or text";
/// What is said of types that are not taken at all.
const NOT_TAKEN: &str =
    "write it in the file as a column of numbers, texts, bytes, days or moments";

/// An Arrow type that is not taken as an SQL type: what to do.
pub(super) struct Unfit {
    pub(super) types: String,
}

/// A value of Arrow.
#[derive(Clone, Copy)]
enum Value<'a> {
    Whole(i128),
    /// Of units with so many decimals.
    Decimal(i256, i8),
    Float(f64),
    Boolean(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Of the day, or since 1970: parts of a second, and how many a second has.
    Time(i64, i64),
    /// Parts of a day since 1970, and how many a day has.
    Day(i64, i64),
}

/// Whether values of an Arrow type are taken as an SQL type.
pub(super) fn takes(data_type: &DataType, sql_type: ColumnType) -> Result<(), Unfit> {
    use ColumnType as S;
    use DataType as A;
    let is_whole = matches!(sql_type, S::SmallInt | S::Integer | S::BigInt);
    let is_text = matches!(sql_type, S::Text | S::Varchar(_) | S::Char(_));
    let is_number = matches!(sql_type, S::Numeric { .. });
    let is_float = matches!(sql_type, S::Real | S::Double);
    let (fits, types) = match data_type {
        A::Null => (sql_type.is_in_files(), "any"),
        A::Int8 | A::Int16 | A::Int32 | A::Int64 | A::UInt8 | A::UInt16 | A::UInt32 | A::UInt64 => {
            (is_whole || is_number || is_float || is_text, OF_WHOLE)
        }
        A::Float16 | A::Float32 | A::Float64 => (is_float, "real or double precision"),
        A::Decimal32(..) | A::Decimal64(..) | A::Decimal128(..) | A::Decimal256(..) => {
            (is_whole || is_number || is_text, "numeric(p,s), smallint, integer, bigint or text")
        }
        A::Boolean => (sql_type == S::Boolean || is_text, "boolean or text"),
        A::Utf8 | A::LargeUtf8 | A::Utf8View => {
            (sql_type.is_written(), "any but bytea, json and jsonb")
        }
        A::FixedSizeBinary(16) => (matches!(sql_type, S::Bytea | S::Uuid), "bytea or uuid"),
        A::Binary | A::LargeBinary | A::BinaryView | A::FixedSizeBinary(_) => {
            (sql_type == S::Bytea, "bytea")
        }
        A::Date32 | A::Date64 => (sql_type == S::Date || is_text, "date or text"),
        A::Time32(_) | A::Time64(_) => (sql_type == S::Time, "time"),
        A::Timestamp(_, None) => (sql_type == S::Timestamp, "timestamp, as they have no zone"),
        A::Timestamp(_, Some(_)) => {
            (sql_type == S::TimestampTz, "timestamptz, as they have a zone")
        }
        A::Dictionary(_, values) => return takes(values, sql_type),
        _ => return Err(Unfit { types: NOT_TAKEN.to_owned() }),
    };
    let types =
        || format!("choose a type that takes such values: {types}; or cast the column in the file");
    fits.then_some(()).ok_or_else(|| Unfit { types: types() })
}

/// Appends the values of an array from a row on. Where one is not taken: its row, why, and its text.
pub(super) fn convert(
    array: &ArrayRef,
    from: usize,
    out: &mut SampleBuilder,
) -> Result<(), (usize, SampleFault, String)> {
    let sql_type = out.sql_type();
    let none = || (from, SampleFault::Value, "values of an unknown kind".to_owned());
    let value = values(array).ok_or_else(none)?;
    let mut text = String::new();
    for row in from..array.len() {
        let value = value(row);
        let pushed = match value {
            None => out.push_null(),
            Some(Value::Text(text)) => out.push_value(text),
            Some(value) => out.push_with(|out| write(value, sql_type, out, &mut text)),
        };
        pushed.map_err(|fault| {
            (row, fault, value.map_or_else(|| "NULL".to_owned(), |value| value.to_string()))
        })?;
    }
    Ok(())
}

/// What gives the value of a row; `None`: the type is not taken.
type Values<'a> = Box<dyn Fn(usize) -> Option<Value<'a>> + 'a>;

fn primitive<'a, T: ArrowPrimitiveType>(
    array: &'a ArrayRef,
    value: impl Fn(T::Native) -> Value<'a> + 'a,
) -> Option<Values<'a>> {
    let array = array.as_primitive_opt::<T>()?;
    Some(Box::new(move |row| (!array.is_null(row)).then(|| value(array.value(row)))))
}

fn values(array: &ArrayRef) -> Option<Values<'_>> {
    use TimeUnit as U;
    macro_rules! each {
        ($array:expr, $value:expr) => {{
            let array = $array;
            let value = $value;
            Box::new(move |row| (!array.is_null(row)).then(|| value(array.value(row))))
        }};
    }
    macro_rules! whole {
        ($type:ty) => {
            primitive::<$type>(array, |value| Value::Whole(value.into()))?
        };
    }
    macro_rules! time {
        ($type:ty, $per:expr) => {
            primitive::<$type>(array, |value| Value::Time(value.into(), $per))?
        };
    }
    Some(match array.data_type() {
        DataType::Null => Box::new(|_| None),
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float16 => primitive::<Float16Type>(array, |value| Value::Float(value.to_f64()))?,
        DataType::Float32 => primitive::<Float32Type>(array, |value| Value::Float(value.into()))?,
        DataType::Float64 => primitive::<Float64Type>(array, Value::Float)?,
        DataType::Decimal32(_, scale) => {
            let scale = *scale;
            primitive::<Decimal32Type>(array, move |own| {
                Value::Decimal(i256::from_i128(own.into()), scale)
            })?
        }
        DataType::Decimal64(_, scale) => {
            let scale = *scale;
            primitive::<Decimal64Type>(array, move |own| {
                Value::Decimal(i256::from_i128(own.into()), scale)
            })?
        }
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            primitive::<Decimal128Type>(array, move |own| {
                Value::Decimal(i256::from_i128(own), scale)
            })?
        }
        DataType::Decimal256(_, scale) => {
            let scale = *scale;
            primitive::<Decimal256Type>(array, move |own| Value::Decimal(own, scale))?
        }
        DataType::Boolean => each!(array.as_boolean_opt()?, Value::Boolean),
        DataType::Utf8 => each!(array.as_string_opt::<i32>()?, Value::Text),
        DataType::LargeUtf8 => each!(array.as_string_opt::<i64>()?, Value::Text),
        DataType::Utf8View => each!(array.as_string_view_opt()?, Value::Text),
        DataType::Binary => each!(array.as_binary_opt::<i32>()?, Value::Bytes),
        DataType::LargeBinary => each!(array.as_binary_opt::<i64>()?, Value::Bytes),
        DataType::BinaryView => each!(array.as_binary_view_opt()?, Value::Bytes),
        DataType::FixedSizeBinary(_) => each!(array.as_fixed_size_binary_opt()?, Value::Bytes),
        DataType::Date32 => primitive::<Date32Type>(array, |days| Value::Day(days.into(), 1))?,
        DataType::Date64 => primitive::<Date64Type>(array, |ms| Value::Day(ms, 86_400_000))?,
        DataType::Time32(U::Second) => time!(Time32SecondType, 1),
        DataType::Time32(U::Millisecond) => time!(Time32MillisecondType, 1_000),
        DataType::Time64(U::Microsecond) => time!(Time64MicrosecondType, 1_000_000),
        DataType::Time64(U::Nanosecond) => time!(Time64NanosecondType, 1_000_000_000),
        DataType::Timestamp(U::Second, _) => time!(TimestampSecondType, 1),
        DataType::Timestamp(U::Millisecond, _) => time!(TimestampMillisecondType, 1_000),
        DataType::Timestamp(U::Microsecond, _) => time!(TimestampMicrosecondType, 1_000_000),
        DataType::Timestamp(U::Nanosecond, _) => time!(TimestampNanosecondType, 1_000_000_000),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let (keys, of) = (dictionary.normalized_keys(), values(dictionary.values())?);
            Box::new(move |row| if dictionary.is_null(row) { None } else { of(keys[row]) })
        }
        _ => return None,
    })
}

/// Appends a value; `None`: it is none of the type. Of a text it returns the number of its characters.
fn write(
    value: Value<'_>,
    sql_type: ColumnType,
    out: &mut Vec<u8>,
    text: &mut String,
) -> Option<u64> {
    use ColumnType as S;
    if matches!(sql_type, S::Text | S::Varchar(_) | S::Char(_)) {
        text.clear();
        written(value, text)?;
        out.extend(text.as_bytes());
        return Some(text.chars().count() as u64);
    }
    match (value, sql_type) {
        (Value::Whole(_) | Value::Decimal(..), S::SmallInt) => {
            out.extend(i16::try_from(units(value, 0)?).ok()?.to_be_bytes());
        }
        (Value::Whole(_) | Value::Decimal(..), S::Integer) => {
            out.extend(i32::try_from(units(value, 0)?).ok()?.to_be_bytes());
        }
        (Value::Whole(_) | Value::Decimal(..), S::BigInt) => {
            out.extend(i64::try_from(units(value, 0)?).ok()?.to_be_bytes());
        }
        (Value::Whole(_) | Value::Decimal(..), S::Numeric { precision, scale }) => {
            encode_units(units(value, scale)?, precision, scale, out)?;
        }
        (Value::Whole(whole), S::Real) => {
            let float = whole as f32;
            (float as i128 == whole).then(|| out.extend(float.to_bits().to_be_bytes()))?;
        }
        (Value::Whole(whole), S::Double) => {
            let float = whole as f64;
            (float as i128 == whole).then(|| out.extend(float.to_bits().to_be_bytes()))?;
        }
        // PostgreSQL has one NaN.
        (Value::Float(float), S::Real) if float.is_nan() => {
            out.extend(f32::NAN.to_bits().to_be_bytes());
        }
        (Value::Float(float), S::Double) if float.is_nan() => {
            out.extend(f64::NAN.to_bits().to_be_bytes());
        }
        (Value::Float(float), S::Real) => {
            let real = float as f32;
            (f64::from(real).to_bits() == float.to_bits())
                .then(|| out.extend(real.to_bits().to_be_bytes()))?;
        }
        (Value::Float(float), S::Double) => out.extend(float.to_bits().to_be_bytes()),
        (Value::Boolean(value), S::Boolean) => out.push(value.into()),
        (Value::Bytes(bytes), S::Bytea | S::Uuid) => out.extend(bytes),
        (Value::Day(..), S::Date) => out.extend(day(value)?.to_be_bytes()),
        (Value::Time(..), S::Time) => {
            let us = microseconds(value).filter(|us| (0..=DAY_US).contains(us))?;
            out.extend(us.to_be_bytes());
        }
        (Value::Time(..), S::Timestamp | S::TimestampTz) => {
            let us = microseconds(value)?.checked_sub(EPOCH_UNIX_US)?;
            let us = Some(us).filter(|us| (TIMESTAMP_MIN_US..=TIMESTAMP_MAX_US).contains(us))?;
            out.extend(us.to_be_bytes());
        }
        (Value::Text(text), _) => encode_into(sql_type, text, out)?,
        _ => return None,
    }
    Some(0)
}

/// Appends a value as text.
fn written(value: Value<'_>, text: &mut String) -> Option<()> {
    match value {
        Value::Whole(_) | Value::Boolean(_) => write!(text, "{value}").ok(),
        Value::Decimal(_, scale) => {
            let scale = u16::try_from(scale).unwrap_or(0);
            text.push_str(&units_text(units(value, scale)?, scale));
            Some(())
        }
        Value::Day(..) => {
            let day = day(value).filter(|day| WRITTEN_DAYS.contains(day))?;
            text.push_str(&format_day(day));
            Some(())
        }
        _ => None,
    }
}

/// A number in units with so many decimals, if it has no more.
fn units(value: Value<'_>, scale: u16) -> Option<i128> {
    match value {
        Value::Whole(whole) => whole.checked_mul(pow10(scale.min(MAX_SCALE)) as i128),
        Value::Decimal(units, own) => {
            let (mut units, ten) = (units, i256::from_i128(10));
            if units == i256::ZERO {
                return Some(0);
            }
            for _ in i32::from(own)..i32::from(scale) {
                units = units.checked_mul(ten)?;
            }
            for _ in i32::from(scale)..i32::from(own) {
                if units.checked_rem(ten)? != i256::ZERO {
                    return None;
                }
                units = units.checked_div(ten)?;
            }
            units.to_i128()
        }
        _ => None,
    }
}

/// Microseconds of a time, if it has nothing finer.
fn microseconds(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Time(parts, per_s @ 1_000_000_000) => {
            let per_us = per_s / 1_000_000;
            (parts % per_us == 0).then_some(parts / per_us)
        }
        Value::Time(parts, per_s) => parts.checked_mul(1_000_000 / per_s),
        _ => None,
    }
}

/// Days from 2000-01-01 on, if it is a whole day of PostgreSQL's.
fn day(value: Value<'_>) -> Option<i32> {
    let Value::Day(parts, per_day) = value else { return None };
    let days = (parts % per_day == 0).then_some(parts / per_day)?.checked_sub(EPOCH_UNIX_DAYS)?;
    i32::try_from(days).ok().filter(|day| (DAY_MIN..=DAY_MAX).contains(day))
}

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => write!(f, "{whole}"),
            Self::Decimal(units, 0) => write!(f, "{units}"),
            Self::Decimal(units, scale) => write!(f, "{units}e{}", -i32::from(*scale)),
            Self::Float(float) => write!(f, "{float:?}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Time(parts, _) | Self::Day(parts, _) => write!(f, "{parts}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: Value<'_>, sql_type: ColumnType) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        write(value, sql_type, &mut out, &mut String::new())?;
        Some(out)
    }

    fn literal(sql_type: ColumnType, text: &str) -> Option<Vec<u8>> {
        crate::row::literal::encode(sql_type, text)
    }

    #[test]
    fn values_are_the_ones_that_their_texts_stand_for() {
        use ColumnType as S;
        let numeric = |precision, scale| S::Numeric { precision, scale };
        let decimal = |units, scale| Value::Decimal(i256::from_i128(units), scale);
        for (own, sql_type, text) in [
            (Value::Whole(-7), S::SmallInt, "-7"),
            (Value::Whole(7), numeric(9, 2), "7.00"),
            (Value::Whole(7), S::Real, "7"),
            (Value::Whole(-7), S::Text, "-7"),
            (decimal(-1230, 2), numeric(9, 1), "-12.3"),
            (decimal(123, -3), numeric(9, 1), "123000.0"),
            (decimal(123, -3), S::Integer, "123000"),
            (decimal(12300, 2), S::SmallInt, "123"),
            (decimal(-5, 2), S::Varchar(9), "-0.05"),
            (
                decimal(99_999_999_999_999_999_999_999_999_999_999_999_999, 10),
                numeric(38, 10),
                "9999999999999999999999999999.9999999999",
            ),
            (Value::Boolean(true), S::Boolean, "true"),
            (Value::Boolean(false), S::Text, "false"),
            (Value::Float(0.1), S::Double, "0.1"),
            (Value::Float(-0.5), S::Real, "-0.5"),
            (Value::Day(0, 1), S::Date, "1970-01-01"),
            (Value::Day(-719_162, 1), S::Text, "0001-01-01"),
            (Value::Day(86_400_000, 86_400_000), S::Date, "1970-01-02"),
            (Value::Time(1, 1), S::Time, "00:00:01"),
            (Value::Time(1_000, 1_000_000_000), S::Time, "00:00:00.000001"),
            (Value::Time(-1, 1_000), S::Timestamp, "1969-12-31 23:59:59.999"),
            (Value::Time(86_400, 1), S::TimestampTz, "1970-01-02 00:00:00"),
        ] {
            assert_eq!(value(own, sql_type), literal(sql_type, text), "{own} {sql_type} {text}");
            assert!(value(own, sql_type).is_some(), "{own} {sql_type}");
        }
        assert_eq!(value(Value::Bytes(&[7, 0]), S::Bytea), Some(vec![7, 0]));
        let nan = f64::from_bits(0xfff8_0000_0000_0001);
        assert_eq!(
            value(Value::Float(nan), S::Double),
            Some(0x7ff8_0000_0000_0000_u64.to_be_bytes().to_vec())
        );
        assert!(value(Value::Float(f64::INFINITY), S::Real).is_some());
    }

    #[test]
    fn no_value_is_cut_or_rounded() {
        use ColumnType as S;
        let decimal = |units, scale| Value::Decimal(i256::from_i128(units), scale);
        let numeric = |precision, scale| S::Numeric { precision, scale };
        for (own, sql_type) in [
            (Value::Whole(32_768), S::SmallInt),
            (Value::Whole(1 << 53 | 1), S::Double),
            (Value::Whole(1 << 24 | 1), S::Real),
            (Value::Whole(100), numeric(4, 2)),
            (decimal(1234, 2), numeric(9, 1)),
            (decimal(1234, 2), S::Integer),
            (decimal(1, -128), numeric(38, 0)),
            (Value::Decimal(i256::MAX, 0), numeric(1000, 0)),
            (Value::Float(0.1), S::Real),
            (Value::Day(1, 86_400_000), S::Date),
            (Value::Day(i64::MIN, 1), S::Date),
            (Value::Time(86_400_001, 1_000), S::Time),
            (Value::Time(-1, 1), S::Time),
            (Value::Time(1, 1_000_000_000), S::Timestamp),
            (Value::Time(i64::MAX, 1), S::TimestampTz),
            (Value::Time(i64::MIN, 1_000_000), S::Timestamp),
        ] {
            assert_eq!(value(own, sql_type), None, "{own} {sql_type}");
        }
    }
}
