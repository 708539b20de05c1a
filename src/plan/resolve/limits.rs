//! What each number of a profile may be: its default, its range, and how to mend it.

const BATCH_ROWS: f64 = 100.0;
/// Without a schedule only throughput counts, and PostgreSQL 15 is slow near 1000 rows a COPY.
pub(super) const BATCH_ROWS_UNTHROTTLED: f64 = 20_000.0;

/// What a number may be.
pub(super) struct Limits {
    pub(super) default: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) is_whole: bool,
    /// The range in words: "`x` is outside …".
    pub(super) range: &'static str,
    /// How to mend a value outside.
    pub(super) fix: &'static str,
}

const TEN_YEARS_S: f64 = 315_360_000.0;

pub(super) const ROWS_PER_S: Limits = Limits {
    default: 3000.0,
    min: 1.0,
    max: 1e9,
    is_whole: true,
    range: "1 to 1,000,000,000",
    fix: "choose a whole number of rows per second, or `max`",
};
pub(super) const PARTITIONS: Limits = Limits {
    default: 3.0,
    min: 1.0,
    max: 1024.0,
    is_whole: true,
    range: "1 to 1,024",
    fix: "choose a number such as 3; each partition has its own connection",
};
pub(super) const BATCH: Limits = Limits {
    default: BATCH_ROWS,
    min: 1.0,
    max: 1e6,
    is_whole: true,
    range: "1 to 1,000,000",
    fix: "choose rows per transaction, such as 100",
};
pub(super) const LINGER: Limits = Limits {
    default: 0.1,
    min: 1e-3,
    max: 60.0,
    is_whole: false,
    range: "1 ms to 60 s",
    fix: "choose how long a row may wait for its batch, such as 100 ms",
};
pub(super) const WARMUP: Limits = Limits {
    default: 2.0,
    min: 0.0,
    max: TEN_YEARS_S,
    is_whole: false,
    range: "0 s to 10 years",
    fix: "choose a time such as 2 s, or 0 for no warm-up",
};
pub(super) const DURATION: Limits = Limits {
    default: 60.0,
    min: 1e-6,
    max: TEN_YEARS_S,
    is_whole: false,
    range: "1 µs to 10 years",
    fix: "choose a time such as 60 s, or `forever`",
};
pub(super) const DRAIN_TIMEOUT: Limits = Limits {
    default: 30.0,
    min: 0.0,
    max: 86_400.0,
    is_whole: false,
    range: "0 s to 1 day",
    fix: "choose a time such as 30 s",
};
pub(super) const READERS: Limits = Limits {
    default: 2.0,
    min: 0.0,
    max: 1024.0,
    is_whole: true,
    range: "0 to 1,024",
    fix: "choose a number such as 2; each reader has its own connection",
};
pub(super) const QUERIES_PER_S: Limits = Limits {
    default: 1.0,
    min: 1e-6,
    max: 1e6,
    is_whole: false,
    range: "0.000001 to 1,000,000",
    fix: "choose queries per second over all readers, or leave it out for a closed loop",
};
pub(super) const STATEMENT_TIMEOUT: Limits = Limits {
    default: 60.0,
    min: 1e-3,
    max: 86_400.0,
    is_whole: false,
    range: "1 ms to 1 day",
    fix: "choose a time such as 60 s",
};
pub(super) const RECONNECT_TIMEOUT: Limits = Limits {
    default: 60.0,
    min: 1e-3,
    max: 86_400.0,
    is_whole: false,
    range: "1 ms to 1 day",
    fix: "choose how long an outage may last, such as 60 s",
};
/// The default follows the rate, the minimum the batches.
pub(super) const BACKLOG_ROWS: Limits = Limits {
    default: 180_000.0,
    min: 1.0,
    max: 1e12,
    is_whole: true,
    range: "1 to 1,000,000,000,000",
    fix: "choose how many rows may be overdue, or leave it out for 60 s of the rate",
};
pub(super) const TABLE_ROWS: Limits = Limits {
    default: 1.0,
    min: 1.0,
    max: 1e12,
    is_whole: true,
    range: "1 to 1,000,000,000,000",
    fix: "choose how many rows the table shall have, such as 10_000_000 in a profile or 10M in --rows",
};
pub(super) const SCALE: Limits = Limits {
    default: 1.0,
    min: 1e-9,
    max: 1e6,
    is_whole: false,
    range: "0.000000001 to 1,000,000",
    fix: "choose a factor for the rows of each table, such as 0.1",
};
pub(super) const CATCH_UP_FACTOR: Limits = Limits {
    default: 4.0,
    min: 1.0 + f64::EPSILON,
    max: 1000.0,
    is_whole: false,
    range: "1 (not included) to 1,000",
    fix: "choose a multiple of the rate that lets the backlog shrink, such as 4",
};
/// Below it the driver would be asked more often than it looks itself.
pub(super) const GPU_INTERVAL: Limits = Limits {
    default: 0.1,
    min: 0.01,
    max: 10.0,
    is_whole: false,
    range: "10 ms to 10 s",
    fix: "choose the time between two samples, such as 100 ms, or `off`",
};
pub(super) const PLANS_EVERY: Limits = Limits {
    default: 30.0,
    min: 1.0,
    max: 86_400.0,
    is_whole: false,
    range: "1 s to 1 day",
    fix: "choose how often the plans are looked at, such as 30",
};
pub(super) const ANSWERS_EVERY: Limits = Limits {
    default: 60.0,
    min: 1.0,
    max: 86_400.0,
    is_whole: false,
    range: "1 s to 1 day",
    fix: "choose how often answers are compared, such as 60",
};
pub(super) const PAIRS_MIN: Limits = Limits {
    default: 20.0,
    min: 1.0,
    max: 100_000.0,
    is_whole: true,
    range: "1 to 100,000",
    fix: "choose a number such as 20; fewer pairs rarely give an interval",
};
pub(super) const PAIRS_MAX: Limits = Limits {
    default: 200.0,
    min: 1.0,
    max: 100_000.0,
    is_whole: true,
    range: "1 to 100,000",
    fix: "choose the most pairs of a query, such as 200",
};
pub(super) const QUERY_TIME: Limits = Limits {
    default: 60.0,
    min: 1e-3,
    max: 86_400.0,
    is_whole: false,
    range: "1 ms to 1 day",
    fix: "choose the most time for one query, such as 60 s",
};
pub(super) const PRECISION: Limits = Limits {
    default: 0.05,
    min: 1e-4,
    max: 10.0,
    is_whole: false,
    range: "0.0001 to 10",
    fix: "choose how exactly a ratio is to be known, such as 0.05 for 5 %",
};
pub(super) const ROUNDS: Limits = Limits {
    // Fewer seldom give a median an interval.
    default: 15.0,
    min: 1.0,
    max: 10_000.0,
    is_whole: true,
    range: "1 to 10,000",
    fix: "choose how often every combination is measured, such as 15",
};
pub(super) const MAX_COMBINATIONS: Limits = Limits {
    default: 64.0,
    min: 1.0,
    max: 10_000.0,
    is_whole: true,
    range: "1 to 10,000",
    fix: "choose the most combinations that you have time for, such as 64",
};
pub(super) const STEPS: Limits = Limits {
    default: 2.0,
    min: 2.0,
    max: 1000.0,
    is_whole: true,
    range: "2 to 1,000",
    fix: "choose how many values the range has, its two ends included, such as 5",
};
