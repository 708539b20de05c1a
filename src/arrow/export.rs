//! A table or query as an Arrow IPC file: COPY BINARY in, record batches out.

use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Field, Schema};
use tempfile::NamedTempFile;

use crate::pg::{self, Session};
use crate::plan::{Caret, TableName};
pub use crate::result::table::{Exported, ExportedColumn};

use super::column::{Column, Unsupported};
use super::draft::Destination;

/// Rows between two words of progress.
const PROGRESS_ROWS: u64 = 16 * 1024;

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// All columns and rows of a table, view or anything else that can be selected from.
    Table(TableName),
    /// The answer of a query: one SELECT, VALUES or the like.
    Query(String),
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportOptions {
    /// Most rows of a record batch.
    pub batch_rows: u64,
    /// A record batch that has come to this many bytes of COPY BINARY is closed.
    pub batch_bytes: u64,
    /// Whether a file of that name may be replaced.
    pub replace: bool,
}

impl ExportOptions {
    /// Most that `batch_bytes` counts for. The server sends no row above 1 GiB, so that no column
    /// of a batch ever outgrows 32-bit offsets.
    pub const BATCH_BYTES_MAX: u64 = 1 << 29;
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { batch_rows: 1 << 20, batch_bytes: 128 << 20, replace: false }
    }
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server failed, or refused the query.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The server does not take the query.
    #[error("{error}\n  fix: {fix}{caret}")]
    Query {
        /// What it says.
        error: pg::Error,
        /// What mends it.
        fix: String,
        /// The place in a query that was given, as lines of their own; may be empty.
        caret: String,
    },
    /// A file or folder is in the way, is missing, or full.
    #[error("failed to write `{path}`: {source}\n  fix: {fix}")]
    File {
        /// The file asked for.
        path: String,
        /// What happened.
        source: io::Error,
        /// What mends it.
        fix: &'static str,
    },
    /// A table without columns.
    #[error("there are no columns to write\n  fix: name a table, or give a query, that has some")]
    NoColumns,
    /// A column whose type has no form in the file.
    #[error(
        "column `{column}`: {fact}\n  fix: cast it in a query, such as SELECT {column}::{cast}"
    )]
    Type {
        /// The column.
        column: String,
        /// What about its type.
        fact: String,
        /// A type that it may be cast to.
        cast: &'static str,
    },
    /// A value that has no form in the file.
    #[error(
        "column `{column}`, row {row}: {fact}\n  fix: leave such rows out with a query, or make \
         the value NULL there"
    )]
    Value {
        /// The column.
        column: String,
        /// The row's number, from 1, in the order that the server sent them.
        row: u64,
        /// What about the value.
        fact: String,
    },
    /// What came is not what the server said would come.
    #[error("row {row} is not in the binary form of its columns")]
    Malformed {
        /// The row's number, from 1.
        row: u64,
    },
    /// The Arrow library refused a batch.
    #[error("failed to make a record batch: {0}")]
    Arrow(ArrowError),
}

impl ExportError {
    /// Whether it was found out before anything was read.
    pub fn is_early(&self) -> bool {
        match self {
            Self::Type { .. } | Self::NoColumns | Self::Query { .. } => true,
            Self::File { source, .. } => source.kind() != io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

impl Source {
    fn query(&self) -> String {
        match self {
            Self::Table(table) => format!("SELECT * FROM {table}"),
            // COPY takes it in parentheses.
            Self::Query(sql) => sql.trim_end_matches([';', ' ', '\t', '\n', '\r']).to_owned(),
        }
    }

    /// The server does not take the query, or is lost.
    fn refused(&self, error: pg::Error) -> ExportError {
        if error.is_lost() {
            return error.into();
        }
        let caret = match self {
            Self::Table(_) => None,
            Self::Query(sql) => error.position().and_then(|at| Caret::at(sql, at)),
        };
        let caret = caret.map_or_else(String::new, |caret| format!("\n{caret}"));
        let fix = match (self, error.sqlstate()) {
            (Self::Table(table), Some("42501")) => {
                format!("let the owner run: GRANT SELECT ON {table} TO …")
            }
            (Self::Table(_), _) => {
                "name a table or view that is there, with its schema if need be".to_owned()
            }
            (Self::Query(_), Some("42501")) => {
                "let the owner of what it reads grant SELECT on it".to_owned()
            }
            (Self::Query(_), _) => "correct it; it is one SELECT, VALUES or TABLE".to_owned(),
        };
        ExportError::Query { error, fix, caret: caret.replace('\n', "\n  ") }
    }
}

/// Writes what `source` holds, as of one moment, to an Arrow IPC file at `path`. The file appears
/// when it is whole; until then it has another name in the same folder, and it goes when this
/// fails or is dropped. `progress` is told the rows so far.
///
/// The session must not be in a transaction. A finished batch is written by the task that reads:
/// meanwhile the server waits.
///
/// # Errors
/// When the file cannot be written, a type or value has no form in Arrow, or the server fails.
pub async fn export(
    session: &mut Session,
    source: &Source,
    path: &Path,
    options: ExportOptions,
    progress: impl FnMut(u64),
) -> Result<Exported, ExportError> {
    let place = Place(path);
    let destination =
        Destination::new(path, options.replace).map_err(|error| place.fault(error))?;
    let draft = destination.draft().map_err(|error| place.fault(error))?;
    // Read only: a query given by hand changes nothing.
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    session.execute("begin", begin).await?;
    let written = read_and_write(session, source, draft, place, options, progress).await;
    let ended = session.execute("end the transaction", "ROLLBACK").await;
    let (draft, mut exported) = written?;
    ended?;
    exported.bytes = destination.publish(draft).map_err(|error| place.fault(error))?;
    Ok(exported)
}

async fn read_and_write(
    session: &mut Session,
    source: &Source,
    draft: NamedTempFile,
    place: Place<'_>,
    options: ExportOptions,
    mut progress: impl FnMut(u64),
) -> Result<(NamedTempFile, Exported), ExportError> {
    let query = source.query();
    let typed = session.typed_columns(&query).await.map_err(|error| source.refused(error))?;
    if typed.is_empty() {
        return Err(ExportError::NoColumns);
    }
    let (mut columns, mut fields) = (Vec::new(), Vec::new());
    for column in typed {
        let made = Column::new(&column.result_type);
        let (collected, data_type) = made.map_err(|Unsupported { fact, cast }| {
            ExportError::Type { column: column.name.clone(), fact, cast }
        })?;
        columns.push(collected);
        fields.push(Field::new(column.name, data_type, true));
    }
    let schema = Arc::new(Schema::new(fields));
    let file = FileWriter::try_new(BufWriter::new(draft), &schema);
    let file = file.map_err(|error| place.writing(error))?;
    let mut writer = Writer {
        columns,
        schema,
        file,
        place,
        options,
        rows: 0,
        batches: 0,
        batch_rows: 0,
        batch_bytes: 0,
    };
    let each = |tuple: &[u8]| -> Result<(), ExportError> {
        writer.append(tuple)?;
        if writer.rows.is_multiple_of(PROGRESS_ROWS) {
            progress(writer.rows);
        }
        Ok(())
    };
    let read = session.try_read_back(&query, each).await;
    read.map_err(|error| match error.sqlstate() {
        // Rights are asked for when the query begins.
        Some("42501") => source.refused(error),
        _ => error.into(),
    })??;
    writer.finish()
}

/// The file asked for, for errors: the draft's name says nothing to anybody.
#[derive(Clone, Copy)]
struct Place<'a>(&'a Path);

impl Place<'_> {
    fn fault(self, source: io::Error) -> ExportError {
        let fix = match source.kind() {
            io::ErrorKind::AlreadyExists => "name another file, or allow it with --replace",
            io::ErrorKind::IsADirectory => "name a file in that folder",
            io::ErrorKind::NotFound => "create its folder first",
            io::ErrorKind::StorageFull => {
                "free space there or name a file on another disk; nothing is left of this one"
            }
            _ => "name a file in a folder that this account can write to",
        };
        ExportError::File { path: self.0.display().to_string(), source, fix }
    }

    fn writing(self, error: ArrowError) -> ExportError {
        match error {
            ArrowError::IoError(_, source) => self.fault(source),
            error => ExportError::Arrow(error),
        }
    }
}

/// Collects rows and writes a record batch whenever one is full.
struct Writer<'a> {
    columns: Vec<Column>,
    schema: Arc<Schema>,
    file: FileWriter<BufWriter<NamedTempFile>>,
    place: Place<'a>,
    options: ExportOptions,
    rows: u64,
    batches: u64,
    batch_rows: u64,
    batch_bytes: u64,
}

impl Writer<'_> {
    fn append(&mut self, tuple: &[u8]) -> Result<(), ExportError> {
        let row = self.rows + 1;
        let malformed = || ExportError::Malformed { row };
        let (count, mut rest) = tuple.split_first_chunk().ok_or_else(malformed)?;
        if usize::try_from(i16::from_be_bytes(*count)) != Ok(self.columns.len()) {
            return Err(malformed());
        }
        for (number, column) in self.columns.iter_mut().enumerate() {
            let (length, after) = rest.split_first_chunk().ok_or_else(malformed)?;
            let (field, after) = match i32::from_be_bytes(*length) {
                -1 => (None, after),
                length => {
                    let length = usize::try_from(length).map_err(|_| malformed())?;
                    let (field, after) = after.split_at_checked(length).ok_or_else(malformed)?;
                    (Some(field), after)
                }
            };
            column.append(field).map_err(|fact| ExportError::Value {
                column: self.schema.field(number).name().clone(),
                row,
                fact: fact.to_string(),
            })?;
            rest = after;
        }
        self.rows = row;
        self.batch_rows += 1;
        self.batch_bytes += tuple.len() as u64;
        let bytes_max = self.options.batch_bytes.min(ExportOptions::BATCH_BYTES_MAX);
        if self.batch_rows >= self.options.batch_rows || self.batch_bytes >= bytes_max {
            self.write_batch()?;
        }
        Ok(())
    }

    fn write_batch(&mut self) -> Result<(), ExportError> {
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        let batch = batch.map_err(ExportError::Arrow)?;
        self.file.write(&batch).map_err(|error| self.place.writing(error))?;
        self.batches += 1;
        (self.batch_rows, self.batch_bytes) = (0, 0);
        Ok(())
    }

    fn finish(mut self) -> Result<(NamedTempFile, Exported), ExportError> {
        if self.batch_rows > 0 {
            self.write_batch()?;
        }
        self.file.finish().map_err(|error| self.place.writing(error))?;
        let file = self.file.into_inner().map_err(|error| self.place.writing(error))?;
        let draft = file.into_inner().map_err(|error| self.place.fault(error.into_error()))?;
        let fields = self.schema.fields().iter();
        let columns = fields.map(|field| ExportedColumn {
            name: field.name().clone(),
            arrow_type: field.data_type().to_string(),
        });
        let exported = Exported {
            rows: self.rows,
            bytes: 0,
            batches: self.batches,
            columns: columns.collect(),
        };
        Ok((draft, exported))
    }
}
