//! Laws of the plan as a whole, and how its faults read.

mod arrays;
mod arrivals;
mod columns;
mod conditional;
mod files;
mod left_over;
mod numbers;
mod pairs;
mod parameters;
mod recovery;
mod references;
mod writers;

use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;

use std::num::{NonZeroU32, NonZeroU64};

use super::*;
use crate::profile::{Located, Number, RateOrMax, SecondsOrForever, Whole};

/// A profile of this text; of a stream, unless it says what it is of.
fn source(text: &str) -> ProfileSource {
    let says = ["stream", "bench", "tables"].iter().any(|key| text.contains(key));
    let text = if says { text.to_owned() } else { format!("{text}\n[stream]\n") };
    ProfileSource::new("profiles/test.toml", text)
}

fn given(words: &[&str]) -> Overrides {
    Overrides::read(words).unwrap_or_else(|error| panic!("{error}"))
}

fn resolve(text: &str) -> Result<Plan, Faults> {
    Plan::resolve(&source(text), &Overrides::default())
}

fn plan(text: &str, overrides: &Overrides) -> Plan<StreamJob> {
    let plan = Plan::resolve(&source(text), overrides).unwrap_or_else(|faults| panic!("{faults}"));
    plan.into_stream().expect("the job is a stream")
}

fn realtime() -> Plan<StreamJob> {
    let plan = Plan::resolve(&builtin("realtime").unwrap(), &Overrides::default());
    plan.unwrap().into_stream().unwrap()
}

fn faults(text: &str) -> String {
    resolve(text).expect_err("the profile is bad").to_string()
}

fn faults_with(text: &str, overrides: &Overrides) -> String {
    Plan::resolve(&source(text), overrides).expect_err("the profile is bad").to_string()
}

#[test]
fn an_empty_profile_is_the_default_workload_without_readers() {
    let plan = plan("", &Overrides::default());
    assert_eq!(plan.common.name, "test");
    assert_eq!((plan.common.seed, plan.job.warmup), (42, Duration::from_secs(2)));
    assert_eq!(plan.job.duration, Some(Duration::from_secs(60)));
    assert_eq!(plan.job.drain_timeout, Duration::from_secs(30));
    assert_eq!(plan.job.stream.table.to_string(), "\"l40s_realtime_stream\"");
    assert_eq!(plan.job.stream.partitions.map(NonZeroU32::get), Some(3));
    assert_eq!(plan.job.stream.rate, StreamRate::RowsPerSecond(3000.try_into().unwrap()));
    assert_eq!(plan.job.stream.batch_rows.get(), 100);
    assert_eq!(plan.job.stream.linger, Duration::from_millis(100));
    assert_eq!(plan.job.stream.recreate, Recreate::No);
    assert_eq!(plan.job.stream.columns.len(), 6);
    assert_eq!(plan.job.readers.count, 0);
    assert_eq!(plan.job.readers.statement_timeout, Duration::from_secs(60));
    let recovery = Recovery {
        delivery: Delivery::ExactlyOnce,
        on_fault: OnFault::Recover,
        reconnect_timeout: Duration::from_secs(60),
        batch_timeout: Duration::from_secs(10),
        lease: Duration::from_secs(60),
        backlog_rows: NonZeroU64::new(180_000).unwrap(),
        catch_up_factor: 4.0,
    };
    assert_eq!(plan.job.recovery, recovery);
    assert_eq!(plan.job.audit, Audit::Full);
    assert!(plan.common.thresholds.is_empty());
}

#[test]
fn an_unthrottled_stream_has_larger_batches_unless_told() {
    let unthrottled = plan("stream.rows_per_s = \"max\"", &Overrides::default());
    assert_eq!(unthrottled.job.stream.rate, StreamRate::Max);
    assert_eq!(unthrottled.job.stream.batch_rows.get(), 20_000);
    let told = plan("stream = { rows_per_s = \"max\", batch_rows = 7 }", &Overrides::default());
    assert_eq!(told.job.stream.batch_rows.get(), 7);
}

#[test]
fn the_backlog_holds_a_minute_of_the_rate_and_a_batch_of_each_partition_unless_told() {
    let backlog = |stream: &str| {
        let plan = plan(&format!("stream = {{ {stream} }}"), &Overrides::default());
        plan.job.recovery.backlog_rows.get()
    };
    assert_eq!(backlog("rows_per_s = 30_000"), 1_800_000);
    assert_eq!(backlog("rows_per_s = 1"), 300);
    assert_eq!(backlog("rows_per_s = \"max\""), 1_000_000);
    assert_eq!(backlog("rows_per_s = \"max\", partitions = 100"), 2_000_000);
    let told = plan("recovery.backlog_rows = 300", &Overrides::default());
    assert_eq!(told.job.recovery.backlog_rows.get(), 300);
}

#[test]
fn what_happens_at_a_fault_is_read_from_the_file_and_overridden() {
    let file = "audit = \"count\"\n[recovery]\ndelivery = \"at-least-once\"\non_fault = \"stop\"\n\
                reconnect_timeout_s = 0.001\nbatch_timeout_s = 0.002\nlease_s = 1\nbacklog_rows = 1_000_000_000_000\ncatch_up_factor = 1.5\n";
    let read = plan(file, &Overrides::default());
    let wanted = Recovery {
        delivery: Delivery::AtLeastOnce,
        on_fault: OnFault::Stop,
        reconnect_timeout: Duration::from_millis(1),
        batch_timeout: Duration::from_millis(2),
        lease: Duration::from_secs(1),
        backlog_rows: NonZeroU64::new(1_000_000_000_000).unwrap(),
        catch_up_factor: 1.5,
    };
    assert_eq!((read.job.recovery, read.job.audit), (wanted, Audit::Count));
    let overrides = given(&[
        "--delivery=at-most-once",
        "--reconnect-timeout=1d",
        "--batch-timeout=30s",
        "--lease=2m",
        "--catch-up=1k",
        "--audit=off",
        "STROM_LOAD_DELIVERY=exactly-once",
        "STROM_LOAD_ON_FAULT=recover",
        "STROM_LOAD_BACKLOG_ROWS=5k",
    ]);
    let overridden = plan(file, &overrides);
    let wanted = Recovery {
        delivery: Delivery::AtMostOnce,
        on_fault: OnFault::Recover,
        reconnect_timeout: Duration::from_secs(86_400),
        batch_timeout: Duration::from_secs(30),
        lease: Duration::from_secs(120),
        backlog_rows: NonZeroU64::new(5_000).unwrap(),
        catch_up_factor: 1_000.0,
    };
    assert_eq!((overridden.job.recovery, overridden.job.audit), (wanted, Audit::Off));
}

#[test]
fn a_partition_has_a_connection_and_may_have_more() {
    let plain = plan("stream = { partitions = 4 }", &Overrides::default());
    assert_eq!((plain.job.stream.connections.get(), plain.job.loading_sessions()), (4, 5));
    // What says no more than the partitions do is left out.
    let same = plan("stream = { partitions = 4, connections = 4 }", &Overrides::default());
    assert_eq!(same.job.stream, plain.job.stream);
    assert!(!render(&same).contains("connections"), "{}", render(&same));
    let more = plan("stream = { partitions = 4 }", &given(&["--connections=6"]));
    assert_eq!(more.job.loading_sessions(), 7);
    assert!(render(&more).contains("connections = 6\n"), "{}", render(&more));
    let few = faults("[stream]\npartitions = 4\nconnections = 3\n");
    assert!(few.contains("`connections` is 3, and each of 4 partitions needs one"), "{few}");
    assert!(few.contains("choose at least 4, or fewer partitions"), "{few}");
}

#[test]
fn flags_override_the_environment_overrides_the_file_overrides_the_defaults() {
    let file = "duration_s = 10\nwarmup_s = 1\nstream = { partitions = 5, batch_rows = 7 }";
    let overrides = given(&[
        "STROM_LOAD_DURATION=forever",
        "STROM_LOAD_PARTITIONS=8",
        "--partitions=9",
        "--threshold=errors <= 0",
    ]);
    let plan = plan(file, &overrides);
    assert_eq!(plan.job.stream.partitions.map(NonZeroU32::get), Some(9), "flag over environment");
    assert_eq!(plan.job.duration, None, "environment over file");
    assert_eq!(plan.job.stream.batch_rows.get(), 7, "file over default");
    assert_eq!(plan.common.seed, 42, "default");
    assert_eq!(plan.common.thresholds[0].to_string(), "errors <= 0");
}

#[test]
fn a_repeat_is_a_whole_measurement() {
    let file = "duration_s = 10\n[stream]\n[readers]\n[[readers.queries]]\nname = \"q\"\nsql = \"SELECT 1\"\n";
    let plan = plan(file, &given(&["--repeats=3"]));
    assert_eq!(plan.job.duration, Some(Duration::from_secs(30)));
    assert_eq!(plan.job.repeat_duration(), Some(Duration::from_secs(10)));
    // What is saved resolves to the same.
    assert_eq!(serde_json::to_value(&plan.common.profile).unwrap()["duration_s"], 10);
    let forever = given(&["--repeats=3", "--duration=forever"]);
    let bench = "[[bench.queries]]\nname = \"q\"\nsql = \"SELECT 1\"\n";
    let sequential = given(&["--repeats=3", "--order=sequential"]);
    assert_snapshot!([faults_with(file, &forever), faults_with(bench, &sequential)].join("\n\n"));
}

#[test]
fn an_override_mends_a_bad_value_of_the_file() {
    let plan = plan("stream.rows_per_s = 0", &given(&["--rate=5"]));
    assert_eq!(plan.job.stream.rate, StreamRate::RowsPerSecond(5.try_into().unwrap()));
}

#[test]
fn every_builtin_and_every_file_of_profiles_resolves() {
    for (name, _) in BUILTINS {
        let plan = Plan::resolve(&builtin(name).unwrap(), &Overrides::default()).unwrap();
        assert_eq!(plan.common.name, *name);
        let description = plan.common.profile.description.unwrap_or_default();
        assert!((10..100).contains(&description.len()), "{name}: {description}");
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let source = ProfileSource::new(path.display().to_string(), text);
            Plan::resolve(&source, &Overrides::default()).unwrap_or_else(|f| panic!("{f}"));
        }
    }
}

#[test]
fn the_builtin_realtime_profile_states_the_defaults() {
    let realtime = realtime();
    let defaults = plan("", &Overrides::default());
    assert_eq!(realtime.job.stream, defaults.job.stream);
    assert_eq!(realtime.job.recovery, defaults.job.recovery);
    assert_eq!(realtime.job.audit, defaults.job.audit);
    assert_eq!(realtime.job.readers.queries.len(), 5);
    assert_eq!(realtime.job.readers.count, 2);
}

#[test]
fn the_schema_is_the_one_that_editors_are_given() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/profile.schema.json");
    let schema = serde_json::to_string_pretty(&crate::profile::schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == schema,
        "profiles/profile.schema.json is out of date; run `UPDATE_SCHEMA=1 cargo test schema` and commit it"
    );
}

#[test]
fn a_rendered_plan_reads_as_a_profile() {
    assert_snapshot!(render(&realtime()));
}

#[test]
fn the_result_file_holds_the_plan_in_the_keys_of_the_profile() {
    let plan = plan("stream.rows_per_s = \"max\"\nduration_s = 1.5", &Overrides::default());
    let json = serde_json::to_value(&plan.common.profile).unwrap();
    assert_eq!(json["duration_s"], 1.5);
    assert_eq!(json["warmup_s"], 2);
    assert_eq!(json["stream"]["rows_per_s"], "max");
    assert_eq!(json["stream"]["linger_ms"], 100);
    assert_eq!(json["stream"]["columns"][3]["values"]["decimal"]["max"], "10000.00");
}

proptest! {
    #[test]
    fn a_rendered_plan_resolves_to_itself(
        seed in 0..=i64::MAX as u64,
        warmup_us in 0..=315_360_000_000_000_u64,
        duration_us in proptest::option::of(1..=315_360_000_000_000_u64),
        linger_us in 1_000..=60_000_000_u64,
        rate in proptest::option::of(1..=1_000_000_000_u64),
        query_rate in proptest::option::of(1e-6..=1e6),
        delivery in prop::sample::select(vec![Delivery::ExactlyOnce, Delivery::AtLeastOnce, Delivery::AtMostOnce]),
        on_fault in prop::sample::select(vec![OnFault::Recover, OnFault::Stop]),
        audit in prop::sample::select(vec![Audit::Full, Audit::Count, Audit::Off]),
        reconnect_us in 1_000..=86_400_000_000_u64,
        backlog_rows in 300..=1_000_000_000_000_u64,
        catch_up_factor in 1.000_001..=1_000.0,
        table in "[a-z\"'\\\\ é]{1,20}",
        sql in "[^\0;:{}'\"$/*-]*",
        limit in any::<f32>().prop_filter("finite", |limit| limit.is_finite()),
    ) {
        let mut profile = realtime().common.profile;
        let seconds = |us: u64| Some(Located::from(Number(us as f64 / 1e6)));
        profile.seed = Some(Whole(seed as i64).into());
        profile.warmup_s = seconds(warmup_us);
        let duration = duration_us.map(|us| SecondsOrForever::Seconds(Number(us as f64 / 1e6)));
        profile.duration_s = Some(duration.unwrap_or(SecondsOrForever::Forever).into());
        let stream = profile.stream.as_mut().unwrap();
        stream.linger_ms = Some(Number(linger_us as f64 / 1e3).into());
        let rate = rate.map(|rate| RateOrMax::PerSecond(Number(rate as f64)));
        stream.rows_per_s = Some(rate.unwrap_or(RateOrMax::Max).into());
        let table = TableName { schema: None, name: table };
        stream.table = Some(table.as_written().into());
        let recovery = profile.recovery.as_mut().unwrap();
        recovery.delivery = Some(delivery.into());
        recovery.on_fault = Some(on_fault.into());
        recovery.reconnect_timeout_s = seconds(reconnect_us);
        recovery.backlog_rows = Some(Whole(backlog_rows as i64).into());
        recovery.catch_up_factor = Some(Number(catch_up_factor).into());
        profile.audit = Some(audit.into());
        let readers = profile.readers.as_mut().unwrap();
        let query_rate = query_rate.map(|rate| RateOrMax::PerSecond(Number(rate)));
        readers.queries_per_s = Some(query_rate.unwrap_or(RateOrMax::Max).into());
        readers.queries.as_mut().unwrap()[0].sql = Some(format!("select {sql}").into());
        profile.thresholds = Some(vec![format!("errors <= {limit}").into()]);

        let written = toml::to_string(&profile).unwrap();
        let first = Plan::resolve(&source(&written), &Overrides::default()).unwrap();
        let rendered = render(&first);
        let second = Plan::resolve(&source(&rendered), &Overrides::default()).unwrap();
        prop_assert_eq!(&second, &first, "{}", rendered);
        let stream = first.clone().into_stream().unwrap();
        prop_assert_eq!(stream.common.seed, seed);
        prop_assert_eq!(stream.job.warmup, Duration::from_micros(warmup_us));
        prop_assert_eq!(stream.job.duration, duration_us.map(Duration::from_micros));
        prop_assert_eq!(stream.job.stream.linger, Duration::from_micros(linger_us));
        prop_assert_eq!(stream.job.stream.table, table);
        prop_assert!((stream.job.recovery.catch_up_factor - catch_up_factor).abs() < 1e-12);
        prop_assert_eq!(stream.job.readers.queries[0].sql.as_str(), format!("select {sql}"));
        // The saved result has it as JSON.
        let json = serde_json::to_string(&first.common.profile).unwrap();
        let read: Box<Profile> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &first.common.profile, "{}", json);
    }

    #[test]
    fn no_text_panics(text in "([a-z_.=\\[\\]{}\"' \n0-9-]|stream|columns|readers|values|name)*") {
        let _ = resolve(&text).map_err(|faults| faults.to_string());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let decoded = ProfileSource::decode("bytes", bytes);
        let resolved = decoded.and_then(|source| Plan::resolve(&source, &Overrides::default()));
        let _ = resolved.map_err(|faults| faults.to_string());
    }
}

#[test]
fn a_misspelt_key_gets_its_near_miss() {
    assert_snapshot!(faults("[stream]\ntabel = \"events\"\n"));
}

#[test]
fn an_unknown_key_gets_the_known_ones() {
    assert_snapshot!(faults("colour = \"red\"\n"));
}

#[test]
fn a_wrong_type_says_what_is_wanted_and_what_is_there() {
    assert_snapshot!(faults(
        "seed = \"many\"\nwarmup_s = \"2s\"\nname = 5\nthresholds = [1]\nduration_s = 2026-01-01\n\
         [stream]\npartitions = 2.5\nrows_per_s = \"30k\"\nrecreate = 1\ncolumns = 3\n[readers]\ngpu = \"of\"\n"
    ));
}

#[test]
fn all_faults_of_a_file_come_at_once_in_its_order() {
    assert_snapshot!(faults(
        "sed = 1\n[stream]\nrows_per_s = 0\nlinger = 5\n[readers]\ncount = -1\n"
    ));
}

#[test]
fn numbers_outside_their_limits() {
    assert_snapshot!(faults(
        "seed = -1\nwarmup_s = -0.5\nduration_s = nan\ndrain_timeout_s = inf\n[stream]\n\
         rows_per_s = 2.5\npartitions = 0\nbatch_rows = 1_000_001\nlinger_ms = 0.5\n[readers]\n\
         count = 0\nqueries_per_s = 0\nstatement_timeout_s = 0\n"
    ));
}

#[test]
fn a_bad_duration() {
    assert_snapshot!(faults("duration_s = \"1h\"\n[stream]\nlinger_ms = -1\n"));
}

#[test]
fn a_bad_table_name() {
    assert_snapshot!(faults("stream.table = \"a.b.c\"\n"));
}

#[test]
fn a_bad_name() {
    assert_snapshot!(faults("name = \"Real time!\"\n"));
}

#[test]
fn bad_columns() {
    assert_snapshot!(faults(
        r#"
[[stream.columns]]
name = "id"
type = "bigit"
values = "row_id"
[[stream.columns]]
name = "part"
type = "text"
values = "partition"
[[stream.columns]]
name = "part"
type = "smallint"
values = { integer = { min = 1, max = 100_000 } }
[[stream.columns]]
name = "d"
type = "date"
values = { day = { min = "2023-02-30", max = "2023-12-31" } }
[[stream.columns]]
type = "varchar(5)"
values = { label = { prefix = "category_", min = 1 } }
[[stream.columns]]
name = ""
type = "varchar(5)"
values = { label = { prefix = "category_", min = 1, max = 100 } }
[[stream.columns]]
name = "m"
type = "numeric(5,2)"
values = { decimal = { min = "0.001", max = "10" } }
[[stream.columns]]
name = "b"
type = "boolean"
values = { lable = { prefix = "x" } }
[[stream.columns]]
name = "e"
type = "text"
values = "label"
"#
    ));
}

#[test]
fn missing_and_doubled_roles() {
    assert_snapshot!(faults(
        r#"
stream.identity = "none"
[[stream.columns]]
name = "p"
type = "integer"
values = "partition"
[[stream.columns]]
name = "p2"
type = "integer"
values = "partition"
[[stream.columns]]
name = "id"
type = "bigint"
values = "row_id"
[[stream.columns]]
name = "id2"
type = "bigint"
values = "row_id"
"#
    ));
}

#[test]
fn rows_may_have_neither_key_nor_identity() {
    let columns = |values: &str| {
        format!("columns = [{{ name = \"c\", type = \"bigint\", values = {values} }}]\n")
    };
    let keyless = plan(&format!("[stream]\n{}", columns("\"row_id\"")), &Overrides::default());
    let stream = &keyless.job.stream;
    assert_eq!((stream.partitions, stream.connections.get()), (None, 3));
    assert_eq!(keyless.job.audit, Audit::Full);
    let rendered = render(&keyless);
    assert!(
        rendered.contains("connections = 3\n") && !rendered.contains("partitions"),
        "{rendered}"
    );
    let number = "{ integer = { min = 1, max = 2 } }";
    let nameless = format!("[stream]\nidentity = \"none\"\nconnections = 8\n{}", columns(number));
    let counted = plan(&nameless, &Overrides::default());
    assert_eq!((counted.job.audit, counted.job.stream.id_column()), (Audit::Count, None));
    assert_eq!(plan(&render(&counted), &Overrides::default()), counted);
    let full = faults_with(&nameless, &given(&["--audit=full"]));
    assert!(full.contains("cannot be read back one by one"), "{full}");
    // By a flag, partitions are asked for; in a file they may stand beside any columns.
    let idle = plan(&nameless, &given(&["--partitions=2"]));
    assert_eq!(idle.common.left_over.len(), 1, "{:?}", idle.common.left_over);
    plan(&format!("{nameless}partitions = 2\n"), &Overrides::default());
}

#[test]
fn no_columns_at_all() {
    assert_snapshot!(faults("stream.columns = []\n"));
}

#[test]
fn bad_queries() {
    assert_snapshot!(faults(
        r#"
[[readers.queries]]
name = "one"
sql = "select 1"
[[readers.queries]]
name = "one"
weight = 0
sql = "select 1; select 2"
[[readers.queries]]
name = "Not a name"
newest_column = ""
sql = " -- nothing"
[[readers.queries]]
sql = "select * from {tabel}"
[[readers.queries]]
name = "open"
sql = "select 'open"
"#
    ));
}

#[test]
fn readers_without_a_query() {
    assert_snapshot!(faults("readers.count = 2\n"));
}

#[test]
fn bad_thresholds() {
    assert_snapshot!(faults(
        "thresholds = [\"response_p9_ms < 50\", \"errors == 0\",\n  \"rate_ratio >= most\"]\n"
    ));
}

#[test]
fn a_value_that_toml_does_not_know() {
    assert_snapshot!(faults("duration_s = 60s\nwarmup_s =\nseed = 1\nseed = 2\n"));
}

#[test]
fn a_syntax_error_does_not_hide_the_other_faults() {
    assert_snapshot!(faults(
        "name = \"unclosed\nseed = -1\n[stream\nrows_per_s = 0\n[readers]\ncuont = 2\n"
    ));
}

#[test]
fn a_fault_of_an_override_names_the_flag_or_variable() {
    let overrides = given(&[
        "--rate=0",
        "STROM_LOAD_LINGER=2m",
        "--table=a b",
        "--readers=3",
        "--seed=18446744073709551615",
        "--threshold=errors",
    ]);
    assert_snapshot!(faults_with("stream.rows_per_s = 10\n", &overrides));
}

#[test]
fn an_unrelated_fault_hides_nothing_that_is_missing() {
    let text = "[stream]\npartitions = \"x\"\ncolumns = []\n[readers]\ncount = 1\ngpu = 1\n";
    assert_eq!(resolve(text).unwrap_err().iter().count(), 4, "{}", faults(text));
}

#[test]
fn one_fault_brings_no_others() {
    for text in [
        "[[stream.columns]]\nname = 1\ntype = \"int\"\nvalues = \"row_id\"\n[[stream.columns]]\nname = \"p\"\ntype = \"int\"\nvalues = \"partition\"\n",
        "[[stream.columns]]\nname = \"p\"\ntype = \"int\"\nvalues = \"partition\"\n[[stream.columns]]\nname = \"id\"\ntype = \"bigint\"\nvalue = \"row_id\"\n",
        "[readers]\ncount = 1\nquerys = []\n",
        "[stream]\ncolums = []\n",
        "[stream]\nbatch_rows = 0\n[recovery]\nbacklog_rows = 5\n",
        "[stream]\npartitions = \"1\"\n[recovery]\nbacklog_rows = 100\n",
        "[stream]\nbatchrows = 10\n[recovery]\nbacklog_rows = 30\n",
        "stream = 5\n",
        "[stream]\ncolumns = [1]\nconnections = 1\n",
        "[[stream.columns]]\nname = \"p\"\ntype = \"int\"\nvalues = { partitoin = {} }\n",
        "[[readers.queries]]\nname = 5\nsql = \"select 1\"\n[readers]\ncount = 1\n",
    ] {
        let found = resolve(text).unwrap_err();
        let own = found.iter().filter(|fault| !fault.what.contains("values do not fit"));
        assert_eq!(own.count(), 1, "{text}\n{found}");
    }
}

#[test]
fn no_more_faults_are_shown_than_anybody_reads() {
    let shown = |keys: usize| {
        let text: Vec<_> = (0..keys).map(|number| format!("key_{number} = 1")).collect();
        let faults = faults(&text.join("\n"));
        (faults.matches("error: ").count(), faults.rsplit("\n\n").next().unwrap().to_owned())
    };
    assert_eq!(shown(20).0, 20);
    assert_eq!(shown(23), (20, "…and 3 more".to_owned()));
    assert_eq!(shown(5_000), (20, "…and 80 more at least".to_owned()));
}

#[test]
fn a_line_of_any_length_is_no_panic() {
    // 65,536 is where the standard library's formatting ends.
    for blanks in [65_534, 65_535, 65_536, 70_000] {
        let found = faults(&format!("x = [{}}}", " ".repeat(blanks)));
        assert!(found.lines().all(|line| line.chars().count() < 200), "{found}");
    }
}
