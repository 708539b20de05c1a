//! How bad is the tail? Percentile curves that end where samples do.

use crate::plot::{Label, Line, Names, Scale, XyChart, curve};
use crate::quantity::{format_count, format_ms};
use crate::record::{Percentile, Times};
use crate::result::stream::StreamRun;

use super::Page;
use super::html::{Cell, Table, data, framed};

/// So many samples have to lie beyond a percentile, or it is that of a few.
pub(super) const BEYOND_MIN: f64 = crate::record::BEYOND_MIN as f64;
/// Points of a curve.
const POINTS: usize = 100;
/// Shares at which curves are told in figures, and those of them that stand in the result.
const TOLD: [(f64, &str); 7] = [
    (0.5, "p50_ms"),
    (0.75, ""),
    (0.9, "p90_ms"),
    (0.95, ""),
    (0.99, "p99_ms"),
    (0.999, "p999_ms"),
    (0.9999, ""),
];

/// A share as one part in so many that are slower, and back.
pub(super) fn share(beyond: f64) -> f64 {
    1.0 - 1.0 / beyond
}

/// `99.9`: as many nines as it takes.
pub(super) fn percent(beyond: f64) -> String {
    let decimals = (beyond.log10() - 2.0 + 1e-9).floor().max(0.0) as usize;
    format!("{:.decimals$}", share(beyond) * 100.0)
}

/// The axis of shares from the half to one part in `end` that is slower: with a tick for each nine, and for
/// shares between where there are fewer than two nines.
pub(super) fn axis(end: f64) -> Scale {
    let tens: Vec<f64> = (1..12).map(|ten| 10_f64.powi(ten)).collect();
    let few = [4.0, 10.0, 20.0, 50.0];
    let ticks = if end * 1.001 < 100.0 { &few[..] } else { &tens };
    let ticks = ticks.iter().copied().filter(|tick| *tick <= end * 1.001);
    let mut ticks: Vec<f64> = std::iter::once(2.0).chain(ticks).collect();
    if ticks.len() < 2 {
        ticks.push(end);
    }
    Scale::log_with(2.0, end, ticks)
}

/// The time in milliseconds that a share does not pass.
pub(super) fn ms(times: &Times, share: f64) -> f64 {
    times.quantile(share).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

struct Told<'a> {
    name: &'static str,
    class: &'static str,
    times: &'a Times,
    /// Its percentiles' place in the result.
    place: &'static str,
    /// One in so many is the last that is known.
    end: f64,
}

pub(super) fn write(page: &mut Page<'_>, run: &StreamRun) {
    let own = &run.stream.histograms;
    let open = run.stream.target_rows_per_s.is_some();
    let all = [
        ("row: own due time → commit", "mul", &own.row_latency, "/stream/row_latency", open),
        ("wait: due → sent", "mud", &own.wait, "/stream/wait", open),
        ("service: sent → commit", "fgt", &own.service, "/stream/service", true),
        ("response: due → commit", "fg", &own.response, "/stream/response", open),
    ];
    let told: Vec<Told<'_>> = all
        .into_iter()
        .filter(|(.., shown)| *shown)
        .map(|(name, class, times, place, _)| Told {
            name,
            class,
            times,
            place,
            end: times.count() as f64 / BEYOND_MIN,
        })
        // Half of fewer than twenty is no tail.
        .filter(|told| told.end >= 2.0)
        .collect();
    let Some(last) = told.last() else {
        page.absent
            .push("No percentile curve: fewer than twenty batches were committed.".to_owned());
        return;
    };
    let end = told.iter().map(|told| told.end).fold(2.5, f64::max);
    let xs = axis(end);
    let points = |told: &Told<'_>| -> Vec<(f64, f64)> {
        let at = |number: usize| {
            let beyond = 2.0 * (told.end / 2.0).powf(number as f64 / (POINTS - 1) as f64);
            (beyond, ms(told.times, share(beyond)))
        };
        (0..POINTS).map(at).collect()
    };
    let drawn: Vec<Vec<(f64, f64)>> = told.iter().map(points).collect();
    let values = || drawn.iter().flatten().map(|(_, ms)| *ms).filter(|ms| *ms > 0.0);
    let (least, most) =
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let ys = Scale::log(least, most, 7);
    let lines: Vec<Line> = told
        .iter()
        .zip(&drawn)
        .map(|(told, points)| {
            let stop = points.last().copied().unwrap_or((2.0, least));
            let label = Label { at: stop, class: "", text: told.name.to_owned(), before: false };
            let path = curve(points, &xs, &ys);
            let marks = Vec::new();
            Line { class: told.class, path, marks, stop: Some(stop), label: Some(label) }
        })
        .collect();
    let (count, ends) = (format_count(last.times.count()), percent_of_end(last.end));
    let (slowest, at) = match Percentile::P90.is_known(last.times.count()) {
        true => ("slowest tenth", 0.9),
        false => ("slower half", 0.5),
    };
    let caption = format!(
        "The {slowest} of the batches took {} and more. Beyond {ends} % fewer than ten of {count} \
         batches lie, so the curves end.",
        format_ms(ms(last.times, at))
    );
    let names = Names {
        id: &page.id("c-tail"),
        title: "Share of batches and rows that were at least so fast",
        desc: &caption,
    };
    let chart = XyChart {
        names,
        widths: (960.0, 358.0),
        height: 250.0,
        right: 236.0,
        xs,
        ys,
        x_name: "share of batches (rows) at least as fast",
        y_name: "time",
        x_label: &share_label,
        y_label: &format_ms,
        lines: &lines,
    };
    let figure = framed(&caption, &chart.draw(), &data("percentiles", &[table(&told)]));
    page.section("tail", "Percentiles", "How bad is the tail?", &figure);
}

fn table(told: &[Told<'_>]) -> Table {
    let mut table =
        Table::new("Percentiles; – where fewer than ten lie beyond", &["at least as fast"]);
    table.heads.extend(told.iter().map(|told| told.name.to_owned()));
    table.heads.iter_mut().for_each(|head| head.truncate(head.find(':').unwrap_or(head.len())));
    for (share, key) in TOLD {
        let mut cells = vec![Cell::words(&format!("{} %", trimmed(share * 100.0)))];
        cells.extend(told.iter().map(|told| {
            let shown = format_ms(ms(told.times, share));
            let known = told.times.count() as f64 * (1.0 - share) + 1e-6 >= BEYOND_MIN;
            match (known, key) {
                (false, _) => Cell::number("–"),
                (true, "") => Cell::number(&shown),
                (true, key) => Cell::of(&format!("{}/{key}", told.place), &shown),
            }
        }));
        table.row(cells);
    }
    table
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The same for an axis, whose first tick is the middle.
pub(super) fn share_label(beyond: f64) -> String {
    if beyond <= 2.0 { "50\u{a0}%".to_owned() } else { percent(beyond) }
}

/// The share at which a curve ends, to as many digits as tell it from 100.
fn percent_of_end(end: f64) -> String {
    let decimals = (end.log10()).ceil().max(0.0) as usize;
    format!("{:.decimals$}", share(end) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_in_nines() {
        let all = [2.0, 10.0, 100.0, 1_000.0, 1e6].map(percent);
        assert_eq!(all, ["50", "90", "99", "99.9", "99.9999"]);
        assert_eq!(percent_of_end(180.0), "99.444");
    }

    #[test]
    fn an_axis_of_shares_has_two_ticks_and_more() {
        let ticks = |end: f64| axis(end).ticks().to_vec();
        assert_eq!(ticks(2.5), [2.0, 2.5]);
        assert_eq!(ticks(6.0), [2.0, 4.0]);
        assert_eq!(ticks(60.0), [2.0, 4.0, 10.0, 20.0, 50.0]);
        assert_eq!(ticks(150.0), [2.0, 10.0, 100.0]);
        assert_eq!(share_label(2.5), "60");
        let labels: Vec<String> = ticks(60.0).into_iter().map(share_label).collect();
        assert_eq!(labels, ["50\u{a0}%", "75", "90", "95", "98"]);
    }
}
