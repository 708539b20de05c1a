//! `strom-load compare`: runs laid beside each other.

mod made;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::{CompareArgs, CompareFormat, Parsed};
use crate::compare::{
    LeftOut, Options, Refused, Run, RunsCompared, UnlikeSizes, compare as of_runs,
};
use crate::exit;
use crate::plan::{Gate, SETTINGS, Setting, nearest};
use crate::report::{compare_markdown, compare_page, compare_text, unlike_values};
use crate::result::figure::Names;
use crate::result::index::Index;
use crate::result::{self, JobResult, Saved, is_aside, is_within, plan_keys};
use crate::sink::folder::{check_page, write_page};

use super::unused::{self, Optional};
use super::{Failure, print};

/// Allows tables of unlike sizes.
const ROWS: &str = "rows";
/// What to do about tables of unlike sizes.
const SAME_TABLE: &str = "fix: begin each run with the same table, such as by --recreate; or compare all the same: \
                          --allow rows";
/// Options that only `--run` has a use for.
const OF_RUN: [Optional; 12] = [
    Optional::new("repeats", "--repeats", None),
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
    if let Some(file) = &args.output {
        check_page(file).map_err(|error| Failure::new(exit::USAGE, error))?;
    }
    let fix = "leave it out, or make the runs with --run A.toml B.toml";
    unused::refuse(parsed, &OF_RUN, "for runs that are saved", fix)?;
    let sides = [read(&args.a)?, read(&args.b)?];
    let runs = sides.iter().flat_map(|side| &side.runs);
    let allowed = allowed(
        &args.allow,
        &runs.flat_map(|run| plan_keys(&run.result.plan).into_keys()).collect(),
    )?;
    let compared = of_sides(&sides, args, allowed, None)?;
    show(&compared, &sides.map(|side| side.runs), args)?;
    Ok(compared.exit_code)
}

/// The runs of a side, and those of an index that have no result.
#[derive(Debug, Default)]
struct Side {
    runs: Vec<Run>,
    missing: Vec<LeftOut>,
}

impl Side {
    fn add(&mut self, run: Result<Run, LeftOut>) {
        match run {
            Ok(run) => self.runs.push(run),
            Err(missing) => self.missing.push(missing),
        }
    }
}

/// The runs of an index, in their order, each with its place or why it is not there.
fn of_index(
    folder: &Path,
    index: &Index,
    jobs: Vec<(usize, JobResult)>,
) -> Vec<(usize, Result<Run, LeftOut>)> {
    let missing = index.missing(jobs.iter().map(|(place, _)| *place));
    let missing = missing.into_iter().map(|(place, name, why)| {
        let folder = folder.join(name).display().to_string();
        (place, Err(LeftOut { folder, why }))
    });
    let mut all: Vec<_> = missing.collect();
    all.extend(jobs.into_iter().map(|(place, result)| {
        let own = index.runs.get(place).and_then(|run| run.folder.as_deref());
        let folder = folder.join(own.unwrap_or_default()).display().to_string();
        (place, Ok(Run { folder, result }))
    }));
    all.sort_by_key(|(place, _)| *place);
    all
}

/// Compares two sides as the options say.
fn of_sides(
    sides: &[Side; 2],
    args: &CompareArgs,
    allowed: Vec<String>,
    order: Option<String>,
) -> Result<RunsCompared, Failure> {
    let runs = sides.each_ref().map(|side| side.runs.clone());
    let options = Options {
        gates: gates(&args.gates, &runs)?,
        missing: sides.each_ref().map(|side| side.missing.clone()),
        allow_rows: allowed.iter().any(|own| own == ROWS),
        allowed,
        strict: args.strict,
        all: args.all,
        order,
    };
    of_runs(&runs, &options).map_err(|refused| Failure::new(exit::USAGE, told(&refused)))
}

/// The gates, on what the first run has. All faults at once.
fn gates(texts: &[String], sides: &[Vec<Run>; 2]) -> Result<Vec<Gate>, Failure> {
    // One that did not come to its end may lack queries.
    let all = || sides.iter().flatten();
    let whole = all().find(|run| run.result.came_to_its_end());
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
fn read(folders: &[PathBuf]) -> Result<Side, Failure> {
    let mut side = Side::default();
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
                side.runs.push(Run { folder: folder.display().to_string(), result: *result });
            }
            Saved::Index(index, jobs) => {
                let runs = of_index(folder, &index, jobs);
                runs.into_iter().for_each(|(_, run)| side.add(run));
            }
        }
    }
    Ok(side)
}

/// The keys that may differ, with all below them: of a flag's name those that the flag gives, and a key or a
/// section of the plan by its own name.
fn allowed(words: &[String], known: &BTreeSet<String>) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for word in words.iter().map(|word| word.trim()) {
        let refused = |what: &str, fix: String| {
            let what = format!("`--allow {word}` {what}");
            Err(Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}")))
        };
        let flag = format!("--{}", word.trim_start_matches("--"));
        let setting = Setting::of_flag(&flag);
        let mut own: Vec<&str> = setting.map(|setting| setting.keys.to_vec()).unwrap_or_default();
        // Both flags give the rows of each table.
        if word == ROWS || matches!(flag.as_str(), "--rows" | "--scale") {
            own.push(ROWS);
            own.extend(known.iter().map(String::as_str).filter(|key| is_rows_of_table(key)));
        } else if known.iter().any(|key| is_within(key, word)) {
            own.push(word);
        }
        let matters = |key: &&str| !is_aside(key);
        match own.iter().find(|key| matters(key)) {
            Some(_) => keys.extend(own.into_iter().map(str::to_owned)),
            None if is_aside(word) || setting.is_some() => {
                return refused("allows what never matters", "leave it out".to_owned());
            }
            None => {
                let flags = SETTINGS.iter().filter(|setting| setting.keys.iter().any(matters));
                let flags = flags.map(|setting| setting.flag.trim_start_matches("--"));
                let fix = match nearest(word, flags) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "name a flag such as rate or readers, a key such as \
                             stream.columns, or rows"
                        .to_owned(),
                };
                return refused("names nothing that plans have", fix);
            }
        }
    }
    Ok(keys)
}

/// Whether a key says how many rows a table has.
fn is_rows_of_table(key: &str) -> bool {
    matches!(key.split('.').collect::<Vec<_>>()[..], ["tables", .., "rows"])
}

/// The word that allows a key.
fn word_for(key: &str) -> String {
    if is_rows_of_table(key) {
        return ROWS.to_owned();
    }
    let gives = |setting: &&Setting| setting.keys.iter().any(|own| is_within(key, own));
    match SETTINGS.iter().find(gives) {
        Some(setting) => setting.flag.trim_start_matches("--").to_owned(),
        // A whole list or part is allowed at once.
        None => key.split('.').take(2).collect::<Vec<_>>().join("."),
    }
}

/// The fewest words that allow some keys, each once.
fn words_for<'a>(keys: impl Iterator<Item = &'a str>) -> Vec<String> {
    let keys: Vec<(&str, String)> = keys.map(|key| (key, word_for(key))).collect();
    let mut words: Vec<String> = Vec::new();
    for (key, word) in &keys {
        // Another word may be a whole section.
        let mut others = keys.iter().map(|(_, other)| other).filter(|other| *other != word);
        if !words.contains(word) && !others.any(|other| is_within(key, other)) {
            words.push(word.clone());
        }
    }
    words
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
        Refused::Twice { first, again } if first == again => format!(
            "`{first}` is named twice, and would count as two runs\n  fix: name each run once"
        ),
        Refused::Twice { first, again } => format!(
            "`{again}` is the same run as `{first}`, and would count as another one\n  fix: name each run once, and \
             no copy of it"
        ),
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
            let words = words_for(keys.iter().map(|one| one.key.as_str()));
            format!(
                "the runs were not asked to do the same{}\n  fix: compare runs of one plan, or say what may \
                 differ: --allow {}",
                lines.concat(),
                words.join(",")
            )
        }
        Refused::Sizes(unlike) => unlike_sizes(unlike),
    }
}

fn unlike_sizes(unlike: &UnlikeSizes) -> String {
    match unlike {
        UnlikeSizes::Apart { table, when, least, most } => format!(
            "{table} had {} {when} of {} and {} at that of {}, more than 10 % apart\n  {SAME_TABLE}",
            least.1, least.0, most.1, most.0
        ),
        UnlikeSizes::NotKnown { table, folder } => format!(
            "how large {table} was at the start of {folder} is not known: its rows were not counted, and the server \
             did not tell its bytes\n  {SAME_TABLE}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use super::*;
    use crate::plan::{BUILTINS, Overrides, Plan, builtin};

    /// The keys of all built-in profiles, and one of a query that none of them has.
    static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let plans = BUILTINS.iter().filter_map(|(name, _)| {
            let plan = Plan::resolve(&builtin(name)?, &Overrides::default()).ok()?;
            Some(plan_keys(&plan.common.profile))
        });
        let more = ["readers.queries.more.sql".to_owned()];
        plans.flat_map(BTreeMap::into_keys).chain(more).collect()
    });

    fn allows(word: &str, key: &str) -> bool {
        let keys = allowed(&[word.to_owned()], &KNOWN).unwrap_or_default();
        keys.iter().any(|own| is_within(key, own))
    }

    #[test]
    fn a_word_covers_all_below_it() {
        assert!(allows("readers", "readers.queries.more.sql"));
        assert!(allows("readers", "readers.count"));
        assert!(allows("stream", "stream.columns.id.type"));
        assert!(allows("stream.columns", "stream.columns.id.type"));
        for word in ["rows", "scale", "--scale"] {
            let keys = allowed(&[word.to_owned()], &KNOWN).unwrap();
            assert!(keys.iter().any(|key| key == ROWS), "{word}");
            assert!(keys.iter().any(|key| is_rows_of_table(key)), "{word}: {keys:?}");
        }
        assert!(allows("rate", "stream.rows_per_s") && allows("--rate", "stream.rows_per_s"));
        assert!(!allows("rate", "recovery.backlog_rows"), "if it was given, it is one of its own");
        assert!(
            !allows("stream", "streams.x") && !allows("readers.que", "readers.queries.more.sql")
        );
    }

    #[test]
    fn the_word_that_is_named_for_a_key_covers_it() {
        assert!(KNOWN.len() > 100, "{:?}", *KNOWN);
        for key in &*KNOWN {
            assert!(allows(&word_for(key), key), "{key}: {}", word_for(key));
        }
        let words = words_for(KNOWN.iter().map(String::as_str));
        for key in &*KNOWN {
            assert!(words.iter().any(|word| allows(word, key)), "{key}: {words:?}");
        }
        let keys = ["readers.count", "readers.queries.sum.sql", "stream.rows_per_s"];
        assert_eq!(words_for(keys.into_iter()), ["readers", "rate"]);
    }

    #[test]
    fn what_never_matters_is_neither_taken_nor_offered() {
        let refused = |word: &str| allowed(&[word.to_owned()], &KNOWN).unwrap_err().message;
        for word in ["thresholds", "threshold", "--threshold", "name", "allow-dropped", "recreate"]
        {
            assert!(refused(word).contains("never matters\n  fix: leave it out"), "{word}");
        }
        assert!(!refused("threshol").contains("threshold`?"), "{}", refused("threshol"));
        assert!(refused("rat").contains("did you mean `rate`?"));
    }
}
