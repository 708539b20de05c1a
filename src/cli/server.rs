//! Options that say where the server is, or how it is started.

use std::path::PathBuf;

use clap::Args;

/// Where and how the server is found.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Server to load, as a URL or key=value pairs [default: a server started for the run]
    ///
    /// Such as postgresql://user@host:5432/database or 'host=/run/postgresql dbname=sales'.
    /// What it leaves open is filled from a service file, the PG* variables and ~/.pgpass, as
    /// psql does; PGHOST, PGPORT, PGDATABASE or PGSERVICE is enough without it. TLS is
    /// sslmode=require, verify-ca or verify-full. A password on the command line works, but other
    /// users of the machine can see it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// File with the password of that server in its first line
    ///
    /// Others must not be able to read it, unless a container runtime mounted it.
    #[arg(long, env = "STROM_LOAD_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The server that is started.
    #[command(flatten)]
    pub embedded: EmbeddedArgs,
}

/// Where the readers ask.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Readers")]
pub struct ReadersArgs {
    /// Server that the readers ask, such as a replica [default: the one that is loaded]
    ///
    /// Written as --database-url is, and filled in the same way. Any server will do for it, unless
    /// target_session_attrs says otherwise. A pooler must give each session a backend of its own. A
    /// profile names it in `database_url` under `[readers]`, without a password.
    #[arg(long, env = "STROM_LOAD_READERS_URL", hide_env_values = true, value_name = "URL")]
    pub readers_url: Option<String>,
}

/// How the server is started where none is given.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct EmbeddedArgs {
    /// Folder with the initdb and postgres to start [default: found]
    ///
    /// Looked for by pg_config, on PATH, in the usual folders of Debian, Red Hat and Homebrew, then in
    /// the cache of `strom-load postgres install`.
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_PG_BINDIR", value_name = "DIR")]
    pub pg_bindir: Option<PathBuf>,
    /// Keep the started server's data here, for this run and later ones
    #[arg(long, hide_env_values = true, env = "STROM_LOAD_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Fetch server binaries if there are none (see `strom-load postgres install`)
    #[arg(long)]
    pub install_postgres: bool,
    /// Setting of the started server, such as shared_buffers=2GB; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub pg_set: Vec<(String, String)>,
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE, such as shared_buffers=2GB")),
    }
}
