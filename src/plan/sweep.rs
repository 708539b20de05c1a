//! The plan of a sweep: settings, their values, and the combinations of them.

/// Settings whose values are compared by the queries of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The settings; at least one, each with at least one value.
    pub settings: Vec<SweepSetting>,
    /// Which combinations are measured.
    pub mode: Mode,
    /// Rounds, each of which measures every combination once.
    pub rounds: u32,
    /// Most combinations.
    pub max_combinations: u32,
    /// What becomes of a setting of PG-Strom that the server does not have.
    pub if_absent: IfAbsent,
}

/// A setting and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepSetting {
    /// Its name.
    pub name: String,
    /// Its values, each once, as SET takes them.
    pub values: Vec<String>,
}

/// Which combinations are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each value of each setting with each value of all others.
    Product,
    /// Each value of each setting alone, and once none of them.
    OneAtATime,
}

/// What becomes of a setting of PG-Strom that the server does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    /// Nothing is run.
    Refuse,
    /// It is left out.
    Skip,
}

/// For each setting the index of its value; `None` is what the server has at present.
pub type Combination = Vec<Option<usize>>;

/// How many combinations `mode` makes of so many values of each setting; saturating.
pub fn count(mode: Mode, values: &[usize]) -> usize {
    match mode {
        Mode::Product => values.iter().fold(1, |all: usize, own| all.saturating_mul(*own)),
        Mode::OneAtATime => values.iter().fold(1, |all: usize, own| all.saturating_add(*own)),
    }
}

/// Every combination, in the order of the file: the last setting changes fastest. One at a time
/// begins with the server as it is.
pub fn combinations(mode: Mode, values: &[usize]) -> Vec<Combination> {
    match mode {
        Mode::Product => values.iter().fold(vec![Vec::new()], |all, own| {
            let with = |before: &Combination| {
                let before = before.clone();
                (0..*own).map(move |value| {
                    let mut combination = before.clone();
                    combination.push(Some(value));
                    combination
                })
            };
            all.iter().flat_map(with).collect()
        }),
        Mode::OneAtATime => {
            let alone = |(setting, own): (usize, &usize)| {
                let of = values.len();
                (0..*own).map(move |value| {
                    let mut combination = vec![None; of];
                    combination[setting] = Some(value);
                    combination
                })
            };
            let present = std::iter::once(vec![None; values.len()]);
            present.chain(values.iter().enumerate().flat_map(alone)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_product_has_every_pair_and_one_at_a_time_each_value_once() {
        let product = combinations(Mode::Product, &[2, 2]);
        let pairs = [[0, 0], [0, 1], [1, 0], [1, 1]];
        assert_eq!(product, pairs.map(|pair| pair.map(Some).to_vec()));
        let alone = combinations(Mode::OneAtATime, &[1, 2]);
        let wanted = [[None, None], [Some(0), None], [None, Some(0)], [None, Some(1)]];
        assert_eq!(alone, wanted.map(|one| one.to_vec()));
    }

    proptest! {
        #[test]
        fn they_are_as_many_as_counted_and_all_different(
            values in prop::collection::vec(1_usize..5, 1..5),
            product: bool,
        ) {
            let mode = if product { Mode::Product } else { Mode::OneAtATime };
            let mut all = combinations(mode, &values);
            prop_assert_eq!(all.len(), count(mode, &values));
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), count(mode, &values));
        }
    }
}
