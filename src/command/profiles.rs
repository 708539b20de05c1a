//! Profiles by file or by name: read, resolved all before anything starts, and shown.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::cli::{Format, Parsed, ServerArgs};
use crate::engine::{self, FirstRows, Fit};
use crate::exit;
use crate::plan::{
    self, BUILTINS, Fault, Faults, Job, LeftOver, NamedFile, Origin, Overrides, Place, Plan,
    ProfileFiles, ProfileSource, StreamJob,
};
use crate::quantity::format_counted;
use crate::report::csv_field;
use crate::row::Content;
use crate::sink::terminal::Screen;

use super::{Failure, address, log_warnings, print, tell, tell_notes};

/// Each fault opens with `error: `; `main` writes that of the first.
impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        let faults = faults.to_string();
        Self::new(exit::USAGE, faults.strip_prefix("error: ").unwrap_or(&faults))
    }
}

/// Profiles that resolve.
pub(super) struct Resolved<J> {
    /// What each of them comes to.
    pub(super) plans: Vec<Plan<J>>,
    /// What is to be said of the call.
    pub(super) notes: Vec<String>,
}

/// Resolves all profiles that are to be run before anything starts, so that a mistake in the last
/// one is found before the first has run.
pub(super) fn to_run(files: &[PathBuf], overrides: &Overrides) -> Result<Resolved<Job>, Failure> {
    let plans = resolve_each(files, overrides, |source| Plan::resolve(source, overrides))?;
    without_left_over(plans)
}

/// Resolves profiles that may have tables alone.
pub(super) fn read(
    files: &[PathBuf],
    overrides: &Overrides,
) -> Result<Resolved<Option<Job>>, Failure> {
    let plans = resolve_each(files, overrides, |source| Plan::read(source, overrides))?;
    without_left_over(plans)
}

fn resolve_each<J>(
    files: &[PathBuf],
    overrides: &Overrides,
    resolve: impl Fn(&ProfileSource) -> Result<Plan<J>, Faults>,
) -> Result<Vec<Plan<J>>, Failure> {
    let default = [PathBuf::from("realtime")];
    let files = if files.is_empty() { &default } else { files };
    let (mut plans, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        let plan = source(file, overrides.recreates_without_a_name()).and_then(|source| {
            let folder = file.parent().unwrap_or(Path::new(""));
            resolve(&source.reading(|name| read_named(&folder.join(name))))
        });
        match plan {
            Ok(plan) => plans.push(plan),
            Err(found) => faults.push(found),
        }
    }
    Faults::joined(faults).map_or(Ok(plans), |faults| Err(faults.into()))
}

/// A flag, or a value of one, that none of the profiles has a use for is a fault. What only some of
/// them have a use for is noted, and so is a variable that none has: it may be set for other calls.
fn without_left_over<J>(plans: Vec<Plan<J>>) -> Result<Resolved<J>, Failure> {
    let (mut notes, mut faults) = (Vec::new(), Vec::new());
    let mut seen: Vec<&LeftOver> = Vec::new();
    for first in plans.iter().flat_map(|plan| &plan.common.left_over) {
        if seen.iter().any(|own| own.is_same(first)) {
            continue;
        }
        seen.push(first);
        let left: Vec<_> = plans
            .iter()
            .filter_map(|plan| {
                let left = plan.common.left_over.iter().find(|own| own.is_same(first))?;
                Some((plan.common.name.as_str(), &left.fault))
            })
            .collect();
        let is_flag = matches!(first.fault.place, Place::Given(Origin::Flag(_)));
        let by_none = left.len() == plans.len();
        if is_flag && by_none {
            faults.extend(left.iter().map(|(_, fault)| Faults::from((*fault).clone())));
        } else if is_flag {
            let names: Vec<_> = left.iter().map(|(name, _)| *name).collect();
            notes.push(format!("{}: so not for {}", first.fault.what, names.join(", ")));
        } else if by_none {
            notes.push(first.fault.what.clone());
        }
    }
    Faults::joined(faults).map_or(Ok(Resolved { plans, notes }), |faults| Err(faults.into()))
}

/// The built-in stream, with what was given, and what is to be said of the call.
pub(super) fn realtime(overrides: &Overrides) -> Result<(Plan<StreamJob>, Vec<String>), Failure> {
    let profile = plan::builtin("realtime").map(|profile| Plan::resolve(&profile, overrides));
    let Resolved { plans, notes } = without_left_over(profile.transpose()?.into_iter().collect())?;
    let plan = plans.into_iter().find_map(Plan::into_stream);
    let plan =
        plan.ok_or_else(|| Failure::new(exit::UNEXPECTED, "no stream in the profile `realtime`"));
    Ok((plan?, notes))
}

pub(super) fn check(
    files: &[PathBuf],
    rows: Option<u64>,
    overrides: &Overrides,
) -> Result<u8, Failure> {
    log_warnings(&Screen::new(true));
    let Resolved { plans, notes } = read(files, overrides)?;
    notes.iter().for_each(|note| tell(&format!("note: {note}")));
    for plan in plans {
        match rows {
            None => print(&plan::render(&plan))?,
            Some(rows) => show_rows(&plan, rows)?,
        }
    }
    Ok(exit::DONE)
}

/// Holds the streams of profiles against a server.
pub(super) async fn fit(
    parsed: &Parsed,
    files: &[PathBuf],
    server: &ServerArgs,
    overrides: &Overrides,
) -> Result<u8, Failure> {
    log_warnings(&Screen::new(true));
    let Resolved { plans, notes } = to_run(files, overrides)?;
    notes.iter().for_each(|note| tell(&format!("note: {note}")));
    let mut streams = Vec::new();
    for plan in plans {
        let name = plan.common.name.clone();
        streams.push(plan.into_stream().ok_or_else(|| {
            let fact =
                format!("`{name}` has no stream, so there is no table to hold against the server");
            Failure::new(exit::USAGE, format!("{fact}\n  fix: check it without --database-url"))
        })?);
    }
    let Some(given) = address(parsed, server)? else {
        return Err(Failure::new(
            exit::USAGE,
            "no server to look at\n  fix: name one with --database-url",
        ));
    };
    tell_notes(Some(&given));
    let mut codes = Vec::new();
    for plan in &streams {
        match engine::fit(plan, &given.address).await {
            Ok(found) => print(&fitting(plan, &found))?,
            Err(error) if streams.len() == 1 => return Err(error.into()),
            Err(error) => {
                let failure = Failure::from(error);
                tell(&format!("error: {}: {}", plan.common.name, failure.message));
                codes.push(failure.code);
            }
        }
    }
    Ok(exit::gravest(codes))
}

/// What was found of a stream, in words.
fn fitting(plan: &Plan<StreamJob>, found: &Fit) -> String {
    let Fit { table, is_there, queries, unasked } = found;
    let columns = format_counted(plan.job.stream.columns.len() as u64, "column", "columns");
    let readers = &plan.job.readers;
    let asked = match (queries.as_slice(), &readers.database_url) {
        ([], Some(_)) => "its queries go to another server, which was not asked".to_owned(),
        ([], None) if unasked.is_empty() => "it has no queries".to_owned(),
        ([], None) => {
            "its queries need a table that is not there, and the server was not asked".to_owned()
        }
        (queries, _) => {
            let count = format_counted(queries.len() as u64, "query", "queries");
            let left = match unasked.as_slice() {
                [] => String::new(),
                names => format!("; not asked, as a table is not there: {}", names.join(", ")),
            };
            format!("the server takes {count}: {}{left}", queries.join(", "))
        }
    };
    if !is_there {
        return format!("{table} is not there: a run makes it; {asked}\n");
    }
    format!("{table} takes the {columns} of `{}`; {asked}\n", plan.common.name)
}

/// Prints the first rows of each table of a plan, and of its stream, as CSV under the names of the columns.
/// Where there are several tables, a line in front of each names it. NULL is nothing, and an empty text
/// is in quotes, as COPY has them.
fn show_rows(plan: &Plan<Option<Job>>, rows: u64) -> Result<(), Failure> {
    let samples =
        engine::first_rows(plan, rows).map_err(|error| Failure::new(exit::USAGE, error))?;
    let field = |value: &Option<String>| match value.as_deref() {
        None => String::new(),
        Some("") => "\"\"".to_owned(),
        Some(text) => csv_field(text),
    };
    let mut text = String::new();
    for FirstRows { table, rows } in &samples {
        if samples.len() > 1 {
            text.extend(["# ", table, "\n"]);
        }
        for row in rows {
            text.push_str(&row.iter().map(field).collect::<Vec<_>>().join(","));
            text.push('\n');
        }
    }
    print(&text)
}

/// A built-in profile for people and programs.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    description: String,
    kind: &'static str,
}

/// Lists the built-in profiles.
pub(super) fn list(format: Format) -> Result<u8, Failure> {
    let mut listed = Vec::new();
    for (name, _) in BUILTINS {
        let source = plan::builtin(name).into_iter();
        for plan in source.map(|source| Plan::resolve(&source, &Overrides::default())) {
            let Plan { common, job } = plan?;
            let description = common.profile.description.unwrap_or_default();
            let kind = job.kind_name();
            listed.push(Listed { name, description, kind });
        }
    }
    match format {
        Format::Text => {
            let line = |Listed { name, kind, description }: &Listed| {
                format!("{name:14} {kind:10} {description}\n")
            };
            print(&listed.iter().map(line).collect::<String>())?;
        }
        Format::Json => print(&format!("{:#}\n", json!({ "profiles": listed })))?,
    }
    Ok(exit::DONE)
}

/// A built-in profile goes by its name where no file of that name is in the way. What follows a bare
/// `--recreate` may be meant as the name of its table.
fn source(path: &Path, after_recreate: bool) -> Result<ProfileSource, Faults> {
    let name = path.display().to_string();
    let builtin = || path.to_str().and_then(plan::builtin);
    match read_file(path, ProfileSource::BYTES_MAX) {
        Ok(bytes) => ProfileSource::decode(&name, bytes),
        Err(error) => match builtin() {
            Some(builtin) if error.kind() == ErrorKind::NotFound => Ok(builtin),
            _ => {
                let mut fault = unreadable(name.clone(), &error);
                if after_recreate && error.kind() == ErrorKind::NotFound {
                    fault.fix = format!(
                        "{}; a table to drop stands behind `=`: --recreate={name}",
                        fault.fix
                    );
                }
                Err(fault.into())
            }
        },
    }
}

/// Reads a file that a profile names, or a command; or says why it cannot.
pub(crate) fn read_named(path: &Path) -> Result<NamedFile, String> {
    // A pipe would be waited for, and gives its content once.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err("it is no plain file".to_owned());
    }
    // A result says where it was, whichever folder the run was begun in.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let content = Content::open(&path, ProfileFiles::BYTES_MAX);
    let content = content.map_err(|error| error.to_string())?;
    NamedFile::new(path.display().to_string(), content)
}

/// The text of a file that is read once, so that it may be a pipe, or standard input as `-`; or why there is none.
pub(super) fn read_once(path: &Path) -> Result<String, String> {
    let bytes_max = ProfileFiles::BYTES_MAX as usize;
    let bytes = match path.as_os_str() == "-" {
        true => read_up_to(io::stdin().lock(), bytes_max),
        false => read_file(path, bytes_max),
    };
    let bytes = bytes.map_err(|error| error.to_string())?;
    if bytes.len() > bytes_max {
        return Err(format!("it is larger than {} MiB", bytes_max >> 20));
    }
    let file = NamedFile::new(path.display().to_string(), Content::Whole(bytes.into()))?;
    file.text().map(str::to_owned)
}

fn read_file(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    read_up_to(File::open(path)?, bytes_max)
}

/// Reads no more than it takes to see that a file is too large: some have no end.
fn read_up_to(from: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(file: String, error: &io::Error) -> Fault {
    let builtins = BUILTINS.iter().map(|(name, _)| *name);
    let is_name = !file.contains(['/', '.']) && file != "-";
    let (what, fix) = match error.kind() {
        ErrorKind::NotFound if is_name => {
            let listed: Vec<_> = builtins.clone().map(|name| format!("`{name}`")).collect();
            let fix = match plan::nearest(&file, builtins) {
                Some(name) => format!("did you mean `{name}`? built in are {}", listed.join(", ")),
                None => format!("name a file, or one that is built in: {}", listed.join(", ")),
            };
            (format!("there is no profile `{file}`: no file, and none built in"), fix)
        }
        kind => {
            let fix = match kind {
                _ if file == "-" => "write /dev/stdin to read standard input",
                ErrorKind::NotFound => {
                    "name a file that is there, or a built-in profile such as `realtime`"
                }
                ErrorKind::IsADirectory => "name a file in it",
                ErrorKind::PermissionDenied => "let the user who runs strom-load read it",
                _ => "name a file that can be read",
            };
            (format!("failed to read the profile: {error}"), fix.to_owned())
        }
    };
    Fault { place: Place::File { file }, what, fix }
}
