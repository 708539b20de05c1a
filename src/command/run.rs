//! `strom-load run`: profiles, one behind the other.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::cli::{LogFormat, MetricsAddress, OutputArgs, Parsed, ResultFormat, RunArgs};
use crate::engine::{self, JobOptions, Shutdown, Target};
use crate::exit;
use crate::pg::Address;
use crate::pg::embedded::Server;
use crate::plan::bench::Restart;
use crate::plan::{Common, Job, Plan};
use crate::quantity::format_duration;
use crate::report::{index_text, summary, verdict_line, verdict_word};
use crate::result::JobResult;
use crate::result::index::{Index, IndexEntry};
use crate::sink::Sink;
use crate::sink::folder::{Folder, IndexFolder};
use crate::sink::jsonl::Jsonl;
use crate::sink::prometheus::Endpoint;
use crate::sink::terminal::{Screen, Terminal};

use super::outcome;
use super::profiles::{Resolved, to_run};
use super::unused::{self, ALTER_SYSTEM, COOLDOWN, FAIL_FAST, METRICS_LINGER, READERS_URL};
use super::{
    Failure, Given, START_PATIENCE, Signals, address, embedded_address, ended, in_argv,
    init_logging, print, readers_address, readers_address_of, start_server, until_started,
};

/// What several runs share.
struct Session<'a> {
    args: &'a RunArgs,
    given: Option<&'a Given>,
    /// The server that the readers ask, where a flag or a variable names it.
    readers: Option<&'a Given>,
    screen: &'a Screen,
    shutdown: &'a Shutdown,
    /// See [`Signals`].
    lingering: Arc<AtomicBool>,
    /// Ours, started for the first run.
    server: Option<Server>,
    told: Told,
    /// Whether a text stands on standard output.
    has_printed: bool,
}

/// What is printed of runs on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// What each came to, and of several the index.
    Each,
    /// Nothing: whoever makes them prints what they came to.
    Nothing,
}

/// A run that has ended.
struct Ended {
    code: u8,
    /// What came of it, in a word.
    word: &'static str,
    verdict: String,
    error: Option<String>,
    /// Whether its summary could be printed.
    printed: Result<(), Failure>,
}

/// Where one run's results go.
enum Place<'a> {
    /// Where the user or the time of day says.
    Alone,
    /// Into the folder of several.
    Within(&'a Path),
}

pub(super) async fn run(parsed: &Parsed, files: &[PathBuf], args: &RunArgs) -> Result<u8, Failure> {
    run_each(parsed, to_run(files, &args.plan.overrides)?, args, Told::Each).await
}

/// Runs plans, one behind the other.
pub(super) async fn run_each(
    parsed: &Parsed,
    Resolved { plans, mut notes }: Resolved<Job>,
    args: &RunArgs,
    told: Told,
) -> Result<u8, Failure> {
    let given = address(parsed, &args.server)?;
    let readers = readers_address(parsed, &args.readers)?;
    // All of them before anything starts.
    for plan in &plans {
        readers_of(plan, readers.as_ref())?;
    }
    if given.is_some() && plans.iter().any(restarts) {
        let what = "a repeat is to restart the server, and strom-load restarts none but its own";
        let fix = "leave `--repeats-restart` and `repeats_restart` out, or name no server";
        return Err(Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}")));
    }
    notes.extend(given.iter().flat_map(|given| given.notes.clone()));
    if told == Told::Each {
        notes.extend(of_no_use(parsed, &plans, args)?);
    }
    let screen = Screen::new(args.output.log_format == LogFormat::Json || args.output.quiet);
    init_logging(&screen, &args.output);
    notes.iter().for_each(|note| tracing::info!("{note}"));
    let places = [("--database-url", "DATABASE_URL"), ("--readers-url", "STROM_LOAD_READERS_URL")];
    for (given, (flag, variable)) in [&given, &readers].into_iter().zip(places) {
        let Some(given) = given else { continue };
        given.address.notes().iter().for_each(|note| tracing::warn!("{note}"));
        if given.in_argv {
            tracing::warn!("{}", in_argv(flag, variable));
        }
    }
    let mut signals = Signals::listen()?;
    let shutdown = Shutdown::default();
    let (given, readers) = (given.as_ref(), readers.as_ref());
    let (shutdown, screen) = (&shutdown, &screen);
    let lingering = Arc::clone(&signals.lingering);
    let mut session = Session {
        args,
        given,
        readers,
        screen,
        shutdown,
        lingering,
        server: None,
        told,
        has_printed: false,
    };
    let work = async {
        let code = match <[Plan; 1]>::try_from(plans) {
            Ok([plan]) => {
                let profile = plan.common.name.clone();
                let one = session.one(plan, &Place::Alone).await;
                let one = one.map_err(|failure| {
                    // The error is printed by itself; that it cannot be told here too is no other.
                    let _ = session.tell_failed(&profile, &failure);
                    failure.told()
                });
                one.and_then(|one| ended(one.code, one.error, one.printed))
            }
            Err(plans) => session.all(plans).await,
        };
        session.stop_server().await;
        code
    };
    tokio::select! {
        code = work => code,
        never = signals.handle(shutdown, screen) => match never {},
    }
}

/// Whether a plan has the server restarted between its repeats.
fn restarts(plan: &Plan) -> bool {
    matches!(&plan.job, Job::Benchmark(bench) if bench.repeats > 1 && bench.restart == Restart::Server)
}

/// What is to be said of options that these plans have no use for.
fn of_no_use(parsed: &Parsed, plans: &[Plan], args: &RunArgs) -> Result<Vec<String>, Failure> {
    let mut notes = Vec::new();
    if !plans.iter().any(|plan| matches!(plan.job, Job::Sweep(_))) {
        let fix = "leave it out: only a sweep changes the server's configuration";
        notes.extend(unused::refuse(parsed, &[ALTER_SYSTEM], "without a sweep", fix)?);
    }
    let reads = |plan: &Plan| matches!(&plan.job, Job::Stream(job) if job.readers.count > 0);
    if !plans.iter().any(reads) {
        let fix = "leave it out, or let there be readers beside a stream";
        notes.extend(unused::refuse(parsed, &[READERS_URL], "without readers", fix)?);
    }
    if matches!(args.output.metrics_addr, MetricsAddress::Off) {
        let fix = "leave it out, or say with --metrics-addr where to serve metrics";
        notes.extend(unused::refuse(parsed, &[METRICS_LINGER], "without metrics", fix)?);
    }
    if plans.len() == 1 {
        let fix = "leave it out, or name several profiles";
        notes.extend(unused::refuse(parsed, &[COOLDOWN, FAIL_FAST], "for one profile", fix)?);
    }
    Ok(notes)
}

/// The server that the readers of a plan ask, if it is one of their own.
fn readers_of(plan: &Plan, given: Option<&Given>) -> Result<Option<Address>, Failure> {
    match (&plan.job, given) {
        (Job::Stream(job), _) if job.readers.count == 0 => Ok(None),
        (Job::Stream(_), Some(given)) => Ok(Some(given.address.clone())),
        (Job::Stream(job), None) => readers_address_of(job),
        (Job::Benchmark(_) | Job::Sweep(_), _) => Ok(None),
    }
}

impl Session<'_> {
    /// Runs all, each into a folder of its own in one with an index, and goes on after one that
    /// fails.
    async fn all(&mut self, plans: Vec<Plan>) -> Result<u8, Failure> {
        let folder = match &self.args.output.output {
            Some(path) => IndexFolder::open(path)?,
            None => IndexFolder::open_new(Path::new("results"), &stamp())?,
        };
        let mut index = Index::of(plans.iter().map(|plan| plan.common.name.clone()));
        let of = plans.len();
        // Outputs beside those of the runs that could not be written: each is told once.
        let mut lost: Vec<Failure> = Vec::new();
        for (number, plan) in plans.into_iter().enumerate() {
            if number > 0 && !self.pause(self.args.batch.cooldown).await {
                break;
            }
            if self.shutdown.stop.is_cancelled() {
                break;
            }
            let profile = plan.common.name.clone();
            tracing::info!("profile {} of {of}: {profile}", number + 1);
            let name = format!("{:02}-{profile}", number + 1);
            let began = Instant::now();
            let own = folder.path().join(&name);
            let was_there = own.exists();
            if let (Some(entry), false) = (index.runs.get_mut(number), was_there) {
                // Who looks meanwhile, or once the loader was killed, is told of the run in hand.
                entry.begin(&name);
                if let Err(error) = folder.save(&index) {
                    tracing::debug!("{error}");
                }
            }
            let ended = self.one(plan, &Place::Within(&own)).await;
            // What was there before and was refused is of another run.
            let is_ours = own.is_dir() && (ended.is_ok() || !was_there);
            let ended = ended.unwrap_or_else(|failure| {
                let printed = self.tell_failed(&profile, &failure);
                let (code, message) = (failure.code, failure.message);
                let word = exit::word(code);
                Ended { code, word, verdict: message.clone(), error: Some(message), printed }
            });
            if let Some(error) = &ended.error {
                tracing::error!("{profile}: {error}");
            }
            if let Some(entry) = index.runs.get_mut(number) {
                *entry = IndexEntry {
                    profile,
                    folder: is_ours.then_some(name),
                    exit_code: Some(ended.code),
                    took_s: began.elapsed().as_secs_f64(),
                    ..entry.clone()
                };
                entry.conclude(ended.word, &ended.verdict);
            }
            let saved = folder.save(&index).map_err(|error| Failure::new(exit::SHORTFALL, error));
            for failure in [ended.printed, saved].into_iter().filter_map(Result::err) {
                if lost.iter().all(|own| own.message != failure.message) {
                    tracing::error!("{}", failure.message);
                    lost.push(failure);
                }
            }
            if ended.code != exit::DONE && self.args.batch.fail_fast {
                break;
            }
        }
        let interrupted = self.shutdown.stop.is_cancelled().then_some(exit::INTERRUPTED);
        let codes = interrupted.into_iter().chain([index.exit_code()]);
        let code = exit::gravest(codes.chain(lost.iter().map(|failure| failure.code)));
        let printed = match self.args.output.format {
            _ if self.told == Told::Nothing => Ok(()),
            ResultFormat::Text => {
                let results = folder.path().display();
                let between = self.between();
                print(&format!("{between}{}results in {results}\n", index_text(&index)))
            }
            ResultFormat::Json => Ok(()),
            ResultFormat::Jsonl => outcome::tell(&outcome::of_index(
                &index,
                code,
                interrupted.is_some(),
                folder.path(),
            )),
        };
        ended(code, None, printed)
    }

    /// Waits; `false` if the run is over meanwhile.
    async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.shutdown.stop.cancelled() => false,
        }
    }

    async fn one(&mut self, plan: Plan, place: &Place<'_>) -> Result<Ended, Failure> {
        let args = &self.args.output;
        // Outputs first: a typo in a path or a taken port must not cost a run.
        let folder = match (place, &args.output) {
            (Place::Within(path), _) => Folder::open(path).map(Folder::within_index),
            (Place::Alone, Some(path)) => Folder::open(path),
            (Place::Alone, None) => Folder::open_new(Path::new("results"), &named(&plan.common)),
        }?;
        let results = folder.path().to_owned();
        let (sinks, endpoint) = open_outputs(folder, args, self.screen).await?;
        let patience = match &plan.job {
            Job::Stream(job) => job.recovery.reconnect_timeout,
            Job::Benchmark(_) | Job::Sweep(_) => START_PATIENCE,
        };
        let readers = readers_of(&plan, self.readers)?;
        let target = self.target(readers, patience).await?;
        announce(endpoint.as_ref(), &results);
        let work = async {
            let allow_alter_system = self.args.batch.allow_alter_system;
            let options = JobOptions { server: self.server.as_mut(), allow_alter_system };
            let result = engine::run(plan, &target, options, sinks, self.shutdown).await?;
            let printed = match self.told {
                Told::Each => show_result(args, &result, &results, self.between()),
                Told::Nothing => Ok(()),
            };
            if endpoint.is_some() {
                self.linger(args.metrics_linger).await;
            }
            Ok::<_, Failure>((result, printed))
        };
        let (result, printed) = tokio::select! {
            result = work => result?,
            never = serve(endpoint.as_ref()) => match never {},
        };
        let unready = |(step, why)| format!("step `{step}`: {why}");
        let error = result.error.clone().or_else(|| result.unready_step().map(unready));
        let (word, verdict) = (verdict_word(&result), verdict_line(&result));
        Ok(Ended { code: result.exit_code(), word, verdict, error, printed })
    }

    /// What stands before the next text on standard output: an empty line, but before the first one.
    fn between(&mut self) -> &'static str {
        if std::mem::replace(&mut self.has_printed, true) { "\n" } else { "" }
    }

    /// Tells programs of a run that could not begin.
    fn tell_failed(&self, profile: &str, failure: &Failure) -> Result<(), Failure> {
        if self.args.output.format != ResultFormat::Jsonl {
            return Ok(());
        }
        outcome::tell(&outcome::not_begun(Some(profile), failure.code, &failure.message))
    }

    /// The server given, once it admits sessions, or ours, started by the first run.
    async fn target(
        &mut self,
        readers: Option<Address>,
        patience: Duration,
    ) -> Result<Target, Failure> {
        let told = |line: &str| tracing::info!("{line}");
        if let Some(readers) = &readers {
            until_started(readers, patience, &told, self.shutdown).await?;
        }
        if let Some(given) = self.given {
            until_started(&given.address, patience, &told, self.shutdown).await?;
            return Ok(Target { readers, ..Target::given(given.address.clone()) });
        }
        if self.server.is_none() {
            let server = start_server(&self.args.server.embedded, self.shutdown).await?;
            tracing::info!("PostgreSQL started; connect with: {}", server.psql_command());
            self.server = Some(server);
        }
        let address = self.server.as_ref().map(embedded_address);
        let address = address.ok_or_else(|| Failure::new(exit::UNEXPECTED, "no server"))?;
        let settings = self.args.server.embedded.pg_set.clone();
        Ok(Target { address, embedded: true, settings, readers })
    }

    async fn stop_server(&mut self) {
        if let Some(server) = self.server.take()
            && let Err(error) = server.stop().await
        {
            tracing::warn!("{error}");
        }
    }

    /// Leaves the last metrics up for a while; a signal ends it.
    async fn linger(&self, time: Duration) {
        if time.is_zero() || self.shutdown.abort.is_cancelled() {
            return;
        }
        tracing::info!("metrics stay up for {}; Ctrl-C ends that", format_duration(time));
        self.lingering.store(true, Ordering::Relaxed);
        let _ = tokio::time::timeout(time, self.shutdown.abort.cancelled()).await;
        self.lingering.store(false, Ordering::Relaxed);
    }
}

/// The outputs of a run, and what serves its metrics if they are wanted.
pub(super) async fn open_outputs(
    folder: Folder,
    args: &OutputArgs,
    screen: &Screen,
) -> Result<(Vec<Box<dyn Sink>>, Option<Endpoint>), Failure> {
    let endpoint = match args.metrics_addr {
        MetricsAddress::Off => None,
        MetricsAddress::On(address) => Some(Endpoint::open(address).await?),
    };
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(folder)];
    sinks.extend(endpoint.as_ref().map(|endpoint| Box::new(endpoint.sink()) as Box<dyn Sink>));
    if args.format == ResultFormat::Jsonl {
        sinks.push(Box::new(Jsonl::new()));
    }
    if args.log_format == LogFormat::Text && !args.quiet {
        sinks.push(Box::new(Terminal::new(screen.clone())));
    }
    Ok((sinks, endpoint))
}

pub(super) fn announce(endpoint: Option<&Endpoint>, results: &Path) {
    if let Some(address) = endpoint.and_then(Endpoint::address) {
        tracing::info!("metrics at http://{address}/metrics");
        if !address.ip().is_loopback() {
            tracing::warn!(
                "the metrics can be read from other machines, without a password and unencrypted; listen \
                 on 127.0.0.1, or have a firewall in front"
            );
        }
    }
    tracing::info!("results in {}", results.display());
}

/// Serves metrics, if they are wanted, until it is dropped.
pub(super) async fn serve(endpoint: Option<&Endpoint>) -> Infallible {
    if let Some(endpoint) = endpoint {
        endpoint.serve().await;
    }
    std::future::pending().await
}

/// Prints the result of a job whose folder is `results`; its text behind `before`.
pub(super) fn show_result(
    args: &OutputArgs,
    result: &JobResult,
    results: &Path,
    before: &str,
) -> Result<(), Failure> {
    let text = || format!("{before}{}results     {}\n", summary(result), results.display());
    show(args, result, text, || outcome::of_job(result, results))
}

/// Prints a report as text, as JSON, or in a line that says what it comes to.
pub(super) fn show(
    args: &OutputArgs,
    report: &impl serde::Serialize,
    text: impl FnOnce() -> String,
    outcome: impl FnOnce() -> Value,
) -> Result<(), Failure> {
    match args.format {
        ResultFormat::Text => print(&text()),
        ResultFormat::Json => {
            let json = serde_json::to_string_pretty(report);
            let json = json.map_err(|error| Failure::new(exit::UNEXPECTED, error))?;
            print(&format!("{json}\n"))
        }
        ResultFormat::Jsonl => outcome::tell(&outcome()),
    }
}

fn named(common: &Common) -> String {
    format!("{}-{}", common.name, stamp())
}

/// 2026-11-22T15:43:00Z without what a file name should not have.
pub(super) fn stamp() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.chars().filter(|c| *c != '-' && *c != ':').collect()
}
