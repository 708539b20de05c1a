//! Lines over an axis that is no time: percentile curves, distributions, times over sizes.

use super::path::SIDE;
use super::rows::{Mark, symbol};
use super::scale::Scale;
use super::svg::{Anchor, Canvas, Layout, Names, inside, squeezed, width};
use super::time::apart;

/// Words beside a line.
#[derive(Debug, Clone)]
pub struct Label {
    /// Where, as values of both axes.
    pub at: (f64, f64),
    /// The class of its look.
    pub class: &'static str,
    /// The text.
    pub text: String,
    /// Whether it stands at the left of the place.
    pub before: bool,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The class of its look.
    pub class: &'static str,
    /// Its path.
    pub path: String,
    /// Marks on it.
    pub marks: Vec<(f64, f64, Mark)>,
    /// Where it ends for want of samples: an upright bar.
    pub stop: Option<(f64, f64)>,
    /// What it is.
    pub label: Option<Label>,
}

/// The chart.
pub struct XyChart<'a> {
    /// What it is called.
    pub names: Names<'a>,
    /// Width of both layouts.
    pub widths: (f64, f64),
    /// Height of the plot.
    pub height: f64,
    /// Space at the right of the plot in the wide layout.
    pub right: f64,
    /// The axes.
    pub xs: Scale,
    /// Upwards.
    pub ys: Scale,
    /// What goes right, with its unit.
    pub x_name: &'a str,
    /// What goes up.
    pub y_name: &'a str,
    /// How ticks are written.
    pub x_label: &'a dyn Fn(f64) -> String,
    /// Those of the upright axis.
    pub y_label: &'a dyn Fn(f64) -> String,
    /// The lines, the lowest first.
    pub lines: &'a [Line],
}

const FONT: f64 = 12.5;
/// What the letters of bold text come to, by their width.
const BOLD: f64 = 14.4;

impl XyChart<'_> {
    /// Both layouts.
    pub fn draw(&self) -> String {
        Layout::BOTH.map(|layout| self.layout(layout)).concat()
    }

    fn layout(&self, layout: Layout) -> String {
        let full = layout.of(self.widths.0, self.widths.1);
        let (left, top, right) = (58.0, 28.0, layout.of(self.right, 10.0));
        let (plot, height) = (full - left - right, self.height);
        let mut canvas = Canvas::new(full, top + height + 42.0);
        canvas.text("b", (layout.of(left, 4.0), 14.0), Anchor::Start, self.y_name);
        let x = |value: f64| left + self.xs.share(value) * plot;
        let y = |value: f64| top + (1.0 - self.ys.share(value)) * height;
        for tick in self.ys.ticks() {
            if y(*tick) < top + height - 0.5 {
                canvas.line("gr", (left, y(*tick)), (left + plot, y(*tick)));
            }
            canvas.text("m", (left - 8.0, y(*tick) + 4.0), Anchor::End, &(self.y_label)(*tick));
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in self.xs.ticks() {
            let (at, label) = (x(*tick), (self.x_label)(*tick));
            canvas.line("gr", (at, top), (at, top + height));
            canvas.line("ax", (at, top + height), (at, top + height + 4.0));
            let half = width(&label, FONT) / 2.0;
            if at - half > free_from {
                let middle = inside(at, &label, FONT, full);
                canvas.text("m", (middle, top + height + 17.0), Anchor::Middle, &label);
                free_from = at + half + 4.0;
            }
        }
        canvas.line("ax", (left, top + height), (left + plot, top + height));
        let name_at = (left + plot / 2.0, top + height + 34.0);
        canvas.text("m", name_at, Anchor::Middle, self.x_name);
        for (at, line) in self.lines.iter().enumerate() {
            let id = format!("{}-{at}", self.names.id);
            let place = [left, top, plot, height];
            canvas.placed(layout, &id, (line.class, &line.path), place, (SIDE, SIDE));
        }
        for line in self.lines {
            if let Some((stop_x, stop_y)) = line.stop {
                let (at, level) = (x(stop_x), y(stop_y));
                canvas.line("fgt", (at, level - 5.0), (at, level + 5.0));
            }
            for (mark_x, mark_y, mark) in &line.marks {
                canvas.raw(&symbol(*mark, x(*mark_x), y(*mark_y)));
            }
        }
        let labels: Vec<&Label> =
            self.lines.iter().filter_map(|line| line.label.as_ref()).collect();
        let wanted: Vec<f64> = labels.iter().map(|label| y(label.at.1) - top).collect();
        let places = apart(&wanted, height);
        for (label, at) in labels.iter().zip(places) {
            // On a phone there is room for a name, and none for what it means.
            let text = match (layout, label.text.split_once(": ")) {
                (Layout::Narrow, Some((name, _))) => name,
                _ => label.text.as_str(),
            };
            let size = if label.class.split(' ').any(|own| own == "b") { BOLD } else { FONT };
            let wide = width(text, size);
            // Where there is no room at its right it stands at its left, if there is more.
            let (behind, beside) = (x(label.at.0) - 10.0, x(label.at.0) + 10.0);
            let before = label.before || (wide > full - beside && behind - left > full - beside);
            let (place, anchor, room) = match before {
                true => (behind, Anchor::End, behind - left),
                false => (beside, Anchor::Start, full - beside),
            };
            let text = squeezed(text, room.max(40.0), size);
            // Lines of others pass behind.
            let class = format!("{} halo", label.class);
            canvas.text(class.trim_start(), (place, top + at + 4.0), anchor, &text);
        }
        canvas.finish(layout, &self.names, "")
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::curve;
    use super::super::rows::{Shape, Tone};
    use super::*;

    #[test]
    fn lines_have_marks_ends_and_labels() {
        let (xs, ys) = (Scale::log(1.0, 100.0, 6), Scale::linear(0.0, 10.0, 5));
        let path = curve(&[(1.0, 0.0), (10.0, 5.0), (100.0, 9.0)], &xs, &ys);
        let label =
            |text: &str, at| Some(Label { at, class: "b", text: text.to_owned(), before: false });
        let lines = [
            Line {
                class: "fg",
                path: path.clone(),
                marks: vec![(10.0, 5.0, Mark { shape: Shape::Dot, tone: Tone::On })],
                stop: Some((100.0, 9.0)),
                label: label("on <1>", (100.0, 9.0)),
            },
            Line {
                class: "loff",
                path,
                marks: Vec::new(),
                stop: None,
                label: label("off", (10.0, 9.0)),
            },
        ];
        let chart = XyChart {
            names: Names { id: "c", title: "Curve", desc: "It rises" },
            widths: (460.0, 358.0),
            height: 120.0,
            right: 60.0,
            xs,
            ys,
            x_name: "ms",
            y_name: "share",
            x_label: &|tick| format!("{tick}"),
            y_label: &|tick| format!("{tick} %"),
            lines: &lines,
        };
        insta::assert_snapshot!(chart.draw().replace("><", ">\n<"));
    }
}
