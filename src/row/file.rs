//! Files with the values of columns: CSV, or Arrow IPC in its file or stream format, told by what they hold.
//!
//! One pass before a run checks every value and finds where the pages of the file begin. Values of small files
//! stay in memory; those of others are read again page by page, while memory does not grow with the file.

mod arrow;
mod content;
mod convert;
mod csv;
mod fault;
mod guarded;
mod pages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::fields::{SampleBuilder, SampleFault, VALUES_MAX};
use super::{ColumnType, Sample};

pub use content::Content;
pub use fault::FileFault;
use pages::Entry;
pub(crate) use pages::{Cursor, PagedColumn, Pages};

/// Bytes of a page of CSV, or a few more, up to the end of a row.
const PAGE_BYTES: usize = 256 << 10;
/// Most bytes of a row of CSV, or of a record batch of Arrow whose values do not stay in memory, and of the
/// fields that are made of one.
const UNIT_BYTES_MAX: usize = 64 << 20;

/// What is wanted of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The column's name.
    pub(crate) column: String,
    /// The type of the values.
    pub(crate) sql_type: ColumnType,
    /// Whether they are taken in the order of the rows, so that they need not all be in memory.
    pub(crate) cycles: bool,
}

/// What a page is decoded by.
#[derive(Debug)]
enum Table {
    Csv(csv::Csv),
    Arrow(arrow::Batches),
}

/// The first pass over a file.
struct Pass<'a> {
    path: &'a str,
    content: &'a Content,
    columns: Vec<Taken<'a>>,
    index: Vec<Entry>,
    /// Rows in the pages so far.
    rows: u64,
    page_bytes_max: usize,
}

/// A column that is taken of a file.
struct Taken<'a> {
    wanted: &'a Wanted,
    /// Which of the file's columns it is.
    place: usize,
    builder: SampleBuilder,
    /// Whether all values stay in memory.
    is_kept: bool,
    fault: Option<FileFault>,
}

/// The values of each column that is wanted of a file, or what is wrong with it, and a fix.
pub(crate) fn read(
    path: &str,
    content: &Content,
    wanted: &[Wanted],
) -> Vec<Result<Sample, FileFault>> {
    let mut pass = Pass::new(path, content, wanted);
    let read = match arrow::Format::of(content) {
        Ok(Some(format)) => arrow::read(&mut pass, format).map(Table::Arrow),
        Ok(None) => csv::read(&mut pass).map(Table::Csv),
        Err(fault) => Err(fault),
    };
    let read = read.and_then(|table| match content.change() {
        Some(what) => Err(fault(what, "leave the file as it is while it is read")),
        None => Ok(table),
    });
    match read {
        Ok(table) => pass.finish(table),
        Err(fault) => wanted.iter().map(|_| Err(fault.clone())).collect(),
    }
}

fn fault(what: impl Into<String>, fix: impl Into<String>) -> FileFault {
    FileFault { what: what.into(), fix: fix.into() }
}

/// That a file cannot be read.
fn unread(path: &str, error: &std::io::Error) -> FileFault {
    fault(format!("failed to read `{path}`: {error}"), "name a file that can be read")
}

impl<'a> Pass<'a> {
    fn new(path: &'a str, content: &'a Content, wanted: &'a [Wanted]) -> Self {
        let is_large = matches!(content, Content::Open(_));
        let taken = |wanted: &'a Wanted| {
            let refused = (is_large && !wanted.cycles).then(|| {
                let what = format!(
                    "`{path}` has {} MiB, and of so large a file no values are chosen but one behind the other",
                    content.bytes() >> 20
                );
                fault(what, "write pick = \"cycle\", or take a part of the file")
            });
            Taken {
                wanted,
                place: 0,
                builder: SampleBuilder::new(wanted.sql_type),
                is_kept: !is_large,
                fault: refused,
            }
        };
        Self {
            path,
            content,
            columns: wanted.iter().map(taken).collect(),
            index: Vec::new(),
            rows: 0,
            page_bytes_max: 0,
        }
    }

    /// Finds each column by its name.
    fn place(&mut self, names: &[String]) {
        let path = self.path;
        for own in &mut self.columns {
            let column = &own.wanted.column;
            let mut places = (0..names.len()).filter(|at| names[*at] == *column);
            let how = match (places.next(), places.next()) {
                (Some(place), None) => {
                    own.place = place;
                    continue;
                }
                (None, _) => "no",
                (Some(_), Some(_)) => "more than one",
            };
            let what = format!("`{path}` has {how} column `{column}`");
            own.fault = Some(fault(what, format!("its columns are {}", names.join(", "))));
        }
    }

    /// Whether there is a column that nothing is wrong with so far.
    fn goes_on(&self) -> bool {
        self.columns.iter().any(|own| own.fault.is_none())
    }

    /// Ends a page that begins at this byte, with so many rows.
    fn end_page(&mut self, at: u64, bytes: &[u8], rows: u64) -> Result<(), FileFault> {
        let (first_row, checksum) = (self.rows, crc32fast::hash(bytes));
        self.index.push(Entry { first_row, at, bytes: bytes.len(), checksum });
        self.rows += rows;
        let paged = self.columns.iter_mut().filter(|own| !own.is_kept && own.fault.is_none());
        let mut page_bytes = 0;
        for own in paged {
            page_bytes += own.builder.bytes();
            own.builder.forget();
        }
        self.page_bytes_max = self.page_bytes_max.max(page_bytes);
        let is_large = matches!(self.content, Content::Open(_));
        // Of CSV there is less.
        if is_large && page_bytes > 2 * UNIT_BYTES_MAX {
            let (path, bytes) = (self.path, page_bytes >> 20);
            let what = format!("a record batch of `{path}` has {bytes} MiB of values");
            return Err(fault(what, arrow::SMALLER_BATCHES));
        }
        Ok(())
    }

    fn finish(self, table: Table) -> Vec<Result<Sample, FileFault>> {
        let Self { path, content, columns, index, rows, page_bytes_max } = self;
        if rows == 0 {
            let none = |own: &Taken<'_>| {
                let none =
                    || fault(format!("`{path}` has no rows"), "name a file with a row at least");
                Err(own.fault.clone().unwrap_or_else(none))
            };
            return columns.iter().map(none).collect();
        }
        let paged = |own: &&Taken<'_>| !own.is_kept && own.fault.is_none();
        let paged = columns.iter().filter(paged).map(|own| (own.place, own.wanted.sql_type));
        let pages = Pages::new((path, content), table, paged, (index, page_bytes_max));
        let pages = Arc::new(pages);
        let mut numbers = 0..;
        let sample = |Taken { builder, is_kept, fault, .. }: Taken<'_>| match fault {
            Some(fault) => Err(fault),
            None if is_kept => Ok(builder.into()),
            None => {
                let (pages, number) = (Arc::clone(&pages), numbers.next().unwrap_or_default());
                Ok(Sample::paged(&builder, PagedColumn { pages, number }))
            }
        };
        columns.into_iter().map(sample).collect()
    }
}

impl Taken<'_> {
    /// Takes what a value came to; `wrong` says what is wrong with one that is none of the type.
    fn took(
        &mut self,
        path: &str,
        outcome: Result<(), SampleFault>,
        wrong: impl FnOnce() -> FileFault,
    ) {
        match outcome {
            Ok(()) => {}
            Err(SampleFault::Value) => self.fault = Some(wrong()),
            // They are read again, a page at a time.
            Err(SampleFault::TooMany) if self.wanted.cycles && self.is_kept => {
                self.is_kept = false;
                self.builder.forget();
            }
            Err(SampleFault::TooMany) => {
                let what = format!(
                    "`{path}` has more than {VALUES_MAX} values, or more than 4 GiB of them"
                );
                self.fault =
                    Some(fault(what, "write pick = \"cycle\", or take a part of the file"));
            }
        }
    }
}
