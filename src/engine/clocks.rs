//! Clocks that are set while a run goes on: ours, and the server's as the keeper sees it. No figure is
//! taken from them; but queries over a window of time look at another window.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::pg::clock::ServerTime;
use crate::result::clock::{Clock, ClockStep};
use crate::watch::clock::{ClockWatch, Reading};

/// Steps that are kept; of more, the first are as good.
const KEPT_MAX: usize = 100;

/// What was seen of both clocks.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    /// Start of the schedule.
    start: Instant,
    /// From when on the monotonic clock is counted: before the first look.
    origin: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    own: ClockWatch,
    servers: ClockWatch,
    steps: Vec<ClockStep>,
}

impl Clocks {
    /// Of a run whose schedule starts at this moment.
    pub(crate) fn new(start: Instant) -> Self {
        let clocks = Self { start, origin: Instant::now(), state: Arc::default() };
        clocks.look();
        clocks
    }

    /// Looks at our own clock. Call it each second.
    pub(super) fn look(&self) {
        let reading = Reading::own(self.origin.into_std());
        self.write(|state| state.own.look(reading), Clock::Loader);
    }

    /// Notes what the server's clock showed.
    pub(super) fn servers(&self, time: &ServerTime) {
        let sent = time.sent.saturating_duration_since(self.origin.into_std());
        let at = sent + time.trip / 2;
        let reading = Reading {
            shown_us: time.shown_us,
            at_us: i64::try_from(at.as_micros()).unwrap_or(i64::MAX),
            uncertainty: time.trip / 2,
        };
        self.write(|state| state.servers.look(reading), Clock::Server);
    }

    /// The server may be another one from now on.
    pub(super) fn server_was_lost(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).servers.forget();
    }

    /// The steps so far.
    pub(super) fn steps(&self) -> Vec<ClockStep> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).steps.clone()
    }

    fn write(&self, look: impl FnOnce(&mut State) -> Option<i64>, clock: Clock) {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(step_us) = look(state) else { return };
        let at_s = self.start.elapsed().as_secs_f64();
        let step = ClockStep { clock, at_s, step_ms: step_us as f64 / 1e3 };
        if state.steps.len() < KEPT_MAX {
            tracing::warn!(
                "{step}: no figure is taken from it, but queries over a window of time, such as the \
                 last minute, look at another window than the one that rows fall into"
            );
            state.steps.push(step);
        }
    }
}
