//! The statistics on synthetic data of known truth: coverage, false winners, power, and the laws
//! that hold for any input. All of it is seeded.

use proptest::prelude::*;
use strom_load::stats::{
    Comparison, HaltReason, Pair, Settings, Stopping, TimesVerdict, autocorrelation_time, best_of,
    effective_sample_size, geometric_mean, median, paired_ratio, quantile, theil_sen,
};

use crate::synthetic::{Noise, SCENARIOS, Source};

/// Fewer resamples than usual: tests are compiled without optimisation.
fn settings(seed: u64) -> Settings {
    Settings { resamples: 200, seed, ..Settings::default() }
}

/// The most successes in `runs` that chance explains (1 in 1 000) if the true rate is `rate`.
fn most(runs: u64, rate: f64) -> f64 {
    let runs = runs as f64;
    runs * rate + 3.1 * (runs * rate * (1.0 - rate)).sqrt()
}

fn is_winner(comparison: &Comparison) -> bool {
    matches!(comparison.verdict, TimesVerdict::Faster | TimesVerdict::Slower)
}

#[test]
fn intervals_cover_the_true_ratio_as_often_as_they_say() {
    const RUNS: u64 = 250;
    for (name, noise) in SCENARIOS {
        let (mut given, mut missed) = (0, 0);
        // Strong dependence takes more pairs than 40 to be seen, and is refused till then.
        let pairs = if matches!(noise, Noise::Ar1(phi) if phi > 0.5) { 150 } else { 40 };
        for run in 0..RUNS {
            let found = paired_ratio(&Source::new(run).pairs(noise, 1.3, pairs), &settings(run));
            if let Some((low, high)) = found.low.zip(found.high) {
                given += 1;
                missed += u64::from(!(low <= 1.3 && 1.3 <= high));
            }
        }
        assert!(given > RUNS / 2, "{name}: {given} intervals");
        assert!(missed as f64 <= most(given, 0.05), "{name}: {missed} of {given} missed");
    }
}

#[test]
fn chance_makes_no_winner() {
    const RUNS: u64 = 300;
    for (name, noise) in SCENARIOS {
        let winners = (0..RUNS).filter(|run| {
            is_winner(&paired_ratio(&Source::new(*run).pairs(noise, 1.0, 30), &settings(*run)))
        });
        let winners = winners.count();
        assert!(winners as f64 <= most(RUNS, 0.05), "{name}: {winners} of {RUNS}");
    }
}

#[test]
fn stopping_when_precise_makes_no_winner_either() {
    const RUNS: u64 = 150;
    for (name, noise) in SCENARIOS {
        let (mut winners, mut early) = (0, 0);
        for run in 0..RUNS {
            let pairs = Source::new(run).pairs(noise, 1.0, 140);
            let mut stopping = Stopping::new(settings(run), 0.08);
            let halt = (1..=pairs.len())
                .find_map(|n| stopping.check(&pairs[..n], n == pairs.len()))
                .unwrap();
            winners += u64::from(is_winner(&halt.comparison));
            early += u64::from(halt.reason == HaltReason::Precise);
        }
        assert!(winners as f64 <= most(RUNS, 0.05), "{name}: {winners} of {RUNS}");
        // Otherwise this would be the test above.
        if matches!(noise, Noise::Lognormal | Noise::HeavyTail | Noise::SharedDrift) {
            assert!(early > RUNS * 9 / 10, "{name}: {early} stopped early");
        }
    }
}

#[test]
fn a_true_difference_is_found() {
    for (name, noise) in SCENARIOS {
        for (ratio, verdict) in [(1.2, TimesVerdict::Faster), (1.0 / 1.2, TimesVerdict::Slower)] {
            let found = (0..40).filter(|run| {
                let pairs = Source::new(*run).pairs(noise, ratio, 150);
                paired_ratio(&pairs, &settings(*run)).verdict == verdict
            });
            let found = found.count();
            assert!(found >= 30, "{name} {ratio}: found {found} of 40");
        }
    }
}

#[test]
fn it_looks_seldom_and_stops_at_a_look_or_when_time_is_up() {
    let equal = vec![Pair { a_ns: 2_000, b_ns: 1_000 }; 200];
    let mut stopping = Stopping::new(settings(1), 0.05);
    assert_eq!(stopping.next_look(), 20);
    assert_eq!(stopping.check(&equal[..19], false), None);
    let halt = stopping.check(&equal[..20], false).unwrap();
    assert_eq!((halt.reason, halt.comparison.verdict), (HaltReason::Precise, TimesVerdict::Faster));

    let noisy = Source::new(1).pairs(Noise::Lognormal, 1.0, 200);
    let mut stopping = Stopping::new(settings(1), 1e-6);
    let mut looks = Vec::new();
    for n in 1..=200 {
        let next = stopping.next_look();
        assert_eq!(stopping.check(&noisy[..n], false), None);
        if stopping.next_look() != next {
            looks.push(n);
        }
    }
    assert_eq!(looks, [20, 31, 48, 73, 111, 168]);
    let halt = stopping.check(&noisy, true).unwrap();
    assert_eq!((halt.reason, halt.comparison.pairs), (HaltReason::TimeUp, 200));
    let mut stopping = Stopping::new(settings(1), 0.05);
    let halt = stopping.check(&equal[..3], true).unwrap();
    assert_eq!(
        (halt.reason, halt.comparison.verdict),
        (HaltReason::TimeUp, TimesVerdict::TooFewPairs)
    );
}

#[test]
fn too_few_pairs_say_nothing() {
    let pairs = Source::new(1).pairs(Noise::Lognormal, 9.0, 19);
    let found = paired_ratio(&pairs, &settings(1));
    assert_eq!((found.verdict, found.low, found.high), (TimesVerdict::TooFewPairs, None, None));
    assert!(found.ratio.is_some_and(|ratio| ratio > 8.0));
    // One long wave: many pairs, and few independent ones.
    let wave = |index: u64| Pair { a_ns: 1_000 + 10 * index, b_ns: 5_000 - 10 * index };
    let found = paired_ratio(&(0..100).map(wave).collect::<Vec<_>>(), &settings(1));
    assert_eq!((found.pairs, found.verdict), (100, TimesVerdict::TooFewPairs));
    assert!(found.effective_pairs < 6.0, "{}", found.effective_pairs);
    assert_eq!(paired_ratio(&[], &settings(1)).ratio, None);
}

#[test]
fn a_comparison_is_saved_with_these_keys() {
    let found = paired_ratio(&[Pair { a_ns: 30, b_ns: 20 }; 20], &settings(1));
    let saved = serde_json::to_value(&found).unwrap();
    let expected = serde_json::json!({
        "verdict": "faster", "median_a_ns": 30.0, "median_b_ns": 20.0, "ratio": 1.5, "low": 1.5,
        "high": 1.5, "confidence": 0.95, "pairs": 20, "effective_pairs": 20.0,
        "autocorrelation_time": 1.0,
    });
    for (key, value) in expected.as_object().unwrap() {
        let near = saved[key].as_f64().zip(value.as_f64());
        let same = near.map_or(saved[key] == *value, |(one, other)| (one - other).abs() < 1e-9);
        assert!(same, "{key}: {}", saved[key]);
    }
    assert_eq!(saved.as_object().unwrap().len(), expected.as_object().unwrap().len());
}

#[test]
fn equals_are_rarely_left_out_and_the_worse_are() {
    const RUNS: u64 = 150;
    for count in [2, 6] {
        let mut left_out = 0;
        for run in 0..RUNS {
            let found = best_of(&Source::new(run).rounds(count, 20, 1.0), &settings(run));
            left_out += u64::from(found.candidates().count() < count);
        }
        assert!(left_out as f64 <= most(RUNS, 0.05), "{count}: {left_out} of {RUNS} left one out");
    }
    let mut excluded = 0;
    for run in 0..20 {
        let found = best_of(&Source::new(run).rounds(6, 30, 1.4), &settings(run));
        assert_eq!(found.best, Some(0));
        excluded += 6 - found.candidates().count();
    }
    assert!(excluded > 90, "{excluded} of 100 worse ones excluded");
}

#[test]
fn what_was_hardly_measured_is_neither_best_nor_excluded() {
    let mut rounds = Source::new(1).rounds(3, 30, 2.0);
    rounds.iter_mut().for_each(|round| round.push(None));
    for (index, round) in rounds.iter_mut().enumerate() {
        // Combination 1 has three measurements, the least of all.
        round[1] = (index < 3).then_some(1);
    }
    let found = best_of(&rounds, &settings(1));
    assert_eq!(found.best, Some(0));
    assert_eq!(found.candidates().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(found.combinations[1].low_ns, None);
    assert_eq!((found.combinations[3].median_ns, found.combinations[3].rounds), (None, 0));
    // Two combinations need six rounds: 2 × 1 ÷ 2^6 is the first below 5 %; twenty need 13.
    assert_eq!(best_of(&[vec![Some(1), Some(2)]], &settings(1)).rounds_min, 6);
    assert_eq!(best_of(&[vec![Some(1); 20]], &settings(1)).rounds_min, 13);
    assert_eq!(best_of(&[], &settings(1)).best, None);
}

#[test]
fn a_median_has_an_interval_only_of_enough_independent_rounds() {
    let of = |ns: &dyn Fn(usize) -> f64| {
        let round = |index: usize| vec![Some(ns(index) as u64), Some(ns(index) as u64 * 2)];
        best_of(&(0..20).map(round).collect::<Vec<_>>(), &settings(1)).combinations
    };
    // As good as random: neighbours say nothing of each other.
    for combination in of(&|index| 1e6 + 1e4 * (index * 7 % 20) as f64) {
        let ends = combination.low_ns.zip(combination.high_ns);
        let (low, high) = ends.unwrap_or_else(|| panic!("no interval: {combination:?}"));
        assert!(high / low < 1.5, "{combination:?}");
    }
    // A server that becomes ever slower: twenty rounds are worth one or two.
    for combination in of(&|index| 1e6 * 1.1_f64.powi(index as i32)) {
        assert_eq!((combination.low_ns, combination.high_ns), (None, None));
        assert!(combination.median_ns.is_some());
    }
}

#[test]
fn a_slope_is_found_with_its_interval() {
    const RUNS: u64 = 200;
    for phi in [0.0, 0.5] {
        let (mut given, mut missed) = (0, 0);
        for run in 0..RUNS {
            let found = theil_sen(&Source::new(run).line(0.3, phi, 60), 0.95).unwrap();
            if let Some((low, high)) = found.low.zip(found.high) {
                given += 1;
                missed += u64::from(!(low <= 0.3 && 0.3 <= high));
                assert!(found.rises() && !found.falls());
            }
        }
        assert!(given > RUNS / 2 && missed as f64 <= most(given, 0.05), "{phi}: {missed} {given}");
    }
}

#[test]
fn an_outlier_does_not_bend_a_slope() {
    let mut points: Vec<_> = (0..2_500).map(|x| (f64::from(x), 7.0 - 2.0 * f64::from(x))).collect();
    points[2_000].1 = 1e9;
    points[7].1 = f64::NAN;
    let found = theil_sen(&points, 0.95).unwrap();
    assert!((found.slope + 2.0).abs() < 1e-9 && (found.intercept - 7.0).abs() < 1e-6, "{found:?}");
    assert!(found.falls() && found.points == 2_499);
    for few in [&[][..], &[(1.0, 1.0)], &[(1.0, 1.0), (1.0, 2.0)]] {
        assert_eq!(theil_sen(few, 0.95), None);
    }
    let two = theil_sen(&[(1.0, 1.0), (2.0, 3.0)], 0.95).unwrap();
    assert_eq!((two.slope, two.low, two.high), (2.0, None, None));
}

#[test]
fn dependent_values_count_for_less() {
    let line = |phi: f64| -> Vec<f64> {
        Source::new(3).line(0.0, phi, 4_000).into_iter().map(|(_, y)| y).collect()
    };
    for (phi, expected) in [(0.0, 1.0), (0.5, 3.0), (0.8, 9.0)] {
        let time = autocorrelation_time(&line(phi));
        assert!((0.95..1.4).contains(&(time / expected)), "{phi}: {time}");
        assert!((effective_sample_size(&line(phi)) - 4_000.0 / time).abs() < 1e-9);
    }
    // Never more than they are, and a constant is no dependence.
    let alternating: Vec<_> = (0..100).map(|index| f64::from(index % 2)).collect();
    for series in [&alternating[..], &[0.1; 50], &[], &[1.0], &[1.0, 2.0]] {
        assert!((autocorrelation_time(series) - 1.0).abs() < 1e-12, "{series:?}");
    }
}

#[test]
fn centres_and_quantiles() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.9), Some(4.6));
    assert_eq!(quantile(&[1.0, 2.0], 7.0), Some(2.0));
    assert!(geometric_mean(&[0.5, 2.0]).is_some_and(|mean| (mean - 1.0).abs() < 1e-12));
    for none in [&[][..], &[1.0, 0.0], &[-1.0], &[f64::NAN], &[f64::INFINITY]] {
        assert_eq!(geometric_mean(none), None);
    }
}

fn pairs_of(ns: impl Strategy<Value = u64> + Clone) -> impl Strategy<Value = Vec<Pair>> {
    let pair = (ns.clone(), ns).prop_map(|(a_ns, b_ns)| Pair { a_ns, b_ns });
    proptest::collection::vec(pair, 0..60)
}

fn near(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one / other - 1.0).abs() < 1e-9,
        (one, other) => one == other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_unit_of_time_does_not_matter(pairs in pairs_of(1..1_000_000_u64), by in 2..9_999_u64) {
        let scale = |pair: &Pair| Pair { a_ns: pair.a_ns * by, b_ns: pair.b_ns * by };
        let scaled: Vec<_> = pairs.iter().map(scale).collect();
        let (one, other) = (paired_ratio(&pairs, &settings(5)), paired_ratio(&scaled, &settings(5)));
        prop_assert!(near(one.ratio, other.ratio));
        prop_assert!(near(one.low, other.low) && near(one.high, other.high));
        prop_assert!(near(Some(one.effective_pairs + 1.0), Some(other.effective_pairs + 1.0)));
    }

    #[test]
    fn swapping_the_arms_mirrors_the_result(pairs in pairs_of(1..1_000_000_u64)) {
        let swap = |pair: &Pair| Pair { a_ns: pair.b_ns, b_ns: pair.a_ns };
        let swapped: Vec<_> = pairs.iter().map(swap).collect();
        let one = paired_ratio(&pairs, &settings(5));
        let other = paired_ratio(&swapped, &settings(5));
        prop_assert!(near(one.ratio, other.ratio.map(f64::recip)));
        prop_assert!(near(one.low, other.high.map(f64::recip)));
        prop_assert!(near(one.high, other.low.map(f64::recip)));
        prop_assert!(near(one.half_width().map(|w| w + 1.0), other.half_width().map(|w| w + 1.0)));
    }

    #[test]
    fn more_confidence_is_a_wider_interval(pairs in pairs_of(1..10_000_u64)) {
        let at = |confidence| paired_ratio(&pairs, &Settings { confidence, ..settings(5) });
        let found = [0.5, 0.8, 0.9, 0.95, 0.99].map(at);
        for two in found.windows(2) {
            if let (Some(low), Some(high)) = (two[1].low, two[1].high) {
                // The exponential rounds each end for itself.
                prop_assert!(low <= two[0].low.unwrap() * (1.0 + 1e-12));
                prop_assert!(high >= two[0].high.unwrap() * (1.0 - 1e-12));
            }
        }
    }

    #[test]
    fn nothing_breaks_it_and_the_interval_decides(
        pairs in pairs_of(prop_oneof![0..5_u64, 0..1_000_u64, Just(u64::MAX), any::<u64>()]),
        confidence in prop_oneof![0.5..1.0, Just(f64::NAN), Just(0.0), Just(1.0)],
    ) {
        let settings = Settings { confidence, ..settings(9) };
        let found = paired_ratio(&pairs, &settings);
        let numbers = [found.median_a_ns, found.median_b_ns, found.ratio, found.low, found.high];
        prop_assert!(numbers.iter().flatten().all(|x| x.is_finite() && *x > 0.0), "{found:?}");
        prop_assert!((1.0..=60.0).contains(&found.autocorrelation_time));
        prop_assert!(found.effective_pairs <= pairs.len() as f64);
        prop_assert_eq!(found.ratio.is_some(), !pairs.is_empty());
        let expected = match (found.low, found.high) {
            (Some(low), _) if low > 1.0 => TimesVerdict::Faster,
            (_, Some(high)) if high < 1.0 => TimesVerdict::Slower,
            (Some(low), Some(high)) => {
                let ratio = found.ratio.unwrap();
                prop_assert!(low <= ratio * (1.0 + 1e-12) && ratio <= high * (1.0 + 1e-12));
                TimesVerdict::NoDifferenceShown
            }
            _ => TimesVerdict::TooFewPairs,
        };
        prop_assert_eq!(found.verdict, expected);
        prop_assert_eq!(paired_ratio(&pairs, &settings), found);
    }

    #[test]
    fn equal_arms_are_no_difference(ns in any::<u64>(), n in 20..50_usize) {
        let found = paired_ratio(&vec![Pair { a_ns: ns, b_ns: ns }; n], &settings(5));
        prop_assert_eq!(found.verdict, TimesVerdict::NoDifferenceShown);
        prop_assert_eq!((found.low, found.high), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn the_best_is_a_candidate_whatever_its_place(
        rounds in proptest::collection::vec(
            proptest::collection::vec(proptest::option::weighted(0.9, 0..1_000_u64), 4), 0..30,
        ),
    ) {
        let found = best_of(&rounds, &settings(2));
        if let Some(best) = found.best {
            prop_assert!(found.combinations[best].may_be_best);
        }
        for combination in &found.combinations {
            let numbers = [combination.low_ns, combination.median_ns, combination.high_ns];
            prop_assert!(numbers.iter().flatten().all(|x| x.is_finite() && *x > 0.0));
            prop_assert!(combination.rounds >= found.rounds_min || combination.low_ns.is_none());
        }
        let mut mirrored = rounds.clone();
        mirrored.iter_mut().for_each(|round| round.reverse());
        let mut mirrored = best_of(&mirrored, &settings(2)).combinations;
        mirrored.reverse();
        prop_assert_eq!(&mirrored, &found.combinations);
    }

    #[test]
    fn a_slope_of_any_points_is_a_number(
        points in proptest::collection::vec((-1e9..1e9_f64, -1e9..1e9_f64), 0..40),
        exact in any::<bool>(),
    ) {
        let mut points = points;
        if exact {
            points.iter_mut().for_each(|point| point.0 = point.0.round() % 5.0);
        }
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
        if let Some(found) = theil_sen(&points, 0.95) {
            prop_assert!(found.slope.is_finite() && found.intercept.is_finite());
            prop_assert!(found.low.is_none_or(|low| low <= found.slope));
            prop_assert!(found.high.is_none_or(|high| high >= found.slope));
        }
    }
}
