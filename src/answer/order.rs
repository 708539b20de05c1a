//! Whether two answers with the same rows have them in the same order: by the columns of the outermost
//! ORDER BY, at each place. Rows that tie in those may come in any order.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use super::AnswerError;
use super::column::{Column, Kind};
use super::tolerance::Tolerance;
use super::value::{HASH_BYTES, named, numbers};
use crate::plan::Outline;
use crate::result::answers::OutOfOrder;

/// What an answer is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderedBy {
    /// The columns that decide first, in their order.
    pub(super) columns: Vec<usize>,
    /// Whether more decides after those, which the answer does not show.
    pub(super) hidden: bool,
}

impl OrderedBy {
    /// What the outermost ORDER BY of a query says; `None` if it has none.
    pub(super) fn of_query(sql: &str, columns: &[Column]) -> Option<Self> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let keys = Outline::read(sql).order_columns(&names);
        let is_shown = |key: &Option<usize>| {
            // Rows with the same text tie; of other kinds those with another text may, too.
            key.is_some_and(|at| !matches!(columns[at].kind, Kind::Other | Kind::Mixed))
        };
        let shown: Vec<usize> =
            keys.iter().take_while(|key| is_shown(key)).filter_map(|key| *key).collect();
        (!keys.is_empty()).then_some(Self { hidden: shown.len() < keys.len(), columns: shown })
    }

    /// What the profile declares; `None` if that is nothing.
    pub(super) fn declared(
        names: &[String],
        columns: &[Column],
    ) -> Result<Option<Self>, AnswerError> {
        let place = |name: &String| {
            let at = columns.iter().position(|column| column.name == *name);
            at.ok_or_else(|| AnswerError::NoColumn { key: "order_by", name: name.clone() })
        };
        let columns = names.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        Ok((!columns.is_empty()).then_some(Self { columns, hidden: false }))
    }
}

/// The rows of an answer as they came: what each is ordered by, what it is compared by where more
/// decides, and what is shown of it.
pub(super) struct Sequence {
    held: Vec<u8>,
    file: Option<BufWriter<File>>,
    memory_bytes: usize,
    left_bytes: u64,
}

impl Sequence {
    pub(super) fn new(memory_bytes: usize, disk_bytes: u64) -> Self {
        Self { held: Vec::new(), file: None, memory_bytes, left_bytes: disk_bytes }
    }

    pub(super) fn add(&mut self, parts: [&[u8]; 3]) -> Result<(), AnswerError> {
        for part in parts {
            self.held.extend_from_slice(&(part.len() as u32).to_le_bytes());
            self.held.extend_from_slice(part);
        }
        if self.held.len() > self.memory_bytes {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(BufWriter::new(tempfile::tempfile()?)),
            };
            file.write_all(&self.held)?;
            let left = self.left_bytes.checked_sub(self.held.len() as u64);
            self.left_bytes = left.ok_or(AnswerError::TooLarge { bytes: self.left_bytes })?;
            self.held.clear();
        }
        Ok(())
    }

    fn read(self) -> io::Result<Box<dyn Read + Send>> {
        let held = io::Cursor::new(self.held);
        let Some(file) = self.file else { return Ok(Box::new(held)) };
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(BufReader::new(file).chain(held)))
    }
}

/// A row of a sequence.
#[derive(Default)]
struct Step([Vec<u8>; 3]);

impl Step {
    /// Reads the next row; whether there was one.
    fn next(&mut self, from: &mut dyn Read) -> io::Result<bool> {
        for (at, part) in self.0.iter_mut().enumerate() {
            let mut length = [0; 4];
            match from.read_exact(&mut length) {
                Err(error) if at == 0 && error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(false);
                }
                read => read?,
            }
            part.resize(u32::from_le_bytes(length) as usize, 0);
            from.read_exact(part)?;
        }
        Ok(true)
    }
}

/// Compares the order of two answers that have the same rows; the first place where it differs.
///
/// # Errors
/// When it cannot be told, as hidden keys decide; or cannot be read.
pub(super) async fn compare(
    [first, second]: [Sequence; 2],
    order: &OrderedBy,
    labels: &[String],
    tolerances: &[Tolerance],
) -> Result<Option<OutOfOrder>, AnswerError> {
    let (mut first, mut second) = (first.read()?, second.read()?);
    let (mut a, mut b) = (Step::default(), Step::default());
    let mut row = 0_u64;
    let mut swapped = false;
    while a.next(&mut first)? && b.next(&mut second)? {
        row += 1;
        if row.is_multiple_of(8192) {
            tokio::task::yield_now().await;
        }
        if !same(&a.0[0], &b.0[0], tolerances) {
            let shown =
                |step: &Step| named(order.columns.iter().map(|at| &labels[*at]), &step.0[2]);
            return Ok(Some(OutOfOrder { row, keys: [shown(&a), shown(&b)] }));
        }
        swapped |= order.hidden && !same(&a.0[1], &b.0[1], tolerances);
    }
    if swapped { Err(AnswerError::OrderUnknown) } else { Ok(None) }
}

fn same(a: &[u8], b: &[u8], tolerances: &[Tolerance]) -> bool {
    let both = || numbers(a).zip(numbers(b));
    a == b
        || (a.len() == b.len()
            && a.get(..HASH_BYTES) == b.get(..HASH_BYTES)
            && both().all(|((column, a), (_, b))| tolerances[column].same(a, b).is_some()))
}
