//! `latency.hlog`, read back: for each clock how many batches took how long, over time.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::io::BufRead;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::{Decompress, FlushDecompress, Status};

use super::lines::{Lines, Taken};

/// Rows of a heat map for each factor of ten.
pub const ROWS_PER_DECADE: usize = 20;
/// Finer ones, of which percentiles are made: each is 1.2 % wide.
const FINE_PER_DECADE: f64 = 200.0;
/// Clocks that are read, as the log names them.
const TAGS: [&str; 4] = ["response", "wait", "service", "own_delay"];
/// Windows that are kept of a clock; where there are twice as many, neighbours become one. So a log of
/// any length takes little memory.
const WINDOWS_MAX: usize = 1024;

/// What one clock showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clock {
    /// Its name in the log.
    pub tag: String,
    /// What it showed in each window, by time.
    pub windows: Vec<Window>,
}

/// How long things took in a window of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// When it began, in seconds since the start of the schedule.
    pub start_s: f64,
    /// When it ended.
    pub end_s: f64,
    /// Fine rows with how many lie in each, ascending.
    counts: Vec<(i32, u64)>,
}

impl Window {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The duration at a quantile in milliseconds, to about 1 %; `None` without any.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let wanted = (self.count() as f64 * quantile).ceil().max(1.0) as u64;
        let mut below = 0;
        let found = self.counts.iter().find(|(_, count)| {
            below += count;
            below >= wanted
        });
        found.map(|(row, _)| 10_f64.powf((f64::from(*row) + 0.5) / FINE_PER_DECADE) / 1e6)
    }

    /// The rows of a heat map, counted from 1 ns on, with how many lie in each.
    pub fn rows(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let fine = FINE_PER_DECADE as i32 / ROWS_PER_DECADE as i32;
        self.counts.iter().map(move |(row, count)| (row.div_euclid(fine), *count))
    }

    /// All of them as one.
    pub fn merged<W: Borrow<Self>>(all: &[W]) -> Self {
        let mut own = Self { start_s: f64::INFINITY, end_s: f64::NEG_INFINITY, counts: Vec::new() };
        let (mut low, mut high) = (i32::MAX, i32::MIN);
        for window in all.iter().map(W::borrow) {
            own.start_s = own.start_s.min(window.start_s);
            own.end_s = own.end_s.max(window.end_s);
            if let [(first, _), ..] = window.counts[..] {
                low = low.min(first);
                high = high.max(window.counts.last().map_or(first, |(last, _)| *last));
            }
        }
        if low > high {
            return own;
        }
        let place = |row: i32| usize::try_from(row - low).unwrap_or(0);
        let mut rows = vec![0_u64; place(high) + 1];
        for (row, count) in all.iter().flat_map(|window| &window.borrow().counts) {
            rows[place(*row)] += count;
        }
        own.counts.reserve_exact(rows.iter().filter(|count| **count > 0).count());
        own.counts.extend((low..).zip(rows).filter(|(_, count)| *count > 0));
        own
    }
}

/// The windows of a clock, as they come.
struct Kept {
    windows: Vec<Window>,
    /// Lines of the log that become one window.
    each: usize,
    /// Those that are no window yet.
    next: Vec<Window>,
}

impl Kept {
    fn push(&mut self, window: Window) {
        self.next.push(window);
        if self.next.len() == self.each {
            self.close();
        }
        if self.windows.len() == 2 * WINDOWS_MAX {
            self.windows = self.windows.chunks(2).map(Window::merged).collect();
            self.each *= 2;
        }
    }

    fn close(&mut self) {
        match &self.next[..] {
            [] => {}
            [_] => self.windows.append(&mut self.next),
            several => self.windows.push(Window::merged(several)),
        }
        self.next.clear();
    }

    /// All of them, by time.
    fn end(mut self) -> Vec<Window> {
        self.close();
        self.windows.sort_by(|one, other| one.start_s.total_cmp(&other.start_s));
        self.windows
    }
}

/// Reads all that can be read.
pub(super) fn read(mut text: impl BufRead) -> (Vec<Clock>, Lines) {
    let mut clocks = TAGS.map(|_| Kept { windows: Vec::new(), each: 1, next: Vec::new() });
    let mut seen = TAGS.map(|_| HashSet::new());
    let mut decoder = Decoder::new();
    let mut line = Vec::new();
    let mut lines = Lines::default();
    while matches!(text.read_until(b'\n', &mut line), Ok(bytes) if bytes > 0) {
        if line.last() != Some(&b'\n') {
            lines.cut_off = true;
            break;
        }
        if let Some(at) = clock_of(&line) {
            lines.note(match window(&line, &mut decoder) {
                None => Taken::Bad,
                Some(window) if seen[at].insert(window.start_s.to_bits()) => {
                    clocks[at].push(window);
                    Taken::Whole
                }
                Some(_) => Taken::Again,
            });
        }
        line.clear();
    }
    let clocks = TAGS.into_iter().zip(clocks);
    let clocks = clocks
        .map(|(tag, kept)| Clock { tag: tag.to_owned(), windows: kept.end() })
        .filter(|clock| !clock.windows.is_empty());
    (clocks.collect(), lines)
}

/// The clock that a line is of.
fn clock_of(line: &[u8]) -> Option<usize> {
    let line = line.strip_prefix(b"Tag=")?;
    let is_of =
        |tag: &str| line.strip_prefix(tag.as_bytes()).is_some_and(|rest| rest.starts_with(b","));
    // Most lines are of queries: they are passed over as early as can be.
    TAGS.iter().position(|tag| is_of(tag))
}

/// The window of a line of a clock: `Tag=wait,0.000,1.004,9.224,HISTF…`.
fn window(line: &[u8], decoder: &mut Decoder) -> Option<Window> {
    let mut fields = std::str::from_utf8(line).ok()?.trim_end().splitn(5, ',').skip(1);
    let start_s: f64 = fields.next()?.parse().ok()?;
    let length_s: f64 = fields.next()?.parse().ok()?;
    let counts = decoder.decode(fields.nth(1)?)?;
    let known = start_s.is_finite() && length_s.is_finite() && length_s >= 0.0;
    known.then_some(Window { start_s, end_s: start_s + length_s, counts })
}

/// Length of the head of a V2 histogram.
const HEAD_BYTES: usize = 40;
/// What a V2 histogram opens with, and in its compressed form.
const COOKIES: (u32, u32) = (0x1c84_9303, 0x1c84_9304);
/// The bits of a cookie that name the format; the others are the width of its words.
const COOKIE_MASK: u32 = !0xf0;
/// Largest histogram that is read: 2⁴² ns to three digits take less.
const BYTES_MAX: usize = 1 << 20;
/// Doublings of a histogram whose places are known: it ends far above the longest that is recorded.
const DOUBLINGS: u64 = 40;

/// Reads compressed V2 histograms of HdrHistogram, one after the other.
///
/// The library's reader makes a histogram of every bucket there could be, which takes ten times as long:
/// a log of a day has some ten thousand lines for each clock. What one line needs, the next one takes
/// over.
struct Decoder {
    inflate: Decompress,
    bytes: Vec<u8>,
    /// Room for the largest histogram.
    raw: Vec<u8>,
    /// Counts by fine rows.
    counts: Vec<(i32, u64)>,
    /// The fine row of each place of a histogram.
    rows: Vec<i32>,
}

impl Decoder {
    fn new() -> Self {
        let rows = (0..(DOUBLINGS + 1) << 10)
            .map(|place| (middle_of(place).max(1.0).log10() * FINE_PER_DECADE).floor() as i32);
        Self {
            inflate: Decompress::new(true),
            bytes: Vec::new(),
            raw: vec![0; BYTES_MAX],
            counts: Vec::new(),
            rows: rows.collect(),
        }
    }

    /// The counts of a histogram, by fine rows.
    fn decode(&mut self, text: &str) -> Option<Vec<(i32, u64)>> {
        self.bytes.clear();
        BASE64.decode_vec(text, &mut self.bytes).ok()?;
        let word = |bytes: &[u8], at: usize| -> Option<u32> {
            Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        (word(&self.bytes, 0)? & COOKIE_MASK == COOKIES.1 & COOKIE_MASK).then_some(())?;
        self.inflate.reset(true);
        let packed = self.bytes.get(8..)?;
        let status = self.inflate.decompress(packed, &mut self.raw, FlushDecompress::Finish);
        (status.ok()? == Status::StreamEnd).then_some(())?;
        let raw = self.raw.get(..usize::try_from(self.inflate.total_out()).ok()?)?;
        (word(raw, 0)? & COOKIE_MASK == COOKIES.0 & COOKIE_MASK).then_some(())?;
        // Three significant digits from 1 on: 2,048 values to begin with, then 1,024 for each doubling.
        let (digits, least) = (word(raw, 12)?, word(raw, 20)?);
        (digits == 3 && least == 1).then_some(())?;
        let mut words = raw.get(HEAD_BYTES..)?.iter();
        self.counts.clear();
        let mut place = 0_usize;
        while let Some(number) = zigzag(&mut words) {
            if number < 0 {
                place = place.checked_add(usize::try_from(number.unsigned_abs()).ok()?)?;
                continue;
            }
            let row = *self.rows.get(place)?;
            place += 1;
            if number == 0 {
                continue;
            }
            match self.counts.last_mut() {
                Some((last, count)) if *last == row => *count += number.unsigned_abs(),
                _ => self.counts.push((row, number.unsigned_abs())),
            }
        }
        (!self.counts.is_empty()).then(|| self.counts.clone())
    }
}

/// The middle of the values that are counted at a place.
fn middle_of(place: u64) -> f64 {
    let doubling = (place >> 10).saturating_sub(1);
    let within = if place < 2048 { place } else { (place & 1023) + 1024 };
    (within as f64 + 0.5) * 2_f64.powi(doubling as i32) - 0.5
}

/// A number of seven bits a byte, the sign in its lowest bit; the ninth byte has eight.
fn zigzag(bytes: &mut std::slice::Iter<'_, u8>) -> Option<i64> {
    let mut value = 0_u64;
    for place in 0..9 {
        let byte = u64::from(*bytes.next()?);
        let (bits, more) = if place == 8 { (byte, false) } else { (byte & 0x7f, byte > 0x7f) };
        value |= bits << (7 * place);
        if !more {
            break;
        }
    }
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
    use proptest::prelude::*;

    use super::*;
    use crate::record::Times;

    fn line(tag: &str, start_s: f64, times: &Times) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(times.as_histogram().unwrap(), &mut bytes).unwrap();
        format!("Tag={tag},{start_s:.3},1.000,9.224,{}\n", BASE64.encode(bytes))
    }

    #[test]
    fn what_is_no_line_of_a_clock_is_left_out() {
        let mut times = Times::default();
        times.record_n(Duration::from_millis(3), 7);
        let whole = line("wait", 0.0, &times);
        let text = format!(
            "#comment\n{whole}{whole}{}Tag=wait,1,1,1,HISTF\n{}{}",
            line("query.newest.cpu", 0.0, &times),
            line("response", 1.0, &times),
            &whole[..whole.len() / 2]
        );
        let (clocks, lines) = read(text.as_bytes());
        assert_eq!(lines, Lines { bad: 1, again: 1, cut_off: true });
        let tags: Vec<_> = clocks.iter().map(|clock| clock.tag.as_str()).collect();
        assert_eq!(tags, ["response", "wait"]);
        assert_eq!(clocks[0].windows.len(), 1);
        assert_eq!(clocks[0].windows[0].count(), 7);
        assert!((clocks[0].windows[0].end_s - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_log_of_any_length_takes_few_windows_of_one_length_and_loses_none() {
        let mut times = Times::default();
        times.record_n(Duration::from_millis(3), 7);
        let count = 5 * WINDOWS_MAX + 3;
        let first = line("wait", 0.0, &times);
        let text: String =
            (0..count).map(|at| first.replace("wait,0.000", &format!("wait,{at}"))).collect();
        let (clocks, lines) = read(text.as_bytes());
        assert!(lines.are_whole());
        let windows = &clocks[0].windows;
        assert!((WINDOWS_MAX..2 * WINDOWS_MAX).contains(&windows.len()), "{}", windows.len());
        assert_eq!(windows.iter().map(Window::count).sum::<u64>(), 7 * count as u64);
        for (at, window) in windows.iter().enumerate() {
            let next_s = windows.get(at + 1).map_or(count as f64, |next| next.start_s);
            assert!((window.end_s - next_s).abs() < 1e-9);
            assert!((window.end_s - window.start_s - 4.0).abs() < 1e-9 || at + 1 == windows.len());
        }
        assert!(Window::merged::<Window>(&[]).counts.is_empty());
    }

    proptest! {
        #[test]
        fn counts_and_percentiles_are_those_of_the_histogram(
            all in proptest::collection::vec((1_u64..3_000_000_000, 1_u64..90), 1..60),
        ) {
            let mut times = Times::default();
            all.iter().for_each(|(ns, n)| times.record_n(Duration::from_nanos(*ns), *n));
            let (clocks, _) = read(line("service", 0.0, &times).as_bytes());
            let window = &clocks[0].windows[0];
            prop_assert_eq!(window.count(), times.count());
            for quantile in [0.5, 0.99, 1.0] {
                let own = window.quantile_ms(quantile).unwrap();
                let true_ms = times.quantile(quantile).unwrap().as_secs_f64() * 1e3;
                prop_assert!((own / true_ms - 1.0).abs() < 0.015 || (own - true_ms).abs() < 2e-6);
            }
            let both = Window::merged(&[window, window]);
            prop_assert!((both.end_s - window.end_s).abs() + (both.start_s - window.start_s).abs() < 1e-9);
            prop_assert_eq!(both.count(), 2 * times.count());
            prop_assert_eq!(both.rows().map(|(_, count)| count).sum::<u64>(), both.count());
        }

        #[test]
        fn no_text_panics(texts in proptest::collection::vec(".{0,80}", 1..20)) {
            let mut decoder = Decoder::new();
            for text in texts {
                let _ = window(format!("Tag=wait,0,1,2,{text}").as_bytes(), &mut decoder);
            }
        }
    }
}
