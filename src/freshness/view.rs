//! What a query sees of the stream, as far as its server says it.

use tokio::time::Instant;

use super::batch::Batch;

/// The lowest id that a transaction can have.
const XID_MIN: u64 = 3;

/// What a query sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// On the server that is loaded: what was acknowledged before this moment, and what had ended in
    /// this snapshot, which was taken a moment before the query's own; without one, the former alone.
    Loaded(Instant, Option<Snapshot>),
    /// On a standby of it: what has been replayed up to this position of the write-ahead log, and what
    /// had ended before the oldest transaction that was in progress in this snapshot.
    Replayed(u64, Snapshot),
    /// On any other server: the first so many rows of each lane.
    Rows(Vec<u64>),
}

/// What `pg_current_snapshot()` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Each transaction before this one has ended.
    xmin: u64,
    /// None from this one on has.
    xmax: u64,
    /// Those between the two that have not, ascending. On a standby the server leaves them out.
    in_progress: Vec<u64>,
}

impl Snapshot {
    /// Reads `xmin:xmax:xip_list`; `None` if it is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let list = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        let mut in_progress: Vec<u64> = list.map(str::parse).collect::<Result<_, _>>().ok()?;
        in_progress.sort_unstable();
        Some(Self { xmin, xmax, in_progress })
    }

    /// Whether a transaction had ended. Where there are no ids there is one below all, of which it is not known.
    fn had_ended(&self, xid: u64) -> bool {
        xid >= XID_MIN
            && xid < self.xmax
            && (xid < self.xmin || self.in_progress.binary_search(&xid).is_err())
    }
}

impl View {
    /// Whether the query surely sees a batch of the lane in this place, whose COMMIT was sent as
    /// that of `xid`.
    pub(super) fn sees(&self, batch: &Batch, xid: Option<u64>, place: usize) -> bool {
        match self {
            Self::Loaded(before, snapshot) => {
                let had_ended = |xid| snapshot.as_ref().is_some_and(|own| own.had_ended(xid));
                batch.acknowledged.is_some_and(|at| at < *before) || xid.is_some_and(had_ended)
            }
            Self::Replayed(replayed, snapshot) => {
                batch.position.is_some_and(|position| position <= *replayed)
                    || xid.is_some_and(|xid| (XID_MIN..snapshot.xmin).contains(&xid))
            }
            Self::Rows(rows) => rows.get(place).is_some_and(|rows| batch.end_row <= *rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_snapshot_is_read_as_the_server_writes_it() {
        let read = |text| Snapshot::read(text);
        let one = Snapshot { xmin: 748, xmax: 752, in_progress: vec![748, 750] };
        assert_eq!(read("748:752:750,748"), Some(one));
        let idle = Snapshot { xmin: 5, xmax: 5, in_progress: vec![] };
        assert_eq!(read("5:5:"), Some(idle));
        for bad in ["", "5", "5:6", "a:b:", "5:6:x", "5:6:7,,x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_transaction_has_ended_unless_it_is_new_or_listed(
            xmin in 3u64..1_000, running in prop::collection::btree_set(0u64..60, 0..20),
            asked in 0u64..1_100,
        ) {
            let in_progress: Vec<u64> = running.iter().map(|offset| xmin + offset).collect();
            let xmax = xmin + 60;
            let list: Vec<String> = in_progress.iter().map(u64::to_string).collect();
            let snapshot = Snapshot::read(&format!("{xmin}:{xmax}:{}", list.join(","))).unwrap();
            let ended = asked >= XID_MIN && asked < xmax && !in_progress.contains(&asked);
            prop_assert_eq!(snapshot.had_ended(asked), ended);
        }
    }
}
