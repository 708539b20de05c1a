//! Where the server is and who we are there: URL, key=value text, PG* environment variables.
//! Never shows a password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::Error;

/// Bound of a connection attempt where the user sets none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a database and the credentials to use there.
#[derive(Clone)]
pub struct Address {
    config: Config,
}

/// Why a connection text or variable cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The text is neither a URL nor key=value pairs.
    #[error(
        "`{place}` is not a connection string: {fact}\n  fix: write \
         postgresql://user@host:5432/database, or host=… port=… user=… dbname=…"
    )]
    Malformed {
        /// Flag or variable.
        place: &'static str,
        /// What the parser found.
        fact: String,
    },
    /// A PG* variable has an impossible value.
    #[error("environment variable {name}: {fact}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with the value.
        fact: String,
    },
    /// TLS was demanded.
    #[error(
        "`{place}` demands TLS (sslmode=require), which this version cannot speak\n  fix: use \
         sslmode=prefer or disable, over a Unix socket, loopback or a tunnel"
    )]
    Tls {
        /// Flag or variable.
        place: &'static str,
    },
}

impl Address {
    /// Reads a URL or key=value text; `place` names the flag or variable in errors. What the text
    /// leaves open is filled from the PG* variables.
    ///
    /// # Errors
    /// When the text is malformed; the error never repeats it, since it may hold a password.
    pub fn parse(
        text: &str,
        place: &'static str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AddressError> {
        let config = Config::from_str(text)
            .map_err(|error| AddressError::Malformed { place, fact: reason(&error) })?;
        Self::complete(config, place, env)
    }

    /// The address that the PG* variables give, if any of them names a server or database.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, AddressError> {
        let names = ["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE"];
        if names.iter().all(|name| env(name).is_none()) {
            return Ok(None);
        }
        Self::complete(Config::new(), "PG* environment variables", env).map(Some)
    }

    /// A server on this machine, through its socket folder, trusting us.
    pub fn socket(folder: &Path, port: u16, user: &str, database: &str) -> Self {
        let mut config = Config::new();
        config.host_path(folder).port(port).user(user).dbname(database);
        config.connect_timeout(CONNECT_TIMEOUT);
        Self { config }
    }

    fn complete(
        mut config: Config,
        place: &'static str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AddressError> {
        let variable = |name: &'static str, fact: String| AddressError::Variable { name, fact };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            if let Some(addresses) = env("PGHOSTADDR") {
                for address in addresses.split(',') {
                    config.hostaddr(address.parse().map_err(|_| {
                        variable("PGHOSTADDR", format!("`{address}` is not an IP address"))
                    })?);
                }
            }
            match env("PGHOST") {
                Some(hosts) => hosts.split(',').for_each(|host| {
                    config.host(host);
                }),
                None if config.get_hostaddrs().is_empty() => {
                    config.host_path(default_socket_folder());
                }
                None => {}
            }
        }
        if config.get_ports().is_empty()
            && let Some(ports) = env("PGPORT")
        {
            for port in ports.split(',') {
                let parsed = port.parse().map_err(|_| {
                    variable("PGPORT", format!("`{port}` is not a port number (1 to 65535)"))
                })?;
                config.port(parsed);
            }
        }
        if config.get_user().is_none() {
            // As libpq does: PGUSER, else the name of the operating system's user.
            if let Some(user) = env("PGUSER").or_else(|| env("USER")) {
                config.user(user);
            }
        }
        if config.get_password().is_none()
            && let Some(password) = env("PGPASSWORD")
        {
            config.password(password);
        }
        if config.get_dbname().is_none()
            && let Some(database) = env("PGDATABASE").or(config.get_user().map(str::to_owned))
        {
            config.dbname(database);
        }
        if config.get_options().is_none()
            && let Some(options) = env("PGOPTIONS")
        {
            config.options(options);
        }
        if config.get_connect_timeout().is_none() {
            let seconds = match env("PGCONNECT_TIMEOUT") {
                Some(text) => Duration::from_secs(text.parse().map_err(|_| {
                    variable("PGCONNECT_TIMEOUT", format!("`{text}` is not a number of seconds"))
                })?),
                None => CONNECT_TIMEOUT,
            };
            config.connect_timeout(seconds);
        }
        if config.get_ssl_mode() == SslMode::Require
            || env("PGSSLMODE").is_some_and(|mode| needs_tls(&mode))
        {
            return Err(AddressError::Tls { place });
        }
        Ok(Self { config })
    }

    /// Whether a password is part of it.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    pub(super) fn config(&self, application_name: &str) -> Config {
        let mut config = self.config.clone();
        config.application_name(application_name);
        config
    }

    /// Turns a failed attempt to connect into an error with the usual remedy.
    pub(super) fn explain(&self, error: &tokio_postgres::Error) -> Error {
        let explained = Error::new(format!("connect to {self}"), error);
        let fix = match explained.sqlstate() {
            Some("28P01") => {
                "give the right password in PGPASSWORD or in DATABASE_URL (not on the command \
                 line, where others can read it)"
                    .to_owned()
            }
            Some("28000") => format!(
                "create the role (createuser {}), or name another with PGUSER or user=…; \
                 pg_hba.conf must admit it",
                self.user()
            ),
            Some("3D000") => {
                format!("create it (createdb {}), or name another database", self.database())
            }
            Some("53300") => "raise max_connections, or use fewer partitions and readers".into(),
            Some(_) => return explained,
            None if !self.has_password() && reason(error).contains("password missing") => {
                "the server asks for a password: set PGPASSWORD, or put it into DATABASE_URL"
                    .to_owned()
            }
            None => "check host and port and that the server runs (pg_isready); without any \
                     connection setting strom-load starts a server of its own"
                .into(),
        };
        explained.with_fix(fix)
    }
}

fn needs_tls(mode: &str) -> bool {
    matches!(mode, "require" | "verify-ca" | "verify-full")
}

fn default_socket_folder() -> PathBuf {
    let debian = PathBuf::from("/var/run/postgresql");
    if debian.is_dir() { debian } else { PathBuf::from("/tmp") }
}

/// The parser's reason. Its texts name keys and kinds of values, never the values themselves, but
/// for numbers such as a port.
fn reason(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgresql://{}@", self.user())?;
        let ports = self.config.get_ports();
        let port = |i: usize| ports.get(i).or(ports.last()).copied().unwrap_or(5432);
        let mut separator = "";
        for (i, host) in self.config.get_hosts().iter().enumerate() {
            f.write_str(separator)?;
            match host {
                Host::Tcp(name) => write!(f, "{name}:{}", port(i))?,
                Host::Unix(folder) => write!(f, "[{}]:{}", folder.display(), port(i))?,
            }
            separator = ",";
        }
        if self.config.get_hosts().is_empty() {
            for (i, address) in self.config.get_hostaddrs().iter().enumerate() {
                write!(f, "{separator}{address}:{}", port(i))?;
                separator = ",";
            }
        }
        write!(f, "/{}", self.database())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_password_is_never_shown() {
        let text = "postgresql://me:hunter2@db.example:6000/sales";
        let address = Address::parse(text, "--database-url", &none).unwrap();
        assert_eq!(address.to_string(), "postgresql://me@db.example:6000/sales");
        assert!(address.has_password());
        assert!(!format!("{address:?}").contains("hunter2"));
        for text in ["postgresql://me:hunter2@h:99999/x", "password=hunter2 port=x", "hunter2"] {
            let error = Address::parse(text, "--database-url", &none).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn variables_fill_what_the_text_leaves_open() {
        let env = |name: &str| match name {
            "PGUSER" => Some("ann".to_owned()),
            "PGPORT" => Some("7000".to_owned()),
            "PGPASSWORD" => Some("s".to_owned()),
            _ => None,
        };
        let address = Address::parse("host=h", "DATABASE_URL", &env).unwrap();
        assert_eq!(address.to_string(), "postgresql://ann@h:7000/ann");
        assert!(address.has_password());
        let address = Address::from_env(&env).unwrap().unwrap();
        assert!(address.to_string().ends_with(":7000/ann"));
        assert!(Address::from_env(&none).unwrap().is_none());
    }

    #[test]
    fn a_bad_variable_is_named() {
        let env = |name: &str| (name == "PGPORT").then(|| "x".to_owned());
        let error = Address::from_env(&env).unwrap_err();
        insta::assert_snapshot!(error, @"environment variable PGPORT: `x` is not a port number (1 to 65535)");
    }
}
