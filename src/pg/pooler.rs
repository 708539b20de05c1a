//! Whether each session has a backend of its own, which a pooler in transaction mode denies it.
//!
//! The client's port as the server sees it would not tell, as every proxy changes it, and neither
//! would a setting that is gone: poolers keep some. What cannot be hidden is two sessions in one
//! backend, or one session in two.

use std::time::Duration;

use super::{Address, Error, Session};

/// How often it is tried: beside other clients of a pooler a session can get the same backend
/// twice by chance.
const ROUNDS: u32 = 4;
/// How long it may take. A pooler whose pool is too small lets the second session wait.
const TIME_MAX: Duration = Duration::from_secs(10);

const ACT: &str = "keep a backend for each session";
const PID: &str = "SELECT pg_backend_pid()";
const FIX: &str = "connect to the server itself, or set pool_mode = session in the pooler";

/// Refuses a server behind a pooler that gives a session's transactions to different backends.
/// That takes away the lock of its partition, its prepared statements and its settings.
///
/// # Errors
/// When it is so, or cannot be found out in time.
pub(super) async fn refuse_shared_backends(
    session: &mut Session,
    address: &Address,
) -> Result<(), Error> {
    match tokio::time::timeout(TIME_MAX, shares(session, address)).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(fact))) => Err(Error::refused(ACT, fact).with_fix(FIX)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::refused(
            ACT,
            format!("a second session got no answer within {} s", TIME_MAX.as_secs()),
        )
        .with_fix("if there is a pooler, raise its pool_size above the connections and readers")),
    }
}

/// What gives away that backends are shared.
async fn shares(session: &mut Session, address: &Address) -> Result<Option<&'static str>, Error> {
    const TRANSACTION: &str = "a pooler gives its transactions to different backends \
                               (transaction mode)";
    const STATEMENT: &str = "a pooler gives its statements to different backends \
                             (statement mode)";
    let mut other = Session::as_configured(address, "strom-load probe").await?;
    let own = session.text(ACT, PID).await?;
    for _ in 0..ROUNDS {
        if session.text(ACT, PID).await? != own {
            return Ok(Some(TRANSACTION));
        }
        // Most poolers give out the backend that became idle last: ours, now.
        match other.execute(ACT, "BEGIN").await {
            // Refused by the pooler, never by the server.
            Err(error) if error.sqlstate() == Some("08P01") => return Ok(Some(STATEMENT)),
            begun => begun?,
        }
        if other.text(ACT, PID).await? == own {
            return Ok(Some(TRANSACTION));
        }
        // Others give out the one that has been idle for longest: another one, now.
        if session.text(ACT, PID).await? != own {
            return Ok(Some(TRANSACTION));
        }
        other.execute(ACT, "ROLLBACK").await?;
    }
    other.close().await;
    Ok(None)
}
