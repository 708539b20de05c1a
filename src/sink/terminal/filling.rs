//! Progress of tables that are being filled: one line that redraws itself on a terminal, else a
//! plain line every few seconds and at every change.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::dataset::{self, Prepared, Stage};
use crate::quantity::{format_count, format_duration};

use super::{LINE_EVERY, Screen};

/// Shows how tables are filled.
pub struct Filling {
    screen: Screen,
    bar: ProgressBar,
    /// When the last plain line was written, and about what.
    last: Mutex<Option<(Instant, String)>>,
}

impl Filling {
    /// Progress on `screen`.
    pub fn new(screen: Screen) -> Self {
        let bar = ProgressBar::hidden();
        let bar = if screen.live { screen.bars.add(ProgressBar::new_spinner()) } else { bar };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { screen, bar, last: Mutex::new(None) }
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

impl dataset::Progress for Filling {
    fn show(&self, table: &str, stage: Stage<'_>) {
        if let Stage::Ready(prepared) = stage {
            self.screen.line(&done(prepared));
            return;
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
        let lines = [
            loading(0, 0.0, None),
            loading(6_000_000, 1_234_567.8, Some(Duration::from_millis(3_240))),
            doing(Stage::Working("build index sales_date")),
            doing(Stage::Ready(&prepared)),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
