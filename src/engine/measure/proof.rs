//! What a run that is over hands to its proof: doubts decided once more, and the evidence.

use std::time::Duration;

use futures_util::future::join_all;

use crate::engine::assemble::unix_us;
use crate::engine::clocks::Clocks;
use crate::engine::waits::Waits;
use crate::ingest::Connection;
use crate::ingest::audit::{Evidence, LaneEvidence};
use crate::ingest::doubts::Doubts;
use crate::pace::Backoff;
use crate::pg;
use crate::pg::fate::Fate;
use crate::pg::owner::Successor;
use crate::pg::table::StreamLane;

use super::Run;

impl Run<'_> {
    /// What the kept session looks at beside its own work.
    pub(super) fn watched(&self) -> (Clocks, Option<Waits>) {
        (self.clocks.clone(), Some(self.work.waits()))
    }

    /// The server's address.
    pub(in crate::engine) fn address(&self) -> &pg::Address {
        &self.address
    }

    /// Rows that the server has acknowledged.
    pub(in crate::engine) fn rows_acknowledged(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.totals.tally.rows_acknowledged).sum()
    }

    /// What its producers load.
    pub(in crate::engine) fn lanes(&self) -> &[StreamLane] {
        &self.table.lanes
    }

    /// How many batches are in doubt.
    pub(in crate::engine) fn doubts(&self) -> usize {
        self.lanes.iter().map(|lane| lane.totals.tally.doubts.len()).sum()
    }

    /// Asks once more what became of batches that are in doubt.
    pub(in crate::engine) async fn decide_doubts(&mut self, patience: Duration) {
        let job = &self.plan.job;
        let lanes = self.lanes.iter().zip(&self.table.lanes);
        let asking = lanes.map(async |(lane, StreamLane { ids, target })| {
            let batches = &lane.totals.tally.doubts;
            if batches.is_empty() {
                return Vec::new();
            }
            let connection = Connection {
                address: self.address.clone(),
                application_name: format!("strom-load producer {}", ids.lane.number),
                target: target.clone(),
                positions: false,
            };
            let doubts = Doubts { stream: &job.stream, ids: *ids, connection, batches };
            doubts.decide(&job.recovery, patience).await
        });
        let answers = join_all(asking).await;
        for (lane, decided) in self.lanes.iter_mut().zip(answers) {
            let tally = &mut lane.totals.tally;
            for (doubt, fate) in decided {
                match fate {
                    Fate::Committed { sync_confirmed } => {
                        tally.decided(&doubt, true);
                        tally.batches_sync_unconfirmed += u64::from(!sync_confirmed);
                    }
                    Fate::Aborted => tally.decided(&doubt, false),
                    Fate::Undecided(_) => {}
                }
            }
        }
    }

    /// What an audit needs to know that has such patience with the server.
    pub(in crate::engine) fn evidence(&self, patience: Duration) -> Evidence<'_> {
        let lanes = self.lanes.iter().map(|lane| LaneEvidence {
            ids: lane.totals.ids,
            schedule: lane.schedule.clone(),
            account: lane.totals.tally.account.clone(),
            // Whoever holds the table reads before anybody else can enter it.
            successor: Successor::None,
        });
        Evidence {
            stream: &self.plan.job.stream,
            seed: self.plan.common.seed,
            origin_us: unix_us(self.started_at),
            complete: true,
            patience,
            copy_format: self.table.copy_format,
            backoff: Backoff::default(),
            reservation: Some(self.table.reservation.clone()),
            lanes: lanes.collect(),
        }
    }
}
