//! The two kinds of sessions: those of our own, in which strom-load itself asks, and those that are
//! as the server has them, in which it asks as a user would. There is no third way to connect.

use super::silence::Listener;
use super::{Address, Error, Session, connect, pooler};

/// What a session of our own is set to. PG-Strom is off wherever it is loaded: it is the engine
/// that a run measures, so it must not be the one that counts the run's rows; and a GPU service
/// that sleeps lets every query wait for ever. Where it is not loaded nothing is set, as a SET of
/// an unknown name would make a setting without a meaning.
const SETTINGS: &str = "SELECT pg_catalog.set_config('pg_strom.enabled', 'off', false) \
                        WHERE pg_catalog.current_setting('pg_strom.enabled', true) IS NOT NULL";

impl Session {
    /// Connects for strom-load's own work: loading, counting, reading back, looking things up.
    /// PG-Strom is switched off in it, and a statement that brings nothing for a minute ends; see
    /// [`Session::at_length`]. `application_name` shows up in pg_stat_activity.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, with the usual remedy.
    pub async fn own(address: &Address, application_name: &str) -> Result<Self, Error> {
        Self::as_configured(address, application_name).await?.into_own(address).await
    }

    /// The same for work that leans on keeping its backend, such as holding a lock: a server
    /// behind a pooler that gives a session's transactions to different backends is refused.
    ///
    /// # Errors
    /// As [`Session::own`], and when backends are shared, or that cannot be found out in time.
    pub async fn own_backend(address: &Address, application_name: &str) -> Result<Self, Error> {
        let mut session = Self::as_configured(address, application_name).await?;
        // Before anything is set: it would stay in a backend that others share.
        pooler::refuse_shared_backends(&mut session, address).await?;
        session.into_own(address).await
    }

    /// Connects and leaves every setting as the server, the database and the role have it: for
    /// queries in an arm, and to see what others see. Whoever runs a query here bounds it.
    ///
    /// # Errors
    /// As [`Session::own`].
    pub async fn as_configured(address: &Address, application_name: &str) -> Result<Self, Error> {
        // Boxed: rare, and large in every future that may connect again.
        Box::pin(connect::connect(address, application_name)).await
    }

    async fn into_own(mut self, address: &Address) -> Result<Self, Error> {
        // Set before its first statement; who serves it is told with that.
        self.listener = Some(Box::new(Listener::new(address, None)));
        let sql = format!("SELECT pg_catalog.pg_backend_pid(); {SETTINGS}");
        let pid = self.text("set our session up", &sql).await?;
        let pid = pid.and_then(|pid| pid.parse().ok());
        self.listener = Some(Box::new(Listener::new(address, pid)));
        Ok(self)
    }
}
