//! Tables that are filled before a run, as their author wrote them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, Located, Recreate, Whole};

/// A table that is created and filled with generated rows, or reused if it is there.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Name as in SQL: may have a schema, and parts in double quotes.
    pub name: Option<Located<String>>,
    /// Number of rows.
    pub rows: Option<Located<Whole>>,
    /// A dimension table keeps its rows whatever `--rows` and `--scale` say: other tables refer to
    /// them. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimension: Option<bool>,
    /// An unlogged table is filled faster, and is empty after a crash. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlogged: Option<bool>,
    /// Drop the table first, if there is one that strom-load made; its name in place of true drops
    /// it whoever made it. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recreate: Option<Located<Recreate>>,
    /// Columns of the primary key, the one with `values = "row_id"` among them. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<Vec<Located<String>>>,
    /// The table's columns, in order.
    pub columns: Option<Vec<Located<Column>>>,
    /// Indexes, built after the rows are loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<Vec<Located<Index>>>,
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Name of the index.
    pub name: Option<Located<String>>,
    /// Access method, such as "btree", "hash" or "brin". Default: "btree".
    pub method: Option<Located<String>>,
    /// Its columns, in order.
    pub columns: Option<Vec<Located<String>>>,
    /// Storage parameters as in SQL, such as "pages_per_range = 32". Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<Located<String>>,
}
