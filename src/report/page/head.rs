//! The first lines: what came of the job, in a mark and a word, and six questions with their answers.

use crate::plot::escape;
use crate::quantity::{format_count, format_counted, format_ms, format_seconds};
use crate::result::answers::AnswerHistory;
use crate::result::benchmark::BenchmarkRun;
use crate::result::evidence::Verdict as Proof;
use crate::result::faults::FaultsReport;
use crate::result::loader::Bottleneck;
use crate::result::stream::StreamRun;
use crate::result::sweep::SweepRun;
use crate::result::{Body, JobResult, RowChanges, Status};
use crate::stats::{Comparison, TimesVerdict};

use super::super::outcome;
use super::super::verdict::{self, NAMED_MAX, Part, State, Verdict, wrong_answers};
use super::super::words::{self, names};
use super::html::{figure, held, prose};

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
        headline(&verdict.said),
        second_line(result, verdict)
    )
}

/// Parts of a sentence as markup.
fn markup(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Words(words) => prose(words),
        Part::Figure { place, shown } => figure(place, shown),
    };
    parts.iter().map(part).collect()
}

/// A sentence of its own opens with a capital letter.
fn headline(said: &[Part]) -> String {
    match said {
        [Part::Words(first), rest @ ..] => {
            let mut chars = first.chars();
            let capital: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
            markup(&[Part::Words(capital + chars.as_str())]) + &markup(rest)
        }
        said => markup(said),
    }
}

fn second_line(result: &JobResult, verdict: &Verdict) -> String {
    let mut parts: Vec<String> = verdict.facts.iter().map(|fact| markup(fact)).collect();
    if result.stream().is_none() {
        parts.insert(0, escape(&words_of_kind(result)));
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
        Self { question, state, answer: prose(answer), figures }
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
        Body::Stream(run) => (kept(run, result.status == Status::Running), rows(result, run)),
        Body::Faults(faults) => (survived(&faults.faults), rows(result, &faults.run)),
        Body::Benchmark(run) => (measured(run), faster(run)),
        Body::Sweep(run) => (rounds(run), best(run)),
    };
    vec![first, second, gpu(result), answers(result), limit(result), thresholds(result)]
}

fn kept(run: &StreamRun, is_running: bool) -> Cell {
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
        let answer = format!("{}, unthrottled", verdict::rows_per_s(stream));
        return Cell::new(question, State::Silent, &answer, figures);
    }
    if stream.measured.rows_due == 0 || (is_running && run.measured_s < 1.0) {
        let figures = "too little was measured yet".to_owned();
        return Cell::new(question, State::Silent, "not measured", figures);
    }
    let rate = verdict::rows_per_s(stream);
    if stream.kept_rate(run.measured_s) {
        return Cell::new(question, State::Good, &format!("yes, {rate}"), figures);
    }
    if is_running {
        return Cell::new(question, State::Silent, &format!("{rate} so far"), figures);
    }
    let state = if stream.missed_rate(run.measured_s) { State::Bad } else { State::Caution };
    match verdict::rate_share(stream) {
        Some(share) => {
            let rate = figure("/stream/achieved_rows_per_s", &rate);
            Cell::new(question, state, &format!("no: {share}"), format!("{rate}; {figures}"))
        }
        None => Cell::new(question, state, &format!("no, {rate}"), figures),
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
        let (state, answer) = match result.rows_add_up() {
            _ if result.count_proves_nothing() => (State::Silent, "not known: readers write"),
            true => (State::Good, "yes, by count"),
            false => (State::Bad, "no, the count is wrong"),
        };
        let whose = if result.tells_rows_apart() {
            ""
        } else {
            ", whoever sent them: rows have no identity"
        };
        let figures = format!("{found} counted{whose}; {dropped} dropped");
        return Cell::new(question, state, answer, figures);
    };
    let sum = |of: fn(&crate::record::LaneAudit) -> &crate::record::Ranges| {
        format_count(audit.iter().map(|partition| of(partition).rows()).sum())
    };
    let left_out = match result.row_changes() {
        RowChanges::Columns(columns) if !columns.is_empty() => {
            format!(" (but for {}, which readers change)", escape(&columns.join(", ")))
        }
        _ => String::new(),
    };
    let figures = format!(
        "{found} read back{left_out}, {} lost, {} doubled, {} altered, {dropped} dropped",
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
    let on = result.on_gpu();
    if on.is_empty() {
        let why = match result.server.pg_strom_loaded {
            true => "no query ran with it on",
            false => "PG-Strom is not loaded: CPU only",
        };
        let answer = match result.gpus.devices.is_empty() {
            true => "no GPU here",
            false => "not asked of the GPU",
        };
        return Cell::new(question, State::Silent, answer, why.to_owned());
    }
    let proven = on.iter().filter(|own| own.proof() == Proof::Gpu).count();
    let others = on.iter().filter(|own| own.proof() != Proof::Gpu).map(|own| own.query);
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
    let histories: Vec<&AnswerHistory> = verdict::answers(result).collect();
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
    let figures = format!("compared {}, row by row", format_counted(checks, "time", "times"));
    Cell::new(question, state, &answer, figures)
}

fn limit(result: &JobResult) -> Cell {
    let question = "Whose limit?";
    let Some(run) = result.stream() else {
        return Cell::new(question, State::Silent, "no schedule", "one query at a time".to_owned());
    };
    if result.measured_too_little() {
        let why = "too little was measured yet".to_owned();
        return Cell::new(question, State::Silent, "not known", why);
    }
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
            Some(value) => figure(&format!("/thresholds/{at}/value"), &outcome::short(value)),
            None => "not measured".to_owned(),
        };
        let least = if threshold.at_least { "≥ " } else { "" };
        let mark = if threshold.passed { "" } else { "✗ " };
        format!("{mark}{}: {least}{value}", escape(&threshold.threshold))
    });
    let figures = each.collect::<Vec<_>>().join(" · ");
    Cell::new(question, state, &format!("{hold} of {} hold", all.len()), figures)
}
