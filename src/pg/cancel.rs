//! Cancelling what a session runs, over a connection of its own, which only says that.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Config, NoTls};
use tokio_util::sync::CancellationToken;

use super::dial::Dialer;
use super::tls::Connector;

/// How long a cancel request may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Cancels whatever its session is running, from outside.
#[derive(Clone)]
pub struct Canceller {
    pub(super) token: CancelToken,
    pub(super) way: Arc<Way>,
}

/// How a session's server was reached: one host, one address.
pub(super) struct Way {
    pub(super) config: Config,
    /// What encrypts it; a cancel request is encrypted in the same way.
    pub(super) connector: Option<Connector>,
    /// What opens streams to it, where that is neither a port nor a socket.
    pub(super) dialer: Option<Dialer>,
}

impl Canceller {
    /// Does `work`, which uses the session, and cancels what that is running when `token` says so.
    /// The work's own end decides. The request has ended then as well: the server sends its signal twice
    /// (to the backend and to its process group), and the second one would hit the session's next
    /// statement.
    pub async fn when<T>(&self, token: &CancellationToken, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = token.cancelled() => {}
        }
        let (done, ()) = tokio::join!(work, self.cancel());
        done
    }

    /// Asks the server to cancel the session's running statement; best effort, bounded.
    pub async fn cancel(&self) {
        let cancel = async {
            let config = &self.way.config;
            if let Some(Dialer(dial)) = &self.way.dialer {
                return self.ask(dial.dial("").await?).await;
            }
            let port = config.get_ports().first().copied().unwrap_or(5432);
            let host = config.get_hosts().first();
            if let Some(Host::Unix(folder)) = host {
                let socket = folder.join(format!(".s.PGSQL.{port}"));
                return self.ask(UnixStream::connect(socket).await?).await;
            }
            let tcp = match (config.get_hostaddrs().first(), host) {
                (Some(address), _) => TcpStream::connect((*address, port)).await?,
                (None, Some(Host::Tcp(name))) => TcpStream::connect((name.as_str(), port)).await?,
                _ => return Err(io::Error::other("no address")),
            };
            self.ask(tcp).await
        };
        // Boxed: rare, and large in every future that runs a statement.
        match tokio::time::timeout(CANCEL_TIMEOUT, Box::pin(cancel)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("cancel request failed: {error}"),
            Err(_) => tracing::debug!("cancel request timed out"),
        }
    }

    /// Sends the request. Not by the client library's own connection: it closes that at once, and
    /// PgBouncer 1.18 ends itself when a client is gone before its request is passed on.
    async fn ask<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = UntilClosed(stream);
        let asked = match self.way.connector.clone() {
            None => self.token.cancel_query_raw(stream, NoTls).await,
            Some(mut connector) => {
                let name = match self.way.config.get_hosts().first() {
                    Some(Host::Tcp(name)) => name.as_str(),
                    _ => "",
                };
                let tls = MakeTlsConnect::<UntilClosed<S>>::make_tls_connect(&mut connector, name);
                self.token.cancel_query_raw(stream, tls.map_err(io::Error::other)?).await
            }
        };
        asked.map_err(io::Error::other)
    }
}

/// A connection that is closed when the other side has closed it, as libpq does for a cancel
/// request: that it was taken is said in no other way.
struct UntilClosed<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for UntilClosed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UntilClosed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 64];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            // A reset is an end, too.
            let read = ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
