//! Everything before the clock starts: facts, table, connections, statements. So that the
//! measurement holds nothing but the work.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;

use crate::freshness::Trails;
use crate::pg;
use crate::pg::capabilities;
use crate::pg::dry_run::{self, DryRun};
use crate::pg::load::Loader;
use crate::pg::table::{self, StreamTable};
use crate::plan::{Audit, Plan, Readers, Stream, StreamJob};
use crate::query::{Armed, ArmedQuery, Connection, Timeouts};
use crate::result::readers::ReadersReport;
use crate::result::server::ServerReport;
use crate::sink::QueryStart;
use crate::strom::{self, Gpu, StromError};
use crate::watch::machine;

use super::assemble::unix_us;
use super::gpus::Gpus;
use super::inspect::{CONTROL, check_queries, check_queries_apart, connect_and_inspect};
use super::reading::{Asking, Reading, of_readers};
use super::self_watch::Processes;
use super::work::Work;
use super::{PrepareError, Target, limits};

/// A run that is ready to start.
pub(super) struct Prepared {
    pub(super) address: pg::Address,
    pub(super) server: ServerReport,
    /// Its processes, as far as they are found on this machine.
    pub(super) processes: Processes,
    pub(super) table: StreamTable,
    /// Holds the table's reservation; must live as long as the run.
    pub(super) control: pg::Session,
    pub(super) loaders: Vec<Loader>,
    pub(super) readers: Vec<Armed>,
    pub(super) readers_report: ReadersReport,
    /// Where they ask.
    pub(super) asking: Asking,
    /// What each lane sends that the readers may not see yet.
    pub(super) trails: Trails,
    /// What the readers and the examiner know of timeouts on the GPU.
    pub(super) timeouts: Arc<Timeouts>,
    pub(super) armed_queries: Arc<[ArmedQuery]>,
    pub(super) gpus: Gpus,
    /// What the server had done before.
    pub(super) work: Work,
}

pub(super) async fn prepare(
    plan: &Plan<StreamJob>,
    target: &Target,
    ingest: &Handle,
) -> Result<Prepared, PrepareError> {
    // First, since the driver may take its time.
    let mut gpus = Gpus::open(plan.common.watch);
    let address = &target.address;
    let (mut control, mut server) = connect_and_inspect(target, CONTROL).await?;
    let located = strom::server::locate(&mut control).await?;
    let mut reading = Reading::find(plan, target, &server).await?;
    let armed_queries = armed_queries(plan, reading.has_strom(&server))?;
    for armed_query in &*armed_queries {
        strom::check_settings(reading.session(&mut control), &armed_query.arms).await?;
    }
    await_gpu(&reading.asking.address, armed_queries.iter()).await?;
    limits::check(&mut control, reading.own_session(), &plan.job).await?;
    let anew = || pg::Session::own_backend(address, CONTROL);
    let (mut control, capabilities) = capabilities::find(control, anew).await?;
    server.capabilities = Some(capabilities.clone());
    if reading.asking.role.is_some() && plan.job.readers.count > 0 {
        let settings = armed_queries.iter().flat_map(ArmedQuery::settings);
        control.make_reader(plan.job.readers.writes, settings).await?;
    }
    let mut producers = Vec::new();
    for lane in plan.job.stream.lanes() {
        let address = address.clone();
        // On the producers' runtime: a socket stays with the runtime that it was opened in.
        let connected = ingest.spawn(async move {
            pg::Session::own(&address, &format!("strom-load producer {}", lane.number)).await
        });
        producers.push(connected.await.map_err(std::io::Error::other)??);
    }
    let (mut readers, timeouts) = (Vec::new(), Arc::<Timeouts>::default());
    for reader in 0..plan.job.readers.count {
        let name = format!("strom-load reader {reader}");
        let connection = connection(plan, &reading.asking, &name);
        let mut armed = Armed::new(connection, Arc::clone(&timeouts)).finding_plans();
        armed.connect().await?;
        readers.push(armed);
    }
    // The table comes last, and is committed only when the queries fit it: a mistake must not
    // cost the user the table that --recreate drops.
    dry_run::check_encoding(&mut control, &plan.job.stream.columns).await?;
    let mut table = table::prepare(&mut control, &plan.job.stream, &capabilities).await?;
    server.identity.table_oid = Some(table.oid);
    let is_counted = plan.job.stream.id_column().is_none() && plan.job.audit != Audit::Off;
    if is_counted && table.rows_counted.is_none() {
        table.rows_counted = Some(table::count_all(&mut control, &plan.job.stream).await?);
    }
    let role = reading.asking.role;
    let has_same_catalog = reading.has_same_catalog();
    match reading.own_session().filter(|_| !has_same_catalog) {
        Some(theirs) => {
            check_queries_apart(theirs, &armed_queries, role).await.map_err(of_readers)?;
        }
        None => check_queries(&mut control, &armed_queries, role).await?,
    }
    try_rows(&mut control, plan, &table).await?;
    table::commit(&mut control, &plan.job.stream, &mut table).await?;
    mention_remote(&plan.job.stream, &table);
    reading.await_table(&mut control, &armed_queries).await?;
    let work = Work::begin(&mut control, server.facts.major, table.oid).await;
    let trails = Trails::of(table.lanes.len());
    let (asking, readers_report) = reading.begin(&mut readers, plan, &table, &trails).await;
    let mut loaders = Vec::new();
    let recovery = &plan.job.recovery;
    control.lease(recovery.lease, None).await?;
    for (mut session, lane) in producers.into_iter().zip(&table.lanes) {
        session.lease(recovery.lease, Some(recovery.statement_max())).await?;
        loaders.push(Loader::prepare(session, &lane.target, None).await?);
    }
    let address = address.clone();
    let processes = match located {
        Some(of) => Processes {
            server: machine::ServerProcesses::Postmaster(of.postmaster_pid),
            backends: loaders.iter().filter_map(Loader::backend).collect(),
        },
        // Their numbers say nothing on another machine.
        None => Processes { server: machine::ServerProcesses::Unknown, backends: Vec::new() },
    };
    gpus.ready().await;
    Ok(Prepared {
        address,
        server,
        processes,
        table,
        control,
        loaders,
        readers,
        readers_report,
        asking,
        trails,
        timeouts,
        armed_queries,
        gpus,
        work,
    })
}

/// Says what becomes of doubts where rows go on to another server.
fn mention_remote(stream: &Stream, table: &StreamTable) {
    if !table.is_remote {
        return;
    }
    let known = match stream.finds_batches() {
        true => "is looked for there by its ids, and the audit reads rows by id order",
        false => "is undecided",
    };
    tracing::info!(
        "rows go on to another server, which commits before this one: a batch whose COMMIT fails {known}"
    );
}

/// Loads the first rows and takes them back; mentions triggers that may stop later ones.
async fn try_rows(
    control: &mut pg::Session,
    plan: &Plan<StreamJob>,
    table: &StreamTable,
) -> Result<(), PrepareError> {
    let lasts = plan.job.duration.map_or(Duration::ZERO, |duration| plan.job.warmup + duration);
    let rows = DryRun {
        seed: plan.common.seed,
        from_us: unix_us(SystemTime::now()),
        lasts,
        compares: plan.job.audit == Audit::Full,
    };
    for trigger in dry_run::try_rows(control, &plan.job.stream, table, &rows).await? {
        tracing::warn!(
            "trigger {trigger} runs before each row is inserted: the first rows passed it, but if it \
             keeps one out the run ends, and one that it changes is altered for the audit"
        );
    }
    Ok(())
}

/// Has the GPU answer before anything is measured on it. A query there may wait for ever.
pub(super) async fn await_gpu<'t>(
    address: &pg::Address,
    armed_queries: impl Iterator<Item = &'t ArmedQuery>,
) -> Result<(), StromError> {
    if armed_queries.flat_map(|armed_query| &armed_query.arms).any(|arm| arm.gpu == Gpu::On) {
        strom::await_gpu_service(address).await?;
    }
    Ok(())
}

/// The plan's queries with the table's name filled in, each with its arms; none without readers.
pub(super) fn armed_queries(
    plan: &Plan<StreamJob>,
    loaded: bool,
) -> Result<Arc<[ArmedQuery]>, StromError> {
    if plan.job.readers.count == 0 {
        return Ok([].into());
    }
    let table = plan.job.stream.table.to_string();
    let Readers { gpu, arms, queries, .. } = &plan.job.readers;
    let fill = |sql: &str| sql.replace("{table}", &table);
    ArmedQuery::of_all(queries.iter(), fill, (*gpu, arms, loaded))
}

/// How readers, and whoever looks at plans and answers beside them, connect.
pub(super) fn connection(
    plan: &Plan<StreamJob>,
    asking: &Asking,
    application_name: &str,
) -> Connection {
    Connection {
        address: asking.address.clone(),
        role: asking.role,
        application_name: application_name.to_owned(),
        statement_timeout: plan.job.readers.statement_timeout,
        writes: plan.job.readers.queries.iter().all(|query| query.writes),
        reservations: Vec::new(),
    }
}

/// What the outputs are told of a query.
pub(super) fn query_start(armed_query: &ArmedQuery) -> QueryStart {
    QueryStart {
        name: armed_query.query.name.clone(),
        arms: armed_query.arms.iter().map(|arm| arm.name.clone()).collect(),
    }
}
