//! `latency.hlog`: an HDR interval log (V2) with one tag a clock, readable by the Java tools of
//! HdrHistogram.
//!
//! A run of days would fill the disk with seconds that nobody looks at any more, so the log is
//! rolled up now and then: older lines of a tag are merged into one for ten seconds or a minute.
//! Histograms add up, so nothing is lost but the second in which a value came. The new file is
//! written a slice each tick beside the old one, which goes on to grow meanwhile, and takes its
//! place in one step: a crash at any moment leaves a whole log.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use crate::record::Times;

pub(super) const LATENCY_LOG: &str = "latency.hlog";
const ROLLING: &str = "latency.hlog.new";

/// Lines that end before this much time ago are merged into windows of that length.
const WINDOWS: [(Duration, Duration); 2] = [
    (Duration::from_secs(24 * 3600), Duration::from_secs(60)),
    (Duration::from_secs(3600), Duration::from_secs(10)),
];
/// Windows are merged whole, so what is "so much time ago" goes in steps of the longest one.
const STEP: Duration = Duration::from_secs(60);
/// From the end of a roll-up to the beginning of the next.
const ROLL_UP_EVERY: Duration = Duration::from_secs(1800);
/// Bytes of the old file that are rolled up in a tick: the engine waits for it, so it must be done
/// within milliseconds.
const SLICE_BYTES: usize = 512 * 1024;

/// A line of the log before it is encoded.
pub(super) struct Line<'a> {
    pub(super) start: Duration,
    pub(super) length: Duration,
    pub(super) tag: &'a str,
    pub(super) times: &'a Times,
}

/// Writes the log.
pub(super) struct LatencyLog {
    folder: PathBuf,
    file: File,
    serializer: V2DeflateSerializer,
    /// When the next roll-up begins, since the start of the schedule.
    roll_up_at: Duration,
    roll_up: Option<RollUp>,
}

impl LatencyLog {
    /// Creates it in a folder.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            file: File::create(folder.join(LATENCY_LOG))?,
            serializer: V2DeflateSerializer::new(),
            roll_up_at: WINDOWS[1].0 + ROLL_UP_EVERY,
            roll_up: None,
        })
    }

    /// Writes its head. Times of lines count from `start`.
    pub(super) fn begin(&mut self, start: SystemTime) -> io::Result<()> {
        let mut builder = IntervalLogWriterBuilder::new();
        builder.add_comment("strom-load; values are nanoseconds").with_start_time(start);
        builder.with_base_time(start).with_max_value_divisor(MAX_DIVISOR);
        let mut head = Vec::new();
        builder.begin_log_with(&mut head, &mut self.serializer)?;
        self.file.write_all(&head)
    }

    /// Appends what has a value, and goes on with a roll-up if one is due. `now` is the time since
    /// the start of the schedule.
    pub(super) fn write(&mut self, now: Duration, lines: &[Line<'_>]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            if let Some(histogram) = line.times.as_histogram() {
                let at = (line.start, line.length);
                encode(&mut text, &mut self.serializer, line.tag, at, histogram)?;
            }
        }
        self.file.write_all(&text)?;
        if let Err(error) = self.advance(now) {
            // The log is whole as it is, only longer.
            tracing::warn!("{LATENCY_LOG} was not rolled up: {error}");
            self.give_up(now);
        }
        Ok(())
    }

    /// Makes it last.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.give_up(Duration::MAX);
        self.file.sync_all()
    }

    fn advance(&mut self, now: Duration) -> io::Result<()> {
        if self.roll_up.is_none() && now >= self.roll_up_at {
            self.roll_up = Some(RollUp::begin(&self.folder, now)?);
        }
        let Some(roll_up) = &mut self.roll_up else { return Ok(()) };
        if !roll_up.slice(&mut self.serializer)? {
            return Ok(());
        }
        if let Some(roll_up) = self.roll_up.take() {
            self.file = roll_up.replace(&self.folder)?;
        }
        self.roll_up_at = now + ROLL_UP_EVERY;
        Ok(())
    }

    fn give_up(&mut self, now: Duration) {
        if self.roll_up.take().is_some() {
            // Best effort: it holds nothing that is not in the log.
            let _ = fs::remove_file(self.folder.join(ROLLING));
        }
        self.roll_up_at = now.saturating_add(ROLL_UP_EVERY);
    }
}

/// The column of maxima is for people: milliseconds.
const MAX_DIVISOR: f64 = 1e6;

/// Adds a line.
fn encode(
    to: &mut Vec<u8>,
    serializer: &mut V2DeflateSerializer,
    tag: &str,
    (start, length): (Duration, Duration),
    histogram: &Histogram<u64>,
) -> io::Result<()> {
    // The writer of the library borrows its output and begins with a note on the divisor, which
    // the log has at its head.
    let mut text = Vec::new();
    let mut builder = IntervalLogWriterBuilder::new();
    let mut writer =
        builder.with_max_value_divisor(MAX_DIVISOR).begin_log_with(&mut text, serializer)?;
    writer.write_histogram(histogram, start, length, Tag::new(tag)).map_err(other)?;
    let note_end = text.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    to.extend_from_slice(&text[note_end..]);
    Ok(())
}

fn other(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

/// A new log under way.
struct RollUp {
    old: BufReader<File>,
    new: BufWriter<File>,
    /// When it began, since the start of the schedule.
    now: Duration,
    window: Window,
}

/// Lines that become one for each tag, as they stand in the old log.
#[derive(Default)]
struct Window {
    /// Its length and its number, which tell it from others.
    key: Option<(Duration, u128)>,
    lines: Vec<String>,
}

impl RollUp {
    fn begin(folder: &Path, now: Duration) -> io::Result<Self> {
        Ok(Self {
            old: BufReader::new(File::open(folder.join(LATENCY_LOG))?),
            new: BufWriter::new(File::create(folder.join(ROLLING))?),
            now,
            window: Window::default(),
        })
    }

    /// Does a part of the work; whether that was the last.
    fn slice(&mut self, serializer: &mut V2DeflateSerializer) -> io::Result<bool> {
        let mut left = SLICE_BYTES;
        while left > 0 {
            let mut line = String::new();
            let bytes = self.old.read_line(&mut line)?;
            if bytes == 0 {
                self.window.flush(&mut self.new, serializer)?;
                return Ok(true);
            }
            left = left.saturating_sub(bytes);
            let key = parse(&line).and_then(|entry| window_of(entry.start_timestamp(), self.now));
            if key.is_none() || key != self.window.key {
                self.window.flush(&mut self.new, serializer)?;
            }
            if key.is_some() {
                self.window.key = key;
                self.window.lines.push(line);
            } else {
                self.new.write_all(line.as_bytes())?;
            }
        }
        Ok(false)
    }

    /// Puts the new log in the place of the old one; returns it, open at its end.
    fn replace(self, folder: &Path) -> io::Result<File> {
        let file = self.new.into_inner()?;
        file.sync_all()?;
        fs::rename(folder.join(ROLLING), folder.join(LATENCY_LOG))?;
        Ok(file)
    }
}

impl Window {
    /// Writes a line for each tag, and is empty again.
    fn flush(
        &mut self,
        to: &mut impl Write,
        serializer: &mut V2DeflateSerializer,
    ) -> io::Result<()> {
        self.key = None;
        let lines = std::mem::take(&mut self.lines);
        let mut merged: Vec<Merged<'_>> = Vec::new();
        for line in &lines {
            // What could not be parsed has no window.
            let Some(entry) = parse(line) else { continue };
            let tag = entry.tag().map_or("", |tag| tag.as_str());
            match merged.iter_mut().find(|merged| merged.tag == tag) {
                Some(merged) => merged.add(&entry)?,
                None => merged.push(Merged { tag, line, first: entry, sum: None }),
            }
        }
        let mut text = Vec::new();
        for Merged { tag, line, first, sum } in merged {
            match sum {
                // Alone in its window, as what was rolled up before: it is as it was.
                None => text.extend_from_slice(line.as_bytes()),
                Some((histogram, end)) => {
                    let start = first.start_timestamp();
                    let at = (start, end.saturating_sub(start));
                    encode(&mut text, serializer, tag, at, &histogram)?;
                }
            }
        }
        to.write_all(&text)
    }
}

/// The lines of a tag in a window.
struct Merged<'a> {
    tag: &'a str,
    /// The first of them.
    line: &'a str,
    first: IntervalLogHistogram<'a>,
    /// All of them and when they end, if there is more than one.
    sum: Option<(Histogram<u64>, Duration)>,
}

impl Merged<'_> {
    fn add(&mut self, entry: &IntervalLogHistogram<'_>) -> io::Result<()> {
        let (sum, end) = match &mut self.sum {
            Some(sum) => sum,
            None => {
                let mut sum = decode(&self.first)?;
                // Grows with its largest value, as those of `Times` do.
                sum.auto(true);
                self.sum.insert((sum, Duration::ZERO))
            }
        };
        sum.add(decode(entry)?).map_err(other)?;
        *end = entry.start_timestamp() + entry.duration();
        Ok(())
    }
}

fn parse(line: &str) -> Option<IntervalLogHistogram<'_>> {
    match IntervalLogIterator::new(line.as_bytes()).next()? {
        Ok(LogEntry::Interval(entry)) => Some(entry),
        _ => None,
    }
}

fn decode(entry: &IntervalLogHistogram<'_>) -> io::Result<Histogram<u64>> {
    let bytes = BASE64.decode(entry.encoded_histogram()).map_err(other)?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(other)
}

/// The window that a line from `start` belongs to at the time `now`; none: it stays as it is.
fn window_of(start: Duration, now: Duration) -> Option<(Duration, u128)> {
    WINDOWS.into_iter().find_map(|(age, length)| {
        let limit = now.checked_sub(age)?.as_nanos() / STEP.as_nanos() * STEP.as_nanos();
        (start.as_nanos() < limit).then(|| (length, start.as_nanos() / length.as_nanos()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log holds: each line's start and length, and the sum of all histograms.
    fn read(folder: &Path) -> (Vec<(Duration, Duration)>, Histogram<u64>) {
        let text = fs::read(folder.join(LATENCY_LOG)).unwrap();
        let mut sum = Histogram::new(3).unwrap();
        let mut lines = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            if let LogEntry::Interval(entry) = entry.unwrap() {
                lines.push((entry.start_timestamp(), entry.duration()));
                sum.add(decode(&entry).unwrap()).unwrap();
            }
        }
        (lines, sum)
    }

    /// The duration that a tick records, in many sizes.
    fn value(tick: u64) -> Duration {
        Duration::from_micros(200 + tick * 7_919 % 9_000)
    }

    fn feed(log: &mut LatencyLog, ticks: std::ops::Range<u64>, length: Duration) {
        for tick in ticks {
            let mut times = Times::default();
            (0..5).for_each(|number| times.record(value(tick * 5 + number)));
            let start = length * tick as u32;
            log.write(start + length, &[Line { start, length, tag: "response", times: &times }])
                .unwrap();
        }
    }

    /// What a log must hold that so many ticks were fed to.
    fn fed(ticks: u64) -> Histogram<u64> {
        let mut all = Histogram::new(3).unwrap();
        (0..ticks * 5).for_each(|number| all.record(value(number).as_nanos() as u64).unwrap());
        all
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_day_and_an_hour_stay_small_and_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LatencyLog::create(folder.path()).unwrap();
        log.begin(SystemTime::UNIX_EPOCH).unwrap();
        // Ticks as of a busy machine: with those of a second the test takes five times as long.
        let tick = 5 * SECOND;
        let ticks = 25 * 3600 / 5;
        feed(&mut log, 0..ticks, tick);
        log.finish().unwrap();
        let (lines, sum) = read(folder.path());
        assert_eq!(sum, fed(ticks));
        let mut end = Duration::ZERO;
        for (start, length) in &lines {
            assert_eq!(*start, end, "lines follow each other");
            end = *start + *length;
        }
        assert_eq!(end, tick * ticks as u32);
        let (ten, minute, hour) = (10 * SECOND, 60 * SECOND, 3600 * SECOND);
        let day = 24 * hour;
        // What came since the last roll-up is not rolled up yet.
        let lag = ROLL_UP_EVERY + 2 * minute;
        for (start, length) in &lines {
            let age = end.saturating_sub(*start);
            assert!(age > hour || *length == tick, "{age:?} ago: {length:?}");
            assert!(age > day || *length <= ten, "{age:?} ago: {length:?}");
            assert!(age < hour + lag || *length >= ten, "{age:?} ago: {length:?}");
            assert!(age < day + lag || *length == minute, "{age:?} ago: {length:?}");
        }
        // As many as its ages may have, with those since the last roll-up.
        let most = (hour + lag).as_secs() / 5 + day.as_secs() / 10 + (hour + lag).as_secs() / 60;
        assert!((lines.len() as u64) <= most, "{}", lines.len());
        let bytes = fs::metadata(folder.path().join(LATENCY_LOG)).unwrap().len();
        assert!(bytes < 300 * most, "{bytes}");
        assert!(!folder.path().join(ROLLING).exists());
    }

    #[test]
    fn a_crash_in_a_roll_up_leaves_a_whole_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LatencyLog::create(folder.path()).unwrap();
        log.begin(SystemTime::UNIX_EPOCH).unwrap();
        let begins = (WINDOWS[1].0 + ROLL_UP_EVERY).as_secs();
        feed(&mut log, 0..begins, SECOND);
        assert!(folder.path().join(ROLLING).exists(), "it rolls up");
        // In the middle of it, and at each tick of its last part.
        for tick in begins..begins + 5 {
            let (_, sum) = read(folder.path());
            assert_eq!(sum, fed(tick));
            feed(&mut log, tick..tick + 1, SECOND);
        }
        assert!(!folder.path().join(ROLLING).exists(), "it is done");
        let (lines, sum) = read(folder.path());
        assert_eq!(sum, fed(begins + 5));
        assert!((lines.len() as u64) < begins, "{}", lines.len());
    }

    #[test]
    fn a_roll_up_that_fails_costs_nothing_but_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LatencyLog::create(folder.path()).unwrap();
        log.begin(SystemTime::UNIX_EPOCH).unwrap();
        // Where the new log shall be, a folder is in the way.
        fs::create_dir(folder.path().join(ROLLING)).unwrap();
        let ticks = (WINDOWS[1].0 + ROLL_UP_EVERY).as_secs() / 5 + 10;
        feed(&mut log, 0..ticks, 5 * SECOND);
        log.finish().unwrap();
        let (lines, sum) = read(folder.path());
        assert_eq!((lines.len() as u64, sum), (ticks, fed(ticks)));
    }

    #[test]
    fn each_tag_is_merged_by_itself_and_gaps_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LatencyLog::create(folder.path()).unwrap();
        log.begin(SystemTime::UNIX_EPOCH).unwrap();
        let times = |count| {
            let mut times = Times::default();
            times.record_n(Duration::from_millis(1), count);
            times
        };
        for tick in [0, 3, 7, 12] {
            let (start, row) = (SECOND * tick, times(1));
            let mut lines = vec![Line { start, length: SECOND, tag: "wait", times: &row }];
            let query = times(2);
            if tick == 7 {
                lines.push(Line { start, length: SECOND, tag: "query.a.on", times: &query });
            }
            log.write(start + SECOND, &lines).unwrap();
        }
        for tick in 0..3 {
            log.write(Duration::from_secs(3 * 3600 + tick), &[]).unwrap();
        }
        let text = fs::read_to_string(folder.path().join(LATENCY_LOG)).unwrap();
        let heads: Vec<&str> =
            text.lines().map(|line| line.split(",HIST").next().unwrap()).collect();
        insta::assert_snapshot!(heads.join("\n"), @r"
        #strom-load; values are nanoseconds
        #[StartTime: 0.000 (seconds since epoch)]
        #[BaseTime: 0.000 (seconds since epoch)]
        #[MaxValueDivisor: 1000000.000]
        Tag=wait,0.000,8.000,1.000
        Tag=query.a.on,7.000,1.000,1.000
        Tag=wait,12.000,1.000,1.000
        ");
    }
}
