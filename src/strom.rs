//! What this server's PG-Strom is, which arms a query can run in, and what a plan proves about
//! the GPU. Times nothing.

pub mod arm;
pub mod evidence;
pub mod hint;
pub mod server;
pub mod settings;

pub use arm::{Arm, ArmSetting, Gpu, align, arms, check_settings, enter};

use crate::pg;

/// Why the arms asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StromError {
    /// The GPU was asked for on a server without PG-Strom.
    #[error(
        "`{asked}` needs PG-Strom, which this server has not loaded \
         (current_setting('pg_strom.enabled', true) is NULL)\n  fix: put pg_strom into \
         shared_preload_libraries and restart the server, or use --gpu auto"
    )]
    NotLoaded {
        /// What asked for it.
        asked: String,
    },
    /// A setting of an arm that this server does not have.
    #[error(
        "arm `{arm}` sets `{name}`, which this server does not have: SET would succeed and change \
         nothing\n  fix: correct the name, or load the module that brings it"
    )]
    NoSuchSetting {
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
    /// The server could not be asked.
    #[error(transparent)]
    Server(#[from] pg::Error),
}

/// Whether PG-Strom is loaded. Ask on a fresh session, before any SET: without the module a SET
/// of `pg_strom.enabled` succeeds, as a placeholder, and from then on reads back as if real.
///
/// # Errors
/// When the server does not answer.
pub async fn is_loaded(session: &mut pg::Session) -> Result<bool, pg::Error> {
    let sql = "SELECT current_setting('pg_strom.enabled', true)";
    Ok(session.text("look for PG-Strom", sql).await?.is_some())
}
