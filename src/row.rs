//! Rows as a pure function of (seed, partition, sequence), encoded as COPY BINARY tuples.
//!
//! Knows column types and value generators; never the client library.

mod alias;
mod batch;
mod check;
mod checksum;
mod choice;
mod chunk;
mod column;
mod conditional;
pub(crate) mod day;
mod distinct;
mod elementary;
mod encode;
mod fields;
mod file;
mod histogram;
mod identity;
mod lane;
mod lines;
mod literal;
mod network;
pub(crate) mod numeric;
mod pattern;
mod pick;
mod quantile;
mod random;
mod run_tag;
mod sample;
mod sql_type;
mod text;
mod uuid;
mod values;
mod words;
mod ziggurat;

use serde::Serialize;

pub(crate) use alias::NUMBERS_MAX;
pub use batch::BatchEncoder;
pub use check::{ColumnError, ColumnFault};
pub use checksum::Checksum;
pub use chunk::{CHUNK_BYTES, Chunk, ChunkPool};
pub(crate) use conditional::check_together;
pub use encode::{EncodeError, Encoded, Encoder, HEADER, TRAILER};
pub(crate) use fields::{SampleBuilder, SampleFault};
pub use file::{Content, FileFault};
pub(crate) use file::{Wanted, read as read_file};
pub use identity::RowIdentity;
pub use lane::{Ids, Lane};
pub use lines::CopyFormat;
pub(crate) use lines::Lines;
pub(crate) use literal::{is_measured, measure, text_of_measure};
pub use network::Network;
pub use pattern::Pattern;
pub(crate) use pick::ROWS_MAX;
pub use pick::{Pick, Zipf};
pub use run_tag::RunTag;
pub(crate) use run_tag::run_uuid;
pub use sample::Sample;
pub use sql_type::{ColumnType, ElementType};
pub use text::row_text;
pub use values::{Conditional, Elements, Others, Values};

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
    /// The number by which the server knows the type of an array's elements, where that is one of the server's own: an
    /// enum or a domain. `None`: a type that each server knows by the same number.
    #[serde(skip)]
    pub element_oid: Option<u32>,
}

impl Column {
    /// A column without NULLs.
    pub fn new(name: impl Into<String>, sql_type: ColumnType, values: Values) -> Self {
        Self { name: name.into(), sql_type, values, null_ratio: 0.0, element_oid: None }
    }

    /// The same, with this probability of NULL.
    #[must_use]
    pub fn with_nulls(self, null_ratio: f64) -> Self {
        Self { null_ratio, ..self }
    }

    /// Whether some of its values may be NULL.
    pub fn has_nulls(&self) -> bool {
        self.null_ratio > 0.0 || self.values.have_nulls()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(ratio: &f64) -> bool {
    *ratio == 0.0
}
