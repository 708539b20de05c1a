//! Values from flags and the environment, which override the file.

use std::time::Duration;

use super::bench::Order;
use super::fault::Origin;
use super::{Audit, Delivery, GpuChoice, OnFault, Recreate};
use crate::quantity::{Cadence, Rate, RunLength};

/// A value and the flag or variable that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Given<T> {
    /// A value from a command-line flag, such as `--rate`.
    pub fn flag(name: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Flag(name) }
    }

    /// A value from an environment variable, such as `STROM_LOAD_RATE`.
    pub fn env(name: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Env(name) }
    }
}

/// What flags or the environment set; `None` leaves the file's value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Rows per second over all partitions.
    pub rate: Option<Given<Rate>>,
    /// LIST partitions.
    pub partitions: Option<Given<u64>>,
    /// Most rows in one transaction.
    pub batch_rows: Option<Given<u64>>,
    /// Longest time the first row of a batch waits.
    pub linger: Option<Given<Duration>>,
    /// Number of readers.
    pub readers: Option<Given<u64>>,
    /// Queries per second over all readers; `max` is a closed loop.
    pub query_rate: Option<Given<Rate>>,
    /// Which GPU arms the queries run in.
    pub gpu: Option<Given<GpuChoice>>,
    /// Whether the answers of a query's arms are compared.
    pub check_answers: Option<Given<bool>>,
    /// Limit of one query on the server.
    pub statement_timeout: Option<Given<Duration>>,
    /// How the executions of a benchmark's arms follow each other.
    pub order: Option<Given<Order>>,
    /// Fewest pairs of a benchmark's query.
    pub pairs_min: Option<Given<u64>>,
    /// Most pairs of a benchmark's query.
    pub pairs_max: Option<Given<u64>>,
    /// Most time for the pairs of a benchmark's query.
    pub query_time: Option<Given<Duration>>,
    /// How exactly a benchmark's ratios are to be known, as a share.
    pub precision: Option<Given<f64>>,
    /// Measured time.
    pub duration: Option<Given<RunLength>>,
    /// Time before the measurement.
    pub warmup: Option<Given<Duration>>,
    /// How long overdue batches may still be sent after the end.
    pub drain_timeout: Option<Given<Duration>>,
    /// Seed of all randomness.
    pub seed: Option<Given<u64>>,
    /// Target table, as in SQL.
    pub table: Option<Given<String>>,
    /// Whether tables that are there are dropped first.
    pub recreate: Option<Given<Recreate>>,
    /// Rows of each table to be filled.
    pub rows: Option<Given<u64>>,
    /// The rows of each table to be filled are multiplied by this.
    pub scale: Option<Given<f64>>,
    /// What is promised about each row.
    pub delivery: Option<Given<Delivery>>,
    /// What the first fault does.
    pub on_fault: Option<Given<OnFault>>,
    /// How long one outage may last before it ends the run.
    pub reconnect_timeout: Option<Given<Duration>>,
    /// Rows over all partitions that may be overdue.
    pub backlog_rows: Option<Given<u64>>,
    /// Overdue rows are sent at most at this multiple of the rate.
    pub catch_up: Option<Given<f64>>,
    /// How the rows are checked at the end.
    pub audit: Option<Given<Audit>>,
    /// Time between two samples of each GPU.
    pub gpu_interval: Option<Given<Cadence>>,
    /// Sample PCIe throughput too.
    pub gpu_pcie: Option<Given<bool>>,
    /// Conditions that replace the file's.
    pub thresholds: Option<Vec<Given<String>>>,
}

impl Overrides {
    /// These values, and `lower`'s where there is none: flags over environment.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            rate: self.rate.or(lower.rate),
            partitions: self.partitions.or(lower.partitions),
            batch_rows: self.batch_rows.or(lower.batch_rows),
            linger: self.linger.or(lower.linger),
            readers: self.readers.or(lower.readers),
            query_rate: self.query_rate.or(lower.query_rate),
            gpu: self.gpu.or(lower.gpu),
            check_answers: self.check_answers.or(lower.check_answers),
            statement_timeout: self.statement_timeout.or(lower.statement_timeout),
            order: self.order.or(lower.order),
            pairs_min: self.pairs_min.or(lower.pairs_min),
            pairs_max: self.pairs_max.or(lower.pairs_max),
            query_time: self.query_time.or(lower.query_time),
            precision: self.precision.or(lower.precision),
            duration: self.duration.or(lower.duration),
            warmup: self.warmup.or(lower.warmup),
            drain_timeout: self.drain_timeout.or(lower.drain_timeout),
            seed: self.seed.or(lower.seed),
            table: self.table.or(lower.table),
            recreate: self.recreate.or(lower.recreate),
            rows: self.rows.or(lower.rows),
            scale: self.scale.or(lower.scale),
            delivery: self.delivery.or(lower.delivery),
            on_fault: self.on_fault.or(lower.on_fault),
            reconnect_timeout: self.reconnect_timeout.or(lower.reconnect_timeout),
            backlog_rows: self.backlog_rows.or(lower.backlog_rows),
            catch_up: self.catch_up.or(lower.catch_up),
            audit: self.audit.or(lower.audit),
            gpu_interval: self.gpu_interval.or(lower.gpu_interval),
            gpu_pcie: self.gpu_pcie.or(lower.gpu_pcie),
            thresholds: self.thresholds.or(lower.thresholds),
        }
    }
}
