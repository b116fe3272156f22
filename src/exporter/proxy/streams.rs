//! The HTTP/2 connections to the model of one client connection.
//!
//! Clients share none. What one of them leaves unread or sends too fast fills windows that all streams of a connection have in common,
//! and takes streams that the model counts per connection: the protocol isolates connections from each other, not streams. gRPC clients
//! keep one connection for long, so there are as many more connections as there are clients at work.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::{SendStream, client};
use http::Request;
use tokio::{
    net::TcpStream,
    sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit},
    time::{sleep, timeout},
};

use super::{
    pool::{ConnectError, Pool},
    serve::Shared,
    trust::Trust,
};

/// Connections to the model that one client connection may have. More than one is needed where the model takes fewer streams on each
/// than the client has (256 at most; servers of gRPC and nghttp2 take 100); one that takes a handful does not want hundreds at a time.
const MOST: usize = 8;
/// What opening one more connection may take, and the pause after it failed.
const OPENING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of one answer that wait here for the client: the protocol's own default, and plenty on the loopback.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes of all answers together that wait here for one client.
const WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of one request that wait here for the socket.
pub const SEND_BUFFER: usize = 64 * 1024;

/// Cheap to clone.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    links: Mutex<Vec<Arc<Link>>>,
    /// Held by whoever opens a connection.
    opening: Arc<tokio::sync::Mutex<()>>,
    /// A stream has ended, or a connection has come or gone.
    changed: Notify,
}

/// One connection. It closes when the last stream and the last handle are gone.
struct Link {
    sender: client::SendRequest<Bytes>,
    streams: AtomicUsize,
    /// It carried a stream since it was looked at last.
    used: AtomicBool,
    /// It takes no more streams.
    closed: AtomicBool,
    _spare: Option<OwnedSemaphorePermit>,
}

/// A place for one stream.
pub struct Slot {
    link: Arc<Link>,
    streams: Streams,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.link.streams.fetch_sub(1, Relaxed);
        self.link.used.store(true, Relaxed);
        self.streams.0.changed.notify_one();
    }
}

impl Slot {
    /// Begins a stream.
    ///
    /// # Errors
    /// When the connection has come to its end; nothing was sent then.
    pub async fn open(
        &self,
        head: Request<()>,
        end: bool,
    ) -> Result<(client::ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut sender = self.link.sender.clone();
        let begun = match std::future::poll_fn(|context| sender.poll_ready(context)).await {
            Ok(()) => sender.send_request(head, end),
            Err(error) => Err(error),
        };
        if begun.is_err() {
            self.link.closed.store(true, Relaxed);
        }
        begun
    }
}

impl Streams {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Inner { shared, links: Mutex::default(), opening: Arc::default(), changed: Notify::new() }))
    }

    /// A place on a connection that has one left, on a new one, or on the first that gets one.
    pub async fn slot(&self) -> Result<Slot, ConnectError> {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            // Listens before it looks, or the change could happen in between.
            changed.as_mut().enable();
            if let Some(slot) = self.free() {
                return Ok(slot);
            }
            tokio::select! {
                () = changed.as_mut() => {}
                turn = self.0.opening.clone().lock_owned() => {
                    // Whoever had the turn before may have opened one.
                    if let Some(slot) = self.free() {
                        return Ok(slot);
                    }
                    if !self.full() {
                        self.open_one(None).await?;
                    } else if let Some(spare) = self.may_have_another() {
                        tokio::spawn(self.clone().open_another(spare, turn));
                        changed.await;
                    } else {
                        drop(turn);
                        changed.await;
                    }
                }
            }
        }
    }

    /// Whether there are connections, so that it is streams that are lacking.
    pub fn full(&self) -> bool {
        !self.0.lock().is_empty()
    }

    fn free(&self) -> Option<Slot> {
        let mut links = self.0.lock();
        links.retain(|link| !link.closed.load(Relaxed));
        let free = |link: &&Arc<Link>| link.streams.load(Relaxed) < link.sender.current_max_send_streams();
        let link = links.iter().find(free)?.clone();
        // Under the lock, or the connection could be let go of at the same time.
        link.streams.fetch_add(1, Relaxed);
        link.used.store(true, Relaxed);
        drop(links);
        Some(Slot { link, streams: self.clone() })
    }

    /// The right to one more connection, unless there are as many as may be.
    fn may_have_another(&self) -> Option<OwnedSemaphorePermit> {
        if self.0.lock().len() >= MOST {
            return None;
        }
        self.0.shared.pool.spare.clone().try_acquire_owned().ok()
    }

    /// Opens one more connection, apart from the call that found it lacking: that call may get a place that comes free
    /// meanwhile, and the next one would begin anew. That it fails is no call's failure, for there are others to wait for.
    async fn open_another(self, spare: OwnedSemaphorePermit, turn: OwnedMutexGuard<()>) {
        if !matches!(timeout(OPENING, self.open_one(Some(spare))).await, Ok(Ok(()))) {
            sleep(PAUSE).await;
        }
        drop(turn);
        self.0.changed.notify_waiters();
    }

    async fn open_one(&self, spare: Option<OwnedSemaphorePermit>) -> Result<(), ConnectError> {
        let inner = &*self.0;
        let pool = &inner.shared.pool;
        let (sender, connection) = connect(pool).await?;
        let link = Arc::new(Link {
            sender,
            streams: AtomicUsize::new(0),
            used: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            _spare: spare,
        });
        tokio::spawn(drive(connection, Arc::downgrade(&link), Arc::downgrade(&self.0), pool.trust.clone()));
        inner.lock().push(link);
        inner.changed.notify_waiters();
        Ok(())
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Connection = client::Connection<TcpStream, Bytes>;

/// A connection whose other side has said how many streams it takes: those sent before would be refused, and some servers break the
/// connection off.
async fn connect(pool: &Pool) -> Result<(client::SendRequest<Bytes>, Connection), ConnectError> {
    let mut builder = client::Builder::new();
    // No pings: on the loopback a server that is gone resets the connection, and those of gRPC close one that pings more
    // than every five minutes (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS).
    builder
        .enable_push(false)
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(pool.header_limit);
    let (sender, mut connection) = builder.handshake(pool.open().await?).await.map_err(ConnectError::Http2)?;
    std::future::poll_fn(|context| match Pin::new(&mut connection).poll(context) {
        Poll::Ready(end) => Poll::Ready(end.and(Err(h2::Reason::HTTP_1_1_REQUIRED.into()))),
        Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await
    .map_err(ConnectError::Http2)?;
    Ok((sender, connection))
}

/// Moves the connection's bytes, and lets go of it once it had no stream from one look to the next. It closes when nobody has it.
async fn drive(connection: Connection, link: Weak<Link>, streams: Weak<Inner>, trust: Arc<Trust>) {
    let mut connection = pin!(connection);
    while still_used(&link, &streams) {
        tokio::select! {
            _ = &mut connection => {
                if let Some(link) = link.upgrade() {
                    link.closed.store(true, Relaxed);
                }
                if let Some(streams) = streams.upgrade() {
                    streams.changed.notify_waiters();
                }
                return;
            }
            () = sleep(trust.limit() / 2) => {}
        }
    }
    drop(connection.await);
}

fn still_used(link: &Weak<Link>, streams: &Weak<Inner>) -> bool {
    let (Some(link), Some(streams)) = (link.upgrade(), streams.upgrade()) else { return false };
    let mut links = streams.lock();
    let used = link.used.swap(false, Relaxed) || link.streams.load(Relaxed) > 0;
    if !used {
        links.retain(|other| !Arc::ptr_eq(other, &link));
    }
    used
}
