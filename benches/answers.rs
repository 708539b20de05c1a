//! What comparing two answers of a million rows takes: time, and the memory of the whole process.
//!
//! `cargo bench --bench answers` prints the table of docs/performance.md, as Markdown. `-- --rows N` changes
//! the number of rows. The time has the making of the rows' text in it, which is shown beside it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::env;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use strom_load::answer::{Column, Comparer, Kind, Limits, Number, Question, Side};
use strom_load::plan::AnswerRule;

const FLOAT8: Kind = Kind::Number(Number::Float8);
const SIDES: [Side; 2] = [Side::First, Side::Second];

/// Two answers to a query.
struct Case {
    name: &'static str,
    sql: &'static str,
    columns: &'static [(&'static str, Kind)],
    /// A row's values, by its number and the answer that it is of.
    row: fn(u32, Side) -> Vec<String>,
}

const CASES: [Case; 5] = [
    Case {
        name: "a key, text, a decimal and a float with noise",
        sql: "SELECT id, category, amount, x FROM t",
        columns: MIXED,
        row: mixed,
    },
    Case {
        name: "the same, ordered",
        sql: "SELECT id, category, amount, x FROM t ORDER BY id",
        columns: MIXED,
        row: mixed,
    },
    Case {
        name: "two floats with noise",
        sql: "SELECT x, y FROM t",
        columns: FLOATS,
        row: |row, side| vec![noisy(value(row), row, side), noisy(value(row) * 1.7, row, side)],
    },
    Case {
        name: "two floats with noise, all rows nearly the same",
        sql: "SELECT x, y FROM t",
        columns: FLOATS,
        row: |row, side| vec![noisy(1.0, row, side), noisy(2.0, row, side)],
    },
    Case {
        name: "two floats, equal",
        sql: "SELECT x, y FROM t",
        columns: FLOATS,
        row: |row, _| vec![value(row).to_string(), (value(row) * 1.7).to_string()],
    },
];

const MIXED: &[(&str, Kind)] = &[
    ("id", Kind::Plain),
    ("category", Kind::Plain),
    ("amount", Kind::Number(Number::Numeric)),
    ("x", FLOAT8),
];
const FLOATS: &[(&str, Kind)] = &[("x", FLOAT8), ("y", FLOAT8)];

fn mixed(row: u32, side: Side) -> Vec<String> {
    let amount = format!("{}.50", row % 10_000);
    vec![row.to_string(), format!("category_{}", row % 100), amount, noisy(value(row), row, side)]
}

/// As good as another for each row.
fn value(row: u32) -> f64 {
    f64::from(row.wrapping_mul(2_654_435_761)) / 7.0
}

/// Off by up to 1e-13 of itself, otherwise on each side.
fn noisy(value: f64, row: u32, side: Side) -> String {
    let seed = row.wrapping_mul(7919).wrapping_add(side as u32 * 104_729);
    (value * f64::from(seed % 999_983).mul_add(1e-19, 1.0)).to_string()
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().collect();
    let rows = args.iter().position(|arg| arg == "--rows").and_then(|at| args.get(at + 1));
    let rows: u32 = rows.map_or(Ok(1_000_000), |rows| rows.parse())?;
    println!("{rows} rows in each answer\n");
    println!("| answers | making the text | making and comparing | peak memory (VmHWM) |");
    println!("|---|---|---|---|");
    for case in CASES {
        let made = Instant::now();
        SIDES.iter().for_each(|side| {
            (0..rows).for_each(|row| drop(black_box((case.row)(row, *side))));
        });
        let made = made.elapsed();
        let took = compare(&case, rows)?;
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let (made, took, peak) = (seconds(made), seconds(took), peak_mib()?);
        println!("| {} | {made} | {took} | {peak} MiB |", case.name);
    }
    Ok(())
}

fn compare(case: &Case, rows: u32) -> Result<Duration, Box<dyn Error>> {
    let columns = case.columns.iter();
    let columns = columns.map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind });
    let rule = AnswerRule::default();
    let question = Question { sql: case.sql, rule: &rule, on_gpu: true };
    let began = Instant::now();
    let mut comparer = Comparer::new(columns.collect(), question, Limits::default())?;
    for side in SIDES {
        for row in 0..rows {
            let values = (case.row)(row, side);
            let values: Vec<Option<&str>> = values.iter().map(|text| Some(text.as_str())).collect();
            comparer.row(side, &values)?;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let found = runtime.block_on(comparer.finish())?;
    assert!(found.same, "{found:?}");
    Ok(began.elapsed())
}

/// The most memory that this process has had so far.
fn peak_mib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?.parse()?;
    Ok(kib >> 10)
}
