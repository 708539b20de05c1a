//! What was broken when, and what the run's measurements say of it.
//!
//! It is an output of the run like the others. Faults are made one at a time, so an outage belongs
//! to the last fault that had begun when it did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use crate::record::{Interval, Times};
use crate::result::JobResult;
use crate::sink::{Sink, SinkError, Start};
use crate::watch::process;

use super::{FaultKind, POLL};

/// An outage may seem to begin this long before its fault: the two are noted on two threads.
const SKEW: Duration = Duration::from_millis(50);
/// When memory is looked at for the first time, since the start of the schedule.
pub(super) const MEMORY_AFTER: Duration = Duration::from_secs(60);

/// What happened; the injector and the run's output share it.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

/// The entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    /// Start of the schedule.
    start: Option<Instant>,
    /// By partition: the last acknowledgement.
    acknowledged: Vec<Option<Instant>>,
    faults: Vec<Fault>,
    /// What came of the faults of each kind.
    pub(super) kinds: BTreeMap<FaultKind, Came>,
    /// Greatest resident memory after [`MEMORY_AFTER`].
    pub(super) memory_after_a_minute: Option<u64>,
    /// The same when the schedule ended, before the audit.
    pub(super) memory_at_end: u64,
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    kind: FaultKind,
    begun: Instant,
    lifted: Option<Instant>,
}

/// What came of faults.
#[derive(Debug, Clone, Default)]
pub(super) struct Came {
    /// Lengths of the producers' outages.
    pub(super) outages: Times,
    /// From due to acknowledged, of the batches that were acknowledged after such a fault began
    /// and before the next one did, to the second.
    pub(super) response: Times,
}

impl Ledger {
    /// For faults of these kinds: what comes of each has its memory from the start.
    pub fn of(kinds: &[FaultKind]) -> Self {
        let roomy = || Came { outages: Times::with_room(), response: Times::with_room() };
        let kinds = kinds.iter().map(|kind| (*kind, roomy())).collect();
        Self(Arc::new(Mutex::new(Book { kinds, ..Book::default() })))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the run to start; returns when its schedule does.
    pub(super) async fn started(&self) -> Instant {
        loop {
            if let Some(start) = self.book().start {
                return start;
            }
            sleep(POLL).await;
        }
    }

    /// Notes that a fault begins; returns its number, from 1.
    pub(super) fn begin(&self, kind: FaultKind) -> usize {
        let mut book = self.book();
        book.faults.push(Fault { kind, begun: Instant::now(), lifted: None });
        book.faults.len()
    }

    /// Notes that what was broken is whole again.
    pub(super) fn lifted(&self) {
        if let Some(fault) = self.book().faults.last_mut() {
            fault.lifted = Some(Instant::now());
        }
    }

    /// Waits until the last fault is survived.
    pub(super) async fn flows(&self) {
        loop {
            let survived = {
                let book = self.book();
                book.faults.last().is_none_or(|fault| book.survived(fault))
            };
            if survived {
                return;
            }
            sleep(POLL).await;
        }
    }

    pub(super) fn take(&self) -> Book {
        self.book().clone()
    }

    /// The output that feeds it.
    pub fn sink(&self) -> impl Sink + use<> {
        Feed(self.clone())
    }
}

impl Book {
    /// Whether every partition had rows acknowledged after the fault was over.
    fn survived(&self, fault: &Fault) -> bool {
        let after = |lifted| self.acknowledged.iter().all(|at| at.is_some_and(|at| at > lifted));
        fault.lifted.is_some_and(after)
    }

    /// Faults of a kind: made, and survived.
    pub(super) fn counts(&self, kind: FaultKind) -> (u64, u64) {
        let mine = self.faults.iter().filter(|fault| fault.kind == kind);
        mine.fold((0, 0), |(made, survived), fault| {
            (made + 1, survived + u64::from(self.survived(fault)))
        })
    }

    /// The last fault that had begun by then.
    fn cause(&self, at: Instant) -> Option<FaultKind> {
        let mut faults = self.faults.iter().rev();
        faults.find(|fault| fault.begun <= at + SKEW).map(|fault| fault.kind)
    }

    fn note(&mut self, interval: &Interval, start: Instant) {
        let end = start + interval.start + interval.length;
        let current = self.cause(end);
        self.acknowledged.resize(interval.lanes.len(), None);
        for (number, lane) in interval.lanes.iter().enumerate() {
            let tally = &lane.tally;
            if let Some(at) = tally.acknowledged_at {
                self.acknowledged[number] = Some(at);
            }
            for outage in tally.outages.iter().filter(|outage| outage.recovered) {
                if let Some(kind) = self.cause(start + outage.start) {
                    self.kinds.entry(kind).or_default().outages.record(outage.length);
                }
            }
            if let Some(kind) = current {
                let came = self.kinds.entry(kind).or_default();
                came.response.merge(&tally.batch.response);
            }
        }
        self.memory_at_end = process::cost().resident_peak_bytes;
        if interval.start + interval.length >= MEMORY_AFTER {
            self.memory_after_a_minute.get_or_insert(self.memory_at_end);
        }
    }
}

struct Feed(Ledger);

impl Sink for Feed {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), SinkError> {
        let ahead = start.started_at.duration_since(SystemTime::now()).unwrap_or_default();
        self.0.book().start = Some(Instant::now() + ahead);
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError> {
        let mut book = self.0.book();
        if let Some(start) = book.start {
            book.note(interval, start);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &JobResult) -> Result<(), SinkError> {
        Ok(())
    }
}
