//! Whether what a loader says is so, by what the server really holds.

use std::collections::BTreeMap;

use crate::ingest::auditor::Audited;
use crate::plan::Delivery;
use crate::record::{Account, LaneAudit, Ranges};
use crate::result::journal::Journal;

use super::loader::{Lane, Traces};
use super::schedule::Schedule;
use super::world::{Row, World};

/// The rows of a lane that are there, by their numbers from the lane's first on.
fn there<'w>(lane: &Lane, world: &'w World) -> BTreeMap<u64, Vec<&'w Row>> {
    let mut found: BTreeMap<u64, Vec<&Row>> = BTreeMap::new();
    for row in world.there().filter(|row| row.partition == lane.ids.lane.key()) {
        if let Some(number) = lane.ids.sequence(row.id) {
            found.entry(number).or_default().push(row);
        }
    }
    found
}

fn ranges(rows: impl Iterator<Item = u64>) -> Ranges {
    let mut ranges = Ranges::default();
    rows.for_each(|row| ranges.push(row, 1));
    ranges
}

/// Whether each row that fell due is in the account once.
pub(crate) fn adds_up(traces: &Traces) -> Vec<String> {
    let mut breaches = Vec::new();
    for lane in &traces.lanes {
        let Lane { ids, account, acknowledged, schedule, .. } = lane;
        let name = ids.lane;
        let twice = account.contradictions();
        let all = account.acknowledged.or(&account.dropped).or(&account.undecided);
        let ended = traces.ended.map_or(0, |ended| ended.as_nanos() as u64);
        let due = |at| schedule.as_ref().map_or(0, |schedule| schedule.rows_before(at));
        // Here, where time goes in steps, a row can be sent at the moment of its end.
        let is_all = all == Ranges::span(0, due(ended)) || all == Ranges::span(0, due(ended + 1));
        if !twice.is_empty() || !is_all {
            let due = due(ended);
            breaches
                .push(format!("the account of {name} does not add up: of {due} rows {account:?}"));
        }
        if account.acknowledged.rows() != *acknowledged {
            breaches.push(format!("{name}: {acknowledged} rows are not those of {account:?}"));
        }
    }
    breaches
}

/// What an audit must say of a lane.
fn expected(me: usize, lane: &Lane, account: &Account, world: &World) -> LaneAudit {
    let found = there(lane, world);
    let known = Ranges::span(0, account.end());
    let of = |is: &dyn Fn(&[&Row]) -> bool| {
        ranges(found.iter().filter(|(_, rows)| is(rows)).map(|(number, _)| *number)).and(&known)
    };
    let seen = of(&|_| true);
    LaneAudit {
        partition: lane.ids.lane.key(),
        lane: Some(lane.ids.lane.number),
        rows_found: seen.rows(),
        lost: account.acknowledged.without(&seen),
        doubled: of(&|rows| rows.len() > 1),
        altered: of(&|rows| rows.iter().any(|row| row.is_altered || row.by != me)),
        unexpected: seen.without(&account.acknowledged).without(&account.undecided),
        undecided_found: seen.and(&account.undecided).rows(),
        unaccounted: 0,
    }
}

/// Whether an audit has said what is so. A batch that is undecided may come while it reads.
pub(crate) fn audited(traces: &Traces, world: &World) -> Vec<String> {
    let Some(Ok(audited)) = &traces.audited else { return Vec::new() };
    let mut breaches = Vec::new();
    for (Audited { audit: said, .. }, lane) in audited.iter().zip(&traces.lanes) {
        let late = |audit: LaneAudit| LaneAudit {
            rows_found: audit.rows_found - audit.undecided_found,
            undecided_found: 0,
            ..audit
        };
        let is_so = expected(traces.number, lane, &lane.told, world);
        if late(said.clone()) != late(is_so.clone()) {
            breaches.push(format!("the audit says {said:?}, and so it is: {is_so:?}"));
        }
    }
    breaches
}

/// Whether an audit of a loader that was killed says what is so.
pub(crate) fn verified(
    traces: &Traces,
    audited: &[Audited],
    world: &World,
    may_double: bool,
) -> Vec<String> {
    let mut breaches = Vec::new();
    for (Audited { audit, missing, .. }, lane) in audited.iter().zip(&traces.lanes) {
        let found = there(lane, world);
        let is_missing = missing
            .iter()
            .all(|range| (range.first..=range.last).all(|row| !found.contains_key(&row)));
        let all = audit.rows_found + audit.unaccounted;
        let is_own = |rows: &&Vec<&Row>| rows.iter().any(|row| row.by == traces.number);
        let is_all = found.values().filter(is_own).count() as u64;
        if !audit.is_right(may_double) || !is_missing || all != is_all {
            let held: Vec<u64> = found.keys().copied().collect();
            breaches.push(format!(
                "verify of a loader that was killed says {audit:?}, missing {missing:?}; there are {held:?}"
            ));
        }
    }
    breaches
}

/// Whether a journal holds what it must, and nothing that is not so. One that was torn may lack the end.
pub(crate) fn journaled(traces: &Traces, journal: &Journal, is_torn: bool) -> Vec<String> {
    let mut breaches = Vec::new();
    if let Some(damage) = &journal.damage {
        breaches.push(format!("the journal {damage}"));
    }
    let nothing = Account::default();
    for (place, lane) in traces.lanes.iter().enumerate() {
        let says = journal.accounts.get(&lane.ids.lane.number).unwrap_or(&nothing);
        let must = if is_torn { None } else { traces.journaled.get(place) };
        let must = must.unwrap_or(&nothing);
        let within = |part: &Account, whole: &Account| {
            part.fates()
                .iter()
                .zip(whole.fates())
                .all(|((_, part), (_, whole))| part.without(whole).is_empty())
        };
        if !within(must, says) || !within(says, &lane.account) {
            breaches.push(format!(
                "the journal of {} says {says:?}, must say {must:?}, and {:?} is so",
                lane.ids.lane, lane.account
            ));
        }
    }
    breaches
}

/// Whether the promises were kept, once all is over.
pub(crate) fn kept(schedule: &Schedule, loaders: &[&Traces], world: &World) -> Vec<String> {
    let mut breaches = world.breaches.clone();
    let mut ids: BTreeMap<(u32, i64), u64> = BTreeMap::new();
    for row in world.there() {
        *ids.entry((row.partition, row.id)).or_default() += 1;
        let traces = loaders[row.by];
        let mut of = traces.lanes.iter().filter(|lane| lane.ids.lane.key() == row.partition);
        let own = of.find_map(|lane| Some((lane, lane.ids.sequence(row.id)?)));
        let Some((lane, number)) = own else {
            breaches.push(format!("id {} in partition {} was never sent", row.id, row.partition));
            continue;
        };
        let Account { acknowledged, undecided, dropped } = &lane.account;
        let is_told = acknowledged.contains(number) || undecided.contains(number);
        // One that is killed does not know of its last batch.
        let may_be = is_told || (!traces.is_done && !dropped.contains(number));
        if !may_be {
            breaches.push(format!(
                "loader {}: row {number} of partition {} is there: {:?}",
                row.by, row.partition, lane.account
            ));
        }
    }
    if schedule.delivery != Delivery::AtLeastOnce {
        let doubled: Vec<_> = ids.iter().filter(|(_, count)| **count > 1).collect();
        if !doubled.is_empty() {
            breaches.push(format!("there more than once: {doubled:?}"));
        }
    }
    if schedule.traits.durable {
        for traces in loaders {
            for lane in &traces.lanes {
                let own = there(lane, world);
                let own =
                    own.iter().filter(|(_, rows)| rows.iter().any(|row| row.by == traces.number));
                let lost =
                    lane.account.acknowledged.without(&ranges(own.map(|(number, _)| *number)));
                if !lost.is_empty() {
                    breaches.push(format!(
                        "loader {}: acknowledged in partition {} and lost: {lost:?}",
                        traces.number, lane.ids.lane
                    ));
                }
            }
        }
    }
    breaches
}
