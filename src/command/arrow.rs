//! `strom-load arrow`: a table as an Arrow file, and the file as a foreign table.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::json;

use crate::arrow::{self, ExportError, ExportOptions, Exported, ImportError, Source};
use crate::cli::{ArrowArgs, Format, Parsed};
use crate::engine::Shutdown;
use crate::exit;
use crate::pg::{Address, Session};
use crate::plan::TableName;
use crate::quantity::format_count;
use crate::sink::terminal::Screen;

use super::{Failure, Signals, find_server, log_warnings, print};

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let code = if error.is_early() { exit::PREPARE } else { exit::ENDED_EARLY };
        Self::new(code, error)
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let code = match error {
            ImportError::Rows { .. } => exit::INTEGRITY,
            _ => exit::PREPARE,
        };
        Self::new(code, error)
    }
}

pub(super) async fn arrow(parsed: &Parsed, args: &ArrowArgs) -> Result<u8, Failure> {
    log_warnings(&Screen::new(true));
    let mut signals = Signals::listen()?;
    let no_server = "no server to read from\n  fix: give one with --database-url, or the folder of one \
                     that strom-load started with --data-dir";
    let (address, server) =
        find_server(parsed, &args.server, no_server, &Shutdown::default()).await?;
    let outcome = export_and_import(&address, args, &mut signals).await;
    if let Some(server) = server {
        let _ = server.stop().await;
    }
    let exported = outcome?;
    let imported_as = args.import_as.as_ref().map(TableName::as_written);
    print(&match args.format {
        Format::Text => text(&exported, &args.file, imported_as.as_deref()),
        Format::Json => {
            let mut result = json!(exported);
            result["file"] = json!(args.file.display().to_string());
            result["imported_as"] = json!(imported_as);
            format!("{result:#}\n")
        }
    })?;
    Ok(exit::DONE)
}

async fn export_and_import(
    address: &Address,
    args: &ArrowArgs,
    signals: &mut Signals,
) -> Result<Exported, Failure> {
    let connected = Session::own(address, "strom-load arrow").await;
    let session = connected.map_err(|error| Failure::new(exit::PREPARE, error))?;
    let mut session = session.telling_of_waits();
    let canceller = session.canceller();
    let work = async {
        if let Some(name) = &args.import_as {
            // Before the rows are read: without arrow_fdw that would be for nothing.
            arrow::check(&mut session, name).await?;
        }
        let source = match (&args.from, &args.query) {
            (Some(table), _) => Source::Table(table.clone()),
            (None, Some(sql)) => Source::Query(sql.clone()),
            (None, None) => unreachable!("clap asks for one of them"),
        };
        let options = ExportOptions { replace: args.replace, ..ExportOptions::default() };
        // Drawn on a terminal only.
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        let told = |rows| bar.set_message(format!("{} rows", format_count(rows)));
        let exported = arrow::export(&mut session, &source, &args.file, options, told).await;
        bar.finish_and_clear();
        let exported = exported?;
        if let Some(name) = &args.import_as {
            arrow::import(&mut session, name, &args.file, exported.rows).await?;
        }
        Ok(exported)
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = signals.first() => {
            canceller.cancel().await;
            Err(Failure::new(exit::INTERRUPTED, "interrupted: what was not finished is gone"))
        }
    };
    session.close().await;
    outcome
}

fn text(exported: &Exported, file: &Path, imported_as: Option<&str>) -> String {
    let Exported { rows, bytes, batches, columns } = exported;
    let (rows, bytes, batches) =
        (format_count(*rows), format_count(*bytes), format_count(*batches));
    let columns = columns.iter().map(|column| format!("{} {}", column.name, column.arrow_type));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let mut out = format!(
        "file        {}\nbytes       {bytes}\nrows        {rows} in {batches} record batches\n\
         columns     {columns}\n",
        file.display()
    );
    if let Some(name) = imported_as {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "imported    as foreign table {name}, rows counted there");
    }
    out
}
