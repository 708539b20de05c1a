//! The options of `strom-load arrow`.

use std::path::PathBuf;

use clap::Args;

use crate::plan::TableName;

use super::{Format, ServerArgs};

/// Shown after the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load arrow --database-url postgresql://me@db/sales --from sales.events --file events.arrow
      a table as an Arrow file
  strom-load arrow --from events --file /srv/arrow/events.arrow --import-as events_arrow
      the same beside a server with PG-Strom, and the file as a foreign table (PGHOST names the
      server)
  strom-load arrow --query 'SELECT id, price::numeric(15,2) FROM offers' --file offers.arrow
      what a query answers, with the types that Arrow needs";

/// All options of `arrow`.
#[derive(Debug, Args)]
pub struct ArrowArgs {
    /// Table or view to read, such as sales.events
    #[arg(
        long,
        value_name = "TABLE",
        required_unless_present = "query",
        conflicts_with = "query",
        help_heading = "Arrow"
    )]
    pub from: Option<TableName>,
    /// Query to read instead, in a transaction that changes nothing
    #[arg(long, value_name = "SQL", help_heading = "Arrow")]
    pub query: Option<String>,
    /// File to write; it appears once it is whole
    #[arg(long, value_name = "FILE", help_heading = "Arrow")]
    pub file: PathBuf,
    /// Replace the file if it is there
    #[arg(long, help_heading = "Arrow")]
    pub replace: bool,
    /// Make the file a foreign table of this name, through PG-Strom's arrow_fdw
    ///
    /// The server must run on this machine. Its account must be able to enter the file's folders;
    /// the file itself is readable for everybody. The rows are counted through the foreign table.
    #[arg(long, value_name = "NAME", help_heading = "Arrow")]
    pub import_as: Option<TableName>,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
}
