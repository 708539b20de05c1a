//! SVG text: elements with fixed decimals, and whatever is named in them escaped.

use std::fmt::Write as _;

/// What a chart is called, by people, screen readers and the page.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// Its identity within the page.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// What is to be seen in it.
    pub desc: &'a str,
}

/// One of the two layouts of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// For a page: class `w`.
    Wide,
    /// For a phone: class `n`.
    Narrow,
}

impl Layout {
    pub(super) const BOTH: [Self; 2] = [Self::Wide, Self::Narrow];

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Wide => "w",
            Self::Narrow => "n",
        }
    }

    /// Which of two it is.
    pub(super) fn of<T: Copy>(self, wide: T, narrow: T) -> T {
        match self {
            Self::Wide => wide,
            Self::Narrow => narrow,
        }
    }
}

/// Where text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG that is drawn.
pub(super) struct Canvas {
    out: String,
    width: f64,
    height: f64,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { out: String::new(), width, height }
    }

    pub(super) fn rect(&mut self, class: &str, [x, y, width, height]: [f64; 4], title: &str) {
        let [x, y, width, height] = [x, y, width, height].map(n);
        // Writing to a String cannot fail.
        let _ = write!(
            self.out,
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}""#
        );
        match title {
            "" => self.out.push_str("/>"),
            _ => {
                let _ = write!(self.out, "><title>{}</title></rect>", escape(title));
            }
        }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x, y) = (n(from.0), n(from.1));
        let _ = match (from.0 - to.0).abs() < 0.05 {
            true => write!(self.out, r#"<path class="{class}" d="M{x} {y}V{}"/>"#, n(to.1)),
            false if (from.1 - to.1).abs() < 0.05 => {
                write!(self.out, r#"<path class="{class}" d="M{x} {y}H{}"/>"#, n(to.0))
            }
            false => {
                let (x2, y2) = (n(to.0), n(to.1));
                write!(self.out, r#"<path class="{class}" d="M{x} {y}L{x2} {y2}"/>"#)
            }
        };
    }

    pub(super) fn path(&mut self, class: &str, d: &str) {
        let _ = write!(self.out, r#"<path class="{class}" d="{d}"/>"#);
    }

    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
        let _ = write!(
            self.out,
            r#"<text x="{}" y="{}"{class}{anchor}>{}</text>"#,
            n(x),
            n(y),
            escape(text)
        );
    }

    /// Texts one behind the other up to a place, each with the class of its look.
    pub(super) fn texts(&mut self, class: &str, (x, y): (f64, f64), parts: &[(String, &str)]) {
        let (x, y) = (n(x), n(y));
        // Writing to a String cannot fail.
        let _ = write!(self.out, r#"<text x="{x}" y="{y}" class="{class}" text-anchor="end">"#);
        for (text, class) in parts {
            let class =
                if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
            let _ = write!(self.out, "<tspan{class}>{}</tspan>", escape(text));
        }
        self.out.push_str("</text>");
    }

    /// Markup that is known to be whole.
    pub(super) fn raw(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// Path data of a square with this many units a side, placed in a box: drawn by the wide chart, and
    /// referred to by the narrow one.
    pub(super) fn placed(
        &mut self,
        layout: Layout,
        id: &str,
        (class, d): (&str, &str),
        [x, y, width, height]: [f64; 4],
        units: (f64, f64),
    ) {
        if d.is_empty() {
            return;
        }
        let scale = |side: f64, units: f64| {
            let text = format!("{:.5}", side / units);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        let (across, down) = (scale(width, units.0), scale(height, units.1));
        let _ = write!(
            self.out,
            r#"<g transform="translate({} {}) scale({across} {down})">"#,
            n(x),
            n(y)
        );
        let _ = match layout {
            Layout::Wide => write!(self.out, r#"<path id="{id}" class="{class}" d="{d}"/></g>"#),
            Layout::Narrow => write!(self.out, r##"<use href="#{id}"/></g>"##),
        };
    }

    pub(super) fn finish(self, layout: Layout, names: &Names<'_>, attributes: &str) -> String {
        let Names { id, title, desc } = names;
        let (class, width, height) = (layout.class(), n(self.width), n(self.height));
        format!(
            r#"<svg class="{class}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-{class}t {id}-{class}d"{attributes}><title id="{id}-{class}t">{}</title><desc id="{id}-{class}d">{}</desc>{}</svg>"#,
            escape(title),
            escape(desc),
            self.out
        )
    }
}

/// A coordinate: one decimal at most; 0 for what is no number.
pub(super) fn n(value: f64) -> String {
    let tenths = (value * 10.0).round();
    let tenths = if tenths.is_finite() { tenths as i64 } else { 0 };
    let (sign, whole, tenth) = (tenths < 0, tenths.abs() / 10, tenths.abs() % 10);
    let sign = if sign { "-" } else { "" };
    if tenth == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{tenth}") }
}

/// Text as it stands in HTML and SVG, also within an attribute's quotes. What would steer a terminal or
/// the direction of text is replaced.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// About how wide a text is in a sans-serif font of that size, with room for wider ones.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let wide = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | ' ' | '\u{a0}' | '(' | ')'
        | 't' | 'f' | 'r' | 'I' => 0.32,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '→' | '←' => 0.9,
        c if c.is_ascii_uppercase() => 0.7,
        c if c.is_ascii() => 0.56,
        // Scripts with full-width letters.
        c if ('\u{1100}'..'\u{ff00}').contains(&c) && !('\u{2000}'..'\u{2bff}').contains(&c) => 1.0,
        _ => 0.6,
    };
    text.chars().map(wide).sum::<f64>() * size * 1.1
}

/// The middle of a text that is to stay within a chart.
pub(super) fn inside(middle: f64, text: &str, size: f64, full: f64) -> f64 {
    let half = (width(text, size) / 2.0).min(full / 2.0);
    middle.clamp(half, full - half)
}

/// A text that is no wider than that, and whether it is whole: its end goes.
pub fn shortened(text: &str, most: f64, size: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if width(&short, size) + size * 0.9 > most {
            short.pop();
            break;
        }
    }
    short.push('…');
    short
}

/// A text that is no wider than that: its middle goes, as names differ at their ends, and figures stand there.
pub fn squeezed(text: &str, most: f64, size: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let (all, room) = (text.chars().collect::<Vec<char>>(), most - size * 0.9);
    let (mut taken, mut head, mut tail) = (0.0, 0, all.len());
    while head < tail {
        let at = if head > all.len() - tail { tail - 1 } else { head };
        taken += width(all[at].encode_utf8(&mut [0; 4]), size);
        if taken > room {
            break;
        }
        if at == head { head += 1 } else { tail -= 1 }
    }
    let part = |of: &[char]| of.iter().collect::<String>();
    format!("{}…{}", part(&all[..head]), part(&all[tail..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn coordinates_have_one_decimal_at_most() {
        let all = [0.0, 12.0, 12.04, 12.06, -3.5, -0.01, f64::NAN, f64::INFINITY].map(n);
        assert_eq!(all, ["0", "12", "12", "12.1", "-3.5", "0", "0", "0"]);
    }

    #[test]
    fn what_is_squeezed_keeps_both_ends() {
        let text = "with_eight_parallel_workers_and_more 172 ms";
        assert_eq!(squeezed(text, 150.0, 12.5), "with_eight…re 172 ms");
        assert_eq!(squeezed("serial 1 ms", 150.0, 12.5), "serial 1 ms");
    }

    #[test]
    fn hostile_text_is_text() {
        let hostile = "</script><img src=x onerror='a(\"b\")'>&\u{0}\u{1b}[31m\u{202e}";
        let shown = escape(hostile);
        insta::assert_snapshot!(shown, @"&lt;/script&gt;&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;��[31m�");
    }

    proptest! {
        #[test]
        fn no_text_opens_a_tag(text in ".*") {
            let shown = escape(&text);
            prop_assert!(!shown.contains(['<', '>', '"', '\'']));
            prop_assert!(shown.split('&').skip(1).all(|rest| rest.contains(';')));
        }

        #[test]
        fn a_shortened_text_fits(text in ".{0,60}", most in 20.0..300.0_f64) {
            let short = shortened(&text, most, 12.5);
            prop_assert!(short == text || width(&short, 12.5) <= most + 12.5);
            let short = squeezed(&text, most, 12.5);
            prop_assert!(short == text || width(&short, 12.5) <= most + 0.01, "{}", short);
        }
    }
}
