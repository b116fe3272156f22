//! One client: it keeps a connection alive, as a caller of a model would, and says how each request ended.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use super::payload::Payload;
use crate::cli::target::Target;

/// A connection that idled for longer is not used again: servers close idle ones (uvicorn, under MLflow, after 5 s), and
/// a request that crosses with the closing is lost.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Bytes of an answer that are kept; what goes beyond is counted.
pub const KEPT_MAX: usize = 100 * 1024 * 1024;

/// How long a pod's complaint may lag behind the end of its stream.
const COMPLAINT_WAIT: Duration = Duration::from_millis(100);

/// A whole answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// The first [`KEPT_MAX`] bytes.
    pub body: Bytes,
    /// Bytes of the whole body.
    pub size: u64,
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection.
    Refused(String),
    /// Not answered in time.
    Timeout(String),
    /// The connection ended, or what came was no HTTP, before the first byte of an answer was understood.
    Closed(String),
    /// The answer ended too early.
    Broken(String),
}

impl Failure {
    pub fn words(&self) -> &str {
        match self {
            Self::Refused(words) | Self::Timeout(words) | Self::Closed(words) | Self::Broken(words) => words,
        }
    }
}

pub struct Client {
    target: Target,
    timeout: Duration,
    headers: HeaderMap,
    keep_alive: bool,
    /// Taken out while a request is under way, so that one that failed is gone.
    connection: Option<Connection>,
}

struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    complaint: BoxFuture<'static, Option<String>>,
    used: Instant,
}

impl Connection {
    async fn open(target: &Target) -> Result<Self, Failure> {
        let link = target.connect().await.map_err(Failure::Refused)?;
        let (sender, connection) = http1::handshake(TokioIo::new(link.stream))
            .await
            .map_err(|error| Failure::Refused(format!("cannot speak HTTP with {}: {error}", target.authority)))?;
        // Ends with the sender, or with the server.
        tokio::spawn(connection);
        Ok(Self { sender, complaint: link.complaint, used: Instant::now() })
    }

    /// Whether another request may be sent.
    async fn fit(&mut self) -> bool {
        self.used.elapsed() < IDLE_MAX && self.sender.ready().await.is_ok()
    }
}

impl Client {
    /// `timeout` bounds a whole request: connection, request and answer.
    pub fn new(target: Target, timeout: Duration) -> Self {
        Self { target, timeout, headers: HeaderMap::new(), keep_alive: true, connection: None }
    }

    /// Sends these headers, too, in place of its own of the same name; without `keep_alive` each request takes a
    /// connection of its own.
    pub fn manner(self, headers: HeaderMap, keep_alive: bool) -> Self {
        Self { headers, keep_alive, ..self }
    }

    /// Sends one request. Nothing that the server may have seen is sent twice.
    ///
    /// # Errors
    /// Why there is no whole answer; a status of 4xx or 5xx is an answer.
    pub async fn send(&mut self, payload: &Payload) -> Result<Answer, Failure> {
        let bound = self.timeout;
        let ended = timeout(bound, self.exchange(payload)).await;
        ended.unwrap_or_else(|_| Err(Failure::Timeout(format!("no whole answer within {bound:?}"))))
    }

    async fn exchange(&mut self, payload: &Payload) -> Result<Answer, Failure> {
        let mut request = self.request(payload)?;
        loop {
            let kept = match self.connection.take() {
                Some(mut connection) => connection.fit().await.then_some(connection),
                None => None,
            };
            let fresh = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => Connection::open(&self.target).await?,
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = whole(response).await?;
                    connection.used = Instant::now();
                    self.connection = Some(connection).filter(|_| self.keep_alive);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    // Not a byte of it was written: the server had closed the idle connection.
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(closed(&error.into_error(), connection.complaint).await),
                },
            }
        }
    }

    fn request(&self, payload: &Payload) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::post(&self.target.path)
            .header(header::HOST, &self.target.authority)
            .header(header::USER_AGENT, concat!("modelship/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, payload.content_type)
            .header(header::ACCEPT, "application/json, */*")
            .body(Full::new(payload.body.clone()))
            .map_err(|error| {
                Failure::Refused(format!("cannot make a request to {}: {error}", self.target.described))
            })?;
        if !self.keep_alive {
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }
}

/// What the pod said explains more than the end of the stream does.
async fn closed(error: &hyper::Error, complaint: BoxFuture<'static, Option<String>>) -> Failure {
    match timeout(COMPLAINT_WAIT, complaint).await.ok().flatten() {
        Some(said) => Failure::Closed(format!("the connection ended without an answer: {}", said.trim())),
        None => Failure::Closed(format!("the connection ended without an answer: {error}")),
    }
}

async fn whole(response: http::Response<Incoming>) -> Result<Answer, Failure> {
    let (head, mut body) = response.into_parts();
    let mut kept = BytesMut::new();
    let mut size = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Broken(format!("the answer ended too early: {error}")))?;
        if let Ok(data) = frame.into_data() {
            size += data.len() as u64;
            kept.extend_from_slice(&data[..data.len().min(KEPT_MAX - kept.len())]);
        }
    }
    Ok(Answer { status: head.status, body: kept.freeze(), size })
}

#[cfg(test)]
#[path = "tests/client.rs"]
mod tests;
