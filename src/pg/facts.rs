//! What this server is: version and the settings that decide about load and queries.

use std::collections::BTreeMap;

pub(crate) use crate::result::server::ServerFacts;

use super::quote::quote_literal;
use super::{Error, Session};

/// Settings that a reader of the result wants to know.
const SETTINGS: &[&str] = &[
    "autovacuum",
    "checkpoint_timeout",
    "effective_cache_size",
    "fsync",
    "full_page_writes",
    "jit",
    "max_connections",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_wal_size",
    "pg_strom.cpu_fallback",
    "pg_strom.enable_gpuhashjoin",
    "pg_strom.enable_gpujoin",
    "pg_strom.enable_gpupreagg",
    "pg_strom.enable_gpuscan",
    "pg_strom.enable_gpusort",
    "pg_strom.enable_partitionwise_gpupreagg",
    "shared_buffers",
    "shared_preload_libraries",
    "synchronous_commit",
    "wal_level",
    "work_mem",
];

impl Session {
    /// Asks the server for its facts.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn facts(&mut self) -> Result<ServerFacts, Error> {
        let act = "read the server's settings";
        let version = self.text(act, "SHOW server_version").await?.unwrap_or_default();
        let major = version.split(|c: char| !c.is_ascii_digit()).next();
        let major = major.and_then(|digits| digits.parse().ok()).unwrap_or_default();
        let mut settings = BTreeMap::new();
        let names: Vec<String> = SETTINGS.iter().map(|name| quote_literal(name)).collect();
        // The view leaves out what this role may not see, where current_setting would fail.
        let sql = format!(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name IN ({})",
            names.join(", ")
        );
        for row in self.rows(act, &sql).await? {
            if let [Some(name), Some(value)] = row.as_slice() {
                settings.insert(name.clone(), value.clone());
            }
        }
        let clock = self.clock_offset().await?;
        Ok(ServerFacts { version, major, settings, clock })
    }
}
