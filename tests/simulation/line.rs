//! A connection in which anything can go wrong: bytes come late, the end comes at any message or byte, one
//! side knows of it or both or nobody does.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::dice::Dice;
use super::wire::{self, Message};

/// When a network that is gone is noticed by the client's own system.
const TCP_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Where {
    /// Before the server has this message, counted from the first.
    Message(u64),
    /// Behind so many bytes for the client.
    Byte(u64),
}

/// How it breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum How {
    /// Both sides learn at once.
    Reset,
    /// The client learns at once; what it has sent comes to the server so much later, and then the end.
    Late(Duration),
    /// Nothing comes through any more, in both directions; the client learns when its system gives up.
    Hole,
    /// The same for what the server says; what the client says comes through.
    Mute,
}

/// A break that is to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut {
    pub(crate) at: Where,
    pub(crate) how: How,
}

/// What a connection is like.
#[derive(Debug, Clone)]
pub(crate) struct Quality {
    pub(crate) cut: Option<Cut>,
    /// The longest that a piece is on its way, in milliseconds.
    pub(crate) latency_ms: u64,
    /// One piece in so many takes up to the following: none for 0.
    pub(crate) late_one_in: u64,
    pub(crate) late_ms: u64,
    pub(crate) dice: Dice,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Eof,
    Reset,
    TimedOut,
}

/// One direction.
#[derive(Default)]
struct Way {
    pieces: VecDeque<(Instant, Bytes)>,
    /// Since nothing overtakes anything.
    last: Option<Instant>,
    end: Option<(Instant, End)>,
    /// What is sent comes nowhere.
    vanishes: bool,
    waker: Option<Waker>,
}

impl Way {
    fn push(&mut self, at: Instant, bytes: Bytes) {
        if self.vanishes || self.end.is_some() || bytes.is_empty() {
            return;
        }
        let at = self.last.map_or(at, |last| last.max(at));
        self.last = Some(at);
        self.pieces.push_back((at, bytes));
        self.wake();
    }

    /// Ends behind what was sent.
    fn end(&mut self, end: End) {
        let now = Instant::now();
        self.end_at(self.last.map_or(now, |last| last.max(now)), end);
    }

    /// Ends now, whatever was sent.
    fn cut(&mut self, end: End) {
        self.pieces.clear();
        self.end = Some((Instant::now(), end));
        self.wake();
    }

    fn end_at(&mut self, at: Instant, end: End) {
        if self.end.is_none() {
            self.end = Some((at, end));
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What has come; how it ended, if there is nothing more.
    fn poll(
        &mut self,
        sleep: &mut Option<Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, End>> {
        loop {
            let next = self.pieces.front().map(|(at, _)| *at).or(self.end.map(|(at, _)| at));
            let Some(next) = next else {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            if next <= Instant::now() {
                *sleep = None;
                return Poll::Ready(match (self.pieces.pop_front(), self.end) {
                    (Some((_, bytes)), _) => Ok(bytes),
                    (None, end) => Err(end.map_or(End::Eof, |(_, end)| end)),
                });
            }
            // It may also end sooner.
            self.waker = Some(cx.waker().clone());
            let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(next)));
            if sleep.deadline() != next {
                sleep.as_mut().reset(next);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

struct Inner {
    to_server: Way,
    to_client: Way,
    quality: Quality,
    /// Messages that the server has taken.
    messages: u64,
    /// Bytes that were sent to the client.
    bytes: u64,
}

impl Inner {
    fn arrival(&mut self) -> Instant {
        let Quality { latency_ms, late_one_in, late_ms, dice, .. } = &mut self.quality;
        let most = if dice.one_in(*late_one_in) { *late_ms } else { *latency_ms };
        if most == 0 { Instant::now() } else { Instant::now() + dice.time(most) }
    }

    /// Breaks it; how long the server waits for what was sent, and whether it never gets it.
    fn break_now(&mut self, how: How) -> Option<Duration> {
        self.quality.cut = None;
        match how {
            How::Reset => {
                self.to_client.cut(End::Reset);
                self.to_server.cut(End::Eof);
                None
            }
            How::Late(later) => {
                self.to_client.cut(End::Reset);
                Some(later)
            }
            How::Hole => {
                self.to_server.pieces.clear();
                self.to_server.vanishes = true;
                self.to_client.vanishes = true;
                self.to_client.end_at(Instant::now() + TCP_TIMEOUT, End::TimedOut);
                None
            }
            How::Mute => {
                self.to_client.vanishes = true;
                Some(Duration::ZERO)
            }
        }
    }
}

type Shared = Arc<Mutex<Inner>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Inner> {
    shared.lock().unwrap()
}

/// The two ends of a new connection.
pub(crate) fn connect(quality: Quality) -> (ClientEnd, ServerEnd) {
    let (to_server, to_client) = (Way::default(), Way::default());
    let inner = Inner { to_server, to_client, quality, messages: 0, bytes: 0 };
    let shared = Arc::new(Mutex::new(inner));
    let client = ClientEnd { shared: Arc::clone(&shared), sleep: None, rest: Bytes::new() };
    let server =
        ServerEnd { shared, sleep: None, buffer: BytesMut::new(), started: false, held: None };
    (client, server)
}

/// The loader's end.
pub(crate) struct ClientEnd {
    shared: Shared,
    sleep: Option<Pin<Box<Sleep>>>,
    rest: Bytes,
}

impl AsyncRead for ClientEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.rest.is_empty() {
            let polled = lock(&me.shared).to_client.poll(&mut me.sleep, cx);
            me.rest = match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(bytes)) => bytes,
                Poll::Ready(Err(End::Eof)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(End::Reset)) => {
                    return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
                }
                Poll::Ready(Err(End::TimedOut)) => {
                    return Poll::Ready(Err(ErrorKind::TimedOut.into()));
                }
            };
        }
        let length = me.rest.len().min(buf.remaining());
        buf.put_slice(&me.rest[..length]);
        me.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = lock(&self.shared);
        let is_over = matches!(inner.to_client.end, Some((at, end)) if end != End::Eof && at <= Instant::now());
        if is_over {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let at = inner.arrival();
        inner.to_server.push(at, Bytes::copy_from_slice(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.shared).to_server.end(End::Eof);
        Poll::Ready(Ok(()))
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        let mut inner = lock(&self.shared);
        if !inner.to_server.vanishes {
            inner.to_server.end(End::Eof);
        }
    }
}

/// The server's end.
pub(crate) struct ServerEnd {
    shared: Shared,
    sleep: Option<Pin<Box<Sleep>>>,
    buffer: BytesMut,
    started: bool,
    /// Until when it does not see what has come.
    held: Option<Instant>,
}

impl ServerEnd {
    /// The next message; `None`: there will be none. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(held) = self.held {
                sleep_until(held).await;
                self.held = None;
            }
            {
                let mut inner = lock(&self.shared);
                let breaks = match inner.quality.cut {
                    Some(Cut { at: Where::Message(at), how }) if inner.messages == at => Some(how),
                    _ => None,
                };
                // Once there is something to be lost.
                if let Some(how) = breaks.filter(|_| !self.buffer.is_empty()) {
                    match inner.break_now(how) {
                        Some(later) => self.held = Some(Instant::now() + later),
                        None => self.buffer.clear(),
                    }
                    continue;
                }
                if let Some(message) = wire::take(&mut self.buffer, self.started) {
                    inner.messages += 1;
                    self.started = true;
                    return Some(message);
                }
            }
            let (shared, sleep) = (&self.shared, &mut self.sleep);
            match poll_fn(|cx| lock(shared).to_server.poll(sleep, cx)).await {
                Ok(bytes) => self.buffer.extend_from_slice(&bytes),
                Err(_) => return None,
            }
        }
    }

    /// Whether nothing that is said comes to the client any more.
    pub(crate) fn is_lost(&self) -> bool {
        let inner = lock(&self.shared);
        inner.to_client.vanishes || inner.to_client.end.is_some() || inner.to_server.end.is_some()
    }

    /// Says something.
    pub(crate) fn send(&mut self, mut bytes: Bytes) {
        let mut inner = lock(&self.shared);
        let at = inner.arrival();
        let before = inner.bytes;
        inner.bytes += bytes.len() as u64;
        if let Some(Cut { at: Where::Byte(cut), how }) = inner.quality.cut
            && cut < inner.bytes
        {
            // What was said before comes through.
            bytes.truncate(cut.saturating_sub(before) as usize);
            inner.to_client.push(at, bytes);
            match how {
                How::Reset | How::Late(_) => {
                    inner.quality.cut = None;
                    inner.to_client.end(End::Reset);
                    match how {
                        How::Late(later) => self.held = Some(Instant::now() + later),
                        _ => inner.to_server.end(End::Eof),
                    }
                }
                How::Hole | How::Mute => drop(inner.break_now(how)),
            }
            return;
        }
        inner.to_client.push(at, bytes);
    }

    /// Hangs up; at once, or behind what was said.
    pub(crate) fn hang_up(&mut self, at_once: bool) {
        let mut inner = lock(&self.shared);
        if inner.to_client.vanishes {
            return;
        }
        match at_once {
            true => inner.to_client.cut(End::Reset),
            false => inner.to_client.end(End::Eof),
        }
    }
}
