//! A benchmark: tables → each step → its queries, one behind the other on one session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::{self, Draft};
use super::gate::Gate;
use super::gpus::Gpus;
use super::inspect::{CONTROL, check_queries_apart, connect_and_inspect};
use super::outputs::{Filling, Outputs};
use super::prepare::{await_gpu, query_start};
use super::ticker::Ticker;
use super::{FillOptions, PrepareError, Shutdown, Target};
use crate::arrow::{self, ExportOptions, ImportError, Source};
use crate::bench::{BenchError, Bencher, Measured};
use crate::dataset::{Filled, Prepared};
use crate::engine;
use crate::pg;
use crate::pg::embedded::{EmbeddedError, Server};
use crate::pg::owner::RunId;
use crate::pg::reservation::Reservation;
use crate::plan::bench::{Bench, Order, Restart, Step};
use crate::plan::{Plan, Statement, Table, TableName};
use crate::query::{ArmedQuery, Connection};
use crate::report::query_line;
use crate::result::benchmark::{BenchmarkRun, StepReport};
use crate::result::{Body, JobResult, Status};
use crate::sink::QueryStart;
use crate::strom::{self, StromError};
use crate::sweep::{self, SweepError};

/// What ends a benchmark or a sweep early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error(transparent)]
    Restart(EmbeddedError),
    #[error("the configuration was not put back: {0}")]
    NotRestored(SweepError),
}

/// Fills the tables of a benchmark and runs it.
///
/// # Errors
/// When it cannot begin. Once it has begun there is an outcome, whatever happens.
pub(super) async fn run(
    plan: &Plan<Bench>,
    target: &Target,
    mut server: Option<&mut Server>,
    mut outputs: Outputs,
    outer: &Shutdown,
) -> Result<JobResult, PrepareError> {
    let (bench, shutdown) = (&plan.job, &outer.with_inner_stop());
    let Filled { tables, capabilities } = fill_tables(plan, target, &mut outputs, shutdown).await?;
    let (mut control, mut server_report) =
        shutdown.unless_stopped(connect_and_inspect(target, CONTROL)).await??;
    server_report.capabilities = capabilities;
    let run_id = RunId::draw(&mut control).await?;
    let loaded = server_report.pg_strom_loaded;
    if let Err(error) = sweep::restore_leftovers(&mut control, &target.address).await {
        tracing::warn!("the server may have the values of a sweep: {error}");
    }
    let steps = bench.steps.iter().map(|step| armed_queries(bench, step, loaded));
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    for armed_query in &*steps[0] {
        strom::check_settings(&mut control, &armed_query.arms).await?;
    }
    let role = target.query_role();
    if role.is_some() {
        let settings = steps.iter().flat_map(|step| step.iter()).flat_map(ArmedQuery::settings);
        control.make_reader(bench.writes, settings).await?;
    }
    // What no step makes ready is there: a query that cannot work is known before the first one is
    // measured.
    let as_it_is = |(step, _): &(&Step, _)| step.before.is_empty() && step.arrow.is_none();
    for (_, armed_queries) in bench.steps.iter().zip(&steps).take_while(as_it_is) {
        check_queries_apart(&mut control, armed_queries, role).await?;
    }
    let reservations = hold_tables(&mut control, &plan.common.tables).await?;
    shutdown
        .unless_stopped(await_gpu(&target.address, steps.iter().flat_map(|step| step.iter())))
        .await??;
    let mut gpus = Gpus::open(plan.common.watch);
    gpus.ready().await;
    let mut draft =
        Draft::begin(plan, &run_id, server_report, BenchmarkRun { tables, steps: Vec::new() });
    let queries = query_starts(bench, &steps);
    let gate = (Gate::new(&plan.common.thresholds), shutdown.stop.clone());
    let mut ticker = Ticker::open(&mut outputs, &draft, &queries, gpus, gate)?;
    let of = bench.steps.len();
    let mut ended = Ok(());
    for ((number, step), armed_queries) in (1..).zip(&bench.steps).zip(steps) {
        if shutdown.stop.is_cancelled() {
            break;
        }
        let prefix = match of {
            1 => String::new(),
            _ => format!("step {number} of {of}, {}: ", step.name()),
        };
        let seed = plan.common.seed;
        let (reservations, tables) = (&reservations, &plan.common.tables);
        let server = server.as_deref_mut();
        let mut run = StepRun {
            seed,
            bench,
            step,
            armed_queries,
            target,
            prefix,
            shutdown,
            reservations,
            tables,
            server,
        };
        ended = run.run(&mut control, &mut draft, &mut ticker).await;
        if ended.is_err() {
            break;
        }
    }
    control.close().await;
    ticker.stop().await;
    if shutdown.stop.is_cancelled() || ended.is_err() {
        note_not_begun(bench, &mut draft.run.steps);
    }
    let result = ended_result(&draft, &ticker, ended, outer);
    Ok(outputs.finish(result))
}

/// A step of which nothing is done yet.
fn step_report(name: &str, table: Option<&TableName>) -> StepReport {
    StepReport {
        name: name.to_owned(),
        table: table.map(TableName::as_written),
        error: None,
        skipped: None,
        arrow: None,
        queries: Vec::new(),
        not_begun: Vec::new(),
    }
}

/// Adds what an end kept from being begun: queries of a step, and whole steps.
fn note_not_begun(bench: &Bench, steps: &mut Vec<StepReport>) {
    for step in bench.steps.iter().skip(steps.len()) {
        steps.push(step_report(step.name(), step.table.as_ref().or(bench.table.as_ref())));
    }
    for (step, report) in bench.steps.iter().zip(steps) {
        // Of these no query was to be run.
        if report.skipped.is_some() || report.error.is_some() {
            continue;
        }
        let names = step.queries.iter().map(|query| &bench.queries[*query].name);
        let begun = |name: &String| report.queries.iter().any(|query| query.query == *name);
        report.not_begun = names.filter(|name| !begun(name)).cloned().collect();
    }
}

/// Makes the profile's tables ready, and tells the outputs how.
pub(super) async fn fill_tables<J>(
    plan: &Plan<J>,
    target: &Target,
    outputs: &mut Outputs,
    shutdown: &Shutdown,
) -> Result<Filled, PrepareError> {
    let filling = Filling::new(outputs);
    let (tables, options) = (&plan.common.tables, FillOptions::default());
    Ok(engine::fill(&target.address, tables, options, &filling, shutdown).await?)
}

/// Has a session hold the tables of a profile, so that no other run drops or fills them meanwhile;
/// returns what further sessions are to hold.
pub(super) async fn hold_tables(
    session: &mut pg::Session,
    tables: &[Table],
) -> Result<Vec<Reservation>, PrepareError> {
    let mut reservations = Vec::new();
    for table in tables {
        if let Some(reservation) = Reservation::find(session, &table.name).await? {
            reservation.join(session).await?;
            reservations.push(reservation);
        }
    }
    Ok(reservations)
}

/// The queries of all steps, in order.
fn query_starts(bench: &Bench, steps: &[Arc<[ArmedQuery]>]) -> Vec<QueryStart> {
    let several = steps.len() > 1;
    let of = |(step, armed_queries): (&Step, &Arc<[ArmedQuery]>)| {
        let named = |armed_query: &ArmedQuery| {
            let start = query_start(armed_query);
            match several {
                true => QueryStart { name: format!("{}/{}", step.name(), start.name), ..start },
                false => start,
            }
        };
        armed_queries.iter().map(named).collect::<Vec<_>>()
    };
    bench.steps.iter().zip(steps).flat_map(of).collect()
}

/// The result of a job that has ended.
pub(super) fn ended_result<B: Clone + Into<Body>>(
    draft: &Draft<B>,
    ticker: &Ticker<'_>,
    ended: Result<(), Ended>,
    shutdown: &Shutdown,
) -> JobResult {
    let (status, error) = match ended {
        Ok(()) if shutdown.abort.is_cancelled() => (Status::Aborted, None),
        Ok(()) if shutdown.stop.is_cancelled() => (Status::Interrupted, None),
        Ok(()) if ticker.gate().has_ended() => (Status::Stopped, None),
        Ok(()) => (Status::Done, None),
        Err(ended) => (Status::Failed, Some(ended.to_string())),
    };
    let mut result = draft.so_far(ticker.gpus());
    (result.status, result.error) = (status, error);
    ticker.gate().judge(&mut result);
    result
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
    armed_queries: Arc<[ArmedQuery]>,
    target: &'a Target,
    /// What progress opens with.
    prefix: String,
    shutdown: &'a Shutdown,
    /// What the sessions that run the queries hold.
    reservations: &'a [Reservation],
    /// The profile's tables.
    tables: &'a [Table],
    /// Ours, which may be restarted.
    server: Option<&'a mut Server>,
}

impl StepRun<'_> {
    async fn run(
        &mut self,
        control: &mut pg::Session,
        draft: &mut Draft<BenchmarkRun>,
        ticker: &mut Ticker<'_>,
    ) -> Result<(), Ended> {
        ticker.step(&self.armed_queries);
        let table = self.step.table.as_ref().or(self.bench.table.as_ref());
        draft.run.steps.push(step_report(self.step.name(), table));
        let at = draft.run.steps.len() - 1;
        let mut outcome = Ok(());
        let (canceller, abort) = (control.canceller(), &self.shutdown.abort);
        let making = self.arrow(control, &mut draft.run.steps[at]);
        let file = match canceller.when(abort, making).await {
            Ok(file) => file,
            Err(_) if abort.is_cancelled() => return Ok(()),
            Err(error) => {
                draft.run.steps[at].error = Some(error);
                return Ok(());
            }
        };
        if draft.run.steps[at].skipped.is_some() {
            return Ok(());
        }
        match self.before(control).await {
            Ok(()) => outcome = self.measure(control, draft, ticker).await,
            // Cut off by the second Ctrl-C: no fault of the step's.
            Err(_) if self.shutdown.abort.is_cancelled() => {}
            Err(error) => draft.run.steps[at].error = Some(error),
        }
        // Whatever happened: the next step must find things as this one did.
        if let Err(error) = self.statements(control, &self.step.after).await {
            tracing::warn!("step `{}` was not undone: {error}", self.step.name());
            draft.run.steps[at].error.get_or_insert(error);
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
        let exported =
            arrow::export(control, &rows, &file.0, ExportOptions::default(), |_| {}).await;
        let exported = exported.map_err(|error| error.to_string())?;
        let imported = arrow::import(control, table, &file.0, exported.rows).await;
        imported.map_err(|error| error.to_string())?;
        step.arrow = Some(exported);
        Ok(Some(file))
    }

    /// Makes the step ready; an abort cuts it off, which building an index can take long to be.
    async fn before(&self, control: &mut pg::Session) -> Result<(), String> {
        let statements = &self.step.before;
        control.canceller().when(&self.shutdown.abort, self.statements(control, statements)).await
    }

    async fn statements(
        &self,
        control: &mut pg::Session,
        statements: &[Statement],
    ) -> Result<(), String> {
        for Statement { sql, place } in statements {
            let sql = with_table(sql, self.bench, self.step);
            let act = format!("run `{}`", sql.lines().next().unwrap_or_default());
            let ran = control.at_length().execute(&act, &sql).await;
            ran.map_err(|error| match place.show(&sql, error.position()).first() {
                // Of the lines below it none: the act names the statement.
                Some(place) => format!("{error}\n  {place}"),
                None => error.to_string(),
            })?;
        }
        Ok(())
    }

    /// Restarts the server before another repeat, if the plan says so.
    async fn restart(&mut self, control: &mut pg::Session) -> Result<(), Ended> {
        let Some(server) = self.server.as_mut().filter(|_| self.bench.restart == Restart::Server)
        else {
            return Ok(());
        };
        server.restart().await.map_err(Ended::Restart)?;
        (*control, _) = connect_and_inspect(self.target, CONTROL).await?;
        hold_tables(control, self.tables).await?;
        let armed_queries = self.armed_queries.iter();
        await_gpu(&self.target.address, armed_queries).await.map_err(PrepareError::from)?;
        Ok(())
    }

    async fn measure(
        &mut self,
        control: &mut pg::Session,
        draft: &mut Draft<BenchmarkRun>,
        ticker: &mut Ticker<'_>,
    ) -> Result<(), Ended> {
        let armed_queries = Arc::clone(&self.armed_queries);
        check_queries_apart(control, &armed_queries, self.target.query_role()).await?;
        let connection = Connection {
            address: self.target.address.clone(),
            role: self.target.query_role(),
            application_name: "strom-load bench".to_owned(),
            statement_timeout: self.bench.statement_timeout,
            writes: self.bench.writes,
            reservations: self.reservations.to_vec(),
        };
        let Shutdown { stop, abort, .. } = self.shutdown;
        let (stop, abort) = (stop.clone(), abort.clone());
        let (seed, order) = (self.seed, self.bench.order);
        let bencher = Bencher::new(
            connection,
            Arc::clone(&armed_queries),
            self.bench,
            seed,
            stop.clone(),
            abort,
        );
        let at = draft.run.steps.len() - 1;
        let planned: usize = self.bench.steps.iter().map(|step| step.queries.len()).sum();
        let table = self.step.table.as_ref().or(self.bench.table.as_ref());
        let rows = draft.run.steps[at].arrow.as_ref().map(|file| file.rows);
        let rows = rows.or_else(|| table_rows(&draft.run.tables, table));
        let mut bencher = bencher.noting(ticker.began(), rows);
        ticker.listen(&bencher.recorders());
        ticker.take_gpus();
        let watched = bencher.watched();
        if order == Order::Sequential {
            let all: Vec<usize> = (0..armed_queries.len()).collect();
            let work = Box::pin(bencher.measure_sequentially(&all));
            let measured = ticker.during(&self.prefix, Some(&watched), work).await?;
            for (armed_query, measured) in armed_queries.iter().zip(measured) {
                // All queries took turns: what the GPUs did is nobody's alone.
                let query = assemble::benchmark_query(armed_query, measured, order, Vec::new());
                draft.run.steps[at].queries.push(query);
            }
            draft.run.judge_together(planned);
            for query in &draft.run.steps[at].queries {
                ticker.done(&format!("{}{}", self.prefix, query_line(query)));
            }
            ticker.checkpoint(&draft.so_far(ticker.gpus()));
        } else {
            for (query, armed_query) in armed_queries.iter().enumerate() {
                if stop.is_cancelled() {
                    break;
                }
                let mut measured = Measured::begin(armed_query.arms.len());
                for repeat in 1..=self.bench.repeats {
                    if repeat > 1 {
                        bencher.disconnect().await;
                        self.restart(control).await?;
                    }
                    let prefix = match self.bench.repeats {
                        1 => self.prefix.clone(),
                        of => format!("{}repeat {repeat} of {of}, ", self.prefix),
                    };
                    // Boxed: the state machine of an execution is in each of both branches.
                    let work = Box::pin(bencher.measure(query, &mut measured));
                    ticker.during(&prefix, Some(&watched), work).await?;
                    if measured.is_over() {
                        break;
                    }
                }
                let gpus = ticker.take_gpus();
                let query = assemble::benchmark_query(armed_query, measured, order, gpus);
                draft.run.steps[at].queries.push(query);
                draft.run.judge_together(planned);
                let judged = draft.run.steps[at].queries.last().map(query_line);
                ticker.done(&format!("{}{}", self.prefix, judged.unwrap_or_default()));
                ticker.checkpoint(&draft.so_far(ticker.gpus()));
            }
        }
        bencher.close().await;
        Ok(())
    }
}

/// Rows of the table that queries are about, if it is one of the profile's.
pub(super) fn table_rows(tables: &[Prepared], table: Option<&TableName>) -> Option<u64> {
    let name = table?.as_written();
    Some(tables.iter().find(|prepared| prepared.table == name)?.rows)
}

/// The queries of a step with the table's name filled in, each with its arms.
pub(super) fn armed_queries(
    bench: &Bench,
    step: &Step,
    loaded: bool,
) -> Result<Arc<[ArmedQuery]>, StromError> {
    let queries = step.queries.iter().map(|index| &bench.queries[*index]);
    ArmedQuery::of_all(
        queries,
        |sql| with_table(sql, bench, step),
        (bench.gpu, &bench.arms, loaded),
    )
}

pub(super) fn with_table(sql: &str, bench: &Bench, step: &Step) -> String {
    match step.table.as_ref().or(bench.table.as_ref()) {
        Some(table) => sql.replace("{table}", &table.to_string()),
        None => sql.to_owned(),
    }
}
