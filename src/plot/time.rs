//! Panels above each other on one axis of time, with the phases and outages of a run behind them.

use super::path::{Cells, SIDE};
use super::scale::Scale;
use super::svg::{Anchor, Canvas, Layout, Names, inside, n, squeezed, width};

/// A stretch of time that stands behind all panels.
#[derive(Debug, Clone)]
pub struct Band {
    /// What it is.
    pub kind: BandKind,
    /// When it begins, in seconds.
    pub from_s: f64,
    /// When it ends.
    pub to_s: f64,
    /// What it is called; shown where there is room.
    pub label: String,
}

/// What a band is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandKind {
    /// A phase of the run that is not measured.
    Phase,
    /// A time in which nothing was possible.
    Outage,
}

/// Something that is drawn in a panel.
#[derive(Debug, Clone)]
pub enum Layer {
    /// Path data, and the class of its look.
    Path(&'static str, String),
    /// A level that something is held against.
    Level(f64),
    /// Counts by time and value, from one time to another.
    Cells(Cells, f64, f64),
}

/// What is said at the right end of a panel, at the height of a value.
#[derive(Debug, Clone)]
pub struct End {
    /// The value.
    pub at: f64,
    /// The class of its look.
    pub class: &'static str,
    /// The text.
    pub text: String,
}

/// A part of a panel in place of a tick.
#[derive(Debug, Clone)]
pub struct Lane {
    /// What is drawn in it.
    pub name: String,
    /// Its height, beside those of the other lanes.
    pub tall: f64,
    /// How much of that is free above what is drawn.
    pub free: f64,
}

/// A panel.
pub struct Panel<'a> {
    /// What goes up in it, with its unit.
    pub name: String,
    /// What stands at the right of the name, smaller.
    pub note: String,
    /// Its height, wide and narrow.
    pub height: (f64, f64),
    /// Its axis.
    pub scale: Scale,
    /// How its ticks are written.
    pub label: &'a dyn Fn(f64) -> String,
    /// Lanes in place of ticks, from the top.
    pub lanes: Vec<Lane>,
    /// What is drawn, the lowest first.
    pub layers: Vec<Layer>,
    /// What is said at the right.
    pub ends: Vec<End>,
}

/// The chart.
pub struct TimeChart<'a> {
    /// What it is called.
    pub names: Names<'a>,
    /// From when to when, in seconds.
    pub span_s: (f64, f64),
    /// What stands behind.
    pub bands: &'a [Band],
    /// The panels, from the top.
    pub panels: &'a [Panel<'a>],
}

const FONT: f64 = 12.5;
/// Space above a panel, for its name; and between two.
const ABOVE: f64 = 28.0;
const BETWEEN: f64 = 12.0;
/// Space below the last one, for the ticks of time.
const BELOW: f64 = 24.0;
/// Most space at the right for what is said there.
const ENDS_MAX: f64 = 190.0;
/// Least distance of two texts at the right.
const ENDS_APART: f64 = 15.0;
/// Opens what moves with the axis of time.
const MOVES: &str = "<g class=\"z\">";
/// Outages whose label is shown.
const LABELS_MAX: usize = 3;

impl TimeChart<'_> {
    /// Both layouts.
    pub fn draw(&self) -> String {
        Layout::BOTH.map(|layout| self.layout(layout)).concat()
    }

    /// The axis of time, in the wide layout: what path data is made for.
    pub fn time_scale(span_s: (f64, f64)) -> Scale {
        Scale::time(span_s.0, span_s.1, 8)
    }

    /// The space at both sides of the panels.
    fn beside(&self, layout: Layout) -> (f64, f64) {
        let lanes = self.panels.iter().flat_map(|panel| &panel.lanes);
        let widest = lanes.map(|lane| width(&lane.name, FONT)).fold(0.0, f64::max);
        let ticks = self.panels.iter().filter(|panel| panel.lanes.is_empty()).flat_map(|panel| {
            panel.scale.ticks().iter().map(|tick| width(&(panel.label)(*tick), FONT) + 10.0)
        });
        let ticks = ticks.fold(0.0, f64::max);
        let left = layout.of(58.0_f64.max((widest + 12.0).min(190.0)), 50.0).max(ticks);
        let ends = self.panels.iter().flat_map(|panel| &panel.ends);
        let ends = ends.map(|end| width(&end.text, FONT) + 8.0).fold(0.0, f64::max);
        (left, layout.of(ends.clamp(104.0, ENDS_MAX), 8.0))
    }

    fn layout(&self, layout: Layout) -> String {
        let full = layout.of(960.0, 358.0);
        let (left, right) = self.beside(layout);
        let plot = full - left - right;
        let tall = |panel: &Panel<'_>| {
            let height = layout.of(panel.height.0, panel.height.1);
            // Where ends have no room at the right they stand above.
            let more = if layout == Layout::Narrow && !panel.ends.is_empty() { 16.0 } else { 0.0 };
            (height, ABOVE + more)
        };
        let between = BETWEEN * self.panels.len().saturating_sub(1) as f64;
        let height: f64 = self.panels.iter().map(tall).map(|(own, above)| own + above).sum();
        let height = height + between;
        let mut canvas = Canvas::new(full, height + BELOW);
        let xs = Scale::time(self.span_s.0, self.span_s.1, layout.of(8, 4));
        let mut top = 0.0;
        let mut first_top = 0.0;
        for (at, panel) in self.panels.iter().enumerate() {
            let (own, above) = tall(panel);
            top += above + if at == 0 { 0.0 } else { BETWEEN };
            if at == 0 {
                first_top = top;
            }
            let place = [left, top, plot, own];
            self.behind(&mut canvas, place, &xs, at == 0);
            self.panel(&mut canvas, layout, (at, panel), place);
            self.outages(&mut canvas, place, &xs);
            if at == 0 && panel.lanes.is_empty() {
                self.band_names(&mut canvas, place, &xs, full);
            }
            top += own;
        }
        canvas.raw("<g class=\"tx\">");
        for (tick, label) in xs.ticks().iter().zip(xs.time_labels()) {
            let x = left + xs.share(*tick) * plot;
            canvas.line("ax", (x, top), (x, top + 4.0));
            let middle = inside(x, &label, FONT, full);
            canvas.text("m", (middle, top + 17.0), Anchor::Middle, &label);
        }
        canvas.raw("</g>");
        let (from, to) = (n(left), n(left + plot));
        let (low, high) = (xs.low(), xs.high());
        let (y1, y2) = (n(first_top), n(top));
        let data = format!(r#" data-x="{from} {to} {low:.3} {high:.3}" data-y="{y1} {y2}""#);
        canvas.finish(layout, &self.names, &data)
    }

    fn behind(
        &self,
        canvas: &mut Canvas,
        [x, y, width, height]: [f64; 4],
        xs: &Scale,
        first: bool,
    ) {
        canvas.raw(MOVES);
        for band in self.bands {
            let (from, to) = (xs.share(band.from_s) * width, xs.share(band.to_s) * width);
            if to - from >= 0.5 {
                let title = if first { band.label.as_str() } else { "" };
                canvas.rect("band", [x + from, y, to - from, height], title);
            }
        }
        canvas.raw("</g>");
    }

    fn outages(&self, canvas: &mut Canvas, [x, y, plot, height]: [f64; 4], xs: &Scale) {
        let mut outages = self.bands.iter().filter(|band| band.kind == BandKind::Outage).peekable();
        if outages.peek().is_none() {
            return;
        }
        canvas.raw(MOVES);
        for band in outages {
            let at = x + xs.share(band.from_s) * plot;
            canvas.line("out", (at, y), (at, y + height));
        }
        canvas.raw("</g>");
    }

    /// What the bands are called, where there is room in a panel `full` wide.
    fn band_names(
        &self,
        canvas: &mut Canvas,
        [x, y, plot, height]: [f64; 4],
        xs: &Scale,
        full: f64,
    ) {
        canvas.raw("<g class=\"zt\">");
        let place =
            |band: &Band| (x + xs.share(band.from_s) * plot, x + xs.share(band.to_s) * plot);
        for band in self.bands.iter().filter(|band| band.kind == BandKind::Phase) {
            let (from, to) = place(band);
            if to - from > width(&band.label, FONT) + 6.0 {
                let at = (from + 6.0, y + height - 6.0);
                canvas.text("m halo", at, Anchor::Start, &band.label);
            }
        }
        let outages = self.bands.iter().filter(|band| band.kind == BandKind::Outage);
        let mut outages: Vec<&Band> = outages.collect();
        // The longest have the room.
        outages
            .sort_by(|one, other| (other.to_s - other.from_s).total_cmp(&(one.to_s - one.from_s)));
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for band in outages {
            let (from, wide) = (place(band).0, width(&band.label, FONT));
            let beside = [
                (Anchor::Start, from + 6.0, from + 6.0 + wide),
                (Anchor::End, from - 6.0 - wide, from - 6.0),
            ];
            let fits = |(_, left, right): &(Anchor, f64, f64)| {
                *left >= x
                    && *right <= full
                    && taken.iter().all(|own| *right + 6.0 < own.0 || *left - 6.0 > own.1)
            };
            let Some((anchor, left, right)) = beside.into_iter().find(fits) else { continue };
            taken.push((left, right));
            let at = if anchor == Anchor::Start { left } else { right };
            canvas.text("tbad halo", (at, y + height - 10.0), anchor, &band.label);
            if taken.len() == LABELS_MAX {
                break;
            }
        }
        canvas.raw("</g>");
    }

    fn panel(
        &self,
        canvas: &mut Canvas,
        layout: Layout,
        (number, panel): (usize, &Panel<'_>),
        place: [f64; 4],
    ) {
        let [x, y, plot, height] = place;
        let ends_above = layout == Layout::Narrow && !panel.ends.is_empty();
        let name_y = y - 10.0 - if ends_above { 16.0 } else { 0.0 };
        let (name_x, mut name_end) = (layout.of(x, x.min(46.0)), x + plot);
        if !panel.note.is_empty() && layout == Layout::Wide {
            canvas.text("m", (name_end, name_y), Anchor::End, &panel.note);
            name_end -= width(&panel.note, FONT) + 12.0;
        }
        let name = squeezed(&panel.name, name_end - name_x, FONT);
        canvas.text("b", (name_x, name_y), Anchor::Start, &name);
        if panel.lanes.is_empty() {
            for tick in panel.scale.ticks() {
                let at = y + (1.0 - panel.scale.share(*tick)) * height;
                if (at - y - height).abs() > 0.5 {
                    canvas.line("gr", (x, at), (x + plot, at));
                }
                canvas.text("m", (x - 8.0, at + 4.0), Anchor::End, &(panel.label)(*tick));
            }
        }
        let all: f64 = panel.lanes.iter().map(|lane| lane.tall).sum();
        let mut top = y;
        for (at, lane) in panel.lanes.iter().enumerate() {
            let (tall, free) = (lane.tall / all * height, lane.free / all * height);
            if at > 0 {
                canvas.line("gr", (x, top), (x + plot, top));
            }
            match layout {
                Layout::Wide => {
                    let name = squeezed(&lane.name, x - 8.0, FONT);
                    let middle = top + f64::midpoint(free, tall);
                    canvas.text("", (0.0, middle + 3.5), Anchor::Start, &name);
                }
                // Over what it names: on a phone there is no room at its left.
                Layout::Narrow => {
                    let name = squeezed(&lane.name, plot, FONT);
                    canvas.text("m", (x + 3.0, top + 10.0), Anchor::Start, &name);
                }
            }
            top += tall;
        }
        self.layers(canvas, layout, (number, panel), place);
        if ends_above {
            let from = x.min(46.0);
            let between = " · ";
            let gaps = width(between, FONT) * panel.ends.len().saturating_sub(1) as f64;
            let room = (x + plot - from - gaps) / panel.ends.len() as f64;
            let texts: Vec<String> =
                panel.ends.iter().map(|end| squeezed(&end.text, room, FONT)).collect();
            let text = texts.join(between);
            canvas.text("m", (from, name_y + 16.0), Anchor::Start, &text);
        } else {
            let wanted = panel.ends.iter().map(|end| (1.0 - panel.scale.share(end.at)) * height);
            let at = apart(&wanted.collect::<Vec<_>>(), height);
            let room = 960.0 - x - plot - 6.0;
            for (end, at) in panel.ends.iter().zip(at) {
                let text = squeezed(&end.text, room, FONT);
                canvas.text(end.class, (x + plot + 8.0, y + at + 4.0), Anchor::Start, &text);
            }
        }
        canvas.line("ax", (x, y + height), (x + plot, y + height));
    }

    fn layers(
        &self,
        canvas: &mut Canvas,
        layout: Layout,
        (number, panel): (usize, &Panel<'_>),
        place: [f64; 4],
    ) {
        let [x, y, plot, height] = place;
        // What is the same at all times stands still.
        for layer in &panel.layers {
            if let Layer::Level(value) = layer {
                let level = y + (1.0 - panel.scale.share(*value)) * height;
                canvas.line("ref", (x, level), (x + plot, level));
            }
        }
        canvas.raw(MOVES);
        let id = |layer: usize, level: usize| format!("{}-{number}-{layer}-{level}", self.names.id);
        for (at, layer) in panel.layers.iter().enumerate() {
            match layer {
                Layer::Path(class, d) => {
                    canvas.placed(layout, &id(at, 0), (class, d), place, (SIDE, SIDE));
                }
                Layer::Level(_) => {}
                Layer::Cells(cells, from_s, to_s) => {
                    let xs = Scale::time(self.span_s.0, self.span_s.1, 2);
                    let (from, to) = (xs.share(*from_s) * plot, xs.share(*to_s) * plot);
                    // Half a row down, as a stroke lies on both sides of its path.
                    let half = height / cells.rows.max(1) as f64 / 2.0;
                    let place = [x + from, y + half, to - from, height];
                    let units = (cells.columns.max(1) as f64, cells.rows.max(1) as f64);
                    for (level, d) in cells.levels.iter().enumerate() {
                        let class = ["s1", "s2", "s3", "s4", "s5"][level.min(4)];
                        canvas.placed(layout, &id(at, level), (class, d), place, units);
                    }
                }
            }
        }
        canvas.raw("</g>");
    }
}

/// Places as near as can be to the wanted ones, and so far apart that texts do not touch.
pub(super) fn apart(wanted: &[f64], height: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    let mut places = wanted.to_vec();
    let mut least = f64::NEG_INFINITY;
    for at in &order {
        places[*at] = places[*at].max(least);
        least = places[*at] + ENDS_APART;
    }
    // What was pushed below the panel comes back up.
    let mut most = height.max(ENDS_APART * wanted.len() as f64 - ENDS_APART);
    for at in order.iter().rev() {
        places[*at] = places[*at].min(most);
        most = places[*at] - ENDS_APART;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::path::{Step, area, steps};
    use super::*;

    #[test]
    fn texts_at_the_end_do_not_touch() {
        assert_eq!(apart(&[10.0, 12.0, 90.0], 100.0), [10.0, 25.0, 90.0]);
        assert_eq!(apart(&[98.0, 99.0], 100.0), [85.0, 100.0]);
        assert_eq!(apart(&[50.0, 20.0], 100.0), [50.0, 20.0]);
    }

    #[test]
    fn what_an_outage_is_called_stays_within_the_chart() {
        for from_s in [0.0, 1.0, 2.0, 3.0, 3.9, 4.0] {
            let label = "outage 12 min 30 s".to_owned();
            let bands = [Band { kind: BandKind::Outage, from_s, to_s: from_s + 9.0, label }];
            let panel = Panel {
                name: "rows/s".to_owned(),
                note: String::new(),
                height: (100.0, 80.0),
                scale: Scale::from_zero(1.0, 2),
                label: &|tick| format!("{tick}"),
                lanes: Vec::new(),
                layers: Vec::new(),
                ends: Vec::new(),
            };
            let names = Names { id: "c", title: "Rows", desc: "They come" };
            let chart = TimeChart { names, span_s: (0.0, 4.0), bands: &bands, panels: &[panel] };
            for (layout, full) in [(Layout::Wide, 960.0), (Layout::Narrow, 358.0)] {
                let drawn = chart.layout(layout);
                let before = drawn.split(">outage 12 min 30 s</text>").next().unwrap();
                let text = before.rsplit("<text x=\"").next().unwrap();
                let x: f64 = text.split('"').next().unwrap().parse().unwrap();
                let wide = width("outage 12 min 30 s", FONT);
                let from = if text.contains("\"end\"") { x - wide } else { x };
                assert!(from >= 0.0 && from + wide <= full, "{from_s}: {from} in {full}");
            }
        }
    }

    #[test]
    fn a_chart_has_its_phases_its_outage_and_both_layouts() {
        let span_s = (0.0, 4.0);
        let (xs, ys) = (TimeChart::time_scale(span_s), Scale::from_zero(4_000.0, 4));
        let all: Vec<Step> = [3_000.0, 3_100.0, 0.0, 3_000.0]
            .iter()
            .zip([0.0, 1.0, 2.0, 3.0])
            .map(|(y, from)| Step { from, to: from + 1.0, y: *y })
            .collect();
        let bands = [
            Band { kind: BandKind::Phase, from_s: 0.0, to_s: 1.0, label: "warm-up".to_owned() },
            Band { kind: BandKind::Outage, from_s: 2.0, to_s: 2.5, label: "outage <1>".to_owned() },
        ];
        let panel = Panel {
            name: "rows/s".to_owned(),
            note: String::new(),
            height: (100.0, 80.0),
            scale: ys.clone(),
            label: &|tick| format!("{tick}"),
            lanes: Vec::new(),
            layers: vec![
                Layer::Path("area", area(&all, &xs, &ys)),
                Layer::Path("fg", steps(&all, &xs, &ys)),
                Layer::Level(3_000.0),
                Layer::Cells(Cells::of(2, 2, 2, |column, row| (column * row) as u64), 1.0, 4.0),
            ],
            ends: vec![End { at: 3_000.0, class: "", text: "target 3,000".to_owned() }],
        };
        let names = Names { id: "rate", title: "Rows", desc: "They come & go" };
        let chart = TimeChart { names, span_s, bands: &bands, panels: &[panel] };
        insta::assert_snapshot!(chart.draw().replace("><", ">\n<"));
    }
}
