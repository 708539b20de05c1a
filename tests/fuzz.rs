//! Damaged input of every kind that comes from outside: profiles, saved results, addresses. Nothing of it may
//! panic, or take long. Plans of a server are damaged where they are read, in `strom::evidence`.
//!
//! Each input is a seed, and is made from the files of the corpus, so that one that fails can be made again.
//! A million of each, in some minutes:
//! `STROM_LOAD_FUZZ_INPUTS=1000000 cargo test --release --test main fuzz:: -- --nocapture`;
//! `STROM_LOAD_FUZZ_SEED` is the first one.

#![expect(clippy::print_stdout, reason = "a job of its own says how many inputs it has read")]

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use strom_load::pg::Address;
use strom_load::plan::{Overrides, Plan, ProfileSource};
use strom_load::report;
use strom_load::result::JobResult;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// No input takes longer, on a machine that does nothing else; tests allow for ten times that.
const LONGEST: Duration = Duration::from_secs(1);
/// What finds more than random bytes do.
const WORDS: &[&str] = &[
    "",
    "\0",
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "[[",
    "=",
    ":",
    ",",
    "%",
    "\n",
    "\r\n",
    "\u{feff}",
    "ü",
    "\u{10ffff}",
    "\u{202e}",
    "-",
    "0",
    "-1",
    "1e309",
    "-0.0",
    "nan",
    "inf",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "''",
    "--",
    "/*",
    "$$",
    "{table}",
    "{",
    "1k",
    "1h",
    "forever",
    "max",
    "host=",
    "postgres://",
    "@",
    "?",
    "&",
    "%00",
    "%zz",
    "::1",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// A damaged copy of one of these.
fn damaged(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut below = |bound: usize| random.random_range(0..bound.max(1));
    let mut text = corpus[below(corpus.len())].clone();
    for _ in 0..=below(4) {
        let at = below(text.len() + 1);
        let to = (at + below(40)).min(text.len());
        match below(9) {
            0 if at < text.len() => text[at] ^= 1 << below(8),
            1 => drop(text.drain(at..to)),
            2 => {
                let word = WORDS[below(WORDS.len())].as_bytes();
                text.splice(at..at, word.iter().copied());
            }
            3 => {
                let word = WORDS[below(WORDS.len())].as_bytes();
                text.splice(at..to, word.iter().copied());
            }
            4 => {
                let part = text[at..to].to_vec();
                let times = 1 + below(50);
                text.splice(at..at, part.repeat(times));
            }
            5 => text.truncate(at),
            6 => {
                let other = &corpus[below(corpus.len())];
                let from = below(other.len() + 1);
                text.truncate(at);
                text.extend_from_slice(&other[from..]);
            }
            7 => {
                // A number becomes another one.
                let digits = |byte: &u8| byte.is_ascii_digit();
                if let Some(first) = text[at..].iter().position(digits) {
                    let first = at + first;
                    let length = text[first..].iter().take_while(|byte| digits(byte)).count();
                    let word = WORDS[below(WORDS.len())].as_bytes();
                    text.splice(first..first + length, word.iter().copied());
                }
            }
            _ => {
                let word = WORDS[below(WORDS.len())].as_bytes();
                // Most of them short: what is long takes long, and says little more.
                let shift = if below(50) == 0 { 17 } else { 6 };
                let times = 1 << below(shift);
                text.splice(at..at, word.repeat(times));
                text.truncate(200_000);
            }
        }
    }
    text
}

/// Has each input read; the longest time that one took.
fn fuzz(target: &str, corpus: &[Vec<u8>], read: impl Fn(&str)) {
    assert!(!corpus.is_empty());
    for text in corpus {
        read(&String::from_utf8_lossy(text));
    }
    let (inputs, first) =
        (number("STROM_LOAD_FUZZ_INPUTS", 2_000), number("STROM_LOAD_FUZZ_SEED", 1));
    let (began, mut longest) = (Instant::now(), (Duration::ZERO, 0));
    for seed in first..first + inputs {
        let text = damaged(corpus, seed);
        let text = String::from_utf8_lossy(&text);
        let at = Instant::now();
        if panic::catch_unwind(AssertUnwindSafe(|| read(&text))).is_err() {
            let shown: String = text.chars().take(2_000).collect();
            panic!("{target}: seed {seed} panics: {shown}");
        }
        longest = longest.max((at.elapsed(), seed));
    }
    let took = began.elapsed();
    println!(
        "{target}: {inputs} inputs in {took:.1?}, the longest {:.1?} (seed {})",
        longest.0, longest.1
    );
    assert!(longest.0 < 10 * LONGEST, "{target}: seed {} takes {:?}", longest.1, longest.0);
}

/// The files in a folder, and in the folders in it, whose name ends so.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    // The order in which a folder lists them is nobody's promise.
    found.sort();
    found.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn profiles() {
    fuzz("profiles", &files("profiles", ".toml"), |text| {
        let source = ProfileSource::new("damaged.toml", text);
        let overrides = Overrides::default();
        match Plan::resolve(&source, &overrides) {
            Ok(plan) => assert!(!format!("{plan:?}").is_empty()),
            Err(faults) => {
                let said = faults.to_string().len();
                assert!(said < 1 << 20, "{said} bytes of faults");
            }
        }
    });
}

#[test]
fn saved_results() {
    fuzz("results", &files("tests/fixtures/results", "result.json"), |text| {
        let result = serde_json::from_str::<JobResult>(text).ok();
        if let Some(result) = result.filter(|result| result.contradiction().is_none()) {
            let shown = [report::summary(&result), report::markdown(&result)];
            assert!(shown.iter().all(|text| !text.is_empty()));
        }
    });
}

#[test]
fn addresses() {
    let corpus = [
        "postgres://user:secret@localhost:5432/db?sslmode=require&application_name=x",
        "postgresql://[::1]:5433,other:5434/?target_session_attrs=read-write",
        "host=/tmp port=5432 user=me password='it\\'s' dbname=db options='-c a=b'",
        "postgres://%2Ftmp/db?connect_timeout=10",
    ];
    let corpus = corpus.map(|text| text.as_bytes().to_vec());
    fuzz("addresses", &corpus, |text| {
        let none = |_: &str| None;
        if let Err(error) = Address::parse(text, "--database-url", &none) {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    });
}
