//! What a run among faults came to: for people, and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::quantity::{format_count, format_duration};
use crate::record::{PartitionAudit, Percentiles, Times};
use crate::report::{RunReport, differences};

use super::{Kind, Ledger};

/// A run among faults.
#[derive(Debug, Clone, Serialize)]
pub struct FaultsReport {
    /// What places, kinds and pauses were drawn from.
    pub seed: u64,
    /// Measured time, in seconds.
    pub measured_s: f64,
    /// Each kind that was made.
    pub faults: Vec<KindReport>,
    /// All of them together.
    pub all: KindReport,
    /// What became of the rows.
    pub rows: RowsReport,
    /// Greatest memory of the loader (VmHWM).
    pub memory: MemoryReport,
    /// Errors of the producers by SQLSTATE.
    pub errors: std::collections::BTreeMap<String, u64>,
    /// What ended the run early, if anything did.
    pub error: Option<String>,
    /// Whether every row was read back, and none is lost, doubled, altered, unexpected or
    /// undecided.
    pub right: bool,
    /// What the audit found, by partition.
    pub audit: Option<Vec<PartitionAudit>>,
}

/// The faults of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    /// The kind; none for all together.
    pub kind: Option<Kind>,
    /// How many there were.
    pub injected: u64,
    /// After how many of them rows were acknowledged again in every partition.
    pub survived: u64,
    /// The producers' outages: from the first failure to the next success.
    pub recovery: Option<Percentiles>,
    /// Response time of the slowest batch, in milliseconds.
    pub slowest_batch_ms: Option<f64>,
}

/// What became of the rows of a run.
#[derive(Debug, Clone, Serialize)]
pub struct RowsReport {
    /// Due.
    pub due: u64,
    /// Confirmed by the server, or found in the table afterwards.
    pub acknowledged: u64,
    /// Acknowledged, and not in the table; none if it was not read back.
    pub lost: Option<u64>,
    /// In the table more than once.
    pub doubled: Option<u64>,
    /// In the table with other values.
    pub altered: Option<u64>,
    /// In the table, though dropped or never sent.
    pub unexpected: Option<u64>,
    /// Sent, and nobody can tell.
    pub undecided: u64,
    /// Given up: the backlog was full, or the run over.
    pub dropped: u64,
}

/// Memory of the loader.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MemoryReport {
    /// Its peak in the first minute; none for a run that was shorter.
    pub peak_after_1_min_bytes: Option<u64>,
    /// Its peak until the schedule had ended, before the audit.
    pub peak_at_end_bytes: u64,
}

impl FaultsReport {
    /// Makes the report from a run's, and from what was noted beside it.
    pub fn new(seed: u64, ledger: &Ledger, run: &RunReport) -> Self {
        let book = ledger.take();
        let (mut outages, mut response) = (Times::default(), Times::default());
        let mut faults = Vec::new();
        for (kind, ..) in Kind::ALL {
            let (injected, survived) = book.counts(kind);
            let came = book.kinds.get(&kind).cloned().unwrap_or_default();
            outages.merge(&came.outages);
            response.merge(&came.response);
            if injected > 0 {
                let (outages, response) = (&came.outages, &came.response);
                faults.push(KindReport::new(Some(kind), injected, survived, outages, response));
            }
        }
        let sum = |of: fn(&KindReport) -> u64| faults.iter().map(of).sum();
        let (injected, survived) = (sum(|kind| kind.injected), sum(|kind| kind.survived));
        let stream = &run.stream;
        let found = |of: fn(&PartitionAudit) -> u64| {
            stream.audit.as_ref().map(|audit| audit.iter().map(of).sum::<u64>())
        };
        let rows = RowsReport {
            due: stream.rows_due,
            acknowledged: stream.rows_acknowledged,
            lost: found(|partition| partition.lost.rows()),
            doubled: found(|partition| partition.doubled.rows()),
            altered: found(|partition| partition.altered.rows()),
            unexpected: found(|partition| partition.unexpected.rows()),
            undecided: stream.rows_undecided,
            dropped: stream.rows_dropped,
        };
        Self {
            seed,
            measured_s: run.measured_s,
            all: KindReport::new(None, injected, survived, &outages, &response),
            faults,
            right: rows.are_right(),
            rows,
            memory: MemoryReport {
                peak_after_1_min_bytes: book.memory_after_a_minute,
                peak_at_end_bytes: book.memory_at_end,
            },
            errors: stream.errors.clone(),
            error: run.error.clone(),
            audit: stream.audit.clone(),
        }
    }

    /// Whether the audit found the table other than it should be.
    pub fn is_wrong(&self) -> bool {
        self.rows.lost.is_some() && !self.right
    }

    /// The report as text, plain, one screen.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let measured = format_duration(Duration::from_secs_f64(self.measured_s));
        writeln!(out, "\nfaults: {measured} measured, seed {}\n", self.seed)?;
        writeln!(
            out,
            "{:20}{:>9}{:>9}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "fault", "injected", "survived", "outages", "p50", "p90", "p99", "max", "slowest"
        )?;
        self.faults.iter().chain([&self.all]).try_for_each(|kind| kind.write(out))?;
        writeln!(
            out,
            "\noutage: of a producer, from the first failure to the next success\n\
             slowest: batch, from due to acknowledged\n"
        )?;
        let RowsReport { due, acknowledged, undecided, dropped, .. } = &self.rows;
        let [due, acknowledged, undecided, dropped] =
            [due, acknowledged, undecided, dropped].map(|rows| format_count(*rows));
        writeln!(out, "rows        {due} due, {acknowledged} acknowledged, {dropped} dropped")?;
        let rows = &self.rows;
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
        for (number, partition) in self.audit.iter().flatten().enumerate() {
            differences(out, number, partition)?;
        }
        let errors = self.errors.iter().map(|(code, n)| format!("{} × {code}", format_count(*n)));
        let errors: Vec<String> = errors.collect();
        if !errors.is_empty() {
            writeln!(out, "errors      {}", errors.join(", "))?;
        }
        let end = self.memory.peak_at_end_bytes;
        match self.memory.peak_after_1_min_bytes {
            Some(minute) if minute > 0 => writeln!(
                out,
                "memory      {} at most after 1 minute, {} at the end ({:.2} ×)",
                mib(minute),
                mib(end),
                end as f64 / minute as f64
            )?,
            _ => writeln!(out, "memory      {} at most", mib(end))?,
        }
        if let Some(error) = &self.error {
            writeln!(out, "error       {}", error.replace('\n', "\n            "))?;
        }
        let verdict = match (self.right, self.rows.lost) {
            (true, _) => "each acknowledged row is there once, as sent, and no other",
            (false, Some(_)) => "THE TABLE IS NOT WHAT WAS SENT",
            (false, None) => "unknown: the table was not read back",
        };
        writeln!(out, "verdict     {verdict}")
    }
}

impl KindReport {
    fn new(
        kind: Option<Kind>,
        injected: u64,
        survived: u64,
        outages: &Times,
        response: &Times,
    ) -> Self {
        let recovery = outages.percentiles();
        let slowest_batch_ms = response.percentiles().map(|response| response.max_ms);
        Self { kind, injected, survived, recovery, slowest_batch_ms }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let name = self.kind.map_or("all", Kind::name);
        write!(out, "{name:20}{:>9}{:>9}", self.injected, self.survived)?;
        match &self.recovery {
            Some(p) => {
                write!(out, "{:>9}", p.count)?;
                let shown = [p.p50_ms, p.p90_ms, p.p99_ms, p.max_ms];
                shown.iter().try_for_each(|ms| write!(out, "{:>10}", format_ms(*ms)))?;
            }
            None => write!(out, "{:>9}{:>10}{:>10}{:>10}{:>10}", 0, "-", "-", "-", "-")?,
        }
        let slowest = self.slowest_batch_ms.map_or_else(|| "-".to_owned(), format_ms);
        writeln!(out, "{slowest:>10}")
    }
}

impl RowsReport {
    fn are_right(&self) -> bool {
        let found = [self.lost, self.doubled, self.altered, self.unexpected];
        found.iter().all(|rows| *rows == Some(0)) && self.undecided == 0
    }
}

fn format_ms(ms: f64) -> String {
    format_duration(Duration::from_nanos((ms * 1e6).round() as u64))
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(ms: &[u64]) -> Times {
        let mut times = Times::default();
        ms.iter().for_each(|ms| times.record(Duration::from_millis(*ms)));
        times
    }

    fn report(rows: RowsReport) -> FaultsReport {
        let of = |kind, injected, outages: &[u64]| {
            KindReport::new(kind, injected, injected, &times(outages), &times(&[4, 3_200]))
        };
        FaultsReport {
            seed: 7,
            measured_s: 600.0,
            faults: vec![
                of(Some(Kind::ServerKilled), 11, &[900, 1_100, 3_000]),
                of(Some(Kind::TableLocked), 12, &[]),
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

    #[test]
    fn a_table_for_people() {
        insta::assert_snapshot!(report(rows()).render());
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
                report.render().contains("verdict     THE TABLE") || report.rows.lost.is_none()
            );
        }
    }
}
