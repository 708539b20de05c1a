//! Faults of a cluster: a primary and its standby, and two loaders of one table, of which the second waits to
//! take the first one's place. What may become of a row is told by SQL and the loaders' journals.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::proxy::{Proxy, Slow};
use super::{InjectError, Ledger, POLL};
use crate::pg::embedded::{Halt, Server};
use crate::pg::table::batch_rows;
use crate::pg::{self, Address, Session};
use crate::plan::Stream;
use crate::record::{Account, Range, Ranges};
use crate::result::cluster::ClusterCounts;
pub use crate::result::cluster::ClusterKind;
use crate::row::{Ids, Lane, RunTag};

/// The first loader is let alone for so long.
const ALONE_MS: std::ops::Range<u64> = 800..2_500;
/// A slow network, and one that comes back.
const HOLD_MS: std::ops::Range<u64> = 500..2_000;
/// How far a standby is kept behind before its primary is killed.
const BEHIND_MS: std::ops::Range<u64> = 100..800;
/// How long a network is gone at most while the second loader waits to be let in.
const GONE_MAX: Duration = Duration::from_secs(20);
/// How long a standby may take to follow, and to be promoted.
const STANDBY_MAX: Duration = Duration::from_secs(60);

/// The servers of a round.
pub struct Pair<'a> {
    /// Loaders begin there.
    pub primary: &'a mut Server,
    /// Follows it.
    pub standby: &'a Server,
    /// Between the two.
    pub link: &'a Proxy,
    /// Between the first loader and each of them.
    pub ways: [&'a Proxy; 2],
}

/// What the loaders of a round tell.
pub struct Loaders<'a> {
    /// What the first does.
    pub first: &'a Ledger,
    /// What the second does.
    pub second: &'a Ledger,
    /// Lets the second one try.
    pub second_may: &'a CancellationToken,
    /// The end was asked for.
    pub over: &'a CancellationToken,
}

/// A server, past any proxy.
fn address(server: &Server) -> Address {
    Address::socket(server.socket_dir(), server.port(), server.user(), server.database())
}

async fn session(server: &Server) -> Result<Session, pg::Error> {
    Session::own(&address(server), "strom-load faults").await
}

/// Has COMMITs of a server wait for nobody, before a standby is made of it that has its configuration: once
/// promoted it has no standby of its own.
///
/// # Errors
/// When the server refuses.
pub async fn alone(server: &Server) -> Result<(), InjectError> {
    let mut session = session(server).await?;
    let act = "begin a round";
    session.execute(act, "ALTER SYSTEM RESET synchronous_standby_names").await?;
    session.execute(act, "SELECT pg_reload_conf()").await?;
    session.close().await;
    Ok(())
}

/// Has COMMITs of a primary wait for its standby, or not, and the standby follow. Drops the table of the
/// round before.
///
/// # Errors
/// When the server refuses, or the standby does not follow.
pub async fn begin(pair: &Pair<'_>, kind: ClusterKind, table: &str) -> Result<(), InjectError> {
    let mut session = session(pair.primary).await?;
    let act = "begin a round";
    let (names, state) = if kind.is_synchronous() { ("'*'", "sync") } else { ("''", "async") };
    session.execute(act, &format!("DROP TABLE IF EXISTS {table}")).await?;
    session.execute(act, &format!("ALTER SYSTEM SET synchronous_standby_names = {names}")).await?;
    session.execute(act, "SELECT pg_reload_conf()").await?;
    let follows = format!(
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = '{state}'"
    );
    let following = async {
        while session.text(act, &follows).await?.as_deref() != Some("1") {
            sleep(POLL).await;
        }
        Ok::<_, pg::Error>(())
    };
    let late = |_| Err(pg::Error::timed_out("wait for the standby to follow"));
    timeout(STANDBY_MAX, following).await.unwrap_or_else(late)?;
    session.close().await;
    Ok(())
}

/// Makes the faults of a round once the first loader has begun; whether the standby was promoted. What was
/// broken for the loaders is whole again by then.
///
/// # Errors
/// When a fault could not be made.
pub async fn torment(
    pair: &mut Pair<'_>,
    kind: ClusterKind,
    rng: &mut Xoshiro256PlusPlus,
    loaders: &Loaders<'_>,
) -> Result<bool, InjectError> {
    let Loaders { first, second, second_may, over } = *loaders;
    // Drawn at once: what is drawn does not depend on how fast anything is.
    let mut between = |ms: std::ops::Range<u64>| Duration::from_millis(rng.random_range(ms));
    let [alone, hold, behind] = [ALONE_MS, HOLD_MS, BEHIND_MS].map(&mut between);
    let delay = between(0..20);
    let (promotes, lags) = (rng.random(), rng.random());
    let behind = Some(behind).filter(|_| lags);
    let rest = async |time| {
        over.run_until_cancelled(sleep(time)).await;
    };
    if over.run_until_cancelled(first.started()).await.is_none() {
        return Ok(false);
    }
    rest(alone).await;
    second_may.cancel();
    match kind {
        ClusterKind::AsyncPromotion | ClusterKind::SyncPromotion => {
            pair.promote(kind, behind).await?;
            Ok(true)
        }
        ClusterKind::AsyncCut | ClusterKind::SyncCut => {
            let system = |error| InjectError::Network { kind, error };
            pair.ways.iter().try_for_each(|way| way.begin_hole()).map_err(system)?;
            if promotes {
                pair.promote(kind, behind).await?;
            }
            let taken = over.run_until_cancelled(second.started());
            let is_taken = timeout(GONE_MAX, taken).await.is_ok();
            rest(if is_taken { hold } else { Duration::ZERO }).await;
            pair.ways.iter().try_for_each(|way| way.end_hole()).map_err(system)?;
            pair.ways.iter().for_each(|way| way.reset());
            Ok(promotes)
        }
        ClusterKind::AsyncSlow | ClusterKind::SyncSlow => {
            let slow = Slow { delay, bytes_per_s: 50e3 };
            pair.ways.iter().for_each(|way| way.slow(Some(slow)));
            rest(hold).await;
            if promotes {
                pair.promote(kind, behind).await?;
            }
            rest(hold).await;
            pair.ways.iter().for_each(|way| way.slow(None));
            Ok(promotes)
        }
    }
}

impl Pair<'_> {
    /// Kills the primary and promotes its standby, which may have heard nothing of it for a while.
    async fn promote(
        &mut self,
        kind: ClusterKind,
        behind: Option<Duration>,
    ) -> Result<(), InjectError> {
        if let Some(behind) = behind {
            let system = |error| InjectError::Network { kind, error };
            self.link.begin_hole().map_err(system)?;
            sleep(behind).await;
        }
        self.primary.halt(Halt::Kill).await?;
        let mut session = session(self.standby).await?;
        let promote = format!("SELECT pg_promote(true, {})", STANDBY_MAX.as_secs());
        session.at_length().text("promote the standby", &promote).await?;
        session.close().await;
        Ok(())
    }
}

/// What a loader says of a lane.
#[derive(Debug, Clone)]
pub struct Word {
    /// Which rows, with which ids.
    pub ids: Ids,
    /// Rows that fell due.
    pub due: u64,
    /// What became of each, by its result,
    pub account: Account,
    /// and by its journal.
    pub journal: Account,
}

/// Compares a table with what loaders say of it, in the order in which they loaded.
///
/// # Errors
/// When the table cannot be read.
pub async fn check(
    server: &Server,
    stream: &Stream,
    loaders: &[Vec<Word>],
) -> Result<ClusterCounts, pg::Error> {
    let mut counts = ClusterCounts::default();
    let mut session = session(server).await?;
    for lane in stream.lanes().filter(|lane| lane.place == 0) {
        let ids = ids(&mut session, stream, lane).await?;
        let is_of_it = |word: &&Word| word.ids.lane.partition == lane.partition;
        let words: Vec<&Word> = loaders.iter().flatten().filter(is_of_it).collect();
        compare(&mut counts, &ids, &words);
    }
    session.close().await;
    Ok(counts)
}

/// Each id of a partition, ascending, with how often it is there.
async fn ids(
    session: &mut Session,
    stream: &Stream,
    lane: Lane,
) -> Result<Vec<(i64, u64)>, pg::Error> {
    let Some(rows) = batch_rows(stream, &Ids { lane, base: 0, run: RunTag::default() }, 0, 1)
    else {
        return Ok(Vec::new());
    };
    let (table, id, within) = (rows.table, rows.id_column, rows.within);
    let sql =
        format!("SELECT {id}, count(*) FROM {table} WHERE {within} GROUP BY {id} ORDER BY {id}");
    let rows = session.at_length().rows("read the ids back", &sql).await?;
    let number = |row: &[Option<String>], column: usize| row.get(column)?.as_ref()?.parse().ok();
    let pair = |row: &Vec<Option<String>>| {
        Some((number(row, 0)?, u64::try_from(number(row, 1)?).unwrap_or(0)))
    };
    Ok(rows.iter().filter_map(pair).collect())
}

fn compare(counts: &mut ClusterCounts, ids: &[(i64, u64)], words: &[&Word]) {
    counts.found += ids.len() as u64;
    counts.doubled += ids.iter().map(|(_, times)| times.saturating_sub(1)).sum::<u64>();
    let mut explained = 0;
    for (at, word) in words.iter().enumerate() {
        // From there on ids are the next one's: it begins behind what it found.
        let next = words[at..].iter().find(|next| next.ids.base > word.ids.base);
        let end = next.map_or(i64::MAX, |next| next.ids.base);
        let present = |rows: &Ranges| -> u64 {
            let of = |range: Range| {
                let below = |end: i64| ids.partition_point(|(id, _)| *id < end);
                let to = below(word.ids.end(range.last + 1).min(end));
                let from = below(word.ids.of(range.first).min(end));
                let own = ids[from..to].iter().filter(|(id, _)| word.ids.sequence(*id).is_some());
                own.count() as u64
            };
            rows.iter().map(of).sum()
        };
        let Word { account, journal, .. } = word;
        let acknowledged = journal.acknowledged.or(&account.acknowledged);
        let there = present(&acknowledged);
        counts.due += word.due;
        counts.acknowledged += acknowledged.rows();
        counts.lost += acknowledged.rows() - there;
        counts.undecided += account.undecided.rows();
        counts.contradicted += journal.acknowledged.without(&account.acknowledged).rows();
        explained += there + present(&account.undecided);
    }
    counts.unexpected += (ids.len() as u64).saturating_sub(explained);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn word(first_id: i64, acknowledged: u64, undecided: u64) -> Word {
        let mut account = Account::default();
        account.acknowledged.push(0, acknowledged);
        account.undecided.push(acknowledged, undecided);
        let journal = account.clone();
        let lane = Lane::of(0, NonZeroU32::MIN, Some(NonZeroU32::MIN));
        let ids = Ids { lane, base: first_id, run: RunTag::default() };
        Word { ids, due: acknowledged + undecided, account, journal }
    }

    fn compared(ids: &[(i64, u64)], words: &[&Word]) -> ClusterCounts {
        let mut counts = ClusterCounts::default();
        compare(&mut counts, ids, words);
        counts
    }

    fn once(ids: std::ops::Range<i64>) -> Vec<(i64, u64)> {
        ids.map(|id| (id, 1)).collect()
    }

    #[test]
    fn a_table_as_both_loaders_say_is_right() {
        let counts = compared(&once(1..181), &[&word(1, 100, 10), &word(101, 80, 0)]);
        assert_eq!((counts.lost, counts.unexpected, counts.found), (0, 0, 180));
        assert_eq!((counts.acknowledged, counts.undecided, counts.due), (180, 10, 190));
        assert!(counts.are_right());
    }

    #[test]
    fn what_is_lost_doubled_or_nobodys_is_counted() {
        // The second loader has the ids of what the first lost.
        let counts = compared(&once(1..171), &[&word(1, 100, 0), &word(91, 80, 0)]);
        assert_eq!((counts.lost, counts.unexpected), (10, 0));
        let mut twice = once(1..101);
        twice[7].1 = 2;
        assert_eq!(compared(&twice, &[&word(1, 100, 0)]).doubled, 1);
        assert_eq!(compared(&once(1..106), &[&word(1, 100, 0)]).unexpected, 5);
        let mut liar = word(1, 100, 0);
        liar.account.acknowledged = Ranges::span(0, 90);
        assert_eq!(compared(&once(1..101), &[&liar]).contradicted, 10);
    }
}
