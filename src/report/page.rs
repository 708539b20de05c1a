//! `report.html`: a saved result as one page that needs nothing else. A pure function of the result and
//! of what its folder holds over time, so that the same folder gives the same bytes.

mod about;
mod advice;
mod ages;
mod ages_over_time;
mod benchmark;
mod compare;
mod distributions;
mod faults;
mod find;
mod gpus;
mod head;
mod html;
mod index;
mod lanes;
mod rate;
mod ratios;
mod response;
mod sweep;
mod tail;
mod times;
mod torn;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use crate::plot::escape;
use crate::result::{Body, JobResult};
use crate::series::Series;

use super::verdict;

pub use compare::compare_page;
pub use index::{PAGE, index_page, pages};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page of a job.
pub fn page(result: &JobResult, series: &Series) -> String {
    let job = job(result, series, "");
    let title = format!("{} · {} · strom-load", job.word, result.profile());
    document(&title, &format!("{}<main>{}</main>{}", job.header, job.main, job.footer))
}

/// What is told of a job.
struct Told {
    /// The verdict, in a word.
    word: &'static str,
    header: String,
    main: String,
    footer: String,
}

/// All that is told of a job; `prefix` tells what it names within the page from those of other jobs.
fn job(result: &JobResult, series: &Series, prefix: &str) -> Told {
    let mut page = Page { result, series, prefix, sections: Vec::new(), absent: Vec::new() };
    find::write(&mut page);
    match &result.body {
        Body::Stream(run) => stream(&mut page, run),
        Body::Faults(faults) => {
            faults::write(&mut page, &faults.faults);
            stream(&mut page, &faults.run);
        }
        Body::Benchmark(run) => benchmark::write(&mut page, run),
        Body::Sweep(run) => sweep::write(&mut page, run),
    }
    advice::write(&mut page);
    about::write(&mut page);
    let verdict = verdict::verdict(result);
    let links: Vec<String> = page
        .sections
        .iter()
        .map(|section| format!(r##"<a href="#{prefix}{}">{}</a> "##, section.id, section.name))
        .collect();
    // Two runs on one page may be of one profile.
    let number = prefix.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>();
    let whose = number.map_or_else(
        |_| String::new(),
        |number| format!(" of run {}, {}", number + 1, result.profile()),
    );
    let torn = torn::notes(result, page.series).into_iter();
    let torn: Vec<String> =
        torn.map(|note| format!(r#"<p class="warn">{}</p>"#, escape(&note))).collect();
    let torn = torn.concat();
    let header = format!(
        r#"<header>{}{torn}<nav aria-label="Sections{}">{}</nav></header>"#,
        head::write(result, &verdict),
        escape(&whose),
        links.concat()
    );
    let main: String = page.sections.iter().map(|section| section.html.as_str()).collect();
    let absent: Vec<String> =
        page.absent.iter().map(|why| format!("<p>{}</p>", escape(why))).collect();
    let absent = absent.concat();
    let footer = format!(
        "<footer>{absent}<p>strom-load {} · result format {} · kind {} · times are UTC · this page holds \
         everything it shows and asks nothing of the network</p></footer>",
        escape(&result.strom_load_version),
        result.format_version,
        result.kind()
    );
    Told { word: verdict.word, header, main, footer }
}

fn stream(page: &mut Page<'_>, run: &crate::result::stream::StreamRun) {
    rate::write(page, run);
    response::write(page, run);
    tail::write(page, run);
    ratios::of_stream(page, run);
    times::write(page, run);
    ages::write(page, run);
    gpus::write(page);
}

/// A document with this body.
fn document(title: &str, body: &str) -> String {
    let hash = BASE64.encode(Sha256::digest(SCRIPT.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:; \
         base-uri 'none'; form-action 'none'"
    );
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta \
         http-equiv=\"Content-Security-Policy\" content=\"{policy}\"><title>{}</title>\
         <style>{STYLE}</style></head>\n<body>{body}<script>{SCRIPT}</script></body></html>\n",
        escape(title)
    )
}

/// A page that is put together.
struct Page<'a> {
    result: &'a JobResult,
    series: &'a Series,
    prefix: &'a str,
    sections: Vec<Section>,
    /// What is not told, and why.
    absent: Vec<String>,
}

struct Section {
    id: &'static str,
    name: &'static str,
    html: String,
}

impl Page<'_> {
    /// An identity within the page.
    fn id(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Adds a section: its identity, its name among the links, the question that it answers, and the rest
    /// of it.
    fn section(&mut self, id: &'static str, name: &'static str, question: &str, content: &str) {
        let html = format!(
            r#"<section><h2 id="{}">{}</h2>{content}</section>"#,
            self.id(id),
            escape(question)
        );
        self.sections.push(Section { id, name, html });
    }

    /// A figure over the time of the run, with the cursor that all of those share.
    fn time_figure(&self, caption: &str, chart: &str, data: &str) -> String {
        format!(
            r#"<figure data-run="r{}"><figcaption>{caption}</figcaption>{chart}{data}</figure>"#,
            self.prefix
        )
    }
}

#[cfg(test)]
#[path = "page/tests.rs"]
mod tests;
