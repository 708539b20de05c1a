//! Layers the overrides over the profile over the defaults, and checks what comes out.

mod arms;
mod bench;
mod limits;
mod recovery;
mod recreate;
mod sweep;
mod tables;
mod watch;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::column::resolve_columns;
use super::fault::{Fault, Faults, Place};
use super::overrides::{Given, Overrides};
use super::query::resolve_queries;
use super::source::{ProfileSource, Report};
use super::threshold::parse_threshold;
use super::{
    Audit, Common, GpuChoice, Job, Plan, Readers, Stream, StreamJob, StreamRate, SweepJob,
    TableName,
};
use crate::profile::{self, Located, Number, Profile, RateOrMax, SecondsOrForever, Whole};
use crate::quantity::{Rate, RunLength, format_duration};
use limits::{
    BATCH, BATCH_ROWS_UNTHROTTLED, DRAIN_TIMEOUT, DURATION, LINGER, Limits, PARTITIONS,
    QUERIES_PER_S, READERS, ROWS_PER_S, STATEMENT_TIMEOUT, WARMUP,
};

const SEED: u64 = 42;
const TABLE: &str = "l40s_realtime_stream";
impl Plan {
    /// The plan of a profile: overrides over the file over the defaults. On failure, every fault.
    pub fn resolve(source: &ProfileSource, overrides: &Overrides) -> Result<Self, Faults> {
        let (profile, report) = Report::read(source);
        let mut resolver = Resolver { report, overrides, replaced: Vec::new() };
        // A faulty value is reported and replaced, so that what follows is checked too.
        let plan = resolver.plan(source, &profile);
        Faults::check(resolver.report.into_faults()).map(|()| plan)
    }
}

/// A number that a profile or an override may hold.
trait Amount {
    fn number(&self) -> f64;

    /// For people; a file's own text is shown instead.
    fn shown(&self) -> String {
        self.number().to_string()
    }
}

impl Amount for Whole {
    fn number(&self) -> f64 {
        self.0 as f64
    }
}

impl Amount for Number {
    fn number(&self) -> f64 {
        self.0
    }
}

impl Amount for u64 {
    fn number(&self) -> f64 {
        *self as f64
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Amount for f64 {
    fn number(&self) -> f64 {
        *self
    }
}

impl Amount for Duration {
    fn number(&self) -> f64 {
        self.as_secs_f64()
    }

    fn shown(&self) -> String {
        format_duration(*self)
    }
}

/// Whole microseconds, which a TOML number holds exactly for ten years.
fn seconds(s: f64) -> Duration {
    Duration::from_micros((s * 1e6).round() as u64)
}

struct Resolver<'a> {
    report: Report<'a>,
    overrides: &'a Overrides,
    /// Keys of numbers that were faulty; a value that depends on one of them is not judged by it.
    replaced: Vec<&'static str>,
}

impl Resolver<'_> {
    fn plan(&mut self, source: &ProfileSource, profile: &Profile) -> Plan {
        let common = Common {
            name: self.profile_name(source, profile.name.as_ref()),
            seed: self.seed(profile.seed.as_ref()),
            watch: self.watch(&profile.watch.clone().unwrap_or_default()),
            thresholds: self.thresholds(profile.thresholds.as_deref().unwrap_or_default()),
            tables: self.tables(profile),
        };
        // A stream's keys are judged whatever the job is.
        let stream = self.stream_job(profile);
        let job = match (self.bench(profile), self.sweep(profile)) {
            (Some(bench), Some(sweep)) => Job::Sweep(Box::new(SweepJob { bench, sweep })),
            (Some(bench), None) => Job::Benchmark(Box::new(bench)),
            (None, _) => Job::Stream(Box::new(stream)),
        };
        self.named_for_recreate(&common, &job);
        Plan { common, job }
    }

    fn stream_job(&mut self, profile: &Profile) -> StreamJob {
        let o = self.overrides;
        let stream = self.stream(&profile.stream.clone().unwrap_or_default());
        let audit = o.audit.as_ref().map(|given| given.value).or(profile.audit.map(Audit::from));
        StreamJob {
            warmup: self.time("warmup_s", o.warmup.as_ref(), profile.warmup_s.as_ref(), &WARMUP),
            duration: self.duration(profile.duration_s.as_ref()),
            drain_timeout: self.time(
                "drain_timeout_s",
                o.drain_timeout.as_ref(),
                profile.drain_timeout_s.as_ref(),
                &DRAIN_TIMEOUT,
            ),
            readers: self.readers(profile),
            recovery: self.recovery(&profile.recovery.clone().unwrap_or_default(), &stream),
            stream,
            audit: audit.unwrap_or(Audit::Full),
        }
    }

    fn stream(&mut self, stream: &profile::Stream) -> Stream {
        let o = self.overrides;
        let rate = self.rate(stream.rows_per_s.as_ref());
        let batch = match rate {
            StreamRate::RowsPerSecond(_) => BATCH,
            StreamRate::Max => Limits { default: BATCH_ROWS_UNTHROTTLED, ..BATCH },
        };
        let partitions = self.number(
            "partitions",
            o.partitions.as_ref(),
            stream.partitions.as_ref(),
            &PARTITIONS,
        );
        let batch_rows =
            self.number("batch_rows", o.batch_rows.as_ref(), stream.batch_rows.as_ref(), &batch);
        let linger_ms = stream.linger_ms.as_ref();
        let table = self.table(stream.table.as_ref());
        Stream {
            columns: resolve_columns(&mut self.report, stream.columns.as_deref()),
            partitions: NonZeroU32::new(partitions as u32).unwrap_or(NonZeroU32::MIN),
            rate,
            batch_rows: NonZeroU32::new(batch_rows as u32).unwrap_or(NonZeroU32::MIN),
            linger: seconds(self.scaled("linger_ms", o.linger.as_ref(), linger_ms, 1e-3, &LINGER)),
            recreate: self.recreate(stream.recreate.as_ref(), &table),
            table,
        }
    }

    fn readers(&mut self, profile: &Profile) -> Readers {
        let o = self.overrides;
        let readers = &profile.readers.clone().unwrap_or_default();
        let written = readers.queries.as_deref().unwrap_or_default();
        let limits = match written {
            [] => Limits { default: 0.0, ..READERS },
            _ => READERS,
        };
        let count =
            self.number("count", o.readers.as_ref(), readers.count.as_ref(), &limits) as u32;
        if count > 0 && written.is_empty() && !self.report.damaged("readers.queries") {
            let (given, file) = (o.readers.as_ref(), readers.count.as_ref());
            let (subject, shown) = self.words("count", given, file);
            let what = format!("{subject} is {shown}, but the readers have no query");
            let fix = "add one under `[[readers.queries]]`, or set the number of readers to 0";
            self.fault(given, file, what, fix.to_owned());
        }
        let gpu = o.gpu.as_ref().map(|given| given.value).or(readers.gpu.map(GpuChoice::from));
        // A benchmark has these for itself, and reports what is wrong with them.
        let is_bench = profile.bench.is_some();
        let writes = readers.writes.unwrap_or(false);
        let evidence = profile.evidence.clone().filter(|_| !is_bench).unwrap_or_default();
        Readers {
            count,
            queries_per_s: self.query_rate(readers.queries_per_s.as_ref()),
            gpu: gpu.unwrap_or(GpuChoice::Auto),
            arms: match is_bench {
                true => Vec::new(),
                false => self.arms(profile.arms.as_ref(), writes, "[readers]"),
            },
            writes,
            evidence: self.evidence(&evidence),
            statement_timeout: self.time(
                "statement_timeout_s",
                o.statement_timeout.as_ref(),
                readers.statement_timeout_s.as_ref(),
                &STATEMENT_TIMEOUT,
            ),
            queries: resolve_queries(&mut self.report, written),
        }
    }

    fn profile_name(&mut self, source: &ProfileSource, name: Option<&Located<String>>) -> String {
        let is_name = |name: &str| {
            (1..=100).contains(&name.len())
                && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        };
        let fix = "use up to 100 lower-case letters, digits, `_` and `-`, such as \"realtime\"";
        if let Some(name) = name {
            if !is_name(name) {
                let what = format!("`{}` cannot name a results folder", name.as_str());
                self.report.at(&name.span(), what, fix.to_owned());
            }
            return name.to_string();
        }
        let stem = source.stem();
        if !is_name(stem) && !self.report.damaged("name") {
            let what =
                format!("the profile has no `name`, and `{stem}` cannot name a results folder");
            let fault =
                Fault { place: self.report.file(), what, fix: format!("add `name`: {fix}") };
            self.report.push(fault);
        }
        stem.to_owned()
    }

    /// TOML's integers end at 2⁶³ − 1, so a seed beyond could not be written to a profile.
    fn seed(&mut self, file: Option<&Located<Whole>>) -> u64 {
        let given = self.overrides.seed.as_ref();
        let value = match (given, file) {
            (Some(given), _) => i64::try_from(given.value).ok(),
            (None, Some(file)) => Some(file.0),
            (None, None) => return SEED,
        };
        value.and_then(|seed| u64::try_from(seed).ok()).unwrap_or_else(|| {
            let (subject, shown) = self.words("seed", given, file);
            let what = format!("{subject} is {shown}, outside 0 to {}", i64::MAX);
            self.fault(given, file, what, "choose a number such as 42".to_owned());
            SEED
        })
    }

    fn duration(&mut self, file: Option<&Located<SecondsOrForever>>) -> Option<Duration> {
        let (given, file) = match (&self.overrides.duration, file.map(|file| (file, **file))) {
            (Some(Given { value: RunLength::Forever, .. }), _)
            | (None, Some((_, SecondsOrForever::Forever))) => return None,
            (Some(Given { value: RunLength::For(length), origin }), _) => {
                (Some(Given { value: *length, origin: origin.clone() }), None)
            }
            (None, Some((file, SecondsOrForever::Seconds(s)))) => (None, Some(file.with(s))),
            (None, None) => (None, None),
        };
        Some(self.time("duration_s", given.as_ref(), file.as_ref(), &DURATION))
    }

    fn rate(&mut self, file: Option<&Located<RateOrMax>>) -> StreamRate {
        let (given, file) = match (&self.overrides.rate, file.map(|file| (file, **file))) {
            (Some(Given { value: Rate::Max, .. }), _) | (None, Some((_, RateOrMax::Max))) => {
                return StreamRate::Max;
            }
            (Some(Given { value: Rate::PerSecond(rate), origin }), _) => {
                (Some(Given { value: *rate, origin: origin.clone() }), None)
            }
            (None, Some((file, RateOrMax::PerSecond(rate)))) => (None, Some(file.with(rate))),
            (None, None) => (None, None),
        };
        let rate = self.number("rows_per_s", given.as_ref(), file.as_ref(), &ROWS_PER_S);
        StreamRate::RowsPerSecond(NonZeroU64::new(rate as u64).unwrap_or(NonZeroU64::MIN))
    }

    fn query_rate(&mut self, file: Option<&Located<Number>>) -> Option<f64> {
        let given = match &self.overrides.query_rate {
            Some(Given { value: Rate::Max, .. }) => return None,
            Some(Given { value: Rate::PerSecond(rate), origin }) => {
                Some(Given { value: *rate, origin: origin.clone() })
            }
            None if file.is_none() => return None,
            None => None,
        };
        Some(self.number("queries_per_s", given.as_ref(), file, &QUERIES_PER_S))
    }

    fn table(&mut self, file: Option<&Located<String>>) -> TableName {
        let given = self.overrides.table.as_ref();
        let written = match (given, file) {
            (Some(given), _) => given.value.as_str(),
            (None, Some(file)) => file.as_str(),
            (None, None) => TABLE,
        };
        written.parse().unwrap_or_else(|error| {
            let what = format!("`{written}` is not a table's name: {error}");
            let fix =
                "write `table` or `schema.table`, a part in double quotes where SQL needs them";
            self.fault(given, file, what, fix.to_owned());
            TableName { schema: None, name: TABLE.to_owned() }
        })
    }

    fn thresholds(&mut self, file: &[Located<String>]) -> Vec<super::Threshold> {
        let mut thresholds = Vec::new();
        if let Some(given) = &self.overrides.thresholds {
            for given in given {
                match parse_threshold(&given.value) {
                    Ok(threshold) => thresholds.push(threshold),
                    Err(bad) => self.fault::<_, ()>(Some(given), None, bad.what, bad.fix),
                }
            }
            return thresholds;
        }
        for written in file {
            match parse_threshold(written) {
                Ok(threshold) => thresholds.push(threshold),
                Err(bad) => self.report.at(&written.span(), bad.what, bad.fix),
            }
        }
        thresholds
    }

    /// A time that the file holds in seconds.
    fn time(
        &mut self,
        key: &'static str,
        given: Option<&Given<Duration>>,
        file: Option<&Located<Number>>,
        limits: &Limits,
    ) -> Duration {
        seconds(self.number(key, given, file, limits))
    }

    fn number<G: Amount, F: Amount>(
        &mut self,
        key: &'static str,
        given: Option<&Given<G>>,
        file: Option<&Located<F>>,
        limits: &Limits,
    ) -> f64 {
        self.scaled(key, given, file, 1.0, limits)
    }

    /// The value within its limits, or a fault and the default; the file's unit is `file_unit`.
    fn scaled<G: Amount, F: Amount>(
        &mut self,
        key: &'static str,
        given: Option<&Given<G>>,
        file: Option<&Located<F>>,
        file_unit: f64,
        limits: &Limits,
    ) -> f64 {
        let value = match (given, file) {
            (Some(given), _) => given.value.number(),
            (None, Some(file)) => file.number() * file_unit,
            (None, None) => return limits.default,
        };
        // A range contains no NaN.
        let is_inside = (limits.min..=limits.max).contains(&value);
        if is_inside && (!limits.is_whole || value.fract() == 0.0) {
            return value;
        }
        let (subject, shown) = self.words(key, given, file);
        let what = if is_inside {
            format!("{subject} is {shown}, not a whole number")
        } else {
            format!("{subject} is {shown}, outside {}", limits.range)
        };
        self.fault(given, file, what, limits.fix.to_owned());
        self.replaced.push(key);
        limits.default
    }

    /// How to name a setting and its value: as the user gave them.
    fn words<G: Amount, F>(
        &self,
        key: &str,
        given: Option<&Given<G>>,
        file: Option<&Located<F>>,
    ) -> (String, String) {
        match (given, file) {
            (Some(given), _) => (format!("`{}`", given.origin.name()), given.value.shown()),
            (None, file) => {
                let written = file.map_or("", |file| self.report.written(&file.span()));
                (format!("`{key}`"), written.to_owned())
            }
        }
    }

    /// A fault in the value that counts: the override's if there is one.
    fn fault<G, F>(
        &mut self,
        given: Option<&Given<G>>,
        file: Option<&Located<F>>,
        what: String,
        fix: String,
    ) {
        match (given, file) {
            (Some(given), _) => {
                self.report.push(Fault { place: Place::Given(given.origin.clone()), what, fix });
            }
            (None, Some(file)) => self.report.at(&file.span(), what, fix),
            (None, None) => self.report.push(Fault { place: self.report.file(), what, fix }),
        }
    }
}

impl From<profile::Gpu> for GpuChoice {
    fn from(gpu: profile::Gpu) -> Self {
        match gpu {
            profile::Gpu::Auto => Self::Auto,
            profile::Gpu::On => Self::On,
            profile::Gpu::Off => Self::Off,
            profile::Gpu::Alternate => Self::Alternate,
        }
    }
}

impl From<profile::Audit> for Audit {
    fn from(audit: profile::Audit) -> Self {
        match audit {
            profile::Audit::Full => Self::Full,
            profile::Audit::Count => Self::Count,
            profile::Audit::Off => Self::Off,
        }
    }
}
