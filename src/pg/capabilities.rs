//! What a server can do is tried, in a transaction that is taken back: its name and its version tell nothing
//! of what another server has that speaks the same protocol.

use bytes::Bytes;

use crate::result::capability::{Capabilities, Capability};
use crate::row::{CopyFormat, HEADER, TRAILER};

use super::{Error, Session};

const ACT: &str = "try what the server can do";
/// The table that is tried; of the session's own, and gone with the transaction.
const PROBE: &str = "pg_temp.strom_load_probe";
/// What makes it.
const PROBE_MADE: &str = "CREATE TEMPORARY TABLE strom_load_probe (n integer)";

/// Tries what a load needs, and logs what is missing. Returns a session over which rows go in the format that the
/// server takes: the one given, or one that `anew` opens, where that is spent by a COPY that the server refused.
///
/// # Errors
/// When the server takes no COPY at all, or is gone.
pub(crate) async fn find(
    mut session: Session,
    anew: impl AsyncFnOnce() -> Result<Session, Error>,
) -> Result<(Session, Capabilities), Error> {
    let found = probe(&mut session).await?;
    if found.copy_binary.is_missing() {
        session = anew().await?;
        probe_text(&mut session, &found.copy_binary).await?;
    }
    say(&found);
    Ok((session, found))
}

/// Says what the server can do, and why not, where that is not all.
fn say(capabilities: &Capabilities) {
    if capabilities.are_complete() {
        tracing::debug!("capabilities: {capabilities}");
        return;
    }
    tracing::info!("capabilities: {capabilities}");
    let Capabilities { copy_binary, transaction_fate, list_partitions } = capabilities;
    for why in [copy_binary, transaction_fate, list_partitions]
        .into_iter()
        .filter_map(|one| one.why.as_ref())
    {
        tracing::info!("tried, and refused: {why}");
    }
}

/// Tries all of it. Behind a COPY in binary form that the server refuses, the session is spent, as the client
/// library cannot go on: another one goes on with [`probe_text`].
async fn probe(session: &mut Session) -> Result<Capabilities, Error> {
    session.execute(ACT, "BEGIN").await?;
    let found = tried(session).await?;
    if !found.copy_binary.is_missing() {
        session.execute(ACT, "ROLLBACK").await?;
    }
    Ok(found)
}

/// Tries whether a server that takes no COPY in binary form takes one of text. If so, rows go over the session in
/// that format from now on; if not, that is an error.
async fn probe_text(session: &mut Session, no_binary: &Capability) -> Result<(), Error> {
    session.execute(ACT, "BEGIN").await?;
    session.execute(ACT, PROBE_MADE).await?;
    session.use_format(CopyFormat::Text);
    let copied = copied(session, Bytes::from_static(b"7\n")).await?;
    if let Some(why) = copied.why {
        let no_binary = no_binary.why.as_deref().unwrap_or_default();
        let fact =
            format!("it takes no COPY, neither in binary form ({no_binary}) nor of text ({why})");
        let fix = "name a server that takes it: rows are sent in no other way";
        return Err(Error::refused("load rows into this server", fact).with_fix(fix));
    }
    session.execute(ACT, "ROLLBACK").await
}

async fn tried(session: &mut Session) -> Result<Capabilities, Error> {
    let transaction_fate = {
        let sql = "SELECT pg_xact_status(pg_current_xact_id())";
        match attempt(session, sql).await? {
            Ok(Some(status)) if status == "in progress" => Capability::default(),
            Ok(status) => {
                let status = status.unwrap_or_else(|| "nothing".to_owned());
                no(format!("of a transaction that goes on it says `{status}`"))
            }
            Err(error) => no(error.to_string()),
        }
    };
    let made = format!(
        "CREATE TEMPORARY TABLE strom_load_probe (n integer) PARTITION BY LIST (n); \
         CREATE TEMPORARY TABLE strom_load_probe_1 PARTITION OF {PROBE} FOR VALUES IN (1)"
    );
    let list_partitions = match attempt(session, &made).await? {
        Ok(_) => Capability::default(),
        Err(error) => no_or_unknown(&error),
    };
    // Last, since a session is of no more use behind one that is refused.
    let copy_binary = match attempt_before(session, PROBE_MADE).await? {
        Err(error) => no_or_unknown(&error),
        Ok(()) => copied(session, a_row(7)).await?,
    };
    Ok(Capabilities { copy_binary, transaction_fate, list_partitions })
}

/// Copies a row with 7 into the table that is tried, in the session's format, and looks what came of it.
async fn copied(session: &mut Session, row: Bytes) -> Result<Capability, Error> {
    let sql = format!("COPY {PROBE} (n) FROM STDIN{}", session.copy_format.option());
    match session.copy_once(ACT, &sql, row).await {
        Ok(1) => {
            let told = session.text(ACT, &format!("SELECT sum(n) FROM {PROBE}")).await?;
            Ok(match told.as_deref() {
                Some("7") => Capability::default(),
                told => no(format!("of a row with 7 it made {}", told.unwrap_or("nothing"))),
            })
        }
        Ok(rows) => Ok(no(format!("of one row it counted {rows}"))),
        Err(error) if error.is_lost() => Err(error),
        Err(error) => Ok(no(error.to_string())),
    }
}

/// Tries a statement and takes it back; its first value, or why not.
async fn attempt(session: &mut Session, sql: &str) -> Result<Result<Option<String>, Error>, Error> {
    session.execute(ACT, "SAVEPOINT strom_load_try").await?;
    match session.text(ACT, sql).await {
        Err(error) if error.is_lost() => Err(error),
        said => {
            session.execute(ACT, "ROLLBACK TO SAVEPOINT strom_load_try").await?;
            Ok(said)
        }
    }
}

/// Tries a statement, and takes it back only if it fails.
async fn attempt_before(session: &mut Session, sql: &str) -> Result<Result<(), Error>, Error> {
    session.execute(ACT, "SAVEPOINT strom_load_try").await?;
    match session.execute(ACT, sql).await {
        Err(error) if error.is_lost() => Err(error),
        Err(error) => {
            session.execute(ACT, "ROLLBACK TO SAVEPOINT strom_load_try").await?;
            Ok(Err(error))
        }
        Ok(()) => Ok(Ok(())),
    }
}

/// A row of one integer, as COPY BINARY has it.
fn a_row(value: i32) -> Bytes {
    let (fields, bytes) = (1_i16.to_be_bytes(), 4_i32.to_be_bytes());
    [&HEADER[..], &fields, &bytes, &value.to_be_bytes(), &TRAILER].concat().into()
}

fn no(why: String) -> Capability {
    Capability { can: Some(false), why: Some(why) }
}

/// What the role may not try, or this server not now, is not known.
fn no_or_unknown(error: &Error) -> Capability {
    let is_denied = matches!(error.sqlstate(), Some("42501" | "25006"));
    Capability { can: (!is_denied).then_some(false), why: Some(error.to_string()) }
}
