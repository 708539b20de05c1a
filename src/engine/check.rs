//! After the run: are the rows there, and do the answers agree?

use crate::ingest::audit::{AuditError, audit};
use crate::pg;
use crate::plan::{Audit, Plan, StreamJob};
use crate::result::Status;

use super::Shutdown;
use super::assemble::Found;
use super::measure::Run;
use super::threads::Threads;

/// Looks for the run's rows as the plan says, unless the run was aborted. A server that is gone
/// cannot be asked; that is no finding.
pub(super) async fn check(
    run: &mut Run<'_>,
    plan: &Plan<StreamJob>,
    control: pg::Session,
    threads: &Threads,
    shutdown: &Shutdown,
) -> Found {
    if run.status() == Status::Aborted {
        control.close().await;
        return Found::default();
    }
    tokio::select! {
        () = run.examine(threads) => {}
        () = shutdown.abort.cancelled() => return Found::default(),
    }
    if plan.job.audit == Audit::Off {
        control.close().await;
        return Found::default();
    }
    let run = &*run;
    let found = tokio::select! {
        found = look(run, plan) => found,
        () = shutdown.abort.cancelled() => return Found::default(),
    };
    // It holds the reservation: no other loader may come in between.
    control.close().await;
    found.unwrap_or_else(|error| {
        tracing::warn!("this run's rows were not checked: {error}");
        Found::default()
    })
}

async fn look(run: &Run<'_>, plan: &Plan<StreamJob>) -> Result<Found, AuditError> {
    let address = run.address();
    if plan.job.audit == Audit::Full {
        tracing::debug!("reading every row back");
        let partitions = audit(address, &run.evidence()).await?;
        let rows = partitions.iter().map(|partition| partition.rows_found).sum();
        return Ok(Found { rows: Some(rows), audit: Some(partitions) });
    }
    let mut session = pg::Session::own(address, "strom-load control").await?.telling_of_waits();
    let rows = pg::table::count_since(&mut session, &plan.job.stream, run.first_ids()).await?;
    session.close().await;
    Ok(Found { rows: Some(rows), audit: None })
}
