//! What is looked at before anything is created: the server, and whether it takes the queries.

use crate::pg;
use crate::query::ArmedQuery;
use crate::result::server::ServerReport;
use crate::strom;

use super::{PrepareError, Target};

/// The name of the session that controls a job.
pub(super) const CONTROL: &str = "strom-load control";

/// Oldest major version with everything that is used here.
const MAJOR_MIN: u32 = 15;

/// A session on a server that a run may use, and what the server is.
pub(super) async fn connect_and_inspect(
    target: &Target,
    application_name: &str,
) -> Result<(pg::Session, ServerReport), PrepareError> {
    let mut session = pg::Session::own_backend(&target.address, application_name).await?;
    let pg_strom_loaded = strom::is_loaded(&mut session).await?;
    let facts = session.facts().await?;
    if facts.major < MAJOR_MIN {
        return Err(PrepareError::TooOld { version: facts.version });
    }
    if facts.clock.is_far_off() {
        tracing::warn!(
            "the server's clock is {}: queries over a window of time, such as the last minute, look \
             at another window than the one that rows fall into; let NTP set both",
            facts.clock
        );
    }
    let identity = session.identity(None).await?;
    let (address, embedded) = (target.address.to_string(), target.embedded);
    Ok((session, ServerReport { address, embedded, identity, pg_strom_loaded, facts }))
}

/// The same as [`check_queries`], in a transaction of its own.
pub(super) async fn check_queries_apart(
    session: &mut pg::Session,
    armed_queries: &[ArmedQuery],
    writes: bool,
) -> Result<(), PrepareError> {
    session.execute("begin", "BEGIN").await?;
    let checked = check_queries(session, armed_queries, writes).await;
    let ended = session.execute("roll back", "ROLLBACK").await;
    checked?;
    Ok(ended?)
}

/// Asks the server about each query, so that a mistake is found before the run, with its place; and
/// so that nothing is run that writes without being allowed to. Within a transaction.
pub(super) async fn check_queries(
    session: &mut pg::Session,
    armed_queries: &[ArmedQuery],
    writes: bool,
) -> Result<(), PrepareError> {
    for ArmedQuery { query, .. } in armed_queries {
        if let Err(error) = session.admit(&query.sql, query.newest_column.as_deref(), writes).await
        {
            let place = query.place.show(&query.sql, error.position());
            let place = place.iter().flat_map(|line| ["\n  ", line]).collect();
            return Err(PrepareError::Query { query: query.name.clone(), error, place });
        }
    }
    Ok(())
}
