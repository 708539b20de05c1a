//! How long did the queries take? Each query in each arm.

use crate::plot::{Mark, Names, Row, RowChart, Scale, Shape, Tone, escape};
use crate::quantity::{format_count, format_counted, format_ms, format_rate};
use crate::record::{Percentile, Percentiles};
use crate::result::arm::Gpu;
use crate::result::query::QueryReport;
use crate::result::stream::StreamRun;

use super::super::{latency, words};
use super::Page;
use super::html::{Cell, Table, data, framed};
use super::response::latency_cells;

/// Values that stand in the table.
const SHOWN: [Percentile; 4] = [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::Max];

/// The look of an arm by what it does about the GPU.
pub(super) fn mark(gpu: Gpu) -> (Mark, &'static str) {
    let mark = |shape, tone| Mark { shape, tone };
    match gpu {
        Gpu::On => (mark(Shape::Dot, Tone::On), "ton"),
        Gpu::Off => (mark(Shape::Box, Tone::Off), "toff"),
        Gpu::Absent => (mark(Shape::Ring, Tone::Plain), ""),
    }
}

/// What the marks of arms mean, where they differ.
pub(super) fn marks(mut all: impl Iterator<Item = Gpu>) -> &'static str {
    match all.any(|gpu| gpu != Gpu::Absent) {
        true => "; an arm that is on is filled, one that is off is a square",
        false => "",
    }
}

/// Least, median and greatest of some percentiles as a row; nothing without any.
pub(super) fn row(
    label: String,
    (mark, class): (Mark, &'static str),
    of: Option<&Percentiles>,
    cells: Vec<(String, &'static str)>,
) -> Row {
    let known = of.filter(|of| of.p50_ms.is_finite());
    let title = known.map_or_else(
        || format!("{label}: not measured"),
        |of| {
            let [low, middle, high] = [of.min_ms, of.p50_ms, of.max_ms].map(format_ms);
            format!("{label}: least {low}, median {middle}, greatest {high}")
        },
    );
    Row {
        class,
        mark: known.map(|of| (of.p50_ms, mark)),
        interval: known.map(|of| (of.min_ms, of.max_ms)),
        ticks: Vec::new(),
        hatched: false,
        cells,
        title,
        label,
    }
}

/// An axis for rows.
pub(super) fn scale<'a>(all: impl Iterator<Item = &'a Percentiles>) -> Scale {
    spread(&all.flat_map(|of| [of.min_ms, of.max_ms]).collect::<Vec<_>>())
}

/// An axis for times, which are never all the same.
pub(super) fn spread(all: &[f64]) -> Scale {
    let known = || all.iter().copied().filter(|ms| *ms > 0.0 && ms.is_finite());
    let most = known().fold(1e-3, f64::max);
    let least = known().fold(most, f64::min);
    match most / least < 1.3 {
        true => Scale::linear(least * 0.8, most * 1.2, 6),
        false => Scale::by_spread(least, most, 20.0, 7),
    }
}

pub(super) fn write(page: &mut Page<'_>, run: &StreamRun) {
    if run.queries.is_empty() {
        page.absent.push("No queries: the stream ran without readers.".to_owned());
        return;
    }
    let answered = || run.queries.iter().filter_map(|own| own.response.as_ref());
    let rows: Vec<Row> = run.queries.iter().map(query_row).collect();
    let count: u64 = answered().map(|of| of.count).sum();
    let slowest = run
        .queries
        .iter()
        .filter_map(|own| Some((own, own.response.as_ref()?.p50_ms)))
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let caption = match slowest {
        Some((own, ms)) => format!(
            "{} executions of {} were answered in the measurement; by the median {} ({}) took longest, {}.",
            format_count(count),
            format_counted(run.queries.len() as u64, "query and arm", "queries and arms"),
            own.query,
            own.arm,
            format_ms(ms)
        ),
        None => "No execution was answered in the measurement.".to_owned(),
    };
    let chart = RowChart {
        names: Names { id: &page.id("c-times"), title: "Response of each query", desc: &caption },
        scale: scale(answered()),
        label: &format_ms,
        one: None,
        sides: None,
        head: "query, arm",
        heads: &["median", "p99", "rate", "ran on"],
        rows: &rows,
    };
    let note = format!(
        "<p class=\"note\">Line: least to greatest. Mark: median{}.</p>",
        marks(run.queries.iter().map(|own| own.gpu))
    );
    let tables: Vec<Table> = std::iter::once(table(run)).chain(statements(run)).collect();
    let tables = data("each query", &tables);
    let chart = match slowest {
        Some(_) => chart.draw() + &note,
        None => String::new(),
    };
    let figure = framed(&escape(&caption), &chart, &tables);
    page.section("times", "Query times", "How long did the queries take?", &figure);
}

fn query_row(own: &QueryReport) -> Row {
    let response = own.response.as_ref();
    let mut shown = latency::cells(response, &[Percentile::P50, Percentile::P99])
        .map(|cell| match &*cell {
            "-" => "–".to_owned(),
            cell => cell.to_owned(),
        })
        .collect::<Vec<_>>()
        .into_iter();
    let mut next = || shown.next().unwrap_or_default();
    let cells = vec![
        (next(), "b"),
        (next(), ""),
        (response.map_or("–".to_owned(), |_| format_rate(own.queries_per_s)), ""),
        (own.evidence(), "m"),
    ];
    row(format!("{}, {}", own.query, own.arm), mark(own.gpu), response, cells)
}

fn table(run: &StreamRun) -> Table {
    let mut heads = vec!["query", "arm", "answered, warm-up too", "rate"];
    heads.extend(SHOWN.map(Percentile::name));
    heads.extend(["errors", "ran on"]);
    let mut table = Table::new(
        "Response and rate in the measurement; – where fewer than ten lie beyond",
        &heads,
    );
    for (at, own) in run.queries.iter().enumerate() {
        let place = |name: &str| format!("/queries/{at}/{name}");
        let errors: u64 = own.errors.values().sum();
        let codes: Vec<String> = own
            .errors
            .iter()
            .map(|(code, count)| format!("{code} × {}", format_count(*count)))
            .collect();
        let errors = match errors {
            0 => "0".to_owned(),
            errors => format!("{} ({})", format_count(errors), codes.join(", ")),
        };
        let mut cells = vec![
            Cell::words(&own.query),
            Cell::words(&own.arm),
            Cell::of(&place("executions"), &format_count(own.executions)),
            Cell::of(&place("queries_per_s"), &format_rate(own.queries_per_s)),
        ];
        cells.extend(latency_cells(&place("response"), own.response.as_ref(), &SHOWN));
        cells.extend([Cell::words(&errors), Cell::words(&own.evidence())]);
        table.row(cells);
    }
    table.class = "keep";
    table
}

/// What transactions are made of; nothing without any.
fn statements(run: &StreamRun) -> Option<Table> {
    let mut heads = vec!["query", "arm", "statement"];
    heads.extend(SHOWN.map(Percentile::name));
    let mut table = Table::new("Service of each statement of a transaction", &heads);
    let mut any = false;
    for (at, own) in run.queries.iter().enumerate() {
        for (number, statement) in own.statements.iter().enumerate() {
            let place = format!("/queries/{at}/statements/{number}/service");
            let mut cells = vec![
                Cell::words(&own.query),
                Cell::words(&own.arm),
                Cell::words(&words::one_line(&statement.sql)),
            ];
            cells.extend(latency_cells(&place, statement.service.as_ref(), &SHOWN));
            table.row(cells);
            any = true;
        }
    }
    any.then_some(table)
}
