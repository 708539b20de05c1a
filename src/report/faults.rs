//! What a run among faults came to, for people.

use std::fmt::Write as _;

use super::latency;
use super::outcome;
use super::stream::{differences, ids};
use super::table::{Align, TableRow, text_table};
use crate::quantity::{format_count, format_ms, format_seconds};
use crate::record::Percentile;
use crate::result::JobResult;
use crate::result::faults::{FaultKind, FaultsReport, KindReport, RowsReport};

/// The faults of a run, plain text, one screen.
pub(super) fn write(
    out: &mut String,
    result: &JobResult,
    faults: &FaultsReport,
) -> std::fmt::Result {
    let measured = format_seconds(faults.measured_s);
    let status = outcome::status(result);
    writeln!(out, "\nfaults: {status}, {measured} measured, seed {}", faults.seed)?;
    outcome::shortfalls(result).try_for_each(|line| writeln!(out, "{line}"))?;
    outcome::failed_thresholds(result).try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out)?;
    let header =
        ["fault", "injected", "survived", "outages", "p50", "p90", "p99", "max", "slowest"];
    let kinds = faults.faults.iter().chain([&faults.all]).map(kind_row);
    let rows: Vec<TableRow> =
        std::iter::once(header.map(str::to_owned).to_vec().into()).chain(kinds).collect();
    text_table(out, &rows, Align::Right(1, header.len()))?;
    writeln!(
        out,
        "\noutage: of a producer, from the first failure to the next success\n\
             slowest: batch, from due to acknowledged\n"
    )?;
    let RowsReport { due, acknowledged, undecided, dropped, .. } = &faults.rows;
    let [due, acknowledged, undecided, dropped] =
        [due, acknowledged, undecided, dropped].map(|rows| format_count(*rows));
    writeln!(out, "rows        {due} due, {acknowledged} acknowledged, {dropped} dropped")?;
    let rows = &faults.rows;
    match (rows.lost, rows.doubled, rows.altered, rows.unexpected) {
        (Some(lost), Some(doubled), Some(altered), Some(unexpected)) => {
            let [lost, doubled, altered, unexpected] =
                [lost, doubled, altered, unexpected].map(format_count);
            writeln!(
                out,
                "            {lost} lost, {doubled} doubled, {altered} altered, {unexpected} \
                     unexpected, {undecided} undecided"
            )?;
        }
        _ => writeln!(out, "            {undecided} undecided; the table was not read back")?,
    }
    for lane in faults.audit.iter().flatten() {
        let ids = result.stream().and_then(|run| ids(run, lane));
        differences(out, lane, ids.as_ref())?;
    }
    let errors = faults.errors.iter().map(|(code, n)| format!("{} × {code}", format_count(*n)));
    let errors: Vec<String> = errors.collect();
    if !errors.is_empty() {
        writeln!(out, "errors      {}", errors.join(", "))?;
    }
    let end = faults.memory.peak_at_end_bytes;
    match faults.memory.peak_after_1_min_bytes {
        Some(minute) if minute > 0 => writeln!(
            out,
            "memory      {} at most after 1 minute, {} at the end ({:.2} ×)",
            mib(minute),
            mib(end),
            end as f64 / minute as f64
        )?,
        _ => writeln!(out, "memory      {} at most", mib(end))?,
    }
    if let Some(error) = &faults.error {
        writeln!(out, "error       {}", error.replace('\n', "\n            "))?;
    }
    outcome::thresholds(out, result)?;
    writeln!(out, "verdict     {}", verdict(faults))
}

/// What the audit says of the rows.
fn verdict(faults: &FaultsReport) -> &'static str {
    match (faults.right, faults.rows.lost) {
        (true, _) if faults.all.injected == 0 => {
            "each acknowledged row is there once; no fault was made, so this proves nothing"
        }
        (true, _) => "each acknowledged row is there once, as sent, and no other",
        (false, Some(_)) => "THE TABLE IS NOT WHAT WAS SENT",
        (false, None) => "unknown: the table was not read back",
    }
}

fn kind_row(kind: &KindReport) -> TableRow {
    let name = kind.kind.map_or("all", FaultKind::name).to_owned();
    let mut cells = vec![name, format_count(kind.injected), format_count(kind.survived)];
    match &kind.recovery {
        Some(p) => {
            cells.push(format_count(p.count));
            let shown = [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::Max];
            cells.extend(latency::cells(Some(p), &shown));
        }
        None => cells.extend(["0", "-", "-", "-", "-"].map(str::to_owned)),
    }
    cells.push(kind.slowest_batch_ms.map_or_else(|| "-".to_owned(), format_ms));
    cells.into()
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Times;
    use crate::result::faults::MemoryReport;
    use crate::result::sample;

    fn times(ms: &[u64]) -> Times {
        let mut times = Times::default();
        ms.iter().for_each(|ms| times.record(Duration::from_millis(*ms)));
        times
    }

    fn report(rows: RowsReport) -> FaultsReport {
        let of = |kind, injected, outages: &[u64]| {
            let slowest_batch_ms = times(&[4, 3_200]).percentiles().map(|batch| batch.max_ms);
            let recovery = times(outages).percentiles();
            KindReport { kind, injected, survived: injected, recovery, slowest_batch_ms }
        };
        FaultsReport {
            seed: 7,
            measured_s: 600.0,
            faults: vec![
                of(Some(FaultKind::ServerKilled), 11, &[900, 1_100, 3_000]),
                of(Some(FaultKind::TableLocked), 12, &[]),
            ],
            all: of(None, 23, &[900, 1_100, 3_000]),
            right: rows.are_right(),
            rows,
            memory: MemoryReport {
                peak_after_1_min_bytes: Some(14 << 20),
                peak_at_end_bytes: 15 << 20,
            },
            errors: [("57P01".to_owned(), 12), ("57P03".to_owned(), 1_234)].into(),
            error: None,
            audit: None,
        }
    }

    fn rows() -> RowsReport {
        RowsReport {
            due: 1_800_000,
            acknowledged: 1_800_000,
            lost: Some(0),
            doubled: Some(0),
            altered: Some(0),
            unexpected: Some(0),
            undecided: 0,
            dropped: 0,
        }
    }

    fn render(report: &FaultsReport) -> String {
        let mut out = String::new();
        write(&mut out, &sample::faults(), report).unwrap();
        out
    }

    #[test]
    fn a_table_for_people() {
        insta::assert_snapshot!(render(&report(rows())));
    }

    #[test]
    fn nothing_but_a_full_audit_without_findings_is_right() {
        assert!(report(rows()).right);
        let spoilt: [fn(&mut RowsReport); 5] = [
            |rows| rows.lost = Some(1),
            |rows| rows.lost = None,
            |rows| rows.doubled = Some(1),
            |rows| rows.altered = Some(1),
            |rows| rows.undecided = 1,
        ];
        for spoil in spoilt {
            let mut rows = rows();
            spoil(&mut rows);
            let report = report(rows);
            assert!(!report.right);
            assert!(
                render(&report).contains("verdict     THE TABLE") || report.rows.lost.is_none()
            );
        }
    }
}
