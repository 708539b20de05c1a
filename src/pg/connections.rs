//! How many sessions the server, the database and the role admit.

use serde::Serialize;

use super::{Error, Session};

/// Who admits sessions, by the name that SQL has for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", content = "name", rename_all = "snake_case")]
pub enum Admits {
    /// The server: `max_connections` less the reserved ones.
    Server,
    /// The database: its CONNECTION LIMIT less the sessions that are there.
    Database(String),
    /// The role: its CONNECTION LIMIT less the sessions that are there.
    Role(String),
}

impl Admits {
    /// Who it is, in words.
    pub(crate) fn who(&self) -> String {
        match self {
            Self::Server => "the server".to_owned(),
            Self::Database(name) => format!("database {name}"),
            Self::Role(name) => format!("role {name}"),
        }
    }

    /// What the number of sessions is.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Server => "max_connections less the reserved ones",
            Self::Database(_) | Self::Role(_) => {
                "its CONNECTION LIMIT less the sessions of others that are there"
            }
        }
    }

    /// What raises it.
    pub(crate) fn fix(&self) -> String {
        match self {
            Self::Server => "raise max_connections".to_owned(),
            Self::Database(name) => format!("ALTER DATABASE {name} CONNECTION LIMIT …"),
            Self::Role(name) => format!("ALTER ROLE {name} CONNECTION LIMIT …"),
        }
    }
}

/// How many sessions of strom-load somebody admits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Admitted {
    /// Who.
    #[serde(flatten)]
    pub by: Admits,
    /// How many, those that strom-load has already included.
    pub sessions: u64,
}

/// What each of those admits that set a limit, the narrowest last. The limits of role and database
/// do not hold for a superuser.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn admitted(session: &mut Session) -> Result<Vec<Admitted>, Error> {
    let others = |of: &str| {
        format!(
            "(SELECT count(*) FROM pg_stat_activity WHERE {of} \
             AND application_name NOT LIKE 'strom-load%')"
        )
    };
    let sql = format!(
        "SELECT current_setting('max_connections')::int \
         - current_setting('superuser_reserved_connections')::int \
         - CASE WHEN rolsuper THEN 0 \
           ELSE coalesce(current_setting('reserved_connections', true), '0')::int END, \
         CASE WHEN NOT rolsuper AND datconnlimit >= 0 \
              THEN greatest(datconnlimit - {}, 0) END, quote_ident(datname), \
         CASE WHEN NOT rolsuper AND rolconnlimit >= 0 \
              THEN greatest(rolconnlimit - {}, 0) END, quote_ident(rolname) \
         FROM pg_roles r, pg_database d \
         WHERE r.rolname = session_user AND d.datname = current_database()",
        others("datid = d.oid"),
        others("usesysid = r.oid"),
    );
    let rows = session.rows("read the limits of connections", &sql).await?;
    let value = |column: usize| rows.first().and_then(|row| row.get(column)?.clone());
    let limit = |column: usize| value(column).and_then(|text| text.parse().ok());
    let name = |column: usize| value(column).unwrap_or_default();
    let limits = [
        (Admits::Server, limit(0)),
        (Admits::Database(name(2)), limit(1)),
        (Admits::Role(name(4)), limit(3)),
    ];
    let admitted =
        |(by, sessions): (Admits, Option<u64>)| Some(Admitted { by, sessions: sessions? });
    Ok(limits.into_iter().filter_map(admitted).collect())
}
