//! The columns of a batch: COPY BINARY fields go straight into Arrow's builders.

use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_schema::{DataType, TimeUnit};

use crate::pg::result_type::{NumericModifier, ResultType};

use super::decimal::{DecimalError, DecimalType, MAX_PRECISION};

/// From 1970-01-01, where Arrow counts from, to 2000-01-01, where PostgreSQL does.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_US: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Collects the values of one column.
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, DecimalType),
    Text(StringBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

/// Why a type is not written, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsupported {
    pub(super) fact: String,
    /// What to cast it to.
    pub(super) cast: &'static str,
}

/// Why a value is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ValueError {
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    #[error("infinity has no place in an Arrow date or timestamp")]
    Infinite,
    #[error("the time is later than 64 bits of microseconds since 1970 reach")]
    TooLate,
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    #[error("the value has not the length of its type")]
    WrongLength,
}

impl Column {
    /// An empty column for values of this type, and what Arrow calls it.
    pub(super) fn new(result_type: &ResultType) -> Result<(Self, DataType), Unsupported> {
        let timestamp = |zone: Option<&'static str>| {
            let builder = TimestampMicrosecondBuilder::new().with_timezone_opt(zone);
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
            (Self::Timestamp(builder), data_type)
        };
        Ok(match result_type {
            ResultType::Boolean => (Self::Boolean(BooleanBuilder::new()), DataType::Boolean),
            ResultType::SmallInt => (Self::Int16(Int16Builder::new()), DataType::Int16),
            ResultType::Integer => (Self::Int32(Int32Builder::new()), DataType::Int32),
            ResultType::BigInt => (Self::Int64(Int64Builder::new()), DataType::Int64),
            ResultType::Real => (Self::Float32(Float32Builder::new()), DataType::Float32),
            ResultType::Double => (Self::Float64(Float64Builder::new()), DataType::Float64),
            ResultType::Numeric(modifier) => {
                let decimal = decimal_type(*modifier)?;
                let data_type = DataType::Decimal128(decimal.precision(), decimal.scale() as i8);
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                (Self::Decimal(builder, decimal), data_type)
            }
            // A batch is bounded far below the 2 GiB that its 32-bit offsets reach.
            ResultType::Text => (Self::Text(StringBuilder::new()), DataType::Utf8),
            ResultType::Date => (Self::Date(Date32Builder::new()), DataType::Date32),
            ResultType::Timestamp => timestamp(None),
            ResultType::TimestampTz => timestamp(Some("UTC")),
            ResultType::Other(name) => {
                let fact = format!("type `{name}` is not among those that are written");
                return Err(Unsupported { fact, cast: "text" });
            }
        })
    }

    /// Appends a field of a tuple; `None` is NULL.
    #[inline]
    pub(super) fn append(&mut self, field: Option<&[u8]>) -> Result<(), ValueError> {
        let Some(bytes) = field else {
            self.append_null();
            return Ok(());
        };
        match self {
            Self::Boolean(builder) => builder.append_value(u8::from_be_bytes(fixed(bytes)?) != 0),
            Self::Int16(builder) => builder.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Self::Int32(builder) => builder.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Self::Int64(builder) => builder.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Self::Float32(builder) => builder.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Self::Float64(builder) => builder.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Self::Decimal(builder, decimal) => builder.append_value(decimal.units(bytes)?),
            Self::Text(builder) => {
                builder.append_value(str::from_utf8(bytes).map_err(|_| ValueError::NotUtf8)?);
            }
            Self::Date(builder) => builder.append_value(days(i32::from_be_bytes(fixed(bytes)?))?),
            Self::Timestamp(builder) => {
                builder.append_value(microseconds(i64::from_be_bytes(fixed(bytes)?))?);
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Int16(builder) => builder.append_null(),
            Self::Int32(builder) => builder.append_null(),
            Self::Int64(builder) => builder.append_null(),
            Self::Float32(builder) => builder.append_null(),
            Self::Float64(builder) => builder.append_null(),
            Self::Decimal(builder, _) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
        }
    }

    /// The values since the last call, as Arrow has them.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Boolean(builder) => builder,
            Self::Int16(builder) => builder,
            Self::Int32(builder) => builder,
            Self::Int64(builder) => builder,
            Self::Float32(builder) => builder,
            Self::Float64(builder) => builder,
            Self::Decimal(builder, _) => builder,
            Self::Text(builder) => builder,
            Self::Date(builder) => builder,
            Self::Timestamp(builder) => builder,
        };
        builder.finish()
    }
}

fn decimal_type(modifier: Option<NumericModifier>) -> Result<DecimalType, Unsupported> {
    let cast = "numeric(38, 10)";
    let Some(NumericModifier { precision, scale }) = modifier else {
        let fact = "a numeric without precision and scale has no Arrow type".to_owned();
        return Err(Unsupported { fact, cast });
    };
    DecimalType::new(precision, scale).ok_or_else(|| {
        let fact = format!(
            "numeric({precision},{scale}) has no Arrow type: that has at most {MAX_PRECISION} \
             digits, and none to all of them after the point"
        );
        Unsupported { fact, cast }
    })
}

fn fixed<const LENGTH: usize>(bytes: &[u8]) -> Result<[u8; LENGTH], ValueError> {
    bytes.try_into().map_err(|_| ValueError::WrongLength)
}

/// The server's days; the ends of the range stand for infinity.
fn days(since_2000: i32) -> Result<i32, ValueError> {
    match since_2000 {
        i32::MIN | i32::MAX => Err(ValueError::Infinite),
        days => days.checked_add(EPOCH_DAYS).ok_or(ValueError::TooLate),
    }
}

fn microseconds(since_2000: i64) -> Result<i64, ValueError> {
    match since_2000 {
        i64::MIN | i64::MAX => Err(ValueError::Infinite),
        us => us.checked_add(EPOCH_US).ok_or(ValueError::TooLate),
    }
}
