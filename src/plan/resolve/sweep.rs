//! Resolves the sweep of a profile.

use std::collections::HashSet;
use std::time::Duration;

use super::limits::{Limits, MAX_COMBINATIONS, ROUNDS, STEPS};
use super::{Given, Resolver};
use crate::plan::render::whole;
use crate::plan::sweep::{IfAbsent, Mode, Sweep, SweepSetting, count};
use crate::profile::{self, Located, Profile, SettingValue};
use crate::stats;

/// Most values of one setting: a range whose factor is near 1 must not fill the memory.
const VALUES_MAX: usize = 1000;

impl Resolver<'_> {
    /// The sweep, if the profile has one.
    pub(super) fn sweep(&mut self, profile: &Profile) -> Option<Sweep> {
        let sweep = profile.sweep.as_ref()?;
        match &profile.bench {
            None => self.sweep_fault(
                "the profile has a `[sweep]`, and no `[bench]` whose queries measure it",
                "add `[bench]` with one query or a few",
            ),
            Some(bench) if bench.steps.as_ref().is_some_and(|steps| !steps.is_empty()) => self
                .sweep_fault(
                    "the profile has a `[sweep]`, and steps in its `[bench]`",
                    "write two profiles: a sweep runs all queries in each combination",
                ),
            Some(_) => {}
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
        let mode = sweep.mode.map_or(Mode::Product, Mode::from);
        let values: Vec<usize> = settings.iter().map(|setting| setting.values.len()).collect();
        let combinations = count(mode, &values);
        let none: Option<&Given<Duration>> = None;
        let most = sweep.max_combinations.as_ref();
        let max_combinations = self.number("max_combinations", none, most, &MAX_COMBINATIONS);
        if combinations as f64 > max_combinations {
            let what = format!(
                "the sweep has {combinations} combinations, and `max_combinations` is \
                 {max_combinations}"
            );
            let fix = "leave values out, write `mode = \"one_at_a_time\"`, or raise \
                       `max_combinations`";
            self.sweep_fault(&what, fix);
        }
        let confidence = stats::Settings::default().confidence;
        let needed = stats::rounds_min(combinations, confidence) as f64;
        let limits = Limits { default: ROUNDS.default.max(needed), ..ROUNDS };
        let rounds = self.number("rounds", none, sweep.rounds.as_ref(), &limits);
        // What is too much already is not judged by how often it is done.
        if rounds < needed && combinations as f64 <= max_combinations {
            let file = sweep.rounds.as_ref();
            let what = format!(
                "`rounds` is {rounds}, and {combinations} combinations need {needed}: with fewer, \
                 one that lost every round may have lost by chance"
            );
            let fix = format!("write `rounds = {needed}` or more, or leave it out");
            self.fault(none, file, what, fix);
        }
        let if_absent = sweep.if_absent.map_or(IfAbsent::Refuse, IfAbsent::from);
        Some(Sweep {
            settings,
            mode,
            rounds: rounds as u32,
            max_combinations: max_combinations as u32,
            if_absent,
        })
    }

    fn sweep_fault(&mut self, what: &str, fix: &str) {
        self.fault::<(), ()>(None, None, what.to_owned(), fix.to_owned());
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
        let none: Option<&Given<Duration>> = None;
        let numbers = match (&written.steps, &written.factor) {
            (Some(steps), None) => {
                let steps = self.number("steps", none, Some(steps), &STEPS);
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

impl From<profile::SweepMode> for Mode {
    fn from(mode: profile::SweepMode) -> Self {
        match mode {
            profile::SweepMode::Product => Self::Product,
            profile::SweepMode::OneAtATime => Self::OneAtATime,
        }
    }
}

impl From<profile::IfAbsent> for IfAbsent {
    fn from(if_absent: profile::IfAbsent) -> Self {
        match if_absent {
            profile::IfAbsent::Refuse => Self::Refuse,
            profile::IfAbsent::Skip => Self::Skip,
        }
    }
}

impl From<&Sweep> for profile::Sweep {
    fn from(sweep: &Sweep) -> Self {
        let setting = |setting: &SweepSetting| {
            let value = |value: &String| SettingValue(value.clone()).into();
            let name = Some(setting.name.clone().into());
            let values = Some(setting.values.iter().map(value).collect());
            profile::SweepSetting { name, values, ..profile::SweepSetting::default() }.into()
        };
        Self {
            mode: Some(match sweep.mode {
                Mode::Product => profile::SweepMode::Product,
                Mode::OneAtATime => profile::SweepMode::OneAtATime,
            }),
            rounds: Some(whole(sweep.rounds)),
            max_combinations: Some(whole(sweep.max_combinations)),
            if_absent: Some(match sweep.if_absent {
                IfAbsent::Refuse => profile::IfAbsent::Refuse,
                IfAbsent::Skip => profile::IfAbsent::Skip,
            }),
            settings: Some(sweep.settings.iter().map(setting).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::sweep::SweepSetting;
    use crate::plan::{Job, Overrides, Plan, ProfileSource};

    fn resolve(sweep: &str) -> Result<Vec<SweepSetting>, String> {
        let bench = "[[bench.queries]]\nname = \"one\"\nsql = \"SELECT 1\"\n";
        let text = format!("name = \"s\"\n{sweep}\n{bench}");
        let source = ProfileSource { name: "s.toml".to_owned(), text };
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
