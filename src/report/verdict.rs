//! What came of a job, in a word, a sentence and some facts: the first line of a summary, the head of a
//! page and the line in an index have their words from here.

use crate::exit;
use crate::plot::shortened;
use crate::quantity::{format_count, format_counted, format_rate, format_seconds};
use crate::result::answers::AnswerHistory;
use crate::result::evidence::Verdict as Proof;
use crate::result::loader::Bottleneck;
use crate::result::stream::{StreamReport, StreamRun};
use crate::result::{Body, JobResult, Status};
use crate::stats::{Comparison, TimesVerdict};

use super::words::names;
use super::{latency, outcome, stream};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Bad,
    Caution,
    /// It does not apply, or is not known.
    Silent,
}

/// A part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Words(String),
    /// A figure of the result.
    Figure {
        /// Its place there, as a JSON pointer.
        place: &'static str,
        /// How it reads.
        shown: String,
    },
}

impl Part {
    fn words(words: impl Into<String>) -> Self {
        Self::Words(words.into())
    }
}

/// Parts as plain text.
fn plain(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Words(words) => words.clone(),
        Part::Figure { shown, .. } => shown.clone(),
    };
    parts.iter().map(text).collect()
}

/// What came of a job.
pub(super) struct Verdict {
    pub(super) state: State,
    /// In a word: OK, DONE, INTERRUPTED, UNFINISHED or FAIL.
    pub(super) word: &'static str,
    /// Why. It opens with the words of the exit code, where that is not 0.
    pub(super) said: Vec<Part>,
    /// What else is asked first, each a phrase.
    pub(super) facts: Vec<Vec<Part>>,
}

impl Verdict {
    /// All of it behind the word.
    fn rest(&self, behind: Option<String>) -> String {
        let facts = std::iter::once(&self.said).chain(&self.facts).map(|parts| plain(parts));
        facts.chain(behind).collect::<Vec<_>>().join(" · ")
    }
}

/// Names that are listed in a sentence.
pub(super) const NAMED_MAX: usize = 3;

/// The answer in a line, the first of a summary.
pub(super) fn line(result: &JobResult) -> String {
    let verdict = verdict(result);
    let named = Some(result.profile()).filter(|name| result.stream().is_none() && !name.is_empty());
    let named = named.map(str::to_owned);
    format!("{}  {}", verdict.word, verdict.rest(named))
}

/// The same for an index, which has the exit code and the profile beside it.
pub(super) fn within_index(result: &JobResult) -> String {
    verdict(result).rest(None)
}

/// What came of a job: the worst that there is to say.
pub(super) fn verdict(result: &JobResult) -> Verdict {
    let of = |state, word, said: Vec<Part>| {
        let facts = facts(result, &said);
        Verdict { state, word, said, facts }
    };
    if result.status == Status::Running {
        let after = format_seconds(result.took_s);
        let said =
            format!("the loader was killed or is still running; this is the state after {after}");
        return of(State::Caution, "UNFINISHED", vec![Part::words(said)]);
    }
    let code = result.exit_code();
    let why = match code {
        exit::INTEGRITY => wrong(result),
        exit::ENDED_EARLY => match (&result.error, result.unready_step()) {
            (Some(error), _) => said_first(error),
            (None, Some((step, why))) => {
                format!("step {step} was not made ready: {}", said_first(why))
            }
            (None, None) => "nobody says which".to_owned(),
        },
        exit::SHORTFALL => {
            first_of(result.shortfalls.iter().map(|shortfall| shortfall.what.clone()))
        }
        exit::THRESHOLD => first_of(outcome::missed_thresholds(result)),
        exit::INTERRUPTED => {
            let said = format!("after {}", format_seconds(result.took_s));
            return of(State::Caution, "INTERRUPTED", vec![Part::words(said)]);
        }
        _ => {
            let (state, word, said) = done(result);
            return of(state, word, said);
        }
    };
    of(State::Bad, "FAIL", vec![Part::words(format!("{}: {why}", exit::words(code)))])
}

/// The first of several, and how many more there are.
fn first_of(mut all: impl Iterator<Item = String>) -> String {
    let first = all.next().unwrap_or_default();
    match all.count() {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

/// An error without its details and the place in its source: a headline.
fn said_first(error: &str) -> String {
    let lines = error.lines().map(str::trim);
    let opens = ["-->", "fix:", "hint", "detail:"];
    let said: Vec<&str> =
        lines.take_while(|line| !opens.iter().any(|open| line.starts_with(open))).collect();
    shortened(&said.join(" "), 1_800.0, 26.0)
}

fn wrong(result: &JobResult) -> String {
    if !result.rows_add_up() {
        return "the table is not what was sent".to_owned();
    }
    let wrong = wrong_answers(result);
    if wrong.is_empty() {
        return "the table is not what it should be".to_owned();
    }
    format!("wrong answers: {}", names(wrong.iter().map(String::as_str), NAMED_MAX))
}

/// Queries whose answers differ, each once.
pub(super) fn wrong_answers(result: &JobResult) -> Vec<String> {
    let mut wrong: Vec<String> = match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            let pairs = result.stream().into_iter().flat_map(|run| &run.comparisons);
            pairs.filter(|pair| pair.answers.differ()).map(|pair| pair.query.clone()).collect()
        }
        Body::Benchmark(run) => {
            run.queries().filter(|query| !query.valid).map(|query| query.query.clone()).collect()
        }
        Body::Sweep(run) => {
            let queries = run.sweep.queries.iter();
            let wrong = queries.filter(|query| query.combinations.iter().any(|cell| !cell.valid));
            wrong.map(|query| query.query.clone()).collect()
        }
    };
    wrong.dedup();
    wrong
}

/// What comparing the answers of each query came to, where there are two of it.
pub(super) fn answers(result: &JobResult) -> impl Iterator<Item = &AnswerHistory> {
    let histories: Vec<&AnswerHistory> = match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            let pairs = result.stream().into_iter().flat_map(|run| &run.comparisons);
            pairs.map(|pair| &pair.answers).collect()
        }
        Body::Benchmark(run) => {
            let compared = run.queries().filter(|query| query.arms.len() > 1);
            compared.map(|query| &query.answers).collect()
        }
        Body::Sweep(run) => run.sweep.cells().map(|cell| &cell.answers).collect(),
    };
    histories.into_iter()
}

fn done(result: &JobResult) -> (State, &'static str, Vec<Part>) {
    let good = |said: String| (State::Good, "OK", vec![Part::words(said)]);
    match &result.body {
        Body::Stream(run) => match not_kept(result, run) {
            Some(said) => (State::Caution, "DONE", said),
            None => {
                let kept = match run.stream.target_rows_per_s {
                    Some(_) => " rows/s kept",
                    None => " rows/s, unthrottled",
                };
                (State::Good, "OK", vec![rate(&run.stream), Part::words(kept)])
            }
        },
        Body::Faults(faults) => {
            let all = &faults.faults.all;
            good(format!(
                "{} of {} faults survived, each row there once",
                all.survived, all.injected
            ))
        }
        Body::Benchmark(run) => {
            let times: Vec<&Comparison> = run.queries().filter_map(|q| q.times.as_ref()).collect();
            good(match times.as_slice() {
                [] => format!("{} measured", queries(run.queries().count())),
                times => directions(times),
            })
        }
        Body::Sweep(run) => {
            let (count, rounds) = (run.sweep.combinations.len(), run.sweep.rounds);
            let combinations = format_counted(count as u64, "combination", "combinations");
            let rounds = format_counted(rounds as u64, "round", "rounds");
            good(format!("{combinations} measured in {rounds}"))
        }
    }
}

fn queries(count: usize) -> String {
    format_counted(count as u64, "query", "queries")
}

/// That the rate was not kept, and by whose fault.
fn not_kept(result: &JobResult, run: &StreamRun) -> Option<Vec<Part>> {
    let target = run.stream.target_rows_per_s.filter(|_| !run.stream.kept_rate(run.measured_s))?;
    let asked = stream::due_at_random(result, &run.stream);
    let asked = asked.map_or_else(|| format_count(target), bare_rate);
    let limit = match run.loader.bottleneck {
        Bottleneck::None => "",
        Bottleneck::Server => "; the server was the limit",
        Bottleneck::Loader => "; the loader was the limit",
        Bottleneck::Machine => "; the loader's machine was the limit",
    };
    let missed = run.stream.missed_rate(run.measured_s);
    let opens = missed.then(|| Part::words("rate not kept: "));
    let said = [rate(&run.stream), Part::words(format!(" of {asked} rows/s{limit}"))];
    Some(opens.into_iter().chain(said).collect())
}

/// The share of the rate that was reached, rounded down: `96.1 %`. `None` where it is not known.
pub(super) fn rate_share(stream: &StreamReport) -> Option<String> {
    let ratio = stream.measured.rate_ratio?;
    Some(format!("{:.1} %", (ratio * 1_000.0).floor() / 10.0))
}

/// How many rows a second were stored.
pub(super) fn rows_per_s(stream: &StreamReport) -> String {
    plain(&[rate(stream), Part::words(" rows/s")])
}

/// Rows per second, without the unit.
fn rate(stream: &StreamReport) -> Part {
    let shown = bare_rate(stream.achieved_rows_per_s.max(0.0));
    Part::Figure { place: "/stream/achieved_rows_per_s", shown }
}

fn bare_rate(per_s: f64) -> String {
    format_rate(per_s).trim_end_matches("/s").to_owned()
}

/// How many directions there are.
fn directions(times: &[&Comparison]) -> String {
    let count = |of: &[TimesVerdict]| times.iter().filter(|own| of.contains(&own.verdict)).count();
    let (faster, slower) = (count(&[TimesVerdict::Faster]), count(&[TimesVerdict::Slower]));
    let others = times.len() - faster - slower;
    match (faster, slower) {
        (0, 0) => format!("no direction is shown for {}", queries(others)),
        _ => format!("{faster} of {} shown faster, {slower} slower", queries(times.len())),
    }
}

/// What is asked first, but for what is `said`.
fn facts(result: &JobResult, said: &[Part]) -> Vec<Vec<Part>> {
    let run = result.stream();
    let mut facts = run.map(|run| stream_facts(result, &run.stream, said)).unwrap_or_default();
    facts.extend(equal_answers(result).map(|said| vec![Part::words(said)]));
    let on = result.on_gpu();
    if !on.is_empty() {
        let proven = on.iter().filter(|own| own.proof() == Proof::Gpu).count();
        let fact = format!("GPU proven for {proven} of {}", queries(on.len()));
        facts.push(vec![Part::words(fact)]);
    }
    let table = result.plan.stream.as_ref().and_then(|stream| stream.table.as_ref());
    let table = table.filter(|_| result.stream().is_some());
    facts.extend(table.map(|table| vec![Part::words(table.as_str())]));
    facts
}

/// That answers were the same, as far as they were compared.
fn equal_answers(result: &JobResult) -> Option<String> {
    let (known, of) = answers(result)
        .fold((0_u64, 0_u64), |(known, of), own| (known + u64::from(own.is_known()), of + 1));
    if known == 0 || !result.answers_agree() {
        return None;
    }
    if known == of {
        return Some("answers equal".to_owned());
    }
    let of = match &result.body {
        Body::Sweep(_) => format_counted(of, "combination", "combinations"),
        _ => format_counted(of, "query", "queries"),
    };
    Some(format!("answers of {known} of {of} compared, equal"))
}

fn stream_facts(result: &JobResult, stream: &StreamReport, said: &[Part]) -> Vec<Vec<Part>> {
    let mut facts = Vec::new();
    let rate = rate(stream);
    if !said.contains(&rate) && !result.measured_too_little() {
        facts.push(vec![rate, Part::words(" rows/s")]);
    }
    facts.push(match stream.rows_found {
        Some(found) => vec![
            Part::Figure { place: "/stream/rows_found", shown: format_count(found) },
            Part::words(" of "),
            Part::Figure {
                place: "/stream/rows_acknowledged",
                shown: format_count(stream.rows_acknowledged),
            },
            Part::words(" rows there"),
        ],
        None => vec![Part::words("rows not checked")],
    });
    if let Some(shown) = latency::known_p99(stream.response.as_ref()) {
        facts.push(vec![
            Part::words("response p99 "),
            Part::Figure { place: "/stream/response/p99_ms", shown },
        ]);
    } else if let Some(response) = &stream.response {
        // Too few batches for a tail.
        let shown = latency::value(response, response.p50_ms);
        facts.push(vec![
            Part::words("response p50 "),
            Part::Figure { place: "/stream/response/p50_ms", shown },
        ]);
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::arm::Gpu;
    use crate::result::{ThresholdReport, sample};

    fn stream_with(change: impl FnOnce(&mut JobResult, &mut StreamRun)) -> String {
        let mut result = sample::stream();
        let Body::Stream(run) = &mut result.body else { unreachable!() };
        let mut run = run.clone();
        change(&mut result, &mut run);
        result.body = Body::Stream(run);
        result.conclude();
        line(&result)
    }

    #[test]
    fn the_first_line_answers_in_the_words_of_the_exit_code() {
        let threshold = |threshold: &str, value| ThresholdReport {
            threshold: threshold.to_owned(),
            value: Some(value),
            ..ThresholdReport::default()
        };
        let lines = [
            stream_with(|_, _| ()),
            stream_with(|_, run| run.stream.target_rows_per_s = None),
            // All rows came in time to count, and the rate is another matter.
            stream_with(|_, run| {
                run.stream.achieved_rows_per_s = 4_945.0;
                run.stream.measured.rate_ratio = Some(0.989);
            }),
            stream_with(|_, run| {
                let mut other = run.comparisons[0].clone();
                (other.answers.checks, other.answers.failed) = (0, 1);
                other.answers.failed_since = 1;
                run.comparisons.push(other);
            }),
            stream_with(|_, run| {
                run.stream.measured.rows_acknowledged = 40_000;
                run.stream.achieved_rows_per_s = 4_000.0;
                run.loader.bottleneck = Bottleneck::Server;
            }),
            stream_with(|_, run| {
                run.stream.rows_found = Some(59_990);
                run.stream.audit = None;
            }),
            stream_with(|_, run| {
                run.comparisons[0].answers.different = 1;
                run.comparisons[0].answers.checks = 2;
            }),
            stream_with(|_, run| (run.stream.rows_dropped, run.stream.rows_undecided) = (30, 2)),
            stream_with(|result, _| {
                result.thresholds =
                    vec![threshold("response_p99_ms < 1", 44.4989), threshold("errors < 0", 0.0)];
            }),
            stream_with(|result, _| {
                result.status = Status::Failed;
                result.error = Some("the server is gone\n  fix: start it".to_owned());
            }),
            stream_with(|result, _| result.status = Status::Interrupted),
            stream_with(|result, _| result.status = Status::Running),
            stream_with(|result, run| {
                result.status = Status::Running;
                run.measured_s = 0.005;
            }),
            line(&sample::benchmark()),
            line(&sample::sweep()),
            line(&sample::faults()),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_was_proven_of_the_gpu_is_said_where_it_was_on() {
        let said = line(&sample::stream());
        assert!(said.contains("GPU proven for 0 of 1 query"), "{said}");
        let mut result = sample::stream();
        let Body::Stream(run) = &mut result.body else { unreachable!() };
        run.queries.retain(|query| query.gpu != Gpu::On);
        assert!(!line(&result).contains("GPU"));
        assert!(within_index(&result).starts_with("5,000 rows/s kept · "));
    }
}
