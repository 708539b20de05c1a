//! The loader watches itself: whether its threads ran, what it cost, and who else was on the machine;
//! over the measurement alone.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::pace::{Heartbeat, Pulse};
use crate::watch::machine::{self, Followed, MachineTimes, ServerProcesses};
use crate::watch::process::{self, ProcessCost};

/// The server's processes on this machine.
pub(super) struct Processes {
    /// All of them.
    pub(super) server: machine::ServerProcesses,
    /// The producers' backends among them.
    pub(super) backends: Vec<u32>,
}

/// The beats of the runtimes of a run, and readings at both ends of the measurement.
pub(super) struct SelfWatch {
    producers: Arc<Heartbeat>,
    readers: Arc<Heartbeat>,
    examiner: Arc<Heartbeat>,
    from: Reading,
    /// Once the schedule has ended and what was due is finished.
    to: Option<Reading>,
    server: ServerProcesses,
    /// The backends of the producers, if they are on this machine.
    backends: Followed,
    _beating: DropGuard,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    cost: ProcessCost,
    machine: MachineTimes,
    pulses: [Pulse; 3],
}

/// What the loader cost, and how it fared.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OwnFindings {
    /// What it has cost since the beginning of the measurement, to the end of the drain.
    pub(super) cpu_s: f64,
    /// Over how long, in seconds.
    pub(super) over_s: f64,
    /// CPU time since then, in seconds: comparing answers, reading rows back.
    pub(super) check_cpu_s: f64,
    /// Greatest resident memory so far, in bytes.
    pub(super) resident_peak_bytes: u64,
    /// The beats of the threads of producers, readers and the examiner.
    pub(super) pulses: [Pulse; 3],
    /// What the machine did meanwhile; nothing before the end.
    pub(super) machine: MachineTimes,
    /// How long the producers' backends had to wait for a processor, in seconds.
    pub(super) backends_run_delay_s: Option<f64>,
    /// How long they ran, in seconds, since the start of the schedule; `None` where one was renewed.
    pub(super) backends_cpu_s: Option<f64>,
}

impl SelfWatch {
    /// Begins to beat on the runtimes of producers and examiner, and on this one, the readers'.
    pub(super) fn begin(
        producers: &Handle,
        examiner: &Handle,
        Processes { server, backends }: Processes,
    ) -> Self {
        let now = Instant::now();
        let [of_producers, of_readers, of_examiner] =
            std::array::from_fn(|_| Arc::new(Heartbeat::new(now)));
        let token = CancellationToken::new();
        let handles = [producers, &Handle::current(), examiner];
        for (handle, heartbeat) in
            handles.into_iter().zip([&of_producers, &of_readers, &of_examiner])
        {
            let (heartbeat, token) = (Arc::clone(heartbeat), token.clone());
            handle
                .spawn(async move { token.run_until_cancelled(heartbeat.beat()).await.is_some() });
        }
        let mut own = Self {
            producers: of_producers,
            readers: of_readers,
            examiner: of_examiner,
            from: Reading {
                at: now,
                cost: ProcessCost::default(),
                machine: MachineTimes::default(),
                pulses: [Pulse::default(); 3],
            },
            to: None,
            server,
            backends: Followed::of(&backends),
            _beating: token.drop_guard(),
        };
        own.from = own.read();
        own
    }

    /// The beats of the producers' threads.
    pub(super) fn producers(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.producers)
    }

    /// The beats of the readers' threads.
    pub(super) fn readers(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.readers)
    }

    /// The measurement begins.
    pub(super) fn measurement_begins(&mut self) {
        for heartbeat in [&self.producers, &self.readers, &self.examiner] {
            heartbeat.forget_gaps();
        }
        self.from = self.read();
        self.backends.forget_delays();
    }

    /// Looks at what must be seen while it goes on. Call it each second.
    pub(super) fn look(&mut self) {
        if self.to.is_none() {
            self.backends.look();
        }
    }

    /// The measurement is over, and all that was due is finished.
    pub(super) fn measurement_ends(&mut self) {
        self.look();
        self.to = Some(self.read());
    }

    /// What is known so far.
    pub(super) fn findings(&self) -> OwnFindings {
        let now = process::cost();
        let pulses = self.pulses();
        let (from, to) = (&self.from, self.to.as_ref());
        let cost = to.map_or(now, |to| to.cost);
        OwnFindings {
            cpu_s: (cost.cpu_s - from.cost.cpu_s).max(0.0),
            over_s: to.map_or_else(Instant::now, |to| to.at).duration_since(from.at).as_secs_f64(),
            check_cpu_s: (now.cpu_s - cost.cpu_s).max(0.0),
            resident_peak_bytes: now.resident_peak_bytes,
            pulses: to.map_or(pulses, |to| to.pulses),
            machine: to.map_or_else(MachineTimes::default, |to| to.machine.since(&from.machine)),
            backends_run_delay_s: self.backends.run_delay_s(),
            backends_cpu_s: self.backends.cpu_s(),
        }
    }

    fn pulses(&self) -> [Pulse; 3] {
        [&self.producers, &self.readers, &self.examiner].map(|heartbeat| heartbeat.pulse())
    }

    fn read(&self) -> Reading {
        Reading {
            at: Instant::now(),
            cost: process::cost(),
            machine: MachineTimes::read(self.server),
            pulses: self.pulses(),
        }
    }
}
