//! Tables that are filled with generated rows before a run.

use std::num::NonZeroU64;

use super::render::whole;
use super::{Recreate, TableName};
use crate::profile;
use crate::row::{Column, Values};

/// A table to fill. Row `i`, from 1 to `rows`, is a function of the seed, the table's name and `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The table.
    pub name: TableName,
    /// How many rows it has.
    pub rows: NonZeroU64,
    /// How many it had before `--scale`.
    pub rows_unscaled: NonZeroU64,
    /// Whether it keeps its rows whatever `--rows` and `--scale` say.
    pub dimension: bool,
    /// The profile's seed.
    pub seed: u64,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Columns of the primary key; empty for none.
    pub primary_key: Vec<String>,
    /// Indexes beside the primary key's.
    pub indexes: Vec<Index>,
    /// Whether its rows bypass the write-ahead log.
    pub unlogged: bool,
    /// Whether a table that is there is dropped first.
    pub recreate: Recreate,
}

/// An index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Access method.
    pub method: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Storage parameters as in SQL; empty for none.
    pub with: String,
}

impl Table {
    /// The seed of this table's rows: the profile's, mixed with the table's name by FNV-1a. So two
    /// tables of one profile do not hold the same random values in the same rows, which would make
    /// every join of theirs special.
    pub fn row_seed(&self) -> u64 {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let seed = self.seed.to_le_bytes();
        let bytes = seed.iter().chain(self.name.name.as_bytes());
        bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
    }

    /// The column that holds the row's number, if there is one.
    pub fn row_id(&self) -> Option<&str> {
        let column = self.columns.iter().find(|column| column.values == Values::RowId);
        column.map(|column| column.name.as_str())
    }
}

impl From<&Table> for profile::Table {
    fn from(table: &Table) -> Self {
        // The seed is the profile's, and `rows` is what it resolves to.
        let Table {
            name,
            rows,
            rows_unscaled: _,
            dimension,
            seed: _,
            columns,
            primary_key,
            indexes,
            unlogged,
            recreate,
        } = table;
        let names = |names: &[String]| names.iter().map(|name| name.clone().into()).collect();
        let index = |index: &Index| profile::Index {
            name: Some(index.name.clone().into()),
            method: Some(index.method.clone().into()),
            columns: Some(names(&index.columns)),
            with: (!index.with.is_empty()).then(|| index.with.clone().into()),
        };
        Self {
            name: Some(name.as_written().into()),
            rows: Some(whole(rows.get())),
            dimension: dimension.then_some(true),
            unlogged: Some(*unlogged),
            recreate: Some(profile::Recreate::from(recreate).into()),
            primary_key: (!primary_key.is_empty()).then(|| names(primary_key)),
            columns: Some(columns.iter().map(|c| profile::Column::from(c).into()).collect()),
            indexes: (!indexes.is_empty())
                .then(|| indexes.iter().map(|written| index(written).into()).collect()),
        }
    }
}
