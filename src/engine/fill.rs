//! Filling of tables: the lanes of `dataset` as tasks on threads of their own.

use std::num::NonZeroU32;

use crate::dataset::{self, DatasetError, Lane, Options, Prepared, Progress};
use crate::pg::Address;
use crate::plan::Table;

use super::Shutdown;
use super::threads::{Threads, cores};

/// A backend a core uses all cores; one core has one more, since backends also wait for the disk.
const CONNECTIONS_MIN: usize = 2;
/// Beyond this the backends mostly wait for each other to extend the table.
const CONNECTIONS_MAX: usize = 16;

/// How tables are filled.
#[derive(Debug, Clone, Copy, Default)]
pub struct FillOptions {
    /// Connections that load one table at the same time; `None`: as many as there are cores, from
    /// 2 to 16.
    pub connections: Option<NonZeroU32>,
    /// Read every row back and compare the checksum.
    pub verify: bool,
}

/// Makes tables ready: see [`dataset::prepare`]. The first signal ends it between two batches, the
/// second at once.
///
/// # Errors
/// As there.
pub async fn fill(
    address: &Address,
    tables: &[Table],
    options: FillOptions,
    progress: &dyn Progress,
    shutdown: &Shutdown,
) -> Result<Vec<Prepared>, DatasetError> {
    let usual = cores().clamp(CONNECTIONS_MIN, CONNECTIONS_MAX) as u32;
    let usual = NonZeroU32::new(usual).unwrap_or(NonZeroU32::MIN);
    let connections = options.connections.unwrap_or(usual);
    let options = Options { connections, verify: options.verify };
    let runtime = Threads::of_lanes(connections.get())?;
    let start = |lane: Lane| -> Lane {
        let task = runtime.handle().spawn(lane);
        let joined = async {
            task.await.unwrap_or_else(|broken| Err(DatasetError::Task(broken.to_string())))
        };
        Box::pin(joined)
    };
    // At an abort the runtime drops the lanes, and with them their transactions.
    let Shutdown { stop, abort } = shutdown;
    dataset::prepare(address, tables, &options, progress, &start, (stop, abort)).await
}
