//! Rows as a pure function of (seed, partition, sequence), encoded as COPY BINARY tuples.
//!
//! Knows column types and value generators; never the client library.

mod alias;
mod batch;
mod check;
mod checksum;
mod chunk;
pub(crate) mod day;
mod elementary;
mod encode;
mod identity;
mod lane;
mod literal;
mod network;
pub(crate) mod numeric;
mod pattern;
mod pick;
mod quantile;
mod random;
mod run_tag;
mod sample;
mod text;
mod uuid;
mod values;
mod words;

use serde::Serialize;

pub(crate) use alias::NUMBERS_MAX;
pub use batch::BatchEncoder;
pub use check::{ColumnError, ColumnFault};
pub use checksum::Checksum;
pub use chunk::{CHUNK_BYTES, Chunk, ChunkPool};
pub use encode::{EncodeError, Encoded, Encoder, HEADER, TRAILER};
pub use identity::RowIdentity;
pub use lane::{Ids, Lane};
pub(crate) use literal::{measure, text_of_measure};
pub use network::Network;
pub use pattern::Pattern;
pub(crate) use pick::ROWS_MAX;
pub use pick::{Pick, Zipf};
pub use run_tag::RunTag;
pub(crate) use run_tag::run_uuid;
pub use sample::Sample;
pub(crate) use sample::{SampleBuilder, SampleFault, VALUES_MAX};
pub use text::row_text;
pub use values::{Others, Values};

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
    /// Probability of NULL, from 0 up to, but not including, 1. A column without NULLs is NOT NULL, see [`Column::has_nulls`].
    #[serde(skip_serializing_if = "is_zero")]
    pub null_ratio: f64,
}

impl Column {
    /// Whether some of its values may be NULL.
    pub fn has_nulls(&self) -> bool {
        self.null_ratio > 0.0 || self.values.have_nulls()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(ratio: &f64) -> bool {
    *ratio == 0.0
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
    /// `char(n)`
    Char(u32),
    /// `uuid`
    Uuid,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
    /// `inet`
    Inet,
    /// `time without time zone`
    Time,
    /// `boolean`
    Boolean,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
}

impl ColumnType {
    /// The name by which a value is cast to it without being cut or rounded.
    pub fn cast_name(self) -> String {
        match self {
            Self::Numeric { .. } => "numeric".to_owned(),
            Self::Varchar(_) => "varchar".to_owned(),
            Self::Char(_) => "bpchar".to_owned(),
            whole => whole.to_string(),
        }
    }

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
            Self::Char(chars) => write!(f, "character({chars})"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Jsonb => f.write_str("jsonb"),
            Self::Bytea => f.write_str("bytea"),
            Self::Inet => f.write_str("inet"),
            Self::Time => f.write_str("time without time zone"),
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
