//! What one lane has sent and may not be seen yet: written by its producer, a few instructions a
//! batch, and read by the readers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::batch::Batch;
use super::{Missing, View};

/// So many batches are kept one by one at least. When there are more, neighbours become one if that puts
/// no age off by more than [`RIGHT_TO`]. What stays grows with the logarithm of how far a view may lag
/// behind: some 100 KiB for a day of ten batches a second.
const KEPT_MIN: usize = 512;
/// The share of an age by which it may be too old.
const RIGHT_TO: f64 = 0.01;

/// The trail of one lane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    /// The transaction whose COMMIT was sent for the last batch, or is about to be; 0 for none.
    committing: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they are committed: a view that sees one sees those before it.
    batches: VecDeque<Batch>,
    /// When the first row is due that is in none of them, as far as that is known.
    next_due: Option<Instant>,
    /// How many batches there may be until they are made fewer.
    kept_max: usize,
}

impl Trail {
    /// Where the loader says which transaction it is about to commit.
    pub(crate) fn committing(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.0.committing)
    }

    /// A batch is in hand, up to but not including row `end_row`, whose first row was `due`.
    pub(crate) fn begins(&self, end_row: u64, due: Instant) {
        self.write(|state, committing| {
            // That of the batch before says nothing of this one.
            committing.store(0, Ordering::Relaxed);
            let (xid, position, acknowledged) = (None, None, None);
            let last_due = due;
            state.batches.push_back(Batch { end_row, due, last_due, xid, position, acknowledged });
            state.shorten();
        });
    }

    /// When the first row is due that is in no batch yet.
    pub(crate) fn next_is_due(&self, due: Option<Instant>) {
        self.write(|state, _| state.next_due = due);
    }

    /// The batch in hand failed: whether it is there must be found out, and until then nobody sees it.
    pub(crate) fn failed(&self) {
        self.write(|_, committing| committing.store(0, Ordering::Relaxed));
    }

    /// The batch in hand was acknowledged, as this transaction, and at or before this position of the
    /// write-ahead log, as far as they are known.
    pub(crate) fn acknowledged(&self, xid: Option<u64>, position: Option<u64>) {
        let now = Instant::now();
        self.write(|state, _| {
            if let Some(batch) = state.batches.back_mut() {
                (batch.xid, batch.position, batch.acknowledged) = (xid, position, Some(now));
            }
        });
    }

    /// The batch in hand is given up. It is missing from no answer: it will never be there, or nobody
    /// can tell, and is counted as dropped or undecided.
    pub(crate) fn given_up(&self) {
        self.write(|state, _| {
            if state.batches.back().is_some_and(|batch| batch.acknowledged.is_none()) {
                state.batches.pop_back();
            }
        });
    }

    /// What a view does not see of it; it has this place in a view of rows.
    pub(super) fn missing_in(&self, view: &View, place: usize) -> Missing {
        self.write(|state, committing| {
            let in_hand = Some(committing.load(Ordering::Relaxed)).filter(|xid| *xid != 0);
            let mut missing = Missing { due: state.next_due, acknowledged: None };
            for batch in state.batches.iter().rev() {
                let xid = if batch.acknowledged.is_some() { batch.xid } else { in_hand };
                if view.sees(batch, xid, place) {
                    break;
                }
                missing = Missing { due: Some(batch.due), acknowledged: batch.acknowledged };
            }
            missing
        })
    }

    /// A few instructions, never across an await. A panic elsewhere cannot spoil the state: each write
    /// leaves it whole.
    fn write<T>(&self, write: impl FnOnce(&mut State, &AtomicU64) -> T) -> T {
        let Inner { state, committing } = &*self.0;
        write(&mut state.lock().unwrap_or_else(PoisonError::into_inner), committing)
    }
}

impl State {
    /// Makes neighbours one, where there are too many.
    fn shorten(&mut self) {
        if self.batches.len() <= self.kept_max.max(KEPT_MIN) {
            return;
        }
        let now = Instant::now();
        let may_be_one = |first: &Batch, second: &Batch| {
            let off = second.last_due.saturating_duration_since(first.due);
            let age = now.saturating_duration_since(second.last_due);
            second.acknowledged.is_some() && off <= age.mul_f64(RIGHT_TO)
        };
        let mut fewer: VecDeque<Batch> = VecDeque::with_capacity(self.batches.len());
        for batch in self.batches.drain(..) {
            match fewer.back_mut() {
                Some(last) if may_be_one(last, &batch) => {
                    let Batch { due, acknowledged, .. } = *last;
                    *last = Batch { due, acknowledged, ..batch };
                }
                _ => fewer.push_back(batch),
            }
        }
        self.kept_max = 2 * fewer.len();
        self.batches = fewer;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::freshness::{Snapshot, Trails};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn snapshot(text: &str) -> Snapshot {
        Snapshot::read(text).unwrap()
    }

    /// One batch each 100 ms, whose rows fall due meanwhile; it is acknowledged 10 ms after its end.
    async fn batch(trail: &Trail, number: u64) {
        let due = Instant::now();
        trail.next_is_due(Some(due));
        tokio::time::sleep(ms(100)).await;
        trail.begins(number * 10 + 10, due);
        trail.next_is_due(Some(Instant::now()));
        trail.committing().store(100 + number, Ordering::Relaxed);
        tokio::time::sleep(ms(10)).await;
        trail.acknowledged(Some(100 + number), Some(1_000 + number));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_stands_still_makes_all_answers_old() {
        let trails = Trails::of(2);
        let [frozen, goes_on] = [0, 1].map(|place| trails.iter().nth(place).unwrap().clone());
        batch(&frozen, 0).await;
        for number in 1..=60 {
            batch(&goes_on, number).await;
        }
        let missing = trails.missing_in(&View::Loaded(Instant::now(), None));
        // Since the end of its only batch but for the acknowledgement.
        assert_eq!(missing.age(Instant::now()), ms(60 * 110 + 10));
        assert_eq!(
            missing.freshness(Instant::now()),
            Duration::ZERO,
            "nothing acknowledged is missing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_in_hand_is_seen_once_its_transaction_has_ended_in_the_snapshot() {
        let trails = Trails::of(1);
        let trail = trails.iter().next().unwrap();
        let due = Instant::now();
        trail.begins(10, due);
        tokio::time::sleep(ms(50)).await;
        trail.next_is_due(Some(due + ms(40)));
        let age = |snapshot: &str| {
            let view = View::Loaded(due, Some(self::snapshot(snapshot)));
            trails.missing_in(&view).age(Instant::now())
        };
        assert_eq!(age("900:900:"), ms(50), "its COMMIT was not sent");
        trail.committing().store(777, Ordering::Relaxed);
        assert_eq!(age("777:778:777"), ms(50), "in progress");
        assert_eq!(age("777:777:"), ms(50), "begun later");
        assert_eq!(age("778:778:"), ms(10), "the next row is missing");
        trail.failed();
        assert_eq!(age("778:778:"), ms(50), "it may have ended in nothing");
        trail.given_up();
        assert_eq!(age("1:1:"), ms(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_standby_misses_what_it_has_not_replayed() {
        let trails = Trails::of(1);
        let trail = trails.iter().next().unwrap();
        for number in 0..10 {
            batch(trail, number).await;
        }
        let now = Instant::now();
        let seen = |replayed, snapshot: &str| {
            let missing = trails.missing_in(&View::Replayed(replayed, self::snapshot(snapshot)));
            (missing.age(now), missing.freshness(now))
        };
        assert_eq!(seen(1_009, "1:1:"), (ms(10), ms(0)));
        assert_eq!(seen(1_006, "1:1:"), (ms(330), ms(220)));
        assert_eq!(seen(1_006, "109:109:"), (ms(110), ms(0)), "the snapshot knows more");
        assert_eq!(seen(0, "1:1:"), (ms(1_100), ms(990)));
        // As many rows as the batches up to the third have.
        let missing = trails.missing_in(&View::Rows(vec![39]));
        assert_eq!(missing.age(now), ms(770));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_trail_takes_little_memory_and_stays_right_to_a_percent() {
        let trails = Trails::of(1);
        let trail = trails.iter().next().unwrap();
        let start = Instant::now();
        let batches = 50_000;
        for number in 0..batches {
            trail.begins(number + 1, Instant::now());
            trail.acknowledged(Some(number), Some(number));
            tokio::time::sleep(ms(100)).await;
        }
        let kept = trail.write(|state, _| state.batches.len());
        assert!(kept < 2_000, "{kept} batches are kept of {batches}");
        let now = Instant::now();
        for replayed in (0..batches - 1).step_by(97) {
            let missing = trails.missing_in(&View::Replayed(replayed, snapshot("0:0:")));
            let true_age = now.duration_since(start + ms(100) * (replayed as u32 + 1));
            let age = missing.age(now);
            assert!(age >= true_age, "never too fresh");
            let off = age.saturating_sub(true_age).as_secs_f64();
            assert!(off <= true_age.as_secs_f64() * RIGHT_TO, "{off} s of {true_age:?}");
            assert_eq!(missing.freshness(now), age);
        }
    }
}
