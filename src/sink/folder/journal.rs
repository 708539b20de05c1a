//! Writes `journal.log`: each second what became of rows since the last one. A thread of its own waits
//! for the disk. What could not be written is kept, merged, and written with what comes next.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::record::{Account, LaneInterval};
use crate::result::journal::{JOURNAL, Lines};

const NEW: &str = "journal.log.new";

/// At this length it is written anew, with neighbouring rows merged: two days of three lanes.
const BYTES_MAX: u64 = 16 << 20;

/// The journal of a stream that goes on.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    /// Until it has a thread.
    pub(crate) writer: Option<Writer>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By lane.
    unwritten: Vec<Account>,
    /// When the last of it was known, since the start of the schedule.
    at: Duration,
    /// Whether there was an interval since the writer last looked.
    is_fresh: bool,
    /// Nothing more will come.
    is_closed: bool,
    /// The writer is gone.
    is_done: bool,
    /// Why the writer failed, until that is told.
    error: Option<io::Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }
}

impl Journal {
    /// Creates the journal of a stream with these lanes, whose schedule begins at `start`.
    pub(crate) fn create(folder: &Path, start: SystemTime, lanes: &[u32]) -> io::Result<Self> {
        let unwritten = vec![Account::default(); lanes.len()];
        let state = State { unwritten: unwritten.clone(), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), ..Shared::default() });
        let since = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            folder: folder.to_owned(),
            origin_us: i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            lanes: lanes.to_vec(),
            written: Vec::new(),
            file: None,
            lines: Lines::default(),
            bytes: 0,
            bytes_max: BYTES_MAX,
        };
        writer.write_anew(unwritten, Duration::ZERO)?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// What a thread has to do from now on until the end.
    pub(super) fn writing(&mut self) -> Option<impl FnOnce() + Send + use<>> {
        self.writer.take().map(|mut writer| move || while writer.step() {})
    }

    /// Takes what became known until `at`, by lane; says if the last could not be written.
    pub(crate) fn note(&self, at: Duration, lanes: &[LaneInterval]) -> io::Result<()> {
        let mut state = self.shared.lock();
        for (unwritten, lane) in state.unwritten.iter_mut().zip(lanes) {
            unwritten.append(&lane.tally.account);
        }
        state.at = at;
        state.is_fresh = true;
        self.shared.changed.notify_all();
        state.error.take().map_or(Ok(()), Err)
    }

    /// Waits until all is written.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.shared.close();
        if let Some(writing) = self.writing() {
            writing();
        }
        let mut state = self.shared.lock();
        while !state.is_done {
            state = self.shared.wait(state);
        }
        state.error.take().map_or(Ok(()), Err)
    }
}

/// Its thread ends too.
impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// What writes it.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    folder: PathBuf,
    origin_us: i64,
    /// Their numbers.
    lanes: Vec<u32>,
    /// What the file says, by lane.
    written: Vec<Account>,
    /// `None` once it failed: nobody knows what it holds.
    file: Option<File>,
    lines: Lines,
    bytes: u64,
    /// When it is written anew.
    bytes_max: u64,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().is_done = true;
        self.shared.changed.notify_all();
    }
}

impl Writer {
    /// Waits for something to write, and writes it; whether more may come.
    pub(crate) fn step(&mut self) -> bool {
        let (unwritten, at, is_closed) = {
            let mut state = self.shared.lock();
            while !state.is_fresh && !state.is_closed {
                state = self.shared.wait(state);
            }
            state.is_fresh = false;
            let nothing = vec![Account::default(); self.lanes.len()];
            let unwritten = std::mem::replace(&mut state.unwritten, nothing);
            (unwritten, state.at, state.is_closed)
        };
        if let Err(error) = self.write(&unwritten, at) {
            self.file = None;
            let mut state = self.shared.lock();
            add(&mut state.unwritten, &unwritten);
            state.error = Some(error);
        }
        !is_closed
    }

    fn write(&mut self, unwritten: &[Account], at: Duration) -> io::Result<()> {
        if unwritten.iter().all(Account::is_empty) && self.file.is_some() {
            return Ok(());
        }
        let (mut text, mut lines) = (String::new(), self.lines);
        for (number, account) in self.lanes.iter().zip(unwritten) {
            lines.account(&mut text, at, *number, account);
        }
        lines.known(&mut text, at);
        // Somebody may have removed it, with the folder or without.
        let is_there = |file: &&mut File| file.metadata().is_ok_and(|is| is.nlink() > 0);
        let length = self.bytes + text.len() as u64;
        match self.file.as_mut().filter(is_there) {
            Some(file) if length <= self.bytes_max => {
                file.write_all(text.as_bytes())?;
                file.sync_data()?;
                (self.lines, self.bytes) = (lines, length);
                add(&mut self.written, unwritten);
            }
            _ => {
                let mut all = self.written.clone();
                add(&mut all, unwritten);
                self.write_anew(all, at)?;
            }
        }
        Ok(())
    }

    /// Writes all that is known, in the place of what is there.
    fn write_anew(&mut self, all: Vec<Account>, at: Duration) -> io::Result<()> {
        let (mut text, mut lines) = (String::new(), Lines::default());
        lines.head(&mut text, self.origin_us);
        for (number, account) in self.lanes.iter().zip(&all) {
            lines.account(&mut text, at, *number, account);
        }
        lines.known(&mut text, at);
        let new = self.folder.join(NEW);
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, self.folder.join(JOURNAL))?;
            Ok(file)
        };
        let file = write().inspect_err(|_: &io::Error| {
            // Half a file is of no use, and on a full disk its space is.
            let _ = fs::remove_file(&new);
        })?;
        let bytes = text.len() as u64;
        (self.file, self.lines, self.bytes, self.written) = (Some(file), lines, bytes, all);
        self.bytes_max = BYTES_MAX.max(bytes * 2);
        Ok(())
    }
}

fn add(to: &mut [Account], more: &[Account]) {
    to.iter_mut().zip(more).for_each(|(to, account)| to.append(account));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StreamTally;
    use crate::result::journal;

    fn interval(partitions: &[(u64, u64)]) -> Vec<LaneInterval> {
        let one = |(first, rows): &(u64, u64)| {
            let mut tally = StreamTally::default();
            tally.account.acknowledged.push(*first, *rows);
            LaneInterval { rows_due: *rows, backlog_rows: 0, tally }
        };
        partitions.iter().map(one).collect()
    }

    fn read(folder: &Path) -> journal::Journal {
        journal::Journal::parse(&fs::read(folder.join(JOURNAL)).unwrap()).unwrap()
    }

    fn acknowledged(folder: &Path, partition: u32) -> Vec<(u64, u64)> {
        let journal = read(folder);
        let account = journal.accounts.get(&partition);
        let ranges = account.map(|account| account.acknowledged.clone()).unwrap_or_default();
        ranges.iter().map(|range| (range.first, range.last)).collect()
    }

    /// A journal without a thread: what it is told is written by `step`.
    fn journal(folder: &Path) -> (Journal, Writer) {
        let start = SystemTime::UNIX_EPOCH + Duration::from_micros(7);
        let mut journal = Journal::create(folder, start, &[3, 5]).unwrap();
        let writer = journal.writer.take().unwrap();
        (journal, writer)
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_thread_writes_what_it_is_told_and_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, writer) = journal(folder.path());
        assert_eq!((read(folder.path()).origin_us, read(folder.path()).until), (7, Duration::ZERO));
        let mut writer = writer;
        let thread = std::thread::Builder::new().spawn(move || while writer.step() {}).unwrap();
        for second in 0..3 {
            journal.note(at(second), &interval(&[(second * 10, 10), (second, 1)])).unwrap();
        }
        journal.finish().unwrap();
        thread.join().unwrap();
        assert_eq!(acknowledged(folder.path(), 3), [(0, 29)]);
        assert_eq!(acknowledged(folder.path(), 5), [(0, 2)]);
        assert_eq!(read(folder.path()).until, at(2));
    }

    #[test]
    fn a_journal_without_a_thread_is_written_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), SystemTime::UNIX_EPOCH, &[3, 5]).unwrap();
        journal.note(at(1), &interval(&[(0, 10), (0, 20)])).unwrap();
        journal.finish().unwrap();
        assert_eq!(acknowledged(folder.path(), 5), [(0, 19)]);
    }

    #[test]
    fn what_could_not_be_written_is_written_with_what_comes_next() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("out");
        fs::create_dir(&folder).unwrap();
        let (_, mut writer) = journal(&folder);
        let accounts = |first, rows| {
            let accounts = interval(&[(first, rows), (first, rows)]);
            accounts.into_iter().map(|one| one.tally.account).collect::<Vec<_>>()
        };
        writer.write(&accounts(0, 10), at(1)).unwrap();
        // The folder goes, and comes back.
        fs::rename(&folder, parent.path().join("away")).unwrap();
        fs::remove_file(parent.path().join("away").join(JOURNAL)).unwrap();
        assert!(writer.write(&accounts(10, 10), at(2)).is_err());
        fs::create_dir(&folder).unwrap();
        writer.write(&accounts(10, 20), at(3)).unwrap();
        assert_eq!(acknowledged(&folder, 3), [(0, 29)]);
        assert_eq!(acknowledged(&folder, 5), [(0, 29)]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn it_is_merged_when_it_has_grown() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut writer) = journal(folder.path());
        writer.bytes_max = 1_024;
        let mut longest = 0;
        for second in 0..80_u64 {
            let accounts = interval(&[(second * 7, 7), (second * 9, 8)]);
            let accounts: Vec<_> = accounts.into_iter().map(|one| one.tally.account).collect();
            writer.write(&accounts, at(second)).unwrap();
            // The second partition has a gap each second, which cannot be merged.
            longest = longest.max(fs::metadata(folder.path().join(JOURNAL)).unwrap().len());
            writer.bytes_max = writer.bytes_max.min(1_024.max(writer.bytes * 2));
        }
        assert_eq!(acknowledged(folder.path(), 3), [(0, 559)]);
        assert_eq!(acknowledged(folder.path(), 5).len(), 80);
        let merged = {
            let journal = read(folder.path());
            let (mut text, mut lines) = (String::new(), Lines::default());
            for (number, account) in &journal.accounts {
                lines.account(&mut text, at(80), *number, account);
            }
            text.len() as u64
        };
        assert!(longest < 2 * merged + 2_048, "{longest} of {merged}");
    }
}
