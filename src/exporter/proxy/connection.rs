//! One client connection.

use std::{
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead as _, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};

use super::{
    forward, headers,
    patience::{Expired, Phase, Stage, Watch},
    serve::Shared,
    session,
    socket::Socket,
    tunnel::Tunnel,
};
use crate::blame::Cause;

/// What a client sends first that speaks HTTP/2 without being asked to (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for the head of a usual first request, so that it is read at once.
const FIRST_READ: usize = 4 * 1024;
/// Bytes read at once, and kept until they are written.
const BUFFER: usize = 64 * 1024;

/// What the requests of one connection share.
pub struct Connection {
    pub shared: Arc<Shared>,
    /// The client's address, for `X-Forwarded-For`.
    pub client: HeaderValue,
    /// Where a request ended in another protocol, what is to follow its answer.
    tunnel: Mutex<Option<Box<Tunnel>>>,
}

impl Connection {
    /// No other request comes on this connection: all that follows the answer goes to the model, and back.
    pub fn becomes(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tunnel));
    }

    fn tunnel(&self) -> Option<Box<Tunnel>> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Serves until the client or the drain ends it, and gives its place back. The place is not held by an `async` block
/// around this: that would have room for this future twice, once before it is begun.
pub async fn serve(shared: Arc<Shared>, stream: TcpStream, client: IpAddr, _place: OwnedSemaphorePermit) {
    shared.metrics.connected();
    let _gone = Gone(shared.clone());
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let watched = shared.watches.watch(Phase::Idle);
    let watch = &watched.watch;
    let Ok(Some((stream, first, two))) = sniff(stream, watch).await else { return };
    // An address is always a header's value.
    let Ok(client) = HeaderValue::from_str(&client.to_canonical().to_string()) else { return };
    let connection = Arc::new(Connection { shared: shared.clone(), client, tunnel: Mutex::default() });
    if two {
        watch.enter(Phase::Exempt);
        session::serve(connection, watch, stream, first).await;
    } else {
        serve_http1(connection, watch, stream, first).await;
        if let refused @ 1.. = watch.refused.load(Relaxed) {
            shared.metrics.refused(refused);
            shared.rooms.errors.count(Cause::Client);
        }
    }
}

struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.metrics.disconnected();
    }
}

/// Reads the first bytes, and whether they are HTTP/2's. `None` when nothing came.
async fn sniff(mut stream: TcpStream, watch: &Watch) -> io::Result<Option<(TcpStream, Bytes, bool)>> {
    let mut first = BytesMut::zeroed(FIRST_READ);
    let mut length = 0;
    loop {
        let read = std::future::poll_fn(|context| {
            if watch.expired() || watch.stage() == Stage::Closing {
                return Poll::Ready(Ok(0));
            }
            watch.wake_by(context);
            let mut buffer = ReadBuf::new(&mut first[length..]);
            match Pin::new(&mut stream).poll_read(context, &mut buffer) {
                Poll::Ready(result) => Poll::Ready(result.map(|()| buffer.filled().len())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await?;
        if read == 0 && length == 0 {
            return Ok(None);
        }
        if length == 0 {
            watch.head_began();
        }
        length += read;
        let (seen, wanted) = (&first[..length], &PREFACE[..length.min(PREFACE.len())]);
        let two = seen.starts_with(wanted);
        if !two || length >= PREFACE.len() || read == 0 {
            first.truncate(length);
            return Ok(Some((stream, first.freeze(), two && length >= PREFACE.len())));
        }
    }
}

async fn serve_http1(connection: Arc<Connection>, watch: &Arc<Watch>, stream: TcpStream, first: Bytes) {
    let limit = connection.shared.options.header_limit;
    let socket = TokioIo::new(Socket::new(stream, first, watch.clone()));
    let mut builder = http1::Builder::new();
    // Not `pipeline_flush`: with it hyper buffers an answer without bound for a client that does not read.
    builder.max_buf_size(BUFFER.max(limit)).max_header_size(limit).max_headers(headers::MOST);
    builder.writev(true).header_read_timeout(None);
    let service = service_fn(|request| forward::http1(connection.clone(), watch.clone(), request));
    let mut served = pin!(builder.serve_connection(socket, service).with_upgrades());
    let mut told = false;
    let result = std::future::poll_fn(|context| {
        watch.wake_by(context);
        if !told && watch.stage() == Stage::Closing {
            told = true;
            served.as_mut().graceful_shutdown();
        }
        expire(watch, served.as_mut().poll(context))
    })
    .await;
    if result == Err(Expired) && watch.phase() == Phase::Head {
        connection.shared.metrics.refused(408);
        connection.shared.rooms.errors.count(Cause::Client);
    }
    if result.is_ok()
        && let Some(tunnel) = connection.tunnel()
    {
        tunnel.pass(watch).await;
    }
}

/// The end of a connection whose limit has passed although it was polled since: whoever waits inside has had its say,
/// so it is the client that does not move.
fn expire<T>(watch: &Watch, poll: Poll<T>) -> Poll<Result<(), Expired>> {
    match poll {
        Poll::Ready(_) => Poll::Ready(Ok(())),
        Poll::Pending if watch.expired() => Poll::Ready(Err(Expired)),
        Poll::Pending => Poll::Pending,
    }
}
