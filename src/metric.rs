//! Every metric: name, kind, unit, labels and help, once. docs/metrics.md and the dashboards are
//! checked against this table.

use std::sync::LazyLock;

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets.
    Histogram,
}

/// A metric's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Full name, base unit last.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub kind: MetricKind,
    /// Label names, in order.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: Metric = Metric {
                name: $name, kind: MetricKind::$kind, labels: &[$($label),*], help: $help,
            };
        )*
        /// All metrics, in the order in which they are documented.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    INFO = Gauge "strom_load_info" ["version", "profile", "run", "server_version"]
        "Always 1; the labels say what runs.";
    PHASE = Gauge "strom_load_phase" ["phase"]
        "1 for the phase that the run is in (warmup, measure, drain), else 0; all 0 after its end.";
    START_TIME = Gauge "strom_load_start_time_seconds" []
        "Start of the schedule, in seconds since the Unix epoch.";
    TARGET_RATE = Gauge "strom_load_target_rows_per_second" []
        "Target rate over all connections, as it is now; absent when unthrottled.";
    ROWS_DUE = Counter "strom_load_rows_due_total" ["partition"]
        "Rows that fell due by the schedule.";
    ROWS_SENT = Counter "strom_load_rows_sent_total" ["partition"]
        "Rows whose batch was sent.";
    ROWS_ACKNOWLEDGED = Counter "strom_load_rows_acknowledged_total" ["partition"]
        "Rows whose batch the server committed.";
    ROWS_DROPPED = Counter "strom_load_rows_dropped_total" ["partition"]
        "Rows that were due and will not be sent.";
    ROWS_UNDECIDED = Counter "strom_load_rows_undecided_total" ["partition"]
        "Rows that were sent and whose fate could not be found out.";
    BACKLOG = Gauge "strom_load_backlog_rows" ["partition"]
        "Rows due and not yet acknowledged.";
    BATCHES = Counter "strom_load_batches_total" ["partition"]
        "Batches (transactions) committed.";
    BATCHES_LATE = Counter "strom_load_batches_late_total" ["partition"]
        "Batches sent more than 1 ms after they were due.";
    BATCHES_RESENT = Counter "strom_load_batches_resent_total" ["partition"]
        "Attempts to send a batch again after a fault.";
    BATCHES_SYNC_UNCONFIRMED = Counter "strom_load_batches_sync_unconfirmed_total" ["partition"]
        "Batches committed whose wait for a synchronous standby was cancelled, or its end not heard.";
    OUTAGES = Counter "strom_load_outages_total" ["partition"]
        "Outages of a producer that have ended.";
    OUTAGE_SECONDS = Histogram "strom_load_outage_seconds" ["partition"]
        "Length of a producer's outages, from the first failure to the next success.";
    COPY_BYTES = Counter "strom_load_copy_bytes_total" ["partition"]
        "COPY data sent.";
    STREAM_ERRORS = Counter "strom_load_stream_errors_total" ["partition", "sqlstate"]
        "Batches that failed, by the SQLSTATE of the first failure.";
    ATTEMPTS_FAILED = Counter "strom_load_recovery_attempts_failed_total" ["partition", "sqlstate"]
        "Attempts to recover that failed within an outage: to connect, to ask, to send again.";
    BATCH_WAIT = Histogram "strom_load_batch_wait_seconds" ["partition"]
        "Time of a batch from due to sent.";
    BATCH_SERVICE = Histogram "strom_load_batch_service_seconds" ["partition"]
        "Time of a batch from sent to acknowledged.";
    BATCH_RESPONSE = Histogram "strom_load_batch_response_seconds" ["partition"]
        "Time of a batch from due to acknowledged; of one that never was, its age when given up.";
    ROW_LATENCY = Histogram "strom_load_row_latency_seconds" ["partition"]
        "Time of a row from its own due time to its acknowledgement, or until it was given up.";
    QUERIES = Counter "strom_load_queries_total" ["query", "arm"]
        "Queries answered.";
    QUERIES_DUE = Counter "strom_load_queries_due_total" []
        "Queries that fell due by the schedule, asked or dropped; absent without a query rate.";
    QUERIES_DROPPED = Counter "strom_load_queries_dropped_total" []
        "Queries that were due and never asked; absent without a query rate.";
    QUERY_ROWS = Counter "strom_load_query_rows_total" ["query", "arm"]
        "Rows received from queries.";
    QUERY_VERDICT = Gauge "strom_load_query_verdict_info" ["query", "arm", "verdict"]
        "1 for what the last plan proved about the GPU (gpu, mixed, cpu, remote, unknown), else 0.";
    PLAN_CHANGES = Counter "strom_load_query_plan_changes_total" ["query", "arm"]
        "Times that the plan of a query was found changed.";
    FALLBACK_ROWS = Counter "strom_load_query_fallback_rows_total" ["query", "arm"]
        "Rows that the GPU handed back to the CPU, as far as the server says so.";
    PAIRS = Counter "strom_load_query_pairs_total" ["query"]
        "Measured pairs: a query in both of its arms, one behind the other.";
    ANSWER_CHECKS = Counter "strom_load_answer_checks_total" ["query", "result"]
        "Comparisons of the answers of both arms, by result (same, different, failed).";
    RECONNECTS = Counter "strom_load_reader_reconnects_total" ["query", "arm"]
        "Times that a reader connected anew, by the query that had failed.";
    QUERY_ERRORS = Counter "strom_load_query_errors_total" ["query", "arm", "sqlstate"]
        "Queries that failed, by SQLSTATE.";
    QUERY_SERVICE = Histogram "strom_load_query_service_seconds" ["query", "arm"]
        "Time of a query from sent to its last row.";
    QUERY_RESPONSE = Histogram "strom_load_query_response_seconds" ["query", "arm"]
        "Time of a query from due to its last row, or until it was cut off.";
    ANSWER_AGE = Histogram "strom_load_answer_age_seconds" ["query", "arm"]
        "How long ago the oldest row was due that is not in an answer, when the answer arrived.";
    FRESHNESS = Histogram "strom_load_freshness_seconds" ["query", "arm"]
        "How long before a query was asked the first batch was acknowledged that it did not see.";
    GPU_INFO = Gauge "strom_load_gpu_info" ["gpu", "uuid", "name", "driver"]
        "Always 1; the labels say what the GPU is.";
    GPU_SAMPLES = Counter "strom_load_gpu_samples_total" ["gpu", "uuid"]
        "Samples that the GPU answered.";
    GPU_SAMPLES_FAILED = Counter "strom_load_gpu_samples_failed_total" ["gpu", "uuid"]
        "Samples that it did not answer at all.";
    GPU_UTILIZATION_MEAN = Gauge "strom_load_gpu_utilization_mean_ratio" ["gpu", "uuid"]
        "Share of the last second in which a kernel ran.";
    GPU_UTILIZATION_MAX = Gauge "strom_load_gpu_utilization_max_ratio" ["gpu", "uuid"]
        "Greatest sample of it in the last second.";
    GPU_BUSY = Counter "strom_load_gpu_busy_seconds_total" ["gpu", "uuid"]
        "Integral of the utilisation: time in which a kernel ran.";
    GPU_MEMORY_UTILIZATION = Gauge "strom_load_gpu_memory_utilization_ratio" ["gpu", "uuid"]
        "Share of the last second in which GPU memory was read or written.";
    GPU_MEMORY_USED = Gauge "strom_load_gpu_memory_used_bytes" ["gpu", "uuid"]
        "Most GPU memory in use in the last second.";
    GPU_MEMORY_SIZE = Gauge "strom_load_gpu_memory_size_bytes" ["gpu", "uuid"]
        "All GPU memory.";
    GPU_TEMPERATURE = Gauge "strom_load_gpu_temperature_celsius" ["gpu", "uuid"]
        "Greatest core temperature of the last second.";
    GPU_POWER_MEAN = Gauge "strom_load_gpu_power_mean_watts" ["gpu", "uuid"]
        "Mean power over the last second.";
    GPU_POWER_MAX = Gauge "strom_load_gpu_power_max_watts" ["gpu", "uuid"]
        "Greatest sample of it in the last second.";
    GPU_ENERGY = Counter "strom_load_gpu_energy_joules_total" ["gpu", "uuid"]
        "Energy taken since the start, by the driver's own counter.";
    GPU_SM_CLOCK = Gauge "strom_load_gpu_sm_clock_hertz" ["gpu", "uuid"]
        "Mean clock of the multiprocessors over the last second.";
    GPU_MEMORY_CLOCK = Gauge "strom_load_gpu_memory_clock_hertz" ["gpu", "uuid"]
        "Mean clock of the GPU memory over the last second.";
    GPU_PCIE_SENT = Gauge "strom_load_gpu_pcie_sent_bytes_per_second" ["gpu", "uuid"]
        "PCIe throughput from the GPU, if it is sampled.";
    GPU_PCIE_RECEIVED = Gauge "strom_load_gpu_pcie_received_bytes_per_second" ["gpu", "uuid"]
        "PCIe throughput to the GPU, if it is sampled.";
    GPU_THROTTLED = Counter "strom_load_gpu_throttled_seconds_total" ["gpu", "uuid", "reason"]
        "Time for which the driver held the clocks down.";
    GPU_ECC_CORRECTED = Counter "strom_load_gpu_ecc_corrected_errors_total" ["gpu", "uuid"]
        "Memory errors since the start that ECC mended.";
    GPU_ECC_UNCORRECTED = Counter "strom_load_gpu_ecc_uncorrected_errors_total" ["gpu", "uuid"]
        "Memory errors since the start that ECC could not mend.";
    GPU_PG_STROM_MEMORY = Gauge "strom_load_gpu_pg_strom_memory_bytes" ["gpu", "uuid"]
        "GPU memory of PG-Strom's process, where it is visible.";
    GPU_PG_STROM_UTILIZATION = Gauge "strom_load_gpu_pg_strom_utilization_ratio" ["gpu", "uuid"]
        "Share of the multiprocessors' time that PG-Strom's process took, where it is visible.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "User and system CPU time of strom-load.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
        "Resident memory of strom-load.";
}

/// A label: its values and how many there are, so that the number of series is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What its values are, for people.
    pub values: &'static str,
    /// How many values it can have.
    pub bound: Bound,
}

/// How many values a label can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Never more.
    Fixed(u32),
    /// As many as the run has of something, by the letter that stands for it.
    PerRun(&'static str),
    /// Follows from another label of the same metric, so it multiplies nothing.
    Implied,
}

/// SQLSTATEs with a series of their own, for each partition or query and arm; whatever comes after
/// so many counts as [`SQLSTATE_OTHER`]. Functions in the database can raise any code they like.
pub const SQLSTATES_MAX: u32 = 32;

/// The label of SQLSTATEs beyond [`SQLSTATES_MAX`].
pub const SQLSTATE_OTHER: &str = "other";

macro_rules! labels {
    ($($name:literal $bound:expr, $values:literal;)*) => {
        /// All labels.
        pub const LABELS: &[Label] =
            &[$(Label { name: $name, values: $values, bound: $bound }),*];
    };
}

labels! {
    "version" Bound::Fixed(1), "version of strom-load";
    "profile" Bound::Fixed(1), "name of the profile";
    "run" Bound::Fixed(1), "the run: `run_id` in its result.json, and on its page";
    "server_version" Bound::Fixed(1), "version of the server";
    "phase" Bound::Fixed(3), "`warmup`, `measure`, `drain`";
    "partition" Bound::PerRun("P"), "number of the partition: the value of its partition key; `all` where rows have none";
    "query" Bound::PerRun("Q"), "name of the query in the profile";
    "arm" Bound::PerRun("A"), "`cpu` without PG-Strom, else `off` and `on`, or the profile's own";
    "verdict" Bound::Fixed(5), "`gpu`, `mixed`, `cpu`, `remote`, `unknown`";
    "result" Bound::Fixed(3), "`same`, `different`, `failed`";
    "gpu" Bound::PerRun("G"), "the driver's number of the GPU, from 0";
    "uuid" Bound::Implied, "identity of the GPU; empty if the driver does not tell";
    "name" Bound::Implied, "product name of the GPU";
    "driver" Bound::Fixed(1), "version of the NVIDIA driver";
    "reason" Bound::Fixed(8), "`application_clocks`, `power_cap`, `hardware_slowdown`, \
        `sync_boost`, `thermal`, `hardware_thermal`, `power_brake`, `display_clocks`";
    "sqlstate" Bound::Fixed(SQLSTATES_MAX + 1), "SQLSTATE of the error, from its first occurrence; \
        `08006` for a broken connection, `XX000` for what has none, `other` past the 32nd";
}

/// Upper bounds of most histograms' buckets, in seconds: 100 µs to 100 s in steps of 1, 2.5 and 5,
/// wide enough for a commit on a fast disk and for a window function over a large table.
pub const BUCKETS_S: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 25.0, 50.0, 100.0,
];

/// How many bounds [`FINE_BUCKETS_S`] has.
const FINE_BUCKETS: i32 = 140;

/// Upper bounds of the buckets of latencies that quantiles are taken of, in seconds: 100 µs to 60 s,
/// each a tenth above the last. Prometheus takes values to be spread evenly within a bucket, so a
/// quantile is off by a tenth where they all lie at one end of it, and by far less where they do not.
pub static FINE_BUCKETS_S: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let (first, last) = (1e-4_f64, 60.0_f64);
    let step = (last / first).powf(1.0 / f64::from(FINE_BUCKETS - 1));
    let bound = |number| {
        let exact = first * step.powi(number);
        // Four digits are enough, and a page of them is shorter.
        format!("{exact:.3e}").parse().unwrap_or(exact)
    };
    (0..FINE_BUCKETS).map(bound).collect()
});

impl Metric {
    /// Upper bounds of its buckets in seconds, ascending; none for what is no histogram.
    pub fn buckets_s(&self) -> &'static [f64] {
        match self.kind {
            MetricKind::Counter | MetricKind::Gauge => &[],
            MetricKind::Histogram if FINE.contains(self) => &FINE_BUCKETS_S,
            MetricKind::Histogram => BUCKETS_S,
        }
    }
}

/// Histograms with fine buckets: those of the stream that users feel. There are two for each partition; of
/// queries in their arms there may be many more, and a page is to stay small.
const FINE: [Metric; 2] = [BATCH_RESPONSE, ROW_LATENCY];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_bounded_and_used() {
        for metric in ALL {
            for label in metric.labels {
                let known = LABELS.iter().filter(|known| known.name == *label).count();
                assert_eq!(known, 1, "{}: {label}", metric.name);
            }
        }
        for label in LABELS {
            assert!(ALL.iter().any(|metric| metric.labels.contains(&label.name)), "{}", label.name);
        }
    }

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        for metric in ALL {
            let counter = metric.kind == MetricKind::Counter;
            assert_eq!(counter, metric.name.ends_with("_total"), "{}", metric.name);
            let unit = metric.name.trim_end_matches("_total").rsplit('_').next().unwrap();
            let units = [
                "seconds",
                "bytes",
                "ratio",
                "celsius",
                "watts",
                "joules",
                "hertz",
                "rows",
                "batches",
                "queries",
                "info",
                "phase",
                "second",
                "due",
                "sent",
                "acknowledged",
                "dropped",
                "late",
                "errors",
                "undecided",
                "resent",
                "unconfirmed",
                "outages",
                "reconnects",
                "samples",
                "failed",
                "changes",
                "pairs",
                "checks",
            ];
            assert!(units.contains(&unit), "{}: unit `{unit}`", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
