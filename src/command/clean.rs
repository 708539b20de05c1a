//! `strom-load clean`: what runs left in a database, listed, and removed by name.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::{CleanArgs, Format, Parsed};
use crate::exit;
use crate::pg::Address;
use crate::pg::clean::{self, Left, Leftovers};
use crate::plan::{TableName, shell_word};
use crate::quantity::{format_about, format_bytes, format_counted};
use crate::report::harmless;
use crate::sink::terminal::Screen;

use super::{Failure, log_warnings, on_server, print};

pub(super) async fn clean(parsed: &Parsed, args: &CleanArgs) -> Result<u8, Failure> {
    let screen = Screen::new(true);
    log_warnings(&screen);
    let no_server = "no server to look in\n  fix: give one with --database-url, or the folder of one that \
                     strom-load started with --data-dir";
    let words = (no_server, "interrupted: nothing was removed");
    let said =
        on_server(parsed, &args.server, &screen, words, async |address| at(address, args).await);
    let said = said.await?;
    print(&said)?;
    Ok(exit::DONE)
}

async fn at(address: &Address, args: &CleanArgs) -> Result<String, Failure> {
    let failed = |error| Failure::new(exit::PREPARE, error);
    if args.tables.is_empty() {
        let left = clean::list(address).await.map_err(failed)?;
        return Ok(match args.format {
            Format::Text => listed(address, &left),
            Format::Json => format!("{:#}\n", as_json(&left)),
        });
    }
    let tables = once(&args.tables);
    let rows = clean::remove(address, &tables).await.map_err(failed)?;
    let names: Vec<String> = tables.iter().map(TableName::as_written).collect();
    let each = names.iter().zip(&rows);
    Ok(match args.format {
        Format::Text => {
            let lines: Vec<String> =
                each.map(|(name, rows)| format!("{name}: removed, {rows}")).collect();
            harmless(&lines.join("\n")) + "\n"
        }
        Format::Json => {
            let removed = each.map(|(name, rows)| {
                json!({ "table": name, "rows": rows.counted, "rows_estimated": rows.estimated })
            });
            let removed: Vec<Value> = removed.collect();
            format!("{:#}\n", json!({ "removed": removed }))
        }
    })
}

/// Each name once: one that is given twice is gone the second time.
fn once(tables: &[TableName]) -> Vec<TableName> {
    let mut each: Vec<TableName> = Vec::new();
    for table in tables {
        if !each.contains(table) {
            each.push(table.clone());
        }
    }
    each
}

fn as_json(left: &Leftovers) -> Value {
    let of = |own: &Left| {
        json!({
            "table": own.name.as_written(), "kind": kind(own), "rows_estimated": own.rows_estimated,
            "bytes": own.bytes, "in_use": own.in_use, "last_run_at": own.last_run_at,
        })
    };
    let tables: Vec<Value> = left.tables.iter().map(of).collect();
    json!({ "tables": tables, "lanes_of_gone_tables": left.lanes_of_gone })
}

fn kind(own: &Left) -> &'static str {
    if own.is_stream { "stream" } else { "data set" }
}

fn listed(address: &Address, left: &Leftovers) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match left.tables.len() as u64 {
        0 => writeln!(out, "no table in {address} has the mark of strom-load"),
        count => {
            let count = format_counted(count, "table", "tables");
            writeln!(out, "{count} of strom-load in {address}")
        }
    };
    let names: Vec<String> = left.tables.iter().map(|own| own.name.as_written()).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (own, name) in left.tables.iter().zip(&names) {
        let rows = own.rows_estimated.map_or_else(
            || "rows not estimated yet".to_owned(),
            |rows| format!("about {} rows", format_about(rows)),
        );
        let state = match (own.in_use, &own.last_run_at) {
            (true, _) => ", A RUN IS AT IT".to_owned(),
            (false, Some(at)) => format!(", last run at {at}"),
            (false, None) => String::new(),
        };
        let (kind, bytes) = (kind(own), format_bytes(own.bytes));
        let _ = writeln!(out, "  {name:width$}  {kind:8}  {rows}, {bytes}{state}");
    }
    if left.lanes_of_gone > 0 {
        let rows = format_counted(left.lanes_of_gone, "row", "rows");
        let _ = writeln!(
            out,
            "  strom_load.lane: {rows} of runs whose tables are gone; they go with the next run, or with the \
             next table that is removed"
        );
    }
    let first = left.tables.iter().zip(&names).find(|(own, _)| !own.in_use);
    if let Some((_, name)) = first {
        let name = shell_word(name);
        let _ = writeln!(out, "to drop one with all its rows: strom-load clean {name}");
    }
    harmless(&out)
}
