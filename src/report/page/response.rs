//! How long did a batch take? A heat map of each clock over time.

use std::fmt::Write as _;

use crate::plot::{Cells, End, Layer, Names, Panel, Scale, Step, TimeChart, steps};
use crate::quantity::{format_count, format_ms, format_seconds};
use crate::record::{Percentile, Percentiles};
use crate::result::stream::StreamRun;
use crate::series::{Clock, ROWS_PER_DECADE, Window};

use super::super::latency;
use super::html::{Cell, Table, data, figure};
use super::rate::{bands, span_s};
use super::{Page, torn};

/// Columns of a heat map.
const COLUMNS_MAX: usize = 150;
/// Values that stand in the table of the clocks.
const SHOWN: [Percentile; 5] =
    [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::P999, Percentile::Max];

/// The clocks: as the log names each, as people do, what it is, its place in the result.
const CLOCKS: [(&str, &str, &str, &str); 4] = [
    ("response", "response", "due → committed", "/stream/response"),
    ("wait", "wait", "due → sent", "/stream/wait"),
    ("service", "service", "sent → committed", "/stream/service"),
    ("own_delay", "own delay", "the loader’s or its machine’s part", "/loader/own_delay"),
];

/// What a clock came to.
fn percentiles<'a>(run: &'a StreamRun, tag: &str) -> Option<&'a Percentiles> {
    match tag {
        "response" => run.stream.response.as_ref(),
        "wait" => run.stream.wait.as_ref(),
        "service" => run.stream.service.as_ref(),
        _ => run.loader.own_delay.as_ref(),
    }
}

pub(super) fn write(page: &mut Page<'_>, run: &StreamRun) {
    let open = run.stream.target_rows_per_s.is_some();
    let (response, service) = (run.stream.response.as_ref(), run.stream.service.as_ref());
    // Without a rate nothing is due: a batch takes as long as it is in hand.
    let by_response = response.is_some() && (open || service.is_none());
    let told = if by_response { response } else { service };
    let Some(of) = told else {
        page.absent
            .push("No response times: no batch was committed in the measurement.".to_owned());
        return;
    };
    let place = if by_response { "/stream/response" } else { "/stream/service" };
    let since = if open { "of their due time" } else { "of being sent" };
    let half = figure(&format!("{place}/p50_ms"), &format_ms(of.p50_ms));
    let most = figure(&format!("{place}/max_ms"), &latency::value(of, of.max_ms));
    let caption = match latency::known_p99(Some(of)) {
        Some(p99) => format!(
            "Half of the batches were committed within {half} {since} and 99 % within {}; the slowest \
             took {most}.",
            figure(&format!("{place}/p99_ms"), &p99)
        ),
        None => format!(
            "Half of the batches were committed within {half} {since}; the slowest took {most}. They are \
             too few for a 99th percentile."
        ),
    };
    let shown = CLOCKS.iter().filter(|(tag, ..)| open || *tag == "service");
    let read: Vec<(&str, &Clock)> = shown
        .filter_map(|(tag, name, ..)| {
            Some((*name, page.series.clocks.iter().find(|clock| clock.tag == *tag)?))
        })
        .collect();
    let columns = read.first().and_then(|(_, clock)| Columns::of(page, run, clock));
    let clocks: Vec<Seen<'_>> = columns
        .iter()
        .flat_map(|columns| read.iter().map(move |(name, clock)| (columns, *name, *clock)))
        .filter_map(|(columns, name, clock)| {
            let windows = columns.windows(clock);
            let chart = heat(page, run, clock, name, columns, &windows)?;
            Some(Seen { name, chart, windows })
        })
        .collect();
    let chart = switchable(page, &clocks);
    let over_time = columns.as_ref().map_or_else(String::new, |columns| {
        data("response over time", &[by_column(columns, &clocks)])
    });
    if clocks.is_empty() {
        page.absent.push(format!(
            "No heat map of the response: {}.",
            torn::lacking(page.series, "latency.hlog")
        ));
    }
    let tables = over_time + &data("the clocks", &[table(run, open)]);
    let figure = page.time_figure(&caption, &chart, &tables);
    page.section("response", "Response", "How long did a batch take?", &figure);
}

/// A clock over time, drawn.
struct Seen<'a> {
    name: &'a str,
    chart: String,
    /// What it showed in each column.
    windows: Vec<Window>,
}

/// What the levels of a heat map mean.
fn key(base: u64) -> String {
    let levels = Cells::levels(base).zip(1..).map(|((least, greatest), level)| {
        let counts = match greatest {
            Some(greatest) if greatest == least => format_count(least),
            Some(greatest) => format!("{}–{}", format_count(least), format_count(greatest)),
            None => format!("{} and more", format_count(least)),
        };
        format!("<i class=\"k{level}\"></i>{counts}")
    });
    format!(
        "<p class=\"key\">batches a cell {} · thin line: p50 · thick line: p99, the slowest where there are \
         fewer than a hundred</p>",
        levels.collect::<String>()
    )
}

/// Charts of which one is shown, by radio buttons and CSS alone.
fn switchable(page: &Page<'_>, clocks: &[Seen<'_>]) -> String {
    if let [only] = clocks {
        return only.chart.clone();
    }
    let mut out = "<div>".to_owned();
    for (at, Seen { name, .. }) in clocks.iter().enumerate() {
        let id = page.id(&format!("ck{at}"));
        let checked = if at == 0 { " checked" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"<input class="ck" type="radio" name="{}" id="{id}"{checked}><label class="ckl" for="{id}">{name}</label>"#,
            page.id("ck")
        );
    }
    for Seen { chart, .. } in clocks {
        let _ = write!(out, r#"<div class="pane">{chart}</div>"#);
    }
    out + "</div>"
}

/// The columns of the heat maps: the same for all clocks.
struct Columns {
    from_s: f64,
    width_s: f64,
    count: usize,
}

impl Columns {
    /// As the windows of a clock allow.
    fn of(page: &Page<'_>, run: &StreamRun, clock: &Clock) -> Option<Self> {
        let span_s = span_s(run);
        // Only measured work is in the log.
        let from_s = bands(page.result, run).first().map_or(0.0, |warmup| warmup.to_s);
        // Batches of the measurement may be acknowledged while the schedule drains.
        let last_s = clock.windows.last()?.end_s.min(span_s.1);
        let windows: Vec<&Window> = clock
            .windows
            .iter()
            .filter(|window| window.end_s > from_s && window.start_s < last_s)
            .collect();
        // No column is shorter than a window, or some would stay empty.
        let longest =
            windows.iter().map(|window| window.end_s - window.start_s).fold(0.1, f64::max);
        let most = ((last_s - from_s) / longest + 0.01).floor().max(1.0) as usize;
        let count = windows.len().min(COLUMNS_MAX).min(most).max(1);
        let width_s = (last_s - from_s) / count as f64;
        (width_s > 0.0 && !windows.is_empty()).then_some(Self { from_s, width_s, count })
    }

    fn start_s(&self, at: usize) -> f64 {
        self.from_s + at as f64 * self.width_s
    }

    /// What a clock showed in each of them.
    fn windows(&self, clock: &Clock) -> Vec<Window> {
        let mut of_columns: Vec<Vec<&Window>> = vec![Vec::new(); self.count];
        let end_s = self.start_s(self.count);
        let within = |own: &&Window| own.end_s > self.from_s && own.start_s < end_s;
        for window in clock.windows.iter().filter(within) {
            // By its middle: windows are about as long as a column, or shorter.
            let middle = f64::midpoint(window.start_s, window.end_s);
            let at = ((middle - self.from_s) / self.width_s).floor();
            of_columns[at.clamp(0.0, self.count as f64 - 1.0) as usize].push(window);
        }
        of_columns.iter().map(|own| Window::merged(own)).collect()
    }
}

/// What is drawn, as a table.
fn by_column(columns: &Columns, clocks: &[Seen<'_>]) -> Table {
    let caption = format!(
        "By columns of the chart, {} each, to 1 %; p99 of fewer than a hundred batches is the slowest",
        format_seconds(columns.width_s)
    );
    let mut table = Table { class: "num", ..Table::new(&caption, &["from s", "batches"]) };
    for Seen { name, .. } in clocks {
        table.heads.extend([format!("{name} p50"), "p99".to_owned()]);
    }
    for at in 0..columns.count {
        let from_s = columns.start_s(at);
        let count = clocks.first().map_or(0, |own| own.windows[at].count());
        let mut cells =
            vec![Cell::number(&format!("{from_s:.1}")), Cell::number(&format_count(count))];
        for own in clocks {
            cells.extend([0.5, 0.99].map(|quantile| {
                let known = own.windows[at].quantile_ms(quantile);
                Cell::number(&known.map_or("–".to_owned(), format_ms))
            }));
        }
        table.times_s.push(from_s + columns.width_s / 2.0);
        table.row(cells);
    }
    table
}

/// A clock over time.
fn heat(
    page: &Page<'_>,
    run: &StreamRun,
    clock: &Clock,
    name: &str,
    shape: &Columns,
    cells: &[Window],
) -> Option<String> {
    let (span_s, columns) = (span_s(run), shape.count);
    let bands = bands(page.result, run);
    let count: u64 = cells.iter().map(Window::count).sum();
    let rows = || cells.iter().flat_map(Window::rows).map(|(row, _)| row);
    let (low, high) = (rows().min()?, rows().max()?);
    let value_ms = |row: i32| 10_f64.powf(f64::from(row) / ROWS_PER_DECADE as f64) / 1e6;
    let scale = Scale::log(value_ms(low), value_ms(high + 1), 7);
    // Cells lie on the axis, not on its ends.
    let row_of = |ms: f64| ((ms * 1e6).log10() * ROWS_PER_DECADE as f64).round() as i32;
    let (first, last_row) = (row_of(scale.low()), row_of(scale.high()));
    let tall = usize::try_from(last_row - first).unwrap_or(1).max(1);
    let mut grid = vec![0_u64; tall * columns];
    for (column, window) in cells.iter().enumerate() {
        for (row, count) in window.rows() {
            if let Ok(row) = usize::try_from(row - first) {
                grid[row.min(tall - 1) * columns + column] += count;
            }
        }
    }
    let xs = TimeChart::time_scale(span_s);
    let line = |quantile: f64| {
        let step = |(at, window): (usize, &Window)| Step {
            from: shape.start_s(at),
            to: shape.start_s(at + 1),
            y: window.quantile_ms(quantile).unwrap_or(f64::NAN),
        };
        let all: Vec<Step> = cells.iter().enumerate().map(step).collect();
        steps(&all, &xs, &scale)
    };
    let (p50, p99) = (line(0.5), line(0.99));
    let of = percentiles(run, &clock.tag);
    let mut ends = Vec::new();
    if let Some(of) = of {
        ends.push(End { at: of.p50_ms, class: "b", text: format!("p50 {}", format_ms(of.p50_ms)) });
        if let Some(shown) = latency::known_p99(Some(of)) {
            ends.push(End { at: of.p99_ms, class: "b", text: format!("p99 {shown}") });
        }
    }
    let said: Vec<&str> = ends.iter().map(|end| end.text.as_str()).collect();
    let desc = format!(
        "Heat map of {} batches: time across, {name} on a logarithmic scale upwards, darker where more \
         batches are. {}.",
        format_count(count),
        said.join(", ")
    );
    let base = Cells::base(grid.iter().copied().max().unwrap_or(0));
    let grid = Cells::of(columns, tall, base, |column, row| grid[row * columns + column]);
    let panel = Panel {
        name: format!("{name} of a batch"),
        note: String::new(),
        height: (232.0, 200.0),
        scale,
        label: &format_ms,
        lanes: Vec::new(),
        layers: vec![
            Layer::Cells(grid, shape.from_s, shape.start_s(columns)),
            Layer::Path("hal", p50.clone()),
            Layer::Path("fgt", p50),
            Layer::Path("hal", p99.clone()),
            Layer::Path("fg", p99),
        ],
        ends,
    };
    let title = format!("{name} of the batches over time");
    let names = Names { id: &page.id(&format!("c-{}", clock.tag)), title: &title, desc: &desc };
    Some(key(base) + &TimeChart { names, span_s, bands: &bands, panels: &[panel] }.draw())
}

/// The clocks in figures.
fn table(run: &StreamRun, open: bool) -> Table {
    let mut heads = vec!["clock", "from → to", "batches"];
    heads.extend(SHOWN.map(Percentile::name));
    let mut table = Table::new("In the measurement; – where fewer than ten lie beyond", &heads);
    let row = |name: &str, what: &str, place: &str, of: Option<&Percentiles>| {
        let count = of.map_or(0, |of| of.count);
        let mut cells = vec![
            Cell::words(name),
            Cell::words(what),
            Cell::of(&format!("{place}/count"), &format_count(count)),
        ];
        cells.extend(latency_cells(place, of, &SHOWN));
        cells
    };
    for (tag, name, what, place) in CLOCKS {
        let of = percentiles(run, tag);
        if (open || tag == "service") && of.is_some() {
            table.row(row(name, what, place, of));
        }
    }
    if open && run.stream.row_latency.is_some() {
        let of = run.stream.row_latency.as_ref();
        table.row(row("row", "own due → committed; rows", "/stream/row_latency", of));
    }
    table.class = "keep";
    table
}

/// Cells of percentiles, each with its place in the result.
pub(super) fn latency_cells(
    place: &str,
    of: Option<&Percentiles>,
    shown: &[Percentile],
) -> Vec<Cell> {
    let cells = shown.iter().zip(latency::cells(of, shown));
    cells
        .map(|(shown, text)| match text.as_str() {
            "-" => Cell::number("–"),
            text => Cell::of(&format!("{place}/{}", shown.key()), text),
        })
        .collect()
}
