//! The history beside the folders of runs: a line for each that has ended.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::result::JobResult;
use crate::result::history::{HISTORY, HistoryLine};

/// Adds the line of a run to the history, so many folders above its own. Without it nothing of the run is
/// lost, so a failure is only told. A folder that lies in the root of the file system, as a volume of a
/// container does, has no place beside it.
pub(super) fn note(folder: &Path, levels: usize, result: &JobResult) {
    let Ok(folder) = folder.canonicalize() else { return };
    let Some(root) = folder.ancestors().nth(levels).filter(|root| root.parent().is_some()) else {
        return;
    };
    let own = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
    let written = serde_json::to_vec(&HistoryLine::of(result, &own)).map_err(Into::into);
    if let Err(error) = written.and_then(|line| append(root, line)) {
        let file = root.join(HISTORY);
        tracing::warn!(
            "the run is not in the history: failed to write `{}`: {error}",
            file.display()
        );
    }
}

/// Adds a line in one write, which the system puts behind those of other loaders as a whole.
fn append(root: &Path, mut line: Vec<u8>) -> io::Result<()> {
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).open(root.join(HISTORY))?;
    line.push(b'\n');
    // What a full disk has left of a line must not take this one along.
    if file.seek(SeekFrom::End(-1)).is_ok() {
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            line.insert(0, b'\n');
        }
    }
    if file.write(&line)? < line.len() {
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;
    use crate::result::history::History;
    use crate::result::sample;

    fn read(root: &Path) -> History {
        History::read(&*fs::read(root.join(HISTORY)).unwrap()).unwrap()
    }

    #[test]
    fn loaders_that_end_together_do_not_tear_each_others_lines() {
        let root = tempfile::tempdir().unwrap();
        let result = sample::stream();
        thread::scope(|scope| {
            for loader in 0..4 {
                let (root, result) = (root.path(), &result);
                scope.spawn(move || {
                    let folder = root.join(format!("run-{loader}"));
                    fs::create_dir(&folder).unwrap();
                    (0..25).for_each(|_| note(&folder, 1, result));
                });
            }
        });
        let history = read(root.path());
        assert_eq!((history.runs.len(), history.skipped), (100, Vec::new()));
    }

    #[test]
    fn half_a_line_takes_no_other_along() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("several/01-a");
        fs::create_dir_all(&folder).unwrap();
        note(&folder, 2, &sample::stream());
        let mut file = OpenOptions::new().append(true).open(root.path().join(HISTORY)).unwrap();
        file.write_all(b"{\"history_version\":1,\"star").unwrap();
        note(&folder, 2, &sample::benchmark());
        let history = read(root.path());
        let folders: Vec<_> = history.runs.iter().map(|run| run.folder.as_str()).collect();
        assert_eq!((folders, history.skipped), (vec!["several/01-a"; 2], vec![2]));
    }
}
