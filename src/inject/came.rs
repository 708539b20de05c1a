//! What became of a run among faults, as it is saved.

use crate::record::{LaneAudit, Times};
use crate::result::faults::{FaultKind, FaultsReport, KindReport, MemoryReport, RowsReport};
use crate::result::stream::StreamRun;

use super::Ledger;

/// Makes the report from a run's, and from what was noted beside it.
pub fn came(seed: u64, ledger: &Ledger, error: Option<&String>, run: &StreamRun) -> FaultsReport {
    let book = ledger.take();
    let (mut outages, mut response) = (Times::default(), Times::default());
    let mut faults = Vec::new();
    for (kind, ..) in FaultKind::ALL {
        let (injected, survived) = book.counts(kind);
        let came = book.kinds.get(&kind).cloned().unwrap_or_default();
        outages.merge(&came.outages);
        response.merge(&came.response);
        if injected > 0 {
            let (outages, response) = (&came.outages, &came.response);
            faults.push(kind_report(Some(kind), injected, survived, outages, response));
        }
    }
    let sum = |of: fn(&KindReport) -> u64| faults.iter().map(of).sum();
    let (injected, survived) = (sum(|kind| kind.injected), sum(|kind| kind.survived));
    let stream = &run.stream;
    let found = |of: fn(&LaneAudit) -> u64| {
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
    FaultsReport {
        seed,
        measured_s: run.measured_s,
        all: kind_report(None, injected, survived, &outages, &response),
        faults,
        right: rows.are_right(),
        rows,
        memory: MemoryReport {
            peak_after_1_min_bytes: book.memory_after_a_minute,
            peak_at_end_bytes: book.memory_at_end,
        },
        errors: stream.errors.clone(),
        error: error.cloned(),
        audit: stream.audit.clone(),
    }
}

fn kind_report(
    kind: Option<FaultKind>,
    injected: u64,
    survived: u64,
    outages: &Times,
    response: &Times,
) -> KindReport {
    let recovery = outages.percentiles();
    let slowest_batch_ms = response.percentiles().map(|response| response.max_ms);
    KindReport { kind, injected, survived, recovery, slowest_batch_ms }
}
