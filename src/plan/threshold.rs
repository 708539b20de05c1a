//! Thresholds: `figure op number`, which may end the job, and how they are judged.

use std::fmt;
use std::time::Duration;

use super::fault::{Fault, suggest};
use super::resolver::Resolver;
use super::{Job, LeftOver};
use crate::profile::Located;
use crate::quantity::{format_duration, parse_duration};
pub use crate::result::figure::ThresholdOp;
use crate::result::figure::{How, Known, NameError, NamedFigure, Subjects, Value};
use crate::result::{JobResult, ThresholdReport};

/// Names that are shown for one that is unknown.
const NEAREST_MAX: usize = 3;
/// Where one can look up what a threshold may name.
const LISTED: &str = "`strom-load thresholds` lists the figures";

/// How a threshold is written.
const THRESHOLD_FORM: &str = "write a figure, one of < <= > >=, and a number: \"response_p99_ms < 50\"; `abort` or \
                              `abort after 10s` behind it ends the run";
/// How a gate is.
const GATE_FORM: &str = "write a figure, one of < <= > >=, and a number: 'response_p99_ms < 50' is one of B, and \
                         'response_p99_ms <= 1.10x' one of B as a multiple of A";

/// A condition on a figure of the result, for example `response_p99_ms < 50`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The figure.
    pub figure: NamedFigure,
    /// Comparison.
    pub op: ThresholdOp,
    /// Limit.
    pub limit: f64,
    /// From this long after the start of the measurement on, the job ends once the condition does
    /// not hold; `None`: never.
    pub abort_after: Option<Duration>,
}

impl Threshold {
    /// How it stands in a result. A figure that was not measured or rests on too few samples does not hold,
    /// a lower bound is never below anything, and an upper bound never above.
    pub fn judge(&self, result: &JobResult) -> ThresholdReport {
        let value = self.figure.value(result);
        let passed = value.is_some_and(|value| self.holds(value));
        // Asked of the same figure: the loader's delay may make the tail, and the server the median.
        let without_own = value.filter(|_| !passed).and_then(|_| self.figure.without_own(result));
        ThresholdReport {
            threshold: self.to_string(),
            value: value.map(|value| value.number),
            at_least: value.is_some_and(|value| value.known == Known::AtLeast),
            at_most: value.is_some_and(|value| value.known == Known::AtMost),
            passed,
            unjudged: self.figure.too_few(result).map(|few| few.to_string()),
            without_own: without_own.filter(|value| self.holds(*value)).map(|value| value.number),
            aborted_at_s: None,
        }
    }

    /// Whether a value meets it, whatever a bound may stand for.
    fn holds(&self, value: Value) -> bool {
        use ThresholdOp::{Above, AtLeast, AtMost, Below};
        let may_hold = match value.known {
            Known::Exactly => true,
            Known::AtLeast => matches!(self.op, Above | AtLeast),
            Known::AtMost => matches!(self.op, Below | AtMost),
        };
        may_hold && self.op.holds(value.number, self.limit)
    }
}

impl Resolver<'_> {
    pub(super) fn thresholds(
        &mut self,
        written: &mut Vec<Located<String>>,
        job: &Job,
        queries_are_whole: bool,
    ) -> Vec<Threshold> {
        let (queries, arms, steps) = (job.query_names(), job.arm_names(), job.step_names());
        let subjects =
            Subjects { kind: job.kind_name(), queries: &queries, arms: &arms, steps: &steps };
        let mut thresholds = Vec::new();
        written.retain_mut(|written| {
            self.note_use(written);
            let parsed = Draft::parse(written, THRESHOLD_FORM)
                .and_then(|draft| draft.of(&subjects).map_err(|bad| draft.unnamed(&bad)))
                .and_then(Threshold::known_in_time)
                .and_then(|threshold| threshold.measured_by(job));
            match parsed {
                Ok(threshold) => {
                    *written = threshold.to_string().into();
                    thresholds.push(threshold);
                }
                // A query that is faulty itself may be the one that is named.
                Err(bad) if bad.of == Of::Subjects && !queries_are_whole => {}
                // Another profile of the call may have it.
                Err(bad)
                    if bad.of != Of::Itself
                        && self.report.override_at(&written.span()).is_some() =>
                {
                    let place = self.report.place(&written.span());
                    let fault = Fault { place, what: bad.what, fix: bad.fix };
                    self.elsewhere.push(LeftOver { value: Some(written.to_string()), fault });
                    return false;
                }
                Err(bad) => self.report.at(&written.span(), bad.what, bad.fix),
            }
            true
        });
        thresholds
    }
}

impl Job {
    /// Its kind, as results and lists name it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Self::Stream(_) => "stream",
            Self::Benchmark(_) => "benchmark",
            Self::Sweep(_) => "sweep",
        }
    }

    /// The names of the queries that are run.
    fn query_names(&self) -> Vec<&str> {
        self.queries().iter().map(|query| query.name.as_str()).collect()
    }

    /// The arms that some query may run in.
    fn arm_names(&self) -> Vec<&str> {
        if matches!(self, Self::Sweep(_)) {
            return Vec::new();
        }
        let mut names: Vec<&str> =
            self.queries().iter().flat_map(|query| self.arms_of(query)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The steps of a benchmark that has several.
    fn step_names(&self) -> Vec<&str> {
        let Self::Benchmark(bench) = self else { return Vec::new() };
        let named = bench.steps.iter().filter_map(|step| step.name.as_deref());
        if bench.steps.len() > 1 { named.collect() } else { Vec::new() }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.figure, self.op.symbol(), self.limit)?;
        match self.abort_after {
            None => Ok(()),
            Some(Duration::ZERO) => f.write_str(" abort"),
            Some(after) => {
                let after = format_duration(after).replace(' ', "");
                write!(f, " abort after {after}")
            }
        }
    }
}

/// What is wrong with a threshold, and how to mend it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ThresholdFault {
    what: String,
    fix: String,
    of: Of,
}

/// What a threshold is faulty by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// By itself: it is so for every profile.
    Itself,
    /// By what this profile is or does.
    Profile,
    /// By the steps, queries and arms of this profile.
    Subjects,
}

impl ThresholdFault {
    fn new(what: String, fix: impl Into<String>) -> Self {
        Self { what, fix: fix.into(), of: Of::Itself }
    }

    /// A fault of this profile, and not of others.
    pub(super) fn of_profile(what: String, fix: impl Into<String>) -> Self {
        Self { what, fix: fix.into(), of: Of::Profile }
    }
}

/// A condition on how runs compare: a threshold of the second side, or of the ratio of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// The figure.
    pub figure: NamedFigure,
    /// Comparison.
    pub op: ThresholdOp,
    /// Limit.
    pub limit: f64,
    /// Whether the limit is one of the ratio of the second side to the first: `1.10x`.
    pub of_ratio: bool,
}

impl Gate {
    /// Reads a gate, such as `response_p99_ms <= 1.10x`, on runs that have these.
    ///
    /// # Errors
    /// What is wrong with it, and a fix in a line of its own.
    pub fn parse(text: &str, subjects: &Subjects<'_>) -> Result<Self, String> {
        let trimmed = text.trim_end();
        let ratio = trimmed.strip_suffix(['x', '×']).filter(|rest| {
            rest.trim_end().ends_with(|last: char| last.is_ascii_digit() || last == '.')
        });
        let told = |bad: ThresholdFault| {
            format!("{}\n  fix: {}", bad.what.replace("threshold", "gate"), bad.fix)
        };
        let draft = Draft::parse(ratio.unwrap_or(trimmed), GATE_FORM).map_err(told)?;
        let Threshold { figure, op, limit, abort_after } =
            draft.of(subjects).map_err(|bad| told(draft.unnamed(&bad)))?;
        let fault = |what: String, fix: &str| Err(format!("{what}\n  fix: {fix}"));
        if abort_after.is_some() {
            return fault(
                format!("gate `{text}` has an `abort`, and the runs are over"),
                "leave it out",
            );
        }
        let gate = Self { figure, op, limit, of_ratio: ratio.is_some() };
        if gate.of_ratio && gate.figure.figure.nature().how != How::Ratio {
            let what = format!("`{}` is not compared by its ratio", gate.figure);
            return fault(what, "leave the `x` out: the limit then holds for each run of B");
        }
        if gate.of_ratio && limit <= 0.0 {
            return fault(format!("gate `{text}`: no ratio is {limit}"), "write one such as 1.10x");
        }
        Ok(gate)
    }
}

impl Gate {
    /// The same for runs that are still to be made.
    ///
    /// # Errors
    /// As for [`Gate::parse`].
    pub fn parse_for(text: &str, job: &Job) -> Result<Self, String> {
        let (queries, arms, steps) = (job.query_names(), job.arm_names(), job.step_names());
        let kind = job.kind_name();
        Self::parse(text, &Subjects { kind, queries: &queries, arms: &arms, steps: &steps })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = if self.of_ratio { "x" } else { "" };
        write!(f, "{} {} {}{x}", self.figure, self.op.symbol(), self.limit)
    }
}

/// A threshold as written: its figure is a text.
#[derive(Debug)]
struct Draft<'a> {
    figure: &'a str,
    op: ThresholdOp,
    limit: f64,
    abort_after: Option<Duration>,
}

impl<'a> Draft<'a> {
    /// Reads one; what is in no form at all is told the right one.
    fn parse(text: &'a str, form: &str) -> Result<Self, ThresholdFault> {
        let wrong_form = |what: String| ThresholdFault::new(what, form);
        let op_start = text
            .find(['<', '>', '='])
            .ok_or_else(|| wrong_form(format!("threshold `{text}` compares nothing")))?;
        let (figure, rest) = text.split_at(op_start);
        let limit_start = rest.find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(rest.len());
        let (op, rest) = rest.split_at(limit_start);
        let op = match op {
            "<" => ThresholdOp::Below,
            "<=" => ThresholdOp::AtMost,
            ">" => ThresholdOp::Above,
            ">=" => ThresholdOp::AtLeast,
            _ => return Err(wrong_form(format!("`{op}` is not a comparison"))),
        };
        let mut words = rest.split_whitespace();
        let limit = words.next().unwrap_or_default();
        let limit = match limit.parse::<f64>() {
            Ok(limit) if limit.is_finite() => limit,
            _ => return Err(wrong_form(format!("`{limit}` is not a number"))),
        };
        let abort_after = match words.collect::<Vec<_>>().as_slice() {
            [] => None,
            ["abort"] => Some(Duration::ZERO),
            ["abort", "after", time @ ..] if !time.is_empty() => {
                let time = parse_duration(&time.concat());
                Some(time.map_err(|error| wrong_form(error.to_string()))?)
            }
            [first, ..] => {
                return Err(wrong_form(format!("`{first}` behind the number means nothing")));
            }
        };
        Ok(Self { figure: figure.trim(), op, limit, abort_after })
    }

    fn of(&self, subjects: &Subjects<'_>) -> Result<Threshold, NameError> {
        let Self { op, limit, abort_after, .. } = *self;
        Ok(Threshold { figure: subjects.find(self.figure)?, op, limit, abort_after })
    }

    fn unnamed(&self, error: &NameError) -> ThresholdFault {
        let name = self.figure;
        let (what, fix) = match error {
            NameError::Unknown { what: "figure", known, .. } => (
                format!("threshold names an unknown figure `{name}`"),
                match nearest_few(name, known) {
                    (true, near) => format!("did you mean {}? {LISTED}", near.join(" or ")),
                    (false, far) => format!("the nearest are {}; {LISTED}", far.join(", ")),
                },
            ),
            NameError::Unknown { what, part, known } if known.is_empty() => (
                format!("threshold `{name}` names the {what} `{part}`, and there is none"),
                LISTED.to_owned(),
            ),
            NameError::Unknown { what: "arm", part, known } => (
                format!("threshold `{name}` names an unknown arm `{part}`"),
                format!("write one of {}", known.join(", ")),
            ),
            NameError::Unknown { what, part, known } => (
                format!("threshold `{name}` names an unknown {what} `{part}`"),
                suggest(part, known.iter().map(String::as_str)),
            ),
            NameError::OfOthers(kinds) => (
                format!("`{name}` is a figure of other jobs ({})", kinds.join(", ")),
                format!("delete it; {LISTED} by job"),
            ),
            NameError::WhichStep => (
                format!("`{name}` does not say which step of the benchmark is meant"),
                format!("write it as `step.NAME.{name}`"),
            ),
            NameError::NoQueries => (
                format!("`{name}` is about queries, and there are none"),
                "delete it, or let there be readers".to_owned(),
            ),
        };
        let of = match error {
            NameError::Unknown { what: "figure", .. } | NameError::WhichStep => Of::Itself,
            NameError::Unknown { .. } | NameError::NoQueries => Of::Subjects,
            NameError::OfOthers(_) => Of::Profile,
        };
        ThresholdFault { what, fix, of }
    }
}

/// The known figures that `name` resembles, the nearest first; where none is near, the least far, and
/// `false`.
/// Of a dotted name that is wrong in its last part only that part is compared; where it lacks a part,
/// the others decide.
fn nearest_few(name: &str, known: &[String]) -> (bool, Vec<String>) {
    let name = name.to_lowercase();
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let (parts, own) = (name.split('.').count(), last(&name));
    let edits = |figure: &String| {
        let (written, of, far) = if figure.contains('.') || parts > 1 {
            let alike = figure.split('.').next() == name.split('.').next();
            (&own, last(figure), if !figure.contains('.') || alike { 0 } else { 100 })
        } else {
            (&name, figure.clone(), 0)
        };
        // `p99` is a part of `query_p99_ms`, however many letters that has more.
        let is_part = written.len() >= 3 && of.split('_').any(|part| part == written);
        if is_part { far + 1 } else { far + strsim::osa_distance(written, &of) }
    };
    let mut all: Vec<(usize, &String)> = known.iter().map(|known| (edits(known), known)).collect();
    all.sort();
    all.dedup();
    let is_near = |edits: usize| edits <= (own.chars().count() / 3).max(1);
    let near = all.iter().filter(|(edits, _)| is_near(*edits)).count();
    let shown = if near > 0 { near.min(NEAREST_MAX) } else { NEAREST_MAX };
    (near > 0, all.into_iter().take(shown).map(|(_, name)| format!("`{name}`")).collect())
}

impl Threshold {
    /// Refuses to abort by what is known too late.
    fn known_in_time(self) -> Result<Self, ThresholdFault> {
        if self.abort_after.is_some() && self.figure.figure.at_end {
            let what = format!("`{}` is known only at the end, too late to abort", self.figure);
            return Err(ThresholdFault::new(what, "leave `abort` out"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects() -> Subjects<'static> {
        Subjects {
            kind: "stream",
            steps: &[],
            queries: &["top10", "category_sum"],
            arms: &["cpu", "off", "on"],
        }
    }

    fn parse(text: &str, subjects: &Subjects<'_>) -> Result<Threshold, ThresholdFault> {
        let draft = Draft::parse(text, THRESHOLD_FORM)?;
        draft.of(subjects).map_err(|bad| draft.unnamed(&bad))?.known_in_time()
    }

    #[test]
    fn a_threshold_reads_back() {
        for text in [
            "response_p99_ms < 50",
            "rate_ratio >= 0.99",
            "rows_dropped > 1",
            "errors <= 0 abort",
            "query.top10.on.p99_ms < 1.5 abort after 90s",
            "ratio.category_sum.low >= 1.2",
        ] {
            assert_eq!(parse(text, &subjects()).unwrap().to_string(), text);
        }
        let written = parse("errors<=0   abort  after 1m 30 s", &subjects()).unwrap();
        assert_eq!(written.to_string(), "errors <= 0 abort after 90s");
    }

    #[test]
    fn a_gate_may_be_on_a_ratio() {
        let read = |text: &str| Gate::parse(text, &subjects());
        let gate = read("response_p99_ms <= 1.10x").unwrap();
        assert_eq!((gate.to_string().as_str(), gate.of_ratio), ("response_p99_ms <= 1.1x", true));
        assert_eq!(read(&gate.to_string()), Ok(gate));
        assert!(!read("rows_lost <= 0").unwrap().of_ratio);
        let bad = [
            "response_p99 <= 1.10x",
            "rows_lost <= 1x",
            "response_p99_ms <= 0x",
            "response_p99_ms <= x",
            "errors < 1 abort",
            "response_p99_ms = 1x",
        ];
        let bad: Vec<String> =
            bad.iter().map(|text| format!("{text}\n{}", read(text).unwrap_err())).collect();
        insta::assert_snapshot!(bad.join("\n\n"));
    }

    #[test]
    fn a_bad_threshold_is_explained() {
        let bad = |text, subjects: &Subjects<'_>| {
            let bad = parse(text, subjects).unwrap_err();
            format!("{text}\n  {}\n  {}", bad.what, bad.fix)
        };
        let stream = [
            "response_p9_ms < 50",
            "speed > 1",
            "p99 < 5",
            "RESPONSE_P99_MS < 5",
            "ratio < 1",
            "query.top1.on.p99_ms < 1",
            "query.top10.gpu.p99_ms < 1",
            "query.top10.on.p9_ms < 1",
            "query.top10.p99_ms < 1",
            "query.top10.best_ms < 1",
            "ratio.top11.low > 1",
            "ratio.top10.lower > 1",
            "step.one.ratio.top10.low > 1",
            "ratio.top10.low > 1 abort",
            "errors <= 0 abrot",
            "errors <= 0 abort after soon",
            "errors == 0",
        ];
        let steps = Subjects { kind: "benchmark", steps: &["plain", "index"], ..subjects() };
        let bench = [
            "rows_lost <= 0",
            "ratio.top10.low > 1",
            "step.plane.ratio.top10.low > 1",
            "step.plain.errors <= 0",
            "query.top10.on.p99_ms < 1",
        ];
        let none = Subjects { queries: &[], ..subjects() };
        let shown: Vec<String> = stream
            .map(|text| bad(text, &subjects()))
            .into_iter()
            .chain(bench.map(|text| bad(text, &steps)))
            .chain(["query_p99_ms < 1", "gpu_proven >= 1"].map(|text| bad(text, &none)))
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
        for text in ["", "errors", "errors < many", "errors < inf", "errors <"] {
            assert!(parse(text, &subjects()).unwrap_err().fix.starts_with("write a figure"));
        }
        parse("step.index.ratio.top10.low > 1", &steps).unwrap();
    }

    #[test]
    fn a_lower_bound_is_below_nothing() {
        use crate::result::{Body, sample};
        let mut result = sample::stream();
        let Body::Stream(run) = &mut result.body else { panic!("no stream") };
        let mut times = sample::times(&[1; 980]);
        (0..20).for_each(|_| times.record_at_least(std::time::Duration::from_millis(50)));
        run.stream.response = times.percentiles();
        for (text, passed) in [
            ("response_p99_ms < 10", false),
            ("response_p99_ms < 1000", false),
            ("response_p99_ms <= 1000", false),
            ("response_p99_ms > 10", true),
            ("response_p99_ms > 1000", false),
            ("response_p50_ms < 10", true),
        ] {
            let report = parse(text, &subjects()).unwrap().judge(&result);
            assert_eq!((report.passed, report.at_least), (passed, !text.contains("p50")), "{text}");
        }
    }

    #[test]
    fn what_rests_on_too_few_samples_cannot_be_judged() {
        use crate::result::{Body, sample};
        let mut result = sample::stream();
        let mut judge = |samples: usize, text: &str| {
            let Body::Stream(run) = &mut result.body else { panic!("no stream") };
            run.stream.response = sample::times(&vec![5; samples]).percentiles();
            let report = parse(text, &subjects()).unwrap().judge(&result);
            (report.passed, report.value.is_some(), report.unjudged)
        };
        let few = Some("999 samples, and it takes 1,000".to_owned());
        assert_eq!(judge(999, "response_p99_ms < 1000"), (false, false, few));
        assert_eq!(judge(1_000, "response_p99_ms < 1000"), (true, true, None));
        assert_eq!(judge(1_000, "response_p99_ms < 1"), (false, true, None));
        assert_eq!(judge(3, "response_p50_ms < 1000"), (true, true, None));
        assert_eq!(judge(3, "response_max_ms < 1000"), (true, true, None));
        assert_eq!(judge(0, "response_p99_ms < 1000"), (false, false, None), "not measured");
    }

    #[test]
    fn what_holds_without_the_loaders_delay_and_only_then_says_so() {
        use crate::result::{Body, sample};
        let mut result = sample::stream();
        let Body::Stream(run) = &mut result.body else { panic!("no stream") };
        run.stream.response = sample::times(&[vec![9; 980], vec![120; 20]].concat()).percentiles();
        run.stream.histograms.without_own = sample::times(&[8; 1_000]);
        for (text, without) in
            [("p50_ms < 5", None), ("p99_ms < 50", Some(8.0)), ("p99_ms < 200", None)]
        {
            let report = parse(&format!("response_{text}"), &subjects()).unwrap().judge(&result);
            assert_eq!(report.without_own.map(f64::round), without, "{text}");
        }
    }

    #[test]
    fn a_bound_of_a_ratio_decides_what_it_can() {
        use crate::result::query::{TriedArm, TriedReport};
        use crate::result::{Body, sample};
        let mut result = sample::stream();
        let text = |rest: &str| format!("ratio.top10.{rest}");
        let judge = |result: &JobResult, rest: &str| {
            let of = Subjects { queries: &["top10", "sum"], ..subjects() };
            parse(&text(rest), &of).unwrap().judge(result)
        };
        let Body::Stream(run) = &mut result.body else { panic!("no stream") };
        let pair = &mut run.comparisons[0];
        (pair.query, pair.times, pair.pairs, pair.valid) = ("top10".to_owned(), None, 0, true);
        let arm = |after_s, cut| TriedArm { after_s, cut };
        pair.tried = Some(TriedReport::of([arm(40.0, true), arm(1.0, false)]));
        let mut upper = result.clone();
        let Body::Stream(run) = &mut upper.body else { panic!("no stream") };
        run.comparisons[0].tried = Some(TriedReport::of([arm(1.0, false), arm(40.0, true)]));
        for (rest, passed) in [
            ("value >= 10", true),
            ("value > 40", false),
            ("value < 50", false),
            ("value < 10", false),
        ] {
            let report = judge(&result, rest);
            assert_eq!((report.passed, report.at_least, report.value), (passed, true, Some(40.0)));
        }
        for (rest, passed) in [("value < 1", true), ("value <= 0.01", false), ("value >= 0", false)]
        {
            let report = judge(&upper, rest);
            assert_eq!((report.passed, report.at_most, report.value), (passed, true, Some(0.025)));
        }
        // An interval's end is bounded by nothing, and of wrong answers nothing is known.
        assert_eq!(judge(&result, "low >= 10").value, None);
        let Body::Stream(run) = &mut result.body else { panic!("no stream") };
        run.comparisons[0].valid = false;
        assert_eq!(judge(&result, "value >= 10").value, None);
    }

    #[test]
    fn comparisons_hold_at_their_edges() {
        use ThresholdOp::{Above, AtLeast, AtMost, Below};
        let at_edge = [Below, AtMost, Above, AtLeast].map(|op| op.holds(1.0, 1.0));
        assert_eq!(at_edge, [false, true, false, true]);
    }
}
