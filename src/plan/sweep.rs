//! The plan of a sweep: settings, their values, and the combinations of them.

use std::collections::HashSet;

use super::bench::Bench;
use super::limits::Limits;
use super::resolver::Resolver;
use crate::profile::{self, Located, Profile, SettingValue};
use crate::stats;

pub(crate) use crate::profile::{IfAbsent, SweepMode as Mode};

/// Most values of one setting: a range whose factor is near 1 must not fill the memory.
const VALUES_MAX: usize = 1000;

const ROUNDS: Limits = Limits {
    // Combinations that are shown to be slower are left out before.
    default: 30.0,
    min: 1.0,
    max: 10_000.0,
    is_whole: true,
    range: "1 to 10,000",
    fix: "choose how often each combination is measured at most, such as 30",
};
const MAX_COMBINATIONS: Limits = Limits {
    default: 64.0,
    min: 1.0,
    max: 10_000.0,
    is_whole: true,
    range: "1 to 10,000",
    fix: "choose the most combinations that you have time for, such as 64",
};
const STEPS: Limits = Limits {
    default: 2.0,
    min: 2.0,
    max: 1000.0,
    is_whole: true,
    range: "2 to 1,000",
    fix: "choose how many values the range has, its two ends included, such as 5",
};

/// Settings of the server, compared by the queries of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepJob {
    /// The queries.
    pub bench: Bench,
    /// The settings.
    pub sweep: Sweep,
}

/// Settings whose values are compared by the queries of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The settings; at least one, each with at least one value.
    pub settings: Vec<SweepSetting>,
    /// Which combinations are measured.
    pub mode: Mode,
    /// Rounds at most, each of which measures once every combination that may be the best one.
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

/// For each setting the index of its value; `None` is what the server has at present.
pub(crate) type Combination = Vec<Option<usize>>;

/// How many combinations `mode` makes of so many values of each setting; saturating.
pub(crate) fn count(mode: Mode, values: &[usize]) -> usize {
    match mode {
        Mode::Product => values.iter().fold(1, |all: usize, own| all.saturating_mul(*own)),
        Mode::OneAtATime => values.iter().fold(1, |all: usize, own| all.saturating_add(*own)),
    }
}

/// Every combination, in the order of the file: the last setting changes fastest. One at a time
/// begins with the server as it is.
pub(crate) fn combinations(mode: Mode, values: &[usize]) -> Vec<Combination> {
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

impl Resolver<'_> {
    pub(super) fn sweep(&mut self, profile: &mut Profile) -> Sweep {
        let sweep = profile.sweep.get_or_insert_default();
        let steps = profile.bench.as_ref().and_then(|bench| bench.steps.as_deref());
        if steps.is_some_and(|steps| !steps.is_empty()) {
            self.sweep_fault(
                "the profile has a `[sweep]`, and steps in its `[bench]`",
                "write two profiles: a sweep runs all queries in each combination",
            );
        }
        if profile.arms.is_some() {
            self.sweep_fault(
                "the profile has a `[sweep]`, and arms",
                "delete the arms: the combinations take their place",
            );
        }
        let written = sweep.settings.as_deref().unwrap_or_default();
        if written.is_empty() && !self.report.damaged("sweep.settings") {
            self.sweep_fault(
                "the sweep has no setting",
                "add one under `[[sweep.settings]]`, with `name` and `values`",
            );
        }
        let mut names = HashSet::new();
        let settings: Vec<SweepSetting> =
            written.iter().filter_map(|setting| self.sweep_setting(setting, &mut names)).collect();
        sweep.settings = Some(settings.iter().map(complete).collect());
        let mode = *sweep.mode.get_or_insert(Mode::Product);
        let values: Vec<usize> = settings.iter().map(|setting| setting.values.len()).collect();
        let combinations = count(mode, &values);
        let most = &mut sweep.max_combinations;
        let max_combinations = self.number("max_combinations", most, &MAX_COMBINATIONS);
        if combinations as f64 > max_combinations {
            let what = format!(
                "the sweep has {combinations} combinations, and `max_combinations` is \
                 {max_combinations}"
            );
            let fix = "leave values out, write `mode = \"one_at_a_time\"`, or raise \
                       `max_combinations`";
            self.sweep_fault(&what, fix);
        }
        let needed = stats::ROUNDS_MIN as f64;
        let rounds = self.number("rounds", &mut sweep.rounds, &ROUNDS);
        // What is too much already is not judged by how often it is done.
        if rounds < needed && combinations as f64 <= max_combinations {
            let file = sweep.rounds.as_ref();
            let what = format!(
                "`rounds` is {rounds}, and nothing can be said of fewer than {needed}: a combination \
                 that lost every round may have lost by chance"
            );
            let fix = format!("write `rounds = {needed}` or more, or leave it out");
            self.fault(file, what, fix);
        }
        Sweep {
            settings,
            mode,
            rounds: rounds as u32,
            max_combinations: max_combinations as u32,
            if_absent: *sweep.if_absent.get_or_insert(IfAbsent::Refuse),
        }
    }

    fn sweep_fault(&mut self, what: &str, fix: &str) {
        self.fault::<()>(None, what.to_owned(), fix.to_owned());
    }

    fn sweep_setting(
        &mut self,
        written: &Located<profile::SweepSetting>,
        names: &mut HashSet<String>,
    ) -> Option<SweepSetting> {
        let Some(name) = &written.name else {
            let what = "a setting of the sweep has no `name`".to_owned();
            let fix = "add it, for example `name = \"work_mem\"`".to_owned();
            self.report.missing_in(&written.span(), "name", what, fix);
            return None;
        };
        let is_name = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
        if !is_name {
            let what = format!("`{}` is not the name of a setting", name.as_str());
            let fix = "write it as SET takes it, such as `work_mem`".to_owned();
            self.report.at(&name.span(), what, fix);
        } else if !names.insert(name.to_ascii_lowercase()) {
            let what = format!("`{}` is in the sweep twice", name.as_str());
            let fix = "write all its values in one place".to_owned();
            self.report.at(&name.span(), what, fix);
        }
        let values = self.sweep_values(written, name)?;
        Some(SweepSetting { name: name.to_string(), values })
    }

    fn sweep_values(
        &mut self,
        written: &Located<profile::SweepSetting>,
        name: &Located<String>,
    ) -> Option<Vec<String>> {
        let is_range = written.from.is_some()
            || written.to.is_some()
            || written.steps.is_some()
            || written.factor.is_some();
        if is_range && written.values.is_some() {
            let what = format!("`{}` has `values`, and a range", name.as_str());
            let fix = "write either `values`, or `from`, `to` and `steps` or `factor`".to_owned();
            self.report.at(&name.span(), what, fix);
            return None;
        }
        if is_range {
            return self.range(written, name);
        }
        let mut seen = HashSet::new();
        let mut values = Vec::new();
        for value in written.values.iter().flatten() {
            if seen.insert(value.0.clone()) {
                values.push(value.0.clone());
            } else {
                let what = format!("`{}` has the value {} twice", name.as_str(), value.0);
                self.report.at(&value.span(), what, "delete one of them".to_owned());
            }
        }
        if values.is_empty() {
            let what = format!("`{}` has no values", name.as_str());
            let fix = "write a list such as `values = [\"4MB\", \"64MB\"]`, or `from`, `to` and \
                       `steps` or `factor`";
            self.report.at(&name.span(), what, fix.to_owned());
            return None;
        }
        Some(values)
    }

    fn range(
        &mut self,
        written: &profile::SweepSetting,
        name: &Located<String>,
    ) -> Option<Vec<String>> {
        let fault = |this: &mut Self, what: &str, fix: &str| {
            let what = format!("the range of `{}` {what}", name.as_str());
            this.report.at(&name.span(), what, fix.to_owned());
        };
        let (Some(from), Some(to)) = (&written.from, &written.to) else {
            fault(self, "has only one end", "write both `from` and `to`");
            return None;
        };
        let (Some((first, unit)), Some((last, last_unit))) = (quantity(from), quantity(to)) else {
            fault(
                self,
                "has an end that is no number",
                "write a number, or one with a unit, such as \"64MB\"",
            );
            return None;
        };
        if unit != last_unit || first >= last {
            fault(
                self,
                "does not rise from `from` to `to`",
                "write both in the same unit, the lesser one first",
            );
            return None;
        }
        let is_whole = first.fract() == 0.0 && last.fract() == 0.0;
        let numbers = match (&written.steps, &written.factor) {
            (Some(steps), None) => {
                let steps = self.number("steps", &mut Some(steps.clone()), &STEPS);
                let at = |step: u32| first + (last - first) * f64::from(step) / (steps - 1.0);
                (0..steps as u32).map(at).collect()
            }
            (None, Some(factor)) if factor.0 > 1.0 && factor.0.is_finite() && first > 0.0 => {
                // What rounding took from the last one must not cost it.
                let next = |value: &f64| Some(value * factor.0);
                let inside = |value: &f64| *value <= last * (1.0 + 1e-9);
                std::iter::successors(Some(first), next)
                    .take_while(inside)
                    .take(VALUES_MAX)
                    .collect()
            }
            (None, Some(_)) => {
                fault(
                    self,
                    "cannot grow by its `factor`",
                    "write a `factor` above 1, and a `from` above 0",
                );
                return None;
            }
            _ => {
                fault(self, "has no step, or two", "write either `steps` or `factor`");
                return None;
            }
        };
        let numbers: Vec<f64> = numbers;
        let mut values: Vec<String> = numbers
            .iter()
            .map(|value| {
                let value = if is_whole { value.round() } else { (value * 1e6).round() / 1e6 };
                format!("{value}{unit}")
            })
            .collect();
        values.dedup();
        Some(values)
    }
}

/// A number and the unit behind it.
fn quantity(value: &SettingValue) -> Option<(f64, &str)> {
    let text = value.0.trim();
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.trim().parse().ok()?;
    number.is_finite().then_some((number, unit))
}

/// A setting with its values as a list.
fn complete(setting: &SweepSetting) -> Located<profile::SweepSetting> {
    let value = |value: &String| SettingValue(value.clone()).into();
    let name = Some(setting.name.clone().into());
    let values = Some(setting.values.iter().map(value).collect());
    profile::SweepSetting { name, values, ..profile::SweepSetting::default() }.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Job, Overrides, Plan, ProfileSource};

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

    fn resolve(sweep: &str) -> Result<Vec<SweepSetting>, String> {
        let bench = "[[bench.queries]]\nname = \"one\"\nsql = \"SELECT 1\"\n";
        let text = format!("name = \"s\"\n{sweep}\n{bench}");
        let source = ProfileSource::new("s.toml", text);
        let plan = Plan::resolve(&source, &Overrides::default()).map_err(|e| e.to_string())?;
        let Job::Sweep(job) = plan.job else { panic!("not a sweep") };
        Ok(job.sweep.settings)
    }

    fn range(keys: &str) -> Vec<String> {
        let sweep = format!("[[sweep.settings]]\nname = \"work_mem\"\n{keys}");
        resolve(&sweep).unwrap().remove(0).values
    }

    #[test]
    fn a_range_is_a_list() {
        assert_eq!(range("from = \"4MB\"\nto = \"64MB\"\nfactor = 4"), ["4MB", "16MB", "64MB"]);
        assert_eq!(range("from = 0\nto = 4\nsteps = 3"), ["0", "2", "4"]);
        assert_eq!(range("from = 0.1\nto = 0.4\nsteps = 4"), ["0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(range("from = 1\nto = 2\nsteps = 5"), ["1", "2"], "whole numbers stay whole");
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let faults = resolve(
            "[sweep]\nrounds = 2\nmax_combinations = 3\n\
             [[sweep.settings]]\nname = \"work_mem\"\nvalues = []\n\
             [[sweep.settings]]\nname = \"jit\"\nvalues = [true, \"on\"]\n\
             [[sweep.settings]]\nname = \"JIT\"\nvalues = [true, false]\n\
             [[sweep.settings]]\nname = \"seed\"\nfrom = 1\nto = \"2MB\"\nsteps = 2\n\
             [[sweep.settings]]\nname = \"enable_sort\"\nvalues = [1, 2]\n\
             [[sweep.settings]]\nvalues = [1]\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(faults);
    }
}
