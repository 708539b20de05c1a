//! Tables as Arrow files, and Arrow files as foreign tables. Knows no flags and no queries to time.

mod column;
mod decimal;
mod draft;
mod export;
mod import;

pub use export::{ExportError, ExportOptions, Exported, ExportedColumn, Source, export};
pub use import::{ImportError, check, drop_table, import};
