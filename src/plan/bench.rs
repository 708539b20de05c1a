//! The plan of a benchmark: queries on tables that stand still, each in both arms.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use super::evidence::{ArmPlan, EvidencePlan};
use super::fault::suggest;
use super::limits::{Limits, REPEATS, STATEMENT_TIMEOUT};
use super::query::{Query, Section};
use super::query_text::Statement;
use super::resolver::{Idle, Resolver, seconds};
use super::{GpuChoice, TableName};
use crate::profile::{self, Located, Profile, Whole};

pub(crate) use crate::profile::{Order, Restart};

/// Where the server's account can read, on most systems; /tmp may be the server's own.
const ARROW_FOLDER: &str = "/var/tmp";

const PAIRS_MIN: Limits = Limits {
    default: 30.0,
    min: 1.0,
    max: 100_000.0,
    is_whole: true,
    range: "1 to 100,000",
    fix: "choose a number such as 30; fewer pairs do not show a state of the server that lasts",
};
const PAIRS_MAX: Limits = Limits {
    default: 200.0,
    min: 1.0,
    max: 100_000.0,
    is_whole: true,
    range: "1 to 100,000",
    fix: "choose the most pairs of a query, such as 200",
};
const QUERY_TIME: Limits = Limits {
    default: 60.0,
    min: 1e-3,
    max: 86_400.0,
    is_whole: false,
    range: "1 ms to 1 day",
    fix: "choose the most time for one query, such as 60 s",
};
const PRECISION: Limits = Limits {
    default: 0.05,
    min: 1e-4,
    max: 10.0,
    is_whole: false,
    range: "0.0001 to 10",
    fix: "choose how exactly a ratio is to be known, such as 0.05 for 5 %",
};

/// Queries on tables that stand still, each in both arms.
#[derive(Debug, Clone, PartialEq)]
pub struct Bench {
    /// What `{table}` stands for in the queries.
    pub table: Option<TableName>,
    /// Which GPU arms the queries run in.
    pub gpu: GpuChoice,
    /// The arms of the profile, instead of the GPU's: none, or two.
    pub arms: Vec<ArmPlan>,
    /// How the executions of the two arms follow each other.
    pub order: Order,
    /// Fewest pairs of a query, unless its time is up before.
    pub pairs_min: u32,
    /// Most pairs of a query.
    pub pairs_max: u32,
    /// Most time for the pairs of a query.
    pub time: Duration,
    /// How often that is repeated, each time with new sessions; at least 1.
    pub repeats: u32,
    /// What begins anew with a repeat.
    pub restart: Restart,
    /// A query is done when the interval of its ratio reaches at most this far, as a share.
    pub precision: f64,
    /// Limit of one query on the server.
    pub statement_timeout: Duration,
    /// Whether the queries may write; if not, their sessions are read-only.
    pub writes: bool,
    /// How plans and answers are looked at.
    pub evidence: EvidencePlan,
    /// The queries; at least one.
    pub queries: Vec<Query>,
    /// What is done one behind the other; at least one step.
    pub steps: Vec<Step>,
}

/// One step of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name in reports; `None` if there is only this step.
    pub name: Option<String>,
    /// What `{table}` stands for, if not as in the whole benchmark.
    pub table: Option<TableName>,
    /// Makes that table a foreign table over an Arrow file.
    pub arrow: Option<ArrowSource>,
    /// Statements that make it ready.
    pub before: Vec<Statement>,
    /// Statements that undo that.
    pub after: Vec<Statement>,
    /// Queries that are run, by their index.
    pub queries: Vec<usize>,
}

/// Where the rows of a step's Arrow file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrowSource {
    /// The table that is written to it.
    pub from: TableName,
    /// The folder that it lies in.
    pub folder: String,
}

impl Resolver<'_> {
    pub(super) fn benchmark(&mut self, profile: &mut Profile) -> Bench {
        let common = self.bench(profile);
        let bench = profile.bench.get_or_insert_default();
        let given =
            [&bench.pairs_min, &bench.pairs_max].map(|pairs| pairs.as_ref().map(Located::span));
        let pairs_min = self.number("pairs_min", &mut bench.pairs_min, &PAIRS_MIN) as u32;
        let mut pairs_max = self.number("pairs_max", &mut bench.pairs_max, &PAIRS_MAX) as u32;
        if pairs_max < pairs_min && self.is_raised(&given, bench, [pairs_min, pairs_max]) {
            pairs_max = pairs_min;
            bench.pairs_max = bench.pairs_max.as_ref().map(|most| most.with(whole(pairs_max)));
        }
        let order = self.choice(&mut bench.order, Order::Interleaved);
        let repeats = self.number("repeats", &mut bench.repeats, &REPEATS) as u32;
        if repeats > 1 && order == Order::Sequential {
            let what = "the order is sequential, and the measurement is to be repeated".to_owned();
            let fix =
                "leave one of them out: of a biased order no number of repeats makes a fair one";
            self.fault(bench.repeats.as_ref(), what, fix.to_owned());
        }
        let is_idle = bench.repeats_restart.is_some() && repeats == 1;
        let mut restart = self.choice(&mut bench.repeats_restart, Restart::Sessions);
        if is_idle {
            restart = Restart::Sessions;
            let idle = Idle {
                here: "without repeats",
                fix: "leave it out, or say with --repeats how many there are",
            };
            self.note_idle(bench.repeats_restart.as_ref(), idle);
        }
        Bench {
            order,
            repeats,
            restart,
            pairs_min,
            pairs_max,
            time: self.time("time_s", &mut bench.time_s, &QUERY_TIME),
            precision: self.number("precision", &mut bench.precision, &PRECISION),
            ..common
        }
    }

    /// Whether the most pairs of a query, being below the fewest, are raised to those: where nobody gave
    /// them, or only a profile did and the fewest come from the call. Else they are kept: a run of too few
    /// pairs says so. Both given in one place contradict each other, a fault.
    fn is_raised(
        &mut self,
        [min_at, max_at]: &[Option<Range<usize>>; 2],
        bench: &profile::Bench,
        [pairs_min, pairs_max]: [u32; 2],
    ) -> bool {
        let Some(max_at) = max_at else { return true };
        let Some(min_at) = min_at else { return false };
        let [min_of_call, max_of_call] =
            [min_at, max_at].map(|at| self.report.override_at(at).is_some());
        if min_of_call == max_of_call {
            let what =
                format!("the most pairs of a query are {pairs_max}, and the fewest {pairs_min}");
            let fix = "raise `pairs_max`, lower `pairs_min`, or leave one of them out".to_owned();
            self.fault(bench.pairs_max.as_ref(), what, fix);
        }
        min_of_call && !max_of_call
    }

    /// The queries of a sweep. It has no pairs, and its rounds are its own.
    pub(super) fn queries_of_sweep(&mut self, profile: &mut Profile) -> Bench {
        if profile.bench.is_none() && !self.report.damaged("bench") {
            let what = "the profile has a `[sweep]`, and no `[bench]` whose queries measure it";
            let fix = "add `[bench]` with one query or a few";
            self.fault::<()>(None, what.to_owned(), fix.to_owned());
        }
        self.bench(profile)
    }

    /// What a benchmark and a sweep have in common; the rest by default.
    fn bench(&mut self, profile: &mut Profile) -> Bench {
        if profile.stream.is_some() || profile.readers.is_some() {
            let what = "the profile has a `[bench]`, and a `[stream]` or `[readers]` beside it";
            let fix = "write two profiles: a benchmark needs tables that stand still";
            self.fault::<()>(None, what.to_owned(), fix.to_owned());
        }
        let (first_table, is_there) = (Self::first_table(profile), profile.bench.is_some());
        let bench = profile.bench.get_or_insert_default();
        let written = bench.queries.get_or_insert_default();
        self.only_for_readers(written);
        let writes = *bench.writes.get_or_insert(false);
        let queries = self.queries(written, &Section::of_benchmark(writes));
        if is_there && written.is_empty() && !self.report.damaged("bench.queries") {
            let what = "the benchmark has no query".to_owned();
            let fix = "add one under `[[bench.queries]]`".to_owned();
            self.fault::<()>(None, what, fix);
        }
        for query in written {
            // Of readers.
            query.weight = None;
        }
        let table = bench.table.as_ref().and_then(|table| self.bench_table(table));
        let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        let steps = self.steps(bench.steps.as_deref().unwrap_or_default(), &names);
        let table = table.or(first_table);
        if let Some(query) = queries.iter().find(|query| query.sql.contains("{table}"))
            && steps.iter().any(|step| step.table.is_none())
            && table.is_none()
        {
            let what = format!("query `{}` names `{{table}}`, and there is none", query.name);
            let fix = "say what it stands for with `table` under `[bench]`".to_owned();
            self.fault::<()>(None, what, fix);
        }
        bench.table = table.as_ref().map(|table| table.as_written().into());
        Bench {
            table,
            gpu: self.choice(&mut bench.gpu, GpuChoice::Auto),
            arms: self.arms(profile.arms.as_ref(), writes, "[bench]"),
            writes,
            order: Order::Interleaved,
            pairs_min: PAIRS_MIN.default as u32,
            pairs_max: PAIRS_MAX.default as u32,
            time: seconds(QUERY_TIME.default),
            repeats: REPEATS.default as u32,
            restart: Restart::Sessions,
            precision: PRECISION.default,
            statement_timeout: self.time(
                "statement_timeout_s",
                &mut bench.statement_timeout_s,
                &STATEMENT_TIMEOUT,
            ),
            evidence: self.evidence(profile.evidence.get_or_insert_default()),
            queries,
            steps,
        }
    }

    fn only_for_readers(&mut self, queries: &[Located<profile::Query>]) {
        for query in queries {
            let weight = query.weight.as_ref().map(|key| ("weight", key.span()));
            let newest = query.newest_column.as_ref().map(|key| ("newest_column", key.span()));
            let writes = query.writes.as_ref().map(|key| ("writes", key.span()));
            let changes = query.changes.as_ref().map(|key| ("changes", key.span()));
            for (key, span) in [weight, newest, writes, changes].into_iter().flatten() {
                let what = format!("`{key}` is for the readers of a stream");
                let fix = match key {
                    "writes" => {
                        "delete it, or let all queries write: `writes = true` under `[bench]`"
                    }
                    _ => "delete it",
                };
                self.report.at(&span, what, fix.to_owned());
            }
        }
    }

    fn first_table(profile: &Profile) -> Option<TableName> {
        let first = profile.tables.as_deref()?.first()?;
        first.name.as_ref()?.parse().ok()
    }

    fn bench_table(&mut self, written: &Located<String>) -> Option<TableName> {
        match written.parse() {
            Ok(table) => Some(table),
            Err(error) => {
                let what = format!("`{}` is not a table's name: {error}", written.as_str());
                let fix = "write `table` or `schema.table`";
                self.report.at(&written.span(), what, fix.to_owned());
                None
            }
        }
    }

    fn steps(&mut self, written: &[Located<profile::Step>], queries: &[&str]) -> Vec<Step> {
        let all: Vec<usize> = (0..queries.len()).collect();
        if written.is_empty() {
            let (before, after) = (Vec::new(), Vec::new());
            return vec![Step {
                name: None,
                table: None,
                arrow: None,
                before,
                after,
                queries: all,
            }];
        }
        let mut names = HashSet::new();
        let mut steps = Vec::new();
        for step in written {
            let Some(name) = &step.name else {
                let fix = "add it, for example `name = \"with_index\"`".to_owned();
                self.report.missing_in(&step.span(), "name", "a step has no `name`".into(), fix);
                continue;
            };
            let is_name = (1..=63).contains(&name.len())
                && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
            if !is_name || !names.insert(name.to_string()) {
                let what = format!("`{}` cannot name a step", name.as_str());
                let fix = "use lower-case letters, digits and `_`, and each name once";
                self.report.at(&name.span(), what, fix.to_owned());
            }
            let table = step.table.as_ref().and_then(|table| self.bench_table(table));
            let chosen = match &step.queries {
                None => all.clone(),
                Some(chosen) => chosen
                    .iter()
                    .filter_map(|query| {
                        let found = queries.iter().position(|name| *name == query.as_str());
                        if found.is_none() {
                            let what = format!("there is no query `{}`", query.as_str());
                            let fix = suggest(query, queries.iter().copied());
                            self.report.at(&query.span(), what, fix);
                        }
                        found
                    })
                    .collect(),
            };
            steps.push(Step {
                name: Some(name.to_string()),
                arrow: self.arrow_source(step, table.as_ref()),
                table,
                before: self.statements(step.before.as_deref()),
                after: self.statements(step.after.as_deref()),
                queries: chosen,
            });
        }
        steps
    }

    fn statements(&self, written: Option<&[Located<String>]>) -> Vec<Statement> {
        let statement = |written: &Located<String>| Statement {
            sql: written.to_string(),
            place: self.report.sql_place(&written.span()),
        };
        written.unwrap_or_default().iter().map(statement).collect()
    }

    fn arrow_source(
        &mut self,
        step: &profile::Step,
        table: Option<&TableName>,
    ) -> Option<ArrowSource> {
        let written = step.arrow_from.as_ref()?;
        if table.is_none() {
            let what = "`arrow_from` makes a foreign table, and the step has no `table`".to_owned();
            let fix = "name the foreign table with `table`".to_owned();
            self.report.at(&written.span(), what, fix);
        }
        let folder = step.arrow_folder.clone().unwrap_or_else(|| ARROW_FOLDER.to_owned());
        Some(ArrowSource { from: self.bench_table(written)?, folder })
    }
}

fn whole(number: u32) -> Whole {
    Whole(number.into())
}

impl Step {
    /// Its name in reports.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("all")
    }
}
