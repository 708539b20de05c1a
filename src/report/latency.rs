//! Percentiles for people: lower bounds are marked, what rests on too few samples is left out, and how
//! sure a value is stands below where it is not very.

use crate::quantity::format_ms;
use crate::record::Percentiles;

/// Fewer samples than this beyond a percentile say nothing of it: it would be the greatest of a few.
const BEYOND_MIN: f64 = 10.0;
/// An interval that reaches further than this from its value, as a share of it, is worth a line.
const WIDE: f64 = 0.25;

/// A value of durations that is shown.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    P50,
    P90,
    P99,
    P999,
    Max,
}

impl Shown {
    fn quantile(self) -> Option<f64> {
        match self {
            // A median of five is a median; and the greatest is what it is.
            Self::P50 | Self::Max => None,
            Self::P90 => Some(0.9),
            Self::P99 => Some(0.99),
            Self::P999 => Some(0.999),
        }
    }

    /// Whether so many samples are enough.
    fn is_known(self, count: u64) -> bool {
        // A share of 0.01 is not quite that in binary.
        let beyond = self.quantile().map(|quantile| count as f64 * (1.0 - quantile) + 1e-6);
        beyond.is_none_or(|beyond| beyond >= BEYOND_MIN)
    }

    fn of(self, of: &Percentiles) -> (f64, Option<[f64; 2]>) {
        match self {
            Self::P50 => (of.p50_ms, of.intervals.p50_ms),
            Self::P90 => (of.p90_ms, of.intervals.p90_ms),
            Self::P99 => (of.p99_ms, of.intervals.p99_ms),
            Self::P999 => (of.p999_ms, of.intervals.p999_ms),
            Self::Max => (of.max_ms, None),
        }
    }

    /// Its key in a result.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::P50 => "p50_ms",
            Self::P90 => "p90_ms",
            Self::P99 => "p99_ms",
            Self::P999 => "p999_ms",
            Self::Max => "max_ms",
        }
    }

    /// Its name in a table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
        }
    }
}

/// Cells of a table.
pub(super) fn cells<'a>(
    of: Option<&'a Percentiles>,
    shown: &'a [Shown],
) -> impl Iterator<Item = String> + 'a {
    shown.iter().map(move |shown| match of.filter(|of| shown.is_known(of.count)) {
        None => "-".to_owned(),
        Some(of) => value(of, shown.of(of).0),
    })
}

/// The 99th percentile, where there are samples enough for one.
pub(super) fn known_p99(of: Option<&Percentiles>) -> Option<String> {
    let of = of.filter(|of| Shown::P99.is_known(of.count))?;
    Some(value(of, of.p99_ms))
}

/// A value, marked if it is a lower bound.
pub(super) fn value(of: &Percentiles, ms: f64) -> String {
    let bound = if of.is_at_least(ms) { "≥ " } else { "" };
    format!("{bound}{}", format_ms(ms))
}

/// Where those of the shown values lie that are not very sure; `None` if all are.
pub(super) fn intervals(of: Option<&Percentiles>, shown: &[Shown]) -> Option<String> {
    let of = of?;
    let wide = shown.iter().filter(|shown| shown.is_known(of.count)).filter_map(|shown| {
        let (ms, interval) = shown.of(of);
        let [low, high] = interval?;
        let is_wide = high > ms * (1.0 + WIDE) || low < ms * (1.0 - WIDE);
        is_wide.then(|| format!("{} {}..{}", shown.name(), format_ms(low), value(of, high)))
    });
    let wide: Vec<String> = wide.collect();
    (!wide.is_empty()).then(|| format!("95 %: {}", wide.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Times;

    const ALL: [Shown; 5] = [Shown::P50, Shown::P90, Shown::P99, Shown::P999, Shown::Max];

    fn of(ms: impl Iterator<Item = u64>) -> Times {
        let mut times = Times::default();
        ms.for_each(|ms| times.record(Duration::from_millis(ms)));
        times
    }

    fn row(of: &Times) -> Vec<String> {
        cells(of.percentiles().as_ref(), &ALL).collect()
    }

    #[test]
    fn a_percentile_is_shown_when_ten_samples_lie_beyond_it() {
        assert_eq!(row(&Times::default()), ["-"; 5]);
        for (count, known) in
            [(5, 2), (99, 2), (100, 3), (999, 3), (1_000, 4), (9_999, 4), (10_000, 5)]
        {
            let shown = row(&of((0..count).map(|_| 7)));
            assert_eq!(
                shown.iter().filter(|cell| *cell != "-").count(),
                known,
                "{count}: {shown:?}"
            );
        }
    }

    #[test]
    fn what_was_given_up_makes_lower_bounds() {
        let mut times = of((0..100).map(|_| 7));
        times.record_evenly_at_least(Duration::from_secs(2), Duration::from_secs(2), 50);
        assert_eq!(row(&times), ["7 ms", "≥ 2 s", "-", "-", "≥ 2 s"]);
    }

    #[test]
    fn an_interval_is_told_where_it_is_wide() {
        let narrow = of((0..2_000).map(|i| 100 + i % 10)).percentiles();
        assert_eq!(intervals(narrow.as_ref(), &ALL), None);
        let wide = of((0..1_000).map(|i| if i < 980 { 10 } else { (i - 979) * 50 })).percentiles();
        let told = intervals(wide.as_ref(), &ALL).unwrap();
        assert!(told.starts_with("95 %: p99 "), "{told}");
    }
}
