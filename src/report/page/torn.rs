//! What lies beside the result and is not whole: charts show a part then, and that is said above them.

use crate::quantity::{format_count, format_counted};
use crate::result::{Body, JobResult, Status};
use crate::series::{Series, Torn};

/// Of a sample of executions it is known about how many there were: so much less is missing.
const SAMPLE_MIN: f64 = 0.9;

/// A sentence for each file.
pub(super) fn notes(result: &JobResult, series: &Series) -> Vec<String> {
    // What is being written has no end yet.
    if result.status == Status::Running {
        return Vec::new();
    }
    let files = ["latency.hlog", "executions.csv", "gpu.csv"];
    let notes = files.into_iter().filter_map(|file| {
        let own = series.torn.iter().find(|(name, _)| *name == file).map(|(_, torn)| *torn);
        let mut facts = own.map_or_else(Vec::new, facts);
        facts.extend(match file {
            "latency.hlog" => batches(result, series),
            "executions.csv" => executions(result, series),
            _ => None,
        });
        let all = facts.join("; ");
        (!facts.is_empty()).then(|| {
            format!(
                "{file} is not whole: {all}. What is shown of it is no more than what is there."
            )
        })
    });
    notes.collect()
}

/// Why nothing of a file is shown.
pub(super) fn lacking(series: &Series, file: &str) -> String {
    match series.torn.iter().any(|(name, _)| *name == file) {
        true => format!("{file} is damaged"),
        false => format!("there is no {file} beside the result"),
    }
}

fn facts(torn: Torn) -> Vec<String> {
    let lines = match torn {
        Torn::Unreadable => return vec!["it cannot be read".to_owned()],
        Torn::Lines(lines) => lines,
    };
    let counted =
        |count: u64, one: &str, many: &str| (count > 0).then(|| format_counted(count, one, many));
    let cut_off = lines.cut_off.then(|| "its last line is cut off".to_owned());
    let bad = counted(lines.bad, "line cannot be read", "lines cannot be read");
    let again = counted(
        lines.again,
        "line is there twice, and counts once",
        "lines are there twice, and count once",
    );
    cut_off.into_iter().chain(bad).chain(again).collect()
}

/// That the log has fewer batches than the result.
fn batches(result: &JobResult, series: &Series) -> Option<String> {
    let clock = series.clocks.iter().find(|clock| clock.tag == "service")?;
    let has: u64 = clock.windows.iter().map(crate::series::Window::count).sum();
    let of = result.stream()?.stream.histograms.service.count();
    (result.status == Status::Done && has < of)
        .then(|| format!("it has {} of {} batches", format_count(has), format_count(of)))
}

/// That fewer executions were answered by the file than by the result.
fn executions(result: &JobResult, series: &Series) -> Option<String> {
    let all = &series.executions.all;
    let of: u64 = match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            result.stream()?.queries.iter().map(|query| query.executions).sum()
        }
        Body::Benchmark(run) => {
            run.queries().flat_map(|query| &query.arms).map(|arm| arm.executions as u64).sum()
        }
        Body::Sweep(_) => return None,
    };
    let answered = all.iter().filter(|execution| !execution.failed);
    let has: u64 = answered.map(|execution| execution.weight).sum();
    let is_sample = all.iter().any(|execution| execution.weight > 1);
    let least = if is_sample { of as f64 * SAMPLE_MIN } else { of as f64 };
    (result.status == Status::Done && has > 0 && (has as f64) < least)
        .then(|| format!("it has {} of {} executions", format_count(has), format_count(of)))
}
