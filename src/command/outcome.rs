//! What a job came to, for programs: the last line on standard output with `--format jsonl`, however it ended.
//! docs/result.md describes the keys.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{Command, Parsed, ResultFormat};
use crate::exit;
use crate::report::{index_line, verdict_line, verdict_word};
use crate::result::index::Index;
use crate::result::{JobResult, Status, one_line};

use super::{Failure, print};

/// The outcome of a job whose folder is `results`.
pub(super) fn of_job(result: &JobResult, results: &Path) -> Value {
    json!({
        "type": "outcome", "profile": result.profile(), "run_id": result.run_id,
        "kind": result.kind(), "status": result.status, "exit_code": result.exit_code(),
        "verdict": format!("{}  {}", verdict_word(result), verdict_line(result)),
        "error": result.error, "results": results.display().to_string(),
    })
}

/// That of several, which end with `code`.
pub(super) fn of_index(index: &Index, code: u8, was_stopped: bool, results: &Path) -> Value {
    let have_ended = index.runs.iter().all(|run| run.exit_code.is_some());
    let status = match (was_stopped, have_ended) {
        (true, _) => Status::Interrupted,
        (false, true) => Status::Done,
        // By --fail-fast.
        (false, false) => Status::Stopped,
    };
    json!({
        "type": "outcome", "profile": null, "run_id": null, "kind": "index", "status": status, "exit_code": code,
        "verdict": format!("{}  {}", exit::word(code), index_line(index)), "error": null,
        "results": results.display().to_string(), "runs": index.runs.len(),
    })
}

/// That of a job that has not begun, of a profile where one is known.
pub(super) fn not_begun(profile: Option<&str>, code: u8, error: &str) -> Value {
    json!({
        "type": "outcome", "profile": profile, "run_id": null, "kind": null, "status": "not_begun",
        "exit_code": code, "verdict": format!("{}  {}: {}", exit::word(code), exit::words(code), one_line(error)),
        "error": error, "results": null,
    })
}

/// Prints an outcome.
pub(super) fn tell(outcome: &Value) -> Result<(), Failure> {
    print(&format!("{outcome}\n"))
}

/// Tells programs of a failure that they have not been told, and returns the code to exit with.
pub fn fail(parsed: &Parsed, failure: &Failure) -> u8 {
    let format = match &parsed.cli.command {
        None => Some(parsed.cli.run.output.format),
        Some(Command::Run { run, .. }) => Some(run.output.format),
        Some(Command::Faults(args)) => Some(args.output.format),
        Some(_) => None,
    };
    if format == Some(ResultFormat::Jsonl) && !failure.is_told {
        // The error is printed by itself; that it cannot be told here too is no other.
        let _ = tell(&not_begun(None, failure.code, &failure.message));
    }
    failure.code
}

/// Prints what clap has to say of a command line, tells programs if it is an error, and returns the code to
/// exit with.
pub fn refuse(args: &[OsString], error: &clap::Error) -> u8 {
    // clap prints help to stdout and errors to stderr.
    let _ = error.print();
    if !error.use_stderr() {
        return exit::DONE;
    }
    if asks_for_lines(args) {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim();
        let _ = tell(&not_begun(None, exit::USAGE, text));
    }
    exit::USAGE
}

/// Whether a command line that could not be read asks for JSON lines.
fn asks_for_lines(args: &[OsString]) -> bool {
    let flag = |arg: &OsString| arg == "--format";
    args.iter().any(|arg| arg == "--format=jsonl")
        || args.windows(2).any(|pair| flag(&pair[0]) && pair[1] == "jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::sample;

    #[test]
    fn every_outcome_has_status_code_and_why() {
        let mut index = Index::of(["a", "b"].map(str::to_owned).into_iter());
        index.runs[0].conclude("OK", "kept");
        index.runs[0].exit_code = Some(exit::DONE);
        let results = Path::new("out");
        let outcomes = [
            of_job(&sample::stream(), results),
            of_index(&index, exit::THRESHOLD, false, results),
            of_index(&index, exit::INTERRUPTED, true, results),
            not_begun(Some("a"), exit::PREPARE, "the server is gone\n  fix: start it"),
        ];
        for outcome in &outcomes {
            for key in ["type", "status", "exit_code", "verdict"] {
                assert!(!outcome[key].is_null(), "{key}: {outcome}");
            }
        }
        let lines = outcomes[1..].iter().map(Value::to_string).collect::<Vec<_>>();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_command_line_that_cannot_be_read_may_ask_for_lines() {
        let asks =
            |args: &[&str]| asks_for_lines(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(asks(&["strom-load", "--rat", "3", "--format", "jsonl"]));
        assert!(asks(&["strom-load", "run", "--format=jsonl", "--no"]));
        assert!(!asks(&["strom-load", "--format", "json", "jsonl"]));
        assert!(!asks(&["strom-load", "--output", "jsonl"]));
    }
}
