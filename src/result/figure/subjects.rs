//! What of a job figures can be of, and the figures by their names.

use super::{FIGURES, Figure, NamedFigure, Of, PLACEHOLDERS};
use crate::result::{Body, JobResult};

impl Figure {
    /// Whether a name, taken apart, is one of this figure.
    fn is_named(&self, parts: &[&str]) -> bool {
        let own: Vec<&str> = self.name.split('.').collect();
        let is = |(own, part): (&&str, &&str)| PLACEHOLDERS.contains(own) || own == part;
        own.len() == parts.len() && own.iter().zip(parts).all(is)
    }

    /// The figure of a name, whatever step, query and arm it names.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        let parts: Vec<&str> = name.split('.').collect();
        let parts = match parts.as_slice() {
            ["step", _, rest @ ..] => rest,
            all => all,
        };
        FIGURES.iter().find(|figure| figure.is_named(parts))
    }
}

/// What a job has of which figures can be.
#[derive(Debug, Clone, Copy)]
pub struct Subjects<'a> {
    /// Its kind, as results name it.
    pub kind: &'static str,
    /// The steps of a benchmark; empty where it has but one, and in other jobs.
    pub steps: &'a [&'a str],
    /// Its queries.
    pub queries: &'a [&'a str],
    /// The arms that they may run in.
    pub arms: &'a [&'a str],
}

/// Why a text names no figure of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// This part of it is no name of that kind: a figure, a step, a query or an arm.
    Unknown {
        /// What the part should name.
        what: &'static str,
        /// The part.
        part: String,
        /// What it could be.
        known: Vec<String>,
    },
    /// The figure is of these kinds of jobs.
    OfOthers(&'static [&'static str]),
    /// The job has several steps, and the name does not say which of them is meant.
    WhichStep,
    /// The job has no queries.
    NoQueries,
}

impl Subjects<'_> {
    /// The figure of that name.
    ///
    /// # Errors
    /// When the job has none.
    pub fn find(&self, name: &str) -> Result<NamedFigure, NameError> {
        let mut parts: Vec<&str> = name.split('.').collect();
        let unknown = |what, part: &str, known: &[&str]| NameError::Unknown {
            what,
            part: part.to_owned(),
            known: known.iter().map(|known| (*known).to_owned()).collect(),
        };
        let mut step = None;
        if let ["step", named, ..] = *parts {
            if !self.steps.contains(&named) {
                return Err(unknown("step", named, self.steps));
            }
            step = Some(named.to_owned());
            parts.drain(..2);
        }
        let fitting: Vec<&'static Figure> =
            FIGURES.iter().filter(|figure| figure.is_named(&parts)).collect();
        let Some(figure) = fitting.iter().find(|figure| figure.kinds().contains(&self.kind)) else {
            return Err(match fitting.first() {
                Some(figure) => NameError::OfOthers(figure.kinds()),
                None => self.unknown_figure(name, &parts),
            });
        };
        if self.queries.is_empty() && figure.is_of_queries() {
            return Err(NameError::NoQueries);
        }
        let mut named = NamedFigure { figure, step, query: None, arm: None };
        for (own, part) in figure.name.split('.').zip(&parts) {
            let (what, known, place) = match own {
                "QUERY" => ("query", self.queries, &mut named.query),
                "ARM" => ("arm", self.arms, &mut named.arm),
                _ => continue,
            };
            if !known.contains(part) {
                return Err(unknown(what, part, known));
            }
            *place = Some((*part).to_owned());
        }
        let of_step = matches!(figure.of, Of::Bench(_) | Of::Ratio(_)) && !self.steps.is_empty();
        match (of_step, &named.step) {
            (true, None) => Err(NameError::WhichStep),
            (false, Some(_)) => Err(self.unknown_figure(name, &parts)),
            _ => Ok(named),
        }
    }

    /// What may stand where `parts` names no figure: of the same query, or any.
    fn unknown_figure(&self, name: &str, parts: &[&str]) -> NameError {
        let own = FIGURES.iter().filter(|figure| figure.kinds().contains(&self.kind));
        let last = |figure: &Figure| figure.name.rsplit('.').next().unwrap_or_default().to_owned();
        let alike: Vec<&Figure> = own
            .clone()
            .filter(|figure| {
                let [kind, .., _] = parts else { return false };
                figure.name.split('.').next() == Some(kind)
                    && figure.name.split('.').count() == parts.len()
            })
            .collect();
        match (alike.as_slice(), parts.last()) {
            ([_, ..], Some(part)) => NameError::Unknown {
                what: "figure",
                part: (*part).to_owned(),
                known: alike.into_iter().map(last).collect(),
            },
            _ => NameError::Unknown {
                what: "figure",
                part: name.to_owned(),
                known: own.map(|figure| figure.name.to_owned()).collect(),
            },
        }
    }
}

/// The names of what a result has of which figures can be.
#[derive(Debug, Clone, Default)]
pub struct Names<'a> {
    kind: &'static str,
    steps: Vec<&'a str>,
    queries: Vec<&'a str>,
    arms: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// Those of a result.
    pub fn of(result: &'a JobResult) -> Self {
        let mut own = Self { kind: result.kind(), ..Self::default() };
        match &result.body {
            Body::Stream(_) | Body::Faults(_) => {
                for query in result.stream().into_iter().flat_map(|run| &run.queries) {
                    add(&mut own.queries, &query.query);
                    add(&mut own.arms, &query.arm);
                }
            }
            Body::Benchmark(run) => {
                for query in run.queries() {
                    add(&mut own.queries, &query.query);
                    query.arms.iter().for_each(|arm| add(&mut own.arms, &arm.arm));
                }
                if run.steps.len() > 1 {
                    own.steps = run.steps.iter().map(|step| step.name.as_str()).collect();
                }
            }
            Body::Sweep(run) => {
                run.sweep.queries.iter().for_each(|query| add(&mut own.queries, &query.query));
            }
        }
        own
    }

    /// The same, to find figures by.
    pub fn subjects(&self) -> Subjects<'_> {
        let Self { kind, steps, queries, arms } = self;
        Subjects { kind, steps, queries, arms }
    }
}

fn add<'a>(names: &mut Vec<&'a str>, name: &'a str) {
    if !names.contains(&name) {
        names.push(name);
    }
}

impl NamedFigure {
    /// Every figure that a result has a value of, in the order of [`FIGURES`]; each once.
    pub fn measured(result: &JobResult) -> Vec<Self> {
        let names = Names::of(result);
        let some = |all: &[&str]| -> Vec<Option<String>> {
            all.iter().map(|name| Some((*name).to_owned())).collect()
        };
        let (steps, queries, arms) = (some(&names.steps), some(&names.queries), some(&names.arms));
        let none = vec![None];
        let mut all: Vec<Self> = Vec::new();
        for figure in FIGURES.iter().filter(|own| own.kinds().contains(&names.kind)) {
            let has = |what: &str| figure.name.split('.').any(|part| part == what);
            let of_step = matches!(figure.of, Of::Bench(_) | Of::Ratio(_)) && !steps.is_empty();
            for step in if of_step { &steps } else { &none } {
                for query in if has("QUERY") { &queries } else { &none } {
                    for arm in if has("ARM") { &arms } else { &none } {
                        let (step, query, arm) = (step.clone(), query.clone(), arm.clone());
                        let named = Self { figure, step, query, arm };
                        if named.value(result).is_some() {
                            all.push(named);
                        }
                    }
                }
            }
        }
        all
    }
}
