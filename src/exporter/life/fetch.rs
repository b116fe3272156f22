//! A GET to the model's port: one connection, one request, everything bounded.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// An answer's head, with trailing room for a proxy's additions.
const LARGEST_HEAD: usize = 64 << 10;

/// An answer; the body is empty when it was not asked for.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it refuses connections")]
    Refused,
    #[error("the connection fails: {0}")]
    Unreachable(io::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("its answer is no HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("its answer is larger than {0} bytes")]
    TooBig(usize),
    #[error("it does not answer within {} ms", .0.as_millis())]
    Late(Duration),
}

/// Opens a connection and closes it again.
pub(super) async fn knock(model: &str, patience: Duration) -> Result<(), FetchError> {
    within(patience, async { connect(model).await.map(drop) }).await
}

/// Asks for a path. `largest` bounds the body; without it the body is not read.
pub(super) async fn get(
    model: &str,
    path: &PathAndQuery,
    further: &[(HeaderName, HeaderValue)],
    largest: Option<usize>,
    patience: Duration,
) -> Result<Answer, FetchError> {
    within(patience, async {
        let mut request = Request::get(path.as_str())
            .header(header::HOST, model)
            .header(header::USER_AGENT, concat!("modelship-exporter/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close");
        for (name, value) in further {
            request = request.header(name, value);
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let stream = TokioIo::new(connect(model).await?);
        let (mut sender, connection) = http1::Builder::new().max_buf_size(LARGEST_HEAD).handshake(stream).await?;
        let mut answer = std::pin::pin!(async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = match largest {
                Some(largest) => collect(body, largest).await?,
                None => Bytes::new(),
            };
            Ok(Answer { status: head.status, headers: head.headers, body })
        });
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What it read before its end is still there.
            _ = connection => answer.await,
        }
    })
    .await
}

async fn connect(model: &str) -> Result<TcpStream, FetchError> {
    TcpStream::connect(model).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => FetchError::Refused,
        _ => FetchError::Unreachable(error),
    })
}

async fn collect(mut body: Incoming, largest: usize) -> Result<Bytes, FetchError> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            if all.len() + piece.len() > largest {
                return Err(FetchError::TooBig(largest));
            }
            all.extend_from_slice(&piece);
        }
    }
    Ok(all.freeze())
}

async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
    tokio::time::timeout(patience, work).await.unwrap_or(Err(FetchError::Late(patience)))
}

#[cfg(test)]
#[path = "tests/fetch.rs"]
mod tests;
