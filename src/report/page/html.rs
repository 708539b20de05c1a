//! HTML as it is put together: text is escaped here and nowhere else, and each figure that stands in the
//! result says where.

use std::fmt::Write as _;

use crate::plot::escape;

/// A figure: how it reads, and its place in the result as a JSON pointer.
pub(super) fn figure(place: &str, shown: &str) -> String {
    format!(r#"<span data-of="{}">{}</span>"#, escape(place), escape(&held(shown)))
}

/// A number with a unit that stays in its line.
pub(super) fn held(shown: &str) -> String {
    shown.replace(' ', "\u{a0}")
}

/// Sentences as the summary has them, what is in backticks there as code.
pub(super) fn prose(sentences: &str) -> String {
    let parts: Vec<&str> = sentences.split('`').collect();
    // One that has no partner is a backtick.
    if parts.len().is_multiple_of(2) {
        return escape(sentences);
    }
    let part = |(at, part): (usize, &&str)| match at % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    };
    parts.iter().enumerate().map(part).collect()
}

/// A cell of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    html: String,
    class: &'static str,
    of: String,
}

impl Cell {
    /// Words.
    pub(super) fn words(words: &str) -> Self {
        Self { html: escape(words), ..Self::default() }
    }

    /// Sentences of ours.
    pub(super) fn prose(sentences: &str) -> Self {
        Self::markup(prose(sentences))
    }

    /// A number that is aligned to its right.
    pub(super) fn number(shown: &str) -> Self {
        Self { html: escape(&held(shown)), class: "r", ..Self::default() }
    }

    /// A figure of the result.
    pub(super) fn of(place: &str, shown: &str) -> Self {
        Self { of: place.to_owned(), ..Self::number(shown) }
    }

    /// Markup that is whole.
    pub(super) fn markup(html: String) -> Self {
        Self { html, ..Self::default() }
    }

    /// Code.
    pub(super) fn code(code: &str) -> Self {
        Self { html: format!("<code>{}</code>", escape(code)), ..Self::default() }
    }

    fn attributes(&self) -> String {
        let mut out = String::new();
        if !self.class.is_empty() {
            let _ = write!(out, r#" class="{}""#, self.class);
        }
        if !self.of.is_empty() {
            let _ = write!(out, r#" data-of="{}""#, escape(&self.of));
        }
        out
    }
}

/// A table.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// What it is, above it.
    pub(super) caption: String,
    /// Heads of its columns.
    pub(super) heads: Vec<String>,
    /// Its rows, the first cell the row's name.
    pub(super) rows: Vec<Vec<Cell>>,
    /// The time that each row stands for, in seconds, where the cursor reads it.
    pub(super) times_s: Vec<f64>,
    /// The class of its look.
    pub(super) class: &'static str,
}

impl Table {
    pub(super) fn new(caption: &str, heads: &[&str]) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { caption: caption.to_owned(), heads, ..Self::default() }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(super) fn html(&self) -> String {
        let mut out = String::new();
        let class = match (self.class, self.times_s.is_empty()) {
            ("", true) => String::new(),
            ("", false) => r#" class="series""#.to_owned(),
            (class, true) => format!(r#" class="{class}""#),
            (class, false) => format!(r#" class="series {class}""#),
        };
        let _ = write!(out, "<table{class}>");
        if !self.caption.is_empty() {
            let _ = write!(out, "<caption>{}</caption>", escape(&self.caption));
        }
        let is_number =
            |at: usize| self.rows.iter().any(|row| row.get(at).is_some_and(|c| c.class == "r"));
        if !self.heads.is_empty() {
            out.push_str("<thead><tr>");
            for (at, head) in self.heads.iter().enumerate() {
                let class = if is_number(at) { r#" class="r""# } else { "" };
                let _ = write!(out, r#"<th scope="col"{class}>{}</th>"#, escape(head));
            }
            out.push_str("</tr></thead>");
        }
        out.push_str("<tbody>");
        for (at, row) in self.rows.iter().enumerate() {
            match self.times_s.get(at) {
                Some(time_s) => {
                    let _ = write!(out, r#"<tr data-t="{time_s:.2}">"#);
                }
                None => out.push_str("<tr>"),
            }
            for (at, cell) in row.iter().enumerate() {
                let (tag, scope) = if at == 0 { ("th", r#" scope="row""#) } else { ("td", "") };
                // A column that is all numbers says so at its head.
                let attributes = cell.attributes();
                let _ = write!(out, "<{tag}{scope}{attributes}>{}</{tag}>", cell.html);
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table>");
        out
    }
}

/// A figure: what is to be seen in it, which is markup; the chart; and its data.
pub(super) fn framed(caption: &str, chart: &str, data: &str) -> String {
    format!("<figure><figcaption>{caption}</figcaption>{chart}{data}</figure>")
}

/// The tables of a figure, folded.
pub(super) fn data(what: &str, tables: &[Table]) -> String {
    let tables: Vec<&Table> = tables.iter().filter(|table| !table.rows.is_empty()).collect();
    if tables.is_empty() {
        return String::new();
    }
    let keep =
        if tables.iter().any(|table| table.class == "keep") { r#" class="keep""# } else { "" };
    let tables: String = tables.iter().map(|table| table.html()).collect();
    format!(
        r#"<details{keep}><summary>Data: {}</summary><div class="scroll" role="group" aria-label="Data: {}" tabindex="0">{tables}</div></details>"#,
        escape(what),
        escape(what)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_backticks_is_code() {
        assert_eq!(prose("set `a < b` and `c`."), "set <code>a &lt; b</code> and <code>c</code>.");
        assert_eq!(prose("one ` alone <"), "one ` alone &lt;");
    }

    #[test]
    fn what_is_named_is_text_wherever_it_stands() {
        let mut table = Table::new("of <b>", &["<i>", "ms"]);
        table.row(vec![Cell::words("</script>"), Cell::of("/a/\"b\"", "3 ms")]);
        table.times_s = vec![0.5];
        insta::assert_snapshot!(data("\"x\"", &[table]).replace('\u{a0}', " "), @r#"<details><summary>Data: &quot;x&quot;</summary><div class="scroll" role="group" aria-label="Data: &quot;x&quot;" tabindex="0"><table class="series"><caption>of &lt;b&gt;</caption><thead><tr><th scope="col">&lt;i&gt;</th><th scope="col" class="r">ms</th></tr></thead><tbody><tr data-t="0.50"><th scope="row">&lt;/script&gt;</th><td class="r" data-of="/a/&quot;b&quot;">3 ms</td></tr></tbody></table></div></details>"#);
        assert_eq!(data("nothing", &[Table::new("", &[])]), "");
    }
}
