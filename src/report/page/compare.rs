//! Two sides of runs on one page, laid over each other.

use std::fmt::Write as _;

use crate::compare::{CompareVerdict, Compared, ExactVerdict, Outcome, Run, RunsCompared};
use crate::plot::{
    Label, Line, Mark, Names, Row, RowChart, Scale, Shape, Tone, XyChart, curve, escape,
};
use crate::quantity::{format_counted, format_ms, format_ratio};
use crate::record::Times;

use super::super::compare::{
    differing, exact_verdict, headline, notes, outcome_word, ratio, subject, unlike_values, value,
    verdict, verdicts, would_show, wrong,
};
use super::distributions::trimmed;
use super::document;
use super::html::{Cell, Table, data, framed};
use super::tail::{BEYOND_MIN, axis, ms, share, share_label};

/// Points of a run's curve.
const POINTS: usize = 60;
/// Runs of a side that are drawn.
const RUNS_DRAWN: usize = 20;
/// Runs that stand beside each other in a table.
const RUNS_ACROSS: usize = 8;
/// The ends of the axis of ratios, whatever the intervals of a few runs are.
const RATIO_ENDS: (f64, f64) = (0.05, 20.0);

/// The page of a comparison, and of the runs that it is of.
pub fn compare_page(compared: &RunsCompared, sides: &[Vec<Run>; 2]) -> String {
    let (_, word) = outcome_word(compared.outcome);
    let sections = [
        ("around", "Differences", "What differs between the two sides?", around(compared)),
        ("gates", "Gates", "Do the gates hold?", gates(compared)),
        ("changed", "Figures", "What changed?", changed(compared)),
        ("exact", "Exact", "Was everything there?", exact(compared)),
        ("tail", "Distribution", "Where in the distribution?", distribution(sides)),
        ("runs", "Runs", "Which runs?", runs(compared)),
        ("repeat", "Repeat", "How to compare them again?", repeat(compared)),
    ];
    let told = sections.iter().filter(|(.., content)| !content.is_empty());
    let (mut links, mut main) = (String::new(), String::new());
    for (id, name, question, content) in told {
        // Writing to a String cannot fail.
        let _ = write!(links, r##"<a href="#{id}">{name}</a> "##);
        let _ = write!(main, r#"<section><h2 id="{id}">{question}</h2>{content}</section>"#);
    }
    let title = format!("{word} · compare · strom-load");
    let body = format!(
        "<header>{}<nav aria-label=\"Sections\">{links}</nav></header><main>{main}</main><footer><p>strom-load \
         {} · a run is the unit; intervals within one run gate nothing · this page holds everything it shows and \
         asks nothing of the network</p></footer>",
        head(compared),
        env!("CARGO_PKG_VERSION")
    );
    document(&title, &body)
}

/// The class of an outcome's colour.
fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Compared => "",
        Outcome::Pass => "ok",
        Outcome::Fail => "bad",
        Outcome::Inconclusive => "warn",
    }
}

fn head(compared: &RunsCompared) -> String {
    let (mark, word) = outcome_word(compared.outcome);
    let class = class(compared.outcome);
    let counts = match compared.outcome {
        Outcome::Compared => String::new(),
        _ => format!("{} · ", verdicts(compared)),
    };
    let wrong = wrong(compared).map_or_else(String::new, |wrong| {
        format!(r#"<p class="bad">✗ {}</p>"#, escape(&capitalised(&wrong)))
    });
    format!(
        r#"<p class="sub">strom-load compare · {}</p><div class="verdict {class}"><h1><span class="{class}">{mark} {word}</span> {}</h1>{wrong}<p class="sub">{}exit code {}</p></div>"#,
        escape(&subject(compared)),
        escape(&headline(compared)),
        escape(&counts),
        compared.exit_code
    )
}

fn around(compared: &RunsCompared) -> String {
    let [a, b] = &compared.plans;
    let plan = match a == b {
        true => format!("Both sides were asked to do the same (plan {a})."),
        false => format!("The sides were asked to do unlike things (plans {a} and {b})."),
    };
    let same = format_counted(compared.same as u64, "other thing is", "other things are");
    let mut table = Table { class: "stack", ..Table::new("", &["what", "A", "B"]) };
    for one in &compared.differs {
        let [a, b] = differing(one).map(|value| Cell::words(&value));
        table.row(vec![Cell::words(&one.what), a, b]);
    }
    for one in &compared.allowed {
        let [a, b] = unlike_values(one).map(|value| Cell::words(&value));
        table.row(vec![Cell::code(&one.key), a, b]);
    }
    if table.rows.is_empty() {
        return format!("<p>{plan} Nothing that is recorded of server and machine differs.</p>");
    }
    format!("<p>{plan} {same} the same.</p>{}", table.html())
}

fn gates(compared: &RunsCompared) -> String {
    if compared.gates.is_empty() {
        return String::new();
    }
    let mut table = Table { class: "stack", ..Table::new("", &["gate", "verdict", "why"]) };
    for gate in &compared.gates {
        let (mark, word) = outcome_word(gate.outcome);
        let word = if gate.outcome == Outcome::Inconclusive { "open" } else { word };
        let said = format!(
            r#"<span class="{}">{mark} {}</span>"#,
            class(gate.outcome),
            word.to_lowercase()
        );
        table.row(vec![Cell::code(&gate.gate), Cell::markup(said), Cell::words(&gate.why)]);
    }
    let how = "A gate is judged at the bad end of the interval: it holds if even that does, fails if none of \
               the interval does, and is open in between.";
    format!("<p>{how}</p>{}", table.html())
}

fn mark(one: &Compared) -> Mark {
    let (shape, tone) = match one.verdict {
        CompareVerdict::Regression => (Shape::Square, Tone::Bad),
        CompareVerdict::Improvement => (Shape::Dot, Tone::On),
        CompareVerdict::NoDifferenceShown => (Shape::Ring, Tone::Grey),
        CompareVerdict::TooFewRuns | CompareVerdict::FellToZero | CompareVerdict::NotCompared => {
            (Shape::Diamond, Tone::Grey)
        }
    };
    Mark { shape, tone }
}

fn changed(compared: &RunsCompared) -> String {
    let of_ratio = |one: &&Compared| one.ratio.is_some();
    let drawn: Vec<&Compared> = compared.figures.iter().filter(of_ratio).collect();
    let tables = figures_tables(compared);
    let notes = notes(compared).into_iter();
    let notes: Vec<String> = notes
        .map(|note| format!(r#"<p class="note">{}.</p>"#, escape(&capitalised(&note))))
        .collect();
    let notes = notes.concat();
    if drawn.is_empty() {
        return format!(
            "<p>No figure has a ratio.</p>{}{notes}",
            data("every figure of every run", &tables)
        );
    }
    let held = |ratio: f64| ratio.clamp(RATIO_ENDS.0, RATIO_ENDS.1);
    let limit = |one: &Compared| -> Vec<f64> {
        let own = compared.gates.iter().filter(|gate| gate.of_ratio && gate.figure == one.figure);
        own.map(|gate| held(gate.limit)).collect()
    };
    let ends = drawn.iter().flat_map(|one| {
        let interval = [one.low, one.high, one.ratio].into_iter().flatten().map(held);
        interval.chain(limit(one))
    });
    let (least, most) = ends.fold((0.9, 1.1), |(low, high), own| (own.min(low), own.max(high)));
    let rows: Vec<Row> = drawn
        .iter()
        .map(|one| {
            let class = match one.verdict {
                CompareVerdict::Regression => "tbad",
                CompareVerdict::Improvement => "ton",
                _ => "m",
            };
            let name = match one.more_is_better {
                true => format!("{} (more is better)", one.figure),
                false => one.figure.clone(),
            };
            Row {
                label: name,
                class: "",
                mark: one.ratio.map(|ratio| (held(ratio), mark(one))),
                interval: one.low.zip(one.high),
                ticks: limit(one),
                hatched: false,
                cells: vec![(ratio(one), "b"), (verdict(one), class)],
                title: format!("{}: {} {}", one.figure, ratio(one), verdict(one)),
            }
        })
        .collect();
    let caption = format!("{}.", capitalised(&verdicts(compared)));
    let chart = RowChart {
        names: Names { id: "c-changed", title: "B ÷ A of each figure", desc: &caption },
        scale: Scale::log(least, most, 7),
        label: &|tick| format!("{}×", trimmed(tick)),
        one: Some(1.0),
        sides: Some(("← B is less".to_owned(), "B is more →".to_owned())),
        head: "figure",
        heads: &["B ÷ A (95 %)", "verdict"],
        rows: &rows,
    };
    let key = "Mark and line: ratio with its interval, filled where it is shown to be other than 1. Short stroke: \
               the limit of a gate. Arrowhead: the interval goes on beyond the axis.";
    format!(
        r#"{}<p class="note">{key}</p>{notes}"#,
        framed(&escape(&caption), &chart.draw(), &data("every figure of every run", &tables))
    )
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Names of the runs of both sides: `A1`, `A2`, `B1`.
fn run_names(compared: &RunsCompared) -> Vec<String> {
    let of = |(side, name): (&crate::compare::Side, &str)| {
        (1..=side.runs.len()).map(|at| format!("{name}{at}")).collect::<Vec<_>>()
    };
    compared.sides.iter().zip(["A", "B"]).flat_map(of).collect()
}

/// The figures of both sides, and of each run: so many runs a table as a sheet of paper is wide.
fn figures_tables(compared: &RunsCompared) -> Vec<Table> {
    let heads = ["figure", "A", "B", "B ÷ A", "would show", "verdict"];
    let mut both = Table { class: "keep", ..Table::new("Geometric means and ratio", &heads) };
    for one in &compared.figures {
        let [a, b] = one.typical.map(|own| Cell::number(&value(&one.figure, own)));
        let mut cells = vec![Cell::words(&one.figure), a, b, Cell::number(&ratio(one))];
        cells.extend([Cell::number(&would_show(one)), Cell::words(&verdict(one))]);
        both.row(cells);
    }
    let mut tables = vec![both];
    let names = run_names(compared);
    for (at, names) in names.chunks(RUNS_ACROSS).enumerate() {
        let mut table = Table { class: "keep", ..Table::new("Each run", &["figure"]) };
        table.heads.extend(names.iter().cloned());
        for one in &compared.figures {
            let each = one.values.iter().flatten().skip(at * RUNS_ACROSS).take(names.len());
            let each = each.map(|own| Cell::number(&value(&one.figure, *own)));
            table.row(std::iter::once(Cell::words(&one.figure)).chain(each).collect());
        }
        tables.push(table);
    }
    tables
}

fn exact(compared: &RunsCompared) -> String {
    if compared.exact.is_empty() {
        return String::new();
    }
    let mut table = Table::new("The worst run of each side", &["figure", "A", "B", "verdict"]);
    for one in &compared.exact {
        let [a, b] = one.worst.map(|own| Cell::number(&value(&one.figure, own)));
        let class = match one.verdict {
            ExactVerdict::Worse => "bad",
            ExactVerdict::Better => "ok",
            ExactVerdict::Same | ExactVerdict::NotMeasured => "mu",
        };
        let said = format!(r#"<span class="{class}">{}</span>"#, exact_verdict(one));
        table.row(vec![Cell::words(&one.figure), a, b, Cell::markup(said)]);
    }
    format!("<p>These need no statistics: a run has them right or has not.</p>{}", table.html())
}

/// The response times of each run of a stream.
fn responses(runs: &[Run]) -> Vec<&Times> {
    let done = runs.iter().filter(|run| run.result.came_to_its_end());
    let times = done.filter_map(|run| Some(&run.result.stream()?.stream.histograms.response));
    times.filter(|times| times.count() as f64 >= 2.0 * BEYOND_MIN).take(RUNS_DRAWN).collect()
}

/// The percentile curve of each run, one side over the other.
fn distribution(sides: &[Vec<Run>; 2]) -> String {
    let times = sides.each_ref().map(|runs| responses(runs));
    if times.iter().any(Vec::is_empty) {
        return String::new();
    }
    let end = |times: &Times| times.count() as f64 / BEYOND_MIN;
    let points = |times: &Times| -> Vec<(f64, f64)> {
        let at = |number: usize| {
            let beyond = 2.0 * (end(times) / 2.0).powf(number as f64 / (POINTS - 1) as f64);
            (beyond, ms(times, share(beyond)))
        };
        (0..POINTS).map(at).collect()
    };
    let most = times.iter().flatten().map(|times| end(times)).fold(2.5, f64::max);
    let xs = axis(most);
    let drawn = times.each_ref().map(|side| side.iter().map(|own| points(own)).collect::<Vec<_>>());
    let all = || drawn.iter().flatten().flatten().map(|(_, ms)| *ms).filter(|ms| *ms > 0.0);
    let ys = Scale::log(all().fold(f64::INFINITY, f64::min), all().fold(1e-6, f64::max), 7);
    let mut lines = Vec::new();
    for (side, (name, class, text_class)) in
        drawn.iter().zip([("A", "loff", "toff b"), ("B", "lon", "ton b")])
    {
        let runs = format_counted(side.len() as u64, "run", "runs");
        for (at, points) in side.iter().enumerate() {
            let stop = points.last().copied();
            let label = stop.filter(|_| at + 1 == side.len()).map(|at| Label {
                at,
                class: text_class,
                text: format!("{name}: {runs}"),
                before: false,
            });
            let path = curve(points, &xs, &ys);
            lines.push(Line { class, path, marks: Vec::new(), stop, label });
        }
    }
    let usual = times.each_ref().map(|side| {
        let all: Vec<f64> = side.iter().map(|own| ms(own, 0.5)).collect();
        crate::stats::geometric_mean(&all).unwrap_or(f64::NAN)
    });
    let caption = format!(
        "Response times of the batches, a line a run: the medians are {} in A and {} in B, {}×. A curve ends where \
         fewer than ten batches lie beyond.",
        format_ms(usual[0]),
        format_ms(usual[1]),
        format_ratio(usual[1] / usual[0])
    );
    let chart = XyChart {
        names: Names { id: "c-tail", title: "Response times of both sides", desc: &caption },
        widths: (960.0, 358.0),
        height: 250.0,
        right: 150.0,
        xs,
        ys,
        x_name: "share of batches at least as fast",
        y_name: "response",
        x_label: &share_label,
        y_label: &format_ms,
        lines: &lines,
    };
    let mut table = Table::new("Response times of each run", &["run", "50 %", "90 %", "99 %"]);
    for (side, name) in times.iter().zip(["A", "B"]) {
        for (at, own) in side.iter().enumerate() {
            let shares = [0.5, 0.9, 0.99].map(|share| {
                let known = own.count() as f64 * (1.0 - share) + 1e-6 >= BEYOND_MIN;
                let shown = if known { format_ms(ms(own, share)) } else { "–".to_owned() };
                Cell::number(&shown)
            });
            let name = Cell::words(&format!("{name}{}", at + 1));
            table.row(std::iter::once(name).chain(shares).collect());
        }
    }
    framed(&caption, &chart.draw(), &data("response times of each run", &[table]))
}

fn runs(compared: &RunsCompared) -> String {
    let mut table =
        Table { class: "stack", ..Table::new("", &["run", "folder", "what became of it"]) };
    let folders = compared.sides.iter().flat_map(|side| &side.runs);
    for (name, folder) in run_names(compared).iter().zip(folders) {
        table.row(vec![Cell::words(name), Cell::code(folder), Cell::words("compared")]);
    }
    for (side, name) in compared.sides.iter().zip(["A", "B"]) {
        for run in &side.left_out {
            let why = Cell::words(&format!("left out: {}", run.why));
            table.row(vec![Cell::words(name), Cell::code(&run.folder), why]);
        }
    }
    table.html()
}

fn repeat(compared: &RunsCompared) -> String {
    let [a, b] = compared.sides.each_ref().map(|side| side.runs.join(" "));
    let gates = compared.gates.iter();
    let gates: Vec<String> = gates.map(|gate| format!(" \\\n    --gate '{}'", gate.gate)).collect();
    let gates = gates.concat();
    let mut allow: Vec<&str> = compared.allowed.iter().map(|one| one.key.as_str()).collect();
    allow.dedup();
    let allow =
        if allow.is_empty() { String::new() } else { format!(" --allow {}", allow.join(",")) };
    format!(
        "<pre>{}</pre>",
        escape(&format!("strom-load compare{gates}{allow} \\\n    {a} \\\n    -- {b}"))
    )
}
