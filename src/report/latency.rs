//! Percentiles for people: lower bounds are marked, what rests on too few samples is left out, and how
//! sure a value is stands below where it is not very.

use crate::quantity::format_ms;
use crate::record::{Percentile, Percentiles};

/// An interval that reaches further than this from its value, as a share of it, is worth a line.
const WIDE: f64 = 0.25;

/// Cells of a table.
pub(super) fn cells<'a>(
    of: Option<&'a Percentiles>,
    shown: &'a [Percentile],
) -> impl Iterator<Item = String> + 'a {
    shown.iter().map(move |shown| match of.filter(|of| shown.is_known(of.count)) {
        None => "-".to_owned(),
        Some(of) => value(of, shown.ms(of)),
    })
}

/// The 99th percentile, where there are samples enough for one.
pub(super) fn known_p99(of: Option<&Percentiles>) -> Option<String> {
    let of = of.filter(|of| Percentile::P99.is_known(of.count))?;
    Some(value(of, of.p99_ms))
}

/// A value, marked if it is a lower bound.
pub(super) fn value(of: &Percentiles, ms: f64) -> String {
    let bound = if of.is_at_least(ms) { "≥ " } else { "" };
    format!("{bound}{}", format_ms(ms))
}

/// Where those of the shown values lie that are not very sure; `None` if all are.
pub(super) fn intervals(of: Option<&Percentiles>, shown: &[Percentile]) -> Option<String> {
    let of = of?;
    let wide = shown.iter().filter(|shown| shown.is_known(of.count)).filter_map(|shown| {
        let (ms, [low, high]) = (shown.ms(of), shown.interval_ms(of)?);
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

    const ALL: [Percentile; 5] =
        [Percentile::P50, Percentile::P90, Percentile::P99, Percentile::P999, Percentile::Max];

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
