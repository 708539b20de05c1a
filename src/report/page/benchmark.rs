//! A benchmark: ratios of its queries, times over sizes of tables, and what a step changed.

use crate::plot::{
    Label, Line, Mark, Names, Row, RowChart, Scale, Shape, Tone, XyChart, curve, escape,
};
use crate::quantity::{format_about, format_count, format_counted, format_ms, format_ratio};
use crate::result::arm::Gpu;
use crate::result::benchmark::{BenchArmReport, BenchQueryReport, BenchmarkRun, StepReport};

use super::super::words;
use super::Page;
use super::distributions::look;
use super::gpus;
use super::html::{Cell, Table, data, framed};
use super::ratios::{self, Compared, bench_pair};
use super::times::{mark, marks, spread};

/// Queries whose times over sizes are drawn.
const SIZES_MAX: usize = 12;

pub(super) fn write(page: &mut Page<'_>, run: &BenchmarkRun) {
    let several = run.steps.len() > 1;
    let named = |step: &StepReport, query: &BenchQueryReport| match several {
        true => format!("{} / {}", step.name, query.query),
        false => query.query.clone(),
    };
    let all = || {
        run.steps.iter().enumerate().flat_map(|(number, step)| {
            step.queries.iter().enumerate().map(move |(at, query)| (number, step, at, query))
        })
    };
    let compared: Vec<Compared<'_>> = all()
        .filter_map(|(number, step, at, query)| bench_pair(number, at, named(step, query), query))
        .collect();
    if compared.is_empty() {
        page.absent.push("No comparison of arms: the queries ran in one arm.".to_owned());
    } else {
        let content = ratios::write(page, "", &compared);
        page.section("queries", "Queries", &ratios::question(&compared), &content);
    }
    let measured: Vec<(String, String, &BenchArmReport)> = all()
        .flat_map(|(number, step, at, query)| {
            query.arms.iter().enumerate().map(move |(arm_at, arm)| {
                let place = format!("/steps/{number}/queries/{at}/arms/{arm_at}");
                (named(step, query), place, arm)
            })
        })
        .collect();
    times(page, &measured);
    sizes(page, run);
    changes(page, run);
    steps(page, run);
    gpus::write(page);
}

/// Each query in each arm.
fn times(page: &mut Page<'_>, measured: &[(String, String, &BenchArmReport)]) {
    if measured.is_empty() {
        page.absent.push("No times: no query was begun.".to_owned());
        return;
    }
    let known = |of: fn(&BenchArmReport) -> Option<f64>| {
        measured
            .iter()
            .filter_map(move |(.., arm)| of(arm))
            .filter(|ms| ms.is_finite() && *ms > 0.0)
    };
    let most = known(|arm| arm.max_ms).fold(1e-3, f64::max);
    let least = known(|arm| arm.min_ms).fold(most, f64::min);
    let rows: Vec<Row> = measured
        .iter()
        .map(|(name, _, arm)| {
            let (mark, class) = mark(arm.gpu);
            let median = arm.median_ms.map_or("–".to_owned(), format_ms);
            let cells = vec![
                (median.clone(), "b"),
                (arm.executions.to_string(), ""),
                (arm.evidence(), "m"),
            ];
            Row {
                label: format!("{name}, {}", arm.arm),
                class,
                mark: arm.median_ms.map(|ms| (ms, mark)),
                interval: arm.min_ms.zip(arm.max_ms),
                ticks: arm.times_ns.iter().map(|ns| *ns as f64 / 1e6).collect(),
                hatched: false,
                cells,
                title: format!("{name}, {}: median {median}", arm.arm),
            }
        })
        .collect();
    let executions: usize = measured.iter().map(|(.., arm)| arm.executions).sum();
    let caption = format!(
        "{} timed executions of {}; the medians lie between {} and {}.",
        format_count(executions as u64),
        format_counted(measured.len() as u64, "query and arm", "queries and arms"),
        format_ms(known(|arm| arm.median_ms).fold(most, f64::min)),
        format_ms(known(|arm| arm.median_ms).fold(least, f64::max))
    );
    let chart = RowChart {
        names: Names {
            id: &page.id("c-times"),
            title: "Service time of each query",
            desc: &caption,
        },
        scale: spread(&[least, most]),
        label: &format_ms,
        one: None,
        sides: None,
        head: "query, arm",
        heads: &["median", "executions", "ran on"],
        rows: &rows,
    };
    let note = format!(
        "<p class=\"note\">Line: least to greatest; thin ticks: single executions. Mark: median{}.</p>",
        marks(measured.iter().map(|(.., arm)| arm.gpu))
    );
    let heads =
        ["query", "arm", "executions", "median", "least", "greatest", "first", "rows", "ran on"];
    let mut table = Table::new("Service times; the first execution is not counted", &heads);
    for (name, place, arm) in measured {
        let ms = |key: &str, value: Option<f64>| match value {
            Some(ms) => Cell::of(&format!("{place}/{key}"), &format_ms(ms)),
            None => Cell::number("–"),
        };
        table.row(vec![
            Cell::words(name),
            Cell::words(&arm.arm),
            Cell::of(&format!("{place}/executions"), &format_count(arm.executions as u64)),
            ms("median_ms", arm.median_ms),
            ms("min_ms", arm.min_ms),
            ms("max_ms", arm.max_ms),
            ms("cold_ms", arm.cold_ms),
            Cell::of(&format!("{place}/rows"), &format_count(arm.rows)),
            Cell::words(&arm.evidence()),
        ]);
    }
    table.class = "keep";
    let figure = framed(&escape(&caption), &(chart.draw() + &note), &data("each query", &[table]));
    page.section("times", "Times", "How long did the queries take?", &figure);
}

/// Rows of a step's table, where the profile made it.
fn rows_of(run: &BenchmarkRun, step: &StepReport) -> Option<u64> {
    let name = step.table.as_ref()?;
    run.tables.iter().find(|table| table.table == *name).map(|table| table.rows)
}

/// Time against rows, an arm a line, where the steps are the same queries on tables of several sizes.
fn sizes(page: &mut Page<'_>, run: &BenchmarkRun) {
    let mut sizes: Vec<u64> = run.steps.iter().filter_map(|step| rows_of(run, step)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.len() < 2 {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for query in run.queries() {
        if !names.contains(&query.query.as_str()) {
            names.push(&query.query);
        }
    }
    let mut figures = String::new();
    for (number, name) in names.iter().take(SIZES_MAX).enumerate() {
        // By arm: the points, ascending by rows.
        let mut arms: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
        for step in &run.steps {
            let Some(rows) = rows_of(run, step) else { continue };
            for query in step.queries.iter().filter(|own| own.query == *name && own.valid) {
                for arm in &query.arms {
                    let Some(ms) = arm.median_ms.filter(|ms| *ms > 0.0) else { continue };
                    let point = (rows as f64, ms);
                    match arms.iter_mut().find(|own| own.0 == arm.arm) {
                        Some((_, points)) => points.push(point),
                        None => arms.push((&arm.arm, vec![point])),
                    }
                }
            }
        }
        arms.iter_mut().for_each(|(_, points)| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        arms.retain(|(_, points)| points.len() > 1);
        if !arms.is_empty() {
            figures.push_str(&size_figure(page, number, name, &arms));
        }
    }
    if figures.is_empty() {
        return;
    }
    let content = format!("<div class=\"two\">{figures}</div>");
    let several = run.queries().any(|query| query.arms.len() > 1);
    let question = match several {
        true => "From which size on does which arm win?",
        false => "How does the time grow with the table?",
    };
    page.section("sizes", "Sizes", question, &content);
}

/// What is to be seen, by the medians alone.
fn size_caption(name: &str, arms: &[(&str, Vec<(f64, f64)>)]) -> String {
    let rows = |point: &(f64, f64)| format_about(point.0 as u64);
    let [(base, slow), (other, fast)] = arms else {
        let ends = arms.first().and_then(|(_, points)| points.first().zip(points.last()));
        return match ends {
            Some((first, last)) if arms.len() == 1 => format!(
                "{name}: by the medians {} at {} rows, {} at {}.",
                format_ms(first.1),
                rows(first),
                format_ms(last.1),
                rows(last)
            ),
            _ => format!("{name}: median service time by rows of the table."),
        };
    };
    // Sizes that both arms have, and whether the other one won.
    let both: Vec<((f64, f64), bool)> = fast
        .iter()
        .filter_map(|point| {
            let own = slow.iter().find(|own| (own.0 - point.0).abs() < 0.5)?;
            Some((*point, point.1 < own.1))
        })
        .collect();
    let from = both.iter().rev().take_while(|(_, won)| *won).last();
    match (from, both.iter().any(|(_, won)| *won)) {
        (Some((point, _)), _) => format!(
            "{name}: by the medians {other} takes less time than {base} from {} rows on.",
            rows(point)
        ),
        (None, true) => {
            let won: Vec<String> =
                both.iter().filter(|(_, won)| *won).map(|(point, _)| rows(point)).collect();
            format!(
                "{name}: by the medians {other} takes less time than {base} at {} rows, and not with the \
                 most.",
                won.join(", ")
            )
        }
        (None, false) => {
            format!("{name}: at no size the median of {other} is below that of {base}.")
        }
    }
}

fn size_figure(
    page: &Page<'_>,
    number: usize,
    name: &str,
    arms: &[(&str, Vec<(f64, f64)>)],
) -> String {
    let points = || arms.iter().flat_map(|(_, points)| points);
    let span = |of: fn(&(f64, f64)) -> f64| {
        let values = || points().map(of);
        (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max))
    };
    let ((x_low, x_high), (y_low, y_high)) = (span(|point| point.0), span(|point| point.1));
    let (xs, ys) = (Scale::log(x_low, x_high, 6), Scale::log(y_low, y_high, 6));
    let lines: Vec<Line> = arms
        .iter()
        .enumerate()
        .map(|(at, (arm, points))| {
            let plain = Mark { shape: Shape::Ring, tone: Tone::Plain };
            let (class, mark, text_class) =
                if arms.len() == 1 { ("fg", plain, "b") } else { look(at) };
            let end = points.last().copied().unwrap_or((x_high, y_high));
            let label =
                Label { at: end, class: text_class, text: (*arm).to_owned(), before: false };
            Line {
                class,
                path: curve(points, &xs, &ys),
                marks: points.iter().map(|(x, y)| (*x, *y, mark)).collect(),
                stop: None,
                label: Some(label),
            }
        })
        .collect();
    let caption = size_caption(name, arms);
    let title = format!("Service time of {name} over the rows of the table");
    let chart = XyChart {
        names: Names { id: &page.id(&format!("c-size-{number}")), title: &title, desc: &caption },
        widths: (460.0, 358.0),
        height: 180.0,
        right: 60.0,
        xs,
        ys,
        x_name: "rows of the table",
        y_name: "median service time",
        x_label: &|rows| format_about(rows.max(0.0) as u64),
        y_label: &format_ms,
        lines: &lines,
    };
    let mut table = Table::new("Median service time", &["rows"]);
    table.heads.extend(arms.iter().map(|(arm, _)| (*arm).to_owned()));
    let mut sizes: Vec<u64> = points().map(|point| point.0 as u64).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for rows in sizes {
        let mut cells = vec![Cell::words(&format_count(rows))];
        cells.extend(arms.iter().map(|(_, points)| {
            let own = points.iter().find(|point| point.0 as u64 == rows);
            Cell::number(&own.map_or("–".to_owned(), |point| format_ms(point.1)))
        }));
        table.row(cells);
    }
    framed(&escape(&caption), &chart.draw(), &data(name, &[table]))
}

/// The first step against the others, where one table stays and something else changes.
fn changes(page: &mut Page<'_>, run: &BenchmarkRun) {
    let Some((first, others)) = run.steps.split_first() else { return };
    let mut rows = Vec::new();
    let heads = ["query, arm", "step", "before", "then", "before ÷ then", "may lie"];
    let mut table = Table::new("Medians of each step against the first", &heads);
    let later = (1..).zip(others).filter(|(_, step)| step.table == first.table);
    for (step_at, step) in later {
        for (at, query) in step.queries.iter().enumerate().filter(|(_, query)| query.valid) {
            let mut same = first.queries.iter().enumerate();
            let Some((before_at, before)) = same.find(|(_, own)| own.query == query.query) else {
                continue;
            };
            for (arm_at, arm) in query.arms.iter().enumerate() {
                let place = |step: usize, query: usize, arm: usize| {
                    format!("/steps/{step}/queries/{query}/arms/{arm}/median_ms")
                };
                let mut same = before.arms.iter().enumerate();
                let before = same.find(|(_, own)| own.arm == arm.arm);
                let Some((was_at, before, Some(was_ms), Some(is_ms))) =
                    before.map(|(at, before)| (at, before, before.median_ms, arm.median_ms))
                else {
                    continue;
                };
                let ratio = was_ms / is_ms.max(1e-9);
                // The quartiles of both: how far executions spread, and no interval of confidence.
                let spread = quartiles(&before.times_ns).zip(quartiles(&arm.times_ns));
                let spread =
                    spread.map(|(was, is)| (was.0 / is.1.max(1e-9), was.1 / is.0.max(1e-9)));
                let label = format!("{}: {}, {}", step.name, query.query, arm.arm);
                let shown = format_ratio(ratio);
                let (mark, class) =
                    mark(if arm.gpu == Gpu::Absent { Gpu::Absent } else { arm.gpu });
                rows.push(Row {
                    title: format!("{label}: before ÷ then {shown}"),
                    label,
                    class,
                    mark: Some((ratio, mark)),
                    interval: spread,
                    ticks: Vec::new(),
                    hatched: false,
                    cells: vec![
                        (format_ms(was_ms), ""),
                        (format_ms(is_ms), ""),
                        (format!("{shown}×"), ""),
                    ],
                });
                table.row(vec![
                    Cell::words(&format!("{}, {}", query.query, arm.arm)),
                    Cell::words(&step.name),
                    Cell::of(&place(0, before_at, was_at), &format_ms(was_ms)),
                    Cell::of(&place(step_at, at, arm_at), &format_ms(is_ms)),
                    Cell::number(&shown),
                    Cell::number(&spread.map_or("–".to_owned(), |(low, high)| {
                        format!("{}–{}", format_ratio(low), format_ratio(high))
                    })),
                ]);
            }
        }
    }
    if rows.is_empty() {
        return;
    }
    let values = || {
        rows.iter().flat_map(|row: &Row| {
            let ends = row.interval.into_iter().flat_map(|(low, high)| [low, high]);
            row.mark.map(|(ratio, _)| ratio).into_iter().chain(ends)
        })
    };
    let scale = Scale::log(values().fold(0.8, f64::min), values().fold(1.25, f64::max), 7);
    let caption = format!(
        "Median of the first step, {}, ÷ median of each later one: above 1 it took less time then. The two \
         were measured one behind the other and not in pairs, so nothing is shown by it.",
        first.name
    );
    let chart = RowChart {
        names: Names { id: &page.id("c-steps"), title: "What each step changed", desc: &caption },
        scale,
        label: &|ratio| format!("{}×", super::distributions::trimmed(ratio)),
        one: Some(1.0),
        sides: Some(("← slower".to_owned(), "faster →".to_owned())),
        head: "step: query, arm",
        heads: &["before", "then", "ratio"],
        rows: &rows,
    };
    let note = "<p class=\"note\">Line: quartile against quartile, how far executions spread.</p>";
    let figure = framed(&escape(&caption), &(chart.draw() + note), &data("steps", &[table]));
    page.section("steps", "Steps", "What did the steps change?", &figure);
}

/// A quarter of all takes at most the first, three quarters the second.
fn quartiles(all: &[u64]) -> Option<(f64, f64)> {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    let at = |share: f64| {
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.max(1) - 1).map(|ns| *ns as f64 / 1e6)
    };
    at(0.25).zip(at(0.75))
}

/// What was made ready, and what was not.
fn steps(page: &mut Page<'_>, run: &BenchmarkRun) {
    let heads = ["step", "table", "rows", "queries", "said"];
    let mut table = Table::new("", &heads);
    for step in &run.steps {
        let said = match (&step.error, &step.skipped) {
            (Some(error), _) => format!("not made ready: {}", words::one_line(error)),
            (None, Some(why)) => format!("skipped: {}", words::one_line(why)),
            (None, None) if !step.not_begun.is_empty() => {
                format!("never begun: {}", step.not_begun.join(", "))
            }
            (None, None) => "done".to_owned(),
        };
        table.row(vec![
            Cell::words(&step.name),
            Cell::words(step.table.as_deref().unwrap_or("–")),
            Cell::number(&rows_of(run, step).map_or("–".to_owned(), format_count)),
            Cell::number(&step.queries.len().to_string()),
            Cell::prose(&said),
        ]);
    }
    table.class = "stack";
    let content = format!(
        r#"<div class="scroll" role="group" aria-label="Steps" tabindex="0">{}</div>"#,
        table.html()
    );
    page.section("ready", "What ran", "What was run?", &content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_a_size_on_means_at_all_that_are_larger() {
        let off = ("off", vec![(1e6, 10.0), (1e7, 90.0), (1e8, 800.0)]);
        let on =
            |ms: [f64; 3]| ("on", [1e6, 1e7, 1e8].into_iter().zip(ms).collect::<Vec<(f64, f64)>>());
        let said = |ms| size_caption("sums", &[off.clone(), on(ms)]);
        insta::assert_snapshot!(said([20.0, 80.0, 100.0]), @"sums: by the medians on takes less time than off from 10 M rows on.");
        insta::assert_snapshot!(said([5.0, 95.0, 100.0]), @"sums: by the medians on takes less time than off from 100 M rows on.");
        insta::assert_snapshot!(said([5.0, 80.0, 900.0]), @"sums: by the medians on takes less time than off at 1 M, 10 M rows, and not with the most.");
        insta::assert_snapshot!(said([50.0, 95.0, 900.0]), @"sums: at no size the median of on is below that of off.");
        insta::assert_snapshot!(size_caption("sums", std::slice::from_ref(&off)).replace('\u{a0}', " "), @"sums: by the medians 10 ms at 1 M rows, 800 ms at 100 M.");
    }
}
