//! Whether a type has the values that a histogram is written with.

use super::ColumnType;
use super::check::{ColumnFault, finite, weighed};
use super::literal;
use super::pick::ROWS_MAX;

/// Most buckets of a histogram.
const BUCKETS_MAX: usize = 65_536;

/// Whether the type has each of a histogram's bounds, and they are in order.
pub(super) fn check(
    bounds: &[String],
    weights: &[f64],
    distinct: Option<u64>,
    sql_type: ColumnType,
) -> Result<(), ColumnFault> {
    let fault = |fact, fix: &'static str| Err(ColumnFault::Setting { fact, fix: fix.into() });
    if !(2..=BUCKETS_MAX + 1).contains(&bounds.len()) {
        let fact = format!("`bounds` has {} values", bounds.len());
        return fault(fact, "list from 2 to 65537 of them: the ends of the buckets");
    }
    let of = |text: &String| {
        let whole = literal::whole(sql_type, text).map(|whole| (whole, 0.0));
        whole.or_else(|| literal::float(sql_type, text).map(|float| (0, float)))
    };
    let mut last = None;
    for (place, text) in bounds.iter().enumerate() {
        let Some(value) = of(text) else {
            let fact = format!("`{text}` is no value of type {sql_type}");
            return fault(fact, "write values of the column's type, in double quotes");
        };
        if last.is_some_and(|last| last > value) {
            let fact = format!("`{text}` is below `{}`, which stands before it", bounds[place - 1]);
            return fault(fact, "write the bounds in their order");
        }
        last = Some(value);
    }
    if let Some((min, max)) = bounds.first().and_then(of).zip(last) {
        finite(min.1, max.1, sql_type)?;
    }
    let buckets = bounds.len() - 1;
    if !weights.is_empty() && weights.len() != buckets {
        let fact =
            format!("`bounds` are of {buckets} buckets, and `weights` has {}", weights.len());
        return fault(fact, "write a weight for each bucket: one less than bounds");
    }
    weighed(("bounds", buckets), weights, None)?;
    match distinct {
        Some(distinct) if !(1..=ROWS_MAX).contains(&distinct) => fault(
            format!("`distinct` is {distinct}, which is not from 1 to {ROWS_MAX}"),
            "write how many different values there are, or leave it out",
        ),
        _ => Ok(()),
    }
}
