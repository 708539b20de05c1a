//! Rows as a pure function of (seed, partition, sequence), encoded as COPY BINARY tuples.
//!
//! Knows column types and value generators; never the client library.

mod batch;
mod check;
mod checksum;
mod chunk;
pub(crate) mod day;
mod encode;
pub(crate) mod numeric;
mod random;

use serde::Serialize;

pub use batch::BatchEncoder;
pub use check::{ColumnError, ColumnFault};
pub use checksum::Checksum;
pub use chunk::{CHUNK_BYTES, Chunk, ChunkPool};
pub use encode::{EncodeError, Encoded, Encoder, HEADER, TRAILER};

/// One column of a generated table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Column {
    /// Column name as in the table.
    pub name: String,
    /// SQL type.
    #[serde(rename = "type")]
    pub sql_type: ColumnType,
    /// Where the values come from.
    pub values: Values,
}

/// The SQL types that rows can be generated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `smallint`
    SmallInt,
    /// `integer`
    Integer,
    /// `bigint`
    BigInt,
    /// `real`
    Real,
    /// `double precision`
    Double,
    /// `numeric(precision,scale)`
    Numeric {
        /// Digits in all.
        precision: u16,
        /// Digits after the decimal point, at most `precision`.
        scale: u16,
    },
    /// `text`
    Text,
    /// `varchar(n)`
    Varchar(u32),
    /// `boolean`
    Boolean,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// The row's identity: unique and dense in its partition.
    RowId,
    /// The partition's number.
    Partition,
    /// The moment the row was due, to the microsecond.
    DueTime,
    /// `prefix` followed by a whole number from `min` to `max`.
    Label {
        /// Text before the number.
        prefix: String,
        /// Smallest number.
        min: u64,
        /// Largest number.
        max: u64,
        /// How the number is chosen.
        pick: Pick,
    },
    /// A whole number from `min` to `max`.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
        /// How it is chosen.
        pick: Pick,
    },
    /// An exact decimal, in units of the column's scale (1234 in a scale of 2 is 12.34).
    Decimal {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A floating-point number, uniform in `min..max`.
    Float {
        /// Smallest.
        min: f64,
        /// Largest, not included.
        max: f64,
    },
    /// A day, in days from 2000-01-01.
    Day {
        /// First.
        min: i32,
        /// Last.
        max: i32,
        /// How it is chosen.
        pick: Pick,
    },
    /// Random lower-case letters and digits.
    Text {
        /// Fewest characters.
        min_chars: u32,
        /// Most characters.
        max_chars: u32,
    },
    /// True with the given probability.
    Boolean {
        /// Probability of true, from 0 to 1.
        true_ratio: f64,
    },
}

/// How a value is chosen from its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// Uniformly at random.
    #[default]
    Random,
    /// In turn by row sequence: min, min + 1 … max, min …
    Cycle,
}

impl ColumnType {
    /// Digits after the decimal point: none but a numeric's.
    pub(crate) fn scale(self) -> u16 {
        match self {
            Self::Numeric { scale, .. } => scale,
            _ => 0,
        }
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double precision"),
            Self::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Varchar(chars) => write!(f, "character varying({chars})"),
            Self::Boolean => f.write_str("boolean"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp without time zone"),
            Self::TimestampTz => f.write_str("timestamp with time zone"),
        }
    }
}

impl Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
