//! How old are the answers?

use crate::plot::{Names, Row, RowChart, escape};
use crate::quantity::{format_count, format_ms};
use crate::record::Percentile;
use crate::result::query::QueryReport;
use crate::result::stream::StreamRun;

use super::Page;
use super::html::{Cell, Table, data, framed};
use super::response::latency_cells;
use super::times::{mark, row, spread};

const SHOWN: [Percentile; 4] = [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::Max];

pub(super) fn write(page: &mut Page<'_>, run: &StreamRun) {
    let with_age: Vec<(usize, &QueryReport)> =
        run.queries.iter().enumerate().filter(|(_, own)| own.answer_age.is_some()).collect();
    if with_age.is_empty() {
        if !run.queries.is_empty() {
            page.absent
                .push("No ages of answers: none of the queries reads the newest rows.".to_owned());
        }
        return;
    }
    let ages = || with_age.iter().filter_map(|(_, own)| own.answer_age.as_ref());
    let values: Vec<f64> = {
        let own = with_age.iter().filter_map(|(_, own)| own.service.as_ref()).map(|of| of.p50_ms);
        ages().flat_map(|of| [of.min_ms, of.max_ms]).chain(own).collect()
    };
    let rows: Vec<Row> = with_age
        .iter()
        .map(|(_, own)| {
            let age = own.answer_age.as_ref();
            let count = age.map_or(0, |of| of.count);
            let cells = vec![
                (age.map_or("–".to_owned(), |of| format_ms(of.p50_ms)), "b"),
                (format_count(count), "m"),
            ];
            let mut row = row(format!("{}, {}", own.query, own.arm), mark(own.gpu), age, cells);
            // What of the age is the query's own time.
            row.ticks.extend(own.service.as_ref().map(|of| of.p50_ms));
            row
        })
        .collect();
    let by_median = |one: &&&QueryReport, other: &&&QueryReport| {
        let ms = |own: &QueryReport| own.answer_age.as_ref().map_or(0.0, |of| of.p50_ms);
        ms(one).total_cmp(&ms(other))
    };
    let queries: Vec<&QueryReport> = with_age.iter().map(|(_, own)| *own).collect();
    let say = |own: Option<&&QueryReport>| {
        own.and_then(|own| {
            let age = own.answer_age.as_ref()?;
            Some(format!("{} ({}) {}", own.query, own.arm, format_ms(age.p50_ms)))
        })
        .unwrap_or_default()
    };
    let (freshest, oldest) = (queries.iter().min_by(by_median), queries.iter().max_by(by_median));
    let caption = match queries.len() {
        1 => format!(
            "When it arrives, the oldest row that is missing in an answer was due before: {}, by the median.",
            say(freshest)
        ),
        _ => format!(
            "When an answer arrives, the oldest row that is missing in it was due before, by the median: \
             freshest {}, oldest {}.",
            say(freshest),
            say(oldest)
        ),
    };
    let chart = RowChart {
        names: Names {
            id: &page.id("c-ages"),
            title: "Age of the answers of each query",
            desc: &caption,
        },
        scale: spread(&values),
        label: &format_ms,
        one: None,
        sides: None,
        head: "query, arm",
        heads: &["median", "answers"],
        rows: &rows,
    };
    let note = "<p class=\"note\">Line: least to greatest. Mark: median. Upright tick: median service time \
                of the query, which is part of the age.</p>";
    let mut heads = vec!["query", "arm", "answers"];
    heads.extend(SHOWN.map(Percentile::name));
    let mut table = Table::new("Age of the answers; – where fewer than ten lie beyond", &heads);
    for (at, own) in &with_age {
        let place = format!("/queries/{at}/answer_age");
        let age = own.answer_age.as_ref();
        let count = format_count(age.map_or(0, |of| of.count));
        let mut cells = vec![
            Cell::words(&own.query),
            Cell::words(&own.arm),
            Cell::of(&format!("{place}/count"), &count),
        ];
        cells.extend(latency_cells(&place, age, &SHOWN));
        table.row(cells);
    }
    let tables = data("age of the answers", &[table]);
    let figure = framed(&escape(&caption), &(chart.draw() + note), &tables);
    let over_time = super::ages_over_time::figure(page, run);
    page.section("age", "Answer age", "How old are the answers?", &(figure + &over_time));
}
