//! Resolves the benchmark of a profile.

use std::collections::HashSet;

use super::Resolver;
use super::limits::{PAIRS_MAX, PAIRS_MIN, PRECISION, QUERY_TIME, STATEMENT_TIMEOUT};
use crate::plan::bench::{ArrowSource, Bench, Order, Step};
use crate::plan::fault::suggest;
use crate::plan::query::resolve_queries;
use crate::plan::{GpuChoice, TableName};
use crate::profile::{self, Located, Profile};

/// Where the server's account can read, on most systems; /tmp may be the server's own.
const ARROW_FOLDER: &str = "/var/tmp";

impl Resolver<'_> {
    /// The benchmark, if the profile has one.
    pub(super) fn bench(&mut self, profile: &Profile) -> Option<Bench> {
        let bench = profile.bench.as_ref()?;
        let o = self.overrides;
        if profile.stream.is_some() || profile.readers.is_some() {
            let what = "the profile has a `[bench]`, and a `[stream]` or `[readers]` beside it";
            let fix = "write two profiles: a benchmark needs tables that stand still";
            self.fault::<(), ()>(None, None, what.to_owned(), fix.to_owned());
        }
        let written = bench.queries.as_deref().unwrap_or_default();
        self.only_for_readers(written);
        let queries = resolve_queries(&mut self.report, written);
        if written.is_empty() && !self.report.damaged("bench.queries") {
            let what = "the benchmark has no query".to_owned();
            let fix = "add one under `[[bench.queries]]`".to_owned();
            self.fault::<(), ()>(None, None, what, fix);
        }
        let table = bench.table.as_ref().and_then(|table| self.bench_table(table));
        let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        let steps = self.steps(bench.steps.as_deref().unwrap_or_default(), &names);
        let table = table.or_else(|| Self::first_table(profile));
        if let Some(query) = queries.iter().find(|query| query.sql.contains("{table}"))
            && steps.iter().any(|step| step.table.is_none())
            && table.is_none()
        {
            let what = format!("query `{}` names `{{table}}`, and there is none", query.name);
            let fix = "say what it stands for with `table` under `[bench]`".to_owned();
            self.fault::<(), ()>(None, None, what, fix);
        }
        let pairs_min =
            self.number("pairs_min", o.pairs_min.as_ref(), bench.pairs_min.as_ref(), &PAIRS_MIN);
        let pairs_max =
            self.number("pairs_max", o.pairs_max.as_ref(), bench.pairs_max.as_ref(), &PAIRS_MAX);
        let writes = bench.writes.unwrap_or(false);
        let gpu = o.gpu.as_ref().map(|given| given.value).or(bench.gpu.map(GpuChoice::from));
        let order = o.order.as_ref().map(|given| given.value).or(bench.order.map(Order::from));
        Some(Bench {
            table,
            gpu: gpu.unwrap_or(GpuChoice::Auto),
            arms: self.arms(profile.arms.as_ref(), writes, "[bench]"),
            writes,
            order: order.unwrap_or(Order::Interleaved),
            pairs_min: pairs_min as u32,
            pairs_max: pairs_max.max(pairs_min) as u32,
            time: self.time("time_s", o.query_time.as_ref(), bench.time_s.as_ref(), &QUERY_TIME),
            precision: self.number(
                "precision",
                o.precision.as_ref(),
                bench.precision.as_ref(),
                &PRECISION,
            ),
            statement_timeout: self.time(
                "statement_timeout_s",
                o.statement_timeout.as_ref(),
                bench.statement_timeout_s.as_ref(),
                &STATEMENT_TIMEOUT,
            ),
            evidence: self.evidence(&profile.evidence.clone().unwrap_or_default()),
            queries,
            steps,
        })
    }

    fn only_for_readers(&mut self, queries: &[Located<profile::Query>]) {
        for query in queries {
            let weight = query.weight.as_ref().map(|key| ("weight", key.span()));
            let newest = query.newest_column.as_ref().map(|key| ("newest_column", key.span()));
            for (key, span) in weight.into_iter().chain(newest) {
                let what = format!("`{key}` is for the readers of a stream");
                self.report.at(&span, what, "delete it".to_owned());
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
                before: step.before.clone().unwrap_or_default(),
                after: step.after.clone().unwrap_or_default(),
                queries: chosen,
            });
        }
        steps
    }
}

impl Resolver<'_> {
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

impl From<profile::Order> for Order {
    fn from(order: profile::Order) -> Self {
        match order {
            profile::Order::Interleaved => Self::Interleaved,
            profile::Order::Sequential => Self::Sequential,
        }
    }
}

impl From<&Bench> for profile::Bench {
    fn from(bench: &Bench) -> Self {
        use crate::plan::render::{seconds, whole};
        let step = |step: &Step| profile::Step {
            name: step.name.clone().map(Located::from),
            table: step.table.as_ref().map(|table| table.as_written().into()),
            arrow_from: step.arrow.as_ref().map(|arrow| arrow.from.as_written().into()),
            arrow_folder: step.arrow.as_ref().map(|arrow| arrow.folder.clone()),
            before: (!step.before.is_empty()).then(|| step.before.clone()),
            after: (!step.after.is_empty()).then(|| step.after.clone()),
            queries: (step.queries.len() < bench.queries.len()).then(|| {
                let name = |at: &usize| bench.queries[*at].name.clone().into();
                step.queries.iter().map(name).collect()
            }),
        };
        let named = bench.steps.iter().all(|step| step.name.is_some());
        Self {
            table: bench.table.as_ref().map(|table| table.as_written().into()),
            gpu: Some(bench.gpu.into()),
            order: Some(match bench.order {
                Order::Interleaved => profile::Order::Interleaved,
                Order::Sequential => profile::Order::Sequential,
            }),
            pairs_min: Some(whole(bench.pairs_min)),
            pairs_max: Some(whole(bench.pairs_max)),
            time_s: Some(seconds(bench.time)),
            precision: Some(profile::Number(bench.precision).into()),
            statement_timeout_s: Some(seconds(bench.statement_timeout)),
            writes: Some(bench.writes),
            steps: named.then(|| bench.steps.iter().map(|s| step(s).into()).collect()),
            queries: Some(
                bench
                    .queries
                    .iter()
                    .map(|query| {
                        let query = profile::Query::from(query);
                        profile::Query { weight: None, ..query }.into()
                    })
                    .collect(),
            ),
        }
    }
}
