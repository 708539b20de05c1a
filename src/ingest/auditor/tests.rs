//! Laws of the audit: what is there, lost, doubled or altered is told, in whatever order it comes.

use std::num::NonZeroU32;

use super::*;
use crate::plan::{Overrides, Plan, StreamJob, builtin};
use crate::row::{BatchEncoder, Lane, RunTag};

fn ids(lane: Lane) -> Ids {
    Ids { lane, base: 5, run: RunTag::default() }
}

fn plan() -> Plan<StreamJob> {
    let plan = Plan::resolve(&builtin("realtime").unwrap(), &Overrides::default());
    plan.unwrap().into_stream().unwrap()
}

/// The tuples of rows 0..1000 as sent.
fn tuples(plan: &Plan<StreamJob>) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(&plan.job.stream.columns, plan.common.seed, 0, 5).unwrap();
    (0..1_000)
        .map(|row| {
            let mut bytes = vec![0; encoder.max_row_bytes()];
            let mut due = DueTimes::constant(77);
            let encoded = encoder.encode(&mut bytes, row, 1, &mut due).unwrap();
            bytes.truncate(encoded.bytes);
            bytes
        })
        .collect()
}

/// Has tuples read in slices, each of which fails once, in the middle.
fn audited(
    plan: &Plan<StreamJob>,
    tuples: &[Vec<u8>],
    account: &Account,
    complete: bool,
) -> Audited {
    let successor = if complete { Successor::None } else { Successor::Perhaps };
    let mut auditor = auditor(plan, successor);
    for slice in tuples.chunks(301) {
        slice[..slice.len() / 2].iter().for_each(|tuple| auditor.see(tuple));
        auditor.drop_slice();
        slice.iter().for_each(|tuple| auditor.see(tuple));
        assert_eq!(auditor.keep_slice(), slice.len() as u64);
    }
    assert_eq!(auditor.rows_read(), tuples.len() as u64);
    auditor.conclude([(account, complete)]).remove(0)
}

/// An auditor of the first partition's only lane, whose rows of [`tuples`] were all due at one moment.
fn auditor(plan: &Plan<StreamJob>, successor: Successor) -> Auditor {
    let stream = &plan.job.stream;
    let lane = stream.lanes().next().unwrap();
    let lanes = [LaneToRead { ids: ids(lane), due: None, successor }];
    let mut auditor = Auditor::new(stream, plan.common.seed, &lanes).unwrap();
    auditor.lanes[0].is_told = true;
    auditor
}

fn judge(plan: &Plan<StreamJob>, tuples: &[Vec<u8>], account: &Account) -> LaneAudit {
    let Audited { audit, missing, .. } = audited(plan, tuples, account, true);
    assert!(missing.is_empty());
    audit
}

fn account(acknowledged: u64) -> Account {
    let mut account = Account::default();
    account.acknowledged.push(0, acknowledged);
    account
}

fn rows(ranges: &Ranges) -> Vec<(u64, u64)> {
    ranges.iter().map(|range| (range.first, range.last)).collect()
}

#[test]
fn rows_as_sent_are_right_in_any_order() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    tuples.reverse();
    let audit = judge(&plan, &tuples, &account(1_000));
    assert_eq!(audit, LaneAudit { lane: Some(0), rows_found: 1_000, ..LaneAudit::default() });
    assert!(audit.is_right(false));
}

#[test]
fn gaps_doubles_altered_and_unexpected_rows_are_each_found() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    let copy = tuples[300].clone();
    let last = tuples[500].len() - 20;
    tuples[500][last] ^= 1;
    tuples.push(copy);
    tuples.drain(10..13);
    let mut account = account(900);
    account.undecided.push(900, 50);
    account.dropped.push(950, 50);
    let audit = judge(&plan, &tuples, &account);
    assert_eq!(rows(&audit.lost), [(10, 12)]);
    assert_eq!(rows(&audit.doubled), [(300, 300)]);
    assert_eq!(rows(&audit.altered), [(500, 500)]);
    assert_eq!(rows(&audit.unexpected), [(950, 999)]);
    assert_eq!(audit.undecided_found, 50);
    assert!(!audit.is_right(true));
}

#[test]
fn behind_a_killed_loaders_account_gaps_doubles_and_altered_rows_are_found() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    for row in [700, 999] {
        let middle = tuples[row].len() / 2;
        tuples[row][middle] ^= 1;
    }
    tuples.push(tuples[650].clone());
    tuples.drain(800..810);
    let found = audited(&plan, &tuples, &account(600), false);
    assert_eq!((found.audit.rows_found, found.audit.unaccounted), (600, 389));
    assert_eq!(rows(&found.audit.doubled), [(650, 650)]);
    assert_eq!(rows(&found.audit.altered), [(700, 700)]);
    assert_eq!(rows(&found.missing), [(800, 809)]);
    // It may be a later run's as well.
    assert_eq!(found.foreign, 1);
    assert!(found.audit.lost.is_empty() && !found.is_right(true));
}

#[test]
fn behind_a_killed_loaders_account_altered_rows_are_found_to_the_last_if_no_run_followed() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    for tuple in &mut tuples[900..] {
        let middle = tuple.len() / 2;
        tuple[middle] ^= 1;
    }
    let mut auditor = auditor(&plan, Successor::None);
    tuples.iter().for_each(|tuple| auditor.see(tuple));
    auditor.keep_slice();
    let found = auditor.conclude([(&account(600), false)]).remove(0);
    assert_eq!(rows(&found.audit.altered), [(900, 999)]);
    assert_eq!((found.audit.unaccounted, found.foreign), (300, 0));
    assert!(!found.is_right(true));
}

#[test]
fn behind_a_killed_loaders_account_a_later_run_is_none_of_its_rows() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    for tuple in &mut tuples[900..] {
        let middle = tuple.len() / 2;
        tuple[middle] ^= 1;
    }
    tuples.push(tuples[950].clone());
    tuples.drain(920..930);
    let found = audited(&plan, &tuples, &account(600), false);
    assert_eq!((found.audit.unaccounted, found.foreign), (300, 90));
    assert!(found.is_right(false), "{found:?}");
}

#[test]
fn rows_of_a_later_run_that_look_like_those_of_this_one_are_none_of_it() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    // Of few columns, some rows are the same in both.
    for tuple in tuples[900..].iter_mut().step_by(2) {
        let middle = tuple.len() / 2;
        tuple[middle] ^= 1;
    }
    let concluded = |acknowledged, successor| {
        let mut auditor = auditor(&plan, successor);
        tuples.iter().for_each(|tuple| auditor.see(tuple));
        auditor.keep_slice();
        auditor.conclude([(&account(acknowledged), false)]).remove(0)
    };
    let found = concluded(600, Successor::From(905));
    assert!(found.is_right(false), "{found:?}");
    assert_eq!((found.audit.unaccounted, found.foreign), (300, 100));
    // The server lost this one's last rows, and the later run has their ids.
    let found = concluded(950, Successor::From(905));
    assert_eq!(rows(&found.audit.lost), [(900, 949)]);
    assert!(found.audit.altered.is_empty());
    // Rows 850 to 899 were never sent: that a row of the later run looks like one of this is no sign.
    let mut auditor = auditor(&plan, Successor::From(905));
    let gone = |row: &usize| !(850..900).contains(row);
    (0..1_000).filter(gone).for_each(|row| auditor.see(&tuples[row]));
    auditor.keep_slice();
    let found = auditor.conclude([(&account(600), false)]).remove(0);
    assert!(found.is_right(false), "{found:?}");
    assert_eq!((found.audit.unaccounted, found.foreign), (250, 100));
}

#[test]
fn where_rows_of_two_runs_may_be_the_same_nothing_is_said_behind_the_account() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    for tuple in tuples[700..].iter_mut().step_by(2) {
        let middle = tuple.len() / 2;
        tuple[middle] ^= 1;
    }
    tuples.drain(650..660);
    for successor in [Successor::Perhaps, Successor::From(990)] {
        let mut auditor = auditor(&plan, successor);
        auditor.lanes[0].is_told = false;
        tuples.iter().for_each(|tuple| auditor.see(tuple));
        auditor.keep_slice();
        let found = auditor.conclude([(&account(600), false)]).remove(0);
        assert!(found.is_right(false), "{found:?}");
        assert_eq!((found.audit.rows_found, found.foreign), (600, 390));
    }
}

#[test]
fn a_later_run_that_took_the_ids_of_dropped_rows_is_none_of_this_one() {
    let plan = plan();
    let mut tuples = tuples(&plan);
    for tuple in &mut tuples[600..] {
        let middle = tuple.len() / 2;
        tuple[middle] ^= 1;
    }
    let mut account = account(600);
    account.dropped.push(600, 100);
    account.undecided.push(700, 10);
    let concluded = |successor| {
        let mut auditor = auditor(&plan, successor);
        tuples.iter().for_each(|tuple| auditor.see(tuple));
        auditor.keep_slice();
        auditor.conclude([(&account, true)]).remove(0)
    };
    let audited = concluded(Successor::Perhaps);
    assert!(audited.is_right(false), "{audited:?}");
    assert_eq!((audited.audit.rows_found, audited.foreign), (600, 400));
    // At the end of the run itself nobody can have come yet.
    let audited = concluded(Successor::None);
    assert_eq!(rows(&audited.audit.unexpected), [(600, 699)]);
    assert_eq!(rows(&audited.audit.altered), [(600, 709)]);
}

#[test]
fn rows_of_lanes_that_share_a_partition_are_told_apart() {
    let mut plan = plan();
    let stream = &mut plan.job.stream;
    stream.connections = NonZeroU32::new(7).unwrap();
    let lanes: Vec<Lane> = stream.lanes().filter(|lane| lane.partition == Some(0)).collect();
    assert_eq!(lanes.len(), 3);
    // The rows of the partition are those of one lane.
    let tuples = tuples(&plan);
    let made: Vec<_> = lanes
        .iter()
        .map(|lane| LaneToRead { ids: ids(*lane), due: None, successor: Successor::None })
        .collect();
    let mut auditor = Auditor::new(&plan.job.stream, plan.common.seed, &made).unwrap();
    for (row, tuple) in tuples.iter().enumerate() {
        // The second lane lacks its third row, and the third has its first twice.
        if row != 7 {
            auditor.see(tuple);
        }
        if row == 2 {
            auditor.see(tuple);
        }
    }
    assert_eq!(auditor.keep_slice(), 1_000);
    let accounts = [334, 333, 333].map(account);
    let audited = auditor.conclude(accounts.iter().map(|account| (account, true)));
    let found = |at: usize| {
        let LaneAudit { lane, rows_found, lost, doubled, .. } = &audited[at].audit;
        (lane.unwrap(), *rows_found, rows(lost), rows(doubled))
    };
    assert_eq!(found(0), (0, 334, vec![], vec![]));
    assert_eq!(found(1), (3, 332, vec![(2, 2)], vec![]));
    assert_eq!(found(2), (6, 333, vec![], vec![(0, 0)]));
}

#[test]
fn a_row_with_the_highest_id_is_foreign_and_nothing_else() {
    let plan = plan();
    let stream = &plan.job.stream;
    let course = stream.course(plan.common.seed).unwrap();
    let lane = stream.lanes().next().unwrap();
    let due = Some((stream.schedule(&course, &lane), 0));
    let successor = Successor::Perhaps;
    let lanes = [LaneToRead { ids: ids(lane), due, successor }];
    let mut auditor = Auditor::new(stream, plan.common.seed, &lanes).unwrap();
    let mut tuple = tuples(&plan)[0].clone();
    let id = tuple.windows(8).position(|bytes| *bytes == 5_i64.to_be_bytes()).unwrap();
    tuple[id..id + 8].copy_from_slice(&i64::MAX.to_be_bytes());
    auditor.see(&tuple);
    auditor.keep_slice();
    assert_eq!(auditor.conclude([(&account(0), false)])[0].foreign, 1);
}

#[test]
fn what_damaged_ranges_claim_takes_no_time() {
    let plan = plan();
    let mut account = account(1 << 62);
    account.undecided.push(1 << 62, 1 << 62);
    let audit = judge(&plan, &tuples(&plan), &account);
    assert_eq!(rows(&audit.lost), [(1_000, (1 << 62) - 1)]);
}

#[test]
fn what_the_batch_encoder_sends_is_what_the_audit_expects() {
    let plan = plan();
    let mut batch = BatchEncoder::new(&plan.job.stream.columns, plan.common.seed, 0, 5).unwrap();
    batch.begin(0, 1_000, DueTimes::constant(77));
    let sent = std::iter::from_fn(|| batch.next_chunk()).collect::<Result<Vec<_>, _>>();
    let sent = sent.unwrap().concat();
    assert_eq!(sent[19..sent.len() - 2], tuples(&plan).concat());
}
