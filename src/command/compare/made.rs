//! `compare --run`: two profiles, run in turn on one server, and compared.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{
    All, BatchArgs, CompareArgs, LogFormat, MetricsAddress, OutputArgs, Parsed, ResultFormat,
    RunArgs, SettingArgs,
};
use crate::exit;
use crate::plan::{Gate, Job, Plan, Recreate};
use crate::result::{self, Saved, plan_keys};
use crate::sink::folder::check_page;

use super::super::profiles::to_run;
use super::super::run::{Told, run_each, stamp};
use super::super::{Failure, address, ended, tell};
use super::{Side, of_index};

/// The two sides of one pair of runs, in their order: so that what changes steadily, as a cache that fills
/// or a machine that warms up, falls on both alike.
fn order(repeats: usize) -> Vec<usize> {
    (0..repeats).flat_map(|pair| if pair % 2 == 0 { [0, 1] } else { [1, 0] }).collect()
}

/// The order for people: `A B B A …`.
fn told(order: &[usize]) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = order.iter().take(SHOWN).map(|side| ["A", "B"][*side]).collect();
    let more = if order.len() > SHOWN { " …" } else { "" };
    format!("{}{more}", names.join(" "))
}

/// Makes the runs and compares them.
pub(super) async fn compare(parsed: &Parsed, args: &CompareArgs) -> Result<u8, Failure> {
    let usage = |what: &str, fix: &str| Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}"));
    let [_, _] = args.run.as_slice() else {
        return Err(usage("--run takes two profiles", "name both behind one --run"));
    };
    if !args.allow.is_empty() {
        let fix = "leave it out: all that differs between the two profiles is compared, and shown";
        return Err(usage("--allow has no meaning with --run", fix));
    }
    let mut overrides = args.settings.overrides.clone();
    let both = to_run(&args.run, &overrides)?.plans;
    check(parsed, args, &both)?;
    check_places(args)?;
    if both.iter().any(keeps_table) {
        // Of a server of our own nobody else has a table.
        overrides
            .give_flag("--recreate", "true")
            .map_err(|error| Failure::new(exit::UNEXPECTED, error))?;
    }
    // What differs was asked for, tables included.
    let keys = both.iter().flat_map(|plan| plan_keys(&plan.common.profile).into_keys());
    let allowed = keys.chain([super::ROWS.to_owned()]).collect();
    let order = order(usize::from(args.repeats));
    let files: Vec<PathBuf> = order.iter().map(|side| args.run[*side].clone()).collect();
    let resolved = to_run(&files, &overrides)?;
    let folder = args.results.clone().unwrap_or_else(free_folder);
    let runs = run_args(args, args.settings.for_all(overrides), &folder);
    // What keeps all of them from beginning leaves nothing to compare.
    let code = run_each(parsed, resolved, &runs, Told::Nothing).await?;
    let sides = read(&folder, &order)?;
    if sides.iter().any(|side| side.runs.is_empty()) {
        let what = format!(
            "no two runs were made that could be compared; `{}` has what there is",
            folder.display()
        );
        let code = if code == exit::DONE { exit::ENDED_EARLY } else { code };
        return Err(Failure::new(code, what));
    }
    tell(&format!("results in {}", folder.display()));
    let compared = super::of_sides(&sides, args, allowed, Some(told(&order)));
    let mut compared = compared
        .map_err(|failure| Failure { code: exit::gravest([code, failure.code]), ..failure })?;
    if code != exit::DONE {
        tell(&format!("the gravest exit code of the runs is {code}: {}", exit::words(code)));
    }
    compared.exit_code = exit::gravest([code, compared.exit_code]);
    let printed = super::show(&compared, &sides.map(|side| side.runs), args);
    ended(compared.exit_code, None, printed)
}

/// Finds before the first run what would be found behind the last one.
fn check(parsed: &Parsed, args: &CompareArgs, both: &[Plan]) -> Result<(), Failure> {
    let usage =
        |what: String, fix: &str| Failure::new(exit::USAGE, format!("{what}\n  fix: {fix}"));
    if let [a, b] = both {
        let kinds = [a.job.kind_name(), b.job.kind_name()];
        if kinds[0] != kinds[1] {
            let what = format!(
                "`{}` is a {} and `{}` a {}",
                a.common.name, kinds[0], b.common.name, kinds[1]
            );
            return Err(usage(what, "compare profiles of one kind"));
        }
    }
    let mut faults: Vec<String> = Vec::new();
    for plan in both {
        let read = args.gates.iter().filter_map(|text| Gate::parse_for(text, &plan.job).err());
        read.for_each(|fault| {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        });
    }
    if !faults.is_empty() {
        return Err(Failure::new(exit::USAGE, faults.join("\nerror: ")));
    }
    if address(parsed, &args.server)?.is_some()
        && let Some(plan) = both.iter().find(|plan| keeps_table(plan))
    {
        let what = format!(
            "`{}` streams into a table that the runs before have filled, so no two runs are alike",
            plan.common.name
        );
        let fix = "let each run drop it first and make it anew, with --recreate; on a server that is started \
                   for the runs that goes without saying";
        return Err(usage(what, fix));
    }
    Ok(())
}

/// Looks before the first run whether there is a place for what is to be written.
fn check_places(args: &CompareArgs) -> Result<(), Failure> {
    let holds_something = |folder: &&PathBuf| {
        // What cannot be read is refused by whoever opens it.
        folder.read_dir().is_ok_and(|mut own| own.next().is_some())
    };
    if let Some(folder) = args.results.as_ref().filter(holds_something) {
        let what = format!(
            "`{}` is not empty, and results are never overwritten\n  fix: name another folder with --results",
            folder.display()
        );
        return Err(Failure::new(exit::USAGE, what));
    }
    match &args.output {
        Some(file) => check_page(file).map_err(|error| Failure::new(exit::USAGE, error)),
        None => Ok(()),
    }
}

fn keeps_table(plan: &Plan) -> bool {
    matches!(&plan.job, Job::Stream(job) if job.stream.recreate == Recreate::No)
}

/// The options of the runs.
fn run_args(args: &CompareArgs, plan: SettingArgs<All>, folder: &Path) -> RunArgs {
    RunArgs {
        plan,
        server: args.server.clone(),
        readers: args.readers.clone(),
        output: OutputArgs {
            output: Some(folder.to_owned()),
            format: ResultFormat::Text,
            metrics_addr: MetricsAddress::Off,
            metrics_linger: Duration::ZERO,
            log_format: LogFormat::Text,
            quiet: args.quiet,
            verbose: false,
        },
        batch: BatchArgs { cooldown: Duration::ZERO, fail_fast: false, allow_alter_system: false },
    }
}

/// A folder of results that is not there yet.
fn free_folder() -> PathBuf {
    let own = Path::new("results").join(format!("compare-{}", stamp()));
    let mut folder = own.clone();
    for number in 2_u32.. {
        if !folder.exists() {
            break;
        }
        folder = PathBuf::from(format!("{}-{number}", own.display()));
    }
    folder
}

/// The runs that were begun, each on its side.
fn read(folder: &Path, order: &[usize]) -> Result<[Side; 2], Failure> {
    let saved = result::read(folder).map_err(|error| Failure::new(exit::PREPARE, error))?;
    let mut sides = [Side::default(), Side::default()];
    if let Saved::Index(index, jobs) = saved {
        for (place, run) in of_index(folder, &index, jobs) {
            if let Some(side) = order.get(place) {
                sides[*side].add(run);
            }
        }
    }
    Ok(sides)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::Command;

    #[test]
    fn what_was_there_is_not_passed_off_as_new() {
        let folder = tempfile::tempdir().unwrap();
        let read = |results: &Path, output: Option<PathBuf>| {
            let words =
                ["strom-load", "compare", "--run", "a", "b", "--results"].map(OsString::from);
            let mut words = words.to_vec();
            words.push(results.into());
            let output = output.into_iter().flat_map(|file| ["--output".into(), file.into()]);
            words.extend(output);
            let command = Parsed::read(words).unwrap().cli.command;
            let Some(Command::Compare(args)) = command else { panic!("no comparison") };
            check_places(&args)
        };
        read(folder.path(), None).unwrap();
        read(&folder.path().join("none"), Some(folder.path().join("x.html"))).unwrap();
        let failure = read(&folder.path().join("none"), Some(folder.path().join("no/x.html")));
        assert_eq!(failure.unwrap_err().code, exit::USAGE);
        std::fs::create_dir(folder.path().join("01-a")).unwrap();
        let failure = read(folder.path(), None).unwrap_err();
        assert_eq!(failure.code, exit::USAGE);
        assert!(failure.message.contains("is not empty"), "{}", failure.message);
    }

    #[test]
    fn runs_take_turns_so_that_neither_side_is_first() {
        assert_eq!(told(&order(1)), "A B");
        assert_eq!(told(&order(3)), "A B B A A B");
        assert_eq!(told(&order(6)), "A B B A A B B A …");
        let places = |side| {
            let own = order(6).into_iter().enumerate().filter(move |(_, own)| *own == side);
            own.map(|(place, _)| place).sum::<usize>()
        };
        assert_eq!(places(0), places(1), "what changes steadily falls on both alike");
    }
}
