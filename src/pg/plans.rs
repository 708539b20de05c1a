//! The plan that a statement ran by: said by auto_explain with each one, where a session can have
//! it, or asked for by EXPLAIN.

use std::time::Duration;

use super::{Error, Session};

/// Each statement of the session's own, whatever it takes, as JSON to the client, not run in any
/// other way than without.
const SETTINGS: &[(&str, &str)] = &[
    ("log_min_duration", "0"),
    ("log_format", "json"),
    ("log_level", "notice"),
    ("sample_rate", "1"),
    ("log_nested_statements", "off"),
    ("log_analyze", "off"),
    ("log_verbose", "off"),
    ("log_settings", "off"),
];

/// What the session is like before.
const BEFORE: &str = "SELECT current_setting('is_superuser'), current_setting('log_min_messages'), \
                      current_setting('client_min_messages'), \
                      current_setting('auto_explain.log_min_duration', true)";

impl Session {
    /// Has auto_explain send the plan of each statement that takes `least` or longer as a message,
    /// from now on, and keeps the messages. `false`: the role may not, the library is not there,
    /// somebody has it log already, or the server would log each message too.
    ///
    /// # Errors
    /// When the session is lost.
    pub async fn log_plans(&mut self, least: Duration) -> Result<bool, Error> {
        match self.try_to_log_plans(least).await {
            Err(error) if error.is_lost() => Err(error),
            Err(error) => {
                tracing::debug!("auto_explain: {error}");
                Ok(false)
            }
            logs => logs,
        }
    }

    /// The same from another duration on, where plans are sent already.
    ///
    /// # Errors
    /// When the server refuses it or the session is lost.
    pub async fn log_plans_from(&mut self, least: Duration) -> Result<(), Error> {
        let ms = least.as_millis();
        let set = format!("SELECT set_config('auto_explain.log_min_duration', '{ms}', false)");
        self.execute("have plans sent", &set).await
    }

    async fn try_to_log_plans(&mut self, least: Duration) -> Result<bool, Error> {
        let before = self.rows("look at what the session logs", BEFORE).await?;
        let before = before.into_iter().next().unwrap_or_default();
        let [superuser, server_logs, client_hears, present] =
            before.try_into().unwrap_or([const { None }; 4]);
        let server_logs = server_logs.unwrap_or_default();
        let quiet = ["warning", "error", "log", "fatal", "panic"].contains(&&*server_logs);
        match present.as_deref() {
            _ if !quiet => return Ok(false),
            Some("-1") => {}
            Some(_) => return Ok(false),
            None if superuser.as_deref() != Some("on") => return Ok(false),
            None => self.execute("load auto_explain", "LOAD 'auto_explain'").await?,
        }
        let value = |(name, value): &(&str, &str)| format!("('auto_explain.{name}', '{value}')");
        let mut values: Vec<String> = SETTINGS.iter().map(value).collect();
        if matches!(client_hears.as_deref(), Some("warning" | "error")) {
            values.push("('client_min_messages', 'notice')".to_owned());
        }
        // Each setting needs a right of its own: those that are right already are left alone.
        let set = format!(
            "SELECT set_config(name, value, false) FROM (VALUES {}) AS wanted (name, value) \
             WHERE current_setting(name, true) IS DISTINCT FROM value",
            values.join(", ")
        );
        self.execute("have plans sent", &set).await?;
        self.keep_notices();
        self.take_notices();
        // The proof: a name that no library is behind can be set too.
        self.text("see whether plans are sent", "SELECT 1").await?;
        let sent = self.take_notices().iter().any(|notice| notice.plan().is_some());
        self.log_plans_from(least).await?;
        Ok(sent)
    }

    /// The plan of `sql`, without a word of what the planner thought of.
    ///
    /// # Errors
    /// When the server refuses the query.
    pub async fn plan(&mut self, sql: &str) -> Result<String, Error> {
        let explain = format!("EXPLAIN (FORMAT JSON) {sql}");
        Ok(self.text("take the plan", &explain).await?.unwrap_or_default())
    }
}
