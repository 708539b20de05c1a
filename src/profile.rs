//! The profile file as its author wrote it: every field optional, nothing defaulted, no I/O.
//!
//! Numbers are as wide as TOML's, so that a value out of range is a fault that the plan can
//! explain, and each value that the plan judges carries its place: in the file, or the flag or variable
//! that gives it. A profile reads back from TOML and from JSON.

mod bench;
mod changes;
pub(crate) mod document;
mod evidence;
mod scalar;
mod schema;
mod shape;
mod sweep;
mod table;
mod values;

use clap::ValueEnum;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bench::{Bench, Order, Restart, Step};
pub use changes::{Changes, RowChanges};
pub use evidence::{Answers, Arm, Evidence};
pub use scalar::{
    Located, MillisecondsOrOff, Number, RateOrMax, Recreate, SecondsOrForever, SettingValue, Time,
    Whole,
};
pub use schema::schema;
pub use shape::{Shape, Sine, Stage};
pub use sweep::{IfAbsent, Sweep, SweepMode, SweepSetting};
pub use table::{Index, Table};
pub use values::{
    Array, Boolean, Bytes, Choice, Column, Conditional, Day, Decimal, EventTime, Exponential, File,
    Float, Histogram, InOrder, Inet, Integer, Label, Lognormal, Normal, Parameter, Pick, Reference,
    Text, TimeOfDay, Timestamp, Values, Zipf,
};

/// A load profile of strom-load: what is streamed, who reads beside it, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Names the results folder: lower-case letters, digits, `_` and `-`. Default: the file's name.
    pub name: Option<Located<String>>,
    /// What the profile is for, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seed of all randomness: the same seed gives the same rows. Default: 42.
    pub seed: Option<Located<Whole>>,
    /// Seconds of load before the measurement starts. Default: 2.
    pub warmup_s: Option<Located<Number>>,
    /// Measured seconds, or "forever". Default: 60.
    pub duration_s: Option<Located<SecondsOrForever>>,
    /// Seconds for which overdue batches may still be sent after the end. Default: 30.
    pub drain_timeout_s: Option<Located<Number>>,
    /// How the rows are checked at the end. Default: "full".
    pub audit: Option<Located<Audit>>,
    /// Share of the rows due that may be dropped, such as 0.01; with more, the exit code is 6.
    /// Default: 0.
    pub allow_dropped: Option<Located<Number>>,
    /// Conditions that the result must meet, such as "response_p99_ms < 50".
    pub thresholds: Option<Vec<Located<String>>>,
    /// What is streamed.
    pub stream: Option<Stream>,
    /// Who reads beside the stream.
    pub readers: Option<Readers>,
    /// What happens when the server fails a batch, or is gone.
    pub recovery: Option<Recovery>,
    /// Two ways of running each query, by name, that are compared with each other instead of the
    /// GPU off and on; the first one is the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arms: Option<IndexMap<String, Located<Arm>>>,
    /// How the plans and answers of the arms are looked at.
    pub evidence: Option<Evidence>,
    /// Queries on tables that stand still, instead of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bench: Option<Bench>,
    /// Settings of the server whose values are compared by the benchmark's queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// What is watched beside the load.
    pub watch: Option<Watch>,
    /// Tables that are filled with generated rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<Located<Table>>>,
}

/// How the rows are checked at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Audit {
    /// Every row of the run is read back and compared byte by byte with what was sent.
    Full,
    /// They are only counted.
    Count,
    /// Not at all.
    Off,
}

/// What is streamed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Target table as in SQL: may have a schema, and parts in double quotes.
    /// Default: l40s_realtime_stream.
    pub table: Option<Located<String>>,
    /// A table like which the target table is made if it is not there: with its columns, defaults, constraints,
    /// indexes and partitions. Default: it is made of the columns below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<Located<String>>,
    /// LIST partitions, where a column has the values "partition": 1 to 1024. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<Located<Whole>>,
    /// Producers, each on its own connection: as many as partitions, to 1024. They are dealt to the partitions
    /// in turn. Default: one a partition, and 3 without partitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Located<Whole>>,
    /// Rows per second over all partitions, or "max". Default: 3000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_per_s: Option<Located<RateOrMax>>,
    /// How the rate goes over time. Default: it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Located<Shape>>,
    /// How rows follow each other at that rate. Default: "constant".
    pub arrival: Option<Located<Arrival>>,
    /// Most rows in one transaction. Default: 100, or 20000 if the rate is "max".
    pub batch_rows: Option<Located<Whole>>,
    /// Longest time in milliseconds that the first row of a batch waits for the others.
    /// Default: 100.
    pub linger_ms: Option<Located<Number>>,
    /// Drop the table first, if there is one that strom-load made; its name in place of true drops
    /// it whoever made it. Default: false.
    pub recreate: Option<Located<Recreate>>,
    /// What tells rows apart. Default: "row_id".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Located<Identity>>,
    /// The table's columns, in order. Default: those of the real-time workload.
    pub columns: Option<Vec<Located<Column>>>,
}

/// What tells the rows of a stream apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The column with the values "row_id"; without one, a text whose pattern is `{row_id}` within fixed text.
    RowId,
    /// Nothing: no row can be found again. Exactly-once rests on each transaction's fate alone, and the rows
    /// are counted.
    None,
}

/// How rows or queries follow each other at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// At equal distances.
    Constant,
    /// Each by itself, as those of many independent users: a Poisson process.
    Poisson,
    /// In bursts of four times the rate: one each five seconds, for one second, at random.
    Burst,
}

impl Arrival {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
            Self::Burst => "burst",
        }
    }
}

/// Who reads beside the stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Readers {
    /// Readers, each on its own connection. Default: 2 if there are queries, else 0.
    pub count: Option<Located<Whole>>,
    /// The server that they ask, as a URL or key=value pairs without a password, such as a replica.
    /// Default: the one that is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<Located<String>>,
    /// Queries per second over all readers, or "max": each reader starts its next query when the
    /// last one is answered. Default: "max".
    pub queries_per_s: Option<Located<RateOrMax>>,
    /// How queries follow each other at that rate. Default: "constant".
    pub arrival: Option<Located<Arrival>>,
    /// Milliseconds that each reader pauses behind an answer, where there is no rate; part of no
    /// latency. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think_time_ms: Option<Located<Number>>,
    /// Whether queries run on the GPU. Default: "auto".
    pub gpu: Option<Located<Gpu>>,
    /// Seconds after which the server cancels a query. Default: 60.
    pub statement_timeout_s: Option<Located<Number>>,
    /// How often the measurement is repeated, each time for `duration_s` and with new sessions of the
    /// readers. Default: 1.
    pub repeats: Option<Located<Whole>>,
    /// Whether queries may write that do not say so themselves. The others are read-only. Default: false.
    pub writes: Option<bool>,
    /// The queries.
    pub queries: Option<Vec<Located<Query>>>,
}

/// Whether queries run on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Gpu {
    /// Off and on in turn where PG-Strom is loaded, else on the CPU.
    Auto,
    /// Always on.
    On,
    /// Always off.
    Off,
    /// Off and on in turn.
    Alternate,
}

/// A reader's query.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Name in reports and metrics: lower-case letters, digits and `_`.
    pub name: Option<Located<String>>,
    /// Its part of the readers' time, beside the others. Default: 1.
    pub weight: Option<Located<Whole>>,
    /// Result column with the newest event time seen (timestamptz): how long ago that was due is a
    /// figure of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_column: Option<Located<String>>,
    /// Whether it runs on the GPU, if not as all queries do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
    /// What of its answers in both arms is compared. Default: "rows".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// Largest relative difference of two numbers that count as the same. Default: by type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Located<Number>>,
    /// How far apart two numbers may be and count as the same, whatever they are. Default: 1e-11 for
    /// columns that add floats up, as their terms may cancel each other, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_tolerance: Option<Located<Number>>,
    /// Result columns whose order is part of the answer; `[]` leaves the order out. Default: those of
    /// the outermost ORDER BY.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_by: Option<Vec<String>>,
    /// Result columns by which rows are chosen (ORDER BY … LIMIT, row_number() <= 10): where rows
    /// tie in them, either arm may return either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ties: Option<Vec<String>>,
    /// Whether it may write: UPDATE, DELETE, INSERT, MERGE. Default: what `[readers]` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<Located<bool>>,
    /// What it may change in the stream's table: columns by name, `[]` for nothing, or "rows" if it deletes rows or
    /// adds some. The audit proves the rest. Default: nobody knows, and the rows are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Located<Changes>>,
    /// One SQL statement; `{table}` stands for the stream's table, `:name` for a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<Located<String>>,
    /// Several of them in place of `sql`: one transaction, whose time is the query's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statements: Option<Vec<Located<String>>>,
    /// A file with the statement in place of `sql`, or with several for one transaction, from the profile's
    /// folder on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_file: Option<Located<String>>,
    /// How it is sent. Default: "prepared" with parameters, else "extended".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Located<Protocol>>,
    /// Where the values of its parameters come from, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
}

/// Parameters of a query, by name.
pub type Parameters = IndexMap<String, Located<Parameter>>;

/// How a query is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// In one message, with values as literals within the text; the answer comes as text.
    Simple,
    /// In parts: parsed and planned each time, values beside the text, the answer in binary.
    Extended,
    /// The same by a statement that each session prepares once for each arm: its plan may stay.
    Prepared,
}

/// What happens when the server fails a batch, or is gone.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// What is promised about each row. Default: "exactly-once".
    pub delivery: Option<Located<Delivery>>,
    /// What the first fault does. Default: "recover".
    pub on_fault: Option<Located<OnFault>>,
    /// Seconds that one outage may last before it ends the run. Default: 60.
    pub reconnect_timeout_s: Option<Located<Number>>,
    /// Seconds without an answer to a batch before the server is asked, in another session, whether it
    /// will come. Default: 10.
    pub batch_timeout_s: Option<Located<Number>>,
    /// Seconds that the server hears nothing of a loader before it lets its partitions go to another
    /// one. Default: 60.
    pub lease_s: Option<Located<Number>>,
    /// Rows over all partitions that may be overdue; older ones are dropped, and counted. At
    /// least one batch of each partition. Default: 60 seconds of the highest rate, or 1000000 if it
    /// is "max".
    pub backlog_rows: Option<Located<Whole>>,
    /// After an outage, overdue rows are sent at most at this multiple of the rate; above 1.
    /// Default: 4.
    pub catch_up_factor: Option<Located<Number>>,
}

/// What is promised about each row. A batch is in doubt if its COMMIT got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// A batch in doubt is looked up by its transaction id, and by its rows, and sent again only if
    /// it is not there; if that cannot be found out, it is counted as undecided.
    ExactlyOnce,
    /// A batch in doubt is sent again: its rows may be doubled.
    AtLeastOnce,
    /// A batch in doubt is not sent again: its rows may be missing.
    AtMostOnce,
}

/// What the first fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnFault {
    /// The run reconnects or waits, as the error asks for, and goes on.
    Recover,
    /// The run ends with exit code 4.
    Stop,
}

/// What is watched beside the load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Milliseconds between two samples of each GPU of this machine, from 10 to 10000, or "off".
    /// Default: 100.
    pub gpu_interval_ms: Option<Located<MillisecondsOrOff>>,
    /// Sample the GPUs' PCIe throughput too; the driver takes some 40 ms a sample and GPU.
    /// Default: false.
    pub gpu_pcie: Option<Located<bool>>,
}
