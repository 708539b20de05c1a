//! A streaming standby of a server of our own.

use std::io;

use super::cluster::Cluster;
use super::error::{EmbeddedError, at};
use super::{Server, discard, private_folder};

impl Server {
    /// Copies this server, and starts the copy as its streaming standby: in a folder and on a port of
    /// its own, with the same settings and password. It follows what listens on `port` of 127.0.0.1, such as
    /// a proxy in front of this server.
    ///
    /// # Errors
    /// When it cannot be copied, or does not come up.
    pub async fn standby(&self, port: u16) -> Result<Self, EmbeddedError> {
        let none = || at("read the password of", self.data_dir())(io::Error::other("it has none"));
        let passfile = self.password_file().ok_or_else(none)?;
        let (folder, socket_dir) = private_folder(&self.account)?;
        let from = (passfile, self.port);
        let cluster = match Cluster::copy(&self.account, &self.binaries, &folder, from).await {
            Ok(cluster) => cluster,
            Err(error) => {
                discard(folder);
                return Err(error);
            }
        };
        let mut standby = Self {
            account: self.account.clone(),
            binaries: self.binaries.clone(),
            settings: self.settings.clone(),
            over: Vec::new(),
            log: cluster.log(&folder),
            folder,
            socket_dir,
            cluster,
            port: 0,
            pid: 0,
            running: None,
        };
        if let Some(passfile) = standby.password_file() {
            let primary = super::cluster::primary(passfile, port);
            standby.over.push(("primary_conninfo".to_owned(), primary));
        }
        match standby.first_launch().await {
            Ok(()) => Ok(standby),
            Err(error) => {
                discard(standby.folder);
                Err(error)
            }
        }
    }
}
