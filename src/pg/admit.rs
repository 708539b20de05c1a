//! Whether a statement can be run as a query of a profile, found out before it is run.

use tokio_postgres::Column;
use tokio_postgres::types::Type;

use super::{Error, Session};

const ACT: &str = "prepare the query";
const ADMIT: &str = "SAVEPOINT strom_load_admit";
const UNDO: &str = "ROLLBACK TO SAVEPOINT strom_load_admit";
const READ_ONLY: &str = "SET LOCAL transaction_read_only = on";

impl Session {
    /// Finds out whether `sql` can be run as a query, without running it: whether the server takes
    /// it, it needs no parameters, its answer has the `newest_column` of type timestamptz if one is
    /// named, it has a plan and, unless it may write, it reads only. The session must be in a transaction, which is left as it was.
    ///
    /// # Errors
    /// When it is not so; with a position in `sql` where the server names one.
    pub async fn admit(
        &mut self,
        sql: &str,
        newest_column: Option<&str>,
        writes: bool,
    ) -> Result<(), Error> {
        self.execute(ACT, ADMIT).await?;
        let admitted = self.look_at(sql, newest_column, writes).await;
        let undo = format!("{UNDO}; RELEASE SAVEPOINT strom_load_admit");
        let undone = self.execute(ACT, &undo).await;
        admitted.and(undone).map_err(|error| match error.sqlstate() {
            _ if error.has_fix() => error,
            Some("42P01") => error.with_fix(
                "correct the name, or make the table ready: `[[tables]]` in the profile fills one",
            ),
            Some("42501") => error.with_fix("let the query do no more than its role may"),
            Some(code) if code.starts_with("42") => error.with_fix("correct the query"),
            _ => error,
        })
    }

    async fn look_at(
        &mut self,
        sql: &str,
        newest_column: Option<&str>,
        writes: bool,
    ) -> Result<(), Error> {
        let statement = self.drive(ACT, |client| client.prepare(sql)).await?;
        if let count @ 1.. = statement.params().len() {
            let what =
                if count == 1 { "a parameter".to_owned() } else { format!("{count} parameters") };
            return Err(Error::refused(
                ACT,
                format!("it has {what}, such as $1, and nothing fills it in"),
            )
            .with_fix("write values in their place"));
        }
        if let Some(name) = newest_column {
            let is_it = |c: &Column| c.name() == name && *c.type_() == Type::TIMESTAMPTZ;
            if !statement.columns().iter().any(is_it) {
                let fact = format!("its answer has no timestamptz column `{name}`");
                let fix = "name a column of the SELECT list in `newest_column`, or leave it out";
                return Err(Error::refused(ACT, fact).with_fix(fix));
            }
        }
        if writes {
            return self
                .has_plan(sql, "SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE or MERGE")
                .await;
        }
        // A cursor takes nothing but what reads, and its declaration asks for all rights and runs
        // nothing.
        self.execute(ACT, READ_ONLY).await?;
        let declare = format!("DECLARE strom_load_admit NO SCROLL CURSOR FOR {sql}");
        let error = match self.execute(ACT, &declare).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error.sqlstate() {
            // Rows are to be locked.
            Some("25006") => return Err(may_write(error)),
            // It is another kind of statement, or one with another within.
            Some("42601" | "42P11" | "0A000") => {}
            _ => return Err(error),
        }
        self.execute(ACT, &format!("{UNDO}; {READ_ONLY}")).await?;
        self.has_plan(sql, "SELECT, VALUES or TABLE").await?;
        // It writes, and so it is refused at its start, in the server's words.
        self.execute(ACT, sql).await.map_err(may_write)
    }

    async fn has_plan(&mut self, sql: &str, kinds: &str) -> Result<(), Error> {
        match self.execute(ACT, &format!("EXPLAIN (COSTS) {sql}")).await {
            Err(error) if error.sqlstate() == Some("42601") => {
                Err(Error::refused(ACT, "it is no query: it has no plan")
                    .with_fix(format!("make it a {kinds}")))
            }
            explained => explained,
        }
    }
}

fn may_write(error: Error) -> Error {
    match error.sqlstate() {
        Some("25006") => error.with_fix(
            "let it read only; if it is to write, say so with `writes = true` where the queries \
             stand, under `[readers]` or `[bench]`",
        ),
        _ => error,
    }
}
