//! The tables of a profile as they were found or made, and what was written of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A table that is ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prepared {
    /// Its name, as a person writes it.
    pub table: String,
    /// What was done.
    pub state: State,
    /// Rows that it has.
    pub rows: u64,
    /// Rows that were loaded just now.
    pub rows_loaded: u64,
    /// Seconds that loading them took; 0 if there were none.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub load_s: f64,
    /// Seconds that keys, indexes, VACUUM and ANALYZE took.
    #[serde(deserialize_with = "crate::quantity::number_or_nan")]
    pub finish_s: f64,
    /// Keys and indexes that were built just now.
    pub built: Vec<String>,
    /// Checksum of all rows: the same for the same seed and profile.
    pub checksum: String,
    /// Whether the rows were read back and have that checksum.
    pub verified: bool,
    /// Bytes of the table without indexes.
    pub table_bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
}

/// What became of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TableState")]
pub enum State {
    /// It was not there.
    Created,
    /// It was there, and `--recreate` dropped it.
    Recreated,
    /// It was half-filled, and is completed.
    Completed,
    /// It had fewer rows, and got the others.
    Grown,
    /// It was there as the profile wants it.
    Reused,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Recreated => "recreated",
            Self::Completed => "completed",
            Self::Grown => "grown",
            Self::Reused => "reused",
        })
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exported {
    /// Rows.
    pub rows: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Record batches.
    pub batches: u64,
    /// Columns, in the file's order.
    pub columns: Vec<ExportedColumn>,
}

/// A column as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExportedColumn {
    /// Its name.
    pub name: String,
    /// Its type in Arrow, such as `Decimal128(15, 2)`.
    pub arrow_type: String,
}
