//! The clock runs: tasks are started, drained each tick, stopped and awaited.

mod proof;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::assemble::{self, Findings, LaneTotals, RowsFound, Timeline, unix_us};
use crate::freshness::Trail;
use crate::ingest::audit::first_row;
use crate::ingest::{Connection, ProduceError, Producer};
use crate::pace::{Backoff, Course, Pacer, Schedule, Stop, Timer, Watchdog};
use crate::pg;
use crate::pg::table::{StreamLane, StreamTable};
use crate::plan::{Plan, StreamJob};
use crate::query::ReadError;
use crate::query::examine::Examiner;
use crate::record::{
    Attribution, Interval, LaneInterval, Phase, Recorder, StreamTally, Tally, UsualService,
};
use crate::result::server::ServerReport;
use crate::result::stream::overrun_max_s;
use crate::result::{JobResult, Status};
use crate::row::{self, BatchEncoder};
use crate::sink::{QueryStart, Start, StreamStart};

use super::clocks::Clocks;
use super::gate::Gate;
use super::gpus::Gpus;
use super::keeper::Keeper;
use super::outputs::Outputs;
use super::prepare::{Prepared, query_start};
use super::readers::Readers;
use super::self_watch::SelfWatch;
use super::threads::Threads;
use super::work::Work;
use super::{CHECKPOINT, PrepareError, RunError, Shutdown, TICK};

/// Between the last preparation and the first due time, so that every task is waiting by then
/// and the first result is saved.
const LEAD: Duration = Duration::from_millis(100);
/// A batch still in hand this long after the drain should have ended is cancelled.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
/// A batch sent no later than this after the end of the schedule was not overdue: the last ones are due
/// at the end itself, and a timer on a busy machine takes some milliseconds.
const SENT_LATE: Duration = Duration::from_millis(20);
/// A query still in hand this long after the end is cut off, if the drain does not end before:
/// unlike a row, an answer that nobody waits for any more is no use.
const READERS_GRACE: Duration = Duration::from_secs(5);

/// A run, from its start to its report.
pub(super) struct Run<'a> {
    plan: &'a Plan<StreamJob>,
    address: pg::Address,
    server: ServerReport,
    pub(super) table: StreamTable,
    /// Time zero of all schedules, on both clocks.
    start: Instant,
    started_at: SystemTime,
    /// When rows are due; `None` when unthrottled.
    course: Option<Course>,
    stop: Arc<Stop>,
    abort: CancellationToken,
    /// Ends readers and examiner in the middle of a query; so does `abort`.
    cut_off: CancellationToken,
    status: Status,
    pub(super) error: Option<RunError>,
    lanes: Vec<Lane>,
    /// What producers that are done have left: sessions that hold the reservation.
    done: Vec<pg::Session>,
    readers: Readers,
    /// Looks at plans and answers; away while its task runs.
    examiner: Option<Examiner>,
    gpus: Gpus,
    clocks: Clocks,
    timeline: Timeline,
    gate: Gate,
    last_tick: Instant,
    own: SelfWatch,
    pub(super) work: Work,
}

/// One lane as seen from here.
struct Lane {
    /// `None` when unthrottled.
    schedule: Option<Schedule>,
    recorder: Recorder<StreamTally>,
    totals: LaneTotals,
}

enum Ended {
    Producer(row::Lane, Option<ProduceError>, Option<Box<pg::Session>>),
    Reader(u32, Result<(), ReadError>),
    Examiner(Box<Examiner>),
}

async fn produce(producer: Producer) -> Ended {
    let lane = producer.ids.lane;
    let (error, session) = producer.run().await;
    Ended::Producer(lane, error, session.map(Box::new))
}

impl<'a> Run<'a> {
    /// Runs what was prepared to its end. The keeper returned holds the reservation.
    pub(super) async fn measure(
        plan: &'a Plan<StreamJob>,
        prepared: Prepared,
        (ingest, examine): (&Threads, &Threads),
        outputs: &mut Outputs,
        shutdown: &Shutdown,
    ) -> Result<(Self, Keeper), PrepareError> {
        let (ingest, rows_before) = (ingest.handle(), prepared.table.rows_before);
        let Prepared { address, mut server, table, control, loaders, .. } = prepared;
        let (readers, timeouts) = (prepared.readers, prepared.timeouts);
        let start = Instant::now() + LEAD;
        let started_at = SystemTime::now() + LEAD;
        if let Some(StreamLane { ids, .. }) = table.lanes.first() {
            let (stream, seed) = (&plan.job.stream, plan.common.seed);
            server.identity.first_row = first_row(stream, seed, ids, unix_us(started_at))?;
        }
        let end = plan.job.duration.map(|duration| start + plan.job.warmup + duration);
        let abort = CancellationToken::new();
        let mut run = Self {
            plan,
            address: address.clone(),
            server,
            table,
            start,
            started_at,
            course: plan.job.stream.course(plan.common.seed),
            stop: Arc::new(Stop::at(end)),
            cut_off: abort.child_token(),
            abort,
            status: Status::Running,
            error: None,
            lanes: Vec::new(),
            done: Vec::new(),
            readers: Readers::new(
                plan,
                start,
                rows_before,
                (prepared.armed_queries, timeouts),
                prepared.readers_report,
            ),
            examiner: None,
            gpus: prepared.gpus,
            clocks: Clocks::new(start),
            timeline: Timeline::default(),
            gate: Gate::new(&plan.common.thresholds),
            last_tick: start,
            own: SelfWatch::begin(ingest, examine.handle(), prepared.processes),
            work: prepared.work,
        };
        let mut producers = Vec::new();
        for ((lane, loader), trail) in
            run.table.lanes.clone().into_iter().zip(loaders).zip(prepared.trails.iter())
        {
            let _timers_belong_there = ingest.enter();
            producers.push(run.producer(lane, (loader, trail), &address)?);
        }
        let mut reading = Vec::new();
        let begin = (start, unix_us(started_at));
        for (number, armed) in (0..).zip(readers) {
            let control = (&run.stop, &run.cut_off);
            let beats = run.own.readers();
            let reader = run.readers.reader(plan, number, armed, begin, beats, control)?;
            reading.push(reader);
        }
        let examiner = run.readers.examiner(plan, &prepared.asking, start);
        let queries: Vec<QueryStart> =
            run.readers.armed_queries().iter().map(query_start).collect();
        let lanes: Vec<row::Lane> = run.lanes.iter().map(|lane| lane.totals.ids.lane).collect();
        let stream = StreamStart {
            lanes: &lanes,
            target_rows_per_s: run.target_per_s(Duration::ZERO, TICK),
            queries_are_due: plan.job.readers.queries_per_s.is_some(),
            drain_timeout: plan.job.drain_timeout,
        };
        let run_id = run.table.run.to_string();
        let begin = Start {
            profile: &plan.common.name,
            run_id: &run_id,
            server: &run.server.facts,
            started_at: run.started_at,
            planned: plan.job.duration.map(|duration| plan.job.warmup + duration),
            stream: Some(stream),
            queries: &queries,
            gpus: run.gpus.found(),
        };
        outputs.begin(&begin, &run.report(RowsFound::default()))?;
        let held = (run.table.reservation.clone(), plan.job.recovery.lease);
        let keeper = Keeper::of(control, address, held, run.watched());
        let mut tasks = JoinSet::new();
        for producer in producers {
            tasks.spawn_on(produce(producer), ingest);
        }
        for (number, reader) in (0..).zip(reading) {
            tasks.spawn(async move { Ended::Reader(number, reader.run().await) });
        }
        if let Some(examiner) = examiner {
            let (stop, abort) = (Arc::clone(&run.stop), run.cut_off.clone());
            let ended = async move { Ended::Examiner(Box::new(examiner.run(stop, abort).await)) };
            tasks.spawn_on(ended, examine.handle());
        }
        run.gpus.begin((start + plan.job.warmup).into_std());
        run.drive(&mut tasks, outputs, shutdown).await;
        keeper.take_over(std::mem::take(&mut run.done), run.error.is_none()).await;
        Ok((run, keeper))
    }

    fn producer(
        &mut self,
        StreamLane { ids, target }: StreamLane,
        (loader, trail): (pg::load::Loader, &Trail),
        address: &pg::Address,
    ) -> Result<Producer, PrepareError> {
        let stream = &self.plan.job.stream;
        let encoder = BatchEncoder::of_ids(&stream.columns, self.plan.common.seed, &ids)?
            .in_format(target.copy_format, &stream.columns);
        let schedule = self.course.as_ref().map(|course| stream.schedule(course, &ids.lane));
        let (timer, warmup) = (Timer::precise()?, self.plan.job.warmup);
        let pacer = match schedule.clone() {
            Some(schedule) => Pacer::open(schedule, self.start, warmup, timer),
            None => Pacer::closed(stream.batch_rows.into(), self.start, warmup, timer),
        };
        let pacer = pacer.catching_up_at_most(self.plan.job.recovery.catch_up_factor);
        let recorder = Recorder::default();
        let totals = LaneTotals::new(ids);
        self.lanes.push(Lane { schedule, recorder: recorder.clone(), totals });
        let connection = Connection {
            address: address.clone(),
            application_name: format!("strom-load producer {}", ids.lane.number),
            target,
            positions: self.readers.need_positions(),
        };
        Ok(Producer {
            ids,
            pacer,
            loader: Some(connection.trailing(loader, trail)),
            connection,
            encoder,
            stream: stream.clone(),
            recovery: self.plan.job.recovery.clone(),
            backoff: Backoff::default(),
            watchdog: Watchdog::new(self.plan.job.recovery.answer_max()),
            silence: Watchdog::new(self.plan.job.recovery.silence_max()),
            heartbeat: self.own.producers(),
            attribution: Attribution::default(),
            usual: UsualService::default(),
            start: self.start,
            origin_us: unix_us(self.started_at),
            rows: self.readers.rows(),
            trail: trail.clone(),
            recorder,
            stop: Arc::clone(&self.stop),
            abort: self.abort.clone(),
            drain_timeout: self.plan.job.drain_timeout,
        })
    }

    async fn drive(
        &mut self,
        tasks: &mut JoinSet<Ended>,
        outputs: &mut Outputs,
        shutdown: &Shutdown,
    ) {
        let mut ticks = tokio::time::interval_at(self.start + TICK, TICK);
        // A late tick makes a longer interval; bursts of empty ones would say nothing.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut next_checkpoint = self.start + TICK;
        let (mut stopped, mut aborted, mut schedule_ended) = (false, false, false);
        let mut measures_from = Some(self.start + self.plan.job.warmup);
        loop {
            let end = self.stop.end();
            let drain_end = end.map(|end| end + self.plan.job.drain_timeout + DRAIN_GRACE);
            let readers_end = end.map(|end| end + self.plan.job.drain_timeout.min(READERS_GRACE));
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    Some(ended) => self.ended(ended),
                    None => break,
                },
                () = until(measures_from), if measures_from.is_some() => {
                    measures_from = None;
                    self.own.measurement_begins();
                }
                _ = ticks.tick() => {
                    let interval = self.tick();
                    outputs.interval(&interval);
                    if self.fails_a_threshold(interval.phase) {
                        self.status = Status::Stopped;
                        self.stop.now();
                        self.cut_off.cancel();
                    }
                    if Instant::now() >= next_checkpoint {
                        next_checkpoint = Instant::now() + CHECKPOINT;
                        outputs.checkpoint(&self.report(RowsFound::default()));
                    }
                }
                () = shutdown.stop.cancelled(), if !stopped => {
                    stopped = true;
                    self.status = Status::Interrupted;
                    self.stop.now();
                    self.cut_off.cancel();
                }
                () = shutdown.abort.cancelled(), if !aborted => {
                    aborted = true;
                    self.status = Status::Aborted;
                    self.stop.now();
                    self.abort.cancel();
                }
                () = until(end), if end.is_some() && !schedule_ended => {
                    schedule_ended = true;
                    self.gpus.measurement_ends();
                }
                () = until(readers_end), if !self.cut_off.is_cancelled() => self.cut_off.cancel(),
                () = until(drain_end), if !self.abort.is_cancelled() => self.abort.cancel(),
            }
        }
        self.own.measurement_ends();
        self.readers.tell_failures();
        self.gpus.stop().await;
        let interval = self.tick();
        outputs.interval(&interval);
        if self.error.is_some() && self.status != Status::Aborted {
            self.status = Status::Failed;
        } else if self.status == Status::Running {
            self.status = Status::Done;
        }
    }

    /// Whether a threshold ends the run.
    fn fails_a_threshold(&mut self, phase: Phase) -> bool {
        let measured = Instant::now().saturating_duration_since(self.start + self.plan.job.warmup);
        self.status == Status::Running
            && phase == Phase::Measure
            && self.gate.may_end(measured)
            && {
                let so_far = self.report(RowsFound::default());
                self.gate.ends(&so_far, measured)
            }
    }

    fn ended(&mut self, ended: Result<Ended, JoinError>) {
        match ended {
            Ok(Ended::Producer(lane, produced, session)) => {
                self.done.extend(session.map(|session| *session));
                if let Some(error) = produced {
                    self.fail(RunError::Produce { lane, error });
                }
            }
            Ok(Ended::Reader(_, Ok(()))) => {}
            Ok(Ended::Examiner(examiner)) => self.examiner = Some(*examiner),
            Ok(Ended::Reader(reader, Err(error))) => self.fail(RunError::Read { reader, error }),
            Err(broken) => self.fail(RunError::Task(broken.to_string())),
        }
    }

    /// The first error ends the schedule for all; what is in hand is finished.
    fn fail(&mut self, error: RunError) {
        if let Some(first) = &self.error {
            tracing::debug!("after `{first}`: {error}");
        } else {
            self.error = Some(error);
        }
        self.stop.now();
    }

    fn tick(&mut self) -> Interval {
        let now = Instant::now();
        let end = self.stop.end().map_or(now, |end| end.min(now));
        let due_ns = ns(end.saturating_duration_since(self.start));
        let warmup_ns = ns(self.plan.job.warmup);
        let lanes = self.lanes.iter_mut().map(|lane| {
            let tally = lane.recorder.drain();
            let totals = &mut lane.totals;
            totals.tally.merge(&tally);
            let (due, in_warmup) = match &lane.schedule {
                Some(schedule) => {
                    let due = schedule.rows_before(due_ns);
                    (due, schedule.rows_before(warmup_ns).min(due))
                }
                // Unthrottled, a row is due when it is sent.
                None => {
                    let tally = &totals.tally;
                    (tally.rows_sent, tally.rows_sent - tally.rows_sent_measured)
                }
            };
            let rows_due = due - totals.rows_due;
            totals.rows_due = due;
            totals.rows_due_measured = due - in_warmup;
            let account = &totals.tally.account;
            let lost = account.dropped.rows() + account.undecided.rows();
            let done = totals.tally.rows_acknowledged + lost;
            LaneInterval { rows_due, backlog_rows: due.saturating_sub(done), tally }
        });
        let lanes = lanes.collect();
        let measured = end.saturating_duration_since(self.start + self.plan.job.warmup);
        let (queries, pairs, queries_due) = self.readers.drain(measured);
        let began = self.last_tick.saturating_duration_since(self.start);
        let target = self.target_per_s(began, end.saturating_duration_since(self.start));
        let interval = Interval {
            target_rows_per_s: target,
            start: self.last_tick.saturating_duration_since(self.start),
            length: now.saturating_duration_since(self.last_tick),
            phase: self.phase(now),
            lanes,
            queries,
            pairs,
            queries_due,
            gpus: self.gpus.drain(),
        };
        self.timeline.add(&interval);
        self.own.look();
        self.clocks.look();
        self.last_tick = now;
        interval
    }

    /// Rows per second that are asked for between two moments since the start; `None` if that is no
    /// time, or there is no schedule.
    fn target_per_s(&self, from: Duration, to: Duration) -> Option<f64> {
        let course = self.course.as_ref().filter(|_| from < to)?;
        Some(course.target_per_s(from, to))
    }

    /// The mean target over the schedule from the end of the warm-up on, as far as it has come.
    fn scheduled_per_s(&self) -> Option<f64> {
        let warmup = self.plan.job.warmup;
        let to = self.end().saturating_duration_since(self.start);
        // Before the measurement its target is what will be asked for at first.
        self.target_per_s(warmup, to.max(warmup + TICK))
    }

    /// The end of the schedule, as far as it has come. Producers are done when nothing more falls due, which
    /// may be a while before.
    fn end(&self) -> Instant {
        let (now, end) = (Instant::now(), self.stop.end());
        match self.status {
            Status::Running => end.unwrap_or(now).min(now),
            _ => end.unwrap_or(now),
        }
    }

    fn phase(&self, now: Instant) -> Phase {
        if self.stop.end().is_some_and(|end| now > end + TICK / 2) {
            Phase::Drain
        } else if now <= self.start + self.plan.job.warmup {
            Phase::Warmup
        } else {
            Phase::Measure
        }
    }

    /// The measured part of the schedule so far, and how long after its end the last acknowledgement came.
    ///
    /// A batch that is in flight when the schedule ends makes no rate lower: the first ones were in flight
    /// as long, before any was acknowledged. So only a schedule that was not kept to its end has an
    /// overrun: the last batches were sent late, or answered so late that it comes to the same.
    fn measured(&self) -> (Duration, Duration) {
        let from = self.start + self.plan.job.warmup;
        let end = self.end();
        let scheduled = end.saturating_duration_since(from);
        let last = |of: fn(&StreamTally) -> Option<Instant>| {
            let times = self.lanes.iter().filter_map(|lane| of(&lane.totals.tally));
            times.max().map_or(Duration::ZERO, |last| last.saturating_duration_since(end))
        };
        let (sent, answered) = (last(|of| of.sent_at), last(|of| of.acknowledged_at));
        let kept =
            sent <= SENT_LATE && answered.as_secs_f64() <= overrun_max_s(scheduled.as_secs_f64());
        let is_open = self.lanes.iter().any(|lane| lane.schedule.is_some());
        (scheduled, if kept && is_open { Duration::ZERO } else { answered })
    }

    /// How the run stands.
    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// Notes that a signal cut the run off, or what had to be done at its end.
    pub(super) fn cut_off(&mut self, status: Status) {
        if matches!(self.status, Status::Done | Status::Interrupted | Status::Stopped) {
            self.status = status;
        }
    }

    /// Notes that another run took the table over before the rows were read back: that is why this one fails.
    pub(super) fn was_taken_over(&mut self, error: pg::Error) {
        if let Some(first) = self.error.replace(RunError::TakenOver(error)) {
            tracing::debug!("before the run was taken over: {first}");
        }
        self.cut_off(Status::Failed);
    }

    /// Looks at every plan and answer once more, now that the readers are done; not in a run that
    /// is interrupted, or no further once it is. `told` is what is being done.
    pub(super) async fn examine(
        &mut self,
        threads: &Threads,
        told: impl Fn(String) + Send + Sync + 'static,
        shutdown: &Shutdown,
    ) {
        let Some(mut examiner) = self.examiner.take() else { return };
        let cut_off = CancellationToken::new();
        let is_stopped = self.status == Status::Stopped;
        let ends_now = async {
            tokio::select! {
                () = shutdown.stop.cancelled() => {}
                () = shutdown.abort.cancelled() => {}
                () = std::future::ready(()), if is_stopped => {}
            }
        };
        let finishing = {
            let cut_off = cut_off.clone();
            async move { examiner.finish(&told, &cut_off).await }
        };
        let mut finishing = threads.handle().spawn(finishing);
        let finished = tokio::select! {
            biased;
            () = ends_now => {
                cut_off.cancel();
                match shutdown.abort.is_cancelled() {
                    true => self.cut_off(Status::Aborted),
                    false if is_stopped => {}
                    false => self.cut_off(Status::Interrupted),
                }
                finishing.await
            }
            finished = &mut finishing => finished,
        };
        let why = if is_stopped { "a threshold ended the run" } else { "interrupted" };
        if cut_off.is_cancelled() && self.readers.not_compared(self.plan, why) {
            tracing::warn!("answers were not compared: {why}");
        }
        if let Err(broken) = finished {
            self.fail(RunError::Task(broken.to_string()));
        }
        self.readers.drain(self.measured().0);
    }

    /// The report so far, or at the end with the rows that SQL found.
    pub(super) fn report(&self, found: RowsFound) -> JobResult {
        let (scheduled, overrun) = self.measured();
        let mut result = assemble::stream(&Findings {
            plan: self.plan,
            server: &self.server,
            started_at: self.started_at,
            scheduled,
            overrun,
            took: self.start.elapsed(),
            target_per_s: self.scheduled_per_s(),
            status: self.status,
            error: self.error.as_ref(),
            table: &self.table,
            lanes: &self.lanes.iter().map(|lane| &lane.totals).collect::<Vec<_>>(),
            queries: &self.readers.findings(),
            clock_steps: self.clocks.steps(),
            readers: self.readers.report(),
            queries_due: self.readers.due(),
            rows_found: found.rows,
            audit: found.audit,
            not_checked: found.not_checked,
            own: self.own.findings(),
            work: self.work.since(),
            gpus: self.gpus.found(),
            gpu_totals: self.gpus.totals(),
            timeline: &self.timeline,
        });
        if self.status != Status::Running {
            self.gate.judge(&mut result);
        }
        result
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
