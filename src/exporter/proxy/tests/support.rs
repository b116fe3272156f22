//! A proxy on loopback, and the two ends of a conversation through it.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use prometheus::{Registry, TextEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    blame::Errors,
    exchange::Exchange,
    life::{Clock, Drain, Health, Settings},
    proxy::{Metrics, Options, Proxy, Rooms, Taker},
};

/// Nothing on loopback takes so long, however busy the machine is.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub fn health() -> Health {
    Health::new(Clock::new())
}

/// Keeps what it is offered.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Exchange>>);

impl Kept {
    pub fn all(&self) -> Vec<Exchange> {
        self.0.lock().unwrap().clone()
    }
}

impl Taker for Kept {
    fn wants(&self, method: &Method, _path: &str, _: bool) -> bool {
        method == Method::POST
    }

    fn request_limit(&self) -> usize {
        1000
    }

    fn answer_limit(&self) -> usize {
        500
    }

    fn offer(&self, exchange: Exchange) {
        self.0.lock().unwrap().push(exchange);
    }
}

pub struct Stand {
    pub address: SocketAddr,
    pub registry: Registry,
    pub drain: Drain,
    pub settings: watch::Sender<Arc<Settings>>,
    pub kept: Arc<Kept>,
    pub served: JoinHandle<std::io::Result<()>>,
}

/// A proxy in front of `upstream`.
pub async fn stand(upstream: SocketAddr, change: impl FnOnce(&mut Options)) -> Stand {
    stand_with(upstream, health(), change).await
}

/// A proxy that tells this of the model's health.
pub async fn stand_with(upstream: SocketAddr, health: Health, change: impl FnOnce(&mut Options)) -> Stand {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let (settings, receiver) = watch::channel(Arc::default());
    let (drain, kept) = (Drain::new(), Arc::new(Kept::default()));
    let rooms = Rooms {
        errors: Errors::new(&registry).unwrap(),
        health,
        drain: drain.clone(),
        settings: receiver,
        taker: Some(kept.clone()),
    };
    let mut options = Options::to(upstream.to_string());
    change(&mut options);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::new(listener, options, metrics, rooms).unwrap();
    let address = proxy.address().unwrap();
    Stand { address, registry, drain, settings, kept, served: tokio::spawn(proxy.serve()) }
}

impl Stand {
    /// The value of a series, written as on the metrics page.
    pub fn value(&self, series: &str) -> f64 {
        let page = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(f64::NAN, |value| value.parse().unwrap())
    }

    pub fn requests(&self, method: &str, code: u16) -> f64 {
        self.value(&format!(r#"http_requests_total{{code="{code}",method="{method}"}}"#))
    }

    pub fn errors(&self, cause: &str) -> f64 {
        self.value(&format!(r#"http_request_errors_total{{cause="{cause}"}}"#))
    }

    pub async fn until(&self, series: &str, wanted: f64) {
        until(|| self.value(series) == wanted).await.unwrap_or_else(|()| {
            let page = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
            panic!("{series} is {} and not {wanted}:\n{page}", self.value(series))
        });
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Waits for the condition.
pub async fn until(mut condition: impl FnMut() -> bool) -> Result<(), ()> {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        if Instant::now() > end {
            return Err(());
        }
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

pub async fn soon<F: Future>(future: F) -> F::Output {
    timeout(DEADLINE, future).await.expect("it takes too long")
}

/// A model server that does with each connection what it is told; connections are numbered from 0.
pub async fn model<F, R>(serve: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // What all of a test's clients may ask for at once.
    let listener = socket.listen(4096).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(serve(number, stream));
        }
    });
    address
}

/// A model server that answers each request.
pub async fn answering<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    model(move |_, stream| {
        let answer = answer.clone();
        async move {
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

/// A model server that answers `hello` to everything.
pub async fn hello() -> SocketAddr {
    answering(|_| async { Response::new(Full::from("hello")) }).await
}

/// Reads up to the empty line; empty at the end of the connection.
pub async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Reads one answer with a content length, or without a body.
pub async fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let head = head(stream).await;
    let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    soon(stream.read_exact(&mut body)).await.unwrap_or_else(|error| panic!("{error} in the body after {head}"));
    (head, body)
}

/// Sends the request on a connection of its own and reads one answer.
pub async fn ask(stand: &Stand, request: &str) -> (String, Vec<u8>) {
    let mut stream = stand.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(&mut stream).await
}

pub async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Whether the other side ends the connection, in whichever way, after no more than the bytes returned.
pub async fn rest(stream: &mut TcpStream) -> (Vec<u8>, std::io::Result<usize>) {
    let mut rest = Vec::new();
    let result = soon(stream.read_to_end(&mut rest)).await;
    (rest, result)
}
