//! Takes one value after the other out of a profile: within its limits, or with a fault.
//!
//! A default is written into the profile as it is taken: in the end the profile is complete, and
//! resolves to the same plan.

use std::time::Duration;

use serde::Deserialize as _;
use serde::de::DeserializeOwned;

use super::LeftOver;
use super::fault::Fault;
use super::limits::Limits;
use super::overrides::{Override, Overrides};
use super::source::Report;
use crate::profile::{Located, MillisecondsOrOff, Number, RateOrMax, SecondsOrForever, Whole};

/// A number of a profile.
pub(super) trait Amount: Copy {
    fn number(self) -> f64;
    fn of(number: f64) -> Self;
}

impl Amount for Whole {
    fn number(self) -> f64 {
        self.0 as f64
    }

    fn of(number: f64) -> Self {
        Self(number as i64)
    }
}

impl Amount for Number {
    fn number(self) -> f64 {
        self.0
    }

    fn of(number: f64) -> Self {
        Self(number)
    }
}

/// A number of a profile, or a word in its place.
pub(super) trait AmountOrWord: Copy {
    /// `None` for the word.
    fn amount(self) -> Option<Number>;
    fn of(number: Number) -> Self;
}

macro_rules! amount_or_word {
    ($($name:ident::$number:ident),* $(,)?) => {$(
        impl AmountOrWord for $name {
            fn amount(self) -> Option<Number> {
                match self {
                    Self::$number(number) => Some(number),
                    _ => None,
                }
            }

            fn of(number: Number) -> Self {
                Self::$number(number)
            }
        }
    )*};
}

amount_or_word! {
    RateOrMax::PerSecond,
    SecondsOrForever::Seconds,
    MillisecondsOrOff::Milliseconds,
}

/// Whole microseconds, which a TOML number holds exactly for ten years.
pub(super) fn seconds(s: f64) -> Duration {
    Duration::from_micros((s * 1e6).round() as u64)
}

pub(super) fn milliseconds(ms: f64) -> Duration {
    Duration::from_micros((ms * 1e3).round() as u64)
}

/// Why a value has no use, though the job has a place for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    /// Behind "has no meaning".
    pub(super) here: &'static str,
    /// How to mend it.
    pub(super) fix: &'static str,
}

/// Takes one value after the other out of a profile, and writes defaults into it.
pub(super) struct Resolver<'a> {
    pub(super) report: Report<'a>,
    /// The profile's seed, once it is resolved.
    pub(super) seed: u64,
    overrides: &'a Overrides,
    /// By override, whether the job has a use for it.
    taken: Vec<bool>,
    /// By override, beside which other choice it has none, and how to mend that.
    idle: Vec<Option<Idle>>,
    /// Single values that this job has no use for.
    pub(super) elsewhere: Vec<LeftOver>,
    /// Keys of numbers that were faulty; a value that depends on one of them is not judged by it.
    pub(super) replaced: Vec<&'static str>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(report: Report<'a>, overrides: &'a Overrides) -> Self {
        let taken = overrides.iter().map(|_| false).collect();
        let idle = overrides.iter().map(|_| None).collect();
        Self {
            report,
            seed: 0,
            overrides,
            taken,
            idle,
            elsewhere: Vec::new(),
            replaced: Vec::new(),
        }
    }

    /// What was given and nothing has taken, with the other choice that makes it idle, if one does.
    pub(super) fn left_over(&self) -> impl Iterator<Item = (&'a Override, Option<Idle>)> {
        let left = self.taken.iter().zip(&self.idle).zip(self.overrides);
        left.filter(|((taken, _), _)| !**taken).map(|((_, idle), given)| (given, *idle))
    }

    /// Notes that a value, though it is of the job, changes nothing beside another choice. The file may
    /// have it all the same: that choice may be made by a flag.
    pub(super) fn note_idle<T>(&mut self, value: Option<&Located<T>>, idle: Idle) {
        if let Some(number) = value.and_then(|value| self.report.override_at(&value.span())) {
            self.taken[number] = false;
            self.idle[number] = Some(idle);
        }
    }

    /// Notes that a value is of use to the job.
    pub(super) fn take<T: Clone>(&mut self, value: Option<&Located<T>>) -> Option<Located<T>> {
        let value = value?;
        self.note_use(value);
        Some(value.clone())
    }

    pub(super) fn note_use<T>(&mut self, value: &Located<T>) {
        if let Some(number) = self.report.override_at(&value.span()) {
            self.taken[number] = true;
        }
    }

    /// What was given of a setting that is no key of the profile.
    pub(super) fn given<T: DeserializeOwned>(&self, flag: &str) -> Option<Located<T>> {
        let number = self.overrides.iter().position(|given| given.setting.flag == flag)?;
        let node = self.overrides.get(number)?.node(&self.report.span_of(number));
        // What a setting's form has read is of its type.
        Located::deserialize(&node).ok()
    }

    /// A choice of a few.
    pub(super) fn choice<T: Copy>(&mut self, value: &mut Option<Located<T>>, default: T) -> T {
        match self.take(value.as_ref()) {
            Some(written) => *written,
            None => {
                *value = Some(default.into());
                default
            }
        }
    }

    /// A time that the file has in seconds.
    pub(super) fn time<T: Amount>(
        &mut self,
        key: &'static str,
        value: &mut Option<Located<T>>,
        limits: &Limits,
    ) -> Duration {
        seconds(self.number(key, value, limits))
    }

    /// A number, or `None` for the word in its place.
    pub(super) fn number_or_word<T: AmountOrWord>(
        &mut self,
        key: &'static str,
        value: &mut Option<Located<T>>,
        limits: &Limits,
    ) -> Option<f64> {
        let mut number = match value {
            None => None,
            Some(written) => match written.amount() {
                Some(number) => Some(written.with(number)),
                None => {
                    self.take(value.as_ref());
                    return None;
                }
            },
        };
        let taken = self.number(key, &mut number, limits);
        *value = number.map(|number| number.with(T::of(*number)));
        Some(taken)
    }

    /// The number within its limits, or a fault and the default.
    pub(super) fn number<T: Amount>(
        &mut self,
        key: &'static str,
        value: &mut Option<Located<T>>,
        limits: &Limits,
    ) -> f64 {
        let Some(written) = self.take(value.as_ref()) else {
            *value = Some(T::of(limits.default).into());
            return limits.default;
        };
        let number = written.number();
        // A range contains no NaN.
        let is_inside = (limits.min..=limits.max).contains(&number);
        if is_inside && (!limits.is_whole || number.fract() == 0.0) {
            return number;
        }
        let (subject, shown) = self.report.words(key, &written.span());
        let what = if is_inside {
            format!("{subject} is {shown}, not a whole number")
        } else {
            format!("{subject} is {shown}, outside {}", limits.range)
        };
        self.fault(Some(&written), what, limits.fix.to_owned());
        self.replaced.push(key);
        limits.default
    }

    /// A fault in a value, or in the profile as a whole.
    pub(super) fn fault<T>(&mut self, value: Option<&Located<T>>, what: String, fix: String) {
        match value {
            Some(value) => self.report.at(&value.span(), what, fix),
            None => self.report.push(Fault { place: self.report.file(), what, fix }),
        }
    }
}
