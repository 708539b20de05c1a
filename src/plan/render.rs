//! A plan in the form of a profile: as TOML for people, and as JSON for the result file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::bench::Bench;
use super::column::format_units;
use super::{
    AnswerCompare, ArmPlan, Audit, Common, Delivery, GpuChoice, Job, OnFault, Plan, StreamJob,
    StreamRate, SweepJob,
};
use crate::profile::{
    self, Located, Number, Profile, RateOrMax, SecondsOrForever, SettingValue, Values as Written,
    Whole,
};
use crate::row::day::format_day;
use crate::row::{Column, ColumnType, Pick, Values};

/// The plan as a profile that resolves to the same plan.
pub fn render<J: WriteKeys>(plan: &Plan<J>) -> String {
    let Profile {
        name,
        description: _,
        seed,
        warmup_s,
        duration_s,
        drain_timeout_s,
        audit,
        thresholds,
        stream,
        readers,
        recovery,
        tables,
        arms: _,
        evidence,
        bench,
        sweep,
        watch,
    } = plan.into();
    let mut toml = Toml(String::new());
    toml.key("name", name.as_ref());
    toml.key("seed", seed.as_ref());
    toml.key("warmup_s", warmup_s.as_ref());
    toml.key("duration_s", duration_s.as_ref());
    toml.key("drain_timeout_s", drain_timeout_s.as_ref());
    toml.key("audit", audit.as_ref());
    toml.key("thresholds", thresholds.as_ref());
    if let Some(stream) = &stream {
        toml.header("[stream]");
        toml.key("table", stream.table.as_ref());
        toml.key("partitions", stream.partitions.as_ref());
        toml.key("rows_per_s", stream.rows_per_s.as_ref());
        toml.key("batch_rows", stream.batch_rows.as_ref());
        toml.key("linger_ms", stream.linger_ms.as_ref());
        toml.key("recreate", stream.recreate.as_ref());
        toml.columns("[[stream.columns]]", stream.columns.as_deref());
    }
    for table in tables.iter().flatten() {
        toml.header("[[tables]]");
        toml.key("name", table.name.as_ref());
        toml.key("rows", table.rows.as_ref());
        toml.key("dimension", table.dimension.as_ref());
        toml.key("unlogged", table.unlogged.as_ref());
        toml.key("recreate", table.recreate.as_ref());
        toml.key("primary_key", table.primary_key.as_ref());
        toml.columns("[[tables.columns]]", table.columns.as_deref());
        for index in table.indexes.iter().flatten() {
            toml.header("[[tables.indexes]]");
            toml.key("name", index.name.as_ref());
            toml.key("method", index.method.as_ref());
            toml.key("columns", index.columns.as_ref());
            toml.key("with", index.with.as_ref());
        }
    }
    if let Some(recovery) = &recovery {
        toml.header("[recovery]");
        toml.key("delivery", recovery.delivery.as_ref());
        toml.key("on_fault", recovery.on_fault.as_ref());
        toml.key("reconnect_timeout_s", recovery.reconnect_timeout_s.as_ref());
        toml.key("backlog_rows", recovery.backlog_rows.as_ref());
        toml.key("catch_up_factor", recovery.catch_up_factor.as_ref());
    }
    if let Some(watch) = &watch {
        toml.header("[watch]");
        toml.key("gpu_interval_ms", watch.gpu_interval_ms.as_ref());
        toml.key("gpu_pcie", watch.gpu_pcie.as_ref());
    }
    // From the plan, whose order is the file's; a map has none.
    for arm in plan.job.arms() {
        toml.header(&format!("[arms.{}]", arm.name));
        let set: BTreeMap<_, _> = arm.set.iter().map(|(name, value)| (name, value)).collect();
        toml.key("set", Some(&set));
    }
    if let Some(evidence) = &evidence {
        toml.header("[evidence]");
        toml.key("plans_every_s", evidence.plans_every_s.as_ref());
        toml.key("analyze", evidence.analyze.as_ref());
        toml.key("check_answers", evidence.check_answers.as_ref());
        toml.key("answers_every_s", evidence.answers_every_s.as_ref());
    }
    if let Some(readers) = &readers {
        toml.header("[readers]");
        toml.key("count", readers.count.as_ref());
        toml.key("queries_per_s", readers.queries_per_s.as_ref());
        toml.key("gpu", readers.gpu.as_ref());
        toml.key("statement_timeout_s", readers.statement_timeout_s.as_ref());
        toml.key("writes", readers.writes.as_ref());
        for query in readers.queries.iter().flatten() {
            toml.header("[[readers.queries]]");
            toml.query(query);
        }
    }
    if let Some(bench) = &bench {
        toml.bench(bench);
    }
    if let Some(sweep) = &sweep {
        toml.sweep(sweep);
    }
    toml.0
}

/// TOML written line by line: the `toml` crate would open a table for each column's values.
struct Toml(String);

impl Toml {
    fn columns(&mut self, header: &str, columns: Option<&[Located<profile::Column>]>) {
        for column in columns.into_iter().flatten() {
            self.header(header);
            self.key("name", column.name.as_ref());
            self.key("type", column.sql_type.as_ref());
            self.key("values", column.values.as_ref());
        }
    }

    fn header(&mut self, header: &str) {
        let _ = writeln!(self.0, "\n{header}");
    }

    fn query(&mut self, query: &profile::Query) {
        self.key("name", query.name.as_ref());
        self.key("weight", query.weight.as_ref());
        self.key("newest_column", query.newest_column.as_ref());
        self.key("gpu", query.gpu.as_ref());
        self.key("answers", query.answers.as_ref());
        self.key("tolerance", query.tolerance.as_ref());
        self.key("ties", query.ties.as_ref());
        self.key("sql", query.sql.as_ref());
    }

    fn bench(&mut self, bench: &profile::Bench) {
        self.header("[bench]");
        self.key("table", bench.table.as_ref());
        self.key("gpu", bench.gpu.as_ref());
        self.key("order", bench.order.as_ref());
        self.key("pairs_min", bench.pairs_min.as_ref());
        self.key("pairs_max", bench.pairs_max.as_ref());
        self.key("time_s", bench.time_s.as_ref());
        self.key("precision", bench.precision.as_ref());
        self.key("statement_timeout_s", bench.statement_timeout_s.as_ref());
        self.key("writes", bench.writes.as_ref());
        for query in bench.queries.iter().flatten() {
            self.header("[[bench.queries]]");
            self.query(query);
        }
        for step in bench.steps.iter().flatten() {
            self.header("[[bench.steps]]");
            self.key("name", step.name.as_ref());
            self.key("table", step.table.as_ref());
            self.key("arrow_from", step.arrow_from.as_ref());
            self.key("arrow_folder", step.arrow_folder.as_ref());
            self.key("before", step.before.as_ref());
            self.key("after", step.after.as_ref());
            self.key("queries", step.queries.as_ref());
        }
    }

    fn sweep(&mut self, sweep: &profile::Sweep) {
        self.header("[sweep]");
        self.key("mode", sweep.mode.as_ref());
        self.key("rounds", sweep.rounds.as_ref());
        self.key("max_combinations", sweep.max_combinations.as_ref());
        self.key("if_absent", sweep.if_absent.as_ref());
        for setting in sweep.settings.iter().flatten() {
            self.header("[[sweep.settings]]");
            self.key("name", setting.name.as_ref());
            self.key("values", setting.values.as_ref());
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "strings, 64-bit numbers and tables of them have a form"
    )]
    fn key(&mut self, key: &str, value: Option<&impl Serialize>) {
        if let Some(value) = value {
            let mut text = String::new();
            let serializer = toml::ser::ValueSerializer::new(&mut text);
            value.serialize(serializer).expect("a profile's value has a TOML form");
            let _ = writeln!(self.0, "{key} = {text}");
        }
    }
}

/// The result file holds the plan in the profile's own keys and units.
impl<J: WriteKeys> Serialize for Plan<J> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Profile::from(self).serialize(serializer)
    }
}

impl<J: WriteKeys> From<&Plan<J>> for Profile {
    fn from(plan: &Plan<J>) -> Self {
        let Common { name, seed, watch, thresholds, tables } = &plan.common;
        let mut profile = Self {
            name: Some(name.clone().into()),
            seed: Some(whole(*seed)),
            thresholds: Some(thresholds.iter().map(|t| t.to_string().into()).collect()),
            watch: Some(watch.into()),
            tables: (!tables.is_empty())
                .then(|| tables.iter().map(|table| profile::Table::from(table).into()).collect()),
            ..Self::default()
        };
        plan.job.write(&mut profile);
        profile
    }
}

/// A job that can be written into a profile.
pub trait WriteKeys {
    /// Adds the job's keys.
    fn write(&self, profile: &mut Profile);

    /// The job's arms, in the profile's order.
    fn arms(&self) -> &[ArmPlan];
}

impl WriteKeys for Job {
    fn write(&self, profile: &mut Profile) {
        match self {
            Self::Stream(job) => job.write(profile),
            Self::Benchmark(job) => job.write(profile),
            Self::Sweep(job) => job.write(profile),
        }
    }

    fn arms(&self) -> &[ArmPlan] {
        match self {
            Self::Stream(job) => job.arms(),
            Self::Benchmark(job) => job.arms(),
            Self::Sweep(job) => job.arms(),
        }
    }
}

impl WriteKeys for StreamJob {
    fn write(&self, profile: &mut Profile) {
        let Self { warmup, duration, drain_timeout, stream, readers, recovery, audit } = self;
        let duration_s = duration.map_or(SecondsOrForever::Forever, |duration| {
            SecondsOrForever::Seconds(Number(duration.as_secs_f64()))
        });
        profile.warmup_s = Some(seconds(*warmup));
        profile.duration_s = Some(duration_s.into());
        profile.drain_timeout_s = Some(seconds(*drain_timeout));
        profile.audit = Some((*audit).into());
        profile.stream = Some(stream.into());
        profile.readers = Some(readers.into());
        profile.recovery = Some(recovery.into());
        profile.arms = written_arms(&readers.arms);
        profile.evidence = Some((&readers.evidence).into());
    }

    fn arms(&self) -> &[ArmPlan] {
        &self.readers.arms
    }
}

impl WriteKeys for Bench {
    fn write(&self, profile: &mut Profile) {
        profile.bench = Some(self.into());
        profile.arms = written_arms(&self.arms);
        profile.evidence = Some((&self.evidence).into());
    }

    fn arms(&self) -> &[ArmPlan] {
        &self.arms
    }
}

impl WriteKeys for SweepJob {
    fn write(&self, profile: &mut Profile) {
        self.bench.write(profile);
        profile.sweep = Some((&self.sweep).into());
    }

    fn arms(&self) -> &[ArmPlan] {
        self.bench.arms()
    }
}

fn written_arms(arms: &[ArmPlan]) -> Option<BTreeMap<String, Located<profile::Arm>>> {
    (!arms.is_empty()).then(|| arms.iter().map(|arm| (arm.name.clone(), arm.into())).collect())
}

impl From<&super::Stream> for profile::Stream {
    fn from(stream: &super::Stream) -> Self {
        let super::Stream { table, columns, partitions, rate, batch_rows, linger, recreate } =
            stream;
        let rows_per_s = match rate {
            StreamRate::RowsPerSecond(rate) => RateOrMax::PerSecond(Number(rate.get() as f64)),
            StreamRate::Max => RateOrMax::Max,
        };
        Self {
            table: Some(table.as_written().into()),
            partitions: Some(whole(partitions.get())),
            rows_per_s: Some(rows_per_s.into()),
            batch_rows: Some(whole(batch_rows.get())),
            // From whole microseconds: seconds times 1000 would not be exact.
            linger_ms: Some(Number(linger.as_micros() as f64 / 1e3).into()),
            recreate: Some(profile::Recreate::from(recreate).into()),
            columns: Some(columns.iter().map(|c| profile::Column::from(c).into()).collect()),
        }
    }
}

impl From<&Column> for profile::Column {
    fn from(column: &Column) -> Self {
        Self {
            name: Some(column.name.clone().into()),
            sql_type: Some(column.sql_type.to_string().into()),
            values: Some(values(column).into()),
        }
    }
}

impl From<&super::Readers> for profile::Readers {
    fn from(readers: &super::Readers) -> Self {
        let super::Readers {
            count,
            queries_per_s,
            gpu,
            arms: _,
            statement_timeout,
            writes,
            evidence: _,
            queries,
        } = readers;
        Self {
            count: Some(whole(*count)),
            queries_per_s: queries_per_s.map(|rate| Number(rate).into()),
            gpu: Some((*gpu).into()),
            statement_timeout_s: Some(seconds(*statement_timeout)),
            writes: Some(*writes),
            queries: Some(queries.iter().map(|q| profile::Query::from(q).into()).collect()),
        }
    }
}

impl From<&super::Query> for profile::Query {
    fn from(query: &super::Query) -> Self {
        Self {
            name: Some(query.name.clone().into()),
            weight: Some(whole(query.weight.get())),
            newest_column: query.newest_column.clone().map(Located::from),
            gpu: query.gpu.map(profile::Gpu::from),
            answers: Some(query.answers.compare.into()),
            tolerance: query.answers.tolerance.map(|tolerance| Number(tolerance).into()),
            ties: (!query.answers.ties.is_empty()).then(|| query.answers.ties.clone()),
            sql: Some(query.sql.clone().into()),
        }
    }
}

impl From<&super::ArmPlan> for Located<profile::Arm> {
    fn from(arm: &super::ArmPlan) -> Self {
        let set = arm.set.iter();
        let set = set.map(|(name, value)| (name.clone(), SettingValue(value.clone()))).collect();
        profile::Arm { set: Some(set) }.into()
    }
}

impl From<&super::EvidencePlan> for profile::Evidence {
    fn from(evidence: &super::EvidencePlan) -> Self {
        let super::EvidencePlan { every, analyze, check_answers, answers_every } = evidence;
        Self {
            plans_every_s: Some(seconds(*every)),
            analyze: Some(*analyze),
            check_answers: Some(*check_answers),
            answers_every_s: Some(seconds(*answers_every)),
        }
    }
}

impl From<AnswerCompare> for profile::Answers {
    fn from(compare: AnswerCompare) -> Self {
        match compare {
            AnswerCompare::Rows => Self::Rows,
            AnswerCompare::Count => Self::Count,
            AnswerCompare::Off => Self::Off,
        }
    }
}

impl From<GpuChoice> for profile::Gpu {
    fn from(gpu: GpuChoice) -> Self {
        match gpu {
            GpuChoice::Auto => Self::Auto,
            GpuChoice::On => Self::On,
            GpuChoice::Off => Self::Off,
            GpuChoice::Alternate => Self::Alternate,
        }
    }
}

impl From<&super::Recovery> for profile::Recovery {
    fn from(recovery: &super::Recovery) -> Self {
        let super::Recovery {
            delivery,
            on_fault,
            reconnect_timeout,
            backlog_rows,
            catch_up_factor,
        } = recovery;
        Self {
            delivery: Some((*delivery).into()),
            on_fault: Some((*on_fault).into()),
            reconnect_timeout_s: Some(seconds(*reconnect_timeout)),
            backlog_rows: Some(whole(*backlog_rows)),
            catch_up_factor: Some(Number(*catch_up_factor).into()),
        }
    }
}

impl From<Delivery> for profile::Delivery {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::ExactlyOnce => Self::ExactlyOnce,
            Delivery::AtLeastOnce => Self::AtLeastOnce,
            Delivery::AtMostOnce => Self::AtMostOnce,
        }
    }
}

impl From<OnFault> for profile::OnFault {
    fn from(on_fault: OnFault) -> Self {
        match on_fault {
            OnFault::Recover => Self::Recover,
            OnFault::Stop => Self::Stop,
        }
    }
}

impl From<Audit> for profile::Audit {
    fn from(audit: Audit) -> Self {
        match audit {
            Audit::Full => Self::Full,
            Audit::Count => Self::Count,
            Audit::Off => Self::Off,
        }
    }
}

fn values(column: &Column) -> Written {
    let scale = match column.sql_type {
        ColumnType::Numeric { scale, .. } => scale,
        _ => 0,
    };
    let number = |value: u64| Some(Whole(value as i64));
    let written_pick = |pick: &Pick| match pick {
        Pick::Random => Some(profile::Pick::Random),
        Pick::Cycle => Some(profile::Pick::Cycle),
    };
    match &column.values {
        Values::RowId => Written::RowId,
        Values::Partition => Written::Partition,
        Values::DueTime => Written::DueTime,
        Values::Label { prefix, min, max, pick } => Written::Label(profile::Label {
            prefix: Some(prefix.clone()),
            min: number(*min),
            max: number(*max),
            pick: written_pick(pick),
        }),
        Values::Integer { min, max, pick } => Written::Integer(profile::Integer {
            min: Some(Whole(*min)),
            max: Some(Whole(*max)),
            pick: written_pick(pick),
        }),
        Values::Decimal { min, max } => Written::Decimal(profile::Decimal {
            min: Some(format_units(*min, scale)),
            max: Some(format_units(*max, scale)),
        }),
        Values::Float { min, max } => {
            Written::Float(profile::Float { min: Some(Number(*min)), max: Some(Number(*max)) })
        }
        Values::Day { min, max, pick } => Written::Day(profile::Day {
            min: Some(format_day(*min)),
            max: Some(format_day(*max)),
            pick: written_pick(pick),
        }),
        Values::Text { min_chars, max_chars } => Written::Text(profile::Text {
            min_chars: number((*min_chars).into()),
            max_chars: number((*max_chars).into()),
        }),
        Values::Boolean { true_ratio } => {
            Written::Boolean(profile::Boolean { true_ratio: Some(Number(*true_ratio)) })
        }
    }
}

pub(super) fn whole(value: impl Into<u64>) -> Located<Whole> {
    Whole(value.into() as i64).into()
}

pub(super) fn seconds(duration: Duration) -> Located<Number> {
    Number(duration.as_secs_f64()).into()
}
