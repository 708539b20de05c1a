//! The role that a profile's queries run with on a server of our own: it reads everything, and is no
//! superuser. A query is somebody's code.

use super::{Error, Session, quote_literal};

/// Its name.
pub(crate) const READER: &str = "strom_load_reader";

/// What auto_explain is told in each of its sessions.
const PLANS: &str = "auto_explain.log_min_duration, auto_explain.log_format, auto_explain.log_level, \
    auto_explain.sample_rate, auto_explain.log_nested_statements, auto_explain.log_analyze, \
    auto_explain.log_verbose, auto_explain.log_settings";

impl Session {
    /// Makes the role, or makes it what it is to be; `settings` are those that its sessions set. As a
    /// superuser, who shares the password with it.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn make_reader(
        &mut self,
        writes: bool,
        settings: impl Iterator<Item = &str>,
    ) -> Result<(), Error> {
        let act = "make the role of the readers";
        // Where the library is missing, a session that is to load it does not come to be; and what the user
        // has each session load stays as it is.
        let has_plans = self.execute("load auto_explain", "LOAD 'auto_explain'").await.is_ok();
        let loads = self.text(act, "SELECT current_setting('session_preload_libraries')").await?;
        let loads_nothing = loads.is_none_or(|libraries| libraries.is_empty());
        let loads = match has_plans && loads_nothing {
            true => "SET session_preload_libraries = 'auto_explain'",
            false => "RESET session_preload_libraries",
        };
        let (gives, to) = if writes { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
        let names: Vec<String> = settings.map(|name| quote_literal(&name.to_lowercase())).collect();
        let names = names.join(", ");
        let sql = format!(
            "DO $$ BEGIN \
               IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{READER}') THEN \
                 CREATE ROLE {READER} LOGIN; \
               END IF; \
               EXECUTE pg_catalog.format('ALTER ROLE {READER} PASSWORD %L', \
                 (SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = current_user)); \
             END $$; \
             GRANT pg_read_all_data TO {READER}; \
             {gives} pg_write_all_data {to} {READER}; {gives} CREATE ON SCHEMA public {to} {READER}; \
             ALTER ROLE {READER} {loads}; GRANT SET ON PARAMETER {PLANS} TO {READER}; \
             DO $$ DECLARE known text; BEGIN \
               FOR known IN SELECT name FROM pg_catalog.pg_settings \
                 WHERE context = 'superuser' AND lower(name) = ANY (ARRAY[{names}]::text[]) LOOP \
                 EXECUTE 'GRANT SET ON PARAMETER ' || known || ' TO {READER}'; \
               END LOOP; \
             END $$"
        );
        self.execute(act, &sql).await
    }

    /// Acts as that role until the savepoint or transaction that it is in is rolled back.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn act_as_reader(&mut self) -> Result<(), Error> {
        let sql = format!("SET LOCAL SESSION AUTHORIZATION {READER}");
        self.execute("act as the readers do", &sql).await
    }
}
