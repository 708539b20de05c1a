//! The ticks of a benchmark or a sweep: what its queries and the GPUs did goes to the outputs each
//! second, while a query runs too.

use std::future::Future;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::assemble::{self, Draft};
use super::gate::Gate;
use super::gpus::Gpus;
use super::outputs::Outputs;
use super::{PrepareError, TICK};
use crate::bench::{Doing, Recorders, Watched};
use crate::quantity::format_duration;
use crate::query::ArmedQuery;
use crate::record::gpu::GpuUsage;
use crate::record::{Interval, PairTally, Phase, QueryTally, ReaderTally, Recorder, Tally};
use crate::result::gpu::GpuReport;
use crate::result::{Body, JobResult};
use crate::sink::{Left, Progress, QueryStart, Start};

/// Between two looks at how far a query is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Feeds the outputs.
pub(super) struct Ticker<'a> {
    outputs: &'a mut Outputs,
    gpus: Gpus,
    gate: Gate,
    /// Ends the job.
    stop: CancellationToken,
    began: Instant,
    last: Instant,
    /// By query and arm.
    queries: Vec<Vec<Recorder<QueryTally>>>,
    /// By query.
    pairs: Vec<Vec<Recorder<PairTally>>>,
    /// Where the queries of the step begin: by query and arm, and by query.
    begin: (usize, usize),
    /// The same of the next step.
    next: (usize, usize),
    /// Queries that are over.
    over: usize,
    /// What each GPU did since it was last asked for.
    gpus_since: Vec<GpuUsage>,
}

impl<'a> Ticker<'a> {
    /// Tells the outputs what is known of a job that begins now, and feeds them from now on. A
    /// threshold that ends it cancels `stop`.
    ///
    /// # Errors
    /// When an output cannot be written.
    pub(super) fn open<B: Clone + Into<Body>>(
        outputs: &'a mut Outputs,
        draft: &Draft<B>,
        queries: &[QueryStart],
        gpus: Gpus,
        (gate, stop): (Gate, CancellationToken),
    ) -> Result<Self, PrepareError> {
        let nothing_yet = draft.so_far(&gpus);
        let start = Start {
            profile: nothing_yet.profile(),
            run_id: nothing_yet.run_id.as_deref().unwrap_or_default(),
            server: &nothing_yet.server.facts,
            started_at: draft.started_at(),
            planned: None,
            stream: None,
            queries,
            gpus: gpus.found(),
        };
        outputs.begin(&start, &nothing_yet)?;
        let now = Instant::now();
        gpus.begin(std::time::Instant::now());
        Ok(Self {
            outputs,
            gpus,
            gate,
            stop,
            began: now,
            last: now,
            queries: vec![Vec::new(); queries.iter().map(|query| query.arms.len()).sum()],
            pairs: vec![Vec::new(); queries.len()],
            begin: (0, 0),
            next: (0, 0),
            over: 0,
            gpus_since: Vec::new(),
        })
    }

    /// The step of these queries begins; its place is behind those of the steps before it.
    pub(super) fn step(&mut self, armed_queries: &[ArmedQuery]) {
        self.begin = self.next;
        self.next.0 +=
            armed_queries.iter().map(|armed_query| armed_query.arms.len()).sum::<usize>();
        self.next.1 += armed_queries.len();
    }

    /// Drains what is tallied of the step's queries from now on.
    pub(super) fn listen(&mut self, recorders: &[Recorders]) {
        for recorders in recorders {
            let own = self.queries.iter_mut().skip(self.begin.0);
            for (mine, recorder) in own.zip(recorders.queries.iter().flatten()) {
                mine.push(recorder.clone());
            }
            let own = self.pairs.iter_mut().skip(self.begin.1);
            for (mine, recorder) in own.zip(&recorders.pairs) {
                mine.push(recorder.clone());
            }
        }
    }

    /// Waits for some work and ticks meanwhile; shows how far the query is that is `watched`.
    pub(super) async fn during<T>(
        &mut self,
        prefix: &str,
        watched: Option<&Watched>,
        work: impl Future<Output = T>,
    ) -> T {
        let mut ticks = tokio::time::interval_at(self.last + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.tick(),
                _ = looks.tick(), if watched.is_some() => {
                    if let Some(watched) = watched {
                        self.look(prefix, watched);
                    }
                }
            }
        }
    }

    fn look(&mut self, prefix: &str, watched: &Watched) {
        let progress = watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(progress) = progress else { return };
        let whole = |time: Duration| format_duration(Duration::from_secs(time.as_secs()));
        let doing = match progress.doing {
            Doing::Warming => "first executions".to_owned(),
            Doing::Examining => "plans and answers".to_owned(),
            Doing::Measuring { .. } => format!("{} done", progress.pairs),
        };
        let left = match progress.doing {
            Doing::Measuring { until: Some(until) } => {
                let left = until.saturating_duration_since(Instant::now());
                format!(", {} more at most", whole(left))
            }
            _ => String::new(),
        };
        let (over, of) = (self.over as u64, self.pairs.len() as u64);
        let number = if of > 1 { format!("query {} of {of}, ", over + 1) } else { String::new() };
        let elapsed = whole(progress.began.elapsed());
        let line = format!("{prefix}{number}{}: {doing}, {elapsed}{left}", progress.query);
        self.doing(&line, Left { steps: Some((over, of)), time: None });
    }

    /// Tells the outputs what happened since the last tick.
    pub(super) fn tick(&mut self) {
        fn drain<T: Tally>(recorders: &[Vec<Recorder<T>>]) -> Vec<T> {
            let all = |recorders: &Vec<Recorder<T>>| {
                let mut tally = T::default();
                recorders.iter().for_each(|recorder| tally.merge(&recorder.drain()));
                tally
            };
            recorders.iter().map(all).collect()
        }
        let now = Instant::now();
        let gpus = self.gpus.drain();
        self.gpus_since.resize_with(gpus.len(), GpuUsage::default);
        for (sum, tally) in self.gpus_since.iter_mut().zip(&gpus) {
            sum.merge(&tally.measured);
        }
        let interval = Interval {
            start: self.last.duration_since(self.began),
            length: now.duration_since(self.last),
            phase: Phase::Measure,
            target_rows_per_s: None,
            lanes: Vec::new(),
            queries: drain(&self.queries),
            pairs: drain(&self.pairs),
            // No schedule says when they are.
            queries_due: ReaderTally::default(),
            gpus,
        };
        self.last = now;
        self.outputs.interval(&interval);
    }

    /// What each GPU did since the last call.
    pub(super) fn take_gpus(&mut self) -> Vec<GpuReport> {
        self.tick();
        let usages = std::mem::take(&mut self.gpus_since);
        let gpus = self.gpus.found().gpus.iter().zip(&usages);
        gpus.map(|(gpu, usage)| assemble::gpu_report(gpu, usage)).collect()
    }

    /// What the times of its intervals count from.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The GPUs that are watched.
    pub(super) fn gpus(&self) -> &Gpus {
        &self.gpus
    }

    /// Tells the outputs what is being done.
    pub(super) fn doing(&mut self, line: &str, left: Left) {
        self.outputs.progress(&Progress::Doing(line, left));
    }

    /// Tells the outputs that a query is over, and what came of it.
    pub(super) fn done(&mut self, line: &str) {
        self.over += 1;
        self.outputs.progress(&Progress::Done(line));
    }

    /// Saves the result so far, and ends the job if a threshold says so.
    pub(super) fn checkpoint(&mut self, result: &JobResult) {
        self.outputs.checkpoint(result);
        let measured = self.began.elapsed();
        if self.gate.may_end(measured) && self.gate.ends(result, measured) {
            self.stop.cancel();
        }
    }

    /// The thresholds.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The last tick: takes the last samples of the GPUs.
    pub(super) async fn stop(&mut self) {
        self.gpus.stop().await;
        self.tick();
    }
}
