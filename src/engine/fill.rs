//! Filling of tables: the lanes of `dataset` as tasks on threads of their own.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::dataset::{self, DatasetError, DatasetOptions, FillProgress, Filled, Lane};
use crate::pg::Address;
use crate::plan::Table;

use super::Shutdown;
use super::threads::{Threads, cores};

/// A backend a core uses all cores; one core has one more, since backends also wait for the disk.
const CONNECTIONS_MIN: usize = 2;
/// Beyond this the backends mostly wait for each other to extend the table.
const CONNECTIONS_MAX: usize = 16;

/// A loader that does nothing for so long is stuck, or its network is gone.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// How tables are filled.
#[derive(Debug, Clone, Copy, Default)]
pub struct FillOptions {
    /// Connections that load one table at the same time; `None`: as many as there are cores, from
    /// 2 to 16.
    pub connections: Option<NonZeroU32>,
    /// Read every row back and compare the checksum.
    pub verify: bool,
    /// How long another strom-load that has reserved a table may do nothing; `None`: 10 minutes.
    pub idle_max: Option<Duration>,
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
    progress: &dyn FillProgress,
    shutdown: &Shutdown,
) -> Result<Filled, DatasetError> {
    let usual = cores().clamp(CONNECTIONS_MIN, CONNECTIONS_MAX) as u32;
    let usual = NonZeroU32::new(usual).unwrap_or(NonZeroU32::MIN);
    let connections = options.connections.unwrap_or(usual);
    let idle_max = options.idle_max.unwrap_or(IDLE_MAX);
    let options = DatasetOptions { connections, verify: options.verify, idle_max };
    let runtime = Threads::of_lanes(connections.get())?;
    let start = |lane: Lane| -> Lane {
        let task = runtime.handle().spawn(lane);
        let joined = async {
            task.await.unwrap_or_else(|broken| Err(DatasetError::Task(broken.to_string())))
        };
        Box::pin(joined)
    };
    // At an abort the runtime drops the lanes, and with them their transactions.
    shutdown.begin(true);
    let Shutdown { stop, abort, .. } = shutdown;
    dataset::prepare(address, tables, &options, progress, &start, (stop, abort)).await
}
