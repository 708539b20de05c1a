//! What a table was filled with, kept beside it in its comment, behind the mark of strom-load's
//! tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::pg::mark::DATA_SET as MARK;
use crate::plan::Table;

/// Version of the record, of the generators and of the checksum.
const FORMAT: u32 = 1;

/// What a table was filled with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) format: u32,
    pub(super) status: Status,
    pub(super) seed: u64,
    pub(super) rows: u64,
    /// Rows of a transaction: what a half-filled table consists of.
    pub(super) batch_rows: u64,
    /// The columns and their generators.
    pub(super) columns: Vec<Value>,
    /// Of all rows; once the table is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checksum: Option<String>,
}

/// How far a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// Rows, keys or indexes may be missing.
    Filling,
    /// All is there.
    Ready,
}

/// A comment that is no record of this version's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotARecord {
    /// No comment, or a person's.
    Foreign,
    /// A record of another version of strom-load.
    OtherFormat,
}

impl Record {
    /// The record of a table that is about to be filled.
    pub(super) fn begin(table: &Table, batch_rows: u64) -> Self {
        Self {
            format: FORMAT,
            status: Status::Filling,
            seed: table.seed,
            rows: table.rows.get(),
            batch_rows,
            columns: table.columns.iter().map(|column| json!(column)).collect(),
            checksum: None,
        }
    }

    /// The record of the same table while rows are added to it, up to those that `table` wants.
    pub(super) fn filling(self, table: &Table) -> Self {
        Self { status: Status::Filling, rows: table.rows.get(), checksum: None, ..self }
    }

    /// How many rows each batch has once all rows are there.
    pub(super) fn batches(&self) -> BTreeMap<u64, u64> {
        let batches = self.rows.div_ceil(self.batch_rows);
        let rows = |batch| self.batch_rows.min(self.rows - batch * self.batch_rows);
        (0..batches).map(|batch| (batch, rows(batch))).collect()
    }

    /// The record of the same table when it is filled.
    pub(super) fn ready(self, checksum: String) -> Self {
        Self { status: Status::Ready, checksum: Some(checksum), ..self }
    }

    /// Reads a table's comment.
    pub(super) fn read(comment: Option<&str>) -> Result<Self, NotARecord> {
        let json = comment.and_then(|text| text.strip_prefix(MARK)).ok_or(NotARecord::Foreign)?;
        let record: Self = serde_json::from_str(json).map_err(|_| NotARecord::OtherFormat)?;
        if record.format == FORMAT && record.batch_rows > 0 {
            Ok(record)
        } else {
            Err(NotARecord::OtherFormat)
        }
    }

    /// The record as a table's comment.
    pub(super) fn comment(&self) -> String {
        format!("{MARK}{}", json!(self))
    }

    /// What the table was filled with otherwise than `table` wants, the number of rows aside: fewer
    /// are the first of those wanted.
    pub(super) fn differences(&self, table: &Table) -> Vec<String> {
        let wanted = Self::begin(table, self.batch_rows);
        let mut differences = Vec::new();
        if self.seed != wanted.seed {
            differences.push(format!("it was filled with seed {}, not {}", self.seed, wanted.seed));
        }
        for column in &wanted.columns {
            let name = &column["name"];
            match self.columns.iter().find(|have| have["name"] == *name) {
                Some(have) if have == column => {}
                Some(have) => {
                    let shown = |of: &Value| format!("{} {}", of["type"], of["values"]);
                    let (have, want) = (shown(have), shown(column));
                    differences.push(format!("column {name} was filled with {have}, not {want}"));
                }
                None => differences.push(format!("it was filled without column {name}")),
            }
        }
        let names = |columns: &[Value]| -> Vec<Value> {
            columns.iter().map(|column| column["name"].clone()).collect()
        };
        let (have, want) = (names(&self.columns), names(&wanted.columns));
        for name in have.iter().filter(|name| !want.contains(name)) {
            differences.push(format!("it was filled with a column {name} that the profile lacks"));
        }
        if differences.is_empty() && have != want {
            differences.push("its columns stand in another order".to_owned());
        }
        differences
    }
}
