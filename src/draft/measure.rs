//! Numbers and moments as measures: their ends rounded outward, their histogram rounded, and values that stand
//! for others.

use crate::row::day::{format_day, parse_day};
use crate::row::{self, ColumnType};

const DAY_US: f64 = 86_400e6;
const HOUR_US: f64 = 3_600e6;
/// From so many days on a range is rounded to months.
const MONTHS_FROM_DAYS: f64 = 60.0;

/// A histogram as a profile has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Buckets {
    pub(super) bounds: Vec<String>,
    /// How often each bucket comes; none: all alike.
    pub(super) weights: Vec<f64>,
}

/// The digits that a numeric without any has, by the values that are known.
pub(super) fn numeric_of<'a>(texts: impl Iterator<Item = &'a String>) -> ColumnType {
    let digits = |text: &String| {
        let text = text.trim_start_matches('-');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        (whole.len(), fraction.len())
    };
    let [whole, scale] =
        texts.map(digits).fold([1, 0], |[whole, scale], (w, f)| [whole.max(w), scale.max(f)]);
    // One digit more, as the greatest value may not be among them.
    ColumnType::Numeric {
        precision: (whole + scale + 1).min(1_000) as u16,
        scale: scale.min(38) as u16,
    }
}

/// Ends of a range, rounded outward: numbers to two digits, of themselves or of the range; days to months; moments
/// to days, of a range below two days to hours; times of day to hours.
pub(super) fn outward(sql_type: ColumnType, [low, high]: [f64; 2]) -> [f64; 2] {
    use ColumnType as T;
    let range = high - low;
    let to = |step: f64| [(low / step).floor() * step, (high / step).ceil() * step];
    match sql_type {
        T::Date if range >= MONTHS_FROM_DAYS => whole_months([low, high]),
        T::Date => [low, high],
        T::Time => {
            let [low, high] = to(HOUR_US);
            [low, high.min(DAY_US)]
        }
        T::Timestamp | T::TimestampTz if range >= 2.0 * DAY_US => to(DAY_US),
        T::Timestamp | T::TimestampTz => to(HOUR_US),
        _ => {
            let is_whole = !matches!(sql_type, T::Real | T::Double);
            let step = |end: f64| {
                let step = two_digits(range).min(two_digits(end.abs()));
                if is_whole { step.max(1.0) } else { step }
            };
            let [low_step, high_step] = [step(low), step(high)];
            [
                if low == 0.0 { 0.0 } else { (low / low_step).floor() * low_step },
                if high == 0.0 { 0.0 } else { (high / high_step).ceil() * high_step },
            ]
        }
    }
}

/// The step in which a number has two digits; of 0 there is none.
fn two_digits(number: f64) -> f64 {
    match number > 0.0 {
        true => 10_f64.powi(number.log10().floor() as i32 - 1),
        false => f64::INFINITY,
    }
}

/// Bounds of buckets that hold equally many values, each rounded to two digits of its distance from the first;
/// with the values that are more common than they, each with its share of the rows beside that of a bucket.
pub(super) fn rounded(
    sql_type: ColumnType,
    bounds: &[f64],
    ends: [f64; 2],
    weights: &[f64],
) -> Option<Buckets> {
    let [low, high] = ends;
    let round = |bound: f64| {
        let offset = bound - low;
        let step = two_digits(offset);
        let step = match sql_type {
            ColumnType::Timestamp | ColumnType::TimestampTz => step.max(HOUR_US.min(high - low)),
            ColumnType::Time => step.max(HOUR_US / 4.0),
            _ => step,
        };
        let offset = if offset > 0.0 { (offset / step).round() * step } else { 0.0 };
        (low + offset).clamp(low, high)
    };
    let last = bounds.len().checked_sub(1)?;
    let mut all = vec![low];
    let (mut to, mut pending) = (Vec::new(), 0.0);
    for (place, bound) in bounds.iter().enumerate().skip(1) {
        let rounded = if place == last { high } else { round(*bound) };
        pending += weights.get(place - 1).copied().unwrap_or(1.0);
        // What is rounded to the same place is one bucket with the next.
        if all.last().is_some_and(|before| rounded > *before) {
            all.push(rounded);
            to.push(pending);
            pending = 0.0;
        }
    }
    *to.last_mut()? += pending;
    let bounds = all.into_iter().map(|bound| row::text_of_measure(sql_type, bound)).collect();
    Some(Buckets { bounds, weights: unless_alike(to) })
}

/// No weights, if all are alike.
pub(super) fn unless_alike(weights: Vec<f64>) -> Vec<f64> {
    let is_alike = weights.windows(2).all(|two| two[0].total_cmp(&two[1]).is_eq());
    if is_alike { Vec::new() } else { weights }
}

/// So many values at equal distances within these ends, in their order.
pub(super) fn spread(sql_type: ColumnType, [low, high]: [f64; 2], count: usize) -> Vec<String> {
    let step = (high - low) / (count.max(2) - 1) as f64;
    (0..count).map(|place| row::text_of_measure(sql_type, low + step * place as f64)).collect()
}

/// The weight of each bucket, each of which holds `share` of the rows, with those of the common values that lie
/// in it.
pub(super) fn with_common(bounds: &[f64], share: f64, common: &[(f64, f64)]) -> Vec<f64> {
    let mut weights = vec![share; bounds.len().saturating_sub(1)];
    for (value, own) in common {
        let above = bounds.partition_point(|bound| bound < value);
        let last = weights.len().saturating_sub(1);
        if let Some(weight) = weights.get_mut(above.saturating_sub(1).min(last)) {
            *weight += own;
        }
    }
    weights
}

/// The first day of the month in which the first of these days lies, and the last day of that of the other, in
/// days from 2000 on.
fn whole_months([first, last]: [f64; 2]) -> [f64; 2] {
    let month = |day: f64| format_day(day as i32)[..8].to_owned();
    let days = |text: String| parse_day(&text).map(f64::from);
    let ends = (28..=31).rev().find_map(|day| days(format!("{}{day}", month(last))));
    [days(month(first) + "01").unwrap_or(first), ends.unwrap_or(last)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of a range rounded, from text to text.
    fn ends(sql_type: ColumnType, ends: [&str; 2]) -> [String; 2] {
        let ends = ends.map(|end| row::measure(sql_type, end).unwrap());
        outward(sql_type, ends).map(|end| row::text_of_measure(sql_type, end))
    }

    #[test]
    fn ends_are_rounded_outward() {
        use ColumnType as T;
        for (sql_type, exact, rounded) in [
            (T::Integer, ["901", "104949"], ["900", "110000"]),
            (T::Integer, ["-3", "1000000"], ["-3", "1000000"]),
            (T::Integer, ["1000000123", "1000001100"], ["1000000120", "1000001100"]),
            (T::Integer, ["1", "50"], ["1", "50"]),
            (T::Integer, ["0", "0"], ["0", "0"]),
            (T::Integer, ["-1234", "-456"], ["-1240", "-450"]),
            (T::Double, ["-0.123", "1234.5"], ["-0.13", "1300"]),
            (T::Date, ["1992-01-02", "1998-12-01"], ["1992-01-01", "1998-12-31"]),
            (T::Date, ["2023-12-31", "2024-02-29"], ["2023-12-01", "2024-02-29"]),
            (T::Date, ["2024-02-10", "2024-03-01"], ["2024-02-10", "2024-03-01"]),
            (
                T::Timestamp,
                ["2024-02-10 10:11", "2024-03-01 00:00:01"],
                ["2024-02-10 00:00:00", "2024-03-02 00:00:00"],
            ),
            (
                T::Timestamp,
                ["2024-02-10 10:11", "2024-02-10 10:12"],
                ["2024-02-10 10:00:00", "2024-02-10 11:00:00"],
            ),
            (T::Time, ["08:30", "23:59"], ["08:00:00", "24:00:00"]),
        ] {
            assert_eq!(ends(sql_type, exact), rounded, "{exact:?}");
        }
    }

    #[test]
    fn a_histogram_keeps_its_shape() {
        let of = |bounds: &[f64], ends| rounded(ColumnType::Integer, bounds, ends, &[]).unwrap();
        let skewed = of(&[0.0, 1.0, 2.0, 4.0, 123.0, 1_234.0, 98_765.0], [0.0, 99_000.0]);
        assert_eq!(skewed.bounds, ["0", "1", "2", "4", "120", "1200", "99000"]);
        assert!(skewed.weights.is_empty());
        let close = of(&[0.0, 1_000.0, 1_001.0, 1_002.0, 2_000.0], [0.0, 2_000.0]);
        assert_eq!(
            (close.bounds, close.weights),
            (vec!["0".into(), "1000".into(), "2000".into()], vec![1.0, 3.0])
        );
    }

    #[test]
    fn common_values_add_to_their_bucket() {
        let common = [(0.0, 1.0), (15.0, 2.0), (20.0, 4.0), (99.0, 8.0)];
        assert_eq!(with_common(&[0.0, 10.0, 20.0, 30.0], 0.5, &common), [1.5, 6.5, 8.5]);
    }
}
