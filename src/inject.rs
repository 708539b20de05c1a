//! Faults on purpose: breaks the embedded server, and the connections to it, at random moments
//! beside an ordinary run.

mod came;
pub mod cluster;
mod ledger;
pub mod proxy;

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::pg::embedded::{EmbeddedError, Halt, Server};
use crate::pg::{self, Address, Session};
pub use crate::result::faults::FaultKind;

pub use came::came;
pub use ledger::Ledger;
use proxy::{CommitCut, Proxy, Slow, Way};

/// Undisturbed time between two faults.
const PAUSE_MS: std::ops::Range<u64> = 200..3_000;
/// How long a fault that lasts does so.
const HOLD_MS: std::ops::Range<u64> = 500..4_000;
/// No fault begins this close to the end of the schedule.
const LAST_WORDS: Duration = Duration::from_secs(6);
/// How long to wait for a cut to find its byte or its COMMIT.
const CUT_MAX: Duration = Duration::from_secs(5);
/// How long rows may take to flow again in every partition before the next fault comes anyway.
const FLOW_MAX: Duration = Duration::from_secs(90);
/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(50);
/// Between two attempts to take the last connection slot.
const SLOT_PAUSE: Duration = Duration::from_millis(5);
/// How long the injector's own questions may take.
const ASK_MAX: Duration = Duration::from_secs(10);

/// Why a fault could not be made, or not be mended.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// The server did not go down or come up.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// A statement failed.
    #[error(transparent)]
    Server(#[from] pg::Error),
    /// The system cannot break a network.
    #[error("failed to make a {kind} fault: {error}")]
    Network {
        /// The fault.
        kind: cluster::ClusterKind,
        /// Why.
        error: std::io::Error,
    },
    /// The system cannot do it.
    #[error("failed to make a {kind} fault: {error}")]
    System {
        /// The fault.
        kind: FaultKind,
        /// Why.
        error: std::io::Error,
    },
}

/// What the faults are to be.
#[derive(Debug, Clone)]
pub struct Orders {
    /// The kinds to choose from.
    pub kinds: Vec<FaultKind>,
    /// Where and when: the same one gives the same kinds, places and pauses.
    pub seed: u64,
    /// How long the run's schedule is.
    pub duration: Duration,
    /// Producers.
    pub producers: u32,
    /// Readers.
    pub readers: u32,
    /// The table, as in SQL.
    pub table: String,
}

/// Makes faults.
pub struct Injector<'a> {
    orders: Orders,
    rng: Xoshiro256PlusPlus,
    server: &'a mut Server,
    proxy: &'a Proxy,
    /// Past the proxy.
    address: Address,
    ledger: Ledger,
    /// The run is over, or its end was asked for.
    over: CancellationToken,
}

impl<'a> Injector<'a> {
    /// An injector that stops, with everything mended, when `over` is cancelled.
    pub fn new(
        orders: Orders,
        server: &'a mut Server,
        proxy: &'a Proxy,
        ledger: Ledger,
        over: CancellationToken,
    ) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(orders.seed);
        let address =
            Address::socket(server.socket_dir(), server.port(), server.user(), server.database());
        Self { orders, rng, server, proxy, address, ledger, over }
    }

    /// Makes faults, one after the other, each kind as often as the others, until the schedule
    /// nears its end. Whatever was broken is whole again when this returns.
    ///
    /// # Errors
    /// When a fault could not be made or mended.
    pub async fn run(&mut self) -> Result<(), InjectError> {
        let Some(start) = self.unless_over(self.ledger.started()).await else { return Ok(()) };
        let end = start + self.orders.duration.saturating_sub(LAST_WORDS);
        let mut deck = Vec::new();
        loop {
            let pause = self.between(PAUSE_MS);
            let is_time = Instant::now() + pause < end;
            if !is_time || self.unless_over(sleep(pause)).await.is_none() {
                return Ok(());
            }
            if deck.is_empty() {
                deck.clone_from(&self.orders.kinds);
                deck.shuffle(&mut self.rng);
            }
            let Some(kind) = deck.pop() else { return Ok(()) };
            let number = self.ledger.begin(kind);
            tracing::info!("fault {number}: {kind}");
            let made = self.make(kind).await;
            // Mended, whatever happened.
            self.server.resume().await?;
            self.proxy.forget_cuts();
            self.proxy.slow(None);
            self.ledger.lifted();
            made?;
            let flows = tokio::time::timeout(FLOW_MAX, self.ledger.flows());
            match self.unless_over(flows).await {
                Some(Ok(())) => {}
                Some(Err(_)) => tracing::warn!("fault {number}: rows do not flow again"),
                None => return Ok(()),
            }
        }
    }

    async fn make(&mut self, kind: FaultKind) -> Result<(), InjectError> {
        let system = |error| InjectError::System { kind, error };
        match kind {
            FaultKind::BackendTerminated => {
                let terminate = format!(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE application_name = '{}'",
                    self.victim()
                );
                self.ask(&terminate).await?;
            }
            FaultKind::BackendKilled => {
                let pid = format!(
                    "SELECT min(pid) FROM pg_stat_activity WHERE application_name = '{}'",
                    self.victim()
                );
                if let Some(pid) = self.ask(&pid).await?.and_then(|pid| pid.parse().ok()) {
                    self.server.kill_backend(pid)?;
                }
            }
            FaultKind::ServerKilled => self.down(Halt::Kill).await?,
            FaultKind::ServerStopped => self.down(Halt::Immediate).await?,
            FaultKind::ServerRestarted => self.down(Halt::Fast).await?,
            FaultKind::TableLocked => self.lock_table().await?,
            FaultKind::SlotsExhausted => self.take_slots().await?,
            FaultKind::ConnectionReset => self.proxy.reset(),
            FaultKind::ConnectionCut => {
                let way = if self.rng.random() { Way::ToServer } else { Way::ToClient };
                let bytes = match way {
                    Way::ToServer => self.rng.random_range(0..20_000),
                    Way::ToClient => self.rng.random_range(0..400),
                };
                let cuts = self.proxy.cuts();
                self.proxy.cut_after(way, bytes);
                self.cut_made(cuts).await;
            }
            FaultKind::CommitCut => {
                let linger = Duration::from_millis(self.rng.random_range(0..500));
                let ways = [CommitCut::Before, CommitCut::Sent { linger }, CommitCut::Answered];
                let cuts = self.proxy.cuts();
                self.proxy.cut_commit(ways[self.rng.random_range(0..ways.len())]);
                self.cut_made(cuts).await;
            }
            FaultKind::BlackHole => {
                self.proxy.begin_hole().map_err(system)?;
                self.hold().await;
                self.proxy.end_hole().map_err(system)?;
            }
            FaultKind::SlowLink => {
                let delay = Duration::from_millis(self.rng.random_range(0..20));
                self.proxy.slow(Some(Slow { delay, bytes_per_s: 50e3 }));
                self.hold().await;
            }
        }
        Ok(())
    }

    /// The name of a session of the run.
    fn victim(&mut self) -> String {
        let Orders { producers, readers, .. } = self.orders;
        match self.rng.random_range(0..producers + readers) {
            reader if reader >= producers => format!("strom-load reader {}", reader - producers),
            producer => format!("strom-load producer {producer}"),
        }
    }

    async fn down(&mut self, how: Halt) -> Result<(), InjectError> {
        self.server.halt(how).await?;
        // Down for a moment, or for longer.
        if self.rng.random() {
            self.hold().await;
        }
        self.server.resume().await?;
        Ok(())
    }

    async fn lock_table(&mut self) -> Result<(), InjectError> {
        let mut session = self.session().await?;
        let lock = format!("BEGIN; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", self.orders.table);
        session.execute("lock the table", &lock).await?;
        self.hold().await;
        session.execute("release the table", "COMMIT").await?;
        session.close().await;
        Ok(())
    }

    /// Takes every slot, then those that the run's sessions had, and keeps what it has for a
    /// while: whoever asks more often gets the slots that become free.
    async fn take_slots(&mut self) -> Result<(), InjectError> {
        let mut control = self.session().await?;
        let (mut taken, mut hold_until) = (Vec::new(), None);
        let hold = self.between(HOLD_MS);
        while hold_until.is_none_or(|end| Instant::now() < end) && !self.over.is_cancelled() {
            match self.session().await {
                Ok(session) => taken.push(session),
                Err(error) if error.sqlstate() == Some("53300") => {
                    if hold_until.is_none() {
                        hold_until = Some(Instant::now() + hold);
                        let terminate = "SELECT count(pg_terminate_backend(pid)) \
                                         FROM pg_stat_activity WHERE application_name \
                                         ~ '^strom-load (producer|reader) '";
                        control.text("terminate the run's sessions", terminate).await?;
                    }
                    sleep(SLOT_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        for session in taken {
            session.close().await;
        }
        control.close().await;
        Ok(())
    }

    async fn cut_made(&self, cuts_before: u64) {
        let made = async {
            while self.proxy.cuts() == cuts_before {
                sleep(POLL).await;
            }
        };
        let _ = self.unless_over(tokio::time::timeout(CUT_MAX, made)).await;
    }

    /// Lets the fault last for a while.
    async fn hold(&mut self) {
        let hold = self.between(HOLD_MS);
        let _ = self.unless_over(sleep(hold)).await;
    }

    fn between(&mut self, ms: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(ms))
    }

    async fn session(&self) -> Result<Session, pg::Error> {
        Session::own(&self.address, "strom-load faults").await
    }

    async fn ask(&self, sql: &str) -> Result<Option<String>, pg::Error> {
        let act = "find a session to break";
        let asked = async {
            let mut session = self.session().await?;
            let answer = session.text(act, sql).await?;
            session.close().await;
            Ok(answer)
        };
        let late = |_| Err(pg::Error::timed_out(act));
        tokio::time::timeout(ASK_MAX, asked).await.unwrap_or_else(late)
    }

    /// Does `work`; `None` if the run is over meanwhile.
    async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.over.run_until_cancelled(work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_and_read_back_by_its_name() {
        for (at, (kind, name, _)) in FaultKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, at);
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), *name);
        }
        assert!("earthquake".parse::<FaultKind>().is_err());
    }
}
