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

/// Which of several are shown, by the logarithms of their probabilities by chance: the same method, so that
/// any is shown by chance with the probability `level` at most.
pub fn shown_together(log_p: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..log_p.len()).collect();
    order.sort_by(|one, other| log_p[*one].total_cmp(&log_p[*other]));
    let mut shown = vec![false; log_p.len()];
    for (rank, place) in order.into_iter().enumerate() {
        if log_p[place] > (level / (log_p.len() - rank) as f64).ln() {
            break;
        }
        shown[place] = true;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shown_together;

    #[test]
    fn the_more_there_are_the_more_each_needs() {
        let shown =
            |all: &[f64]| shown_together(&all.iter().map(|p| p.ln()).collect::<Vec<_>>(), 0.05);
        assert_eq!(shown(&[0.04]), [true]);
        assert_eq!(shown(&[0.04, 0.5]), [false, false]);
        assert_eq!(shown(&[0.04, 0.01, 0.02]), [true, true, true]);
        // The second one stops those behind it.
        assert_eq!(shown(&[0.001, 0.03, 0.04]), [true, false, false]);
        assert_eq!(shown(&[]), Vec::<bool>::new());
    }
}
