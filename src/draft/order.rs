//! Whether values follow the rows, by the correlation that ANALYZE found.

use super::Statistics;
use crate::profile::{InOrder, Pick, Whole};
use crate::row::ROWS_MAX;

/// From here on values follow the rows.
const FOLLOWS: f64 = 0.9;
/// So far from that of values at random it is still that.
const RANDOM: f64 = 0.1;
/// With so few values any order of them has this correlation.
const ALIKE: f64 = 0.8;

/// How the values of a column follow the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Order {
    /// Not at all.
    Random,
    /// From small to large.
    Ascending,
    /// From large to small.
    Descending,
    /// In part, which is not drawn.
    Between(f64),
}

impl Order {
    pub(super) fn of(statistics: &Statistics, rows: f64) -> Self {
        let Some(correlation) = statistics.correlation else { return Self::Random };
        let random = at_random(statistics, rows);
        match correlation {
            _ if random >= ALIKE => Self::Random,
            up if up >= FOLLOWS => Self::Ascending,
            down if down <= -FOLLOWS => Self::Descending,
            near if (near - random).abs() <= RANDOM => Self::Random,
            between => Self::Between(between),
        }
    }

    /// How a profile chooses so, of a table of so many rows; `None`: at random.
    pub(super) fn pick(self, rows: f64) -> Option<Pick> {
        let rows = Some(Whole(rows.clamp(1.0, ROWS_MAX as f64) as i64));
        match self {
            Self::Random | Self::Between(_) => None,
            Self::Ascending => Some(Pick::Ascending(InOrder { rows })),
            Self::Descending => Some(Pick::Descending(InOrder { rows })),
        }
    }
}

/// The correlation of values at random. ANALYZE takes equal values in the order of their rows, so each of them
/// adds the square of its share.
fn at_random(statistics: &Statistics, rows: f64) -> f64 {
    let present = statistics.present().max(f64::MIN_POSITIVE);
    let square = |share: f64| (share / present).powi(2);
    let common: f64 = statistics.common.iter().map(|(_, share)| square(*share)).sum();
    let others = statistics.distinct(rows) - statistics.common.len() as f64;
    let rest = (present - statistics.common_share()).max(0.0);
    common + if others >= 1.0 { square(rest) / others } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(common: &[f64], n_distinct: f64, correlation: f64) -> Statistics {
        let common = common.iter().map(|share| (String::new(), *share)).collect();
        Statistics { common, n_distinct, correlation: Some(correlation), ..Statistics::default() }
    }

    #[test]
    fn a_few_values_at_random_are_not_in_order() {
        let half = [0.5, 0.5];
        for (common, distinct, correlation, order) in [
            (&half[..], 2.0, 0.5, Order::Random),
            (&half, 2.0, 1.0, Order::Ascending),
            (&half, 2.0, 0.2, Order::Between(0.2)),
            (&[0.99, 0.01], 2.0, 0.98, Order::Random),
            (&[1.0], 1.0, 1.0, Order::Random),
            (&[], -1.0, 0.05, Order::Random),
            (&[], -1.0, -0.95, Order::Descending),
            (&[], -1.0, 0.5, Order::Between(0.5)),
            (&[], 4.0, 0.25, Order::Random),
        ] {
            let statistics = statistics(common, distinct, correlation);
            assert_eq!(Order::of(&statistics, 1e6), order, "{common:?} {correlation}");
        }
    }
}
