//! `faults`: an ordinary run through a proxy, an injector beside it, and the proof at the end.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rand::RngExt;

use crate::cli::{EmbeddedArgs, FaultsArgs, LogFormat};
use crate::engine::{self, Shutdown, Target};
use crate::exit;
use crate::inject::proxy::Proxy;
use crate::inject::{FaultKind, Injector, Ledger, Orders, came};
use crate::pg::Address;
use crate::pg::embedded::Server;
use crate::plan::{Plan, StreamJob};
use crate::result::faults::FaultsRun;
use crate::result::{Body, JobResult, Status};
use crate::sink::folder::Folder;
use crate::sink::terminal::Screen;

use super::profiles::realtime;
use super::run::{announce, open_outputs, serve, show_result, stamp};
use super::{Failure, Signals, ended, init_logging, start_server};

/// A black hole is noticed after some 20 s, and what was due meanwhile is sent within 10 more.
const DRAIN_TIMEOUT: &str = "60s";
/// Slots that are neither the run's nor the server's own: few, so that they are soon taken.
const SPARE_SLOTS: u32 = 12;

pub(super) async fn faults(args: &FaultsArgs) -> Result<u8, Failure> {
    let (begun, mut signals) = begin(args)?;
    let Begun { plan, duration, seed, screen } = &begun;
    let shutdown = Shutdown::default();
    tokio::select! {
        code = run(args, plan, (*seed, *duration), screen, &shutdown) => code,
        never = signals.handle(&shutdown, screen) => match never {},
    }
}

/// What is known before anything is started.
pub(super) struct Begun {
    pub(super) plan: Plan<StreamJob>,
    /// How long faults are made.
    pub(super) duration: Duration,
    pub(super) seed: u64,
    pub(super) screen: Screen,
}

/// Reads what was asked for, and begins to log and to listen for signals.
pub(super) fn begin(args: &FaultsArgs) -> Result<(Begun, Signals), Failure> {
    let (plan, notes) = plan_of(args)?;
    let Some(duration) = plan.job.duration else {
        let message =
            "`--duration` is forever, and faults have an end\n  fix: choose a time such as 1h";
        return Err(Failure::new(exit::USAGE, message));
    };
    let screen = Screen::new(args.output.log_format == LogFormat::Json || args.output.quiet);
    init_logging(&screen, &args.output);
    notes.iter().for_each(|note| tracing::info!("{note}"));
    let signals = Signals::listen()?;
    let seed = args.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    Ok((Begun { plan, duration, seed, screen }, signals))
}

/// The built-in profile, with what was given, and what is to be said of that.
fn plan_of(args: &FaultsArgs) -> Result<(Plan<StreamJob>, Vec<String>), Failure> {
    let mut overrides = args.settings.overrides.clone();
    let own = [("--warmup", "0s"), ("--drain-timeout", DRAIN_TIMEOUT)];
    for (flag, value) in own {
        overrides.give_flag(flag, value).map_err(|error| Failure::new(exit::UNEXPECTED, error))?;
    }
    realtime(&overrides)
}

async fn run(
    args: &FaultsArgs,
    plan: &Plan<StreamJob>,
    (seed, duration): (u64, Duration),
    screen: &Screen,
    shutdown: &Shutdown,
) -> Result<u8, Failure> {
    let folder = match &args.output.output {
        Some(path) => Folder::open(path),
        None => Folder::open_new(Path::new("results"), &format!("faults-{}", stamp())),
    }?;
    let results = folder.path().to_owned();
    let (mut sinks, endpoint) = open_outputs(folder, &args.output, screen).await?;
    let orders = orders(args, &plan.job, seed, duration);
    let ledger = Ledger::of(&orders.kinds);
    sinks.push(Box::new(ledger.sink()));
    let mut server = start_server(&with_few_slots(args, &plan.job), shutdown).await?;
    tracing::info!("PostgreSQL started; connect with: {}", server.psql_command());
    announce(endpoint.as_ref(), &results);
    tracing::info!("faults are drawn with --seed {seed}");
    let proxy = Proxy::open(server.port()).await;
    let proxy = proxy.map_err(|error| {
        Failure::new(exit::PREPARE, format!("failed to listen on 127.0.0.1: {error}"))
    })?;
    let settings = args.embedded.pg_set.clone();
    let address = through(&[proxy.port()], &server)?;
    let target = Target { address, embedded: true, settings, readers: None };
    // A signal ends the injector, and then the run: only a server that is whole again can be asked
    // for its rows. The run's end is the injector's too.
    let over = shutdown.stop.child_token();
    let stop = shutdown.with_own_stop();
    let mut injector = Injector::new(orders, &mut server, &proxy, ledger.clone(), over.clone());
    // Why the injector gave up, if it did.
    let broken = OnceLock::new();
    let ran = async {
        let with_faults = |result| among_faults(result, seed, &ledger, broken.get());
        let running = engine::run_among_faults(plan, &target, sinks, &stop, with_faults);
        // Boxed, as its state machine is some 17 KB.
        let result = Box::pin(running).await;
        over.cancel();
        result
    };
    let injected = async {
        match injector.run().await {
            Ok(()) => over.cancelled().await,
            // A fault that cannot be mended ends the run, too.
            Err(error) => drop(broken.set(error.to_string())),
        }
        stop.stop.cancel();
    };
    let (result, ()) = tokio::select! {
        both = async { tokio::join!(ran, injected) } => both,
        never = proxy.serve() => match never {},
        never = serve(endpoint.as_ref()) => match never {},
    };
    if let Err(error) = server.stop().await {
        tracing::warn!("{error}");
    }
    let result = result?;
    let printed = show_result(&args.output, &result, &results, "");
    ended(result.exit_code(), result.error, printed)
}

fn orders(args: &FaultsArgs, job: &StreamJob, seed: u64, duration: Duration) -> Orders {
    let all = || FaultKind::ALL.iter().map(|(kind, ..)| *kind).collect();
    Orders {
        kinds: if args.only.is_empty() { all() } else { args.only.clone() },
        seed,
        duration,
        producers: job.stream.connections.get(),
        readers: job.readers.count,
        table: job.stream.table.to_string(),
    }
}

/// The result of the stream with what came of the faults, or why one of them could not be mended.
fn among_faults(
    mut result: JobResult,
    seed: u64,
    ledger: &Ledger,
    broken: Option<&String>,
) -> JobResult {
    if let Some(error) = broken {
        result.status = Status::Failed;
        result.error.get_or_insert_with(|| error.clone());
    }
    let body = match result.body {
        Body::Stream(run) => {
            let faults = came(seed, ledger, result.error.as_ref(), &run);
            Body::Faults(Box::new(FaultsRun { run: *run, faults }))
        }
        other => other,
    };
    JobResult { body, ..result }
}

/// So few slots that the injector can take them all; a setting of the user's wins.
fn with_few_slots(args: &FaultsArgs, job: &StreamJob) -> EmbeddedArgs {
    let slots = job.stream.connections.get() + job.readers.count + SPARE_SLOTS;
    let mut embedded = args.embedded.clone();
    embedded.pg_set.insert(0, ("max_connections".to_owned(), slots.to_string()));
    embedded
}

/// A server as it is reached at these ports of 127.0.0.1, first to last; whichever takes rows.
pub(super) fn through(ports: &[u16], server: &Server) -> Result<Address, Failure> {
    let passfile = server.password_file().ok_or_else(|| {
        Failure::new(
            exit::PREPARE,
            "the cluster in --data-dir has no password of ours, so it cannot be reached over TCP\n  \
             fix: name an empty folder, or leave --data-dir out",
        )
    })?;
    let quoted = passfile.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
    let hosts = vec!["127.0.0.1"; ports.len()].join(",");
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let text = format!(
        "host={hosts} port={} user={} dbname={} sslmode=disable passfile='{quoted}'",
        ports.join(","),
        server.user(),
        server.database()
    );
    Address::parse(&text, "the proxy's address", &|_| None)
        .map_err(|error| Failure::new(exit::UNEXPECTED, error))
}
