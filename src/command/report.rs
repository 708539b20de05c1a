//! `report`: a saved result, shown again, or as a page for a browser.

use std::path::{Path, PathBuf};

use super::{Failure, print, tell};
use crate::exit;
use crate::report::{page, pages, summaries, summary, verdict_line, verdict_word};
use crate::result::index::Index;
use crate::result::{self, JobResult, Saved, Status};
use crate::series::{self, Series};
use crate::sink::folder::write_page;

pub(super) fn report(folders: &[PathBuf], output: Option<&Path>) -> Result<u8, Failure> {
    if let Some(file) = output {
        return page_of(folders, file);
    }
    let texts = read(folders)?.into_iter().map(|(_, saved)| match saved {
        Saved::Job(result) => summary(&result),
        Saved::Index(index, jobs) => summaries(&index, jobs.iter().map(|(_, result)| result)),
    });
    print(&texts.collect::<Vec<_>>().join("\n"))?;
    Ok(exit::DONE)
}

/// All are read before the first is shown.
fn read(folders: &[PathBuf]) -> Result<Vec<(&Path, Saved)>, Failure> {
    let read = |folder: &'_ PathBuf| result::read(folder);
    let saved = folders.iter().map(read).collect::<Result<Vec<_>, _>>();
    let saved = saved.map_err(|error| Failure::new(exit::USAGE, error))?;
    for (folder, saved) in folders.iter().zip(&saved) {
        let Saved::Index(index, jobs) = saved else { continue };
        for (_, name, why) in index.missing(jobs.iter().map(|(place, _)| *place)) {
            tell(&format!("note: {}: {why}", folder.join(name).display()));
        }
    }
    Ok(folders.iter().map(PathBuf::as_path).zip(saved).collect())
}

/// Refuses what is no name of a page: a slip must not cost another file.
pub(super) fn check_page_name(file: &Path) -> Result<(), Failure> {
    if file.extension().is_some_and(|end| end == "html" || end == "htm") {
        return Ok(());
    }
    let what = format!(
        "`{}` is not the name of a page\n  fix: name a file that ends in .html with --output",
        file.display()
    );
    Err(Failure::new(exit::USAGE, what))
}

fn page_of(folders: &[PathBuf], file: &Path) -> Result<u8, Failure> {
    check_page_name(file)?;
    let mut read = read(folders)?;
    let text = match read.as_slice() {
        [(folder, Saved::Job(result))] => page(result, &series_of(folder, result)),
        _ => {
            let mut all = (Index::of(std::iter::empty()), Vec::new());
            read.drain(..).for_each(|(folder, saved)| add(&mut all, folder, saved));
            pages(&all.0, &all.1)
        }
    };
    write_page(file, &text).map_err(|error| Failure::new(exit::SHORTFALL, error))?;
    Ok(exit::DONE)
}

/// Adds the jobs of a folder to an index of all.
fn add((all, jobs): &mut (Index, Vec<(usize, JobResult, Series)>), folder: &Path, saved: Saved) {
    let before = all.runs.len();
    match saved {
        Saved::Job(result) => {
            let mut own = Index::of(std::iter::once(result.profile().to_owned()));
            for entry in &mut own.runs {
                entry.took_s = result.took_s;
                entry.exit_code = (result.status != Status::Running).then(|| result.exit_code());
                entry.conclude(verdict_word(&result), &verdict_line(&result));
            }
            all.runs.append(&mut own.runs);
            let series = series_of(folder, &result);
            jobs.push((before, *result, series));
        }
        Saved::Index(mut index, begun) => {
            for (place, result) in begun {
                let own = index.runs.get(place).and_then(|run| run.folder.as_ref());
                let series = own.map(|own| series_of(&folder.join(own), &result));
                jobs.push((before + place, result, series.unwrap_or_default()));
            }
            all.runs.append(&mut index.runs);
        }
    }
}

fn series_of(folder: &Path, result: &JobResult) -> Series {
    series::read(folder, &result.started_at)
}
