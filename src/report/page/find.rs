//! What to do about it: what was not done as asked, and what a query's plan or pairs call for.

use crate::plot::escape;
use crate::result::arm::Gpu;
use crate::result::{Body, Status};

use super::super::words;
use super::Page;
use super::html::prose;
use super::ratios::verdict_in;

/// Most of them that are told.
const TOLD_MAX: usize = 5;

/// What to do, and why.
type Told = (String, String);

pub(super) fn write(page: &mut Page<'_>) {
    let found = found(page);
    if found.is_empty() {
        return;
    }
    let left = found.len().saturating_sub(TOLD_MAX);
    let items: Vec<String> = found
        .iter()
        .take(TOLD_MAX)
        .map(|(act, why)| format!("<li><b>{}</b> {}</li>", escape(act), prose(why)))
        .collect();
    let more = match left {
        0 => String::new(),
        left => format!("<p class=\"note\">{left} more below.</p>"),
    };
    let content = format!("<ol class=\"find\">{}</ol>{more}", items.concat());
    page.section("find", "What to do", "What to do about it", &content);
}

fn found(page: &Page<'_>) -> Vec<Told> {
    let result = page.result;
    let mut found: Vec<Told> = Vec::new();
    let mut tell = |act: &str, why: String| found.push((act.to_owned(), why));
    if result.status == Status::Running && result.stream().is_some() {
        let why = "If the loader was killed, `strom-load verify` with this folder reads the rows back and \
                   says what became of each.";
        tell("See whether it is still running.", why.to_owned());
    }
    for shortfall in &result.shortfalls {
        tell("It was not done as asked.", format!("{}.", shortfall.what.trim_end_matches('.')));
    }
    let pairs = result.stream().into_iter().flat_map(|run| &run.comparisons);
    for comparison in pairs.clone().filter(|own| !own.valid) {
        let name = &comparison.query;
        let why = format!(
            "The answers of its arms differed in {} of {} comparisons; the rows are below.",
            comparison.answers.different, comparison.answers.checks
        );
        tell(&format!("Do not use the times of {name}."), why);
    }
    if let Body::Benchmark(run) = &result.body {
        for query in run.queries().filter(|query| !query.valid) {
            let why = "The answers of its arms differ; the rows are below.".to_owned();
            tell(&format!("Do not use the times of {}.", query.query), why);
        }
    }
    if let Some(run) = result.stream() {
        let loader = &run.loader;
        let whose = match (loader.bottleneck.is_own(), loader.late_by.is_own()) {
            (true, _) => Some("all of it says little about the server"),
            (false, true) => Some("the response times are the loader’s or its machine’s"),
            (false, false) => None,
        };
        if let Some(whose) = whose {
            let why = format!("As it is, {whose}: {}.", loader.reason);
            tell("Give the loader a machine of its own, or ask for less.", why);
        }
        for own in run.queries.iter().filter(|own| own.gpu == Gpu::On) {
            let why = own.plan.as_ref().map(|plan| words::why_not_gpu(own.gpu, plan));
            if let Some(why) = why.filter(|why| !why.is_empty()) {
                tell(&format!("Bring {} to the GPU.", own.query), format!("{}.", why.join("; ")));
            }
        }
    }
    for comparison in pairs {
        if let Some(left) = verdict_in(comparison).filter(|_| comparison.valid) {
            let why = format!(
                "At its pace {} has pairs enough after about {left} more.",
                comparison.query
            );
            tell("Measure longer before you quote a ratio.", why);
        }
    }
    found
}
