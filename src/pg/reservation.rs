//! Who may work on a table: the sessions of one run at a time.
//!
//! A reservation is an advisory lock of the table. Every session of a run that works on the table
//! holds it shared, until the session ends. A run enters by having it alone for a moment. So as long
//! as one session of a run is connected, whichever it is, no other run can enter its table or drop
//! it. It goes by the table's oid: a table of the same name in another schema is another one.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::quote::quote_literal;
use super::{Error, Session};
use crate::plan::TableName;

/// How long to wait for sessions of a run that has just ended.
const PATIENCE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(100);
/// Sessions that are named where a table is taken.
const NAMED_MAX: usize = 3;

/// The reservation of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reservation {
    key: String,
}

impl Reservation {
    /// That of the table with this oid.
    pub(crate) fn of(oid: u32) -> Self {
        Self { key: format!("hashtextextended('strom-load table {oid}', 0)") }
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
        let began = Instant::now();
        let alone = format!("SELECT pg_catalog.pg_try_advisory_lock({})", self.key);
        while session.text(&act, &alone).await?.as_deref() != Some("t") {
            if began.elapsed() > PATIENCE {
                let fact = format!("another strom-load is at it: {}", self.others(session).await?);
                let fix = format!("wait until it ends, or {elsewhere}");
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
    /// When the server does not answer.
    pub(crate) async fn join(&self, session: &mut Session) -> Result<bool, Error> {
        let sql = format!("SELECT pg_catalog.pg_try_advisory_lock_shared({})", self.key);
        let joined = session.text("hold the table's reservation", &sql).await?;
        Ok(joined.as_deref() == Some("t"))
    }

    /// The sessions that hold it, this one aside, in words.
    async fn others(&self, session: &mut Session) -> Result<String, Error> {
        let sql = format!(
            "SELECT l.pid, nullif(a.application_name, ''), a.client_addr \
             FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid) \
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname = pg_catalog.current_database()) \
             AND ((l.classid::bigint << 32) | l.objid::bigint) = {} \
             AND l.pid <> pg_catalog.pg_backend_pid() ORDER BY a.application_name, l.pid",
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
            (0, _) => "it has just ended".to_owned(),
            (1, _) => format!("session {}", named[0]),
            (_, 0) => format!("sessions {}", named.join(", ")),
            (_, more) => format!("sessions {} and {more} more", named.join(", ")),
        })
    }
}
