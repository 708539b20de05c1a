//! The history of runs: the trend for a terminal, and all of it as CSV.

use std::fmt::Write as _;

use crate::quantity::format_counted;
use crate::quantity::format_ratio;
use crate::result::figure::Figure;
use crate::result::history::HistoryLine;
use crate::stats;

use super::measure::shown;
use super::table::{Align, TableRow, text_table};
use super::words::{csv_field, harmless};

/// Runs of a plan that are shown: the last ones.
const RUNS_SHOWN: usize = 20;
/// Figures that are shown of each.
const FIGURES_SHOWN: usize = 6;
/// Runs before the last one that tell what is usual.
const BEFORE_MIN: usize = 3;

/// The runs of each plan below each other, with the figures that are looked at first.
pub fn history_text(runs: &[HistoryLine]) -> String {
    let mut out = String::new();
    let mut plans: Vec<(&str, &str)> = Vec::new();
    for run in runs {
        let plan = (run.profile.as_str(), run.plan.as_str());
        if !plans.contains(&plan) {
            plans.push(plan);
        }
    }
    for (place, (profile, plan)) in plans.into_iter().enumerate() {
        let own: Vec<&HistoryLine> = runs
            .iter()
            .filter(|run| (run.profile.as_str(), run.plan.as_str()) == (profile, plan))
            .collect();
        if place > 0 {
            out.push('\n');
        }
        // Writing to a String cannot fail.
        let _ = of_plan(&mut out, &own);
    }
    harmless(&out)
}

fn of_plan(out: &mut String, runs: &[&HistoryLine]) -> std::fmt::Result {
    let Some(last) = runs.last() else { return Ok(()) };
    let earlier = runs.len().saturating_sub(RUNS_SHOWN);
    let count = format_counted(runs.len() as u64, "run", "runs");
    write!(out, "{} ({}), plan {}: {count}", last.profile, last.kind, last.plan)?;
    if earlier > 0 {
        write!(out, ", {} before these", format_counted(earlier as u64, "run", "runs"))?;
    }
    writeln!(out)?;
    let figures = leading(runs);
    let head = ["began", "exit"].map(str::to_owned).into_iter();
    let head = head.chain(figures.iter().map(|name| (*name).to_owned()));
    let mut rows: Vec<TableRow> =
        vec![head.chain(["folder".to_owned()]).collect::<Vec<_>>().into()];
    for run in &runs[earlier..] {
        let exit = match run.came_to_its_end() {
            true => run.exit_code.to_string(),
            false => format!("{} !", run.exit_code),
        };
        let values = figures.iter().map(|name| match run.figures.get(*name) {
            Some(number) => shown(name, *number),
            None => "-".to_owned(),
        });
        // To the second.
        let began = match run.started_at.split_once('.') {
            Some((second, _)) => format!("{second}Z"),
            None => run.started_at.clone(),
        };
        let cells = [began, exit].into_iter().chain(values);
        rows.push(cells.chain([run.folder.clone()]).collect::<Vec<_>>().into());
    }
    rows.extend(against_before(runs, &figures));
    text_table(out, &rows, Align::Right(1, figures.len() + 1))?;
    if runs.iter().any(|run| !run.came_to_its_end()) {
        writeln!(out, "!: it did not come to its end")?;
    }
    Ok(())
}

/// The figures that are looked at first and that some run has.
fn leading<'a>(runs: &[&'a HistoryLine]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in runs.iter().flat_map(|run| run.figures.keys()) {
        let ratio = crate::result::figure::How::Ratio;
        let nature = Figure::of_name(name).map(Figure::nature);
        let leads = nature.is_some_and(|nature| nature.leads && nature.how == ratio);
        if leads && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.truncate(FIGURES_SHOWN);
    names
}

/// The last run that came to its end, as a multiple of the median of those before it.
fn against_before(runs: &[&HistoryLine], figures: &[&str]) -> Option<TableRow> {
    let done: Vec<&&HistoryLine> = runs.iter().filter(|run| run.came_to_its_end()).collect();
    let (last, before) = done.split_last()?;
    if before.len() < BEFORE_MIN {
        return None;
    }
    let ratio = |name: &&str| {
        let all: Vec<f64> =
            before.iter().filter_map(|run| run.figures.get(*name).copied()).collect();
        let (own, usual) = (last.figures.get(*name)?, stats::median(&all)?);
        (usual > 0.0).then(|| format!("{}×", format_ratio(own / usual)))
    };
    let cells = ["last ÷ median before".to_owned(), String::new()].into_iter();
    let ratios = figures.iter().map(|name| ratio(name).unwrap_or_else(|| "-".to_owned()));
    Some(cells.chain(ratios).collect::<Vec<_>>().into())
}

/// All runs and all figures as CSV: a line a run, a column a figure; empty where a run has none.
pub fn history_csv(runs: &[HistoryLine]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in runs.iter().flat_map(|run| run.figures.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let own = [
        "started_at",
        "profile",
        "plan",
        "kind",
        "status",
        "exit_code",
        "took_s",
        "folder",
        "strom_load_version",
        "server",
        "server_version",
    ];
    let mut out =
        own.iter().chain(&names).map(|name| csv_field(name)).collect::<Vec<_>>().join(",");
    out.push('\n');
    for run in runs {
        let status = serde_json::to_value(run.status).ok();
        let status = status.as_ref().and_then(|own| own.as_str()).unwrap_or_default().to_owned();
        let (exit, took) = (run.exit_code.to_string(), run.took_s.to_string());
        let own = [
            &run.started_at,
            &run.profile,
            &run.plan,
            &run.kind,
            &status,
            &exit,
            &took,
            &run.folder,
            &run.strom_load_version,
            &run.server,
            &run.server_version,
        ];
        let own = own.into_iter().map(|text| csv_field(text));
        let figures = names
            .iter()
            .map(|name| run.figures.get(*name).map_or_else(String::new, ToString::to_string));
        let cells: Vec<String> = own.chain(figures).collect();
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::sample;

    fn runs() -> Vec<HistoryLine> {
        let stream = |place: usize, p99: f64| {
            let mut line = HistoryLine::of(&sample::stream(), &format!("nightly-{place}"));
            line.profile = "nightly".to_owned();
            line.figures.insert("response_p99_ms".to_owned(), p99);
            line
        };
        let mut runs: Vec<HistoryLine> = [10.0, 10.5, 9.9, 55.0, 12.0]
            .iter()
            .enumerate()
            .map(|(at, ms)| stream(at, *ms))
            .collect();
        (runs[3].status, runs[3].exit_code) = (crate::result::Status::Failed, 4);
        runs.insert(1, HistoryLine::of(&sample::benchmark(), "b, \"c\""));
        runs
    }

    #[test]
    fn the_trend_of_each_plan_is_a_table() {
        insta::assert_snapshot!(history_text(&runs()));
        assert_eq!(history_text(&[]), "");
        let many = vec![runs()[0].clone(); 30];
        assert!(history_text(&many).contains("30 runs, 10 runs before these\n"));
    }

    #[test]
    fn the_csv_has_a_line_a_run_and_a_column_a_figure() {
        let csv = history_csv(&runs());
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 7);
        assert!(
            lines[0].starts_with("started_at,profile,plan,kind,status,exit_code,took_s,folder,")
        );
        let column = lines[0].split(',').position(|name| name == "response_p99_ms").unwrap();
        assert_eq!(lines[6].split(',').nth(column), Some("12"));
        assert!(lines[2].contains(",\"b, \"\"c\"\"\",0.0.0,"), "{}", lines[2]);
        let ends: Vec<_> =
            lines[5..=6].iter().map(|line| line.split(',').nth(4).unwrap()).collect();
        assert_eq!(ends, ["failed", "done"]);
    }
}
