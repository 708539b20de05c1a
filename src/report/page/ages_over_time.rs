//! How did the ages of the answers go? By windows of time, a panel a query.

use crate::plot::{End, Layer, Names, Panel, Scale, Step, TimeChart, escape, steps};
use crate::quantity::{format_count, format_ms, format_seconds};
use crate::result::stream::StreamRun;
use crate::series::Execution;

use super::Page;
use super::html::{Cell, Table, data};
use super::rate::{bands, span_s};

/// Arms that are drawn, of all queries together.
const ARMS_MAX: usize = 8;
/// Windows, about.
const WINDOWS_MAX: f64 = 120.0;
/// Lengths of a window, in seconds; longer ones are hours.
const LENGTHS_S: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0];

/// What came of an arm in a window.
#[derive(Clone, Copy)]
struct Window {
    count: usize,
    p50_ms: f64,
    max_ms: f64,
}

/// An arm of a query.
struct Course {
    query: String,
    arm: String,
    /// Its place among the arms of its query, and how many these are.
    place: (usize, usize),
    windows: Vec<Option<Window>>,
    /// The median in the measurement, as the result has it.
    p50_ms: Option<f64>,
}

/// When an answer came, up to a moment, and how old it was in milliseconds; nothing where that is not
/// known.
fn answer(own: &Execution, end_s: f64) -> Option<(f64, f64)> {
    let age_ms = own.answer_age_ms.filter(|ms| *ms >= 0.0 && !own.failed)?;
    let time_s = own.start_s + own.service_s;
    (time_s <= end_s).then_some((time_s, age_ms))
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// The arm in windows of this length that begin at 0.
fn course(
    page: &Page<'_>,
    run: &StreamRun,
    at: usize,
    (length_s, end_s): (f64, f64),
) -> Option<Course> {
    let executions = &page.series.executions;
    let (query, arm) = executions.arms.get(at)?;
    let count = (end_s / length_s).ceil().max(1.0) as usize;
    let mut ages: Vec<Vec<f64>> = vec![Vec::new(); count];
    let own = executions.all.iter().filter(|own| own.arm == at);
    for (time_s, age_ms) in own.filter_map(|own| answer(own, end_s)) {
        ages[((time_s / length_s).max(0.0) as usize).min(count - 1)].push(age_ms);
    }
    if ages.iter().all(Vec::is_empty) {
        return None;
    }
    let mut known = run.queries.iter().filter(|own| own.query == *query && own.arm == *arm);
    let windows = ages.into_iter().map(|mut own| {
        own.sort_by(f64::total_cmp);
        let (p50_ms, max_ms) = (median(&own), *own.last()?);
        Some(Window { count: own.len(), p50_ms, max_ms })
    });
    Some(Course {
        query: query.clone(),
        arm: arm.clone(),
        place: (0, 1),
        windows: windows.collect(),
        p50_ms: known.find_map(|own| own.answer_age.as_ref()).map(|of| of.p50_ms),
    })
}

/// The arms with ages, each query's one after the other, and how many more there are.
fn courses(page: &Page<'_>, run: &StreamRun, windows: (f64, f64)) -> (Vec<Vec<Course>>, usize) {
    let (mut queries, mut drawn, mut left): (Vec<Vec<Course>>, _, _) = (Vec::new(), 0, 0);
    for at in 0..page.series.executions.arms.len() {
        let Some(own) = course(page, run, at, windows) else { continue };
        if drawn == ARMS_MAX {
            left += 1;
            continue;
        }
        drawn += 1;
        match queries.iter_mut().find(|arms| arms[0].query == own.query) {
            Some(arms) => arms.push(own),
            None => queries.push(vec![own]),
        }
    }
    for arms in &mut queries {
        let count = arms.len();
        arms.iter_mut().enumerate().for_each(|(at, own)| own.place = (at, count));
    }
    (queries, left)
}

/// The look of an arm: its median, its greatest, and its name.
fn look((at, of): (usize, usize)) -> [&'static str; 3] {
    match (at, of) {
        (_, 1) => ["fg", "mul", ""],
        (0, _) => ["loff", "lofft", "toff"],
        (1, _) => ["lon", "lont", "ton"],
        _ => ["lgrey", "mul", "m"],
    }
}

fn panel<'a>(arms: &[Course], length_s: f64, span_s: (f64, f64)) -> Panel<'a> {
    let xs = TimeChart::time_scale(span_s);
    let known = || arms.iter().flat_map(|own| own.windows.iter().flatten());
    let most = known().map(|own| own.max_ms).fold(1e-3, f64::max);
    let least = known().map(|own| own.p50_ms).filter(|ms| *ms > 0.0).fold(most, f64::min);
    let scale = match most / least > 20.0 {
        true => Scale::log(least, most, 5),
        false => Scale::from_zero(most, 3),
    };
    let line = |own: &Course, of: fn(&Window) -> f64| {
        let step = |(at, window): (usize, &Option<Window>)| Step {
            from: at as f64 * length_s,
            to: ((at + 1) as f64 * length_s).min(span_s.1),
            y: window.as_ref().map_or(f64::NAN, of),
        };
        let all: Vec<Step> = own.windows.iter().enumerate().map(step).collect();
        steps(&all, &xs, &scale)
    };
    let greatest = arms.iter().map(|own| Layer::Path(look(own.place)[1], line(own, |w| w.max_ms)));
    let medians = arms.iter().map(|own| Layer::Path(look(own.place)[0], line(own, |w| w.p50_ms)));
    let layers = greatest.chain(medians).collect();
    let ends = arms.iter().filter_map(|own| {
        let name = if own.place.1 > 1 { &own.arm } else { "p50" };
        let p50_ms = own.p50_ms?;
        // The figure first: a long name loses its end.
        let text = format!("{} {name}", format_ms(p50_ms));
        Some(End { at: p50_ms, class: look(own.place)[2], text })
    });
    let query = arms.first().map_or("", |own| &own.query);
    Panel {
        name: format!("age of the answers of {query}"),
        note: String::new(),
        height: (84.0, 70.0),
        ends: ends.collect(),
        scale,
        label: &|ms| if ms > 0.0 { format_ms(ms) } else { "0".to_owned() },
        lanes: Vec::new(),
        layers,
    }
}

/// The figure; nothing where the folder does not hold the ages one by one.
pub(super) fn figure(page: &mut Page<'_>, run: &StreamRun) -> String {
    let span_s = span_s(run);
    let length_s = LENGTHS_S.into_iter().find(|length_s| span_s.1 / length_s <= WINDOWS_MAX);
    let hours = || (span_s.1 / 3_600.0 / WINDOWS_MAX).ceil().max(1.0) * 3_600.0;
    let length_s = length_s.unwrap_or_else(hours);
    let (queries, left) = courses(page, run, (length_s, span_s.1));
    let executions = &page.series.executions;
    let drawn = |own: &&Execution| {
        let (query, arm) = &executions.arms[own.arm];
        queries.iter().flatten().any(|own| own.query == *query && own.arm == *arm)
    };
    let answers = executions.all.iter().filter(drawn);
    let answers = answers.filter_map(|own| Some((own.arm, answer(own, span_s.1)?)));
    let Some((arm, (time_s, age_ms))) = answers.max_by(|one, other| one.1.1.total_cmp(&other.1.1))
    else {
        page.absent.push(
            "No ages of answers over time: no executions.csv with ages is beside the result."
                .to_owned(),
        );
        return String::new();
    };
    let (query, arm) = &executions.arms[arm];
    let left = match left {
        0 => String::new(),
        left => format!(" {left} more arms of queries are not drawn."),
    };
    let caption = format!(
        "Over time, by windows of {}: the oldest answer came at {}, {} old, of {query} ({arm}).{left}",
        format_seconds(length_s),
        format_seconds(time_s),
        format_ms(age_ms)
    );
    let panels: Vec<Panel<'_>> = queries.iter().map(|arms| panel(arms, length_s, span_s)).collect();
    let names =
        Names { id: &page.id("c-age"), title: "Age of the answers over time", desc: &caption };
    let bands = bands(page.result, run);
    let chart = TimeChart { names, span_s, bands: &bands, panels: &panels }.draw();
    let note = "<p class=\"note\">Thick: median of the answers that came in a window. Thin: the oldest of \
                them. No line: none came. At the right: the median in the measurement.</p>";
    let arms: Vec<&Course> = queries.iter().flatten().collect();
    let table = table(&arms, length_s);
    page.time_figure(&escape(&caption), &(chart + note), &data("ages over time", &[table]))
}

fn table(arms: &[&Course], length_s: f64) -> Table {
    let caption =
        format!("Ages by windows of {}; – where no answer came", format_seconds(length_s));
    let mut table = Table { class: "num", ..Table::new(&caption, &["from s", "answers"]) };
    for own in arms {
        let name = format!("{}, {}", own.query, own.arm);
        table.heads.extend([format!("{name}: median"), "oldest".to_owned()]);
    }
    for at in 0..arms.first().map_or(0, |own| own.windows.len()) {
        let windows = || arms.iter().map(|own| own.windows[at]);
        let count: usize = windows().flatten().map(|own| own.count).sum();
        if count == 0 {
            continue;
        }
        let from_s = at as f64 * length_s;
        let mut cells = vec![
            Cell::number(&format_count(from_s as u64)),
            Cell::number(&format_count(count as u64)),
        ];
        for own in windows() {
            let ms = |of: fn(Window) -> f64| {
                Cell::number(&own.map_or("–".to_owned(), |own| format_ms(of(own))))
            };
            cells.extend([ms(|own| own.p50_ms), ms(|own| own.max_ms)]);
        }
        table.times_s.push(from_s + length_s / 2.0);
        table.row(cells);
    }
    table
}
