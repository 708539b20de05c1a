//! Whether a column's type can hold its values.

use super::check::{ColumnError, ColumnFault, share_of_nulls, whole_limits};
use super::{Column, Values};

impl Column {
    /// Whether the column's SQL type can hold every one of its values.
    pub fn check(&self) -> Result<(), ColumnError> {
        self.values
            .fault(self.sql_type)
            .and_then(|()| self.null_fault())
            .map_err(|fault| ColumnError { column: self.name.clone(), fault })
    }

    /// Whether the column's SQL type can hold the partition's number, if the column shows it.
    pub(crate) fn check_partition(&self, partition: u32) -> Result<(), ColumnError> {
        let [low, high] = whole_limits(self.sql_type).map(|limit| limit.to_string());
        if self.values != Values::Partition
            || i128::from(partition) <= whole_limits(self.sql_type)[1]
        {
            return Ok(());
        }
        let fault = ColumnFault::OutOfRange {
            value: format!("partition {partition}"),
            sql_type: self.sql_type,
            low,
            high,
            fix: "use fewer partitions, or a wider type",
        };
        Err(ColumnError { column: self.name.clone(), fault })
    }

    /// Whether all is there that its values are made of.
    pub(crate) fn check_keys(&self) -> Result<(), ColumnError> {
        let Some(Values::Reference { table, column, keys: None, .. }) = self.values.reference()
        else {
            return Ok(());
        };
        let fault = ColumnFault::Setting {
            fact: format!("its values are keys of {table} ({column}), which only a server knows"),
            fix: "run it, or give it values that need no server, such as an integer".into(),
        };
        Err(ColumnError { column: self.name.clone(), fault })
    }

    fn null_fault(&self) -> Result<(), ColumnFault> {
        let fault = |fact, fix: &'static str| Err(ColumnFault::Setting { fact, fix: fix.into() });
        share_of_nulls(
            self.null_ratio,
            "write a number from 0 to below 1, or leave the column out",
        )?;
        let is_role = matches!(self.values, Values::RowId | Values::Partition | Values::DueTime);
        if is_role && self.null_ratio > 0.0 {
            let fact = format!("`{}` values are never NULL", self.values.name());
            return fault(fact, "delete `null_ratio`");
        }
        Ok(())
    }
}
