//! Progress of tables that are being filled: one line that redraws itself on a terminal, else a
//! plain line every few seconds and at every change.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::dataset::{self, Estimate, Prepared, Stage};
use crate::quantity::{format_bytes, format_count, format_duration};

use super::{LINE_EVERY, Screen};

/// Shows how tables are filled.
pub(crate) struct Filling {
    screen: Screen,
    bar: ProgressBar,
    /// When the last plain line was written, and about what.
    last: Mutex<Option<(Instant, String)>>,
}

impl Filling {
    /// Progress on `screen`.
    pub(crate) fn new(screen: Screen) -> Self {
        Self { bar: screen.spinner(), screen, last: Mutex::new(None) }
    }

    /// Whether a plain line is due: at once where `what` is new, else every few seconds.
    fn is_due(&self, what: String) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let waits =
            |(when, before): &(Instant, String)| *before == what && when.elapsed() < LINE_EVERY;
        if last.as_ref().is_some_and(waits) {
            return false;
        }
        *last = Some((Instant::now(), what));
        true
    }
}

impl dataset::FillProgress for Filling {
    fn show(&self, table: &str, stage: Stage<'_>) {
        // These stay on the screen.
        match stage {
            Stage::Ready(prepared) => return self.screen.line(&done(prepared)),
            Stage::Begins(_) => return self.screen.line(&format!("{table}: {}", doing(stage))),
            _ => {}
        }
        let line = format!("{table}: {}", doing(stage));
        if self.screen.live {
            self.bar.set_message(line);
            self.bar.tick();
            return;
        }
        let what = match stage {
            Stage::Loading { .. } => format!("{table}: loading"),
            _ => line.clone(),
        };
        if self.is_due(what) {
            self.screen.line(&line);
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn doing(stage: Stage<'_>) -> String {
    match stage {
        Stage::Begins(estimate) => begins(estimate),
        Stage::Loading { rows_done, rows, rows_per_s, left } => {
            let percent = rows_done as f64 / rows as f64 * 100.0;
            let left = left.map(|left| format!(", {} left", seconds(left.as_secs_f64())));
            format!(
                "{} of {} rows ({percent:.0} %), {} rows/s{}",
                format_count(rows_done),
                format_count(rows),
                format_count(rows_per_s.round() as u64),
                left.unwrap_or_default()
            )
        }
        Stage::Working(what) => what.to_owned(),
        Stage::Ready(prepared) => done(prepared),
    }
}

/// Slowest and fastest that a table was seen to be filled, in bytes of it.
const SLOW_BYTES_PER_S: f64 = 20e6;
const FAST_BYTES_PER_S: f64 = 200e6;

fn begins(estimate: &Estimate) -> String {
    let Estimate { rows, table_bytes, index_bytes, uncounted, free_bytes } = estimate;
    let mut line =
        format!("{} rows to load, about {}", format_count(*rows), format_bytes(*table_bytes));
    // Writing to a String cannot fail.
    if *index_bytes > 0 {
        let _ = write!(line, " and {} of indexes", format_bytes(*index_bytes));
    }
    if !uncounted.is_empty() {
        let _ = write!(line, " ({} not counted)", uncounted.join(", "));
    }
    match free_bytes {
        Some(free) => {
            let _ = write!(line, "; {} free on the server's disk", format_bytes(*free));
        }
        None => line.push_str("; the server's disk is not visible from here"),
    }
    let bytes = (table_bytes + index_bytes) as f64;
    let (least, most) = (bytes / FAST_BYTES_PER_S, bytes / SLOW_BYTES_PER_S);
    if most < 1.0 {
        line.push_str("; takes about a second");
    } else {
        let _ = write!(line, "; takes some {} to {}", seconds(least.max(0.1)), seconds(most));
    }
    line
}

fn done(prepared: &Prepared) -> String {
    let Prepared { table, state, rows, rows_loaded, load_s, finish_s, .. } = prepared;
    let mut line = format!("{table}: {state}, {} rows", format_count(*rows));
    if *rows_loaded > 0 {
        let rate = format_count((*rows_loaded as f64 / load_s.max(1e-9)).round() as u64);
        let loaded = format_count(*rows_loaded);
        // Writing to a String cannot fail.
        let _ = write!(line, ", {loaded} loaded in {} ({rate} rows/s)", seconds(*load_s));
    }
    if *finish_s > 0.0 {
        let _ = write!(line, ", finished in {}", seconds(*finish_s));
    }
    line
}

/// Whole seconds above ten, tenths below.
fn seconds(s: f64) -> String {
    let step_ms = if s < 10.0 { 100.0 } else { 1000.0 };
    format_duration(Duration::from_millis(((s * 1e3 / step_ms).round() * step_ms) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::State;

    #[test]
    fn a_line_says_how_far_it_is_and_how_long_it_takes() {
        let loading = |rows_done, rows_per_s, left| {
            doing(Stage::Loading { rows_done, rows: 10_000_000, rows_per_s, left })
        };
        let prepared = Prepared {
            table: "sales".to_owned(),
            state: State::Completed,
            rows: 10_000_000,
            rows_loaded: 4_000_000,
            load_s: 2.5,
            finish_s: 71.2,
            built: vec![],
            checksum: String::new(),
            verified: false,
            table_bytes: 0,
            index_bytes: 0,
        };
        let estimate = Estimate {
            rows: 10_000_000,
            table_bytes: 1_234_567_890,
            index_bytes: 214_748_364,
            uncounted: vec!["sales_hash".to_owned()],
            free_bytes: Some(64 << 30),
        };
        let small =
            Estimate { rows: 1_000, table_bytes: 81_920, index_bytes: 0, ..estimate.clone() };
        let small = Estimate { uncounted: Vec::new(), free_bytes: None, ..small };
        let lines = [
            doing(Stage::Begins(&estimate)),
            doing(Stage::Begins(&small)),
            loading(0, 0.0, None),
            loading(6_000_000, 1_234_567.8, Some(Duration::from_millis(3_240))),
            doing(Stage::Working("build index sales_date")),
            doing(Stage::Ready(&prepared)),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
