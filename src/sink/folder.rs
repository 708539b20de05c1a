//! The results folder: `result.json`, kept current while the run goes on; `latency.hlog`, the
//! histograms of each clock over time; `journal.log`, what became of each row, if there is a stream;
//! `executions.csv`, the queries one by one, if there are any; `gpu.csv`, if there is a GPU; and at the
//! end `report.html`, all of it to look at. Beside it a line for each run: `history.jsonl`.

mod executions;
mod gpu_csv;
mod history;
pub(crate) mod journal;
mod latency_log;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::record::{Interval, QueryTally, StreamTally, Tally};
use crate::report::{PAGE, index_markdown, index_page, markdown, page};
use crate::result::index::Index;
use crate::result::journal::JOURNAL;
use crate::result::{INDEX, JobResult, RESULT};
use crate::series;

use executions::{EXECUTIONS, ExecutionsCsv};
use gpu_csv::{GPU_CSV, GpuCsv};
use journal::Journal;
use latency_log::{LATENCY_LOG, LatencyLog, Line};

use super::{Background, Sink, SinkError, Start};

const SUMMARY: &str = "summary.md";

const ACT_CREATE: &str = "create the results folder";
const FIX_WRITE: &str = "\n  fix: name a folder that you may write to with --output";
const FIX_OTHER: &str = "\n  fix: name another folder with --output; results are never overwritten";

fn failed(act: &'static str, path: &Path, source: io::Error, fix: &'static str) -> SinkError {
    SinkError::File { act, path: path.display().to_string(), source, fix }
}

/// Creates a folder with its parents; returns those that were not there, the innermost first.
fn create_all(path: &Path) -> Result<Vec<PathBuf>, SinkError> {
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty());
    let missing: Vec<_> = missing.take_while(|folder| !folder.exists()).map(Into::into).collect();
    fs::create_dir_all(path).map_err(|source| failed(ACT_CREATE, path, source, FIX_WRITE))?;
    Ok(missing)
}

/// Makes `path` ready for one result or one index; returns the folders that were not there. One that holds either
/// is refused.
fn claim(path: &Path) -> Result<Vec<PathBuf>, SinkError> {
    let created = create_all(path)?;
    match [RESULT, INDEX].map(|name| path.join(name)).into_iter().find(|own| own.exists()) {
        Some(own) => {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            Err(failed("write", &own, source, FIX_OTHER))
        }
        None => Ok(created),
    }
}

/// Creates a folder in `parent` that is ours alone: `name`, or `name-2` and so on if another loader
/// was faster. Returns it, and all folders that were not there, the innermost first.
fn create_new(parent: &Path, name: &str) -> Result<(PathBuf, Vec<PathBuf>), SinkError> {
    let mut created = create_all(parent)?;
    let mut path = parent.join(name);
    for number in 2_u32.. {
        match fs::create_dir(&path) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("{name}-{number}"));
            }
            Err(source) => return Err(failed(ACT_CREATE, &path, source, FIX_WRITE)),
        }
    }
    created.insert(0, path.clone());
    Ok((path, created))
}

/// Replaces a JSON file in one step, so that a reader never sees half of it.
fn save_json(folder: &Path, name: &str, content: &impl serde::Serialize) -> Result<(), SinkError> {
    replace(folder, name, |file| {
        serde_json::to_writer_pretty(&mut *file, content)?;
        file.write_all(b"\n")
    })
}

/// Replaces a text file in one step.
fn save_text(folder: &Path, name: &str, text: &str) -> Result<(), SinkError> {
    replace(folder, name, |file| file.write_all(text.as_bytes()))
}

/// Writes a page to a file in one step.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_page(file: &Path, page: &str) -> Result<(), SinkError> {
    let folder = file.parent().unwrap_or(Path::new(""));
    save_text(folder, &name_of(file), page)
}

/// Looks whether a page can be written to a file, and leaves nothing behind.
///
/// # Errors
/// When it cannot.
pub(crate) fn check_page(file: &Path) -> Result<(), SinkError> {
    let new = new_of(file.parent().unwrap_or(Path::new("")), &name_of(file));
    let is_folder = file.is_dir().then(|| io::Error::from(io::ErrorKind::IsADirectory));
    let tried = is_folder.map_or_else(|| File::create(&new).map(drop), Err);
    let tried = tried.and_then(|()| fs::remove_file(&new));
    tried.map_err(|source| failed("write", file, source, FIX_WRITE))
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where a file is written before it takes its place.
fn new_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.new"))
}

/// Writes a page beside what it shows. Without it nothing is lost: `report` makes it again.
fn save_page(folder: &Path, page: &str) {
    if let Err(error) = save_text(folder, PAGE, page) {
        tracing::warn!("{error}\n  fix: `strom-load report` makes it of the results folder");
    }
}

fn replace(
    folder: &Path,
    name: &str,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), SinkError> {
    let new = new_of(folder, name);
    let write = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(&new)?);
        content(&mut file)?;
        file.into_inner()?.sync_all()?;
        fs::rename(&new, folder.join(name))
    };
    write().map_err(|source| {
        // Half a file is of no use, and on a full disk its space is.
        let _ = fs::remove_file(&new);
        failed("write", &folder.join(name), source, "")
    })
}

/// Writes the results folder.
pub(crate) struct Folder {
    path: PathBuf,
    log: LatencyLog,
    /// `None` without a stream.
    journal: Option<Journal>,
    /// `None` without a query.
    executions: Option<ExecutionsCsv>,
    /// `None` without a GPU.
    gpus: Option<GpuCsv>,
    /// One for each query and arm, as in [`Interval::queries`].
    query_tags: Vec<String>,
    /// Folders that were not there before, the innermost first.
    created: Vec<PathBuf>,
    /// How many folders above this one the history is kept.
    levels: usize,
    begun: bool,
    /// Its lock tells others that we live. Not every file system has locks.
    _lock: Option<File>,
}

impl Folder {
    /// Opens the folder `path`, created if need be, for one result.
    ///
    /// # Errors
    /// When it cannot be written, or already holds a result.
    pub(crate) fn open(path: &Path) -> Result<Self, SinkError> {
        let created = claim(path)?;
        Self::with_files(path.to_owned(), created)
    }

    /// Creates a folder in `parent` that is ours alone: `name`, or `name-2` and so on if another
    /// loader was faster.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open_new(parent: &Path, name: &str) -> Result<Self, SinkError> {
        let (path, created) = create_new(parent, name)?;
        Self::with_files(path, created)
    }

    fn with_files(path: PathBuf, created: Vec<PathBuf>) -> Result<Self, SinkError> {
        let log = LatencyLog::create(&path)
            .map_err(|source| failed("create", &path.join(LATENCY_LOG), source, FIX_WRITE))?;
        let lock = File::open(&path).ok().filter(|folder| folder.try_lock().is_ok());
        Ok(Self {
            _lock: lock,
            path,
            created,
            levels: 1,
            begun: false,
            log,
            journal: None,
            executions: None,
            gpus: None,
            query_tags: Vec::new(),
        })
    }

    /// The same, within the folder of several runs: the history is kept beside that one.
    pub(crate) fn within_index(mut self) -> Self {
        self.levels = 2;
        self
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn unwritten(&self, file: &str, source: io::Error) -> SinkError {
        failed("write", &self.path.join(file), source, "")
    }

    /// The files that were begun, whose ends are where they belong only if nobody has removed them since.
    fn still_there(&self) -> Result<(), SinkError> {
        let begun = [
            (LATENCY_LOG, true),
            (EXECUTIONS, self.executions.is_some()),
            (GPU_CSV, self.gpus.is_some()),
            (JOURNAL, self.journal.is_some()),
        ];
        let lost = begun.iter().filter(|(name, begun)| *begun && !self.path.join(name).exists());
        let lost: Vec<&str> = lost.map(|(name, _)| *name).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let source = io::Error::new(
            io::ErrorKind::NotFound,
            "removed by somebody while the job went on, with what was in it",
        );
        Err(self.unwritten(&lost.join(", "), source))
    }

    fn save(&self, result: &JobResult) -> Result<(), SinkError> {
        save_json(&self.path, RESULT, result)?;
        save_text(&self.path, SUMMARY, &markdown(result))
    }
}

/// The folder of several runs: each in a folder of its own, and an index.
pub(crate) struct IndexFolder {
    path: PathBuf,
}

impl IndexFolder {
    /// Opens the folder `path`, created if need be, for one index.
    ///
    /// # Errors
    /// When it cannot be written, or already holds results.
    pub(crate) fn open(path: &Path) -> Result<Self, SinkError> {
        claim(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Creates a folder in `parent` that is ours alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open_new(parent: &Path, name: &str) -> Result<Self, SinkError> {
        let (path, _) = create_new(parent, name)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Saves the index so far, for people and for programs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, index: &Index) -> Result<(), SinkError> {
        save_json(&self.path, INDEX, index)?;
        save_text(&self.path, SUMMARY, &index_markdown(index))?;
        save_page(&self.path, &index_page(index));
        Ok(())
    }
}

/// A run that never began leaves nothing behind.
impl Drop for Folder {
    fn drop(&mut self) {
        if !self.begun {
            // Best effort: there is no result that could be lost.
            let _ = fs::remove_file(self.path.join(LATENCY_LOG));
            for folder in &self.created {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

impl Sink for Folder {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), SinkError> {
        self.begun = true;
        let tags = start.query_arms().map(|(query, arm)| format!("query.{query}.{arm}"));
        self.query_tags = tags.collect();
        if !start.queries.is_empty() {
            let created = ExecutionsCsv::create(&self.path, start.query_arms());
            self.executions = Some(created.map_err(|source| self.unwritten(EXECUTIONS, source))?);
        }
        if !start.gpus.gpus.is_empty() {
            let created = GpuCsv::create(&self.path, start.started_at, &start.gpus.gpus);
            self.gpus = Some(created.map_err(|source| self.unwritten(GPU_CSV, source))?);
        }
        if let Some(stream) = start.stream {
            let numbers: Vec<u32> = stream.lanes.iter().map(|lane| lane.number).collect();
            let created = Journal::create(&self.path, start.started_at, &numbers);
            self.journal = Some(created.map_err(|source| self.unwritten(JOURNAL, source))?);
        }
        let written = self.log.begin(start.started_at);
        written.map_err(|source| self.unwritten(LATENCY_LOG, source))
    }

    fn background(&mut self) -> Option<Background> {
        let writing = self.journal.as_mut()?.writing()?;
        Some(Box::new(writing))
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), SinkError> {
        // First, as it must lose nothing: whatever fails, the others are tried again.
        let noted = self.journal.as_ref().map_or(Ok(()), |journal| {
            journal.note(interval.start + interval.length, &interval.lanes)
        });
        let mut stream = StreamTally::default();
        interval.lanes.iter().for_each(|lane| stream.merge(&lane.tally));
        let (start, length) = (interval.start, interval.length);
        let line = |tag, times| Line { start, length, tag, times };
        let mut lines = vec![
            line("wait", &stream.batch.wait),
            line("service", &stream.batch.service),
            line("response", &stream.batch.response),
            line("row", &stream.row),
            line("own_delay", &stream.own_delay),
        ];
        let queries: &[QueryTally] = &interval.queries;
        lines.extend(
            self.query_tags
                .iter()
                .zip(queries)
                .map(|(tag, tally)| line(tag, &tally.times.response)),
        );
        let written = self.log.write(start + length, &lines);
        written.map_err(|source| self.unwritten(LATENCY_LOG, source))?;
        let written = self.executions.as_mut().map_or(Ok(()), |file| file.write(queries));
        written.map_err(|source| self.unwritten(EXECUTIONS, source))?;
        let written = self.gpus.as_mut().map_or(Ok(()), |gpus| gpus.write(interval));
        written.map_err(|source| self.unwritten(GPU_CSV, source))?;
        noted.map_err(|source| self.unwritten(JOURNAL, source))
    }

    fn checkpoint(&mut self, result: &JobResult) -> Result<(), SinkError> {
        self.save(result)
    }

    fn finish(mut self: Box<Self>, result: &JobResult) -> Result<(), SinkError> {
        let written = self.journal.as_mut().map_or(Ok(()), Journal::finish);
        self.save(result)?;
        save_page(&self.path, &page(result, &series::read(&self.path, &result.started_at)));
        history::note(&self.path, self.levels, result);
        self.still_there()?;
        written.map_err(|source| self.unwritten(JOURNAL, source))?;
        let synced = self.log.finish();
        synced.map_err(|source| self.unwritten(LATENCY_LOG, source))?;
        let synced = self.executions.as_ref().map_or(Ok(()), ExecutionsCsv::sync);
        synced.map_err(|source| self.unwritten(EXECUTIONS, source))?;
        let synced = self.gpus.as_ref().map_or(Ok(()), GpuCsv::sync);
        synced.map_err(|source| self.unwritten(GPU_CSV, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_results_takes_no_others() {
        let folder = tempfile::tempdir().unwrap();
        for name in [RESULT, INDEX] {
            let own = folder.path().join(name);
            fs::write(&own, "theirs").unwrap();
            let refused = [
                Folder::open(folder.path()).err().map(|error| error.to_string()),
                IndexFolder::open(folder.path()).err().map(|error| error.to_string()),
            ];
            for refused in refused.map(Option::unwrap_or_default) {
                assert!(
                    refused.contains(name) && refused.contains("never overwritten"),
                    "{refused}"
                );
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            fs::remove_file(own).unwrap();
        }
    }

    #[test]
    fn where_no_page_can_be_written_is_found_before_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_page(&folder.path().join("none/x.html")).is_err());
        assert!(check_page(folder.path()).is_err());
        check_page(&folder.path().join("x.html")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        save_text(folder.path(), "summary.md", "whole").unwrap();
        let full = replace(folder.path(), "summary.md", |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(full.is_err());
        assert_eq!(fs::read_to_string(folder.path().join("summary.md")).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
