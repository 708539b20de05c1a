//! Behind a ratio: the distributions of both arms, and the ratio over the size of the table.

use crate::plot::{Label, Line, Mark, Names, Scale, Shape, Tone, XyChart, curve, dots};
use crate::quantity::{format_about, format_count, format_ms, format_ratio};
use crate::record::Times;
use crate::stats::ByRows;

use super::Page;
use super::html::{Cell, Table, data, framed};

/// Steps of a distribution that are drawn.
const STEPS_MAX: usize = 200;
/// Lines in which the pairs of a ratio over rows are told.
const GROUPS_MAX: usize = 40;
/// Shares at which distributions are told in figures.
const TOLD: [f64; 7] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

/// The times of an arm, ascending: each in milliseconds with how many there are of it.
pub(super) type Sorted = Vec<(f64, u64)>;

/// An arm of a query.
#[derive(Debug, Clone)]
pub(super) struct ArmTimes<'a> {
    pub(super) name: &'a str,
    pub(super) sorted: Sorted,
    /// Figures of the result among the quantiles: the share, the time in milliseconds, and its place.
    pub(super) figures: Vec<(f64, f64, String)>,
}

impl ArmTimes<'_> {
    fn figure(&self, share: f64) -> Option<&(f64, f64, String)> {
        self.figures.iter().find(|own| (own.0 - share).abs() < 1e-9)
    }

    /// Half of the executions take no longer: as the result has it.
    fn median(&self) -> Option<f64> {
        self.figure(0.5).map(|own| own.1).or_else(|| quantile(&self.sorted, 0.5))
    }

    /// A share of the executions takes no longer.
    fn cell(&self, share: f64) -> Cell {
        match self.figure(share) {
            Some((_, ms, place)) => Cell::of(place, &format_ms(*ms)),
            None => {
                let known = quantile(&self.sorted, share);
                Cell::number(&known.map_or("–".to_owned(), format_ms))
            }
        }
    }
}

/// Of single times in nanoseconds.
pub(super) fn of_ns(all: &[u64]) -> Sorted {
    let mut sorted: Vec<u64> = all.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().map(|ns| (ns as f64 / 1e6, 1)).collect()
}

/// Of a histogram.
pub(super) fn of_times(times: &Times) -> Sorted {
    times.buckets().map(|(upper_s, count)| (upper_s * 1e3, count)).collect()
}

/// The time that a share of all does not pass.
fn quantile(sorted: &Sorted, share: f64) -> Option<f64> {
    let all: u64 = sorted.iter().map(|(_, count)| count).sum();
    let wanted = ((all as f64 * share).ceil() as u64).max(1);
    let mut below = 0;
    let found = sorted.iter().find(|(_, count)| {
        below += count;
        below >= wanted
    });
    found.map(|(ms, _)| *ms)
}

/// The look of an arm: the first is what the other is compared with.
pub(super) fn look(at: usize) -> (&'static str, Mark, &'static str) {
    match at {
        0 => ("loff", Mark { shape: Shape::Box, tone: Tone::Off }, "toff b"),
        _ => ("lon", Mark { shape: Shape::Dot, tone: Tone::On }, "ton b"),
    }
}

/// The figure of a query's arms; nothing without times in both.
pub(super) fn figure(
    page: &Page<'_>,
    id: &str,
    caption: &str,
    name: &str,
    arms: &[ArmTimes<'_>; 2],
) -> String {
    if arms.iter().any(|arm| arm.sorted.is_empty()) {
        return String::new();
    }
    let ends = |of: fn(&Sorted) -> Option<&(f64, u64)>| {
        arms.iter().filter_map(move |arm| of(&arm.sorted).map(|(ms, _)| *ms))
    };
    let least = ends(|sorted| sorted.first()).fold(f64::INFINITY, f64::min);
    let most = ends(|sorted| sorted.last()).fold(0.0, f64::max);
    let xs = Scale::by_spread(least, most, 5.0, 6);
    let ys = Scale::linear(0.0, 100.0, 4);
    let mut lines = Vec::new();
    for (at, arm) in arms.iter().enumerate() {
        let sorted = &arm.sorted;
        let all: u64 = sorted.iter().map(|(_, count)| count).sum();
        let each = sorted.len().div_ceil(STEPS_MAX).max(1);
        let mut points = vec![(xs.low(), 0.0)];
        let (mut below, mut level) = (0, 0.0);
        for chunk in sorted.chunks(each) {
            below += chunk.iter().map(|(_, count)| count).sum::<u64>();
            let ms = chunk.last().map_or(xs.low(), |(ms, _)| *ms);
            let next = below as f64 / all.max(1) as f64 * 100.0;
            points.extend([(ms, level), (ms, next)]);
            level = next;
        }
        points.push((xs.high(), 100.0));
        let (class, mark, text_class) = look(at);
        let median = arm.median().unwrap_or(least);
        let text = format!("{} {}", arm.name, format_ms(median));
        // Below the marks, so that none is behind a name.
        let height = 37.0 - 13.0 * at as f64;
        let label = Label { at: (median, height), class: text_class, text, before: false };
        lines.push(Line {
            class,
            path: curve(&points, &xs, &ys),
            marks: vec![(median, 50.0, mark)],
            stop: None,
            label: Some(label),
        });
    }
    let title = format!("Service times of {name} in both arms");
    let desc = format!(
        "Distributions of the service time: {}",
        lines
            .iter()
            .filter_map(|line| Some(line.label.as_ref()?.text.clone()))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let chart = XyChart {
        names: Names { id: &page.id(id), title: &title, desc: &desc },
        widths: (460.0, 358.0),
        height: 170.0,
        right: 20.0,
        xs,
        ys,
        x_name: "service time",
        y_name: "share of executions at most this long",
        x_label: &format_ms,
        y_label: &|share| format!("{share:.0} %"),
        lines: &lines,
    };
    let mut table = Table::new("Service time that a share of executions does not pass", &["share"]);
    table.heads.extend(arms.iter().map(|arm| arm.name.to_owned()));
    for share in TOLD {
        let mut cells = vec![Cell::words(&format!("{:.0} %", share * 100.0))];
        cells.extend(arms.iter().map(|arm| arm.cell(share)));
        table.row(cells);
    }
    framed(caption, &chart.draw(), &data(name, &[table]))
}

/// The ratio of each pair over the rows that the table had, and the curve through them.
pub(super) fn by_rows(
    page: &Page<'_>,
    id: &str,
    name: &str,
    pairs: &[(u64, f64)],
    by_rows: &ByRows,
) -> String {
    let (first, last) = (&by_rows.first, &by_rows.last);
    let ratios = || {
        let ends = [first.estimate.low, first.estimate.high, last.estimate.low, last.estimate.high];
        pairs.iter().map(|(_, ratio)| *ratio).chain(ends).filter(|ratio| *ratio > 0.0)
    };
    let rows =
        || pairs.iter().map(|(rows, _)| *rows as f64).chain([first.rows as f64, last.rows as f64]);
    let xs =
        Scale::by_spread(rows().fold(f64::INFINITY, f64::min), rows().fold(1.0, f64::max), 5.0, 5);
    let ys = Scale::log(ratios().fold(1.0, f64::min), ratios().fold(1.0, f64::max), 6);
    let all: Vec<(f64, f64)> = pairs.iter().map(|(rows, ratio)| (*rows as f64, *ratio)).collect();
    let end = |at: &crate::stats::AtRows| (at.rows as f64, at.estimate.ratio);
    let mark = Mark { shape: Shape::Dot, tone: Tone::On };
    let plain = |class, path| Line { class, path, marks: Vec::new(), stop: None, label: None };
    let bounds = |of: fn(&crate::stats::Estimate) -> f64| {
        let ends = [first, last].map(|at| (at.rows as f64, of(&at.estimate)));
        curve(&ends, &xs, &ys)
    };
    let lines = [
        plain("dots", dots(&all, &xs, &ys)),
        plain("ref", curve(&[(xs.low(), 1.0), (xs.high(), 1.0)], &xs, &ys)),
        plain("mud", bounds(|estimate| estimate.low)),
        plain("mud", bounds(|estimate| estimate.high)),
        Line {
            marks: vec![(end(first).0, end(first).1, mark), (end(last).0, end(last).1, mark)],
            ..plain("lon", curve(&[end(first), end(last)], &xs, &ys))
        },
    ];
    let how = if by_rows.grows() { "grows" } else { "falls" };
    let ends = format!(
        "from {} at {} rows to {} at {}",
        format_ratio(first.estimate.ratio),
        format_about(first.rows),
        format_ratio(last.estimate.ratio),
        format_about(last.rows)
    );
    // Ends whose intervals overlap do not show it.
    let by = match by_rows.ends_tell() {
        true => ends,
        false => format!("by its rows to the power of {:.2}", by_rows.exponent),
    };
    let name_shown = crate::plot::escape(name);
    let caption = format!("{name_shown}: the ratio {how} with the table, {by}.");
    let title = format!("Ratio of {name} over the rows of the table");
    let chart = XyChart {
        names: Names {
            id: &page.id(id),
            title: &title,
            desc: "Each dot is a pair; dotted: the interval",
        },
        widths: (460.0, 358.0),
        height: 170.0,
        right: 20.0,
        xs,
        ys,
        x_name: "rows of the table",
        y_name: "first arm ÷ second",
        x_label: &|rows| format_about(rows.max(0.0) as u64),
        y_label: &|ratio| format!("{}×", trimmed(ratio)),
        lines: &lines,
    };
    framed(&caption, &chart.draw(), &data(&format!("{name} over rows"), &over_rows(pairs, by_rows)))
}

/// The curve at both ends, and the pairs in groups of about the same rows.
fn over_rows(pairs: &[(u64, f64)], by_rows: &ByRows) -> [Table; 2] {
    let ratio = |ratio: f64| Cell::number(&format_ratio(ratio));
    let mut ends = Table::new("The curve at its ends", &["rows", "ratio", "from", "to"]);
    for end in [&by_rows.first, &by_rows.last] {
        let own = &end.estimate;
        ends.row(vec![
            Cell::words(&format_count(end.rows)),
            ratio(own.ratio),
            ratio(own.low),
            ratio(own.high),
        ]);
    }
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let heads = ["rows, about", "pairs", "least ratio", "median", "greatest"];
    let mut groups = Table::new("The pairs, by rows", &heads);
    for group in sorted.chunks(sorted.len().div_ceil(GROUPS_MAX).max(1)) {
        let mut ratios: Vec<f64> = group.iter().map(|(_, ratio)| *ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |place: usize| ratio(ratios.get(place).copied().unwrap_or(f64::NAN));
        groups.row(vec![
            Cell::words(&format_about(group[group.len() / 2].0)),
            Cell::number(&format_count(group.len() as u64)),
            at(0),
            at(ratios.len() / 2),
            at(ratios.len() - 1),
        ]);
    }
    [ends, groups]
}

/// A ratio of a tick.
pub(super) fn trimmed(ratio: f64) -> String {
    let text = format!("{ratio:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
