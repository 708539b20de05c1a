//! A server with TLS on, whose certificate and pg_hba.conf the test changes as it runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use strom_load::pg::embedded::{Server, ServerOptions};

use super::authority::{Authority, Issued};
use super::{ask, connect};

pub(super) struct Secured(Server);

impl Secured {
    pub(super) async fn start() -> Self {
        let secured = Self(Server::start(&ServerOptions::default()).await.unwrap());
        secured.admit("host all all all trust").await;
        secured
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port()
    }

    pub(super) fn data_dir(&self) -> &Path {
        self.0.data_dir()
    }

    /// A connection text over TCP.
    pub(super) fn text(&self, host: &str) -> String {
        let port = self.port();
        format!("{host} hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres")
    }

    /// Over the socket, which is always open.
    pub(super) async fn execute(&self, sql: &str) {
        let client = connect(self.0.socket_dir(), self.port()).await;
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Reloads the configuration and waits until new sessions see it.
    pub(super) async fn reload(&self, query: &str, expected: &str) {
        self.execute("SELECT pg_reload_conf()").await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while ask(&self.0, query).await != expected {
            assert!(std::time::Instant::now() < deadline, "{query} is not {expected}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// A file in the data folder, the server's own and closed to others.
    fn write(&self, name: &str, text: &str) {
        let path = self.data_dir().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let folder = fs::metadata(self.data_dir()).unwrap();
        chown(&path, Some(folder.uid()), Some(folder.gid())).unwrap();
    }

    /// Sets something to a new value each time, so that a reload can be seen.
    async fn reload_with(&self, sql: &str) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let mark = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mark = format!("%m reload {mark} ");
        if !sql.is_empty() {
            self.execute(sql).await;
        }
        self.execute(&format!("ALTER SYSTEM SET log_line_prefix = '{mark}'")).await;
        self.reload("SHOW log_line_prefix", &mark).await;
    }

    /// Switches TLS on with this certificate.
    pub(super) async fn present(&self, issued: &Issued) {
        self.write("server.crt", &issued.certificate);
        self.write("server.key", &issued.key);
        self.reload_with("ALTER SYSTEM SET ssl = on").await;
    }

    /// Asks clients for certificates of this authority.
    pub(super) async fn trust_clients_of(&self, authority: &Authority) {
        self.write("clients.crt", authority.pem());
        self.reload_with("ALTER SYSTEM SET ssl_ca_file = 'clients.crt'").await;
    }

    /// Whom pg_hba.conf admits over TCP.
    pub(super) async fn admit(&self, lines: &str) {
        self.write("pg_hba.conf", &format!("local all all trust\n{lines}\n"));
        self.reload_with("").await;
    }

    pub(super) async fn stop(self) {
        self.0.stop().await.unwrap();
    }
}
