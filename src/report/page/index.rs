//! Several jobs: an index that links to the page of each, or all of them on one page.

use std::fmt::Write as _;

use crate::plot::escape;
use crate::quantity::{format_counted, format_seconds};
use crate::result::JobResult;
use crate::result::index::{Index, IndexEntry};
use crate::series::Series;

use super::html::{Cell, Table, prose};
use super::{document, job};

/// File of a page in its folder.
pub const PAGE: &str = "report.html";

/// The page of an index, which links to the page in each folder.
pub fn index_page(index: &Index) -> String {
    let link = |run: &IndexEntry| {
        let folder = run.folder.as_ref()?;
        Some(format!("{}/{PAGE}", encoded(folder)))
    };
    document("Results · strom-load", &format!("<main>{}</main>", head(index, &link)))
}

/// All jobs of an index on one page: each with its place there.
pub fn pages(index: &Index, jobs: &[(usize, JobResult, Series)]) -> String {
    let link = |run: &IndexEntry| {
        let place = index.runs.iter().position(|own| std::ptr::eq(own, run))?;
        jobs.iter().any(|(own, ..)| *own == place).then(|| format!("#run-{place}"))
    };
    let mut body = head(index, &link);
    for (place, result, series) in jobs {
        let told = job(result, series, &format!("r{place}-"));
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            r#"<article id="run-{place}">{}{}{}</article>"#,
            told.header, told.main, told.footer
        );
    }
    document("Results · strom-load", &format!("<main>{body}</main>"))
}

/// The table of an index.
fn head(index: &Index, link: &dyn Fn(&IndexEntry) -> Option<String>) -> String {
    let mut table = Table {
        class: "stack",
        ..Table::new("", &["profile", "result", "exit code", "took", "what may be said"])
    };
    for run in &index.runs {
        let name = escape(&run.profile);
        let name = match link(run) {
            Some(to) => format!(r#"<a href="{}">{name}</a>"#, escape(&to)),
            None => name,
        };
        let (class, mark) = match run.word() {
            Some("OK") => ("ok", "✓ OK".to_owned()),
            Some("FAIL") => ("bad", "✗ FAIL".to_owned()),
            Some(word) => ("warn", word.to_owned()),
            None => ("mu", "–".to_owned()),
        };
        let code = run.exit_code.map_or_else(|| "–".to_owned(), |code| code.to_string());
        let fix = run.fix.as_ref().map_or_else(String::new, |fix| format!("<br>{}", prose(fix)));
        let took = if run.took_s > 0.0 { format_seconds(run.took_s) } else { "–".to_owned() };
        table.row(vec![
            Cell::markup(name),
            Cell::markup(format!(r#"<span class="{class}">{}</span>"#, escape(&mark))),
            Cell::markup(format!(r#"<span class="sn">exit code </span>{code}"#)),
            Cell::number(&took),
            Cell::markup(format!("{}{fix}", prose(&run.verdict))),
        ]);
    }
    format!(
        "<h1>Results of {}</h1>{}",
        format_counted(index.runs.len() as u64, "run", "runs"),
        table.html()
    )
}

/// A folder's name as part of a link.
fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                out.push(byte as char);
            }
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}
