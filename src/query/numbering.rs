//! Which values each execution of a query is asked with, by number. In a round both arms have the same for
//! their samples, so that a pair compares the same work. Pure.

use super::asked::NO_SAMPLE;

/// The numbers of all queries.
#[derive(Debug)]
pub(super) struct Numbering(Vec<OfQuery>);

#[derive(Debug, Clone, Copy, Default)]
struct OfQuery {
    /// The first number of the round.
    first: u64,
    /// By arm: samples that were begun in the round.
    samples: [u64; 2],
    /// By arm: executions that are no samples.
    others: [u64; 2],
}

fn advance(count: &mut u64) -> u64 {
    let before = *count;
    *count += 1;
    before
}

impl Numbering {
    /// Of so many queries.
    pub(super) fn new(queries: usize) -> Self {
        Self(vec![OfQuery::default(); queries])
    }

    /// The number of a sample that begins in one of two arms, or of any execution of a query that has one.
    pub(super) fn sample(&mut self, query: usize, arm: usize) -> u64 {
        let own = &mut self.0[query];
        own.first + advance(&mut own.samples[arm])
    }

    /// The number of what is no sample.
    pub(super) fn other(&mut self, query: usize, arm: usize) -> u64 {
        NO_SAMPLE + advance(&mut self.0[query].others[arm])
    }

    /// The round is over: its numbers do not come again.
    pub(super) fn next_round(&mut self) {
        for own in &mut self.0 {
            own.first += own.samples[0].max(own.samples[1]);
            own.samples = [0; 2];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_arms_of_a_round_have_the_same_numbers_and_no_other_round_has_them() {
        let mut numbering = Numbering::new(2);
        let first: Vec<u64> = (0..3).map(|_| numbering.sample(0, 1)).collect();
        assert_eq!(numbering.other(0, 0), NO_SAMPLE);
        let second: Vec<u64> = (0..5).map(|_| numbering.sample(0, 0)).collect();
        assert_eq!((first.as_slice(), second.as_slice()), (&[0, 1, 2][..], &[0, 1, 2, 3, 4][..]));
        numbering.next_round();
        assert_eq!([numbering.sample(0, 0), numbering.sample(0, 1)], [5, 5]);
        assert_eq!([numbering.other(0, 0), numbering.other(0, 1)], [NO_SAMPLE + 1, NO_SAMPLE]);
        assert_eq!(numbering.sample(1, 0), 0, "each query has its own");
    }
}
