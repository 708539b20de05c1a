//! A sweep: which combination of settings may be best, a chart a query.

use std::fmt::Write as _;

use crate::plot::{Mark, Names, Row, RowChart, Scale, Shape, Tone, escape};
use crate::quantity::{format_ms, format_ratio};
use crate::result::arm::Gpu;
use crate::result::evidence::{PlanHistory, Verdict as Proof};
use crate::result::sweep::{CellReport, SettingReport, SweepQueryReport, SweepRun};

use super::super::words;
use super::Page;
use super::gpus;
use super::html::{Cell, Table, data, framed};

/// Combinations that are drawn of a query; the table has all.
const ROWS_MAX: usize = 40;

pub(super) fn write(page: &mut Page<'_>, run: &SweepRun) {
    let sweep = &run.sweep;
    let mut content = String::new();
    for line in super::super::sweep::verdicts(page.result, sweep) {
        // Writing to a String cannot fail.
        let _ = write!(content, "<p>{}</p>", escape(&line));
    }
    for (at, query) in sweep.queries.iter().enumerate() {
        content.push_str(&of_query(page, at, query, &sweep.combinations));
        content.push_str(&map(page, at, query, run));
    }
    let note = format!(
        "<p class=\"note\">Tick: one round. Filled: may be best. Ring: shown not to be. Diamond: time \
         without an interval. Hatched: on, and ran on the CPU. {} of at most {} rounds.</p>",
        sweep.rounds, sweep.rounds_planned
    );
    page.section("sweep", "Sweep", "Which settings are best?", &(content + &note));
    if !sweep.skipped.is_empty() {
        let names: Vec<String> =
            sweep.skipped.iter().map(|own| format!("{} ({})", own.name, own.why)).collect();
        page.absent.push(format!("Settings that were left out: {}.", names.join("; ")));
    }
    gpus::write(page);
}

/// The values of a combination where each has a value for each setting, and what those are.
fn values_alone(combinations: &[Vec<SettingReport>]) -> Option<String> {
    let all = || combinations.iter().flatten();
    let first = combinations.first()?;
    let names: Vec<&str> = first.iter().map(|own| own.name.as_str()).collect();
    (names.len() > 1 && all().all(|own| own.value.is_some())).then(|| names.join(", "))
}

fn spelled(combination: &[SettingReport]) -> String {
    let set: Vec<String> = combination
        .iter()
        .filter_map(|own| Some(format!("{} = {}", own.name, own.value.as_ref()?)))
        .collect();
    if set.is_empty() { "the server as it is".to_owned() } else { set.join(", ") }
}

/// Places of combinations, the least time first.
fn order(query: &SweepQueryReport) -> Vec<usize> {
    let time = |at: &usize| query.combinations[*at].time_ms().unwrap_or(f64::INFINITY);
    let mut order: Vec<usize> = (0..query.combinations.len()).collect();
    order.sort_by(|one, other| time(one).total_cmp(&time(other)));
    order
}

/// Where the time of a combination stands in the result.
fn time_key(cell: &CellReport) -> &'static str {
    if cell.typical_ms.is_some() { "typical_ms" } else { "median_ms" }
}

fn said(cell: &CellReport) -> &'static str {
    match cell.time_ms() {
        _ if !cell.valid => "INVALID",
        None => "not measured",
        Some(_) if cell.may_be_best && cell.slower_so_far => "yes, so far not",
        Some(_) if cell.may_be_best => "yes",
        Some(_) => "no",
    }
}

fn of_query(
    page: &Page<'_>,
    number: usize,
    query: &SweepQueryReport,
    combinations: &[Vec<SettingReport>],
) -> String {
    let order = order(query);
    let alone = values_alone(combinations);
    let on_cpu = |cell: &CellReport| {
        let proof = cell.plan.as_ref().map_or(Proof::Unknown, PlanHistory::verdict);
        cell.gpu == Gpu::On && proof == Proof::Cpu
    };
    let rows: Vec<Row> = order
        .iter()
        .take(ROWS_MAX)
        .filter_map(|at| Some((query.combinations.get(*at)?, combinations.get(*at)?)))
        .map(|(cell, combination)| {
            let mark = match (cell.valid, cell.interval_ms().is_some(), cell.may_be_best) {
                (false, ..) => Mark { shape: Shape::Cross, tone: Tone::Bad },
                (true, false, _) => Mark { shape: Shape::Diamond, tone: Tone::Grey },
                (true, true, true) => Mark { shape: Shape::Dot, tone: Tone::On },
                (true, true, false) => Mark { shape: Shape::Ring, tone: Tone::Grey },
            };
            let label = match &alone {
                Some(_) => {
                    let values = combination.iter().filter_map(|own| own.value.as_deref());
                    values.collect::<Vec<_>>().join(", ")
                }
                None => spelled(combination),
            };
            let time = cell.time_ms().map_or("–".to_owned(), format_ms);
            let times = cell.times_best.map_or("–".to_owned(), format_ratio);
            Row {
                class: if cell.valid { "" } else { "tbad" },
                mark: cell.time_ms().map(|ms| (ms, mark)),
                interval: cell.interval_ms().filter(|_| cell.valid),
                ticks: cell.times_ns.iter().flatten().map(|ns| *ns as f64 / 1e6).collect(),
                hatched: on_cpu(cell),
                title: format!("{}: {time}, {}", spelled(combination), said(cell)),
                label,
                cells: vec![(time, "b"), (times, ""), (said(cell).to_owned(), "m")],
            }
        })
        .collect();
    let values = || {
        rows.iter().flat_map(|row: &Row| {
            let ends = row.interval.into_iter().flat_map(|(low, high)| [low, high]);
            row.ticks.iter().copied().chain(row.mark.map(|(ms, _)| ms)).chain(ends)
        })
    };
    let most = values().filter(|ms| ms.is_finite()).fold(1e-3, f64::max);
    let least = values().filter(|ms| *ms > 0.0).fold(most, f64::min);
    let may_be = query.may_be_best.len();
    let caption = match query.best.and_then(|best| combinations.get(best)) {
        Some(best) if may_be == 1 => format!("Best is {}, alone.", spelled(best)),
        Some(best) => format!(
            "{may_be} of {} may be best; the least time is that of {}.",
            combinations.len(),
            spelled(best)
        ),
        None => format!("Nothing is shown: fewer than {} rounds of each.", query.rounds_min),
    };
    let title = format!("Service time of {} by combination", query.query);
    let chart = RowChart {
        names: Names { id: &page.id(&format!("c-sweep-{number}")), title: &title, desc: &caption },
        scale: Scale::by_spread(least, most, 5.0, 6),
        label: &format_ms,
        one: None,
        sides: None,
        head: alone.as_deref().unwrap_or("combination"),
        heads: &["time", "× best", "may be best"],
        rows: &rows,
    };
    let table = table(number, query, combinations, &order);
    let left = order.len().saturating_sub(ROWS_MAX);
    let left = if left > 0 { format!(" {left} more are in the table.") } else { String::new() };
    let heading = format!("<h3>{}</h3>", escape(&query.query));
    heading
        + &framed(
            &escape(&format!("{caption}{left}")),
            &chart.draw(),
            &data(&query.query, &[table]),
        )
}

/// Every combination, the least time first.
fn table(
    number: usize,
    query: &SweepQueryReport,
    combinations: &[Vec<SettingReport>],
    order: &[usize],
) -> Table {
    let heads = [
        "combination",
        "time",
        "from",
        "to",
        "× best",
        "may be best",
        "rounds",
        "ran on",
        "answers",
    ];
    let mut table = Table::new("Least time first", &heads);
    for at in order {
        let (Some(cell), Some(combination)) = (query.combinations.get(*at), combinations.get(*at))
        else {
            continue;
        };
        let ms = |key: &str, value: Option<f64>| match value {
            Some(ms) => Cell::of(
                &format!("/sweep/queries/{number}/combinations/{at}/{key}"),
                &format_ms(ms),
            ),
            None => Cell::number("–"),
        };
        table.row(vec![
            Cell::words(&spelled(combination)),
            ms(time_key(cell), cell.time_ms()),
            ms("low_ms", cell.interval_ms().and(cell.low_ms)),
            ms("high_ms", cell.interval_ms().and(cell.high_ms)),
            Cell::number(&cell.times_best.map_or("–".to_owned(), format_ratio)),
            Cell::words(said(cell)),
            Cell::number(&cell.rounds.to_string()),
            Cell::words(&cell.evidence()),
            Cell::words(&words::answers(&cell.answers)),
        ]);
    }
    table.class = "keep";
    table
}

/// The times as a map, where two settings are swept.
fn map(page: &Page<'_>, number: usize, query: &SweepQueryReport, run: &SweepRun) -> String {
    let [across, down] = run.sweep.settings.as_slice() else { return String::new() };
    let value_of = |combination: &[SettingReport], name: &str| {
        let own = combination.iter().find(|own| own.name == name)?;
        Some(own.value.clone().unwrap_or_else(|| "as it is".to_owned()))
    };
    let mut cells: Vec<(String, String, f64, usize)> = Vec::new();
    for (at, combination) in run.sweep.combinations.iter().enumerate() {
        let time = query.combinations.get(at).and_then(CellReport::time_ms);
        if let (Some(x), Some(y), Some(ms)) =
            (value_of(combination, &across.name), value_of(combination, &down.name), time)
        {
            cells.push((x, y, ms, at));
        }
    }
    let distinct = |of: fn(&(String, String, f64, usize)) -> &String| {
        let mut all: Vec<&String> = Vec::new();
        for own in &cells {
            if !all.contains(&of(own)) {
                all.push(of(own));
            }
        }
        all
    };
    let (xs, ys) = (distinct(|own| &own.0), distinct(|own| &own.1));
    if xs.len() < 2 || ys.len() < 2 || cells.len() < xs.len() * ys.len() {
        return String::new();
    }
    let least = cells.iter().map(|own| own.2).fold(f64::INFINITY, f64::min);
    let most = cells.iter().map(|own| own.2).fold(0.0, f64::max);
    let scale = Scale::log_with(least, most, Vec::new());
    let head = format!("{} ↓ {} →", down.name, across.name);
    let mut table = Table::new("Service time; darker is slower", &[&head]);
    table.heads.extend(xs.iter().map(|x| (*x).clone()));
    for y in &ys {
        let mut row = vec![Cell::words(y)];
        for x in &xs {
            let own = cells.iter().find(|own| own.0 == **x && own.1 == **y);
            row.push(match own {
                Some((_, _, ms, at)) => {
                    let level = (scale.share(*ms) * 4.99).floor() as u8 + 1;
                    let key = time_key(&query.combinations[*at]);
                    let place = format!("/sweep/queries/{number}/combinations/{at}/{key}");
                    let shown = super::html::figure(&place, &format_ms(*ms));
                    Cell::markup(format!(r#"<i class="heat k{level}"></i>{shown}"#))
                }
                None => Cell::number("–"),
            });
        }
        table.row(row);
    }
    table.class = "map";
    let label = page.id(&format!("map-{number}"));
    format!(
        r#"<div class="scroll" role="group" aria-label="Map {label}" tabindex="0">{}</div>"#,
        table.html()
    )
}
