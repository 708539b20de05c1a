//! Options of `strom-load clean`.

use clap::Args;

use super::{Format, ServerArgs};
use crate::plan::TableName;

pub(super) const EXAMPLES: &str = "\
Examples:
  strom-load clean --database-url postgresql://me@db/sales
      list what runs left there, and remove nothing
  strom-load clean public.l40s_realtime_stream --database-url postgresql://me@db/sales
      drop that table and all its rows, if strom-load made it and no run is at it";

/// Options of `strom-load clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Tables to drop with all their rows, named as the list names them; none: only list
    #[arg(value_name = "TABLE")]
    pub tables: Vec<TableName>,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// What to print on standard output
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
}
