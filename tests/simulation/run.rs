//! One schedule from its beginning to its end, in a time of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ingest::auditor::Audited;
use crate::pg::{Address, Dial, Dialing, Wire};
use crate::plan::Delivery;
use crate::record::LaneAudit;
use crate::result::journal::{JOURNAL, Journal};

use super::backend::serve;
use super::line::connect;
use super::loader::{Seen, Setting, Stopped, Traces, folder_is_away, load, verify};
use super::schedule::{Bug, Event, LoaderPlan, Schedule};
use super::verdict;
use super::world::{Counts, Shared, World, lock};

/// No schedule takes longer, in its own time.
const LASTS_MAX: Duration = Duration::from_secs(3_600);
/// After so long nobody holds anything any more.
const CALM: Duration = Duration::from_secs(120);

/// What came of a schedule.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) breaches: Vec<String>,
    /// What the audits of loaders found wrong, in a word each.
    pub(crate) findings: BTreeSet<&'static str>,
    pub(crate) counts: Counts,
    pub(crate) totals: Totals,
    pub(crate) trace: u64,
    pub(crate) story: Vec<String>,
}

/// What loaders came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) loaders: u64,
    pub(crate) refused: u64,
    pub(crate) killed: u64,
    pub(crate) ended_by_errors: u64,
    pub(crate) taken_over: u64,
    pub(crate) audits: u64,
    pub(crate) rows_acknowledged: u64,
    pub(crate) rows_undecided: u64,
    pub(crate) rows_dropped: u64,
}

/// How a loader reaches the server.
struct Phone {
    world: Weak<Mutex<World>>,
    loader: usize,
}

impl Dial for Phone {
    fn dial(&self, _: &str) -> Dialing {
        let (world, loader) = (self.world.upgrade(), self.loader);
        Box::pin(async move {
            let world = world.ok_or(ErrorKind::ConnectionRefused)?;
            let (refused, hangs, quality) = {
                let mut world = lock(&world);
                let refuses = world.traits.refuses;
                let is_down = Instant::now() < world.down_until && world.dice.one_in(2);
                let refused = is_down || world.trouble(refuses * 2);
                let hangs = world.trouble(refuses * 6);
                let troubled = world.trouble(1);
                let mut dice = world.dice.fork();
                let quality = world.traits.quality(&mut dice, troubled);
                world.counts.refusals += u64::from(refused || hangs);
                world.counts.cuts += u64::from(quality.cut.is_some());
                if let Some(cut) = quality.cut {
                    world.note(|| format!("the next connection of loader {loader}: {cut:?}"));
                }
                (refused, hangs, quality)
            };
            if refused {
                return Err(io::Error::from(ErrorKind::ConnectionRefused));
            }
            if hangs {
                std::future::pending::<()>().await;
            }
            let (client, server) = connect(quality);
            tokio::spawn(serve(world, server, loader));
            Ok(Wire::new(client))
        })
    }
}

/// What befalls the server.
async fn befall(world: &Shared, began: Instant, events: &[(Duration, Event)]) {
    for (at, event) in events {
        sleep_until(began + *at).await;
        let mut world = lock(world);
        let now = Instant::now();
        match event {
            Event::Crash { down, elsewhere } => world.crash(*down, *elsewhere),
            Event::Freeze(time) => {
                world.frozen_until = now + *time;
                world.note(|| format!("the server stands still for {time:?}"));
            }
            Event::Lock(time) => {
                world.locked_until = now + *time;
                world.note(|| format!("the table is locked for {time:?}"));
            }
            Event::Terminate => {
                let sessions: Vec<u32> = world.sessions.keys().copied().collect();
                if !sessions.is_empty() {
                    let pid = world.dice.pick(&sessions);
                    world.terminate(pid);
                }
            }
        }
    }
    std::future::pending::<()>().await;
}

/// Runs a schedule; `folder` is empty and its own. Its story is told if somebody is to read it.
pub(crate) fn simulate(seed: u64, bug: Option<Bug>, folder: &Path, told: bool) -> Outcome {
    let schedule = Schedule::draw(seed, bug);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let outcome = runtime.unwrap().block_on(play(&schedule, folder, told));
    for number in 0..schedule.loaders.len() {
        let _ = fs::remove_dir_all(folder.join(number.to_string()));
    }
    outcome
}

async fn play(schedule: &Schedule, folder: &Path, told: bool) -> Outcome {
    let began = Instant::now();
    let mut world =
        World::new(schedule.traits.clone(), schedule.dice.clone(), schedule.partitions, told);
    let (from, to) = schedule.trouble;
    (world.trouble_from, world.calm_from) = (began + from, began + to);
    if told {
        world.note(|| format!("{schedule:#?}"));
        world.trace = 0;
    }
    let world: Shared = Arc::new(Mutex::new(world));
    let mut seen: Vec<Seen> = Vec::new();
    let mut addresses = Vec::new();
    let mut running = Vec::new();
    for (number, own) in schedule.loaders.iter().enumerate() {
        let phone = Phone { world: Arc::downgrade(&world), loader: number };
        let address = Address::dialed(Arc::new(phone), "me", "db");
        let traces: Seen = Arc::new(Mutex::new(Traces { number, ..Traces::default() }));
        let folder = folder.join(number.to_string());
        fs::create_dir_all(&folder).unwrap();
        let setting = Setting {
            own: own.clone(),
            address: address.clone(),
            world: Arc::clone(&world),
            folder,
            traces: Arc::clone(&traces),
        };
        running.push(live(own, began, setting));
        addresses.push(address);
        seen.push(traces);
    }
    let lived = tokio::select! {
        biased;
        lived = timeout(LASTS_MAX, join_all(running)) => lived,
        () = befall(&world, began, &schedule.events) => Ok(Vec::new()),
    };
    let mut outcome = Outcome::default();
    if lived.is_err() {
        outcome.breaches.push("a wait without end".to_owned());
    }
    // Whoever looks at what a killed loader left does so later, and in peace.
    lock(&world).calm_from = Instant::now();
    sleep(CALM).await;
    for ((own, address), traces) in schedule.loaders.iter().zip(&addresses).zip(&seen) {
        let number = traces.lock().unwrap().number;
        let folder = folder.join(number.to_string());
        let breaches = look_back(schedule, own, address, (traces, &folder, &world)).await;
        outcome.breaches.extend(breaches);
    }
    let seen: Vec<_> = seen.iter().map(|traces| traces.lock().unwrap()).collect();
    let loaders: Vec<&Traces> = seen.iter().map(|traces| &**traces).collect();
    let mut world = lock(&world);
    outcome.breaches.extend(verdict::kept(schedule, &loaders, &world));
    for traces in &loaders {
        outcome.breaches.extend(traces.breaches.iter().cloned());
        outcome.add(traces, schedule);
    }
    let is_right = schedule.traits.durable && schedule.traits.bug.is_none();
    if is_right && !outcome.findings.is_empty() {
        let findings = &outcome.findings;
        outcome.breaches.push(format!("a server that is right, and audits find {findings:?}"));
    }
    (outcome.counts, outcome.trace) = (world.counts, world.trace);
    outcome.story = world.story.take().unwrap_or_default();
    outcome
}

/// The life of a loader: it begins, may stand still, and may be killed.
async fn live(own: &LoaderPlan, began: Instant, setting: Setting) {
    sleep(own.starts).await;
    let folder = setting.folder.clone();
    let world = Arc::clone(&setting.world);
    let stands = own.stops.map(|(at, time)| (began + at, began + at + time));
    let loading = Stopped { inner: Box::pin(load(setting)), stands, sleep: None };
    let killed = async {
        match own.killed {
            Some(at) => sleep_until(began + at).await,
            None => std::future::pending().await,
        }
    };
    let away = async {
        if let Some(away) = own.folder_away {
            folder_is_away(&folder, away).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = loading => {}
        () = killed => lock(&world).note(|| "a loader is killed".to_owned()),
        () = away => {}
    }
}

/// Looks at what a loader left: its journal and, if it was killed, its rows by that.
async fn look_back(
    schedule: &Schedule,
    own: &LoaderPlan,
    address: &Address,
    (traces, folder, world): (&Seen, &Path, &Shared),
) -> Vec<String> {
    let mut breaches = Vec::new();
    let (is_done, was_admitted) = {
        let mut traces = traces.lock().unwrap();
        traces.drain();
        (traces.is_done, traces.refused.is_none())
    };
    let away = folder.with_extension("away");
    let at = if away.exists() { &away } else { folder };
    let Ok(mut bytes) = fs::read(at.join(JOURNAL)) else {
        let _ = fs::remove_dir_all(&away);
        let has_begun = was_admitted && is_done && own.folder_away.is_none();
        return if has_begun { vec!["there is no journal".to_owned()] } else { breaches };
    };
    let journal = match Journal::parse(&bytes) {
        Ok(journal) => journal,
        Err(error) => return vec![format!("the journal {error}")],
    };
    breaches.extend(verdict::journaled(&traces.lock().unwrap(), &journal, false));
    // Of one that was torn off, what is whole must be right.
    let end = lock(world).dice.below(bytes.len() as u64 + 1);
    bytes.truncate(end as usize);
    if let Ok(torn) = Journal::parse(&bytes) {
        breaches.extend(verdict::journaled(&traces.lock().unwrap(), &torn, true));
    }
    let _ = fs::remove_dir_all(&away);
    if !is_done && schedule.traits.durable && schedule.traits.bug.is_none() {
        // Boxed, as it waits while it is looked at.
        let left = std::mem::take(&mut *traces.lock().unwrap());
        match verify(own, address, &left, &journal).await {
            Ok(audited) => {
                let may_double = schedule.delivery == Delivery::AtLeastOnce;
                let found = verdict::verified(&left, &audited, &lock(world), may_double);
                breaches.extend(found);
            }
            Err(error) => breaches.push(format!("verify in peace: {error}")),
        }
        *traces.lock().unwrap() = left;
    }
    breaches
}

impl Outcome {
    fn add(&mut self, traces: &Traces, schedule: &Schedule) {
        let may_double = schedule.delivery == Delivery::AtLeastOnce;
        if let Some(Ok(audited)) = &traces.audited {
            self.totals.audits += 1;
            for Audited { audit, .. } in audited {
                let LaneAudit { lost, doubled, altered, unexpected, .. } = audit;
                let found = [
                    ("lost", !lost.is_empty()),
                    ("doubled", !doubled.is_empty() && !may_double),
                    ("altered", !altered.is_empty()),
                    ("unexpected", !unexpected.is_empty()),
                ];
                self.findings.extend(found.iter().filter(|(_, is)| *is).map(|(word, _)| word));
            }
        }
        let totals = &mut self.totals;
        totals.loaders += 1;
        totals.refused += u64::from(traces.refused.is_some());
        totals.killed += u64::from(traces.refused.is_none() && !traces.is_done);
        totals.ended_by_errors += u64::from(!traces.errors.is_empty());
        let took_over = |error: &String| error.contains("another run took over");
        totals.taken_over += u64::from(traces.errors.iter().any(took_over));
        for lane in &traces.lanes {
            totals.rows_acknowledged += lane.account.acknowledged.rows();
            totals.rows_undecided += lane.account.undecided.rows();
            totals.rows_dropped += lane.account.dropped.rows();
        }
    }
}
