//! A TCP proxy between the loader and its server that breaks what passes through it on demand.
//!
//! It runs in whatever task polls [`Proxy::serve`] and starts none of its own.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Read at once; small, so that a slow link is slow all the time and not in jerks.
const CHUNK: usize = 8 * 1024;
/// How long the server may take to answer a COMMIT.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the sockets of a connection in a black hole are kept: longer than anybody waits.
const HELD: Duration = Duration::from_secs(120);
/// Between two attempts to accept when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the loader to its server.
    ToServer,
    /// From the server to the loader.
    ToClient,
}

/// How a connection is cut at a COMMIT, before its answer has reached the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitCut {
    /// The COMMIT never reaches the server.
    Before,
    /// The server gets it. The client is cut off at once; the server's side stands until the
    /// server has answered, and then for a while.
    Sent {
        /// How long.
        linger: Duration,
    },
    /// The server gets it and answers. Only then both sides are cut off.
    Answered,
}

/// A slow link.
#[derive(Debug, Clone, Copy)]
pub struct Slow {
    /// Of every chunk.
    pub delay: Duration,
    /// Of each connection.
    pub bytes_per_s: f64,
}

/// What is to happen to the bytes to come.
#[derive(Debug, Default)]
struct Orders {
    cut: Option<(Way, usize)>,
    commit: Option<CommitCut>,
    slow: Option<Slow>,
}

#[derive(Debug)]
struct State {
    server: u16,
    orders: Mutex<Orders>,
    /// Rises with each reset of all connections.
    resets: watch::Sender<u64>,
    /// Rises when a black hole begins and when it ends: odd while there is one.
    holes: watch::Sender<u64>,
    /// Cuts that were made.
    cuts: AtomicU64,
}

impl State {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        // Nothing panics while it is held.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The proxy. Its connections live in [`Proxy::serve`].
#[derive(Debug)]
pub struct Proxy {
    listener: TcpListener,
    port: u16,
    state: State,
}

impl Proxy {
    /// Listens on a port of loopback, in front of a server's.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn open(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let state = State {
            server,
            orders: Mutex::default(),
            resets: watch::Sender::new(0),
            holes: watch::Sender::new(0),
            cuts: AtomicU64::new(0),
        };
        Ok(Self { listener, port, state })
    }

    /// Carries every connection, until it is dropped.
    pub async fn serve(&self) -> Infallible {
        let mut links = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    // An error is a side that went away, which closes the other.
                    Ok((client, _)) => links.push(Link::carry(client, &self.state)),
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = links.next() => {}
            }
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Resets every connection, on both sides.
    pub fn reset(&self) {
        self.state.resets.send_modify(|resets| *resets += 1);
    }

    /// Passes on so many more bytes, then resets the connection that the next byte is for.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        self.state.orders().cut = Some((way, bytes));
    }

    /// Cuts the next connection that sends a COMMIT.
    pub fn cut_commit(&self, cut: CommitCut) {
        self.state.orders().commit = Some(cut);
    }

    /// Takes back cuts that have not happened yet.
    pub fn forget_cuts(&self) {
        let mut orders = self.state.orders();
        (orders.cut, orders.commit) = (None, None);
    }

    /// Makes every link slow, or no longer.
    pub fn slow(&self, slow: Option<Slow>) {
        self.state.orders().slow = slow;
    }

    /// Lets every connection there is fall silent for good, and those that are tried until
    /// [`Self::end_hole`]: no packet is taken, so none is acknowledged, and neither side is told.
    ///
    /// # Errors
    /// When the system cannot drop packets.
    pub fn begin_hole(&self) -> io::Result<()> {
        hole::open(&self.listener)?;
        self.state.holes.send_modify(|holes| *holes |= 1);
        Ok(())
    }

    /// Lets new connections through again.
    ///
    /// # Errors
    /// When the system cannot.
    pub fn end_hole(&self) -> io::Result<()> {
        self.state.holes.send_modify(|holes| *holes += *holes % 2);
        hole::close(&self.listener)
    }

    /// How many connections were cut at a byte or a COMMIT.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::Relaxed)
    }
}

/// Sockets that the system drops all packets for.
#[cfg(target_os = "linux")]
mod hole {
    use std::io;
    use std::os::fd::AsFd;

    use socket2::{SockFilter, SockRef};

    /// The filter program `ret #0`: keep nothing of a packet.
    const DROP_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);

    pub(super) fn open(socket: &impl AsFd) -> io::Result<()> {
        SockRef::from(socket).attach_filter(&[DROP_ALL])
    }

    pub(super) fn close(socket: &impl AsFd) -> io::Result<()> {
        SockRef::from(socket).detach_filter()
    }
}

#[cfg(not(target_os = "linux"))]
mod hole {
    use std::io;

    pub(super) fn open<S>(_: &S) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "black holes are made on Linux only"))
    }

    pub(super) fn close<S>(_: &S) -> io::Result<()> {
        Ok(())
    }
}

/// One connection.
struct Link<'a> {
    state: &'a State,
    client: TcpStream,
    server: TcpStream,
}

impl<'a> Link<'a> {
    /// Carries bytes both ways until a side closes the connection or it is broken on purpose.
    async fn carry(client: TcpStream, state: &'a State) -> io::Result<()> {
        let mut resets = state.resets.subscribe();
        let mut holes = state.holes.subscribe();
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, state.server)).await else {
            return reset(client);
        };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut link = Self { state, client, server };
        let (mut up, mut down) = (Frames::default(), Frames { started: true, ..Frames::default() });
        let (mut from_client, mut from_server) = ([0; CHUNK], [0; CHUNK]);
        loop {
            let (way, bytes) = tokio::select! {
                biased;
                _ = resets.changed() => return link.reset(),
                _ = holes.changed() => return link.fall_silent().await,
                read = link.client.read(&mut from_client) => (Way::ToServer, &from_client[..read?]),
                read = link.server.read(&mut from_server) => (Way::ToClient, &from_server[..read?]),
            };
            if bytes.is_empty() {
                return Ok(());
            }
            let slow = state.orders().slow;
            if let Some(Slow { delay, bytes_per_s }) = slow {
                sleep(delay + Duration::from_secs_f64(bytes.len() as f64 / bytes_per_s)).await;
            }
            let frames = if way == Way::ToServer { &mut up } else { &mut down };
            frames.buffer.extend_from_slice(bytes);
            let mut whole = Vec::new();
            while let Some(frame) = frames.next() {
                if is_tls_request(&frame) {
                    link.client.write_all(b"N").await?;
                    continue;
                }
                let is_commit = way == Way::ToServer && frame == COMMIT;
                let cut = is_commit.then(|| state.orders().commit.take()).flatten();
                if let Some(cut) = cut {
                    if cut != CommitCut::Before {
                        whole.extend(frame);
                    }
                    link.server.write_all(&whole).await?;
                    return link.cut_commit(cut, down).await;
                }
                whole.extend(frame);
            }
            let passed = link.allowed(way, whole.len());
            let to = if way == Way::ToServer { &mut link.server } else { &mut link.client };
            to.write_all(&whole[..passed]).await?;
            if passed < whole.len() {
                return link.reset();
            }
        }
    }

    /// How many of these bytes may pass before a cut.
    fn allowed(&self, way: Way, bytes: usize) -> usize {
        let mut orders = self.state.orders();
        match &mut orders.cut {
            Some((cut, left)) if *cut == way && *left >= bytes => *left -= bytes,
            Some((cut, left)) if *cut == way => {
                let passed = *left;
                orders.cut = None;
                self.state.cuts.fetch_add(1, Ordering::Relaxed);
                return passed;
            }
            _ => {}
        }
        bytes
    }

    async fn cut_commit(self, cut: CommitCut, mut answers: Frames) -> io::Result<()> {
        let Self { state, client, mut server } = self;
        let answered = async {
            let mut chunk = [0; CHUNK];
            loop {
                while let Some(frame) = answers.next() {
                    if frame == COMMITTED {
                        return;
                    }
                }
                match server.read(&mut chunk).await {
                    Ok(bytes) if bytes > 0 => answers.buffer.extend_from_slice(&chunk[..bytes]),
                    _ => return,
                }
            }
        };
        state.cuts.fetch_add(1, Ordering::Relaxed);
        match cut {
            CommitCut::Before => reset(client)?,
            CommitCut::Sent { linger } => {
                reset(client)?;
                let _ = timeout(PATIENCE, answered).await;
                sleep(linger).await;
            }
            CommitCut::Answered => {
                let _ = timeout(PATIENCE, answered).await;
                reset(client)?;
            }
        }
        reset(server)
    }

    /// Neither side hears of the other any more, nor that it is so.
    async fn fall_silent(self) -> io::Result<()> {
        let (client, server) = (hole::open(&self.client), hole::open(&self.server));
        let mut resets = self.state.resets.subscribe();
        let _ = timeout(HELD, resets.changed()).await;
        self.reset()?;
        client.and(server)
    }

    fn reset(self) -> io::Result<()> {
        reset(self.client)?;
        reset(self.server)
    }
}

/// Closes with an RST, which also takes back what the other side has not read yet.
fn reset(socket: TcpStream) -> io::Result<()> {
    socket.set_zero_linger()?;
    drop(socket);
    Ok(())
}

const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

/// Splits a stream into messages of the protocol.
#[derive(Default)]
struct Frames {
    buffer: Vec<u8>,
    /// Whether the messages have types: a client's first ones have none.
    started: bool,
}

impl Frames {
    /// The next message that is whole.
    fn next(&mut self) -> Option<Vec<u8>> {
        let at = usize::from(self.started);
        let length = self.buffer.get(at..)?.first_chunk::<4>()?;
        let end = at + u32::from_be_bytes(*length) as usize;
        if self.buffer.len() < end {
            return None;
        }
        let rest = self.buffer.split_off(end);
        let frame = std::mem::replace(&mut self.buffer, rest);
        self.started |= !is_tls_request(&frame);
        Some(frame)
    }
}

/// SSLRequest or GSSENCRequest, as a client's very first message.
fn is_tls_request(frame: &[u8]) -> bool {
    matches!(frame, [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f | 0x30])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_split_into_messages_wherever_it_is_cut() {
        let startup = [&[0, 0, 0, 9, 0, 3, 0, 0][..], b"\0"].concat();
        let request = [0, 0, 0, 8, 4, 210, 22, 47];
        let stream = [&request[..], &startup, COMMIT, b"S\0\0\0\x04", COMMIT].concat();
        for step in 1..stream.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for chunk in stream.chunks(step) {
                frames.buffer.extend_from_slice(chunk);
                found.extend(std::iter::from_fn(|| frames.next()));
            }
            assert_eq!(found.concat(), stream);
            assert_eq!(found.len(), 5, "{step}");
        }
    }
}
