//! A short real run of each kind of job, and the committed folders that such runs left.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{files, report_of, schema, violations};
use crate::gpus::{Titled, stub};
use crate::support::{Database, Ended, Program, scratch, until};

/// The folder of a run that was killed.
pub(super) const RUNNING: &str = "running";
/// The folder of a run of strom-load 0.1 with format 1, from before there was this test.
pub(super) const FORMAT_1: &str = "format-1";
/// In each folder: what its run printed, but for where the results are. Of one that was killed, what
/// `report` shows.
pub(super) const SHOWN: &str = "shown.txt";

/// The committed folders.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/results")
}

/// A kind of job.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Its profiles, each a file.
    profiles: &'static [(&'static str, &'static str)],
    /// What is typed before those, and behind them.
    args: (&'static [&'static str], &'static [&'static str]),
    /// Its exit code.
    code: i32,
}

const STREAM: &str = r#"
warmup_s = 0.5
duration_s = 2
audit = "full"
thresholds = ["response_p99_ms < 10000", "rate_ratio > 2"]
[stream]
[readers]
count = 1
queries_per_s = 8
[[readers.queries]]
name = "newest"
sql = "SELECT max(created_at) AS newest, count(*) FROM {table}"
newest_column = "newest"
"#;

/// One query answers the same in both arms, one another.
const COMPARED: &str = r#"
warmup_s = 0.5
duration_s = 1.5
[stream]
[arms.serial]
set = { max_parallel_workers_per_gather = 0 }
[arms.no_seqscan]
set = { enable_seqscan = false }
[readers]
count = 2
queries_per_s = 40
repeats = 2
[[readers.queries]]
name = "sums"
sql = "SELECT gpu_partition, count(*) FROM {table} GROUP BY 1"
[[readers.queries]]
name = "planted"
sql = "SELECT current_setting('enable_seqscan') AS setting"
"#;

const BENCHMARK: &str = r#"
[bench]
table = "sales"
pairs_min = 4
pairs_max = 6
[arms.serial]
set = { max_parallel_workers_per_gather = 0 }
[arms.no_seqscan]
set = { enable_seqscan = false }
[[bench.queries]]
name = "sums"
sql = "SELECT category, sum(amount) FROM {table} GROUP BY category"
[[bench.queries]]
name = "failing"
sql = "SELECT 1 / (current_setting('enable_seqscan') = 'on')::int"
[[bench.steps]]
name = "plain"
[[bench.steps]]
name = "indexed"
queries = ["sums"]
before = ["CREATE INDEX sales_category ON {table} (category)"]
after = ["DROP INDEX sales_category"]
[[bench.steps]]
name = "broken"
queries = ["sums"]
before = ["SELECT 1/0"]
[[tables]]
name = "sales"
rows = 2_000
columns = [
    { name = "id", type = "bigint", values = "row_id" },
    { name = "category", type = "varchar(50)", values = { label = { prefix = "c_", min = 0, max = 9, pick = "cycle" } } },
    { name = "amount", type = "numeric(15,2)", values = { decimal = { min = "0.00", max = "100.00" } } },
]
"#;

const SWEEP: &str = r#"
[bench]
[[bench.queries]]
name = "sort"
sql = "SELECT count(*) FROM (SELECT n FROM generate_series(1, 2000) AS n ORDER BY n DESC) AS t"
[sweep]
if_absent = "skip"
[[sweep.settings]]
name = "work_mem"
values = ["1MB", "8MB"]
[[sweep.settings]]
name = "pg_strom.gpu_setup_cost"
values = [0]
"#;

/// A job of each kind.
pub(super) const ALL: [Kind; 6] = [
    Kind {
        name: "stream",
        profiles: &[("stream", STREAM)],
        args: (&["run"], &["--rate", "600"]),
        code: 99,
    },
    Kind {
        name: "compared",
        profiles: &[("compared", COMPARED)],
        args: (&["run"], &["--rate", "900"]),
        code: 5,
    },
    Kind {
        name: "benchmark",
        profiles: &[("benchmark", BENCHMARK)],
        args: (&["run"], &[]),
        code: 4,
    },
    Kind { name: "sweep", profiles: &[("sweep", SWEEP)], args: (&["run"], &[]), code: 0 },
    Kind {
        name: "faults",
        profiles: &[],
        args: (
            &["faults", "--only", "connection-cut,backend-terminated", "--seed", "3"],
            &["--duration", "8s", "--rate", "600", "--readers", "0"],
        ),
        code: 0,
    },
    Kind {
        name: "several",
        profiles: &[("first", SWEEP), ("second", STREAM)],
        args: (&["run"], &["--rate", "600"]),
        code: 99,
    },
];

impl Kind {
    /// Runs it to its end, on a machine with GPUs that are none.
    async fn run(&self) -> Ended {
        let (database, folder, titled) = (Database::create().await, scratch(), Titled::start());
        let library = stub(folder.path(), &[]).display().to_string();
        let path = |name: &str| folder.path().join(format!("{name}.toml")).display().to_string();
        let files: Vec<String> = self.profiles.iter().map(|(name, _)| path(name)).collect();
        for (file, (_, text)) in files.iter().zip(self.profiles) {
            fs::write(file, text).unwrap();
        }
        let mut args = self.args.0.to_vec();
        args.extend(files.iter().map(String::as_str));
        let address = database.address();
        if !files.is_empty() {
            args.extend(["--database-url", &address]);
        }
        args.extend(self.args.1);
        args.extend(["--metrics-addr", "off", "--output", "out"]);
        let env = [("STROM_LOAD_NVML", &*library), ("NVML_STUB_PID", &titled.pid())];
        let ended = Program::start_in(scratch(), &args, &env).end().await;
        assert_eq!(ended.code, Some(self.code), "{}\n{}", ended.stdout, ended.stderr);
        ended
    }
}

/// What a run printed, but for where the results are.
fn printed(ended: &Ended) -> String {
    let lines = ended.stdout.split_inclusive('\n');
    let lines = lines.filter(|line| !(line.starts_with("results ") && line.contains("out")));
    lines.collect()
}

/// Runs a kind, and compares what it showed with what is shown of what it saved.
async fn check(name: &str) {
    let kind = ALL.iter().find(|kind| kind.name == name).unwrap();
    let ended = kind.run().await;
    let out = ended.work().join("out");
    let report = report_of(&out).await;
    assert_eq!((report.code, &*report.stderr), (Some(0), ""));
    assert_eq!(report.stdout, printed(&ended));
    assert!(report.stdout.lines().count() > 8, "{}", report.stdout);
    assert_eq!(violations(&schema(), &files(&out)), "");
    crate::pages::check_folder(&out);
}

#[tokio::test]
async fn a_stream_is_shown_again_as_it_was_shown() {
    check("stream").await;
}

#[tokio::test]
async fn a_comparison_is_shown_again_as_it_was_shown() {
    check("compared").await;
}

#[tokio::test]
async fn a_benchmark_is_shown_again_as_it_was_shown() {
    check("benchmark").await;
}

#[tokio::test]
async fn a_sweep_is_shown_again_as_it_was_shown() {
    check("sweep").await;
}

#[tokio::test]
async fn a_run_among_faults_is_shown_again_as_it_was_shown() {
    check("faults").await;
}

#[tokio::test]
async fn several_runs_are_shown_again_as_they_were_shown() {
    check("several").await;
}

/// A run that was killed, and its folder.
async fn killed() -> TempDir {
    let database = Database::create().await;
    let args = ["--rate", "300", "--duration", "forever", "--readers", "0", "--warmup", "0s"];
    let mut program = Program::run(&database, &args);
    let saved = program.folder.path().join("work/out/result.json");
    let rows = || {
        let result: serde_json::Value = serde_json::from_slice(&fs::read(&saved).ok()?).ok()?;
        result["stream"]["rows_acknowledged"].as_u64()
    };
    until("a save with rows in it", || rows().is_some_and(|rows| rows > 0)).await;
    program.child.kill().await.unwrap();
    program.folder
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

/// Makes the committed folders anew.
#[tokio::test]
#[ignore = "it writes the committed folders: STROM_LOAD_TEST_REMAKE=1, with --ignored"]
async fn remake() {
    if std::env::var_os("STROM_LOAD_TEST_REMAKE").is_none() {
        return;
    }
    for kind in &ALL {
        let ended = kind.run().await;
        let folder = fixtures().join(kind.name);
        let _ = fs::remove_dir_all(&folder);
        copy(&ended.work().join("out"), &folder);
        fs::write(folder.join(SHOWN), printed(&ended)).unwrap();
    }
    let killed = killed().await;
    let folder = fixtures().join(RUNNING);
    let _ = fs::remove_dir_all(&folder);
    copy(&killed.path().join("work/out"), &folder);
    fs::write(folder.join(SHOWN), super::shown(&folder)).unwrap();
}
