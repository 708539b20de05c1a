//! What this server's PG-Strom is, which arms a query can run in, and what a plan proves about
//! the GPU. Times nothing.

pub(crate) mod arm;
pub(crate) mod evidence;
pub mod hint;
pub(crate) mod server;
mod service;
pub mod settings;

pub use arm::{Arm, ArmSetting, Gpu, align, arms, check_settings, enter, naming};
pub use service::{
    ASLEEP_AGAIN, GpuService, Roused, WAKE_SQL, WOKEN, await_gpu_service, probe, rouse,
    wake_gpu_service,
};

use crate::pg;

/// Why the arms asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StromError {
    /// The GPU was asked for on a server without PG-Strom.
    #[error(
        "`{asked}` needs PG-Strom, which this server has not loaded (pg_settings has no \
         pg_strom.enabled)\n  fix: put pg_strom into shared_preload_libraries and restart the \
         server, or use --gpu auto"
    )]
    NotLoaded {
        /// What asked for it.
        asked: String,
    },
    /// A setting of an arm that this server does not have.
    #[error(
        "arm `{arm}` sets `{name}`: {why}\n  fix: correct the name, or load the module that brings \
         it; SET alone would succeed and change nothing"
    )]
    NoSuchSetting {
        /// The arm.
        arm: String,
        /// The setting.
        name: String,
        /// What is known of the name, with those near it.
        why: String,
    },
    /// A setting of an arm that no session has for itself.
    #[error(
        "arm `{arm}` sets `{name}`, which PG-Strom keeps for the whole server and adapts to after \
         four seconds: arms that take turns would share it\n  fix: compare its values in a sweep"
    )]
    Shared {
        /// The arm.
        arm: String,
        /// The setting.
        name: String,
    },
    /// The server did not keep the setting.
    #[error("{name} was set to `{wanted}`, but the session reads back `{got}`")]
    NotKept {
        /// The setting.
        name: String,
        /// What was set.
        wanted: String,
        /// What the server says.
        got: String,
    },
    /// The GPU service is silent, and our role may not wake it.
    #[error(
        "PG-Strom's GPU service does not answer a small query within {} s, as it is after a reload \
         of the configuration, and our role may not wake it\n  fix: let a superuser run this, or \
         leave the GPU out with --gpu off:\n  {WAKE_SQL}", service::PROBE_MAX.as_secs()
    )]
    Asleep,
    /// The GPU service is silent, whatever is done.
    #[error(
        "PG-Strom's GPU service does not answer a small query within {} s, not even since \
         pg_strom.max_async_tasks was changed and put back\n  fix: look into the server's log, \
         restart the server, or leave the GPU out with --gpu off", service::PROBE_MAX.as_secs()
    )]
    Dead,
    /// The server could not be asked.
    #[error(transparent)]
    Server(#[from] pg::Error),
}

/// Whether PG-Strom is loaded, and not only its setting's name known: a SET, the configuration file
/// or ALTER DATABASE can make a placeholder of that name, which reads back as if real.
///
/// # Errors
/// When the server does not answer.
pub async fn is_loaded(session: &mut pg::Session) -> Result<bool, pg::Error> {
    let found = settings::probe(session, &[arm::ENABLED]).await?;
    // The real one is listed in pg_settings.
    let loaded = found.iter().any(|setting| setting.is_real() && !setting.hidden);
    if loaded {
        let created = "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_strom'";
        if session.text("look for PG-Strom's extension", created).await?.is_none() {
            tracing::warn!(
                "PG-Strom is loaded, but its extension was not created in this database: it will \
                 not use the GPU; fix: CREATE EXTENSION pg_strom"
            );
        }
    }
    Ok(loaded)
}
