//! Tables of generated rows: created, filled over several connections, finished with keys and
//! indexes, recorded, and reused. Starts no tasks: the engine runs the lanes.

mod catalog;
mod error;
mod estimate;
mod lane;
mod record;
mod reserve;
mod settle;

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::pg::reservation::Reservation;
use crate::pg::{self, Address, Session, capabilities, dry_run};
use crate::plan::{Recreate, Table};
use crate::result::capability::Capabilities;
pub use crate::result::table::{Prepared, State};
use crate::row::{Checksum, CopyFormat, EncodeError};

use catalog::{Building, Relation};
pub use error::DatasetError;
pub use estimate::Estimate;
use lane::{BATCH_ROWS, Load};
use record::{NotARecord, Record, Status};
use reserve::{Holder, Patience};

/// Between two reports of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How tables are made ready.
#[derive(Debug, Clone, Copy)]
pub struct DatasetOptions {
    /// Connections that load one table at the same time.
    pub connections: NonZeroU32,
    /// Read every row back and compare the checksum, also of a table that is reused.
    pub verify: bool,
    /// How long another strom-load that has reserved a table may do nothing before it is not waited
    /// for any more.
    pub idle_max: Duration,
}

/// What a table is going through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage<'a> {
    /// So much is about to be loaded.
    Begins(&'a Estimate),
    /// Rows are being loaded.
    Loading {
        /// Rows in the table.
        rows_done: u64,
        /// Rows that it shall have.
        rows: u64,
        /// Since the load began.
        rows_per_s: f64,
        /// How long the rest takes at that rate; `None` before there is one.
        left: Option<Duration>,
    },
    /// Something runs on the server, such as "building index sales_date".
    Working(&'a str),
    /// The table is ready.
    Ready(&'a Prepared),
}

/// Who is told how it goes.
pub trait FillProgress: Sync {
    /// Called at every change, and twice a second while rows are loaded.
    fn show(&self, table: &str, stage: Stage<'_>);
}

/// A lane of a load, to be run as a task of its own.
pub type Lane = Pin<Box<dyn Future<Output = Result<Checksum, DatasetError>> + Send>>;

/// Starts a lane at once, on any thread; what it returns waits for the lane's end.
pub type StartLane<'a> = &'a (dyn Fn(Lane) -> Lane + Sync);

/// Tables that are ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// Each, in order.
    pub tables: Vec<Prepared>,
    /// What the server can do; `None` if nothing was loaded or read back.
    pub capabilities: Option<Capabilities>,
}

/// Makes tables ready, one after the other: creates and fills those that are not there, completes
/// half-filled ones, and reuses those that fit.
///
/// The first token ends it between two batches, and cancels whatever else the server is at. What is
/// loaded stays, and the next call goes on from there. The second ends it at once.
///
/// # Errors
/// When a table cannot be created or filled, or one is there that does not fit.
pub async fn prepare(
    address: &Address,
    tables: &[Table],
    options: &DatasetOptions,
    progress: &dyn FillProgress,
    start: StartLane<'_>,
    (stop, abort): (&CancellationToken, &CancellationToken),
) -> Result<Filled, DatasetError> {
    let mut prepared = Vec::new();
    let mut capabilities = None;
    for table in tables {
        let name = table.name.as_written();
        // The reservation below is the session's, and so must the backend be.
        let connected = if prepared.is_empty() {
            Session::own_backend(address, "strom-load fill control").await
        } else {
            Session::own(address, "strom-load fill control").await.map(Session::telling_of_waits)
        };
        let control = connected.map_err(|error| DatasetError::server(&name, error))?;
        let (doing, filling) = (String::from("looking it up"), false);
        let mut filler = Filler {
            address,
            table,
            name,
            options,
            progress,
            start,
            stop,
            capabilities: &mut capabilities,
            control,
            doing,
            filling,
        };
        let canceller = filler.control.canceller();
        let done = tokio::select! {
            done = filler.prepare() => done?,
            () = abort.cancelled() => {
                canceller.cancel().await;
                return Err(filler.interrupted(None));
            }
        };
        // The reservation ends with the session.
        filler.control.close().await;
        progress.show(&done.table, Stage::Ready(&done));
        prepared.push(done);
    }
    Ok(Filled { tables: prepared, capabilities })
}

/// One table on its way.
struct Filler<'a> {
    address: &'a Address,
    table: &'a Table,
    name: String,
    options: &'a DatasetOptions,
    progress: &'a dyn FillProgress,
    start: StartLane<'a>,
    stop: &'a CancellationToken,
    /// What the server can do, once it was tried.
    capabilities: &'a mut Option<Capabilities>,
    control: Session,
    /// What is being done, such as "counting its rows".
    doing: String,
    /// Whether the table is recorded as half-filled.
    filling: bool,
}

impl Filler<'_> {
    async fn prepare(&mut self) -> Result<Prepared, DatasetError> {
        // Before anything is dropped.
        let encoder = Load::encoder(self.table, CopyFormat::default());
        encoder.map_err(|error| self.unencodable(error))?;
        let encoding = dry_run::check_encoding(&mut self.control, &self.table.columns).await;
        self.served(encoding)?;
        let set = "SET synchronous_commit = on; SET client_min_messages = warning";
        let done = self.control.execute("set the session up", set).await;
        self.served(done)?;
        self.reserve().await?;
        let found = Relation::find(&mut self.control, self.table).await;
        match self.served(found)? {
            None => self.fill_anew(State::Created).await,
            // Whether it may be dropped is decided when it is.
            Some(_) if self.table.recreate != Recreate::No => {
                self.fill_anew(State::Recreated).await
            }
            Some(relation) => {
                self.check_kind(&relation)?;
                self.take_over(&relation).await
            }
        }
    }

    /// Waits until no other strom-load is at this table: what that one fills can be reused.
    async fn reserve(&mut self) -> Result<(), DatasetError> {
        let mut patience = Patience::new(self.options.idle_max);
        loop {
            let reserved = reserve::reserve(&mut self.control, self.table).await;
            if self.served(reserved)? {
                return Ok(());
            }
            let holder = reserve::holder(&mut self.control, self.table).await;
            if let Some(holder) = self.served(holder)? {
                if patience.is_out(&holder) {
                    let (table, idle) = (self.name.clone(), self.options.idle_max);
                    return Err(DatasetError::Reserved { table, pid: holder.pid, idle });
                }
                let Holder { pid, application, .. } = holder;
                self.working(&format!(
                    "waiting for session {pid} of {application}, which fills it"
                ));
            }
            tokio::select! {
                () = tokio::time::sleep(PROGRESS_EVERY) => {}
                () = self.stop.cancelled() => return Err(self.interrupted(None)),
            }
        }
    }

    /// Only an ordinary table is ever filled or reused.
    fn check_kind(&self, relation: &Relation) -> Result<(), DatasetError> {
        let kind = match relation.kind.as_str() {
            "r" => return Ok(()),
            "p" => "a partitioned table",
            "v" => "a view",
            "m" => "a materialized view",
            "f" => "a foreign table",
            "S" => "a sequence",
            _ => "no ordinary table",
        };
        Err(self.not_ours(&format!("it is {kind}"), "give the table of the profile another name"))
    }

    /// Has rows go over the session in the format that the server takes, which is tried if it was not.
    ///
    /// In a session apart, since a COPY that is refused spends the one that it is tried in, and this one
    /// holds the table.
    async fn find_format(&mut self) -> Result<(), DatasetError> {
        let takes_binary = match &*self.capabilities {
            Some(found) => !found.copy_binary.is_missing(),
            None => {
                let anew = || Session::own(self.address, "strom-load fill probe");
                let found = async {
                    let (session, found) = capabilities::find(anew().await?, anew).await?;
                    session.close().await;
                    Ok(found)
                };
                let found = self.served(found.await)?;
                !self.capabilities.insert(found).copy_binary.is_missing()
            }
        };
        self.control.use_format(CopyFormat::of(takes_binary));
        Ok(())
    }

    fn not_ours(&self, what: &str, fix: &'static str) -> DatasetError {
        DatasetError::NotOurs { table: self.name.clone(), what: what.to_owned(), fix }
    }

    /// A table of that name is there, and must not be dropped.
    async fn take_over(&mut self, relation: &Relation) -> Result<Prepared, DatasetError> {
        let record = Record::read(relation.comment.as_deref()).map_err(|reason| match reason {
            NotARecord::Foreign => self.not_ours(
                "it is there, and strom-load did not fill it",
                "give the table of the profile another name",
            ),
            NotARecord::OtherFormat => self.not_ours(
                "it was filled by another version of strom-load",
                "use that version, or let --recreate drop and rebuild the table",
            ),
        })?;
        let mut differences = record.differences(self.table);
        differences.extend(relation.differences(self.table));
        self.fits(differences)?;
        if record.rows > self.table.rows.get() {
            return Err(self.too_large(&record));
        }
        if record.status == Status::Filling {
            return self.complete(relation, record).await;
        }
        self.working("counting its rows");
        let table = self.table;
        let count = async |control: &mut Session| catalog::count(control, table).await;
        let rows = self.stoppable(None, count).await?;
        if rows == 0 {
            // Emptied by a crash, if it is unlogged, or by hand: nothing is lost by filling it.
            return self.complete(relation, record).await;
        }
        if rows != record.rows {
            let (have, want) = (format_rows(rows), format_rows(record.rows));
            self.fits(vec![format!("it has {have} rows, but was filled with {want}")])?;
        }
        if rows < self.table.rows.get() {
            return self.grow(record).await;
        }
        let began = Instant::now();
        let missing = relation.missing(self.table);
        if !missing.is_empty() {
            self.enter().await?;
        }
        let built = self.build(missing).await?;
        let finish_s = if built.is_empty() { 0.0 } else { began.elapsed().as_secs_f64() };
        let checksum = record.checksum.unwrap_or_default();
        self.conclude(State::Reused, checksum, (0, 0.0), finish_s, built).await
    }

    fn fits(&self, differences: Vec<String>) -> Result<(), DatasetError> {
        if differences.is_empty() {
            return Ok(());
        }
        Err(DatasetError::Mismatch { table: self.name.clone(), differences })
    }

    async fn fill_anew(&mut self, state: State) -> Result<Prepared, DatasetError> {
        self.find_format().await?;
        let record = Record::begin(self.table, BATCH_ROWS);
        let replace = state == State::Recreated;
        self.announce(self.table.rows.get()).await?;
        self.working("creating it");
        let first_row = Load::first_row(self.table, self.control.copy_format());
        let first_row = first_row.map_err(|error| self.unencodable(error))?;
        let created =
            catalog::create(&mut self.control, self.table, &record, first_row, replace).await;
        self.served(created)?;
        self.filling = true;
        self.fill(state, record, BTreeMap::new()).await
    }

    async fn complete(
        &mut self,
        relation: &Relation,
        record: Record,
    ) -> Result<Prepared, DatasetError> {
        self.find_format().await?;
        self.enter().await?;
        self.filling = record.status == Status::Filling;
        let record = record.filling(self.table);
        let present = match self.batches_present(record.batch_rows).await? {
            Some(present) => present,
            None => {
                // Not the first rows of batches, or no row numbers to tell: from the beginning,
                // unless the table is not ours any more.
                self.set_record(&record).await?;
                let sql = format!("TRUNCATE {}", self.table.name);
                let done = self.control.at_length().execute("empty it to fill it anew", &sql).await;
                self.served(done)?;
                BTreeMap::new()
            }
        };
        if !present.is_empty() {
            // What was rolled back left dead rows; the rest of the rows takes their place.
            let sql = format!("VACUUM {}", self.table.name);
            self.statement("make room in it", sql).await?;
        }
        if relation.comment.as_deref() != Some(&record.comment()) {
            self.set_record(&record).await?;
        }
        self.filling = true;
        self.fill(State::Completed, record, present).await
    }

    /// Adds the rows that a table lacks: those that it has are the first ones.
    async fn grow(&mut self, record: Record) -> Result<Prepared, DatasetError> {
        self.find_format().await?;
        self.enter().await?;
        let present = record.batches();
        if self.table.row_id().is_some()
            && self.batches_present(record.batch_rows).await?.as_ref() != Some(&present)
        {
            let rows = format_rows(record.rows);
            self.fits(vec![format!("its rows are not those with the numbers 1 to {rows}")])?;
        }
        let record = record.filling(self.table);
        self.set_record(&record).await?;
        self.filling = true;
        self.fill(State::Grown, record, present).await
    }

    async fn batches_present(
        &mut self,
        batch_rows: u64,
    ) -> Result<Option<BTreeMap<u64, u64>>, DatasetError> {
        self.working("finding out what is loaded");
        let table = self.table;
        let find = async |control: &mut Session| {
            catalog::batches_present(control, table, batch_rows).await
        };
        self.stoppable(None, find).await
    }

    /// Sees to it that no other run is at the table, before it is changed.
    async fn enter(&mut self) -> Result<Reservation, DatasetError> {
        let entered = catalog::enter(&mut self.control, self.table).await;
        self.served(entered)
    }

    async fn set_record(&mut self, record: &Record) -> Result<(), DatasetError> {
        let set = catalog::set_record(&mut self.control, self.table, record).await;
        if self.served(set)? {
            return Ok(());
        }
        Err(self.not_ours(
            "its comment was changed while it was being filled, and is not written over",
            "give the table of the profile another name, or drop this one",
        ))
    }

    fn too_large(&self, record: &Record) -> DatasetError {
        let Table { name: _, rows, rows_unscaled, dimension, .. } = self.table;
        let scale = record.rows as f64 / rows_unscaled.get() as f64;
        let is_exact = (rows_unscaled.get() as f64 * scale).round() as u64 == record.rows;
        let same_size = if *dimension {
            format!("give it `rows = {}` in the profile", record.rows)
        } else if record.rows == rows_unscaled.get() {
            "repeat the command without --scale".to_owned()
        } else if is_exact {
            format!("repeat the command with --scale {scale}")
        } else {
            format!("repeat the command with --rows {}", record.rows)
        };
        DatasetError::TooLarge {
            table: self.name.clone(),
            rows: record.rows,
            wanted: rows.get(),
            same_size,
        }
    }

    /// Says what is about to be loaded, and what that takes.
    async fn announce(&mut self, rows: u64) -> Result<(), DatasetError> {
        if rows == 0 {
            return Ok(());
        }
        let estimate = Estimate::new(self.table, rows);
        let mut estimate = estimate.map_err(|error| self.unencodable(error))?;
        let free = self.control.disk_free_bytes().await;
        estimate.free_bytes = self.served(free)?;
        self.progress.show(&self.name, Stage::Begins(&estimate));
        if estimate.is_too_large() {
            tracing::warn!(
                "table {}: it will hardly fit on the server's disk; --scale or --rows make it smaller",
                self.name
            );
        }
        Ok(())
    }

    /// Loads what is not present, builds what is missing, and records the table as ready.
    async fn fill(
        &mut self,
        state: State,
        record: Record,
        present: BTreeMap<u64, u64>,
    ) -> Result<Prepared, DatasetError> {
        let stop = self.stop.child_token();
        let reservation = self.enter().await?;
        let (table, batch_rows) = (self.table, record.batch_rows);
        let how = (reservation, self.control.copy_format());
        let load = Load::new(table, self.address, how, batch_rows, present, stop);
        let load = Arc::new(load);
        if !matches!(state, State::Created | State::Recreated) {
            self.announce(self.table.rows.get() - load.rows_present()).await?;
        }
        let began = Instant::now();
        let sum = self.load(&load).await?;
        let loaded = (self.table.rows.get() - load.rows_present(), began.elapsed().as_secs_f64());
        let began = Instant::now();
        let found = Relation::find(&mut self.control, self.table).await;
        let found = self.served(found)?;
        let missing = found.map(|relation| relation.missing(self.table)).unwrap_or_default();
        let built = self.build(missing).await?;
        self.settle().await?;
        let finish_s = began.elapsed().as_secs_f64();
        self.set_record(&record.ready(sum.to_string())).await?;
        self.filling = false;
        self.conclude(state, sum.to_string(), loaded, finish_s, built).await
    }

    /// Builds keys and indexes; returns what they are called.
    async fn build(&mut self, missing: Vec<Building>) -> Result<Vec<String>, DatasetError> {
        let mut built = Vec::new();
        for Building { what, sql } in missing {
            self.working(&format!("building {what}"));
            self.statement(&format!("build {what}"), sql).await?;
            built.push(what);
        }
        Ok(built)
    }

    /// Runs a long statement, once all rows are loaded.
    async fn statement(&mut self, act: &str, sql: String) -> Result<(), DatasetError> {
        let run = async |control: &mut Session| control.at_length().execute(act, &sql).await;
        self.stoppable(Some(self.table.rows.get()), run).await
    }

    /// Runs what may take long on the server, where a stop cancels it. `rows_done` are loaded, as
    /// far as that is known.
    async fn stoppable<T>(
        &mut self,
        rows_done: Option<u64>,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, pg::Error>,
    ) -> Result<T, DatasetError> {
        if self.stop.is_cancelled() {
            return Err(self.interrupted(rows_done));
        }
        let done = self.control.unless_cancelled(self.stop, work).await;
        self.served(done)?.ok_or_else(|| self.interrupted(rows_done))
    }

    /// Tells what is being done now.
    fn working(&mut self, what: &str) {
        what.clone_into(&mut self.doing);
        self.progress.show(&self.name, Stage::Working(what));
    }

    async fn conclude(
        &mut self,
        state: State,
        checksum: String,
        (rows_loaded, load_s): (u64, f64),
        finish_s: f64,
        built: Vec<String>,
    ) -> Result<Prepared, DatasetError> {
        if self.options.verify {
            self.find_format().await?;
            self.working("reading every row back");
            let found = self.checksum().await?;
            if found.to_string() != checksum {
                let (table, found) = (self.name.clone(), found.to_string());
                return Err(DatasetError::Altered { table, found, generated: checksum });
            }
        }
        let sizes = catalog::sizes(&mut self.control, self.table).await;
        let (table_bytes, index_bytes) = self.served(sizes)?;
        Ok(Prepared {
            table: self.name.clone(),
            state,
            rows: self.table.rows.get(),
            rows_loaded,
            load_s,
            finish_s,
            built,
            checksum,
            verified: self.options.verify,
            table_bytes,
            index_bytes,
        })
    }

    /// The checksum of the rows in the table.
    async fn checksum(&mut self) -> Result<Checksum, DatasetError> {
        let query = format!("SELECT {} FROM {}", catalog::column_list(self.table), self.table.name);
        let read = async |control: &mut Session| {
            let mut sum = Checksum::default();
            control.read_back(&query, |tuple| sum.add(tuple)).await?;
            Ok(sum)
        };
        self.stoppable(Some(self.table.rows.get()), read).await
    }

    /// A signal came. If the table is being filled, `rows_done` are loaded, as far as that is known.
    fn interrupted(&self, rows_done: Option<u64>) -> DatasetError {
        let (table, rows) = (self.name.clone(), self.table.rows.get());
        match rows_done {
            _ if !self.filling => DatasetError::Untouched { table, doing: self.doing.clone() },
            Some(rows_done) => DatasetError::Interrupted { table, rows_done, rows },
            None => DatasetError::HalfFilled { table },
        }
    }

    fn unencodable(&self, error: EncodeError) -> DatasetError {
        DatasetError::Row { table: self.name.clone(), error: Box::new(error) }
    }

    fn served<T>(&self, answer: Result<T, pg::Error>) -> Result<T, DatasetError> {
        answer.map_err(|error| DatasetError::server(&self.name, error))
    }
}

fn format_rows(rows: u64) -> String {
    crate::quantity::format_count(rows)
}
