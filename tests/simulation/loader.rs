//! A loader: what a run does from its table on, by the run's own code, and its audit at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::engine::clocks::Clocks;
use crate::engine::keeper::keep;
use crate::freshness::Trails;
use crate::ingest::audit::{Evidence, LaneEvidence, audit, patience};
use crate::ingest::auditor::Audited;
use crate::ingest::{Connection, ProduceError, Producer};
use crate::pace::{Backoff, Heartbeat, Pacer, Schedule, Stop, Timer, Watchdog};
use crate::pg::load::Loader;
use crate::pg::owner::Successor;
use crate::pg::table::{self, StreamLane, StreamTable};
use crate::pg::{self, Address};
use crate::plan::{Plan, StreamJob};
use crate::record::{Account, Attribution, LaneInterval, Recorder, StreamTally, UsualService};
use crate::result::capability::Capabilities;
use crate::result::journal;
use crate::row::{BatchEncoder, CopyFormat, Ids};
use crate::sink::folder::journal::{Journal, Writer};

use super::schedule::LoaderPlan;
use super::world::{Shared, lock};

/// Time zero of all schedules.
pub(crate) const ORIGIN_US: i64 = 1_700_000_000_000_000;
const LEAD: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_secs(1);
/// Between two tries to be admitted.
const AGAIN: Duration = Duration::from_secs(3);
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// What a loader has come to, as seen from outside of it: it may be killed at any moment.
#[derive(Default)]
pub(crate) struct Traces {
    /// Its number.
    pub(crate) number: usize,
    /// Why it was not admitted.
    pub(crate) refused: Option<String>,
    pub(crate) lanes: Vec<Lane>,
    /// When its schedule ended, since its start.
    pub(crate) ended: Option<Duration>,
    pub(crate) errors: Vec<String>,
    pub(crate) is_done: bool,
    pub(crate) audited: Option<Result<Vec<Audited>, String>>,
    /// What its journal must hold by now.
    pub(crate) journaled: Vec<Account>,
    pub(crate) breaches: Vec<String>,
}

/// One lane of it.
pub(crate) struct Lane {
    pub(crate) ids: Ids,
    pub(crate) schedule: Option<Schedule>,
    recorder: Recorder<StreamTally>,
    /// What was taken of the recorder so far.
    pub(crate) account: Account,
    /// The same as the audit is told.
    pub(crate) told: Account,
    pub(crate) acknowledged: u64,
}

impl Lane {
    fn drain(&mut self) -> StreamTally {
        let tally = self.recorder.drain();
        self.account.append(&tally.account);
        self.acknowledged += tally.rows_acknowledged;
        tally
    }
}

impl Traces {
    /// Takes what is left of the recorders.
    pub(crate) fn drain(&mut self) {
        self.lanes.iter_mut().for_each(|lane| drop(lane.drain()));
    }
}

pub(crate) type Seen = Arc<Mutex<Traces>>;

/// What a loader needs to be there.
pub(crate) struct Setting {
    pub(crate) own: LoaderPlan,
    pub(crate) address: Address,
    pub(crate) world: Shared,
    pub(crate) folder: PathBuf,
    pub(crate) traces: Seen,
}

/// Stands still for a while, as a process that is stopped does.
pub(crate) struct Stopped<F> {
    pub(crate) inner: Pin<Box<F>>,
    /// From when to when.
    pub(crate) stands: Option<(Instant, Instant)>,
    pub(crate) sleep: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for Stopped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let now = Instant::now();
        if let Some((from, to)) = self.stands
            && from <= now
            && now < to
        {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(to)));
            let _ = sleep.as_mut().poll(cx);
            return Poll::Pending;
        }
        self.inner.as_mut().poll(cx)
    }
}

/// Loads as its plan says.
#[expect(clippy::too_many_lines, reason = "as a run does one thing behind the other")]
pub(crate) async fn load(setting: Setting) {
    let Setting { own, address, world, folder, traces } = setting;
    let note = |traces: &Seen, error: String| traces.lock().unwrap().errors.push(error);
    let mut tries = own.tries;
    let Prepared { control, table, loaders } = loop {
        tries -= 1;
        match prepare(&own.plan, &address).await {
            Ok(prepared) => break prepared,
            Err(error) if tries == 0 => {
                traces.lock().unwrap().refused = Some(error.to_string());
                return;
            }
            // As whoever starts it again does.
            Err(_) => sleep(AGAIN).await,
        }
    };
    let start = Instant::now() + LEAD;
    let job = &own.plan.job;
    let end = job.duration.map(|duration| start + duration);
    let (stop, abort) = (Arc::new(Stop::at(end)), CancellationToken::new());
    let trails = Trails::of(table.lanes.len());
    let mut pauses = Backoff::keyed(own.pauses);
    let mut producers = Vec::new();
    for ((own_lane, loader), trail) in table.lanes.iter().zip(loaders).zip(trails.iter()) {
        let lane = lane(&own.plan, own_lane);
        let connection = Connection {
            address: address.clone(),
            application_name: format!("strom-load producer {}", lane.ids.lane.number),
            target: own_lane.target.clone(),
            positions: own.pauses.is_multiple_of(4),
        };
        let timer = Timer::Wheel;
        let pacer = match lane.schedule.clone() {
            Some(schedule) => Pacer::open(schedule, start, job.warmup, timer),
            None => Pacer::closed(job.stream.batch_rows.into(), start, job.warmup, timer),
        };
        producers.push(Producer {
            ids: lane.ids,
            pacer: pacer.catching_up_at_most(job.recovery.catch_up_factor),
            loader: Some(connection.trailing(loader, trail)),
            connection,
            encoder: encoder(&own.plan, lane.ids),
            stream: job.stream.clone(),
            recovery: job.recovery.clone(),
            backoff: pauses.anew(),
            watchdog: Watchdog::new(job.recovery.answer_max()),
            silence: Watchdog::new(job.recovery.silence_max()),
            heartbeat: Arc::new(Heartbeat::new(Instant::now())),
            attribution: Attribution::default(),
            usual: UsualService::default(),
            start,
            origin_us: ORIGIN_US,
            rows: Arc::default(),
            trail: trail.clone(),
            recorder: lane.recorder.clone(),
            stop: Arc::clone(&stop),
            abort: abort.clone(),
            drain_timeout: job.drain_timeout,
        });
        traces.lock().unwrap().lanes.push(lane);
    }
    let numbers: Vec<u32> = table.lanes.iter().map(|own| own.ids.lane.number).collect();
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(ORIGIN_US as u64);
    let mut journal = match Journal::create(&folder, at, &numbers) {
        Ok(journal) => journal,
        // The folder is away.
        Err(error) => {
            let mut traces = traces.lock().unwrap();
            (traces.refused, traces.lanes) = (Some(error.to_string()), Vec::new());
            return;
        }
    };
    let mut writer = journal.writer.take().unwrap();
    let over = CancellationToken::new();
    let held = (table.reservation.clone(), job.recovery.lease);
    let watched = (Clocks::new(start), None);
    let keeping = keep(control, address.clone(), held, watched, (over.clone(), Arc::default()));
    let running = async {
        let ended = {
            let all = join_all(producers.into_iter().map(Producer::run));
            let ticks = ticks(&traces, (&journal, &mut writer), start);
            let ends = ends(&own, start, (&stop, &abort), job);
            tokio::select! {
                biased;
                ended = all => ended,
                never = ticks => match never {},
                never = ends => match never {},
            }
        };
        let (produced, sessions): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        for session in sessions.into_iter().flatten() {
            session.close().await;
        }
        {
            let mut traces = traces.lock().unwrap();
            tick(&mut traces, (&journal, &mut writer), start);
            traces.ended = Some(stop.end().unwrap_or(start).saturating_duration_since(start));
            traces.lanes.iter_mut().for_each(|lane| lane.told = lane.account.clone());
            let found = super::verdict::adds_up(&traces);
            traces.breaches.extend(found);
        }
        drop(writer);
        if let Err(error) = journal.finish() {
            note(&traces, format!("journal: {error}"));
        }
        produced
    };
    let lasting = async {
        let produced = running.await;
        let error = produced.into_iter().flatten().next();
        lock(&world).note(|| match &error {
            None => "a loader is through".to_owned(),
            Some(error) => format!("a loader is through: {error}"),
        });
        if let Some(error) = &error {
            note(&traces, error.to_string());
        }
        let now = || {
            let world = lock(&world);
            (world.counts.crashes, world.claims())
        };
        let (crashes, claims) = now();
        let audited = read_back(&own, &address, &table, error.as_ref(), &traces).await;
        let mut traces = traces.lock().unwrap();
        traces.audited = Some(audited);
        traces.is_done = true;
        let world = lock(&world);
        // What the table holds at this moment is what it has to say, unless some of that was lost since, or
        // others came while it stood still behind its last look.
        let is_same = world.keeps_all() || world.counts.crashes == crashes;
        if is_same && world.claims() == claims {
            let found = super::verdict::audited(&traces, &world);
            traces.breaches.extend(found);
        }
        over.cancel();
    };
    tokio::join!(biased; lasting, keeping);
}

/// What is done before the clock starts.
struct Prepared {
    control: pg::Session,
    table: StreamTable,
    loaders: Vec<Loader>,
}

async fn prepare(plan: &Plan<StreamJob>, address: &Address) -> Result<Prepared, pg::Error> {
    let (stream, recovery) = (&plan.job.stream, &plan.job.recovery);
    let mut control = pg::Session::own(address, "strom-load control").await?;
    let mut sessions = Vec::new();
    for lane in stream.lanes() {
        let name = format!("strom-load producer {}", lane.number);
        sessions.push(pg::Session::own(address, &name).await?);
    }
    let mut table = table::prepare(&mut control, stream, &Capabilities::default()).await?;
    table::commit(&mut control, stream, &mut table).await?;
    control.lease(recovery.lease, None).await?;
    let mut loaders = Vec::new();
    for (mut session, lane) in sessions.into_iter().zip(&table.lanes) {
        session.lease(recovery.lease, Some(recovery.statement_max())).await?;
        loaders.push(Loader::prepare(session, &lane.target, None).await?);
    }
    Ok(Prepared { control, table, loaders })
}

fn lane(plan: &Plan<StreamJob>, StreamLane { ids, .. }: &StreamLane) -> Lane {
    let stream = &plan.job.stream;
    let schedule = stream.course(plan.common.seed);
    Lane {
        ids: *ids,
        schedule: schedule.map(|course| stream.schedule(&course, &ids.lane)),
        recorder: Recorder::default(),
        account: Account::default(),
        told: Account::default(),
        acknowledged: 0,
    }
}

fn encoder(plan: &Plan<StreamJob>, ids: Ids) -> BatchEncoder {
    BatchEncoder::of_ids(&plan.job.stream.columns, plan.common.seed, &ids).unwrap()
}

/// Each second what became of the rows is taken, and written down.
async fn ticks(
    traces: &Seen,
    (journal, writer): (&Journal, &mut Writer),
    start: Instant,
) -> std::convert::Infallible {
    let mut at = start + TICK;
    loop {
        sleep_until(at).await;
        at = Instant::now() + TICK;
        tick(&mut traces.lock().unwrap(), (journal, &mut *writer), start);
    }
}

fn tick(traces: &mut Traces, (journal, writer): (&Journal, &mut Writer), start: Instant) {
    let intervals: Vec<LaneInterval> = traces
        .lanes
        .iter_mut()
        .map(|lane| LaneInterval { rows_due: 0, backlog_rows: 0, tally: lane.drain() })
        .collect();
    let at = Instant::now().saturating_duration_since(start);
    let earlier = journal.note(at, &intervals);
    writer.step();
    // Whether this time it was written is known the next time that it is told something.
    let nothing: Vec<LaneInterval> = Vec::new();
    let told = journal.note(at, &nothing);
    drop(earlier);
    if told.is_ok() {
        traces.journaled = traces.lanes.iter().map(|lane| lane.account.clone()).collect();
    }
}

/// Ends the schedule when somebody asks for it, and what is not drained in time.
async fn ends(
    own: &LoaderPlan,
    start: Instant,
    (stop, abort): (&Stop, &CancellationToken),
    job: &StreamJob,
) -> std::convert::Infallible {
    let interrupted = async {
        match own.interrupted {
            Some(at) => sleep(at).await,
            None => std::future::pending().await,
        }
        stop.now();
        std::future::pending::<()>().await;
    };
    let drained = async {
        sleep_until(start).await;
        stop.over().await;
        sleep(job.drain_timeout + DRAIN_GRACE).await;
        abort.cancel();
    };
    tokio::select! {
        biased;
        () = interrupted => {}
        () = drained => {}
    }
    std::future::pending().await
}

/// Reads the rows back, as a run does at its end.
async fn read_back(
    own: &LoaderPlan,
    address: &Address,
    table: &StreamTable,
    error: Option<&ProduceError>,
    traces: &Seen,
) -> Result<Vec<Audited>, String> {
    let job = &own.plan.job;
    let was_taken_over = matches!(error, Some(ProduceError::Server(error)) if error.took_over());
    if was_taken_over {
        let mut session = pg::Session::own(address, "strom-load audit")
            .await
            .map_err(|error| error.to_string())?;
        let ends = table::ends(&mut session, &job.stream, table)
            .await
            .map_err(|error| error.to_string())?;
        session.close().await;
        let mut traces = traces.lock().unwrap();
        for (lane, end) in traces.lanes.iter_mut().zip(ends) {
            if let Some(end) = end {
                lane.told.gives_way(lane.ids.rows_below(end));
            }
        }
    }
    let successor = if was_taken_over { Successor::Perhaps } else { Successor::None };
    let evidence = Evidence {
        copy_format: CopyFormat::Binary,
        stream: &job.stream,
        seed: own.plan.common.seed,
        origin_us: ORIGIN_US,
        complete: true,
        patience: if error.is_some() { Duration::ZERO } else { patience(&job.recovery) },
        backoff: Backoff::keyed(!own.pauses),
        reservation: (!was_taken_over).then(|| table.reservation.clone()),
        lanes: lanes(&traces.lock().unwrap(), successor),
    };
    audit(address, &evidence, &AtomicU64::new(0)).await.map_err(|error| error.to_string())
}

fn lanes(traces: &Traces, successor: Successor) -> Vec<LaneEvidence> {
    let evidence = |lane: &Lane| LaneEvidence {
        ids: lane.ids,
        schedule: lane.schedule.clone(),
        account: lane.told.clone(),
        successor,
    };
    traces.lanes.iter().map(evidence).collect()
}

/// Reads the rows of a loader back that was killed, by what its journal says.
pub(crate) async fn verify(
    own: &LoaderPlan,
    address: &Address,
    traces: &Traces,
    journal: &journal::Journal,
) -> Result<Vec<Audited>, String> {
    let lanes = lanes(traces, Successor::Perhaps).into_iter().map(|lane| {
        let account = journal.accounts.get(&lane.ids.lane.number).cloned().unwrap_or_default();
        LaneEvidence { account, ..lane }
    });
    let evidence = Evidence {
        copy_format: CopyFormat::Binary,
        stream: &own.plan.job.stream,
        seed: own.plan.common.seed,
        origin_us: ORIGIN_US,
        complete: false,
        patience: patience(&own.plan.job.recovery),
        backoff: Backoff::keyed(own.pauses),
        reservation: None,
        lanes: lanes.collect(),
    };
    audit(address, &evidence, &AtomicU64::new(0)).await.map_err(|error| error.to_string())
}

/// Takes a loader's folder away for a while.
pub(crate) async fn folder_is_away(folder: &Path, (at, time): (Duration, Duration)) {
    sleep(at).await;
    let away = folder.with_extension("away");
    if fs::rename(folder, &away).is_ok() {
        sleep(time).await;
        fs::rename(&away, folder).unwrap();
    }
}
