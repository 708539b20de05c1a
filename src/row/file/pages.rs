//! Values that stay in their file: where each page of it begins, and the pages that are in memory, for all who
//! send them.
//!
//! A page is read, held against its checksum, and decoded once for all columns that are taken of it. Who reads it
//! in a task waits for that: a page of CSV is read and decoded in about a millisecond.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Content, FileFault, Table, arrow, csv};
use crate::row::ColumnType;
use crate::row::fields::{Fields, NULL, SampleBuilder};

/// Fields of pages that are kept for whoever comes next, in bytes; one page at least is.
const RECENT_BYTES: usize = 16 << 20;
/// Most pages that are kept so.
const RECENT_PAGES: usize = 16;

/// Where a page is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its first row.
    pub(super) first_row: u64,
    /// Where its bytes begin, and how many they are.
    pub(super) at: u64,
    pub(super) bytes: usize,
    /// Of these bytes.
    pub(super) checksum: u32,
}

/// The pages of a file.
#[derive(Debug)]
pub(crate) struct Pages {
    path: String,
    content: Content,
    table: Table,
    /// The places of the columns in the file that are taken of it, and their types.
    places: Vec<usize>,
    types: Vec<ColumnType>,
    index: Vec<Entry>,
    /// Bytes of the largest page's fields.
    page_bytes_max: usize,
    recent: Mutex<Vec<Recent>>,
    fault: OnceLock<FileFault>,
}

/// A page that was asked for last, and its number. Whoever comes first reads it.
type Recent = (usize, Arc<OnceLock<Option<Arc<Page>>>>);

/// A page in memory.
#[derive(Debug)]
struct Page {
    first_row: u64,
    rows: u64,
    columns: Vec<Fields>,
}

impl Pages {
    /// Of a file and where its pages are, of which these columns are taken, with their places in it. The fields of
    /// no page have more bytes than `page_bytes_max`.
    pub(super) fn new(
        (path, content): (&str, &Content),
        table: Table,
        columns: impl Iterator<Item = (usize, ColumnType)>,
        (index, page_bytes_max): (Vec<Entry>, usize),
    ) -> Self {
        let (places, types) = columns.unzip();
        Self {
            path: path.to_owned(),
            content: content.clone(),
            table,
            places,
            types,
            index,
            page_bytes_max,
            recent: Mutex::default(),
            fault: OnceLock::new(),
        }
    }

    /// What is wrong with the file since its pages were found, once somebody has met it.
    pub(crate) fn fault(&self) -> Option<&FileFault> {
        self.fault.get()
    }

    /// The page with a row; `None`: there is a fault.
    fn page(&self, row: u64) -> Option<Arc<Page>> {
        let number = self.index.partition_point(|entry| entry.first_row <= row).checked_sub(1)?;
        let page = self.recent(number);
        let page = page.get_or_init(|| match self.read(number) {
            Ok(page) => Some(Arc::new(page)),
            Err(fault) => {
                // The first one is told.
                let _ = self.fault.set(fault);
                None
            }
        });
        page.clone()
    }

    /// A page's place among those that were asked for last.
    fn recent(&self, number: usize) -> Arc<OnceLock<Option<Arc<Page>>>> {
        // Nothing is left half-done in it.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent.iter().position(|(own, _)| *own == number);
        let own = found.map_or_else(|| (number, Arc::default()), |at| recent.remove(at));
        let page = Arc::clone(&own.1);
        recent.push(own);
        let kept = (RECENT_BYTES / self.page_bytes_max.max(1)).clamp(1, RECENT_PAGES);
        let over = recent.len().saturating_sub(kept);
        recent.drain(..over);
        page
    }

    fn read(&self, number: usize) -> Result<Page, FileFault> {
        let fault = |what| FileFault {
            what,
            fix: "leave the file as it is while a run reads it".to_owned(),
        };
        let changed = || fault(format!("`{}` is not what it was when the run began", self.path));
        if let Some(what) = self.content.change() {
            return Err(fault(what));
        }
        let entry = self.index[number];
        let mut bytes = vec![0; entry.bytes];
        self.content
            .read_at(entry.at, &mut bytes)
            .map_err(|error| fault(format!("failed to read `{}`: {error}", self.path)))?;
        if crc32fast::hash(&bytes) != entry.checksum {
            return Err(changed());
        }
        let types = self.types.iter();
        let mut builders: Vec<_> = types.map(|sql_type| SampleBuilder::new(*sql_type)).collect();
        // They were decoded before, with the same checksum.
        let rows = match &self.table {
            Table::Csv(table) => csv::decode(table, &bytes, &self.places, &mut builders),
            Table::Arrow(table) => arrow::decode(table, number, bytes, &self.places, &mut builders),
        };
        let rows = rows.ok_or_else(changed)?;
        let columns = builders.into_iter().map(SampleBuilder::into_fields).collect();
        Ok(Page { first_row: entry.first_row, rows, columns })
    }
}

/// A column of values that stay in their file. Clones share the pages.
#[derive(Debug, Clone)]
pub(crate) struct PagedColumn {
    pub(super) pages: Arc<Pages>,
    /// Which of the columns it is that are taken of the file.
    pub(super) number: usize,
}

impl PagedColumn {
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { column: self.clone(), page: None }
    }
}

/// Writes the values of a column, and holds the page that it is at.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    column: PagedColumn,
    page: Option<Arc<Page>>,
}

impl Cursor {
    /// The pages that it goes over.
    pub(crate) fn pages(&self) -> &Arc<Pages> {
        &self.column.pages
    }

    /// Writes the value of one of the file's rows, with its length before it; returns how many bytes that takes. If
    /// it cannot be read it is NULL, and the pages have a fault.
    #[inline]
    pub(crate) fn write(&mut self, row: u64, space: &mut [u8]) -> usize {
        let within = |page: &Arc<Page>| row.wrapping_sub(page.first_row) < page.rows;
        if !self.page.as_ref().is_some_and(within) {
            self.page = self.column.pages.page(row);
        }
        match &self.page {
            Some(page) => {
                let at = (row - page.first_row) as usize;
                page.columns[self.column.number].write(at, space)
            }
            None => {
                space[..NULL.len()].copy_from_slice(&NULL);
                NULL.len()
            }
        }
    }
}
