//! Layers what was given over the profile over the defaults, and checks what comes out.

use std::ops::Range;

use super::fault::{Fault, Faults, Place};
use super::kind::Kind;
use super::overrides::{Override, Overrides};
use super::resolver::{Idle, Resolver};
use super::source::{ProfileSource, Report};
use super::sweep::SweepJob;
use super::watch::Watch;
use super::{Common, Job, LeftOver, Plan};
use crate::profile::document::{Entry, Table, Value};
use crate::profile::{Located, Profile, Whole};

const SEED: u64 = 42;

impl Plan {
    /// The plan of a profile that is to be run: what was given over the file over the defaults.
    ///
    /// # Errors
    /// Every fault; also that the profile has tables alone.
    pub fn resolve(source: &ProfileSource, overrides: &Overrides) -> Result<Self, Faults> {
        let Plan { common, job } = Plan::read(source, overrides)?;
        job.map(|job| Self { common, job }).ok_or_else(|| {
            Faults::from(Fault {
                place: Place::File { file: source.name.clone() },
                what: "the profile has only `[[tables]]`, and nothing to run".to_owned(),
                fix: "fill them with `strom-load fill`, or add `[stream]` or `[bench]`".to_owned(),
            })
        })
    }
}

impl Plan<Option<Job>> {
    /// The plan of a profile, which may have tables alone.
    ///
    /// # Errors
    /// Every fault.
    pub fn read(source: &ProfileSource, overrides: &Overrides) -> Result<Self, Faults> {
        let (mut document, mut report) = Report::parse(source, overrides);
        let told = Kind::of(&document);
        let kind = told.unwrap_or(Kind::Stream);
        let written = keys(&document);
        for (number, given) in overrides.iter().enumerate() {
            for key in given.setting.keys.iter().filter(|key| kind.has(key)) {
                // What is no table is a fault of its own.
                document.lay(key, given.node(&report.span_of(number)));
            }
        }
        let mut profile = report.read(document);
        match told {
            Some(kind) => refuse_others(kind, &written, &mut report),
            None => refuse_nothing(&profile, &mut report),
        }
        let mut resolver = Resolver::new(report, overrides);
        // A faulty value is reported and replaced, so that what follows is checked too.
        let (mut common, job) = resolver.job(source, kind, &mut profile);
        common.left_over = resolver.of_no_use(kind, &common, job.as_ref());
        common.profile = Box::new(profile);
        Faults::check(resolver.report.into_faults()).map(|()| Self { common, job })
    }
}

/// The keys of the root and those under `[bench]`, dotted, with their places.
fn keys(document: &Table) -> Vec<(String, Range<usize>)> {
    let dotted = |section: &str, table: &Table| -> Vec<_> {
        let own = |entry: &Entry| (format!("{section}{}", entry.key), entry.key_span.clone());
        table.entries().iter().map(own).collect()
    };
    let bench = match document.get("bench").map(|entry| &entry.node.value) {
        Some(Value::Table(bench)) => dotted("bench.", bench),
        _ => Vec::new(),
    };
    [dotted("", document), bench].concat()
}

/// Refuses keys that jobs of this kind do not have.
fn refuse_others(kind: Kind, written: &[(String, Range<usize>)], report: &mut Report<'_>) {
    let is_bench = matches!(kind, Kind::Benchmark | Kind::Sweep);
    for (key, span) in written {
        // Of a benchmark, a stream beside it is one fault. What no job has is a fault of its own.
        let is_beside = is_bench && matches!(key.as_str(), "stream" | "readers");
        if kind.has(key) || is_beside || report.is_unknown(key) {
            continue;
        }
        let what = format!("`{}` has no meaning for {kind}", key.trim_start_matches("bench."));
        let fix = match kind {
            Kind::Fill => "delete it, or add `[stream]` or `[bench]`",
            Kind::Sweep if key.starts_with("bench.") => "delete it; a sweep has `rounds`",
            _ => "delete it",
        };
        report.at(span, what, fix.to_owned());
    }
}

/// Refuses a profile that says of no job.
fn refuse_nothing(profile: &Profile, report: &mut Report<'_>) {
    // What was meant to say it may be cut out.
    if ["stream", "bench", "tables"].iter().any(|key| report.damaged(key)) {
        return;
    }
    let what = match profile.readers {
        Some(_) => "the profile has readers, and no stream that they read beside",
        None => "the profile has no stream, no benchmark and no tables",
    };
    let fix = "add `[stream]`, which may be empty, or `[bench]`, or `[[tables]]` for `strom-load \
               fill`";
    let place = report.file();
    report.push(Fault { place, what: what.to_owned(), fix: fix.to_owned() });
}

impl Resolver<'_> {
    fn job(
        &mut self,
        source: &ProfileSource,
        kind: Kind,
        profile: &mut Profile,
    ) -> (Common, Option<Job>) {
        let name = self.profile_name(source, profile.name.as_ref());
        profile.name = Some(name.clone().into());
        let seed = self.profile_seed(&mut profile.seed);
        self.seed = seed;
        let tables = self.tables(profile.tables.as_deref_mut().unwrap_or_default(), seed);
        let job = match kind {
            Kind::Stream => Some(Job::Stream(Box::new(self.stream_job(profile)))),
            Kind::Benchmark => Some(Job::Benchmark(Box::new(self.benchmark(profile)))),
            Kind::Sweep => {
                let bench = self.queries_of_sweep(profile);
                let sweep = self.sweep(profile);
                Some(Job::Sweep(Box::new(SweepJob { bench, sweep })))
            }
            Kind::Fill => None,
        };
        let watched = kind.has("watch");
        let watch = watched.then(|| self.watch(profile.watch.get_or_insert_default()));
        let thresholds = match &job {
            Some(job) => {
                let whole = self.queries_are_whole(profile, job);
                self.thresholds(profile.thresholds.get_or_insert_default(), job, whole)
            }
            None => Vec::new(),
        };
        let common = Common {
            name,
            seed,
            watch: watch.unwrap_or(Watch::NOTHING),
            thresholds,
            tables,
            left_over: Vec::new(),
            profile: Box::default(),
        };
        (common, job)
    }

    /// Whether every query that the profile has can be told: none is faulty.
    fn queries_are_whole(&self, profile: &Profile, job: &Job) -> bool {
        let (written, resolved) = match job {
            Job::Stream(job) => {
                (profile.readers.as_ref().and_then(|of| of.queries.as_ref()), &job.readers.queries)
            }
            Job::Benchmark(bench) => {
                (profile.bench.as_ref().and_then(|of| of.queries.as_ref()), &bench.queries)
            }
            Job::Sweep(job) => {
                (profile.bench.as_ref().and_then(|of| of.queries.as_ref()), &job.bench.queries)
            }
        };
        let damaged = ["readers", "readers.queries", "readers.count", "bench", "bench.queries"];
        written.map_or(0, Vec::len) == resolved.len()
            && !damaged.iter().any(|key| self.report.damaged(key))
    }

    /// What was given and is of no use to the job.
    fn of_no_use(&self, kind: Kind, common: &Common, job: Option<&Job>) -> Vec<LeftOver> {
        let fault = |(given, idle): (&Override, Option<Idle>)| {
            let Override { setting, origin, .. } = given;
            let name = origin.name();
            let unknown = match setting.flag {
                "--recreate" => self.unknown_for_recreate(common, job),
                _ => None,
            };
            let idle = idle.map(|Idle { here, fix }| {
                (format!("`{name}` has no meaning {here}"), fix.to_owned())
            });
            let (what, fix) =
                unknown.or(idle).unwrap_or_else(|| match setting.kinds(kind).as_slice() {
                    [] => (
                        format!("`{name}` is about `[[tables]]`, and the profile has none"),
                        "leave it out".to_owned(),
                    ),
                    kinds => (
                        format!("`{name}` has no meaning for {kind}"),
                        format!("leave it out: it is for {}", kinds.join(" or ")),
                    ),
                });
            let fault = Fault { place: Place::Given(origin.clone()), what, fix };
            LeftOver { value: None, fault }
        };
        self.left_over().map(fault).chain(self.elsewhere.iter().cloned()).collect()
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
            self.fault::<()>(None, what, format!("add `name`: {fix}"));
        }
        stem.to_owned()
    }

    /// TOML's integers end at 2⁶³ − 1, so a seed beyond could not be written to a profile.
    fn profile_seed(&mut self, value: &mut Option<Located<Whole>>) -> u64 {
        let Some(written) = self.take(value.as_ref()) else {
            *value = Some(Whole(SEED as i64).into());
            return SEED;
        };
        u64::try_from(written.0).unwrap_or_else(|_| {
            let (subject, shown) = self.report.words("seed", &written.span());
            let what = format!("{subject} is {shown}, outside 0 to {}", i64::MAX);
            self.fault(Some(&written), what, "choose a number such as 42".to_owned());
            SEED
        })
    }
}
