//! A small HTTP server for scrapes: bounded in clients and in time, so that a slow or hostile one
//! cannot hurt the run, nor keep a scraper out.

use std::collections::BTreeMap;
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
use tokio_util::sync::CancellationToken;

use super::Exposition;

/// One more than this, and the client that came first is dropped: a scrape takes milliseconds, so
/// whoever is still there dawdles or idles.
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
pub(super) async fn serve(listener: &TcpListener, exposition: &Arc<Exposition>) -> Infallible {
    let mut clients = FuturesUnordered::new();
    // In the order in which they came.
    let mut open = BTreeMap::<u64, CancellationToken>::new();
    let mut next = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if open.len() >= CLIENTS_MAX && let Some((_, oldest)) = open.pop_first() {
                        oldest.cancel();
                    }
                    let leave = CancellationToken::new();
                    open.insert(next, leave.clone());
                    let client = client(stream, Arc::clone(exposition));
                    clients.push(async move {
                        leave.run_until_cancelled(client).await;
                        next
                    });
                    next += 1;
                }
                Err(error) => {
                    tracing::debug!("failed to accept a scrape: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(number) = clients.next(), if !clients.is_empty() => {
                open.remove(&number);
            }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn silent_clients_cannot_keep_a_scraper_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let exposition = Arc::new(Exposition::new());
        let scraper = async {
            // Half of them say nothing, half never end their head.
            let mut silent = Vec::new();
            for number in 0..CLIENTS_MAX {
                let mut stream = TcpStream::connect(address).await.unwrap();
                if number % 2 == 1 {
                    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: te").await.unwrap();
                }
                silent.push(stream);
            }
            let mut scraper = TcpStream::connect(address).await.unwrap();
            let request = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
            scraper.write_all(request).await.unwrap();
            let mut answer = String::new();
            scraper.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            // The first one made room; the others had not been there long enough to be dropped.
            assert_eq!(silent[0].read(&mut [0; 64]).await.unwrap(), 0);
            let dropped = silent[1..].iter().filter(|stream| stream.try_read(&mut [0; 64]).is_ok());
            assert_eq!(dropped.count(), 0);
        };
        tokio::select! {
            () = scraper => {}
            never = serve(&listener, &exposition) => match never {},
        }
    }
}
