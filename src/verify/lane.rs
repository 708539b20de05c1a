//! A lane of a saved run: what became of its rows, and whether that can be so.

use serde::Deserialize;

use crate::plan::Stream;
use crate::record::Account;
use crate::report::RowIds;
use crate::row::{Ids, RunTag};

/// A lane as a result has it.
#[derive(Debug, Deserialize)]
pub(super) struct SavedLane {
    partition: u32,
    /// Its number; a result of before has one lane a partition.
    lane: Option<u32>,
    first_id: i64,
    /// Rows that fell due.
    pub(super) rows_due: u64,
    /// What became of each.
    pub(super) account: Account,
}

impl SavedLane {
    /// Its number among the lanes of the run.
    pub(super) fn number(&self) -> u32 {
        self.lane.unwrap_or(self.partition)
    }

    /// What cannot be true of its account, if anything: it is damaged then. No more than so many rows can have
    /// fallen due.
    pub(super) fn damage(&self, ids: &Ids, rows_due: u64) -> Option<String> {
        let (lane, account) = (ids.lane, &self.account);
        let twice = account.contradictions();
        if let Some(range) = twice.iter().next() {
            let (first, last) = (range.first, range.last);
            return Some(format!("{lane}: two things became of rows {first} to {last}"));
        }
        let end = account.end();
        if end > rows_due {
            return Some(format!(
                "{lane}: it knows what became of {end} rows, and at most {rows_due} \
                 were due"
            ));
        }
        let has_ids = ids.end(end) < i64::MAX;
        (!has_ids).then(|| format!("{lane}: there are no ids for {end} rows"))
    }
}

/// The lanes of a stream and its run, each as it was saved; or why they are not those of its plan.
pub(super) fn lanes(
    stream: &Stream,
    run: Option<&str>,
    mut saved: Vec<SavedLane>,
) -> Result<Vec<(Ids, SavedLane)>, String> {
    let run = match run.map(RunTag::parse) {
        Some(Some(run)) => run,
        _ if stream.follows_on() => RunTag::default(),
        _ => return Err("it does not name the run that its ids carry".to_owned()),
    };
    saved.sort_by_key(SavedLane::number);
    let (have, need) = (saved.len(), stream.lanes().count());
    let lanes: Vec<(Ids, SavedLane)> = stream
        .lanes()
        .zip(saved)
        .filter(|(lane, saved)| lane.number == saved.number())
        .map(|(lane, saved)| {
            let base = saved.first_id.saturating_sub_unsigned(lane.place.into());
            (Ids { lane, base, run }, saved)
        })
        .collect();
    if lanes.len() != need || have != need {
        return Err(format!("its plan has {need} lanes, and it tells of {have}, or of others"));
    }
    Ok(lanes)
}

/// The ids of a lane's rows, as they are shown.
pub(super) fn shown_ids(stream: &Stream, ids: &Ids) -> RowIds {
    let identity = stream.identity();
    let id_form = identity.and_then(|(_, identity)| identity.form(ids));
    RowIds { first_id: ids.of(0), id_step: ids.lane.step.get(), id_form }
}
