//! A sweep: rounds of all combinations in random order, each with every query of the benchmark.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::assemble::{self, Cells, Draft};
use super::bench::{Ended, ended_result, fill_tables, hold_tables, table_rows, with_table};
use super::gate::Gate;
use super::gpus::Gpus;
use super::inspect::{CONTROL, check_queries_apart, connect_and_inspect};
use super::outputs::Outputs;
use super::prepare::{await_gpu, query_start};
use super::ticker::Ticker;
use super::{JobOptions, PrepareError, Shutdown, Target};
use crate::bench::{ArmSamples, Bencher};
use crate::dataset::Filled;
use crate::pg;
use crate::pg::embedded::Server;
use crate::pg::owner::RunId;
use crate::plan::bench::Bench;
use crate::plan::sweep::Sweep;
use crate::plan::{GpuChoice, Plan, Query, SweepJob};
use crate::quantity::format_duration;
use crate::query::examine::Findings;
use crate::query::{ArmedQuery, Connection, NO_SAMPLE};
use crate::result::{self, JobResult};
use crate::sink::{Left, QueryStart};
use crate::stats;
use crate::strom::evidence::Verdict;
use crate::strom::settings::Applying;
use crate::strom::{self, Arm, ArmSetting, Gpu, StromError};
use crate::sweep::{
    self, Applier, Checked, Order, Rights, SweepError, SweepProgress, Swept, Value,
};

/// After a reload PG-Strom's GPU service goes on for some seconds before it starts anew.
const GPU_SERVICE_DELAY: Duration = Duration::from_secs(5);
/// After those, until it must answer again.
const GPU_SERVICE_MAX: Duration = Duration::from_secs(45);
/// After those, until a query that is still on the CPU is taken to belong there.
const GPU_PLAN_MAX: Duration = Duration::from_secs(5);
/// How long a query may take meanwhile.
const GPU_PROBE_MAX: Duration = Duration::from_secs(30);

/// Puts back what a sweep that died has left behind, and finds out whether the server takes this
/// one. Before tables are filled: a wrong name must not cost minutes.
///
/// # Errors
/// When it does not, with everything that is wrong.
async fn check(
    target: &Target,
    sweep: &Sweep,
    alter_system: bool,
) -> Result<Checked, PrepareError> {
    // What has to be put back is recorded with the session that changed it.
    let mut session = pg::Session::own_backend(&target.address, "strom-load control").await?;
    sweep::restore_leftovers(&mut session, &target.address).await?;
    session.close().await;
    let rights = Rights { embedded: target.embedded, alter_system };
    // A sweep begins with what the server has, also of PG-Strom's switch.
    let mut session = pg::Session::as_configured(&target.address, "strom-load control").await?;
    let checked = sweep::check(&mut session, sweep, rights).await?;
    session.close().await;
    sweep::try_hidden(&target.address, &checked).await?;
    for skipped in &checked.skipped {
        tracing::warn!("`{}` is left out of the sweep: {}", skipped.name, skipped.why);
    }
    Ok(checked)
}

/// How long a query may take to be timed before the sweep.
const TIMING_MAX: Duration = Duration::from_secs(10);
/// Executions after a reload or a restart at most, before one is measured.
const WARMING_MAX: usize = 5;
/// Two executions within this factor of each other are both warm. A cold one was two to six times
/// longer on an H100, where a reload releases the memory pool of the GPU service.
const WARM_WITHIN: f64 = 1.1;

/// What a restart or a reload takes, roughly.
const CHANGE: Duration = Duration::from_secs(2);

/// Runs a sweep against a server whose tables are ready, and puts the server back as it was.
///
/// # Errors
/// When it cannot begin. Once it has begun there is an outcome, whatever happens.
pub(super) async fn run(
    plan: &Plan<SweepJob>,
    target: &Target,
    options: JobOptions<'_>,
    mut outputs: Outputs,
    outer: &Shutdown,
) -> Result<JobResult, PrepareError> {
    let (SweepJob { bench, sweep }, seed) = (&plan.job, plan.common.seed);
    let shutdown = &outer.with_inner_stop();
    // Before tables are filled: what the server does not take must not cost minutes.
    let checked = check(target, sweep, options.allow_alter_system).await?;
    let Filled { tables, capabilities } = fill_tables(plan, target, &mut outputs, shutdown).await?;
    let (mut control, mut server_report) =
        shutdown.unless_stopped(connect_and_inspect(target, CONTROL)).await??;
    server_report.capabilities = capabilities;
    let run_id = RunId::draw(&mut control).await?;
    let loaded = server_report.pg_strom_loaded;
    let armed_queries = armed_queries(bench, &checked, loaded)?;
    // It sets what a superuser may, so its queries run as one.
    check_queries_apart(&mut control, &armed_queries, None).await?;
    let reservations = hold_tables(&mut control, &plan.common.tables).await?;
    shutdown.unless_stopped(await_gpu(&target.address, armed_queries.iter())).await??;
    let mut gpus = Gpus::open(plan.common.watch);
    gpus.ready().await;
    let connection = Connection {
        address: target.address.clone(),
        role: None,
        application_name: "strom-load sweep".to_owned(),
        statement_timeout: bench.statement_timeout,
        writes: bench.writes,
        reservations,
    };
    let Shutdown { stop, abort, .. } = shutdown;
    let (stop, abort) = (stop.clone(), abort.clone());
    let bencher = Bencher::new(connection, Arc::clone(&armed_queries), bench, seed, stop, abort);
    let run = assemble::sweep_begun(&checked, sweep, &armed_queries);
    let run = result::sweep::SweepRun { tables, sweep: run };
    let mut draft = Draft::begin(plan, &run_id, server_report, run);
    let queries: Vec<QueryStart> = armed_queries.iter().map(query_start).collect();
    let gate = (Gate::new(&plan.common.thresholds), shutdown.stop.clone());
    let mut ticker = Ticker::open(&mut outputs, &draft, &queries, gpus, gate)?;
    ticker.step(&armed_queries);
    let rows =
        table_rows(&draft.run.tables, bench.steps[0].table.as_ref().or(bench.table.as_ref()));
    let bencher = bencher.noting(ticker.began(), rows);
    ticker.listen(&bencher.recorders());
    let rounds = sweep.rounds as usize;
    announce(&bencher, &checked, &armed_queries, rounds).await;
    let applier = Applier::begin(&target.address, &checked).await?;
    let mut sweeping = Sweeping {
        reference: reference(&checked, loaded)?,
        order: Order::new(groups(&checked), seed),
        cells: Cells::new(armed_queries.len(), checked.combinations.len(), rounds),
        rounds,
        left_out: vec![vec![false; checked.combinations.len()]; armed_queries.len()],
        done: 0,
        began: Instant::now(),
        waits_for_gpu: armed_queries
            .iter()
            .flat_map(|armed_query| &armed_query.arms)
            .any(|arm| arm.gpu == Gpu::On),
        in_force: None,
        checked,
        armed_queries,
        bencher,
        applier,
        server: options.server,
        shutdown,
    };
    let ended = sweeping.rounds(&mut draft, &mut ticker).await;
    let undone = sweeping.put_back().await;
    sweeping.note(&mut draft);
    ticker.stop().await;
    sweeping.bencher.close().await;
    // It held the tables while no query was running; a restart has ended it.
    control.close().await;
    let ended = match (ended, undone) {
        (ended, Ok(())) => ended,
        (ended, Err(error)) => {
            tracing::error!(
                "the server's configuration was not put back, and will be at the next start: \
                 {error}"
            );
            draft.run.sweep.not_restored = Some(error.to_string());
            ended.and(Err(Ended::NotRestored(error)))
        }
    };
    let result = ended_result(&draft, &ticker, ended, outer);
    Ok(outputs.finish(result))
}

/// A sweep under way.
struct Sweeping<'a> {
    /// Whose answers are the right ones.
    reference: Arm,
    checked: Checked,
    armed_queries: Arc<[ArmedQuery]>,
    bencher: Bencher,
    order: Order,
    cells: Cells,
    applier: Option<Applier>,
    server: Option<&'a mut Server>,
    shutdown: &'a Shutdown,
    rounds: usize,
    /// By query and combination: whether it is shown to be slower than another, and measured no more.
    left_out: Vec<Vec<bool>>,
    /// Executions so far.
    done: usize,
    began: Instant,
    waits_for_gpu: bool,
    /// Whose restart and reload settings are in force.
    in_force: Option<usize>,
}

impl Sweeping<'_> {
    async fn rounds(
        &mut self,
        draft: &mut Draft<result::sweep::SweepRun>,
        ticker: &mut Ticker<'_>,
    ) -> Result<(), Ended> {
        // Round 0 warms each combination and takes its plans.
        for round in 0..=self.rounds {
            for combination in self.order.next_round() {
                // Nothing is made to hold for whom it is measured no more.
                if self.left_out.iter().all(|query| query[combination]) {
                    continue;
                }
                self.combination(round, combination, ticker).await?;
                if self.is_over() {
                    return Ok(());
                }
            }
            self.cells.end_round(round);
            for query in 0..self.armed_queries.len() {
                for combination in 0..self.checked.combinations.len() {
                    let timed = self.bencher.timed_beside(query, combination);
                    self.cells.note_timed(query, combination, timed);
                }
            }
            self.note(draft);
            ticker.checkpoint(&draft.so_far(ticker.gpus()));
            if self.is_over() || self.leave_out(&draft.run.sweep) {
                break;
            }
        }
        Ok(())
    }

    /// Leaves out what is shown to be slower than another; says whether each query has its answer.
    fn leave_out(&mut self, sweep: &result::sweep::SweepReport) -> bool {
        if sweep.rounds < stats::ROUNDS_MIN {
            return false;
        }
        for (left_out, query) in self.left_out.iter_mut().zip(&sweep.queries) {
            for (left_out, cell) in left_out.iter_mut().zip(&query.combinations) {
                *left_out = !cell.may_be_best;
            }
        }
        let decided = |query: &Vec<bool>| query.iter().filter(|left_out| !**left_out).count() <= 1;
        self.left_out.iter().all(decided)
    }

    fn is_over(&self) -> bool {
        self.shutdown.stop.is_cancelled() || self.shutdown.abort.is_cancelled()
    }

    fn note(&self, draft: &mut Draft<result::sweep::SweepRun>) {
        let findings = self.bencher.findings();
        assemble::note_sweep(&mut draft.run.sweep, &self.cells, findings);
    }

    async fn combination(
        &mut self,
        round: usize,
        combination: usize,
        ticker: &mut Ticker<'_>,
    ) -> Result<(), Ended> {
        let anew = ticker.during("", None, self.apply(combination)).await?;
        if self.is_over() {
            return Ok(());
        }
        let queries = self.armed_queries.len();
        for query in self.order.shuffled(queries) {
            // What is compared: all combinations of a query in a round.
            let block = (round * queries + query) as u64;
            if self.left_out[query][combination] {
                continue;
            }
            if anew && round > 0 {
                self.warm(query, combination, block, ticker).await?;
            }
            let is_over = self.is_over();
            let samples = self.cells.samples(query, combination);
            if !samples.given_up && !is_over {
                let (of, values) = ((query, combination), round as u64);
                let work = self.bencher.once(of, values, samples, round > 0, block);
                let work = Box::pin(work);
                let took = ticker.during("", None, work).await?;
                self.cells.note(query, combination, round, took);
            }
            if round == 0 && !self.is_over() {
                ticker.during("", None, self.bencher.look(query, combination)).await;
                let work = Box::pin(self.answers(query, combination));
                ticker.during("", None, work).await;
            }
            self.done += 1;
            let planned = (self.rounds + 1) * self.checked.combinations.len() * queries;
            let progress = SweepProgress {
                rounds: round.saturating_sub(1),
                rounds_planned: self.rounds,
                done: self.done,
                planned,
                elapsed: self.began.elapsed(),
            };
            let steps = Some((self.done as u64, planned as u64));
            ticker.doing(&doing(&progress), Left { steps, time: progress.left() });
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Runs a query until it takes as long as the time before: what a reload or a restart made cold
    /// is not what is compared.
    async fn warm(
        &mut self,
        query: usize,
        combination: usize,
        block: u64,
        ticker: &mut Ticker<'_>,
    ) -> Result<(), Ended> {
        let mut warming = ArmSamples::default();
        let mut before = None;
        for _ in 0..WARMING_MAX {
            let of = (query, combination);
            let work = Box::pin(self.bencher.once(of, NO_SAMPLE, &mut warming, false, block));
            let took = ticker.during("", None, work).await?;
            let alike = took.zip(before).is_some_and(|(took, before)| is_alike(took, before));
            if alike || took.is_none() || self.is_over() {
                break;
            }
            before = took;
        }
        Ok(())
    }

    /// Compares the answer in a combination with the reference's, unless they are the same arm.
    async fn answers(&mut self, query: usize, combination: usize) {
        if !self.is_over() {
            // Boxed: once for each query, and large.
            Box::pin(self.bencher.time_reference(query, &self.reference)).await;
        }
        let arm = &self.armed_queries[query].arms[combination];
        let is_reference = arm.gpu == self.reference.gpu && arm.set == self.reference.set;
        if is_reference || self.cells.samples(query, combination).given_up || self.is_over() {
            return;
        }
        let compared = self.bencher.answers_beside(query, combination, &self.reference).await;
        self.cells.note_answers(query, combination, compared);
    }

    /// Makes the restart and reload settings of a combination hold; whether that changed anything.
    async fn apply(&mut self, combination: usize) -> Result<bool, Ended> {
        let Self { checked, in_force, .. } = self;
        let wanted = checked.values(&checked.combinations[combination]);
        let before = in_force.map(|before| checked.values(&checked.combinations[before]));
        let differs = |applying: Applying| {
            let of = |values: &[(&Swept, Option<&Value>)]| -> Vec<Option<Value>> {
                let own = values.iter().filter(|(swept, _)| swept.applied_by == applying);
                own.map(|(_, value)| value.cloned()).collect()
            };
            let wanted = of(&wanted);
            // At the start the server is as it was: only what differs from that is a change.
            match &before {
                Some(before) => of(before) != wanted,
                None => wanted.iter().any(Option::is_some),
            }
        };
        let (restart, reload) = (differs(Applying::Restart), differs(Applying::Reload));
        if restart && let Some(server) = &mut self.server {
            self.bencher.disconnect().await;
            let own = wanted.iter().filter(|(swept, _)| swept.applied_by == Applying::Restart);
            let over: Vec<_> = own
                .filter_map(|(swept, value)| Some((swept.name.clone(), (*value)?.written.clone())))
                .collect();
            server.restart_with(&over).await.map_err(SweepError::from)?;
            self.cells.restarts += 1;
            if let Some(applier) = &mut self.applier {
                applier.reconnect().await?;
            }
        }
        if reload && let Some(applier) = &mut self.applier {
            let own = wanted.iter().filter(|(swept, _)| swept.applied_by == Applying::Reload);
            applier.apply(&own.copied().collect::<Vec<_>>()).await?;
            self.cells.reloads += 1;
            self.bencher.disconnect().await;
        }
        self.in_force = Some(combination);
        if (restart || reload) && self.waits_for_gpu {
            self.wait_for_gpu(combination).await?;
        }
        Ok(restart || reload)
    }

    /// Until the GPU service has started anew: a query is on the GPU again and is answered.
    ///
    /// While the service is not there the planner takes the CPU, so an answer alone proves nothing.
    async fn wait_for_gpu(&mut self, combination: usize) -> Result<(), Ended> {
        let stop = self.shutdown.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(GPU_SERVICE_DELAY) => {}
            () = stop.cancelled() => return Ok(()),
        }
        let proved =
            |findings: &Findings| Some(findings.plans.get(combination)?.evidence.as_ref()?.verdict);
        let findings = self.bencher.findings();
        let was_on_gpu = findings.iter().position(|query| proved(query) == Some(Verdict::Gpu));
        if was_on_gpu.is_none() && findings.iter().any(|query| proved(query).is_some()) {
            // These settings keep every query on the CPU.
            return Ok(());
        }
        let began = Instant::now();
        while !self.is_over() {
            let probed = self.bencher.probe(was_on_gpu.unwrap_or(0), combination, GPU_PROBE_MAX);
            let probed = Box::pin(probed);
            let waited = began.elapsed();
            match probed.await {
                Ok(Verdict::Gpu) => break,
                Ok(_) if waited > GPU_PLAN_MAX => break,
                Err(StromError::Server(error)) if waited > GPU_SERVICE_MAX && hangs(&error) => {
                    return Err(SweepError::GpuService { waited: began.elapsed(), error }.into());
                }
                // A query that fails for a reason of its own is part of the result.
                Err(_) if waited > GPU_SERVICE_MAX => break,
                _ => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
        Ok(())
    }

    /// The server as it was, whatever came of the sweep.
    async fn put_back(&mut self) -> Result<(), SweepError> {
        self.bencher.disconnect().await;
        let mut restarted = Ok(());
        if self.cells.restarts > 0
            && let Some(server) = &mut self.server
        {
            // Also one that did not come up with the last values.
            restarted = match server.resume().await {
                Ok(()) => server.restart_with(&[]).await,
                Err(_) => server.start_without_changes().await,
            };
            if let (Ok(()), Some(applier)) = (&restarted, &mut self.applier) {
                applier.reconnect().await?;
            }
        }
        if let Some(applier) = self.applier.take() {
            applier.end().await?;
        }
        Ok(restarted?)
    }
}

/// Whether two executions, in nanoseconds, took as long: neither was cold.
fn is_alike(one: u64, other: u64) -> bool {
    one.max(other) as f64 <= WARM_WITHIN * one.min(other) as f64
}

/// Whether a query was not answered, rather than refused.
fn hangs(error: &pg::Error) -> bool {
    error.is_lost() || error.sqlstate() == Some(pg::QUERY_CANCELED)
}

/// The GPU off, and everything that a session can set as the server has it.
fn reference(checked: &Checked, loaded: bool) -> Result<Arm, PrepareError> {
    let base = strom::arms(GpuChoice::Off, &[], loaded)?.swap_remove(0);
    let own = checked.settings.iter().filter(|swept| swept.applied_by == Applying::Set);
    let set = own.map(|swept| ArmSetting { name: swept.name.clone(), value: None });
    let set = base.set.iter().cloned().chain(set).collect();
    Ok(Arm { name: "reference".to_owned(), gpu: base.gpu, set })
}

/// Each query with a combination as an arm.
fn armed_queries(
    bench: &Bench,
    checked: &Checked,
    loaded: bool,
) -> Result<Arc<[ArmedQuery]>, PrepareError> {
    let armed_query = |query: &Query| {
        // One arm: the combinations are what is compared.
        let choice = match query.gpu.unwrap_or(bench.gpu) {
            GpuChoice::Auto | GpuChoice::Alternate if loaded => GpuChoice::On,
            GpuChoice::Alternate => GpuChoice::Auto,
            choice => choice,
        };
        let fill = |sql: &str| with_table(sql, bench, &bench.steps[0]);
        let armed_query = ArmedQuery::new(query, fill, choice, &[], loaded)?;
        let base = &armed_query.arms[0];
        let arm = |(number, combination): (usize, &Vec<Option<usize>>)| {
            let values = checked.values(combination);
            let own = values.iter().filter(|(swept, _)| swept.applied_by == Applying::Set);
            let set = own.map(|(swept, value)| ArmSetting {
                name: swept.name.clone(),
                value: value.map(|value| value.written.clone()),
            });
            let set = base.set.iter().cloned().chain(set).collect();
            Arm { name: format!("combination {number}"), gpu: base.gpu, set }
        };
        let arms = (1..).zip(&checked.combinations).map(arm).collect();
        Ok(ArmedQuery { arms, ..armed_query })
    };
    bench.queries.iter().map(armed_query).collect()
}

/// Of each combination, a number for what it has restarted, and one for what it has reloaded.
fn groups(checked: &Checked) -> Vec<(usize, usize)> {
    let mut seen: [Vec<Vec<Option<usize>>>; 2] = [Vec::new(), Vec::new()];
    let mut number = |at: usize, combination: &[Option<usize>], applying: Applying| {
        let own = checked.settings.iter().zip(combination);
        let own = own.filter(|(swept, _)| swept.applied_by == applying);
        let own: Vec<Option<usize>> = own.map(|(_, value)| *value).collect();
        let seen = &mut seen[at];
        seen.iter().position(|group| *group == own).unwrap_or_else(|| {
            seen.push(own);
            seen.len() - 1
        })
    };
    let group = |combination: &Vec<Option<usize>>| {
        let restart = number(0, combination, Applying::Restart);
        (restart, number(1, combination, Applying::Reload))
    };
    checked.combinations.iter().map(group).collect()
}

/// Says what the sweep will do and how long that takes, by one execution of each query.
async fn announce(
    bencher: &Bencher,
    checked: &Checked,
    armed_queries: &[ArmedQuery],
    rounds: usize,
) {
    let combinations = checked.combinations.len();
    let executions = combinations * armed_queries.len() * (rounds + 1);
    let (mut once, mut at_least) = (Duration::ZERO, "");
    for query in 0..armed_queries.len() {
        let began = Instant::now();
        if let Err(error) = bencher.probe(query, 0, TIMING_MAX).await {
            tracing::debug!("a query was not timed: {error}");
            at_least = "at least ";
        }
        once += began.elapsed().min(TIMING_MAX);
    }
    // One round warms, and answers are compared in it; what is made to hold anew makes cold.
    let groups = groups(checked);
    let changes = |of: fn(&(usize, usize)) -> usize| {
        let different = groups.iter().map(of).max().unwrap_or(0);
        if different > 0 { (different + 1) * (rounds + 1) } else { 0 }
    };
    let (restarts, reloads) = (changes(|group| group.0), changes(|group| group.1));
    let plain = once * u32::try_from(combinations * (rounds + 2)).unwrap_or(u32::MAX);
    let anew = u32::try_from(restarts + reloads).unwrap_or(u32::MAX);
    let took = plain + (once + CHANGE) * anew;
    let took = format_duration(Duration::from_secs(took.as_secs().max(1)));
    let changed = match (restarts, reloads) {
        (0, 0) => String::new(),
        (restarts, reloads) => {
            format!(", up to {restarts} restarts and {reloads} reloads of the server")
        }
    };
    let queries = match armed_queries.len() {
        1 => "one query".to_owned(),
        queries => format!("{queries} queries"),
    };
    tracing::info!(
        "the sweep: {combinations} combinations of settings, {queries}, at most {rounds} rounds and \
         one to warm: up to {executions} executions{changed}, {at_least}about {took} if no \
         combination is left out before"
    );
}

/// How far a sweep is, in a line.
fn doing(progress: &SweepProgress) -> String {
    let SweepProgress { rounds, rounds_planned, done, planned, .. } = *progress;
    let left = progress.left().map(|left| Duration::from_secs(left.as_secs()));
    let left = left.map_or_else(String::new, |left| format!(", {} left", format_duration(left)));
    format!("{rounds} of {rounds_planned} rounds, {done} of {planned} executions{left}")
}
