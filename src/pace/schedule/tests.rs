//! The laws of a schedule: who is due, when, and in which batch.

use super::*;
use crate::pace::{Burst, Stage};
use proptest::prelude::*;

const NS_PER_S: u64 = 1_000_000_000;

fn nz(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).unwrap()
}

fn lane(rate: u64, lane: u64, lanes: u64, batch_rows: u64, linger_ms: u64) -> Schedule {
    let linger = Duration::from_millis(linger_ms);
    Schedule::new(Course::even(Rate::per_second(nz(rate))), lane, nz(lanes), nz(batch_rows), linger)
}

#[test]
fn three_thousand_rows_over_three_lanes_fill_a_hundred_rows_each_tenth_of_a_second() {
    let schedule = lane(3_000, 0, 3, 100, 100);
    let batch = schedule.batch(0, u64::MAX, None).unwrap();
    assert_eq!(batch, Batch { first_row: 0, rows: 100, due_ns: 99_000_000 });
    let batch = schedule.batch(100, u64::MAX, None).unwrap();
    assert_eq!(batch, Batch { first_row: 100, rows: 100, due_ns: 199_000_000 });
}

#[test]
fn a_slow_lane_is_sent_when_it_has_lingered() {
    let schedule = lane(30, 0, 3, 100, 100);
    let batch = schedule.batch(0, u64::MAX, None).unwrap();
    assert_eq!(batch, Batch { first_row: 0, rows: 2, due_ns: 100_000_000 });
}

#[test]
fn a_rate_below_one_event_a_second_is_exact() {
    let rate = Rate::each(nz(1), Duration::from_secs(4)).unwrap();
    let schedule = Schedule::new(Course::even(rate), 0, nz(1), nz(1), Duration::ZERO);
    assert_eq!(schedule.due_ns(3), 12_000_000_000);
}

/// The moments at which batches are due over all lanes, that all begin with `opening`.
fn ends(
    rate: u64,
    lanes: u64,
    batch_rows: u64,
    linger_ms: u64,
    opening: u64,
    batches: u64,
) -> Vec<u64> {
    let mut ends = Vec::new();
    for l in 0..lanes {
        let schedule = lane(rate, l, lanes, batch_rows, linger_ms);
        let mut next = (opening + lanes - 1 - l) / lanes;
        for batch in 0..batches {
            let opening = (batch == 0).then_some(opening);
            let batch = schedule.batch(next, u64::MAX, opening).unwrap();
            next += batch.rows;
            // Those that open are due with their last row, others may have to linger.
            ends.extend((opening.is_none()).then_some(batch.due_ns));
        }
    }
    ends.sort_unstable();
    ends
}

#[test]
fn three_producers_commit_in_turn() {
    let ends = ends(3_000, 3, 100, 100, 0, 4);
    let ms: Vec<u64> = ends.iter().map(|end| end / 1_000_000).collect();
    assert_eq!(ms, [133, 166, 199, 233, 266, 299, 333, 366, 399]);
}

/// Any course that a stream may have.
fn courses() -> impl Strategy<Value = Course> {
    let stage = |(to, ms)| Stage { to, over: Duration::from_millis(ms) };
    let stages = prop::collection::vec((1_u64..200_000, 0_u64..2_000), 1..4)
        .prop_map(move |stages| Curve::stages(&stages.into_iter().map(stage).collect::<Vec<_>>()));
    let wave = (1_u64..200_000, 0.0..=1.0, 1_u64..3_000).prop_map(|(rate, amplitude, ms)| {
        Curve::wave(nz(rate), amplitude, Duration::from_millis(ms))
            .or_else(|| Some(Curve::steady(Rate::per_second(nz(rate)))))
    });
    let steady = (1_u64..200_000).prop_map(|rate| Some(Curve::steady(Rate::per_second(nz(rate)))));
    let arrival = prop_oneof![
        Just(Arrival::Constant),
        Just(Arrival::Poisson),
        (1_u64..5_000).prop_map(|block| Arrival::Burst(Burst {
            block,
            dense: (block * 4).div_ceil(5),
            length: block.div_ceil(5),
        })),
    ];
    (arrival, prop_oneof![steady, stages, wave], any::<u64>()).prop_map(|(arrival, curve, seed)| {
        Course { arrivals: Arrivals::new(arrival, seed, 0), curve: curve.unwrap() }
    })
}

fn dealt(course: &Course, lane: u64, lanes: u64, batch_rows: u64, linger_ms: u64) -> Schedule {
    let linger = Duration::from_millis(linger_ms);
    Schedule::new(course.clone(), lane, nz(lanes), nz(batch_rows), linger)
}

proptest! {
    #[test]
    fn the_ends_of_batches_are_spread_evenly(
        rate in 1u64..100_000, lanes in 1u64..70, batch_rows in 1u64..300,
        linger_ms in 1u64..300, opening in 0u64..10_000,
    ) {
        let batches = 5;
        let ends = ends(rate, lanes, batch_rows, linger_ms, opening, batches);
        let usual = batch_rows.min(linger_ms * rate / (1_000 * lanes) + 1);
        // From the ends, that are due at whole nanoseconds, back to events.
        let event = NS_PER_S as f64 / rate as f64;
        for pair in ends.windows(2) {
            let gap = (pair[1] - pair[0]) as f64 / event;
            prop_assert!((gap - usual as f64).abs() < 2.001, "{gap} of {usual}");
        }
    }

    #[test]
    fn the_lanes_together_keep_the_rate_to_the_row(
        rate in 1u64..5_000_000, lanes in 1u64..40, seconds in 0u64..100_000,
    ) {
        let total: u64 = (0..lanes)
            .map(|l| lane(rate, l, lanes, 100, 100).rows_before(seconds * NS_PER_S))
            .sum();
        prop_assert_eq!(total, rate * seconds);
    }

    #[test]
    fn no_lane_is_more_than_one_row_ahead(
        rate in 1u64..5_000_000, lanes in 1u64..40, at_ns in 0u64..1_000_000_000_000,
    ) {
        let rows: Vec<u64> =
            (0..lanes).map(|l| lane(rate, l, lanes, 100, 100).rows_before(at_ns)).collect();
        prop_assert!(rows.iter().max().unwrap() - rows.iter().min().unwrap() <= 1);
    }

    #[test]
    fn batches_cover_every_row_once_in_order_and_never_early(
        course in courses(), lanes in 1u64..8, batch_rows in 1u64..500,
        linger_ms in 0u64..500, edge_ms in 1u64..3_000, opens: bool,
    ) {
        let edge_ns = edge_ms * 1_000_000;
        let schedule = dealt(&course, lanes - 1, lanes, batch_rows, linger_ms);
        let mut next = 0;
        let mut last_due = 0;
        while let Some(batch) =
            schedule.batch(next, edge_ns, (next == 0 && opens).then_some(0))
        {
            prop_assert_eq!(batch.first_row, next);
            prop_assert!(batch.rows >= 1 && batch.rows <= batch_rows);
            prop_assert!(batch.due_ns >= schedule.due_ns(next + batch.rows - 1));
            prop_assert!(batch.due_ns <= schedule.due_ns(next) + linger_ms * 1_000_000);
            prop_assert!(batch.due_ns >= last_due && batch.due_ns <= edge_ns);
            last_due = batch.due_ns;
            next += batch.rows;
        }
        prop_assert_eq!(next, schedule.rows_before(edge_ns));
    }

    #[test]
    fn due_times_agree_with_the_schedule(
        course in courses(), lanes in 1u64..8, first in 0u64..1_000_000_000,
        origin in 0i64..2_000_000_000_000_000,
    ) {
        let schedule = dealt(&course, 0, lanes, 100, 100);
        let mut due = schedule.due_times(first).since(origin);
        for row in first..first + 300 {
            prop_assert_eq!(due.advance(), origin + (schedule.due_ns(row) / 1_000) as i64);
        }
        let mut skipped = schedule.due_times(first).since(origin);
        skipped.skip(300);
        prop_assert_eq!(skipped.advance(), due.advance());
    }

    #[test]
    fn what_is_due_before_has_an_earlier_due_time(
        course in courses(), lanes in 1u64..8, at_ns in 0u64..100_000_000_000,
    ) {
        let schedule = dealt(&course, lanes - 1, lanes, 100, 100);
        let rows = schedule.rows_before(at_ns);
        prop_assert!(schedule.due_ns(rows) >= at_ns);
        prop_assert!(rows == 0 || schedule.due_ns(rows - 1) < at_ns);
    }

    #[test]
    fn the_events_are_the_same_however_many_lanes_there_are(
        course in courses(), lanes in 2u64..40, event in 0u64..10_000_000,
    ) {
        let alone = dealt(&course, 0, 1, 100, 100);
        let one_of_many = dealt(&course, event % lanes, lanes, 100, 100);
        prop_assert_eq!(one_of_many.due_ns(event / lanes), alone.due_ns(event));
    }

    #[test]
    fn the_target_is_what_falls_due(course in courses(), from_ms in 0u64..5_000, ms in 1u64..9_000) {
        let [from, to] = [from_ms, from_ms + ms].map(Duration::from_millis);
        let events = |at: Duration| course.events_before(at.as_nanos() as u64) as f64;
        let due = events(to) - events(from);
        let target = course.target_per_s(from, to) * ms as f64 / 1e3;
        // Of a Poisson process it is the mean.
        let slack = 3.0 + 6.0 * target.sqrt();
        prop_assert!((due - target).abs() <= slack, "{due} of {target}");
    }
}

/// How probable it is that as many uniform numbers from 0 to 1 are as uneven as these: Kolmogorov and
/// Smirnov's test.
fn uniform_p(mut sample: Vec<f64>) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let off = |(i, x): (usize, &f64)| (x - i as f64 / n).max((i + 1) as f64 / n - x);
    let d = sample.iter().enumerate().map(off).fold(0.0, f64::max);
    let lambda = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * d;
    let term = |k: i32| (-1_f64).powi(k - 1) * (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    (2.0 * (1..100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

fn course(arrival: Arrival, rate: u64) -> Course {
    let curve = Curve::steady(Rate::per_second(nz(rate)));
    Course { arrivals: Arrivals::new(arrival, 42, 0), curve }
}

/// Where in a tenth of a second batches are due, from 0 to 1: one in so many of each lane.
fn phases(course: &Course, lanes: u64, seconds: u64, one_in: usize) -> Vec<f64> {
    let mut phases = Vec::new();
    for l in 0..lanes {
        let schedule = dealt(course, l, lanes, 100, 100);
        let (mut next, mut opening) = (0, Some(0));
        let due = std::iter::from_fn(|| {
            let batch = schedule.batch(next, u64::MAX, opening.take())?;
            next += batch.rows;
            (batch.due_ns < seconds * NS_PER_S).then_some(batch.due_ns)
        });
        phases.extend(due.step_by(one_in).map(|due| (due % 100_000_000) as f64 / 1e8));
    }
    phases
}

#[test]
fn the_test_of_uniformity_finds_what_is_not_uniform() {
    let even = |n: u32| (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n)).collect::<Vec<_>>();
    assert!(uniform_p(even(1_000)) > 0.99);
    assert!(uniform_p(even(1_000).into_iter().map(|x| x * x.sqrt()).collect()) < 0.001);
    // Three producers in turn, at a constant rate: three moments in each tenth of a second.
    let steady = phases(&course(Arrival::Constant, 3_000), 3, 60, 1);
    assert!(uniform_p(steady) < 0.001);
}

#[test]
fn the_gaps_of_a_poisson_process_are_exponential() {
    let schedule = dealt(&course(Arrival::Poisson, 3_000), 0, 1, 100, 100);
    let due: Vec<u64> = (0..20_000).map(|row| schedule.due_ns(row)).collect();
    let gaps = due.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9 * 3_000.0);
    let p = uniform_p(gaps.map(|gap| 1.0 - (-gap).exp()).collect());
    assert!(p > 0.01, "p = {p}");
}

#[test]
fn commits_of_a_poisson_process_come_at_any_phase() {
    // A batch takes a tenth of a second, give or take some milliseconds: neighbours have much the same
    // phase, and the test is one of independent numbers.
    let p = uniform_p(phases(&course(Arrival::Poisson, 3_000), 3, 1_200, 40));
    assert!(p > 0.01, "p = {p}");
}

#[test]
fn commits_of_thirty_producers_come_at_any_phase() {
    for lanes in [30, 31, 64, 100] {
        // A second of them: what is periodic has few phases, and a longer look finds that out.
        let p = uniform_p(phases(&course(Arrival::Constant, 3_000), lanes, 1, 1));
        assert!(p > 0.01, "p = {p} of {lanes}");
    }
}

#[test]
fn every_arrival_keeps_the_rate() {
    let burst = Burst { block: 15_000, dense: 12_000, length: 3_000 };
    for minute in 1..=20 {
        let events = |arrival| course(arrival, 3_000).events_before(minute * 60 * NS_PER_S);
        let planned = 180_000 * minute;
        assert_eq!(events(Arrival::Constant), planned);
        assert_eq!(events(Arrival::Burst(burst)), planned, "a minute is 12 blocks");
        let off = events(Arrival::Poisson) as f64 - planned as f64;
        let deviations = off / (planned as f64).sqrt();
        assert!(deviations.abs() < 3.0, "{deviations} standard deviations at {minute} min");
    }
}

#[test]
fn batches_in_a_burst_are_full() {
    let burst = Burst { block: 15_000, dense: 12_000, length: 3_000 };
    let schedule = dealt(&course(Arrival::Burst(burst), 3_000), 0, 3, 100, 100);
    let (mut next, mut full, mut lingered) = (0, 0, 0);
    while next < 50_000 {
        let batch = schedule.batch(next, u64::MAX, None).unwrap();
        // 4000 rows a second in this lane, or 250.
        let took_ns = batch.due_ns - schedule.due_ns(next);
        match batch.rows {
            100 => full += 1,
            25 | 26 => lingered += 1,
            rows => assert!((25..100).contains(&rows), "{rows}"),
        }
        assert!(took_ns <= 100_000_000);
        next += batch.rows;
    }
    // Ten blocks of 4000 rows in their bursts and 1000 beside them; each burst has two ends.
    assert!((380..=400).contains(&full), "{full}");
    assert!((360..=400).contains(&lingered), "{lingered}");
}

#[test]
fn the_due_times_are_those_of_the_last_release() {
    // A saved run is verified by them.
    let burst = Burst { block: 15_000, dense: 12_000, length: 3_000 };
    let due = |arrival| {
        let schedule = dealt(&course(arrival, 3_000), 0, 1, 100, 100);
        [0, 1, 2, 100_000, 1_000_000_007].map(|row| schedule.due_ns(row))
    };
    assert_eq!(
        due(Arrival::Poisson),
        [317_794, 437_628, 575_717, 33_321_894_767, 333_347_399_313_554]
    );
    assert_eq!(
        due(Arrival::Burst(burst)),
        [0, 1_333_333, 2_666_666, 34_158_192_574, 333_330_849_109_821]
    );
}
