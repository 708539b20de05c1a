//! The GPUs of a machine, as the program lists and samples them. The fake GPU is a library that
//! the test compiles, in place of the driver's.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::outputs::{assert_clean, get, total};
use crate::support::{Database, Ended, Program, scratch};

/// Compiles the fake of the driver's library.
pub(crate) fn stub(folder: &Path, switches: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvml_stub.c");
    let library = folder.join("libnvidia-ml-stub.so");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .args(switches)
        .arg(source)
        .output()
        .unwrap_or_else(|error| panic!("`cc` (Debian's package gcc) is needed here: {error}"));
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

/// The program with a fake driver, and the folder that holds the latter.
struct Fake {
    folder: TempDir,
    library: String,
}

impl Fake {
    fn new(switches: &[&str]) -> Self {
        let folder = scratch();
        let library = stub(folder.path(), switches).display().to_string();
        Self { folder, library }
    }

    fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Program {
        let mut all = vec![("STROM_LOAD_NVML", self.library.as_str())];
        all.extend(env);
        Program::start_in(scratch(), args, &all)
    }

    async fn gpus(&self, args: &[&str], env: &[(&str, &str)]) -> String {
        let mut all = vec!["gpus"];
        all.extend(args);
        let ended = self.start(&all, env).end().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let library = self.folder.path().display().to_string();
        ended.stdout.replace(&library, "FOLDER")
    }
}

/// A process with the title of PG-Strom's.
pub(crate) struct Titled(Child);

impl Titled {
    pub(crate) fn start() -> Self {
        let mut command = Command::new("sleep");
        command.arg0("postgres: PG-Strom GPU Service").arg("120").stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Titled {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn gpus_are_listed_with_who_is_on_them() {
    let fake = Fake::new(&[]);
    let titled = Titled::start();
    let pid = titled.pid();
    let text = fake.gpus(&[], &[("NVML_STUB_PID", &pid)]).await;
    insta::assert_snapshot!(text.replace(&format!("pid {pid}:"), "pid PID:"), @r"
        NVIDIA driver 580.95.05 (FOLDER/libnvidia-ml-stub.so)

        GPU 0  Stub H100 80GB  GPU-00000000-stub  00000000:01:00.0
          busy 0 %, memory 2048 of 81920 MiB, 120 W, 41 °C
          pid 4000000000: not visible from here, 5 MiB
          pid PID: PG-Strom's GPU process, 1700 MiB

        GPU 1  Stub T4  GPU-11111111-stub  00000000:02:00.0
          busy 0 %, memory 2048 of 16384 MiB, 30 W, 42 °C
          no process on it, as far as can be seen from here
    ");
    let json = fake.gpus(&["--format", "json"], &[("NVML_STUB_PID", &pid)]).await;
    insta::assert_snapshot!(json.replace(&format!("\"pid\": {pid}\n"), "\"pid\": PID\n"), @r#"
        {
          "driver": "580.95.05",
          "gpus": [
            {
              "index": 0,
              "memory_total_bytes": 85899345920,
              "memory_used_bytes": 2147483648,
              "name": "Stub H100 80GB",
              "pci_bus_id": "00000000:01:00.0",
              "power_watts": 120.5,
              "processes": [
                {
                  "command": null,
                  "is_pg_strom": false,
                  "memory_bytes": 5242880,
                  "pid": 4000000000
                },
                {
                  "command": "postgres: PG-Strom GPU Service 120",
                  "is_pg_strom": true,
                  "memory_bytes": 1782579200,
                  "pid": PID
                }
              ],
              "temperature_celsius": 41.0,
              "utilization_ratio": 0.0,
              "uuid": "GPU-00000000-stub"
            },
            {
              "index": 1,
              "memory_total_bytes": 17179869184,
              "memory_used_bytes": 2147483648,
              "name": "Stub T4",
              "pci_bus_id": "00000000:02:00.0",
              "power_watts": 30.0,
              "processes": [],
              "temperature_celsius": 42.0,
              "utilization_ratio": 0.0,
              "uuid": "GPU-11111111-stub"
            }
          ],
          "library": "FOLDER/libnvidia-ml-stub.so",
          "no_gpu": null
        }
    "#);
}

#[tokio::test]
async fn a_driver_that_lacks_functions_is_listed_with_what_it_has() {
    let text = Fake::new(&["-DBARE"]).gpus(&[], &[]).await;
    insta::assert_snapshot!(text, @r"
        NVIDIA driver of unknown version (FOLDER/libnvidia-ml-stub.so)

        GPU 0  unnamed
          busy 0 %
          processes: the driver does not tell

        GPU 1  unnamed
          busy 0 %
          processes: the driver does not tell
    ");
}

#[tokio::test]
async fn no_driver_and_no_gpu_are_one_line_each() {
    let mut said = String::new();
    for switch in ["-DNO_DRIVER", "-DNO_GPU"] {
        said += &Fake::new(&[switch]).gpus(&[], &[]).await;
    }
    let program = Program::start_in(scratch(), &["gpus"], &[("STROM_LOAD_NVML", "/nowhere.so")]);
    let ended = program.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(said + &ended.stdout, @r"
        no GPU to watch: the NVIDIA driver does not answer: FOLDER/libnvidia-ml-stub.so: NVIDIA driver is not loaded
        no GPU to watch: the NVIDIA driver 580.95.05 shows no GPU
        no GPU to watch: no NVIDIA driver: /nowhere.so: cannot open shared object file: No such file or directory
    ");
    let json = Fake::new(&["-DNO_GPU"]).gpus(&["--format", "json"], &[]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["gpus"], Value::Array(Vec::new()));
    assert!(json["no_gpu"].as_str().unwrap().contains("shows no GPU"), "{json}");
}

/// A run of some seconds with a fake driver.
fn run(fake: &Fake, database: &Database, args: &[&str], env: &[(&str, &str)]) -> Program {
    let address = database.address();
    let mut all = vec!["--database-url", &address, "--output", "out", "--rate", "500"];
    all.extend(["--warmup", "1s", "--duration", "3s", "--readers", "0"]);
    all.extend(args);
    fake.start(&all, env)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn near(value: f64, wanted: f64, tolerance: f64) -> bool {
    (value - wanted).abs() <= tolerance
}

/// The rows of `gpu.csv` as (head, value) pairs.
fn csv(ended: &Ended) -> Vec<Vec<(String, String)>> {
    let text = std::fs::read_to_string(ended.work().join("out/gpu.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(", ").map(str::to_owned));
    let head: Vec<String> = lines.next().unwrap().collect();
    lines.map(|row| head.iter().cloned().zip(row).collect()).collect()
}

fn field<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    &row.iter().find(|(head, _)| head == name).unwrap_or_else(|| panic!("no column {name}")).1
}

#[tokio::test]
async fn a_run_samples_the_gpus_into_every_output() {
    let (fake, database, titled) = (Fake::new(&[]), Database::create().await, Titled::start());
    let args = ["--metrics-addr", "127.0.0.1:0", "--gpu-interval", "20ms", "--gpu-pcie"];
    let program = run(&fake, &database, &args, &[("NVML_STUB_PID", &titled.pid())]);
    let endpoint = program.says("metrics at http://").await;
    let endpoint = endpoint.trim_end_matches("/metrics").parse().unwrap();
    program.says("GPUs are sampled each 20 ms: Stub H100 80GB, Stub T4").await;
    let mut page = String::new();
    while total(&page, "strom_load_gpu_samples_total") < 60.0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        page = get(endpoint, "/metrics").await.1;
    }
    assert_clean(&page);
    for line in [
        "strom_load_gpu_info{gpu=\"0\",uuid=\"GPU-00000000-stub\",name=\"Stub H100 80GB\",\
         driver=\"580.95.05\"} 1",
        "strom_load_gpu_utilization_max_ratio{gpu=\"0\",uuid=\"GPU-00000000-stub\"} 0.6",
        "strom_load_gpu_utilization_max_ratio{gpu=\"1\",uuid=\"GPU-11111111-stub\"} 0.8",
        "strom_load_gpu_memory_used_bytes{gpu=\"0\",uuid=\"GPU-00000000-stub\"} 2147483648",
        "strom_load_gpu_power_max_watts{gpu=\"0\",uuid=\"GPU-00000000-stub\"} 120.5",
        "strom_load_gpu_sm_clock_hertz{gpu=\"1\",uuid=\"GPU-11111111-stub\"} 1980000000",
        "strom_load_gpu_pg_strom_memory_bytes{gpu=\"0\",uuid=\"GPU-00000000-stub\"} 1782579200",
    ] {
        assert!(page.contains(&format!("{line}\n")), "{line}\n{page}");
    }
    // What GPU 1 does not tell is not there.
    assert!(!page.contains("strom_load_gpu_energy_joules_total{gpu=\"1\""), "{page}");
    assert!(total(&page, "strom_load_gpu_busy_seconds_total") > 0.0, "{page}");
    assert!(total(&page, "strom_load_gpu_throttled_seconds_total") > 0.0, "{page}");

    let ended = program.end().await;
    let gpus = &ended.done()["gpus"];
    assert_eq!((&gpus["driver"], &gpus["interval_ms"]), (&"580.95.05".into(), &20.0.into()));
    let (first, second) = (&gpus["devices"][0], &gpus["devices"][1]);
    assert_eq!(first["name"], "Stub H100 80GB");
    assert_eq!(first["uuid"], "GPU-00000000-stub");
    assert_eq!(first["memory_used_max_bytes"], 2_u64 << 30);
    assert_eq!(first["memory_total_bytes"], 80_u64 << 30);
    assert_eq!(first["samples_failed"], 0);
    assert_eq!(first["temperature_max_celsius"], 41.0);
    assert_eq!(first["pcie_received_max_bytes_per_s"], 250e6);
    assert_eq!(first["ecc_corrected"], 0, "the three of before the run are not of the run");
    assert_eq!(first["pg_strom_memory_max_bytes"], 1700_u64 << 20);
    assert!(near(number(&first["pg_strom_utilization_mean_ratio"]), 0.2, 1e-9), "{first}");
    assert!(near(number(&first["pg_strom_utilization_max_ratio"]), 0.3, 1e-9), "{first}");
    // Busy at 60 % each fourth time.
    assert_eq!(first["utilization_max_ratio"], 0.6);
    assert!(near(number(&first["utilization_mean_ratio"]), 0.15, 0.06), "{first}");
    let (busy_s, watched_s) = (number(&first["busy_s"]), number(&first["watched_s"]));
    let mean = number(&first["utilization_mean_ratio"]);
    assert!(near(busy_s, mean * watched_s, 1e-6), "{first}");
    // Each question raises the counter by 5 J. The measurement lasts 3 s or more.
    let samples = number(&first["samples"]);
    assert!(near(number(&first["energy_joules"]), 5.0 * samples, 0.5), "{first}");
    assert!(near(number(&first["throttled_s"]["power_cap"]), watched_s, 0.1), "{first}");
    assert_eq!(second["energy_joules"], Value::Null);
    assert_eq!(second["ecc_corrected"], Value::Null);
    assert_eq!(second["pg_strom_memory_max_bytes"], Value::Null);
    // Idle is what it draws while no kernel runs: here always the same.
    assert!(near(number(&first["idle_power_watts"]), 120.5, 1e-6), "{first}");
    // After the end of the schedule nothing is measured, however long finishing takes.
    assert!((2.5..=3.3).contains(&watched_s), "{first}");
    assert!(near(number(&second["power_mean_watts"]), 30.0, 1e-6), "{second}");
    assert!(ended.stdout.contains("GPU 0       Stub H100 80GB"), "{}", ended.stdout);
    let who = "GPUs        PG-Strom used GPU 0 only; busy with other work: GPU 1\n";
    assert!(ended.stdout.contains(who), "{}", ended.stdout);

    let rows = csv(&ended);
    let of_first = || rows.iter().filter(|row| field(row, "index") == "0");
    assert!((4..=7).contains(&of_first().count()), "{rows:?}");
    assert_eq!(rows.len(), 2 * of_first().count());
    for row in &rows {
        assert_eq!(field(row, "memory.used [MiB]"), "2048");
        assert_eq!(field(row, "clocks.mem [MHz]"), "2619");
    }
    let full = rows.iter().find(|row| field(row, "samples").parse::<u32>().unwrap() > 8).unwrap();
    assert_eq!(field(full, "utilization.gpu.max [%]"), "60.0");
    assert_eq!(field(full, "power.draw [W]"), "120.50");
    assert_eq!(field(full, "clocks_event_reasons.active"), "0x0000000000000004");
    let of_second = rows.iter().find(|row| field(row, "index") == "1").unwrap();
    assert_eq!(field(of_second, "energy [J]"), "[N/A]");
    assert_eq!(field(of_second, "pg_strom.memory [MiB]"), "[N/A]");
}

#[tokio::test]
async fn a_gpu_that_is_lost_mid_run_is_said_once_and_the_run_goes_on() {
    let (fake, database) = (Fake::new(&[]), Database::create().await);
    let args = ["--metrics-addr", "127.0.0.1:0", "--gpu-interval", "10ms"];
    let program = run(&fake, &database, &args, &[("NVML_STUB_LOST_AFTER", "200")]);
    let endpoint = program.says("metrics at http://").await;
    let endpoint = endpoint.trim_end_matches("/metrics").parse().unwrap();
    program.says("GPU 1 does not answer: device fell off the bus").await;
    let mut page = String::new();
    // A second in which it never answered: its gauges are gone, and do not freeze.
    while page.contains("strom_load_gpu_power_mean_watts{gpu=\"1\"") || page.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        page = get(endpoint, "/metrics").await.1;
    }
    assert!(page.contains("strom_load_gpu_power_mean_watts{gpu=\"0\""), "{page}");
    assert!(page.contains("strom_load_gpu_busy_seconds_total{gpu=\"1\""), "{page}");
    let ended = program.end().await;
    let result = ended.done();
    let (healthy, lost) = (&result["gpus"]["devices"][0], &result["gpus"]["devices"][1]);
    assert_eq!(healthy["samples_failed"], 0);
    assert!(number(&lost["samples_failed"]) > 0.0, "{lost}");
    assert!(number(&lost["watched_s"]) < number(&healthy["watched_s"]), "{lost}");
    assert_eq!(ended.stderr.matches("does not answer").count(), 1, "{}", ended.stderr);
    let rows = csv(&ended);
    let last = rows.iter().rfind(|row| field(row, "index") == "1").unwrap();
    assert_eq!((field(last, "power.draw [W]"), field(last, "samples")), ("[N/A]", "0"));
}

#[tokio::test]
async fn a_bare_driver_gives_utilisation_and_nothing_else() {
    let (fake, database) = (Fake::new(&["-DBARE"]), Database::create().await);
    let ended = run(&fake, &database, &["--metrics-addr", "off"], &[]).end().await;
    let result = ended.done();
    let first = &result["gpus"]["devices"][0];
    assert_eq!(first["utilization_max_ratio"], 0.6);
    for key in ["name", "uuid", "memory_used_max_bytes", "power_max_watts", "energy_joules"] {
        assert_eq!(first[key], Value::Null, "{key}");
    }
    assert_eq!(first["throttled_s"], Value::Null);
    // 100 ms is the default: thirty samples in the three measured seconds, and the last one.
    let samples = number(&first["samples"]);
    assert!((15.0..=40.0).contains(&samples), "{samples}");
}

#[tokio::test]
async fn without_a_driver_a_run_says_so_once_and_writes_no_csv() {
    let (fake, database) = (Fake::new(&["-DNO_DRIVER"]), Database::create().await);
    let ended = run(&fake, &database, &["--metrics-addr", "off"], &[]).end().await;
    let gpus = &ended.done()["gpus"];
    assert_eq!(gpus["devices"], Value::Array(Vec::new()));
    let why = gpus["not_watched"].as_str().unwrap();
    assert!(why.contains("NVIDIA driver is not loaded"), "{why}");
    assert_eq!(ended.stderr.matches("GPU").count(), 1, "{}", ended.stderr);
    let line = " INFO GPUs are not watched: the NVIDIA driver does not answer\n";
    assert!(ended.stderr.contains(line), "{}", ended.stderr);
    assert!(!ended.work().join("out/gpu.csv").exists());
    assert!(!ended.stdout.contains("GPU 0"), "{}", ended.stdout);

    let args = ["--metrics-addr", "off", "--gpu-interval", "off"];
    let ended = run(&fake, &database, &args, &[]).end().await;
    assert_eq!(ended.done()["gpus"]["not_watched"], "switched off");
    assert!(!ended.stderr.contains("NVIDIA"), "{}", ended.stderr);
}
