//! Numbers and moments as measures: their ends rounded outward, their histogram rounded, and values that stand
//! for others.

use std::borrow::Cow;

use super::Statistics;
use crate::row::day::{DAY_US as DAY, format_day, parse_day};
use crate::row::{self, ColumnType};

const DAY_US: f64 = 86_400e6;
const HOUR_US: f64 = 3_600e6;
/// From so many days on a range is rounded to months.
const MONTHS_FROM_DAYS: f64 = 60.0;
/// Most digits of a numeric that is drawn: such a number has 64 bits.
const DIGITS_MAX: usize = 18;

/// A histogram as a profile has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Buckets {
    pub(super) bounds: Vec<String>,
    /// How often each bucket comes; none: all alike.
    pub(super) weights: Vec<f64>,
}

/// The digits that a numeric without any has, by the values that are known: those of their whole parts, and then as
/// many decimals as there is room for.
pub(super) fn numeric_of<'a>(texts: impl Iterator<Item = &'a String>) -> ColumnType {
    let digits = |text: &String| {
        let text = text.trim_start_matches('-');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        (whole.len(), fraction.len())
    };
    let [whole, scale] =
        texts.map(digits).fold([1, 0], |[whole, scale], (w, f)| [whole.max(w), scale.max(f)]);
    // One digit more, as the greatest value may not be among them.
    let whole = (whole + 1).min(DIGITS_MAX);
    let scale = scale.min(DIGITS_MAX - whole);
    ColumnType::Numeric { precision: (whole + scale) as u16, scale: scale as u16 }
}

/// A value as its type has it: decimals that are more than it has are cut off.
pub(super) fn cut(sql_type: ColumnType, text: &str) -> &str {
    match (sql_type, text.split_once('.')) {
        (ColumnType::Numeric { scale: 0, .. }, Some((whole, _))) => whole,
        (ColumnType::Numeric { scale, .. }, Some((whole, fraction))) => {
            &text[..text.len().min(whole.len() + 1 + fraction.len().min(scale.into()))]
        }
        _ => text,
    }
}

/// The measure of a value, see [`row::measure`].
pub(super) fn read(sql_type: ColumnType, text: &str) -> Option<f64> {
    row::measure(sql_type, cut(sql_type, text))
}

fn measured(sql_type: ColumnType, text: &str) -> Option<(f64, &str)> {
    Some((read(sql_type, text)?, text))
}

/// Why a value has no measure.
pub(super) fn unread(sql_type: ColumnType, text: &str) -> &'static str {
    let text = text.to_ascii_lowercase();
    match sql_type {
        _ if ["infinity", "-infinity", "nan"].contains(&text.as_str()) => "infinite, or no number",
        ColumnType::Numeric { .. } => "of more than 18 digits",
        _ => "outside of the years 1 to 9999",
    }
}

/// The least and the greatest measure that a type's values have, as far as they are drawn.
fn limits(sql_type: ColumnType) -> [f64; 2] {
    use ColumnType as T;
    let both = |limit: f64| [-limit, limit];
    let days = || ["0001-01-01", "9999-12-31"].map(|day| parse_day(day).unwrap_or_default());
    match sql_type {
        T::SmallInt => [i16::MIN.into(), i16::MAX.into()],
        T::Integer => [i32::MIN.into(), i32::MAX.into()],
        T::Numeric { precision, .. } if usize::from(precision) <= DIGITS_MAX => {
            let beyond = 10_f64.powi(precision.into());
            // From 2⁵³ on there is no measure one below.
            both((beyond - 1.0).min(beyond.next_down()))
        }
        T::Date => days().map(f64::from),
        T::Time => [0.0, DAY_US],
        T::Timestamp | T::TimestampTz => {
            let [first, last] = days().map(i64::from);
            [(first * DAY) as f64, (((last + 1) * DAY) as f64).next_down()]
        }
        T::Real => both(f32::MAX.into()),
        T::Double => both(f64::MAX),
        _ => [i64::MIN as f64, (i64::MAX as f64).next_down()],
    }
}

/// Ends of a range, rounded outward: numbers to two digits, of themselves or of the range; days to months; moments
/// to days, of a range below two days to hours; times of day to hours. The type has them.
pub(super) fn outward(sql_type: ColumnType, [low, high]: [f64; 2]) -> [f64; 2] {
    let [least, most] = limits(sql_type);
    outward_by(sql_type, [low, high], high - low).map(|end| end.clamp(least, most))
}

/// The only value of a column, rounded down by itself: a number to two digits, a day to its month. The type has it.
pub(super) fn alone(sql_type: ColumnType, value: f64) -> f64 {
    let [near, _] = match sql_type {
        ColumnType::Date => whole_months([value, value]),
        _ => outward_by(sql_type, [value, value], 0.0),
    };
    let [least, most] = limits(sql_type);
    near.clamp(least, most)
}

/// A value rounded as the ends of its range are, and within them.
pub(super) fn near(sql_type: ColumnType, value: f64, [low, high]: [f64; 2]) -> f64 {
    let [near, _] = outward_by(sql_type, [value, value], high - low);
    near.clamp(low, high)
}

fn outward_by(sql_type: ColumnType, [low, high]: [f64; 2], range: f64) -> [f64; 2] {
    use ColumnType as T;
    let to = |step: f64| [(low / step).floor() * step, (high / step).ceil() * step];
    match sql_type {
        T::Date if range >= MONTHS_FROM_DAYS => whole_months([low, high]),
        T::Date => [low, high],
        T::Timestamp | T::TimestampTz if range >= 2.0 * DAY_US => to(DAY_US),
        T::Time | T::Timestamp | T::TimestampTz => to(HOUR_US),
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
        // Of the least numbers of all the step would be 0.
        true => 10_f64.powi(number.log10().floor() as i32 - 1).max(f64::MIN_POSITIVE),
        false => f64::INFINITY,
    }
}

/// Buckets that hold equally many values each, and values that are more common than they: how many lie where, in
/// buckets.
pub(super) struct Shape<'a> {
    /// Ends of the buckets.
    pub(super) bounds: &'a [f64],
    /// Values with how often they come, by themselves.
    pub(super) common: &'a [(f64, f64)],
}

impl Shape<'_> {
    /// How much of the buckets lies below a number.
    fn below(&self, number: f64) -> f64 {
        self.up_to(number, self.bounds.partition_point(|bound| *bound < number))
    }

    /// How much of them lies below it, and of it itself.
    fn to_end_of(&self, number: f64) -> f64 {
        self.up_to(number, self.bounds.partition_point(|bound| *bound <= number))
    }

    /// The same, if so many bounds lie before.
    fn up_to(&self, number: f64, before: usize) -> f64 {
        let Some(start) = before.checked_sub(1) else { return 0.0 };
        match self.bounds.get(before) {
            None => start as f64,
            Some(end) => {
                let low = self.bounds[start];
                start as f64 + ((number - low) / (end - low)).clamp(0.0, 1.0)
            }
        }
    }

    /// How often each of other buckets comes, with these bounds, to two digits. A bucket has its lower bound, and
    /// the last one its upper bound too.
    pub(super) fn weights(&self, bounds: &[f64]) -> Vec<f64> {
        let Some(last) = bounds.len().checked_sub(2) else { return Vec::new() };
        let all = self.bounds.len() as f64 - 1.0;
        let below = |place: usize| match place {
            0 => 0.0,
            place if place > last => all,
            place => self.below(bounds[place]),
        };
        let weights = (0..=last).map(|place| below(place + 1) - below(place)).collect();
        self.with_common(bounds, weights)
    }

    /// How often each of its own buckets comes.
    pub(super) fn own_weights(&self) -> Vec<f64> {
        self.with_common(self.bounds, vec![1.0; self.bounds.len().saturating_sub(1)])
    }

    fn with_common(&self, bounds: &[f64], mut weights: Vec<f64>) -> Vec<f64> {
        let last = weights.len().saturating_sub(1);
        for (value, own) in self.common {
            let after = bounds.partition_point(|bound| bound <= value);
            if let Some(weight) = weights.get_mut(after.saturating_sub(1).min(last)) {
                *weight += own;
            }
        }
        unless_alike(weights.into_iter().map(|weight| (weight * 100.0).round() / 100.0).collect())
    }

    /// As many buckets that hold equally many of all values.
    fn levelled(&self) -> Vec<f64> {
        let mut places: Vec<f64> = self
            .bounds
            .iter()
            .copied()
            .chain(self.common.iter().map(|(value, _)| *value))
            .collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        // What has come before each place, and with it; between them the buckets are even.
        let (mut steps, mut common) = (Vec::with_capacity(2 * places.len()), 0.0);
        for place in places {
            steps.push((self.below(place) + common, place));
            let own = self.common.iter().filter(|(value, _)| value.total_cmp(&place).is_eq());
            common += own.map(|(_, share)| share).sum::<f64>();
            steps.push((self.to_end_of(place) + common, place));
        }
        let buckets = self.bounds.len() - 1;
        let all = steps.last().map_or(0.0, |(sum, _)| *sum);
        let at = |bucket: usize| {
            let sum = all * bucket as f64 / buckets as f64;
            let after = steps.partition_point(|(own, _)| *own < sum).min(steps.len() - 1);
            let (end, high) = steps[after];
            let (start, low) = steps[after.saturating_sub(1)];
            match end > start && bucket > 0 {
                true => low + (high - low) * ((sum - start) / (end - start)).clamp(0.0, 1.0),
                false => high,
            }
        };
        (0..=buckets).map(at).collect()
    }
}

/// Statistics without some of the common values, which are among the others from here on: so their buckets, which
/// ANALYZE made without them, have them too.
pub(super) fn folded<'a>(
    sql_type: ColumnType,
    all: &Statistics,
    without: Cow<'a, Statistics>,
) -> Cow<'a, Statistics> {
    let dropped: Vec<&(String, f64)> =
        all.common.iter().filter(|own| !without.common.contains(own)).collect();
    let points = all.bounds.iter().filter_map(|text| measured(sql_type, text));
    let points: Vec<(f64, &str)> = points.collect();
    let bounds: Vec<f64> = points.iter().map(|(measure, _)| *measure).collect();
    let bucket = (all.present() - all.common_share()) / (bounds.len().max(2) - 1) as f64;
    if dropped.is_empty() || bounds.len() < 2 || bucket <= 0.0 {
        return without;
    }
    let common =
        dropped.iter().filter_map(|(text, share)| Some((read(sql_type, text)?, share / bucket)));
    let common: Vec<(f64, f64)> = common.collect();
    let texts = dropped.iter().filter_map(|(text, _)| measured(sql_type, text));
    let texts: Vec<(f64, &str)> = points.into_iter().chain(texts).collect();
    let text =
        |bound: f64| match texts.iter().find(|(measure, _)| measure.total_cmp(&bound).is_eq()) {
            Some((_, text)) => (*text).to_owned(),
            None => row::text_of_measure(sql_type, bound),
        };
    let levelled = Shape { bounds: &bounds, common: &common }.levelled();
    let bounds = levelled.into_iter().map(text).collect();
    Cow::Owned(Statistics { bounds, ..without.into_owned() })
}

/// The buckets of a shape within some ends, with bounds that are rounded to two digits of their distance from the
/// first, and what of the shape lies between those.
pub(super) fn rounded(sql_type: ColumnType, shape: &Shape<'_>, ends: [f64; 2]) -> Buckets {
    let [Some(first), Some(last)] = [shape.bounds.first(), shape.bounds.last()] else {
        return Buckets { bounds: Vec::new(), weights: Vec::new() };
    };
    // Values that are more common may lie far outside.
    let [low, high] = outward(sql_type, [*first, *last]).map(|end| end.clamp(ends[0], ends[1]));
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
    let inner = &shape.bounds[1..shape.bounds.len().max(2) - 1];
    let inner = inner.iter().map(|bound| round(*bound));
    let mut bounds = vec![ends[0]];
    for bound in std::iter::once(low).chain(inner).chain([high, ends[1]]) {
        // What is rounded to the same place is one bucket with the next.
        if bounds.last().is_some_and(|before| bound > *before) {
            bounds.push(bound);
        }
    }
    let weights = shape.weights(&bounds);
    let bounds = bounds.into_iter().map(|bound| row::text_of_measure(sql_type, bound)).collect();
    Buckets { bounds, weights }
}

/// No weights, if all are alike.
pub(super) fn unless_alike(weights: Vec<f64>) -> Vec<f64> {
    let is_alike = weights.windows(2).all(|two| two[0].total_cmp(&two[1]).is_eq());
    if is_alike { Vec::new() } else { weights }
}

/// So many values at equal distances within these ends, in their order.
pub(super) fn spread(sql_type: ColumnType, [low, high]: [f64; 2], count: usize) -> Vec<String> {
    let step = (high - low) / (count.max(2) - 1) as f64;
    let at = |place: usize| (low + step * place as f64).min(high);
    (0..count).map(|place| row::text_of_measure(sql_type, at(place))).collect()
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
    use proptest::prelude::*;

    use super::*;

    /// The ends of a range rounded, from text to text.
    fn ends(sql_type: ColumnType, ends: [&str; 2]) -> [String; 2] {
        let ends = ends.map(|end| row::measure(sql_type, end).unwrap());
        outward(sql_type, ends).map(|end| row::text_of_measure(sql_type, end))
    }

    #[test]
    fn an_only_value_is_rounded_by_itself() {
        use ColumnType as T;
        for (sql_type, exact, rounded) in [
            (T::Integer, "98765", "98000"),
            (T::Integer, "101", "100"),
            (T::Integer, "-1234", "-1300"),
            (T::Integer, "7", "7"),
            (T::Double, "2.75", "2.7"),
            (T::Date, "1987-06-13", "1987-06-01"),
            (T::Timestamp, "2024-02-10 10:11", "2024-02-10 10:00:00"),
        ] {
            let alone = alone(sql_type, row::measure(sql_type, exact).unwrap());
            assert_eq!(row::text_of_measure(sql_type, alone), rounded, "{exact}");
        }
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
    fn ends_that_are_rounded_are_values_of_their_type() {
        use ColumnType as T;
        let numeric = |precision, scale| T::Numeric { precision, scale };
        for (sql_type, exact, rounded) in [
            (numeric(4, 2), ["0.01", "99.98"], ["0.01", "99.99"]),
            (numeric(5, 2), ["-999.55", "999.99"], ["-999.99", "999.99"]),
            (numeric(3, 0), ["1", "999"], ["1", "999"]),
            (numeric(18, 0), ["0", "999999999999999999"], ["0", "999999999999999872"]),
            (T::SmallInt, ["-32768", "32767"], ["-32768", "32767"]),
            (T::Integer, ["5", "2147483647"], ["5", "2147483647"]),
            (T::Date, ["0001-01-01", "9999-12-31"], ["0001-01-01", "9999-12-31"]),
            (
                T::TimestampTz,
                ["2024-01-01 10:00:00+00", "9999-12-31 23:59:59+00"],
                ["2024-01-01 00:00:00+00", "9999-12-31 23:59:59.999968+00"],
            ),
        ] {
            assert_eq!(ends(sql_type, exact), rounded, "{exact:?}");
        }
    }

    /// Types of which each has values that are measured.
    fn types() -> impl Strategy<Value = ColumnType> {
        use ColumnType as T;
        let numeric = (1_u16..=38, 0_u16..=38)
            .prop_map(|(precision, scale)| T::Numeric { precision, scale: scale.min(precision) });
        let others = prop::sample::select(vec![
            T::SmallInt,
            T::Integer,
            T::BigInt,
            T::Real,
            T::Double,
            T::Date,
            T::Time,
            T::Timestamp,
            T::TimestampTz,
        ]);
        prop_oneof![numeric, others]
    }

    proptest! {
        /// Down to the least floating-point number there is, and up to the greatest value of any type.
        #[test]
        fn what_is_rounded_is_within_the_type_and_around_what_was(
            sql_type in types(), a in -1.0..=1.0_f64, b in -1.0..=1.0_f64, tiny in 0..324_i32, is_small: bool,
        ) {
            let [least, most] = limits(sql_type);
            let is_float = matches!(sql_type, ColumnType::Real | ColumnType::Double);
            let of = |share: f64| {
                // Half of the widest range, which a generator takes.
                let value = if share < 0.0 { -share * (least / 2.0) } else { share * (most / 2.0) };
                let value = if is_small { value * 10_f64.powi(-tiny) } else { value };
                let value = if is_float { value } else { value.round() };
                let value = value.clamp(least, most);
                row::measure(sql_type, &row::text_of_measure(sql_type, value)).unwrap()
            };
            let [low, high] = [of(a.min(b)), of(a.max(b))];
            let rounded = outward(sql_type, [low, high]);
            let read = rounded.map(|end| row::measure(sql_type, &row::text_of_measure(sql_type, end)));
            let [Some(first), Some(last)] = read else {
                panic!("{sql_type}: {low} to {high} became {rounded:?}")
            };
            // But for the last bit.
            let slack = |number: f64| number.abs() * 1e-6;
            prop_assert!(first <= low + slack(low) && high <= last + slack(high), "{low} {high} {rounded:?}");
            prop_assert!((low..=high).contains(&near(sql_type, low, [low, high])));
        }

        #[test]
        fn what_is_below_a_bound_is_so_when_it_is_rounded(
            mut bounds in prop::collection::vec(-1e6..1e6_f64, 2..40), share in 0.0..3.0_f64,
            beyond in prop::sample::select(vec![0.0, 7.0, 1e9]),
        ) {
            bounds.iter_mut().for_each(|bound| *bound = bound.round());
            bounds.sort_by(f64::total_cmp);
            let ends = outward(ColumnType::BigInt, [bounds[0] - beyond, bounds[bounds.len() - 1]]);
            prop_assume!(ends[0] < ends[1]);
            let common = [(bounds[0] - beyond, share), (bounds[bounds.len() / 2], share)];
            let shape = Shape { bounds: &bounds, common: &common };
            let rounded = rounded(ColumnType::BigInt, &shape, ends);
            let weights = match rounded.weights.is_empty() {
                true => {
                    let all = bounds.len() as f64 - 1.0 + 2.0 * share;
                    vec![all / (rounded.bounds.len() as f64 - 1.0); rounded.bounds.len() - 1]
                }
                false => rounded.weights.clone(),
            };
            let mut sum = 0.0;
            for (place, bound) in rounded.bounds.iter().enumerate().skip(1) {
                sum += weights[place - 1];
                let bound: f64 = bound.parse().unwrap();
                let is_last = place + 1 == rounded.bounds.len();
                let common = common.iter().filter(|(value, _)| *value < bound || is_last);
                let common: f64 = common.map(|(_, share)| share).sum();
                let below = if is_last { bounds.len() as f64 - 1.0 } else { shape.below(bound) };
                prop_assert!((sum - below - common).abs() < 0.01 * place as f64, "{rounded:?}");
            }
        }
    }

    fn shape<'a>(bounds: &'a [f64], common: &'a [(f64, f64)]) -> Shape<'a> {
        Shape { bounds, common }
    }

    #[test]
    fn a_histogram_keeps_its_shape() {
        let of = |bounds: &[f64], ends| rounded(ColumnType::Integer, &shape(bounds, &[]), ends);
        let skewed = of(&[0.0, 1.0, 2.0, 4.0, 123.0, 1_234.0, 98_765.0], [0.0, 99_000.0]);
        assert_eq!(skewed.bounds, ["0", "1", "2", "4", "120", "1200", "99000"]);
        assert_eq!(skewed.weights, [1.0, 1.0, 1.0, 0.97, 0.99, 1.03]);
        let close = of(&[0.0, 1_000.0, 1_001.0, 1_002.0, 2_000.0], [0.0, 2_000.0]);
        assert_eq!(
            (close.bounds, close.weights),
            (vec!["0".into(), "1000".into(), "2000".into()], vec![1.0, 3.0])
        );
    }

    #[test]
    fn buckets_that_become_one_are_not_those_of_the_next() {
        // An hour, a bucket for each of 100 parts, rounded to quarters.
        let hour: Vec<f64> =
            (0..=100).map(|at| 12.0 * HOUR_US + f64::from(at) * HOUR_US / 100.0).collect();
        let even = rounded(ColumnType::Time, &shape(&hour, &[]), [hour[0], hour[100]]);
        assert_eq!(even.bounds, ["12:00:00", "12:15:00", "12:30:00", "12:45:00", "13:00:00"]);
        assert!(even.weights.is_empty(), "{even:?}");
        // From -1500.00 to 500.00: half of all below -500.00, whatever the steps are.
        let money = ColumnType::Numeric { precision: 10, scale: 2 };
        let even: Vec<f64> = (0..=100).map(|at| f64::from(at * 2_000 - 150_000)).collect();
        let even = rounded(money, &shape(&even, &[]), [-150_000.0, 50_000.0]);
        let half = even.bounds.iter().position(|bound| bound == "-500.00").unwrap();
        let below: f64 = even.weights.iter().take(half).sum();
        assert!((below - 50.0).abs() < 0.5, "{even:?}");
    }

    #[test]
    fn a_common_value_far_outside_does_not_stretch_the_others() {
        let bounds = [100.0, 200.0, 300.0];
        let beyond = rounded(ColumnType::Integer, &shape(&bounds, &[(9e6, 4.0)]), [100.0, 9e6]);
        assert_eq!(beyond.bounds, ["100", "200", "300", "9000000"]);
        assert_eq!(beyond.weights, [1.0, 1.0, 4.0]);
    }

    #[test]
    fn common_values_add_to_their_bucket() {
        let common = [(0.0, 1.0), (15.0, 2.0), (20.0, 4.0), (99.0, 8.0)];
        let bounds = [0.0, 10.0, 20.0, 30.0];
        assert_eq!(shape(&bounds, &common).weights(&bounds), [2.0, 3.0, 13.0]);
        let twice = [0.0, 15.0, 15.0, 30.0];
        assert_eq!(shape(&twice, &common).own_weights(), [2.0, 1.0, 15.0]);
    }

    #[test]
    fn values_that_seem_common_are_within_the_range() {
        // A hundred days with as many rows as each of the other 800, all at the start.
        let days: Vec<String> = (0..900).map(|at| format_day(at - 5_000)).collect();
        let all = Statistics {
            n_distinct: 900.0,
            common: days[..100].iter().map(|day| (day.clone(), 1.0 / 900.0)).collect(),
            bounds: (0..=100).map(|at| days[100 + at * 799 / 100].clone()).collect(),
            ..Statistics::default()
        };
        let without = Statistics { common: Vec::new(), ..all.clone() };
        let folded = folded(ColumnType::Date, &all, Cow::Owned(without)).into_owned();
        assert_eq!((&folded.bounds[0], &folded.bounds[100]), (&days[0], &days[899]));
        assert_eq!(folded.bounds.len(), 101);
        for (place, bound) in folded.bounds.iter().enumerate() {
            let day = days.iter().position(|day| day == bound).unwrap();
            assert!(day.abs_diff(place * 9) <= 2, "{place} is {day}");
        }
    }

    #[test]
    fn a_numeric_without_digits_has_those_that_can_be_drawn() {
        let of = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(|text| (*text).to_owned()).collect();
            numeric_of(values.iter())
        };
        let numeric = |precision, scale| ColumnType::Numeric { precision, scale };
        assert_eq!(of(&["-1.25", "100"]), numeric(6, 2));
        let seventh = of(&["0.14285714285714285714", "14285.5"]);
        assert_eq!(seventh, numeric(18, 12));
        assert_eq!(cut(seventh, "0.14285714285714285714"), "0.142857142857");
        assert_eq!(read(seventh, "14285.5"), Some(14_285.5e12));
        let whole = of(&["12345678901234567890123"]);
        assert_eq!((whole, cut(whole, "1.9")), (numeric(18, 0), "1"));
        assert_eq!(read(whole, "12345678901234567890123"), None);
        assert_eq!(unread(whole, "12345678901234567890123"), "of more than 18 digits");
    }
}
