//! `faults --cluster`: rounds of two loaders, a primary and its standby, and the proof after each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cli::FaultsArgs;
use crate::engine::{self, PrepareError, Shutdown, Target};
use crate::exit;
use crate::inject::Ledger;
use crate::inject::cluster::{self, ClusterKind, Loaders, Pair, Word};
use crate::inject::proxy::Proxy;
use crate::pg::Address;
use crate::pg::embedded::Server;
use crate::plan::{Plan, Stream, StreamJob};
use crate::quantity::format_seconds;
use crate::report;
use crate::result::cluster::{ClusterCounts, ClusterReport};
use crate::result::journal::{JOURNAL, Journal};
use crate::result::stream::PartitionReport;
use crate::result::{Body, JobResult, Status};
use crate::row::{Ids, Lane, RunTag};
use crate::sink::folder::Folder;

use super::faults::{begin, through};
use super::run::{show, stamp};
use super::{Failure, ended, start_server};

/// How long rows fall due for the first loader of a round, and for the second.
const FIRST: Duration = Duration::from_secs(6);
const SECOND: Duration = Duration::from_secs(3);
/// A loader of which nothing is heard for so long may be replaced,
const LEASE: Duration = Duration::from_secs(2);
/// and one that has no server for so long gives up.
const RECONNECT: Duration = Duration::from_secs(8);
/// Between two starts of the second loader while it is refused.
const AGAIN: Duration = Duration::from_millis(300);
/// It is let in by then: the first one has ended.
const REFUSED_MAX: Duration = Duration::from_secs(120);

pub(super) async fn cluster(args: &FaultsArgs) -> Result<u8, Failure> {
    let (begun, mut signals) = begin(args)?;
    let shutdown = Shutdown::default();
    tokio::select! {
        code = rounds(args, &begun.plan, (begun.seed, begun.duration), &shutdown) => code,
        never = signals.handle(&shutdown, &begun.screen) => match never {},
    }
}

async fn rounds(
    args: &FaultsArgs,
    plan: &Plan<StreamJob>,
    (seed, duration): (u64, Duration),
    shutdown: &Shutdown,
) -> Result<u8, Failure> {
    let folder = match &args.output.output {
        Some(path) => path.clone(),
        None => Path::new("results").join(format!("cluster-{}", stamp())),
    };
    let given = args.cluster.iter().flatten().copied();
    let mut kinds: Vec<ClusterKind> = given.collect();
    if kinds.is_empty() {
        kinds = ClusterKind::ALL.iter().map(|(kind, ..)| *kind).collect();
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let end = Instant::now() + duration;
    let mut primary = start_server(&args.embedded, shutdown).await?;
    tracing::info!("faults are drawn with --seed {seed}; results in {}", folder.display());
    let (mut made, mut deck, mut error) = (Vec::<ClusterCounts>::new(), Vec::new(), None);
    for number in 1_u32.. {
        if deck.is_empty() {
            deck.clone_from(&kinds);
            deck.shuffle(&mut rng);
        }
        let Some(kind) = deck.pop() else { break };
        tracing::info!("round {number}: {kind}");
        let folder = folder.join(format!("{number:03}-{kind}"));
        let mut round = Round { plan, kind, folder, shutdown };
        // Boxed: two runs are in it.
        match Box::pin(round.run(primary, &mut rng)).await {
            Ok((left, counts)) => {
                primary = left;
                made.push(counts);
            }
            Err(failed) => {
                error = Some(failed.message);
                break;
            }
        }
        let next = Instant::now() + FIRST + SECOND;
        if shutdown.stop.is_cancelled() || next > end {
            if let Err(error) = primary.stop().await {
                tracing::warn!("{error}");
            }
            break;
        }
    }
    let report = report(seed, &made, error);
    let code = match (&report.error, report.right) {
        (_, false) => exit::INTEGRITY,
        (Some(_), true) => exit::ENDED_EARLY,
        (None, true) if shutdown.stop.is_cancelled() => exit::INTERRUPTED,
        (None, true) => exit::DONE,
    };
    let status = match code {
        exit::ENDED_EARLY => Status::Failed,
        exit::INTERRUPTED => Status::Interrupted,
        _ => Status::Done,
    };
    let text = || format!("{}results     {}\n", report::cluster(&report), folder.display());
    let outcome = || {
        json!({
            "type": "outcome", "kind": "cluster", "status": status, "exit_code": code,
            "verdict": report::cluster(&report).lines().next(), "error": report.error,
            "results": folder.display().to_string(),
        })
    };
    let printed = show(&args.output, &report, text, outcome);
    ended(code, report.error, printed)
}

fn report(seed: u64, made: &[ClusterCounts], error: Option<String>) -> ClusterReport {
    let mut all = ClusterCounts::default();
    made.iter().for_each(|counts| all.add(counts));
    let of = |(kind, ..): &(ClusterKind, &str, &str)| {
        let mut counts = ClusterCounts { kind: Some(*kind), ..ClusterCounts::default() };
        made.iter().filter(|round| round.kind == Some(*kind)).for_each(|round| counts.add(round));
        (counts.rounds > 0).then_some(counts)
    };
    let kinds = ClusterKind::ALL.iter().filter_map(of).collect();
    ClusterReport { seed, kinds, right: all.are_right(), all, error }
}

/// A round.
struct Round<'a> {
    plan: &'a Plan<StreamJob>,
    kind: ClusterKind,
    /// Where the loaders' results go.
    folder: PathBuf,
    shutdown: &'a Shutdown,
}

impl Round<'_> {
    /// Runs it. Returns the server that has the table now, and what was found.
    async fn run(
        &mut self,
        mut primary: Server,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Result<(Server, ClusterCounts), Failure> {
        let alone = cluster::alone(&primary).await;
        alone.map_err(|error| Failure::new(exit::ENDED_EARLY, error))?;
        let link = open(&primary).await?;
        let standby = primary.standby(link.port());
        let standby = tokio::select! {
            standby = standby => standby.map_err(|error| Failure::new(exit::PREPARE, error))?,
            never = link.serve() => match never {},
        };
        let ways = [open(&primary).await?, open(&standby).await?];
        let played = {
            let mut pair = Pair {
                primary: &mut primary,
                standby: &standby,
                link: &link,
                ways: [&ways[0], &ways[1]],
            };
            tokio::select! {
                played = self.play(&mut pair, rng) => played,
                never = link.serve() => match never {},
                never = ways[0].serve() => match never {},
                never = ways[1].serve() => match never {},
            }
        };
        let Played { promoted, refused, first, second } = match played {
            Ok(played) => played,
            Err(failure) => {
                for server in [standby, primary] {
                    let _ = server.stop().await;
                }
                return Err(failure);
            }
        };
        let (left, other) = if promoted { (standby, primary) } else { (primary, standby) };
        if let Err(error) = other.stop().await {
            tracing::warn!("{error}");
        }
        let loaders: Vec<Vec<Word>> = [(&first, "first"), (&second, "second")]
            .into_iter()
            .filter_map(|(result, name)| Some((result.as_ref()?, name)))
            .map(|(result, name)| words(&self.plan.job.stream, result, &self.folder.join(name)))
            .collect::<Result<_, Failure>>()?;
        let counts = cluster::check(&left, &self.plan.job.stream, &loaders).await;
        let counts = counts.map_err(|error| Failure::new(exit::ENDED_EARLY, error))?;
        let is_taken = |result: &JobResult| {
            let owner = result.stream().and_then(|run| run.stream.owner.as_ref());
            owner.is_some_and(|owner| owner.taken_over)
        };
        // Nobody had waited for the standby that was promoted.
        let is_servers = promoted && !self.kind.is_synchronous();
        let counts = ClusterCounts {
            kind: Some(self.kind),
            rounds: 1,
            promotions: promoted.into(),
            taken_over: first.as_ref().is_some_and(is_taken).into(),
            refused,
            lost_by_server: if is_servers { counts.lost } else { 0 },
            ..counts
        };
        if !counts.are_right() {
            tracing::warn!("the table is not what was acknowledged: {counts:?}");
        }
        Ok((left, counts))
    }

    /// Lets the loaders load, and the faults come.
    async fn play(
        &self,
        pair: &mut Pair<'_>,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Result<Played, Failure> {
        let table = self.plan.job.stream.table.to_string();
        let failed = |error: &dyn ToString| Failure::new(exit::ENDED_EARLY, error.to_string());
        cluster::begin(pair, self.kind, &table).await.map_err(|error| failed(&error))?;
        let ports = pair.ways.map(Proxy::port);
        let first = through(&ports, pair.standby)?;
        let second = through(&[pair.primary.port(), pair.standby.port()], pair.standby)?;
        let (ledgers, second_may) =
            ([Ledger::default(), Ledger::default()], CancellationToken::new());
        let over = &self.shutdown.stop;
        let loaders =
            Loaders { first: &ledgers[0], second: &ledgers[1], second_may: &second_may, over };
        let first = async {
            let ran = self.load(first, FIRST, "first", &ledgers[0]).await;
            if ran.is_err() {
                // Nobody else is to wait for it.
                second_may.cancel();
            }
            ran
        };
        let second = async {
            second_may.cancelled().await;
            let (mut refused, give_up) = (0, Instant::now() + REFUSED_MAX);
            loop {
                let error = match self.load(second.clone(), SECOND, "second", &ledgers[1]).await {
                    _ if over.is_cancelled() => return Ok((refused, None)),
                    Ok(result) => return Ok((refused, Some(result))),
                    Err(error) => error,
                };
                if Instant::now() > give_up {
                    return Err(error);
                }
                tracing::debug!("the second loader is refused: {error}");
                refused += 1;
                sleep(AGAIN).await;
            }
        };
        let torment = cluster::torment(pair, self.kind, rng, &loaders);
        let began = Instant::now();
        let (first, second, promoted) = tokio::join!(first, second, torment);
        tracing::debug!("the round took {}", format_seconds(began.elapsed().as_secs_f64()));
        let promoted = promoted.map_err(|error| failed(&error))?;
        let (refused, second) = second.map_err(|error| failed(&error))?;
        let first = match first {
            Ok(result) => Some(result),
            Err(_) if over.is_cancelled() => None,
            Err(error) => return Err(failed(&error)),
        };
        Ok(Played { promoted, refused, first, second })
    }

    async fn load(
        &self,
        address: Address,
        duration: Duration,
        name: &str,
        ledger: &Ledger,
    ) -> Result<JobResult, PrepareError> {
        let mut plan = self.plan.clone();
        plan.job.duration = Some(duration);
        plan.job.readers.count = 0;
        (plan.job.recovery.lease, plan.job.recovery.reconnect_timeout) = (LEASE, RECONNECT);
        let target = Target { address, embedded: true, settings: Vec::new(), readers: None };
        let folder = Folder::open(&self.folder.join(name))?;
        let sinks: Vec<Box<dyn crate::sink::Sink>> =
            vec![Box::new(folder), Box::new(ledger.sink())];
        let run = engine::run_among_faults(&plan, &target, sinks, self.shutdown, |result| result);
        Box::pin(run).await
    }
}

/// How a round went.
struct Played {
    promoted: bool,
    refused: u64,
    /// `None`: it was ended before it began.
    first: Option<JobResult>,
    second: Option<JobResult>,
}

async fn open(server: &Server) -> Result<Proxy, Failure> {
    Proxy::open(server.port()).await.map_err(|error| {
        Failure::new(exit::PREPARE, format!("failed to listen on 127.0.0.1: {error}"))
    })
}

/// What a loader says of its rows: by its result, and by the journal in its folder.
fn words(stream: &Stream, result: &JobResult, folder: &Path) -> Result<Vec<Word>, Failure> {
    let path = folder.join(JOURNAL);
    let failed = |what: &dyn ToString| {
        Failure::new(exit::ENDED_EARLY, format!("{}: {}", path.display(), what.to_string()))
    };
    let bytes = fs::read(&path).map_err(|error| failed(&error))?;
    let journal = Journal::parse(&bytes).map_err(|error| failed(&error))?;
    let Body::Stream(run) = &result.body else { return Ok(Vec::new()) };
    let word = |(lane, of): (Lane, &PartitionReport)| Word {
        ids: Ids {
            lane,
            base: of.first_id.saturating_sub_unsigned(lane.place.into()),
            run: RunTag::default(),
        },
        due: of.rows_due,
        account: of.account.clone(),
        journal: journal.accounts.get(&lane.number).cloned().unwrap_or_default(),
    };
    Ok(stream.lanes().zip(&run.stream.partitions).map(word).collect())
}
