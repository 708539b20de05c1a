//! A run among faults: what was broken, and how long it took until rows came again.

use crate::plot::{Mark, Names, Row, RowChart, Shape, Tone, escape};
use crate::quantity::{format_count, format_ms};
use crate::record::Percentile;
use crate::result::faults::{FaultKind, FaultsReport, KindReport};

use super::super::latency;
use super::Page;
use super::html::{Cell, Table, data, framed};
use super::response::latency_cells;
use super::times::{row, scale};

const SHOWN: [Percentile; 4] = [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::Max];

pub(super) fn write(page: &mut Page<'_>, faults: &FaultsReport) {
    let all = &faults.all;
    let kinds: Vec<(&KindReport, String)> = faults
        .faults
        .iter()
        .enumerate()
        .map(|(at, kind)| (kind, format!("/faults/faults/{at}")))
        .chain([(all, "/faults/all".to_owned())])
        .collect();
    let name = |kind: &KindReport| kind.kind.map_or("all", FaultKind::name).to_owned();
    let mark = Mark { shape: Shape::Ring, tone: Tone::Plain };
    let rows: Vec<Row> = kinds
        .iter()
        .map(|(kind, _)| {
            let recovery = kind.recovery.as_ref();
            let median = latency::cells(recovery, &[Percentile::P50]).next().unwrap_or_default();
            let survived = format!("{} of {}", kind.survived, kind.injected);
            let cells = vec![(median.replace('-', "–"), "b"), (survived, "")];
            row(name(kind), (mark, ""), recovery, cells)
        })
        .collect();
    let was = if all.injected == 1 { "fault was" } else { "faults were" };
    let caption = format!(
        "{} of {} {was} survived: rows were committed again in every partition after them.",
        format_count(all.survived),
        format_count(all.injected)
    );
    let chart = RowChart {
        names: Names {
            id: &page.id("c-faults"),
            title: "Outages by kind of fault",
            desc: &caption,
        },
        scale: scale(kinds.iter().filter_map(|(kind, _)| kind.recovery.as_ref())),
        label: &format_ms,
        one: None,
        sides: None,
        head: "fault",
        heads: &["median outage", "survived"],
        rows: &rows,
    };
    let note = "<p class=\"note\">Line: shortest to longest outage of a producer, from the first failure to \
                the next success. Mark: median.</p>";
    let mut heads = vec!["fault", "injected", "survived", "outages"];
    heads.extend(SHOWN.map(Percentile::name));
    heads.push("slowest batch");
    let mut table = Table::new("Each kind of fault; – where fewer than ten lie beyond", &heads);
    for (kind, place) in &kinds {
        let mut cells = vec![
            Cell::words(&name(kind)),
            Cell::of(&format!("{place}/injected"), &format_count(kind.injected)),
            Cell::of(&format!("{place}/survived"), &format_count(kind.survived)),
            match &kind.recovery {
                Some(of) => Cell::of(&format!("{place}/recovery/count"), &format_count(of.count)),
                None => Cell::number("0"),
            },
        ];
        cells.extend(latency_cells(&format!("{place}/recovery"), kind.recovery.as_ref(), &SHOWN));
        cells.push(match kind.slowest_batch_ms {
            Some(ms) => Cell::of(&format!("{place}/slowest_batch_ms"), &format_ms(ms)),
            None => Cell::number("–"),
        });
        table.row(cells);
    }
    table.class = "keep";
    let figure = framed(&escape(&caption), &(chart.draw() + note), &data("faults", &[table]));
    page.section("faults", "Faults", "What was broken, and what came of it?", &figure);
}
