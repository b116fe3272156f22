//! A small HTTP server for probes and scrapes: everything bounded, ends in order.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// More scrapers and probes than a pod has; what comes beyond waits in the kernel's queue.
const MOST_CONNECTIONS: usize = 256;
/// For a request's head; also how long a connection may stay idle. Longer than the usual scrape interval of 30 s.
const LONGEST_HEAD: Duration = Duration::from_secs(40);
const LARGEST_HEAD: usize = 32 << 10;
/// What is being answered at the end has this long.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

pub(super) type Answer = Response<Full<Bytes>>;

/// Answers requests.
pub(super) trait Handle: Send + Sync + 'static {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Answer> + Send;
}

/// Serves until `stop` is set, and then what is under way.
pub(super) async fn serve<H: Handle>(listener: TcpListener, handler: H, stop: watch::Receiver<bool>) {
    let handler = Arc::new(handler);
    let free = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(stop.clone()) => break,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            (stream, permit) = accept(&listener, &free) => {
                let (handler, stop) = (handler.clone(), stop.clone());
                open.spawn(async move {
                    connection(stream, handler, stop).await;
                    drop(permit);
                });
            }
        }
    }
    drop(listener);
    drop(tokio::time::timeout(LAST_ANSWERS, async { while open.join_next().await.is_some() {} }).await);
}

async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> (TcpStream, impl Send + use<>) {
    loop {
        // Never closed, so this never fails; without a permit the connection would still be bounded by the listener.
        let permit = free.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // No more files, or the client is gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, handler: Arc<impl Handle>, stop: watch::Receiver<bool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let answer = match *request.method() {
                Method::GET | Method::HEAD => handler.handle(request).await,
                _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here"),
            };
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A connection that fails is its client's matter.
    tokio::select! {
        _ = &mut connection => {}
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender is gone only at the very end, which is a stop, too.
    drop(stop.wait_for(|stop| *stop).await);
}

/// A short answer for people.
pub(super) fn text(status: StatusCode, message: &str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", format!("{message}\n"))
}

pub(super) fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
#[path = "tests/serve.rs"]
mod tests;
