//! A TCP proxy between the loader and its server that breaks what passes through it on demand.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Read at once; small, so that a slow link is slow all the time and not in jerks.
const CHUNK: usize = 8 * 1024;
/// How long the server may take to answer a COMMIT.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// How a connection is cut at a COMMIT, before its answer has reached the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitCut {
    /// The COMMIT never reaches the server.
    Before,
    /// The server gets it. The client is cut off at once; the server's side stands until the
    /// server has answered, and then for so long.
    Sent { linger: Duration },
    /// The server gets it and answers. Only then both sides are cut off.
    Answered,
}

/// A slow link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slow {
    /// Of every chunk.
    pub(crate) delay: Duration,
    /// Of each connection.
    pub(crate) bytes_per_s: f64,
}

/// What is to happen to the bytes to come.
#[derive(Default)]
struct Orders {
    cut: Option<(Way, usize)>,
    commit: Option<CommitCut>,
    slow: Option<Slow>,
}

struct State {
    server: u16,
    orders: Mutex<Orders>,
    /// Rises with each reset of all connections.
    resets: watch::Sender<u64>,
    /// Rises when a black hole begins and when it ends: odd while there is one.
    holes: AtomicU64,
    /// Cuts that were made.
    cuts: AtomicU64,
}

/// The proxy; ends with all its connections when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a port of loopback, in front of a server's.
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server,
            orders: Mutex::default(),
            resets: watch::Sender::new(0),
            holes: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                // An error is a side that went away, which closes the other.
                connections.spawn(async move { Box::pin(Link::carry(client, &shared)).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { port, state, _tasks: tasks }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Resets every connection, on both sides.
    pub(crate) fn reset(&self) {
        self.state.resets.send_modify(|resets| *resets += 1);
    }

    /// Passes on so many more bytes, then resets the connection that the next byte is for.
    pub(crate) fn cut_after(&self, way: Way, bytes: usize) {
        self.state.orders.lock().unwrap().cut = Some((way, bytes));
    }

    /// Cuts the next connection that sends a COMMIT.
    pub(crate) fn cut_commit(&self, cut: CommitCut) {
        self.state.orders.lock().unwrap().commit = Some(cut);
    }

    /// Makes every link slow, or no longer.
    pub(crate) fn slow(&self, slow: Option<Slow>) {
        self.state.orders.lock().unwrap().slow = slow;
    }

    /// Swallows the bytes of every connection there is, for good, and of those made until
    /// [`Self::end_hole`]; neither side is told.
    pub(crate) fn begin_hole(&self) {
        self.state.holes.fetch_or(1, Ordering::Relaxed);
    }

    /// Lets new connections through again.
    pub(crate) fn end_hole(&self) {
        let odd = self.state.holes.fetch_add(1, Ordering::Relaxed);
        assert_eq!(odd % 2, 1, "there is a hole");
    }

    /// How many connections were cut at a byte or a COMMIT.
    pub(crate) fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::Relaxed)
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
    async fn carry(mut client: TcpStream, state: &'a State) -> io::Result<()> {
        let mut resets = state.resets.subscribe();
        let holes = state.holes.load(Ordering::Relaxed);
        if holes % 2 == 1 {
            return swallow(&mut client).await;
        }
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
                read = link.client.read(&mut from_client) => (Way::ToServer, &from_client[..read?]),
                read = link.server.read(&mut from_server) => (Way::ToClient, &from_server[..read?]),
            };
            if state.holes.load(Ordering::Relaxed) != holes {
                // The server is not told that the client goes away.
                swallow(&mut link.client).await?;
                return std::future::pending().await;
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let slow = state.orders.lock().unwrap().slow;
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
                let cut = is_commit.then(|| state.orders.lock().unwrap().commit.take()).flatten();
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
        let mut orders = self.state.orders.lock().unwrap();
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

    fn reset(self) -> io::Result<()> {
        reset(self.client)?;
        reset(self.server)
    }
}

/// Reads and forgets until the other side gives up.
async fn swallow(from: &mut TcpStream) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    while from.read(&mut chunk).await? > 0 {}
    Ok(())
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
        let length: [u8; 4] = self.buffer.get(at..at + 4)?.try_into().unwrap();
        let end = at + u32::from_be_bytes(length) as usize;
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
