//! Layers what was given over the profile over the defaults, and checks what comes out.

use super::fault::{Fault, Faults, Place};
use super::kind::Kind;
use super::overrides::{Override, Overrides};
use super::resolver::Resolver;
use super::source::{ProfileSource, Report};
use super::sweep::SweepJob;
use super::watch::Watch;
use super::{Common, Job, Plan};
use crate::profile::document::Table;
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
        let kind = kind(&document, &mut report);
        for (number, given) in overrides.iter().enumerate() {
            let own = |key: &&&str| kind.has(key.split('.').next().unwrap_or_default());
            for key in given.setting.keys.iter().filter(own) {
                // What is no table is a fault of its own.
                document.lay(key, given.node(&report.span_of(number)));
            }
        }
        let mut profile = report.read(document);
        let mut resolver = Resolver::new(report, overrides);
        // A faulty value is reported and replaced, so that what follows is checked too.
        let (mut common, job) = resolver.job(source, kind, &mut profile);
        common.left_over = resolver.of_no_use(kind, &common, job.as_ref());
        common.profile = Box::new(profile);
        Faults::check(resolver.report.into_faults()).map(|()| Self { common, job })
    }
}

/// What the profile is for. Keys of other jobs are faults.
fn kind(document: &Table, report: &mut Report<'_>) -> Kind {
    let Some(kind) = Kind::of(document) else {
        let is_told = ["stream", "bench", "tables"].iter().any(|key| report.damaged(key));
        if !is_told {
            let what = match document.get("readers") {
                Some(_) => "the profile has readers, and no stream that they read beside",
                None => "the profile has no stream, no benchmark and no tables",
            };
            let fix = "add `[stream]`, which may be empty, or `[bench]`, or `[[tables]]` for \
                       `strom-load fill`";
            let place = report.file();
            report.push(Fault { place, what: what.to_owned(), fix: fix.to_owned() });
        }
        return Kind::Stream;
    };
    let is_bench = matches!(kind, Kind::Benchmark | Kind::Sweep);
    for entry in document.entries() {
        // Of a benchmark, a stream beside it is one fault.
        let is_beside = is_bench && matches!(entry.key.as_str(), "stream" | "readers");
        if is_known(&entry.key) && !kind.has(&entry.key) && !is_beside {
            let what = format!("`{}` has no meaning for {kind}", entry.key);
            let fix = match kind {
                Kind::Fill => "delete it, or add `[stream]` or `[bench]`",
                _ => "delete it",
            };
            report.at(&entry.key_span, what, fix.to_owned());
        }
    }
    kind
}

/// Keys of the root that some job has; others are faults of their own.
fn is_known(key: &str) -> bool {
    const KEYS: [&str; 12] = [
        "warmup_s",
        "duration_s",
        "drain_timeout_s",
        "audit",
        "allow_dropped",
        "thresholds",
        "stream",
        "readers",
        "recovery",
        "arms",
        "evidence",
        "watch",
    ];
    KEYS.contains(&key)
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
        let seed = self.seed(&mut profile.seed);
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
        let thresholds = match watched {
            true => self.thresholds(profile.thresholds.get_or_insert_default()),
            false => Vec::new(),
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

    /// What was given and is of no use to the job.
    fn of_no_use(&self, kind: Kind, common: &Common, job: Option<&Job>) -> Vec<Fault> {
        let fault = |given: &Override| {
            let Override { setting, origin, .. } = given;
            let name = origin.name();
            let unknown = match setting.flag {
                "--recreate" => self.unknown_for_recreate(common, job),
                _ => None,
            };
            let (what, fix) = unknown.unwrap_or_else(|| match setting.kinds(kind).as_slice() {
                [] => (
                    format!("`{name}` is about `[[tables]]`, and the profile has none"),
                    "leave it out".to_owned(),
                ),
                kinds => (
                    format!("`{name}` has no meaning for {kind}"),
                    format!("leave it out: it is for {}", kinds.join(" or ")),
                ),
            });
            Fault { place: Place::Given(origin.clone()), what, fix }
        };
        self.left_over().map(fault).collect()
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
    fn seed(&mut self, value: &mut Option<Located<Whole>>) -> u64 {
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
