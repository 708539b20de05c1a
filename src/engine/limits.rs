//! Whether there is room for a run's sessions: on the server, for the role and the database, and
//! in this process.

use crate::pg;
use crate::plan::StreamJob;
use crate::watch::process;

use super::PrepareError;

/// Sockets and files of a run beside those of its producers and readers: control, examiner, the
/// readers of the audit, a few for metrics and results.
const FILES_BESIDE: u64 = 16;

/// Who admits no more connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admits {
    /// The server: `max_connections` less the reserved ones.
    Server,
    /// The database: its CONNECTION LIMIT less the sessions that are there.
    Database(String),
    /// The role: its CONNECTION LIMIT less the sessions that are there.
    Role(String),
}

impl Admits {
    pub(super) fn who(&self) -> String {
        match self {
            Self::Server => "the server".to_owned(),
            Self::Database(name) => format!("database {name}"),
            Self::Role(name) => format!("role {name}"),
        }
    }

    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Server => "max_connections less the reserved ones",
            Self::Database(_) | Self::Role(_) => {
                "its CONNECTION LIMIT less the sessions of others that are there"
            }
        }
    }

    pub(super) fn fix(&self) -> String {
        match self {
            Self::Server => "raise max_connections".to_owned(),
            Self::Database(name) => format!("ALTER DATABASE {name} CONNECTION LIMIT …"),
            Self::Role(name) => format!("ALTER ROLE {name} CONNECTION LIMIT …"),
        }
    }
}

/// Refuses a stream with more sessions than can be had. `control` is one of them.
pub(super) async fn check(control: &mut pg::Session, job: &StreamJob) -> Result<(), PrepareError> {
    // One more holds the reservation, and one looks at plans and answers.
    let examiner = u64::from(job.readers.count > 0);
    let readers = u64::from(job.readers.count) + examiner;
    let need = u64::from(job.stream.partitions.get()) + readers + 1;
    for (admits, have) in limits(control).await? {
        if need > have {
            return Err(PrepareError::Connections { need, have, admits });
        }
    }
    // Each of them has a timer, too.
    let files = process::allow_files(2 * need + FILES_BESIDE);
    files.map_err(|limit| PrepareError::OpenFiles { need: limit.need, have: limit.have })
}

/// What each of those admits that set a limit, the narrowest last. The limits of role and database
/// do not hold for a superuser.
async fn limits(control: &mut pg::Session) -> Result<Vec<(Admits, u64)>, pg::Error> {
    let others = |of: &str| {
        format!(
            "(SELECT count(*) FROM pg_stat_activity WHERE {of} \
             AND application_name NOT LIKE 'strom-load%')"
        )
    };
    let sql = format!(
        "SELECT current_setting('max_connections')::int \
         - current_setting('superuser_reserved_connections')::int \
         - CASE WHEN rolsuper THEN 0 \
           ELSE coalesce(current_setting('reserved_connections', true), '0')::int END, \
         CASE WHEN NOT rolsuper AND datconnlimit >= 0 \
              THEN greatest(datconnlimit - {}, 0) END, quote_ident(datname), \
         CASE WHEN NOT rolsuper AND rolconnlimit >= 0 \
              THEN greatest(rolconnlimit - {}, 0) END, quote_ident(rolname) \
         FROM pg_roles r, pg_database d \
         WHERE r.rolname = session_user AND d.datname = current_database()",
        others("datid = d.oid"),
        others("usesysid = r.oid"),
    );
    let rows = control.rows("read the limits of connections", &sql).await?;
    let value = |column: usize| rows.first().and_then(|row| row.get(column)?.clone());
    let limit = |column: usize| value(column).and_then(|text| text.parse().ok());
    let name = |column: usize| value(column).unwrap_or_default();
    let limits = [
        (Admits::Server, limit(0)),
        (Admits::Database(name(2)), limit(1)),
        (Admits::Role(name(4)), limit(3)),
    ];
    Ok(limits.into_iter().filter_map(|(admits, limit)| Some((admits, limit?))).collect())
}
