//! A small HTTP server for scrapes: bounded in clients and in time, so that a slow or hostile one
//! cannot hurt the run.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::Exposition;

/// More clients than this wait in the kernel's queue.
const CLIENTS_MAX: usize = 64;
/// A client that has not sent its request's head by then is dropped.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// No connection is kept longer, in whatever state.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// Pause after a failed accept (no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const EXPOSITION_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Serves all clients within this one future, so they end with it.
pub(super) async fn serve(listener: TcpListener, exposition: Arc<Exposition>) {
    let mut clients = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if clients.len() < CLIENTS_MAX => match accepted {
                Ok((stream, _)) => clients.push(client(stream, Arc::clone(&exposition))),
                Err(error) => {
                    tracing::debug!("failed to accept a scrape: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(()) = clients.next(), if !clients.is_empty() => {}
        }
    }
}

async fn client(stream: TcpStream, exposition: Arc<Exposition>) {
    let service = service_fn(move |request| {
        let response = answer(&request, &exposition);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        tracing::debug!("scrape connection failed: {error}");
    }
}

fn answer(request: &Request<Incoming>, exposition: &Exposition) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n");
    }
    match request.uri().path() {
        "/metrics" => text(StatusCode::OK, EXPOSITION_FORMAT, exposition.render()),
        "/healthz" => text(StatusCode::OK, PLAIN, "ok\n"),
        "/readyz" if exposition.measuring.load(Ordering::Relaxed) => {
            text(StatusCode::OK, PLAIN, "measuring\n")
        }
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "not measuring\n"),
        "/" => text(StatusCode::OK, PLAIN, "strom-load: /metrics /healthz /readyz\n"),
        _ => text(StatusCode::NOT_FOUND, PLAIN, "try /metrics, /healthz or /readyz\n"),
    }
}

fn text(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
