//! A sweep's result for people.

use std::fmt::{self, Write as _};

use super::table::{self, Align, TableRow};
use super::{benchmark, gpu, outcome, words};
use crate::quantity::{format_count, format_counted, format_ms, format_ratio};
use crate::result::JobResult;
use crate::result::arm::Gpu;
use crate::result::sweep::{
    Applying, CellReport, SettingReport, SweepQueryReport, SweepReport, SweepRun,
};

/// Combinations whose values are spelled out in a verdict.
const NAMED_MAX: usize = 4;

/// What may be said, most important first.
pub(super) fn verdicts(result: &JobResult, sweep: &SweepReport) -> Vec<String> {
    let mut lines = benchmark::ended_early(result);
    if let Some(error) = &sweep.not_restored {
        let error = words::one_line(error);
        lines.push(format!("THE CONFIGURATION WAS NOT PUT BACK: {error}"));
    }
    lines.extend(sweep.queries.iter().filter_map(|query| wrong(sweep, query)));
    lines.extend(outcome::shortfalls(result));
    lines.extend(outcome::failed_thresholds(result));
    lines.extend(sweep.queries.iter().map(|query| verdict(sweep, query)));
    if !sweep.skipped.is_empty() {
        let names: Vec<&str> = sweep.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
        lines.push(format!("Left out, not on this server: {}", names.join(", ")));
    }
    lines.extend(gpu::who_worked(&result.gpus, result.server.pg_strom_loaded));
    lines
}

fn wrong(sweep: &SweepReport, query: &SweepQueryReport) -> Option<String> {
    let cells = query.combinations.iter().zip(&sweep.combinations);
    let wrong: Vec<String> = cells
        .filter(|(cell, _)| !cell.valid)
        .map(|(_, combination)| spelled(combination))
        .collect();
    let (name, of) = (&query.query, sweep.combinations.len());
    match wrong.len() {
        0 => None,
        count if count <= NAMED_MAX => {
            Some(format!("WRONG ANSWERS, timings invalid: {name} with {}", wrong.join("; ")))
        }
        count => Some(format!("WRONG ANSWERS, timings invalid: {name} with {count} of {of}")),
    }
}

fn verdict(sweep: &SweepReport, query: &SweepQueryReport) -> String {
    let (name, of) = (&query.query, sweep.combinations.len());
    let Some(best) = query.best else {
        if query.combinations.iter().all(|cell| !cell.valid) {
            return format!("{name}: no best one, all answers are wrong");
        }
        return format!("{name}: no best one, fewer than {} rounds of each", query.rounds_min);
    };
    let best_words = spelled(&sweep.combinations[best]);
    let others: Vec<usize> =
        query.may_be_best.iter().copied().filter(|other| *other != best).collect();
    let as_it_is = (0..of).find(|at| is_as_it_is(sweep, *at)).unwrap_or(best);
    // A winner is named only where there is one.
    let least = format!("least time: {best_words}");
    let looks = others.iter().filter(|other| query.combinations[**other].slower_so_far).count();
    let so_far = if looks == 0 { String::new() } else { format!("; {looks} look slower so far") };
    match others.len() {
        0 => format!("{name}: best is {best_words}, alone of {of}"),
        count if count + 1 == of && looks == 0 => {
            format!("{name}: no difference shown between all {of}; {least}")
        }
        _ if best != as_it_is && others.contains(&as_it_is) => {
            format!("{name}: none is shown to be faster than the server as it is; {least}{so_far}")
        }
        count if count <= NAMED_MAX => {
            let others: Vec<String> =
                others.iter().map(|other| spelled(&sweep.combinations[*other])).collect();
            format!("{name}: {least}; not told from it: {}{so_far}", others.join("; "))
        }
        count => format!("{name}: {least}; {count} others of {of} not told from it{so_far}"),
    }
}

/// Whether a combination is what the server had before.
fn is_as_it_is(sweep: &SweepReport, combination: usize) -> bool {
    let own = sweep.combinations[combination].iter().zip(&sweep.settings);
    own.into_iter().all(|(setting, swept)| match (&setting.value, &swept.present) {
        (None, _) => true,
        (Some(value), present) => swept
            .values
            .iter()
            .any(|own| own.written == *value && Some(&own.shown) == present.as_ref()),
    })
}

fn spelled(combination: &[SettingReport]) -> String {
    let set: Vec<String> = combination
        .iter()
        .filter_map(|setting| Some(format!("{} = {}", setting.name, setting.value.as_ref()?)))
        .collect();
    if set.is_empty() { "the server as it is".to_owned() } else { set.join(", ") }
}

/// The sweep as Markdown.
pub(super) fn write_markdown(out: &mut String, result: &JobResult, run: &SweepRun) -> fmt::Result {
    let sweep = &run.sweep;
    writeln!(out)?;
    for line in verdicts(result, sweep) {
        writeln!(out, "- {line}")?;
    }
    writeln!(out, "\n{}\n", benchmark::about(result, false))?;
    writeln!(out, "{}\n", about(sweep))?;
    for query in &sweep.queries {
        writeln!(out, "## {}\n", query.query)?;
        table::markdown_table(out, &rows(sweep, query))?;
        let notes = notes(sweep, query);
        for line in &notes {
            writeln!(out, "- {line}")?;
        }
        if !notes.is_empty() {
            writeln!(out)?;
        }
    }
    outcome::thresholds_markdown(out, result)?;
    let confidence = sweep.queries.first().map_or(0.95, |query| query.confidence) * 100.0;
    writeln!(
        out,
        "Time: the typical one of a combination, with its interval, which is of that combination \
         alone. \"may be best\": no other is shown to be faster; with {confidence:.0} % probability \
         all that are as good as the best are among those, however many combinations there are. Answers are compared with the reference: the server as it \
         is, with the GPU off."
    )
}

/// The same for a terminal.
pub(super) fn write_text(out: &mut String, result: &JobResult, run: &SweepRun) -> fmt::Result {
    let sweep = &run.sweep;
    writeln!(out, "\n{}: {}", result.profile(), benchmark::status(result))?;
    for line in verdicts(result, sweep) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  {}", about(sweep))?;
    for query in &sweep.queries {
        writeln!(out, "\n{}", query.query)?;
        table::text_table(out, &rows(sweep, query), Align::Left)?;
        for line in notes(sweep, query) {
            writeln!(out, "  {line}")?;
        }
    }
    if !result.thresholds.is_empty() {
        writeln!(out)?;
    }
    outcome::thresholds(out, result)
}

fn about(sweep: &SweepReport) -> String {
    let by = |applying: Applying, how: &str| {
        let own = sweep.settings.iter().filter(|swept| swept.applied_by == applying);
        let names: Vec<&str> = own.map(|swept| swept.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} by {how}", names.join(", ")))
    };
    let ways = [
        by(Applying::Set, "SET"),
        by(Applying::Reload, "ALTER SYSTEM and reload"),
        by(Applying::Restart, "restart"),
    ];
    format!(
        "{} ({}), {} of at most {} in random order; {}",
        format_counted(sweep.combinations.len() as u64, "combination", "combinations"),
        sweep.mode,
        format_count(sweep.rounds as u64),
        format_counted(u64::from(sweep.rounds_planned), "round", "rounds"),
        ways.into_iter().flatten().collect::<Vec<_>>().join("; ")
    )
}

/// Best first, its header before.
fn rows(sweep: &SweepReport, query: &SweepQueryReport) -> Vec<TableRow> {
    let mut header: Vec<String> = sweep.settings.iter().map(|swept| swept.name.clone()).collect();
    let own = ["time (interval)", "times best", "may be best", "rounds", "ran on", "answers"];
    header.extend(own.map(str::to_owned));
    let mut order: Vec<usize> = (0..query.combinations.len()).collect();
    let typical = |at: &usize| query.combinations[*at].time_ms().unwrap_or(f64::INFINITY);
    order.sort_by(|one, other| typical(one).total_cmp(&typical(other)));
    let row = |at: usize| {
        let cell = &query.combinations[at];
        let values = sweep.combinations[at].iter().zip(&sweep.settings);
        let mut row: Vec<String> = values
            .map(|(setting, swept)| match (&setting.value, &swept.present) {
                (Some(value), _) => value.clone(),
                (None, Some(present)) => format!("({present})"),
                (None, None) => "(present)".to_owned(),
            })
            .collect();
        row.push(time(cell));
        row.push(cell.times_best.map_or("-".to_owned(), format_ratio));
        let judged = match (query.best == Some(at), query.may_be_best.len()) {
            (true, 1) => "BEST",
            (true, _) => "yes, least",
            (false, _) if cell.may_be_best && cell.slower_so_far => "so far not",
            (false, _) if cell.may_be_best => "yes",
            (false, _) => "no",
        };
        let judged = match cell.time_ms() {
            _ if !cell.valid => "INVALID",
            Some(_) => judged,
            None => "-",
        };
        row.push(judged.to_owned());
        row.push(cell.rounds.to_string());
        row.push(cell.evidence());
        let is_reference =
            cell.gpu != Gpu::On && sweep.combinations[at].iter().all(|own| own.value.is_none());
        row.push(match is_reference {
            true => "reference".to_owned(),
            false => words::answers(&cell.answers),
        });
        row
    };
    std::iter::once(header).chain(order.into_iter().map(row)).map(TableRow::from).collect()
}

fn time(cell: &CellReport) -> String {
    match (cell.time_ms(), cell.interval_ms(), &cell.error) {
        (_, _, Some(error)) if cell.given_up => format!("ERROR {}", error.sqlstate),
        (Some(ms), Some((low, high)), _) => {
            format!("{} ({} - {})", format_ms(ms), format_ms(low), format_ms(high))
        }
        (Some(ms), None, _) => format_ms(ms),
        // Of a wrong answer the times are kept and not shown.
        (None, _, None) if cell.valid => "not measured".to_owned(),
        _ => "-".to_owned(),
    }
}

/// Each error once: combinations tend to fail alike. Of wrong answers the first shows what is wrong.
fn notes(sweep: &SweepReport, query: &SweepQueryReport) -> Vec<String> {
    let name = &query.query;
    let mut said = Vec::new();
    let mut flips = Vec::new();
    for (cell, combination) in query.combinations.iter().zip(&sweep.combinations) {
        if let Some(line) =
            cell.plan.as_ref().and_then(|plan| words::plan_flips(plan).into_iter().next())
        {
            flips.push(format!("{name}, {}: {line}", spelled(combination)));
        }
        let Some(error) = &cell.error else { continue };
        said.push(format!("{name}: failed: {}", words::one_line(&error.message)));
        let why = words::why_silent(cell.gpu, cell.plan.as_ref(), &error.sqlstate);
        said.extend(why.map(|why| format!("{name}: {why}")));
    }
    said.sort();
    said.dedup();
    said.extend(flips);
    let cells = query.combinations.iter().zip(&sweep.combinations);
    let (wrong, right): (Vec<_>, Vec<_>) = cells.partition(|(cell, _)| !cell.valid);
    let uncompared = right.into_iter().find(|(cell, _)| cell.answers.error.is_some());
    for (cell, combination) in wrong.into_iter().take(1).chain(uncompared) {
        let own = spelled(combination);
        let lines = words::differences(["reference", &own].into_iter(), &cell.answers);
        said.extend(lines.into_iter().map(|line| format!("{name}, {own}: {line}")));
    }
    said
}
