//! `strom-load compare`: runs laid beside each other.

mod made;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::{CompareArgs, CompareFormat, Parsed};
use crate::compare::{Options, Refused, Run, RunsCompared, compare as of_runs};
use crate::exit;
use crate::plan::{Gate, SETTINGS, Setting, nearest};
use crate::quantity::format_count;
use crate::report::{compare_markdown, compare_page, compare_text, unlike_values};
use crate::result::figure::Names;
use crate::result::{self, Saved, Status, is_within, plan_keys};
use crate::sink::folder::write_page;

use super::unused::{self, Optional};
use super::{Failure, print};

/// Allows tables of unlike sizes.
const ROWS: &str = "rows";
/// Keys whose default follows from another one's value: who allows that, allows these.
const FOLLOWING: [(&str, &[&str]); 2] = [
    ("stream.rows_per_s", &["stream.batch_rows", "stream.shape", "recovery.backlog_rows"]),
    ("readers.count", &["readers.repeats"]),
];
/// Options that only `--run` has a use for.
const OF_RUN: [Optional; 11] = [
    Optional::new("duration", "--duration", Some("STROM_LOAD_DURATION")),
    Optional::new("warmup", "--warmup", Some("STROM_LOAD_WARMUP")),
    Optional::new("rate", "--rate", Some("STROM_LOAD_RATE")),
    Optional::new("readers", "--readers", Some("STROM_LOAD_READERS")),
    Optional::new("query-time", "--query-time", None),
    Optional::new("recreate", "--recreate", None),
    Optional::new("database_url", "--database-url", Some("DATABASE_URL")),
    Optional::new("password_file", "--password-file", Some("STROM_LOAD_PASSWORD_FILE")),
    Optional::new("data_dir", "--data-dir", Some("STROM_LOAD_DATA_DIR")),
    Optional::new("pg_set", "--pg-set", None),
    Optional::new("pg_bindir", "--pg-bindir", Some("STROM_LOAD_PG_BINDIR")),
];

pub(super) async fn compare(parsed: &Parsed, args: &CompareArgs) -> Result<u8, Failure> {
    if let Some(file) = &args.output {
        super::report::check_page_name(file)?;
    }
    if !args.run.is_empty() {
        return made::compare(parsed, args).await;
    }
    let fix = "leave it out, or make the runs with --run A.toml B.toml";
    unused::refuse(parsed, &OF_RUN, "for runs that are saved", fix)?;
    let sides = [read(&args.a)?, read(&args.b)?];
    once(&sides)?;
    let runs = sides.iter().flatten();
    let allowed = allowed(
        &args.allow,
        &runs.flat_map(|run| plan_keys(&run.result.plan).into_keys()).collect(),
    )?;
    let compared = of_sides(&sides, args, allowed, None)?;
    show(&compared, &sides, args)?;
    Ok(compared.exit_code)
}

/// Compares two sides as the options say.
fn of_sides(
    sides: &[Vec<Run>; 2],
    args: &CompareArgs,
    allowed: Vec<String>,
    order: Option<String>,
) -> Result<RunsCompared, Failure> {
    let options = Options {
        gates: gates(&args.gates, sides)?,
        allow_rows: allowed.iter().any(|own| own == ROWS),
        allowed,
        strict: args.strict,
        all: args.all,
        order,
    };
    of_runs(sides, &options).map_err(|refused| Failure::new(exit::USAGE, told(&refused)))
}

/// The gates, on what the first run has. All faults at once.
fn gates(texts: &[String], sides: &[Vec<Run>; 2]) -> Result<Vec<Gate>, Failure> {
    // One that did not come to its end may lack queries.
    let all = || sides.iter().flatten();
    let whole = all().find(|run| run.result.status == Status::Done);
    let Some(first) = whole.or(all().next()) else { return Ok(Vec::new()) };
    let names = Names::of(&first.result);
    let read = texts.iter().map(|text| Gate::parse(text, &names.subjects()));
    let (gates, faults): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
    let faults: Vec<String> = faults.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() {
        return Ok(gates.into_iter().flatten().collect());
    }
    Err(Failure::new(exit::USAGE, faults.join("\nerror: ")))
}

/// Writes the page, if one is wanted, and prints.
fn show(compared: &RunsCompared, sides: &[Vec<Run>; 2], args: &CompareArgs) -> Result<(), Failure> {
    if let Some(file) = &args.output {
        let written = write_page(file, &compare_page(compared, sides));
        written.map_err(|error| Failure::new(exit::SHORTFALL, error))?;
    }
    match args.format {
        CompareFormat::Text => print(&compare_text(compared)),
        CompareFormat::Markdown => print(&compare_markdown(compared)),
        CompareFormat::Json => {
            let json = serde_json::to_string_pretty(compared);
            let json = json.map_err(|error| Failure::new(exit::UNEXPECTED, error))?;
            print(&format!("{json}\n"))
        }
    }
}

/// The runs of some folders, in their order.
fn read(folders: &[PathBuf]) -> Result<Vec<Run>, Failure> {
    let mut runs = Vec::new();
    for folder in folders {
        if folder.to_string_lossy().starts_with("--") && !folder.exists() {
            let what =
                format!("`{}` stands behind `--`, where folders are named", folder.display());
            let fix = "write options first: compare --gate 'FIGURE <= 1.10x' A… -- B…";
            return Err(Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}")));
        }
        let saved = result::read(folder).map_err(|error| Failure::new(exit::USAGE, error))?;
        match saved {
            Saved::Job(result) => {
                runs.push(Run { folder: folder.display().to_string(), result: *result });
            }
            Saved::Index(index, jobs) => runs.extend(jobs.into_iter().map(|(place, result)| {
                let own = index.runs.get(place).and_then(|run| run.folder.as_deref());
                let folder = folder.join(own.unwrap_or_default());
                Run { folder: folder.display().to_string(), result }
            })),
        }
    }
    Ok(runs)
}

/// Refuses a run that is there twice: it would pass for two.
fn once(sides: &[Vec<Run>; 2]) -> Result<(), Failure> {
    let mut seen: Vec<PathBuf> = Vec::new();
    for run in sides.iter().flatten() {
        let path = Path::new(&run.folder);
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if seen.contains(&path) {
            let what = format!("`{}` is named twice, and would count as two runs", run.folder);
            return Err(Failure::new(exit::USAGE, format!("{what}\n  fix: name each run once")));
        }
        seen.push(path);
    }
    Ok(())
}

/// The keys that may differ: of a flag's name, those that the flag gives.
fn allowed(words: &[String], known: &BTreeSet<String>) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for word in words.iter().map(|word| word.trim()) {
        let flag = format!("--{}", word.trim_start_matches("--"));
        let own: Vec<&str> = match Setting::of_flag(&flag) {
            _ if word == ROWS => vec![ROWS],
            Some(setting) => setting.keys.to_vec(),
            None if known.iter().any(|key| is_within(key, word)) => vec![word],
            None => {
                let flags = SETTINGS.iter().filter(|setting| !setting.keys.is_empty());
                let flags = flags.map(|setting| setting.flag.trim_start_matches("--"));
                let fix = match nearest(word, flags) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name a flag such as rate or readers, a key such as \
                             stream.columns, or rows"
                        .to_owned(),
                };
                let what = format!("`--allow {word}` names nothing that plans have");
                return Err(Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}")));
            }
        };
        for key in own {
            let following = FOLLOWING.iter().filter(|(of, _)| *of == key);
            keys.extend(following.flat_map(|(_, keys)| *keys).map(|key| (*key).to_owned()));
            keys.push(key.to_owned());
        }
    }
    Ok(keys)
}

/// The word that allows a key.
fn word_for(key: &str) -> String {
    let own = SETTINGS.iter().find(|setting| {
        setting.keys.iter().any(|own| is_within(key, own))
            || FOLLOWING.iter().any(|(of, keys)| {
                setting.keys.contains(of) && keys.iter().any(|own| is_within(key, own))
            })
    });
    match own {
        Some(setting) => setting.flag.trim_start_matches("--").to_owned(),
        // A whole list or part is allowed at once.
        None => key.split('.').take(2).collect::<Vec<_>>().join("."),
    }
}

/// Why runs are not compared: place, fact, fix.
fn told(refused: &Refused) -> String {
    match refused {
        Refused::NoRun { side, left_out } => {
            let ended: Vec<String> =
                left_out.iter().map(|run| format!("\n  {}: {}", run.folder, run.why)).collect();
            format!(
                "no run of side {side} came to its end{}\n  fix: name runs that did; others are left out",
                ended.concat()
            )
        }
        Refused::Kinds { first, other } => format!(
            "`{}` is a {} and `{}` a {}\n  fix: compare runs of one kind",
            first.0, first.1, other.0, other.1
        ),
        Refused::Plans { first, keys } => {
            let lines: Vec<String> = keys
                .iter()
                .map(|one| {
                    let [own, other] = unlike_values(one);
                    format!("\n  {}: {own} in {first}, {other} in {}", one.key, one.folder)
                })
                .collect();
            let mut words: Vec<String> = Vec::new();
            for word in keys.iter().map(|one| word_for(&one.key)) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
            format!(
                "the runs were not asked to do the same{}\n  fix: compare runs of one plan, or say what may \
                 differ: --allow {}",
                lines.concat(),
                words.join(",")
            )
        }
        Refused::Rows { table, fewest, most } => format!(
            "{table} had {} rows at the start of {} and {} at that of {}, more than 10 % apart\n  fix: begin each run with the same \
             table, such as by --recreate; or compare all the same: --allow rows",
            format_count(fewest.1),
            fewest.0,
            format_count(most.1),
            most.0
        ),
    }
}
