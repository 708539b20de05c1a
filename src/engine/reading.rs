//! The server that the readers ask: the one that is loaded, or one of their own, such as a replica.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::freshness::Trails;
use crate::pace::told;
use crate::pg;
use crate::pg::table::StreamTable;
use crate::plan::{Plan, StreamJob};
use crate::query::{Armed, ArmedQuery, Lookout};
use crate::result::readers::{FreshnessBy, ReadersReport};
use crate::result::server::ServerReport;

use super::inspect::{check_queries_apart, connect_and_inspect};
use super::{PrepareError, Target};

/// How long a standby may take to replay what was just done to the table.
const REPLAY_MAX: Duration = Duration::from_secs(60);
const REPLAY_POLL: Duration = Duration::from_millis(20);

/// Where readers ask, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    /// Where.
    pub address: pg::Address,
    /// The role of their sessions, if not that of the address.
    pub role: Option<&'static str>,
}

/// Where the readers ask.
pub(super) struct Reading {
    pub(super) asking: Asking,
    /// A server of their own, and a session there in which nobody reads.
    own: Option<(ServerReport, pg::Session)>,
    by: FreshnessBy,
}

impl Reading {
    /// Finds out which server that is, beside the one that is loaded.
    ///
    /// # Errors
    /// When it cannot be reached, is too old, or cannot do what the readers want.
    pub(super) async fn find(
        plan: &Plan<StreamJob>,
        target: &Target,
        loaded: &ServerReport,
    ) -> Result<Self, PrepareError> {
        let address = target.readers.as_ref().filter(|_| plan.job.readers.count > 0);
        let Some(address) = address else {
            let asking = Asking { address: target.address.clone(), role: target.query_role() };
            return Ok(Self { asking, own: None, by: FreshnessBy::Snapshot });
        };
        let theirs = Target::given(address.clone());
        let found = connect_and_inspect(&theirs, "strom-load readers").await;
        let (mut session, report) = found.map_err(of_readers)?;
        let is_standby = session.replayed().await?.is_some();
        if is_standby && plan.job.readers.writes {
            return Err(PrepareError::WritesOnStandby);
        }
        let by = match (report.identity.is_of_cluster_of(&loaded.identity), is_standby) {
            (true, false) => FreshnessBy::Snapshot,
            (true, true) => FreshnessBy::ReplayPosition,
            (false, _) => FreshnessBy::Rows,
        };
        if by == FreshnessBy::Rows {
            tracing::info!(
                "the readers' server is neither the one that is loaded nor a standby of it, as far as it \
                 says so: how old answers are is told by the newest row of each partition"
            );
        }
        let asking = Asking { address: address.clone(), role: theirs.query_role() };
        Ok(Self { asking, own: Some((report, session)), by })
    }

    /// Whether PG-Strom is loaded there.
    pub(super) fn has_strom(&self, loaded: &ServerReport) -> bool {
        self.own.as_ref().map_or(loaded, |(own, _)| own).pg_strom_loaded
    }

    /// A session there, or the one that controls the run.
    pub(super) fn session<'s>(&'s mut self, control: &'s mut pg::Session) -> &'s mut pg::Session {
        self.own.as_mut().map_or(control, |(_, own)| own)
    }

    /// The session there that is not the one that controls the run.
    pub(super) fn own_session(&mut self) -> Option<&mut pg::Session> {
        self.own.as_mut().map(|(_, own)| own)
    }

    /// Whether what the loaded server says of a query holds there too.
    pub(super) fn has_same_catalog(&self) -> bool {
        self.by != FreshnessBy::Rows
    }

    /// Waits until a standby has the table as it is now, and has the queries checked where they will
    /// run.
    ///
    /// # Errors
    /// When the standby does not come so far, or a query cannot be run there.
    pub(super) async fn await_table(
        &mut self,
        control: &mut pg::Session,
        armed_queries: &[ArmedQuery],
    ) -> Result<(), PrepareError> {
        let Some((_, session)) = &mut self.own else { return Ok(()) };
        if self.by == FreshnessBy::ReplayPosition {
            let wanted = control.log_position().await?;
            let waiting = replayed(session, wanted);
            told(waiting, |waited| {
                let waited = waited.as_secs();
                tracing::info!("waiting for the readers' standby to replay the table, {waited} s");
            })
            .await?;
        }
        check_queries_apart(session, armed_queries, None).await.map_err(of_readers)
    }

    /// Has the readers find out what they see of the run's table. They do not hold it: a session in which
    /// anybody's queries run has no limit on its silence.
    pub(super) async fn begin(
        self,
        readers: &mut [Armed],
        plan: &Plan<StreamJob>,
        table: &StreamTable,
        trails: &Trails,
    ) -> (Asking, ReadersReport) {
        let lookout = Lookout::new(trails.clone(), self.by, &plan.job.stream, table);
        let mut can_tell = true;
        let server = match self.own {
            Some((report, mut session)) => {
                if self.by == FreshnessBy::Rows {
                    can_tell = match plan.job.stream.id_column() {
                        Some(_) => is_a_copy(&lookout, &mut session).await,
                        None => {
                            tracing::warn!(
                                "it is not known how old answers are: nothing tells the rows apart"
                            );
                            false
                        }
                    };
                }
                session.close().await;
                Some(report)
            }
            None => None,
        };
        if can_tell {
            readers.iter_mut().for_each(|armed| armed.look_out(lookout.clone()));
        }
        let freshness_by = (can_tell && !readers.is_empty()).then_some(self.by);
        (self.asking, ReadersReport { server, freshness_by })
    }
}

/// Whether the table of another server may be a copy of the one that is loaded; that it is none is said.
async fn is_a_copy(lookout: &Lookout, session: &mut pg::Session) -> bool {
    let why = match lookout.may_be_a_copy(session).await {
        Ok(true) => return true,
        Ok(false) => "the table on the readers' server has rows already that this run has yet to send, so it \
                      is no copy of the one that is loaded"
            .to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::warn!("it is not known how old answers are: {why}");
    false
}

/// Says that it is the readers' server: a table may be missing there alone.
pub(super) fn of_readers(error: PrepareError) -> PrepareError {
    match error {
        PrepareError::Interrupted => error,
        error => PrepareError::Readers(Box::new(error)),
    }
}

async fn replayed(session: &mut pg::Session, wanted: u64) -> Result<(), pg::Error> {
    let began = Instant::now();
    while session.replayed().await?.is_some_and(|replayed| replayed < wanted) {
        if began.elapsed() > REPLAY_MAX {
            return Err(pg::Error::far_behind(REPLAY_MAX));
        }
        sleep(REPLAY_POLL).await;
    }
    Ok(())
}
