//! Keeps the session that holds a run's reservation: it has nothing else to do, so nobody would see
//! that it is gone. The producers hold the reservation too; but they come and go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::pg;
use crate::pg::clock::ServerTime;
use crate::pg::reservation::Reservation;

use super::clocks::Clocks;
use super::waits::Waits;

/// Between two questions whether the session is there.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long its answer, or a new session, may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A session that is kept.
pub(super) struct Keeper {
    over: CancellationToken,
    looks: Arc<Looks>,
    task: JoinHandle<()>,
}

/// Looks whether the session is there.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Somebody wants one now.
    wanted: Notify,
    /// How many found that the session holds the reservation.
    held: watch::Sender<u64>,
}

impl Keeper {
    /// Keeps `session`, which holds a reservation under a lease, until [`Keeper::end`]. It tells the time
    /// meanwhile, and what other sessions wait for.
    pub(super) fn of(
        session: pg::Session,
        address: pg::Address,
        hold: (Reservation, Duration),
        watched: (Clocks, Option<Waits>),
    ) -> Self {
        let (over, looks) = (CancellationToken::new(), Arc::<Looks>::default());
        let keeping = keep(session, address, hold, watched, (over.clone(), Arc::clone(&looks)));
        let task = tokio::spawn(keeping);
        Self { over, looks, task }
    }

    /// Lets the producers' sessions go. They hold the reservation until it is sure that the kept session does,
    /// which may have been lost a moment ago; in a run that failed nobody waits for that.
    pub(super) async fn take_over(&self, producers: Vec<pg::Session>, is_sound: bool) {
        if is_sound && !self.holds().await {
            tracing::warn!("it is not sure that the table is reserved until it is read back");
        }
        for session in producers {
            session.close().await;
        }
    }

    /// Waits until it is sure that the reservation is held now; whether it is, within the time that a new
    /// session may take.
    async fn holds(&self) -> bool {
        let mut held = self.looks.held.subscribe();
        // One that goes on already may have begun before the session was lost.
        let enough = *held.borrow() + 2;
        self.looks.wanted.notify_one();
        let sure = held.wait_for(|count| {
            let is_sure = *count >= enough;
            if !is_sure {
                self.looks.wanted.notify_one();
            }
            is_sure
        });
        timeout(ANSWER_MAX, sure).await.is_ok_and(|held| held.is_ok())
    }

    /// Gives the reservation back.
    pub(super) async fn end(self) {
        self.over.cancel();
        // It panics at nothing; and if it did, the session has ended with it.
        let _ = self.task.await;
    }
}

/// Keeps a session until it is `over`.
pub(crate) async fn keep(
    session: pg::Session,
    address: pg::Address,
    (reservation, lease): (Reservation, Duration),
    (clocks, waits): (Clocks, Option<Waits>),
    (over, looks): (CancellationToken, Arc<Looks>),
) {
    let mut held = Some(session);
    let mut failed = false;
    let mut pause = Duration::ZERO;
    let pausing = async |pause| {
        tokio::select! {
            biased;
            () = looks.wanted.notified() => {}
            () = sleep(pause) => {}
        }
    };
    while over.run_until_cancelled(pausing(pause)).await.is_some() {
        pause = ASK_EVERY;
        let step = async {
            match held.take() {
                Some(mut session) => match ask(&mut session, waits.as_ref()).await {
                    Ok(time) => {
                        clocks.servers(&time);
                        held = Some(session);
                        looks.held.send_modify(|count| *count += 1);
                    }
                    Err(error) => {
                        clocks.server_was_lost();
                        tracing::warn!(
                            "the session that reserves the table is lost, and taken anew; meanwhile \
                             those of the run's other sessions that still live hold the table: {error}"
                        );
                    }
                },
                None => match take_anew(&address, &reservation, lease).await {
                    Ok(session) => {
                        tracing::info!("the table is reserved again, by a new session");
                        (held, failed) = (Some(session), false);
                    }
                    // Once: the producers tell of an outage themselves.
                    Err(error) if !failed => {
                        tracing::warn!("the table is not reserved again yet: {error}");
                        failed = true;
                    }
                    Err(_) => {}
                },
            }
        };
        if over.run_until_cancelled(step).await.is_none() {
            break;
        }
    }
    if let Some(session) = held {
        session.close().await;
    }
}

async fn ask(session: &mut pg::Session, waits: Option<&Waits>) -> Result<ServerTime, pg::Error> {
    let asking = async {
        let time = session.server_time().await?;
        if let Some(waits) = waits {
            match session.waits().await {
                Ok(found) => waits.note(found),
                Err(error) if error.is_lost() => return Err(error),
                Err(error) => tracing::debug!("{error}"),
            }
        }
        Ok(time)
    };
    let asked = timeout(ANSWER_MAX, asking).await;
    asked.unwrap_or_else(|_| Err(pg::Error::timed_out("ask whether the session is there")))
}

async fn take_anew(
    address: &pg::Address,
    reservation: &Reservation,
    lease: Duration,
) -> Result<pg::Session, pg::Error> {
    let taking = async {
        let mut session = pg::Session::own(address, "strom-load control").await?;
        session.lease(lease, None).await?;
        match reservation.join(&mut session).await? {
            true => Ok(session),
            false => Err(pg::Error::taken("reserve the table again")),
        }
    };
    let late = |_| Err(pg::Error::timed_out("reserve the table again"));
    timeout(ANSWER_MAX, taking).await.unwrap_or_else(late)
}
