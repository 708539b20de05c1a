//! Reading: runs a query, drains and counts its rows, keeps none.

use std::pin::pin;
use std::time::SystemTime;

use futures_util::TryStreamExt;
use tokio_postgres::types::Type;

use super::{Error, Session};

/// What a drained query came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Rows received.
    pub rows: u64,
    /// The greatest value of the column asked about, if it had any.
    pub newest: Option<SystemTime>,
}

impl Session {
    /// Has the server parse and analyse `sql` without running it.
    ///
    /// # Errors
    /// When it does not accept it; the error may have a position.
    pub async fn parse(&mut self, sql: &str) -> Result<(), Error> {
        self.drive("prepare the query", |client| client.prepare(sql)).await.map(drop)
    }

    /// Runs `sql` and drains its rows. If `newest_column` names a result column of type
    /// timestamptz, its greatest value is noted.
    ///
    /// The statement is unnamed: planned anew each time, as a plan that was good for a small table
    /// must not outlive the table's growth.
    ///
    /// # Errors
    /// When the server refuses the query, or has no such column of that type.
    pub async fn drain(
        &mut self,
        sql: &str,
        newest_column: Option<&str>,
    ) -> Result<Drained, Error> {
        let mut wrong_column = None;
        let drained = self
            .drive("run the query", |client| async {
                let none: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 0] = [];
                let mut rows = pin!(client.query_typed_raw(sql, none).await?);
                let mut drained = Drained { rows: 0, newest: None };
                let mut column = None;
                while let Some(row) = rows.try_next().await? {
                    if let (0, Some(name)) = (drained.rows, newest_column) {
                        let is_it = |c: &tokio_postgres::Column| {
                            c.name() == name && *c.type_() == Type::TIMESTAMPTZ
                        };
                        column = row.columns().iter().position(is_it);
                        wrong_column = column.is_none().then_some(name);
                    }
                    if let Some(column) = column {
                        let value = row.try_get::<_, Option<SystemTime>>(column)?;
                        drained.newest = drained.newest.max(value);
                    }
                    drained.rows += 1;
                }
                Ok(drained)
            })
            .await?;
        match wrong_column {
            Some(name) => Err(Error::refused(
                "read the answer's age",
                format!("the result has no timestamptz column `{name}`"),
            )
            .with_fix("name a column of the SELECT list in `newest_column`, or leave it out")),
            None => Ok(drained),
        }
    }
}
