//! Arrays like those of a column, by its statistics: their lengths and their elements.

use std::collections::BTreeMap;

use super::order::Order;
use super::values::{Drawing, Drawn, rounded};
use super::{ArrayStatistics, SourceColumn, Statistics};
use crate::profile::{Array, Histogram, Integer, Number, Values, Whole};
use crate::row::ColumnType;

/// Of an array that is stored: what stands before its elements, and before each, with the padding behind it.
const HEAD: (f64, f64) = (24.0, 5.5);
/// So far from 1 the shares of the common elements are all there is.
const NEARLY_ALL: f64 = 0.02;
/// NULLs take the places of so many elements of an array on average, at most.
const DISPLACED_MAX: f64 = 0.5;
/// The greatest ratio of NULLs that a profile takes, in as many digits as it has.
const NULLS_MAX: f64 = 0.999_999;
/// Lengths that stand for those of a bucket.
const LENGTHS: i64 = 16;

/// The values of a column of arrays with such elements; or why there are none.
pub(super) fn draw(drawing: &Drawing<'_>, element: ColumnType) -> Result<Drawn, String> {
    let arrays = drawing.statistics.arrays.as_ref().filter(|own| !own.common.is_empty());
    let arrays = arrays.ok_or("its statistics have no elements")?;
    let lengths = Lengths::new(&arrays.counts);
    let mut common: Vec<(String, f64)> =
        arrays.common.iter().map(|(text, share)| (text.clone(), lengths.ratio(*share))).collect();
    let all: f64 = common.iter().map(|(_, ratio)| ratio).sum();
    common.iter_mut().for_each(|(_, ratio)| *ratio /= all.max(f64::MIN_POSITIVE));
    let mut notes = vec![
        "elements are drawn each by itself: which come together is not drawn, and one may come twice"
            .to_owned(),
    ];
    if all < 1.0 - NEARLY_ALL {
        notes.push(format!(
            "about {:.0} % of the elements there are none of the most common ones, which come in their place",
            100.0 * (1.0 - all)
        ));
    } else if all > 1.0 + NEARLY_ALL {
        notes.push("the most common elements come less often than there".to_owned());
    }
    drawing.note_order(Order::Random, &mut notes);
    let statistics = Statistics {
        avg_width: width(drawing.statistics.avg_width, arrays),
        n_distinct: common.len() as f64,
        common,
        ..Statistics::default()
    };
    let column = SourceColumn {
        name: drawing.column.name.clone(),
        sql_type: element.to_string(),
        is_enum: drawing.column.is_enum,
        ..SourceColumn::default()
    };
    let own = Drawing { column: &column, sql_type: element, statistics: &statistics, ..*drawing }
        .draw()?;
    notes.extend(own.notes);
    let (lengths, nulls) = with_nulls(lengths, arrays, &mut notes);
    let values = Values::Array(Array {
        of: Some(Box::new(own.values)),
        length: Some(Box::new(lengths.values())),
        null_ratio: (nulls > 0.0).then_some(Number(nulls)),
    });
    Ok(Drawn { values, notes })
}

/// The lengths with NULLs, and the ratio of these. Statistics count the other elements alone, and the arrays that have a
/// NULL: where it would take the places of many elements, it has one of its own.
fn with_nulls(
    lengths: Lengths,
    arrays: &ArrayStatistics,
    notes: &mut Vec<String>,
) -> (Lengths, f64) {
    let among = lengths.ratio(arrays.with_null);
    // As many arrays as have a NULL may have no other element.
    if lengths.share(1.0) > arrays.with_null && among * lengths.mean() < DISPLACED_MAX {
        return (lengths, rounded(among).min(NULLS_MAX));
    }
    let elements = lengths.mean();
    let longer: Vec<f64> = arrays.counts.iter().map(|count| count + 1.0).collect();
    let longer = Lengths::new(&longer);
    // More, and fewer elements were left than there are.
    let ratio = longer.ratio(arrays.with_null).min(1.0 / (elements + 1.0));
    let held = longer.share(ratio);
    if held < arrays.with_null - NEARLY_ALL {
        notes.push(format!(
            "about {:.0} % of the arrays have a NULL, and there {:.0} %",
            100.0 * held,
            100.0 * arrays.with_null
        ));
    }
    (longer, rounded(ratio).min(NULLS_MAX))
}

/// Bytes of an element on average, as if it were stored by itself.
fn width(array: u32, arrays: &ArrayStatistics) -> u32 {
    let (head, each) = HEAD;
    let own = (f64::from(array) - head) / arrays.mean.max(1.0) - each;
    own.round().max(1.0) as u32 + 1
}

/// How many elements the arrays have.
struct Lengths {
    /// The ends of buckets, each with how many buckets of the statistics it stands for; one without a width is
    /// of one length.
    buckets: Vec<([i64; 2], f64)>,
    /// How often each length comes, as a share.
    shares: BTreeMap<i64, f64>,
}

impl Lengths {
    fn new(counts: &[f64]) -> Self {
        let counts: Vec<i64> = counts.iter().map(|count| in_two_digits(*count)).collect();
        let mut buckets: Vec<([i64; 2], f64)> = Vec::new();
        for pair in counts.windows(2) {
            let own = [pair[0], pair[1]];
            match buckets.last_mut() {
                Some((last, weight)) if *last == own => *weight += 1.0,
                _ => buckets.push((own, 1.0)),
            }
        }
        let all = counts.len().saturating_sub(1) as f64;
        let mut shares = BTreeMap::new();
        for (place, ([low, high], weight)) in buckets.iter().enumerate() {
            // A bucket has its lower end, and the last one both.
            let past = if place + 1 == buckets.len() { high + 1 } else { *high.max(&(low + 1)) };
            let step = ((past - low) / LENGTHS).max(1);
            let own: Vec<i64> = (*low..past).step_by(step as usize).collect();
            for length in &own {
                *shares.entry(*length).or_default() += weight / all / own.len() as f64;
            }
        }
        Self { buckets, shares }
    }

    /// How many elements there are on average.
    fn mean(&self) -> f64 {
        self.shares.iter().map(|(length, own)| *length as f64 * own).sum()
    }

    /// The share of the arrays that hold an element, of which all are it at such a ratio.
    fn share(&self, ratio: f64) -> f64 {
        let none = self.shares.iter().map(|(length, own)| own * (1.0 - ratio).powi(*length as i32));
        1.0 - none.sum::<f64>()
    }

    /// The ratio at which elements must be one, for such a share of the arrays to hold it.
    fn ratio(&self, share: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            (low, high) = if self.share(middle) < share { (middle, high) } else { (low, middle) };
        }
        low
    }

    /// A generator of them.
    fn values(&self) -> Values {
        let whole = |number: i64| Some(Whole(number));
        match &*self.buckets {
            [] => Values::Integer(Integer { min: whole(1), max: whole(1), pick: None }),
            [([low, high], _)] => {
                Values::Integer(Integer { min: whole(*low), max: whole(*high), pick: None })
            }
            several => {
                let mut bounds = vec![several[0].0[0].to_string()];
                bounds.extend(several.iter().map(|([_, high], _)| high.to_string()));
                let is_alike =
                    several.iter().all(|(_, weight)| weight.total_cmp(&several[0].1).is_eq());
                let weights = several.iter().map(|(_, weight)| Number(*weight)).collect();
                Values::Histogram(Histogram {
                    bounds: Some(bounds),
                    weights: (!is_alike).then_some(weights),
                    distinct: None,
                    pick: None,
                })
            }
        }
    }
}

/// A count, from a hundred on rounded to two digits.
fn in_two_digits(count: f64) -> i64 {
    let step = 10_f64.powi((count.max(1.0).log10() as i32 - 1).max(0));
    ((count / step).round() * step) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_arrays_that_hold_an_element() {
        let two = Lengths::new(&[2.0, 2.0, 2.0]);
        assert_eq!(two.shares, BTreeMap::from([(2, 1.0)]));
        // Of two elements neither is it with a probability of a quarter.
        assert!((two.ratio(0.75) - 0.5).abs() < 1e-9);
        let one_or_none = Lengths::new(&[0.0, 0.0, 1.0, 1.0]);
        assert!((one_or_none.ratio(0.1) - 0.1 * 3.0).abs() < 1e-9, "{:?}", one_or_none.shares);
        assert!(one_or_none.ratio(0.9) > 0.999, "more than there can be");
        assert!(two.ratio(0.0) < 1e-9);
    }

    #[test]
    fn a_null_in_every_array_stands_beside_the_elements() {
        let drawn = |with_null: f64, counts: &[f64]| {
            let arrays = ArrayStatistics {
                with_null,
                counts: counts.to_vec(),
                ..ArrayStatistics::default()
            };
            let mut notes = Vec::new();
            let (lengths, ratio) = with_nulls(Lengths::new(counts), &arrays, &mut notes);
            (lengths.shares, ratio, notes)
        };
        // Two elements and a NULL in each array.
        let (lengths, ratio, notes) = drawn(1.0, &[2.0, 2.0, 2.0]);
        assert_eq!((lengths, ratio), (BTreeMap::from([(3, 1.0)]), rounded(1.0 / 3.0)));
        assert_eq!(notes, ["about 70 % of the arrays have a NULL, and there 100 %"]);
        // Where there are few NULLs, they are among the elements.
        let (lengths, ratio, notes) = drawn(0.0975, &[2.0, 2.0, 2.0]);
        assert_eq!((lengths, ratio, notes.len()), (BTreeMap::from([(2, 1.0)]), 0.05, 0));
        assert!(drawn(0.0, &[0.0, 1.0, 4.0]).1 < 1e-9);
        // Most have a NULL and nothing else.
        let (lengths, ratio, _) = drawn(0.9, &[0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(lengths.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert!((0.7..0.95).contains(&ratio), "{ratio}");
    }

    #[test]
    fn lengths_keep_their_shape() {
        let bounds = |counts: &[f64]| match Lengths::new(counts).values() {
            Values::Histogram(Histogram { bounds, weights, .. }) => {
                (bounds.unwrap(), weights.unwrap_or_default().iter().map(|own| own.0).collect())
            }
            Values::Integer(Integer { min, max, .. }) => {
                (vec![min.unwrap().0.to_string(), max.unwrap().0.to_string()], Vec::<f64>::new())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(bounds(&[3.0, 3.0, 3.0]), (vec!["3".into(), "3".into()], vec![]));
        assert_eq!(
            bounds(&[0.0, 1.0, 1.0, 1.0, 1_234.0]),
            (["0", "1", "1", "1200"].map(str::to_owned).to_vec(), vec![1.0, 2.0, 1.0])
        );
    }
}
