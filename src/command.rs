//! One function a subcommand. Each returns its exit code; errors are printed once, by `main`.

mod arrow;
mod clean;
mod cluster;
mod compare;
mod faults;
mod fill;
mod gpus;
mod history;
mod manual;
mod noise;
mod outcome;
mod profile;
mod profiles;
mod report;
mod run;
mod thresholds;
mod unused;
mod verify;

use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::level_filters::LevelFilter;

use crate::cli::{
    Command, DoctorArgs, EmbeddedArgs, Format, LogFormat, OutputArgs, Parsed, PostgresCommand,
    ReadersArgs, ServerArgs,
};
use crate::doctor;
use crate::engine::{PrepareError, Shutdown};
use crate::exit;
use crate::pg::{self, Address, embedded};
use crate::plan::{Fault, Faults, Origin, Place, StreamJob};
use crate::report::harmless;
use crate::sink::SinkError;
use crate::sink::terminal::Screen;
use crate::watch::gpu;

pub use outcome::{fail, refuse};

/// How long a server that starts or recovers is waited for, where no --reconnect-timeout says.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Why a command failed: the text to print and the code to exit with.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// For standard error, without `error:`; several lines possible.
    pub message: String,
    /// Whether programs that read standard output have been told.
    is_told: bool,
}

impl Failure {
    /// What is printed of it: nothing in it steers a terminal.
    pub fn shown(&self) -> String {
        harmless(&self.message)
    }

    /// A failure with this code.
    pub fn new(code: u8, error: impl Display) -> Self {
        Self { code, message: with_files_to_open(error.to_string()), is_told: false }
    }

    /// The same, once programs have been told.
    fn told(self) -> Self {
        Self { is_told: true, ..self }
    }
}

/// The message of an error with the fix for a process that may open no more files, if that is its cause:
/// whatever it was at, nothing else mends it.
fn with_files_to_open(message: String) -> String {
    // Too many open files: of this process, or of the machine.
    if !["(os error 24)", "(os error 23)"].iter().any(|code| message.contains(code)) {
        return message;
    }
    let is_fix = |line: &&str| line.trim_start().trim_start_matches("= ").starts_with("fix: ");
    let rest: Vec<&str> = message.lines().filter(|line| !is_fix(line)).collect();
    format!("{}\n  fix: {}", rest.join("\n"), pg::OPEN_FILES)
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Self::new(exit::PREPARE, error)
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Dataset(error) => error.into(),
            PrepareError::Interrupted => Self::new(exit::INTERRUPTED, error),
            error => Self::new(exit::PREPARE, error),
        }
    }
}

/// Runs the command line.
///
/// # Errors
/// When the command fails, with what to print.
pub async fn execute(parsed: &Parsed) -> Result<u8, Failure> {
    let ended = dispatch(parsed).await;
    // Whatever was cut off must not go on at the server.
    pg::cancel_abandoned().await;
    ended
}

async fn dispatch(parsed: &Parsed) -> Result<u8, Failure> {
    match &parsed.cli.command {
        None => run::run(parsed, &[], &parsed.cli.run).await,
        Some(Command::Run { files, run: args }) => run::run(parsed, files, args).await,
        Some(Command::Check { files, show_rows, database_url, password_file, plan }) => {
            let server = ServerArgs {
                database_url: database_url.clone(),
                password_file: password_file.clone(),
                ..ServerArgs::default()
            };
            match database_url {
                Some(_) => profiles::fit(parsed, files, &server, &plan.overrides).await,
                None => profiles::check(files, *show_rows, &plan.overrides),
            }
        }
        Some(Command::Profile { command }) => Box::pin(profile::profile(parsed, command)).await,
        Some(Command::Profiles { format }) => profiles::list(*format),
        Some(Command::Thresholds { format }) => thresholds::list(*format),
        Some(Command::Fill { files, fill: args }) => fill::fill(parsed, files, args).await,
        Some(Command::Verify { folder, server, quiet }) => {
            verify::verify(parsed, folder, server, *quiet).await
        }
        Some(Command::Clean(args)) => clean::clean(parsed, args).await,
        Some(Command::Report { folders, output }) => report::report(folders, output.as_deref()),
        Some(Command::Compare(args)) => Box::pin(compare::compare(parsed, args)).await,
        Some(Command::History { folder, profile, done, csv }) => {
            history::history(folder, profile.as_deref(), *done, *csv)
        }
        Some(Command::Faults(args)) if args.cluster.is_some() => {
            Box::pin(cluster::cluster(args)).await
        }
        Some(Command::Faults(args)) => Box::pin(faults::faults(args)).await,
        Some(Command::Arrow(args)) => Box::pin(arrow::arrow(parsed, args)).await,
        Some(Command::Gpus { format }) => gpus(*format),
        Some(Command::Doctor(args)) => doctor(parsed, args).await,
        Some(Command::Completions { shell }) => manual::completions(*shell),
        Some(Command::Man { subcommand }) => manual::page(subcommand.as_deref()),
        Some(Command::Postgres { command: PostgresCommand::Install }) => install().await,
    }
}

fn gpus(format: Format) -> Result<u8, Failure> {
    let listing = gpu::list();
    let text = match format {
        Format::Text => gpus::text(&listing),
        Format::Json => format!("{:#}\n", gpus::json(&listing)),
    };
    print(&text)?;
    Ok(exit::DONE)
}

async fn doctor(parsed: &Parsed, args: &DoctorArgs) -> Result<u8, Failure> {
    if let Some(time) = args.noise {
        return Box::pin(noise::noise(parsed, args, time)).await;
    }
    log_warnings(&Screen::new(true));
    let (plan, notes) = profiles::realtime(&args.settings.overrides)?;
    let job = plan.job;
    notes.iter().for_each(|note| tell(&format!("note: {note}")));
    let given = address(parsed, &args.server)?;
    let readers = readers_address(parsed, &args.readers)?.map(|given| given.address);
    tell_notes(given.as_ref());
    if given.is_none() && args.server.embedded.data_dir.is_none() {
        let fix = "leave it out, or name the folder of a server with --data-dir";
        unused::refuse(parsed, &unused::STARTING, "where no server is started", fix)?;
    }
    // First: it blocks, and there is no session yet that would have to wait.
    let machine = doctor::machine(args.server.embedded.pg_bindir.as_deref()).await;
    let started = match (&given, &args.server.embedded.data_dir) {
        (None, Some(_)) => Some(start_server(&args.server.embedded, &Shutdown::default()).await?),
        _ => None,
    };
    let address = match (given, &started) {
        (Some(given), _) => Some(given.address),
        (None, started) => started.as_ref().map(embedded_address),
    };
    let server = match &address {
        Some(address) => {
            until_started(address, START_PATIENCE, &tell, &Shutdown::default()).await?;
            doctor::server(address, &job).await.map(Some)
        }
        None => Ok(None),
    };
    if let Some(started) = started {
        let _ = started.stop().await;
    }
    let server = server.map_err(|error| Failure::new(exit::PREPARE, error))?;
    let readers = match &readers {
        Some(address) => {
            until_started(address, START_PATIENCE, &tell, &Shutdown::default()).await?;
            let found = doctor::server(address, &job).await;
            Some(found.map_err(|error| Failure::new(exit::PREPARE, error))?)
        }
        None => None,
    };
    let mut load = doctor::Load::of(&job);
    if readers.is_some() {
        load.sessions = job.loading_sessions();
    }
    let report = doctor::Report::of(load, machine, server, readers);
    match args.format {
        Format::Text => print(&doctor::text::render(&report))?,
        Format::Json => {
            let json = serde_json::to_string_pretty(&report);
            let json = json.map_err(|error| Failure::new(exit::UNEXPECTED, error))?;
            print(&format!("{json}\n"))?;
        }
    }
    Ok(exit::DONE)
}

async fn install() -> Result<u8, Failure> {
    let cache =
        embedded::install::cache_dir().map_err(|error| Failure::new(exit::PREPARE, error))?;
    let bindir = embedded::install::install(&cache).await;
    let bindir = bindir.map_err(|error| Failure::new(exit::PREPARE, error))?;
    print(&format!("PostgreSQL server binaries are in {}\n", bindir.display()))?;
    Ok(exit::DONE)
}

/// A connection that somebody gave.
struct Given {
    address: Address,
    /// Whether a password stands on the command line.
    in_argv: bool,
    /// What is to be said of variables that have no meaning beside it.
    notes: Vec<String>,
}

fn address(parsed: &Parsed, args: &ServerArgs) -> Result<Option<Given>, Failure> {
    let usage = |error| Failure::new(exit::USAGE, error);
    if let (true, Some("")) =
        (parsed.typed("database_url"), args.database_url.as_deref().map(str::trim))
    {
        let fix = "name a server, or leave it out to have one started";
        return Err(is_empty("--database-url", fix));
    }
    let address = match args.database_url.as_deref().filter(|text| !text.trim().is_empty()) {
        Some(text) => {
            let typed = parsed.typed("database_url");
            let place = if typed { "--database-url" } else { "DATABASE_URL" };
            Some(Address::parse(text, place, &variable).map_err(usage)?)
        }
        None => Address::from_env(&variable).map_err(usage)?,
    };
    let Some(address) = address else {
        return match &args.password_file {
            Some(_) => Err(Failure::new(
                exit::USAGE,
                "--password-file is given, but no server\n  fix: name one with --database-url",
            )),
            None => Ok(None),
        };
    };
    let in_argv = parsed.typed("database_url") && address.password_is_in_text();
    let address = match &args.password_file {
        Some(path) => address.with_password_file(path).map_err(usage)?,
        None => address,
    };
    let unused: &[_] = match parsed.cli.command {
        Some(Command::Doctor(_)) => &unused::STARTED_BY_DOCTOR,
        // It starts none.
        Some(Command::Check { .. }) => &[],
        _ => &unused::STARTED,
    };
    let beside = "beside a server that is given";
    let fix = "leave it out, or name no server: neither --database-url nor DATABASE_URL, PGHOST, \
               PGPORT, PGDATABASE or PGSERVICE";
    let notes = unused::refuse(parsed, unused, beside, fix)?;
    Ok(Some(Given { address, in_argv, notes }))
}

/// The value of an environment variable, if it has one.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_empty(flag: &'static str, fix: &str) -> Failure {
    Faults::from(Fault {
        place: Place::Given(Origin::Flag(flag)),
        what: format!("`{flag}` is empty"),
        fix: fix.to_owned(),
    })
    .into()
}

/// The server that the readers ask, where a flag or a variable names one.
fn readers_address(parsed: &Parsed, args: &ReadersArgs) -> Result<Option<Given>, Failure> {
    let typed = parsed.typed("readers_url");
    let text = args.readers_url.as_deref().map(str::trim);
    if typed && text == Some("") {
        let fix = "name a server, or leave it out: then the readers ask the one that is loaded";
        return Err(is_empty("--readers-url", fix));
    }
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let place = if typed { "--readers-url" } else { "STROM_LOAD_READERS_URL" };
    let address = Address::parse(text, place, &variable);
    let address = address.map_err(|error| Failure::new(exit::USAGE, error))?.to_read();
    let in_argv = typed && address.password_is_in_text();
    Ok(Some(Given { address, in_argv, notes: Vec::new() }))
}

/// The same of a profile.
fn readers_address_of(job: &StreamJob) -> Result<Option<Address>, Failure> {
    let Some(text) = &job.readers.database_url else { return Ok(None) };
    let address = Address::parse(text, "[readers] database_url", &variable);
    Ok(Some(address.map_err(|error| Failure::new(exit::USAGE, error))?.to_read()))
}

fn tell_notes(given: Option<&Given>) {
    let Some(given) = given else { return };
    given.notes.iter().for_each(|note| tell(&format!("note: {note}")));
    if given.in_argv {
        tell(&format!("warning: {}", in_argv("--database-url", "DATABASE_URL")));
    }
}

/// What is to be said of a password on the command line.
fn in_argv(flag: &str, variable: &str) -> String {
    format!(
        "the password in {flag} can be read by every user of this machine; PGPASSWORD or {variable} hide it"
    )
}

/// For commands without a log.
fn tell(line: &str) {
    Screen::new(true).line(&harmless(line));
}

/// Waits until a server that was named admits anybody, while it starts or recovers; a stop ends it.
async fn until_started(
    address: &Address,
    patience: Duration,
    told: &(dyn Fn(&str) + Sync),
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    tokio::select! {
        () = pg::until_started(address, patience, told) => Ok(()),
        () = shutdown.stop.cancelled() => Err(PrepareError::Interrupted.into()),
    }
}

/// The server that was named, or the one whose data was kept, started. The caller stops that.
/// `no_server` is what to say if there is neither.
async fn find_server(
    parsed: &Parsed,
    args: &ServerArgs,
    no_server: &str,
    shutdown: &Shutdown,
) -> Result<(Address, Option<embedded::Server>), Failure> {
    if let Some(given) = address(parsed, args)? {
        tell_notes(Some(&given));
        until_started(&given.address, START_PATIENCE, &tell, shutdown).await?;
        return Ok((given.address, None));
    }
    if let Some(folder) = &args.embedded.data_dir {
        // What only looks makes no cluster.
        let is_empty = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_empty {
            let fact = format!("{} holds no cluster that strom-load keeps", folder.display());
            let fix = "name the folder of one with --data-dir, or a server with --database-url";
            return Err(Failure::new(exit::PREPARE, format!("{fact}\n  fix: {fix}")));
        }
        let server = start_server(&args.embedded, shutdown).await?;
        return Ok((embedded_address(&server), Some(server)));
    }
    Err(Failure::new(exit::USAGE, no_server))
}

/// Does something on the server that was named, or on the one whose data was kept, which is started for it and
/// stopped behind it. A signal ends it: then `interrupted` says what that means. `no_server` is what to say if
/// there is neither.
async fn on_server<T>(
    parsed: &Parsed,
    args: &ServerArgs,
    screen: &Screen,
    (no_server, interrupted): (&str, &str),
    work: impl AsyncFnOnce(&Address) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut signals = Signals::listen()?;
    let shutdown = Shutdown::default();
    let working = async {
        let (address, server) = find_server(parsed, args, no_server, &shutdown).await?;
        let done = tokio::select! {
            done = work(&address) => done,
            // What the server is at is cancelled at the end of the command.
            () = shutdown.stop.cancelled() => Err(Failure::new(exit::INTERRUPTED, interrupted)),
        };
        if let Some(server) = server {
            let _ = server.stop().await;
        }
        done
    };
    tokio::select! {
        done = working => done,
        never = signals.handle(&shutdown, screen) => match never {},
    }
}

async fn start_server(
    args: &EmbeddedArgs,
    shutdown: &Shutdown,
) -> Result<embedded::Server, Failure> {
    let options = embedded::ServerOptions {
        bindir: args.pg_bindir.clone(),
        data_dir: args.data_dir.clone(),
        install: args.install_postgres,
        settings: args.pg_set.clone(),
    };
    tokio::select! {
        started = embedded::Server::start(&options) => {
            started.map_err(|error| Failure::new(exit::PREPARE, error))
        }
        () = shutdown.stop.cancelled() => Err(PrepareError::Interrupted.into()),
    }
}

fn embedded_address(server: &embedded::Server) -> Address {
    Address::socket(server.socket_dir(), server.port(), server.user(), server.database())
}

/// Signals that end a run.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The end of the terminal or of the ssh session; `None` where it shall be ignored (nohup).
    hangup: Option<Signal>,
    /// Set while nothing runs any more and the last metrics stay up.
    lingering: Arc<AtomicBool>,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(exit::UNEXPECTED, format!("failed to listen for signals: {error}"))
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: match ignores_hangup() {
                true => None,
                false => Some(listen(SignalKind::hangup())?),
            },
            lingering: Arc::default(),
        })
    }

    /// Waits for one.
    async fn first(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }

    /// The first signal drains, the second aborts. After the run, any ends the lingering.
    async fn handle(&mut self, shutdown: &Shutdown, screen: &Screen) -> std::convert::Infallible {
        for received in 1_u32.. {
            self.first().await;
            match received {
                _ if self.lingering.load(Ordering::Relaxed) => {
                    shutdown.stop.cancel();
                    shutdown.abort.cancel();
                }
                1 => {
                    // Before the run the error says it.
                    if shutdown.has_begun() {
                        screen.line("interrupted: finishing what is due; once more aborts");
                    }
                    shutdown.stop.cancel();
                }
                2 => {
                    if shutdown.has_begun() {
                        screen.line("aborting");
                    }
                    shutdown.stop.cancel();
                    shutdown.abort.cancel();
                }
                _ => {}
            }
        }
        std::future::pending().await
    }
}

/// Whether this process was started to outlive its terminal, as by nohup.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit stands for signal 1, SIGHUP.
    mask.is_some_and(|mask| mask & 1 != 0)
}

fn init_logging(screen: &Screen, args: &OutputArgs) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => LevelFilter::WARN,
        (_, true) => LevelFilter::DEBUG,
        _ => LevelFilter::INFO,
    };
    log_to(screen, level, args.log_format);
}

/// For commands without options of their own for logs: what goes wrong, and what is waited for.
fn log_warnings(screen: &Screen) {
    log_to(screen, LevelFilter::WARN, LogFormat::Text);
}

fn log_to(screen: &Screen, level: LevelFilter, format: LogFormat) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(screen.clone());
    // A second call in one process (tests) keeps the first subscriber.
    let _ = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(colour()).without_time().try_init(),
    };
    unused::unknown_variables().iter().for_each(|unknown| tracing::warn!("{unknown}"));
}

/// Colour only for a terminal, and not if the user says NO_COLOR (no-color.org).
fn colour() -> bool {
    use io::IsTerminal as _;
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stderr().is_terminal()
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        // `| head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(Failure::new(exit::SHORTFALL, format!("failed to write to stdout: {error}")))
        }
        Ok(()) => Ok(()),
    }
}

/// How a command ends that has come to a `code` and printed what it came to, or failed to: the gravest
/// counts. Programs have been told. The error that ended a job early is told.
fn ended(code: u8, error: Option<String>, printed: Result<(), Failure>) -> Result<u8, Failure> {
    let unprinted = printed.err();
    let codes = unprinted.iter().map(|failure| failure.code);
    let code_of_all = exit::gravest(codes.chain([code]));
    let early = error.filter(|_| code == exit::ENDED_EARLY);
    let errors: Vec<String> =
        early.into_iter().chain(unprinted.map(|failure| failure.message)).collect();
    match errors.as_slice() {
        [] => Ok(code_of_all),
        errors => Err(Failure::new(code_of_all, errors.join("\nerror: ")).told()),
    }
}
