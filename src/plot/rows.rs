//! One thing a row, each with its place on a common axis: ratios with their intervals, medians of
//! combinations, ages of answers.

use std::fmt::Write as _;

use super::scale::Scale;
use super::svg::{Anchor, Canvas, Layout, Names, inside, n, squeezed, width};

/// Form of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Filled.
    Dot,
    /// Filled.
    Square,
    /// Hollow.
    Ring,
    /// Hollow.
    Box,
    /// Hollow.
    Diamond,
    /// What does not count.
    Cross,
    /// At least that: it points to where the value lies.
    AtLeast,
    /// At most that.
    AtMost,
}

/// Colour of a mark. It never speaks alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The arm that is compared.
    On,
    /// The arm that it is compared with.
    Off,
    /// Neither.
    Plain,
    /// Nothing is shown.
    Grey,
    /// Wrong.
    Bad,
}

impl Tone {
    fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Plain => "fg",
            Self::Grey => "grey",
            Self::Bad => "bad",
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::On => "lon",
            Self::Off => "loff",
            Self::Plain => "lfg",
            Self::Grey => "lgrey",
            Self::Bad => "bx",
        }
    }
}

/// A mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its form.
    pub shape: Shape,
    /// Its colour.
    pub tone: Tone,
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// The class of the name's look.
    pub class: &'static str,
    /// The value and its mark; `None`: not measured.
    pub mark: Option<(f64, Mark)>,
    /// From where to where it may lie.
    pub interval: Option<(f64, f64)>,
    /// Single values.
    pub ticks: Vec<f64>,
    /// Whether what it should show did not happen.
    pub hatched: bool,
    /// What stands at the right, a column each, with the class of its look.
    pub cells: Vec<(String, &'static str)>,
    /// All of it in words.
    pub title: String,
}

/// The chart.
pub struct RowChart<'a> {
    /// What it is called.
    pub names: Names<'a>,
    /// The axis.
    pub scale: Scale,
    /// How its ticks are written.
    pub label: &'a dyn Fn(f64) -> String,
    /// A value that stands out, such as 1 for ratios.
    pub one: Option<f64>,
    /// What lies at the left of it and at the right.
    pub sides: Option<(String, String)>,
    /// What the rows are.
    pub head: &'a str,
    /// Heads of the columns.
    pub heads: &'a [&'a str],
    /// The rows, from the top.
    pub rows: &'a [Row],
}

const FONT: f64 = 12.5;
/// Single values that are drawn of a row: more are thinned evenly.
const TICKS_MAX: usize = 60;
const WIDE: f64 = 960.0;
const NARROW: f64 = 358.0;
/// Widest name in the wide layout, where it would leave the plot too little.
const NAME_MAX: f64 = 200.0;
/// And where it would not.
const NAME_MOST: f64 = 340.0;
/// Lines that a name takes at most, wide and narrow.
const LINES_MAX: (usize, usize) = (2, 4);
/// Widest cells.
const CELL_MAX: f64 = 190.0;
/// Those of the last column: less where the plot would be left with too little.
const LAST_MAX: [f64; 4] = [CELL_MAX, 150.0, 120.0, 95.0];
/// From one line of text to the next in the narrow layout.
const LINE: f64 = 16.0;
/// Between name and cells in a line of the narrow layout.
const GAP: f64 = 10.0;
/// Least width of the plot.
const PLOT_MIN: f64 = 300.0;

impl RowChart<'_> {
    /// Both layouts.
    pub fn draw(&self) -> String {
        Layout::BOTH.map(|layout| self.layout(layout)).concat()
    }

    /// The widths of the columns.
    fn columns(&self, names: f64) -> Vec<f64> {
        let fits = |columns: &Vec<f64>| {
            let taken: f64 = columns.iter().map(|own| own + 18.0).sum();
            WIDE - taken - names - 28.0 >= PLOT_MIN
        };
        let tried = LAST_MAX.map(|most| self.columns_of(most));
        let narrowest = tried[LAST_MAX.len() - 1].clone();
        tried.into_iter().find(fits).unwrap_or(narrowest)
    }

    fn columns_of(&self, most: f64) -> Vec<f64> {
        let column = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(at));
            let cells = cells.map(|(text, _)| width(text, FONT)).fold(0.0, f64::max);
            cells
                .max(self.heads.get(at).map_or(0.0, |head| width(head, FONT)))
                .min(if at + 1 == self.heads.len() { most } else { CELL_MAX })
        };
        (0..self.heads.len()).map(column).collect()
    }

    /// How many lines names have for themselves in the narrow layout: none where each row has room for its cells
    /// beside its name.
    fn name_lines(&self) -> usize {
        let fits = |row: &Row| width(&row.label, FONT) + GAP + width_of(&said(row)) <= NARROW;
        let lines = |row: &Row| in_lines(&row.label, NARROW, LINES_MAX.1).len();
        match self.rows.iter().all(fits) {
            true => 0,
            false => self.rows.iter().map(lines).max().unwrap_or(0),
        }
    }

    fn frame(&self, layout: Layout) -> Frame {
        let widest = self.rows.iter().map(|row| width(&row.label, FONT)).fold(0.0, f64::max);
        let columns = self.columns(widest.min(NAME_MAX));
        let taken: f64 = columns.iter().map(|own| own + 18.0).sum();
        let room = (WIDE - taken - 28.0 - PLOT_MIN).clamp(NAME_MAX, NAME_MOST);
        let names = widest.min(room);
        let wide_lines = self.rows.iter().map(|row| in_lines(&row.label, names, LINES_MAX.0).len());
        let lines = match layout {
            Layout::Wide => wide_lines.max().unwrap_or(1),
            Layout::Narrow => self.name_lines(),
        };
        let pitch = match layout {
            Layout::Wide => 10.0 + LINE * lines.max(1) as f64,
            Layout::Narrow => 44.0 + LINE * lines as f64,
        };
        let full = layout.of(WIDE, NARROW);
        let left = layout.of(names + 22.0, 10.0);
        let right = full - layout.of(taken + 6.0, 10.0);
        Frame { layout, full, left, right, pitch, lines, names, columns }
    }

    fn layout(&self, layout: Layout) -> String {
        let frame = self.frame(layout);
        let Frame { full, left, right, pitch, .. } = frame;
        let sides_above = if self.sides.is_some() { 18.0 } else { 0.0 };
        let top = layout.of(34.0, 8.0) + sides_above;
        let bottom = top + pitch * self.rows.len() as f64;
        let mut canvas = Canvas::new(full, bottom + 26.0);
        let x = |value: f64| left + self.scale.share(value) * (right - left);
        let mut free_from = f64::NEG_INFINITY;
        for tick in self.scale.ticks() {
            canvas.line("gr", (x(*tick), top - 4.0), (x(*tick), bottom));
            let label = (self.label)(*tick);
            let (middle, half) = (inside(x(*tick), &label, FONT, full), width(&label, FONT) / 2.0);
            if middle - half > free_from {
                canvas.text("m", (middle, bottom + 18.0), Anchor::Middle, &label);
                free_from = middle + half + 3.0;
            }
        }
        canvas.line("ax", (left, bottom), (right, bottom));
        if layout == Layout::Wide {
            canvas.text("m", (0.0, 16.0), Anchor::Start, self.head);
            let mut edge = full;
            for (head, own) in self.heads.iter().zip(&frame.columns).rev() {
                canvas.text("m", (edge, 16.0), Anchor::End, &squeezed(head, own + 1.0, FONT));
                edge -= own + 18.0;
            }
        }
        if let Some(one) = self.one {
            if let Some(sides) = &self.sides {
                frame.sides(&mut canvas, x(one), sides);
            }
            match layout {
                Layout::Wide => canvas.line("one", (x(one), top - 4.0), (x(one), bottom)),
                // Words have all of the width there: it is drawn beside the marks alone.
                Layout::Narrow => (1..=self.rows.len()).for_each(|at| {
                    let below = top + pitch * at as f64;
                    canvas.line("one", (x(one), below - 24.0), (x(one), below - 2.0));
                }),
            }
        }
        for (at, row) in self.rows.iter().enumerate() {
            self.row(&mut canvas, &frame, row, top + pitch * at as f64);
        }
        canvas.finish(layout, &self.names, "")
    }

    fn row(&self, canvas: &mut Canvas, frame: &Frame, row: &Row, y: f64) {
        let Frame { layout, left, right, pitch, .. } = *frame;
        let x = |value: f64| left + self.scale.share(value) * (right - left);
        let middle = y + layout.of(pitch / 2.0, pitch - 14.0);
        canvas.raw("<g>");
        if !row.title.is_empty() {
            canvas.raw(&format!("<title>{}</title>", super::escape(&row.title)));
        }
        if row.hatched {
            canvas.path("hl", &hatching(left, right, middle - 7.0, middle + 7.0));
        }
        let each = row.ticks.len().div_ceil(TICKS_MAX).max(1);
        let shown = |tick: &&f64| **tick >= self.scale.low() && **tick <= self.scale.high();
        let ticks = row.ticks.iter().step_by(each).filter(shown);
        let ticks = ticks
            .map(|tick| format!("M{} {}v10", n(x(*tick)), n(middle - 5.0)))
            .collect::<Vec<_>>()
            .concat();
        if !ticks.is_empty() {
            canvas.path("tk", &ticks);
        }
        let tone = row.mark.map_or(Tone::Grey, |(_, mark)| mark.tone);
        if let Some((low, high)) = row.interval {
            let held = |value: f64| x(value.clamp(self.scale.low(), self.scale.high()));
            let (from, to) = (held(low), held(high));
            canvas.line(tone.line(), (from, middle), (to.max(from + 0.1), middle));
            // What is cut says so.
            let heads =
                [(low < self.scale.low(), left, 6.0), (high > self.scale.high(), right, -6.0)];
            for (_, end, back) in heads.into_iter().filter(|(is_cut, ..)| *is_cut) {
                let (end, back, middle) = (n(end), n(back), n(middle));
                canvas.path(
                    tone.line(),
                    &format!("M{end} {middle}l{back} -5M{end} {middle}l{back} 5"),
                );
            }
        }
        if let Some((value, mark)) = row.mark {
            match mark.shape {
                Shape::AtLeast => canvas.line("mud", (x(value), middle), (right, middle)),
                Shape::AtMost => canvas.line("mud", (left, middle), (x(value), middle)),
                _ => {}
            }
            canvas.raw(&symbol(mark, x(value), middle));
        }
        frame.words(canvas, row, y, middle);
        canvas.raw("</g>");
    }
}

/// Where things are in a layout.
struct Frame {
    layout: Layout,
    full: f64,
    left: f64,
    right: f64,
    /// From a row to the next one.
    pitch: f64,
    /// Lines that a name may take; 0 where it has none for itself.
    lines: usize,
    /// Width of the names' column in the wide layout,
    names: f64,
    /// and of the others.
    columns: Vec<f64>,
}

impl Frame {
    /// What lies at both sides of a value, on a line of their own.
    fn sides(&self, canvas: &mut Canvas, at: f64, (less, more): &(String, String)) {
        let (full, layout) = (self.full, self.layout);
        let half = full / 2.0 - 8.0;
        let both = [less, more];
        let [less, more] = match both.iter().map(|own| width(own, FONT)).sum::<f64>() {
            taken if taken + 16.0 <= full => both.map(String::clone),
            _ => both.map(|own| squeezed(own, half, FONT)),
        };
        // They have it to their ends.
        let least = width(&less, FONT) + 8.0;
        let at = at.clamp(least, (full - width(&more, FONT) - 8.0).max(least));
        let y = layout.of(36.0, 16.0);
        canvas.text("toff", (at - 8.0, y), Anchor::End, &less);
        canvas.text("ton", (at + 8.0, y), Anchor::Start, &more);
    }

    /// The words of a row.
    fn words(&self, canvas: &mut Canvas, row: &Row, y: f64, middle: f64) {
        if self.layout == Layout::Wide {
            let names = in_lines(&row.label, self.names, LINES_MAX.0);
            let mut line = middle + 4.0 - LINE / 2.0 * (names.len() - 1) as f64;
            for name in names {
                canvas.text(row.class, (0.0, line), Anchor::Start, &name);
                line += LINE;
            }
            let mut edge = WIDE;
            for ((text, class), own) in row.cells.iter().zip(&self.columns).rev() {
                let text = squeezed(text, own + 1.0, FONT);
                canvas.text(class, (edge, middle + 4.0), Anchor::End, &text);
                edge -= own + 18.0;
            }
            return;
        }
        // Lines of the axis pass behind.
        canvas.texts("halo", (NARROW, y + 14.0 + LINE * self.lines as f64), &said(row));
        let mut line = y + 14.0;
        for name in in_lines(&row.label, NARROW, LINES_MAX.1) {
            let class = format!("{} halo", row.class);
            canvas.text(class.trim_start(), (0.0, line), Anchor::Start, &name);
            line += LINE;
        }
    }
}

/// A name in as many lines as it takes, broken where it has a joint; the last of so many is squeezed.
fn in_lines(name: &str, most: f64, lines_max: usize) -> Vec<String> {
    let (mut lines, mut rest) = (Vec::new(), name);
    while lines.len() + 1 < lines_max && width(rest, FONT) > most {
        let ends = rest.char_indices().map(|(at, c)| (at + c.len_utf8(), " ._/,".contains(c)));
        let fitting: Vec<(usize, bool)> =
            ends.take_while(|(end, _)| width(&rest[..*end], FONT) <= most).collect();
        let joint = fitting.iter().rfind(|(_, is_joint)| *is_joint).or(fitting.last());
        let Some((end, _)) = joint else { break };
        let (head, tail) = rest.split_at(*end);
        lines.push(head.trim_end().to_owned());
        rest = tail;
    }
    lines.push(squeezed(rest, most, FONT));
    lines
}

/// What stands beside the name of a row in the narrow layout, each with its look; other cells are in the table.
fn said(row: &Row) -> Vec<(String, &'static str)> {
    let cells = row.cells.iter().filter(|(text, _)| !matches!(text.as_str(), "" | "–"));
    let mut parts: Vec<(String, &'static str)> = Vec::new();
    for (text, class) in cells.take(2) {
        let room = NARROW - width_of(&parts);
        let between = if parts.is_empty() { "" } else { " · " };
        // One look ends where the next one begins: what is struck through is the figure alone.
        if !between.is_empty() {
            parts.push((between.to_owned(), "m"));
        }
        parts.push((squeezed(text, room - width(between, FONT), FONT), class));
    }
    parts
}

fn width_of(parts: &[(String, &str)]) -> f64 {
    parts.iter().map(|(text, _)| width(text, FONT)).sum()
}

/// Slanted lines that fill a box.
fn hatching(left: f64, right: f64, top: f64, bottom: f64) -> String {
    let (tall, mut path, mut x) = (bottom - top, String::new(), left);
    while x + tall <= right {
        // Writing to a String cannot fail.
        let _ = write!(path, "M{} {}l{} {}", n(x), n(bottom), n(tall), n(-tall));
        x += 8.0;
    }
    path
}

/// A mark at a place.
pub(super) fn symbol(mark: Mark, x: f64, y: f64) -> String {
    let tone = mark.tone.name();
    let (at, filled, hollow) = (|x: f64, y: f64| format!("{} {}", n(x), n(y)), "f", "h");
    let path = |fill: &str, d: String| format!(r#"<path class="{fill}{tone}" d="{d}"/>"#);
    let circle =
        |fill: &str| format!(r#"<circle class="{fill}{tone}" cx="{}" cy="{}" r="5"/>"#, n(x), n(y));
    match mark.shape {
        Shape::Dot => circle(filled),
        Shape::Ring => circle(hollow),
        Shape::Square => path(filled, format!("M{}h9v9h-9Z", at(x - 4.5, y - 4.5))),
        Shape::Box => path(hollow, format!("M{}h9v9h-9Z", at(x - 4.5, y - 4.5))),
        Shape::Diamond => path(hollow, format!("M{}l6 6l-6 6l-6 -6Z", at(x, y - 6.0))),
        Shape::Cross => {
            let d = format!("M{}l10 10m0 -10l-10 10", at(x - 5.0, y - 5.0));
            format!(r#"<path class="bx" d="{d}"/>"#)
        }
        Shape::AtLeast => path(hollow, format!("M{}l9 5l-9 5Z", at(x - 4.0, y - 5.0))),
        Shape::AtMost => path(hollow, format!("M{}l-9 5l9 5Z", at(x + 4.0, y - 5.0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_marks_intervals_and_cells() {
        let row = |label: &str, mark| Row {
            label: label.to_owned(),
            class: "",
            mark,
            interval: None,
            ticks: Vec::new(),
            hatched: false,
            cells: vec![("2.00 (1.50–2.50)".to_owned(), "b"), ("on is faster".to_owned(), "")],
            title: String::new(),
        };
        let mark = |shape, tone| Mark { shape, tone };
        let rows = [
            Row {
                interval: Some((1.5, 2.5)),
                ticks: vec![1.4, f64::NAN, 2.6],
                title: "top10: faster".to_owned(),
                ..row("top10", Some((2.0, mark(Shape::Dot, Tone::On))))
            },
            Row {
                hatched: true,
                ..row("<img onerror=x>", Some((0.5, mark(Shape::Ring, Tone::Grey))))
            },
            row("wrong", Some((4.0, mark(Shape::Cross, Tone::Bad)))),
            row("bound", Some((9.0, mark(Shape::AtLeast, Tone::Grey)))),
            row("never measured", None),
        ];
        let chart = RowChart {
            names: Names { id: "q", title: "Ratios", desc: "One is faster" },
            scale: Scale::log(0.5, 10.0, 6),
            label: &|tick| format!("{tick}×"),
            one: Some(1.0),
            sides: Some(("← slower".to_owned(), "faster →".to_owned())),
            head: "query",
            heads: &["off ÷ on (95 %)", "verdict"],
            rows: &rows,
        };
        let drawn = chart.draw();
        assert!(!drawn.contains("NaN") && !drawn.contains("<img"));
        // On a phone a long name and a long verdict have a line each, and lose nothing.
        let (name, verdict) = ("query.category_aggregate.off.p50_ms", "no difference shown");
        let long = [Row {
            cells: vec![("1.000 (0.999 - 1.001)".to_owned(), "b"), (verdict.to_owned(), "")],
            ..row(name, None)
        }];
        let stacked = RowChart { rows: &long, ..chart }.layout(Layout::Narrow);
        assert!(stacked.contains(name) && stacked.contains(verdict), "{stacked}");
        let long = "with_index_on_category / aggregate_by_category_and_minute_of_the_day";
        let lines = ["with_index_on_category / aggregate_by_category_", "and_minute_of_the_day"];
        assert_eq!(in_lines(long, NARROW, 4), lines);
        // Nowhere to break it: then anywhere, and nothing of it goes before it has to.
        let long = "w".repeat(99);
        let lines = in_lines(&long, NARROW, 4);
        assert_eq!((lines.len(), lines.concat()), (4, long.clone()));
        assert!(in_lines(&long, NARROW, 2)[1].contains('…'));
        assert!(in_lines(&long, 5.0, 4).len() == 1, "no room for a letter");
        insta::assert_snapshot!(drawn.replace("><", ">\n<"));
    }
}
