//! `strom-load fill`: the tables of profiles, created, filled or found.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::{FillArgs, Format, Parsed};
use crate::dataset::{DatasetError, FillProgress, Filled, Prepared, Stage};
use crate::engine::{self, FillOptions, Shutdown};
use crate::exit;
use crate::pg::Address;
use crate::plan::Table;
use crate::quantity::{format_count, format_counted};
use crate::sink::terminal::{Filling, Screen};

use super::profiles::{Resolved, read};
use super::{
    Failure, START_PATIENCE, Signals, address, embedded_address, log_warnings, print, start_server,
    tell, tell_notes, until_started, unused,
};

impl From<DatasetError> for Failure {
    fn from(error: DatasetError) -> Self {
        let code = match error {
            DatasetError::Interrupted { .. }
            | DatasetError::Untouched { .. }
            | DatasetError::HalfFilled { .. } => exit::INTERRUPTED,
            DatasetError::Altered { .. } => exit::INTEGRITY,
            DatasetError::Task(_) => exit::UNEXPECTED,
            _ => exit::PREPARE,
        };
        Self::new(code, error)
    }
}

/// For `--quiet`.
pub(super) struct Silent;

impl FillProgress for Silent {
    fn show(&self, _: &str, _: Stage<'_>) {}
}

pub(super) async fn fill(
    parsed: &Parsed,
    files: &[PathBuf],
    args: &FillArgs,
) -> Result<u8, Failure> {
    let Resolved { plans, notes } = read(files, &args.settings.overrides)?;
    let unused = unused::variables_without_use("fill");
    notes.iter().chain(&unused).for_each(|note| tell(&format!("note: {note}")));
    let tables: Vec<Table> = plans.into_iter().flat_map(|plan| plan.common.tables).collect();
    if tables.is_empty() {
        let message = "no profile has a table to fill\n  fix: add one under `[[tables]]`; \
                       docs/datasets.md shows how";
        return Err(Failure::new(exit::USAGE, message));
    }
    let given = address(parsed, &args.server)?;
    tell_notes(given.as_ref());
    if given.is_none() && args.server.embedded.data_dir.is_none() {
        let message = "no server to fill\n  fix: give one with --database-url, or a folder that \
                       keeps the tables with --data-dir";
        return Err(Failure::new(exit::USAGE, message));
    }
    let screen = Screen::new(args.quiet);
    log_warnings(&screen);
    let mut signals = Signals::listen()?;
    let shutdown = Shutdown::default();
    let work = async {
        let (server, address) = match given {
            Some(given) => {
                until_started(&given.address, START_PATIENCE, &tell, &shutdown).await?;
                (None, given.address)
            }
            None => {
                let server = start_server(&args.server.embedded, &shutdown).await?;
                let address = embedded_address(&server);
                (Some(server), address)
            }
        };
        let prepared = fill_tables(&address, &tables, args, &screen, &shutdown).await;
        if let Some(server) = server
            && let Err(error) = server.stop().await
        {
            screen.line(&error.to_string());
        }
        prepared
    };
    let filled = tokio::select! {
        filled = work => filled?,
        never = signals.handle(&shutdown, &screen) => match never {},
    };
    match args.format {
        Format::Text => print(&text(&filled))?,
        Format::Json => {
            let Filled { tables, capabilities } = filled;
            let said = json!({ "tables": tables, "capabilities": capabilities });
            print(&format!("{said:#}\n"))?;
        }
    }
    Ok(exit::DONE)
}

async fn fill_tables(
    address: &Address,
    tables: &[Table],
    args: &FillArgs,
    screen: &Screen,
    shutdown: &Shutdown,
) -> Result<Filled, Failure> {
    let progress: Box<dyn FillProgress> =
        if args.quiet { Box::new(Silent) } else { Box::new(Filling::new(screen.clone())) };
    let options = FillOptions {
        connections: args.connections,
        verify: args.verify,
        ..FillOptions::default()
    };
    Ok(engine::fill(address, tables, options, &*progress, shutdown).await?)
}

/// What came of all, what the server lacks, and a line a table: what became of it.
fn text(Filled { tables: prepared, capabilities }: &Filled) -> String {
    let sum = |of: fn(&Prepared) -> u64| prepared.iter().map(of).sum::<u64>();
    let mut text = format!(
        "OK  {} ready · {}, {} loaded now\n",
        format_counted(prepared.len() as u64, "table", "tables"),
        format_counted(sum(|table| table.rows), "row", "rows"),
        format_count(sum(|table| table.rows_loaded))
    );
    if let Some(lacking) = capabilities.as_ref().filter(|can| !can.are_complete()) {
        let _ = writeln!(text, "can: {lacking}");
    }
    for table in prepared {
        let verified = if table.verified { ", read back" } else { "" };
        let mebibytes = |bytes: u64| format_count(bytes.div_ceil(1 << 20));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {}, {} rows, {} MiB and {} MiB of indexes, checksum {}{verified}",
            table.table,
            table.state,
            format_count(table.rows),
            mebibytes(table.table_bytes),
            mebibytes(table.index_bytes),
            table.checksum,
        );
    }
    text
}
