//! The first lines: what came of the job, in a mark and a word, and six questions with their answers.

use crate::exit;
use crate::plot::{escape, shortened};
use crate::quantity::{format_count, format_counted, format_ms, format_rate, format_seconds};
use crate::result::arm::Gpu;
use crate::result::benchmark::BenchmarkRun;
use crate::result::evidence::Verdict as Proof;
use crate::result::faults::FaultsReport;
use crate::result::loader::Bottleneck;
use crate::result::stream::StreamRun;
use crate::result::sweep::SweepRun;
use crate::result::{Body, JobResult, Status};
use crate::stats::{Comparison, TimesVerdict};

use super::super::{latency, words};
use super::html::{figure, held, names};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Bad,
    Caution,
    /// It does not apply, or is not known.
    Silent,
}

impl State {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "bad",
            Self::Caution => "warn",
            Self::Silent => "mu",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✗",
            Self::Caution => "!",
            Self::Silent => "–",
        }
    }
}

/// What came of the job.
pub(super) struct Verdict {
    state: State,
    word: &'static str,
    said: String,
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        self.word
    }
}

/// Names of queries that are listed in a headline.
const NAMED_MAX: usize = 3;

/// What came of the job: the worst that there is to say.
pub(super) fn verdict(result: &JobResult) -> Verdict {
    let failed = |said: String| Verdict { state: State::Bad, word: "FAIL", said };
    if result.status == Status::Running {
        let after = format_seconds(result.took_s);
        let said =
            format!("The loader was killed or is still running; this is the state after {after}");
        return Verdict { state: State::Caution, word: "UNFINISHED", said };
    }
    match result.exit_code() {
        exit::INTEGRITY => failed(wrong(result)),
        exit::ENDED_EARLY => failed(match (&result.error, result.unready_step()) {
            (Some(error), _) => format!("Ended early: {}", said_first(error)),
            (None, Some((step, why))) => {
                format!("Step {step} was not made ready: {}", said_first(why))
            }
            (None, None) => "Ended early".to_owned(),
        }),
        exit::SHORTFALL => {
            let first = result.shortfalls.first();
            failed(first.map_or_else(String::new, |first| upper_first(&first.what)))
        }
        exit::INTERRUPTED => {
            let after = format_seconds(result.took_s);
            let said = format!("It was ended by a signal after {after}");
            Verdict { state: State::Caution, word: "INTERRUPTED", said }
        }
        exit::THRESHOLD => {
            let missed = result.thresholds.iter().find(|threshold| !threshold.passed);
            failed(missed.map_or_else(String::new, |missed| {
                let value = missed.value.map_or("not measured".to_owned(), short);
                format!("Threshold {} does not hold: {value}", missed.threshold)
            }))
        }
        _ => done(result),
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
        return "The table is not what was sent".to_owned();
    }
    let wrong = wrong_answers(result);
    if wrong.is_empty() {
        return "The table is not what it should be".to_owned();
    }
    format!("Wrong answers: {}", names(wrong.iter().map(String::as_str), NAMED_MAX))
}

/// Queries whose answers differ, each once.
fn wrong_answers(result: &JobResult) -> Vec<String> {
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

fn done(result: &JobResult) -> Verdict {
    let good = |said: String| Verdict { state: State::Good, word: "OK", said };
    match &result.body {
        Body::Stream(run) => match missed(run) {
            Some(said) => Verdict { state: State::Caution, word: "DONE", said },
            None => good(format!("{} kept", rate(run))),
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
            let count = run.queries().count();
            good(match times.as_slice() {
                [] => format!("{} measured", format_counted(count as u64, "query", "queries")),
                times => directions(times),
            })
        }
        Body::Sweep(run) => {
            let (count, rounds) = (run.sweep.combinations.len(), run.sweep.rounds);
            good(format!("{count} combinations measured in {rounds} rounds"))
        }
    }
}

/// That the rate was not kept, and by whose fault.
fn missed(run: &StreamRun) -> Option<String> {
    let target = run.stream.target_rows_per_s.filter(|_| run.stream.missed_rate(run.measured_s))?;
    let achieved = format_rate(run.stream.achieved_rows_per_s);
    let limit = match run.loader.bottleneck {
        Bottleneck::None => "",
        Bottleneck::Server => "; the server was the limit",
        Bottleneck::Loader => "; the loader was the limit",
        Bottleneck::Machine => "; the loader’s machine was the limit",
    };
    Some(format!("Rate not kept: {achieved} of {}/s{limit}", format_count(target)))
}

fn rate(run: &StreamRun) -> String {
    let per_s = run.stream.achieved_rows_per_s.max(0.0);
    format!("{} rows/s", format_rate(per_s).trim_end_matches("/s"))
}

/// How many directions there are.
fn directions(times: &[&Comparison]) -> String {
    let count = |of: &[TimesVerdict]| times.iter().filter(|own| of.contains(&own.verdict)).count();
    let (faster, slower) = (count(&[TimesVerdict::Faster]), count(&[TimesVerdict::Slower]));
    let others = times.len() - faster - slower;
    match (faster, slower) {
        (0, 0) => {
            format!(
                "No direction is shown for {}",
                format_counted(others as u64, "query", "queries")
            )
        }
        _ => format!("{faster} of {} queries shown faster, {slower} slower", times.len()),
    }
}

fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    first + chars.as_str()
}

/// A figure of a threshold.
fn short(value: f64) -> String {
    let decimals = if value.abs() >= 10.0 { 1 } else { 4 };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// The first lines.
pub(super) fn write(result: &JobResult, verdict: &Verdict) -> String {
    let when = result.started_at.replace('T', " ");
    let when = when.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let length = match result.stream() {
        Some(run) => format!("{} measured", format_seconds(run.measured_s)),
        None => format!("took {}", format_seconds(result.took_s)),
    };
    let cells: String = cells(result).into_iter().map(Cell::html).collect();
    let class = verdict.state.class();
    format!(
        r#"<p class="sub">{} · {} UTC · {}</p><div class="verdict {class}"><h1><span class="{class}"><span aria-hidden="true">{}</span> {}</span> {}</h1><p class="sub">{}</p></div><ul class="strip">{cells}</ul>"#,
        escape(result.profile()),
        escape(when),
        escape(&held(&length)),
        verdict.state.mark(),
        verdict.word,
        escape(&verdict.said),
        second_line(result)
    )
}

fn second_line(result: &JobResult) -> String {
    let mut parts = Vec::new();
    if let Some(run) = result.stream() {
        let stream = &run.stream;
        let per_s = figure("/stream/achieved_rows_per_s", &format_rate(stream.achieved_rows_per_s));
        parts.push(format!("rows {per_s}"));
        if let Some(found) = stream.rows_found {
            parts.push(format!(
                "{} of {} rows there",
                figure("/stream/rows_found", &format_count(found)),
                figure("/stream/rows_acknowledged", &format_count(stream.rows_acknowledged))
            ));
        }
        if let Some(p99) = latency::known_p99(stream.response.as_ref()) {
            parts.push(format!("response p99 {}", figure("/stream/response/p99_ms", &p99)));
        }
        let table = result.plan.stream.as_ref().and_then(|stream| stream.table.as_ref());
        parts.extend(table.map(|table| escape(table)));
    } else {
        parts.push(escape(&words_of_kind(result)));
    }
    if result.status != Status::Running {
        parts.push(format!("exit code {}", result.exit_code()));
    }
    parts.join(" · ")
}

fn words_of_kind(result: &JobResult) -> String {
    match &result.body {
        Body::Benchmark(run) => format!(
            "{} in {}",
            format_counted(run.queries().count() as u64, "query", "queries"),
            format_counted(run.steps.len() as u64, "step", "steps")
        ),
        Body::Sweep(run) => {
            let settings = format_counted(run.sweep.settings.len() as u64, "setting", "settings");
            format!("{settings}, {}", run.sweep.mode)
        }
        Body::Stream(_) | Body::Faults(_) => String::new(),
    }
}

/// A question with its answer.
struct Cell {
    question: &'static str,
    state: State,
    /// Markup, as what follows.
    answer: String,
    figures: String,
}

impl Cell {
    fn new(question: &'static str, state: State, answer: &str, figures: String) -> Self {
        Self { question, state, answer: escape(answer), figures }
    }

    fn html(self) -> String {
        let silent = if self.state == State::Silent { " mu" } else { "" };
        format!(
            r#"<li><span class="k">{}</span><span class="v{silent}"><span class="{}" aria-hidden="true">{}</span> {}</span><span class="d">{}</span></li>"#,
            self.question,
            self.state.class(),
            self.state.mark(),
            self.answer,
            self.figures
        )
    }
}

fn cells(result: &JobResult) -> Vec<Cell> {
    let (first, second) = match &result.body {
        Body::Stream(run) => (kept(run), rows(result, run)),
        Body::Faults(faults) => (survived(&faults.faults), rows(result, &faults.run)),
        Body::Benchmark(run) => (measured(run), faster(run)),
        Body::Sweep(run) => (rounds(run), best(run)),
    };
    vec![first, second, gpu(result), answers(result), limit(result), thresholds(result)]
}

fn kept(run: &StreamRun) -> Cell {
    let stream = &run.stream;
    let question = "Rate kept?";
    let figures = format!(
        "{} of {} rows due in the measurement were committed",
        figure(
            "/stream/measured/rows_acknowledged",
            &format_count(stream.measured.rows_acknowledged)
        ),
        figure("/stream/measured/rows_due", &format_count(stream.measured.rows_due))
    );
    if stream.target_rows_per_s.is_none() {
        let answer = format!("{}, unthrottled", rate(run));
        return Cell::new(question, State::Silent, &answer, figures);
    }
    if stream.measured.rows_due == 0 {
        let figures = "no row was due in the measurement yet".to_owned();
        return Cell::new(question, State::Silent, "not measured", figures);
    }
    match stream.missed_rate(run.measured_s) {
        false => Cell::new(question, State::Good, &format!("yes, {}", rate(run)), figures),
        true => Cell::new(question, State::Bad, &format!("no, {}", rate(run)), figures),
    }
}

fn rows(result: &JobResult, run: &StreamRun) -> Cell {
    let (question, stream) = ("Rows all there?", &run.stream);
    let dropped = figure("/stream/rows_dropped", &format_count(stream.rows_dropped));
    let Some(found) = stream.rows_found else {
        let why = match result.status {
            Status::Running => "the run has not ended",
            _ => stream.not_checked.as_deref().unwrap_or("switched off"),
        };
        let figures = format!("{}; {dropped} dropped", escape(&words::one_line(why)));
        return Cell::new(question, State::Silent, "not checked", figures);
    };
    let found = figure("/stream/rows_found", &format_count(found));
    let Some(audit) = &stream.audit else {
        let state = if result.rows_add_up() { State::Good } else { State::Bad };
        let answer = if result.rows_add_up() { "yes, by count" } else { "no, the count is wrong" };
        return Cell::new(question, state, answer, format!("{found} counted; {dropped} dropped"));
    };
    let sum = |of: fn(&crate::record::PartitionAudit) -> &crate::record::Ranges| {
        format_count(audit.iter().map(|partition| of(partition).rows()).sum())
    };
    let figures = format!(
        "{found} read back, {} lost, {} doubled, {} altered, {dropped} dropped",
        sum(|p| &p.lost),
        sum(|p| &p.doubled),
        sum(|p| &p.altered)
    );
    match (result.rows_add_up(), stream.rows_dropped + stream.rows_undecided) {
        (false, _) => Cell::new(question, State::Bad, "no", figures),
        (true, 0) => Cell::new(question, State::Good, "yes, each once", figures),
        (true, _) => Cell::new(question, State::Caution, "all that were committed", figures),
    }
}

fn survived(faults: &FaultsReport) -> Cell {
    let all = &faults.all;
    let state = match all.injected {
        0 => State::Silent,
        injected if injected == all.survived => State::Good,
        _ => State::Bad,
    };
    let answer = format!("{} of {}", format_count(all.survived), format_count(all.injected));
    let slowest = all.slowest_batch_ms.map_or_else(String::new, |ms| {
        format!("slowest batch {}", figure("/faults/all/slowest_batch_ms", &format_ms(ms)))
    });
    Cell::new("Faults survived?", state, &answer, slowest)
}

fn measured(run: &BenchmarkRun) -> Cell {
    let count = run.queries().count();
    let not_begun: usize = run.steps.iter().map(|step| step.not_begun.len()).sum();
    let ok = run.queries().filter(|q| q.arms.iter().all(|arm| arm.median_ms.is_some())).count();
    let state = if ok == count + not_begun { State::Good } else { State::Caution };
    let executions: usize = run.queries().flat_map(|q| &q.arms).map(|arm| arm.executions).sum();
    let figures = format!("{} timed executions", format_count(executions as u64));
    Cell::new("Queries measured?", state, &format!("{ok} of {}", count + not_begun), figures)
}

fn faster(run: &BenchmarkRun) -> Cell {
    let question = "Which arm is faster?";
    let valid = run.queries().filter(|query| query.valid);
    let times: Vec<&Comparison> = valid.filter_map(|query| query.times.as_ref()).collect();
    let arm = run.queries().find_map(|query| Some(query.arms.get(1)?.arm.as_str()));
    let Some(arm) = arm.filter(|_| !times.is_empty()) else {
        return Cell::new(question, State::Silent, "nothing to compare", String::new());
    };
    let count = |of: TimesVerdict| times.iter().filter(|own| own.verdict == of).count();
    let (faster, slower) = (count(TimesVerdict::Faster), count(TimesVerdict::Slower));
    let open = times.len() - faster - slower;
    let answer = match (faster, slower) {
        (0, 0) => "not shown".to_owned(),
        (_, 0) => format!("{arm}, {}", format_counted(faster as u64, "query", "queries")),
        (0, _) => format!("not {arm}, {}", format_counted(slower as u64, "query", "queries")),
        _ => format!("{faster} × {arm}, {slower} × the other"),
    };
    let figures = format!("{faster} shown faster, {slower} slower, {open} not shown");
    Cell::new(question, State::Silent, &answer, figures)
}

fn rounds(run: &SweepRun) -> Cell {
    let sweep = &run.sweep;
    let state = if sweep.rounds as u64 >= u64::from(sweep.rounds_planned) {
        State::Good
    } else {
        State::Silent
    };
    let answer = format!("{} of {} rounds", sweep.rounds, sweep.rounds_planned);
    let figures = format!("{} combinations", sweep.combinations.len());
    Cell::new("Measured?", state, &answer, figures)
}

fn best(run: &SweepRun) -> Cell {
    let alone = run.sweep.queries.iter().filter(|query| query.may_be_best.len() == 1).count();
    let of = run.sweep.queries.len();
    let figures = match &run.sweep.not_restored {
        Some(why) => {
            format!("the configuration was not put back: {}", escape(&words::one_line(why)))
        }
        None => "the configuration is as it was".to_owned(),
    };
    let answer = match alone {
        0 => "not shown".to_owned(),
        alone => format!("for {alone} of {}", format_counted(of as u64, "query", "queries")),
    };
    Cell::new("One setting best?", State::Silent, &answer, figures)
}

fn gpu(result: &JobResult) -> Cell {
    let question = "GPU proven?";
    // The name, what the arm does about the GPU, and what its plans prove.
    let plans: Vec<(&str, Gpu, Proof)> = match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            let queries = result.stream().into_iter().flat_map(|run| &run.queries);
            queries.map(|own| (own.query.as_str(), own.gpu, own.verdict())).collect()
        }
        Body::Benchmark(run) => {
            let arms = run.queries().flat_map(|own| own.arms.iter().map(move |arm| (own, arm)));
            arms.map(|(own, arm)| (own.query.as_str(), arm.gpu, arm.verdict())).collect()
        }
        Body::Sweep(run) => {
            let cells = run
                .sweep
                .queries
                .iter()
                .flat_map(|own| own.combinations.iter().map(move |cell| (own, cell)));
            let proof = |plan: &crate::result::evidence::PlanHistory| plan.verdict();
            cells
                .map(|(own, cell)| {
                    let proof = cell.plan.as_ref().map_or(Proof::Unknown, proof);
                    (own.query.as_str(), cell.gpu, proof)
                })
                .collect()
        }
    };
    let on: Vec<_> = plans.iter().filter(|(_, gpu, _)| *gpu == Gpu::On).collect();
    if on.is_empty() {
        let why = match result.server.pg_strom_loaded {
            true => "no query ran with it on",
            false => "PG-Strom is not loaded: CPU only",
        };
        return Cell::new(question, State::Silent, "no GPU here", why.to_owned());
    }
    let proven = on.iter().filter(|(_, _, proof)| *proof == Proof::Gpu).count();
    let others = on.iter().filter(|(_, _, proof)| *proof != Proof::Gpu).map(|(name, ..)| *name);
    let mut others: Vec<&str> = others.collect();
    others.dedup();
    let state = if proven == on.len() { State::Good } else { State::Caution };
    let figures = match others.as_slice() {
        [] => "by the plans of their executions".to_owned(),
        others => format!("not: {}", escape(&names(others.iter().copied(), NAMED_MAX))),
    };
    Cell::new(question, state, &format!("{proven} of {} queries", on.len()), figures)
}

fn answers(result: &JobResult) -> Cell {
    let question = "Answers equal?";
    let histories: Vec<&crate::result::answers::AnswerHistory> = match &result.body {
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
    let checks: u64 = histories.iter().map(|own| own.checks).sum();
    let wrong = wrong_answers(result);
    if !wrong.is_empty() {
        let figures = escape(&names(wrong.iter().map(String::as_str), NAMED_MAX));
        let answer = format!("no, {}", format_counted(wrong.len() as u64, "query", "queries"));
        return Cell::new(question, State::Bad, &answer, figures);
    }
    if checks == 0 {
        let why = if histories.is_empty() { "one arm only" } else { "nothing was compared" };
        return Cell::new(question, State::Silent, "not compared", why.to_owned());
    }
    let known = histories.iter().filter(|own| own.is_known()).count();
    let (state, answer) = match known == histories.len() {
        true => (State::Good, "yes".to_owned()),
        false => (State::Caution, format!("{known} of {}", histories.len())),
    };
    let figures = format!("compared {} times, row by row", format_count(checks));
    Cell::new(question, state, &answer, figures)
}

fn limit(result: &JobResult) -> Cell {
    let question = "Whose limit?";
    let Some(run) = result.stream() else {
        return Cell::new(question, State::Silent, "no schedule", "one query at a time".to_owned());
    };
    let loader = &run.loader;
    let cpu = figure("/loader/cpu_ratio", &format!("{:.1} %", loader.cpu_ratio * 100.0));
    let figures = format!("{}; loader {cpu} of the CPU", escape(&loader.reason));
    match loader.bottleneck {
        Bottleneck::None => Cell::new(question, State::Good, "nobody’s", figures),
        Bottleneck::Server => Cell::new(question, State::Caution, "the server’s", figures),
        Bottleneck::Loader => Cell::new(question, State::Bad, "the loader’s", figures),
        Bottleneck::Machine => Cell::new(question, State::Bad, "the loader’s machine’s", figures),
    }
}

fn thresholds(result: &JobResult) -> Cell {
    let (question, all) = ("Thresholds", &result.thresholds);
    if all.is_empty() {
        let why =
            if result.status == Status::Running { "judged at the end" } else { "none is set" };
        return Cell::new(question, State::Silent, "none", why.to_owned());
    }
    let hold = all.iter().filter(|threshold| threshold.passed).count();
    let state = if hold == all.len() { State::Good } else { State::Bad };
    let each = all.iter().enumerate().map(|(at, threshold)| {
        let value = match threshold.value {
            Some(value) => figure(&format!("/thresholds/{at}/value"), &short(value)),
            None => "not measured".to_owned(),
        };
        let least = if threshold.at_least { "≥ " } else { "" };
        let mark = if threshold.passed { "" } else { "✗ " };
        format!("{mark}{}: {least}{value}", escape(&threshold.threshold))
    });
    let figures = each.collect::<Vec<_>>().join(" · ");
    Cell::new(question, state, &format!("{hold} of {} hold", all.len()), figures)
}
