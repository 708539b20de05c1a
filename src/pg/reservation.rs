//! Who may work on a table: the sessions of one run at a time.
//!
//! A reservation is an advisory lock of the table. Every session of a run that loads into the table
//! holds it shared, until the session ends. A run enters by having it alone for a moment. So as long
//! as one of them is connected, whichever it is, no other run can enter its table or drop it. It goes
//! by the table's oid: a table of the same name in another schema is another one.
//!
//! The lock of a stream names its run too: each session holds a second one, of the run. A session that
//! comes back, to a server that may have restarted meanwhile, takes the lock again, and then finds out
//! whether the table is still its run's: the row of its partition must name the run (see [`super::owner`]),
//! and nobody else may hold the lock. From then on no other run can enter before the session has
//! ended; so whatever it commits, it commits as the owner, without another look.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::owner::{self, RunId};
use super::quote::quote_literal;
use super::{Error, Session};
use crate::plan::TableName;

/// How long to wait for sessions of a run that has just ended.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait, coming back, for sessions of a run that may be about to find out that the table
/// is not its own.
const STRANGERS_MAX: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(100);
/// Sessions that are named where a table is taken.
const NAMED_MAX: usize = 3;

/// The reservation of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reservation {
    key: String,
    /// The run that has it; `None` for a table that runs may share once it is filled.
    holder: Option<Holder>,
}

/// A run that has a table, as each of its sessions knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    run: RunId,
    /// The key of its lock.
    key: String,
    relation: u32,
    /// The partition whose row must name the run, with its epoch; `None`: there are no rows.
    partition: Option<(u32, i64)>,
}

impl Reservation {
    /// That of the table with this oid.
    pub(crate) fn of(oid: u32) -> Self {
        let key = format!("pg_catalog.hashtextextended('strom-load table {oid}', 0)");
        Self { key, holder: None }
    }

    /// That of the table with this oid for the sessions of one run.
    pub(crate) fn of_run(oid: u32, run: &RunId) -> Self {
        let key = format!("pg_catalog.hashtextextended('strom-load run {run}', 0)");
        let holder = Holder { run: run.clone(), key, relation: oid, partition: None };
        Self { holder: Some(holder), ..Self::of(oid) }
    }

    /// The same for a session that works on this partition, whose row names the run with this epoch.
    pub(super) fn of_partition(&self, partition: u32, epoch: i64) -> Self {
        let mut own = self.clone();
        if let Some(holder) = &mut own.holder {
            holder.partition = Some((partition, epoch));
        }
        own
    }

    /// That of the table with this name, if it is there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn find(
        session: &mut Session,
        table: &TableName,
    ) -> Result<Option<Self>, Error> {
        let name = quote_literal(&table.to_string());
        let sql = format!("SELECT pg_catalog.to_regclass({name})::oid");
        let oid = session.text(&format!("look up table {table}"), &sql).await?;
        Ok(oid.and_then(|oid| oid.parse().ok()).map(Self::of))
    }

    /// Enters the table with the first session of a run.
    ///
    /// # Errors
    /// When a session of another run is at it, with the names of some; or when the server does not
    /// answer.
    pub(crate) async fn enter(
        &self,
        session: &mut Session,
        table: &TableName,
        elsewhere: &str,
    ) -> Result<(), Error> {
        let act = format!("reserve table {table}");
        self.name_run(session, &act).await?;
        let began = Instant::now();
        let alone = format!("SELECT pg_catalog.pg_try_advisory_lock({})", self.key);
        while session.text(&act, &alone).await?.as_deref() != Some("t") {
            if began.elapsed() > PATIENCE {
                let sessions = self.others(session, None).await?;
                let sessions = sessions.unwrap_or_else(|| "it has just ended".to_owned());
                let fact = format!("another strom-load is at it: {sessions}");
                let fix = format!(
                    "wait until it ends; one that is stopped or cut off is let go by the server \
                     after its --lease (60 s by default), but in the middle of a COPY or of reading its \
                     rows back only when it is resumed or ended; or {elsewhere}"
                );
                return Err(Error::refused(act, fact).with_fix(fix));
            }
            sleep(POLL).await;
        }
        // First shared, then no longer alone: there is no moment in between.
        let share = format!(
            "SELECT pg_catalog.pg_advisory_lock_shared({key}); \
             SELECT pg_catalog.pg_advisory_unlock({key})",
            key = self.key
        );
        session.execute(&act, &share).await
    }

    /// Has another session of a run hold the reservation too. False while another run is entering,
    /// which it cannot do as long as a session of this one holds it.
    ///
    /// # Errors
    /// When another run took the table over, see [`Error::took_over`]; or when the server does not
    /// answer.
    pub(crate) async fn join(&self, session: &mut Session) -> Result<bool, Error> {
        const ACT: &str = "hold the table's reservation";
        self.name_run(session, ACT).await?;
        let take = format!("SELECT pg_catalog.pg_try_advisory_lock_shared({})", self.key);
        let began = Instant::now();
        loop {
            if session.text(ACT, &take).await?.as_deref() != Some("t") {
                return Ok(false);
            }
            let Some(holder) = &self.holder else { return Ok(true) };
            // Only now: as long as the lock is held the answers stay as they are.
            let taken = holder.look_at_row(session).await?;
            let strangers = match taken {
                Some(_) => None,
                None => self.others(session, Some(&holder.key)).await?,
            };
            if taken.is_none() && strangers.is_none() {
                return Ok(true);
            }
            // Not in the way of whoever has it.
            let leave = format!("SELECT pg_catalog.pg_advisory_unlock_shared({})", self.key);
            session.execute(ACT, &leave).await?;
            if let Some(taken) = taken {
                return Err(taken);
            }
            if began.elapsed() > STRANGERS_MAX {
                let sessions = strangers.unwrap_or_default();
                let fact = format!("another run took over the table: {sessions}");
                return Err(Error::taken_over(fact, None));
            }
            sleep(POLL).await;
        }
    }

    /// Has a session hold the lock of its run, so that others can tell whose it is.
    async fn name_run(&self, session: &mut Session, act: &str) -> Result<(), Error> {
        let Some(holder) = &self.holder else { return Ok(()) };
        // Nobody ever has it alone.
        let name = format!("SELECT pg_catalog.pg_advisory_lock_shared({})", holder.key);
        session.execute(act, &name).await
    }

    /// The sessions that hold it, this one aside, in words; without those that hold the lock with the
    /// key `but` as well. `None` if there are none.
    async fn others(
        &self,
        session: &mut Session,
        but: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let but = but.map_or_else(String::new, |key| {
            format!("AND NOT EXISTS (SELECT FROM locks o WHERE o.pid = l.pid AND o.key = {key})")
        });
        // One look at the locks, as they come and go.
        let sql = format!(
            "WITH locks AS MATERIALIZED (SELECT pid, (classid::bigint << 32) | objid::bigint AS key \
             FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
             AND database = (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname = pg_catalog.current_database())) \
             SELECT l.pid, nullif(a.application_name, ''), a.client_addr \
             FROM locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid) \
             WHERE l.key = {} AND l.pid <> pg_catalog.pg_backend_pid() {but} \
             ORDER BY a.application_name, l.pid",
            self.key
        );
        let rows = session.rows("ask who is at the table", &sql).await?;
        let named = rows.iter().take(NAMED_MAX).map(|row| {
            let text = |at: usize| row.get(at).and_then(Option::as_deref);
            let from = text(2).map_or_else(String::new, |host| format!(" from {host}"));
            let name = text(1).unwrap_or("a session of another role");
            format!("{} ({name}{from})", text(0).unwrap_or("?"))
        });
        let named: Vec<String> = named.collect();
        Ok(match (named.len(), rows.len().saturating_sub(NAMED_MAX)) {
            (0, _) => None,
            (1, _) => Some(format!("session {}", named[0])),
            (_, 0) => Some(format!("sessions {}", named.join(", "))),
            (_, more) => Some(format!("sessions {} and {more} more", named.join(", "))),
        })
    }
}

impl Holder {
    /// Whether the row of its partition names another run, or none; as an error. `None`: it names this one,
    /// or there are no rows.
    async fn look_at_row(&self, session: &mut Session) -> Result<Option<Error>, Error> {
        let Some((partition, epoch)) = self.partition else { return Ok(None) };
        let rows = owner::rows(session, self.relation, (partition, partition)).await?;
        let Some((_, row)) = rows.first() else {
            return self.without_row(session, partition).await.map(Some);
        };
        if row.is_of(&self.run) {
            return Ok(None);
        }
        let fact = format!(
            "another run took over {} at {} (run {})",
            owner::named(partition),
            row.taken_at,
            row.run
        );
        Ok(Some(Error::taken_over(fact, row.end_of(epoch))))
    }

    /// Why no row names anybody, as an error.
    async fn without_row(&self, session: &mut Session, partition: u32) -> Result<Error, Error> {
        let sql = format!(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE oid = {}",
            self.relation
        );
        let tables = session.text("ask whether the table is there", &sql).await?;
        if tables.as_deref() == Some("0") {
            let fact = "the table was dropped meanwhile, or made anew by another run (--recreate)";
            return Ok(Error::taken_over(fact.to_owned(), None));
        }
        let fact = format!(
            "{} is nobody's any more: the server lost the row that named this run, or somebody deleted it \
             from {}",
            owner::named(partition),
            owner::LANES
        );
        let fix = "start again: new rows follow on those that are there; what became of this run's, \
                   `strom-load verify` tells from its results folder";
        Ok(Error::taken_over(fact, None).with_fix(fix))
    }
}
