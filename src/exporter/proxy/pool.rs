//! Connections to the model.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{connection::STREAMS, metrics::Metrics, options::Options, socket::Wire, upload::Upload};

/// After such a pause the model may have closed the connection without our having been told: then the runtime looks
/// at its sockets once before the connection is used.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// Bytes of one HTTP/2 answer that wait here for a client. The connection takes those of as many calls as one client may have
/// at a time, or a few clients that read nothing would stop all others.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes of an answer's head, and of what is read at once.
const READ_BUFFER: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the model server cannot be connected to: {0}")]
    Connect(#[source] io::Error),
    #[error("the model server does not speak HTTP/2: {0}")]
    Handshake(#[source] hyper::Error),
}

/// A connection for one request.
pub struct Lease {
    pub sender: http1::SendRequest<Upload>,
    broken: Arc<AtomicBool>,
}

struct Idle {
    lease: Lease,
    since: Instant,
}

pub struct Pool {
    upstream: String,
    idle: Mutex<VecDeque<Idle>>,
    size: usize,
    idle_timeout: Duration,
    header_limit: u32,
    /// HTTP/2 needs one connection only.
    shared: tokio::sync::Mutex<Option<http2::SendRequest<Upload>>>,
    metrics: Metrics,
}

impl Pool {
    pub fn new(options: &Options, metrics: Metrics) -> Self {
        Self {
            upstream: options.upstream.clone(),
            idle: Mutex::default(),
            size: options.pool_size,
            idle_timeout: options.pool_idle_timeout,
            header_limit: u32::try_from(options.header_limit).unwrap_or(u32::MAX),
            shared: tokio::sync::Mutex::default(),
            metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last, or a new one.
    pub async fn lease(&self, now: Instant) -> Result<Lease, ConnectError> {
        loop {
            let Some(Idle { mut lease, since }) = self.lock().pop_back() else { break };
            let pause = now.saturating_duration_since(since);
            if pause >= self.idle_timeout {
                continue;
            }
            if pause >= LOOK_AGAIN_AFTER {
                tokio::task::yield_now().await;
            }
            if lease.broken.load(Relaxed) || lease.sender.is_closed() {
                continue;
            }
            if lease.sender.is_ready() || lease.sender.ready().await.is_ok() {
                return Ok(lease);
            }
        }
        self.connect().await
    }

    /// Takes a connection back whose exchange is over.
    pub fn put(&self, lease: Lease, now: Instant) {
        if lease.broken.load(Relaxed) || lease.sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        if idle.len() < self.size {
            idle.push_back(Idle { lease, since: now });
        }
    }

    /// Closes what was idle for too long; whether any is left.
    pub fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.lock();
        while idle.front().is_some_and(|idle| now.saturating_duration_since(idle.since) >= self.idle_timeout) {
            idle.pop_front();
        }
        if idle.is_empty() && idle.capacity() > 64 {
            idle.shrink_to_fit();
        }
        !idle.is_empty()
    }

    async fn open(&self) -> Result<TcpStream, ConnectError> {
        let stream = TcpStream::connect(&*self.upstream).await.map_err(ConnectError::Connect)?;
        stream.set_nodelay(true).map_err(ConnectError::Connect)?;
        self.metrics.opened_upstream();
        Ok(stream)
    }

    async fn connect(&self) -> Result<Lease, ConnectError> {
        let broken = Arc::new(AtomicBool::new(false));
        let wire = TokioIo::new(Wire::new(self.open().await?, broken.clone()));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(READ_BUFFER).writev(true);
        let (sender, connection) = builder.handshake(wire).await.map_err(ConnectError::Handshake)?;
        // Its errors reach whoever waits for an answer.
        tokio::spawn(connection.map(drop));
        Ok(Lease { sender, broken })
    }

    /// The HTTP/2 connection, opened if there is none.
    pub async fn shared(&self) -> Result<http2::SendRequest<Upload>, ConnectError> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = TokioIo::new(self.open().await?);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        // No pings: on the loopback a server that is gone resets the connection, and those of gRPC close one that pings more
        // than every five minutes (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS).
        builder
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW * STREAMS)
            .max_header_list_size(self.header_limit);
        let (sender, connection) = builder.handshake(stream).await.map_err(ConnectError::Handshake)?;
        tokio::spawn(async move { drop(connection.await) });
        *shared = Some(sender.clone());
        Ok(sender)
    }
}
