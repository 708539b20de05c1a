//! The server's clock beside ours: a query over the last minute, on a server whose clock is an
//! hour off, looks at rows that nobody sends.

use std::time::{Duration, Instant, SystemTime};

pub(crate) use crate::result::server::ClockOffset;

use super::{Error, Session};

/// Round trips of which the fastest counts: it has the least in it beside the question.
const ROUNDS: u32 = 5;

/// What the server's clock showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerTime {
    /// Microseconds since the Unix epoch.
    pub shown_us: i64,
    /// When it was asked.
    pub sent: Instant,
    /// How long the answer took; the clock was read somewhere in between.
    pub trip: Duration,
}

impl Session {
    /// Compares the server's clock with ours.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn clock_offset(&mut self) -> Result<ClockOffset, Error> {
        let mut best: Option<(Duration, f64)> = None;
        for _ in 0..ROUNDS {
            let sent_at = SystemTime::now();
            let ServerTime { shown_us, trip, .. } = self.server_time().await?;
            let theirs = shown_us as f64;
            let ours = sent_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let ours = (ours + trip / 2).as_micros() as f64;
            if best.is_none_or(|(fastest, _)| trip < fastest) {
                best = Some((trip, (theirs - ours) / 1e3));
            }
        }
        let (trip, offset_ms) = best.unwrap_or_default();
        Ok(ClockOffset { offset_ms, uncertainty_ms: trip.as_secs_f64() * 1e3 / 2.0 })
    }

    /// Reads the server's clock.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn server_time(&mut self) -> Result<ServerTime, Error> {
        let act = "read the server's clock";
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let sent = Instant::now();
        let told = self.text(act, sql).await?.unwrap_or_default();
        let trip = sent.elapsed();
        let shown_us =
            told.parse().map_err(|_| Error::refused(act, format!("`{told}` is no time")))?;
        Ok(ServerTime { shown_us, sent, trip })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_far_only_if_the_round_trip_cannot_explain_it() {
        let offset = |offset_ms, uncertainty_ms| ClockOffset { offset_ms, uncertainty_ms };
        assert!(!offset(100.0, 0.0).is_far_off());
        assert!(offset(100.2, 0.1).is_far_off());
        assert!(!offset(-300.0, 250.0).is_far_off());
        assert!(offset(-351.0, 250.0).is_far_off());
    }

    #[test]
    fn it_is_shown_as_people_say_it() {
        let shown = |offset_ms| ClockOffset { offset_ms, uncertainty_ms: 0.171 }.to_string();
        assert_eq!(shown(3_600_000.4), "60 min ahead of this machine's (± 0.2 ms)");
        assert_eq!(shown(-744_250.0), "12 min 24 s behind this machine's (± 0.2 ms)");
        assert_eq!(shown(0.0125), "12 µs ahead of this machine's (± 0.2 ms)");
    }
}
