//! Whether a server takes what a profile would send: a look at its catalogue, before any run. Nothing is
//! created or changed.

use crate::pg;
use crate::pg::table;
use crate::plan::{Plan, StreamJob};
use crate::query::ArmedQuery;

use super::inspect::{CONTROL, check_queries, connect_and_inspect};
use super::keys::completed_on;
use super::prepare::armed_queries;
use super::{PrepareError, Target};

/// How a stream fits a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The table.
    pub table: String,
    /// Whether it is there, and so takes the rows; if not, a run would make it.
    pub is_there: bool,
    /// The queries that the server takes. Those that name a table that is not there are not asked about, none
    /// are where values are keys of a table that is not there, and none that go to another server.
    pub queries: Vec<String>,
    /// Those that were not asked about.
    pub unasked: Vec<String>,
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
    // A table that is not there yet may refer to others that are not.
    let have_keys = is_there || pg::keys::have_tables(&mut session, &plan.references()).await?;
    let armed = if have_keys {
        armed_queries(&*completed_on(plan, address).await?, server.pg_strom_loaded)?
    } else {
        [].into()
    };
    let can_ask = |armed: &ArmedQuery| {
        let own = &armed.query;
        let mut texts = own.statements.iter().map(|own| &own.sql).chain([&own.sql]);
        is_there || !texts.any(|sql| sql.contains(&stream.table.name))
    };
    let is_elsewhere = plan.job.readers.database_url.is_some();
    let asked: Vec<_> =
        armed.iter().filter(|armed| !is_elsewhere && can_ask(armed)).cloned().collect();
    check_queries(&mut session, &asked, None).await?;
    let is_asked = |name: &String| asked.iter().any(|armed| armed.query.name == *name);
    let readers = &plan.job.readers;
    let names = readers.queries.iter().filter(|_| readers.count > 0).map(|own| own.name.clone());
    let (queries, unasked) = names.partition(is_asked);
    session.execute("roll back", "ROLLBACK").await?;
    session.close().await;
    Ok(Fit { table: stream.table.as_written(), is_there, queries, unasked })
}
