//! The statistics on synthetic data of known truth: coverage, false winners, power, and the laws
//! that hold for any input. All of it is seeded.

use proptest::prelude::*;
use strom_load::stats::{
    Comparison, HaltReason, PAIRS_LEAST, Pair, ROUNDS_MIN, Settings, Stopping, TimesVerdict,
    autocorrelation_time, best_of, holm, median, more_pairs, paired_ratio, quantile,
    repeated_ratio, smallest_ratio, theil_sen,
};

use crate::synthetic::{Noise, SCENARIOS, Source};

mod by_rows;

fn compared(pairs: &[Pair]) -> Comparison {
    paired_ratio(pairs, &Settings::default())
}

/// The most successes in `runs` that chance explains (1 in 1 000) if the true rate is `rate`.
fn most(runs: u64, rate: f64) -> f64 {
    let runs = runs as f64;
    runs * rate + 3.1 * (runs * rate * (1.0 - rate)).sqrt()
}

/// Scenarios that between them have every kind of noise; the rest is for the bench.
fn tested() -> impl Iterator<Item = (&'static str, Noise)> {
    let kinds = SCENARIOS.iter().copied().enumerate().filter(|(index, _)| index % 2 == 0);
    kinds.map(|(_, scenario)| scenario)
}

fn is_misled(found: &Comparison, truth: f64) -> bool {
    match found.verdict {
        TimesVerdict::Faster => truth <= 1.0,
        TimesVerdict::Slower => truth >= 1.0,
        _ => false,
    }
}

#[test]
fn intervals_and_directions_are_wrong_as_rarely_as_they_say_whatever_the_noise() {
    const RUNS: u64 = 20;
    for (name, noise) in tested() {
        // A state of one arm that no pair has seen is in no interval.
        let unseen = matches!(noise, Noise::Sticky { both: false, .. });
        let (mut missed, mut misled) = (0, 0);
        for run in 0..RUNS {
            let run = Source::new(run).run(noise, 1.0, 50);
            let (found, truth) = (compared(&run.pairs), run.truth(50));
            let (low, high) = found.low.zip(found.high).unwrap();
            missed += u64::from(!unseen && (truth < low || high < truth));
            misled += u64::from(is_misled(&found, truth));
        }
        assert!(missed as f64 <= most(RUNS, 0.05), "{name}: {missed} of {RUNS} intervals");
        assert!(misled as f64 <= most(RUNS, 0.05), "{name}: {misled} of {RUNS} directions");
    }
}

#[test]
fn who_looks_after_each_few_pairs_is_not_misled_more_often() {
    const RUNS: u64 = 20;
    for (name, noise) in [
        ("AR(1) 0.7", Noise::Ar1(0.7)),
        ("states", Noise::Sticky { times: 3.0, share: 0.5, noise: 0.1, both: true }),
    ] {
        let misled = (0..RUNS).filter(|run| {
            let run = Source::new(*run).run(noise, 1.0, 75);
            [30, 40, 55, 75]
                .into_iter()
                .any(|n| is_misled(&compared(&run.pairs[..n]), run.truth(n)))
        });
        let misled = misled.count();
        assert!(misled as f64 <= most(RUNS, 0.06), "{name}: {misled} of {RUNS}");
    }
}

#[test]
fn a_true_difference_is_found_and_early_where_each_pair_says_the_same() {
    let found = |noise: Noise, ratio: f64, pairs: usize| -> usize {
        let verdicts = (0..16).filter(|run| {
            let found = compared(&Source::new(*run).pairs(noise, ratio, pairs));
            let towards = if ratio > 1.0 { TimesVerdict::Faster } else { TimesVerdict::Slower };
            found.verdict == towards
        });
        verdicts.count()
    };
    for (noise, ratio, pairs) in [
        (Noise::Lognormal, 1.5, 30),
        (Noise::Lognormal, 1.0 / 1.5, 30),
        (Noise::SharedAr1(0.9), 1.2, 40),
        (Noise::Ar1(0.5), 1.2, 100),
        (Noise::Ar1(0.9), 3.0, 100),
        (Noise::HeavyTail, 2.0, 60),
        (Noise::GrowingTable, 3.0, 30),
    ] {
        let found = found(noise, ratio, pairs);
        assert!(found >= 11, "{noise:?}, {ratio}, {pairs} pairs: found {found} of 16");
    }
    // Twelve pairs can tell, though not for sure.
    for run in 0..5 {
        let found = compared(&Source::new(run).pairs(Noise::Lognormal, 2.0, 12));
        assert_eq!(found.verdict, TimesVerdict::FasterSoFar);
        assert_eq!((found.low, found.high), (None, None));
    }
}

#[test]
fn a_ratio_that_grows_with_the_table_is_said_to() {
    let pairs = Source::new(1).pairs(Noise::GrowingTable, 3.0, 150);
    let found = compared(&pairs);
    assert_eq!(found.verdict, TimesVerdict::Faster);
    let course = found.course.unwrap();
    // ln 2 − ln 1.3 = 0.43 from the first pair to the last: a factor of 1.54.
    let grows = course.last.ratio / course.first.ratio;
    assert!((1.4..1.7).contains(&grows), "{course:?}");
    assert!(course.first.high < course.middle.low && course.middle.low < course.last.low);
    assert!(found.half_width().unwrap() < 0.06, "{found:?}");
    // Which is not called dependence.
    assert!(found.autocorrelation_time < 3.0, "{found:?}");
    assert_eq!(compared(&Source::new(1).pairs(Noise::SharedDrift, 3.0, 150)).course, None);
}

#[test]
fn states_that_last_are_no_direction_however_alike_the_pairs_are() {
    let state = |ns: u64, pairs: usize| vec![Pair { a_ns: ns, b_ns: 1_000_000 }; pairs];
    // Each arm in a state of its own for as long as there were pairs.
    let verdict = |pairs: usize| compared(&state(3_000_000, pairs)).verdict;
    assert_eq!(verdict(9), TimesVerdict::TooFewPairs);
    assert_eq!(verdict(29), TimesVerdict::FasterSoFar);
    assert_eq!(verdict(30), TimesVerdict::Faster);
    // One of several queries has to last longer than one alone.
    let mut five: Vec<Comparison> = (0..5).map(|_| compared(&state(3_000_000, 30))).collect();
    holm(five.iter_mut(), 5, &Settings::default());
    assert!(five.iter().all(|one| one.verdict == TimesVerdict::FasterSoFar));
    // A visit to another state weighs what it lasted, and is no outlier.
    let visits = [state(3_000_000, 18), state(1_000_000, 6), state(3_000_000, 8)].concat();
    let found = compared(&visits);
    assert!(!found.is_decided() && found.half_width().unwrap() > 1.0, "{found:?}");
}

#[test]
fn it_looks_seldom_and_stops_at_a_look_or_when_time_is_up() {
    let equal = vec![Pair { a_ns: 2_000, b_ns: 1_000 }; 200];
    let mut stopping = Stopping::new(Settings::default(), 0.05);
    assert_eq!(stopping.next_look(), 30);
    assert_eq!(stopping.check(&equal[..29], false), None);
    let halt = stopping.check(&equal[..30], false).unwrap();
    assert_eq!((halt.reason, halt.comparison.verdict), (HaltReason::Precise, TimesVerdict::Faster));

    let noisy = Source::new(1).pairs(Noise::Lognormal, 1.0, 200);
    let mut stopping = Stopping::new(Settings::default(), 1e-6);
    let mut looks = Vec::new();
    for n in 1..=200 {
        let next = stopping.next_look();
        assert_eq!(stopping.check(&noisy[..n], false), None);
        if stopping.next_look() != next {
            looks.push(n);
        }
    }
    assert_eq!(looks, [30, 46, 70, 106, 160]);
    let halt = stopping.check(&noisy, true).unwrap();
    assert_eq!((halt.reason, halt.comparison.pairs), (HaltReason::TimeUp, 200));
    let mut stopping = Stopping::new(Settings::default(), 0.05);
    let halt = stopping.check(&equal[..3], true).unwrap();
    assert_eq!(
        (halt.reason, halt.comparison.verdict),
        (HaltReason::TimeUp, TimesVerdict::TooFewPairs)
    );
}

#[test]
fn too_few_pairs_say_nothing() {
    let pairs = Source::new(1).pairs(Noise::Lognormal, 9.0, 9);
    let found = compared(&pairs);
    assert_eq!((found.verdict, found.low, found.high), (TimesVerdict::TooFewPairs, None, None));
    assert!(found.ratio.is_some_and(|ratio| ratio > 8.0));
    assert_eq!(more_pairs(&pairs, &found, 1), None);
    assert_eq!(compared(&[]).ratio, None);
}

#[test]
fn a_comparison_is_saved_with_these_keys() {
    let found = compared(&[Pair { a_ns: 30, b_ns: 20 }; 30]);
    let saved = serde_json::to_value(&found).unwrap();
    let expected = serde_json::json!({
        "verdict": "faster", "median_a_ns": 30.0, "median_b_ns": 20.0, "ratio": 1.5, "low": 1.5,
        "high": 1.5, "ratio_of_medians": 1.5, "course": null, "by_rows": null, "repeats": null, "confidence": 0.95, "pairs": 30,
        "pairs_min": 30, "effective_pairs": 30.0, "autocorrelation_time": 1.0,
        // ln 2 − 60 ln 0.95: no more than states allow that last.
        "evidence": 3.770_744_8, "evidence_needed": 2.995_732, "more_pairs": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        let near = saved[key].as_f64().zip(value.as_f64());
        let same = near.map_or(saved[key] == *value, |(one, other)| (one - other).abs() < 1e-6);
        assert!(same, "{key}: {}", saved[key]);
    }
    assert_eq!(saved.as_object().unwrap().len(), expected.as_object().unwrap().len());
}

#[test]
fn outliers_weigh_little_and_pairs_that_follow_a_tick_are_compared() {
    // One pair in ten 50 times longer, in one arm.
    let pairs: Vec<Pair> = Source::new(4).pairs(Noise::Lognormal, 1.5, 60);
    let spoilt = |(index, pair): (usize, &Pair)| match index % 10 {
        3 => Pair { a_ns: pair.a_ns * 50, ..*pair },
        _ => *pair,
    };
    let spoilt: Vec<Pair> = pairs.iter().enumerate().map(spoilt).collect();
    let (clean, spoilt) = (compared(&pairs), compared(&spoilt));
    assert_eq!(spoilt.verdict, TimesVerdict::Faster);
    assert!((spoilt.ratio.unwrap() / clean.ratio.unwrap() - 1.0).abs() < 0.05, "{spoilt:?}");
    let ticks = compared(&Source::new(2).pairs(Noise::Ties, 1.5, 60));
    assert_eq!(ticks.verdict, TimesVerdict::Faster, "{ticks:?}");
}

#[test]
fn a_family_takes_more_evidence_and_its_strongest_the_most() {
    let series =
        |ratio: f64, pairs: usize| Source::new(7).pairs(Noise::SharedAr1(0.5), ratio, pairs);
    let mut family =
        [compared(&series(2.0, 60)), compared(&series(3.0, 90)), compared(&series(1.0, 60))];
    holm(family.iter_mut(), 3, &Settings::default());
    let needed: Vec<f64> = family.iter().map(|one| one.evidence_needed.unwrap()).collect();
    let of = |left: f64| (left / 0.05_f64).ln();
    for (needed, expected) in needed.iter().zip([of(2.0), of(3.0), of(1.0)]) {
        assert!((needed - expected).abs() < 1e-9, "{needed} {expected}");
    }
    assert_eq!(family[0].verdict, TimesVerdict::Faster);
    assert_eq!(family[2].verdict, TimesVerdict::NoDifferenceShown);
    // One alone of a hundred that are to come waits for them, and is judged anew with them.
    let verdict = |one: &Comparison| one.verdict;
    let mut alone = [compared(&series(2.0, 40))];
    holm(alone.iter_mut(), 100, &Settings::default());
    assert_eq!(verdict(&alone[0]), TimesVerdict::FasterSoFar);
    holm(alone.iter_mut(), 1, &Settings::default());
    assert_eq!(verdict(&alone[0]), TimesVerdict::Faster);
}

#[test]
fn a_forecast_comes_true_and_the_smallest_ratio_is_found() {
    let pairs = Source::new(5).pairs(Noise::Lognormal, 1.2, 300);
    let found = compared(&pairs[..20]);
    let more = more_pairs(&pairs[..20], &found, 1).unwrap();
    assert!((10..100).contains(&more), "{more}");
    let took = (20..300).step_by(5).find(|n| compared(&pairs[..*n]).is_decided()).unwrap();
    assert!(took < 3 * (20 + more) && 20 + more < 3 * took, "{took} {more}");
    // More queries beside it take more.
    assert!(more_pairs(&pairs[..20], &found, 5).unwrap() > more);
    assert_eq!(more_pairs(&pairs, &compared(&pairs), 1), None, "it has a direction");
    for seed in 0..20 {
        let same = Source::new(seed).pairs(Noise::Lognormal, 1.0, 30);
        let found = compared(&same);
        let looks_equal = found.verdict == TimesVerdict::NoDifferenceShown;
        assert!(!looks_equal || more_pairs(&same, &found, 1).is_none(), "it promises a direction");
    }

    let same = Source::new(6).pairs(Noise::Lognormal, 1.0, 40);
    let at = |pairs: usize| smallest_ratio(&same, pairs, 1, &Settings::default()).unwrap();
    assert!((1.02..1.2).contains(&at(100)) && at(100) < at(40), "{} {}", at(100), at(40));
    // A state that lasts for so few pairs is no difference, however large.
    assert_eq!(smallest_ratio(&same, 20, 1, &Settings::default()), None);
    assert_eq!(smallest_ratio(&same[..9], 100, 1, &Settings::default()), None);
    assert!(smallest_ratio(&same, 100, 5, &Settings::default()).unwrap() > at(100));
}

#[test]
fn over_repeats_the_repeat_is_the_unit() {
    let settings = Settings::default();
    let (mut wrong, mut alone, mut misled, mut found) = (0, 0, 0, 0);
    for seed in 0..100 {
        let mut source = Source::new(seed);
        let mut repeats = |ratio: f64| -> Vec<Vec<Pair>> {
            let mut repeat = || {
                let ratio = ratio * (0.1 * source.normal()).exp();
                source.pairs(Noise::Lognormal, ratio, 30)
            };
            (0..5).map(|_| repeat()).collect()
        };
        let equal = repeats(1.0);
        let over = repeated_ratio(&equal, &settings);
        assert_eq!((over.pairs, over.repeats.as_ref().unwrap().ratios.len()), (150, 5));
        wrong += u64::from(over.low.unwrap() > 1.0 || over.high.unwrap() < 1.0);
        misled += u64::from(is_misled(&over, 1.0));
        let one = compared(&equal[0]);
        alone += u64::from(one.low.unwrap() > 1.0 || one.high.unwrap() < 1.0);
        found += u64::from(repeated_ratio(&repeats(1.4), &settings).is_decided());
    }
    assert!(
        wrong as f64 <= most(100, 0.05) && misled as f64 <= most(100, 0.05),
        "{wrong} {misled}"
    );
    assert!(alone > 15, "otherwise the test shows nothing: {alone}");
    assert!(found > 90, "{found}");
}

#[test]
fn repeats_that_are_alike_by_chance_prove_nothing() {
    let settings = Settings::default();
    let pairs = |seed| Source::new(seed).pairs(Noise::Lognormal, 1.0, 30);
    let twice = repeated_ratio(&[pairs(1), pairs(1)], &settings);
    assert_eq!(twice.verdict, TimesVerdict::NoDifferenceShown, "{twice:?}");
    let repeats = twice.repeats.as_ref().unwrap();
    assert!(repeats.between < 1e-9 && repeats.within.unwrap() > 0.1, "{repeats:?}");
    // One repeat, and one beside those that had no pair, is one run.
    let alone = repeated_ratio(&[pairs(1), Vec::new()], &settings);
    assert_eq!(alone, compared(&pairs(1)));
    assert_eq!(repeated_ratio(&[], &settings), compared(&[]));
    // Without any noise there is nothing that the difference could be chance of; but for states.
    let exact = |pairs| vec![Pair { a_ns: 3_000, b_ns: 2_000 }; pairs];
    let found = |pairs| repeated_ratio(&[exact(pairs), exact(pairs)], &settings).verdict;
    assert_eq!(found(15), TimesVerdict::Faster);
    assert_eq!(found(14), TimesVerdict::FasterSoFar);
    assert_eq!(found(4), TimesVerdict::TooFewPairs);
    // Beside others a comparison over repeats takes more evidence, too.
    let mut family: Vec<Comparison> =
        (0..5).map(|_| repeated_ratio(&[exact(15), exact(15)], &settings)).collect();
    holm(family.iter_mut(), 5, &settings);
    assert!(family.iter().all(|one| one.verdict == TimesVerdict::FasterSoFar));
}

#[test]
fn the_time_of_a_combination_lies_within_its_interval_however_skewed_it_is() {
    for (name, noise) in SCENARIOS {
        let rounds = Source::new(7).rounds(noise, 3, 30, 1.1);
        for one in best_of(&rounds, &Settings::default()).combinations {
            let (time, low, high) =
                (one.typical_ns.unwrap(), one.low_ns.unwrap(), one.high_ns.unwrap());
            assert!(low <= time && time <= high, "{name}: {one:?}");
        }
    }
    // Two states: the median is in one of them, and the interval between.
    let took = |round: u64| Some(if round % 5 < 3 { 2_330_000 + round } else { 2_500_000 + round });
    let rounds: Vec<_> =
        (0..40).map(|round| vec![took(round), took(round).map(|ns| 2 * ns)]).collect();
    let found = best_of(&rounds, &Settings::default());
    assert!(found.combinations[0].median_ns < found.combinations[0].low_ns);
    assert!(found.combinations[0].low_ns < found.combinations[0].typical_ns);
    assert!((found.combinations[1].times_best.unwrap() - 2.0).abs() < 1e-3);
}

#[test]
fn equals_are_rarely_left_out_and_the_worse_are() {
    const RUNS: u64 = 12;
    for noise in
        [Noise::Ar1(0.9), Noise::Sticky { times: 1.5, share: 0.5, noise: 0.02, both: true }]
    {
        let left_out = (0..RUNS).filter(|run| {
            let table = Source::new(*run).rounds(noise, 4, 30, 1.0);
            best_of(&table, &Settings::default()).candidates().count() < 4
        });
        let left_out = left_out.count();
        assert!(left_out as f64 <= most(RUNS, 0.05), "{noise:?}: {left_out} of {RUNS}");
    }
    let (mut excluded, mut lagging) = (0, 0);
    for run in 0..4 {
        let table = Source::new(run).rounds(Noise::Lognormal, 4, 60, 1.6);
        let found = best_of(&table, &Settings::default());
        assert_eq!(found.best, Some(0));
        excluded += 4 - found.candidates().count();
        // Fifteen rounds cannot tell for sure.
        let found = best_of(&table[..15], &Settings::default());
        assert_eq!(found.candidates().count(), 4);
        lagging += found.combinations.iter().filter(|one| one.slower_so_far).count();
    }
    assert!(excluded >= 10 && lagging >= 6, "{excluded} and {lagging} of 12");
}

#[test]
fn what_was_hardly_measured_is_neither_best_nor_excluded() {
    let mut rounds = Source::new(1).rounds(Noise::Lognormal, 3, 60, 2.0);
    rounds.iter_mut().for_each(|round| round.push(None));
    for (index, round) in rounds.iter_mut().enumerate() {
        // Combination 1 has three measurements, the least of all.
        round[1] = (index < 3).then_some(1);
    }
    let found = best_of(&rounds, &Settings::default());
    assert_eq!(found.best, Some(0));
    assert_eq!(found.candidates().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(found.combinations[1].low_ns, None);
    assert_eq!((found.combinations[3].median_ns, found.combinations[3].rounds), (None, 0));
    assert!(!found.is_decided());
    assert_eq!(best_of(&[vec![Some(1), Some(2)]], &Settings::default()).rounds_min, ROUNDS_MIN);
    assert_eq!(best_of(&[], &Settings::default()).best, None);
}

#[test]
fn who_is_left_out_stays_so_though_it_is_measured_no_more() {
    let mut rounds = Source::new(3).rounds(Noise::Lognormal, 3, 90, 2.0);
    let after = (30..90)
        .step_by(10)
        .find(|n| best_of(&rounds[..*n], &Settings::default()).is_decided())
        .unwrap();
    rounds[after..].iter_mut().for_each(|round| (round[1], round[2]) = (None, None));
    let found = best_of(&rounds, &Settings::default());
    assert_eq!(found.candidates().collect::<Vec<_>>(), [0]);
    assert_eq!(found.combinations[1].rounds, after);
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
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_unit_of_time_does_not_matter(pairs in pairs_of(1..1_000_000_u64), by in 2..9_999_u64) {
        let scale = |pair: &Pair| Pair { a_ns: pair.a_ns * by, b_ns: pair.b_ns * by };
        let scaled: Vec<_> = pairs.iter().map(scale).collect();
        let (one, other) = (compared(&pairs), compared(&scaled));
        prop_assert!(near(one.ratio, other.ratio));
        prop_assert!(near(one.low, other.low) && near(one.high, other.high));
        prop_assert!(near(Some(one.effective_pairs + 1.0), Some(other.effective_pairs + 1.0)));
    }

    #[test]
    fn swapping_the_arms_mirrors_the_result(pairs in pairs_of(1..1_000_000_u64)) {
        let swap = |pair: &Pair| Pair { a_ns: pair.b_ns, b_ns: pair.a_ns };
        let swapped: Vec<_> = pairs.iter().map(swap).collect();
        let one = compared(&pairs);
        let other = compared(&swapped);
        prop_assert!(near(one.ratio, other.ratio.map(f64::recip)));
        prop_assert!(near(one.low, other.high.map(f64::recip)));
        prop_assert!(near(one.high, other.low.map(f64::recip)));
        prop_assert!(near(one.half_width().map(|w| w + 1.0), other.half_width().map(|w| w + 1.0)));
    }

    #[test]
    fn more_confidence_is_a_wider_interval(pairs in pairs_of(1..10_000_u64)) {
        let at = |confidence| paired_ratio(&pairs, &Settings { confidence, ..Settings::default() });
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
        let settings = Settings { confidence, ..Settings::default() };
        let found = paired_ratio(&pairs, &settings);
        let numbers = [found.median_a_ns, found.median_b_ns, found.ratio, found.low, found.high];
        prop_assert!(numbers.iter().flatten().all(|x| x.is_finite() && *x > 0.0), "{found:?}");
        prop_assert!((1.0..=60.0).contains(&found.autocorrelation_time));
        prop_assert!(found.effective_pairs <= pairs.len() as f64);
        prop_assert_eq!(found.ratio.is_some(), !pairs.is_empty());
        let towards = match found.verdict {
            TimesVerdict::Faster | TimesVerdict::FasterSoFar => 1.0,
            TimesVerdict::Slower | TimesVerdict::SlowerSoFar => -1.0,
            TimesVerdict::NoDifferenceShown | TimesVerdict::TooFewPairs => 0.0,
        };
        prop_assert_eq!(found.low.is_some(), pairs.len() >= 30);
        prop_assert_eq!(found.verdict == TimesVerdict::TooFewPairs, pairs.len() < PAIRS_LEAST);
        if let Some((low, high)) = found.low.zip(found.high) {
            let ratio = found.ratio.unwrap();
            prop_assert!(low <= ratio * (1.0 + 1e-12) && ratio <= high * (1.0 + 1e-12));
            let side = f64::from(u8::from(low > 1.0)) - f64::from(u8::from(high < 1.0));
            prop_assert!((side - towards).abs() < 0.5, "{:?}", found);
        }
        prop_assert!(!found.is_decided() || found.evidence >= found.evidence_needed);
        prop_assert_eq!(paired_ratio(&pairs, &settings), found);
    }

    #[test]
    fn equal_arms_are_no_difference(ns in any::<u64>(), n in 20..50_usize) {
        let found = compared(&vec![Pair { a_ns: ns, b_ns: ns }; n]);
        prop_assert_eq!(found.verdict, TimesVerdict::NoDifferenceShown);
        prop_assert!(n < 30 || found.half_width().unwrap() < 1e-6, "{:?}", found);
    }

    #[test]
    fn the_best_is_a_candidate_whatever_its_place(
        rounds in proptest::collection::vec(
            proptest::collection::vec(proptest::option::weighted(0.9, 0..1_000_u64), 4), 0..30,
        ),
    ) {
        let found = best_of(&rounds, &Settings::default());
        if let Some(best) = found.best {
            prop_assert!(found.combinations[best].may_be_best);
        }
        for combination in &found.combinations {
            let numbers = [combination.low_ns, combination.typical_ns, combination.high_ns];
            prop_assert!(combination.low_ns.is_none() || numbers.is_sorted());
            prop_assert!(numbers.iter().flatten().all(|x| x.is_finite() && *x > 0.0));
            prop_assert!(combination.rounds >= found.rounds_min || combination.low_ns.is_none());
        }
        let mut mirrored = rounds.clone();
        mirrored.iter_mut().for_each(|round| round.reverse());
        let mut mirrored = best_of(&mirrored, &Settings::default()).combinations;
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
