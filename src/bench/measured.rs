//! What the queries of a benchmark come to, and how far they are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::query::examine::Findings;
use crate::record::{ByPlan, PairTally, QueryTally, Recorder};
use crate::result::arm::ArmError;
use crate::result::benchmark::Halted;
use crate::stats::{Comparison, Pair};

/// What one arm of a query did.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ArmSamples {
    /// Service times of the measured executions, in order, in nanoseconds.
    pub times_ns: Vec<u64>,
    /// Service time of the first execution, which is not measured; `None` if there was none.
    pub cold_ns: Option<u64>,
    /// Rows of the last answer.
    pub rows: u64,
    /// Executions that failed.
    pub failures: u64,
    /// Those of them after which the GPU service was found asleep and woken.
    pub slept: u64,
    /// Why the last of those did.
    pub error: Option<ArmError>,
    /// Whether it was given up.
    pub given_up: bool,
    /// Executions that were cut at a limit.
    pub cuts: u64,
    /// When the last of those was, after it was sent.
    pub cut_after: Option<Duration>,
    /// Rows that the GPU handed back to the CPU, as far as the server says so.
    pub fallback_rows: u64,
    /// The measured executions by plan.
    #[serde(skip)]
    pub by_plan: ByPlan,
}

impl ArmSamples {
    /// Whether it takes longer than it may.
    pub(crate) fn is_cut(&self) -> bool {
        self.cuts >= super::CUTS_MAX
    }

    /// Whether it is measured no more.
    pub(crate) fn is_over(&self) -> bool {
        self.given_up || self.is_cut()
    }
}

/// What a query came to.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// By arm.
    pub arms: Vec<ArmSamples>,
    /// The pairs of each repeat, in order.
    pub repeats: Vec<Vec<Pair>>,
    /// When the first repeat began.
    pub began: Instant,
    /// The two arms compared; `None` with one arm or without a pair.
    pub comparison: Option<Comparison>,
    /// Why it ended.
    pub halted: Halted,
    /// Plans and answers.
    pub examined: Findings,
    /// How long all of it took.
    pub took: Duration,
}

impl Measured {
    /// Of a query with so many arms that begins to be measured now: nothing yet.
    pub(crate) fn begin(arms: usize) -> Self {
        Self {
            arms: vec![ArmSamples::default(); arms],
            repeats: Vec::new(),
            began: Instant::now(),
            comparison: None,
            halted: Halted::Stopped,
            examined: Findings::default(),
            took: Duration::ZERO,
        }
    }

    /// Whether another repeat would find nothing else.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.halted, Halted::ArmFailed | Halted::ArmCut | Halted::Stopped)
    }
}

/// How far a query is.
#[derive(Debug, Clone)]
pub(crate) struct BenchProgress {
    /// Its name.
    pub query: String,
    /// What is being done.
    pub doing: Doing,
    /// Pairs so far, or executions if there is one arm.
    pub pairs: usize,
    /// When it began.
    pub began: Instant,
}

/// How far a query is, for whoever shows it: read while the query is measured.
pub(crate) type Watched = Arc<Mutex<Option<BenchProgress>>>;

/// What the executions of a benchmark's queries are tallied in.
#[derive(Debug, Clone)]
pub(crate) struct Recorders {
    /// By query and arm.
    pub queries: Vec<Vec<Recorder<QueryTally>>>,
    /// By query.
    pub pairs: Vec<Recorder<PairTally>>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// The first execution of each arm, not measured.
    Warming,
    /// Plans and answers.
    Examining,
    /// Pairs.
    Measuring {
        /// When the last of them is sent, if not before.
        until: Option<Instant>,
    },
}
