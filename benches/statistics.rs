//! How well the statistics of docs/statistics.md hold, on synthetic durations of known truth, and
//! what they cost.
//!
//! `cargo bench --bench statistics` prints the tables of that page, as Markdown.
//! `-- --runs N` changes the number of simulated runs of each cell, `-- --only NAME` makes one table.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant};

use strom_load::stats::{
    Comparison, Pair, Settings, Stopping, TimesVerdict, best_of, holm, median, more_pairs,
    paired_ratio, ratio_by_rows, repeated_ratio, smallest_ratio, theil_sen,
};

#[path = "support/most_powerful.rs"]
mod most_powerful;
#[path = "../tests/synthetic.rs"]
mod synthetic;

use synthetic::{Noise, SCENARIOS, Source};

const PAIRS: [usize; 4] = [30, 50, 100, 200];
/// A run with early stop, or with a look after each pair, ends here at the latest.
const PAIRS_MAX: usize = 200;
const PRECISION: f64 = 0.05;

/// A table by its name, made of so many runs a cell.
type Table = (&'static str, fn(u64));

fn main() {
    let runs = runs();
    println!("{runs} simulated runs a cell\n");
    let tables: [Table; 11] = [
        ("scenarios", scenarios),
        ("power", power),
        ("limit", limit),
        ("precision", precision),
        ("family", family),
        ("forecast", forecast),
        ("sweeps", sweeps),
        ("repeats", repeats),
        ("by-rows", by_rows),
        ("slopes", slopes),
        ("cost", cost),
    ];
    let only = argument("--only");
    for (name, table) in tables {
        if only.as_deref().is_none_or(|only| only == name) {
            table(runs);
        }
    }
}

fn argument(name: &str) -> Option<String> {
    let arguments: Vec<String> = env::args().collect();
    arguments.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone())
}

fn runs() -> u64 {
    argument("--runs").and_then(|runs| runs.parse().ok()).unwrap_or(1_000)
}

fn share(count: usize, of: usize) -> String {
    format!("{:.1}", 100.0 * count as f64 / of as f64)
}

fn header(first: &str, columns: impl Iterator<Item = String>) {
    let columns: Vec<String> = columns.collect();
    println!("| {first} | {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len()));
}

fn row(name: &str, cells: &[String]) {
    println!("| {name} | {} |", cells.join(" | "));
}

fn count(runs: &[(Comparison, f64)], of: impl Fn(&Comparison, f64) -> bool) -> usize {
    runs.iter().filter(|(found, truth)| of(found, *truth)).count()
}

/// Whether there is an interval, and the truth lies outside of it.
fn misses(found: &Comparison, truth: f64) -> bool {
    found.low.is_some_and(|low| truth < low) || found.high.is_some_and(|high| truth > high)
}

/// Whether there is a direction that is not the truth's.
fn misleads(found: &Comparison, truth: f64) -> bool {
    match found.verdict {
        TimesVerdict::Faster => truth <= 1.0,
        TimesVerdict::Slower => truth >= 1.0,
        _ => false,
    }
}

/// One run as it is made: pair after pair, until precise or out of pairs.
fn run_until_precise(pairs: &[Pair]) -> Comparison {
    let mut stopping = Stopping::new(Settings::default(), PRECISION);
    let halt = (1..=pairs.len()).find_map(|n| stopping.check(&pairs[..n], n == pairs.len()));
    halt.map_or_else(|| paired_ratio(pairs, &Settings::default()), |halt| halt.comparison)
}

/// The pairs after which somebody looks who looks all the time; not quite after each, for the time
/// that a simulation takes.
fn looks(from: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(from), |n| Some(n + 1 + n / 25)).take_while(|n| *n <= PAIRS_MAX)
}

fn scenarios(runs: u64) {
    let settings = Settings::default();
    let mut tables = vec![Vec::new(); 3];
    for (name, noise) in SCENARIOS {
        let mut cells = vec![Vec::new(); 3];
        for n in PAIRS {
            let found: Vec<(Comparison, f64)> = (0..runs)
                .map(|run| {
                    let run = Source::new(run).run(noise, 1.0, n);
                    (paired_ratio(&run.pairs, &settings), run.truth(n))
                })
                .collect();
            cells[0].push(share(count(&found, misses), found.len()));
            cells[1].push(share(count(&found, misleads), found.len()));
            let half: Vec<f64> = found.iter().filter_map(|(found, _)| found.half_width()).collect();
            cells[2]
                .push(median(&half).map_or("–".to_owned(), |half| format!("{:.1}", 100.0 * half)));
        }
        let stopped: Vec<(Comparison, f64)> = (0..runs)
            .map(|run| {
                let run = Source::new(run + 1_000_000).run(noise, 1.0, PAIRS_MAX);
                let found = run_until_precise(&run.pairs);
                let truth = run.truth(found.pairs);
                (found, truth)
            })
            .collect();
        cells[0].push(share(count(&stopped, misses), stopped.len()));
        cells[1].push(share(count(&stopped, misleads), stopped.len()));
        let misled = (0..runs).filter(|run| {
            let run = Source::new(run + 2_000_000).run(noise, 1.0, PAIRS_MAX);
            looks(30).any(|n| misleads(&paired_ratio(&run.pairs[..n], &settings), run.truth(n)))
        });
        cells[1].push(share(misled.count(), runs as usize));
        for (table, cells) in tables.iter_mut().zip(cells) {
            table.push((name, cells));
        }
    }
    let pairs = || PAIRS.iter().map(ToString::to_string);
    println!("Wrong 95 % intervals, % of all runs, by pairs, and with early stop at ± 5 %:\n");
    header("noise", pairs().chain(["early stop".to_owned()]));
    tables[0].iter().for_each(|(name, cells)| row(name, cells));
    println!("\nFalse directions, % of all runs, and looking after each pair from 30 to 200:\n");
    header("noise", pairs().chain(["early stop", "every look"].map(str::to_owned)));
    tables[1].iter().for_each(|(name, cells)| row(name, cells));
    println!("\nMedian half width, %:\n");
    header("noise", pairs());
    tables[2].iter().for_each(|(name, cells)| row(name, cells));
}

fn power(runs: u64) {
    println!("\nFound, % of runs, by pairs: a direction (in brackets: at least \"so far\"):\n");
    let pairs = [12, 20, 30, 40, 50, 70, 100, 200];
    header("noise, ratio", pairs.iter().map(ToString::to_string));
    let tested = [
        ("independent", Noise::Lognormal, &[1.05, 1.1, 1.2, 1.5, 2.0][..]),
        ("heavy tail", Noise::HeavyTail, &[1.2, 1.5, 2.0]),
        ("AR(1) 0.5", Noise::Ar1(0.5), &[1.1, 1.2, 1.5, 2.0]),
        ("AR(1) 0.9", Noise::Ar1(0.9), &[1.2, 1.5, 2.0]),
        ("AR(1) 0.9 shared", Noise::SharedAr1(0.9), &[1.05, 1.2]),
        ("growing table", Noise::GrowingTable, &[1.2, 2.0, 4.0]),
        (
            "states × 1.15",
            Noise::Sticky { times: 1.15, share: 0.4, noise: 0.02, both: true },
            &[1.5, 3.0],
        ),
    ];
    for (name, noise, ratios) in tested {
        for ratio in ratios {
            let cells: Vec<String> = pairs
                .iter()
                .map(|n| {
                    let found: Vec<(Comparison, f64)> = (0..runs)
                        .map(|run| {
                            let pairs = Source::new(run).pairs(noise, *ratio, *n);
                            (paired_ratio(&pairs, &Settings::default()), *ratio)
                        })
                        .collect();
                    let decided = count(&found, |found, _| found.verdict == TimesVerdict::Faster);
                    let so_far = |found: &Comparison, _| {
                        matches!(found.verdict, TimesVerdict::Faster | TimesVerdict::FasterSoFar)
                    };
                    let so_far = 100.0 * count(&found, so_far) as f64 / runs as f64;
                    let decided = 100.0 * decided as f64 / runs as f64;
                    format!("{decided:.0} ({so_far:.0})")
                })
                .collect();
            row(&format!("{name}, {ratio} ×"), &cells);
        }
    }
}

fn limit(runs: u64) {
    println!(
        "\nThe most that any test finds of 1.2 × with AR(1) 0.5, %, if it misleads in at most"
    );
    println!("5 % of the runs with the noise named (Neyman and Pearson, all parameters known):\n");
    header("noise without a difference", [24, 30, 40, 50].iter().map(ToString::to_string));
    for (name, phis, shares) in [
        ("AR(1) 0.7", &[0.7][..], &[0.0][..]),
        ("AR(1) 0.8", &[0.8], &[0.0]),
        ("AR(1) 0.9", &[0.9], &[0.0]),
        ("AR(1) 0.9 and independent noise", &[0.9], &[0.05, 0.1, 0.2, 0.3, 0.5]),
    ] {
        let cells = [24, 30, 40, 50].map(|n| {
            let found = most_powerful::power(n, phis, shares, runs.max(500));
            format!("{:.1}", 100.0 * found)
        });
        row(name, &cells);
    }
}

fn precision(runs: u64) {
    println!(
        "\nPairs until the interval is ± 5 %, median, and as a multiple of those of Hodges and"
    );
    println!("Lehmann's interval with a known autocorrelation time:\n");
    header("noise", ["pairs", "multiple"].iter().map(|&name| name.to_owned()));
    // Of a mean of normal values with this autocorrelation time, and 1.047 for the ranks.
    let known = |sigma: f64, time: f64| {
        1.047 * time * 2.0 * (1.96 * sigma / (1.0 + PRECISION).ln()).powi(2)
    };
    for (name, noise, needed) in [
        ("independent, 10 %", Noise::Lognormal, known(0.1, 1.0)),
        (
            "independent, 20 %",
            Noise::Sticky { times: 1.0, share: 0.5, noise: 0.2, both: true },
            known(0.2, 1.0),
        ),
        ("AR(1) 0.5, 10 %", Noise::Ar1(0.5), known(0.1, 3.0)),
        ("AR(1) 0.7, 10 %", Noise::Ar1(0.7), known(0.1, 17.0 / 3.0)),
        ("AR(1) 0.9, 10 %", Noise::Ar1(0.9), known(0.1, 19.0)),
    ] {
        let used: Vec<f64> = (0..runs.min(300))
            .map(|run| {
                let pairs = Source::new(run).pairs(noise, 1.0, 2_000);
                let precise = |n: &usize| {
                    let found = paired_ratio(&pairs[..*n], &Settings::default());
                    found.half_width().is_some_and(|half| half <= PRECISION)
                };
                let tried = std::iter::successors(Some(30), |n| Some(n + 1 + n / 20));
                tried.take_while(|n| *n <= 2_000).find(precise).unwrap_or(2_000) as f64
            })
            .collect();
        let used = median(&used).unwrap_or(f64::NAN);
        row(name, &[format!("{used:.0}"), format!("{:.2}", used / needed)]);
    }
}

fn family(runs: u64) {
    println!(
        "\nFive queries beside each other, 50 pairs, AR(1) 0.7; runs with any false direction, %:\n"
    );
    header("equal", ["each for itself", "Holm"].iter().map(|&name| name.to_owned()));
    let settings = Settings::default();
    let any = |together: bool| {
        let wrong = (0..runs).filter(|run| {
            let one = |query| Source::new(run * 5 + query).pairs(Noise::Ar1(0.7), 1.0, 50);
            let mut found: Vec<Comparison> =
                (0..5).map(|query| paired_ratio(&one(query), &settings)).collect();
            if together {
                holm(found.iter_mut(), 5, &settings);
            }
            found.iter().any(Comparison::is_decided)
        });
        share(wrong.count(), runs as usize)
    };
    row("all five", &[any(false), any(true)]);
}

fn forecast(runs: u64) {
    println!(
        "\nForecasts after 30 pairs of 1.2 ×: pairs foretold in all, and pairs that it took, by"
    );
    println!("quarters of the runs; and the smallest ratio that 100 pairs are said to show:\n");
    header("noise", ["foretold", "took", "smallest ratio"].iter().map(|&name| name.to_owned()));
    let settings = Settings::default();
    for (name, noise) in
        [("independent", Noise::Lognormal), ("AR(1) 0.5 in each arm", Noise::Ar1(0.5))]
    {
        let (mut foretold, mut took, mut smallest) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..runs.min(300) {
            let pairs = Source::new(run).pairs(noise, 1.2, 400);
            let found = paired_ratio(&pairs[..30], &settings);
            let more = more_pairs(&pairs[..30], &found, 1);
            foretold.push(if found.is_decided() {
                30.0
            } else {
                more.map_or(480.0, |more| 30.0 + more as f64)
            });
            let decided = |n: &usize| paired_ratio(&pairs[..*n], &settings).is_decided();
            took.push((30..=400).step_by(5).find(decided).unwrap_or(400) as f64);
            let same = Source::new(run).pairs(noise, 1.0, 60);
            smallest.extend(smallest_ratio(&same, 100, 1, &settings));
        }
        let quarters = |values: &[f64], digits: usize| {
            let at = |p: f64| strom_load::stats::quantile(values, p).unwrap_or(f64::NAN);
            format!("{:.digits$} ({:.digits$}–{:.digits$})", at(0.5), at(0.25), at(0.75))
        };
        row(name, &[quarters(&foretold, 0), quarters(&took, 0), quarters(&smallest, 2)]);
    }
}

fn sweeps(runs: u64) {
    println!(
        "\nSweeps, drift and jumps shared by a round: how often any of the best is left out, %, and"
    );
    println!("how many of the slower combinations are, %:\n");
    let columns = ["rounds", "one of the best left out", "slower left out"];
    header("combinations, noise of each", columns.iter().map(|&name| name.to_owned()));
    let states = Noise::Sticky { times: 1.5, share: 0.5, noise: 0.02, both: true };
    // States that last no longer than a round: two humps.
    let humps = Noise::HeavyTail;
    for (count, ratio, name, noise) in [
        (9, 1.0, "independent", Noise::Lognormal),
        (9, 1.0, "heavy tail", humps),
        (9, 1.0, "AR(1) 0.3", Noise::Ar1(0.3)),
        (9, 1.0, "AR(1) 0.5", Noise::Ar1(0.5)),
        (9, 1.0, "AR(1) 0.7", Noise::Ar1(0.7)),
        (9, 1.0, "AR(1) 0.9", Noise::Ar1(0.9)),
        (9, 1.0, "states × 1.5", states),
        (2, 1.0, "AR(1) 0.7", Noise::Ar1(0.7)),
        (5, 1.2, "independent", Noise::Lognormal),
        (5, 1.5, "independent", Noise::Lognormal),
        (20, 1.2, "independent", Noise::Lognormal),
        (20, 1.5, "independent", Noise::Lognormal),
        (5, 1.5, "AR(1) 0.5", Noise::Ar1(0.5)),
    ] {
        let equal = ratio <= 1.0;
        for rounds in [15, 30, 60] {
            let (mut left_out, mut slower) = (0, 0);
            let runs = runs.min(400);
            for run in 0..runs {
                let table = Source::new(run).rounds(noise, count, rounds, ratio);
                let found = best_of(&table, &Settings::default());
                let left: Vec<bool> =
                    found.combinations.iter().map(|one| !one.may_be_best).collect();
                left_out += usize::from(if equal { left.contains(&true) } else { left[0] });
                slower += left[1..].iter().filter(|left| **left).count();
            }
            let others = runs as usize * (count - 1);
            let slower = if equal { "–".to_owned() } else { share(slower, others) };
            let name = match equal {
                true => format!("{count} equal, {name}"),
                false => format!("1 best, {} slower by {ratio} ×, {name}", count - 1),
            };
            row(&name, &[rounds.to_string(), share(left_out, runs as usize), slower]);
        }
    }
}

fn repeats(runs: u64) {
    println!(
        "\nRepeats of 30 pairs that differ by so much (standard deviation): wrong 95 % intervals of equal"
    );
    println!("arms, by the first repeat alone and over all; and a direction of 1.2 ×, %:\n");
    let columns = ["repeats", "first alone", "over all", "1.2 × found"];
    header("noise, from repeat to repeat", columns.iter().map(|&name| name.to_owned()));
    for (name, noise) in [("independent", Noise::Lognormal), ("AR(1) 0.7", Noise::Ar1(0.7))] {
        for between in [0.0, 0.03, 0.1] {
            for count in [2, 3, 5, 10] {
                let (mut alone, mut over, mut found) = (0, 0, 0);
                for run in 0..runs {
                    let mut source = Source::new(run);
                    let mut repeats = |ratio: f64| -> Vec<Vec<Pair>> {
                        let mut repeat = || {
                            let ratio = ratio * (between * source.normal()).exp();
                            source.pairs(noise, ratio, 30)
                        };
                        (0..count).map(|_| repeat()).collect()
                    };
                    let equal = repeats(1.0);
                    let settings = Settings::default();
                    alone += usize::from(misses(&paired_ratio(&equal[0], &settings), 1.0));
                    over += usize::from(misses(&repeated_ratio(&equal, &settings), 1.0));
                    found += usize::from(repeated_ratio(&repeats(1.2), &settings).is_decided());
                }
                let name = format!("{name}, {:.0} %", between * 100.0);
                let shares = [alone, over, found].map(|count| share(count, runs as usize));
                let cells: Vec<String> = std::iter::once(count.to_string()).chain(shares).collect();
                row(&name, &cells);
            }
        }
    }
}

/// A ratio as a function of the rows.
type Law<'l> = &'l dyn Fn(u64) -> f64;

fn by_rows(runs: u64) {
    println!(
        "\nA ratio as a function of the rows, from 1 to 6 M: how often it is said to be one, %, and how"
    );
    println!("often the intervals of the ratio at both ends miss the truth, of those, %:\n");
    header("ratio, pairs", ["said", "missed"].iter().map(|&name| name.to_owned()));
    let grown = |rows: u64| (rows as f64 - 1e6) / 5e6;
    let laws: [(&str, Law<'_>); 3] = [
        ("2 × throughout", &|_| 2.0),
        ("4 × to 6.2 ×", &|rows| 4.0 * (1.0 + grown(rows)) / (1.0 + 0.3 * grown(rows))),
        ("2.1 × to 3.4 ×", &|rows| 2.1 * (rows as f64 / 1e6).powf(0.27)),
    ];
    for (name, law) in laws {
        for n in [20, 30, 60, 120, 300] {
            let (mut said, mut missed) = (0, 0);
            for run in 0..runs {
                let (pairs, rows) = Source::new(run).growing((1_000_000, 6_000_000), law, n);
                let found = ratio_by_rows(&pairs, &rows, 1, &Settings::default());
                for at in found.iter().flat_map(|found| [found.first, found.last]) {
                    let truth = law(at.rows);
                    said += 1;
                    missed += usize::from(at.estimate.low > truth || at.estimate.high < truth);
                }
            }
            row(
                &format!("{name}, {n}"),
                &[share(said / 2, runs as usize), share(missed, said.max(1))],
            );
        }
    }
}

fn slopes(runs: u64) {
    println!(
        "\nCoverage of the 95 % interval of a slope, %, by points (in brackets: no interval):\n"
    );
    header("noise", [20, 60, 200].iter().map(ToString::to_string));
    for (name, phi) in [("independent", 0.0), ("AR(1) 0.5", 0.5), ("AR(1) 0.8", 0.8)] {
        let cells = [20, 60, 200].map(|n| {
            let outcomes: Vec<bool> = (0..runs)
                .filter_map(|run| {
                    let points = Source::new(run).line(0.3, phi, n);
                    let found = theil_sen(&points, 0.95)?;
                    Some(found.low? <= 0.3 && 0.3 <= found.high?)
                })
                .collect();
            let covered = outcomes.iter().filter(|covered| **covered).count();
            let silent = 100.0 * (1.0 - outcomes.len() as f64 / runs as f64);
            format!("{} ({silent:.0})", share(covered, outcomes.len()))
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

fn cost(_: u64) {
    println!("\nCost:\n");
    header("pairs", ["time".to_owned()].into_iter());
    for n in [30, 1_000, 10_000, 65_536] {
        let pairs = Source::new(1).pairs(Noise::Lognormal, 1.2, n);
        let time = timed(|| {
            black_box(paired_ratio(black_box(&pairs), &Settings::default()));
        });
        row(&n.to_string(), &[format!("{:.2} ms", time.as_secs_f64() * 1e3)]);
    }
}
