//! The proxy of the fault command, at work for a test.

use std::ops::Deref;
use std::sync::Arc;

pub(crate) use strom_load::inject::proxy::{CommitCut, Slow, Way};
use tokio::task::JoinSet;

/// Ends with all its connections when it is dropped.
pub(crate) struct Proxy {
    proxy: Arc<strom_load::inject::proxy::Proxy>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a port of loopback, in front of a server's.
    pub(crate) async fn start(server: u16) -> Self {
        let proxy = Arc::new(strom_load::inject::proxy::Proxy::open(server).await.unwrap());
        let mut tasks = JoinSet::new();
        let served = Arc::clone(&proxy);
        tasks.spawn(async move { match served.serve().await {} });
        Self { proxy, _tasks: tasks }
    }
}

impl Deref for Proxy {
    type Target = strom_load::inject::proxy::Proxy;

    fn deref(&self) -> &Self::Target {
        &self.proxy
    }
}
