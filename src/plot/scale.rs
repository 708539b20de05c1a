//! Where a value lies on an axis, and which values are worth a tick.

/// How an axis goes from its least to its greatest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Linear,
    Log,
}

/// An axis with its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

/// Steps of a time axis, in seconds.
const TIME_STEPS: [f64; 22] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0,
    3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0,
];
/// Beyond this steps are no longer told apart.
const MOST: f64 = 1e15;
/// The least value of a logarithmic axis.
const LOG_LEAST: f64 = 1e-12;

impl Scale {
    /// From 0 to a round value that is no less than `greatest`.
    pub fn from_zero(greatest: f64, most: usize) -> Self {
        Self::linear(0.0, if greatest > 0.0 { greatest } else { 1.0 }, most)
    }

    /// Between round values around these.
    pub fn linear(least: f64, greatest: f64, most: usize) -> Self {
        let (least, greatest) = ordered(least, greatest);
        let span = if greatest > least { greatest - least } else { greatest.abs().max(1.0) };
        let step = round_step(span / most.max(1) as f64);
        let (first, last) = ((least / step).floor(), (greatest / step).ceil());
        let last = if last > first { last } else { first + 1.0 };
        let count = (last - first) as usize;
        let ticks = (0..=count).map(|at| (first + at as f64) * step).collect();
        Self { kind: Kind::Linear, low: first * step, high: last * step, ticks }
    }

    /// Logarithmic, between values of the series 1, 2, 5 around these.
    pub fn log(least: f64, greatest: f64, most: usize) -> Self {
        let (least, greatest) = ordered(least.max(LOG_LEAST), greatest.max(LOG_LEAST));
        let (low, high) = (series_below(least), series_above(greatest));
        let high = if high > low * 1.5 { high } else { series_above(low * 1.5) };
        let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
        let all = |digits: &'static [f64]| -> Vec<f64> {
            let ticks = decades
                .clone()
                .flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)));
            ticks.filter(|tick| *tick > low * 0.999 && *tick < high * 1.001).collect()
        };
        let mut ticks = all(&[1.0, 2.0, 5.0]);
        if ticks.len() > most {
            let tens = all(&[1.0]);
            ticks = if tens.len() > 1 { tens } else { ticks };
        }
        // A tick for each second, third … decade where even decades are too many.
        let each = ticks.len().div_ceil(most.max(2));
        let ticks = ticks.into_iter().step_by(each.max(1)).collect();
        Self { kind: Kind::Log, low, high, ticks }
    }

    /// Logarithmic where the greatest is more than `ratio` times the least, and else linear.
    pub fn by_spread(least: f64, greatest: f64, ratio: f64, most: usize) -> Self {
        match least > 0.0 && greatest / least > ratio {
            true => Self::log(least, greatest, most),
            false => Self::linear(least, greatest, most),
        }
    }

    /// Logarithmic, with exactly these ends and ticks.
    pub fn log_with(low: f64, high: f64, ticks: Vec<f64>) -> Self {
        let (low, high) = ordered(low.max(LOG_LEAST), high.max(LOG_LEAST));
        Self { kind: Kind::Log, low, high: high.max(low * 1.001), ticks }
    }

    /// Of seconds, with exactly these ends.
    pub fn time(from_s: f64, to_s: f64, most: usize) -> Self {
        let (low, high) = ordered(from_s, to_s);
        let high = if high > low { high } else { low + 1.0 };
        let span = high - low;
        let step = TIME_STEPS.into_iter().find(|step| span / step <= most as f64);
        let step = step.unwrap_or_else(|| round_step(span / 86_400.0 / most as f64) * 86_400.0);
        let (first, last) =
            ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let ticks = (first..=last).map(|at| at as f64 * step).collect();
        Self { kind: Kind::Linear, low, high, ticks }
    }

    /// Where a value lies, from 0 at the least to 1 at the greatest; what lies beyond is at the end.
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log => {
                let value = value.max(LOG_LEAST);
                (value / self.low).ln() / (self.high / self.low).ln()
            }
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// The value at a share of the axis.
    pub fn value(&self, share: f64) -> f64 {
        match self.kind {
            Kind::Linear => self.low + share * (self.high - self.low),
            Kind::Log => self.low * (self.high / self.low).powf(share),
        }
    }

    /// The values with a tick, ascending.
    pub fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    /// The least value.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The greatest value.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// How the ticks of a time axis are written: the unit stands at the first of them.
    pub fn time_labels(&self) -> Vec<String> {
        let step = self.ticks.get(1).zip(self.ticks.first()).map_or(1.0, |(b, a)| b - a);
        let (unit, unit_s) = match step {
            s if s < 60.0 => ("s", 1.0),
            s if s < 3600.0 => ("min", 60.0),
            s if s < 86_400.0 => ("h", 3600.0),
            _ => ("d", 86_400.0),
        };
        let decimals = usize::from(step < 1.0);
        let ticks = self.ticks.iter().enumerate();
        ticks
            .map(|(at, tick)| {
                let number = format!("{:.decimals$}", tick / unit_s);
                if at == 0 { format!("{number}\u{a0}{unit}") } else { number }
            })
            .collect()
    }
}

/// Both finite, and the lesser first.
fn ordered(one: f64, other: f64) -> (f64, f64) {
    let held = |value: f64| if value.is_finite() { value.clamp(-MOST, MOST) } else { 0.0 };
    let (one, other) = (held(one), held(other));
    (one.min(other), one.max(other))
}

/// The least of 1, 2, 5 × 10ⁿ that is no less than a step.
fn round_step(step: f64) -> f64 {
    let step = if step > 0.0 && step.is_finite() { step } else { 1.0 };
    let ten = 10_f64.powf(step.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0];
    digits
        .into_iter()
        .map(|digit| digit * ten)
        .find(|round| *round >= step * 0.9999)
        .unwrap_or(step)
}

fn series_below(value: f64) -> f64 {
    let ten = 10_f64.powf(value.log10().floor());
    let digits = [5.0, 2.0, 1.0];
    digits.into_iter().map(|digit| digit * ten).find(|own| *own <= value * 1.0001).unwrap_or(ten)
}

fn series_above(value: f64) -> f64 {
    let ten = 10_f64.powf(value.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0];
    digits
        .into_iter()
        .map(|digit| digit * ten)
        .find(|own| *own >= value * 0.9999)
        .unwrap_or(ten * 10.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        let linear = |least, greatest| Scale::linear(least, greatest, 5).ticks().to_vec();
        assert_eq!(linear(0.0, 3_300.0), [0.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0]);
        assert_eq!(linear(400.0, 950.0), [400.0, 600.0, 800.0, 1_000.0]);
        assert_eq!(Scale::from_zero(0.0, 4).ticks(), [0.0, 0.5, 1.0]);
        let log = |least, greatest| Scale::log(least, greatest, 9).ticks().to_vec();
        assert_eq!(log(0.6, 212.0), [1.0, 10.0, 100.0]);
        assert_eq!(log(4.0, 90.0), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(log(1.0, 1.0), [1.0, 2.0]);
    }

    #[test]
    fn time_is_told_in_its_unit() {
        let labels = |to| Scale::time(0.0, to, 8).time_labels().join(" ");
        assert_eq!(labels(63.0), "0\u{a0}s 10 20 30 40 50 60");
        assert_eq!(labels(0.7), "0.0\u{a0}s 0.1 0.2 0.3 0.4 0.5 0.6 0.7");
        assert_eq!(labels(1_800.0), "0\u{a0}min 5 10 15 20 25 30");
        assert_eq!(labels(86_400.0), "0\u{a0}h 3 6 9 12 15 18 21 24");
        assert_eq!(labels(7.0 * 86_400.0), "0\u{a0}d 1 2 3 4 5 6 7");
    }

    proptest! {
        #[test]
        fn ticks_ascend_and_lie_inside(a in -1e9..1e9_f64, b in -1e9..1e9_f64, most in 2..9_usize) {
            for scale in [
                Scale::linear(a, b, most),
                Scale::log(a.abs(), b.abs(), most),
                Scale::time(0.0, a.abs(), most),
                Scale::by_spread(a.abs(), b.abs(), 5.0, most),
            ] {
                let ticks = scale.ticks();
                prop_assert!(!ticks.is_empty() && ticks.len() <= most + 2, "{scale:?}");
                prop_assert!(ticks.is_sorted_by(|a, b| a < b), "{scale:?}");
                let slack = (scale.high() - scale.low()) * 1e-9;
                let inside = |tick: &f64| *tick >= scale.low() - slack && *tick <= scale.high() + slack;
                prop_assert!(ticks.iter().all(inside), "{scale:?}");
            }
        }

        #[test]
        fn what_is_more_lies_further(a in 1e-6..1e9_f64, b in 1e-6..1e9_f64) {
            for scale in [Scale::linear(1e-3, 1e6, 5), Scale::log(1e-3, 1e6, 5)] {
                prop_assert!(a > b || scale.share(a) <= scale.share(b));
                prop_assert!((0.0..=1.0).contains(&scale.share(a)));
                let inside = a.clamp(1e-3, 1e6);
                prop_assert!((scale.value(scale.share(inside)) / inside - 1.0).abs() < 1e-6);
            }
        }

        #[test]
        fn no_number_has_no_place(a in any::<f64>(), b in any::<f64>(), value in any::<f64>()) {
            for scale in [Scale::linear(a, b, 5), Scale::log(a, b, 5), Scale::time(a, a.abs().min(1e12), 5)] {
                prop_assert!((0.0..=1.0).contains(&scale.share(value)), "{scale:?}");
            }
        }
    }
}
