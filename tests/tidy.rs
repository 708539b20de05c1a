//! The house rules of ARCHITECTURE.md, enforced on the sources. Each rule is a function from
//! sources to findings, and is shown to find something in a bad sample.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not test functions, which clippy exempts"
)]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/map.rs"]
mod map;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use strom_load::plan::{BUILTINS, Overrides, Plan, ProfileSource};

/// The rooms from the ground up, and the rooms that each one uses. A room may only use rooms
/// above it in this list; an edge that is not here has to be thought about first.
const ROOMS: &[(&str, &[&str])] = &[
    ("exit", &[]),
    ("quantity", &[]),
    ("stats", &["quantity"]),
    ("metric", &[]),
    ("random", &[]),
    ("pace", &["random"]),
    ("freshness", &[]),
    ("record", &["quantity", "stats"]),
    ("profile", &[]),
    ("result", &["exit", "profile", "quantity", "record", "stats"]),
    ("plot", &[]),
    ("series", &["record"]),
    ("watch", &["record", "result"]),
    ("row", &["pace", "random"]),
    ("plan", &["pace", "profile", "quantity", "result", "row", "stats"]),
    ("compare", &["exit", "plan", "quantity", "result", "stats"]),
    ("report", &["compare", "exit", "plot", "quantity", "record", "result", "series", "stats"]),
    ("pgbench", &["plan"]),
    ("answer", &["plan", "random", "result"]),
    ("draft", &["plan", "profile", "quantity", "row"]),
    ("pg", &["answer", "draft", "freshness", "pace", "plan", "quantity", "result", "row"]),
    ("strom", &["pg", "plan", "result", "watch"]),
    ("arrow", &["pg", "plan", "result", "row"]),
    ("ingest", &["freshness", "pace", "pg", "plan", "record", "result", "row"]),
    (
        "query",
        &["answer", "freshness", "pace", "pg", "plan", "record", "result", "row", "stats", "strom"],
    ),
    ("dataset", &["pace", "pg", "plan", "quantity", "result", "row"]),
    ("bench", &["answer", "pg", "plan", "query", "record", "result", "stats", "strom"]),
    ("sweep", &["pg", "plan", "result", "strom"]),
    (
        "sink",
        &[
            "dataset", "metric", "quantity", "record", "report", "result", "row", "series",
            "strom", "watch",
        ],
    ),
    ("inject", &["pg", "plan", "record", "result", "row", "sink", "watch"]),
    (
        "engine",
        &[
            "answer",
            "arrow",
            "bench",
            "dataset",
            "freshness",
            "ingest",
            "pace",
            "pg",
            "plan",
            "profile",
            "quantity",
            "query",
            "record",
            "report",
            "result",
            "row",
            "sink",
            "stats",
            "strom",
            "sweep",
            "watch",
        ],
    ),
    (
        "verify",
        &[
            "ingest", "pace", "pg", "plan", "profile", "quantity", "record", "report", "result",
            "row",
        ],
    ),
    ("doctor", &["pg", "plan", "quantity", "result", "stats", "strom", "watch"]),
    ("cli", &["exit", "inject", "plan", "quantity"]),
    (
        "command",
        &[
            "arrow", "cli", "compare", "dataset", "doctor", "draft", "engine", "exit", "inject",
            "pg", "pgbench", "plan", "quantity", "report", "result", "row", "series", "sink",
            "verify", "watch",
        ],
    ),
    ("main", &["cli", "command", "exit"]),
];

const LINES_MAX: usize = 600;

/// A source file: its path from the root of the repository, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// `pg` for `src/pg.rs` and everything in `src/pg/`; `None` outside of src/ and for the root.
    fn room(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(first.trim_end_matches(".rs")).filter(|room| *room != "lib")
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(&format!("{folder}/")) || self.path == format!("{folder}.rs")
    }

    /// Lines of code with their numbers: no comments, and no tests at the end of the file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines
            .windows(2)
            .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with("mod tests {"));
        let end = tests.unwrap_or(lines.len());
        let lines = (1..).zip(lines).take(end);
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// One finding for each line of code that `is_bad`.
    fn lines_that(&self, rule: &str, is_bad: impl Fn(&str) -> bool) -> Vec<String> {
        let bad = self.code().filter(|(_, line)| is_bad(line));
        bad.map(|(number, line)| format!("{}:{number}: {rule}: {}", self.path, line.trim()))
            .collect()
    }
}

/// Every Rust file of these folders.
fn sources(folders: &[&str]) -> Vec<Source> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                found.push(Source::new(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    folders.iter().for_each(|folder| walk(root, &root.join(folder), &mut found));
    assert!(!found.is_empty());
    found
}

/// Runs a rule over files. The result is compared with nothing, so that all findings show.
fn findings(sources: &[Source], rule: fn(&Source) -> Vec<String>) -> Vec<String> {
    sources.iter().flat_map(rule).collect()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

/// The rooms that a source names by `crate::`, or `strom_load::` in the binary.
fn rooms_used(source: &Source) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first_name =
        |path: &str| -> String { path.trim().chars().take_while(|c| is_name(*c)).collect() };
    let comment = |line: &&str| !line.trim_start().starts_with("//");
    let text = source.text.lines().filter(comment).collect::<Vec<_>>().join("\n");
    let mut used = BTreeSet::new();
    for prefix in ["crate::", "strom_load::"] {
        for (at, _) in text.match_indices(prefix) {
            let rest = &text[at + prefix.len()..];
            if text[..at].ends_with(is_name) {
                continue;
            }
            let Some(list) = rest.strip_prefix('{') else {
                used.insert(first_name(rest));
                continue;
            };
            // `{a, b::{c, d}}`: names that follow the outer brace or a comma of its own.
            let (mut depth, mut start) = (0, 0);
            for (index, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    ',' | '}' if depth == 0 => {
                        used.insert(first_name(&list[start..index]));
                        start = index + 1;
                        if c == '}' {
                            break;
                        }
                    }
                    '}' => depth -= 1,
                    _ => {}
                }
            }
        }
    }
    used.retain(|room| !room.is_empty() && Some(room.as_str()) != source.room());
    used
}

fn edges_outside_the_table(source: &Source) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: room `{room}` is not in the table", source.path)];
    };
    let used = rooms_used(source).into_iter().filter(|used| !allowed.contains(&used.as_str()));
    used.map(|used| format!("{}: `{room}` must not use `{used}`", source.path)).collect()
}

fn client_library_outside_pg(source: &Source) -> Vec<String> {
    if source.is_in("src/pg") {
        return Vec::new();
    }
    source.lines_that("the client library and TLS belong to src/pg", |line| {
        ["tokio_postgres", "rustls", "x509_cert"].iter().any(|name| line.contains(name))
    })
}

fn nvml_outside_watch(source: &Source) -> Vec<String> {
    if source.is_in("src/watch") {
        return Vec::new();
    }
    source.lines_that("NVML belongs to src/watch", |line| line.contains("nvml"))
}

/// Tasks and threads are started by the engine alone. `.spawn()` without an argument starts a
/// process, which only the embedded server does.
fn spawn_outside_the_engine(source: &Source) -> Vec<String> {
    if source.is_in("src/engine") {
        return Vec::new();
    }
    let processes = source.is_in("src/pg/embedded");
    source.lines_that("only the engine spawns", |line| {
        let mut calls = line.match_indices("spawn");
        calls.any(|(at, _)| {
            let call = &line[at..];
            let starts = ["spawn(", "spawn_blocking(", "spawn_local(", "spawn_scoped("];
            starts.iter().any(|start| call.starts_with(start))
                && !(processes && call.starts_with("spawn()"))
        })
    })
}

/// Files that ask the server as others would see it: queries in an arm, and looks at settings.
const AS_CONFIGURED: [&str; 5] = [
    "src/pg/",
    "src/strom/service.rs",
    "src/query/armed.rs",
    "src/doctor.rs",
    "src/engine/sweep.rs",
];

/// Everything else that strom-load asks goes through `Session::own`, with PG-Strom off.
fn session_that_is_not_our_own(source: &Source) -> Vec<String> {
    if AS_CONFIGURED.iter().any(|allowed| source.path.starts_with(allowed)) {
        return Vec::new();
    }
    source.lines_that("sessions are our own", |line| line.contains("as_configured"))
}

fn no_opening_line(source: &Source) -> Vec<String> {
    let opens = source.text.lines().next().is_some_and(|line| line.starts_with("//! "));
    if opens { Vec::new() } else { vec![format!("{}: opens without `//!`", source.path)] }
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let found = format!("{}: {lines} lines, more than {LINES_MAX}", source.path);
    if lines > LINES_MAX { vec![found] } else { Vec::new() }
}

fn left_undone(source: &Source) -> Vec<String> {
    // In two parts, so that this file does not find itself.
    let macros = [concat!("to", "do!("), concat!("unimplemen", "ted!(")];
    source.lines_that("left undone", |line| macros.iter().any(|call| line.contains(call)))
}

/// Output goes through sinks, logs and `command`; `main` prints the one error.
fn prints(source: &Source) -> Vec<String> {
    let allowed: &[&str] = if source.path == "src/main.rs" { &["eprintln!("] } else { &[] };
    source.lines_that("prints past the outputs", |line| {
        let calls = ["println!(", "print!(", "eprintln!(", "eprint!(", "dbg!("];
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        calls
            .iter()
            .filter(|call| !allowed.contains(call))
            .any(|call| line.match_indices(call).any(|(at, _)| !line[..at].ends_with(name)))
    })
}

/// What is wrong with a profile; empty if it resolves.
fn unresolved(name: &str, text: &str) -> Vec<String> {
    let source = ProfileSource::new(name, text);
    Plan::resolve(&source, &Overrides::default()).err().iter().map(ToString::to_string).collect()
}

#[test]
fn rooms_use_only_rooms_below_them() {
    assert_eq!(findings(&sources(&["src"]), edges_outside_the_table), nothing());
}

#[test]
fn the_table_of_rooms_goes_down_and_says_what_the_code_does() {
    for (rank, (room, uses)) in ROOMS.iter().enumerate() {
        for used in *uses {
            let is_below = ROOMS[..rank].iter().any(|(below, _)| below == used);
            assert!(is_below, "`{room}` may not use `{used}`: it is not below");
        }
        let files = sources(&["src"]);
        let files = files.iter().filter(|source| source.room() == Some(room));
        let used: BTreeSet<_> = files.flat_map(rooms_used).collect();
        let unused: Vec<_> = uses.iter().filter(|room| !used.contains(**room)).collect();
        assert!(unused.is_empty(), "`{room}` does not use {unused:?}: shorten the table");
    }
}

#[test]
fn an_upward_or_unknown_edge_is_found() {
    let found = |path: &str, text: &str| edges_outside_the_table(&Source::new(path, text));
    assert_eq!(found("src/pace.rs", "use crate::pace::Slot;\n// crate::pg\n"), nothing());
    assert_eq!(
        found("src/ingest/ledger.rs", "use crate::{record::{A, pg}, sink::Sink, row};"),
        ["src/ingest/ledger.rs: `ingest` must not use `sink`"]
    );
    assert_eq!(
        found("src/row.rs", "fn f() -> crate::pg::Error {}"),
        ["src/row.rs: `row` must not use `pg`"]
    );
    assert_eq!(found("src/main.rs", "use strom_load::pg;").len(), 1);
    assert_eq!(found("src/utils.rs", ""), ["src/utils.rs: room `utils` is not in the table"]);
}

#[test]
fn only_pg_knows_the_client_library() {
    assert_eq!(findings(&sources(&["src"]), client_library_outside_pg), nothing());
    let sample = "use tokio_postgres::Client;\n";
    assert_eq!(client_library_outside_pg(&Source::new("src/query.rs", sample)).len(), 1);
    let tls = "use rustls::ClientConfig;\n";
    assert_eq!(client_library_outside_pg(&Source::new("src/engine.rs", tls)).len(), 1);
    assert_eq!(client_library_outside_pg(&Source::new("src/pg/copy.rs", sample)), nothing());
}

#[test]
fn only_watch_knows_nvml() {
    assert_eq!(findings(&sources(&["src"]), nvml_outside_watch), nothing());
    let sample = "use nvml_wrapper::Nvml;\n";
    assert_eq!(nvml_outside_watch(&Source::new("src/engine.rs", sample)).len(), 1);
    assert_eq!(nvml_outside_watch(&Source::new("src/watch/gpu.rs", sample)), nothing());
}

#[test]
fn only_the_engine_spawns() {
    assert_eq!(findings(&sources(&["src"]), spawn_outside_the_engine), nothing());
    let found = |path, text| spawn_outside_the_engine(&Source::new(path, text)).len();
    assert_eq!(found("src/query.rs", "tokio::spawn(async {});"), 1);
    assert_eq!(found("src/query.rs", "tokio::task::spawn_blocking(|| ());"), 1);
    assert_eq!(found("src/query.rs", "let child = command.spawn()?;"), 1);
    assert_eq!(found("src/pg/embedded/guard.rs", "let child = shell.spawn()?;"), 0);
    assert_eq!(found("src/pg/embedded/guard.rs", "tokio::spawn(connection);"), 1);
    assert_eq!(found("src/engine/measure.rs", "tasks.spawn(async {});"), 0);
}

#[test]
fn only_arms_and_looks_at_settings_are_as_the_server_has_them() {
    assert_eq!(findings(&sources(&["src"]), session_that_is_not_our_own), nothing());
    let sample = "let session = pg::Session::as_configured(&address, name).await?;";
    assert_eq!(session_that_is_not_our_own(&Source::new("src/ingest/audit.rs", sample)).len(), 1);
    assert_eq!(session_that_is_not_our_own(&Source::new("src/query/armed.rs", sample)), nothing());
}

#[test]
fn every_file_opens_with_its_job() {
    assert_eq!(findings(&sources(&["src", "tests", "benches"]), no_opening_line), nothing());
    assert_eq!(no_opening_line(&Source::new("src/a.rs", "use std::fs;\n")).len(), 1);
    assert_eq!(no_opening_line(&Source::new("src/a.rs", "")).len(), 1);
}

#[test]
fn no_file_is_too_long() {
    assert_eq!(findings(&sources(&["src", "tests", "benches"]), too_long), nothing());
    assert_eq!(too_long(&Source::new("src/a.rs", &"\n".repeat(LINES_MAX))), nothing());
    assert_eq!(too_long(&Source::new("src/a.rs", &"\n".repeat(LINES_MAX + 1))).len(), 1);
}

#[test]
fn nothing_is_left_undone() {
    assert_eq!(findings(&sources(&["src", "tests", "benches"]), left_undone), nothing());
    let sample = concat!("    to", "do!(\"later\")");
    assert_eq!(left_undone(&Source::new("src/a.rs", sample)).len(), 1);
}

#[test]
fn nothing_prints_past_the_outputs() {
    assert_eq!(findings(&sources(&["src"]), prints), nothing());
    let found = |path, text| prints(&Source::new(path, text)).len();
    assert_eq!(found("src/engine.rs", "println!(\"{rows}\");"), 1);
    assert_eq!(found("src/engine.rs", "eprint!(\".\"); dbg!(1);"), 1);
    assert_eq!(found("src/engine.rs", "// println!(\"{rows}\");"), 0);
    assert_eq!(found("src/main.rs", "eprintln!(\"error\");"), 0);
    assert_eq!(found("src/main.rs", "println!(\"done\");"), 1);
    let in_tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    println!();\n}\n";
    assert_eq!(found("src/engine.rs", in_tests), 0);
}

#[test]
fn every_profile_resolves_and_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(unresolved(path.to_str().unwrap(), &text), nothing());
            names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    names.sort();
    let mut builtins: Vec<_> = BUILTINS.iter().map(|(name, _)| (*name).to_owned()).collect();
    builtins.sort();
    assert_eq!(names, builtins);
    assert_eq!(unresolved("bad.toml", "stream.partitions = 0\n").len(), 1);
}
