//! A benchmark: tables → each step → its queries, one behind the other on one session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::{self, Draft};
use super::gpus::Gpus;
use super::prepare::{check_queries, meet};
use super::{PrepareError, Shutdown, Target};
use crate::arrow::{self, ImportError, Options, Source};
use crate::bench::{BenchError, Bencher, Progress};
use crate::dataset::Prepared;
use crate::pg;
use crate::plan::bench::{Bench, Order, Step};
use crate::plan::{Plan, Query, TableName};
use crate::query::{Connection, Trial};
use crate::result::benchmark::{BenchmarkRun, StepReport};
use crate::result::gpu::GpuReport;
use crate::result::{Body, JobResult, Status};
use crate::sink::SinkError;
use crate::strom::{self, StromError};
use crate::sweep::{self, SweepError};

/// Sees a benchmark while it goes on.
pub trait BenchSink: Send {
    /// A step begins, the `number`th of `of`.
    fn step(&mut self, name: &str, number: usize, of: usize);
    /// A query is under way.
    fn progress(&mut self, progress: &Progress<'_>);
    /// A query is done; `report` is the result so far.
    ///
    /// # Errors
    /// When it cannot be saved; the benchmark ends then.
    fn query(&mut self, report: &JobResult) -> Result<(), SinkError>;
    /// A sweep is under way.
    fn round(&mut self, progress: &sweep::Progress);
}

/// How a benchmark ended.
#[derive(Debug)]
pub struct BenchOutcome {
    /// What was measured.
    pub report: JobResult,
    /// An output that failed.
    pub unsaved: Option<SinkError>,
}

/// What ends a benchmark or a sweep early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error("the configuration was not put back: {0}")]
    NotRestored(SweepError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Runs a benchmark against a server whose tables are ready.
///
/// # Errors
/// When it cannot begin. Once it has begun there is an outcome, whatever happens.
pub async fn run_bench(
    plan: &Plan<Bench>,
    tables: Vec<Prepared>,
    target: &Target,
    sink: &mut dyn BenchSink,
    shutdown: &Shutdown,
) -> Result<BenchOutcome, PrepareError> {
    let bench = &plan.job;
    let (mut control, server) = meet(target).await?;
    let loaded = server.pg_strom_loaded;
    if let Err(error) = sweep::restore_leftovers(&mut control, &target.address).await {
        tracing::warn!("the server may have the values of a sweep: {error}");
    }
    for trial in &*trials(bench, &bench.steps[0], loaded)? {
        strom::check_settings(&mut control, &trial.arms).await?;
    }
    let mut gpus = Gpus::open(plan.common.watch);
    gpus.ready().await;
    gpus.begin(std::time::Instant::now());
    let run = BenchmarkRun { tables, steps: Vec::new() };
    let mut draft = Draft::begin(plan, server, run);
    let (seed, of) = (plan.common.seed, bench.steps.len());
    let mut ended = Ok(());
    for (number, step) in (1..).zip(&bench.steps) {
        if shutdown.stop.is_cancelled() {
            break;
        }
        sink.step(step.name(), number, of);
        let mut run = StepRun { seed, bench, step, target, loaded, shutdown, gpus: &mut gpus };
        ended = run.run(&mut control, &mut draft, sink).await;
        if ended.is_err() {
            break;
        }
    }
    control.close().await;
    gpus.stop().await;
    Ok(outcome(&draft, &gpus, ended, sink, shutdown))
}

/// Says in the report how it ended, and saves it.
pub(super) fn outcome<B: Clone + Into<Body>>(
    draft: &Draft<B>,
    gpus: &Gpus,
    ended: Result<(), Ended>,
    sink: &mut dyn BenchSink,
    shutdown: &Shutdown,
) -> BenchOutcome {
    let (mut error, mut unsaved) = (None, None);
    let status = match ended {
        Ok(()) if shutdown.abort.is_cancelled() => Status::Aborted,
        Ok(()) if shutdown.stop.is_cancelled() => Status::Interrupted,
        Ok(()) => Status::Done,
        Err(ended) => {
            error = Some(ended.to_string());
            if let Ended::Sink(error) = ended {
                unsaved = Some(error);
            }
            Status::Failed
        }
    };
    let report = draft.ended(gpus, status, error);
    if let Err(error) = sink.query(&report) {
        unsaved.get_or_insert(error);
    }
    BenchOutcome { report, unsaved }
}

/// An Arrow file of ours; it goes with the step.
struct ArrowFile(PathBuf);

impl Drop for ArrowFile {
    fn drop(&mut self) {
        // An export that failed has left none.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// One step, under way.
struct StepRun<'a> {
    seed: u64,
    bench: &'a Bench,
    step: &'a Step,
    target: &'a Target,
    loaded: bool,
    shutdown: &'a Shutdown,
    gpus: &'a mut Gpus,
}

impl StepRun<'_> {
    async fn run(
        &mut self,
        control: &mut pg::Session,
        draft: &mut Draft<BenchmarkRun>,
        sink: &mut dyn BenchSink,
    ) -> Result<(), Ended> {
        let table = self.step.table.as_ref().or(self.bench.table.as_ref());
        draft.run.steps.push(StepReport {
            name: self.step.name().to_owned(),
            table: table.map(TableName::as_written),
            error: None,
            skipped: None,
            arrow: None,
            queries: Vec::new(),
        });
        let at = draft.run.steps.len() - 1;
        let mut outcome = Ok(());
        let file = match self.arrow(control, &mut draft.run.steps[at]).await {
            Ok(file) => file,
            Err(error) => {
                draft.run.steps[at].error = Some(error);
                return Ok(());
            }
        };
        if draft.run.steps[at].skipped.is_some() {
            return Ok(());
        }
        match self.before(control).await {
            Ok(()) => outcome = self.measure(control, draft, sink).await,
            // Cut off by the second Ctrl-C: no fault of the step's.
            Err(_) if self.shutdown.abort.is_cancelled() => {}
            Err(error) => draft.run.steps[at].error = Some(error.to_string()),
        }
        // Whatever happened: the next step must find things as this one did.
        if let Err(error) = self.statements(control, &self.step.after).await {
            tracing::warn!("step `{}` was not undone: {error}", self.step.name());
            draft.run.steps[at].error.get_or_insert(error.to_string());
        }
        if let (Some(_), Some(table)) = (&file, &self.step.table)
            && let Err(error) = arrow::drop_table(control, table).await
        {
            tracing::warn!("step `{}` was not undone: {error}", self.step.name());
            draft.run.steps[at].error.get_or_insert(error.to_string());
        }
        outcome
    }

    /// Makes the step's table a foreign table over an Arrow file, if it is about one.
    async fn arrow(
        &self,
        control: &mut pg::Session,
        step: &mut StepReport,
    ) -> Result<Option<ArrowFile>, String> {
        let (Some(source), Some(table)) = (&self.step.arrow, &self.step.table) else {
            return Ok(None);
        };
        // Before the rows are read: without arrow_fdw that would be for nothing.
        match arrow::check(control, table).await {
            Err(ImportError::NoArrowFdw) => {
                step.skipped = Some(ImportError::NoArrowFdw.to_string());
                return Ok(None);
            }
            checked => checked.map_err(|error| error.to_string())?,
        }
        let name = format!("strom-load-{}-{}.arrow", std::process::id(), self.step.name());
        let file = ArrowFile(Path::new(&source.folder).join(name));
        let rows = Source::Table(source.from.clone());
        let exported = arrow::export(control, &rows, &file.0, Options::default(), |_| {}).await;
        let exported = exported.map_err(|error| error.to_string())?;
        let imported = arrow::import(control, table, &file.0, exported.rows).await;
        imported.map_err(|error| error.to_string())?;
        step.arrow = Some(exported);
        Ok(Some(file))
    }

    /// Makes the step ready; an abort cuts it off, which building an index can take long to be.
    async fn before(&self, control: &mut pg::Session) -> Result<(), pg::Error> {
        let canceller = control.canceller();
        let statements = self.statements(control, &self.step.before);
        tokio::pin!(statements);
        tokio::select! {
            done = &mut statements => return done,
            () = self.shutdown.abort.cancelled() => canceller.cancel().await,
        }
        // The session is used again: what was cancelled must have ended on it.
        statements.await
    }

    async fn statements(
        &self,
        control: &mut pg::Session,
        statements: &[String],
    ) -> Result<(), pg::Error> {
        for statement in statements {
            let sql = fill(statement, self.bench, self.step);
            let act = format!("run `{}`", sql.lines().next().unwrap_or_default());
            control.at_length().execute(&act, &sql).await?;
        }
        Ok(())
    }

    async fn measure(
        &mut self,
        control: &mut pg::Session,
        draft: &mut Draft<BenchmarkRun>,
        sink: &mut dyn BenchSink,
    ) -> Result<(), Ended> {
        let trials = trials(self.bench, self.step, self.loaded).map_err(PrepareError::from)?;
        check_queries(control, &trials).await?;
        let connection = Connection {
            address: self.target.address.clone(),
            application_name: "strom-load bench".to_owned(),
            statement_timeout: self.bench.statement_timeout,
        };
        let Shutdown { stop, abort } = self.shutdown;
        let (stop, abort) = (stop.clone(), abort.clone());
        let mut bencher = Bencher::new(
            connection,
            Arc::clone(&trials),
            self.bench,
            self.seed,
            stop.clone(),
            abort,
        );
        let steps = draft.run.steps.len() - 1;
        self.gpus.drain();
        if self.bench.order == Order::Sequential {
            let all: Vec<usize> = (0..trials.len()).collect();
            let measured =
                bencher.measure_sequentially(&all, &mut |progress| sink.progress(progress)).await?;
            for (trial, measured) in trials.iter().zip(measured) {
                // All queries took turns: what the GPUs did is nobody's alone.
                let query =
                    assemble::benchmark_query(trial, measured, self.bench.order, Vec::new());
                draft.run.steps[steps].queries.push(query);
            }
            sink.query(&draft.so_far(self.gpus))?;
        } else {
            for (query, trial) in trials.iter().enumerate() {
                if stop.is_cancelled() {
                    break;
                }
                let measured =
                    bencher.measure(query, &mut |progress| sink.progress(progress)).await?;
                let gpus = self.gpu_reports();
                let query = assemble::benchmark_query(trial, measured, self.bench.order, gpus);
                draft.run.steps[steps].queries.push(query);
                sink.query(&draft.so_far(self.gpus))?;
            }
        }
        bencher.close().await;
        Ok(())
    }
}

impl StepRun<'_> {
    /// What each GPU did since the last call.
    fn gpu_reports(&mut self) -> Vec<GpuReport> {
        let tallies = self.gpus.drain();
        let gpus = self.gpus.found().gpus.iter().zip(&tallies);
        gpus.map(|(gpu, tally)| assemble::gpu_report(gpu, &tally.measured)).collect()
    }
}

/// The queries of a step with the table's name filled in, each with its arms.
fn trials(bench: &Bench, step: &Step, loaded: bool) -> Result<Arc<[Trial]>, StromError> {
    let trial = |index: &usize| {
        let query = &bench.queries[*index];
        let arms = strom::arms(query.gpu.unwrap_or(bench.gpu), &bench.arms, loaded)?;
        let query = Query { sql: fill(&query.sql, bench, step), ..query.clone() };
        Ok(Trial { query, arms })
    };
    let mut trials = step.queries.iter().map(trial).collect::<Result<Vec<_>, StromError>>()?;
    strom::align(trials.iter_mut().flat_map(|trial| &mut trial.arms));
    Ok(trials.into())
}

pub(super) fn fill(sql: &str, bench: &Bench, step: &Step) -> String {
    match step.table.as_ref().or(bench.table.as_ref()) {
        Some(table) => sql.replace("{table}", &table.to_string()),
        None => sql.to_owned(),
    }
}
