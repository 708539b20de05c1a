//! PG-Strom's GPU service: a process of the server, which every reload of the configuration ends
//! and the server starts anew after five seconds. Whether it answers, and how it is woken.
//!
//! In PG-Strom 6.1 and 6.2-dev a service that was started anew launches its worker threads only
//! when `pg_strom.max_async_tasks` has been changed since the last one did. Until then the planner
//! goes on choosing the GPU, and every query there waits for ever.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::StromError;
use super::evidence::Evidence;
use super::settings::SHARED;
use crate::pg::{self, Address, QUERY_CANCELED, Session, quote_literal};
use crate::result::evidence::Verdict;

const ACT: &str = "wake PG-Strom's GPU service";

/// How long the server may take for the probe.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(5);
/// Beyond that, until a dead network is given up.
const NETWORK_GRACE: Duration = Duration::from_secs(5);
/// Probes until the service is taken to be asleep: the first context on a GPU takes seconds.
const TRIES: u32 = 2;
/// Probes after it was woken: it launches its workers four to eight seconds later.
const TRIES_WOKEN: u32 = 4;

/// A table that every role may read in every database, and that is small.
const PROBE: &str = "SELECT count(*) FROM pg_catalog.pg_attribute WHERE attnum > 0";

/// Whether the GPU service answers a small query.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", content = "said", rename_all = "kebab-case")]
pub enum GpuService {
    /// It did, on the GPU.
    Answers,
    /// The query was answered without the GPU, where it is cheap to take: switched off, without a
    /// GPU, or about to start anew.
    NotUsed,
    /// No answer in time, twice.
    Silent,
    /// PG-Strom failed the query; what it said.
    Fails(String),
}

/// What came of a service that was to answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Roused {
    /// It answered by itself, or nothing tells that it should.
    Awake(GpuService),
    /// It was asleep, and answers now.
    Woken,
    /// It is silent, and our role may not wake it; [`WAKE_SQL`] does.
    MayNotWake,
    /// It is silent, whatever is done.
    Dead,
}

/// Runs a small query on the GPU, within five seconds, and once more if it is not answered.
///
/// # Errors
/// When the server cannot be reached, or the session is lost.
pub async fn probe(address: &Address) -> Result<GpuService, pg::Error> {
    tries(address, TRIES).await
}

/// Finds out whether the GPU service answers, and wakes it if it does not.
///
/// # Errors
/// When the server cannot be reached, or the session is lost.
pub async fn rouse(address: &Address) -> Result<Roused, pg::Error> {
    match probe(address).await? {
        GpuService::Silent => {}
        awake => return Ok(Roused::Awake(awake)),
    }
    let mut session = Session::as_configured(address, "strom-load probe").await?;
    let woken = change_and_put_back(&mut session).await;
    session.close().await;
    match woken {
        Err(error) if error.is_lost() => Err(error),
        Err(error) => {
            tracing::debug!("{error}");
            Ok(Roused::MayNotWake)
        }
        Ok(()) => match tries(address, TRIES_WOKEN).await? {
            GpuService::Silent => Ok(Roused::Dead),
            _ => Ok(Roused::Woken),
        },
    }
}

/// Has the GPU service answer before it is measured; what was done for that is said.
///
/// # Errors
/// When it is silent, with what wakes it; or when the server cannot be asked.
pub async fn await_gpu_service(address: &Address) -> Result<(), StromError> {
    match rouse(address).await? {
        Roused::Awake(GpuService::Fails(error)) => {
            tracing::warn!("PG-Strom fails a small query on the GPU: {error}");
        }
        Roused::Awake(_) => {}
        Roused::Woken => tracing::warn!("{WOKEN}"),
        Roused::MayNotWake => return Err(StromError::Asleep),
        Roused::Dead => return Err(StromError::Dead),
    }
    Ok(())
}

/// What is said of a service that sleeps again, and that our role may not wake.
pub const ASLEEP_AGAIN: &str = "PG-Strom's GPU service does not answer again, and our role may not \
                                wake it; the SQL that does was shown before";

/// What is said of a service that was woken.
pub const WOKEN: &str = "PG-Strom's GPU service was asleep, as it is after a reload of the \
                                configuration; woken: pg_strom.max_async_tasks was changed and put \
                                back";

async fn tries(address: &Address, tries: u32) -> Result<GpuService, pg::Error> {
    let mut found = GpuService::Silent;
    for _ in 0..tries {
        found = once(address).await?;
        if found != GpuService::Silent {
            break;
        }
        let waited = PROBE_MAX.as_secs();
        tracing::info!("PG-Strom's GPU service did not answer a small query within {waited} s");
    }
    Ok(found)
}

async fn once(address: &Address) -> Result<GpuService, pg::Error> {
    // Of a session of its own, which goes with whatever was set in it.
    let mut session = Session::as_configured(address, "strom-load probe").await?;
    let began = Instant::now();
    let limit = PROBE_MAX + NETWORK_GRACE;
    let Ok(probed) = tokio::time::timeout(limit, ask(&mut session)).await else {
        return Ok(GpuService::Silent);
    };
    let found = match probed {
        Ok(Verdict::Gpu) => GpuService::Answers,
        Ok(_) => GpuService::NotUsed,
        Err(error) if error.sqlstate() == Some(QUERY_CANCELED) => GpuService::Silent,
        Err(error) if error.is_lost() => return Err(error),
        Err(error) => GpuService::Fails(error.to_string()),
    };
    session.close().await;
    tracing::debug!("the GPU was probed in {:?}: {found:?}", began.elapsed());
    Ok(found)
}

/// Makes the GPU the only way that costs little, and takes it.
async fn ask(session: &mut Session) -> Result<Verdict, pg::Error> {
    let off = ["enable_seqscan", "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"];
    let off = off.map(|way| format!("SET {way} = off")).join("; ");
    let set = format!(
        "SET statement_timeout = {}; SET pg_strom.enabled = on; SET jit = off; \
         SET max_parallel_workers_per_gather = 0; {off}",
        PROBE_MAX.as_millis()
    );
    session.execute("set up a probe of the GPU", &set).await?;
    let plan = session.explain(PROBE, false).await?;
    session.drain(pg::Ask::plain(PROBE), None, None).await?;
    Ok(Evidence::read(&plan.json).verdict)
}

/// Lets a role with the right to it wake the service, whatever the setting's value is.
pub const WAKE_SQL: &str = "DO $$ DECLARE n int := current_setting('pg_strom.max_async_tasks'); \
                            BEGIN PERFORM set_config('pg_strom.max_async_tasks', \
                            (CASE n WHEN 1 THEN 2 ELSE n - 1 END)::text, false); PERFORM \
                            set_config('pg_strom.max_async_tasks', n::text, false); END $$";

/// Lets the GPU service have workers again after a reload. Without PG-Strom it does nothing;
/// without the right to set `pg_strom.max_async_tasks` it warns.
///
/// # Errors
/// When the connection is lost.
pub async fn wake_gpu_service(session: &mut Session) -> Result<(), pg::Error> {
    match change_and_put_back(session).await {
        Err(error) if !error.is_lost() => {
            tracing::warn!(
                "after the reload queries on the GPU may hang, until a superuser sets {SHARED} to \
                 another value and back: {error}"
            );
            Ok(())
        }
        done => done,
    }
}

/// Changes the setting and puts it back, for the whole server, which is what it always is.
async fn change_and_put_back(session: &mut Session) -> Result<(), pg::Error> {
    let read = format!("SELECT pg_catalog.current_setting({}, true)", quote_literal(SHARED));
    let Some(tasks) = session.text(ACT, &read).await? else { return Ok(()) };
    let tasks: u32 = tasks.parse().unwrap_or(1);
    let other = if tasks > 1 { tasks - 1 } else { tasks + 1 };
    // At once: whoever is cut off in between would leave the other value to the whole server.
    session.execute(ACT, &format!("SET {SHARED} = {other}; SET {SHARED} = {tasks}")).await
}
