//! What became of a transaction whose COMMIT got no answer.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Session};

/// Between two questions while the transaction is still in progress.
const POLL: Duration = Duration::from_millis(100);
/// How long a COMMIT may be on its way from one server to another, whose session has ended.
const REMOTE_COMMIT: Duration = Duration::from_secs(1);
/// Pages looked at before the whole partition is: the newest rows stand at its end.
const TAIL_PAGES: u64 = 4_096;

/// What a batch can be known by, beside its transaction.
#[derive(Debug, Clone)]
pub struct BatchProbe {
    /// Where it would be found; `None`: nothing tells its rows from others, or readers may delete them.
    pub rows: Option<BatchRows>,
    /// Whether it went on to another server, which may have committed what this one has not.
    pub is_remote: bool,
    /// Whether the server can be asked what became of its transaction.
    pub has_fate: bool,
    /// What [`Session::last_crash`] was when the run began; asked where rows are not looked for.
    pub last_crash: Option<String>,
}

impl BatchProbe {
    /// Whether it would have this identity or a higher one.
    pub(crate) fn ends_beyond(&self, id: i64) -> bool {
        self.rows.as_ref().is_some_and(|rows| rows.last_id >= id)
    }
}

/// Where a batch would be found: the identities of its first and last row.
#[derive(Debug, Clone)]
pub struct BatchRows {
    /// The table, quoted.
    pub table: String,
    /// Its identity column, quoted.
    pub id_column: String,
    /// The condition that a row is of its partition.
    pub within: String,
    /// Number of the batch's first row.
    pub first_id: i64,
    /// Number of its last row.
    pub last_id: i64,
    /// The identities of both, in SQL.
    pub ends: [String; 2],
    /// The condition that a row of its partition is one of the batch.
    pub each: String,
    /// From one of its numbers to the next.
    pub step: NonZeroU32,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in the table.
    Committed {
        /// Whether nobody else need have it: no COMMIT waits for a synchronous standby here. Where one
        /// does, nobody heard how the wait of this one ended.
        sync_confirmed: bool,
    },
    /// It is not, and never will be.
    Aborted,
    /// It could not be found out; why.
    Undecided(String),
}

impl Session {
    /// Whether a COMMIT waits for a synchronous standby on this server.
    async fn waits_for_standby(&mut self) -> Result<bool, Error> {
        let sql = "SELECT pg_catalog.current_setting('synchronous_standby_names') <> '' \
                   AND pg_catalog.current_setting('synchronous_commit') NOT IN ('off', 'local')";
        let waits = self.text("ask whether a COMMIT waits for a standby", sql).await?;
        Ok(waits.as_deref() == Some("t"))
    }

    /// Finds out what became of transaction `xid` and its batch.
    ///
    /// `pg_xact_status` is asked first, and again while the transaction is in progress, until
    /// `deadline`. "aborted" is final. "committed" is checked against the table: a server that
    /// crashed may give the id of a transaction that left no trace to another one, which commits.
    /// An id that this server does not know (too old, or of another server after a failover) is
    /// decided by the table alone. So is whatever went on to another server, which commits first. Of rows
    /// that are not to be looked for there is only the transaction.
    ///
    /// # Errors
    /// When the server does not answer; the question can be asked again.
    pub async fn fate_of(
        &mut self,
        xid: u64,
        batch: &BatchProbe,
        deadline: Instant,
    ) -> Result<Fate, Error> {
        if !batch.has_fate {
            return self.look_for(batch).await;
        }
        loop {
            let sql = format!("SELECT pg_xact_status('{xid}'::xid8)");
            let status = match self.text("ask for a transaction's fate", &sql).await {
                // The id lies in this server's future: it is another server's.
                Err(error) if error.sqlstate() == Some("22023") => None,
                status => status?,
            };
            match status.as_deref() {
                Some("committed")
                    if batch.rows.is_none() && !self.has_not_crashed(batch).await? =>
                {
                    let why = format!(
                        "its rows are not to be looked for, and the server has crashed or was replaced since the run \
                         began: another transaction may have its number, {xid}"
                    );
                    return Ok(Fate::Undecided(why));
                }
                Some("aborted") if !batch.is_remote => return Ok(Fate::Aborted),
                Some("committed") if batch.rows.is_none() => {
                    return Ok(Fate::Committed {
                        sync_confirmed: !self.waits_for_standby().await?,
                    });
                }
                Some("in progress") if Instant::now() < deadline => {
                    tokio::time::sleep(POLL).await;
                }
                Some("in progress") => {
                    let why = format!("transaction {xid} is still in progress");
                    return Ok(Fate::Undecided(why));
                }
                _ => return self.look_for(batch).await,
            }
        }
    }

    /// Whether the server is the one that the run began with, and has not crashed since. A crash loses the end
    /// of its log, and with it numbers of transactions, which it then gives to others.
    async fn has_not_crashed(&mut self, batch: &BatchProbe) -> Result<bool, Error> {
        let now = self.last_crash().await?;
        Ok(now.is_some() && now == batch.last_crash)
    }

    /// Something that changes when the server crashes, and is another on another server: when its statistics
    /// began, as they go with a crash. `None`: it does not say.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) async fn last_crash(&mut self) -> Result<Option<String>, Error> {
        let sql = "SELECT stats_reset::text FROM pg_catalog.pg_stat_archiver";
        match self.text("ask when the server's statistics began", sql).await {
            Err(error) if error.is_lost() => Err(error),
            answer => Ok(answer.ok().flatten()),
        }
    }

    /// Looks for the batch's first and last row, in the partition's newest pages, then in all.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn look_for(&mut self, batch: &BatchProbe) -> Result<Fate, Error> {
        let Some(rows) = &batch.rows else {
            let why =
                "its rows are not to be looked for, and its transaction does not tell".to_owned();
            return Ok(Fate::Undecided(why));
        };
        let found = self.look_once(rows, batch.is_remote).await?;
        if !batch.is_remote || found != Fate::Aborted {
            return Ok(found);
        }
        // A COMMIT may be on its way to the other server still.
        tokio::time::sleep(REMOTE_COMMIT).await;
        self.look_once(rows, true).await
    }

    /// Counts all of the batch's rows: each of several servers commits its part by itself.
    async fn look_for_each(&mut self, batch: &BatchRows) -> Result<Fate, Error> {
        let BatchRows { table, id_column, within, first_id, last_id, each, step, .. } = batch;
        let wanted = last_id.saturating_sub(*first_id) / i64::from(step.get()) + 1;
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        let count =
            format!("SELECT count(DISTINCT {id_column}) FROM {table} WHERE {within} AND {each}");
        let found = self.count("look for a batch in the table", &count).await?;
        let in_part = format!(
            "{found} of its {wanted} rows are there: one of the servers that they went on to has committed \
             and another has not"
        );
        self.fate_by(found, wanted, in_part).await
    }

    /// The fate of a batch of which so many of the wanted rows are there.
    async fn fate_by(&mut self, found: u64, wanted: u64, in_part: String) -> Result<Fate, Error> {
        Ok(match found {
            0 => Fate::Aborted,
            _ if found == wanted => {
                Fate::Committed { sync_confirmed: !self.waits_for_standby().await? }
            }
            _ => Fate::Undecided(in_part),
        })
    }

    async fn look_once(&mut self, batch: &BatchRows, is_remote: bool) -> Result<Fate, Error> {
        const ACT: &str = "begin to look for a batch";
        // A look at a whole partition takes as long as it takes.
        self.execute(ACT, "BEGIN READ ONLY; SET LOCAL statement_timeout = 0").await?;
        let found = match is_remote {
            true => self.look_for_each(batch).await,
            false => self.look(batch).await,
        };
        if found.as_ref().is_err_and(Error::is_lost) {
            return found;
        }
        self.execute("end the look for a batch", "ROLLBACK").await?;
        found
    }

    async fn look(&mut self, batch: &BatchRows) -> Result<Fate, Error> {
        let BatchRows { table, id_column, within, first_id, last_id, ends: [first, last], .. } =
            batch;
        let act = "look for a batch in the table";
        let wanted = if first_id == last_id { 1 } else { 2 };
        let pages_sql = format!(
            "SELECT pg_relation_size(tableoid) / current_setting('block_size')::bigint \
             FROM {table} WHERE {within} LIMIT 1"
        );
        let pages = self.text(act, &pages_sql).await?.and_then(|pages| pages.parse().ok());
        let pages: u64 = pages.unwrap_or(0);
        let count = format!(
            "SELECT count(DISTINCT {id_column}) FROM {table} \
             WHERE {within} AND {id_column} IN ({first}, {last})"
        );
        let tail = pages.saturating_sub(TAIL_PAGES);
        let mut found = 0;
        if tail > 0 {
            let newest = format!("{count} AND ctid >= '({tail},0)'::tid");
            found = self.count(act, &newest).await?;
        }
        if found < wanted {
            found = self.count(act, &count).await?;
        }
        let in_part = format!("only one of the rows {first} and {last} is there");
        self.fate_by(found, wanted, in_part).await
    }

    async fn count(&mut self, act: &str, sql: &str) -> Result<u64, Error> {
        let text = self.text(act, sql).await?.unwrap_or_default();
        text.parse().map_err(|_| Error::refused(act, format!("`{text}` is not a count")))
    }
}
