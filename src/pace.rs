//! Decides *when* work is due. Knows nothing about databases or payloads.
//!
//! [`Schedule`] is the pure part: row → place among all ([`Arrivals`]) → due time ([`Curve`]),
//! property-tested. [`Pacer`] is the thin async
//! shell that waits for it. The due time always comes from the schedule, never from the moment a
//! timer woke, so a stall is charged to whoever caused it (the "intended start" of wrk2 and
//! HdrHistogram, against coordinated omission).

mod arrivals;
mod backoff;
mod curve;
mod due;
mod heartbeat;
mod pacer;
mod patience;
mod poisson;
mod position;
mod rate;
mod schedule;
mod timer;
mod watchdog;

pub use arrivals::{Arrival, Arrivals, Burst};
pub use backoff::Backoff;
pub use curve::{Curve, Stage};
pub use due::{DueTimes, Progression};
pub use heartbeat::{Heartbeat, Pulse};
pub use pacer::{Pacer, Slot, Stop};
pub use patience::{TELL_AFTER, TELL_EVERY, told};
pub use rate::Rate;
pub use schedule::{Batch, Course, Schedule};
pub use timer::Timer;
pub use watchdog::Watchdog;
