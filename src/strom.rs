//! What this server's PG-Strom is, and the arms that a query can run in. Times nothing.

pub mod server;
pub mod settings;

use std::fmt;

use serde::Serialize;

use crate::pg;
use crate::plan::GpuChoice;

/// How a query runs with respect to the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// PG-Strom is not loaded: nothing here may be called GPU.
    Cpu,
    /// PG-Strom is loaded and switched off.
    Off,
    /// PG-Strom is loaded and switched on. What the planner makes of it is another matter.
    On,
}

impl Arm {
    /// Its name in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why the arms asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StromError {
    /// The GPU was asked for on a server without PG-Strom.
    #[error(
        "`--gpu {choice}` needs PG-Strom, which this server has not loaded \
         (current_setting('pg_strom.enabled', true) is NULL)\n  fix: put pg_strom into \
         shared_preload_libraries and restart the server, or use --gpu auto"
    )]
    NotLoaded {
        /// The choice as typed.
        choice: &'static str,
    },
    /// The server did not keep the setting.
    #[error("pg_strom.enabled was set to {wanted}, but the session reads back {got}")]
    NotKept {
        /// What was set.
        wanted: &'static str,
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

/// The arms that each query takes in turn.
///
/// # Errors
/// When the choice needs PG-Strom and it is not there.
pub fn arms(choice: GpuChoice, loaded: bool) -> Result<&'static [Arm], StromError> {
    match (choice, loaded) {
        (GpuChoice::Auto | GpuChoice::Off, false) => Ok(&[Arm::Cpu]),
        (GpuChoice::On, false) => Err(StromError::NotLoaded { choice: "on" }),
        (GpuChoice::Alternate, false) => Err(StromError::NotLoaded { choice: "alternate" }),
        (GpuChoice::Auto | GpuChoice::Alternate, true) => Ok(&[Arm::Off, Arm::On]),
        (GpuChoice::On, true) => Ok(&[Arm::On]),
        (GpuChoice::Off, true) => Ok(&[Arm::Off]),
    }
}

/// Puts a session into an arm and reads the setting back.
///
/// # Errors
/// When the server refuses it or does not keep it.
pub async fn enter(session: &mut pg::Session, arm: Arm) -> Result<(), StromError> {
    let wanted = match arm {
        Arm::Cpu => return Ok(()),
        Arm::Off => "off",
        Arm::On => "on",
    };
    let sql = format!("SELECT set_config('pg_strom.enabled', '{wanted}', false)");
    session.execute("switch PG-Strom", &sql).await?;
    let got = session.text("read pg_strom.enabled back", "SHOW pg_strom.enabled").await?;
    match got {
        Some(got) if got == wanted => Ok(()),
        got => Err(StromError::NotKept { wanted, got: got.unwrap_or_default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_called_gpu_without_pg_strom() {
        assert_eq!(arms(GpuChoice::Auto, false).unwrap(), [Arm::Cpu]);
        assert_eq!(arms(GpuChoice::Off, false).unwrap(), [Arm::Cpu]);
        assert!(arms(GpuChoice::On, false).is_err());
        assert!(arms(GpuChoice::Alternate, false).is_err());
        assert_eq!(arms(GpuChoice::Auto, true).unwrap(), [Arm::Off, Arm::On]);
    }
}
