//! Whether there is room for a run's sessions: on the server, for the role and the database, and
//! in this process.

use crate::pg;
use crate::pg::connections::{Admitted, admitted};
use crate::plan::StreamJob;
use crate::watch::process;

use super::PrepareError;

/// Sockets and files of a run beside those of its producers and readers: control, examiner, the
/// readers of the audit, a few for metrics and results.
const FILES_BESIDE: u64 = 16;

/// Refuses a stream with more sessions than can be had. `control` is one of them, and so is `readers` of
/// those on a server of the readers' own.
pub(super) async fn check(
    control: &mut pg::Session,
    readers: Option<&mut pg::Session>,
    job: &StreamJob,
) -> Result<(), PrepareError> {
    let need = job.sessions();
    match readers {
        None => admits(control, need).await?,
        Some(readers) => {
            admits(control, job.loading_sessions()).await?;
            admits(readers, job.reading_sessions() + 1).await?;
        }
    }
    // Each of them has a timer, too.
    let files = process::allow_files(2 * need + FILES_BESIDE);
    files.map_err(|limit| PrepareError::OpenFiles { need: limit.need, have: limit.have })
}

async fn admits(session: &mut pg::Session, need: u64) -> Result<(), PrepareError> {
    for Admitted { by, sessions: have } in admitted(session).await? {
        if need > have {
            return Err(PrepareError::Connections { need, have, admits: by });
        }
    }
    Ok(())
}
