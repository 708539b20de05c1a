//! The loader's own code against a model of a server, by the ten thousand: producers, recovery, ownership,
//! journal and audit as they are, over connections that break at any byte, with a server that fails, stands
//! still, crashes and loses what it had not written. One seed is one schedule, in simulated time on one
//! thread, so it is the same again: a seed that fails is printed, with how to see what happened.
//!
//! `STROM_LOAD_SIMULATION_SCHEDULES=100000 cargo test --lib simulation::` explores more of them,
//! `STROM_LOAD_SIMULATION_SEED=n` begins with another seed, or tells the story of that one alone.
//! docs/delivery.md says what was explored. The files lie here, and belong to the library's own tests: what
//! they drive is not to be seen from outside of it.

#[path = "simulation/backend.rs"]
mod backend;
#[path = "simulation/dice.rs"]
mod dice;
#[path = "simulation/line.rs"]
mod line;
#[path = "simulation/loader.rs"]
mod loader;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/schedule.rs"]
mod schedule;
#[path = "simulation/sql.rs"]
mod sql;
#[path = "simulation/verdict.rs"]
mod verdict;
#[path = "simulation/wire.rs"]
mod wire;
#[path = "simulation/world.rs"]
mod world;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use run::{Outcome, simulate};
use schedule::Bug;

const SCHEDULES: u64 = 600;
/// Schedules that have failed once, and what was wrong.
const FAILED_ONCE: [(u64, &str); 4] = [
    (1_420, "verify took a later run's rows for those that had been dropped"),
    (2_147, "the audit of a loader that stood still is of the moment in which it read"),
    (2_396, "a batch in doubt, sent again and given up, was said to be dropped"),
    (
        51_331,
        "verify called rows unexpected that a killed loader had in hand while it gave up later ones",
    ),
];
/// Schedules in which a planted bug must show.
const UNTIL_FOUND: u64 = 400;
/// Failures that are shown.
const SHOWN_MAX: usize = 5;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(format!("STROM_LOAD_SIMULATION_{name}")).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("STROM_LOAD_SIMULATION_{name} is no number")))
}

/// A folder in memory, if there is any: what is written there is written through at once.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("strom-load-simulation-").tempdir_in(place).unwrap()
}

/// Runs these schedules, on all cores.
fn explore(seeds: std::ops::Range<u64>, each: impl Fn(u64, Outcome) + Sync) {
    let folder = folder();
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, each, seeds) = (&next, &each, &seeds);
            let folder: PathBuf = folder.path().join(thread.to_string());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    each(seed, simulate(seed, None, &folder, false));
                }
            });
        }
    });
}

#[test]
fn whatever_happens_each_row_is_there_once_or_said_to_be_missing() {
    let (schedules, seed) = (variable("SCHEDULES"), variable("SEED"));
    if let (None, Some(seed)) = (schedules, seed) {
        return tell(seed);
    }
    let (schedules, seed) = (schedules.unwrap_or(SCHEDULES), seed.unwrap_or(0));
    let began = Instant::now();
    let all = Mutex::new((Vec::new(), Sums::default()));
    explore(seed..seed + schedules, |seed, outcome| {
        let (failed, sums) = &mut *all.lock().unwrap();
        sums.add(&outcome);
        if !outcome.breaches.is_empty() {
            failed.push((seed, outcome.breaches));
        }
    });
    let (mut failed, sums) = all.into_inner().unwrap();
    println!(
        "{schedules} schedules from seed {seed} on in {:.1} s\n{sums:#?}",
        began.elapsed().as_secs_f64()
    );
    failed.sort_unstable();
    for (seed, breaches) in failed.iter().take(SHOWN_MAX) {
        println!("\nseed {seed}: {}", breaches.join("\n  "));
        println!(
            "see it: STROM_LOAD_SIMULATION_SEED={seed} cargo test --lib simulation::whatever -- --nocapture"
        );
    }
    assert!(failed.is_empty(), "{} of {schedules} schedules failed", failed.len());
    // A model that refuses every loader finds nothing wrong.
    assert!(sums.rows_acknowledged > schedules, "{sums:?}");
}

#[test]
fn what_has_failed_once_holds() {
    let folder = folder();
    for (seed, what) in FAILED_ONCE {
        let breaches = simulate(seed, None, folder.path(), false).breaches;
        assert!(breaches.is_empty(), "seed {seed}, {what}: {}", breaches.join("\n  "));
    }
}

/// Tells what happened in one schedule.
fn tell(seed: u64) {
    let folder = folder();
    let Outcome { breaches, story, .. } = simulate(seed, None, folder.path(), true);
    println!("{}", story.join("\n"));
    assert!(breaches.is_empty(), "seed {seed}: {}", breaches.join("\n  "));
}

#[test]
fn a_seed_is_the_same_schedule_again() {
    let folder = folder();
    for seed in 0..10 {
        let again = [0; 2].map(|_| simulate(seed, None, folder.path(), false).trace);
        assert_eq!(again[0], again[1], "seed {seed}");
    }
}

#[test]
fn what_is_wrong_with_a_server_is_found_and_the_audit_says_so() {
    let folder = folder();
    for (bug, word) in [
        (Bug::AppliesTwice, "doubled"),
        (Bug::DeniesCommits, "doubled"),
        (Bug::ForgetsCommits, "lost"),
        (Bug::AltersRows, "altered"),
        (Bug::FreesLocks, "doubled"),
    ] {
        let found = (0..UNTIL_FOUND).find(|seed| {
            let outcome = simulate(*seed, Some(bug), folder.path(), false);
            // Right or wrong, an audit says what is so.
            let differs = |breach: &&String| breach.starts_with("the audit says");
            assert_eq!(outcome.breaches.iter().find(differs), None, "{bug:?}, seed {seed}");
            outcome.findings.contains(word)
        });
        println!("{bug:?}: seed {found:?}");
        assert!(found.is_some(), "{bug:?} is not found in {UNTIL_FOUND} schedules");
    }
}

/// What was explored.
#[derive(Debug, Default)]
struct Sums {
    loaders: u64,
    refused: u64,
    killed: u64,
    ended_by_errors: u64,
    taken_over: u64,
    audits: u64,
    rows_acknowledged: u64,
    rows_undecided: u64,
    rows_dropped: u64,
    sessions: u64,
    connections_refused: u64,
    connections_cut: u64,
    sessions_terminated: u64,
    statements_failed: u64,
    crashes: u64,
    commits: u64,
    commits_lost_in_crashes: u64,
    transaction_ids_given_again: u64,
}

impl Sums {
    fn add(&mut self, Outcome { counts, totals, .. }: &Outcome) {
        self.loaders += totals.loaders;
        self.refused += totals.refused;
        self.killed += totals.killed;
        self.ended_by_errors += totals.ended_by_errors;
        self.taken_over += totals.taken_over;
        self.audits += totals.audits;
        self.rows_acknowledged += totals.rows_acknowledged;
        self.rows_undecided += totals.rows_undecided;
        self.rows_dropped += totals.rows_dropped;
        self.sessions += counts.sessions;
        self.connections_refused += counts.refusals;
        self.connections_cut += counts.cuts;
        self.sessions_terminated += counts.terminations;
        self.statements_failed += counts.statements_failed;
        self.crashes += counts.crashes;
        self.commits += counts.commits;
        self.commits_lost_in_crashes += counts.commits_lost;
        self.transaction_ids_given_again += counts.xids_again;
    }
}
