//! A profile drafted: from what a server's catalogue and statistics say of a table, or from nothing.
//!
//! Facts in, TOML out. What the statistics do not say is said in a comment and never guessed.

mod column;
mod elements;
mod measure;
mod numbers;
mod order;
mod partitions;
mod queries;
mod references;
mod starter;
mod text;
mod together;
mod unique;
mod values;

#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::plan::TableName;
use crate::row::ColumnType;

pub use starter::starter;

/// From such a share on all values are NULL.
const ALL_NULL: f64 = 0.999_999;

/// A table of somebody's, as the server's catalogue and statistics describe it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SourceTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Rows, as the planner estimates them.
    pub rows: f64,
    /// When it was analyzed last; `None`: not known.
    pub analyzed_at: Option<String>,
    /// Its columns in their order.
    pub columns: Vec<SourceColumn>,
    /// Columns of its primary key, then those of each of its other unique indexes.
    pub unique_keys: Vec<Vec<String>>,
    /// Unique indexes with a condition or an expression, by name.
    pub other_unique_indexes: Vec<String>,
    /// Its foreign keys.
    pub references: Vec<Reference>,
    /// Names of its CHECK constraints.
    pub checks: Vec<String>,
    /// Names of its exclusion constraints.
    pub exclusions: Vec<String>,
    /// What it is partitioned by, as SQL has it; `None`: it has no partitions.
    pub partitioned_by: Option<String>,
    /// Columns whose values say whether there is a partition, on each level: by a list or by ranges.
    pub partition_columns: Vec<String>,
    /// What each partition of a list is for, as SQL has it.
    pub partition_lists: Vec<String>,
    /// Statistics of several columns together.
    pub extended: Vec<Extended>,
}

/// A column of such a table.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// Its name as SQL has it: in quotes where it must be.
    pub quoted: String,
    /// Its type, as the server writes it; of a domain the one beneath.
    pub sql_type: String,
    /// The type whose values it takes, where that is another one: of an enum `text`, and so of an array's elements; of
    /// those also the one beneath their domain.
    pub takes: Option<String>,
    /// Whether the type, or that of an array's elements, is an enum, whose labels are no values of the table.
    pub is_enum: bool,
    /// Whether it takes no NULL.
    pub not_null: bool,
    /// What comes in it where nothing is sent.
    pub filling: Filling,
    /// Whether our role may read it, without which its statistics are hidden.
    pub is_readable: bool,
    /// What the last ANALYZE found in it.
    pub statistics: Option<Statistics>,
}

/// What a server puts into a column that is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filling {
    /// NULL.
    #[default]
    Nothing,
    /// Its default.
    Default,
    /// A number from a sequence.
    Numbered,
    /// A value made of other columns, always.
    Generated,
}

/// What ANALYZE found in a column.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// Share of NULLs, from 0 to 1.
    pub null_frac: f64,
    /// Average bytes of a value, as it is stored.
    pub avg_width: u32,
    /// How many different values there are; below 0 that number by row, with its sign turned.
    pub n_distinct: f64,
    /// The most common values as text, with their share of all rows.
    pub common: Vec<(String, f64)>,
    /// The ends of buckets that hold equally many of the other values, as text.
    pub bounds: Vec<String>,
    /// How the values follow the rows in the table, from −1 to 1.
    pub correlation: Option<f64>,
    /// What it found in arrays.
    pub arrays: Option<ArrayStatistics>,
}

/// What ANALYZE found in the arrays of a column.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ArrayStatistics {
    /// The most common elements as text, with the share of the arrays that hold them.
    pub common: Vec<(String, f64)>,
    /// The share of the arrays that hold a NULL.
    pub with_null: f64,
    /// The ends of buckets that hold equally many arrays, by how many different elements these have.
    pub counts: Vec<f64>,
    /// How many those are on average.
    pub mean: f64,
}

/// A foreign key.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The schema of the table that they refer to.
    pub schema: String,
    /// That table.
    pub table: String,
    /// The columns there.
    pub keys: Vec<String>,
    /// Whether it is the very table.
    pub is_self: bool,
    /// Whether our role may read the keys.
    pub is_readable: bool,
    /// Rows there, as the planner estimates; below 0: not known.
    pub rows: f64,
    /// Whether nothing is stored there.
    pub is_empty: bool,
}

/// Statistics of several columns together.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Extended {
    /// Their name.
    pub name: String,
    /// The columns.
    pub columns: Vec<String>,
    /// What they say, in words.
    pub says: String,
    /// The most common combinations of two columns, as text or NULL, with their share of all rows.
    pub pairs: Vec<(Option<String>, Option<String>, f64)>,
}

/// How a profile is to be drafted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DraftOptions {
    /// The copy of the table that rows go into; `None`: the table itself.
    pub copy: Option<TableName>,
    /// Whether the table's own values may stand in the profile.
    pub keep_values: bool,
}

/// Why no profile can be drafted: columns that need values and that no generator fills, each with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct NoDraft(pub Vec<String>);

/// Drafts a profile of rows like those of a table.
///
/// # Errors
/// When a column needs values that no generator makes.
pub fn draft(table: &SourceTable, options: &DraftOptions) -> Result<String, NoDraft> {
    let drafting = column::Drafting::new(table, options);
    let mut columns = drafting.columns()?;
    let together = together::depend(table, &mut columns);
    Ok(text::profile(table, (&columns, &together, &drafting.broken_keys()), options))
}

impl SourceColumn {
    /// The type as generators know it, if they do. A `numeric` without digits has those of its values.
    fn known_type(&self) -> Option<ColumnType> {
        match self.takes.as_deref().unwrap_or(&self.sql_type) {
            "character varying" => Some(ColumnType::Text),
            "numeric" => {
                let Statistics { common, bounds, .. } = self.statistics.as_ref()?;
                let texts = common.iter().map(|(text, _)| text).chain(bounds);
                Some(measure::numeric_of(texts))
            }
            "numeric[]" => {
                let arrays = self.statistics.as_ref()?.arrays.as_ref()?;
                let own = measure::numeric_of(arrays.common.iter().map(|(text, _)| text));
                own.as_element().map(ColumnType::Array)
            }
            "character varying[]" => crate::plan::parse_type("varchar(10485760)[]").ok(),
            written => crate::plan::parse_type(written).ok(),
        }
    }

    /// Whether a row may leave it out.
    fn is_optional(&self) -> bool {
        !self.not_null || self.filling != Filling::Nothing
    }
}

impl Statistics {
    /// How many different values there are, in a table of so many rows.
    fn distinct(&self, rows: f64) -> f64 {
        match self.n_distinct < 0.0 {
            true => (-self.n_distinct * rows).round().max(1.0),
            false => self.n_distinct.max(1.0),
        }
    }

    /// How many rows of so many were looked at: ANALYZE looks at 300 for each bucket that it may make.
    fn sample(&self, rows: f64) -> f64 {
        let buckets = self.bounds.len().saturating_sub(1).max(self.common.len()).max(100);
        rows.min(300.0 * buckets as f64)
    }

    /// The share of the rows that have a value.
    fn present(&self) -> f64 {
        (1.0 - self.null_frac).max(0.0)
    }

    /// Whether it has no value, as far as a sample tells.
    fn is_all_null(&self) -> bool {
        self.null_frac >= ALL_NULL
    }

    /// The share of the rows that have one of the most common values.
    fn common_share(&self) -> f64 {
        self.common.iter().map(|(_, share)| share).sum()
    }
}
