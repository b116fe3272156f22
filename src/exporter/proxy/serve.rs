//! Accepts connections, looks after them, and ends when it is told to.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use http::HeaderValue;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use super::{
    capture::Taker,
    connection,
    hold::Room,
    metrics::Metrics,
    options::Options,
    patience::{Limits, Stage, Watches},
    pool::Pool,
};
use crate::{
    blame::Errors,
    life::{Drain, Health, Settings},
};

/// After a failed accept: mostly for want of file descriptors, which come back as connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that the kernel keeps for us to accept: as many as it does at most (net.core.somaxconn). The standard library asks
/// for 128, and what comes beyond waits a second for its next try.
const BACKLOG: i32 = 4096;
/// How often the drain looks whether it is over.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// How long idle connections may take to close at the end.
const CLOSING: Duration = Duration::from_secs(1);

/// Why the proxy cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the address of the model server is '{0}', which is no host:port; write for example 127.0.0.1:8080")]
    Upstream(String),
    #[error("the proxy's listening socket cannot be used: {0}")]
    Listener(#[from] io::Error),
}

/// What the proxy needs of the other rooms.
pub struct Rooms {
    pub errors: Errors,
    pub health: Health,
    pub drain: Drain,
    pub settings: watch::Receiver<Arc<Settings>>,
    /// `None`: nothing is captured.
    pub taker: Option<Arc<dyn Taker>>,
}

/// What all connections share.
pub struct Shared {
    pub options: Options,
    pub rooms: Rooms,
    pub metrics: Metrics,
    pub pool: Pool,
    pub room: Room,
    pub watches: Arc<Watches>,
    /// `Host` for the requests of HTTP/1.0 clients that name none.
    pub host: HeaderValue,
    /// Whether the model has ever answered.
    pub was_up: AtomicBool,
}

/// The proxy, ready to serve.
pub struct Proxy {
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
}

impl Proxy {
    /// # Errors
    /// When the upstream is no `host:port`, or the listener cannot be used.
    pub fn new(
        listener: std::net::TcpListener,
        options: Options,
        metrics: Metrics,
        rooms: Rooms,
    ) -> Result<Self, SetupError> {
        let wrong = || SetupError::Upstream(options.upstream.clone());
        let authority: http::uri::Authority = options.upstream.parse().map_err(|_| wrong())?;
        if authority.port_u16().is_none_or(|port| port == 0) || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = HeaderValue::from_str(&options.upstream).map_err(|_| wrong())?;
        listener.set_nonblocking(true)?;
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        let shared = Shared {
            pool: Pool::new(&options, metrics.clone()),
            room: Room::default(),
            watches: Arc::default(),
            was_up: AtomicBool::new(false),
            host,
            options,
            rooms,
            metrics,
        };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket cannot be asked.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it has drained. Made for a current-thread runtime.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(self) -> io::Result<()> {
        let Self { listener, shared } = self;
        let listener = TcpListener::from_std(listener)?;
        let sweeper = tokio::spawn(sweep(shared.clone()));
        {
            let mut drained = std::pin::pin!(drained(&shared));
            let places = Arc::new(Semaphore::new(shared.options.max_connections));
            tokio::select! {
                () = accept(&listener, &shared, &places) => {}
                () = &mut drained => {}
            }
        }
        drop(listener);
        close(&shared).await;
        sweeper.abort();
        Ok(())
    }
}

/// For ever.
async fn accept(listener: &TcpListener, shared: &Arc<Shared>, places: &Arc<Semaphore>) {
    let mut told = false;
    loop {
        // Beyond the limit clients wait in the kernel's queue. The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, client)) => {
                told = false;
                tokio::spawn(connection::serve(shared.clone(), stream, client.ip(), place));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "no connection can be accepted for now");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Ends what waits for too long. Asleep while there is no connection.
async fn sweep(shared: Arc<Shared>) {
    let limits = Limits::new(&shared.options);
    let period = limits.period(shared.options.pool_idle_timeout);
    loop {
        let idle = shared.pool.sweep(Instant::now());
        if !idle && shared.watches.len() == 0 {
            shared.watches.come.notified().await;
        }
        tokio::time::sleep(period).await;
        shared.watches.sweep(Instant::now(), &limits);
    }
}

/// Until the drain has been told of and is over.
async fn drained(shared: &Shared) {
    let drain = &shared.rooms.drain;
    drain.begun().await;
    shared.watches.tell(Stage::Draining);
    let options = &shared.options;
    let begun = Instant::now();
    let mut quiet_since = begun;
    let mut requests = shared.metrics.begun();
    while begun.elapsed() < options.drain_most {
        tokio::time::sleep(DRAIN_LOOK).await;
        let now = shared.metrics.begun();
        if now != requests || drain.in_flight() > 0 {
            (requests, quiet_since) = (now, Instant::now());
        }
        if begun.elapsed() >= options.drain_least && quiet_since.elapsed() >= options.drain_quiet {
            return;
        }
    }
    tracing::warn!(under_way = drain.in_flight(), "the drain ends with requests under way");
}

/// Closes the idle connections that are left.
async fn close(shared: &Shared) {
    shared.watches.tell(Stage::Closing);
    let begun = Instant::now();
    while shared.watches.len() > 0 && begun.elapsed() < CLOSING {
        tokio::time::sleep(DRAIN_LOOK / 5).await;
    }
}
