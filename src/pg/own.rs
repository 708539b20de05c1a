//! The two kinds of sessions: those of our own, in which strom-load itself asks, and those that are
//! as the server has them, in which it asks as a user would. There is no third way to connect.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::pace::told;

use super::session::{Guard, READ_ONLY};
use super::silence::{Ask, Listener, Look};
use super::{Address, Error, Session, connect, pooler, start};

/// What a session of our own is set to, where the server knows the setting. A SET of a name that it
/// does not know would make a setting without a meaning.
///
/// PG-Strom is off: it is the engine that a run measures, so it must not be the one that counts the
/// run's rows; and a GPU service that sleeps lets every query wait for ever.
///
/// Names of types come back as they are compared here, quoted only where they must be.
///
/// No limit of the role or the database holds: it would end the audit, or take the lock away that an
/// idle session holds. What bounds our work is in this program; see also [`Session::lease`].
const OWN: &[(&str, &str)] = &[
    ("pg_strom.enabled", "off"),
    ("quote_all_identifiers", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("transaction_timeout", "0"),
];

/// The server's own limits are whole numbers of milliseconds in 32 bits.
const LIMIT_MAX_MS: u128 = i32::MAX as u128;

/// Sets those of these settings that the server knows.
fn set(settings: &[(&str, &str)]) -> String {
    let values: Vec<String> =
        settings.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
    format!(
        "SELECT pg_catalog.set_config(name, value, false) FROM (VALUES {}) AS ours (name, value) \
         WHERE pg_catalog.current_setting(name, true) IS NOT NULL",
        values.join(", ")
    )
}

impl Session {
    /// Connects for strom-load's own work: loading, counting, reading back, looking things up.
    /// PG-Strom is switched off in it, and a statement that brings nothing for a minute ends; see
    /// [`Session::at_length`]. `application_name` shows up in pg_stat_activity.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, with the usual remedy.
    pub async fn own(address: &Address, application_name: &str) -> Result<Self, Error> {
        Self::as_configured(address, application_name).await?.into_own(address).await
    }

    /// The same for work that leans on keeping its backend, such as holding a lock: a server
    /// behind a pooler that gives a session's transactions to different backends is refused.
    ///
    /// # Errors
    /// As [`Session::own`], and when backends are shared, or that cannot be found out in time.
    pub async fn own_backend(address: &Address, application_name: &str) -> Result<Self, Error> {
        let mut session = Self::as_configured(address, application_name).await?;
        // Before anything is set: it would stay in a backend that others share.
        let sole = pooler::refuse_shared_backends(&mut session, address);
        told(sole, |waited| {
            let waited = waited.as_secs();
            tracing::info!(
                "waiting for a second session, {waited} s: a pooler may have no backend free"
            );
        })
        .await?;
        session.into_own(address).await.map(Self::telling_of_waits)
    }

    /// Connects and leaves every setting as the server, the database and the role have it: for
    /// queries in an arm, and to see what others see. Whoever runs a query here bounds it.
    ///
    /// # Errors
    /// As [`Session::own`].
    pub async fn as_configured(address: &Address, application_name: &str) -> Result<Self, Error> {
        // Boxed: rare, and large in every future that may connect again.
        Box::pin(connect::connect(address, application_name)).await
    }

    async fn into_own(mut self, address: &Address) -> Result<Self, Error> {
        // Set before its first statement; who serves it is told with that.
        self.listener = Some(Box::new(Listener::new(asking(address, None))));
        let sql = format!("SELECT pg_catalog.pg_backend_pid(); {}", set(OWN));
        let pid = self.text("set our session up", &sql).await?;
        let pid = pid.and_then(|pid| pid.parse().ok());
        self.backend = pid.and_then(|pid: i32| u32::try_from(pid).ok());
        self.listener = Some(Box::new(Listener::new(asking(address, pid))));
        Ok(self)
    }

    /// Has the server end the session, and its locks with it, when it hears nothing of us: for `lease`
    /// between statements, for `statement_max` in the middle of one. So a loader that is stopped, or cut
    /// off in a way that no network tells, keeps its table for so long and no longer.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn lease(
        &mut self,
        lease: Duration,
        statement_max: Option<Duration>,
    ) -> Result<(), Error> {
        let ms = |time: Duration| time.as_millis().min(LIMIT_MAX_MS).to_string();
        let (lease, statement_max) = (ms(lease), statement_max.map(ms));
        let mut settings = vec![
            ("idle_session_timeout", lease.as_str()),
            ("idle_in_transaction_session_timeout", lease.as_str()),
        ];
        settings.extend(statement_max.as_deref().map(|max| ("statement_timeout", max)));
        self.execute("limit the session's silence", &set(&settings)).await
    }

    /// Makes a session that is as configured one in which a profile's queries are run: a query ends
    /// at `statement_timeout` and at no other limit, and it is read-only unless all may write.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn read_for_a_profile(
        &mut self,
        statement_timeout: Duration,
        writes: bool,
    ) -> Result<(), Error> {
        let statement_timeout = statement_timeout.as_millis().to_string();
        let mut settings = vec![
            ("statement_timeout", statement_timeout.as_str()),
            ("lock_timeout", "0"),
            ("idle_session_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("transaction_timeout", "0"),
        ];
        if !writes {
            settings.push((READ_ONLY, "on"));
        }
        self.execute("set the reader's session up", &set(&settings)).await?;
        if !writes {
            // Known by now: the server tells before it is ready for the next statement.
            let is_told = self.told_read_only.load(Ordering::Relaxed);
            self.guard = if is_told { Guard::Told } else { Guard::Renewed };
        }
        Ok(())
    }

    /// Has the next query write or read only, as it is to. A query can switch that off for those after it.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn let_write(&mut self, writes: bool) -> Result<(), Error> {
        let is_so = match self.guard {
            Guard::Absent => true,
            Guard::Told => self.writes == writes,
            Guard::Renewed => false,
        };
        if !is_so {
            let read_only = if writes { "off" } else { "on" };
            let set = set(&[(READ_ONLY, read_only)]);
            self.execute("say whether the reader may write", &set).await?;
            self.writes = writes;
        }
        Ok(())
    }
}

/// Asks about the statement of a session, whose process on the server is `pid` where the server
/// said so.
fn asking(address: &Address, pid: Option<i32>) -> Ask {
    let address = address.clone();
    Box::new(move || Box::pin(ask(address.clone(), pid)))
}

async fn ask(address: Address, pid: Option<i32>) -> Look {
    let Some(pid) = pid else {
        return Look::stuck("and who serves the session is not known");
    };
    // Who holds what it waits for, and what that is; NULL where nobody does. Other roles' names are
    // hidden.
    let sql = format!(
        "SELECT a.state, a.wait_event_type, a.wait_event, \
         (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' of ', b.pid, \
         nullif(b.application_name, '')), ', ' ORDER BY b.pid) \
         FROM pg_catalog.pg_stat_activity b \
         WHERE b.pid = ANY (pg_catalog.pg_blocking_pids({pid}))), \
         (SELECT CASE WHEN l.relation IS NULL THEN '' \
          ELSE ' on ' || l.relation::pg_catalog.regclass END \
         FROM pg_catalog.pg_locks l WHERE l.pid = {pid} AND NOT l.granted LIMIT 1), \
         pg_catalog.array_to_string(pg_catalog.pg_blocking_pids({pid}), ','), \
         (SELECT c.bytes_processed FROM pg_catalog.pg_stat_progress_copy c WHERE c.pid = {pid}) \
         FROM pg_catalog.pg_stat_activity a WHERE a.pid = {pid}"
    );
    let asked = async {
        let mut session = Session::as_configured(&address, "strom-load look").await?;
        let rows = session.rows("ask about a statement", &sql).await?;
        session.close().await;
        Ok::<_, Error>(rows)
    };
    let rows = match asked.await {
        Ok(rows) => rows,
        Err(error) => {
            let recovering = start::is_on_its_way(&error).then(|| start::recovering(&error));
            let fact = format!("and the server cannot be asked why: {error}");
            return Look { recovering, ..Look::stuck(fact) };
        }
    };
    let Some(row) = rows.first() else {
        return Look::lost("and the server has no such session any more");
    };
    let text = |at: usize| row.get(at).and_then(Option::as_deref);
    let on = text(4).unwrap_or_default();
    match (text(0), text(1), text(3)) {
        (_, _, Some(holders)) => Look {
            fix: text(5).map(end_of),
            ..Look::stuck(format!("it waits for a lock{on} held by session {holders}"))
        },
        (_, Some("Lock"), None) => Look::stuck(format!("it waits for a lock{on}")),
        (_, Some("IPC"), _) if text(2) == Some("SyncRep") => Look {
            fix: Some(
                "bring the standby back, or take it out of synchronous_standby_names".to_owned(),
            ),
            ..Look::stuck("it waits for a synchronous standby")
        },
        (Some("active"), kind, _) => {
            let waits = kind.zip(text(2));
            let doing = waits.map_or_else(String::new, |(kind, on)| format!(" ({kind}: {on})"));
            let fact = format!("while the server is at work on it{doing}");
            let waits_for_us = text(2) == Some("ClientRead");
            let bytes = text(6).and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
            let awaits_more_than = waits_for_us.then_some(bytes);
            Look { at_work: true, awaits_more_than, ..Look::stuck(fact) }
        }
        (state, ..) => {
            let state = state.unwrap_or("unknown");
            Look::lost(format!("and to the server the session is {state}: the answer is lost"))
        }
    }
}

/// How to get rid of the sessions with these numbers, separated by commas.
fn end_of(pids: &str) -> String {
    let ends = pids.split(',').map(|pid| format!("SELECT pg_terminate_backend({pid})"));
    let ends: Vec<String> = ends.collect();
    format!("start again when that session is done, or end it: {}", ends.join("; "))
}
