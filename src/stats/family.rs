//! Several comparisons beside each other: the more there are, the more evidence each needs.

use super::pair::Settings;
use super::paired::Comparison;

/// Keeps the probability that any of these comparisons has a wrong direction to what the
/// confidence leaves for one, by the method of Holm (1979): the one with the most evidence must
/// hold against all of them, the next against those that are left, and so on. After the first one
/// that does not, none has a direction. `planned` of them are to be made: those that are missing
/// yet count too.
pub fn holm<'a>(
    comparisons: impl Iterator<Item = &'a mut Comparison>,
    planned: usize,
    settings: &Settings,
) {
    let mut comparisons: Vec<&mut Comparison> = comparisons.collect();
    let evidence = |comparison: &Comparison| comparison.evidence.unwrap_or(f64::NEG_INFINITY);
    comparisons.sort_by(|one, other| evidence(other).total_cmp(&evidence(one)));
    let mut left = comparisons.len().max(planned);
    for comparison in comparisons {
        if comparison.require(settings.needed(left)) {
            left -= 1;
        }
    }
}
