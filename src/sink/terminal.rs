//! Progress for people, on stderr: a block that redraws itself on a terminal, else a plain line
//! every few seconds.

mod filling;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::dataset;
use crate::quantity::{format_count, format_duration, format_rate};
use crate::record::gpu::GpuUsage;
use crate::record::{Interval, Phase, QueryTally, StreamTally, Tally};
use crate::result::JobResult;

use super::{Progress, Sink, SinkError, Start};
pub(crate) use filling::Filling;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Stderr, shared between progress and logs so that neither tears the other.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    bars: MultiProgress,
    live: bool,
}

impl Screen {
    /// Stderr; `live` only if it is a terminal and nobody wants machine-readable logs.
    pub(crate) fn new(plain: bool) -> Self {
        let live = !plain && io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), live }
    }
    /// A message that is redrawn in place, where that can be.
    fn spinner(&self) -> ProgressBar {
        if !self.live {
            return ProgressBar::hidden();
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar
    }

    /// Prints a line, above the block if there is one.
    pub(crate) fn line(&self, text: &str) {
        // Stderr may be closed; then nobody reads progress.
        let _ = if self.live { self.bars.println(text) } else { writeln!(io::stderr(), "{text}") };
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Screen {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LogLine { screen: self, text: Vec::new() }
    }
}

/// One log event on its way to the screen.
pub(crate) struct LogLine<'a> {
    screen: &'a Screen,
    text: Vec<u8>,
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        self.screen.line(String::from_utf8_lossy(&self.text).trim_end());
    }
}

/// Shows progress.
pub(crate) struct Terminal {
    screen: Screen,
    bar: ProgressBar,
    /// While tables are filled.
    filling: Option<Filling>,
    /// When a line about what is being done was last written.
    told: Option<Instant>,
    /// What is done at the end, as it was last told.
    ending: Option<String>,
    /// Whether rows are streamed: they, not words, are the progress then.
    streams: bool,
    target: Option<f64>,
    planned: Option<Duration>,
    drain_timeout: Duration,
    /// When the schedule ended, since its start.
    ended: Option<Duration>,
    queries: Vec<String>,
    /// Those that are compared, and how much longer they take until a verdict.
    compared: Vec<(String, Option<Duration>)>,
    /// Since the last time something was shown.
    period: Period,
    rows_acknowledged: u64,
}

#[derive(Default)]
struct Period {
    length: Duration,
    /// The mean so far.
    target_rows_per_s: Option<f64>,
    stream: StreamTally,
    queries: Vec<QueryTally>,
    gpus: Vec<GpuUsage>,
}

impl Period {
    /// Takes the target of an interval into the mean.
    fn target(&mut self, interval: &Interval) {
        let Some(target) = interval.target_rows_per_s else { return };
        let share =
            interval.length.as_secs_f64() / (self.length + interval.length).as_secs_f64().max(1e-9);
        let own = self.target_rows_per_s.unwrap_or(target);
        self.target_rows_per_s = Some(own + (target - own) * share);
    }
}

impl Terminal {
    /// Progress on `screen`.
    pub(crate) fn new(screen: Screen) -> Self {
        Self {
            screen,
            bar: ProgressBar::hidden(),
            filling: None,
            told: None,
            ending: None,
            streams: false,
            target: None,
            planned: None,
            drain_timeout: Duration::ZERO,
            ended: None,
            queries: Vec::new(),
            compared: Vec::new(),
            period: Period::default(),
            rows_acknowledged: 0,
        }
    }

    /// Progress of what is no job, so that nothing begins it.
    pub(crate) fn begun(screen: Screen) -> Self {
        let bar = screen.spinner();
        let mut terminal = Self::new(screen);
        terminal.bar = bar;
        terminal
    }

    fn show(&mut self, interval: &Interval) {
        let now = interval.start + interval.length;
        let backlog: u64 = interval.lanes.iter().map(|lane| lane.backlog_rows).sum();
        if self.screen.live {
            self.bar.set_message(self.block(interval.phase, now, backlog));
        } else {
            self.screen.line(&self.plain_line(interval.phase, now, backlog));
        }
    }

    fn rate(&self) -> String {
        let seconds = self.period.length.as_secs_f64().max(1e-9);
        let rate =
            format_count((self.period.stream.rows_acknowledged as f64 / seconds).round() as u64);
        match self.target {
            Some(target) => format!("{rate} rows/s of {}", format_count(target.round() as u64)),
            None => format!("{rate} rows/s"),
        }
    }

    fn when(&self, phase: Phase, now: Duration) -> String {
        let whole =
            |d: Duration| format_duration(Duration::from_secs(d.as_secs_f64().round() as u64));
        let phase = match phase {
            Phase::Warmup => "warming up",
            Phase::Measure => "measuring",
            Phase::Drain => {
                let since = now.saturating_sub(self.ended.unwrap_or(now));
                let most = format_duration(self.drain_timeout);
                return format!("draining for {}, {most} at most", whole(since));
            }
        };
        match self.planned {
            Some(planned) => format!("{phase}, {} of {}", whole(now), whole(planned)),
            None => format!("{phase}, {}", whole(now)),
        }
    }

    fn plain_line(&self, phase: Phase, now: Duration, backlog: u64) -> String {
        let mut line = format!("{}: {}", self.when(phase, now), self.rate());
        if let Some(response) = self.period.stream.batch.response.percentiles() {
            let _ =
                write!(line, ", response p50 {} p99 {}", ms(response.p50_ms), ms(response.p99_ms));
        }
        let _ = write!(line, ", backlog {}", format_count(backlog));
        let queries: u64 = self.period.queries.iter().map(|tally| tally.executions).sum();
        if !self.queries.is_empty() {
            let per_s = queries as f64 / self.period.length.as_secs_f64().max(1e-9);
            let _ = write!(line, ", queries {}", format_rate(per_s));
        }
        if let Some(left) = self.verdict_in(phase) {
            let _ = write!(line, ", {left}");
        }
        for gpu in &self.period.gpus {
            if let Some(busy) = busy(gpu) {
                let _ = write!(line, ", GPU {busy}");
            }
        }
        line
    }

    /// The query whose verdict takes longest, as far as that can be said.
    fn verdict_in(&self, phase: Phase) -> Option<String> {
        let left = self.compared.iter().filter_map(|(query, left)| Some(((*left)?, query)));
        let (left, query) = left.max().filter(|_| phase == Phase::Measure)?;
        let left = Duration::from_secs(left.as_secs_f64().ceil() as u64);
        Some(format!("{query}: about {} more for a verdict", format_duration(left)))
    }

    fn block(&self, phase: Phase, now: Duration, backlog: u64) -> String {
        let stream = &self.period.stream;
        let mut text = format!(
            "{}\n  rows      {}, {} acknowledged, backlog {}, {} batches late",
            self.when(phase, now),
            self.rate(),
            format_count(self.rows_acknowledged),
            format_count(backlog),
            format_count(stream.batches_late),
        );
        if let (Some(wait), Some(response)) =
            (stream.batch.wait.percentiles(), stream.batch.response.percentiles())
        {
            let _ = write!(
                text,
                "\n  batches   lateness p50 {} p99 {}, response p50 {} p99 {}",
                ms(wait.p50_ms),
                ms(wait.p99_ms),
                ms(response.p50_ms),
                ms(response.p99_ms)
            );
        }
        let seconds = self.period.length.as_secs_f64().max(1e-9);
        let width = self.queries.iter().map(String::len).max().unwrap_or(0);
        for (name, tally) in self.queries.iter().zip(&self.period.queries) {
            let rate = format_rate(tally.executions as f64 / seconds);
            let _ = write!(text, "\n  query     {name:width$}  {rate:>8}");
            if let Some(response) = tally.times.response.percentiles() {
                let _ = write!(text, "  p99 {}", ms(response.p99_ms));
            }
        }
        if let Some(left) = self.verdict_in(phase) {
            let _ = write!(text, "\n  verdict   {left}");
        }
        for gpu in &self.period.gpus {
            let busy = busy(gpu).unwrap_or_else(|| "does not answer".to_owned());
            let _ = write!(text, "\n  GPU       {busy}");
            if let Some(watts) = gpu.power_watts.mean() {
                let _ = write!(text, ", {watts:.0} W");
            }
        }
        text
    }
}

/// How busy a GPU was.
fn busy(gpu: &GpuUsage) -> Option<String> {
    let (mean, max) = (gpu.utilization_ratio.mean()?, gpu.utilization_ratio.max()?);
    Some(format!("busy {:.0} % (peak {:.0} %)", mean * 100.0, max * 100.0))
}

fn ms(ms: f64) -> String {
    format_duration(Duration::from_nanos((ms * 1e6) as u64))
}

impl Sink for Terminal {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), SinkError> {
        self.filling = None;
        self.streams = start.stream.is_some();
        self.target = start.stream.and_then(|stream| stream.target_rows_per_s);
        self.drain_timeout = start.stream.map(|stream| stream.drain_timeout).unwrap_or_default();
        self.planned = start.planned;
        let names = start.query_arms().map(|(query, arm)| format!("{query} ({arm})"));
        self.queries = names.collect();
        let all = start.queries.iter();
        self.compared = all.map(|query| (query.name.clone(), None)).collect();
        self.bar = self.screen.spinner();
        self.bar.set_message("starting");
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError> {
        self.bar.tick();
        if !self.streams {
            return Ok(());
        }
        if interval.phase == Phase::Drain {
            self.ended.get_or_insert(interval.start);
        }
        self.period.target(interval);
        self.target = self.period.target_rows_per_s.or(self.target);
        self.period.length += interval.length;
        for lane in &interval.lanes {
            self.period.stream.merge(&lane.tally);
            self.rows_acknowledged += lane.tally.rows_acknowledged;
        }
        self.period.queries.resize_with(interval.queries.len(), QueryTally::default);
        for (sum, tally) in self.period.queries.iter_mut().zip(&interval.queries) {
            sum.merge(tally);
        }
        for ((_, left), tally) in self.compared.iter_mut().zip(&interval.pairs) {
            *left = tally.verdict_in;
        }
        self.period.gpus.resize_with(interval.gpus.len(), GpuUsage::default);
        for (sum, tally) in self.period.gpus.iter_mut().zip(&interval.gpus) {
            sum.merge(&tally.usage);
        }
        // On a terminal each interval is drawn; percentiles still cover a whole period, since a
        // p99 of one second is noise.
        let full = self.period.length + Duration::from_millis(500) >= LINE_EVERY;
        // What nobody has planned for is told each second.
        if self.screen.live || full || interval.phase == Phase::Drain {
            self.show(interval);
        }
        if full {
            self.period = Period::default();
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Filling(table, stage) => {
                let filling = self.filling.get_or_insert_with(|| Filling::new(self.screen.clone()));
                dataset::FillProgress::show(filling, table, *stage);
            }
            Progress::Doing(line, _) | Progress::Ending(line) if self.screen.live => {
                self.bar.set_message((*line).to_owned());
                self.bar.tick();
            }
            Progress::Done(line) => self.screen.line(line),
            Progress::Doing(line, _) | Progress::Ending(line) => {
                // What is done at the end is news when it changes.
                let is_news = matches!(progress, Progress::Ending(_))
                    && self.ending.replace((*line).to_owned()).as_deref() != Some(*line);
                if is_news || self.told.is_none_or(|told| told.elapsed() >= LINE_EVERY) {
                    self.told = Some(Instant::now());
                    self.screen.line(line);
                }
            }
        }
    }

    fn finish(self: Box<Self>, _result: &JobResult) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
