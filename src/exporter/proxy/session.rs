//! One client connection that speaks HTTP/2, and its streams.
//!
//! h2 is used as it is, and not through hyper, for the sake of time limits: while a client grants no window hyper polls nothing of ours,
//! so that nothing of ours can end the stream; and what it has queued for a stream goes before the reset that dropping it sends.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{Ping, PingPong, RecvStream, server};
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body as _;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    call::call,
    connection::Connection,
    patience::{Phase, Stage, Watch},
    pump::Pump,
    socket::Socket,
    streams::{SEND_BUFFER, Streams},
};

/// Streams of one connection at a time.
const STREAMS: u32 = 256;
/// How often a client is asked whether it lives, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
/// Bytes of one request that wait here for the model.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes of all requests of a connection that wait here for the model.
const WINDOW: u32 = 1024 * 1024;

/// What the streams of one connection share.
pub struct Session {
    pub connection: Arc<Connection>,
    pub streams: Streams,
    under_way: AtomicUsize,
}

/// Serves until the client, its silence, or the drain ends it.
pub async fn serve(connection: Arc<Connection>, watch: &Arc<Watch>, stream: TcpStream, first: Bytes) {
    let options = &connection.shared.options;
    let (limit, idle) = (u32::try_from(options.header_limit).unwrap_or(u32::MAX), options.client_idle_timeout);
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(limit);
    let handshake = builder.handshake(Socket::new(stream, first, watch.clone()));
    let Ok(Ok(mut served)) = timeout(options.head_timeout, handshake).await else { return };
    let Some(pings) = served.ping_pong() else { return };
    let mut pulse = Pulse { pings, asked: false, idle, busy_at: Instant::now() };
    let streams = Streams::new(connection.shared.clone());
    let session = Arc::new(Session { connection, streams, under_way: AtomicUsize::new(0) });
    let period = PING.min(idle / 2);
    let mut next = pin!(sleep(period));
    let mut ending = false;
    poll_fn(|context| {
        loop {
            watch.wake_by(context);
            while next.as_mut().poll(context).is_ready() {
                if !pulse.beat(context) {
                    return Poll::Ready(());
                }
                next.set(sleep(period));
            }
            if !ending && (watch.stage() != Stage::Serving || pulse.is_idle(&session)) {
                ending = true;
                served.graceful_shutdown();
            }
            let Some(Ok((request, respond))) = ready!(served.poll_accept(context)) else { return Poll::Ready(()) };
            session.under_way.fetch_add(1, Relaxed);
            tokio::spawn(serve_stream(session.clone(), request, respond));
        }
    })
    .await;
}

/// Whether the client lives, and has any use for its connection.
struct Pulse {
    pings: PingPong,
    asked: bool,
    idle: Duration,
    busy_at: Instant,
}

impl Pulse {
    /// Asks anew; false when there was no answer since the last time.
    fn beat(&mut self, context: &mut Context<'_>) -> bool {
        if self.asked && !matches!(self.pings.poll_pong(context), Poll::Ready(Ok(_))) {
            return false;
        }
        self.asked = self.pings.send_ping(Ping::opaque()).is_ok();
        self.asked
    }

    /// Whether it had no stream for too long. Answers that a client leaves in its sockets are no streams under way, and end with
    /// the connection.
    fn is_idle(&mut self, session: &Session) -> bool {
        if session.under_way.load(Relaxed) > 0 {
            self.busy_at = Instant::now();
        }
        self.busy_at.elapsed() >= self.idle
    }
}

struct UnderWay(Arc<Session>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// One stream from its head to its last byte. All of it, the model's side included, ends with this.
async fn serve_stream(session: Arc<Session>, request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>) {
    let session = UnderWay(session);
    let watched = session.0.connection.shared.watches.watch(Phase::Idle);
    let watch = &watched.watch;
    let bodiless = request.method() == Method::HEAD;
    let answer = {
        let mut answer = pin!(call(&session.0, watch, request));
        poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => respond.poll_reset(context).map(|_| None),
        })
        .await
    };
    // The client has given it up.
    let Some(answer) = answer else { return };
    let (mut head, body) = answer.into_parts();
    // Ours say it; it means nothing here, and h2 refuses to send it.
    head.headers.remove(header::CONNECTION);
    head.headers.entry(header::DATE).or_insert_with(date);
    let whole = bodiless || body.is_end_stream();
    let Ok(to) = respond.send_response(Response::from_parts(head, ()), whole) else { return };
    if whole {
        return;
    }
    let mut pump = Pump::new(body, to);
    poll_fn(|context| {
        watch.wake_by(context);
        let poll = pump.poll(context);
        if poll.is_pending() {
            if watch.expired() {
                pump.reset(h2::Reason::CANCEL);
                return Poll::Ready(());
            }
            // The account is closed with the last piece, but that may have to wait for the client.
            if watch.phase() == Phase::Idle {
                watch.enter(Phase::Answering);
            }
        }
        poll
    })
    .await;
}

/// Now, as HTTP writes it; a server that answers without is excused, one that passes the answer on is not (RFC 9110, 6.6.1).
fn date() -> HeaderValue {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    let text = printer.timestamp_to_rfc9110_string(&jiff::Timestamp::now());
    text.ok().and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(HeaderValue::from_static(""))
}
