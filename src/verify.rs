//! `verify`: the audit of a saved run, any time later, also of one whose loader was killed.

mod changed;
mod error;
mod files;
mod lane;
mod several;

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use serde::Deserialize;
use serde_json::Value;

use crate::ingest::audit::{self, AuditError, Evidence, LaneEvidence, audit, holds, patience};
use crate::ingest::auditor::Audited;
use crate::pace::Backoff;
use crate::pg::owner::{self, Successor};
use crate::pg::{self, Address, Session};
use crate::plan::{Delivery, NamedFile, Overrides, Plan, ProfileSource, StreamJob};
use crate::quantity::{format_count, format_seconds};
use crate::record::LaneAudit;
use crate::report::{differences, left_out, may_have_written, shown};
use crate::result::capability::Capabilities;
use crate::result::journal::{JOURNAL, Journal};
use crate::result::server::{FirstRow, ServerIdentity};
use crate::result::{self, INDEX, RESULT, ReadError, Status};
use crate::row::{CopyFormat, Ids};

use changed::refuse_changed_rows;
pub(crate) use error::{SavedRunError, VerifyError};
use files::refuse_other_files;
use lane::{SavedLane, lanes, shown_ids};
use several::several;

/// How the table can be another one on the run's own server.
const MADE_ANEW: &str = "the table was made anew since";
const NO_TABLE: &str = "the table is not there";

/// Rows may be in the account of a loader that was killed though it was not complete any more by then: those of
/// so many seconds at most, and of many less mostly.
const UNSEEN_S: f64 = 60.0;

/// Kinds of jobs without a stream.
const OTHER_KINDS: [&str; 2] = ["benchmark", "sweep"];

/// A run as its result file tells it, as far as the audit needs it.
#[derive(Debug)]
pub(crate) struct SavedRun {
    plan: Plan<StreamJob>,
    origin_us: i64,
    /// Until when the account knows what became of the rows, in seconds since the start of the
    /// schedule; `None`: to the end.
    known_until_s: Option<f64>,
    /// Whether its loader is still at it.
    is_alive: bool,
    /// The run, as its lanes' rows name it. A result of an earlier version does not have it.
    run: Option<String>,
    /// Whether it has a journal, where one matters.
    has_journal: bool,
    /// What is wrong with its journal, if anything is.
    damage: Option<String>,
    lanes: Vec<(Ids, SavedLane)>,
    server: SavedServer,
}

/// The same in the file, but for the plan.
#[derive(Deserialize)]
struct Saved {
    status: Status,
    origin_us: i64,
    /// Not in results of format 1.
    took_s: Option<f64>,
    /// The measurement's part of it, in results of format 1.
    measured_s: Option<f64>,
    stream: SavedStream,
    server: SavedServer,
}

#[derive(Deserialize)]
struct SavedStream {
    owner: Option<SavedOwner>,
    partitions: Vec<SavedLane>,
}

#[derive(Deserialize)]
struct SavedOwner {
    run: String,
}

/// The server of the run.
#[derive(Debug, Deserialize)]
struct SavedServer {
    address: String,
    embedded: bool,
    /// Not in results of format 1.
    #[serde(default)]
    identity: ServerIdentity,
    /// What it can do, where that was tried.
    capabilities: Option<Capabilities>,
}

/// What a saved run's audit came to.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Whether the table holds what was acknowledged.
    pub right: bool,
    /// For people.
    pub text: String,
}

impl SavedRun {
    /// Reads a results folder, and with `read_named` the files that rows were made of.
    ///
    /// # Errors
    /// When it holds no result, or a damaged one.
    pub(crate) fn read(
        folder: &Path,
        read_named: impl Fn(&Path) -> Result<NamedFile, String>,
    ) -> Result<Self, SavedRunError> {
        let file = folder.join(RESULT);
        if !file.exists() && folder.join(INDEX).is_file() {
            return Err(several(folder));
        }
        let path = file.display().to_string();
        // What the audit reads is the same in all formats.
        let result: Value = result::parse(&file, 1)?;
        let malformed = |fact: String| ReadError::Malformed { path: path.clone(), fact };
        match result["kind"].as_str() {
            // Format 1 named no kind of a stream.
            None | Some("stream" | "faults") => {}
            Some(kind) if !OTHER_KINDS.contains(&kind) => {
                let fact = format!("its kind is `{kind}`, which this strom-load does not know");
                return Err(malformed(fact).into());
            }
            Some(kind) => {
                return Err(SavedRunError::Kind { path: path.clone(), kind: kind.to_owned() });
            }
        }
        if !result["plan"].is_object() {
            return Err(malformed("it has no `plan`".to_owned()).into());
        }
        // The plan is saved in the profile's own keys, so it is a profile.
        let profile = result::as_profile(result["plan"].clone());
        let profile = profile.map_err(|error| malformed(error.to_string()))?;
        refuse_changed_rows(&path, &profile)?;
        let source = ProfileSource::new(path.clone(), profile);
        let source = source.reading(|name| read_named(Path::new(name)));
        refuse_other_files(&source, &result["plan"])?;
        let plan = Plan::resolve(&source, &Overrides::default())
            .map_err(|faults| SavedRunError::Plan { path: path.clone(), faults })?
            .into_stream()
            .ok_or_else(|| malformed("its plan has no stream".to_owned()))?;
        if plan.job.stream.id_column().is_none() {
            return Err(SavedRunError::NoIdentity { path });
        }
        let Saved { status, origin_us, took_s, measured_s, stream, server } =
            serde_json::from_value(result).map_err(|error| malformed(error.to_string()))?;
        let is_running = status == Status::Running;
        let SavedStream { owner, mut partitions } = stream;
        let run = owner.map(|owner| owner.run);
        let mut known_until_s = is_running.then_some(took_s.or(measured_s).unwrap_or_default());
        // What a loader that came to its end has saved says the same.
        let journal = if is_running { journal(folder, origin_us)? } else { None };
        let (has_journal, mut damage) = (journal.is_some(), None);
        if let Some(journal) = journal {
            known_until_s = known_until_s.map(|until| until.max(journal.until.as_secs_f64()));
            damage = journal.damage;
            for saved in &mut partitions {
                if let Some(account) = journal.accounts.get(&saved.number()) {
                    saved.account = saved.account.or(account);
                }
            }
        }
        let stream = &plan.job.stream;
        let batch_rows = u64::from(stream.batch_rows.get());
        let course = stream.course(plan.common.seed);
        let lanes = lanes(stream, run.as_deref(), partitions).map_err(malformed)?;
        let untrue = |(ids, saved): &(Ids, SavedLane)| {
            let due = match (known_until_s, &course) {
                (None, _) => saved.rows_due,
                (Some(until_s), Some(course)) => {
                    // The saturating cast is what is wanted of what is no time.
                    let until_ns = ((until_s + UNSEEN_S) * 1e9) as u64;
                    stream.schedule(course, &ids.lane).rows_before(until_ns)
                }
                // Unthrottled, a row is due when it is sent, and not all of them are counted yet.
                (Some(_), None) => u64::MAX,
            };
            saved.damage(ids, due.saturating_add(batch_rows))
        };
        if let Some(fact) = lanes.iter().find_map(untrue) {
            return Err(malformed(fact).into());
        }
        let is_alive = is_running && result::is_being_written(folder);
        Ok(Self {
            plan,
            origin_us,
            known_until_s,
            is_alive,
            run,
            has_journal,
            damage,
            lanes,
            server,
        })
    }

    /// Why there is no server to look in unless one is named.
    pub(crate) fn no_server(&self) -> String {
        let SavedServer { address, embedded, .. } = &self.server;
        if !embedded {
            return format!(
                "no server to look in: the run's was {address}\n  fix: name it with --database-url"
            );
        }
        format!(
            "no server to look in: the run's ({address}) was started for the run, and is gone with \
             its rows\n  fix: if they were kept, name their folder with --data-dir"
        )
    }

    /// What is being done once so many rows are read, for whoever waits.
    pub(crate) fn doing(&self, read: u64) -> String {
        let so_far = match read {
            0 => String::new(),
            read => format!(", {} so far", format_count(read)),
        };
        format!("reading {} rows back{so_far}", format_count(self.rows_acknowledged()))
    }

    fn rows_acknowledged(&self) -> u64 {
        self.lanes.iter().map(|(_, saved)| saved.account.acknowledged.rows()).sum()
    }

    /// Reads the table back and compares; counts the rows that are `read`.
    ///
    /// # Errors
    /// When the server does not let it, or is not the one that the rows were sent to.
    pub(crate) async fn verify(
        &self,
        address: &Address,
        read: &AtomicU64,
    ) -> Result<Verified, VerifyError> {
        let stream = &self.plan.job.stream;
        let capabilities = self.server.capabilities.as_ref();
        let takes_binary = capabilities.is_none_or(|all| !all.copy_binary.is_missing());
        let copy_format = CopyFormat::of(takes_binary);
        let mut session = Session::own(address, "strom-load verify").await?;
        session.use_format(copy_format);
        let here = session.identity(Some(&stream.table)).await?;
        let elsewhere = self.elsewhere(address, &here);
        let holds_first_row = match (elsewhere, self.first_row()?, self.lanes.first()) {
            (Some(_), Some(first), Some((ids, _))) if here.table_oid.is_some() => {
                holds(&mut session, stream, ids, &first).await?
            }
            _ => false,
        };
        let refused = |fact| self.refused(fact, address, &here);
        if let Some(fact) = elsewhere.filter(|_| !holds_first_row) {
            session.close().await;
            return Err(refused(fact));
        }
        let successors = self.successors(&mut session, &here).await?;
        // Keys that were added since do not count.
        let keys = pg::keys::find(&mut session, &stream.references()).await?;
        let mut plan = self.plan.with_keys(&keys);
        if stream.has_arrays() {
            let types = pg::element_types::find(&mut session, &stream.table).await?;
            plan.job.stream.set_element_types(&types);
        }
        session.close().await;
        let stream = &plan.job.stream;
        let course = stream.course(self.plan.common.seed);
        let evidence = Evidence {
            stream,
            seed: self.plan.common.seed,
            origin_us: self.origin_us,
            complete: self.known_until_s.is_none(),
            patience: patience(&self.plan.job.recovery),
            copy_format,
            backoff: Backoff::default(),
            reservation: None,
            lanes: self
                .lanes
                .iter()
                .zip(successors)
                .map(|((ids, saved), successor)| LaneEvidence {
                    ids: *ids,
                    schedule: course.as_ref().map(|course| stream.schedule(course, &ids.lane)),
                    account: saved.account.clone(),
                    successor,
                })
                .collect(),
        };
        let audited = audit(address, &evidence, read).await.map_err(VerifyError::NotRead)?;
        let may_double = self.plan.job.recovery.delivery == Delivery::AtLeastOnce;
        let right = audited.iter().all(|audited| audited.is_right(may_double));
        // A copy of the run's table: what it lacks, the run's own table may have.
        if let Some(fact) = elsewhere.filter(|_| !right) {
            return Err(refused(fact));
        }
        let text = self.render(&audited, right, elsewhere);
        Ok(Verified { right, text })
    }

    /// Whether other runs have had the partition of each lane since.
    async fn successors(
        &self,
        session: &mut Session,
        here: &ServerIdentity,
    ) -> Result<Vec<Successor>, pg::Error> {
        let partition = |(ids, _): &(Ids, SavedLane)| (owner::key(&ids.lane), ids.base);
        let partitions: Vec<_> = self.lanes.iter().map(partition).collect();
        match (&self.run, here.table_oid) {
            (Some(run), Some(table)) => owner::successors(session, table, run, &partitions).await,
            _ => Ok(vec![Successor::Perhaps; partitions.len()]),
        }
    }

    /// The run's first row. A result of format 1 does not have it, but all that it is made of.
    fn first_row(&self) -> Result<Option<FirstRow>, AuditError> {
        if let Some(first) = &self.server.identity.first_row {
            return Ok(Some(first.clone()));
        }
        let Some((ids, _)) = self.lanes.first() else { return Ok(None) };
        let (stream, seed) = (&self.plan.job.stream, self.plan.common.seed);
        Ok(audit::first_row(stream, seed, ids, self.origin_us)?)
    }

    /// What is another one here than where the run's rows were sent, if anything.
    fn elsewhere(&self, address: &Address, here: &ServerIdentity) -> Option<&'static str> {
        let then = &self.server.identity;
        let same_address = self.server.address == address.to_string();
        match (&then.system_identifier, &here.system_identifier) {
            (Some(then), Some(here)) if then != here => return Some("it is another server"),
            (Some(_), Some(_)) => {}
            // Servers that were made alike have the same oids, so those prove nothing.
            _ if !same_address => return Some("nothing says that it is the same server"),
            _ => {}
        }
        if then.database_oid.is_some() && then.database_oid != here.database_oid {
            return Some("it is another database");
        }
        match (then.table_oid, here.table_oid) {
            (Some(then), Some(here)) if then != here => Some(MADE_ANEW),
            (_, None) => Some(NO_TABLE),
            _ => None,
        }
    }

    fn refused(&self, fact: &'static str, address: &Address, here: &ServerIdentity) -> VerifyError {
        let SavedServer { address: then, embedded, identity, .. } = &self.server;
        let fix = match embedded {
            true => {
                "the run's server was started for the run, and is gone with its rows; if they were \
                 kept, name their folder with --data-dir"
            }
            // Server and database are the right ones.
            false if [MADE_ANEW, NO_TABLE].contains(&fact) => {
                "there is nothing to verify if the table was dropped with its rows; if it was moved \
                 or brought back from a copy, name the server and the database that hold it"
            }
            false => "name the server and the database of the run with --database-url",
        };
        let described = |address: &str, identity: &ServerIdentity| {
            let known = |what: &str, value: Option<String>| {
                value.map_or_else(String::new, |value| format!(", {what} {value}"))
            };
            let system = known("system identifier", identity.system_identifier.clone());
            let database = known("database", identity.database.clone());
            let table = known("table", identity.table_oid.map(|oid| format!("with oid {oid}")));
            format!("{address}{system}{database}{table}")
        };
        let (then, now) = (described(then, identity), described(&address.to_string(), here));
        VerifyError::Elsewhere { fact, then, now, fix }
    }

    fn render(&self, audited: &[Audited], right: bool, elsewhere: Option<&str>) -> String {
        let sum = |of: fn(&LaneAudit) -> u64| -> u64 {
            audited.iter().map(|audited| of(&audited.audit)).sum()
        };
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "table       {}\nrows        {} acknowledged, {} read back",
            self.plan.job.stream.table,
            format_count(self.rows_acknowledged()),
            format_count(sum(|partition| partition.rows_found))
        );
        if let Some(fact) = elsewhere {
            let _ = writeln!(out, "            {fact}, but it holds the run's rows");
        }
        let unproven = sum(|partition| partition.unaccounted);
        let undecided: u64 =
            self.lanes.iter().map(|(_, saved)| saved.account.undecided.rows()).sum();
        let undecided_found = sum(|partition| partition.undecided_found);
        if undecided > 0 {
            let [rows, there] = [undecided, undecided_found].map(format_count);
            let _ = writeln!(
                out,
                "            {rows} undecided, sent and their fate not found out: {there} of them are there"
            );
        }
        if let Some(until_s) = self.known_until_s {
            let (more, until) = (format_count(unproven), format_seconds(until_s));
            let why = match self.is_alive {
                true => "the loader still runs, and what it has saved so far",
                false => "the loader was killed or could not save its end, and what it saved",
            };
            let _ = writeln!(out, "            {more} more: {why} ends after {until}");
            if !self.has_journal {
                let _ = writeln!(
                    out,
                    "            {JOURNAL} is not there: with it, it would end later"
                );
            }
            if let Some(damage) = &self.damage {
                let _ = writeln!(out, "            {JOURNAL} {damage}: the rest of it is left out");
            }
        }
        for (Audited { audit, missing, foreign }, (ids, _)) in audited.iter().zip(&self.lanes) {
            let lane = ids.lane;
            let shown_ids = shown_ids(&self.plan.job.stream, ids);
            let shown_ids = Some(&shown_ids);
            let _ = differences(&mut out, audit, shown_ids);
            if !missing.is_empty() {
                let (rows, shown) = (format_count(missing.rows()), shown(missing, shown_ids));
                let _ = writeln!(
                    out,
                    "            {lane}: {rows} missing below later ones, first rows {shown}: \
                     lost, or given up in the loader's last moments"
                );
            }
            if *foreign > 0 {
                let _ = writeln!(
                    out,
                    "            {lane}: behind them are rows of a later run, or altered ones"
                );
            }
        }
        let readers = &self.plan.job.readers;
        if !right && readers.writes {
            let writers = readers.queries.iter().filter(|query| query.writes);
            let queries: Vec<&str> = writers.map(|query| &*query.name).collect();
            out.push_str(&may_have_written(&queries));
        }
        let verdict = match self.known_until_s {
            _ if !right => "THE TABLE IS NOT WHAT WAS SENT".to_owned(),
            None if undecided_found > 0 => {
                "each acknowledged row is there as sent, and no other but undecided ones".to_owned()
            }
            None => "each acknowledged row is there as sent, and no other".to_owned(),
            Some(until_s) => {
                let behind = match unproven {
                    0 => "whether more were acknowledged later is not known, and no more are there"
                        .to_owned(),
                    rows => format!("not proven for the last {} rows", format_count(rows)),
                };
                let until = format_seconds(until_s);
                format!("each row acknowledged in the first {until} is there as sent; {behind}")
            }
        };
        let _ = writeln!(out, "verdict     {verdict}");
        if right {
            out.push_str(&left_out(&self.plan.job.row_changes));
        }
        out
    }
}

/// The journal in a run's folder, if there is one: a run of an earlier version has none.
fn journal(folder: &Path, origin_us: i64) -> Result<Option<Journal>, SavedRunError> {
    let file = folder.join(JOURNAL);
    let path = file.display().to_string();
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SavedRunError::Journal { path, fact: error.to_string() }),
    };
    match Journal::parse(&bytes) {
        Ok(journal) if journal.origin_us == origin_us => Ok(Some(journal)),
        Ok(_) => Err(SavedRunError::Journal { path, fact: "it is of another run".to_owned() }),
        Err(fact) => Err(SavedRunError::Journal { path, fact: format!("it {fact}") }),
    }
}
