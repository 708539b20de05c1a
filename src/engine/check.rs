//! After the run: do the answers agree, and are the rows there? Each second it is told how far
//! that is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::ingest::audit::{AuditError, audit, patience};
use crate::pg;
use crate::pg::owner::Successor;
use crate::plan::{Audit, Plan, StreamJob};
use crate::quantity::format_count;
use crate::result::Status;
use crate::sink::Progress;

use super::assemble::RowsFound;
use super::keeper::Keeper;
use super::measure::Run;
use super::outputs::Outputs;
use super::threads::Threads;
use super::{RunError, Shutdown, TICK};

/// What is said of whatever a signal has cut off.
const INTERRUPTED: &str = "interrupted";

fn not_checked(why: impl Into<String>) -> RowsFound {
    let why = why.into();
    tracing::warn!("this run's rows were not checked: {why}");
    RowsFound { not_checked: Some(why), ..RowsFound::default() }
}

/// What is being done, for whoever waits.
#[derive(Debug, Clone, Default)]
struct Doing(Arc<Mutex<String>>);

impl Doing {
    fn set(&self, what: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Looks for the run's rows as the plan says, and compares answers once more unless somebody has
/// interrupted the run. An abort ends it at once. A server that is gone cannot be asked; that is no
/// finding.
pub(super) async fn check(
    run: &mut Run<'_>,
    plan: &Plan<StreamJob>,
    keeper: Keeper,
    threads: &Threads,
    outputs: &mut Outputs,
    shutdown: &Shutdown,
) -> RowsFound {
    let (doing, read) = (Doing::default(), AtomicU64::new(0));
    let found = {
        let looking = look(run, plan, threads, &doing, &read, shutdown);
        tokio::pin!(looking);
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                found = &mut looking => break found,
                _ = ticks.tick() => tell(outputs, doing.get(), &read),
            }
        }
    };
    if found.not_checked.as_deref() == Some(INTERRUPTED) {
        run.cut_off(Status::Aborted);
    }
    // Only now: no other loader may come in between.
    keeper.end().await;
    found
}

fn tell(outputs: &mut Outputs, mut doing: String, read: &AtomicU64) {
    let read = read.load(Ordering::Relaxed);
    if read > 0 {
        doing = format!("{doing}, {} so far", format_count(read));
    }
    outputs.progress(&Progress::Ending(&doing));
}

async fn look(
    run: &mut Run<'_>,
    plan: &Plan<StreamJob>,
    threads: &Threads,
    doing: &Doing,
    read: &AtomicU64,
    shutdown: &Shutdown,
) -> RowsFound {
    if matches!(run.status(), Status::Done | Status::Interrupted | Status::Stopped) {
        let address = run.address().clone();
        run.work.end(&address).await;
    }
    let told = doing.clone();
    run.examine(threads, move |what| told.set(what), shutdown).await;
    let doubts = run.doubts();
    if doubts > 0 && run.status() != Status::Aborted && !was_taken_over(run) {
        doing.set(format!("asking what became of {} batches", format_count(doubts as u64)));
        let patience = patience_of(run, plan);
        let decided = run.decide_doubts(patience);
        shutdown.abort.run_until_cancelled(decided).await;
    }
    if plan.job.audit == Audit::Off {
        return RowsFound::default();
    }
    if run.status() == Status::Aborted {
        return not_checked(INTERRUPTED);
    }
    loop {
        let found = tokio::select! {
            found = find_rows(run, plan, doing, read) => found,
            () = shutdown.abort.cancelled() => return not_checked(INTERRUPTED),
        };
        match found {
            // Once more, as one whose table is another's.
            Err(AuditError::Server(error)) if error.took_over() && !was_taken_over(run) => {
                run.was_taken_over(error);
            }
            found => return found.unwrap_or_else(|error| not_checked(error.to_string())),
        }
    }
}

async fn find_rows(
    run: &Run<'_>,
    plan: &Plan<StreamJob>,
    doing: &Doing,
    read: &AtomicU64,
) -> Result<RowsFound, AuditError> {
    let rows = run.rows_acknowledged();
    if plan.job.audit == Audit::Full {
        doing.set(format!("reading {} rows back", format_count(rows)));
        read_back(run, plan, read).await
    } else {
        doing.set(format!("counting {} rows", format_count(rows)));
        count(run, plan).await
    }
}

async fn read_back(
    run: &Run<'_>,
    plan: &Plan<StreamJob>,
    read: &AtomicU64,
) -> Result<RowsFound, AuditError> {
    let mut evidence = run.evidence(patience_of(run, plan));
    if was_taken_over(run) {
        // The table is the other run's, and so is its lock.
        evidence.reservation = None;
        let mut session = pg::Session::own(run.address(), "strom-load audit").await?;
        let ends = pg::table::ends(&mut session, evidence.stream, &run.table).await?;
        session.close().await;
        for (lane, end) in evidence.lanes.iter_mut().zip(ends) {
            lane.successor = Successor::Perhaps;
            if let Some(end) = end {
                lane.successor = Successor::From(end);
                lane.account.gives_way(lane.ids.rows_below(end));
            }
        }
    }
    let audited = audit(run.address(), &evidence, read).await?;
    let audits: Vec<_> = audited.into_iter().map(|audited| audited.audit).collect();
    let rows = audits.iter().map(|audit| audit.rows_found).sum();
    Ok(RowsFound { rows: Some(rows), audit: Some(audits), not_checked: None })
}

/// How long a run that is over waits for a server that is gone.
fn patience_of(run: &Run<'_>, plan: &Plan<StreamJob>) -> Duration {
    match run.status() {
        // It has waited, or there was nothing to wait for.
        Status::Failed => Duration::ZERO,
        _ => patience(&plan.job.recovery),
    }
}

async fn count(run: &Run<'_>, plan: &Plan<StreamJob>) -> Result<RowsFound, AuditError> {
    if was_taken_over(run) {
        return Ok(not_checked(
            "another run took over the table, so a count would have its rows too",
        ));
    }
    let mut session =
        pg::Session::own(run.address(), "strom-load control").await?.telling_of_waits();
    run.table.reservation.join(&mut session).await?;
    let stream = &plan.job.stream;
    let rows = if stream.id_column().is_some() {
        Some(pg::table::count_since(&mut session, stream, run.lanes()).await?)
    } else {
        let now = pg::table::count_all(&mut session, stream).await?;
        run.table.rows_counted.and_then(|before| now.checked_sub(before))
    };
    session.close().await;
    if rows.is_none() {
        return Ok(not_checked("the table has fewer rows than before: others have deleted some"));
    }
    Ok(RowsFound { rows, ..RowsFound::default() })
}

fn was_taken_over(run: &Run<'_>) -> bool {
    run.error.as_ref().is_some_and(RunError::is_of_a_takeover)
}
