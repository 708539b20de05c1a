//! The laws of the turns, by simulation.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::simulation::{Always, EachByItself, Setup, Sharing, Simulated, Work, median, two_armed};
use super::*;

const fn setup(readers: u32, sharing: Sharing) -> Setup {
    Setup { readers, cores: 2.0, sharing, run_s: 60.0, noise: 0.1, seed: 7 }
}

fn once(each: Option<Duration>) -> Repeats {
    Repeats { from: Duration::ZERO, each, count: 1 }
}

fn turns(setup: &Setup, candidates: Vec<Candidate>) -> Turns {
    let run = Duration::from_secs_f64(setup.run_s);
    Turns::new(candidates, setup.readers, once(Some(run)), setup.seed)
}

/// A query that one arm answers ten times faster: the ratio, and that of all readers in one arm to all
/// in the other.
fn ratio_and_truth(
    setup: &Setup,
    choosing: impl super::simulation::Choosing,
) -> (Vec<f64>, [f64; 2]) {
    let work = [Work([0.2, 0.02])];
    let simulated = setup.run(&work, choosing);
    let all = |arm| setup.run(&work, Always(arm)).median_s(arm);
    let of_all = simulated.median_s(0) / simulated.median_s(1);
    (simulated.ratios(0), [of_all, all(0) / all(1)])
}

#[test]
fn the_ratio_is_that_of_all_readers_in_one_arm_to_all_in_the_other() {
    for sharing in [Sharing::Even, Sharing::Waking] {
        for readers in [1, 2, 3, 4, 8, 16] {
            let setup = setup(readers, sharing);
            let mut turns = turns(&setup, two_armed(1));
            let (ratios, [_, truth]) = ratio_and_truth(&setup, &mut turns);
            assert!(ratios.len() >= 8, "{readers} readers, {sharing:?}: {} pairs", ratios.len());
            let off = median(ratios) / truth;
            assert!((0.95..1.05).contains(&off), "{readers} readers, {sharing:?}: {off:.3}");
        }
    }
}

#[test]
fn readers_that_alternate_by_themselves_find_another_ratio() {
    // Else the test above would prove nothing.
    let setup = setup(4, Sharing::Waking);
    let (_, [ratio, truth]) = ratio_and_truth(&setup, EachByItself::default());
    assert!(ratio / truth > 1.3, "{ratio:.1} for {truth:.1}");
}

fn tried(simulated: &Simulated, query: usize) -> [Option<(f64, bool)>; 2] {
    let mut arms = [None; 2];
    for (of, completed) in &simulated.completed {
        if let Completed::Tried { arm, after, cut } = completed
            && *of == query
        {
            arms[*arm] = Some((after.as_secs_f64(), *cut));
        }
    }
    arms
}

/// Seconds of the flagship's queries on a GPU, off and on; see docs/gpu-truth.md.
const FLAGSHIP: [Work; 5] = [
    Work([0.5, 0.18]),
    Work([1.9, 1.98]),
    Work([0.23, 0.19]),
    Work([14.3, 15.9]),
    Work([0.19, 0.20]),
];

#[test]
fn a_slow_query_is_tried_once_and_leaves_the_others_their_pairs() {
    for readers in [1, 2, 4] {
        let setup = Setup { cores: 16.0, ..setup(readers, Sharing::Even) };
        let mut turns = turns(&setup, two_armed(FLAGSHIP.len()));
        let simulated = setup.run(&FLAGSHIP, &mut turns);
        for fast in [0, 2, 4] {
            let pairs = simulated.ratios(fast).len();
            assert!(pairs >= 10, "{readers} readers, query {fast}: {pairs} pairs");
        }
        // The share is a fifth of all readers' time, and two fifths of the run at most; an arm has half.
        let share_s = 60.0 * (f64::from(readers) / 5.0).min(0.4);
        for arm in tried(&simulated, 3) {
            let (after_s, cut) = arm.unwrap();
            assert!(cut && (after_s - share_s / 2.0).abs() < 0.01, "{readers} readers: {after_s}");
        }
        let of_slow = simulated.done.iter().filter(|done| done.turn.query == 3);
        assert_eq!(of_slow.count(), 2, "{readers} readers");
    }
}

#[test]
fn what_one_arm_leaves_of_the_share_is_the_other_ones() {
    // A share of 24 s, of which the fast arm takes a fiftieth: the slow one is answered.
    let setup = Setup { cores: 16.0, ..setup(2, Sharing::Even) };
    let mut orders = [0; 2];
    for seed in 0..8 {
        let setup = Setup { seed, ..setup };
        let work = [Work([20.0, 0.5]), Work([0.1, 0.1]), Work([0.1, 0.1]), Work([0.1, 0.1])];
        let mut turns = turns(&setup, two_armed(work.len()));
        let simulated = setup.run(&work, &mut turns);
        let first = simulated.done.iter().find(|done| done.turn.query == 0).unwrap().turn.arm;
        let [off, on] = tried(&simulated, 0).map(Option::unwrap);
        assert!(!on.1 && on.0 < 1.0, "{on:?}");
        assert_eq!(off.1, first == 0, "{off:?}: cut at 12 s if it comes first, else answered");
        orders[first] += 1;
    }
    assert!(orders[0] > 0 && orders[1] > 0, "{orders:?}");
}

#[test]
fn queries_share_time_by_weight() {
    let work = [Work([0.01, 0.01]), Work([0.1, 0.1]), Work([1.0, 1.0])];
    let weights = [1, 1, 2].map(|weight| NonZeroU32::new(weight).unwrap());
    // With two arms the short ones keep the load up while a block waits for the long one, at its cost.
    for (arms, least, most) in [(1, 0.9, 1.1), (2, 0.5, f64::INFINITY)] {
        let setup = setup(2, Sharing::Even);
        let candidates =
            weights.map(|weight| Candidate { weight, arms, has_parameters: false }).to_vec();
        let simulated = setup.run(&work, &mut turns(&setup, candidates));
        let own = |query| simulated.done.iter().filter(move |done| done.turn.query == query);
        let used_s = |query| own(query).map(|done| done.ended_s - done.began_s).sum::<f64>();
        for (query, weight) in weights.into_iter().enumerate() {
            let part = used_s(query) / (2.0 * setup.run_s * f64::from(weight.get()) / 4.0);
            assert!((least..most).contains(&part), "{arms} arms, query {query}: {part:.2}");
        }
    }
}

#[test]
fn the_seed_replays_the_order_of_the_arms_however_long_queries_take() {
    let order = |seed, scale| {
        let setup = Setup { seed, ..setup(2, Sharing::Even) };
        let work = [Work([0.01 * scale, 0.03 * scale]), Work([0.05, 0.02 * scale])];
        let simulated = setup.run(&work, &mut turns(&setup, two_armed(2)));
        let mut arms: Vec<usize> = Vec::new();
        for done in &simulated.done {
            let round = done.turn.block as usize;
            if round > arms.len() && done.sample {
                arms.push(done.turn.arm);
            }
        }
        arms.truncate(20);
        arms
    };
    let first = order(1, 1.0);
    assert_eq!(first.len(), 20);
    assert_eq!(first, order(1, 4.0));
    assert_ne!(first, order(2, 1.0));
    let (off, of) = (order(3, 1.0).iter().chain(&first).filter(|arm| **arm == 0).count(), 40);
    assert!((of / 4..=of * 3 / 4).contains(&off), "{off} of {of} begin with the base");
}

#[test]
fn a_query_that_fails_keeps_nobody_waiting_and_a_new_session_is_cold() {
    let mut turns = Turns::new(two_armed(2), 1, once(None), 1);
    let (mut now, mut told, mut cold) = (Duration::ZERO, Vec::new(), 0);
    for step in 0..4_000 {
        if step == 2_000 {
            turns.session_lost(0);
        }
        let turn = turns.next(0, now, |query, what| told.push((query, what)));
        cold += usize::from(turn.cold);
        let service = Duration::from_millis(10);
        now += service;
        let outcome = match turn.query {
            1 => Outcome::Failed,
            _ => Outcome::Answered { service, measured: true },
        };
        let sample = turns.end(0, now, outcome, |query, what| told.push((query, what)));
        assert!(!(sample && (turn.cold || turn.query == 1)));
    }
    let of = |query, what: fn(&Completed) -> bool| {
        told.iter().filter(|(of, completed)| *of == query && what(completed)).count()
    };
    let pairs = of(0, |completed| matches!(completed, Completed::Pair(_)));
    assert!(pairs >= 15, "{pairs} pairs in 40 s, of blocks of a second");
    assert_eq!(of(1, |completed| matches!(completed, Completed::Pair(_))), 0);
    assert!(of(1, |completed| *completed == Completed::Broken) >= 15);
    // What failed is tried as cold again.
    assert!(cold > 4, "{cold}");
}

#[test]
fn the_warm_up_makes_no_pairs() {
    let mut turns = Turns::new(two_armed(1), 1, once(Some(Duration::from_secs(10))), 1);
    let (mut now, service, mut told) = (Duration::ZERO, Duration::from_millis(10), Vec::new());
    while now < Duration::from_secs(2) {
        turns.next(0, now, |query, what| told.push((query, what)));
        now += service;
        let measured = now > Duration::from_secs(1);
        let outcome = Outcome::Answered { service, measured };
        let sample = turns.end(0, now, outcome, |query, what| told.push((query, what)));
        assert!(measured || !sample);
        let counts = told.iter().any(|(_, what)| !matches!(what, Completed::Tried { .. }));
        assert!(measured || !counts, "{told:?}");
    }
    assert!(told.iter().any(|(_, what)| matches!(what, Completed::Pair(_))));
}

#[test]
fn a_repeat_begins_with_new_sessions_and_nothing_reaches_over_from_the_one_before() {
    let (each, service) = (Duration::from_secs(10), Duration::from_millis(10));
    let repeats = Repeats { from: Duration::from_secs(1), each: Some(each), count: 3 };
    let mut turns = Turns::new(two_armed(1), 2, repeats, 1);
    let (mut now, mut told) = (Duration::ZERO, Vec::new());
    let mut renewed = vec![Vec::new(); 2];
    // Two readers, one half a query behind the other.
    let mut in_hand: [Option<(Duration, u32)>; 2] = [None; 2];
    while now < Duration::from_secs(35) {
        for reader in 0..2 {
            now += service / 2;
            let repeat = turns.begin_repeat(now);
            if let Some((began, of)) = in_hand[reader].take() {
                let service = now.saturating_sub(began);
                let outcome = Outcome::Answered { service, measured: repeat > 0 };
                let sample = turns.end(reader, now, outcome, |_, what| told.push((repeat, what)));
                assert!(!sample || of == repeat, "one that began before the repeat did");
            }
            if turns.renews_session(reader) {
                renewed[reader].push(now);
            }
            let turn = turns.next(reader, now, |_, what| told.push((repeat, what)));
            assert_eq!(turn.cold, turn.cold && now.as_secs() % 10 <= 3, "{now:?}");
            in_hand[reader] = Some((now, repeat));
        }
    }
    for times in renewed {
        let begun: Vec<u64> = times.iter().map(Duration::as_secs).collect();
        assert_eq!(begun, [11, 21], "the last one goes on after its end");
    }
    for repeat in [1, 2] {
        let is_pair =
            |(of, what): &&(u32, Completed)| *of == repeat && matches!(what, Completed::Pair(_));
        let pairs = told.iter().filter(is_pair).count();
        assert!(pairs >= 20, "{pairs} pairs of blocks of 100 ms in repeat {repeat}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_sample_overlaps_with_the_other_arm_or_comes_first_after_a_switch(
        works in proptest::collection::vec((0.002..0.4_f64, 0.002..0.4_f64), 1..5),
        alone in proptest::option::of(0.002..0.2_f64),
        readers in 1_u32..9,
        waking: bool,
        seed: u64,
    ) {
        let sharing = if waking { Sharing::Waking } else { Sharing::Even };
        let setup = Setup { run_s: 12.0, noise: 0.4, seed, ..setup(readers, sharing) };
        let mut work: Vec<Work> = works.iter().map(|(a, b)| Work([*a, *b])).collect();
        let mut candidates = two_armed(work.len());
        if let Some(took_s) = alone {
            // Beside them, a query of one arm.
            work.push(Work([took_s; 2]));
            candidates.push(Candidate { weight: NonZeroU32::MIN, arms: 1, has_parameters: false });
        }
        let compared = works.len();
        let simulated = setup.run(&work, &mut turns(&setup, candidates));
        let own = || simulated.done.iter().filter(|done| done.turn.query < compared);
        let mut before = vec![None; readers as usize];
        for done in own() {
            let last = before[done.reader].replace(done.turn.arm);
            prop_assert!(!done.sample || last == Some(done.turn.arm), "{done:?}");
            prop_assert!(!done.sample || !done.turn.cold);
            for other in own().filter(|other| other.turn.arm != done.turn.arm && done.sample) {
                let apart = other.ended_s <= done.began_s || done.ended_s <= other.began_s;
                prop_assert!(apart, "{done:?} {other:?}");
            }
        }
        // A pair is of one round, so there is at most one of each query in each.
        let rounds = own().map(|done| done.turn.block).max().unwrap_or_default() as usize;
        for query in 0..compared {
            prop_assert!(simulated.ratios(query).len() <= rounds);
        }
        // Where short queries slip between, a long one beside seven of them may take all of the run: that is
        // the server's doing, whoever asks.
        prop_assert!(waking || rounds >= 2, "{rounds} rounds in 12 s");
    }
}
