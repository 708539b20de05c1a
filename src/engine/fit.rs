//! Whether a server takes what a profile would send: a look at its catalogue, before any run. Nothing is
//! created or changed.

use crate::pg;
use crate::pg::table;
use crate::plan::{Plan, StreamJob};

use super::inspect::{CONTROL, check_queries, connect_and_inspect};
use super::keys::with_keys;
use super::prepare::armed_queries;
use super::{PrepareError, Target};

/// How a stream fits a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The table.
    pub table: String,
    /// Whether it is there, and so takes the rows; if not, a run would make it.
    pub is_there: bool,
    /// The queries that the server takes. None are asked about where the table is not there, or where they
    /// go to another server.
    pub queries: Vec<String>,
}

/// Holds a stream's columns against its table on a server, and its queries against the server.
///
/// # Errors
/// When the server cannot be asked, or a run would end for what is there: with everything that is wrong with the
/// table, or the first query that the server does not take.
pub async fn fit(plan: &Plan<StreamJob>, address: &pg::Address) -> Result<Fit, PrepareError> {
    let stream = &plan.job.stream;
    let (mut session, server) =
        connect_and_inspect(&Target::given(address.clone()), CONTROL).await?;
    session.execute("begin", "BEGIN READ ONLY").await?;
    let is_there = table::takes(&mut session, stream).await?;
    let mut queries = Vec::new();
    // A table that is not there yet may have its rows from others that are not.
    let keyed = if is_there { Some(with_keys(plan, address).await?) } else { None };
    if let Some(plan) = keyed.filter(|plan| plan.job.readers.database_url.is_none()) {
        let armed = armed_queries(&plan, server.pg_strom_loaded)?;
        check_queries(&mut session, &armed, None).await?;
        queries.extend(armed.iter().map(|armed| armed.query.name.clone()));
    }
    session.execute("roll back", "ROLLBACK").await?;
    session.close().await;
    Ok(Fit { table: stream.table.as_written(), is_there, queries })
}
