//! What a page holds does not grow with the run.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::record::{LaneInterval, StreamTally};
use crate::result::server::{ClockOffset, ServerFacts};
use crate::row::Lane;

use super::*;
use crate::sink::{QueryStart, StreamStart};

/// A sink that has begun, with the built-in profile and no queries.
fn begun() -> (Arc<Exposition>, PrometheusSink) {
    begun_with(&[])
}

fn begun_with(queries: &[QueryStart]) -> (Arc<Exposition>, PrometheusSink) {
    let exposition = Arc::new(Exposition::new());
    let mut sink = PrometheusSink { exposition: Arc::clone(&exposition), handles: None };
    let lanes = [4, 5, 9].map(|partition| Lane {
        partition: Some(partition),
        ..Lane::of(partition, NonZeroU32::MAX, None)
    });
    let start = Start {
        profile: "realtime",
        run_id: "0190-run",
        planned: None,
        stream: Some(StreamStart {
            lanes: &lanes,
            target_rows_per_s: Some(3_000.0),
            queries_are_due: true,
            drain_timeout: Duration::from_secs(30),
        }),
        server: &ServerFacts {
            version: "17.0".into(),
            major: 17,
            settings: BTreeMap::new(),
            clock: ClockOffset::default(),
        },
        queries,
        started_at: SystemTime::UNIX_EPOCH,
        gpus: &crate::watch::gpu::GpusFound::default(),
    };
    sink.begin(&start).unwrap();
    (exposition, sink)
}

/// A second in which each of three partitions committed a batch and failed with an error.
fn second(number: u64) -> Interval {
    let lanes = (0..3).map(|_| {
        let mut tally = StreamTally { rows_acknowledged: 1_000, batches: 10, ..Default::default() };
        for batch in 0..10 {
            tally.batch.response.record(Duration::from_micros(100 + number % 5_000 + batch));
        }
        tally.errors.insert(format!("X{:04}", number % 100), 1);
        LaneInterval { rows_due: 1_000, backlog_rows: 100, tally }
    });
    Interval {
        start: Duration::from_secs(number),
        length: Duration::from_secs(1),
        phase: Phase::Measure,
        target_rows_per_s: Some(3_000.0),
        lanes: lanes.collect(),
        queries: Vec::new(),
        pairs: Vec::new(),
        queries_due: ReaderTally { asked: 9, dropped: 1, ..ReaderTally::default() },
        gpus: Vec::new(),
    }
}

/// The series of a page, without their values.
fn series(exposition: &Exposition) -> Vec<String> {
    let page = exposition.render();
    let samples = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn seconds_that_nobody_scrapes_leave_nothing_behind() {
    let (exposition, mut sink) = begun();
    for number in 0..200 {
        sink.interval(&second(number)).unwrap();
    }
    let (before, room_before) = (series(&exposition), exposition.page().bytes());
    for number in 200..1_000 {
        sink.interval(&second(number)).unwrap();
    }
    assert_eq!(exposition.page().bytes(), room_before);
    assert_eq!(series(&exposition).len(), before.len());
    let page = exposition.render();
    for sample in [
        "strom_load_batch_response_seconds_count{partition=\"9\"} 10000\n",
        "strom_load_queries_due_total 10000\n",
        "strom_load_queries_dropped_total 1000\n",
    ] {
        assert!(page.contains(sample), "{page}");
    }
}

#[test]
fn the_target_is_the_rate_as_it_is_now() {
    let (exposition, mut sink) = begun();
    let target = |exposition: &Exposition| {
        let page = exposition.render();
        let name = "strom_load_target_rows_per_second ";
        page.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok())
    };
    assert_eq!(target(&exposition), Some(3_000.0));
    sink.interval(&Interval { target_rows_per_s: Some(4_500.5), ..second(0) }).unwrap();
    assert_eq!(target(&exposition), Some(4_500.5));
    sink.interval(&Interval { target_rows_per_s: None, ..second(1) }).unwrap();
    assert_eq!(target(&exposition), Some(4_500.5), "of a schedule that is over, the last one");
}

#[test]
fn sqlstates_past_the_bound_share_a_series_and_none_is_lost() {
    let (exposition, mut sink) = begun();
    for number in 0..300 {
        sink.interval(&second(number)).unwrap();
    }
    let page = exposition.render();
    let errors = page.lines().filter_map(|line| {
        let rest = line.strip_prefix("strom_load_stream_errors_total{partition=\"4\",")?;
        let (labels, count) = rest.rsplit_once(' ').unwrap();
        Some((labels.to_owned(), count.parse::<u64>().unwrap()))
    });
    let errors: HashMap<_, _> = errors.collect();
    assert_eq!(errors.len(), SQLSTATES_MAX as usize + 1);
    assert_eq!(errors.values().sum::<u64>(), 300);
    assert_eq!(errors["sqlstate=\"X0031\"}"], 3);
    assert_eq!(errors["sqlstate=\"other\"}"], 68 * 3);
}

#[test]
fn after_the_end_it_is_in_no_phase() {
    let (exposition, mut sink) = begun();
    sink.interval(&second(0)).unwrap();
    assert!(exposition.render().contains("strom_load_phase{phase=\"measure\"} 1\n"));
    sink.close();
    let page = exposition.render();
    assert!(page.contains("strom_load_phase{phase=\"measure\"} 0\n"), "{page}");
    assert!(!exposition.measuring.load(Ordering::Relaxed));
}

#[test]
fn a_page_of_three_partitions_and_ten_queries_stays_small() {
    let arms: Vec<String> = ["off", "on"].map(str::to_owned).into();
    let name = |number| format!("a_query_with_a_long_name_{number}");
    let queries: Vec<_> =
        (0..5).map(|number| QueryStart { name: name(number), arms: arms.clone() }).collect();
    let (exposition, mut sink) = begun_with(&queries);
    // Counts of ten digits, as after days.
    let mut interval = second(0);
    for lane in &mut interval.lanes {
        lane.tally.row.record_n(Duration::from_micros(50), 9_000_000_000);
        lane.tally.batch.response.record_n(Duration::from_micros(50), 90_000_000);
    }
    sink.interval(&interval).unwrap();
    let bytes = exposition.render().len();
    assert!(bytes < 250_000, "{bytes} bytes");
}
