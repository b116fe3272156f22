//! Connections to the model.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Semaphore};

use super::{
    headers,
    metrics::Metrics,
    options::Options,
    trust::Trust,
    upload::Upload,
    wire::{Line, Wire},
};

/// After such a pause the model may have closed the connection without our having been told: then the runtime looks
/// at its sockets once before the connection is used.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// Bytes of an answer's head, and of what is read at once.
const READ_BUFFER: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the model server cannot be connected to: {0}")]
    Connect(#[source] io::Error),
    #[error("the model server's connection cannot be used: {0}")]
    Handshake(#[source] hyper::Error),
    #[error("the model server does not speak HTTP/2: {0}")]
    Http2(#[source] h2::Error),
}

/// A connection for one request.
pub struct Lease {
    pub sender: http1::SendRequest<Upload>,
    pub line: Arc<Line>,
    /// How long it had been idle; `None` for a new one.
    pause: Option<Duration>,
    /// Whether it may serve another request after this one.
    reusable: bool,
}

impl Lease {
    /// The model closes it soon, whatever it says: no other request may go that way.
    pub fn spent(&mut self) {
        self.reusable = false;
    }

    fn closed(&self) -> bool {
        self.line.broken() || self.sender.is_closed()
    }
}

struct Idle {
    lease: Lease,
    since: Instant,
}

impl Idle {
    /// That it closes is our doing.
    fn close(self) {
        self.lease.line.taken();
    }
}

pub struct Pool {
    upstream: String,
    /// By the time since which they are idle. All but the first are fresh enough to be used, as seen at the last look.
    idle: Mutex<VecDeque<Idle>>,
    size: usize,
    pub trust: Arc<Trust>,
    pub header_limit: u32,
    /// HTTP/2 connections beyond the first of a client, for which its own place stands.
    pub spare: Arc<Semaphore>,
    metrics: Metrics,
}

impl Pool {
    pub fn new(options: &Options, metrics: Metrics) -> Self {
        Self {
            upstream: options.upstream.clone(),
            idle: Mutex::default(),
            size: options.pool_size,
            trust: Arc::new(Trust::new(options.pool_idle_timeout)),
            header_limit: u32::try_from(options.header_limit).unwrap_or(u32::MAX),
            spare: Arc::new(Semaphore::new(options.pool_size)),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last, unless the model may be about to close it.
    fn newest(&self, now: Instant) -> Option<(Lease, Duration)> {
        let mut idle = self.lock();
        let pause = now.saturating_duration_since(idle.back()?.since);
        if pause >= self.trust.limit() {
            return None;
        }
        idle.pop_back().map(|newest| (newest.lease, pause))
    }

    /// The connection used last, or a new one.
    pub async fn lease(&self, now: Instant) -> Result<Lease, ConnectError> {
        while let Some((mut lease, pause)) = self.newest(now) {
            if pause >= LOOK_AGAIN_AFTER {
                tokio::task::yield_now().await;
            }
            lease.pause = Some(pause);
            if lease.closed() || !(lease.sender.is_ready() || lease.sender.ready().await.is_ok()) {
                self.found_closed(&lease);
                continue;
            }
            lease.line.taken();
            return Ok(lease);
        }
        self.connect().await
    }

    /// The model closed this connection instead of answering on it. A new one teaches nothing: it was never idle.
    pub fn found_closed(&self, lease: &Lease) {
        if let Some(pause) = lease.pause {
            self.trust.closed_after(pause);
        }
    }

    /// Takes a connection back whose exchange is over.
    pub fn put(&self, lease: Lease, now: Instant) {
        if !lease.reusable || lease.closed() {
            return;
        }
        let mut idle = self.lock();
        if idle.len() < self.size {
            lease.line.idle_from(now);
            idle.push_back(Idle { lease, since: now });
        }
    }

    /// Closes what was idle for too long, but for one that shows what the model does with it; whether any is left.
    pub fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.lock();
        let age = |idle: &Idle| now.saturating_duration_since(idle.since);
        let (limit, proof) = (self.trust.limit(), self.trust.proof());
        while idle.get(1).is_some_and(|second| age(second) >= limit) {
            idle.remove(1).into_iter().for_each(Idle::close);
        }
        if let Some(witness) = idle.pop_front_if(|first| first.lease.closed() || age(first) >= proof) {
            if !witness.lease.closed() {
                self.trust.outlived();
            }
            witness.close();
        }
        if idle.is_empty() && idle.capacity() > 64 {
            idle.shrink_to_fit();
        }
        !idle.is_empty()
    }

    /// A connection that has carried nothing yet.
    pub async fn open(&self) -> Result<TcpStream, ConnectError> {
        let stream = TcpStream::connect(&*self.upstream).await.map_err(ConnectError::Connect)?;
        stream.set_nodelay(true).map_err(ConnectError::Connect)?;
        self.metrics.opened_upstream();
        Ok(stream)
    }

    async fn connect(&self) -> Result<Lease, ConnectError> {
        let line = Arc::new(Line::new());
        let wire = TokioIo::new(Wire::new(self.open().await?, line.clone()));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_BUFFER).writev(true);
        // What servers send although they should not, and nginx passes on.
        builder
            .max_headers(headers::MOST)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true);
        let (sender, connection) = builder.handshake(wire).await.map_err(ConnectError::Handshake)?;
        let (trust, ended) = (self.trust.clone(), line.clone());
        // Its errors reach whoever waits for an answer.
        tokio::spawn(connection.with_upgrades().map(move |_| {
            if let Some(idle) = ended.idle_for(Instant::now()) {
                trust.closed_after(idle);
            }
        }));
        Ok(Lease { sender, line, pause: None, reusable: true })
    }
}
