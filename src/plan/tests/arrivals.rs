//! How rows and queries follow each other: what is asked for, and what cannot be.

use insta::assert_snapshot;

use super::*;
use crate::pace::{Arrival, Burst};

#[test]
fn an_arrival_comes_from_the_file_or_from_a_flag() {
    let quiet = plan("", &Overrides::default());
    assert_eq!(quiet.job.stream.arrival, Arrival::Constant);
    assert_eq!(quiet.job.readers.arrival, Arrival::Constant);
    let file =
        "stream.arrival = \"poisson\"\nreaders = { arrival = \"poisson\", queries_per_s = 3 }";
    let written = plan(file, &Overrides::default());
    assert_eq!(written.job.stream.arrival, Arrival::Poisson);
    assert_eq!(written.job.readers.arrival, Arrival::Poisson);
    let flags = given(&["--arrival=burst", "STROM_LOAD_QUERY_ARRIVAL=burst", "--query-rate=0.1"]);
    let flags = plan(file, &flags);
    let burst = Burst { block: 15_000, dense: 12_000, length: 3_000 };
    assert_eq!(flags.job.stream.arrival, Arrival::Burst(burst));
    let fewest = Burst { block: 5, dense: 4, length: 1 };
    assert_eq!(flags.job.readers.arrival, Arrival::Burst(fewest));
}

#[test]
fn the_backlog_holds_a_minute_of_bursts() {
    let backlog = |arrival: &str| {
        let plan = plan(&format!("stream.arrival = \"{arrival}\""), &Overrides::default());
        plan.job.recovery.backlog_rows.get()
    };
    assert_eq!(backlog("constant"), 180_000);
    assert_eq!(backlog("poisson"), 180_000);
    assert_eq!(backlog("burst"), 720_000);
}

#[test]
fn nothing_arrives_where_nothing_falls_due() {
    let file = "[stream]\nrows_per_s = \"max\"\narrival = \"burst\"\n\
                [readers]\narrival = \"poisson\"\n";
    let flags = given(&["--rate=max", "--arrival=poisson"]);
    let faults = [faults(file), faults_with("", &flags)];
    assert_snapshot!(faults.join("\n"));
    // What is written of a plan is complete, and says so of constant arrivals too.
    plan("stream = { rows_per_s = \"max\", arrival = \"constant\" }", &Overrides::default());
}

proptest! {
    #[test]
    fn a_written_arrival_reads_back(arrival in 0..3_usize, rate in 1_u64..1_000_000) {
        let arrival = ["constant", "poisson", "burst"][arrival];
        let text = format!("stream = {{ rows_per_s = {rate}, arrival = \"{arrival}\" }}");
        let first = resolve(&text).unwrap();
        prop_assert_eq!(resolve(&render(&first)).unwrap(), first);
    }
}
