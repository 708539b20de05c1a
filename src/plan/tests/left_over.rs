//! What is given and of no use to the job is said, whatever it is.

use insta::assert_snapshot;

use super::*;

/// A value of each setting that no default and no profile below has.
const UNUSUAL: [(&str, &str); 40] = [
    ("--rate", "5"),
    ("--arrival", "poisson"),
    ("--partitions", "9"),
    ("--connections", "11"),
    ("--batch-rows", "7"),
    ("--linger", "5ms"),
    ("--table", "elsewhere"),
    ("--recreate", "true"),
    ("--readers", "1"),
    ("--query-rate", "2"),
    ("--think-time", "5ms"),
    ("--query-arrival", "burst"),
    ("--gpu", "off"),
    ("--check-answers", "false"),
    ("--statement-timeout", "1s"),
    ("--duration", "7s"),
    ("--warmup", "1s"),
    ("--drain-timeout", "1s"),
    ("--seed", "7"),
    ("--order", "sequential"),
    ("--precision", "30%"),
    ("--pairs-min", "3"),
    ("--pairs-max", "500"),
    ("--query-time", "1s"),
    ("--repeats", "3"),
    ("--repeats-restart", "server"),
    ("--threshold", "errors <= 0"),
    ("--delivery", "at-most-once"),
    ("--on-fault", "stop"),
    ("--reconnect-timeout", "1s"),
    ("--batch-timeout", "2s"),
    ("--lease", "30s"),
    ("--backlog-rows", "1M"),
    ("--catch-up", "2"),
    ("--audit", "off"),
    ("--allow-dropped", "1%"),
    ("--gpu-interval", "off"),
    ("--gpu-pcie", "true"),
    ("--rows", "7"),
    ("--scale", "0.5"),
];

#[test]
fn no_setting_is_taken_in_silence() {
    // `--like` is a fault beside a partition's column: it has a test of its own.
    let flags = UNUSUAL.iter().map(|(flag, _)| *flag).chain(["--like"]);
    let flags: Vec<_> = flags.collect();
    assert!(SETTINGS.iter().all(|setting| flags.contains(&setting.flag)), "a setting is new");
    let tables = "[[tables]]\nname = \"t\"\nrows = 10\n\
                  columns = [{ name = \"id\", type = \"bigint\", values = \"row_id\" }]\n";
    let query = "[[bench.queries]]\nname = \"q\"\nsql = \"SELECT 1\"\n";
    let mut realtime = builtin("realtime").unwrap();
    // Without a rate there is no arrival.
    realtime.text = realtime.text.replace("[readers]\n", "[readers]\nqueries_per_s = 3\n");
    let profiles = [
        ("stream", realtime.text.clone()),
        ("stream with tables", format!("{}\n{tables}", realtime.text)),
        ("benchmark", query.to_owned()),
        ("benchmark with tables", format!("{query}{tables}")),
        ("sweep", builtin("tuning-cpu").unwrap().text),
        ("tables", tables.to_owned()),
    ];
    let mut used = Vec::new();
    for (kind, text) in &profiles {
        let source = ProfileSource::new("test.toml", text.clone());
        let read = |overrides: &Overrides| Plan::read(&source, overrides).unwrap();
        // What is done, without what is said of it.
        let done = |plan: &Plan<Option<Job>>| {
            let Common { seed, watch, thresholds, tables, .. } = plan.common.clone();
            (seed, watch, thresholds, tables, plan.job.clone())
        };
        let plain = read(&Overrides::default());
        assert_eq!(plain.common.left_over, []);
        let mut own = Vec::new();
        for (flag, value) in UNUSUAL {
            let plan = read(&given(&[&format!("{flag}={value}")]));
            let changes = done(&plan) != done(&plain);
            let left: Vec<_> = plan.common.left_over.iter().map(|left| &left.fault.place).collect();
            let said = [&Place::Given(Origin::Flag(Setting::of_flag(flag).unwrap().flag))];
            assert_eq!(left, if changes { &[][..] } else { &said[..] }, "{flag} for a {kind}");
            own.extend(changes.then_some(flag));
        }
        used.push(format!("{kind}: {}", own.join(" ")));
    }
    assert_snapshot!(used.join("\n"));
}

#[test]
fn a_copy_of_a_table_is_for_streams_without_a_key() {
    let bench = "[[bench.queries]]\nname = \"q\"\nsql = \"SELECT 1\"\n";
    let stream =
        "[stream]\ncolumns = [{ name = \"id\", type = \"bigint\", values = \"row_id\" }]\n";
    let read = |text: &str| Plan::read(&source(text), &given(&["--like=shop.orders"]));
    assert_eq!(read(bench).unwrap().common.left_over.len(), 1);
    let plan = read(stream).unwrap();
    assert_eq!(plan.common.left_over, []);
    let Some(Job::Stream(job)) = plan.job else { panic!("a stream") };
    assert_eq!(job.stream.like.unwrap().as_written(), "shop.orders");
    assert!(read("[stream]").is_err());
}

#[test]
fn what_is_left_over_says_whom_it_is_for() {
    let left = |text: &str, words: &[&str]| {
        let plan = Plan::read(&source(text), &given(words)).unwrap();
        plan.common.left_over.iter().map(|left| left.fault.to_string()).collect::<Vec<_>>()
    };
    let bench = "[[bench.queries]]\nname = \"q\"\nsql = \"SELECT 1\"\n";
    let all = [
        left(bench, &["--rate=5", "--scale=2", "--recreate", "STROM_LOAD_AUDIT=off"]),
        left("[stream]", &["--order=sequential", "--recreate=elsewhere"]),
        left(&builtin("tuning-cpu").unwrap().text, &["--pairs-min=3", "--duration=1s"]),
    ];
    assert_snapshot!(all.concat().join("\n\n"));
}

/// What is said of each flag that another choice leaves without use.
#[test]
fn what_another_choice_leaves_idle_is_left_over() {
    let realtime = builtin("realtime").unwrap().text;
    let bench = "[[bench.queries]]\nname = \"q\"\nsql = \"SELECT 1\"\n";
    let readers = [
        "--query-rate=5",
        "--query-arrival=burst",
        "--gpu=on",
        "--check-answers=false",
        "--statement-timeout=5s",
        "--repeats=2",
    ];
    let schedule = ["--arrival=constant", "--linger=5ms", "--backlog-rows=10", "--catch-up=3"];
    let cases = [
        (realtime.as_str(), "--readers=0", &readers[..]),
        ("[stream]\nrows_per_s = 5\n", "--seed=7", &readers),
        (&realtime, "--rate=max", &schedule),
        ("[stream]\nrows_per_s = \"max\"\n", "--seed=7", &schedule),
        (&realtime, "--gpu-interval=off", &["--gpu-pcie"]),
        (bench, "--repeats=1", &["--repeats-restart=server"]),
    ];
    let mut said = Vec::new();
    for (text, choice, idle) in cases {
        let plan = Plan::read(&source(text), &given(&[&[choice], idle].concat())).unwrap();
        let left = plan.common.left_over.iter();
        let flags: Vec<_> = left.clone().map(|left| left.fault.place.clone()).collect();
        let name = |word: &&str| Setting::of_flag(word.split('=').next().unwrap()).unwrap().flag;
        let all: Vec<_> = idle.iter().map(|word| Place::Given(Origin::Flag(name(word)))).collect();
        assert_eq!(flags, all, "{choice}");
        said.push(format!("{choice}\n{}", left.clone().next().unwrap().fault));
        // In the file they may stand for a call without that choice.
        let file = if text == bench { bench } else { &realtime };
        let plan = Plan::read(&source(file), &given(&[choice])).unwrap();
        assert_eq!(plan.common.left_over, []);
    }
    assert_snapshot!(said.join("\n\n"));
}

/// A threshold of the command line may be meant for another profile of the call; in a file it is a
/// fault.
#[test]
fn a_threshold_that_is_not_for_this_profile_is_left_over() {
    let query = "name = \"q\"\nsql = \"SELECT 1\"\n";
    let stream = format!("[stream]\n[readers]\ncount = 1\n[[readers.queries]]\n{query}");
    let off = format!("{stream}gpu = \"off\"\n");
    let cases = [
        (builtin("tuning-cpu").unwrap().text, "response_p99_ms < 5"),
        (stream.clone(), "query.other.cpu.p50_ms < 5"),
        (stream.clone(), "queries_dropped <= 0"),
        (stream.clone(), "answer_age_p99_ms < 5"),
        (stream.clone(), "query.q.cpu.answer_age_p99_ms < 5"),
        (format!("{stream}[evidence]\ncheck_answers = false\n"), "answers_different <= 0"),
        (format!("{stream}answers = \"off\"\n"), "answers_different <= 0"),
        (off.clone(), "answers_different <= 0"),
        (off.clone(), "gpu_proven >= 1"),
        (off.clone(), "ratio.q.low > 1"),
        (
            format!("{off}[[readers.queries]]\nname = \"r\"\nsql = \"SELECT 2\"\n"),
            "query.q.on.p50_ms < 1",
        ),
        (format!("audit = \"count\"\n{stream}"), "rows_lost <= 0"),
        ("[stream]\n".to_owned(), "query_p99_ms < 5"),
    ];
    let mut said = Vec::new();
    for (text, threshold) in cases {
        let with = given(&[&format!("--threshold={threshold}"), "--threshold=errors <= 0"]);
        let plan = Plan::read(&source(&text), &with).unwrap();
        let left = plan.common.left_over.as_slice();
        assert_eq!(left.len(), 1, "{threshold}: {left:?}");
        assert_eq!(left[0].value.as_deref(), Some(threshold));
        // What is left is judged, and what is written out resolves.
        assert_eq!(plan.common.thresholds.len(), 1);
        let written = format!("thresholds = [\"{threshold}\"]\n{text}");
        let faults = Plan::read(&source(&written), &Overrides::default()).unwrap_err();
        let whats: Vec<_> = faults.iter().map(|fault| fault.what.clone()).collect();
        assert_eq!(whats, [left[0].fault.what.clone()], "{threshold}");
        said.push(format!("{threshold}\n{}", left[0].fault));
    }
    assert_snapshot!(said.join("\n\n"));
    // What is wrong with any profile is a fault.
    let with = given(&["--threshold=ratio.q.low > 1 abort"]);
    Plan::read(&source(&stream), &with).unwrap_err();
    let with = given(&["--threshold=p99 < 1"]);
    Plan::read(&source(&stream), &with).unwrap_err();
}

#[test]
fn keys_of_other_jobs_are_faults() {
    let bench = "[[bench.queries]]\nname = \"q\"\nsql = \"SELECT 1\"\n";
    let sweep = "[[sweep.settings]]\nname = \"work_mem\"\nvalues = [\"4MB\", \"8MB\"]\n";
    let tables = "[[tables]]\nname = \"t\"\nrows = 10\n\
                  columns = [{ name = \"id\", type = \"bigint\", values = \"row_id\" }]\n";
    let all = [
        format!("warmup_s = 2\naudit = \"off\"\n{bench}[recovery]\ncatch_up_factor = 2\n"),
        format!("{bench}[stream]\nrows_per_s = 5\n"),
        format!("bench.pairs_min = 5\nbench.time_s = 1\n{bench}{sweep}"),
        sweep.to_owned(),
        format!("[watch]\ngpu_pcie = true\n{tables}"),
        "[readers]\ncount = 0\n".to_owned(),
        "seed = 7\n".to_owned(),
        "[steam]\nrows_per_s = 5\n".to_owned(),
        String::new(),
    ];
    let shown = all.map(|text| {
        let source = ProfileSource::new("test.toml", text);
        let faults = Plan::read(&source, &Overrides::default()).expect_err("it is bad");
        faults.to_string()
    });
    assert_snapshot!(shown.join("\n\n"));
}
