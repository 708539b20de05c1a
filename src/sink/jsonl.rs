//! Progress for programs, on stdout: a JSON object a line, one each second. What the job came to is the
//! last one, which the command prints. docs/result.md describes the keys.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::dataset::Stage;
use crate::record::{Interval, Phase, Times};
use crate::result::JobResult;

use super::{Left, Progress, Sink, SinkError, Start};

/// Between two lines where nothing else beats time.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// A line. Each has every key; what is not known, or does not apply, is null.
#[derive(Debug, Default, Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    profile: Option<&'a str>,
    run_id: Option<&'a str>,
    doing: &'a str,
    what: Option<&'a str>,
    at_s: Option<f64>,
    left_s: Option<f64>,
    done: Option<u64>,
    of: Option<u64>,
    rows_due: Option<u64>,
    rows_acknowledged: Option<u64>,
    rows_per_s: Option<f64>,
    target_rows_per_s: Option<f64>,
    backlog_rows: Option<u64>,
    response_p50_ms: Option<f64>,
    response_p99_ms: Option<f64>,
    queries: Option<u64>,
    query_p50_ms: Option<f64>,
    query_p99_ms: Option<f64>,
    errors: Option<u64>,
}

/// Writes progress.
pub(crate) struct Jsonl {
    out: Box<dyn Write + Send>,
    /// Whether nobody reads it any more.
    is_closed: bool,
    /// The profile and the run, once it has begun.
    of: Option<(String, String)>,
    planned: Option<Duration>,
    streams: bool,
    /// Since the start.
    rows: (u64, u64),
    /// What is being done, of a job without a schedule.
    doing: Option<(String, Left)>,
    /// When a line was last written.
    told: Option<Instant>,
}

impl Jsonl {
    /// Progress on stdout.
    pub(crate) fn new() -> Self {
        Self::on(Box::new(io::stdout()))
    }

    fn on(out: Box<dyn Write + Send>) -> Self {
        Self {
            out,
            is_closed: false,
            of: None,
            planned: None,
            streams: false,
            rows: (0, 0),
            doing: None,
            told: None,
        }
    }

    fn write(&mut self, line: &Line<'_>) -> Result<(), SinkError> {
        self.told = Some(Instant::now());
        if self.is_closed {
            return Ok(());
        }
        let (profile, run_id) = self.of.as_ref().map(|(p, r)| (p.as_str(), r.as_str())).unzip();
        let line = Line { kind: "progress", profile, run_id, ..*line };
        let text = serde_json::to_string(&line).map_err(io::Error::from);
        let written = text.and_then(|text| writeln!(self.out, "{text}"));
        match written.and_then(|()| self.out.flush()) {
            // `| head` has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_closed = true,
            written => written.map_err(SinkError::Stdout)?,
        }
        Ok(())
    }

    /// Whether a line is due where nothing else beats time.
    fn is_due(&self) -> bool {
        self.told.is_none_or(|told| told.elapsed() >= LINE_EVERY)
    }

    /// For people, what could not be written is told by the next interval.
    fn tell(&mut self, line: &Line<'_>) {
        if self.is_due() {
            let _ = self.write(line);
        }
    }

    /// What is left of a schedule.
    fn left_s(&self, phase: Phase, now: Duration) -> Option<f64> {
        let planned = self.planned.filter(|_| phase != Phase::Drain)?;
        Some(planned.saturating_sub(now).as_secs_f64())
    }
}

impl Sink for Jsonl {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), SinkError> {
        self.of = Some((start.profile.to_owned(), start.run_id.to_owned()));
        self.planned = start.planned;
        self.streams = start.stream.is_some();
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError> {
        let now = interval.start + interval.length;
        let seconds = interval.length.as_secs_f64().max(1e-9);
        let (mut response, mut query_response) = (Times::default(), Times::default());
        let (mut due, mut acknowledged, mut backlog, mut errors) = (0, 0, 0, 0);
        for lane in &interval.lanes {
            due += lane.rows_due;
            acknowledged += lane.tally.rows_acknowledged;
            backlog += lane.backlog_rows;
            errors += lane.tally.errors.values().sum::<u64>();
            response.merge(&lane.tally.batch.response);
        }
        let mut queries = 0;
        for tally in &interval.queries {
            queries += tally.executions;
            errors += tally.errors.values().sum::<u64>();
            query_response.merge(&tally.times.response);
        }
        self.rows.0 += due;
        self.rows.1 += acknowledged;
        let (response, of_queries) = (response.percentiles(), query_response.percentiles());
        let doing = self.doing.clone();
        let (what, left) = doing.as_ref().map(|(what, left)| (what.as_str(), *left)).unzip();
        let left = left.unwrap_or_default();
        let of_stream = |value: u64| self.streams.then_some(value);
        let line = Line {
            doing: interval.phase.name(),
            what,
            at_s: Some(now.as_secs_f64()),
            left_s: self
                .left_s(interval.phase, now)
                .or_else(|| left.time.map(|time| time.as_secs_f64())),
            done: left.steps.map(|(done, _)| done),
            of: left.steps.map(|(_, of)| of),
            rows_due: of_stream(self.rows.0),
            rows_acknowledged: of_stream(self.rows.1),
            rows_per_s: self.streams.then(|| acknowledged as f64 / seconds),
            target_rows_per_s: interval.target_rows_per_s,
            backlog_rows: of_stream(backlog),
            response_p50_ms: response.map(|of| of.p50_ms),
            response_p99_ms: response.map(|of| of.p99_ms),
            queries: Some(queries),
            query_p50_ms: of_queries.map(|of| of.p50_ms),
            query_p99_ms: of_queries.map(|of| of.p99_ms),
            errors: Some(errors),
            ..Line::default()
        };
        self.write(&line)
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        match *progress {
            Progress::Filling(table, Stage::Loading { rows_done, rows, rows_per_s, left }) => {
                self.tell(&Line {
                    doing: "fill",
                    what: Some(table),
                    left_s: left.map(|left| left.as_secs_f64()),
                    done: Some(rows_done),
                    of: Some(rows),
                    rows_per_s: Some(rows_per_s),
                    ..Line::default()
                });
            }
            Progress::Filling(table, _) => {
                self.tell(&Line { doing: "fill", what: Some(table), ..Line::default() });
            }
            // The next interval tells it.
            Progress::Doing(what, left) => self.doing = Some((what.to_owned(), left)),
            Progress::Ending(what) => {
                self.tell(&Line { doing: "check", what: Some(what), ..Line::default() });
            }
            Progress::Done(_) => {}
        }
    }

    fn finish(self: Box<Self>, _result: &JobResult) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::record::{LaneInterval, ReaderTally, StreamTally};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn second(number: u64) -> Interval {
        let mut tally = StreamTally { rows_acknowledged: 900, ..StreamTally::default() };
        tally.batch.response.record(Duration::from_millis(3));
        Interval {
            start: Duration::from_secs(number),
            length: Duration::from_secs(1),
            phase: Phase::Measure,
            target_rows_per_s: Some(1_000.0),
            lanes: vec![LaneInterval { rows_due: 1_000, backlog_rows: 100, tally }],
            queries: Vec::new(),
            pairs: Vec::new(),
            queries_due: ReaderTally::default(),
            gpus: Vec::new(),
        }
    }

    #[test]
    fn each_second_is_a_line_with_what_is_left() {
        let written = Written::default();
        let mut sink = Jsonl::on(Box::new(written.clone()));
        sink.of = Some(("realtime".to_owned(), "0190-run".to_owned()));
        (sink.planned, sink.streams) = (Some(Duration::from_secs(5)), true);
        sink.interval(&second(0)).unwrap();
        sink.interval(&second(1)).unwrap();
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn who_does_not_read_on_ends_no_run() {
        let mut sink = Jsonl::on(Box::new(Closed));
        sink.interval(&second(0)).unwrap();
        assert!(sink.is_closed);
        sink.interval(&second(1)).unwrap();
    }
}
