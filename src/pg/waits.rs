//! What the sessions of a run wait for on the server, at a moment.

use super::{Error, Session};
use crate::result::server::Who;

/// Sessions that are at work and wait for the same, or for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Whose they are.
    pub who: Who,
    /// The server's names for the kind of wait and for what is waited for, as `IO:WALSync`; `None`: they do not
    /// wait.
    pub event: Option<String>,
    /// How many.
    pub sessions: u64,
    /// How many of those wait for a lock that autovacuum has.
    pub behind_autovacuum: u64,
}

impl Session {
    /// Looks what the sessions of loaders in this database wait for, as far as our role sees them.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn waits(&mut self) -> Result<Vec<Waiting>, Error> {
        let sql = "SELECT pg_catalog.starts_with(a.application_name, 'strom-load producer '), \
                   a.wait_event_type || ':' || a.wait_event, count(*), \
                   count(*) FILTER (WHERE a.wait_event_type = 'Lock' AND EXISTS \
                   (SELECT FROM pg_catalog.pg_stat_activity b \
                   WHERE b.pid = ANY (pg_catalog.pg_blocking_pids(a.pid)) \
                   AND b.backend_type = 'autovacuum worker')) \
                   FROM pg_catalog.pg_stat_activity a \
                   WHERE a.datname = pg_catalog.current_database() AND a.state = 'active' \
                   AND (pg_catalog.starts_with(a.application_name, 'strom-load producer ') \
                   OR pg_catalog.starts_with(a.application_name, 'strom-load reader ')) GROUP BY 1, 2";
        let rows = self.rows("look what the sessions wait for", sql).await?;
        let waiting = |row: Vec<Option<String>>| {
            let [producer, event, sessions, behind] = row.try_into().ok()?;
            Some(Waiting {
                who: if producer.as_deref() == Some("t") { Who::Producers } else { Who::Readers },
                event,
                sessions: sessions?.parse().ok()?,
                behind_autovacuum: behind?.parse().ok()?,
            })
        };
        Ok(rows.into_iter().filter_map(waiting).collect())
    }
}
