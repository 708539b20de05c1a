//! Looks at a server and this machine before anything is measured on them: what is there, and what
//! would make the figures mislead. Changes nothing and, by itself, starts nothing.

pub mod advice;
pub mod noise;
mod table;
pub(crate) mod text;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::pg::clock::ClockOffset;
use crate::pg::connections::{Admitted, admitted};
use crate::pg::{self, Address, Session, embedded};
use crate::plan::{StreamJob, StreamRate};
use crate::strom::server::{self, ServerProcess, StromServer};
use crate::strom::settings::{self, Setting};
use crate::strom::{self, GpuService};
use crate::watch::gpu::{self, GpuNow};

use advice::Advice;
pub use table::{Part, TableFacts};

/// Version of the report's JSON form, raised when a key goes or changes its meaning.
const FORMAT_VERSION: u32 = 1;

/// The server's settings that decide about loads and queries.
const KEY_SETTINGS: &[&str] = &[
    "autovacuum",
    "checkpoint_timeout",
    "data_checksums",
    "debug_assertions",
    "dynamic_shared_memory_type",
    "effective_cache_size",
    "fsync",
    "full_page_writes",
    "huge_pages",
    "jit",
    "maintenance_work_mem",
    "max_connections",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_wal_size",
    "max_worker_processes",
    "shared_buffers",
    "shared_preload_libraries",
    "superuser_reserved_connections",
    "synchronous_commit",
    "track_io_timing",
    "wal_compression",
    "wal_level",
    "work_mem",
];

/// The settings that end a session or a statement by time.
const TIME_LIMITS: &[&str] = &[
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_timeout",
];

/// What was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of this form.
    pub format_version: u32,
    /// Version of the program.
    pub strom_load_version: &'static str,
    /// The load that the advice is for.
    pub load: Load,
    /// This machine.
    pub machine: Machine,
    /// The server; `None` if none was given.
    pub server: Option<Server>,
    /// The one that the readers ask, if it is another one.
    pub readers_server: Option<Server>,
    /// What to do, worst first.
    pub advice: Vec<Advice>,
}

/// The load that the advice is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Load {
    /// The stream's table.
    pub table: String,
    /// Its rate over all partitions; `None` for as fast as it goes.
    pub rows_per_s: Option<u64>,
    /// Its partitions, each with a producer.
    pub partitions: u32,
    /// Its readers.
    pub readers: u32,
    /// Sessions that it needs at once.
    pub sessions: u64,
}

impl Load {
    /// The load of a plan.
    pub fn of(job: &StreamJob) -> Self {
        Self {
            table: job.stream.table.as_written(),
            rows_per_s: match job.stream.rate {
                StreamRate::RowsPerSecond(rate) => Some(rate.get()),
                StreamRate::Max => None,
            },
            partitions: job.stream.partitions.map_or(1, NonZeroU32::get),
            readers: job.readers.count,
            sessions: job.sessions(),
        }
    }
}

/// This machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Machine {
    /// Version of the NVIDIA driver.
    pub driver: Option<String>,
    /// The GPUs that the driver shows.
    pub gpus: Vec<GpuNow>,
    /// Why there are none.
    pub no_gpu: Option<String>,
    /// The PostgreSQL that a run without a connection would start.
    pub postgres: Option<Binaries>,
    /// Why there is none.
    pub no_postgres: Option<String>,
}

/// Server binaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binaries {
    /// The folder with initdb and postgres.
    pub bindir: PathBuf,
    /// What they say of themselves.
    pub version: String,
}

/// A server, as our role sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// Where it is, without a password.
    pub address: String,
    /// `server_version`.
    pub version: String,
    /// Major version, for example 15.
    pub major: u32,
    /// The database that was looked at.
    pub database: String,
    /// Our role.
    pub role: String,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// How far its clock is off this machine's.
    pub clock: ClockOffset,
    /// Whether the server is a standby, which takes no rows.
    pub standby: bool,
    /// Its processes, if it runs on this machine and they are visible.
    pub processes: Option<ServerProcess>,
    /// Size of its /dev/shm, where that can be seen.
    pub dev_shm_bytes: Option<u64>,
    /// The settings that decide about loads and queries, and that our role may see.
    pub settings: Vec<Setting>,
    /// The limits of time that a new session of our role has here.
    pub time_limits: Vec<Setting>,
    /// How many sessions the server, the database and our role admit.
    pub connections: Vec<Admitted>,
    /// Its PG-Strom.
    pub pg_strom: StromServer,
    /// Whether its GPU service answers; `None` where there is none to ask.
    pub gpu_service: Option<GpuService>,
    /// The stream's table, if it is there.
    pub table: Option<TableFacts>,
}

impl Server {
    fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

impl Report {
    /// Puts findings and advice together.
    pub fn of(
        load: Load,
        machine: Machine,
        server: Option<Server>,
        readers_server: Option<Server>,
    ) -> Self {
        let advice = advice::advise(&load, &machine, server.as_ref(), readers_server.as_ref());
        Self {
            format_version: FORMAT_VERSION,
            strom_load_version: env!("CARGO_PKG_VERSION"),
            load,
            machine,
            server,
            readers_server,
            advice,
        }
    }
}

/// Looks at this machine. Blocks while the driver wakes a GPU, so nothing else may be waiting.
pub async fn machine(bindir: Option<&Path>) -> Machine {
    let mut machine = Machine::default();
    match gpu::list() {
        Ok(listing) => {
            machine.driver = listing.driver;
            machine.gpus = listing.gpus;
        }
        Err(none) => machine.no_gpu = Some(none.to_string()),
    }
    match embedded::would_start(bindir).await {
        Ok((bindir, version)) => {
            machine.postgres = Some(Binaries { bindir, version: version.to_string() });
        }
        Err(error) => machine.no_postgres = Some(error.to_string()),
    }
    machine
}

/// Looks at a server. What our role may not see is left open.
///
/// # Errors
/// When the server cannot be reached, or is lost meanwhile.
pub async fn server(address: &Address, job: &StreamJob) -> Result<Server, pg::Error> {
    // A session in which nothing was SET: PG-Strom and settings are seen as others see them.
    let mut session = Session::as_configured(address, "strom-load doctor").await?;
    let pg_strom = server::examine(&mut session).await?;
    let processes = server::locate(&mut session).await?;
    let mut settings = settings::probe(&mut session, KEY_SETTINGS).await?;
    settings.retain(|setting| setting.value.is_some());
    let mut time_limits = settings::probe(&mut session, TIME_LIMITS).await?;
    time_limits.retain(|limit| limit.number().is_some_and(|limit| limit > 0.0));
    session.close().await;
    let mut session = Session::own(address, "strom-load doctor").await?.telling_of_waits();
    let sql = "SELECT pg_catalog.current_setting('server_version'), \
               pg_catalog.current_setting('server_version_num')::int / 10000, \
               pg_catalog.current_database(), current_user, \
               r.rolsuper, pg_catalog.pg_is_in_recovery() \
               FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";
    let rows = session.rows("ask the server who it is", sql).await?;
    let text = |column: usize| rows.first().and_then(|row| row.get(column)?.clone());
    let table = table::examine(&mut session, &job.stream.table).await?;
    let clock = session.clock_offset().await?;
    let connections = admitted(&mut session).await?;
    session.close().await;
    // Last, as it may take ten seconds; without a GPU there is no service.
    let gpu_service = match pg_strom.found_gpu {
        Some(true) => Some(strom::probe(address).await?),
        _ => None,
    };
    Ok(Server {
        address: address.to_string(),
        version: text(0).unwrap_or_default(),
        major: text(1).and_then(|major| major.parse().ok()).unwrap_or_default(),
        database: text(2).unwrap_or_default(),
        role: text(3).unwrap_or_default(),
        superuser: text(4).as_deref() == Some("t"),
        clock,
        standby: text(5).as_deref() == Some("t"),
        processes,
        dev_shm_bytes: processes.and_then(dev_shm_bytes),
        settings,
        time_limits,
        connections,
        pg_strom,
        gpu_service,
        table,
    })
}

/// The size of the server's own /dev/shm: a container's is another than ours.
fn dev_shm_bytes(processes: ServerProcess) -> Option<u64> {
    let path = format!("/proc/{}/root/dev/shm", processes.postmaster_pid);
    let found = rustix::fs::statvfs(path.as_str()).ok()?;
    found.f_blocks.checked_mul(found.f_frsize)
}
