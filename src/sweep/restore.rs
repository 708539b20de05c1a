//! What a sweep has to put back, recorded in the server itself: as a setting of the sweep's role,
//! `ALTER ROLE … SET strom_load.sweep`.
//!
//! There it survives the loader, this machine and a crash of the server; it is found from any
//! database, by any later start from anywhere; it needs no table in anybody's database; and it is
//! committed before the first ALTER SYSTEM. A file beside the loader would have none of that. For
//! sessions of the role it is one more name without effect.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::SweepError;
use crate::pg::{Address, Session, quote_literal};
use crate::plan::quote_identifier;
use crate::strom;

/// A reload is done within milliseconds, unless the machine is very busy.
const RELOAD_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
const RECORD: &str = "strom_load.sweep";

/// What a sweep has to put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Process of the sweep's session on the server.
    pub(super) pid: i64,
    /// When that session began, in seconds: the number of a process is used again.
    pub(super) began: String,
    /// Each setting that it changes.
    pub(super) settings: Vec<Touched>,
}

/// A setting that a sweep changes by ALTER SYSTEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Touched {
    pub(super) name: String,
    /// What postgresql.auto.conf had; `None`: nothing.
    pub(super) was: Option<String>,
    /// What the sweep puts there. Anything else was put there by somebody else since.
    pub(super) swept: Vec<String>,
}

impl Record {
    /// Writes it down, committed.
    pub(super) async fn save(&self, session: &mut Session) -> Result<(), SweepError> {
        let json = serde_json::to_string(self).unwrap_or_default();
        let sql = format!("ALTER ROLE CURRENT_USER SET {RECORD} = {}", quote_literal(&json));
        let act = "record what the sweep has to put back";
        session.execute(act, &sql).await.map_err(|error| {
            error.with_fix(format!(
                "connect as a superuser, or GRANT SET ON PARAMETER {RECORD} to our role"
            ))
        })?;
        Ok(())
    }

    /// Puts back what is still as the sweep left it, in the configuration and in force, and
    /// forgets the record. Can be repeated at any point.
    pub(super) async fn restore(
        &self,
        session: &mut Session,
        address: &Address,
        role: Option<&str>,
    ) -> Result<(), SweepError> {
        let mut changed = false;
        for touched in &self.settings {
            let now = in_auto_conf(session, &touched.name).await?;
            if now == touched.was {
                continue;
            }
            if !now.as_ref().is_some_and(|now| touched.swept.contains(now)) {
                tracing::warn!(
                    "`{}` was changed by ALTER SYSTEM since the sweep, and is left as it is",
                    touched.name
                );
                continue;
            }
            alter_system(session, &touched.name, touched.was.as_deref()).await?;
            changed = true;
        }
        if changed {
            reload(session, address).await?;
        }
        let role = role.map_or_else(|| "CURRENT_USER".to_owned(), quote_identifier);
        let act = "forget what the sweep had to put back";
        session.execute(act, &format!("ALTER ROLE {role} RESET {RECORD}")).await?;
        Ok(())
    }

    /// Whether the session that wrote it is there.
    async fn is_alive(&self, session: &mut Session) -> Result<bool, SweepError> {
        // Another role's start is hidden from a role without rights: taken for alive then.
        let sql = format!(
            "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = {} AND (backend_start IS NULL \
             OR extract(epoch FROM backend_start)::text = {})",
            self.pid,
            quote_literal(&self.began)
        );
        Ok(session.text("look for another sweep", &sql).await?.is_some())
    }
}

/// Process and start of a session.
pub(super) async fn identity(session: &mut Session) -> Result<(i64, String), SweepError> {
    let sql = "SELECT pid, extract(epoch FROM backend_start)::text \
               FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()";
    let rows = session.rows("look up our session", sql).await?;
    let text = |at: usize| rows.first().and_then(|row| row.get(at).cloned().flatten());
    let pid = text(0).and_then(|pid| pid.parse().ok()).unwrap_or_default();
    Ok((pid, text(1).unwrap_or_default()))
}

/// What postgresql.auto.conf has for a setting.
pub(super) async fn in_auto_conf(
    session: &mut Session,
    name: &str,
) -> Result<Option<String>, SweepError> {
    let sql = format!(
        "SELECT setting FROM pg_catalog.pg_file_settings \
         WHERE sourcefile LIKE '%/postgresql.auto.conf' AND lower(name) = lower({}) \
         ORDER BY seqno DESC LIMIT 1",
        quote_literal(name)
    );
    Ok(session.text("read postgresql.auto.conf", &sql).await?)
}

/// Writes a setting to postgresql.auto.conf, or takes it out.
pub(super) async fn alter_system(
    session: &mut Session,
    name: &str,
    value: Option<&str>,
) -> Result<(), SweepError> {
    // A name with a dot is two identifiers; the plan lets only plain ones through.
    let sql = match value {
        Some(value) => format!("ALTER SYSTEM SET {name} = {}", quote_literal(value)),
        None => format!("ALTER SYSTEM RESET {name}"),
    };
    session.execute(&format!("change `{name}` by ALTER SYSTEM"), &sql).await?;
    Ok(())
}

/// Puts back what sweeps have left behind whose loader died. Returns the settings that this was
/// about.
///
/// # Errors
/// When another sweep is under way, or the server does not let us.
pub(crate) async fn restore_leftovers(
    session: &mut Session,
    address: &Address,
) -> Result<Vec<String>, SweepError> {
    let sql = format!(
        "SELECT r.rolname, pg_catalog.substr(c, {}) FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c \
         WHERE s.setdatabase = 0 AND pg_catalog.starts_with(c, '{RECORD}=')",
        RECORD.len() + 2
    );
    let mut restored = Vec::new();
    for row in session.rows("look for what a sweep has left behind", &sql).await? {
        let [Some(role), Some(json)] = row.as_slice() else { continue };
        let Ok(record) = serde_json::from_str::<Record>(json) else {
            tracing::warn!("`{RECORD}` of role `{role}` is no record of a sweep; it is left alone");
            continue;
        };
        if record.is_alive(session).await? {
            return Err(SweepError::Running { pid: record.pid, role: role.clone() });
        }
        record.restore(session, address, Some(role)).await?;
        restored.extend(record.settings.into_iter().map(|touched| touched.name));
    }
    if !restored.is_empty() {
        tracing::warn!(
            "a sweep that died had left its values in the server's configuration; put back: {}",
            restored.join(", ")
        );
    }
    Ok(restored)
}

/// Has the configuration read again, and PG-Strom's GPU service at work after it; returns a new
/// session that sees it.
pub(super) async fn reload(
    session: &mut Session,
    address: &Address,
) -> Result<Session, SweepError> {
    let act = "reload the configuration";
    let before = session.text(act, "SELECT pg_catalog.clock_timestamp()::text").await?;
    let before = quote_literal(&before.unwrap_or_default());
    session.text(act, "SELECT pg_catalog.pg_reload_conf()").await?;
    let began = Instant::now();
    // A new session begins with the postmaster's configuration, and the time at which that read it.
    let sql = format!("SELECT pg_catalog.pg_conf_load_time() >= {before}::timestamptz");
    loop {
        let mut fresh = Session::own(address, "strom-load sweep").await?;
        if fresh.text(act, &sql).await?.as_deref() == Some("t") {
            strom::wake_gpu_service(&mut fresh).await?;
            return Ok(fresh);
        }
        fresh.close().await;
        if began.elapsed() > RELOAD_MAX {
            return Err(SweepError::NotReloaded(RELOAD_MAX));
        }
        sleep(POLL).await;
    }
}
