//! `strom-load verify`: the audit of a saved run, with its progress.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::cli::{Parsed, ServerArgs};
use crate::exit;
use crate::pg::Address;
use crate::sink::terminal::{Screen, Terminal};
use crate::sink::{Left, Progress, Sink as _};
use crate::verify::{SavedRun, Verified, VerifyError};

use super::profiles::read_named;
use super::{Failure, ended, log_warnings, on_server, print};

/// Between two looks at how far it is.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn verify(
    parsed: &Parsed,
    folder: &Path,
    args: &ServerArgs,
    quiet: bool,
) -> Result<u8, Failure> {
    let screen = Screen::new(quiet);
    log_warnings(&screen);
    let saved =
        SavedRun::read(folder, read_named).map_err(|error| Failure::new(exit::USAGE, error))?;
    let no_server = saved.no_server();
    let words = (no_server.as_str(), "interrupted before all rows were read back");
    let verified = on_server(parsed, args, &screen, words, async |address| {
        let terminal = (!quiet).then(|| Terminal::begun(screen.clone()));
        let verified = read_back(&saved, address, terminal).await;
        verified.map_err(|error| Failure::new(code_of(&error), error))
    });
    let verified = verified.await?;
    let code = if verified.right { exit::DONE } else { exit::INTEGRITY };
    ended(code, None, print(&verified.text))
}

/// Rows that could not be read to their end are not verified; before, nothing has begun.
fn code_of(error: &VerifyError) -> u8 {
    match error {
        VerifyError::NotRead(_) => exit::SHORTFALL,
        VerifyError::Audit(_) | VerifyError::Elsewhere { .. } => exit::PREPARE,
    }
}

async fn read_back(
    saved: &SavedRun,
    address: &Address,
    mut terminal: Option<Terminal>,
) -> Result<Verified, VerifyError> {
    let read = AtomicU64::new(0);
    let verifying = saved.verify(address, &read);
    tokio::pin!(verifying);
    let mut ticks = interval_at(Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            verified = &mut verifying => return verified,
            _ = ticks.tick() => {
                let doing = saved.doing(read.load(Ordering::Relaxed));
                terminal.iter_mut().for_each(|it| it.progress(&Progress::Doing(&doing, Left::default())));
            }
        }
    }
}
