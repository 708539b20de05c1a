//! The best of many combinations, and all that cannot be told from it.

use serde::Serialize;

use super::center::median;
use super::location::Location;
use super::outliers::{tamed, tamed_mean};
use super::pair::{PAIRS_LEAST, Settings, held};

/// Rounds below which no combination is left out: too few to see noise at all.
pub const ROUNDS_MIN: usize = PAIRS_LEAST;

/// One combination among the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Combination {
    /// Rounds in which it was measured.
    pub rounds: usize,
    /// Its median duration; absent if it was never measured.
    pub median_ns: Option<f64>,
    /// Its typical duration, which the interval is of: the geometric mean, in which outliers that come
    /// alone are drawn in; absent if it was never measured.
    pub typical_ns: Option<f64>,
    /// Lower end of the interval of its typical duration, for this combination alone; absent with
    /// fewer than [`ROUNDS_MIN`] rounds.
    pub low_ns: Option<f64>,
    /// Upper end of the interval of its typical duration, for this combination alone.
    pub high_ns: Option<f64>,
    /// Its typical duration ÷ that of the best.
    pub times_best: Option<f64>,
    /// Whether it may be the best one: no other is shown to be faster.
    pub may_be_best: bool,
    /// Whether the intervals say that another one is faster, though not for sure yet.
    pub slower_so_far: bool,
}

/// What a sweep has shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// The combination with the least typical duration among those that may be the best one, if there is one
    /// with enough rounds.
    pub best: Option<usize>,
    /// All of them, in the order given.
    pub combinations: Vec<Combination>,
    /// Rounds that a combination needs before it can be left out.
    pub rounds_min: usize,
    /// With this probability all that are as good as the best are among those that may be it.
    pub confidence: f64,
}

impl Best {
    /// The combinations that may be the best one, `best` among them.
    pub fn candidates(&self) -> impl Iterator<Item = usize> + '_ {
        let all = self.combinations.iter().enumerate();
        all.filter(|(_, combination)| combination.may_be_best).map(|(index, _)| index)
    }

    /// Whether nothing is left to be found out: one combination that was measured is the best.
    pub fn is_decided(&self) -> bool {
        self.best.is_some() && self.candidates().count() == 1
    }
}

/// Finds the combination with the least duration, and those that are shown to be slower than
/// another one.
///
/// `rounds[r][c]` is the duration in ns of combination `c` in round `r`; a round measures each one
/// that is not left out yet, in random order, and `None` is missing. Comparisons are made within
/// rounds, so what slows a whole round down favours nobody.
///
/// One that is as good as the best is left out with at most the probability that
/// `settings.confidence` leaves, however many combinations there are, however many of them are
/// equal, and whenever one looks: the e-value of each comparison has to hold against all pairs of
/// combinations. So it also bounds how often chance names a winner.
pub fn best_of(rounds: &[Vec<Option<u64>>], settings: &Settings) -> Best {
    let count = rounds.iter().map(Vec::len).max().unwrap_or(0);
    let confidence = settings.held_confidence();
    let rivals: Vec<Rival> =
        (0..count).map(|index| Rival::new(rounds, index, confidence)).collect();
    // Without measurement nothing is the best, and what has few may be it.
    let measured = rivals.iter().filter(|rival| rival.typical.is_some()).count();
    let needed = settings.needed(measured * measured.saturating_sub(1) / 2);
    let slower = |rival: &Rival| {
        let faster = rivals.iter().filter(|other| other.typical < rival.typical);
        faster.into_iter().any(|other| rival.is_slower_than(other, needed))
    };
    let undefeated: Vec<bool> =
        rivals.iter().map(|rival| rival.typical.is_some() && !slower(rival)).collect();
    let enough = |index: &usize| undefeated[*index] && rivals[*index].values().len() >= ROUNDS_MIN;
    let typical_of = |index: usize| rivals[index].typical.unwrap_or(f64::INFINITY);
    let by_typical = |one: &usize, other: &usize| typical_of(*one).total_cmp(&typical_of(*other));
    let best = (0..count).filter(enough).min_by(by_typical);
    let tail = (1.0 - confidence) / 2.0 / measured.saturating_sub(1).max(1) as f64;
    let lags = |rival: &Rival| {
        let Some(best) = best.map(typical_of) else { return false };
        let equals = rivals.iter().filter(|other| other.typical.is_some_and(|own| own <= best));
        let mut behind = equals.filter_map(|other| rival.lag(other));
        behind.any(|lag| lag.quantile(tail) > 0.0)
    };
    let combination = |(rival, may_be_best): (&Rival, bool)| {
        let interval = rival.interval;
        Combination {
            rounds: rival.values().len(),
            median_ns: rival.median,
            typical_ns: rival.typical,
            low_ns: interval.map(|(low, _)| low),
            high_ns: interval.map(|(_, high)| high),
            times_best: rival.typical.zip(best).map(|(own, best)| own / typical_of(best)),
            may_be_best,
            slower_so_far: lags(rival),
        }
    };
    let combinations = rivals.iter().zip(undefeated).map(combination).collect();
    Best { best, combinations, rounds_min: ROUNDS_MIN, confidence }
}

/// A combination and what it took in each round.
struct Rival {
    /// Logarithms of the durations.
    logs: Vec<Option<f64>>,
    median: Option<f64>,
    /// Of one estimate with its interval: with enough rounds the point lies within.
    typical: Option<f64>,
    interval: Option<(f64, f64)>,
}

impl Rival {
    fn new(rounds: &[Vec<Option<u64>>], index: usize, confidence: f64) -> Self {
        let of = |round: &Vec<Option<u64>>| round.get(index).copied().flatten();
        let durations: Vec<Option<f64>> =
            rounds.iter().map(|round| of(round).map(|ns| ns.max(1) as f64)).collect();
        let present: Vec<f64> = durations.iter().copied().flatten().collect();
        let logs: Vec<Option<f64>> = durations.iter().map(|ns| ns.map(f64::ln)).collect();
        let values: Vec<f64> = logs.iter().copied().flatten().collect();
        let enough = values.len() >= ROUNDS_MIN;
        let location = enough.then(|| Location::of(&tamed(&values))).flatten();
        let typical = match &location {
            Some(location) => Some(held(location.quantile(0.5))),
            None => tamed_mean(&values).map(held),
        };
        let tail = (1.0 - confidence) / 2.0;
        let interval = location
            .map(|location| [tail, 1.0 - tail].map(|p| held(location.quantile(p))))
            .map(|[low, high]| (low, high));
        Self { logs, median: median(&present), typical, interval }
    }

    fn values(&self) -> Vec<f64> {
        self.logs.iter().copied().flatten().collect()
    }

    /// Whether it is shown to be slower, by the rounds in which both were measured.
    fn is_slower_than(&self, other: &Self, needed: f64) -> bool {
        let lag = self.lag(other);
        lag.is_some_and(|lag| lag.evidence >= needed && lag.quantile(0.5) > 0.0)
    }

    /// How much longer it takes than another, by its logarithm.
    fn lag(&self, other: &Self) -> Option<Location> {
        let both = self.logs.iter().zip(&other.logs);
        let lags: Vec<f64> = both.filter_map(|(own, other)| Some((*own)? - (*other)?)).collect();
        Location::of(&tamed(&lags)).filter(|_| lags.len() >= ROUNDS_MIN)
    }
}
