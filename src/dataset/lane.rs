//! The load of a table over several connections, each of which takes the next batch that nobody has taken, until there
//! is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::pace::DueTimes;
use crate::pg::reservation::Reservation;
use crate::pg::{self, Address, Session, copy::CopyIn, read_back::Tuples};
use crate::plan::Table;
use crate::row::{BatchEncoder, Checksum, CopyFormat, EncodeError, FileFault};

use super::catalog::copy_sql;
use super::error::with_remedy;
use super::{DatasetError, Filler, PROGRESS_EVERY, Stage};

/// Rows of a transaction. At 100,000 the price of a commit is lost in the noise, and Ctrl-C still
/// waits for a fraction of a second only.
pub(super) const BATCH_ROWS: u64 = 100_000;

impl Filler<'_> {
    /// Runs the lanes to their end, telling how it goes.
    pub(super) async fn load(&mut self, load: &Arc<Load>) -> Result<Checksum, DatasetError> {
        let rows = self.table.rows.get();
        let lanes = u64::from(self.options.connections.get()).min(load.batches()) as u32;
        let mut running = FuturesUnordered::new();
        for number in 0..lanes {
            let encoder = Load::encoder(self.table, self.control.copy_format());
            let encoder = encoder.map_err(|error| self.unencodable(error))?;
            let (load, table) = (Arc::clone(load), self.name.clone());
            running.push((self.start)(Box::pin(async move {
                load.lane(number, encoder).await.map_err(|error| DatasetError::Load {
                    error: with_remedy(error, &table),
                    rows_done: load.rows_done(),
                    rows,
                    table,
                })
            })));
        }
        let began = Instant::now();
        let mut tick = tokio::time::interval(PROGRESS_EVERY);
        let (mut sum, mut failure) = (Checksum::default(), None);
        loop {
            tokio::select! {
                done = running.next() => match done {
                    Some(Ok(of_lane)) => sum.merge(of_lane),
                    Some(Err(error)) => {
                        load.stop();
                        failure.get_or_insert(error);
                    }
                    None => break,
                },
                _ = tick.tick() => self.show_load(load, began.elapsed()),
            }
        }
        // The others have finished their batches since.
        match failure {
            Some(DatasetError::Load { table, error, .. }) => {
                Err(DatasetError::Load { table, error, rows_done: load.rows_done(), rows })
            }
            Some(error) => Err(error),
            None if sum.rows() < rows => Err(self.interrupted(Some(load.rows_done()))),
            None => Ok(sum),
        }
    }

    fn show_load(&self, load: &Load, elapsed: Duration) {
        let (rows_done, rows) = (load.rows_done(), self.table.rows.get());
        let rows_per_s = (rows_done - load.rows_present()) as f64 / elapsed.as_secs_f64().max(1e-3);
        let left = (rows - rows_done) as f64 / rows_per_s;
        let left = Duration::try_from_secs_f64(left).ok();
        self.progress.show(&self.name, Stage::Loading { rows_done, rows, rows_per_s, left });
    }
}

/// A load in progress, shared by its lanes.
#[derive(Debug)]
pub(super) struct Load {
    table: Table,
    address: Address,
    reservation: Reservation,
    copy_format: CopyFormat,
    batch_rows: u64,
    /// How many rows of a batch are in the table already, its first ones: they are generated for the
    /// checksum, and not sent.
    present: BTreeMap<u64, u64>,
    next: AtomicU64,
    rows_done: AtomicU64,
    stop: CancellationToken,
}

impl Load {
    pub(super) fn new(
        table: &Table,
        address: &Address,
        (reservation, copy_format): (Reservation, CopyFormat),
        batch_rows: u64,
        present: BTreeMap<u64, u64>,
        stop: CancellationToken,
    ) -> Self {
        let load = Self {
            table: table.clone(),
            address: address.clone(),
            reservation,
            copy_format,
            batch_rows,
            present,
            next: AtomicU64::new(0),
            rows_done: AtomicU64::new(0),
            stop,
        };
        let rows_present = load.rows_present();
        load.rows_done.store(rows_present, Ordering::Relaxed);
        load
    }

    /// Rows that need not be sent.
    pub(super) fn rows_present(&self) -> u64 {
        self.present.values().sum()
    }

    /// Rows in the table so far.
    pub(super) fn rows_done(&self) -> u64 {
        self.rows_done.load(Ordering::Relaxed)
    }

    pub(super) fn batches(&self) -> u64 {
        self.table.rows.get().div_ceil(self.batch_rows)
    }

    /// The first row of a batch, from 1, and how many it has.
    fn rows_of(&self, batch: u64) -> (u64, u64) {
        let before = batch * self.batch_rows;
        (before + 1, self.batch_rows.min(self.table.rows.get() - before))
    }

    /// Ends the load at the next batch of each lane.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// An encoder whose row `i` has the identity `i`.
    pub(super) fn encoder(
        table: &Table,
        copy_format: CopyFormat,
    ) -> Result<BatchEncoder, EncodeError> {
        let encoder = BatchEncoder::new(&table.columns, table.row_seed(), 0, 0)?;
        Ok(encoder.in_format(copy_format, &table.columns))
    }

    /// A COPY of the table's first row.
    pub(super) fn first_row(table: &Table, copy_format: CopyFormat) -> Result<Bytes, EncodeError> {
        let mut encoder = Self::encoder(table, copy_format)?;
        encoder.begin(1, 1, DueTimes::constant(0));
        let chunks: Result<Vec<Bytes>, _> = std::iter::from_fn(|| encoder.next_chunk()).collect();
        Ok(chunks?.concat().into())
    }

    /// Loads batches over one connection until all are taken. Returns the checksum of those that
    /// this lane took.
    pub(super) async fn lane(
        &self,
        number: u32,
        encoder: BatchEncoder,
    ) -> Result<Checksum, pg::Error> {
        let name = format!("strom-load fill {number}");
        let session = match Session::own(&self.address, &name).await {
            // The others do this lane's share.
            Err(error) if number > 0 && error.sqlstate() == Some("53300") => {
                tracing::warn!("one connection less for table {}: {error}", self.table.name);
                return Ok(Checksum::default());
            }
            session => session?,
        };
        let outcome = self.take_batches(session, encoder).await;
        if outcome.is_err() {
            self.stop();
        }
        outcome
    }

    async fn take_batches(
        &self,
        mut session: Session,
        mut encoder: BatchEncoder,
    ) -> Result<Checksum, pg::Error> {
        // The record that the table is ready is committed with the wait for the disk, and the log
        // is written in order: nothing is lost by not waiting for each batch.
        session.execute("set the session up", "SET synchronous_commit = off").await?;
        if !self.reservation.join(&mut session).await? {
            return Err(pg::Error::taken("reserve the table for this session"));
        }
        let copy = session.prepare_copy(&copy_sql(&self.table, self.copy_format)).await?;
        let mut sum = Checksum::default();
        while !self.stop.is_cancelled() {
            let batch = self.next.fetch_add(1, Ordering::Relaxed);
            if batch >= self.batches() {
                break;
            }
            sum.merge(self.batch(batch, &mut session, &copy, &mut encoder).await?);
        }
        session.close().await;
        Ok(sum)
    }

    async fn batch(
        &self,
        batch: u64,
        session: &mut Session,
        copy: &CopyIn,
        encoder: &mut BatchEncoder,
    ) -> Result<Checksum, pg::Error> {
        let mut sum = Checksum::default();
        let (first, rows) = self.rows_of(batch);
        let present = self.present.get(&batch).copied().unwrap_or_default().min(rows);
        if present > 0 {
            for chunk in std::iter::from_fn(chunks(first, present, encoder, &mut sum)) {
                chunk.map_err(pg::Error::of_file)?;
                tokio::task::yield_now().await;
            }
        }
        if present < rows {
            let next_chunk = chunks(first + present, rows - present, encoder, &mut sum);
            let loaded = session.copy_in(copy, next_chunk).await?;
            self.rows_done.fetch_add(loaded, Ordering::Relaxed);
        }
        Ok(sum)
    }
}

/// Yields rows as a COPY in the encoder's format, and adds them to `sum` on the way.
fn chunks<'a>(
    first: u64,
    rows: u64,
    encoder: &'a mut BatchEncoder,
    sum: &'a mut Checksum,
) -> impl FnMut() -> Option<Result<Bytes, FileFault>> + use<'a> {
    encoder.begin(first, rows, DueTimes::constant(0));
    let mut tuples = Tuples::without_header();
    move || encoder.next_chunk_of(|rows| tuples.feed(rows, &mut |tuple: &[u8]| sum.add(tuple)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Overrides, Plan, ProfileSource};

    fn table(rows: u64, seed: u64) -> Table {
        let source =
            ProfileSource::new("sales.toml", include_str!("../../benches/l40s_sales_large.toml"));
        let plan = Plan::read(&source, &Overrides::default()).unwrap();
        let table = plan.common.tables.into_iter().next().unwrap();
        Table { rows: rows.try_into().unwrap(), seed, ..table }
    }

    /// All rows, batch by batch in some order, with an encoder for each of several lanes.
    fn generate(table: &Table, batch_rows: u64, lanes: usize, copy_format: CopyFormat) -> Checksum {
        let address = Address::socket("/nowhere".as_ref(), 1, "", "");
        let stop = CancellationToken::new();
        let how = (Reservation::default(), copy_format);
        let load = Load::new(table, &address, how, batch_rows, BTreeMap::new(), stop);
        let encoder = |_| Load::encoder(table, copy_format).unwrap();
        let mut encoders: Vec<_> = (0..lanes).map(encoder).collect();
        let mut sum = Checksum::default();
        for batch in (0..load.batches()).rev() {
            let mut of_batch = Checksum::default();
            let encoder = &mut encoders[batch as usize % lanes];
            let (first, rows) = load.rows_of(batch);
            let mut next_chunk = chunks(first, rows, encoder, &mut of_batch);
            while next_chunk().is_some() {}
            drop(next_chunk);
            sum.merge(of_batch);
        }
        sum
    }

    proptest! {
        #[test]
        fn the_rows_do_not_depend_on_how_they_are_cut_and_shared(
            rows in 1_u64..3_000, batch_rows in 1_u64..4_000, lanes in 1_usize..5, seed: u64,
            is_text: bool,
        ) {
            let table = table(rows, seed);
            let whole = generate(&table, rows, 1, CopyFormat::Binary);
            prop_assert_eq!(whole.rows(), rows);
            let copy_format = CopyFormat::of(!is_text);
            prop_assert_eq!(generate(&table, batch_rows, lanes, copy_format), whole);
        }
    }

    #[test]
    fn seed_and_name_decide_about_the_rows() {
        let table = table(100, 1);
        let other_seed = Table { seed: 2, ..table.clone() };
        let mut other_name = table.clone();
        other_name.name.name = "l40s_sales_small".to_owned();
        let sums = [&table, &other_seed, &other_name]
            .map(|table| generate(table, 100, 1, CopyFormat::Binary));
        assert!(sums[0] != sums[1] && sums[0] != sums[2] && sums[1] != sums[2]);
        // A table may move to another schema.
        let mut moved = table.clone();
        moved.name.schema = Some("sales".to_owned());
        assert_eq!(generate(&moved, 100, 1, CopyFormat::Binary), sums[0]);
    }
}
