//! Reading: runs a query and drains its rows, or hands each on; keeps none. And its plan.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use futures_util::TryStreamExt;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::ask::{Ask, Parsed};
use super::kind::kind_of;
use super::reduce::Reduction;
use super::session::Notice;
use super::{Error, Session};
use crate::answer;

/// What a drained query came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Rows received.
    pub rows: u64,
    /// The greatest value of the column asked about, if it had any.
    pub newest: Option<SystemTime>,
}

/// A plan and what the server said while it made it.
#[derive(Debug)]
pub struct Explained {
    /// `EXPLAIN (FORMAT JSON)`.
    pub json: String,
    /// Messages down to the second debug level.
    pub notices: Vec<Notice>,
    /// How long it took.
    pub took: Duration,
}

impl Session {
    /// The columns of a query's result.
    ///
    /// # Errors
    /// When the server does not accept the query.
    pub async fn columns(&mut self, sql: &str) -> Result<Vec<answer::Column>, Error> {
        let statement = self.drive("prepare the query", |client| client.prepare(sql)).await?;
        let column = |column: &tokio_postgres::Column| answer::Column {
            name: column.name().to_owned(),
            kind: kind_of(column.type_()),
        };
        Ok(statement.columns().iter().map(column).collect())
    }

    /// Runs `sql` and hands each row's values to `each`, as text. When `each` fails the rest is
    /// drained without it.
    ///
    /// # Errors
    /// When the server refuses the query; what `each` says is the inner result.
    pub async fn each_row<E>(
        &mut self,
        sql: &str,
        mut each: impl FnMut(&[Option<&str>]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Error> {
        self.drive("run the query", |client| async {
            let mut outcome = Ok(());
            let mut messages = pin!(client.simple_query_raw(sql).await?);
            while let Some(message) = messages.try_next().await? {
                if let SimpleQueryMessage::Row(row) = message
                    && outcome.is_ok()
                {
                    let values: Result<Vec<_>, _> =
                        (0..row.len()).map(|at| row.try_get(at)).collect();
                    outcome = each(&values?);
                }
            }
            Ok(outcome)
        })
        .await
    }

    /// The plan of `sql`; with `analyze` it is run.
    ///
    /// # Errors
    /// When the server refuses the query.
    pub async fn explain(&mut self, sql: &str, analyze: bool) -> Result<Explained, Error> {
        let options =
            if analyze { "ANALYZE, VERBOSE, FORMAT JSON" } else { "VERBOSE, FORMAT JSON" };
        let began = Instant::now();
        self.keep_notices();
        // The reasons why a query stays on the CPU are debug messages.
        self.execute("listen to the planner", "SET client_min_messages = debug2").await?;
        self.take_notices();
        let explain = format!("EXPLAIN ({options}) {sql}");
        let json = self.text("take the plan", &explain).await;
        let notices = self.take_notices();
        self.execute("stop listening", "RESET client_min_messages").await?;
        let took = began.elapsed();
        Ok(Explained { json: json?.unwrap_or_default(), notices, took })
    }

    /// Runs a query and drains its rows. If `newest_column` names a result column of type
    /// timestamptz, its greatest value is noted. What makes digests is handed each row. Neither is done
    /// of an answer that comes as text.
    ///
    /// # Errors
    /// When the server refuses the query, or has no such column of that type.
    pub async fn drain(
        &mut self,
        ask: Ask<'_>,
        newest_column: Option<&str>,
        reduction: Option<&mut Reduction>,
    ) -> Result<Drained, Error> {
        self.ready(ask).await?;
        let parsed = match ask {
            Ask::Simple(sql) => return Box::pin(self.drain_text(sql)).await,
            Ask::Extended(sql, bound) => Parsed::Anew(sql, bound),
            Ask::Kept(sql, bound, of) => match self.kept.get(sql, of) {
                Some(statement) => Parsed::Kept(statement, bound),
                None => Parsed::Anew(sql, bound),
            },
        };
        let drained = self.drain_parsed(parsed, newest_column, reduction).await;
        // One may be gone, or be of a table that is another one by now.
        if drained.as_ref().is_err_and(|error| !error.is_conflict()) {
            self.kept.clear();
        }
        drained
    }

    /// The same for a text in one message.
    async fn drain_text(&mut self, sql: &str) -> Result<Drained, Error> {
        self.drive("run the query", |client| async {
            let mut messages = pin!(client.simple_query_raw(sql).await?);
            let mut drained = Drained { rows: 0, newest: None };
            while let Some(message) = messages.try_next().await? {
                drained.rows += u64::from(matches!(message, SimpleQueryMessage::Row(_)));
            }
            Ok(drained)
        })
        .await
    }

    async fn drain_parsed(
        &mut self,
        parsed: Parsed<'_>,
        newest_column: Option<&str>,
        mut reduction: Option<&mut Reduction>,
    ) -> Result<Drained, Error> {
        let mut wrong_column = None;
        let drained = self
            .drive("run the query", |client| async {
                let mut rows = pin!(parsed.send(client).await?);
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
                    if let Some(reduction) = &mut reduction {
                        reduction.row(&row)?;
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
