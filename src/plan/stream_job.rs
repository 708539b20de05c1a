//! The plan of a stream with all that surrounds it.

use std::time::Duration;

use super::Audit;
use super::fault::suggest;
use super::limits::{Limits, TEN_YEARS_S};
use super::readers::Readers;
use super::recovery::Recovery;
use super::resolver::{Resolver, seconds};
use super::stream::Stream;
use crate::profile::{Changes, Located, Profile, RowChanges};
use crate::row::{Column, Values};

const WARMUP: Limits = Limits {
    default: 2.0,
    min: 0.0,
    max: TEN_YEARS_S,
    is_whole: false,
    range: "0 s to 10 years",
    fix: "choose a time such as 2 s, or 0 for no warm-up",
};
const DURATION: Limits = Limits {
    default: 60.0,
    min: 1e-6,
    max: TEN_YEARS_S,
    is_whole: false,
    range: "1 µs to 10 years",
    fix: "choose a time such as 60 s, or `forever`",
};
const DRAIN_TIMEOUT: Limits = Limits {
    default: 30.0,
    min: 0.0,
    max: 86_400.0,
    is_whole: false,
    range: "0 s to 1 day",
    fix: "choose a time such as 30 s",
};
const ALLOW_DROPPED: Limits = Limits {
    default: 0.0,
    min: 0.0,
    max: 1.0,
    is_whole: false,
    range: "0 to 1",
    fix: "choose a share of the rows due, such as 0.01 in a profile or 1% in --allow-dropped",
};

/// Rows that are streamed into a table, with readers beside.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamJob {
    /// Excluded from the measurement.
    pub warmup: Duration,
    /// Measured time after the warm-up, of all repeats; `None` is forever.
    pub duration: Option<Duration>,
    /// How long overdue batches may still be sent after the end.
    pub drain_timeout: Duration,
    /// The stream.
    pub stream: Stream,
    /// The readers.
    pub readers: Readers,
    /// What they may change of the stream's rows.
    pub row_changes: RowChanges,
    /// What happens at a fault.
    pub recovery: Recovery,
    /// How the rows are checked at the end.
    pub audit: Audit,
    /// Share of the rows due that may be dropped.
    pub allow_dropped: f64,
}

impl StreamJob {
    /// Measured time of one repeat; `None` is forever.
    pub fn repeat_duration(&self) -> Option<Duration> {
        Some(self.duration? / self.readers.repeats.max(1))
    }

    /// Sessions that it needs at once: one a producer and a reader, one that looks at plans and
    /// answers beside readers, and one that controls the run and holds its table.
    pub fn sessions(&self) -> u64 {
        self.loading_sessions() + self.reading_sessions()
    }

    /// Those of them that load, and control the run.
    pub fn loading_sessions(&self) -> u64 {
        u64::from(self.stream.connections.get()) + 1
    }

    /// Those that read, or look at plans and answers beside.
    pub fn reading_sessions(&self) -> u64 {
        let readers = u64::from(self.readers.count);
        readers + u64::from(readers > 0)
    }
}

impl Resolver<'_> {
    pub(super) fn stream_job(&mut self, profile: &mut Profile) -> StreamJob {
        let mut stream = self.stream(profile.stream.get_or_insert_default());
        let duration = self.number_or_word("duration_s", &mut profile.duration_s, &DURATION);
        let mut readers = self.readers(profile);
        if readers.count == 0 {
            readers.repeats = 1;
        }
        let written = profile.readers.as_ref().and_then(|readers| readers.repeats.as_ref());
        if readers.repeats > 1 && duration.is_none() {
            let what = "a measurement that goes on forever is to be repeated".to_owned();
            let fix = "choose how long each repeat takes, such as 60 s, or leave the repeats out";
            self.fault(written, what, fix.to_owned());
        }
        self.check_changes(profile, &stream);
        let row_changes = match &profile.readers {
            Some(written) if readers.count > 0 => written.row_changes(),
            _ => RowChanges::Columns(Vec::new()),
        };
        match &row_changes {
            RowChanges::Columns(columns) => stream.changed.clone_from(columns),
            RowChanges::Rows | RowChanges::Unsaid => stream.loses_rows = true,
        }
        let audit = self.audit(&mut profile.audit, &stream, &row_changes);
        StreamJob {
            warmup: self.time("warmup_s", &mut profile.warmup_s, &WARMUP),
            duration: duration.map(|s| seconds(s) * readers.repeats),
            drain_timeout: self.time(
                "drain_timeout_s",
                &mut profile.drain_timeout_s,
                &DRAIN_TIMEOUT,
            ),
            readers,
            row_changes,
            recovery: self.recovery(profile.recovery.get_or_insert_default(), &stream),
            audit,
            allow_dropped: self.number("allow_dropped", &mut profile.allow_dropped, &ALLOW_DROPPED),
            stream,
        }
    }

    /// Whether what readers change are columns of the stream, by which no row is found again.
    fn check_changes(&mut self, profile: &Profile, stream: &Stream) {
        let queries =
            profile.readers.iter().filter_map(|readers| readers.queries.as_ref()).flatten();
        let written = queries.filter_map(|query| query.changes.as_ref());
        for changes in
            written.filter(|_| !self.report.damaged("stream.columns")).collect::<Vec<_>>()
        {
            let Changes::Columns(names) = &**changes else { continue };
            for name in names {
                let column = stream.columns.iter().find(|column| column.name == *name);
                let finds = |column: &Column| {
                    column.values == Values::Partition || stream.id_column() == Some(column)
                };
                let (what, fix) = match column {
                    None => (
                        format!("`{name}` is no column of the stream"),
                        suggest(name, stream.columns.iter().map(|column| column.name.as_str())),
                    ),
                    Some(column) if finds(column) => (
                        format!(
                            "by `{name}` the audit finds a row again, so nobody else may change it"
                        ),
                        "delete it, or write `changes = \"rows\"`".to_owned(),
                    ),
                    Some(_) => continue,
                };
                self.report.at(&changes.span(), what, fix);
            }
        }
    }

    /// Rows that nothing tells apart cannot be compared with what was sent, nor can those that readers change
    /// in nobody knows what.
    fn audit(
        &mut self,
        value: &mut Option<Located<Audit>>,
        stream: &Stream,
        changes: &RowChanges,
    ) -> Audit {
        let (what, fix) = match changes {
            _ if stream.id_column().is_none() && !self.report.damaged("stream.columns") => (
                "rows that nothing tells apart cannot be read back one by one",
                "choose `count`, or give a column `values = \"row_id\"`",
            ),
            RowChanges::Unsaid => (
                "readers write, and nobody says what they change: rows as sent are not to be expected",
                "choose `count`, or say with each query that writes what it `changes`: columns, or `[]`",
            ),
            RowChanges::Rows => (
                "readers delete or add rows: those that were sent are not all to be expected",
                "choose `count`, or let no query have `changes = \"rows\"`",
            ),
            RowChanges::Columns(_) => return self.choice(value, Audit::Full),
        };
        let audit = self.choice(value, Audit::Count);
        if audit == Audit::Full {
            let written = value.clone();
            self.fault(written.as_ref(), what.to_owned(), fix.to_owned());
        }
        audit
    }
}
