//! A small HTTP server for probes and scrapes: everything bounded, ends in order.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, MutexGuard, watch},
    task::{AbortHandle, JoinSet},
};

use super::seat::{Seat, Timed};

/// More scrapers and probes than a pod has. On both ports together they are fewer than the files that requests leave free.
const MOST_CONNECTIONS: usize = 48;
const LARGEST_HEAD: usize = 32 << 10;
/// After a failed accept: mostly for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What is being answered at the end has this long.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Connections that wait to be accepted, as std has it.
const BACKLOG: i32 = 128;

/// Listens. At `[::]` for IPv4 as well, whatever the node's `net.ipv6.bindv6only` says, and for IPv4 alone on a node without
/// IPv6.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    bind(address).or_else(|error| match address.ip() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => bind((Ipv4Addr::UNSPECIFIED, address.port()).into()),
        _ => Err(error),
    })
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    // As std does it: a successor need not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

pub type Answer = Response<Full<Bytes>>;

/// Answers requests.
pub trait Handle: Send + Sync + 'static {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Answer> + Send;
}

/// Serves until `stop` is set, and then what is under way. Whoever comes is served: where too many are, the one that has
/// been idle for longest goes, so nobody who holds connections keeps the kubelet out.
pub async fn serve<H: Handle>(listener: TcpListener, handler: H, stop: watch::Receiver<bool>) {
    let handler = Arc::new(handler);
    let mut open = Open::default();
    loop {
        tokio::select! {
            () = stopped(stop.clone()) => break,
            Some(_) = open.tasks.join_next(), if !open.tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.make_room().await;
                    open.serve(stream, handler.clone(), stop.clone());
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    drop(tokio::time::timeout(LAST_ANSWERS, async { while open.tasks.join_next().await.is_some() {} }).await);
}

/// The connections of one port.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    seats: Vec<(AbortHandle, Arc<Seat>)>,
}

impl Open {
    fn serve(&mut self, stream: TcpStream, handler: Arc<impl Handle>, stop: watch::Receiver<bool>) {
        let seat = Seat::new();
        let task = self.tasks.spawn(connection(stream, seat.clone(), handler, stop));
        self.seats.push((task, seat));
    }

    /// Closes the longest idle connection when there are too many.
    async fn make_room(&mut self) {
        if self.seats.len() < MOST_CONNECTIONS {
            return;
        }
        // Of those that came at the same moment some may have asked already, and nobody has looked.
        tokio::task::yield_now().await;
        self.seats.retain(|(task, _)| !task.is_finished());
        if self.seats.len() < MOST_CONNECTIONS {
            return;
        }
        let longest = self.seats.iter().enumerate().min_by_key(|(_, (_, seat))| seat.worth());
        if let Some(at) = longest.map(|(at, _)| at) {
            self.seats.swap_remove(at).0.abort();
        }
    }
}

async fn connection(stream: TcpStream, seat: Arc<Seat>, handler: Arc<impl Handle>, stop: watch::Receiver<bool>) {
    let timed = Timed::new(stream, seat.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, seat) = (handler.clone(), seat.clone());
        async move {
            seat.answering();
            let answer = match *request.method() {
                Method::GET | Method::HEAD => handler.handle(request).await,
                _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here"),
            };
            seat.answered();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new().max_buf_size(LARGEST_HEAD).serve_connection(TokioIo::new(timed), service);
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

/// Has pages made one at a time, and looks at the network before each: many scrapers at once shall not keep a probe waiting that
/// the same thread answers.
#[derive(Default)]
pub struct Turns(Mutex<()>);

impl Turns {
    /// Waits for a turn, which is over when the guard is dropped.
    pub async fn next(&self) -> MutexGuard<'_, ()> {
        let turn = self.0.lock().await;
        tokio::task::yield_now().await;
        turn
    }
}

/// A short answer for people.
pub fn text(status: StatusCode, message: &str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", format!("{message}\n"))
}

/// An answer of this type.
pub fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
#[path = "tests/serve.rs"]
mod tests;
