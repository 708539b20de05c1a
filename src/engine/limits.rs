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

/// Refuses a stream with more sessions than can be had. `control` is one of them.
pub(super) async fn check(control: &mut pg::Session, job: &StreamJob) -> Result<(), PrepareError> {
    let need = job.sessions();
    for Admitted { by, sessions: have } in admitted(control).await? {
        if need > have {
            return Err(PrepareError::Connections { need, have, admits: by });
        }
    }
    // Each of them has a timer, too.
    let files = process::allow_files(2 * need + FILES_BESIDE);
    files.map_err(|limit| PrepareError::OpenFiles { need: limit.need, have: limit.have })
}
