//! How the rate of a stream goes over time: the `[stream.shape]` section.

use std::num::NonZeroU64;
use std::time::Duration;

use super::limits::{Limits, TEN_YEARS_S};
use super::resolver::{Resolver, seconds};
use crate::pace::{Curve, Rate, Stage};
use crate::profile::{self, Located, RateOrMax, Time};
use crate::quantity::parse_duration;

const TO: Limits = Limits {
    default: 0.0,
    min: 0.0,
    max: 1e9,
    is_whole: true,
    range: "0 to 1,000,000,000",
    fix: "choose a whole number of rows per second",
};
const OVER_RANGE: &str = "0 s to 10 years";
const AMPLITUDE: Limits = Limits {
    default: 0.5,
    min: f64::MIN_POSITIVE,
    max: 1.0,
    is_whole: false,
    range: "0 (not included) to 1",
    fix: "choose a share of the rate, such as 0.5",
};
const PERIOD_S: Limits = Limits {
    default: 600.0,
    min: 1e-3,
    max: TEN_YEARS_S,
    is_whole: false,
    range: "1 ms to 10 years",
    fix: "choose seconds from peak to peak, such as 600",
};

/// How the rate of a stream goes over time.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// It stays.
    Steady,
    /// From 0 through these stages.
    Stages(Vec<Stage>),
    /// A wave around it.
    Sine {
        /// As a share of the rate.
        amplitude: f64,
        /// From peak to peak.
        period: Duration,
    },
}

impl Shape {
    /// The rate over time, around this one; `None` if that cannot be counted.
    pub(super) fn curve(&self, per_s: NonZeroU64) -> Option<Curve> {
        match self {
            Self::Steady => Some(Curve::steady(Rate::per_second(per_s))),
            Self::Stages(stages) => Curve::stages(stages),
            Self::Sine { amplitude, period } => Curve::wave(per_s, *amplitude, *period),
        }
    }

    /// The highest rate as a multiple of the rate around which it goes.
    pub(super) fn peak_factor(&self) -> f64 {
        match self {
            Self::Steady | Self::Stages(_) => 1.0,
            Self::Sine { amplitude, .. } => 1.0 + amplitude,
        }
    }
}

impl Resolver<'_> {
    /// The shape; of stages, the highest rate too.
    pub(super) fn shape(
        &mut self,
        shape: &mut Option<Located<profile::Shape>>,
        rate: Option<&Located<RateOrMax>>,
    ) -> (Shape, Option<NonZeroU64>) {
        let Some(shape) = shape else { return (Shape::Steady, None) };
        let place = shape.with(());
        if let Some(max) = rate.filter(|rate| ***rate == RateOrMax::Max) {
            let (subject, shown) = self.report.words("rows_per_s", &max.span());
            let what = format!("{subject} is {shown}, which has no shape");
            let fix = "leave out `[stream.shape]`, or give a rate such as 3000";
            self.fault(Some(max), what, fix.to_owned());
            return (Shape::Steady, None);
        }
        let profile::Shape { stages, sine } = &mut **shape;
        match (stages, sine) {
            (Some(stages), None) => self.stages(stages, rate),
            (None, Some(sine)) => (self.sine(sine), None),
            (None, None) => {
                let what = "the shape has neither `stages` nor `sine`".to_owned();
                self.fault(Some(&place), what, "give one, or leave the shape out".to_owned());
                (Shape::Steady, None)
            }
            (Some(_), Some(sine)) => {
                let what = "the shape has both `stages` and `sine`".to_owned();
                self.fault(Some(sine), what, "leave one out".to_owned());
                (Shape::Steady, None)
            }
        }
    }

    fn stages(
        &mut self,
        written: &mut Located<Vec<Located<profile::Stage>>>,
        rate: Option<&Located<RateOrMax>>,
    ) -> (Shape, Option<NonZeroU64>) {
        if let Some(rate) = rate {
            let (subject, shown) = self.report.words("rows_per_s", &rate.span());
            let what = format!("{subject} is {shown}, but stages are the rate themselves");
            let fix = format!(
                "leave it out; to begin with it, write {{ to = {shown}, over = 0 }} as the first stage"
            );
            self.fault(Some(rate), what, fix);
        }
        let place = written.with(());
        let mut stages = Vec::with_capacity(written.len());
        let mut faulty = false;
        for stage in written.iter_mut() {
            let resolved = self.stage(stage);
            faulty |= resolved.is_none();
            stages.extend(resolved);
        }
        for (pair, stage) in stages.windows(2).zip(written.iter()) {
            if let [first, next] = pair
                && first.over.is_zero()
                && next.over.is_zero()
                && !faulty
            {
                let what = "the stage is a step, and the next one too: this one does nothing";
                let fix = "leave it out, or write how long it takes as `over`";
                self.fault(Some(stage), what.to_owned(), fix.to_owned());
                faulty = true;
            }
        }
        let highest = stages.iter().map(|stage| stage.to).max().and_then(NonZeroU64::new);
        if faulty {
            return (Shape::Steady, highest);
        }
        if highest.is_none() {
            let what = "no stage has a rate above 0, so no row ever falls due".to_owned();
            let fix = "write stages such as { to = 30000, over = \"60s\" }";
            self.fault(Some(&place), what, fix.to_owned());
        } else if Curve::stages(&stages).is_none() {
            let what = "the stages come to more rows than can be counted".to_owned();
            self.fault(Some(&place), what, "make them shorter, or their rates lower".to_owned());
        }
        (Shape::Stages(stages), highest)
    }

    fn stage(&mut self, stage: &mut Located<profile::Stage>) -> Option<Stage> {
        let place = stage.with(());
        let missing = [("to", stage.to.is_none()), ("over", stage.over.is_none())];
        for (key, _) in missing.iter().filter(|(_, is_missing)| *is_missing) {
            let fix = "write stages such as { to = 30000, over = \"60s\" }; over = 0 is a step";
            let what = format!("the stage has no `{key}`");
            self.report.missing_in(&place.span(), key, what, fix.to_owned());
        }
        let over = stage.over.clone().and_then(|over| self.over(&over));
        let faults = self.replaced.len();
        let to = stage.to.is_some().then(|| self.number("to", &mut stage.to, &TO) as u64);
        let is_right = self.replaced.len() == faults;
        Some(Stage { to: to.filter(|_| is_right)?, over: over? })
    }

    fn over(&mut self, written: &Located<Time>) -> Option<Duration> {
        let fix = "choose a time such as \"60s\" or 60, or 0 for a step";
        let s = match &**written {
            Time::Seconds(s) => s.0,
            Time::Written(text) => match parse_duration(text) {
                Ok(time) => time.as_secs_f64(),
                Err(error) => {
                    self.fault(Some(written), format!("`over`: {error}"), fix.to_owned());
                    return None;
                }
            },
        };
        if (0.0..=TEN_YEARS_S).contains(&s) {
            return Some(seconds(s));
        }
        let (subject, shown) = self.report.words("over", &written.span());
        let what = format!("{subject} is {shown}, outside {OVER_RANGE}");
        self.fault(Some(written), what, fix.to_owned());
        None
    }

    fn sine(&mut self, sine: &mut Located<profile::Sine>) -> Shape {
        let place = sine.with(());
        for (key, is_missing) in
            [("amplitude", sine.amplitude.is_none()), ("period_s", sine.period_s.is_none())]
        {
            if is_missing {
                let fix = "write it as in sine = { amplitude = 0.5, period_s = 600 }";
                let what = format!("the sine has no `{key}`");
                self.report.missing_in(&place.span(), key, what, fix.to_owned());
            }
        }
        Shape::Sine {
            amplitude: self.number("amplitude", &mut sine.amplitude, &AMPLITUDE),
            period: self.time("period_s", &mut sine.period_s, &PERIOD_S),
        }
    }
}
