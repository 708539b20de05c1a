//! How much a server's times vary by themselves: each query of a profile in the same arm twice, as a
//! benchmark compares two arms. Nothing is created, and nothing is written.

use std::sync::Arc;
use std::time::Duration;

use crate::bench::{BenchError, Bencher, Measured};
use crate::pg::reservation::Reservation;
use crate::pg::{Address, Session};
use crate::plan::bench::{Bench, Order, Restart, Step};
use crate::plan::{EvidencePlan, Job, Plan, StreamJob};
use crate::query::{ArmedQuery, Connection};
use crate::stats::Pair;
use crate::strom::{self, Arm};

use super::bench::armed_queries;
use super::inspect::{check_queries_apart, connect_and_inspect};
use super::keys::completed_on;
use super::prepare::await_gpu;
use super::{PrepareError, Shutdown, Target};

/// The name of its sessions.
const NAME: &str = "strom-load doctor";
/// More pairs than anybody waits for.
const PAIRS_MAX: u32 = 100_000;
/// What the same arm is called the first and the second time.
const BLIND: [&str; 2] = ["A", "B"];

/// What came of a query that ran in the same arm twice.
#[derive(Debug, Clone)]
pub struct SameArm {
    /// Its name, with its step where there are several.
    pub query: String,
    /// The arm.
    pub arm: String,
    /// Its pairs, in order.
    pub pairs: Vec<Pair>,
    /// What an execution failed of, or that it took longer than it may.
    pub error: Option<String>,
}

/// Runs each query of a plan in pairs of the same arm, the first of its arms, for `time`. `told` is what
/// goes on. A stop ends it after the execution in hand: what is known then is returned.
///
/// # Errors
/// When a table is not there, a query is refused or may write, or the server is lost.
pub async fn noise(
    plan: Plan,
    address: &Address,
    time: Duration,
    shutdown: &Shutdown,
    told: &dyn Fn(&str),
) -> Result<Vec<SameArm>, PrepareError> {
    let target = Target::given(address.clone());
    let seed = plan.common.seed;
    let bench = match plan.job {
        Job::Benchmark(bench) => *bench,
        Job::Sweep(sweep) => sweep.bench,
        Job::Stream(job) => {
            let plan = Plan { common: plan.common, job: *job };
            of_readers(completed_on(&plan, address).await?.into_owned().job)
        }
    };
    let evidence = EvidencePlan { analyze: false, check_answers: false, ..bench.evidence.clone() };
    let (repeats, restart) = (1, Restart::Sessions);
    // It is to last for its time, however exactly the ratio is known.
    let (pairs_max, precision) = (PAIRS_MAX, 0.0);
    let bench = Bench { pairs_max, time, repeats, restart, precision, evidence, ..bench };
    if bench.writes {
        return Err(PrepareError::NoiseWrites);
    }
    let (mut control, server) = connect_and_inspect(&target, NAME).await?;
    let several = bench.steps.len() > 1;
    let mut all = Vec::new();
    for step in &bench.steps {
        if !step.before.is_empty() || step.arrow.is_some() {
            told(&format!(
                "step `{}` is left out: it is made ready by what changes things",
                step.name()
            ));
            continue;
        }
        check_table(&mut control, &bench, step).await?;
        let armed = armed_queries(&bench, step, server.pg_strom_loaded)?;
        let base: Vec<String> = armed.iter().map(|query| query.arms[0].name.clone()).collect();
        let twice = twice(&armed);
        for armed_query in &*twice {
            strom::check_settings(&mut control, &armed_query.arms).await?;
        }
        check_queries_apart(&mut control, &twice, None).await?;
        await_gpu(address, twice.iter()).await?;
        let connection = Connection {
            address: address.clone(),
            role: None,
            application_name: NAME.to_owned(),
            statement_timeout: bench.statement_timeout,
            writes: false,
            reservations: Vec::new(),
        };
        let (stop, abort) = (shutdown.stop.clone(), shutdown.abort.clone());
        let mut bencher = Bencher::new(connection, Arc::clone(&twice), &bench, seed, stop, abort);
        for (query, armed_query) in twice.iter().enumerate() {
            if shutdown.stop.is_cancelled() {
                break;
            }
            let name = match several {
                true => format!("{}/{}", step.name(), armed_query.query.name),
                false => armed_query.query.name.clone(),
            };
            told(&format!("{name}: the same arm twice"));
            let mut measured = Measured::begin(BLIND.len());
            let measuring = Box::pin(bencher.measure(query, &mut measured));
            measuring.await.map_err(|BenchError::Strom(error)| error)?;
            let error = measured.arms.iter().find_map(|arm| arm.error.as_ref());
            all.push(SameArm {
                query: name,
                arm: base[query].clone(),
                pairs: measured.repeats.concat(),
                error: error.map(|error| error.message.clone()),
            });
        }
        bencher.close().await;
    }
    control.close().await;
    Ok(all)
}

/// The queries of a stream's readers, on its table as it is.
fn of_readers(job: StreamJob) -> Bench {
    let readers = job.readers;
    let step = Step {
        name: None,
        table: None,
        arrow: None,
        before: Vec::new(),
        after: Vec::new(),
        queries: (0..readers.queries.len()).collect(),
    };
    Bench {
        table: Some(job.stream.table),
        gpu: readers.gpu,
        arms: readers.arms,
        order: Order::Interleaved,
        pairs_min: 1,
        pairs_max: PAIRS_MAX,
        time: Duration::ZERO,
        repeats: 1,
        restart: Restart::Sessions,
        precision: 0.0,
        statement_timeout: readers.statement_timeout,
        writes: readers.writes,
        evidence: readers.evidence,
        queries: readers.queries,
        steps: vec![step],
    }
}

/// Each query with the first of its arms twice, by names that say nothing.
fn twice(armed_queries: &[ArmedQuery]) -> Arc<[ArmedQuery]> {
    let twice = |armed_query: &ArmedQuery| {
        let arm = |name: &str| Arm { name: name.to_owned(), ..armed_query.arms[0].clone() };
        ArmedQuery { arms: BLIND.map(arm).to_vec(), ..armed_query.clone() }
    };
    armed_queries.iter().map(twice).collect()
}

/// Whether the table is there that a step's queries name as `{table}`.
async fn check_table(
    session: &mut Session,
    bench: &Bench,
    step: &Step,
) -> Result<(), PrepareError> {
    let names_it = |query: &usize| bench.queries[*query].sql.contains("{table}");
    let table = step.table.as_ref().or(bench.table.as_ref());
    let Some(table) = table.filter(|_| step.queries.iter().any(names_it)) else { return Ok(()) };
    match Reservation::find(session, table).await? {
        Some(_) => Ok(()),
        None => Err(PrepareError::NoTable { table: table.as_written() }),
    }
}
