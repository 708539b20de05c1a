//! A session that runs queries in arms: the one way in which a query is run, explained or compared,
//! whoever does it. It is put into an arm when it is not in it yet, each statement has the same
//! limit, and whatever is cut off is cancelled on the server.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::asked::{Asked, Sending, Work};
use super::plans::Plans;
use super::sight::{Lookout, Seen};
use super::timeouts::Timeouts;
use crate::pace::Backoff;
use crate::pg::fault::{Remedy, remedy};
use crate::pg::reservation::Reservation;
use crate::pg::select::{Drained, Explained};
use crate::pg::session::Notice;
use crate::pg::{self, Ask, Canceller, QUERY_CANCELED, Reduction, Session};
use crate::record::Ran;
use crate::strom::{self, Arm, Gpu, StromError, hint};

/// Beyond the statement timeout, until a dead network is given up.
const NETWORK_GRACE: Duration = Duration::from_secs(10);
/// How long one attempt to connect may take, beyond the limits of its parts.
const ATTEMPT_MAX: Duration = Duration::from_secs(20);
/// What both arms of a comparison see.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// How a session for a profile's queries is opened.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// The server.
    pub address: pg::Address,
    /// The role that its queries run with, if it is not the address's; whatever else has to be done
    /// about them, the address's does.
    pub role: Option<&'static str>,
    /// Its name in pg_stat_activity.
    pub application_name: String,
    /// Limit of one query on the server.
    pub statement_timeout: Duration,
    /// Whether all of its queries may write. If not, those that may say so.
    pub writes: bool,
    /// The tables of the run: while it is connected no other run drops them.
    pub reservations: Vec<Reservation>,
}

impl Connection {
    /// Connects, with the statement timeout set, and read-only unless the queries may write.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    async fn open(&self) -> Result<Session, pg::Error> {
        let address = match self.role {
            Some(role) => Cow::Owned(self.address.clone().as_role(role)),
            None => Cow::Borrowed(&self.address),
        };
        let opening = async {
            let mut session = Session::as_configured(&address, &self.application_name).await?;
            session.read_for_a_profile(self.statement_timeout, self.writes).await?;
            for reservation in &self.reservations {
                // If another run is entering the table, every session of this one was lost before;
                // those that write find out.
                reservation.join(&mut session).await?;
            }
            Ok(session)
        };
        let opened = timeout(ATTEMPT_MAX, Box::pin(opening)).await;
        opened.unwrap_or_else(|_| Err(pg::Error::timed_out("connect")))
    }
}

/// A session that is put into arms.
pub(crate) struct Armed {
    connection: Connection,
    timeouts: Arc<Timeouts>,
    /// `None` while the connection is lost, or not yet made.
    session: Option<Session>,
    /// The arm that it is in, for certain.
    entered: Option<Arm>,
    /// What finds out by which plan each execution ran; `None`: nobody wants to know.
    plans: Option<Plans>,
    /// What finds out what of the stream each query sees; `None`: nobody wants to know.
    lookout: Option<Lookout>,
}

/// An answered query.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// When it was sent.
    pub sent: Instant,
    /// From sent to the last row.
    pub service: Duration,
    /// Rows received.
    pub rows: u64,
    /// The greatest value of the query's `newest_column`, if it had any.
    pub newest: Option<SystemTime>,
    /// Rows that the GPU handed back to the CPU, as far as the server says so.
    pub fallback_rows: u64,
    /// The plan that it ran by, as far as that is known.
    pub ran: Option<Ran>,
    /// What of the stream it saw, as far as that is known.
    pub seen: Option<Seen>,
    /// Of a transaction, how long its BEGIN took, each of its statements, and its COMMIT.
    pub statements: Vec<Duration>,
}

/// How a query ended that the server did not fail.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With its last row.
    Answered(Answer),
    /// Cancelled on the server at the limit it was given, so long after it was sent. The session is
    /// good for more.
    AtLimit(Duration),
    /// Cut off, on the server too, and the session with it.
    CutOff,
}

impl Armed {
    /// A session that connects when it is needed. What is done about timeouts on the GPU is shared
    /// by all sessions of a job.
    pub(crate) fn new(connection: Connection, timeouts: Arc<Timeouts>) -> Self {
        let (session, entered, plans, lookout) = (None, None, None, None);
        Self { connection, timeouts, session, entered, plans, lookout }
    }

    /// The same, for queries that are measured: it finds out by which plan each of them runs.
    #[must_use]
    pub(crate) fn finding_plans(self) -> Self {
        Self { plans: Some(Plans::default()), ..self }
    }

    /// From now on it is found out what of the stream each of its queries sees.
    pub(crate) fn look_out(&mut self, lookout: Lookout) {
        self.lookout = Some(lookout);
    }

    /// Connects, unless it is connected.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub(crate) async fn connect(&mut self) -> Result<(), pg::Error> {
        if self.session.is_none() {
            self.entered = None;
            let session = Box::pin(self.open()).await?;
            self.session = Some(session);
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<Session, pg::Error> {
        let mut session = self.connection.open().await?;
        if let Some(plans) = &mut self.plans {
            plans.begin(&mut session).await?;
        }
        Ok(session)
    }

    /// Whether there is a session; a new one has run nothing yet.
    pub(crate) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// How long a statement may take: the server ends it at its timeout, and a dead network must
    /// not outlast that by much.
    pub(crate) fn limit(&self) -> Duration {
        self.connection.statement_timeout + NETWORK_GRACE
    }

    /// Limit of a statement on the server.
    pub(crate) fn statement_timeout(&self) -> Duration {
        self.connection.statement_timeout
    }

    /// Runs a query in an arm and drains its rows. It is cancelled `at_limit` after it was sent, and
    /// any time by `cut_off`.
    ///
    /// # Errors
    /// When the server fails it, or the arm cannot be entered. The session is still there unless
    /// it is lost.
    pub(crate) async fn run(
        &mut self,
        work: &Work<'_>,
        arm: &Arm,
        cut_off: &CancellationToken,
        at_limit: Option<Duration>,
    ) -> Result<Ended, StromError> {
        self.run_reduced(work, arm, (cut_off, at_limit), None).await
    }

    /// The same, and makes a digest of the answer of a statement, if it is to.
    ///
    /// # Errors
    /// As for [`Armed::run`].
    pub(crate) async fn run_reduced(
        &mut self,
        work: &Work<'_>,
        arm: &Arm,
        (cut_off, at_limit): (&CancellationToken, Option<Duration>),
        reduction: Option<&mut Reduction>,
    ) -> Result<Ended, StromError> {
        let limit = self.limit();
        // Away from the session while that is at work.
        let mut lookout = self.lookout.take();
        let running = async {
            let entered = timeout(limit, self.enter(arm)).await;
            let session = entered.unwrap_or_else(|_| late("enter an arm"))?;
            session.let_write(work.writes()).await?;
            let sendings: Vec<Sending<'_>> = work.each().iter().map(Asked::sending).collect();
            let asks: Vec<Ask<'_>> = sendings.iter().map(|sending| sending.ask(arm)).collect();
            // What is parsed anew in a transaction may read what a statement before it has made.
            let ahead = |ask: &&Ask<'_>| ask.is_kept() || matches!(work, Work::Statement(_));
            for ask in asks.iter().filter(ahead) {
                let ready = timeout(limit, session.ready(*ask)).await;
                ready.unwrap_or_else(|_| late("prepare the query"))?;
            }
            let look = match &mut lookout {
                Some(lookout) => {
                    let looking = timeout(limit, lookout.look(session, &arm.name)).await;
                    Some(looking.unwrap_or_else(|_| Err(pg::Error::timed_out("look around")))?)
                }
                None => None,
            };
            // They are of other statements.
            session.take_notices();
            // Boxed, and only where there is a limit: a session's first queries, and few of them.
            let canceller = at_limit.map(|at| Box::new((at, session.canceller())));
            let sent = Instant::now();
            let drained = match work {
                Work::Statement(asked) => {
                    let newest_column = asked.query.newest_column.as_deref();
                    let draining = pin!(session.drain(asks[0], newest_column, reduction));
                    let drained = timeout(limit, within(canceller, draining)).await;
                    drained.map(|drained| Ok((drained?, Vec::new())))
                }
                // Boxed: large in every future that runs queries.
                Work::Transaction(_) => {
                    let transacting = Box::pin(session.transact(&asks));
                    // Each has the time of one.
                    let limit = limit.saturating_mul(asks.len() as u32);
                    timeout(limit, within(canceller, transacting)).await
                }
            };
            let service = sent.elapsed();
            let drained = match drained.unwrap_or_else(|_| late("run the query")) {
                Err(error)
                    if error.code() == QUERY_CANCELED
                        && at_limit.is_some_and(|at| service >= at) =>
                {
                    return Ok((Err(service), Vec::new()));
                }
                drained => drained?,
            };
            let notices = session.take_notices();
            let fallback_rows = hint::fallback_rows(&notices);
            let seen = lookout.as_ref().zip(look);
            let seen = seen.and_then(|(lookout, look)| lookout.seen(look, sent));
            let (Drained { rows, newest }, statements) = drained;
            let ran = None;
            let answer =
                Answer { sent, service, rows, newest, fallback_rows, ran, seen, statements };
            Ok((Ok(answer), notices))
        };
        let ran = cut_off.run_until_cancelled(running).await;
        self.lookout = lookout;
        let Some(ran) = ran else {
            self.cut_off().await;
            return Ok(Ended::CutOff);
        };
        let (answer, notices) = match self.unless_lost(ran)? {
            (Ok(answer), notices) => (answer, notices),
            (Err(after), _) => return Ok(Ended::AtLimit(after)),
        };
        self.timeouts.answered(arm);
        if self.leave_if_let_write().await {
            return Err(wrap(pg::Error::let_write()));
        }
        let ran = match work {
            // Boxed, as is a new session: large in every future that runs queries.
            Work::Statement(asked) => Box::pin(self.ran_by(*asked, arm, &notices, cut_off)).await,
            Work::Transaction(_) => None,
        };
        Ok(Ended::Answered(Answer { ran, ..answer }))
    }

    /// The plan of a query that was just answered in an arm, with these messages. That the session
    /// is lost over it is the next statement's affair.
    async fn ran_by(
        &mut self,
        asked: Asked<'_>,
        arm: &Arm,
        notices: &[Notice],
        cut_off: &CancellationToken,
    ) -> Option<Ran> {
        let limit = self.limit();
        let (plans, session) = (self.plans.as_mut()?, self.session.as_mut()?);
        let looking = timeout(limit, plans.of_last(session, asked, arm, notices));
        match cut_off.run_until_cancelled(looking).await {
            Some(Ok(Ok(ran))) => ran,
            Some(Ok(Err(_))) => {
                self.forget();
                None
            }
            Some(Err(_)) | None => {
                self.cut_off().await;
                None
            }
        }
    }

    /// After a query failed in an arm: if it timed out on the GPU, finds out why, unless another
    /// session does, and wakes a GPU service that sleeps. May take half a minute.
    pub(crate) fn look_into(
        &self,
        arm: &Arm,
        error: &pg::Error,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (timeouts, address) = (Arc::clone(&self.timeouts), self.connection.address.clone());
        // Noted now: the look may be cut off before it begins.
        let timed_out = timeouts.note(arm, error);
        async move {
            if timed_out {
                Box::pin(timeouts.look(&address)).await;
            }
        }
    }

    /// The same for somebody who can wait until it is known; whether the service was woken, so that
    /// it is worth while to try again.
    pub(crate) fn settle(
        &self,
        arm: &Arm,
        error: &pg::Error,
    ) -> impl Future<Output = bool> + Send + use<> {
        let (timeouts, address) = (Arc::clone(&self.timeouts), self.connection.address.clone());
        let timed_out = timeouts.note(arm, error);
        // Boxed: rare, and large.
        async move { timed_out && Box::pin(timeouts.settle(&address)).await }
    }

    /// Has the GPU service awake, if a query timed out on the GPU and it is not known why.
    /// `telling` is called before that takes its time.
    pub(crate) async fn settle_timeouts(&mut self, telling: impl FnOnce()) {
        if self.timeouts.is_unexplained() {
            telling();
            Box::pin(self.timeouts.settle(&self.connection.address)).await;
        }
    }

    /// The plan of a query in an arm; with `analyze` it is run.
    ///
    /// # Errors
    /// As for [`Armed::run`].
    pub(crate) async fn explain(
        &mut self,
        asked: Asked<'_>,
        arm: &Arm,
        analyze: bool,
    ) -> Result<Explained, StromError> {
        let limit = self.limit();
        // ANALYZE would have it write once more.
        let analyze = analyze && !asked.query.writes;
        let work = async { Ok(self.enter(arm).await?.explain(&asked.literal(), analyze).await?) };
        let explained = timeout(limit, work).await;
        self.unless_lost(explained.unwrap_or_else(|_| late("take the plan")))
    }

    /// Does `work` in a transaction in which all arms see the same rows, and `now()` is the same;
    /// within the limit of two statements.
    ///
    /// # Errors
    /// As for [`Armed::run`], or what `work` says.
    pub(crate) async fn in_snapshot<T, E: From<StromError>>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let limit = self.limit() * 2;
        let doing = async {
            self.session().await?.execute("begin a snapshot", SNAPSHOT).await.map_err(wrap)?;
            let done = work(self).await;
            let ended = self.session().await?.execute("end the snapshot", "ROLLBACK").await;
            // The transaction takes the settings of the arms back with it.
            self.entered = None;
            ended.map_err(wrap)?;
            done
        };
        match timeout(limit, doing).await {
            Ok(done) => done,
            Err(_) => {
                self.cut_off().await;
                Err(wrap(pg::Error::timed_out("compare the answers")).into())
            }
        }
    }

    /// The session, in this arm.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses a setting or does not keep it.
    pub(crate) async fn enter(&mut self, arm: &Arm) -> Result<&mut Session, StromError> {
        self.leave_if_let_write().await;
        if self.session.is_none() || self.entered.as_ref() != Some(arm) {
            // Boxed: large in every future that may have to.
            Box::pin(self.enter_anew(arm)).await?;
        }
        self.session.as_mut().ok_or_else(|| pg::Error::disconnected().into())
    }

    async fn enter_anew(&mut self, arm: &Arm) -> Result<(), StromError> {
        self.entered = None;
        let session = self.session().await?;
        strom::enter(session, arm).await?;
        if arm.gpu == Gpu::On {
            // PG-Strom says so when it hands rows back to the CPU.
            session.keep_notices();
        }
        self.entered = Some(arm.clone());
        Ok(())
    }

    /// The session, in whatever arm it is.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub(crate) async fn session(&mut self) -> Result<&mut Session, StromError> {
        self.leave_if_let_write().await;
        self.connect().await?;
        self.session.as_mut().ok_or_else(|| pg::Error::disconnected().into())
    }

    /// Connects anew after `lost`, with growing pauses, until `patience` is over; `false` if
    /// `over` came first.
    ///
    /// # Errors
    /// What the last attempt met, when patience is over or no attempt would do.
    pub(crate) async fn reconnect(
        &mut self,
        lost: pg::Error,
        patience: Duration,
        over: impl Future<Output = ()>,
    ) -> Result<bool, pg::Error> {
        self.forget();
        let began = Instant::now();
        let connecting = async {
            let (mut backoff, mut error) = (Backoff::default(), lost);
            loop {
                let hopeless = remedy(error.code(), true) == Remedy::Fatal;
                if hopeless || began.elapsed() > patience {
                    return Err(error);
                }
                tokio::time::sleep(backoff.next_pause()).await;
                match Box::pin(self.open()).await {
                    Ok(session) => return Ok(session),
                    Err(failed) => error = failed,
                }
                pg::note_recovery(&error);
                tracing::debug!("{error}");
            }
        };
        let connected = tokio::select! {
            connected = connecting => connected,
            () = over => return Ok(false),
        };
        self.session = Some(connected?);
        Ok(true)
    }

    /// Ends what is in hand, on the server too, and the session with it.
    pub(crate) async fn cut_off(&mut self) {
        if let Some(session) = &self.session {
            session.canceller().cancel().await;
        }
        self.disconnect().await;
    }

    /// Leaves a session in which a query has switched off what keeps it from writing; whether it has.
    /// Nothing was written yet: the switch is for the transactions after it.
    async fn leave_if_let_write(&mut self) -> bool {
        let is_let_write = self.session.as_ref().is_some_and(Session::is_let_write);
        if is_let_write {
            self.disconnect().await;
        }
        is_let_write
    }

    /// Says goodbye; the next statement connects anew.
    pub(crate) async fn disconnect(&mut self) {
        self.entered = None;
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Lets go of a session that is lost, and of the arm if it may be in none.
    fn unless_lost<T>(&mut self, done: Result<T, StromError>) -> Result<T, StromError> {
        if let Err(error) = &done {
            self.entered = None;
            if let StromError::Server(error) = error
                && error.is_lost()
            {
                self.forget();
            }
        }
        done
    }

    fn forget(&mut self) {
        self.session = None;
        self.entered = None;
    }
}

/// Does `work`, a statement, and cancels it on the server once its limit is over, if it has one.
async fn within<T>(
    limit: Option<Box<(Duration, Canceller)>>,
    mut work: impl Future<Output = T> + Unpin,
) -> T {
    let Some(limit) = limit else { return work.await };
    let (at, canceller) = *limit;
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(at) => {}
    }
    let is_over = CancellationToken::new();
    is_over.cancel();
    canceller.when(&is_over, work).await
}

fn wrap(error: pg::Error) -> StromError {
    error.into()
}

fn late<T, E: From<pg::Error>>(act: &str) -> Result<T, E> {
    Err(pg::Error::timed_out(act).into())
}
