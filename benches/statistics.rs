//! How well the intervals of docs/statistics.md cover, on synthetic durations of known truth, and
//! what they cost.
//!
//! `cargo bench --bench statistics` prints the tables of that page, as Markdown.
//! `-- --runs N` changes the number of simulated runs of each cell.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant};

use strom_load::stats::{
    Comparison, HaltReason, Pair, Settings, Stopping, TimesVerdict, best_of, median, paired_ratio,
    theil_sen,
};

#[path = "../tests/synthetic.rs"]
mod synthetic;

use synthetic::{Noise, SCENARIOS, Source};

const PAIRS: [usize; 5] = [20, 30, 50, 100, 300];
/// A run with early stop ends here at the latest.
const PAIRS_MAX: usize = 300;
const PRECISION: f64 = 0.05;
const RATIO: f64 = 1.2;

fn main() {
    let runs = runs();
    println!("{runs} simulated runs a cell, {} resamples\n", Settings::default().resamples);
    coverage(runs);
    with_early_stop(runs);
    sweeps(runs);
    slopes(runs);
    cost();
}

fn runs() -> u64 {
    let arguments: Vec<String> = env::args().collect();
    let given = arguments.windows(2).find(|pair| pair[0] == "--runs");
    given.and_then(|pair| pair[1].parse().ok()).unwrap_or(1_000)
}

fn covers(comparison: &Comparison, ratio: f64) -> Option<bool> {
    Some(comparison.low? <= ratio && ratio <= comparison.high?)
}

/// Percent of the runs that give an answer, and in brackets the percent that give none; a dash if
/// nearly all give none.
fn percent(outcomes: &[Option<bool>]) -> String {
    let said: Vec<bool> = outcomes.iter().copied().flatten().collect();
    let yes = said.iter().filter(|outcome| **outcome).count();
    let silent = 100.0 * (1.0 - said.len() as f64 / outcomes.len() as f64);
    let share = 100.0 * yes as f64 / said.len() as f64;
    match () {
        () if said.len() < outcomes.len() / 10 => "–".to_owned(),
        () if silent >= 0.5 => format!("{share:.1} ({silent:.0})"),
        () => format!("{share:.1}"),
    }
}

fn header(first: &str, columns: impl Iterator<Item = String>) {
    let columns: Vec<String> = columns.collect();
    println!("| {first} | {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
}

fn row(name: &str, cells: &[String]) {
    println!("| {name} | {} |", cells.join(" | "));
}

fn coverage(runs: u64) {
    println!("Coverage of the 95 % interval, %, by pairs:\n");
    header("noise", PAIRS.iter().map(ToString::to_string));
    let mut widths = Vec::new();
    for (name, noise) in SCENARIOS {
        let mut cells = Vec::new();
        let mut width = Vec::new();
        for n in PAIRS {
            let compared: Vec<Comparison> = (0..runs)
                .map(|run| {
                    let pairs = Source::new(run).pairs(noise, RATIO, n);
                    paired_ratio(&pairs, &Settings { seed: run, ..Settings::default() })
                })
                .collect();
            let outcomes: Vec<_> = compared.iter().map(|found| covers(found, RATIO)).collect();
            cells.push(percent(&outcomes));
            let half: Vec<f64> = compared.iter().filter_map(Comparison::half_width).collect();
            width.push(median(&half).map_or("–".to_owned(), |half| format!("{:.1}", 100.0 * half)));
        }
        row(name, &cells);
        widths.push((name, width));
    }
    println!("\nMedian half width, %, by pairs:\n");
    header("noise", PAIRS.iter().map(ToString::to_string));
    widths.iter().for_each(|(name, cells)| row(name, cells));
}

/// One run as it is made: pair after pair, until precise or out of time.
fn run_until_precise(pairs: &[Pair], seed: u64) -> (Comparison, HaltReason) {
    let settings = Settings { seed, ..Settings::default() };
    let mut stopping = Stopping::new(settings, PRECISION);
    for n in 1..=pairs.len() {
        if let Some(halt) = stopping.check(&pairs[..n], n == pairs.len()) {
            return (halt.comparison, halt.reason);
        }
    }
    (paired_ratio(pairs, &settings), HaltReason::TimeUp)
}

fn with_early_stop(runs: u64) {
    println!(
        "\nWithout a true difference, %, and with early stop at ± 5 % or {PAIRS_MAX} pairs:\n"
    );
    let columns = ["false winners, 30 pairs", "false winners, early stop", "coverage, early stop"];
    let columns = columns.into_iter().chain(["stopped early", "median pairs", "power at 1.2×"]);
    header("noise", columns.map(str::to_owned));
    for (name, noise) in SCENARIOS {
        let simulate = |ratio: f64| -> Vec<(Comparison, HaltReason)> {
            (0..runs)
                .map(|run| run_until_precise(&Source::new(run).pairs(noise, ratio, PAIRS_MAX), run))
                .collect()
        };
        let wins = |found: &Comparison| {
            Some(matches!(found.verdict, TimesVerdict::Faster | TimesVerdict::Slower))
        };
        let fixed: Vec<_> = (0..runs)
            .map(|run| {
                let pairs = Source::new(run).pairs(noise, 1.0, 30);
                wins(&paired_ratio(&pairs, &Settings { seed: run, ..Settings::default() }))
            })
            .collect();
        let stopped = simulate(1.0);
        let winners: Vec<_> = stopped.iter().map(|(found, _)| wins(found)).collect();
        let covered: Vec<_> = stopped.iter().map(|(found, _)| covers(found, 1.0)).collect();
        let early: Vec<_> =
            stopped.iter().map(|(_, why)| Some(*why == HaltReason::Precise)).collect();
        let used: Vec<f64> = stopped.iter().map(|(found, _)| found.pairs as f64).collect();
        let found: Vec<_> = simulate(RATIO)
            .iter()
            .map(|(found, _)| Some(found.verdict == TimesVerdict::Faster))
            .collect();
        let pairs = median(&used).map_or(String::new(), |pairs| format!("{pairs:.0}"));
        row(
            name,
            &[
                percent(&fixed),
                percent(&winners),
                percent(&covered),
                percent(&early),
                pairs,
                percent(&found),
            ],
        );
    }
}

fn sweeps(runs: u64) {
    println!(
        "\nSweeps, drift and jumps shared by a round; how often any of the best is left out, %,"
    );
    println!("and how many of the slower combinations are, %:\n");
    let columns = ["rounds", "one of the best left out", "slower left out"];
    header("combinations", columns.iter().map(|&name| name.to_owned()));
    for (count, ratio) in [(2, 1.0), (5, 1.0), (20, 1.0), (5, 1.2), (20, 1.2)] {
        let equal = ratio <= 1.0;
        for rounds in [15, 30] {
            let (mut left_out, mut slower) = (0, 0);
            for run in 0..runs {
                let table = Source::new(run).rounds(count, rounds, ratio);
                let found = best_of(&table, &Settings { seed: run, ..Settings::default() });
                let left = found.combinations.iter().map(|one| !one.may_be_best);
                let left: Vec<bool> = left.collect();
                left_out += u64::from(if equal { left.contains(&true) } else { left[0] });
                slower += left[1..].iter().filter(|left| **left).count();
            }
            let share = |part: f64, whole: u64| format!("{:.1}", 100.0 * part / whole as f64);
            let others = runs * (count as u64 - 1);
            let slower = if equal { "–".to_owned() } else { share(slower as f64, others) };
            let name = match equal {
                true => format!("{count} equal"),
                false => format!("1 best, {} slower by {ratio} ×", count - 1),
            };
            row(&name, &[rounds.to_string(), share(left_out as f64, runs), slower]);
        }
    }
}

fn slopes(runs: u64) {
    println!("\nCoverage of the 95 % interval of a slope, %, by points:\n");
    header("noise", [20, 60, 200].iter().map(ToString::to_string));
    for (name, phi) in [("independent", 0.0), ("AR(1) 0.5", 0.5), ("AR(1) 0.8", 0.8)] {
        let cells = [20, 60, 200].map(|n| {
            let outcomes: Vec<_> = (0..runs)
                .map(|run| {
                    let points = Source::new(run).line(0.3, phi, n);
                    let found = theil_sen(&points, 0.95)?;
                    Some(found.low? <= 0.3 && 0.3 <= found.high?)
                })
                .collect();
            percent(&outcomes)
        });
        row(name, &cells);
    }
}

/// The median of a few repetitions.
fn timed(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..11)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn cost() {
    println!("\nCost, 2 000 resamples:\n");
    header("pairs", ["time".to_owned()].into_iter());
    for n in [30, 1_000, 10_000] {
        let pairs = Source::new(1).pairs(Noise::Lognormal, RATIO, n);
        let time = timed(|| {
            black_box(paired_ratio(black_box(&pairs), &Settings::default()));
        });
        row(&n.to_string(), &[format!("{:.2} ms", time.as_secs_f64() * 1e3)]);
    }
}
