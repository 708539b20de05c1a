//! The ratio as a function of the rows: of known truth, alone and among other queries.

use strom_load::stats::{Pair, Settings, TimesVerdict, ratio_by_rows};

use super::{compared, most};
use crate::synthetic::Source;

#[test]
fn a_table_that_grows_has_a_verdict_and_its_ratio_is_one_of_its_rows() {
    // Off from 4 to 8, on from 1 to 1.3: every pair is above three times.
    let truth = |rows: u64| {
        let at = (rows as f64 - 1e6) / 5e6;
        4.0 * (1.0 + at) / (1.0 + 0.3 * at)
    };
    let settings = Settings::default();
    let (mut shown, mut covered) = (0, 0);
    for seed in 0..40 {
        let (pairs, rows) = Source::new(seed).growing((1_000_000, 6_000_000), truth, 60);
        assert!(pairs.iter().all(|pair| pair.a_ns > 2 * pair.b_ns));
        let verdict = |pairs: &[Pair]| compared(pairs).verdict;
        assert_eq!(verdict(&pairs[..20]), TimesVerdict::FasterSoFar, "{seed}");
        assert_eq!(verdict(&pairs), TimesVerdict::Faster, "{seed}");
        let Some(found) = ratio_by_rows(&pairs, &rows, 1, &settings) else { continue };
        assert!(found.low > 0.0 && found.exponent < 1.0, "{found:?}");
        assert_eq!((found.first.rows, found.last.rows), (rows[0], rows[59]));
        shown += 1;
        let of = [found.first, found.last].map(|at| (at.estimate, truth(at.rows)));
        covered += of.iter().filter(|(at, truth)| at.low <= *truth && *truth <= at.high).count();
    }
    assert!(shown >= 38, "{shown} of 40");
    assert!((2 * shown - covered) as f64 <= most(2 * shown as u64, 0.07), "{covered} of {shown}");
    // While a table begins to be filled, its ratios are on no curve.
    let (pairs, rows) = Source::new(1).growing((1_000, 6_000_000), truth, 60);
    let found = ratio_by_rows(&pairs, &rows, 1, &settings).unwrap();
    assert!((600_000..800_000).contains(&found.first.rows), "{found:?}");
}

#[test]
fn a_ratio_that_does_not_change_with_the_rows_is_rarely_said_to() {
    let settings = Settings::default();
    let said = (0..60).filter(|seed| {
        let (pairs, rows) = Source::new(*seed).growing((1_000_000, 6_000_000), |_| 2.0, 40);
        ratio_by_rows(&pairs, &rows, 1, &settings).is_some()
    });
    assert!(said.count() as f64 <= most(60, 0.05));
    let (pairs, rows) = Source::new(1).growing((1_000_000, 6_000_000), |rows| rows as f64, 40);
    assert_eq!(ratio_by_rows(&pairs[..9], &rows[..9], 1, &settings), None, "too few");
    assert_eq!(ratio_by_rows(&pairs, &[5; 40], 1, &settings), None, "it does not grow");
    assert_eq!(ratio_by_rows(&[], &[], 1, &settings), None);
}

#[test]
fn of_many_queries_beside_a_table_that_hardly_grows_rarely_any_is_said_to_follow_it() {
    const QUERIES: u64 = 10;
    const RUNS: u64 = 40;
    let settings = Settings::default();
    let found = |run: u64, last: u64, exponent: f64| {
        let of = move |query: u64| {
            let truth = |rows: u64| (rows as f64 / 1e6).powf(exponent);
            let mut source = Source::new(run * QUERIES + query);
            let (pairs, rows) = source.growing((1_000_000, last), truth, 30);
            ratio_by_rows(&pairs, &rows, QUERIES as usize, &settings)
        };
        (0..QUERIES).filter_map(of).collect::<Vec<_>>()
    };
    // By half: enough to be looked at.
    let misled = (0..RUNS).filter(|run| !found(*run, 1_500_000, 0.0).is_empty()).count();
    assert!(misled as f64 <= most(RUNS, 0.05), "{misled} of {RUNS} runs");
    // By less nothing is said, whatever the pairs are.
    assert!(found(0, 1_499_000, 3.0).is_empty());
    // What follows the rows is found all the same, and the ends that are shown say it.
    let grown: Vec<_> = (0..2).flat_map(|run| found(run, 4_000_000, 0.7)).collect();
    assert!(grown.len() >= 18, "{} of 20", grown.len());
    assert!(grown.iter().all(|by| by.grows() && by.first.estimate.ratio < by.last.estimate.ratio));
    let told = grown.iter().filter(|by| by.ends_tell());
    assert!(told.clone().count() >= 15, "{} of {}", told.count(), grown.len());
}
