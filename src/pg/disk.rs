//! The disk that the server keeps its tables on, where it is this machine's and can be seen.

use std::fs;

use super::{Error, Session};

/// Where tables of this database go that name no tablespace. Closed to most roles.
const PLACE: &str = "SELECT pg_catalog.pg_backend_pid(), coalesce(nullif( \
    pg_catalog.pg_tablespace_location((SELECT coalesce(t.oid, d.dattablespace) \
    FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_tablespace t \
    ON t.spcname = pg_catalog.current_setting('default_tablespace') \
    WHERE d.datname = pg_catalog.current_database())), ''), \
    (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'))";

/// Whether the role may say CHECKPOINT.
const MAY_CHECKPOINT: &str = "SELECT pg_catalog.current_setting('is_superuser') = 'on' \
    OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pg_checkpoint' \
    AND pg_catalog.pg_has_role(oid, 'USAGE'))";

impl Session {
    /// Has the server write what it holds in memory to its disk; whether the role may ask for that.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn checkpoint(&mut self) -> Result<bool, Error> {
        let act = "have the server write its tables to disk";
        let may = self.text(act, MAY_CHECKPOINT).await?.as_deref() == Some("t");
        if may {
            self.at_length().execute(act, "CHECKPOINT").await?;
        }
        Ok(may)
    }

    /// Bytes that are free where new tables go; `None` if our role may not know where that is, or
    /// the server runs elsewhere.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn disk_free_bytes(&mut self) -> Result<Option<u64>, Error> {
        let rows = self.rows("ask where tables are kept", PLACE).await?;
        let text = |column: usize| rows.first().and_then(|row| row.get(column)?.clone());
        let (Some(pid), Some(place)) = (text(0), text(1)) else { return Ok(None) };
        // The number alone may be that of anything on this machine.
        let title = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if !title.starts_with("postgres: ") {
            return Ok(None);
        }
        // As the server sees it: a container has other folders.
        let found = rustix::fs::statvfs(format!("/proc/{pid}/root{place}").as_str());
        Ok(found.ok().and_then(|disk| disk.f_bavail.checked_mul(disk.f_frsize)))
    }
}
