//! The executions of the queries over time: a lane a query, in it the arms, and of each as many lines as
//! it has executions at once.

use crate::plot::{Lane, Layer, Names, Panel, Scale, TimeChart, spans, stacked};
use crate::quantity::{format_count, format_seconds};
use crate::result::arm::Gpu;
use crate::result::{Body, JobResult};
use crate::series::Execution;

use super::Page;
use super::html::{Cell, Table, data};
use super::rate::bands;

/// Queries that are drawn.
const QUERIES_MAX: usize = 32;
/// Lines of all lanes together, about.
const LINES_MAX: usize = 80;
/// Heights: of a line, of a box in it, and of a lane's rest, above which its name stands on a phone.
const LINE: f64 = 9.0;
const BOX: f64 = 7.0;
const REST: f64 = 12.0;

/// How the boxes are to be read; nothing without any.
pub(super) fn note(page: &Page<'_>) -> String {
    let arms = &page.series.executions.arms;
    let told = |own: &(String, String)| arm_gpu(page.result, &own.0, &own.1) != Gpu::Absent;
    let arm = if arms.iter().any(told) { "; an arm that is off outlined, on filled" } else { "" };
    match arms.is_empty() {
        true => String::new(),
        false => format!(
            "Boxes: executions, those that lie closer than a pixel joined, and a line more for each that \
             a query has at once{arm}."
        ),
    }
}

/// What an arm does about the GPU.
fn arm_gpu(result: &JobResult, query: &str, arm: &str) -> Gpu {
    let of_stream = result.stream().into_iter().flat_map(|run| &run.queries);
    let mut of_stream = of_stream.filter(|own| own.query == query && own.arm == arm);
    if let Some(own) = of_stream.next() {
        return own.gpu;
    }
    let Body::Benchmark(run) = &result.body else { return Gpu::Absent };
    let arms = run.queries().flat_map(|own| &own.arms).find(|own| own.arm == arm);
    arms.map_or(Gpu::Absent, |own| own.gpu)
}

/// The panel and its data; none without executions.
pub(super) fn executions<'a>(page: &Page<'_>, span_s: (f64, f64)) -> Option<(Panel<'a>, Table)> {
    let executions = &page.series.executions;
    if executions.all.is_empty() {
        return None;
    }
    let xs = TimeChart::time_scale(span_s);
    let mut queries: Vec<&str> = Vec::new();
    for (query, _) in &executions.arms {
        if !queries.contains(&query.as_str()) {
            queries.push(query);
        }
    }
    let left_out = queries.len().saturating_sub(QUERIES_MAX);
    queries.truncate(QUERIES_MAX);
    let most = (LINES_MAX / executions.arms.len().max(1)).clamp(1, 16);
    let (mut lanes, mut drawn) = (Vec::new(), Vec::new());
    let mut top = 0.0;
    let heads = ["query", "arm", "executions", "at once", "longest", "first at", "last at"];
    let mut table = Table::new("Executions of the queries", &heads);
    for query in queries {
        let mut lines = 0;
        // Off above on.
        let mut arms: Vec<usize> =
            (0..executions.arms.len()).filter(|at| executions.arms[*at].0 == query).collect();
        let gpu = |at: &usize| arm_gpu(page.result, query, &executions.arms[*at].1);
        arms.sort_by_key(|at| gpu(at) == Gpu::On);
        for at in arms {
            let class = match gpu(&at) {
                Gpu::Off => "xoff",
                Gpu::On => "xon",
                Gpu::Absent => "xfg",
            };
            // Those after what else is known, of a loader that was killed, are left to their file.
            let known = |own: &&Execution| own.arm == at && own.start_s < span_s.1;
            let own = executions.all.iter().filter(known);
            let own: Vec<(f64, f64)> =
                own.map(|own| (own.start_s, own.start_s + own.service_s)).collect();
            let all = stacked(&own, usize::MAX);
            table.row(row(&executions.arms[at], &own, all.len()));
            let all = if all.len() > most { stacked(&own, most) } else { all };
            for line in all {
                drawn.push((class, top + REST - 2.0 + LINE * f64::from(lines), line));
                lines += 1;
            }
        }
        let tall = REST + LINE * f64::from(lines);
        lanes.push(Lane { name: query.to_owned(), tall, free: REST - 2.0 });
        top += tall;
    }
    let layer = |(class, at, line): (&'static str, f64, Vec<(f64, f64)>)| {
        Layer::Path(class, spans(&line, (at / top, BOX / top), &xs))
    };
    let more =
        if left_out > 0 { format!("{left_out} queries are left out") } else { String::new() };
    let panel = Panel {
        name: "executions of the queries".to_owned(),
        note: more,
        height: (top, top * 1.25),
        scale: Scale::linear(0.0, 1.0, 2),
        label: &|_| String::new(),
        lanes,
        layers: drawn.into_iter().map(layer).collect(),
        ends: Vec::new(),
    };
    Some((panel, table))
}

/// An arm's executions in figures.
fn row((query, arm): &(String, String), all: &[(f64, f64)], at_once: usize) -> Vec<Cell> {
    let seconds = |of: fn(&(f64, f64)) -> f64, pick: fn(f64, f64) -> f64| {
        let known = all.iter().map(of).reduce(pick);
        Cell::number(&known.map_or("–".to_owned(), format_seconds))
    };
    vec![
        Cell::words(query),
        Cell::words(arm),
        Cell::number(&format_count(all.len() as u64)),
        Cell::number(&format_count(at_once as u64)),
        seconds(|own| own.1 - own.0, f64::max),
        seconds(|own| own.0, f64::min),
        seconds(|own| own.0, f64::max),
    ]
}

/// The executions where there is no GPU beside which they would stand.
pub(super) fn write(page: &mut Page<'_>, span_s: (f64, f64)) {
    let Some((panel, table)) = executions(page, span_s) else { return };
    let caption = match table.rows.len() {
        1 => "Each execution of the query, from sent to the last row of its answer.",
        _ => "Each execution of each query, from sent to the last row of its answer.",
    };
    let names =
        Names { id: &page.id("c-executions"), title: "Executions of the queries", desc: caption };
    let behind = page.result.stream().map(|run| bands(page.result, run)).unwrap_or_default();
    let chart = TimeChart { names, span_s, bands: &behind, panels: &[panel] }.draw();
    let note = format!("<p class=\"note\">{}</p>", note(page));
    let figure = page.time_figure(caption, &(chart + &note), &data("executions", &[table]));
    page.section("executions", "Executions", "When did the queries run?", &figure);
}
