//! `strom-load profile`: drafts of profiles.

use crate::cli::{FromPgbenchArgs, FromTableArgs, NewArgs, Parsed, ProfileCommand};
use crate::draft::{self, DraftOptions, NoDraft};
use crate::exit;
use crate::pg::Address;
use crate::pg::source::source_table;
use crate::pgbench::Conversion;
use crate::plan::{Overrides, Plan, ProfileSource};
use crate::sink::terminal::Screen;

use super::profiles::read_once;
use super::{Failure, log_warnings, on_server, print};

pub(super) async fn profile(parsed: &Parsed, command: &ProfileCommand) -> Result<u8, Failure> {
    let text = match command {
        ProfileCommand::FromTable(args) => from_table(parsed, args).await?,
        ProfileCommand::FromPgbench(args) => from_pgbench(args)?,
        ProfileCommand::New(NewArgs { table }) => draft::starter(table),
    };
    // What is printed runs, or it is said what stands against it.
    let source = ProfileSource::new("the profile that would come of it", text);
    Plan::resolve(&source, &Overrides::default())?;
    print(&source.text)?;
    Ok(exit::DONE)
}

async fn from_table(parsed: &Parsed, args: &FromTableArgs) -> Result<String, Failure> {
    let screen = Screen::new(true);
    log_warnings(&screen);
    let no_server = "no server to read from\n  fix: give one with --database-url, or the folder of one \
                     that strom-load started with --data-dir";
    let words = (no_server, "interrupted");
    on_server(parsed, &args.server, &screen, words, async |address| drafted(address, args).await)
        .await
}

async fn drafted(address: &Address, args: &FromTableArgs) -> Result<String, Failure> {
    let failed = |error| Failure::new(exit::PREPARE, error);
    let source = source_table(address, &args.source, args.table.is_none()).await.map_err(failed)?;
    let options = DraftOptions { copy: args.table.clone(), keep_values: args.keep_values };
    draft::draft(&source, &options).map_err(|NoDraft(columns)| {
        let table = args.source.as_written();
        Failure::new(
            exit::PREPARE,
            format!(
                "failed to draft a profile of {table}: {}\n  fix: let a row leave these columns out (a default, or \
                 no NOT NULL), or make a copy of the table without them",
                columns.join("; ")
            ),
        )
    })
}

/// What a script of pgbench is as a profile.
fn from_pgbench(args: &FromPgbenchArgs) -> Result<String, Failure> {
    let name = match args.file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => args.file.display().to_string(),
    };
    let text = read_once(&args.file).map_err(|why| {
        let error = format!("failed to read `{name}`: {why}\n  fix: name a script of pgbench");
        Failure::new(exit::USAGE, error)
    })?;
    let conversion = Conversion {
        scale: args.scale,
        variables: args.define.iter().cloned().collect(),
        protocol: args.protocol,
        clients: args.clients,
    };
    Ok(conversion.profile(&ProfileSource::new(name, text))?)
}
