//! How rows and queries follow each other: what is asked for, and what cannot be.

use insta::assert_snapshot;

use super::*;
use crate::pace::{Arrival, Burst, Stage};

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

#[test]
fn a_shape_has_stages_or_a_sine() {
    let stages =
        "[stream.shape]\nstages = [{ to = 30_000, over = \"1m\" }, { to = 500, over = 0 }]";
    let staged = plan(stages, &Overrides::default()).job;
    let stage = |to, s| Stage { to, over: Duration::from_secs(s) };
    assert_eq!(staged.stream.shape, Shape::Stages(vec![stage(30_000, 60), stage(500, 0)]));
    assert_eq!(staged.stream.rate, StreamRate::RowsPerSecond(30_000.try_into().unwrap()));
    assert_eq!(staged.recovery.backlog_rows.get(), 1_800_000, "a minute of the peak");
    let sine = "[stream]\nrows_per_s = 1000\nshape.sine = { amplitude = 0.5, period_s = 600 }\n\
                arrival = \"burst\"";
    let waved = plan(sine, &Overrides::default()).job;
    let period = Duration::from_secs(600);
    assert_eq!(waved.stream.shape, Shape::Sine { amplitude: 0.5, period });
    assert_eq!(waved.recovery.backlog_rows.get(), 60 * 1_500 * 4);
    let flag =
        plan("[stream.shape]\nsine = { amplitude = 1, period_s = 1 }", &given(&["--rate=7"]));
    assert_eq!(flag.job.stream.peak_rows_per_s(), Some(14.0));
    for text in [stages, sine] {
        let first = resolve(text).unwrap();
        assert_eq!(resolve(&render(&first)).unwrap(), first);
    }
}

#[test]
fn a_shape_that_cannot_be_says_why() {
    let stages = [
        "{ to = -1, over = 5 }, { to = 2.5, over = 1 }, { to = 1_000_000_001, over = 1 }",
        "{ over = 0 }, { to = 5 }, { to = 5, ovre = 5 }, 7",
        "{ to = 5, over = -1 }, { to = 5, over = \"soon\" }, { to = 5, over = 1e12 }",
        "{ to = 5, over = 0 }, { to = 6, over = 0 }, { to = 6, over = 1 }",
        "{ to = 0, over = 5 }",
        &"{ to = 1_000_000_000, over = 315_360_000 }, ".repeat(40),
        "",
    ];
    let stages = stages.map(|stages| format!("[stream.shape]\nstages = [{stages}]\n"));
    let others = [
        "[stream]\nrows_per_s = \"max\"\nshape.sine = { amplitude = 0.5, period_s = 600 }\n",
        "[stream]\nrows_per_s = 5\nshape.stages = [{ to = 5, over = 0 }]\n",
        "[stream.shape]\n",
        "[stream.shape]\nstages = [{ to = 5, over = 0 }]\nsine = { amplitude = 0.5, period_s = 600 }\n",
        "[stream.shape]\nsine = { amplitude = 1.5 }\n",
        "[stream.shape]\nsine = { amplitude = -0.5, period_s = 0 }\n",
    ];
    let file = stages.iter().map(String::as_str).chain(others).map(faults);
    let staged = "[stream.shape]\nstages = [{ to = 5, over = 0 }]\n";
    let flags = ["--rate=5", "--rate=max"].map(|flag| faults_with(staged, &given(&[flag])));
    let all: Vec<String> = file.chain(flags).collect();
    assert_snapshot!(all.join("\n\n"));
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
