//! A stream, for people.

mod queries;

use std::fmt::Write as _;

use crate::quantity::{format_count, format_ms, format_rate, format_seconds};
use crate::record::{LaneAudit, Percentile, Percentiles, Ranges};

use super::latency;
use super::table::{Align, TableRow, text_table};
use super::{gpu, outcome, words};
use crate::result::RowChanges;
use crate::result::stream::{StreamReport, StreamRun};
use crate::result::{JobResult, Status};

/// CPU time of the checks after a run that is worth a line.
const CHECK_CPU_SHOWN_S: f64 = 1.0;
/// Ranges of wrong rows that are shown for each kind; the result file has all.
const RANGES_SHOWN: usize = 5;

/// Clocks that were set, one by one; the result file has all.
const CLOCK_STEPS_SHOWN: usize = 3;

/// What is not known of rows without an identity.
const NO_IDENTITY: &str = "            rows have no identity: that each is there once rests on its transaction's fate \
    alone; whether\n            one was altered, or lost while another was doubled, is not known, and rows of others count too\n";
/// What is shown of each of the clocks.
const SHOWN: [Percentile; 5] =
    [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::P999, Percentile::Max];

/// The summary, plain text, one screen.
pub(super) fn write(out: &mut String, result: &JobResult, run: &StreamRun) -> std::fmt::Result {
    head(out, result, run)?;
    stream(out, result, run)?;
    queries::due(out, run.queries_due.as_ref())?;
    queries::freshness(out, run)?;
    queries::pauses(out, result)?;
    queries::executions(out, &run.queries)?;
    queries::comparisons(out, &run.comparisons)?;
    let queried = run.readers.server_or(&result.server);
    gpu::summary(out, &result.gpus, queried.pg_strom_loaded)?;
    ending(out, result, run)
}

/// That the response times are the loader's and not the server's, if they are.
fn own_delay(run: &StreamRun) -> Option<String> {
    let (own, response) = (run.loader.own_delay?, run.stream.response?);
    // A percentile of too few is named nowhere.
    let is_known = Percentile::P99.is_known(response.count);
    let percentile = if is_known { Percentile::P99 } else { Percentile::Max };
    let [of, part] = [&response, &own].map(|times| format_ms(percentile.ms(times)));
    let what = match is_known {
        true => format!("the response p99 of {of}: its own part is {part} at p99"),
        false => format!("the longest response of {of}: its own part is up to {part}"),
    };
    let what = format!("OWN DELAY: the loader or its machine, not the server, explains {what}");
    run.loader.late_by.is_own().then_some(what)
}

fn head(out: &mut String, report: &JobResult, run: &StreamRun) -> std::fmt::Result {
    let status = outcome::status(report);
    let measured = format_seconds(run.measured_s);
    writeln!(out, "\n{}: {status}, {measured} measured", report.profile())?;
    outcome::shortfalls(report).try_for_each(|line| writeln!(out, "{line}"))?;
    outcome::failed_thresholds(report).try_for_each(|line| writeln!(out, "{line}"))?;
    if let Some(line) = own_delay(run) {
        writeln!(out, "{line}")?;
    }
    let server = &report.server;
    let kind = if server.embedded { ", embedded" } else { "" };
    let version = &server.facts.version;
    writeln!(out, "server      PostgreSQL {version}{kind}, {}", strom(server.pg_strom_loaded))?;
    let setting = |name: &str| {
        let value = server.facts.settings.get(name);
        format!("{name}={}", value.map_or("?", String::as_str))
    };
    let shown = ["fsync", "synchronous_commit", "shared_buffers", "max_wal_size"];
    writeln!(out, "            {}", shown.map(setting).join(" "))?;
    if let Some(capabilities) = &server.capabilities {
        writeln!(out, "            can: {capabilities}")?;
    }
    if server.facts.clock.is_far_off() {
        writeln!(out, "            ITS CLOCK IS {}", server.facts.clock)?;
    }
    for step in run.clock_steps.iter().take(CLOCK_STEPS_SHOWN) {
        writeln!(out, "            CLOCK SET: {step}")?;
    }
    if let Some(more) = run.clock_steps.len().checked_sub(CLOCK_STEPS_SHOWN).filter(|n| *n > 0) {
        writeln!(out, "            CLOCK SET: {more} times more")?;
    }
    if let Some(why) = run.stream.owner.as_ref().and_then(|owner| owner.lock_alone.as_ref()) {
        writeln!(out, "owner       by lock alone: {}", words::one_line(why))?;
        writeln!(
            out,
            "            a run that comes and goes while this one has lost all its sessions is not \
             noticed"
        )?;
    }
    Ok(())
}

/// What a server has of PG-Strom.
fn strom(loaded: bool) -> &'static str {
    if loaded { "PG-Strom loaded" } else { "no PG-Strom, CPU only" }
}

/// The rate that random arrivals made of the target, in rows per second.
pub(super) fn due_at_random(result: &JobResult, stream: &StreamReport) -> Option<f64> {
    let arrival = result.plan.stream.as_ref()?.arrival.as_ref()?;
    let seconds = stream.measured.scheduled_s.filter(|seconds| *seconds > 0.0)?;
    (arrival.name() == "poisson").then(|| stream.measured.rows_due as f64 / seconds)
}

fn stream(out: &mut String, result: &JobResult, run: &StreamRun) -> std::fmt::Result {
    let stream = &run.stream;
    let achieved = format_rate(stream.achieved_rows_per_s);
    match stream.target_rows_per_s {
        _ if result.measured_too_little() => {
            writeln!(out, "throughput  too little was measured")?;
        }
        Some(target) => {
            let target = format_count(target);
            let kept = stream.measured.rate_ratio.map(|ratio| format!(" ({:.2} %)", ratio * 100.0));
            let kept = kept.unwrap_or_default();
            match due_at_random(result, stream) {
                Some(due) => writeln!(
                    out,
                    "throughput  {achieved} of {} that fell due{kept}; {target}/s on average",
                    format_rate(due)
                )?,
                None => writeln!(out, "throughput  {achieved} of {target}/s{kept}")?,
            }
        }
        None => writeln!(out, "throughput  {achieved}, unthrottled")?,
    }
    writeln!(
        out,
        "rows        {} due, {} sent, {} acknowledged, {} dropped (warm-up included)",
        format_count(stream.rows_due),
        format_count(stream.rows_sent),
        format_count(stream.rows_acknowledged),
        format_count(stream.rows_dropped)
    )?;
    found(out, result, run)?;
    writeln!(
        out,
        "batches     {} committed, {} sent late (over 1 ms), {} of COPY data",
        format_count(stream.batches),
        format_count(stream.batches_late),
        mib(stream.copy_bytes)
    )?;
    if stream.batches_sync_unconfirmed > 0 {
        writeln!(
            out,
            "            {} of these no synchronous standby is known to have: the wait was cancelled, or \
             its end not heard",
            format_count(stream.batches_sync_unconfirmed)
        )?;
    }
    for (code, count) in &stream.errors {
        writeln!(out, "errors      SQLSTATE {code}: {}", format_count(*count))?;
    }
    if let Some(recovery) = &stream.recovery {
        writeln!(
            out,
            "outages     {}, {} batches sent again; back after {} (p50), {} at most",
            format_count(recovery.count),
            format_count(stream.batches_resent),
            format_ms(recovery.p50_ms),
            format_ms(recovery.max_ms)
        )?;
    }
    if stream.outages_unrecovered > 0 {
        let label = if stream.recovery.is_some() { "" } else { "outages" };
        let count = format_count(stream.outages_unrecovered);
        let end = if result.error.is_some() { "ended the run" } else { "lasted to the end" };
        writeln!(out, "{label:12}{count} {end}")?;
    }
    writeln!(out)?;
    let header = std::iter::once("latency").chain(SHOWN.map(Percentile::name)).map(str::to_owned);
    let mut rows = vec![TableRow::from(header.collect::<Vec<_>>())];
    let open = stream.target_rows_per_s.is_some();
    if open {
        rows.push(row("wait (due → sent)", stream.wait.as_ref()));
    }
    rows.push(row("service (sent → ack)", stream.service.as_ref()));
    if open {
        rows.push(row("response (due → ack)", stream.response.as_ref()));
        rows.push(row("  our own delay in it", run.loader.own_delay.as_ref()));
        rows.push(row("row (own due → ack)", stream.row_latency.as_ref()));
    }
    text_table(out, &rows, Align::Right(1, 5))?;
    if let Some(given_up) = stream.row_latency.map(|of| of.censored).filter(|rows| *rows > 0) {
        let rows = format_count(given_up);
        writeln!(
            out,
            "≥: {rows} rows that were due in the measurement were given up, and count with their age"
        )?;
    }
    Ok(())
}

fn found(out: &mut String, report: &JobResult, run: &StreamRun) -> std::fmt::Result {
    let stream = &run.stream;
    if stream.rows_undecided > 0 {
        let rows = format_count(stream.rows_undecided);
        writeln!(out, "            {rows} undecided: sent, and their fate could not be found out")?;
    }
    let Some(rows) = stream.rows_found else {
        let unsaid = match report.status {
            Status::Running if report.asks_for_audit() => "the run has not ended",
            _ => "switched off",
        };
        let why = stream.not_checked.as_deref().unwrap_or(unsaid);
        return writeln!(out, "            not checked: {}", words::one_line(why));
    };
    let (found, rows) = (rows, format_count(rows));
    let writers = report.writing_readers();
    let who = match writers.is_empty() || report.rows_add_up() {
        true => String::new(),
        false => may_have_written(&writers),
    };
    let Some(audit) = &stream.audit else {
        let verdict = match report.rows_add_up() {
            true if !report.is_due_count(found) => {
                "not as acknowledged, by what readers write or not"
            }
            true => "as acknowledged",
            false => "THE COUNT IS WRONG",
        };
        writeln!(out, "            {rows} counted by SQL: {verdict}")?;
        out.push_str(&unproven(&report.row_changes(), &writers));
        if !report.tells_rows_apart() {
            out.push_str(NO_IDENTITY);
        }
        return out.write_str(&who);
    };
    if report.rows_add_up() {
        writeln!(out, "            {rows} read back: each acknowledged row is there as sent")?;
        out.push_str(&left_out(&report.row_changes()));
    } else {
        writeln!(out, "            {rows} read back: THE TABLE IS NOT WHAT WAS SENT")?;
    }
    for lane in audit {
        differences(out, lane, ids(run, lane).as_ref())?;
    }
    out.write_str(&who)
}

/// What a count does not prove where readers write.
fn unproven(changes: &RowChanges, writers: &[&str]) -> String {
    let writers = writers.join(", ");
    match changes {
        RowChanges::Columns(_) => String::new(),
        RowChanges::Rows => format!(
            "            readers delete or add rows ({writers}): that each acknowledged row was there as sent is not \
             known\n"
        ),
        RowChanges::Unsaid => format!(
            "            readers write ({writers}), and nobody says what: that each row is as sent is not known; \
             `changes` in\n            the profile says it, and has the rest proven\n"
        ),
    }
}

/// The columns that were not compared, as readers may change them; nothing if there are none.
pub fn left_out(changes: &RowChanges) -> String {
    match changes {
        RowChanges::Columns(columns) if !columns.is_empty() => format!(
            "            but for the columns that readers may change: {}\n",
            columns.join(", ")
        ),
        _ => String::new(),
    }
}

/// Who may have changed the rows beside the producers, as far as the run itself knows.
pub fn may_have_written(queries: &[&str]) -> String {
    format!("            the readers may write and may have changed them: {}\n", queries.join(", "))
}

/// The ids of a lane's rows.
#[derive(Debug, Clone)]
pub struct RowIds {
    /// The number of its first row.
    pub first_id: i64,
    /// How far it is from there to that of the next.
    pub id_step: u32,
    /// What an id is, as [`PartitionReport::id_form`] has it; `None`: the number.
    ///
    /// [`PartitionReport::id_form`]: crate::result::stream::PartitionReport::id_form
    pub id_form: Option<String>,
}

impl RowIds {
    /// The id of the lane's row `sequence`.
    fn of(&self, sequence: u64) -> String {
        let row = sequence.saturating_mul(self.id_step.into());
        let number = self.first_id.saturating_add_unsigned(row);
        let Some(form) = &self.id_form else { return number.to_string() };
        match form.strip_suffix("{row_id:x}") {
            Some(run) => format!("{run}{number:012x}"),
            None => form.replace("{row_id}", &number.to_string()),
        }
    }
}

/// The ids of the rows of a lane.
pub(super) fn ids(run: &StreamRun, lane: &LaneAudit) -> Option<RowIds> {
    let own = run.stream.partitions.iter().find(|own| own.number() == lane.number());
    own.map(|own| RowIds {
        first_id: own.first_id,
        id_step: own.id_step,
        id_form: own.id_form.clone(),
    })
}

/// The wrong rows of a lane, a line a kind, with their ids if they are known; nothing if there are none.
pub fn differences(out: &mut String, audit: &LaneAudit, ids: Option<&RowIds>) -> std::fmt::Result {
    let lane = match ids {
        Some(ids) if ids.id_step > 1 => format!("lane {}", audit.number()),
        _ => format!("partition {}", audit.partition),
    };
    let kinds = [
        ("lost", &audit.lost),
        ("doubled", &audit.doubled),
        ("altered", &audit.altered),
        ("unexpected", &audit.unexpected),
    ];
    for (kind, ranges) in kinds.iter().filter(|(_, ranges)| !ranges.is_empty()) {
        let (rows, shown) = (format_count(ranges.rows()), shown(ranges, ids));
        writeln!(out, "            {lane}: {rows} {kind}, first rows {shown}")?;
    }
    Ok(())
}

/// The first of several ranges of rows, counted from 0, and their ids if they are known.
pub fn shown(ranges: &Ranges, ids: Option<&RowIds>) -> String {
    let listed = |of: &dyn Fn(u64) -> String| {
        let first = ranges.iter().take(RANGES_SHOWN);
        let first = first.map(|range| format!("{}..={}", of(range.first), of(range.last)));
        first.collect::<Vec<String>>().join(", ")
    };
    let rows = listed(&|row| row.to_string());
    let Some(of) = ids else { return rows };
    let ids = listed(&|row| of.of(row));
    let each = if of.id_step > 1 { format!(", {} apart", of.id_step) } else { String::new() };
    format!("{rows} (ids {ids}{each})")
}

fn row(name: &str, times: Option<&Percentiles>) -> TableRow {
    let cells = std::iter::once(name.to_owned()).chain(latency::cells(times, &SHOWN)).collect();
    TableRow { cells, notes: latency::intervals(times, &SHOWN).into_iter().collect() }
}

fn ending(out: &mut String, report: &JobResult, run: &StreamRun) -> std::fmt::Result {
    let loader = &run.loader;
    match report.measured_too_little() {
        true => writeln!(out, "\nbottleneck  not known: too little was measured")?,
        false => {
            let who = words::who(loader.bottleneck);
            writeln!(out, "\nbottleneck  {who}: {}", loader.reason)?;
        }
    }
    writeln!(
        out,
        "loader      {:.1} % of the machine's CPU, {} of memory at most",
        loader.cpu_ratio * 100.0,
        mib(loader.resident_peak_bytes)
    )?;
    if loader.check_cpu_s >= CHECK_CPU_SHOWN_S {
        let check = format_seconds(loader.check_cpu_s);
        writeln!(
            out,
            "            {check} of CPU time more to compare answers and read rows back"
        )?;
    }
    outcome::thresholds(out, report)?;
    if let Some(error) = &report.error {
        writeln!(out, "error       {}", error.replace('\n', "\n            "))?;
    }
    Ok(())
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
