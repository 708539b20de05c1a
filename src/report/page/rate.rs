//! Was the rate kept? Rows a second against the target, and the backlog.

use crate::plot::{
    Band, BandKind, End, Layer, Merge, Names, POINTS_MAX, Panel, Scale, Step, TimeChart, area,
    decimate, escape, steps,
};
use crate::quantity::{format_count, format_counted, format_ms, format_rate, format_seconds};
use crate::record::Phase;
use crate::result::stream::{IntervalReport, OutageReport, StreamRun};
use crate::result::{JobResult, Status};

use super::Page;
use super::html::{Cell, Table, data, figure};

/// Lines of a table over time: of more, neighbours become one.
pub(super) const LINES_MAX: usize = 300;
/// Outages that are listed; the result has more.
const OUTAGES_SHOWN: usize = 50;

/// From the first moment to the last of a stream.
pub(super) fn span_s(run: &StreamRun) -> (f64, f64) {
    let end = run.intervals.last().map_or(1.0, |last| last.start_s + last.length_s);
    (0.0, if end.is_finite() { end.max(0.1) } else { 1.0 })
}

/// Phases that are not measured, and outages.
pub(super) fn bands(result: &JobResult, run: &StreamRun) -> Vec<Band> {
    let phase = |from_s: f64, to_s: f64, label: &str| Band {
        kind: BandKind::Phase,
        from_s,
        to_s,
        label: label.to_owned(),
    };
    let warmup_s = result.plan.warmup_s.as_ref().map_or(0.0, |warmup| warmup.0);
    let mut bands = vec![phase(0.0, warmup_s.min(span_s(run).1), "warm-up")];
    // After the schedule's end nothing is asked for.
    let throttled = run.stream.target_rows_per_s.is_some();
    let is_over = |interval: &&IntervalReport| {
        interval.phase == Phase::Drain || (throttled && interval.target_rows_per_s.is_none())
    };
    let over = run.intervals.iter().rev().take_while(is_over).last();
    bands.extend(over.map(|first| phase(first.start_s, span_s(run).1, "drain")));
    bands.extend(outages(&run.stream.outages));
    bands
}

/// The outages of all partitions: those that overlap are one.
fn outages(all: &[OutageReport]) -> Vec<Band> {
    let mut sorted: Vec<&OutageReport> = all.iter().collect();
    sorted.sort_by(|one, other| one.start_s.total_cmp(&other.start_s));
    let mut bands: Vec<Band> = Vec::new();
    for outage in sorted {
        let (from_s, to_s) = (outage.start_s, outage.start_s + outage.length_s);
        match bands.last_mut().filter(|band| from_s <= band.to_s) {
            Some(band) => band.to_s = band.to_s.max(to_s),
            None => bands.push(Band { kind: BandKind::Outage, from_s, to_s, label: String::new() }),
        }
    }
    for band in &mut bands {
        band.label = format!("outage {}", format_seconds(band.to_s - band.from_s));
    }
    bands
}

/// A tick of a count.
pub(super) fn count_label(tick: f64) -> String {
    if tick.fract().abs() > 1e-9 {
        format!("{tick:.1}")
    } else {
        format_count(tick.max(0.0) as u64)
    }
}

/// One number an interval as steps.
fn course(run: &StreamRun, of: impl Fn(&IntervalReport) -> f64) -> Vec<Step> {
    let step = |interval: &IntervalReport| Step {
        from: interval.start_s,
        to: interval.start_s + interval.length_s,
        y: of(interval),
    };
    run.intervals.iter().map(step).collect()
}

fn greatest(all: &[Step]) -> f64 {
    all.iter().map(|step| step.y).filter(|y| y.is_finite()).fold(0.0, f64::max)
}

pub(super) fn write(page: &mut Page<'_>, run: &StreamRun) {
    if run.intervals.is_empty() {
        page.absent
            .push("No course over time: the run has not come to its first second.".to_owned());
        return;
    }
    let span_s = span_s(run);
    let xs = TimeChart::time_scale(span_s);
    let per_s = |rows: u64, interval: &IntervalReport| rows as f64 / interval.length_s.max(1e-9);
    let committed = course(run, |interval| per_s(interval.rows_acknowledged, interval));
    let committed = decimate(&committed, POINTS_MAX, Merge::Mean);
    let backlog = decimate(&course(run, |i| i.backlog_rows as f64), POINTS_MAX, Merge::Max);
    let target = course(run, |interval| interval.target_rows_per_s.unwrap_or(f64::NAN));
    let rates = Scale::from_zero(greatest(&committed).max(greatest(&target)) * 1.02, 4);
    let rows = Scale::from_zero(greatest(&backlog), 3);
    let wanted = run.stream.target_rows_per_s;
    let ends = wanted.map(|rows| End {
        at: rows as f64,
        class: "",
        text: format!("target {}", format_count(rows)),
    });
    let peak = End {
        at: greatest(&backlog),
        class: "m",
        text: format!("most {}", format_count(greatest(&backlog) as u64)),
    };
    let panels = [
        Panel {
            name: "rows/s committed".to_owned(),
            note: "dotted: asked for".to_owned(),
            height: (150.0, 120.0),
            scale: rates.clone(),
            label: &count_label,
            lanes: Vec::new(),
            layers: vec![
                Layer::Path("mud", steps(&decimate(&target, POINTS_MAX, Merge::Mean), &xs, &rates)),
                Layer::Path("fg", steps(&committed, &xs, &rates)),
            ],
            ends: ends.into_iter().collect(),
        },
        Panel {
            name: "rows due and not committed (backlog)".to_owned(),
            note: String::new(),
            height: (84.0, 70.0),
            scale: rows.clone(),
            label: &count_label,
            lanes: Vec::new(),
            layers: vec![Layer::Path("area", area(&backlog, &xs, &rows))],
            ends: vec![peak],
        },
    ];
    let (caption, plain) = caption(run, page.result.status == Status::Running);
    let names = Names {
        id: &page.id("c-rate"),
        title: "Rows per second against the target, and the backlog",
        desc: &plain,
    };
    let bands = bands(page.result, run);
    let chart = TimeChart { names, span_s, bands: &bands, panels: &panels }.draw();
    let what = match run.stream.outages.len() {
        0 => format_counted(run.intervals.len() as u64, "interval", "intervals"),
        count => format!(
            "{}, {}",
            format_counted(run.intervals.len() as u64, "interval", "intervals"),
            format_counted(count as u64, "outage", "outages")
        ),
    };
    let tables = data(&what, &[over_time(page, run), listed(&run.stream.outages)]);
    let figure = page.time_figure(&caption, &chart, &tables);
    page.section("rate", "Rate", "Was the rate kept?", &figure);
}

/// What is to be seen: as markup with its figures, and as plain text.
fn caption(run: &StreamRun, is_running: bool) -> (String, String) {
    let stream = &run.stream;
    let due = format_count(stream.measured.rows_due);
    let done = format_count(stream.measured.rows_acknowledged);
    let achieved = format_rate(stream.achieved_rows_per_s);
    let outages = match stream.outages.len() {
        0 => String::new(),
        _ => {
            let longest = stream.outages.iter().map(|outage| outage.length_s).fold(0.0, f64::max);
            let count = format_counted(outages(&stream.outages).len() as u64, "outage", "outages");
            format!(" There was {count}, the longest {} long.", format_seconds(longest))
                .replace("There was 1 outage, the longest", "There was 1 outage,")
        }
    };
    let outages = match outages.contains(" outages,") {
        true => outages.replace("There was", "There were"),
        false => outages,
    };
    let (due_of, done_of, achieved_of) = (
        figure("/stream/measured/rows_due", &due),
        figure("/stream/measured/rows_acknowledged", &done),
        figure("/stream/achieved_rows_per_s", &achieved),
    );
    let say = |due: &str, done: &str, achieved: &str, escaped: bool| {
        let reason = run.loader.reason.as_str();
        let reason = if escaped { escape(reason) } else { reason.to_owned() };
        match (stream.target_rows_per_s, !stream.kept_rate(run.measured_s)) {
            (None, _) => format!("No rate was asked for: {achieved} were committed."),
            (Some(_), _) if stream.measured.rows_due == 0 => {
                "No row was due in the measurement.".to_owned()
            }
            (Some(_), false) => {
                format!(
                    "Yes: {done} of {due} rows due in the measurement were committed, {achieved}."
                )
            }
            (Some(target), true) if is_running => format!(
                "So far {done} of {due} rows due in the measurement were committed, {achieved} of {}/s.",
                format_count(target)
            ),
            (Some(target), true) if !stream.missed_rate(run.measured_s) => format!(
                "No: {achieved} of {}/s, though {done} of {due} rows due in the measurement were committed \
                 in the end.",
                format_count(target)
            ),
            (Some(target), true) => format!(
                "No: {done} of {due} rows due in the measurement were committed, {achieved} of {}/s: \
                 {reason}.",
                format_count(target)
            ),
        }
    };
    (
        say(&due_of, &done_of, &achieved_of, true) + &outages,
        say(&due, &done, &achieved, false) + &outages,
    )
}

/// The run over time, in at most [`LINES_MAX`] lines.
fn over_time(page: &Page<'_>, run: &StreamRun) -> Table {
    let each = run.intervals.len().div_ceil(LINES_MAX).max(1);
    // Where the log is, what batches took stands with the chart that is made of it.
    let with_response = page.series.clocks.is_empty();
    let mut caption = "By interval".to_owned();
    if each > 1 {
        caption = format!(
            "{each} intervals a line: rows and queries added up, of the others the greatest"
        );
    }
    let with_queries = run.intervals.iter().any(|interval| interval.queries > 0);
    let mut heads = vec!["from s", "rows/s", "asked for", "backlog", "sent late", "errors"];
    if with_response {
        heads.extend(["response p50", "p99"]);
    }
    heads.push("slowest");
    if with_queries {
        heads.extend(["queries", "query p50", "query p99"]);
    }
    let mut table = Table { class: "num", ..Table::new(&caption, &heads) };
    for (at, lines) in run.intervals.chunks(each).enumerate() {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
        let length_s: f64 = lines.iter().map(|line| line.length_s).sum();
        let sum = |of: fn(&IntervalReport) -> u64| lines.iter().map(of).sum::<u64>();
        let most = |of: fn(&IntervalReport) -> Option<f64>| {
            let known = lines.iter().filter_map(of).reduce(f64::max);
            known.map_or("–".to_owned(), format_ms)
        };
        // The figure itself, where a line is an interval.
        let cell = |name: &str, shown: &str| match each {
            1 => Cell::of(&format!("/intervals/{at}/{name}"), shown),
            _ => Cell::number(shown),
        };
        let rows = sum(|line| line.rows_acknowledged) as f64 / length_s.max(1e-9);
        let target = most_f64(lines, |line| line.target_rows_per_s);
        let mut cells = vec![
            cell("start_s", &format!("{:.1}", first.start_s)),
            Cell::number(&format_rate(rows).replace("/s", "")),
            cell(
                "target_rows_per_s",
                &target.map_or("–".to_owned(), |t| format_count(t.round() as u64)),
            ),
            cell(
                "backlog_rows",
                &format_count(lines.iter().map(|l| l.backlog_rows).max().unwrap_or(0)),
            ),
            cell("batches_late", &format_count(sum(|line| line.batches_late))),
            cell("errors", &format_count(sum(|line| line.errors))),
        ];
        if with_response {
            cells.extend([
                cell("response_p50_ms", &most(|line| line.response_p50_ms)),
                cell("response_p99_ms", &most(|line| line.response_p99_ms)),
            ]);
        }
        cells.push(cell("response_max_ms", &most(|line| line.response_max_ms)));
        if with_queries {
            cells.extend([
                cell("queries", &format_count(sum(|line| line.queries))),
                cell("query_p50_ms", &most(|line| line.query_p50_ms)),
                cell("query_p99_ms", &most(|line| line.query_p99_ms)),
            ]);
        }
        table.times_s.push(f64::midpoint(first.start_s, last.start_s + last.length_s));
        table.row(cells);
    }
    table
}

fn most_f64(lines: &[IntervalReport], of: fn(&IntervalReport) -> Option<f64>) -> Option<f64> {
    lines.iter().filter_map(of).reduce(f64::max)
}

fn listed(outages: &[OutageReport]) -> Table {
    let heads = ["partition", "start", "length", "SQLSTATE", "ended in"];
    let mut table = Table::new("Outages of the producers, the first of each partition", &heads);
    for (at, outage) in outages.iter().take(OUTAGES_SHOWN).enumerate() {
        let place = |name: &str| format!("/stream/outages/{at}/{name}");
        table.row(vec![
            Cell::words(&outage.partition.to_string()),
            Cell::of(&place("start_s"), &format_seconds(outage.start_s)),
            Cell::of(&place("length_s"), &format_seconds(outage.length_s)),
            Cell::words(&outage.sqlstate),
            Cell::words(if outage.recovered { "success" } else { "no success" }),
        ]);
    }
    table
}
