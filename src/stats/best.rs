//! The best of many combinations, and all that cannot be told from it.

use serde::Serialize;

use super::bootstrap::{Ranked, Resampler};
use super::center::quantile_of_sorted;
use super::dependence::autocorrelation_time;
use super::paired::{Settings, ends, side, widening};

/// One combination among the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Combination {
    /// Rounds in which it was measured.
    pub rounds: usize,
    /// Its median duration; absent if it was never measured.
    pub median_ns: Option<f64>,
    /// Lower end of the interval of the median, for this combination alone; absent where its
    /// rounds are worth fewer than [`Settings::effective_pairs_min`] independent ones.
    pub low_ns: Option<f64>,
    /// Upper end of the interval of the median, for this combination alone.
    pub high_ns: Option<f64>,
    /// Its median ÷ the best median, at least 1.
    pub times_best: Option<f64>,
    /// Whether it may be the best one: no other is shown to be faster.
    pub may_be_best: bool,
}

/// What a sweep has shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// The combination with the least median, if any was measured often enough.
    pub best: Option<usize>,
    /// All of them, in the order given.
    pub combinations: Vec<Combination>,
    /// Rounds that a combination needs before it can be excluded.
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
}

/// Finds the combination with the least median duration, and those that are not shown to be
/// slower than another.
///
/// `rounds[r][c]` is the duration in ns of combination `c` in round `r`; a round measures each
/// one once, in random order, and `None` is missing. Comparisons are made within rounds, so what
/// slows a whole round down favours nobody.
///
/// One that is as good as the best is left out with at most the probability that
/// `settings.confidence` leaves, however many combinations there are and however many of them are
/// equal: the bound holds for the largest of all differences at once (Tukey's all pairwise
/// comparisons, by a studentized bootstrap). So it also bounds how often chance names a winner.
pub fn best_of(rounds: &[Vec<Option<u64>>], settings: &Settings) -> Best {
    let count = rounds.iter().map(Vec::len).max().unwrap_or(0);
    let confidence = settings.held_confidence();
    let rounds_min = rounds_min(count, confidence);
    let value = |round: &Vec<Option<u64>>, index: usize| {
        round.get(index).copied().flatten().map(|ns| ns.max(1) as f64)
    };
    let mut ranked: Vec<Ranked> = (0..count)
        .map(|index| Ranked::new(rounds.iter().map(|round| value(round, index))))
        .collect();
    let logs: Vec<Option<f64>> = ranked.iter().map(|ranked| ranked.median().map(f64::ln)).collect();

    // How far the log median of each resample lies from the log median, by combination.
    let resamples = settings.held_resamples() as usize;
    let mut errors: Vec<Vec<f64>> = vec![Vec::with_capacity(resamples); count];
    let mut resampler = Resampler::new(rounds.len(), settings.seed);
    for _ in 0..resamples {
        let drawn = resampler.draw();
        for ((ranked, log), errors) in ranked.iter_mut().zip(&logs).zip(&mut errors) {
            // A resample without any measurement of it says nothing: no error.
            let log_of_resample = ranked.median_of(drawn).map(f64::ln);
            errors.push(log_of_resample.zip(*log).map_or(0.0, |(drawn, log)| drawn - log));
        }
    }

    let judged: Vec<Rival<'_>> = (0..count)
        .filter(|index| ranked[*index].len() >= rounds_min)
        .filter_map(|index| {
            let log = logs[index]?;
            let side = |round| value(round, index).map(|ns| side(ns, log.exp()));
            let sides = rounds.iter().map(side).collect();
            Some(Rival { index, log, errors: &errors[index], sides })
        })
        .collect();
    let undefeated = undefeated(&judged, confidence);
    let best = judged.iter().min_by(|left, right| left.log.total_cmp(&right.log));
    let combinations = (0..count).map(|index| {
        let log = logs[index];
        let times_best = log.zip(best).map(|(log, best)| (log - best.log).exp());
        let place = judged.iter().position(|rival| rival.index == index);
        let rival = place.map(|place| &judged[place]);
        let interval = rival.and_then(|rival| rival.interval(settings));
        let (low_ns, high_ns) = interval.unzip();
        Combination {
            rounds: ranked[index].len(),
            median_ns: ranked[index].median(),
            low_ns,
            high_ns,
            times_best,
            may_be_best: log.is_some() && place.is_none_or(|place| undefeated[place]),
        }
    });
    let combinations = combinations.collect();
    Best { best: best.map(|best| best.index), combinations, rounds_min, confidence }
}

/// Rounds below which even a combination that lost every round to another may have lost by
/// chance: 2 to the power of −rounds has to be below the error left to each ordered pair.
pub fn rounds_min(combinations: usize, confidence: f64) -> usize {
    let comparisons = (combinations * combinations.saturating_sub(1)).max(2) as f64;
    (comparisons / (1.0 - confidence)).log2().ceil() as usize
}

/// A combination that was measured often enough to be judged.
struct Rival<'a> {
    index: usize,
    log: f64,
    errors: &'a [f64],
    /// On which side of the median each round lies.
    sides: Vec<Option<f64>>,
}

/// Which of the rivals are not shown to be slower than another, in their order.
///
/// One rival is slower than another if its studentized lag exceeds what the largest of all
/// studentized differences is by chance.
fn undefeated(rivals: &[Rival<'_>], confidence: f64) -> Vec<bool> {
    let mut lags = vec![0.0_f64; rivals.len()];
    let resamples = rivals.first().map_or(0, |rival| rival.errors.len());
    let mut by_chance = vec![0.0_f64; resamples];
    for (index, one) in rivals.iter().enumerate() {
        for (place, other) in rivals.iter().enumerate().skip(index + 1) {
            let spread = one.spread(other);
            let lag = one.log - other.log;
            // What never varies lags by nothing or for certain.
            let deviation = spread * one.widening(other, confidence);
            let studentized = if lag == 0.0 { 0.0 } else { lag / deviation };
            lags[index] = lags[index].max(studentized);
            lags[place] = lags[place].max(-studentized);
            if spread > 0.0 {
                let errors = one.errors.iter().zip(other.errors);
                for (largest, (own, others)) in by_chance.iter_mut().zip(errors) {
                    *largest = largest.max((own - others).abs() / spread);
                }
            }
        }
    }
    by_chance.sort_unstable_by(f64::total_cmp);
    let largest = quantile_of_sorted(&by_chance, confidence).unwrap_or(0.0);
    lags.iter().map(|lag| *lag <= largest).collect()
}

impl Rival<'_> {
    /// Interval of its median alone, unless what slowed whole rounds down leaves too few
    /// independent ones.
    fn interval(&self, settings: &Settings) -> Option<(f64, f64)> {
        let confidence = settings.held_confidence();
        let sides: Vec<f64> = self.sides.iter().copied().flatten().collect();
        let time = autocorrelation_time(&sides);
        if sides.len() as f64 / time < settings.effective_pairs_min() {
            return None;
        }
        let widen = widening(sides.len(), time, confidence);
        let mut errors = self.errors.to_vec();
        errors.sort_unstable_by(f64::total_cmp);
        let (low, high) = ends(&errors, confidence);
        let end = |error: f64| (self.log + widen * error).clamp(-700.0, 700.0).exp();
        Some((end(low.min(0.0)), end(high.max(0.0))))
    }

    /// Standard deviation of the difference of log medians, by the bootstrap.
    fn spread(&self, rival: &Rival<'_>) -> f64 {
        let squares =
            self.errors.iter().zip(rival.errors).map(|(own, other)| (own - other).powi(2));
        (squares.sum::<f64>() / self.errors.len() as f64).sqrt()
    }

    /// By how much autocorrelation of the differences between rounds widens them.
    fn widening(&self, rival: &Rival<'_>, confidence: f64) -> f64 {
        let both = self.sides.iter().zip(&rival.sides);
        let differences: Vec<f64> =
            both.filter_map(|(own, other)| Some((*own)? - (*other)?)).collect();
        let time = autocorrelation_time(&differences);
        widening(differences.len(), time, confidence)
    }
}
